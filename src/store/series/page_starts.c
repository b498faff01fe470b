// When counting began: per series what its newest sample said, and the changes before it as a list
// from young to old.
//
//   newest[slot]  10:00 ─ began 09:58 ──▶ 08:30 ─ began 08:29 ──▶ (nothing: not known)
//
// A start changes when a process begins anew and at no other time, so nearly every series has one
// entry and no list. A late sample stands between two changes: what it says ends right behind it.

#include "store/series/page.h"

void page_starts_close(Page *page) {
    PageStarts *starts = atomic_load(&page->starts);
    if (starts == NULL) return;
    array_free(&starts->before);
    memory_free(starts);
}

static PageStarts *starts_of(Page *page, bool make) {
    PageStarts *starts = atomic_load_explicit(&page->starts, memory_order_relaxed);
    if (starts != NULL || !make) return starts;
    starts = memory_new(PageStarts);
    head_memory_charge(page->memory, (int64_t)sizeof *starts);
    atomic_store_explicit(&page->starts, starts, memory_order_release);
    return starts;
}

static bool is_nothing(const PageStart *start) {
    return start->start_ms == 0 && start->before == 0;
}

// An entry by its number: 0 is the newest, others are as PageStart.before has them.
static PageStart *entry(PageStarts *starts, uint32_t slot, uint32_t number) {
    return number == 0 ? &starts->newest[slot] : &starts->before.at[number - 1];
}

static uint32_t keep(Page *page, PageStarts *starts, PageStart start) {
    size_t capacity = starts->before.capacity;
    *array_add(&starts->before) = start;
    if (starts->before.capacity != capacity)
        head_memory_charge(page->memory,
                           (int64_t)((starts->before.capacity - capacity) * sizeof(PageStart)));
    return (uint32_t)starts->before.count;
}

// The entry says something new, and what it said is behind it.
static void put(Page *page, PageStarts *starts, uint32_t slot, uint32_t number, int64_t since_ms,
                int64_t start_ms) {
    PageStart was = *entry(starts, slot, number);
    uint32_t before = is_nothing(&was) ? 0 : keep(page, starts, was);
    *entry(starts, slot, number) = (PageStart){since_ms, start_ms, before};
}

// Between two changes: from `time_ms` on it is `start_ms`, and right behind that what it was.
static void put_late(Page *page, PageStarts *starts, uint32_t slot, int64_t time_ms,
                     int64_t start_ms) {
    uint32_t number = 0;
    int64_t follows_ms = INT64_MAX;
    for (;;) {
        const PageStart *at = entry(starts, slot, number);
        if (is_nothing(at) || at->since_ms <= time_ms) break;
        follows_ms = at->since_ms;
        uint32_t before = at->before;
        if (before == 0) {  // older than all that is known
            before = keep(page, starts, (PageStart){0});
            entry(starts, slot, number)->before = before;
        }
        number = before;
    }
    PageStart was = *entry(starts, slot, number);
    if (was.start_ms == start_ms) return;
    if (!is_nothing(&was) && was.since_ms == time_ms) {
        entry(starts, slot, number)->start_ms = start_ms;
    } else {
        put(page, starts, slot, number, time_ms, start_ms);
    }
    if (follows_ms != time_ms + 1) put(page, starts, slot, number, time_ms + 1, was.start_ms);
}

void page_note_start(Page *page, uint32_t slot, int64_t time_ms, int64_t start_ms) {
    PageStarts *starts = starts_of(page, start_ms != 0);
    if (starts == NULL) return;
    if (time_ms < page->hot[slot].last_ms) {
        put_late(page, starts, slot, time_ms, start_ms);
    } else if (starts->newest[slot].start_ms != start_ms) {
        put(page, starts, slot, 0, time_ms, start_ms);
    }
}

void page_starts(Page *page, uint32_t slot, SeriesColumns *columns, size_t from) {
    PageStarts *starts = atomic_load_explicit(&page->starts, memory_order_acquire);
    if (starts == NULL || from == columns->count) return;
    mutex_take(&page->lock);
    const PageStart *at = &starts->newest[slot];
    if (!is_nothing(at)) {
        int64_t *into = columns_starts(columns, from) - from;
        for (size_t i = columns->count; i > from; i--) {
            while (at != NULL && at->since_ms > columns->times[i - 1])
                at = at->before == 0 ? NULL : entry(starts, slot, at->before);
            if (at == NULL) break;  // not known, as columns_starts left them
            into[i - 1] = at->start_ms;
        }
    }
    mutex_give(&page->lock);
}
