// PromQL, the language: text to a checked tree and back.
//
// A hand-written lexer whose tokens are views, a Pratt parser driven by a table of binding powers,
// a checker that gives every node its type. Errors are BAD_INPUT with "line:column: parse error: …"
// in the message and the range in `where`. Nesting and length are limited. What the language of
// Prometheus 3 has and this version cannot do yet is ERROR_UNSUPPORTED, naming it.
#pragma once

#include "query/promql/ast.h"
#include "query/promql/functions.h"  // the table, for help and completion

typedef struct Promql {
    Text text;
    Expr *root;
    ARRAY(Regex *) regexes;  // to be closed
    // The first thing that Prometheus has behind a feature flag: its name (none: empty) and place.
    Text experimental;
    SourceRange experimental_at;
} Promql;

// `text` must outlive the tree (names are views into it). On failure nothing is left to close.
must_use bool promql_parse(Text text, Arena *arena, Promql *out, SourceRange *where, Error *err);
// Durations may be written with step() and range(), which only a query knows: `foo[step() * 2]`.
// Puts the numbers in; to be called once before the tree is run. BAD_INPUT when one is not positive
// where it has to be.
must_use bool promql_resolve(Promql *promql, int64_t step_ms, int64_t length_ms, SourceRange *where,
                             Error *err);
void promql_close(Promql *promql);  // works with AUTO; a zeroed one is fine

// A series selector alone, as in match[]: `up`, `{job="x"}`, `up{job=~"a|b"}`.
must_use bool promql_parse_selector(Text text, Arena *arena, Promql *out, Error *err);

// Line and column of a byte offset, both from 1, as errors and annotations name them.
typedef struct SourcePlace {
    size_t line, column;
} SourcePlace;
SourcePlace source_place(Text text, uint32_t offset);

// Prints the tree so that parsing it again gives an equal tree.
void promql_print(const Expr *expr, Builder *out);
// A name of a label as it stands in a list, in quotes where it needs them; " (a, \"b c\")".
void promql_print_name(Text name, Builder *out);
void promql_print_names(Texts names, Builder *out);
// One node without its operands: "sum by (job)", "rate", "quantile_over_time(0.9, …)",
// "/ on (job)", "> 5", a selector whole.
void promql_print_node(const Expr *expr, Builder *out);
bool expr_equal(const Expr *a, const Expr *b);

// The tree as Prometheus' formatter writes it (/api/v1/format_query): what has at most `width`
// bytes stands on one line, what has more is split. TOO_LARGE beyond QUERY_SHOWN_BYTES. Parsing it
// again gives an equal tree, except that durations which were calculated show what they came to.
enum { PROMQL_PRETTY_WIDTH = 100 };
must_use bool promql_pretty(const Promql *promql, size_t width, Builder *out, Error *err);

// The tree as JSON in the shape of Prometheus' /api/v1/parse_query. TOO_LARGE as above.
struct JsonWriter;
must_use bool promql_write_tree(const Promql *promql, struct JsonWriter *writer, Error *err);

// The metric name that stood in front of a selector's braces in `text`; TEXT_NONE when none did.
Text selector_name_in_front(const Expr *selector, Text text);

// "5m", "1h30m", "1y2w3d4h5m6s7ms" to milliseconds and back (Prometheus' model.Duration); also used
// by settings.
must_use bool duration_parse_ms(Text text, int64_t *out, Error *err);
void duration_print_ms(int64_t ms, Builder *out);
