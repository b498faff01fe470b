// Scanning what text and OpenMetrics have in common.

#include "ingest/scrape/exposition_parts.h"

#include "base/limits.h"

enum { LETTER = 1, DIGIT = 2, COLON = 4 };

static const uint8_t classes[256] = {
    ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER, ['_'] = LETTER,
    ['0' ... '9'] = DIGIT,  [':'] = COLON,
};

bool scan_context(Exposition *page, const char *where, Error *err) {
    if (page->line_begin == NULL || where < page->line_begin) {
        page->line_begin = page->body.at;
        page->line = 1;
    }
    for (;;) {
        size_t left = (size_t)(where - page->line_begin);
        const char *newline = left == 0 ? NULL : memchr(page->line_begin, '\n', left);
        if (newline == NULL) break;
        page->line_begin = newline + 1;
        page->line++;
    }
    size_t column = 1;
    for (const char *at = page->line_begin; at < where; at++)
        column += ((uint8_t)*at & 0xc0) != 0x80;  // characters, not bytes
    return error_context(err, "line %zu, column %zu", page->line, column);
}

bool scan_wrong(const Scan *scan, const char *where, Error *err, const char *what) {
    error_set(err, ERROR_BAD_INPUT, "%s", what);
    return scan_context(scan->page, where, err);
}

bool scan_check_length(const Scan *scan, const char *begin, Error *err) {
    if (likely(scan->at - begin <= LIMIT_EXPOSITION_LINE_BYTES)) return true;
    error_set(err, ERROR_TOO_LARGE, "the line is longer than EXPOSITION_LINE_BYTES (%lld)",
              (long long)LIMIT_EXPOSITION_LINE_BYTES);
    return scan_context(scan->page, begin, err);
}

Text scan_name(Scan *scan, bool metric) {
    const char *begin = scan->at;
    unsigned first = LETTER | (metric ? COLON : 0);
    if (scan->at < scan->end && (classes[(uint8_t)*scan->at] & first) != 0) {
        do scan->at++;
        while (scan->at < scan->end && (classes[(uint8_t)*scan->at] & (first | DIGIT)) != 0);
    }
    return scan_since(scan, begin);
}

Text scan_line(Scan *scan) {
    const char *begin = scan->at;
    const char *newline = memchr(begin, '\n', (size_t)(scan->end - begin));
    scan->at = newline != NULL ? newline : scan->end;
    return scan_since(scan, begin);
}

// ---- Quotes ----

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// An escape as labels_print writes it, behind its backslash: the byte and how many characters it
// takes; 0 when it is none.
static size_t printed_escape(const char *at, const char *end, char *out) {
    if (at == end) return 0;
    static const char names[] = "nrt\"\\", bytes[] = "\n\r\t\"\\";
    const char *found = *at == '\0' ? NULL : strchr(names, *at);
    if (found != NULL) {
        *out = bytes[found - names];
        return 1;
    }
    if (*at != 'x' || end - at < 3) return 0;
    int high = hex_digit(at[1]), low = hex_digit(at[2]);
    *out = (char)(high * 16 + low);
    return high < 0 || low < 0 ? 0 : 3;
}

bool scan_quoted(Scan *scan, bool line_breaks, Text *out, Error *err) {
    const char *quote = scan->at++, *begin = scan->at, *end = scan->end;
    bool generous = scan->page->options.generous;
    for (const char *at = begin; at < end; at++) {
        if (*at == '"') {
            *out = (Text){begin, (size_t)(at - begin)};
            scan->at = at + 1;
            return true;
        }
        if (*at == '\n' && (!line_breaks || generous)) break;
        if (*at != '\\') continue;
        char byte;
        if (generous && printed_escape(at + 1, end, &byte) == 0) {
            return scan_wrong(scan, at, err,
                              "an escape that is not known; there are \\\\ \\\" \\n \\t \\r \\xHH");
        }
        at++;
        if (at < end && *at == '\n') break;
    }
    return scan_wrong(scan, quote, err, "the closing quote is missing");
}

Text exposition_unescape(Text text, bool quotes, bool generous, Arena *arena) {
    if (text.len == 0 || memchr(text.at, '\\', text.len) == NULL) return text;
    char *into = arena_push_raw(arena, text.len, 1);
    size_t len = 0;
    const char *end = text.at + text.len;
    for (const char *at = text.at; at < end; at++) {
        char byte = *at;
        if (byte == '\\' && generous) {
            at += printed_escape(at + 1, end, &byte);
        } else if (byte == '\\' && at + 1 < end) {
            // What is no escape stands for itself, backslash and all.
            char next = at[1];
            bool known = next == '\\' || next == 'n' || (next == '"' && quotes);
            if (known) {
                byte = next == 'n' ? '\n' : next;
                at++;
            }
        }
        into[len++] = byte;
    }
    return (Text){into, len};
}

// ---- Pairs ----

typedef struct PairSink {
    LabelArray *out;  // NULL: only look
    Arena *arena;
} PairSink;

static bool sink_add(const Scan *scan, PairSink sink, const char *where, Text name, Text value,
                     Error *err) {
    if (sink.out == NULL) return true;
    if ((int64_t)sink.out->count > LIMIT_SERIES_LABELS) {
        error_set(err, ERROR_TOO_LARGE, "more labels than SERIES_LABELS (%lld)",
                  (long long)LIMIT_SERIES_LABELS);
        return scan_context(scan->page, where, err);
    }
    bool generous = scan->page->options.generous;
    *array_add_on(sink.arena, sink.out) =
        (Label){exposition_unescape(name, true, generous, sink.arena),
                exposition_unescape(value, true, generous, sink.arena)};
    return true;
}

// value -> '=' '"' … '"'
static bool take_value(Scan *scan, PairRules rules, Text *out, Error *err) {
    if (!scan_is(scan, '='))
        return scan_wrong(scan, scan->at, err, "'=' is expected behind a label's name");
    scan->at++;
    if (rules.loose) scan_blanks(scan);
    const char *quote = scan->at;
    if (!scan_is(scan, '"'))
        return scan_wrong(scan, quote, err, "a label's value in quotes is expected here");
    TRY(scan_quoted(scan, rules.loose, out, err));
    return text_is_utf8(*out) || scan_wrong(scan, quote, err, "a label's value is not valid UTF-8");
}

bool scan_pairs(Scan *scan, PairRules rules, bool *named, LabelArray *out, Arena *arena,
                Error *err) {
    PairSink sink = {out, arena};
    for (;;) {
        if (rules.loose) scan_blanks(scan);
        if (scan_is(scan, '}')) {
            scan->at++;
            return true;
        }
        const char *begin = scan->at;
        bool quoted = scan_is(scan, '"');
        Text name = TEXT_NONE, value = TEXT_NONE;
        if (quoted) {
            TRY(scan_quoted(scan, true, &name, err));
        } else {
            name = scan_name(scan, false);
            if (name.len == 0)
                return scan_wrong(scan, begin, err, "a label's name or '}' is expected here");
        }
        if (rules.loose) scan_blanks(scan);
        if (quoted && !rules.exemplar && (scan_is(scan, ',') || scan_is(scan, '}'))) {
            if (*named) {
                return scan_wrong(scan, begin, err,
                                  "the metric has its name already; '=' is expected behind a "
                                  "label's name");
            }
            *named = true;
            TRY(sink_add(scan, sink, begin, LABEL_NAME, name, err));
        } else {
            TRY(take_value(scan, rules, &value, err));
            TRY(sink_add(scan, sink, begin, name, value, err));
            if (rules.loose) scan_blanks(scan);
        }
        if (scan_is(scan, ',')) {
            scan->at++;
        } else if (!scan_is(scan, '}') && !rules.loose) {
            return scan_wrong(scan, scan->at, err, "',' or '}' is expected behind a label");
        }
    }
}

// ---- Metadata ----

bool scan_family(Scan *scan, Text *out, Error *err) {
    const char *begin = scan->at;
    if (scan_is(scan, '"')) return scan_quoted(scan, true, out, err);
    *out = scan_name(scan, true);
    return out->len > 0 || scan_wrong(scan, begin, err, "a metric's name is expected here");
}

bool exposition_type_of(Text name, ExpositionFormat format, MetadataType *out) {
    static const struct {
        Text name;
        MetadataType type;
        bool text, openmetrics;
    } types[] = {
        {TEXT_INIT("counter"), METADATA_COUNTER, true, true},
        {TEXT_INIT("gauge"), METADATA_GAUGE, true, true},
        {TEXT_INIT("histogram"), METADATA_HISTOGRAM, true, true},
        {TEXT_INIT("summary"), METADATA_SUMMARY, true, true},
        {TEXT_INIT("untyped"), METADATA_UNKNOWN, true, false},
        {TEXT_INIT("unknown"), METADATA_UNKNOWN, false, true},
        {TEXT_INIT("gaugehistogram"), METADATA_GAUGE_HISTOGRAM, false, true},
        {TEXT_INIT("info"), METADATA_INFO, false, true},
        {TEXT_INIT("stateset"), METADATA_STATESET, false, true},
    };
    for (size_t i = 0; i < COUNT(types); i++) {
        bool has = format == EXPOSITION_TEXT ? types[i].text : types[i].openmetrics;
        if (!has || !text_equal(types[i].name, name)) continue;
        *out = types[i].type;
        return true;
    }
    return false;
}
