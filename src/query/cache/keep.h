// The kept entries: a table by key, a list by use. Private to query/cache.
#pragma once

#include "model/labels.h"
#include "query/cache/cache.h"

// A series of an entry: its points, and how they are printed where they are.
typedef struct KeptSeries {
    Labels labels;
    const int64_t *times;  // of the points that exist
    const double *values;
    size_t count;
    Text json_labels;      // empty: nothing is printed
    const char *json;      // the points, commas between them
    const uint32_t *ends;  // where each one's text ends
} KeptSeries;

// Immutable once it is in the table.
typedef struct Kept {
    Arena arena;
    _Atomic uint32_t references;
    Text key;
    uint64_t hash;
    uint64_t version;  // of the store's changes, from before its data was read
    int64_t start_ms;
    size_t steps;
    KeptSeries *series;  // in labels_compare order
    size_t series_count;
    Texts infos;  // annotations of all its steps
    int64_t bytes;
    Budget *charged_to;          // they are released there with the memory; NULL: nowhere
    struct Kept *next;           // of its bucket
    struct Kept *newer, *older;  // by use
} Kept;

Kept *kept_new(Text key);
void kept_unref(Kept **kept);

// The entry, referenced; NULL: none.
Kept *keep_find(QueryCache *cache, Text key);
// The table has it from here on, by a reference of its own, in place of one with the same key;
// unless there is no memory for it.
void keep_put(QueryCache *cache, Kept *kept);
int64_t keep_bytes_max(QueryCache *cache);  // 0: nothing is kept
// Counts an answer of which `have` of `count` steps were there.
void keep_count(QueryCache *cache, size_t have, size_t count);
