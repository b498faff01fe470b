// Making tiers of days that are over, and letting them go: by age, by rules, by deletes.
//
// A tier is replaced as blocks are: the new object durable and verified, the manifest, views, then
// the old object (W14).

#include "store/series/tier.h"

#include "base/assert.h"
#include "store/series/building.h"
#include "store/series/columns.h"

enum { HOUR_MS = 3600000 };
// What is still being sealed of a day has so long; merging waits as long.
enum { GRACE_MS = 2 * HOUR_MS };
static const int64_t WAIT_MS = 7 * (int64_t)TIER_DAY_MS;
// Beyond it (the year 148,000) columns would not have a time of their own.
static const int64_t TIME_MAX_MS = INT64_C(1) << 52;

size_t tier_index(int64_t tier_ms) {
    size_t i = 0;
    while (i < SERIES_TIERS && series_tiers_ms[i] != tier_ms) i++;
    return i;
}

static bool any_on(const SeriesStore *store) {
    bool on = false;
    for (size_t k = 0; k < SERIES_TIERS; k++) on |= store->options.tiers[k].on;
    return on;
}

// The tier of the day of a raw block; NULL: none.
static StoreBlock *tier_of(const SeriesStore *store, const StoreBlock *raw, size_t k) {
    for (size_t i = 0; i < store->tiers.count; i++) {
        StoreBlock *tier = &store->tiers.at[i];
        if (tier->facts.tier_ms == series_tiers_ms[k] &&
            day_of_ms(tier->facts.min_ms) == day_of_ms(raw->facts.min_ms))
            return tier;
    }
    return NULL;
}

static bool is_over(int64_t keep_ms, int64_t max_ms, int64_t now_ms) {
    int64_t oldest;
    return keep_ms > 0 && !__builtin_sub_overflow(now_ms, keep_ms, &oldest) && max_ms < oldest;
}

// Is a tier of the day to be there, and is there none that says what the block says?
static bool is_missing(const SeriesStore *store, const StoreBlock *raw, size_t k, int64_t now_ms) {
    const ManifestBlock *facts = &raw->facts;
    if (!store->options.tiers[k].on || facts->min_ms < 0 || facts->max_ms > TIME_MAX_MS ||
        is_over(retention_longest(&store->tier_retention[k]), facts->max_ms, now_ms))
        return false;
    const StoreBlock *tier = tier_of(store, raw, k);
    return tier == NULL ||
           (tier->facts.source != 0 && tier->facts.source != block_number(facts->name));
}

bool tiers_wait(const SeriesStore *store, const StoreBlock *raw, int64_t now_ms) {
    int64_t keep_ms = store->options.retention.keep_ms, last_ms;
    if (!any_on(store) || keep_ms == 0 ||
        __builtin_add_overflow(raw->facts.max_ms, keep_ms, &last_ms) ||
        __builtin_add_overflow(last_ms, WAIT_MS, &last_ms) || now_ms > last_ms)
        return false;
    bool missing = false;
    for (size_t k = 0; k < SERIES_TIERS; k++) missing |= is_missing(store, raw, k, now_ms);
    return missing;
}

// ---- Writing ----

typedef struct TierMaking {
    SeriesStore *store;
    const StoreBlock *from;   // samples, or a tier that is written again
    int64_t tier_ms, now_ms;  // now_ms INT64_MIN: retention is not applied
    const SeriesRetention *retention;
    BlockCursor *cursor;
    SeriesColumns columns;
    SeriesParts parts;
    TierWindows windows;
    Arena scratch;
    bool wrote;
} TierMaking;

static void making_end(TierMaking *making) {
    if (making->cursor != NULL) block_cursor_close(&making->cursor);
    series_columns_free(&making->columns);
    series_parts_free(&making->parts);
    array_free(&making->windows);
    arena_free(&making->scratch);
}

typedef struct HistogramSink {
    TierMaking *making;
    DeletedSpans deleted;
} HistogramSink;

static void take_histogram_time(void *context, int64_t time_ms) {
    HistogramSink *sink = context;
    if (!spans_cover(sink->deleted, 0, time_ms))
        tier_add_histogram(&sink->making->windows, sink->making->tier_ms, time_ms);
}

static bool windows_of_samples(TierMaking *making, uint32_t series, DeletedSpans deleted,
                               Error *err) {
    making->columns.count = making->columns.histograms = 0;
    TRY(block_read(making->cursor, series, INT64_MIN, INT64_MAX, &making->columns, err));
    spans_apply(deleted, 0, &making->columns);
    tier_add_samples(&making->windows, making->tier_ms, &making->columns);
    HistogramSink sink = {making, deleted};
    return making->columns.histograms == 0 ||
           block_each_histogram_time(making->cursor, series, INT64_MIN, INT64_MAX,
                                     take_histogram_time, &sink, err);
}

static bool windows_of_tier(TierMaking *making, uint32_t series, DeletedSpans deleted, Error *err) {
    SeriesParts *parts = &making->parts;
    int64_t day_ms = day_of_ms(making->from->facts.min_ms) * TIER_DAY_MS;
    parts->count = 0;
    TRY(tier_read(making->cursor, series, day_ms, making->tier_ms, INT64_MIN, INT64_MAX, UINT32_MAX,
                  &making->columns, parts, err));
    tier_drop(parts, 0, deleted, 0);
    array_clear(&making->windows);
    for (size_t i = 0; i < parts->count; i++) {
        TierWindow *window = array_add(&making->windows);
        window->end_ms = parts->ends_ms[i];
        // Of a window without samples the other columns have nothing.
        bool any = parts->of[WINDOW_COUNT][i] > 0;
        for (size_t kind = 0; kind < WINDOW_KINDS; kind++) {
            bool known = any || kind == WINDOW_COUNT || kind > WINDOW_LAST_AGO;
            window->of[kind] = known ? parts->of[kind][i] : 0;
        }
    }
    return true;
}

static bool make_series(TierMaking *making, uint32_t series, BlockWriter *writer, Error *err) {
    SeriesStore *store = making->store;
    const ManifestBlock *facts = &making->from->facts;
    Labels labels;
    arena_clear(&making->scratch);
    TRY(block_labels(making->from->block, series, &making->scratch, &labels, err));
    if (making->now_ms != INT64_MIN &&
        retention_is_over(making->retention, labels, facts->max_ms, making->now_ms))
        return true;
    DeletedSpans deleted = deletes_spans(&store->deletes, 0, block_number(facts->name),
                                         facts->min_ms, facts->max_ms, labels, &making->scratch);
    TRY((facts->tier_ms == 0 ? windows_of_samples : windows_of_tier)(making, series, deleted, err));
    if (making->windows.count == 0) return true;
    making->wrote = true;
    return block_writer_series(writer, labels, err) &&
           tier_write(&making->windows, day_of_ms(facts->min_ms) * TIER_DAY_MS, writer, err);
}

// *out has no block when nothing is left to write.
static bool make(SeriesStore *store, const StoreBlock *from, size_t k, int64_t now_ms,
                 StoreBlock *out, Error *err) {
    const ManifestBlock *facts = &from->facts;
    AUTO(making_end)
    TierMaking making = {.store = store,
                         .from = from,
                         .tier_ms = series_tiers_ms[k],
                         .now_ms = now_ms,
                         .retention = &store->tier_retention[k],
                         .cursor = block_cursor_open(from->block)};
    AUTO(building_end) Building building;
    building_begin(&building, store);
    *out = (StoreBlock){0};
    for (uint32_t i = 0; i < (uint32_t)block_facts(from->block).series; i++) {
        // Charged, not bounded: it has the labels of one block, which had room.
        if (i % SERIES_PER_LOOK == 0) (void)building_fits(&building);
        TRY(make_series(&making, i, building.writer, err));
    }
    if (!making.wrote) return true;
    block_writer_tier(building.writer, making.tier_ms, facts->min_ms, facts->max_ms);
    TRY(building_put(&building, 0, 0, out, err));
    out->facts.tier_ms = making.tier_ms;
    out->facts.source = facts->tier_ms == 0 ? block_number(facts->name) : facts->source;
    return true;
}

// ---- Replacing ----

// `old` (NULL: none) goes and `made` (without a block: none) comes.
static bool replace(SeriesStore *store, const StoreBlock *old, StoreBlock *made, Error *err) {
    StoreBlockArray tiers = {0};
    StoreBlock gone = old == NULL ? (StoreBlock){0} : *old;
    int64_t from_ms = old != NULL ? old->facts.min_ms : made->facts.min_ms;
    for (size_t i = 0; i < store->tiers.count; i++) {
        if (&store->tiers.at[i] != old) *array_add(&tiers) = store->tiers.at[i];
    }
    if (made->block != NULL) *array_add(&tiers) = *made;
    if (!store_write_manifest_all(store, &store->blocks, &tiers, &store->deletes,
                                  store->manifest.sealed_sequence, err)) {
        array_free(&tiers);
        if (made->block != NULL) store_give_up_block(store, made);
        return false;
    }
    mutex_take(&store->blocks_lock);
    array_free(&store->tiers);
    store->tiers = tiers;
    mutex_give(&store->blocks_lock);
    store_install_deletes(store, &store->deletes);
    series_note_change(store, from_ms);
    if (old == NULL) return true;
    AUTO(arena_free) Arena scratch = {0};
    store_block_drop(&gone);
    Objects *objects = store->options.objects;
    return objects->remove(objects, store_object_name(store, gone.facts.name, &scratch), err);
}

static bool make_again(SeriesStore *store, StoreBlock *tier, int64_t now_ms, Error *err) {
    StoreBlock made;
    size_t k = tier_index(tier->facts.tier_ms);
    assert(k < SERIES_TIERS);
    return make(store, tier, k, now_ms, &made, err) && replace(store, tier, &made, err);
}

// ---- What is to be done ----

static bool is_alone(const SeriesStore *store, const StoreBlock *raw) {
    for (size_t i = 0; i < store->blocks.count; i++) {
        const StoreBlock *other = &store->blocks.at[i];
        if (other != raw && day_of_ms(other->facts.min_ms) == day_of_ms(raw->facts.min_ms))
            return false;
    }
    return true;
}

static bool make_one(SeriesStore *store, int64_t now_ms, bool *more, Error *err) {
    for (size_t i = 0; i < store->blocks.count; i++) {
        const StoreBlock *raw = &store->blocks.at[i];
        int64_t day = day_of_ms(raw->facts.min_ms);
        for (size_t k = 0; k < SERIES_TIERS; k++) {
            if (raw->block == NULL || !is_missing(store, raw, k, now_ms) ||
                (day + 1) * TIER_DAY_MS + GRACE_MS > now_ms || !is_alone(store, raw))
                continue;
            StoreBlock made;
            StoreBlock *old = tier_of(store, raw, k);
            TRY(make(store, raw, k, now_ms, &made, err));
            if (made.block == NULL && old == NULL) continue;
            *more = true;
            return replace(store, old, &made, err);
        }
    }
    return true;
}

bool series_make_tiers(SeriesStore *store, int64_t now_ms, bool *more, Error *err) {
    *more = false;
    if (!any_on(store)) return true;
    mutex_take(&store->maintain);
    // Nothing is looked for where nothing can be new.
    bool fine = true, seen = store->tiers_seen == store->manifest.writes + 1 &&
                             store->tiers_seen_hour == now_ms / HOUR_MS;
    if (!seen) fine = make_one(store, now_ms, more, err);
    if (fine && !*more) {
        store->tiers_seen = store->manifest.writes + 1;
        store->tiers_seen_hour = now_ms / HOUR_MS;
    }
    mutex_give(&store->maintain);
    return fine;
}

bool tiers_retain(SeriesStore *store, int64_t now_ms, bool *changed, bool *more, Error *err) {
    StoreBlock none = {0};
    for (size_t i = 0; i < store->tiers.count; i++) {
        StoreBlock *tier = &store->tiers.at[i];
        size_t k = tier_index(tier->facts.tier_ms);
        if (k == SERIES_TIERS || !store->options.tiers[k].on || tier->retain_ms > now_ms) continue;
        const SeriesRetention *retention = &store->tier_retention[k];
        int64_t max_ms = tier->facts.max_ms;
        if (is_over(retention_longest(retention), max_ms, now_ms)) {
            *changed = *more = true;
            return replace(store, tier, &none, err);
        }
        bool touches = false;
        if (tier->block == NULL) continue;
        if (retention->rule_count > 0)
            TRY(retention_touches(retention, tier->block, max_ms, now_ms, &touches, err));
        if (touches) {
            *changed = *more = true;
            return make_again(store, tier, now_ms, err);
        }
        tier->retain_ms = retention_next(retention, max_ms, now_ms);
    }
    return true;
}

static bool tier_has(const StoreBlock *tier, Matchers matchers, bool *has, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    BlockSeriesSet set;
    if (tier->block == NULL) {  // damaged: nobody knows; it may be repaired
        *has = true;
        return true;
    }
    TRY(block_select(tier->block, matchers, &scratch, &set, err));
    *has |= set.count > 0;
    return true;
}

bool tiers_have(const SeriesStore *store, Matchers matchers, int64_t from_ms, int64_t to_ms,
                bool *has, Error *err) {
    for (size_t i = 0; i < store->tiers.count && !*has; i++) {
        const StoreBlock *tier = &store->tiers.at[i];
        if (tier->facts.min_ms <= to_ms && tier->facts.max_ms >= from_ms)
            TRY(tier_has(tier, matchers, has, err));
    }
    return true;
}

bool tiers_rewrite_touched(SeriesStore *store, int64_t before_ms, bool *more, bool *any,
                           Error *err) {
    StoreBlock none = {0};
    for (size_t i = 0; i < store->tiers.count; i++) {
        StoreBlock *tier = &store->tiers.at[i];
        const ManifestBlock *facts = &tier->facts;
        bool touched = false;
        for (size_t j = 0; j < store->deletes.count && !touched; j++) {
            const Delete *one = store->deletes.at[j];
            if (delete_means(one, block_number(facts->name), facts->min_ms, facts->max_ms))
                TRY(tier_has(tier, one->facts.matchers, &touched, err));
        }
        *any |= touched;
        if (!touched || facts->max_ms >= before_ms) continue;
        // With the samples still there it is made again of what is left of them, exactly.
        if (facts->source != 0) {
            *more = true;
            return replace(store, tier, &none, err);
        }
        if (tier->block == NULL || tier_index(facts->tier_ms) == SERIES_TIERS) continue;
        *more = true;
        return make_again(store, tier, INT64_MIN, err);
    }
    return true;
}
