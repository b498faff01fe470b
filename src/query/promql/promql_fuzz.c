// Whatever parses prints, and what was printed parses to an equal tree.

#include "base/assert.h"
#include "query/promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder printed = {0};
    AUTO(promql_close) Promql first = {0};
    AUTO(promql_close) Promql again = {0};
    Error err;
    SourceRange where;
    Text source = {(const char *)data, size};
    if (!promql_parse(source, &arena, &first, &where, &err)) {
        assert(where.from <= size && where.to <= size && where.from <= where.to);
        return 0;
    }
    promql_print(first.root, &printed);
    bool parsed = promql_parse(builder_text(&printed), &arena, &again, NULL, &err);
    assert(parsed && expr_equal(first.root, again.root));
    return 0;
}
