// Reading one line, from left to right.

#include "cli/push_line.h"

#include "base/limits.h"

typedef struct Scan {
    Text text;
    size_t at;
    Arena *arena;
} Scan;

static bool wrong(const Scan *scan, Error *err, const char *what) {
    return error_set(err, ERROR_BAD_INPUT, "column %zu: %s", scan->at + 1, what);
}

static char peek(const Scan *scan) {
    return scan->at < scan->text.len ? scan->text.at[scan->at] : '\0';
}

static void skip_blanks(Scan *scan) {
    while (peek(scan) == ' ' || peek(scan) == '\t') scan->at++;
}

static bool take_char(Scan *scan, char c) {
    skip_blanks(scan);
    if (peek(scan) != c || scan->at == scan->text.len) return false;
    scan->at++;
    return true;
}

static Text take_word(Scan *scan, bool colon_allowed) {
    size_t start = scan->at;
    for (; scan->at < scan->text.len; scan->at++) {
        char c = scan->text.at[scan->at];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (colon_allowed && c == ':');
        if (!letter && !(scan->at > start && c >= '0' && c <= '9')) break;
    }
    return text_slice(scan->text, start, scan->at);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Behind a backslash. The byte, or -1.
static int take_escape(Scan *scan) {
    char c = peek(scan);
    if (scan->at == scan->text.len) return -1;
    scan->at++;
    switch (c) {
        case 'n':
            return '\n';
        case 't':
            return '\t';
        case 'r':
            return '\r';
        case '"':
        case '\\':
            return c;
        case 'x': {
            if (scan->text.len - scan->at < 2) return -1;
            int high = hex_digit(scan->text.at[scan->at]),
                low = hex_digit(scan->text.at[scan->at + 1]);
            scan->at += 2;
            return high < 0 || low < 0 ? -1 : high * 16 + low;
        }
        default:
            return -1;
    }
}

// The opening quote is behind. A view where nothing was escaped.
static bool take_quoted(Scan *scan, Text *out, Error *err) {
    size_t start = scan->at;
    while (scan->at < scan->text.len && peek(scan) != '"' && peek(scan) != '\\') scan->at++;
    if (peek(scan) == '"' && scan->at < scan->text.len) {
        *out = text_slice(scan->text, start, scan->at++);
        return true;
    }
    AUTO(builder_free) Builder decoded = {0};
    builder_add(&decoded, text_slice(scan->text, start, scan->at));
    while (scan->at < scan->text.len) {
        char c = scan->text.at[scan->at++];
        if (c == '"') {
            *out = text_copy(builder_text(&decoded), scan->arena);
            return true;
        }
        if (c == '\\') {
            int byte = take_escape(scan);
            if (byte < 0)
                return wrong(scan, err,
                             "an escape that is not known; there are \\\\ \\\" \\n \\t \\r \\xHH");
            c = (char)byte;
        }
        builder_add_char(&decoded, c);
    }
    return wrong(scan, err, "the closing quote is missing");
}

static bool add_label(Scan *scan, PushLine *out, Text name, Text value, Error *err) {
    if (out->labels.count > (size_t)LIMIT_SERIES_LABELS) {
        return error_set(err, ERROR_TOO_LARGE, "more labels than the limit SERIES_LABELS (%lld)",
                         (long long)LIMIT_SERIES_LABELS);
    }
    *array_add_on(scan->arena, &out->labels) = (Label){name, value};
    return true;
}

// Behind '{'. A quoted text without '=' is the metric's name, once.
static bool take_pairs(Scan *scan, PushLine *out, bool named, Error *err) {
    for (;;) {
        if (take_char(scan, '}')) return true;
        bool quoted = take_char(scan, '"');
        Text name = TEXT_NONE, value = TEXT_NONE;
        if (quoted) {
            TRY(take_quoted(scan, &name, err));
        } else {
            name = take_word(scan, false);
        }
        if (name.len == 0) return wrong(scan, err, "a label's name is expected here");
        if (take_char(scan, '=')) {
            if (!take_char(scan, '"'))
                return wrong(scan, err, "a label's value in quotes is expected here");
            TRY(take_quoted(scan, &value, err));
            TRY(add_label(scan, out, name, value, err));
        } else if (quoted && !named) {
            named = true;
            TRY(add_label(scan, out, LABEL_NAME, name, err));
        } else {
            return wrong(scan, err, "'=' is expected behind a label's name");
        }
        if (!take_char(scan, ',') && !(peek(scan) == '}' && scan->at < scan->text.len)) {
            return wrong(scan, err, "',' or '}' is expected behind a label");
        }
    }
}

static Text take_token(Scan *scan) {
    skip_blanks(scan);
    size_t start = scan->at;
    while (scan->at < scan->text.len && peek(scan) != ' ' && peek(scan) != '\t') scan->at++;
    return text_slice(scan->text, start, scan->at);
}

static bool take_numbers(Scan *scan, PushLine *out, Error *err) {
    skip_blanks(scan);
    size_t start = scan->at;
    Text value = take_token(scan);
    if (value.len == 0) return wrong(scan, err, "the value is missing");
    if (!text_to_f64(value, &out->value)) {
        scan->at = start;
        return wrong(scan, err, "the value is not a number");
    }
    skip_blanks(scan);
    start = scan->at;
    Text time = take_token(scan);
    out->has_time = time.len > 0;
    if (out->has_time && !text_to_i64(time, &out->time_ms)) {
        scan->at = start;
        return wrong(scan, err, "the time is not a whole number of milliseconds");
    }
    skip_blanks(scan);
    if (scan->at < scan->text.len) return wrong(scan, err, "nothing is expected behind the time");
    return true;
}

bool push_line_parse(Text line, Arena *arena, PushLine *out, Error *err) {
    *out = (PushLine){0};
    if (text_ends_with(line, TEXT("\r"))) line.len--;
    Scan scan = {.text = line, .arena = arena};
    skip_blanks(&scan);
    if (scan.at == line.len || peek(&scan) == '#') return true;
    Text name = take_word(&scan, true);
    if (name.len > 0) TRY(add_label(&scan, out, LABEL_NAME, name, err));
    size_t behind_name = scan.at;
    bool braces = take_char(&scan, '{');
    if (name.len == 0 && !braces) return wrong(&scan, err, "a metric's name is expected here");
    if (braces) TRY(take_pairs(&scan, out, name.len > 0, err));
    bool named = false;
    for (size_t i = 0; i < out->labels.count; i++)
        named = named || text_equal(out->labels.at[i].name, LABEL_NAME);
    if (!named) return wrong(&scan, err, "the metric has no name");
    if (!braces && scan.at == behind_name && scan.at < line.len) {
        return wrong(&scan, err,
                     "a character that no metric's name has; put the name in quotes within braces: "
                     "{\"the name\"} 1");
    }
    out->has_sample = true;
    return take_numbers(&scan, out, err);
}
