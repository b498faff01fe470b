// A measured plan as JSON, for programs, and as one line, for the log.

#include "query/query.h"

#include "codec/json.h"

static Text kind_of_call(const Expr *expr) {
    const Function *function = expr->as.call.function;
    if (expr->type == VALUE_SCALAR) return TEXT("scalar");
    for (size_t i = 0; i < function->take_count; i++) {
        if (function->takes[i] == VALUE_MATRIX) return TEXT("range function");
    }
    return TEXT("function");
}

static Text kind_of_binary(const Expr *expr) {
    BinaryOp op = expr->as.binary.op;
    if (expr->type == VALUE_SCALAR) return TEXT("scalar");
    if (binary_op_is_set(op)) return TEXT("set");
    if (expr->as.binary.left->type == VALUE_VECTOR && expr->as.binary.right->type == VALUE_VECTOR)
        return TEXT("join");
    return binary_op_is_comparison(op) ? TEXT("comparison") : TEXT("arithmetic");
}

static Text kind_of(const Expr *expr) {
    switch (expr->kind) {
        case EXPR_SELECTOR:
            return expr->type == VALUE_MATRIX ? TEXT("range selector") : TEXT("selector");
        case EXPR_SUBQUERY:
            return TEXT("subquery");
        case EXPR_CALL:
            return kind_of_call(expr);
        case EXPR_AGGREGATE:
            return TEXT("aggregate");
        case EXPR_BINARY:
            return kind_of_binary(expr);
        case EXPR_UNARY:
            return expr->type == VALUE_SCALAR ? TEXT("scalar") : TEXT("arithmetic");
        case EXPR_PAREN:
            return kind_of(expr->as.paren);
        case EXPR_NUMBER:
        case EXPR_STRING:
            break;
    }
    return TEXT("literal");
}

// Regular expressions are as long as people make them.
static void print_text(const Expr *expr, Builder *out) {
    size_t from = out->len;
    promql_print_node(expr, out);
    if (out->len - from <= QUERY_PLAN_TEXT) return;
    out->len = from + QUERY_PLAN_TEXT;
    while (out->len > from && ((uint8_t)out->at[out->len] & 0xC0) == 0x80) out->len--;
    builder_add(out, TEXT("…"));
}

static double ms(int64_t ns) {
    return (double)ns / 1e6;
}

static int64_t total_ns(const QueryPlanNode *node) {
    int64_t ns = node->own_ns;
    for (const QueryPlanNode *child = node->first; child != NULL; child = child->next)
        ns += total_ns(child);
    return ns;
}

static void add_hidden(const QueryPlanNode *node, QueryPlanNode *sum, uint64_t *hidden) {
    for (const QueryPlanNode *child = node->first; child != NULL; child = child->next) {
        sum->samples += child->samples;
        sum->own_ns += child->own_ns;
        sum->memory_bytes += child->memory_bytes;
        (*hidden)++;
        add_hidden(child, sum, hidden);
    }
}

static void write_u64(JsonWriter *writer, Text key, uint64_t value) {
    json_key(writer, key);
    json_u64(writer, value);
}

static void write_ms(JsonWriter *writer, Text key, int64_t ns) {
    json_key(writer, key);
    json_f64(writer, ms(ns));
}

static void write_node(const QueryPlanNode *node, int depth, JsonWriter *writer) {
    QueryPlanNode shown = *node;
    uint64_t hidden = 0;
    if (depth == QUERY_PLAN_DEPTH) {
        add_hidden(node, &shown, &hidden);
        shown.first = NULL;
    }
    AUTO(builder_free) Builder text = {0};
    print_text(node->expr, &text);
    json_object_begin(writer);
    json_key(writer, TEXT("node"));
    json_text(writer, builder_text(&text));
    json_key(writer, TEXT("operator"));
    json_text(writer, kind_of(node->expr));
    json_key(writer, TEXT("position"));
    json_array_begin(writer);
    json_u64(writer, node->expr->range.from);
    json_u64(writer, node->expr->range.to);
    json_array_end(writer);
    write_u64(writer, TEXT("batches"), shown.batches);
    write_u64(writer, TEXT("series"), shown.series);
    write_u64(writer, TEXT("points"), shown.points);
    write_u64(writer, TEXT("samples"), shown.samples);
    write_ms(writer, TEXT("selfMs"), shown.own_ns);
    write_ms(writer, TEXT("totalMs"), total_ns(&shown));
    write_u64(writer, TEXT("memoryBytes"), (uint64_t)shown.memory_bytes);
    if (hidden > 0) write_u64(writer, TEXT("hidden"), hidden);
    json_key(writer, TEXT("children"));
    json_array_begin(writer);
    for (const QueryPlanNode *child = shown.first; child != NULL; child = child->next)
        write_node(child, depth + 1, writer);
    json_array_end(writer);
    json_object_end(writer);
}

void query_plan_write_json(const QueryPlanNode *plan, JsonWriter *writer) {
    if (plan == NULL || plan->first == NULL) {
        json_null(writer);
    } else {
        write_node(plan->first, 1, writer);
    }
}

static void print_node(const QueryPlanNode *node, int depth, Builder *out) {
    print_text(node->expr, out);
    builder_addf(out, " %.3fms %llu series", ms(node->own_ns), (unsigned long long)node->series);
    if (node->samples > 0) builder_addf(out, " %llu samples", (unsigned long long)node->samples);
    if (node->first == NULL) return;
    if (depth == QUERY_PLAN_DEPTH) {
        builder_add(out, TEXT(" < …"));
        return;
    }
    bool several = node->first->next != NULL;
    builder_add(out, several ? TEXT(" < [") : TEXT(" < "));
    for (const QueryPlanNode *child = node->first; child != NULL; child = child->next) {
        if (child != node->first) builder_add(out, TEXT(" | "));
        print_node(child, depth + 1, out);
    }
    if (several) builder_add_char(out, ']');
}

void query_plan_print(const QueryPlanNode *plan, Builder *out) {
    if (plan != NULL && plan->first != NULL) print_node(plan->first, 1, out);
}
