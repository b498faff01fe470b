// Samples as numbers, kept for queries that come again: what a dashboard asked for once it
// asks for again, and then nothing but what came since has to be decoded.
//
//   row    of one series: all samples from some time on, up to some strip and place in the tail
//   clock  the times of a row; rows whose series were scraped together share one
//
//   page (its lock) ── kept ──▶ KeptRows: slot ▶ row ▶ values
//                                               └────▶ clock ▶ times
//   RowCache (its lock) ── a list of all KeptRows, by use; what was read least lately is emptied
//
// A row is a copy, as it was when its strips were decoded and their checks looked at. A series with
// late samples has none. Whoever reads copies under the page's lock, so that rows may go at any
// time.
#pragma once

#include "base/array.h"
#include "os/thread.h"
#include "store/series/columns.h"

enum { KEPT_SLOTS = 1024 };  // of one page

typedef struct RowClock {
    int64_t *times;  // rising
    uint32_t count, capacity;
    uint32_t rows;  // that use it; 0: free
} RowClock;

typedef struct KeptRow {
    double *values;
    // No sample of the series in this interval is missing; in a head, none up to those of so many
    // strips and so many of the tail behind them.
    int64_t from_ms, to_ms;
    uint32_t strips, tail;
    uint32_t count, capacity;
    uint32_t clock, first;  // the time of its first value: clocks.at[clock].times[first]
    uint32_t slot;
} KeptRow;

typedef struct KeptRows KeptRows;
struct KeptRows {
    RowCache *cache;
    Mutex *lock;                   // of the page
    uint16_t of_slot[KEPT_SLOTS];  // 1 + its row; 0: none
    ARRAY(KeptRow) rows;
    ARRAY(RowClock) clocks;
    uint32_t clocks_free;
    int64_t bytes, charged;   // what it takes, and what of it the cache knows
    bool used;                // since it was looked at for eviction
    KeptRows *newer, *older;  // of all; under the cache's lock
};

// A row to be kept: `times` and `values` are copied. At least one.
typedef struct KeptFresh {
    int64_t from_ms, to_ms;
    uint32_t strips, tail;
    const int64_t *times;
    const double *values;
    size_t count;
} KeptFresh;

// ---- With the page's lock held ----

static inline KeptRow *kept_row(KeptRows *rows, uint32_t slot) {
    return rows == NULL || rows->of_slot[slot] == 0 ? NULL
                                                    : &rows->rows.at[rows->of_slot[slot] - 1];
}
// Adds newer samples to it; false when there is no room or they are not of its clock: then it has
// to be dropped and made anew.
bool kept_row_grow(KeptRows *rows, KeptRow *row, const int64_t *times, const double *values,
                   size_t count);
// Appends the samples with from_ms <= time <= to_ms, an interval within the row's.
void kept_row_read(const KeptRows *rows, const KeptRow *row, int64_t from_ms, int64_t to_ms,
                   SeriesColumns *out);
// Brings near what will be read of its values from `from_ms` on.
void kept_row_prefetch(const KeptRows *rows, const KeptRow *row, int64_t from_ms);
void kept_row_drop(KeptRows *rows, uint32_t slot);

// Marks that a query read the slot; whether one did before. What is read once alone is not worth
// a row.
static inline bool kept_mark(uint64_t read[KEPT_SLOTS / 64], uint32_t slot) {
    uint64_t bit = UINT64_C(1) << slot % 64, *word = &read[slot / 64];
    bool before = (*word & bit) != 0;
    *word |= bit;
    return before;
}

// ---- Without it ----

// Keeps it in *kept of the page with this lock, which is made when it is NULL; unless there is no
// room. What the slot had before goes.
void row_cache_put(RowCache *cache, Mutex *lock, KeptRows **kept, uint32_t slot, KeptFresh fresh);
// Of a page that nobody reads any more.
void row_cache_forget(KeptRows **kept);
// What a reader found there, and what it had to decode.
void row_cache_count(RowCache *cache, uint64_t hits, uint64_t misses);
