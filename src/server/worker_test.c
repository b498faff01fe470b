// The workers: everything handed in runs exactly once, the queue is bounded in number and age, and
// what is urgent passes.

#include "server/worker.h"

#include "base/array.h"
#include "net/test_peer.h"

// A job that notes what became of it, and waits for the gate when it has one.
typedef struct Job {
    WorkerJob job;
    _Atomic int *gate;  // runs on once it is not 0
    _Atomic int *order;
    int64_t sleep_ms;
    int64_t waited_ns;
    _Atomic int ran, expired, place;
} Job;

static void run(WorkerJob *base, int64_t waited_ns, bool expired) {
    Job *job = (Job *)base;
    Clock *clock = clock_system();
    while (!expired && job->gate != NULL && atomic_load(job->gate) == 0) clock->sleep_ms(clock, 1);
    if (!expired && job->sleep_ms > 0) clock->sleep_ms(clock, job->sleep_ms);
    job->waited_ns = waited_ns;
    if (job->order != NULL) atomic_store(&job->place, atomic_fetch_add(job->order, 1) + 1);
    if (expired) atomic_fetch_add(&job->expired, 1);
    atomic_fetch_add(&job->ran, 1);
}

static void wait_running(WorkerPool *pool, uint64_t wanted) {
    Clock *clock = clock_system();
    WorkerState state = {0};
    for (int i = 0; i < 5000 && state.running < wanted; i++) {
        worker_pool_state(pool, &state);
        clock->sleep_ms(clock, 1);
    }
}

TEST(every_job_runs_once) {
    enum { JOBS = 500 };
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 3, .queue_max = JOBS, .age_max_ms = 60000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job *jobs = arena_push_array(t->arena, Job, JOBS);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i].job.run = run;
        check_ok(t, worker_pool_add(pool, &jobs[i].job, i % 50 == 0, t->err));
    }
    for (size_t i = 0; i < JOBS; i++) wait_for(&jobs[i].ran, 1);
    worker_pool_stop(&pool);
    worker_pool_stop(&pool);
    for (size_t i = 0; i < JOBS; i++) check(t, jobs[i].ran == 1 && jobs[i].expired == 0);
}

TEST(a_full_queue_refuses_but_what_is_urgent_passes) {
    _Atomic int gate = 0;
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = 4, .age_max_ms = 60000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job running = {.job.run = run, .gate = &gate}, waiting[4] = {0}, more = {.job.run = run},
        urgent = {.job.run = run};
    check_ok(t, worker_pool_add(pool, &running.job, false, t->err));
    wait_running(pool, 1);
    for (size_t i = 0; i < COUNT(waiting); i++) {
        waiting[i].job.run = run;
        check_ok(t, worker_pool_add(pool, &waiting[i].job, false, t->err));
    }
    check_error(t, worker_pool_add(pool, &more.job, false, t->err), ERROR_BUSY);
    check_ok(t, worker_pool_add(pool, &urgent.job, true, t->err));
    wait_for(&urgent.ran, 1);
    check(t, urgent.ran == 1 && running.ran == 0);
    WorkerState state;
    worker_pool_state(pool, &state);
    check(t, state.waiting == 4 && state.running == 1 && state.refused == 1);
    atomic_store(&gate, 1);
    for (size_t i = 0; i < COUNT(waiting); i++) wait_for(&waiting[i].ran, 1);
    worker_pool_stop(&pool);
    check(t, more.ran == 0 && running.ran == 1);
}

TEST(a_short_queue_is_first_come_and_a_crowded_one_newest_first) {
    _Atomic int gate = 0, order = 0;
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = 6, .age_max_ms = 60000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job running = {.job.run = run, .gate = &gate}, waiting[6] = {0};
    check_ok(t, worker_pool_add(pool, &running.job, false, t->err));
    wait_running(pool, 1);
    for (size_t i = 0; i < COUNT(waiting); i++) {
        waiting[i] = (Job){.job.run = run, .order = &order};
        check_ok(t, worker_pool_add(pool, &waiting[i].job, false, t->err));
    }
    atomic_store(&gate, 1);
    for (size_t i = 0; i < COUNT(waiting); i++) wait_for(&waiting[i].ran, 1);
    worker_pool_stop(&pool);
    // Six wait: the newest three go first, until half are left; then the oldest.
    static const int places[6] = {4, 5, 6, 3, 2, 1};
    for (size_t i = 0; i < COUNT(waiting); i++) check_i64(t, places[i], waiting[i].place);
}

TEST(who_waited_too_long_is_handed_back_unserved) {
    _Atomic int gate = 0;
    ManualClock clock;
    clock_manual(&clock, 1790000000000);
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = &clock.clock, .threads = 1, .queue_max = 8, .age_max_ms = 100};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job running = {.job.run = run, .gate = &gate}, late = {.job.run = run},
        fresh = {.job.run = run};
    check_ok(t, worker_pool_add(pool, &running.job, false, t->err));
    wait_running(pool, 1);
    check_ok(t, worker_pool_add(pool, &late.job, false, t->err));
    clock_advance(&clock, 101);
    check_ok(t, worker_pool_add(pool, &fresh.job, false, t->err));
    atomic_store(&gate, 1);
    wait_for(&fresh.ran, 1);
    worker_pool_stop(&pool);
    check(t, late.ran == 1 && late.expired == 1);
    check(t, fresh.ran == 1 && fresh.expired == 0);
}

TEST(stopping_hands_back_what_waits) {
    _Atomic int gate = 0;
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = 8, .age_max_ms = 60000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job first = {.job.run = run, .gate = &gate}, second = {.job.run = run, .gate = &gate},
        third = {.job.run = run, .gate = &gate};
    check_ok(t, worker_pool_add(pool, &first.job, false, t->err));
    wait_running(pool, 1);
    check_ok(t, worker_pool_add(pool, &second.job, true, t->err));
    wait_running(pool, 2);
    check_ok(t, worker_pool_add(pool, &third.job, false, t->err));
    atomic_store(&gate, 1);
    worker_pool_stop(&pool);
    check(t, first.ran == 1 && second.ran == 1 && third.ran == 1);
}

// ---- Fairness ----

// A job of a tenant that takes some time of the clock of the test.
typedef struct Costly {
    WorkerJob job;
    ManualClock *clock;
    int64_t cost_ms;
    int number;           // of its tenant
    int64_t *served_ms;   // by tenant
    int64_t *least_left;  // jobs that are left, by tenant
    int64_t *lead_ms;     // of a tenant before one that still waits, at most
    _Atomic int *ran;
} Costly;

enum { TENANTS = 3 };

// Only one worker is free in these tests, so nothing here needs a lock.
static void run_costly(WorkerJob *base, int64_t waited_ns, bool expired) {
    Costly *job = (Costly *)base;
    job->served_ms[job->number] += job->cost_ms;
    job->least_left[job->number]--;
    for (int other = 0; other < TENANTS; other++) {
        if (job->least_left[other] == 0) continue;
        *job->lead_ms = MAX(*job->lead_ms, job->served_ms[job->number] - job->served_ms[other]);
    }
    clock_advance(job->clock, job->cost_ms);
    atomic_fetch_add(job->ran, 1);
}

// Three tenants ask: 300 queries of 100 ms, then 30 of 10 ms, then 4 of 500 ms. How far does one of
// them get ahead of another that waits? With `told_apart` false the pool does not know that they
// are several, which is what a single queue would be.
static int64_t lead_of(Test *t, bool told_apart) {
    static const char *const names[TENANTS] = {"many", "quick", "slow"};
    static const int counts[TENANTS] = {300, 30, 4}, costs[TENANTS] = {100, 10, 500};
    ManualClock clock;
    clock_manual(&clock, 1790000000000);
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = &clock.clock, .threads = 1, .queue_max = 1000, .age_max_ms = 1000000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    _Atomic int gates[2] = {0}, ran = 0;
    Job blocking[2] = {{.job = {.run = run, .tenant = TEXT("gate 0")}, .gate = &gates[0]},
                       {.job = {.run = run, .tenant = TEXT("gate 1")}, .gate = &gates[1]}};
    for (size_t i = 0; i < COUNT(blocking); i++)
        check_ok(t, worker_pool_add(pool, &blocking[i].job, false, t->err));
    wait_running(pool, 2);
    int64_t served_ms[TENANTS] = {0}, left[TENANTS] = {0}, lead_ms = 0;
    int total = 0;
    for (int tenant = 0; tenant < TENANTS; tenant++) {
        left[tenant] = counts[tenant];
        for (int i = 0; i < counts[tenant]; i++, total++) {
            Costly *job = arena_push(t->arena, Costly);
            *job = (Costly){{.run = run_costly}, &clock, costs[tenant], tenant,
                            served_ms,           left,   &lead_ms,      &ran};
            job->job.tenant = told_apart ? text_from_cstring(names[tenant]) : TEXT("all");
            check_ok(t, worker_pool_add(pool, &job->job, false, t->err));
        }
    }
    atomic_store(&gates[0], 1);
    wait_for(&ran, total);
    atomic_store(&gates[1], 1);
    worker_pool_stop(&pool);
    check_i64(t, total, ran);
    return lead_ms;
}

TEST(tenants_that_wait_get_the_same_time) {
    check(t, lead_of(t, true) <= 500);  // one query of the slowest
    check(t, lead_of(t, false) > 20000);
}

// Five quick queries one after the other, while another tenant has a thousand slow ones waiting.
static int64_t waited_beside_a_thousand(Test *t, Text quick_tenant) {
    enum { SLOW = 1000 };
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = 4 * SLOW, .age_max_ms = 60000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job *slow = arena_push_array(t->arena, Job, SLOW);
    for (size_t i = 0; i < SLOW; i++) {
        slow[i] = (Job){.job = {.run = run, .tenant = TEXT("busy")}, .sleep_ms = 2};
        check_ok(t, worker_pool_add(pool, &slow[i].job, false, t->err));
    }
    int64_t longest_ms = 0;
    for (int i = 0; i < 5 && longest_ms < 500; i++) {
        Job quick = {.job = {.run = run, .tenant = quick_tenant}};
        check_ok(t, worker_pool_add(pool, &quick.job, false, t->err));
        wait_for(&quick.ran, 1);
        longest_ms = MAX(longest_ms, quick.waited_ns / 1000000);
    }
    worker_pool_stop(&pool);
    return longest_ms;
}

TEST(a_thousand_slow_queries_of_one_tenant_do_not_hold_up_another) {
    check(t, waited_beside_a_thousand(t, TEXT("other")) < 500);
    // And if the pool did not tell them apart, it would show.
    check(t, waited_beside_a_thousand(t, TEXT("busy")) > 1000);
}

// A job that takes a minute, or that brings another one.
typedef struct Bringer {
    WorkerJob job;
    WorkerPool *pool;
    ManualClock *clock;
    Job *brings;
} Bringer;

static void run_bringer(WorkerJob *base, int64_t waited_ns, bool expired) {
    Bringer *bringer = (Bringer *)base;
    Error err;
    if (bringer->brings == NULL) {
        clock_advance(bringer->clock, 60000);
    } else if (!worker_pool_add(bringer->pool, &bringer->brings->job, false, &err)) {
        atomic_store(&bringer->brings->place, -1);
    }
}

// Who asks one long query after the other has nothing waiting or running in between, and is still
// not the newcomer whose turn it is.
TEST(a_pause_does_not_make_a_tenant_a_newcomer) {
    ManualClock clock;
    clock_manual(&clock, 1790000000000);
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = &clock.clock, .threads = 1, .queue_max = 1000, .age_max_ms = 1000000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    _Atomic int gates[2] = {0}, order = 0;
    Job blocking[2] = {{.job = {.run = run, .tenant = TEXT("gate 0")}, .gate = &gates[0]},
                       {.job = {.run = run, .tenant = TEXT("gate 1")}, .gate = &gates[1]}};
    for (size_t i = 0; i < COUNT(blocking); i++)
        check_ok(t, worker_pool_add(pool, &blocking[i].job, false, t->err));
    wait_running(pool, 2);
    Job again = {.job = {.run = run, .tenant = TEXT("long")}, .order = &order}, others[3] = {0};
    Bringer minute = {{.run = run_bringer, .tenant = TEXT("long")}, pool, &clock, NULL},
            first = {{.run = run_bringer, .tenant = TEXT("other")}, pool, &clock, &again};
    check_ok(t, worker_pool_add(pool, &minute.job, false, t->err));
    check_ok(t, worker_pool_add(pool, &first.job, false, t->err));
    for (size_t i = 0; i < COUNT(others); i++) {
        others[i] = (Job){.job = {.run = run, .tenant = TEXT("other")}, .order = &order};
        check_ok(t, worker_pool_add(pool, &others[i].job, false, t->err));
    }
    atomic_store(&gates[0], 1);
    wait_for(&again.ran, 1);
    for (size_t i = 0; i < COUNT(others); i++) wait_for(&others[i].ran, 1);
    atomic_store(&gates[1], 1);
    worker_pool_stop(&pool);
    check_i64(t, 4, again.place);
}

TEST(places_are_bounded_for_each_tenant_and_shared_when_they_run_out) {
    _Atomic int gates = 0;
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = 6, .line_max = 5, .age_max_ms = 60000};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job running[2] = {{.job = {.run = run, .tenant = TEXT("a")}, .gate = &gates},
                      {.job = {.run = run, .tenant = TEXT("b")}, .gate = &gates}};
    for (size_t i = 0; i < 2; i++)
        check_ok(t, worker_pool_add(pool, &running[i].job, false, t->err));
    wait_running(pool, 2);
    Job of_a[6] = {0}, of_b[4] = {0};
    for (size_t i = 0; i < COUNT(of_a); i++) {
        of_a[i].job = (WorkerJob){.run = run, .tenant = TEXT("a")};
        bool added = worker_pool_add(pool, &of_a[i].job, false, t->err);
        check(t, added == (i < 5));
    }
    check(t, t->err->code == ERROR_TOO_MANY);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("query.tenant_queue")) > 0);
    // One place is left; then `a` gives way until both have the same.
    for (size_t i = 0; i < COUNT(of_b); i++) {
        of_b[i].job = (WorkerJob){.run = run, .tenant = TEXT("b")};
        bool added = worker_pool_add(pool, &of_b[i].job, false, t->err);
        check(t, added == (i < 3));
    }
    check(t, t->err->code == ERROR_BUSY);
    check(t, of_a[4].expired == 1 && of_a[3].expired == 1 && of_a[2].ran == 0);
    atomic_store(&gates, 1);
    for (size_t i = 0; i < 3; i++) wait_for(&of_b[i].ran, 1);
    for (size_t i = 0; i < 3; i++) wait_for(&of_a[i].ran, 1);
    worker_pool_stop(&pool);
    check(t, of_a[5].ran == 0 && of_b[3].ran == 0);
}

TEST(who_waits_too_long_is_answered_although_all_workers_are_busy) {
    _Atomic int gate = 0;
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = 6, .age_max_ms = 50};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    Job running = {.job.run = run, .gate = &gate}, late = {.job.run = run}, back = {.job.run = run};
    check_ok(t, worker_pool_add(pool, &running.job, false, t->err));
    wait_running(pool, 1);
    check_ok(t, worker_pool_add(pool, &late.job, false, t->err));
    check_ok(t, worker_pool_add(pool, &back.job, false, t->err));
    check(t, worker_pool_take_back(pool, &back.job));
    check(t, !worker_pool_take_back(pool, &back.job) && !worker_pool_take_back(pool, &running.job));
    wait_for(&late.expired, 1);
    check(t, late.expired == 1 && running.ran == 0);
    atomic_store(&gate, 1);
    worker_pool_stop(&pool);
    check(t, back.ran == 0 && running.ran == 1);
}

TEST(what_goes_on_is_first_in_its_line_and_never_refused_or_too_old) {
    enum { JOBS = 4 };
    WorkerPool *pool = NULL;
    WorkerOptions options = {
        .clock = clock_system(), .threads = 1, .queue_max = JOBS, .age_max_ms = 300};
    check_ok(t, worker_pool_start(options, &pool, t->err));
    _Atomic int gate = 0, order = 0;
    Job holder = {.job.run = run, .gate = &gate};
    Job again[2] = {{.job.run = run, .order = &order}, {.job.run = run, .order = &order}};
    Job jobs[JOBS] = {0}, more = {.job.run = run};
    check_ok(t, worker_pool_add(pool, &holder.job, false, t->err));
    wait_running(pool, 1);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = (Job){.job.run = run, .order = &order};
        check_ok(t, worker_pool_add(pool, &jobs[i].job, false, t->err));
    }
    // All places are taken, but for those who were here before.
    check_error(t, worker_pool_add(pool, &more.job, false, t->err), ERROR_BUSY);
    worker_pool_add_again(pool, &again[0].job);
    worker_pool_add_again(pool, &again[1].job);
    WorkerState state;
    worker_pool_state(pool, &state);
    check_i64(t, JOBS + 2, (int64_t)state.waiting);
    for (size_t i = 0; i < JOBS; i++) wait_for(&jobs[i].expired, 1);
    check(t, again[0].ran == 0 && again[1].ran == 0);
    // Nor does one that comes later take their place, or its turn.
    for (size_t i = 0; i < JOBS - 2; i++) {
        jobs[i] = (Job){.job.run = run, .order = &order};
        check_ok(t, worker_pool_add(pool, &jobs[i].job, false, t->err));
    }
    order = 0;
    gate = 1;
    for (size_t i = 0; i < JOBS - 2; i++) wait_for(&jobs[i].ran, 1);
    worker_pool_stop(&pool);
    check_i64(t, 1, again[1].place);
    check_i64(t, 2, again[0].place);
    check(t, again[0].expired == 0 && again[1].expired == 0);
}

TEST(threads_that_cannot_be_had_are_an_error_and_leave_nothing) {
    for (uint64_t nth = 1; nth <= 3; nth++) {
        WorkerPool *pool = NULL;
        WorkerOptions options = {
            .clock = clock_system(), .threads = 2, .queue_max = 8, .age_max_ms = 100};
        thread_fail_after(nth);
        bool started = worker_pool_start(options, &pool, t->err);
        thread_fail_after(0);
        check(t, !started && pool == NULL);
    }
}

TEST_MAIN("server/worker", CASE(every_job_runs_once),
          CASE(a_full_queue_refuses_but_what_is_urgent_passes),
          CASE(a_short_queue_is_first_come_and_a_crowded_one_newest_first),
          CASE(tenants_that_wait_get_the_same_time),
          CASE(a_thousand_slow_queries_of_one_tenant_do_not_hold_up_another),
          CASE(a_pause_does_not_make_a_tenant_a_newcomer),
          CASE(places_are_bounded_for_each_tenant_and_shared_when_they_run_out),
          CASE(who_waits_too_long_is_answered_although_all_workers_are_busy),
          CASE(who_waited_too_long_is_handed_back_unserved), CASE(stopping_hands_back_what_waits),
          CASE(what_goes_on_is_first_in_its_line_and_never_refused_or_too_old),
          CASE(threads_that_cannot_be_had_are_an_error_and_leave_nothing))
