// Recognising series and making new ones.

#include "store/series/registry.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/same_bytes.h"

_Static_assert(sizeof(RegistrySeries) == 8, "a series costs 8 bytes here");

void registry_begin(Registry *registry, HashKey hash_key) {
    *registry = (Registry){0};
    hash_wide_begin(&registry->hash_key, hash_key);
    shared_begin(&registry->lock, LOCK_SERIES_REGISTRY);
    registry->series.element_bytes = sizeof(RegistrySeries);
    registry->links.element_bytes = sizeof(uint64_t);
    registry->ids.element_bytes = sizeof(uint32_t);
    registry->pairs.element_bytes = sizeof(RegistryPair);
    registry->holders.element_bytes = sizeof(RegistryHolders);
    registry->name_map = map_begin(&registry->arena, hash_key);
    registry->last_made = UINT32_MAX;
}

static void table_free(RegistryTable *table) {
    memory_free_wide(table->slots, table->slot_count * sizeof(uint64_t));
}

void registry_end(Registry *registry) {
    vector_free(&registry->series);
    vector_free(&registry->links);
    vector_free(&registry->ids);
    vector_free(&registry->pairs);
    vector_free(&registry->holders);
    table_free(&registry->series_table);
    table_free(&registry->pair_table);
    for (size_t i = 0; i < registry->lists.count; i++) posting_list_free(&registry->lists.at[i]);
    array_free(&registry->lists);
    for (size_t i = 0; i < registry->names.count; i++) array_free(&registry->names.at[i].pairs);
    array_free(&registry->names);
    arena_free(&registry->arena);
    shared_end(&registry->lock);
}

// ---- Comparing ----

static bool registry_same(const Registry *registry, const RegistrySeries *series,
                          const uint32_t *ids, Bytes wire) {
    if (series->wire_len != wire.len) return false;
    const uint8_t *at = wire.at, *end = wire.at + wire.len;
    for (unsigned i = 0; i < series->pair_count; i++) {
        const RegistryPair *pair = registry_pair(registry, ids[i]);
        if (pair->len > (size_t)(end - at) || !same_bytes(pair->wire, at, pair->len)) return false;
        at += pair->len;
    }
    return at == end;
}

static bool is_anywhere(const Registry *registry, uint32_t ref, Bytes wire) {
    const RegistrySeries *series = registry_series(registry, ref);
    return registry_same(registry, series, registry_ids(registry, series), wire);
}

#ifdef __x86_64__
// A label of up to 64 bytes in one step: no loop whose end would be foretold wrongly for every
// other label. Bytes behind it are not touched. The lengths of the pairs add up to the row's.
WIDE_TARGET static inline bool same_wide(const Registry *registry, const RegistrySeries *series,
                                         const uint32_t *ids, Bytes wire) {
    if (series->wire_len != wire.len) return false;
    const uint8_t *at = wire.at;
    __mmask64 different = 0;
    for (unsigned i = 0; i < series->pair_count; i++) {
        const RegistryPair *pair = registry_pair(registry, ids[i]);
        if (likely(pair->len <= 64)) {
            __mmask64 bytes = _bzhi_u64(~UINT64_C(0), pair->len);
            different |=
                _mm512_mask_cmpneq_epi8_mask(bytes, _mm512_maskz_loadu_epi8(bytes, pair->wire),
                                             _mm512_maskz_loadu_epi8(bytes, at));
        } else if (memcmp(pair->wire, at, pair->len) != 0) {
            return false;
        }
        at += pair->len;
    }
    return different == 0;
}

WIDE_TARGET static bool is_wide(const Registry *registry, uint32_t ref, Bytes wire) {
    const RegistrySeries *series = registry_series(registry, ref);
    return same_wide(registry, series, registry_ids(registry, series), wire);
}

bool registry_is(const Registry *registry, uint32_t ref, Bytes wire) {
    return has_wide() ? is_wide(registry, ref, wire) : is_anywhere(registry, ref, wire);
}
#else
bool registry_is(const Registry *registry, uint32_t ref, Bytes wire) {
    return is_anywhere(registry, ref, wire);
}
#endif

// ---- Tables: open addressing, linear probing, at most three quarters full ----

// Only who has the lock adds, so nothing is lost between the two; others read it at any time.
static void bytes_add(_Atomic int64_t *bytes, int64_t more) {
    int64_t before = atomic_load_explicit(bytes, memory_order_relaxed);
    atomic_store_explicit(bytes, before + more, memory_order_relaxed);
}

static bool table_grow(RegistryTable *table, _Atomic int64_t *bytes, Error *err) {
    uint32_t slot_count = table->slot_count == 0 ? 64 : table->slot_count * 2;
    void *memory;
    TRY(memory_reserve_wide(array_bytes(slot_count, sizeof(uint64_t)), &memory, err));
    uint64_t *slots = memory;
    memset(slots, 0, slot_count * sizeof *slots);
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i] == 0) continue;
        uint32_t at = (uint32_t)(table->slots[i] >> 32) & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = table->slots[i];
    }
    table_free(table);
    bytes_add(bytes, (int64_t)(slot_count - table->slot_count) * 8);
    table->slots = slots;
    table->slot_count = slot_count;
    return true;
}

static bool table_prepare(RegistryTable *table, _Atomic int64_t *bytes, Error *err) {
    if ((uint64_t)table->count * 4 < (uint64_t)table->slot_count * 3) return true;
    return table_grow(table, bytes, err);
}

static void table_add(RegistryTable *table, uint64_t hash, uint32_t id) {
    uint32_t mask = table->slot_count - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (table->slots[at] != 0) at = (at + 1) & mask;
    table->slots[at] = hash << 32 | ((uint64_t)id + 1);
    table->count++;
}

bool registry_find(const Registry *registry, Bytes wire, uint64_t hash, uint32_t *out) {
    const RegistryTable *table = &registry->series_table;
    if (table->slot_count == 0) return false;
    uint32_t mask = table->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask; table->slots[at] != 0; at = (at + 1) & mask) {
        if ((uint32_t)(table->slots[at] >> 32) != (uint32_t)hash) continue;
        uint32_t ref = (uint32_t)table->slots[at] - 1;
        if (registry_is(registry, ref, wire)) {
            *out = ref;
            return true;
        }
    }
    return false;
}

// Where each row is likely to be: the first slot with its tag. UINT32_MAX: nowhere.
static void guess_group(const Registry *registry, const uint64_t *hashes, size_t count,
                        uint32_t *refs) {
    const RegistryTable *table = &registry->series_table;
    uint32_t mask = table->slot_count - 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)hashes[i] & mask;
        while (table->slots[at] != 0 && (uint32_t)(table->slots[at] >> 32) != (uint32_t)hashes[i])
            at = (at + 1) & mask;
        refs[i] = (uint32_t)table->slots[at] - 1;
    }
}

static void confirm_group(const Registry *registry, const Bytes *wires,
                          const RegistrySeries *const *series, const uint32_t *const *ids,
                          size_t count, bool *same) {
    (void)series, (void)ids;
    for (size_t i = 0; i < count; i++)
        same[i] = series[i] != NULL && registry_same(registry, series[i], ids[i], wires[i]);
}

#ifdef __x86_64__
// Four slots in one step, as where among them the tag is cannot be foretold either.
WIDE_TARGET static void guess_group_wide(const Registry *registry, const uint64_t *hashes,
                                         size_t count, uint32_t *refs) {
    const RegistryTable *table = &registry->series_table;
    uint32_t mask = table->slot_count - 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)hashes[i] & mask;
        if (likely(at + 4 <= table->slot_count)) {
            __m256i slots = _mm256_loadu_si256((const void *)(table->slots + at));
            __m256i tag = _mm256_set1_epi64x((long long)(hashes[i] & UINT32_MAX));
            unsigned hits = _mm256_cmpeq_epi64_mask(_mm256_srli_epi64(slots, 32), tag);
            if (likely(hits != 0)) {
                refs[i] = (uint32_t)table->slots[at + (uint32_t)__builtin_ctz(hits)] - 1;
                continue;
            }
        }
        guess_group(registry, hashes + i, 1, refs + i);
    }
}

WIDE_TARGET static void confirm_group_wide(const Registry *registry, const Bytes *wires,
                                           const RegistrySeries *const *series,
                                           const uint32_t *const *ids, size_t count, bool *same) {
    for (size_t i = 0; i < count; i++)
        same[i] = series[i] != NULL && same_wide(registry, series[i], ids[i], wires[i]);
}
#endif

void registry_find_group(const Registry *registry, const Bytes *wires, const uint64_t *hashes,
                         size_t count, uint32_t *refs) {
    assert(count <= REGISTRY_GROUP);
    const RegistryTable *table = &registry->series_table;
    if (table->slot_count == 0) {
        for (size_t i = 0; i < count; i++) refs[i] = UINT32_MAX;
        return;
    }
    uint32_t mask = table->slot_count - 1;
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(&table->slots[(uint32_t)hashes[i] & mask]);
    const RegistrySeries *series[REGISTRY_GROUP] = {0};
    const uint32_t *ids[REGISTRY_GROUP] = {0};
    bool same[REGISTRY_GROUP] = {0};
    has_wide() ? guess_group_wide(registry, hashes, count, refs)
               : guess_group(registry, hashes, count, refs);
    for (size_t i = 0; i < count; i++) {
        series[i] = refs[i] == UINT32_MAX ? NULL : registry_series(registry, refs[i]);
        __builtin_prefetch(series[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (series[i] == NULL) continue;
        ids[i] = registry_ids(registry, series[i]);
        __builtin_prefetch(ids[i]);
        __builtin_prefetch(ids[i] + 15);
    }
    has_wide() ? confirm_group_wide(registry, wires, series, ids, count, same)
               : confirm_group(registry, wires, series, ids, count, same);
    for (size_t i = 0; i < count; i++) {
        if (likely(same[i]) || refs[i] == UINT32_MAX) continue;
        // Another series with the same tag: there may be a second one.
        if (!registry_find(registry, wires[i], hashes[i], &refs[i])) refs[i] = UINT32_MAX;
    }
}

static bool find_pair(const Registry *registry, Bytes wire, uint64_t hash, uint32_t *out) {
    const RegistryTable *table = &registry->pair_table;
    if (table->slot_count == 0) return false;
    uint32_t mask = table->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask; table->slots[at] != 0; at = (at + 1) & mask) {
        if ((uint32_t)(table->slots[at] >> 32) != (uint32_t)hash) continue;
        uint32_t id = (uint32_t)table->slots[at] - 1;
        const RegistryPair *pair = registry_pair(registry, id);
        if (pair->len == wire.len && memcmp(pair->wire, wire.at, wire.len) == 0) {
            *out = id;
            return true;
        }
    }
    return false;
}

bool registry_find_pair(const Registry *registry, Bytes wire, uint32_t *out) {
    return find_pair(registry, wire, registry_hash(registry, wire), out);
}

uint32_t registry_pair_series(const Registry *registry, Bytes wire) {
    uint32_t pair;
    if (!registry_find_pair(registry, wire, &pair)) return 0;
    const RegistryHolders *holders = vector_at(&registry->holders, pair);
    return holders->list > 0 ? registry->lists.at[holders->list - 1].count
                             : holders->first != UINT32_MAX;
}

// ---- Making ----

Text registry_widest_label(const Registry *registry, Bytes wire, size_t *values) {
    Text widest = TEXT_NONE;
    *values = 0;
    Label label;
    for (Bytes rest = wire; labels_next(&rest, &label);) {
        uintptr_t known = (uintptr_t)map_get(&registry->name_map, label.name);
        if (known == 0 || registry->names.at[known - 1].pairs.count <= *values) continue;
        *values = registry->names.at[known - 1].pairs.count;
        widest = label.name;
    }
    return widest;
}

Label registry_label_of(const RegistryPair *pair) {
    Bytes rest = {pair->wire, pair->len};
    Label label;
    bool there = labels_next(&rest, &label);
    assert(there);
    return label;
}

static RegistryName *name_of(Registry *registry, Text name, uint32_t *index) {
    void **known = map_put(&registry->name_map, name);
    if (*known == NULL) {
        RegistryName *made = array_add(&registry->names);
        made->name = text_copy(name, &registry->arena);
        *known = (void *)(uintptr_t)registry->names.count;
        bytes_add(&registry->bytes, (int64_t)(sizeof *made + 2 * name.len + sizeof(MapSlot) * 2));
    }
    *index = (uint32_t)((uintptr_t)*known - 1);
    return &registry->names.at[*index];
}

static bool make_pair(Registry *registry, Bytes wire, Text name, uint64_t hash, uint32_t *out,
                      Error *err) {
    uint32_t id = registry->pair_count;
    TRY(vector_reserve(&registry->pairs, id, err));
    TRY(vector_reserve(&registry->holders, id, err));
    TRY(table_prepare(&registry->pair_table, &registry->bytes, err));
    RegistryPair *pair = vector_at(&registry->pairs, id);
    uint8_t *copy = arena_push_raw(&registry->arena, wire.len, 1);
    memcpy(copy, wire.at, wire.len);
    *pair = (RegistryPair){copy, (uint32_t)wire.len, 0};
    RegistryName *names = name_of(registry, name, &pair->name);
    *array_add(&names->pairs) = id;
    names->bytes += wire.len;
    RegistryHolders *holders = vector_at(&registry->holders, id);
    *holders = (RegistryHolders){UINT32_MAX, 0};
    table_add(&registry->pair_table, hash, id);
    registry->pair_count++;
    bytes_add(&registry->bytes, (int64_t)(wire.len + sizeof *pair + sizeof *holders + 6));
    *out = id;
    return true;
}

// What two neighbours have in common at their ends, as it is found out label by label.
typedef struct Common {
    uint32_t first, first_bytes, last;
} Common;

static inline void common_add(Common *common, uint32_t place, uint32_t bytes) {
    bool front = common->first == place;
    common->first += front;
    common->first_bytes += front ? bytes : 0;
    common->last += !front;
}

static bool intern_pair(Registry *registry, Bytes pair, Text name, uint32_t *out, Error *err) {
    uint64_t hash = registry_hash(registry, pair);
    return find_pair(registry, pair, hash, out) || make_pair(registry, pair, name, hash, out, err);
}

// The pair ids of these labels. Those of `near` are taken unseen where they are known to be the
// same, and tried before the table where nothing is known. What both have in common at their ends
// is noted for who follows that neighbour.
static bool intern(Registry *registry, Bytes wire, RegistryNear near, uint32_t *ids, size_t *count,
                   Error *err) {
    bool seen = near.ref != UINT32_MAX;  // `same` says it
    uint32_t before = seen ? near.ref : registry->last_made;
    const RegistrySeries *series = before == UINT32_MAX ? NULL : registry_series(registry, before);
    const uint32_t *near_ids = series == NULL ? NULL : registry_ids(registry, series);
    uint32_t near_count = series == NULL ? 0 : series->pair_count, place = 0;
    Common common = {0};
    for (Bytes rest = wire; rest.len > 0; place++) {
        assert(place < REGISTRY_PAIRS_MAX);
        if (seen && (near.same >> place & 1) != 0) {
            size_t len = (size_t)rest.at[1] + 2;  // no long one is said to be the same
            ids[place] = near_ids[place];
            common_add(&common, place, (uint32_t)len);
            rest = (Bytes){rest.at + len, rest.len - len};
            continue;
        }
        const uint8_t *begin = rest.at;
        UNFILLED Label label;
        (void)labels_next(&rest, &label);
        Bytes pair = {begin, (size_t)(rest.at - begin)};
        if (!seen && place < near_count) {
            const RegistryPair *known = registry_pair(registry, near_ids[place]);
            if (known->len == pair.len && same_bytes(known->wire, pair.at, pair.len)) {
                ids[place] = near_ids[place];
                common_add(&common, place, known->len);
                continue;
            }
        }
        TRY(intern_pair(registry, pair, label.name, &ids[place], err));
        if (place < near_count && ids[place] == near_ids[place]) {  // a long one
            common_add(&common, place, (uint32_t)pair.len);
        } else {
            common.last = 0;
        }
    }
    *count = place;
    if (place != near_count) common.last = 0;
    registry->link_before = before;
    registry->link_made =
        registry_link(registry_count(registry), common.first, common.last, common.first_bytes);
    return true;
}

// For slow assertions: the labels that are said to be the same are.
__attribute__((unused)) static bool near_is_true(const Registry *registry, Bytes wire,
                                                 RegistryNear near) {
    if (near.ref == UINT32_MAX) return true;
    const RegistrySeries *series = registry_series(registry, near.ref);
    const uint32_t *ids = registry_ids(registry, series);
    Label label;
    for (uint32_t place = 0; wire.len > 0; place++) {
        const uint8_t *begin = wire.at;
        (void)labels_next(&wire, &label);
        if ((near.same >> place & 1) == 0) continue;
        size_t len = (size_t)(wire.at - begin);
        if (len != (size_t)begin[1] + 2 || place >= series->pair_count) return false;
        const RegistryPair *pair = registry_pair(registry, ids[place]);
        if (pair->len != len || memcmp(pair->wire, begin, len) != 0) return false;
    }
    return true;
}

bool registry_make(Registry *registry, Bytes wire, uint64_t hash, RegistryNear near, uint32_t *out,
                   Error *err) {
    uint32_t ref = registry_count(registry);
    UNFILLED uint32_t ids[REGISTRY_PAIRS_MAX];
    size_t count;
    assert_slow(near_is_true(registry, wire, near));
    // Pairs made before a failure stay without holders: they match nothing and are found again by
    // the next try.
    TRY(intern(registry, wire, near, ids, &count, err));
    TRY(vector_reserve(&registry->series, ref, err));
    TRY(vector_reserve(&registry->links, ref, err));
    TRY(table_prepare(&registry->series_table, &registry->bytes, err));
    uint32_t at;
    TRY(vector_reserve_run(&registry->ids, &registry->id_next, (uint32_t)count, &at, err));
    RegistrySeries *series = vector_place(&registry->series, ref, sizeof(RegistrySeries));
    *series = (RegistrySeries){at, (uint16_t)wire.len, (uint8_t)count};
    memcpy(vector_place(&registry->ids, at, sizeof *ids), ids, count * sizeof *ids);
    _Atomic uint64_t *link = vector_place(&registry->links, ref, sizeof(uint64_t));
    atomic_store_explicit(link, 0, memory_order_relaxed);
    bytes_add(&registry->bytes,
              (int64_t)(sizeof *series + sizeof(uint64_t) + sizeof(uint32_t) * count));
    *out = ref;
    return true;
}

void registry_publish(Registry *registry, uint32_t ref, uint64_t hash) {
    table_add(&registry->series_table, hash, ref);
    if (registry->link_before != UINT32_MAX)
        registry_learn_made(registry, registry->link_before, registry->link_made);
    registry->last_made = ref;
    atomic_store_explicit(&registry->count, ref + 1, memory_order_release);
}

static void add_holder(Registry *registry, uint32_t pair, uint32_t ref) {
    RegistryHolders *holders = vector_place(&registry->holders, pair, sizeof(RegistryHolders));
    int64_t taken = 0;
    if (holders->first == UINT32_MAX) {
        holders->first = ref;
    } else {
        if (holders->list == 0) {
            PostingList *list = array_add(&registry->lists);
            holders->list = (uint32_t)registry->lists.count;
            taken += (int64_t)sizeof *list;
            posting_list_add(list, holders->first, &taken);
        }
        posting_list_add(&registry->lists.at[holders->list - 1], ref, &taken);
    }
    if (taken > 0) bytes_add(&registry->bytes, taken);
}

void registry_post(Registry *registry, uint32_t most) {
    uint32_t ref = atomic_load_explicit(&registry->posted, memory_order_relaxed);
    uint32_t end = ref + MIN(most, registry_count(registry) - ref);
    for (; ref < end; ref++) {
        const RegistrySeries *series = registry_series(registry, ref);
        const uint32_t *ids = registry_ids(registry, series);
        for (unsigned i = 0; i < series->pair_count; i++) add_holder(registry, ids[i], ref);
    }
    atomic_store_explicit(&registry->posted, end, memory_order_release);
}

Labels registry_labels(const Registry *registry, uint32_t ref, Arena *arena) {
    const RegistrySeries *series = registry_series(registry, ref);
    const uint32_t *ids = registry_ids(registry, series);
    uint8_t *wire = arena_push_raw(arena, series->wire_len, 1);
    size_t at = 0;
    for (unsigned i = 0; i < series->pair_count; i++) {
        const RegistryPair *pair = registry_pair(registry, ids[i]);
        memcpy(wire + at, pair->wire, pair->len);
        at += pair->len;
    }
    assert(at == series->wire_len);
    return (Labels){{wire, at}};
}
