// The words of PromQL: tokens are views into the source, made one at a time.
//
// Private to promql. A token that cannot be made is TOKEN_BAD with the reason in the lexer's
// `fault`.
#pragma once

#include "query/promql/ast.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_BAD,
    TOKEN_NAME,  // letters, digits, _ and (outside braces and brackets) :
    TOKEN_NUMBER,
    TOKEN_DURATION,  // 5m, 1h30m
    TOKEN_STRING,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_TRIM_UPPER,  // </
    TOKEN_TRIM_LOWER,  // >/
    TOKEN_ASSIGN,
    TOKEN_MATCH,
    TOKEN_NOT_MATCH,  // = =~ !~
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Text text;  // as written
    SourceRange range;
} Token;

typedef struct Lexer {
    Text source;
    size_t at;
    int parens;
    bool in_braces, in_brackets;
    const char *fault;  // of the last TOKEN_BAD
} Lexer;

Token lexer_next(Lexer *lexer);

// The content of a string token; BAD_INPUT when an escape is malformed.
must_use bool lexer_unquote(Text quoted, Arena *arena, Text *out, Error *err);
// The value of a number token: decimal, 0x…, Inf, NaN.
must_use bool lexer_number(Text text, double *out);
// "unexpected …" wants to say what: `identifier "x"`, `number "2"`, `end of input`.
Text lexer_describe(Token token, Arena *arena);
