// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one.
#pragma once

#include "base/text.h"

// Continues from `crc` (0 to begin).
uint32_t crc32c(uint32_t crc, Bytes bytes);
