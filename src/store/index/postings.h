// Postings: sorted sets of series numbers, and the algebra over them.
//
// Used by the head (growing sets in memory) and by blocks (encoded sets on disk). Series numbers
// are uint32_t. Pure structures; the owner provides locking.
#pragma once

#include "base/array.h"
#include "base/error.h"
#include "base/text.h"

typedef struct PostingSet {
    uint32_t *at;  // rising, unique
    size_t count;
} PostingSet;

// Algebra; results on the arena (inputs may be returned as they are).
PostingSet postings_and(PostingSet a, PostingSet b, Arena *arena);
PostingSet postings_or(PostingSet a, PostingSet b, Arena *arena);
PostingSet postings_or_many(const PostingSet *sets, size_t count, Arena *arena);
PostingSet postings_without(PostingSet a, PostingSet b, Arena *arena);
bool postings_contain(PostingSet set, uint32_t number);

// On disk: varint count, then blocks of up to 128 deltas, bit-packed (FORMAT.md of store/index).
void postings_encode(PostingSet set, Builder *out);
// Not trusted: CORRUPT unless it gives exactly a rising set below `limit`.
must_use bool postings_decode(Bytes encoded, uint32_t limit, Arena *arena, PostingSet *out,
                              size_t *used, Error *err);
// Of an encoded set without decoding all of it: its first number; whether one of them is among the
// numbers whose bits are set (bits for 0 … limit - 1). What was not looked at is not judged.
must_use bool postings_first(Bytes encoded, uint32_t limit, uint32_t *first, bool *any, Error *err);
must_use bool postings_meet(Bytes encoded, uint32_t limit, const uint64_t *among, bool *meet,
                            Error *err);

// A set that grows at its end (series numbers are given out rising), compactly: deltas as varints
// in pieces.
typedef struct PostingList {
    uint8_t *bytes;
    uint32_t len, capacity;
    uint32_t count, last;
} PostingList;
// `taken` is increased by the heap bytes it grew by.
void posting_list_add_any(PostingList *list, uint32_t number, int64_t *taken);
static inline void posting_list_add(PostingList *list, uint32_t number, int64_t *taken) {
    // A delta of one byte and room for it, as nearly always: the difference wraps where the number
    // is not above the last one.
    uint32_t gap = number - list->last - 1;
    if (unlikely(gap >= 0x80 || list->count == 0 || list->capacity == list->len)) {
        posting_list_add_any(list, number, taken);
        return;
    }
    list->bytes[list->len++] = (uint8_t)gap;
    list->last = number;
    list->count++;
}
PostingSet posting_list_read(const PostingList *list, Arena *arena);
// postings_and of it and a set, without unpacking what lies between the members of the set.
PostingSet posting_list_and(const PostingList *list, PostingSet set, Arena *arena);
void posting_list_free(PostingList *list);
