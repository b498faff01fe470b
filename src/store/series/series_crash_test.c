// Every crash state of a scripted life: power is cut after each operation of the disk, what was not
// synced is dropped, kept or torn, and the store must open again with all that was sealed, nothing
// else, and never claim a log record as sealed that is not.
//
// The same suite runs over disks that lie; if it does not notice, it proves nothing.

#include <stdlib.h>

#include "store/series/series_oracle.h"

enum { SEEDS_DEFAULT = 3 };

typedef struct Life {
    Fixture f;
    Oracle all;  // everything that was written
    // A delete that was asked for and not answered yet: it may be there or not, whole.
    bool deleting;
    uint32_t delete_series;
    int64_t delete_from_ms, delete_to_ms;
    uint64_t promised;  // the store said: below this the log is not needed
    int64_t dropped_before_ms;
} Life;

static void put_round(Life *life, uint64_t *random, int round) {
    Fixture *f = &life->f;
    fixture_clear(f);
    for (uint32_t series = 0; series < 6; series++) {
        Sample sample = {FIXTURE_NOW_MS - 60000 + round * 15000 +
                             (series == 5 && round % 3 == 0 ? -86400000 : 0),
                         oracle_value(random)};
        oracle_row(f, series);
        oracle_write(&life->all, f, series, sample, oracle_start(series, sample.time_ms, random));
    }
    *array_add(&f->batch.metadata) =
        (BatchMetadata){TEXT("temperature"), 2, TEXT("How warm."), TEXT("celsius")};
    fixture_write(f);
}

// One series between two times; from the answer on it must not come back.
static bool forget(Life *life, uint32_t series, int64_t from_ms, int64_t to_ms, Error *err) {
    char number[3] = {(char)('0' + series / 10), (char)('0' + series % 10), 0};
    Matcher matcher = {MATCH_EQUAL, TEXT("number"), text_from_cstring(number), NULL};
    Matchers matchers = {&matcher, 1};
    life->deleting = true;
    life->delete_series = series;
    life->delete_from_ms = from_ms;
    life->delete_to_ms = to_ms;
    TRY(series_delete(life->f.store, &matchers, 1, from_ms, to_ms, err));
    oracle_delete(&life->all, series, from_ms, to_ms);
    life->deleting = false;
    return true;
}

// A sample of a series at a time at which one was deleted.
static void put_one(Life *life, uint32_t series, int64_t time_ms, double value) {
    Fixture *f = &life->f;
    Sample sample = {time_ms, value};
    fixture_clear(f);
    oracle_row(f, series);
    oracle_write(&life->all, f, series, sample, time_ms - 5000);
    fixture_write(f);
}

// The log is trimmed by what the store says it needs; `promised` remembers the most that was ever
// trimmed.
static void trim(Life *life) {
    uint64_t needed = MIN(series_needed_sequence(life->f.store), life->f.sequence);
    life->promised = MAX(life->promised, needed);
}

// Ends at the first failure, as the process would when its disk goes away.
static bool live(Life *life, Test *t, uint64_t seed, Error *err) {
    Fixture *f = &life->f;
    uint64_t random = seed;
    bool more = true;
    TRY(fixture_open(f, t->arena, err));
    for (int round = 0; round < 10; round++) {
        put_round(life, &random, round);
        if (round % 2 == 1) TRY(series_turn(f->store, err));
        if (round % 2 == 1 && round != 5) TRY(series_seal(f->store, err));
        // Round 4: series 1 is in blocks and in the head. Round 6: all of series 2.
        if (round == 4) TRY(forget(life, 1, FIXTURE_NOW_MS - 45000, FIXTURE_NOW_MS + 30000, err));
        if (round == 4) put_one(life, 1, FIXTURE_NOW_MS - 30000, 4711);
        if (round == 6) TRY(forget(life, 2, INT64_MIN, INT64_MAX, err));
        trim(life);
    }
    while (more) TRY(series_merge(f->store, &more, err));
    trim(life);
    fixture_close(f);
    TRY(fixture_open(f, t->arena, err));
    put_round(life, &random, 10);
    TRY(forget(life, 3, FIXTURE_NOW_MS, INT64_MAX, err));
    put_one(life, 3, FIXTURE_NOW_MS, 4712);
    TRY(series_turn(f->store, err));
    TRY(series_seal(f->store, err));
    trim(life);
    TRY(series_clean_deletes(f->store, err));
    TRY(forget(life, 4, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 60000, err));
    trim(life);
    life->dropped_before_ms = FIXTURE_NOW_MS - 86400000 / 2;
    TRY(fixture_drop_before(f, life->dropped_before_ms, err));
    clock_advance(&f->clock, 2 * 86400000ll);
    more = true;
    while (more) TRY(series_merge(f->store, &more, err));
    trim(life);
    return true;
}

static void life_end(Life *life) {
    oracle_free(&life->all);
    fixture_end(&life->f);
}

// After the power is back: opens, sealed_sequence honest, blocks plus a replay of what was not
// trimmed give everything.
static bool survives(Life *life, Test *t, Error *err) {
    Fixture *f = &life->f;
    TRY(fixture_open(f, t->arena, err));
    if (f->report.blocks_damaged > 0) {
        return error_set(err, ERROR_CORRUPT, "%s", text_to_cstring(f->report.notes[0], t->arena));
    }
    // What the store says is sealed is not replayed; everything else is.
    for (size_t i = 0; i < life->all.log.count; i++) {
        const OracleWrite *write = &life->all.log.at[i];
        if (write->sequence < f->report.sealed_sequence) continue;
        if (write->sequence < life->promised) {
            return error_set(
                err, ERROR_CORRUPT,
                "record %llu was trimmed from the log, but only what is below %llu is sealed",
                (unsigned long long)write->sequence, (unsigned long long)f->report.sealed_sequence);
        }
        fixture_clear(f);
        oracle_row(f, write->series);
        oracle_to_batch(f, write);
        series_write_begin(f->store);
        series_resolve(f->store, &f->prediction, &f->batch, true);
        series_append(f->store, &f->batch, write->sequence);
        series_write_end(f->store);
    }
    int64_t from_ms = life->dropped_before_ms == 0 ? 0 : FIXTURE_NOW_MS - 86400000 / 2;
    Error without = {0};
    if (life->deleting && !oracle_agrees(&life->all, f, from_ms, INT64_MAX, &without))
        oracle_delete(&life->all, life->delete_series, life->delete_from_ms, life->delete_to_ms);
    TRY(oracle_agrees(&life->all, f, from_ms, INT64_MAX, err));
    // And the second life goes on.
    TRY(series_turn(f->store, err));
    TRY(series_seal(f->store, err));
    return oracle_agrees(&life->all, f, from_ms, INT64_MAX, err);
}

typedef struct Crash {
    uint64_t operation;
    CrashKind kind;
    uint64_t seed;
    DiskLie lie;
    bool skip_sync;  // planted in the code instead of the disk
} Crash;

// One life, cut after `operation`; *whole tells whether it came to its end before.
static bool crash_once(Test *t, Crash crash, bool *whole, Error *err) {
    Life life = {.f = {.model = disk_model_new(),
                       .retention_ms = INT64_C(3650) * 86400000,
                       .memory = {.name = "ingest"},
                       .sequence = 1,
                       .skip_sync = crash.skip_sync}};
    clock_manual(&life.f.clock, FIXTURE_NOW_MS);
    disk_model_lie(life.f.model, crash.lie);
    disk_model_stop_at(life.f.model, crash.operation);
    Error ended = {0};
    *whole = live(&life, t, 77, &ended);
    fixture_close(&life.f);
    disk_model_crash(life.f.model, crash.kind, crash.seed);
    bool fine = survives(&life, t, err);
    life_end(&life);
    return fine;
}

// All crash states; the number that failed, the first of them in `err`.
static size_t crash_everywhere(Test *t, DiskLie lie, bool skip_sync, uint64_t seeds,
                               uint64_t stride, size_t *states, Error *err) {
    size_t failed = 0;
    bool whole = false;
    for (uint64_t operation = 1; !whole && operation < 5000; operation += stride) {
        for (uint64_t seed = 0; seed < seeds + 2; seed++) {
            Crash crash = {operation,
                           seed == 0   ? CRASH_DROP_ALL
                           : seed == 1 ? CRASH_KEEP_ALL
                                       : CRASH_RANDOM,
                           t->seed + seed, lie, skip_sync};
            Error why = {0};
            (*states)++;
            if (crash_once(t, crash, &whole, &why)) continue;
            error_context(&why, "power cut after operation %llu, kind %d, seed %llu",
                          (unsigned long long)operation, (int)crash.kind,
                          (unsigned long long)crash.seed);
            if (failed++ == 0) *err = why;
        }
        arena_clear(t->arena);
    }
    return failed;
}

static uint64_t seeds_wanted(void) {
    const char *given = getenv("TRACEO_CRASH_SEEDS");
    uint64_t seeds;
    return given != NULL && text_to_u64(text_from_cstring(given), &seeds) ? seeds : SEEDS_DEFAULT;
}

TEST(r2_every_power_cut_leaves_a_store_that_opens_with_all_that_was_sealed) {
    size_t states = 0;
    size_t failed = crash_everywhere(t, LIE_NONE, false, seeds_wanted(), 1, &states, t->err);
    if (failed > 0)
        check_failed(t, __FILE__, __LINE__, "%zu of %zu crash states: %s", failed, states,
                     t->err->message);
    printf("# %zu crash states\n", states);
    check(t, states > 200);
}

static void check_noticed(Test *t, DiskLie lie, bool skip_sync) {
    size_t states = 0;
    check(t, crash_everywhere(t, lie, skip_sync, SEEDS_DEFAULT, 5, &states, t->err) > 0);
}

TEST(the_suite_notices_a_disk_that_does_not_sync_files) {
    check_noticed(t, LIE_SYNC, false);
}

TEST(the_suite_notices_a_disk_that_does_not_sync_folders) {
    check_noticed(t, LIE_SYNC_FOLDER, false);
}

// A name that is durable before its time is harmless as long as the content was synced first, and
// only then.
TEST(the_suite_notices_a_rename_that_outruns_content_that_was_not_synced) {
    size_t states = 0;
    size_t failed = crash_everywhere(t, LIE_RENAME_EARLY, false, SEEDS_DEFAULT, 5, &states, t->err);
    if (failed > 0)
        check_failed(t, __FILE__, __LINE__, "%zu of %zu: %s", failed, states, t->err->message);
    check_noticed(t, LIE_RENAME_EARLY, true);
}

TEST_MAIN("store/series crash",
          CASE(r2_every_power_cut_leaves_a_store_that_opens_with_all_that_was_sealed),
          CASE(the_suite_notices_a_disk_that_does_not_sync_files),
          CASE(the_suite_notices_a_disk_that_does_not_sync_folders),
          CASE(the_suite_notices_a_rename_that_outruns_content_that_was_not_synced))
