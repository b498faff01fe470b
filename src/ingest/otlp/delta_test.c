// Tests of the table of deltas itself: what it holds, what it gives back, where it ends.

#include "ingest/otlp/delta.h"

#include "base/limits.h"
#include "base/test.h"

enum { BUCKETS = 2000 };

static bool add(Test *t, DeltaTable *table, int stream, uint64_t time_ns, size_t buckets) {
    ArenaMark mark = arena_mark(t->arena);
    HistogramPoint point = {.head = {.time_ns = time_ns}, .count = 1, .has_sum = true, .sum = 2};
    point.counts = arena_push_array(t->arena, uint64_t, buckets + 1);
    point.bounds = arena_push_array(t->arena, double, buckets);
    point.count_count = buckets + 1;
    point.bound_count = buckets;
    for (size_t i = 0; i < buckets; i++) point.bounds[i] = (double)i;
    point.counts[0] = 1;
    Bytes name = text_bytes(text_format(t->arena, "stream %d", stream));
    bool ok = delta_histogram(table, name, t->arena, &point, t->err);
    arena_reset_to(t->arena, mark);
    return ok;
}

TEST(streams_of_many_buckets_are_bounded_by_their_memory) {
    DeltaTable *table = delta_table_new((HashKey){1, 2}, 100000, 1000);
    delta_table_turn(table, 1000);
    int most = (int)(LIMIT_OTLP_DELTA_BYTES / (BUCKETS * 16)), count = 0;
    while (count < most + 100 && add(t, table, count, 1, BUCKETS)) count++;
    check(t, count > most * 9 / 10 && count <= most + 1);
    check_i64(t, ERROR_TOO_MANY, t->err->code);
    check(t, strstr(t->err->message, "OTLP_DELTA_BYTES") != NULL);
    // Those that are there go on.
    check_ok(t, add(t, table, 0, 2, BUCKETS));
    // Nobody writes to this table any more: what it held is given back all the same.
    delta_table_expire(table, 5000);
    check_i64(t, 0, (int64_t)delta_table_count(table));
    check_i64(t, 0, delta_table_bytes(table));
    delta_table_free(&table);
}

TEST(small_streams_are_bounded_by_their_number) {
    DeltaTable *table = delta_table_new((HashKey){1, 2}, 50000, 1000);
    delta_table_turn(table, 1000);
    for (int i = 0; i < 50000; i++) check_ok(t, add(t, table, i, 1, 12));
    check_error(t, add(t, table, 50000, 1, 12), ERROR_TOO_MANY);
    check(t, delta_table_bytes(table) < 50 * MB);
    // Buckets that change in number are counted as well.
    for (int i = 0; i < 50000; i++) check_ok(t, add(t, table, i, 2, (size_t)(i % 3)));
    delta_table_forget(table);
    check_i64(t, 0, delta_table_bytes(table));
    delta_table_free(&table);
}

TEST_MAIN("otlp/delta", CASE(streams_of_many_buckets_are_bounded_by_their_memory),
          CASE(small_streams_are_bounded_by_their_number))
