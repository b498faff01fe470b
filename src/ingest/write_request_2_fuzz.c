// Decoding any bytes as remote write 2.0 never crashes; every row refers to what is there, and rows
// that are decoded a second time, with memory that is kept, are the same.

#include "base/assert.h"
#include "ingest/admit.h"
#include "ingest/write_request_2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(Batch *batch) {
    uint64_t samples = 0;
    for (size_t i = 0; i < batch->series.count; i++) {
        BatchSeries *series = &batch->series.at[i];
        samples += series->sample_count;
        assert(series->first_sample + series->sample_count <= batch->samples.count);
        assert(series->first_exemplar + series->exemplar_count <= batch->exemplars.count);
        assert(series->first_histogram + series->histogram_count <= batch->histograms.count);
        assert(series->verdict == VERDICT_STORED || series->symbol_count == 0);
        for (uint32_t k = 0; k < series->symbol_count; k++)
            assert(batch->symbols->refs[series->first_symbol + k] < batch->symbols->count);
        // Touches every byte, for the address sanitizer.
        Error ignored;
        bool fine = labels_check(batch_labels(batch, series), &ignored);
        assert(series->verdict == VERDICT_STORED || series->labels.len == 0 || !fine);
    }
    assert(samples == batch->samples.count && batch->starts.count <= samples);
}

// The labels of `a` are made already; its other memory is decoded anew.
static void same(const Batch *a, const Batch *b) {
    assert(a->series.count == b->series.count && a->metadata.count == b->metadata.count);
    for (size_t i = 0; i < a->series.count; i++)
        assert(bytes_equal(a->series.at[i].labels, batch_labels(b, &b->series.at[i])));
    assert(a->starts.count == b->starts.count);
    for (size_t i = 0; i < a->starts.count; i++) assert(a->starts.at[i] == b->starts.at[i]);
    for (size_t i = 0; i < a->metadata.count; i++)
        assert(text_equal(a->metadata.at[i].family, b->metadata.at[i].family));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena scratch = {0};
    WriteSymbols symbols = {0};
    Batch batch = {.arrival_ms = 1763683200000}, again = {.arrival_ms = 1763683200000};
    Error err;
    if (write_request_2_decode((Bytes){data, size}, &symbols, &scratch, &batch, &err)) {
        look(&batch);
        bool second = write_request_2_decode((Bytes){data, size}, &symbols, &scratch, &again, &err);
        assert(second);
        same(&batch, &again);
        admit(&batch);
    }
    batch_free(&batch);
    batch_free(&again);
    write_symbols_free(&symbols);
    arena_free(&scratch);
    return 0;
}
