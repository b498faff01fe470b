// Every crash state of a scripted life: power is cut after each operation of the disk, what was not
// synced is dropped, kept or torn, and the store must open again with all that was sealed, nothing
// else, and never claim a log record as sealed that is not. And random lives, cut anywhere:
// batches, heads that become blocks, merges, deletes, blocks written again, retention of all and of
// some, tiers, openings, in any order. And the same lives while calls of the disk and allocations
// fail now and then (R5, R6).
//
// The same suite runs over disks that lie; if it does not notice, it proves nothing.

#include <stdlib.h>

#include "os/disk_fault.h"
#include "store/series/series_oracle.h"

enum {
    SEEDS_DEFAULT = 3,
    LIVES_DEFAULT = 60,
    SERIES = 6,
    DAY_MS = 86400000,
    STEPS_OF_A_LIFE = 30,
};

typedef struct Life {
    Fixture f;
    Oracle all;  // everything that was written
    // A delete that was asked for and not answered yet: it may be there or not, whole.
    bool deleting;
    uint32_t delete_series;
    int64_t delete_from_ms, delete_to_ms;
    uint64_t promised;  // the store said: below this the log is not needed
    int64_t dropped_before_ms;
    bool tiered;           // it has come to where tiers are made
    uint64_t random_seed;  // 0: the scripted life
    Matcher rule_matcher;
    SeriesKeep rule;                                     // of retention, in random lives
    uint64_t more_blocks, fewer_blocks, smaller_blocks;  // after a step
    uint64_t windows;                                    // of tiers that were looked at in the end
    DiskFault *fault;                                    // NULL: nothing fails
    uint64_t failures;                                   // steps that failed
} Life;

static void put_round(Life *life, uint64_t *random, int round) {
    Fixture *f = &life->f;
    fixture_clear(f);
    for (uint32_t series = 0; series < SERIES; series++) {
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

// Merges and tiers until nothing is left to do.
static bool keep_house(Fixture *f, Error *err) {
    for (bool merged = true, tiers = true; merged || tiers;) {
        TRY(series_merge(f->store, &merged, err));
        TRY(series_make_tiers(f->store, f->clock.wall_ms, &tiers, err));
    }
    return true;
}

// The last part of a life: tiers of days that are over are made, made again for a late sample, cut
// by a delete; samples of the older days go, and a delete takes from what is left of them.
static bool live_with_tiers(Life *life, Error *err) {
    Fixture *f = &life->f;
    bool more;
    life->tiered = true;
    TRY(keep_house(f, err));
    put_one(life, 0, FIXTURE_NOW_MS + 200000, 4713);
    TRY(series_turn(f->store, err));
    TRY(series_seal(f->store, err));
    trim(life);
    TRY(keep_house(f, err));
    TRY(forget(life, 0, FIXTURE_NOW_MS + 10000, FIXTURE_NOW_MS + 30000, err));
    TRY(series_clean_deletes(f->store, err));
    TRY(keep_house(f, err));
    TRY(series_retain(f->store, life->dropped_before_ms + f->retention_ms, &more, err));
    TRY(forget(life, 5, INT64_MIN, life->dropped_before_ms, err));
    return series_clean_deletes(f->store, err);
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
    return live_with_tiers(life, err);
}

// Some of the series, today or on one of the days before.
static void put_randomly(Life *life, uint64_t *random, int step) {
    Fixture *f = &life->f;
    int64_t day = test_random(random) % 3 == 0 ? (int64_t)(test_random(random) % 3) : 0;
    fixture_clear(f);
    for (uint32_t series = 0; series < SERIES; series++) {
        if (test_random(random) % 4 == 0) continue;
        Sample sample = {FIXTURE_NOW_MS - 60000 + step * 15000 - day * DAY_MS,
                         oracle_value(random)};
        oracle_row(f, series);
        oracle_write(&life->all, f, series, sample, oracle_start(series, sample.time_ms, random));
    }
    fixture_write(f);
}

static bool forget_randomly(Life *life, uint64_t *random, Error *err) {
    uint32_t series = (uint32_t)(test_random(random) % SERIES);
    int64_t from_ms = FIXTURE_NOW_MS - (int64_t)(test_random(random) % (2 * DAY_MS));
    if (test_random(random) % 3 == 0) return forget(life, series, INT64_MIN, INT64_MAX, err);
    return forget(life, series, from_ms, from_ms + (int64_t)(test_random(random) % DAY_MS), err);
}

// Something lately written comes once more, maybe after it was deleted.
static void put_again(Life *life, uint64_t *random) {
    size_t count = life->all.log.count;
    if (count == 0) return;
    OracleWrite again = life->all.log.at[count - 1 - test_random(random) % MIN(count, (size_t)30)];
    put_one(life, again.series, again.sample.time_ms, again.sample.value + 1);
}

// What the log has beyond the blocks.
static void replay(Life *life) {
    Fixture *f = &life->f;
    for (size_t i = 0; i < life->all.log.count; i++) {
        const OracleWrite *write = &life->all.log.at[i];
        if (write->sequence < f->report.sealed_sequence) continue;
        oracle_replay(f, write);
    }
}

// All that ends before some time, and of one name half a day more.
static bool let_go(Life *life, uint64_t *random, Error *err) {
    Fixture *f = &life->f;
    int64_t before_ms = FIXTURE_NOW_MS - DAY_MS / 4 - (int64_t)(test_random(random) % (2 * DAY_MS));
    int64_t now_ms = before_ms + f->retention_ms;
    life->dropped_before_ms = MAX(life->dropped_before_ms, now_ms - life->rule.keep_ms);
    for (bool more = true; more;) TRY(series_retain(f->store, now_ms, &more, err));
    return true;
}

// Of the steps those that keep house: writes and openings are for other suites to spoil.
static bool keeps_house(uint64_t dice) {
    return dice <= 10 || dice == 14 || dice == 15;
}

static bool random_step(Life *life, Test *t, uint64_t dice, uint64_t *random, int step,
                        Error *err) {
    Fixture *f = &life->f;
    bool more;
    switch (dice) {
        case 0:
            return series_turn(f->store, err);
        case 1:
        case 2:
        case 3:
        case 4:
            return series_turn(f->store, err) && series_seal(f->store, err);
        case 5:
        case 6:
            return series_merge(f->store, &more, err);
        case 7:
        case 8:
            return forget_randomly(life, random, err);
        case 9:
            return series_clean_deletes(f->store, err);
        case 10:
            return let_go(life, random, err);
        case 11:
            fixture_close(f);
            TRY(fixture_open(f, t->arena, err));
            replay(life);
            return true;
        case 12:
            clock_advance(&f->clock, DAY_MS);
            return true;
        case 13:
            put_again(life, random);
            return true;
        case 14:
            return series_make_tiers(f->store, f->clock.wall_ms, &more, err);
        case 15:
            return keep_house(f, err);
        default:
            put_randomly(life, random, step);
            return true;
    }
}

// In every other step that keeps house something fails, once or from then on.
static void spoil(Life *life, uint64_t dice, uint64_t *random) {
    static const ErrorCode codes[] = {ERROR_IO, ERROR_DISK_FULL, ERROR_NO_MEMORY};
    uint64_t how = test_random(random);
    if (!keeps_house(dice) || how % 2 == 0) return;
    uint64_t nth = 1 + (how >> 8) % 50;
    if (how >> 1 & 1) {
        memory_fail_after(1 + nth % 8, how >> 2 & 1);
        return;
    }
    disk_fault_plan(life->fault, (DiskFaultPlan){.nth = nth,
                                                 .for_ever = how >> 2 & 1,
                                                 .partial = how >> 3 & 1,
                                                 .code = codes[(how >> 4) % COUNT(codes)]});
}

static void unspoil(Life *life) {
    if (life->fault == NULL) return;
    disk_fault_plan(life->fault, (DiskFaultPlan){0});
    memory_fail_after(0, false);
}

// The step that failed leaves all as it was, or half done; a delete is asked for again.
static bool go_on(Life *life, Error *err) {
    life->failures++;
    if (life->deleting)
        TRY(forget(life, life->delete_series, life->delete_from_ms, life->delete_to_ms, err));
    return oracle_agrees(&life->all, &life->f, life->dropped_before_ms, INT64_MAX, err);
}

static bool live_randomly(Life *life, Test *t, Error *err) {
    uint64_t random = life->random_seed;
    TRY(fixture_open(&life->f, t->arena, err));
    for (int step = 0; step < STEPS_OF_A_LIFE; step++) {
        SeriesState before, after;
        series_state(life->f.store, &before);
        uint64_t dice = test_random(&random) % 22;
        if (life->fault != NULL) spoil(life, dice, &random);
        bool done = random_step(life, t, dice, &random, step, err);
        unspoil(life);
        if (!done && (life->fault == NULL || !go_on(life, err))) return false;
        series_state(life->f.store, &after);
        life->more_blocks += after.blocks > before.blocks;
        life->fewer_blocks += after.blocks < before.blocks;
        life->smaller_blocks +=
            after.blocks == before.blocks && after.block_bytes < before.block_bytes;
        trim(life);
    }
    return true;
}

static void life_end(Life *life) {
    oracle_free(&life->all);
    fixture_end(&life->f);
}

static bool windows_agree(Life *life, Error *err) {
    size_t seen;
    int64_t from_ms = FIXTURE_NOW_MS - 3 * (int64_t)DAY_MS;
    // In random lives samples may come late to a day of which samples were let go: then its tiers
    // are what was there before.
    if (life->random_seed != 0 && life->dropped_before_ms > 0)
        from_ms = MAX(from_ms, (life->dropped_before_ms / DAY_MS + 1) * DAY_MS);
    for (size_t k = 0; k < SERIES_TIERS; k++) {
        TRY(oracle_windows_agree(&life->all, &life->f, series_tiers_ms[k], from_ms,
                                 FIXTURE_NOW_MS + 2 * (int64_t)DAY_MS, &seen, err));
        life->windows += seen;
    }
    return true;
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
        oracle_replay(f, write);
    }
    int64_t from_ms = life->dropped_before_ms;
    Error without = {0};
    if (life->deleting && !oracle_agrees(&life->all, f, from_ms, INT64_MAX, &without))
        oracle_delete(&life->all, life->delete_series, life->delete_from_ms, life->delete_to_ms);
    TRY(oracle_agrees(&life->all, f, from_ms, INT64_MAX, err));
    // And the second life goes on.
    TRY(series_turn(f->store, err));
    TRY(series_seal(f->store, err));
    TRY(oracle_agrees(&life->all, f, from_ms, INT64_MAX, err));
    if (!life->tiered) return true;
    // Days are over: tiers have all there ever was of them, whether or not the samples are there.
    f->clock.wall_ms = MAX(f->clock.wall_ms, FIXTURE_NOW_MS + 3 * (int64_t)DAY_MS);
    TRY(keep_house(f, err));
    if (life->deleting && !windows_agree(life, &without))
        oracle_delete(&life->all, life->delete_series, life->delete_from_ms, life->delete_to_ms);
    return windows_agree(life, err);
}

typedef struct Crash {
    uint64_t life;  // 0: the scripted one, else the seed of a random one
    uint64_t operation;
    DiskLie lie;
    bool skip_sync;      // planted in the code instead of the disk
    bool faults;         // calls of the disk and allocations fail now and then
    int64_t series_max;  // of a block of the scripted life; 0: a day is one block
} Crash;

typedef struct Tally {
    size_t states, failed;
    Error first;
    uint64_t more_blocks, fewer_blocks, smaller_blocks, windows, failures;
} Tally;

// Another life with the same past, on a disk of its own.
static void life_copy(const Life *life, DiskModel *disk, Life *out) {
    *out = *life;
    out->f.model = disk;
    out->f.around = NULL;
    out->fault = NULL;
    out->f.batch = (Batch){0};
    memset(out->f.wires, 0, sizeof out->f.wires);
    clock_manual(&out->f.clock, life->f.clock.wall_ms);
    out->all = (Oracle){0};
    for (size_t i = 0; i < ORACLE_SERIES; i++) {
        for (size_t k = 0; k < life->all.samples[i].count; k++)
            *array_add(&out->all.samples[i]) = life->all.samples[i].at[k];
    }
    for (size_t i = 0; i < life->all.log.count; i++)
        *array_add(&out->all.log) = life->all.log.at[i];
}

// A life that is cut after an operation, and then every state its disk may be in. *operations: how
// many there were until then. True: it came to its end before.
static bool crash_states(Test *t, Crash crash, uint64_t seeds, uint64_t *operations, Tally *tally) {
    Life life = {.f = {.model = disk_model_new(),
                       .retention_ms = INT64_C(3650) * DAY_MS,
                       .memory = {.name = "ingest"},
                       .building = {.name = "blocks"},
                       // Half of the random lives have blocks that reach the disk in pieces.
                       .piece_bytes = crash.life >> 1 & 1,
                       // Half of them write blocks of days that are over again cold.
                       .cold_bytes = crash.life == 0 ? 1 : 1 + (int64_t)(crash.life >> 7 & 1) * MB,
                       // And half of them have days of several blocks.
                       .series_max = crash.life == 0 ? crash.series_max
                                                     : (int64_t)(crash.life >> 5 & 1) *
                                                           (1 + (int64_t)(crash.life >> 6 & 1) * 2),
                       .sequence = 1,
                       .skip_sync = crash.skip_sync},
                 .random_seed = crash.life,
                 .rule_matcher = {MATCH_EQUAL, LABEL_NAME, TEXT("temperature"), NULL}};
    life.rule = (SeriesKeep){{&life.rule_matcher, 1}, life.f.retention_ms - DAY_MS / 2};
    if (crash.life != 0) {
        life.f.rules = &life.rule;
        life.f.rule_count = 1;
    }
    // A quarter of the random lives have none.
    bool tiers = crash.life == 0 || (crash.life >> 2 & 3) != 0;
    for (size_t k = 0; k < SERIES_TIERS; k++) life.f.tiers[k].on = tiers;
    life.tiered = crash.life != 0 && tiers;
    clock_manual(&life.f.clock, FIXTURE_NOW_MS);
    disk_model_lie(life.f.model, crash.lie);
    disk_model_stop_at(life.f.model, crash.operation);
    if (crash.faults) {
        life.fault = disk_fault_new(disk_model_disk(life.f.model));
        life.f.around = disk_fault_disk(life.fault);
    }
    Error ended = {0};
    bool whole = crash.life == 0 ? live(&life, t, 77, &ended) : live_randomly(&life, t, &ended);
    fixture_close(&life.f);
    *operations = disk_model_operations(life.f.model);
    for (uint64_t seed = 0; seed < seeds + 2; seed++) {
        CrashKind kind = seed == 0 ? CRASH_DROP_ALL : seed == 1 ? CRASH_KEEP_ALL : CRASH_RANDOM;
        DiskModel *disk = disk_model_copy(life.f.model);
        Life after;
        Error why = {0};
        life_copy(&life, disk, &after);
        disk_model_crash(disk, kind, t->seed + seed);
        tally->states++;
        if (!survives(&after, t, &why) && tally->failed++ == 0) {
            error_context(&why, "life %llu, power cut after operation %llu, kind %d, seed %llu",
                          (unsigned long long)crash.life, (unsigned long long)crash.operation,
                          (int)kind, (unsigned long long)(t->seed + seed));
            tally->first = why;
        }
        tally->windows += after.windows;
        life_end(&after);
    }
    tally->more_blocks += life.more_blocks;
    tally->fewer_blocks += life.fewer_blocks;
    tally->smaller_blocks += life.smaller_blocks;
    tally->failures += life.failures;
    if (crash.faults && !whole && tally->failed++ == 0) {
        error_context(&ended, "life %llu, while calls fail", (unsigned long long)crash.life);
        tally->first = ended;
    }
    life_end(&life);
    disk_fault_free(&life.fault);
    arena_clear(t->arena);
    return whole;
}

// All crash states of the scripted life; the number that failed, the first of them in `err`.
static size_t crash_everywhere(Test *t, Crash crash, uint64_t seeds, uint64_t stride,
                               size_t *states, Error *err) {
    Tally tally = {0};
    bool whole = false;
    uint64_t operations;
    for (crash.operation = 1; !whole && crash.operation < 5000; crash.operation += stride)
        whole = crash_states(t, crash, seeds, &operations, &tally);
    *states += tally.states;
    if (tally.failed > 0) *err = tally.first;
    return tally.failed;
}

// Random lives, each to its end and then cut at some places.
static Tally crash_randomly(Test *t, DiskLie lie, uint64_t lives, uint64_t cuts, uint64_t seeds) {
    Tally tally = {0};
    uint64_t random = t->seed;
    for (uint64_t i = 0; i < lives; i++) {
        Crash crash = {.life = test_random(&random) | 1, .lie = lie};
        uint64_t all, until;
        check(t, crash_states(t, crash, 0, &all, &tally));
        for (uint64_t k = 0; k < cuts; k++) {
            crash.operation = 1 + test_random(&random) % MAX(all, UINT64_C(1));
            (void)crash_states(t, crash, seeds, &until, &tally);
        }
    }
    return tally;
}

static uint64_t wanted(const char *name, uint64_t by_day) {
    const char *given = getenv(name);
    uint64_t count;
    return given != NULL && text_to_u64(text_from_cstring(given), &count) ? count : by_day;
}

static void check_every_cut(Test *t, int64_t series_max) {
    size_t states = 0;
    size_t failed =
        crash_everywhere(t, (Crash){.series_max = series_max},
                         wanted("TRACEO_CRASH_SEEDS", SEEDS_DEFAULT), 1, &states, t->err);
    if (failed > 0)
        check_failed(t, __FILE__, __LINE__, "%zu of %zu crash states: %s", failed, states,
                     t->err->message);
    printf("# %zu crash states\n", states);
    check(t, states > 200);
}

TEST(r2_every_power_cut_leaves_a_store_that_opens_with_all_that_was_sealed) {
    check_every_cut(t, 0);
}

TEST(r2_every_power_cut_in_a_life_whose_days_and_tiers_are_several_blocks) {
    check_every_cut(t, 2);
}

static void check_noticed(Test *t, DiskLie lie, bool skip_sync) {
    size_t states = 0;
    Crash crash = {.lie = lie, .skip_sync = skip_sync};
    check(t, crash_everywhere(t, crash, SEEDS_DEFAULT, 5, &states, t->err) > 0);
}

TEST(r2_random_lives_with_deletes_merges_retention_and_tiers_survive_a_power_cut_anywhere) {
    uint64_t lives = wanted("TRACEO_CRASH_LIVES", LIVES_DEFAULT);
    Tally tally = crash_randomly(t, LIE_NONE, lives, 4, 2);
    printf(
        "# %llu random lives, %zu crash states; steps after which there were more blocks %llu, "
        "fewer %llu, the same and smaller %llu; %llu windows of tiers\n",
        (unsigned long long)lives, tally.states, (unsigned long long)tally.more_blocks,
        (unsigned long long)tally.fewer_blocks, (unsigned long long)tally.smaller_blocks,
        (unsigned long long)tally.windows);
    check(t, tally.windows > 100 * lives);
    check(t, tally.more_blocks > lives && tally.fewer_blocks > lives && tally.smaller_blocks > 0);
    if (tally.failed > 0)
        check_failed(t, __FILE__, __LINE__, "%zu of %zu: %s", tally.failed, tally.states,
                     tally.first.message);
}

// Calls of the disk and allocations fail now and then; at the end the power is cut.
static Tally fail_randomly(Test *t, DiskLie lie, uint64_t lives) {
    Tally tally = {0};
    uint64_t random = t->seed, until;
    for (uint64_t i = 0; i < lives; i++)
        (void)crash_states(t, (Crash){.life = test_random(&random) | 1, .lie = lie, .faults = true},
                           2, &until, &tally);
    return tally;
}

TEST(r5_r6_random_lives_go_on_while_calls_of_the_disk_and_allocations_fail) {
    uint64_t lives = wanted("TRACEO_CRASH_LIVES", LIVES_DEFAULT);
    Tally tally = fail_randomly(t, LIE_NONE, lives);
    printf("# %llu random lives, %llu steps that failed, %zu states, %llu windows of tiers\n",
           (unsigned long long)lives, (unsigned long long)tally.failures, tally.states,
           (unsigned long long)tally.windows);
    check(t, tally.failures > lives);
    if (tally.failed > 0)
        check_failed(t, __FILE__, __LINE__, "%zu of %zu: %s", tally.failed, tally.states,
                     tally.first.message);
    check(t, fail_randomly(t, LIE_SYNC, 6).failed > 0);  // planted
}

TEST(the_suite_notices_lies_in_random_lives) {
    check(t, crash_randomly(t, LIE_SYNC, 6, 4, 0).failed > 0);
    check(t, crash_randomly(t, LIE_SYNC_FOLDER, 6, 4, 0).failed > 0);
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
    Crash crash = {.lie = LIE_RENAME_EARLY};
    size_t failed = crash_everywhere(t, crash, SEEDS_DEFAULT, 5, &states, t->err);
    if (failed > 0)
        check_failed(t, __FILE__, __LINE__, "%zu of %zu: %s", failed, states, t->err->message);
    check_noticed(t, LIE_RENAME_EARLY, true);
}

TEST_MAIN(
    "store/series crash",
    CASE(r2_every_power_cut_leaves_a_store_that_opens_with_all_that_was_sealed),
    CASE(r2_every_power_cut_in_a_life_whose_days_and_tiers_are_several_blocks),
    CASE(r2_random_lives_with_deletes_merges_retention_and_tiers_survive_a_power_cut_anywhere),
    CASE(r5_r6_random_lives_go_on_while_calls_of_the_disk_and_allocations_fail),
    CASE(the_suite_notices_lies_in_random_lives),
    CASE(the_suite_notices_a_disk_that_does_not_sync_files),
    CASE(the_suite_notices_a_disk_that_does_not_sync_folders),
    CASE(the_suite_notices_a_rename_that_outruns_content_that_was_not_synced))
