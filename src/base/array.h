// A growable array for any element type, on the heap or on an arena.
//
//   typedef ARRAY(Sample) SampleArray;
//   SampleArray samples = {0};
//   *array_add(&samples) = sample;          on the heap; array_free(&samples) ends it
//   *array_add_on(arena, &samples) = sample; on an arena; dies with it (old copies stay until then)
//
// Pointers into an array hold until the next add.
#pragma once

#include "base/arena.h"
#include "base/memory.h"

#define ARRAY(type)      \
    struct {             \
        type *at;        \
        size_t count;    \
        size_t capacity; \
    }

// The new last element, zeroed.
#define array_add(array)                                                                       \
    __extension__({                                                                            \
        __typeof__(array) add_ = (array);                                                      \
        if (add_->count == add_->capacity) {                                                   \
            add_->capacity = add_->capacity == 0 ? 8 : add_->capacity * 2;                     \
            add_->at = memory_resize(add_->at, array_bytes(add_->capacity, sizeof *add_->at)); \
        }                                                                                      \
        __builtin_memset(&add_->at[add_->count], 0, sizeof *add_->at);                         \
        &add_->at[add_->count++];                                                              \
    })

#define array_add_on(arena, array)                                                       \
    __extension__({                                                                      \
        __typeof__(array) add_ = (array);                                                \
        if (add_->count == add_->capacity) {                                             \
            size_t more_ = add_->capacity == 0 ? 8 : add_->capacity * 2;                 \
            void *moved_ = arena_push_raw((arena), array_bytes(more_, sizeof *add_->at), \
                                          _Alignof(__typeof__(*add_->at)));              \
            if (add_->count > 0) {                                                       \
                __builtin_memcpy(moved_, add_->at, add_->count * sizeof *add_->at);      \
            }                                                                            \
            add_->at = moved_;                                                           \
            add_->capacity = more_;                                                      \
        }                                                                                \
        __builtin_memset(&add_->at[add_->count], 0, sizeof *add_->at);                   \
        &add_->at[add_->count++];                                                        \
    })

// `many` elements more, copied from `from` (NULL is fine for none).
#define array_add_many(array, from, many)                                                      \
    do {                                                                                       \
        __typeof__(array) add_ = (array);                                                      \
        const __typeof__(*add_->at) *from_ = (from);                                           \
        size_t many_ = (many), need_ = add_->count + many_;                                    \
        if (need_ > add_->capacity) {                                                          \
            add_->capacity = need_ > add_->capacity * 2 ? need_ : add_->capacity * 2;          \
            add_->at = memory_resize(add_->at, array_bytes(add_->capacity, sizeof *add_->at)); \
        }                                                                                      \
        if (many_ > 0) __builtin_memcpy(add_->at + add_->count, from_, many_ * sizeof *from_); \
        add_->count = need_;                                                                   \
    } while (0)

// Room for `many` elements in all, whatever they are.
#define array_reserve(array, many)                                                                \
    do {                                                                                          \
        __typeof__(array) reserve_ = (array);                                                     \
        size_t many_ = (many);                                                                    \
        if (many_ > reserve_->capacity) {                                                         \
            reserve_->at = memory_resize(reserve_->at, array_bytes(many_, sizeof *reserve_->at)); \
            reserve_->capacity = many_;                                                           \
        }                                                                                         \
    } while (0)

#define array_free(array)                       \
    do {                                        \
        memory_free((array)->at);               \
        (array)->at = NULL;                     \
        (array)->count = (array)->capacity = 0; \
    } while (0)

#define array_clear(array) ((void)((array)->count = 0))
