// Counting observations in buckets.

#include "ingest/statsd/spread.h"

#include <math.h>

enum { SCHEMA_FIRST = 3 };  // eight buckets per power of two

// Prometheus' own default bounds, with three more beyond ten seconds.
const double spread_bounds[SPREAD_BOUNDS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                             1,     2.5,  5,     10,   25,  50,   100};

static const double ZERO_THRESHOLD = 0x1p-128;

Spread *spread_new(void) {
    Spread *spread = memory_new(Spread);
    spread->schema = SCHEMA_FIRST;
    return spread;
}

void spread_free(Spread **spread) {
    if (*spread == NULL) return;
    array_free(&(*spread)->positive);
    array_free(&(*spread)->negative);
    memory_free(TAKE(*spread));
}

// The bucket of a positive value: the least i with value <= 2^(i / 2^schema).
static int32_t index_of(double value, int schema) {
    double per_power = ldexp(1, schema);
    int32_t index = (int32_t)ceil(log2(value) * per_power);
    // log2 may be off by the last bit at a bound.
    while (exp2((double)(index - 1) / per_power) >= value) index--;
    while (exp2((double)index / per_power) < value) index++;
    return index;
}

static void buckets_add(SpreadBuckets *buckets, int32_t index, uint64_t times) {
    size_t from = 0, to = buckets->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (buckets->at[middle].index < index) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from < buckets->count && buckets->at[from].index == index) {
        buckets->at[from].count += times;
        return;
    }
    array_add(buckets);
    memmove(buckets->at + from + 1, buckets->at + from,
            (buckets->count - 1 - from) * sizeof *buckets->at);
    buckets->at[from] = (SpreadBucket){index, times};
}

// Joins two by two: bucket i of the coarser schema is 2i - 1 and 2i.
static void buckets_halve(SpreadBuckets *buckets) {
    size_t kept = 0;
    for (size_t i = 0; i < buckets->count; i++) {
        SpreadBucket bucket = buckets->at[i];
        bucket.index = (bucket.index + 1) >> 1;
        if (kept > 0 && buckets->at[kept - 1].index == bucket.index) {
            buckets->at[kept - 1].count += bucket.count;
        } else {
            buckets->at[kept++] = bucket;
        }
    }
    buckets->count = kept;
}

static void add_native(Spread *spread, double value, uint64_t times) {
    if (fabs(value) <= ZERO_THRESHOLD) {
        spread->zero += times;
        return;
    }
    buckets_add(value > 0 ? &spread->positive : &spread->negative,
                index_of(fabs(value), spread->schema), times);
    while (spread->positive.count + spread->negative.count > SPREAD_BUCKETS_MAX &&
           spread->schema > HISTOGRAM_SCHEMA_MIN) {
        buckets_halve(&spread->positive);
        buckets_halve(&spread->negative);
        spread->schema--;
    }
}

void spread_add(Spread *spread, bool native, double value, uint64_t times) {
    spread->count += times;
    spread->sum += value * (double)times;
    if (native) {
        add_native(spread, value, times);
        return;
    }
    size_t bound = 0;
    while (bound < SPREAD_BOUNDS && value > spread_bounds[bound]) bound++;
    spread->classic[bound] += times;
}

static HistogramBuckets side_of(const SpreadBuckets *buckets, Arena *arena) {
    if (buckets->count == 0) return (HistogramBuckets){0};
    HistogramSpan *spans = arena_push_array(arena, HistogramSpan, buckets->count);
    int64_t *deltas = arena_push_array(arena, int64_t, buckets->count);
    size_t span_count = 0;
    int64_t before = 0;
    for (size_t i = 0; i < buckets->count; i++) {
        int32_t index = buckets->at[i].index;
        if (i == 0 || index != buckets->at[i - 1].index + 1) {
            int32_t gap = i == 0 ? index : index - buckets->at[i - 1].index - 1;
            spans[span_count++] = (HistogramSpan){gap, 0};
        }
        spans[span_count - 1].length++;
        deltas[i] = (int64_t)buckets->at[i].count - before;
        before = (int64_t)buckets->at[i].count;
    }
    return (HistogramBuckets){
        .spans = spans, .span_count = span_count, .deltas = deltas, .bucket_count = buckets->count};
}

void spread_native(const Spread *spread, int64_t time_ms, Arena *arena, NativeHistogram *out) {
    *out = (NativeHistogram){
        .time_ms = time_ms,
        .schema = spread->schema,
        .count = spread->count,
        .sum = spread->sum,
        .zero_threshold = ZERO_THRESHOLD,
        .zero_count = spread->zero,
        .positive = side_of(&spread->positive, arena),
        .negative = side_of(&spread->negative, arena),
    };
}
