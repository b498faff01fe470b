// The inside of a SeriesStore: the list of generations and who may touch it. Private to this
// folder.
//
//   young head   takes samples; changes hands under `generation`, exclusive, and `blocks_lock`
//   turned       immutable heads, oldest first, waiting to be written out
//   blocks       what the manifest names, in its order
// A view copies all three under `blocks_lock` and holds references, so it sees a head or its
// blocks, never both or neither.
#pragma once

#include "store/series/block.h"
#include "store/series/deletes.h"
#include "store/series/head.h"
#include "store/series/manifest.h"

typedef struct StoreBlock {
    ManifestBlock facts;  // its texts are owned by the store's arena
    Block *block;         // NULL: damaged, `why` says how
    Error why;
    int64_t scrubbed;   // bytes verified in this round
    int64_t retain_ms;  // before then retention takes nothing from it; 0: not looked at yet
    bool alone;         // one block would not hold it and what comes behind it: not merged
    bool stays_hot;     // writing it again cold failed: not tried again in this life
} StoreBlock;

typedef ARRAY(StoreBlock) StoreBlockArray;
static inline void blocks_free(StoreBlockArray *blocks) {  // the array alone; works with AUTO
    array_free(blocks);
}

// A tier that is being made and does not fit into one block (tiers.c): blocks of it that are
// durable, and how far the walk through those of its day has come.
typedef struct TierDraft {
    int64_t day, tier_ms;  // tier_ms 0: none is being made
    uint64_t source;
    StoreBlockArray parts;
    ARRAY(uint32_t) next;
} TierDraft;

// What is known to be lost; `note` belongs to whoever told.
typedef struct StoreGap {
    int64_t from_ms, to_ms;
    Text note;
} StoreGap;

// Metadata of one family, newest wins.
typedef struct StoreFamily {
    BatchMetadata metadata;
    uint64_t generation;  // when it was seen last
    size_t bytes;         // room at `metadata`'s texts
} StoreFamily;

// Changes in the past. A list by version whose times rise: what a younger and lower one makes
// needless is gone, so the oldest one behind a version is the lowest.
enum { CHANGES_KEPT = 64 };
typedef struct StoreChange {
    uint64_t version;
    int64_t from_ms;
} StoreChange;
typedef struct StoreChanges {
    uint64_t identity;
    Mutex lock;                // SERIES_CHANGES
    _Atomic int64_t until_ms;  // what is below is watched; INT64_MIN: nothing
    uint64_t version;
    StoreChange at[CHANGES_KEPT];
    size_t count;
} StoreChanges;
void changes_begin(StoreChanges *changes);
void changes_end(StoreChanges *changes);

struct SeriesStore {
    StoreChanges changes;
    SeriesOptions options;
    Arena arena;            // names; changed by the maintaining thread only
    SharedLock generation;  // SERIES_GENERATION
    Mutex maintain;         // SERIES_MAINTAIN
    Mutex blocks_lock;      // SERIES_BLOCKS
    Head *head;             // the young one
    ARRAY(Head *) turned;
    StoreBlockArray blocks;
    StoreBlockArray tiers;  // as the blocks: what the manifest names, under the same locks
    SeriesRetention tier_retention[SERIES_TIERS];
    uint64_t tiers_seen;      // 1 + the manifest's writes when no tier was missing; 0: never
    int64_t tiers_seen_hour;  // and when
    TierDraft tier_draft;
    DeleteArray deletes;  // that still mean a block; changed with `maintain` and `blocks_lock`
    int64_t seal_by_ns;   // monotonic; sealing gives up then; 0: never; under `maintain`
    int64_t rewrote_ns;   // when blocks were last looked through for what deletes took from them
    Manifest manifest;    // as on disk; its lists are not used between writes
    Quota quota;
    ARRAY(StoreGap) gaps;  // under `blocks_lock`

    Mutex families_lock;  // SERIES_SIDE
    Arena families_arena;
    Map families;  // family -> StoreFamily *

    _Atomic uint64_t predicted, looked_up, created, appended, merges, seals, corruptions,
        scrubbed_bytes;
};

// Names an object of this store: the prefix and the name.
Text store_object_name(const SeriesStore *store, Text name, Arena *arena);

// Opens one; queries keep its pages where the store's options say.
must_use bool store_open_block(SeriesStore *store, Text object, int64_t bytes, Block **out,
                               Error *err);
// Writes a manifest with these blocks and this sequence. On success the caller installs them.
// Deletes that mean none of them are left out, there and in the store.
must_use bool store_write_manifest(SeriesStore *store, const StoreBlockArray *blocks,
                                   uint64_t sealed_sequence, Error *err);
// The same with other deletes, which the caller installs then.
must_use bool store_write_manifest_with(SeriesStore *store, const StoreBlockArray *blocks,
                                        const DeleteArray *deletes, uint64_t sealed_sequence,
                                        Error *err);
// And with other tiers.
must_use bool store_write_manifest_all(SeriesStore *store, const StoreBlockArray *blocks,
                                       const StoreBlockArray *tiers, const DeleteArray *deletes,
                                       uint64_t sealed_sequence, Error *err);
// Takes references to those of `deletes` that mean a block of the store.
void store_install_deletes(SeriesStore *store, const DeleteArray *deletes);

// The following run with `maintain` held.
// Its blocks by day, those of a day first stored first.
StoreBlock **store_blocks_by_day(SeriesStore *store, Arena *arena);
// Is there nothing left that merging would do with the blocks of a day, in that order?
bool store_day_is_merged(const SeriesStore *store, StoreBlock **blocks, size_t count);
// Is a block to be written again for what deletes took from it?
must_use bool store_is_touched(const SeriesStore *store, const StoreBlock *block, bool *touched,
                               Error *err);
// Turns the head and writes all turned ones as blocks.
must_use bool store_seal_heads_now(SeriesStore *store, Error *err);
// One block is written again, without what was deleted.
must_use bool store_merge_one(SeriesStore *store, StoreBlock *block, Error *err);
// Blocks of one day are written again, each by itself and all at once, without the series that are
// kept no longer at `now_ms`.
must_use bool store_merge_retained(SeriesStore *store, StoreBlock **blocks, size_t count,
                                   int64_t now_ms, Error *err);
// When what a block has ends, as retention sees it: where there are tiers with the last sample of
// its day, so that all blocks of a day go at once; windows answer only for who has none.
int64_t store_end_ms(const SeriesStore *store, const StoreBlock *block);
// Removes the blocks that end before `before_ms`, but for those that wait for their tiers.
must_use bool store_drop_before(SeriesStore *store, int64_t before_ms, int64_t now_ms, bool *any,
                                Error *err);
// Writes one block again that a delete took from and that ends before `before_ms`; *more: there was
// one. Deletes that have nothing left to do are forgotten.
must_use bool store_rewrite_touched(SeriesStore *store, int64_t before_ms, bool *more, Error *err);

// Metadata (series_metadata.c).
void store_learn_metadata(SeriesStore *store, const BatchMetadata *metadata, uint64_t generation);
// Families seen in `generation` or later are written to the block.
must_use bool store_write_metadata(SeriesStore *store, uint64_t generation, BlockWriter *writer,
                                   Error *err);
void store_free_metadata(SeriesStore *store);
bool store_has_metadata(SeriesStore *store, uint64_t generation);

void store_block_drop(StoreBlock *block);
// A block that did not get into the store: it is closed, and removed unless the manifest on the
// disk names it.
void store_give_up_block(SeriesStore *store, StoreBlock *block);
