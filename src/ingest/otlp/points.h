// The data points of OTLP as structs, read from their protobuf without judging them. Private to
// ingest/otlp.
#pragma once

#include "base/array.h"
#include "codec/protobuf.h"

enum { POINT_NO_VALUE = 1 };  // of `flags`: DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK

// The fields of one number, as they stand in a message: nearly always side by side.
typedef struct FieldRun {
    const uint8_t *from, *to;
    bool split;
} FieldRun;

// What every point has.
typedef struct PointHead {
    uint64_t start_ns, time_ns;
    uint32_t flags;
    FieldRun attributes;
    bool has_exemplars;
} PointHead;

typedef struct NumberPoint {
    PointHead head;
    double value;
    bool has_value;
} NumberPoint;

typedef struct HistogramPoint {
    PointHead head;
    uint64_t count;
    double sum;
    bool has_sum;
    uint64_t *counts;  // one more than bounds, or none of either
    double *bounds;
    size_t count_count, bound_count;
} HistogramPoint;

// One side of an exponential histogram: bucket i holds (base^(offset+i), base^(offset+i+1)].
typedef struct ExponentialBuckets {
    int32_t offset;
    uint64_t *counts;
    size_t count;
} ExponentialBuckets;

typedef struct ExponentialPoint {
    PointHead head;
    uint64_t count, zero_count;
    double sum, zero_threshold;
    bool has_sum;
    int32_t scale;
    ExponentialBuckets positive, negative;
} ExponentialPoint;

typedef struct Quantile {
    double quantile, value;
} Quantile;

typedef struct SummaryPoint {
    PointHead head;
    uint64_t count;
    double sum;
    Quantile *quantiles;
    size_t quantile_count;
} SummaryPoint;

// Numbers of the attribute and exemplar fields, which differ from kind to kind.
enum {
    NUMBER_ATTRIBUTES = 7,
    NUMBER_EXEMPLARS = 5,
    HISTOGRAM_ATTRIBUTES = 9,
    HISTOGRAM_EXEMPLARS = 8,
    EXPONENTIAL_ATTRIBUTES = 1,
    EXPONENTIAL_EXEMPLARS = 11,
    SUMMARY_ATTRIBUTES = 7,
};

// False when malformed. Arrays are on `scratch`; *too_many when there are more than OTLP_BUCKETS
// buckets, bounds or quantiles (the rest is not read).
must_use bool number_point_read(Bytes point, NumberPoint *out);
must_use bool histogram_point_read(Bytes point, Arena *scratch, HistogramPoint *out,
                                   bool *too_many);
must_use bool exponential_point_read(Bytes point, Arena *scratch, ExponentialPoint *out,
                                     bool *too_many);
must_use bool summary_point_read(Bytes point, Arena *scratch, SummaryPoint *out, bool *too_many);

// The attribute fields of `point` side by side: a view, or gathered on `scratch`.
Bytes point_attributes(const PointHead *head, Bytes point, uint32_t number, Arena *scratch);
