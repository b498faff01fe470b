// Any bytes as a chunk, the first one its encoding: samples or an error, in bounded memory; what is
// decoded can be read whole.

#include "base/assert.h"
#include "ingest/backfill/tsdb_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    TsdbSamples samples = {0};
    TsdbStarts starts = {0};
    TsdbHistograms histograms = {0};
    Arena arena = {0};
    Error err = {0};
    bool ok = tsdb_chunk_decode(data[0], (Bytes){data + 1, size - 1}, &samples, &starts,
                                &histograms, &arena, &err);
    assert(ok || err.code == ERROR_CORRUPT || err.code == ERROR_UNSUPPORTED ||
           err.code == ERROR_TOO_LARGE);
    if (ok) {
        size_t count = (size_t)(data[1] << 8 | data[2]);
        if (data[0] >= TSDB_CHUNK_HISTOGRAM_STARTS) count &= 0x3fff;
        assert(samples.count + histograms.count == count);
    }
    Builder wire = {0};
    for (size_t i = 0; i < histograms.count; i++) {
        builder_clear(&wire);
        native_histogram_write(&histograms.at[i], &wire);  // touches every bucket
        bool fine = native_histogram_check(&histograms.at[i], &err);
        (void)fine;
    }
    builder_free(&wire);
    assert(starts.count <= samples.count);
    array_free(&samples);
    array_free(&starts);
    array_free(&histograms);
    arena_free(&arena);
    return 0;
}
