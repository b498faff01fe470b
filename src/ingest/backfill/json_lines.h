// VictoriaMetrics' JSON lines: what /api/v1/export gives and /api/v1/import takes.
//
//   {"metric":{"__name__":"up","job":"a"},"values":[1,0,null],"timestamps":[1700000000000,…,…]}
//
// Values are numbers, null, or the texts "Infinity", "-Infinity" and "NaN". VictoriaMetrics has one
// NaN, writes it as null and shows nothing there, so null is the stale marker here, and a NaN that
// is a value is written as a text. Times are milliseconds. Source: docs.victoriametrics.com,
// "JSON line format", and what a running VictoriaMetrics answers.
#pragma once

#include "ingest/backfill/row.h"

// Memory is kept from line to line. Begin with {0}; one thread.
typedef struct JsonLine {
    Labels labels;
    ARRAY(Sample) samples;
    Arena arena;
} JsonLine;

// One line, without its end. BAD_INPUT naming the column: not JSON, a member missing or unknown,
// not as many times as values. What is in the arena lives until the next read.
must_use bool json_line_read(Text line, JsonLine *out, Error *err);
void json_line_free(JsonLine *line);

// Appends one line with its end.
void json_line_write(Labels labels, Samples samples, Builder *out);
