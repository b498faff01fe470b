// What several rooms do with a disk, composed of its single calls.

#include "os/disk.h"

#include <stdlib.h>

#include "base/arena.h"

// The file under a name of the disk it belongs to, so that AUTO can close it.
typedef struct OpenFile {
    Disk *disk;
    File *file;
} OpenFile;

static void open_file_close(OpenFile *open) {
    open->disk->close(open->disk, &open->file);
}

static Text path_in(Text folder, Text name, const char *ending, Arena *arena) {
    bool slash = folder.len > 0 && folder.at[folder.len - 1] != '/';
    return text_format(arena, "%.*s%s%.*s%s", TEXT_ARG(folder), slash ? "/" : "", TEXT_ARG(name),
                       ending);
}

bool disk_read_whole(Disk *disk, Text path, int64_t bytes_max, Arena *arena, Bytes *out,
                     Error *err) {
    AUTO(open_file_close) OpenFile open = {disk, NULL};
    TRY(disk->open(disk, path, FILE_READ, &open.file, err));
    int64_t bytes = 0;
    TRY(disk->size(disk, open.file, &bytes, err));
    if (bytes > bytes_max) {
        return error_set(err, ERROR_TOO_LARGE, "%.*s: %lld bytes, at most %lld are read",
                         TEXT_ARG(path), (long long)bytes, (long long)bytes_max);
    }
    uint8_t *at = arena_push_raw(arena, (size_t)bytes, 8);
    size_t got = 0;
    TRY(disk->read(disk, open.file, 0, at, (size_t)bytes, &got, err));
    *out = (Bytes){at, got};  // less than `bytes` when someone cut the file meanwhile
    return true;
}

static bool write_and_sync(Disk *disk, Text path, Bytes content, Error *err) {
    AUTO(open_file_close) OpenFile open = {disk, NULL};
    TRY(disk->open(disk, path, FILE_CREATE, &open.file, err));
    TRY(disk->write(disk, open.file, 0, content.at, content.len, err));
    return disk->sync(disk, open.file, err);
}

bool disk_replace(Disk *disk, Text folder, Text name, Bytes content, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Text path = path_in(folder, name, "", &arena);
    Text path_new = path_in(folder, name, ".tmp", &arena);

    // A crashed attempt may have left its half behind; nobody reads it, so it goes.
    Error missing = {0};
    if (!disk->remove(disk, path_new, &missing) && missing.code != ERROR_NOT_FOUND) {
        *err = missing;
        return false;
    }
    if (!write_and_sync(disk, path_new, content, err) || !disk->rename(disk, path_new, path, err)) {
        (void)disk->remove(disk, path_new, NULL);
        return false;
    }
    return disk->sync_folder(disk, folder, err);
}

static Text parent_of(Text path) {
    size_t end = path.len;
    while (end > 0 && path.at[end - 1] != '/') end--;
    while (end > 1 && path.at[end - 1] == '/') end--;
    return text_slice(path, 0, end);  // "" is the current folder, "/" the root
}

bool disk_make_folders(Disk *disk, Text path, Error *err) {
    while (path.len > 1 && path.at[path.len - 1] == '/') path.len--;
    for (size_t i = 1; i <= path.len; i++) {
        bool at_end_of_name = (i == path.len || path.at[i] == '/') && path.at[i - 1] != '/';
        if (!at_end_of_name) continue;
        Text folder = text_slice(path, 0, i);
        bool exists = false;
        TRY(disk->exists(disk, folder, &exists, err));
        if (exists) {
            // It may stem from an attempt that was killed before its sync, so it is synced again;
            // but it may also be far above us in a place we may not read, which is no failure.
            (void)disk->sync_folder(disk, parent_of(folder), NULL);
            continue;
        }
        TRY(disk->make_folder(disk, folder, err));
        TRY(disk->sync_folder(disk, parent_of(folder), err));
    }
    return true;
}

bool disk_buffer_take(size_t bytes, uint8_t **out, Error *err) {
    void *at = NULL;
    size_t rounded = (bytes + DISK_ALIGN - 1) & ~(size_t)(DISK_ALIGN - 1);
    if (rounded < bytes ||
        !memory_reserve_aligned(MAX(rounded, (size_t)DISK_ALIGN), DISK_ALIGN, &at, NULL)) {
        return error_set(err, ERROR_NO_MEMORY, "%zu bytes of memory for the disk could not be had",
                         bytes);
    }
    memset(at, 0, MAX(rounded, (size_t)DISK_ALIGN));
    *out = at;
    return true;
}

void disk_buffer_free(uint8_t **buffer) {
    free(TAKE(*buffer));
}
