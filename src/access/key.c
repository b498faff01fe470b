// Keys as text: finding one in a request, taking it apart, hashing its secret.

#include "access/key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

// RFC 4648, section 4, with its padding; false for anything else.
static bool base64_decode(Text text, Arena *arena, Text *out) {
    if (text.len % 4 != 0) return false;
    char *into = arena_push_raw(arena, text.len / 4 * 3 + 1, 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i += 4) {
        bool last = i + 4 == text.len;
        size_t padding = !last || text.at[i + 3] != '=' ? 0 : text.at[i + 2] == '=' ? 2 : 1;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            int digit = j >= 4 - padding ? 0 : base64_digit(text.at[i + j]);
            if (digit < 0) return false;
            bits = bits << 6 | (uint32_t)digit;
        }
        for (size_t j = 0; j < 3 - padding; j++) into[len++] = (char)(bits >> (16 - 8 * j));
    }
    *out = (Text){into, len};
    return true;
}

// The rest of `value` behind an authentication scheme, whose case does not matter (RFC 9110, 11.1).
static bool after_scheme(Text value, Text scheme, Text *out) {
    if (value.len <= scheme.len || value.at[scheme.len] != ' ') return false;
    if (!text_equal_ignore_case(text_slice(value, 0, scheme.len), scheme)) return false;
    *out = text_trim(text_slice(value, scheme.len, value.len));
    return true;
}

bool key_find(const AccessRequest *request, Arena *arena, Text *out) {
    if (request->authorization.at == NULL) {
        *out = request->api_key;
        return out->at != NULL;
    }
    if (after_scheme(request->authorization, TEXT("Bearer"), out)) return true;
    // InfluxDB's, with a user in front or without.
    if (after_scheme(request->authorization, TEXT("Token"), out)) {
        *out = text_slice(*out, (size_t)(text_find_char(*out, ':') + 1), out->len);
        return true;
    }
    Text encoded, pair;
    if (!after_scheme(request->authorization, TEXT("Basic"), &encoded)) return false;
    if (encoded.len > KEY_TEXT_MAX * 2 || !base64_decode(encoded, arena, &pair)) return false;
    ptrdiff_t colon = text_find_char(pair, ':');
    if (colon < 0) return false;
    *out = text_slice(pair, (size_t)colon + 1, pair.len);
    return true;
}

static bool is_hex(Text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

bool key_split(Text text, KeyText *out) {
    if (text.len != KEY_PREFIX.len + KEY_ID_TEXT + 1 + KEY_SECRET_TEXT ||
        !text_starts_with(text, KEY_PREFIX))
        return false;
    Text rest = text_slice(text, KEY_PREFIX.len, text.len);
    out->id = text_slice(rest, 0, KEY_ID_TEXT);
    out->secret = text_slice(rest, KEY_ID_TEXT + 1, rest.len);
    return rest.at[KEY_ID_TEXT] == '_' && is_hex(out->id) && is_hex(out->secret);
}

bool key_hash(Text secret, uint8_t into[KEY_HASH_BYTES], Error *err) {
    unsigned int len = 0;
    if (EVP_Digest(secret.at, secret.len, into, &len, EVP_sha256(), NULL) == 1 &&
        len == KEY_HASH_BYTES)
        return true;
    return error_set(err, ERROR_NO_MEMORY, "libcrypto could not compute SHA-256");
}

bool key_hash_equal(const uint8_t a[KEY_HASH_BYTES], const uint8_t b[KEY_HASH_BYTES]) {
    return CRYPTO_memcmp(a, b, KEY_HASH_BYTES) == 0;
}
