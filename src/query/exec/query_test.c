// query_run as its callers see it: shapes of answers, limits, budgets, annotations, random queries.

#include "codec/json.h"
#include "os/disk.h"
#include "query/exec/exec.h"
#include "query/exec/query_generate.h"

static void begin(Test *t, ScriptStore *store) {
    check_ok(t, generate_store(store, t->arena, t->err));
}

// In pieces it is the same, wherever they end.
static void check_pieces(Test *t, const QueryResult *result, Text whole) {
    for (size_t bytes = 1; bytes < whole.len; bytes = bytes * 3 + 1) {
        AUTO(builder_free) Builder all = {0}, piece = {0};
        QueryJson json = {.result = result};
        JsonWriter writer = json_writer_begin(&piece);
        for (bool done = false; !done;) {
            builder_clear(&piece);
            done = query_json_next(&json, bytes, &writer);
            check(t, done || piece.len >= bytes);
            builder_add(&all, builder_text(&piece));
        }
        check_text(t, whole, builder_text(&all));
    }
}

static Text json_of(Test *t, ScriptStore *store, QueryRequest request) {
    QueryResult result;
    Builder out = {0};
    check_ok(t, query_run(store->store, &request, t->arena, &result, NULL, t->err));
    JsonWriter writer = json_writer_begin(&out);
    query_write_json(&result, &writer);
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    check_pieces(t, &result, text);
    return text;
}

#define INSTANT(query, time) \
    ((QueryRequest){.text = TEXT(query), .start_ms = (time), .end_ms = (time)})

TEST(answers_have_the_shapes_of_prometheus) {
    ScriptStore store;
    begin(t, &store);
    check_text(t, TEXT("{\"resultType\":\"scalar\",\"result\":[60.5,\"3\"]}"),
               json_of(t, &store, INSTANT("1 + 2", 60500)));
    check_text(t, TEXT("{\"resultType\":\"string\",\"result\":[60,\"a\\\"b\"]}"),
               json_of(t, &store, INSTANT("\"a\\\"b\"", 60000)));
    check_text(t,
               TEXT("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"h\",\"a\":"
                    "\"1\",\"b\":\"x\"},\"value\":[60,\"6\"]}]}"),
               json_of(t, &store, INSTANT("h", 60000)));
    check_text(t, TEXT("{\"resultType\":\"vector\",\"result\":[]}"),
               json_of(t, &store, INSTANT("nothing", 60000)));
    check_text(
        t, TEXT("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[60,\"+Inf\"]}]}"),
        json_of(t, &store, INSTANT("vector(1/0)", 60000)));
    check_text(t,
               TEXT("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"a\":\"1\"},\"value\":["
                    "60,\"NaN\"]}]}"),
               json_of(t, &store, INSTANT("sum by (a) (g{a=\"1\"} @ 60)", 60000)));
    check_text(t,
               TEXT("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"h\",\"a\":"
                    "\"1\",\"b\":\"x\"},\"values\":[[30,\"4\"],[60,\"6\"]]}]}"),
               json_of(t, &store, INSTANT("h[1m]", 60000)));
    QueryRequest ranged = {.text = TEXT("-h"), .start_ms = 0, .end_ms = 30500, .step_ms = 15250};
    check_text(t,
               TEXT("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"a\":\"1\",\"b\":\"x\"},"
                    "\"values\":[[0,\"-2\"],[15.25,\"-2\"],[30.5,\"-4\"]]}]}"),
               json_of(t, &store, ranged));
    ranged.text = TEXT("time()");
    check_text(t,
               TEXT("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[0,\"0\"],["
                    "15.25,\"15.25\"],[30.5,\"30.5\"]]}]}"),
               json_of(t, &store, ranged));
    script_store_close(&store);
}

static void check_refused(Test *t, ScriptStore *store, QueryRequest request, ErrorCode code,
                          const char *message) {
    QueryResult result;
    *t->err = (Error){0};
    bool ran = query_run(store->store, &request, t->arena, &result, NULL, t->err);
    if (ran) check_failed(t, __FILE__, __LINE__, "\"%.*s\" ran", TEXT_ARG(request.text));
    if (t->err->code != code)
        check_failed(t, __FILE__, __LINE__, "%s (%s)", t->err->message,
                     error_code_name(t->err->code));
    if (text_find(text_from_cstring(t->err->message), text_from_cstring(message)) < 0) {
        check_failed(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\"", t->err->message, message);
    }
}

TEST(what_is_experimental_can_be_switched_off) {
    ScriptStore store;
    begin(t, &store);
    static const char *const experimental[] = {
        "info(g)",       "rate(g[1m] anchored)", "sum(g smoothed)",
        "g + fill(0) h", "limitk(1, g)",         "mad_over_time(g[5m])",
        "g[1m + 1m]",    "g offset (30 + 30)",   "sort_by_label(g, \"a\")",
        "vector(step())"};
    QueryRequest request = {.start_ms = 240000, .end_ms = 240000};
    QueryResult result;
    SourceRange where;
    for (size_t i = 0; i < COUNT(experimental); i++) {
        request.text = text_from_cstring(experimental[i]);
        request.stable_only = false;
        check_ok(t, query_run(store.store, &request, t->arena, &result, &where, t->err));
        request.stable_only = true;
        check_error(t, query_run(store.store, &request, t->arena, &result, &where, t->err),
                    ERROR_BAD_INPUT);
        check(t, text_find(text_from_cstring(t->err->message), TEXT("query.experimental")) >= 0);
        check(t, where.from < where.to && where.to <= request.text.len);
    }
    request.text = TEXT("sum(rate(g[5m] offset -1m)) + topk(1, h)");
    check_ok(t, query_run(store.store, &request, t->arena, &result, &where, t->err));
    script_store_close(&store);
}

// The value of a query that gives one element, at the moment.
static double one_value(Test *t, ScriptStore *store, const char *text, int64_t at_ms, bool starts) {
    QueryRequest request = {
        .text = text_from_cstring(text), .start_ms = at_ms, .end_ms = at_ms, .starts = starts};
    QueryResult result;
    check_ok(t, query_run(store->store, &request, t->arena, &result, NULL, t->err));
    check_i64(t, 1, result.count);
    return result.series[0].values[0];
}

TEST(starts_are_looked_at_only_where_asked_and_are_the_same_from_blocks) {
    ScriptStore store;
    check_ok(t, script_store_open(&store, t->arena, t->err));
    check_ok(t, script_load(&store,
                            TEXT("c@st _ -1m -2m -30s -90s\n"
                                 "c     _ 50  100 130  160\n"
                                 "h@st  _ -30s -90s -10s\n"
                                 "h     _ {{count:4}} {{count:6}} {{count:7}}\n"),
                            60000, false, t->arena, t->err));
    for (int life = 0; life < 3; life++) {
        check(t, one_value(t, &store, "resets(c[4m])", 240000, false) == 0);
        check(t, one_value(t, &store, "resets(c[4m])", 240000, true) == 1);
        check(t, fabs(one_value(t, &store, "increase(c[4m])", 240000, false) - 440.0 / 3) < 1e-9);
        check(t, fabs(one_value(t, &store, "increase(c[4m])", 240000, true) - 260) < 1e-9);
        check(t, one_value(t, &store, "start_timestamp(c)", 240000, false) == 150);
        check(t, one_value(t, &store, "resets(h[4m])", 240000, false) == 0);
        check(t, one_value(t, &store, "resets(h[4m])", 240000, true) == 1);
        check(t, one_value(t, &store, "start_timestamp(h)", 240000, false) == 170);
        // From the head; from blocks; from blocks and a head that repeats a sample.
        check_ok(t, series_turn(store.store, t->err));
        check_ok(t, series_seal(store.store, t->err));
        if (life == 1)
            check_ok(t,
                     script_load(&store, TEXT("c _ _ _ _ 160\n"), 60000, false, t->arena, t->err));
    }
    script_store_close(&store);
}

TEST(limits_are_kept_and_named) {
    ScriptStore store;
    begin(t, &store);
    QueryRequest ranged = {.text = TEXT("h"), .start_ms = 0, .end_ms = 11001000, .step_ms = 1000};
    check_refused(t, &store, ranged, ERROR_BAD_INPUT,
                  "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                  "query resolution (?step=XX)");
    ranged.end_ms = 11000000;
    check(t, json_of(t, &store, ranged).len > 1000);
    ranged.limits.points_max = 10;
    check_refused(t, &store, ranged, ERROR_BAD_INPUT, "exceeded maximum resolution of 10 points");
    ranged.limits = (QueryLimits){.samples_max = 10};
    check_refused(t, &store, ranged, ERROR_TOO_COSTLY, "too many samples");
    ranged.text = TEXT("rate(c_total[5m])");
    check_refused(t, &store, ranged, ERROR_TOO_COSTLY, "too many samples");
    ranged.limits = (QueryLimits){.memory_bytes = 100000};
    check_refused(t, &store, ranged, ERROR_TOO_COSTLY, "limit of memory");
    ranged.limits = (QueryLimits){.memory_bytes = 100};
    ranged.text = TEXT("count({__name__=~\".+\"})");
    check_refused(t, &store, ranged, ERROR_TOO_COSTLY, "");
    ranged.end_ms = -1;
    check_refused(t, &store, ranged, ERROR_BAD_INPUT,
                  "end timestamp must not be before start time");
    check_refused(t, &store, (QueryRequest){.text = TEXT("h[5m]"), .end_ms = 1000, .step_ms = 1000},
                  ERROR_BAD_INPUT, "invalid expression type \"range vector\" for range query");
    check_refused(t, &store, INSTANT("sum_over_time(h[100000d:1ms])", 0), ERROR_TOO_COSTLY,
                  "subquery");
    check_refused(t, &store, INSTANT("h", INT64_MAX), ERROR_BAD_INPUT, "out of range");
    check_refused(t, &store, INSTANT("sum by (code", 0), ERROR_BAD_INPUT, "1:13: parse error");
    script_store_close(&store);
}

TEST(the_ends_of_time_are_no_harm) {
    ScriptStore store;
    begin(t, &store);
    static const char *const queries[] = {
        "h offset 9e9",
        "h offset -9e9",
        "h @ 9e12",
        "h @ -9e12 offset 9e9",
        "max_over_time(h[9e9])",
        "rate(h[9e9] offset -9e9)",
        "rate(h[9e9] @ -9e12)",
        "max_over_time(h[9e9:9e9])",
        "max_over_time(h[1m:9e9] offset -9e9)",
        "predict_linear(h[9e9], 9e300)",
        "year(vector(9e18)) + hour(vector(-9e18)) + month(vector(Inf))",
        "round(h, 0) + round(h, 5e-324) + h % 0",
        "topk(9e18, h)",
        "quantile(-Inf, h)",
        "limit_ratio(1e300, h)",
    };
    static const int64_t times[] = {0, -1, INT64_MAX / 4, -(INT64_MAX / 4), 600000};
    for (size_t i = 0; i < COUNT(queries); i++) {
        for (size_t j = 0; j < COUNT(times); j++) {
            QueryRequest request = {
                .text = text_from_cstring(queries[i]), .start_ms = times[j], .end_ms = times[j]};
            QueryResult result;
            check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
            request.start_ms -= 1;
            request.step_ms = INT64_MAX;
            bool ran = query_run(store.store, &request, t->arena, &result, NULL, t->err);
            check(t, ran || t->err->code == ERROR_BAD_INPUT);
        }
    }
    script_store_close(&store);
}

TEST(the_deepest_trees_run) {
    ScriptStore store;
    begin(t, &store);
    static const struct {
        const char *open, *close;
        size_t times;
    } shapes[] = {
        {"(", ")", 120},    {"-", "", 120},
        {"abs(", ")", 120}, {"sum(", ")", 120},
        {"h + ", "", 900},  {"h or ", "", 900},
        {"1 + ", "", 900},  {"max_over_time(", "[1m:30s])", 20},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        Builder text = {0};
        for (size_t j = 0; j < shapes[i].times; j++)
            builder_add(&text, text_from_cstring(shapes[i].open));
        builder_add(&text, TEXT("h"));
        for (size_t j = 0; j < shapes[i].times; j++)
            builder_add(&text, text_from_cstring(shapes[i].close));
        QueryRequest request = {.text = builder_text(&text), .start_ms = 600000, .end_ms = 600000};
        QueryResult result;
        check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
        check_i64(t, 1, result.count);
        builder_free(&text);
    }
    script_store_close(&store);
}

TEST(memory_is_charged_to_the_budget_and_given_back) {
    ScriptStore store;
    begin(t, &store);
    Budget budget = {.name = "queries", .limit = 64 * MB};
    QueryRequest ranged = {.text = TEXT("topk(5, {__name__=~\".+\"})"),
                           .start_ms = 0,
                           .end_ms = 10000000,
                           .step_ms = 1000,
                           .memory = &budget};
    QueryResult result;
    check_ok(t, query_run(store.store, &ranged, t->arena, &result, NULL, t->err));
    check(t, result.stats.memory_peak_bytes > 12 * 10001 * 8);
    check_i64(t, 17, result.stats.series);
    check(t, result.stats.samples > 500);
    check_i64(t, 0, atomic_load(&budget.used));
    budget.limit = 2000;
    check_error(t, query_run(store.store, &ranged, t->arena, &result, NULL, t->err),
                ERROR_NO_MEMORY);
    check_i64(t, 0, atomic_load(&budget.used));
    script_store_close(&store);
}

// Series of which a window finds too little cost no column each, and each value that count_values
// names does.
TEST(memory_follows_what_is_answered) {
    ScriptStore store;
    begin(t, &store);
    Builder lines = {0};
    for (int i = 0; i < 300; i++) builder_addf(&lines, "lonely_total{n=\"%d\"} %d\n", i, i);
    check_ok(t, script_load(&store, builder_text(&lines), 30000, false, t->arena, t->err));
    builder_free(&lines);
    QueryRequest ranged = {.text = TEXT("rate(lonely_total[1m])"),
                           .end_ms = 10000000,
                           .step_ms = 1000,
                           .limits = {.memory_bytes = 4 * MB}};
    QueryResult result;
    check_ok(t, query_run(store.store, &ranged, t->arena, &result, NULL, t->err));
    check_i64(t, 0, result.count);
    check_i64(t, 300, result.stats.series);
    ranged.text = TEXT("count_values(\"t\", vector(time()))");
    size_t before = t->arena->bytes;
    check_refused(t, &store, ranged, ERROR_TOO_COSTLY, "limit of memory");
    check(t, t->arena->bytes - before < 8 * MB);
    // Refused before a column of that length is made.
    check_refused(t, &store,
                  (QueryRequest){.text = TEXT("sum_over_time(vector(1)[10d:1s])"),
                                 .limits = {.memory_bytes = 4 * MB}},
                  ERROR_TOO_COSTLY, "a subquery would take 864000 steps");
    check_ok(t, query_run(store.store,
                          &(QueryRequest){.text = TEXT("sum_over_time(vector(1)[10h:1s])"),
                                          .limits = {.memory_bytes = 4 * MB}},
                          t->arena, &result, NULL, t->err));
    script_store_close(&store);
}

TEST(samples_are_counted_alike_in_shards) {
    static const char *const queries[] = {"many", "sum(rate(many[2m]))",
                                          "max_over_time(sum(many)[3m:30s])",
                                          "many + on (n) many offset 1m"};
    ScriptStore store;
    begin(t, &store);
    Builder lines = {0};
    for (int i = 0; i < 200; i++) builder_addf(&lines, "many{n=\"%d\"} 1+1x20\n", i);
    check_ok(t, script_load(&store, builder_text(&lines), 30000, false, t->arena, t->err));
    builder_free(&lines);
    QueryPool *pool = NULL;
    check_ok(t, query_pool_start(2, &pool, t->err));
    for (size_t i = 0; i < COUNT(queries); i++) {
        QueryResult results[2];
        for (int sharded = 0; sharded < 2; sharded++) {
            QueryRequest request = {.text = text_from_cstring(queries[i]),
                                    .end_ms = 600000,
                                    .step_ms = 60000,
                                    .count_steps = true,
                                    .pool = sharded ? pool : NULL,
                                    .shard_series = sharded ? 7 : 0};
            check_ok(t,
                     query_run(store.store, &request, t->arena, &results[sharded], NULL, t->err));
        }
        check_i64(t, 11, results[0].stats.step_count);
        check_i64(t, results[0].stats.looked_at, results[1].stats.looked_at);
        check_same_bytes(t, results[0].stats.steps, results[1].stats.steps, 11 * sizeof(uint64_t));
        check(t, results[0].stats.looked_at > 50 && results[1].stats.peak_samples > 10);
    }
    query_pool_stop(&pool);
    script_store_close(&store);
}

// Finding series is work too: it stops in the middle where a limit is passed.
TEST(a_selector_of_very_many_series_ends_while_they_are_found) {
    ScriptStore store;
    begin(t, &store);
    Builder lines = {0};
    for (int i = 0; i < 20000; i++)
        builder_addf(&lines, "many{n=\"%d\", long=\"%040d\"} 1\n", i, i);
    check_ok(t, script_load(&store, builder_text(&lines), 30000, false, t->arena, t->err));
    builder_free(&lines);
    QueryRequest request = {.text = TEXT("count(many)"), .limits = {.memory_bytes = 800000}};
    QueryResult result;
    check_refused(t, &store, request, ERROR_TOO_COSTLY, "query.memory");
    request.limits.memory_bytes = 0;
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    // All of it would have been several times as much.
    check(t, result.stats.memory_peak_bytes > 2000000);
    request.limits.memory_bytes = 800000;
    check(t, !query_run(store.store, &request, t->arena, &result, NULL, t->err));
    check(t, result.stats.memory_peak_bytes < 1500000);
    script_store_close(&store);
}

static int64_t a_second_later(Clock *clock) {
    int64_t *ns = clock->context;
    return *ns += 1000000000;
}

TEST(time_and_cancelling_stop_a_query) {
    ScriptStore store;
    begin(t, &store);
    int64_t ns = 0;
    Clock clock = {.context = &ns, .monotonic_ns = a_second_later};
    QueryRequest request = INSTANT("sum(h) + sum(g) + sum(c_total) + sum(l_bucket)", 60000);
    request.clock = &clock;
    request.limits.time_ms = 3000;
    check_refused(t, &store, request, ERROR_TIMEOUT, "(query.timeout)");
    _Atomic bool cancelled = true;
    request = INSTANT("sum(h)", 60000);
    request.cancelled = &cancelled;
    check_refused(t, &store, request, ERROR_CANCELLED, "cancelled");
    script_store_close(&store);
}

TEST(native_histograms_are_written_as_prometheus_does) {
    ScriptStore store;
    begin(t, &store);
    Text lines = TEXT(
        "nh{a=\"1\"} {{schema:0 count:9 sum:4.5 z_bucket:1 z_bucket_w:0.001 buckets:[2 0 3] "
        "n_buckets:[1 2]}} 7\n"
        "mh {{schema:-53 count:6 sum:30 custom_values:[1 5] buckets:[1 2 3]}}x1\n"
        "eh {{count:0}}x1\n");
    check_ok(t, script_load(&store, lines, 30000, false, t->arena, t->err));
    const char *shown =
        "{\"count\":\"9\",\"sum\":\"4.5\",\"buckets\":[[1,\"-2\",\"-1\",\"2\"],[1,\"-1\",\"-0.5\","
        "\"1\"],"
        "[3,\"-0.001\",\"0.001\",\"1\"],[0,\"0.5\",\"1\",\"2\"],[0,\"2\",\"4\",\"3\"]]}";
    check_text(
        t,
        text_format(t->arena,
                    "{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"nh\",\"a\":"
                    "\"1\"},\"histogram\":[0,%s]}]}",
                    shown),
        json_of(t, &store, INSTANT("nh", 0)));
    check_text(
        t,
        text_format(t->arena,
                    "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"nh\",\"a\":"
                    "\"1\"},\"values\":[[30,\"7\"]],\"histograms\":[[0,%s]]}]}",
                    shown),
        json_of(t, &store, INSTANT("nh[1m]", 30000)));
    QueryRequest ranged = {.text = TEXT("nh"), .start_ms = 0, .end_ms = 30000, .step_ms = 30000};
    check_text(
        t,
        text_format(t->arena,
                    "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"nh\",\"a\":"
                    "\"1\"},\"values\":[[30,\"7\"]],\"histograms\":[[0,%s]]}]}",
                    shown),
        json_of(t, &store, ranged));
    // Custom bounds: the first bucket has no lower end, the last none above; none at all without
    // observations.
    check_text(t,
               TEXT("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"mh\"},"
                    "\"histogram\":["
                    "0,{\"count\":\"6\",\"sum\":\"30\",\"buckets\":[[3,\"-Inf\",\"1\",\"1\"],[0,"
                    "\"1\",\"5\","
                    "\"2\"],[0,\"5\",\"+Inf\",\"3\"]]}]}]}"),
               json_of(t, &store, INSTANT("mh", 0)));
    check_text(t,
               TEXT("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"eh\"},"
                    "\"histogram\":["
                    "0,{\"count\":\"0\",\"sum\":\"0\"}]}]}"),
               json_of(t, &store, INSTANT("eh", 0)));
    script_store_close(&store);
}

// One series alone makes more of them than is allowed: that is seen on the way, not at the end.
TEST(large_histograms_count_against_the_limit_of_memory) {
    ScriptStore store;
    begin(t, &store);
    AUTO(builder_free) Builder line = {0};
    builder_add(&line, TEXT("wide {{count:3000 sum:1 buckets:["));
    for (size_t i = 0; i < 3000; i++) builder_add(&line, TEXT("1 "));
    builder_add(&line, TEXT("]}}x3\n"));
    check_ok(t, script_load(&store, builder_text(&line), 30000, false, t->arena, t->err));
    static const char *const queries[] = {"-wide",
                                          "wide * 2",
                                          "wide + wide",
                                          "rate(wide[2m])",
                                          "sum(wide) + 0 * sum(wide)",
                                          "last_over_time(wide[1m])"};
    for (size_t i = 0; i < COUNT(queries); i++) {
        Budget budget = {.name = "queries"};
        QueryRequest request = {.text = text_from_cstring(queries[i]),
                                .start_ms = 60000,
                                .end_ms = 160000,
                                .step_ms = 10,
                                .memory = &budget,
                                .limits = {.memory_bytes = 12 * MB}};
        check_refused(t, &store, request, ERROR_TOO_COSTLY, "limit of memory");
    }
    QueryRequest few = {.text = TEXT("-wide"), .start_ms = 60000, .end_ms = 60100, .step_ms = 10};
    few.limits.memory_bytes = 12 * MB;
    check(t, json_of(t, &store, few).len > 1000);
    script_store_close(&store);
}

// Stored by someone who does not check what he takes: not refused, not computed with, but said.
TEST(a_histogram_that_cannot_be_read_is_left_out_and_noted) {
    ScriptStore store;
    begin(t, &store);
    Text lines =
        TEXT("bad {{count:1 sum:1 z_bucket_w:-1 buckets:[1]}} {{count:5 sum:1 buckets:[5]}}\n");
    check_ok(t, script_load(&store, lines, 30000, false, t->arena, t->err));
    QueryRequest request = INSTANT("sum_over_time(bad[5m])", 30000);
    QueryResult result;
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    check_i64(t, 1, result.count);
    check(t, result.series[0].histograms[0]->count == 5);
    check_i64(t, 1, result.warnings.count);
    check(t, text_find(result.warnings.at[0], TEXT("left out")) >= 0);
    request = INSTANT("bad", 0);
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    check_i64(t, 0, result.count);
    check_i64(t, 1, result.warnings.count);
    script_store_close(&store);
}

static void check_generated(Test *t, ScriptStore *store, Bytes bytes, size_t *ran_count) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder query = {0};
    bool ran;
    Text why;
    generate_query(bytes, &query);
    if (!generate_check(store, builder_text(&query), &arena, &ran, &why)) {
        check_failed(t, __FILE__, __LINE__, "%.*s\n  %.*s", TEXT_ARG(builder_text(&query)),
                     TEXT_ARG(why));
    }
    *ran_count += ran;
}

TEST(random_queries_say_the_same_as_instants_and_as_steps) {
    ScriptStore store;
    begin(t, &store);
    uint64_t random = t->seed;
    size_t ran = 0;
    for (size_t i = 0; i < 4000; i++) {
        uint64_t seed[8];
        for (size_t j = 0; j < COUNT(seed); j++) seed[j] = test_random(&random);
        check_generated(t, &store, (Bytes){(const uint8_t *)seed, sizeof seed}, &ran);
    }
    check(t, ran > 1500);
    script_store_close(&store);
}

TEST(the_seeds_of_other_fuzzers_find_nothing) {
    Text folder = test_data_folder(t, "promql/fuzz-seeds");
    DiskEntries entries;
    ScriptStore store;
    begin(t, &store);
    check_ok(t, disk_real()->list(disk_real(), folder, t->arena, &entries, t->err));
    size_t ran = 0;
    for (size_t i = 0; i < entries.count; i++) {
        Bytes content;
        check_ok(t, disk_read_whole(disk_real(),
                                    text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder),
                                                TEXT_ARG(entries.at[i].name)),
                                    MB, t->arena, &content, t->err));
        for (size_t from = 0; from < content.len; from += 7) {
            check_generated(t, &store, (Bytes){content.at + from, content.len - from}, &ran);
        }
    }
    check(t, ran > 50);
    script_store_close(&store);
}

// What lies under the windows of one series may be billions of samples: the query is asked in
// between.
TEST(the_windows_of_one_series_end_with_the_query) {
    enum { SAMPLES = 20000, STEPS = 400 };
    int64_t times[SAMPLES];
    double values[SAMPLES], sums[STEPS];
    for (int i = 0; i < SAMPLES; i++) {
        times[i] = i;
        values[i] = 1;
    }
    for (int round = 0; round < 2; round++) {
        _Atomic bool cancelled = round == 1;
        QueryRequest request = {.cancelled = &cancelled};
        Exec exec = {.request = &request};
        RangeInput in = {.times = times,
                         .values = values,
                         .count = SAMPLES,
                         .first_end_ms = SAMPLES,
                         .range_ms = 2 * SAMPLES,
                         .steps = {0, 1, STEPS},
                         .scratch = t->arena,
                         .exec = &exec};
        range_sum(&in, sums);
        check(t, sums[0] == SAMPLES);
        check(t, round == 0 ? sums[STEPS - 1] == SAMPLES : is_absent(sums[STEPS - 1]));
    }
}

// ---- Answers from summaries of chunks ----

// Ten hours of scrapes, in two parts: a counter with a reset, values with NaN and stale markers
// where chunks begin and end (each four hours), zeros of both signs, a constant; and native
// histograms beside floats.
#define EARLY                                                                                     \
    "x{a=\"1\"} 0+1x1500 3+2x498\n"                                                               \
    "x{a=\"2\"} 5-0.25x700 NaN NaN stale 9 NaN 1+0.5x252 stale 8x958 5 stale NaNx40 8-1x30 NaN\n" \
    "x{a=\"3\"} 0x1200 -0-0x700 0x90\n"                                                             \
    "x{a=\"4\"} 42.5x1999\n"                                                                      \
    "x{a=\"5\"} 1+1x1999\n"
#define LATE                      \
    "x{a=\"1\"} _x2000 7+3x400\n" \
    "x{a=\"3\"} _x2000 -0-0x399\n"  \
    "x{a=\"5\"} _x2000 {{count:4}} {{count:6}} 7x300\n"
enum { SCRAPE_MS = 15000, SCRAPES = 2400 };

static void load(Test *t, ScriptStore *store, const char *lines, bool seal) {
    check_ok(t, script_load(store, text_from_cstring(lines), SCRAPE_MS, false, t->arena, t->err));
    if (!seal) return;
    check_ok(t, series_turn(store->store, t->err));
    check_ok(t, series_seal(store->store, t->err));
}

static QueryResult answer_of(Test *t, ScriptStore *store, QueryRequest request) {
    QueryResult result;
    check_ok(t, query_run(store->store, &request, t->arena, &result, NULL, t->err));
    return result;
}

static void check_same_bits(Test *t, const QueryRequest *request, const char *from,
                            const QueryResult *a, const QueryResult *b) {
    bool same = a->count == b->count && a->infos.count == b->infos.count;
    size_t points = 0;
    for (size_t i = 0; same && i < a->count; i++) {
        const QuerySeries *one = NULL, *other = &a->series[i];
        for (size_t k = 0; k < b->count; k++) {
            if (labels_compare(b->series[k].labels, other->labels) == 0) one = &b->series[k];
        }
        same = one != NULL && one->count == other->count &&
               (one->histograms == NULL) == (other->histograms == NULL);
        for (size_t k = 0; same && k < one->count; k++, points++) {
            same = one->times[k] == other->times[k] &&
                   (one->histograms != NULL ||
                    double_bits(one->values[k]) == double_bits(other->values[k]));
        }
    }
    if (!same || points == 0)
        check_failed(t, __FILE__, __LINE__, "%.*s at %lld is another answer %s",
                     TEXT_ARG(request->text), (long long)request->start_ms, from);
}

TEST(answers_have_the_same_bits_from_the_head_from_blocks_and_from_both) {
    static const char *const names[] = {"max", "min", "last", "first", "present", "sum"};
    static const char *const rest[] = {"x[10h]",          "x[6h]",           "x[4h]",
                                       "x[5h] offset 1h", "x[3h] @ 14399",   "x[4h] @ end()",
                                       "x[2h:15s]",       "x[4h] offset 15s"};
    ScriptStore head, both;
    check_ok(t, script_store_open(&head, t->arena, t->err));
    check_ok(t, script_store_open(&both, t->arena, t->err));
    load(t, &head, EARLY, false);
    load(t, &head, LATE, false);
    load(t, &both, EARLY, true);
    load(t, &both, LATE, false);
    for (int life = 0; life < 2; life++) {
        uint64_t looked_at = 0, told = 0;
        for (size_t i = 0; i < COUNT(names) * COUNT(rest); i++) {
            for (int64_t half = 6; half <= 20; half++) {
                // On the hour, where a chunk begins, and the scrape before, where one ends.
                int64_t at_ms = half / 2 * 3600000 - (half % 2 == 0 ? SCRAPE_MS : 0);
                QueryRequest request = {
                    .text = text_format(t->arena, "%s_over_time(%s)", names[i % COUNT(names)],
                                        rest[i / COUNT(names)]),
                    .start_ms = at_ms,
                    .end_ms = at_ms};
                if (i % 3 == 0) {
                    request.end_ms += 4 * 3600000;
                    request.step_ms = i % 2 == 0 ? 7200000 : 14400000;
                }
                QueryResult wanted = answer_of(t, &head, request);
                QueryResult given = answer_of(t, &both, request);
                check_same_bits(t, &request, life == 0 ? "from both" : "from blocks", &wanted,
                                &given);
                looked_at += wanted.stats.samples;
                told += given.stats.samples;
            }
        }
        check(t, told < looked_at / 10 * 9);
        check_ok(t, series_turn(both.store, t->err));
        check_ok(t, series_seal(both.store, t->err));
    }
    script_store_close(&head);
    script_store_close(&both);
}

TEST(what_summaries_answer_reads_no_page) {
    ScriptStore store;
    check_ok(t, script_store_open(&store, t->arena, t->err));
    load(t, &store, "x 1+1x2399\n", true);
    QueryRequest request = INSTANT("max_over_time(x[11h])", 10 * 3600000);
    QueryResult told = answer_of(t, &store, request);
    check(t, told.series[0].values[0] == 2400);
    check_i64(t, 3, told.stats.samples);  // chunks of four hours
    check_i64(t, 0, told.stats.bytes);
    // Nor does it touch the limits that reading everything passes.
    request.limits = (QueryLimits){.samples_max = 100, .bytes_max = 1};
    check(t, answer_of(t, &store, request).series[0].values[0] == 2400);
    request.text = TEXT("sum_over_time(x[11h])");
    check_refused(t, &store, request, ERROR_TOO_COSTLY, "query.bytes");
    request.limits.bytes_max = 0;
    check_refused(t, &store, request, ERROR_TOO_COSTLY, "too many samples");
    // A selector that looks at the end of a chunk needs its last sample alone.
    told = answer_of(t, &store, INSTANT("x", SCRAPES * SCRAPE_MS));
    check(t, told.series[0].values[0] == 2400);
    check_i64(t, 0, told.stats.bytes);
    script_store_close(&store);
}

TEST_MAIN("query", CASE(answers_have_the_shapes_of_prometheus),
          CASE(what_is_experimental_can_be_switched_off),
          CASE(starts_are_looked_at_only_where_asked_and_are_the_same_from_blocks),
          CASE(limits_are_kept_and_named), CASE(the_ends_of_time_are_no_harm),
          CASE(the_deepest_trees_run), CASE(memory_is_charged_to_the_budget_and_given_back),
          CASE(memory_follows_what_is_answered), CASE(samples_are_counted_alike_in_shards),
          CASE(a_selector_of_very_many_series_ends_while_they_are_found),
          CASE(time_and_cancelling_stop_a_query),
          CASE(the_windows_of_one_series_end_with_the_query),
          CASE(native_histograms_are_written_as_prometheus_does),
          CASE(large_histograms_count_against_the_limit_of_memory),
          CASE(a_histogram_that_cannot_be_read_is_left_out_and_noted),
          CASE(random_queries_say_the_same_as_instants_and_as_steps),
          CASE(the_seeds_of_other_fuzzers_find_nothing),
          CASE(answers_have_the_same_bits_from_the_head_from_blocks_and_from_both),
          CASE(what_summaries_answer_reads_no_page))
