// The heap behind one seam.

#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

static _Atomic uint64_t fail_nth;    // 0: never
static _Atomic uint64_t calls_seen;  // since the last memory_fail_after()
static _Atomic bool fail_for_ever;
static _Atomic bool fail_untold;

static _Noreturn void no_memory(size_t bytes) {
    fprintf(stderr, "traceo: out of memory: %zu bytes could not be had; the process stops here\n",
            bytes);
    abort();
}

size_t array_bytes(size_t count, size_t size) {
    size_t bytes;
    bool overflow = __builtin_mul_overflow(count, size, &bytes);
    assert(!overflow);
    return bytes;
}

void *memory_take(size_t bytes) {
    void *at = malloc(bytes == 0 ? 1 : bytes);
    if (at == NULL) no_memory(bytes);
    return at;
}

void *memory_take_zeroed(size_t bytes) {
    void *at = calloc(1, bytes == 0 ? 1 : bytes);
    if (at == NULL) no_memory(bytes);
    return at;
}

void *memory_resize(void *at, size_t bytes) {
    void *moved = realloc(at, bytes == 0 ? 1 : bytes);
    if (moved == NULL) no_memory(bytes);
    return moved;
}

void memory_free(void *at) {
    free(at);
}

// jemalloc's, where the program is linked with it (jemalloc(3), "arena.<i>.purge"; 4096 stands for
// all arenas, MALLCTL_ARENAS_ALL).
extern int mallctl(const char *name, void *old, size_t *old_len, void *new_value, size_t new_len)
    __attribute__((weak));

void memory_give_back(void) {
    if (mallctl != NULL) {
        (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
    } else {
        (void)malloc_trim(0);
    }
}

uint64_t memory_fail_after(uint64_t nth, bool for_ever) {
    uint64_t seen = atomic_exchange(&calls_seen, 0);
    atomic_store(&fail_for_ever, for_ever);
    atomic_store(&fail_nth, nth);
    return seen;
}

void memory_fail_untold(bool untold) {
    atomic_store(&fail_untold, untold);
}

static bool must_fail(void) {
    uint64_t call = atomic_fetch_add(&calls_seen, 1) + 1;
    uint64_t nth = atomic_load(&fail_nth);
    if (likely(nth == 0)) return false;
    return call == nth || (call > nth && atomic_load(&fail_for_ever));
}

static bool refused(size_t bytes, void **out, Error *err) {
    if (atomic_load(&fail_untold)) {
        *out = NULL;
        return true;
    }
    return error_set(err, ERROR_NO_MEMORY, "%zu bytes of memory could not be had", bytes);
}

bool memory_reserve(size_t bytes, void **out, Error *err) {
    return memory_reserve_again(NULL, bytes, out, err);
}

bool memory_reserve_aligned(size_t bytes, size_t align, void **out, Error *err) {
    void *at = NULL;
    if (must_fail() || posix_memalign(&at, align, bytes == 0 ? align : bytes) != 0) {
        return refused(bytes, out, err);
    }
    *out = at;
    return true;
}

bool memory_reserve_wide(size_t bytes, void **out, Error *err) {
    if (bytes < MEMORY_HUGE) return memory_reserve(bytes, out, err);
    TRY(memory_reserve_aligned(bytes, MEMORY_HUGE, out, err));
    (void)madvise(*out, bytes, MADV_HUGEPAGE);
    return true;
}

void memory_free_wide(void *at, size_t bytes) {
    // The allocator gives it out again in small pieces, which need not be touched all over.
    if (at != NULL && bytes >= MEMORY_HUGE) (void)madvise(at, bytes, MADV_NOHUGEPAGE);
    memory_free(at);
}

bool memory_reserve_again(void *at, size_t bytes, void **out, Error *err) {
    void *moved = must_fail() ? NULL : realloc(at, bytes == 0 ? 1 : bytes);
    if (moved == NULL) return refused(bytes, out, err);
    *out = moved;
    return true;
}
