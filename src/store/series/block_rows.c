// Rows in groups of neighbouring series, each behind a lock: what was scraped together lies
// together, and shares its clocks.

#include "store/series/block_rows.h"

#include "base/assert.h"
#include "store/series/kept_rows.h"

// More samples than these are decoded each time: they cost little apiece, and eight times the
// memory of their page.
enum { ROW_SAMPLES_MAX = 1024 };

typedef struct RowGroup {
    Mutex lock;  // SERIES_BLOCK_ROWS
    KeptRows *kept;
    uint64_t read[KEPT_SLOTS / 64];  // which series were read once
} RowGroup;

struct BlockRows {
    RowCache *cache;
    size_t group_count;
    RowGroup *groups;
};

BlockRows *block_rows_begin(Arena *arena, RowCache *cache, uint64_t series) {
    if (cache == NULL) return NULL;
    BlockRows *rows = arena_push(arena, BlockRows);
    rows->cache = cache;
    rows->group_count = (size_t)((series + KEPT_SLOTS - 1) / KEPT_SLOTS);
    rows->groups = arena_push_array(arena, RowGroup, rows->group_count);
    for (size_t i = 0; i < rows->group_count; i++)
        mutex_begin(&rows->groups[i].lock, LOCK_SERIES_BLOCK_ROWS);
    return rows;
}

void block_rows_end(BlockRows *rows) {
    if (rows == NULL) return;
    for (size_t i = 0; i < rows->group_count; i++) {
        row_cache_forget(&rows->groups[i].kept);
        mutex_end(&rows->groups[i].lock);
    }
}

bool block_row_find(BlockRows *rows, uint32_t series, int64_t from_ms, int64_t to_ms,
                    SeriesColumns *out) {
    RowGroup *group = &rows->groups[series / KEPT_SLOTS];
    mutex_take(&group->lock);
    const KeptRow *row = kept_row(group->kept, series % KEPT_SLOTS);
    bool found = row != NULL && from_ms >= row->from_ms && to_ms <= row->to_ms;
    if (found) {
        group->kept->used = true;
        kept_row_read(group->kept, row, from_ms, to_ms, out);
    }
    mutex_give(&group->lock);
    return found;
}

// Those of one group: first the rows, then their values.
static void group_prefetch(RowGroup *group, const uint32_t *series, size_t count, int64_t from_ms) {
    UNFILLED const KeptRow *rows[BLOCK_AHEAD];
    size_t kept = 0;
    mutex_take(&group->lock);
    for (size_t i = 0; i < count; i++) {
        rows[kept] = kept_row(group->kept, series[i] % KEPT_SLOTS);
        if (rows[kept] != NULL) __builtin_prefetch(rows[kept++]);
    }
    for (size_t i = 0; i < kept; i++) kept_row_prefetch(group->kept, rows[i], from_ms);
    mutex_give(&group->lock);
}

void block_rows_prefetch(BlockRows *rows, const uint32_t *series, size_t count, int64_t from_ms) {
    assert(count <= BLOCK_AHEAD);
    for (size_t i = 0, end; i < count; i = end) {
        uint32_t group = series[i] / KEPT_SLOTS;
        for (end = i + 1; end < count && series[end] / KEPT_SLOTS == group;) end++;
        group_prefetch(&rows->groups[group], series + i, end - i, from_ms);
    }
}

void block_row_keep(BlockRows *rows, uint32_t series, int64_t from_ms, int64_t to_ms,
                    const SeriesColumns *columns, size_t begin) {
    size_t count = columns->count - begin;
    if (count == 0 || count > ROW_SAMPLES_MAX) return;
    RowGroup *group = &rows->groups[series / KEPT_SLOTS];
    uint32_t slot = series % KEPT_SLOTS;
    mutex_take(&group->lock);
    bool again = kept_mark(group->read, slot);
    mutex_give(&group->lock);
    if (!again) return;
    row_cache_put(rows->cache, &group->lock, &group->kept, slot,
                  (KeptFresh){.from_ms = from_ms,
                              .to_ms = to_ms,
                              .times = columns->times + begin,
                              .values = columns->values + begin,
                              .count = count});
}

void block_rows_count(BlockRows *rows, uint64_t hits, uint64_t misses) {
    row_cache_count(rows->cache, hits, misses);
}
