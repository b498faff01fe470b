// A disk that passes every call on to another, except those that its plan makes fail or wait.

#include "os/disk_fault.h"

#include "base/assert.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/thread.h"

struct DiskFault {
    Disk disk;
    Disk *inner;
    Mutex lock;  // of what follows
    DiskFaultPlan plan;
    uint64_t seen[DISK_CALL_COUNT];  // [DISK_CALL_ANY] counts all
};

typedef struct Verdict {
    bool fails;
    bool partial;
    bool untold;
    ErrorCode code;
} Verdict;

static bool is_change(DiskCall call) {
    return call == DISK_CALL_WRITE || call == DISK_CALL_RESIZE || call == DISK_CALL_SYNC ||
           call == DISK_CALL_RENAME || call == DISK_CALL_REMOVE;
}

// Counts the call and says what becomes of it; waits here when the plan says so.
static Verdict judge(DiskFault *fault, DiskCall call) {
    mutex_take(&fault->lock);
    fault->seen[DISK_CALL_ANY]++;
    fault->seen[call]++;
    DiskFaultPlan plan = fault->plan;
    bool counts = plan.call == DISK_CALL_ANY || plan.call == call;
    uint64_t seen = fault->seen[plan.call];
    mutex_give(&fault->lock);
    // What gives nothing back can fail unheard; a read that did would leave its result unset.
    if (plan.untold && !is_change(call)) counts = false;
    bool hit = counts && plan.nth > 0 && (seen == plan.nth || (plan.for_ever && seen > plan.nth));
    if (!hit) return (Verdict){0};
    if (plan.delay_ms > 0) {
        Clock *clock = clock_system();
        clock->sleep_ms(clock, plan.delay_ms);
    }
    return (Verdict){plan.code != ERROR_NONE, plan.partial, plan.untold, plan.code};
}

static bool fail(Verdict verdict, const char *doing, Error *err) {
    if (verdict.untold) return true;
    return error_set(err, verdict.code, "%s: made to fail by a test", doing);
}

// The call passes the plan, or the function that asks ends here with the planned error.
#define PASS(call, doing)                                        \
    DiskFault *fault = disk->context;                            \
    Disk *inner = fault->inner;                                  \
    do {                                                         \
        Verdict verdict_ = judge(fault, (call));                 \
        if (verdict_.fails) return fail(verdict_, (doing), err); \
    } while (0)

static bool fault_open(Disk *disk, Text path, FileMode mode, File **out, Error *err) {
    PASS(DISK_CALL_OPEN, "opening");
    return inner->open(inner, path, mode, out, err);
}

static void fault_close(Disk *disk, File **file) {
    Disk *inner = ((DiskFault *)disk->context)->inner;
    inner->close(inner, file);
}

static bool fault_size(Disk *disk, File *file, int64_t *out, Error *err) {
    PASS(DISK_CALL_READ, "asking for the size");
    return inner->size(inner, file, out, err);
}

static bool fault_read(Disk *disk, File *file, int64_t offset, void *into, size_t len, size_t *got,
                       Error *err) {
    PASS(DISK_CALL_READ, "reading");
    return inner->read(inner, file, offset, into, len, got, err);
}

static bool fault_write(Disk *disk, File *file, int64_t offset, const void *from, size_t len,
                        Error *err) {
    DiskFault *fault = disk->context;
    Disk *inner = fault->inner;
    Verdict verdict = judge(fault, DISK_CALL_WRITE);
    if (!verdict.fails) return inner->write(inner, file, offset, from, len, err);
    if (verdict.partial) {
        // In whole blocks where there are two or more, so that it holds for O_DIRECT as well.
        size_t half = len >= 2 * DISK_ALIGN ? len / 2 / DISK_ALIGN * DISK_ALIGN : len / 2;
        if (len == DISK_ALIGN) half = 0;
        if (half > 0) TRY(inner->write(inner, file, offset, from, half, err));
    }
    return fail(verdict, "writing", err);
}

static bool fault_resize(Disk *disk, File *file, int64_t bytes, Error *err) {
    PASS(DISK_CALL_RESIZE, "resizing");
    return inner->resize(inner, file, bytes, err);
}

static bool fault_sync_data(Disk *disk, File *file, Error *err) {
    PASS(DISK_CALL_SYNC, "syncing");
    return inner->sync_data(inner, file, err);
}

static bool fault_sync(Disk *disk, File *file, Error *err) {
    PASS(DISK_CALL_SYNC, "syncing");
    return inner->sync(inner, file, err);
}

static bool fault_map(Disk *disk, File *file, int64_t bytes, Bytes *out, Error *err) {
    PASS(DISK_CALL_MAP, "mapping");
    return inner->map(inner, file, bytes, out, err);
}

static void fault_unmap(Disk *disk, Bytes *view) {
    Disk *inner = ((DiskFault *)disk->context)->inner;
    inner->unmap(inner, view);
}

static void fault_will_need(Disk *disk, Bytes part) {
    Disk *inner = ((DiskFault *)disk->context)->inner;
    inner->will_need(inner, part);
}

static bool fault_lock(Disk *disk, File *file, Error *err) {
    PASS(DISK_CALL_OPEN, "locking");
    return inner->lock(inner, file, err);
}

static bool fault_make_folder(Disk *disk, Text path, Error *err) {
    PASS(DISK_CALL_FOLDER, "making a folder");
    return inner->make_folder(inner, path, err);
}

static bool fault_sync_folder(Disk *disk, Text path, Error *err) {
    PASS(DISK_CALL_SYNC, "syncing a folder");
    return inner->sync_folder(inner, path, err);
}

static bool fault_list(Disk *disk, Text path, Arena *arena, DiskEntries *out, Error *err) {
    PASS(DISK_CALL_FOLDER, "listing a folder");
    return inner->list(inner, path, arena, out, err);
}

static bool fault_rename(Disk *disk, Text from, Text to, Error *err) {
    PASS(DISK_CALL_RENAME, "renaming");
    return inner->rename(inner, from, to, err);
}

static bool fault_link(Disk *disk, Text from, Text to, Error *err) {
    PASS(DISK_CALL_RENAME, "linking");
    return inner->link(inner, from, to, err);
}

static bool fault_remove(Disk *disk, Text path, Error *err) {
    PASS(DISK_CALL_REMOVE, "removing");
    return inner->remove(inner, path, err);
}

static bool fault_remove_folder(Disk *disk, Text path, Error *err) {
    PASS(DISK_CALL_FOLDER, "removing a folder");
    return inner->remove_folder(inner, path, err);
}

static bool fault_exists(Disk *disk, Text path, bool *out, Error *err) {
    PASS(DISK_CALL_OPEN, "looking for a file");
    return inner->exists(inner, path, out, err);
}

static bool fault_space(Disk *disk, Text path, DiskSpace *out, Error *err) {
    PASS(DISK_CALL_READ, "asking for the space");
    return inner->space(inner, path, out, err);
}

DiskFault *disk_fault_new(Disk *inner) {
    DiskFault *fault = memory_new(DiskFault);
    fault->inner = inner;
    mutex_begin(&fault->lock, LOCK_FAULT_PLAN);
    fault->disk = (Disk){
        .context = fault,
        .open = fault_open,
        .close = fault_close,
        .size = fault_size,
        .read = fault_read,
        .write = fault_write,
        .resize = fault_resize,
        .sync_data = fault_sync_data,
        .sync = fault_sync,
        .map = fault_map,
        .unmap = fault_unmap,
        .will_need = fault_will_need,
        .lock = fault_lock,
        .make_folder = fault_make_folder,
        .sync_folder = fault_sync_folder,
        .list = fault_list,
        .rename = fault_rename,
        .link = fault_link,
        .remove = fault_remove,
        .remove_folder = fault_remove_folder,
        .exists = fault_exists,
        .space = fault_space,
    };
    return fault;
}

void disk_fault_free(DiskFault **fault) {
    if (*fault == NULL) return;
    mutex_end(&(*fault)->lock);
    memory_free(TAKE(*fault));
}

Disk *disk_fault_disk(DiskFault *fault) {
    return &fault->disk;
}

void disk_fault_plan(DiskFault *fault, DiskFaultPlan plan) {
    assert(plan.call < DISK_CALL_COUNT);
    mutex_take(&fault->lock);
    fault->plan = plan;
    memset(fault->seen, 0, sizeof fault->seen);
    mutex_give(&fault->lock);
}

uint64_t disk_fault_seen(const DiskFault *fault, DiskCall call) {
    Mutex *lock = (Mutex *)(uintptr_t)&fault->lock;
    mutex_take(lock);
    uint64_t seen = fault->seen[call];
    mutex_give(lock);
    return seen;
}
