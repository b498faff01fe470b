// Counts what threads of a running process do to memory that others may want: each instruction is
// stepped (ptrace), and those that lock a cache line (LOCK, or XCHG with memory) are written down
// with the line, the thread, and the place in the code.
//
//   lines PID [THREAD-NAME…] > FILE       ends with SIGINT or when the process ends
//
// The process is not expected to live on: a step that is under way at the end is a SIGTRAP for it.
//
// Threads are those whose name begins with one of the names (default: http, log). The output is
// lines of words:
//   thread NAME TID INSTRUCTIONS LOCKED SYSCALLS
//   syscall TID NUMBER COUNT
//   locked ADDRESS RIP TID COUNT RANK-OF-MUTEX RANK-OF-SHARED
// A rank is the name in base/locks.def where a Mutex or SharedLock of os/thread.h may begin at the
// address, else "-". What is not seen: plain stores to lines that others read; who waits for whom.
// x86-64 only.

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/thread.h"

enum { THREADS_MAX = 64, SYSCALLS_MAX = 512, CODE_SLOTS = 1 << 18, LOCKED_SLOTS = 1 << 16 };

typedef struct Traced {
    pid_t tid;
    char name[32];
    uint64_t instructions, locked, syscalls[SYSCALLS_MAX];
} Traced;

typedef enum Kind { KIND_UNKNOWN, KIND_PLAIN, KIND_LOCKED, KIND_SYSCALL } Kind;

// An instruction that was seen, by its address; what is needed to find the memory it locks.
typedef struct Code {
    uint64_t rip;
    Kind kind;
    uint8_t modrm, sib, rex, segment;
    int32_t displacement;
    uint8_t length;
} Code;

typedef struct Locked {
    uint64_t address, rip, count;
    pid_t tid;
} Locked;

static Traced traced[THREADS_MAX];
static size_t traced_count;
static Code *codes;
static Locked *locked;
static pid_t process;
static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static size_t read_memory(uint64_t from, void *into, size_t len) {
    struct iovec local = {into, len}, remote = {(void *)(uintptr_t)from, len};
    ssize_t got = process_vm_readv(process, &local, 1, &remote, 1, 0);
    return got < 0 ? 0 : (size_t)got;
}

// Bytes of a number behind the memory operand: what a place relative to the end of the instruction
// needs to know.
static int immediate_bytes(bool two_bytes, uint8_t opcode, bool short_operand) {
    if (two_bytes) return opcode == 0xBA ? 1 : 0;
    if (opcode == 0x80 || opcode == 0x83) return 1;
    if (opcode == 0x81) return short_operand ? 2 : 4;
    return 0;
}

static Code decode(uint64_t rip) {
    uint8_t at[16] = {0};
    size_t have = read_memory(rip, at, sizeof at);
    if (have < sizeof at) have = read_memory(rip, at, 4096 - (rip & 4095));
    Code code = {.rip = rip, .kind = KIND_PLAIN};
    bool lock = false, short_operand = false;
    size_t i = 0;
    for (; i < 5; i++) {
        if (at[i] == 0xF0) {
            lock = true;
        } else if (at[i] == 0x64 || at[i] == 0x65) {
            code.segment = at[i];
        } else if (at[i] == 0x66) {
            short_operand = true;
        } else if (at[i] != 0xF2 && at[i] != 0xF3 && at[i] != 0x2E && at[i] != 0x3E) {
            break;
        }
    }
    if (at[i] >> 4 == 4) code.rex = at[i++];
    bool two_bytes = at[i] == 0x0F;
    uint8_t opcode = two_bytes ? at[i + 1] : at[i];
    if (two_bytes && opcode == 0x05) code.kind = KIND_SYSCALL;
    i += two_bytes ? 2 : 1;
    code.modrm = at[i++];
    bool memory = code.modrm >> 6 != 3;
    bool exchange = !two_bytes && (opcode == 0x86 || opcode == 0x87) && memory;
    if (!lock && !exchange) return code;
    code.kind = KIND_LOCKED;
    unsigned mode = code.modrm >> 6, low = code.modrm & 7;
    if (low == 4) code.sib = at[i++];
    bool wide = mode == 2 || (mode == 0 && (low == 5 || (low == 4 && (code.sib & 7) == 5)));
    if (wide) {
        memcpy(&code.displacement, at + i, 4);
        i += 4;
    } else if (mode == 1) {
        code.displacement = (int8_t)at[i++];
    }
    code.length = (uint8_t)(i + (size_t)immediate_bytes(two_bytes, opcode, short_operand));
    return code;
}

static uint64_t register_of(const struct user_regs_struct *regs, unsigned number) {
    const unsigned long long values[16] = {
        regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp, regs->rsi, regs->rdi,
        regs->r8,  regs->r9,  regs->r10, regs->r11, regs->r12, regs->r13, regs->r14, regs->r15};
    return values[number & 15];
}

static uint64_t address_of(const Code *code, const struct user_regs_struct *regs) {
    unsigned mode = code->modrm >> 6, low = code->modrm & 7;
    unsigned high_base = (code->rex & 1u) << 3, high_index = (code->rex & 2u) << 2;
    uint64_t address = (uint64_t)(int64_t)code->displacement;
    if (low == 4) {
        unsigned index = (code->sib >> 3 & 7) | high_index, base = code->sib & 7;
        if (index != 4) address += register_of(regs, index) << (code->sib >> 6);
        if (base != 5 || mode != 0) address += register_of(regs, base | high_base);
    } else if (low == 5 && mode == 0) {
        address += regs->rip + code->length;
    } else {
        address += register_of(regs, low | high_base);
    }
    if (code->segment == 0x64) address += regs->fs_base;
    if (code->segment == 0x65) address += regs->gs_base;
    return address;
}

static uint64_t mix(uint64_t value) {
    return (value ^ value >> 17) * 0x9E3779B97F4A7C15u >> 20;
}

static const Code *code_at(uint64_t rip) {
    for (uint64_t i = mix(rip);; i++) {
        Code *code = &codes[i % CODE_SLOTS];
        if (code->rip == rip) return code;
        if (code->kind == KIND_UNKNOWN) {
            *code = decode(rip);
            return code;
        }
    }
}

static void count_locked(uint64_t address, uint64_t rip, pid_t tid) {
    for (uint64_t i = mix(address ^ rip << 7 ^ (uint64_t)tid << 40), tries = 0;
         tries < LOCKED_SLOTS; i++, tries++) {
        Locked *entry = &locked[i % LOCKED_SLOTS];
        if (entry->count == 0) *entry = (Locked){.address = address, .rip = rip, .tid = tid};
        if (entry->address != address || entry->rip != rip || entry->tid != tid) continue;
        entry->count++;
        return;
    }
    fprintf(stderr, "lines: more than %d places\n", LOCKED_SLOTS);
    exit(1);
}

static Traced *traced_of(pid_t tid) {
    for (size_t i = 0; i < traced_count; i++) {
        if (traced[i].tid == tid) return &traced[i];
    }
    return NULL;
}

static void see(Traced *thread) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs) != 0) return;
    const Code *code = code_at(regs.rip);
    thread->instructions++;
    if (code->kind == KIND_SYSCALL && regs.rax < SYSCALLS_MAX) thread->syscalls[regs.rax]++;
    if (code->kind != KIND_LOCKED) return;
    thread->locked++;
    count_locked(address_of(code, &regs), regs.rip, thread->tid);
}

static void attach(const char *const *names, size_t count) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *folder = opendir(path);
    if (folder == NULL) fail(path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid <= 0 || traced_count == THREADS_MAX) continue;
        char file[128], name[32] = "";
        snprintf(file, sizeof file, "/proc/%d/task/%d/comm", (int)process, (int)tid);
        FILE *comm = fopen(file, "r");
        if (comm == NULL || fgets(name, sizeof name, comm) == NULL) continue;
        fclose(comm);
        name[strcspn(name, "\n")] = '\0';
        bool wanted = false;
        for (size_t i = 0; i < count; i++) wanted |= strncmp(name, names[i], strlen(names[i])) == 0;
        if (!wanted) continue;
        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) fail("lines: ptrace");
        if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0) fail("lines: interrupt");
        traced[traced_count] = (Traced){.tid = tid};
        memcpy(traced[traced_count++].name, name, sizeof name);
    }
    closedir(folder);
    if (traced_count == 0) {
        fprintf(stderr, "lines: process %d has no such thread\n", (int)process);
        exit(1);
    }
}

static void run(void) {
    while (!stopped) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR) continue;
        if (tid < 0) return;
        Traced *thread = traced_of(tid);
        if (thread == NULL || !WIFSTOPPED(status)) continue;
        int number = WSTOPSIG(status);
        see(thread);
        // A step, or the stop that was asked for: nothing to hand on. Another signal is the
        // process' own.
        if (ptrace(PTRACE_SINGLESTEP, tid, NULL, number == SIGTRAP ? 0L : (long)number) != 0 &&
            errno != ESRCH)
            fail("lines: step");
    }
}

static const char *rank_at(uint64_t address) {
    static const char *const names[] = {
#define LOCK(name, protects) #name,
#include "base/locks.def"
#undef LOCK
    };
    uint32_t rank;
    if (read_memory(address, &rank, sizeof rank) < sizeof rank || rank >= LOCK_COUNT) return "-";
    return names[rank];
}

static void print_all(void) {
    for (size_t i = 0; i < traced_count; i++) {
        uint64_t syscalls = 0;
        for (size_t n = 0; n < SYSCALLS_MAX; n++) {
            syscalls += traced[i].syscalls[n];
            if (traced[i].syscalls[n] > 0)
                printf("syscall %d %zu %llu\n", (int)traced[i].tid, n,
                       (unsigned long long)traced[i].syscalls[n]);
        }
        printf("thread %s %d %llu %llu %llu\n", traced[i].name, (int)traced[i].tid,
               (unsigned long long)traced[i].instructions, (unsigned long long)traced[i].locked,
               (unsigned long long)syscalls);
    }
    for (size_t i = 0; i < LOCKED_SLOTS; i++) {
        const Locked *at = &locked[i];
        if (at->count > 0)
            printf("locked %llx %llx %d %llu %s %s\n", (unsigned long long)at->address,
                   (unsigned long long)at->rip, (int)at->tid, (unsigned long long)at->count,
                   rank_at(at->address + offsetof(Mutex, rank)),
                   rank_at(at->address + offsetof(SharedLock, rank)));
    }
}

int main(int argc, char **argv) {
    static const char *const standard[] = {"http", "log"};
    process = argc > 1 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
    if (process <= 0) {
        fprintf(stderr, "usage: lines PID [THREAD-NAME...] > FILE\n");
        return 2;
    }
    codes = calloc(CODE_SLOTS, sizeof *codes);
    locked = calloc(LOCKED_SLOTS, sizeof *locked);
    if (codes == NULL || locked == NULL) fail("memory");
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    if (argc > 2) {
        attach((const char *const *)argv + 2, (size_t)argc - 2);
    } else {
        attach(standard, 2);
    }
    fprintf(stderr, "lines: %zu threads\n", traced_count);
    run();
    print_all();
    return fflush(stdout) == 0 ? 0 : 1;
}
