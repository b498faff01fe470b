// Elements are literals and copies of what was written; most are short, so they are moved by fixed
// widths, into bytes behind the end if need be.

#include "codec/snappy.h"

#include "base/wide.h"

enum {
    WIDE = 16,
    LITERAL_INLINE_MAX = 60,  // longer ones state their length in bytes that follow
    LENGTH_BYTES_MAX = 5,
};

_Static_assert(SNAPPY_SLACK_BYTES >= 64, "a copy of 64 bytes may begin at the last byte");

bool snappy_length(Bytes block, size_t *len, size_t *elements_at) {
    uint64_t value = 0;
    for (size_t i = 0; i < block.len && i < LENGTH_BYTES_MAX; i++) {
        value |= (uint64_t)(block.at[i] & 0x7f) << (7 * i);
        if (block.at[i] >= 0x80) continue;
        *len = (size_t)value;
        *elements_at = i + 1;
        return value <= UINT32_MAX;
    }
    return false;
}

static inline void move_wide(uint8_t *to, const uint8_t *from) {
    uint8_t bytes[WIDE];
    memcpy(bytes, from, WIDE);
    memcpy(to, bytes, WIDE);
}

static inline uint32_t load_le(const uint8_t *at, unsigned bytes) {
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint32_t)at[i] << (8 * i);
    return value;
}

// A literal that is long, or near the end. NULL: it is cut off or there is no room.
static const uint8_t *literal(const uint8_t *at, const uint8_t *end, uint8_t tag, uint8_t **out,
                              const uint8_t *out_end) {
    size_t len = (size_t)(tag >> 2) + 1;
    if (len > LITERAL_INLINE_MAX) {
        unsigned bytes = (unsigned)len - LITERAL_INLINE_MAX;
        if ((size_t)(end - at) < bytes) return NULL;
        len = (size_t)load_le(at, bytes) + 1;
        at += bytes;
    }
    if ((size_t)(end - at) < len || (size_t)(out_end - *out) < len) return NULL;
    memcpy(*out, at, len);
    *out += len;
    return at + len;
}

// `len` bytes, 64 at most, from `offset` before. Up to 63 bytes behind them are overwritten: always
// as many, as how long a copy is cannot be foretold, and a wrong guess costs more than four moves.
typedef void Copy(uint8_t *to, size_t offset, size_t len);

static inline void copy_anywhere(uint8_t *to, size_t offset, size_t len) {
    const uint8_t *from = to - offset;
    if (likely(offset >= WIDE)) {
        move_wide(to, from);
        move_wide(to + WIDE, from + WIDE);
        move_wide(to + (ptrdiff_t)2 * WIDE, from + (ptrdiff_t)2 * WIDE);
        move_wide(to + (ptrdiff_t)3 * WIDE, from + (ptrdiff_t)3 * WIDE);
        return;
    }
    for (size_t i = 0; i < len; i++) to[i] = from[i];
}

#ifdef __x86_64__
// Reads no more than is copied: what stands behind it was written a moment ago, in other pieces,
// and a read of both would have to wait for them (20 to 19 ns a row of remote write 2.0, 45 to 43
// of one in no order).
WIDE_TARGET static inline void copy_wide(uint8_t *to, size_t offset, size_t len) {
    if (unlikely(offset < len)) {
        copy_anywhere(to, offset, len);
        return;
    }
    __mmask64 bytes = _bzhi_u64(~UINT64_C(0), (uint32_t)len);
    _mm512_storeu_si512(to, _mm512_maskz_loadu_epi8(bytes, to - offset));
}
#endif

static inline __attribute__((always_inline)) bool unpack_with(Copy *copy, Bytes elements,
                                                              uint8_t *out, size_t len) {
    const uint8_t *at = elements.at, *end = at + elements.len, *begin = out, *out_end = out + len;
    while (at < end) {
        uint8_t tag = *at++;
        unsigned kind = tag & 3;
        if (kind == 0) {
            size_t bytes = (size_t)(tag >> 2) + 1;
            if (likely(bytes <= WIDE && end - at >= WIDE && (size_t)(out_end - out) >= bytes)) {
                move_wide(out, at);
                at += bytes;
                out += bytes;
                continue;
            }
            at = literal(at, end, tag, &out, out_end);
            if (unlikely(at == NULL)) return false;
            continue;
        }
        size_t bytes, offset;
        if (kind == 1) {
            if (unlikely(at == end)) return false;
            bytes = (size_t)(tag >> 2 & 7) + 4;
            offset = (size_t)(tag >> 5) << 8 | *at++;
        } else {
            unsigned width = kind == 2 ? 2 : 4;
            if (unlikely((size_t)(end - at) < width)) return false;
            bytes = (size_t)(tag >> 2) + 1;
            offset = kind == 2 ? (size_t)at[0] | (size_t)at[1] << 8 : load_le(at, 4);
            at += width;
        }
        // offset - 1: none at all is as wrong as one that reaches before the beginning.
        if (unlikely(offset - 1 >= (size_t)(out - begin) || (size_t)(out_end - out) < bytes))
            return false;
        copy(out, offset, bytes);
        out += bytes;
    }
    return out == out_end;
}

#ifdef __x86_64__
WIDE_TARGET static bool unpack_wide(Bytes elements, uint8_t *out, size_t len) {
    return unpack_with(copy_wide, elements, out, len);
}
#endif

static bool unpack_anywhere(Bytes elements, uint8_t *out, size_t len) {
    return unpack_with(copy_anywhere, elements, out, len);
}

bool snappy_unpack(Bytes elements, uint8_t *out, size_t len) {
#ifdef __x86_64__
    if (has_wide()) return unpack_wide(elements, out, len);
#endif
    return unpack_anywhere(elements, out, len);
}
