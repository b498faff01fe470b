// The handler of SIGBUS, and the ranges it may mend.

#include "os/map_fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

// More mappings than this are not watched; their faults end the process, as they would without us.
enum { RANGES_MAX = 8192 };

typedef struct Range {
    _Atomic uintptr_t from;  // 0: free; 1: being written
    _Atomic uintptr_t to;
} Range;

static Range ranges[RANGES_MAX];
static _Atomic uint64_t replaced;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool is_watched(uintptr_t address) {
    for (size_t i = 0; i < RANGES_MAX; i++) {
        uintptr_t from = atomic_load(&ranges[i].from);
        if (from > 1 && address >= from && address < atomic_load(&ranges[i].to)) return true;
    }
    return false;
}

static void handle(int number, siginfo_t *info, void *context) {
    (void)context;
    int before = errno;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = (uintptr_t)info->si_addr & ~(page - 1);
    bool mended = is_watched((uintptr_t)info->si_addr) &&
                  mmap((void *)at, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                       0) != MAP_FAILED;
    if (mended) {
        atomic_fetch_add(&replaced, 1);
    } else {
        // Not ours: the access is tried again when we return, and then ends the process as it
        // should.
        signal(number, SIG_DFL);
    }
    errno = before;
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void map_fault_watch(const void *at, size_t len) {
    pthread_once(&once, install);
    for (size_t i = 0; i < RANGES_MAX; i++) {
        uintptr_t nobody = 0;
        if (!atomic_compare_exchange_strong(&ranges[i].from, &nobody, 1)) continue;
        atomic_store(&ranges[i].to, (uintptr_t)at + len);
        atomic_store(&ranges[i].from, (uintptr_t)at);
        return;
    }
}

void map_fault_forget(const void *at) {
    for (size_t i = 0; i < RANGES_MAX; i++) {
        if (atomic_load(&ranges[i].from) == (uintptr_t)at) {
            atomic_store(&ranges[i].from, 0);
            return;
        }
    }
}

uint64_t map_fault_count(void) {
    return atomic_load(&replaced);
}
