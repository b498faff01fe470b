// What was asked to be forgotten: deletes wait in the manifest until the blocks they mean were
// written again without what they delete. Private to this folder.
//
// A delete means the blocks that existed when it was made (their number is below `before`), and in
// them the series that its matchers match, from `from_ms` to `to_ms`. What is stored later, for the
// same series and times too, has blocks with higher numbers and is not meant: no order of merges,
// restarts and replays can change that. README.md, "Deletes", has the rule; FORMAT.md the line.
//
// Immutable once made and shared by reference count: views hold those that concern them.
#pragma once

#include <stdatomic.h>

#include "store/series/manifest.h"
#include "store/series/series.h"

typedef struct Delete {
    _Atomic uint32_t refs;
    Arena arena;
    ManifestDelete facts;  // its regular expressions are compiled
} Delete;

typedef ARRAY(Delete *) DeleteArray;

// Copies `facts` and compiles its matchers.
must_use bool delete_make(const ManifestDelete *facts, Delete **out, Error *err);
Delete *delete_ref(Delete *of);
void delete_unref(Delete **of);
void deletes_free(DeleteArray *deletes);

// Does it mean the block of this number and interval?
bool delete_means(const Delete *of, uint64_t number, int64_t min_ms, int64_t max_ms);

// An interval of one series in one source of a view (or of a merge) that is not to be seen.
typedef struct DeletedSpan {
    uint32_t source;
    int64_t from_ms, to_ms;
} DeletedSpan;

typedef struct DeletedSpans {
    DeletedSpan *at;
    size_t count;
} DeletedSpans;

// The spans that `deletes` make in a block, for a series with these labels; on the arena.
DeletedSpans deletes_spans(const DeleteArray *deletes, uint32_t source, uint64_t number,
                           int64_t min_ms, int64_t max_ms, Labels labels, Arena *arena);
bool spans_cover(DeletedSpans spans, uint32_t source, int64_t time_ms);
// Takes out the samples that the spans of `source` cover. `histograms` is left as it is.
void spans_apply(DeletedSpans spans, uint32_t source, SeriesColumns *columns);
