// Matchers against a registry: pairs that match, their postings, and what is left after exclusions.
//
// A matcher that does not match the empty value keeps the series that have a matching pair. One
// that does match it (an absent label counts as empty) takes away the series whose pair does not
// match. As Prometheus does.

#include <stdlib.h>

#include "base/assert.h"
#include "store/series/registry.h"

typedef struct PairIds {
    const uint32_t *at;
    size_t count;
} PairIds;

// The values of a name, as of now. Takes the lock.
static PairIds pairs_of_name(Registry *registry, Text name, Arena *arena) {
    shared_take_read(&registry->lock);
    PairIds out = {0};
    uintptr_t known = (uintptr_t)map_get(&registry->name_map, name);
    if (known != 0) {
        const RegistryName *names = &registry->names.at[known - 1];
        uint32_t *copy = arena_push_array_raw(arena, uint32_t, names->pairs.count + 1);
        memcpy(copy, names->pairs.at, names->pairs.count * sizeof *copy);
        out = (PairIds){copy, names->pairs.count};
    }
    shared_give(&registry->lock);
    return out;
}

static bool find_value(Registry *registry, Text name, Text value, uint32_t *out) {
    AUTO(builder_free) Builder wire = {0};
    labels_append(&wire, name, value);
    shared_take_read(&registry->lock);
    bool found = registry_find_pair(registry, text_bytes(builder_text(&wire)), out);
    shared_give(&registry->lock);
    return found;
}

// The pairs of the matcher's name for which matching gives `wanted`.
static PairIds pairs_that(Registry *registry, const Matcher *matcher, bool wanted, Arena *arena) {
    Text one = matcher->value;
    Texts literals = {&one, 1};
    bool few = matcher->kind == MATCH_EQUAL && wanted;
    few |= matcher->kind == MATCH_NOT_EQUAL && !wanted;
    if ((matcher->kind == MATCH_REGEX && wanted) || (matcher->kind == MATCH_NOT_REGEX && !wanted)) {
        literals = regex_literals(matcher->regex);
        few = literals.count > 0;
    }
    if (few) {
        uint32_t *ids = arena_push_array_raw(arena, uint32_t, literals.count);
        size_t count = 0;
        for (size_t i = 0; i < literals.count; i++) {
            count += find_value(registry, matcher->name, literals.at[i], &ids[count]) ? 1 : 0;
        }
        return (PairIds){ids, count};
    }
    PairIds all = pairs_of_name(registry, matcher->name, arena);
    uint32_t *kept = (uint32_t *)(uintptr_t)all.at;
    size_t count = 0;
    for (size_t i = 0; i < all.count; i++) {
        Label label = registry_label_of(registry_pair(registry, all.at[i]));
        if (matcher_matches(matcher, label.value) == wanted) kept[count++] = all.at[i];
    }
    return (PairIds){kept, count};
}

// With the lock held.
static PostingSet postings_of_pair(const Registry *registry, uint32_t pair, Arena *arena) {
    const RegistryHolders *holders = vector_at(&registry->holders, pair);
    if (holders->first == UINT32_MAX) return (PostingSet){0};
    if (holders->list != 0) return posting_list_read(&registry->lists.at[holders->list - 1], arena);
    uint32_t *one = arena_push(arena, uint32_t);
    *one = holders->first;
    return (PostingSet){one, 1};
}

static PostingSet postings_of(Registry *registry, PairIds pairs, Arena *arena) {
    PostingSet *sets = arena_push_array_raw(arena, PostingSet, pairs.count + 1);
    shared_take_read(&registry->lock);
    for (size_t i = 0; i < pairs.count; i++)
        sets[i] = postings_of_pair(registry, pairs.at[i], arena);
    shared_give(&registry->lock);
    return pairs.count == 1 ? sets[0] : postings_or_many(sets, pairs.count, arena);
}

// Those of which the postings tell: what is taken from them is known of no others.
static PostingSet every_series(const Registry *registry, Arena *arena) {
    uint32_t count = registry_posted(registry);
    uint32_t *all = arena_push_array_raw(arena, uint32_t, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) all[i] = i;
    return (PostingSet){all, count};
}

// How many postings these pairs have together: what reading them costs.
static uint64_t postings_count(Registry *registry, PairIds pairs) {
    uint64_t total = 0;
    shared_take_read(&registry->lock);
    for (size_t i = 0; i < pairs.count; i++) {
        const RegistryHolders *holders = vector_at(&registry->holders, pairs.at[i]);
        total += holders->list == 0 ? 1 : registry->lists.at[holders->list - 1].count;
    }
    shared_give(&registry->lock);
    return total;
}

// Keeps the series that have one of these pairs, or those that have none of them, by looking at the
// pairs of each series.
static PostingSet filter_by_pairs(const Registry *registry, PostingSet refs, PairIds pairs,
                                  bool having, Arena *arena) {
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < pairs.count; i++) {
        least = MIN(least, pairs.at[i]);
        most = MAX(most, pairs.at[i]);
    }
    uint8_t *among = arena_push_array(arena, uint8_t, pairs.count == 0 ? 1 : most - least + 1);
    for (size_t i = 0; i < pairs.count; i++) among[pairs.at[i] - least] = 1;
    uint32_t *kept = arena_push_array_raw(arena, uint32_t, refs.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < refs.count; i++) {
        const RegistrySeries *series = registry_series(registry, refs.at[i]);
        const uint32_t *ids = registry_ids(registry, series);
        bool has = false;
        for (unsigned j = 0; j < series->pair_count && !has; j++)
            has = ids[j] >= least && ids[j] <= most && among[ids[j] - least];
        if (has == having) kept[count++] = refs.at[i];
    }
    return (PostingSet){kept, count};
}

// The series of `refs` that have this pair.
static PostingSet narrow_to_pair(Registry *registry, PostingSet refs, uint32_t pair, Arena *arena) {
    shared_take_read(&registry->lock);
    const RegistryHolders *holders = vector_at(&registry->holders, pair);
    PostingSet kept = holders->list != 0
                          ? posting_list_and(&registry->lists.at[holders->list - 1], refs, arena)
                          : postings_and(refs, postings_of_pair(registry, pair, arena), arena);
    shared_give(&registry->lock);
    return kept;
}

// The series of `refs` that have one of the pairs (or none of them), by whichever way is shorter.
static PostingSet narrow(Registry *registry, PostingSet refs, PairIds pairs, uint64_t total,
                         bool having, Arena *arena) {
    // That are read, or passed over in one list, while the pairs of one series are looked at.
    enum { POSTINGS_PER_SERIES = 16, PASSED_PER_SERIES = 128 };
    if (having && pairs.count == 1 && refs.count * PASSED_PER_SERIES >= total)
        return narrow_to_pair(registry, refs, pairs.at[0], arena);
    if (refs.count * POSTINGS_PER_SERIES < total)
        return filter_by_pairs(registry, refs, pairs, having, arena);
    PostingSet set = postings_of(registry, pairs, arena);
    return having ? postings_and(refs, set, arena) : postings_without(refs, set, arena);
}

// What each matcher that asks for something chooses, the fewest series first.
typedef struct Choice {
    PairIds pairs;
    uint64_t total;
} Choice;

static size_t choices_make(Registry *registry, Matchers matchers, Arena *arena, Choice *out) {
    size_t count = 0;
    for (size_t i = 0; i < matchers.count; i++) {
        const Matcher *matcher = &matchers.at[i];
        if (matcher_matches(matcher, TEXT(""))) continue;
        Choice choice = {.pairs = pairs_that(registry, matcher, true, arena)};
        choice.total = postings_count(registry, choice.pairs);
        size_t at = count++;
        for (; at > 0 && out[at - 1].total > choice.total; at--) out[at] = out[at - 1];
        out[at] = choice;
        if (choice.total == 0) break;  // nothing is chosen by all
    }
    return count;
}

bool registry_select(Registry *registry, Matchers matchers, Arena *arena, PostingSet *out,
                     Error *err) {
    (void)err;
    Choice *choices = arena_push_array_raw(arena, Choice, matchers.count + 1);
    size_t choice_count = choices_make(registry, matchers, arena, choices);
    PostingSet kept = choice_count == 0 ? every_series(registry, arena)
                                        : postings_of(registry, choices[0].pairs, arena);
    for (size_t i = 1; i < choice_count && kept.count > 0; i++)
        kept = narrow(registry, kept, choices[i].pairs, choices[i].total, true, arena);
    for (size_t i = 0; i < matchers.count && kept.count > 0; i++) {
        const Matcher *matcher = &matchers.at[i];
        if (!matcher_matches(matcher, TEXT(""))) continue;
        PairIds pairs = pairs_that(registry, matcher, false, arena);
        uint64_t total = postings_count(registry, pairs);
        kept = narrow(registry, kept, pairs, total, false, arena);
    }
    *out = kept;
    return true;
}

void registry_label_names(Registry *registry, Arena *arena, Texts *out) {
    shared_take_read(&registry->lock);
    Text *names = arena_push_array_raw(arena, Text, registry->names.count + 1);
    size_t count = registry->names.count;
    for (size_t i = 0; i < count; i++) names[i] = text_copy(registry->names.at[i].name, arena);
    shared_give(&registry->lock);
    *out = (Texts){names, count};
}

void registry_label_values(Registry *registry, Text name, Arena *arena, Texts *out) {
    PairIds pairs = pairs_of_name(registry, name, arena);
    Text *values = arena_push_array_raw(arena, Text, pairs.count + 1);
    for (size_t i = 0; i < pairs.count; i++) {
        values[i] = text_copy(registry_label_of(registry_pair(registry, pairs.at[i])).value, arena);
    }
    *out = (Texts){values, pairs.count};
}

// ---- Values of the series that match ----

enum { FEW_VALUES = 4096 };

// Which of the registry's names each matcher asks for; UINT32_MAX: no series has such a label.
static uint32_t *names_asked(Registry *registry, Matchers matchers, Arena *arena) {
    uint32_t *names = arena_push_array_raw(arena, uint32_t, matchers.count + 1);
    shared_take_read(&registry->lock);
    for (size_t i = 0; i < matchers.count; i++) {
        uintptr_t known = (uintptr_t)map_get(&registry->name_map, matchers.at[i].name);
        names[i] = (uint32_t)known - 1;
    }
    shared_give(&registry->lock);
    return names;
}

static bool series_matches(const Registry *registry, uint32_t ref, Matchers matchers,
                           const uint32_t *names) {
    const RegistrySeries *series = registry_series(registry, ref);
    const uint32_t *ids = registry_ids(registry, series);
    for (size_t i = 0; i < matchers.count; i++) {
        Text value = TEXT("");
        for (unsigned j = 0; j < series->pair_count; j++) {
            const RegistryPair *pair = registry_pair(registry, ids[j]);
            if (pair->name == names[i]) value = registry_label_of(pair).value;
        }
        if (!matcher_matches(&matchers.at[i], value)) return false;
    }
    return true;
}

// Who had the pair first; UINT32_MAX: nobody yet.
static void first_holders(Registry *registry, PairIds pairs, uint32_t *out) {
    shared_take_read(&registry->lock);
    for (size_t i = 0; i < pairs.count; i++)
        out[i] = ((const RegistryHolders *)vector_at(&registry->holders, pairs.at[i]))->first;
    shared_give(&registry->lock);
}

// Which of these pairs, of one name, one of these series has: by the pairs of each series …
static void mark_by_series(Registry *registry, PairIds pairs, PostingSet refs, Arena *arena,
                           bool *held) {
    uint32_t name = registry_pair(registry, pairs.at[0])->name, most = 0;
    for (size_t i = 0; i < pairs.count; i++) most = MAX(most, pairs.at[i]);
    uint8_t *met = arena_push_array(arena, uint8_t, (size_t)most + 1);
    for (size_t i = 0; i < refs.count; i++) {
        const RegistrySeries *series = registry_series(registry, refs.at[i]);
        const uint32_t *ids = registry_ids(registry, series);
        for (unsigned j = 0; j < series->pair_count; j++) {
            if (registry_pair(registry, ids[j])->name == name && ids[j] <= most) met[ids[j]] = 1;
        }
    }
    for (size_t i = 0; i < pairs.count; i++) held[i] = met[pairs.at[i]] != 0;
}

// … or by the series of each pair, up to the first that is one of these.
static void mark_by_pairs(Registry *registry, PairIds pairs, PostingSet refs, Arena *arena,
                          bool *held) {
    uint32_t most = refs.at[refs.count - 1];
    uint64_t *among = arena_push_array(arena, uint64_t, most / 64 + 1);
    for (size_t i = 0; i < refs.count; i++)
        among[refs.at[i] / 64] |= UINT64_C(1) << refs.at[i] % 64;
    for (size_t i = 0; i < pairs.count; i++) {
        ArenaMark before = arena_mark(arena);
        PostingSet of = postings_of(registry, (PairIds){pairs.at + i, 1}, arena);
        held[i] = false;
        for (size_t j = 0; j < of.count && of.at[j] <= most && !held[i]; j++)
            held[i] = among[of.at[j] / 64] >> of.at[j] % 64 & 1;
        arena_reset_to(arena, before);
    }
}

static Text value_of_pair(const Registry *registry, uint32_t pair, Arena *arena) {
    return text_copy(registry_label_of(registry_pair(registry, pair)).value, arena);
}

bool registry_values_matching(Registry *registry, Text name, Matchers matchers, Arena *arena,
                              bool *told, Texts *out, Error *err) {
    enum { SERIES_PER_VALUE = 64 };  // about what one posting set costs
    AUTO(arena_free) Arena scratch = {0};
    PairIds pairs = pairs_of_name(registry, name, &scratch);
    *told = pairs.count <= FEW_VALUES;
    if (!*told) return true;
    uint32_t *first = arena_push_array_raw(&scratch, uint32_t, pairs.count + 1);
    uint32_t *open = arena_push_array_raw(&scratch, uint32_t, pairs.count + 1);
    Text *values = arena_push_array_raw(arena, Text, pairs.count + 1);
    size_t count = 0, open_count = 0;
    first_holders(registry, pairs, first);
    const uint32_t *names = names_asked(registry, matchers, &scratch);
    for (size_t i = 0; i < pairs.count; i++) {
        if (first[i] >= registry_posted(registry)) continue;
        if (series_matches(registry, first[i], matchers, names)) {
            values[count++] = value_of_pair(registry, pairs.at[i], arena);
        } else {
            open[open_count++] = pairs.at[i];
        }
    }
    PostingSet refs = {0};
    if (open_count > 0) TRY(registry_select(registry, matchers, &scratch, &refs, err));
    if (refs.count > 0) {
        PairIds rest = {open, open_count};
        bool *held = arena_push_array(&scratch, bool, open_count);
        (refs.count <= open_count * SERIES_PER_VALUE ? mark_by_series : mark_by_pairs)(
            registry, rest, refs, &scratch, held);
        for (size_t i = 0; i < open_count; i++) {
            if (held[i]) values[count++] = value_of_pair(registry, open[i], arena);
        }
    }
    *out = (Texts){values, count};
    return true;
}

// ---- Order ----

typedef struct ByRank {
    const Registry *registry;
    const uint32_t *rank;
} ByRank;

static int compare_pairs(const void *a, const void *b, void *context) {
    const Registry *registry = context;
    Label label_a = registry_label_of(registry_pair(registry, *(const uint32_t *)a));
    Label label_b = registry_label_of(registry_pair(registry, *(const uint32_t *)b));
    int order = text_compare(label_a.name, label_b.name);
    return order != 0 ? order : text_compare(label_a.value, label_b.value);
}

// labels_compare on ranks: pair by pair, and what ends first comes first.
static int compare_series(const void *a, const void *b, void *context) {
    const ByRank *by = context;
    const RegistrySeries *series_a = registry_series(by->registry, *(const uint32_t *)a);
    const RegistrySeries *series_b = registry_series(by->registry, *(const uint32_t *)b);
    const uint32_t *ids_a = registry_ids(by->registry, series_a);
    const uint32_t *ids_b = registry_ids(by->registry, series_b);
    unsigned count_a = series_a->pair_count, count_b = series_b->pair_count;
    unsigned common = MIN(count_a, count_b);
    for (unsigned i = 0; i < common; i++) {
        if (ids_a[i] == ids_b[i]) continue;
        return by->rank[ids_a[i]] < by->rank[ids_b[i]] ? -1 : 1;
    }
    return (int)count_a - (int)count_b;
}

uint32_t *registry_sorted(Registry *registry, Arena *arena) {
    uint32_t pair_count = registry->pair_count, count = registry_count(registry);
    uint32_t *pairs = arena_push_array_raw(arena, uint32_t, (size_t)pair_count + 1);
    for (uint32_t i = 0; i < pair_count; i++) pairs[i] = i;
    qsort_r(pairs, pair_count, sizeof *pairs, compare_pairs, registry);
    uint32_t *rank = arena_push_array_raw(arena, uint32_t, (size_t)pair_count + 1);
    for (uint32_t i = 0; i < pair_count; i++) rank[pairs[i]] = i;
    uint32_t *refs = arena_push_array_raw(arena, uint32_t, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) refs[i] = i;
    qsort_r(refs, count, sizeof *refs, compare_series, &(ByRank){registry, rank});
    return refs;
}
