// Exposition pages: what a target answers to a scrape, read row by row and printed again.
//
// Three formats: Prometheus' text (0.0.4; 1.0.0 with names in quotes), OpenMetrics (1.0, 0.0.1) and
// Prometheus' protobuf (io.prometheus.client.MetricFamily, each with its length in front). What
// Prometheus' own parsers (model/textparse, 3.x) refuse is refused, naming line and column.
//
//   Exposition page = {0};
//   exposition_begin(&page, EXPOSITION_TEXT, options, body);
//   ExpositionRow row;
//   do {
//       TRY(exposition_next(&page, expected, &row, err));
//       …
//   } while (row.kind != EXPOSITION_END);
//   exposition_free(&page);
//
// A series is recognised without being parsed: `raw` are the bytes that identify it, and a caller
// that gives the raw bytes of the row it expects (of the same place in the last scrape) is told at
// the cost of comparing them that it is `known`; then only value, time and exemplar were read.
// Labels are made on demand. Nothing is allocated per row. One thread uses a page at a time; `body`
// belongs to the caller and outlives the page, rows are views until the next exposition_next.
#pragma once

#include "model/batch.h"
#include "model/native_histogram.h"

typedef enum ExpositionFormat {
    EXPOSITION_NONE = 0,  // as a fallback: there is none
    EXPOSITION_TEXT,
    EXPOSITION_OPENMETRICS,
    EXPOSITION_PROTOBUF,
} ExpositionFormat;

// By the Content-Type of an answer, as Prometheus 3 chooses: the media type alone, parameters do
// not matter. Where it is missing, malformed or of another kind, `fallback`
// (fallback_scrape_protocol); BAD_INPUT naming the type and that setting when there is none.
must_use bool exposition_choose(Text content_type, ExpositionFormat fallback, ExpositionFormat *out,
                                Error *err);

// The same for a page without one, a file: what ends in `# EOF` is OpenMetrics, what begins as no
// text does is protobuf.
ExpositionFormat exposition_guess(Text body);

typedef struct ExpositionOptions {
    // `le` and `quantile` stay as the page has them. Else those of classic histograms and summaries
    // are written as OpenMetrics does ("1" is "1.0"), as Prometheus 3 does.
    bool bounds_as_written;
    // `_created` of counters, histograms and summaries is no row of its own. Else it is a series
    // like any other. exposition_start knows it either way.
    bool start_times;
    // Protobuf: the classic buckets beside a native histogram are rows too
    // (always_scrape_classic_histograms); native histograms are not rows, only classic ones.
    bool classic_beside_native;
    bool no_native;
    // Text: what `traceo push` takes beyond the format. Lines may end in \r\n, times may be
    // negative, and \t \r \xHH in quotes are what labels_print writes; other escapes are refused.
    bool generous;
} ExpositionOptions;

typedef enum ExpositionKind {
    EXPOSITION_END,  // of the page
    EXPOSITION_TYPE,
    EXPOSITION_HELP,
    EXPOSITION_UNIT,
    EXPOSITION_SERIES,
    EXPOSITION_HISTOGRAM,  // a series whose value is `histogram`
} ExpositionKind;

typedef struct ExpositionRow {
    ExpositionKind kind;
    bool known;  // raw is what was expected
    bool has_time;
    // Text: of a series its name and braces, of metadata the whole line. Protobuf: name, suffix and
    // labels put together. Equal in one format and page with the same options: the same series.
    Text raw;
    double value;  // any NaN is Prometheus' ordinary one
    int64_t time_ms;
    size_t exemplar_count;             // see exposition_exemplar
    const NativeHistogram *histogram;  // time_ms is the row's, 0 without; checked
    MetadataType type;                 // of EXPOSITION_TYPE, also when known
    // The rest is read by the functions below.
    Text name, text;  // as in the page, escapes and all
    const char *exemplar;
} ExpositionRow;

typedef struct ExpositionProtobuf ExpositionProtobuf;

// What exposition_start found ahead: all rows of a metric ask for the same.
typedef struct ExpositionAhead {
    const char *family;  // as Exposition.family.at; what follows is of this one
    bool nothing;        // there is no `_created` in the rest of it
    bool known, found;   // of the metric
    Builder metric;      // its labels
    int64_t start_ms;
    int64_t left;  // rows that may still be looked at
} ExpositionAhead;

// A page being read. Begin with {0}; memory is kept from page to page.
typedef struct Exposition {
    ExpositionFormat format;
    ExpositionOptions options;
    Text body;
    const char *at;
    MetadataType type;  // of the newest TYPE, and the name there
    Text family;
    const char *line_begin;  // of the line last named in an error, and its number; NULL: none yet
    size_t line;
    ExpositionProtobuf *protobuf;
    ExpositionAhead ahead;
} Exposition;

void exposition_begin(Exposition *page, ExpositionFormat format, ExpositionOptions options,
                      Text body);
void exposition_free(Exposition *page);

// The next row, EXPOSITION_END at the end. `expected`: raw bytes of the row that probably comes, or
// TEXT_NONE. Of a known row of metadata only kind, type and raw are filled. BAD_INPUT and TOO_LARGE
// begin with "line 3, column 7: " (protobuf: "metric family 3: "); no row may follow.
must_use bool exposition_next(Exposition *page, Text expected, ExpositionRow *row, Error *err);

// The labels of the row just read, `__name__` among them, with empty ones left out. BAD_INPUT: a
// name stands twice, or is empty or not UTF-8; TOO_LARGE: more than SERIES_LABELS. Limits on length
// are the store's.
must_use bool exposition_labels(Exposition *page, const ExpositionRow *row, Arena *arena,
                                Labels *out, Error *err);

// The family of metadata, and the text of HELP or UNIT, without quotes and escapes.
Text exposition_family(const Exposition *page, const ExpositionRow *row, Arena *arena);
Text exposition_text(const Exposition *page, const ExpositionRow *row, Arena *arena);

// Puts the place of the row just read in front of a message of the caller's: "line 3, column 1: ".
bool exposition_at(Exposition *page, const ExpositionRow *row, Error *err);

typedef struct ExpositionExemplar {
    Labels labels;
    double value;
    bool has_time;
    int64_t time_ms;
} ExpositionExemplar;

// The exemplars of the row just read, `index` from 0. BAD_INPUT when the labels are not fine (a
// name stands twice); the row is not affected.
must_use bool exposition_exemplar(Exposition *page, const ExpositionRow *row, size_t index,
                                  Arena *arena, ExpositionExemplar *out, Error *err);

// When the row just read began to count: the start timestamp of protobuf, or `_created` of the same
// labels further on in its family. False when the page does not say, for quantiles, and where rows
// lie so that looking for it would take much longer than the page itself.
bool exposition_start(Exposition *page, const ExpositionRow *row, int64_t *out_ms);

// ---- Printing ----

// Pages in text and OpenMetrics (/metrics, /federate): for each family its metadata, then its
// series. What is printed of a page that was read is read as the same rows again, bit for bit.
typedef struct ExpositionPrinter {
    ExpositionFormat format;  // TEXT or OPENMETRICS
    Builder *out;
} ExpositionPrinter;

// All metadata of a family, by the name that Prometheus' text has for it: a counter ends in
// `_total`, which OpenMetrics leaves out here (one that does not is unknown there). Types that a
// format does not have become the closest it has; empty help and a unit that is not the end of the
// name are left out.
void exposition_print_family(ExpositionPrinter printer, Text family, MetadataType type, Text help,
                             Text unit);
// Its lines alone, with the family as it stands in the page. Text has no units.
void exposition_print_type(ExpositionPrinter printer, Text family, MetadataType type);
void exposition_print_help(ExpositionPrinter printer, Text family, Text help);
void exposition_print_unit(ExpositionPrinter printer, Text family, Text unit);
// `time_ms` and `exemplar` may be NULL; text has no exemplars and leaves them out.
void exposition_print_series(ExpositionPrinter printer, Labels labels, double value,
                             const int64_t *time_ms, const ExpositionExemplar *exemplar);
// A bound as the value of the label `le`: OpenMetrics has a point in whole numbers.
void exposition_print_bound(ExpositionFormat format, double bound, Builder *out);
void exposition_print_end(ExpositionPrinter printer);  // OpenMetrics' `# EOF`
Text exposition_content_type(ExpositionFormat format);

// A page in protobuf, family by family: `family` is gathered in a builder of the caller's and
// written behind its length. A metric is untyped, or a native histogram (not NULL) that passed
// native_histogram_check; one with custom bounds has no form there but a classic one, as in
// Prometheus 3.
void exposition_family_begin(Builder *family, Text name, MetadataType type);
void exposition_family_metric(Builder *family, Labels labels, double value,
                              const NativeHistogram *histogram, int64_t time_ms);
void exposition_family_end(const Builder *family, Builder *out);
// What to answer to an Accept header: OpenMetrics where it is asked for at least as much as text
// ("q="), else text. Protobuf never: exposition_wants_protobuf.
ExpositionFormat exposition_accept(Text accept);
// Is MetricFamily protobuf asked for, at least as much as the others?
bool exposition_wants_protobuf(Text accept);
