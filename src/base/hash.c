// SipHash-1-3, after the paper's description ("SipHash: a fast short-input PRF").

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
