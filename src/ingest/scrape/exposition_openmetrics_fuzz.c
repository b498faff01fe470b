// Any bytes as a page of OpenMetrics: what is read prints itself and reads back the same, every row
// is recognised where it was, and looking ahead for start times ends.

#include "ingest/scrape/exposition_round_trip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Text body = {(const char *)data, size};
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder out = {0};
    ExpositionOptions options = {0};
    size_t rows;
    if (round_trip_print_page(EXPOSITION_OPENMETRICS, options, body, &arena, &out, &rows)) {
        Text again = builder_text(&out);
        assert(round_trip_compare(EXPOSITION_OPENMETRICS, options, body, again, &arena) == 0);
        assert(round_trip_known(EXPOSITION_OPENMETRICS, options, body));
        assert(round_trip_misled(EXPOSITION_OPENMETRICS, options, body, &arena));
    }
    Exposition page = {0};
    exposition_begin(&page, EXPOSITION_OPENMETRICS,
                     (ExpositionOptions){.start_times = size % 2 == 0}, body);
    ExpositionRow row;
    Error err;
    while (exposition_next(&page, TEXT_NONE, &row, &err) && row.kind != EXPOSITION_END) {
        int64_t ms;
        bool found = row.kind == EXPOSITION_SERIES && exposition_start(&page, &row, &ms);
        assert(!found || !text_ends_with(row.raw, TEXT("_created")));
    }
    exposition_free(&page);
    return 0;
}
