// Samples that summaries tell: of chunks that lie within one window, and of which one sample is
// enough.

#include "base/assert.h"
#include "store/series/block_cursor.h"
#include "store/series/decimal.h"
#include "store/series/integers.h"
#include "store/series/windows.h"

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
        TRY(chunk_next(cursor, series, directory, true, chunk, clock, err));
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
