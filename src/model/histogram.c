// Histograms from their stored form.

#include "model/histogram.h"

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
    };
    TRY(side_decode(&native, &native.positive, arena, &made->positive, err));
    TRY(side_decode(&native, &native.negative, arena, &made->negative, err));
    *out = made;
    return true;
}
