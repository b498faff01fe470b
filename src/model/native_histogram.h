// A native histogram: one sample that is a whole distribution, its buckets sparse and exponential.
//
// Each schema n from -4 to 8 cuts every power of two into 2^n buckets; schema -53 has bounds of its
// own (classic buckets kept natively). Buckets that hold something are listed in spans: the first
// offset is the index of its first bucket, later ones are gaps. Counts are integers (as deltas from
// bucket to bucket) or floats (absolute), all of one kind.
//
// On the wire, in the log and in blocks it is prometheus.Histogram (prompb/types.proto,
// Apache-2.0), with the start timestamp that io.prometheus.write.v2.Histogram adds to it;
// BatchHistogram.wire holds those bytes. The struct is a view: its arrays belong to
// whoever made them (an arena, for what was read).
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum {
    HISTOGRAM_SCHEMA_MIN = -4,
    HISTOGRAM_SCHEMA_MAX = 8,
    HISTOGRAM_SCHEMA_CUSTOM = -53,  // custom_bounds instead of powers of two
};

typedef enum HistogramResetHint {
    HISTOGRAM_RESET_UNKNOWN = 0,  // compare with the one before
    HISTOGRAM_RESET_YES = 1,      // the first one after a reset
    HISTOGRAM_RESET_NO = 2,
    HISTOGRAM_RESET_GAUGE = 3,  // a gauge histogram, which has no resets
} HistogramResetHint;

typedef struct HistogramSpan {
    int32_t offset;  // the first: index of its first bucket; later ones: the gap, not negative
    uint32_t length;
} HistogramSpan;

// One side, positive or negative.
typedef struct HistogramBuckets {
    const HistogramSpan *spans;
    size_t span_count;
    const int64_t *deltas;  // integers: each bucket less the one before it
    const double *counts;   // floats: each bucket's own count
    size_t bucket_count;    // of deltas or counts; all spans together have as many
} HistogramBuckets;

typedef struct NativeHistogram {
    int64_t time_ms;
    int64_t start_ms;  // when its counting began; 0: not known
    int32_t schema;
    bool is_float;  // says which of the two of each pair below counts
    HistogramResetHint reset_hint;
    uint64_t count;
    double count_float;
    double sum;
    double zero_threshold;
    uint64_t zero_count;
    double zero_count_float;
    HistogramBuckets positive, negative;
    const double *custom_bounds;  // schema -53: upper bounds, rising, without +Inf
    size_t custom_bound_count;
} NativeHistogram;

// Do its parts agree, as Prometheus wants it (Histogram.Validate)? A known schema, spans that hold
// as many buckets as there are, no negative gap or count, the sum of the buckets is the count
// (integers; at most the count when `sum` is NaN, as those observations are in no bucket), bounds
// that rise and reach far enough. BAD_INPUT saying which does not.
must_use bool native_histogram_check(const NativeHistogram *histogram, Error *err);

// Appends the wire bytes of prometheus.Histogram, without a tag or length in front. Fields that
// hold their default are left out, except the kind of count, which tells integers from floats.
void native_histogram_write(const NativeHistogram *histogram, Builder *out);

// Reads wire bytes, which are not trusted, into `arena`: malformed protobuf is BAD_INPUT; whether
// the parts agree is native_histogram_check's. `out` is written only on success.
must_use bool native_histogram_read(Bytes wire, Arena *arena, NativeHistogram *out, Error *err);

// The same in wider buckets, those of a lower `schema`: each step down joins two. One whose schema
// is not above that, or has custom bounds, stays as it is. What is joined lies on `arena`. Only for
// one that passed native_histogram_check.
void native_histogram_reduce(const NativeHistogram *histogram, int32_t schema, Arena *arena,
                             NativeHistogram *out);

// Reduces until the bounds of a bucket are at least `growth_min` times apart (1 or less: any) and
// there are at most `buckets_max` (0: any number). False when they are still too many.
must_use bool native_histogram_fit(const NativeHistogram *histogram, double growth_min,
                                   uint64_t buckets_max, Arena *arena, NativeHistogram *out);

// The buckets of one with custom bounds as those of a classic histogram: for each bound how many
// observations are not above it. Those above all of them are in the count alone. As many as there
// are bounds, on `arena`. Only for one that passed native_histogram_check.
typedef struct ClassicBucket {
    double bound;
    uint64_t count;      // integers
    double count_float;  // floats
} ClassicBucket;
ClassicBucket *native_histogram_classic(const NativeHistogram *histogram, Arena *arena);

// The same histogram, bit for bit (time, start and hint included).
bool native_histogram_equal(const NativeHistogram *a, const NativeHistogram *b);
