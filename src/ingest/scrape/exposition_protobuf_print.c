// Writing Prometheus' protobuf: MetricFamily messages, each behind its length
// (io/prometheus/client/metrics.proto, Apache-2.0).

#include "codec/protobuf.h"
#include "ingest/scrape/exposition.h"

enum {
    FAMILY_NAME = 1,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
    METRIC_LABEL = 1,
    METRIC_UNTYPED = 5,
    METRIC_TIME = 6,
    METRIC_HISTOGRAM = 7,
    UNTYPED_VALUE = 1,
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_COUNT_FLOAT = 4,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7,
    HISTOGRAM_ZERO_COUNT_FLOAT = 8,
    HISTOGRAM_NEGATIVE_SPAN = 9,  // then its deltas and its counts
    HISTOGRAM_POSITIVE_SPAN = 12,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
    PAIR_NAME = 1,
    PAIR_VALUE = 2,
    BUCKET_COUNT = 1,
    BUCKET_BOUND = 2,
    BUCKET_COUNT_FLOAT = 4,
};

static uint64_t type_number(MetadataType type) {
    switch (type) {
        case METADATA_HISTOGRAM:
            return 4;
        case METADATA_GAUGE_HISTOGRAM:
            return 5;
        case METADATA_UNKNOWN:
        case METADATA_COUNTER:
        case METADATA_GAUGE:
        case METADATA_SUMMARY:
        case METADATA_INFO:
        case METADATA_STATESET:
            break;
    }
    return 3;  // untyped
}

static void add_buckets(const NativeHistogram *histogram, const HistogramBuckets *buckets,
                        uint32_t span_field, Builder *out) {
    for (size_t i = 0; i < buckets->span_count; i++) {
        size_t begun = protobuf_begin(out, span_field);
        protobuf_add_sint(out, SPAN_OFFSET, buckets->spans[i].offset);
        protobuf_add_varint(out, SPAN_LENGTH, buckets->spans[i].length);
        protobuf_end(out, begun);
    }
    for (size_t i = 0; i < buckets->bucket_count; i++) {
        if (histogram->is_float) {
            protobuf_add_double(out, span_field + 2, buckets->counts[i]);
        } else {
            protobuf_add_sint(out, span_field + 1, buckets->deltas[i]);
        }
    }
}

// The one of +Inf is left out: it is the count.
static void add_classic(const NativeHistogram *histogram, Builder *out) {
    AUTO(arena_free) Arena arena = {0};
    const ClassicBucket *buckets = native_histogram_classic(histogram, &arena);
    size_t begun = protobuf_begin(out, METRIC_HISTOGRAM);
    if (histogram->is_float) {
        protobuf_add_double(out, HISTOGRAM_COUNT_FLOAT, histogram->count_float);
    } else {
        protobuf_add_varint(out, HISTOGRAM_COUNT, histogram->count);
    }
    protobuf_add_double(out, HISTOGRAM_SUM, histogram->sum);
    for (size_t i = 0; i < histogram->custom_bound_count; i++) {
        size_t bucket = protobuf_begin(out, HISTOGRAM_BUCKET);
        if (histogram->is_float) {
            protobuf_add_double(out, BUCKET_COUNT_FLOAT, buckets[i].count_float);
        } else {
            protobuf_add_varint(out, BUCKET_COUNT, buckets[i].count);
        }
        protobuf_add_double(out, BUCKET_BOUND, buckets[i].bound);
        protobuf_end(out, bucket);
    }
    protobuf_end(out, begun);
}

static void add_histogram(const NativeHistogram *histogram, Builder *out) {
    if (histogram->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        add_classic(histogram, out);
        return;
    }
    size_t begun = protobuf_begin(out, METRIC_HISTOGRAM);
    if (histogram->is_float) {
        protobuf_add_double(out, HISTOGRAM_COUNT_FLOAT, histogram->count_float);
        protobuf_add_double(out, HISTOGRAM_ZERO_COUNT_FLOAT, histogram->zero_count_float);
    } else {
        protobuf_add_varint(out, HISTOGRAM_COUNT, histogram->count);
        protobuf_add_varint(out, HISTOGRAM_ZERO_COUNT, histogram->zero_count);
    }
    protobuf_add_double(out, HISTOGRAM_SUM, histogram->sum);
    protobuf_add_sint(out, HISTOGRAM_SCHEMA, histogram->schema);
    protobuf_add_double(out, HISTOGRAM_ZERO_THRESHOLD, histogram->zero_threshold);
    add_buckets(histogram, &histogram->negative, HISTOGRAM_NEGATIVE_SPAN, out);
    add_buckets(histogram, &histogram->positive, HISTOGRAM_POSITIVE_SPAN, out);
    // A reader tells a native histogram from a classic one by its spans: one without buckets has an
    // empty one, as client libraries write it.
    if (histogram->positive.span_count + histogram->negative.span_count == 0)
        protobuf_end(out, protobuf_begin(out, HISTOGRAM_POSITIVE_SPAN));
    protobuf_end(out, begun);
}

void exposition_family_begin(Builder *family, Text name, MetadataType type) {
    builder_clear(family);
    protobuf_add_text(family, FAMILY_NAME, name);
    protobuf_add_varint(family, FAMILY_TYPE, type_number(type));
}

void exposition_family_metric(Builder *family, Labels labels, double value,
                              const NativeHistogram *histogram, int64_t time_ms) {
    size_t begun = protobuf_begin(family, FAMILY_METRIC);
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (text_equal(label.name, LABEL_NAME)) continue;
        size_t pair = protobuf_begin(family, METRIC_LABEL);
        protobuf_add_text(family, PAIR_NAME, label.name);
        protobuf_add_text(family, PAIR_VALUE, label.value);
        protobuf_end(family, pair);
    }
    if (histogram != NULL) {
        add_histogram(histogram, family);
    } else {
        size_t untyped = protobuf_begin(family, METRIC_UNTYPED);
        protobuf_add_double(family, UNTYPED_VALUE, value);
        protobuf_end(family, untyped);
    }
    protobuf_add_varint(family, METRIC_TIME, (uint64_t)time_ms);
    protobuf_end(family, begun);
}

void exposition_family_end(const Builder *family, Builder *out) {
    writer_varint(out, family->len);
    builder_add(out, builder_text(family));
}
