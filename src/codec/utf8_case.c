// Case mapping by a table of ranges, searched by halving.

#include "codec/utf8_case.h"

typedef struct CaseRow {
    uint32_t first, last;
    int32_t step, delta;
} CaseRow;

static const CaseRow lower_rows[] = {
#define CASE_LOWER(...) {__VA_ARGS__},
#define CASE_UPPER(...)
#define CASE(to, first, last, step, delta) CASE_##to(first, last, step, delta)
#include "codec/utf8_case.def"
#undef CASE_LOWER
#undef CASE_UPPER
};

static const CaseRow upper_rows[] = {
#define CASE_LOWER(...)
#define CASE_UPPER(...) {__VA_ARGS__},
#include "codec/utf8_case.def"
#undef CASE_LOWER
#undef CASE_UPPER
#undef CASE
};

static uint32_t map_ascii(uint32_t code, Utf8Case to) {
    if (to == UTF8_LOWER) return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return code >= 'a' && code <= 'z' ? code - 32 : code;
}

static uint32_t map_code(uint32_t code, Utf8Case to) {
    if (code < 0x80) return map_ascii(code, to);
    const CaseRow *rows = to == UTF8_LOWER ? lower_rows : upper_rows;
    size_t low = 0, high = to == UTF8_LOWER ? COUNT(lower_rows) : COUNT(upper_rows);
    while (low < high) {
        size_t middle = (low + high) / 2;
        const CaseRow *row = &rows[middle];
        if (code > row->last) {
            low = middle + 1;
        } else if (code < row->first) {
            high = middle;
        } else {
            bool in_step = (code - row->first) % (uint32_t)row->step == 0;
            return in_step ? (uint32_t)((int32_t)code + row->delta) : code;
        }
    }
    return code;
}

// The character at the begin of `text` and how many bytes it has; a byte that is none is itself,
// marked by a length of 0.
static size_t read_code(Text text, uint32_t *out) {
    const uint8_t *at = (const uint8_t *)text.at;
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    *out = at[0];
    if (len == 1) return 1;
    if (len > text.len || !text_is_utf8(text_slice(text, 0, len))) return 0;
    uint32_t code = at[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) code = code << 6 | (at[i] & 0x3fu);
    *out = code;
    return len;
}

static size_t write_code(uint32_t code, char *into) {
    if (code < 0x80) {
        into[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6) into[i] = (char)(0x80 | (code & 0x3f));
    into[0] = (char)((0xf00 >> len & 0xff) | code);
    return len;
}

Text utf8_to_case(Text text, Utf8Case to, Arena *arena) {
    if (text.len == 0) return text;
    // A mapping adds one byte at most (U+0250 goes from two to three), 1.5 times the bytes.
    char *into = NULL;
    size_t len = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t taken = read_code(text_slice(text, i, text.len), &code);
        uint32_t mapped = taken == 0 ? code : map_code(code, to);
        if (into == NULL && mapped != code) {
            into = arena_push_array_raw(arena, char, text.len * 3 / 2 + 4);
            memcpy(into, text.at, i);
            len = i;
        }
        if (into != NULL && taken == 0) into[len++] = text.at[i];
        if (into != NULL && taken > 0) len += write_code(mapped, into + len);
        i += taken == 0 ? 1 : taken;
    }
    return into == NULL ? text : (Text){into, len};
}
