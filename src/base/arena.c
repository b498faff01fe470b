// Arenas: a list of blocks, filled one after the other.

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

static const size_t BLOCK_BYTES_MIN = 4 * KB;
static const size_t BLOCK_BYTES_MAX = MB;

struct ArenaBlock {
    ArenaBlock *older;
    size_t size;  // of the whole block, this header included
};

// Adds a block that can hold `size` bytes at `align`, and makes it the newest.
static void grow(Arena *arena, size_t size, size_t align) {
    size_t need = sizeof(ArenaBlock) + size + align;
    size_t next =
        arena->block == NULL ? BLOCK_BYTES_MIN : MIN(arena->block->size * 2, BLOCK_BYTES_MAX);
    size_t bytes = MAX(need, next);
    ArenaBlock *block = memory_take(bytes);
    block->older = arena->block;
    block->size = bytes;
    arena->block = block;
    arena->at = (char *)(block + 1);
    arena->end = (char *)block + bytes;
    arena->bytes += bytes;
}

void *arena_push_raw(Arena *arena, size_t size, size_t align) {
    uintptr_t at = ((uintptr_t)arena->at + (align - 1)) & ~(uintptr_t)(align - 1);
    if (unlikely(arena->at == NULL || at > (uintptr_t)arena->end ||
                 size > (uintptr_t)arena->end - at)) {
        grow(arena, size, align);
        at = ((uintptr_t)arena->at + (align - 1)) & ~(uintptr_t)(align - 1);
    }
    arena->at = (char *)(at + size);
    return (void *)at;
}

void *arena_push_size(Arena *arena, size_t size, size_t align) {
    void *at = arena_push_raw(arena, size, align);
    memset(at, 0, size);
    return at;
}

// Releases the newest blocks until `stop` is the newest.
static void release_until(Arena *arena, const ArenaBlock *stop) {
    while (arena->block != stop) {
        ArenaBlock *block = arena->block;
        assert(block != NULL);
        arena->block = block->older;
        arena->bytes -= block->size;
        memory_free(block);
    }
}

void arena_free(Arena *arena) {
    release_until(arena, NULL);
    *arena = (Arena){0};
}

void arena_clear(Arena *arena) {
    if (arena->block == NULL) return;
    ArenaBlock *keep = arena->block;
    while (arena->block->older != NULL) {
        ArenaBlock *older = arena->block->older;
        arena->block->older = older->older;
        arena->bytes -= older->size;
        memory_free(older);
    }
    if (keep->size > BLOCK_BYTES_MAX) {
        arena_free(arena);
        return;
    }
    arena->at = (char *)(keep + 1);
}

ArenaMark arena_mark(const Arena *arena) {
    return (ArenaMark){arena->block, arena->at, arena->end};
}

void arena_reset_to(Arena *arena, ArenaMark mark) {
    release_until(arena, mark.block);
    arena->at = mark.at;
    arena->end = mark.end;
}
