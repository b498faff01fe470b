// The log: append bytes, know when they are durable, read them back, trim what is no longer needed.
//
// One sequence of records in segment files. A record is acknowledged only when it, the file's
// length and every folder entry needed to find it are durable: rules W1 to W25 of
// docs/durability.md. One writer commits groups: a batch grows while the previous one syncs (W18).
// Bytes are described in FORMAT.md. The Kafka side of this seam comes later; nothing above knows
// which is in use.
//
// Any thread appends; one thread commits: either log_run on a thread of its own, or the caller of
// log_commit_now (tests, deterministic).
#pragma once

#include "base/budget.h"
#include "base/progress.h"
#include "os/clock.h"
#include "os/disk.h"

typedef struct Log Log;

// Types of records; numbers once used are never reused.
typedef enum LogRecordType {
    LOG_RECORD_REMOTE_WRITE_1 = 1,  // a remote write 1.0 body, snappy as received
    LOG_RECORD_SAMPLES = 2,         // the same, not compressed
    LOG_RECORD_REMOTE_WRITE_2 = 3,  // a remote write 2.0 body, snappy as received
} LogRecordType;
#define LOG_RECORD_TYPE_MAX LOG_RECORD_REMOTE_WRITE_2  // 1 to here are known

typedef enum LogDurability {
    LOG_SYNC,    // acknowledged after fdatasync
    LOG_MEMORY,  // acknowledged at once, synced every 100 ms; every answer says so
} LogDurability;

typedef struct LogRecord {
    uint64_t sequence;  // rises by one; never reused
    LogRecordType type;
    uint32_t tenant;  // TenantId.number
    int64_t arrival_ms;
    Bytes refused;  // what admit refused, in ingest's own format; may be empty
    Bytes body;
} LogRecord;

typedef struct LogOptions {
    Disk *disk;
    Clock *clock;
    Text folder;  // made when missing
    LogDurability durability;
    int64_t segment_bytes;  // 0: LIMIT_LOG_SEGMENT_BYTES
    // Un-synced bytes at most; beyond it append is ERROR_BUSY. 0: 64 MiB.
    int64_t waiting_bytes_max;
    int64_t ballast_bytes;  // given back when the disk is full (W12); 0: 64 MiB or 1 % of the disk,
                            // -1: none
    bool recover_later;  // log_open finds the files only; log_recover follows, before anything else
} LogOptions;

// A lost interval: what recovery had to quarantine (W6). Published, never silent.
typedef struct LogGap {
    uint64_t first_sequence, last_sequence;  // of the records that cannot be read
    int64_t first_ms, last_ms;               // arrival of their neighbours
    Text file;
    int64_t offset, bytes;
    // A later commit shows that these records had been acknowledged. False: they belong to the last
    // commit before a power cut, which may have been torn before it was acknowledged.
    bool proven;
} LogGap;

typedef struct LogRecovery {
    uint64_t first_sequence, next_sequence;
    uint64_t records;
    LogGap *gaps;
    size_t gap_count;
    int64_t bytes_cut;  // behind the last whole record: a torn tail, or what a recycled file held
                        // before (W7)
} LogRecovery;

// Opens or begins a log: finds the segments, verifies every record, cuts a torn tail durably.
// Damage elsewhere is a gap. NEWER_FORMAT for an unknown version or record type (W23), naming file
// and offset.
must_use bool log_open(LogOptions options, Arena *arena, LogRecovery *recovery, Log **out,
                       Error *err);
// What log_open leaves out with `recover_later`, in one reading: verifies every record, hands those
// from `first_sequence` on to `each` in order, and only then cuts a torn tail. Views hold during
// the call. `each` returning false stops with its error: the log is then of no use but to be
// closed.
must_use bool log_recover(Log *log, uint64_t first_sequence,
                          bool (*each)(void *context, const LogRecord *record, Error *err),
                          void *context, Arena *arena, LogRecovery *recovery, Error *err);
// How much of the log was read while log_recover runs: 0 to 1. Any thread.
double log_recovered_part(Log *log);
// Stops the commit thread. Un-synced records are lost, as they were never acknowledged; in memory
// mode they are written.
void log_close(Log **log);

// Prepares an end whose next opening has next to nothing to read: stops the commit thread, commits
// what waits and begins a segment that will hold nothing but the mark of an orderly end; log_trim
// then drops the others. True without doing it when the log takes no records. Nothing is appended
// after it.
must_use bool log_finish(Log *log, Error *err);

// Numbers below `sequence` are not given to records any more: blocks claim them already, though the
// log lost its end (it had not been durable yet, or the folder was emptied). Before the first
// append.
void log_skip_to(Log *log, uint64_t sequence);

// Reads every record from `first_sequence` on, in order. Views hold during the call. `each`
// returning false stops with its error.
must_use bool log_replay(Log *log, uint64_t first_sequence,
                         bool (*each)(void *context, const LogRecord *record, Error *err),
                         void *context, Error *err);

// Copies the record behind the others of the group that is being gathered; *sequence names it. Not
// durable yet. BUSY when too much waits; DISK_FULL or IO with the reason once the log has stopped
// taking records.
must_use bool log_append(Log *log, const LogRecord *record, uint64_t *sequence, Error *err);

// Whether log_append would take a record of about so many bytes now; its reason if not. For whoever
// has work to do before.
must_use bool log_may_append(Log *log, size_t bytes, Error *err);

// Calls `done` once the record is durable, from the commit thread; at once when it already is. ok
// is false, with the reason, when the log stopped or the disk is full: the record was not
// acknowledged, but may still become durable when space returns, as after an answer that was lost
// (W25). The callback must not block or append.
typedef void (*LogDone)(void *context, bool ok, const Error *err);
void log_when_durable(Log *log, uint64_t sequence, LogDone done, void *context);

// Blocks until durable.
must_use bool log_wait(Log *log, uint64_t sequence, Error *err);

// Commits one group of what waits, on the caller's thread; nothing waiting is fine. Only without
// log_run.
must_use bool log_commit_now(Log *log, Error *err);
// One step of what the thread does in idle moments (spares, ballast); false when nothing is left.
// Only without log_run.
bool log_background_now(Log *log);
// Starts the commit thread, which also prepares and recycles segments and retries after a full
// disk.
must_use bool log_run(Log *log, Error *err);

// Gives back what is kept aside for a full disk (W12), for whoever has to write and found no space;
// false: there was nothing. It is taken again when there is plenty. Any thread; waits for the
// commit thread, which may be in a sync.
bool log_make_room(Log *log);

// Everything below `sequence` is durable elsewhere and may be dropped (W16). Segments are recycled,
// except the newest one, which keeps the count. Not while a log_replay runs.
must_use bool log_trim(Log *log, uint64_t sequence, Error *err);

typedef struct LogState {
    uint64_t next_sequence, durable_sequence, first_sequence;  // durable: all below it are
    int64_t bytes, segments, waiting_bytes;
    int64_t read_bytes;  // of them an opening has to read so many when the end is an orderly one
    uint64_t commits, records, sync_ns_total;
    bool writable;  // false: stopped by a failure, see reason
    Error reason;
    LogDurability durability;
} LogState;
void log_state(Log *log, LogState *out);

// Prints a segment for `traceo inspect`: header, records, damage. `progress` (bytes) may be NULL.
must_use bool log_inspect(Disk *disk, Text path, Progress *progress, Builder *out, Error *err);
