// Pieces that grow, are packed, and are opened again for what comes late.

#include "store/series/histogram_pieces.h"

#include "base/assert.h"
#include "store/series/chunk.h"
#include "store/series/histogram_column.h"

// Where a row of an open piece has its bytes.
typedef struct OpenRow {
    int64_t time_ms;
    uint32_t at, len;
} OpenRow;

// Rows rise in time; their bytes stand in the order in which they came. There is one of these per
// series, so both grow by little.
typedef struct OpenPiece {
    OpenRow *rows;
    uint8_t *bytes;
    uint32_t rows_capacity, len, capacity;
} OpenPiece;
enum { GROW_ROWS = 8, GROW_BYTES = 256 };

// Never empty.
struct HistogramPiece {
    int64_t first_ms, last_ms;
    uint32_t count;
    uint32_t packed_len;
    uint8_t *packed;  // owned; NULL: open
    OpenPiece *open;  // owned; NULL: packed
};

_Static_assert(sizeof(HistogramRow) == sizeof(SeriesHistogram) &&
                   offsetof(HistogramRow, wire) == offsetof(SeriesHistogram, wire),
               "rows are copied as they are");

static int64_t bytes_of(const HistogramPiece *piece) {
    if (piece->open == NULL) return piece->packed_len;
    return (int64_t)(sizeof(OpenPiece) + piece->open->rows_capacity * sizeof(OpenRow) +
                     piece->open->capacity);
}

static void open_free(OpenPiece *open) {
    if (open == NULL) return;
    memory_free(open->rows);
    memory_free(open->bytes);
    memory_free(open);
}

static void piece_free(HistogramPiece *piece) {
    open_free(TAKE(piece->open));
    memory_free(TAKE(piece->packed));
}

void histogram_pieces_free(HistogramPieces *pieces) {
    for (uint32_t i = 0; i < pieces->count; i++) piece_free(&pieces->at[i]);
    memory_free(pieces->at);
    *pieces = (HistogramPieces){0};
}

void histogram_peek_free(HistogramPeek *peek) {
    arena_free(&peek->arena);
    *peek = (HistogramPeek){0};
}

static Bytes open_wire(const OpenPiece *open, size_t i) {
    return (Bytes){open->bytes + open->rows[i].at, open->rows[i].len};
}

// ---- Packing ----

static HistogramRow *rows_of(const HistogramPiece *piece, Arena *arena) {
    HistogramRow *rows = arena_push_array(arena, HistogramRow, piece->count);
    for (uint32_t i = 0; i < piece->count; i++) {
        rows[i] = (HistogramRow){piece->open->rows[i].time_ms, open_wire(piece->open, i)};
    }
    return rows;
}

static bool comes_back(Bytes packed, const HistogramRow *rows, size_t count, Arena *arena) {
    HistogramRow *again;
    if (!histograms_unpack(packed, count, arena, &again)) return false;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].time_ms != again[i].time_ms || !bytes_equal(rows[i].wire, again[i].wire))
            return false;
    }
    return true;
}

// Packs an open piece where that is smaller and comes back byte for byte.
static void piece_pack(HistogramPieces *pieces, HistogramPiece *piece) {
    if (piece->open == NULL) return;
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder packed = {0};
    const HistogramRow *rows = rows_of(piece, &arena);
    bool starts;
    if (!histograms_pack(rows, piece->count, true, &starts, &packed) ||
        packed.len >= piece->open->len ||
        !comes_back(text_bytes(builder_text(&packed)), rows, piece->count, &arena))
        return;
    pieces->bytes -= bytes_of(piece);
    open_free(TAKE(piece->open));
    piece->packed = memory_take(packed.len);
    piece->packed_len = (uint32_t)packed.len;
    memcpy(piece->packed, packed.at, packed.len);
    pieces->bytes += bytes_of(piece);
}

// ---- Open pieces ----

static void open_reserve(OpenPiece *open, uint32_t count, size_t bytes) {
    if (count == open->rows_capacity) {
        OpenRow *rows = memory_new_array(OpenRow, count + GROW_ROWS);
        if (count > 0) memcpy(rows, open->rows, count * sizeof *rows);
        memory_free(open->rows);
        open->rows = rows;
        open->rows_capacity += GROW_ROWS;
    }
    if (open->len + bytes <= open->capacity) return;
    size_t capacity = open->len + MAX(bytes, (size_t)open->len / 4 + GROW_BYTES);
    uint8_t *more = memory_take(capacity);
    if (open->len > 0) memcpy(more, open->bytes, open->len);
    memory_free(open->bytes);
    open->bytes = more;
    open->capacity = (uint32_t)capacity;
}

static void open_insert(OpenPiece *open, uint32_t count, size_t place, int64_t time_ms,
                        Bytes wire) {
    open_reserve(open, count, wire.len);
    memmove(&open->rows[place + 1], &open->rows[place], (count - place) * sizeof *open->rows);
    open->rows[place] = (OpenRow){time_ms, open->len, (uint32_t)wire.len};
    if (wire.len > 0) memcpy(open->bytes + open->len, wire.at, wire.len);
    open->len += (uint32_t)wire.len;
}

static size_t open_place(const HistogramPiece *piece, int64_t time_ms) {
    size_t low = 0, high = piece->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (piece->open->rows[middle].time_ms < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// A new, empty piece at `place`.
static HistogramPiece *piece_insert(HistogramPieces *pieces, uint32_t place) {
    if (pieces->count == pieces->capacity) {
        uint32_t capacity = pieces->capacity == 0 ? 2 : pieces->capacity * 2;
        HistogramPiece *more = memory_new_array(HistogramPiece, capacity);
        if (pieces->count > 0) memcpy(more, pieces->at, pieces->count * sizeof *more);
        memory_free(pieces->at);
        pieces->bytes += (int64_t)((capacity - pieces->capacity) * sizeof *more);
        pieces->at = more;
        pieces->capacity = capacity;
    }
    HistogramPiece *piece = &pieces->at[place];
    memmove(piece + 1, piece, (pieces->count - place) * sizeof *piece);
    pieces->count++;
    if (pieces->opened > place) pieces->opened++;
    *piece = (HistogramPiece){.open = memory_new(OpenPiece)};
    pieces->bytes += bytes_of(piece);
    return piece;
}

// Puts a row into an open piece, which is packed once it is full.
static void piece_add(HistogramPieces *pieces, HistogramPiece *piece, size_t place, int64_t time_ms,
                      Bytes wire) {
    pieces->bytes -= bytes_of(piece);
    open_insert(piece->open, piece->count, place, time_ms, wire);
    pieces->bytes += bytes_of(piece);
    piece->first_ms = piece->count == 0 ? time_ms : MIN(piece->first_ms, time_ms);
    piece->last_ms = piece->count == 0 ? time_ms : MAX(piece->last_ms, time_ms);
    piece->count++;
    if (piece->count == HISTOGRAM_PIECE_ROWS) piece_pack(pieces, piece);
}

// From now on this one is open for late rows; the one before it is packed.
static void piece_opened(HistogramPieces *pieces, uint32_t place) {
    if (pieces->opened == place + 1) return;
    if (pieces->opened > 0 && pieces->opened != pieces->count)  // the last one grows anyway
        piece_pack(pieces, &pieces->at[pieces->opened - 1]);
    pieces->opened = place + 1;
}

// ---- Late rows ----

// The rows of a packed piece, as they were when somebody looked last.
static SeriesHistogram *peek_into(HistogramPeek *peek, const HistogramPiece *piece) {
    if (peek->packed == piece->packed) return peek->rows;
    HistogramRow *rows;
    peek->packed = NULL;
    arena_clear(&peek->arena);
    bool good = histograms_unpack((Bytes){piece->packed, piece->packed_len}, piece->count,
                                  &peek->arena, &rows);
    assert(good);  // it was looked at when it was packed
    peek->rows = (SeriesHistogram *)rows;
    peek->packed = piece->packed;
    return peek->rows;
}

static bool has_room(const HistogramPiece *piece) {
    return piece->open != NULL && piece->count < HISTOGRAM_PIECE_ROWS;
}

// Makes room in a piece that is packed (and was peeked into) or full: what is full becomes two.
// Returns where `time_ms` belongs.
static uint32_t piece_reopen(HistogramPieces *pieces, HistogramPeek *peek, uint32_t place,
                             int64_t time_ms) {
    AUTO(arena_free) Arena arena = {0};
    HistogramPiece old = pieces->at[place];
    if (has_room(&old)) return place;
    const HistogramRow *rows =
        old.open != NULL ? rows_of(&old, &arena) : (const HistogramRow *)peek->rows;
    uint32_t half = old.count >= HISTOGRAM_PIECE_ROWS ? old.count / 2 : old.count;
    pieces->at[place] = (HistogramPiece){.open = memory_new(OpenPiece)};
    pieces->bytes += bytes_of(&pieces->at[place]) - bytes_of(&old);
    for (uint32_t i = 0; i < half; i++)
        piece_add(pieces, &pieces->at[place], i, rows[i].time_ms, rows[i].wire);
    if (half < old.count) {
        HistogramPiece *second = piece_insert(pieces, place + 1);
        for (uint32_t i = half; i < old.count; i++)
            piece_add(pieces, second, i - half, rows[i].time_ms, rows[i].wire);
        bool later = time_ms >= second->first_ms;
        piece_pack(pieces, &pieces->at[later ? place : place + 1]);
        place += later;
    }
    if (old.open == NULL) peek->packed = NULL;
    piece_free(&old);
    return place;
}

// Behind the last piece that begins before `time_ms`: where to look, or to put a new one.
static uint32_t piece_behind(const HistogramPieces *pieces, int64_t time_ms) {
    uint32_t low = 0, high = pieces->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pieces->at[middle].first_ms <= time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static Verdict compared(Bytes stored, Bytes wire) {
    return bytes_equal(stored, wire) ? VERDICT_DUPLICATE : VERDICT_CONFLICT;
}

// Into the piece whose interval has this time.
static Verdict add_inside(HistogramPieces *pieces, HistogramPeek *peek, uint32_t place,
                          int64_t time_ms, Bytes wire) {
    const HistogramPiece *piece = &pieces->at[place];
    if (piece->open == NULL) {
        const SeriesHistogram *rows = peek_into(peek, piece);
        for (uint32_t i = 0; i < piece->count && rows[i].time_ms <= time_ms; i++) {
            if (rows[i].time_ms == time_ms) return compared(rows[i].wire, wire);
        }
    } else {
        size_t at = open_place(piece, time_ms);
        if (piece->open->rows[at].time_ms == time_ms)
            return compared(open_wire(piece->open, at), wire);
    }
    if (!has_room(piece)) {
        place = piece_reopen(pieces, peek, place, time_ms);
        piece_opened(pieces, place);
    }
    piece_add(pieces, &pieces->at[place], open_place(&pieces->at[place], time_ms), time_ms, wire);
    return VERDICT_STORED;
}

Verdict histogram_pieces_add(HistogramPieces *pieces, HistogramPeek *peek, int64_t time_ms,
                             Bytes wire) {
    uint32_t behind = piece_behind(pieces, time_ms);
    HistogramPiece *before = behind > 0 ? &pieces->at[behind - 1] : NULL;
    if (before != NULL && time_ms <= before->last_ms)
        return add_inside(pieces, peek, behind - 1, time_ms, wire);
    // Between two, in front of all or behind them.
    if (before != NULL && has_room(before)) {
        piece_add(pieces, before, before->count, time_ms, wire);
        return VERDICT_STORED;
    }
    if (behind < pieces->count && has_room(&pieces->at[behind])) {
        piece_add(pieces, &pieces->at[behind], 0, time_ms, wire);
        return VERDICT_STORED;
    }
    piece_add(pieces, piece_insert(pieces, behind), 0, time_ms, wire);
    if (behind + 1 < pieces->count) piece_opened(pieces, behind);
    return VERDICT_STORED;
}

// ---- Reading ----

void histogram_pieces_times(const HistogramPieces *pieces, int64_t from_ms, int64_t to_ms,
                            void (*each)(void *context, int64_t time_ms), void *context) {
    for (uint32_t i = 0; i < pieces->count; i++) {
        const HistogramPiece *piece = &pieces->at[i];
        if (piece->last_ms < from_ms || piece->first_ms > to_ms) continue;
        int64_t times[HISTOGRAM_PIECE_ROWS];
        assert(piece->count <= HISTOGRAM_PIECE_ROWS);
        if (piece->open == NULL) {
            bool good = histograms_unpack_times((Bytes){piece->packed, piece->packed_len},
                                                piece->count, times);
            assert(good);  // it was looked at when it was packed
        }
        for (uint32_t k = 0; k < piece->count; k++) {
            int64_t time_ms = piece->open != NULL ? piece->open->rows[k].time_ms : times[k];
            if (time_ms >= from_ms && time_ms <= to_ms) each(context, time_ms);
        }
    }
}

static void count_one(void *context, int64_t time_ms) {
    (void)time_ms;
    ++*(size_t *)context;
}

// Only pieces that reach out of the interval are looked into.
size_t histogram_pieces_count(const HistogramPieces *pieces, int64_t from_ms, int64_t to_ms) {
    size_t count = 0;
    for (uint32_t i = 0; i < pieces->count; i++) {
        const HistogramPiece *piece = &pieces->at[i];
        HistogramPieces alone = {.at = &pieces->at[i], .count = 1};
        if (piece->first_ms >= from_ms && piece->last_ms <= to_ms) {
            count += piece->count;
        } else {
            histogram_pieces_times(&alone, from_ms, to_ms, count_one, &count);
        }
    }
    return count;
}

void histogram_pieces_copy(const HistogramPieces *pieces, int64_t from_ms, int64_t to_ms,
                           Arena *arena, HistogramCopies *out) {
    for (uint32_t i = 0; i < pieces->count; i++) {
        const HistogramPiece *piece = &pieces->at[i];
        if (piece->last_ms < from_ms || piece->first_ms > to_ms) continue;
        if (piece->open == NULL) {
            *array_add_on(arena, out) = (HistogramCopy){
                .packed = bytes_copy((Bytes){piece->packed, piece->packed_len}, arena),
                .count = piece->count};
            continue;
        }
        for (size_t k = open_place(piece, from_ms); k < piece->count; k++) {
            int64_t time_ms = piece->open->rows[k].time_ms;
            if (time_ms > to_ms) break;
            *array_add_on(arena, out) =
                (HistogramCopy){.row = {time_ms, bytes_copy(open_wire(piece->open, k), arena)}};
        }
    }
}

void histogram_copies_unpack(const HistogramCopies *copies, int64_t from_ms, int64_t to_ms,
                             Arena *arena, SeriesHistogramArray *out) {
    for (size_t i = 0; i < copies->count; i++) {
        const HistogramCopy *copy = &copies->at[i];
        if (copy->packed.len == 0) {
            *array_add_on(arena, out) = copy->row;
            continue;
        }
        HistogramRow *rows;
        bool good = histograms_unpack(copy->packed, copy->count, arena, &rows);
        assert(good);
        for (size_t k = 0; k < copy->count; k++) {
            if (rows[k].time_ms < from_ms || rows[k].time_ms > to_ms) continue;
            *array_add_on(arena, out) = (SeriesHistogram){rows[k].time_ms, rows[k].wire};
        }
    }
}
