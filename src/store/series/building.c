// Building blocks: in pieces to the disk, within a budget.

#include "store/series/building.h"

#include "codec/crc32c.h"

enum { PIECE_BYTES_DEFAULT = 1 * MB };

// A block gets its number when it gets its first byte on the disk.
static void give_name(Building *building) {
    if (building->name.len > 0) return;
    SeriesStore *store = building->store;
    building->name = text_format(&store->arena, "%016llx.block",
                                 (unsigned long long)store->manifest.next_order++);
    building->object = store_object_name(store, building->name, &building->arena);
}

static bool add_piece(void *context, Bytes piece, Error *err) {
    Building *building = context;
    Objects *objects = building->store->options.objects;
    give_name(building);
    if (building->draft == NULL)
        TRY(objects->begin(objects, building->object, &building->draft, err));
    TRY(objects->add(objects, building->draft, piece, err));
    building->crc = crc32c(building->crc, piece);
    building->bytes += (int64_t)piece.len;
    return true;
}

static bool read_piece(void *context, int64_t offset, void *into, size_t len, Error *err) {
    Building *building = context;
    Objects *objects = building->store->options.objects;
    return objects->read(objects, building->draft, offset, into, len, err);
}

void building_begin(Building *building, SeriesStore *store) {
    int64_t piece_bytes = store->options.block_piece_bytes;
    *building = (Building){
        .writer = block_writer_begin(), .store = store, .budget = store->options.building};
    block_writer_into(building->writer, (BlockSink){.context = building,
                                                    .bytes = piece_bytes == 0 ? PIECE_BYTES_DEFAULT
                                                                              : (size_t)piece_bytes,
                                                    .add = add_piece,
                                                    .read = read_piece});
}

static bool fits(Building *building) {
    int64_t wanted = block_writer_memory(building->writer);
    if (building->budget == NULL || wanted <= building->charged) return true;
    if (!budget_reserve(building->budget, wanted - building->charged, NULL))
        return wanted <= BUILDING_BYTES_LEAST;
    building->charged = wanted;
    return true;
}

bool building_has_room(Building *building) {
    int64_t most = building->store->options.block_series_max;
    uint64_t before = building->asked++;
    if (before % SERIES_PER_LOOK == 0 && !fits(building)) return false;
    return most == 0 || before < (uint64_t)most;
}

// What is left of it, and then its name.
static bool put_rest(Building *building, Bytes rest, Error *err) {
    Objects *objects = building->store->options.objects;
    if (building->draft != NULL)
        return add_piece(building, rest, err) && objects->finish(objects, building->draft, err);
    give_name(building);
    building->crc = crc32c(0, rest);
    building->bytes = (int64_t)rest.len;
    return objects->put(objects, building->object, rest, err);
}

static bool put(Building *building, Block **out, Error *err) {
    SeriesStore *store = building->store;
    Objects *objects = store->options.objects;
    AUTO(builder_free) Builder rest = {0};
    TRY(block_writer_finish(building->writer, &rest, err));
    block_writer_free(&building->writer);
    TRY(put_rest(building, text_bytes(builder_text(&rest)), err));
    return objects->verify(objects, building->object, building->bytes, building->crc, err) &&
           store_open_block(store, building->object, building->bytes, out, err);
}

bool building_put(Building *building, uint32_t level, uint64_t order, StoreBlock *out, Error *err) {
    Block *block = NULL;
    if (!put(building, &block, err)) {
        if (building->name.len == 0) return false;
        // No manifest names it yet. What cannot be removed either is set aside at the next start.
        Objects *objects = building->store->options.objects;
        Error ignored = {0};
        bool removed = objects->remove(objects, building->object, &ignored);
        (void)removed;
        return false;
    }
    BlockFacts facts = block_facts(block);
    bool last = order == BUILDING_COMES_LAST;
    *out = (StoreBlock){.facts = {.name = building->name,
                                  .bytes = building->bytes,
                                  .crc = building->crc,
                                  .level = level,
                                  .order = last ? block_number(building->name) : order,
                                  .min_ms = facts.min_ms,
                                  .max_ms = facts.max_ms,
                                  .series = facts.series,
                                  .samples = facts.samples},
                        .block = block};
    return true;
}

void building_end(Building *building) {
    if (building->store == NULL) return;
    Objects *objects = building->store->options.objects;
    block_writer_free(&building->writer);
    objects->abandon(objects, &building->draft);
    if (building->charged > 0) budget_release(building->budget, building->charged);
    // One that came near its bound leaves as much behind in the allocator, beside heads that grow.
    if (building->charged > BUILDING_BYTES_LEAST &&
        building->charged > atomic_load(&building->budget->limit) / 2)
        memory_give_back();
    arena_free(&building->arena);
}
