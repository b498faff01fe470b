// The heap, for what has a life of its own, and the one seam through which tests make memory fail.
//
// memory_new and friends do not fail: a few bytes missing is the end of the process, said in one
// line. Large memory, whose size follows the load, is asked for with memory_reserve and may be
// refused.
#pragma once

#include "base/error.h"
#include "base/language.h"

#define memory_new(type) ((type *)memory_take_zeroed(sizeof(type)))
#define memory_new_array(type, count) \
    ((type *)memory_take_zeroed(array_bytes((count), sizeof(type))))

void *memory_take(size_t bytes);         // not zeroed, never NULL
void *memory_take_zeroed(size_t bytes);  // never NULL
void *memory_resize(void *at, size_t bytes);
void memory_free(void *at);  // NULL is fine

// What was freed goes back to the system at once, not when the allocator gets to it: for when much
// was freed and the limit is near. Some milliseconds. Any thread.
void memory_give_back(void);

// Large memory: ERROR_NO_MEMORY, naming the size, when there is none. `*out` is untouched then.
must_use bool memory_reserve(size_t bytes, void **out, Error *err);
must_use bool memory_reserve_aligned(size_t bytes, size_t align, void **out,
                                     Error *err);  // align: a power of two
// For what is touched all over and at once: with MEMORY_HUGE or more it lies in pages of that size
// where the system has some to give. Given back with memory_free_wide, of the same size; NULL is
// fine.
enum { MEMORY_HUGE = 2 * MB };
must_use bool memory_reserve_wide(size_t bytes, void **out, Error *err);
void memory_free_wide(void *at, size_t bytes);
must_use bool memory_reserve_again(void *at, size_t bytes, void **out, Error *err);  // realloc

// Tests: the n-th memory_reserve from now fails (1 is the next); with `for_ever` all later ones
// too. 0 switches it off. Returns how many calls were seen since the last setting.
uint64_t memory_fail_after(uint64_t nth, bool for_ever);
// Tests: the calls that fail say that they worked and give NULL, as if their answer were not looked
// at. For programs that are to die of it.
void memory_fail_untold(bool untold);

// count * size, stopping the process when it overflows.
size_t array_bytes(size_t count, size_t size);
