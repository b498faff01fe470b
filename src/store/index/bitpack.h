// Numbers of one width, packed bit by bit (least significant bit first) and unpacked.
//
// Pure; the caller provides memory. Packing `count` numbers of `width` bits takes bitpack_bytes()
// bytes; the unused high bits of the last byte are zero. Widths are 0 to 64.
#pragma once

#include "base/text.h"

static inline size_t bitpack_bytes(size_t count, unsigned width) {
    return (count * width + 7) / 8;
}

// How many bits a number needs; 0 for 0.
static inline unsigned bit_length(uint64_t value) {
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

// Each number must fit `width` bits.
void bitpack(const uint64_t *numbers, size_t count, unsigned width, uint8_t *into);

// `packed` holds at least bitpack_bytes(count, width) bytes, which the caller has checked.
void bitunpack(Bytes packed, size_t count, unsigned width, uint64_t *into);
