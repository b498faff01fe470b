// Bit packing by whole words: 64-bit stores going in, unaligned 64-bit loads coming out.

#include "store/index/bitpack.h"

#include "base/assert.h"
#include "base/wide.h"

void bitpack(const uint64_t *numbers, size_t count, unsigned width, uint8_t *into) {
    assert(width <= 64);
    if (width == 0) return;
    uint64_t word = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        word |= numbers[i] << filled;
        filled += width;
        if (filled < 64) continue;
        memcpy(into, &word, sizeof word);
        into += sizeof word;
        filled -= 64;
        // What did not fit begins the next word. Shifting by 64 is not defined, hence the question.
        word = filled == 0 ? 0 : numbers[i] >> (width - filled);
    }
    memcpy(into, &word, (filled + 7) / 8);
}

static inline uint64_t load_u64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// One number at bit `bit` of bytes that may end right behind it.
static uint64_t take_at_end(Bytes packed, size_t bit, unsigned width) {
    uint8_t padded[16] = {0};
    size_t from = bit / 8;
    memcpy(padded, packed.at + from, MIN(packed.len - from, sizeof padded));
    unsigned shift = bit % 8;
    uint64_t low = load_u64(padded) >> shift;
    if (shift > 0) low |= (uint64_t)padded[8] << (64 - shift);
    return width == 64 ? low : low & ((UINT64_C(1) << width) - 1);
}

#ifdef __x86_64__
// Eight numbers take `width` bytes, so each eight begin with a byte, and lie in it as the eight
// before: bytes go to their lanes, lanes are shifted. Widths up to 57: what eight bytes hold.
WIDE_TARGET static void unpack_wide(Bytes packed, size_t count, unsigned width, uint64_t *into) {
    const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i spread = _mm512_set1_epi64(0x0706050403020100);
    const __m512i firsts = _mm512_set4_epi32(0x08080808, 0x08080808, 0, 0);
    __m512i place = _mm512_mullo_epi32(lanes, _mm512_set1_epi64(width));
    __m512i byte = _mm512_shuffle_epi8(_mm512_srli_epi64(place, 3), firsts);
    __m512i from = _mm512_add_epi8(byte, spread);
    __m512i shift = _mm512_and_si512(place, _mm512_set1_epi64(7));
    __m512i mask = _mm512_set1_epi64((int64_t)((UINT64_C(1) << width) - 1));
    const uint8_t *at = packed.at;
    for (size_t left = count, len = packed.len; left > 0;) {
        size_t taken = MIN(left, (size_t)8);
        __mmask64 there = _bzhi_u64(~UINT64_C(0), (unsigned)MIN(len, (size_t)64));
        __m512i words = _mm512_permutexvar_epi8(from, _mm512_maskz_loadu_epi8(there, at));
        words = _mm512_and_si512(_mm512_srlv_epi64(words, shift), mask);
        _mm512_mask_storeu_epi64(into, (__mmask8)(0xff >> (8 - taken)), words);
        at += MIN(len, (size_t)width);
        len -= MIN(len, (size_t)width);
        into += taken;
        left -= taken;
    }
}
#else
static void unpack_wide(Bytes packed, size_t count, unsigned width, uint64_t *into) {}
#endif

void bitunpack(Bytes packed, size_t count, unsigned width, uint64_t *into) {
    assert(width <= 64 && packed.len >= bitpack_bytes(count, width));
    if (width == 0) {
        if (count > 0) memset(into, 0, count * sizeof *into);
        return;
    }
    if (width <= 57 && has_wide()) {
        unpack_wide(packed, count, width, into);
        return;
    }
    // Up to 57 bits lie in one unaligned word; such a load must end inside the bytes.
    size_t quick = 0;
    if (width <= 57 && packed.len >= 8) quick = MIN(count, (packed.len - 8) * 8 / width);
    uint64_t mask = (UINT64_C(1) << (width & 63)) - 1;
    size_t bit = 0;
    for (size_t i = 0; i < quick; i++, bit += width) {
        into[i] = load_u64(packed.at + bit / 8) >> (bit % 8) & mask;
    }
    if (width <= 57 && quick < count) {
        // The last numbers come from a padded copy: at most 15 bytes, as the others ended above.
        // Of a strip of 16 these are all: each alone took a third of a wide query.
        uint8_t padded[32] = {0};
        size_t from = bit / 8;
        memcpy(padded, packed.at + from, MIN(packed.len - from, sizeof padded - 8));
        for (bit %= 8; quick < count; quick++, bit += width)
            into[quick] = load_u64(padded + bit / 8) >> (bit % 8) & mask;
    }
    for (size_t i = quick; i < count; i++, bit += width) into[i] = take_at_end(packed, bit, width);
}
