// What url_encode writes, url_decode reads back; and pairs survive being encoded and parsed again.

#include "base/assert.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder out = {0};
    Error err = {0};
    Text text = {(const char *)data, size}, back;
    url_encode(text, &out);
    bool decoded = url_decode(builder_text(&out), true, &arena, &back, &err);
    assert(decoded && text_equal(text, back));

    UrlPairs first, again;
    if (!url_pairs_parse(text, &arena, &first, &err)) {
        assert(err.code == ERROR_BAD_INPUT || err.code == ERROR_TOO_LARGE);
        return 0;
    }
    builder_clear(&out);
    for (size_t i = 0; i < first.count; i++) {
        if (i > 0) builder_add_char(&out, '&');
        url_encode(first.at[i].key, &out);
        builder_add_char(&out, '=');
        url_encode(first.at[i].value, &out);
    }
    bool parsed = url_pairs_parse(builder_text(&out), &arena, &again, &err);
    assert(parsed && again.count == first.count);
    for (size_t i = 0; i < first.count; i++) {
        assert(text_equal(first.at[i].key, again.at[i].key) &&
               text_equal(first.at[i].value, again.at[i].value));
    }
    return 0;
}
