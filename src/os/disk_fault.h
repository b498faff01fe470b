// A disk around another one that fails by plan (tests only).
#pragma once

#include "os/disk.h"

typedef enum DiskCall {
    DISK_CALL_ANY,
    DISK_CALL_OPEN,
    DISK_CALL_READ,
    DISK_CALL_WRITE,
    DISK_CALL_RESIZE,
    DISK_CALL_SYNC,  // sync, sync_data and sync_folder
    DISK_CALL_MAP,
    DISK_CALL_FOLDER,  // make, list, remove
    DISK_CALL_RENAME,
    DISK_CALL_REMOVE,
    DISK_CALL_COUNT
} DiskCall;

typedef struct DiskFaultPlan {
    DiskCall call;     // which calls count
    uint64_t nth;      // the n-th of them fails (1 is the first); 0: none
    bool for_ever;     // and all later ones
    ErrorCode code;    // IO, DISK_FULL, NO_MEMORY
    bool partial;      // a failing write first writes half of its bytes
    int64_t delay_ms;  // waits instead of failing when code is ERROR_NONE
    bool untold;       // a change that fails says it worked: what a caller hears who does not look
} DiskFaultPlan;

typedef struct DiskFault DiskFault;

DiskFault *disk_fault_new(Disk *inner);
void disk_fault_free(DiskFault **fault);
Disk *disk_fault_disk(DiskFault *fault);
void disk_fault_plan(DiskFault *fault, DiskFaultPlan plan);  // also sets the counts back to 0
uint64_t disk_fault_seen(const DiskFault *fault, DiskCall call);
