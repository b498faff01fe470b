// Reading samples: the directory row of a series, its clocks, its columns.

#include "base/assert.h"
#include "store/series/block_cursor.h"
#include "store/series/integers.h"

enum { COLUMNS_GROWTH_MIN = 1024 };
enum { PAGES_SKIPPED = 4 };  // by who walks through a block, for what others read or kept

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

bool directory_corrupt(const Block *block, uint32_t series, Error *err) {
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

void directory_read(BlockCursor *cursor, const Directory *directory) {
    if (directory->chunks_left > 0 || directory->flags != 0) return;
    cursor->behind = *directory;
    cursor->behind.clock_expected = directory->clock_first;
    cursor->passed = true;
}

bool directory_open(BlockCursor *cursor, uint32_t series, Directory *out, Error *err) {
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

static bool clock_row(BlockCursor *cursor, uint32_t number, const ClockRow **row, Error *err) {
    KeptClockRow *kept = &cursor->clock_rows[number % CLOCK_ROWS_KEPT];
    *row = &kept->row;
    return kept->number == number + 1 || clock_row_read(cursor, number, kept, err);
}

bool chunk_next(BlockCursor *cursor, uint32_t series, Directory *directory, bool summary,
                ChunkRow *chunk, const ClockRow **clock, Error *err) {
    if (!chunk_row(cursor->block, directory, summary, chunk))
        return directory_corrupt(cursor->block, series, err);
    return clock_row(cursor, chunk->clock, clock, err);
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

bool place_bytes(BlockCursor *cursor, Place place, Bytes *out, Error *err) {
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

bool chunk_read(BlockCursor *cursor, const ChunkRow *chunk, const ClockRow *clock, int64_t from_ms,
                int64_t to_ms, SeriesColumns *out, Error *err) {
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
        TRY(chunk_next(cursor, series, &directory, false, &chunk, &clock, err));
        if (clock->last_ms < from_ms || clock->first_ms > to_ms) continue;
        TRY(chunk_read(cursor, &chunk, clock, from_ms, to_ms, out, err));
    }
    directory_read(cursor, &directory);
    TRY(histograms_count(cursor, &directory, from_ms, to_ms, out, err));
    if (out->histograms == histograms) row_keep(cursor, series, from_ms, to_ms, out, begin);
    return true;
}

bool block_span(BlockCursor *cursor, uint32_t series, BlockSpan *out, Error *err) {
    *out = (BlockSpan){INT64_MAX, INT64_MIN};
    Directory directory;
    TRY(directory_open(cursor, series, &directory, err));
    while (directory.chunks_left > 0) {
        UNFILLED ChunkRow chunk;
        const ClockRow *clock;
        TRY(chunk_next(cursor, series, &directory, false, &chunk, &clock, err));
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
        TRY(chunk_next(cursor, series, &directory, true, &chunk, &clock, err));
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
