// The inside of a SeriesView: the sources it pins, in the order in which they were stored. Private
// to this folder.
#pragma once

#include "store/series/generations.h"

typedef struct ViewSource {  // one of the two
    Head *head;
    Block *block;
} ViewSource;

struct SeriesView {
    HashKey hash_key;
    Arena arena;
    int64_t from_ms, to_ms;
    ViewSource *sources;  // first stored first: who comes first wins a time
    size_t source_count;
    ARRAY(Text) warnings;
};

// Where a series is: its number in each source that has it, sources rising.
typedef struct FoundPlace {
    uint32_t source, number;
} FoundPlace;

typedef struct FoundSources {
    FoundPlace *at;
    uint32_t count, capacity;
} FoundSources;
