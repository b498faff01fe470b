// A native histogram to compute with: decoded to floats, its buckets as two sorted columns.
//
// NativeHistogram (native_histogram.h) is what came over the wire, integers and spans; this is what
// queries add, scale and ask for quantiles. A side lists its buckets as indexes and counts instead
// of spans, so that two histograms are merged like any two sorted lists. Histograms lie on an arena
// and are never changed once made: what computes one makes another.
//
// Bucket i of schema s ends at 2^(i * 2^-s) and begins where bucket i - 1 ends (open there); on the
// negative side the same, mirrored. Of schema -53 it ends at bounds[i], the last one at +Inf.
// Semantics after Prometheus' model/histogram and the native-histogram specification.
#pragma once

#include "model/native_histogram.h"

typedef struct HistogramSide {
    const int32_t *index;  // rising
    const double *counts;
    size_t count;
} HistogramSide;

typedef struct Histogram {
    int32_t schema;
    HistogramResetHint reset_hint;
    double zero_threshold, zero_count;
    double count;
    double sum;
    HistogramSide positive, negative;
    const double *bounds;  // schema -53: upper bounds, rising, without +Inf
    size_t bound_count;
} Histogram;

// Reads what is stored (wire bytes of prometheus.Histogram). BAD_INPUT when its parts do not agree
// or a bucket lies where none can be. Lives on `arena`.
must_use bool histogram_decode(Bytes wire, Arena *arena, const Histogram **out, Error *err);

static inline bool histogram_is_custom(const Histogram *histogram) {
    return histogram->schema == HISTOGRAM_SCHEMA_CUSTOM;
}
