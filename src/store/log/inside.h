// The inside of a Log, shared by the files of this room and by nobody else.
//
// Three locks, taken in this order: LOG_TRIM (one trim at a time), LOG_BUFFER (records that wait,
// who waits for them, whether the log takes records), LOG_SEGMENTS (the lists of segments and
// spares). The fields under "commit" belong to whoever commits: the thread of log_run, or the
// caller of log_commit_now.
#pragma once

#include "base/array.h"
#include "base/assert.h"
#include "os/thread.h"
#include "store/log/plant.h"
#include "store/log/segment.h"

enum {
    QUICK_SEGMENT_BYTES = 1 * MB,  // made on the spot when no spare is ready
    PREPARE_STEP_BYTES =
        1 * MB,  // zeros written and synced between two looks at the waiting records
    GROUP_BYTES_FIRST = 64 * KB,
    SPARES_MAX = 2,
    GROUPS_IDLE_MAX = 2,   // one gathers while the other syncs
    MEMORY_SYNC_MS = 100,  // LOG_MEMORY
    FULL_PROBE_MS = 1000,
    PREPARE_AGAIN_MS = 10000,  // after a failure in the background
};

// Records that are committed together; laid out as they will stand in the file.
typedef struct Group Group;
struct Group {
    Group *next;
    uint8_t *at;  // aligned
    size_t capacity, len;
    uint64_t first_sequence;
    uint32_t records;
};

typedef struct Segment {
    uint64_t id;
    uint64_t first_sequence;
    int64_t bytes;
} Segment;
typedef ARRAY(Segment) SegmentArray;

typedef struct Spare {
    uint64_t id;
    int64_t bytes;
} Spare;
typedef ARRAY(Spare) SpareArray;

typedef struct Waiter {
    uint64_t sequence;
    LogDone done;
    void *context;
} Waiter;
typedef ARRAY(Waiter) WaiterArray;

struct Log {
    LogOptions options;
    Disk *disk;
    Arena arena;  // the folder's name
    Text folder;

    Mutex trim;

    Mutex buffer;  // guards up to the next blank line
    Condition work, durable;
    Group *first, *last;  // waiting; `last` gathers
    Group *syncing;       // being committed, or kept for the next try
    Group *idle;
    uint32_t idle_count;
    int64_t waiting_bytes;
    int64_t newest_bytes;  // of the newest segment, up to the end of its last record
    uint64_t next_sequence, durable_sequence;
    WaiterArray waiters;
    bool stopped;  // for good: a second failure (W8)
    bool full;     // until space returns (W10)
    Error reason;
    uint64_t commits, records, sync_ns_total;
    bool stopping;
    bool running;         // the thread
    bool room_wanted;     // log_make_room asks the thread, which has the ballast
    uint64_t rooms_made;  // how often there was one to give

    Mutex segments_lock;  // guards up to the next blank line
    SegmentArray segments;
    SpareArray spares;
    uint64_t next_id;

    // commit
    File *active;
    SegmentHeader active_header;
    int64_t active_at;
    uint64_t proven_sequence;  // for the next segment's header, until a group has become durable
    bool any_durable;
    bool finished;        // the active segment shall hold the end mark alone
    uint8_t *page;        // one aligned page, for headers
    uint8_t *zeros;       // taken when first needed
    int64_t zeros_bytes;  // PREPARE_STEP_BYTES, or less when segments are smaller
    File *preparing;
    uint64_t preparing_id;
    int64_t prepared_bytes, preparing_target;
    int64_t prepare_again_ns;  // monotonic; not before
    File *ballast;
    int64_t ballast_bytes, ballast_done;
    int64_t ballast_files, ballast_files_done;
    bool ballast_known;  // whether its size was looked at

    bool recovered;  // the log may be closed orderly
    _Atomic int64_t recover_bytes, recovered_bytes;

    Thread *thread;
    LogPlant plant;
};

// recovery.c
// Finds segments and spares; then reads all of it, each record from `from` on going to `each`
// (NULL: to nobody).
must_use bool recovery_list(Log *log, Error *err);
must_use bool recovery_run(Log *log, uint64_t from,
                           bool (*each)(void *context, const LogRecord *record, Error *err),
                           void *context, Arena *arena, LogRecovery *out, Error *err);
// Every record of `segments` with from <= sequence < until, in order.
must_use bool recovery_replay(Log *log, SegmentArray segments, uint64_t from, uint64_t until,
                              bool (*each)(void *context, const LogRecord *record, Error *err),
                              void *context, Error *err);
Text log_path(const Log *log, Text name, Arena *arena);

// spare.c: files that wait to become segments.
// Makes a fresh segment with room for `need` bytes of records the active one (W2).
must_use bool segment_begin(Log *log, uint64_t first_sequence, int64_t need, Error *err);
void segment_drop_active(Log *log);
// One step of background work; false when there is none to do. A failure only postpones it.
bool background_step(Log *log);
void close_file(Log *log, File **file);  // NULL is fine
must_use bool write_zeros(Log *log, File *file, int64_t from, int64_t to, Error *err);
// Turns a trimmed segment into a spare, or removes it, and makes that durable.
must_use bool segment_retire(Log *log, Segment segment, Error *err);
void spare_close(Log *log);

// ballast.c: what is kept aside for a full disk.
// Takes more of it; *did: there was some to take, and room for it.
must_use bool ballast_step(Log *log, bool *did, Error *err);
bool ballast_release(Log *log);  // false: there was none
// May the log take another file of `need` bytes? It leaves alone what was given back: it would be
// the first to use that up.
must_use bool ballast_leaves(Log *log, int64_t need, Error *err);
// Whether enough is free again to go on after a full disk, the ballast kept aside.
bool space_is_back(Log *log);

// commit.c
void group_free_all(Group **group);
must_use bool group_reserve(Log *log, size_t more, Group **out, Error *err);  // under `buffer`
must_use bool commit_one(Log *log, bool *did, Error *err);
void commit_end_mark(Log *log);
void commit_thread(void *log);
