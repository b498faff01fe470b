// Any bytes as a page of text: what is read prints itself and reads back the same, and every row is
// recognised where it was.

#include "ingest/scrape/exposition_round_trip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(ExpositionFormat format, ExpositionOptions options, Text body) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder out = {0};
    size_t rows;
    if (!round_trip_print_page(format, options, body, &arena, &out, &rows)) return;
    assert(round_trip_compare(format, options, body, builder_text(&out), &arena) == 0);
    assert(round_trip_known(format, options, body));
    assert(round_trip_misled(format, options, body, &arena));
    assert(round_trip_known(format, options, builder_text(&out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Text body = {(const char *)data, size};
    look(EXPOSITION_TEXT, (ExpositionOptions){0}, body);
    look(EXPOSITION_TEXT, (ExpositionOptions){.bounds_as_written = true, .generous = true}, body);
    return 0;
}
