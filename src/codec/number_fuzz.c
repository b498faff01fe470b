// Every text made of a double reads back to the same bits, and the notations agree; what
// number_parse_f64 reads of any text is what strtod reads.

#include "base/assert.h"
#include "codec/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parse(Text text) {
    double value, other;
    if (!number_parse_f64(text, &value)) return;
    bool read = text_to_f64(text, &other);
    assert(text.len >= 512 || read);
    if (read && value == value) assert(memcmp(&value, &other, sizeof value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_parse((Text){(const char *)data, size});
    for (size_t at = 0; at + 8 <= size; at += 8) {
        double value, again;
        memcpy(&value, data + at, sizeof value);
        if (value != value) continue;
        char text[400], shortest[NUMBER_TEXT_MAX];
        size_t len = number_format_f64(value, text);
        size_t shortest_len = number_format_shortest(value, shortest);
        assert(len <= sizeof text && shortest_len <= sizeof shortest);
        bool read = text_to_f64((Text){text, len}, &again);
        assert(read && memcmp(&value, &again, sizeof value) == 0);
        read = text_to_f64((Text){shortest, shortest_len}, &again);
        assert(read && memcmp(&value, &again, sizeof value) == 0);
        assert(text_find_char((Text){text, len}, 'e') < 0);
        bool finite = value - value == 0;
        read = number_parse_f64((Text){shortest, shortest_len}, &again);
        assert((read && memcmp(&value, &again, sizeof value) == 0) || !finite);
        shortest_len = number_format_general(value, shortest);
        assert(shortest_len <= sizeof shortest);
        read = number_parse_f64((Text){shortest, shortest_len}, &again);
        assert(read && memcmp(&value, &again, sizeof value) == 0);
    }
    return 0;
}
