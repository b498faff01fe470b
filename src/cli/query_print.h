// What `traceo query` shows, for people (aligned) and for spreadsheets (CSV): answers, plans, the
// queries of a server. Private to cli.
#pragma once

#include "cli/command.h"
#include "cli/table.h"
#include "codec/json.h"

// `data` of Prometheus' envelope, as parsed. CORRUPT when it has another shape. *rows: how many
// series there were.
must_use bool query_print(const JsonValue *data, TableFormat format, Arena *arena, Builder *out,
                          size_t *rows, Error *err);

// A query as one line, without the control bytes that must not reach a terminal.
Text query_text_shown(Text text, Arena *arena);

// --list and --kill of `traceo query`.
ExitCode query_list(Call *call, TableFormat format, Error *err);
ExitCode query_kill(Call *call, Text id, Error *err);

// `data` of /api/traceo/v1/query_explain: a row per node, in text a line of totals below. CORRUPT
// as above.
must_use bool query_print_plan(const JsonValue *data, TableFormat format, Arena *arena,
                               Builder *out, Error *err);

// The query with a caret under the place that `message` names as "line:column:"; nothing when it
// names none.
void query_print_caret(Text query, Text message, Builder *out);
