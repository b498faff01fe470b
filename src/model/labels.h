// A label set in its canonical bytes, the same bytes a Prometheus sender writes.
//
// Canonical form: for each label, sorted by name (byte order), no name twice, no empty value, one
// protobuf field as in prometheus.TimeSeries.labels (prompb, field 1; Label: name = 1, value = 2):
//
//   0a <len>  0a <len> name  12 <len> value        lengths as shortest varints
//
// So the bytes of a known series are recognised by comparing them, without parsing, and equal label
// sets are equal bytes. A Labels is a view: whoever made the bytes owns them.
#pragma once

#include "base/array.h"
#include "base/error.h"
#include "base/text.h"
#include "codec/json.h"

typedef struct Label {
    Text name;
    Text value;
} Label;

typedef ARRAY(Label) LabelArray;

typedef struct Labels {
    Bytes wire;
} Labels;

#define LABELS_NONE ((Labels){{NULL, 0}})
#define LABEL_NAME  TEXT("__name__")

static inline bool labels_equal(Labels a, Labels b) {
    return bytes_equal(a.wire, b.wire);
}

// Walks in name order: for (Bytes rest = labels.wire; labels_next(&rest, &label);) …
// Only for bytes known to be canonical (labels_check passed once).
bool labels_next(Bytes *rest, Label *out);
size_t labels_count(Labels labels);
Text labels_get(Labels labels, Text name);  // {NULL, 0} when absent

// Are these bytes canonical, UTF-8, and inside the limits of base/limits.def? BAD_INPUT or
// TOO_LARGE naming the label and the limit. What a stranger sent passes here before it becomes a
// series. Metric and label names may be any UTF-8 (Prometheus 3); `__name__` must not be missing.
must_use bool labels_check(Bytes wire, Error *err);

// The labels of an exemplar as a sender wrote them: the same protobuf and UTF-8, but no metric name
// is needed, they may stand in any order (OpenTelemetry's collector sends trace_id before span_id)
// and values may be empty. What passes can be walked with labels_next.
must_use bool labels_check_exemplar(Bytes wire, Error *err);

// Canonical bytes from any labels: sorts a copy, drops empty values. A repeated name is BAD_INPUT.
must_use bool labels_make(const Label *at, size_t count, Arena *arena, Labels *out, Error *err);
// The same onto a builder, for labels that are known to be sorted and unique.
void labels_append(Builder *out, Text name, Text value);

// {"name":"value",…}, as Prometheus' API has it.
void labels_write_json(Labels labels, JsonWriter *writer);

// As PromQL writes it: `name{a="b", "utf-8 name"="c"}`.
void labels_print(Labels labels, Builder *out);
// Its pieces: a text in double quotes, with quotes, backslashes and control characters escaped; and
// whether a name needs none (letters, digits, `_`, and `:` where a metric stands).
void label_print_quoted(Text text, Builder *out);
bool label_name_is_plain(Text name, bool colon_allowed);

// Byte order of name, value, name, value, …: the order in which results are listed.
int labels_compare(Labels a, Labels b);
