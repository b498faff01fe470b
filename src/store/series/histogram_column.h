// Native histograms of one series as columns: the layout (schema, spans, bounds) once per run, then
// a column per bucket over time, in the codecs of chunk.h.
//
// A bucket is nearly a counter, and so is the count; side by side in protobuf they cost their whole
// size each time. FORMAT.md, "Packed histograms", has the bytes. What comes back is the wire form,
// byte for byte: the writer of blocks unpacks and compares before it keeps a packed piece. Pure
// functions; bytes that are read are not trusted.
#pragma once

#include "base/arena.h"
#include "base/text.h"

enum {
    HISTOGRAMS_PACKED = 1,  // the first byte; a piece of plain rows begins with 0
    // In one piece, so that few bytes cannot make a decoder hold much:
    HISTOGRAM_NUMBERS_MAX = 256 * 1024,
    HISTOGRAM_WIRE_BYTES_MAX = 256 * 1024,
};

typedef struct HistogramRow {
    int64_t time_ms;
    Bytes wire;  // prometheus.Histogram
} HistogramRow;

// Appends the packed rows, at most CHUNK_SAMPLES_MAX. False, and nothing is appended, when one of
// them would not come back byte for byte: the wire bytes are not as native_histogram_write has
// them. `fast` tries fewer codecs (for heads).
// *starts: some of them say when their counting began, which needs version 3 of blocks.
bool histograms_pack(const HistogramRow *rows, size_t count, bool fast, bool *starts, Builder *out);

// False on bad bytes. Rows lie on `arena`.
bool histograms_unpack(Bytes packed, size_t count, Arena *arena, HistogramRow **out);
// Their times alone.
bool histograms_unpack_times(Bytes packed, size_t count, int64_t *out);
