// Building the index of a block: label pairs met once, series as differences, clocks shared.

#include "store/series/block_tables.h"

#include <stdlib.h>

#include "base/assert.h"

enum { CLOCK_TIMES_KEPT_BYTES = 16 * MB };

bool grouped_row(Grouped *grouped, bool *first, Error *err) {
    *first = grouped->count % GROUP_ROWS == 0;
    grouped->count++;
    if (!*first) return true;
    if (grouped->rows.len > UINT32_MAX)
        return error_set(err, ERROR_TOO_LARGE,
                         "a section of the block passes 4 GiB; write smaller blocks");
    *array_add(&grouped->offsets) = (uint32_t)grouped->rows.len;
    return true;
}

void grouped_free(Grouped *grouped) {
    builder_free(&grouped->rows);
    array_free(&grouped->offsets);
}

// ---- Labels ----

void label_tables_begin(LabelTables *tables, HashKey hash_key) {
    tables->name_map = map_begin(&tables->arena, hash_key);
}

void label_tables_free(LabelTables *tables) {
    for (size_t i = 0; i < tables->pairs.count; i++)
        posting_list_free(&tables->pairs.at[i]->series);
    seen_free(&tables->known);
    array_free(&tables->names);
    array_free(&tables->pairs);
    array_free(&tables->series_pairs);
    array_free(&tables->series_first);
    builder_free(&tables->last_labels);
    builder_free(&tables->key);
    arena_free(&tables->arena);
}

// Maps hold numbers as pointers, one up, so that 0 stays "new".
static bool map_number(Map *map, Text key, size_t next, uint32_t *out) {
    void **place = map_put(map, key);
    bool is_new = *place == NULL;
    if (is_new) *place = (void *)(uintptr_t)(next + 1);
    *out = (uint32_t)((uintptr_t)*place - 1);
    return is_new;
}

static uint32_t pair_number(LabelTables *tables, Label label) {
    uint32_t name, pair;
    if (map_number(&tables->name_map, label.name, tables->names.count, &name)) {
        *array_add(&tables->names) = text_copy(label.name, &tables->arena);
    }
    builder_clear(&tables->key);
    writer_u32(&tables->key, name);
    builder_add(&tables->key, label.value);
    uint64_t hash = hash_keyed(tables->name_map.hash_key, text_bytes(builder_text(&tables->key)));
    hash += hash == 0;
    for (uint64_t at = hash; seen_next(&tables->known, hash, &at, &pair);) {
        const Pair *met = tables->pairs.at[pair];
        if (met->name == name && text_equal(met->value, label.value)) return pair;
    }
    pair = (uint32_t)tables->pairs.count;
    Pair *made = arena_push(&tables->arena, Pair);
    made->name = name;
    made->value = text_copy(label.value, &tables->arena);
    *array_add(&tables->pairs) = made;
    seen_add(&tables->known, hash, pair);
    return pair;
}

bool label_tables_add(LabelTables *tables, Labels labels, Error *err) {
    Labels last = {text_bytes(builder_text(&tables->last_labels))};
    if (labels_count(labels) > BLOCK_LABELS_MAX) {
        return error_set(err, ERROR_TOO_LARGE, "a series has more than %d labels",
                         BLOCK_LABELS_MAX);
    }
    uint32_t series = (uint32_t)tables->series_first.count;
    if (series == UINT32_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a block holds fewer than 2^32 series");
    if (series > 0 && labels_compare(last, labels) >= 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "series %u of a block does not come after the one before it", series);
    }
    *array_add(&tables->series_first) = tables->series_pairs.count;

    // Most labels are those of the series before: equal bytes are the same pair.
    Label label, before = {TEXT_NONE, TEXT_NONE};
    size_t count = 0;
    Bytes last_rest = last.wire;
    for (Bytes rest = labels.wire; labels_next(&rest, &label); count++) {
        bool known = labels_next(&last_rest, &before) && text_equal(before.name, label.name) &&
                     text_equal(before.value, label.value);
        uint32_t number = known ? tables->last_pairs[count] : pair_number(tables, label);
        tables->last_pairs[count] = number;
        *array_add(&tables->series_pairs) = number;
        posting_list_add(&tables->pairs.at[number]->series, series, &tables->posting_bytes);
    }
    tables->last_count = count;
    builder_clear(&tables->last_labels);
    builder_add_bytes(&tables->last_labels, labels.wire.at, labels.wire.len);
    return true;
}

static int text_by_order(const void *a, const void *b, void *names) {
    const Text *texts = names;
    return text_compare(texts[*(const uint32_t *)a], texts[*(const uint32_t *)b]);
}

static int pair_by_rank(const void *a, const void *b, void *ranks) {
    const Pair *left = *(Pair *const *)a, *right = *(Pair *const *)b;
    const uint32_t *rank = ranks;
    if (left->name != right->name) return rank[left->name] < rank[right->name] ? -1 : 1;
    return text_compare(left->value, right->value);
}

static bool pairs_finish(Pair *const *sorted, size_t count, Grouped *out, Error *err) {
    Arena arena = {0};
    Text before = TEXT_NONE;
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        bool first;
        good = grouped_row(out, &first, err);
        if (!good) break;
        Text value = sorted[i]->value;
        size_t shared = 0;
        while (!first && shared < MIN(before.len, value.len) &&
               before.at[shared] == value.at[shared])
            shared++;
        writer_varint(&out->rows, shared);
        writer_varint(&out->rows, value.len - shared);
        builder_add(&out->rows, text_slice(value, shared, value.len));
        Builder postings = {0};
        postings_encode(posting_list_read(&sorted[i]->series, &arena), &postings);
        writer_varint(&out->rows, postings.len);
        builder_add(&out->rows, builder_text(&postings));
        builder_free(&postings);
        arena_clear(&arena);
        before = value;
    }
    arena_free(&arena);
    return good;
}

typedef struct SeriesRow {
    uint32_t shape;
    size_t count;
    uint32_t values[BLOCK_LABELS_MAX];  // rank of each pair among those of its name
} SeriesRow;

// Against the row before: the same names mean a mask of the places that changed, and how far.
static void series_row_put(const SeriesRow *row, const SeriesRow *before, bool first,
                           Builder *out) {
    if (first || row->shape != before->shape) {
        writer_varint(out, (uint64_t)row->shape + 1);
        for (size_t i = 0; i < row->count; i++) writer_varint(out, row->values[i]);
        return;
    }
    uint64_t mask = 0;
    for (size_t i = 0; i < BLOCK_LABELS_MAX; i++) {
        if (i < row->count && row->values[i] != before->values[i]) mask |= UINT64_C(1) << i;
    }
    writer_varint(out, 0);
    writer_varint(out, mask);
    for (size_t i = 0; i < row->count; i++) {
        if (mask >> i & 1) writer_zigzag(out, (int64_t)row->values[i] - before->values[i]);
    }
}

// The section of names: the names with their first pairs, then the shapes (lists of names) that
// series have.
static void names_finish(const LabelTables *tables, const uint32_t *order,
                         const uint32_t *pair_counts, const Builder *shapes, size_t shape_count,
                         Builder *out) {
    writer_varint(out, tables->names.count);
    for (size_t i = 0; i < tables->names.count; i++) {
        Text name = tables->names.at[order[i]];
        writer_varint(out, name.len);
        builder_add(out, name);
        writer_varint(out, pair_counts[order[i]]);
    }
    writer_varint(out, shape_count);
    builder_add(out, builder_text(shapes));
}

bool label_tables_finish(LabelTables *tables, Builder *names, Grouped *pairs, Grouped *series,
                         Error *err) {
    size_t name_count = tables->names.count, pair_count = tables->pairs.count;
    Arena *arena = &tables->arena;
    uint32_t *order = arena_push_array(arena, uint32_t, name_count + 1),
             *rank = arena_push_array(arena, uint32_t, name_count + 1);
    uint32_t *pair_counts = arena_push_array(arena, uint32_t, name_count + 1),
             *first_pair = arena_push_array(arena, uint32_t, name_count + 1);
    for (uint32_t i = 0; i < name_count; i++) order[i] = i;
    if (name_count > 0) qsort_r(order, name_count, sizeof *order, text_by_order, tables->names.at);
    for (uint32_t i = 0; i < name_count; i++) rank[order[i]] = i;

    Pair **sorted = arena_push_array(arena, Pair *, pair_count + 1);
    for (size_t i = 0; i < pair_count; i++) sorted[i] = tables->pairs.at[i];
    if (pair_count > 0) qsort_r(sorted, pair_count, sizeof *sorted, pair_by_rank, rank);
    for (uint32_t i = 0; i < pair_count; i++) {
        uint32_t name = sorted[i]->name;
        if (pair_counts[name]++ == 0) first_pair[name] = i;
        sorted[i]->rank = i - first_pair[name];
    }
    TRY(pairs_finish(sorted, pair_count, pairs, err));

    // Shapes are few: found by the bytes of their lists.
    AUTO(builder_free) Builder shapes = {0};
    AUTO(builder_free) Builder key = {0};
    Map shape_map = map_begin(arena, tables->name_map.hash_key);
    size_t shape_count = 0, series_count = tables->series_first.count;
    SeriesRow rows[2] = {0};
    for (size_t s = 0; s < series_count; s++) {
        SeriesRow *row = &rows[s % 2], *before = &rows[1 - s % 2];
        size_t from = tables->series_first.at[s];
        size_t to =
            s + 1 < series_count ? tables->series_first.at[s + 1] : tables->series_pairs.count;
        row->count = to - from;
        builder_clear(&key);
        writer_varint(&key, row->count);
        for (size_t i = 0; i < row->count; i++) {
            const Pair *pair = tables->pairs.at[tables->series_pairs.at[from + i]];
            writer_varint(&key, rank[pair->name]);
            row->values[i] = pair->rank;
        }
        if (map_number(&shape_map, builder_text(&key), shape_count, &row->shape)) {
            builder_add(&shapes, builder_text(&key));
            shape_count++;
        }
        bool first;
        TRY(grouped_row(series, &first, err));
        series_row_put(row, before, first, &series->rows);
    }
    names_finish(tables, order, pair_counts, &shapes, shape_count, names);
    return true;
}

// ---- Clocks and equal columns ----

uint64_t content_hash(Bytes bytes) {
    uint64_t hash = 0x9e3779b97f4a7c15u ^ bytes.len, word;
    while (bytes.len >= sizeof word) {
        memcpy(&word, bytes.at, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
        bytes.at += sizeof word;
        bytes.len -= sizeof word;
    }
    word = 0;
    if (bytes.len > 0) memcpy(&word, bytes.at, bytes.len);
    hash = hash_id(hash ^ word);
    return hash == 0 ? 1 : hash;
}

static void seen_place(SeenTable *table, uint64_t hash, uint32_t value) {
    size_t at = hash & (table->slot_count - 1);
    while (table->slots[at].hash != 0) at = (at + 1) & (table->slot_count - 1);
    table->slots[at] = (Seen){hash, value};
}

void seen_add(SeenTable *table, uint64_t hash, uint32_t value) {
    if ((table->count + 1) * 2 > table->slot_count) {
        SeenTable larger = {.slot_count = MAX(table->slot_count * 2, (size_t)64),
                            .count = table->count};
        larger.slots = memory_new_array(Seen, larger.slot_count);
        for (size_t i = 0; i < table->slot_count; i++) {
            if (table->slots[i].hash != 0)
                seen_place(&larger, table->slots[i].hash, table->slots[i].value);
        }
        memory_free(table->slots);
        *table = larger;
    }
    seen_place(table, hash, value);
    table->count++;
}

bool seen_next(const SeenTable *table, uint64_t hash, uint64_t *at, uint32_t *value) {
    if (table->slot_count == 0) return false;
    for (;; ++*at) {
        const Seen *slot = &table->slots[*at & (table->slot_count - 1)];
        if (slot->hash == 0) return false;
        if (slot->hash != hash) continue;
        *value = slot->value;
        ++*at;
        return true;
    }
}

void seen_free(SeenTable *table) {
    memory_free(table->slots);
    *table = (SeenTable){0};
}

static bool clock_is(const ClockTable *table, uint32_t number, const int64_t *times, size_t count) {
    const ClockEntry *entry = &table->entries.at[number];
    if (entry->count != count || entry->first_ms != times[0]) return false;
    if (entry->times != NULL) return memcmp(entry->times, times, count * sizeof *times) == 0;
    UNFILLED int64_t decoded[CHUNK_SAMPLES_MAX];
    size_t used;
    Bytes column = {(const uint8_t *)table->rows.rows.at + entry->column_offset, entry->column_len};
    bool good = times_decode(column, count, decoded, &used, NULL);
    assert(good);
    return memcmp(decoded, times, count * sizeof *times) == 0;
}

bool clock_number(ClockTable *table, const int64_t *times, size_t count, uint32_t guess,
                  uint32_t *out, Error *err) {
    *out = guess;
    if (guess < table->entries.count && clock_is(table, guess, times, count)) return true;
    uint64_t hash = content_hash((Bytes){(const uint8_t *)times, count * sizeof *times});
    for (uint64_t at = hash; seen_next(&table->seen, hash, &at, out);) {
        if (clock_is(table, *out, times, count)) return true;
    }
    bool first;
    TRY(grouped_row(&table->rows, &first, err));
    UNFILLED uint8_t column[COLUMN_BYTES_MAX];
    size_t len = times_encode(times, count, column);
    Builder *rows = &table->rows.rows;
    writer_varint(rows, count);
    writer_zigzag(rows, times[0]);
    writer_varint(rows, (uint64_t)times[count - 1] - (uint64_t)times[0]);
    writer_varint(rows, len);
    *out = (uint32_t)table->entries.count;
    ClockEntry *entry = array_add(&table->entries);
    *entry = (ClockEntry){(uint32_t)count, (uint32_t)rows->len, (uint32_t)len, NULL, times[0]};
    builder_add_bytes(rows, column, len);
    if (table->arena.bytes < CLOCK_TIMES_KEPT_BYTES) {
        entry->times = arena_push_array_raw(&table->arena, int64_t, count);
        memcpy(entry->times, times, count * sizeof *times);
    }
    seen_add(&table->seen, hash, *out);
    return true;
}

void clock_table_free(ClockTable *table) {
    grouped_free(&table->rows);
    array_free(&table->entries);
    seen_free(&table->seen);
    arena_free(&table->arena);
}
