// The samples of a block that queries read, kept as numbers for the next ones (kept_rows.h): the
// same rows as heads have, but of an interval, since nothing comes to a block any more.
#pragma once

#include "store/series/block.h"
#include "store/series/series.h"

typedef struct BlockRows BlockRows;

// Of a block of so many series; NULL without a cache. On the arena.
BlockRows *block_rows_begin(Arena *arena, RowCache *cache, uint64_t series);
void block_rows_end(BlockRows *rows);  // nobody reads any more; NULL is fine

// Appends the samples with from_ms <= time <= to_ms of a row that is kept. false: there is none
// that has them all.
bool block_row_find(BlockRows *rows, uint32_t series, int64_t from_ms, int64_t to_ms,
                    SeriesColumns *out);
// Brings near the rows of these series, which are rising: BLOCK_AHEAD at most.
void block_rows_prefetch(BlockRows *rows, const uint32_t *series, size_t count, int64_t from_ms);
// What was read of the interval, the samples of `columns` from `begin` on, is all there is. It is
// kept if it is the second time and not too much.
void block_row_keep(BlockRows *rows, uint32_t series, int64_t from_ms, int64_t to_ms,
                    const SeriesColumns *columns, size_t begin);
// What a cursor found there, and what it had to decode.
void block_rows_count(BlockRows *rows, uint64_t hits, uint64_t misses);
