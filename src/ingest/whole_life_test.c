// The life of whole_life.h, spoilt: the power is cut after every operation of the disk (R2), every
// call of disk and memory fails in its turn (R5, R6), a sync that failed reports success the next
// time though what it should have written is gone (R7), the disk is full from any step on (R8).
//
// Each suite first catches its planted fault: a disk that does not sync, errors that are ignored, a
// sync that is tried again until it says yes.

#include <stdlib.h>

#include "ingest/whole_life.h"
#include "os/disk_fault.h"

enum { STEPS = sizeof WHOLE_SCRIPT - 1 };

typedef struct Tally {
    uint64_t states, broken;
    char first[900];
} Tally;

static void tally_add(Tally *tally, const char *how, const char *why) {
    tally->states++;
    if (why != NULL && tally->broken++ == 0)
        snprintf(tally->first, sizeof tally->first, "%s: %s", how, why);
}

static void check_nothing_broken(Test *t, const Tally *tally) {
    if (tally->broken > 0)
        check_failed(t, __FILE__, __LINE__, "%llu of %llu states break a promise; %s",
                     (unsigned long long)tally->broken, (unsigned long long)tally->states,
                     tally->first);
}

static int rounds_wanted(const char *name, int by_day) {
    const char *given = getenv(name);
    uint64_t rounds;
    return given != NULL && text_to_u64(text_from_cstring(given), &rounds) ? (int)rounds : by_day;
}

static void judge(WholeLife *life, Disk *disk, const char *how, Tally *tally) {
    AUTO(arena_free) Arena arena = {0};
    tally_add(tally, how, whole_wrong_after(life, disk, &arena));
}

// Lives until a step fails; `goes_on`: until the end whatever fails, and then what is there is
// asked for: never a wrong answer, and what is missing is said. True: nothing failed.
static bool live(WholeLife *life, Disk *disk, bool goes_on, const char *how, Tally *tally,
                 Error *err) {
    bool fine = whole_open(life, disk, err);
    if (!fine) return false;
    for (int i = 0; i < STEPS; i++) {
        Error again = {0};
        bool done = whole_step(life, WHOLE_SCRIPT[i], fine ? err : &again);
        fine &= done;
        if (!done && !goes_on) break;
    }
    AUTO(arena_free) Arena arena = {0};
    if (goes_on && !life->ignores_errors && tally != NULL) {
        const char *said = NULL;
        const char *wrong = whole_wrong(life, true, &said, &arena);
        if (wrong != NULL) tally_add(tally, how, wrong);
    }
    whole_close(life);
    return fine;
}

static void check_whole_life(Test *t, int64_t series_max) {
    WholeLife life = {.series_max = series_max};
    whole_begin(&life, t, "whole");
    DiskModel *model = disk_model_new();
    check_ok(t, whole_open(&life, disk_model_disk(model), t->err));
    bool merged = false, rewritten = false, dropped = false;
    SeriesState last = {0};
    for (int i = 0; i < STEPS; i++) {
        Tenant *tenant;
        SeriesState before = {0}, after;
        check_ok(t, store_tenant(life.store, TENANT_DEFAULT_NAME, true, &tenant, t->err));
        series_state(tenant->series, &before);
        check_ok(t, whole_step(&life, WHOLE_SCRIPT[i], t->err));
        series_state(tenant->series, &after);
        last = after;
        const char *wrong = whole_wrong(&life, false, NULL, t->arena);
        if (wrong != NULL) check_failed(t, __FILE__, __LINE__, "step %d: %s", i, wrong);
        if (WHOLE_SCRIPT[i] == 'm' && after.blocks < before.blocks)
            *(i < STEPS - 8 ? &merged : &dropped) = true;
        if (WHOLE_SCRIPT[i] == 'c' && after.block_bytes < before.block_bytes) rewritten = true;
    }
    check(t, merged || series_max == 1);  // of blocks of one series each no two follow each other
    check(t, rewritten);
    check(t, dropped);
    check_i64(t, series_max == 0 ? 2 : 4, last.tiers);  // of the day that samples were let go of
    whole_close(&life);
    const char *wrong = whole_wrong_after(&life, disk_model_disk(model), t->arena);
    if (wrong != NULL) check_failed(t, __FILE__, __LINE__, "%s", wrong);
    disk_model_free(&model);
    whole_forget_catalog(&life);
}

TEST(a_whole_life_keeps_its_promises_and_does_all_that_it_should) {
    check_whole_life(t, 0);
    check_whole_life(t, 1);
}

// The suite can fail: without tiers what was let go is nowhere.
TEST(samples_that_are_let_go_without_tiers_are_caught) {
    WholeLife life = {.no_tiers = true};
    Tally tally = {0};
    Error err = {0};
    DiskModel *model = disk_model_new();
    whole_begin(&life, t, "whole-untiered");
    check(t, live(&life, disk_model_disk(model), false, "", NULL, &err));
    judge(&life, disk_model_disk(model), "at the end", &tally);
    check(t, tally.broken == 1);
    disk_model_free(&model);
    whole_forget_catalog(&life);
}

// ---- R2
// -------------------------------------------------------------------------------------------

static Tally every_crash(Test *t, DiskLie lie, int64_t series_max, int random_states,
                         uint64_t stride) {
    Tally tally = {0};
    WholeLife life = {.series_max = series_max};
    for (uint64_t stop = 1;; stop += stride) {
        whole_begin(&life, t, "whole-crash");
        whole_forget_catalog(&life);
        DiskModel *model = disk_model_new();
        disk_model_lie(model, lie);
        disk_model_stop_at(model, stop);
        Error err = {0};
        bool whole = live(&life, disk_model_disk(model), false, "", NULL, &err);
        for (int kind = 0; kind < 2 + random_states; kind++) {
            DiskModel *crashed = disk_model_copy(model);
            uint64_t seed = t->seed * 1000003 + stop * 31 + (uint64_t)kind;
            disk_model_crash(crashed,
                             kind == 0   ? CRASH_DROP_ALL
                             : kind == 1 ? CRASH_KEEP_ALL
                                         : CRASH_RANDOM,
                             seed);
            char how[160];
            snprintf(how, sizeof how, "cut after operation %llu, state %d (seed %llu; %.60s)",
                     (unsigned long long)stop, kind, (unsigned long long)seed, err.message);
            judge(&life, disk_model_disk(crashed), how, &tally);
            disk_model_free(&crashed);
        }
        disk_model_free(&model);
        whole_forget_catalog(&life);
        if (whole) return tally;
    }
}

TEST(no_crash_state_of_deletes_merges_tiers_and_retention_breaks_a_promise) {
    // By day one cut in three; at night all of them, in a thousand states each.
    int states = rounds_wanted("TRACEO_WHOLE_STATES", 1);
    for (int64_t series_max = 0; series_max < 2; series_max++) {
        Tally tally = every_crash(t, LIE_NONE, series_max, states, states > 1 ? 1 : 3);
        printf("# %llu crash states\n", (unsigned long long)tally.states);
        check(t, tally.states > 300);
        check_nothing_broken(t, &tally);
    }
}

TEST(a_disk_that_lies_about_syncing_is_caught) {
    check(t, every_crash(t, LIE_SYNC, 0, 1, 17).broken > 0);
    check(t, every_crash(t, LIE_SYNC_FOLDER, 0, 1, 17).broken > 0);
}

// ---- R5, R6
// ---------------------------------------------------------------------------------------

static bool life_with_fault(WholeLife *life, DiskFaultPlan plan, Tally *tally) {
    whole_begin(life, life->t, "whole-fault");
    whole_forget_catalog(life);
    DiskModel *model = disk_model_new();
    DiskFault *fault = disk_fault_new(disk_model_disk(model));
    disk_fault_plan(fault, plan);
    Error err = {0};
    char how[200];
    snprintf(how, sizeof how, "call %d number %llu fails with %s%s%s", (int)plan.call,
             (unsigned long long)plan.nth, error_code_name(plan.code),
             plan.for_ever ? " for ever" : "", plan.partial ? ", half written" : "");
    (void)live(life, disk_fault_disk(fault), true, how, tally, &err);
    bool reached = disk_fault_seen(fault, plan.call) >= plan.nth;
    disk_fault_free(&fault);
    judge(life, disk_model_disk(model), how, tally);
    disk_model_crash(model, CRASH_RANDOM, life->t->seed + plan.nth);
    judge(life, disk_model_disk(model), how, tally);
    disk_model_free(&model);
    whole_forget_catalog(life);
    return reached;
}

// Every `stride`-th call of the plan's kind in turn. Returns how many there were.
static uint64_t fail_each(WholeLife *life, DiskFaultPlan plan, uint64_t stride, Tally *tally) {
    plan.nth = 1;
    while (life_with_fault(life, plan, tally)) plan.nth += stride;
    return plan.nth;
}

TEST(each_disk_call_may_fail_and_no_promise_is_broken) {
    static const DiskFaultPlan plans[] = {
        {.call = DISK_CALL_ANY, .code = ERROR_IO},
        {.call = DISK_CALL_ANY, .code = ERROR_IO, .for_ever = true},
        {.call = DISK_CALL_WRITE, .code = ERROR_DISK_FULL, .partial = true},
        {.call = DISK_CALL_ANY, .code = ERROR_DISK_FULL, .for_ever = true},
        {.call = DISK_CALL_MAP, .code = ERROR_NO_MEMORY},
        {.call = DISK_CALL_REMOVE, .code = ERROR_IO, .for_ever = true},
    };
    Tally tally = {0};
    WholeLife life = {.t = t};
    uint64_t stride = getenv("TRACEO_NIGHT") != NULL ? 1 : 11;
    for (size_t i = 0; i < 2 * COUNT(plans); i++) {
        life.series_max = (int64_t)(i % 2);
        check(t, fail_each(&life, plans[i / 2], stride, &tally) > 4);
    }
    printf("# %llu states after a failing disk call\n", (unsigned long long)tally.states);
    check_nothing_broken(t, &tally);
}

TEST(a_failure_of_the_disk_that_is_ignored_is_caught) {
    Tally tally = {0};
    WholeLife life = {.t = t, .ignores_errors = true};
    DiskFaultPlan plan = {.call = DISK_CALL_WRITE, .code = ERROR_IO, .for_ever = true};
    check(t, fail_each(&life, plan, 9, &tally) > 4);
    check(t, tally.broken > 0);
}

TEST(each_large_allocation_may_fail_and_no_promise_is_broken) {
    Tally tally = {0};
    WholeLife life = {.t = t};
    bool night = getenv("TRACEO_NIGHT") != NULL, reached = true;
    for (uint64_t nth = 1; reached; nth += night ? 1 : 5) {
        life.series_max = (int64_t)(nth % 2);
        whole_begin(&life, t, "whole-memory");
        whole_forget_catalog(&life);
        DiskModel *model = disk_model_new();
        Error err = {0};
        char how[80];
        snprintf(how, sizeof how, "allocation %llu fails", (unsigned long long)nth);
        memory_fail_after(nth, false);
        (void)live(&life, disk_model_disk(model), true, how, &tally, &err);
        reached = memory_fail_after(0, false) >= nth;
        judge(&life, disk_model_disk(model), how, &tally);
        disk_model_free(&model);
        whole_forget_catalog(&life);
    }
    printf("# %llu lives with a failing allocation\n", (unsigned long long)tally.states);
    check(t, tally.states > 10);
    check_nothing_broken(t, &tally);
}

// ---- R7: a sync that lies
// ---------------------------------------------------------------------------

// Planted: a disk whose sync is asked again when it failed, and believed.
typedef struct Stubborn {
    Disk disk;
    Disk *inner;
} Stubborn;

static bool stubborn_sync(Disk *disk, File *file, Error *err) {
    Stubborn *stubborn = (Stubborn *)disk;
    return stubborn->inner->sync(disk, file, err) || stubborn->inner->sync(disk, file, err);
}

static bool stubborn_sync_data(Disk *disk, File *file, Error *err) {
    Stubborn *stubborn = (Stubborn *)disk;
    return stubborn->inner->sync_data(disk, file, err) ||
           stubborn->inner->sync_data(disk, file, err);
}

static void life_with_lost_sync(WholeLife *life, uint64_t nth, bool retried, Tally *tally) {
    whole_begin(life, life->t, "whole-sync");
    whole_forget_catalog(life);
    DiskModel *model = disk_model_new();
    Stubborn stubborn = {*disk_model_disk(model), disk_model_disk(model)};
    stubborn.disk.sync = stubborn_sync;
    stubborn.disk.sync_data = stubborn_sync_data;
    disk_model_fail_sync(model, nth);
    Error err = {0};
    char how[120];
    snprintf(how, sizeof how, "sync %llu fails, those after it say yes", (unsigned long long)nth);
    Disk *disk = retried ? &stubborn.disk : disk_model_disk(model);
    (void)live(life, disk, true, how, tally, &err);
    // What the page cache shows is not what the platter holds.
    for (int kind = 0; kind < 3; kind++) {
        DiskModel *crashed = disk_model_copy(model);
        disk_model_crash(crashed, kind == 0 ? CRASH_DROP_ALL : CRASH_RANDOM,
                         life->t->seed + nth * 3 + (uint64_t)kind);
        judge(life, disk_model_disk(crashed), how, tally);
        disk_model_free(&crashed);
    }
    disk_model_free(&model);
    whole_forget_catalog(life);
}

// Of files and folders, in a life in which none fails.
static uint64_t count_syncs(WholeLife *life) {
    DiskFaultPlan none = {.call = DISK_CALL_SYNC};
    whole_begin(life, life->t, "whole-sync");
    whole_forget_catalog(life);
    DiskModel *model = disk_model_new();
    DiskFault *fault = disk_fault_new(disk_model_disk(model));
    disk_fault_plan(fault, none);
    check_ok(life->t, live(life, disk_fault_disk(fault), true, "", NULL, life->t->err));
    uint64_t count = disk_fault_seen(fault, DISK_CALL_SYNC);
    disk_fault_free(&fault);
    disk_model_free(&model);
    whole_forget_catalog(life);
    return count;
}

TEST(a_sync_that_lies_costs_nothing_acknowledged) {
    Tally tally = {0};
    WholeLife life = {.t = t};
    uint64_t count = count_syncs(&life);
    for (uint64_t nth = 1; nth <= count; nth++) life_with_lost_sync(&life, nth, false, &tally);
    printf("# %llu states after %llu syncs that lied\n", (unsigned long long)tally.states,
           (unsigned long long)count);
    check(t, count > 50);
    check_nothing_broken(t, &tally);
}

TEST(a_sync_that_is_tried_again_and_believed_is_caught) {
    Tally tally = {0};
    WholeLife life = {.t = t};
    for (uint64_t nth = 1; nth < 100; nth += 3) life_with_lost_sync(&life, nth, true, &tally);
    check(t, tally.broken > 0);
}

// ---- R8: the disk is full
// ---------------------------------------------------------------------------

enum { FULL_STEPS = 7, TRIES_AFTER = 6 };

static int64_t used_bytes(Disk *disk) {
    DiskSpace space;
    Error err = {0};
    return disk->space(disk, TEXT("data"), &space, &err) ? space.total_bytes - space.free_bytes : 0;
}

// From step `from` on there is room for `more` bytes; some steps later there is plenty again.
static void life_with_full_disk(WholeLife *life, int from, int64_t more, Tally *tally,
                                uint64_t *refused) {
    whole_begin(life, life->t, "whole-full");
    whole_forget_catalog(life);
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    AUTO(arena_free) Arena arena = {0};
    Error err = {0};
    char how[120];
    snprintf(how, sizeof how, "room for %lld bytes from step %d on", (long long)more, from);
    check_ok(life->t, whole_open(life, disk, life->t->err));
    for (int i = 0; i < STEPS; i++) {
        if (i == from) disk_model_capacity(model, used_bytes(disk) + more);
        if (i == from + FULL_STEPS) {
            disk_model_capacity(model, 0);
            // Ingest is back without a restart.
            bool back = false;
            for (int k = 0; !back && k < TRIES_AFTER; k++) {
                clock_advance(&life->clock, 1000);
                bool kept = store_maintain(life->store, &err);
                kept &= store_commit_now(life->store, &err);
                back = whole_write(life, &err) && kept;
            }
            if (!back) tally_add(tally, how, err.message);
            bool sealed = store_flush(life->store, &err);
            if (!sealed) tally_add(tally, how, err.message);
        }
        Error again = {0};
        if (!whole_step(life, WHOLE_SCRIPT[i], &again)) {
            ++*refused;
            bool expected = again.code == ERROR_DISK_FULL || again.code == ERROR_BUSY;
            if (i < from || i >= from + FULL_STEPS || !expected) {
                char at[400];
                snprintf(at, sizeof at, "step %d: %.300s", i, again.message);
                tally_add(tally, how, at);
            }
        }
        if (!life->ignores_errors) tally_add(tally, how, whole_wrong(life, false, NULL, &arena));
        arena_clear(&arena);
    }
    whole_close(life);
    disk_model_capacity(model, 0);
    judge(life, disk, how, tally);
    disk_model_crash(model, CRASH_DROP_ALL, 1);
    judge(life, disk, how, tally);
    disk_model_free(&model);
    whole_forget_catalog(life);
}

static const int64_t rooms[] = {1,       300,     900,     2 * KB,   4 * KB + 1, 9 * KB,
                                17 * KB, 40 * KB, 66 * KB, 100 * KB, 140 * KB};

TEST(a_full_disk_loses_nothing_reads_go_on_and_writes_come_back) {
    Tally tally = {0};
    WholeLife life = {.t = t};
    uint64_t refused = 0;
    size_t stride = getenv("TRACEO_NIGHT") != NULL ? 1 : 4;
    for (int from = 0; from < STEPS; from++) {
        life.series_max = from / 2 % 2;
        for (size_t i = (size_t)from % stride; i < COUNT(rooms); i += stride)
            life_with_full_disk(&life, from, rooms[i], &tally, &refused);
    }
    printf("# %llu states, %llu steps refused on a full disk\n", (unsigned long long)tally.states,
           (unsigned long long)refused);
    check(t, refused > 50);
    check_nothing_broken(t, &tally);
}

TEST(acknowledging_on_a_full_disk_is_caught) {
    Tally tally = {0};
    WholeLife life = {.t = t, .ignores_errors = true};
    uint64_t refused = 0;
    for (int from = 3; from < STEPS; from += 5)
        life_with_full_disk(&life, from, 1, &tally, &refused);
    check(t, tally.broken > 0);
}

TEST_MAIN("whole life", CASE(a_whole_life_keeps_its_promises_and_does_all_that_it_should),
          CASE(samples_that_are_let_go_without_tiers_are_caught),
          CASE(no_crash_state_of_deletes_merges_tiers_and_retention_breaks_a_promise),
          CASE(a_disk_that_lies_about_syncing_is_caught),
          CASE(each_disk_call_may_fail_and_no_promise_is_broken),
          CASE(a_failure_of_the_disk_that_is_ignored_is_caught),
          CASE(each_large_allocation_may_fail_and_no_promise_is_broken),
          CASE(a_sync_that_lies_costs_nothing_acknowledged),
          CASE(a_sync_that_is_tried_again_and_believed_is_caught),
          CASE(a_full_disk_loses_nothing_reads_go_on_and_writes_come_back),
          CASE(acknowledging_on_a_full_disk_is_caught))
