// Changes in the past: writes that come late, deletes, losses. Who keeps answers watches them.
//
// The order makes it safe: a writer stores first and looks at `until_ms` afterwards; a watcher sets
// `until_ms` first and reads afterwards. So of any two, the watcher has read what was stored, or
// the writer notes it; and it does so before the write is acknowledged.

#include "base/assert.h"
#include "store/series/generations.h"

void changes_begin(StoreChanges *changes) {
    static _Atomic uint64_t stores;
    changes->identity = atomic_fetch_add(&stores, 1) + 1;
    mutex_begin(&changes->lock, LOCK_SERIES_CHANGES);
    atomic_store(&changes->until_ms, INT64_MIN);
}

void changes_end(StoreChanges *changes) {
    mutex_end(&changes->lock);
}

uint64_t series_identity(const SeriesStore *store) {
    return store->changes.identity;
}

uint64_t series_watch_changes(SeriesStore *store, int64_t until_ms) {
    StoreChanges *changes = &store->changes;
    mutex_take(&changes->lock);
    if (until_ms > atomic_load(&changes->until_ms)) atomic_store(&changes->until_ms, until_ms);
    uint64_t version = changes->version;
    mutex_give(&changes->lock);
    return version;
}

int64_t series_changed_since(SeriesStore *store, uint64_t version) {
    StoreChanges *changes = &store->changes;
    int64_t lowest = INT64_MAX;
    mutex_take(&changes->lock);
    for (size_t i = 0; i < changes->count && lowest == INT64_MAX; i++) {
        if (changes->at[i].version > version) lowest = changes->at[i].from_ms;
    }
    mutex_give(&changes->lock);
    return lowest;
}

void series_note_change(SeriesStore *store, int64_t from_ms) {
    StoreChanges *changes = &store->changes;
    // Pairs with the store in series_watch_changes, whatever the order of the machine.
    atomic_thread_fence(memory_order_seq_cst);
    if (from_ms > atomic_load(&changes->until_ms)) return;
    mutex_take(&changes->lock);
    while (changes->count > 0 && changes->at[changes->count - 1].from_ms >= from_ms)
        changes->count--;
    if (changes->count == CHANGES_KEPT) {
        // The two oldest become one that says of both what the lower one says.
        changes->at[1].from_ms = changes->at[0].from_ms;
        memmove(changes->at, changes->at + 1, (CHANGES_KEPT - 1) * sizeof *changes->at);
        changes->count--;
    }
    changes->at[changes->count++] = (StoreChange){++changes->version, from_ms};
    assert_slow(changes->count == 1 ||
                changes->at[changes->count - 2].from_ms < changes->at[changes->count - 1].from_ms);
    mutex_give(&changes->lock);
}
