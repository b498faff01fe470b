// The workers: everything handed in runs exactly once, the queue is bounded in number and age, and
// what is urgent passes.

#include "server/worker.h"

#include <stdatomic.h>

#include "base/array.h"
#include "base/test.h"

// A job that notes what became of it, and waits for the gate when it has one.
typedef struct Job {
    WorkerJob job;
    _Atomic int *gate;  // runs on once it is not 0
    _Atomic int *order;
    _Atomic int ran, expired, place;
} Job;

static void run(WorkerJob *base, int64_t waited_ns, bool expired) {
    Job *job = (Job *)base;
    Clock *clock = clock_system();
    while (!expired && job->gate != NULL && atomic_load(job->gate) == 0) clock->sleep_ms(clock, 1);
    if (job->order != NULL) atomic_store(&job->place, atomic_fetch_add(job->order, 1) + 1);
    if (expired) atomic_fetch_add(&job->expired, 1);
    atomic_fetch_add(&job->ran, 1);
}

static void wait_for(_Atomic int *value, int wanted) {
    Clock *clock = clock_system();
    for (int i = 0; i < 5000 && atomic_load(value) < wanted; i++) clock->sleep_ms(clock, 1);
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
          CASE(who_waited_too_long_is_handed_back_unserved), CASE(stopping_hands_back_what_waits),
          CASE(threads_that_cannot_be_had_are_an_error_and_leave_nothing))
