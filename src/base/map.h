// A hash map from text to a pointer, for names that may come from outside (hence the key).
//
// Keys are copied into the map's arena. One thread at a time. Iterate with map_next in no order.
#pragma once

#include "base/hash.h"

typedef struct MapSlot {
    Text key;
    void *value;
    uint64_t hash;  // 0: free
} MapSlot;

typedef struct Map {
    Arena *arena;
    HashKey hash_key;
    MapSlot *slots;
    size_t slot_count;  // a power of two
    size_t count;
} Map;

Map map_begin(Arena *arena, HashKey hash_key);

// The value, or NULL.
void *map_get(const Map *map, Text key);

// The place of the value, made (as NULL) when the key is new.
void **map_put(Map *map, Text key);

// for (size_t at = 0; map_next(&map, &at, &slot);) …
bool map_next(const Map *map, size_t *at, const MapSlot **out);
