// Questions about the language alone, for editors: /format_query, /parse_query.

#include "query/promql/promql.h"
#include "server/serve.h"

// What is wrong with the text is bad_data and 400, and the answer says where.
static bool parse(Request *request, Arena *arena, Promql *out, Error *err) {
    Text text = param_text(request, TEXT("query"));
    SourceRange where = {0};
    if (promql_parse(text, arena, out, &where, err)) return true;
    if (where.to > 0) {
        request->fault_text = text;
        request->fault = where;
    }
    err->code = ERROR_BAD_INPUT;
    return error_context(err, "invalid parameter \"query\"");
}

bool serve_format_query(Request *request, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(promql_close) Promql promql = {0};
    AUTO(builder_free) Builder pretty = {0};
    TRY(parse(request, &arena, &promql, err));
    TRY(promql_pretty(&promql, PROMQL_PRETTY_WIDTH, &pretty, err));
    JsonWriter writer = envelope_begin(request);
    json_text(&writer, builder_text(&pretty));
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}

bool serve_parse_query(Request *request, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(promql_close) Promql promql = {0};
    TRY(parse(request, &arena, &promql, err));
    JsonWriter writer = envelope_begin(request);
    TRY(promql_write_tree(&promql, &writer, err));
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
