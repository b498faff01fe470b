// A ring of windows that two threads fill, each with the next one nobody reads yet.
//
//   disk:  │ 7 │ 8 │ 9 │10 │   being read: 9 and 10; whole: 7 and 8; the walk stands in 7
//
// One request at a time gave 320 to 700 MB/s where several gave 900 (a virtual disk, O_DIRECT).

#include "store/log/ahead.h"

#include "base/language.h"
#include "base/memory.h"
#include "os/thread.h"

enum { WINDOWS = 4, READERS = 2 };

typedef struct Window {
    uint8_t *at;
    int64_t number;  // -1: none
    bool whole;      // read; else it is being read
    bool failed;     // who asks for it asks the disk itself
    size_t len;
} Window;

struct Ahead {
    Disk *disk;
    File *file;
    int64_t bytes;
    Mutex lock;  // LOG_AHEAD, guards what follows
    Condition filled, free;
    Window windows[WINDOWS];  // number n is windows[n % WINDOWS]
    int64_t first, next,
        end;  // the oldest that is still wanted, the next to be read, behind the last
    bool stopping;
    Thread *readers[READERS];
};

static void read_one(Ahead *ahead, int64_t number) {
    Window *window = &ahead->windows[number % WINDOWS];
    window->number = number;
    window->whole = window->failed = false;
    mutex_give(&ahead->lock);
    int64_t offset = number * AHEAD_WINDOW_BYTES;
    size_t want = (size_t)MIN((int64_t)AHEAD_WINDOW_BYTES, ahead->bytes - offset), got = 0;
    want = (want + 4095) / 4096 * 4096;
    Error ignored;
    bool fine =
        ahead->disk->read(ahead->disk, ahead->file, offset, window->at, want, &got, &ignored);
    mutex_take(&ahead->lock);
    window->len = got;
    window->failed = !fine;
    window->whole = true;
    condition_wake_all(&ahead->filled);
    condition_wake_all(&ahead->free);
}

static void reader_run(void *context) {
    Ahead *ahead = context;
    mutex_take(&ahead->lock);
    while (!ahead->stopping) {
        // A window that is passed over may still be being read.
        bool free = ahead->windows[ahead->next % WINDOWS].whole;
        if (free && ahead->next < ahead->end && ahead->next - ahead->first < WINDOWS) {
            read_one(ahead, ahead->next++);
        } else {
            condition_wait(&ahead->free, &ahead->lock);
        }
    }
    mutex_give(&ahead->lock);
}

Ahead *ahead_begin(Disk *disk, File *file, int64_t bytes, int64_t from) {
    Error ignored;
    AUTO(ahead_end) Ahead *ahead = memory_new(Ahead);
    ahead->disk = disk;
    ahead->file = file;
    ahead->bytes = bytes;
    ahead->first = ahead->next = from / AHEAD_WINDOW_BYTES;
    ahead->end = (bytes + AHEAD_WINDOW_BYTES - 1) / AHEAD_WINDOW_BYTES;
    mutex_begin(&ahead->lock, LOCK_LOG_AHEAD);
    condition_begin(&ahead->filled);
    condition_begin(&ahead->free);
    for (size_t i = 0; i < WINDOWS; i++) {
        ahead->windows[i] = (Window){.number = -1, .whole = true};
        if (!disk_buffer_take(AHEAD_WINDOW_BYTES, &ahead->windows[i].at, &ignored)) return NULL;
    }
    for (size_t i = 0; i < READERS; i++) {
        if (!thread_start("log-ahead", reader_run, ahead, &ahead->readers[i], &ignored))
            return NULL;
    }
    return TAKE(ahead);
}

// Copies what the window has of [offset, offset + want); *more: how much that was.
static bool copy_from(Ahead *ahead, int64_t offset, uint8_t *into, size_t want, size_t *more) {
    int64_t number = offset / AHEAD_WINDOW_BYTES;
    mutex_take(&ahead->lock);
    if (number < ahead->first) {
        mutex_give(&ahead->lock);
        return false;
    }
    ahead->first = number;  // whoever goes on does not come back
    ahead->next = MAX(ahead->next, number);
    condition_wake_all(&ahead->free);
    Window *window = &ahead->windows[number % WINDOWS];
    while (window->number != number || !window->whole) condition_wait(&ahead->filled, &ahead->lock);
    bool fine = !window->failed;
    mutex_give(&ahead->lock);
    size_t from = (size_t)(offset % AHEAD_WINDOW_BYTES);
    *more = fine && from < window->len ? MIN(want, window->len - from) : 0;
    if (*more > 0) memcpy(into, window->at + from, *more);
    return fine;
}

bool ahead_read(Ahead *ahead, int64_t offset, uint8_t *into, size_t want, size_t *got, Error *err) {
    *got = 0;
    while (*got < want && offset + (int64_t)*got < ahead->bytes) {
        size_t room = (size_t)(AHEAD_WINDOW_BYTES - (offset + (int64_t)*got) % AHEAD_WINDOW_BYTES);
        size_t more;
        if (!copy_from(ahead, offset + (int64_t)*got, into + *got, MIN(want - *got, room), &more))
            return ahead->disk->read(ahead->disk, ahead->file, offset, into, want, got, err);
        if (more == 0) break;
        *got += more;
    }
    return true;
}

void ahead_end(Ahead **ahead) {
    if (*ahead == NULL) return;
    Ahead *gone = TAKE(*ahead);
    mutex_take(&gone->lock);
    gone->stopping = true;
    condition_wake_all(&gone->free);
    mutex_give(&gone->lock);
    for (size_t i = 0; i < READERS; i++) thread_join(&gone->readers[i]);
    for (size_t i = 0; i < WINDOWS; i++) disk_buffer_free(&gone->windows[i].at);
    condition_end(&gone->filled);
    condition_end(&gone->free);
    mutex_end(&gone->lock);
    memory_free(gone);
}
