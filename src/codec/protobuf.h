// Protocol buffers on the wire (protobuf.dev, "Encoding"), read and written in place, without
// copies.
//
// A message is walked field by field; strings and sub-messages are views into it. Fields that the
// caller does not know are skipped by their wire type; groups (3, 4) are skipped whole, nesting
// limited. Malformed input sets `failed` on the reader (see reader.h); it is sticky.
#pragma once

#include "codec/reader.h"

typedef enum WireType {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_GROUP_END = 4,
    WIRE_FIXED32 = 5
} WireType;

typedef struct ProtobufField {
    uint32_t number;
    WireType type;
    uint64_t value;  // varint, fixed32 and fixed64: the bits
    // WIRE_BYTES: the content; else the bytes of the value as they stand in the message.
    Bytes bytes;
} ProtobufField;

// protobuf_next without its fast path.
bool protobuf_next_any(Reader *reader, ProtobufField *field);

// The next field; false at the end of the message or when it is malformed (then reader->failed).
// Malformed: field number 0 or beyond 2^29 - 1, wire types 6 and 7, a length beyond the end, a
// group that is not closed by its own number or nests deeper than LIMIT_NESTING_PROTOBUF. Never
// gives a group.
//   while (protobuf_next(&reader, &field)) switch (field.number) { … }
static inline bool protobuf_next(Reader *reader, ProtobufField *field) {
    // Labels, samples and series: a field below 16 with fewer than 128 bytes, or a fixed number.
    size_t left = reader_left(reader);
    if (likely(left >= 2 && !reader->failed)) {
        uint8_t tag = reader->at[0];
        uint8_t len = reader->at[1];
        if (likely((tag & 0x87) == WIRE_BYTES && tag >= 8 && len < 0x80 && len <= left - 2)) {
            field->number = tag >> 3;
            field->type = WIRE_BYTES;
            field->value = 0;
            field->bytes = (Bytes){reader->at + 2, len};
            reader->at += 2 + (size_t)len;
            return true;
        }
    }
    return protobuf_next_any(reader, field);
}

// The content of the next field that is bytes of this number, which is below 16; others are passed
// by. False as above. For many of the same kind: nothing goes through memory.
static inline bool protobuf_next_of(Reader *reader, uint32_t number, Bytes *out) {
    size_t left = reader_left(reader);
    const uint8_t *at = reader->at;
    if (likely(left >= 3 && at[0] == (number << 3 | WIRE_BYTES) && !reader->failed)) {
        size_t short_len = at[1], long_len = (size_t)at[2] << 7 | (short_len & 0x7f);
        if (likely(short_len < 0x80 && short_len <= left - 2)) {
            *out = (Bytes){at + 2, short_len};
            reader->at = at + 2 + short_len;
            return true;
        }
        if (short_len >= 0x80 && at[2] > 0 && at[2] < 0x80 && long_len <= left - 3) {
            *out = (Bytes){at + 3, long_len};
            reader->at = at + 3 + long_len;
            return true;
        }
    }
    ProtobufField field;
    while (protobuf_next_any(reader, &field)) {
        if (field.number != number || field.type != WIRE_BYTES) continue;
        *out = field.bytes;
        return true;
    }
    return false;
}

// A repeated number field may come packed or one by one; call for each field, gives the values in
// turn.
//   Reader packed = protobuf_packed(&field);
//   while (protobuf_packed_next(&packed, WIRE_VARINT, &bits)) …
// Only for fields of type WIRE_BYTES or of the element's own type; any other type is an unknown
// field and the caller passes it by. False at the end, or when malformed (then packed->failed).
Reader protobuf_packed(const ProtobufField *field);
bool protobuf_packed_next(Reader *packed, WireType element, uint64_t *bits);

static inline double protobuf_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Writing: fields are added to a Builder; zero values are written too (the caller skips defaults).
// A field number is 1 to 2^29 - 1, which is asserted: it is ours.
void protobuf_add_varint(Builder *out, uint32_t number, uint64_t value);
void protobuf_add_sint(Builder *out, uint32_t number, int64_t value);  // zigzag
void protobuf_add_double(Builder *out, uint32_t number, double value);
void protobuf_add_fixed64(Builder *out, uint32_t number, uint64_t value);
void protobuf_add_fixed32(Builder *out, uint32_t number, uint32_t value);
void protobuf_add_bytes(Builder *out, uint32_t number, Bytes value);
void protobuf_add_text(Builder *out, uint32_t number, Text value);
// A sub-message of unknown length: begin, add its fields, end (which moves bytes if the length
// takes more than one).
size_t protobuf_begin(Builder *out, uint32_t number);
void protobuf_end(Builder *out, size_t begun);
