// Whatever parses prints, and what was printed parses to an equal tree. Formatting what was
// formatted changes nothing.

#include "base/assert.h"
#include "query/promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// False: the text is not a query, or it is too large to be formatted.
static bool format(Text text, Arena *arena, Builder *out) {
    AUTO(promql_close) Promql promql = {0};
    Error err;
    return promql_parse(text, arena, &promql, NULL, &err) && promql_pretty(&promql, 20, out, &err);
}

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

    AUTO(builder_free) Builder pretty = {0};
    AUTO(builder_free) Builder prettier = {0};
    if (!format(source, &arena, &pretty)) return 0;
    assert(format(builder_text(&pretty), &arena, &prettier));
    assert(text_equal(builder_text(&pretty), builder_text(&prettier)));
    return 0;
}
