// One request on its way through the decoder: where it is, what it refuses, what it writes.
// Private to ingest/otlp.
#pragma once

#include "ingest/otlp/attributes.h"
#include "ingest/otlp/cache.h"
#include "ingest/otlp/delta.h"

typedef enum MetricKind {
    METRIC_NONE,
    METRIC_GAUGE,
    METRIC_SUM,
    METRIC_HISTOGRAM,
    METRIC_EXPONENTIAL,
    METRIC_SUMMARY,
} MetricKind;

typedef enum Temporality {
    TEMPORALITY_NONE,
    TEMPORALITY_DELTA,
    TEMPORALITY_CUMULATIVE
} Temporality;

// What a resource became. On the cache's arena, like the other two.
typedef struct ResourceValue {
    const Label *promoted;  // under their translated names
    size_t promoted_count;
    Text job, instance;
    bool has_job, has_instance;
    KeptLabels *info;  // of target_info; NULL when there is nothing to tell
    bool faulty;       // all its points are rejected
    const char *why;
} ResourceValue;

typedef struct ScopeValue {
    const Label *labels;
    size_t label_count;
    bool faulty;
    const char *why;
} ScopeValue;

typedef struct MetricValue {
    MetricKind kind;
    Temporality temporality;
    bool monotonic;
    Text name, original, help, unit;
    Text sum_name, count_name, bucket_name;
    int64_t described_ms;  // when its metadata was last written
    bool faulty;
    const char *why;
} MetricValue;

// What the attributes of a point became: label sets. (A number's node holds its labels alone.)
typedef struct PointValue {
    KeptLabels base;
    KeptLabels sum, count, infinite;
    KeptLabels *parts;  // of buckets or quantiles
    size_t part_count;
} PointValue;

typedef struct Decode {
    const OtlpOptions *options;
    Cache *cache;
    Arena *scratch;     // until the request is decoded
    DeltaTable *delta;  // locked; NULL: not needed so far
    bool wants_delta;   // it is: all again, with it
    int64_t arrival_ms;
    WriteBody *rows;
    OtlpOutcome *out;

    const ResourceValue *resource;
    const ScopeValue *scope;
    MetricValue *metric;
    CachePlace points;           // of the metric
    uint64_t first_ns, last_ns;  // of the resource's points; 0: none
    const char *refused;         // all points here are rejected, and why
} Decode;

// Rejects one point. The first one's reason is kept, with the name of its metric.
void decode_reject(Decode *decode, const Error *why);

// Writes the rows of one data point of decode->metric. False: the whole body is refused
// (malformed, or too many rows).
must_use bool write_number(Decode *decode, Bytes point, Error *err);
must_use bool write_histogram(Decode *decode, Bytes point, Error *err);
must_use bool write_exponential(Decode *decode, Bytes point, Error *err);
must_use bool write_summary(Decode *decode, Bytes point, Error *err);

// The labels of a point without its metric's name.
must_use bool point_labels(Decode *decode, Bytes attributes, uint32_t number, LabelSet *out,
                           Error *err);

// Walks an ExportMetricsServiceRequest.
must_use bool decode_request(Decode *decode, Bytes body, Error *err);
