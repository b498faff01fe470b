// Recognising the rows of a batch, and making the series that are new.

#include "store/series/head.h"

#include "base/assert.h"
#include "store/series/page_inside.h"

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
        if (failures >= HEAD_FAILURES_MAX) {
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
                if (err != NULL) head_too_old(err, row_newest_ms(batch, row), oldest_ms);
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
