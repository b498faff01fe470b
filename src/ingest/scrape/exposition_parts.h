// What the formats of exposition pages share: scanning of characters, quotes and pairs of labels,
// the place of a fault, and the functions that each of them has. Private to ingest/scrape.
#pragma once

#include "ingest/scrape/exposition.h"

typedef struct Scan {
    const char *at;
    const char *end;  // of the page, or of the piece that is read again
    Exposition *page;
} Scan;

static inline bool scan_is(const Scan *scan, char c) {
    return scan->at < scan->end && *scan->at == c;
}
static inline bool scan_is_blank(const Scan *scan) {
    return scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t');
}
static inline void scan_blanks(Scan *scan) {
    while (scan_is_blank(scan)) scan->at++;
}
static inline Text scan_since(const Scan *scan, const char *begin) {
    return (Text){begin, (size_t)(scan->at - begin)};
}
// What stands at the cursor; nothing is passed.
static inline bool scan_starts(const Scan *scan, Text text) {
    return (size_t)(scan->end - scan->at) >= text.len && memcmp(scan->at, text.at, text.len) == 0;
}

// Fails with "line 3, column 7: " of `where`, which lies in the page.
bool scan_wrong(const Scan *scan, const char *where, Error *err, const char *what);
// The same in front of a message that is there already. Lines are counted on from the last fault,
// so that a page full of them is counted once.
bool scan_context(Exposition *page, const char *where, Error *err);

// A name as it may stand without quotes: [a-zA-Z_][a-zA-Z0-9_]*, in metrics also ':'. May be empty.
Text scan_name(Scan *scan, bool metric);

// A text in double quotes, which are left out of `*out`; the cursor is at the first one.
must_use bool scan_quoted(Scan *scan, bool line_breaks, Text *out, Error *err);

// How a format writes what stands in braces.
typedef struct PairRules {
    bool loose;     // text: blanks anywhere, commas may be missing, line breaks in values
    bool exemplar;  // no metric name among them
} PairRules;

// Takes pairs from behind '{' to behind '}'. `*named`: the metric has its name, which may also
// stand in quotes among the pairs. With `out` the labels are added to it, decoded, on `arena` where
// something was escaped; there LIMIT_SERIES_LABELS applies.
must_use bool scan_pairs(Scan *scan, PairRules rules, bool *named, LabelArray *out, Arena *arena,
                         Error *err);

// A row of metadata: `# TYPE`, `# HELP`, `# UNIT`; the cursor is behind the keyword and its blank.
// Gives the name, in quotes or plain.
must_use bool scan_family(Scan *scan, Text *out, Error *err);
// Takes all up to the end of the line, which is not passed.
Text scan_line(Scan *scan);

// A type by its name in the format. False when there is none of that name.
bool exposition_type_of(Text name, ExpositionFormat format, MetadataType *out);

// Without escapes. A view where nothing was escaped. `quotes`: \" is one of them.
Text exposition_unescape(Text text, bool quotes, bool generous, Arena *arena);

// A line within LIMIT_EXPOSITION_LINE_BYTES?
must_use bool scan_check_length(const Scan *scan, const char *begin, Error *err);

// Ordinary NaN, as Prometheus keeps it.
static inline double exposition_value(double value) {
    return value == value ? value : double_from_bits(UINT64_C(0x7ff8000000000001));
}

// A bound as OpenMetrics writes it: "1.0", "2.5", "1e+06", "+Inf".
Text exposition_bound(double bound, Arena *arena);

// The formats.
must_use bool exposition_next_text(Exposition *page, Text expected, ExpositionRow *row, Error *err);
must_use bool exposition_next_openmetrics(Exposition *page, Text expected, ExpositionRow *row,
                                          Error *err);
must_use bool exposition_exemplar_openmetrics(Exposition *page, const ExpositionRow *row,
                                              Arena *arena, ExpositionExemplar *out,
                                              LabelArray *labels, Error *err);

ExpositionProtobuf *exposition_protobuf_new(void);
void exposition_protobuf_begin(ExpositionProtobuf *state);
void exposition_protobuf_free(ExpositionProtobuf **state);
must_use bool exposition_next_protobuf(Exposition *page, Text expected, ExpositionRow *row,
                                       Error *err);
must_use bool exposition_labels_protobuf(const Exposition *page, Arena *arena, LabelArray *out,
                                         Error *err);
must_use bool exposition_exemplar_protobuf(const Exposition *page, const ExpositionRow *row,
                                           size_t index, Arena *arena, ExpositionExemplar *out,
                                           LabelArray *labels, Error *err);
bool exposition_start_protobuf(const Exposition *page, int64_t *out_ms);
