// Walking through several blocks by labels.

#include "store/series/block_walk.h"

void block_walk_begin(BlockWalk *walk, StoreBlock *const *blocks, size_t count,
                      const uint32_t *from) {
    *walk = (BlockWalk){.sources = memory_new_array(WalkSource, count), .count = count};
    for (size_t i = 0; i < count; i++) {
        walk->sources[i].from = blocks[i];
        walk->sources[i].count = (uint32_t)block_facts(blocks[i]->block).series;
        walk->sources[i].next = from == NULL ? 0 : from[i];
    }
}

static void close_cursor(BlockWalk *walk, WalkSource *source) {
    if (source->cursor == NULL) return;
    block_cursor_close(&source->cursor);
    walk->open--;
}

// Past the series at hand, to the labels of the next one.
static bool source_advance(BlockWalk *walk, WalkSource *source, Error *err) {
    if (source->here) {
        source->next++;
        source->here = source->known = false;
    }
    if (source->known || source->next >= source->count) return true;
    arena_clear(&source->arena);
    TRY(block_labels(source->from->block, source->next, &source->arena, &source->labels, err));
    source->known = true;
    return true;
}

bool block_walk_next(BlockWalk *walk, bool *more, Error *err) {
    const WalkSource *lowest = NULL;
    for (size_t i = 0; i < walk->count; i++) {
        WalkSource *source = &walk->sources[i];
        TRY(source_advance(walk, source, err));
        if (!source->known) {
            close_cursor(walk, source);
        } else if (lowest == NULL || labels_compare(source->labels, lowest->labels) < 0) {
            lowest = source;
        }
    }
    *more = lowest != NULL;
    if (lowest == NULL) return true;
    arena_clear(&walk->arena);
    walk->labels = (Labels){bytes_copy(lowest->labels.wire, &walk->arena)};
    for (size_t i = 0; i < walk->count; i++) {
        WalkSource *source = &walk->sources[i];
        source->here = source->known && labels_equal(source->labels, walk->labels);
    }
    return true;
}

BlockCursor *block_walk_cursor(BlockWalk *walk, WalkSource *source) {
    source->used = ++walk->uses;
    if (source->cursor != NULL) return source->cursor;
    if (walk->open >= WALK_CURSORS_MAX) {
        WalkSource *oldest = NULL;
        for (size_t i = 0; i < walk->count; i++) {
            WalkSource *other = &walk->sources[i];
            if (other->cursor != NULL && (oldest == NULL || other->used < oldest->used))
                oldest = other;
        }
        close_cursor(walk, oldest);
    }
    walk->open++;
    return source->cursor = block_cursor_open(source->from->block);
}

double block_walk_done(const BlockWalk *walk) {
    uint64_t done = 0, all = 0;
    for (size_t i = 0; i < walk->count; i++) {
        done += walk->sources[i].next;
        all += walk->sources[i].count;
    }
    return all == 0 ? 1 : (double)done / (double)all;
}

void block_walk_save(const BlockWalk *walk, uint32_t *next) {
    for (size_t i = 0; i < walk->count; i++)
        next[i] = walk->sources[i].next + walk->sources[i].here;
}

void block_walk_close(BlockWalk *walk) {
    for (size_t i = 0; i < walk->count; i++) close_cursor(walk, &walk->sources[i]);
}

void block_walk_end(BlockWalk *walk) {
    block_walk_close(walk);
    for (size_t i = 0; i < walk->count; i++) arena_free(&walk->sources[i].arena);
    memory_free(walk->sources);
    arena_free(&walk->arena);
    *walk = (BlockWalk){0};
}
