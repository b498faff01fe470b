// Reading bits, the highest of each byte first, as Prometheus' chunks are packed. Not trusted:
// beyond the end everything is 0 and `failed`. Private to ingest/backfill.
#pragma once

#include <endian.h>

#include "base/text.h"

typedef struct Bits {
    const uint8_t *bytes;
    uint64_t at, end;  // in bits
    bool failed;
} Bits;

static inline Bits bits_begin(Bytes bytes) {
    return (Bits){bytes.at, 0, (uint64_t)bytes.len * 8, false};
}

// 1 to 64 bits.
static inline uint64_t bits_take(Bits *bits, unsigned count) {
    if (unlikely(bits->failed || count > bits->end - bits->at)) {
        bits->failed = true;
        return 0;
    }
    uint64_t byte = bits->at >> 3, window = 0;
    unsigned skip = (unsigned)(bits->at & 7);
    uint64_t left = (bits->end >> 3) - byte;
    uint8_t next = 0;
    if (likely(left >= 9)) {
        memcpy(&window, bits->bytes + byte, 8);
        window = be64toh(window);
        next = bits->bytes[byte + 8];
    } else {
        for (unsigned i = 0; i < 8; i++)
            window = window << 8 | (i < left ? bits->bytes[byte + i] : 0);
    }
    if (skip > 0) window = window << skip | (uint64_t)next >> (8 - skip);
    bits->at += count;
    return window >> (64 - count);
}

static inline bool bits_take_one(Bits *bits) {
    return bits_take(bits, 1) != 0;
}

// LEB128, each byte where the bits are just now.
static inline uint64_t bits_take_uvarint(Bits *bits) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t byte = bits_take(bits, 8);
        if (shift == 63 && byte > 1) break;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    bits->failed = true;
    return 0;
}

// Two's complement of `count` bits, but with the positive end one further: 2^(count-1) is positive.
static inline int64_t bits_take_signed(Bits *bits, unsigned count) {
    uint64_t value = bits_take(bits, count);
    if (count < 64 && value > UINT64_C(1) << (count - 1)) value -= UINT64_C(1) << count;
    return (int64_t)value;
}
