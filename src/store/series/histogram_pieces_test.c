// Histograms of a series in a head, against a plain sorted list: in order, late, twice, and such as
// cannot be packed.

#include "store/series/histogram_pieces.h"

#include <stdio.h>

#include "base/test.h"
#include "model/native_histogram.h"

enum { ROWS_MAX = 3000 };

typedef struct World {
    Test *t;
    uint64_t random;
    HistogramPieces pieces;
    HistogramPeek peek;
    SeriesHistogram stated[ROWS_MAX];  // rising
    size_t count;
    size_t wire_bytes;
} World;

static void world_end(World *world) {
    histogram_pieces_free(&world->pieces);
    histogram_peek_free(&world->peek);
}

static uint64_t chance(World *world, uint64_t of) {
    return test_random(&world->random) % of;
}

// Grows with time, as a counter; `odd` has a field that is not known, so that it is not packed.
static Bytes wire_of(World *world, int64_t time_ms, uint64_t salt, bool odd) {
    int64_t grown = time_ms / 1000 + (int64_t)salt;
    int64_t deltas[] = {grown, grown / 2, -grown / 3, 5};
    HistogramSpan span = {-3, COUNT(deltas)};
    NativeHistogram native = {.schema = 2,
                              .count = (uint64_t)grown * 5,
                              .sum = (double)grown / 4,
                              .zero_threshold = 0x1p-128,
                              .zero_count = salt,
                              .positive = {&span, 1, deltas, NULL, COUNT(deltas)}};
    AUTO(builder_free) Builder out = {0};
    native_histogram_write(&native, &out);
    if (odd) builder_add(&out, TEXT("\xf8\x07\x01"));
    return bytes_copy(text_bytes(builder_text(&out)), world->t->arena);
}

static size_t place_of(const World *world, int64_t time_ms) {
    size_t at = 0;
    while (at < world->count && world->stated[at].time_ms < time_ms) at++;
    return at;
}

static void add(World *world, int64_t time_ms, Bytes wire) {
    size_t at = place_of(world, time_ms);
    Verdict stated = VERDICT_STORED;
    if (at < world->count && world->stated[at].time_ms == time_ms) {
        stated = bytes_equal(world->stated[at].wire, wire) ? VERDICT_DUPLICATE : VERDICT_CONFLICT;
    } else {
        memmove(&world->stated[at + 1], &world->stated[at],
                (world->count - at) * sizeof world->stated[0]);
        world->stated[at] = (SeriesHistogram){time_ms, wire};
        world->count++;
        world->wire_bytes += wire.len;
    }
    check_i64(world->t, stated, histogram_pieces_add(&world->pieces, &world->peek, time_ms, wire));
}

static void check_interval(World *world, int64_t from_ms, int64_t to_ms) {
    Test *t = world->t;
    AUTO(arena_free) Arena arena = {0};
    HistogramCopies copies = {0};
    SeriesHistogramArray found = {0};
    histogram_pieces_copy(&world->pieces, from_ms, to_ms, &arena, &copies);
    histogram_copies_unpack(&copies, from_ms, to_ms, &arena, &found);
    size_t first = place_of(world, from_ms), count = 0;
    while (first + count < world->count && world->stated[first + count].time_ms <= to_ms) {
        check(t, count < found.count);
        check_i64(t, world->stated[first + count].time_ms, found.at[count].time_ms);
        check(t, bytes_equal(world->stated[first + count].wire, found.at[count].wire));
        count++;
    }
    check_i64(t, count, found.count);
    check_i64(t, count, histogram_pieces_count(&world->pieces, from_ms, to_ms));
}

static void check_all(World *world) {
    check_interval(world, INT64_MIN, INT64_MAX);
    for (int i = 0; i < 20 && world->count > 0; i++) {
        int64_t a =
            world->stated[chance(world, world->count)].time_ms + (int64_t)chance(world, 3) - 1;
        int64_t b =
            world->stated[chance(world, world->count)].time_ms + (int64_t)chance(world, 3) - 1;
        check_interval(world, MIN(a, b), MAX(a, b));
    }
}

TEST(histograms_in_order_are_packed) {
    World *world = arena_push(t->arena, World);
    *world = (World){.t = t, .random = t->seed};
    check_all(world);
    for (int64_t i = 0; i < 480; i++) {
        int64_t time_ms = 1764000000000 + i * 15000;
        add(world, time_ms, wire_of(world, time_ms - 1764000000000, 0, false));
        if (i % 50 == 0) check_all(world);
    }
    check_all(world);
    printf("# %zu bytes on the wire, %lld in pieces\n", world->wire_bytes,
           (long long)world->pieces.bytes);
    check(t, world->pieces.bytes * 3 < (int64_t)world->wire_bytes);
    // All of them again, and others at their times.
    int64_t before = world->pieces.bytes;
    for (int64_t i = 0; i < 480; i++) {
        int64_t time_ms = 1764000000000 + i * 15000;
        add(world, time_ms, wire_of(world, time_ms - 1764000000000, 0, false));
        add(world, time_ms, wire_of(world, time_ms - 1764000000000, 1, false));
    }
    check_all(world);
    check_i64(t, before, world->pieces.bytes);
    world_end(world);
}

TEST(histograms_that_cannot_be_packed_are_kept_as_they_came) {
    World *world = arena_push(t->arena, World);
    *world = (World){.t = t, .random = t->seed};
    for (int64_t i = 0; i < 400; i++) add(world, i * 20, wire_of(world, i * 1000, 0, true));
    for (int64_t i = 0; i < 400; i++)
        add(world, i * 20 + 7, wire_of(world, i * 1000, 0, i % 2 > 0));
    // Again and again into one piece: it is cut, and never beyond what can be packed.
    for (int64_t i = 0; i < 1500; i++)
        add(world, 3000 * 100 - i, wire_of(world, i * 1000, 0, true));
    check_all(world);
    world_end(world);
}

TEST(random_lives_are_those_of_a_sorted_list) {
    for (uint64_t round = 0; round < 60; round++) {
        World *world = arena_push(t->arena, World);
        *world = (World){.t = t, .random = t->seed * 1000 + round};
        uint64_t odd = chance(world, 4) == 0 ? 1 + chance(world, 40) : 0;
        int64_t now_ms = 1764000000000;
        size_t steps = 50 + chance(world, 1200);
        for (size_t i = 0; i < steps && world->count < ROWS_MAX - 100; i++) {
            now_ms += 1 + (int64_t)chance(world, 30000);
            bool is_odd = odd > 0 && chance(world, odd) == 0;
            uint64_t what = chance(world, 40);
            int64_t time_ms = now_ms;
            if (what < 6) time_ms -= (int64_t)chance(world, 30000000);  // anywhere before
            if (what == 6) time_ms -= (int64_t)chance(world, 60000);    // just before
            if (what == 7 && world->count > 0)
                time_ms = world->stated[chance(world, world->count)].time_ms;  // again
            if (what == 8) {  // a run of old ones, rising or falling
                int64_t begin = now_ms - (int64_t)chance(world, 30000000), step = 1000;
                if (chance(world, 2) == 0) step = -step;
                for (int64_t k = 0; k < 60; k++)
                    add(world, begin + k * step, wire_of(world, now_ms % 1000000 + k, 0, is_odd));
            }
            add(world, time_ms, wire_of(world, now_ms % 1000000, chance(world, 2), is_odd));
            if (i % 200 == 0) check_all(world);
        }
        check_all(world);
        world_end(world);
    }
}

TEST_MAIN("store/histogram_pieces", CASE(histograms_in_order_are_packed),
          CASE(histograms_that_cannot_be_packed_are_kept_as_they_came),
          CASE(random_lives_are_those_of_a_sorted_list))
