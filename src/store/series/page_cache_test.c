// The cache never has more than it may, gives back what was put, and keeps what is asked for.

#include "store/series/page_cache.h"

#include "base/test.h"
#include "os/thread.h"

enum { PAGE = 1000 };

static KeptPage *page_of(uint32_t number, const PageOwner *owner) {
    KeptPage *page = kept_page_make(PAGE);
    memset(kept_page_room(page), (int)(number * 7 + ((uintptr_t)owner >> 4)), PAGE);
    return page;
}

static void put(PageCache *cache, PageOwner *owner, uint32_t number) {
    AUTO(kept_page_unref) KeptPage *page = page_of(number, owner);
    page_cache_put(cache, owner, number, page);
}

static bool is_kept(Test *t, PageCache *cache, const PageOwner *owner, uint32_t number) {
    AUTO(kept_page_unref) KeptPage *found = page_cache_find(cache, owner, number);
    if (found == NULL) return false;
    AUTO(kept_page_unref) KeptPage *expected = page_of(number, owner);
    check_i64(t, PAGE, (int64_t)kept_page_bytes(found).len);
    check_same_bytes(t, kept_page_bytes(expected).at, kept_page_bytes(found).at, PAGE);
    return true;
}

TEST(what_is_put_is_found_until_its_owner_goes) {
    Budget memory = {.name = "caches", .limit = 100 * MB};
    PageCache *cache = page_cache_open(&memory, 10 * MB);
    PageOwner owners[2] = {{0}};
    for (uint32_t i = 0; i < 2000; i++) put(cache, &owners[i % 2], i);
    for (uint32_t i = 0; i < 2000; i++) {
        check(t, is_kept(t, cache, &owners[i % 2], i));
        check(t, !is_kept(t, cache, &owners[1 - i % 2], i));
    }
    check_i64(t, 2000, (int64_t)page_cache_facts(cache).pages);
    check_i64(t, page_cache_facts(cache).bytes, atomic_load(&memory.used));
    KeptPage *held = page_cache_find(cache, &owners[0], 4);
    page_cache_drop(cache, &owners[0]);
    check_i64(t, 1000, (int64_t)page_cache_facts(cache).pages);
    check(t, !is_kept(t, cache, &owners[0], 4));
    check(t, is_kept(t, cache, &owners[1], 5));
    check(t, kept_page_bytes(held).at[PAGE - 1] == kept_page_bytes(held).at[0]);  // still ours
    kept_page_unref(&held);
    page_cache_drop(cache, &owners[1]);
    check_i64(t, 0, atomic_load(&memory.used));
    page_cache_close(&cache);
}

TEST(it_is_bounded_and_keeps_what_is_asked_for) {
    PageCache *cache = page_cache_open(NULL, 100 * PAGE);
    PageOwner owner = {0};
    for (uint32_t i = 0; i < 10; i++) put(cache, &owner, i);
    for (uint32_t i = 10; i < 1000; i++) {
        put(cache, &owner, i);
        check(t, page_cache_facts(cache).bytes <= 100 * PAGE);
        for (uint32_t k = 0; k < 10; k++) check(t, is_kept(t, cache, &owner, k));
    }
    check(t, is_kept(t, cache, &owner, 999));
    check(t, !is_kept(t, cache, &owner, 500));
    check(t, page_cache_facts(cache).pages > 80);
    PageCacheFacts facts = page_cache_facts(cache);
    check_i64(t, 1, (int64_t)facts.misses);
    page_cache_drop(cache, &owner);
    KeptPage *large = kept_page_make(200 * PAGE);
    page_cache_put(cache, &owner, 0, large);
    check(t, !is_kept(t, cache, &owner, 0));
    kept_page_unref(&large);
    page_cache_close(&cache);
}

// Others take the memory: pages go, and none is put that is not granted.
TEST(a_budget_that_is_used_up_keeps_nothing) {
    Budget all = {.name = "memory.limit", .limit = 20 * PAGE};
    Budget caches = {.name = "caches", .limit = 15 * PAGE, .parent = &all};
    PageCache *cache = page_cache_open(&caches, 1 * MB);
    PageOwner owner = {0};
    for (uint32_t i = 0; i < 50; i++) put(cache, &owner, i);
    check(t, page_cache_facts(cache).pages > 5 && page_cache_facts(cache).pages < 15);
    int64_t rest = 20 * PAGE - atomic_load(&all.used);
    check_ok(t, budget_reserve(&all, rest, t->err));
    put(cache, &owner, 50);
    check(t, is_kept(t, cache, &owner, 50));
    page_cache_drop(cache, &owner);
    check_ok(t, budget_reserve(&all, 20 * PAGE - atomic_load(&all.used), t->err));
    put(cache, &owner, 51);
    check(t, !is_kept(t, cache, &owner, 51));
    check_i64(t, 20 * PAGE, atomic_load(&all.used));
    page_cache_close(&cache);
}

typedef struct CacheUser {
    Test *t;
    PageCache *cache;
    PageOwner *owners;
    uint64_t seed;
    bool wrong;
} CacheUser;

static void use_cache(void *context) {
    CacheUser *user = context;
    uint64_t random = user->seed;
    PageOwner mine = {0};  // comes and goes, as blocks do
    for (int i = 0; i < 20000; i++) {
        uint64_t dice = test_random(&random);
        PageOwner *owner = dice % 3 == 0 ? &mine : &user->owners[dice % 2];
        uint32_t number = (uint32_t)(dice >> 8) % 200;
        AUTO(kept_page_unref) KeptPage *page = page_cache_find(user->cache, owner, number);
        if (page == NULL) {
            page = page_of(number, owner);
            page_cache_put(user->cache, owner, number, page);
        }
        Bytes bytes = kept_page_bytes(page);
        uint8_t expected = (uint8_t)(number * 7 + ((uintptr_t)owner >> 4));
        user->wrong |= bytes.at[0] != expected || bytes.at[PAGE - 1] != expected;
        if (dice % 1000 == 0) page_cache_drop(user->cache, &mine);
    }
    page_cache_drop(user->cache, &mine);
}

TEST(threads_share_it) {
    PageCache *cache = page_cache_open(NULL, 150 * PAGE);
    PageOwner owners[2] = {{0}};
    CacheUser users[4];
    Thread *threads[4];
    for (size_t i = 0; i < COUNT(users); i++) {
        users[i] = (CacheUser){t, cache, owners, t->seed + i, false};
        check_ok(t, thread_start("cache", use_cache, &users[i], &threads[i], t->err));
    }
    for (size_t i = 0; i < COUNT(users); i++) {
        thread_join(&threads[i]);
        check(t, !users[i].wrong);
    }
    for (size_t i = 0; i < COUNT(owners); i++) page_cache_drop(cache, &owners[i]);
    check_i64(t, 0, page_cache_facts(cache).bytes);
    page_cache_close(&cache);
}

TEST_MAIN("store/page_cache", CASE(what_is_put_is_found_until_its_owner_goes),
          CASE(it_is_bounded_and_keeps_what_is_asked_for),
          CASE(a_budget_that_is_used_up_keeps_nothing), CASE(threads_share_it))
