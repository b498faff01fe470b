// One plan for the process, made of atomics so that the calls pay one load when there is none.

#include "os/call_fault.h"

#include <errno.h>
#include <stdatomic.h>

static _Atomic OsCall planned;  // OS_CALL_NONE: nothing fails
static _Atomic uint64_t fail_nth, calls_seen;
static _Atomic bool fail_for_ever;
static _Atomic int fail_number;

uint64_t call_fail_after(OsCall call, uint64_t nth, bool for_ever, int number) {
    atomic_store(&planned, OS_CALL_NONE);
    uint64_t seen = atomic_exchange(&calls_seen, 0);
    atomic_store(&fail_nth, nth);
    atomic_store(&fail_for_ever, for_ever);
    atomic_store(&fail_number, number);
    atomic_store(&planned, nth > 0 ? call : OS_CALL_NONE);
    return seen;
}

bool call_fault(OsCall call) {
    if (likely(atomic_load(&planned) != call)) return false;
    uint64_t seen = atomic_fetch_add(&calls_seen, 1) + 1, nth = atomic_load(&fail_nth);
    if (seen != nth && !(seen > nth && atomic_load(&fail_for_ever))) return false;
    errno = atomic_load(&fail_number);
    return true;
}
