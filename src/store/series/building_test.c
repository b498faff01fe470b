// Blocks that go to the disk in pieces are those that do not; a budget makes several blocks of a
// head and leaves blocks apart that would not fit into one, and answers are the same.

#include <stdio.h>
#include <stdlib.h>

#include "os/disk_fault.h"
#include "store/series/block.h"
#include "store/series/series_fixture.h"

enum { DAY_MS = 86400000 };

// ---- In pieces ----

// The pieces in memory; the n-th call fails.
typedef struct Pieces {
    Builder all;
    size_t adds, reads, fail_add, fail_read;  // 0: none fails
} Pieces;

static bool take_piece(void *context, Bytes piece, Error *err) {
    Pieces *pieces = context;
    if (++pieces->adds == pieces->fail_add) return error_set(err, ERROR_DISK_FULL, "planted");
    builder_add_bytes(&pieces->all, piece.at, piece.len);
    return true;
}

static bool give_piece(void *context, int64_t offset, void *into, size_t len, Error *err) {
    Pieces *pieces = context;
    if (++pieces->reads == pieces->fail_read) return error_set(err, ERROR_IO, "planted");
    if (offset < 0 || (size_t)offset + len > pieces->all.len)
        return error_set(err, ERROR_CORRUPT, "nothing there");
    memcpy(into, pieces->all.at + offset, len);
    return true;
}

// Series of noise, of which each fiftieth has the columns of one a hundred before: those are
// found again in pages that are gone.
static bool write_block(Test *t, Pieces *pieces, size_t piece_bytes, Builder *out, Error *err) {
    enum { ROWS = 300, SAMPLES = 100 };
    AUTO(block_writer_free) BlockWriter *writer = block_writer_begin();
    if (pieces != NULL)
        block_writer_into(writer, (BlockSink){pieces, piece_bytes, take_piece, give_piece});
    AUTO(builder_free) Builder wire = {0};
    for (int row = 0; row < ROWS; row++) {
        char name[16];
        int64_t times[SAMPLES];
        double values[SAMPLES];
        uint64_t random = t->seed + (uint64_t)(row % 50 == 49 ? row % 100 : row);
        snprintf(name, sizeof name, "%05d", row);
        builder_clear(&wire);
        labels_append(&wire, LABEL_NAME, TEXT("noise"));
        labels_append(&wire, TEXT("row"), text_from_cstring(name));
        for (int i = 0; i < SAMPLES; i++) {
            times[i] = FIXTURE_NOW_MS + i * 15000;
            values[i] = (double)(test_random(&random) >> 11) * 0x1p-53;
        }
        TRY(block_writer_series(writer, (Labels){text_bytes(builder_text(&wire))}, err));
        TRY(block_writer_samples(writer, times, values, SAMPLES, err));
    }
    BatchMetadata metadata = {TEXT("noise"), 2, TEXT("What nobody asked for."), TEXT("")};
    TRY(block_writer_metadata(writer, &metadata, err));
    return block_writer_finish(writer, out, err);
}

TEST(a_block_in_pieces_is_the_block) {
    Builder whole = {0};
    check_ok(t, write_block(t, NULL, 0, &whole, t->err));
    static const size_t sizes[] = {1, 1000, 70000, 1 << 30};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        Pieces pieces = {0};
        Builder rest = {0};
        check_ok(t, write_block(t, &pieces, sizes[i], &rest, t->err));
        check(t, sizes[i] == 1 << 30 ? pieces.adds == 0 : pieces.adds > 1 && pieces.reads > 0);
        builder_add(&pieces.all, builder_text(&rest));
        check_same_bytes(t, pieces.all.at, whole.at, whole.len);
        check_i64(t, whole.len, pieces.all.len);
        builder_free(&pieces.all);
        builder_free(&rest);
    }
    builder_free(&whole);
}

TEST(a_piece_that_cannot_be_put_or_read_fails_the_block) {
    Pieces all = {0};
    Builder rest = {0};
    check_ok(t, write_block(t, &all, 1, &rest, t->err));
    for (size_t nth = 1; nth <= all.adds; nth++) {
        Pieces pieces = {.fail_add = nth};
        check_error(t, write_block(t, &pieces, 1, &rest, t->err), ERROR_DISK_FULL);
        builder_free(&pieces.all);
    }
    for (size_t nth = 1; nth <= all.reads; nth++) {
        Pieces pieces = {.fail_read = nth};
        check_error(t, write_block(t, &pieces, 1, &rest, t->err), ERROR_IO);
        builder_free(&pieces.all);
    }
    check(t, all.adds > 3 && all.reads >= 2);
    builder_free(&all.all);
    builder_free(&rest);
}

// ---- Within a budget ----

enum { BUDGET = 2 * MB };

// `count` series from number `first` on, one sample each.
static void put_series(Fixture *f, uint32_t first, uint32_t count, int64_t time_ms) {
    for (uint32_t i = 0; i < count;) {
        fixture_clear(f);
        for (size_t row = 0; row < COUNT(f->wires) && i < count; row++, i++) {
            char number[24];
            snprintf(number, sizeof number, "request-%08u", first + i);
            fixture_row(f, "many", (const char *const[]){"request_id", number, NULL});
            fixture_sample(f, time_ms, first + i);
        }
        fixture_write(f);
    }
}

static void turn_and_seal(Test *t, Fixture *f) {
    check_ok(t, series_turn(f->store, t->err));
    check_ok(t, series_seal(f->store, t->err));
    check_i64(t, 0, atomic_load(&f->building.used));
}

// Merges until there is nothing to do; how many did something.
static int merge_all(Test *t, Fixture *f) {
    SeriesState state;
    int rounds = 0;
    for (bool more = true; more && rounds < 100; rounds++)
        check_ok(t, series_merge(f->store, &more, t->err));
    check(t, rounds < 100);
    check_i64(t, 0, atomic_load(&f->building.used));
    series_state(f->store, &state);
    return (int)state.merges;
}

// Series 0 … count - 1 are there, each with `samples` samples of its number.
static void check_all_there(Test *t, Fixture *f, uint32_t count, size_t samples) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {0};
    check_ok(t, series_view_open(f->store, 0, INT64_MAX, &view, t->err));
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    check_i64(t, count, found.count);
    if (found.count > 0) qsort(found.at, found.count, sizeof *found.at, fixture_by_labels);
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        check_ok(t, series_read(cursor, &found.at[i], 0, INT64_MAX, &columns, t->err));
        check_i64(t, samples, columns.count);
        for (size_t k = 0; k < columns.count; k++) check(t, columns.values[k] == (double)i);
    }
    series_cursor_close(&cursor);
    series_columns_free(&columns);
    series_view_close(&view);
}

static uint64_t blocks_of(Fixture *f) {
    SeriesState state;
    series_state(f->store, &state);
    return state.blocks;
}

TEST(a_head_of_many_series_becomes_several_blocks_within_the_budget) {
    for (int bound = 0; bound < 2; bound++) {
        Fixture f;
        fixture_begin(&f, t);
        f.building.limit = bound == 0 ? 0 : BUDGET;
        put_series(&f, 0, 30000, FIXTURE_NOW_MS);
        turn_and_seal(t, &f);
        // About 250 bytes each: without a bound it is one block.
        uint64_t blocks = blocks_of(&f);
        check(t, bound == 0 ? blocks == 1 : blocks >= 3 && blocks <= 6);
        check_all_there(t, &f, 30000, 1);
        // They are not merged again, and nobody tries for ever.
        check_i64(t, 0, merge_all(t, &f));
        check_i64(t, blocks, blocks_of(&f));
        fixture_close(&f);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        check_all_there(t, &f, 30000, 1);
        fixture_end(&f);
    }
}

TEST(blocks_are_merged_as_far_as_they_fit_into_one) {
    Fixture f;
    fixture_begin(&f, t);
    f.building.limit = BUDGET;
    // The same series again and again: together they are no more than one of them.
    for (int i = 0; i < 5; i++) {
        put_series(&f, 0, 5000, FIXTURE_NOW_MS + i * 15000);
        turn_and_seal(t, &f);
    }
    check_i64(t, 5, blocks_of(&f));
    check_i64(t, 1, merge_all(t, &f));
    check_i64(t, 1, blocks_of(&f));
    check_all_there(t, &f, 5000, 5);
    fixture_end(&f);

    // Others each time: as many as one block has room for, and the rest is left.
    fixture_begin(&f, t);
    f.building.limit = BUDGET;
    for (uint32_t i = 0; i < 12; i++) {
        put_series(&f, i * 2000, 2000, FIXTURE_NOW_MS);
        turn_and_seal(t, &f);
    }
    check_i64(t, 12, blocks_of(&f));
    check(t, merge_all(t, &f) > 0);
    uint64_t blocks = blocks_of(&f);
    check(t, blocks > 1 && blocks < 12);
    check_all_there(t, &f, 24000, 1);
    // With more memory the next life merges what this one could not.
    f.building.limit = 0;
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    clock_advance(&f.clock, 2 * (int64_t)DAY_MS);
    check(t, merge_all(t, &f) > 0);
    check_i64(t, 1, blocks_of(&f));
    check_all_there(t, &f, 24000, 1);
    fixture_end(&f);
}

static bool says_cold(Test *t, Fixture *f) {
    Bytes manifest;
    check_ok(t, disk_read_whole(fixture_disk(f), TEXT("data/tenants/7/MANIFEST"), MB, t->arena,
                                &manifest, t->err));
    return text_find(bytes_text(manifest), TEXT(" 256 1 30000 30000\n")) > 0;
}

// What need not be written again is not where there is no room for it; the next life may have more.
TEST(a_block_beyond_the_budget_is_not_written_again_cold) {
    Fixture f;
    fixture_begin(&f, t);
    put_series(&f, 0, 30000, FIXTURE_NOW_MS);
    turn_and_seal(t, &f);
    clock_advance(&f.clock, 2 * (int64_t)DAY_MS);
    for (int life = 0; life < 3; life++) {
        f.building.limit = life == 0 ? BUDGET : 0;
        check_i64(t, 0, merge_all(t, &f));  // it becomes no smaller
        check(t, says_cold(t, &f) == (life > 0));
        check_i64(t, 1, blocks_of(&f));
        check_all_there(t, &f, 30000, 1);
        fixture_close(&f);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        check_i64(t, 0, f.report.strangers);
    }
    fixture_end(&f);
}

// A day whose series do not fit into one block has tiers, of several blocks each, within the same
// budget: each call makes one of them.
TEST(tiers_of_a_day_beyond_the_budget_are_several_blocks) {
    Fixture f;
    SeriesState state;
    fixture_begin(&f, t);
    fixture_close(&f);
    for (size_t k = 0; k < SERIES_TIERS; k++) f.tiers[k].on = true;
    f.building.limit = BUDGET;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    // Two heads of the same series: all of them are in two blocks.
    for (int i = 0; i < 2; i++) {
        put_series(&f, 0, 20000, FIXTURE_NOW_MS + 1000 + i * 15000);
        turn_and_seal(t, &f);
    }
    clock_advance(&f.clock, 2 * (int64_t)DAY_MS);
    check_i64(t, 0, merge_all(t, &f));
    uint64_t blocks = blocks_of(&f);
    check(t, blocks >= 4);
    int calls = 0;
    for (bool more = true; more; calls += more) {
        check_ok(t, series_make_tiers(f.store, f.clock.wall_ms, &more, t->err));
        check_i64(t, 0, atomic_load(&f.building.used));
    }
    series_state(f.store, &state);
    check(t, state.tiers >= 2 * 3);
    check_i64(t, calls, state.tiers);
    check_all_there(t, &f, 20000, 2);
    // Every series has its window.
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns samples = {0};
    SeriesParts parts = {0};
    check_ok(t, series_view_open(f.store, 0, INT64_MAX, &view, t->err));
    check(t, series_view_add_tiers(view, f.store, 3600000));
    check_ok(t, series_select_tiers(view, (Matchers){0}, 0, t->arena, &found, t->err));
    check_i64(t, 20000, found.count);
    qsort(found.at, found.count, sizeof *found.at, fixture_by_labels);
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        check_ok(t, series_read_parts(cursor, &found.at[i], 0, INT64_MAX, UINT32_MAX, &parts,
                                      &samples, t->err));
        check(t, parts.count == 1 && parts.tiers_ms[0] == 3600000);
        check(t, parts.of[WINDOW_COUNT][0] == 2 && parts.of[WINDOW_LAST][0] == (double)i);
    }
    series_cursor_close(&cursor);
    series_view_close(&view);
    series_columns_free(&samples);
    series_parts_free(&parts);
    fixture_end(&f);
}

// What must be written again is, whatever it takes.
TEST(a_delete_is_carried_out_in_a_block_beyond_the_budget) {
    Fixture f;
    fixture_begin(&f, t);
    put_series(&f, 0, 30000, FIXTURE_NOW_MS);
    turn_and_seal(t, &f);
    f.building.limit = BUDGET;
    Matcher matcher = {MATCH_EQUAL, TEXT("request_id"), TEXT("request-00029999"), NULL};
    Matchers matchers = {&matcher, 1};
    check_ok(t, series_delete(f.store, &matchers, 1, INT64_MIN, INT64_MAX, t->err));
    check_ok(t, series_clean_deletes(f.store, t->err));
    SeriesState state;
    series_state(f.store, &state);
    check_i64(t, 1, state.blocks);
    check_i64(t, 29999, state.block_samples);
    check_i64(t, 0, atomic_load(&f.building.used));
    check_all_there(t, &f, 29999, 1);
    fixture_end(&f);
}

// Each call of the disk finds it full once, while the block goes there in pieces.
TEST(a_block_that_is_half_on_the_disk_leaves_nothing_behind) {
    for (uint64_t nth = 1;; nth++) {
        Fixture f = {.model = disk_model_new(), .piece_bytes = 1, .sequence = 1};
        clock_manual(&f.clock, FIXTURE_NOW_MS);
        DiskFault *fault = disk_fault_new(disk_model_disk(f.model));
        f.around = disk_fault_disk(fault);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        put_series(&f, 0, 500, FIXTURE_NOW_MS);
        check_ok(t, series_turn(f.store, t->err));
        disk_fault_plan(fault, (DiskFaultPlan){.nth = nth, .code = ERROR_DISK_FULL});
        bool finished = series_seal(f.store, t->err);
        check(t, finished || t->err->code == ERROR_DISK_FULL);
        finished = finished && disk_fault_seen(fault, DISK_CALL_ANY) < nth;
        disk_fault_plan(fault, (DiskFaultPlan){0});
        check_all_there(t, &f, 500, 1);
        // At once, or in the next round; at the next start there is nothing beside it.
        check_ok(t, series_seal(f.store, t->err));
        fixture_close(&f);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        DiskEntries entries;
        check_ok(t, f.objects->list(f.objects, TEXT("7/"), t->arena, &entries, t->err));
        check_i64(t, 1, entries.count);
        check_i64(t, 1, blocks_of(&f));
        check_all_there(t, &f, 500, 1);
        fixture_end(&f);
        disk_fault_free(&fault);
        arena_clear(t->arena);
        if (finished) break;
    }
}

TEST_MAIN("store/building", CASE(a_block_in_pieces_is_the_block),
          CASE(a_piece_that_cannot_be_put_or_read_fails_the_block),
          CASE(a_head_of_many_series_becomes_several_blocks_within_the_budget),
          CASE(blocks_are_merged_as_far_as_they_fit_into_one),
          CASE(a_block_beyond_the_budget_is_not_written_again_cold),
          CASE(tiers_of_a_day_beyond_the_budget_are_several_blocks),
          CASE(a_delete_is_carried_out_in_a_block_beyond_the_budget),
          CASE(a_block_that_is_half_on_the_disk_leaves_nothing_behind))
