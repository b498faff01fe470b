// A cursor over a block as those see it who read with it: samples (block_read.c), histograms and
// exemplars (block_pieces.c), what summaries tell (block_windows.c). Private to the block.
//
// It keeps what it decoded last: where it stands in the directory, a page, clocks. One thread.
#pragma once

#include "store/series/block_directory.h"
#include "store/series/columns.h"

// Of a metric each host may have a clock of its own, and its series follow each other.
enum { CLOCKS_KEPT = 64, CLOCK_ROWS_KEPT = 128 };

typedef struct KeptClock {
    uint32_t number;  // one up; 0: nothing kept
    KeptPage *times;  // as int64_t
} KeptClock;

typedef struct ClockRow {
    uint32_t count;
    int64_t first_ms, last_ms;
    Bytes column;
} ClockRow;

// As long as the block, which has the bytes.
typedef struct KeptClockRow {
    uint32_t number;  // one up; 0: nothing kept
    ClockRow row;
} KeptClockRow;

struct BlockCursor {
    const Block *block;
    uint32_t walked;  // one up; 0: none: `at` stands at the first chunk of this series
    Directory at;
    bool passed;  // `behind` stands behind all of its row
    Directory behind;
    uint32_t page;                   // one up; 0: none
    KeptPage *raw;                   // that page
    uint32_t ahead_from, ahead_end;  // pages that are being fetched
    bool shared;                     // pages are looked for, and left, in the cache
    BlockRows *rows;                 // likewise what is decoded; NULL: it is not
    uint64_t rows_found, rows_missed;
    PageUnpacker *unpacker;
    KeptClock clocks[CLOCKS_KEPT];
    KeptClockRow clock_rows[CLOCK_ROWS_KEPT];
    SeriesMeter *meter;
};

// At the first chunk of the series.
must_use bool directory_open(BlockCursor *cursor, uint32_t series, Directory *out, Error *err);
// The chunks of the series opened last are all read: the next one need not pass over them again.
void directory_read(BlockCursor *cursor, const Directory *directory);
bool directory_corrupt(const Block *block, uint32_t series, Error *err);

// The next chunk of the series that was opened, while chunks_left, and its clock, which stays as it
// is until another chunk is asked for.
must_use bool chunk_next(BlockCursor *cursor, uint32_t series, Directory *directory, bool summary,
                         ChunkRow *chunk, const ClockRow **clock, Error *err);
// The bytes of a column or a piece, until those of another page are asked for.
must_use bool place_bytes(BlockCursor *cursor, Place place, Bytes *out, Error *err);
// Appends the samples of a chunk in the interval.
must_use bool chunk_read(BlockCursor *cursor, const ChunkRow *chunk, const ClockRow *clock,
                         int64_t from_ms, int64_t to_ms, SeriesColumns *out, Error *err);
// Adds how many histograms of the series, whose chunks are passed, lie in the interval.
must_use bool histograms_count(BlockCursor *cursor, Directory *directory, int64_t from_ms,
                               int64_t to_ms, SeriesColumns *out, Error *err);
