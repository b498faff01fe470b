// Decoding any bytes never crashes; what decodes refers only to bytes of the body or of the scratch
// arena, and admit judges every row.

#include "base/assert.h"
#include "ingest/admit.h"
#include "ingest/write_request.h"
#include "store/series/head_fixture.h"

// Once its series are known, the body decodes to the same rows, however many are told.
static void decode_again(Bytes body, Arena *scratch, const Batch *first) {
    Side side;
    Error err;
    Batch again = {0};
    side_open(&side);
    bool done = write_request_decode(body, scratch, NULL, &side.batch, &err);
    side_resolve(&side);
    SeriesForetold foretold = {side.head, side.head->name, {.ref = UINT32_MAX}, 0};
    done = done && write_request_decode(body, scratch, &foretold, &again, &err);
    assert(done && again.series.count == first->series.count);
    assert(again.samples.count == first->samples.count);
    for (size_t i = 0; i < again.series.count; i++) {
        const BatchSeries *row = &again.series.at[i], *known = &side.batch.series.at[i];
        assert(bytes_equal(row->labels, first->series.at[i].labels));
        assert(row->sample_count == first->series.at[i].sample_count);
        assert(!row->told || (known->verdict == VERDICT_STORED && row->ref == known->ref));
    }
    batch_free(&again);
    side_close(&side);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena scratch = {0};
    Batch batch = {.arrival_ms = 1763683200000};
    Error err;
    if (write_request_decode((Bytes){data, size}, &scratch, NULL, &batch, &err)) {
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
        if (batch.series.count > 0 && batch.series.count < 1000)
            decode_again((Bytes){data, size}, &scratch, &batch);
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
