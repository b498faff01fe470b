// What a sender has seen: a tree of raw bytes (resource > scope > metric > attributes of a point),
// each with what was made of it.
//
// The next thing is nearly always the one that came next last time: that guess costs one compare.
// Otherwise a keyed hash of the bytes finds it; equality is by bytes. Nodes live on the cache's
// arena until the cache is emptied, which happens when it is full: what is in use comes back at
// the next request, what is not does not. One thread at a time. Private to ingest/otlp.
#pragma once

#include "base/budget.h"
#include "base/hash.h"

// The bytes of a node, in up to two pieces (attributes and bucket bounds).
typedef struct CacheKey {
    Bytes first, second;
} CacheKey;

// Are they equal: without a call where they are short, as attributes are.
static inline bool bytes_same(Bytes a, Bytes b) {
    if (a.len != b.len) return false;
    if (unlikely(a.len < 8 || a.len > 128)) return bytes_equal(a, b);
    uint64_t differ = 0, left, right;
    size_t at = 0;
    for (; at + 8 < a.len; at += 8) {
        memcpy(&left, a.at + at, 8);
        memcpy(&right, b.at + at, 8);
        differ |= left ^ right;
    }
    memcpy(&left, a.at + a.len - 8, 8);
    memcpy(&right, b.at + a.len - 8, 8);
    return (differ | (left ^ right)) == 0;
}

typedef struct CacheNode CacheNode;
struct CacheNode {
    CacheNode *parent;
    CacheNode *chain;        // others of the same slot
    CacheNode *first_child;  // what came first below it, last time
    CacheNode *following;    // what came behind it, last time
    CacheKey key;
    uint64_t hash;
    void *value;
};

typedef struct Cache {
    HashKey hash_key;
    Budget *budget;  // shared by all senders
    int64_t bytes_max;
    Arena arena;
    int64_t charged;  // of the budget, for the arena and the slots
    CacheNode **slots;
    size_t slot_count, count;
    CacheNode root;
    bool full;    // nothing more is added until it is emptied
    Arena spill;  // nodes made while it is full; until cache_turn
} Cache;

void cache_begin(Cache *cache, HashKey hash_key, Budget *budget, int64_t bytes_max);
void cache_end(Cache *cache);

// Where in the tree we are: the parent and the child that came last.
typedef struct CachePlace {
    CacheNode *parent;
    CacheNode *last;
} CachePlace;

// The node that came next last time, when these are its bytes (of one piece), or NULL; the place
// moves on to it. What comes behind it is brought near: nodes lie in the order in which they were
// made, each with its bytes and with what they mean behind it, some 300 bytes together.
static inline CacheNode *cache_guess(CachePlace *place, Bytes key) {
    CacheNode *guess = place->last == NULL ? place->parent->first_child : place->last->following;
    if (unlikely(guess == NULL)) return NULL;
    enum { AHEAD_BYTES = 2048, LINE_BYTES = 64, LINES = 5 };
    for (uintptr_t line = 0; line < LINES; line++)
        __builtin_prefetch((const void *)((uintptr_t)guess + AHEAD_BYTES + line * LINE_BYTES));
    if (unlikely(guess->parent != place->parent || guess->key.second.len > 0 ||
                 !bytes_same(guess->key.first, key)))
        return NULL;
    return place->last = guess;
}

// The node of these bytes, or NULL; the place moves on to it.
CacheNode *cache_find(Cache *cache, CachePlace *place, CacheKey key);
// A node for bytes that were not found; the caller makes its value on cache_arena().
CacheNode *cache_add(Cache *cache, CachePlace *place, CacheKey key);
Arena *cache_arena(Cache *cache);
// Between requests: forgets what was made while full, and empties a full cache.
void cache_turn(Cache *cache);
void cache_empty(Cache *cache);
