// The literal analysis: reading a pattern of the simple family, and answering for it.

#include "codec/regex_literal.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/assert.h"

enum { LITERALS_SCANNED_MAX = 8 };  // beyond it a hash table is faster than comparing in turn

typedef ARRAY(Text) TextArray;

// Characters that mean something in a pattern. '{', '}' and ']' may stand for themselves, but when
// they do is for RE2 to say.
static bool is_meta(char c) {
    return c != '\0' && strchr("\\.+*?()|[]{}^$", c) != NULL;
}

// A backslash before ASCII punctuation means the punctuation; before anything else it is for RE2.
static bool is_escapable(char c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`' && c != '_') ||
           (c >= '{' && c <= '~');
}

// Reads literal characters from `*at` up to a meta character, unescaped onto `into`.
static size_t read_literal(Text pattern, size_t *at, char *into) {
    size_t len = 0;
    while (*at < pattern.len) {
        char c = pattern.at[*at];
        if (c == '\\' && *at + 1 < pattern.len && is_escapable(pattern.at[*at + 1])) {
            into[len++] = pattern.at[*at + 1];
            *at += 2;
        } else if (!is_meta(c)) {
            into[len++] = c;
            (*at)++;
        } else {
            break;
        }
    }
    return len;
}

// `.*` or `.+`, not followed by something that changes its meaning.
static LiteralAny read_any(Text pattern, size_t *at) {
    if (pattern.len - *at < 2 || pattern.at[*at] != '.') return ANY_NOTHING;
    char c = pattern.at[*at + 1];
    if (c != '*' && c != '+') return ANY_NOTHING;
    *at += 2;
    return c == '*' ? ANY_STAR : ANY_PLUS;
}

// alternative -> ['^'] [any] literal [any] ['$'], up to '|' or the end
static bool read_alternative(Text pattern, size_t *at, Arena *arena, LiteralPattern *out,
                             Text *literal) {
    if (*at < pattern.len && pattern.at[*at] == '^') (*at)++;
    out->before = read_any(pattern, at);
    char *into = arena_push_raw(arena, pattern.len - *at + 1, 1);
    *literal = (Text){into, read_literal(pattern, at, into)};
    out->after = read_any(pattern, at);
    // `.*.*` and its like are rare and have rules of their own.
    if (literal->len == 0 && out->before != ANY_NOTHING && out->after != ANY_NOTHING) return false;
    if (*at < pattern.len && pattern.at[*at] == '$') (*at)++;
    return *at == pattern.len || pattern.at[*at] == '|';
}

static int compare(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

// FNV-1a: the literals are the caller's own, and a slow lookup harms only the one who wrote them.
static uint64_t literal_hash(Text text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (uint8_t)text.at[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static void make_slots(LiteralPattern *out, Arena *arena) {
    size_t slots = 16;
    while (slots < out->literals.count * 2) slots *= 2;
    out->slots = arena_push_array(arena, uint32_t, slots);
    out->slot_count = slots;
    for (size_t i = 0; i < out->literals.count; i++) {
        size_t slot = literal_hash(out->literals.at[i]) & (slots - 1);
        while (out->slots[slot] != 0) slot = (slot + 1) & (slots - 1);
        out->slots[slot] = (uint32_t)i + 1;
    }
}

static void set_literals(TextArray *found, Arena *arena, LiteralPattern *out) {
    qsort(found->at, found->count, sizeof *found->at, compare);
    size_t unique = 0;
    for (size_t i = 0; i < found->count; i++) {
        if (unique == 0 || !text_equal(found->at[unique - 1], found->at[i]))
            found->at[unique++] = found->at[i];
    }
    out->literals = (Texts){found->at, unique};
    if (unique > LITERALS_SCANNED_MAX) make_slots(out, arena);
}

// "(…)", "(?:…)" and "^(…)$" around the whole. That the parentheses belong to each other is seen
// later: a second pair is a meta character, which ends the analysis.
static Text unwrap(Text pattern, bool *is_group) {
    if (text_starts_with(pattern, TEXT("^("))) pattern = text_slice(pattern, 1, pattern.len);
    if (text_ends_with(pattern, TEXT(")$"))) pattern.len--;
    bool wrapped = pattern.len >= 2 && pattern.at[0] == '(' && pattern.at[pattern.len - 1] == ')';
    *is_group = false;
    if (!wrapped) return pattern;
    Text inner = text_slice(pattern, 1, pattern.len - 1);
    if (text_starts_with(inner, TEXT("?:"))) return text_slice(inner, 2, inner.len);
    *is_group = true;
    return inner;
}

bool literal_analyse(Text pattern, Arena *arena, LiteralPattern *out) {
    // A broken byte in a text counts as U+FFFD: then only RE2's road compares characters.
    if (pattern.len > 0 &&
        (!text_is_utf8(pattern) || text_find(pattern, TEXT("\xef\xbf\xbd")) >= 0))
        return false;
    *out = (LiteralPattern){0};
    Text inner = unwrap(pattern, &out->is_group);
    // A backslash before the last parenthesis makes it a literal one: `(a\)` is an error.
    if (inner.len != pattern.len && inner.len > 0 && inner.at[inner.len - 1] == '\\') return false;
    TextArray found = {0};
    size_t at = 0;
    for (;;) {
        if (!read_alternative(inner, &at, arena, out, array_add_on(arena, &found))) return false;
        bool any = out->before != ANY_NOTHING || out->after != ANY_NOTHING;
        if (any && (found.count > 1 || at < inner.len)) return false;
        if (at == inner.len) break;
        at++;  // '|'
    }
    set_literals(&found, arena, out);
    return true;
}

static bool is_one_of(const LiteralPattern *pattern, Text text) {
    Texts literals = pattern->literals;
    if (pattern->slot_count == 0) {
        for (size_t i = 0; i < literals.count; i++) {
            if (text_equal(literals.at[i], text)) return true;
        }
        return false;
    }
    size_t mask = pattern->slot_count - 1;
    for (size_t slot = literal_hash(text) & mask; pattern->slots[slot] != 0;
         slot = (slot + 1) & mask) {
        if (text_equal(literals.at[pattern->slots[slot] - 1], text)) return true;
    }
    return false;
}

bool literal_matches(const LiteralPattern *pattern, Text text) {
    size_t before_min = pattern->before == ANY_PLUS ? 1 : 0;
    size_t after_min = pattern->after == ANY_PLUS ? 1 : 0;
    if (pattern->before == ANY_NOTHING && pattern->after == ANY_NOTHING)
        return is_one_of(pattern, text);

    // Where a literal stands, a character begins and, behind it, another; so counting bytes is
    // enough to know that `.+` has one, whatever the text is made of.
    Text literal = pattern->literals.at[0];
    if (text.len < literal.len + before_min + after_min) return false;
    if (pattern->before == ANY_NOTHING) return text_starts_with(text, literal);
    if (pattern->after == ANY_NOTHING) return text_ends_with(text, literal);
    return text_find(text_slice(text, before_min, text.len - after_min), literal) >= 0;
}

// Moves `*at` from the '[' of a character class to its ']'. False when that cannot be found.
static bool skip_class(Text pattern, size_t *at) {
    size_t i = *at + 1;
    if (i < pattern.len && pattern.at[i] == '^') i++;
    if (i < pattern.len && pattern.at[i] == ']') i++;  // the first one stands for itself
    for (; i < pattern.len && pattern.at[i] != ']'; i++) {
        if (pattern.at[i] == '\\') i++;
        if (i + 1 < pattern.len && pattern.at[i] == '[' && pattern.at[i + 1] == ':') {
            ptrdiff_t end = text_find(text_slice(pattern, i + 2, pattern.len), TEXT(":]"));
            if (end < 0) return false;
            i += 2 + (size_t)end + 1;
        }
    }
    *at = i;
    return i < pattern.len;
}

// True when nothing in the pattern lets a match begin in another way than its first characters say:
// no '|' but within parentheses, and parentheses that are closed by their own. Doubtful patterns
// are a no.
static bool begins_one_way(Text pattern) {
    size_t depth = 0;
    for (size_t at = 0; at < pattern.len; at++) {
        char c = pattern.at[at];
        if (c == '\\') {
            at++;
            if (at < pattern.len && (pattern.at[at] == 'Q' || pattern.at[at] == 'E')) return false;
        } else if (c == '(') {
            depth++;
        } else if (c == '[') {
            if (!skip_class(pattern, &at)) return false;
        } else if ((c == ')' && depth-- == 0) || (c == '|' && depth == 0)) {
            return false;
        }
    }
    return true;
}

Text literal_prefix(Text pattern, Arena *arena) {
    if (pattern.len == 0 || !text_is_utf8(pattern) || text_find(pattern, TEXT("\xef\xbf\xbd")) >= 0)
        return TEXT("");
    if (!begins_one_way(pattern)) return TEXT("");
    char *into = arena_push_raw(arena, pattern.len, 1);
    size_t at = pattern.at[0] == '^' ? 1 : 0;
    Text prefix = {into, read_literal(pattern, &at, into)};
    // A repetition that may be none takes the last character away.
    bool optional =
        at < pattern.len && strchr("*?{", pattern.at[at]) != NULL && pattern.at[at] != '\0';
    if (optional) {
        while (prefix.len > 0 && ((uint8_t)prefix.at[prefix.len - 1] & 0xc0) == 0x80) prefix.len--;
        if (prefix.len > 0) prefix.len--;
    }
    return prefix;
}
