// Making tiers of days that are over, and letting them go: by age, by rules, by deletes.
//
// A tier is replaced as blocks are: the new object durable and verified, the manifest, views, then
// the old object (W14).

#include "store/series/tier.h"

#include <stdlib.h>

#include "base/assert.h"
#include "store/series/block_walk.h"
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

// ---- Days and their tiers ----

// The samples of a day: its blocks, first stored first.
typedef struct TierDay {
    int64_t day, min_ms, max_ms;
    StoreBlock **blocks;
    size_t count;
    uint64_t source;  // what tiers of all of them name: the highest of their numbers
} TierDay;

static void day_add(TierDay *day, StoreBlock *block) {
    const ManifestBlock *facts = &block->facts;
    bool first = day->count++ == 0;
    day->day = day_of_ms(facts->min_ms);
    day->min_ms = first ? facts->min_ms : MIN(day->min_ms, facts->min_ms);
    day->max_ms = first ? facts->max_ms : MAX(day->max_ms, facts->max_ms);
    day->source = MAX(day->source, block_number(facts->name));
}

static TierDay day_of_block(const SeriesStore *store, const StoreBlock *raw) {
    TierDay day = {0};
    for (size_t i = 0; i < store->blocks.count; i++) {
        StoreBlock *other = &store->blocks.at[i];
        if (day_of_ms(other->facts.min_ms) == day_of_ms(raw->facts.min_ms)) day_add(&day, other);
    }
    return day;
}

// A block of a tier of a day; NULL: there is none.
static StoreBlock *tier_of(const SeriesStore *store, int64_t day, int64_t tier_ms) {
    for (size_t i = 0; i < store->tiers.count; i++) {
        StoreBlock *tier = &store->tiers.at[i];
        if (tier->facts.tier_ms == tier_ms && day_of_ms(tier->facts.min_ms) == day) return tier;
    }
    return NULL;
}

static bool is_over(int64_t keep_ms, int64_t max_ms, int64_t now_ms) {
    int64_t oldest;
    return keep_ms > 0 && !__builtin_sub_overflow(now_ms, keep_ms, &oldest) && max_ms < oldest;
}

// Is a tier of the day to be there, and is there none that says what its blocks say?
static bool is_missing(const SeriesStore *store, const TierDay *day, size_t k, int64_t now_ms) {
    if (!store->options.tiers[k].on || day->min_ms < 0 || day->max_ms > TIME_MAX_MS ||
        is_over(retention_longest(&store->tier_retention[k]), day->max_ms, now_ms))
        return false;
    const StoreBlock *tier = tier_of(store, day->day, series_tiers_ms[k]);
    return tier == NULL || (tier->facts.source != 0 && tier->facts.source != day->source);
}

bool tiers_wait(const SeriesStore *store, const StoreBlock *raw, int64_t now_ms) {
    int64_t keep_ms = store->options.retention.keep_ms, last_ms;
    if (!any_on(store) || keep_ms == 0) return false;
    TierDay day = day_of_block(store, raw);
    if (__builtin_add_overflow(day.max_ms, keep_ms, &last_ms) ||
        __builtin_add_overflow(last_ms, WAIT_MS, &last_ms) || now_ms > last_ms)
        return false;
    bool missing = false;
    for (size_t k = 0; k < SERIES_TIERS; k++) missing |= is_missing(store, &day, k, now_ms);
    return missing;
}

// ---- Writing ----

typedef struct TierMaking {
    SeriesStore *store;
    int64_t tier_ms, now_ms;  // now_ms INT64_MIN: retention is not applied
    int64_t min_ms, max_ms;   // of what it is made of
    const SeriesRetention *retention;
    SeriesColumns all, one, merged;
    ARRAY(int64_t) histograms;  // their times
    SeriesParts parts;
    TierWindows windows;
    Arena scratch;
    bool wrote;
} TierMaking;

static void making_end(TierMaking *making) {
    series_columns_free(&making->all);
    series_columns_free(&making->one);
    series_columns_free(&making->merged);
    array_free(&making->histograms);
    series_parts_free(&making->parts);
    array_free(&making->windows);
    arena_free(&making->scratch);
}

static bool is_kept(const TierMaking *making, Labels labels) {
    return making->now_ms == INT64_MIN ||
           !retention_is_over(making->retention, labels, making->max_ms, making->now_ms);
}

static DeletedSpans deleted_from(TierMaking *making, const StoreBlock *block, Labels labels) {
    const ManifestBlock *facts = &block->facts;
    return deletes_spans(&making->store->deletes, 0, block_number(facts->name), facts->min_ms,
                         facts->max_ms, labels, &making->scratch);
}

// The windows of a series, if it has any.
static bool write_windows(TierMaking *making, Labels labels, BlockWriter *writer, Error *err) {
    if (making->windows.count == 0) return true;
    making->wrote = true;
    return block_writer_series(writer, labels, err) &&
           tier_write(&making->windows, day_of_ms(making->min_ms) * TIER_DAY_MS, writer, err);
}

// *out has no block when nothing was written.
static bool put(TierMaking *making, Building *building, uint64_t source, StoreBlock *out,
                Error *err) {
    *out = (StoreBlock){0};
    if (!making->wrote) return true;
    block_writer_tier(building->writer, making->tier_ms, making->min_ms, making->max_ms);
    TRY(building_put(building, 0, 0, out, err));
    out->facts.tier_ms = making->tier_ms;
    out->facts.source = source;
    return true;
}

// ---- Of samples ----

typedef struct HistogramSink {
    TierMaking *making;
    DeletedSpans deleted;
} HistogramSink;

static void take_histogram_time(void *context, int64_t time_ms) {
    HistogramSink *sink = context;
    if (!spans_cover(sink->deleted, 0, time_ms)) *array_add(&sink->making->histograms) = time_ms;
}

static int by_time(const void *a, const void *b) {
    const int64_t *first = a, *again = b;
    return (*first > *again) - (*first < *again);
}

// What one of the blocks has of the series, behind what those stored before it have.
static bool add_samples(TierMaking *making, BlockWalk *walk, WalkSource *source, Error *err) {
    BlockCursor *cursor = block_walk_cursor(walk, source);
    HistogramSink sink = {making, deleted_from(making, source->from, walk->labels)};
    making->one.count = making->one.histograms = 0;
    TRY(block_read(cursor, source->next, INT64_MIN, INT64_MAX, &making->one, err));
    spans_apply(sink.deleted, 0, &making->one);
    columns_append_merged(&making->all, &making->one, &making->merged);
    return making->one.histograms == 0 ||
           block_each_histogram_time(cursor, source->next, INT64_MIN, INT64_MAX,
                                     take_histogram_time, &sink, err);
}

static bool make_series(TierMaking *making, BlockWalk *walk, BlockWriter *writer, Error *err) {
    arena_clear(&making->scratch);
    if (!is_kept(making, walk->labels)) return true;
    making->all.count = 0;
    making->all.has_starts = false;
    array_clear(&making->histograms);
    for (size_t i = 0; i < walk->count; i++) {
        if (walk->sources[i].here) TRY(add_samples(making, walk, &walk->sources[i], err));
    }
    tier_add_samples(&making->windows, making->tier_ms, &making->all);
    // Of those of one time one counts.
    size_t count = making->histograms.count;
    if (count > 0) qsort(making->histograms.at, count, sizeof(int64_t), by_time);
    for (size_t i = 0; i < count; i++) {
        int64_t time_ms = making->histograms.at[i];
        if (i == 0 || time_ms != making->histograms.at[i - 1])
            tier_add_histogram(&making->windows, making->tier_ms, time_ms);
    }
    return write_windows(making, walk->labels, writer, err);
}

// ---- Drafts ----

void tier_draft_end(SeriesStore *store) {
    TierDraft *draft = &store->tier_draft;
    for (size_t i = 0; i < draft->parts.count; i++) store_give_up_block(store, &draft->parts.at[i]);
    array_free(&draft->parts);
    array_free(&draft->next);
    *draft = (TierDraft){0};
}

// That of this tier, at its begin unless it is of what the day has now.
static TierDraft *draft_of(SeriesStore *store, const TierDay *day, size_t k) {
    TierDraft *draft = &store->tier_draft;
    if (draft->tier_ms == series_tiers_ms[k] && draft->day == day->day &&
        draft->source == day->source && draft->next.count == day->count)
        return draft;
    tier_draft_end(store);
    draft->day = day->day;
    draft->tier_ms = series_tiers_ms[k];
    draft->source = day->source;
    for (size_t i = 0; i < day->count; i++) *array_add(&draft->next) = 0;
    return draft;
}

// One more block of the draft, as large as it may be. *all: it was the last.
static bool make_part(SeriesStore *store, const TierDay *day, size_t k, int64_t now_ms, bool *all,
                      Error *err) {
    TierDraft *draft = draft_of(store, day, k);
    AUTO(making_end)
    TierMaking making = {.store = store,
                         .tier_ms = series_tiers_ms[k],
                         .now_ms = now_ms,
                         .min_ms = day->min_ms,
                         .max_ms = day->max_ms,
                         .retention = &store->tier_retention[k]};
    AUTO(block_walk_end) BlockWalk walk = {0};
    AUTO(building_end) Building building;
    building_begin(&building, store);
    block_walk_begin(&walk, day->blocks, day->count, draft->next.at);
    while (building_has_room(&building)) {
        bool more;
        TRY(block_walk_next(&walk, &more, err));
        if (!more) break;
        TRY(make_series(&making, &walk, building.writer, err));
    }
    StoreBlock made;
    TRY(put(&making, &building, day->source, &made, err));
    if (made.block != NULL) *array_add(&draft->parts) = made;
    *all = true;
    block_walk_save(&walk, draft->next.at);
    for (size_t i = 0; i < walk.count; i++) *all &= draft->next.at[i] == walk.sources[i].count;
    return true;
}

// ---- Replacing ----

// All blocks of the tier that `tier` is one of.
static void mark_tier(const SeriesStore *store, const StoreBlock *tier, bool *gone) {
    for (size_t i = 0; i < store->tiers.count; i++) {
        const ManifestBlock *facts = &store->tiers.at[i].facts;
        gone[i] |= facts->tier_ms == tier->facts.tier_ms &&
                   day_of_ms(facts->min_ms) == day_of_ms(tier->facts.min_ms);
    }
}

static bool remove_all(SeriesStore *store, StoreBlockArray *blocks, Error *err) {
    Objects *objects = store->options.objects;
    bool removed = true;
    for (size_t i = 0; i < blocks->count; i++) {
        AUTO(arena_free) Arena scratch = {0};
        StoreBlock *block = &blocks->at[i];
        store_block_drop(block);
        // What stays behind is a stranger at the next start, and set aside there.
        if (removed)
            removed = objects->remove(objects,
                                      store_object_name(store, block->facts.name, &scratch), err);
    }
    return removed;
}

// Those marked in `gone` go and those of `made` come, which do not stay the caller's.
static bool replace(SeriesStore *store, const bool *gone, StoreBlockArray *made, Error *err) {
    StoreBlockArray tiers = {0};
    AUTO(blocks_free) StoreBlockArray old = {0};
    int64_t from_ms = INT64_MAX;
    for (size_t i = 0; i < store->tiers.count; i++)
        *array_add(gone[i] ? &old : &tiers) = store->tiers.at[i];
    array_add_many(&tiers, made->at, made->count);
    for (size_t i = 0; i < old.count; i++) from_ms = MIN(from_ms, old.at[i].facts.min_ms);
    for (size_t i = 0; i < made->count; i++) from_ms = MIN(from_ms, made->at[i].facts.min_ms);
    if (!store_write_manifest_all(store, &store->blocks, &tiers, &store->deletes,
                                  store->manifest.sealed_sequence, err)) {
        array_free(&tiers);
        for (size_t i = 0; i < made->count; i++) store_give_up_block(store, &made->at[i]);
        array_clear(made);
        return false;
    }
    array_clear(made);
    mutex_take(&store->blocks_lock);
    array_free(&store->tiers);
    store->tiers = tiers;
    mutex_give(&store->blocks_lock);
    store_install_deletes(store, &store->deletes);
    series_note_change(store, from_ms);
    return remove_all(store, &old, err);
}

// All blocks of a tier go.
static bool drop_tier(SeriesStore *store, const StoreBlock *tier, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    bool *gone = arena_push_array(&arena, bool, store->tiers.count);
    StoreBlockArray none = {0};
    mark_tier(store, tier, gone);
    return replace(store, gone, &none, err);
}

// ---- Writing a tier again ----

static bool read_windows(TierMaking *making, const StoreBlock *tier, BlockCursor *cursor,
                         uint32_t series, DeletedSpans deleted, Error *err) {
    SeriesParts *parts = &making->parts;
    int64_t day_ms = day_of_ms(tier->facts.min_ms) * TIER_DAY_MS;
    parts->count = 0;
    TRY(tier_read(cursor, series, day_ms, making->tier_ms, INT64_MIN, INT64_MAX, UINT32_MAX,
                  &making->one, parts, err));
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

static bool copy_series(TierMaking *making, const StoreBlock *tier, BlockCursor *cursor,
                        uint32_t series, BlockWriter *writer, Error *err) {
    Labels labels;
    arena_clear(&making->scratch);
    TRY(block_labels(tier->block, series, &making->scratch, &labels, err));
    if (!is_kept(making, labels)) return true;
    DeletedSpans deleted = deleted_from(making, tier, labels);
    return read_windows(making, tier, cursor, series, deleted, err) &&
           write_windows(making, labels, writer, err);
}

// One block of a tier, whatever it takes: it had room once.
static bool copy_block(SeriesStore *store, const StoreBlock *tier, int64_t now_ms, StoreBlock *made,
                       Error *err) {
    size_t k = tier_index(tier->facts.tier_ms);
    assert(k < SERIES_TIERS);
    AUTO(making_end)
    TierMaking making = {.store = store,
                         .tier_ms = series_tiers_ms[k],
                         .now_ms = now_ms,
                         .min_ms = tier->facts.min_ms,
                         .max_ms = tier->facts.max_ms,
                         .retention = &store->tier_retention[k]};
    AUTO(building_end) Building building;
    AUTO(block_cursor_close) BlockCursor *cursor = block_cursor_open(tier->block);
    building_begin(&building, store);
    for (uint32_t i = 0; i < (uint32_t)block_facts(tier->block).series; i++) {
        (void)building_has_room(&building);
        TRY(copy_series(&making, tier, cursor, i, building.writer, err));
    }
    return put(&making, &building, tier->facts.source, made, err);
}

static bool make_again(SeriesStore *store, StoreBlock *tier, int64_t now_ms, Error *err) {
    StoreBlock made;
    AUTO(arena_free) Arena arena = {0};
    AUTO(blocks_free) StoreBlockArray all = {0};
    bool *gone = arena_push_array(&arena, bool, store->tiers.count);
    TRY(copy_block(store, tier, now_ms, &made, err));
    gone[tier - store->tiers.at] = true;
    if (made.block != NULL) *array_add(&all) = made;
    return replace(store, gone, &all, err);
}

// ---- What is to be done ----

// Are tiers of the day to be made of what it has now? All of it has to be there, and nothing else
// about to be written again.
static bool is_settled(SeriesStore *store, const TierDay *day, bool *settled, Error *err) {
    *settled = store_day_is_merged(store, day->blocks, day->count);
    for (size_t i = 0; i < day->count && *settled; i++) {
        bool touched;
        *settled = day->blocks[i]->block != NULL;
        if (*settled) TRY(store_is_touched(store, day->blocks[i], &touched, err));
        *settled = *settled && !touched;
    }
    return true;
}

static bool make_tier(SeriesStore *store, const TierDay *day, size_t k, int64_t now_ms, bool *more,
                      Error *err) {
    bool all;
    AUTO(arena_free) Arena arena = {0};
    bool *gone = arena_push_array(&arena, bool, store->tiers.count + 1);
    TRY(make_part(store, day, k, now_ms, &all, err));
    *more = true;
    if (!all) return true;
    const StoreBlock *old = tier_of(store, day->day, series_tiers_ms[k]);
    StoreBlockArray *parts = &store->tier_draft.parts;
    *more = parts->count > 0 || old != NULL;
    if (old != NULL) mark_tier(store, old, gone);
    bool done = !*more || replace(store, gone, parts, err);
    tier_draft_end(store);
    return done;
}

static bool make_of_day(SeriesStore *store, const TierDay *day, int64_t now_ms, bool *more,
                        Error *err) {
    if ((day->day + 1) * TIER_DAY_MS + GRACE_MS > now_ms) return true;
    for (size_t k = 0; k < SERIES_TIERS && !*more; k++) {
        bool settled;
        if (!is_missing(store, day, k, now_ms)) continue;
        TRY(is_settled(store, day, &settled, err));
        if (!settled) return true;
        TRY(make_tier(store, day, k, now_ms, more, err));
    }
    return true;
}

static bool make_one(SeriesStore *store, int64_t now_ms, bool *more, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    StoreBlock **sorted = store_blocks_by_day(store, &arena);
    for (size_t i = 0; i < store->blocks.count && !*more;) {
        TierDay day = {.blocks = &sorted[i]};
        int64_t of = day_of_ms(sorted[i]->facts.min_ms);
        while (i < store->blocks.count && day_of_ms(sorted[i]->facts.min_ms) == of)
            day_add(&day, sorted[i++]);
        TRY(make_of_day(store, &day, now_ms, more, err));
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
    // A draft that nobody went on with is of what was; and a full disk needs its room.
    if (!fine || !*more) tier_draft_end(store);
    if (fine && !*more) {
        store->tiers_seen = store->manifest.writes + 1;
        store->tiers_seen_hour = now_ms / HOUR_MS;
    }
    mutex_give(&store->maintain);
    return fine;
}

bool tiers_retain(SeriesStore *store, int64_t now_ms, bool *changed, bool *more, Error *err) {
    for (size_t i = 0; i < store->tiers.count; i++) {
        StoreBlock *tier = &store->tiers.at[i];
        size_t k = tier_index(tier->facts.tier_ms);
        if (k == SERIES_TIERS || !store->options.tiers[k].on || tier->retain_ms > now_ms) continue;
        const SeriesRetention *retention = &store->tier_retention[k];
        int64_t max_ms = tier->facts.max_ms;
        if (is_over(retention_longest(retention), max_ms, now_ms)) {
            *changed = *more = true;
            return drop_tier(store, tier, err);
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
            return drop_tier(store, tier, err);
        }
        if (tier->block == NULL || tier_index(facts->tier_ms) == SERIES_TIERS) continue;
        *more = true;
        return make_again(store, tier, INT64_MIN, err);
    }
    return true;
}
