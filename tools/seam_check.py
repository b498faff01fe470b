#!/usr/bin/env python3
"""The fault seam holds only when every system call passes src/os (rule R1). This reads the symbols
that our static libraries ask for (nm -u) and fails when a floor other than os asks for input, output,
time, threads, sockets or randomness of libc.

    seam_check.py BUILD_FOLDER     checks every lib*.a under BUILD_FOLDER/src
    seam_check.py --self-test      proves that it catches one stray write()
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# base prints failed assertions and refusals of memory on stderr, and tells the kernel in what pages large memory may lie, which changes
# nothing if it is refused; its test runner asks for files.
EXEMPT_ARCHIVES = {"libos.a", "libos_test.a", "libbase_test.a"}
EXEMPT_SYMBOLS = {"libbase.a": {"fprintf", "__fprintf_chk", "fputs", "fwrite", "fputc", "madvise"}}

DENIED = set("""
open openat creat read write pread pwrite readv writev preadv pwritev close close_range dup dup2 dup3 lseek
fopen fdopen freopen fclose fread fwrite fgets fputs fputc fgetc getc putc puts putchar printf fprintf vprintf
vfprintf dprintf perror getline getdelim fscanf scanf fflush fseek ftell fileno setvbuf remove tmpfile mkstemp
stat fstat lstat fstatat statx access faccessat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link
symlink readlink chmod fchmod chown truncate ftruncate fallocate posix_fallocate opendir fdopendir readdir closedir
scandir nftw ftw statfs fstatfs statvfs fstatvfs sync fsync fdatasync sync_file_range sendfile copy_file_range flock
fcntl ioctl mmap munmap mremap msync madvise mlock
socket socketpair bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg shutdown setsockopt
getsockopt getsockname getpeername getaddrinfo gethostbyname poll ppoll select pselect epoll_create epoll_create1
epoll_ctl epoll_wait eventfd pipe pipe2 timerfd_create inotify_init1
time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep sleep usleep clock times localtime_r gmtime_r
fork vfork execve execvp execl posix_spawn system popen wait waitpid kill raise signal sigaction pthread_sigmask
getrandom getentropy rand srand random srandom rand_r drand48 arc4random
thrd_create sched_yield sched_getaffinity syscall getpid gethostname uname getenv setenv secure_getenv
""".split())
DENIED_PREFIXES = ("pthread_", "mtx_", "cnd_", "sem_", "aio_", "io_uring_")


def plain_name(symbol):
    """The name as written in C: without version, large-file and fortify dress."""
    symbol = symbol.split("@")[0]
    symbol = re.sub(r"^__(?:isoc99_|isoc23_)?(\w+?)_chk$", r"\1", symbol)
    symbol = re.sub(r"^__isoc(?:99|23)_", "", symbol)
    symbol = re.sub(r"^__(open|openat|pread|read|pwrite|fcntl|poll)(64)?(_2|_nocancel)?$", r"\1", symbol)
    return re.sub(r"^([a-z]\w*?)64$", r"\1", symbol)


def is_denied(symbol):
    name = plain_name(symbol)
    return name in DENIED or name.startswith(DENIED_PREFIXES)


def faults_of(archive):
    """Pairs of object and symbol that break the seam. What the archive defines itself is not libc's."""
    def symbols(option):
        return subprocess.run(["nm", "-A", option, str(archive)], check=True, capture_output=True, text=True).stdout
    own = {line.split()[-1] for line in symbols("--defined-only").splitlines() if line.split()}
    allowed = EXEMPT_SYMBOLS.get(archive.name, set())
    faults = []
    for line in symbols("-u").splitlines():
        symbol = line.split()[-1]
        if symbol in own or symbol in allowed or not is_denied(symbol):
            continue
        faults.append((line.split(":")[-2], symbol))
    return faults


def check(folder):
    archives = sorted(folder.glob("src/**/lib*.a"))
    if not archives:
        print(f"seam_check: no libraries under {folder}/src: build first", file=sys.stderr)
        return 2
    failed = 0
    for archive in archives:
        if archive.name in EXEMPT_ARCHIVES:
            continue
        for member, symbol in faults_of(archive):
            print(f"{archive.name}: {member} asks libc for {plain_name(symbol)}; go through src/os")
            failed += 1
    print(f"seam_check: {len(archives)} libraries, {failed} faults")
    return 1 if failed else 0


def self_test():
    cases = [
        ("a stray write is caught", "#include <unistd.h>\nlong f(void) { return write(1, \"x\", 1); }", ["write"]),
        ("a lock is caught", "#include <pthread.h>\nint f(pthread_mutex_t *m) { return pthread_mutex_lock(m); }",
         ["pthread_mutex_lock"]),
        ("large-file names are caught", "int open64(const char *, int, ...);\nint f(void) { return open64(\"x\", 0); }",
         ["open"]),
        ("fortified names are caught", "long __read_chk(int, void *, long, long);\nlong f(char *b) { return "
         "__read_chk(0, b, 1, 1); }", ["read"]),
        ("text in memory is allowed", "#include <stdio.h>\n#include <string.h>\nint f(char *b, int n) { return "
         "snprintf(b, 9, \"%d\", n) + (int)strlen(b); }", []),
        ("a function of our own is allowed", "int g(void);\nint stat(void);\nint f(void) { return stat() + g(); }\n"
         "int stat(void) { return g(); }", []),
    ]
    print(f"1..{len(cases)}")
    failed = 0
    for number, (name, source, expected) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            (place / "src").mkdir()
            (place / "stray.c").write_text(source)
            subprocess.run(["cc", "-fno-builtin", "-c", "-o", place / "stray.o", place / "stray.c"], check=True)
            archive = place / "src" / "libstray.a"
            subprocess.run(["ar", "rcs", archive, place / "stray.o"], check=True)
            found = [plain_name(symbol) for _, symbol in faults_of(archive)]
            ok = found == expected
        failed += not ok
        print(f"{'ok' if ok else 'not ok'} {number} - {name}" + ("" if ok else f" # found {found}"))
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1])))
