// Runs test scripts: our own in test/promql, and those of Prometheus where they lie
// (TRACEO_TEST_DATA/promql/tests).
//
//   test_query_promql_script                      both, as tests
//   test_query_promql_script --markdown           the table of docs/conformance.md on stdout
//   test_query_promql_script --show FILE…         every eval that does not pass

#include <stdio.h>

#include "os/disk.h"
#include "query/exec/script.h"
#include "query/promql/functions.h"

// What is known to differ, and why that is acceptable. Anything else that fails, fails the test.
typedef struct Known {
    const char *file;
    size_t line;
    const char *reason;
} Known;

static const Known known[] = {
    {NULL, 0, "the end; today nothing is known to differ"},
};

static bool is_known(Text file, size_t line) {
    for (const Known *row = known; row->file != NULL; row++) {
        if (row->line == line && text_equal(file, text_from_cstring(row->file))) return true;
    }
    return false;
}

// Scripts whose results hold only where names are dropped at the end of a query.
static bool wants_delayed_names(Text file) {
    return text_equal(file, TEXT("name_label_dropping.test")) ||
           text_equal(file, TEXT("type_and_unit.test"));
}

typedef struct Tally {
    QueryPool *pool;
    size_t shard_series;
    size_t unknown;  // failures that are not in the table
    bool show_failed, show_unsupported;
} Tally;

static void report(void *context, Text file, size_t line, ScriptVerdict verdict, Text query,
                   Text why) {
    Tally *tally = context;
    bool failed = verdict == SCRIPT_FAILED && !is_known(file, line);
    tally->unknown += failed;
    if ((failed && tally->show_failed) ||
        (verdict == SCRIPT_UNSUPPORTED && tally->show_unsupported)) {
        fprintf(stderr, "# %.*s:%zu: %s: %.*s\n#     %.*s\n", TEXT_ARG(file), line,
                failed ? "FAILED" : "unsupported", TEXT_ARG(query), TEXT_ARG(why));
    }
}

static bool run_file(Text folder, Text name, bool delayed_names, Tally *tally, ScriptRun *run,
                     Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Bytes content;
    Text path = text_format(&arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(name));
    TRY(disk_read_whole(disk_real(), path, 4 * MB, &arena, &content, err));
    *run = (ScriptRun){.report = report,
                       .context = tally,
                       .delayed_names = delayed_names,
                       .pool = tally->pool,
                       .shard_series = tally->shard_series};
    return script_run(run, name, bytes_text(content), err);
}

static bool list_scripts(Text folder, Arena *arena, DiskEntries *out, Error *err) {
    DiskEntries all;
    TRY(disk_real()->list(disk_real(), folder, arena, &all, err));
    *out = (DiskEntries){all.at, 0};
    for (size_t i = 0; i < all.count; i++) {
        if (text_ends_with(all.at[i].name, TEXT(".test"))) out->at[out->count++] = all.at[i];
    }
    return true;
}

static void run_folder(Test *t, Text folder, bool delayed_names, ScriptRun *total, Tally *tally) {
    DiskEntries scripts;
    check_ok(t, list_scripts(folder, t->arena, &scripts, t->err));
    check(t, scripts.count > 0);
    for (size_t i = 0; i < scripts.count; i++) {
        ScriptRun run;
        if (!delayed_names && wants_delayed_names(scripts.at[i].name)) continue;
        check_ok(t, run_file(folder, scripts.at[i].name, delayed_names, tally, &run, t->err));
        for (size_t v = 0; v < SCRIPT_VERDICT_COUNT; v++) total->counts[v] += run.counts[v];
    }
    printf("# %zu passed, %zu failed, %zu not supported\n", total->counts[SCRIPT_PASSED],
           total->counts[SCRIPT_FAILED], total->counts[SCRIPT_UNSUPPORTED]);
}

TEST(our_own_scripts_pass_whole) {
    ScriptRun total = {0};
    Tally tally = {.show_failed = true, .show_unsupported = true};
    run_folder(t, TEXT("test/promql"), false, &total, &tally);
    check_i64(t, 0, total.counts[SCRIPT_FAILED]);
    check_i64(t, 0, total.counts[SCRIPT_UNSUPPORTED]);
    check(t, total.counts[SCRIPT_PASSED] > 50);
}

TEST(what_is_supported_of_prometheus_scripts_gives_its_results) {
    ScriptRun total = {0};
    Tally tally = {.show_failed = true};
    run_folder(t, test_data_folder(t, "promql/tests"), true, &total, &tally);
    check_i64(t, 0, tally.unknown);
    check(t, total.counts[SCRIPT_PASSED] > 1900);
}

TEST(names_dropped_at_once_give_the_same_results) {
    ScriptRun total = {0};
    Tally tally = {.show_failed = true};
    run_folder(t, test_data_folder(t, "promql/tests"), false, &total, &tally);
    check_i64(t, 0, tally.unknown);
}

TEST(scripts_give_the_same_results_in_shards_of_one_series) {
    QueryPool *pool;
    check_ok(t, query_pool_start(2, &pool, t->err));
    ScriptRun total = {0};
    Tally tally = {.show_failed = true, .pool = pool, .shard_series = 1};
    run_folder(t, TEXT("test/promql"), false, &total, &tally);
    run_folder(t, test_data_folder(t, "promql/tests"), true, &total, &tally);
    run_folder(t, test_data_folder(t, "promql/tests"), false, &total, &tally);
    check_i64(t, 0, tally.unknown);
    query_pool_stop(&pool);
}

TEST(the_example_of_every_function_gives_what_its_row_says) {
    ScriptStore store;
    check_ok(t, script_store_open(&store, t->arena, t->err));
    check_ok(t, script_load(&store, TEXT("latency _ {{count:4 sum:5 buckets:[1 2 1]}}"), 3600000,
                            false, t->arena, t->err));
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const Function *row = &functions[i];
        if (!row->supported) continue;
        QueryRequest request = {.text = row->example, .start_ms = 3600000, .end_ms = 3600000};
        QueryResult result;
        check_ok(t, query_run(store.store, &request, t->arena, &result, NULL, t->err));
        if (result.count != 1)
            check_failed(t, __FILE__, __LINE__, "%.*s gives %zu elements", TEXT_ARG(row->example),
                         result.count);
        double actual = result.series[0].values[0];
        if (!(fabs(actual - row->gives) <= 1e-9 * fmax(1, fabs(row->gives)))) {
            check_failed(t, __FILE__, __LINE__, "%.*s is %.17g, not %.17g", TEXT_ARG(row->example),
                         actual, row->gives);
        }
    }
    script_store_close(&store);
}

// ---- The other two ways to run ----

static int print_markdown(void) {
    AUTO(arena_free) Arena arena = {0};
    Error err = {0};
    DiskEntries scripts;
    const char *root = getenv("TRACEO_TEST_DATA");
    Text folder = text_format(&arena, "%s/promql/tests", root == NULL ? "../shared/data" : root);
    if (!list_scripts(folder, &arena, &scripts, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    ScriptRun total = {0};
    printf("| script | passed | failed | not supported |\n|---|---:|---:|---:|\n");
    for (size_t i = 0; i < scripts.count; i++) {
        Tally tally = {0};
        ScriptRun run;
        if (!run_file(folder, scripts.at[i].name, true, &tally, &run, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        printf("| %.*s | %zu | %zu | %zu |\n", TEXT_ARG(scripts.at[i].name),
               run.counts[SCRIPT_PASSED], run.counts[SCRIPT_FAILED],
               run.counts[SCRIPT_UNSUPPORTED]);
        for (size_t v = 0; v < SCRIPT_VERDICT_COUNT; v++) total.counts[v] += run.counts[v];
    }
    printf("| **all** | **%zu** | **%zu** | **%zu** |\n", total.counts[SCRIPT_PASSED],
           total.counts[SCRIPT_FAILED], total.counts[SCRIPT_UNSUPPORTED]);
    return 0;
}

static int show(char **paths, int count) {
    for (int i = 0; i < count; i++) {
        Error err = {0};
        ScriptRun run;
        Tally tally = {.show_failed = true, .show_unsupported = true};
        if (!run_file(TEXT("."), text_from_cstring(paths[i]), true, &tally, &run, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        printf("%s: %zu passed, %zu failed, %zu not supported\n", paths[i],
               run.counts[SCRIPT_PASSED], run.counts[SCRIPT_FAILED],
               run.counts[SCRIPT_UNSUPPORTED]);
    }
    return 0;
}

int main(int argc, char **argv) {
    static const TestCase cases[] = {
        CASE(our_own_scripts_pass_whole),
        CASE(what_is_supported_of_prometheus_scripts_gives_its_results),
        CASE(names_dropped_at_once_give_the_same_results),
        CASE(scripts_give_the_same_results_in_shards_of_one_series),
        CASE(the_example_of_every_function_gives_what_its_row_says),
    };
    if (argc > 1 && text_equal(text_from_cstring(argv[1]), TEXT("--markdown")))
        return print_markdown();
    if (argc > 2 && text_equal(text_from_cstring(argv[1]), TEXT("--show")))
        return show(argv + 2, argc - 2);
    return test_run("query/promql_script", cases, COUNT(cases), argc, argv);
}
