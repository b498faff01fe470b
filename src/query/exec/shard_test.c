// Shards: the same bits with any number of threads, the same answer as without, limits and ends
// kept.

#include "os/thread.h"
#include "query/exec/query_generate.h"

enum { SERIES = 3000, SAMPLES = 20, STEP_MS = 15000 };

// Values whose sum depends on the order in which they are added.
static void fill(Test *t, ScriptStore *store) {
    check_ok(t, script_store_open(store, t->arena, t->err));
    uint64_t random = 7;
    Builder lines = {0};
    for (int i = 0; i < SERIES; i++) {
        builder_addf(&lines, "m_total{i=\"%d\",g=\"%d\"}", i, i % 7);
        for (int j = 0; j < SAMPLES; j++) {
            if (test_random(&random) % 9 == 0) {
                builder_addf(&lines, " _");
            } else {
                double scale = test_random(&random) % 3 == 0 ? 1e18 : 0.1;
                builder_addf(&lines, " %.17g", (double)(test_random(&random) % 1000003) * scale);
            }
        }
        builder_addf(&lines, "\n");
    }
    // Of another name: apart without it, and (i 0 to 9) not apart from those above.
    for (int i = 0; i < 600; i++) builder_addf(&lines, "n_total{k=\"%d\"} 0+%dx20\n", i, i);
    for (int i = 0; i < 10; i++)
        builder_addf(&lines, "o_total{i=\"%d\",g=\"%d\"} 0+3x20\n", i, i % 7);
    check_ok(t, script_load(store, builder_text(&lines), STEP_MS, false, t->arena, t->err));
    builder_free(&lines);
}

static QueryRequest ranged(const char *text, QueryPool *pool, size_t shard_series) {
    return (QueryRequest){.text = text_from_cstring(text),
                          .start_ms = 0,
                          .end_ms = SAMPLES * STEP_MS,
                          .step_ms = 2 * STEP_MS,
                          .pool = pool,
                          .shard_series = shard_series};
}

static const char *const queries[] = {
    "sum(m_total)",
    "sum by (g) (rate(m_total[2m]))",
    "avg by (g) (m_total)",
    "avg(m_total * 1e290)",  // the sum is beyond a double
    "sum by (g, k) (rate({__name__=~\"[mn]_total\"}[2m]))",
    "{__name__=~\"[mn]_total\"} * 2",
    "sum by (k, __name__) (last_over_time({__name__=~\"[mno]_total\"}[1m]))",
    "max without (k, i) ({__name__=~\"[mno]_total\"})",
    "stddev by (g) (m_total)",
    "stdvar(m_total)",
    "min by (g) (m_total)",
    "max without (i) (-m_total)",
    "count by (g) (m_total > 1000)",
    "group(m_total)",
    "quantile(0.3, m_total)",
    "topk(3, rate(m_total[2m]))",
    "sum(m_total / on (i, g) group_left () m_total)",
    "sum by (g) (max_over_time(m_total[1m])) / count by (g) (m_total)",
    "m_total{g=\"3\"} * 2 + time()",
    "sum by (g) (sum_over_time(sum by (g, i) (m_total)[1m:15s]))",
};

// With 1 to 4 threads.
static void check_same_bits(Test *t, ScriptStore *store, const char *query, size_t shard_series) {
    QueryResult first = {0};
    for (int threads = 1; threads <= 4; threads++) {
        QueryPool *pool = NULL;
        QueryResult result;
        if (threads > 1) check_ok(t, query_pool_start(threads - 1, &pool, t->err));
        QueryRequest request = ranged(query, pool, shard_series);
        check_ok(t, query_run(store->store, &request, t->arena, &result, NULL, t->err));
        query_pool_stop(&pool);
        if (threads == 1) first = result;
        check_i64(t, first.count, result.count);
        check(t, result.count > 0);
        check_i64(t, first.stats.samples, result.stats.samples);
        for (size_t i = 0; i < result.count; i++) {
            check_i64(t, first.series[i].count, result.series[i].count);
            check(t, labels_equal(first.series[i].labels, result.series[i].labels));
            check_same_bytes(t, first.series[i].values, result.series[i].values,
                             result.series[i].count * sizeof(double));
        }
    }
}

TEST(an_answer_has_the_same_bits_with_any_number_of_threads) {
    ScriptStore store;
    fill(t, &store);
    for (size_t q = 0; q < COUNT(queries); q++) check_same_bits(t, &store, queries[q], 100);
    script_store_close(&store);
}

// How many shards there are depends on the threads here: 428 series, 857, and all.
TEST(rows_that_are_not_folded_may_be_parted_anywhere) {
    static const char *const parted[] = {
        "m_total{g=\"3\"} * 2",
        "max_over_time(m_total{g=~\"[12]\"}[1m])",
        "m_total{g=~\"[12]\"} / on (i, g) m_total",
        "sum(m_total{g=\"3\"} * on (i, g) group_left () m_total)",
        "topk(3, -m_total)",
    };
    ScriptStore store;
    fill(t, &store);
    for (size_t q = 0; q < COUNT(parted); q++) check_same_bits(t, &store, parted[q], 0);
    script_store_close(&store);
}

TEST(shards_say_what_one_thread_without_them_says) {
    ScriptStore store;
    fill(t, &store);
    QueryPool *pool;
    check_ok(t, query_pool_start(2, &pool, t->err));
    for (size_t q = 0; q < COUNT(queries); q++) {
        QueryRequest apart = ranged(queries[q], pool, 7),
                     whole = ranged(queries[q], NULL, SIZE_MAX);
        QueryResult first, again;
        check_ok(t, query_run(store.store, &whole, t->arena, &first, NULL, t->err));
        check_ok(t, query_run(store.store, &apart, t->arena, &again, NULL, t->err));
        check_i64(t, first.count, again.count);
        check_i64(t, first.infos.count, again.infos.count);
        for (size_t i = 0; i < first.count; i++) {
            check_i64(t, first.series[i].count, again.series[i].count);
            for (size_t j = 0; j < first.series[i].count; j++) {
                double a = first.series[i].values[j], b = again.series[i].values[j];
                check(t, a == b || fabs(a - b) <= 1e-13 * fabs(a) || (isnan(a) && isnan(b)));
            }
        }
    }
    query_pool_stop(&pool);
    script_store_close(&store);
}

TEST(equal_label_sets_meet_across_shards) {
    ScriptStore store;
    fill(t, &store);
    QueryResult result;
    static const char *const refused[] = {"sum(rate({__name__=~\"[mo]_total\"}[2m]))",
                                          "-{__name__=~\"[mno]_total\"}"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        QueryRequest request = ranged(refused[i], NULL, 3);
        check_error(t, query_run(store.store, &request, t->arena, &result, NULL, t->err),
                    ERROR_BAD_INPUT);
        check(t, text_find(text_from_cstring(t->err->message), TEXT("same labelset")) >= 0);
    }
    script_store_close(&store);
}

// The same beside a join whose right side is no chain, and so is read whole.
TEST(a_join_that_reads_only_partners_says_the_same) {
    ScriptStore store;
    fill(t, &store);
    static const struct {
        const char *left, *right;
    } joins[] = {
        {"m_total{g=\"3\"} / on (i, g)", "m_total"},
        {"m_total{i=~\"1.\"} * on (i) group_left (g)", "m_total"},
        {"m_total{i=~\"1.\"} > bool on (i)", "(m_total * 2)"},
        // Several in a group without partner.
        {"sum by (g) (m_total{g=\"3\"}) * on (g)", "m_total{g=\"4\"}"},
        {"sum by (g) (m_total{g=\"3\"}) * on (g) group_right ()", "m_total"},
        {"n_total{k=\"1\"} + on (k)", "rate({__name__=~\"[mo]_total\"}[1m])"},
        {"n_total{k=\"none\"} + on (i)", "m_total"},
        {"m_total{i=\"7\"} + on (nothing)", "m_total{i=~\"7|8\"}"},
    };
    size_t answered = 0;
    for (size_t i = 0; i < COUNT(joins); i++) {
        const char *left = joins[i].left, *right = joins[i].right;
        Text narrowed = text_format(t->arena, "%s %s", left, right);
        Text whole = text_format(t->arena, "%s (%s or none_at_all)", left, right);
        QueryRequest request = ranged("1", NULL, 5), reference = request;
        request.text = narrowed;
        reference.text = whole;
        QueryResult first, again;
        Error err = {0}, other = {0};
        bool ran = query_run(store.store, &reference, t->arena, &first, NULL, &err);
        check(t, ran == query_run(store.store, &request, t->arena, &again, NULL, &other));
        if (!ran) check_text(t, text_from_cstring(err.message), text_from_cstring(other.message));
        if (!ran) continue;
        answered += first.count > 0;
        check_i64(t, first.count, again.count);
        for (size_t j = 0; j < first.count; j++) {
            check(t, labels_equal(first.series[j].labels, again.series[j].labels));
            check_i64(t, first.series[j].count, again.series[j].count);
            check_same_bytes(t, first.series[j].values, again.series[j].values,
                             first.series[j].count * sizeof(double));
        }
    }
    check(t, answered >= 3 && answered < COUNT(joins));
    script_store_close(&store);
}

TEST(limits_hold_in_shards) {
    ScriptStore store;
    fill(t, &store);
    QueryPool *pool;
    check_ok(t, query_pool_start(2, &pool, t->err));
    Budget budget = {.name = "queries", .limit = 256 * MB};
    QueryResult result;
    QueryRequest request = ranged("sum by (i) (m_total)", pool, 100);
    request.memory = &budget;
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    check_i64(t, SERIES, result.count);
    check_i64(t, 0, atomic_load(&budget.used));

    request.limits = (QueryLimits){.samples_max = (int64_t)result.stats.samples - 1};
    check_error(t, query_run(store.store, &request, t->arena, &result, NULL, t->err),
                ERROR_TOO_COSTLY);
    check_i64(t, 0, atomic_load(&budget.used));
    request.limits.samples_max++;
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    request.limits = (QueryLimits){.memory_bytes = 200000};
    check_error(t, query_run(store.store, &request, t->arena, &result, NULL, t->err),
                ERROR_TOO_COSTLY);
    request.limits = (QueryLimits){0};
    _Atomic bool cancelled = true;
    request.cancelled = &cancelled;
    check_error(t, query_run(store.store, &request, t->arena, &result, NULL, t->err),
                ERROR_CANCELLED);
    check_i64(t, 0, atomic_load(&budget.used));
    query_pool_stop(&pool);
    script_store_close(&store);
}

typedef struct Asker {
    Test *t;
    SeriesStore *store;
    QueryPool *pool;
    Thread *thread;
    Text expected;
    bool same;
} Asker;

static Text answer(SeriesStore *store, QueryPool *pool, Arena *arena) {
    Error err;
    QueryResult result;
    QueryRequest request = ranged("sum by (g) (rate(m_total[2m]))", pool, 50);
    if (!query_run(store, &request, arena, &result, NULL, &err)) return TEXT("failed");
    Builder out = {0};
    for (size_t i = 0; i < result.count; i++) {
        for (size_t j = 0; j < result.series[i].count; j++)
            builder_addf(&out, "%a ", result.series[i].values[j]);
    }
    Text text = text_copy(builder_text(&out), arena);
    builder_free(&out);
    return text;
}

static void ask(void *context) {
    Asker *asker = context;
    asker->same = true;
    for (int i = 0; i < 20; i++) {
        AUTO(arena_free) Arena arena = {0};
        asker->same &= text_equal(asker->expected, answer(asker->store, asker->pool, &arena));
    }
}

TEST(queries_at_the_same_time_share_the_helpers) {
    ScriptStore store;
    fill(t, &store);
    QueryPool *pool;
    check_ok(t, query_pool_start(3, &pool, t->err));
    Asker askers[4];
    Text expected = answer(store.store, NULL, t->arena);
    check(t, expected.len > 100);
    for (size_t i = 0; i < COUNT(askers); i++) {
        askers[i] = (Asker){.store = store.store, .pool = pool, .expected = expected};
        check_ok(t, thread_start("asker", ask, &askers[i], &askers[i].thread, t->err));
    }
    for (size_t i = 0; i < COUNT(askers); i++) {
        thread_join(&askers[i].thread);
        check(t, askers[i].same);
    }
    query_pool_stop(&pool);
    script_store_close(&store);
}

TEST_MAIN("query/shard", CASE(an_answer_has_the_same_bits_with_any_number_of_threads),
          CASE(rows_that_are_not_folded_may_be_parted_anywhere),
          CASE(shards_say_what_one_thread_without_them_says),
          CASE(equal_label_sets_meet_across_shards),
          CASE(a_join_that_reads_only_partners_says_the_same), CASE(limits_hold_in_shards),
          CASE(queries_at_the_same_time_share_the_helpers))
