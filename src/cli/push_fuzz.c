// Any bytes as a line of samples: a line that is understood and whose labels are valid reads the
// same when printed.

#include "base/assert.h"
#include "cli/push_line.h"
#include "codec/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read(Text text, Arena *arena, PushLine *line, Labels *labels) {
    Error err = {0};
    if (!push_line_parse(text, arena, line, &err)) {
        assert(err.code == ERROR_BAD_INPUT || err.code == ERROR_TOO_LARGE);
        return false;
    }
    return line->has_sample &&
           labels_make(line->labels.at, line->labels.count, arena, labels, &err) &&
           labels_check(labels->wire, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    PushLine first, again;
    Labels labels, labels_again;
    if (!read((Text){(const char *)data, size}, &arena, &first, &labels)) return 0;

    AUTO(builder_free) Builder text = {0};
    labels_print(labels, &text);
    builder_add_char(&text, ' ');
    builder_add_f64(&text, first.value);
    if (first.has_time) builder_addf(&text, " %lld", (long long)first.time_ms);
    assert(read(builder_text(&text), &arena, &again, &labels_again));
    assert(labels_equal(labels, labels_again));
    assert(again.value == first.value ||
           (again.value != again.value && first.value != first.value));
    assert(again.has_time == first.has_time && again.time_ms == first.time_ms);
    return 0;
}
