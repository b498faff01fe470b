// What parser, selector grammar and checker share. Private to promql.
#pragma once

#include "query/promql/lexer.h"
#include "query/promql/promql.h"

typedef struct Parser {
    Lexer lexer;
    Token token;       // the one in front of us
    SourceRange last;  // of the token before
    Arena *arena;
    Promql *promql;
    int depth;
    SourceRange *where;
    Error *err;
} Parser;

// Fails with "line:column: parse error: …" at `range`; returns false.
bool parser_fail(Parser *parser, SourceRange range, const char *format, ...) printf_like(3, 4);
// "unexpected <token> in <context>[, expected <expected>]".
bool parser_unexpected(Parser *parser, const char *context, const char *expected);
// What the language has and this version has not: UNSUPPORTED naming it.
bool parser_unsupported(Parser *parser, SourceRange range, const char *what);

// Notes that the query uses what Prometheus calls experimental.
void parser_experimental(Parser *parser, SourceRange range, Text what);

// Moves on. A bad token is an error when it is met.
must_use bool parser_advance(Parser *parser);
must_use bool parser_expect(Parser *parser, TokenKind kind, const char *context,
                            const char *expected);
// Is the token this word, in any case?
bool parser_at_word(const Parser *parser, const char *word);

// Records that `child` hangs below `expr`; too deep a tree is refused, because later steps recurse
// over it.
must_use bool parser_adopt(Parser *parser, Expr *expr, const Expr *child);
// Counts the nesting of what is being parsed; parser_leave undoes it.
must_use bool parser_enter(Parser *parser);
void parser_leave(Parser *parser);

Expr *parser_node(Parser *parser, ExprKind kind, uint32_t from);

// selector.c
must_use bool parse_selector(Parser *parser, const Token *name, Expr **out);
must_use bool parse_postfix(Parser *parser, Expr **expr);  // [range], [range:step], offset, @

// duration_expr.c: a duration, which may be calculated. `*given` stays NULL when the value is known
// now.
must_use bool parse_duration_expr(Parser *parser, const char *context, int64_t *ms, Expr **given);
// One operand of it, as behind `offset`, with its sign.
must_use bool parse_duration_operand(Parser *parser, const char *context, int64_t *ms,
                                     Expr **given);

// checker.c: gives every node its type.
must_use bool check_expr(Parser *parser, Expr *expr);
