// The store: opening, the way of a write, and what it tells about itself.

#include "store/series/generations.h"
#include "store/series/tier.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "codec/crc32c.h"

static const int64_t HEAD_SPAN_MS = 2 * 3600 * 1000;
static const int64_t HEAD_BYTES = 256 * (int64_t)MB;
// Less is not worth two syncs and a manifest: it is a page of columns, which may come to a half.
static const int64_t COLD_BYTES = 64 * KB;

Text store_object_name(const SeriesStore *store, Text name, Arena *arena) {
    return text_format(arena, "%.*s%.*s", TEXT_ARG(store->options.object_prefix), TEXT_ARG(name));
}

void store_block_drop(StoreBlock *block) {
    if (block->block != NULL) block_unref(&block->block);
}

static void use_defaults(SeriesOptions *options) {
    if (options->head_span_ms == 0) options->head_span_ms = HEAD_SPAN_MS;
    if (options->head_bytes_max == 0) options->head_bytes_max = HEAD_BYTES;
    if (options->block_cold_bytes == 0) options->block_cold_bytes = COLD_BYTES;
}

// ---- Opening ----

typedef ARRAY(Text) TextArray;

static bool learn_from_block(void *context, const BatchMetadata *metadata, Error *err) {
    (void)err;
    store_learn_metadata(context, metadata, 0);
    return true;
}

// Samples are not to be taken for windows of a tier, nor these for those.
static bool check_kind(const StoreBlock *block, Error *err) {
    int64_t tier_ms = block_facts(block->block).tier_ms;
    return tier_ms == block->facts.tier_ms ||
           error_set(err, ERROR_CORRUPT,
                     "it holds windows of %lld ms where the manifest says %lld (0: samples)",
                     (long long)tier_ms, (long long)block->facts.tier_ms);
}

// Opens what the manifest names, oldest first, so that newer metadata wins. Damage keeps a block
// apart, not the store shut.
static bool open_blocks(SeriesStore *store, const ManifestBlock *facts, size_t count,
                        StoreBlockArray *out, Arena *arena, SeriesReport *report, TextArray *notes,
                        Error *err) {
    for (size_t i = 0; i < count; i++) {
        StoreBlock *block = array_add(out);
        block->facts = facts[i];
        AUTO(arena_free) Arena scratch = {0};
        Text name = store_object_name(store, block->facts.name, &scratch);
        Error why = {0};
        bool whole = store_open_block(store, name, block->facts.bytes, &block->block, &why) &&
                     check_kind(block, &why) &&
                     block_each_metadata(block->block, learn_from_block, store, &why);
        report->blocks++;
        // Manifests did not always say it.
        block->facts.cold |= whole && block_facts(block->block).near;
        if (whole) continue;
        // Out of memory or descriptors is not damage: the next start may do better.
        if (why.code != ERROR_CORRUPT && why.code != ERROR_NOT_FOUND && why.code != ERROR_IO &&
            why.code != ERROR_TOO_LARGE) {
            *err = why;
            return error_context(err, "opening block %.*s", TEXT_ARG(name));
        }
        if (block->block != NULL) block_unref(&block->block);
        block->why = why;
        report->blocks_damaged++;
        *array_add_on(arena, notes) = text_format(arena, "block %.*s is damaged and kept apart: %s",
                                                  TEXT_ARG(name), why.message);
    }
    return true;
}

static bool open_deletes(SeriesStore *store, Error *err) {
    for (size_t i = 0; i < store->manifest.deletes.count; i++) {
        Delete *made;
        if (!delete_make(&store->manifest.deletes.at[i], &made, err)) {
            return error_context(err, "delete %zu of the manifest in %.*s", i + 1,
                                 TEXT_ARG(store->options.folder));
        }
        *array_add(&store->deletes) = made;
    }
    return true;
}

static bool is_named(const SeriesStore *store, Text name) {
    for (size_t i = 0; i < store->manifest.blocks.count; i++) {
        if (text_equal(store->manifest.blocks.at[i].name, name)) return true;
    }
    for (size_t i = 0; i < store->manifest.tiers.count; i++) {
        if (text_equal(store->manifest.tiers.at[i].name, name)) return true;
    }
    return false;
}

// An object that the manifest does not name goes to the quarantine: a crash between a block and its
// manifest leaves one, and whatever else it is, it is not guessed at (W15).
static bool quarantine(SeriesStore *store, const DiskEntry *entry, Text name, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    Objects *objects = store->options.objects;
    Text from = store_object_name(store, name, &scratch);
    // The half of a put that a crash cut short; nobody ever saw it.
    if (text_ends_with(name, TEXT(".tmp"))) return objects->remove(objects, from, err);
    Disk *disk = store->options.disk;
    Text folder = text_format(&scratch, "%.*s/quarantine", TEXT_ARG(store->options.folder));
    TRY(disk_make_folders(disk, folder, err));
    Object object;
    if (!objects->open(objects, from, entry->bytes, &object, err))
        return error_context(err, "quarantining %.*s", TEXT_ARG(from));
    char *flat = text_to_cstring(name, &scratch);
    for (char *at = flat; *at != '\0'; at++) *at = *at == '/' ? '_' : *at;
    bool kept = disk_replace(disk, folder, text_from_cstring(flat), object.bytes, err);
    objects->close(objects, &object);
    return kept && objects->remove(objects, from, err);
}

static bool sweep(SeriesStore *store, Arena *arena, SeriesReport *report, TextArray *notes,
                  Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    Objects *objects = store->options.objects;
    DiskEntries entries;
    Text prefix = store->options.object_prefix;
    TRY(objects->list(objects, prefix, &scratch, &entries, err));
    for (size_t i = 0; i < entries.count; i++) {
        const DiskEntry *entry = &entries.at[i];
        // A lister may give names with the prefix or without it.
        Text name = text_starts_with(entry->name, prefix)
                        ? text_slice(entry->name, prefix.len, entry->name.len)
                        : entry->name;
        if (entry->is_folder || is_named(store, name)) continue;
        report->strangers++;
        Error why = {0};
        bool moved = quarantine(store, entry, name, &why);
        *array_add_on(arena, notes) =
            moved ? text_format(arena, "object %.*s is not in the manifest; set aside",
                                TEXT_ARG(name))
                  : text_format(arena,
                                "object %.*s is not in the manifest and could not be moved: %s",
                                TEXT_ARG(name), why.message);
    }
    return true;
}

// What a tier keeps of whom: as long as its setting says, and of series that a rule names no longer
// than the rule.
static void tier_retention_make(SeriesStore *store, size_t k) {
    const SeriesRetention *of_samples = &store->options.retention;
    int64_t keep_ms = store->options.tiers[k].keep_ms;
    SeriesKeep *rules = arena_push_array(&store->arena, SeriesKeep, of_samples->rule_count + 1);
    for (size_t i = 0; i < of_samples->rule_count; i++) {
        rules[i] = of_samples->rules[i];
        if (rules[i].keep_ms == 0 || (keep_ms != 0 && keep_ms < rules[i].keep_ms))
            rules[i].keep_ms = keep_ms;
    }
    store->tier_retention[k] = (SeriesRetention){keep_ms, rules, of_samples->rule_count};
}

static SeriesStore *store_begin(SeriesOptions options) {
    SeriesStore *store = memory_new(SeriesStore);
    use_defaults(&options);
    store->options = options;
    store->options.folder = text_copy(options.folder, &store->arena);
    store->options.object_prefix = text_copy(options.object_prefix, &store->arena);
    shared_begin(&store->generation, LOCK_SERIES_GENERATION);
    mutex_begin(&store->maintain, LOCK_SERIES_MAINTAIN);
    mutex_begin(&store->blocks_lock, LOCK_SERIES_BLOCKS);
    mutex_begin(&store->families_lock, LOCK_SERIES_SIDE);
    changes_begin(&store->changes);
    for (size_t k = 0; k < SERIES_TIERS; k++) tier_retention_make(store, k);
    store->families = map_begin(&store->families_arena, options.hash_key);
    quota_begin(&store->quota, options.limits, options.clock->monotonic_ns(options.clock));
    return store;
}

bool series_open(SeriesOptions options, Arena *arena, SeriesReport *report, SeriesStore **out,
                 Error *err) {
    AUTO(series_close) SeriesStore *store = store_begin(options);
    TextArray notes = {0};
    *report = (SeriesReport){0};
    TRY(disk_make_folders(options.disk, store->options.folder, err));
    TRY(manifest_read(options.disk, store->options.folder, &store->arena, &store->manifest, err));
    // Its name may be there and not be durable: whoever wrote it may have been killed, or have
    // failed, before the folder was synced. The log is trimmed by what it says, so it must stay.
    TRY(options.disk->sync_folder(options.disk, store->options.folder, err));
    TRY(open_deletes(store, err));
    const Manifest *manifest = &store->manifest;
    TRY(open_blocks(store, manifest->blocks.at, manifest->blocks.count, &store->blocks, arena,
                    report, &notes, err));
    TRY(open_blocks(store, manifest->tiers.at, manifest->tiers.count, &store->tiers, arena, report,
                    &notes, err));
    TRY(sweep(store, arena, report, &notes, err));
    for (size_t i = 0; i < store->blocks.count; i++) {
        const Block *block = store->blocks.at[i].block;
        if (block != NULL)
            store->quota.again = MAX(store->quota.again, (int64_t)block_facts(block).series);
    }
    report->sealed_sequence = store->manifest.sealed_sequence;
    report->notes = notes.at;
    report->note_count = notes.count;
    // Generations are unlike those of any earlier life, so that a prediction kept by mistake does
    // not fit.
    uint64_t generation = (store->manifest.next_order + store->manifest.writes + 1) << 20;
    store->head = head_open(generation, options.hash_key, options.memory,
                            options.clock->monotonic_ns(options.clock));
    *out = TAKE(store);
    return true;
}

void series_close(SeriesStore **store) {
    if (*store == NULL) return;
    SeriesStore *gone = TAKE(*store);
    head_unref(&gone->head);
    for (size_t i = 0; i < gone->turned.count; i++) head_unref(&gone->turned.at[i]);
    array_free(&gone->turned);
    for (size_t i = 0; i < gone->blocks.count; i++) store_block_drop(&gone->blocks.at[i]);
    array_free(&gone->blocks);
    tier_draft_end(gone);
    for (size_t i = 0; i < gone->tiers.count; i++) store_block_drop(&gone->tiers.at[i]);
    array_free(&gone->tiers);
    manifest_free(&gone->manifest);
    deletes_free(&gone->deletes);
    array_free(&gone->gaps);
    store_free_metadata(gone);
    changes_end(&gone->changes);
    quota_end(&gone->quota);
    mutex_end(&gone->blocks_lock);
    mutex_end(&gone->maintain);
    shared_end(&gone->generation);
    arena_free(&gone->arena);
    memory_free(gone);
}

// ---- Writing ----

bool series_may_write(SeriesStore *store, Error *err) {
    const Budget *memory = store->options.memory;
    shared_take_read(&store->generation);
    int64_t overdraft = atomic_load(&store->head->memory.overdraft);
    shared_give(&store->generation);
    bool full = overdraft > 0;
    for (const Budget *at = memory; at != NULL && !full; at = at->parent) {
        int64_t limit = atomic_load(&at->limit);
        full = limit != 0 && atomic_load(&at->used) >= limit;
    }
    if (!full) return true;
    return error_set(err, ERROR_NO_MEMORY,
                     "the memory for recent samples is used up (budget \"%s\"); try again when the "
                     "head was written out, "
                     "or raise memory.limit",
                     memory == NULL ? "" : memory->name);
}

void series_write_begin(SeriesStore *store) {
    shared_take_read(&store->generation);
}

void series_write_end(SeriesStore *store) {
    shared_give(&store->generation);
}

// Counted from when the batch came, so that a replay, later or under a clock that jumped, keeps
// what was kept before.
static int64_t oldest_welcome(const SeriesStore *store, const Batch *batch) {
    int64_t retention_ms = retention_longest(&store->options.retention),
            oldest = INT64_MIN + 1;  // INT64_MIN itself means "no sample yet"
    if (retention_ms == 0 || __builtin_sub_overflow(batch->arrival_ms, retention_ms, &oldest))
        return INT64_MIN + 1;
    return MAX(oldest, INT64_MIN + 1);
}

// Adding nothing would fetch the line from the other threads all the same.
static void count(_Atomic uint64_t *counter, uint64_t more) {
    if (more > 0) atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

void series_resolve(SeriesStore *store, SeriesPrediction *prediction, Batch *batch, bool replay) {
    // The newest turned head is the one before; it goes away only with `generation` held
    // exclusively.
    Head *before = store->turned.count == 0 ? NULL : store->turned.at[store->turned.count - 1];
    HeadCounts counts = {0};
    head_resolve(store->head, before, &store->quota, store->options.clock, prediction, batch,
                 oldest_welcome(store, batch), replay, &counts);
    count(&store->predicted, counts.predicted);
    count(&store->looked_up, counts.looked_up);
    count(&store->created, counts.created);
}

void series_append(SeriesStore *store, Batch *batch, uint64_t sequence) {
    uint64_t before = batch->counts[VERDICT_STORED];
    head_append(store->head, batch, sequence, oldest_welcome(store, batch));
    atomic_fetch_add_explicit(&store->appended, batch->counts[VERDICT_STORED] - before,
                              memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&store->changes.until_ms) != INT64_MIN) {
        int64_t oldest = INT64_MAX;
        for (size_t i = 0; i < batch->samples.count; i++)
            oldest = MIN(oldest, batch->samples.at[i].time_ms);
        for (size_t i = 0; i < batch->histograms.count; i++)
            oldest = MIN(oldest, batch->histograms.at[i].time_ms);
        series_note_change(store, oldest);
    }
    for (size_t i = 0; i < batch->metadata.count; i++) {
        store_learn_metadata(store, &batch->metadata.at[i], store->head->generation);
    }
}

void series_note_gap(SeriesStore *store, int64_t from_ms, int64_t to_ms, Text note) {
    mutex_take(&store->blocks_lock);
    *array_add(&store->gaps) = (StoreGap){from_ms, to_ms, note};
    mutex_give(&store->blocks_lock);
    series_note_change(store, from_ms);
}

// ---- What it tells ----

static uint64_t pairs_of(Registry *registry) {
    shared_take_read(&registry->lock);
    uint64_t pairs = registry->pair_count;
    shared_give(&registry->lock);
    return pairs;
}

void series_set_limits(SeriesStore *store, SeriesLimits limits) {
    quota_limit(&store->quota, limits);
}

void series_refusals(SeriesStore *store, Arena *arena, SeriesRefusals *out) {
    quota_refusals(&store->quota, arena, out);
}

void series_state(SeriesStore *store, SeriesState *out) {
    *out = (SeriesState){.head_min_ms = INT64_MAX,
                         .head_max_ms = INT64_MIN,
                         .block_min_ms = INT64_MAX,
                         .block_max_ms = INT64_MIN};
    mutex_take(&store->blocks_lock);
    for (size_t i = 0; i <= store->turned.count; i++) {
        Head *head = i < store->turned.count ? store->turned.at[i] : store->head;
        out->samples_in_head += atomic_load(&head->samples);
        out->chunks_in_head += atomic_load(&head->memory.strips) + head_series(head);
        out->head_bytes += head_bytes(head);
        out->head_min_ms = MIN(out->head_min_ms, (int64_t)atomic_load(&head->min_ms));
        out->head_max_ms = MAX(out->head_max_ms, (int64_t)atomic_load(&head->max_ms));
    }
    for (size_t i = 0; i < store->blocks.count; i++) {
        const ManifestBlock *facts = &store->blocks.at[i].facts;
        out->blocks++;
        out->block_samples += facts->samples;
        out->block_bytes += facts->bytes;
        out->block_min_ms = MIN(out->block_min_ms, facts->min_ms);
        out->block_max_ms = MAX(out->block_max_ms, facts->max_ms);
    }
    for (size_t i = 0; i < store->tiers.count; i++)
        out->tier_bytes += store->tiers.at[i].facts.bytes;
    out->tiers = store->tiers.count;
    out->series_active = head_series(store->head);
    out->deletes = store->deletes.count;
    Head *head = head_ref(store->head);
    mutex_give(&store->blocks_lock);

    out->pairs_active = pairs_of(&head->registry);
    mutex_take(&head->side.lock);
    out->exemplars = head->side.exemplars.count;
    out->histograms = head->side.histogram_count;
    mutex_give(&head->side.lock);
    head_unref(&head);
    out->series_created = atomic_load(&store->created);
    out->series_refused = atomic_load(&store->quota.refused);
    out->samples_appended = atomic_load(&store->appended);
    out->predicted = atomic_load(&store->predicted);
    out->looked_up = atomic_load(&store->looked_up);
    out->merges = atomic_load(&store->merges);
    out->seals = atomic_load(&store->seals);
    out->corruptions = atomic_load(&store->corruptions);
    out->scrubbed_bytes = atomic_load(&store->scrubbed_bytes);
}

static int by_count(const void *a, const void *b) {
    const SeriesTop *first = a, *again = b;
    if (first->count != again->count) return first->count < again->count ? 1 : -1;
    return text_compare(first->name, again->name);
}

static uint64_t holders_of(const Registry *registry, uint32_t pair) {
    const RegistryHolders *holders = vector_at(&registry->holders, pair);
    if (holders->list != 0) return registry->lists.at[holders->list - 1].count;
    return holders->first == UINT32_MAX ? 0 : 1;
}

typedef ARRAY(SeriesTop) SeriesTopArray;

// All rows of the kind, with the registry's lock held.
static void collect_top(const Registry *registry, SeriesTopKind kind, Arena *arena,
                        SeriesTopArray *out) {
    for (size_t i = 0; kind == TOP_LABEL_VALUES && i < registry->names.count; i++) {
        *array_add(out) =
            (SeriesTop){registry->names.at[i].name, registry->names.at[i].pairs.count};
    }
    for (size_t i = 0; kind == TOP_LABEL_MEMORY && i < registry->names.count; i++) {
        *array_add(out) = (SeriesTop){registry->names.at[i].name, registry->names.at[i].bytes};
    }
    for (uint32_t i = 0; kind == TOP_METRIC && i < registry->pair_count; i++) {
        Label label = registry_label_of(registry_pair(registry, i));
        if (text_equal(label.name, LABEL_NAME))
            *array_add(out) = (SeriesTop){label.value, holders_of(registry, i)};
    }
    for (uint32_t i = 0; kind == TOP_PAIR && i < registry->pair_count; i++) {
        Label label = registry_label_of(registry_pair(registry, i));
        uint64_t count = holders_of(registry, i);
        if (count < 2 && registry->pair_count > 10000)
            continue;  // not worth its text among so many
        *array_add(out) = (SeriesTop){
            text_format(arena, "%.*s=%.*s", TEXT_ARG(label.name), TEXT_ARG(label.value)), count};
    }
}

// The head that takes samples now, or did a moment ago.
static Head *young_head(SeriesStore *store) {
    mutex_take(&store->blocks_lock);
    Head *head = head_ref(store->head);
    mutex_give(&store->blocks_lock);
    return head;
}

void series_post(SeriesStore *store) {
    AUTO(head_unref) Head *head = young_head(store);
    (void)head_postings(head);
}

bool series_top(SeriesStore *store, SeriesTopKind kind, size_t limit, Arena *arena, SeriesTop **out,
                size_t *count, Error *err) {
    (void)err;
    AUTO(head_unref) Head *head = young_head(store);
    SeriesTopArray rows = {0};
    Registry *registry = head_postings(head);
    shared_take_read(&registry->lock);
    collect_top(registry, kind, arena, &rows);
    shared_give(&registry->lock);
    if (rows.count > 0) qsort(rows.at, rows.count, sizeof *rows.at, by_count);
    *count = MIN(limit, rows.count);
    *out = arena_push_array(arena, SeriesTop, *count + 1);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (SeriesTop){text_copy(rows.at[i].name, arena), rows.at[i].count};
    array_free(&rows);
    return true;
}

bool series_inspect_block(Disk *disk, Text path, bool verify_all, Progress *progress, Builder *out,
                          Error *err) {
    ptrdiff_t slash = -1;
    for (size_t i = 0; i < path.len; i++) slash = path.at[i] == '/' ? (ptrdiff_t)i : slash;
    Text folder = slash < 0 ? TEXT(".") : text_slice(path, 0, (size_t)slash);
    Text name = text_slice(path, (size_t)(slash + 1), path.len);
    AUTO(objects_close) Objects *objects = NULL;
    TRY(objects_open_directory(disk, folder, &objects, err));
    File *file;
    int64_t bytes = 0;
    TRY(disk->open(disk, path, FILE_READ, &file, err));
    bool sized = disk->size(disk, file, &bytes, err);
    disk->close(disk, &file);
    AUTO(block_unref) Block *block = NULL;
    return sized && block_open(objects, name, bytes, &block, err) &&
           block_inspect(block, verify_all, progress, out, err);
}
