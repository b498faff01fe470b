// This process and the machine under it, as the kernel tells.

#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "os/call_fault.h"

static const int64_t SMALL_FILE_BYTES_MAX =
    16 * MB;  // /proc and /sys have no larger ones that we read

static void fd_close(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

// Whether a question to the kernel may be asked; tests say no.
static bool asked(void) {
    return !call_fault(OS_CALL_ASK);
}

// Everything up to the end of `fd`, at most `bytes_max`.
static bool read_all(int fd, const char *name, int64_t bytes_max, Builder *out, Error *err) {
    size_t start = out->len;
    for (;;) {
        builder_reserve(out, 16 * KB);
        ssize_t count = call_fault(OS_CALL_FILE_READ)
                            ? -1
                            : read(fd, out->at + out->len, out->capacity - out->len);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            return error_set(err, error_code_from_errno(errno, ERROR_IO), "reading %s: %s", name,
                             strerrordesc_np(errno));
        }
        if (count == 0) return true;
        out->len += (size_t)count;
        if ((int64_t)(out->len - start) > bytes_max) {
            return error_set(err, ERROR_TOO_LARGE, "%s has more than %lld bytes", name,
                             (long long)bytes_max);
        }
    }
}

bool process_read_file(const char *path, Builder *out, Error *err) {
    AUTO(fd_close) int fd = -1;
    if (!call_fault(OS_CALL_FILE_READ)) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        ErrorCode code = errno == ENOENT ? ERROR_NOT_FOUND : error_code_from_errno(errno, ERROR_IO);
        return error_set(err, code, "opening %s: %s", path, strerrordesc_np(errno));
    }
    return read_all(fd, path, SMALL_FILE_BYTES_MAX, out, err);
}

int64_t process_memory_resident(void) {
    AUTO(builder_free) Builder text = {0};
    if (!process_read_file("/proc/self/statm", &text, NULL)) return 0;
    Text rest = builder_text(&text), part;  // "size resident shared …", in pages
    int64_t pages = 0;
    if (!text_cut(&rest, ' ', &part) || !text_cut(&rest, ' ', &part) || !text_to_i64(part, &pages))
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}

int64_t process_memory_resident_peak(void) {
    struct rusage usage;
    return asked() && getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * KB : 0;
}

// The number in a control group's file; INT64_MAX when it is not there or says "max".
static int64_t limit_in_file(const char *path) {
    AUTO(builder_free) Builder text = {0};
    int64_t bytes = 0;
    if (!process_read_file(path, &text, NULL)) return INT64_MAX;
    return text_to_i64(text_trim(builder_text(&text)), &bytes) && bytes > 0 ? bytes : INT64_MAX;
}

// The tightest memory.max from our control group up to the root (version 2; its line begins "0::").
static int64_t limit_of_groups(void) {
    AUTO(builder_free) Builder text = {0};
    AUTO(arena_free) Arena arena = {0};
    int64_t least = limit_in_file("/sys/fs/cgroup/memory/memory.limit_in_bytes");  // version 1
    if (!process_read_file("/proc/self/cgroup", &text, NULL)) return least;
    Text rest = builder_text(&text), line;
    while (text_cut(&rest, '\n', &line)) {
        if (!text_starts_with(line, TEXT("0::/"))) continue;
        Text group = text_slice(line, 3, line.len);
        for (;;) {
            Text path = text_format(&arena, "/sys/fs/cgroup%.*s/memory.max", TEXT_ARG(group));
            least = MIN(least, limit_in_file(path.at));
            while (group.len > 0 && group.at[group.len - 1] != '/') group.len--;
            if (group.len == 0) break;
            group.len--;
        }
    }
    return least;
}

int64_t machine_memory_total(void) {
    int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return MIN(machine, limit_of_groups());
}

int64_t process_files_open(void) {
    DIR *folder = asked() ? opendir("/proc/self/fd") : NULL;
    if (folder == NULL) return 0;
    int64_t count = -1;  // the descriptor of this very listing
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static int64_t limit_value(rlim_t value) {
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

int64_t process_files_max(void) {
    struct rlimit limit;
    return asked() && getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit_value(limit.rlim_cur) : 0;
}

int64_t process_files_raise(void) {
    struct rlimit limit;
    if (asked() && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);  // what is in force is what we return
    }
    return process_files_max();
}

int64_t process_id(void) {
    return getpid();
}

Text process_program_path(Arena *arena) {
    char path[4096];
    ssize_t len = asked() ? readlink("/proc/self/exe", path, sizeof path) : -1;
    return len < 0 ? TEXT_NONE : text_copy((Text){path, (size_t)len}, arena);
}

Text process_folder(Arena *arena) {
    char path[4096];
    bool known = asked() && getcwd(path, sizeof path) != NULL;
    return known ? text_copy(text_from_cstring(path), arena) : TEXT_NONE;
}

void process_end_now(int code) {
    _exit(code);
}

Text machine_name(Arena *arena) {
    struct utsname name;
    return asked() && uname(&name) == 0 ? text_copy(text_from_cstring(name.nodename), arena)
                                        : TEXT_NONE;
}

Text machine_kernel(Arena *arena) {
    struct utsname name;
    if (!asked() || uname(&name) != 0) return TEXT_NONE;
    return text_format(arena, "%s %s %s", name.sysname, name.release, name.machine);
}

Text environment_get(const char *name) {
    return text_from_cstring(getenv(name));
}

static bool write_all(int fd, Text text, Error *err) {
    for (size_t done = 0; done < text.len;) {
        ssize_t count =
            call_fault(OS_CALL_STREAM_WRITE) ? -1 : write(fd, text.at + done, text.len - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) {  // a pipe that someone made non-blocking
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
            continue;
        }
        if (count < 0) {
            return error_set(err, error_code_from_errno(errno, ERROR_IO),
                             "writing to the standard output: %s", strerrordesc_np(errno));
        }
        done += (size_t)count;
    }
    return true;
}

bool stream_write_out(Text text, Error *err) {
    return write_all(STDOUT_FILENO, text, err);
}

void stream_write_err(Text text) {
    (void)write_all(STDERR_FILENO, text, NULL);  // there is nowhere left to complain
}

bool stream_read_in(int64_t bytes_max, Builder *out, Error *err) {
    return read_all(STDIN_FILENO, "the standard input", bytes_max, out, err);
}

bool stream_read_some(void *into, size_t len, size_t *got, Error *err) {
    for (;;) {
        ssize_t count = call_fault(OS_CALL_FILE_READ) ? -1 : read(STDIN_FILENO, into, len);
        if (count >= 0) {
            *got = (size_t)count;
            return true;
        }
        if (errno == EINTR) continue;
        return error_set(err, error_code_from_errno(errno, ERROR_IO),
                         "reading the standard input: %s", strerrordesc_np(errno));
    }
}

bool stream_in_is_terminal(void) {
    return isatty(STDIN_FILENO) == 1;
}

bool stream_out_is_terminal(void) {
    return isatty(STDOUT_FILENO) == 1;
}

bool stream_err_is_terminal(void) {
    return isatty(STDERR_FILENO) == 1;
}

bool mount_space(const char *path, MountSpace *out, Error *err) {
    struct statvfs space;
    if (call_fault(OS_CALL_MOUNT_SPACE) || statvfs(path, &space) != 0) {
        ErrorCode code = errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO;
        return error_set(err, code, "asking for the space of %s: %s", path, strerrordesc_np(errno));
    }
    int64_t unit = (int64_t)space.f_frsize;
    *out = (MountSpace){
        .bytes = (int64_t)space.f_blocks * unit,
        .bytes_free = (int64_t)space.f_bfree * unit,
        .bytes_available = (int64_t)space.f_bavail * unit,
        .files = (int64_t)space.f_files,
        .files_free = (int64_t)space.f_ffree,
        .read_only = (space.f_flag & ST_RDONLY) != 0,
    };
    return true;
}
