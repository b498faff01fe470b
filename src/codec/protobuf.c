// Protocol buffers: the walk over any field, groups passed by, and the writing of fields.

#include "codec/protobuf.h"

#include "base/assert.h"
#include "base/limits.h"

enum { FIELD_NUMBER_MAX = (1 << 29) - 1, NESTING_MAX = 32 };

// Reads a tag: the number of the field and its wire type. False when malformed.
static bool read_tag(Reader *reader, uint32_t *number, unsigned *type) {
    uint64_t tag = reader_varint(reader);
    *type = (unsigned)(tag & 7);
    *number = (uint32_t)(tag >> 3);
    if (unlikely(reader->failed || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX ||
                 *type > WIRE_FIXED32)) {
        reader->failed = true;
        return false;
    }
    return true;
}

// The value behind a tag, which is neither the begin nor the end of a group.
static bool read_value(Reader *reader, unsigned type, ProtobufField *field) {
    const uint8_t *begin = reader->at;
    field->value = 0;
    switch (type) {
        case WIRE_VARINT:
            field->value = reader_varint(reader);
            break;
        case WIRE_FIXED64:
            field->value = reader_u64(reader);
            break;
        case WIRE_FIXED32:
            field->value = reader_u32(reader);
            break;
        default:
            field->bytes = reader_take(reader, reader_varint(reader));
            return !reader->failed;
    }
    field->bytes = (Bytes){begin, (size_t)(reader->at - begin)};
    return !reader->failed;
}

// Passes a group that has begun, and those within, without recursion: `open` holds their numbers.
static bool skip_group(Reader *reader, uint32_t number) {
    uint32_t open[NESTING_MAX];
    size_t depth = 0;
    open[depth++] = number;
    while (depth > 0) {
        unsigned type;
        ProtobufField ignored;
        if (!read_tag(reader, &number, &type)) return false;
        bool valid = true;
        if (type == WIRE_GROUP) {
            valid = depth < (size_t)MIN(LIMIT_NESTING_PROTOBUF, (int64_t)NESTING_MAX);
            if (valid) open[depth++] = number;
        } else if (type == WIRE_GROUP_END) {
            valid = open[--depth] == number;
        } else {
            valid = read_value(reader, type, &ignored);
        }
        if (!valid) {
            reader->failed = true;
            return false;
        }
    }
    return true;
}

bool protobuf_next_any(Reader *reader, ProtobufField *field) {
    while (!reader->failed && reader->at < reader->end) {
        uint32_t number;
        unsigned type;
        if (!read_tag(reader, &number, &type)) return false;
        if (unlikely(type == WIRE_GROUP_END)) {
            reader->failed = true;  // it closes nothing
            return false;
        }
        if (unlikely(type == WIRE_GROUP)) {
            if (!skip_group(reader, number)) return false;
            continue;
        }
        field->number = number;
        field->type = (WireType)type;
        return read_value(reader, type, field);
    }
    return false;
}

Reader protobuf_packed(const ProtobufField *field) {
    return reader_begin(field->bytes);
}

bool protobuf_packed_next(Reader *packed, WireType element, uint64_t *bits) {
    if (packed->failed || packed->at == packed->end) return false;
    switch (element) {
        case WIRE_VARINT:
            *bits = reader_varint(packed);
            break;
        case WIRE_FIXED64:
            *bits = reader_u64(packed);
            break;
        case WIRE_FIXED32:
            *bits = reader_u32(packed);
            break;
        case WIRE_BYTES:
        case WIRE_GROUP:
        case WIRE_GROUP_END:
            unreachable("only numbers are packed");
    }
    return !packed->failed;
}

static void add_tag(Builder *out, uint32_t number, WireType type) {
    assert(number >= 1 && number <= FIELD_NUMBER_MAX);
    writer_varint(out, (uint64_t)number << 3 | type);
}

void protobuf_add_varint(Builder *out, uint32_t number, uint64_t value) {
    add_tag(out, number, WIRE_VARINT);
    writer_varint(out, value);
}

void protobuf_add_sint(Builder *out, uint32_t number, int64_t value) {
    protobuf_add_varint(out, number, zigzag_encode(value));
}

void protobuf_add_double(Builder *out, uint32_t number, double value) {
    add_tag(out, number, WIRE_FIXED64);
    writer_f64(out, value);
}

void protobuf_add_fixed64(Builder *out, uint32_t number, uint64_t value) {
    add_tag(out, number, WIRE_FIXED64);
    writer_u64(out, value);
}

void protobuf_add_fixed32(Builder *out, uint32_t number, uint32_t value) {
    add_tag(out, number, WIRE_FIXED32);
    writer_u32(out, value);
}

void protobuf_add_bytes(Builder *out, uint32_t number, Bytes value) {
    add_tag(out, number, WIRE_BYTES);
    writer_varint(out, value.len);
    builder_add_bytes(out, value.at, value.len);
}

void protobuf_add_text(Builder *out, uint32_t number, Text value) {
    protobuf_add_bytes(out, number, text_bytes(value));
}

size_t protobuf_begin(Builder *out, uint32_t number) {
    add_tag(out, number, WIRE_BYTES);
    builder_add_char(out, 0);  // room for a length of one byte; most sub-messages are that short
    return out->len;
}

void protobuf_end(Builder *out, size_t begun) {
    assert(begun >= 2 && begun <= out->len);
    size_t len = out->len - begun;
    size_t more = varint_len(len) - 1;
    if (more > 0) {
        builder_reserve(out, more);
        memmove(out->at + begun + more, out->at + begun, len);
        out->len += more;
    }
    uint64_t rest = len;
    for (size_t i = 0; i <= more; i++, rest >>= 7) {
        out->at[begun - 1 + i] = (char)(rest & 0x7f) | (char)(i < more ? 0x80 : 0);
    }
}
