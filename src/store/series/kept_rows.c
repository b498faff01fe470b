// Rows and the clocks they share; and the list of all of them, of which the least used go.

#include "store/series/kept_rows.h"

#include <stdatomic.h>

#include "base/assert.h"
#include "base/memory.h"

enum {
    SLACK = 32,           // samples a row and a clock have room for beyond those they begin with
    CLOCKS_LOOKED_AT = 8  // of the newest: rows of one scrape come one after the other
};

struct RowCache {
    Mutex lock;  // taken before that of a page
    Budget *memory;
    int64_t most;
    _Atomic int64_t bytes;  // what is kept, and what is granted to who is about to keep
    KeptRows *newest, *oldest;
    RowCacheFacts facts;  // but for `bytes`
};

// ---- Clocks ----

// Has it these times from `first` on, as far as it goes, and room for the rest?
static bool clock_fits(const RowClock *clock, uint32_t first, const int64_t *times, size_t count) {
    size_t common = MIN(count, (size_t)(clock->count - first));
    return count <= clock->capacity - first &&
           memcmp(clock->times + first, times, common * sizeof *times) == 0;
}

static void clock_extend(RowClock *clock, uint32_t first, const int64_t *times, size_t count) {
    size_t common = MIN(count, (size_t)(clock->count - first));
    memcpy(clock->times + clock->count, times + common, (count - common) * sizeof *times);
    clock->count += (uint32_t)(count - common);
}

static uint32_t capacity_for(size_t count) {
    return (uint32_t)(count + MAX(count / 4, (size_t)SLACK));
}

static int64_t clock_bytes(uint32_t capacity) {
    return (int64_t)(capacity * sizeof(int64_t) + 2 * sizeof(RowClock));
}

static int64_t row_bytes(uint32_t capacity) {
    return (int64_t)(capacity * sizeof(double) + 2 * sizeof(KeptRow));
}

static uint32_t clock_make(KeptRows *rows, const int64_t *times, size_t count) {
    uint32_t at = (uint32_t)rows->clocks.count;
    if (rows->clocks_free > 0) {
        rows->clocks_free--;
        for (at = 0; rows->clocks.at[at].rows > 0;) at++;
    } else {
        (void)array_add(&rows->clocks);
    }
    RowClock *clock = &rows->clocks.at[at];
    *clock = (RowClock){.capacity = capacity_for(count)};
    clock->times = memory_take(array_bytes(clock->capacity, sizeof *clock->times));
    clock_extend(clock, 0, times, count);
    rows->bytes += clock_bytes(clock->capacity);
    return at;
}

// A clock that has these times, or is made to have them.
static void clock_choose(KeptRows *rows, KeptRow *row, const int64_t *times, size_t count) {
    size_t end = rows->clocks.count;
    for (size_t i = end; i > 0 && i + CLOCKS_LOOKED_AT > end; i--) {
        RowClock *clock = &rows->clocks.at[i - 1];
        if (clock->rows == 0) continue;
        uint32_t first = (uint32_t)times_place(clock->times, clock->count, times[0]);
        if (first == clock->count || !clock_fits(clock, first, times, count)) continue;
        clock_extend(clock, first, times, count);
        clock->rows++;
        row->clock = (uint32_t)(i - 1);
        row->first = first;
        return;
    }
    row->clock = clock_make(rows, times, count);
    row->first = 0;
    rows->clocks.at[row->clock].rows = 1;
}

static void clock_leave(KeptRows *rows, uint32_t at) {
    RowClock *clock = &rows->clocks.at[at];
    if (--clock->rows > 0) return;
    rows->bytes -= clock_bytes(clock->capacity);
    memory_free(TAKE(clock->times));
    rows->clocks_free++;
}

// ---- Rows ----

bool kept_row_grow(KeptRows *rows, KeptRow *row, const int64_t *times, const double *values,
                   size_t count) {
    RowClock *clock = &rows->clocks.at[row->clock];
    uint32_t next = row->first + row->count;
    if (count > row->capacity - row->count || !clock_fits(clock, next, times, count)) return false;
    clock_extend(clock, next, times, count);
    memcpy(row->values + row->count, values, count * sizeof *values);
    row->count += (uint32_t)count;
    return true;
}

void kept_row_prefetch(const KeptRows *rows, const KeptRow *row, int64_t from_ms) {
    enum { LINE = 64, LINES_AHEAD = 16 };
    const int64_t *times = rows->clocks.at[row->clock].times + row->first;
    size_t place = from_ms <= row->from_ms ? 0 : times_place(times, row->count, from_ms);
    const char *at = (const char *)(row->values + place);
    const char *end = (const char *)(row->values + row->count);
    for (int i = 0; i < LINES_AHEAD && at < end; i++, at += LINE) __builtin_prefetch(at);
}

void kept_row_read(const KeptRows *rows, const KeptRow *row, int64_t from_ms, int64_t to_ms,
                   SeriesColumns *out) {
    assert(from_ms >= row->from_ms && to_ms <= row->to_ms);
    const int64_t *times = rows->clocks.at[row->clock].times + row->first;
    size_t begin = 0, end = row->count;
    if (times[0] < from_ms) begin = times_place(times, end, from_ms);
    if (times[end - 1] > to_ms) end = times_place(times, end, to_ms + 1);
    if (begin >= end) return;
    size_t count = end - begin;
    columns_reserve(out, count);
    memcpy(out->times + out->count, times + begin, count * sizeof *times);
    memcpy(out->values + out->count, row->values + begin, count * sizeof *row->values);
    out->count += count;
}

void kept_row_drop(KeptRows *rows, uint32_t slot) {
    KeptRow *row = kept_row(rows, slot);
    if (row == NULL) return;
    rows->of_slot[slot] = 0;
    rows->bytes -= row_bytes(row->capacity);
    memory_free(TAKE(row->values));
    clock_leave(rows, row->clock);
    // The last one takes its place.
    KeptRow *last = &rows->rows.at[--rows->rows.count];
    if (row == last) return;
    *row = *last;
    rows->of_slot[row->slot] = (uint16_t)(row - rows->rows.at + 1);
}

static void row_make(KeptRows *rows, uint32_t slot, KeptFresh fresh) {
    KeptRow *row = array_add(&rows->rows);
    *row = (KeptRow){.from_ms = fresh.from_ms,
                     .to_ms = fresh.to_ms,
                     .strips = fresh.strips,
                     .tail = fresh.tail,
                     .count = (uint32_t)fresh.count,
                     .capacity = capacity_for(fresh.count),
                     .slot = slot};
    row->values = memory_take(array_bytes(row->capacity, sizeof *row->values));
    memcpy(row->values, fresh.values, fresh.count * sizeof *fresh.values);
    clock_choose(rows, row, fresh.times, fresh.count);
    rows->bytes += row_bytes(row->capacity);
    rows->of_slot[slot] = (uint16_t)rows->rows.count;
}

static void rows_empty(KeptRows *rows) {
    for (size_t i = 0; i < rows->rows.count; i++) memory_free(rows->rows.at[i].values);
    for (size_t i = 0; i < rows->clocks.count; i++) memory_free(rows->clocks.at[i].times);
    array_free(&rows->rows);
    array_free(&rows->clocks);
    rows->clocks_free = 0;
    memset(rows->of_slot, 0, sizeof rows->of_slot);
    rows->bytes = (int64_t)sizeof *rows;
}

// ---- All of them ----

RowCache *row_cache_open(Budget *memory, int64_t most) {
    RowCache *cache = memory_new(RowCache);
    mutex_begin(&cache->lock, LOCK_SERIES_ROWS_KEPT);
    cache->memory = memory;
    cache->most = most;
    return cache;
}

void row_cache_close(RowCache **cache) {
    RowCache *gone = TAKE(*cache);
    if (gone == NULL) return;
    assert(gone->newest == NULL && atomic_load(&gone->bytes) == 0);
    mutex_end(&gone->lock);
    memory_free(gone);
}

static void list_add(RowCache *cache, KeptRows *rows) {
    rows->newer = NULL;
    rows->older = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->newer) = rows;
    cache->newest = rows;
}

static void list_take(RowCache *cache, KeptRows *rows) {
    *(rows->newer == NULL ? &cache->newest : &rows->newer->older) = rows->older;
    *(rows->older == NULL ? &cache->oldest : &rows->older->newer) = rows->newer;
}

static void give_back(RowCache *cache, int64_t bytes) {
    atomic_fetch_sub(&cache->bytes, bytes);
    if (cache->memory != NULL) budget_release(cache->memory, bytes);
}

// Empties the oldest page that was not read lately; false when there is nothing to be had. Those
// that were read are asked a second time.
static bool evict_one(RowCache *cache) {
    for (uint64_t left = 2 * cache->facts.pages; left > 0; left--) {
        KeptRows *rows = cache->oldest;
        list_take(cache, rows);
        list_add(cache, rows);
        mutex_take(rows->lock);
        if (!rows->used) rows_empty(rows);
        int64_t freed = rows->used ? 0 : rows->charged - rows->bytes;
        rows->charged -= freed;
        rows->used = false;
        mutex_give(rows->lock);
        if (freed == 0) continue;
        give_back(cache, freed);
        return true;
    }
    return false;
}

// Without the lock, as a scan keeps a row per series.
static bool grant(RowCache *cache, int64_t bytes) {
    bool fits = atomic_fetch_add(&cache->bytes, bytes) + bytes <= cache->most;
    if (fits && (cache->memory == NULL || budget_reserve(cache->memory, bytes, NULL))) return true;
    atomic_fetch_sub(&cache->bytes, bytes);
    return false;
}

// Where it has all it may, or others need the memory, the new takes the place of the old, or is not
// kept.
static bool take_room(RowCache *cache, int64_t bytes) {
    if (bytes > cache->most) return false;
    if (grant(cache, bytes)) return true;
    mutex_take(&cache->lock);
    bool granted = false;
    while (!granted && evict_one(cache)) granted = grant(cache, bytes);
    mutex_give(&cache->lock);
    return granted;
}

void row_cache_put(RowCache *cache, Mutex *lock, KeptRows **kept, uint32_t slot, KeptFresh fresh) {
    uint32_t capacity = capacity_for(fresh.count);
    int64_t room = (int64_t)sizeof(KeptRows) + row_bytes(capacity) + clock_bytes(capacity);
    if (!take_room(cache, room)) return;

    mutex_take(lock);
    bool first = *kept == NULL;
    if (first) {
        *kept = memory_new(KeptRows);
        (*kept)->cache = cache;
        (*kept)->lock = lock;
        (*kept)->bytes = (int64_t)sizeof(KeptRows);
    }
    KeptRows *rows = *kept;
    kept_row_drop(rows, slot);
    row_make(rows, slot, fresh);
    rows->used = true;
    int64_t grown = rows->bytes - rows->charged;
    rows->charged = rows->bytes;
    mutex_give(lock);

    give_back(cache, room - grown);
    if (!first) return;
    mutex_take(&cache->lock);
    list_add(cache, rows);
    cache->facts.pages++;
    mutex_give(&cache->lock);
}

void row_cache_forget(KeptRows **kept) {
    if (*kept == NULL) return;
    KeptRows *gone = TAKE(*kept);
    RowCache *cache = gone->cache;
    mutex_take(&cache->lock);
    list_take(cache, gone);
    give_back(cache, gone->charged);
    cache->facts.pages--;
    mutex_give(&cache->lock);
    rows_empty(gone);
    memory_free(gone);
}

void row_cache_count(RowCache *cache, uint64_t hits, uint64_t misses) {
    mutex_take(&cache->lock);
    cache->facts.hits += hits;
    cache->facts.misses += misses;
    mutex_give(&cache->lock);
}

RowCacheFacts row_cache_facts(RowCache *cache) {
    if (cache == NULL) return (RowCacheFacts){0};
    mutex_take(&cache->lock);
    RowCacheFacts facts = cache->facts;
    mutex_give(&cache->lock);
    facts.bytes = atomic_load(&cache->bytes);
    return facts;
}
