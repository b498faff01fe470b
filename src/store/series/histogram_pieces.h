// The native histograms of one series in a head: pieces in the order of time, those that are full
// packed as in blocks (histogram_column.h), those that still grow as the bytes that came.
//
//   packed 32 │ packed 32 │ packed 32 │ 17 as they came
//
// What comes late goes into a piece of its own where it falls between two, and else opens the one
// it falls into, which is packed again when another one is opened; so few are open at a time. A
// piece whose bytes would not come back as they were stays open (histograms_pack says which).
//
// The caller holds the lock of the head's side for all but histogram_copies_unpack, which decodes
// what was copied with the lock held. Memory is the caller's to charge: `bytes` says how much it
// is.
#pragma once

#include "base/array.h"
#include "model/batch.h"
#include "store/series/series.h"

enum { HISTOGRAM_PIECE_ROWS = 32 };

typedef struct HistogramPiece HistogramPiece;  // private to histogram_pieces.c
typedef ARRAY(SeriesHistogram) SeriesHistogramArray;

// Begin with {0}.
typedef struct HistogramPieces {
    HistogramPiece *at;
    uint32_t count, capacity;
    uint32_t opened;  // 1 + the one that was opened for late ones; 0: none
    int64_t bytes;    // memory in use
} HistogramPieces;

void histogram_pieces_free(HistogramPieces *pieces);

// What a piece held when it was last looked into for late rows: a row that comes again mostly has
// neighbours that come again. One for all series of a head; begin with {0}.
typedef struct HistogramPeek {
    const uint8_t *packed;  // of whose bytes it is; NULL: of none
    SeriesHistogram *rows;
    Arena arena;
} HistogramPeek;
void histogram_peek_free(HistogramPeek *peek);

// STORED, DUPLICATE for the same bytes at the same time, CONFLICT for others, which change nothing.
// The bytes are copied.
Verdict histogram_pieces_add(HistogramPieces *pieces, HistogramPeek *peek, int64_t time_ms,
                             Bytes wire);

// The time of each in the interval, rising; and how many there are.
void histogram_pieces_times(const HistogramPieces *pieces, int64_t from_ms, int64_t to_ms,
                            void (*each)(void *context, int64_t time_ms), void *context);
size_t histogram_pieces_count(const HistogramPieces *pieces, int64_t from_ms, int64_t to_ms);

// Those of an interval, packed ones still packed, on an arena.
typedef struct HistogramCopy {
    Bytes packed;  // len 0: `row` is meant
    size_t count;
    SeriesHistogram row;
} HistogramCopy;
typedef ARRAY(HistogramCopy) HistogramCopies;
void histogram_pieces_copy(const HistogramPieces *pieces, int64_t from_ms, int64_t to_ms,
                           Arena *arena, HistogramCopies *out);
// Appends them, those of the interval alone, rising; their bytes lie on the arena.
void histogram_copies_unpack(const HistogramCopies *copies, int64_t from_ms, int64_t to_ms,
                             Arena *arena, SeriesHistogramArray *out);
