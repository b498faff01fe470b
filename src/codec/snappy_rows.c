// Three comparisons with the row before, and the elements that say what they found.

#include "codec/snappy_rows.h"

#include <string.h>

#include "base/assert.h"

enum {
    MATCH_MIN = 6,       // a copy and the tag of the literal behind it take four bytes
    COPY_MAX = 64,       // bytes of one copy
    ELEMENTS_EXTRA = 32  // length, last literal's tag; matches only ever win
};

static uint8_t *put_varint(uint8_t *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *put_little_endian(uint8_t *to, size_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *to++ = (uint8_t)(value >> (8 * i));
    return to;
}

static void put_literal(SnappyRows *rows, size_t end) {
    size_t len = end - rows->said;
    if (len == 0) return;
    uint8_t *to = rows->to;
    size_t last = len - 1;
    if (last < 60) {
        *to++ = (uint8_t)(last << 2);
    } else {
        int width = last < 1 << 8 ? 1 : last < 1 << 16 ? 2 : last < 1 << 24 ? 3 : 4;
        *to++ = (uint8_t)((59 + width) << 2);
        to = put_little_endian(to, last, width);
    }
    memcpy(to, rows->bytes.at + rows->said, len);
    rows->to = to + len;
    rows->said = end;
}

// The bytes [at, at + len) are those that lie `distance` before them.
static void put_copy(SnappyRows *rows, size_t at, size_t len, size_t distance) {
    if (len < MATCH_MIN || distance >= 1 << 16) return;
    put_literal(rows, at);
    uint8_t *to = rows->to;
    for (size_t left = len; left > 0;) {
        size_t piece = MIN(left, (size_t)COPY_MAX);
        *to++ = (uint8_t)((piece - 1) << 2 | 2);
        to = put_little_endian(to, distance, 2);
        left -= piece;
    }
    rows->to = to;
    rows->said = at + len;
}

static uint64_t eight_bytes(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// How many bytes from `a` and `b` on are the same, at most `max`. Most rows have most in common, so
// four words are looked at together first.
static size_t same_from(const uint8_t *a, const uint8_t *b, size_t max) {
    size_t len = 0;
    for (; len + 32 <= max; len += 32) {
        uint64_t differ = (eight_bytes(a + len) ^ eight_bytes(b + len)) |
                          (eight_bytes(a + len + 8) ^ eight_bytes(b + len + 8)) |
                          (eight_bytes(a + len + 16) ^ eight_bytes(b + len + 16)) |
                          (eight_bytes(a + len + 24) ^ eight_bytes(b + len + 24));
        if (differ != 0) break;
    }
    for (; len + 8 <= max; len += 8) {
        uint64_t differ = eight_bytes(a + len) ^ eight_bytes(b + len);
        if (differ != 0) return len + (size_t)(__builtin_ctzll(differ) / 8);
    }
    while (len < max && a[len] == b[len]) len++;
    return len;
}

// How many bytes in front of `a` and `b` are the same, at most `max`.
static size_t same_before(const uint8_t *a, const uint8_t *b, size_t max) {
    size_t len = 0;
    for (; len + 8 <= max; len += 8) {
        uint64_t differ = eight_bytes(a - len - 8) ^ eight_bytes(b - len - 8);
        if (differ != 0) return len + (size_t)(__builtin_clzll(differ) / 8);
    }
    while (len < max && a[-1 - (ptrdiff_t)len] == b[-1 - (ptrdiff_t)len]) len++;
    return len;
}

void snappy_rows_begin(SnappyRows *rows, Bytes bytes, Builder *out) {
    assert(bytes.len <= SNAPPY_ROWS_BYTES_MAX);
    builder_reserve(out, bytes.len + ELEMENTS_EXTRA);
    uint8_t *to = (uint8_t *)out->at + out->len;
    *rows = (SnappyRows){.bytes = bytes, .out = out, .to = put_varint(to, bytes.len)};
}

void snappy_rows_add(SnappyRows *rows, size_t at, size_t head_len, size_t end) {
    size_t middle = at + head_len;
    assert(rows->end <= at && middle <= end && end <= rows->bytes.len);
    const uint8_t *bytes = rows->bytes.at;
    size_t first = same_from(bytes + at, bytes + rows->at, MIN(head_len, rows->middle - rows->at));
    put_copy(rows, at, first, at - rows->at);
    size_t second = same_before(bytes + middle, bytes + rows->middle,
                                MIN(head_len - first, rows->middle - rows->at));
    put_copy(rows, middle - second, second, middle - rows->middle);
    size_t third =
        same_before(bytes + end, bytes + rows->end, MIN(end - middle, rows->end - rows->middle));
    put_copy(rows, end - third, third, end - rows->end);
    rows->at = at;
    rows->middle = middle;
    rows->end = end;
}

void snappy_rows_end(SnappyRows *rows) {
    put_literal(rows, rows->bytes.len);
    size_t len = (size_t)(rows->to - (uint8_t *)rows->out->at);
    assert(len <= rows->out->capacity);
    rows->out->len = len;
}
