// Base64, four characters to three bytes.

#include "codec/base64.h"

static int sextet_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(Text text, Arena *arena, Bytes *out) {
    if (text.len % 4 != 0) return false;
    size_t padding = 0;
    while (padding < 2 && text.len > padding && text.at[text.len - 1 - padding] == '=') padding++;
    uint8_t *into = arena_push_array_raw(arena, uint8_t, text.len / 4 * 3 + 1);
    size_t len = 0, end = text.len - padding;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int sextet = i < end ? sextet_of(text.at[i]) : 0;
        if (sextet < 0) return false;
        bits = bits << 6 | (uint32_t)sextet;
        if (i % 4 != 3) continue;
        for (int shift = 16; shift >= 0; shift -= 8) into[len++] = (uint8_t)(bits >> shift);
        bits = 0;
    }
    *out = (Bytes){into, len - padding};
    return true;
}

void base64_encode(Bytes bytes, Builder *out) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t bits = (uint32_t)bytes.at[i] << 16;
        if (left > 1) bits |= (uint32_t)bytes.at[i + 1] << 8;
        if (left > 2) bits |= bytes.at[i + 2];
        builder_add_char(out, letters[bits >> 18]);
        builder_add_char(out, letters[bits >> 12 & 63]);
        builder_add_char(out, left > 1 ? letters[bits >> 6 & 63] : '=');
        builder_add_char(out, left > 2 ? letters[bits & 63] : '=');
    }
}
