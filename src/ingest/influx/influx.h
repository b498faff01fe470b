// InfluxDB's line protocol: lines of a measurement, tags, fields and a time become rows.
//
//   weather,city=Bonn temperature=21.5,wet=t 1763683200000000000
//     -> weather_temperature{city="Bonn"} 21.5, weather_wet{city="Bonn"} 1
//
// Every line is judged alone: a bad one is counted and named, the others are kept. Names stay as
// they were sent, as in VictoriaMetrics; a field `value` is named like its measurement, as Telegraf
// and influxdb_exporter have it. Texts are no samples and are counted. Any thread; nothing is kept
// but in the reader's memory.
//
// Source: InfluxDB line protocol reference (v1.8 and v2.7): escapes, kinds of values, precisions.
#pragma once

#include "ingest/ingest.h"
#include "model/label_set.h"

typedef struct InfluxOptions {
    Text db_label;  // the label that the parameter `db` becomes; empty: none
} InfluxOptions;

// By the parameter `precision` of version 1 (n, ns, u, µ, us, ms, s, m, h) and 2 (ns, us, ms, s);
// empty is nanoseconds. Nanoseconds of one unit; false when unknown.
must_use bool influx_precision(Text name, int64_t *out_ns);

// What reading needs besides; memory is kept from body to body. Begin with {0}.
typedef struct InfluxReader {
    LabelSet labels;
    Arena arena;   // unescaped texts of one line
    Builder name;  // measurement_field
} InfluxReader;
void influx_reader_free(InfluxReader *reader);

typedef struct InfluxBody {
    Text text;
    int64_t unit_ns;    // of its times
    int64_t now_ms;     // the time of lines without one
    Text label, value;  // of every row whose line has no such tag; empty value: none
} InfluxBody;

typedef struct InfluxOutcome {
    uint64_t lines;             // read, without empty ones and comments
    uint64_t refused;           // of them
    uint64_t samples;           // rows made
    uint64_t texts;             // fields that are texts, passed by
    uint64_t first_fault_line;  // counted from 1, as in the body
    Error first_fault;          // code NONE: none; names line and reason
} InfluxOutcome;

// Appends the rows of all good lines to `out`. False (TOO_LARGE) when they take more than a body
// may.
must_use bool influx_read(InfluxReader *reader, const InfluxBody *body, WriteBody *out,
                          InfluxOutcome *outcome, Error *err);
