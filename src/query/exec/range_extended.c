// Ranges that reach beyond their borders: `anchored` takes the last sample before the range as its
// beginning, `smoothed` puts interpolated values on both borders. Nothing is extrapolated.
//
//      before ▼ start        samples inside         end ▼ behind
//   ─────●────┼─────●──────────●──────────●─────────────┼──────●───
//     anchored: from the sample before the start to the last one inside
//     smoothed: ┼ and ┼ are on the lines between the samples around them
//
// A counter that fell between two samples began again at zero right behind the first of them.
// After the modifiers of Prometheus 3 (proposal "PROM-52"); samples before and behind are looked
// for no further away than the lookback.

#include "query/exec/exec.h"

#include "base/assert.h"

bool extended_reach_move(ExtendedReach *reach, const RangeInput *in, size_t i) {
    bool smoothed = in->extent == EXTENT_SMOOTHED;
    reach->end_ms = in->first_end_ms + (int64_t)i * in->step_ms;
    reach->start_ms = reach->end_ms - in->range_ms;
    int64_t to_ms = smoothed ? reach->end_ms + in->lookback_ms : reach->end_ms;
    while (reach->to < in->count && in->times[reach->to] <= to_ms) reach->to++;
    while (reach->from < reach->to && in->times[reach->from] <= reach->start_ms - in->lookback_ms)
        reach->from++;
    while (reach->inside < in->count && in->times[reach->inside] <= reach->start_ms)
        reach->inside++;
    while (reach->behind < in->count && in->times[reach->behind] < reach->end_ms) reach->behind++;
    if (reach->from == reach->to) return false;
    reach->last = smoothed ? MIN(reach->behind, reach->to - 1) : reach->to - 1;
    size_t inside = MIN(reach->inside, reach->to - 1);
    reach->first = inside > reach->from ? inside - 1 : reach->from;
    return in->times[reach->last] > reach->start_ms && in->times[reach->first] <= reach->end_ms;
}

// The value at `time_ms` on the line from sample `i` to the next one.
static double between(const RangeInput *in, size_t i, int64_t time_ms, bool is_counter) {
    double before = in->values[i], after = in->values[i + 1];
    if (is_counter && after < before) before = 0;
    double share = (double)(time_ms - in->times[i]) / (double)(in->times[i + 1] - in->times[i]);
    return before + (after - before) * share;
}

static double value_at_start(const RangeInput *in, const ExtendedReach *reach, bool is_counter) {
    if (in->extent != EXTENT_SMOOTHED || in->times[reach->first] >= reach->start_ms)
        return in->values[reach->first];
    return between(in, reach->first, reach->start_ms, is_counter);
}

static double value_at_end(const RangeInput *in, const ExtendedReach *reach, bool is_counter) {
    if (in->extent != EXTENT_SMOOTHED || in->times[reach->last] <= reach->end_ms)
        return in->values[reach->last];
    return between(in, reach->last - 1, reach->end_ms, is_counter);
}

// Samples that stand between the values at the borders: [*from, *to).
static void samples_between(const RangeInput *in, const ExtendedReach *reach, size_t *from,
                            size_t *to) {
    *from = in->times[reach->first] <= reach->start_ms ? reach->first + 1 : reach->first;
    *to = in->times[reach->last] >= reach->end_ms ? reach->last : reach->last + 1;
}

static void differences(const RangeInput *in, double *out, bool is_counter, bool is_rate) {
    ExtendedReach reach = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        out[i] = ABSENT;
        if (!extended_reach_move(&reach, in, i)) continue;
        double left = value_at_start(in, &reach, is_counter);
        double right = value_at_end(in, &reach, is_counter);
        double lost = 0, before = left;
        size_t from, to;
        samples_between(in, &reach, &from, &to);
        for (size_t j = from; j < to && is_counter; j++) {
            if (in->values[j] < before) lost += before;
            before = in->values[j];
        }
        if (is_counter && right < before) lost += before;
        out[i] = right - left + lost;
        if (is_rate) out[i] /= (double)in->range_ms / 1000;
    }
}

static void extended_rate(const RangeInput *in, double *out) {
    differences(in, out, true, true);
}
static void extended_increase(const RangeInput *in, double *out) {
    differences(in, out, true, false);
}
static void extended_delta(const RangeInput *in, double *out) {
    differences(in, out, false, false);
}

static void count_pairs(const RangeInput *in, double *out, bool (*counts)(double, double)) {
    ExtendedReach reach = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        out[i] = ABSENT;
        if (!extended_reach_move(&reach, in, i)) continue;
        size_t found = 0;
        for (size_t j = reach.first; j < reach.last; j++)
            found += counts(in->values[j], in->values[j + 1]);
        out[i] = (double)found;
    }
}

static bool differs(double before, double after) {
    return before != after && !(isnan(before) && isnan(after));
}
static bool falls(double before, double after) {
    return after < before;
}

static void anchored_changes(const RangeInput *in, double *out) {
    count_pairs(in, out, differs);
}
static void anchored_resets(const RangeInput *in, double *out) {
    count_pairs(in, out, falls);
}

void range_extended_points(const RangeInput *in, RangeSeries *series) {
    if (in->histogram_count > 0) {
        range_extended_histogram_points(in, series);
        return;
    }
    ExtendedReach reach = {0};
    size_t count = 0, from, to;
    if (extended_reach_move(&reach, in, 0)) {
        samples_between(in, &reach, &from, &to);
        int64_t *times = arena_push_array_raw(in->scratch, int64_t, to - from + 2);
        double *values = arena_push_array_raw(in->scratch, double, to - from + 2);
        times[count] = reach.start_ms;
        values[count++] = value_at_start(in, &reach, false);
        for (size_t i = from; i < to; i++) {
            times[count] = in->times[i];
            values[count++] = in->values[i];
        }
        times[count] = reach.end_ms;
        values[count++] = value_at_end(in, &reach, false);
        series->times = times;
        series->values = values;
    }
    series->count = count;
}

// ---- Which functions can do it ----

typedef struct ExtendedRow {
    FunctionId id;
    RangeKernel kernel;
    bool smoothed;  // and not only anchored
} ExtendedRow;

// In the order in which the error names them.
static const ExtendedRow rows[] = {
    {FUNCTION_CHANGES, anchored_changes, false},  {FUNCTION_DELTA, extended_delta, true},
    {FUNCTION_INCREASE, extended_increase, true}, {FUNCTION_RATE, extended_rate, true},
    {FUNCTION_RESETS, anchored_resets, false},
};

bool range_extended_kernel(const Function *function, Extent extent, RangeKernel *kernel,
                           Error *err) {
    if (extent == EXTENT_PLAIN) return true;
    AUTO(builder_free) Builder able = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (extent == EXTENT_SMOOTHED && !rows[i].smoothed) continue;
        if (rows[i].id == function->id) {
            *kernel = rows[i].kernel;
            return true;
        }
        if (able.len > 0) builder_add(&able, TEXT(", "));
        builder_add(&able, functions[rows[i].id].name);
    }
    return error_set(err, ERROR_BAD_INPUT,
                     "%s modifier can only be used with: %.*s - not with %.*s",
                     extent == EXTENT_SMOOTHED ? "smoothed" : "anchored",
                     TEXT_ARG(builder_text(&able)), TEXT_ARG(function->name));
}
