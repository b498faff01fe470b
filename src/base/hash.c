// SipHash-1-3, after the paper's description ("SipHash: a fast short-input PRF"); NH after UMAC's.

#include "base/hash.h"

static inline uint64_t rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

typedef struct State {
    uint64_t v0, v1, v2, v3;
} State;

static inline void round_once(State *s) {
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

uint64_t hash_keyed(HashKey key, Bytes bytes) {
    State s = {
        .v0 = key.low ^ 0x736f6d6570736575u,
        .v1 = key.high ^ 0x646f72616e646f6du,
        .v2 = key.low ^ 0x6c7967656e657261u,
        .v3 = key.high ^ 0x7465646279746573u,
    };
    const uint8_t *at = bytes.at;
    size_t words = bytes.len / 8;
    for (size_t i = 0; i < words; i++, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        s.v3 ^= word;
        round_once(&s);
        s.v0 ^= word;
    }
    uint64_t last = (uint64_t)bytes.len << 56;
    for (size_t i = 0; i < bytes.len % 8; i++) last |= (uint64_t)at[i] << (8 * i);
    s.v3 ^= last;
    round_once(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    round_once(&s);
    round_once(&s);
    round_once(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

// ---- Wide ----

void hash_wide_begin(HashWideKey *wide, HashKey key) {
    // The numbers hashed here are keys of eight bytes like others: nobody sees their hashes.
    uint64_t drawn[HASH_WIDE_WORDS + 2 * 4];
    for (uint64_t i = 0; i < COUNT(drawn); i++)
        drawn[i] = hash_keyed(key, (Bytes){(const uint8_t *)&i, sizeof i});
    wide->key = key;
    memcpy(wide->words, drawn, sizeof wide->words);
    memcpy(wide->mix, drawn + HASH_WIDE_WORDS, sizeof wide->mix);
}

static inline uint64_t load_8(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

static inline uint32_t load_4(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

static inline unsigned __int128 product(const uint64_t *key, uint64_t first, uint64_t second) {
    return (unsigned __int128)(first + key[0]) * (second + key[1]);
}

uint64_t hash_wide(const HashWideKey *wide, Bytes bytes) {
    const uint8_t *at = bytes.at;
    size_t len = bytes.len;
    if (unlikely(len > HASH_WIDE_BYTES)) return hash_keyed(wide->key, bytes);
    unsigned __int128 sum = 0;
    if (likely(len >= 16)) {
        const uint64_t *key = wide->words;
        size_t last = (len - 1) / 16 * 16;  // the last sixteen bytes, overlapping, are those
        for (size_t i = 0; i < last; i += 16, key += 2)
            sum += product(key, load_8(at + i), load_8(at + i + 8));
        sum += product(key, load_8(at + len - 16), load_8(at + len - 8));
    } else if (len >= 8) {
        sum = product(wide->words, load_8(at), load_8(at + len - 8));
    } else if (len >= 4) {
        sum = product(wide->words, load_4(at), load_4(at + len - 4));
    } else if (len > 0) {
        sum = product(wide->words, (uint64_t)at[0] << 8 | at[len / 2], at[len - 1]);
    }
    unsigned __int128 mixed = wide->mix[0] + wide->mix[1] * (uint64_t)sum +
                              wide->mix[2] * (uint64_t)(sum >> 64) + wide->mix[3] * len;
    return (uint64_t)(mixed >> 64);
}
