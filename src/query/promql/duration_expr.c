// Durations that are calculated: `[5m * 2]`, `[step() + 1s]`, `offset (2 ^ 3)`.
//
// What depends on nothing is calculated while parsing. step() and range() are known only to a
// query: then the expression is kept, and promql_resolve puts the number in.

#include <math.h>

#include "base/assert.h"
#include "query/promql/functions.h"
#include "query/promql/parser.h"

// ---- Parsing: numbers are seconds ----

static bool parse_sum(Parser *parser, const char *context, int power_min, Expr **out);

// A node of the calculation; its type is known at once.
static Expr *scalar_node(Parser *parser, ExprKind kind, uint32_t from) {
    Expr *expr = parser_node(parser, kind, from);
    expr->type = VALUE_SCALAR;
    return expr;
}

// call -> ('step' | 'range') '(' ')' | ('min_of' | 'max_of') '(' sum ',' sum ')'
static bool parse_duration_call(Parser *parser, const char *context, Expr **out) {
    static const FunctionId ids[] = {FUNCTION_STEP, FUNCTION_RANGE, FUNCTION_MIN_OF,
                                     FUNCTION_MAX_OF};
    const Function *function = NULL;
    for (size_t i = 0; i < COUNT(ids); i++) {
        if (text_equal_ignore_case(parser->token.text, functions[ids[i]].name))
            function = &functions[ids[i]];
    }
    if (function == NULL)
        return parser_unexpected(parser, context, "number, duration, step(), or range()");
    uint32_t from = parser->token.range.from;
    TRY(parser_advance(parser));
    TRY(parser_expect(parser, TOKEN_LEFT_PAREN, context, "\"(\""));
    Expr **args = arena_push_array(parser->arena, Expr *, 2);
    for (size_t i = 0; i < function->take_count; i++) {
        if (i > 0) TRY(parser_expect(parser, TOKEN_COMMA, context, "\",\""));
        TRY(parse_sum(parser, context, 1, &args[i]));
    }
    TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, context, "\")\""));
    *out = scalar_node(parser, EXPR_CALL, from);
    (*out)->as.call.function = function;
    (*out)->as.call.args = args;
    (*out)->as.call.arg_count = function->take_count;
    for (size_t i = 0; i < function->take_count; i++) TRY(parser_adopt(parser, *out, args[i]));
    return true;
}

// operand -> number | duration | '(' sum ')' | call
static bool parse_operand(Parser *parser, const char *context, Expr **out) {
    Token token = parser->token;
    if (token.kind == TOKEN_NAME) return parse_duration_call(parser, context, out);
    if (token.kind == TOKEN_LEFT_PAREN) {
        Expr *inner;
        TRY(parser_advance(parser));
        TRY(parse_sum(parser, context, 1, &inner));
        TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, context, "\")\""));
        *out = scalar_node(parser, EXPR_PAREN, token.range.from);
        (*out)->as.paren = inner;
        return parser_adopt(parser, *out, inner);
    }
    double seconds;
    if (token.kind == TOKEN_DURATION) {
        int64_t ms;
        if (!duration_parse_ms(token.text, &ms, parser->err))
            return parser_fail(parser, token.range, "%s", parser->err->message);
        seconds = (double)ms / 1000;
    } else if (token.kind != TOKEN_NUMBER) {
        return parser_unexpected(parser, context, "number, duration, step(), or range()");
    } else if (!lexer_number(token.text, &seconds)) {
        return parser_fail(parser, token.range, "error parsing number");
    }
    TRY(parser_advance(parser));
    *out = scalar_node(parser, EXPR_NUMBER, token.range.from);
    (*out)->as.number = seconds;
    return true;
}

// signed -> ['+' | '-'] operand; the sign binds as loosely as the caller says: -2 ^ 2 is -(2 ^ 2)
// in a sum.
static bool parse_signed(Parser *parser, const char *context, bool in_sum, Expr **out) {
    Token sign = parser->token;
    if (sign.kind != TOKEN_ADD && sign.kind != TOKEN_SUB)
        return parse_operand(parser, context, out);
    TRY(parser_advance(parser));
    Expr *operand;
    TRY(in_sum ? parse_sum(parser, context, 3, &operand)
               : parse_operand(parser, context, &operand));
    if (operand->kind == EXPR_NUMBER) {
        if (sign.kind == TOKEN_SUB) operand->as.number = -operand->as.number;
        operand->range.from = sign.range.from;
        *out = operand;
        return true;
    }
    *out = scalar_node(parser, EXPR_UNARY, sign.range.from);
    (*out)->as.unary.negative = sign.kind == TOKEN_SUB;
    (*out)->as.unary.expr = operand;
    return parser_adopt(parser, *out, operand);
}

// sum -> signed {operator signed}, with the powers of parser.c: + - below * / % below ^
static bool parse_sum_inside(Parser *parser, const char *context, int power_min, Expr **out) {
    static const struct {
        TokenKind token;
        BinaryOp op;
        int power;
    } rows[] = {
        {TOKEN_ADD, OP_ADD, 1}, {TOKEN_SUB, OP_SUB, 1}, {TOKEN_MUL, OP_MUL, 2},
        {TOKEN_DIV, OP_DIV, 2}, {TOKEN_MOD, OP_MOD, 2}, {TOKEN_POW, OP_POW, 3},
    };
    TRY(parse_signed(parser, context, true, out));
    for (;;) {
        size_t row = 0;
        while (row < COUNT(rows) && rows[row].token != parser->token.kind) row++;
        if (row == COUNT(rows) || rows[row].power < power_min) return true;
        TRY(parser_advance(parser));
        Expr *right;
        TRY(parse_sum(parser, context, rows[row].op == OP_POW ? 3 : rows[row].power + 1, &right));
        Expr *expr = scalar_node(parser, EXPR_BINARY, (*out)->range.from);
        expr->as.binary.op = rows[row].op;
        expr->as.binary.left = *out;
        expr->as.binary.right = right;
        TRY(parser_adopt(parser, expr, *out));
        TRY(parser_adopt(parser, expr, right));
        *out = expr;
    }
}

static bool parse_sum(Parser *parser, const char *context, int power_min, Expr **out) {
    TRY(parser_enter(parser));
    bool parsed = parse_sum_inside(parser, context, power_min, out);
    parser_leave(parser);
    return parsed;
}

// ---- Calculating ----

typedef struct Known {
    bool query;  // step and length are known
    double step, length;
} Known;

// False when it depends on what is not known.
static bool calculate(const Expr *expr, const Known *known, double *out) {
    double left, right;
    switch ((int)expr->kind) {
        case EXPR_NUMBER:
            *out = expr->as.number;
            return true;
        case EXPR_PAREN:
            return calculate(expr->as.paren, known, out);
        case EXPR_UNARY:
            TRY(calculate(expr->as.unary.expr, known, out));
            if (expr->as.unary.negative) *out = -*out;
            return true;
        case EXPR_CALL: {
            FunctionId id = expr->as.call.function->id;
            if (id == FUNCTION_STEP || id == FUNCTION_RANGE) {
                *out = id == FUNCTION_STEP ? known->step : known->length;
                return known->query;
            }
            TRY(calculate(expr->as.call.args[0], known, &left));
            TRY(calculate(expr->as.call.args[1], known, &right));
            *out = id == FUNCTION_MIN_OF ? fmin(left, right) : fmax(left, right);
            return true;
        }
        case EXPR_BINARY:
            TRY(calculate(expr->as.binary.left, known, &left));
            TRY(calculate(expr->as.binary.right, known, &right));
            switch ((int)expr->as.binary.op) {
                case OP_ADD:
                    *out = left + right;
                    return true;
                case OP_SUB:
                    *out = left - right;
                    return true;
                case OP_MUL:
                    *out = left * right;
                    return true;
                case OP_DIV:
                    *out = left / right;
                    return true;  // by zero: out of range, which is refused
                case OP_MOD:
                    *out = fmod(left, right);
                    return true;
                case OP_POW:
                    *out = pow(left, right);
                    return true;
                default:
                    break;
            }
            break;
        default:
            break;
    }
    unreachable("a duration is calculated from nothing else");
}

// As far as durations can be written: 292 years, the nanoseconds of an int64.
static bool seconds_to_ms(double seconds, int64_t *out) {
    const double most = (double)(INT64_MAX / 1000000);
    double ms = round(seconds * 1000);
    if (!(ms >= -most && ms <= most)) return false;
    *out = (int64_t)ms;
    return true;
}

static bool settle(Parser *parser, Expr *expr, int64_t *ms, Expr **given) {
    Known nothing = {0};
    double seconds;
    *ms = 0;
    *given = NULL;
    if (expr->kind != EXPR_NUMBER)
        parser_experimental(parser, expr->range, TEXT("a calculated duration"));
    if (!calculate(expr, &nothing, &seconds)) {
        *given = expr;
        return true;
    }
    return seconds_to_ms(seconds, ms) || parser_fail(parser, expr->range, "duration out of range");
}

bool parse_duration_expr(Parser *parser, const char *context, int64_t *ms, Expr **given) {
    Expr *expr;
    TRY(parse_sum(parser, context, 1, &expr));
    return settle(parser, expr, ms, given);
}

bool parse_duration_operand(Parser *parser, const char *context, int64_t *ms, Expr **given) {
    Expr *expr;
    TRY(parse_signed(parser, context, false, &expr));
    return settle(parser, expr, ms, given);
}

// ---- Putting the numbers in ----

typedef struct Resolving {
    Known known;
    Text text;
    SourceRange *where;
    Error *err;
} Resolving;

static bool put(Resolving *resolving, const Expr *given, bool positive, int64_t *ms) {
    if (given == NULL) return true;
    double seconds = 0;
    bool known = calculate(given, &resolving->known, &seconds);
    assert(known);
    bool in_range = seconds_to_ms(seconds, ms);
    if (in_range && (*ms > 0 || !positive)) return true;
    if (resolving->where != NULL) *resolving->where = given->range;
    SourcePlace place = source_place(resolving->text, given->range.from);
    return error_set(resolving->err, ERROR_BAD_INPUT, "%zu:%zu: parse error: %s", place.line,
                     place.column,
                     in_range ? "duration must be greater than 0" : "duration out of range");
}

static bool resolve(Resolving *resolving, Expr *expr) {
    TRY(put(resolving, expr->offset_given, false, &expr->offset_ms));
    switch (expr->kind) {
        case EXPR_NUMBER:
        case EXPR_STRING:
            return true;
        case EXPR_SELECTOR:
            return put(resolving, expr->as.selector.range_given, true, &expr->as.selector.range_ms);
        case EXPR_SUBQUERY:
            TRY(put(resolving, expr->as.subquery.range_given, true, &expr->as.subquery.range_ms));
            TRY(put(resolving, expr->as.subquery.step_given, true, &expr->as.subquery.step_ms));
            return resolve(resolving, expr->as.subquery.expr);
        case EXPR_CALL:
            for (size_t i = 0; i < expr->as.call.arg_count; i++)
                TRY(resolve(resolving, expr->as.call.args[i]));
            return true;
        case EXPR_AGGREGATE:
            if (expr->as.aggregate.param != NULL) TRY(resolve(resolving, expr->as.aggregate.param));
            return resolve(resolving, expr->as.aggregate.expr);
        case EXPR_BINARY:
            return resolve(resolving, expr->as.binary.left) &&
                   resolve(resolving, expr->as.binary.right);
        case EXPR_UNARY:
            return resolve(resolving, expr->as.unary.expr);
        case EXPR_PAREN:
            return resolve(resolving, expr->as.paren);
    }
    unreachable("a tenth kind of expression");
}

bool promql_resolve(Promql *promql, int64_t step_ms, int64_t length_ms, SourceRange *where,
                    Error *err) {
    Resolving resolving = {
        {true, (double)step_ms / 1000, (double)length_ms / 1000}, promql->text, where, err};
    return resolve(&resolving, promql->root);
}
