// Rows in an order that nothing foretells: found by their hash, told apart by every byte, stored in
// the order of their series and yet as if they had come one after the other.

#include <stdlib.h>

#include "base/test.h"
#include "base/wide.h"
#include "store/series/head_fixture.h"
#include "store/series/row_order.h"

enum { SERIES = 3000, ROWS = 2500, STEP_MS = 15000 };
#define BEGIN_MS INT64_C(1795219200000)

static void side_write(Side *side) {
    head_resolve(side->head, NULL, &side->quota, clock_system(), &side->prediction, &side->batch,
                 BEGIN_MS, true, &side->counts);
    head_append(side->head, &side->batch, 1, BEGIN_MS);
    for (size_t i = 0; i < VERDICT_COUNT; i++) side->verdicts[i] += side->batch.counts[i];
    if (side->fault.code == ERROR_NONE) side->fault = side->batch.first_fault;
    batch_clear(&side->batch);
}

static Bytes labels_of(uint32_t series, Arena *arena) {
    Builder wire = {0};
    labels_append(&wire, LABEL_NAME, text_format(arena, "m%u", series % 7));
    labels_append(&wire, TEXT("long"),
                  text_format(arena, "%0*u", 1 + (int)(series * 37 % 140), series % 11));
    labels_append(&wire, TEXT("series"), text_format(arena, "%u", series));
    Bytes bytes = bytes_copy(text_bytes(builder_text(&wire)), arena);
    builder_free(&wire);
    return bytes;
}

typedef struct Row {
    Bytes labels;
    Sample samples[2];
    int64_t start_ms;
    uint32_t count;
    uint8_t verdict;
} Row;

// As a batch has them: some with two samples, some refused by who came before.
static void add_row(Batch *batch, const Row *row) {
    *array_add(&batch->series) = (BatchSeries){.labels = row->labels,
                                               .first_sample = (uint32_t)batch->samples.count,
                                               .sample_count = row->count};
    for (uint32_t i = 0; i < row->count; i++) {
        *array_add(&batch->samples) = row->samples[i];
        if (row->start_ms != 0) batch_add_start(batch, row->start_ms);
    }
    if (row->verdict != VERDICT_STORED)
        batch_refuse(batch, &batch->series.at[batch->series.count - 1], row->verdict, NULL);
}

static void check_same(Test *t, Side *a, Side *b, const Bytes *labels) {
    SeriesColumns first = {.wants_starts = true}, again = {.wants_starts = true};
    for (uint32_t i = 0; i < SERIES; i++) {
        uint32_t of_a = UINT32_MAX, of_b = UINT32_MAX;
        uint64_t hash = registry_hash(&a->head->registry, labels[i]);
        bool known = registry_find(&a->head->registry, labels[i], hash, &of_a);
        check(t, registry_find(&b->head->registry, labels[i], hash, &of_b) == known);
        if (!known) continue;
        first.count = again.count = 0;
        check_ok(t, head_read(a->head, NULL, of_a, INT64_MIN, INT64_MAX, &first, t->err));
        check_ok(t, head_read(b->head, NULL, of_b, INT64_MIN, INT64_MAX, &again, t->err));
        check_i64(t, (int64_t)again.count, (int64_t)first.count);
        for (size_t k = 0; k < first.count; k++) {
            check_i64(t, again.times[k], first.times[k]);
            check(t, again.values[k] == first.values[k]);
            check(t, first.has_starts == again.has_starts);
            if (first.has_starts) check_i64(t, again.starts[k], first.starts[k]);
        }
    }
    series_columns_free(&first);
    series_columns_free(&again);
}

// One head is given each request whole, which is sorted; the other in pieces that are too small for
// it. Requests name series twice, with the same time and another value, or with an older one.
static void check_shuffled(Test *t, bool starts) {
    Bytes *labels = arena_push_array(t->arena, Bytes, SERIES);
    for (uint32_t i = 0; i < SERIES; i++) labels[i] = labels_of(i, t->arena);
    Row *rows = arena_push_array(t->arena, Row, ROWS);
    Side whole, pieces;
    side_open(&whole);
    side_open(&pieces);
    uint64_t state = t->seed, sorted = 0;
    for (int64_t step = 0; step < 40; step++) {
        for (size_t i = 0; i < ROWS; i++) {
            int64_t time_ms = BEGIN_MS + step * STEP_MS;
            uint64_t kind = test_random(&state) % 100;
            rows[i] = (Row){.labels = labels[test_random(&state) % SERIES], .count = 1};
            if (kind < 3) time_ms -= (int64_t)(test_random(&state) % 30) * STEP_MS;  // too old, too
            if (kind == 3) rows[i].count = 2;
            if (kind == 4) rows[i].verdict = VERDICT_BAD_LABELS;
            if (kind == 5) rows[i].count = 0;
            if (starts && kind > 20) rows[i].start_ms = BEGIN_MS - (int64_t)kind;
            rows[i].samples[0] = (Sample){time_ms, (double)(test_random(&state) % 4)};
            rows[i].samples[1] = (Sample){time_ms + 1, (double)kind};
        }
        for (size_t i = 0; i < ROWS; i++) add_row(&whole.batch, &rows[i]);
        side_write(&whole);
        sorted += whole.batch.places.capacity > 0;
        for (size_t at = 0; at < ROWS; at += 100) {
            for (size_t i = at; i < at + 100; i++) add_row(&pieces.batch, &rows[i]);
            side_write(&pieces);
        }
    }
    check_i64(t, 0, (int64_t)pieces.batch.places.capacity);  // never sorted
    check(t, sorted > 30);
    check(t, whole.counts.looked_up > 30 * ROWS);
    check(t, whole.verdicts[VERDICT_CONFLICT] > 0 && whole.verdicts[VERDICT_DUPLICATE] > 0 &&
                 whole.verdicts[VERDICT_TOO_OLD] > 0);
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        check_i64(t, (int64_t)pieces.verdicts[i], (int64_t)whole.verdicts[i]);
    check(t, whole.fault.code != ERROR_NONE);
    check_text(t, text_from_cstring(pieces.fault.message), text_from_cstring(whole.fault.message));
    check_i64(t, (int64_t)atomic_load(&pieces.head->min_ms), atomic_load(&whole.head->min_ms));
    check_i64(t, (int64_t)atomic_load(&pieces.head->max_ms), atomic_load(&whole.head->max_ms));
    check_same(t, &whole, &pieces, labels);
    side_close(&whole);
    side_close(&pieces);
}

TEST(shuffled_rows_are_stored_as_if_they_came_one_by_one) {
    check_shuffled(t, false);
}

TEST(so_are_those_that_say_when_counting_began) {
    check_shuffled(t, true);
}

// Rows of `from` to `to`, without samples.
static void add_run(Batch *batch, const Bytes *labels, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++)
        *array_add(&batch->series) = (BatchSeries){.labels = labels[i]};
}

static void resolve(Test *t, Side *side) {
    head_resolve(side->head, NULL, &side->quota, clock_system(), &side->prediction, &side->batch,
                 BEGIN_MS, true, &side->counts);
    for (size_t i = 0; i < side->batch.series.count; i++) {
        const BatchSeries *row = &side->batch.series.at[i];
        check(t, registry_is(&side->head->registry, row->ref, row->labels));
    }
    batch_clear(&side->batch);
}

TEST(known_rows_behind_new_ones_are_known) {
    Bytes *labels = arena_push_array(t->arena, Bytes, SERIES);
    for (uint32_t i = 0; i < SERIES; i++) labels[i] = labels_of(i, t->arena);
    Side side;
    side_open(&side);
    add_run(&side.batch, labels, 0, 1000);
    resolve(t, &side);
    check_i64(t, 1000, (int64_t)side.counts.created);
    // What was taken for new because so much before it was.
    add_run(&side.batch, labels, 1000, 1100);
    add_run(&side.batch, labels, 0, 600);
    add_run(&side.batch, labels, 1100, 1200);
    add_run(&side.batch, labels, 600, 1000);
    add_run(&side.batch, labels, 1000, 1001);
    resolve(t, &side);
    check_i64(t, 1200, (int64_t)side.counts.created);
    check_i64(t, 1200, (int64_t)head_series(side.head));
    check_i64(t, 1000 + 1201,
              (int64_t)(side.counts.created + side.counts.predicted + side.counts.looked_up));
    // Who keeps to that order is foretold from then on.
    for (int again = 0; again < 2; again++) {
        side.counts = (HeadCounts){0};
        add_run(&side.batch, labels, 1000, 1100);
        add_run(&side.batch, labels, 0, 600);
        resolve(t, &side);
    }
    check(t, side.counts.predicted >= 699);
    side_close(&side);
}

// A label of more than 127 bytes is not said to be the neighbour's before series are made, and yet
// may be; slow assertions compare what links tell with the labels.
TEST(neighbours_that_share_a_long_label_follow_each_other) {
    enum { MANY = 40 };
    UNFILLED Bytes labels[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        Builder wire = {0};
        labels_append(&wire, LABEL_NAME, TEXT("m"));
        labels_append(&wire, TEXT("long"), text_format(t->arena, "%0140u", i / 10));
        labels_append(&wire, TEXT("series"), text_format(t->arena, "%u", i));
        labels_append(&wire, TEXT("zone"), TEXT("a"));
        labels[i] = bytes_copy(text_bytes(builder_text(&wire)), t->arena);
        builder_free(&wire);
    }
    Side side;
    side_open(&side);
    for (int again = 0; again < 3; again++) {
        side.counts = (HeadCounts){0};
        add_run(&side.batch, labels, 0, MANY);
        resolve(t, &side);
    }
    check_i64(t, MANY, (int64_t)head_series(side.head));
    check(t, side.counts.predicted >= MANY - 1);
    side_close(&side);
}

TEST(rows_are_sorted_by_series_and_keep_their_order_within_one) {
    Batch batch = {0};
    uint64_t state = t->seed;
    static const uint32_t ranges[] = {1, 2, 1000, 2047, 2048, 2049, 1u << 22, UINT32_MAX};
    for (size_t r = 0; r < COUNT(ranges); r++) {
        batch_clear(&batch);
        size_t kept = 0, count;
        uint32_t least = (uint32_t)test_random(&state) % (UINT32_MAX - ranges[r] + 1);
        for (size_t i = 0; i < 5000; i++) {
            BatchSeries *row = array_add(&batch.series);
            row->ref = least + (uint32_t)test_random(&state) % ranges[r];
            row->verdict = test_random(&state) % 10 == 0 ? VERDICT_LIMIT : VERDICT_STORED;
            kept += row->verdict == VERDICT_STORED;
        }
        const RowPlace *places = rows_by_series(&batch, &count);
        if (ranges[r] == 1) {
            check(t, places == NULL);
            continue;
        }
        check(t, places != NULL);
        check_i64(t, (int64_t)kept, (int64_t)count);
        for (size_t i = 0; i < count; i++) {
            const BatchSeries *row = &batch.series.at[places[i].row];
            check(t, row->ref == places[i].ref && row->verdict == VERDICT_STORED);
            if (i == 0) continue;
            check(t, places[i - 1].ref < places[i].ref ||
                         (places[i - 1].ref == places[i].ref && places[i - 1].row < places[i].row));
        }
    }
    batch_free(&batch);
}

TEST(rows_that_are_in_order_are_left_alone) {
    Batch batch = {0};
    size_t count = 7;
    for (uint32_t i = 0; i < 1000; i++) array_add(&batch.series)->ref = i % 100 * 10 + i / 100;
    check(t, rows_by_series(&batch, &count) == NULL);  // a step back for every hundred
    check_i64(t, 7, (int64_t)count);
    batch_clear(&batch);
    for (uint32_t i = 0; i < 255; i++) array_add(&batch.series)->ref = 255 - i;
    check(t, rows_by_series(&batch, &count) == NULL);  // too few
    batch_free(&batch);
}

// The same without wide registers.
static bool is_anywhere(const Registry *registry, uint32_t ref, Bytes wire) {
    bool there = wide_is_there;
    wide_is_there = false;
    bool is = registry_is(registry, ref, wire);
    wide_is_there = there;
    return is;
}

TEST(every_bit_of_labels_tells_series_apart) {
    Side side;
    side_open(&side);
    Registry *registry = &side.head->registry;
    for (uint32_t i = 0; i < 300; i++) {
        Bytes labels = labels_of(i, t->arena);
        // Just so many bytes: reading behind them is found out.
        uint8_t *at = memory_new_array(uint8_t, labels.len);
        memcpy(at, labels.at, labels.len);
        uint32_t ref;
        uint64_t hash = registry_hash(registry, labels);
        check_ok(
            t, registry_make(registry, labels, hash, (RegistryNear){UINT32_MAX, 0}, &ref, t->err));
        registry_publish(registry, ref, hash);
        check_i64(t, i, ref);
        Bytes same = {at, labels.len}, shorter = {at, labels.len - 1};
        check(t, registry_is(registry, ref, same) && is_anywhere(registry, ref, same));
        check(t, !registry_is(registry, ref, shorter));
        check(t, !is_anywhere(registry, ref, shorter));
        if (i > 0) check(t, !registry_is(registry, ref - 1, same));
        for (size_t bit = 0; bit < 8 * labels.len; bit++) {
            at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check(t, !registry_is(registry, ref, same));
            check(t, !is_anywhere(registry, ref, same));
            at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        memory_free(at);
    }
    side_close(&side);
}

TEST_MAIN("store/shuffled", CASE(shuffled_rows_are_stored_as_if_they_came_one_by_one),
          CASE(so_are_those_that_say_when_counting_began),
          CASE(known_rows_behind_new_ones_are_known),
          CASE(neighbours_that_share_a_long_label_follow_each_other),
          CASE(rows_are_sorted_by_series_and_keep_their_order_within_one),
          CASE(rows_that_are_in_order_are_left_alone), CASE(every_bit_of_labels_tells_series_apart))
