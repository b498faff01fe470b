// Packing native histograms: runs of one layout, a column per number.

#include "store/series/histogram_column.h"

#include "base/assert.h"
#include "codec/reader.h"
#include "model/native_histogram.h"
#include "model/sample.h"
#include "store/series/chunk.h"
#include "store/series/integers.h"

// The flags of a layout.
enum {
    LAYOUT_FLOAT = 1,
    LAYOUT_TIME = 2,
    LAYOUT_HINT_SHIFT = 2,
    LAYOUT_HINT_MAX = 3,
    LAYOUT_START = 16,
    LAYOUT_FLAGS_MAX = 31
};

// What all histograms of a run share.
typedef struct Layout {
    uint8_t flags;
    int32_t schema;
    double zero_threshold;
    HistogramBuckets positive, negative;  // spans and how many buckets
    const double *bounds;
    size_t bound_count;
} Layout;

// ---- Layouts ----

static void spans_write(const HistogramBuckets *buckets, Builder *out) {
    writer_varint(out, buckets->span_count);
    for (size_t i = 0; i < buckets->span_count; i++) {
        writer_zigzag(out, buckets->spans[i].offset);
        writer_varint(out, buckets->spans[i].length);
    }
    writer_varint(out, buckets->bucket_count);
}

static void layout_write(const NativeHistogram *histogram, Builder *out) {
    unsigned flags = (histogram->is_float ? LAYOUT_FLOAT : 0) |
                     (histogram->time_ms != 0 ? LAYOUT_TIME : 0) |
                     (histogram->start_ms != 0 ? LAYOUT_START : 0) |
                     (unsigned)histogram->reset_hint << LAYOUT_HINT_SHIFT;
    builder_add_char(out, (char)flags);
    writer_zigzag(out, histogram->schema);
    writer_f64(out, histogram->zero_threshold);
    spans_write(&histogram->positive, out);
    spans_write(&histogram->negative, out);
    writer_varint(out, histogram->custom_bound_count);
    for (size_t i = 0; i < histogram->custom_bound_count; i++)
        writer_f64(out, histogram->custom_bounds[i]);
}

static bool spans_read(Reader *reader, Arena *arena, HistogramBuckets *out) {
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > reader_left(reader) / 2) return false;
    HistogramSpan *spans = arena_push_array(arena, HistogramSpan, count);
    for (size_t i = 0; i < count; i++) {
        spans[i].offset = (int32_t)reader_zigzag(reader);
        spans[i].length = (uint32_t)reader_varint(reader);
    }
    out->spans = spans;
    out->span_count = count;
    out->bucket_count = reader_varint(reader);
    return !reader->failed && out->bucket_count <= HISTOGRAM_NUMBERS_MAX;
}

static bool layout_read(Reader *reader, Arena *arena, Layout *out) {
    *out = (Layout){.flags = reader_u8(reader)};
    if (out->flags > LAYOUT_FLAGS_MAX) return false;
    out->schema = (int32_t)reader_zigzag(reader);
    out->zero_threshold = reader_f64(reader);
    if (!spans_read(reader, arena, &out->positive) || !spans_read(reader, arena, &out->negative))
        return false;
    uint64_t count = reader_varint(reader);
    if (reader->failed || count > reader_left(reader) / sizeof(double)) return false;
    double *bounds = arena_push_array(arena, double, count);
    for (size_t i = 0; i < count; i++) bounds[i] = reader_f64(reader);
    out->bounds = bounds;
    out->bound_count = count;
    return !reader->failed;
}

// ---- The numbers of a run ----

// number[column * rows + row]: count, zero count, sum, then the buckets of both sides, and the
// starts where they have any. Integers are as they are, buckets by their own counts; floats and the
// sum are the bits of doubles.
enum { COLUMN_COUNT_OF, COLUMN_ZERO, COLUMN_SUM, COLUMN_BUCKETS };

static size_t columns_of(const HistogramBuckets *positive, const HistogramBuckets *negative,
                         bool starts) {
    return COLUMN_BUCKETS + positive->bucket_count + negative->bucket_count + starts;
}

static size_t columns_of_native(const NativeHistogram *histogram) {
    return columns_of(&histogram->positive, &histogram->negative, histogram->start_ms != 0);
}

static void buckets_take(const HistogramBuckets *buckets, bool is_float, size_t rows,
                         uint64_t *into) {
    uint64_t count = 0;
    for (size_t i = 0; i < buckets->bucket_count; i++) {
        if (!is_float) count += (uint64_t)buckets->deltas[i];
        into[i * rows] = is_float ? double_bits(buckets->counts[i]) : count;
    }
}

static void numbers_take(const NativeHistogram *histogram, size_t rows, uint64_t *into) {
    bool is_float = histogram->is_float;
    into[COLUMN_COUNT_OF * rows] =
        is_float ? double_bits(histogram->count_float) : histogram->count;
    into[COLUMN_ZERO * rows] =
        is_float ? double_bits(histogram->zero_count_float) : histogram->zero_count;
    into[COLUMN_SUM * rows] = double_bits(histogram->sum);
    buckets_take(&histogram->positive, is_float, rows, into + COLUMN_BUCKETS * rows);
    buckets_take(&histogram->negative, is_float, rows,
                 into + (COLUMN_BUCKETS + histogram->positive.bucket_count) * rows);
    if (histogram->start_ms != 0)
        into[(columns_of_native(histogram) - 1) * rows] = (uint64_t)histogram->start_ms;
}

static HistogramBuckets buckets_give(const HistogramBuckets *layout, bool is_float, size_t rows,
                                     const uint64_t *from, Arena *arena) {
    HistogramBuckets out = *layout;
    double *counts = is_float ? arena_push_array_raw(arena, double, layout->bucket_count) : NULL;
    int64_t *deltas = is_float ? NULL : arena_push_array_raw(arena, int64_t, layout->bucket_count);
    uint64_t before = 0;
    for (size_t i = 0; i < layout->bucket_count; i++) {
        uint64_t bits = from[i * rows];
        if (is_float) {
            counts[i] = double_from_bits(bits);
        } else {
            deltas[i] = (int64_t)(bits - before);
            before = bits;
        }
    }
    out.counts = counts;
    out.deltas = deltas;
    return out;
}

static void numbers_give(const Layout *layout, int64_t time_ms, size_t rows, const uint64_t *from,
                         Arena *arena, NativeHistogram *out) {
    bool is_float = (layout->flags & LAYOUT_FLOAT) != 0;
    *out = (NativeHistogram){
        .time_ms = layout->flags & LAYOUT_TIME ? time_ms : 0,
        .schema = layout->schema,
        .is_float = is_float,
        .reset_hint = (HistogramResetHint)(layout->flags >> LAYOUT_HINT_SHIFT & LAYOUT_HINT_MAX),
        .sum = double_from_bits(from[COLUMN_SUM * rows]),
        .zero_threshold = layout->zero_threshold,
        .custom_bounds = layout->bounds,
        .custom_bound_count = layout->bound_count,
    };
    uint64_t count = from[COLUMN_COUNT_OF * rows], zero = from[COLUMN_ZERO * rows];
    if (is_float) {
        out->count_float = double_from_bits(count);
        out->zero_count_float = double_from_bits(zero);
    } else {
        out->count = count;
        out->zero_count = zero;
    }
    from += COLUMN_BUCKETS * rows;
    out->positive = buckets_give(&layout->positive, is_float, rows, from, arena);
    from += layout->positive.bucket_count * rows;
    out->negative = buckets_give(&layout->negative, is_float, rows, from, arena);
    from += layout->negative.bucket_count * rows;
    if (layout->flags & LAYOUT_START) out->start_ms = (int64_t)*from;
}

// ---- Columns ----

static bool holds_doubles(bool is_float, size_t column) {
    return is_float || column == COLUMN_SUM;
}

static void column_write(const uint64_t *numbers, size_t rows, bool doubles, bool fast,
                         Builder *out) {
    UNFILLED uint8_t encoded[COLUMN_BYTES_MAX];
    size_t len;
    if (doubles) {
        UNFILLED double values[CHUNK_SAMPLES_MAX];
        memcpy(values, numbers, rows * sizeof *values);
        len = values_encode(values, rows, fast, encoded);
    } else {
        len = integers_encode(numbers, rows, fast ? INTEGERS_FAST : INTEGERS_THOROUGH, encoded);
    }
    builder_add_bytes(out, encoded, len);
}

static bool column_read(Reader *reader, size_t rows, bool doubles, uint64_t *into) {
    if (!doubles) {
        uint8_t kind = reader_u8(reader);
        return !reader->failed && kind < 16 && integers_decode(reader, kind, rows, into) &&
               !reader->failed;
    }
    UNFILLED double values[CHUNK_SAMPLES_MAX];
    size_t used;
    Bytes rest = {reader->at, reader_left(reader)};
    if (!values_decode(rest, rows, values, &used, NULL)) return false;
    (void)reader_take(reader, used);
    memcpy(into, values, rows * sizeof *values);
    return true;
}

// ---- Packing ----

// A histogram whose wire bytes are those that it would write itself.
static bool take_apart(const HistogramRow *row, Arena *arena, NativeHistogram *out) {
    Error ignored;
    if (!native_histogram_read(row->wire, arena, out, &ignored)) return false;
    if (out->time_ms != 0 && out->time_ms != row->time_ms) return false;
    AUTO(builder_free) Builder again = {0};
    native_histogram_write(out, &again);
    return bytes_equal(text_bytes(builder_text(&again)), row->wire);
}

static void run_write(const NativeHistogram *at, size_t rows, Bytes layout, bool fast, Arena *arena,
                      Builder *out) {
    size_t columns = columns_of_native(at), buckets = columns - (at->start_ms != 0);
    uint64_t *numbers = arena_push_array_raw(arena, uint64_t, columns * rows);
    for (size_t i = 0; i < rows; i++) numbers_take(&at[i], rows, numbers + i);
    writer_varint(out, rows);
    builder_add_bytes(out, layout.at, layout.len);
    for (size_t i = 0; i < columns; i++)
        column_write(numbers + i * rows, rows, i < buckets && holds_doubles(at->is_float, i), fast,
                     out);
}

bool histograms_pack(const HistogramRow *rows, size_t count, bool fast, bool *starts,
                     Builder *out) {
    assert(count > 0 && count <= CHUNK_SAMPLES_MAX);
    AUTO(arena_free) Arena arena = {0};
    NativeHistogram *all = arena_push_array(&arena, NativeHistogram, count);
    Bytes *layouts = arena_push_array(&arena, Bytes, count);
    int64_t *times = arena_push_array_raw(&arena, int64_t, count);
    AUTO(builder_free) Builder scratch = {0};
    size_t numbers = 0, bytes = 0;
    *starts = false;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].wire.len;
        if (!take_apart(&rows[i], &arena, &all[i])) return false;
        numbers += columns_of_native(&all[i]);
        *starts |= all[i].start_ms != 0;
        builder_clear(&scratch);
        layout_write(&all[i], &scratch);
        layouts[i] = bytes_copy(text_bytes(builder_text(&scratch)), &arena);
        times[i] = rows[i].time_ms;
    }
    if (numbers > HISTOGRAM_NUMBERS_MAX || bytes > HISTOGRAM_WIRE_BYTES_MAX) return false;
    builder_add_char(out, HISTOGRAMS_PACKED);
    UNFILLED uint8_t encoded[COLUMN_BYTES_MAX];
    builder_add_bytes(out, encoded, times_encode(times, count, encoded));
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && bytes_equal(layouts[from], layouts[to]);) to++;
        run_write(all + from, to - from, layouts[from], fast, &arena, out);
    }
    return true;
}

// ---- Unpacking ----

static bool begin(Bytes packed, size_t count, int64_t *times, Reader *reader) {
    *reader = reader_begin(packed);
    if (count == 0 || count > CHUNK_SAMPLES_MAX || reader_u8(reader) != HISTOGRAMS_PACKED)
        return false;
    size_t used;
    Bytes rest = {reader->at, reader_left(reader)};
    if (!times_decode(rest, count, times, &used, NULL)) return false;
    (void)reader_take(reader, used);
    return !reader->failed;
}

bool histograms_unpack_times(Bytes packed, size_t count, int64_t *out) {
    Reader reader;
    return begin(packed, count, out, &reader);
}

// What a piece may still hold.
typedef struct Room {
    size_t numbers, bytes;
} Room;

static bool run_read(Reader *reader, size_t rows, const int64_t *times, Room *room, Arena *arena,
                     HistogramRow *out) {
    AUTO(arena_free) Arena scratch = {0};
    Layout layout;
    if (!layout_read(reader, &scratch, &layout)) return false;
    bool starts = (layout.flags & LAYOUT_START) != 0;
    size_t columns = columns_of(&layout.positive, &layout.negative, starts);
    if (columns > room->numbers / rows) return false;
    room->numbers -= columns * rows;
    uint64_t *numbers = arena_push_array_raw(&scratch, uint64_t, columns * rows);
    bool is_float = (layout.flags & LAYOUT_FLOAT) != 0;
    for (size_t i = 0; i < columns; i++) {
        bool doubles = i + starts < columns && holds_doubles(is_float, i);
        if (!column_read(reader, rows, doubles, numbers + i * rows)) return false;
    }
    AUTO(builder_free) Builder wire = {0};
    for (size_t i = 0; i < rows; i++) {
        ArenaMark mark = arena_mark(&scratch);
        NativeHistogram histogram;
        numbers_give(&layout, times[i], rows, numbers + i, &scratch, &histogram);
        builder_clear(&wire);
        native_histogram_write(&histogram, &wire);
        if (wire.len > room->bytes) return false;
        room->bytes -= wire.len;
        out[i] = (HistogramRow){times[i], bytes_copy(text_bytes(builder_text(&wire)), arena)};
        arena_reset_to(&scratch, mark);
    }
    return true;
}

bool histograms_unpack(Bytes packed, size_t count, Arena *arena, HistogramRow **out) {
    UNFILLED int64_t times[CHUNK_SAMPLES_MAX];
    Reader reader;
    if (!begin(packed, count, times, &reader)) return false;
    HistogramRow *rows = arena_push_array(arena, HistogramRow, count);
    Room room = {HISTOGRAM_NUMBERS_MAX, HISTOGRAM_WIRE_BYTES_MAX};
    for (size_t at = 0; at < count;) {
        uint64_t run = reader_varint(&reader);
        if (reader.failed || run == 0 || run > count - at) return false;
        if (!run_read(&reader, run, times + at, &room, arena, rows + at)) return false;
        at += run;
    }
    *out = rows;
    return !reader.failed && reader_left(&reader) == 0;
}
