// A disk that goes bad under the real binary, loaded in front of it (LD_PRELOAD): syncs that fail
// and lose what they should have kept, disks that are full for some files only, a power cut at the
// sync of a folder.
//
// A sync that fails loses (RELIABILITY 0.4, fsyncgate): the page cache goes on showing the new
// bytes, the disk has the old ones, and a second sync of the same file says yes. So the old bytes
// of every write since the last good sync are remembered, and a failing sync puts them on a list
// beside the control file. The scenario kills the server and writes them back: what a power cut
// would show. A range of a file that is written again and synced well afterwards is on the disk.
//
// The control file (BadDisk in bad_disk.py) is mapped by both sides, so that the scenario can
// change its mind while the server runs. Without TRACEO_BAD_DISK nothing happens.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FULL_WRITES = 1,  // pwrite: no space
    FULL_FILES = 2,   // a new file: no space (inodes are used up)
    FULL_HALF = 4,    // a write is taken by half before
    FULL_GROWS =
        8,  // of the writes those that make the file longer: what it has may be overwritten
    PATH_PART_MAX = 256,
    ALIGN = 4096,
    HELD_MAX = 4096,
};

// As in bad_disk.py.
typedef struct Control {
    _Atomic uint32_t skip;     // so many syncs go well first
    _Atomic uint32_t fail;     // then so many fail; UINT32_MAX: all
    _Atomic uint32_t believe;  // planted: the failure is met by a second sync, which says yes
    _Atomic uint32_t full;     // FULL_…
    _Atomic uint32_t syncs, failed, refused;  // what was seen
    _Atomic uint32_t slow_us;    // a write takes so long for each MiB, of the files of full_part
    _Atomic uint32_t full_skip;  // so many writes and new files that full means go well first
    _Atomic uint32_t forget;     // what is overwritten is not remembered, and costs no memory
    _Atomic uint32_t cut;        // the power goes when a folder of cut_part is to be synced
    char under[PATH_MAX];        // only files below this folder
    char sync_part[PATH_PART_MAX], full_part[PATH_PART_MAX];  // and with this in their path
    char cut_part[PATH_PART_MAX];
} Control;

// Bytes that were in a file before a write that is not synced yet.
typedef struct Old {
    struct Old *next;
    dev_t device;
    ino_t inode;
    int64_t offset;
    size_t len;
    uint8_t *bytes;
} Old;

// As in bad_disk.py: `good` has no bytes behind it.
typedef struct LostHeader {
    uint64_t inode, offset, len, good;
} LostHeader;

static Control *control;
static int lost_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Old *olds;
static ino_t lost_inodes[HELD_MAX];
static size_t lost_count;

static int (*next_open)(const char *, int, ...);
static ssize_t (*next_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_fsync)(int), (*next_fdatasync)(int);

_Static_assert(_FILE_OFFSET_BITS == 64, "this would be open() and pwrite() of nobody");

static void die(const char *what) {
    fprintf(stderr, "bad_disk: %s: %s\n", what, strerror(errno));
    abort();
}

__attribute__((constructor)) static void begin(void) {
    *(void **)&next_open = dlsym(RTLD_NEXT, "open64");
    *(void **)&next_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    *(void **)&next_write = dlsym(RTLD_NEXT, "write");
    *(void **)&next_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("TRACEO_BAD_DISK");
    if (path == NULL) return;
    int fd = next_open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) die(path);
    void *at = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) die("mmap");
    close(fd);
    char lost[PATH_MAX];
    snprintf(lost, sizeof lost, "%s.lost", path);
    lost_fd = next_open(lost, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (lost_fd < 0) die(lost);
    control = at;
}

static bool is_under(const char *path, const char *part) {
    size_t len = strlen(control->under);
    return len > 0 && strncmp(path, control->under, len) == 0 && strstr(path + len, part) != NULL;
}

static bool path_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, out, PATH_MAX - 1);
    if (len <= 0) return false;
    out[len] = 0;
    return true;
}

static bool is_ours(int fd, const char *part) {
    char path[PATH_MAX];
    return control != NULL && path_of(fd, path) && is_under(path, part);
}

// What full means finds no space now, or is one of those that go well first.
static bool is_full(void) {
    uint32_t skip = atomic_load(&control->full_skip);
    while (skip > 0) {
        if (atomic_compare_exchange_weak(&control->full_skip, &skip, skip - 1)) return false;
    }
    return true;
}

// ---- Writes ----

static bool makes_longer(int fd, size_t len, int64_t offset) {
    struct stat stat;
    return fstat(fd, &stat) != 0 || offset + (int64_t)len > stat.st_size;
}

// What is at the place of the write now; behind the end of the file are zeros.
static void remember(int fd, size_t len, int64_t offset) {
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) return;
    Old *old = malloc(sizeof *old);
    void *bytes = NULL;
    if (old == NULL || posix_memalign(&bytes, ALIGN, len + ALIGN) != 0) die("memory");
    memset(bytes, 0, len);
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, (uint8_t *)bytes + done, len - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) die("reading what is overwritten");
        if (got == 0 || got % ALIGN != 0) break;
        done += (size_t)got;
    }
    *old = (Old){NULL, stat.st_dev, stat.st_ino, offset, len, bytes};
    pthread_mutex_lock(&lock);
    old->next = olds;
    olds = old;
    pthread_mutex_unlock(&lock);
}

static ssize_t write_at(int fd, const void *from, size_t len, off_t offset) {
    if (len == 0 || !is_ours(fd, "")) return next_pwrite(fd, from, len, offset);
    uint32_t full = atomic_load(&control->full);
    bool meant = is_ours(fd, control->full_part);
    bool refused = (full & FULL_WRITES) != 0 && meant &&
                   ((full & FULL_GROWS) == 0 || makes_longer(fd, len, offset)) && is_full();
    size_t half = len / 2 / ALIGN * ALIGN;
    if (refused && ((full & FULL_HALF) == 0 || half == 0)) {
        atomic_fetch_add(&control->refused, 1);
        errno = ENOSPC;
        return -1;
    }
    if (refused) len = half;
    int kept = errno;
    uint64_t slow_us = atomic_load(&control->slow_us) * (uint64_t)len >> 20;
    if (slow_us > 0 && meant) usleep((useconds_t)slow_us);
    if (!atomic_load(&control->forget)) remember(fd, len, offset);
    errno = kept;
    return next_pwrite(fd, from, len, offset);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t offset) {
    return write_at(fd, from, len, offset);
}

// SQLite seeks and writes.
ssize_t write(int fd, const void *from, size_t len) {
    if (len == 0 || !is_ours(fd, "")) return next_write(fd, from, len);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    if (offset < 0) return next_write(fd, from, len);
    ssize_t written = write_at(fd, from, len, offset);
    if (written > 0 && lseek(fd, offset + written, SEEK_SET) < 0) die("seeking");
    return written;
}

// ---- New files ----

static int open_at(const char *path, int flags, mode_t mode) {
    if (control != NULL && (flags & O_CREAT) != 0 &&
        (atomic_load(&control->full) & FULL_FILES) != 0 && access(path, F_OK) != 0) {
        // A file that is not there has no path of its own yet: that of its folder.
        char folder[PATH_MAX], whole[PATH_MAX * 2];
        snprintf(folder, sizeof folder, "%s", path);
        char *slash = strrchr(folder, '/'), real[PATH_MAX];
        if (slash != NULL) *slash = 0;
        snprintf(whole, sizeof whole, "%s/%s",
                 slash != NULL && realpath(folder, real) != NULL ? real : "",
                 slash + (slash != NULL));
        if (is_under(whole, control->full_part) && is_full()) {
            atomic_fetch_add(&control->refused, 1);
            errno = ENOSPC;
            return -1;
        }
    }
    return next_open(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_at(path, flags, mode);
}

// ---- Syncs ----

static void list_lost(ino_t inode, int64_t offset, size_t len, const uint8_t *bytes) {
    LostHeader header = {inode, (uint64_t)offset, len, bytes == NULL};
    if (next_write(lost_fd, &header, sizeof header) != (ssize_t)sizeof header ||
        (bytes != NULL && next_write(lost_fd, bytes, len) != (ssize_t)len))
        die("listing what is lost");
}

static bool has_lost(ino_t inode) {
    for (size_t i = 0; i < lost_count; i++) {
        if (lost_inodes[i] == inode) return true;
    }
    return false;
}

// Everything that waited for a sync of this file, newest first as it was remembered.
static void settle(int fd, bool good) {
    struct stat stat;
    if (fstat(fd, &stat) != 0) return;
    pthread_mutex_lock(&lock);
    // The inode shall not be given to another file: the list goes by it.
    if (!good && !has_lost(stat.st_ino)) {
        if (lost_count == HELD_MAX || dup(fd) < 0) die("holding a file");
        lost_inodes[lost_count++] = stat.st_ino;
    }
    bool listed = has_lost(stat.st_ino);
    Old *oldest_first = NULL;
    for (Old **at = &olds; *at != NULL;) {
        Old *old = *at;
        if (old->inode != stat.st_ino || old->device != stat.st_dev) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        old->next = oldest_first;
        oldest_first = old;
    }
    while (oldest_first != NULL) {
        Old *old = oldest_first;
        oldest_first = old->next;
        if (listed) list_lost(old->inode, old->offset, old->len, good ? NULL : old->bytes);
        free(old->bytes);
        free(old);
    }
    pthread_mutex_unlock(&lock);
}

// Is it this one's turn to fail?
static bool fails_now(void) {
    bool fails = false;
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&control->syncs, 1);
    uint32_t skip = atomic_load(&control->skip), fail = atomic_load(&control->fail);
    if (fail > 0 && skip > 0) {
        atomic_store(&control->skip, skip - 1);
    } else if (fail > 0) {
        if (fail != UINT32_MAX) atomic_store(&control->fail, fail - 1);
        atomic_fetch_add(&control->failed, 1);
        fails = true;
    }
    pthread_mutex_unlock(&lock);
    return fails;
}

// What was not synced is gone, and nothing reaches the disk any more (mounts.py).
static void cut_power(void) {
    enum { NO_LOG_FLUSH = 2 };
    uint32_t how = NO_LOG_FLUSH;
    int fd = next_open(control->under, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, _IOR('X', 125, uint32_t), &how) != 0) die("cutting the power");
    close(fd);
}

static bool is_folder(int fd) {
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode);
}

static int sync_with(int (*next)(int), int fd) {
    if (!is_ours(fd, "")) return next(fd);
    uint32_t armed = 1;
    if (atomic_load(&control->cut) && is_folder(fd) && is_ours(fd, control->cut_part) &&
        atomic_compare_exchange_strong(&control->cut, &armed, 0))
        cut_power();
    if (is_ours(fd, control->sync_part) && fails_now()) {
        settle(fd, false);
        if (atomic_load(&control->believe)) return next(fd);
        errno = EIO;
        return -1;
    }
    int failed = next(fd);
    if (failed == 0) settle(fd, true);
    return failed;
}

int fsync(int fd) {
    return sync_with(next_fsync, fd);
}

int fdatasync(int fd) {
    return sync_with(next_fdatasync, fd);
}
