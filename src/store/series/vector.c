// Vectors of segments that double and never move.

#include "store/series/vector.h"

bool vector_reserve(Vector *vector, uint32_t index, Error *err) {
    uint64_t place = (uint64_t)index + (1u << VECTOR_FIRST_BITS);
    unsigned top = 63u - (unsigned)__builtin_clzll(place);
    unsigned number = top - VECTOR_FIRST_BITS;
    if (number >= VECTOR_SEGMENTS)
        return error_set(err, ERROR_TOO_MANY, "a head holds no more than 2^32 entries");
    if (vector->segments[number] != NULL) return true;
    size_t bytes = array_bytes((size_t)1 << top, vector->element_bytes);
    TRY(memory_reserve(bytes, &vector->segments[number], err));
    uintptr_t base = (uintptr_t)vector->segments[number] - bytes;  // as long as what is before it
    atomic_store_explicit(&vector->bases[number], (char *)base, memory_order_release);
    return true;
}

bool vector_reserve_run(Vector *vector, uint32_t *next, uint32_t count, uint32_t *index,
                        Error *err) {
    uint64_t place = (uint64_t)*next + (1u << VECTOR_FIRST_BITS);
    unsigned top = 63u - (unsigned)__builtin_clzll(place);
    uint64_t end = UINT64_C(1) << (top + 1);
    if (place + count > end) place = end;  // a segment is at least as long as any run: 64 elements
    uint32_t first = (uint32_t)(place - (1u << VECTOR_FIRST_BITS));
    TRY(vector_reserve(vector, first, err));
    *index = first;
    *next = first + count;
    return true;
}

void vector_free(Vector *vector) {
    for (size_t i = 0; i < VECTOR_SEGMENTS; i++) memory_free(vector->segments[i]);
}
