// Attributes on the wire (KeyValue, AnyValue of opentelemetry.proto.common.v1) as names and texts,
// and label sets put together from them.
//
// Values become text as the OpenTelemetry specification says for those who know no other type:
// numbers and booleans as JSON writes them, bytes as base64, lists and maps as JSON with sorted
// keys; NaN and infinities by name. Private to ingest/otlp.
#pragma once

#include "ingest/otlp/names.h"

// Reads every field `number` of `fields` as a KeyValue; other fields are passed by. Names are views
// into the bytes, values too or on `scratch`. Malformed protobuf is BAD_INPUT; more than `most`, or
// values nested deeper than LIMIT_NESTING_ATTRIBUTE, is TOO_LARGE.
must_use bool attributes_read(Bytes fields, uint32_t number, int64_t most, Arena *scratch,
                              LabelArray *out, Error *err);
Text attribute_get(const LabelArray *attributes, Text name, bool *there);
// Stable, by name.
void attributes_sort(LabelArray *attributes);

// A label set in the making. Few labels: searching is walking.
typedef struct LabelSet {
    Arena *scratch;
    LabelArray labels;
} LabelSet;

void label_set_put(LabelSet *set, Text name, Text value);    // the last one wins
void label_set_offer(LabelSet *set, Text name, Text value);  // the first one stays
void label_set_join(LabelSet *set, Text name, Text value);   // "first;second", as names collide
// Attributes under their translated names, colliding ones joined in the order of their own names.
must_use bool label_set_attributes(LabelSet *set, OtlpNaming naming, LabelArray *attributes,
                                   Error *err);
// Canonical bytes on `arena`, with at most one more label. TOO_LARGE beyond SERIES_LABELS.
must_use bool label_set_make(const LabelSet *set, Text metric, const Label *more, Arena *arena,
                             Labels *out, Error *err);
