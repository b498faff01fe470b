// The registry of a head: which series it has, and how they are found again.
//
// Labels are interned as PAIRS: the canonical wire bytes of one label, stored once. A series is an
// array of pair ids. Three ways lead to a series, each confirmed by comparing bytes:
//   following    link[ref]: who came after this series last time. No lock, no hash.
//   table        keyed hash of the whole label bytes -> ref. Under the lock, shared.
//   matchers     pair -> postings. Under the lock, shared; of a head that a replay fills they are
//                left out, and added when somebody reads them (registry_post).
// Storage only grows and never moves (vector.h), so whoever holds a ref below registry_count()
// reads its labels without a lock. New series are made under the lock, exclusive.
#pragma once

#include "base/hash.h"
#include "base/map.h"
#include "model/batch.h"
#include "model/matcher.h"
#include "os/thread.h"
#include "store/index/postings.h"
#include "store/series/series.h"
#include "store/series/vector.h"

// SERIES_LABELS (40) with room; a run of the id vector.
enum { REGISTRY_PAIRS_MAX = 64 };

typedef struct RegistrySeries {
    uint32_t pairs_at;  // into `ids`
    uint16_t wire_len;  // of all label bytes
    uint8_t pair_count;
} RegistrySeries;

typedef struct RegistryPair {
    const uint8_t *wire;  // one label: 0a len 0a len name 12 len value
    uint32_t len;
    uint32_t name;  // which of `names`
} RegistryPair;

// Who has the pair: the first series inline, a list once there are two.
typedef struct RegistryHolders {
    uint32_t first;
    uint32_t list;  // 1 + index into `lists`; 0: only `first`
} RegistryHolders;

typedef struct RegistryName {
    Text name;
    ARRAY(uint32_t) pairs;  // the ids of its values
    uint64_t bytes;         // of their wire bytes
} RegistryName;

typedef struct RegistryTable {
    uint64_t *slots;  // tag << 32 | id + 1; 0: free
    uint32_t slot_count, count;
} RegistryTable;

typedef struct Registry {
    HashWideKey hash_key;
    SharedLock lock;         // SERIES_REGISTRY
    _Atomic uint32_t count;  // series; published after their entries
    Vector series;           // RegistrySeries
    Vector links;            // _Atomic uint64_t: who came next, what they share (registry_follow.c)
    Vector ids;              // pair ids of all series, in runs
    Vector pairs;            // RegistryPair
    Vector holders;          // RegistryHolders, same index as `pairs`
    uint32_t id_next, pair_count;
    RegistryTable series_table, pair_table;
    _Atomic uint32_t posted;  // series of which holders and lists tell; not above `count`
    ARRAY(PostingList) lists;
    ARRAY(RegistryName) names;
    Map name_map;           // name -> 1 + index into `names`
    Arena arena;            // wire bytes of pairs, names
    uint32_t last_made;     // pairs of the series made last are tried first
    uint32_t link_before;   // the series before the one that is being made, or UINT32_MAX;
    uint64_t link_made;     // the link between them, as `links` has it
    _Atomic int64_t bytes;  // memory in use
} Registry;

void registry_begin(Registry *registry, HashKey hash_key);
void registry_end(Registry *registry);

static inline uint32_t registry_count(const Registry *registry) {
    return atomic_load_explicit(&registry->count, memory_order_acquire);
}

// Are these the label bytes of series `ref`? No lock.
bool registry_is(const Registry *registry, uint32_t ref, Bytes wire);

// ---- Following (registry_follow.c); no lock ----

// Whether `bytes` begin with the labels of the series that is foretold next, and no further label
// follows; it is the one that was recognised last then, and *len its labels' length.
bool registry_follow(Registry *registry, SeriesFollow *follow, Bytes bytes, size_t *len);
// The same for labels whose end is known.
bool registry_predict(Registry *registry, SeriesFollow *follow, Bytes wire, uint32_t *out);
// The same for a row after `ref` whose labels are symbols, without their bytes: each pair of
// symbols is compared with the pair of the series once for a request, byte by byte, and known by
// its number then.
bool registry_predict_symbols(Registry *registry, uint32_t ref, const BatchSymbols *symbols,
                              const BatchSeries *row, uint32_t *out);
void registry_learn(Registry *registry, uint32_t before, uint32_t ref);
// The link to a series that has `first` pairs in common with the one before, of so many bytes, and
// `last` behind them; fewer are no harm.
uint64_t registry_link(uint32_t next, uint32_t first, uint32_t last, uint32_t first_bytes);
// The same as registry_learn, for a series that is made, once it is.
void registry_learn_made(Registry *registry, uint32_t before, uint64_t link);

static inline uint64_t registry_hash(const Registry *registry, Bytes wire) {
    return hash_wide(&registry->hash_key, wire);
}
// Brings near where a series of this hash would be found, or added. With the lock held.
static inline void registry_prefetch(const Registry *registry, uint64_t hash) {
    const RegistryTable *table = &registry->series_table;
    if (table->slot_count > 0)
        __builtin_prefetch(&table->slots[(uint32_t)hash & (table->slot_count - 1)], 1);
}
// With the lock held, shared or exclusive.
bool registry_find(const Registry *registry, Bytes wire, uint64_t hash, uint32_t *out);
// The same for up to REGISTRY_GROUP at a time, whose cache misses overlap (a table far larger than
// the cache costs 180 ns for each miss otherwise). refs[i] is UINT32_MAX where nothing is found.
enum { REGISTRY_GROUP = 16 };
void registry_find_group(const Registry *registry, const Bytes *wires, const uint64_t *hashes,
                         size_t count, uint32_t *refs);

// The pair whose wire bytes these are. With the lock held.
bool registry_find_pair(const Registry *registry, Bytes wire, uint32_t *out);
// How many series have it, of those posted.
uint32_t registry_pair_series(const Registry *registry, Bytes wire);
// A series whose labels are known to be the same at some places: of label i where bit i of `same`
// says so. UINT32_MAX: none is known.
typedef struct RegistryNear {
    uint32_t ref;
    uint64_t same;
} RegistryNear;
// With the lock held exclusively, for canonical bytes (labels_check passed) that registry_find does
// not know. The new series is not published and leaves no trace until then: the caller prepares
// what belongs to it, then calls registry_publish.
must_use bool registry_make(Registry *registry, Bytes wire, uint64_t hash, RegistryNear near,
                            uint32_t *out, Error *err);
void registry_publish(Registry *registry, uint32_t ref, uint64_t hash);
// Adds up to `most` published series to the postings of their pairs. With the lock held
// exclusively. See head_postings.
void registry_post(Registry *registry, uint32_t most);
static inline uint32_t registry_posted(const Registry *registry) {
    return atomic_load_explicit(&registry->posted, memory_order_acquire);
}

// Which label of these canonical bytes has most values among all series, and how many: what grows
// without end when new series do. With the lock held.
Text registry_widest_label(const Registry *registry, Bytes wire, size_t *values);

// The label bytes of a series, put together. No lock.
Labels registry_labels(const Registry *registry, uint32_t ref, Arena *arena);
Label registry_label_of(const RegistryPair *pair);

static inline const RegistrySeries *registry_series(const Registry *registry, uint32_t ref) {
    return vector_place(&registry->series, ref, sizeof(RegistrySeries));
}
static inline const RegistryPair *registry_pair(const Registry *registry, uint32_t pair) {
    return vector_place(&registry->pairs, pair, sizeof(RegistryPair));
}
static inline const uint32_t *registry_ids(const Registry *registry, const RegistrySeries *series) {
    return vector_place(&registry->ids, series->pairs_at, sizeof(uint32_t));
}

// ---- Finding (registry_select.c); each takes the lock, shared, for as short as it can ----

// The refs that every matcher matches, of the series that are posted, rising. Regular expressions
// run outside the lock.
must_use bool registry_select(Registry *registry, Matchers matchers, Arena *arena, PostingSet *out,
                              Error *err);
void registry_label_names(Registry *registry, Arena *arena, Texts *out);              // in no order
void registry_label_values(Registry *registry, Text name, Arena *arena, Texts *out);  // in no order

// The values of a name among the series that match, in no order, where the name has few values;
// else *told is false. A value whose first series matches costs one look at that series; only for
// the others the matchers are asked which series they match.
must_use bool registry_values_matching(Registry *registry, Text name, Matchers matchers,
                                       Arena *arena, bool *told, Texts *out, Error *err);

// All series in labels_compare order. No lock needed when the head takes no new series any more.
uint32_t *registry_sorted(Registry *registry, Arena *arena);
