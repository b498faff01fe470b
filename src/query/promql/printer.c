// The tree back to text, so that parsing it again gives an equal tree; and equality of trees.

#include <math.h>

#include "base/assert.h"
#include "codec/number.h"
#include "model/sample.h"
#include "query/promql/functions.h"
#include "query/promql/promql.h"

// ---- Printing ----

// Words that mean something else where a metric name could stand; all are written in braces
// instead.
static bool is_word_of_the_language(Text name) {
    static const char *const words[] = {
        "inf",      "nan",      "and",   "or",        "unless",     "atan2",
        "by",       "without",  "on",    "ignoring",  "group_left", "group_right",
        "bool",     "offset",   "start", "end",       "step",       "range",
        "anchored", "smoothed", "fill",  "fill_left", "fill_right"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (text_equal_ignore_case(name, text_from_cstring(words[i]))) return true;
    }
    for (size_t i = 0; i < AGG_OP_COUNT; i++) {
        if (text_equal_ignore_case(name, aggregate_op_name((AggregateOp)i))) return true;
    }
    return false;
}

void promql_print_name(Text name, Builder *out) {
    if (label_name_is_plain(name, false) && !is_number_word(name)) {
        builder_add(out, name);
    } else {
        label_print_quoted(name, out);
    }
}

void promql_print_names(Texts names, Builder *out) {
    builder_add(out, TEXT(" ("));
    for (size_t i = 0; i < names.count; i++) {
        if (i > 0) builder_add(out, TEXT(", "));
        promql_print_name(names.at[i], out);
    }
    builder_add_char(out, ')');
}

static void print_duration(const Expr *given, int64_t ms, Builder *out) {
    if (given != NULL) {
        promql_print(given, out);
    } else if (ms > 0) {
        duration_print_ms(ms, out);
    }
}

static void print_moved(const Expr *expr, Builder *out) {
    if (expr->at == AT_TIME)
        builder_addf(out, " @ %s%lld.%03lld", expr->at_ms < 0 ? "-" : "",
                     (long long)(llabs(expr->at_ms) / 1000),
                     (long long)(llabs(expr->at_ms) % 1000));
    if (expr->at == AT_START) builder_add(out, TEXT(" @ start()"));
    if (expr->at == AT_END) builder_add(out, TEXT(" @ end()"));
    if (expr->offset_given != NULL) {
        builder_add(out, TEXT(" offset "));
        promql_print(expr->offset_given, out);
        return;
    }
    if (expr->offset_ms == 0) return;
    builder_add(out, TEXT(" offset "));
    if (expr->offset_ms < 0) builder_add_char(out, '-');
    duration_print_ms(expr->offset_ms < 0 ? -expr->offset_ms : expr->offset_ms, out);
}

// The second argument of info() has to stand in braces whole.
static void print_selector(const Expr *expr, bool in_braces, Builder *out) {
    static const Text kinds[] = {TEXT_INIT("="), TEXT_INIT("!="), TEXT_INIT("=~"),
                                 TEXT_INIT("!~")};  // ORDER: MatcherKind
    Matchers matchers = expr->as.selector.matchers;
    size_t first = 0;
    bool named = !in_braces && matchers.count > 0 && matchers.at[0].kind == MATCH_EQUAL &&
                 text_equal(matchers.at[0].name, LABEL_NAME) &&
                 label_name_is_plain(matchers.at[0].value, true) &&
                 !is_word_of_the_language(matchers.at[0].value);
    for (size_t i = 1; i < matchers.count; i++) {
        // A name in front forbids a second one behind it.
        if (matchers.at[i].kind == MATCH_EQUAL && text_equal(matchers.at[i].name, LABEL_NAME))
            named = false;
    }
    if (named) builder_add(out, matchers.at[first++].value);
    if (first < matchers.count || !named) {
        builder_add_char(out, '{');
        for (size_t i = first; i < matchers.count; i++) {
            if (i > first) builder_add(out, TEXT(", "));
            promql_print_name(matchers.at[i].name, out);
            builder_add(out, kinds[matchers.at[i].kind]);
            label_print_quoted(matchers.at[i].value, out);
        }
        builder_add_char(out, '}');
    }
    if (selector_has_range(expr)) {
        builder_add_char(out, '[');
        print_duration(expr->as.selector.range_given, expr->as.selector.range_ms, out);
        builder_add_char(out, ']');
    }
    if (expr->as.selector.extent == EXTENT_ANCHORED) builder_add(out, TEXT(" anchored"));
    if (expr->as.selector.extent == EXTENT_SMOOTHED) builder_add(out, TEXT(" smoothed"));
    print_moved(expr, out);
}

static void print_arguments(const Function *function, Expr *const *args, size_t count,
                            Builder *out) {
    builder_add_char(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) builder_add(out, TEXT(", "));
        if (function != NULL && function->id == FUNCTION_INFO && i == 1) {
            print_selector(args[i], true, out);
        } else {
            promql_print(args[i], out);
        }
    }
    builder_add_char(out, ')');
}

static void print_grouping(const Expr *expr, Builder *out) {
    builder_add(out, aggregate_op_name(expr->as.aggregate.op));
    if (!expr->as.aggregate.grouped) return;
    builder_add(out, expr->as.aggregate.without ? TEXT(" without") : TEXT(" by"));
    promql_print_names(expr->as.aggregate.labels, out);
}

static void print_aggregate(const Expr *expr, Builder *out) {
    print_grouping(expr, out);
    if (expr->as.aggregate.grouped) builder_add_char(out, ' ');
    Expr *args[2] = {expr->as.aggregate.param, expr->as.aggregate.expr};
    bool has_param = args[0] != NULL;
    print_arguments(NULL, has_param ? args : args + 1, has_param ? 2 : 1, out);
}

static void print_number(double value, Builder *out) {
    char digits[NUMBER_TEXT_MAX];
    if (isnan(value)) {
        builder_add(out, TEXT("NaN"));
    } else if (isinf(value)) {
        builder_add(out, value > 0 ? TEXT("Inf") : TEXT("-Inf"));
    } else {
        builder_add_bytes(out, digits, number_format_shortest(value, digits));
    }
}

static void print_fill(const char *word, double value, Builder *out) {
    builder_addf(out, " %s(", word);
    print_number(value, out);
    builder_add_char(out, ')');
}

static void print_operator(const Expr *expr, Builder *out) {
    const VectorMatching *matching = &expr->as.binary.matching;
    builder_add(out, binary_op_name(expr->as.binary.op));
    if (expr->as.binary.return_bool) builder_add(out, TEXT(" bool"));
    if (expr->as.binary.matching_given) {
        builder_add(out, matching->on ? TEXT(" on") : TEXT(" ignoring"));
        promql_print_names(matching->labels, out);
        if (matching->card == CARD_MANY_TO_ONE || matching->card == CARD_ONE_TO_MANY) {
            builder_add(out, matching->card == CARD_MANY_TO_ONE ? TEXT(" group_left")
                                                                : TEXT(" group_right"));
            promql_print_names(matching->include, out);
        }
    }
    if (matching->fills_left) print_fill("fill_left", matching->fill_left, out);
    if (matching->fills_right) print_fill("fill_right", matching->fill_right, out);
}

static void print_binary(const Expr *expr, Builder *out) {
    promql_print(expr->as.binary.left, out);
    builder_add_char(out, ' ');
    print_operator(expr, out);
    builder_add_char(out, ' ');
    promql_print(expr->as.binary.right, out);
}

static void print_subquery_range(const Expr *expr, Builder *out) {
    builder_add_char(out, '[');
    print_duration(expr->as.subquery.range_given, expr->as.subquery.range_ms, out);
    builder_add_char(out, ':');
    print_duration(expr->as.subquery.step_given, expr->as.subquery.step_ms, out);
    builder_add_char(out, ']');
    print_moved(expr, out);
}

void promql_print(const Expr *expr, Builder *out) {
    switch (expr->kind) {
        case EXPR_NUMBER:
            print_number(expr->as.number, out);
            return;
        case EXPR_STRING:
            label_print_quoted(expr->as.string, out);
            return;
        case EXPR_SELECTOR:
            print_selector(expr, false, out);
            return;
        case EXPR_SUBQUERY:
            promql_print(expr->as.subquery.expr, out);
            print_subquery_range(expr, out);
            return;
        case EXPR_CALL:
            builder_add(out, expr->as.call.function->name);
            print_arguments(expr->as.call.function, expr->as.call.args, expr->as.call.arg_count,
                            out);
            return;
        case EXPR_AGGREGATE:
            print_aggregate(expr, out);
            return;
        case EXPR_BINARY:
            print_binary(expr, out);
            return;
        case EXPR_UNARY:
            builder_add_char(out, expr->as.unary.negative ? '-' : '+');
            promql_print(expr->as.unary.expr, out);
            return;
        case EXPR_PAREN:
            builder_add_char(out, '(');
            promql_print(expr->as.paren, out);
            builder_add_char(out, ')');
            return;
    }
    unreachable("a tenth kind of expression");
}

// ---- One node ----

static bool is_literal(const Expr *expr) {
    return expr->kind == EXPR_NUMBER || expr->kind == EXPR_STRING;
}

// The literals among the arguments, … for the others; nothing when there are none.
static void print_literals(Expr *const *args, size_t count, Builder *out) {
    bool any = false;
    for (size_t i = 0; i < count; i++) any |= args[i] != NULL && is_literal(args[i]);
    if (!any) return;
    builder_add_char(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) builder_add(out, TEXT(", "));
        if (is_literal(args[i])) {
            promql_print(args[i], out);
        } else {
            builder_add(out, TEXT("…"));
        }
    }
    builder_add_char(out, ')');
}

static void print_binary_node(const Expr *expr, Builder *out) {
    const Expr *left = expr_inner(expr->as.binary.left), *right = expr_inner(expr->as.binary.right);
    if (is_literal(left)) {
        promql_print(left, out);
        builder_add_char(out, ' ');
    }
    print_operator(expr, out);
    if (is_literal(right)) {
        builder_add_char(out, ' ');
        promql_print(right, out);
    }
}

void promql_print_node(const Expr *expr, Builder *out) {
    switch (expr->kind) {
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_SELECTOR:
            promql_print(expr, out);
            return;
        case EXPR_SUBQUERY:
            print_subquery_range(expr, out);
            return;
        case EXPR_CALL:
            builder_add(out, expr->as.call.function->name);
            print_literals(expr->as.call.args, expr->as.call.arg_count, out);
            return;
        case EXPR_AGGREGATE:
            print_grouping(expr, out);
            if (expr->as.aggregate.param == NULL) return;
            if (expr->as.aggregate.grouped) builder_add_char(out, ' ');
            print_literals((Expr *[]){expr->as.aggregate.param, expr->as.aggregate.expr}, 2, out);
            return;
        case EXPR_BINARY:
            print_binary_node(expr, out);
            return;
        case EXPR_UNARY:
            builder_add_char(out, expr->as.unary.negative ? '-' : '+');
            return;
        case EXPR_PAREN:
            promql_print_node(expr->as.paren, out);
            return;
    }
    unreachable("a tenth kind of expression");
}

// ---- Equality ----

static bool names_equal(Texts a, Texts b) {
    if (a.count != b.count) return false;
    for (size_t i = 0; i < a.count; i++) {
        if (!text_equal(a.at[i], b.at[i])) return false;
    }
    return true;
}

static bool matchers_equal(Matchers a, Matchers b) {
    if (a.count != b.count) return false;
    for (size_t i = 0; i < a.count; i++) {
        if (a.at[i].kind != b.at[i].kind || !text_equal(a.at[i].name, b.at[i].name) ||
            !text_equal(a.at[i].value, b.at[i].value)) {
            return false;
        }
    }
    return true;
}

static bool numbers_equal(double a, double b) {
    return (isnan(a) && isnan(b)) || double_bits(a) == double_bits(b);
}

static bool matchings_equal(const VectorMatching *a, const VectorMatching *b) {
    if (a->fills_left != b->fills_left || a->fills_right != b->fills_right ||
        !numbers_equal(a->fill_left, b->fill_left) ||
        !numbers_equal(a->fill_right, b->fill_right)) {
        return false;
    }
    return a->card == b->card && a->on == b->on && names_equal(a->labels, b->labels) &&
           names_equal(a->include, b->include);
}

static bool optional_equal(const Expr *a, const Expr *b) {
    return a == NULL || b == NULL ? a == b : expr_equal(a, b);
}

static bool calls_equal(const Expr *a, const Expr *b) {
    if (a->as.call.function != b->as.call.function || a->as.call.arg_count != b->as.call.arg_count)
        return false;
    for (size_t i = 0; i < a->as.call.arg_count; i++) {
        if (!expr_equal(a->as.call.args[i], b->as.call.args[i])) return false;
    }
    return true;
}

static bool durations_equal(const Expr *given_a, int64_t a_ms, const Expr *given_b, int64_t b_ms) {
    return given_a == NULL && given_b == NULL ? a_ms == b_ms : optional_equal(given_a, given_b);
}

bool expr_equal(const Expr *a, const Expr *b) {
    if (!durations_equal(a->offset_given, a->offset_ms, b->offset_given, b->offset_ms))
        return false;
    if (a->kind != b->kind || a->type != b->type || a->at != b->at || a->at_ms != b->at_ms) {
        return false;
    }
    switch (a->kind) {
        case EXPR_NUMBER:
            return numbers_equal(a->as.number, b->as.number);
        case EXPR_STRING:
            return text_equal(a->as.string, b->as.string);
        case EXPR_SELECTOR:
            return durations_equal(a->as.selector.range_given, a->as.selector.range_ms,
                                   b->as.selector.range_given, b->as.selector.range_ms) &&
                   a->as.selector.extent == b->as.selector.extent &&
                   matchers_equal(a->as.selector.matchers, b->as.selector.matchers);
        case EXPR_SUBQUERY:
            return durations_equal(a->as.subquery.range_given, a->as.subquery.range_ms,
                                   b->as.subquery.range_given, b->as.subquery.range_ms) &&
                   durations_equal(a->as.subquery.step_given, a->as.subquery.step_ms,
                                   b->as.subquery.step_given, b->as.subquery.step_ms) &&
                   expr_equal(a->as.subquery.expr, b->as.subquery.expr);
        case EXPR_CALL:
            return calls_equal(a, b);
        case EXPR_AGGREGATE:
            return a->as.aggregate.op == b->as.aggregate.op &&
                   a->as.aggregate.without == b->as.aggregate.without &&
                   a->as.aggregate.grouped == b->as.aggregate.grouped &&
                   names_equal(a->as.aggregate.labels, b->as.aggregate.labels) &&
                   optional_equal(a->as.aggregate.param, b->as.aggregate.param) &&
                   expr_equal(a->as.aggregate.expr, b->as.aggregate.expr);
        case EXPR_BINARY:
            return a->as.binary.op == b->as.binary.op &&
                   a->as.binary.return_bool == b->as.binary.return_bool &&
                   a->as.binary.matching_given == b->as.binary.matching_given &&
                   matchings_equal(&a->as.binary.matching, &b->as.binary.matching) &&
                   expr_equal(a->as.binary.left, b->as.binary.left) &&
                   expr_equal(a->as.binary.right, b->as.binary.right);
        case EXPR_UNARY:
            return a->as.unary.negative == b->as.unary.negative &&
                   expr_equal(a->as.unary.expr, b->as.unary.expr);
        case EXPR_PAREN:
            return expr_equal(a->as.paren, b->as.paren);
    }
    unreachable("a tenth kind of expression");
}
