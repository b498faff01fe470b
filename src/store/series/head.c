// A head and its life; adding the samples of a batch.

#include "store/series/head.h"

#include "base/assert.h"
#include "store/series/page_inside.h"
#include "store/series/row_order.h"

Head *head_open(uint64_t generation, HashKey hash_key, Budget *memory, int64_t now_ns) {
    static _Atomic uint64_t names;
    Head *head = memory_new(Head);
    head->generation = generation;
    head->name = atomic_fetch_add(&names, 1) + 1;
    head->references = 1;
    head->memory.budget = memory;
    registry_begin(&head->registry, hash_key);
    head->pages.element_bytes = sizeof(Page *);
    side_begin(&head->side);
    head->min_ms = INT64_MAX;
    head->max_ms = INT64_MIN;
    head->front_ms = INT64_MIN;
    head->day = INT64_MIN;
    head->first_sequence = UINT64_MAX;
    head->born_ns = now_ns;
    return head;
}

Head *head_ref(Head *head) {
    atomic_fetch_add(&head->references, 1);
    return head;
}

void head_unref(Head **head) {
    if (*head == NULL) return;
    Head *gone = TAKE(*head);
    uint32_t before = atomic_fetch_sub(&gone->references, 1);
    assert(before > 0);
    if (before > 1) return;
    for (uint32_t i = 0; i < gone->page_count; i++) page_close((Page **)vector_at(&gone->pages, i));
    vector_free(&gone->pages);
    side_end(&gone->side);
    registry_end(&gone->registry);
    head_memory_release_all(&gone->memory);
    memory_free(gone);
}

int64_t head_bytes(const Head *head) {
    return atomic_load(&head->memory.charged) + atomic_load(&head->memory.overdraft);
}

uint64_t head_series(const Head *head) {
    return registry_count(&head->registry);
}

bool head_overlaps(const Head *head, int64_t from_ms, int64_t to_ms) {
    return atomic_load(&head->min_ms) <= to_ms && atomic_load(&head->max_ms) >= from_ms;
}

bool head_read(Head *head, PageReader *reader, uint32_t ref, int64_t from_ms, int64_t to_ms,
               SeriesColumns *out, Error *err) {
    Page *page = head_page(head, ref);
    uint32_t slot = ref & (PAGE_SERIES - 1);
    size_t before = out->count;
    TRY(page_samples(page, reader, slot, from_ms, to_ms, out, err));
    if (out->has_starts) (void)columns_starts(out, before);
    if (out->wants_starts) page_starts(page, slot, out, before);
    return true;
}

// ---- Appending ----

void head_too_old(Error *err, int64_t time_ms, int64_t oldest_ms) {
    error_set(err, ERROR_OUT_OF_ORDER,
              "a sample at %lld ms is older than the retention, which reaches back to %lld",
              (long long)time_ms, (long long)oldest_ms);
}

typedef struct Interval {
    int64_t min_ms, max_ms;
} Interval;

static inline void interval_add(Interval *interval, int64_t time_ms) {
    if (time_ms < interval->min_ms) interval->min_ms = time_ms;
    if (time_ms > interval->max_ms) interval->max_ms = time_ms;
}

static void note_days(Head *head, const Batch *batch, Interval stored) {
    int64_t first = day_of_ms(stored.min_ms), last = day_of_ms(stored.max_ms);
    if (first == last && atomic_load_explicit(&head->day, memory_order_relaxed) == first) return;
    side_add_day(head, first);
    if (last != first) side_add_day(head, last);
    int64_t day = last;
    // More than two days are rare: a backfill. Days of refused samples do no harm.
    for (size_t i = 0; last > first + 1 && i < batch->samples.count; i++) {
        int64_t here = day_of_ms(batch->samples.at[i].time_ms);
        if (here > first && here < last && here != day) side_add_day(head, day = here);
    }
    for (size_t i = 0; last > first + 1 && i < batch->histograms.count; i++) {
        int64_t here = day_of_ms(batch->histograms.at[i].time_ms);
        if (here > first && here < last) side_add_day(head, here);
    }
    for (size_t i = 0; last > first + 1 && i < batch->exemplars.count; i++) {
        int64_t here = day_of_ms(batch->exemplars.at[i].time_ms);
        if (here > first && here < last) side_add_day(head, here);
    }
    atomic_store_explicit(&head->day, last, memory_order_relaxed);
}

static void note_interval(Head *head, Interval stored) {
    int64_t known = atomic_load(&head->min_ms);
    while (stored.min_ms < known &&
           !atomic_compare_exchange_weak(&head->min_ms, &known, stored.min_ms))
        continue;
    known = atomic_load(&head->max_ms);
    while (stored.max_ms > known &&
           !atomic_compare_exchange_weak(&head->max_ms, &known, stored.max_ms))
        continue;
    known = INT64_MIN;
    atomic_compare_exchange_strong(&head->front_ms, &known, stored.max_ms);
}

static void note_sequence(Head *head, uint64_t sequence) {
    uint64_t known = atomic_load(&head->first_sequence);
    while (sequence < known &&
           !atomic_compare_exchange_weak(&head->first_sequence, &known, sequence))
        continue;
    known = atomic_load(&head->last_sequence);
    while (sequence > known &&
           !atomic_compare_exchange_weak(&head->last_sequence, &known, sequence))
        continue;
}

typedef struct Fault {
    uint32_t row, sample;  // the first row of the batch with one, its first one
} Fault;

// The first sample of a good row that is not kept is named; the row stands, as others of it may be
// stored.
static void note_fault(Batch *batch, BatchSeries *row, int64_t time_ms, int64_t oldest_ms) {
    if (batch->first_fault.code != ERROR_NONE) return;
    AUTO(builder_free) Builder name = {0};
    labels_print((Labels){batch_labels(batch, row)}, &name);
    if (time_ms < oldest_ms) {
        head_too_old(&batch->first_fault, time_ms, oldest_ms);
    } else {
        error_set(&batch->first_fault, ERROR_CONFLICT, "another value is stored at %lld ms",
                  (long long)time_ms);
    }
    error_context(&batch->first_fault, "series %.*s", (int)MIN(name.len, (size_t)200), name.at);
}

static void append_histograms(Head *head, Batch *batch, BatchSeries *row, int64_t oldest_ms,
                              Interval *stored) {
    for (uint32_t i = 0; i < row->histogram_count; i++) {
        const BatchHistogram *histogram = &batch->histograms.at[row->first_histogram + i];
        Verdict verdict = VERDICT_TOO_OLD;
        if (histogram->time_ms >= oldest_ms)
            verdict = side_add_histogram(head, row->ref, histogram->time_ms, histogram->wire);
        batch->counts[verdict]++;
        batch->histograms_kept += verdict <= VERDICT_DUPLICATE;
        if (verdict == VERDICT_STORED) interval_add(stored, histogram->time_ms);
        if (unlikely(verdict > VERDICT_DUPLICATE))
            note_fault(batch, row, histogram->time_ms, oldest_ms);
    }
}

// Where samples of a batch are being added: a page, with its lock held, and what came of them.
typedef struct Adding {
    Head *head;
    int64_t oldest_ms;
    Page *page;       // NULL: none so far
    uint32_t number;  // of the page
    uint64_t strips, strips_before;
    Interval stored;
    uint64_t counts[VERDICT_COUNT];
    Fault fault;
} Adding;

enum { PLACE_AHEAD = 2 * PAGE_TAIL_AHEAD };

// Brings near what adding to the series will touch first: neighbours are mostly of one page.
static inline void prefetch_series(const Adding *adding, uint32_t ref) {
    const Page *page =
        likely(ref >> PAGE_BITS == adding->number) ? adding->page : head_page(adding->head, ref);
    __builtin_prefetch(&page->hot[ref & (PAGE_SERIES - 1)], 1);
}

static inline void prefetch_tail(const Adding *adding, uint32_t ref) {
    if (likely(ref >> PAGE_BITS == adding->number))
        page_prefetch_tail(adding->page, ref & (PAGE_SERIES - 1));
}

static void leave(Adding *adding) {
    if (adding->page == NULL) return;
    adding->strips += adding->page->strips - adding->strips_before;
    mutex_give(&adding->page->lock);
}

static inline void enter(Adding *adding, uint32_t ref) {
    if (likely(ref >> PAGE_BITS == adding->number)) return;
    leave(adding);
    adding->number = ref >> PAGE_BITS;
    adding->page = head_page(adding->head, ref);
    mutex_take(&adding->page->lock);
    adding->strips_before = adding->page->strips;
}

// Of row `at`, its sample number `k`, which began at `start_ms`; `starts`: that is to be noted.
static inline void add(Adding *adding, uint32_t ref, Sample sample, bool starts, int64_t start_ms,
                       uint32_t at, uint32_t k) {
    Verdict verdict = VERDICT_TOO_OLD;
    if (likely(sample.time_ms >= adding->oldest_ms)) {
        PageSeries *series = page_series(adding->page, ref & (PAGE_SERIES - 1));
        verdict = page_add(adding->page, series, sample);
        if (verdict == VERDICT_STORED) {
            interval_add(&adding->stored, sample.time_ms);
            if (unlikely(starts))
                page_note_start_usual(adding->page, ref & (PAGE_SERIES - 1), sample.time_ms,
                                      start_ms);
        }
    }
    if (unlikely(verdict > VERDICT_DUPLICATE) && at < adding->fault.row)
        adding->fault = (Fault){at, k};
    adding->counts[verdict]++;
}

static inline bool has_starts(const Page *page) {
    return atomic_load_explicit(&page->starts, memory_order_relaxed) != NULL;
}

// The samples of a plain batch as they stand. What most of them need stays in registers.
static void add_plain(Adding *adding, const Batch *batch) {
    const uint32_t *refs = batch->plain.at;
    const Sample *samples = batch->samples.at;
    size_t count = batch->plain.count;
    uint64_t stored = 0;
    Interval interval = {INT64_MAX, INT64_MIN};
    bool starts = false;
    for (size_t i = 0; i < count; i++) {
        if (likely(i + PLACE_AHEAD < count)) {
            prefetch_series(adding, refs[i + PLACE_AHEAD]);
            prefetch_tail(adding, refs[i + PAGE_TAIL_AHEAD]);
        }
        if (unlikely(refs[i] >> PAGE_BITS != adding->number)) {
            enter(adding, refs[i]);
            starts = batch->starts.count > 0 || has_starts(adding->page);
        }
        PageSeries *series = page_series(adding->page, refs[i] & (PAGE_SERIES - 1));
        if (likely(!starts && samples[i].time_ms >= adding->oldest_ms &&
                   page_add(adding->page, series, samples[i]) == VERDICT_STORED)) {
            interval_add(&interval, samples[i].time_ms);
            stored++;
        } else {  // again, to be told what became of it
            add(adding, refs[i], samples[i], starts, batch_start(batch, i), (uint32_t)i, 0);
        }
    }
    adding->counts[VERDICT_STORED] += stored;
    if (stored == 0) return;
    interval_add(&adding->stored, interval.min_ms);
    interval_add(&adding->stored, interval.max_ms);
}

// Those of all rows, in the order of their series where that is not nearly theirs. Whether any row
// has more than samples.
static bool add_rows(Adding *adding, Batch *batch) {
    bool more = false;
    BatchSeries *rows = batch->series.at;
    size_t count = batch->series.count;
    const RowPlace *places = rows_by_series(batch, &count);
    for (size_t turn = 0; turn < count; turn++) {
        uint32_t at = places == NULL ? (uint32_t)turn : places[turn].row;
        BatchSeries *row = &rows[at];
        if (turn + PLACE_AHEAD < count) {
            if (places != NULL) {
                __builtin_prefetch(&rows[places[turn + PLACE_AHEAD].row]);
                prefetch_series(adding, places[turn + PLACE_AHEAD].ref);
            } else if (row[PLACE_AHEAD].verdict == VERDICT_STORED) {
                prefetch_series(adding, row[PLACE_AHEAD].ref);
                prefetch_tail(adding, row[PAGE_TAIL_AHEAD].ref);
            }
        }
        if (row->verdict != VERDICT_STORED) continue;
        more |= row->histogram_count > 0 || row->exemplar_count > 0;
        if (row->sample_count == 0) continue;
        enter(adding, row->ref);
        bool starts = row->first_sample < batch->starts.count || has_starts(adding->page);
        for (uint32_t k = 0; k < row->sample_count; k++) {
            uint32_t sample = row->first_sample + k;
            add(adding, row->ref, batch->samples.at[sample], starts,
                starts ? batch_start(batch, sample) : 0, at, k);
        }
    }
    return more;
}

void head_append(Head *head, Batch *batch, uint64_t sequence, int64_t oldest_ms) {
    Adding adding = {.head = head,
                     .oldest_ms = oldest_ms,
                     .number = UINT32_MAX,
                     .stored = {INT64_MAX, INT64_MIN},
                     .fault = {UINT32_MAX, 0}};
    bool more = false;
    if (batch_is_plain(batch) && refs_near_order(batch->plain.at, batch->plain.count)) {
        add_plain(&adding, batch);
    } else {
        batch_unfold(batch);
        more = add_rows(&adding, batch);
    }
    leave(&adding);
    Interval stored = adding.stored;
    const uint64_t *counts = adding.counts;
    // Counted here once, not by each strip: all threads that append share the place.
    if (adding.strips > 0)
        atomic_fetch_add_explicit(&head->memory.strips, adding.strips, memory_order_relaxed);
    if (unlikely(adding.fault.row != UINT32_MAX)) {
        batch_unfold(batch);
        BatchSeries *row = &batch->series.at[adding.fault.row];
        note_fault(batch, row, batch->samples.at[row->first_sample + adding.fault.sample].time_ms,
                   oldest_ms);
    }
    size_t row_count = batch->series.count;
    BatchSeries *rows = batch->series.at;
    for (size_t i = 0; i < VERDICT_COUNT; i++) batch->counts[i] += counts[i];
    atomic_fetch_add(&head->samples, counts[VERDICT_STORED]);

    for (size_t i = 0; more && i < row_count; i++) {
        if (rows[i].verdict != VERDICT_STORED) continue;
        append_histograms(head, batch, &rows[i], oldest_ms, &stored);
        for (uint32_t k = 0; k < rows[i].exemplar_count; k++) {
            const BatchExemplar *exemplar = &batch->exemplars.at[rows[i].first_exemplar + k];
            if (exemplar->time_ms < oldest_ms) continue;
            side_add_exemplar(head, rows[i].ref, exemplar);
            interval_add(&stored, exemplar->time_ms);
        }
    }
    note_sequence(head, sequence);
    if (stored.min_ms > stored.max_ms) return;
    note_days(head, batch, stored);
    note_interval(head, stored);
}
