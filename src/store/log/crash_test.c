// Every crash state of the log (R2): scripted lives, the power cut after each operation, what was
// un-synced dropped, kept or torn, the power cut again during recovery. And the same suite over
// planted faults, which it must find: a suite that catches none of them counts as absent.

#include "os/random.h"
#include "store/log/life.h"

enum { RANDOM_SEEDS = 5, SCRIPTS = 4 };

// What one run over a suite came to.
typedef struct Outcome {
    uint64_t states, losses;
    char first[256];
} Outcome;

static void count_loss(Outcome *outcome, const char *what, const char *why, unsigned script,
                       uint64_t stop, int kind) {
    if (outcome->losses++ > 0) return;
    snprintf(outcome->first, sizeof outcome->first,
             "script %u, stopped at operation %llu, crash %d: %s: %s", script,
             (unsigned long long)stop, kind, what, why);
}

static bool script_small(Life *life, Error *err) {
    TRY(life_open(life, err));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3; i++) TRY(life_append(life, 300 + 100 * (size_t)i, err));
        TRY(life_commit(life, err));
    }
    life_close(life);
    TRY(life_open(life, err));
    TRY(life_append(life, 5000, err));
    return life_commit(life, err);
}

// Over several segments, with spares, trimming and recycling.
static bool script_segments(Life *life, Error *err) {
    TRY(life_open(life, err));
    for (uint64_t round = 0; round < 6; round++) {
        if (round == 1)
            while (log_background_now(life->log)) continue;
        TRY(life_append(life, 9000, err));
        TRY(life_append(life, 700, err));
        TRY(life_commit(life, err));
        if (round == 3) TRY(life_trim(life, 5, err));
    }
    life_close(life);
    TRY(life_open(life, err));
    TRY(life_trim(life, 8, err));
    TRY(life_append(life, 40000, err));
    TRY(life_append(life, 10, err));
    TRY(life_commit(life, err));
    TRY(life_append(life, 10, err));
    return life_commit(life, err);
}

// A sync fails on the way and the log goes on in a new file (W8); then one end without an orderly
// close.
static bool script_failed_sync(Life *life, DiskModel *model, Error *err) {
    TRY(life_open(life, err));
    TRY(life_append(life, 2000, err));
    TRY(life_commit(life, err));
    TRY(life_append(life, 3000, err));
    TRY(life_append(life, 100, err));
    disk_model_fail_sync(model, 1);
    TRY(life_commit(life, err));
    TRY(life_append(life, 500, err));
    return life_commit(life, err);
}

// Ends that leave nothing but the end, with a spare at hand and without one; lives go on behind
// them.
static bool script_finished(Life *life, Error *err) {
    for (int round = 0; round < 3; round++) {
        TRY(life_open(life, err));
        TRY(life_append(life, 9000, err));
        TRY(life_commit(life, err));
        if (round == 1)
            while (log_background_now(life->log)) continue;
        TRY(life_append(life, 9000, err));
        TRY(life_commit(life, err));
        TRY(life_finish(life, err));
        life_close(life);
    }
    TRY(life_open(life, err));
    TRY(life_append(life, 700, err));
    return life_commit(life, err);
}

static bool run_script(Life *life, DiskModel *model, unsigned script, Error *err) {
    switch (script) {
        case 0:
            return script_small(life, err);
        case 1:
            return script_segments(life, err);
        case 2:
            return script_failed_sync(life, model, err);
        default:
            return script_finished(life, err);
    }
}

// Opens after a crash, judges, works on, and judges again after a second power cut.
static const char *live_on(Life *life, DiskModel *model, bool *stopped) {
    Error err = {0};
    *stopped = true;
    if (!life_open(life, &err)) return NULL;
    if (!life_append(life, 600, &err) || !life_append(life, 5000, &err) || !life_commit(life, &err))
        return NULL;
    *stopped = false;
    if (!life_judge(life, false, &err))
        return life->complaint != NULL ? life->complaint : "it cannot be read";
    life_close(life);
    disk_model_crash(model, CRASH_DROP_ALL, 0);
    if (!life_open(life, &err)) return "it does not open after the second crash";
    if (life_judge(life, false, &err)) return NULL;
    return life->complaint != NULL ? life->complaint : "it cannot be read";
}

// Judges one crash state: as it is, and with the power cut at some operations of the recovery
// itself.
static void judge_crash(Outcome *outcome, const DiskModel *stopped, const Life *before,
                        unsigned script, uint64_t stop, CrashKind kind, uint64_t seed) {
    for (uint64_t again = 0; again < 40; again = again == 0 ? 1 : again + 1 + (stop + seed) % 3) {
        DiskModel *model = disk_model_copy(stopped);
        disk_model_lie(model, LIE_NONE);
        disk_model_crash(model, kind, seed);
        if (again > 0) disk_model_stop_at(model, disk_model_operations(model) + again);
        Life life;
        life_copy(before, disk_model_disk(model), &life);
        bool cut = false;
        const char *complaint = live_on(&life, model, &cut);
        outcome->states++;
        if (cut && again > 0) {
            // The second power cut came in the middle of opening or working on.
            life_close(&life);
            disk_model_stop_at(model, 0);
            disk_model_crash(model, again % 2 == 0 ? CRASH_DROP_ALL : CRASH_RANDOM, seed + again);
            complaint = live_on(&life, model, &cut);
            outcome->states++;
        }
        if (complaint == NULL && cut) complaint = "it does not open";
        if (complaint != NULL)
            count_loss(outcome, again > 0 ? "crash during recovery" : "recovery", complaint, script,
                       stop, (int)kind);
        bool reached = again > 0 && !cut && disk_model_operations(model) > 0;
        life_end(&life);
        disk_model_free(&model);
        if (reached && again > 30) break;
    }
}

static void run_suite(Outcome *outcome, LogPlant plant, DiskLie lie, unsigned script,
                      uint64_t every) {
    for (uint64_t stop = 1;; stop += every) {
        DiskModel *model = disk_model_new();
        disk_model_lie(model, lie);
        disk_model_stop_at(model, stop);
        Life life;
        life_begin(&life, disk_model_disk(model));
        life.plant = plant;
        Error err = {0};
        bool finished = run_script(&life, model, script, &err);
        life_close(&life);
        judge_crash(outcome, model, &life, script, stop, CRASH_DROP_ALL, 0);
        judge_crash(outcome, model, &life, script, stop, CRASH_KEEP_ALL, 0);
        for (uint64_t seed = 1; seed <= RANDOM_SEEDS; seed++) {
            judge_crash(outcome, model, &life, script, stop, CRASH_RANDOM, seed);
        }
        life_end(&life);
        disk_model_free(&model);
        if (finished) break;
    }
}

TEST(every_crash_state_keeps_what_was_acknowledged) {
    Outcome outcome = {0};
    random_use_seed(7);
    for (unsigned script = 0; script < SCRIPTS; script++)
        run_suite(&outcome, LOG_PLANT_NONE, LIE_NONE, script, 1);
    random_use_seed(0);
    printf("# %llu crash states\n", (unsigned long long)outcome.states);
    if (outcome.losses > 0)
        check_failed(t, __FILE__, __LINE__, "%llu of %llu states: %s",
                     (unsigned long long)outcome.losses, (unsigned long long)outcome.states,
                     outcome.first);
    check(t, outcome.states >= 10000);
}

static void check_caught(Test *t, LogPlant plant, DiskLie lie, unsigned script) {
    Outcome outcome = {0};
    run_suite(&outcome, plant, lie, script, 3);
    printf("# caught: %s\n", outcome.first);
    check(t, outcome.losses > 0);
}

TEST(the_suite_catches_a_disk_that_does_not_sync) {
    check_caught(t, LOG_PLANT_NONE, LIE_SYNC, 0);
}
TEST(the_suite_catches_a_disk_that_does_not_sync_folders) {
    check_caught(t, LOG_PLANT_NONE, LIE_SYNC_FOLDER, 0);
}
TEST(the_suite_catches_an_acknowledgement_before_the_sync) {
    check_caught(t, LOG_PLANT_ACK_BEFORE_SYNC, LIE_NONE, 0);
}
TEST(the_suite_catches_a_missing_sync) {
    check_caught(t, LOG_PLANT_NO_SYNC, LIE_NONE, 0);
}
TEST(the_suite_catches_a_missing_folder_sync) {
    check_caught(t, LOG_PLANT_NO_FOLDER_SYNC, LIE_NONE, 0);
}
TEST(the_suite_catches_a_sync_that_is_tried_again) {
    check_caught(t, LOG_PLANT_RETRY_SYNC, LIE_NONE, 2);
}
TEST(the_suite_catches_a_trim_that_takes_too_much) {
    check_caught(t, LOG_PLANT_TRIM_ALL, LIE_NONE, 1);
}

TEST_MAIN("store/log/crash", CASE(every_crash_state_keeps_what_was_acknowledged),
          CASE(the_suite_catches_a_disk_that_does_not_sync),
          CASE(the_suite_catches_a_disk_that_does_not_sync_folders),
          CASE(the_suite_catches_an_acknowledgement_before_the_sync),
          CASE(the_suite_catches_a_missing_sync), CASE(the_suite_catches_a_missing_folder_sync),
          CASE(the_suite_catches_a_sync_that_is_tried_again),
          CASE(the_suite_catches_a_trim_that_takes_too_much))
