// Prometheus' text format, 0.0.4 and (names in quotes) 1.0.0: one line, one row.
//
//   page   -> {line '\n'} [line]
//   line   -> blanks | '#' comment | series value [time]
//   series -> name [blanks '{' pairs '}'] | '{' pairs '}'        (pairs: see scan_pairs)
//
// Blanks are spaces and tabs and may stand between any two pieces.

#include "base/limits.h"
#include "codec/number.h"
#include "ingest/scrape/exposition_parts.h"

static bool at_line_end(const Scan *scan) {
    if (scan->at == scan->end || *scan->at == '\n') return true;
    return scan->page->options.generous && *scan->at == '\r' &&
           (scan->at + 1 == scan->end || scan->at[1] == '\n');
}

static void pass_line_end(Scan *scan) {
    if (scan_is(scan, '\r')) scan->at++;
    if (scan_is(scan, '\n')) scan->at++;
}

// Up to a blank or the end of the line.
static Text take_token(Scan *scan) {
    const char *begin = scan->at, *at = begin, *end = scan->end;
    while (at < end && *at != ' ' && *at != '\t' && *at != '\n') at++;
    if (scan->page->options.generous && at > begin && at[-1] == '\r' && (at == end || *at == '\n'))
        at--;
    scan->at = at;
    return scan_since(scan, begin);
}

// ---- Comments ----

typedef enum Keyword { KEYWORD_NONE, KEYWORD_HELP, KEYWORD_TYPE } Keyword;

// Passes `#`, blanks, the keyword and at least one blank behind it.
static Keyword take_keyword(Scan *scan) {
    scan->at++;
    if (!scan_is_blank(scan)) return KEYWORD_NONE;
    scan_blanks(scan);
    Keyword keyword = scan_starts(scan, TEXT("HELP"))   ? KEYWORD_HELP
                      : scan_starts(scan, TEXT("TYPE")) ? KEYWORD_TYPE
                                                        : KEYWORD_NONE;
    if (keyword == KEYWORD_NONE) return keyword;
    scan->at += 4;
    if (!scan_is_blank(scan)) return KEYWORD_NONE;
    scan_blanks(scan);
    return keyword;
}

// Behind the name: one blank, then the text, which may have further ones. Only blanks are no text.
static Text take_text(Scan *scan) {
    Text text = scan_line(scan);
    while (scan->page->options.generous && text_ends_with(text, TEXT("\r"))) text.len--;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != ' ' && text.at[i] != '\t') return text_slice(text, 1, text.len);
    }
    return TEXT("");
}

static bool take_type(Exposition *page, Scan *scan, ExpositionRow *row, Error *err) {
    const char *begin = scan->at;
    row->kind = EXPOSITION_TYPE;
    row->text = take_text(scan);
    bool known = (begin == scan->end || *begin == ' ' || *begin == '\t' || *begin == '\n') &&
                 exposition_type_of(row->text, EXPOSITION_TEXT, &row->type);
    if (!known) {
        return scan_wrong(scan, begin, err,
                          "the type of a metric is expected here: counter, gauge, histogram, "
                          "summary or untyped, behind one blank");
    }
    page->type = row->type;
    page->family = row->name;
    return true;
}

static bool take_help(Scan *scan, ExpositionRow *row, Error *err) {
    const char *begin = scan->at;
    // A name that goes on with what no name has: nobody's help.
    bool apart = at_line_end(scan) || scan_is_blank(scan);
    row->text = take_text(scan);
    if (!apart) return true;
    row->kind = EXPOSITION_HELP;
    return text_is_utf8(row->text) ||
           scan_wrong(scan, begin, err, "the help text is not valid UTF-8");
}

// A line that begins with '#'. Of a comment, row->kind stays EXPOSITION_END.
static bool take_comment(Exposition *page, Scan *scan, Text expected, ExpositionRow *row,
                         Error *err) {
    Scan line = *scan;
    row->raw = scan_line(scan);
    row->known = text_equal(row->raw, expected);
    line.end = scan->at;
    Keyword keyword = take_keyword(&line);
    if (keyword == KEYWORD_NONE) return true;
    if (row->known && keyword == KEYWORD_HELP) {
        row->kind = EXPOSITION_HELP;
        return true;
    }
    TRY(scan_family(&line, &row->name, err));
    return keyword == KEYWORD_HELP ? take_help(&line, row, err) : take_type(page, &line, row, err);
}

// ---- Series ----

// The series expected, and nothing that would make it another: a bare name may go on, or have an
// opening brace behind blanks.
static bool take_known(Scan *scan, Text expected) {
    if (expected.len == 0 || !scan_starts(scan, expected)) return false;
    Scan behind = *scan;
    behind.at += expected.len;
    if (expected.at[expected.len - 1] != '}') {
        if (!scan_is_blank(&behind)) return false;
        Scan ahead = behind;
        scan_blanks(&ahead);
        if (scan_is(&ahead, '{')) return false;
    }
    *scan = behind;
    return true;
}

static bool take_series(Scan *scan, Text *raw, Error *err) {
    const char *begin = scan->at;
    bool named = scan_name(scan, true).len > 0;
    Scan ahead = *scan;
    scan_blanks(&ahead);
    if (scan_is(&ahead, '{')) {
        ahead.at++;
        TRY(scan_pairs(&ahead, (PairRules){.loose = true}, &named, NULL, NULL, err));
        *scan = ahead;
        if (!named) return scan_wrong(scan, begin, err, "the metric has no name");
    } else if (!named) {
        return scan_wrong(scan, begin, err, "a metric's name is expected here");
    } else if (!scan_is_blank(scan) && !at_line_end(scan)) {
        return scan_wrong(scan, scan->at, err,
                          "a character that no metric's name has; put the name in quotes within "
                          "braces: {\"the name\"} 1");
    }
    *raw = scan_since(scan, begin);
    return true;
}

static bool take_time(Scan *scan, ExpositionRow *row, Error *err) {
    const char *begin = scan->at;
    Text token = take_token(scan);
    bool sign = token.at[0] == '-' || token.at[0] == '+';
    bool allowed = !sign || (scan->page->options.generous && token.at[0] == '-');
    if (!allowed || !text_to_i64(token, &row->time_ms)) {
        return scan_wrong(scan, begin, err,
                          sign ? "the time is negative or has a sign; it is milliseconds since 1970"
                               : "the time is not a whole number of milliseconds");
    }
    row->has_time = true;
    scan_blanks(scan);
    return at_line_end(scan) ||
           scan_wrong(scan, scan->at, err, "nothing is expected behind the time");
}

static bool take_sample(Scan *scan, ExpositionRow *row, Error *err) {
    scan_blanks(scan);
    const char *begin = scan->at;
    Text token = take_token(scan);
    if (unlikely(token.len == 0)) return scan_wrong(scan, begin, err, "the value is missing");
    if (unlikely(!number_parse_f64(token, &row->value))) {
        return scan_wrong(scan, begin, err,
                          text_ends_with(token, TEXT("\r"))
                              ? "the value is not a number (the line ends in \\r\\n, not \\n)"
                              : "the value is not a number");
    }
    row->value = exposition_value(row->value);
    scan_blanks(scan);
    if (!at_line_end(scan)) TRY(take_time(scan, row, err));
    return true;
}

bool exposition_next_text(Exposition *page, Text expected, ExpositionRow *row, Error *err) {
    Scan scan = {page->at, page->body.at + page->body.len, page};
    for (;;) {
        *row = (ExpositionRow){.kind = EXPOSITION_END};
        scan_blanks(&scan);
        const char *begin = scan.at;
        if (at_line_end(&scan)) {
            if (scan.at == scan.end) break;
        } else if (*begin == '#') {
            TRY(take_comment(page, &scan, expected, row, err));
        } else {
            row->kind = EXPOSITION_SERIES;
            row->known = take_known(&scan, expected);
            if (row->known) {
                row->raw = scan_since(&scan, begin);
            } else {
                TRY(take_series(&scan, &row->raw, err));
            }
            TRY(take_sample(&scan, row, err));
        }
        TRY(scan_check_length(&scan, begin, err));
        pass_line_end(&scan);
        if (row->kind != EXPOSITION_END) break;
    }
    page->at = scan.at;
    return true;
}
