// Reading data points. The number point, of which there are the most, has a loop of its own.

#include "ingest/otlp/points.h"

#include "base/limits.h"

static inline void run_take(FieldRun *run, const uint8_t *from, const uint8_t *to) {
    if (run->from == NULL) {
        run->from = from;
    } else if (run->to != from) {
        run->split = true;
    }
    run->to = to;
}

Bytes point_attributes(const PointHead *head, Bytes point, uint32_t number, Arena *scratch) {
    const FieldRun *run = &head->attributes;
    if (likely(!run->split)) return (Bytes){run->from, (size_t)(run->to - run->from)};
    AUTO(builder_free) Builder gathered = {0};
    Reader reader = reader_begin(point);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == number && field.type == WIRE_BYTES)
            protobuf_add_bytes(&gathered, number, field.bytes);
    }
    return bytes_copy(text_bytes(builder_text(&gathered)), scratch);
}

// ---- Numbers ----

// NumberDataPoint {2 start, 3 time, 4 as_double, 5 exemplars, 6 as_int, 7 attributes, 8 flags}
static bool number_field_any(Reader *reader, NumberPoint *out) {
    const uint8_t *from = reader->at;
    ProtobufField field;
    if (!protobuf_next(reader, &field)) return !reader->failed;
    switch (field.number << 3 | field.type) {
        case 2 << 3 | WIRE_FIXED64:
            out->head.start_ns = field.value;
            break;
        case 3 << 3 | WIRE_FIXED64:
            out->head.time_ns = field.value;
            break;
        case 4 << 3 | WIRE_FIXED64:
            out->value = protobuf_double(field.value);
            out->has_value = true;
            break;
        case 6 << 3 | WIRE_FIXED64:
            out->value = (double)(int64_t)field.value;
            out->has_value = true;
            break;
        case NUMBER_EXEMPLARS << 3 | WIRE_BYTES:
            out->head.has_exemplars = true;
            break;
        case NUMBER_ATTRIBUTES << 3 | WIRE_BYTES:
            run_take(&out->head.attributes, from, reader->at);
            break;
        case 8 << 3 | WIRE_VARINT:
            out->head.flags = (uint32_t)field.value;
            break;
        default:
            break;
    }
    return true;
}

bool number_point_read(Bytes point, NumberPoint *out) {
    *out = (NumberPoint){0};
    Reader reader = reader_begin(point);
    while (reader.at < reader.end) {
        size_t left = reader_left(&reader);
        const uint8_t *at = reader.at;
        uint8_t tag = at[0];
        if (left >= 9 && (tag == 0x11 || tag == 0x19 || tag == 0x21 || tag == 0x31)) {
            uint64_t bits;
            memcpy(&bits, at + 1, sizeof bits);
            if (tag == 0x11) {
                out->head.start_ns = bits;
            } else if (tag == 0x19) {
                out->head.time_ns = bits;
            } else {
                out->value = tag == 0x21 ? protobuf_double(bits) : (double)(int64_t)bits;
                out->has_value = true;
            }
            reader.at += 9;
        } else if (left >= 2 && tag == 0x3a && at[1] < 0x80 && at[1] <= left - 2) {
            reader.at += 2 + (size_t)at[1];
            run_take(&out->head.attributes, at, reader.at);
        } else if (!number_field_any(&reader, out)) {
            return false;
        }
    }
    return true;
}

// ---- The others ----

// A growing list of 64-bit values, packed or not.
typedef ARRAY(uint64_t) Values;

static bool values_take(const ProtobufField *field, WireType element, Arena *scratch, Values *out,
                        bool *too_many) {
    if (field->type != WIRE_BYTES && field->type != element) return true;
    Reader packed = protobuf_packed(field);
    uint64_t bits;
    while (protobuf_packed_next(&packed, element, &bits)) {
        if ((int64_t)out->count > LIMIT_OTLP_BUCKETS) {
            *too_many = true;
            return true;
        }
        *array_add_on(scratch, out) = bits;
    }
    return !packed.failed;
}

// Fields whose place differs from kind to kind.
typedef struct HeadFields {
    uint32_t attributes, exemplars, flags;
} HeadFields;

static bool head_take(const ProtobufField *field, HeadFields fields, const uint8_t *from,
                      const uint8_t *to, PointHead *out) {
    if (field->number == 2 && field->type == WIRE_FIXED64) {
        out->start_ns = field->value;
    } else if (field->number == 3 && field->type == WIRE_FIXED64) {
        out->time_ns = field->value;
    } else if (field->number == fields.attributes && field->type == WIRE_BYTES) {
        run_take(&out->attributes, from, to);
    } else if (field->number == fields.exemplars && field->type == WIRE_BYTES) {
        out->has_exemplars = true;
    } else if (field->number == fields.flags && field->type == WIRE_VARINT) {
        out->flags = (uint32_t)field->value;
    } else {
        return false;
    }
    return true;
}

// HistogramDataPoint {4 count, 5 sum, 6 bucket_counts, 7 explicit_bounds, 10 flags}
bool histogram_point_read(Bytes point, Arena *scratch, HistogramPoint *out, bool *too_many) {
    *out = (HistogramPoint){0};
    *too_many = false;
    HeadFields head = {HISTOGRAM_ATTRIBUTES, HISTOGRAM_EXEMPLARS, 10};
    Values counts = {0}, bounds = {0};
    Reader reader = reader_begin(point);
    ProtobufField field;
    for (const uint8_t *from = reader.at; protobuf_next(&reader, &field); from = reader.at) {
        if (head_take(&field, head, from, reader.at, &out->head)) continue;
        if (field.number == 4 && field.type == WIRE_FIXED64) {
            out->count = field.value;
        } else if (field.number == 5 && field.type == WIRE_FIXED64) {
            out->sum = protobuf_double(field.value);
            out->has_sum = true;
        } else if (field.number == 6) {
            TRY(values_take(&field, WIRE_FIXED64, scratch, &counts, too_many));
        } else if (field.number == 7) {
            TRY(values_take(&field, WIRE_FIXED64, scratch, &bounds, too_many));
        }
    }
    out->counts = counts.at;
    out->count_count = counts.count;
    out->bounds = arena_push_array_raw(scratch, double, bounds.count);
    out->bound_count = bounds.count;
    if (bounds.count > 0) memcpy(out->bounds, bounds.at, bounds.count * sizeof *out->bounds);
    return !reader.failed;
}

// Buckets {1 sint32 offset, 2 uint64 bucket_counts}
static bool buckets_read(Bytes bytes, Arena *scratch, ExponentialBuckets *out, bool *too_many) {
    Values counts = {0};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT)
            out->offset = (int32_t)zigzag_decode(field.value);
        if (field.number == 2) TRY(values_take(&field, WIRE_VARINT, scratch, &counts, too_many));
    }
    out->counts = counts.at;
    out->count = counts.count;
    return !reader.failed;
}

// ExponentialHistogramDataPoint {4 count, 5 sum, 6 scale, 7 zero_count, 8 positive, 9 negative,
// 10 flags, 14 zero_threshold}
bool exponential_point_read(Bytes point, Arena *scratch, ExponentialPoint *out, bool *too_many) {
    *out = (ExponentialPoint){0};
    *too_many = false;
    HeadFields head = {EXPONENTIAL_ATTRIBUTES, EXPONENTIAL_EXEMPLARS, 10};
    Reader reader = reader_begin(point);
    ProtobufField field;
    for (const uint8_t *from = reader.at; protobuf_next(&reader, &field); from = reader.at) {
        if (head_take(&field, head, from, reader.at, &out->head)) continue;
        if (field.number == 4 && field.type == WIRE_FIXED64) {
            out->count = field.value;
        } else if (field.number == 5 && field.type == WIRE_FIXED64) {
            out->sum = protobuf_double(field.value);
            out->has_sum = true;
        } else if (field.number == 6 && field.type == WIRE_VARINT) {
            out->scale = (int32_t)zigzag_decode(field.value);
        } else if (field.number == 7 && field.type == WIRE_FIXED64) {
            out->zero_count = field.value;
        } else if (field.number == 8 && field.type == WIRE_BYTES) {
            TRY(buckets_read(field.bytes, scratch, &out->positive, too_many));
        } else if (field.number == 9 && field.type == WIRE_BYTES) {
            TRY(buckets_read(field.bytes, scratch, &out->negative, too_many));
        } else if (field.number == 14 && field.type == WIRE_FIXED64) {
            out->zero_threshold = protobuf_double(field.value);
        }
    }
    return !reader.failed;
}

// SummaryDataPoint {4 count, 5 sum, 6 quantile_values {1 quantile, 2 value}, 8 flags}
bool summary_point_read(Bytes point, Arena *scratch, SummaryPoint *out, bool *too_many) {
    *out = (SummaryPoint){0};
    *too_many = false;
    HeadFields head = {SUMMARY_ATTRIBUTES, UINT32_MAX, 8};
    ARRAY(Quantile) quantiles = {0};
    Reader reader = reader_begin(point);
    ProtobufField field;
    for (const uint8_t *from = reader.at; protobuf_next(&reader, &field); from = reader.at) {
        if (head_take(&field, head, from, reader.at, &out->head)) continue;
        if (field.number == 4 && field.type == WIRE_FIXED64) {
            out->count = field.value;
        } else if (field.number == 5 && field.type == WIRE_FIXED64) {
            out->sum = protobuf_double(field.value);
        } else if (field.number == 6 && field.type == WIRE_BYTES) {
            if ((int64_t)quantiles.count == LIMIT_OTLP_BUCKETS) {
                *too_many = true;
                continue;
            }
            Quantile *quantile = array_add_on(scratch, &quantiles);
            Reader inner = reader_begin(field.bytes);
            ProtobufField part;
            while (protobuf_next(&inner, &part)) {
                if (part.type != WIRE_FIXED64) continue;
                if (part.number == 1) quantile->quantile = protobuf_double(part.value);
                if (part.number == 2) quantile->value = protobuf_double(part.value);
            }
            if (inner.failed) return false;
        }
    }
    out->quantiles = quantiles.at;
    out->quantile_count = quantiles.count;
    return !reader.failed;
}
