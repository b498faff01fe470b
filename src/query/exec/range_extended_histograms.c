// anchored and smoothed over windows that hold native histograms.
//
// The float kernel has filled the column already, and is right wherever a window reaches floats
// alone. Here the samples of both kinds are put in one row, and each window that reaches a
// histogram is looked at again. A counter that was reset between two histograms began again at zero
// right behind the first of them, as for floats.

#include "query/exec/exec.h"

typedef struct Both {
    const RangeHistograms *with;
    RangeInput in;                       // times and values are of both kinds
    const Histogram *const *histograms;  // NULL: a float
    ExtendedReach reach;
} Both;

static void put_together(Both *both, const RangeInput *in) {
    size_t count = in->count + in->histogram_count;
    int64_t *times = arena_push_array_raw(in->scratch, int64_t, count);
    double *values = arena_push_array_raw(in->scratch, double, count);
    const Histogram **histograms = arena_push_array(in->scratch, const Histogram *, count);
    size_t floats = 0, own = 0;
    for (size_t i = 0; i < count; i++) {
        bool take_float = own == in->histogram_count ||
                          (floats < in->count && in->times[floats] < in->histogram_times[own]);
        times[i] = take_float ? in->times[floats] : in->histogram_times[own];
        values[i] = take_float ? in->values[floats++] : 0;
        if (!take_float) histograms[i] = in->histograms[own++];
    }
    both->in = *in;
    both->in.edges = NULL;
    both->in.reaches = NULL;
    both->in.times = times;
    both->in.values = values;
    both->in.count = count;
    both->histograms = histograms;
}

// How much of the way from sample `i` to the next one lies before `time_ms`.
static double share_of(const Both *both, size_t i, int64_t time_ms) {
    const int64_t *times = both->in.times;
    return (double)(time_ms - times[i]) / (double)(times[i + 1] - times[i]);
}

const Histogram *histogram_between(const Histogram *before, const Histogram *after, double share,
                                   bool is_counter, Arena *arena) {
    if (histogram_is_custom(before) != histogram_is_custom(after)) return NULL;
    if (is_counter && histogram_is_reset(after, before))
        return histogram_scaled(after, share, arena);
    HistogramSum sum;
    HistogramJoin join = {0};
    histogram_sum_begin(&sum, after, false, arena);
    if (!histogram_sum_add(&sum, before, -1, &join)) return NULL;
    histogram_sum_scale(&sum, share);
    if (!histogram_sum_add(&sum, before, 1, &join)) return NULL;
    return histogram_sum_end(&sum);
}

static void note_hints(const Both *both, bool is_counter) {
    const RangeHistograms *with = both->with;
    const Histogram *const *at = both->histograms;
    size_t first = both->reach.first, last = both->reach.last;
    bool any_gauge = false;
    for (size_t i = first; i <= last; i++) any_gauge |= at[i]->reset_hint == HISTOGRAM_RESET_GAUGE;
    bool gauges = at[first]->reset_hint == HISTOGRAM_RESET_GAUGE &&
                  at[last]->reset_hint == HISTOGRAM_RESET_GAUGE;
    if (is_counter && any_gauge) note_not_counter(with->exec, with->range, with->labels);
    if (!is_counter && !gauges) note_not_gauge(with->exec, with->range, with->labels);
}

// right - left, what a counter lost by resets added. NULL when they do not go together.
static const Histogram *difference(Both *both, bool is_counter) {
    const RangeHistograms *with = both->with;
    const Histogram *const *at = both->histograms;
    const ExtendedReach *reach = &both->reach;
    size_t first = reach->first, last = reach->last;
    bool smoothed = both->in.extent == EXTENT_SMOOTHED, same = true;
    bool left_between = smoothed && both->in.times[first] < reach->start_ms;
    bool right_between = smoothed && both->in.times[last] > reach->end_ms;
    note_hints(both, is_counter);
    for (size_t i = first + 1; i <= last; i++) {
        bool matters = is_counter || i == last || (i == first + 1 && left_between) ||
                       (i + 1 == last && right_between);
        same &= !matters || histogram_is_custom(at[i]) == histogram_is_custom(at[first]);
    }
    const Histogram *left = at[first], *right = at[last];
    if (same && left_between) {
        left = histogram_between(left, at[first + 1], share_of(both, first, reach->start_ms),
                                 is_counter, with->arena);
    }
    if (same && right_between) {
        right = histogram_between(at[last - 1], right, share_of(both, last - 1, reach->end_ms),
                                  is_counter, with->arena);
    }
    if (!same || left == NULL || right == NULL) {
        note_mixed_schemas(with->exec, with->range, with->labels);
        return NULL;
    }
    HistogramSum sum;
    HistogramJoin join = {0}, resets = {0};
    histogram_sum_begin(&sum, right, false, with->arena);
    // What was before a reset at once does not matter, not even its buckets.
    bool left_lost =
        is_counter && !left_between && first < last && histogram_is_reset(at[first + 1], at[first]);
    if (!left_lost && !histogram_sum_add(&sum, left, -1, &join)) return NULL;
    // A value between two samples has seen to the reset between them.
    size_t from = left_between || left_lost ? first + 2 : first + 1;
    for (size_t i = from; is_counter && i <= last; i++) {
        if (histogram_is_reset(at[i], at[i - 1]) && !histogram_sum_add(&sum, at[i - 1], 1, &resets))
            return NULL;
    }
    join.collision = resets.collision = false;
    note_join(with->exec, with->range, join, "subtraction");
    note_join(with->exec, with->range, resets, "addition");
    sum.head.reset_hint = HISTOGRAM_RESET_GAUGE;
    return histogram_sum_end(&sum);
}

static double changes_or_resets(const Both *both, bool resets) {
    const Histogram *const *at = both->histograms;
    const double *values = both->in.values;
    size_t found = 0;
    for (size_t i = both->reach.first + 1; i <= both->reach.last; i++) {
        if (at[i] != NULL && at[i - 1] != NULL) {
            found +=
                resets ? histogram_is_reset(at[i], at[i - 1]) : !histogram_equal(at[i], at[i - 1]);
        } else if (at[i] == NULL && at[i - 1] == NULL) {
            found +=
                resets ? values[i] < values[i - 1]
                       : values[i] != values[i - 1] && !(isnan(values[i]) && isnan(values[i - 1]));
        } else {
            found++;
        }
    }
    return (double)found;
}

bool range_extended_histograms(const RangeHistograms *with, const RangeInput *in, double *out,
                               const Histogram ***histograms, Error *err) {
    Both both = {.with = with};
    put_together(&both, in);
    for (size_t i = 0; i < in->steps.count; i++) {
        if (!extended_reach_move(&both.reach, &both.in, i)) continue;
        size_t own = 0;
        for (size_t j = both.reach.first; j <= both.reach.last; j++)
            own += both.histograms[j] != NULL;
        if (own == 0) continue;
        if (with->id == FUNCTION_CHANGES || with->id == FUNCTION_RESETS) {
            out[i] = changes_or_resets(&both, with->id == FUNCTION_RESETS);
            continue;
        }
        out[i] = ABSENT;
        if (own != both.reach.last - both.reach.first + 1) {
            note_mixed_range(with->exec, with->range, with->labels);
            continue;
        }
        const Histogram *result = difference(&both, with->id != FUNCTION_DELTA);
        TRY(exec_tick_histograms(with->exec, i, err));
        if (result == NULL) continue;
        if (with->id == FUNCTION_RATE)
            result = histogram_divided(result, (double)in->range_ms / 1000, with->arena);
        if (*histograms == NULL) *histograms = histogram_column_new(with->arena, with->steps);
        (*histograms)[i] = result;
    }
    return true;
}

// ---- A matrix as the answer ----

typedef struct Points {
    int64_t *times, *own_times;
    double *values;
    const Histogram **own;
    size_t count, own_count;
} Points;

static void add_point(Points *points, int64_t time_ms, double value, const Histogram *histogram) {
    if (histogram == NULL) {
        points->times[points->count] = time_ms;
        points->values[points->count++] = value;
    } else {
        points->own_times[points->own_count] = time_ms;
        points->own[points->own_count++] = histogram;
    }
}

// What stands at `time_ms` between sample `i` and the next one; nothing when they are of two kinds.
static void add_between(const Both *both, size_t i, int64_t time_ms, Points *points) {
    const Histogram *before = both->histograms[i], *after = both->histograms[i + 1];
    const double *values = both->in.values + i;
    double share = share_of(both, i, time_ms);
    if ((before == NULL) != (after == NULL)) return;
    if (before == NULL) {
        add_point(points, time_ms, values[0] + (values[1] - values[0]) * share, NULL);
        return;
    }
    const Histogram *made = histogram_between(before, after, share, false, both->in.scratch);
    if (made != NULL) add_point(points, time_ms, 0, made);
}

void range_extended_histogram_points(const RangeInput *in, RangeSeries *series) {
    Both both = {0};
    Points points = {0};
    ExtendedReach *reach = &both.reach;
    put_together(&both, in);
    if (extended_reach_move(reach, &both.in, 0)) {
        size_t first = reach->first, last = reach->last, room = last - first + 3;
        bool smoothed = in->extent == EXTENT_SMOOTHED;
        points = (Points){.times = arena_push_array_raw(in->scratch, int64_t, room),
                          .own_times = arena_push_array_raw(in->scratch, int64_t, room),
                          .values = arena_push_array_raw(in->scratch, double, room),
                          .own = arena_push_array_raw(in->scratch, const Histogram *, room)};
        if (smoothed && both.in.times[first] < reach->start_ms) {
            add_between(&both, first, reach->start_ms, &points);
        } else {
            add_point(&points, reach->start_ms, both.in.values[first], both.histograms[first]);
        }
        for (size_t i = first; i <= last; i++) {
            if (both.in.times[i] > reach->start_ms && both.in.times[i] < reach->end_ms)
                add_point(&points, both.in.times[i], both.in.values[i], both.histograms[i]);
        }
        if (smoothed && both.in.times[last] > reach->end_ms) {
            add_between(&both, last - 1, reach->end_ms, &points);
        } else {
            add_point(&points, reach->end_ms, both.in.values[last], both.histograms[last]);
        }
    }
    series->times = points.times;
    series->values = points.values;
    series->count = points.count;
    series->histogram_times = points.own_times;
    series->histograms = points.own;
    series->histogram_count = points.own_count;
}
