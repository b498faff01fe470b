// Writing bits, the highest of each byte first, and values as what changed against the one before:
// what all chunks of Prometheus are made of. README.md has the layout. Private to remote_read.
#pragma once

#include "base/text.h"
#include "model/sample.h"

typedef struct BitWriter {
    Builder *out;
    unsigned free;  // bits of the last byte that are not taken
} BitWriter;

static inline void put_bits(BitWriter *bits, uint64_t value, unsigned count) {
    while (count > 0) {
        if (bits->free == 0) {
            builder_add_char(bits->out, 0);
            bits->free = 8;
        }
        unsigned take = MIN(count, bits->free);
        uint64_t part = value >> (count - take) & ((1u << take) - 1);
        uint8_t *last = (uint8_t *)bits->out->at + bits->out->len - 1;
        *last = (uint8_t)(*last | part << (bits->free - take));
        bits->free -= take;
        count -= take;
    }
}

// From -(2^(count - 1) - 1) to 2^(count - 1).
static inline bool fits_signed(int64_t value, unsigned count) {
    int64_t half = INT64_C(1) << (count - 1);
    return value > -half && value <= half;
}

// The window of significant bits of the value before; `leading` WINDOW_NONE: none yet.
enum { WINDOW_NONE = 255 };
typedef struct Window {
    unsigned leading, trailing;
} Window;

static inline void put_change(BitWriter *bits, Window *window, uint64_t before, uint64_t now) {
    enum { LEADING_MAX = 31, LEADING_BITS = 5, SIZE_BITS = 6 };
    uint64_t changed = before ^ now;
    if (changed == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    put_bits(bits, 1, 1);
    unsigned leading = MIN((unsigned)__builtin_clzll(changed), (unsigned)LEADING_MAX);
    unsigned trailing = (unsigned)__builtin_ctzll(changed);
    bool inside = window->leading != WINDOW_NONE && leading >= window->leading &&
                  trailing >= window->trailing;
    put_bits(bits, inside ? 0 : 1, 1);
    if (!inside) {
        *window = (Window){leading, trailing};
        put_bits(bits, leading, LEADING_BITS);
        put_bits(bits, (64 - leading - trailing) & 63, SIZE_BITS);  // 64 is written as 0
    }
    put_bits(bits, changed >> window->trailing, 64 - window->leading - window->trailing);
}
