// Recognising the rows of a batch, and adding their samples.

#include "store/series/head.h"

#include "base/assert.h"
#include "base/limits.h"
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

// ---- Resolving ----

// So many rows in a row that nothing foretold: the sender has no order.
enum { FAILURES_MAX = 3 };

// So far ahead of what is made its place in the table is brought near: 90 ns otherwise, twice.
enum { MISSES_AHEAD = 12 };

enum { NEW_AT_ONCE = 240 };

typedef struct Miss {
    uint32_t row;
    bool known;  // to the head before
    bool has_last;
    uint64_t hash;
    uint64_t same;  // labels that are those of the miss before, as labels_check_beside tells it
    Sample last;    // what the head before stored last of this series
} Miss;

typedef ARRAY(Miss) MissArray;

static void miss_array_free(MissArray *misses) {
    array_free(misses);
}

// The page of the series that is made next.
static bool prepare_page(Head *head, bool replay, Error *err) {
    uint32_t number = registry_count(&head->registry) >> PAGE_BITS;
    if (number < head->page_count) return true;
    TRY(vector_reserve(&head->pages, number, err));
    TRY(page_open(&head->memory, replay, (Page **)vector_at(&head->pages, number), err));
    head->page_count++;
    return true;
}

// New series stop before memory ends, so that known ones have room to flow until the head is
// sealed.
static bool memory_for_new(const Head *head, Error *err) {
    for (const Budget *at = head->memory.budget; at != NULL; at = at->parent) {
        int64_t limit = atomic_load(&at->limit), used = atomic_load(&at->used);
        if (limit == 0 || used <= limit - limit / 8) continue;
        return error_set(err, ERROR_NO_MEMORY,
                         "no new series: the memory budget \"%s\" of %lld bytes is nearly used up; "
                         "try again when the head was written out, or raise memory.limit",
                         at->name, (long long)limit);
    }
    return true;
}

// Whether the head before this one knows the series, and what it stored last of it, so that a
// repeat across the turn is seen.
static void look_before(Head *before, Bytes wire, Miss *miss) {
    uint32_t ref;
    shared_take_read(&before->registry.lock);
    miss->known = registry_find(&before->registry, wire, miss->hash, &ref);
    shared_give(&before->registry.lock);
    if (!miss->known) return;
    Page *page = head_page(before, ref);
    mutex_take(&page->lock);
    const PageSeries *series = page_series(page, ref & (PAGE_SERIES - 1));
    miss->last = (Sample){series->last_ms, series->last_value};
    mutex_give(&page->lock);
    miss->has_last = miss->last.time_ms != INT64_MIN;
}

static bool make_series(Head *head, Bytes wire, const Miss *miss, RegistryNear near, bool replay,
                        uint32_t *out, Error *err) {
    uint32_t ref;
    TRY(prepare_page(head, replay, err));
    TRY(registry_make(&head->registry, wire, miss->hash, near, &ref, err));
    page_begin_series(head_page(head, ref), ref & (PAGE_SERIES - 1),
                      miss->has_last ? &miss->last : NULL);
    registry_publish(&head->registry, ref, miss->hash);
    if (!replay) registry_post(&head->registry, UINT32_MAX);
    *out = ref;
    return true;
}

// Where the reason of a refusal goes: nowhere once the first one is known.
static Error *reason_wanted(const Batch *batch, Error *err) {
    return batch->first_fault.code == ERROR_NONE ? err : NULL;
}

static void refuse(Batch *batch, BatchSeries *row, Verdict verdict, Error *why) {
    if (why == NULL) {
        batch_refuse(batch, row, verdict, NULL);
        return;
    }
    AUTO(builder_free) Builder name = {0};
    if (verdict != VERDICT_BAD_LABELS) {
        labels_print((Labels){batch_labels(batch, row)}, &name);
        error_context(why, "series %.*s", (int)MIN(name.len, (size_t)200), name.at);
    }
    batch_refuse(batch, row, verdict, why);
}

// A series over a quota. Its labels alone do not tell which of them explodes; how many values each
// has by now does.
static void refuse_new(Head *head, Batch *batch, BatchSeries *row, Error *why) {
    size_t values = 0;
    Text label = why == NULL
                     ? TEXT_NONE
                     : registry_widest_label(&head->registry, batch_labels(batch, row), &values);
    if (values > 1) {
        error_context(why, "its label \"%.*s\" has most values, %zu",
                      (int)MIN(label.len, (size_t)64), label.at, values);
    }
    refuse(batch, row, VERDICT_LIMIT, why);
}

// With the registry's lock held.
static void charge_registry(Head *head) {
    int64_t bytes = atomic_load(&head->registry.bytes);
    head_memory_charge(&head->memory, bytes - head->registry_charged);
    head->registry_charged = bytes;
}

Registry *head_postings(Head *head) {
    enum { AT_ONCE = 16384 };  // about a millisecond
    Registry *registry = &head->registry;
    uint32_t count = registry_count(registry);
    while (unlikely(registry_posted(registry) < count)) {
        shared_take_write(&registry->lock);
        registry_post(registry, AT_ONCE);
        charge_registry(head);
        shared_give(&registry->lock);
    }
    return registry;
}

// Each row that no series was found for: refused, found after all (another thread was faster), or
// made.
static void make_missing(Head *head, Quota *quota, Clock *clock, Batch *batch,
                         const MissArray *misses, bool replay, HeadCounts *counts) {
    Registry *registry = &head->registry;
    int64_t now_ns = clock->monotonic_ns(clock), now_ms = clock->wall_ms(clock);
    if (!replay) (void)head_postings(head);  // the quota counts by them
    shared_take_write(&registry->lock);
    for (size_t i = 0; i < misses->count; i++) {
        const Miss *miss = &misses->at[i];
        if (i + MISSES_AHEAD < misses->count) registry_prefetch(registry, miss[MISSES_AHEAD].hash);
        BatchSeries *row = &batch->series.at[miss->row];
        if (row->verdict != VERDICT_STORED) continue;
        Bytes labels = batch_labels(batch, row);
        if (registry_find(registry, labels, miss->hash, &row->ref)) {
            counts->looked_up++;
            continue;
        }
        UNFILLED Error first;
        Error *err = reason_wanted(batch, &first);
        // While the head before is written out its memory is still held; what it knows has to flow
        // meanwhile, beside others that are really new and come first.
        SeriesRefusalReason reason = REFUSED_MEMORY;
        bool allowed =
            replay || ((miss->known || memory_for_new(head, err)) &&
                       quota_take(quota, registry, labels, miss->known, now_ns, &reason, err));
        RegistryNear near = {UINT32_MAX, 0};
        if (i > 0 && miss->same != 0 && batch->series.at[miss[-1].row].verdict == VERDICT_STORED)
            near = (RegistryNear){batch->series.at[miss[-1].row].ref, miss->same};
        if (!allowed || !make_series(head, labels, miss, near, replay, &row->ref, err)) {
            quota_refused(quota, registry, labels, reason, now_ms);
            refuse_new(head, batch, row, err);
            continue;
        }
        counts->created++;
    }
    charge_registry(head);
    shared_give(&registry->lock);
}

static void learn_around(Head *head, const Batch *batch, const MissArray *misses) {
    for (size_t i = 0; i < misses->count; i++) {
        uint32_t row = misses->at[i].row;
        const BatchSeries *here = &batch->series.at[row];
        if (here->verdict != VERDICT_STORED) continue;
        if (row > 0 && here[-1].verdict == VERDICT_STORED)
            registry_learn(&head->registry, here[-1].ref, here->ref);
        if (row + 1 < batch->series.count && here[1].verdict == VERDICT_STORED) {
            registry_learn(&head->registry, here->ref, here[1].ref);
        }
    }
}

// Rows that nothing predicts, in groups: from `*at` on until the group is full; `before` is the
// series of the row in front. Returns the series of the last one found. *none: none of them was.
static uint32_t look_up_group(Head *head, uint32_t before, Batch *batch, size_t *at,
                              MissArray *misses, bool *none, HeadCounts *counts) {
    Registry *registry = &head->registry;
    UNFILLED Bytes wires[REGISTRY_GROUP];
    UNFILLED uint64_t hashes[REGISTRY_GROUP];
    UNFILLED uint32_t rows[REGISTRY_GROUP], refs[REGISTRY_GROUP];
    size_t count = 0;
    for (; *at < batch->series.count && count < REGISTRY_GROUP; (*at)++) {
        BatchSeries *row = &batch->series.at[*at];
        if (row->verdict != VERDICT_STORED) continue;
        rows[count] = (uint32_t)*at;
        wires[count] = batch_labels(batch, row);
        hashes[count] = registry_hash(registry, wires[count]);
        count++;
    }
    registry_find_group(registry, wires, hashes, count, refs);
    *none = true;
    for (size_t i = 0; i < count; i++) {
        batch->series.at[rows[i]].ref = refs[i];
        *none &= refs[i] == UINT32_MAX;
        if (refs[i] == UINT32_MAX) {
            *array_add(misses) = (Miss){.row = rows[i], .hash = hashes[i]};
        } else {
            counts->looked_up++;
            // The order may be a new one that stays.
            if (before != UINT32_MAX) registry_learn(registry, before, refs[i]);
        }
        before = refs[i];
    }
    return before;
}

// Behind a group of which nothing was found the next rows are taken for new ones, too: they are
// looked for when they are made in any case, and all that is done before needs no lock. Ends at a
// row whose sender knows its series.
static void take_for_new(const Head *head, Batch *batch, size_t *at, MissArray *misses) {
    size_t end = MIN(batch->series.count, *at + NEW_AT_ONCE);
    for (; *at < end; (*at)++) {
        BatchSeries *row = &batch->series.at[*at];
        if (row->verdict != VERDICT_STORED) continue;
        if (row->told || batch_known(batch, *at) != NULL) return;
        uint64_t hash = registry_hash(&head->registry, batch_labels(batch, row));
        *array_add(misses) = (Miss){.row = (uint32_t)*at, .hash = hash};
    }
}

// By its symbols where it has them; else, and where those are in another order, by its bytes.
static inline bool predict(Registry *registry, SeriesFollow *follow, Batch *batch,
                           BatchSeries *row) {
    if (row->labels.at == NULL && row->symbol_count > 0) {
        if (unlikely(batch->symbols->refs == NULL)) batch_labels(batch, row);
        if (likely(
                registry_predict_symbols(registry, follow->ref, batch->symbols, row, &row->ref))) {
            *follow = (SeriesFollow){row->ref, {0}};
            return true;
        }
        batch_labels(batch, row);
    }
    return registry_predict(registry, follow, row->labels, &row->ref);
}

// Tells senders that keep labels which series these are.
static void tell_known(const Head *head, const Batch *batch) {
    for (size_t i = 0; i < batch->known.count; i++) {
        const BatchSeries *row = &batch->series.at[i];
        BatchKnown *known = batch->known.at[i];
        if (known != NULL && row->verdict == VERDICT_STORED)
            *known = (BatchKnown){head->name, row->ref};
    }
}

// For slow assertions: the rows that were told while decoding are these series.
__attribute__((unused)) static bool told_truly(const Head *head, Batch *batch) {
    if (batch->told_head != head->name) return true;
    size_t plain = batch->plain.count;
    batch_unfold(batch);
    batch->plain.count = plain;  // the rows stay where they are, and are not looked at
    for (size_t i = 0; i < batch->series.count; i++) {
        BatchSeries *row = &batch->series.at[i];
        if (row->told && !registry_is(&head->registry, row->ref, batch_labels(batch, row)))
            return false;
    }
    return true;
}

// Rows whose series is known get it; the others are left in `misses`. Those first whose sender
// knows it, then predictions; a sender whose order they do not know (a few failures in a row) is
// looked up in groups, and predicted again from each group's end. *untold: how many rows have
// labels that are kept, of which this head was not known to have them.
static void find_known(Head *head, uint32_t last, Batch *batch, MissArray *misses, size_t *untold,
                       HeadCounts *counts) {
    Registry *registry = &head->registry;
    SeriesFollow follow = {.ref = last};
    bool first = true, locked = false;
    for (size_t i = 0, failures = 0; i < batch->series.count;) {
        BatchSeries *row = &batch->series.at[i];
        if (row->verdict != VERDICT_STORED) {
            i++;
            continue;
        }
        const BatchKnown *known = batch_known(batch, i);
        bool told = row->told && batch->told_head == head->name;
        if (known != NULL && !told) {
            told = known->head == head->name;
            if (told) row->ref = known->ref;
            *untold += !told;
        }
        if (told) follow = (SeriesFollow){row->ref, row->labels};
        if (told ||
            ((first || follow.ref != UINT32_MAX) && predict(registry, &follow, batch, row))) {
            counts->predicted++;
            failures = 0;
            first = false;
            i++;
            continue;
        }
        first = false;
        if (!locked) shared_take_read(&registry->lock);
        locked = true;
        if (failures >= FAILURES_MAX) {
            bool none;
            uint32_t ref = look_up_group(head, follow.ref, batch, &i, misses, &none, counts);
            follow = (SeriesFollow){.ref = ref};
            if (!none) continue;
            shared_give(&registry->lock);
            locked = false;
            take_for_new(head, batch, &i, misses);
            continue;
        }
        failures++;
        Bytes labels = batch_labels(batch, row);
        uint64_t hash = registry_hash(registry, labels);
        if (registry_find(registry, labels, hash, &row->ref)) {
            counts->looked_up++;
            if (follow.ref != UINT32_MAX) registry_learn(registry, follow.ref, row->ref);
            follow = (SeriesFollow){row->ref, labels};
        } else {
            *array_add(misses) = (Miss){.row = (uint32_t)i, .hash = hash};
            follow = (SeriesFollow){.ref = UINT32_MAX};
        }
        i++;
    }
    if (locked) shared_give(&registry->lock);
}

static int64_t row_newest_ms(const Batch *batch, const BatchSeries *row) {
    int64_t newest = INT64_MIN;
    for (uint32_t i = 0; i < row->sample_count; i++)
        newest = MAX(newest, batch->samples.at[row->first_sample + i].time_ms);
    for (uint32_t i = 0; i < row->histogram_count; i++)
        newest = MAX(newest, batch->histograms.at[row->first_histogram + i].time_ms);
    for (uint32_t i = 0; i < row->exemplar_count; i++)
        newest = MAX(newest, batch->exemplars.at[row->first_exemplar + i].time_ms);
    return newest;
}

static void too_old(Error *err, int64_t time_ms, int64_t oldest_ms) {
    error_set(err, ERROR_OUT_OF_ORDER,
              "a sample at %lld ms is older than the retention, which reaches back to %lld",
              (long long)time_ms, (long long)oldest_ms);
}

void head_resolve(Head *head, Head *before, Quota *quota, Clock *clock,
                  SeriesPrediction *prediction, Batch *batch, int64_t oldest_ms, bool replay,
                  HeadCounts *counts) {
    uint32_t last = prediction->generation == head->generation ? prediction->last_ref : UINT32_MAX;
    AUTO(miss_array_free) MissArray misses = {0};
    size_t untold = 0;
    batch->head = head->name;
    assert_slow(told_truly(head, batch));
    if (batch_is_plain(batch) && batch->told_head == head->name) {
        counts->predicted += batch->plain.count;
        *prediction = (SeriesPrediction){head->generation, batch->plain.at[batch->plain.count - 1]};
        return;
    }
    batch_unfold(batch);
    if (batch->told == batch->series.count && batch->told_head == head->name) {
        counts->predicted += batch->told;
    } else {
        find_known(head, last, batch, &misses, &untold, counts);
    }
    if (misses.count > 0) {
        Bytes checked = BYTES_NONE;  // the row before, where it was in order
        for (size_t i = 0; i < misses.count; i++) {
            Miss *miss = &misses.at[i];
            BatchSeries *row = &batch->series.at[miss->row];
            UNFILLED Error first;
            Error *err = reason_wanted(batch, &first);
            Bytes labels = batch_labels(batch, row);
            bool fine = labels_check_beside(checked, labels, &miss->same, err);
            checked = fine ? labels : BYTES_NONE;
            if (!fine) {
                refuse(batch, row, VERDICT_BAD_LABELS, err);
            } else if (!replay && row_newest_ms(batch, row) < oldest_ms) {
                // Exemplars that are too old are left out without a word.
                bool exemplars_only = row->sample_count + row->histogram_count == 0;
                if (err != NULL) too_old(err, row_newest_ms(batch, row), oldest_ms);
                refuse(batch, row, VERDICT_TOO_OLD, exemplars_only ? NULL : err);
            } else if (before != NULL) {
                look_before(before, labels, miss);
            }
        }
        make_missing(head, quota, clock, batch, &misses, replay, counts);
        learn_around(head, batch, &misses);
    }
    if (untold > 0) tell_known(head, batch);
    for (size_t i = batch->series.count; i > 0; i--) {
        if (batch->series.at[i - 1].verdict != VERDICT_STORED) continue;
        *prediction = (SeriesPrediction){head->generation, batch->series.at[i - 1].ref};
        break;
    }
}

// ---- Foretelling ----

bool series_foretell(SeriesForetold *foretold, Bytes bytes, size_t *len) {
    if (foretold->failures >= FAILURES_MAX ||
        !registry_follow(&foretold->head->registry, &foretold->follow, bytes, len))
        return false;
    foretold->failures = 0;
    return true;
}

bool series_foretell_again(SeriesForetold *foretold, Bytes labels) {
    if (foretold->failures >= FAILURES_MAX) return false;
    Registry *registry = &foretold->head->registry;
    uint32_t ref;
    foretold->failures++;
    uint64_t hash = registry_hash(registry, labels);
    // Series are being made: it is not worth waiting for, as there is another try once all is
    // decoded.
    if (!shared_try_read(&registry->lock)) return false;
    bool found = registry_find(registry, labels, hash, &ref);
    shared_give(&registry->lock);
    if (!found) return false;
    if (foretold->follow.ref != UINT32_MAX) registry_learn(registry, foretold->follow.ref, ref);
    foretold->follow = (SeriesFollow){ref, labels};
    return true;
}

// ---- Appending ----

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
        too_old(&batch->first_fault, time_ms, oldest_ms);
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
