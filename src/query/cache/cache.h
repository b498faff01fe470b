// Answers of range queries that are kept, so that a dashboard that loads again costs its tail only.
//
// An entry is the answer of one query over a run of its steps: key are store, text as printed from
// its tree, step, phase of the steps and lookback. Asked again, the steps that are there are served
// and only those behind them are computed.
//
// The rule that makes it right: a step of a kept query depends on samples at or before it alone, so
// what is stored, deleted or lost at a time T changes no step before T. Every entry bears the
// version of its store's changes from before its data was read (series_watch_changes); steps at or
// after the lowest change since then are not served. Queries for which this does not hold are not
// kept: with `@`, negative offsets, `smoothed` and `anchored`, start(), end() and range(), info(),
// and answers with warnings or native histograms. Annotations that are no warnings are kept
// with the entry: an answer may bear one that is about a step in front of it. Steps younger than
// CACHE_MARGIN_MS are not kept either: samples still come for them.
//
// Any thread. Entries are immutable and shared by reference count; the least recently used go.
#pragma once

#include "query/query.h"

typedef struct QueryCache QueryCache;

enum { CACHE_MARGIN_MS = 60000 };

// At most `bytes_max` bytes (0: keeps nothing), or what `memory` grants, which outlives the answers
// and may be NULL.
QueryCache *query_cache_new(Budget *memory, int64_t bytes_max);
void query_cache_free(QueryCache **cache);  // no query runs any more; NULL is fine
void query_cache_resize(QueryCache *cache, int64_t bytes_max);

// As query_run, whose answer it gives. `stats` are of what was computed now. Series of a range lie
// in an entry, and are printed there, as far as one has them: query_cache_release() when the answer
// is not needed any more. What lies in an entry is bounded by the cache (an eighth of it) and is
// not charged to request->memory.
must_use bool query_cache_run(QueryCache *cache, SeriesStore *store, const QueryRequest *request,
                              Arena *arena, QueryResult *out, SourceRange *where, Error *err);

void query_cache_release(QueryResult *result);  // works with AUTO

typedef struct QueryCacheState {
    uint64_t hits, tails, misses;  // served whole; all but the tail; nothing was there
    uint64_t entries;
    int64_t bytes;
} QueryCacheState;
void query_cache_state(QueryCache *cache, QueryCacheState *out);
