// Range functions over windows that hold native histograms.
//
// The float kernel has filled the column already. Functions that know only floats keep that and say
// that they ignored histograms; the others look at such windows again.

#include "query/exec/exec.h"

typedef struct Look {
    const RangeHistograms *with;
    const RangeInput *in;
    Window floats, own;  // of the floats; of the histograms
} Look;

// ---- Samples of both kinds in order of time ----

typedef struct Mixed {
    const Look *look;
    size_t next_float, next_own;
} Mixed;

typedef struct MixedSample {
    int64_t time_ms;
    double value;
    const Histogram *histogram;
    int64_t start_ms;  // 0: not known, or not looked at
} MixedSample;

static int64_t own_start(const RangeInput *in, size_t i) {
    return in->looks_at_starts ? in->histograms[i]->start_ms : 0;
}

static bool began_anew(MixedSample before, MixedSample now) {
    return start_is_reset((Started){before.time_ms, before.start_ms},
                          (Started){now.time_ms, now.start_ms});
}

static Mixed mixed_begin(const Look *look) {
    return (Mixed){look, look->floats.from, look->own.from};
}

static bool mixed_next(Mixed *mixed, MixedSample *out) {
    const Look *look = mixed->look;
    const RangeInput *in = look->in;
    bool floats = mixed->next_float < look->floats.to, own = mixed->next_own < look->own.to;
    if (!floats && !own) return false;
    bool take_float =
        floats && (!own || in->times[mixed->next_float] < in->histogram_times[mixed->next_own]);
    if (take_float) {
        size_t i = mixed->next_float++;
        int64_t start_ms = in->starts == NULL ? 0 : in->starts[i];
        *out = (MixedSample){in->times[i], in->values[i], NULL, start_ms};
    } else {
        size_t i = mixed->next_own++;
        *out = (MixedSample){in->histogram_times[i], 0, in->histograms[i], own_start(in, i)};
    }
    return true;
}

// ---- Differences ----

// Is the i-th histogram of the window one after a reset, `before` being the one before it?
static bool is_reset(const Look *look, size_t i, const Histogram *before) {
    const RangeInput *in = look->in;
    size_t at = look->own.from + i;
    return histogram_is_reset(in->histograms[at], before) ||
           start_is_reset((Started){in->histogram_times[at - 1], own_start(in, at - 1)},
                          (Started){in->histogram_times[at], own_start(in, at)});
}

// last - first, resets of counters added; with `from_zero` the first is taken from nothing. False
// when the histograms do not go together.
static bool difference(const Look *look, bool is_counter, bool from_zero, HistogramSum *sum) {
    const RangeHistograms *with = look->with;
    const Histogram *const *at = look->in->histograms + look->own.from;
    size_t count = look->own.to - look->own.from;
    const Histogram *first = at[0], *last = at[count - 1];
    bool any_gauge = false, all_gauges = first->reset_hint == HISTOGRAM_RESET_GAUGE &&
                                         last->reset_hint == HISTOGRAM_RESET_GAUGE;
    for (size_t i = 0; i < count; i++) any_gauge |= at[i]->reset_hint == HISTOGRAM_RESET_GAUGE;
    if (is_counter && any_gauge) note_not_counter(with->exec, with->range, with->labels);
    // What was before a reset at once does not matter, not even its buckets.
    const Histogram *next = at[MIN(count - 1, (size_t)1)];
    Histogram nothing = {.schema = next->schema,
                         .bounds = next->bounds,
                         .bound_count = next->bound_count,
                         .zero_threshold = next->zero_threshold,
                         .reset_hint = next->reset_hint};
    if (is_counter && !from_zero && is_reset(look, 1, first)) first = &nothing;
    bool same = histogram_is_custom(first) == histogram_is_custom(last);
    for (size_t i = 1; is_counter && i < count; i++)
        same &= histogram_is_custom(at[i]) == histogram_is_custom(first);
    if (!same) {
        note_mixed_schemas(with->exec, with->range, with->labels);
        return false;
    }
    HistogramJoin join = {0}, resets = {0};
    histogram_sum_begin(sum, last, false, with->arena);
    if (!from_zero && !histogram_sum_add(sum, first, -1, &join)) return false;
    for (size_t i = 1; is_counter && i < count; i++) {
        const Histogram *before = i == 1 ? first : at[i - 1];
        if (is_reset(look, i, before) && !histogram_sum_add(sum, before, 1, &resets)) return false;
    }
    join.collision = resets.collision = false;  // resets have been seen to
    note_join(with->exec, with->range, join, "subtraction");
    note_join(with->exec, with->range, resets, "addition");
    if (!is_counter && !all_gauges) note_not_gauge(with->exec, with->range, with->labels);
    sum->head.reset_hint = HISTOGRAM_RESET_GAUGE;
    return true;
}

// As for floats: towards the borders of the window, half an interval at most, never below zero.
static double extrapolation(const Look *look, double count, bool is_counter, bool is_rate) {
    const RangeInput *in = look->in;
    size_t first = look->own.from, last = look->own.to - 1;
    double to_start = (double)(in->histogram_times[first] - look->own.start_ms) / 1000;
    double to_end = (double)(look->own.end_ms - in->histogram_times[last]) / 1000;
    double sampled = (double)(in->histogram_times[last] - in->histogram_times[first]) / 1000;
    double between = sampled / (double)(last - first), threshold = between * 1.1;
    if (to_start >= threshold) to_start = between / 2;
    if (is_counter && count > 0 && in->histograms[first]->count >= 0) {
        double to_zero = sampled * (in->histograms[first]->count / count);
        if (to_zero < to_start) to_start = to_zero;
    }
    if (to_end >= threshold) to_end = between / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    return is_rate ? factor / ((double)in->range_ms / 1000) : factor;
}

static const Histogram *rate(const Look *look, bool is_counter, bool is_rate) {
    const RangeHistograms *with = look->with;
    if (look->floats.to > look->floats.from) {
        note_mixed_range(with->exec, with->range, with->labels);
        return NULL;
    }
    const RangeInput *in = look->in;
    size_t first = look->own.from, last = look->own.to - 1;
    Started begin = {in->histogram_times[first], own_start(in, first)};
    bool from_zero = is_counter && start_is_inside(begin, look->own.start_ms);
    if (first == last && !from_zero) return NULL;
    HistogramSum sum;
    if (!difference(look, is_counter, from_zero, &sum)) return NULL;
    int64_t last_ms = in->histogram_times[last];
    double between =
        first == last ? 0 : (double)(last_ms - begin.time_ms) / 1000 / (double)(last - first);
    histogram_sum_scale(&sum, from_zero ? start_extrapolation(in, begin.start_ms, last_ms,
                                                              look->own.end_ms, between, is_rate)
                                        : extrapolation(look, sum.head.count, is_counter, is_rate));
    return histogram_sum_end(&sum);
}

static const Histogram *last_two(const Look *look, bool is_rate, double *value) {
    const RangeHistograms *with = look->with;
    MixedSample before = {0}, last = {0}, sample;
    size_t count = 0;
    for (Mixed mixed = mixed_begin(look); mixed_next(&mixed, &sample); count++) {
        before = last;
        last = sample;
    }
    *value = ABSENT;
    if (count < 2) return NULL;
    double seconds = (double)(last.time_ms - before.time_ms) / 1000;
    if (last.histogram == NULL && before.histogram == NULL) {
        bool reset = is_rate && (last.value < before.value || began_anew(before, last));
        *value = reset ? last.value : last.value - before.value;
        if (is_rate) *value /= seconds;
        return NULL;
    }
    if (last.histogram == NULL || before.histogram == NULL) {
        note_mixed_range(with->exec, with->range, with->labels);
        return NULL;
    }
    bool any_gauge = last.histogram->reset_hint == HISTOGRAM_RESET_GAUGE ||
                     before.histogram->reset_hint == HISTOGRAM_RESET_GAUGE;
    bool all_gauges = last.histogram->reset_hint == HISTOGRAM_RESET_GAUGE &&
                      before.histogram->reset_hint == HISTOGRAM_RESET_GAUGE;
    if (is_rate && any_gauge) note_not_counter(with->exec, with->range, with->labels);
    if (!is_rate && !all_gauges) note_not_gauge(with->exec, with->range, with->labels);
    HistogramSum sum;
    HistogramJoin join = {0};
    histogram_sum_begin(&sum, last.histogram, false, with->arena);
    bool reset = is_rate &&
                 (histogram_is_reset(last.histogram, before.histogram) || began_anew(before, last));
    if (!reset && !histogram_sum_add(&sum, before.histogram, -1, &join)) {
        note_mixed_schemas(with->exec, with->range, with->labels);
        return NULL;
    }
    join.collision = false;
    note_join(with->exec, with->range, join, "subtraction");
    sum.head.reset_hint = HISTOGRAM_RESET_GAUGE;
    const Histogram *result = histogram_sum_end(&sum);
    return is_rate ? histogram_divided(result, seconds, with->arena) : result;
}

// ---- Sums ----

// What hints collide is looked at over all of them, as an addition settles doubt on the way.
static void hints_seen(const Histogram *histogram, bool seen[2]) {
    if (histogram->reset_hint == HISTOGRAM_RESET_YES) seen[0] = true;
    if (histogram->reset_hint == HISTOGRAM_RESET_NO) seen[1] = true;
}

static const Histogram *sum_or_mean(const Look *look, bool is_mean) {
    const RangeHistograms *with = look->with;
    if (look->floats.to > look->floats.from) {
        note_mixed_range(with->exec, with->range, with->labels);
        return NULL;
    }
    HistogramMean mean;
    HistogramJoin join = {0};
    bool seen[2] = {false, false};
    for (size_t i = look->own.from; i < look->own.to; i++) {
        const Histogram *histogram = look->in->histograms[i];
        hints_seen(histogram, seen);
        if (i == look->own.from) {
            histogram_mean_begin(&mean, histogram, with->arena);
            continue;
        }
        bool added = is_mean ? histogram_mean_add(&mean, histogram, &join)
                             : histogram_sum_add(&mean.sum, histogram, 1, &join);
        if (added) continue;
        note_mixed_schemas(with->exec, with->range, with->labels);
        return NULL;
    }
    join.collision = seen[0] && seen[1];
    note_join(with->exec, with->range, join, "aggregation");
    return is_mean ? histogram_mean_end(&mean) : histogram_sum_end(&mean.sum);
}

// ---- Counting ----

static double changes_or_resets(const Look *look, bool resets) {
    MixedSample before = {0}, sample;
    double found = 0;
    bool first = true;
    for (Mixed mixed = mixed_begin(look); mixed_next(&mixed, &sample); before = sample) {
        if (first) {
            first = false;
            continue;
        }
        bool both = sample.histogram != NULL && before.histogram != NULL;
        bool neither = sample.histogram == NULL && before.histogram == NULL;
        bool differs = true;
        if (both) {
            differs = resets ? histogram_is_reset(sample.histogram, before.histogram)
                             : !histogram_equal(sample.histogram, before.histogram);
        } else if (neither && resets) {
            differs = sample.value < before.value;
        } else if (neither) {
            differs = sample.value != before.value && !(isnan(sample.value) && isnan(before.value));
        }
        found += differs || (resets && began_anew(before, sample));
    }
    return found;
}

static MixedSample edge(const Look *look, bool last) {
    const RangeInput *in = look->in;
    size_t own = last ? look->own.to - 1 : look->own.from;
    size_t other = last ? look->floats.to - 1 : look->floats.from;
    MixedSample sample = {in->histogram_times[own], 0, in->histograms[own], 0};
    if (look->floats.to == look->floats.from) return sample;
    bool float_first = last ? in->times[other] > sample.time_ms : in->times[other] < sample.time_ms;
    return float_first ? (MixedSample){in->times[other], in->values[other], NULL, 0} : sample;
}

// ---- One window ----

// The window holds histograms. Returns the histogram that is the result, or NULL and *value.
static const Histogram *window_result(const Look *look, double *value) {
    const RangeHistograms *with = look->with;
    double count = (double)(look->floats.to - look->floats.from + look->own.to - look->own.from);
    const Histogram *result = NULL;
    switch ((int)with->id) {
        case FUNCTION_RATE:
        case FUNCTION_INCREASE:
        case FUNCTION_DELTA:
            result = rate(look, with->id != FUNCTION_DELTA, with->id == FUNCTION_RATE);
            *value = ABSENT;
            return result;
        case FUNCTION_IRATE:
        case FUNCTION_IDELTA:
            return last_two(look, with->id == FUNCTION_IRATE, value);
        case FUNCTION_SUM_OVER_TIME:
        case FUNCTION_AVG_OVER_TIME:
            result = sum_or_mean(look, with->id == FUNCTION_AVG_OVER_TIME);
            *value = ABSENT;
            return result;
        case FUNCTION_CHANGES:
        case FUNCTION_RESETS:
            *value = changes_or_resets(look, with->id == FUNCTION_RESETS);
            return NULL;
        case FUNCTION_COUNT_OVER_TIME:
            *value = count;
            return NULL;
        case FUNCTION_PRESENT_OVER_TIME:
            *value = 1;
            return NULL;
        case FUNCTION_FIRST_OVER_TIME:
        case FUNCTION_LAST_OVER_TIME: {
            MixedSample sample = edge(look, with->id == FUNCTION_LAST_OVER_TIME);
            *value = sample.histogram == NULL ? sample.value : ABSENT;
            return sample.histogram == NULL ? NULL : histogram_copy(sample.histogram, with->arena);
        }
        case FUNCTION_TS_OF_FIRST_OVER_TIME:
        case FUNCTION_TS_OF_LAST_OVER_TIME:
            *value = (double)edge(look, with->id == FUNCTION_TS_OF_LAST_OVER_TIME).time_ms / 1000;
            return NULL;
        default:
            if (look->floats.to > look->floats.from)
                note_ignored_in_range(with->exec, with->range, with->labels);
            return NULL;
    }
}

bool range_histograms(const RangeHistograms *with, const RangeInput *in, double *out,
                      const Histogram ***histograms, Error *err) {
    RangeInput own = *in;
    own.edges = NULL;
    own.reaches = NULL;
    own.times = in->histogram_times;
    own.count = in->histogram_count;
    Look look = {with, in, {0}, {0}};
    for (size_t i = 0; i < in->steps.count; i++) {
        window_move(&look.floats, in, i);
        window_move(&look.own, &own, i);
        if (look.own.to == look.own.from) continue;
        const Histogram *result = window_result(&look, &out[i]);
        TRY(exec_tick_histograms(with->exec, i, err));
        if (result == NULL) continue;
        if (*histograms == NULL) *histograms = histogram_column_new(with->arena, with->steps);
        (*histograms)[i] = result;
    }
    return true;
}
