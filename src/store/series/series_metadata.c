// Metadata of metric families: one map for the whole store, newest wins, written into the blocks of
// its generation.

#include <stdlib.h>

#include "base/limits.h"
#include "store/series/generations.h"

static bool same(const BatchMetadata *a, const BatchMetadata *b) {
    return a->type == b->type && text_equal(a->help, b->help) && text_equal(a->unit, b->unit);
}

// One allocation holds help and unit, so that a family that changes often does not grow an arena.
static void keep(StoreFamily *family, const BatchMetadata *metadata) {
    char *texts = memory_take(metadata->help.len + metadata->unit.len);
    if (metadata->help.len > 0) memcpy(texts, metadata->help.at, metadata->help.len);
    if (metadata->unit.len > 0)
        memcpy(texts + metadata->help.len, metadata->unit.at, metadata->unit.len);
    memory_free((void *)(uintptr_t)family->metadata.help.at);
    family->metadata.type = metadata->type;
    family->metadata.help = (Text){texts, metadata->help.len};
    family->metadata.unit = (Text){texts + metadata->help.len, metadata->unit.len};
}

static void learn(SeriesStore *store, const BatchMetadata *metadata, uint64_t generation) {
    StoreFamily *family = map_get(&store->families, metadata->family);
    if (family == NULL) {
        if ((int64_t)store->families.count >= LIMIT_METADATA_FAMILIES) return;
        family = arena_push(&store->families_arena, StoreFamily);
        void **place = map_put(&store->families, metadata->family);
        *place = family;
        family->metadata.family = text_copy(metadata->family, &store->families_arena);
    }
    if (family->metadata.help.at == NULL || !same(&family->metadata, metadata))
        keep(family, metadata);
    family->generation = generation;
}

void store_learn_metadata(SeriesStore *store, const BatchMetadata *metadata, uint64_t generation) {
    int64_t bytes = (int64_t)(metadata->family.len + metadata->help.len + metadata->unit.len);
    if (metadata->family.len == 0 || bytes > LIMIT_METADATA_BYTES) return;
    mutex_take(&store->families_lock);
    learn(store, metadata, generation);
    mutex_give(&store->families_lock);
}

bool store_write_metadata(SeriesStore *store, uint64_t generation, BlockWriter *writer,
                          Error *err) {
    AUTO(arena_free) Arena arena = {0};
    BatchMetadata *families;
    size_t count;
    TRY(series_metadata(store, TEXT_NONE, &arena, &families, &count, err));
    for (size_t i = 0; i < count; i++) {
        mutex_take(&store->families_lock);
        const StoreFamily *family = map_get(&store->families, families[i].family);
        bool seen = family != NULL && family->generation >= generation;
        mutex_give(&store->families_lock);
        if (seen) TRY(block_writer_metadata(writer, &families[i], err));
    }
    return true;
}

bool store_has_metadata(SeriesStore *store, uint64_t generation) {
    size_t at = 0;
    const MapSlot *slot;
    bool any = false;
    mutex_take(&store->families_lock);
    while (!any && map_next(&store->families, &at, &slot))
        any = ((StoreFamily *)slot->value)->generation == generation;
    mutex_give(&store->families_lock);
    return any;
}

void store_free_metadata(SeriesStore *store) {
    size_t at = 0;
    const MapSlot *slot;
    while (map_next(&store->families, &at, &slot)) {
        StoreFamily *family = slot->value;
        memory_free((void *)(uintptr_t)family->metadata.help.at);
    }
    arena_free(&store->families_arena);
    mutex_end(&store->families_lock);
}

static int by_family(const void *a, const void *b) {
    return text_compare(((const BatchMetadata *)a)->family, ((const BatchMetadata *)b)->family);
}

bool series_metadata(SeriesStore *store, Text family, Arena *arena, BatchMetadata **out,
                     size_t *count, Error *err) {
    (void)err;
    mutex_take(&store->families_lock);
    BatchMetadata *rows = arena_push_array(arena, BatchMetadata, store->families.count + 1);
    size_t at = 0, found = 0;
    const MapSlot *slot;
    while (map_next(&store->families, &at, &slot)) {
        const BatchMetadata *known = &((StoreFamily *)slot->value)->metadata;
        if (family.len > 0 && !text_equal(known->family, family)) continue;
        rows[found++] =
            (BatchMetadata){text_copy(known->family, arena), known->type,
                            text_copy(known->help, arena), text_copy(known->unit, arena)};
    }
    mutex_give(&store->families_lock);
    qsort(rows, found, sizeof *rows, by_family);
    *out = rows;
    *count = found;
    return true;
}
