// What a head keeps beside samples: native histograms, a ring of exemplars, and the days it
// touches.

#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "store/series/head.h"

// ---- Refs to small numbers ----

static uint64_t *ref_slot(RefMap *map, uint32_t ref) {
    uint32_t mask = map->slot_count - 1;
    uint32_t at = (uint32_t)hash_id(ref) & mask;
    while (map->slots[at] != 0 && (uint32_t)(map->slots[at] >> 32) != ref) at = (at + 1) & mask;
    return &map->slots[at];
}

static bool ref_get(RefMap *map, uint32_t ref, uint32_t *out) {
    if (map->count == 0) return false;
    uint64_t slot = *ref_slot(map, ref);
    if (slot == 0) return false;
    *out = (uint32_t)slot - 1;
    return true;
}

static void ref_put(Head *head, RefMap *map, uint32_t ref, uint32_t value) {
    if (map->count * 4 >= map->slot_count * 3) {
        RefMap bigger = {.slot_count = map->slot_count == 0 ? 16 : map->slot_count * 2,
                         .count = map->count};
        bigger.slots = memory_new_array(uint64_t, bigger.slot_count);
        for (uint32_t i = 0; i < map->slot_count; i++) {
            if (map->slots[i] != 0)
                *ref_slot(&bigger, (uint32_t)(map->slots[i] >> 32)) = map->slots[i];
        }
        head_memory_charge(&head->memory, (int64_t)(bigger.slot_count - map->slot_count) * 8);
        memory_free(map->slots);
        *map = bigger;
    }
    uint64_t *slot = ref_slot(map, ref);
    if (*slot == 0) map->count++;
    *slot = (uint64_t)ref << 32 | (value + 1);
}

// ---- The whole ----

void side_begin(HeadSide *side) {
    mutex_begin(&side->lock, LOCK_SERIES_SIDE);
}

void side_end(HeadSide *side) {
    for (size_t i = 0; i < side->exemplars.count; i++)
        memory_free((void *)(uintptr_t)side->exemplars.at[i].labels.at);
    array_free(&side->exemplars);
    for (size_t i = 0; i < side->histograms.count; i++)
        histogram_pieces_free(&side->histograms.at[i].pieces);
    array_free(&side->histograms);
    array_free(&side->days);
    memory_free(side->exemplar_last.slots);
    memory_free(side->histogram_of.slots);
    histogram_peek_free(&side->peek);
    mutex_end(&side->lock);
}

void side_add_day(Head *head, int64_t day) {
    HeadSide *side = &head->side;
    mutex_take(&side->lock);
    size_t at = 0;
    while (at < side->days.count && side->days.at[at] < day) at++;
    if (at == side->days.count || side->days.at[at] != day) {
        array_add(&side->days);
        memmove(&side->days.at[at + 1], &side->days.at[at],
                (side->days.count - 1 - at) * sizeof(int64_t));
        side->days.at[at] = day;
    }
    mutex_give(&side->lock);
}

// ---- Native histograms ----

static HeadHistograms *histograms_of(Head *head, uint32_t ref, bool make) {
    HeadSide *side = &head->side;
    uint32_t at;
    if (!ref_get(&side->histogram_of, ref, &at)) {
        if (!make) return NULL;
        at = (uint32_t)side->histograms.count;
        array_add(&side->histograms)->ref = ref;
        ref_put(head, &side->histogram_of, ref, at);
        head_memory_charge(&head->memory, (int64_t)sizeof(HeadHistograms));
    }
    return &side->histograms.at[at];
}

Verdict side_add_histogram(Head *head, uint32_t ref, int64_t time_ms, Bytes wire) {
    HeadSide *side = &head->side;
    mutex_take(&side->lock);
    HistogramPieces *pieces = &histograms_of(head, ref, true)->pieces;
    int64_t before = pieces->bytes + (int64_t)side->peek.arena.bytes;
    Verdict verdict = histogram_pieces_add(pieces, &side->peek, time_ms, wire);
    int64_t after = pieces->bytes + (int64_t)side->peek.arena.bytes;
    side->histogram_count += verdict == VERDICT_STORED;
    if (after > before) head_memory_charge(&head->memory, after - before);
    if (after < before) head_memory_return(&head->memory, before - after);
    mutex_give(&side->lock);
    return verdict;
}

// The lock is held to copy, not to decode.
void side_histograms(Head *head, uint32_t ref, int64_t from_ms, int64_t to_ms, Arena *arena,
                     SeriesHistogramArray *out) {
    HistogramCopies copies = {0};
    mutex_take(&head->side.lock);
    const HeadHistograms *of = histograms_of(head, ref, false);
    if (of != NULL) histogram_pieces_copy(&of->pieces, from_ms, to_ms, arena, &copies);
    mutex_give(&head->side.lock);
    histogram_copies_unpack(&copies, from_ms, to_ms, arena, out);
}

void side_histogram_times(Head *head, uint32_t ref, int64_t from_ms, int64_t to_ms,
                          void (*each)(void *context, int64_t time_ms), void *context) {
    mutex_take(&head->side.lock);
    const HeadHistograms *of = histograms_of(head, ref, false);
    if (of != NULL) histogram_pieces_times(&of->pieces, from_ms, to_ms, each, context);
    mutex_give(&head->side.lock);
}

size_t side_histogram_count(Head *head, uint32_t ref, int64_t from_ms, int64_t to_ms) {
    if (atomic_load(&head->side.histogram_count) == 0) return 0;  // readers need not meet here
    mutex_take(&head->side.lock);
    const HeadHistograms *of = histograms_of(head, ref, false);
    size_t count = of == NULL ? 0 : histogram_pieces_count(&of->pieces, from_ms, to_ms);
    mutex_give(&head->side.lock);
    return count;
}

// ---- Exemplars ----

static void add_exemplar(Head *head, uint32_t ref, const BatchExemplar *exemplar) {
    HeadSide *side = &head->side;
    // A sender repeats the last exemplar with every scrape; as Prometheus, only a newer one is
    // taken.
    uint32_t last;
    if (ref_get(&side->exemplar_last, ref, &last) && side->exemplars.at[last].ref == ref &&
        side->exemplars.at[last].time_ms >= exemplar->time_ms) {
        return;
    }
    size_t at = side->exemplar_oldest;
    if ((int64_t)side->exemplars.count < LIMIT_EXEMPLARS) {
        at = side->exemplars.count;
        array_add(&side->exemplars);
        head_memory_charge(&head->memory,
                           (int64_t)(sizeof(HeadExemplar) + exemplar->labels.len + 16));
    } else {
        side->exemplar_oldest = (at + 1) % side->exemplars.count;
        memory_free((void *)(uintptr_t)side->exemplars.at[at].labels.at);
    }
    uint8_t *labels = memory_take(exemplar->labels.len);
    if (exemplar->labels.len > 0) memcpy(labels, exemplar->labels.at, exemplar->labels.len);
    side->exemplars.at[at] =
        (HeadExemplar){ref, exemplar->time_ms, exemplar->value, {labels, exemplar->labels.len}};
    ref_put(head, &side->exemplar_last, ref, (uint32_t)at);
}

void side_add_exemplar(Head *head, uint32_t ref, const BatchExemplar *exemplar) {
    mutex_take(&head->side.lock);
    add_exemplar(head, ref, exemplar);
    mutex_give(&head->side.lock);
}

static int by_time(const void *a, const void *b) {
    const HeadExemplar *first = a, *again = b;
    return (first->time_ms > again->time_ms) - (first->time_ms < again->time_ms);
}

void side_exemplars(Head *head, const PostingSet *of, int64_t from_ms, int64_t to_ms, Arena *arena,
                    HeadExemplarArray *out) {
    HeadSide *side = &head->side;
    size_t begin = out->count;
    mutex_take(&side->lock);
    for (size_t i = 0; i < side->exemplars.count; i++) {
        const HeadExemplar *exemplar = &side->exemplars.at[i];
        if (exemplar->time_ms < from_ms || exemplar->time_ms > to_ms) continue;
        if (of != NULL && !postings_contain(*of, exemplar->ref)) continue;
        HeadExemplar *copy = array_add_on(arena, out);
        *copy = *exemplar;
        copy->labels = bytes_copy(exemplar->labels, arena);
    }
    mutex_give(&side->lock);
    if (out->count > begin) qsort(out->at + begin, out->count - begin, sizeof *out->at, by_time);
}

bool side_has_day(Head *head, int64_t day) {
    bool has = false;
    mutex_take(&head->side.lock);
    for (size_t i = 0; i < head->side.days.count && !has; i++) has = head->side.days.at[i] == day;
    mutex_give(&head->side.lock);
    return has;
}
