// Three comparisons with the row before, and the elements that say what they found.

#include "codec/snappy_rows.h"

#include <string.h>

#include "base/assert.h"

enum {
    MATCH_MIN = 6,       // a copy and the tag of the literal behind it take four bytes
    COPY_MAX = 64,       // bytes of one copy
    ELEMENTS_EXTRA = 64  // length, last literal's tag, 32 that copy_bytes may write too many
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

// memcpy without the call for what is short, as nearly all is, and without asking for its length
// where at least `readable` bytes may be read; as many may be written (ELEMENTS_EXTRA).
static inline void copy_bytes(uint8_t *to, const uint8_t *from, size_t len, size_t readable) {
    if (likely(len <= 16 && readable >= 16)) {
        memcpy(to, from, 16);
    } else if (len <= 32 && readable >= 32) {
        memcpy(to, from, 32);
    } else if (len > 32) {
        memcpy(to, from, len);
    } else if (len > 16) {
        memcpy(to, from, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
    } else {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
}

static inline void say(SnappyRows *rows, const uint8_t *from, size_t len, size_t readable) {
    if (len == 0) return;
    if (rows->literal == NULL) rows->literal = ++rows->to;  // behind its tag
    copy_bytes(rows->to, from, len, readable);
    rows->to += len;
}

// A literal's tag has its length where that is short; the length of others stands behind it, and
// the bytes make room.
static inline void end_literal(SnappyRows *rows) {
    if (rows->literal == NULL) return;
    uint8_t *literal = rows->literal;
    size_t last = (size_t)(rows->to - literal) - 1;
    rows->literal = NULL;
    if (likely(last < 60)) {
        literal[-1] = (uint8_t)(last << 2);
        return;
    }
    int width = last < 1 << 8 ? 1 : last < 1 << 16 ? 2 : last < 1 << 24 ? 3 : 4;
    memmove(literal + width, literal, last + 1);
    literal[-1] = (uint8_t)((59 + width) << 2);
    put_little_endian(literal, last, width);
    rows->to += width;
}

static inline bool is_worth(size_t len, size_t distance) {
    return len >= MATCH_MIN && distance < 1 << 16;
}

// The next `len` bytes are those that lie `distance` before them.
static inline void put_copy(SnappyRows *rows, size_t len, size_t distance) {
    end_literal(rows);
    uint8_t *to = rows->to;
    for (size_t left = len; left > 0;) {
        size_t piece = MIN(left, (size_t)COPY_MAX);
        *to++ = (uint8_t)((piece - 1) << 2 | 2);
        to = put_little_endian(to, distance, 2);
        left -= piece;
    }
    rows->to = to;
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

void snappy_rows_begin(SnappyRows *rows, size_t len, Builder *out) {
    assert(len <= SNAPPY_ROWS_BYTES_MAX);
    builder_reserve(out, len + ELEMENTS_EXTRA);
    uint8_t *to = (uint8_t *)out->at + out->len;
    *rows = (SnappyRows){.out = out, .to = put_varint(to, len), .len = len};
}

SnappyAlike snappy_rows_alike(Bytes before, Bytes head) {
    size_t first = same_from(head.at, before.at, MIN(head.len, before.len));
    size_t left = MIN(head.len - first, before.len), last = 0;
    if (left > 0) last = same_before(head.at + head.len, before.at + before.len, left);
    return (SnappyAlike){(uint32_t)first, (uint32_t)last};
}

static inline bool same_short(Bytes a, Bytes b) {
    if (a.len != b.len || a.len > 3) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.at[i] != b.at[i]) return false;
    }
    return true;
}

void snappy_rows_add(SnappyRows *rows, Bytes lead, Bytes head, SnappyAlike alike, Bytes rest) {
    size_t at = rows->said + lead.len, middle = at + head.len, end = middle + rest.len;
    assert(end <= rows->len && (size_t)alike.first + alike.last <= head.len &&
           MAX(alike.first, alike.last) <= rows->middle - rows->at);
    size_t from = 0, to = head.len, same = 0;
    if (likely(is_worth(alike.first, at - rows->at))) {
        from = alike.first;
        bool with_lead = same_short(lead, rows->lead);
        if (!with_lead) say(rows, lead.at, lead.len, lead.len);
        put_copy(rows, with_lead ? lead.len + from : from, at - rows->at);
    } else {
        say(rows, lead.at, lead.len, lead.len);
    }
    if (likely(is_worth(alike.last, middle - rows->middle))) to = head.len - alike.last;
    say(rows, head.at + from, to - from, head.len - from);
    if (to < head.len) put_copy(rows, head.len - to, middle - rows->middle);
    size_t shorter = MIN(rest.len, rows->rest.len);
    if (likely(shorter > 0 && end - rows->end < 1 << 16)) {
        same = same_before(rest.at + rest.len, rows->rest.at + rows->rest.len, shorter);
        if (same < MATCH_MIN) same = 0;
    }
    say(rows, rest.at, rest.len - same, rest.len);
    if (same > 0) put_copy(rows, same, end - rows->end);
    rows->at = at;
    rows->middle = middle;
    rows->said = rows->end = end;
    rows->lead = lead;
    rows->rest = rest;
}

void snappy_rows_end(SnappyRows *rows, Bytes tail) {
    assert(rows->said + tail.len == rows->len);
    say(rows, tail.at, tail.len, tail.len);
    end_literal(rows);
    size_t len = (size_t)(rows->to - (uint8_t *)rows->out->at);
    assert(len <= rows->out->capacity);
    rows->out->len = len;
}
