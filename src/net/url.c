// Percent-decoding in one pass, and pairs cut at '&' and the first '='.

#include "net/url.h"

#include "base/array.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool needs_decoding(Text text, bool plus_is_space) {
    if (text.len == 0) return false;
    return memchr(text.at, '%', text.len) != NULL ||
           (plus_is_space && memchr(text.at, '+', text.len) != NULL);
}

bool url_decode(Text text, bool plus_is_space, Arena *arena, Text *out, Error *err) {
    if (!needs_decoding(text, plus_is_space)) {
        *out = text;
        return true;
    }
    char *into = arena_push_array_raw(arena, char, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.at[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return error_set(
                    err, ERROR_BAD_INPUT,
                    "byte %zu: a %% must be followed by two hex digits (%%25 is the sign itself)",
                    i);
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        into[len++] = c;
    }
    *out = (Text){into, len};
    return true;
}

bool url_pairs_parse(Text text, Arena *arena, UrlPairs *out, Error *err) {
    ARRAY(UrlPair) pairs = {0};
    Text rest = text, piece;
    while (text_cut(&rest, '&', &piece)) {
        if (piece.len == 0) continue;
        if (pairs.count == URL_PAIRS_MAX) {
            return error_set(err, ERROR_TOO_LARGE, "more than %d parameters", URL_PAIRS_MAX);
        }
        Text value = piece, key;
        text_cut(&value, '=', &key);
        if (value.at == NULL) value = TEXT("");
        UrlPair pair;
        TRY(url_decode(key, true, arena, &pair.key, err));
        if (!url_decode(value, true, arena, &pair.value, err)) {
            return error_context(err, "parameter %.*s", (int)MIN(key.len, (size_t)64), key.at);
        }
        *array_add_on(arena, &pairs) = pair;
    }
    *out = (UrlPairs){pairs.at, pairs.count};
    return true;
}

Text url_pairs_find(UrlPairs pairs, Text key) {
    for (size_t i = 0; i < pairs.count; i++) {
        if (text_equal(pairs.at[i].key, key)) return pairs.at[i].value;
    }
    return TEXT_NONE;
}

void url_encode(Text text, Builder *out) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            builder_add_char(out, (char)c);
        } else {
            char escaped[] = {'%', digits[c >> 4], digits[c & 15]};
            builder_add_bytes(out, escaped, 3);
        }
    }
}
