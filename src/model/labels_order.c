// Sorting many label sets: what a whole run of them begins with is looked at once, and where they
// part they are sorted by numbers.
//
// Sets that are sorted together mostly begin with the same labels, and differ in a few bytes of the
// next one. So a run of rows is taken to the first label in which any two differ, the bytes there
// become a number per row, rows are sorted by its digits, and runs with the same number go on
// behind these bytes. Most runs are alone after two or three such rounds; a comparison of two sets
// would look at all that they begin with each time.

#include <endian.h>

#include "base/assert.h"
#include "model/labels.h"

enum {
    FEW = 12,       // so many label sets are sorted by comparing them
    FEW_KEYS = 48,  // and so many keys
    KEY_TEXT = 7,   // bytes of text in a key; the eighth says how many there are
    RADIX = 256,
};

// A row of a run that shares all bytes before `from`, which is the border of a label.
typedef struct Row {
    uint64_t key;
    const uint8_t *at;  // the wire of its labels
    uint32_t len, index;
} Row;

static Labels rest_of(const Row *row, size_t from) {
    return (Labels){{row->at + from, row->len - from}};
}

static void sort_few(Row *rows, size_t count, size_t from) {
    for (size_t i = 1; i < count; i++) {
        Row row = rows[i];
        size_t at = i;
        while (at > 0 && labels_compare(rest_of(&rows[at - 1], from), rest_of(&row, from)) > 0) {
            rows[at] = rows[at - 1];
            at--;
        }
        rows[at] = row;
    }
}

// Behind the labels that all rows begin with.
static size_t common_end(const Row *rows, size_t count, size_t from) {
    Bytes first = rest_of(rows, from).wire;
    for (size_t i = 1; i < count && first.len > 0; i++)
        first.len = bytes_common(first, rest_of(&rows[i], from).wire);
    Label label;
    size_t end = from;
    for (Bytes rest = rest_of(rows, from).wire; labels_next(&rest, &label);) {
        if ((size_t)(rest.at - rows->at) > from + first.len) break;
        end = (size_t)(rest.at - rows->at);
    }
    return end;
}

// The text in which the labels at `from` are told apart: their names, or their values where all
// names are the same. Empty where a row has no label there: it comes first.
static Text text_at(const Row *row, size_t from, bool by_name) {
    Label label;
    Bytes rest = rest_of(row, from).wire;
    if (!labels_next(&rest, &label)) return TEXT_NONE;
    return by_name ? label.name : label.value;
}

static bool names_differ(const Row *rows, size_t count, size_t from) {
    Text name = text_at(rows, from, true);
    for (size_t i = 1; i < count; i++) {
        if (!text_equal(name, text_at(&rows[i], from, true))) return true;
    }
    return false;
}

// Seven bytes from `skip` on as a number that compares as they do, and below them how many there
// are, up to eight: so "a" comes before "a\0".
static uint64_t key_of(Text text, size_t skip) {
    uint64_t key = 0;
    size_t left = text.len - skip;
    if (left > KEY_TEXT) {
        memcpy(&key, text.at + skip, sizeof key);
        return (be64toh(key) & ~UINT64_C(0xff)) | (KEY_TEXT + 1);
    }
    for (size_t i = 0; i < left; i++)
        key |= (uint64_t)(uint8_t)text.at[skip + i] << (8 * (KEY_TEXT - i));
    return key | left;
}

static void make_keys(Row *rows, size_t count, size_t from) {
    bool by_name = names_differ(rows, count, from);
    Text first = text_at(rows, from, by_name);
    size_t common = first.len;
    for (size_t i = 1; i < count && common > 0; i++)
        common = bytes_common((Bytes){(const uint8_t *)first.at, common},
                              text_bytes(text_at(&rows[i], from, by_name)));
    for (size_t i = 0; i < count; i++)
        rows[i].key = key_of(text_at(&rows[i], from, by_name), common);
}

static void sort_few_keys(Row *rows, size_t count) {
    for (size_t i = 1; i < count; i++) {
        Row row = rows[i];
        size_t at = i;
        for (; at > 0 && rows[at - 1].key > row.key; at--) rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

// By their keys, digit by digit from the last one, and only those in which they differ. `spare` has
// room for as many.
static void sort_by_keys(Row *rows, Row *spare, size_t count) {
    if (count <= FEW_KEYS) {
        sort_few_keys(rows, count);
        return;
    }
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++) differ |= rows[i].key ^ rows[0].key;
    Row *from = rows, *to = spare;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & 0xff) == 0) continue;
        uint32_t places[RADIX] = {0}, place = 0;
        for (size_t i = 0; i < count; i++) places[from[i].key >> shift & 0xff]++;
        for (size_t digit = 0; digit < RADIX; digit++) {
            uint32_t here = places[digit];
            places[digit] = place;
            place += here;
        }
        for (size_t i = 0; i < count; i++) to[places[from[i].key >> shift & 0xff]++] = from[i];
        Row *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != rows) memcpy(rows, from, count * sizeof *rows);
}

static size_t run_end(const Row *rows, size_t count, size_t begin) {
    size_t end = begin + 1;
    while (end < count && rows[end].key == rows[begin].key) end++;
    return end;
}

// Each round parts the run. The largest part is gone on with here, so that calls do not nest deeper
// than the logarithm of the count.
static void sort_rows(Row *rows, Row *spare, size_t count, size_t from) {
    while (count > FEW) {
        from = common_end(rows, count, from);
        make_keys(rows, count, from);
        sort_by_keys(rows, spare, count);
        size_t largest = 0, largest_count = 0;
        for (size_t begin = 0, end; begin < count; begin = end) {
            end = run_end(rows, count, begin);
            if (end - begin <= largest_count) continue;
            largest = begin;
            largest_count = end - begin;
        }
        if (largest_count == count) return;  // all are equal
        for (size_t begin = 0, end; begin < count; begin = end) {
            end = run_end(rows, count, begin);
            if (begin != largest && end - begin > 1)
                sort_rows(rows + begin, spare, end - begin, from);
        }
        rows += largest;
        count = largest_count;
    }
    sort_few(rows, count, from);
}

uint32_t *labels_order(const Labels *first, size_t stride, size_t count, Arena *arena) {
    assert(count <= UINT32_MAX);
    uint32_t *order = arena_push_array_raw(arena, uint32_t, count);
    AUTO(arena_free) Arena scratch = {0};
    Row *rows = arena_push_array_raw(&scratch, Row, 2 * count);
    for (size_t i = 0; i < count; i++) {
        Bytes wire = ((const Labels *)((const char *)first + i * stride))->wire;
        rows[i] = (Row){0, wire.at, (uint32_t)wire.len, (uint32_t)i};
    }
    sort_rows(rows, rows + count, count, 0);
    for (size_t i = 0; i < count; i++) order[i] = rows[i].index;
    return order;
}
