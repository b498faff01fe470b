// The queries of the PromQL compliance suite (TRACEO_TEST_DATA/promql/compliance): each is
// answered, or refused where the suite says that it has to be. Values are compared elsewhere,
// against a real Prometheus.

#include <stdio.h>

#include "os/disk.h"
#include "query/exec/query_generate.h"

typedef struct Variable {
    const char *name;
    const char *values[20];
} Variable;

static const Variable variables[] = {
    {"range", {"1s", "15s", "1m", "5m", "15m", "1h"}},
    {"offset", {"1m", "5m", "10m"}},
    {"simpleAggrOp", {"sum", "avg", "max", "min", "count", "stddev", "stdvar"}},
    {"simpleTimeAggrOp",
     {"sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last", "present"}},
    {"topBottomOp", {"topk", "bottomk"}},
    {"quantile", {"-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"}},
    {"arithBinOp", {"+", "-", "*", "/", "%", "^"}},
    {"compBinOp", {"==", "!=", "<", ">", "<=", ">="}},
    {"binOp", {"+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="}},
    {"simpleMathFunc", {"abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"}},
    {"extrapolatedRateFunc", {"delta", "rate", "increase"}},
    {"clampFunc", {"clamp_min", "clamp_max"}},
    {"instantRateFunc", {"idelta", "irate"}},
    {"dateFunc",
     {"day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"}},
};

// The suite is older than names in UTF-8: since Prometheus 3 `~invalid` is a label name.
static bool became_valid(Text query) {
    return text_find(query, TEXT("\"~invalid\"")) >= 0;
}

typedef struct Suite {
    Test *t;
    ScriptStore store;
    size_t answered, refused;
} Suite;

static void run(Suite *suite, Text query, bool should_fail) {
    AUTO(arena_free) Arena arena = {0};
    QueryRequest request = {.text = query, .start_ms = 600000, .end_ms = 1200000, .step_ms = 60000};
    QueryResult result;
    Error err = {0};
    bool ran = query_run(suite->store.store, &request, &arena, &result, NULL, &err);
    if (ran == should_fail) {
        check_failed(suite->t, __FILE__, __LINE__, "%.*s: %s", TEXT_ARG(query),
                     ran ? "it was answered" : err.message);
    }
    if (!ran && err.code == ERROR_UNSUPPORTED)
        check_failed(suite->t, __FILE__, __LINE__, "%s", err.message);
    suite->answered += ran;
    suite->refused += !ran;
}

// Every value of the first {{.variable}}, then of the next.
static void expand(Suite *suite, Text query, bool should_fail) {
    ptrdiff_t open = text_find(query, TEXT("{{.")), close = text_find(query, TEXT("}}"));
    if (open < 0 || close < open) {
        run(suite, query, should_fail);
        return;
    }
    Text name = text_slice(query, (size_t)open + 3, (size_t)close);
    Text before = text_slice(query, 0, (size_t)open),
         behind = text_slice(query, (size_t)close + 2, query.len);
    for (size_t i = 0; i < COUNT(variables); i++) {
        if (!text_equal(name, text_from_cstring(variables[i].name))) continue;
        for (size_t j = 0; variables[i].values[j] != NULL; j++) {
            expand(suite,
                   text_format(suite->t->arena, "%.*s%s%.*s", TEXT_ARG(before),
                               variables[i].values[j], TEXT_ARG(behind)),
                   should_fail);
        }
        return;
    }
    check_failed(suite->t, __FILE__, __LINE__, "unknown variable %.*s", TEXT_ARG(name));
}

static const char DEMO[] =
    "demo_memory_usage_bytes{instance=\"demo.promlabs.com:10000\", job=\"demo\", type=\"free\"} "
    "100+1x200\n"
    "demo_memory_usage_bytes{instance=\"demo.promlabs.com:10001\", job=\"demo\", type=\"free\"} "
    "200-1x200\n"
    "demo_memory_usage_bytes{instance=\"demo.promlabs.com:10001\", job=\"demo\", type=\"used\"} "
    "50+0x200\n"
    "demo_num_cpus{instance=\"demo.promlabs.com:10000\", job=\"demo\"} 4x200\n"
    "demo_num_cpus{instance=\"demo.promlabs.com:10001\", job=\"demo\"} 8x200\n"
    "demo_cpu_usage_seconds_total{instance=\"demo.promlabs.com:10000\", job=\"demo\", "
    "mode=\"idle\"} 0+3x200\n"
    "demo_cpu_usage_seconds_total{instance=\"demo.promlabs.com:10000\", job=\"demo\", "
    "mode=\"user\"} 0+2x100 0+1x100\n"
    "demo_disk_usage_bytes{instance=\"demo.promlabs.com:10000\", job=\"demo\"} 1+2x200\n"
    "demo_disk_total_bytes{instance=\"demo.promlabs.com:10000\", job=\"demo\"} 1000x200\n"
    "demo_batch_last_success_timestamp_seconds{instance=\"demo.promlabs.com:10000\", job=\"demo\"} "
    "1600000000+10x200\n"
    "demo_intermittent_metric{instance=\"demo.promlabs.com:10000\", job=\"demo\"} 1 _ _ 2 stale _ "
    "3x100\n"
    "demo_api_request_duration_seconds_bucket{instance=\"demo.promlabs.com:10000\", job=\"demo\", "
    "le=\"0.1\"} 0+1x200\n"
    "demo_api_request_duration_seconds_bucket{instance=\"demo.promlabs.com:10000\", job=\"demo\", "
    "le=\"+Inf\"} 0+2x200\n";

TEST(every_query_of_the_compliance_suite_is_answered_or_refused_as_it_says) {
    Text folder = test_data_folder(t, "promql/compliance");
    Bytes content;
    Suite suite = {.t = t};
    check_ok(
        t, disk_read_whole(disk_real(),
                           text_format(t->arena, "%.*s/promql-test-queries.yml", TEXT_ARG(folder)),
                           MB, t->arena, &content, t->err));
    check_ok(t, script_store_open(&suite.store, t->arena, t->err));
    check_ok(t, script_load(&suite.store, text_from_cstring(DEMO), 15000, false, t->arena, t->err));
    Text rest = bytes_text(content), line, query = TEXT_NONE;
    bool should_fail = false;
    while (text_cut(&rest, '\n', &line)) {
        line = text_trim(line);
        if (text_starts_with(line, TEXT("should_fail: true"))) should_fail = true;
        if (!text_starts_with(line, TEXT("- query: "))) continue;
        if (query.at != NULL) expand(&suite, query, should_fail && !became_valid(query));
        query = text_trim(text_slice(line, strlen("- query: "), line.len));
        bool quoted = text_starts_with(query, TEXT("'")) || text_starts_with(query, TEXT("\""));
        if (quoted) query = text_slice(query, 1, query.len - 1);
        should_fail = false;
    }
    expand(&suite, query, should_fail && !became_valid(query));
    printf("# %zu answered, %zu refused\n", suite.answered, suite.refused);
    check(t, suite.answered > 400);
    check(t, suite.refused >= 3);
    script_store_close(&suite.store);
}

TEST_MAIN("query/compliance",
          CASE(every_query_of_the_compliance_suite_is_answered_or_refused_as_it_says))
