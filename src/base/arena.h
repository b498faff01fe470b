// An arena: memory that dies together. Push and forget; the whole is released at once.
//
// One thread uses an arena at a time. Blocks double from 4 KiB to 1 MiB; a push larger than a block
// gets a block of its own. Memory is zeroed. A push does not fail: a few kilobytes missing is the
// end of the process. A size that comes from outside is checked against a limit or a Budget first.
#pragma once

#include "base/language.h"
#include "base/memory.h"

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
    ArenaBlock *block;  // the newest; older ones hang behind it
    char *at;           // next free byte of the newest block
    char *end;
    size_t bytes;  // all memory held, for budgets
} Arena;

// A place to come back to: everything pushed since is released by arena_reset_to().
typedef struct ArenaMark {
    ArenaBlock *block;
    char *at;
    char *end;
} ArenaMark;

void arena_free(Arena *arena);  // releases everything; the arena may be used again; works with AUTO
void arena_clear(Arena *arena);  // forgets everything but keeps one block for the next use
ArenaMark arena_mark(const Arena *arena);
void arena_reset_to(Arena *arena, ArenaMark mark);

void *arena_push_size(Arena *arena, size_t size, size_t align);
void *arena_push_raw(Arena *arena, size_t size, size_t align);  // the same, not zeroed

#define arena_push(arena, type) ((type *)arena_push_size((arena), sizeof(type), _Alignof(type)))
#define arena_push_array(arena, type, count) \
    ((type *)arena_push_size((arena), array_bytes((count), sizeof(type)), _Alignof(type)))
#define arena_push_array_raw(arena, type, count) \
    ((type *)arena_push_raw((arena), array_bytes((count), sizeof(type)), _Alignof(type)))
