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

#include "base/text.h"
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
    int64_t start_ms;  // of one that is stored: when its counting began; 0: not known
} Histogram;

// Reads what is stored (wire bytes of prometheus.Histogram). BAD_INPUT when its parts do not agree
// or a bucket lies where none can be. Lives on `arena`.
must_use bool histogram_decode(Bytes wire, Arena *arena, const Histogram **out, Error *err);

// The other way: as a NativeHistogram of floats, its arrays on `arena`.
void histogram_encode(const Histogram *histogram, Arena *arena, NativeHistogram *out);

static inline bool histogram_is_custom(const Histogram *histogram) {
    return histogram->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

const Histogram *histogram_copy(const Histogram *histogram, Arena *arena);

// Where bucket `index` of an exponential schema ends (on the positive side).
double histogram_bound(int32_t index, int32_t schema);

// Bit for bit the same, buckets without observations counted; the hint does not matter.
bool histogram_equal(const Histogram *a, const Histogram *b);

// The text of messages and labels: {count:3, sum:4.5, (1,2]:3}.
void histogram_print(const Histogram *histogram, Builder *out);
// A number as Go's %g writes it: as few digits as it needs, 1e+06 from a million on.
void histogram_print_number(double value, Builder *out);

// ---- Buckets in order ----

typedef struct HistogramBucket {
    double lower, upper;
    bool lower_inclusive, upper_inclusive;
    double count;
} HistogramBucket;

typedef struct HistogramWalk {
    const Histogram *histogram;
    size_t at;  // of negative.count + 1 + positive.count places
    bool downwards;
} HistogramWalk;

// All buckets from the lowest to the highest (or the other way), the zero bucket where it holds
// something among them; a bucket that reaches into the zero bucket ends at its threshold.
static inline HistogramWalk histogram_walk(const Histogram *histogram, bool downwards) {
    return (HistogramWalk){histogram, 0, downwards};
}
bool histogram_walk_next(HistogramWalk *walk, HistogramBucket *out);

// ---- histogram_arithmetic.c: sums ----

// What an addition had to settle.
typedef struct HistogramJoin {
    bool collision;   // one says that it follows a reset, the other that it does not
    bool reconciled;  // custom bounds differed: only those that both have are left
} HistogramJoin;

// A sum being made, on an arena: its buckets are changed in place while those that are added have
// no new ones. With compensation (Neumaier) every count carries what rounding took.
typedef struct HistogramSumSide {
    int32_t *index;
    double *counts, *rests;  // rests NULL: no compensation
    size_t count, capacity;
} HistogramSumSide;
typedef struct HistogramSum {
    Arena *arena;
    Histogram head;  // all but the sides
    double zero_rest, count_rest, sum_rest;
    HistogramSumSide positive, negative;
    bool compensated;
} HistogramSum;

void histogram_sum_begin(HistogramSum *sum, const Histogram *first, bool compensated, Arena *arena);
// Adds `other` times `factor`; -1 subtracts. Buckets of different width become those of the wider,
// zero buckets grow to the larger. False, and nothing is changed, when one has custom bounds and
// the other has not. `join` is only ever set.
must_use bool histogram_sum_add(HistogramSum *sum, const Histogram *other, double factor,
                                HistogramJoin *join);
void histogram_sum_scale(HistogramSum *sum, double factor);
// The sum as a histogram without empty buckets, on the arena of the sum.
const Histogram *histogram_sum_end(const HistogramSum *sum);

// A mean being made: a sum that is divided at the end, or, once it would overflow, the mean so far
// that each one moves a little. `sum` may be used alone.
typedef struct HistogramMean {
    HistogramSum sum;
    double count;
    bool incremental;
} HistogramMean;
void histogram_mean_begin(HistogramMean *mean, const Histogram *first, Arena *arena);
must_use bool histogram_mean_add(HistogramMean *mean, const Histogram *other, HistogramJoin *join);
const Histogram *histogram_mean_end(HistogramMean *mean);

// Times `factor`; a negative one makes a gauge. Empty buckets go.
const Histogram *histogram_scaled(const Histogram *histogram, double factor, Arena *arena);
// Divided; by zero leaves no buckets.
const Histogram *histogram_divided(const Histogram *histogram, double divisor, Arena *arena);

// The same schema, zero bucket and bounds.
bool histogram_same_layout(const Histogram *a, const Histogram *b);

// Has a counter been reset between the two? The hint of `now` says so, or else a count fell.
bool histogram_is_reset(const Histogram *now, const Histogram *before);

// ---- histogram_quantile.c: questions ----

typedef enum HistogramNanNote {
    HISTOGRAM_NAN_NONE,
    HISTOGRAM_NAN_RESULT,  // the quantile lies among observations of NaN
    HISTOGRAM_NAN_SKEW,    // observations of NaN count as above everything
} HistogramNanNote;

// Interpolated inside a bucket: exponentially, but linearly in the zero bucket and with custom
// bounds.
double histogram_quantile(const Histogram *histogram, double q, HistogramNanNote *note);
// The share of observations between the two. SKEW when observations of NaN are in none.
double histogram_fraction(const Histogram *histogram, double lower, double upper,
                          HistogramNanNote *note);
double histogram_variance(const Histogram *histogram);

// What lies below (`keep_lower`) or above the limit; a bucket across it is cut by interpolation,
// the sum estimated from the middles of buckets where anything was cut.
const Histogram *histogram_trim(const Histogram *histogram, double limit, bool keep_lower,
                                Arena *arena);
