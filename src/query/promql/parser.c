// Expressions of PromQL by Pratt's method: a table of binding powers, one function per production.

#include "query/promql/parser.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/limits.h"
#include "query/promql/functions.h"

// ---- The tools of every production ----

SourcePlace source_place(Text text, uint32_t offset) {
    SourcePlace place = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        place.column++;
        if (text.at[i] == '\n') place = (SourcePlace){place.line + 1, 1};
    }
    return place;
}

bool parser_fail(Parser *parser, SourceRange range, const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (parser->where != NULL) *parser->where = range;
    SourcePlace place = source_place(parser->lexer.source, range.from);
    return error_set(parser->err, ERROR_BAD_INPUT, "%zu:%zu: parse error: %s", place.line,
                     place.column, message);
}

bool parser_unexpected(Parser *parser, const char *context, const char *expected) {
    Text what = lexer_describe(parser->token, parser->arena);
    return parser_fail(parser, parser->token.range, "unexpected %.*s%s%s%s%s", TEXT_ARG(what),
                       context[0] == '\0' ? "" : " in ", context,
                       expected == NULL ? "" : ", expected ", expected == NULL ? "" : expected);
}

bool parser_unsupported(Parser *parser, SourceRange range, const char *what) {
    if (parser->where != NULL) *parser->where = range;
    SourcePlace place = source_place(parser->lexer.source, range.from);
    return error_set(parser->err, ERROR_UNSUPPORTED,
                     "%zu:%zu: %s: known to PromQL, but this version cannot do it yet", place.line,
                     place.column, what);
}

void parser_experimental(Parser *parser, SourceRange range, Text what) {
    if (parser->promql->experimental.len > 0) return;
    parser->promql->experimental = what;
    parser->promql->experimental_at = range;
}

bool parser_advance(Parser *parser) {
    parser->last = parser->token.range;
    parser->token = lexer_next(&parser->lexer);
    if (parser->token.kind != TOKEN_BAD) return true;
    Text text = text_slice(parser->token.text, 0, 64);
    const char *fault = parser->lexer.fault;
    if (text.len == 1 && text.at[0] == '$') {
        return parser_fail(
            parser, parser->token.range,
            "unexpected character: \"$\", expected the value of a variable (dashboards "
            "fill them in before they ask)");
    }
    if (strcmp(fault, "unexpected character") == 0 || strncmp(fault, "bad number", 10) == 0) {
        return parser_fail(parser, parser->token.range, "%s: \"%.*s\"", fault, TEXT_ARG(text));
    }
    return parser_fail(parser, parser->token.range, "%s", fault);
}

bool parser_expect(Parser *parser, TokenKind kind, const char *context, const char *expected) {
    if (parser->token.kind != kind) return parser_unexpected(parser, context, expected);
    return parser_advance(parser);
}

static bool is_word(Text text, const char *word) {
    return text_equal_ignore_case(text, text_from_cstring(word));
}

bool parser_at_word(const Parser *parser, const char *word) {
    return parser->token.kind == TOKEN_NAME && is_word(parser->token.text, word);
}

Expr *parser_node(Parser *parser, ExprKind kind, uint32_t from) {
    Expr *expr = arena_push(parser->arena, Expr);
    expr->kind = kind;
    expr->range = (SourceRange){from, parser->last.to};
    expr->depth = 1;
    return expr;
}

bool parser_adopt(Parser *parser, Expr *expr, const Expr *child) {
    expr->depth = MAX(expr->depth, child->depth + 1);
    if (expr->depth <= LIMIT_QUERY_DEPTH) return true;
    if (parser->where != NULL) *parser->where = child->range;
    return error_set(parser->err, ERROR_TOO_LARGE,
                     "the query's tree is deeper than QUERY_DEPTH (%lld)",
                     (long long)LIMIT_QUERY_DEPTH);
}

bool parser_enter(Parser *parser) {
    if (parser->depth++ < LIMIT_NESTING_QUERY) return true;
    if (parser->where != NULL) *parser->where = parser->token.range;
    return error_set(parser->err, ERROR_TOO_LARGE,
                     "the query is nested deeper than NESTING_QUERY (%lld)",
                     (long long)LIMIT_NESTING_QUERY);
}

void parser_leave(Parser *parser) {
    parser->depth--;
}

// ---- Binary operators ----

enum {
    POWER_LOWEST = 1,
    POWER_UNARY = 6
};  // unary minus binds as tightly as ^ on its right: -2^2 is -(2^2)

typedef struct BinaryRow {
    TokenKind token;
    const char *word;  // of those that are words
    BinaryOp op;
    int power;
    bool right;  // associates to the right
} BinaryRow;

static const BinaryRow binary_rows[] = {
    {TOKEN_NAME, "or", OP_OR, 1, false},
    {TOKEN_NAME, "and", OP_AND, 2, false},
    {TOKEN_NAME, "unless", OP_UNLESS, 2, false},
    {TOKEN_EQ, NULL, OP_EQ, 3, false},
    {TOKEN_NE, NULL, OP_NE, 3, false},
    {TOKEN_LT, NULL, OP_LT, 3, false},
    {TOKEN_LE, NULL, OP_LE, 3, false},
    {TOKEN_GT, NULL, OP_GT, 3, false},
    {TOKEN_TRIM_UPPER, NULL, OP_TRIM_UPPER, 3, false},
    {TOKEN_TRIM_LOWER, NULL, OP_TRIM_LOWER, 3, false},
    {TOKEN_GE, NULL, OP_GE, 3, false},
    {TOKEN_ADD, NULL, OP_ADD, 4, false},
    {TOKEN_SUB, NULL, OP_SUB, 4, false},
    {TOKEN_MUL, NULL, OP_MUL, 5, false},
    {TOKEN_DIV, NULL, OP_DIV, 5, false},
    {TOKEN_MOD, NULL, OP_MOD, 5, false},
    {TOKEN_NAME, "atan2", OP_ATAN2, 5, false},
    {TOKEN_POW, NULL, OP_POW, 6, true},
};

static const BinaryRow *binary_row(const Parser *parser) {
    for (size_t i = 0; i < COUNT(binary_rows); i++) {
        const BinaryRow *row = &binary_rows[i];
        if (row->token != parser->token.kind) continue;
        if (row->word == NULL || is_word(parser->token.text, row->word)) return row;
    }
    return NULL;
}

static bool is_label_name(Text name) {
    if (name.len == 0 || (name.at[0] >= '0' && name.at[0] <= '9')) return false;
    return !is_number_word(name) && text_find_char(name, ':') < 0;
}

// labels -> '(' [label {',' label} [',']] ')';  label -> name | string
static bool parse_label_list(Parser *parser, Texts *out) {
    ARRAY(Text) labels = {0};
    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, "grouping opts", "\"(\""));
    while (parser->token.kind != TOKEN_RIGHT_PAREN) {
        Text label;
        if (parser->token.kind == TOKEN_NAME && is_label_name(parser->token.text)) {
            label = parser->token.text;
        } else if (parser->token.kind == TOKEN_STRING) {
            if (!lexer_unquote(parser->token.text, parser->arena, &label, parser->err)) {
                return parser_fail(parser, parser->token.range, "%s", parser->err->message);
            }
            if (label.len == 0 || !text_is_utf8(label)) {
                return parser_fail(parser, parser->token.range,
                                   "invalid label name for grouping: %.*s",
                                   TEXT_ARG(text_slice(parser->token.text, 0, 64)));
            }
        } else {
            return parser_unexpected(parser, "grouping opts", "label");
        }
        *array_add_on(parser->arena, &labels) = label;
        TRY(parser_advance(parser));
        if (parser->token.kind == TOKEN_RIGHT_PAREN) break;
        TRY(parser_expect(parser, TOKEN_COMMA, "grouping opts", "\",\" or \")\""));
    }
    *out = (Texts){labels.at, labels.count};
    return parser_advance(parser);
}

// fills -> {('fill' | 'fill_left' | 'fill_right') '(' ['+' | '-'] number ')'}; a metric may bear
// these names as well
static bool parse_fills(Parser *parser, Expr *expr) {
    static const char *const words[] = {"fill", "fill_left", "fill_right"};
    VectorMatching *matching = &expr->as.binary.matching;
    for (;;) {
        size_t word = 0;
        while (word < COUNT(words) && !parser_at_word(parser, words[word])) word++;
        Lexer ahead = parser->lexer;
        if (word == COUNT(words) || lexer_next(&ahead).kind != TOKEN_LEFT_PAREN) return true;
        SourceRange range = parser->token.range;
        parser_experimental(parser, range, TEXT("the modifier fill"));
        if (binary_op_is_set(expr->as.binary.op)) {
            return parser_fail(parser, range,
                               "filling in missing series not allowed for set operators");
        }
        if ((word != 2 && matching->fills_left) || (word != 1 && matching->fills_right)) {
            return parser_fail(parser, range,
                               "fill modifier may not be set multiple times for one side");
        }
        TRY(parser_advance(parser));
        TRY(parser_advance(parser));
        bool negative = parser->token.kind == TOKEN_SUB;
        if (negative || parser->token.kind == TOKEN_ADD) TRY(parser_advance(parser));
        double value;
        bool number = parser->token.kind == TOKEN_NUMBER || parser_at_word(parser, "inf") ||
                      parser_at_word(parser, "nan");
        if (!number || !lexer_number(parser->token.text, &value))
            return parser_unexpected(parser, "fill modifier", "number");
        if (negative) value = -value;
        TRY(parser_advance(parser));
        TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, "fill modifier", "\")\""));
        if (word != 2) matching->fills_left = true;
        if (word != 2) matching->fill_left = value;
        if (word != 1) matching->fills_right = true;
        if (word != 1) matching->fill_right = value;
    }
}

// modifiers -> ['bool'] [('on' | 'ignoring') labels [('group_left' | 'group_right') [labels]]]
// fills
static bool parse_binary_modifiers(Parser *parser, Expr *expr) {
    VectorMatching *matching = &expr->as.binary.matching;
    if (binary_op_is_set(expr->as.binary.op)) matching->card = CARD_MANY_TO_MANY;
    if (parser_at_word(parser, "bool")) {
        if (!binary_op_is_comparison(expr->as.binary.op)) {
            return parser_fail(parser, parser->token.range,
                               "bool modifier can only be used on comparison operators");
        }
        expr->as.binary.return_bool = true;
        TRY(parser_advance(parser));
    }
    if (parser_at_word(parser, "on") || parser_at_word(parser, "ignoring")) {
        matching->on = parser_at_word(parser, "on");
        expr->as.binary.matching_given = true;
        TRY(parser_advance(parser));
        TRY(parse_label_list(parser, &matching->labels));
        bool left = parser_at_word(parser, "group_left");
        if (left || parser_at_word(parser, "group_right")) {
            if (binary_op_is_set(expr->as.binary.op)) {
                return parser_fail(parser, parser->token.range,
                                   "no grouping allowed for \"%.*s\" operation",
                                   TEXT_ARG(binary_op_name(expr->as.binary.op)));
            }
            matching->card = left ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
            TRY(parser_advance(parser));
            if (parser->token.kind == TOKEN_LEFT_PAREN)
                TRY(parse_label_list(parser, &matching->include));
        }
    }
    return parse_fills(parser, expr);
}

// ---- Expressions ----

static bool parse_expr(Parser *parser, int power_min, Expr **out);

typedef ARRAY(Expr *) ExprArray;

// arguments -> '(' [expr {',' expr}] ')'
static bool parse_arguments(Parser *parser, Text context, ExprArray *out) {
    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, "call", "\"(\""));
    while (parser->token.kind != TOKEN_RIGHT_PAREN) {
        Expr *arg;
        TRY(parse_expr(parser, POWER_LOWEST, &arg));
        *array_add_on(parser->arena, out) = arg;
        if (parser->token.kind == TOKEN_RIGHT_PAREN) break;
        char where[96];
        snprintf(where, sizeof where, "%.*s", TEXT_ARG(text_slice(context, 0, 80)));
        TRY(parser_expect(parser, TOKEN_COMMA, where, NULL));
        if (parser->token.kind == TOKEN_RIGHT_PAREN) {
            return parser_fail(parser, parser->token.range,
                               "trailing commas not allowed in function call args");
        }
    }
    return parser_advance(parser);
}

// The function or aggregation that may have been meant: the nearest, of several the one that begins
// most alike. Empty when none is near.
static Text name_near(Text name) {
    Text best = TEXT_NONE;
    size_t least = MIN((size_t)3, name.len / 3 + 1), most_alike = 0;
    for (size_t i = 0; i < FUNCTION_COUNT + AGG_OP_COUNT; i++) {
        Text known = i < FUNCTION_COUNT ? functions[i].name
                                        : aggregate_op_name((AggregateOp)(i - FUNCTION_COUNT));
        size_t distance = text_distance(name, known), alike = 0;
        while (alike < MIN(name.len, known.len) && name.at[alike] == known.at[alike]) alike++;
        if (distance > least || (distance == least && alike <= most_alike)) continue;
        least = distance;
        most_alike = alike;
        best = known;
    }
    return best;
}

// call -> name arguments
static bool parse_call(Parser *parser, Token name, Expr **out) {
    ExprArray args = {0};
    const Function *function = function_find(name.text);
    if (function == NULL) {
        Text near = name_near(name.text);
        return parser_fail(parser, name.range, "unknown function with name \"%.*s\"%s%.*s%s",
                           TEXT_ARG(text_slice(name.text, 0, 64)),
                           near.len > 0 ? "; did you mean \"" : "", TEXT_ARG(near),
                           near.len > 0 ? "\"?" : "");
    }
    TRY(parse_arguments(parser, TEXT("call"), &args));
    Expr *expr = parser_node(parser, EXPR_CALL, name.range.from);
    expr->as.call.function = function;
    expr->as.call.args = args.at;
    if (function->experimental) parser_experimental(parser, name.range, function->name);
    expr->as.call.arg_count = args.count;
    for (size_t i = 0; i < args.count; i++) TRY(parser_adopt(parser, expr, args.at[i]));
    *out = expr;
    return true;
}

static bool parse_grouping(Parser *parser, Expr *expr) {
    if (!parser_at_word(parser, "by") && !parser_at_word(parser, "without")) return true;
    expr->as.aggregate.without = parser_at_word(parser, "without");
    expr->as.aggregate.grouped = true;
    TRY(parser_advance(parser));
    return parse_label_list(parser, &expr->as.aggregate.labels);
}

// aggregate -> op [grouping] arguments | op arguments [grouping]
// grouping  -> ('by' | 'without') labels
static bool parse_aggregate(Parser *parser, Token name, AggregateOp op, Expr **out) {
    Expr *expr = parser_node(parser, EXPR_AGGREGATE, name.range.from);
    expr->as.aggregate.op = op;
    TRY(parse_grouping(parser, expr));
    ExprArray args = {0};
    TRY(parse_arguments(parser, TEXT("aggregation"), &args));
    if (!expr->as.aggregate.grouped) TRY(parse_grouping(parser, expr));
    expr->range.to = parser->last.to;
    size_t wanted = aggregate_op_has_param(op) ? 2 : 1;
    if (args.count == 0)
        return parser_fail(parser, expr->range, "no arguments for aggregate expression provided");
    if (args.count != wanted) {
        return parser_fail(
            parser, expr->range,
            "wrong number of arguments for aggregate expression provided, expected %zu, got %zu",
            wanted, args.count);
    }
    expr->as.aggregate.expr = args.at[args.count - 1];
    if (wanted == 2) expr->as.aggregate.param = args.at[0];
    for (size_t i = 0; i < args.count; i++) TRY(parser_adopt(parser, expr, args.at[i]));
    if (op == AGG_LIMITK || op == AGG_LIMIT_RATIO)
        parser_experimental(parser, name.range, aggregate_op_name(op));
    *out = expr;
    return true;
}

static bool aggregate_find(Text name, AggregateOp *out) {
    for (size_t i = 0; i < AGG_OP_COUNT; i++) {
        if (text_equal_ignore_case(aggregate_op_name((AggregateOp)i), name)) {
            *out = (AggregateOp)i;
            return true;
        }
    }
    return false;
}

static Expr *number_node(Parser *parser, Token token, double value) {
    Expr *expr = parser_node(parser, EXPR_NUMBER, token.range.from);
    expr->as.number = value;
    return expr;
}

// named -> 'Inf' | 'NaN' | aggregate | call | selector
static bool parse_named(Parser *parser, Expr **out) {
    static const char *const reserved[] = {"bool", "on", "ignoring", "group_left", "group_right"};
    Token name = parser->token;
    for (size_t i = 0; i < COUNT(reserved); i++) {
        if (is_word(name.text, reserved[i])) {
            return parser_fail(parser, name.range, "unexpected <%s>, expected %s", reserved[i],
                               i < 3 ? "an expression" : "on (…) or ignoring (…) in front of it");
        }
    }
    TRY(parser_advance(parser));
    if (is_word(name.text, "inf") || is_word(name.text, "nan")) {
        *out = number_node(parser, name, is_word(name.text, "inf") ? INFINITY : NAN);
        return true;
    }
    AggregateOp op;
    bool called = parser->token.kind == TOKEN_LEFT_PAREN;
    bool grouped = parser_at_word(parser, "by") || parser_at_word(parser, "without");
    if ((called || grouped) && aggregate_find(name.text, &op))
        return parse_aggregate(parser, name, op, out);
    if (called) return parse_call(parser, name, out);
    return parse_selector(parser, &name, out);
}

// primary -> number | duration | string | '(' expr ')' | selector | named
static bool parse_primary(Parser *parser, Expr **out) {
    Token token = parser->token;
    switch (token.kind) {
        case TOKEN_NUMBER: {
            double value;
            if (!lexer_number(token.text, &value)) {
                return parser_fail(parser, token.range, "error parsing number: \"%.*s\"",
                                   TEXT_ARG(text_slice(token.text, 0, 64)));
            }
            TRY(parser_advance(parser));
            *out = number_node(parser, token, value);
            return true;
        }
        case TOKEN_DURATION: {
            int64_t ms;
            if (!duration_parse_ms(token.text, &ms, parser->err)) {
                return parser_fail(parser, token.range, "%s", parser->err->message);
            }
            TRY(parser_advance(parser));
            *out = number_node(parser, token, (double)ms / 1000);
            return true;
        }
        case TOKEN_STRING: {
            Text content;
            if (!lexer_unquote(token.text, parser->arena, &content, parser->err)) {
                return parser_fail(parser, token.range, "%s", parser->err->message);
            }
            TRY(parser_advance(parser));
            *out = parser_node(parser, EXPR_STRING, token.range.from);
            (*out)->as.string = content;
            return true;
        }
        case TOKEN_LEFT_PAREN: {
            Expr *inner;
            TRY(parser_advance(parser));
            TRY(parse_expr(parser, POWER_LOWEST, &inner));
            TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, "paren expression", NULL));
            *out = parser_node(parser, EXPR_PAREN, token.range.from);
            (*out)->as.paren = inner;
            return parser_adopt(parser, *out, inner);
        }
        case TOKEN_LEFT_BRACE:
            return parse_selector(parser, NULL, out);
        case TOKEN_NAME:
            return parse_named(parser, out);
        case TOKEN_END:
            return parser->last.to == 0
                       ? parser_fail(parser, token.range, "no expression found in input")
                       : parser_unexpected(parser, "", "an expression");
        case TOKEN_BAD:
        case TOKEN_RIGHT_PAREN:
        case TOKEN_RIGHT_BRACE:
        case TOKEN_LEFT_BRACKET:
        case TOKEN_RIGHT_BRACKET:
        case TOKEN_COMMA:
        case TOKEN_COLON:
        case TOKEN_AT:
        case TOKEN_ADD:
        case TOKEN_SUB:
        case TOKEN_MUL:
        case TOKEN_DIV:
        case TOKEN_MOD:
        case TOKEN_POW:
        case TOKEN_EQ:
        case TOKEN_NE:
        case TOKEN_LT:
        case TOKEN_LE:
        case TOKEN_GT:
        case TOKEN_GE:
        case TOKEN_TRIM_UPPER:
        case TOKEN_TRIM_LOWER:
        case TOKEN_ASSIGN:
        case TOKEN_MATCH:
        case TOKEN_NOT_MATCH:
            break;
    }
    return parser_unexpected(parser, "", "an expression");
}

// What may stand behind a whole expression; people write comparisons as other languages do.
static const char *expected_behind(TokenKind kind) {
    if (kind == TOKEN_ASSIGN) return "an operator, such as == to compare, or the end";
    if (kind == TOKEN_MATCH || kind == TOKEN_NOT_MATCH)
        return "an operator or the end; labels are matched in braces, as in x{a=~\"b.*\"}";
    return "an operator or the end";
}

// unary -> ('+' | '-') expr
static bool parse_unary(Parser *parser, Expr **out) {
    Token sign = parser->token;
    bool negative = sign.kind == TOKEN_SUB;
    TRY(parser_advance(parser));
    Expr *operand;
    TRY(parse_expr(parser, POWER_UNARY, &operand));
    if (operand->kind == EXPR_NUMBER) {
        if (negative) operand->as.number = -operand->as.number;
        operand->range.from = sign.range.from;
        *out = operand;
        return true;
    }
    *out = parser_node(parser, EXPR_UNARY, sign.range.from);
    (*out)->as.unary.negative = negative;
    (*out)->as.unary.expr = operand;
    return parser_adopt(parser, *out, operand);
}

// expr -> prefix {operator modifiers expr};  prefix -> unary | primary {postfix}
static bool parse_expr_inside(Parser *parser, int power_min, Expr **out) {
    Expr *left;
    if (parser->token.kind == TOKEN_ADD || parser->token.kind == TOKEN_SUB) {
        TRY(parse_unary(parser, &left));
    } else {
        TRY(parse_primary(parser, &left));
        TRY(parse_postfix(parser, &left));
    }
    for (;;) {
        const BinaryRow *row = binary_row(parser);
        if (row == NULL || row->power < power_min) break;
        TRY(parser_advance(parser));
        Expr *expr = parser_node(parser, EXPR_BINARY, left->range.from);
        expr->as.binary.op = row->op;
        TRY(parse_binary_modifiers(parser, expr));
        expr->as.binary.left = left;
        TRY(parse_expr(parser, row->right ? row->power : row->power + 1, &expr->as.binary.right));
        expr->range.to = expr->as.binary.right->range.to;
        TRY(parser_adopt(parser, expr, left));
        TRY(parser_adopt(parser, expr, expr->as.binary.right));
        left = expr;
    }
    *out = left;
    return true;
}

static bool parse_expr(Parser *parser, int power_min, Expr **out) {
    TRY(parser_enter(parser));
    bool parsed = parse_expr_inside(parser, power_min, out);
    parser_leave(parser);
    return parsed;
}

// ---- The front door ----

static bool parse_whole(Text text, Arena *arena, Promql *promql, SourceRange *where, Error *err) {
    if (where != NULL) *where = (SourceRange){0, 0};
    if ((int64_t)text.len > LIMIT_QUERY_TEXT_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the query is %zu bytes long, more than QUERY_TEXT_BYTES (%lld)", text.len,
                         (long long)LIMIT_QUERY_TEXT_BYTES);
    }
    if (!text_is_utf8(text))
        return error_set(err, ERROR_BAD_INPUT, "1:1: parse error: the query is not UTF-8");
    Parser parser = {
        .lexer = {.source = text}, .arena = arena, .promql = promql, .where = where, .err = err};
    promql->text = text;
    TRY(parser_advance(&parser));
    TRY(parse_expr(&parser, POWER_LOWEST, &promql->root));
    if (parser.token.kind != TOKEN_END)
        return parser_unexpected(&parser, "", expected_behind(parser.token.kind));
    return check_expr(&parser, promql->root);
}

bool promql_parse(Text text, Arena *arena, Promql *out, SourceRange *where, Error *err) {
    Promql promql = {0};
    if (!parse_whole(text, arena, &promql, where, err)) {
        promql_close(&promql);
        return false;
    }
    *out = promql;
    return true;
}

void promql_close(Promql *promql) {
    for (size_t i = 0; i < promql->regexes.count; i++) regex_close(&promql->regexes.at[i]);
    array_free(&promql->regexes);
    promql->root = NULL;
}

bool promql_parse_selector(Text text, Arena *arena, Promql *out, Error *err) {
    TRY(promql_parse(text, arena, out, NULL, err));
    const Expr *root = out->root;
    bool plain = root->kind == EXPR_SELECTOR && root->as.selector.range_ms == 0 &&
                 root->offset_ms == 0 && root->at == AT_NONE;
    if (plain) return true;
    promql_close(out);
    Text shown = text_slice(text, 0, 64);
    return error_set(
        err, ERROR_BAD_INPUT,
        "1:1: parse error: a series selector is wanted, like up{job=\"x\"}, not \"%.*s\"",
        TEXT_ARG(shown));
}
