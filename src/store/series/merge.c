// Merging small blocks of a day into larger ones, writing blocks again without what is to go, and
// scrubbing.
//
// Only blocks that follow each other in the order of storing are merged: the result takes the place
// of the first, so who was stored first still wins every time. The manifest is replaced before any
// file is removed (W14); a reader that pins an old block keeps its mapping.

#include <stdlib.h>

#include "base/assert.h"
#include "store/series/block_walk.h"
#include "store/series/building.h"
#include "store/series/view.h"

enum {
    DAY_MS = 86400000,
    MERGE_BLOCKS_MIN = 4,  // of one level side by side are worth the work
    MERGE_BLOCKS_MAX = 16,
};

// ---- One merge ----

typedef struct Merge {
    SeriesStore *store;
    BlockWalk walk;     // first stored first
    bool wrote;         // a series, or metadata
    bool optional;      // it is to end where there is no room, also of one source
    double part;        // of the series, that one block has room for; 1: all of them
    int64_t retain_ms;  // retention is applied as of then; INT64_MIN: not
    int64_t end_ms;     // when what the sources have ends, for it
    SeriesColumns all, one, merged;
    Arena scratch;
} Merge;

static void merge_end(Merge *merge) {
    block_walk_end(&merge->walk);
    series_columns_free(&merge->all);
    series_columns_free(&merge->one);
    series_columns_free(&merge->merged);
    arena_free(&merge->scratch);
}

typedef struct ExemplarAt {
    int64_t time_ms;
    double value;
    Bytes labels;
} ExemplarAt;

typedef struct MergeSink {
    Arena *arena;
    SeriesHistogramArray histograms;
    ARRAY(ExemplarAt) exemplars;
    DeletedSpans deleted;  // of the series in the source being read
} MergeSink;

static bool take_histogram(void *context, int64_t time_ms, Bytes wire, Error *err) {
    (void)err;
    MergeSink *sink = context;
    if (spans_cover(sink->deleted, 0, time_ms)) return true;
    *array_add_on(sink->arena, &sink->histograms) =
        (SeriesHistogram){time_ms, bytes_copy(wire, sink->arena)};
    return true;
}

static bool take_exemplar(void *context, int64_t time_ms, double value, Labels labels, Error *err) {
    (void)err;
    MergeSink *sink = context;
    if (spans_cover(sink->deleted, 0, time_ms)) return true;
    *array_add_on(sink->arena, &sink->exemplars) =
        (ExemplarAt){time_ms, value, bytes_copy(labels.wire, sink->arena)};
    return true;
}

// Insertion keeps what was stored first in front of its equals.
static bool write_histograms(MergeSink *sink, BlockWriter *writer, Error *err) {
    SeriesHistogram *at = sink->histograms.at;
    for (size_t i = 1; i < sink->histograms.count; i++) {
        SeriesHistogram here = at[i];
        size_t to = i;
        for (; to > 0 && at[to - 1].time_ms > here.time_ms; to--) at[to] = at[to - 1];
        at[to] = here;
    }
    for (size_t i = 0; i < sink->histograms.count; i++) {
        if (i > 0 && at[i].time_ms == at[i - 1].time_ms) continue;
        TRY(block_writer_histogram(writer, at[i].time_ms, at[i].wire, err));
    }
    return true;
}

static bool write_exemplars(MergeSink *sink, BlockWriter *writer, Error *err) {
    ExemplarAt *at = sink->exemplars.at;
    for (size_t i = 1; i < sink->exemplars.count; i++) {
        ExemplarAt here = at[i];
        size_t to = i;
        for (; to > 0 && at[to - 1].time_ms > here.time_ms; to--) at[to] = at[to - 1];
        at[to] = here;
    }
    for (size_t i = 0; i < sink->exemplars.count; i++) {
        if (i > 0 && at[i].time_ms == at[i - 1].time_ms) continue;
        TRY(block_writer_exemplar(writer, at[i].time_ms, at[i].value, (Labels){at[i].labels}, err));
    }
    return true;
}

// One series from every source that has it.
static bool merge_series(Merge *merge, BlockWriter *writer, Error *err) {
    Labels labels = merge->walk.labels;
    MergeSink sink = {.arena = &merge->scratch};
    merge->all.count = 0;
    merge->all.has_starts = false;
    merge->all.wants_starts = merge->one.wants_starts = true;
    for (size_t i = 0; i < merge->walk.count; i++) {
        WalkSource *source = &merge->walk.sources[i];
        const ManifestBlock *facts = &source->from->facts;
        if (!source->here) continue;
        if (merge->retain_ms != INT64_MIN &&
            retention_is_over(&merge->store->options.retention, labels, merge->end_ms,
                              merge->retain_ms))
            continue;
        BlockCursor *cursor = block_walk_cursor(&merge->walk, source);
        sink.deleted = deletes_spans(&merge->store->deletes, 0, block_number(facts->name),
                                     facts->min_ms, facts->max_ms, labels, &merge->scratch);
        merge->one.count = merge->one.histograms = 0;
        merge->one.has_starts = false;
        TRY(block_read(cursor, source->next, INT64_MIN, INT64_MAX, &merge->one, err));
        spans_apply(sink.deleted, 0, &merge->one);
        columns_append_merged(&merge->all, &merge->one, &merge->merged);
        TRY(block_each_histogram(cursor, source->next, INT64_MIN, INT64_MAX, take_histogram, &sink,
                                 err));
        TRY(block_each_exemplar(cursor, source->next, INT64_MIN, INT64_MAX, take_exemplar, &sink,
                                err));
    }
    if (merge->all.count == 0 && sink.histograms.count == 0 && sink.exemplars.count == 0)
        return true;  // all of it was deleted, or kept long enough
    merge->wrote = true;
    TRY(block_writer_series(writer, labels, err));
    if (merge->all.count > 0) TRY(block_writer_columns(writer, &merge->all, err));
    return write_histograms(&sink, writer, err) && write_exemplars(&sink, writer, err);
}

static bool take_metadata(void *context, const BatchMetadata *metadata, Error *err) {
    (void)err;
    SeriesStore *into = context;  // a store used as a map only
    store_learn_metadata(into, metadata, 1);
    return true;
}

// The newest metadata of all sources.
static bool merge_metadata(SeriesStore *store, Merge *merge, BlockWriter *writer, Error *err) {
    SeriesStore *map = memory_new(SeriesStore);
    mutex_begin(&map->families_lock, LOCK_SERIES_SIDE);
    map->families = map_begin(&map->families_arena, store->options.hash_key);
    bool fine = true;
    for (size_t i = 0; fine && i < merge->walk.count; i++)
        fine = block_each_metadata(merge->walk.sources[i].from->block, take_metadata, map, err);
    fine = fine && store_write_metadata(map, 0, writer, err);
    merge->wrote |= store_has_metadata(map, 1);
    store_free_metadata(map);
    memory_free(map);
    return fine;
}

// Two hours of grace for what is still being sealed.
static bool day_is_over(int64_t day, int64_t now_ms) {
    return (day + 1) * DAY_MS + 2 * 3600 * 1000 <= now_ms;
}

// *out has no block when everything was deleted, or when there is no room for all (merge->part). A
// single source is written again whatever it takes.
static bool merge_into(SeriesStore *store, Merge *merge, StoreBlock *out, Error *err) {
    uint32_t level = 0;
    AUTO(building_end) Building building;
    building_begin(&building, store);
    BlockWriter *writer = building.writer;
    BlockWalk *walk = &merge->walk;
    const ManifestBlock *first = &walk->sources[0].from->facts;
    *out = (StoreBlock){0};
    merge->part = 1;
    Clock *clock = store->options.clock;
    bool cold = day_is_over(day_of_ms(first->min_ms), clock->wall_ms(clock));
    if (cold) block_writer_cold(writer);
    for (size_t i = 0; i < walk->count; i++) {
        const ManifestBlock *facts = &walk->sources[i].from->facts;
        level = MAX(level, facts->level);
        block_writer_covers(writer, facts->min_ms, facts->max_ms);
    }
    for (bool more;;) {
        TRY(block_walk_next(walk, &more, err));
        if (!more) break;
        if (!building_has_room(&building) && (walk->count > 1 || merge->optional)) {
            merge->part = block_walk_done(walk);
            return true;
        }
        arena_clear(&merge->scratch);
        TRY(merge_series(merge, writer, err));
    }
    TRY(merge_metadata(store, merge, writer, err));
    if (!merge->wrote) return true;
    // One that is written again is as it was, and is merged with its neighbours as before.
    if (walk->count > 1) level = MIN(level + 1, (uint32_t)MANIFEST_LEVEL_MAX);
    TRY(building_put(&building, level, first->order, out, err));
    out->facts.cold = cold;
    return true;
}

// ---- Replacing blocks ----

// Their samples are let go for their age: the tiers of those days are what is left of them, and are
// not made again from what else there is.
static void make_final(StoreBlockArray *tiers, const StoreBlockArray *gone) {
    for (size_t i = 0; i < tiers->count; i++) {
        ManifestBlock *tier = &tiers->at[i].facts;
        for (size_t j = 0; j < gone->count; j++) {
            if (day_of_ms(gone->at[j].facts.min_ms) == day_of_ms(tier->min_ms)) tier->source = 0;
        }
    }
}

// Replaces the blocks marked in `gone` by those of `made`: manifest, then views, then files.
static bool replace_blocks(SeriesStore *store, const bool *gone, const StoreBlockArray *made,
                           bool for_age, Error *err) {
    StoreBlockArray blocks = {0}, old = {0};
    for (size_t i = 0; i < store->blocks.count; i++)
        *array_add(gone[i] ? &old : &blocks) = store->blocks.at[i];
    array_add_many(&blocks, made->at, made->count);
    StoreBlockArray tiers = {0};
    array_add_many(&tiers, store->tiers.at, store->tiers.count);
    if (for_age) make_final(&tiers, &old);
    if (!store_write_manifest_all(store, &blocks, &tiers, &store->deletes,
                                  store->manifest.sealed_sequence, err)) {
        array_free(&blocks);
        array_free(&tiers);
        array_free(&old);
        return false;
    }
    mutex_take(&store->blocks_lock);
    array_free(&store->blocks);
    array_free(&store->tiers);
    store->blocks = blocks;
    store->tiers = tiers;
    mutex_give(&store->blocks_lock);
    store_install_deletes(store, &store->deletes);
    bool removed = true;
    for (size_t i = 0; i < old.count; i++) {
        AUTO(arena_free) Arena scratch = {0};
        store_block_drop(&old.at[i]);
        Objects *objects = store->options.objects;
        // What stays behind is a stranger at the next start, and set aside there.
        if (removed)
            removed = objects->remove(
                objects, store_object_name(store, old.at[i].facts.name, &scratch), err);
    }
    array_free(&old);
    return removed;
}

// ---- What pays ----

static int by_day_and_order(const void *a, const void *b) {
    const StoreBlock *first = *(StoreBlock *const *)a, *again = *(StoreBlock *const *)b;
    int64_t day = day_of_ms(first->facts.min_ms), other = day_of_ms(again->facts.min_ms);
    if (day != other) return day < other ? -1 : 1;
    return (first->facts.order > again->facts.order) - (first->facts.order < again->facts.order);
}

StoreBlock **store_blocks_by_day(SeriesStore *store, Arena *arena) {
    size_t count = store->blocks.count;
    StoreBlock **sorted = arena_push_array(arena, StoreBlock *, count + 1);
    for (size_t i = 0; i < count; i++) sorted[i] = &store->blocks.at[i];
    qsort(sorted, count, sizeof(StoreBlock *), by_day_and_order);
    return sorted;
}

// A run in `sorted` that is worth merging: at least four neighbours of one day and level; or all of
// a day that is over. Damaged blocks break a run.
static bool find_run(StoreBlock **sorted, size_t count, int64_t now_ms, size_t *begin,
                     size_t *end) {
    for (size_t i = 0; i < count; i++) {
        int64_t day = day_of_ms(sorted[i]->facts.min_ms);
        uint32_t level = sorted[i]->facts.level;
        if (sorted[i]->block == NULL || sorted[i]->alone) continue;
        bool over = day_is_over(day, now_ms);
        size_t j = i + 1;
        while (j < count && j - i < MERGE_BLOCKS_MAX && day_of_ms(sorted[j]->facts.min_ms) == day &&
               sorted[j]->block != NULL && !sorted[j]->alone &&
               (over || sorted[j]->facts.level == level)) {
            j++;
        }
        if (j - i < (over ? 2 : MERGE_BLOCKS_MIN)) continue;
        *begin = i;
        *end = j;
        return true;
    }
    return false;
}

static bool heads_have_day(const SeriesStore *store, int64_t day) {
    bool have = side_has_day(store->head, day);
    for (size_t i = 0; i < store->turned.count; i++) have |= side_has_day(store->turned.at[i], day);
    return have;
}

// Is it to be written again cold? What heads have of its day will be merged with it, which does it,
// too.
static bool wants_cold(const SeriesStore *store, const StoreBlock *block, int64_t now_ms) {
    int64_t day = day_of_ms(block->facts.min_ms);
    return block->block != NULL && !block->facts.cold && !block->stays_hot &&
           block->facts.bytes >= store->options.block_cold_bytes && day_is_over(day, now_ms) &&
           !heads_have_day(store, day);
}

bool store_day_is_merged(const SeriesStore *store, StoreBlock **blocks, size_t count) {
    Clock *clock = store->options.clock;
    int64_t now_ms = clock->wall_ms(clock);
    size_t begin, end;
    if (count > 1 && !day_is_over(day_of_ms(blocks[0]->facts.min_ms), now_ms)) return false;
    bool merged = !find_run(blocks, count, now_ms, &begin, &end);
    for (size_t i = 0; i < count && merged; i++) merged = !wants_cold(store, blocks[i], now_ms);
    return merged;
}

static bool is_installed(const SeriesStore *store, const StoreBlock *block) {
    bool installed = false;
    for (size_t i = 0; i < store->blocks.count; i++)
        installed |= store->blocks.at[i].block == block->block;
    return installed;
}

// The same; those of `made` that do not get into the store go.
static bool install_merged(SeriesStore *store, const bool *gone, StoreBlockArray *made,
                           bool for_age, Error *err) {
    if (replace_blocks(store, gone, made, for_age, err)) {
        atomic_fetch_add(&store->merges, 1);
        return true;
    }
    for (size_t i = 0; i < made->count; i++) {
        if (!is_installed(store, &made->at[i])) store_give_up_block(store, &made->at[i]);
    }
    return false;
}

// What blocks become, which is not in the manifest yet; without a block: nothing.
static bool merge_apart(SeriesStore *store, StoreBlock *const *run, size_t count, int64_t retain_ms,
                        bool optional, double *part, StoreBlock *made, Error *err) {
    AUTO(merge_end)
    Merge merge = {.store = store,
                   .optional = optional,
                   .retain_ms = retain_ms,
                   .end_ms = store_end_ms(store, run[0])};
    block_walk_begin(&merge.walk, run, count, NULL);
    TRY(merge_into(store, &merge, made, err));
    *part = merge.part;
    return true;
}

// *part: of the series, that one block has room for; less than 1: nothing was done.
static bool merge_run(SeriesStore *store, StoreBlock **run, size_t count, double *part,
                      Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(blocks_free) StoreBlockArray all = {0};
    StoreBlock made;
    bool *gone = arena_push_array(&arena, bool, store->blocks.count);
    for (size_t i = 0; i < count; i++) gone[run[i] - store->blocks.at] = true;
    TRY(merge_apart(store, run, count, INT64_MIN, false, part, &made, err));
    if (*part < 1) return true;
    if (made.block != NULL) *array_add(&all) = made;
    return install_merged(store, gone, &all, false, err);
}

bool store_merge_one(SeriesStore *store, StoreBlock *block, Error *err) {
    double whole;
    return merge_run(store, &block, 1, &whole, err);
}

// The first ones of the run that fit into one block. Where not even two do, the first one stays as
// it is for as long as this process lives.
static bool merge_what_fits(SeriesStore *store, StoreBlock **run, size_t count, Error *err) {
    while (count > 1) {
        double part;
        TRY(merge_run(store, run, count, &part, err));
        if (part >= 1) return true;
        // Not quite what would fill it, as the guess goes by series.
        count = MIN(count - 1, (size_t)((double)count * part * 0.9));
    }
    run[0]->alone = true;
    store->tiers_seen = 0;  // its day may be settled now
    return true;
}

// Did the default let go of all that ends at `end_ms`? What only rules let go is not kept in tiers
// either, so that they may be made again.
static bool is_for_age(const SeriesStore *store, int64_t end_ms, int64_t now_ms) {
    int64_t keep_ms = store->options.retention.keep_ms, oldest_ms;
    return keep_ms > 0 && !__builtin_sub_overflow(now_ms, keep_ms, &oldest_ms) &&
           end_ms < oldest_ms;
}

bool store_merge_retained(SeriesStore *store, StoreBlock **blocks, size_t count, int64_t now_ms,
                          Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(blocks_free) StoreBlockArray all = {0};
    bool *gone = arena_push_array(&arena, bool, store->blocks.count);
    int64_t end_ms = store_end_ms(store, blocks[0]);
    for (size_t i = 0; i < count; i++) {
        StoreBlock made;
        double whole;
        if (!merge_apart(store, &blocks[i], 1, now_ms, false, &whole, &made, err)) {
            for (size_t j = 0; j < all.count; j++) store_give_up_block(store, &all.at[j]);
            return false;
        }
        gone[blocks[i] - store->blocks.at] = true;
        if (made.block != NULL) *array_add(&all) = made;
    }
    return install_merged(store, gone, &all, is_for_age(store, end_ms, now_ms), err);
}

bool store_drop_before(SeriesStore *store, int64_t before_ms, int64_t now_ms, bool *any,
                       Error *err) {
    AUTO(arena_free) Arena arena = {0};
    StoreBlockArray none = {0};
    bool *gone = arena_push_array(&arena, bool, store->blocks.count + 1);
    *any = false;
    for (size_t i = 0; i < store->blocks.count; i++) {
        const StoreBlock *block = &store->blocks.at[i];
        *any |= gone[i] = block->facts.max_ms < before_ms &&
                          store_end_ms(store, block) < before_ms &&
                          !tiers_wait(store, block, now_ms);
    }
    return !*any || replace_blocks(store, gone, &none, true, err);
}

static bool note_cold(SeriesStore *store, StoreBlock *block, Error *err) {
    block->facts.cold = true;
    bool noted = store_write_manifest(store, &store->blocks, store->manifest.sealed_sequence, err);
    block->facts.cold = noted;
    return noted;
}

// A block is written again cold, and replaced where that makes it smaller.
static bool make_cold(SeriesStore *store, StoreBlock *block, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(blocks_free) StoreBlockArray all = {0};
    StoreBlock made;
    double part;
    bool *gone = arena_push_array(&arena, bool, store->blocks.count);
    bool done = merge_apart(store, &block, 1, INT64_MIN, true, &part, &made, err);
    // What cannot be read the scrub sets apart; until then it is in nobody's way.
    block->stays_hot = done ? part < 1 : err->code == ERROR_CORRUPT;
    if (block->stays_hot) store->tiers_seen = 0;
    if (!done || part < 1) return done;
    if (made.block != NULL && made.facts.bytes >= block->facts.bytes) {
        store_give_up_block(store, &made);
        return note_cold(store, block, err);
    }
    gone[block - store->blocks.at] = true;
    if (made.block != NULL) *array_add(&all) = made;
    return install_merged(store, gone, &all, false, err);
}

static StoreBlock *find_hot(SeriesStore *store, int64_t now_ms) {
    for (size_t i = 0; i < store->blocks.count; i++) {
        if (wants_cold(store, &store->blocks.at[i], now_ms)) return &store->blocks.at[i];
    }
    return NULL;
}

// What was deleted from a day that is over leaves the disk by itself, a block at a time; the day
// that goes on is merged anyway. Blocks are looked through once a minute.
static bool rewrite_once(SeriesStore *store, int64_t now_ms, bool *more, Error *err) {
    const int64_t minute_ns = INT64_C(60000000000);
    int64_t now_ns = store->options.clock->monotonic_ns(store->options.clock);
    if (store->deletes.count == 0 ||
        (store->rewrote_ns != 0 && now_ns - store->rewrote_ns < minute_ns))
        return true;
    TRY(store_rewrite_touched(store, day_of_ms(now_ms) * DAY_MS, more, err));
    store->rewrote_ns = *more ? 0 : MAX(now_ns, 1);
    return true;
}

static bool merge_once(SeriesStore *store, bool *more, Error *err) {
    Clock *clock = store->options.clock;
    int64_t now_ms = clock->wall_ms(clock);
    AUTO(arena_free) Arena arena = {0};
    StoreBlock **sorted = store_blocks_by_day(store, &arena);
    size_t begin, end;
    *more = find_run(sorted, store->blocks.count, now_ms, &begin, &end);
    if (*more) return merge_what_fits(store, sorted + begin, end - begin, err);
    StoreBlock *hot = find_hot(store, now_ms);
    *more = hot != NULL;
    return hot != NULL ? make_cold(store, hot, err) : rewrite_once(store, now_ms, more, err);
}

bool series_merge(SeriesStore *store, bool *more, Error *err) {
    mutex_take(&store->maintain);
    bool merged = merge_once(store, more, err);
    mutex_give(&store->maintain);
    return merged;
}

// ---- Scrubbing ----

// Damage that a scrub finds takes the block out of views, with a warning in its place; the file
// stays for a repair.
static void set_apart(SeriesStore *store, StoreBlock *block, const Error *why) {
    mutex_take(&store->blocks_lock);
    store_block_drop(block);
    block->block = NULL;
    block->why = *why;
    mutex_give(&store->blocks_lock);
    series_note_change(store, block->facts.min_ms);
    atomic_fetch_add(&store->corruptions, 1);
}

// Blocks of samples, then those of tiers.
static StoreBlock *block_at(SeriesStore *store, size_t i) {
    size_t blocks = store->blocks.count;
    return i < blocks ? &store->blocks.at[i] : &store->tiers.at[i - blocks];
}

// Goes on where the last call stopped; a round is over when every block is through, then the next
// begins.
static bool scrub(SeriesStore *store, int64_t bytes_max, Error *err) {
    bool all_done = true;
    size_t count = store->blocks.count + store->tiers.count;
    for (size_t i = 0; i < count && bytes_max > 0; i++) {
        StoreBlock *block = block_at(store, i);
        if (block->block == NULL || block->scrubbed >= block->facts.bytes) continue;
        int64_t before = block->scrubbed;
        Error why = {0};
        bool whole = block_verify(block->block, &block->scrubbed, bytes_max, &why);
        int64_t done = block->scrubbed - before;
        atomic_fetch_add(&store->scrubbed_bytes, (uint64_t)done);
        bytes_max -= done;
        if (!whole) {
            if (why.code != ERROR_CORRUPT) {
                *err = why;
                return error_context(err, "scrubbing block %.*s", TEXT_ARG(block->facts.name));
            }
            set_apart(store, block, &why);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const StoreBlock *block = block_at(store, i);
        all_done &= block->block == NULL || block->scrubbed >= block->facts.bytes;
    }
    for (size_t i = 0; all_done && i < count; i++) block_at(store, i)->scrubbed = 0;
    return true;
}

bool series_scrub(SeriesStore *store, int64_t bytes_max, Error *err) {
    mutex_take(&store->maintain);
    bool fine = scrub(store, bytes_max, err);
    mutex_give(&store->maintain);
    return fine;
}
