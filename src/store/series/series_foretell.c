// Series recognised while their rows are decoded.

#include "store/series/series.h"

#include "store/series/generations.h"

void series_foretell_begin(SeriesStore *store, const SeriesPrediction *prediction,
                           SeriesForetold *out) {
    shared_take_read(&store->generation);
    Head *head = head_ref(store->head);
    shared_give(&store->generation);
    bool same = prediction->generation == head->generation;
    *out = (SeriesForetold){.head = head,
                            .head_name = head->name,
                            .follow = {.ref = same ? prediction->last_ref : UINT32_MAX}};
}

void series_foretell_end(SeriesForetold *foretold) {
    head_unref(&foretold->head);
}

bool series_foretell(SeriesForetold *foretold, Bytes bytes, size_t *len) {
    if (foretold->failures >= HEAD_FAILURES_MAX ||
        !registry_follow(&foretold->head->registry, &foretold->follow, bytes, len))
        return false;
    foretold->failures = 0;
    return true;
}

bool series_foretell_again(SeriesForetold *foretold, Bytes labels) {
    if (foretold->failures >= HEAD_FAILURES_MAX) return false;
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
