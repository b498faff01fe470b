// A chunk of Prometheus' TSDB: up to some hundred samples of one series, packed bit by bit.
//
// Three encodings: XOR floats (1), native histograms of integers (2) and of floats (3). Source of
// the layout: tsdb/docs/format/chunks.md and tsdb/chunkenc of Prometheus (Apache-2.0); the packing
// of floats is that of "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015.
#pragma once

#include "base/array.h"
#include "model/native_histogram.h"
#include "model/sample.h"

enum {
    TSDB_CHUNK_XOR = 1,
    TSDB_CHUNK_HISTOGRAM = 2,
    TSDB_CHUNK_FLOAT_HISTOGRAM = 3,
};

typedef ARRAY(Sample) TsdbSamples;
typedef ARRAY(NativeHistogram) TsdbHistograms;  // their arrays lie on the arena

// Appends the samples of a chunk (`data` is what stands between its encoding and its checksum, and
// is not trusted). CORRUPT when bits are missing or contradict themselves, UNSUPPORTED for another
// encoding or schema, TOO_LARGE beyond TSDB_CHUNK_BYTES; what was appended before stays, and is to
// be dropped by the caller.
must_use bool tsdb_chunk_decode(uint8_t encoding, Bytes data, TsdbSamples *samples,
                                TsdbHistograms *histograms, Arena *arena, Error *err);
