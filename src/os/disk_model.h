// A disk in memory that knows what a power cut may leave behind (tests only).
//
// Every write since the last sync of its file is remembered apart, and so is every change of a
// folder since that folder's sync. disk_model_crash() builds one state that a real disk could show
// after power loss: each un-synced write is dropped, kept, torn at 512-byte sectors or applied out
// of order, by a seed; un-synced names may be missing or back. The choice is independent per write,
// as the rules W1 to W17 of a correct log must hold against arbitrary order between syncs (ALICE,
// OSDI '14). A failed sync may lose the pages for good though later syncs succeed (W8). After a
// rename across folders the new folder is synced first: with only the old one synced the file may
// be lost.
#pragma once

#include "os/disk.h"

typedef struct DiskModel DiskModel;

DiskModel *disk_model_new(void);
void disk_model_free(DiskModel **model);
Disk *disk_model_disk(DiskModel *model);

// How many operations that change something were seen (write, sync, rename, …). With
// disk_model_stop_at(n) the n-th of them and every later one fails with IO, as if the power had
// gone: run a scripted life with n = 1, 2, 3, … and crash after each. `n` counts from
// disk_model_new(), across crashes; a crash ends the stop (the power is back).
uint64_t disk_model_operations(const DiskModel *model);
void disk_model_stop_at(DiskModel *model, uint64_t operation);  // 0: never

typedef enum CrashKind {
    CRASH_DROP_ALL,  // nothing un-synced survives
    CRASH_KEEP_ALL,  // everything does (kill -9); un-synced it stays, for a power cut that follows
    CRASH_RANDOM,    // each un-synced write dropped, kept or torn, in any order, by `seed`
} CrashKind;

// Replaces the content by a state after a power cut. Open files become invalid (close them first).
void disk_model_crash(DiskModel *model, CrashKind kind, uint64_t seed);

// The n-th sync of a file from now fails with IO, and what was pending in that file can be read on
// but will never be durable, though later syncs succeed (W8; "Can Applications Recover from fsync
// Failures?", ATC '20). 0 switches it off; so does a crash.
void disk_model_fail_sync(DiskModel *model, uint64_t nth);

// A copy of the durable and pending state, to try several crashes from one point.
DiskModel *disk_model_copy(const DiskModel *model);

// Planted faults, so that a test can show that it catches them: the named call does nothing but
// says true; RENAME_EARLY makes a rename durable at once, while bytes written before it may still
// be lost.
typedef enum DiskLie { LIE_NONE, LIE_SYNC, LIE_SYNC_FOLDER, LIE_RENAME_EARLY } DiskLie;
void disk_model_lie(DiskModel *model, DiskLie lie);

// Flips one bit of a file, for bit-rot tests. False when there is no such byte.
bool disk_model_flip(DiskModel *model, Text path, int64_t byte, unsigned bit);

// The capacity: writes beyond it are DISK_FULL. 0: no end.
void disk_model_capacity(DiskModel *model, int64_t bytes);
