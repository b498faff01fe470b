// A loop: one thread that waits for sockets, timers and messages, and calls back.
//
// Everything of a loop happens on the thread that runs it; only loop_post, loop_stop and
// loop_is_current may be called from elsewhere. Callbacks must not block: what takes long goes to a
// worker thread, which posts its result back.
//
// Readiness is level-triggered: a source that stays readable calls again. Timers sit in a hashed
// wheel (wheel.h), so arming and cancelling are O(1) and a timer fires at its deadline or up to one
// tick (8 ms) later.
#pragma once

#include "base/error.h"
#include "net/wheel.h"
#include "os/clock.h"
#include "os/socket.h"

typedef struct Loop Loop;

// What a loop watches; embedded in whoever owns the socket. `ready` may remove any source, its own
// too.
typedef struct LoopSource LoopSource;
struct LoopSource {
    Socket socket;
    void (*ready)(LoopSource *source, bool readable, bool writable, bool hung_up);
};

// One more loop; it runs when a thread calls loop_run. The clock outlives it.
must_use bool loop_open(Clock *clock, Loop **out, Error *err);

// After the thread has left loop_run, which has called all messages posted before it was stopped;
// later ones are dropped.
void loop_close(Loop **loop);

// Runs on this thread until loop_stop. An error of the poller itself ends it.
must_use bool loop_run(Loop *loop, Error *err);
void loop_stop(Loop *loop);  // any thread

// `callback(context)` will run on the loop's thread, in the order of posting. Any thread.
void loop_post(Loop *loop, void (*callback)(void *context), void *context);

bool loop_is_current(const Loop *loop);  // is this the loop's own thread?
int64_t loop_now_ms(const Loop *loop);   // monotonic, read once per round
Clock *loop_clock(const Loop *loop);

must_use bool loop_watch(Loop *loop, LoopSource *source, bool read, bool write, Error *err);
must_use bool loop_rewatch(Loop *loop, LoopSource *source, bool read, bool write, Error *err);
void loop_unwatch(Loop *loop,
                  LoopSource *source);  // no call for it comes after; the caller closes the socket

// Arming an armed timer moves it. `timer->fire` must be set. Deadlines are of loop_now_ms.
void loop_arm(Loop *loop, WheelTimer *timer, int64_t deadline_ms);
void loop_disarm(Loop *loop, WheelTimer *timer);
