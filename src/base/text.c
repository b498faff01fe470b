// Text: views, comparisons, strict number reading, and a builder.

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

Text text_from_cstring(const char *cstring) {
    return cstring == NULL ? TEXT_NONE : (Text){cstring, strlen(cstring)};
}

char *text_to_cstring(Text text, Arena *arena) {
    char *at = arena_push_raw(arena, text.len + 1, 1);
    if (text.len > 0) memcpy(at, text.at, text.len);
    at[text.len] = '\0';
    return at;
}

Text text_copy(Text text, Arena *arena) {
    return (Text){text_to_cstring(text, arena), text.len};
}

Bytes bytes_copy(Bytes bytes, Arena *arena) {
    return text_bytes(text_copy(bytes_text(bytes), arena));
}

int text_compare(Text a, Text b) {
    size_t common = MIN(a.len, b.len);
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t bytes_common(Bytes a, Bytes b) {
    size_t most = MIN(a.len, b.len), at = 0;
    for (; at + 8 <= most; at += 8) {
        uint64_t word_a, word_b;
        memcpy(&word_a, a.at + at, 8);
        memcpy(&word_b, b.at + at, 8);
        if (word_a != word_b) break;
    }
    while (at < most && a.at[at] == b.at[at]) at++;
    return at;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_is_among(Text text, Texts texts) {
    for (size_t i = 0; i < texts.count; i++) {
        if (text_equal(texts.at[i], text)) return true;
    }
    return false;
}

bool text_equal_ignore_case(Text a, Text b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i])) return false;
    }
    return true;
}

bool text_starts_with(Text text, Text prefix) {
    return text.len >= prefix.len && text_equal((Text){text.at, prefix.len}, prefix);
}

bool text_ends_with(Text text, Text suffix) {
    return text.len >= suffix.len &&
           text_equal((Text){text.at + (text.len - suffix.len), suffix.len}, suffix);
}

ptrdiff_t text_find(Text text, Text needle) {
    if (needle.len == 0) return 0;
    if (text.len < needle.len) return -1;
    const char *found = memmem(text.at, text.len, needle.at, needle.len);
    return found == NULL ? -1 : found - text.at;
}

ptrdiff_t text_find_char(Text text, char needle) {
    if (text.len == 0) return -1;
    const char *found = memchr(text.at, needle, text.len);
    return found == NULL ? -1 : found - text.at;
}

size_t text_distance(Text a, Text b) {
    enum { LEN_MAX = 60, FAR = 1000 };
    size_t row[LEN_MAX + 1];
    if (a.len > LEN_MAX || b.len > LEN_MAX) return FAR;
    for (size_t j = 0; j <= b.len; j++) row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            size_t added = MIN(row[j], row[j - 1]) + 1;
            row[j] = MIN(replaced, added);
        }
    }
    return row[b.len];
}

Text text_slice(Text text, size_t from, size_t to) {
    to = MIN(to, text.len);
    from = MIN(from, to);
    return from == 0 ? (Text){text.at, to} : (Text){text.at + from, to - from};
}

Text text_shortened(Text text, size_t most, Arena *arena) {
    if (text.len <= most) return text;
    while (most > 0 && ((uint8_t)text.at[most] & 0xC0) == 0x80) most--;
    return text_format(arena, "%.*s…", (int)most, text.at);
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Text text_trim(Text text) {
    while (text.len > 0 && is_space(text.at[0])) text = (Text){text.at + 1, text.len - 1};
    while (text.len > 0 && is_space(text.at[text.len - 1])) text.len--;
    return text;
}

bool text_cut(Text *rest, char separator, Text *out) {
    if (rest->at == NULL) return false;
    ptrdiff_t at = text_find_char(*rest, separator);
    if (at < 0) {
        *out = *rest;
        *rest = TEXT_NONE;
        return true;
    }
    *out = (Text){rest->at, (size_t)at};
    *rest = (Text){rest->at + at + 1, rest->len - (size_t)at - 1};
    return true;
}

bool text_to_u64(Text text, uint64_t *out) {
    if (text.len == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value)) return false;
    }
    *out = value;
    return true;
}

bool text_to_i64(Text text, int64_t *out) {
    bool negative = text.len > 0 && text.at[0] == '-';
    uint64_t magnitude;
    if (!text_to_u64(negative ? text_slice(text, 1, text.len) : text, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool text_to_f64(Text text, double *out) {
    // strtod wants a NUL and accepts more than we do (leading space, "nan(…)"): check first.
    char copy[512];
    if (text.len == 0 || text.len >= sizeof copy) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool known = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '+' || c == '-' || c == '.';
        if (!known) return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    char *end;
    double value = strtod(copy, &end);
    if (end != copy + text.len) return false;
    *out = value;
    return true;
}

bool text_is_utf8(Text text) {
    if (text.len == 0) return true;
    const uint8_t *at = (const uint8_t *)text.at;
    const uint8_t *end = at + text.len;
    while (at < end) {
        // Eight ASCII bytes at a time: almost every label is plain ASCII.
        uint64_t word;
        while (end - at >= 8 && (memcpy(&word, at, 8), (word & 0x8080808080808080u) == 0)) at += 8;
        if (at == end) break;
        uint8_t lead = *at;
        if (lead < 0x80) {
            at++;
            continue;
        }
        size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - at) <= more) return false;
        uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (at[1] < low || at[1] > high) return false;
        for (size_t i = 2; i <= more; i++) {
            if ((at[i] & 0xc0) != 0x80) return false;
        }
        at += more + 1;
    }
    return true;
}

Text text_format(Arena *arena, const char *format, ...) {
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    assert(len >= 0);
    char *at = arena_push_raw(arena, (size_t)len + 1, 1);
    if ((size_t)len < sizeof small) {
        memcpy(at, small, (size_t)len + 1);
    } else {
        vsnprintf(at, (size_t)len + 1, format, again);
    }
    va_end(again);
    return (Text){at, (size_t)len};
}

void builder_free(Builder *builder) {
    if (builder == NULL) return;
    memory_free(builder->at);
    *builder = (Builder){0};
}

void builder_clear(Builder *builder) {
    builder->len = 0;
}

void builder_grow(Builder *builder, size_t more) {
    size_t need = builder->len + more;
    assert(need >= more);
    if (need <= builder->capacity) return;
    size_t doubled = MAX(builder->capacity * 2, (size_t)256);
    size_t capacity = MAX(need, doubled);
    builder->at = memory_resize(builder->at, capacity);
    builder->capacity = capacity;
}

void builder_add_u64(Builder *builder, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    builder_add_bytes(builder, digits + at, sizeof digits - at);
}

void builder_add_i64(Builder *builder, int64_t value) {
    if (value < 0) builder_add_char(builder, '-');
    builder_add_u64(builder, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void builder_addf(Builder *builder, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    builder_reserve(builder, 128);
    size_t room = builder->capacity - builder->len;
    int len = vsnprintf(builder->at + builder->len, room, format, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len >= room) {
        builder_reserve(builder, (size_t)len + 1);
        vsnprintf(builder->at + builder->len, (size_t)len + 1, format, again);
    }
    va_end(again);
    builder->len += (size_t)len;
}
