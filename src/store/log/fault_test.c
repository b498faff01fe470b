// Each disk call and each allocation of a log's life fails once in turn, then for ever (R5, R6):
// the outcome is a clean error or a try that works, and nothing acknowledged is lost.

#include <stdio.h>

#include "base/memory.h"
#include "os/disk_fault.h"
#include "store/log/life.h"

// Commits; after a full disk tries again, as the commit thread does once a second.
static bool commit_patiently(Life *life, Error *err) {
    for (int tries = 0; tries < 3; tries++) {
        if (life_commit(life, err)) return true;
        if (err->code != ERROR_DISK_FULL) return false;
    }
    return false;
}

static bool live(Life *life, Error *err) {
    TRY(life_open(life, err));
    while (log_background_now(life->log)) continue;
    for (int round = 0; round < 5; round++) {
        TRY(life_append(life, 9000, err));
        TRY(life_append(life, 200, err));
        TRY(commit_patiently(life, err));
        if (round == 3) TRY(life_trim(life, 5, err));
    }
    life_close(life);
    TRY(life_open(life, err));
    TRY(life_append(life, 70000, err));  // more than the first buffer, more than a segment
    TRY(commit_patiently(life, err));
    TRY(life_trim(life, 10, err));
    return life_judge(life, false, err);
}

// After the faults are over: everything acknowledged is there, after kill -9 and after a power cut,
// and the log works.
static bool survives(Life *life, const DiskModel *model, Error *err) {
    static const CrashKind kinds[] = {CRASH_KEEP_ALL, CRASH_DROP_ALL};
    life_close(life);
    bool ok = true;
    for (size_t i = 0; ok && i < COUNT(kinds); i++) {
        DiskModel *copy = disk_model_copy(model);
        disk_model_crash(copy, kinds[i], 1);
        Life after;
        life_copy(life, disk_model_disk(copy), &after);
        ok = life_open(&after, err) && life_append(&after, 500, err) && life_commit(&after, err) &&
             life_judge(&after, false, err);
        life_end(&after);
        disk_model_free(&copy);
    }
    return ok;
}

static void check_survives(Test *t, Life *life, DiskModel *model, const char *what, uint64_t nth) {
    Error err = {0};
    if (!survives(life, model, &err))
        check_failed(t, __FILE__, __LINE__, "%s at call %llu: %s", what, (unsigned long long)nth,
                     err.message);
}

static void fail_disk_calls(Test *t, DiskFaultPlan plan, const char *what, uint64_t *pairs) {
    bool finished = false;
    for (plan.nth = 1; !finished; plan.nth++) {
        DiskModel *model = disk_model_new();
        DiskFault *fault = disk_fault_new(disk_model_disk(model));
        Life life;
        life_begin(&life, disk_fault_disk(fault));
        disk_fault_plan(fault, plan);
        Error err = {0};
        bool ok = live(&life, &err);
        finished = disk_fault_seen(fault, plan.call) < plan.nth;
        if (!ok && err.code == ERROR_NONE)
            check_failed(t, __FILE__, __LINE__, "%s at call %llu fails without a reason", what,
                         (unsigned long long)plan.nth);
        if (!ok && finished)
            check_failed(t, __FILE__, __LINE__, "the life fails without a fault: %s", err.message);
        if (life.complaint != NULL)
            check_failed(t, __FILE__, __LINE__, "%s at call %llu: %s", what,
                         (unsigned long long)plan.nth, life.complaint);
        // A full disk for a moment stops nobody for good, once the log is open.
        bool open_before = life.log != NULL;
        if (!ok && open_before && plan.code == ERROR_DISK_FULL && !plan.for_ever &&
            err.code == ERROR_DISK_FULL) {
            LogState state;
            log_state(life.log, &state);
            check(t, state.writable || commit_patiently(&life, &err));
        }
        disk_fault_plan(fault, (DiskFaultPlan){0});
        check_survives(t, &life, model, what, plan.nth);
        ++*pairs;
        life_end(&life);
        disk_fault_free(&fault);
        disk_model_free(&model);
    }
}

TEST(each_disk_call_fails_once_and_for_ever) {
    static const struct {
        DiskFaultPlan plan;
        const char *what;
    } rows[] = {
        {{.code = ERROR_IO}, "IO once"},
        {{.code = ERROR_IO, .for_ever = true}, "IO for ever"},
        {{.code = ERROR_DISK_FULL}, "DISK_FULL once"},
        {{.code = ERROR_DISK_FULL, .for_ever = true}, "DISK_FULL for ever"},
        {{.call = DISK_CALL_WRITE, .code = ERROR_IO, .partial = true}, "half a write, IO"},
        {{.call = DISK_CALL_WRITE, .code = ERROR_DISK_FULL, .partial = true},
         "half a write, DISK_FULL"},
        {{.call = DISK_CALL_WRITE, .code = ERROR_DISK_FULL, .partial = true, .for_ever = true},
         "half a write, DISK_FULL for ever"},
        {{.call = DISK_CALL_SYNC, .code = ERROR_IO, .for_ever = true}, "syncs, IO for ever"},
    };
    uint64_t pairs = 0;
    for (size_t i = 0; i < COUNT(rows); i++) fail_disk_calls(t, rows[i].plan, rows[i].what, &pairs);
    printf("# %llu calls made to fail\n", (unsigned long long)pairs);
    check(t, pairs > 400);
}

// Planted: calls that fail and say they worked, as one hears who does not look at their answer.
TEST(a_failure_that_nobody_hears_of_is_caught) {
    static const DiskFaultPlan plans[] = {
        {.call = DISK_CALL_WRITE, .code = ERROR_IO, .untold = true},
        {.call = DISK_CALL_WRITE, .code = ERROR_IO, .untold = true, .for_ever = true},
        {.call = DISK_CALL_SYNC, .code = ERROR_IO, .untold = true, .for_ever = true},
    };
    for (size_t i = 0; i < COUNT(plans); i++) {
        uint64_t caught = 0;
        bool finished = false;
        DiskFaultPlan plan = plans[i];
        for (plan.nth = 1; !finished; plan.nth++) {
            DiskModel *model = disk_model_new();
            DiskFault *fault = disk_fault_new(disk_model_disk(model));
            Life life;
            life_begin(&life, disk_fault_disk(fault));
            disk_fault_plan(fault, plan);
            Error err = {0};
            (void)live(&life, &err);
            finished = disk_fault_seen(fault, plan.call) < plan.nth;
            bool noticed = life.complaint != NULL;
            disk_fault_plan(fault, (DiskFaultPlan){0});
            noticed |= !survives(&life, model, &err);
            check(t, !(finished && noticed));
            caught += noticed;
            life_end(&life);
            disk_fault_free(&fault);
            disk_model_free(&model);
        }
        printf("# unheard failures of call %d: %d are caught\n", (int)plan.call, (int)caught);
        check(t, caught > 0);
    }
}

TEST(a_disk_of_any_size_keeps_what_it_acknowledged_and_goes_on_when_space_returns) {
    int full = 0;
    for (int64_t capacity = 0; capacity < 400 * KB; capacity += 2048) {
        DiskModel *model = disk_model_new();
        disk_model_capacity(model, MAX(capacity, (int64_t)1));
        Life life;
        life_begin(&life, disk_model_disk(model));
        Error err = {0};
        bool ok = live(&life, &err);
        check(t, ok || err.code == ERROR_DISK_FULL);
        full += !ok;
        check(t, life.complaint == NULL);
        if (!ok && life.log != NULL) {
            check_ok(t, life_judge(&life, false, t->err));  // reading goes on
            disk_model_capacity(model, 0);
            check_ok(t, life_commit(&life, t->err));
            LogState state;
            log_state(life.log, &state);
            // Nothing waited when the failure was told to an empty log: then the next commit finds
            // out.
            if (!state.writable) check_ok(t, log_commit_now(life.log, t->err));
            check_ok(t, life_append(&life, 100, t->err));
            check_ok(t, life_commit(&life, t->err));
        }
        disk_model_capacity(model, 0);
        check_survives(t, &life, model, "a disk of KiB", (uint64_t)capacity / 1024);
        life_end(&life);
        disk_model_free(&model);
    }
    check(t, full > 20);
}

TEST(a_sync_that_fails_loses_its_pages_and_nothing_acknowledged) {
    bool finished = false;
    for (uint64_t nth = 1; !finished && nth < 200; nth++) {
        DiskModel *model = disk_model_new();
        Life life;
        life_begin(&life, disk_model_disk(model));
        disk_model_fail_sync(model, nth);
        Error err = {0};
        bool ok = live(&life, &err);
        check(t, life.complaint == NULL);
        finished = ok && nth > 60;
        check_survives(t, &life, model, "a sync that loses pages", nth);
        life_end(&life);
        disk_model_free(&model);
    }
    check(t, finished);
}

TEST(each_allocation_fails_once_and_for_ever) {
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        bool finished = false;
        for (uint64_t nth = 1; !finished; nth++) {
            DiskModel *model = disk_model_new();
            Life life;
            life_begin(&life, disk_model_disk(model));
            (void)memory_fail_after(nth, for_ever);
            Error err = {0};
            bool ok = live(&life, &err);
            finished = memory_fail_after(0, false) < nth;
            check(t, ok || err.code == ERROR_NO_MEMORY);
            check(t, life.complaint == NULL || !ok);
            check(t, ok || !finished);
            check_survives(t, &life, model, "no memory", nth);
            life_end(&life);
            disk_model_free(&model);
        }
    }
}

TEST_MAIN("store/log/fault", CASE(each_disk_call_fails_once_and_for_ever),
          CASE(a_failure_that_nobody_hears_of_is_caught),
          CASE(a_disk_of_any_size_keeps_what_it_acknowledged_and_goes_on_when_space_returns),
          CASE(a_sync_that_fails_loses_its_pages_and_nothing_acknowledged),
          CASE(each_allocation_fails_once_and_for_ever))
