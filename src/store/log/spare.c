// Files that wait: spares that become segments, and trimmed segments that become spares.
//
// A spare is pre-written with zeros in the background, so that an append is an overwrite and its
// sync touches no metadata (W3). When none is ready a small one is made on the spot.

#include "os/random.h"
#include "store/log/inside.h"

void close_file(Log *log, File **file) {
    if (*file != NULL) log->disk->close(log->disk, file);
}

static bool take_zeros(Log *log, Error *err) {
    if (log->zeros != NULL) return true;
    log->zeros_bytes = MIN((int64_t)PREPARE_STEP_BYTES, log->options.segment_bytes);
    TRY(disk_buffer_take((size_t)log->zeros_bytes, &log->zeros, err));
    memset(log->zeros, 0, (size_t)log->zeros_bytes);
    return true;
}

bool write_zeros(Log *log, File *file, int64_t from, int64_t to, Error *err) {
    TRY(take_zeros(log, err));
    for (int64_t at = from; at < to; at += log->zeros_bytes) {
        TRY(log->disk->write(log->disk, file, at, log->zeros,
                             (size_t)MIN(to - at, log->zeros_bytes), err));
    }
    return true;
}

static uint64_t take_id(Log *log) {
    mutex_take(&log->segments_lock);
    uint64_t id = log->next_id++;
    mutex_give(&log->segments_lock);
    return id;
}

static void remove_spare(Log *log, uint64_t id) {
    AUTO(arena_free) Arena arena = {0};
    (void)log->disk->remove(log->disk, log_path(log, segment_spare_name(id, &arena), &arena), NULL);
}

static uint64_t newest_id(Log *log) {
    mutex_take(&log->segments_lock);
    uint64_t id = log->segments.count == 0 ? 0 : log->segments.at[log->segments.count - 1].id;
    mutex_give(&log->segments_lock);
    return id;
}

// Kept in the order of ids, in which they are used.
static void add_spare(Log *log, Spare spare) {
    mutex_take(&log->segments_lock);
    (void)array_add(&log->spares);
    size_t at = log->spares.count - 1;
    for (; at > 0 && log->spares.at[at - 1].id > spare.id; at--)
        log->spares.at[at] = log->spares.at[at - 1];
    log->spares.at[at] = spare;
    mutex_give(&log->segments_lock);
}

// The oldest spare with room for `bytes`; ids must rise along the log, so smaller ones before it
// go, and so does one whose id the newest segment passed: a trim takes the id before it renames the
// file, and a segment may begin meanwhile.
static bool take_spare(Log *log, int64_t bytes, Spare *out) {
    bool found = false;
    mutex_take(&log->segments_lock);
    uint64_t newest = log->segments.count == 0 ? 0 : log->segments.at[log->segments.count - 1].id;
    while (log->spares.count > 0 && !found) {
        Spare spare = log->spares.at[0];
        log->spares.count--;
        memmove(log->spares.at, log->spares.at + 1, log->spares.count * sizeof spare);
        found = spare.bytes >= bytes && spare.id > newest;
        *out = spare;
        if (!found) remove_spare(log, spare.id);
    }
    mutex_give(&log->segments_lock);
    return found;
}

// A spare, ready or half prepared or made now, open for writing.
static bool open_spare(Log *log, int64_t bytes, Spare *out, File **file, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    if (take_spare(log, bytes, out)) {
        Text path = log_path(log, segment_spare_name(out->id, &arena), &arena);
        return log->disk->open(log->disk, path, FILE_WRITE_DIRECT, file, err);
    }
    if (log->preparing != NULL && log->prepared_bytes >= bytes &&
        log->preparing_id > newest_id(log)) {
        *out = (Spare){log->preparing_id, log->prepared_bytes};
        *file = TAKE(log->preparing);
        return true;
    }
    if (log->preparing != NULL) {
        // Its id is below the one taken now, so it could not follow.
        close_file(log, &log->preparing);
        remove_spare(log, log->preparing_id);
    }
    TRY(ballast_leaves(log, bytes, err));
    *out = (Spare){take_id(log),
                   MAX(bytes, MIN(log->options.segment_bytes, (int64_t)QUICK_SEGMENT_BYTES))};
    Text path = log_path(log, segment_spare_name(out->id, &arena), &arena);
    TRY(log->disk->open(log->disk, path, FILE_CREATE_DIRECT, file, err));
    return write_zeros(log, *file, 0, out->bytes, err);
}

// Header, its copy, sync, name, folder: in this order, and then the first record may follow (W2).
static bool name_segment(Log *log, const SegmentHeader *header, File *file, bool *named,
                         Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = log->disk;
    segment_header_encode(header, log->page);
    TRY(disk->write(disk, file, 0, log->page, SEGMENT_PAGE, err));
    TRY(disk->write(disk, file, header->bytes - SEGMENT_PAGE, log->page, SEGMENT_PAGE, err));
    TRY(disk->sync_data(disk, file, err));
    Text from = log_path(log, segment_spare_name(header->id, &arena), &arena);
    Text to = log_path(log, segment_name(header->id, header->first_sequence, &arena), &arena);
    TRY(disk->rename(disk, from, to, err));
    *named = true;
    if (log->plant == LOG_PLANT_NO_FOLDER_SYNC) return true;
    return disk->sync_folder(disk, log->folder, err);
}

bool segment_begin(Log *log, uint64_t first_sequence, int64_t need, Error *err) {
    segment_drop_active(log);
    SegmentHeader header = {.first_sequence = first_sequence,
                            .created_ms = log->options.clock->wall_ms(log->options.clock)};
    header.proven_sequence = log->any_durable ? first_sequence : log->proven_sequence;
    TRY(random_bytes(&header.salt, sizeof header.salt, err));
    Spare spare = {0};
    File *file = NULL;
    bool ok = open_spare(log, need + 2 * SEGMENT_PAGE, &spare, &file, err);
    header.id = spare.id;
    header.bytes = spare.bytes;
    bool named = false;
    ok = ok && name_segment(log, &header, file, &named, err);
    if (named) {
        // Also when its folder could not be synced: a header without records is no harm, but it has
        // to be trimmed in its turn, or it would seem to miss what was trimmed behind it.
        mutex_take(&log->segments_lock);
        *array_add(&log->segments) = (Segment){header.id, first_sequence, header.bytes};
        mutex_give(&log->segments_lock);
    }
    if (!ok) {
        close_file(log, &file);
        if (!named && spare.id != 0) remove_spare(log, spare.id);
        return error_context(err, "beginning a segment of the log");
    }
    log->active = file;
    log->active_header = header;
    log->active_at = SEGMENT_PAGE;
    return true;
}

void segment_drop_active(Log *log) {
    close_file(log, &log->active);
}

bool segment_retire(Log *log, Segment segment, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = log->disk;
    Text path = log_path(log, segment_name(segment.id, segment.first_sequence, &arena), &arena);
    mutex_take(&log->segments_lock);
    bool keep = log->spares.count < SPARES_MAX && segment.bytes == log->options.segment_bytes;
    Spare spare = {keep ? log->next_id++ : 0, segment.bytes};
    mutex_give(&log->segments_lock);
    if (keep) {
        TRY(disk->rename(disk, path, log_path(log, segment_spare_name(spare.id, &arena), &arena),
                         err));
    } else {
        TRY(disk->remove(disk, path, err));
    }
    // Each removal is durable before the next one, so that no later segment disappears before an
    // earlier one.
    TRY(disk->sync_folder(disk, log->folder, err));
    if (keep) add_spare(log, spare);
    return true;
}

static int64_t free_bytes(Log *log) {
    DiskSpace space;
    return log->disk->space(log->disk, log->folder, &space, NULL) ? space.free_bytes : INT64_MAX;
}

// A new spare of the full size, or less on a small disk.
static bool prepare_begin(Log *log, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    int64_t target =
        MIN(log->options.segment_bytes, free_bytes(log) / 8 / SEGMENT_PAGE * SEGMENT_PAGE);
    if (target < 3 * SEGMENT_PAGE)
        return error_set(err, ERROR_DISK_FULL, "no room for a spare segment");
    TRY(ballast_leaves(log, target, err));
    log->preparing_id = take_id(log);
    log->preparing_target = target;
    log->prepared_bytes = 0;
    Text path = log_path(log, segment_spare_name(log->preparing_id, &arena), &arena);
    return log->disk->open(log->disk, path, FILE_CREATE_DIRECT, &log->preparing, err);
}

static bool prepare_step(Log *log, Error *err) {
    int64_t to = MIN(log->prepared_bytes + PREPARE_STEP_BYTES, log->preparing_target);
    TRY(write_zeros(log, log->preparing, log->prepared_bytes, to, err));
    TRY(log->disk->sync_data(log->disk, log->preparing, err));
    log->prepared_bytes = to;
    if (to < log->preparing_target) return true;
    close_file(log, &log->preparing);
    Spare spare = {log->preparing_id, to};
    if (spare.id < newest_id(log)) {
        // A recycled file was used meanwhile and has a higher id; this one has to follow it.
        AUTO(arena_free) Arena arena = {0};
        spare.id = take_id(log);
        Text from = log_path(log, segment_spare_name(log->preparing_id, &arena), &arena);
        TRY(log->disk->rename(log->disk, from,
                              log_path(log, segment_spare_name(spare.id, &arena), &arena), err));
    }
    add_spare(log, spare);
    return true;
}

static bool step(Log *log, bool *did, Error *err) {
    mutex_take(&log->segments_lock);
    bool wants_spare = log->spares.count == 0;
    mutex_give(&log->segments_lock);
    *did = true;
    if (log->preparing == NULL && wants_spare) TRY(prepare_begin(log, err));
    if (log->preparing != NULL) return prepare_step(log, err);
    return ballast_step(log, did, err);
}

bool background_step(Log *log) {
    Clock *clock = log->options.clock;
    bool did = false;
    if (log->stopped || log->full || clock->monotonic_ns(clock) < log->prepare_again_ns)
        return false;
    Error err;
    if (step(log, &did, &err)) return did;
    // Nothing here is needed at once: what failed is taken back and tried again later.
    if (log->preparing != NULL) {
        close_file(log, &log->preparing);
        remove_spare(log, log->preparing_id);
    }
    if (log->ballast != NULL) (void)ballast_release(log);
    log->prepare_again_ns = clock->monotonic_ns(clock) + (int64_t)PREPARE_AGAIN_MS * 1000000;
    return false;
}

void spare_close(Log *log) {
    close_file(log, &log->active);
    close_file(log, &log->ballast);
    if (log->preparing != NULL) {
        close_file(log, &log->preparing);
        remove_spare(log, log->preparing_id);
    }
    disk_buffer_free(&log->zeros);
    disk_buffer_free(&log->page);
}
