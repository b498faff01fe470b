// Text and bytes: a pointer and a length, passed by value, never assumed to end in NUL.
//
// Both are views: whoever made the bytes owns them. Functions that make new bytes take an arena.
#pragma once

#include <string.h>

#include "base/arena.h"
#include "base/language.h"

typedef struct Text {
    const char *at;
    size_t len;
} Text;

typedef struct Bytes {
    const uint8_t *at;
    size_t len;
} Bytes;

typedef struct Texts {
    const Text *at;
    size_t count;
} Texts;

// TEXT("literal") makes one, printf("%.*s", TEXT_ARG(text)) prints one.
#define TEXT(literal) ((Text){("" literal), sizeof(literal) - 1})
#define TEXT_INIT(literal) \
    { ("" literal), sizeof(literal) - 1 }  // for static tables
#define TEXT_ARG(text) (int)(text).len, (text).at
#define TEXT_NONE      ((Text){NULL, 0})
#define BYTES_NONE     ((Bytes){NULL, 0})

Text text_from_cstring(const char *cstring);  // a view; NULL gives the empty text
char *text_to_cstring(Text text, Arena *arena);
Text text_copy(Text text, Arena *arena);
Bytes bytes_copy(Bytes bytes, Arena *arena);

static inline Bytes text_bytes(Text text) {
    return (Bytes){(const uint8_t *)text.at, text.len};
}
static inline Text bytes_text(Bytes bytes) {
    return (Text){(const char *)bytes.at, bytes.len};
}

static inline bool text_equal(Text a, Text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}
static inline bool bytes_equal(Bytes a, Bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

// Byte order; a prefix comes before what it begins. Negative, zero or positive, as memcmp.
int text_compare(Text a, Text b);
size_t bytes_common(Bytes a, Bytes b);  // how many both begin with
bool text_is_among(Text text, Texts texts);
bool text_equal_ignore_case(Text a, Text b);  // ASCII letters only
bool text_starts_with(Text text, Text prefix);
bool text_ends_with(Text text, Text suffix);

// The place of the first `needle`, or -1.
ptrdiff_t text_find(Text text, Text needle);
ptrdiff_t text_find_char(Text text, char needle);

// Levenshtein's distance, for "did you mean": how many bytes differ. Texts over 60 bytes are far
// from everything.
size_t text_distance(Text a, Text b);

Text text_slice(Text text, size_t from, size_t to);  // clamped to the text
// At most `most` bytes of it, cut between characters; then "…" says that there was more.
Text text_shortened(Text text, size_t most, Arena *arena);
Text text_trim(Text text);  // ASCII white space on both sides

// Cuts off and returns what stands before `separator`; the whole rest when there is none.
// `*rest` moves behind the separator. Returns false when the rest was already used up (at == NULL).
bool text_cut(Text *rest, char separator, Text *out);

// Strict: the whole text, ASCII digits, no sign for unsigned, no white space, no overflow.
must_use bool text_to_u64(Text text, uint64_t *out);
must_use bool text_to_i64(Text text, int64_t *out);

// A float in C's notation, also Inf, +Inf, -Inf, NaN in any case, 0x…, and `_` nowhere. Whole text.
must_use bool text_to_f64(Text text, double *out);

// True for well-formed UTF-8 (RFC 3629: no surrogates, nothing beyond U+10FFFF, shortest forms).
bool text_is_utf8(Text text);

Text text_format(Arena *arena, const char *format, ...) printf_like(2, 3);

// A text that grows on the heap. Begin with {0}; `builder_free` ends it; NULL is fine.
typedef struct Builder {
    char *at;
    size_t len;
    size_t capacity;
} Builder;

void builder_free(Builder *builder);
void builder_clear(Builder *builder);  // keeps the memory
void builder_grow(Builder *builder, size_t more);  // what builder_reserve does where it must
static inline void builder_reserve(Builder *builder, size_t more) {
    if (unlikely(more > builder->capacity - builder->len)) builder_grow(builder, more);
}
// Answers are written a few bytes at a time, which is why these are inline.
static inline void builder_add_bytes(Builder *builder, const void *at, size_t len) {
    if (len == 0) return;
    builder_reserve(builder, len);
    memcpy(builder->at + builder->len, at, len);
    builder->len += len;
}
static inline void builder_add(Builder *builder, Text text) {
    builder_add_bytes(builder, text.at, text.len);
}
static inline void builder_add_char(Builder *builder, char c) {
    builder_reserve(builder, 1);
    builder->at[builder->len++] = c;
}
void builder_add_u64(Builder *builder, uint64_t value);
void builder_add_i64(Builder *builder, int64_t value);
void builder_addf(Builder *builder, const char *format, ...) printf_like(2, 3);

// A view of what is there so far, valid until the next add.
static inline Text builder_text(const Builder *builder) {
    return (Text){builder->at, builder->len};
}
