// histogram_quantile(s) and histogram_fraction, of classic histograms (series with `le`,
// interpolated as Prometheus does) and of native ones.

#include "query/exec/exec.h"

#include <float.h>
#include <stdlib.h>

#include "codec/number.h"

#define BUCKET_LABEL TEXT("le")

typedef struct BucketSeries {
    double bound;
    const double *counts;  // per step, cumulative
} BucketSeries;

typedef struct Bucket {
    double bound, count;
} Bucket;

typedef struct Group {
    Labels labels;
    Text name;
    bool drop_name;
    ARRAY(BucketSeries) series;
    ARRAY(const StepSeries *) natives;  // those that would be this classic histogram, but for `le`
    struct Group *next;
} Group;

typedef struct HistogramCall {
    Operator operator;
    Operator *inner;
    double **params;   // the quantile, or several; or lower and upper
    size_t quantiles;  // 0: a fraction
    Text label;        // of histogram_quantiles: names the quantile; NULL otherwise
    bool done;
    SourceRange buckets_range;
} HistogramCall;

// ---- The arithmetic of one histogram ----

// Equal but for rounding: differences below 1e-12 of the whole are no falls.
static bool almost_equal(double a, double b) {
    double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN) return difference < 1e-12 * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < 1e-12;
}

// Buckets that fall below the one before are lifted to it; true when one fell by more than
// rounding.
static bool make_monotonic(Bucket *buckets, size_t count) {
    bool forced = false;
    double before = buckets[0].count;
    for (size_t i = 1; i < count; i++) {
        double now = buckets[i].count;
        if (now == before) continue;
        bool same = almost_equal(before, now);
        if (same || now < before) {
            forced |= !same;
            buckets[i].count = before;
        } else {
            before = now;
        }
    }
    return forced;
}

static double bucket_quantile(double q, Bucket *buckets, size_t count, bool *forced) {
    if (isnan(q)) return NAN;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    if (!isinf(buckets[count - 1].bound) || buckets[count - 1].bound < 0) return NAN;
    *forced = make_monotonic(buckets, count);
    if (count < 2) return NAN;
    double observations = buckets[count - 1].count;
    if (observations == 0) return NAN;
    double rank = q * observations;
    size_t low = 0, high = count - 1;
    while (low < high) {  // the first bucket whose count reaches the rank; NaN never does
        size_t middle = (low + high) / 2;
        if (buckets[middle].count >= rank) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (low == count - 1) return buckets[count - 2].bound;
    if (low == 0 && buckets[0].bound <= 0) return buckets[0].bound;
    double start = 0, inside = buckets[low].count;
    if (low > 0) {
        start = buckets[low - 1].bound;
        inside -= buckets[low - 1].count;
        rank -= buckets[low - 1].count;
    }
    return start + (buckets[low].bound - start) * (rank / inside);
}

// How many observations lie below `value`; interpolated inside a bucket of finite width.
static double rank_of(double value, const Bucket *buckets, size_t count) {
    double below = 0;
    for (size_t i = 0; i < count; i++) {
        double start = i > 0 ? buckets[i - 1].bound : buckets[0].bound > 0 ? 0 : -INFINITY;
        double end = buckets[i].bound;
        if (value <= start) return below;
        if (value < end) {
            if (isinf(end)) return below;
            if (isinf(start)) return buckets[i].count;
            return below + (buckets[i].count - below) * (value - start) / (end - start);
        }
        below = buckets[i].count;
    }
    return below;
}

static double bucket_fraction(double lower, double upper, Bucket *buckets, size_t count) {
    if (!isinf(buckets[count - 1].bound) || buckets[count - 1].bound < 0) return NAN;
    double observations = buckets[count - 1].count;
    if (observations == 0 || isnan(observations) || isnan(lower) || isnan(upper)) return NAN;
    if (lower >= upper) return 0;
    double low = fmin(rank_of(lower, buckets, count), observations);
    double high = fmin(rank_of(upper, buckets, count), observations);
    return (high - low) / observations;
}

// ---- Grouping ----

// What belongs together but for `le`.
static Group *group_of(HistogramCall *histogram, Map *groups, Group ***end,
                       const StepSeries *from) {
    static const Text le = TEXT_INIT("le");
    Arena *arena = &histogram->operator.keep;
    Labels labels =
        labels_remove(histogram->operator.exec, from->labels, (Texts){&le, 1}, false, arena);
    void **slot = map_put(groups, bytes_text(labels.wire));
    if (*slot == NULL) {
        Group *made = arena_push(arena, Group);
        made->labels = labels;
        made->name = labels_get(from->labels, LABEL_NAME);
        **end = made;
        *end = &made->next;
        *slot = made;
    }
    Group *group = *slot;
    group->drop_name |= from->drop_name;
    return group;
}

static bool any_float(const double *values, Steps steps) {
    for (size_t i = 0; i < steps.count; i++) {
        if (!is_absent(values[i])) return true;
    }
    return false;
}

static Group *group_all(HistogramCall *histogram, StepBatch all) {
    Exec *exec = histogram->operator.exec;
    Arena *arena = &histogram->operator.keep;
    Map groups = map_begin(arena, exec->hash_key);
    Group *first = NULL, **end = &first;
    for (size_t i = 0; i < all.count; i++) {
        if (all.at[i].histograms != NULL) {
            Group *group = group_of(histogram, &groups, &end, &all.at[i]);
            *array_add_on(arena, &group->natives) = &all.at[i];
            if (!any_float(all.at[i].values, histogram->operator.steps)) continue;
        }
        Text written = labels_get(all.at[i].labels, BUCKET_LABEL);
        Text name = labels_get(all.at[i].labels, LABEL_NAME);
        double bound;
        if (!text_to_f64(written, &bound)) {
            exec_note(exec, NOTE_WARNING, histogram->buckets_range,
                      "bucket label \"le\" is missing or has a malformed value of \"%.*s\" for "
                      "metric name \"%.*s\"",
                      TEXT_ARG(text_slice(written, 0, 100)), TEXT_ARG(text_slice(name, 0, 100)));
            continue;
        }
        Group *group = group_of(histogram, &groups, &end, &all.at[i]);
        *array_add_on(arena, &group->series) = (BucketSeries){bound, all.at[i].values};
    }
    return first;
}

static int by_bound(const void *a, const void *b) {
    double left = ((const BucketSeries *)a)->bound, right = ((const BucketSeries *)b)->bound;
    return (left > right) - (left < right);
}

// The buckets of one step, those of equal bound added up; `group->series` is sorted by bound.
static size_t buckets_of(const Group *group, size_t step, Bucket *buckets) {
    size_t count = 0;
    for (size_t i = 0; i < group->series.count; i++) {
        BucketSeries series = group->series.at[i];
        if (is_absent(series.counts[step])) continue;
        if (count > 0 && buckets[count - 1].bound == series.bound) {
            buckets[count - 1].count += series.counts[step];
        } else {
            buckets[count++] = (Bucket){series.bound, series.counts[step]};
        }
    }
    return count;
}

static void compute(HistogramCall *histogram, Group *group, size_t quantile, double *out) {
    Exec *exec = histogram->operator.exec;
    Bucket *buckets = arena_push_array_raw(&histogram->operator.batch, Bucket, group->series.count);
    qsort(group->series.at, group->series.count, sizeof *group->series.at, by_bound);
    bool forced_ever = false;
    for (size_t step = 0; step < histogram->operator.steps.count; step++) {
        size_t count = buckets_of(group, step, buckets);
        bool forced = false;
        if (count == 0) {
            out[step] = ABSENT;
        } else if (histogram->quantiles == 0) {
            out[step] = bucket_fraction(histogram->params[0][step], histogram->params[1][step],
                                        buckets, count);
        } else {
            out[step] = bucket_quantile(histogram->params[quantile][step], buckets, count, &forced);
        }
        forced_ever |= forced;
    }
    if (!forced_ever) return;
    exec_note(exec, NOTE_INFO, histogram->buckets_range,
              "input to histogram_quantile needed to be fixed for monotonicity (see "
              "https://prometheus.io/docs/prometheus/latest/querying/functions/"
              "#histogram_quantile) for metric name \"%.*s\"",
              TEXT_ARG(text_slice(group->name, 0, 100)));
}

// ---- Native histograms ----

static void note_nan(HistogramCall *histogram, HistogramNanNote note, Labels labels) {
    if (note == HISTOGRAM_NAN_NONE) return;
    const char *text =
        "input to histogram_fraction has NaN observations, which are excluded from "
        "all fractions";
    if (histogram->quantiles > 0)
        text = note == HISTOGRAM_NAN_RESULT
                   ? "input to histogram_quantile has NaN observations, result is NaN"
                   : "input to histogram_quantile has NaN observations, result is skewed higher";
    exec_note(histogram->operator.exec, NOTE_INFO, histogram->buckets_range,
              "%s for metric name \"%.*s\"", text,
              TEXT_ARG(text_slice(labels_get(labels, LABEL_NAME), 0, 100)));
}

// Where there is the one and the other, there is no answer.
static bool conflicts(HistogramCall *histogram, const Group *group, size_t step, Labels labels) {
    for (size_t i = 0; i < group->series.count; i++) {
        if (is_absent(group->series.at[i].counts[step])) continue;
        exec_note(histogram->operator.exec, NOTE_WARNING, histogram->buckets_range,
                  "vector contains a mix of classic and native histograms for metric name \"%.*s\"",
                  TEXT_ARG(text_slice(labels_get(labels, LABEL_NAME), 0, 100)));
        return true;
    }
    return false;
}

// `classic` is the column of the classic histogram of the group, which loses its value where both
// have one.
static void compute_native(HistogramCall *histogram, const Group *group, const StepSeries *native,
                           size_t quantile, double *classic, double *out) {
    for (size_t step = 0; step < histogram->operator.steps.count; step++) {
        const Histogram *own = native->histograms[step];
        if (own == NULL) continue;
        if (conflicts(histogram, group, step, native->labels)) {
            classic[step] = ABSENT;
            continue;
        }
        HistogramNanNote note;
        out[step] = histogram->quantiles == 0
                        ? histogram_fraction(own, histogram->params[0][step],
                                             histogram->params[1][step], &note)
                        : histogram_quantile(own, histogram->params[quantile][step], &note);
        note_nan(histogram, note, native->labels);
    }
}

// The quantile as OpenMetrics writes numbers: 0.5, 1.0, NaN, +Inf.
static void label_quantile(HistogramCall *histogram, StepSeries *series, double quantile) {
    char digits[400 + 2];
    size_t len = number_format_f64(quantile, digits);
    if (isfinite(quantile) && memchr(digits, '.', len) == NULL) {
        digits[len++] = '.';
        digits[len++] = '0';
    }
    Operator *operator= & histogram->operator;
    series->lasting = false;
    series->labels = labels_set(operator->exec, series->labels, histogram->label,
                                (Text){digits, len}, &operator->keep);
}

typedef ARRAY(StepSeries) MadeSeries;

static bool same_quantile(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

// The steps of one quantile, cut from `values` (which loses them) into a column of their own; the
// same column where all are of it.
static double *steps_of_quantile(HistogramCall *histogram, const double *quantiles, double quantile,
                                 double *values) {
    Steps steps = histogram->operator.steps;
    bool others = false;
    for (size_t i = 0; i < steps.count; i++)
        others |= !is_absent(values[i]) && !same_quantile(quantiles[i], quantile);
    if (!others) return values;
    double *own = column_new(&histogram->operator.keep, steps);
    for (size_t i = 0; i < steps.count; i++) {
        bool taken = same_quantile(quantiles[i], quantile);
        own[i] = taken ? values[i] : ABSENT;
        if (taken) values[i] = ABSENT;
    }
    return own;
}

// A series for each quantile that the argument takes on the way; mostly it is one.
static bool add_series(HistogramCall *histogram, size_t quantile, StepSeries series,
                       MadeSeries *made, Error *err) {
    Operator *operator= & histogram->operator;
    const double *quantiles = histogram->quantiles == 0 ? NULL : histogram->params[quantile];
    double *values = series.values;
    for (size_t step = 0; step < operator->steps.count; step++) {
        if (is_absent(values[step])) continue;
        StepSeries one = series;
        if (histogram->label.at != NULL) {
            one.values = steps_of_quantile(histogram, quantiles, quantiles[step], values);
            label_quantile(histogram, &one, quantiles[step]);
        }
        series_drop_name(operator->exec, &one, &operator->keep);
        *array_add_on(&operator->keep, made) = one;
        if (one.values == values) break;
        TRY(exec_tick(operator->exec, err));
    }
    return true;
}

// The classic histogram of a group and the native ones; one of the same labels shares its column.
static bool add_group(HistogramCall *histogram, Group *group, size_t quantile, MadeSeries *made,
                      Error *err) {
    Operator *operator= & histogram->operator;
    double *column = column_new(&operator->keep, operator->steps);
    if (group->series.count > 0) {
        compute(histogram, group, quantile, column);
    } else {
        column_fill(column, operator->steps, ABSENT);
    }
    for (size_t i = 0; i < group->natives.count; i++) {
        const StepSeries *native = group->natives.at[i];
        bool shares = labels_equal(native->labels, group->labels);
        double *own = column;
        if (!shares) {
            own = column_new(&operator->keep, operator->steps);
            column_fill(own, operator->steps, ABSENT);
        }
        compute_native(histogram, group, native, quantile, column, own);
        if (shares) continue;
        StepSeries series = {native->labels, native->drop_name, false, own, NULL};
        TRY(add_series(histogram, quantile, series, made, err));
    }
    StepSeries series = {group->labels, group->drop_name, false, column, NULL};
    return add_series(histogram, quantile, series, made, err);
}

static bool histogram_next(Operator *operator, StepBatch * out, Error *err) {
    HistogramCall *histogram = (HistogramCall *)operator;
    if (histogram->done) return true;
    histogram->done = true;
    StepBatch all;
    MadeSeries made = {0};
    TRY(operator_collect(histogram->inner, &operator->keep, &all, err));
    for (Group *group = group_all(histogram, all); group != NULL; group = group->next) {
        for (size_t i = 0; i < MAX(histogram->quantiles, (size_t)1); i++) {
            TRY(add_group(histogram, group, i, &made, err));
            arena_clear(&operator->batch);
        }
        TRY(exec_tick(operator->exec, err));
    }
    *out = (StepBatch){made.at, made.count};
    return true;
}

// Warns of quantiles outside [0, 1].
static void check_quantiles(const HistogramCall *histogram, const Expr *const *args) {
    Steps steps = histogram->operator.steps;
    for (size_t i = 0; i < histogram->quantiles; i++) {
        const double *values = histogram->params[i];
        for (size_t step = 0; step < steps.count; step++) {
            if (!(values[step] >= 0 && values[step] <= 1))
                quantile_note(histogram->operator.exec, args[i]->range, values[step]);
        }
    }
}

bool histogram_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    HistogramCall *histogram = operator_new(exec, HistogramCall, call, steps, histogram_next);
    FunctionId id = call->as.call.function->id;
    const Expr *const *args = (const Expr *const *)call->as.call.args;
    bool several = id == FUNCTION_HISTOGRAM_QUANTILES;
    size_t first = several ? 2 : 0,
           count = several ? call->as.call.arg_count - 2 : call->as.call.arg_count - 1;
    const Expr *buckets = several ? args[0] : args[count];
    histogram->quantiles = id == FUNCTION_HISTOGRAM_FRACTION ? 0 : count;
    histogram->params = arena_push_array(&histogram->operator.keep, double *, count);
    for (size_t i = 0; i < count; i++) {
        TRY(scalar_eval(exec, args[first + i], steps, &histogram->operator.keep,
                        &histogram->params[i], err));
    }
    if (several) {
        histogram->label = expr_inner(args[1])->as.string;
        if (histogram->label.len == 0 || !text_is_utf8(histogram->label)) {
            return error_set(err, ERROR_BAD_INPUT,
                             "invalid label name in histogram_quantiles(): %.*s",
                             TEXT_ARG(text_slice(histogram->label, 0, 64)));
        }
    }
    check_quantiles(histogram, args + first);
    histogram->buckets_range = buckets->range;
    bool before = exec->stats_only;
    exec->stats_only = false;
    TRY(operator_open(exec, buckets, steps, &histogram->inner, err));
    exec->stats_only = before;
    histogram->operator.one_name = histogram->inner->one_name && !several;
    *out = unique_open(exec, &histogram->operator);
    return true;
}
