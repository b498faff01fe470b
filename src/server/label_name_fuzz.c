// Escaped label names: every name survives being escaped as Prometheus does it, and no path gives
// broken UTF-8.

#include "base/assert.h"
#include "server/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The code point at `*at` of well-formed UTF-8.
static uint32_t next_point(Text text, size_t *at) {
    uint8_t lead = (uint8_t)text.at[*at];
    size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) point = point << 6 | ((uint8_t)text.at[*at + i] & 0x3f);
    *at += more + 1;
    return point;
}

static void escape(Text name, Builder *out) {
    builder_add(out, TEXT("U__"));
    for (size_t at = 0; at < name.len;) {
        uint32_t point = next_point(name, &at);
        bool plain = (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z') ||
                     (point >= '0' && point <= '9') || point == ':';
        if (plain) {
            builder_add_char(out, (char)point);
        } else if (point == '_') {
            builder_add(out, TEXT("__"));
        } else {
            builder_addf(out, "_%x_", point);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder escaped = {0};
    Text name = {(const char *)data, size};
    if (!text_is_utf8(name)) return 0;
    assert(text_is_utf8(label_name_unescape(name, &arena)));
    escape(name, &escaped);
    assert(text_equal(label_name_unescape(builder_text(&escaped), &arena), name));
    return 0;
}
