// The timer wheel against time handed in, and a loop with messages from other threads.

#include <stdatomic.h>

#include "base/test.h"
#include "net/loop.h"
#include "os/call_fault.h"
#include "os/process.h"
#include "os/thread.h"

typedef struct Alarm {
    WheelTimer timer;  // first
    int fired;
    int64_t fired_at_ms;
} Alarm;

static int64_t now_ms;
static void on_alarm(WheelTimer *timer) {
    Alarm *alarm = (Alarm *)timer;
    alarm->fired++;
    alarm->fired_at_ms = now_ms;
}

TEST(timers_fire_once_never_early_and_at_most_a_tick_late) {
    static Wheel wheel;
    enum { ALARMS = 500 };
    Alarm *alarms = arena_push_array(t->arena, Alarm, ALARMS);
    uint64_t random = t->seed;
    now_ms = 1000003;
    wheel_begin(&wheel, now_ms);
    for (size_t i = 0; i < ALARMS; i++) {
        alarms[i].timer.fire = on_alarm;
        wheel_arm(&wheel, &alarms[i].timer, now_ms + (int64_t)(test_random(&random) % 30000));
    }
    for (size_t i = 0; i < ALARMS; i += 7) wheel_disarm(&wheel, &alarms[i].timer);
    for (size_t i = 1; i < ALARMS; i += 7) wheel_arm(&wheel, &alarms[i].timer, now_ms + 20000);
    while (wheel.count > 0) {
        int64_t sleep = wheel_sleep_ms(&wheel, now_ms);
        check(t, sleep >= 0 && sleep <= 8 * 1024 + 8);
        now_ms += sleep + (int64_t)(test_random(&random) % 3);
        wheel_advance(&wheel, now_ms);
        check(t, now_ms < 1000003 + 40000);
    }
    check_i64(t, -1, wheel_sleep_ms(&wheel, now_ms));
    for (size_t i = 0; i < ALARMS; i++) {
        check_i64(t, i % 7 == 0 ? 0 : 1, alarms[i].fired);
        if (i % 7 == 0) continue;
        int64_t late = alarms[i].fired_at_ms - alarms[i].timer.deadline_ms;
        check(t, late >= 0 && late <= WHEEL_TICK_MS + 2);
    }
}

TEST(a_long_sleep_fires_everything_that_is_due_and_nothing_else) {
    static Wheel wheel;
    Alarm near = {.timer.fire = on_alarm}, far = {.timer.fire = on_alarm};
    now_ms = 0;
    wheel_begin(&wheel, 0);
    wheel_arm(&wheel, &near.timer, 50000);
    wheel_arm(&wheel, &far.timer, 50000 + 8 * WHEEL_SLOTS * WHEEL_TICK_MS);
    wheel_advance(&wheel, 60000);
    check_i64(t, 1, near.fired);
    check_i64(t, 0, far.fired);
    wheel_disarm(&wheel, &far.timer);
    check_i64(t, 0, wheel.count);
}

typedef struct Counter {
    Loop *loop;
    _Atomic int count;
    int want;
    bool on_loop;
} Counter;

static void count_one(void *context) {
    Counter *counter = context;
    counter->on_loop = loop_is_current(counter->loop);
    if (atomic_fetch_add(&counter->count, 1) + 1 == counter->want) loop_stop(counter->loop);
}

static void post_many(void *context) {
    Counter *counter = context;
    for (int i = 0; i < 1000; i++) loop_post(counter->loop, count_one, counter);
}

TEST(messages_of_two_threads_all_arrive_on_the_loop) {
    Counter counter = {.want = 2000};
    check_ok(t, loop_open(clock_system(), &counter.loop, t->err));
    Thread *threads[2] = {0};
    for (size_t i = 0; i < 2; i++)
        check_ok(t, thread_start("post", post_many, &counter, &threads[i], t->err));
    check_ok(t, loop_run(counter.loop, t->err));
    for (size_t i = 0; i < 2; i++) thread_join(&threads[i]);
    check_i64(t, 2000, counter.count);
    check(t, counter.on_loop && !loop_is_current(counter.loop));
    loop_close(&counter.loop);
}

TEST(a_poller_that_fails_now_and_then_does_not_end_the_loop) {
    Counter counter = {.want = 1};
    check_ok(t, loop_open(clock_system(), &counter.loop, t->err));
    loop_post(counter.loop, count_one, &counter);
    socket_fail_after(SOCKET_CALL_POLL, 1, false, 12 /* ENOMEM */);
    bool ok = loop_run(counter.loop, t->err);
    socket_fail_after(SOCKET_CALL_POLL, 0, false, 0);
    check(t, ok);
    check_i64(t, 1, counter.count);
    loop_close(&counter.loop);
}

TEST(a_loop_without_a_poller_is_an_error_and_leaves_nothing) {
    int64_t files = process_files_open();
    for (uint64_t nth = 1; nth <= 2; nth++) {
        Loop *loop = NULL;
        call_fail_after(OS_CALL_POLLER_OPEN, nth, false, 24 /* EMFILE */);
        check_error(t, loop_open(clock_system(), &loop, t->err), ERROR_TOO_MANY);
        check_i64(t, nth, call_fail_after(OS_CALL_NONE, 0, false, 0));
        check(t, loop == NULL && strstr(t->err->message, "opening a poller") != NULL);
    }
    check_i64(t, files, process_files_open());
}

TEST_MAIN("net/loop", CASE(timers_fire_once_never_early_and_at_most_a_tick_late),
          CASE(a_long_sleep_fires_everything_that_is_due_and_nothing_else),
          CASE(messages_of_two_threads_all_arrive_on_the_loop),
          CASE(a_poller_that_fails_now_and_then_does_not_end_the_loop),
          CASE(a_loop_without_a_poller_is_an_error_and_leaves_nothing))
