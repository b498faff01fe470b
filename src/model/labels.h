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
bool labels_next_long(Bytes *rest, Label *out);
static inline bool labels_next(Bytes *rest, Label *out) {
    // All lengths in one byte: 0a whole 0a len name 12 len value. Nearly every label is like that.
    const uint8_t *at = rest->at;
    if (likely(rest->len >= 6 && at[1] < 0x80 && at[1] + (size_t)2 <= rest->len &&
               at[3] + (size_t)4 <= at[1])) {
        size_t whole = at[1], name = at[3];
        const uint8_t *value = at + 4 + name;
        if (likely(value[1] < 0x80 && name + value[1] + 4 == whole && at[0] == 0x0a &&
                   at[2] == 0x0a && value[0] == 0x12)) {
            *out = (Label){{(const char *)at + 4, name}, {(const char *)value + 2, value[1]}};
            *rest = (Bytes){at + 2 + whole, rest->len - 2 - whole};
            return true;
        }
    }
    return labels_next_long(rest, out);
}
size_t labels_count(Labels labels);
Text labels_get(Labels labels, Text name);  // {NULL, 0} when absent

// Are these bytes canonical, UTF-8, and inside the limits of base/limits.def? BAD_INPUT or
// TOO_LARGE naming the label and the limit. What a stranger sent passes here before it becomes a
// series. Metric and label names may be any UTF-8 (Prometheus 3); `__name__` must not be missing.
must_use bool labels_check(Bytes wire, Error *err);
// The same answer, sooner where labels stand at the same place in `known`, which passed already.
// Bit i of *same: label i does (of the first 64, and not of long ones).
must_use bool labels_check_beside(Bytes known, Bytes wire, uint64_t *same, Error *err);

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
// The numbers of `count` label sets in that order, on `arena`; equal ones stay as they stand. They
// lie `stride` bytes apart, so they may be members of structs. labels_order.c
uint32_t *labels_order(const Labels *first, size_t stride, size_t count, Arena *arena);
