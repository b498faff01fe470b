// A column of 64-bit integers in the fewest bytes: the half of the chunk codec that times and
// values share.
//
// Arithmetic is modulo 2^64 throughout, so any integers come back, doubles seen as integers
// included. FORMAT.md, "Columns", has the bytes. Pure functions.
#pragma once

#include "codec/reader.h"

// The low four bits of a column's first byte. Numbers once on disk are never reused.
typedef enum ColumnKind {
    COLUMN_RAW = 0,       // 8 bytes each
    COLUMN_CONSTANT = 1,  // one number
    COLUMN_STEADY = 2,    // first and step
    COLUMN_PACKED = 3,    // differences from a line, bit-packed above the least one
    COLUMN_CODED = 4,     // the same, by class codes (entropy.h)
    COLUMN_SCALED = 5,    // a common divisor taken out of another column
    COLUMN_EXCEPT = 6,    // values only: some positions patched (chunk.c)
    COLUMN_NEAR = 7,      // values only: decimals, and how far beside them (chunk.c)
} ColumnKind;

typedef enum IntegersEffort { INTEGERS_FAST, INTEGERS_THOROUGH } IntegersEffort;

// Writes the column; its first byte has zero in the high four bits. At most 1 + count * 8 bytes, or
// 21 for a line, of which seven more may be touched; count is 1 to CHUNK_SAMPLES_MAX.
size_t integers_encode(const uint64_t *numbers, size_t count, IntegersEffort effort, uint8_t *into);

// `kind` is the low half of the first byte, which was taken already. False on bad bytes.
bool integers_decode(Reader *reader, unsigned kind, size_t count, uint64_t *into);
