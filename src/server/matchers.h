// match[]: several selectors, any of which may match. And labels as JSON. Private to server.
#pragma once

#include "codec/number.h"
#include "query/promql/promql.h"
#include "server/request.h"

typedef struct MatchSets {
    Promql *at;  // each root is a selector
    size_t count;
} MatchSets;

// The selectors of match[]. None is fine unless `needed`. One that would match every series is
// BAD_INPUT (the parser sees to it), as in Prometheus. Works with AUTO(match_sets_close).
must_use bool match_sets_read(const Request *request, bool needed, Arena *arena, MatchSets *out,
                              Error *err);
void match_sets_close(MatchSets *sets);

static inline Matchers match_set_matchers(const MatchSets *sets, size_t at) {
    return sets->at[at].root->as.selector.matchers;
}
