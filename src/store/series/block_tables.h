// What a block being built knows about labels, clocks and places: the tables that its index is made
// of. Private.
#pragma once

#include "base/map.h"
#include "store/index/postings.h"
#include "store/series/block_inside.h"

// Rows told from each other in groups; the offsets of the groups go behind the rows.
typedef struct Grouped {
    Builder rows;
    ARRAY(uint32_t) offsets;
    uint64_t count;
} Grouped;

// Call before each row is written; *first: nothing may be told from the row before.
must_use bool grouped_row(Grouped *grouped, bool *first, Error *err);
void grouped_free(Grouped *grouped);

// ---- What was met ----
// Numbers by a hash that is never 0; equality is for the caller to confirm.
typedef struct Seen {
    uint64_t hash;  // 0: free
    uint32_t value;
} Seen;
typedef struct SeenTable {
    Seen *slots;
    size_t slot_count, count;
} SeenTable;
void seen_add(SeenTable *table, uint64_t hash, uint32_t value);
// Walks the values with this hash: begin with *at = hash; false at the end.
bool seen_next(const SeenTable *table, uint64_t hash, uint64_t *at, uint32_t *value);
void seen_free(SeenTable *table);

// ---- Labels ----
typedef struct Pair {
    uint32_t name;  // as met
    uint32_t rank;  // by name and value, known at the end
    Text value;
    PostingList series;
} Pair;

typedef struct LabelTables {
    Arena arena;
    Map name_map;  // values: number + 1 as a pointer
    SeenTable
        known;  // numbers of pairs, by name and value: of many pairs a map would take twice as much
    ARRAY(Text) names;
    ARRAY(Pair *) pairs;
    ARRAY(uint32_t) series_pairs;  // of all series, one after the other
    ARRAY(size_t) series_first;
    int64_t posting_bytes;  // of the pairs' lists
    Builder last_labels, key;
    uint32_t last_pairs[BLOCK_LABELS_MAX];
    size_t last_count;
} LabelTables;

void label_tables_begin(LabelTables *tables, HashKey hash_key);
void label_tables_free(LabelTables *tables);
must_use bool label_tables_add(LabelTables *tables, Labels labels, Error *err);
// Appends the three sections; *shapes for the footer.
must_use bool label_tables_finish(LabelTables *tables, Builder *names, Grouped *pairs,
                                  Grouped *series, Error *err);

// ---- Clocks and equal columns ----
// A hash of our own data, to find what may be equal; equality is always confirmed by the bytes.
uint64_t content_hash(Bytes bytes);

typedef struct ClockEntry {
    uint32_t count, column_offset, column_len;
    int64_t *times;  // kept while memory for it lasts
    int64_t first_ms;
} ClockEntry;

typedef struct ClockTable {
    Grouped rows;
    Arena arena;
    ARRAY(ClockEntry) entries;
    SeenTable seen;
} ClockTable;
// The number of the clock with these times, made when new; `guess` is tried first.
must_use bool clock_number(ClockTable *table, const int64_t *times, size_t count, uint32_t guess,
                           uint32_t *out, Error *err);
void clock_table_free(ClockTable *table);
