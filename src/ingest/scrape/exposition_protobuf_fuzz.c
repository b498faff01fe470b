// Any bytes as a page of protobuf: every row is recognised where it was, labels and exemplars are
// fine or refused, and a native histogram survives being written and read.

#include "ingest/scrape/exposition_round_trip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(Exposition *page, const ExpositionRow *row) {
    AUTO(arena_free) Arena arena = {0};
    Error err;
    Labels labels;
    if (exposition_labels(page, row, &arena, &labels, &err))
        assert(labels_get(labels, LABEL_NAME).len > 0);
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        if (exposition_exemplar(page, row, i, &arena, &exemplar, &err))
            assert(row->kind != EXPOSITION_HISTOGRAM || exemplar.labels.wire.len < 1 << 20);
    }
    if (row->kind != EXPOSITION_HISTOGRAM) return;
    AUTO(builder_free) Builder wire = {0};
    NativeHistogram again;
    native_histogram_write(row->histogram, &wire);
    bool read = native_histogram_read(text_bytes(builder_text(&wire)), &arena, &again, &err);
    assert(read && native_histogram_equal(row->histogram, &again));
}

static void look(ExpositionOptions options, Text body) {
    Exposition page = {0};
    exposition_begin(&page, EXPOSITION_PROTOBUF, options, body);
    ExpositionRow row;
    Error err;
    bool fine;
    while ((fine = exposition_next(&page, TEXT_NONE, &row, &err)) && row.kind != EXPOSITION_END) {
        if (row.kind == EXPOSITION_SERIES || row.kind == EXPOSITION_HISTOGRAM) look_at(&page, &row);
    }
    exposition_free(&page);
    if (fine) assert(round_trip_known(EXPOSITION_PROTOBUF, options, body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Text body = {(const char *)data, size};
    look((ExpositionOptions){0}, body);
    look((ExpositionOptions){.classic_beside_native = true}, body);
    look((ExpositionOptions){.no_native = true}, body);
    return 0;
}
