// A set of hashes with linear probing, at most half full.

#include "cli/seen_series.h"

#include "os/random.h"

enum { CAPACITY_MIN = 1024 };

bool seen_series_begin(SeenSeries *seen, Error *err) {
    *seen = (SeenSeries){0};
    return random_hash_key(&seen->hash_key, err);
}

// The slot of this hash, or the free one where it belongs.
static uint64_t *slot_of(uint64_t *slots, size_t capacity, uint64_t hash) {
    size_t at = (size_t)hash & (capacity - 1);
    while (slots[at] != 0 && slots[at] != hash) at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static void grow(SeenSeries *seen) {
    size_t capacity = MAX(seen->capacity * 2, (size_t)CAPACITY_MIN);
    uint64_t *slots = memory_new_array(uint64_t, capacity);
    for (size_t i = 0; i < seen->capacity; i++) {
        if (seen->slots[i] != 0) *slot_of(slots, capacity, seen->slots[i]) = seen->slots[i];
    }
    memory_free(seen->slots);
    seen->slots = slots;
    seen->capacity = capacity;
}

void seen_series_note(SeenSeries *seen, Labels labels) {
    if (seen->count * 2 >= seen->capacity) grow(seen);
    uint64_t hash = hash_keyed(seen->hash_key, labels.wire) | 1;
    uint64_t *slot = slot_of(seen->slots, seen->capacity, hash);
    if (*slot == hash) return;
    *slot = hash;
    seen->count++;
}

void seen_series_free(SeenSeries *seen) {
    memory_free(seen->slots);
    seen->slots = NULL;
}
