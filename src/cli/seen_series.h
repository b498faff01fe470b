// How many different series went by: each once, by a keyed hash of its labels, 16 bytes of memory
// each. (Two of a million series are taken for one once in 36 million runs.) Private to cli.
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include "model/labels.h"

typedef struct SeenSeries {
    HashKey hash_key;
    uint64_t *slots;  // 0: free
    size_t capacity;  // a power of two
    size_t count;
} SeenSeries;

must_use bool seen_series_begin(SeenSeries *seen, Error *err);
void seen_series_note(SeenSeries *seen, Labels labels);
void seen_series_free(SeenSeries *seen);
