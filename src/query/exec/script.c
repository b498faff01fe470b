// Running scripts: commands, expectations, comparison.

#include "query/exec/script.h"

#include <math.h>

#include "model/sample.h"
#include "query/exec/script_points.h"
#include "query/promql/promql.h"

typedef enum ExpectKind {
    EXPECT_FAIL,
    EXPECT_WARN,
    EXPECT_INFO,
    EXPECT_NO_WARN,
    EXPECT_NO_INFO,
    EXPECT_KIND_COUNT
} ExpectKind;

typedef struct Expect {
    ExpectKind kind;
    enum { MATCH_ANY, MATCH_MESSAGE, MATCH_PATTERN } how;
    Text text;
} Expect;

typedef struct ExpectedSeries {
    Labels labels;
    Points points;
} ExpectedSeries;

typedef struct Eval {
    Text query;
    size_t line;
    bool ranged, ordered, wants_string, wants_matrix, wants_scalar;
    int64_t start_ms, end_ms, step_ms;
    int64_t matrix_start_ms, matrix_step_ms;
    Text string;
    double scalar;
    ARRAY(Expect) expects;
    ARRAY(ExpectedSeries) series;
} Eval;

typedef struct Script {
    ScriptRun *run;
    Text file;
    Text *lines;
    size_t count, at;
    ScriptStore store;
    Arena arena;  // of the whole script
} Script;

// ---- Reading ----

static bool time_parse(Text text, int64_t *out, Error *err) {
    bool negative = text_starts_with(text, TEXT("-"));
    if (negative) text = text_slice(text, 1, text.len);
    double seconds;
    if (text_to_f64(text, &seconds)) {
        *out = (int64_t)round(seconds * 1000);
    } else {
        TRY(duration_parse_ms(text, out, err));
    }
    if (negative) *out = -*out;
    return true;
}

static Text word_cut(Text *rest) {
    Text text = text_trim(*rest);
    size_t at = 0;
    while (at < text.len && text.at[at] != ' ' && text.at[at] != '\t') at++;
    *rest = text_trim(text_slice(text, at, text.len));
    return text_slice(text, 0, at);
}

// eval[_fail|_warn|_info|_ordered] (instant at T | range from A to B step C) query
static bool eval_head(Script *script, Text line, Eval *eval, Error *err) {
    Text command = word_cut(&line);
    struct {
        Text name;
        ExpectKind kind;
    } old[] = {{TEXT("eval_fail"), EXPECT_FAIL},
               {TEXT("eval_warn"), EXPECT_WARN},
               {TEXT("eval_info"), EXPECT_INFO}};
    for (size_t i = 0; i < COUNT(old); i++) {
        if (text_equal(command, old[i].name))
            *array_add_on(&script->arena, &eval->expects) =
                (Expect){old[i].kind, MATCH_ANY, TEXT_NONE};
    }
    eval->ordered = text_equal(command, TEXT("eval_ordered"));
    eval->ranged = text_equal(word_cut(&line), TEXT("range"));
    (void)word_cut(&line);  // at, from
    TRY(time_parse(word_cut(&line), &eval->start_ms, err));
    eval->end_ms = eval->start_ms;
    if (eval->ranged) {
        (void)word_cut(&line);  // to
        TRY(time_parse(word_cut(&line), &eval->end_ms, err));
        (void)word_cut(&line);  // step
        TRY(time_parse(word_cut(&line), &eval->step_ms, err));
    }
    eval->query = line;
    return true;
}

static bool expect_line(Script *script, Text line, Eval *eval, Error *err) {
    static const Text names[EXPECT_KIND_COUNT] = {TEXT_INIT("fail"), TEXT_INIT("warn"),
                                                  TEXT_INIT("info"), TEXT_INIT("no_warn"),
                                                  TEXT_INIT("no_info")};
    (void)word_cut(&line);
    Text kind = word_cut(&line);
    if (text_equal(kind, TEXT("ordered"))) {
        eval->ordered = true;
        return true;
    }
    if (text_equal(kind, TEXT("string"))) {
        AUTO(promql_close) Promql promql = {0};
        eval->wants_string = true;
        TRY(promql_parse(line, &script->arena, &promql, NULL, err));
        eval->string = promql.root->as.string;
        return true;
    }
    if (text_equal(kind, TEXT("range"))) {  // vector from A to B step C
        int64_t end_ms;
        eval->wants_matrix = true;
        (void)word_cut(&line);
        (void)word_cut(&line);
        TRY(time_parse(word_cut(&line), &eval->matrix_start_ms, err));
        (void)word_cut(&line);
        TRY(time_parse(word_cut(&line), &end_ms, err));
        (void)word_cut(&line);
        return time_parse(word_cut(&line), &eval->matrix_step_ms, err);
    }
    for (size_t i = 0; i < EXPECT_KIND_COUNT; i++) {
        if (!text_equal(kind, names[i])) continue;
        Expect expect = {(ExpectKind)i, MATCH_ANY, TEXT_NONE};
        if (text_starts_with(line, TEXT("msg:")))
            expect =
                (Expect){(ExpectKind)i, MATCH_MESSAGE, text_trim(text_slice(line, 4, line.len))};
        if (text_starts_with(line, TEXT("regex:")))
            expect =
                (Expect){(ExpectKind)i, MATCH_PATTERN, text_trim(text_slice(line, 6, line.len))};
        *array_add_on(&script->arena, &eval->expects) = expect;
        return true;
    }
    return error_set(err, ERROR_BAD_INPUT, "unknown expectation \"%.*s\"", TEXT_ARG(kind));
}

static bool eval_parse(Script *script, Eval *eval, Error *err) {
    eval->line = script->at + 1;
    TRY(eval_head(script, script->lines[script->at++], eval, err));
    for (; script->at < script->count && script->lines[script->at].len > 0; script->at++) {
        Text line = script->lines[script->at];
        if (text_starts_with(line, TEXT("expect "))) {
            TRY(expect_line(script, line, eval, err));
            continue;
        }
        if (text_to_f64(line, &eval->scalar)) {
            eval->wants_scalar = true;
            continue;
        }
        ExpectedSeries expected;
        Text series = points_cut_series(&line);
        TRY(script_labels(series, &script->arena, &expected.labels, err));
        TRY(points_parse(line, &script->arena, &expected.points, err));
        *array_add_on(&script->arena, &eval->series) = expected;
    }
    return true;
}

// ---- Comparing ----

// As near as the tests of Prometheus want it: one part in a million.
static bool nearly(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (a == b) return true;
    double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < 2.2250738585072014e-308)
        return difference < 1e-6 * 2.2250738585072014e-308;
    return difference / fmin(sum, 1.7976931348623157e308) < 1e-6;
}

static Text labels_shown(Labels labels, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    labels_print(labels, &out);
    return text_copy(builder_text(&out), arena);
}

static const QuerySeries *series_find(const QueryResult *result, Labels labels) {
    for (size_t i = 0; i < result->count; i++) {
        if (labels_equal(result->series[i].labels, labels)) return &result->series[i];
    }
    return NULL;
}

static bool differ(Arena *arena, Text *why, const char *what, Labels labels, double stated,
                   double actual) {
    *why = text_format(arena, "%s of %.*s is %.17g, not %.17g", what,
                       TEXT_ARG(labels_shown(labels, arena)), actual, stated);
    return false;
}

static bool sides_nearly(const HistogramSide *a, const HistogramSide *b) {
    size_t i = 0, j = 0;
    for (;;) {  // empty buckets do not count
        while (i < a->count && a->counts[i] == 0) i++;
        while (j < b->count && b->counts[j] == 0) j++;
        if (i == a->count || j == b->count) return i == a->count && j == b->count;
        if (a->index[i] != b->index[j] || !nearly(a->counts[i], b->counts[j])) return false;
        i++;
        j++;
    }
}

static bool histograms_nearly(const Point *expected, const Histogram *actual) {
    const Histogram *stated = expected->histogram;
    if (expected->hint_stated && stated->reset_hint != actual->reset_hint) return false;
    if (stated->schema != actual->schema || stated->bound_count != actual->bound_count)
        return false;
    for (size_t i = 0; i < stated->bound_count; i++) {
        if (stated->bounds[i] != actual->bounds[i]) return false;
    }
    return nearly(stated->count, actual->count) && nearly(stated->sum, actual->sum) &&
           nearly(stated->zero_threshold, actual->zero_threshold) &&
           nearly(stated->zero_count, actual->zero_count) &&
           sides_nearly(&stated->positive, &actual->positive) &&
           sides_nearly(&stated->negative, &actual->negative);
}

static Text histogram_shown(const Histogram *histogram, Arena *arena) {
    if (histogram == NULL) return TEXT("no histogram");
    AUTO(builder_free) Builder out = {0};
    builder_addf(&out, "(schema %d, hint %d, zero to %g) ", histogram->schema,
                 (int)histogram->reset_hint, histogram->zero_threshold);
    histogram_print(histogram, &out);
    return text_copy(builder_text(&out), arena);
}

// The points of one series against those expected from `start_ms` on.
static bool points_same(const QuerySeries *series, const ExpectedSeries *expected, int64_t start_ms,
                        int64_t step_ms, Arena *arena, Text *why) {
    size_t at = 0;
    for (size_t i = 0; i < expected->points.count; i++) {
        Point point = expected->points.at[i];
        if (point.kind == POINT_NONE) continue;
        int64_t time_ms = start_ms + (int64_t)i * step_ms;
        if (series == NULL || at >= series->count || series->times[at] != time_ms) {
            *why = text_format(arena, "%.*s has no value at %lld ms",
                               TEXT_ARG(labels_shown(expected->labels, arena)), (long long)time_ms);
            return false;
        }
        const Histogram *histogram = series->histograms == NULL ? NULL : series->histograms[at];
        double actual = series->values[at++];
        if (point.kind == POINT_HISTOGRAM || histogram != NULL) {
            if (point.kind == POINT_HISTOGRAM && histogram != NULL &&
                histograms_nearly(&point, histogram))
                continue;
            *why = text_format(arena, "%.*s at %lld ms is %.*s, not %.*s",
                               TEXT_ARG(labels_shown(expected->labels, arena)), (long long)time_ms,
                               TEXT_ARG(histogram_shown(histogram, arena)),
                               TEXT_ARG(histogram_shown(point.histogram, arena)));
            return false;
        }
        if (point.kind != POINT_VALUE || !nearly(point.value, actual))
            return differ(arena, why, "a value", expected->labels, point.value, actual);
    }
    if (series != NULL && at < series->count) {
        *why = text_format(arena, "%.*s has a value at %lld ms too many",
                           TEXT_ARG(labels_shown(expected->labels, arena)),
                           (long long)series->times[at]);
        return false;
    }
    return true;
}

static bool result_same(const Eval *eval, const QueryResult *result, Arena *arena, Text *why) {
    if (eval->wants_string) {
        if (result->type == VALUE_STRING && text_equal(result->string, eval->string)) return true;
        *why = text_format(arena, "the string is \"%.*s\"", TEXT_ARG(result->string));
        return false;
    }
    if (eval->wants_scalar) {
        if (result->type != VALUE_SCALAR) {
            *why = TEXT("the result is no scalar");
            return false;
        }
        return nearly(eval->scalar, result->series[0].values[0]) ||
               differ(arena, why, "the scalar", LABELS_NONE, eval->scalar,
                      result->series[0].values[0]);
    }
    for (size_t i = 0; i < result->count; i++) {
        bool known = false;
        for (size_t j = 0; j < eval->series.count; j++)
            known |= labels_equal(eval->series.at[j].labels, result->series[i].labels);
        if (known) continue;
        *why = text_format(arena, "%.*s = %g was not expected",
                           TEXT_ARG(labels_shown(result->series[i].labels, arena)),
                           result->series[i].values[0]);
        return false;
    }
    int64_t start_ms = eval->wants_matrix ? eval->matrix_start_ms : eval->start_ms;
    int64_t step_ms = eval->wants_matrix ? eval->matrix_step_ms : eval->step_ms;
    for (size_t i = 0; i < eval->series.count; i++) {
        const ExpectedSeries *expected = &eval->series.at[i];
        if (!points_same(series_find(result, expected->labels), expected, start_ms, step_ms, arena,
                         why))
            return false;
        if (eval->ordered && !labels_equal(result->series[i].labels, expected->labels)) {
            *why = text_format(arena, "%.*s is not at place %zu",
                               TEXT_ARG(labels_shown(expected->labels, arena)), i + 1);
            return false;
        }
    }
    return true;
}

static bool text_matches(const Expect *expect, Text text, Error *err) {
    if (expect->how == MATCH_ANY) return true;
    if (expect->how == MATCH_MESSAGE) return text_equal(expect->text, text);
    AUTO(arena_free) Arena arena = {0};
    Regex *regex;
    Text pattern = expect->text;
    if (text_starts_with(pattern, TEXT("\"")) && text_ends_with(pattern, TEXT("\"")))
        pattern = text_slice(pattern, 1, pattern.len - 1);
    if (!regex_open(text_format(&arena, ".*(?:%.*s).*", TEXT_ARG(pattern)), &regex, err))
        return false;
    bool matches = regex_matches(regex, text);
    regex_close(&regex);
    return matches;
}

static bool notes_same(const Eval *eval, ExpectKind some, ExpectKind none, Texts notes,
                       Arena *arena, Text *why) {
    bool any_expected = false;
    Error err;
    for (size_t i = 0; i < eval->expects.count; i++) {
        const Expect *expect = &eval->expects.at[i];
        if (expect->kind == none && notes.count > 0) {
            *why = text_format(arena, "unexpected: %.*s", TEXT_ARG(notes.at[0]));
            return false;
        }
        if (expect->kind != some) continue;
        any_expected = true;
        bool found = false;
        for (size_t j = 0; j < notes.count; j++) found |= text_matches(expect, notes.at[j], &err);
        if (found) continue;
        *why = text_format(arena, "no annotation like \"%.*s\" but %zu others, first %.*s",
                           TEXT_ARG(expect->text), notes.count,
                           TEXT_ARG(notes.count > 0 ? notes.at[0] : TEXT("none")));
        return false;
    }
    for (size_t j = 0; j < notes.count && any_expected; j++) {
        bool known = false;
        for (size_t i = 0; i < eval->expects.count; i++) {
            known |= eval->expects.at[i].kind == some &&
                     text_matches(&eval->expects.at[i], notes.at[j], &err);
        }
        if (known) continue;
        *why = text_format(arena, "unexpected: %.*s", TEXT_ARG(notes.at[j]));
        return false;
    }
    return true;
}

// ---- Running ----

static const Expect *expected_failure(const Eval *eval) {
    for (size_t i = 0; i < eval->expects.count; i++) {
        if (eval->expects.at[i].kind == EXPECT_FAIL) return &eval->expects.at[i];
    }
    return NULL;
}

// The middle of three steps has to say what the instant query said: the two ways must not differ.
static bool ranged_same(Script *script, const Eval *eval, Arena *arena, Text *why) {
    if (eval->ranged || eval->wants_matrix || eval->wants_string || eval->ordered ||
        eval->start_ms < 60000)
        return true;
    static const Text own[] = {TEXT_INIT("start()"), TEXT_INIT("end()"), TEXT_INIT("step()"),
                               TEXT_INIT("range()"), TEXT_INIT("@")};
    for (size_t i = 0; i < COUNT(own); i++) {
        if (text_find(eval->query, own[i]) >= 0) return true;
    }
    QueryRequest request = {.text = eval->query,
                            .start_ms = eval->start_ms - 60000,
                            .end_ms = eval->start_ms + 60000,
                            .step_ms = 60000,
                            .delayed_names = script->run->delayed_names,
                            .starts = true,
                            .pool = script->run->pool,
                            .shard_series = script->run->shard_series};
    QueryResult result;
    Error err;
    if (!query_run(script->store.store, &request, arena, &result, NULL, &err)) return true;
    size_t kept = 0;
    for (size_t i = 0; i < result.count; i++) {
        QuerySeries series = result.series[i];
        size_t at = 0;
        while (at < series.count && series.times[at] != eval->start_ms) at++;
        if (at == series.count) continue;
        result.series[kept++] =
            (QuerySeries){.labels = series.labels,
                          .times = series.times + at,
                          .values = series.values + at,
                          .count = 1,
                          .histograms = series.histograms == NULL ? NULL : series.histograms + at};
    }
    result.count = kept;
    if (eval->wants_scalar) result.type = VALUE_SCALAR;
    if (result_same(eval, &result, arena, why)) return true;
    *why = text_format(arena, "as the middle of a range query: %.*s", TEXT_ARG(*why));
    return false;
}

static ScriptVerdict eval_run(Script *script, const Eval *eval, Arena *arena, Text *why) {
    QueryRequest request = {.text = eval->query,
                            .start_ms = eval->start_ms,
                            .end_ms = eval->end_ms,
                            .step_ms = eval->step_ms,
                            .delayed_names = script->run->delayed_names,
                            .starts = true,
                            .pool = script->run->pool,
                            .shard_series = script->run->shard_series};
    QueryResult result;
    Error err = {0};
    const Expect *failure = expected_failure(eval);
    if (!query_run(script->store.store, &request, arena, &result, NULL, &err)) {
        Text message = text_copy(text_from_cstring(err.message), arena);
        *why = message;
        if (err.code == ERROR_UNSUPPORTED) return SCRIPT_UNSUPPORTED;
        return failure != NULL && text_matches(failure, message, &err) ? SCRIPT_PASSED
                                                                       : SCRIPT_FAILED;
    }
    if (failure != NULL) {
        *why = TEXT("it succeeded, and should fail");
        return SCRIPT_FAILED;
    }
    bool same = result_same(eval, &result, arena, why) &&
                notes_same(eval, EXPECT_WARN, EXPECT_NO_WARN, result.warnings, arena, why) &&
                notes_same(eval, EXPECT_INFO, EXPECT_NO_INFO, result.infos, arena, why) &&
                ranged_same(script, eval, arena, why);
    return same ? SCRIPT_PASSED : SCRIPT_FAILED;
}

static bool run_eval(Script *script, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Eval eval = {0};
    Text why = TEXT("");
    TRY(eval_parse(script, &eval, err));
    ScriptVerdict verdict = eval_run(script, &eval, &arena, &why);
    script->run->counts[verdict]++;
    if (script->run->report != NULL)
        script->run->report(script->run->context, script->file, eval.line, verdict, eval.query,
                            why);
    return true;
}

static bool run_load(Script *script, Error *err) {
    Text head = script->lines[script->at++];
    bool with_custom_buckets = text_equal(word_cut(&head), TEXT("load_with_nhcb"));
    int64_t step_ms;
    TRY(time_parse(word_cut(&head), &step_ms, err));
    AUTO(builder_free) Builder lines = {0};
    for (; script->at < script->count && script->lines[script->at].len > 0; script->at++) {
        builder_add(&lines, script->lines[script->at]);
        builder_add_char(&lines, '\n');
    }
    Text text = text_copy(builder_text(&lines), &script->arena);
    return script_load(&script->store, text, step_ms, with_custom_buckets, &script->arena, err);
}

static bool run_commands(Script *script, Error *err) {
    TRY(script_store_open(&script->store, &script->arena, err));
    while (script->at < script->count) {
        Text line = script->lines[script->at];
        size_t number = script->at + 1;
        bool done = true;
        if (line.len == 0) {
            script->at++;
        } else if (text_starts_with(line, TEXT("clear"))) {
            script->at++;
            script_store_close(&script->store);
            done = script_store_open(&script->store, &script->arena, err);
        } else if (text_starts_with(line, TEXT("load"))) {
            done = run_load(script, err);
        } else if (text_starts_with(line, TEXT("eval"))) {
            done = run_eval(script, err);
        } else {
            done = error_set(err, ERROR_BAD_INPUT, "unknown command \"%.*s\"",
                             TEXT_ARG(text_slice(line, 0, 60)));
        }
        if (!done) return error_context(err, "%.*s:%zu", TEXT_ARG(script->file), number);
    }
    return true;
}

bool script_run(ScriptRun *run, Text file, Text source, Error *err) {
    Script script = {.run = run, .file = file};
    ARRAY(Text) lines = {0};
    Text rest = source, line;
    while (text_cut(&rest, '\n', &line)) {
        line = text_trim(line);
        if (text_starts_with(line, TEXT("#"))) line = TEXT("");
        *array_add_on(&script.arena, &lines) = line;
    }
    script.lines = lines.at;
    script.count = lines.count;
    bool done = run_commands(&script, err);
    script_store_close(&script.store);
    arena_free(&script.arena);
    return done;
}
