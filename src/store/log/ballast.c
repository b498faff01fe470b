// What is kept aside for a full disk (W12), so that heads can become blocks, deletes be written and
// blocks merge or go: a file of zeros, and empty files beside it, since a disk may run out of
// inodes before it runs out of bytes.

#include "store/log/inside.h"

// A block for each of some days and a manifest that replaces another.
enum { BALLAST_FILES = 8 };

static Text bytes_path(Log *log, Arena *arena) {
    return log_path(log, TEXT("ballast"), arena);
}

static Text file_path(Log *log, int64_t number, Arena *arena) {
    return log_path(log, text_format(arena, "ballast.%d", (int)number), arena);
}

// How large the ballast shall be and how much of it is there from earlier lives.
static bool look(Log *log, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = log->disk;
    DiskSpace space;
    TRY(disk->space(disk, log->folder, &space, err));
    log->ballast_bytes = log->options.ballast_bytes;
    if (log->ballast_bytes == 0)
        log->ballast_bytes = MIN((int64_t)64 * MB, space.total_bytes / 100);
    log->ballast_bytes = MAX(log->ballast_bytes, (int64_t)0) / SEGMENT_PAGE * SEGMENT_PAGE;
    log->ballast_files = log->ballast_bytes > 0 ? BALLAST_FILES : 0;
    bool there;
    TRY(disk->exists(disk, bytes_path(log, &arena), &there, err));
    File *file = NULL;
    int64_t bytes = 0;
    if (there) {
        TRY(disk->open(disk, bytes_path(log, &arena), FILE_READ, &file, err));
        bool ok = disk->size(disk, file, &bytes, err);
        close_file(log, &file);
        TRY(ok);
    }
    log->ballast_done = MIN(bytes / SEGMENT_PAGE * SEGMENT_PAGE, log->ballast_bytes);
    log->ballast_files_done = 0;
    log->ballast_known = true;
    return true;
}

static bool bytes_step(Log *log, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = log->disk;
    if (log->ballast == NULL) {
        bool there;
        Text path = bytes_path(log, &arena);
        TRY(disk->exists(disk, path, &there, err));
        TRY(disk->open(disk, path, there ? FILE_WRITE_DIRECT : FILE_CREATE_DIRECT, &log->ballast,
                       err));
    }
    int64_t to = MIN(log->ballast_done + PREPARE_STEP_BYTES, log->ballast_bytes);
    TRY(write_zeros(log, log->ballast, log->ballast_done, to, err));
    TRY(disk->sync_data(disk, log->ballast, err));
    log->ballast_done = to;
    if (to >= log->ballast_bytes) close_file(log, &log->ballast);
    return true;
}

static bool files_step(Log *log, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = log->disk;
    for (; log->ballast_files_done < log->ballast_files; log->ballast_files_done++) {
        Text path = file_path(log, log->ballast_files_done, &arena);
        bool there;
        File *file = NULL;
        TRY(disk->exists(disk, path, &there, err));
        if (there) continue;
        TRY(disk->open(disk, path, FILE_CREATE, &file, err));
        close_file(log, &file);
    }
    return true;
}

// Of bytes and of files; a file system that has no fixed number of files says 0.
static void room(Log *log, int64_t *bytes, int64_t *files) {
    DiskSpace space;
    bool known = log->disk->space(log->disk, log->folder, &space, NULL);
    *bytes = known ? space.free_bytes : INT64_MAX;
    *files = known && space.free_files > 0 ? space.free_files : INT64_MAX;
}

// What was given back is taken again only when there is plenty.
bool ballast_step(Log *log, bool *did, Error *err) {
    if (!log->ballast_known) TRY(look(log, err));
    *did = log->ballast_done < log->ballast_bytes || log->ballast_files_done < log->ballast_files;
    if (!*did) return true;
    int64_t bytes, files;
    room(log, &bytes, &files);
    *did = bytes / 4 > log->ballast_bytes && files / 4 > log->ballast_files;
    if (!*did) return true;
    return log->ballast_done < log->ballast_bytes ? bytes_step(log, err) : files_step(log, err);
}

bool ballast_release(Log *log) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = log->disk;
    close_file(log, &log->ballast);
    bool released = disk->remove(disk, bytes_path(log, &arena), NULL);
    for (int64_t i = 0; i < BALLAST_FILES; i++)
        released |= disk->remove(disk, file_path(log, i, &arena), NULL);
    log->ballast_done = log->ballast_files_done = 0;
    return released;
}

bool ballast_leaves(Log *log, int64_t need, Error *err) {
    Error ignored;
    if (!log->ballast_known && !look(log, &ignored)) return true;
    if (log->ballast_bytes == 0) return true;
    int64_t bytes, files;
    room(log, &bytes, &files);
    if (bytes - need >= log->ballast_bytes - log->ballast_done &&
        files > log->ballast_files - log->ballast_files_done)
        return true;
    return error_set(err, ERROR_DISK_FULL,
                     "no space left on the device but for what is kept for blocks and deletes");
}

// Of files there must be as many as it takes to keep some aside again: the log would use up those
// that were given back, one by one.
bool space_is_back(Log *log) {
    int64_t need = MIN((int64_t)QUICK_SEGMENT_BYTES, log->options.segment_bytes), bytes, files;
    Error ignored;
    bool known = log->ballast_known || look(log, &ignored);
    room(log, &bytes, &files);
    if (!known) return bytes >= need;
    return bytes >= need + log->ballast_bytes && files / 4 > log->ballast_files;
}
