// Any bytes unpack or are refused; what unpacks packs again and comes back the same.

#include "base/assert.h"
#include "store/series/chunk.h"
#include "store/series/histogram_column.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t count = 1 + (data[0] | (size_t)data[1] << 8) % CHUNK_SAMPLES_MAX;
    Arena arena = {0};
    HistogramRow *rows, *again;
    int64_t times[CHUNK_SAMPLES_MAX];
    bool starts;
    Bytes packed = {data + 2, size - 2};
    (void)!histograms_unpack_times(packed, count, times);
    if (histograms_unpack(packed, count, &arena, &rows)) {
        Builder out = {0};
        // Spans that state another number of buckets than there are do not write themselves alike.
        if (histograms_pack(rows, count, false, &starts, &out)) {
            bool unpacked =
                histograms_unpack(text_bytes(builder_text(&out)), count, &arena, &again);
            assert(unpacked);
            for (size_t i = 0; i < count; i++) {
                assert(rows[i].time_ms == again[i].time_ms);
                assert(bytes_equal(rows[i].wire, again[i].wire));
            }
        }
        builder_free(&out);
    }
    arena_free(&arena);
    return 0;
}
