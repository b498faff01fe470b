// VictoriaMetrics' JSON lines: what /api/v1/export gives and /api/v1/import takes. Native
// histograms, which VictoriaMetrics does not have, are lines of Traceo's own: their times, and in
// base64 what remote write sends of them (prometheus.Histogram of prompb/types.proto).
//
//   {"metric":{"__name__":"up","job":"a"},"values":[1,0,null],"timestamps":[1700000000000,…,…]}
//   {"metric":{"__name__":"latency"},"histograms":[[1700000000000,"CAcZ…"],…]}
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
    ARRAY(NativeHistogram) histograms;  // their arrays in the arena
    Arena arena;
} JsonLine;

// One line, without its end. BAD_INPUT naming the column: not JSON, a member missing or unknown,
// not as many times as values, a histogram that is none or contradicts itself. What is in the arena
// lives until the next read.
must_use bool json_line_read(Text line, JsonLine *out, Error *err);
void json_line_free(JsonLine *line);

// Appends one line with its end.
void json_line_write(Labels labels, Samples samples, Builder *out);
// Lines of some hundred KiB each; none for none.
void json_line_write_histograms(Labels labels, const NativeHistogram *histograms, size_t count,
                                Builder *out);
