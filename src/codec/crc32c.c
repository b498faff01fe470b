// CRC-32C: eight bytes per step with SSE 4.2, or four bits at a time from a table of sixteen.

#include "codec/crc32c.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

// crc32c_nibble[i]: what i becomes when four bits are shifted out (polynomial 0x1edc6f41,
// reflected).
static const uint32_t crc32c_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_by_table(uint32_t crc, Bytes bytes) {
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.at[i];
        crc = crc >> 4 ^ crc32c_nibble[crc & 15];
        crc = crc >> 4 ^ crc32c_nibble[crc & 15];
    }
    return ~crc;
}

#ifdef __SSE4_2__
uint32_t crc32c(uint32_t crc, Bytes bytes) {
    uint64_t wide = ~crc;
    const uint8_t *at = bytes.at;
    size_t left = bytes.len;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;
    for (; left > 0; at++, left--) narrow = _mm_crc32_u8(narrow, *at);
    return ~narrow;
}
#else
uint32_t crc32c(uint32_t crc, Bytes bytes) {
    return crc32c_by_table(crc, bytes);
}
#endif
