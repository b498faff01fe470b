// Pages: choosing the format, and what is read of a row on demand.

#include "ingest/scrape/exposition.h"

#include "base/assert.h"
#include "codec/number.h"
#include "codec/reader.h"
#include "ingest/scrape/exposition_parts.h"

// type -> token '/' token; behind ';' stand parameters.
static bool media_type(Text content_type, Text *out) {
    Text rest = content_type;
    if (!text_cut(&rest, ';', out)) return false;
    *out = text_trim(*out);
    ptrdiff_t slash = text_find_char(*out, '/');
    return slash > 0 && (size_t)slash + 1 < out->len && text_find_char(*out, ' ') < 0;
}

bool exposition_choose(Text content_type, ExpositionFormat fallback, ExpositionFormat *out,
                       Error *err) {
    static const struct {
        Text name;
        ExpositionFormat format;
    } known[] = {
        {TEXT_INIT("text/plain"), EXPOSITION_TEXT},
        {TEXT_INIT("application/openmetrics-text"), EXPOSITION_OPENMETRICS},
        {TEXT_INIT("application/vnd.google.protobuf"), EXPOSITION_PROTOBUF},
    };
    Text type = TEXT_NONE;
    bool whole = media_type(content_type, &type);
    for (size_t i = 0; whole && i < COUNT(known); i++) {
        if (!text_equal_ignore_case(type, known[i].name)) continue;
        *out = known[i].format;
        return true;
    }
    *out = fallback;
    if (fallback != EXPOSITION_NONE) return true;
    if (content_type.len == 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "the target does not say what format its page is in (no Content-Type); "
                         "set fallback_scrape_protocol for this job, for example to "
                         "PrometheusText0.0.4");
    }
    Text shown = text_slice(content_type, 0, 100);
    return error_set(err, ERROR_BAD_INPUT,
                     "the target's page is \"%.*s\", which is no exposition format; is the path "
                     "right? If it is, set fallback_scrape_protocol for this job",
                     TEXT_ARG(shown));
}

ExpositionFormat exposition_guess(Text body) {
    // A family begins with its length and the tag of its name, which happens to be a line break.
    Reader reader = reader_begin(text_bytes(body));
    uint64_t len = reader_varint(&reader);
    bool text = body.len == 0 || text_find_char(TEXT("\n\r\t #"), body.at[0]) >= 0;
    if (!text && !reader.failed && len <= reader_left(&reader) && reader_u8(&reader) == 0x0a)
        return EXPOSITION_PROTOBUF;
    return text_ends_with(text_trim(body), TEXT("\n# EOF")) ||
                   text_equal(text_trim(body), TEXT("# EOF"))
               ? EXPOSITION_OPENMETRICS
               : EXPOSITION_TEXT;
}

// A metric's rows stand together, `_created` among them, so that one of them looks a few rows ahead
// for all. Where a page is not like that, its rows share this many looks, and each brings some
// more.
enum { AHEAD_ROWS = 4096, AHEAD_ROWS_MORE = 4 };

void exposition_begin(Exposition *page, ExpositionFormat format, ExpositionOptions options,
                      Text body) {
    assert(format != EXPOSITION_NONE);
    if (body.at == NULL) body = TEXT("");
    *page = (Exposition){
        .format = format,
        .options = options,
        .body = body,
        .at = body.at,
        .protobuf = page->protobuf,
        .ahead = {.metric = page->ahead.metric, .left = AHEAD_ROWS},
    };
    if (format != EXPOSITION_PROTOBUF) return;
    if (page->protobuf == NULL) page->protobuf = exposition_protobuf_new();
    exposition_protobuf_begin(page->protobuf);
}

void exposition_free(Exposition *page) {
    exposition_protobuf_free(&page->protobuf);
    builder_free(&page->ahead.metric);
    *page = (Exposition){0};
}

bool exposition_next(Exposition *page, Text expected, ExpositionRow *row, Error *err) {
    switch (page->format) {
        case EXPOSITION_TEXT:
            return exposition_next_text(page, expected, row, err);
        case EXPOSITION_OPENMETRICS:
            return exposition_next_openmetrics(page, expected, row, err);
        case EXPOSITION_PROTOBUF:
            return exposition_next_protobuf(page, expected, row, err);
        case EXPOSITION_NONE:
            break;
    }
    unreachable("a page has a format");
}

// ---- Labels ----

Text exposition_bound(double bound, Arena *arena) {
    char text[NUMBER_TEXT_MAX + 2];
    // Of negative zero the sign is dropped, as Prometheus does.
    size_t len = number_format_general(bound == 0 ? 0 : bound, text);
    bool finite = bound - bound == 0;
    bool plain =
        text_find_char((Text){text, len}, '.') < 0 && text_find_char((Text){text, len}, 'e') < 0;
    if (finite && plain) {
        text[len++] = '.';
        text[len++] = '0';
    }
    return text_copy((Text){text, len}, arena);
}

// Bounds are labels, and texts: "1" and "1.0" would be two series.
static void normalise_bounds(const Exposition *page, LabelArray *labels, Arena *arena) {
    Text name = page->type == METADATA_HISTOGRAM ? TEXT("le")
                : page->type == METADATA_SUMMARY ? TEXT("quantile")
                                                 : TEXT_NONE;
    for (size_t i = 0; name.len > 0 && i < labels->count; i++) {
        double bound;
        if (text_equal(labels->at[i].name, name) && number_parse_f64(labels->at[i].value, &bound))
            labels->at[i].value = exposition_bound(bound, arena);
    }
}

static bool read_raw(Exposition *page, Text raw, LabelArray *out, Arena *arena, Error *err) {
    Scan scan = {raw.at, raw.at + raw.len, page};
    bool loose = page->format == EXPOSITION_TEXT;
    Text name = scan_name(&scan, true);
    bool named = name.len > 0;
    if (named) *array_add_on(arena, out) = (Label){LABEL_NAME, name};
    if (loose) scan_blanks(&scan);
    if (!scan_is(&scan, '{')) return true;
    scan.at++;
    TRY(scan_pairs(&scan, (PairRules){.loose = loose}, &named, out, arena, err));
    if (!page->options.bounds_as_written) normalise_bounds(page, out, arena);
    return true;
}

static bool check_label(const Label *label, Error *err) {
    if (label->name.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "the name of a metric or label is empty");
    if (!text_is_utf8(label->name))
        return error_set(err, ERROR_BAD_INPUT, "the name of a label is not valid UTF-8");
    if (!text_is_utf8(label->value))
        return error_set(err, ERROR_BAD_INPUT, "the value of a label is not valid UTF-8");
    return label->value.len > 0 || !text_equal(label->name, LABEL_NAME) ||
           error_set(err, ERROR_BAD_INPUT, "the name of the metric is empty");
}

static bool make_labels(const LabelArray *labels, Arena *arena, Labels *out, Error *err) {
    for (size_t i = 0; i < labels->count; i++) TRY(check_label(&labels->at[i], err));
    return labels_make(labels->at, labels->count, arena, out, err);
}

static bool place(Exposition *page, const char *where, Error *err) {
    if (page->format == EXPOSITION_PROTOBUF)
        return error_context(err, "metric family %.*s", TEXT_ARG(page->family));
    return scan_context(page, where, err);
}

bool exposition_at(Exposition *page, const ExpositionRow *row, Error *err) {
    return place(page, row->raw.at, err);
}

bool exposition_labels(Exposition *page, const ExpositionRow *row, Arena *arena, Labels *out,
                       Error *err) {
    LabelArray labels = {0};
    bool protobuf = page->format == EXPOSITION_PROTOBUF;
    TRY(protobuf ? exposition_labels_protobuf(page, arena, &labels, err)
                 : read_raw(page, row->raw, &labels, arena, err));
    return make_labels(&labels, arena, out, err) || place(page, row->raw.at, err);
}

Text exposition_family(const Exposition *page, const ExpositionRow *row, Arena *arena) {
    if (page->format == EXPOSITION_PROTOBUF) return row->name;
    return exposition_unescape(row->name, true, page->options.generous, arena);
}

Text exposition_text(const Exposition *page, const ExpositionRow *row, Arena *arena) {
    if (page->format == EXPOSITION_PROTOBUF || row->kind != EXPOSITION_HELP) return row->text;
    // OpenMetrics escapes quotes in help texts too.
    return exposition_unescape(row->text, page->format == EXPOSITION_OPENMETRICS, false, arena);
}

bool exposition_exemplar(Exposition *page, const ExpositionRow *row, size_t index, Arena *arena,
                         ExpositionExemplar *out, Error *err) {
    assert(index < row->exemplar_count);
    LabelArray labels = {0};
    *out = (ExpositionExemplar){0};
    TRY(page->format == EXPOSITION_PROTOBUF
            ? exposition_exemplar_protobuf(page, row, index, arena, out, &labels, err)
            : exposition_exemplar_openmetrics(page, row, arena, out, &labels, err));
    return make_labels(&labels, arena, &out->labels, err) || place(page, row->exemplar, err);
}

// ---- Start times ----

// The labels of a row without its name and bound: what all rows of one metric share.
static bool metric_of(Exposition *page, const ExpositionRow *row, Arena *arena, Text *name,
                      Labels *out) {
    Error ignored;
    Labels all;
    if (!exposition_labels(page, row, arena, &all, &ignored)) return false;
    Text bound = page->type == METADATA_SUMMARY ? TEXT("quantile") : TEXT("le");
    *name = labels_get(all, LABEL_NAME);
    AUTO(builder_free) Builder wire = {0};
    Label label;
    for (Bytes rest = all.wire; labels_next(&rest, &label);) {
        bool dropped = text_equal(label.name, LABEL_NAME) ||
                       (page->type != METADATA_COUNTER && text_equal(label.name, bound));
        if (!dropped) labels_append(&wire, label.name, label.value);
    }
    out->wire = bytes_copy(text_bytes(builder_text(&wire)), arena);
    return true;
}

// Looks for `_created` of the metric until its family ends.
static bool find_created(Exposition *page, Text family, Labels metric, int64_t *out_ms) {
    ExpositionAhead *ahead = &page->ahead;
    AUTO(arena_free) Arena arena = {0};
    Exposition next = *page;
    next.options.start_times = false;
    bool any = false;
    for (ExpositionRow row; ahead->left > 0; ahead->left--, arena_clear(&arena)) {
        Text name;
        Labels other;
        Error ignored;
        if (!exposition_next(&next, TEXT_NONE, &row, &ignored) || row.kind != EXPOSITION_SERIES ||
            !metric_of(&next, &row, &arena, &name, &other) || !text_starts_with(name, family)) {
            ahead->nothing = !any;
            return false;
        }
        if (!text_equal(text_slice(name, family.len, name.len), TEXT("_created"))) continue;
        any = true;
        if (!labels_equal(metric, other)) continue;
        double ms = row.value * 1000;
        if (!(ms > -9.2e18 && ms < 9.2e18)) return false;
        *out_ms = (int64_t)ms;
        return true;
    }
    return false;
}

static bool look_ahead(Exposition *page, const ExpositionRow *row, int64_t *out_ms) {
    ExpositionAhead *ahead = &page->ahead;
    ahead->left += AHEAD_ROWS_MORE;
    bool counts = page->type == METADATA_COUNTER || page->type == METADATA_HISTOGRAM ||
                  page->type == METADATA_SUMMARY;
    if (!counts) return false;
    if (ahead->family != page->family.at) {
        ahead->family = page->family.at;
        ahead->nothing = ahead->known = false;
    }
    if (ahead->nothing) return false;
    AUTO(arena_free) Arena arena = {0};
    Labels metric;
    Text name, family = exposition_unescape(page->family, true, false, &arena);
    if (!metric_of(page, row, &arena, &name, &metric) || !text_starts_with(name, family))
        return false;
    Text suffix = text_slice(name, family.len, name.len);
    bool is_quantile = page->type == METADATA_SUMMARY && suffix.len == 0;
    if (is_quantile || text_equal(suffix, TEXT("_created"))) return false;
    if (!ahead->known || !bytes_equal(metric.wire, text_bytes(builder_text(&ahead->metric)))) {
        ahead->known = true;
        ahead->found = find_created(page, family, metric, &ahead->start_ms);
        builder_clear(&ahead->metric);
        builder_add_bytes(&ahead->metric, metric.wire.at, metric.wire.len);
    }
    *out_ms = ahead->start_ms;
    return ahead->found;
}

bool exposition_start(Exposition *page, const ExpositionRow *row, int64_t *out_ms) {
    if (page->format == EXPOSITION_PROTOBUF) return exposition_start_protobuf(page, out_ms);
    return page->format == EXPOSITION_OPENMETRICS && look_ahead(page, row, out_ms);
}
