// The `_over_time` kernels. Sums are made anew for each window, compensated, so that they never
// drift; extremes use a monotonic queue, quantiles a sorted window that slides.

#include "query/exec/exec.h"

#include <stdlib.h>

// Asked now and then, as window_move does.
static bool is_over(const RangeInput *in, size_t more, size_t *work) {
    *work += more;
    if (likely(*work <= (size_t)WINDOW_WORK_MAX)) return false;
    *work = 0;
    return in->exec != NULL && exec_is_over(in->exec);
}

// The sums of all windows, two at a time: `sums` and `rests` have one per step. Windows without
// samples are 0. How many were summed: fewer when the query is over.
static size_t window_sums(const RangeInput *in, const WindowEdges *edges, double *sums,
                        double *rests) {
    size_t i = 0, work = 0;
    for (; i + 2 <= in->steps.count; i += 2) {
        const double *a = in->values + edges[i].from, *b = in->values + edges[i + 1].from;
        size_t a_count = edges[i].to - edges[i].from, b_count = edges[i + 1].to - edges[i + 1].from;
        size_t both = MIN(a_count, b_count);
        if (is_over(in, a_count + b_count, &work)) return i;
        KahanPair pair = {{0, 0}, {0, 0}};
        for (size_t j = 0; j < both; j++) kahan_pair_add(&pair, (DoublePair){a[j], b[j]});
        KahanSum first = {pair.sum[0], pair.rest[0]}, again = {pair.sum[1], pair.rest[1]};
        for (size_t j = both; j < a_count; j++) kahan_add(&first, a[j]);
        for (size_t j = both; j < b_count; j++) kahan_add(&again, b[j]);
        sums[i] = first.sum;
        rests[i] = first.rest;
        sums[i + 1] = again.sum;
        rests[i + 1] = again.rest;
    }
    for (; i < in->steps.count; i++) {
        KahanSum sum = {0};
        for (size_t j = edges[i].from; j < edges[i].to; j++) kahan_add(&sum, in->values[j]);
        sums[i] = sum.sum;
        rests[i] = sum.rest;
    }
    return i;
}

// Those that are known, or found.
static const WindowEdges *edges_of(const RangeInput *in) {
    if (in->edges != NULL) return in->edges;
    WindowEdges *edges = arena_push_array_raw(in->scratch, WindowEdges, in->steps.count);
    windows_find(in, edges, NULL);
    return edges;
}

void range_sum(const RangeInput *in, double *out) {
    const WindowEdges *edges = edges_of(in);
    double *rests = arena_push_array_raw(in->scratch, double, in->steps.count);
    size_t summed = window_sums(in, edges, out, rests);
    for (size_t i = 0; i < in->steps.count; i++) {
        if (edges[i].to == edges[i].from || i >= summed) {
            out[i] = ABSENT;
        } else if (!isinf(out[i])) {
            out[i] += rests[i];
        }
    }
}

// The plain mean of a compensated sum; when the sum overflows, the mean is updated by each value
// instead.
static double mean(const double *values, size_t count) {
    KahanSum sum = {values[0], 0};
    bool incremental = false;
    for (size_t i = 1; i < count; i++) {
        double n = (double)(i + 1);
        if (!incremental) {
            KahanSum next = sum;
            kahan_add(&next, values[i]);
            if (!isinf(next.sum)) {
                sum = next;
                continue;
            }
            incremental = true;
            sum.sum /= n - 1;
            sum.rest /= n - 1;
        }
        double share = (n - 1) / n;
        sum = (KahanSum){share * sum.sum, share * sum.rest};
        kahan_add(&sum, values[i] / n);
    }
    return incremental ? sum.sum + sum.rest : sum.sum / (double)count + sum.rest / (double)count;
}

void range_avg(const RangeInput *in, double *out) {
    const WindowEdges *edges = edges_of(in);
    double *rests = arena_push_array_raw(in->scratch, double, in->steps.count);
    size_t summed = window_sums(in, edges, out, rests);
    for (size_t i = 0; i < in->steps.count; i++) {
        size_t count = edges[i].to - edges[i].from;
        if (count == 0 || i >= summed) {
            out[i] = ABSENT;
        } else if (isfinite(out[i]) && out[i] != 0) {  // of -0 alone the mean is -0
            out[i] = out[i] / (double)count + rests[i] / (double)count;
        } else {
            out[i] = mean(in->values + edges[i].from, count);
        }
    }
}

static double variance(const double *values, size_t count) {
    double n = 0;
    KahanSum average = {0}, squares = {0};
    for (size_t i = 0; i < count; i++) {
        n++;
        double delta = values[i] - (average.sum + average.rest);
        kahan_add(&average, delta / n);
        kahan_add(&squares, delta * (values[i] - (average.sum + average.rest)));
    }
    return (squares.sum + squares.rest) / n;
}

void range_stdvar(const RangeInput *in, double *out) {
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        out[i] = window.to == window.from
                     ? ABSENT
                     : variance(in->values + window.from, window.to - window.from);
    }
}

void range_stddev(const RangeInput *in, double *out) {
    range_stdvar(in, out);
    for (size_t i = 0; i < in->steps.count; i++) {
        if (!is_absent(out[i])) out[i] = sqrt(out[i]);
    }
}

// Is `a` as good an answer as `b`, which came earlier? NaN is only ever the answer when there is
// nothing else; of equal values the younger one wins.
static inline bool at_least(double a, double b, bool largest, bool any_nan) {
    if (any_nan && isnan(b)) return true;
    if (any_nan && isnan(a)) return false;
    return largest ? a >= b : a <= b;
}

static bool has_nan(const double *values, size_t count) {
    bool any = false;
    for (size_t i = 0; i < count; i++) any |= values[i] != values[i];
    return any;
}

// queue[head … tail): places of samples, each a better answer than all behind it (a monotonic
// queue).
static inline void extremes_with(const RangeInput *in, double *out, bool largest, bool time_wanted,
                                 bool any_nan) {
    size_t *queue = arena_push_array_raw(in->scratch, size_t, in->count + 1);
    size_t head = 0, tail = 0, taken = 0;
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        for (; taken < window.to; taken++) {
            while (tail > head &&
                   at_least(in->values[taken], in->values[queue[tail - 1]], largest, any_nan))
                tail--;
            queue[tail++] = taken;
        }
        while (head < tail && queue[head] < window.from) head++;
        if (window.to == window.from) {
            out[i] = ABSENT;
        } else {
            out[i] = time_wanted ? (double)in->times[queue[head]] / 1000 : in->values[queue[head]];
        }
    }
}

static inline double better(double older, double younger, bool largest) {
    if (largest) return older > younger ? older : younger;
    return older < younger ? older : younger;
}

// The values alone, where all are numbers, without a branch that depends on them: samples [from,
// split) of a window have their extremes up to `split` in `rest`, those behind it one in `back`. When
// the window leaves `split` behind, `rest` is made anew (the queue of two stacks).
static inline void extreme_values(const RangeInput *in, double *out, bool largest) {
    double *rest = arena_push_array_raw(in->scratch, double, in->count + 1);
    const double *values = in->values;
    double back = 0;
    size_t split = 0, taken = 0;
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        size_t from = window.from, to = window.to;
        out[i] = ABSENT;
        if (to == from) continue;
        if (from >= split) {
            rest[to - 1] = values[to - 1];
            for (size_t j = to - 1; j-- > from;) rest[j] = better(values[j], rest[j + 1], largest);
            split = taken = to;
        }
        for (; taken < to; taken++)
            back = taken == split ? values[taken] : better(back, values[taken], largest);
        out[i] = to == split ? rest[from] : better(rest[from], back, largest);
    }
}

static inline void extremes(const RangeInput *in, double *out, bool largest, bool time_wanted) {
    if (has_nan(in->values, in->count)) {
        extremes_with(in, out, largest, time_wanted, true);
    } else if (time_wanted) {
        extremes_with(in, out, largest, true, false);
    } else {
        extreme_values(in, out, largest);
    }
}

void range_min(const RangeInput *in, double *out) {
    extremes(in, out, false, false);
}
void range_max(const RangeInput *in, double *out) {
    extremes(in, out, true, false);
}
void range_time_of_min(const RangeInput *in, double *out) {
    extremes(in, out, false, true);
}
void range_time_of_max(const RangeInput *in, double *out) {
    extremes(in, out, true, true);
}

#define EACH_WINDOW(name, value)                                  \
    void name(const RangeInput *in, double *out) {                \
        Window window = {0};                                      \
        for (size_t i = 0; i < in->steps.count; i++) {            \
            window_move(&window, in, i);                          \
            out[i] = window.to == window.from ? ABSENT : (value); \
        }                                                         \
    }
EACH_WINDOW(range_count, (double)(window.to - window.from))
EACH_WINDOW(range_present, 1)
EACH_WINDOW(range_first, in->values[window.from])
EACH_WINDOW(range_last, in->values[window.to - 1])
EACH_WINDOW(range_time_of_first, (double)in->times[window.from] / 1000)
EACH_WINDOW(range_time_of_last, (double)in->times[window.to - 1] / 1000)
#undef EACH_WINDOW

// ---- Order statistics ----

// NaN before everything else.
static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    if (isnan(left) || isnan(right)) return (int)!!isnan(right) - (int)!!isnan(left);
    return (left > right) - (left < right);
}

void values_sort(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
}

double quantile_of_sorted(double q, const double *sorted, size_t count) {
    if (count == 0 || isnan(q)) return NAN;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    double rank = q * ((double)count - 1);
    double below = floor(rank);
    size_t lower = (size_t)fmax(0, below);
    size_t upper = MIN(lower + 1, count - 1);
    double weight = rank - below;
    return sorted[lower] * (1 - weight) + sorted[upper] * weight;
}

// The place of the first element that does not sort before `value`.
static size_t place_of(const double *sorted, size_t count, double value) {
    enum { FEW = 64 };  // are counted rather than searched: nothing to guess
    size_t low = 0, high = count;
    if (count <= FEW && !isnan(value)) {
        for (size_t i = 0; i < count; i++) low += !(sorted[i] >= value);  // NaN sorts first
        return low;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_value(&sorted[middle], &value) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// A sorted copy of the window that follows it: values are inserted and taken out by binary search.
typedef struct SortedWindow {
    double *at;
    size_t count, from, to;
} SortedWindow;

static void sorted_follow(SortedWindow *sorted, const RangeInput *in, Window window) {
    if (window.from >= sorted->to) {  // nothing is shared with the window before
        sorted->count = window.to - window.from;
        if (sorted->count > 0) {  // a series of histograms alone has no values at all
            memcpy(sorted->at, in->values + window.from, sorted->count * sizeof(double));
            values_sort(sorted->at, sorted->count);
        }
    } else {
        for (size_t i = sorted->from; i < window.from; i++) {
            size_t place = place_of(sorted->at, sorted->count, in->values[i]);
            memmove(sorted->at + place, sorted->at + place + 1,
                    (sorted->count - place - 1) * sizeof(double));
            sorted->count--;
        }
        for (size_t i = sorted->to; i < window.to; i++) {
            size_t place = place_of(sorted->at, sorted->count, in->values[i]);
            memmove(sorted->at + place + 1, sorted->at + place,
                    (sorted->count - place) * sizeof(double));
            sorted->at[place] = in->values[i];
            sorted->count++;
        }
    }
    sorted->from = window.from;
    sorted->to = window.to;
}

void range_quantile(const RangeInput *in, double *out) {
    SortedWindow sorted = {.at = arena_push_array_raw(in->scratch, double, in->count + 1)};
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        sorted_follow(&sorted, in, window);
        out[i] = window.to == window.from
                     ? ABSENT
                     : quantile_of_sorted(in->params[0][i], sorted.at, sorted.count);
    }
}

void range_mad(const RangeInput *in, double *out) {
    double *sorted = arena_push_array_raw(in->scratch, double, in->count + 1);
    Window window = {0};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&window, in, i);
        size_t count = window.to - window.from;
        out[i] = ABSENT;
        if (count == 0) continue;
        memcpy(sorted, in->values + window.from, count * sizeof(double));
        values_sort(sorted, count);
        double median = quantile_of_sorted(0.5, sorted, count);
        bool any_nan = isnan(sorted[0]);
        for (size_t j = 0; j < count; j++) sorted[j] = fabs(sorted[j] - median);
        values_sort(sorted, count);
        out[i] = any_nan ? NAN : quantile_of_sorted(0.5, sorted, count);
    }
}
