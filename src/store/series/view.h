// The inside of a SeriesView: the sources it pins, in the order in which they were stored. Private
// to this folder.
#pragma once

#include "store/series/tier.h"

typedef struct ViewSource {  // one of the two
    Head *head;
    Block *block;
    uint64_t number;         // of the block
    int64_t min_ms, max_ms;  // of the block
    bool has_deletes;        // some of the view's deletes mean it
    bool shares_time;        // another block of the view has samples in its interval
} ViewSource;

// A block of the tier of one day (tier_view.c).
typedef struct TierSource {
    Block *block;
    size_t place;  // of the day among those of the view that have tiers
    uint64_t number;
    int64_t min_ms, max_ms;  // of what it stands for
    int64_t day_ms, tier_ms;
    uint64_t source;  // the highest number of the blocks it was made of; 0: some are gone
    bool must;        // only for series of which the day has no samples any more
} TierSource;

struct SeriesView {
    HashKey hash_key;
    Arena arena;
    int64_t from_ms, to_ms;
    SeriesMeter *meter;   // may be NULL
    RowCache *rows;       // where rows are kept of what is read; NULL: nowhere
    ViewSource *sources;  // first stored first: who comes first wins a time
    size_t source_count;
    DeleteArray deletes;  // that mean one of the sources; most often none
    TierSource *tiers;    // days rising, one tier of each; most often none
    size_t tier_count, tier_days;
    DeleteArray tier_deletes;  // that mean one of them
    ARRAY(Text) warnings;
};

// Where a series is: its number in each source that has it, sources rising.
typedef struct FoundPlace {
    uint32_t source, number;
} FoundPlace;

typedef struct FoundSources {
    FoundPlace *at;
    uint32_t count, capacity;
    DeletedSpans deleted;  // most often none; who reads a source by other ways than series_read
                           // must honour them
    FoundPlace *tiers;     // where it is in the view's tiers, days rising; most often nowhere
    uint32_t tier_count;
    DeletedSpans tier_deleted;
} FoundSources;

// That what this block says, which is damaged, may be missing from answers.
void view_warn(SeriesView *view, const StoreBlock *block);

// What the view's deletes took from a series of a source.
DeletedSpans view_spans(const SeriesView *view, uint32_t source, Labels labels, Arena *arena);

// What a cursor keeps of tiers; NULL until it has read any.
TierCursors **cursor_tiers(SeriesCursor *cursor);
SeriesView *cursor_view(SeriesCursor *cursor);

// The native histograms of a place that deletes leave in the interval.
must_use bool histograms_left(BlockCursor *cursor, FoundPlace place, DeletedSpans spans,
                              int64_t from_ms, int64_t to_ms, size_t *out, Error *err);
