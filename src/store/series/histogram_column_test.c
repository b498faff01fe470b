// Packed histograms: byte for byte what came, or plain; in blocks as in memory.

#include "store/series/histogram_column.h"

#include <math.h>
#include <stdio.h>

#include "base/test.h"
#include "model/native_histogram.h"
#include "store/series/block_fixture.h"
#include "store/series/chunk.h"

enum { BUCKETS_MAX = 60 };

// One series as a client makes it: a counter of integers (or floats) whose layout changes now and
// then.
typedef struct Source {
    uint64_t random;
    bool floats, custom, with_time;
    int64_t start_ms;  // 0: it does not say
    size_t buckets;
    int32_t first;
    uint64_t counts[BUCKETS_MAX];
    uint64_t zero;
    double sum;
} Source;

static void observe(Source *source, size_t observations) {
    for (size_t i = 0; i < observations; i++) {
        // Near the middle more often.
        size_t bucket = 0;
        for (size_t j = 0; j < 4; j++) bucket += test_random(&source->random) % source->buckets;
        source->counts[bucket / 4]++;
        source->sum += (double)(test_random(&source->random) % 4000) / 1000;
    }
    source->zero += test_random(&source->random) % 5 == 0;
}

static Bytes wire_of(Source *source, int64_t time_ms, HistogramResetHint hint, Arena *arena) {
    static const double bounds[BUCKETS_MAX] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                               0.5,   1,    2.5,   5,    10};
    int64_t deltas[BUCKETS_MAX];
    double counts[BUCKETS_MAX];
    uint64_t total = source->custom ? 0 : source->zero;
    for (size_t i = 0; i < source->buckets; i++) {
        deltas[i] = (int64_t)(source->counts[i] - (i > 0 ? source->counts[i - 1] : 0));
        counts[i] = (double)source->counts[i] / 2;
        total += source->counts[i];
    }
    HistogramSpan span = {source->first, (uint32_t)source->buckets};
    NativeHistogram native = {
        .time_ms = source->with_time ? time_ms : 0,
        .start_ms = source->start_ms,
        .schema = source->custom ? HISTOGRAM_SCHEMA_CUSTOM : 3,
        .is_float = source->floats,
        .reset_hint = hint,
        .sum = source->sum,
        .zero_threshold = source->custom ? 0 : 2.938735877055719e-39,
        .positive = {&span, 1, source->floats ? NULL : deltas, source->floats ? counts : NULL,
                     source->buckets},
    };
    if (source->custom) {
        native.custom_bounds = bounds;
        native.custom_bound_count = 11;
    }
    if (source->floats) {
        native.count_float = (double)total / 2;
        native.zero_count_float = source->custom ? 0 : (double)source->zero / 2;
    } else {
        native.count = total;
        native.zero_count = source->custom ? 0 : source->zero;
    }
    AUTO(builder_free) Builder out = {0};
    native_histogram_write(&native, &out);
    return bytes_copy(text_bytes(builder_text(&out)), arena);
}

static HistogramRow *rows_make(Source *source, size_t count, bool layouts_change, Arena *arena) {
    HistogramRow *rows = arena_push_array(arena, HistogramRow, count);
    int64_t time_ms = INT64_C(1764000000000);
    for (size_t i = 0; i < count; i++) {
        observe(source, test_random(&source->random) % 200);
        if (layouts_change && i % 37 == 36 && source->buckets < BUCKETS_MAX) source->buckets++;
        if (source->start_ms != 0 && i % 50 == 49) source->start_ms = time_ms - 1000;
        rows[i] = (HistogramRow){
            time_ms,
            wire_of(source, time_ms, i == 0 ? HISTOGRAM_RESET_UNKNOWN : HISTOGRAM_RESET_NO, arena)};
        time_ms += 15000 + (int64_t)(test_random(&source->random) % 3);
    }
    return rows;
}

static void check_round(Test *t, const HistogramRow *rows, size_t count, Builder *packed) {
    HistogramRow *again;
    bool starts;
    check(t, histograms_pack(rows, count, false, &starts, packed));
    check(t, histograms_unpack(text_bytes(builder_text(packed)), count, t->arena, &again));
    int64_t *times = arena_push_array(t->arena, int64_t, count);
    check(t, histograms_unpack_times(text_bytes(builder_text(packed)), count, times));
    for (size_t i = 0; i < count; i++) {
        check(t, again[i].time_ms == rows[i].time_ms && times[i] == rows[i].time_ms);
        check(t, bytes_equal(again[i].wire, rows[i].wire));
    }
}

TEST(every_kind_comes_back_byte_for_byte) {
    for (size_t kind = 0; kind < 32; kind++) {
        Source source = {.random = t->seed + kind,
                         .floats = (kind & 1) != 0,
                         .custom = (kind & 2) != 0,
                         .with_time = (kind & 4) != 0,
                         .start_ms = kind & 16 ? INT64_C(1763999990000) : 0,
                         .buckets = kind & 2 ? 12 : 8 + kind % 16,
                         .first = kind & 2 ? 0 : -20};
        size_t counts[] = {1, 2, 3, 100, source.floats ? 400 : CHUNK_SAMPLES_MAX};
        for (size_t i = 0; i < COUNT(counts); i++) {
            AUTO(builder_free) Builder packed = {0};
            HistogramRow *rows =
                rows_make(&source, counts[i], (kind & 8) != 0 && !source.custom, t->arena);
            check_round(t, rows, counts[i], &packed);
        }
    }
}

TEST(stale_markers_and_odd_numbers_come_back) {
    HistogramRow rows[4];
    const double sums[] = {1.5, NAN, -0.0, 0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        NativeHistogram native = {.sum = i == 3 ? stale_nan() : sums[i], .count = UINT64_MAX - i};
        AUTO(builder_free) Builder out = {0};
        native_histogram_write(&native, &out);
        rows[i] = (HistogramRow){(int64_t)i, bytes_copy(text_bytes(builder_text(&out)), t->arena)};
    }
    AUTO(builder_free) Builder packed = {0};
    check_round(t, rows, COUNT(rows), &packed);
}

TEST(what_would_not_come_back_is_not_packed) {
    Source source = {.random = t->seed, .buckets = 10};
    HistogramRow *rows = rows_make(&source, 5, false, t->arena);
    AUTO(builder_free) Builder packed = {0};
    bool starts;
    HistogramRow kept = rows[3];
    rows[3].wire = text_bytes(TEXT("no protobuf"));
    check(t, !histograms_pack(rows, 5, false, &starts, &packed) && packed.len == 0);
    // A field that we do not know, and one time that is another than the row's.
    AUTO(builder_free) Builder strange = {0};
    builder_add_bytes(&strange, kept.wire.at, kept.wire.len);
    builder_add(&strange, TEXT("\xf8\x07\x01"));
    rows[3].wire = text_bytes(builder_text(&strange));
    check(t, !histograms_pack(rows, 5, false, &starts, &packed) && packed.len == 0);
    source.with_time = true;
    rows[3].wire = wire_of(&source, rows[3].time_ms + 1, HISTOGRAM_RESET_NO, t->arena);
    check(t, !histograms_pack(rows, 5, false, &starts, &packed) && packed.len == 0);
    rows[3] = kept;
    check(t, histograms_pack(rows, 5, false, &starts, &packed));
}

// FORMAT.md has this example: three histograms of two buckets, 15 s apart.
TEST(bytes_once_written_are_read_for_ever) {
    static const uint8_t golden[] = {0x01, 0x02, 0xd0, 0x0f, 0xb0, 0xea, 0x01, 0x03, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
                                     0x02, 0x02, 0x00, 0x00, 0x00, 0x02, 0x06, 0x04, 0x01, 0x00,
                                     0x02, 0x0a, 0x02, 0x02, 0x02, 0x02, 0x02, 0x04, 0x02};
    HistogramRow *rows;
    check(t, histograms_unpack((Bytes){golden, sizeof golden}, 3, t->arena, &rows));
    for (size_t i = 0; i < 3; i++) {
        NativeHistogram native;
        check_ok(t, native_histogram_read(rows[i].wire, t->arena, &native, t->err));
        check_ok(t, native_histogram_check(&native, t->err));
        check(t, rows[i].time_ms == 1000 + (int64_t)i * 15000 && native.count == 3 + 2 * i);
        check(t, native.sum == 5 + (double)i && native.positive.bucket_count == 2);
        check(t, native.positive.deltas[0] == 1 + (int64_t)i && native.positive.deltas[1] == 1);
    }
    AUTO(builder_free) Builder packed = {0};
    bool starts;
    check(t, histograms_pack(rows, 3, false, &starts, &packed) && !starts);
    check_text(t, bytes_text((Bytes){golden, sizeof golden}), builder_text(&packed));
}

// The same with a start: flag 16, and a column behind the buckets.
TEST(bytes_with_starts_once_written_are_read_for_ever) {
    static const uint8_t golden[] = {
        0x01, 0x02, 0xd0, 0x0f, 0xb0, 0xea, 0x01, 0x03, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x02, 0x06, 0x04,
        0x01, 0x00, 0x02, 0x0a, 0x02, 0x02, 0x02, 0x02, 0x02, 0x04, 0x02, 0x01, 0xe8, 0x07};
    HistogramRow *rows;
    check(t, histograms_unpack((Bytes){golden, sizeof golden}, 3, t->arena, &rows));
    for (size_t i = 0; i < 3; i++) {
        NativeHistogram native;
        check_ok(t, native_histogram_read(rows[i].wire, t->arena, &native, t->err));
        check(t, native.start_ms == 500 && native.count == 3 + 2 * i);
    }
    AUTO(builder_free) Builder packed = {0};
    bool starts;
    check(t, histograms_pack(rows, 3, false, &starts, &packed) && starts);
    check_text(t, bytes_text((Bytes){golden, sizeof golden}), builder_text(&packed));
}

TEST(damaged_bytes_are_refused_or_other_histograms) {
    Source source = {.random = t->seed, .buckets = 10};
    HistogramRow *rows = rows_make(&source, 40, true, t->arena), *again;
    AUTO(builder_free) Builder packed = {0};
    check_round(t, rows, 40, &packed);
    for (size_t len = 0; len < packed.len; len++) {
        AUTO(arena_free) Arena arena = {0};
        check(t, !histograms_unpack((Bytes){(const uint8_t *)packed.at, len}, 40, &arena, &again));
    }
    for (size_t bit = 0; bit < packed.len * 8; bit++) {
        AUTO(arena_free) Arena arena = {0};
        packed.at[bit / 8] ^= (char)(1 << bit % 8);
        (void)!histograms_unpack(text_bytes(builder_text(&packed)), 40, &arena, &again);
        packed.at[bit / 8] ^= (char)(1 << bit % 8);
    }
    check(t, !histograms_unpack(text_bytes(builder_text(&packed)), 39, t->arena, &again));
    check(t, !histograms_unpack(text_bytes(builder_text(&packed)), 41, t->arena, &again));
}

// ---- In a block ----

typedef struct Expected {
    Test *t;
    const HistogramRow *rows;
    size_t at;
} Expected;

static bool as_expected(void *context, int64_t time_ms, Bytes wire, Error *err) {
    (void)err;
    Expected *expected = context;
    const HistogramRow *row = &expected->rows[expected->at++];
    check(expected->t, row->time_ms == time_ms && bytes_equal(row->wire, wire));
    return true;
}

TEST(a_block_of_histograms_is_small_and_gives_them_back) {
    enum { SERIES = 20, ROWS = 480 };
    BlockWriter *writer = block_writer_begin();
    HistogramRow *rows[SERIES];
    size_t plain = 0;
    for (size_t s = 0; s < SERIES; s++) {
        char name[2] = {(char)('a' + s), 0};
        Source source = {.random = t->seed + s, .buckets = 24, .first = -10};
        if (s % 2 == 1) source.start_ms = INT64_C(1763999990000);
        rows[s] = rows_make(&source, ROWS, true, t->arena);
        check_ok(t,
                 block_writer_series(writer, FIXTURE_LABELS(t->arena, "__name__", name), t->err));
        for (size_t i = 0; i < ROWS; i++) {
            plain += rows[s][i].wire.len;
            check_ok(t,
                     block_writer_histogram(writer, rows[s][i].time_ms, rows[s][i].wire, t->err));
        }
    }
    Builder out = {0};
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    printf("# %zu bytes on the wire, %zu in the block: %.1f and %.1f for each histogram\n", plain,
           out.len, (double)plain / (SERIES * ROWS), (double)out.len / (SERIES * ROWS));
    check(t, out.len * 3 < plain);
    MemoryObject memory;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    Block *block;
    check_ok(t, memory_block_open(&memory, &block, t->err));
    BlockCursor *cursor = block_cursor_open(block);
    SeriesColumns columns = {0};
    for (uint32_t s = 0; s < SERIES; s++) {
        Expected expected = {t, rows[s], 0};
        check_ok(t, block_each_histogram(cursor, s, INT64_MIN, INT64_MAX, as_expected, &expected,
                                         t->err));
        check_i64(t, ROWS, expected.at);
        expected.at = 100;
        check_ok(t, block_each_histogram(cursor, s, rows[s][100].time_ms, rows[s][299].time_ms,
                                         as_expected, &expected, t->err));
        check_i64(t, 300, expected.at);
        columns.histograms = 0;
        check_ok(
            t, block_read(cursor, s, rows[s][100].time_ms, rows[s][299].time_ms, &columns, t->err));
        check_i64(t, 200, columns.histograms);
    }
    AUTO(builder_free) Builder shown = {0};
    check_ok(t, block_inspect(block, true, NULL, &shown, t->err));
    check(t, text_find(builder_text(&shown), TEXT("version 3")) >= 0);
    series_columns_free(&columns);
    block_cursor_close(&cursor);
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&out);
}

// A service that nobody asks anything: its histograms take fewer bytes than there are of them.
TEST(histograms_that_never_change_are_read_from_a_block) {
    enum { ROWS = 3000 };
    BlockWriter *writer = block_writer_begin();
    Source source = {.random = t->seed, .buckets = 24, .first = -10};
    observe(&source, 1000);
    Bytes wire = wire_of(&source, 0, HISTOGRAM_RESET_NO, t->arena);
    HistogramRow *rows = arena_push_array(t->arena, HistogramRow, ROWS);
    check_ok(t, block_writer_series(writer, FIXTURE_LABELS(t->arena, "__name__", "a"), t->err));
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = (HistogramRow){INT64_C(1764000000000) + (int64_t)i * 15000, wire};
        check_ok(t, block_writer_histogram(writer, rows[i].time_ms, wire, t->err));
    }
    Builder out = {0};
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    check(t, out.len < ROWS);
    MemoryObject memory;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    Block *block;
    check_ok(t, memory_block_open(&memory, &block, t->err));
    BlockCursor *cursor = block_cursor_open(block);
    Expected expected = {t, rows, 0};
    check_ok(t,
             block_each_histogram(cursor, 0, INT64_MIN, INT64_MAX, as_expected, &expected, t->err));
    check_i64(t, ROWS, expected.at);
    AUTO(builder_free) Builder shown = {0};
    check_ok(t, block_inspect(block, true, NULL, &shown, t->err));
    block_cursor_close(&cursor);
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&out);
}

TEST_MAIN("store/histogram_column", CASE(every_kind_comes_back_byte_for_byte),
          CASE(stale_markers_and_odd_numbers_come_back),
          CASE(what_would_not_come_back_is_not_packed), CASE(bytes_once_written_are_read_for_ever),
          CASE(bytes_with_starts_once_written_are_read_for_ever),
          CASE(damaged_bytes_are_refused_or_other_histograms),
          CASE(a_block_of_histograms_is_small_and_gives_them_back),
          CASE(histograms_that_never_change_are_read_from_a_block))
