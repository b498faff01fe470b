// Reading the directory of a block, row by row.

#include "store/series/block_directory.h"

#include "store/series/decimal.h"

bool start_change(Reader *rows, uint64_t *at, int64_t *now, int64_t *before) {
    uint64_t head = reader_varint(rows);
    if (rows->failed || head >> 1 >= CHUNK_SAMPLES_MAX - *at) return false;
    *at += (head >> 1) + 1;
    *now = 0;
    if (head & 1) return true;
    *before = (int64_t)((uint64_t)*before + (uint64_t)reader_zigzag(rows));
    *now = *before;
    return !rows->failed && *now != 0;
}

static bool starts_pass(Directory *directory, ChunkRow *row) {
    row->changes = reader_varint(&directory->rows);
    row->starts = directory->rows;
    if (row->changes == 0 || row->changes > CHUNK_SAMPLES_MAX) return false;
    uint64_t at = 0;
    for (uint64_t left = row->changes; left > 0; left--) {
        if (!start_change(&directory->rows, &at, &directory->start_now, &directory->start_before))
            return false;
    }
    return true;
}

static uint64_t distance_read(Reader *rows, bool flat) {
    return flat ? 0 : (uint64_t)reader_zigzag(rows);
}

static void summary_read(Reader *rows, ChunkRow *row) {
    ChunkSummary *summary = &row->summary;
    unsigned head = reader_u8(rows);
    row->decimals = head & 15;
    if (row->decimals > DECIMALS_MAX) {
        summary->first = reader_f64(rows);
        summary->last = reader_f64(rows);
        summary->min = reader_f64(rows);
        summary->max = reader_f64(rows);
        summary->sum = reader_f64(rows);
        return;
    }
    double power = decimal_powers[row->decimals];
    uint64_t first = (uint64_t)reader_zigzag(rows);
    summary->first = (double)(int64_t)first / power;
    bool flat = head & SUMMARY_FLAT;
    summary->last = (double)(int64_t)(first + distance_read(rows, flat)) / power;
    summary->min = (double)(int64_t)(first + distance_read(rows, flat)) / power;
    summary->max = (double)(int64_t)(first + distance_read(rows, flat)) / power;
    row->sum_scaled = head & SUMMARY_SUM_SCALED;
    if (row->sum_scaled)
        row->sum_offset = distance_read(rows, flat);
    else
        summary->sum = reader_f64(rows);
    // The number of the first is needed again once the count is known.
    if (row->sum_scaled) memcpy(&summary->sum, &first, sizeof first);
}

// Past so many varints; what they say is not looked at.
static void varints_pass(Reader *rows, unsigned count) {
    const uint64_t ends = 0x8080808080808080;
    for (uint64_t word; reader_left(rows) >= sizeof word; rows->at += sizeof word) {
        memcpy(&word, rows->at, sizeof word);
        word = ~word & ends;
        unsigned here = (unsigned)__builtin_popcountll(word);
        if (here < count) {
            count -= here;
            continue;
        }
        for (; count > 1; count--) word &= word - 1;
        rows->at += __builtin_ctzll(word) / 8 + 1;
        return;
    }
    for (; count > 0; count--) (void)reader_varint(rows);
}

static void summary_pass(Reader *rows) {
    unsigned head = reader_u8(rows);
    if ((head & 15) > DECIMALS_MAX) {
        (void)reader_take(rows, 5 * sizeof(double));
        return;
    }
    bool scaled = head & SUMMARY_SUM_SCALED;
    varints_pass(rows, head & SUMMARY_FLAT ? 1 : 4 + scaled);
    if (!scaled) (void)reader_f64(rows);
}

void summary_complete(ChunkRow *row) {
    if (!row->sum_scaled) return;
    uint64_t first;
    memcpy(&first, &row->summary.sum, sizeof first);
    row->summary.sum = (double)(int64_t)(first * row->summary.count + row->sum_offset) /
                       decimal_powers[row->decimals];
}

bool chunk_row(const Block *block, Directory *directory, bool summary, ChunkRow *row) {
    Reader *rows = &directory->rows;
    unsigned flags = reader_u8(rows);
    uint64_t clock = directory->clock_expected;
    if (flags & CHUNK_OTHER_CLOCK) clock += (uint64_t)reader_zigzag(rows);
    uint64_t page = directory->before.page,
             offset = (uint64_t)directory->before.offset + directory->before.len;
    if (flags & CHUNK_ELSEWHERE) {
        page = reader_varint(rows);
        offset = reader_varint(rows);
    }
    uint64_t len = reader_varint(rows);
    row->summary.resets = flags & CHUNK_RESETS ? (uint32_t)reader_varint(rows) : 0;
    row->has_summary = flags & CHUNK_SUMMARY;
    row->sum_scaled = false;
    if (row->has_summary) {
        if (summary)
            summary_read(rows, row);
        else
            summary_pass(rows);
    }
    row->changes = 0;
    row->start_now = directory->start_now;
    row->start_before = directory->start_before;
    if (unlikely(flags & CHUNK_STARTS) && !starts_pass(directory, row)) return false;
    if (rows->failed || clock >= block->clocks || page >= block->pages || offset > PAGE_BYTES_MAX ||
        len > PAGE_BYTES_MAX)
        return false;
    row->clock = (uint32_t)clock;
    row->place = (Place){(uint32_t)page, (uint32_t)offset, (uint32_t)len};
    if (!directory->chunks_begun) directory->clock_first = row->clock;
    directory->chunks_begun = true;
    directory->clock_expected = row->clock + 1;
    directory->before = row->place;
    directory->chunks_left--;
    return true;
}

static bool series_head(Directory *directory) {
    uint64_t head = reader_varint(&directory->rows);
    directory->flags = head & ((1u << SERIES_FLAG_BITS) - 1);
    directory->chunks_left = head >> SERIES_FLAG_BITS;
    directory->chunks_begun = false;
    directory->clock_first = directory->clock_expected;
    directory->start_now = 0;
    return !directory->rows.failed;
}

// A plain row takes a byte at the least, but histograms that do not change are packed to next to
// none.
bool piece_row(const Block *block, Reader *rows, PieceRow *row) {
    row->first_ms = reader_zigzag(rows);
    row->last_ms = (int64_t)((uint64_t)row->first_ms + reader_varint(rows));
    row->count = reader_varint(rows);
    uint64_t page = reader_varint(rows), offset = reader_varint(rows), len = reader_varint(rows);
    if (rows->failed || page >= block->pages || offset > PAGE_BYTES_MAX || len > PAGE_BYTES_MAX ||
        row->count > MAX(len, (uint64_t)CHUNK_SAMPLES_MAX))
        return false;
    row->place = (Place){(uint32_t)page, (uint32_t)offset, (uint32_t)len};
    return true;
}

bool pieces_skip(const Block *block, Reader *rows) {
    PieceRow row;
    for (uint64_t left = reader_varint(rows); left > 0; left--) {
        if (!piece_row(block, rows, &row)) return false;
    }
    return !rows->failed;
}

bool directory_pass(const Block *block, Directory *directory) {
    while (directory->chunks_left > 0) {
        UNFILLED ChunkRow row;
        if (!chunk_row(block, directory, false, &row)) return false;
    }
    directory->clock_expected = directory->clock_first;
    if ((directory->flags & SERIES_HAS_HISTOGRAMS) && !pieces_skip(block, &directory->rows))
        return false;
    return !(directory->flags & SERIES_HAS_EXEMPLARS) || pieces_skip(block, &directory->rows);
}

bool directory_walk(const Block *block, Directory *directory, uint32_t skip) {
    for (;; skip--) {
        if (!series_head(directory)) return false;
        if (skip == 0) return true;
        if (!directory_pass(block, directory)) return false;
    }
}
