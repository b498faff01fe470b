// Decoding any bytes as remote write 2.0 never crashes; every row refers to what is there, and rows
// that are decoded a second time, with memory that is kept, are the same. So are those of a request
// that is remembered, and of one that is like it but for some bytes.

#include "base/assert.h"
#include "ingest/admit.h"
#include "ingest/repeats.h"

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
static void same(const Batch *a, Batch *b) {
    assert(a->series.count == b->series.count && a->metadata.count == b->metadata.count);
    for (size_t i = 0; i < a->series.count; i++)
        assert(bytes_equal(a->series.at[i].labels, batch_labels(b, &b->series.at[i])));
    assert(a->starts.count == b->starts.count);
    for (size_t i = 0; i < a->starts.count; i++) assert(a->starts.at[i] == b->starts.at[i]);
    for (size_t i = 0; i < a->metadata.count; i++)
        assert(text_equal(a->metadata.at[i].family, b->metadata.at[i].family));
}

// The samples of `body`, if it is known, are those of decoding it.
static bool recalled(Repeats *repeats, Bytes body) {
    Arena scratch = {0};
    WriteSymbols symbols = {0}, others = {0};
    Batch known = {0}, decoded = {0};
    Error err;
    bool found = repeats_find(repeats, 1, body, &known);
    if (found) {
        bool fine = write_request_2_decode(body, &symbols, &scratch, &decoded, &err);
        assert(fine && decoded.series.count == known.plain.count);
        assert(decoded.samples.count == known.samples.count);
        for (size_t i = 0; i < known.samples.count; i++) {
            const Sample *a = &known.samples.at[i], *b = &decoded.samples.at[i];
            assert(a->time_ms == b->time_ms && double_bits(a->value) == double_bits(b->value));
            assert(batch_start(&known, i) == batch_start(&decoded, i));
        }
        write_symbols_repeat(&others, body, &scratch, &known);
        batch_unfold(&known);
        same(&decoded, &known);
    }
    batch_free(&known);
    batch_free(&decoded);
    write_symbols_free(&symbols);
    write_symbols_free(&others);
    arena_free(&scratch);
    return found;
}

static void remember(Bytes body, const WriteSymbols *symbols, Batch *batch) {
    Repeats *repeats = repeats_new((HashKey){1, 2}, 1 << 20);
    batch->head = 1;
    repeats_note(repeats, 1, body, symbols, batch);
    repeats_note(repeats, 1, body, symbols, batch);
    RepeatsState state;
    repeats_state(repeats, &state);
    bool found = recalled(repeats, body);
    assert(found == (state.requests == 1));
    uint8_t *other = memory_take(body.len + 1);
    for (size_t round = 0; found && round < 8; round++) {
        memcpy(other, body.at, body.len);
        size_t at = (body.len - 1) * round / 7;
        other[at] = (uint8_t)(other[at] + 1 + round);
        (void)recalled(repeats, (Bytes){other, body.len - round % 2});
    }
    memory_free(other);
    repeats_free(&repeats);
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
        remember((Bytes){data, size}, &symbols, &batch);
        admit(&batch);
    }
    batch_free(&batch);
    batch_free(&again);
    write_symbols_free(&symbols);
    arena_free(&scratch);
    return 0;
}
