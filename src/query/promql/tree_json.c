// The tree as JSON, in the shape in which Prometheus' /api/v1/parse_query gives it: members of an
// object in alphabetical order, as Go writes maps.

#include "base/assert.h"
#include "base/limits.h"
#include "codec/json.h"
#include "codec/number.h"
#include "query/promql/functions.h"
#include "query/promql/promql.h"

typedef struct Showing {
    Text text;  // of the query
    JsonWriter json;
    size_t stop;  // nothing more is written beyond so many bytes
} Showing;

static void show(Showing *showing, const Expr *expr);

static void member_text(Showing *showing, Text key, Text value) {
    json_key(&showing->json, key);
    json_text(&showing->json, value);
}

static void member_bool(Showing *showing, Text key, bool value) {
    json_key(&showing->json, key);
    json_bool(&showing->json, value);
}

static void member_i64(Showing *showing, Text key, int64_t value) {
    json_key(&showing->json, key);
    json_i64(&showing->json, value);
}

static void member_expr(Showing *showing, Text key, const Expr *expr) {
    json_key(&showing->json, key);
    if (expr == NULL) {
        json_null(&showing->json);
    } else {
        show(showing, expr);
    }
}

static void member_texts(Showing *showing, Text key, Texts texts) {
    json_key(&showing->json, key);
    json_array_begin(&showing->json);
    for (size_t i = 0; i < texts.count; i++) json_text(&showing->json, texts.at[i]);
    json_array_end(&showing->json);
}

static void member_number_or_null(Showing *showing, Text key, bool there, double value) {
    json_key(&showing->json, key);
    if (there) {
        json_f64(&showing->json, value);
    } else {
        json_null(&showing->json);
    }
}

// Prometheus keeps a name that stood in front of the braces behind all other matchers.
static void member_matchers(Showing *showing, const Expr *expr, bool named) {
    static const Text kinds[] = {TEXT_INIT("="), TEXT_INIT("!="), TEXT_INIT("=~"),
                                 TEXT_INIT("!~")};  // ORDER: MatcherKind
    Matchers matchers = expr->as.selector.matchers;
    json_key(&showing->json, TEXT("matchers"));
    json_array_begin(&showing->json);
    for (size_t i = 0; i < matchers.count; i++) {
        const Matcher *matcher = &matchers.at[named ? (i + 1) % matchers.count : i];
        json_object_begin(&showing->json);
        member_text(showing, TEXT("name"), matcher->name);
        member_text(showing, TEXT("type"), kinds[matcher->kind]);
        member_text(showing, TEXT("value"), matcher->value);
        json_object_end(&showing->json);
    }
    json_array_end(&showing->json);
}

static void member_start_or_end(Showing *showing, const Expr *expr) {
    json_key(&showing->json, TEXT("startOrEnd"));
    if (expr->at == AT_START || expr->at == AT_END) {
        json_text(&showing->json, expr->at == AT_START ? TEXT("start") : TEXT("end"));
    } else {
        json_null(&showing->json);
    }
}

static void member_timestamp(Showing *showing, const Expr *expr) {
    json_key(&showing->json, TEXT("timestamp"));
    if (expr->at == AT_TIME) {
        json_i64(&showing->json, expr->at_ms);
    } else {
        json_null(&showing->json);
    }
}

static void show_selector(Showing *showing, const Expr *expr) {
    Text name = selector_name_in_front(expr, showing->text);
    member_bool(showing, TEXT("anchored"), expr->as.selector.extent == EXTENT_ANCHORED);
    member_matchers(showing, expr, name.at != NULL);
    member_text(showing, TEXT("name"), name);
    member_i64(showing, TEXT("offset"), expr->offset_ms);
    bool ranged = selector_has_range(expr);
    if (ranged) member_i64(showing, TEXT("range"), expr->as.selector.range_ms);
    member_bool(showing, TEXT("smoothed"), expr->as.selector.extent == EXTENT_SMOOTHED);
    member_start_or_end(showing, expr);
    member_timestamp(showing, expr);
    member_text(showing, TEXT("type"), ranged ? TEXT("matrixSelector") : TEXT("vectorSelector"));
}

static void show_subquery(Showing *showing, const Expr *expr) {
    member_expr(showing, TEXT("expr"), expr->as.subquery.expr);
    member_i64(showing, TEXT("offset"), expr->offset_ms);
    member_i64(showing, TEXT("range"), expr->as.subquery.range_ms);
    member_start_or_end(showing, expr);
    member_i64(showing, TEXT("step"), expr->as.subquery.step_ms);
    member_timestamp(showing, expr);
    member_text(showing, TEXT("type"), TEXT("subquery"));
}

static Text type_name(ValueType type) {
    static const Text names[] = {TEXT_INIT("none"), TEXT_INIT("scalar"), TEXT_INIT("vector"),
                                 TEXT_INIT("matrix"), TEXT_INIT("string")};  // ORDER: ValueType
    return names[type];
}

static void show_function(Showing *showing, const Function *function) {
    json_key(&showing->json, TEXT("func"));
    json_object_begin(&showing->json);
    json_key(&showing->json, TEXT("argTypes"));
    json_array_begin(&showing->json);
    for (size_t i = 0; i < function->take_count; i++)
        json_text(&showing->json, type_name(function->takes[i]));
    json_array_end(&showing->json);
    member_text(showing, TEXT("name"), function->name);
    member_text(showing, TEXT("returnType"), type_name(function->result));
    member_i64(showing, TEXT("variadic"), function->variadic ? -1 : (int64_t)function->optional);
    json_object_end(&showing->json);
}

static void show_call(Showing *showing, const Expr *expr) {
    json_key(&showing->json, TEXT("args"));
    json_array_begin(&showing->json);
    for (size_t i = 0; i < expr->as.call.arg_count && showing->json.out->len <= showing->stop; i++)
        show(showing, expr->as.call.args[i]);
    json_array_end(&showing->json);
    show_function(showing, expr->as.call.function);
    member_text(showing, TEXT("type"), TEXT("call"));
}

static void show_aggregate(Showing *showing, const Expr *expr) {
    member_expr(showing, TEXT("expr"), expr->as.aggregate.expr);
    member_texts(showing, TEXT("grouping"), expr->as.aggregate.labels);
    member_text(showing, TEXT("op"), aggregate_op_name(expr->as.aggregate.op));
    member_expr(showing, TEXT("param"), expr->as.aggregate.param);
    member_text(showing, TEXT("type"), TEXT("aggregation"));
    member_bool(showing, TEXT("without"), expr->as.aggregate.without);
}

static void member_matching(Showing *showing, const Expr *expr) {
    static const Text cards[] = {TEXT_INIT("one-to-one"), TEXT_INIT("many-to-one"),
                                 TEXT_INIT("one-to-many"),
                                 TEXT_INIT("many-to-many")};  // ORDER: Card
    const VectorMatching *matching = &expr->as.binary.matching;
    json_key(&showing->json, TEXT("matching"));
    if (expr->as.binary.left->type != VALUE_VECTOR || expr->as.binary.right->type != VALUE_VECTOR) {
        json_null(&showing->json);
        return;
    }
    Card card = binary_op_is_set(expr->as.binary.op) ? CARD_MANY_TO_MANY : matching->card;
    json_object_begin(&showing->json);
    member_text(showing, TEXT("card"), cards[card]);
    json_key(&showing->json, TEXT("fillValues"));
    json_object_begin(&showing->json);
    member_number_or_null(showing, TEXT("lhs"), matching->fills_left, matching->fill_left);
    member_number_or_null(showing, TEXT("rhs"), matching->fills_right, matching->fill_right);
    json_object_end(&showing->json);
    member_texts(showing, TEXT("include"), matching->include);
    member_texts(showing, TEXT("labels"), matching->labels);
    member_bool(showing, TEXT("on"), matching->on);
    json_object_end(&showing->json);
}

static void show_binary(Showing *showing, const Expr *expr) {
    member_bool(showing, TEXT("bool"), expr->as.binary.return_bool);
    member_expr(showing, TEXT("lhs"), expr->as.binary.left);
    member_matching(showing, expr);
    member_text(showing, TEXT("op"), binary_op_name(expr->as.binary.op));
    member_expr(showing, TEXT("rhs"), expr->as.binary.right);
    member_text(showing, TEXT("type"), TEXT("binaryExpr"));
}

static void show_number(Showing *showing, const Expr *expr) {
    AUTO(builder_free) Builder digits = {0};
    builder_add_f64(&digits, expr->as.number);
    member_text(showing, TEXT("type"), TEXT("numberLiteral"));
    member_text(showing, TEXT("val"), builder_text(&digits));
}

static void show_members(Showing *showing, const Expr *expr) {
    switch (expr->kind) {
        case EXPR_NUMBER:
            show_number(showing, expr);
            return;
        case EXPR_STRING:
            member_text(showing, TEXT("type"), TEXT("stringLiteral"));
            member_text(showing, TEXT("val"), expr->as.string);
            return;
        case EXPR_SELECTOR:
            show_selector(showing, expr);
            return;
        case EXPR_SUBQUERY:
            show_subquery(showing, expr);
            return;
        case EXPR_CALL:
            show_call(showing, expr);
            return;
        case EXPR_AGGREGATE:
            show_aggregate(showing, expr);
            return;
        case EXPR_BINARY:
            show_binary(showing, expr);
            return;
        case EXPR_UNARY:
            member_expr(showing, TEXT("expr"), expr->as.unary.expr);
            member_text(showing, TEXT("op"), expr->as.unary.negative ? TEXT("-") : TEXT("+"));
            member_text(showing, TEXT("type"), TEXT("unaryExpr"));
            return;
        case EXPR_PAREN:
            member_expr(showing, TEXT("expr"), expr->as.paren);
            member_text(showing, TEXT("type"), TEXT("parenExpr"));
            return;
    }
    unreachable("a tenth kind of expression");
}

static void show(Showing *showing, const Expr *expr) {
    json_object_begin(&showing->json);
    if (showing->json.out->len <= showing->stop) show_members(showing, expr);
    json_object_end(&showing->json);
}

bool promql_write_tree(const Promql *promql, JsonWriter *writer, Error *err) {
    Showing showing = {promql->text, *writer, writer->out->len + (size_t)LIMIT_QUERY_SHOWN_BYTES};
    show(&showing, promql->root);
    *writer = showing.json;
    if (writer->out->len <= showing.stop) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the tree of the query would have more than %lld bytes (QUERY_SHOWN_BYTES)",
                     (long long)LIMIT_QUERY_SHOWN_BYTES);
}
