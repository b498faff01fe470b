// Measured plans: their shape, what is counted, whose time is whose, and that measuring changes
// nothing.

#include "base/assert.h"
#include "codec/json.h"
#include "query/exec/query_generate.h"

static void begin(Test *t, ScriptStore *store) {
    check_ok(t, generate_store(store, t->arena, t->err));
    check_ok(t, script_load(store,
                            TEXT("r_total{job=\"a\",i=\"1\"} 0+1x20\nr_total{job=\"a\",i=\"2\"} "
                                 "0+2x20\nr_total{job=\"b\",i=\"1\"} 0+3x20\nr_total{job=\"b\",i="
                                 "\"9\"} _x18 1 2\n"),
                            15000, false, t->arena, t->err));
}

static void add_shape(const QueryPlanNode *node, Builder *out) {
    promql_print_node(node->expr, out);
    builder_addf(out, " %d/%d/%d", (int)node->series, (int)node->points, (int)node->samples);
    if (node->first == NULL) return;
    builder_add(out, TEXT(" ("));
    for (const QueryPlanNode *child = node->first; child != NULL; child = child->next) {
        if (child != node->first) builder_add(out, TEXT("; "));
        add_shape(child, out);
    }
    builder_add_char(out, ')');
}

static Text shape_of(Test *t, ScriptStore *store, QueryRequest request) {
    QueryResult result;
    request.measure = true;
    request.clock = clock_system();
    check_ok(t, query_run(store->store, &request, t->arena, &result, NULL, t->err));
    Builder out = {0};
    for (const QueryPlanNode *node = result.plan->first; node != NULL; node = node->next)
        add_shape(node, &out);
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}

#define AT(query) ((QueryRequest){.text = TEXT(query), .start_ms = 300000, .end_ms = 300000})
#define RANGED(query) \
    ((QueryRequest){.text = TEXT(query), .start_ms = 120000, .end_ms = 300000, .step_ms = 60000})

// Each node with series/points/samples.
TEST(a_plan_names_its_nodes_and_counts_what_they_gave) {
    ScriptStore store;
    begin(t, &store);
    check_text(t, TEXT("r_total 4/4/4"), shape_of(t, &store, AT("r_total")));
    check_text(t, TEXT("sum by (job) 2/8/0 (rate 4/13/0 (r_total[1m] 4/50/50))"),
               shape_of(t, &store, RANGED("sum by (job) (rate(r_total[1m]))")));
    // Parentheses and plus signs are no nodes; a number is said with its operator. Sorting over time
    // leaves the order, but takes native histograms away.
    check_text(t, TEXT("2 * 1/1/0 (abs 1/1/0 (r_total{job=\"a\", i=\"2\"} 1/1/1))"),
               shape_of(t, &store, AT("2 * (+abs((r_total{job=\"a\",i=\"2\"})))")));
    check_text(t, TEXT("sort 1/4/0 (r_total{i=\"2\"} 1/4/21)"),
               shape_of(t, &store, RANGED("sort(r_total{i=\"2\"})")));
    // What a scalar is made of.
    check_text(t, TEXT("> 4/4/0 (scalar 1/1/0 (count 1/1/0 (h 1/1/1)); r_total 4/4/4)"),
               shape_of(t, &store, AT("r_total > scalar(count(h))")));
    // A subquery, with the range behind it.
    check_text(t, TEXT("max_over_time 1/1/0 ([1m:15s] 1/4/0 (r_total{i=\"2\"} 1/4/21))"),
               shape_of(t, &store, AT("max_over_time(r_total{i=\"2\"}[1m:15s])")));
    // Both sides of a join; the labels that are dropped make a second operator of the same node.
    check_text(
        t, TEXT("/ on (i) group_left () 4/4/0 (r_total 4/4/4; sum by (i) 3/3/0 (r_total 4/4/4))"),
        shape_of(t, &store, AT("r_total / on (i) group_left () sum by (i) (r_total)")));
    check_text(t, TEXT("quantile_over_time(0.5, …) 4/4/0 (r_total[1m] 4/14/14)"),
               shape_of(t, &store, AT("quantile_over_time(0.5, r_total[1m])")));
    check_text(t, TEXT("topk by (job) (1, …) 2/2/0 (r_total 4/4/4)"),
               shape_of(t, &store, AT("topk by (job) (1, r_total)")));
    check_text(t, TEXT("7 1/1/0"), shape_of(t, &store, AT("7")));
    check_text(t, TEXT("\"a\" 0/0/0"), shape_of(t, &store, AT("\"a\"")));
    check_text(t, TEXT("r_total[30s] 4/7/7"), shape_of(t, &store, AT("r_total[30s]")));
    script_store_close(&store);
}

static int64_t a_tick_later(Clock *clock) {
    int64_t *ns = clock->context;
    return *ns += 1;
}

static int64_t sum_own(Test *t, const QueryPlanNode *node) {
    int64_t ns = node->own_ns;
    check(t, node->own_ns >= 0);
    for (const QueryPlanNode *child = node->first; child != NULL; child = child->next)
        ns += sum_own(t, child);
    return ns;
}

// With a clock that ticks at every reading each stretch has a length, and no tick may belong to
// two.
TEST(no_moment_is_counted_twice) {
    ScriptStore store;
    begin(t, &store);
    static const char *const texts[] = {"sum(rate(r_total[1m]))",
                                        "r_total / on (job, i) r_total",
                                        "abs(r_total) or -h",
                                        "sum_over_time(rate(r_total[1m])[2m:30s])",
                                        "label_replace(r_total, \"a\", \"b\", \"\", \"\")",
                                        "sort(count by (job) ({job!=\"\"}))",
                                        "histogram_quantile(0.5, l_bucket)",
                                        "absent(nothing)"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        int64_t ns = 0;
        Clock clock = {.context = &ns, .monotonic_ns = a_tick_later};
        QueryRequest request = AT("");
        request.text = text_from_cstring(texts[i]);
        request.clock = &clock;
        request.measure = true;
        QueryResult result;
        check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
        int64_t own_ns = sum_own(t, result.plan);
        if (own_ns <= 0 || own_ns > result.stats.run_ns)
            check_failed(t, __FILE__, __LINE__, "%s: %lld of %lld", texts[i], (long long)own_ns,
                         (long long)result.stats.run_ns);
    }
    script_store_close(&store);
}

TEST(a_query_that_fails_shows_how_far_it_came) {
    ScriptStore store;
    begin(t, &store);
    QueryRequest request = AT("sum(r_total) + sum(h)");
    request.clock = clock_system();
    request.measure = true;
    request.limits.samples_max = 4;  // one of each series of r_total
    QueryResult result;
    check_error(t, query_run(store.store, &request, t->arena, &result, NULL, t->err),
                ERROR_TOO_COSTLY);
    check(t, result.stats.samples > 4 && result.plan->first->first->first->samples == 4);
    request.text = TEXT("sum(");
    check_error(t, query_run(store.store, &request, t->arena, &result, NULL, t->err),
                ERROR_BAD_INPUT);
    check(t, result.plan == NULL);
    // Without being asked nothing is measured.
    request = AT("h");
    request.clock = clock_system();
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    check(t, result.plan == NULL);
    script_store_close(&store);
}

static Text json_of(QueryResult *result, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    JsonWriter writer = json_writer_begin(&out);
    query_write_json(result, &writer);
    return text_copy(builder_text(&out), arena);
}

static bool run_both(ScriptStore *store, Text query, int64_t step_ms, Arena *arena,
                     QueryResult results[2], Text json[2]) {
    bool ran[2];
    for (int i = 0; i < 2; i++) {
        Error err = {0};
        QueryRequest request = {.text = query,
                                .start_ms = 300000,
                                .end_ms = 300000 + 9 * step_ms,
                                .step_ms = step_ms,
                                .clock = clock_system(),
                                .measure = i == 1};
        ran[i] = query_run(store->store, &request, arena, &results[i], NULL, &err);
        json[i] =
            ran[i] ? json_of(&results[i], arena) : text_copy(text_from_cstring(err.message), arena);
    }
    assert(ran[0] == ran[1]);
    return ran[0];
}

TEST(measuring_changes_no_answer) {
    ScriptStore store;
    begin(t, &store);
    uint64_t random = t->seed;
    size_t ran = 0;
    for (size_t i = 0; i < 2000; i++) {
        AUTO(arena_free) Arena arena = {0};
        AUTO(builder_free) Builder query = {0}, line = {0};
        uint64_t seed[8];
        for (size_t j = 0; j < COUNT(seed); j++) seed[j] = test_random(&random);
        generate_query((Bytes){(const uint8_t *)seed, sizeof seed}, &query);
        QueryResult results[2];
        Text json[2];
        if (!run_both(&store, builder_text(&query), i % 2 == 0 ? 0 : 10000, &arena, results, json))
            continue;
        ran++;
        // A join that is not measured may read less of its right side.
        if (!text_equal(json[0], json[1]) || results[0].stats.samples > results[1].stats.samples)
            check_failed(t, __FILE__, __LINE__, "%.*s", TEXT_ARG(builder_text(&query)));
        // And it prints, as a line and as JSON.
        JsonWriter writer = json_writer_begin(&line);
        query_plan_print(results[1].plan, &line);
        check(t, line.len > 0);
        builder_clear(&line);
        query_plan_write_json(results[1].plan, &writer);
        JsonValue *root;
        check_ok(t, json_parse(builder_text(&line), &arena, &root, t->err));
        check(t, root->kind == JSON_OBJECT_BEGIN);
    }
    check(t, ran > 700);
    script_store_close(&store);
}

// A tree may be a thousand nodes deep, JSON is read no deeper than 64; and a selector is as long as
// its regular expression.
TEST(what_is_too_deep_or_too_long_to_show_is_said) {
    ScriptStore store;
    begin(t, &store);
    AUTO(builder_free) Builder text = {0}, out = {0};
    for (int i = 0; i < 500; i++) builder_add(&text, TEXT("h + "));
    builder_add(&text, TEXT("h{a=~\""));
    for (int i = 0; i < 500; i++) builder_add(&text, TEXT("é|"));
    builder_add(&text, TEXT("1\"}"));
    QueryRequest request = {.text = builder_text(&text),
                            .start_ms = 60000,
                            .end_ms = 60000,
                            .clock = clock_system(),
                            .measure = true};
    QueryResult result;
    check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
    JsonWriter writer = json_writer_begin(&out);
    query_plan_write_json(result.plan, &writer);
    JsonValue *root;
    check_ok(t, json_parse(builder_text(&out), t->arena, &root, t->err));
    check(t, text_find(builder_text(&out), TEXT("\"hidden\":954,")) > 0);
    check(t, text_find(builder_text(&out), TEXT("|é…\"")) > 0);
    builder_clear(&out);
    query_plan_print(result.plan, &out);
    check(t, out.len < 24 * 2 * (QUERY_PLAN_TEXT + 60));
    script_store_close(&store);
}

TEST_MAIN("query/explain", CASE(a_plan_names_its_nodes_and_counts_what_they_gave),
          CASE(no_moment_is_counted_twice), CASE(a_query_that_fails_shows_how_far_it_came),
          CASE(measuring_changes_no_answer), CASE(what_is_too_deep_or_too_long_to_show_is_said))
