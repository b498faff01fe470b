// In which order the samples of a batch are stored.
//
// A sender sends its series in the same order every time, mostly, and heads number them as they
// come: rows follow each other in memory. Where they do not, each waits for cache lines of its own,
// and a page's lock is taken for nearly every row. Then it pays to sort them first.
#pragma once

#include "model/batch.h"

typedef BatchPlace RowPlace;

// The rows that are not refused, by series; those of one series as they stand in the batch. NULL:
// the rows are near enough to that order, or too few, and are to be taken as they stand. Valid
// until the batch is cleared.
const RowPlace *rows_by_series(Batch *batch, size_t *count);

// Whether rows of these series are.
bool refs_near_order(const uint32_t *refs, size_t count);
