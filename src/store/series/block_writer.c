// Writing a block in one pass: columns into pages as they come, then the tables as sections, then
// the footer.

#include <zstd.h>

#include "base/assert.h"
#include "codec/crc32c.h"
#include "os/random.h"
#include "store/series/block_tables.h"
#include "store/series/histogram_column.h"
#include "store/series/decimal.h"
#include "store/series/series.h"

enum {
    ZSTD_LEVEL = 3,
    ZSTD_LEVEL_COLD = 6,  // docs/decisions/0027: higher ones cost much and save nothing
    ZSTD_BYTES_MIN =
        512,  // less is not worth a frame; and the golden block does not depend on zstd's version
    DEDUPLICATED_BYTES_MIN = 24,
};

// Where something lies: a page and an offset within its raw bytes.
typedef struct Place {
    uint32_t page, offset, len;
} Place;

// Histograms or exemplars of one series, gathered until they fill a piece.
typedef struct Pieces {
    Builder rows, directory;
    size_t pieces;
    uint32_t count;
    int64_t first_ms, last_ms;
    size_t bytes_max, count_max;
    bool histograms;  // to be packed
} Pieces;

struct BlockWriter {
    Builder out;        // the object so far, behind what went to the sink
    BlockSink sink;     // add NULL: all stays here
    uint64_t spilled;   // bytes that went there
    Error failed;       // the first failure of the sink; the writer is only good for freeing then
    Builder page;       // the open page
    Builder page_rows;  // of those closed
    uint32_t pages;
    ZSTD_CCtx *zstd;
    bool cold;
    Builder peeked;  // a closed page decoded again, to compare columns
    Builder reread;  // one that came back from the sink
    uint32_t peeked_page;

    LabelTables labels;
    Grouped chunks;
    ClockTable clocks;
    SeenTable columns;  // by content: index into places
    ARRAY(Place) places;
    ARRAY(BatchMetadata) metadata;
    Arena arena;

    // The series that is being written.
    bool series_begun, row_first;
    Builder row;
    size_t row_chunks;
    Place place_before;  // of the column before in this group; a lie at the group's begin
    uint32_t clock_expected, clock_of_series;
    Pieces histograms, exemplars;
    uint32_t version;
    int64_t tier_ms, tier_min_ms, tier_max_ms;  // tier_ms 0: it is none
    int64_t last_ms;
    bool has_samples;
    size_t pending;
    int64_t times[CHUNK_SAMPLES_MAX];
    double values[CHUNK_SAMPLES_MAX];
    bool with_starts;  // of the series: some sample may have one
    int64_t starts[CHUNK_SAMPLES_MAX];
    int64_t start_now;     // of the series, behind its last chunk; 0: not known
    int64_t start_before;  // the last one told in this group

    BlockFacts facts;
};

BlockWriter *block_writer_begin(void) {
    BlockWriter *writer = memory_new(BlockWriter);
    HashKey key = {0};
    // Without the kernel's randomness a hostile sender could slow us down, no more: go on.
    if (!random_hash_key(&key, NULL)) key = (HashKey){1, 2};
    label_tables_begin(&writer->labels, key);
    writer->facts.min_ms = INT64_MAX;
    writer->facts.max_ms = INT64_MIN;
    writer->peeked_page = UINT32_MAX;
    writer->version = BLOCK_VERSION_PLAIN;
    writer->histograms.bytes_max = HISTOGRAM_PIECE_BYTES;
    writer->histograms.count_max = CHUNK_SAMPLES_MAX;
    writer->histograms.histograms = true;
    writer->exemplars.bytes_max = PIECE_BYTES;
    writer->exemplars.count_max = UINT32_MAX;
    writer->zstd = ZSTD_createCCtx();
    assert(writer->zstd != NULL);
    builder_add_bytes(&writer->out, block_magic_head, BLOCK_HEAD_BYTES);
    return writer;
}

void block_writer_cold(BlockWriter *writer) {
    writer->cold = true;
}

void block_writer_free(BlockWriter **writer) {
    if (*writer == NULL) return;
    BlockWriter *w = *writer;
    ZSTD_freeCCtx(w->zstd);
    Builder *builders[] = {&w->out,
                           &w->page,
                           &w->page_rows,
                           &w->peeked,
                           &w->reread,
                           &w->row,
                           &w->histograms.rows,
                           &w->histograms.directory,
                           &w->exemplars.rows,
                           &w->exemplars.directory};
    for (size_t i = 0; i < COUNT(builders); i++) builder_free(builders[i]);
    label_tables_free(&w->labels);
    grouped_free(&w->chunks);
    clock_table_free(&w->clocks);
    seen_free(&w->columns);
    array_free(&w->places);
    array_free(&w->metadata);
    arena_free(&w->arena);
    memory_free(TAKE(*writer));
}

// ---- The sink ----

void block_writer_into(BlockWriter *writer, BlockSink sink) {
    assert(writer->facts.series == 0 && sink.bytes > 0);
    writer->sink = sink;
}

static bool has_failed(const BlockWriter *writer, Error *err) {
    if (likely(writer->failed.code == ERROR_NONE)) return false;
    if (err != NULL) *err = writer->failed;
    return true;
}

// What is there goes to the sink when it is a piece.
static void spill(BlockWriter *writer) {
    Builder *out = &writer->out;
    if (writer->sink.add == NULL || out->len < writer->sink.bytes || has_failed(writer, NULL))
        return;
    Error err = {0};
    if (!writer->sink.add(writer->sink.context, text_bytes(builder_text(out)), &err)) {
        writer->failed = err;
        return;
    }
    writer->spilled += out->len;
    builder_clear(out);
}

static uint64_t object_bytes(const BlockWriter *writer) {
    return writer->spilled + writer->out.len;
}

// ---- Pages ----

// Closes the open page: compressed when that saves 3 % or more.
static void page_close(BlockWriter *writer) {
    Builder *page = &writer->page;
    if (page->len == 0) return;
    spill(writer);
    uint64_t offset = object_bytes(writer);
    size_t begun = writer->out.len;
    builder_reserve(&writer->out, ZSTD_compressBound(page->len));
    size_t stored =
        ZSTD_compressCCtx(writer->zstd, writer->out.at + begun, writer->out.capacity - begun,
                          page->at, page->len, writer->cold ? ZSTD_LEVEL_COLD : ZSTD_LEVEL);
    bool zstd = page->len >= ZSTD_BYTES_MIN && !ZSTD_isError(stored) &&
                stored < page->len - page->len * 3 / 100;
    if (zstd) {
        writer->out.len += stored;
    } else {
        stored = page->len;
        builder_add(&writer->out, builder_text(page));
    }
    writer_u64(&writer->page_rows, offset);
    writer_u32(&writer->page_rows, (uint32_t)stored);
    writer_u32(&writer->page_rows, (uint32_t)page->len | (zstd ? PAGE_IS_ZSTD : 0));
    writer_u32(&writer->page_rows,
               crc32c(0, (Bytes){(const uint8_t *)writer->out.at + begun, stored}));
    writer->pages++;
    builder_clear(page);
}

static Place page_add(BlockWriter *writer, Bytes bytes) {
    assert(bytes.len <= PAGE_BYTES_MAX);
    if (writer->page.len + bytes.len > PAGE_BYTES) page_close(writer);
    Place place = {writer->pages, (uint32_t)writer->page.len, (uint32_t)bytes.len};
    builder_add_bytes(&writer->page, bytes.at, bytes.len);
    return place;
}

// Bytes that went to the sink, which gives them back as they were: who has them compares them with
// what is to be written, so that wrong ones are unequal ones.
static bool read_back(BlockWriter *writer, uint64_t offset, void *into, size_t len) {
    if (has_failed(writer, NULL)) return false;
    Error err = {0};
    if (writer->sink.read(writer->sink.context, (int64_t)offset, into, len, &err)) return true;
    writer->failed = err;
    return false;
}

// A closed page to `peeked`. False where the sink does not give it; what it gives and cannot be
// unpacked is treated alike.
static bool peek(BlockWriter *writer, uint64_t offset, uint32_t stored, bool zstd, uint32_t raw) {
    Builder *peeked = &writer->peeked;
    writer->peeked_page = UINT32_MAX;
    builder_clear(peeked);
    builder_reserve(peeked, raw);
    if (offset >= writer->spilled) {
        const char *at = writer->out.at + (offset - writer->spilled);
        size_t got = ZSTD_decompress(peeked->at, raw, at, stored);
        assert(got == raw);
        return true;
    }
    if (!zstd) return read_back(writer, offset, peeked->at, raw);
    builder_clear(&writer->reread);
    builder_reserve(&writer->reread, stored);
    return read_back(writer, offset, writer->reread.at, stored) &&
           ZSTD_decompress(peeked->at, raw, writer->reread.at, stored) == raw;
}

// The raw bytes of what was added before, from the open page or a closed one.
static Bytes page_peek(BlockWriter *writer, Place place) {
    const char *raw = writer->page.at;
    if (place.page != writer->pages) {
        Reader row = reader_begin(
            (Bytes){(const uint8_t *)writer->page_rows.at + (size_t)place.page * PAGE_ROW_BYTES,
                    PAGE_ROW_BYTES});
        uint64_t offset = reader_u64(&row);
        uint32_t stored = reader_u32(&row), raw_len = reader_u32(&row);
        bool zstd = raw_len & PAGE_IS_ZSTD, away = offset < writer->spilled;
        if ((zstd || away) && writer->peeked_page != place.page) {
            if (!peek(writer, offset, stored, zstd, raw_len & ~PAGE_IS_ZSTD)) return BYTES_NONE;
            writer->peeked_page = place.page;
        }
        raw = writer->peeked_page == place.page ? writer->peeked.at
                                                : writer->out.at + (offset - writer->spilled);
    }
    return (Bytes){(const uint8_t *)raw + place.offset, place.len};
}

// The place of an equal column that is there already, or of this one, added.
static Place column_add(BlockWriter *writer, Bytes column) {
    if (column.len < DEDUPLICATED_BYTES_MIN) return page_add(writer, column);
    uint64_t hash = content_hash(column);
    uint32_t index;
    for (uint64_t at = hash; seen_next(&writer->columns, hash, &at, &index);) {
        Place place = writer->places.at[index];
        if (place.len == column.len && bytes_equal(page_peek(writer, place), column)) return place;
    }
    Place place = page_add(writer, column);
    seen_add(&writer->columns, hash, (uint32_t)writer->places.count);
    *array_add(&writer->places) = place;
    return place;
}

// ---- Chunks ----

// first, last, min and max as decimals told from the first, where they are; the sum as one too when
// that is exact.
static void summary_put(const ChunkSummary *summary, Builder *out) {
    double given[4] = {summary->first, summary->last, summary->min, summary->max};
    int64_t numbers[4], sum = 0;
    unsigned decimals = 0;
    for (size_t i = 0; i < 4; i++)
        decimals = MAX(decimals, isfinite(given[i]) ? decimals_of(given[i]) : DOMAIN_BITS);
    bool scaled = decimals <= DECIMALS_MAX;
    for (size_t i = 0; scaled && i < 4; i++) scaled = decimal_from(given[i], decimals, &numbers[i]);
    if (!scaled) {
        builder_add_char(out, DOMAIN_BITS);
        for (size_t i = 0; i < 4; i++) writer_f64(out, given[i]);
        writer_f64(out, summary->sum);
        return;
    }
    bool sum_scaled = decimal_from(summary->sum, decimals, &sum);
    int64_t sum_distance = (int64_t)((uint64_t)sum - (uint64_t)numbers[0] * summary->count);
    bool flat = sum_scaled && sum_distance == 0 && numbers[1] == numbers[0] &&
                numbers[2] == numbers[0] && numbers[3] == numbers[0];
    builder_add_char(
        out, (char)(decimals | (sum_scaled ? SUMMARY_SUM_SCALED : 0) | (flat ? SUMMARY_FLAT : 0)));
    writer_zigzag(out, numbers[0]);
    if (flat) return;
    for (size_t i = 1; i < 4; i++)
        writer_zigzag(out, (int64_t)((uint64_t)numbers[i] - (uint64_t)numbers[0]));
    // The sum is told from what it would be if every value were the first.
    if (sum_scaled)
        writer_zigzag(out, sum_distance);
    else
        writer_f64(out, summary->sum);
}

// Where the starts of the first `count` samples that wait change: how far behind the change before,
// and to what.
static size_t starts_put(BlockWriter *writer, size_t count, Builder *out) {
    size_t changes = 0, last = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t start_ms = writer->starts[i];
        if (start_ms == writer->start_now) continue;
        writer->start_now = start_ms;
        writer_varint(out, (changes == 0 ? i : i - last - 1) << 1 | (start_ms == 0));
        last = i;
        changes++;
        if (start_ms == 0) continue;
        writer_zigzag(out, (int64_t)((uint64_t)start_ms - (uint64_t)writer->start_before));
        writer->start_before = start_ms;
    }
    return changes;
}

// Where to cut a full buffer: at a round time, so that series of one clock that began at different
// times are cut at the same places and share their clocks from the next one on. Round is 15 minutes
// doubled as often as a chunk can hold it.
static size_t chunk_cut(const int64_t *times, size_t count) {
    enum { ROUND_MS = 15 * 60 * 1000 };
    uint64_t span = (uint64_t)times[count - 1] - (uint64_t)times[0];
    uint64_t step = span / (count - 1), round_ms = ROUND_MS;
    if (step == 0 || step > INT64_MAX / CHUNK_SAMPLES_MAX / 4 || times[0] < 0 ||
        round_ms / step > CHUNK_SAMPLES_MAX)
        return count;
    while (round_ms * 2 / step <= CHUNK_SAMPLES_MAX) round_ms *= 2;
    int64_t boundary = times[count - 1] - times[count - 1] % (int64_t)round_ms;
    size_t cut = count;
    while (cut > 0 && times[cut - 1] >= boundary) cut--;
    return cut == 0 ? count : cut;
}

// Makes a chunk of the first `count` samples that wait.
static bool chunk_flush(BlockWriter *writer, size_t count, Error *err) {
    if (count == 0) return true;
    UNFILLED uint8_t column[COLUMN_BYTES_MAX];
    bool near = false;
    size_t len = writer->cold ? values_encode_cold(writer->values, count, column, &near)
                              : values_encode(writer->values, count, false, column);
    if (near) writer->version = MAX(writer->version, (uint32_t)BLOCK_VERSION_NEAR);
    Place place = column_add(writer, (Bytes){column, len});
    uint32_t clock;
    TRY(clock_number(&writer->clocks, writer->times, count, writer->clock_expected, &clock, err));

    ChunkSummary summary = chunk_summarise(writer->times, writer->values, count);
    unsigned flags = clock == writer->clock_expected ? 0 : CHUNK_OTHER_CLOCK;
    Place before = writer->place_before;
    bool follows = place.page == before.page && place.offset == before.offset + before.len;
    if (!follows) flags |= CHUNK_ELSEWHERE;
    if (count >= SUMMARY_SAMPLES_MIN)
        flags |= CHUNK_SUMMARY | (summary.resets > 0 ? CHUNK_RESETS : 0);
    AUTO(builder_free) Builder starts = {0};
    size_t changes = writer->with_starts ? starts_put(writer, count, &starts) : 0;
    if (changes > 0) {
        flags |= CHUNK_STARTS;
        writer->version = MAX(writer->version, (uint32_t)BLOCK_VERSION_STARTS);
    }
    builder_add_char(&writer->row, (char)flags);
    if (flags & CHUNK_OTHER_CLOCK)
        writer_zigzag(&writer->row, (int64_t)clock - writer->clock_expected);
    if (flags & CHUNK_ELSEWHERE) {
        writer_varint(&writer->row, place.page);
        writer_varint(&writer->row, place.offset);
    }
    writer_varint(&writer->row, place.len);
    if (flags & CHUNK_RESETS) writer_varint(&writer->row, summary.resets);
    if (flags & CHUNK_SUMMARY) summary_put(&summary, &writer->row);
    if (flags & CHUNK_STARTS) {
        writer_varint(&writer->row, changes);
        builder_add(&writer->row, builder_text(&starts));
    }

    if (writer->row_chunks == 0) writer->clock_of_series = clock;
    writer->row_chunks++;
    writer->clock_expected = clock + 1;
    writer->place_before = place;
    writer->facts.chunks++;
    writer->facts.samples += count;
    writer->pending -= count;
    memmove(writer->times, writer->times + count, writer->pending * sizeof *writer->times);
    memmove(writer->values, writer->values + count, writer->pending * sizeof *writer->values);
    if (writer->with_starts)
        memmove(writer->starts, writer->starts + count, writer->pending * sizeof *writer->starts);
    return true;
}

static void facts_time(BlockWriter *writer, int64_t time_ms) {
    writer->facts.min_ms = MIN(writer->facts.min_ms, time_ms);
    writer->facts.max_ms = MAX(writer->facts.max_ms, time_ms);
}

void block_writer_covers(BlockWriter *writer, int64_t min_ms, int64_t max_ms) {
    facts_time(writer, min_ms);
    facts_time(writer, max_ms);
}

void block_writer_tier(BlockWriter *writer, int64_t tier_ms, int64_t min_ms, int64_t max_ms) {
    assert(tier_ms > 0 && min_ms <= max_ms);
    writer->tier_ms = tier_ms;
    writer->tier_min_ms = min_ms;
    writer->tier_max_ms = max_ms;
}

bool block_writer_cut(BlockWriter *writer, Error *err) {
    return chunk_flush(writer, writer->pending, err);
}

// `starts` may be NULL.
static bool add_samples(BlockWriter *writer, const int64_t *times, const double *values,
                        const int64_t *starts, size_t count, Error *err) {
    assert(writer->series_begun);
    if (count == 0) return true;
    for (size_t i = 0; i < count; i++) {
        if (writer->has_samples && times[i] <= writer->last_ms) {
            return error_set(err, ERROR_BAD_INPUT, "time %lld of a series does not come after %lld",
                             (long long)times[i], (long long)writer->last_ms);
        }
        writer->has_samples = true;
        writer->last_ms = times[i];
    }
    facts_time(writer, times[0]);
    facts_time(writer, times[count - 1]);
    if (starts != NULL && !writer->with_starts) {
        writer->with_starts = true;
        memset(writer->starts, 0, writer->pending * sizeof *writer->starts);
    }
    for (size_t at = 0; at < count;) {
        // A full buffer is cut only when more comes, so that what fits one chunk is one.
        if (writer->pending == CHUNK_SAMPLES_MAX)
            TRY(chunk_flush(writer, chunk_cut(writer->times, writer->pending), err));
        size_t piece = MIN(count - at, (size_t)CHUNK_SAMPLES_MAX - writer->pending);
        memcpy(writer->times + writer->pending, times + at, piece * sizeof *times);
        memcpy(writer->values + writer->pending, values + at, piece * sizeof *values);
        if (starts != NULL) {
            memcpy(writer->starts + writer->pending, starts + at, piece * sizeof *starts);
        } else if (writer->with_starts) {
            memset(writer->starts + writer->pending, 0, piece * sizeof *starts);
        }
        writer->pending += piece;
        at += piece;
    }
    return true;
}

bool block_writer_samples(BlockWriter *writer, const int64_t *times, const double *values,
                          size_t count, Error *err) {
    return add_samples(writer, times, values, NULL, count, err);
}

bool block_writer_columns(BlockWriter *writer, const SeriesColumns *columns, Error *err) {
    return add_samples(writer, columns->times, columns->values,
                       columns->has_starts ? columns->starts : NULL, columns->count, err);
}

// ---- Histograms and exemplars ----

// The rows of a piece of histograms, which we wrote ourselves.
static HistogramRow *rows_of(const Pieces *pieces, Arena *arena) {
    HistogramRow *rows = arena_push_array(arena, HistogramRow, pieces->count);
    Reader reader = reader_begin(text_bytes(builder_text(&pieces->rows)));
    int64_t time_ms = pieces->first_ms;
    for (size_t i = 0; i < pieces->count; i++) {
        time_ms = (int64_t)((uint64_t)time_ms + reader_varint(&reader));
        rows[i] = (HistogramRow){time_ms, reader_take(&reader, reader_varint(&reader))};
    }
    assert(!reader.failed && reader_left(&reader) == 0);
    return rows;
}

// Packs a piece of histograms where that is smaller, and only when it comes back byte for byte.
static bool piece_pack(const Pieces *pieces, bool *starts, Builder *out) {
    AUTO(arena_free) Arena arena = {0};
    HistogramRow *rows = rows_of(pieces, &arena), *again;
    if (!histograms_pack(rows, pieces->count, false, starts, out) || out->len >= pieces->rows.len)
        return false;
    bool same = histograms_unpack(text_bytes(builder_text(out)), pieces->count, &arena, &again);
    for (size_t i = 0; same && i < pieces->count; i++)
        same = rows[i].time_ms == again[i].time_ms && bytes_equal(rows[i].wire, again[i].wire);
    return same;
}

static void piece_flush(BlockWriter *writer, Pieces *pieces) {
    if (pieces->count == 0) return;
    AUTO(builder_free) Builder packed = {0};
    bool starts = false, pack = pieces->histograms && piece_pack(pieces, &starts, &packed);
    uint32_t version = starts ? BLOCK_VERSION_STARTS : BLOCK_VERSION_PACKED;
    if (pack) writer->version = MAX(writer->version, version);
    Place place = page_add(writer, text_bytes(builder_text(pack ? &packed : &pieces->rows)));
    writer_zigzag(&pieces->directory, pieces->first_ms);
    writer_varint(&pieces->directory, (uint64_t)pieces->last_ms - (uint64_t)pieces->first_ms);
    writer_varint(&pieces->directory, pieces->count);
    writer_varint(&pieces->directory, place.page);
    writer_varint(&pieces->directory, place.offset);
    writer_varint(&pieces->directory, place.len);
    pieces->pieces++;
    pieces->count = 0;
    builder_clear(&pieces->rows);
}

// Room for one more row of `bytes`; times do not fall.
static bool piece_row(BlockWriter *writer, Pieces *pieces, int64_t time_ms, size_t bytes,
                      Error *err) {
    if ((pieces->pieces > 0 || pieces->count > 0) && time_ms < pieces->last_ms) {
        return error_set(err, ERROR_BAD_INPUT,
                         "time %lld of a histogram or exemplar comes before %lld",
                         (long long)time_ms, (long long)pieces->last_ms);
    }
    if (bytes > PAGE_BYTES_MAX - PIECE_BYTES - 64)
        return error_set(err, ERROR_TOO_LARGE, "a histogram or exemplar takes %zu bytes", bytes);
    bool full = pieces->rows.len + bytes > pieces->bytes_max || pieces->count >= pieces->count_max;
    if (pieces->count > 0 && full) piece_flush(writer, pieces);
    if (pieces->count == 0) pieces->first_ms = time_ms;
    writer_varint(&pieces->rows,
                  (uint64_t)time_ms - (uint64_t)(pieces->count == 0 ? time_ms : pieces->last_ms));
    pieces->last_ms = time_ms;
    pieces->count++;
    facts_time(writer, time_ms);
    return true;
}

bool block_writer_histogram(BlockWriter *writer, int64_t time_ms, Bytes wire, Error *err) {
    assert(writer->series_begun);
    Pieces *pieces = &writer->histograms;
    TRY(piece_row(writer, pieces, time_ms, wire.len, err));
    writer_varint(&pieces->rows, wire.len);
    builder_add_bytes(&pieces->rows, wire.at, wire.len);
    writer->facts.histograms++;
    return true;
}

bool block_writer_exemplar(BlockWriter *writer, int64_t time_ms, double value, Labels labels,
                           Error *err) {
    assert(writer->series_begun);
    Pieces *pieces = &writer->exemplars;
    TRY(piece_row(writer, pieces, time_ms, labels.wire.len + sizeof value, err));
    writer_f64(&pieces->rows, value);
    writer_varint(&pieces->rows, labels.wire.len);
    builder_add_bytes(&pieces->rows, labels.wire.at, labels.wire.len);
    writer->facts.exemplars++;
    return true;
}

bool block_writer_metadata(BlockWriter *writer, const BatchMetadata *metadata, Error *err) {
    size_t bytes = metadata->family.len + metadata->help.len + metadata->unit.len;
    if (bytes > PAGE_BYTES / 2)
        return error_set(err, ERROR_TOO_LARGE, "metadata of one family takes %zu bytes", bytes);
    *array_add(&writer->metadata) = (BatchMetadata){
        text_copy(metadata->family, &writer->arena), metadata->type,
        text_copy(metadata->help, &writer->arena), text_copy(metadata->unit, &writer->arena)};
    return true;
}

// ---- Series ----

static void pieces_put(Pieces *pieces, Builder *out) {
    if (pieces->pieces > 0) {
        writer_varint(out, pieces->pieces);
        builder_add(out, builder_text(&pieces->directory));
    }
    pieces->pieces = 0;
    builder_clear(&pieces->directory);
}

static bool series_end(BlockWriter *writer, Error *err) {
    if (!writer->series_begun) return true;
    TRY(chunk_flush(writer, writer->pending, err));
    piece_flush(writer, &writer->histograms);
    piece_flush(writer, &writer->exemplars);
    unsigned flags = (writer->histograms.pieces > 0 ? SERIES_HAS_HISTOGRAMS : 0) |
                     (writer->exemplars.pieces > 0 ? SERIES_HAS_EXEMPLARS : 0);
    Builder *rows = &writer->chunks.rows;
    writer_varint(rows, writer->row_chunks << SERIES_FLAG_BITS | flags);
    builder_add(rows, builder_text(&writer->row));
    pieces_put(&writer->histograms, rows);
    pieces_put(&writer->exemplars, rows);
    // The next series is expected to begin on the clock on which this one began.
    if (writer->row_chunks > 0) writer->clock_expected = writer->clock_of_series;
    builder_clear(&writer->row);
    writer->row_chunks = 0;
    return true;
}

bool block_writer_series(BlockWriter *writer, Labels labels, Error *err) {
    TRY(series_end(writer, err));
    if (has_failed(writer, err)) return false;
    writer->series_begun = false;
    TRY(label_tables_add(&writer->labels, labels, err));
    TRY(grouped_row(&writer->chunks, &writer->row_first, err));
    writer->with_starts = false;
    writer->start_now = 0;
    if (writer->row_first) {
        writer->start_before = 0;
        writer->place_before = (Place){UINT32_MAX, 0, 0};
        writer->clock_expected = 0;
    }
    writer->series_begun = true;
    writer->has_samples = false;
    writer->facts.series++;
    return true;
}

// ---- The end ----

// Metadata rows have pages of their own, the last ones.
static uint32_t metadata_finish(BlockWriter *writer) {
    page_close(writer);
    uint32_t first = writer->pages;
    Builder row = {0};
    for (size_t i = 0; i < writer->metadata.count; i++) {
        const BatchMetadata *metadata = &writer->metadata.at[i];
        builder_clear(&row);
        Text texts[3] = {metadata->family, metadata->help, metadata->unit};
        builder_add_char(&row, (char)metadata->type);
        for (size_t k = 0; k < COUNT(texts); k++) {
            writer_varint(&row, texts[k].len);
            builder_add(&row, texts[k]);
        }
        (void)page_add(writer, text_bytes(builder_text(&row)));
    }
    builder_free(&row);
    page_close(writer);
    return first;
}

// A section on its way out, with a checksum for each extent.
typedef struct SectionOut {
    size_t filled;  // of the open extent
    uint32_t crc;
} SectionOut;

static void extent_end(SectionOut *section, Builder *tail) {
    if (section->filled > 0) writer_u32(tail, section->crc);
    *section = (SectionOut){0};
}

static void section_add(BlockWriter *writer, SectionOut *section, Text bytes, Builder *tail) {
    while (bytes.len > 0) {
        size_t len = MIN(bytes.len, (size_t)EXTENT_BYTES - section->filled);
        Text piece = text_slice(bytes, 0, len);
        section->crc = crc32c(section->crc, text_bytes(piece));
        section->filled += len;
        builder_add(&writer->out, piece);
        bytes = text_slice(bytes, len, bytes.len);
        if (section->filled < EXTENT_BYTES) continue;
        extent_end(section, tail);
        spill(writer);
    }
}

// The rows, then where groups of them begin. They are let go.
static void section_write(BlockWriter *writer, Grouped *grouped, Builder *tail) {
    SectionOut section = {0};
    writer_u64(tail, grouped->rows.len + grouped->offsets.count * sizeof(uint32_t));
    section_add(writer, &section, builder_text(&grouped->rows), tail);
    AUTO(builder_free) Builder offsets = {0};
    for (size_t i = 0; i < grouped->offsets.count; i++) {
        writer_u32(&offsets, grouped->offsets.at[i]);
        if (offsets.len < EXTENT_BYTES && i + 1 < grouped->offsets.count) continue;
        section_add(writer, &section, builder_text(&offsets), tail);
        builder_clear(&offsets);
    }
    extent_end(&section, tail);
    grouped_free(grouped);
    *grouped = (Grouped){0};
}

static void footer_finish(BlockWriter *writer, const Builder *tail) {
    Builder *out = &writer->out;
    builder_add(out, builder_text(tail));
    size_t trailer = out->len;
    writer_u64(out, object_bytes(writer) + BLOCK_TRAILER_BYTES);
    writer_u32(out, (uint32_t)tail->len);
    writer_u32(out, crc32c(0, text_bytes(builder_text(tail))));
    writer_u32(out, writer->version);
    writer_u32(out, crc32c(0, (Bytes){(const uint8_t *)out->at + trailer, 20}));
    builder_add_bytes(out, block_magic_tail, 8);
}

static bool sections_write(BlockWriter *writer, Builder *tail, Error *err) {
    AUTO(grouped_free) Grouped names = {0};
    AUTO(grouped_free) Grouped pairs = {0};
    AUTO(grouped_free) Grouped series = {0};
    TRY(label_tables_finish(&writer->labels, &names.rows, &pairs, &series, err));
    // What the tables were made for is told by now: their memory is that of the sections.
    label_tables_free(&writer->labels);
    Grouped pages = {.rows = writer->page_rows};
    writer->page_rows = (Builder){0};
    // ORDER: sections of a block
    Grouped *sections[SECTION_COUNT] = {&pages,  &names,          &pairs,
                                        &series, &writer->chunks, &writer->clocks.rows};
    for (size_t i = 0; i < SECTION_COUNT; i++) section_write(writer, sections[i], tail);
    return true;
}

bool block_writer_finish(BlockWriter *writer, Builder *out, Error *err) {
    TRY(series_end(writer, err));
    writer->series_begun = false;
    if (writer->facts.min_ms > writer->facts.max_ms)
        writer->facts.min_ms = writer->facts.max_ms = 0;
    if (writer->tier_ms != 0) {
        assert(!writer->cold);  // a tier says by its version that it is one
        writer->version = BLOCK_VERSION_TIER;
        writer->facts.min_ms = writer->tier_min_ms;
        writer->facts.max_ms = writer->tier_max_ms;
    }
    uint32_t metadata_page = metadata_finish(writer);

    AUTO(builder_free) Builder tail = {0};
    const BlockFacts *facts = &writer->facts;
    uint64_t numbers[] = {(uint64_t)facts->min_ms,
                          (uint64_t)facts->max_ms,
                          facts->series,
                          facts->samples,
                          facts->chunks,
                          facts->histograms,
                          facts->exemplars,
                          writer->labels.pairs.count,
                          writer->clocks.entries.count,
                          writer->pages,
                          metadata_page};
    for (size_t i = 0; i < COUNT(numbers); i++) writer_u64(&tail, numbers[i]);
    if (writer->tier_ms != 0) writer_u64(&tail, (uint64_t)writer->tier_ms);
    TRY(sections_write(writer, &tail, err));
    footer_finish(writer, &tail);
    if (has_failed(writer, err)) return false;
    builder_free(out);
    *out = writer->out;
    writer->out = (Builder){0};
    return true;
}

int64_t block_writer_memory(const BlockWriter *writer) {
    const LabelTables *labels = &writer->labels;
    const Grouped *grouped[] = {&writer->chunks, &writer->clocks.rows};
    size_t bytes = writer->out.capacity + writer->page_rows.capacity + writer->arena.bytes +
                   writer->clocks.arena.bytes;
    for (size_t i = 0; i < COUNT(grouped); i++) {
        bytes += grouped[i]->rows.capacity;
        bytes += grouped[i]->offsets.capacity * sizeof *grouped[i]->offsets.at;
    }
    bytes += writer->clocks.entries.capacity * sizeof *writer->clocks.entries.at;
    bytes += (writer->clocks.seen.slot_count + writer->columns.slot_count) * sizeof(Seen);
    bytes += writer->places.capacity * sizeof *writer->places.at;
    bytes += writer->metadata.capacity * sizeof *writer->metadata.at;
    // The sections of pairs and series stand beside the tables that they are made of.
    size_t tables = labels->arena.bytes + (size_t)labels->posting_bytes +
                    labels->known.slot_count * sizeof *labels->known.slots +
                    labels->pairs.capacity * sizeof *labels->pairs.at +
                    labels->series_pairs.capacity * sizeof *labels->series_pairs.at +
                    labels->series_first.capacity * sizeof *labels->series_first.at;
    return (int64_t)(bytes + tables + tables / 4);
}
