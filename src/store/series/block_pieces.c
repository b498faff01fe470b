// Reading histograms and exemplars, which lie in pieces behind the chunks of their series.

#include "store/series/block_cursor.h"
#include "store/series/histogram_column.h"

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

bool histograms_count(BlockCursor *cursor, Directory *directory, int64_t from_ms, int64_t to_ms,
                      SeriesColumns *out, Error *err) {
    if (!(directory->flags & SERIES_HAS_HISTOGRAMS)) return true;
    PieceVisitor visitor = {.from_ms = from_ms, .to_ms = to_ms};
    TRY(pieces_visit(cursor, &directory->rows, &visitor, false, err));
    out->histograms += visitor.counted;
    return true;
}
