// Whatever parses as a manifest prints to something that parses to the same.

#include "base/assert.h"
#include "store/series/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Manifest first, again;
    Error err = {0};
    if (!manifest_parse((Bytes){data, size}, &arena, &first, &err)) return 0;
    AUTO(builder_free) Builder printed = {0}, printed_again = {0};
    manifest_print(&first, &printed);
    bool whole = manifest_parse(text_bytes(builder_text(&printed)), &arena, &again, &err);
    assert(whole);
    manifest_print(&again, &printed_again);
    assert(text_equal(builder_text(&printed), builder_text(&printed_again)));
    manifest_free(&first);
    manifest_free(&again);
    return 0;
}
