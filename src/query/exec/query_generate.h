// Queries made from bytes, and what must hold for any query: as an instant query it says what it
// says as a step of a range query. Tests only.
#pragma once

#include "query/exec/script.h"

// A store with a few series of every kind: counters with falls, gauges, NaN, gaps, stale markers,
// buckets.
must_use bool generate_store(ScriptStore *store, Arena *arena, Error *err);

// The same bytes make the same query.
void generate_query(Bytes bytes, Builder *out);

// False with the reason in `why` when the two ways to run `query` differ. *ran: the query was
// accepted and ran as a range.
bool generate_check(ScriptStore *store, Text query, Arena *arena, bool *ran, Text *why);
