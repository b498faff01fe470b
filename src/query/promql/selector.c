// Selectors and what may stand behind an expression: [range], [range:step], offset and @.

#include "query/promql/parser.h"

#include <math.h>

#include "base/assert.h"

typedef ARRAY(Matcher) MatcherArray;

static bool add_matcher(Parser *parser, SourceRange range, MatcherKind kind, Text name, Text value,
                        MatcherArray *matchers) {
    Matcher matcher;
    if (!matcher_make(kind, name, value, &matcher, parser->err)) {
        return parser_fail(parser, range, "%s", parser->err->message);
    }
    if (matcher.regex != NULL) *array_add(&parser->promql->regexes) = matcher.regex;
    *array_add_on(parser->arena, matchers) = matcher;
    return true;
}

static bool unquote(Parser *parser, Text *out) {
    if (lexer_unquote(parser->token.text, parser->arena, out, parser->err)) return true;
    return parser_fail(parser, parser->token.range, "%s", parser->err->message);
}

static bool set_name(Parser *parser, SourceRange range, Text *name, Text given,
                     MatcherArray *matchers) {
    if (name->at != NULL) {
        return parser_fail(parser, range, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                           TEXT_ARG(text_slice(*name, 0, 64)), TEXT_ARG(text_slice(given, 0, 64)));
    }
    *name = given;
    return add_matcher(parser, range, MATCH_EQUAL, LABEL_NAME, given, matchers);
}

static bool matcher_kind(TokenKind token, MatcherKind *out) {
    static const TokenKind tokens[] = {TOKEN_ASSIGN, TOKEN_NE, TOKEN_MATCH,
                                       TOKEN_NOT_MATCH};  // ORDER: MatcherKind
    for (size_t i = 0; i < COUNT(tokens); i++) {
        if (tokens[i] != token) continue;
        *out = (MatcherKind)i;
        return true;
    }
    return false;
}

// matcher -> (name | string) ('=' | '!=' | '=~' | '!~') string | string
static bool parse_matcher(Parser *parser, Text *metric, MatcherArray *matchers) {
    Token first = parser->token;
    Text name = first.text;
    if (first.kind == TOKEN_STRING) {
        TRY(unquote(parser, &name));
        TRY(parser_advance(parser));
        if (parser->token.kind == TOKEN_COMMA || parser->token.kind == TOKEN_RIGHT_BRACE) {
            return set_name(parser, first.range, metric, name, matchers);
        }
        if (name.len == 0 || !text_is_utf8(name))
            return parser_fail(parser, first.range, "invalid label name");
    } else if (first.kind == TOKEN_NAME) {
        TRY(parser_advance(parser));
    } else {
        return parser_unexpected(parser, "label matching", "identifier or \"}\"");
    }
    MatcherKind kind;
    if (!matcher_kind(parser->token.kind, &kind)) {
        return parser_unexpected(parser, "label matching", "label matching operator");
    }
    TRY(parser_advance(parser));
    if (parser->token.kind != TOKEN_STRING)
        return parser_unexpected(parser, "label matching", "string");
    Text value;
    TRY(unquote(parser, &value));
    SourceRange range = {first.range.from, parser->token.range.to};
    if (kind == MATCH_EQUAL && metric->at != NULL && text_equal(name, LABEL_NAME)) {
        return set_name(parser, range, metric, value, matchers);
    }
    TRY(add_matcher(parser, range, kind, name, value, matchers));
    return parser_advance(parser);
}

// selector -> name ['{' [matcher {',' matcher} [',']] '}'] | '{' … '}'
bool parse_selector(Parser *parser, const Token *name, Expr **out) {
    MatcherArray matchers = {0};
    uint32_t from = name == NULL ? parser->token.range.from : name->range.from;
    Text metric = TEXT_NONE;
    if (name != NULL) TRY(set_name(parser, name->range, &metric, name->text, &matchers));
    if (parser->token.kind == TOKEN_LEFT_BRACE) {
        TRY(parser_advance(parser));
        while (parser->token.kind != TOKEN_RIGHT_BRACE) {
            TRY(parse_matcher(parser, &metric, &matchers));
            if (parser->token.kind == TOKEN_RIGHT_BRACE) break;
            TRY(parser_expect(parser, TOKEN_COMMA, "label matching", "\",\" or \"}\""));
        }
        TRY(parser_advance(parser));
    }
    *out = parser_node(parser, EXPR_SELECTOR, from);
    (*out)->as.selector.matchers = (Matchers){matchers.at, matchers.count};
    return true;
}

// ---- Durations and times ----

static bool parse_positive_duration(Parser *parser, const char *context, int64_t *out,
                                    Expr **given) {
    SourceRange range = parser->token.range;
    TRY(parse_duration_expr(parser, context, out, given));
    if (*given == NULL && *out <= 0)
        return parser_fail(parser, range, "duration must be greater than 0");
    return true;
}

// range -> '[' duration ']' | '[' duration ':' [duration] ']'    (durations may be calculated)
static bool parse_range(Parser *parser, Expr **expr) {
    Expr *inner = *expr;
    SourceRange bracket = parser->token.range;
    TRY(parser_advance(parser));
    int64_t range_ms, step_ms = 0;
    Expr *range_given, *step_given = NULL;
    TRY(parse_positive_duration(parser, "subquery or range selector", &range_ms, &range_given));
    if (parser->token.kind != TOKEN_COLON) {
        SourceRange closing = parser->token.range;
        TRY(parser_expect(parser, TOKEN_RIGHT_BRACKET, "subquery or range", "\":\" or \"]\""));
        if (inner->kind != EXPR_SELECTOR || selector_has_range(inner)) {
            return parser_fail(
                parser, bracket,
                "ranges only allowed for vector selectors; a subquery is written as in "
                "(…)[5m:]");
        }
        if (inner->offset_ms != 0 || inner->offset_given != NULL)
            return parser_fail(parser, bracket, "no offset modifiers allowed before range");
        if (inner->at != AT_NONE)
            return parser_fail(parser, bracket, "no @ modifiers allowed before range");
        if (inner->as.selector.extent != EXTENT_PLAIN) {
            return parser_fail(parser, bracket,
                               "no anchored or smoothed modifiers allowed before range");
        }
        inner->as.selector.range_ms = range_ms;
        inner->as.selector.range_given = range_given;
        inner->range.to = closing.to;
        return true;
    }
    TRY(parser_advance(parser));
    if (parser->token.kind != TOKEN_RIGHT_BRACKET)
        TRY(parse_positive_duration(parser, "subquery selector", &step_ms, &step_given));
    TRY(parser_expect(parser, TOKEN_RIGHT_BRACKET, "subquery selector", "\"]\""));
    *expr = parser_node(parser, EXPR_SUBQUERY, inner->range.from);
    TRY(parser_adopt(parser, *expr, inner));
    (*expr)->as.subquery.expr = inner;
    (*expr)->as.subquery.range_ms = range_ms;
    (*expr)->as.subquery.step_ms = step_ms;
    (*expr)->as.subquery.range_given = range_given;
    (*expr)->as.subquery.step_given = step_given;
    return true;
}

static bool can_be_moved(const Expr *expr) {
    return expr->kind == EXPR_SELECTOR || expr->kind == EXPR_SUBQUERY;
}

// offset -> 'offset' operand
static bool parse_offset(Parser *parser, Expr *expr, bool *given) {
    SourceRange range = parser->token.range;
    TRY(parser_advance(parser));
    if (!can_be_moved(expr)) {
        return parser_fail(
            parser, range,
            "offset modifier must be preceded by an instant vector selector or range vector "
            "selector or a subquery");
    }
    if (*given) return parser_fail(parser, range, "offset may not be set multiple times");
    TRY(parse_duration_operand(parser, "offset", &expr->offset_ms, &expr->offset_given));
    expr->range.to = parser->last.to;
    *given = true;
    return true;
}

// Seconds since 1970; unlike a duration it may be further away than 292 years.
static bool parse_time(Parser *parser, int64_t *out) {
    Token token = parser->token;
    double seconds;
    bool number = lexer_number(token.text, &seconds);
    double ms = number ? round(seconds * 1000) : NAN;
    if (!(ms >= -9.2e15 && ms <= 9.2e15)) {
        return parser_fail(parser, token.range, "timestamp out of bounds for @ modifier: %.*s",
                           TEXT_ARG(text_slice(token.text, 0, 64)));
    }
    *out = (int64_t)ms;
    return parser_advance(parser);
}

// at -> '@' (['+' | '-'] (number | duration) | 'start' '(' ')' | 'end' '(' ')')
static bool parse_at(Parser *parser, Expr *expr) {
    SourceRange range = parser->token.range;
    TRY(parser_advance(parser));
    if (!can_be_moved(expr)) {
        return parser_fail(
            parser, range,
            "@ modifier must be preceded by an instant vector selector or range vector selector "
            "or a subquery");
    }
    if (expr->at != AT_NONE)
        return parser_fail(parser, range, "@ <timestamp> may not be set multiple times");
    if (parser_at_word(parser, "start") || parser_at_word(parser, "end")) {
        expr->at = parser_at_word(parser, "start") ? AT_START : AT_END;
        TRY(parser_advance(parser));
        TRY(parser_expect(parser, TOKEN_LEFT_PAREN, "@", "\"(\""));
        TRY(parser_expect(parser, TOKEN_RIGHT_PAREN, "@", "\")\""));
    } else {
        bool negative = parser->token.kind == TOKEN_SUB;
        if (negative || parser->token.kind == TOKEN_ADD) TRY(parser_advance(parser));
        Token token = parser->token;
        if (token.kind == TOKEN_NAME && (text_equal_ignore_case(token.text, TEXT("inf")) ||
                                         text_equal_ignore_case(token.text, TEXT("nan")))) {
            return parser_fail(parser, token.range, "timestamp out of bounds for @ modifier: %.*s",
                               TEXT_ARG(token.text));
        }
        if (token.kind == TOKEN_NUMBER) {
            TRY(parse_time(parser, &expr->at_ms));
        } else if (token.kind == TOKEN_DURATION) {
            Expr *given;
            TRY(parse_duration_operand(parser, "@", &expr->at_ms, &given));
        } else {
            return parser_unexpected(parser, "@", "timestamp");
        }
        if (negative) expr->at_ms = -expr->at_ms;
        expr->at = AT_TIME;
    }
    expr->range.to = parser->last.to;
    return true;
}

// extent -> 'anchored' | 'smoothed'
static bool parse_extent(Parser *parser, Expr *expr) {
    SourceRange range = parser->token.range;
    bool anchored = parser_at_word(parser, "anchored");
    const char *name = anchored ? "anchored" : "smoothed";
    if (expr->kind == EXPR_SUBQUERY) {
        return parser_fail(parser, range, "%s modifier is not supported for subqueries", name);
    }
    if (expr->kind != EXPR_SELECTOR) {
        return parser_fail(parser, range, "%s modifier must be preceded by a %s", name,
                           anchored ? "range vector selector"
                                    : "range vector selector or an instant vector selector");
    }
    if (anchored && !selector_has_range(expr)) {
        return parser_fail(parser, range,
                           "anchored modifier can only be used with a range vector selector");
    }
    if (expr->as.selector.extent != EXTENT_PLAIN) {
        return parser_fail(parser, range,
                           "anchored and smoothed modifiers cannot be used together, nor twice");
    }
    parser_experimental(parser, range,
                        anchored ? TEXT("the modifier anchored") : TEXT("the modifier smoothed"));
    expr->as.selector.extent = anchored ? EXTENT_ANCHORED : EXTENT_SMOOTHED;
    TRY(parser_advance(parser));
    expr->range.to = parser->last.to;
    return true;
}

// postfix -> range | offset | at | extent
bool parse_postfix(Parser *parser, Expr **expr) {
    bool offset_given = false;
    for (;;) {
        if (parser->token.kind == TOKEN_LEFT_BRACKET) {
            TRY(parse_range(parser, expr));
            offset_given = false;
        } else if (parser_at_word(parser, "offset")) {
            TRY(parse_offset(parser, *expr, &offset_given));
        } else if (parser->token.kind == TOKEN_AT) {
            TRY(parse_at(parser, *expr));
        } else if (parser_at_word(parser, "anchored") || parser_at_word(parser, "smoothed")) {
            TRY(parse_extent(parser, *expr));
        } else {
            return true;
        }
    }
}
