// Reading match[].

#include "server/matchers.h"

bool match_sets_read(const Request *request, bool needed, Arena *arena, MatchSets *out,
                     Error *err) {
    *out = (MatchSets){.at = arena_push_array(arena, Promql, request->params.count + 1)};
    for (size_t i = 0; i < request->params.count; i++) {
        if (!text_equal(request->params.at[i].key, TEXT("match[]"))) continue;
        Promql *parsed = &out->at[out->count++];
        if (!promql_parse_selector(request->params.at[i].value, arena, parsed, err)) {
            out->count--;
            return error_context(err, "invalid parameter \"match[]\"");
        }
    }
    if (out->count > 0 || !needed) return true;
    return error_set(err, ERROR_BAD_INPUT, "no match[] parameter provided");
}

void match_sets_close(MatchSets *sets) {
    for (size_t i = 0; i < sets->count; i++) promql_close(&sets->at[i]);
    sets->count = 0;
}
