// What a scalar means when nobody says: null, bool and numbers as go-yaml resolves them (YAML 1.1
// with its own few departures), and writing a scalar so that it reads back.

#include <math.h>

#include "codec/yaml.h"

// ---- Null and bool ----

static bool is_one_of(Text text, const Text *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(text, words[i])) return true;
    return false;
}

// A scalar that is resolved by its looks, or that carries exactly this tag.
static bool resolves(const YamlNode *node, Text tag) {
    if (node == NULL || node->kind != YAML_SCALAR) return false;
    if (node->tag.len > 0) return text_equal(node->tag, tag);
    return node->style == YAML_PLAIN;
}

static bool text_is_null(Text text) {
    static const Text words[] = {TEXT_INIT(""), TEXT_INIT("~"), TEXT_INIT("null"),
                                 TEXT_INIT("Null"), TEXT_INIT("NULL")};
    return is_one_of(text, words, COUNT(words));
}

bool yaml_is_null(const YamlNode *node) {
    return node == NULL ||
           (resolves(node, TEXT("tag:yaml.org,2002:null")) && text_is_null(node->text));
}

static bool text_is_bool(Text text, bool *out) {
    static const Text yes[] = {TEXT_INIT("true"), TEXT_INIT("True"), TEXT_INIT("TRUE"),
                               TEXT_INIT("yes"),  TEXT_INIT("Yes"),  TEXT_INIT("YES"),
                               TEXT_INIT("on"),   TEXT_INIT("On"),   TEXT_INIT("ON"),
                               TEXT_INIT("y"),    TEXT_INIT("Y")};
    static const Text no[] = {TEXT_INIT("false"), TEXT_INIT("False"), TEXT_INIT("FALSE"),
                              TEXT_INIT("no"),    TEXT_INIT("No"),    TEXT_INIT("NO"),
                              TEXT_INIT("off"),   TEXT_INIT("Off"),   TEXT_INIT("OFF"),
                              TEXT_INIT("n"),     TEXT_INIT("N")};
    *out = is_one_of(text, yes, COUNT(yes));
    return *out || is_one_of(text, no, COUNT(no));
}

bool yaml_to_bool(const YamlNode *node, bool *out) {
    bool value;
    if (!resolves(node, TEXT("tag:yaml.org,2002:bool")) || !text_is_bool(node->text, &value))
        return false;
    *out = value;
    return true;
}

// ---- Numbers ----

enum { NUMBER_BYTES_MAX = 64 };

// Without `_` between digits; false when it is too long to be a number.
static bool without_underscores(Text text, char *into, Text *out) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '_') continue;
        if (len == NUMBER_BYTES_MAX) return false;
        into[len++] = text.at[i];
    }
    *out = (Text){into, len};
    return len > 0;
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

static int base_of(Text *digits) {
    if (digits->len < 2 || digits->at[0] != '0') return 10;
    char letter = digits->at[1];
    int base = letter == 'x' || letter == 'X'   ? 16
               : letter == 'b' || letter == 'B' ? 2
               : letter == 'o' || letter == 'O' ? 8
                                                : 0;
    *digits = text_slice(*digits, base == 0 ? 1 : 2, digits->len);
    return base == 0 ? 8 : base;  // 017 is fifteen in YAML 1.1
}

static bool whole_number(Text text, bool *negative, uint64_t *out) {
    *negative = text.len > 0 && text.at[0] == '-';
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+'))
        text = text_slice(text, 1, text.len);
    int base = base_of(&text);
    uint64_t value = 0;
    if (text.len == 0) return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.at[i]);
        if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static bool text_is_float(Text text, double *out) {
    static const Text infinite[] = {TEXT_INIT(".inf"), TEXT_INIT(".Inf"), TEXT_INIT(".INF")};
    static const Text nan_words[] = {TEXT_INIT(".nan"), TEXT_INIT(".NaN"), TEXT_INIT(".NAN")};
    bool sign = text.len > 0 && (text.at[0] == '-' || text.at[0] == '+');
    Text behind = sign ? text_slice(text, 1, text.len) : text;
    if (is_one_of(behind, infinite, COUNT(infinite))) {
        *out = text.at[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (is_one_of(text, nan_words, COUNT(nan_words))) {
        *out = (double)NAN;
        return true;
    }
    // Digits, a point, an exponent: no words and no hexadecimal floats.
    bool digits = false;
    for (size_t i = 0; i < behind.len; i++) {
        char c = behind.at[i];
        bool exponent = (c == 'e' || c == 'E') && digits;
        bool exponent_sign =
            (c == '-' || c == '+') && i > 0 && (behind.at[i - 1] == 'e' || behind.at[i - 1] == 'E');
        digits = digits || (c >= '0' && c <= '9');
        if (!(c >= '0' && c <= '9') && c != '.' && !exponent && !exponent_sign) return false;
    }
    return digits && text_to_f64(text, out);
}

static bool number_text(const YamlNode *node, Text tag, char *into, Text *out) {
    return resolves(node, tag) && without_underscores(node->text, into, out);
}

// A whole number may be written as a float (1e+3), as go-yaml takes it.
static bool read_whole(const YamlNode *node, bool *negative, uint64_t *out) {
    char buffer[NUMBER_BYTES_MAX];
    Text text;
    double number;
    if (!number_text(node, TEXT("tag:yaml.org,2002:int"), buffer, &text)) return false;
    if (whole_number(text, negative, out)) return true;
    if (!text_is_float(text, &number) || number != trunc(number) || fabs(number) >= 0x1p63)
        return false;
    *negative = number < 0;
    *out = (uint64_t)fabs(number);
    return true;
}

bool yaml_to_u64(const YamlNode *node, uint64_t *out) {
    bool negative;
    uint64_t value;
    if (!read_whole(node, &negative, &value) || (negative && value > 0)) return false;
    *out = value;
    return true;
}

bool yaml_to_i64(const YamlNode *node, int64_t *out) {
    bool negative;
    uint64_t value;
    if (!read_whole(node, &negative, &value)) return false;
    if (negative ? value > (uint64_t)INT64_MAX + 1 : value > (uint64_t)INT64_MAX) return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool yaml_to_f64(const YamlNode *node, double *out) {
    char buffer[NUMBER_BYTES_MAX];
    Text text;
    bool negative;
    uint64_t whole;
    if (!number_text(node, TEXT("tag:yaml.org,2002:float"), buffer, &text) &&
        !number_text(node, TEXT("tag:yaml.org,2002:int"), buffer, &text))
        return false;
    if (text_is_float(text, out)) return true;
    if (!whole_number(text, &negative, &whole)) return false;
    *out = negative ? -(double)whole : (double)whole;
    return true;
}

// ---- Emptiness ----

bool yaml_is_empty(const YamlNode *node) {
    if (yaml_is_null(node)) return true;
    switch (node->kind) {
        case YAML_SCALAR:
            return false;
        case YAML_LIST:
            for (size_t i = 0; i < node->count; i++)
                if (node->items[i]->kind != YAML_MAP || !yaml_is_empty(node->items[i]))
                    return false;
            return true;
        case YAML_MAP:
            for (size_t i = 0; i < node->count; i++)
                if (!yaml_is_empty(node->pairs[i].value)) return false;
            return true;
    }
    return false;
}

// ---- Writing ----

// Bytes that a YAML reader refuses raw, or takes for the end of a line: control characters of C1,
// U+2028, U+2029, and what stands from U+FEFF on in the basic plane.
static size_t special_bytes(Text rest) {
    const uint8_t *at = (const uint8_t *)rest.at;
    if (rest.len >= 2 && at[0] == 0xc2 && at[1] < 0xa0) return 2;
    if (rest.len >= 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9))
        return 3;
    if (rest.len >= 3 && at[0] == 0xef &&
        ((at[1] == 0xbb && at[2] == 0xbf) || (at[1] == 0xbf && at[2] >= 0xbe)))
        return 3;
    return 0;
}

void yaml_print_quoted(Text text, Builder *out) {
    builder_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        size_t special = special_bytes(text_slice(text, i, text.len));
        if (special > 0) {
            uint32_t code = special == 2 ? (uint32_t)(c & 0x1f) : (uint32_t)(c & 0x0f);
            for (size_t more = 1; more < special; more++)
                code = code << 6 | ((uint8_t)text.at[i + more] & 0x3f);
            builder_addf(out, "\\u%04x", code);
            i += special - 1;
        } else if (c == '\n') {
            builder_add(out, TEXT("\\n"));
        } else if (c < 0x20 || c == 0x7f) {
            builder_addf(out, "\\x%02x", c);
        } else {
            if (c == '"' || c == '\\') builder_add_char(out, '\\');
            builder_add_char(out, (char)c);
        }
    }
    builder_add_char(out, '"');
}

// Words that nobody can take for anything but text: of safe characters, no number, null or bool.
static bool is_plain(Text text) {
    bool flag;
    char buffer[NUMBER_BYTES_MAX];
    Text digits;
    double number;
    bool negative;
    uint64_t whole;
    if (text_is_null(text) || text_is_bool(text, &flag) || text.len > 200) return false;
    bool digit_first = text.at[0] >= '0' && text.at[0] <= '9';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '/';
        bool inside = c == '.' || (!digit_first && (c == '-' || c == '@' || c == '+'));
        bool colon = c == ':' && !digit_first && i + 1 < text.len;
        if (!word && !(i > 0 && (inside || colon))) return false;
    }
    if (!without_underscores(text, buffer, &digits)) return text.len > NUMBER_BYTES_MAX;
    return !text_is_float(digits, &number) && !whole_number(digits, &negative, &whole);
}

void yaml_print_text(Text text, Builder *out) {
    if (is_plain(text)) {
        builder_add(out, text);
    } else {
        yaml_print_quoted(text, out);
    }
}
