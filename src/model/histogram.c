// Histograms from their stored form, their buckets in order, and as text.

#include "model/histogram.h"

#include <float.h>
#include <math.h>

#include <stdio.h>

#include "model/sample.h"

// No finite number lies in a bucket beyond these.
enum { INDEX_MAX = 1 << 20 };

static bool side_decode(const NativeHistogram *native, const HistogramBuckets *from, Arena *arena,
                        HistogramSide *out, Error *err) {
    int32_t *index = arena_push_array_raw(arena, int32_t, from->bucket_count);
    double *counts = arena_push_array_raw(arena, double, from->bucket_count);
    int64_t at = 0, whole = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < from->span_count; i++) {
        at += from->spans[i].offset;
        for (uint32_t j = 0; j < from->spans[i].length; j++, at++, bucket++) {
            if (at < -INDEX_MAX || at > INDEX_MAX) {
                return error_set(err, ERROR_BAD_INPUT,
                                 "native histogram: a bucket has the index %lld, where no number "
                                 "can lie",
                                 (long long)at);
            }
            if (!native->is_float) whole += from->deltas[bucket];
            index[bucket] = (int32_t)at;
            counts[bucket] = native->is_float ? from->counts[bucket] : (double)whole;
        }
    }
    *out = (HistogramSide){index, counts, bucket};
    return true;
}

bool histogram_decode(Bytes wire, Arena *arena, const Histogram **out, Error *err) {
    NativeHistogram native;
    TRY(native_histogram_read(wire, arena, &native, err));
    TRY(native_histogram_check(&native, err));
    if (!(native.zero_threshold >= 0) || isinf(native.zero_threshold)) {
        return error_set(err, ERROR_BAD_INPUT,
                         "native histogram: the zero bucket reaches to %g, which is no finite "
                         "number from 0 on",
                         native.zero_threshold);
    }
    Histogram *made = arena_push(arena, Histogram);
    *made = (Histogram){
        .schema = native.schema,
        .reset_hint = native.reset_hint,
        .zero_threshold = native.zero_threshold,
        .zero_count = native.is_float ? native.zero_count_float : (double)native.zero_count,
        .count = native.is_float ? native.count_float : (double)native.count,
        .sum = native.sum,
        .bounds = native.custom_bounds,
        .bound_count = native.custom_bound_count,
        .start_ms = native.start_ms,
    };
    TRY(side_decode(&native, &native.positive, arena, &made->positive, err));
    TRY(side_decode(&native, &native.negative, arena, &made->negative, err));
    *out = made;
    return true;
}

// ---- Back ----

static HistogramBuckets side_encode(const HistogramSide *side, Arena *arena) {
    HistogramSpan *spans = arena_push_array_raw(arena, HistogramSpan, side->count);
    size_t count = 0;
    for (size_t i = 0; i < side->count; i++) {
        int32_t gap = i == 0 ? side->index[0] : side->index[i] - side->index[i - 1] - 1;
        if (i == 0 || gap > 0) spans[count++] = (HistogramSpan){gap, 0};
        spans[count - 1].length++;
    }
    return (HistogramBuckets){
        .spans = spans, .span_count = count, .counts = side->counts, .bucket_count = side->count};
}

void histogram_encode(const Histogram *histogram, Arena *arena, NativeHistogram *out) {
    *out = (NativeHistogram){
        .schema = histogram->schema,
        .is_float = true,
        .reset_hint = histogram->reset_hint,
        .start_ms = histogram->start_ms,
        .count_float = histogram->count,
        .sum = histogram->sum,
        .zero_threshold = histogram->zero_threshold,
        .zero_count_float = histogram->zero_count,
        .positive = side_encode(&histogram->positive, arena),
        .negative = side_encode(&histogram->negative, arena),
        .custom_bounds = histogram->bounds,
        .custom_bound_count = histogram->bound_count,
    };
}

static HistogramSide side_copy(const HistogramSide *side, Arena *arena) {
    int32_t *index = arena_push_array_raw(arena, int32_t, side->count);
    double *counts = arena_push_array_raw(arena, double, side->count);
    for (size_t i = 0; i < side->count; i++) {
        index[i] = side->index[i];
        counts[i] = side->counts[i];
    }
    return (HistogramSide){index, counts, side->count};
}

const Histogram *histogram_copy(const Histogram *histogram, Arena *arena) {
    Histogram *copy = arena_push(arena, Histogram);
    *copy = *histogram;
    copy->positive = side_copy(&histogram->positive, arena);
    copy->negative = side_copy(&histogram->negative, arena);
    double *bounds = arena_push_array_raw(arena, double, histogram->bound_count);
    for (size_t i = 0; i < histogram->bound_count; i++) bounds[i] = histogram->bounds[i];
    copy->bounds = bounds;
    return copy;
}

// ---- Bounds ----

double histogram_bound(int32_t index, int32_t schema) {
    if (schema < 0) {
        int64_t exponent = (int64_t)index * (INT64_C(1) << -schema);
        // The bucket of the largest numbers ends with them, not at 2^1024.
        if (exponent == DBL_MAX_EXP) return DBL_MAX;
        return exponent > DBL_MAX_EXP ? INFINITY : ldexp(1, (int)MAX(exponent, INT64_C(-1100)));
    }
    int32_t inside = index & ((INT32_C(1) << schema) - 1);
    int32_t exponent = index >> schema;
    if (inside == 0 && exponent == DBL_MAX_EXP) return DBL_MAX;
    return ldexp(exp2((double)inside / (double)(INT32_C(1) << schema)), exponent);
}

static double bound_of(const Histogram *histogram, int32_t index) {
    if (!histogram_is_custom(histogram)) return histogram_bound(index, histogram->schema);
    if (index < 0) return -INFINITY;
    return (size_t)index < histogram->bound_count ? histogram->bounds[index] : INFINITY;
}

// ---- Buckets in order ----

static void positive_bucket(const Histogram *histogram, size_t at, HistogramBucket *out) {
    int32_t index = histogram->positive.index[at];
    out->count = histogram->positive.counts[at];
    out->lower = bound_of(histogram, index - 1);
    out->upper = bound_of(histogram, index);
    if (histogram_is_custom(histogram)) {
        out->lower_inclusive = index == 0;
        out->upper_inclusive = true;
        return;
    }
    out->lower_inclusive = false;
    out->upper_inclusive = true;
    if (out->lower > 0 && out->lower < histogram->zero_threshold)
        out->lower = fmin(histogram->zero_threshold, out->upper);
}

static void negative_bucket(const Histogram *histogram, size_t at, HistogramBucket *out) {
    int32_t index = histogram->negative.index[at];
    out->count = histogram->negative.counts[at];
    out->lower = -bound_of(histogram, index);
    out->upper = -bound_of(histogram, index - 1);
    out->lower_inclusive = true;
    out->upper_inclusive = false;
    if (out->upper < 0 && out->upper > -histogram->zero_threshold)
        out->upper = fmax(-histogram->zero_threshold, out->lower);
}

bool histogram_walk_next(HistogramWalk *walk, HistogramBucket *out) {
    const Histogram *histogram = walk->histogram;
    size_t negative = histogram->negative.count, places = negative + 1 + histogram->positive.count;
    while (walk->at < places) {
        size_t at = walk->downwards ? places - 1 - walk->at : walk->at;
        walk->at++;
        if (at < negative) {
            negative_bucket(histogram, negative - 1 - at, out);
            return true;
        }
        if (at > negative) {
            positive_bucket(histogram, at - negative - 1, out);
            return true;
        }
        if (!(histogram->zero_count > 0)) continue;
        *out = (HistogramBucket){-histogram->zero_threshold, histogram->zero_threshold, true, true,
                                 histogram->zero_count};
        return true;
    }
    return false;
}

// ---- Comparing ----

static bool same_doubles(const double *a, const double *b, size_t count) {
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

static bool same_side(const HistogramSide *a, const HistogramSide *b) {
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->index, b->index, a->count * sizeof *a->index) == 0) &&
           same_doubles(a->counts, b->counts, a->count);
}

bool histogram_equal(const Histogram *a, const Histogram *b) {
    return a->schema == b->schema && double_bits(a->count) == double_bits(b->count) &&
           double_bits(a->sum) == double_bits(b->sum) && a->zero_threshold == b->zero_threshold &&
           double_bits(a->zero_count) == double_bits(b->zero_count) &&
           a->bound_count == b->bound_count && same_doubles(a->bounds, b->bounds, a->bound_count) &&
           same_side(&a->negative, &b->negative) && same_side(&a->positive, &b->positive);
}

// ---- Text ----

void histogram_print_number(double value, Builder *out) {
    if (!isfinite(value)) {
        builder_add(out, isnan(value) ? TEXT("NaN") : value > 0 ? TEXT("+Inf") : TEXT("-Inf"));
        return;
    }
    char text[40];
    int digits = 1;
    for (;; digits++) {
        int len = snprintf(text, sizeof text, "%.*e", digits - 1, value);
        double back;
        if (digits == 17 || (text_to_f64((Text){text, (size_t)len}, &back) && back == value)) break;
    }
    Text exponent_text = {strchr(text, 'e') + 1, strlen(strchr(text, 'e') + 1)};
    bool small = text_starts_with(exponent_text, TEXT("-"));
    uint64_t magnitude = 0;
    for (size_t i = 1; i < exponent_text.len; i++)
        magnitude = magnitude * 10 + (uint64_t)(exponent_text.at[i] - '0');
    int exponent = small ? -(int)magnitude : (int)magnitude;
    if (exponent < -4 || exponent >= 6) {
        builder_addf(out, "%s", text);
        return;
    }
    builder_addf(out, "%.*f", MAX(digits - 1 - exponent, 0), value);
}

static void print_bucket(const HistogramBucket *bucket, Builder *out) {
    if (bucket->count == 0) return;
    builder_add(out, TEXT(", "));
    builder_add_char(out, bucket->lower_inclusive ? '[' : '(');
    histogram_print_number(bucket->lower, out);
    builder_add_char(out, ',');
    histogram_print_number(bucket->upper, out);
    builder_add_char(out, bucket->upper_inclusive ? ']' : ')');
    builder_add_char(out, ':');
    histogram_print_number(bucket->count, out);
}

void histogram_print(const Histogram *histogram, Builder *out) {
    builder_add(out, TEXT("{count:"));
    histogram_print_number(histogram->count, out);
    builder_add(out, TEXT(", sum:"));
    histogram_print_number(histogram->sum, out);
    HistogramWalk walk = histogram_walk(histogram, false);
    HistogramBucket bucket;
    while (histogram_walk_next(&walk, &bucket)) print_bucket(&bucket, out);
    builder_add_char(out, '}');
}
