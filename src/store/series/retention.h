// How long series are kept, by their labels. Private to store/series; SeriesRetention is in
// series.h.
//
// Retention works on blocks, which hold a day at most: a block whose youngest sample is older than
// the longest that anything is kept goes as a whole; one from which only some series have to go is
// written again without them. So a sample may outlive its time by a day and a round of
// housekeeping, and none goes before its time.
#pragma once

#include "store/series/block.h"
#include "store/series/series.h"

// 0: for ever.
int64_t retention_of(const SeriesRetention *retention, Labels labels);
int64_t retention_longest(const SeriesRetention *retention);

// Does a series with these labels have to go from a block that ends at `max_ms`?
bool retention_is_over(const SeriesRetention *retention, Labels labels, int64_t max_ms,
                       int64_t now_ms);

// Is there such a series in the block?
must_use bool retention_touches(const SeriesRetention *retention, const Block *block,
                                int64_t max_ms, int64_t now_ms, bool *touches, Error *err);
// When the next rule is over for a block that ends at `max_ms`, after `now_ms`; INT64_MAX: none is.
int64_t retention_next(const SeriesRetention *retention, int64_t max_ms, int64_t now_ms);
