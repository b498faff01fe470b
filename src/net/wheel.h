// A timer wheel: many deadlines, O(1) to arm and to cancel, no allocation.
//
// A hashed wheel (Varghese and Lauck 1987, scheme 6): 1024 slots of 8 ms, a timer hangs in the slot
// of its deadline modulo one turn (8.2 s); later turns are passed over. Pure: time is handed in.
// One thread.
#pragma once

#include "base/language.h"

typedef struct WheelTimer WheelTimer;
struct WheelTimer {
    void (*fire)(WheelTimer *timer);  // disarmed before the call; may arm again
    int64_t deadline_ms;
    WheelTimer *next;
    WheelTimer **link;  // what points at this one; NULL: not armed
};

enum { WHEEL_TICK_MS = 8, WHEEL_SLOTS = 1024 };

typedef struct Wheel {
    int64_t now_tick;
    WheelTimer *slots[WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64];  // a bit per slot that may hold timers
    size_t count;
} Wheel;

void wheel_begin(Wheel *wheel, int64_t now_ms);
void wheel_arm(Wheel *wheel, WheelTimer *timer, int64_t deadline_ms);
void wheel_disarm(Wheel *wheel, WheelTimer *timer);  // not armed is fine
static inline bool wheel_is_armed(const WheelTimer *timer) {
    return timer->link != NULL;
}

// Fires what is due: nothing before its deadline, everything at most a tick after it.
void wheel_advance(Wheel *wheel, int64_t now_ms);

// How long one may sleep, at most: milliseconds until the next slot in use, -1 when no timer is
// armed. It may be too early (a timer of a later turn), never too late by more than a tick.
int64_t wheel_sleep_ms(const Wheel *wheel, int64_t now_ms);
