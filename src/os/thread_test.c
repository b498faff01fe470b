// Locks exclude, conditions wake, threads start and end; the order of locks is watched.

#include "os/thread.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "os/clock.h"

typedef struct Counter {
    Mutex mutex;
    SharedLock shared;
    Condition condition;
    int64_t plain;
    bool done;
} Counter;

static void begin(Counter *counter) {
    *counter = (Counter){0};
    mutex_begin(&counter->mutex, LOCK_WORKER_QUEUE);
    shared_begin(&counter->shared, LOCK_SERIES_REGISTRY);
    condition_begin(&counter->condition);
}

static void end(Counter *counter) {
    condition_end(&counter->condition);
    shared_end(&counter->shared);
    mutex_end(&counter->mutex);
}

static void count_under_mutex(void *context) {
    Counter *counter = context;
    for (int i = 0; i < 10000; i++) {
        mutex_take(&counter->mutex);
        counter->plain++;
        mutex_give(&counter->mutex);
    }
}

static void count_under_write(void *context) {
    Counter *counter = context;
    for (int i = 0; i < 10000; i++) {
        shared_take_write(&counter->shared);
        counter->plain++;
        shared_give(&counter->shared);
    }
}

static void run_four(Test *t, void (*run)(void *), Counter *counter) {
    Thread *threads[4] = {NULL};
    for (size_t i = 0; i < COUNT(threads); i++)
        check_ok(t, thread_start("counting", run, counter, &threads[i], t->err));
    for (size_t i = 0; i < COUNT(threads); i++) thread_join(&threads[i]);
    check(t, threads[0] == NULL);
    thread_join(&threads[0]);
}

TEST(locks_let_one_thread_in) {
    Counter counter;
    begin(&counter);
    run_four(t, count_under_mutex, &counter);
    run_four(t, count_under_write, &counter);
    check_i64(t, 80000, counter.plain);
    end(&counter);
}

static void say_done(void *context) {
    Counter *counter = context;
    mutex_take(&counter->mutex);
    counter->done = true;
    condition_wake_all(&counter->condition);
    mutex_give(&counter->mutex);
}

TEST(a_condition_wakes_or_times_out) {
    Counter counter;
    begin(&counter);
    Clock *clock = clock_system();
    mutex_take(&counter.mutex);
    int64_t before = clock->monotonic_ns(clock);
    bool woken = condition_wait_ms(&counter.condition, &counter.mutex, 20);
    check(t, !woken && clock->monotonic_ns(clock) - before >= 20 * 1000000);
    Thread *thread = NULL;
    check_ok(t, thread_start("a name longer than fifteen", say_done, &counter, &thread, t->err));
    while (!counter.done) condition_wait(&counter.condition, &counter.mutex);
    mutex_give(&counter.mutex);
    thread_join(&thread);
    end(&counter);
}

static void do_nothing(void *context) {
    (void)context;
}

TEST(a_thread_fails_to_start_when_told_to) {
    Thread *thread = NULL;
    thread_fail_after(2);
    check_ok(t, thread_start("first", do_nothing, NULL, &thread, t->err));
    thread_join(&thread);
    check_error(t, thread_start("second", do_nothing, NULL, &thread, t->err), ERROR_IO);
    check(t, thread == NULL);
    check_ok(t, thread_start("third", do_nothing, NULL, &thread, t->err));
    thread_join(&thread);
    check(t, thread_core_count() >= 1);
}

TEST(a_shared_lock_is_tried_without_waiting) {
    SharedLock lock;
    shared_begin(&lock, LOCK_CATALOG);
    shared_take_write(&lock);
    check(t, !shared_try_read(&lock));
    shared_give(&lock);
    check(t, shared_try_read(&lock));
    shared_give(&lock);
    check(t, thread_locks_held() == 0);
    shared_end(&lock);
}

#ifdef TRACEO_SLOW_ASSERTS

// True when taking `first` and then `second` stops the process, as it must for a wrong order.
static bool order_is_refused(LockRank first, LockRank second) {
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        Mutex mutex;
        SharedLock shared;
        mutex_begin(&mutex, first);
        shared_begin(&shared, second);
        mutex_take(&mutex);
        shared_take_read(&shared);
        _exit(thread_locks_held() == 2 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(locks_are_taken_in_their_order_only) {
    check(t, !order_is_refused(LOCK_CATALOG, LOCK_WORKER_QUEUE));
    check(t, order_is_refused(LOCK_WORKER_QUEUE, LOCK_CATALOG));
    check(t, order_is_refused(LOCK_CATALOG, LOCK_CATALOG));
    check(t, thread_locks_held() == 0);
}

#else

TEST(locks_are_taken_in_their_order_only) {
    test_skip(t, "the order is watched in builds with -Dslow_asserts=true");
}

#endif

TEST_MAIN("os/thread", CASE(locks_let_one_thread_in), CASE(a_condition_wakes_or_times_out),
          CASE(a_thread_fails_to_start_when_told_to), CASE(a_shared_lock_is_tried_without_waiting),
          CASE(locks_are_taken_in_their_order_only))
