// Decoding any bytes never crashes; what decodes refers only to bytes of the body or of the scratch
// arena, and admit judges every row.

#include "base/assert.h"
#include "ingest/admit.h"
#include "ingest/write_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena scratch = {0};
    Batch batch = {.arrival_ms = 1763683200000};
    Error err;
    if (write_request_decode((Bytes){data, size}, &scratch, &batch, &err)) {
        uint64_t samples = 0;
        for (size_t i = 0; i < batch.series.count; i++) {
            const BatchSeries *series = &batch.series.at[i];
            samples += series->sample_count;
            assert(series->first_sample + series->sample_count <= batch.samples.count);
            assert(series->first_exemplar + series->exemplar_count <= batch.exemplars.count);
            assert(series->first_histogram + series->histogram_count <= batch.histograms.count);
            // Touches every byte, for the address sanitizer.
            Error ignored;
            bool fine = labels_check(series->labels, &ignored);
            (void)fine;
        }
        assert(samples == batch.samples.count && batch.starts.count <= samples);
        admit(&batch);
        for (size_t i = 0; i < batch.series.count; i++) {
            for (uint32_t k = 0; k < batch.series.at[i].exemplar_count; k++) {
                Label label;
                for (Bytes rest = batch.exemplars.at[batch.series.at[i].first_exemplar + k].labels;
                     labels_next(&rest, &label);)
                    continue;
            }
        }
    }
    batch_free(&batch);
    arena_free(&scratch);
    return 0;
}
