// A chunk: up to CHUNK_SAMPLES_MAX samples of one series as packed columns of times and values.
//
// Times and values are packed apart, so that series of one scrape share their clock. The codec of
// each column is chosen by trying (FORMAT.md, "Columns"): constant, constant step, scaled decimals
// or integers as delta or delta of delta, frame-of-reference bit-packed with exceptions, xor for
// true doubles, raw. Always exact, bit for bit: what does not come back equal is stored raw. Pure
// functions: no I/O, no state; any thread.
//
// `encoded` may come from disk and is not trusted: bad bytes are ERROR_CORRUPT; a decoder writes at
// most `count` elements.
#pragma once

#include "base/error.h"
#include "base/text.h"

enum {
    CHUNK_SAMPLES_MAX = 1024,
    STRIP_SAMPLES = 16,                             // the head packs this many at a time
    COLUMN_BYTES_MAX = 16 + CHUNK_SAMPLES_MAX * 9,  // the longest any encoded column can be
};

// Both return the number of bytes written to `into`, which has room for 16 + count * 9 bytes; the
// rest of these may be touched.
// `fast` tries fewer codecs (for strips in the head).
size_t times_encode(const int64_t *times, size_t count, uint8_t *into);
size_t values_encode(const double *values, size_t count, bool fast, uint8_t *into);
// Thorough, and with columns that need a reader of blocks of version 5: *near says whether this is
// one.
size_t values_encode_cold(const double *values, size_t count, uint8_t *into, bool *near);

// *used: how many bytes the column took.
must_use bool times_decode(Bytes encoded, size_t count, int64_t *into, size_t *used, Error *err);
must_use bool values_decode(Bytes encoded, size_t count, double *into, size_t *used, Error *err);

// What a chunk says without being decoded.
typedef struct ChunkSummary {
    int64_t first_ms, last_ms;
    uint32_t count;
    uint32_t resets;                    // how often a value is lower than the one before
    double sum, min, max, first, last;  // stale markers and NaN left out of sum, min, max
} ChunkSummary;
ChunkSummary chunk_summarise(const int64_t *times, const double *values, size_t count);
