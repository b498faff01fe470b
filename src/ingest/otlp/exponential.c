// Dense buckets at some scale to sparse ones, and sums of them.

#include "ingest/otlp/exponential.h"

#include <math.h>

#include "base/limits.h"
#include "model/sample.h"

enum { GAP_IN_SPAN = 2 };  // up to so many empty buckets stay within a span

static const double zero_threshold_default = 1e-128;

void exponential_coarsen(ExponentialBuckets *buckets, int32_t steps, Arena *arena) {
    if (steps <= 0) return;
    if (steps > 31) steps = 31;  // -1 and 0 are left
    if (buckets->count == 0) {
        buckets->offset >>= steps;
        return;
    }
    int64_t first = (int64_t)buckets->offset >> steps;
    int64_t last = ((int64_t)buckets->offset + (int64_t)buckets->count - 1) >> steps;
    uint64_t *counts = arena_push_array(arena, uint64_t, (size_t)(last - first + 1));
    for (size_t i = 0; i < buckets->count; i++)
        counts[(((int64_t)buckets->offset + (int64_t)i) >> steps) - first] += buckets->counts[i];
    *buckets = (ExponentialBuckets){(int32_t)first, counts, (size_t)(last - first + 1)};
}

// ---- Adding ----

// Empty buckets at both ends do not count.
static ExponentialBuckets trimmed(ExponentialBuckets buckets) {
    while (buckets.count > 0 && buckets.counts[buckets.count - 1] == 0) buckets.count--;
    while (buckets.count > 0 && buckets.counts[0] == 0) {
        buckets.counts++;
        buckets.count--;
        buckets.offset++;
    }
    return buckets;
}

// How wide both together are.
static int64_t width_of(const ExponentialBuckets *a, const ExponentialBuckets *b) {
    if (a->count == 0 || b->count == 0) return (int64_t)(a->count + b->count);
    int64_t from = MIN((int64_t)a->offset, (int64_t)b->offset);
    int64_t to =
        MAX((int64_t)a->offset + (int64_t)a->count, (int64_t)b->offset + (int64_t)b->count);
    return to - from;
}

static ExponentialBuckets sum_of(const ExponentialBuckets *a, const ExponentialBuckets *b,
                                 Arena *arena) {
    if (a->count == 0 && b->count == 0) return (ExponentialBuckets){0};
    int32_t from = a->count == 0 || (b->count > 0 && b->offset < a->offset) ? b->offset : a->offset;
    ExponentialBuckets sum = {.offset = from, .count = (size_t)width_of(a, b)};
    sum.counts = arena_push_array(arena, uint64_t, sum.count);
    for (size_t i = 0; i < a->count; i++)
        sum.counts[(size_t)(a->offset - from) + i] += a->counts[i];
    for (size_t i = 0; i < b->count; i++)
        sum.counts[(size_t)(b->offset - from) + i] += b->counts[i];
    return sum;
}

bool exponential_add(ExponentialPoint *a, const ExponentialPoint *b, Arena *arena, Error *err) {
    ExponentialPoint left = *a, right = *b;
    left.positive = trimmed(left.positive);
    left.negative = trimmed(left.negative);
    right.positive = trimmed(right.positive);
    right.negative = trimmed(right.negative);
    int32_t scale = MIN(left.scale, right.scale);
    for (;;) {
        // The difference of two scales may not fit into 32 bits.
        exponential_coarsen(&left.positive, (int32_t)MIN((int64_t)left.scale - scale, 31), arena);
        exponential_coarsen(&left.negative, (int32_t)MIN((int64_t)left.scale - scale, 31), arena);
        exponential_coarsen(&right.positive, (int32_t)MIN((int64_t)right.scale - scale, 31), arena);
        exponential_coarsen(&right.negative, (int32_t)MIN((int64_t)right.scale - scale, 31), arena);
        left.scale = right.scale = scale;
        if (width_of(&left.positive, &right.positive) <= LIMIT_OTLP_BUCKETS &&
            width_of(&left.negative, &right.negative) <= LIMIT_OTLP_BUCKETS)
            break;
        if (scale <= HISTOGRAM_SCHEMA_MIN) {
            return error_set(err, ERROR_TOO_LARGE,
                             "the buckets span more than OTLP_BUCKETS (%lld) at any scale",
                             (long long)LIMIT_OTLP_BUCKETS);
        }
        scale--;
    }
    a->scale = scale;
    a->positive = sum_of(&left.positive, &right.positive, arena);
    a->negative = sum_of(&left.negative, &right.negative, arena);
    a->count = left.count + right.count;
    a->zero_count = left.zero_count + right.zero_count;
    a->sum = left.sum + right.sum;
    a->has_sum = left.has_sum && right.has_sum;
    return true;
}

// ---- To native ----

// Counts at `first`, `first` + 1, … as spans and deltas; empty buckets are left out where a gap is
// worth a span.
static HistogramBuckets sparse(const uint64_t *counts, size_t count, int64_t first, Arena *arena) {
    HistogramSpan *spans = arena_push_array(arena, HistogramSpan, count / 2 + 1);
    int64_t *deltas = arena_push_array(arena, int64_t, count);
    HistogramBuckets out = {.spans = spans, .deltas = deltas};
    int64_t next = 0;  // index behind the last bucket written
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts[i] == 0) continue;
        int64_t index = first + (int64_t)i;
        if (out.span_count == 0 || index - next > GAP_IN_SPAN) {
            int64_t offset = out.span_count == 0 ? index : index - next;
            spans[out.span_count++] = (HistogramSpan){(int32_t)offset, 0};
            next = index;
        }
        for (; next <= index; next++) {
            uint64_t value = next == index ? counts[i] : 0;
            deltas[out.bucket_count++] = (int64_t)(value - before);
            before = value;
            spans[out.span_count - 1].length++;
        }
    }
    return out;
}

static void mark_stale(NativeHistogram *out) {
    *out = (NativeHistogram){.time_ms = out->time_ms,
                             .schema = out->schema,
                             .sum = stale_nan(),
                             .zero_threshold = out->zero_threshold,
                             .custom_bounds = out->custom_bounds,
                             .custom_bound_count = out->custom_bound_count};
}

static bool fits_index(const ExponentialBuckets *buckets) {
    return (int64_t)buckets->offset + (int64_t)buckets->count < INT32_MAX;
}

bool exponential_to_native(const ExponentialPoint *point, int64_t time_ms, Arena *arena,
                           NativeHistogram *out, Error *err) {
    if (point->scale < HISTOGRAM_SCHEMA_MIN) {
        return error_set(err, ERROR_BAD_INPUT,
                         "an exponential histogram of scale %d; native histograms begin at %d",
                         (int)point->scale, HISTOGRAM_SCHEMA_MIN);
    }
    ExponentialBuckets positive = point->positive, negative = point->negative;
    if (!fits_index(&positive) || !fits_index(&negative)) {
        return error_set(err, ERROR_BAD_INPUT, "a bucket's index passes 31 bits");
    }
    int32_t scale = MIN(point->scale, (int32_t)HISTOGRAM_SCHEMA_MAX);
    exponential_coarsen(&positive, point->scale - scale, arena);
    exponential_coarsen(&negative, point->scale - scale, arena);
    *out = (NativeHistogram){
        .time_ms = time_ms,
        .start_ms = (int64_t)(point->head.start_ns / 1000000),
        .schema = scale,
        .count = point->count,
        .sum = point->sum,
        .zero_count = point->zero_count,
        .zero_threshold =
            point->zero_threshold > 0 ? point->zero_threshold : zero_threshold_default,
    };
    if (point->head.flags & POINT_NO_VALUE) {
        mark_stale(out);
        return true;
    }
    out->positive = sparse(positive.counts, positive.count, (int64_t)positive.offset + 1, arena);
    out->negative = sparse(negative.counts, negative.count, (int64_t)negative.offset + 1, arena);
    return native_histogram_check(out, err);
}

bool explicit_to_native(const HistogramPoint *point, int64_t time_ms, Arena *arena,
                        NativeHistogram *out, Error *err) {
    *out = (NativeHistogram){
        .time_ms = time_ms,
        .start_ms = (int64_t)(point->head.start_ns / 1000000),
        .schema = HISTOGRAM_SCHEMA_CUSTOM,
        .count = point->count,
        .sum = point->sum,
        .custom_bounds = point->bounds,
        .custom_bound_count = point->bound_count,
    };
    // A bound of +Inf is implied.
    while (out->custom_bound_count > 0 && isinf(point->bounds[out->custom_bound_count - 1]) &&
           point->bounds[out->custom_bound_count - 1] > 0)
        out->custom_bound_count--;
    if (point->head.flags & POINT_NO_VALUE) {
        mark_stale(out);
        return true;
    }
    if (point->count_count > 0) {
        size_t kept = MIN(point->count_count, out->custom_bound_count + 1);
        uint64_t *counts = arena_push_array(arena, uint64_t, kept);
        for (size_t i = 0; i < point->count_count; i++)
            counts[MIN(i, kept - 1)] += point->counts[i];
        out->positive = sparse(counts, kept, 0, arena);
    } else if (point->count > 0) {  // no buckets: all is in the last one
        out->positive = sparse(&point->count, 1, 0, arena);
        out->custom_bound_count = 0;
    }
    return native_histogram_check(out, err);
}
