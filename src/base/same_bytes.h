// Comparing short runs of bytes whose length nobody foretells, as those of labels: no loops where
// they can be avoided, and no calls.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/language.h"
#include "base/wide.h"

static inline uint64_t load_8(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

// memcmp without the call, for labels of 10 to 60 bytes: whole words, the last one overlapping.
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, size_t len) {
    if (unlikely(len < 8)) return memcmp(a, b, len) == 0;
    uint64_t difference = load_8(a + len - 8) ^ load_8(b + len - 8);
    for (size_t at = 0; at + 8 < len; at += 8) difference |= load_8(a + at) ^ load_8(b + at);
    return difference == 0;
}

#ifdef __x86_64__
WIDE_TARGET static inline bool same_bytes_wide(const uint8_t *a, const uint8_t *b, size_t len) {
    for (; len > 64; len -= 64, a += 64, b += 64) {
        if (unlikely(_mm512_cmpneq_epi8_mask(_mm512_loadu_si512(a), _mm512_loadu_si512(b)) != 0))
            return false;
    }
    __mmask64 bytes = _bzhi_u64(~UINT64_C(0), (uint32_t)len);
    return _mm512_mask_cmpneq_epi8_mask(bytes, _mm512_maskz_loadu_epi8(bytes, a),
                                        _mm512_maskz_loadu_epi8(bytes, b)) == 0;
}
#endif
