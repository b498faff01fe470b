// Hashes: one with a secret for keys that strangers choose, one fast for our own ids.
#pragma once

#include "base/text.h"

// 128 bits drawn from os/random.h at start; handed down by `app`. Never written anywhere.
typedef struct HashKey {
    uint64_t low;
    uint64_t high;
} HashKey;

// SipHash-1-3 (Aumasson and Bernstein, 2012): cannot be steered without the key.
uint64_t hash_keyed(HashKey key, Bytes bytes);

// A bijection that scatters our own dense ids (the finaliser of SplitMix64).
static inline uint64_t hash_id(uint64_t id) {
    id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9u;
    id = (id ^ (id >> 27)) * 0x94d049bb133111ebu;
    return id ^ (id >> 31);
}
