// Printing pages: metadata and series, in text and OpenMetrics.

#include "base/assert.h"
#include "codec/number.h"
#include "ingest/scrape/exposition_parts.h"

static void print_escaped(Text text, bool quotes, Builder *out) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\n') {
            builder_add(out, TEXT("\\n"));
            continue;
        }
        if (c == '\\' || (c == '"' && quotes)) builder_add_char(out, '\\');
        builder_add_char(out, c);
    }
}

static void print_quoted(Text text, Builder *out) {
    builder_add_char(out, '"');
    print_escaped(text, true, out);
    builder_add_char(out, '"');
}

static void print_name(Text name, bool metric, Builder *out) {
    if (label_name_is_plain(name, metric)) {
        builder_add(out, name);
    } else {
        print_quoted(name, out);
    }
}

static Text type_name(MetadataType type, bool openmetrics) {
    static const struct {
        Text text, openmetrics;
    } names[] = {
        [METADATA_UNKNOWN] = {TEXT_INIT("untyped"), TEXT_INIT("unknown")},
        [METADATA_COUNTER] = {TEXT_INIT("counter"), TEXT_INIT("counter")},
        [METADATA_GAUGE] = {TEXT_INIT("gauge"), TEXT_INIT("gauge")},
        [METADATA_HISTOGRAM] = {TEXT_INIT("histogram"), TEXT_INIT("histogram")},
        [METADATA_GAUGE_HISTOGRAM] = {TEXT_INIT("histogram"), TEXT_INIT("gaugehistogram")},
        [METADATA_SUMMARY] = {TEXT_INIT("summary"), TEXT_INIT("summary")},
        [METADATA_INFO] = {TEXT_INIT("gauge"), TEXT_INIT("info")},
        [METADATA_STATESET] = {TEXT_INIT("gauge"), TEXT_INIT("stateset")},
    };
    assert((size_t)type < COUNT(names));
    return openmetrics ? names[type].openmetrics : names[type].text;
}

static bool is_openmetrics(ExpositionPrinter printer) {
    assert(printer.format == EXPOSITION_TEXT || printer.format == EXPOSITION_OPENMETRICS);
    return printer.format == EXPOSITION_OPENMETRICS;
}

static void print_metadata(ExpositionPrinter printer, Text keyword, Text family) {
    builder_add(printer.out, keyword);
    print_name(family, true, printer.out);
    builder_add_char(printer.out, ' ');
}

void exposition_print_type(ExpositionPrinter printer, Text family, MetadataType type) {
    print_metadata(printer, TEXT("# TYPE "), family);
    builder_add(printer.out, type_name(type, is_openmetrics(printer)));
    builder_add_char(printer.out, '\n');
}

void exposition_print_help(ExpositionPrinter printer, Text family, Text help) {
    print_metadata(printer, TEXT("# HELP "), family);
    print_escaped(help, is_openmetrics(printer), printer.out);
    builder_add_char(printer.out, '\n');
}

void exposition_print_unit(ExpositionPrinter printer, Text family, Text unit) {
    if (!is_openmetrics(printer)) return;
    print_metadata(printer, TEXT("# UNIT "), family);
    builder_add(printer.out, unit);
    builder_add_char(printer.out, '\n');
}

// May the unit stand there? A line break or another unit would make a page that nobody reads.
static bool unit_fits(Text family, Text unit) {
    return unit.len > 0 && text_ends_with(family, unit) && family.len > unit.len &&
           family.at[family.len - unit.len - 1] == '_' && text_find_char(unit, '\n') < 0;
}

void exposition_print_family(ExpositionPrinter printer, Text family, MetadataType type, Text help,
                             Text unit) {
    Text total = TEXT("_total");
    if (is_openmetrics(printer) && type == METADATA_COUNTER) {
        // A counter's samples end in _total there, its family does not.
        if (text_ends_with(family, total) && family.len > total.len) {
            family.len -= total.len;
        } else {
            type = METADATA_UNKNOWN;
        }
    }
    if (help.len > 0) exposition_print_help(printer, family, help);
    exposition_print_type(printer, family, type);
    if (unit_fits(family, unit)) exposition_print_unit(printer, family, unit);
}

static void print_pairs(Labels labels, bool any, Builder *out) {
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (text_equal(label.name, LABEL_NAME)) continue;
        builder_add_char(out, any ? ',' : '{');
        any = true;
        print_name(label.name, false, out);
        builder_add_char(out, '=');
        print_quoted(label.value, out);
    }
    if (any) builder_add_char(out, '}');
}

static void print_number(double value, Builder *out) {
    builder_reserve(out, NUMBER_TEXT_MAX);
    out->len += number_format_general(value, out->at + out->len);
}

// Seconds that become the same milliseconds when they are read, which means: multiplied as doubles,
// then cut. Where that cuts off the last one, half a millisecond is added.
static void print_seconds(int64_t ms, Builder *out) {
    char text[NUMBER_TEXT_MAX];
    size_t len = number_format_ms_as_s(ms, text);
    double seconds;
    bool fine = number_parse_f64((Text){text, len}, &seconds) && seconds * 1000 < 9.2e18 &&
                seconds * 1000 > -9.2e18 && (int64_t)(seconds * 1000) == ms;
    builder_add(out, (Text){text, len});
    if (fine) return;
    ptrdiff_t point = text_find_char((Text){text, len}, '.');
    size_t places = point < 0 ? 0 : len - (size_t)point - 1;
    if (point < 0) builder_add_char(out, '.');
    for (; places < 3; places++) builder_add_char(out, '0');
    builder_add_char(out, '5');
}

void exposition_print_series(ExpositionPrinter printer, Labels labels, double value,
                             const int64_t *time_ms, const ExpositionExemplar *exemplar) {
    Builder *out = printer.out;
    bool openmetrics = is_openmetrics(printer);
    Text name = labels_get(labels, LABEL_NAME);
    bool plain = label_name_is_plain(name, true);
    if (plain) {
        builder_add(out, name);
    } else {
        builder_add_char(out, '{');
        print_quoted(name, out);
    }
    print_pairs(labels, !plain, out);
    builder_add_char(out, ' ');
    print_number(value, out);
    if (time_ms != NULL) {
        builder_add_char(out, ' ');
        if (openmetrics) {
            print_seconds(*time_ms, out);
        } else {
            builder_add_i64(out, *time_ms);
        }
    }
    if (openmetrics && exemplar != NULL) {
        builder_add(out, TEXT(" # "));
        print_pairs(exemplar->labels, false, out);
        if (exemplar->labels.wire.len == 0) builder_add(out, TEXT("{}"));
        builder_add_char(out, ' ');
        print_number(exemplar->value, out);
        if (exemplar->has_time) {
            builder_add_char(out, ' ');
            print_seconds(exemplar->time_ms, out);
        }
    }
    builder_add_char(out, '\n');
}

void exposition_print_bound(ExpositionFormat format, double bound, Builder *out) {
    size_t begun = out->len;
    print_number(bound, out);
    Text made = text_slice(builder_text(out), begun, out->len);
    bool whole = true;
    for (size_t i = 0; i < made.len; i++)
        whole &= made.at[i] == '-' || (made.at[i] >= '0' && made.at[i] <= '9');
    if (format == EXPOSITION_OPENMETRICS && whole) builder_add(out, TEXT(".0"));
}

void exposition_print_end(ExpositionPrinter printer) {
    if (is_openmetrics(printer)) builder_add(printer.out, TEXT("# EOF\n"));
}

Text exposition_content_type(ExpositionFormat format) {
    switch (format) {
        case EXPOSITION_TEXT:
            return TEXT("text/plain; version=0.0.4; charset=utf-8");
        case EXPOSITION_OPENMETRICS:
            return TEXT("application/openmetrics-text; version=1.0.0; charset=utf-8");
        case EXPOSITION_PROTOBUF:
            return TEXT(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                "encoding=delimited");
        case EXPOSITION_NONE:
            break;
    }
    unreachable("a page has a format");
}

// range -> type {';' parameter}; the parameter `q` says how much it is wanted, 1 without it.
static double quality_of(Text range, Text *type) {
    Text rest = range, parameter;
    double quality = 1;
    if (!text_cut(&rest, ';', type)) return 0;
    *type = text_trim(*type);
    while (text_cut(&rest, ';', &parameter)) {
        Text q = text_trim(parameter);
        if (!text_starts_with(q, TEXT("q="))) continue;
        if (!number_parse_f64(text_slice(q, 2, q.len), &quality)) return 0;
    }
    return quality;
}

typedef struct Wanted {
    double protobuf, openmetrics, text;
} Wanted;

static Wanted wanted_of(Text accept) {
    Wanted wanted = {0};
    Text rest = accept, range, type;
    while (text_cut(&rest, ',', &range)) {
        double quality = quality_of(range, &type);
        if (text_equal_ignore_case(type, TEXT("application/vnd.google.protobuf")))
            wanted.protobuf = MAX(wanted.protobuf, quality);
        if (text_equal_ignore_case(type, TEXT("application/openmetrics-text")))
            wanted.openmetrics = MAX(wanted.openmetrics, quality);
        if (text_equal_ignore_case(type, TEXT("text/plain")))
            wanted.text = MAX(wanted.text, quality);
    }
    return wanted;
}

ExpositionFormat exposition_accept(Text accept) {
    Wanted wanted = wanted_of(accept);
    return wanted.openmetrics > 0 && wanted.openmetrics >= wanted.text ? EXPOSITION_OPENMETRICS
                                                                       : EXPOSITION_TEXT;
}

bool exposition_wants_protobuf(Text accept) {
    Wanted wanted = wanted_of(accept);
    return wanted.protobuf > 0 && wanted.protobuf >= MAX(wanted.openmetrics, wanted.text);
}
