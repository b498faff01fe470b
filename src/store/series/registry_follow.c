// Recognising a series by the one that came before it.

#include "base/assert.h"
#include "store/series/registry.h"
#include "store/series/same_bytes.h"

// registry_is with the help of the row before; a match becomes the row before of the next.
static bool is_after(const Registry *registry, RegistryTrail *trail, uint32_t ref, Bytes wire) {
    const RegistrySeries *series = registry_series(registry, ref);
    if (series->wire_len != wire.len) return false;
    const uint32_t *ids = registry_ids(registry, series);
    __typeof__(&trail->rows[0]) before = &trail->rows[trail->last],
                                here = &trail->rows[trail->last ^ 1];
    uint32_t count = series->pair_count, shared = MIN(count, before->count), at = 0;
    for (uint32_t i = 0; i < count;) {
        here->at[i] = at;
        if (i < shared && ids[i] == before->ids[i]) {
            uint32_t end = i + 1, begin = before->at[i];
            for (; end < shared && ids[end] == before->ids[end]; end++)
                here->at[end] = at + before->at[end] - begin;
            uint32_t len = before->at[end] - begin;
            if (len > wire.len - at || memcmp(before->wire + begin, wire.at + at, len) != 0)
                return false;
            at += len;
            i = end;
            continue;
        }
        const RegistryPair *pair = registry_pair(registry, ids[i]);
        if (pair->len > wire.len - at || !same_bytes(pair->wire, wire.at + at, pair->len))
            return false;
        at += pair->len;
        i++;
    }
    here->at[count] = at;
    here->count = count;
    here->ids = ids;
    here->wire = wire.at;
    trail->last ^= 1;
    return at == wire.len;
}

// The guessed successor of `ref` (or of none: UINT32_MAX); false when there is none.
static bool guess_after(const Registry *registry, uint32_t ref, uint32_t *out) {
    uint32_t guess = 0;
    uint32_t count = registry_count(registry);
    if (ref < count) {
        _Atomic uint32_t *successor = vector_place(&registry->successors, ref, sizeof *successor);
        uint32_t next = atomic_load_explicit(successor, memory_order_acquire);
        guess = next != 0 ? next - 1 : ref + 1;  // series come in the order in which they were made
    }
    // The count is read again: a successor may have been made since.
    if (guess >= count && guess >= registry_count(registry)) return false;
    *out = guess;
    return true;
}

bool registry_predict(Registry *registry, RegistryTrail *trail, uint32_t ref, Bytes wire,
                      uint32_t *out) {
    uint32_t guess;
    if (!guess_after(registry, ref, &guess) || !is_after(registry, trail, guess, wire))
        return false;
    *out = guess;
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
    if (!guess_after(registry, ref, &guess)) return false;
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

void registry_learn(Registry *registry, uint32_t before, uint32_t ref) {
    if (before >= registry_count(registry)) return;
    _Atomic uint32_t *successor = vector_place(&registry->successors, before, sizeof *successor);
    uint32_t known = atomic_load_explicit(successor, memory_order_relaxed);
    if (known == ref + 1 || (known == 0 && ref == before + 1)) return;
    atomic_store_explicit(successor, ref + 1, memory_order_release);
}
