// Reading samples: the directory row of a series, its clocks, its columns. A cursor keeps what it
// decoded last.

#include "base/assert.h"
#include "store/series/block_inside.h"
#include "store/series/columns.h"
#include "store/series/decimal.h"
#include "store/series/histogram_column.h"
#include "store/series/integers.h"
#include "store/series/windows.h"

// Of a metric each host may have a clock of its own, and its series follow each other.
enum { CLOCKS_KEPT = 64, CLOCK_ROWS_KEPT = 128, COLUMNS_GROWTH_MIN = 1024 };
enum { PAGES_SKIPPED = 4 };  // by who walks through a block, for what others read or kept

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

// A walk through the rows of a group up to the series that is wanted.
typedef struct Place {
    uint32_t page, offset, len;
} Place;
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

void block_cursor_meter(BlockCursor *cursor, SeriesMeter *meter) {
    cursor->meter = meter;
}

BlockCursor *block_cursor_open(const Block *block) {
    BlockCursor *cursor = memory_new(BlockCursor);
    cursor->block = block;
    return cursor;
}

BlockCursor *block_cursor_open_shared(const Block *block) {
    BlockCursor *cursor = block_cursor_open(block);
    cursor->shared = block->page_cache != NULL;
    return cursor;
}

void block_cursor_keep_rows(BlockCursor *cursor) {
    cursor->rows = cursor->block->rows;
}

void block_cursor_close(BlockCursor **cursor) {
    if (*cursor == NULL) return;
    if ((*cursor)->rows != NULL)
        block_rows_count((*cursor)->rows, (*cursor)->rows_found, (*cursor)->rows_missed);
    kept_page_unref(&(*cursor)->raw);
    for (size_t i = 0; i < CLOCKS_KEPT; i++) kept_page_unref(&(*cursor)->clocks[i].times);
    page_unpacker_free(&(*cursor)->unpacker);
    memory_free(TAKE(*cursor));
}

// ---- The directory ----

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

// One change. *at is the place behind the sample of the change before, and then behind that of this
// one.
static bool start_change(Reader *rows, uint64_t *at, int64_t *now, int64_t *before) {
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

static void summary_complete(ChunkRow *row) {
    if (!row->sum_scaled) return;
    uint64_t first;
    memcpy(&first, &row->summary.sum, sizeof first);
    row->summary.sum = (double)(int64_t)(first * row->summary.count + row->sum_offset) /
                       decimal_powers[row->decimals];
}

// The next chunk; `summary`: with what it says of its values.
static bool chunk_row(const Block *block, Directory *directory, bool summary, ChunkRow *row) {
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

typedef struct PieceRow {
    int64_t first_ms, last_ms;
    uint64_t count;
    Place place;
} PieceRow;

// A plain row takes a byte at the least, but histograms that do not change are packed to next to
// none.
static bool piece_row(const Block *block, Reader *rows, PieceRow *row) {
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

static bool pieces_skip(const Block *block, Reader *rows) {
    PieceRow row;
    for (uint64_t left = reader_varint(rows); left > 0; left--) {
        if (!piece_row(block, rows, &row)) return false;
    }
    return !rows->failed;
}

// Passes over what is left of the series in whose chunks it stands.
static bool directory_pass(const Block *block, Directory *directory) {
    while (directory->chunks_left > 0) {
        UNFILLED ChunkRow row;
        if (!chunk_row(block, directory, false, &row)) return false;
    }
    directory->clock_expected = directory->clock_first;
    if ((directory->flags & SERIES_HAS_HISTOGRAMS) && !pieces_skip(block, &directory->rows))
        return false;
    return !(directory->flags & SERIES_HAS_EXEMPLARS) || pieces_skip(block, &directory->rows);
}

// Passes over the series in front; then stands at the first chunk of the wanted one.
static bool directory_walk(const Block *block, Directory *directory, uint32_t skip) {
    for (;; skip--) {
        if (!series_head(directory)) return false;
        if (skip == 0) return true;
        if (!directory_pass(block, directory)) return false;
    }
}

static bool directory_corrupt(const Block *block, uint32_t series, Error *err) {
    (void)block_corrupt(block, SECTION_CHUNKS, 0, "the directory row cannot be read", err);
    return error_context(err, "series %u", series);
}

// The series behind the one opened last is a step away: each group is walked once by whoever reads
// its series in order.
static bool directory_next(BlockCursor *cursor, uint32_t series, Directory *out) {
    uint32_t last = cursor->walked - 1;
    if (cursor->walked == 0 || series <= last || series / GROUP_ROWS != last / GROUP_ROWS)
        return false;
    *out = cursor->passed ? cursor->behind : cursor->at;
    return (cursor->passed || directory_pass(cursor->block, out)) &&
           directory_walk(cursor->block, out, series - last - 1);
}

// The chunks of the series opened last are all read: the next one need not pass over them again.
static void directory_read(BlockCursor *cursor, const Directory *directory) {
    if (directory->chunks_left > 0 || directory->flags != 0) return;
    cursor->behind = *directory;
    cursor->behind.clock_expected = directory->clock_first;
    cursor->passed = true;
}

static bool directory_open(BlockCursor *cursor, uint32_t series, Directory *out, Error *err) {
    const Block *block = cursor->block;
    if (cursor->walked == series + 1) {
        *out = cursor->at;
        return true;
    }
    bool next = directory_next(cursor, series, out);
    cursor->passed = false;
    if (next) {
        cursor->at = *out;
        cursor->walked = series + 1;
        return true;
    }
    cursor->walked = 0;
    if (series >= block->facts.series)
        return error_set(err, ERROR_BAD_INPUT, "block %.*s has no series %u", TEXT_ARG(block->name),
                         series);
    Bytes rows;
    TRY(section_group(block, SECTION_CHUNKS, block->facts.series, series / GROUP_ROWS, &rows, err));
    *out = (Directory){.rows = reader_begin(rows), .before = {UINT32_MAX, 0, 0}};
    if (!directory_walk(block, out, series % GROUP_ROWS))
        return directory_corrupt(block, series, err);
    cursor->at = *out;
    cursor->walked = series + 1;
    return true;
}

// ---- Clocks ----

static bool clock_row_read(BlockCursor *cursor, uint32_t number, KeptClockRow *kept, Error *err) {
    const Block *block = cursor->block;
    ClockRow *row = &kept->row;
    kept->number = 0;
    Bytes rows;
    TRY(section_group(block, SECTION_CLOCKS, block->clocks, number / GROUP_ROWS, &rows, err));
    Reader reader = reader_begin(rows);
    for (uint32_t skip = number % GROUP_ROWS + 1; skip > 0; skip--) {
        uint64_t count = reader_varint(&reader);
        row->first_ms = reader_zigzag(&reader);
        row->last_ms = (int64_t)((uint64_t)row->first_ms + reader_varint(&reader));
        row->column = reader_take(&reader, reader_varint(&reader));
        row->count = (uint32_t)count;
        if (reader.failed || count == 0 || count > CHUNK_SAMPLES_MAX ||
            row->first_ms > row->last_ms) {
            return block_corrupt(block, SECTION_CLOCKS, 0, "a clock cannot be read", err);
        }
    }
    kept->number = number + 1;
    return true;
}

// Stays as it is until another row is asked for.
static bool clock_row(BlockCursor *cursor, uint32_t number, const ClockRow **row, Error *err) {
    KeptClockRow *kept = &cursor->clock_rows[number % CLOCK_ROWS_KEPT];
    *row = &kept->row;
    return kept->number == number + 1 || clock_row_read(cursor, number, kept, err);
}

// The times of a clock, rising and between the first and last that its row states.
static bool clock_decode(const Block *block, const ClockRow *row, int64_t *times, Error *err) {
    size_t used;
    TRY(times_decode(row->column, row->count, times, &used, err));
    bool good = used == row->column.len && times[0] == row->first_ms &&
                times[row->count - 1] == row->last_ms;
    for (uint32_t i = 1; i < row->count; i++) good &= times[i] > times[i - 1];
    return good ||
           block_corrupt(block, SECTION_CLOCKS, 0, "the times of a clock contradict its row", err);
}

// Decoded, from the cache or for it. There clocks are numbered behind the pages.
static bool clock_get(BlockCursor *cursor, uint32_t number, const ClockRow *row, KeptPage **out,
                      Error *err) {
    const Block *block = cursor->block;
    uint32_t kept_as = block->pages + number;
    if (cursor->shared) *out = page_cache_find(block->page_cache, block->kept_pages, kept_as);
    if (*out != NULL) return true;
    AUTO(kept_page_unref) KeptPage *made = kept_page_make(row->count * sizeof(int64_t));
    TRY(clock_decode(block, row, (int64_t *)(void *)kept_page_room(made), err));
    *out = TAKE(made);
    if (cursor->shared) page_cache_put(block->page_cache, block->kept_pages, kept_as, *out);
    return true;
}

// Stay as they are until those of another clock are asked for.
static bool clock_times(BlockCursor *cursor, uint32_t number, const ClockRow *row,
                        const int64_t **out, Error *err) {
    KeptClock *kept = &cursor->clocks[number % CLOCKS_KEPT];
    if (kept->number != number + 1) {
        kept->number = 0;
        kept_page_unref(&kept->times);
        TRY(clock_get(cursor, number, row, &kept->times, err));
        kept->number = number + 1;
    }
    *out = (const int64_t *)(const void *)kept_page_bytes(kept->times).at;
    return true;
}

// ---- Samples ----

// A page more was read.
static bool count_page(BlockCursor *cursor, Error *err) {
    SeriesMeter *meter = cursor->meter;
    if (meter == NULL) return true;
    int64_t more = (int64_t)kept_page_bytes(cursor->raw).len;
    int64_t bytes = atomic_fetch_add_explicit(&meter->bytes, more, memory_order_relaxed) + more;
    if (meter->most <= 0 || bytes <= meter->most) return true;
    return error_set(err, ERROR_TOO_COSTLY,
                     "reading blocks passed its limit of %lld bytes (%s); ask for less time or "
                     "fewer series",
                     (long long)meter->most, meter->named);
}

// The page alone, or those behind it too, where it follows the last ones.
static void fetch_ahead(BlockCursor *cursor, uint32_t page) {
    if (page >= cursor->ahead_from && page < cursor->ahead_end) return;
    bool walks = page >= cursor->ahead_end && page - cursor->ahead_end < PAGES_SKIPPED &&
                 cursor->ahead_end > 0;
    cursor->ahead_from = page;
    cursor->ahead_end = page + (walks ? PAGES_AHEAD : 1);
    pages_will_need(cursor->block, page, cursor->ahead_end - page);
}

static bool page_get(BlockCursor *cursor, uint32_t page, Error *err) {
    const Block *block = cursor->block;
    if (cursor->shared) cursor->raw = page_cache_find(block->page_cache, block->kept_pages, page);
    if (cursor->raw != NULL) return true;
    fetch_ahead(cursor, page);
    TRY(page_read(block, page, &cursor->unpacker, &cursor->raw, err));
    if (cursor->shared) page_cache_put(block->page_cache, block->kept_pages, page, cursor->raw);
    return true;
}

static bool place_bytes(BlockCursor *cursor, Place place, Bytes *out, Error *err) {
    if (cursor->page != place.page + 1) {
        cursor->page = 0;
        kept_page_unref(&cursor->raw);
        TRY(page_get(cursor, place.page, err));
        TRY(count_page(cursor, err));
        cursor->page = place.page + 1;
    }
    Bytes raw = kept_page_bytes(cursor->raw);
    if (place.offset > raw.len || place.len > raw.len - place.offset) {
        return block_corrupt(cursor->block, SECTION_CHUNKS, 0, "a column lies outside of its page",
                             err);
    }
    *out = (Bytes){raw.at + place.offset, place.len};
    return true;
}

static bool column_values(BlockCursor *cursor, const ChunkRow *chunk, size_t count, double *into,
                          Error *err) {
    Bytes column;
    TRY(place_bytes(cursor, chunk->place, &column, err));
    size_t used;
    if (!values_decode(column, count, into, &used, err))
        return error_context(err, "block %.*s, page %u at %u", TEXT_ARG(cursor->block->name),
                             chunk->place.page, chunk->place.offset);
    if (used != column.len)
        return block_corrupt(cursor->block, SECTION_CHUNKS, 0, "a column has another length", err);
    return true;
}

static void reserve(SeriesColumns *columns, size_t more) {
    size_t needed = columns->count + more;
    if (needed <= columns->capacity) return;
    size_t capacity = MAX(needed, columns->capacity + columns->capacity / 2 + COLUMNS_GROWTH_MIN);
    columns->times = memory_resize(columns->times, array_bytes(capacity, sizeof *columns->times));
    columns->values =
        memory_resize(columns->values, array_bytes(capacity, sizeof *columns->values));
    columns->capacity = capacity;
}

// Samples [from, to) of the chunk are the last ones of `out`: their starts.
static bool chunk_starts(BlockCursor *cursor, const ChunkRow *chunk, size_t count, size_t from,
                         size_t to, SeriesColumns *out, Error *err) {
    if (chunk->changes == 0 && chunk->start_now == 0) {
        if (out->has_starts) (void)columns_starts(out, out->count - (to - from));
        return true;
    }
    int64_t *into = columns_starts(out, out->count - (to - from));
    Reader rows = chunk->starts;
    uint64_t behind = 0;
    int64_t now = chunk->start_now, before = chunk->start_before;
    size_t at = 0;
    for (uint64_t left = chunk->changes + 1; left > 0; left--) {
        int64_t told = now;
        size_t until = count;
        if (left > 1) {
            bool read = start_change(&rows, &behind, &now, &before);
            until = (size_t)behind - 1;
            if (!read || until >= count)
                return block_corrupt(cursor->block, SECTION_CHUNKS, 0,
                                     "a start timestamp lies behind the samples of its chunk", err);
        }
        for (; at < until; at++) {
            if (at >= from && at < to) into[at - from] = told;
        }
    }
    return true;
}

static bool chunk_read(BlockCursor *cursor, const ChunkRow *chunk, const ClockRow *clock,
                       int64_t from_ms, int64_t to_ms, SeriesColumns *out, Error *err) {
    const int64_t *times;
    TRY(clock_times(cursor, chunk->clock, clock, &times, err));
    size_t count = clock->count;
    reserve(out, count);
    double *into = out->values + out->count;
    TRY(column_values(cursor, chunk, count, into, err));
    size_t from = from_ms <= clock->first_ms ? 0 : times_place(times, count, from_ms);
    size_t to = to_ms >= clock->last_ms ? count : times_place(times, count, to_ms + 1);
    if (from >= to) return true;
    memcpy(out->times + out->count, times + from, (to - from) * sizeof *times);
    if (from > 0) memmove(into, into + from, (to - from) * sizeof *into);
    out->count += to - from;
    return !out->wants_starts || chunk_starts(cursor, chunk, count, from, to, out, err);
}

// ---- Histograms and exemplars ----

typedef struct PieceVisitor {
    int64_t from_ms, to_ms;
    bool (*histogram)(void *context, int64_t time_ms, Bytes wire, Error *err);
    void (*time)(void *context, int64_t time_ms);  // of a histogram, which is not unpacked for it
    bool (*exemplar)(void *context, int64_t time_ms, double value, Labels labels, Error *err);
    void *context;
    size_t counted;
} PieceVisitor;

// A packed piece of histograms: the times alone are enough for counting.
static bool packed_visit(BlockCursor *cursor, const PieceRow *piece, Bytes bytes,
                         PieceVisitor *visitor, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    HistogramRow *rows = NULL;
    UNFILLED int64_t times[CHUNK_SAMPLES_MAX];
    bool good = visitor->histogram == NULL ? histograms_unpack_times(bytes, piece->count, times)
                                           : histograms_unpack(bytes, piece->count, &arena, &rows);
    if (!good)
        return block_corrupt(cursor->block, SECTION_CHUNKS, 0, "packed histograms cannot be read",
                             err);
    for (size_t i = 0; i < piece->count; i++) {
        int64_t time_ms = rows == NULL ? times[i] : rows[i].time_ms;
        if (time_ms < visitor->from_ms || time_ms > visitor->to_ms) continue;
        visitor->counted++;
        if (visitor->time != NULL) visitor->time(visitor->context, time_ms);
        if (rows != NULL) TRY(visitor->histogram(visitor->context, time_ms, rows[i].wire, err));
    }
    return true;
}

static bool piece_visit(BlockCursor *cursor, const PieceRow *piece, PieceVisitor *visitor,
                        bool exemplars, Error *err) {
    // Counting alone needs no bytes when the whole piece lies inside.
    bool counts_only = visitor->histogram == NULL && visitor->exemplar == NULL;
    if (counts_only && visitor->time == NULL && piece->first_ms >= visitor->from_ms &&
        piece->last_ms <= visitor->to_ms) {
        visitor->counted += piece->count;
        return true;
    }
    // The callback may read with this cursor; the page must not go away under the rows.
    Bytes bytes;
    TRY(place_bytes(cursor, piece->place, &bytes, err));
    if (!exemplars && bytes.len > 0 && bytes.at[0] == HISTOGRAMS_PACKED)
        return packed_visit(cursor, piece, bytes, visitor, err);
    Arena arena = {0};
    Reader rows = reader_begin(counts_only ? bytes : bytes_copy(bytes, &arena));
    int64_t time_ms = piece->first_ms;
    bool good = true;
    for (uint64_t i = 0; good && i < piece->count; i++) {
        time_ms = (int64_t)((uint64_t)time_ms + reader_varint(&rows));
        double value = exemplars ? reader_f64(&rows) : 0;
        Bytes wire = reader_take(&rows, reader_varint(&rows));
        if (exemplars && !labels_check_exemplar(wire, NULL)) rows.failed = true;
        if (rows.failed) break;
        if (time_ms < visitor->from_ms || time_ms > visitor->to_ms) continue;
        visitor->counted++;
        if (visitor->time != NULL) visitor->time(visitor->context, time_ms);
        if (visitor->histogram != NULL)
            good = visitor->histogram(visitor->context, time_ms, wire, err);
        if (visitor->exemplar != NULL)
            good = visitor->exemplar(visitor->context, time_ms, value, (Labels){wire}, err);
    }
    if (good && (rows.failed || reader_left(&rows) != 0))
        good = block_corrupt(cursor->block, SECTION_CHUNKS, 0,
                             "histograms or exemplars cannot be read", err);
    arena_free(&arena);
    return good;
}

static bool pieces_visit(BlockCursor *cursor, Reader *rows, PieceVisitor *visitor, bool exemplars,
                         Error *err) {
    uint64_t count = reader_varint(rows);
    for (uint64_t i = 0; i < count; i++) {
        PieceRow piece;
        if (!piece_row(cursor->block, rows, &piece))
            return block_corrupt(cursor->block, SECTION_CHUNKS, 0,
                                 "a piece of histograms cannot be read", err);
        if (piece.last_ms < visitor->from_ms || piece.first_ms > visitor->to_ms) continue;
        TRY(piece_visit(cursor, &piece, visitor, exemplars, err));
    }
    return true;
}

static bool series_pieces(BlockCursor *cursor, uint32_t series, PieceVisitor *visitor,
                          bool exemplars, Error *err) {
    Directory directory;
    TRY(directory_open(cursor, series, &directory, err));
    UNFILLED ChunkRow chunk;
    while (directory.chunks_left > 0) {
        if (!chunk_row(cursor->block, &directory, false, &chunk))
            return directory_corrupt(cursor->block, series, err);
    }
    if (directory.flags & SERIES_HAS_HISTOGRAMS) {
        if (!exemplars) return pieces_visit(cursor, &directory.rows, visitor, false, err);
        if (!pieces_skip(cursor->block, &directory.rows))
            return directory_corrupt(cursor->block, series, err);
    }
    if (exemplars && (directory.flags & SERIES_HAS_EXEMPLARS))
        return pieces_visit(cursor, &directory.rows, visitor, true, err);
    return true;
}

bool block_each_histogram(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                          bool (*each)(void *context, int64_t time_ms, Bytes wire, Error *err),
                          void *context, Error *err) {
    PieceVisitor visitor = {
        .from_ms = from_ms, .to_ms = to_ms, .histogram = each, .context = context};
    return series_pieces(cursor, series, &visitor, false, err);
}

bool block_each_histogram_time(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                               void (*each)(void *context, int64_t time_ms), void *context,
                               Error *err) {
    PieceVisitor visitor = {.from_ms = from_ms, .to_ms = to_ms, .time = each, .context = context};
    return series_pieces(cursor, series, &visitor, false, err);
}

bool block_each_exemplar(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                         bool (*each)(void *context, int64_t time_ms, double value, Labels labels,
                                      Error *err),
                         void *context, Error *err) {
    PieceVisitor visitor = {
        .from_ms = from_ms, .to_ms = to_ms, .exemplar = each, .context = context};
    return series_pieces(cursor, series, &visitor, true, err);
}

// How many histograms of the series, whose chunks are passed, lie in the interval.
static bool histograms_count(BlockCursor *cursor, Directory *directory, int64_t from_ms,
                             int64_t to_ms, SeriesColumns *out, Error *err) {
    if (!(directory->flags & SERIES_HAS_HISTOGRAMS)) return true;
    PieceVisitor visitor = {.from_ms = from_ms, .to_ms = to_ms};
    TRY(pieces_visit(cursor, &directory->rows, &visitor, false, err));
    out->histograms += visitor.counted;
    return true;
}

// From a row that is kept. Beyond the block's own times there is nothing to have.
static bool row_find(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                     SeriesColumns *out) {
    if (cursor->rows == NULL || out->wants_starts) return false;
    const BlockFacts *facts = &cursor->block->facts;
    bool found = block_row_find(cursor->rows, series, MAX(from_ms, facts->min_ms),
                                MIN(to_ms, facts->max_ms), out);
    cursor->rows_found += found;
    cursor->rows_missed += !found;
    return found;
}

static void row_keep(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                     const SeriesColumns *columns, size_t begin) {
    if (cursor->rows == NULL || columns->wants_starts) return;
    const BlockFacts *facts = &cursor->block->facts;
    block_row_keep(cursor->rows, series, MAX(from_ms, facts->min_ms), MIN(to_ms, facts->max_ms),
                   columns, begin);
}

bool block_read(BlockCursor *cursor, uint32_t series, int64_t from_ms, int64_t to_ms,
                SeriesColumns *out, Error *err) {
    if (row_find(cursor, series, from_ms, to_ms, out)) return true;
    size_t begin = out->count, histograms = out->histograms;
    Directory directory;
    TRY(directory_open(cursor, series, &directory, err));
    while (directory.chunks_left > 0) {
        UNFILLED ChunkRow chunk;
        const ClockRow *clock;
        if (!chunk_row(cursor->block, &directory, false, &chunk))
            return directory_corrupt(cursor->block, series, err);
        TRY(clock_row(cursor, chunk.clock, &clock, err));
        if (clock->last_ms < from_ms || clock->first_ms > to_ms) continue;
        TRY(chunk_read(cursor, &chunk, clock, from_ms, to_ms, out, err));
    }
    directory_read(cursor, &directory);
    TRY(histograms_count(cursor, &directory, from_ms, to_ms, out, err));
    if (out->histograms == histograms) row_keep(cursor, series, from_ms, to_ms, out, begin);
    return true;
}

// ---- Samples that summaries tell ----

// Zero and minus zero are equal, so a summary may have the one where a window's answer is the
// other. Only bits of doubles and exceptions can be minus zero (chunk.c); the first byte of the
// column says whether there are any.
static bool zeros_are_plain(BlockCursor *cursor, const ChunkRow *chunk, bool *out, Error *err) {
    // No column of so many values is as short as a constant, and no constant as short as zero.
    enum { CONSTANT_ZERO_BYTES = 2 };
    *out = chunk->place.len == CONSTANT_ZERO_BYTES;
    if (*out) return true;
    Bytes column;
    TRY(place_bytes(cursor, chunk->place, &column, err));
    *out = column.len > 0 && column.at[0] != COLUMN_EXCEPT && column.at[0] >> 4 != DOMAIN_BITS;
    return true;
}

// The sample that stands for a chunk; not *told where its values have to be looked at.
static bool chunk_told(BlockCursor *cursor, const ChunkRow *chunk, const ClockRow *clock,
                       SeriesWish wish, Sample *out, bool *told, Error *err) {
    const ChunkSummary *summary = &chunk->summary;
    *told = false;
    *out = (Sample){clock->last_ms, summary->last};
    if (wish == SERIES_OLDEST) *out = (Sample){clock->first_ms, summary->first};
    if (wish == SERIES_GREATEST) out->value = summary->max;
    if (wish == SERIES_LEAST) out->value = summary->min;
    if (wish == SERIES_NEWEST || wish == SERIES_OLDEST) {
        *told = !isnan(out->value);  // it may be a stale marker, and the sample beside it counts
        return true;
    }
    if (!(summary->min <= summary->max)) return true;  // nothing is a number
    *told = true;
    if (out->value == 0) {
        out->value = 0;
        return zeros_are_plain(cursor, chunk, told, err);
    }
    return true;
}

static bool others_overlap(const BlockOthers *others, const ClockRow *clock) {
    size_t at = times_place(others->times, others->time_count, clock->first_ms);
    if (at < others->time_count && others->times[at] <= clock->last_ms) return true;
    for (size_t i = 0; i < others->span_count; i++) {
        const BlockSpan *span = &others->spans[i];
        if (span->first_ms <= clock->last_ms && span->last_ms >= clock->first_ms) return true;
    }
    return false;
}

// The next chunk that some window touches; *more false when there is none.
static bool touched_next(BlockCursor *cursor, uint32_t series, const SeriesWindows *windows,
                         Directory *directory, ChunkRow *chunk, const ClockRow **clock, bool *more,
                         Error *err) {
    for (*more = false; !*more && directory->chunks_left > 0;) {
        if (!chunk_row(cursor->block, directory, true, chunk))
            return directory_corrupt(cursor->block, series, err);
        TRY(clock_row(cursor, chunk->clock, clock, err));
        *more = windows_touch(windows, (*clock)->first_ms, (*clock)->last_ms);
    }
    return true;
}

// Does it have to be looked at whatever the windows are?
static bool says_nothing(const ChunkRow *chunk, const ClockRow *clock, const BlockOthers *others) {
    return !chunk->has_summary || others_overlap(others, clock);
}

bool block_bound(BlockCursor *cursor, uint32_t series, const SeriesWindows *windows,
                 BlockOthers *others, Error *err) {
    assert(windows->wish == SERIES_GREATEST || windows->wish == SERIES_LEAST);
    Directory directory;
    UNFILLED ChunkRow chunk;
    const ClockRow *clock;
    bool more;
    TRY(directory_open(cursor, series, &directory, err));
    for (;;) {
        TRY(touched_next(cursor, series, windows, &directory, &chunk, &clock, &more, err));
        if (!more) return true;
        if (says_nothing(&chunk, clock, others) || chunk.summary.min > chunk.summary.max ||
            !windows_need_one(windows, clock->first_ms, clock->last_ms))
            continue;
        double value = windows->wish == SERIES_GREATEST ? chunk.summary.max : chunk.summary.min;
        others->bound = windows_wider(windows, others->bound, value);
    }
}

// Whether nothing in a chunk can be an answer: the window has a better one, or an equal one, which
// is the same unless it is zero.
static bool chunk_is_within(const ChunkRow *chunk, SeriesWish wish, double bound) {
    double min = chunk->summary.min, max = chunk->summary.max;
    if (wish == SERIES_GREATEST) return max < bound || (max == bound && bound != 0);
    return wish == SERIES_LEAST && (min > bound || (min == bound && bound != 0));
}

bool block_read_windows(BlockCursor *cursor, uint32_t series, const SeriesWindows *windows,
                        const BlockOthers *others, SeriesColumns *out, Error *err) {
    assert(windows->wish != SERIES_EVERY && !out->wants_starts);
    int64_t from_ms = windows_from_ms(windows), to_ms = windows_to_ms(windows);
    Directory directory;
    UNFILLED ChunkRow chunk;
    const ClockRow *clock;
    TRY(directory_open(cursor, series, &directory, err));
    for (bool more;;) {
        TRY(touched_next(cursor, series, windows, &directory, &chunk, &clock, &more, err));
        if (!more) break;
        bool told = false;
        UNFILLED Sample sample;
        if (!says_nothing(&chunk, clock, others)) {
            if (windows_need_one(windows, clock->first_ms, clock->last_ms)) {
                TRY(chunk_told(cursor, &chunk, clock, windows->wish, &sample, &told, err));
            } else if (chunk_is_within(&chunk, windows->wish, others->bound)) {
                continue;
            }
        }
        if (!told) {
            TRY(chunk_read(cursor, &chunk, clock, from_ms, to_ms, out, err));
            continue;
        }
        columns_reserve(out, 1);
        out->times[out->count] = sample.time_ms;
        out->values[out->count++] = sample.value;
    }
    directory_read(cursor, &directory);
    return histograms_count(cursor, &directory, from_ms, to_ms, out, err);
}

bool block_span(BlockCursor *cursor, uint32_t series, BlockSpan *out, Error *err) {
    *out = (BlockSpan){INT64_MAX, INT64_MIN};
    Directory directory;
    TRY(directory_open(cursor, series, &directory, err));
    while (directory.chunks_left > 0) {
        UNFILLED ChunkRow chunk;
        const ClockRow *clock;
        if (!chunk_row(cursor->block, &directory, false, &chunk))
            return directory_corrupt(cursor->block, series, err);
        TRY(clock_row(cursor, chunk.clock, &clock, err));
        out->first_ms = MIN(out->first_ms, clock->first_ms);
        out->last_ms = MAX(out->last_ms, clock->last_ms);
    }
    return true;
}

bool block_each_chunk(BlockCursor *cursor, uint32_t series,
                      bool (*each)(void *context, const ChunkSummary *summary, Error *err),
                      void *context, Error *err) {
    Directory directory;
    TRY(directory_open(cursor, series, &directory, err));
    while (directory.chunks_left > 0) {
        UNFILLED ChunkRow chunk;
        const ClockRow *clock;
        if (!chunk_row(cursor->block, &directory, true, &chunk))
            return directory_corrupt(cursor->block, series, err);
        TRY(clock_row(cursor, chunk.clock, &clock, err));
        if (chunk.has_summary) {
            chunk.summary.first_ms = clock->first_ms;
            chunk.summary.last_ms = clock->last_ms;
            chunk.summary.count = clock->count;
            summary_complete(&chunk);
        } else {
            const int64_t *times;
            UNFILLED double values[CHUNK_SAMPLES_MAX];
            TRY(clock_times(cursor, chunk.clock, clock, &times, err));
            TRY(column_values(cursor, &chunk, clock->count, values, err));
            chunk.summary = chunk_summarise(times, values, clock->count);
        }
        TRY(each(context, &chunk.summary, err));
    }
    return true;
}

bool block_each_metadata(const Block *block,
                         bool (*each)(void *context, const BatchMetadata *metadata, Error *err),
                         void *context, Error *err) {
    AUTO(page_unpacker_free) PageUnpacker *unpacker = NULL;
    pages_will_need(block, block->metadata_page, block->pages - block->metadata_page);
    for (uint32_t page = block->metadata_page; page < block->pages; page++) {
        AUTO(kept_page_unref) KeptPage *raw = NULL;
        TRY(page_read(block, page, &unpacker, &raw, err));
        Reader rows = reader_begin(kept_page_bytes(raw));
        while (reader_left(&rows) > 0) {
            BatchMetadata metadata = {.type = reader_u8(&rows)};
            metadata.family = bytes_text(reader_take(&rows, reader_varint(&rows)));
            metadata.help = bytes_text(reader_take(&rows, reader_varint(&rows)));
            metadata.unit = bytes_text(reader_take(&rows, reader_varint(&rows)));
            if (rows.failed)
                return error_set(err, ERROR_CORRUPT, "block %.*s, page %u: metadata cannot be read",
                                 TEXT_ARG(block->name), page);
            TRY(each(context, &metadata, err));
        }
    }
    return true;
}
