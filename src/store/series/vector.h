// A vector whose elements never move: segments that double, found by the highest bit of the index.
//
// One thread at a time grows it (its owner's lock); any thread reads elements that were published
// to it, by a count stored with release after the element was written. So readers need no lock and
// no copy is ever made.
//
//   index + 64 = 1xx xxxx   ->   segment by the place of the highest bit, offset by the rest
//
// Memory is asked for with memory_reserve and is not zeroed: pages that were never written stay
// untouched.
#pragma once

#include <stdatomic.h>

#include "base/memory.h"

enum { VECTOR_SEGMENTS = 27, VECTOR_FIRST_BITS = 6 };

typedef struct Vector {
    // Where each segment's element would lie whose place is 0, so that finding one takes neither a
    // subtraction nor a shift by a number that is not known beforehand.
    char *_Atomic bases[VECTOR_SEGMENTS];
    void *segments[VECTOR_SEGMENTS];  // for who grows it
    uint32_t element_bytes;
} Vector;

// The element at `index`, whose size the caller knows: a shift instead of a multiplication.
static inline void *vector_place(const Vector *vector, uint32_t index, size_t element_bytes) {
    uint64_t place = (uint64_t)index + (1u << VECTOR_FIRST_BITS);
    unsigned top = 63u - (unsigned)__builtin_clzll(place);
    char *base =
        atomic_load_explicit(&vector->bases[top - VECTOR_FIRST_BITS], memory_order_relaxed);
    return base + place * element_bytes;
}

static inline void *vector_at(const Vector *vector, uint32_t index) {
    return vector_place(vector, index, vector->element_bytes);
}

// Makes room for the element at `index`; elements are added in rising order. NO_MEMORY changes
// nothing.
must_use bool vector_reserve(Vector *vector, uint32_t index, Error *err);
void vector_free(Vector *vector);

// A vector of runs: `count` elements that lie side by side, so a run that would cross a segment's
// end begins in the next. Returns the index of the first in *index and moves *next behind the run.
must_use bool vector_reserve_run(Vector *vector, uint32_t *next, uint32_t count, uint32_t *index,
                                 Error *err);
