// Which series match, and what their labels are: pairs by walking and searching, then posting
// algebra.

#include <stdlib.h>

#include "base/assert.h"
#include "store/series/block_inside.h"

const BlockName *block_name_find(const Block *block, Text name) {
    size_t low = 0, high = block->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(block->names[middle].name, name);
        if (order == 0) return &block->names[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

// ---- Pairs ----

// Reads the row at the walk's reader: the value from the value before, and the bytes of the set.
static bool pair_row(PairWalk *walk, Error *err) {
    uint64_t shared = reader_varint(&walk->rows);
    Bytes rest = reader_take(&walk->rows, reader_varint(&walk->rows));
    walk->postings = reader_take(&walk->rows, reader_varint(&walk->rows));
    if (walk->rows.failed || shared > walk->value.len)
        return block_corrupt(walk->block, SECTION_PAIRS, 0, "a label pair cannot be read", err);
    walk->value.len = shared;
    builder_add_bytes(&walk->value, rest.at, rest.len);
    return true;
}

static bool walk_group(PairWalk *walk, uint32_t pair, Error *err) {
    Bytes rows;
    TRY(section_group(walk->block, SECTION_PAIRS, walk->block->pairs, pair / GROUP_ROWS, &rows,
                      err));
    walk->rows = reader_begin(rows);
    builder_clear(&walk->value);
    return true;
}

PairWalk pair_walk_begin(const Block *block, uint32_t first, uint32_t end) {
    return (PairWalk){.block = block, .next = first, .end = end};
}

bool pair_walk_next(PairWalk *walk, bool *more, Error *err) {
    *more = walk->next < walk->end;
    if (!*more) return true;
    if (walk->rows.at == NULL || walk->next % GROUP_ROWS == 0) {
        TRY(walk_group(walk, walk->next, err));
        // The first time we may stand in the middle of a group.
        for (uint32_t skip = walk->next % GROUP_ROWS; skip > 0; skip--) TRY(pair_row(walk, err));
    }
    TRY(pair_row(walk, err));
    walk->next++;
    return true;
}

void pair_walk_end(PairWalk *walk) {
    builder_free(&walk->value);
}

bool pair_value(const Block *block, uint32_t pair, Builder *into, Error *err) {
    PairWalk walk = pair_walk_begin(block, pair, pair + 1);
    walk.value = *into;
    bool more, good = pair_walk_next(&walk, &more, err);
    *into = walk.value;
    return good;
}

void pair_cache_begin(Block *block) {
    size_t groups = (block->pairs + GROUP_ROWS - 1) / GROUP_ROWS;
    if (groups > PAIR_CACHE_GROUPS_MAX) return;
    block->pair_cache = arena_push(&block->arena, PairCache);
    block->pair_cache->group_count = groups;
    block->pair_cache->groups =
        (PairGroup * _Atomic *)memory_take_zeroed(array_bytes(groups + 1, sizeof(PairGroup *)));
}

void pair_cache_end(Block *block) {
    if (block->pair_cache == NULL) return;
    for (size_t i = 0; i < block->pair_cache->group_count; i++)
        memory_free(atomic_load(&block->pair_cache->groups[i]));
    memory_free((void *)block->pair_cache->groups);
}

// A group with its values behind it in one piece of memory.
static bool pair_group_make(const Block *block, uint32_t group, PairGroup **out, size_t *bytes,
                            Error *err) {
    uint32_t first = group * GROUP_ROWS, end = MIN(first + GROUP_ROWS, block->pairs);
    AUTO(builder_free) Builder values = {0};
    AUTO(pair_walk_end) PairWalk walk = pair_walk_begin(block, first, end);
    UNFILLED size_t ends[GROUP_ROWS], count = 0;
    for (bool more;;) {
        TRY(pair_walk_next(&walk, &more, err));
        if (!more) break;
        builder_add(&values, builder_text(&walk.value));
        ends[count++] = values.len;
    }
    *bytes = sizeof(PairGroup) + values.len;
    PairGroup *made = memory_take_zeroed(*bytes);
    char *text = (char *)(made + 1);
    if (values.len > 0) memcpy(text, values.at, values.len);
    for (size_t i = 0; i < count; i++) {
        size_t from = i == 0 ? 0 : ends[i - 1];
        made->values[i] = (Text){text + from, ends[i] - from};
    }
    *out = made;
    return true;
}

// *out NULL: not kept, decode it yourself.
static bool pair_group(const Block *block, uint32_t group, const PairGroup **out, Error *err) {
    PairCache *cache = block->pair_cache;
    *out = NULL;
    if (cache == NULL) return true;
    PairGroup *found = atomic_load_explicit(&cache->groups[group], memory_order_acquire);
    if (found == NULL &&
        atomic_load_explicit(&cache->bytes, memory_order_relaxed) < PAIR_CACHE_BYTES_MAX) {
        PairGroup *made;
        size_t bytes;
        TRY(pair_group_make(block, group, &made, &bytes, err));
        if (atomic_compare_exchange_strong(&cache->groups[group], &found, made)) {
            atomic_fetch_add_explicit(&cache->bytes, (int64_t)bytes, memory_order_relaxed);
            found = made;
        } else {
            memory_free(made);  // another thread was faster
        }
    }
    *out = found;
    return true;
}

// The first pair of `name` whose value is not below `value`: by the first rows of groups, then by
// walking one group.
static bool pair_lower_bound(const Block *block, const BlockName *name, Text value, uint32_t *out,
                             Error *err) {
    uint32_t first = name->first_pair, end = first + name->pair_count;
    uint32_t low = first / GROUP_ROWS,
             high = (end - 1) / GROUP_ROWS;  // the bound lies in groups low … high, or at the end
    AUTO(builder_free) Builder scratch = {0};
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        TRY(pair_value(block, middle * GROUP_ROWS, &scratch, err));
        if (text_compare(builder_text(&scratch), value) < 0)
            low = middle;
        else
            high = middle - 1;
    }
    AUTO(pair_walk_end) PairWalk walk = pair_walk_begin(block, MAX(first, low * GROUP_ROWS), end);
    for (bool more;;) {
        TRY(pair_walk_next(&walk, &more, err));
        if (!more || text_compare(builder_text(&walk.value), value) >= 0) {
            *out = more ? walk.next - 1 : end;
            return true;
        }
    }
}

// ---- Matching ----

typedef ARRAY(PostingSet) SetArray;

static bool set_add(const Block *block, Bytes postings, Arena *arena, SetArray *sets, Error *err) {
    size_t used;
    PostingSet *set = array_add_on(arena, sets);
    if (!postings_decode(postings, (uint32_t)block->facts.series, arena, set, &used, err) ||
        used != postings.len) {
        if (err != NULL && err->code == ERROR_CORRUPT)
            return error_context(err, "block %.*s, pairs", TEXT_ARG(block->name));
        return block_corrupt(block, SECTION_PAIRS, 0, "a posting set has another length", err);
    }
    return true;
}

static bool set_of_value(const Block *block, const BlockName *name, Text value, Arena *arena,
                         SetArray *sets, Error *err) {
    uint32_t pair;
    TRY(pair_lower_bound(block, name, value, &pair, err));
    AUTO(pair_walk_end)
    PairWalk walk =
        pair_walk_begin(block, pair, MIN(pair + 1, name->first_pair + name->pair_count));
    bool more;
    TRY(pair_walk_next(&walk, &more, err));
    if (!more || !text_equal(builder_text(&walk.value), value)) return true;
    return set_add(block, walk.postings, arena, sets, err);
}

// The sets of all values of a name for which the matcher answers `wanted`.
static bool sets_scanned(const Block *block, const BlockName *name, const Matcher *matcher,
                         bool wanted, Arena *arena, SetArray *sets, Error *err) {
    Text prefix = matcher->regex != NULL && (matcher->kind == MATCH_REGEX) == wanted
                      ? regex_prefix(matcher->regex)
                      : TEXT_NONE;
    uint32_t first = name->first_pair;
    if (prefix.len > 0) TRY(pair_lower_bound(block, name, prefix, &first, err));
    AUTO(pair_walk_end)
    PairWalk walk = pair_walk_begin(block, first, name->first_pair + name->pair_count);
    for (bool more;;) {
        TRY(pair_walk_next(&walk, &more, err));
        if (!more) return true;
        Text value = builder_text(&walk.value);
        if (prefix.len > 0 && !text_starts_with(value, prefix)) return true;
        if (matcher_matches(matcher, value) == wanted)
            TRY(set_add(block, walk.postings, arena, sets, err));
    }
}

static bool matcher_sets(const Block *block, const BlockName *name, const Matcher *matcher,
                         bool wanted, Arena *arena, SetArray *sets, Error *err) {
    bool literal =
        (matcher->kind == MATCH_EQUAL && wanted) || (matcher->kind == MATCH_NOT_EQUAL && !wanted);
    if (literal) return set_of_value(block, name, matcher->value, arena, sets, err);
    bool positive_regex =
        (matcher->kind == MATCH_REGEX && wanted) || (matcher->kind == MATCH_NOT_REGEX && !wanted);
    Texts literals = positive_regex ? regex_literals(matcher->regex) : (Texts){NULL, 0};
    if (literals.count == 0) return sets_scanned(block, name, matcher, wanted, arena, sets, err);
    for (size_t i = 0; i < literals.count; i++)
        TRY(set_of_value(block, name, literals.at[i], arena, sets, err));
    return true;
}

static bool matcher_is_everything(const Matcher *matcher) {
    return matcher->kind == MATCH_REGEX && text_equal(matcher->value, TEXT(".*"));
}

static PostingSet every_series(const Block *block, Arena *arena) {
    PostingSet set = {arena_push_array_raw(arena, uint32_t, block->facts.series + 1),
                      block->facts.series};
    for (uint32_t i = 0; i < set.count; i++) set.at[i] = i;
    return set;
}

// A matcher that takes the empty value also takes series without the label: it is a subtraction.
// `*all`: the set is every series, and not made yet.
static bool matcher_apply(const Block *block, const Matcher *matcher, bool subtract, Arena *arena,
                          PostingSet *set, bool *all, Error *err) {
    const BlockName *name = block_name_find(block, matcher->name);
    SetArray sets = {0};
    if (name != NULL) TRY(matcher_sets(block, name, matcher, !subtract, arena, &sets, err));
    PostingSet united = postings_or_many(sets.at, sets.count, arena);
    if (subtract && united.count == 0) return true;
    if (subtract && *all) *set = every_series(block, arena);
    if (!subtract && *all) {
        *set = united;
    } else {
        *set = subtract ? postings_without(*set, united, arena) : postings_and(*set, united, arena);
    }
    *all = false;
    return true;
}

bool block_select(const Block *block, Matchers matchers, Arena *arena, BlockSeriesSet *out,
                  Error *err) {
    PostingSet set = {NULL, block->facts.series};
    bool all = true;
    // Those that choose first, those that take away from what they chose after.
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < matchers.count && set.count > 0; i++) {
            const Matcher *matcher = &matchers.at[i];
            bool subtract = matcher_matches(matcher, TEXT(""));
            if (subtract != (pass == 1) || matcher_is_everything(matcher)) continue;
            TRY(matcher_apply(block, matcher, subtract, arena, &set, &all, err));
        }
    }
    if (all) set = every_series(block, arena);
    *out = (BlockSeriesSet){set.at, set.count};
    return true;
}

// ---- Labels ----

typedef struct SeriesRow {
    const Shape *shape;
    uint64_t values[BLOCK_LABELS_MAX];
} SeriesRow;

static bool series_row(const Block *block, Reader *reader, SeriesRow *row) {
    uint64_t head = reader_varint(reader);
    if (head > 0) {
        if (head > block->shape_count) return false;
        row->shape = &block->shapes[head - 1];
        for (size_t i = 0; i < row->shape->count; i++) row->values[i] = reader_varint(reader);
        return !reader->failed;
    }
    if (row->shape == NULL) return false;
    uint64_t mask = reader_varint(reader);
    for (size_t i = 0; i < row->shape->count; i++) {
        if (mask >> i & 1) row->values[i] += (uint64_t)reader_zigzag(reader);
    }
    return !reader->failed;
}

// The value of a pair: a view into the cache, or a copy on the arena.
static bool pair_text(const Block *block, uint32_t pair, Arena *arena, Text *out, Error *err) {
    const PairGroup *group;
    TRY(pair_group(block, pair / GROUP_ROWS, &group, err));
    if (group != NULL) {
        *out = group->values[pair % GROUP_ROWS];
        return true;
    }
    AUTO(builder_free) Builder value = {0};
    TRY(pair_value(block, pair, &value, err));
    *out = text_copy(builder_text(&value), arena);
    return true;
}

static Labels labels_wire(const Label *labels, size_t count, Arena *arena) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t name = labels[i].name.len, value = labels[i].value.len;
        size_t inner = 2 + varint_len(name) + name + varint_len(value) + value;
        bytes += 1 + varint_len(inner) + inner;
    }
    // A builder over memory of the arena that is large enough (with room for the longest varint),
    // so it never grows.
    Builder wire = {arena_push_raw(arena, bytes + 16, 1), 0, bytes + 16};
    for (size_t i = 0; i < count; i++) labels_append(&wire, labels[i].name, labels[i].value);
    assert(wire.len == bytes);
    return (Labels){text_bytes(builder_text(&wire))};
}

Texts block_names(const Block *block) {
    return (Texts){block->name_texts, block->name_count};
}

bool block_pairs_labels(const Block *block, const BlockPair *pairs, size_t count, Arena *arena,
                        Labels *out, Error *err) {
    UNFILLED Label labels[BLOCK_LABELS_MAX];
    for (size_t i = 0; i < count; i++) {
        labels[i].name = block->names[pairs[i].name].name;
        TRY(pair_text(block, pairs[i].pair, arena, &labels[i].value, err));
    }
    *out = labels_wire(labels, count, arena);
    return true;
}

struct BlockRows {
    const Block *block;
    uint64_t group;  // whose rows are read; UINT64_MAX: none yet
    uint32_t next;   // the series whose row comes next
    Reader reader;
    SeriesRow row;
};

BlockRows *block_rows_open(const Block *block, Arena *arena) {
    BlockRows *rows = arena_push(arena, BlockRows);
    rows->block = block;
    rows->group = UINT64_MAX;
    return rows;
}

static bool rows_seek(BlockRows *rows, uint32_t series, Error *err) {
    const Block *block = rows->block;
    uint64_t group = series / GROUP_ROWS;
    if (group != rows->group || series < rows->next) {
        Bytes bytes;
        TRY(section_group(block, SECTION_SERIES, block->facts.series, group, &bytes, err));
        rows->reader = reader_begin(bytes);
        rows->group = group;
        rows->next = (uint32_t)(group * GROUP_ROWS);
        rows->row.shape = NULL;
    }
    for (; rows->next <= series; rows->next++) {
        if (series_row(block, &rows->reader, &rows->row)) continue;
        rows->group = UINT64_MAX;
        return block_corrupt(block, SECTION_SERIES, (int64_t)group,
                             "the labels of a series cannot be read", err);
    }
    return true;
}

bool block_rows_pairs(BlockRows *rows, uint32_t series, BlockPair out[BLOCK_PAIRS_MAX],
                      size_t *count, Error *err) {
    const Block *block = rows->block;
    if (series >= block->facts.series)
        return error_set(err, ERROR_BAD_INPUT, "block %.*s has no series %u", TEXT_ARG(block->name),
                         series);
    TRY(rows_seek(rows, series, err));
    const Shape *shape = rows->row.shape;
    for (size_t i = 0; i < shape->count; i++) {
        const BlockName *name = &block->names[shape->names[i]];
        if (rows->row.values[i] >= name->pair_count)
            return block_corrupt(block, SECTION_SERIES, 0,
                                 "a series names a label value that is not there", err);
        out[i] = (BlockPair){shape->names[i], name->first_pair + (uint32_t)rows->row.values[i]};
    }
    *count = shape->count;
    return true;
}

bool block_labels(const Block *block, uint32_t series, Arena *arena, Labels *out, Error *err) {
    UNFILLED BlockPair pairs[BLOCK_PAIRS_MAX];
    UNFILLED BlockRows rows;
    size_t count;
    rows.block = block;
    rows.group = UINT64_MAX;
    return block_rows_pairs(&rows, series, pairs, &count, err) &&
           block_pairs_labels(block, pairs, count, arena, out, err);
}
