// Reading JSON by pulling: one token per call, validated on the way, no recursion.

#include "codec/json.h"

#include "base/assert.h"
#include "base/limits.h"

// What may come next.
enum {
    WANT_VALUE,        // a value must come
    WANT_FIRST_VALUE,  // after '[': a value or ']'
    WANT_FIRST_KEY,    // after '{': a key or '}'
    WANT_MORE,         // after a value: ',' or the end of what it stands in
    WANT_NOTHING,      // after the whole value: white space
};

JsonReader json_reader_begin(Text source, Arena *arena) {
    return (JsonReader){.source = source, .arena = arena, .state = WANT_VALUE};
}

// BAD_INPUT at `at`, with line and column (in bytes) counted now: nobody counts while all is well.
static bool bad(const JsonReader *reader, size_t at, const char *what, Error *err) {
    size_t line = 1, line_begin = 0;
    for (size_t i = 0; i < at; i++) {
        if (reader->source.at[i] == '\n') {
            line++;
            line_begin = i + 1;
        }
    }
    return error_set(err, ERROR_BAD_INPUT, "JSON, line %zu column %zu: %s", line,
                     at - line_begin + 1, what);
}

static void skip_space(JsonReader *reader) {
    while (reader->at < reader->source.len) {
        char c = reader->source.at[reader->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
        reader->at++;
    }
}

static bool in_object(const JsonReader *reader) {
    return reader->depth > 0 && (reader->nesting_is_object >> (reader->depth - 1) & 1) != 0;
}

static bool nest(JsonReader *reader, bool is_object, Error *err) {
    _Static_assert(sizeof reader->nesting_is_object * 8 >= 64,
                   "a bit for each of LIMIT_NESTING_JSON levels");
    if (reader->depth >= LIMIT_NESTING_JSON) {
        return bad(reader, reader->at, "nested more deeply than limit NESTING_JSON (64 levels)",
                   err);
    }
    uint64_t bit = UINT64_C(1) << reader->depth;
    reader->nesting_is_object =
        is_object ? reader->nesting_is_object | bit : reader->nesting_is_object & ~bit;
    reader->depth++;
    reader->at++;
    reader->state = is_object ? WANT_FIRST_KEY : WANT_FIRST_VALUE;
    return true;
}

static bool unnest(JsonReader *reader, JsonToken *token) {
    *token = (JsonToken){in_object(reader) ? JSON_OBJECT_END : JSON_ARRAY_END, TEXT_NONE};
    reader->depth--;
    reader->at++;
    reader->state = reader->depth == 0 ? WANT_NOTHING : WANT_MORE;
    return true;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The four hex digits at `at`, or -1.
static int read_hex4(Text source, size_t at) {
    int value = 0;
    if (source.len - at < 4) return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_value(source.at[at + i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t write_utf8(uint32_t rune, char *into) {
    if (rune < 0x80) {
        into[0] = (char)rune;
        return 1;
    }
    size_t more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; i--, rune >>= 6) into[i] = (char)(0x80 | (rune & 0x3f));
    into[0] = (char)(leads[more] | rune);
    return more + 1;
}

// Decodes the escape whose backslash is at `*at`, onto `into`; moves `*at` behind it.
static bool read_escape(const JsonReader *reader, size_t *at, char *into, size_t *len, Error *err) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    Text source = reader->source;
    size_t begin = *at;
    char c = source.at[begin + 1];  // there is one: the string has an end
    const char *found = memchr(from, c, sizeof from - 1);
    if (found != NULL) {
        into[(*len)++] = to[found - from];
        *at = begin + 2;
        return true;
    }
    int unit = c == 'u' ? read_hex4(source, begin + 2) : -1;
    if (unit < 0) return bad(reader, begin, "an escape that JSON does not know", err);
    *at = begin + 6;
    uint32_t rune = (uint32_t)unit;
    if (rune >= 0xd800 && rune < 0xdc00) {
        bool escape = source.len - *at >= 6 && source.at[*at] == '\\' && source.at[*at + 1] == 'u';
        int second = escape ? read_hex4(source, *at + 2) : -1;
        if (second >= 0xdc00 && second < 0xe000) {
            rune = 0x10000 + ((rune - 0xd800) << 10) + ((uint32_t)second - 0xdc00);
            *at += 6;
        }
    }
    if (rune >= 0xd800 && rune < 0xe000) rune = 0xfffd;
    *len += write_utf8(rune, into + *len);
    return true;
}

static bool decode_escapes(const JsonReader *reader, size_t from, size_t to, Text *out,
                           Error *err) {
    // No escape is shorter than what it stands for.
    char *into = arena_push_raw(reader->arena, to - from, 1);
    size_t len = 0;
    for (size_t at = from; at < to;) {
        if (reader->source.at[at] == '\\') {
            TRY(read_escape(reader, &at, into, &len, err));
        } else {
            into[len++] = reader->source.at[at++];
        }
    }
    *out = (Text){into, len};
    return true;
}

// Marks (0x80) bytes of `word` that end the fast walk: a control, '"', '\\' or not ASCII. The
// lowest mark is exact; a borrow may set wrong ones above it.
static uint64_t special_bytes(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    uint64_t control = (word - ones * 0x20) & ~word;
    return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | control | word) & highs;
}

// The first byte at or behind `at` that is special, or near it, or the end.
static size_t skip_plain(Text source, size_t at) {
    while (source.len - at >= 8) {
        uint64_t word;
        memcpy(&word, source.at + at, sizeof word);
        uint64_t marks = special_bytes(word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (marks != 0) return at + ((size_t)__builtin_ctzll(marks) >> 3);
#else
        if (marks != 0) return at;
#endif
        at += 8;
    }
    return at;
}

// The string whose quote is at reader->at.
static bool read_string(JsonReader *reader, Text *out, Error *err) {
    Text source = reader->source;
    size_t begin = reader->at + 1, at = begin;
    bool escapes = false, ascii = true;
    for (;;) {
        at = skip_plain(source, at);
        if (at >= source.len) return bad(reader, reader->at, "a string that does not end", err);
        uint8_t c = (uint8_t)source.at[at];
        if (c == '"') break;
        if (c < 0x20)
            return bad(reader, at, "a control character in a string; write it as an escape", err);
        if (c >= 0x80) ascii = false;
        if (c == '\\') {
            escapes = true;
            at++;
            if (at >= source.len) return bad(reader, reader->at, "a string that does not end", err);
            if ((uint8_t)source.at[at] < 0x20 || (uint8_t)source.at[at] >= 0x80) {
                return bad(reader, at - 1, "an escape that JSON does not know", err);
            }
        }
        at++;
    }
    *out = (Text){source.at + begin, at - begin};
    if (!ascii && !text_is_utf8(*out)) return bad(reader, begin, "a string that is not UTF-8", err);
    if (escapes) TRY(decode_escapes(reader, begin, at, out, err));
    reader->at = at + 1;
    return true;
}

static size_t digits_from(Text source, size_t at) {
    size_t begin = at;
    while (at < source.len && source.at[at] >= '0' && source.at[at] <= '9') at++;
    return at - begin;
}

// number -> ['-'] ('0' | digit1-9 digits) ['.' digits] [('e' | 'E') ['+' | '-'] digits]
static bool read_number(JsonReader *reader, Text *out, Error *err) {
    Text source = reader->source;
    size_t begin = reader->at, at = begin;
    if (source.at[at] == '-') at++;
    size_t digits = digits_from(source, at);
    if (digits == 0) return bad(reader, begin, "neither a number nor any other value", err);
    if (digits > 1 && source.at[at] == '0')
        return bad(reader, begin, "a number that begins with 0", err);
    at += digits;
    if (at < source.len && source.at[at] == '.') {
        digits = digits_from(source, at + 1);
        if (digits == 0) return bad(reader, begin, "a number without digits behind its point", err);
        at += 1 + digits;
    }
    if (at < source.len && (source.at[at] == 'e' || source.at[at] == 'E')) {
        at++;
        if (at < source.len && (source.at[at] == '+' || source.at[at] == '-')) at++;
        digits = digits_from(source, at);
        if (digits == 0) return bad(reader, begin, "a number without digits in its exponent", err);
        at += digits;
    }
    *out = (Text){source.at + begin, at - begin};
    reader->at = at;
    return true;
}

static bool read_word(JsonReader *reader, Text word, Error *err) {
    Text rest = {reader->source.at + reader->at, reader->source.len - reader->at};
    if (!text_starts_with(rest, word))
        return bad(reader, reader->at, "neither true, false, null nor any other value", err);
    reader->at += word.len;
    return true;
}

// The value that begins at reader->at, where white space is already behind.
static bool read_value(JsonReader *reader, JsonToken *token, Error *err) {
    if (reader->at >= reader->source.len)
        return bad(reader, reader->at, "the end, where a value should be", err);
    *token = (JsonToken){0};
    switch (reader->source.at[reader->at]) {
        case '{':
            token->kind = JSON_OBJECT_BEGIN;
            return nest(reader, true, err);
        case '[':
            token->kind = JSON_ARRAY_BEGIN;
            return nest(reader, false, err);
        case '"':
            token->kind = JSON_STRING;
            TRY(read_string(reader, &token->text, err));
            break;
        case 't':
            token->kind = JSON_TRUE;
            TRY(read_word(reader, TEXT("true"), err));
            break;
        case 'f':
            token->kind = JSON_FALSE;
            TRY(read_word(reader, TEXT("false"), err));
            break;
        case 'n':
            token->kind = JSON_NULL;
            TRY(read_word(reader, TEXT("null"), err));
            break;
        default:
            token->kind = JSON_NUMBER;
            TRY(read_number(reader, &token->text, err));
            break;
    }
    reader->state = reader->depth == 0 ? WANT_NOTHING : WANT_MORE;
    return true;
}

// key -> string ':'
static bool read_key(JsonReader *reader, JsonToken *token, Error *err) {
    if (reader->at >= reader->source.len || reader->source.at[reader->at] != '"') {
        return bad(reader, reader->at, "a key in quotes should be here", err);
    }
    token->kind = JSON_KEY;
    TRY(read_string(reader, &token->text, err));
    skip_space(reader);
    if (reader->at >= reader->source.len || reader->source.at[reader->at] != ':') {
        return bad(reader, reader->at, "a ':' should follow the key", err);
    }
    reader->at++;
    reader->state = WANT_VALUE;
    return true;
}

bool json_next(JsonReader *reader, JsonToken *token, Error *err) {
    skip_space(reader);
    char c = reader->at < reader->source.len ? reader->source.at[reader->at] : '\0';
    switch (reader->state) {
        case WANT_VALUE:
            return read_value(reader, token, err);
        case WANT_FIRST_VALUE:
            return c == ']' ? unnest(reader, token) : read_value(reader, token, err);
        case WANT_FIRST_KEY:
            return c == '}' ? unnest(reader, token) : read_key(reader, token, err);
        case WANT_MORE:
            if (c == (in_object(reader) ? '}' : ']')) return unnest(reader, token);
            if (c != ',') {
                return bad(
                    reader, reader->at,
                    in_object(reader) ? "',' or '}' should be here" : "',' or ']' should be here",
                    err);
            }
            reader->at++;
            skip_space(reader);
            return in_object(reader) ? read_key(reader, token, err)
                                     : read_value(reader, token, err);
        case WANT_NOTHING:
            if (reader->at < reader->source.len)
                return bad(reader, reader->at, "something follows the whole value", err);
            *token = (JsonToken){JSON_END, TEXT_NONE};
            return true;
        default:
            unreachable("a state is one of the five");
    }
}

bool json_skip(JsonReader *reader, const JsonToken *token, Error *err) {
    // Escapes that nobody will see are not kept.
    ArenaMark mark = arena_mark(reader->arena);
    JsonToken skipped = token == NULL || token->kind == JSON_KEY ? (JsonToken){0} : *token;
    if (skipped.kind == JSON_END) TRY(json_next(reader, &skipped, err));
    if (skipped.kind == JSON_ARRAY_BEGIN || skipped.kind == JSON_OBJECT_BEGIN) {
        int outside = reader->depth - 1;
        while (reader->depth > outside) TRY(json_next(reader, &skipped, err));
    }
    arena_reset_to(reader->arena, mark);
    return true;
}
