// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one.
#pragma once

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

#include "base/text.h"

// Continues from `crc` (0 to begin).
uint32_t crc32c(uint32_t crc, Bytes bytes);

// The same without the instruction: for other machines, and for the test that the two agree.
uint32_t crc32c_by_table(uint32_t crc, Bytes bytes);

// One step of eight bytes, least significant first, without the turning over at begin and end that
// makes it the CRC of a text: for checks that only this process reads.
static inline uint32_t crc32c_word(uint32_t crc, uint64_t word) {
#ifdef __SSE4_2__
    return (uint32_t)_mm_crc32_u64(crc, word);
#else
    return ~crc32c_by_table(~crc, (Bytes){(const uint8_t *)&word, sizeof word});
#endif
}
