// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one.
#pragma once

#include "base/text.h"

// Continues from `crc` (0 to begin).
uint32_t crc32c(uint32_t crc, Bytes bytes);

// The same without the instruction: for other machines, and for the test that the two agree.
uint32_t crc32c_by_table(uint32_t crc, Bytes bytes);
