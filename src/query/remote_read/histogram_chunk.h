// Chunks of native histograms in Prometheus' encoding: integers as differences of differences,
// floats as what changed against the one before. README.md has the bits. Private to remote_read.
//
// All histograms of a chunk have one layout (kind, schema, zero threshold, spans, bounds), and no
// counter falls inside one: a reader takes all but the first as following the one before.
#pragma once

#include "model/native_histogram.h"

enum {
    HISTOGRAM_CHUNK_SAMPLES_MAX = 120,
    CHUNK_TYPE_HISTOGRAM = 2,  // of prometheus.Chunk.Encoding
    CHUNK_TYPE_FLOAT_HISTOGRAM = 3,
};

// May `next` stand behind `before` in one chunk? A stale marker may end any chunk, and nothing
// follows it.
bool histogram_chunk_joins(const NativeHistogram *before, const NativeHistogram *next);

// Appends the chunk of these histograms (1 to HISTOGRAM_CHUNK_SAMPLES_MAX; each joins the one
// before it; their times, rising, are those in `time_ms`). Each passed native_histogram_check.
void histogram_chunk_write(const NativeHistogram *histograms, size_t count, Builder *out);
