// Types: every node gets one, every operand is held to what its operator takes.

#include <stdio.h>

#include "base/assert.h"
#include "query/promql/functions.h"
#include "query/promql/parser.h"

// `argument`: its number in a call, from 1; 0: it is the only one that can be meant.
static bool check_type(Parser *parser, Expr *expr, ValueType wanted, const char *context,
                       size_t argument) {
    TRY(check_expr(parser, expr));
    if (expr->type == wanted) return true;
    char which[40] = "";
    if (argument > 0) snprintf(which, sizeof which, " as argument %zu", argument);
    bool lacks_range = wanted == VALUE_MATRIX && expr->type == VALUE_VECTOR;
    return parser_fail(parser, expr->range, "expected type %.*s in %s, got %.*s%s%s",
                       TEXT_ARG(value_type_name(wanted)), context,
                       TEXT_ARG(value_type_name(expr->type)), which,
                       lacks_range ? "; a range is written as in x[5m]" : "");
}

// " (instant vector, scalar, …)": what a function takes.
static Text shown_types(Parser *parser, const Function *function) {
    AUTO(builder_free) Builder out = {0};
    builder_addf(&out, "%.*s(", TEXT_ARG(function->name));
    for (size_t i = 0; i < function->take_count; i++) {
        bool optional = i + function->optional >= function->take_count;
        builder_addf(&out, "%s%s%.*s%s", i > 0 ? ", " : "", optional ? "[" : "",
                     TEXT_ARG(value_type_name(function->takes[i])), optional ? "]" : "");
    }
    builder_add(&out, function->variadic ? TEXT(", …)") : TEXT(")"));
    return text_copy(builder_text(&out), parser->arena);
}

// The second argument of info() says which labels of which info metrics are wanted. It selects
// nothing by itself, so that all its matchers may match the empty text.
static bool check_info_labels(Parser *parser, Expr *wanted) {
    bool in_braces = wanted->kind == EXPR_SELECTOR &&
                     parser->lexer.source.at[wanted->range.from] == '{' &&
                     !selector_has_range(wanted);
    if (!in_braces) {
        return parser_fail(parser, wanted->range,
                           "expected label selectors only, like {version=~\".+\"}, as second "
                           "argument of info()");
    }
    if (wanted->offset_ms != 0 || wanted->offset_given != NULL || wanted->at != AT_NONE ||
        wanted->as.selector.extent != EXTENT_PLAIN) {
        return parser_fail(parser, wanted->range,
                           "no modifiers allowed in the second argument of info(): it is looked at "
                           "when the first one is");
    }
    wanted->type = VALUE_VECTOR;
    return true;
}

static bool check_call(Parser *parser, Expr *expr) {
    const Function *function = expr->as.call.function;
    size_t given = expr->as.call.arg_count, most = function->take_count,
           least = most - function->optional;
    Text name = function->name;
    if (function->optional == 0 && !function->variadic && given != most) {
        return parser_fail(parser, expr->range,
                           "expected %zu argument(s) in call to \"%.*s\", got %zu; it is %.*s",
                           most, TEXT_ARG(name), given, TEXT_ARG(shown_types(parser, function)));
    }
    if (given < least) {
        return parser_fail(
            parser, expr->range,
            "expected at least %zu argument(s) in call to \"%.*s\", got %zu; it is %.*s", least,
            TEXT_ARG(name), given, TEXT_ARG(shown_types(parser, function)));
    }
    if (given > most && !function->variadic) {
        return parser_fail(
            parser, expr->range,
            "expected at most %zu argument(s) in call to \"%.*s\", got %zu; it is %.*s", most,
            TEXT_ARG(name), given, TEXT_ARG(shown_types(parser, function)));
    }
    if (!function->supported) {
        return parser_unsupported(
            parser, expr->range,
            text_format(parser->arena, "the function %.*s", TEXT_ARG(name)).at);
    }
    Text context = text_format(parser->arena, "call to function \"%.*s\"", TEXT_ARG(name));
    for (size_t i = 0; i < given; i++) {
        if (function->id == FUNCTION_INFO && i == 1) {
            TRY(check_info_labels(parser, expr->as.call.args[i]));
            continue;
        }
        TRY(check_type(parser, expr->as.call.args[i], function->takes[MIN(i, most - 1)], context.at,
                       i + 1));
    }
    expr->type = function->result;
    return true;
}

static bool check_aggregate(Parser *parser, Expr *expr) {
    TRY(check_type(parser, expr->as.aggregate.expr, VALUE_VECTOR, "aggregation expression", 0));
    if (expr->as.aggregate.param != NULL) {
        ValueType wanted = expr->as.aggregate.op == AGG_COUNT_VALUES ? VALUE_STRING : VALUE_SCALAR;
        TRY(check_type(parser, expr->as.aggregate.param, wanted, "aggregation parameter", 0));
    }
    expr->type = VALUE_VECTOR;
    return true;
}

static bool check_binary(Parser *parser, Expr *expr) {
    Expr *left = expr->as.binary.left, *right = expr->as.binary.right;
    BinaryOp op = expr->as.binary.op;
    VectorMatching *matching = &expr->as.binary.matching;
    TRY(check_expr(parser, left));
    TRY(check_expr(parser, right));
    if (left->type != VALUE_SCALAR && left->type != VALUE_VECTOR) {
        return parser_fail(parser, left->range,
                           "binary expression must contain only scalar and instant vector types, "
                           "the left side is a %.*s",
                           TEXT_ARG(value_type_name(left->type)));
    }
    if (right->type != VALUE_SCALAR && right->type != VALUE_VECTOR) {
        return parser_fail(parser, right->range,
                           "binary expression must contain only scalar and instant vector types, "
                           "the right side is a %.*s",
                           TEXT_ARG(value_type_name(right->type)));
    }
    bool scalars = left->type == VALUE_SCALAR && right->type == VALUE_SCALAR;
    bool vectors = left->type == VALUE_VECTOR && right->type == VALUE_VECTOR;
    if (scalars && binary_op_is_comparison(op) && !expr->as.binary.return_bool) {
        return parser_fail(parser, expr->range,
                           "comparisons between scalars must use BOOL modifier");
    }
    if (scalars && (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER)) {
        return parser_fail(parser, expr->range,
                           "operator \"%.*s\" cuts native histograms and is not allowed between "
                           "scalars",
                           TEXT_ARG(binary_op_name(op)));
    }
    if (!vectors && binary_op_is_set(op)) {
        return parser_fail(parser, expr->range,
                           "set operator \"%.*s\" not allowed in binary scalar expression",
                           TEXT_ARG(binary_op_name(op)));
    }
    if (!vectors && (matching->fills_left || matching->fills_right)) {
        return parser_fail(parser, expr->range,
                           "filling in missing series only allowed between instant vectors");
    }
    if (!vectors && expr->as.binary.matching_given) {
        return parser_fail(parser, expr->range,
                           "vector matching only allowed between instant vectors");
    }
    for (size_t i = 0; matching->on && i < matching->include.count; i++) {
        for (size_t j = 0; j < matching->labels.count; j++) {
            if (!text_equal(matching->include.at[i], matching->labels.at[j])) continue;
            return parser_fail(parser, expr->range,
                               "label \"%.*s\" must not occur in ON and GROUP clause at once",
                               TEXT_ARG(text_slice(matching->include.at[i], 0, 64)));
        }
    }
    expr->type = scalars ? VALUE_SCALAR : VALUE_VECTOR;
    return true;
}

static bool check_unary(Parser *parser, Expr *expr) {
    TRY(check_expr(parser, expr->as.unary.expr));
    expr->type = expr->as.unary.expr->type;
    if (expr->type == VALUE_SCALAR || expr->type == VALUE_VECTOR) return true;
    return parser_fail(parser, expr->range,
                       "unary expression only allowed on expressions of type scalar or instant "
                       "vector, got \"%.*s\"",
                       TEXT_ARG(value_type_name(expr->type)));
}

static bool check_subquery(Parser *parser, Expr *expr) {
    Expr *inner = expr->as.subquery.expr;
    TRY(check_expr(parser, inner));
    if (inner->type != VALUE_VECTOR) {
        return parser_fail(
            parser, expr->range,
            "subquery is only allowed on instant vector, got %.*s in \"%.*s\" instead",
            TEXT_ARG(value_type_name(inner->type)),
            TEXT_ARG(text_slice(text_slice(parser->lexer.source, expr->range.from, expr->range.to),
                                0, 100)));
    }
    expr->type = VALUE_MATRIX;
    return true;
}

// A selector that every series matches is a mistake.
static bool check_selector(Parser *parser, Expr *expr) {
    Matchers matchers = expr->as.selector.matchers;
    expr->type = selector_has_range(expr) ? VALUE_MATRIX : VALUE_VECTOR;
    for (size_t i = 0; i < matchers.count; i++) {
        if (!matcher_matches(&matchers.at[i], TEXT(""))) return true;
    }
    return parser_fail(parser, expr->range,
                       "vector selector must contain at least one non-empty matcher");
}

bool check_expr(Parser *parser, Expr *expr) {
    switch (expr->kind) {
        case EXPR_NUMBER:
            expr->type = VALUE_SCALAR;
            return true;
        case EXPR_STRING:
            expr->type = VALUE_STRING;
            return true;
        case EXPR_SELECTOR:
            return check_selector(parser, expr);
        case EXPR_SUBQUERY:
            return check_subquery(parser, expr);
        case EXPR_CALL:
            return check_call(parser, expr);
        case EXPR_AGGREGATE:
            return check_aggregate(parser, expr);
        case EXPR_BINARY:
            return check_binary(parser, expr);
        case EXPR_UNARY:
            return check_unary(parser, expr);
        case EXPR_PAREN:
            TRY(check_expr(parser, expr->as.paren));
            expr->type = expr->as.paren->type;
            return true;
    }
    unreachable("a tenth kind of expression");
}
