// Windows from the end towards the front, until one has a mark.

#include "store/log/tail.h"

#include <stdatomic.h>

#include "base/memory.h"
#include "os/thread.h"
#include "store/log/segment.h"

enum { WINDOW_BYTES = 1 * MB };

struct Tail {
    Disk *disk;
    File *file;
    int64_t from, end;
    uint64_t mark;
    _Atomic int64_t bare_from, zero_from;
    _Atomic bool stopping;
    uint8_t *window;
    Thread *thread;
};

// Looks at a window that stands at `at` in the file; true when it has no mark.
static bool look_at(Tail *tail, int64_t at, size_t len, bool *zero) {
    size_t bare = 0, zeros = 0;
    for (size_t i = 0; i < len; i += ZEROS_STEP) {
        if (likely(all_zeros(tail->window + i))) continue;
        zeros = i + ZEROS_STEP;
        for (size_t k = i; k < i + ZEROS_STEP; k += RECORD_ALIGN) {
            uint64_t here;
            memcpy(&here, tail->window + k, sizeof here);
            if (here == tail->mark) bare = k + RECORD_ALIGN;
        }
    }
    if (*zero) atomic_store(&tail->zero_from, at + (int64_t)zeros);
    *zero = *zero && zeros == 0;
    atomic_store(&tail->bare_from, at + (int64_t)bare);
    return bare == 0;
}

static void tail_run(void *context) {
    Tail *tail = context;
    bool zero = true, go_on = true;
    for (int64_t at = tail->end; go_on && at > tail->from && !atomic_load(&tail->stopping);) {
        size_t want = (size_t)MIN(at - tail->from, (int64_t)WINDOW_BYTES), got = 0;
        at -= (int64_t)want;
        Error ignored;
        go_on = tail->disk->read(tail->disk, tail->file, at, tail->window, want, &got, &ignored) &&
                got == want && look_at(tail, at, want, &zero);
    }
}

Tail *tail_begin(Disk *disk, File *file, int64_t from, int64_t end, uint64_t mark) {
    Error ignored;
    AUTO(tail_end) Tail *tail = memory_new(Tail);
    tail->disk = disk;
    tail->file = file;
    tail->from = from;
    tail->end = end;
    atomic_store(&tail->bare_from, end);
    atomic_store(&tail->zero_from, end);
    tail->mark = mark;
    if (!disk_buffer_take(WINDOW_BYTES, &tail->window, &ignored)) return NULL;
    if (!thread_start("log-tail", tail_run, tail, &tail->thread, &ignored)) return NULL;
    return TAKE(tail);
}

int64_t tail_bare_from(const Tail *tail) {
    return atomic_load(&tail->bare_from);
}

int64_t tail_zero_from(const Tail *tail) {
    return atomic_load(&tail->zero_from);
}

void tail_end(Tail **tail) {
    if (*tail == NULL) return;
    Tail *gone = TAKE(*tail);
    atomic_store(&gone->stopping, true);
    thread_join(&gone->thread);
    disk_buffer_free(&gone->window);
    memory_free(gone);
}
