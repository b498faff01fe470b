// Recognising a series by the one that came before it.
//
// Neighbours share most of their labels: those of one target all of them but the name, those of one
// name all but a value. How many pairs two neighbours share at both ends is kept with the link
// between them, so of the next row's bytes only the middle is looked up; its ends are compared with
// those of the row before, which are hot in the cache. Nothing else of the labels is looked at.

#include "base/assert.h"
#include "base/same_bytes.h"
#include "store/series/registry.h"

// A link: who comes next, and what both share. One word, so that it is read whole.
//   next + 1 (32 bits; 0: who was made next) | told (1) | first (7) | last (8) | first_bytes (16)
typedef struct Shared {
    uint32_t first, last;  // pairs at the front and at the end; they do not overlap
    uint32_t first_bytes;  // of those at the front
} Shared;

enum { LINK_TOLD = 1u << 31, LABEL_TAG = 0x0a };

_Static_assert(REGISTRY_PAIRS_MAX < 128, "seven bits");

uint64_t registry_link(uint32_t next, uint32_t first, uint32_t last, uint32_t first_bytes) {
    return (uint64_t)(next + 1) << 32 | LINK_TOLD | first << 24 | last << 16 | first_bytes;
}

static inline Shared link_shared(uint64_t link) {
    return (Shared){(uint32_t)link >> 24 & 0x7f, (uint32_t)link >> 16 & 0xff, link & 0xffff};
}

static inline _Atomic uint64_t *link_of(const Registry *registry, uint32_t ref) {
    return vector_place(&registry->links, ref, sizeof(uint64_t));
}

static Shared shared_by(const Registry *registry, uint32_t before, uint32_t ref) {
    const RegistrySeries *a = registry_series(registry, before),
                         *b = registry_series(registry, ref);
    const uint32_t *a_ids = registry_ids(registry, a), *b_ids = registry_ids(registry, b);
    uint32_t most = MIN((uint32_t)a->pair_count, (uint32_t)b->pair_count);
    Shared shared = {0};
    for (; shared.first < most && a_ids[shared.first] == b_ids[shared.first]; shared.first++)
        shared.first_bytes += registry_pair(registry, a_ids[shared.first])->len;
    while (shared.first + shared.last < most &&
           a_ids[a->pair_count - 1 - shared.last] == b_ids[b->pair_count - 1 - shared.last])
        shared.last++;
    return shared;
}

static void link_tell(Registry *registry, uint32_t before, uint32_t ref, Shared shared) {
    atomic_store_explicit(link_of(registry, before),
                          registry_link(ref, shared.first, shared.last, shared.first_bytes),
                          memory_order_release);
}

// For slow assertions: no more is told than is so.
__attribute__((unused)) static bool link_is_true(const Registry *registry, uint32_t before,
                                                 uint64_t link) {
    Shared told = link_shared(link),
           known = shared_by(registry, before, (uint32_t)(link >> 32) - 1);
    return told.first == known.first && told.first_bytes == known.first_bytes &&
           told.last <= known.last;
}

void registry_learn_made(Registry *registry, uint32_t before, uint64_t link) {
    assert_slow(link_is_true(registry, before, link));
    // Whoever came after it before stays; a hint that another thread gives just now may be lost.
    if (atomic_load_explicit(link_of(registry, before), memory_order_relaxed) == 0)
        atomic_store_explicit(link_of(registry, before), link, memory_order_release);
}

void registry_learn(Registry *registry, uint32_t before, uint32_t ref) {
    if (before >= registry_count(registry)) return;
    uint32_t known =
        (uint32_t)(atomic_load_explicit(link_of(registry, before), memory_order_relaxed) >> 32);
    if (known == ref + 1 || (known == 0 && ref == before + 1)) return;
    // What they share is told once ref follows again: most rows of a sender without order never do.
    atomic_store_explicit(link_of(registry, before), (uint64_t)(ref + 1) << 32,
                          memory_order_release);
}

// The guessed successor of `ref` (or of none: UINT32_MAX) and the link to it; false when there is
// none.
static inline bool guess_after(const Registry *registry, uint32_t ref, uint32_t *out,
                               uint64_t *link) {
    uint32_t guess = 0;
    uint32_t count = registry_count(registry);
    *link = 0;
    if (ref < count) {
        *link = atomic_load_explicit(link_of(registry, ref), memory_order_acquire);
        uint32_t next = (uint32_t)(*link >> 32);
        guess = next != 0 ? next - 1 : ref + 1;  // series come in the order in which they were made
    }
    // The count is read again: a successor may have been made since.
    if (guess >= count && guess >= registry_count(registry)) return false;
    *out = guess;
    return true;
}

// Whether `at` begins with the labels of the series, which share `shared` with those before.
static inline bool begins_with(const Registry *registry, const RegistrySeries *series,
                               Shared shared, Bytes before, const uint8_t *at) {
    const uint32_t *ids = registry_ids(registry, series);
    const uint8_t *end = at + series->wire_len, *middle = at + shared.first_bytes;
    for (uint32_t i = shared.first; i + shared.last < series->pair_count; i++) {
        const RegistryPair *pair = registry_pair(registry, ids[i]);
        if (!same_bytes(pair->wire, middle, pair->len)) return false;
        middle += pair->len;
    }
    size_t rest = (size_t)(end - middle);
    return memcmp(before.at, at, shared.first_bytes) == 0 &&
           memcmp(before.at + before.len - rest, middle, rest) == 0;
}

#ifdef __x86_64__
WIDE_TARGET static inline bool begins_with_wide(const Registry *registry,
                                                const RegistrySeries *series, Shared shared,
                                                Bytes before, const uint8_t *at) {
    const uint32_t *ids = registry_ids(registry, series);
    const uint8_t *end = at + series->wire_len, *middle = at + shared.first_bytes;
    if (unlikely(!same_bytes_wide(before.at, at, shared.first_bytes))) return false;
    for (uint32_t i = shared.first; i + shared.last < series->pair_count; i++) {
        const RegistryPair *pair = registry_pair(registry, ids[i]);
        if (unlikely(!same_bytes_wide(pair->wire, middle, pair->len))) return false;
        middle += pair->len;
    }
    size_t rest = (size_t)(end - middle);
    return same_bytes_wide(before.at + before.len - rest, middle, rest);
}
#endif

typedef bool BeginsWith(const Registry *registry, const RegistrySeries *series, Shared shared,
                        Bytes before, const uint8_t *at);

static inline __attribute__((always_inline)) bool follow_with(BeginsWith *begins,
                                                              Registry *registry,
                                                              SeriesFollow *follow, Bytes bytes,
                                                              size_t *len) {
    uint32_t guess;
    uint64_t link;
    if (!guess_after(registry, follow->ref, &guess, &link)) return false;
    const RegistrySeries *series = registry_series(registry, guess);
    size_t wire_len = series->wire_len;
    if (wire_len > bytes.len || (wire_len < bytes.len && bytes.at[wire_len] == LABEL_TAG))
        return false;
    bool alone = follow->wire.at == NULL, told = (link & LINK_TOLD) != 0;
    Shared shared = {0};
    if (told) {
        shared = link_shared(link);
    } else if (follow->ref < registry_count(registry)) {
        shared = shared_by(registry, follow->ref, guess);
    }
    // Without the row before, the series' own bytes are all there is to compare with.
    if (!begins(registry, series, alone ? (Shared){0} : shared, alone ? bytes : follow->wire,
                bytes.at))
        return false;
    if (unlikely(!told) && follow->ref < registry_count(registry))
        link_tell(registry, follow->ref, guess, shared);
    *len = wire_len;
    *follow = (SeriesFollow){guess, {bytes.at, wire_len}};
    return true;
}

#ifdef __x86_64__
WIDE_TARGET static bool follow_wide(Registry *registry, SeriesFollow *follow, Bytes bytes,
                                    size_t *len) {
    return follow_with(begins_with_wide, registry, follow, bytes, len);
}
#endif

static bool follow_anywhere(Registry *registry, SeriesFollow *follow, Bytes bytes, size_t *len) {
    return follow_with(begins_with, registry, follow, bytes, len);
}

bool registry_follow(Registry *registry, SeriesFollow *follow, Bytes bytes, size_t *len) {
#ifdef __x86_64__
    if (has_wide()) return follow_wide(registry, follow, bytes, len);
#endif
    return follow_anywhere(registry, follow, bytes, len);
}

bool registry_predict(Registry *registry, SeriesFollow *follow, Bytes wire, uint32_t *out) {
    size_t len;
    if (!registry_follow(registry, follow, wire, &len)) return false;
    assert(len == wire.len);
    *out = follow->ref;
    return true;
}

// Whether the pair is this label: 0a len 0a len name 12 len value.
static bool pair_is(const RegistryPair *pair, Text name, Text value) {
    Label label = registry_label_of(pair);
    return text_equal(label.name, name) && text_equal(label.value, value);
}

bool registry_predict_symbols(Registry *registry, uint32_t ref, const BatchSymbols *symbols,
                              const BatchSeries *row, uint32_t *out) {
    uint32_t guess;
    uint64_t link;
    if (!guess_after(registry, ref, &guess, &link)) return false;
    const RegistrySeries *series = registry_series(registry, guess);
    if (2 * (uint32_t)series->pair_count != row->symbol_count) return false;
    const uint32_t *ids = registry_ids(registry, series);
    const uint32_t *refs = symbols->refs + row->first_symbol;
    for (uint32_t i = 0; i < series->pair_count; i++) {
        uint32_t name = refs[2 * i], value = refs[2 * i + 1];
        uint64_t proof = (uint64_t)name << 32 | (ids[i] + 1);
        if (likely(symbols->known[value] == proof)) continue;
        if (!pair_is(registry_pair(registry, ids[i]), symbols->texts[name], symbols->texts[value]))
            return false;
        symbols->known[value] = proof;
    }
    *out = guess;
    return true;
}
