// rate, increase, irate and resets of counters that say when their counting began.
//
//        ┌ began          ┌ began again
//   ─────┼───●──────●─────┼──●──────●──   a value that is higher than the one before is a reset all
//        0   5      9     0  12     14    the same; and the range begins with a zero at the first
//        start
//
// What a start means is decided between neighbours, after the test scripts of Prometheus:
//
//   behind the sample before               counting began anew: a reset
//   right at the sample before             a delta, so a reset too; unless the sample before does
//   not
//                                          know its own start (none, or one at or behind itself)
//   0, or at or behind its own sample      not known: only a value that fell tells
//
// A start inside the window, before its first sample, takes the place of extrapolation to the left.

#include "query/exec/exec.h"

bool start_is_reset(Started before, Started now) {
    if (now.start_ms == 0 || now.start_ms >= now.time_ms) return false;
    if (now.start_ms > before.time_ms) return true;
    return now.start_ms == before.time_ms && before.start_ms != 0 &&
           before.start_ms < before.time_ms;
}

static Started started(const RangeInput *in, size_t i) {
    return (Started){in->times[i], in->starts[i]};
}

static bool is_reset(const RangeInput *in, size_t i) {
    return in->values[i] < in->values[i - 1] || start_is_reset(started(in, i - 1), started(in, i));
}

// Samples before which counting began anew.
typedef struct Resets {
    size_t *at;
    size_t count;
    size_t first;  // of the current window; only moves forward
} Resets;

static Resets resets_find(const RangeInput *in) {
    Resets resets = {0};
    for (size_t i = 1; i < in->count; i++) resets.count += is_reset(in, i);
    resets.at = arena_push_array_raw(in->scratch, size_t, resets.count);
    size_t found = 0;
    for (size_t i = 1; i < in->count; i++) {
        if (is_reset(in, i)) resets.at[found++] = i;
    }
    return resets;
}

double start_extrapolation(const RangeInput *in, int64_t start_ms, int64_t last_ms, int64_t end_ms,
                           double between, bool is_rate) {
    double sampled = (double)(last_ms - start_ms) / 1000;
    double to_end = (double)(end_ms - last_ms) / 1000;
    if (to_end >= between * 1.1) to_end = between / 2;
    double factor = (sampled + to_end) / sampled;
    return is_rate ? factor / ((double)in->range_ms / 1000) : factor;
}

void range_rate_starts(const RangeInput *in, double *out, bool is_rate) {
    Resets resets = resets_find(in);
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = ABSENT;
        if (window.to == window.from) continue;
        size_t first = window.from, last = window.to - 1;
        bool from_zero = start_is_inside(started(in, first), window.start_ms);
        if (first == last && !from_zero) continue;
        double result = in->values[last] - (from_zero ? 0 : in->values[first]);
        while (resets.first < resets.count && resets.at[resets.first] <= first) resets.first++;
        for (size_t j = resets.first; j < resets.count && resets.at[j] <= last; j++)
            result += in->values[resets.at[j] - 1];
        if (!from_zero) {
            WindowReach reach = in->reaches != NULL ? in->reaches[i] : range_reach(in, &window);
            out[i] = range_extrapolated(in, reach, in->values[first], result, true, is_rate);
            continue;
        }
        double between = first == last ? 0
                                       : (double)(in->times[last] - in->times[first]) / 1000 /
                                             (double)(last - first);
        out[i] = result * start_extrapolation(in, in->starts[first], in->times[last], window.end_ms,
                                              between, is_rate);
    }
}

void range_irate_starts(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = ABSENT;
        if (window.to - window.from < 2) continue;
        size_t last = window.to - 1;
        double seconds = (double)(in->times[last] - in->times[last - 1]) / 1000;
        double before = is_reset(in, last) ? 0 : in->values[last - 1];
        out[i] = (in->values[last] - before) / seconds;
    }
}

void range_resets_starts(const RangeInput *in, double *out) {
    Resets resets = resets_find(in);
    size_t behind = 0;  // resets before the end of the window
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        while (resets.first < resets.count && resets.at[resets.first] <= window.from)
            resets.first++;
        while (behind < resets.count && resets.at[behind] < window.to) behind++;
        out[i] = window.to == window.from ? ABSENT
                 : behind > resets.first  ? (double)(behind - resets.first)
                                          : 0;
    }
}

// ---- Contradictions ----

static bool overlaps(const RangeInput *in, size_t i) {
    return in->starts[i] != 0 && in->starts[i] < in->times[i - 1] &&
           in->starts[i] != in->starts[i - 1];
}

static bool any_overlap(const RangeInput *in) {
    size_t at = 1;
    while (at < in->count && !overlaps(in, at)) at++;
    if (at >= in->count) return false;
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        while (at < in->count && (at <= window.from || !overlaps(in, at))) at++;
        if (at < window.to) return true;
    }
    return false;
}

bool range_starts_overlap(const RangeInput *in) {
    if (in->starts != NULL && any_overlap(in)) return true;
    if (in->histogram_count == 0) return false;
    int64_t *starts = arena_push_array_raw(in->scratch, int64_t, in->histogram_count);
    for (size_t i = 0; i < in->histogram_count; i++) starts[i] = in->histograms[i]->start_ms;
    RangeInput own = *in;
    own.times = in->histogram_times;
    own.count = in->histogram_count;
    own.starts = starts;
    own.edges = NULL;
    return any_overlap(&own);
}
