// The log as others see it: open, append, wait, replay, trim.

#include "store/log/log.h"

#include "base/limits.h"
#include "store/log/inside.h"

enum { WAITING_BYTES_MAX = 64 * MB };

static bool open_in(Log *log, Arena *arena, LogRecovery *recovery, Error *err) {
    TRY(disk_make_folders(log->disk, log->folder, err));
    TRY(disk_buffer_take(SEGMENT_PAGE, &log->page, err));
    memset(log->page, 0, SEGMENT_PAGE);
    TRY(recovery_list(log, err));
    return log->options.recover_later ||
           recovery_run(log, UINT64_MAX, NULL, NULL, arena, recovery, err);
}

bool log_recover(Log *log, uint64_t first_sequence,
                 bool (*each)(void *context, const LogRecord *record, Error *err), void *context,
                 Arena *arena, LogRecovery *recovery, Error *err) {
    assert(!log->recovered);
    return recovery_run(log, first_sequence, each, context, arena, recovery, err);
}

double log_recovered_part(Log *log) {
    int64_t all = atomic_load(&log->recover_bytes), done = atomic_load(&log->recovered_bytes);
    return all <= 0 ? 0 : MIN((double)done / (double)all, 1.0);
}

bool log_open(LogOptions options, Arena *arena, LogRecovery *recovery, Log **out, Error *err) {
    AUTO(log_close) Log *log = memory_new(Log);
    log->options = options;
    log->disk = options.disk;
    log->folder = text_copy(options.folder, &log->arena);
    if (log->options.segment_bytes == 0) log->options.segment_bytes = LIMIT_LOG_SEGMENT_BYTES;
    log->options.segment_bytes =
        MAX(page_round_up(log->options.segment_bytes), (int64_t)3 * SEGMENT_PAGE);
    if (log->options.waiting_bytes_max == 0) log->options.waiting_bytes_max = WAITING_BYTES_MAX;
    mutex_begin(&log->trim, LOCK_LOG_TRIM);
    mutex_begin(&log->buffer, LOCK_LOG_BUFFER);
    mutex_begin(&log->segments_lock, LOCK_LOG_SEGMENTS);
    condition_begin(&log->work);
    condition_begin(&log->durable);
    if (!open_in(log, arena, recovery, err))
        return error_context(err, "opening the log in %.*s", TEXT_ARG(options.folder));
    *out = TAKE(log);
    return true;
}

static void stop_thread(Log *log) {
    if (log->thread == NULL) return;
    mutex_take(&log->buffer);
    log->stopping = true;
    condition_wake_all(&log->work);
    mutex_give(&log->buffer);
    thread_join(&log->thread);
}

// In memory mode these records were acknowledged already; only a crash may lose them.
static void commit_rest(Log *log) {
    Error err;
    bool did = true;
    while (did && commit_one(log, &did, &err)) continue;
}

// Who still waits is told that nothing will come.
static void refuse_waiters(Log *log) {
    Error err = {0};
    error_set(&err, ERROR_BUSY, "the log was closed before this record was durable");
    for (size_t i = 0; i < log->waiters.count; i++) {
        log->waiters.at[i].done(log->waiters.at[i].context, false, &err);
    }
    array_free(&log->waiters);
}

void log_close(Log **log_at) {
    Log *log = *log_at;
    if (log == NULL) return;
    stop_thread(log);
    if (log->options.durability == LOG_MEMORY && log->recovered) commit_rest(log);
    // With records still waiting the mark would be a lie: they have their sequences already.
    if (log->recovered && log->syncing == NULL && log->first == NULL) commit_end_mark(log);
    refuse_waiters(log);
    spare_close(log);
    group_free_all(&log->first);
    group_free_all(&log->syncing);
    group_free_all(&log->idle);
    array_free(&log->segments);
    array_free(&log->spares);
    condition_end(&log->work);
    condition_end(&log->durable);
    mutex_end(&log->trim);
    mutex_end(&log->buffer);
    mutex_end(&log->segments_lock);
    arena_free(&log->arena);
    memory_free(log);
    *log_at = NULL;
}

void log_skip_to(Log *log, uint64_t sequence) {
    mutex_take(&log->buffer);
    assert(log->first == NULL && log->syncing == NULL);
    if (log->next_sequence < sequence) log->next_sequence = log->durable_sequence = sequence;
    mutex_give(&log->buffer);
}

bool log_finish(Log *log, Error *err) {
    stop_thread(log);
    if (!log->recovered) return true;
    commit_rest(log);
    bool all = log->first == NULL && log->syncing == NULL && !log->stopped && !log->full;
    if (!all || log->finished) return true;
    TRY(segment_begin(log, log->next_sequence, SEGMENT_PAGE, err));
    log->finished = true;
    return true;
}

static SegmentArray segments_copy(Log *log, Arena *arena) {
    SegmentArray copy = {0};
    mutex_take(&log->segments_lock);
    for (size_t i = 0; i < log->segments.count; i++)
        *array_add_on(arena, &copy) = log->segments.at[i];
    mutex_give(&log->segments_lock);
    return copy;
}

bool log_replay(Log *log, uint64_t first_sequence,
                bool (*each)(void *context, const LogRecord *record, Error *err), void *context,
                Error *err) {
    AUTO(arena_free) Arena arena = {0};
    mutex_take(&log->buffer);
    uint64_t until = log->durable_sequence;
    mutex_give(&log->buffer);
    SegmentArray segments = segments_copy(log, &arena);
    return recovery_replay(log, segments, first_sequence, until, each, context, err);
}

static bool check_record(const LogRecord *record, Error *err) {
    if (record->type < LOG_RECORD_REMOTE_WRITE_1 || record->type > LOG_RECORD_TYPE_MAX) {
        return error_set(err, ERROR_BAD_INPUT, "the log knows no record of type %d",
                         (int)record->type);
    }
    if (record->refused.len > (size_t)LIMIT_LOG_RECORD_BYTES ||
        record->body.len > (size_t)LIMIT_LOG_RECORD_BYTES - record->refused.len) {
        return error_set(err, ERROR_TOO_LARGE,
                         "a record of the log may have %lld bytes (LOG_RECORD_BYTES), not %zu",
                         (long long)LIMIT_LOG_RECORD_BYTES, record->refused.len + record->body.len);
    }
    return true;
}

static void copy_record(const LogRecord *record, uint32_t payload_crc, uint64_t sequence,
                        uint8_t *into, size_t bytes) {
    // The place in the file is not known yet: commit finishes the header.
    static const SegmentHeader no_segment = {0};
    RecordHeader header = {
        .sequence = sequence,
        .arrival_ms = record->arrival_ms,
        .tenant = record->tenant,
        .type = (uint16_t)record->type,
        .refused_bytes = (uint32_t)record->refused.len,
        .body_bytes = (uint32_t)record->body.len,
        .payload_crc = payload_crc,
    };
    record_header_encode(&header, &no_segment, 0, into);
    uint8_t *at = into + RECORD_HEADER_BYTES;
    if (record->refused.len > 0) memcpy(at, record->refused.at, record->refused.len);
    at += record->refused.len;
    if (record->body.len > 0) memcpy(at, record->body.at, record->body.len);
    at += record->body.len;
    memset(at, 0, (size_t)(into + bytes - at));
}

// Under `buffer`.
static bool may_append(const Log *log, size_t bytes, Error *err) {
    if (log->stopped || log->full) {
        *err = log->reason;
        return error_context(
            err, log->full ? "the disk is full, the log waits for space" : "the log has stopped");
    }
    if (log->waiting_bytes > 0 &&
        log->waiting_bytes + (int64_t)bytes > log->options.waiting_bytes_max) {
        return error_set(err, ERROR_BUSY, "%lld bytes wait for the disk already; try again shortly",
                         (long long)log->waiting_bytes);
    }
    return true;
}

bool log_may_append(Log *log, size_t bytes, Error *err) {
    mutex_take(&log->buffer);
    bool may = may_append(log, bytes, err);
    mutex_give(&log->buffer);
    return may;
}

static bool append_in(Log *log, const LogRecord *record, uint32_t crc, size_t bytes,
                      uint64_t *sequence, Error *err) {
    TRY(may_append(log, bytes, err));
    Group *group;
    TRY(group_reserve(log, bytes, &group, err));
    copy_record(record, crc, log->next_sequence, group->at + group->len, bytes);
    group->len += bytes;
    group->records++;
    log->waiting_bytes += (int64_t)bytes;
    *sequence = log->next_sequence++;
    // In memory mode the thread looks by itself every 100 ms, unless much has come together.
    bool wake = log->options.durability == LOG_SYNC || log->waiting_bytes >= LIMIT_LOG_GROUP_BYTES;
    if (wake) condition_wake_one(&log->work);
    return true;
}

bool log_append(Log *log, const LogRecord *record, uint64_t *sequence, Error *err) {
    TRY(check_record(record, err));
    // The dear part is done before the lock is taken.
    uint32_t crc = record_payload_crc(record->refused, record->body);
    size_t bytes = record_bytes(record->refused.len + record->body.len);
    mutex_take(&log->buffer);
    bool ok = append_in(log, record, crc, bytes, sequence, err);
    mutex_give(&log->buffer);
    return ok;
}

// Whether the answer is known already. Under `buffer`.
static bool is_answered(const Log *log, uint64_t sequence, bool *ok) {
    *ok = sequence < log->durable_sequence;
    if (log->options.durability == LOG_MEMORY && !log->stopped) *ok = true;
    return *ok || log->stopped || log->full;
}

void log_when_durable(Log *log, uint64_t sequence, LogDone done, void *context) {
    bool ok;
    Error reason = {0};
    mutex_take(&log->buffer);
    bool answered = is_answered(log, sequence, &ok);
    if (!answered) *array_add(&log->waiters) = (Waiter){sequence, done, context};
    if (answered && !ok) reason = log->reason;
    mutex_give(&log->buffer);
    if (answered) done(context, ok, ok ? NULL : &reason);
}

bool log_wait(Log *log, uint64_t sequence, Error *err) {
    bool ok;
    mutex_take(&log->buffer);
    while (!is_answered(log, sequence, &ok)) condition_wait(&log->durable, &log->buffer);
    if (!ok) *err = log->reason;
    mutex_give(&log->buffer);
    return ok;
}

bool log_commit_now(Log *log, Error *err) {
    assert(log->thread == NULL);
    bool did;
    return commit_one(log, &did, err);
}

bool log_background_now(Log *log) {
    assert(log->thread == NULL);
    return background_step(log);
}

bool log_run(Log *log, Error *err) {
    assert(log->thread == NULL);
    log->running = true;
    if (thread_start("log", commit_thread, log, &log->thread, err)) return true;
    log->running = false;
    return false;
}

bool log_make_room(Log *log) {
    mutex_take(&log->buffer);
    uint64_t before = log->rooms_made;
    bool alone = !log->running && !log->stopping;
    log->room_wanted = log->running;
    if (log->running) condition_wake_one(&log->work);
    while (log->running && log->room_wanted) condition_wait(&log->durable, &log->buffer);
    bool made = log->rooms_made != before;
    mutex_give(&log->buffer);
    return alone ? ballast_release(log) : made;
}

// The oldest segment, when all its records are below `sequence` and it is not the newest.
static bool oldest_done(Log *log, uint64_t sequence, Segment *out) {
    mutex_take(&log->segments_lock);
    bool done = log->segments.count >= 2 && log->segments.at[1].first_sequence <= sequence;
    if (log->plant == LOG_PLANT_TRIM_ALL) {
        done = log->segments.count >= 2 && log->segments.at[0].first_sequence <= sequence;
    }
    if (done) *out = log->segments.at[0];
    mutex_give(&log->segments_lock);
    return done;
}

static bool trim_in(Log *log, uint64_t sequence, Error *err) {
    Segment oldest;
    while (oldest_done(log, sequence, &oldest)) {
        bool ok = segment_retire(log, oldest, err);
        if (!ok && err->code != ERROR_NOT_FOUND) return error_context(err, "trimming the log");
        // NOT_FOUND: an earlier attempt got as far as the name and failed to sync; the next sync
        // covers it.
        mutex_take(&log->segments_lock);
        log->segments.count--;
        memmove(log->segments.at, log->segments.at + 1, log->segments.count * sizeof oldest);
        mutex_give(&log->segments_lock);
        if (!ok) TRY(log->disk->sync_folder(log->disk, log->folder, err));
    }
    return true;
}

bool log_trim(Log *log, uint64_t sequence, Error *err) {
    mutex_take(&log->trim);
    bool ok = trim_in(log, sequence, err);
    mutex_give(&log->trim);
    return ok;
}

void log_state(Log *log, LogState *out) {
    mutex_take(&log->buffer);
    *out = (LogState){
        .next_sequence = log->next_sequence,
        .durable_sequence = log->durable_sequence,
        .waiting_bytes = log->waiting_bytes,
        .commits = log->commits,
        .records = log->records,
        .sync_ns_total = log->sync_ns_total,
        .writable = !log->stopped && !log->full,
        .durability = log->options.durability,
    };
    if (!out->writable) out->reason = log->reason;
    mutex_take(&log->segments_lock);
    out->segments = (int64_t)log->segments.count;
    out->first_sequence =
        log->segments.count > 0 ? log->segments.at[0].first_sequence : log->next_sequence;
    for (size_t i = 0; i < log->segments.count; i++) {
        bool newest = i + 1 == log->segments.count;
        out->bytes += log->segments.at[i].bytes;
        out->read_bytes +=
            newest ? MIN(log->newest_bytes, log->segments.at[i].bytes) : log->segments.at[i].bytes;
    }
    mutex_give(&log->segments_lock);
    mutex_give(&log->buffer);
}

void log_plant(Log *log, LogPlant plant) {
    log->plant = plant;
}
