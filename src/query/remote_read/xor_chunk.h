// A chunk in Prometheus' XOR encoding: up to 120 samples, times as differences of differences,
// values as what changed against the one before (after "Gorilla", Pelkonen and others, 2015).
// README.md has the bits. Private to remote_read.
#pragma once

#include "base/text.h"

enum { XOR_CHUNK_SAMPLES_MAX = 120 };

// Appends the chunk of these samples (1 to XOR_CHUNK_SAMPLES_MAX, times rising).
void xor_chunk_write(const int64_t *times, const double *values, size_t count, Builder *out);
