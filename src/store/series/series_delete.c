// Deleting series: what is in heads goes to blocks first, then the manifest tells which of the
// blocks are no longer whole. And writing such blocks again, without what was deleted.

#include "base/limits.h"
#include "store/series/view.h"

// ---- Deleting ----

// Whether a head, or a block, has a series that the matchers match at all.
static bool head_has(Head *head, Matchers matchers, bool *has, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    PostingSet refs;
    TRY(registry_select(head_postings(head), matchers, &scratch, &refs, err));
    *has |= refs.count > 0;
    return true;
}

static bool block_has(const StoreBlock *block, Matchers matchers, bool *has, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    BlockSeriesSet set;
    if (block->block == NULL) {  // damaged: nobody knows; it may be repaired
        *has = true;
        return true;
    }
    TRY(block_select(block->block, matchers, &scratch, &set, err));
    *has |= set.count > 0;
    return true;
}

typedef struct Found {
    bool known_to_heads;  // such series, whatever their times
    bool in_heads, in_blocks;
} Found;

// Under `maintain`, so that heads turn and blocks change only here.
static bool find(SeriesStore *store, Matchers matchers, int64_t from_ms, int64_t to_ms, Found *out,
                 Error *err) {
    for (size_t i = 0; i <= store->turned.count; i++) {
        Head *head = i < store->turned.count ? store->turned.at[i] : store->head;
        bool has = false;
        TRY(head_has(head, matchers, &has, err));
        out->known_to_heads |= has;
        out->in_heads |= has && head_overlaps(head, from_ms, to_ms);
    }
    for (size_t i = 0; i < store->blocks.count && !out->in_blocks; i++) {
        const StoreBlock *block = &store->blocks.at[i];
        if (block->facts.min_ms <= to_ms && block->facts.max_ms >= from_ms)
            TRY(block_has(block, matchers, &out->in_blocks, err));
    }
    return tiers_have(store, matchers, from_ms, to_ms, &out->in_blocks, err);
}

static bool add_delete(SeriesStore *store, Matchers matchers, int64_t from_ms, int64_t to_ms,
                       DeleteArray *all, Error *err) {
    Found found = {0};
    ManifestDelete facts = {store->manifest.next_order, from_ms, to_ms, matchers};
    TRY(find(store, matchers, from_ms, to_ms, &found, err));
    if (!found.in_blocks) return true;  // heads are in blocks by now
    if ((int64_t)all->count >= LIMIT_TENANT_DELETES) {
        return error_set(err, ERROR_TOO_MANY,
                         "%lld deletes wait for their blocks to be written again (TENANT_DELETES); "
                         "ask for /api/v1/admin/tsdb/clean_tombstones first",
                         (long long)LIMIT_TENANT_DELETES);
    }
    Delete *made;
    TRY(delete_make(&facts, &made, err));
    *array_add(all) = made;
    return true;
}

static bool delete_all(SeriesStore *store, const Matchers *sets, size_t count, int64_t from_ms,
                       int64_t to_ms, Error *err) {
    Found found = {0};
    for (size_t i = 0; i < count; i++) TRY(find(store, sets[i], from_ms, to_ms, &found, err));
    // What is in heads is in the log too, and would come back with a replay; once it is in blocks
    // the log is past it. And a head that knows a series knows what was stored of it last before,
    // and would take the same sample for a repeat.
    if (found.in_heads || (found.known_to_heads && found.in_blocks))
        TRY(store_seal_heads_now(store, err));
    AUTO(deletes_free) DeleteArray all = {0};
    for (size_t i = 0; i < store->deletes.count; i++)
        *array_add(&all) = delete_ref(store->deletes.at[i]);
    for (size_t i = 0; i < count; i++) TRY(add_delete(store, sets[i], from_ms, to_ms, &all, err));
    if (all.count == store->deletes.count) return true;
    TRY(store_write_manifest_with(store, &store->blocks, &all, store->manifest.sealed_sequence,
                                  err));
    store_install_deletes(store, &all);
    return true;
}

// A delete is a line of the manifest, which is read whole.
static bool check_size(Matchers matchers, Error *err) {
    size_t bytes = 0;
    if (matchers.count == 0)
        return error_set(err, ERROR_BAD_INPUT, "a delete needs a matcher at least");
    for (size_t i = 0; i < matchers.count; i++)
        bytes += matchers.at[i].name.len + matchers.at[i].value.len;
    if ((int64_t)bytes <= LIMIT_DELETE_BYTES) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the matchers of a delete have %zu bytes, at most %lld are kept "
                     "(DELETE_BYTES)",
                     bytes, (long long)LIMIT_DELETE_BYTES);
}

bool series_delete(SeriesStore *store, const Matchers *sets, size_t count, int64_t from_ms,
                   int64_t to_ms, Error *err) {
    if (from_ms > to_ms)
        return error_set(err, ERROR_BAD_INPUT, "the interval to delete ends before it begins");
    for (size_t i = 0; i < count; i++) TRY(check_size(sets[i], err));
    mutex_take(&store->maintain);
    bool deleted = delete_all(store, sets, count, from_ms, to_ms, err);
    mutex_give(&store->maintain);
    series_note_change(store, from_ms);
    return deleted || error_context(err, "deleting series");
}

// ---- Writing blocks again ----

bool store_is_touched(const SeriesStore *store, const StoreBlock *block, bool *touched,
                      Error *err) {
    const ManifestBlock *facts = &block->facts;
    *touched = false;
    for (size_t i = 0; i < store->deletes.count && !*touched; i++) {
        const Delete *one = store->deletes.at[i];
        if (delete_means(one, block_number(facts->name), facts->min_ms, facts->max_ms))
            TRY(block_has(block, one->facts.matchers, touched, err));
    }
    return true;
}

// A block, of a day that is over or of any, that a delete has taken something from; NULL: none.
static bool find_touched(SeriesStore *store, int64_t before_ms, StoreBlock **out, bool *any,
                         Error *err) {
    *out = NULL;
    *any = false;
    for (size_t i = 0; i < store->blocks.count; i++) {
        StoreBlock *block = &store->blocks.at[i];
        bool touched;
        TRY(store_is_touched(store, block, &touched, err));
        *any |= touched;
        if (!touched || block->block == NULL || block->facts.max_ms >= before_ms) continue;
        *out = block;
        return true;
    }
    return true;
}

bool store_rewrite_touched(SeriesStore *store, int64_t before_ms, bool *more, Error *err) {
    StoreBlock *block;
    bool any;
    *more = false;
    if (store->deletes.count == 0) return true;
    TRY(find_touched(store, before_ms, &block, &any, err));
    if (block != NULL) {
        *more = true;
        return store_merge_one(store, block, err);
    }
    TRY(tiers_rewrite_touched(store, before_ms, more, &any, err));
    if (any) return true;
    // None is left to do anything: the manifest may forget them.
    DeleteArray none = {0};
    TRY(store_write_manifest_with(store, &store->blocks, &none, store->manifest.sealed_sequence,
                                  err));
    store_install_deletes(store, &none);
    return true;
}

bool series_clean_deletes(SeriesStore *store, Error *err) {
    bool more = true;
    while (more) {
        // One block at a time, so that sealing is not kept waiting.
        mutex_take(&store->maintain);
        bool done = store_rewrite_touched(store, INT64_MAX, &more, err);
        mutex_give(&store->maintain);
        if (!done) return error_context(err, "writing blocks again without what was deleted");
    }
    return true;
}
