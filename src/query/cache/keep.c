// The table of kept answers, bounded in bytes; the least recently used one goes first.

#include "query/cache/keep.h"

#include "base/assert.h"
#include "base/memory.h"
#include "os/random.h"
#include "os/thread.h"

enum { BUCKETS = 1024 };

struct QueryCache {
    HashKey hash_key;
    Budget *memory;
    Mutex lock;  // QUERY_CACHE, of all below
    Kept *buckets[BUCKETS];
    Kept *newest, *oldest;
    int64_t bytes;
    uint64_t entries, hits, tails, misses;
    _Atomic int64_t bytes_max;
};

Kept *kept_new(Text key) {
    Kept *kept = memory_new(Kept);
    atomic_store(&kept->references, 1);
    kept->key = text_copy(key, &kept->arena);
    return kept;
}

void kept_unref(Kept **kept) {
    if (*kept == NULL) return;
    Kept *gone = TAKE(*kept);
    if (atomic_fetch_sub(&gone->references, 1) != 1) return;
    arena_free(&gone->arena);
    if (gone->charged_to != NULL) budget_release(gone->charged_to, gone->bytes);
    memory_free(gone);
}

QueryCache *query_cache_new(Budget *memory, int64_t bytes_max) {
    QueryCache *cache = memory_new(QueryCache);
    cache->memory = memory;
    mutex_begin(&cache->lock, LOCK_QUERY_CACHE);
    // Without randomness the table still works; keys of clients could only make one bucket long.
    Error err;
    if (!random_hash_key(&cache->hash_key, &err)) cache->hash_key = (HashKey){0};
    atomic_store(&cache->bytes_max, bytes_max);
    return cache;
}

static Kept **bucket_of(QueryCache *cache, uint64_t hash) {
    return &cache->buckets[hash % BUCKETS];
}

static void unlink_use(QueryCache *cache, Kept *kept) {
    *(kept->newer == NULL ? &cache->newest : &kept->newer->older) = kept->older;
    *(kept->older == NULL ? &cache->oldest : &kept->older->newer) = kept->newer;
}

static void link_newest(QueryCache *cache, Kept *kept) {
    kept->newer = NULL;
    kept->older = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->newer) = kept;
    cache->newest = kept;
}

// With the lock held. The reference of the table goes.
static void drop(QueryCache *cache, Kept *kept) {
    Kept **at = bucket_of(cache, kept->hash);
    while (*at != kept) at = &(*at)->next;
    *at = kept->next;
    unlink_use(cache, kept);
    cache->bytes -= kept->bytes;
    cache->entries--;
    kept_unref(&kept);
}

static Kept *find(QueryCache *cache, Text key, uint64_t hash) {
    for (Kept *kept = *bucket_of(cache, hash); kept != NULL; kept = kept->next) {
        if (kept->hash == hash && text_equal(kept->key, key)) return kept;
    }
    return NULL;
}

static void shrink(QueryCache *cache, int64_t bytes_max) {
    while (cache->oldest != NULL && cache->bytes > bytes_max) drop(cache, cache->oldest);
}

void query_cache_free(QueryCache **cache) {
    if (*cache == NULL) return;
    QueryCache *gone = TAKE(*cache);
    shrink(gone, -1);
    assert(gone->entries == 0);
    mutex_end(&gone->lock);
    memory_free(gone);
}

void query_cache_resize(QueryCache *cache, int64_t bytes_max) {
    atomic_store(&cache->bytes_max, bytes_max);
    mutex_take(&cache->lock);
    shrink(cache, bytes_max);
    mutex_give(&cache->lock);
}

int64_t keep_bytes_max(QueryCache *cache) {
    int64_t bytes_max = atomic_load(&cache->bytes_max);
    int64_t limit = cache->memory == NULL ? 0 : atomic_load(&cache->memory->limit);
    return limit == 0 ? bytes_max : MIN(bytes_max, limit);
}

// With the lock held. Others need the memory: this one takes the place of as much of its own, or is
// not kept.
static bool charge(QueryCache *cache, Kept *kept) {
    if (cache->memory == NULL) return true;
    while (!budget_reserve(cache->memory, kept->bytes, NULL)) {
        if (cache->oldest == NULL) return false;
        drop(cache, cache->oldest);
    }
    kept->charged_to = cache->memory;
    return true;
}

Kept *keep_find(QueryCache *cache, Text key) {
    uint64_t hash = hash_keyed(cache->hash_key, text_bytes(key));
    mutex_take(&cache->lock);
    Kept *kept = find(cache, key, hash);
    if (kept != NULL) {
        atomic_fetch_add(&kept->references, 1);
        unlink_use(cache, kept);
        link_newest(cache, kept);
    }
    mutex_give(&cache->lock);
    return kept;
}

void keep_put(QueryCache *cache, Kept *kept) {
    kept->hash = hash_keyed(cache->hash_key, text_bytes(kept->key));
    kept->bytes = (int64_t)(sizeof *kept + kept->arena.bytes);
    mutex_take(&cache->lock);
    Kept *before = find(cache, kept->key, kept->hash);
    if (before != NULL) drop(cache, before);
    if (!charge(cache, kept)) {
        mutex_give(&cache->lock);
        return;
    }
    atomic_fetch_add(&kept->references, 1);
    Kept **bucket = bucket_of(cache, kept->hash);
    kept->next = *bucket;
    *bucket = kept;
    link_newest(cache, kept);
    cache->bytes += kept->bytes;
    cache->entries++;
    shrink(cache, atomic_load(&cache->bytes_max));
    mutex_give(&cache->lock);
}

void keep_count(QueryCache *cache, size_t have, size_t count) {
    mutex_take(&cache->lock);
    *(have == count ? &cache->hits : have > 0 ? &cache->tails : &cache->misses) += 1;
    mutex_give(&cache->lock);
}

void query_cache_state(QueryCache *cache, QueryCacheState *out) {
    mutex_take(&cache->lock);
    *out =
        (QueryCacheState){cache->hits, cache->tails, cache->misses, cache->entries, cache->bytes};
    mutex_give(&cache->lock);
}
