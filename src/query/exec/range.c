// Functions over ranges: each series is read once, its kernel runs over all windows with two
// pointers.

#include "query/exec/exec.h"

#include "base/assert.h"

typedef struct RangeRow {
    FunctionId id;
    RangeKernel kernel;
    bool keeps_name;
    bool uses_time;   // of evaluation: with @, steps still differ
    int matrix;       // which argument is the matrix; the others are scalars
    SeriesWish wish;  // of the samples of a window: SERIES_EVERY: all of them
} RangeRow;

static const RangeRow rows[] = {
    {FUNCTION_RATE, range_rate, false, false, 0, SERIES_EVERY},
    {FUNCTION_INCREASE, range_increase, false, false, 0, SERIES_EVERY},
    {FUNCTION_DELTA, range_delta, false, false, 0, SERIES_EVERY},
    {FUNCTION_IRATE, range_irate, false, false, 0, SERIES_EVERY},
    {FUNCTION_IDELTA, range_idelta, false, false, 0, SERIES_EVERY},
    {FUNCTION_CHANGES, range_changes, false, false, 0, SERIES_EVERY},
    {FUNCTION_RESETS, range_resets, false, false, 0, SERIES_EVERY},
    {FUNCTION_DERIV, range_deriv, false, false, 0, SERIES_EVERY},
    {FUNCTION_PREDICT_LINEAR, range_predict_linear, false, true, 0, SERIES_EVERY},
    {FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING, range_smoothing, false, false, 0, SERIES_EVERY},
    {FUNCTION_HOLT_WINTERS, range_smoothing, false, false, 0, SERIES_EVERY},
    {FUNCTION_SUM_OVER_TIME, range_sum, false, false, 0, SERIES_EVERY},
    {FUNCTION_AVG_OVER_TIME, range_avg, false, false, 0, SERIES_EVERY},
    {FUNCTION_MIN_OVER_TIME, range_min, false, false, 0, SERIES_LEAST},
    {FUNCTION_MAX_OVER_TIME, range_max, false, false, 0, SERIES_GREATEST},
    {FUNCTION_TS_OF_MIN_OVER_TIME, range_time_of_min, false, false, 0, SERIES_EVERY},
    {FUNCTION_TS_OF_MAX_OVER_TIME, range_time_of_max, false, false, 0, SERIES_EVERY},
    {FUNCTION_COUNT_OVER_TIME, range_count, false, false, 0, SERIES_EVERY},
    {FUNCTION_PRESENT_OVER_TIME, range_present, false, false, 0, SERIES_NEWEST},
    {FUNCTION_FIRST_OVER_TIME, range_first, true, false, 0, SERIES_OLDEST},
    {FUNCTION_LAST_OVER_TIME, range_last, true, false, 0, SERIES_NEWEST},
    {FUNCTION_TS_OF_FIRST_OVER_TIME, range_time_of_first, false, false, 0, SERIES_EVERY},
    {FUNCTION_TS_OF_LAST_OVER_TIME, range_time_of_last, false, false, 0, SERIES_EVERY},
    {FUNCTION_STDDEV_OVER_TIME, range_stddev, false, false, 0, SERIES_EVERY},
    {FUNCTION_STDVAR_OVER_TIME, range_stdvar, false, false, 0, SERIES_EVERY},
    {FUNCTION_QUANTILE_OVER_TIME, range_quantile, false, false, 1, SERIES_EVERY},
    {FUNCTION_MAD_OVER_TIME, range_mad, false, false, 0, SERIES_EVERY},
};

typedef struct Range {
    Operator operator;
    const RangeRow *row;
    RangeKernel kernel;
    RangeKernel of_parts;  // for windows of tiers
    Extent extent;
    RangeSource *source;
    SourceRange matrix_range;
    double *params[2];
    int64_t first_end_ms, step_ms, range_ms;
    char hinted[128];  // the name looked at last, when it is no longer than this
    size_t hinted_len;
    bool starts;  // it looks at when counting began
    bool once;    // all steps see the same window: one is computed and repeated
    // Of the series before, whose times the next one may share.
    WindowEdges *edges;
    WindowReach *reaches;  // NULL: not asked for
} Range;

// A name that does not end like a counter's is worth a hint (rate and increase only).
static void hint_counter(Range *range, Labels labels) {
    static const Text endings[] = {TEXT_INIT("_total"), TEXT_INIT("_sum"), TEXT_INIT("_count"),
                                   TEXT_INIT("_bucket")};
    Text name = labels_get(labels, LABEL_NAME);
    if (name.len == 0 || text_equal(name, (Text){range->hinted, range->hinted_len})) return;
    range->hinted_len = name.len <= sizeof range->hinted ? name.len : 0;
    memcpy(range->hinted, name.at, range->hinted_len);
    for (size_t i = 0; i < COUNT(endings); i++) {
        if (text_ends_with(name, endings[i])) return;
    }
    exec_note(
        range->operator.exec, NOTE_INFO, range->matrix_range,
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"%.*s\"",
        TEXT_ARG(text_slice(name, 0, 200)));
}

static bool any_present(const double *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!is_absent(values[i])) return true;
    }
    return false;
}

// The one window that was computed is that of all steps. `histograms` has room for all of them.
static void repeat(Steps steps, double *values, const Histogram **histograms) {
    for (size_t i = 1; i < steps.count; i++) {
        values[i] = values[0];
        if (histograms != NULL) histograms[i] = histograms[0];
    }
}

static bool range_next(Operator *operator, StepBatch * out, Error *err) {
    Range *range = (Range *)operator;
    Exec *exec = operator->exec;
    size_t rows_max = batch_rows(operator->steps);
    Steps windows = operator->steps;
    if (range->once) windows.count = 1;
    out->at = arena_push_array_raw(&operator->batch, StepSeries, rows_max);
    bool hints = range->row->id == FUNCTION_RATE || range->row->id == FUNCTION_INCREASE;
    AUTO(arena_free) Arena scratch = {0};
    double *column = NULL;  // kept for the next series where one gave nothing
    while (out->count < rows_max) {
        RangeSeries series;
        bool more;
        TRY(range_source_next(range->source, &series, &more, err));
        if (!more) break;
        if (column == NULL) column = column_new(&operator->batch, operator->steps);
        RangeInput input = {.times = series.times,
                            .values = series.values,
                            .count = series.count,
                            .first_end_ms = range->first_end_ms,
                            .step_ms = range->step_ms,
                            .range_ms = range->range_ms,
                            .steps = windows,
                            .params = {range->params[0], range->params[1]},
                            .scratch = &scratch,
                            .exec = exec,
                            .extent = range->extent,
                            .lookback_ms = exec->lookback_ms,
                            .histogram_times = series.histogram_times,
                            .histograms = series.histograms,
                            .histogram_count = series.histogram_count,
                            .starts = series.starts,
                            .looks_at_starts = range->starts,
                            .parts = series.parts};
        if (series.count > 0) {
            WindowReach *reaches = series.parts == NULL ? range->reaches : NULL;
            if (!series.same_times) windows_find(&input, range->edges, reaches);
            input.edges = range->edges;
            input.reaches = reaches;
            (series.parts == NULL ? range->kernel : range->of_parts)(&input, column);
        } else {
            column_fill(column, operator->steps, ABSENT);
        }
        const Histogram **histograms = NULL;
        if (series.histogram_count > 0) {
            RangeHistograms with = {exec, range->row->id, range->matrix_range, series.labels,
                                    &operator->batch, operator->steps };
            if (range->extent == EXTENT_PLAIN) {
                TRY(range_histograms(&with, &input, column, &histograms, err));
            } else {
                TRY(range_extended_histograms(&with, &input, column, &histograms, err));
            }
        }
        if (range->starts && hints && range_starts_overlap(&input))
            note_starts_overlap(exec, range->matrix_range, series.labels);
        arena_clear(&scratch);
        if (range->once) repeat(operator->steps, column, histograms);
        if (!any_present(column, operator->steps.count) && histograms == NULL) continue;
        if (hints && series.count > 0) hint_counter(range, series.labels);
        StepSeries *made = &out->at[out->count++];
        Labels labels = series.labels;
        if (!series.lasting) labels.wire = bytes_copy(labels.wire, &operator->batch);
        *made = (StepSeries){labels, series.drop_name, series.lasting, column, histograms};
        column = NULL;
        if (!range->row->keeps_name) series_drop_name(exec, made, &operator->batch);
    }
    return true;
}

static bool check_smoothing(const Range *range, Error *err) {
    for (size_t step = 0; step < range->operator.steps.count; step++) {
        for (size_t i = 0; i < 2; i++) {
            double factor = range->params[i][step];
            if (factor > 0 && factor < 1) continue;
            return error_set(err, ERROR_BAD_INPUT,
                             "invalid %s factor. Expected: 0 < %s < 1, got: %f",
                             i == 0 ? "smoothing" : "trend", i == 0 ? "sf" : "tf", factor);
        }
    }
    return true;
}

static bool knows_starts(FunctionId id) {
    return id == FUNCTION_RATE || id == FUNCTION_INCREASE || id == FUNCTION_IRATE ||
           id == FUNCTION_RESETS;
}

bool range_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    const RangeRow *row = NULL;
    for (size_t i = 0; i < COUNT(rows) && row == NULL; i++) {
        if (rows[i].id == call->as.call.function->id) row = &rows[i];
    }
    assert(row != NULL);
    Range *range = operator_new(exec, Range, call, steps, range_next);
    range->row = row;
    const Expr *matrix = call->as.call.args[row->matrix];
    range->matrix_range = matrix->range;
    range->kernel = row->kernel;
    range->extent = matrix_extent(matrix);
    TRY(range_extended_kernel(call->as.call.function, range->extent, &range->kernel, err));
    size_t param = 0;
    for (size_t i = 0; i < call->as.call.arg_count; i++) {
        if ((int)i == row->matrix) continue;
        TRY(scalar_eval(exec, call->as.call.args[i], steps, &range->operator.keep,
                        &range->params[param++], err));
    }
    if (row->kernel == range_smoothing) TRY(check_smoothing(range, err));
    for (size_t step = 0; row->kernel == range_quantile && step < steps.count; step++) {
        double q = range->params[0][step];
        if (!(q >= 0 && q <= 1)) quantile_note(exec, call->as.call.args[0]->range, q);
    }
    const Function *over = call->as.call.function;
    TRY(range_source_open(exec, matrix, steps, over, &range->source, err));
    if (expr_inner(matrix)->kind == EXPR_SELECTOR)
        range->of_parts = tier_kernel(expr_inner(matrix), over);
    range->starts = exec->request->starts && range->extent == EXTENT_PLAIN && knows_starts(row->id);
    if (range->starts) range_source_want_starts(range->source);
    if (range->extent == EXTENT_PLAIN) range_source_wish(range->source, row->wish);
    range_windows(exec, expr_inner(matrix), steps, &range->first_end_ms, &range->step_ms,
                  &range->range_ms);
    range->edges = arena_push_array_raw(&range->operator.keep, WindowEdges, steps.count);
    if (range->kernel == range_rate || range->kernel == range_increase ||
        range->kernel == range_delta)
        range->reaches = arena_push_array_raw(&range->operator.keep, WindowReach, steps.count);
    range->once = range->step_ms == 0 && steps.count > 1 && param == 0 && !row->uses_time;
    range->operator.one_name = range_source_one_name(range->source);
    *out = row->keeps_name ? &range->operator: unique_open(exec, &range->operator);
    return true;
}
