// A query's answer for people (aligned) and for spreadsheets (CSV). Private to cli.
#pragma once

#include "cli/table.h"
#include "codec/json.h"

// `data` of Prometheus' envelope, as parsed. CORRUPT when it has another shape. *rows: how many
// series there were.
must_use bool query_print(const JsonValue *data, TableFormat format, Arena *arena, Builder *out,
                          size_t *rows, Error *err);

// `data` of /api/traceo/v1/query_explain: a row per node, in text a line of totals below. CORRUPT as
// above.
must_use bool query_print_plan(const JsonValue *data, TableFormat format, Arena *arena,
                               Builder *out, Error *err);

// The query with a caret under the place that `message` names as "line:column:"; nothing when it
// names none.
void query_print_caret(Text query, Text message, Builder *out);
