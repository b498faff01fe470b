// Open addressing with linear probing, at most three quarters full.

#include "base/map.h"

Map map_begin(Arena *arena, HashKey hash_key) {
    return (Map){.arena = arena, .hash_key = hash_key};
}

static uint64_t hash_of(const Map *map, Text key) {
    uint64_t hash = hash_keyed(map->hash_key, text_bytes(key));
    return hash == 0 ? 1 : hash;
}

// The slot that holds `key`, or the free one where it belongs.
static MapSlot *find(const Map *map, Text key, uint64_t hash) {
    size_t mask = map->slot_count - 1;
    size_t at = hash & mask;
    while (map->slots[at].hash != 0 &&
           (map->slots[at].hash != hash || !text_equal(map->slots[at].key, key))) {
        at = (at + 1) & mask;
    }
    return &map->slots[at];
}

static void grow(Map *map) {
    Map bigger = *map;
    bigger.slot_count = map->slot_count == 0 ? 16 : map->slot_count * 2;
    bigger.slots = arena_push_array(map->arena, MapSlot, bigger.slot_count);
    for (size_t i = 0; i < map->slot_count; i++) {
        if (map->slots[i].hash != 0)
            *find(&bigger, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    }
    *map = bigger;
}

void *map_get(const Map *map, Text key) {
    if (map->count == 0) return NULL;
    return find(map, key, hash_of(map, key))->value;
}

void **map_put(Map *map, Text key) {
    if (map->count * 4 >= map->slot_count * 3) grow(map);
    uint64_t hash = hash_of(map, key);
    MapSlot *slot = find(map, key, hash);
    if (slot->hash == 0) {
        *slot = (MapSlot){.key = text_copy(key, map->arena), .hash = hash};
        map->count++;
    }
    return &slot->value;
}

bool map_next(const Map *map, size_t *at, const MapSlot **out) {
    while (*at < map->slot_count) {
        const MapSlot *slot = &map->slots[(*at)++];
        if (slot->hash != 0) {
            *out = slot;
            return true;
        }
    }
    return false;
}
