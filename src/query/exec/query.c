// query_run: from a text to a table of series.

#include "query/query.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "os/random.h"
#include "query/exec/exec.h"

enum { LOOKBACK_MS = 300000 };

// ---- Results ----

static int64_t now_ns(const QueryRequest *request) {
    return request->clock == NULL ? 0 : request->clock->monotonic_ns(request->clock);
}

static void sort_series(Exec *exec, QuerySeries *series, size_t count) {
    if (count < 2) return;
    int64_t began_ns = now_ns(exec->request);
    AUTO(arena_free) Arena scratch = {0};
    uint32_t *order = labels_order(&series->labels, sizeof *series, count, &scratch);
    QuerySeries *before = arena_push_array_raw(&scratch, QuerySeries, count);
    memcpy(before, series, count * sizeof *series);
    for (size_t i = 0; i < count; i++) series[i] = before[order[i]];
    exec->sort_ns += now_ns(exec->request) - began_ns;
}

// Does the expression itself say in which order an instant vector comes?
static bool is_ordered(const Expr *expr) {
    expr = expr_inner(expr);
    if (expr->kind == EXPR_AGGREGATE)
        return expr->as.aggregate.op == AGG_TOPK || expr->as.aggregate.op == AGG_BOTTOMK;
    if (expr->kind != EXPR_CALL) return false;
    FunctionId id = expr->as.call.function->id;
    return id == FUNCTION_SORT || id == FUNCTION_SORT_DESC || id == FUNCTION_SORT_BY_LABEL ||
           id == FUNCTION_SORT_BY_LABEL_DESC;
}

// One column as the points it has, drawn together in place. `times` are those of all steps; most
// series have them all and share them.
static QuerySeries series_of(Exec *exec, const StepSeries *from, const int64_t *times) {
    QuerySeries series = {.labels = from->labels,
                          .times = times,
                          .values = from->values,
                          .histograms = from->histograms};
    size_t steps = exec->steps.count, missing = 0;
    for (size_t i = 0; i < steps; i++) missing += step_is_empty(from, i);
    series.count = steps - missing;
    if (missing == 0) return series;
    int64_t *own = arena_push_array_raw(exec->arena, int64_t, series.count);
    size_t at = 0;
    for (size_t i = 0; i < steps; i++) {
        if (step_is_empty(from, i)) continue;
        own[at] = times[i];
        if (from->histograms != NULL) from->histograms[at] = from->histograms[i];
        from->values[at++] = from->values[i];
    }
    series.times = own;
    return series;
}

static int64_t *times_of(Exec *exec) {
    int64_t *times = arena_push_array_raw(exec->arena, int64_t, exec->steps.count);
    for (size_t i = 0; i < exec->steps.count; i++) times[i] = step_ms_at(exec->steps, i);
    return times;
}

#ifdef TRACEO_SLOW_ASSERTS
static const bool looks_twice = true;
#else
static const bool looks_twice = false;
#endif

static bool run_vector(Exec *exec, const Expr *root, QueryResult *out, Error *err) {
    Operator *operator;
    StepBatch all;
    TRY(operator_open(exec, root, exec->steps, &operator, err));
    exec->opened_ns = now_ns(exec->request);
    TRY(operator_collect(operator, exec->arena, &all, err));
    for (size_t i = 0; i < all.count; i++) {
        StepSeries *series = &all.at[i];
        if (series->drop_name)
            series->labels = labels_without_name(exec, series->labels, exec->arena);
        if (series->lasting) series->labels.wire = bytes_copy(series->labels.wire, exec->arena);
    }
    // Operators see to it that what they give differs, unless names are dropped only now.
    if (exec->request->delayed_names || looks_twice) {
        size_t before = all.count;
        TRY(series_unique(exec, &all, exec->steps, &operator->keep, err));
        assert(exec->request->delayed_names || all.count == before);
    }
    bool ranged = exec->request->step_ms > 0;
    int64_t *times = times_of(exec);
    out->type = ranged ? VALUE_MATRIX : VALUE_VECTOR;
    out->series = arena_push_array(exec->arena, QuerySeries, all.count);
    for (size_t i = 0; i < all.count; i++) {
        QuerySeries series = series_of(exec, &all.at[i], times);
        if (series.count > 0) out->series[out->count++] = series;
    }
    if (ranged || !is_ordered(root)) sort_series(exec, out->series, out->count);
    return exec_tick(exec, err);
}

static bool run_scalar(Exec *exec, const Expr *root, QueryResult *out, Error *err) {
    double *values;
    TRY(scalar_eval(exec, root, exec->steps, exec->arena, &values, err));
    int64_t *times = times_of(exec);
    out->type = exec->request->step_ms > 0 ? VALUE_MATRIX : VALUE_SCALAR;
    out->series = arena_push(exec->arena, QuerySeries);
    *out->series = (QuerySeries){.times = times, .values = values, .count = exec->steps.count};
    out->count = 1;
    return true;
}

// The samples of one series, floats and histograms in the order of their times.
static QuerySeries samples_of(Exec *exec, const RangeSeries *from) {
    size_t count = from->count + from->histogram_count;
    int64_t *times = arena_push_array_raw(exec->arena, int64_t, count);
    double *values = arena_push_array_raw(exec->arena, double, count);
    const Histogram **histograms = NULL;
    if (from->histogram_count > 0)
        histograms = arena_push_array(exec->arena, const Histogram *, count);
    size_t floats = 0, own = 0;
    for (size_t i = 0; i < count; i++) {
        bool take_float =
            own == from->histogram_count ||
            (floats < from->count && from->times[floats] < from->histogram_times[own]);
        if (take_float) {
            times[i] = from->times[floats];
            values[i] = from->values[floats++];
        } else {
            times[i] = from->histogram_times[own];
            values[i] = ABSENT;
            histograms[i] = histogram_copy(from->histograms[own++], exec->arena);
        }
    }
    return (QuerySeries){
        .times = times, .values = values, .count = count, .histograms = histograms};
}

// A matrix as the answer of an instant query: the samples as they are stored.
static bool run_matrix(Exec *exec, const Expr *root, QueryResult *out, Error *err) {
    RangeSource *source;
    TRY(range_source_open(exec, root, exec->steps, NULL, &source, err));
    exec->opened_ns = now_ns(exec->request);
    ARRAY(QuerySeries) all = {0};
    AUTO(arena_free) Arena scratch = {0};
    RangeInput in = {.steps = exec->steps,
                     .scratch = &scratch,
                     .extent = matrix_extent(root),
                     .lookback_ms = exec->lookback_ms};
    range_windows(exec, expr_inner(root), exec->steps, &in.first_end_ms, &in.step_ms, &in.range_ms);
    for (;;) {
        RangeSeries series;
        bool more;
        TRY(range_source_next(source, &series, &more, err));
        if (!more) break;
        arena_clear(&scratch);
        if (in.extent != EXTENT_PLAIN) {
            in.times = series.times;
            in.values = series.values;
            in.count = series.count;
            in.histogram_times = series.histogram_times;
            in.histograms = series.histograms;
            in.histogram_count = series.histogram_count;
            range_extended_points(&in, &series);
        }
        if (series.count + series.histogram_count == 0) continue;
        Labels labels = series.drop_name ? labels_without_name(exec, series.labels, exec->arena)
                                         : series.labels;
        QuerySeries *made = array_add_on(exec->arena, &all);
        *made = samples_of(exec, &series);
        made->labels.wire = bytes_copy(labels.wire, exec->arena);
    }
    sort_series(exec, all.at, all.count);
    out->type = VALUE_MATRIX;
    out->series = all.at;
    out->count = all.count;
    return true;
}

static bool run_string(Exec *exec, const Expr *root, QueryResult *out) {
    PlanOpening opening;
    plan_open(exec, root, &opening);
    out->type = VALUE_STRING;
    out->time_ms = exec->steps.start_ms;
    out->string = text_copy(expr_inner(root)->as.string, exec->arena);
    plan_opened(exec, &opening, NULL);
    return true;
}

static bool run_root(Exec *exec, const Expr *root, QueryResult *out, Error *err) {
    if (exec->request->step_ms > 0 && root->type != VALUE_SCALAR && root->type != VALUE_VECTOR) {
        return error_set(
            err, ERROR_BAD_INPUT,
            "invalid expression type \"%.*s\" for range query, must be Scalar or instant Vector",
            TEXT_ARG(value_type_name(root->type)));
    }
    switch (root->type) {
        case VALUE_VECTOR:
            return run_vector(exec, root, out, err);
        case VALUE_SCALAR:
            return run_scalar(exec, root, out, err);
        case VALUE_MATRIX:
            return run_matrix(exec, root, out, err);
        case VALUE_STRING:
            return run_string(exec, root, out);
        case VALUE_NONE:
            break;
    }
    unreachable("an expression without a type");
}

// ---- The request ----

// 11000 as "11,000".
static void add_with_commas(int64_t number, Builder *out) {
    if (number >= 1000) {
        add_with_commas(number / 1000, out);
        builder_addf(out, ",%03d", (int)(number % 1000));
    } else {
        builder_add_i64(out, number);
    }
}

static bool steps_of(const QueryRequest *request, Steps *out, Error *err) {
    if (request->step_ms < 0)
        return error_set(err, ERROR_BAD_INPUT,
                         "zero or negative query resolution step widths are not accepted. Try a "
                         "positive integer");
    if (request->end_ms < request->start_ms)
        return error_set(err, ERROR_BAD_INPUT, "end timestamp must not be before start time");
    if (request->step_ms == 0 && request->start_ms != request->end_ms) {
        return error_set(err, ERROR_BAD_INPUT, "a query over an interval needs a step");
    }
    // Times beyond this would overflow when ranges and offsets are taken away from them.
    const int64_t time_max = INT64_MAX / 4;
    if (request->start_ms < -time_max || request->end_ms > time_max) {
        return error_set(err, ERROR_BAD_INPUT, "the time of the query is out of range");
    }
    if (request->lookback_ms < 0 || request->lookback_ms > time_max) {
        return error_set(err, ERROR_BAD_INPUT, "the lookback of the query is out of range");
    }
    *out = (Steps){request->start_ms, request->step_ms, 1};
    if (request->step_ms == 0) return true;
    int64_t points_max =
        request->limits.points_max > 0 ? request->limits.points_max : LIMIT_QUERY_POINTS;
    int64_t more = (request->end_ms - request->start_ms) / request->step_ms;
    if (more > points_max) {
        AUTO(builder_free) Builder shown = {0};
        add_with_commas(points_max, &shown);
        return error_set(err, ERROR_BAD_INPUT,
                         "exceeded maximum resolution of %.*s points per timeseries. Try "
                         "decreasing the query resolution (?step=XX)",
                         TEXT_ARG(builder_text(&shown)));
    }
    out->count = (size_t)more + 1;
    return true;
}

static bool check_stable(const Promql *promql, SourceRange *where, Error *err) {
    if (promql->experimental.len == 0) return true;
    if (where != NULL) *where = promql->experimental_at;
    SourcePlace place = source_place(promql->text, promql->experimental_at.from);
    return error_set(err, ERROR_BAD_INPUT,
                     "%zu:%zu: parse error: %.*s is experimental in Prometheus, and switched off "
                     "here (query.experimental)",
                     place.line, place.column, TEXT_ARG(promql->experimental));
}

static Texts notes_of(const Text *notes, size_t count, Arena *arena) {
    Text *copies = arena_push_array(arena, Text, count);
    if (count > 0) memcpy(copies, notes, count * sizeof *copies);
    return (Texts){copies, count};
}

static bool exec_go_on(void *context, Error *err) {
    return exec_tick(context, err);
}

static void begin_counts(Exec *exec) {
    if (!exec->request->count_steps) return;
    exec->counts = arena_push(exec->arena, StepCounts);
    exec->counts->at = arena_push_array(exec->arena, _Atomic uint64_t, exec->steps.count);
}

static void end_counts(const Exec *exec, const QueryResult *result, QueryStats *out) {
    if (exec->counts == NULL) return;
    size_t count = exec->steps.count;
    uint64_t *steps = arena_push_array(exec->arena, uint64_t, count);
    for (size_t i = 0; i < count; i++)
        out->looked_at += steps[i] = atomic_load(&exec->counts->at[i]);
    uint64_t points = 0;
    for (size_t i = 0; i < result->count; i++) points += result->series[i].count;
    out->peak_samples = MAX((uint64_t)atomic_load(&exec->counts->held_most), points);
    out->steps = steps;
    out->step_count = count;
}

bool query_run(SeriesStore *store, const QueryRequest *request, Arena *arena, QueryResult *out,
               SourceRange *where, Error *err) {
    *out = (QueryResult){0};
    if (where != NULL) *where = (SourceRange){0, 0};
    AUTO(promql_close) Promql promql = {0};
    AUTO(exec_close)
    Exec exec = {
        .store = store,
        .request = request,
        .text = request->text,
        .arena = arena,
        .lookback_ms = request->lookback_ms > 0 ? request->lookback_ms : LOOKBACK_MS,
        .memory_max = request->limits.memory_bytes,
        .arena_before = (int64_t)arena->bytes,
        .meter = {.most = request->limits.bytes_max, .named = "query.bytes", .go_on = exec_go_on},
    };
    exec.meter.context = &exec;
    exec.downsampled = &exec.own_downsampled;
    int64_t began_ns = now_ns(request);
    exec.deadline_ns =
        began_ns +
        (request->limits.time_ms > 0 ? request->limits.time_ms : LIMIT_QUERY_TIME_MS) * 1000000;
    TRY(promql_parse(request->text, arena, &promql, where, err));
    if (request->stable_only) TRY(check_stable(&promql, where, err));
    int64_t parsed_ns = now_ns(request);
    TRY(steps_of(request, &exec.steps, err));
    TRY(promql_resolve(&promql, request->step_ms, request->end_ms - request->start_ms, where, err));
    TRY(random_hash_key(&exec.hash_key, err));
    begin_counts(&exec);
    exec.opened_ns = parsed_ns;
    plan_begin(&exec);
    bool ran = run_root(&exec, promql.root, out, err);
    out->plan = plan_end(&exec);
    out->stats = (QueryStats){.series = exec.series,
                              .samples = exec.samples,
                              .bytes = atomic_load(&exec.meter.bytes),
                              .downsampled = atomic_load(&exec.own_downsampled),
                              .parse_ns = parsed_ns - began_ns,
                              .run_ns = now_ns(request) - parsed_ns,
                              .memory_peak_bytes = exec.memory_peak,
                              .open_ns = exec.opened_ns - parsed_ns,
                              .sort_ns = exec.sort_ns};
    end_counts(&exec, out, &out->stats);
    if (!ran) return false;
    out->warnings = notes_of(exec.warnings.at, exec.warnings.count, arena);
    out->infos = notes_of(exec.infos.at, exec.infos.count, arena);
    return true;
}
