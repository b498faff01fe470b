// Group commit: one aligned write and one sync make every record of a group durable (W4, W18).
//
// While one group syncs the next one gathers. A group never crosses the end of a segment.

#include "base/limits.h"
#include "store/log/inside.h"

static void group_free(Group **group) {
    if (*group == NULL) return;
    disk_buffer_free(&(*group)->at);
    memory_free(TAKE(*group));
}

void group_free_all(Group **group) {
    while (*group != NULL) {
        Group *next = (*group)->next;
        group_free(group);
        *group = next;
    }
}

static bool group_grow(Group *group, size_t need, Error *err) {
    // Room for the padding to a whole page is always kept.
    need = (size_t)page_round_up((int64_t)need);
    if (need <= group->capacity) return true;
    size_t capacity = MAX(group->capacity, (size_t)GROUP_BYTES_FIRST);
    while (capacity < need) capacity *= 2;
    uint8_t *larger = NULL;
    TRY(disk_buffer_take(capacity, &larger, err));
    if (group->len > 0) memcpy(larger, group->at, group->len);
    disk_buffer_free(&group->at);
    group->at = larger;
    group->capacity = capacity;
    return true;
}

bool group_reserve(Log *log, size_t more, Group **out, Error *err) {
    Group *last = log->last;
    if (last != NULL && last->len + more <= (size_t)LIMIT_LOG_GROUP_BYTES) {
        TRY(group_grow(last, last->len + more, err));
        *out = last;
        return true;
    }
    Group *group = log->idle != NULL ? log->idle : memory_new(Group);
    if (group == log->idle) {
        log->idle = group->next;
        log->idle_count--;
        *group = (Group){.at = group->at, .capacity = group->capacity};
    }
    group->first_sequence = log->next_sequence;
    if (!group_grow(group, more, err)) {
        group_free(&group);
        return false;
    }
    if (last != NULL) {
        last->next = group;
    } else {
        log->first = group;
    }
    log->last = group;
    *out = group;
    return true;
}

// Gives every record its place: group, segment, checksum; and zeros up to the end of the page.
static size_t group_finish(Group *group, const SegmentHeader *segment, int64_t offset) {
    size_t at = 0;
    while (at < group->len) {
        RecordHeader record;
        record_header_peek(group->at + at, &record);
        record.group = group->first_sequence;
        record_header_encode(&record, segment, offset + (int64_t)at, group->at + at);
        at += record_bytes((size_t)record.refused_bytes + record.body_bytes);
    }
    assert(at == group->len);
    size_t padded = (size_t)page_round_up((int64_t)group->len);
    memset(group->at + group->len, 0, padded - group->len);
    return padded;
}

static bool sync_group(Log *log, Error *err) {
    if (log->plant == LOG_PLANT_NO_SYNC) return true;
    if (log->disk->sync_data(log->disk, log->active, err)) return true;
    return log->plant == LOG_PLANT_RETRY_SYNC && log->disk->sync_data(log->disk, log->active, err);
}

// A file whose write or sync has failed is dead: the group goes to a new one, once (W8). On a full
// disk the bytes stay in memory for the next try, which overwrites the same place (W11).
static bool make_durable(Log *log, Group *group, Error *err) {
    Disk *disk = log->disk;
    int64_t need = page_round_up((int64_t)group->len);
    for (int attempt = 0; attempt < 2; attempt++) {
        bool room =
            log->active != NULL && log->active_at + need <= log->active_header.bytes - SEGMENT_PAGE;
        if (!room && !segment_begin(log, group->first_sequence, need, err)) {
            if (err->code == ERROR_DISK_FULL) return false;
            continue;
        }
        size_t padded = group_finish(group, &log->active_header, log->active_at);
        if (!disk->write(disk, log->active, log->active_at, group->at, padded, err)) {
            if (err->code == ERROR_DISK_FULL) return false;
            segment_drop_active(log);
            continue;
        }
        if (!sync_group(log, err)) {
            segment_drop_active(log);
            continue;
        }
        log->active_at += need;
        log->any_durable = true;
        return true;
    }
    if (err->code == ERROR_DISK_FULL) return false;
    return error_context(err, "the log takes no more records until the program is started again");
}

// Moves the waiters that `all` or the durable sequence answers to `out`. Under `buffer`.
static void take_waiters(Log *log, bool all, WaiterArray *out) {
    size_t kept = 0;
    for (size_t i = 0; i < log->waiters.count; i++) {
        Waiter waiter = log->waiters.at[i];
        if (all || waiter.sequence < log->durable_sequence) {
            *array_add(out) = waiter;
        } else {
            log->waiters.at[kept++] = waiter;
        }
    }
    log->waiters.count = kept;
}

static void answer(WaiterArray *waiters, bool ok, const Error *reason) {
    for (size_t i = 0; i < waiters->count; i++)
        waiters->at[i].done(waiters->at[i].context, ok, reason);
    array_free(waiters);
}

// The group that shall be committed now: the one kept from the last try, or the first that waits.
static bool take_group(Log *log, Group **out, bool *was_full, Error *err) {
    mutex_take(&log->buffer);
    bool ok = true;
    if (log->stopped) {
        *err = log->reason;
        ok = false;
    } else if (log->syncing == NULL && log->first != NULL) {
        log->syncing = log->first;
        log->first = log->first->next;
        if (log->first == NULL) log->last = NULL;
        log->syncing->next = NULL;
    }
    *out = log->syncing;
    *was_full = log->full;
    mutex_give(&log->buffer);
    return ok;
}

static void group_done(Log *log, Group *group, int64_t sync_ns) {
    WaiterArray ready = {0};
    mutex_take(&log->buffer);
    log->durable_sequence = group->first_sequence + group->records;
    log->waiting_bytes -= (int64_t)group->len;
    log->newest_bytes = log->active_at;
    log->commits++;
    log->records += group->records;
    log->sync_ns_total += (uint64_t)sync_ns;
    log->syncing = NULL;
    log->full = false;
    // Large buffers came with a burst and go with it.
    if (log->idle_count < GROUPS_IDLE_MAX && group->capacity <= 2 * (size_t)LIMIT_LOG_GROUP_BYTES) {
        group->next = log->idle;
        log->idle = group;
        log->idle_count++;
    } else {
        group_free(&group);
    }
    take_waiters(log, false, &ready);
    condition_wake_all(&log->durable);
    mutex_give(&log->buffer);
    answer(&ready, true, NULL);
}

static void group_failed(Log *log, const Error *err) {
    WaiterArray refused = {0};
    bool full = err->code == ERROR_DISK_FULL;
    mutex_take(&log->buffer);
    log->reason = *err;
    log->full = full;
    log->stopped = !full;
    take_waiters(log, true, &refused);
    condition_wake_all(&log->durable);
    mutex_give(&log->buffer);
    if (full) (void)ballast_release(log);
    answer(&refused, false, err);
}

bool commit_one(Log *log, bool *did, Error *err) {
    Group *group;
    bool was_full;
    *did = false;
    TRY(take_group(log, &group, &was_full, err));
    if (was_full && !space_is_back(log)) {
        *err = log->reason;
        return false;
    }
    if (group == NULL) {
        mutex_take(&log->buffer);
        log->full = false;
        mutex_give(&log->buffer);
        return true;
    }
    Clock *clock = log->options.clock;
    int64_t began = clock->monotonic_ns(clock);
    if (log->plant == LOG_PLANT_ACK_BEFORE_SYNC) {
        WaiterArray ready = {0};
        mutex_take(&log->buffer);
        log->durable_sequence = group->first_sequence + group->records;
        take_waiters(log, false, &ready);
        mutex_give(&log->buffer);
        answer(&ready, true, NULL);
    }
    if (!make_durable(log, group, err)) {
        group_failed(log, err);
        return false;
    }
    group_done(log, group, clock->monotonic_ns(clock) - began);
    *did = true;
    return true;
}

// An orderly close says so in the log: damage before this mark is then known as damage. Without
// room for it, or with a failure, the next opening treats the end as after a power cut, which is
// right as well.
void commit_end_mark(Log *log) {
    Disk *disk = log->disk;
    bool room = log->active != NULL &&
                log->active_at + SEGMENT_PAGE <= log->active_header.bytes - SEGMENT_PAGE;
    bool bare = log->active_at == SEGMENT_PAGE && !log->finished;
    if (!room || bare || log->stopped || log->full) return;
    RecordHeader mark = {
        .sequence = log->durable_sequence,
        .group = log->durable_sequence,
        .arrival_ms = log->options.clock->wall_ms(log->options.clock),
        .type = RECORD_TYPE_END,
    };
    memset(log->page, 0, SEGMENT_PAGE);
    record_header_encode(&mark, &log->active_header, log->active_at, log->page);
    if (!disk->write(disk, log->active, log->active_at, log->page, SEGMENT_PAGE, NULL)) return;
    (void)disk->sync_data(disk, log->active, NULL);
}

// Without idle moments spares have to be made all the same, a step per commit: a small segment made
// on the spot every MiB costs more.
static bool must_prepare(Log *log) {
    bool half = log->active == NULL || log->active_at > log->active_header.bytes / 2 ||
                log->active_header.bytes < log->options.segment_bytes;
    if (!half) return false;
    mutex_take(&log->segments_lock);
    bool none = log->spares.count == 0;
    mutex_give(&log->segments_lock);
    return none;
}

// What the thread does next, decided under `buffer`.
static bool has_work(const Log *log) {
    return !log->stopped && (log->syncing != NULL || log->first != NULL);
}

// Under `buffer`.
static void make_room(Log *log) {
    Clock *clock = log->options.clock;
    mutex_give(&log->buffer);
    bool made = ballast_release(log);
    log->prepare_again_ns = clock->monotonic_ns(clock) + (int64_t)PREPARE_AGAIN_MS * 1000000;
    mutex_take(&log->buffer);
    log->room_wanted = false;
    log->rooms_made += made;
    condition_wake_all(&log->durable);
}

void commit_thread(void *context) {
    Log *log = context;
    bool in_memory = log->options.durability == LOG_MEMORY;
    int64_t pause_ms = in_memory ? MEMORY_SYNC_MS : FULL_PROBE_MS;
    mutex_take(&log->buffer);
    while (!log->stopping) {
        if (log->room_wanted) make_room(log);
        if (log->full) {
            (void)condition_wait_ms(&log->work, &log->buffer, FULL_PROBE_MS);
        } else if (!has_work(log)) {
            mutex_give(&log->buffer);
            bool did = background_step(log);
            mutex_take(&log->buffer);
            if (!did && !log->stopping && !has_work(log)) {
                // Woken by an append; otherwise now and then, to look after spares and what nobody
                // waits for.
                (void)condition_wait_ms(&log->work, &log->buffer, pause_ms);
            }
            if (!in_memory || !has_work(log)) continue;
        } else if (in_memory && log->waiting_bytes < LIMIT_LOG_GROUP_BYTES) {
            (void)condition_wait_ms(&log->work, &log->buffer, pause_ms);
        }
        if (log->stopping) break;
        mutex_give(&log->buffer);
        Error err;
        bool did;
        bool ok = commit_one(log, &did, &err);
        if (ok && must_prepare(log)) (void)background_step(log);
        mutex_take(&log->buffer);
        // A failure was told to whoever waits and decides, by `stopped` and `full`, what this loop
        // does next.
        assert(ok || log->stopped || log->full);
    }
    log->running = false;
    condition_wake_all(&log->durable);
    mutex_give(&log->buffer);
}
