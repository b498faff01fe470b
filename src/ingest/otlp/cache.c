// A tree of raw bytes behind one hash table, with a guess in front of it.

#include "ingest/otlp/cache.h"

#include "base/assert.h"

enum { SLOTS_MIN = 256 };

void cache_begin(Cache *cache, HashKey hash_key, Budget *budget, int64_t bytes_max) {
    *cache = (Cache){.hash_key = hash_key, .budget = budget, .bytes_max = bytes_max};
}

void cache_empty(Cache *cache) {
    arena_free(&cache->arena);
    arena_free(&cache->spill);
    memory_free(TAKE(cache->slots));
    cache->slot_count = cache->count = 0;
    cache->root = (CacheNode){0};
    cache->full = false;
    budget_release(cache->budget, cache->charged);
    cache->charged = 0;
}

void cache_end(Cache *cache) {
    cache_empty(cache);
}

void cache_turn(Cache *cache) {
    if (cache->full) {
        cache_empty(cache);
    } else {
        arena_free(&cache->spill);
    }
}

static int64_t bytes_held(const Cache *cache) {
    return (int64_t)(cache->arena.bytes + cache->slot_count * sizeof(CacheNode *));
}

// What the arena has grown by is charged afterwards; when there is no more, the cache is full.
static void charge(Cache *cache) {
    int64_t held = bytes_held(cache);
    if (held == cache->charged) return;
    Error ignored;
    if (held > cache->bytes_max ||
        (held > cache->charged &&
         !budget_reserve(cache->budget, held - cache->charged, &ignored))) {
        cache->full = true;
        return;
    }
    if (held < cache->charged) budget_release(cache->budget, cache->charged - held);
    cache->charged = held;
}

Arena *cache_arena(Cache *cache) {
    return cache->full ? &cache->spill : &cache->arena;
}

// ---- Finding ----

static inline bool key_equal(CacheKey a, CacheKey b) {
    return bytes_equal(a.first, b.first) && bytes_equal(a.second, b.second);
}

static uint64_t hash_of(const Cache *cache, const CacheNode *parent, CacheKey key) {
    uint64_t hash = hash_keyed(cache->hash_key, key.first) ^ hash_id((uint64_t)(uintptr_t)parent);
    if (key.second.len > 0) hash += hash_id(hash_keyed(cache->hash_key, key.second));
    return hash;
}

static void go_to(CachePlace *place, CacheNode *node) {
    if (place->last == NULL) {
        place->parent->first_child = node;
    } else {
        place->last->following = node;
    }
    place->last = node;
}

CacheNode *cache_find(Cache *cache, CachePlace *place, CacheKey key) {
    CacheNode *guess = place->last == NULL ? place->parent->first_child : place->last->following;
    if (likely(guess != NULL && guess->parent == place->parent && key_equal(guess->key, key))) {
        place->last = guess;
        return guess;
    }
    if (cache->slot_count == 0) return NULL;
    uint64_t hash = hash_of(cache, place->parent, key);
    for (CacheNode *node = cache->slots[hash & (cache->slot_count - 1)]; node != NULL;
         node = node->chain) {
        if (node->hash != hash || node->parent != place->parent || !key_equal(node->key, key))
            continue;
        go_to(place, node);
        return node;
    }
    return NULL;
}

// ---- Adding ----

static void slots_grow(Cache *cache) {
    size_t count = cache->slot_count == 0 ? SLOTS_MIN : cache->slot_count * 2;
    CacheNode **slots = memory_new_array(CacheNode *, count);
    for (size_t i = 0; i < cache->slot_count; i++) {
        for (CacheNode *node = cache->slots[i], *next; node != NULL; node = next) {
            next = node->chain;
            node->chain = slots[node->hash & (count - 1)];
            slots[node->hash & (count - 1)] = node;
        }
    }
    memory_free(cache->slots);
    cache->slots = slots;
    cache->slot_count = count;
}

CacheNode *cache_add(Cache *cache, CachePlace *place, CacheKey key) {
    charge(cache);
    if (cache->full) {
        // Not in the table and not a guess of a node that stays: it dies at the turn with the rest.
        CacheNode *node = arena_push(&cache->spill, CacheNode);
        node->parent = place->parent;
        return node;
    }
    CacheNode *node = arena_push(&cache->arena, CacheNode);
    node->parent = place->parent;
    node->key.first = bytes_copy(key.first, &cache->arena);
    node->key.second = bytes_copy(key.second, &cache->arena);
    node->hash = hash_of(cache, place->parent, key);
    if (cache->count >= cache->slot_count) slots_grow(cache);
    CacheNode **slot = &cache->slots[node->hash & (cache->slot_count - 1)];
    node->chain = *slot;
    *slot = node;
    cache->count++;
    go_to(place, node);
    return node;
}
