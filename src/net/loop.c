// One round of a loop: wait, read the clock, messages, sockets, timers.

#include "net/loop.h"

#include <stdatomic.h>

#include "base/array.h"
#include "base/assert.h"
#include "base/log.h"
#include "os/thread.h"

enum { EVENTS_PER_ROUND = 128, POLL_ERRORS_MAX = 100, POLL_ERROR_PAUSE_MS = 10 };

typedef struct Message {
    void (*callback)(void *context);
    void *context;
} Message;

typedef ARRAY(Message) Messages;

struct Loop {
    Poller *poller;
    Clock *clock;
    int64_t now_ms;
    Wheel wheel;
    PollEvent events[EVENTS_PER_ROUND];
    size_t event_at, event_count;  // what is left of this round
    Mutex lock;                    // LOCK_LOOP_INBOX, over `inbox` only
    Messages inbox;
    Messages outgoing;  // swapped with the inbox, owned by the loop
    _Atomic bool has_messages, stop;
};

static thread_local_ const Loop *current_loop;

static int64_t clock_ms(Clock *clock) {
    return clock->monotonic_ns(clock) / 1000000;
}

bool loop_open(Clock *clock, Loop **out, Error *err) {
    Loop *loop = memory_new(Loop);
    mutex_begin(&loop->lock, LOCK_LOOP_INBOX);
    loop->clock = clock;
    loop->now_ms = clock_ms(clock);
    wheel_begin(&loop->wheel, loop->now_ms);
    if (!poller_open(&loop->poller, err)) {
        loop_close(&loop);
        return false;
    }
    *out = loop;
    return true;
}

void loop_close(Loop **loop) {
    if (*loop == NULL) return;
    poller_close(&(*loop)->poller);
    array_free(&(*loop)->inbox);
    array_free(&(*loop)->outgoing);
    mutex_end(&(*loop)->lock);
    memory_free(TAKE(*loop));
}

// Messages posted by these callbacks wait for the next round, so that sockets get their turn.
static void run_messages(Loop *loop) {
    if (!atomic_load(&loop->has_messages)) return;
    mutex_take(&loop->lock);
    Messages taken = loop->inbox;
    loop->inbox = loop->outgoing;
    atomic_store(&loop->has_messages, false);
    mutex_give(&loop->lock);
    for (size_t i = 0; i < taken.count; i++) taken.at[i].callback(taken.at[i].context);
    array_clear(&taken);
    loop->outgoing = taken;
}

static void run_events(Loop *loop) {
    for (loop->event_at = 0; loop->event_at < loop->event_count;) {
        PollEvent event = loop->events[loop->event_at++];
        LoopSource *source = event.tag;  // NULL: removed by an earlier callback of this round
        if (source != NULL) source->ready(source, event.readable, event.writable, event.hung_up);
    }
    loop->event_at = loop->event_count = 0;
}

bool loop_run(Loop *loop, Error *err) {
    current_loop = loop;
    int errors = 0;
    while (!atomic_load(&loop->stop)) {
        int64_t sleep_ms =
            atomic_load(&loop->has_messages) ? 0 : wheel_sleep_ms(&loop->wheel, loop->now_ms);
        loop->event_count = 0;
        if (!poller_wait(loop->poller, loop->events, EVENTS_PER_ROUND, sleep_ms, &loop->event_count,
                         err)) {
            loop->event_count = 0;
            if (++errors == POLL_ERRORS_MAX) {
                current_loop = NULL;
                return error_context(err, "the event loop cannot go on");
            }
            log_warn("waiting for sockets failed, trying again", LOG_ERR(err));
            loop->clock->sleep_ms(loop->clock, POLL_ERROR_PAUSE_MS);
        } else {
            errors = 0;
        }
        loop->now_ms = clock_ms(loop->clock);
        run_messages(loop);
        run_events(loop);
        wheel_advance(&loop->wheel, loop->now_ms);
    }
    // What was posted before the end is not lost.
    run_messages(loop);
    current_loop = NULL;
    return true;
}

void loop_stop(Loop *loop) {
    atomic_store(&loop->stop, true);
    poller_wake(loop->poller);
}

void loop_post(Loop *loop, void (*callback)(void *context), void *context) {
    mutex_take(&loop->lock);
    *array_add(&loop->inbox) = (Message){callback, context};
    bool was_empty = !atomic_exchange(&loop->has_messages, true);
    // Woken under the lock: once it is given, the loop may run the message and be closed.
    if (was_empty) poller_wake(loop->poller);
    mutex_give(&loop->lock);
}

bool loop_is_current(const Loop *loop) {
    return current_loop == loop;
}

int64_t loop_now_ms(const Loop *loop) {
    return loop->now_ms;
}

Clock *loop_clock(const Loop *loop) {
    return loop->clock;
}

bool loop_watch(Loop *loop, LoopSource *source, bool read, bool write, Error *err) {
    return poller_add(loop->poller, source->socket, source, read, write, err);
}

bool loop_rewatch(Loop *loop, LoopSource *source, bool read, bool write, Error *err) {
    return poller_change(loop->poller, source->socket, source, read, write, err);
}

void loop_unwatch(Loop *loop, LoopSource *source) {
    poller_remove(loop->poller, source->socket);
    for (size_t i = loop->event_at; i < loop->event_count; i++) {
        if (loop->events[i].tag == source) loop->events[i].tag = NULL;
    }
}

void loop_arm(Loop *loop, WheelTimer *timer, int64_t deadline_ms) {
    wheel_arm(&loop->wheel, timer, deadline_ms);
}

void loop_disarm(Loop *loop, WheelTimer *timer) {
    wheel_disarm(&loop->wheel, timer);
}
