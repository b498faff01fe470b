// Answers from tiers: windows of five minutes or an hour in the place of samples
// (docs/decisions/0022-downsampled-tiers.md).
//
// A window counts where its end lies in the range, so that each edge of a range stands for the
// multiple of the tier before it. Most kernels run as they are over one column of the windows;
// those below need more of them.

#include "query/exec/exec.h"

// ---- Who can be answered ----

typedef struct TierRow {
    FunctionId id;
    RangeKernel kernel;  // NULL: times are enough
    SeriesPart value;    // what stands for the value of a window
    uint32_t wanted;     // and what else is read, as bits
} TierRow;

enum {
    COUNTER = 1u << WINDOW_FIRST | 1u << WINDOW_LAST | 1u << WINDOW_FIRST_AGO |
              1u << WINDOW_LAST_AGO | 1u << WINDOW_FELL
};

static void tier_avg(const RangeInput *in, double *out);
static void tier_time_of_first(const RangeInput *in, double *out);
static void tier_time_of_last(const RangeInput *in, double *out);
static void tier_rate(const RangeInput *in, double *out);
static void tier_increase(const RangeInput *in, double *out);
static void tier_delta(const RangeInput *in, double *out);
static void tier_resets(const RangeInput *in, double *out);

static const TierRow rows[] = {
    {FUNCTION_SUM_OVER_TIME, range_sum, WINDOW_SUM, 0},
    {FUNCTION_COUNT_OVER_TIME, range_sum, WINDOW_COUNT, 0},
    {FUNCTION_AVG_OVER_TIME, tier_avg, WINDOW_SUM, 0},
    {FUNCTION_MIN_OVER_TIME, range_min, WINDOW_LEAST, 0},
    {FUNCTION_MAX_OVER_TIME, range_max, WINDOW_GREATEST, 0},
    {FUNCTION_FIRST_OVER_TIME, range_first, WINDOW_FIRST, 0},
    {FUNCTION_LAST_OVER_TIME, range_last, WINDOW_LAST, 0},
    {FUNCTION_PRESENT_OVER_TIME, range_present, WINDOW_COUNT, 0},
    {FUNCTION_ABSENT_OVER_TIME, NULL, WINDOW_COUNT, 0},
    {FUNCTION_TS_OF_FIRST_OVER_TIME, tier_time_of_first, WINDOW_COUNT, 1u << WINDOW_FIRST_AGO},
    {FUNCTION_TS_OF_LAST_OVER_TIME, tier_time_of_last, WINDOW_COUNT, 1u << WINDOW_LAST_AGO},
    {FUNCTION_RATE, tier_rate, WINDOW_LAST, COUNTER},
    {FUNCTION_INCREASE, tier_increase, WINDOW_LAST, COUNTER},
    {FUNCTION_DELTA, tier_delta, WINDOW_LAST, COUNTER},
    {FUNCTION_RESETS, tier_resets, WINDOW_LAST, COUNTER | 1u << WINDOW_RESETS},
};

static const TierRow *row_of(const Expr *selector, const Function *over) {
    if (over == NULL || selector->as.selector.extent != EXTENT_PLAIN) return NULL;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].id == over->id) return &rows[i];
    }
    return NULL;
}

RangeKernel tier_kernel(const Expr *selector, const Function *over) {
    const TierRow *row = row_of(selector, over);
    return row == NULL ? NULL : row->kernel;
}

int64_t tiers_most_ms(const Exec *exec, const Expr *selector, Steps steps, const Function *over) {
    int64_t most_ms = exec->request->max_resolution_ms;
    bool matrix = selector->type == VALUE_MATRIX;
    if (matrix && row_of(selector, over) == NULL) return 0;
    if (!matrix && selector->as.selector.extent != EXTENT_PLAIN) return 0;
    if (matrix) most_ms = MIN(most_ms, selector->as.selector.range_ms);
    // What one moment looks at is as near as it can be.
    if (!matrix && steps.step_ms == 0) return 0;
    return steps.step_ms > 0 ? MIN(most_ms, steps.step_ms) : most_ms;
}

// ---- What is said of it ----

static const char *tier_name(int64_t tier_ms) {
    return tier_ms == series_tiers_ms[0] ? "5m" : tier_ms == series_tiers_ms[1] ? "1h" : "a tier";
}

static void note_parts(Operator *operator, Labels labels, const SeriesParts *parts) {
    Exec *exec = operator->exec;
    SourceRange range = operator->expr->range;
    int64_t before_ms = 0;
    for (size_t i = 0; i < parts->count; i++) {
        int64_t tier_ms = parts->tiers_ms[i];
        if (tier_ms == before_ms || tier_ms == 0) continue;
        before_ms = tier_ms;
        exec_note(exec, NOTE_INFO, range,
                  "answered in part from samples of %s, not from those that came",
                  tier_name(tier_ms));
    }
    if (parts->histograms == 0) return;
    Text name = text_slice(labels_get(labels, LABEL_NAME), 0, 200);
    exec_note(exec, NOTE_WARNING, range,
              "native histograms are not in samples of %s: those of \"%.*s\" are missing where "
              "there is nothing else",
              tier_name(before_ms), TEXT_ARG(name));
}

static void note_refused(Operator *operator, const Function * over) {
    AUTO(arena_free) Arena scratch = {0};
    Text what = over == NULL ? TEXT("this") : text_format(&scratch, "%.*s()", TEXT_ARG(over->name));
    exec_note(operator->exec, NOTE_WARNING, operator->expr->range,
              "%.*s needs samples as they came; where only samples of 5m or 1h are left of them "
              "there is no answer",
              TEXT_ARG(what));
}

// ---- Reading ----

static void count_windows(Exec *exec, const SeriesParts *parts) {
    atomic_fetch_add_explicit(exec->downsampled, parts->count - parts->samples,
                              memory_order_relaxed);
}

bool tier_read_range(Operator *operator, SeriesCursor * cursor, const SeriesFound *found,
                     const Function *over, int64_t from_ms, int64_t to_ms, SeriesParts *parts,
                     SeriesColumns *columns, Error *err) {
    const TierRow *row = row_of(operator->expr, over);
    uint32_t wanted = row == NULL ? 0 : row->wanted | 1u << row->value;
    TRY(series_read_parts(cursor, found, from_ms, to_ms, wanted, parts, columns, err));
    if (parts->count == 0) return true;
    if (row == NULL) {
        note_refused(operator, over);
        parts->count = 0;
        return true;
    }
    note_parts(operator, found->labels, parts);
    count_windows(operator->exec, parts);
    series_parts_columns(parts, row->value, columns);
    return true;
}

bool tier_read_moments(Operator *operator, SeriesCursor * cursor, const SeriesFound *found,
                       int64_t from_ms, int64_t to_ms, SeriesParts *parts, SeriesColumns *columns,
                       Error *err) {
    const uint32_t wanted = 1u << WINDOW_LAST | 1u << WINDOW_LAST_AGO;
    TRY(series_read_parts(cursor, found, from_ms, to_ms, wanted, parts, columns, err));
    if (parts->count == 0) return true;
    if (operator->expr->as.selector.extent != EXTENT_PLAIN) {
        note_refused(operator, NULL);
        parts->count = 0;
        return true;
    }
    note_parts(operator, found->labels, parts);
    count_windows(operator->exec, parts);
    return true;
}

bool tier_fill_moments(const SeriesParts *parts, int64_t first_ms, int64_t step_ms, Steps steps,
                       int64_t lookback_ms, bool timestamps, double *out) {
    size_t behind = 0;
    bool any = false;
    for (size_t i = 0; i < steps.count; i++) {
        int64_t moment = first_ms + (int64_t)i * step_ms;
        while (behind < parts->count && parts->ends_ms[behind] <= moment) behind++;
        out[i] = ABSENT;
        if (behind == 0) continue;
        size_t at = behind - 1;
        int64_t time_ms = parts->ends_ms[at] - (int64_t)parts->of[WINDOW_LAST_AGO][at];
        moment = series_tier_floor(parts->tiers_ms[at], moment);
        bool ended = parts->of[WINDOW_COUNT][at] == 0 || parts->of[WINDOW_ENDED_AGO][at] >= 0;
        if (ended || time_ms <= moment - lookback_ms) continue;
        out[i] = timestamps ? (double)time_ms / 1000 : parts->of[WINDOW_LAST][at];
        any = true;
    }
    return any;
}

// ---- Kernels ----

static void tier_avg(const RangeInput *in, double *out) {
    double *counts = arena_push_array_raw(in->scratch, double, in->steps.count);
    RangeInput counted = *in;
    counted.values = in->parts->of[WINDOW_COUNT];
    range_sum(in, out);
    range_sum(&counted, counts);
    for (size_t i = 0; i < in->steps.count; i++) {
        if (!is_absent(out[i])) out[i] /= counts[i];
    }
}

static double first_ms(const RangeInput *in, size_t i) {
    return (double)in->parts->ends_ms[i] - in->parts->of[WINDOW_FIRST_AGO][i];
}

static double last_ms(const RangeInput *in, size_t i) {
    return (double)in->parts->ends_ms[i] - in->parts->of[WINDOW_LAST_AGO][i];
}

static void tier_time_of_first(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = window.to == window.from ? ABSENT : first_ms(in, window.from) / 1000;
    }
}

static void tier_time_of_last(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = window.to == window.from ? ABSENT : last_ms(in, window.to - 1) / 1000;
    }
}

// As range_rate.c has it for samples, in the same order of adding. The range is the one that the
// windows fill: from the multiple of the tier before its start to the one before its end.
static double difference(const RangeInput *in, const Window *window, bool is_counter,
                         bool is_rate) {
    const SeriesParts *parts = in->parts;
    size_t from = window->from, last = window->to - 1;
    const double *firsts = parts->of[WINDOW_FIRST], *lasts = parts->of[WINDOW_LAST];
    double count = 0, result = lasts[last] - firsts[from];
    for (size_t i = from; i <= last; i++) {
        count += parts->of[WINDOW_COUNT][i];
        if (!is_counter) continue;
        if (i > from && firsts[i] < lasts[i - 1]) result += lasts[i - 1];
        result += parts->of[WINDOW_FELL][i];
    }
    if (count < 2) return ABSENT;
    double start_ms = (double)series_tier_floor(parts->tiers_ms[from], window->start_ms),
           end_ms = (double)series_tier_floor(parts->tiers_ms[last], window->end_ms);
    WindowReach reach = {(last_ms(in, last) - first_ms(in, from)) / 1000,
                         (first_ms(in, from) - start_ms) / 1000,
                         (end_ms - last_ms(in, last)) / 1000};
    double between = reach.sampled / (count - 1), threshold = between * 1.1;
    if (reach.to_start >= threshold) reach.to_start = between / 2;
    if (reach.to_end >= threshold) reach.to_end = between / 2;
    RangeInput filled = {.range_ms = (int64_t)(end_ms - start_ms)};
    double value = range_extrapolated(&filled, reach, firsts[from], result, is_counter, is_rate);
    // Of a range that the windows do not fill, as much more or less.
    if (!is_rate && filled.range_ms != in->range_ms)
        value *= (double)in->range_ms / (double)filled.range_ms;
    return value;
}

static void differences(const RangeInput *in, double *out, bool is_counter, bool is_rate) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = window.to == window.from ? ABSENT : difference(in, &window, is_counter, is_rate);
    }
}

static void tier_rate(const RangeInput *in, double *out) {
    differences(in, out, true, true);
}

static void tier_increase(const RangeInput *in, double *out) {
    differences(in, out, true, false);
}

static void tier_delta(const RangeInput *in, double *out) {
    differences(in, out, false, false);
}

static void tier_resets(const RangeInput *in, double *out) {
    const SeriesParts *parts = in->parts;
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        double resets = 0;
        for (size_t at = window.from; at < window.to; at++) {
            resets += parts->of[WINDOW_RESETS][at];
            resets +=
                at > window.from && parts->of[WINDOW_FIRST][at] < parts->of[WINDOW_LAST][at - 1];
        }
        out[i] = window.to == window.from ? ABSENT : resets;
    }
}
