// A regular expression: the literal analysis where it can answer, RE2 where it cannot.

#include "codec/regex.h"

#include "base/limits.h"
#include "codec/regex_engine.h"
#include "codec/regex_literal.h"

struct Regex {
    Arena arena;
    bool is_literal;
    LiteralPattern literal;  // when is_literal
    RegexEngine *engine;     // else
    Text prefix;
};

bool regex_open_engine(Text pattern, Regex **out, Error *err) {
    AUTO(regex_close) Regex *regex = memory_new(Regex);
    AUTO(builder_free) Builder wrapped = {0};  // not text_format, which stops at a NUL
    builder_add(&wrapped, TEXT("^(?s:"));
    builder_add(&wrapped, pattern);
    builder_add(&wrapped, TEXT(")$"));
    char reason[256];
    regex->engine = regex_engine_open(builder_text(&wrapped), (size_t)LIMIT_QUERY_REGEX_STATES,
                                      reason, sizeof reason);
    if (regex->engine == NULL) {
        return error_set(err, ERROR_BAD_INPUT, "regular expression \"%.*s\": %s",
                         (int)MIN(pattern.len, (size_t)200), pattern.at, reason);
    }
    regex->prefix = literal_prefix(pattern, &regex->arena);
    *out = TAKE(regex);
    return true;
}

bool regex_open(Text pattern, Regex **out, Error *err) {
    if (pattern.len > (size_t)LIMIT_QUERY_TEXT_BYTES) {
        return error_set(err, ERROR_BAD_INPUT,
                         "a regular expression of %zu bytes passes limit QUERY_TEXT_BYTES",
                         pattern.len);
    }
    AUTO(regex_close) Regex *regex = memory_new(Regex);
    if (!literal_analyse(pattern, &regex->arena, &regex->literal))
        return regex_open_engine(pattern, out, err);
    regex->is_literal = true;
    bool has_prefix = regex->literal.literals.count == 1 && regex->literal.before == ANY_NOTHING;
    regex->prefix = has_prefix ? regex->literal.literals.at[0] : TEXT("");
    *out = TAKE(regex);
    return true;
}

void regex_close(Regex **regex) {
    if (*regex == NULL) return;
    if ((*regex)->engine != NULL) regex_engine_close((*regex)->engine);
    arena_free(&(*regex)->arena);
    memory_free(TAKE(*regex));
}

// The text as Go sees it: U+FFFD in place of every byte that is not part of a character.
static Text as_utf8(Text text, Builder *into) {
    for (size_t at = 0; at < text.len;) {
        uint8_t lead = (uint8_t)text.at[at];
        size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        bool valid = len <= text.len - at && text_is_utf8((Text){text.at + at, len});
        builder_add(into, valid ? (Text){text.at + at, len} : TEXT("\xef\xbf\xbd"));
        at += valid ? len : 1;
    }
    return builder_text(into);
}

bool regex_matches(const Regex *regex, Text text) {
    if (regex->is_literal) return literal_matches(&regex->literal, text);
    if (regex_engine_matches(regex->engine, text)) return true;
    if (likely(text.len == 0 || text_is_utf8(text))) return false;
    AUTO(builder_free) Builder repaired = {0};
    return regex_engine_matches(regex->engine, as_utf8(text, &repaired));
}

Texts regex_literals(const Regex *regex) {
    bool finite = regex->is_literal && regex->literal.before == ANY_NOTHING &&
                  regex->literal.after == ANY_NOTHING;
    return finite ? regex->literal.literals : (Texts){NULL, 0};
}

Text regex_prefix(const Regex *regex) {
    return regex->prefix;
}

// What a match took: group 0 is the whole.
typedef struct Groups {
    const Regex *regex;
    Text at[REGEX_GROUPS_MAX];
    size_t count;
} Groups;

static bool match_groups(const Regex *regex, Text text, Groups *groups) {
    groups->regex = regex;
    if (regex->is_literal) {
        groups->at[0] = groups->at[1] = text;
        groups->count = regex->literal.is_group ? 2 : 1;
        return literal_matches(&regex->literal, text);
    }
    groups->count = MIN(regex_engine_group_count(regex->engine), (size_t)REGEX_GROUPS_MAX);
    return regex_engine_groups(regex->engine, text, groups->at, groups->count);
}

static Text group_by_name(const Groups *groups, Text name) {
    // All digits, without leading zeros, is a number; so "01" is a name, which no group has.
    uint64_t number = UINT64_MAX;
    bool is_number = text_to_u64(name, &number) && (name.len == 1 || name.at[0] != '0');
    if (!is_number && groups->regex->engine != NULL) {
        int found = regex_engine_group_named(groups->regex->engine, name);
        number = found < 0 ? UINT64_MAX : (uint64_t)found;
    } else if (!is_number) {
        number = UINT64_MAX;
    }
    return number < groups->count ? groups->at[number] : TEXT_NONE;
}

// Bytes of the letters, digits and '_' that `text` begins with.
static size_t name_len(Text text) {
    size_t at = 0;
    while (at < text.len) {
        uint8_t c = (uint8_t)text.at[at];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        bool word =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (c >= 0x80)
            word = len <= text.len - at && regex_engine_is_name((Text){text.at + at, len});
        if (!word) break;
        at += len;
    }
    return at;
}

// What stands behind a '$': a name, bare or in braces. False when neither; else `*rest` moves
// behind it.
static bool read_name(Text *rest, Text *name) {
    Text at = *rest;
    bool braces = at.len > 0 && at.at[0] == '{';
    if (braces) at = text_slice(at, 1, at.len);
    size_t len = name_len(at);
    if (len == 0 || (braces && (len == at.len || at.at[len] != '}'))) return false;
    *name = text_slice(at, 0, len);
    *rest = text_slice(at, len + (braces ? 1 : 0), at.len);
    return true;
}

bool regex_expand(const Regex *regex, Text text, Text replacement, Arena *arena, Text *out,
                  Error *err) {
    Groups groups = {0};
    AUTO(builder_free) Builder repaired = {0};
    if (!match_groups(regex, text, &groups)) {
        bool utf8 = text.len == 0 || text_is_utf8(text);
        if (regex->is_literal || utf8 || !match_groups(regex, as_utf8(text, &repaired), &groups)) {
            *out = TEXT_NONE;
            return true;
        }
    }
    // The replacement may name a long group often: the result is a label value, and bounded like a
    // query.
    AUTO(builder_free) Builder result = {0};
    Text rest = replacement, before, name;
    while (rest.len > 0 && result.len <= (size_t)LIMIT_QUERY_TEXT_BYTES) {
        ptrdiff_t dollar = text_find_char(rest, '$');
        before = dollar < 0 ? rest : text_slice(rest, 0, (size_t)dollar);
        builder_add(&result, before);
        if (dollar < 0) break;
        rest = text_slice(rest, (size_t)dollar + 1, rest.len);
        if (rest.len > 0 && rest.at[0] == '$') {
            builder_add_char(&result, '$');
            rest = text_slice(rest, 1, rest.len);
        } else if (read_name(&rest, &name)) {
            builder_add(&result, group_by_name(&groups, name));
        } else {
            builder_add_char(&result, '$');
        }
    }
    if (result.len > (size_t)LIMIT_QUERY_TEXT_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "a replacement grows beyond %d bytes (limit QUERY_TEXT_BYTES)",
                         (int)LIMIT_QUERY_TEXT_BYTES);
    }
    *out = text_copy(builder_text(&result), arena);
    return true;
}
