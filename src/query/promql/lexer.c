// Cutting a query text into tokens.

#include "query/promql/lexer.h"

#include <math.h>

#include "base/assert.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char peek(const Lexer *lexer, size_t ahead) {
    return lexer->at + ahead < lexer->source.len ? lexer->source.at[lexer->at + ahead] : '\0';
}

static void skip_space_and_comments(Lexer *lexer) {
    for (;;) {
        while (lexer->at < lexer->source.len && is_space(lexer->source.at[lexer->at])) lexer->at++;
        if (peek(lexer, 0) != '#') return;
        while (lexer->at < lexer->source.len && lexer->source.at[lexer->at] != '\n') lexer->at++;
    }
}

static Token make(const Lexer *lexer, TokenKind kind, size_t from) {
    return (Token){
        kind, text_slice(lexer->source, from, lexer->at), {(uint32_t)from, (uint32_t)lexer->at}};
}

static Token bad(Lexer *lexer, size_t from, const char *fault) {
    lexer->fault = fault;
    return make(lexer, TOKEN_BAD, from);
}

static Token lex_string(Lexer *lexer) {
    size_t from = lexer->at;
    char quote = peek(lexer, 0);
    for (lexer->at++; lexer->at < lexer->source.len; lexer->at++) {
        char c = lexer->source.at[lexer->at];
        if (c == quote) {
            lexer->at++;
            return make(lexer, TOKEN_STRING, from);
        }
        if (quote == '`') continue;
        if (c == '\n') break;
        if (c == '\\') lexer->at++;
    }
    lexer->at = MIN(lexer->at, lexer->source.len);
    return bad(lexer, from,
               quote == '`' ? "unterminated raw string" : "unterminated quoted string");
}

// The length of "ms", "s", … at this place, or 0.
static size_t unit_len(const Lexer *lexer) {
    char c = peek(lexer, 0);
    if (c == 'm' && peek(lexer, 1) == 's') return 2;
    return c == 's' || c == 'm' || c == 'h' || c == 'd' || c == 'w' || c == 'y' ? 1 : 0;
}

static void take_digits(Lexer *lexer) {
    while (is_digit(peek(lexer, 0)) || (peek(lexer, 0) == '_' && is_digit(peek(lexer, 1))))
        lexer->at++;
}

// number   -> digits ['.' digits] [('e'|'E') ['+'|'-'] digits] | '0x' hex digits
// duration -> {digits unit}
static Token lex_number_or_duration(Lexer *lexer) {
    size_t from = lexer->at;
    if (peek(lexer, 0) == '0' && (peek(lexer, 1) == 'x' || peek(lexer, 1) == 'X')) {
        lexer->at += 2;
        size_t digits = lexer->at;
        for (char c = peek(lexer, 0); is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
             c = peek(lexer, 0))
            lexer->at++;
        if (lexer->at == digits) return bad(lexer, from, "bad number or duration syntax");
    } else {
        take_digits(lexer);
        if (unit_len(lexer) > 0) {
            while (unit_len(lexer) > 0) {
                lexer->at += unit_len(lexer);
                size_t digits = lexer->at;
                while (is_digit(peek(lexer, 0))) lexer->at++;
                if (digits == lexer->at) break;
                if (unit_len(lexer) == 0) return bad(lexer, from, "bad number or duration syntax");
            }
            if (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0))) {
                return bad(lexer, from, "bad number or duration syntax");
            }
            return make(lexer, TOKEN_DURATION, from);
        }
        if (peek(lexer, 0) == '.') {
            lexer->at++;
            take_digits(lexer);
        }
        char c = peek(lexer, 0);
        size_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-' ? 2 : 1;
        if ((c == 'e' || c == 'E') && is_digit(peek(lexer, sign))) {
            lexer->at += sign;
            take_digits(lexer);
        }
    }
    if (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)) || peek(lexer, 0) == '.') {
        lexer->at++;
        return bad(lexer, from, "bad number or duration syntax");
    }
    return make(lexer, TOKEN_NUMBER, from);
}

typedef struct Mark {
    const char *text;
    TokenKind kind;
} Mark;

// Longer marks before their beginnings.
static const Mark marks[] = {
    {"==", TOKEN_EQ},
    {"=~", TOKEN_MATCH},
    {"!=", TOKEN_NE},
    {"!~", TOKEN_NOT_MATCH},
    {"<=", TOKEN_LE},
    {">=", TOKEN_GE},
    {"</", TOKEN_TRIM_UPPER},
    {">/", TOKEN_TRIM_LOWER},
    {"=", TOKEN_ASSIGN},
    {"<", TOKEN_LT},
    {">", TOKEN_GT},
    {"+", TOKEN_ADD},
    {"-", TOKEN_SUB},
    {"*", TOKEN_MUL},
    {"/", TOKEN_DIV},
    {"%", TOKEN_MOD},
    {"^", TOKEN_POW},
    {",", TOKEN_COMMA},
    {"@", TOKEN_AT},
    {"(", TOKEN_LEFT_PAREN},
    {")", TOKEN_RIGHT_PAREN},
    {"{", TOKEN_LEFT_BRACE},
    {"}", TOKEN_RIGHT_BRACE},
    {"[", TOKEN_LEFT_BRACKET},
    {"]", TOKEN_RIGHT_BRACKET},
};

static Token lex_mark(Lexer *lexer) {
    size_t from = lexer->at;
    Text rest = text_slice(lexer->source, from, lexer->source.len);
    for (size_t i = 0; i < COUNT(marks); i++) {
        Text mark = text_from_cstring(marks[i].text);
        if (!text_starts_with(rest, mark)) continue;
        lexer->at += mark.len;
        TokenKind kind = marks[i].kind;
        if (kind == TOKEN_LEFT_PAREN) lexer->parens++;
        if (kind == TOKEN_RIGHT_PAREN && lexer->parens-- == 0)
            return bad(lexer, from, "unexpected right parenthesis ')'");
        if (kind == TOKEN_LEFT_BRACE) {
            if (lexer->in_braces) return bad(lexer, from, "unexpected left brace '{'");
            lexer->in_braces = true;
        }
        if (kind == TOKEN_RIGHT_BRACE) {
            if (!lexer->in_braces) return bad(lexer, from, "unexpected right bracket '}'");
            lexer->in_braces = false;
        }
        if (kind == TOKEN_LEFT_BRACKET) {
            if (lexer->in_brackets) return bad(lexer, from, "unexpected left bracket '['");
            lexer->in_brackets = true;
        }
        if (kind == TOKEN_RIGHT_BRACKET) {
            if (!lexer->in_brackets) return bad(lexer, from, "unexpected right bracket ']'");
            lexer->in_brackets = false;
        }
        return make(lexer, kind, from);
    }
    lexer->at++;
    // A character of several bytes is named whole.
    while (((uint8_t)peek(lexer, 0) & 0xc0) == 0x80) lexer->at++;
    return bad(lexer, from, "unexpected character");
}

Token lexer_next(Lexer *lexer) {
    skip_space_and_comments(lexer);
    if (lexer->at >= lexer->source.len) {
        size_t end = lexer->source.len;
        if (lexer->in_braces)
            return bad(lexer, end, "unexpected end of input inside braces, expected \"}\"");
        if (lexer->in_brackets) return bad(lexer, end, "unclosed left bracket");
        if (lexer->parens > 0) return bad(lexer, end, "unclosed left parenthesis");
        return make(lexer, TOKEN_END, end);
    }
    char c = peek(lexer, 0);
    if (c == '"' || c == '\'' || c == '`') return lex_string(lexer);
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)))) return lex_number_or_duration(lexer);
    bool colon_in_names = !lexer->in_braces && !lexer->in_brackets;
    if (is_letter(c) || (c == ':' && colon_in_names)) {
        size_t from = lexer->at;
        while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)) ||
               (colon_in_names && peek(lexer, 0) == ':')) {
            lexer->at++;
        }
        return make(lexer, TOKEN_NAME, from);
    }
    if (c == ':') {
        lexer->at++;
        return make(lexer, TOKEN_COLON, lexer->at - 1);
    }
    return lex_mark(lexer);
}

// ---- What tokens mean ----

static bool hex_digits(Text text, size_t *at, size_t count, uint32_t *out) {
    uint32_t value = 0;
    if (text.len - *at < count) return false;
    for (size_t i = 0; i < count; i++) {
        char c = text.at[(*at)++];
        uint32_t digit = is_digit(c) ? (uint32_t)(c - '0') : (uint32_t)((c | 32) - 'a' + 10);
        if (!is_digit(c) && !((c | 32) >= 'a' && (c | 32) <= 'f')) return false;
        value = value * 16 + digit;
    }
    *out = value;
    return true;
}

static size_t put_utf8(char *to, uint32_t rune) {
    if (rune < 0x80) {
        to[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        to[0] = (char)(0xc0 | rune >> 6);
        to[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        to[0] = (char)(0xe0 | rune >> 12);
        to[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        to[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | rune >> 18);
    to[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    to[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    to[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

// One escape behind the backslash at `*at`, as in Go: \a \b \f \n \r \t \v \\ \' \" \ooo \xhh
// \uhhhh \Uhhhhhhhh.
static bool unescape(Text in, size_t *at, char quote, char *to, size_t *written) {
    static const char letters[] = "abfnrtv\\";
    static const char meanings[] = "\a\b\f\n\r\t\v\\";
    if (*at >= in.len) return false;
    char c = in.at[(*at)++];
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    if (letter != NULL) {
        to[(*written)++] = meanings[letter - letters];
        return true;
    }
    if (c == quote) {
        to[(*written)++] = c;
        return true;
    }
    uint32_t value;
    if (c == 'x') {
        if (!hex_digits(in, at, 2, &value)) return false;
        to[(*written)++] = (char)value;
        return true;
    }
    if (c == 'u' || c == 'U') {
        if (!hex_digits(in, at, c == 'u' ? 4 : 8, &value)) return false;
        if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return false;
        *written += put_utf8(to + *written, value);
        return true;
    }
    if (c >= '0' && c <= '7' && in.len - *at >= 2) {
        char second = in.at[*at], third = in.at[*at + 1];
        if (second < '0' || second > '7' || third < '0' || third > '7') return false;
        value = (uint32_t)(c - '0') * 64 + (uint32_t)(second - '0') * 8 + (uint32_t)(third - '0');
        if (value > 255) return false;
        *at += 2;
        to[(*written)++] = (char)value;
        return true;
    }
    return false;
}

bool lexer_unquote(Text quoted, Arena *arena, Text *out, Error *err) {
    assert(quoted.len >= 2);
    char quote = quoted.at[0];
    Text in = text_slice(quoted, 1, quoted.len - 1);
    if (quote == '`' || text_find_char(in, '\\') < 0) {
        *out = in;
        return true;
    }
    char *to = arena_push_array_raw(arena, char,
                                    in.len + 4);  // an escape is never shorter than what it means
    size_t written = 0;
    for (size_t at = 0; at < in.len;) {
        char c = in.at[at++];
        if (c != '\\') {
            to[written++] = c;
        } else if (!unescape(in, &at, quote, to, &written)) {
            return error_set(err, ERROR_BAD_INPUT,
                             "invalid syntax in a quoted string: unknown escape");
        }
    }
    *out = (Text){to, written};
    return true;
}

bool lexer_number(Text text, double *out) {
    if (text.len > 2 && text.at[0] == '0' && (text.at[1] | 32) == 'x') {
        double value = 0;
        for (size_t i = 2; i < text.len; i++) {
            char c = text.at[i];
            value = value * 16 + (is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
        }
        *out = value;
        return text.len <= 2 + 16;
    }
    if (text_find_char(text, '_') < 0) return text_to_f64(text, out);
    char digits[512];
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < sizeof digits; i++) {
        if (text.at[i] != '_') digits[len++] = text.at[i];
    }
    return text_to_f64((Text){digits, len}, out);
}

Text lexer_describe(Token token, Arena *arena) {
    Text text = text_slice(token.text, 0, 64);
    switch (token.kind) {
        case TOKEN_END:
            return TEXT("end of input");
        case TOKEN_NAME:
            return text_format(arena, "identifier \"%.*s\"", TEXT_ARG(text));
        case TOKEN_NUMBER:
            return text_format(arena, "number \"%.*s\"", TEXT_ARG(text));
        case TOKEN_DURATION:
            return text_format(arena, "duration \"%.*s\"", TEXT_ARG(text));
        case TOKEN_STRING:
            return text_format(arena, "string %.*s", TEXT_ARG(text));
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
        case TOKEN_MATCH:
        case TOKEN_NOT_MATCH:
            return text_format(arena, "<op:%.*s>", TEXT_ARG(text));
        case TOKEN_BAD:
        case TOKEN_LEFT_PAREN:
        case TOKEN_RIGHT_PAREN:
        case TOKEN_LEFT_BRACE:
        case TOKEN_RIGHT_BRACE:
        case TOKEN_LEFT_BRACKET:
        case TOKEN_RIGHT_BRACKET:
        case TOKEN_COMMA:
        case TOKEN_COLON:
        case TOKEN_AT:
        case TOKEN_ASSIGN:
            break;
    }
    return text_format(arena, "\"%.*s\"", TEXT_ARG(text));
}
