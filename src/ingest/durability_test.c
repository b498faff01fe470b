// Every crash state of the whole write path (RELIABILITY R2), and every failing call of disk and
// memory (R5, R6), over a disk in memory.
//
// A scripted life writes batches, commits, turns heads into blocks, merges and trims. The power is
// cut after every operation of the disk; each of several states that a real disk could then show is
// opened again. What was acknowledged has to be there, unaltered; what nobody sent must not be. The
// disk's planted lies have to be caught by the very same suite. Then the same life goes on while
// the 1st, 2nd, … n-th call fails, once or for ever, and keeps the same promises. There the planted
// faults are failures that nobody hears of: a call of the disk that failed and says it worked,
// memory that was refused and is used, an error of the write path that its caller drops.

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "codec/protobuf.h"
#include "ingest/ingest.h"
#include "os/disk_fault.h"
#include "os/disk_model.h"

enum { SERIES = 3, BATCHES = 14, BATCHES_PER_FLUSH = 4 };

static const int64_t BASE_MS = INT64_C(1763683200000);

// What one life was promised.
typedef struct Promises {
    bool acked[BATCHES];  // these are durable
    int sent;             // batches 0 … sent-1 may be there
} Promises;

typedef struct Life {
    Test *t;
    char catalog[64];
    ManualClock clock;
    bool ignores_errors;  // planted: acknowledges whatever writing and syncing said
    uint64_t step_nth;    // 0, or: which reading of the clock after the first round of the
    int64_t step_ms;      // housekeeper finds it set to another time
} Life;

static double value_of(int batch, int series) {
    return batch * 10 + series;
}

// When counting began: of half the series never told, of the others anew every third batch.
static int64_t start_of(int batch, int series) {
    return series % 2 == 0 ? 0 : BASE_MS + batch / 3 * 3000 - series - 1;
}

static Labels labels_of(Arena *arena, int series) {
    Label labels[] = {{LABEL_NAME, TEXT("m")}, {TEXT("series"), text_format(arena, "%d", series)}};
    Labels made = LABELS_NONE;
    Error err;
    bool done = labels_make(labels, 2, arena, &made, &err);
    (void)done;
    return made;
}

static bool open_store(Life *life, Disk *disk, IngestSender *sender, Store **out, Error *err) {
    StoreOptions options = {
        .disk = disk,
        .clock = &life->clock.clock,
        .folder = TEXT("data"),
        .catalog_path = text_from_cstring(life->catalog),
        .hash_key = {1, 2},
        .memory_limit = GB,
        .retention_ms = INT64_C(30) * 86400000,
        .log_segment_bytes = 64 * KB,
        .stop_log_bytes = 1,
    };
    AUTO(store_close) Store *store = NULL;
    TRY(store_open(options, &store, err));
    TRY(store_replay(store, ingest_replay, sender, err));
    *out = TAKE(store);
    return true;
}

static bool write_rows(Store *store, Tenant *tenant, IngestSender *sender, int batch,
                       IngestOutcome *out, Error *err) {
    AUTO(write_body_free) WriteBody body = {0};
    AUTO(arena_free) Arena arena = {0};
    for (int i = 0; i < SERIES; i++)
        write_body_add_since(&body, labels_of(&arena, i), BASE_MS + batch * 1000,
                             value_of(batch, i), start_of(batch, i));
    return ingest_samples(store, tenant, sender, &body, BASE_MS + batch * 1000, out, err);
}

// The same as remote write 2.0. Its symbols are long enough to be remembered, and always the same.
static bool write_2(Store *store, Tenant *tenant, IngestSender *sender, int batch,
                    IngestOutcome *out, Error *err) {
    AUTO(builder_free) Builder body = {0};
    AUTO(arena_free) Arena arena = {0};
    protobuf_add_text(&body, 4, TEXT_NONE);
    protobuf_add_text(&body, 4, LABEL_NAME);
    protobuf_add_text(&body, 4, TEXT("m"));
    protobuf_add_text(&body, 4, TEXT("series"));
    for (int i = 0; i < SERIES; i++) protobuf_add_text(&body, 4, text_format(&arena, "%d", i));
    protobuf_add_text(
        &body, 4,
        TEXT("A symbol that nobody refers to, so that the table is longer than what a "
             "request is looked for by, which is one hundred and twenty-eight bytes."));
    for (int i = 0; i < SERIES; i++) {
        const char refs[] = {1, 2, 3, (char)(4 + i)};
        size_t series = protobuf_begin(&body, 5);
        protobuf_add_text(&body, 1, (Text){refs, sizeof refs});
        size_t sample = protobuf_begin(&body, 2);
        protobuf_add_double(&body, 1, value_of(batch, i));
        protobuf_add_varint(&body, 2, (uint64_t)(BASE_MS + batch * 1000));
        int64_t start_ms = start_of(batch, i);
        if (start_ms != 0) protobuf_add_varint(&body, 3, (uint64_t)start_ms);
        protobuf_end(&body, sample);
        protobuf_end(&body, series);
    }
    return ingest_remote_write_2(store, tenant, sender, COMPRESSION_NONE,
                                 text_bytes(builder_text(&body)), BASE_MS + batch * 1000, out, err);
}

// Every other batch is one of 2.0, which is known from its third time on.
static bool write_batch(Life *life, Store *store, IngestSender *sender, int batch, Error *err) {
    Tenant *tenant;
    IngestOutcome outcome;
    TRY(store_tenant(store, TENANT_DEFAULT_NAME, true, &tenant, err));
    TRY((batch % 2 == 0 ? write_rows : write_2)(store, tenant, sender, batch, &outcome, err));
    return outcome.first_fault.code == ERROR_NONE ||
           error_set(err, ERROR_BAD_INPUT, "refused: %s", outcome.first_fault.message);
}

// One batch and what follows it; true when it was acknowledged and the housekeeping behind it
// worked.
static bool live_batch(Life *life, Store *store, IngestSender *sender, Promises *promises,
                       Error *err) {
    int batch = promises->sent++;
    clock_advance(&life->clock, 1000);
    bool durable = write_batch(life, store, sender, batch, err) && store_commit_now(store, err);
    if (!durable && !life->ignores_errors) return false;
    promises->acked[batch] = true;
    if (batch % BATCHES_PER_FLUSH == BATCHES_PER_FLUSH - 1) TRY(store_flush(store, err));
    if (batch != 0 && batch != BATCHES - 3) return true;
    TRY(store_maintain(store, err));
    if (batch == 0) clock_step_after(&life->clock, life->step_nth, life->step_ms);
    return true;
}

// Lives the whole script; stops at the first failure, or with `goes_on` tries the next batch. *err
// is the first failure.
static bool live(Life *life, Disk *disk, Promises *promises, bool goes_on, Error *err) {
    AUTO(repeats_free) Repeats *repeats = repeats_new((HashKey){1, 2}, 0);
    AUTO(ingest_sender_free) IngestSender *sender = ingest_sender_new();
    AUTO(store_close) Store *store = NULL;
    ingest_sender_remember(sender, repeats);
    TRY(open_store(life, disk, sender, &store, err));
    bool all = true;
    while (promises->sent < BATCHES && (all || goes_on)) {
        Error again;
        all &= live_batch(life, store, sender, promises, all ? err : &again);
    }
    // Then it stops as it should: what is left in heads becomes blocks.
    Error again;
    if (all || goes_on) all &= store_settle(store, all ? err : &again);
    return all;
}

// Reads all back. Returns a sentence about the first broken promise, or NULL.
static const char *broken_promise(Life *life, Disk *disk, const Promises *promises, Arena *arena) {
    Error err = {0};
    AUTO(repeats_free) Repeats *repeats = repeats_new((HashKey){1, 2}, 0);
    AUTO(ingest_sender_free) IngestSender *sender = ingest_sender_new();
    AUTO(store_close) Store *store = NULL;
    ingest_sender_remember(sender, repeats);
    if (!open_store(life, disk, sender, &store, &err))
        return text_format(arena, "it does not open: %s", err.message).at;
    Tenant *tenant;
    if (!store_tenant(store, TENANT_DEFAULT_NAME, true, &tenant, &err)) return "no tenant";
    AUTO(series_view_close) SeriesView *view = NULL;
    if (!series_view_open(tenant->series, BASE_MS - 1, BASE_MS + BATCHES * 1000, &view, &err))
        return "no view";
    if (series_view_warnings(view).count > 0)
        return text_format(arena, "a warning: %.*s", TEXT_ARG(series_view_warnings(view).at[0])).at;
    AUTO(series_cursor_close) SeriesCursor *cursor = series_cursor_open(view);
    AUTO(series_columns_free) SeriesColumns columns = {.wants_starts = true};
    for (int i = 0; i < SERIES; i++) {
        Labels labels = labels_of(arena, i);
        Matcher matcher = {MATCH_EQUAL, TEXT("series"), labels_get(labels, TEXT("series")), NULL};
        SeriesFoundList found;
        if (!series_select(view, (Matchers){&matcher, 1}, 0, arena, &found, &err))
            return text_format(arena, "select: %s", err.message).at;
        columns.count = 0;
        columns.has_starts = false;
        if (found.count == 1 && !series_read(cursor, &found.at[0], BASE_MS - 1,
                                             BASE_MS + BATCHES * 1000, &columns, &err)) {
            return text_format(arena, "read: %s", err.message).at;
        }
        if (found.count > 1) return "a series is there twice";
        bool there[BATCHES] = {false};
        for (size_t s = 0; s < columns.count; s++) {
            int batch = (int)((columns.times[s] - BASE_MS) / 1000);
            if (batch < 0 || batch >= promises->sent) return "a sample is there that nobody sent";
            if (columns.values[s] != value_of(batch, i)) return "a sample is altered";
            if ((columns.has_starts ? columns.starts[s] : 0) != start_of(batch, i))
                return "a sample has another start";
            if (there[batch]) return "a sample is there twice";
            there[batch] = true;
        }
        for (int batch = 0; batch < BATCHES; batch++) {
            if (promises->acked[batch] && !there[batch])
                return text_format(arena, "batch %d was acknowledged and is lost", batch).at;
        }
    }
    return NULL;
}

typedef struct Tally {
    uint64_t states, broken;
    char first[600];
} Tally;

static void judge(Life *life, DiskModel *crashed, const Promises *promises, const char *how,
                  Tally *tally) {
    AUTO(arena_free) Arena arena = {0};
    const char *why = broken_promise(life, disk_model_disk(crashed), promises, &arena);
    tally->states++;
    if (why == NULL) return;
    if (tally->broken++ == 0) snprintf(tally->first, sizeof tally->first, "%s: %s", how, why);
}

// One more crash while the first is being recovered from, then the check.
static void judge_second_crash(Life *life, const DiskModel *crashed, uint64_t after, uint64_t seed,
                               const Promises *promises, const char *how, Tally *tally) {
    DiskModel *second = disk_model_copy(crashed);
    disk_model_stop_at(second, disk_model_operations(second) + after);
    AUTO(arena_free) Arena arena = {0};
    (void)broken_promise(life, disk_model_disk(second), &(Promises){.sent = BATCHES}, &arena);
    disk_model_crash(second, CRASH_RANDOM, seed);
    judge(life, second, promises, how, tally);
    disk_model_free(&second);
}

// Cuts the power after each operation of the life and looks at `random_states` states besides the
// two plain ones.
static Tally every_crash(Test *t, DiskLie lie, int random_states, uint64_t stride) {
    Tally tally = {0};
    Life life = {.t = t};
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(life.catalog, sizeof life.catalog, "%s/traceo-durability-%d.db", memory,
             (int)getpid());
    for (uint64_t stop = 1;; stop += stride) {
        clock_manual(&life.clock, BASE_MS);
        DiskModel *model = disk_model_new();
        disk_model_lie(model, lie);
        disk_model_stop_at(model, stop);
        Promises promises = {.sent = 0};
        Error err = {0};
        bool whole_life = live(&life, disk_model_disk(model), &promises, false, &err);
        for (int kind = 0; kind < 2 + random_states; kind++) {
            DiskModel *crashed = disk_model_copy(model);
            uint64_t seed = t->seed * 1000003 + stop * 31 + (uint64_t)kind;
            CrashKind crash = kind == 0   ? CRASH_DROP_ALL
                              : kind == 1 ? CRASH_KEEP_ALL
                                          : CRASH_RANDOM;
            disk_model_crash(crashed, crash, seed);
            char how[160];
            snprintf(how, sizeof how,
                     "cut after operation %llu, state %d (seed %llu; the life ended with: %.60s)",
                     (unsigned long long)stop, kind, (unsigned long long)seed, err.message);
            if (kind == 2)
                judge_second_crash(&life, crashed, 1 + seed % 20, seed, &promises, how, &tally);
            judge(&life, crashed, &promises, how, &tally);
            disk_model_free(&crashed);
        }
        disk_model_free(&model);
        unlink(life.catalog);
        if (whole_life) break;
    }
    return tally;
}

TEST(a_whole_life_without_a_crash_keeps_its_promises) {
    Life life = {.t = t};
    snprintf(life.catalog, sizeof life.catalog, "/tmp/traceo-durability-%d.db", (int)getpid());
    clock_manual(&life.clock, BASE_MS);
    DiskModel *model = disk_model_new();
    Promises promises = {.sent = 0};
    check_ok(t, live(&life, disk_model_disk(model), &promises, false, t->err));
    check(t, promises.acked[0] && promises.acked[BATCHES - 1]);
    const char *why = broken_promise(&life, disk_model_disk(model), &promises, t->arena);
    if (why != NULL) check_failed(t, __FILE__, __LINE__, "%s", why);
    disk_model_free(&model);
    unlink(life.catalog);
}

TEST(no_crash_state_loses_or_alters_what_was_acknowledged) {
    const char *given = getenv("TRACEO_CRASH_STATES");  // per cut; more at night
    uint64_t states = 110;
    if (given != NULL && !text_to_u64(text_from_cstring(given), &states))
        check_failed(t, __FILE__, __LINE__, "TRACEO_CRASH_STATES is not a number");
    Tally tally = every_crash(t, LIE_NONE, (int)states, 1);
    printf("# %llu crash states\n", (unsigned long long)tally.states);
    if (tally.broken > 0)
        check_failed(t, __FILE__, __LINE__, "%llu of %llu states break a promise; %s",
                     (unsigned long long)tally.broken, (unsigned long long)tally.states,
                     tally.first);
}

TEST(a_disk_that_lies_about_syncing_is_caught) {
    Tally tally = every_crash(t, LIE_SYNC, 2, 5);
    check(t, tally.broken > 0);
}

TEST(a_disk_that_lies_about_syncing_folders_is_caught) {
    Tally tally = every_crash(t, LIE_SYNC_FOLDER, 2, 5);
    check(t, tally.broken > 0);
}

// One life on a disk that fails by plan, then a look at what is there. Returns false when the plan
// was never reached.
static bool life_with_fault(Test *t, Life *life, DiskFaultPlan plan, Tally *tally) {
    clock_manual(&life->clock, BASE_MS);
    DiskModel *model = disk_model_new();
    DiskFault *fault = disk_fault_new(disk_model_disk(model));
    disk_fault_plan(fault, plan);
    Promises promises = {.sent = 0};
    Error err = {0};
    (void)live(life, disk_fault_disk(fault), &promises, true, &err);
    bool reached = disk_fault_seen(fault, plan.call) >= plan.nth;
    char how[200];
    snprintf(how, sizeof how, "call %d number %llu fails with %s%s%s (the life said: %.60s)",
             (int)plan.call, (unsigned long long)plan.nth, error_code_name(plan.code),
             plan.for_ever ? " for ever" : "", plan.partial ? ", half written" : "", err.message);
    disk_fault_free(&fault);
    judge(life, model, &promises, how, tally);
    disk_model_crash(model, CRASH_RANDOM, t->seed + plan.nth);
    judge(life, model, &promises, how, tally);
    disk_model_free(&model);
    unlink(life->catalog);
    return reached;
}

// Every call of the plan's kind in turn. Returns how many there were.
static uint64_t fail_each_call(Test *t, Life *life, DiskFaultPlan plan, Tally *tally) {
    plan.nth = 1;
    while (life_with_fault(t, life, plan, tally)) plan.nth++;
    return plan.nth - 1;
}

static void check_nothing_broken(Test *t, const Tally *tally) {
    if (tally->broken > 0)
        check_failed(t, __FILE__, __LINE__, "%llu of %llu states break a promise; %s",
                     (unsigned long long)tally->broken, (unsigned long long)tally->states,
                     tally->first);
}

TEST(each_disk_call_may_fail_in_turn_and_nothing_acknowledged_is_lost) {
    static const DiskFaultPlan plans[] = {
        {.call = DISK_CALL_ANY, .code = ERROR_IO},
        {.call = DISK_CALL_ANY, .code = ERROR_IO, .for_ever = true},
        {.call = DISK_CALL_WRITE, .code = ERROR_DISK_FULL, .partial = true},
        {.call = DISK_CALL_ANY, .code = ERROR_DISK_FULL, .for_ever = true},
        {.call = DISK_CALL_SYNC, .code = ERROR_IO},
        {.call = DISK_CALL_RENAME, .code = ERROR_IO},
    };
    Tally tally = {0};
    Life life = {.t = t};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-faults-%d.db", (int)getpid());
    for (size_t i = 0; i < COUNT(plans); i++)
        check(t, fail_each_call(t, &life, plans[i], &tally) > 4);
    printf("# %llu states after a failing disk call\n", (unsigned long long)tally.states);
    check_nothing_broken(t, &tally);
}

TEST(an_ignored_failure_of_the_disk_is_caught) {
    static const DiskFaultPlan plans[] = {
        {.call = DISK_CALL_WRITE, .code = ERROR_IO, .untold = true},
        {.call = DISK_CALL_WRITE, .code = ERROR_DISK_FULL, .untold = true, .partial = true},
        {.call = DISK_CALL_SYNC, .code = ERROR_IO, .untold = true, .for_ever = true},
        {.call = DISK_CALL_RENAME, .code = ERROR_IO, .untold = true, .for_ever = true},
    };
    Life life = {.t = t};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-unheard-%d.db", (int)getpid());
    for (size_t i = 0; i < COUNT(plans); i++) {
        Tally tally = {0};
        uint64_t calls = fail_each_call(t, &life, plans[i], &tally);
        printf("# unheard failures of call %d: %llu of %llu states are caught\n",
               (int)plans[i].call, (unsigned long long)tally.broken,
               (unsigned long long)tally.states);
        check(t, calls > 4 && tally.broken > 0);
    }
}

TEST(an_acknowledgement_whatever_the_disk_said_is_caught) {
    Tally tally = {0};
    Life life = {.t = t, .ignores_errors = true};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-dropped-%d.db", (int)getpid());
    DiskFaultPlan plan = {.call = DISK_CALL_WRITE, .code = ERROR_IO, .for_ever = true};
    check(t, fail_each_call(t, &life, plan, &tally) > 4);
    check(t, tally.broken > 0);
}

// One life in which an allocation is refused, then a look at what is there. Returns false when
// there were not so many.
static bool life_without_memory(Life *life, uint64_t nth, bool for_ever, Tally *tally) {
    clock_manual(&life->clock, BASE_MS);
    DiskModel *model = disk_model_new();
    Promises promises = {.sent = 0};
    Error err = {0};
    memory_fail_after(nth, for_ever);
    (void)live(life, disk_model_disk(model), &promises, true, &err);
    bool reached = memory_fail_after(0, false) >= nth;
    char how[160];
    snprintf(how, sizeof how, "allocation %llu fails%s (the life said: %.60s)",
             (unsigned long long)nth, for_ever ? " for ever" : "", err.message);
    judge(life, model, &promises, how, tally);
    disk_model_free(&model);
    unlink(life->catalog);
    return reached;
}

TEST(each_large_allocation_may_fail_in_turn_and_nothing_acknowledged_is_lost) {
    Tally tally = {0};
    Life life = {.t = t};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-memory-%d.db", (int)getpid());
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        for (uint64_t nth = 1; life_without_memory(&life, nth, for_ever == 1, &tally);) nth++;
    }
    printf("# %llu lives with a failing allocation\n", (unsigned long long)tally.states);
    check(t, tally.states > 10);
    check_nothing_broken(t, &tally);
}

TEST(an_acknowledgement_without_memory_is_caught) {
    Tally tally = {0};
    Life life = {.t = t, .ignores_errors = true};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-memory-%d.db", (int)getpid());
    for (uint64_t nth = 1; life_without_memory(&life, nth, false, &tally);) nth++;
    check(t, tally.broken > 0);
}

enum { CHILD_FINE = 0, CHILD_NOT_REACHED = 3, CHILD_BROKEN = 4 };

// The same life in a process of its own, with a NULL where the refused memory should be. The suite
// itself runs in the test's process, which would end as this one does.
static int unchecked_allocation(Life *life, uint64_t nth) {
    pid_t child = fork();
    if (child == 0) {
        static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
        for (size_t i = 0; i < COUNT(deadly); i++) signal(deadly[i], SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(CHILD_FINE);
        Tally tally = {0};
        memory_fail_untold(true);
        bool reached = life_without_memory(life, nth, false, &tally);
        _exit(!reached ? CHILD_NOT_REACHED : tally.broken > 0 ? CHILD_BROKEN : CHILD_FINE);
    }
    int status = 0;
    check(life->t, child > 0 && waitpid(child, &status, 0) == child);
    unlink(life->catalog);
    return status;
}

TEST(an_unchecked_allocation_is_caught) {
    Life life = {.t = t};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-unchecked-%d.db", (int)getpid());
    int caught = 0, missed = 0;
    for (uint64_t nth = 1;; nth++) {
        int status = unchecked_allocation(&life, nth);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_BROKEN;
        if (code == CHILD_NOT_REACHED) break;
        if (code == CHILD_FINE)
            missed++;
        else
            caught++;
    }
    printf("# %d unchecked allocations are caught, %d are not\n", caught, missed);
    check(t, caught > 4 && missed == 0);
}

// The wall clock is set while the life goes on: nothing is ordered by it (W22), and what it makes
// of retention and of the turn of a head must not cost a sample. Before the housekeeper's first
// round in a new store there is no other time by which a clock could be doubted.
TEST(a_clock_that_steps_at_any_reading_loses_nothing) {
    static const int64_t steps[] = {INT64_C(3600000), INT64_C(34560000000), INT64_C(-3600000),
                                    INT64_C(-1763683200000)};
    Tally tally = {0};
    Life life = {.t = t};
    snprintf(life.catalog, sizeof life.catalog, "/dev/shm/traceo-clock-%d.db", (int)getpid());
    for (size_t i = 0; i < COUNT(steps); i++) {
        for (uint64_t nth = 1;; nth++) {
            clock_manual(&life.clock, BASE_MS);
            life.step_nth = nth;
            life.step_ms = steps[i];
            DiskModel *model = disk_model_new();
            Promises promises = {.sent = 0};
            check_ok(t, live(&life, disk_model_disk(model), &promises, false, t->err));
            bool reached = atomic_load(&life.clock.readings) >= atomic_load(&life.clock.step_nth);
            char how[160];
            snprintf(how, sizeof how, "the clock steps by %lld ms at reading %llu",
                     (long long)steps[i], (unsigned long long)nth);
            judge(&life, model, &promises, how, &tally);
            disk_model_free(&model);
            unlink(life.catalog);
            if (!reached) break;
        }
    }
    printf("# %llu lives with a clock that steps\n", (unsigned long long)tally.states);
    check(t, tally.states > 20);
    check_nothing_broken(t, &tally);
}

TEST_MAIN("durability", CASE(a_whole_life_without_a_crash_keeps_its_promises),
          CASE(no_crash_state_loses_or_alters_what_was_acknowledged),
          CASE(a_disk_that_lies_about_syncing_is_caught),
          CASE(a_disk_that_lies_about_syncing_folders_is_caught),
          CASE(each_disk_call_may_fail_in_turn_and_nothing_acknowledged_is_lost),
          CASE(an_ignored_failure_of_the_disk_is_caught),
          CASE(an_acknowledgement_whatever_the_disk_said_is_caught),
          CASE(each_large_allocation_may_fail_in_turn_and_nothing_acknowledged_is_lost),
          CASE(an_acknowledgement_without_memory_is_caught),
          CASE(a_clock_that_steps_at_any_reading_loses_nothing),
          CASE(an_unchecked_allocation_is_caught))
