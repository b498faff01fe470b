// Reading bytes that are not trusted: bounds are checked in one place and failure is sticky.
//
// After the first read beyond the end (or malformed varint) `failed` is set, every further read
// gives 0 or nothing, and the position no longer moves; so a decoder reads like the layout in
// FORMAT.md and checks `reader.failed` once. Numbers of fixed width are little-endian unless the
// name says otherwise.
#pragma once

#include "base/text.h"

typedef struct Reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} Reader;

static inline Reader reader_begin(Bytes bytes) {
    if (bytes.at == NULL) bytes.at = (const uint8_t *)"";  // NULL + 0 is not defined in C
    return (Reader){bytes.at, bytes.at + bytes.len, false};
}
static inline size_t reader_left(const Reader *reader) {
    return (size_t)(reader->end - reader->at);
}

// `len` bytes as a view, or none and `failed`.
static inline Bytes reader_take(Reader *reader, uint64_t len) {
    if (unlikely(reader->failed || len > reader_left(reader))) {
        reader->failed = true;
        return BYTES_NONE;
    }
    Bytes taken = {reader->at, (size_t)len};
    reader->at += len;
    return taken;
}

static inline uint8_t reader_u8(Reader *reader) {
    Bytes taken = reader_take(reader, 1);
    return taken.len == 1 ? taken.at[0] : 0;
}

#define READER_FIXED(name, type)                                               \
    static inline type name(Reader *reader) {                                  \
        type value = 0;                                                        \
        Bytes taken = reader_take(reader, sizeof value);                       \
        if (taken.len == sizeof value) memcpy(&value, taken.at, sizeof value); \
        return value;                                                          \
    }
READER_FIXED(reader_u16, uint16_t)
READER_FIXED(reader_u32, uint32_t)
READER_FIXED(reader_u64, uint64_t)
READER_FIXED(reader_f64, double)
#undef READER_FIXED

// The rest of a varint whose first byte says that more follow, or what is wrong with it.
uint64_t reader_varint_long(Reader *reader);

// LEB128, at most ten bytes; more, or bits beyond the 64th, is a failure. Padding (a number written
// with more bytes than it needs) is accepted, as every protobuf decoder does.
static inline uint64_t reader_varint(Reader *reader) {
    if (likely(reader->at < reader->end && *reader->at < 0x80 && !reader->failed)) {
        return *reader->at++;
    }
    return reader_varint_long(reader);
}

static inline int64_t zigzag_decode(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}
static inline uint64_t zigzag_encode(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t reader_zigzag(Reader *reader) {
    return zigzag_decode(reader_varint(reader));
}

// Writing, onto a Builder of base/text.h.
void writer_u16(Builder *out, uint16_t value);
void writer_u32(Builder *out, uint32_t value);
void writer_u64(Builder *out, uint64_t value);
void writer_f64(Builder *out, double value);
void writer_varint(Builder *out, uint64_t value);
void writer_zigzag(Builder *out, int64_t value);
// Bytes of a varint, 1 to 10.
static inline size_t varint_len(uint64_t value) {
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64;  // (bits + 6) / 7 for all there are
}
