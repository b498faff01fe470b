// Whatever was kept, evicted or refused meanwhile: who reads with kept rows sees what who reads
// without them sees. And the rows never take more than they may.

#include "store/series/kept_rows.h"

#include "base/test.h"
#include "os/thread.h"
#include "store/series/page_inside.h"

enum { SERIES = 40, PAGES = 3, STEP_MS = 15000 };

typedef struct World {
    Budget memory;
    RowCache *cache;
    HeadMemory heads;
    Page *pages[PAGES];
    PageReader *reader;
    int64_t now_ms[PAGES];
    SeriesColumns with, without;
} World;

static void begin(Test *t, World *w, int64_t most, int64_t budget) {
    *w = (World){.memory = {.name = "caches", .limit = budget}};
    w->cache = row_cache_open(&w->memory, most);
    w->reader = memory_new(PageReader);
    w->reader->rows = w->cache;
    for (int p = 0; p < PAGES; p++) {
        check_ok(t, page_open(&w->heads, true, &w->pages[p], t->err));
        for (uint32_t s = 0; s < SERIES; s++) page_begin_series(w->pages[p], s, NULL);
        w->now_ms[p] = 1000000 + p;
    }
}

static void end(Test *t, World *w) {
    for (int p = 0; p < PAGES; p++) page_close(&w->pages[p]);
    check_i64(t, 0, row_cache_facts(w->cache).bytes);
    check_i64(t, 0, (int64_t)row_cache_facts(w->cache).pages);
    check_i64(t, 0, atomic_load(&w->memory.used));
    row_cache_close(&w->cache);
    memory_free(w->reader);
    series_columns_free(&w->with);
    series_columns_free(&w->without);
}

static void add(Page *page, uint32_t slot, int64_t time_ms, double value) {
    mutex_take(&page->lock);
    (void)page_add(page, page_series(page, slot), (Sample){time_ms, value});
    mutex_give(&page->lock);
}

// One scrape: most series at its time, some a little later, some not at all.
static void scrape(World *w, int p, uint64_t *seed) {
    w->now_ms[p] += STEP_MS + (int64_t)(test_random(seed) % 3);
    for (uint32_t s = 0; s < SERIES; s++) {
        uint64_t luck = test_random(seed) % 100;
        if (luck < 3) continue;
        int64_t time_ms = w->now_ms[p] + (luck < 8 ? (int64_t)(luck * 7) : 0);
        add(w->pages[p], s, time_ms, s * 1000 + (double)(test_random(seed) % 50) / 4);
    }
}

static bool same_as_without(Test *t, World *w, int p, uint32_t slot, int64_t from_ms,
                            int64_t to_ms) {
    PageReader plain = {0};
    w->with.count = w->without.count = 0;
    check_ok(t, page_samples(w->pages[p], w->reader, slot, from_ms, to_ms, &w->with, t->err) &&
                    page_samples(w->pages[p], &plain, slot, from_ms, to_ms, &w->without, t->err));
    size_t bytes = w->without.count * sizeof(double);
    return w->with.count == w->without.count &&
           (bytes == 0 || (memcmp(w->with.times, w->without.times, bytes) == 0 &&
                           memcmp(w->with.values, w->without.values, bytes) == 0));
}

static bool newest_is_the_last_of_all(Test *t, World *w, int p, uint32_t slot, int64_t from_ms,
                                      int64_t to_ms) {
    bool found;
    Sample newest;
    if (!page_newest(w->pages[p], slot, from_ms, to_ms, &found, &newest)) return true;
    w->without.count = 0;
    check_ok(t, page_samples(w->pages[p], NULL, slot, from_ms, to_ms, &w->without, t->err));
    size_t count = w->without.count;
    return found == (count > 0) && (count == 0 || (newest.time_ms == w->without.times[count - 1] &&
                                                   newest.value == w->without.values[count - 1]));
}

static void read_anything(Test *t, World *w, uint64_t *seed, uint64_t first_seed) {
    int p = (int)(test_random(seed) % PAGES);
    uint32_t slot = (uint32_t)(test_random(seed) % SERIES);
    int64_t span_ms = w->now_ms[p] - 1000000, to_ms = w->now_ms[p] + 1000;
    int64_t from_ms = w->now_ms[p] - (int64_t)(test_random(seed) % (uint64_t)(span_ms + 100000));
    if (test_random(seed) % 4 == 0) to_ms = from_ms + (int64_t)(test_random(seed) % 500000);
    bool right = same_as_without(t, w, p, slot, from_ms, to_ms) &&
                 newest_is_the_last_of_all(t, w, p, slot, from_ms, to_ms);
    if (!right)
        check_failed(t, __FILE__, __LINE__, "seed %llu: page %d, slot %u, %lld to %lld",
                     (unsigned long long)first_seed, p, slot, (long long)from_ms, (long long)to_ms);
}

static void live(Test *t, World *w, int scrapes, bool disorder) {
    uint64_t seed = t->seed;
    for (int round = 0; round < scrapes; round++) {
        for (int p = 0; p < PAGES; p++) scrape(w, p, &seed);
        for (int i = 0; i < 60; i++) read_anything(t, w, &seed, t->seed);
        if (disorder && test_random(&seed) % 8 == 0) {
            uint32_t slot = (uint32_t)(test_random(&seed) % SERIES);
            int late = test_random(&seed) % 2 == 0 ? 1 : 300;  // so many are packed
            for (int i = 0; i < late; i++)
                add(w->pages[0], slot, w->now_ms[0] - 200000 + i * 7 + 3, 0.5 * i);
        }
        PageReader *reader = w->reader;
        row_cache_count(w->cache, reader->hits, reader->misses);
        reader->hits = reader->misses = 0;
    }
}

TEST(rows_grow_with_their_series_and_say_what_it_says) {
    World w;
    begin(t, &w, 100 * MB, 0);
    live(t, &w, 150, false);
    RowCacheFacts facts = row_cache_facts(w.cache);
    printf("# %llu reads from rows, %llu decoded, %lld bytes\n", (unsigned long long)facts.hits,
           (unsigned long long)facts.misses, (long long)facts.bytes);
    check(t, facts.hits > 4 * facts.misses);
    check_i64(t, facts.bytes, atomic_load(&w.memory.used));
    end(t, &w);
}

TEST(late_samples_end_a_row) {
    World w;
    begin(t, &w, 100 * MB, 0);
    live(t, &w, 150, true);
    check(t, row_cache_facts(w.cache).hits > 0);
    end(t, &w);
}

TEST(rows_are_bounded_and_the_least_used_go) {
    World w;
    begin(t, &w, 24 * KB, 0);
    uint64_t seed = t->seed;
    for (int round = 0; round < 80; round++) {
        for (int p = 0; p < PAGES; p++) scrape(&w, p, &seed);
        for (int i = 0; i < 60; i++) {
            read_anything(t, &w, &seed, t->seed);
            check(t, row_cache_facts(w.cache).bytes <= 24 * KB);
        }
    }
    check(t, w.reader->hits > 0 && w.reader->misses > 0);
    end(t, &w);
}

TEST(where_memory_is_short_nothing_is_kept_and_all_is_read) {
    World w;
    begin(t, &w, 100 * MB, 10 * KB);
    live(t, &w, 40, true);
    check(t, atomic_load(&w.memory.used) <= 10 * KB);
    end(t, &w);
}

TEST(a_row_is_kept_when_it_is_read_again) {
    World w;
    begin(t, &w, 100 * MB, 0);
    uint64_t seed = t->seed;
    for (int round = 0; round < 40; round++) scrape(&w, 0, &seed);
    for (int i = 0; i < 4; i++)
        check(t, same_as_without(t, &w, 0, 1, 1000000 + 20 * STEP_MS, INT64_MAX));
    check_i64(t, 2, (int64_t)w.reader->misses);
    check_i64(t, 2, (int64_t)w.reader->hits);
    // Another time the row does not go back to: it is made anew, longer.
    for (int i = 0; i < 2; i++) check(t, same_as_without(t, &w, 0, 1, 1000000, INT64_MAX));
    check_i64(t, 3, (int64_t)w.reader->misses);
    check_i64(t, 3, (int64_t)w.reader->hits);
    // That one has all, so whoever asks for still more is served too.
    check(t, same_as_without(t, &w, 0, 1, 0, INT64_MAX));
    check_i64(t, 4, (int64_t)w.reader->hits);
    // A window in the past alone makes none.
    for (int i = 0; i < 3; i++) check(t, same_as_without(t, &w, 0, 2, INT64_MIN, 1200000));
    check_i64(t, 4, (int64_t)w.reader->hits);
    end(t, &w);
}

// ---- Threads ----

enum { READERS = 3, READS = 3000 };

typedef struct Reader {
    World *w;
    uint64_t seed;
    bool wrong;
} Reader;

// Values rise with time by one a step, so that any reader knows what is right.
static void read_on(void *context) {
    Reader *self = context;
    PageReader *reader = memory_new(PageReader);
    reader->rows = self->w->cache;
    SeriesColumns columns = {0};
    Error err;
    for (int i = 0; i < READS; i++) {
        columns.count = 0;
        Page *page = self->w->pages[test_random(&self->seed) % PAGES];
        uint32_t slot = (uint32_t)(test_random(&self->seed) % SERIES);
        int64_t from_ms = (int64_t)(test_random(&self->seed) % 100) * STEP_MS;
        if (!page_samples(page, reader, slot, from_ms, INT64_MAX, &columns, &err)) break;
        for (size_t k = 0; k < columns.count; k++)
            self->wrong |= columns.values[k] != (double)(columns.times[k] / STEP_MS) + slot ||
                           columns.times[k] < from_ms ||
                           (k > 0 && columns.times[k] != columns.times[k - 1] + STEP_MS);
    }
    series_columns_free(&columns);
    memory_free(reader);
}

TEST(readers_and_a_writer_do_not_disturb_each_other) {
    World w;
    begin(t, &w, 60 * KB, 0);
    Reader readers[READERS];
    Thread *threads[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (Reader){&w, t->seed + (uint64_t)i + 1, false};
        check_ok(t, thread_start("reader", read_on, &readers[i], &threads[i], t->err));
    }
    for (int step = 1; step <= 400; step++) {
        for (int p = 0; p < PAGES; p++)
            for (uint32_t s = 0; s < SERIES; s++)
                add(w.pages[p], s, (int64_t)step * STEP_MS, step + (double)s);
    }
    for (int i = 0; i < READERS; i++) {
        thread_join(&threads[i]);
        check(t, !readers[i].wrong);
    }
    check(t, row_cache_facts(w.cache).bytes <= 60 * KB);
    end(t, &w);
}

TEST_MAIN("store/kept_rows", CASE(rows_grow_with_their_series_and_say_what_it_says),
          CASE(late_samples_end_a_row), CASE(rows_are_bounded_and_the_least_used_go),
          CASE(where_memory_is_short_nothing_is_kept_and_all_is_read),
          CASE(a_row_is_kept_when_it_is_read_again),
          CASE(readers_and_a_writer_do_not_disturb_each_other))
