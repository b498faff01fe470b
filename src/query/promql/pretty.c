// The tree as Prometheus' formatter writes it: on one line where that fits, else one operand per
// line.
//
// A node fits when its one-line form has at most `width` bytes. Whether it does is found by
// printing it until it is too long, so that a deep tree is not printed whole at every level. The
// shape of what does not fit is that of Prometheus: the operands of an operator are moved in by one
// level and the operator stands alone between them, arguments stand one per line.

#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "codec/number.h"
#include "query/promql/functions.h"
#include "query/promql/promql.h"

typedef struct Pretty {
    Text text;  // of the query: tells a metric's name in front of the braces from one inside
    Builder *out;
    size_t width;
    size_t stop;  // printing ends here: longer is all that is asked
} Pretty;

// ---- On one line ----

static void print_line(const Pretty *pretty, const Expr *expr);

static void add_duration(const Expr *given, int64_t ms, Builder *out) {
    if (given != NULL) {
        promql_print(given, out);
    } else {
        if (ms < 0) builder_add_char(out, '-');
        duration_print_ms(ms < 0 ? -ms : ms, out);
    }
}

static void add_at(const Expr *expr, Builder *out) {
    if (expr->at == AT_TIME)
        builder_addf(out, " @ %s%lld.%03lld", expr->at_ms < 0 ? "-" : "",
                     (long long)(llabs(expr->at_ms) / 1000),
                     (long long)(llabs(expr->at_ms) % 1000));
    if (expr->at == AT_START) builder_add(out, TEXT(" @ start()"));
    if (expr->at == AT_END) builder_add(out, TEXT(" @ end()"));
}

static void add_offset(const Expr *expr, Builder *out) {
    if (expr->offset_given == NULL && expr->offset_ms == 0) return;
    builder_add(out, TEXT(" offset "));
    add_duration(expr->offset_given, expr->offset_ms, out);
}

Text selector_name_in_front(const Expr *selector, Text text) {
    Matchers matchers = selector->as.selector.matchers;
    bool braces = selector->range.from < text.len && text.at[selector->range.from] == '{';
    if (braces || matchers.count == 0 || matchers.at[0].kind != MATCH_EQUAL ||
        !text_equal(matchers.at[0].name, LABEL_NAME))
        return TEXT_NONE;
    return matchers.at[0].value;
}

static int by_text(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

// The matchers in the order of their text, as Prometheus prints them.
static void add_matchers(Matchers matchers, size_t first, Builder *out) {
    static const Text kinds[] = {TEXT_INIT("="), TEXT_INIT("!="), TEXT_INIT("=~"),
                                 TEXT_INIT("!~")};  // ORDER: MatcherKind
    if (first == matchers.count) {
        if (first == 0) builder_add(out, TEXT("{}"));  // all info metrics of info()
        return;
    }
    AUTO(arena_free) Arena arena = {0};
    Text *texts = arena_push_array(&arena, Text, matchers.count);
    for (size_t i = first; i < matchers.count; i++) {
        AUTO(builder_free) Builder one = {0};
        promql_print_name(matchers.at[i].name, &one);
        builder_add(&one, kinds[matchers.at[i].kind]);
        label_print_quoted(matchers.at[i].value, &one);
        texts[i] = text_copy(builder_text(&one), &arena);
    }
    qsort(texts + first, matchers.count - first, sizeof *texts, by_text);
    builder_add_char(out, '{');
    for (size_t i = first; i < matchers.count; i++) {
        if (i > first) builder_add_char(out, ',');
        builder_add(out, texts[i]);
    }
    builder_add_char(out, '}');
}

static void add_extent(const Expr *expr, Builder *out) {
    if (expr->as.selector.extent == EXTENT_ANCHORED) builder_add(out, TEXT(" anchored"));
    if (expr->as.selector.extent == EXTENT_SMOOTHED) builder_add(out, TEXT(" smoothed"));
}

static void line_selector(const Pretty *pretty, const Expr *expr) {
    Text name = selector_name_in_front(expr, pretty->text);
    builder_add(pretty->out, name);
    add_matchers(expr->as.selector.matchers, name.at != NULL ? 1 : 0, pretty->out);
    if (selector_has_range(expr)) {
        builder_add_char(pretty->out, '[');
        add_duration(expr->as.selector.range_given, expr->as.selector.range_ms, pretty->out);
        builder_add_char(pretty->out, ']');
        add_extent(expr, pretty->out);
    }
    add_at(expr, pretty->out);
    if (!selector_has_range(expr)) add_extent(expr, pretty->out);
    add_offset(expr, pretty->out);
}

static void add_subquery_suffix(const Expr *expr, Builder *out) {
    builder_add_char(out, '[');
    add_duration(expr->as.subquery.range_given, expr->as.subquery.range_ms, out);
    builder_add_char(out, ':');
    if (expr->as.subquery.step_given != NULL || expr->as.subquery.step_ms != 0)
        add_duration(expr->as.subquery.step_given, expr->as.subquery.step_ms, out);
    builder_add_char(out, ']');
    add_at(expr, out);
    add_offset(expr, out);
}

static void add_aggregate(const Expr *expr, Builder *out) {
    builder_add(out, aggregate_op_name(expr->as.aggregate.op));
    bool without = expr->as.aggregate.without;
    if (!without && expr->as.aggregate.labels.count == 0) return;
    builder_add(out, without ? TEXT(" without") : TEXT(" by"));
    promql_print_names(expr->as.aggregate.labels, out);
    builder_add_char(out, ' ');
}

static void add_fill(const char *word, double value, Builder *out) {
    char digits[NUMBER_TEXT_MAX];
    builder_addf(out, " %s (", word);
    builder_add_bytes(out, digits, number_format_shortest(value, digits));
    builder_add_char(out, ')');
}

static void add_operator(const Expr *expr, Builder *out) {
    const VectorMatching *matching = &expr->as.binary.matching;
    bool grouped = matching->card == CARD_MANY_TO_ONE || matching->card == CARD_ONE_TO_MANY;
    builder_add(out, binary_op_name(expr->as.binary.op));
    if (expr->as.binary.return_bool) builder_add(out, TEXT(" bool"));
    if (matching->labels.count > 0 || matching->on || grouped) {
        builder_add(out, matching->on ? TEXT(" on") : TEXT(" ignoring"));
        promql_print_names(matching->labels, out);
    }
    if (grouped) {
        builder_add(
            out, matching->card == CARD_MANY_TO_ONE ? TEXT(" group_left") : TEXT(" group_right"));
        promql_print_names(matching->include, out);
    }
    bool both = matching->fills_left && matching->fills_right &&
                (matching->fill_left == matching->fill_right ||
                 (isnan(matching->fill_left) && isnan(matching->fill_right)));
    if (both) {
        add_fill("fill", matching->fill_left, out);
        return;
    }
    if (matching->fills_left) add_fill("fill_left", matching->fill_left, out);
    if (matching->fills_right) add_fill("fill_right", matching->fill_right, out);
}

// A number that was written as a duration stays one.
static void line_number(const Pretty *pretty, const Expr *expr) {
    Text source = text_slice(pretty->text, expr->range.from, expr->range.to);
    if (text_starts_with(source, TEXT("-"))) source = text_slice(source, 1, source.len);
    char last = source.len > 0 ? source.at[source.len - 1] : '0';
    int64_t ms;
    Error ignored;
    if (last >= 'a' && last <= 'z' && duration_parse_ms(source, &ms, &ignored)) {
        if (expr->as.number < 0) builder_add_char(pretty->out, '-');
        duration_print_ms(ms, pretty->out);
    } else {
        builder_add_f64(pretty->out, expr->as.number);
    }
}

static void line_arguments(const Pretty *pretty, Expr *const *args, size_t count) {
    builder_add_char(pretty->out, '(');
    for (size_t i = 0; i < count && pretty->out->len <= pretty->stop; i++) {
        if (i > 0) builder_add(pretty->out, TEXT(", "));
        print_line(pretty, args[i]);
    }
    builder_add_char(pretty->out, ')');
}

static void print_line(const Pretty *pretty, const Expr *expr) {
    Builder *out = pretty->out;
    if (out->len > pretty->stop) return;
    switch (expr->kind) {
        case EXPR_NUMBER:
            line_number(pretty, expr);
            return;
        case EXPR_STRING:
            label_print_quoted(expr->as.string, out);
            return;
        case EXPR_SELECTOR:
            line_selector(pretty, expr);
            return;
        case EXPR_SUBQUERY:
            print_line(pretty, expr->as.subquery.expr);
            add_subquery_suffix(expr, out);
            return;
        case EXPR_CALL:
            builder_add(out, expr->as.call.function->name);
            line_arguments(pretty, expr->as.call.args, expr->as.call.arg_count);
            return;
        case EXPR_AGGREGATE: {
            Expr *args[2] = {expr->as.aggregate.param, expr->as.aggregate.expr};
            bool has_param = args[0] != NULL;
            add_aggregate(expr, out);
            line_arguments(pretty, has_param ? args : args + 1, has_param ? 2 : 1);
            return;
        }
        case EXPR_BINARY:
            print_line(pretty, expr->as.binary.left);
            builder_add_char(out, ' ');
            add_operator(expr, out);
            builder_add_char(out, ' ');
            print_line(pretty, expr->as.binary.right);
            return;
        case EXPR_UNARY:
            builder_add_char(out, expr->as.unary.negative ? '-' : '+');
            print_line(pretty, expr->as.unary.expr);
            return;
        case EXPR_PAREN:
            builder_add_char(out, '(');
            print_line(pretty, expr->as.paren);
            builder_add_char(out, ')');
            return;
    }
    unreachable("a tenth kind of expression");
}

// ---- On several ----

static void print(const Pretty *pretty, const Expr *expr, size_t level, bool indented);

static bool fits(const Pretty *pretty, const Expr *expr) {
    AUTO(builder_free) Builder line = {0};
    Pretty once = {pretty->text, &line, pretty->width, pretty->width};
    print_line(&once, expr);
    return line.len <= pretty->width;
}

static void indent(const Pretty *pretty, size_t level) {
    for (size_t i = 0; i < level; i++) builder_add(pretty->out, TEXT("  "));
}

static void print_arguments(const Pretty *pretty, Expr *const *args, size_t count, size_t level) {
    builder_add(pretty->out, TEXT("(\n"));
    for (size_t i = 0; i < count && pretty->out->len <= pretty->stop; i++) {
        if (i > 0) builder_add(pretty->out, TEXT(",\n"));
        print(pretty, args[i], level + 1, true);
    }
    builder_add_char(pretty->out, '\n');
    indent(pretty, level);
    builder_add_char(pretty->out, ')');
}

static void print_split(const Pretty *pretty, const Expr *expr, size_t level, bool indented) {
    Builder *out = pretty->out;
    switch (expr->kind) {
        case EXPR_CALL:
            if (indented) indent(pretty, level);
            builder_add(out, expr->as.call.function->name);
            print_arguments(pretty, expr->as.call.args, expr->as.call.arg_count, level);
            return;
        case EXPR_AGGREGATE: {
            Expr *args[2] = {expr->as.aggregate.param, expr->as.aggregate.expr};
            bool has_param = args[0] != NULL;
            if (indented) indent(pretty, level);
            add_aggregate(expr, out);
            print_arguments(pretty, has_param ? args : args + 1, has_param ? 2 : 1, level);
            return;
        }
        case EXPR_BINARY:
            print(pretty, expr->as.binary.left, level + 1, indented);
            builder_add_char(out, '\n');
            indent(pretty, level);
            add_operator(expr, out);
            builder_add_char(out, '\n');
            print(pretty, expr->as.binary.right, level + 1, true);
            return;
        case EXPR_PAREN: {
            Expr *inner = expr->as.paren;
            if (indented) indent(pretty, level);
            print_arguments(pretty, &inner, 1, level);
            return;
        }
        case EXPR_SUBQUERY:
            print(pretty, expr->as.subquery.expr, level, indented);
            add_subquery_suffix(expr, out);
            return;
        case EXPR_UNARY:
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_SELECTOR:
            break;
    }
    unreachable("what cannot be split is printed on its line");
}

// `indented`: the blanks of the level come first. Without, the text stands behind a sign.
static void print(const Pretty *pretty, const Expr *expr, size_t level, bool indented) {
    if (pretty->out->len > pretty->stop) return;
    if (expr->kind == EXPR_UNARY) {
        if (indented) indent(pretty, level);
        builder_add_char(pretty->out, expr->as.unary.negative ? '-' : '+');
        print(pretty, expr->as.unary.expr, level, false);
        return;
    }
    bool leaf = expr->kind == EXPR_NUMBER || expr->kind == EXPR_STRING ||
                (expr->kind == EXPR_CALL && expr->as.call.arg_count == 0) ||
                expr->kind == EXPR_SELECTOR;
    if (leaf || fits(pretty, expr)) {
        // A subquery on one line gets no blanks from Prometheus; with them it reads better, and the
        // text is the same query.
        if (indented) indent(pretty, level);
        print_line(pretty, expr);
        return;
    }
    print_split(pretty, expr, level, indented);
}

bool promql_pretty(const Promql *promql, size_t width, Builder *out, Error *err) {
    Pretty pretty = {promql->text, out, width, out->len + (size_t)LIMIT_QUERY_SHOWN_BYTES};
    print(&pretty, promql->root, 0, true);
    if (out->len <= pretty.stop) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the formatted query would have more than %lld bytes "
                     "(QUERY_SHOWN_BYTES); it is nested deeply and wide at once",
                     (long long)LIMIT_QUERY_SHOWN_BYTES);
}
