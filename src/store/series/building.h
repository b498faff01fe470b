// A block on its way to the disk: its writer, what of it is on the disk already, and the memory of
// both, which is charged to the budget of blocks. Sealing, merging, tiers and whatever writes a
// block again build it here. Private to store/series.
//
//   AUTO(building_end) Building building;
//   building_begin(&building, store);
//   … before each series building_has_room(&building), block_writer_series(building.writer, …) …
//   building_put(&building, level, order, &block, err)
//
// A small block is put whole. A larger one goes to the disk in pieces while it is made, so that
// memory holds its tables (labels, where chunks lie), not its columns; and it ends where the budget
// says so: a head becomes several blocks, blocks that would not fit into one are not merged.
//
// With `maintain` held.
#pragma once

#include "store/series/generations.h"

typedef struct Building {
    BlockWriter *writer;  // NULL once it is put
    SeriesStore *store;
    Budget *budget;  // SeriesOptions.building; NULL: no bound
    int64_t charged;
    uint64_t asked;  // how often for room
    Arena arena;
    Text name, object;   // empty until it needs one
    ObjectDraft *draft;  // NULL: nothing of it is on the disk
    int64_t bytes;       // that are there
    uint32_t crc;        // of them
} Building;

// What the writer holds is looked at every so many series.
enum { SERIES_PER_LOOK = 256 };

// So much is granted to each whatever the budget says, so that no head becomes thousands of blocks.
enum { BUILDING_BYTES_LEAST = 1 * MB };

// `building` stays where it is until building_end.
void building_begin(Building *building, SeriesStore *store);
// Asked before each series. Charges, now and then, what the writer holds by then. False when the
// budget does not grant it, or the block has its number of series: it ends here, or takes more than
// its share.
bool building_has_room(Building *building);
// Puts the block durably, verifies it (W14) and opens it; it is not in the manifest yet. `order`:
// whose place it takes in the order of storing; BUILDING_COMES_LAST: behind all there are.
static const uint64_t BUILDING_COMES_LAST = UINT64_MAX;
must_use bool building_put(Building *building, uint32_t level, uint64_t order, StoreBlock *out,
                           Error *err);
void building_end(Building *building);  // works with AUTO
