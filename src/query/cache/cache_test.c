// With and without the cache, an answer is the same: under late writes, deletes and moving windows.

#include "query/cache/cache.h"

#include <stdio.h>

#include "codec/json.h"
#include "query/exec/query_generate.h"

enum { MINUTE_MS = 60000, SPAN_MS = 40 * MINUTE_MS };

static void write_one(ScriptStore *store, Labels labels, int64_t time_ms, double value) {
    SeriesPrediction prediction = {0};
    Batch batch = {0};
    *array_add(&batch.series) = (BatchSeries){.labels = labels.wire, .sample_count = 1};
    *array_add(&batch.samples) = (Sample){time_ms, value};
    series_write_begin(store->store);
    series_resolve(store->store, &prediction, &batch, false);
    series_append(store->store, &batch, store->sequence++);
    series_write_end(store->store);
    batch_free(&batch);
}

static void write_text(Test *t, ScriptStore *store, const char *series, int64_t time_ms,
                       double value) {
    Labels labels;
    check_ok(t, script_labels(text_from_cstring(series), t->arena, &labels, t->err));
    write_one(store, labels, time_ms, value);
}

static QueryRequest ranged(ScriptStore *store, Text text, int64_t start_ms, int64_t end_ms,
                           int64_t step_ms) {
    return (QueryRequest){.text = text,
                          .start_ms = start_ms,
                          .end_ms = end_ms,
                          .step_ms = step_ms,
                          .clock = &store->clock.clock};
}

static bool same_value(double a, double b) {
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static const char *difference(const QueryResult *a, const QueryResult *b) {
    if (a->type != b->type) return "types";
    if (a->count != b->count) return "numbers of series";
    if (a->warnings.count != b->warnings.count) return "warnings";
    for (size_t i = 0; i < a->infos.count; i++) {
        bool found = false;
        for (size_t j = 0; j < b->infos.count; j++)
            found |= text_equal(a->infos.at[i], b->infos.at[j]);
        if (!found) return "annotations";
    }
    for (size_t i = 0; i < a->count; i++) {
        const QuerySeries *one = &a->series[i], *two = &b->series[i];
        if (!labels_equal(one->labels, two->labels)) return "labels";
        if (one->count != two->count) return "numbers of points";
        for (size_t j = 0; j < one->count; j++) {
            if (one->times[j] != two->times[j]) return "times";
            if (!same_value(one->values[j], two->values[j])) return "values";
        }
    }
    return NULL;
}

// What is kept as it was printed is what would be printed of its points and labels.
static bool prints_the_same(const QueryResult *kept) {
    AUTO(builder_free) Builder one = {0};
    AUTO(builder_free) Builder two = {0};
    AUTO(arena_free) Arena arena = {0};
    QueryResult plain = *kept;
    plain.series = arena_push_array(&arena, QuerySeries, kept->count);
    for (size_t i = 0; i < kept->count; i++) {
        plain.series[i] = kept->series[i];
        plain.series[i].json_count = 0;
        plain.series[i].json_labels = plain.series[i].json_points = (Text){0};
    }
    JsonWriter writer = json_writer_begin(&one);
    query_write_json(kept, &writer);
    writer = json_writer_begin(&two);
    query_write_json(&plain, &writer);
    return text_equal(builder_text(&one), builder_text(&two));
}

// Asks with and without; failures must be failures of both.
static void ask_both(Test *t, QueryCache *cache, ScriptStore *store, QueryRequest request) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(query_cache_release) QueryResult with = {0};
    QueryResult without;
    Error err, again;
    bool plain = query_run(store->store, &request, &arena, &without, NULL, &err);
    bool kept = query_cache_run(cache, store->store, &request, &arena, &with, NULL, &again);
    // Without the steps that fail, and which an entry has, a query may well succeed.
    if (!plain) return;
    check_ok(t, kept || (*t->err = again, false));
    const char *what = difference(&without, &with);
    if (what == NULL && !prints_the_same(&with)) what = "what is printed and the points";
    if (what == NULL) return;
    check_failed(t, __FILE__, __LINE__, "%.*s from %lld to %lld step %lld: %s differ",
                 TEXT_ARG(request.text), (long long)request.start_ms, (long long)request.end_ms,
                 (long long)request.step_ms, what);
}

TEST(answers_are_the_same_under_late_writes_and_deletes) {
    ScriptStore store;
    check_ok(t, generate_store(&store, t->arena, t->err));
    QueryCache *cache = query_cache_new(NULL, MB);
    uint64_t random = t->seed;
    Text texts[6] = {{0}};
    static const int64_t steps[] = {15000, 60000, 90000};
    static const char *const series[] = {"c_total{i=\"1\"}", "g{i=\"2\"}", "h",
                                         "late_total{i=\"9\"}"};
    for (int round = 0; round < 6000; round++) {
        uint64_t dice = test_random(&random) % 100;
        size_t which = test_random(&random) % COUNT(texts);
        int64_t at = (int64_t)(test_random(&random) % SPAN_MS);
        if (dice < 3 || texts[which].at == NULL) {
            uint64_t bytes[8];
            Builder text = {0};
            for (size_t j = 0; j < COUNT(bytes); j++) bytes[j] = test_random(&random);
            generate_query((Bytes){(const uint8_t *)bytes, sizeof bytes}, &text);
            texts[which] = text_copy(builder_text(&text), t->arena);
            builder_free(&text);
        } else if (dice < 12) {
            write_text(t, &store, series[test_random(&random) % COUNT(series)], at,
                       (double)(test_random(&random) % 100));
        } else if (dice == 12 && round % 3 == 0) {
            AUTO(promql_close) Promql all = {0};
            check_ok(t, promql_parse_selector(TEXT("{i=~\"1|2\"}"), t->arena, &all, t->err));
            check_ok(t, series_delete(store.store, &all.root->as.selector.matchers, 1, at,
                                      at + MINUTE_MS, t->err));
        } else {
            int64_t step = steps[test_random(&random) % COUNT(steps)];
            int64_t start = at / (8 * MINUTE_MS) * 8 * MINUTE_MS;
            start = (start + step - 1) / step * step + (test_random(&random) % 9 == 0 ? 7 : 0);
            int64_t length = (int64_t)(test_random(&random) % (SPAN_MS / 2));
            ask_both(t, cache, &store, ranged(&store, texts[which], start, start + length, step));
        }
    }
    QueryCacheState state;
    query_cache_state(cache, &state);
    printf("# %llu hits, %llu tails, %llu misses\n", (unsigned long long)state.hits,
           (unsigned long long)state.tails, (unsigned long long)state.misses);
    check(t, state.hits > 20 && state.tails > 20 && state.misses > 20);
    check(t, state.bytes <= MB);
    query_cache_free(&cache);
    script_store_close(&store);
}

static QueryCacheState ask_once(Test *t, QueryCache *cache, ScriptStore *store,
                                QueryRequest request) {
    QueryCacheState state;
    ask_both(t, cache, store, request);
    query_cache_state(cache, &state);
    return state;
}

TEST(only_the_tail_is_computed_and_a_late_write_ends_what_it_concerns) {
    ScriptStore store;
    check_ok(t, script_store_open(&store, t->arena, t->err));
    QueryCache *cache = query_cache_new(NULL, MB);
    for (int64_t i = 0; i < 60; i++) write_text(t, &store, "a", i * MINUTE_MS, (double)i);
    QueryRequest request =
        ranged(&store, TEXT("sum(a)"), 10 * MINUTE_MS, 30 * MINUTE_MS, MINUTE_MS);
    QueryCacheState state = ask_once(t, cache, &store, request);
    check_i64(t, 1, state.misses);
    check_i64(t, 1, state.entries);
    check_i64(t, 1, ask_once(t, cache, &store, request).hits);
    // Spelled otherwise it is the same query; a part of the interval is there too.
    request.text = TEXT("sum( a )");
    request.start_ms += 5 * MINUTE_MS;
    check_i64(t, 2, ask_once(t, cache, &store, request).hits);
    request.end_ms += 5 * MINUTE_MS;
    check_i64(t, 1, ask_once(t, cache, &store, request).tails);
    AUTO(query_cache_release) QueryResult result = {0};
    request.end_ms += MINUTE_MS;
    check_ok(t, query_cache_run(cache, store.store, &request, t->arena, &result, NULL, t->err));
    check(t, result.stats.samples > 0 && result.stats.samples <= 7);  // the lookback of one step
    // Step, phase and lookback are others.
    request.lookback_ms = MINUTE_MS;
    check_i64(t, 2, ask_once(t, cache, &store, request).misses);
    request.lookback_ms = 0;
    request.start_ms += 1;
    check_i64(t, 3, ask_once(t, cache, &store, request).misses);
    request.start_ms -= 1;
    // Behind everything that is kept: nothing ends. In the middle: what is before stays.
    write_text(t, &store, "a{x=\"1\"}", 50 * MINUTE_MS, 1);
    check_i64(t, 3, ask_once(t, cache, &store, request).hits);
    write_text(t, &store, "a{x=\"1\"}", 25 * MINUTE_MS, 1000);
    state = ask_once(t, cache, &store, request);
    check_i64(t, 3, state.tails);
    write_text(t, &store, "a{x=\"1\"}", 1 * MINUTE_MS, 1000);
    state = ask_once(t, cache, &store, request);
    check_i64(t, 4, state.misses);
    query_cache_free(&cache);
    script_store_close(&store);
}

TEST(what_looks_ahead_or_is_young_is_not_kept) {
    ScriptStore store;
    check_ok(t, generate_store(&store, t->arena, t->err));
    QueryCache *cache = query_cache_new(NULL, MB);
    static const char *const never[] = {"g offset -1m",
                                        "g @ 600",
                                        "g @ end()",
                                        "sum(g @ start())",
                                        "rate(c_total[5m] smoothed)",
                                        "g * start()",
                                        "max_over_time(g[5m:1m] offset -1m)",
                                        "g + range()"};
    for (size_t i = 0; i < COUNT(never); i++) {
        QueryRequest request =
            ranged(&store, text_from_cstring(never[i]), 0, 10 * MINUTE_MS, MINUTE_MS);
        for (int again = 0; again < 2; again++)
            check_i64(t, 0, ask_once(t, cache, &store, request).entries);
    }
    // The clock stands in the middle of the interval: what is younger than the margin is not kept.
    ManualClock clock;
    clock_manual(&clock, 20 * MINUTE_MS);
    QueryRequest request = ranged(&store, TEXT("sum(g)"), 0, 30 * MINUTE_MS, MINUTE_MS);
    request.clock = &clock.clock;
    check_i64(t, 1, ask_once(t, cache, &store, request).entries);
    request.start_ms = 20 * MINUTE_MS;
    check_i64(t, 0, ask_once(t, cache, &store, request).tails);
    request.start_ms = 19 * MINUTE_MS;
    request.end_ms = request.start_ms;
    query_cache_resize(cache, 0);
    check_i64(t, 0, ask_once(t, cache, &store, request).entries);
    query_cache_free(&cache);
    script_store_close(&store);
}

TEST(the_least_recently_used_goes_first) {
    ScriptStore store;
    check_ok(t, generate_store(&store, t->arena, t->err));
    QueryCache *cache = query_cache_new(NULL, 100000);
    for (int i = 0; i < 200; i++) {
        Text text = text_format(t->arena, "sum(g) + %d", i);
        QueryCacheState state =
            ask_once(t, cache, &store, ranged(&store, text, 0, 20 * MINUTE_MS, MINUTE_MS));
        check(t, state.bytes <= 100000 && state.entries > 0);
        // The first is asked again and again, and stays.
        state = ask_once(t, cache, &store,
                         ranged(&store, TEXT("sum(g) + 0"), 0, 20 * MINUTE_MS, MINUTE_MS));
        check_i64(t, i + 1, state.hits);
    }
    query_cache_free(&cache);
    script_store_close(&store);
}

// Others take the budget: answers give way, are not kept, and come back; what is held by a reader
// stays charged until it is let go.
TEST(answers_are_charged_to_the_budget_of_caches) {
    ScriptStore store;
    check_ok(t, generate_store(&store, t->arena, t->err));
    Budget caches = {.name = "caches", .limit = 200000};
    QueryCache *cache = query_cache_new(&caches, 10 * MB);
    QueryCacheState state = {0};
    for (int i = 0; i < 100; i++) {
        Text text = text_format(t->arena, "sum(g) + %d", i);
        state = ask_once(t, cache, &store, ranged(&store, text, 0, 20 * MINUTE_MS, MINUTE_MS));
        check_i64(t, state.bytes, atomic_load(&caches.used));
    }
    check(t, state.entries > 2 && state.entries < 100 && state.bytes <= 200000);

    QueryResult held;
    SourceRange where;
    QueryRequest last = ranged(&store, TEXT("sum(g) + 99"), 0, 20 * MINUTE_MS, MINUTE_MS);
    check_ok(t, query_cache_run(cache, store.store, &last, t->arena, &held, &where, t->err));
    query_cache_resize(cache, 0);
    query_cache_state(cache, &state);
    check_i64(t, 0, state.bytes);
    check(t, atomic_load(&caches.used) > 0);
    query_cache_release(&held);
    check_i64(t, 0, atomic_load(&caches.used));

    query_cache_resize(cache, 10 * MB);
    check_ok(t, budget_reserve(&caches, 199000, t->err));
    state = ask_once(t, cache, &store, last);
    check_i64(t, 0, state.entries);
    check_i64(t, 199000, atomic_load(&caches.used));
    budget_release(&caches, 199000);
    state = ask_once(t, cache, &store, last);
    check_i64(t, 1, state.entries);
    query_cache_free(&cache);
    check_i64(t, 0, atomic_load(&caches.used));
    script_store_close(&store);
}

TEST_MAIN("query/cache", CASE(answers_are_the_same_under_late_writes_and_deletes),
          CASE(only_the_tail_is_computed_and_a_late_write_ends_what_it_concerns),
          CASE(what_looks_ahead_or_is_young_is_not_kept), CASE(the_least_recently_used_goes_first),
          CASE(answers_are_charged_to_the_budget_of_caches))
