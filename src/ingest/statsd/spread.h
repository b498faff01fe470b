// The distribution of a timer: classic buckets, or a native histogram that gets coarser by itself.
// Private to ingest/statsd.
#pragma once

#include "base/array.h"
#include "ingest/ingest.h"

enum { SPREAD_BOUNDS = 14, SPREAD_BUCKETS_MAX = 160 };
// Upper bounds of classic buckets; +Inf is beyond.
extern const double spread_bounds[SPREAD_BOUNDS];

typedef struct SpreadBucket {
    int32_t index;
    uint64_t count;
} SpreadBucket;
typedef ARRAY(SpreadBucket) SpreadBuckets;

typedef struct Spread {
    uint64_t count;
    double sum;
    // Classic: how many are at most each bound, and above the one before.
    uint64_t classic[SPREAD_BOUNDS + 1];
    // Native, sorted by index.
    int schema;
    uint64_t zero;
    SpreadBuckets positive, negative;
} Spread;

Spread *spread_new(void);
void spread_free(Spread **spread);  // NULL is fine

// `value` is finite.
void spread_add(Spread *spread, bool native, double value, uint64_t times);

// As a native histogram, on `arena`.
void spread_native(const Spread *spread, int64_t time_ms, Arena *arena, NativeHistogram *out);
