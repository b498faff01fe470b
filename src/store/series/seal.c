// Turning the head and writing turned ones out as blocks: one per UTC day, durable and verified
// before the manifest names them, and the head let go only after that (W14).

#include <stdlib.h>

#include "base/assert.h"
#include "store/series/building.h"

enum { DAY_MS = 86400000 };

// ---- Turning ----

// Series without any sample (the log refused the record that brought them) take memory too, so that
// such a head turns as well.
static bool is_empty(const Head *head) {
    return atomic_load(&head->last_sequence) == 0 &&
           atomic_load(&head->first_sequence) == UINT64_MAX && head_series(head) == 0;
}

bool series_wants_turn(SeriesStore *store) {
    const SeriesOptions *options = &store->options;
    mutex_take(&store->blocks_lock);
    AUTO(head_unref) Head *head = head_ref(store->head);
    mutex_give(&store->blocks_lock);
    if (is_empty(head)) return false;
    if (head_bytes(head) >= options->head_bytes_max || atomic_load(&head->memory.overdraft) > 0)
        return true;
    // By the clock that never goes back: under a wall clock set back by a day no head would turn
    // for as long.
    if ((options->clock->monotonic_ns(options->clock) - head->born_ns) / 1000000 >=
        options->head_span_ms)
        return true;
    // How far the newest time moved, not how old the oldest sample is: a backfill does not turn the
    // head at once.
    int64_t front = atomic_load(&head->front_ms), newest = atomic_load(&head->max_ms), moved;
    return front != INT64_MIN && !__builtin_sub_overflow(newest, front, &moved) &&
           moved >= options->head_span_ms;
}

static bool turn(SeriesStore *store) {
    Clock *clock = store->options.clock;
    Head *head = head_open(store->head->generation + 1, store->options.hash_key,
                           store->options.memory, clock->monotonic_ns(clock));
    shared_take_write(&store->generation);
    mutex_take(&store->blocks_lock);
    store->quota.again = registry_count(&store->head->registry);
    *array_add(&store->turned) = store->head;
    store->head = head;
    mutex_give(&store->blocks_lock);
    shared_give(&store->generation);
    return true;
}

bool series_turn(SeriesStore *store, Error *err) {
    (void)err;
    mutex_take(&store->maintain);
    bool turned = is_empty(store->head) || turn(store);
    mutex_give(&store->maintain);
    return turned;
}

uint64_t series_needed_sequence(SeriesStore *store) {
    uint64_t needed = UINT64_MAX;
    // Under `generation`, exclusive, no batch stands between its log record and its samples.
    shared_take_write(&store->generation);
    for (size_t i = 0; i < store->turned.count; i++)
        needed = MIN(needed, (uint64_t)atomic_load(&store->turned.at[i]->first_sequence));
    needed = MIN(needed, (uint64_t)atomic_load(&store->head->first_sequence));
    shared_give(&store->generation);
    return needed;
}

// ---- Blocks and the manifest ----

bool store_open_block(SeriesStore *store, Text object, int64_t bytes, Block **out, Error *err) {
    TRY(block_open(store->options.objects, object, bytes, out, err));
    // Columns of windows are read in turns, so that a row of one would only push out another.
    bool samples = block_facts(*out).tier_ms == 0;
    block_keep(*out, store->options.pages, samples ? store->options.rows : NULL);
    return true;
}

static bool means_any(const Delete *one, const StoreBlockArray *blocks) {
    for (size_t i = 0; i < blocks->count; i++) {
        const ManifestBlock *facts = &blocks->at[i].facts;
        if (delete_means(one, block_number(facts->name), facts->min_ms, facts->max_ms)) return true;
    }
    return false;
}

static bool is_needed(const Delete *one, const StoreBlockArray *blocks,
                      const StoreBlockArray *tiers) {
    return means_any(one, blocks) || means_any(one, tiers);
}

void store_install_deletes(SeriesStore *store, const DeleteArray *deletes) {
    DeleteArray kept = {0}, old = store->deletes;
    for (size_t i = 0; i < deletes->count; i++) {
        if (is_needed(deletes->at[i], &store->blocks, &store->tiers))
            *array_add(&kept) = delete_ref(deletes->at[i]);
    }
    mutex_take(&store->blocks_lock);
    store->deletes = kept;
    mutex_give(&store->blocks_lock);
    deletes_free(&old);
}

bool store_write_manifest(SeriesStore *store, const StoreBlockArray *blocks,
                          uint64_t sealed_sequence, Error *err) {
    return store_write_manifest_with(store, blocks, &store->deletes, sealed_sequence, err);
}

static Manifest compose_manifest(const SeriesStore *store, const StoreBlockArray *blocks,
                                 const StoreBlockArray *tiers, const DeleteArray *deletes,
                                 uint64_t sealed_sequence) {
    Manifest manifest = {
        .sealed_sequence = sealed_sequence,
        .next_order = store->manifest.next_order,
        .writes = store->manifest.writes + 1,
    };
    for (size_t i = 0; i < blocks->count; i++) *array_add(&manifest.blocks) = blocks->at[i].facts;
    for (size_t i = 0; i < tiers->count; i++) *array_add(&manifest.tiers) = tiers->at[i].facts;
    for (size_t i = 0; i < deletes->count; i++) {
        if (is_needed(deletes->at[i], blocks, tiers))
            *array_add(&manifest.deletes) = deletes->at[i]->facts;
    }
    return manifest;
}

bool store_write_manifest_with(SeriesStore *store, const StoreBlockArray *blocks,
                               const DeleteArray *deletes, uint64_t sealed_sequence, Error *err) {
    return store_write_manifest_all(store, blocks, &store->tiers, deletes, sealed_sequence, err);
}

bool store_write_manifest_all(SeriesStore *store, const StoreBlockArray *blocks,
                              const StoreBlockArray *tiers, const DeleteArray *deletes,
                              uint64_t sealed_sequence, Error *err) {
    Manifest manifest = compose_manifest(store, blocks, tiers, deletes, sealed_sequence);
    bool written = manifest_write(store->options.disk, store->options.folder, &manifest, err);
    manifest_free(&manifest);
    if (!written) return false;
    store->manifest.sealed_sequence = sealed_sequence;
    store->manifest.writes++;
    return true;
}

// ---- Snapshots ----

static bool publish_blocks(SeriesStore *store, const StoreBlockArray *blocks, Text objects_folder,
                           Error *err) {
    Objects *objects = store->options.objects;
    for (size_t i = 0; i < blocks->count; i++) {
        AUTO(arena_free) Arena scratch = {0};
        const StoreBlock *block = &blocks->at[i];
        Text to = text_format(&scratch, "%.*s/%.*s", TEXT_ARG(objects_folder),
                              TEXT_ARG(block->facts.name));
        if (objects->publish(objects, store_object_name(store, block->facts.name, &scratch), to,
                             err))
            continue;
        // A damaged block that is not even there is missing in the snapshot as well, which says so.
        if (block->block != NULL || err->code != ERROR_NOT_FOUND) return false;
    }
    return true;
}

bool series_snapshot(SeriesStore *store, Text objects_folder, Text folder, Error *err) {
    mutex_take(&store->maintain);
    Manifest manifest = compose_manifest(store, &store->blocks, &store->tiers, &store->deletes,
                                         store->manifest.sealed_sequence);
    Disk *disk = store->options.disk;
    bool done = publish_blocks(store, &store->blocks, objects_folder, err) &&
                publish_blocks(store, &store->tiers, objects_folder, err) &&
                disk->sync_folder(disk, objects_folder, err) &&
                manifest_write(disk, folder, &manifest, err);
    manifest_free(&manifest);
    mutex_give(&store->maintain);
    return done;
}

// A failure may have come after the new manifest had its name, so the one that is there decides;
// what cannot be read or removed is set aside at the next start.
static bool may_be_named(SeriesStore *store, Text name) {
    AUTO(arena_free) Arena arena = {0};
    Manifest manifest = {0};
    Error ignored = {0};
    if (!manifest_read(store->options.disk, store->options.folder, &arena, &manifest, &ignored))
        return true;
    bool named = false;
    for (size_t i = 0; i < manifest.blocks.count; i++)
        named |= text_equal(manifest.blocks.at[i].name, name);
    for (size_t i = 0; i < manifest.tiers.count; i++)
        named |= text_equal(manifest.tiers.at[i].name, name);
    manifest_free(&manifest);
    return named;
}

void store_give_up_block(SeriesStore *store, StoreBlock *block) {
    AUTO(arena_free) Arena scratch = {0};
    Objects *objects = store->options.objects;
    store_block_drop(block);
    if (may_be_named(store, block->facts.name)) return;
    Error ignored = {0};
    bool removed =
        objects->remove(objects, store_object_name(store, block->facts.name, &scratch), &ignored);
    (void)removed;
}

// ---- Sealing ----

typedef struct Sealing {
    SeriesStore *store;
    Head *head;
    const uint32_t *refs;  // in labels order
    SeriesColumns columns;
    StoreBlockArray made;  // opened, durable, not in the manifest yet
    bool metadata_written;
} Sealing;

static void sealing_end(Sealing *sealing) {
    series_columns_free(&sealing->columns);
    for (size_t i = 0; i < sealing->made.count; i++) store_block_drop(&sealing->made.at[i]);
    array_free(&sealing->made);
}

// The exemplars of the day, by series: rising refs, and where each begins.
static int by_ref_and_time(const void *a, const void *b) {
    const HeadExemplar *first = a, *again = b;
    if (first->ref != again->ref) return first->ref < again->ref ? -1 : 1;
    return (first->time_ms > again->time_ms) - (first->time_ms < again->time_ms);
}

static bool write_exemplars(const HeadExemplarArray *all, uint32_t ref, BlockWriter *writer,
                            Error *err) {
    size_t low = 0, high = all->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all->at[middle].ref < ref) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < all->count && all->at[low].ref == ref; low++) {
        const HeadExemplar *exemplar = &all->at[low];
        if (low > 0 && exemplar[-1].ref == ref && exemplar[-1].time_ms == exemplar->time_ms)
            continue;
        TRY(block_writer_exemplar(writer, exemplar->time_ms, exemplar->value,
                                  (Labels){exemplar->labels}, err));
    }
    return true;
}

static bool has_exemplar(const HeadExemplarArray *all, uint32_t ref) {
    HeadExemplar key = {.ref = ref, .time_ms = INT64_MIN};
    size_t low = 0, high = all->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_ref_and_time(&all->at[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < all->count && all->at[low].ref == ref;
}

// One series' part of the day; *wrote tells whether it has any.
static bool write_series(Sealing *sealing, uint32_t ref, int64_t from_ms, int64_t to_ms,
                         const HeadExemplarArray *exemplars, BlockWriter *writer, bool *wrote,
                         Error *err) {
    Head *head = sealing->head;
    SeriesColumns *columns = &sealing->columns;
    columns->count = 0;
    columns->wants_starts = true;
    columns->has_starts = false;
    TRY(head_read(head, NULL, ref, from_ms, to_ms, columns, err));
    AUTO(arena_free) Arena scratch = {0};
    SeriesHistogramArray histograms = {0};
    if (head->side.histograms.count > 0)
        side_histograms(head, ref, from_ms, to_ms, &scratch, &histograms);
    if (columns->count == 0 && histograms.count == 0 && !has_exemplar(exemplars, ref)) return true;
    *wrote = true;
    TRY(block_writer_series(writer, registry_labels(&head->registry, ref, &scratch), err));
    if (columns->count > 0) TRY(block_writer_columns(writer, columns, err));
    for (size_t i = 0; i < histograms.count; i++) {
        TRY(block_writer_histogram(writer, histograms.at[i].time_ms, histograms.at[i].wire, err));
    }
    return write_exemplars(exemplars, ref, writer, err);
}

static bool in_time(const SeriesStore *store, Error *err) {
    Clock *clock = store->options.clock;
    if (store->seal_by_ns == 0 || clock->monotonic_ns(clock) < store->seal_by_ns) return true;
    return error_set(err, ERROR_TIMEOUT, "the time for writing heads to blocks is over");
}

// A block of the day's series from the one at *next on, as many as its budget has room for.
static bool seal_part(Sealing *sealing, int64_t day, const HeadExemplarArray *exemplars,
                      uint32_t *next, Error *err) {
    Head *head = sealing->head;
    SeriesStore *store = sealing->store;
    int64_t from_ms = day * DAY_MS, to_ms = from_ms + DAY_MS - 1;
    AUTO(building_end) Building building;
    building_begin(&building, store);
    bool wrote = false;
    uint32_t count = registry_count(&head->registry);
    for (; *next < count; ++*next) {
        if (*next % SERIES_PER_LOOK == 0) TRY(in_time(store, err));
        if (!building_has_room(&building)) break;
        TRY(write_series(sealing, sealing->refs[*next], from_ms, to_ms, exemplars, building.writer,
                         &wrote, err));
    }
    if (!wrote) return true;  // the day was noted for a sample that was a duplicate
    if (!sealing->metadata_written)
        TRY(store_write_metadata(store, head->generation, building.writer, err));
    sealing->metadata_written = true;
    TRY(in_time(store, err));
    StoreBlock block;
    TRY(building_put(&building, 0, BUILDING_COMES_LAST, &block, err));
    *array_add(&sealing->made) = block;
    return true;
}

static bool seal_day(Sealing *sealing, int64_t day, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    HeadExemplarArray exemplars = {0};
    side_exemplars(sealing->head, NULL, day * DAY_MS, day * DAY_MS + DAY_MS - 1, &scratch,
                   &exemplars);
    if (exemplars.count > 0)
        qsort(exemplars.at, exemplars.count, sizeof *exemplars.at, by_ref_and_time);
    for (uint32_t next = 0; next < registry_count(&sealing->head->registry);)
        TRY(seal_part(sealing, day, &exemplars, &next, err));
    return true;
}

// The sequence below which everything is in blocks once `head`, the oldest, is sealed.
static uint64_t sealed_after(const SeriesStore *store, const Head *head) {
    return MAX(store->manifest.sealed_sequence, atomic_load(&head->last_sequence) + 1);
}

// The manifest first, then views see the blocks instead of the head, in one step.
static bool install(SeriesStore *store, Sealing *sealing, Error *err) {
    StoreBlockArray blocks = {0};
    for (size_t i = 0; i < store->blocks.count; i++) *array_add(&blocks) = store->blocks.at[i];
    for (size_t i = 0; i < sealing->made.count; i++) *array_add(&blocks) = sealing->made.at[i];
    if (!store_write_manifest(store, &blocks, sealed_after(store, sealing->head), err)) {
        array_free(&blocks);
        return false;
    }
    shared_take_write(&store->generation);  // writers look at the newest turned head
    mutex_take(&store->blocks_lock);
    array_free(&store->blocks);
    store->blocks = blocks;
    assert(store->turned.at[0] == sealing->head);
    memmove(store->turned.at, store->turned.at + 1, (store->turned.count - 1) * sizeof(Head *));
    store->turned.count--;
    mutex_give(&store->blocks_lock);
    shared_give(&store->generation);
    array_clear(&sealing->made);  // they belong to the store now
    head_unref(&sealing->head);
    return true;
}

// Metadata that came without any sample has a block to itself, of the moment it is sealed: waiting
// for samples that may never come would hold the log of all tenants.
static bool seal_metadata(Sealing *sealing, Error *err) {
    SeriesStore *store = sealing->store;
    Clock *clock = store->options.clock;
    int64_t now_ms = clock->wall_ms(clock);
    AUTO(building_end) Building building;
    building_begin(&building, store);
    block_writer_covers(building.writer, now_ms, now_ms);
    TRY(store_write_metadata(store, sealing->head->generation, building.writer, err));
    StoreBlock block;
    TRY(building_put(&building, 0, BUILDING_COMES_LAST, &block, err));
    *array_add(&sealing->made) = block;
    return true;
}

// Blocks of a head that could not be sealed whole; the next try makes new ones.
static void abandon(Sealing *sealing) {
    for (size_t i = 0; i < sealing->made.count; i++)
        store_give_up_block(sealing->store, &sealing->made.at[i]);
    array_clear(&sealing->made);
}

static bool seal(SeriesStore *store, Head *head, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(sealing_end) Sealing sealing = {.store = store, .head = head};
    sealing.refs = registry_sorted(&head->registry, &arena);
    size_t days = head->side.days.count;
    for (size_t i = 0; i < days; i++) {
        if (seal_day(&sealing, head->side.days.at[i], err)) continue;
        abandon(&sealing);
        return error_context(err, "sealing a head");
    }
    if (!sealing.metadata_written && store_has_metadata(store, head->generation) &&
        !seal_metadata(&sealing, err)) {
        return error_context(err, "sealing the metadata of a head");
    }
    if (!install(store, &sealing, err)) {
        abandon(&sealing);
        return error_context(err, "sealing a head");
    }
    atomic_fetch_add(&store->seals, 1);
    return true;
}

// Oldest first, so that the sequence in the manifest never claims a head that is still in memory.
static bool seal_turned(SeriesStore *store, Error *err) {
    while (store->turned.count > 0) TRY(seal(store, store->turned.at[0], err));
    return true;
}

bool store_seal_heads_now(SeriesStore *store, Error *err) {
    TRY(seal_turned(store, err));
    return is_empty(store->head) || (turn(store) && seal_turned(store, err));
}

void series_seal_by(SeriesStore *store, int64_t by_ns) {
    mutex_take(&store->maintain);
    store->seal_by_ns = by_ns;
    mutex_give(&store->maintain);
}

bool series_seal(SeriesStore *store, Error *err) {
    mutex_take(&store->maintain);
    bool sealed = seal_turned(store, err);
    mutex_give(&store->maintain);
    return sealed;
}
