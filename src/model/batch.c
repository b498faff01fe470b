// Batches: flat rows that keep their memory.

#include "model/batch.h"

#include "base/assert.h"

void batch_clear(Batch *batch) {
    array_clear(&batch->series);
    array_clear(&batch->samples);
    array_clear(&batch->starts);
    array_clear(&batch->histograms);
    array_clear(&batch->exemplars);
    array_clear(&batch->metadata);
    array_clear(&batch->known);
    array_clear(&batch->plain);
    batch->unfold = NULL;
    batch->head = 0;
    batch->told_head = 0;
    batch->told = 0;
    batch->symbols = NULL;
    batch->refusals = 0;
    memset(batch->counts, 0, sizeof batch->counts);
    batch->histograms_kept = 0;
    batch->first_fault.code = ERROR_NONE;
    batch->arrival_ms = 0;
}

void batch_free(Batch *batch) {
    array_free(&batch->series);
    array_free(&batch->samples);
    array_free(&batch->starts);
    array_free(&batch->histograms);
    array_free(&batch->exemplars);
    array_free(&batch->metadata);
    array_free(&batch->places);
    array_free(&batch->known);
    array_free(&batch->plain);
}

static void unfold_told(Batch *batch) {
    array_reserve(&batch->series, batch->plain.count);
    for (size_t i = 0; i < batch->plain.count; i++) {
        *array_add(&batch->series) = (BatchSeries){.symbol_count = BATCH_SYMBOLS_UNREAD,
                                                   .first_sample = (uint32_t)i,
                                                   .sample_count = 1,
                                                   .ref = batch->plain.at[i],
                                                   .told = true};
    }
    batch->told = batch->plain.count;
}

void batch_unfold(Batch *batch) {
    if (batch_is_plain(batch) && batch->series.count == 0)
        (batch->unfold == NULL ? unfold_told : batch->unfold)(batch);
    batch->plain.count = 0;
}

size_t batch_bytes_kept(const Batch *batch) {
    return batch->series.capacity * sizeof(BatchSeries) + batch->samples.capacity * sizeof(Sample) +
           batch->starts.capacity * sizeof(int64_t) +
           batch->histograms.capacity * sizeof(BatchHistogram) +
           batch->exemplars.capacity * sizeof(BatchExemplar) +
           batch->metadata.capacity * sizeof(BatchMetadata) +
           batch->places.capacity * sizeof(BatchPlace) +
           batch->known.capacity * sizeof(BatchKnown *) + batch->plain.capacity * sizeof(uint32_t);
}

void batch_add_start(Batch *batch, int64_t start_ms) {
    assert(batch->starts.count < batch->samples.count);
    while (batch->starts.count + 1 < batch->samples.count) *array_add(&batch->starts) = 0;
    *array_add(&batch->starts) = start_ms;
}

void batch_refuse(Batch *batch, BatchSeries *series, Verdict verdict, const Error *why) {
    assert(verdict != VERDICT_STORED);
    if (series->verdict != VERDICT_STORED) return;
    series->verdict = (uint8_t)verdict;
    batch->refusals++;
    batch->counts[verdict] += series->sample_count + series->histogram_count;
    if (batch->first_fault.code == ERROR_NONE && why != NULL) batch->first_fault = *why;
}

Text verdict_name(Verdict verdict) {
    static const Text names[VERDICT_COUNT] = {
        [VERDICT_STORED] = TEXT_INIT("stored"),     [VERDICT_DUPLICATE] = TEXT_INIT("duplicate"),
        [VERDICT_CONFLICT] = TEXT_INIT("conflict"), [VERDICT_TOO_OLD] = TEXT_INIT("too_old"),
        [VERDICT_TOO_NEW] = TEXT_INIT("too_new"),   [VERDICT_BAD_LABELS] = TEXT_INIT("bad_labels"),
        [VERDICT_LIMIT] = TEXT_INIT("limit"),       [VERDICT_BAD_VALUE] = TEXT_INIT("bad_value"),
    };
    assert(verdict >= 0 && verdict < VERDICT_COUNT);
    return names[verdict];
}

Text metadata_type_name(uint8_t type) {
    // ORDER: MetadataType.
    static const Text names[] = {
        TEXT_INIT("unknown"),   TEXT_INIT("counter"),        TEXT_INIT("gauge"),
        TEXT_INIT("histogram"), TEXT_INIT("gaugehistogram"), TEXT_INIT("summary"),
        TEXT_INIT("info"),      TEXT_INIT("stateset"),
    };
    return names[type < COUNT(names) ? type : 0];
}
