// Native histograms: their wire bytes written, read, and held against each other.

#include "model/native_histogram.h"

#include <endian.h>
#include <math.h>

#include "base/array.h"
#include "codec/protobuf.h"
#include "model/sample.h"

// prometheus.Histogram; HISTOGRAM_ is taken by the schema and the hints.
enum {
    FIELD_COUNT_INT = 1,
    FIELD_COUNT_FLOAT = 2,
    FIELD_SUM = 3,
    FIELD_SCHEMA = 4,
    FIELD_ZERO_THRESHOLD = 5,
    FIELD_ZERO_COUNT_INT = 6,
    FIELD_ZERO_COUNT_FLOAT = 7,
    FIELD_NEGATIVE_SPANS = 8,
    FIELD_NEGATIVE_DELTAS = 9,
    FIELD_NEGATIVE_COUNTS = 10,
    FIELD_POSITIVE_SPANS = 11,
    FIELD_POSITIVE_DELTAS = 12,
    FIELD_POSITIVE_COUNTS = 13,
    FIELD_RESET_HINT = 14,
    FIELD_TIME = 15,
    FIELD_CUSTOM_VALUES = 16,
    FIELD_START = 17,  // of remote write 2.0
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
    VARINT_BYTES_MAX = 10,
};

// ---- Checking ----

static bool check_spans(const char *side, const HistogramBuckets *buckets, Error *err) {
    uint64_t covered = 0;
    for (size_t i = 0; i < buckets->span_count; i++) {
        if (i > 0 && buckets->spans[i].offset < 0) {
            return error_set(err, ERROR_BAD_INPUT,
                             "native histogram: %s span %zu has the negative offset %d, so it "
                             "overlaps the one before it",
                             side, i + 1, buckets->spans[i].offset);
        }
        covered += buckets->spans[i].length;
    }
    if (covered == buckets->bucket_count) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "native histogram: the %s spans hold %llu buckets, but %zu are given", side,
                     (unsigned long long)covered, buckets->bucket_count);
}

// Adds the counts of one side to `*total` (integers only: sums of floats do not come out even).
static bool check_counts(const char *side, const HistogramBuckets *buckets, bool is_float,
                         uint64_t *total, Error *err) {
    int64_t count = 0;
    for (size_t i = 0; i < buckets->bucket_count; i++) {
        bool negative;
        if (is_float) {
            negative = buckets->counts[i] < 0;
        } else {
            bool overflow = __builtin_add_overflow(count, buckets->deltas[i], &count);
            overflow |= __builtin_add_overflow(*total, (uint64_t)count, total);
            negative = count < 0;
            if (overflow && !negative) {
                return error_set(err, ERROR_BAD_INPUT,
                                 "native histogram: the %s buckets count to more than 2^64", side);
            }
        }
        if (negative) {
            return error_set(err, ERROR_BAD_INPUT,
                             "native histogram: %s bucket %zu has a negative count", side, i + 1);
        }
    }
    return true;
}

static bool check_custom(const NativeHistogram *histogram, Error *err) {
    const double *bounds = histogram->custom_bounds;
    for (size_t i = 0; i < histogram->custom_bound_count; i++) {
        if (isnan(bounds[i]) || (i > 0 && !(bounds[i - 1] < bounds[i]))) {
            return error_set(err, ERROR_BAD_INPUT,
                             "native histogram: custom bound %zu is not above the one before it",
                             i + 1);
        }
    }
    if (histogram->custom_bound_count > 0 && isinf(bounds[histogram->custom_bound_count - 1])) {
        return error_set(err, ERROR_BAD_INPUT,
                         "native histogram: the last custom bound must not be infinite");
    }
    // The bucket above the last bound is there without a bound.
    uint64_t reach = 0;
    for (size_t i = 0; i < histogram->positive.span_count; i++) {
        const HistogramSpan *span = &histogram->positive.spans[i];
        if (span->offset < 0) {
            return error_set(err, ERROR_BAD_INPUT,
                             "native histogram: span %zu with custom bounds has a negative offset",
                             i + 1);
        }
        reach += (uint64_t)span->offset + span->length;
    }
    if (reach > histogram->custom_bound_count + 1) {
        return error_set(err, ERROR_BAD_INPUT,
                         "native histogram: spans reach bucket %llu, but %zu custom bounds make "
                         "only %zu",
                         (unsigned long long)reach, histogram->custom_bound_count,
                         histogram->custom_bound_count + 1);
    }
    bool zero = histogram->zero_threshold != 0 ||
                (histogram->is_float ? histogram->zero_count_float != 0 : histogram->zero_count);
    if (!zero && histogram->negative.span_count == 0 && histogram->negative.bucket_count == 0)
        return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "native histogram: one with custom bounds has neither a zero bucket nor "
                     "negative ones");
}

static bool check_total(const NativeHistogram *histogram, uint64_t total, Error *err) {
    if (histogram->is_float) {
        if (!(histogram->count_float < 0) && !(histogram->zero_count_float < 0)) return true;
        return error_set(err, ERROR_BAD_INPUT, "native histogram: a negative count");
    }
    // Observations of NaN are counted and summed up, but fall into no bucket.
    bool overflow = __builtin_add_overflow(total, histogram->zero_count, &total);
    bool agrees = isnan(histogram->sum) ? total <= histogram->count : total == histogram->count;
    if (agrees && !overflow) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "native histogram: the buckets count to %llu, but the count is %llu",
                     (unsigned long long)total, (unsigned long long)histogram->count);
}

bool native_histogram_check(const NativeHistogram *histogram, Error *err) {
    int32_t schema = histogram->schema;
    if (schema == HISTOGRAM_SCHEMA_CUSTOM) {
        TRY(check_custom(histogram, err));
    } else if (schema < HISTOGRAM_SCHEMA_MIN || schema > HISTOGRAM_SCHEMA_MAX) {
        return error_set(err, ERROR_BAD_INPUT,
                         "native histogram: schema %d is not known (%d to %d, or %d)", schema,
                         HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM);
    } else if (histogram->custom_bound_count > 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "native histogram: custom bounds with schema %d, which has its own",
                         schema);
    }
    uint64_t total = 0;
    TRY(check_spans("positive", &histogram->positive, err));
    TRY(check_spans("negative", &histogram->negative, err));
    TRY(check_counts("positive", &histogram->positive, histogram->is_float, &total, err));
    TRY(check_counts("negative", &histogram->negative, histogram->is_float, &total, err));
    return check_total(histogram, total, err);
}

// ---- Writing ----

// Room is made once, for the most that a histogram can take; then the bytes are put there one
// behind the other. (Through a Builder each of its many small numbers asked for room; to unpack one
// of 24 buckets from columns took 504 ns so, and takes 196.)
enum {
    FIELDS_BYTES_MAX = 192,  // all that is no span, bucket or bound, tags and lengths included
    SPAN_BYTES_MAX = 16,
};

static char *put_varint(char *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

static char *put_tag(char *at, uint32_t number, WireType type) {
    return put_varint(at, (uint64_t)number << 3 | type);
}

static char *put_integer(char *at, uint32_t number, uint64_t value) {
    return put_varint(put_tag(at, number, WIRE_VARINT), value);
}

static char *put_bits(char *at, double value) {
    uint64_t bits = htole64(double_bits(value));
    memcpy(at, &bits, sizeof bits);
    return at + sizeof bits;
}

static char *put_double(char *at, uint32_t number, double value) {
    return put_bits(put_tag(at, number, WIRE_FIXED64), value);
}

// Bytes behind a length, for which one byte is left; longer ones move.
static char *put_begin(char *at, uint32_t number) {
    return put_tag(at, number, WIRE_BYTES) + 1;
}
static char *put_end(char *begun, char *at) {
    size_t len = (size_t)(at - begun), more = varint_len(len) - 1;
    if (more > 0) memmove(begun + more, begun, len);
    put_varint(begun - 1, len);
    return at + more;
}

static char *put_spans(char *at, uint32_t number, const HistogramBuckets *buckets) {
    for (size_t i = 0; i < buckets->span_count; i++) {
        const HistogramSpan *span = &buckets->spans[i];
        char *begun = at = put_begin(at, number);
        if (span->offset != 0) at = put_integer(at, SPAN_OFFSET, zigzag_encode(span->offset));
        if (span->length != 0) at = put_integer(at, SPAN_LENGTH, span->length);
        at = put_end(begun, at);
    }
    return at;
}

static char *put_doubles(char *at, uint32_t number, const double *values, size_t count) {
    if (count == 0) return at;
    char *begun = at = put_begin(at, number);
    for (size_t i = 0; i < count; i++) at = put_bits(at, values[i]);
    return put_end(begun, at);
}

static char *put_deltas(char *at, uint32_t number, const int64_t *deltas, size_t count) {
    if (count == 0) return at;
    char *begun = at = put_begin(at, number);
    for (size_t i = 0; i < count; i++) at = put_varint(at, zigzag_encode(deltas[i]));
    return put_end(begun, at);
}

static char *put_side(char *at, uint32_t spans, const HistogramBuckets *buckets, bool is_float) {
    at = put_spans(at, spans, buckets);
    return is_float ? put_doubles(at, spans + 2, buckets->counts, buckets->bucket_count)
                    : put_deltas(at, spans + 1, buckets->deltas, buckets->bucket_count);
}

static size_t bytes_max(const NativeHistogram *histogram) {
    size_t spans = histogram->positive.span_count + histogram->negative.span_count;
    size_t buckets = histogram->positive.bucket_count + histogram->negative.bucket_count;
    return FIELDS_BYTES_MAX + spans * SPAN_BYTES_MAX + buckets * VARINT_BYTES_MAX +
           histogram->custom_bound_count * sizeof(double);
}

void native_histogram_write(const NativeHistogram *histogram, Builder *out) {
    builder_reserve(out, bytes_max(histogram));
    bool is_float = histogram->is_float;
    char *at = out->at + out->len;
    at = is_float ? put_double(at, FIELD_COUNT_FLOAT, histogram->count_float)
                  : put_integer(at, FIELD_COUNT_INT, histogram->count);
    // Negative zero is not a default.
    if (double_bits(histogram->sum) != 0) at = put_double(at, FIELD_SUM, histogram->sum);
    if (histogram->schema != 0)
        at = put_integer(at, FIELD_SCHEMA, zigzag_encode(histogram->schema));
    if (double_bits(histogram->zero_threshold) != 0)
        at = put_double(at, FIELD_ZERO_THRESHOLD, histogram->zero_threshold);
    at = is_float ? put_double(at, FIELD_ZERO_COUNT_FLOAT, histogram->zero_count_float)
                  : put_integer(at, FIELD_ZERO_COUNT_INT, histogram->zero_count);
    at = put_side(at, FIELD_NEGATIVE_SPANS, &histogram->negative, is_float);
    at = put_side(at, FIELD_POSITIVE_SPANS, &histogram->positive, is_float);
    if (histogram->reset_hint != HISTOGRAM_RESET_UNKNOWN)
        at = put_integer(at, FIELD_RESET_HINT, histogram->reset_hint);
    if (histogram->time_ms != 0) at = put_integer(at, FIELD_TIME, (uint64_t)histogram->time_ms);
    at = put_doubles(at, FIELD_CUSTOM_VALUES, histogram->custom_bounds,
                     histogram->custom_bound_count);
    if (histogram->start_ms != 0) at = put_integer(at, FIELD_START, (uint64_t)histogram->start_ms);
    out->len = (size_t)(at - out->at);
}

// ---- Reading ----

typedef ARRAY(double) Doubles;

typedef struct Side {
    ARRAY(HistogramSpan) spans;
    ARRAY(int64_t) deltas;
    Doubles counts;
} Side;

typedef struct Read {
    Arena *arena;
    NativeHistogram histogram;
    Side positive, negative;
    Doubles bounds;
} Read;

static bool read_span(const ProtobufField *field, Side *side, Arena *arena) {
    if (field->type != WIRE_BYTES) return true;
    HistogramSpan *span = array_add_on(arena, &side->spans);
    Reader reader = reader_begin(field->bytes);
    ProtobufField inner;
    while (protobuf_next(&reader, &inner)) {
        if (inner.type != WIRE_VARINT) continue;
        if (inner.number == SPAN_OFFSET) span->offset = (int32_t)zigzag_decode(inner.value);
        if (inner.number == SPAN_LENGTH) span->length = (uint32_t)inner.value;
    }
    return !reader.failed;
}

// Packed and for the first time, as everybody sends them: so many as bytes that end a number.
static bool read_first_deltas(Bytes packed, Side *side, Arena *arena) {
    size_t count = 0;
    for (size_t i = 0; i < packed.len; i++) count += packed.at[i] < 0x80;
    int64_t *deltas = arena_push_array_raw(arena, int64_t, count);
    Reader reader = reader_begin(packed);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = reader.at;
        if (at + 1 < reader.end && at[0] >= 0x80 && at[1] < 0x80) {  // two bytes
            deltas[i] = zigzag_decode((uint64_t)at[1] << 7 | (at[0] & 0x7f));
            reader.at += 2;
        } else {
            deltas[i] = zigzag_decode(reader_varint(&reader));
        }
    }
    side->deltas.at = deltas;
    side->deltas.count = side->deltas.capacity = count;
    return !reader.failed && reader_left(&reader) == 0;
}

static bool read_deltas(const ProtobufField *field, Side *side, Arena *arena) {
    if (field->type != WIRE_BYTES && field->type != WIRE_VARINT) return true;
    if (field->type == WIRE_BYTES && side->deltas.at == NULL)
        return read_first_deltas(field->bytes, side, arena);
    Reader packed = protobuf_packed(field);
    uint64_t bits;
    while (protobuf_packed_next(&packed, WIRE_VARINT, &bits))
        *array_add_on(arena, &side->deltas) = zigzag_decode(bits);
    return !packed.failed;
}

static bool read_doubles(const ProtobufField *field, Doubles *out, Arena *arena) {
    if (field->type != WIRE_BYTES && field->type != WIRE_FIXED64) return true;
    Reader packed = protobuf_packed(field);
    uint64_t bits;
    while (protobuf_packed_next(&packed, WIRE_FIXED64, &bits))
        *array_add_on(arena, out) = protobuf_double(bits);
    return !packed.failed;
}

static void read_double(const ProtobufField *field, NativeHistogram *out) {
    double value = protobuf_double(field->value);
    if (field->number == FIELD_SUM) out->sum = value;
    if (field->number == FIELD_ZERO_THRESHOLD) out->zero_threshold = value;
    if (field->number == FIELD_ZERO_COUNT_FLOAT) out->zero_count_float = value;
    if (field->number == FIELD_COUNT_FLOAT) {
        out->count_float = value;
        out->is_float = true;
    }
}

static void read_integer(const ProtobufField *field, NativeHistogram *out) {
    uint64_t value = field->value;
    if (field->number == FIELD_SCHEMA) out->schema = (int32_t)zigzag_decode(value);
    if (field->number == FIELD_ZERO_COUNT_INT) out->zero_count = value;
    if (field->number == FIELD_TIME) out->time_ms = (int64_t)value;
    if (field->number == FIELD_START) out->start_ms = (int64_t)value;
    if (field->number == FIELD_RESET_HINT && value <= HISTOGRAM_RESET_GAUGE)
        out->reset_hint = (HistogramResetHint)value;
    if (field->number == FIELD_COUNT_INT) {
        out->count = value;
        out->is_float = false;  // of a oneof, the last one counts
    }
}

static bool read_field(const ProtobufField *field, Read *read) {
    switch (field->number) {
        case FIELD_NEGATIVE_SPANS:
            return read_span(field, &read->negative, read->arena);
        case FIELD_POSITIVE_SPANS:
            return read_span(field, &read->positive, read->arena);
        case FIELD_NEGATIVE_DELTAS:
            return read_deltas(field, &read->negative, read->arena);
        case FIELD_POSITIVE_DELTAS:
            return read_deltas(field, &read->positive, read->arena);
        case FIELD_NEGATIVE_COUNTS:
            return read_doubles(field, &read->negative.counts, read->arena);
        case FIELD_POSITIVE_COUNTS:
            return read_doubles(field, &read->positive.counts, read->arena);
        case FIELD_CUSTOM_VALUES:
            return read_doubles(field, &read->bounds, read->arena);
        default:
            if (field->type == WIRE_FIXED64) read_double(field, &read->histogram);
            if (field->type == WIRE_VARINT) read_integer(field, &read->histogram);
            return true;
    }
}

static HistogramBuckets buckets_of(const Side *side, bool is_float) {
    return (HistogramBuckets){
        .spans = side->spans.at,
        .span_count = side->spans.count,
        .deltas = is_float ? NULL : side->deltas.at,
        .counts = is_float ? side->counts.at : NULL,
        .bucket_count = is_float ? side->counts.count : side->deltas.count,
    };
}

bool native_histogram_read(Bytes wire, Arena *arena, NativeHistogram *out, Error *err) {
    Read read = {.arena = arena};
    Reader reader = reader_begin(wire);
    ProtobufField field;
    bool fine = true;
    while (fine && protobuf_next(&reader, &field)) fine = read_field(&field, &read);
    if (!fine || reader.failed) {
        return error_set(err, ERROR_BAD_INPUT,
                         "a native histogram is not a protobuf Histogram (malformed at byte %zu of "
                         "%zu)",
                         wire.len - reader_left(&reader), wire.len);
    }
    *out = read.histogram;
    out->positive = buckets_of(&read.positive, out->is_float);
    out->negative = buckets_of(&read.negative, out->is_float);
    out->custom_bounds = read.bounds.at;
    out->custom_bound_count = read.bounds.count;
    // What is not of its kind is not there.
    if (out->is_float) {
        out->count = out->zero_count = 0;
    } else {
        out->count_float = out->zero_count_float = 0;
    }
    return true;
}

// ---- Reducing ----

typedef struct Reduced {
    Arena *arena;
    ARRAY(HistogramSpan) spans;
    ARRAY(int64_t) deltas;
    Doubles counts;
    int64_t last;     // index of the newest bucket
    uint64_t before;  // count of the one before it; `newest` its own
    uint64_t newest;
} Reduced;

// Adds to the bucket of this index, which is the newest one or lies behind it.
static void reduced_add(Reduced *reduced, int64_t index, bool is_float, uint64_t count,
                        double count_float) {
    bool first = reduced->spans.count == 0;
    if (first || index != reduced->last) {
        int64_t gap = first ? index : index - reduced->last - 1;
        if (first || gap > 0)
            *array_add_on(reduced->arena, &reduced->spans) = (HistogramSpan){(int32_t)gap, 0};
        reduced->spans.at[reduced->spans.count - 1].length++;
        if (is_float) {
            *array_add_on(reduced->arena, &reduced->counts) = 0;
        } else {
            *array_add_on(reduced->arena, &reduced->deltas) = 0;
        }
        reduced->last = index;
        reduced->before = reduced->newest;
        reduced->newest = 0;
    }
    if (is_float) {
        reduced->counts.at[reduced->counts.count - 1] += count_float;
    } else {
        reduced->newest += count;
        reduced->deltas.at[reduced->deltas.count - 1] =
            (int64_t)(reduced->newest - reduced->before);
    }
}

static HistogramBuckets reduce_side(const HistogramBuckets *side, bool is_float, int shift,
                                    Arena *arena) {
    Reduced reduced = {.arena = arena};
    int64_t index = 0;
    uint64_t count = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].length; k++, index++, bucket++) {
            if (!is_float) count += (uint64_t)side->deltas[bucket];
            // Bucket i ends at base^i, so i and i - 1 join for an even i.
            reduced_add(&reduced, ((index - 1) >> shift) + 1, is_float, count,
                        is_float ? side->counts[bucket] : 0);
        }
    }
    return (HistogramBuckets){
        .spans = reduced.spans.at,
        .span_count = reduced.spans.count,
        .deltas = reduced.deltas.at,
        .counts = reduced.counts.at,
        .bucket_count = is_float ? reduced.counts.count : reduced.deltas.count,
    };
}

void native_histogram_reduce(const NativeHistogram *histogram, int32_t schema, Arena *arena,
                             NativeHistogram *out) {
    *out = *histogram;
    schema = MAX(schema, (int32_t)HISTOGRAM_SCHEMA_MIN);
    if (histogram->schema == HISTOGRAM_SCHEMA_CUSTOM || histogram->schema <= schema) return;
    int shift = histogram->schema - schema;
    out->schema = schema;
    out->positive = reduce_side(&histogram->positive, histogram->is_float, shift, arena);
    out->negative = reduce_side(&histogram->negative, histogram->is_float, shift, arena);
}

// The highest schema whose buckets grow by at least this factor, 2^(2^-schema).
static int32_t schema_of_growth(double growth_min) {
    int32_t schema = HISTOGRAM_SCHEMA_MAX;
    while (schema > HISTOGRAM_SCHEMA_MIN && exp2(exp2(-schema)) < growth_min) schema--;
    return schema;
}

bool native_histogram_fit(const NativeHistogram *histogram, double growth_min, uint64_t buckets_max,
                          Arena *arena, NativeHistogram *out) {
    *out = *histogram;
    if (growth_min > 1)
        native_histogram_reduce(histogram, schema_of_growth(growth_min), arena, out);
    while (buckets_max > 0 &&
           out->positive.bucket_count + out->negative.bucket_count > buckets_max) {
        if (out->schema <= HISTOGRAM_SCHEMA_MIN) return false;
        NativeHistogram wider;
        native_histogram_reduce(out, out->schema - 1, arena, &wider);
        *out = wider;
    }
    return true;
}

// ---- As a classic one ----

ClassicBucket *native_histogram_classic(const NativeHistogram *histogram, Arena *arena) {
    const HistogramBuckets *buckets = &histogram->positive;
    size_t bounds = histogram->custom_bound_count, bucket = 0;
    ClassicBucket *out = arena_push_array(arena, ClassicBucket, bounds);
    int64_t at = 0, own = 0;
    for (size_t i = 0; i < buckets->span_count; i++) {
        at += buckets->spans[i].offset;
        for (uint32_t j = 0; j < buckets->spans[i].length; j++, at++, bucket++) {
            if (!histogram->is_float) own += buckets->deltas[bucket];
            if ((uint64_t)at >= bounds) continue;  // above all of them
            if (histogram->is_float) {
                out[at].count_float = buckets->counts[bucket];
            } else {
                out[at].count = (uint64_t)own;
            }
        }
    }
    for (size_t i = 0; i < bounds; i++) {
        out[i].bound = histogram->custom_bounds[i];
        if (i == 0) continue;
        out[i].count += out[i - 1].count;
        out[i].count_float += out[i - 1].count_float;
    }
    return out;
}

// ---- Comparing ----

static bool same_bytes(const void *a, const void *b, size_t count, size_t size) {
    return count == 0 || memcmp(a, b, count * size) == 0;
}

static bool same_buckets(const HistogramBuckets *a, const HistogramBuckets *b, bool is_float) {
    return a->span_count == b->span_count && a->bucket_count == b->bucket_count &&
           same_bytes(a->spans, b->spans, a->span_count, sizeof *a->spans) &&
           (is_float ? same_bytes(a->counts, b->counts, a->bucket_count, sizeof *a->counts)
                     : same_bytes(a->deltas, b->deltas, a->bucket_count, sizeof *a->deltas));
}

bool native_histogram_equal(const NativeHistogram *a, const NativeHistogram *b) {
    bool counts = a->is_float
                      ? double_bits(a->count_float) == double_bits(b->count_float) &&
                            double_bits(a->zero_count_float) == double_bits(b->zero_count_float)
                      : a->count == b->count && a->zero_count == b->zero_count;
    return a->is_float == b->is_float && counts && a->time_ms == b->time_ms &&
           a->start_ms == b->start_ms && a->schema == b->schema && a->reset_hint == b->reset_hint &&
           double_bits(a->sum) == double_bits(b->sum) &&
           double_bits(a->zero_threshold) == double_bits(b->zero_threshold) &&
           same_buckets(&a->positive, &b->positive, a->is_float) &&
           same_buckets(&a->negative, &b->negative, a->is_float) &&
           a->custom_bound_count == b->custom_bound_count &&
           same_bytes(a->custom_bounds, b->custom_bounds, a->custom_bound_count,
                      sizeof *a->custom_bounds);
}
