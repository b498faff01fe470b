// What `traceo query --explain` shows: the plan as a tree, what each node gave, and what it cost.

#include "cli/query_print.h"

#include "codec/json.h"

static bool strange(Error *err) {
    return error_set(err, ERROR_CORRUPT, "the answer has not the shape of a query's plan");
}

static const JsonValue *number_of(const JsonValue *object, Text key) {
    const JsonValue *value = json_get(object, key);
    return value != NULL && value->kind == JSON_NUMBER ? value : NULL;
}

Text query_text_shown(Text text, Arena *arena) {
    char *out = arena_push_array(arena, char, text.len);
    for (size_t i = 0; i < text.len; i++)
        out[i] = (uint8_t)text.at[i] < 0x20 || text.at[i] == 0x7f ? ' ' : text.at[i];
    return (Text){out, text.len};
}

static bool add_row(const JsonValue *node, Text indent, Text branch, Table *table, Error *err) {
    static const Text counts[] = {TEXT_INIT("series"), TEXT_INIT("points"), TEXT_INIT("samples")};
    const JsonValue *name = json_get(node, TEXT("node")), *kind = json_get(node, TEXT("operator"));
    double self_ms, total_ms, bytes;
    if (name == NULL || name->kind != JSON_STRING || kind == NULL || kind->kind != JSON_STRING)
        return strange(err);
    Text text = query_text_shown(name->text, table->arena);
    table_cell(table, text_format(table->arena, "%.*s%.*s%.*s", TEXT_ARG(indent), TEXT_ARG(branch),
                                  TEXT_ARG(text)));
    table_cell(table, kind->text);
    for (size_t i = 0; i < COUNT(counts); i++) {
        const JsonValue *value = number_of(node, counts[i]);
        if (value == NULL) return strange(err);
        table_cell(table, value->text);
    }
    if (!json_number(json_get(node, TEXT("selfMs")), &self_ms) ||
        !json_number(json_get(node, TEXT("totalMs")), &total_ms) ||
        !json_number(json_get(node, TEXT("memoryBytes")), &bytes)) {
        return strange(err);
    }
    table_cell(table, text_format(table->arena, "%.3f", self_ms));
    table_cell(table, text_format(table->arena, "%.3f", total_ms));
    table_cell(table, text_format(table->arena, "%.0f", bytes / KB));
    return true;
}

// `indent` stands in front of the node's own branch; json_parse limits the depth.
static bool add_node(const JsonValue *node, Text indent, Text branch, Table *table, Error *err) {
    TRY(add_row(node, indent, branch, table, err));
    Text below = indent;
    if (branch.len > 0) {
        bool last = text_equal(branch, TEXT("└ "));
        below = text_format(table->arena, "%.*s%s", TEXT_ARG(indent), last ? "  " : "│ ");
    }
    const JsonValue *children = json_get(node, TEXT("children"));
    for (const JsonValue *child = children == NULL ? NULL : children->first; child != NULL;
         child = child->next) {
        TRY(add_node(child, below, child->next == NULL ? TEXT("└ ") : TEXT("├ "), table, err));
    }
    const JsonValue *hidden = number_of(node, TEXT("hidden"));
    if (hidden == NULL) return true;
    table_cell(table, text_format(table->arena, "%.*s└ … %.*s nodes more, counted above",
                                  TEXT_ARG(below), TEXT_ARG(hidden->text)));
    for (int i = 0; i < 7; i++) table_cell(table, TEXT(""));
    return true;
}

static bool add_totals(const JsonValue *totals, Builder *out, Error *err) {
    double queued_ms, parse_ms, run_ms, bytes;
    const JsonValue *series = number_of(totals, TEXT("series")),
                    *samples = number_of(totals, TEXT("samples"));
    if (series == NULL || samples == NULL ||
        !json_number(json_get(totals, TEXT("queuedMs")), &queued_ms) ||
        !json_number(json_get(totals, TEXT("parseMs")), &parse_ms) ||
        !json_number(json_get(totals, TEXT("runMs")), &run_ms) ||
        !json_number(json_get(totals, TEXT("memoryPeakBytes")), &bytes)) {
        return strange(err);
    }
    builder_addf(out,
                 "\nwaited %.3f ms, parsed in %.3f ms, ran %.3f ms; %.*s series, %.*s samples, at "
                 "most %.0f KiB\n",
                 queued_ms, parse_ms, run_ms, TEXT_ARG(series->text), TEXT_ARG(samples->text),
                 bytes / KB);
    return true;
}

bool query_print_plan(const JsonValue *data, TableFormat format, Arena *arena, Builder *out,
                      Error *err) {
    static const Text columns[] = {
        TEXT_INIT("node"),    TEXT_INIT("operator"), TEXT_INIT("series"),   TEXT_INIT("points"),
        TEXT_INIT("samples"), TEXT_INIT("self ms"),  TEXT_INIT("total ms"), TEXT_INIT("KiB")};
    Table table = {.arena = arena};
    for (size_t i = 0; i < COUNT(columns); i++) table_column(&table, columns[i], i >= 2, i >= 2);
    TRY(add_node(json_get(data, TEXT("plan")), TEXT(""), TEXT(""), &table, err));
    table_print(&table, format, out);
    return format != TABLE_TEXT || add_totals(json_get(data, TEXT("totals")), out, err);
}
