// A chunk of Prometheus' TSDB: up to some hundred samples of one series, packed bit by bit.
//
// Floats (1, and 4, which Prometheus 3 calls XOR2) and native histograms of integers (2) and of
// floats (3), these two also with start times (5 and 6). Source of the layout:
// tsdb/docs/format/chunks.md and tsdb/chunkenc of Prometheus 3.16 (Apache-2.0); the packing of
// floats is that of "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015, and in
// XOR2 what changed of time and value is said together.
#pragma once

#include "base/array.h"
#include "model/native_histogram.h"
#include "model/sample.h"

enum {
    TSDB_CHUNK_XOR = 1,
    TSDB_CHUNK_HISTOGRAM = 2,
    TSDB_CHUNK_FLOAT_HISTOGRAM = 3,
    TSDB_CHUNK_XOR2 = 4,
    TSDB_CHUNK_HISTOGRAM_STARTS = 5,
    TSDB_CHUNK_FLOAT_HISTOGRAM_STARTS = 6,
};

typedef ARRAY(Sample) TsdbSamples;
// When the counting of each sample began, 0: not known. Shorter than the samples where the rest has
// none.
typedef ARRAY(int64_t) TsdbStarts;
typedef ARRAY(NativeHistogram) TsdbHistograms;  // their arrays lie on the arena

// Appends the samples of a chunk (`data` is what stands between its encoding and its checksum, and
// is not trusted). CORRUPT when bits are missing or contradict themselves, UNSUPPORTED for another
// encoding or schema, TOO_LARGE beyond TSDB_CHUNK_BYTES; what was appended before stays, and is to
// be dropped by the caller.
must_use bool tsdb_chunk_decode(uint8_t encoding, Bytes data, TsdbSamples *samples,
                                TsdbStarts *starts, TsdbHistograms *histograms, Arena *arena,
                                Error *err);
