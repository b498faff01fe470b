// Names and values of labels: of all series of a block, or of those that are asked for. Pairs have
// posting sets, so most often the first numbers of each tell whether a series has it.

#include "base/assert.h"
#include "store/series/block_inside.h"

enum {
    // The row of a series costs about as much as so many numbers of a posting set.
    ROW_NUMBERS = 32,
    // Reading and matching the labels of one series, in such numbers.
    LABELS_NUMBERS = 256,
};

bool block_label_names(const Block *block, Arena *arena, Texts *out, Error *err) {
    Text *names = arena_push_array(arena, Text, block->name_count + 1);
    for (size_t i = 0; i < block->name_count; i++)
        names[i] = text_copy(block->names[i].name, arena);
    *out = (Texts){names, block->name_count};
    return true;
}

// The values whose flags are set; NULL: all.
static bool values_flagged(const Block *block, const BlockName *name, const uint8_t *held,
                           Arena *arena, Texts *out, Error *err) {
    size_t most = 0, count = 0;
    for (uint32_t i = 0; i < name->pair_count; i++) most += held == NULL || held[i];
    Text *values = arena_push_array_raw(arena, Text, most + 1);
    uint32_t end = name->first_pair + name->pair_count;
    AUTO(pair_walk_end) PairWalk walk = pair_walk_begin(block, name->first_pair, end);
    for (uint32_t i = 0; i < name->pair_count; i++) {
        if (held != NULL && !held[i]) continue;
        uint32_t pair = name->first_pair + i;
        bool more = true;
        if (pair / GROUP_ROWS != walk.next / GROUP_ROWS) {
            walk.next = pair;
            walk.rows = (Reader){0};
        }
        while (more && walk.next <= pair) TRY(pair_walk_next(&walk, &more, err));
        values[count++] = text_copy(builder_text(&walk.value), arena);
    }
    *out = (Texts){values, count};
    return true;
}

bool block_label_values(const Block *block, Text name, Arena *arena, Texts *out, Error *err) {
    const BlockName *found = block_name_find(block, name);
    *out = (Texts){NULL, 0};
    return found == NULL || values_flagged(block, found, NULL, arena, out, err);
}

// ---- Of some series ----

static const uint64_t *bits_of(const Block *block, const BlockSeriesSet *set, Arena *arena) {
    uint64_t *bits = arena_push_array(arena, uint64_t, block->facts.series / 64 + 1);
    for (size_t i = 0; i < set->count; i++) bits[set->at[i] / 64] |= UINT64_C(1) << set->at[i] % 64;
    return bits;
}

static bool postings_corrupt(const Block *block, Error *err) {
    return error_context(err, "block %.*s, pairs", TEXT_ARG(block->name));
}

// Has one of the series the pair that the walk stands at?
static bool pair_met(const PairWalk *walk, const uint64_t *bits, bool *met, Error *err) {
    return postings_meet(walk->postings, (uint32_t)walk->block->facts.series, bits, met, err) ||
           postings_corrupt(walk->block, err);
}

// Sets the flags of the values that one of the series has; those that are set are not asked again.
static bool hold_by_pairs(const Block *block, const BlockName *name, const BlockSeriesSet *set,
                          uint8_t *held, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    const uint64_t *bits = bits_of(block, set, &scratch);
    AUTO(pair_walk_end)
    PairWalk walk = pair_walk_begin(block, name->first_pair, name->first_pair + name->pair_count);
    for (uint32_t i = 0; i < name->pair_count; i++) {
        bool more, met = true;
        TRY(pair_walk_next(&walk, &more, err));
        if (!held[i]) TRY(pair_met(&walk, bits, &met, err));
        held[i] = met;
    }
    return true;
}

static bool hold_by_rows(const Block *block, const BlockName *name, const BlockSeriesSet *set,
                         uint8_t *held, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    BlockRows *rows = block_rows_open(block, &scratch);
    UNFILLED BlockPair pairs[BLOCK_PAIRS_MAX];
    size_t count;
    for (size_t i = 0; i < set->count; i++) {
        TRY(block_rows_pairs(rows, set->at[i], pairs, &count, err));
        for (size_t k = 0; k < count; k++) {
            uint32_t rank = pairs[k].pair - name->first_pair;
            if (rank < name->pair_count) held[rank] = 1;
        }
    }
    return true;
}

static bool hold(const Block *block, const BlockName *name, const BlockSeriesSet *set,
                 uint8_t *held, Error *err) {
    bool few = (uint64_t)set->count * ROW_NUMBERS <= block->facts.series + name->pair_count;
    return (few ? hold_by_rows : hold_by_pairs)(block, name, set, held, err);
}

bool block_values_of(const Block *block, Text name, const BlockSeriesSet *set, Arena *arena,
                     Texts *out, Error *err) {
    const BlockName *found = block_name_find(block, name);
    *out = (Texts){NULL, 0};
    if (found == NULL || set->count == 0) return true;
    if (set->count == block->facts.series)
        return values_flagged(block, found, NULL, arena, out, err);
    AUTO(arena_free) Arena scratch = {0};
    uint8_t *held = arena_push_array(&scratch, uint8_t, found->pair_count);
    TRY(hold(block, found, set, held, err));
    return values_flagged(block, found, held, arena, out, err);
}

// ---- Of those that match ----

// What each matcher asks for; NULL: no series has such a label.
static const BlockName **names_asked(const Block *block, Matchers matchers, Arena *arena) {
    const BlockName **names = arena_push_array(arena, const BlockName *, matchers.count + 1);
    for (size_t i = 0; i < matchers.count; i++)
        names[i] = block_name_find(block, matchers.at[i].name);
    return names;
}

static bool series_matches(BlockRows *rows, const Block *block, uint32_t series, Matchers matchers,
                           const BlockName **names, Builder *value, bool *matches, Error *err) {
    UNFILLED BlockPair pairs[BLOCK_PAIRS_MAX];
    size_t count;
    TRY(block_rows_pairs(rows, series, pairs, &count, err));
    *matches = true;
    for (size_t i = 0; *matches && i < matchers.count; i++) {
        builder_clear(value);
        for (size_t k = 0; names[i] != NULL && k < count; k++) {
            if (block->names + pairs[k].name == names[i])
                TRY(pair_value(block, pairs[k].pair, value, err));
        }
        *matches = matcher_matches(&matchers.at[i], builder_text(value));
    }
    return true;
}

// Sets the flags of the values whose first series matches. *open: how many are left.
static bool hold_by_first(const Block *block, const BlockName *name, Matchers matchers,
                          uint8_t *held, size_t *open, Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    AUTO(builder_free) Builder value = {0};
    const BlockName **names = names_asked(block, matchers, &scratch);
    BlockRows *rows = block_rows_open(block, &scratch);
    AUTO(pair_walk_end)
    PairWalk walk = pair_walk_begin(block, name->first_pair, name->first_pair + name->pair_count);
    *open = 0;
    for (uint32_t i = 0; i < name->pair_count; i++) {
        bool more, any, matches = false;
        uint32_t first;
        TRY(pair_walk_next(&walk, &more, err));
        TRY(postings_first(walk.postings, (uint32_t)block->facts.series, &first, &any, err) ||
            postings_corrupt(block, err));
        if (any) TRY(series_matches(rows, block, first, matchers, names, &value, &matches, err));
        held[i] = matches;
        *open += any && !matches;
    }
    return true;
}

bool block_values_matching(const Block *block, Text name, Matchers matchers, Arena *arena,
                           Texts *out, Error *err) {
    const BlockName *found = block_name_find(block, name);
    *out = (Texts){NULL, 0};
    if (found == NULL) return true;
    AUTO(arena_free) Arena scratch = {0};
    BlockSeriesSet set;
    if ((uint64_t)found->pair_count * LABELS_NUMBERS > block->facts.series) {
        TRY(block_select(block, matchers, &scratch, &set, err));
        return block_values_of(block, name, &set, arena, out, err);
    }
    size_t open;
    uint8_t *held = arena_push_array(&scratch, uint8_t, found->pair_count);
    TRY(hold_by_first(block, found, matchers, held, &open, err));
    if (open > 0) {
        TRY(block_select(block, matchers, &scratch, &set, err));
        if (set.count > 0) TRY(hold(block, found, &set, held, err));
    }
    return values_flagged(block, found, held, arena, out, err);
}

// ---- Names of some series ----

static bool names_by_rows(const Block *block, const BlockSeriesSet *set, uint8_t *held,
                          Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    BlockRows *rows = block_rows_open(block, &scratch);
    UNFILLED BlockPair pairs[BLOCK_PAIRS_MAX];
    size_t count;
    for (size_t i = 0; i < set->count; i++) {
        TRY(block_rows_pairs(rows, set->at[i], pairs, &count, err));
        for (size_t k = 0; k < count; k++) held[pairs[k].name] = 1;
    }
    return true;
}

static bool names_by_pairs(const Block *block, const BlockSeriesSet *set, uint8_t *held,
                           Error *err) {
    AUTO(arena_free) Arena scratch = {0};
    const uint64_t *bits = bits_of(block, set, &scratch);
    for (size_t i = 0; i < block->name_count; i++) {
        const BlockName *name = &block->names[i];
        AUTO(pair_walk_end)
        PairWalk walk =
            pair_walk_begin(block, name->first_pair, name->first_pair + name->pair_count);
        for (bool more = true, met = false; !met;) {
            TRY(pair_walk_next(&walk, &more, err));
            if (!more) break;
            TRY(pair_met(&walk, bits, &met, err));
            held[i] = met;
        }
    }
    return true;
}

bool block_names_of(const Block *block, const BlockSeriesSet *set, Arena *arena, Texts *out,
                    Error *err) {
    *out = (Texts){NULL, 0};
    if (set->count == 0) return true;
    if (set->count == block->facts.series) return block_label_names(block, arena, out, err);
    AUTO(arena_free) Arena scratch = {0};
    uint8_t *held = arena_push_array(&scratch, uint8_t, block->name_count + 1);
    bool few = (uint64_t)set->count * ROW_NUMBERS <= block->facts.series;
    TRY((few ? names_by_rows : names_by_pairs)(block, set, held, err));
    Text *names = arena_push_array_raw(arena, Text, block->name_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < block->name_count; i++) {
        if (held[i]) names[count++] = text_copy(block->names[i].name, arena);
    }
    *out = (Texts){names, count};
    return true;
}
