// A table of pages by owner and number, and one list of all by use: found pages are marked, and
// marked ones are passed over once before they go.

#include "store/series/page_cache.h"

#include "base/assert.h"
#include "base/memory.h"
#include "os/thread.h"

enum { BUCKETS_MIN = 256 };

struct KeptPage {
    _Atomic int64_t refs;
    PageOwner *owner;
    uint32_t number;
    bool found;  // since it was looked at for eviction
    size_t len;
    KeptPage *next_in_bucket;
    KeptPage *newer, *older;                      // of all pages
    KeptPage *next_of_owner, **pointer_of_owner;  // what points here
};

struct PageCache {
    Mutex lock;
    Budget *memory;
    int64_t most;
    KeptPage **buckets;
    size_t bucket_count;  // a power of two
    KeptPage *newest, *oldest;
    PageCacheFacts facts;
};

// ---- Pages ----

KeptPage *kept_page_make(size_t len) {
    KeptPage *page = memory_take(sizeof *page + len);
    *page = (KeptPage){.len = len};
    atomic_init(&page->refs, 1);
    return page;
}

KeptPage *kept_page_ref(KeptPage *page) {
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

void kept_page_unref(KeptPage **page) {
    KeptPage *gone = TAKE(*page);
    if (gone != NULL && atomic_fetch_sub(&gone->refs, 1) == 1) memory_free(gone);
}

Bytes kept_page_bytes(const KeptPage *page) {
    return (Bytes){(const uint8_t *)(page + 1), page->len};
}

uint8_t *kept_page_room(KeptPage *page) {
    return (uint8_t *)(page + 1);
}

static int64_t page_cost(const KeptPage *page) {
    return (int64_t)(sizeof *page + page->len);
}

// ---- The cache ----

PageCache *page_cache_open(Budget *memory, int64_t most) {
    PageCache *cache = memory_new(PageCache);
    mutex_begin(&cache->lock, LOCK_SERIES_PAGES_KEPT);
    cache->memory = memory;
    cache->most = most;
    cache->bucket_count = BUCKETS_MIN;
    cache->buckets = memory_new_array(KeptPage *, cache->bucket_count);
    return cache;
}

void page_cache_close(PageCache **cache) {
    PageCache *gone = TAKE(*cache);
    if (gone == NULL) return;
    assert(gone->facts.pages == 0);
    mutex_end(&gone->lock);
    memory_free(gone->buckets);
    memory_free(gone);
}

static KeptPage **bucket_of(const PageCache *cache, const PageOwner *owner, uint32_t number) {
    uint64_t hash =
        ((uintptr_t)owner / _Alignof(PageOwner) + number) * UINT64_C(0x9e3779b97f4a7c15);
    return &cache->buckets[hash >> 32 & (cache->bucket_count - 1)];
}

static KeptPage *lookup(const PageCache *cache, const PageOwner *owner, uint32_t number) {
    KeptPage *page = *bucket_of(cache, owner, number);
    while (page != NULL && (page->owner != owner || page->number != number))
        page = page->next_in_bucket;
    return page;
}

static void list_add(PageCache *cache, KeptPage *page) {
    page->newer = NULL;
    page->older = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->newer) = page;
    cache->newest = page;
}

static void list_take(PageCache *cache, KeptPage *page) {
    *(page->newer == NULL ? &cache->newest : &page->newer->older) = page->older;
    *(page->older == NULL ? &cache->oldest : &page->older->newer) = page->newer;
}

static void take_out(PageCache *cache, KeptPage *page) {
    KeptPage **place = bucket_of(cache, page->owner, page->number);
    while (*place != page) place = &(*place)->next_in_bucket;
    *place = page->next_in_bucket;
    list_take(cache, page);
    *page->pointer_of_owner = page->next_of_owner;
    if (page->next_of_owner != NULL) page->next_of_owner->pointer_of_owner = page->pointer_of_owner;
    cache->facts.bytes -= page_cost(page);
    cache->facts.pages--;
    if (cache->memory != NULL) budget_release(cache->memory, page_cost(page));
    kept_page_unref(&page);
}

// The oldest that was not found lately goes.
static void evict_one(PageCache *cache) {
    KeptPage *page = cache->oldest;
    for (; page->found; page = cache->oldest) {
        page->found = false;
        list_take(cache, page);
        list_add(cache, page);
    }
    take_out(cache, page);
}

static bool make_room(PageCache *cache, int64_t bytes) {
    if (bytes > cache->most) return false;
    while (cache->facts.bytes + bytes > cache->most) evict_one(cache);
    if (cache->memory == NULL) return true;
    while (!budget_reserve(cache->memory, bytes, NULL)) {
        // Others need the memory: this one takes the place of as much of its own, or is not kept.
        if (cache->oldest == NULL) return false;
        evict_one(cache);
    }
    return true;
}

static void grow(PageCache *cache) {
    size_t before = cache->bucket_count;
    KeptPage **old = cache->buckets;
    cache->bucket_count = before * 4;
    cache->buckets = memory_new_array(KeptPage *, cache->bucket_count);
    for (size_t i = 0; i < before; i++) {
        for (KeptPage *page = old[i], *next; page != NULL; page = next) {
            KeptPage **bucket = bucket_of(cache, page->owner, page->number);
            next = page->next_in_bucket;
            page->next_in_bucket = *bucket;
            *bucket = page;
        }
    }
    memory_free(old);
}

KeptPage *page_cache_find(PageCache *cache, const PageOwner *owner, uint32_t number) {
    mutex_take(&cache->lock);
    KeptPage *page = lookup(cache, owner, number);
    if (page != NULL) {
        page->found = true;
        (void)kept_page_ref(page);
    }
    cache->facts.hits += page != NULL;
    cache->facts.misses += page == NULL;
    mutex_give(&cache->lock);
    return page;
}

void page_cache_put(PageCache *cache, PageOwner *owner, uint32_t number, KeptPage *page) {
    mutex_take(&cache->lock);
    if (lookup(cache, owner, number) == NULL && make_room(cache, page_cost(page))) {
        if (cache->facts.pages >= cache->bucket_count) grow(cache);
        KeptPage **bucket = bucket_of(cache, owner, number);
        page->owner = owner;
        page->number = number;
        page->next_in_bucket = *bucket;
        *bucket = page;
        page->next_of_owner = owner->pages;
        page->pointer_of_owner = &owner->pages;
        if (owner->pages != NULL) owner->pages->pointer_of_owner = &page->next_of_owner;
        owner->pages = kept_page_ref(page);
        list_add(cache, page);
        cache->facts.bytes += page_cost(page);
        cache->facts.pages++;
    }
    mutex_give(&cache->lock);
}

void page_cache_drop(PageCache *cache, PageOwner *owner) {
    mutex_take(&cache->lock);
    while (owner->pages != NULL) take_out(cache, owner->pages);
    mutex_give(&cache->lock);
}

PageCacheFacts page_cache_facts(PageCache *cache) {
    if (cache == NULL) return (PageCacheFacts){0};
    mutex_take(&cache->lock);
    PageCacheFacts facts = cache->facts;
    mutex_give(&cache->lock);
    return facts;
}
