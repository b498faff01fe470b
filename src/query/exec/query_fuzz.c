// Any text that parses runs without harm, and a step of a range query says what an instant query
// says.
//
// Bytes that are no query drive the generator instead.

#include <stdio.h>

#include "base/assert.h"
#include "query/exec/query_generate.h"
#include "query/promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ScriptStore store;
static Arena store_arena;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Error err;
    if (store.store == NULL) {
        bool opened = generate_store(&store, &store_arena, &err);
        assert(opened);
    }
    if (size > 400) return 0;
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder made = {0};
    AUTO(promql_close) Promql promql = {0};
    Text query = {(const char *)data, size};
    if (!promql_parse(query, &arena, &promql, NULL, &err)) {
        generate_query((Bytes){data, size}, &made);
        query = builder_text(&made);
    }
    bool ran;
    Text why = TEXT("");
    bool same = generate_check(&store, query, &arena, &ran, &why);
    if (!same) fprintf(stderr, "%.*s\n  %.*s\n", TEXT_ARG(query), TEXT_ARG(why));
    assert(same);
    return 0;
}
