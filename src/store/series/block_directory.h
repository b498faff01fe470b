// The directory of a block: for each series its chunks and pieces, where they lie and what they say
// of their values, in rows that are told from the row before (FORMAT.md, "Blocks"). Private to the
// block.
//
// Rows come from disk and are not trusted: what cannot be is false, and the caller names the block.
#pragma once

#include "store/series/block_inside.h"

// Where a column or a piece lies in its page.
typedef struct Place {
    uint32_t page, offset, len;
} Place;

// A walk through the rows of a group of series.
typedef struct Directory {
    Reader rows;
    uint32_t clock_expected;
    uint32_t clock_first;  // of the series at hand: expected of the next one's first chunk
    bool chunks_begun;
    Place before;
    unsigned flags;  // of the series
    uint64_t chunks_left;
    // When counting began: of the series so far, 0 when that is not known; and told last.
    int64_t start_now, start_before;
} Directory;

// A chunk: its clock, its place, its summary.
typedef struct ChunkRow {
    uint32_t clock;
    Place place;
    bool has_summary;
    ChunkSummary summary;  // without times and count, which the clock has
    uint64_t sum_offset;   // to be completed with the count
    bool sum_scaled;
    unsigned decimals;
    // Changes of starts inside; what is known in front of them.
    uint64_t changes;
    Reader starts;
    int64_t start_now, start_before;
} ChunkRow;

// A piece of histograms, or of exemplars.
typedef struct PieceRow {
    int64_t first_ms, last_ms;
    uint64_t count;
    Place place;
} PieceRow;

// Passes over `skip` series, beginning in front of one; then stands at the first chunk of the next.
bool directory_walk(const Block *block, Directory *directory, uint32_t skip);
// Passes over what is left of the series in whose chunks it stands.
bool directory_pass(const Block *block, Directory *directory);

// The next chunk, while chunks_left; `summary`: with what it says of its values.
bool chunk_row(const Block *block, Directory *directory, bool summary, ChunkRow *row);
// A summary was read without the count of its clock; it is known now.
void summary_complete(ChunkRow *row);
// A change of when counting began, of those that ChunkRow.starts tells. *at is the place behind the
// sample of the change before, and then behind that of this one.
bool start_change(Reader *rows, uint64_t *at, int64_t *now, int64_t *before);

bool piece_row(const Block *block, Reader *rows, PieceRow *row);
bool pieces_skip(const Block *block, Reader *rows);
