// A walk through the series of several blocks by their labels: each once, with the blocks that have
// it. What merging blocks and making tiers of a day go by. Private to store/series.
//
//   AUTO(block_walk_end) BlockWalk walk;
//   block_walk_begin(&walk, blocks, count, NULL);
//   for (bool more; …;) {
//       TRY(block_walk_next(&walk, &more, err));
//       if (!more) break;
//       … walk.labels; of the sources those with `here`: block_read(block_walk_cursor(&walk,
//       source),
//         source->next, …)
//   }
//
// The blocks outlive the walk, or block_walk_close.
#pragma once

#include "store/series/generations.h"

typedef struct WalkSource {
    const StoreBlock *from;
    uint32_t next, count;  // series; `next` is that at hand where it is `here`
    bool here, known;      // known: `labels` are those of `next`
    BlockCursor *cursor;   // NULL: not open
    uint64_t used;         // when it was asked for last
    Arena arena;           // of `labels`
    Labels labels;
} WalkSource;

typedef struct BlockWalk {
    WalkSource *sources;  // in the order of `blocks`
    size_t count;
    Labels labels;  // of the series at hand
    Arena arena;    // of them
    size_t open;
    uint64_t uses;
} BlockWalk;

// `from`: numbers as block_walk_save gave them, to go on from; NULL: from the first on.
void block_walk_begin(BlockWalk *walk, StoreBlock *const *blocks, size_t count,
                      const uint32_t *from);
must_use bool block_walk_next(BlockWalk *walk, bool *more, Error *err);
// At most so many cursors are open, those used last: each may hold some hundred KB. Another source
// that is read may close this one.
enum { WALK_CURSORS_MAX = 16 };
BlockCursor *block_walk_cursor(BlockWalk *walk, WalkSource *source);
// Of all series, how many are behind it: 0 to 1.
double block_walk_done(const BlockWalk *walk);
// `next` has room for the number of each source; one that goes on from there begins behind the
// series at hand.
void block_walk_save(const BlockWalk *walk, uint32_t *next);
void block_walk_close(BlockWalk *walk);  // its cursors
void block_walk_end(BlockWalk *walk);    // works with AUTO
