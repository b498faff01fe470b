// The seam through which tests make calls of the system fail that are neither the disk's
// (disk_fault.h) nor a connection's (socket_fail_after).
#pragma once

#include "base/language.h"

typedef enum OsCall {
    OS_CALL_NONE,
    OS_CALL_THREAD_START,  // also thread_fail_after()
    OS_CALL_RANDOM,        // also random_fail_after()
    OS_CALL_SIGNALS,       // signals_begin
    OS_CALL_POLLER_OPEN,   // each of the two descriptors of a poller
    OS_CALL_LISTEN,        // each step of socket_listen
    OS_CALL_FILE_READ,  // process_read_file, stream_read_in, stream_read_some: each open, each read
    OS_CALL_STREAM_WRITE,  // standard output and standard error
    OS_CALL_MOUNT_SPACE,
    OS_CALL_ASK,  // what answers 0 or nothing when it fails: names, folders, limits, counts
    OS_CALL_COUNT
} OsCall;

// The n-th call of this kind from now fails with `number` (an errno), with `for_ever` all later
// ones too. One plan for the process; nth 0 switches it off. Returns how many calls of the kind
// planned before were seen. Any thread.
uint64_t call_fail_after(OsCall call, uint64_t nth, bool for_ever, int number);

// Private to os: whether this call is to fail; errno is set then.
bool call_fault(OsCall call);
