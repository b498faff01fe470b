// Protocol buffers on the wire (protobuf.dev, "Encoding"), read and written in place, without copies.
//
// A message is walked field by field; strings and sub-messages are views into it. Fields that the
// caller does not know are skipped by their wire type; groups (3, 4) are skipped whole, nesting
// limited. Malformed input sets `failed` on the reader (see reader.h); it is sticky.
#pragma once

#include "codec/reader.h"

typedef enum WireType { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_FIXED32 = 5 } WireType;

typedef struct ProtobufField {
    uint32_t number;
    WireType type;
    uint64_t value;  // varint, fixed32 and fixed64: the bits
    Bytes bytes;     // WIRE_BYTES: the content
} ProtobufField;

// The next field; false at the end of the message or when it is malformed (then reader->failed).
//   while (protobuf_next(&reader, &field)) switch (field.number) { … }
bool protobuf_next(Reader *reader, ProtobufField *field);

// A repeated number field may come packed or one by one; call for each field, gives the values in turn.
//   Reader packed = protobuf_packed(&field);
//   while (protobuf_packed_next(&packed, WIRE_VARINT, &bits)) …
Reader protobuf_packed(const ProtobufField *field);
bool protobuf_packed_next(Reader *packed, WireType element, uint64_t *bits);

static inline double protobuf_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Writing: fields are added to a Builder; zero values are written too (the caller skips defaults).
void protobuf_add_varint(Builder *out, uint32_t number, uint64_t value);
void protobuf_add_sint(Builder *out, uint32_t number, int64_t value);  // zigzag
void protobuf_add_double(Builder *out, uint32_t number, double value);
void protobuf_add_fixed64(Builder *out, uint32_t number, uint64_t value);
void protobuf_add_bytes(Builder *out, uint32_t number, Bytes value);
void protobuf_add_text(Builder *out, uint32_t number, Text value);
// A sub-message of unknown length: begin, add its fields, end (which moves bytes if the length takes more than one).
size_t protobuf_begin(Builder *out, uint32_t number);
void protobuf_end(Builder *out, size_t begun);
