// rate, increase, delta and kin: differences over a window, extrapolated to its borders as
// Prometheus does.
//
// A counter's resets are few: their places are found once per series, and each window adds those
// that lie inside it, in order, so that the sum is the one a walk over all its samples would give.

#include "query/exec/exec.h"

// Samples that are lower than the one before them.
typedef struct Falls {
    size_t *at;
    size_t count;
    size_t first;  // of the current window; only moves forward
} Falls;

static Falls falls_find(const RangeInput *in) {
    Falls falls = {0};
    for (size_t i = 1; i < in->count; i++) falls.count += in->values[i] < in->values[i - 1];
    if (falls.count == 0) return falls;
    falls.at = arena_push_array_raw(in->scratch, size_t, falls.count);
    size_t found = 0;
    for (size_t i = 1; i < in->count; i++) {
        if (in->values[i] < in->values[i - 1]) falls.at[found++] = i;
    }
    return falls;
}

// Half a sample interval is assumed beyond the first and the last sample when the border is further
// away than that. It follows from the times alone, so that neighbours share it.
WindowReach range_reach(const RangeInput *in, const Window *window) {
    size_t last = window->to - 1;
    double to_start = (double)(in->times[window->from] - window->start_ms) / 1000;
    double to_end = (double)(window->end_ms - in->times[last]) / 1000;
    double sampled = (double)(in->times[last] - in->times[window->from]) / 1000;
    double between = sampled / (double)(last - window->from);
    double threshold = between * 1.1;
    if (to_start >= threshold) to_start = between / 2;
    if (to_end >= threshold) to_end = between / 2;
    return (WindowReach){sampled, to_start, to_end};
}

void windows_find(const RangeInput *in, WindowEdges *edges, WindowReach *reaches) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        edges[i] = (WindowEdges){window.from, window.to};
        if (reaches != NULL && window.to - window.from >= 2) reaches[i] = range_reach(in, &window);
    }
}

// A counter is never extrapolated below zero.
double range_extrapolated(const RangeInput *in, WindowReach reach, double first, double result,
                          bool is_counter, bool is_rate) {
    double to_start = reach.to_start;
    if (is_counter) {
        double to_zero = to_start;
        if (result > 0 && first >= 0) to_zero = reach.sampled * (first / result);
        if (to_zero < to_start) to_start = to_zero;
    }
    double factor = (reach.sampled + to_start + reach.to_end) / reach.sampled;
    if (is_rate) factor /= (double)in->range_ms / 1000;
    return result * factor;
}

static void differences(const RangeInput *in, double *out, bool is_counter, bool is_rate) {
    Falls falls = is_counter ? falls_find(in) : (Falls){0};
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = ABSENT;
        if (window.to - window.from < 2) continue;
        double result = in->values[window.to - 1] - in->values[window.from];
        while (falls.first < falls.count && falls.at[falls.first] <= window.from) falls.first++;
        for (size_t j = falls.first; j < falls.count && falls.at[j] < window.to; j++)
            result += in->values[falls.at[j] - 1];
        WindowReach reach =
            in->reaches != NULL ? in->reaches[i] : range_reach(in, &window);
        out[i] = range_extrapolated(in, reach, in->values[window.from], result, is_counter, is_rate);
    }
}

void range_rate(const RangeInput *in, double *out) {
    if (in->starts != NULL) {
        range_rate_starts(in, out, true);
    } else {
        differences(in, out, true, true);
    }
}
void range_increase(const RangeInput *in, double *out) {
    if (in->starts != NULL) {
        range_rate_starts(in, out, false);
    } else {
        differences(in, out, true, false);
    }
}
void range_delta(const RangeInput *in, double *out) {
    differences(in, out, false, false);
}

static void last_two(const RangeInput *in, double *out, bool is_rate) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = ABSENT;
        if (window.to - window.from < 2) continue;
        double last = in->values[window.to - 1], before = in->values[window.to - 2];
        double seconds = (double)(in->times[window.to - 1] - in->times[window.to - 2]) / 1000;
        if (!is_rate) {
            out[i] = last - before;
        } else {
            out[i] = (last < before ? last : last - before) / seconds;
        }
    }
}

void range_irate(const RangeInput *in, double *out) {
    if (in->starts != NULL) {
        range_irate_starts(in, out);
    } else {
        last_two(in, out, true);
    }
}
void range_idelta(const RangeInput *in, double *out) {
    last_two(in, out, false);
}

void range_resets(const RangeInput *in, double *out) {
    if (in->starts != NULL) {
        range_resets_starts(in, out);
        return;
    }
    Falls falls = falls_find(in);
    size_t behind = 0;  // falls before the end of the window
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        while (falls.first < falls.count && falls.at[falls.first] <= window.from) falls.first++;
        while (behind < falls.count && falls.at[behind] < window.to) behind++;
        out[i] = window.to == window.from ? ABSENT
                 : behind > falls.first   ? (double)(behind - falls.first)
                                          : 0;
    }
}

void range_changes(const RangeInput *in, double *out) {
    // changed[i]: how many of samples 1 … i differ from the one before (two NaNs are equal).
    size_t *changed = arena_push_array_raw(in->scratch, size_t, in->count + 1);
    for (size_t i = 0; i < in->count; i++) {
        bool differs = i > 0 && in->values[i] != in->values[i - 1] &&
                       !(isnan(in->values[i]) && isnan(in->values[i - 1]));
        changed[i] = (i > 0 ? changed[i - 1] : 0) + differs;
    }
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = window.to == window.from ? ABSENT
                                          : (double)(changed[window.to - 1] - changed[window.from]);
    }
}
