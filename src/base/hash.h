// Hashes: two with a secret for keys that strangers choose, one fast for our own ids.
#pragma once

#include "base/text.h"

// 128 bits drawn from os/random.h at start; handed down by `app`. Never written anywhere.
typedef struct HashKey {
    uint64_t low;
    uint64_t high;
} HashKey;

// SipHash-1-3 (Aumasson and Bernstein, 2012): cannot be steered without the key.
uint64_t hash_keyed(HashKey key, Bytes bytes);

// For short keys by the million: NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC", 1999) over
// words of 64 bits, then a multiplication by 128 random bits for each word of its sum and for the
// length (Dietzfelbinger, 1996). Two keys that were chosen without seeing hashes have the same with
// a chance of 2^-63, and the same 32 bits of it with 2^-31. Four times as fast as hash_keyed for
// 180 bytes; it needs a key of more than a kilobyte, and whoever sees hashes learns it: tables in
// memory only. Keys longer than HASH_WIDE_BYTES go to hash_keyed.
enum { HASH_WIDE_BYTES = 1024, HASH_WIDE_WORDS = HASH_WIDE_BYTES / 8 };

typedef struct HashWideKey {
    HashKey key;
    unsigned __int128 mix[4];
    uint64_t words[HASH_WIDE_WORDS];
} HashWideKey;

void hash_wide_begin(HashWideKey *wide, HashKey key);
uint64_t hash_wide(const HashWideKey *wide, Bytes bytes);

// A bijection that scatters our own dense ids (the finaliser of SplitMix64).
static inline uint64_t hash_id(uint64_t id) {
    id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9u;
    id = (id ^ (id >> 27)) * 0x94d049bb133111ebu;
    return id ^ (id >> 31);
}
