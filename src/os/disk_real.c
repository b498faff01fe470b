// The disk of the operating system: each function is one system call, repeated where it was cut
// short.

#include "os/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/array.h"
#include "base/assert.h"
#include "base/memory.h"
#include "os/map_fault.h"

enum { PATH_BYTES_MAX = 4096 };  // PATH_MAX of Linux, its NUL included

struct File {
    int fd;
    bool direct;  // O_DIRECT is in force
    char path[];  // for error texts
};

typedef struct Path {
    char at[PATH_BYTES_MAX];
} Path;

static bool path_from(Text text, Path *out, Error *err) {
    if (text.len == 0) text = TEXT(".");
    if (text.len >= sizeof out->at || memchr(text.at, '\0', text.len) != NULL) {
        return error_set(err, ERROR_IO, "%.*s: a path may have %d bytes and no NUL", TEXT_ARG(text),
                         PATH_BYTES_MAX - 1);
    }
    memcpy(out->at, text.at, text.len);
    out->at[text.len] = '\0';
    return true;
}

// "reading a/b: Input/output error", with the code that the number stands for.
static bool fail_with(Error *err, int number, const char *doing, const char *path) {
    ErrorCode code = error_code_from_errno(number, ERROR_IO);
    if (number == ENOENT) code = ERROR_NOT_FOUND;
    if (number == EMFILE || number == ENFILE) code = ERROR_TOO_MANY;
    return error_set(err, code, "%s %s: %s", doing, path, strerrordesc_np(number));
}

static int flags_of(FileMode mode) {
    switch (mode) {
        case FILE_READ:
            return O_RDONLY;
        case FILE_WRITE:
            return O_RDWR;
        case FILE_CREATE:
            return O_RDWR | O_CREAT | O_EXCL;
        case FILE_READ_DIRECT:
            return O_RDONLY | O_DIRECT;
        case FILE_WRITE_DIRECT:
            return O_RDWR | O_DIRECT;
        case FILE_CREATE_DIRECT:
            return O_RDWR | O_CREAT | O_EXCL | O_DIRECT;
    }
    unreachable("a file mode outside its enum");
}

static int open_again(const char *path, int flags) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static bool real_open(Disk *disk, Text path, FileMode mode, File **out, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    int flags = flags_of(mode);
    int fd = open_again(name.at, flags);
    if (fd < 0 && errno == EINVAL && (flags & O_DIRECT) != 0) {
        // A file system without O_DIRECT (tmpfs before 6.6) made the file before it refused: what
        // O_EXCL promised was checked by the first call.
        flags &= ~(O_DIRECT | O_EXCL);
        fd = open_again(name.at, flags);
    }
    if (fd < 0) return fail_with(err, errno, "opening", name.at);
    size_t len = strlen(name.at) + 1;
    File *file = memory_take_zeroed(sizeof *file + len);
    file->fd = fd;
    file->direct = (flags & O_DIRECT) != 0;
    memcpy(file->path, name.at, len);
    *out = file;
    return true;
}

static void real_close(Disk *disk, File **file) {
    if (*file == NULL) return;
    close((*file)->fd);  // never repeated: after EINTR the descriptor is gone all the same
    memory_free(TAKE(*file));
}

static bool real_size(Disk *disk, File *file, int64_t *out, Error *err) {
    struct stat stat;
    if (fstat(file->fd, &stat) != 0)
        return fail_with(err, errno, "asking for the size of", file->path);
    *out = stat.st_size;
    return true;
}

static bool is_aligned(int64_t offset, const void *at, size_t len) {
    return (((uint64_t)offset | (uintptr_t)at | len) & (DISK_ALIGN - 1)) == 0;
}

static bool real_read(Disk *disk, File *file, int64_t offset, void *into, size_t len, size_t *got,
                      Error *err) {
    assert(!file->direct || is_aligned(offset, into, len));
    size_t done = 0;
    while (done < len) {
        ssize_t count = pread(file->fd, (char *)into + done, len - done, offset + (int64_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_with(err, errno, "reading", file->path);
        done += (size_t)count;
        // O_DIRECT cannot go on from an odd place; only the end of the file makes one.
        if (count == 0 || (file->direct && done % DISK_ALIGN != 0)) break;
    }
    *got = done;
    return true;
}

static bool real_write(Disk *disk, File *file, int64_t offset, const void *from, size_t len,
                       Error *err) {
    assert(!file->direct || is_aligned(offset, from, len));
    size_t done = 0;
    while (done < len) {
        ssize_t count =
            pwrite(file->fd, (const char *)from + done, len - done, offset + (int64_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_with(err, errno, "writing", file->path);
        size_t forward = (size_t)count;
        // O_DIRECT goes on from a whole block; the part of one is written again.
        if (file->direct && done + forward < len) forward -= forward % DISK_ALIGN;
        if (forward == 0) {
            return error_set(err, ERROR_DISK_FULL, "writing %s: only %zu of %zu bytes were taken",
                             file->path, done, len);
        }
        done += forward;
    }
    return true;
}

static bool real_resize(Disk *disk, File *file, int64_t bytes, Error *err) {
    int failed;
    do {
        failed = ftruncate(file->fd, bytes);
    } while (failed != 0 && errno == EINTR);
    return failed == 0 || fail_with(err, errno, "resizing", file->path);
}

// What a sync said is believed once something else works, too. XFS that has shut itself down (an
// I/O error in its journal; the power cuts of test/scenario/power_test.py) throws away what was to
// be written and then says yes to a sync of a folder, or of a file if it happens in between:
// nothing waits for it any more. It says no to whoever asks about the file.
static bool synced(int failed, int fd, const char *path, Error *err) {
    struct stat ignored;
    if (failed == 0) failed = fstat(fd, &ignored);
    return failed == 0 || fail_with(err, errno, "syncing", path);
}

static bool real_sync_data(Disk *disk, File *file, Error *err) {
    int failed;
    do {
        failed = fdatasync(file->fd);
    } while (failed != 0 && errno == EINTR);
    return synced(failed, file->fd, file->path, err);
}

static bool sync_fd(int fd, const char *path, Error *err) {
    int failed;
    do {
        failed = fsync(fd);
    } while (failed != 0 && errno == EINTR);
    return synced(failed, fd, path, err);
}

static bool real_sync(Disk *disk, File *file, Error *err) {
    return sync_fd(file->fd, file->path, err);
}

static bool real_map(Disk *disk, File *file, int64_t bytes, Bytes *out, Error *err) {
    int64_t actual = 0;
    TRY(real_size(disk, file, &actual, err));
    if (actual != bytes) {
        return error_set(err, ERROR_CORRUPT, "%s has %lld bytes, not %lld", file->path,
                         (long long)actual, (long long)bytes);
    }
    if (bytes == 0) {
        *out = (Bytes){(const uint8_t *)"", 0};
        return true;
    }
    void *at = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, file->fd, 0);
    if (at == MAP_FAILED) return fail_with(err, errno, "mapping", file->path);
    map_fault_watch(at, (size_t)bytes);
    *out = (Bytes){at, (size_t)bytes};
    return true;
}

static void real_will_need(Disk *disk, Bytes part) {
    (void)disk;
    if (part.len == 0) return;
    uintptr_t from = (uintptr_t)part.at, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = from / page * page;
    int kept = errno;
    (void)madvise((void *)begin, from + part.len - begin, MADV_WILLNEED);
    errno = kept;
}

static void real_unmap(Disk *disk, Bytes *view) {
    if (view->len > 0) {
        map_fault_forget(view->at);
        munmap((void *)(uintptr_t)view->at, view->len);
    }
    *view = BYTES_NONE;
}

static bool real_lock(Disk *disk, File *file, Error *err) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int failed;
    do {
        failed = fcntl(file->fd, F_OFD_SETLK, &lock);
    } while (failed != 0 && errno == EINTR);
    if (failed == 0) return true;
    if (errno == EAGAIN || errno == EACCES) {
        return error_set(err, ERROR_IN_USE, "%s is held by another process", file->path);
    }
    return fail_with(err, errno, "locking", file->path);
}

static bool is_folder(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static bool real_make_folder(Disk *disk, Text path, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    if (mkdir(name.at, 0700) == 0) return true;
    int number = errno;
    if (number == EEXIST && is_folder(name.at)) return true;
    return fail_with(err, number, "making the folder", name.at);
}

static bool real_sync_folder(Disk *disk, Text path, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    int fd = open_again(name.at, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return fail_with(err, errno, "opening the folder", name.at);
    bool ok = sync_fd(fd, name.at, err);
    close(fd);
    return ok;
}

static void folder_close(DIR **folder) {
    if (*folder != NULL) closedir(TAKE(*folder));
}

static int compare_entries(const void *a, const void *b) {
    return text_compare(((const DiskEntry *)a)->name, ((const DiskEntry *)b)->name);
}

static bool real_list(Disk *disk, Text path, Arena *arena, DiskEntries *out, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    AUTO(folder_close) DIR *folder = opendir(name.at);
    if (folder == NULL) return fail_with(err, errno, "listing", name.at);
    ARRAY(DiskEntry) found = {0};
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL && errno != 0) return fail_with(err, errno, "listing", name.at);
        if (entry == NULL) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        struct stat stat;
        if (fstatat(dirfd(folder), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;  // removed since readdir saw it
            return fail_with(err, errno, "listing", name.at);
        }
        *array_add_on(arena, &found) = (DiskEntry){
            .name = text_copy(text_from_cstring(entry->d_name), arena),
            .bytes = S_ISDIR(stat.st_mode) ? 0 : stat.st_size,
            .is_folder = S_ISDIR(stat.st_mode),
        };
    }
    if (found.count > 1) qsort(found.at, found.count, sizeof *found.at, compare_entries);
    *out = (DiskEntries){found.at, found.count};
    return true;
}

static bool real_rename(Disk *disk, Text from, Text to, Error *err) {
    Path source, target;
    TRY(path_from(from, &source, err));
    TRY(path_from(to, &target, err));
    if (renameat(AT_FDCWD, source.at, AT_FDCWD, target.at) == 0) return true;
    fail_with(err, errno, "renaming", source.at);
    return error_context(err, "to %s", target.at);
}

static bool real_link(Disk *disk, Text from, Text to, Error *err) {
    Path source, target;
    TRY(path_from(from, &source, err));
    TRY(path_from(to, &target, err));
    if (linkat(AT_FDCWD, source.at, AT_FDCWD, target.at, 0) == 0) return true;
    fail_with(err, errno, "linking", source.at);
    return error_context(err, "to %s", target.at);
}

static bool real_remove(Disk *disk, Text path, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    return unlink(name.at) == 0 || fail_with(err, errno, "removing", name.at);
}

static bool real_remove_folder(Disk *disk, Text path, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    return rmdir(name.at) == 0 || fail_with(err, errno, "removing the folder", name.at);
}

static bool real_exists(Disk *disk, Text path, bool *out, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    struct stat found;
    if (lstat(name.at, &found) == 0) {
        *out = true;
    } else if (errno == ENOENT || errno == ENOTDIR) {
        *out = false;
    } else {
        return fail_with(err, errno, "looking for", name.at);
    }
    return true;
}

static bool real_space(Disk *disk, Text path, DiskSpace *out, Error *err) {
    Path name;
    TRY(path_from(path, &name, err));
    struct statvfs space;
    int failed;
    do {
        failed = statvfs(name.at, &space);
    } while (failed != 0 && errno == EINTR);
    if (failed != 0) return fail_with(err, errno, "asking for the space of", name.at);
    int64_t unit = (int64_t)space.f_frsize;
    *out = (DiskSpace){
        .total_bytes = (int64_t)space.f_blocks * unit,
        .free_bytes = (int64_t)space.f_bavail * unit,
        .free_files = (int64_t)space.f_favail,
    };
    return true;
}

Disk *disk_real(void) {
    static Disk disk = {
        .open = real_open,
        .close = real_close,
        .size = real_size,
        .read = real_read,
        .write = real_write,
        .resize = real_resize,
        .sync_data = real_sync_data,
        .sync = real_sync,
        .map = real_map,
        .unmap = real_unmap,
        .will_need = real_will_need,
        .lock = real_lock,
        .make_folder = real_make_folder,
        .sync_folder = real_sync_folder,
        .list = real_list,
        .rename = real_rename,
        .link = real_link,
        .remove = real_remove,
        .remove_folder = real_remove_folder,
        .exists = real_exists,
        .space = real_space,
    };
    return &disk;
}
