// A named amount of memory that several parts share; the whole lives inside `memory.limit`.
//
// A caller reserves before it allocates and releases when it frees. Any thread.
#pragma once

#include <stdatomic.h>

#include "base/error.h"

typedef struct Budget {
    const char *name;       // "ingest", "queries", "caches"
    _Atomic int64_t used;   // bytes
    _Atomic int64_t limit;  // bytes; 0 means no limit
    struct Budget *parent;  // reserved there too; NULL at the top
    const char *setting;    // that raises it; NULL: memory.limit
} Budget;

// ERROR_NO_MEMORY naming the budget when it would pass its limit (or its parent's); nothing is
// reserved then.
must_use bool budget_reserve(Budget *budget, int64_t bytes, Error *err);
void budget_release(Budget *budget, int64_t bytes);
