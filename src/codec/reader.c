// The parts of reading that are too long to inline, and writing the same numbers onto a Builder.

#include "codec/reader.h"

#include <endian.h>

// Byte by byte: near the end, and what is longer than a word.
static uint64_t varint_by_bytes(Reader *reader) {
    uint64_t value = 0;
    const uint8_t *at = reader->at;
    for (unsigned shift = 0; shift < 70 && at < reader->end && !reader->failed; shift += 7) {
        uint8_t byte = *at++;
        if (unlikely(shift == 63 && byte > 1)) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            reader->at = at;
            return value;
        }
    }
    reader->failed = true;
    return 0;
}

uint64_t reader_varint_long(Reader *reader) {
    uint64_t word;
    if (reader->failed || reader_left(reader) < sizeof word) return varint_by_bytes(reader);
    memcpy(&word, reader->at, sizeof word);
    word = le64toh(word);
    uint64_t ends = ~word & UINT64_C(0x8080808080808080);  // highest bits of the bytes that end
    if (unlikely(ends == 0)) return varint_by_bytes(reader);
    reader->at += __builtin_ctzll(ends) / 8 + 1;
    word &= ends ^ (ends - 1);  // nothing behind the first end
    // Seven bits of each byte, moved together two by two.
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
}

// Adds the low `len` bytes of `value`, lowest first, whatever this machine's byte order is.
static void add_little_endian(Builder *out, uint64_t value, size_t len) {
    builder_reserve(out, len);
    for (size_t i = 0; i < len; i++) out->at[out->len++] = (char)(value >> (8 * i) & 0xff);
}

void writer_u16(Builder *out, uint16_t value) {
    add_little_endian(out, value, sizeof value);
}

void writer_u32(Builder *out, uint32_t value) {
    add_little_endian(out, value, sizeof value);
}

void writer_u64(Builder *out, uint64_t value) {
    add_little_endian(out, value, sizeof value);
}

void writer_f64(Builder *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    writer_u64(out, bits);
}

void writer_varint(Builder *out, uint64_t value) {
    builder_reserve(out, 10);
    while (value >= 0x80) {
        out->at[out->len++] = (char)(value | 0x80);
        value >>= 7;
    }
    out->at[out->len++] = (char)value;
}

void writer_zigzag(Builder *out, int64_t value) {
    writer_varint(out, zigzag_encode(value));
}
