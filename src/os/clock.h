// Time is passed in: whoever needs it has a Clock. Nothing reads wall time in the middle of logic.
#pragma once

#include "base/text.h"

typedef struct Clock Clock;
struct Clock {
    void *context;
    int64_t (*wall_ms)(Clock *clock);       // milliseconds since 1970, UTC; may step
    int64_t (*monotonic_ns)(Clock *clock);  // never goes back; any origin
    void (*sleep_ms)(Clock *clock, int64_t ms);
};

Clock *clock_system(void);

// A clock that stands still until told otherwise (tests). Any thread.
typedef struct ManualClock {
    Clock clock;
    _Atomic int64_t wall_ms;
    _Atomic int64_t monotonic_ns;
    _Atomic uint64_t readings;  // of the wall time, since clock_manual()
    _Atomic uint64_t step_nth;  // 0: none
    _Atomic int64_t step_ms;
} ManualClock;
void clock_manual(ManualClock *manual, int64_t wall_ms);
void clock_advance(ManualClock *manual, int64_t ms);
// At the n-th reading of the wall time from now (1 is the next) the wall clock steps by `ms`, also
// back, as when somebody sets it; the monotonic time goes on as it was.
void clock_step_after(ManualClock *manual, uint64_t nth, int64_t ms);

// CPU time of the whole process and of this thread, for our own metrics and budgets.
int64_t cpu_process_ns(void);
int64_t cpu_thread_ns(void);

// RFC 3339 in UTC with milliseconds, "2026-11-21T00:24:52.123Z", on `arena`; and back (also other
// offsets).
Text time_format_ms(int64_t ms, Arena *arena);
must_use bool time_parse_ms(Text text, int64_t *out);
