// A page: the samples of up to PAGE_SERIES series of a head, behind one lock.
//
//   hot[slot]  56 B: last time and value, where tail, strips and late samples are
//     tail     up to 16 raw samples in quads of 4: int32 time deltas, doubles        (slab)
//     strips   a chain, newest first: 16 packed values and a reference to a clock    (slab)
//     clock    16 packed times; series of one scrape share it                        (slab)
//     late     samples older than the last one, sorted, raw; packed into strips when many
//
// The slab is pieces of 64 KiB; a place in it is a 4-byte offset. A strip and a clock never change
// once written and live as long as the page, so a reader takes the lock only to copy the tail and
// the places of strips. A time stands at most once in a series of a page: the first sample stored
// wins.
#pragma once

#include "base/budget.h"
#include "model/batch.h"
#include "os/thread.h"
#include "store/series/chunk.h"
#include "store/series/columns.h"
#include "store/series/kept_rows.h"

enum { PAGE_BITS = 10, PAGE_SERIES = 1 << PAGE_BITS, PAGE_PIECE_BYTES = 64 * KB, PAGE_CLOCKS = 16 };

typedef struct PageSeries {
    int64_t last_ms;  // newest time; INT64_MIN: none
    double last_value;
    int64_t base_ms;    // the tail's deltas count from here
    uint32_t quads[4];  // of the tail; 0: not yet. They stay
    uint32_t strip;     // newest; 0: none
    uint32_t late;      // 1 + index into Page.late
    uint32_t strips;    // how many
    uint8_t tail_count;
    uint8_t disorder;  // some strip is not newer than all before it, or a strip of late ones exists
    uint16_t tail_check;  // over base and tail, sample by sample (W20)
} PageSeries;

typedef struct PageSpan {  // where to look for a time among many strips
    int64_t first_ms;
    int64_t reach_ms;  // the last time of it and of all spans before it
    uint32_t place;    // of the strip
} PageSpan;

typedef struct PageLate {
    int64_t *times;  // rising
    double *values;
    uint32_t count, capacity;
    PageSpan
        *spans;  // of strips, by first time; only of a series that was asked about and has many
    uint32_t span_count, span_capacity;
} PageLate;

// What memory a head holds, charged to its budget. What the budget refuses is taken all the same
// when the samples are in the log already, and remembered as overdraft: series_may_write refuses
// until it is gone.
typedef struct HeadMemory {
    Budget *budget;
    _Atomic int64_t charged, overdraft;
    _Atomic uint64_t strips;  // packed so far, for what the server tells of itself
} HeadMemory;
void head_memory_charge(HeadMemory *memory, int64_t bytes);
// Of what was charged; what is overdraft goes first.
void head_memory_return(HeadMemory *memory, int64_t bytes);
must_use bool head_memory_reserve(HeadMemory *memory, int64_t bytes, Error *err);
void head_memory_release_all(HeadMemory *memory);

typedef struct PageClock {  // a clock sealed lately, to be shared
    int64_t base_ms;
    int32_t deltas[STRIP_SAMPLES];
    uint32_t count, place;
} PageClock;

// When counting began, as far as samples said so: what the newest of them said, since when, and
// what was said before that.
typedef struct PageStart {
    int64_t since_ms, start_ms;  // 0: not known
    uint32_t before;             // 1 + index into PageStarts.before; 0: nothing, so not known
} PageStart;
typedef struct PageStarts {
    PageStart newest[PAGE_SERIES];
    ARRAY(PageStart) before;
} PageStarts;

typedef struct Page {
    Mutex lock;                  // SERIES_PAGE
    PageStarts *_Atomic starts;  // NULL until a sample comes with one; then it stays
    HeadMemory *memory;
    PageSeries *hot;
    uint8_t **pieces;
    uint32_t piece_count, piece_capacity, piece_used;
    ARRAY(PageLate) late;
    uint64_t samples;
    uint64_t strips;  // packed so far; HeadMemory.strips is told by whoever appends
    PageClock clocks[PAGE_CLOCKS];
    KeptRows *kept;                   // NULL until a row is kept
    uint64_t read[PAGE_SERIES / 64];  // which slots a query has read: the second time they are kept
} Page;

_Static_assert((int)PAGE_SERIES == (int)KEPT_SLOTS, "a page keeps rows of all its series");

// With `overdraft` the budget does not refuse: a replay makes what was admitted once.
must_use bool page_open(HeadMemory *memory, bool overdraft, Page **out, Error *err);
void page_close(Page **page);
// A slot begins empty. `last` (NULL: none) is what the head before this one stored last.
void page_begin_series(Page *page, uint32_t slot, const Sample *last);

static inline PageSeries *page_series(Page *page, uint32_t slot) {
    return &page->hot[slot];
}

// Brings near where the next sample of the slot goes, PAGE_TAIL_AHEAD samples ahead of it (of
// appending 100,000 series, packing included, 30 ns a sample became 27; ten ahead instead of six
// take 5 % from adding a plain batch).
enum { PAGE_TAIL_AHEAD = 10 };
void page_prefetch_tail(const Page *page, uint32_t slot);

// With the lock held. Never fails: the sample is in the log already.
Verdict page_add_disorder(Page *page, PageSeries *series, Sample sample);
void page_add_new(Page *page, PageSeries *series, Sample sample);

// ---- page_starts.c ----

// With the lock held, after the sample of this time was stored: when its counting began, 0 when
// that is not known. Only where the page has starts already, or this is one.
void page_note_start(Page *page, uint32_t slot, int64_t time_ms, int64_t start_ms);
// Nearly every sample says what the one before it said.
static inline void page_note_start_usual(Page *page, uint32_t slot, int64_t time_ms,
                                         int64_t start_ms) {
    const PageStarts *starts = atomic_load_explicit(&page->starts, memory_order_relaxed);
    if (unlikely(starts == NULL || starts->newest[slot].start_ms != start_ms ||
                 time_ms < page->hot[slot].last_ms))
        page_note_start(page, slot, time_ms, start_ms);
}
// Fills in the starts of the samples from `from` on, which are of the slot, where any is known.
void page_starts(Page *page, uint32_t slot, SeriesColumns *columns, size_t from);
void page_starts_close(Page *page);

// ---- page_read.c ----

// The clocks a reader decoded last: neighbours were scraped together and share them. Begin with
// {0} and where rows are kept (NULL: nowhere); one thread each; forget it before the page goes.
enum { PAGE_READER_CLOCKS = 64 };
typedef struct PageReader {
    RowCache *rows;
    uint64_t hits, misses;  // among the rows
    struct {
        const void *clock;
        int64_t times[STRIP_SAMPLES];
    } known[PAGE_READER_CLOCKS];
} PageReader;

// Brings near what page_samples of these slots will touch: where each of them would wait for its
// series, its tail and one strip after the other, the waiting of all overlaps. Strips older than
// `from_ms` are left alone.
enum { PAGE_GROUP = 16 };  // at most so many slots at a time
void page_prefetch(Page *page, const uint32_t *slots, size_t count, int64_t from_ms);

// The newest sample of the slot with from <= time <= to, where it can be told without strips: false
// when it cannot, and page_samples has to be asked. *found false: there is none.
bool page_newest(Page *page, uint32_t slot, int64_t from_ms, int64_t to_ms, bool *found,
                 Sample *out);
// Appends all samples of the slot with from <= time <= to, rising. Takes the lock for the copying
// only. `reader` may be NULL.
must_use bool page_samples(Page *page, PageReader *reader, uint32_t slot, int64_t from_ms,
                           int64_t to_ms, SeriesColumns *out, Error *err);
