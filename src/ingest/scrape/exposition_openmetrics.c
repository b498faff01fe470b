// OpenMetrics text, 1.0 and 0.0.1, as strict as Prometheus reads it: exactly one space between
// pieces and none elsewhere, no empty lines, no comments, `# EOF` at the end.
//
//   page     -> {line} '# EOF' ['\n']
//   line     -> '# ' ('TYPE' | 'HELP' | 'UNIT') ' ' name ' ' text '\n'
//             | series ' ' value [' ' seconds] [' # {' pairs '} ' value [' ' seconds]] '\n'

#include <math.h>

#include "codec/number.h"
#include "ingest/scrape/exposition_parts.h"

static const char no_end[] = "the page does not end with \"# EOF\"; it may have been cut off";

// ---- Metadata ----

static bool take_type(Exposition *page, Scan *scan, ExpositionRow *row, Error *err) {
    if (!exposition_type_of(row->text, EXPOSITION_OPENMETRICS, &row->type)) {
        return scan_wrong(scan, row->text.at, err,
                          "the type of a metric is expected here: counter, gauge, histogram, "
                          "gaugehistogram, summary, info, stateset or unknown");
    }
    page->type = row->type;
    page->family = row->name;
    return true;
}

static bool check_unit(const Scan *scan, const ExpositionRow *row, Error *err) {
    size_t unit = row->text.len;
    bool fits = unit == 0 || (text_ends_with(row->name, row->text) && row->name.len > unit &&
                              row->name.at[row->name.len - unit - 1] == '_');
    return fits || scan_wrong(scan, row->text.at, err,
                              "the metric's name does not end in an underscore and its unit");
}

// Behind "# ".
static bool take_metadata(Exposition *page, Scan *scan, ExpositionRow *row, Error *err) {
    static const struct {
        Text keyword;
        ExpositionKind kind;
    } rows[] = {
        {TEXT_INIT("TYPE "), EXPOSITION_TYPE},
        {TEXT_INIT("HELP "), EXPOSITION_HELP},
        {TEXT_INIT("UNIT "), EXPOSITION_UNIT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (scan_starts(scan, rows[i].keyword)) row->kind = rows[i].kind;
    }
    if (row->kind == EXPOSITION_END) {
        return scan_wrong(scan, scan->at, err,
                          "TYPE, HELP, UNIT or EOF is expected behind \"# \"; there are no other "
                          "comments");
    }
    if (row->known && row->kind != EXPOSITION_TYPE) return true;
    scan->at += 5;
    TRY(scan_family(scan, &row->name, err));
    if (!scan_is(scan, ' '))
        return scan_wrong(scan, scan->at, err, "a space is expected behind the metric's name");
    scan->at++;
    row->text = scan_line(scan);
    if (row->kind == EXPOSITION_TYPE) return take_type(page, scan, row, err);
    if (row->kind == EXPOSITION_UNIT) return check_unit(scan, row, err);
    return text_is_utf8(row->text) ||
           scan_wrong(scan, row->text.at, err, "the help text is not valid UTF-8");
}

// A line that begins with '#'. Behind `# EOF` row->kind stays EXPOSITION_END.
static bool take_hash(Exposition *page, Scan *scan, Text expected, ExpositionRow *row, Error *err) {
    const char *begin = scan->at;
    Scan line = *scan;
    row->raw = scan_line(scan);
    row->known = text_equal(row->raw, expected);
    bool whole = scan->at < scan->end;
    line.end = scan->at;
    if (scan_starts(&line, TEXT("# EOF"))) {
        scan->at = begin + 5;
        if (scan_is(scan, '\n')) scan->at++;
        return scan->at == scan->end ||
               scan_wrong(scan, scan->at, err, "nothing is expected behind \"# EOF\"");
    }
    if (!scan_starts(&line, TEXT("# ")))
        return scan_wrong(scan, begin + 1, err, "a space is expected behind '#'");
    line.at += 2;
    TRY(take_metadata(page, &line, row, err));
    return whole || scan_wrong(scan, scan->at, err, no_end);
}

// ---- Series ----

// Behind one space: up to the next one or the end of the line.
static bool take_number(Scan *scan, const char *missing, const char *wrong, double *out,
                        Error *err) {
    const char *begin = scan->at;
    if (!scan_is(scan, ' ')) return scan_wrong(scan, begin, err, missing);
    scan->at = ++begin;
    const char *at = begin, *end = scan->end;
    while (at < end && *at != ' ' && *at != '\n') at++;
    scan->at = at;
    if (unlikely(at == begin)) return scan_wrong(scan, begin, err, missing);
    if (unlikely(!number_parse_f64(scan_since(scan, begin), out)))
        return scan_wrong(scan, begin, err, wrong);
    return true;
}

// Seconds, which are cut to milliseconds as Prometheus does it.
static bool take_seconds(Scan *scan, int64_t *out_ms, Error *err) {
    static const char wrong[] = "the time is not a number of seconds";
    const char *begin = scan->at;
    double seconds;
    TRY(take_number(scan, wrong, wrong, &seconds, err));
    double ms = seconds * 1000;
    if (!(ms >= -9.2e18 && ms <= 9.2e18)) return scan_wrong(scan, begin + 1, err, wrong);
    *out_ms = (int64_t)ms;
    return true;
}

static bool take_value(Scan *scan, double *out, Error *err) {
    TRY(take_number(scan, "the value is missing, behind exactly one space",
                    "the value is not a number", out, err));
    *out = exposition_value(*out);
    return true;
}

static bool at_line_end(const Scan *scan) {
    return scan_is(scan, '\n') || scan->at == scan->end;
}

static bool take_exemplar(Scan *scan, ExpositionExemplar *out, LabelArray *labels, Arena *arena,
                          Error *err) {
    bool named = false;
    scan->at++;  // '{'
    TRY(scan_pairs(scan, (PairRules){.exemplar = true}, &named, labels, arena, err));
    TRY(take_value(scan, &out->value, err));
    out->has_time = !at_line_end(scan);
    return !out->has_time || take_seconds(scan, &out->time_ms, err);
}

static bool take_series(Scan *scan, Text *raw, Error *err) {
    const char *begin = scan->at;
    bool named = scan_name(scan, true).len > 0;
    if (scan_is(scan, '{')) {
        scan->at++;
        TRY(scan_pairs(scan, (PairRules){0}, &named, NULL, NULL, err));
        if (!named) return scan_wrong(scan, begin, err, "the metric has no name");
    } else if (!named) {
        return scan_wrong(scan, begin, err,
                          scan_is(scan, '\n') ? "OpenMetrics has no empty lines"
                                              : "a metric's name is expected here");
    }
    *raw = scan_since(scan, begin);
    return true;
}

static bool take_sample(Scan *scan, ExpositionRow *row, Error *err) {
    static const Text mark = TEXT_INIT(" # {");
    TRY(take_value(scan, &row->value, err));
    if (scan_is(scan, ' ') && !scan_starts(scan, mark)) {
        TRY(take_seconds(scan, &row->time_ms, err));
        row->has_time = true;
    }
    if (scan_starts(scan, mark)) {
        ExpositionExemplar exemplar;
        scan->at += mark.len - 1;
        row->exemplar = scan->at;
        row->exemplar_count = 1;
        TRY(take_exemplar(scan, &exemplar, NULL, NULL, err));
    }
    if (scan->at == scan->end) return scan_wrong(scan, scan->at, err, no_end);
    return scan_is(scan, '\n') ||
           scan_wrong(scan, scan->at, err, "the end of the line is expected here");
}

// `_created` of a family that has one: when it began, not how it is.
static bool is_created(const Exposition *page, Text raw) {
    bool has = page->type == METADATA_COUNTER || page->type == METADATA_HISTOGRAM ||
               page->type == METADATA_SUMMARY;
    ptrdiff_t brace = text_find_char(raw, '{');
    Text name = brace > 0 ? text_slice(raw, 0, (size_t)brace) : raw;
    if (brace == 0) {  // the name in quotes, at its usual place
        Text rest = text_slice(raw, 2, raw.len);
        if (!text_cut(&rest, '"', &name)) return false;
    }
    return has && text_ends_with(name, TEXT("_created"));
}

bool exposition_next_openmetrics(Exposition *page, Text expected, ExpositionRow *row, Error *err) {
    Scan scan = {page->at, page->body.at + page->body.len, page};
    for (bool again = true; again;) {
        *row = (ExpositionRow){.kind = EXPOSITION_END};
        again = false;
        const char *begin = scan.at;
        if (scan.at == scan.end) return scan_wrong(&scan, begin, err, no_end);
        if (*begin == '#') {
            TRY(take_hash(page, &scan, expected, row, err));
        } else {
            row->kind = EXPOSITION_SERIES;
            row->known = expected.len > 0 && scan_starts(&scan, expected) &&
                         expected.len < (size_t)(scan.end - begin) && begin[expected.len] == ' ';
            if (row->known) {
                scan.at += expected.len;
                row->raw = scan_since(&scan, begin);
            } else {
                TRY(take_series(&scan, &row->raw, err));
            }
            TRY(take_sample(&scan, row, err));
            again = page->options.start_times && is_created(page, row->raw);
        }
        TRY(scan_check_length(&scan, begin, err));
        if (scan_is(&scan, '\n')) scan.at++;
    }
    page->at = scan.at;
    return true;
}

bool exposition_exemplar_openmetrics(Exposition *page, const ExpositionRow *row, Arena *arena,
                                     ExpositionExemplar *out, LabelArray *labels, Error *err) {
    Scan scan = {row->exemplar, page->body.at + page->body.len, page};
    return take_exemplar(&scan, out, labels, arena, err);
}
