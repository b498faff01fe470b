// StatsD and DogStatsD: what programs tell over UDP is added up, and told on every flush.
//
//   page.views:1|c|@0.1|#site:a   ->   counter page_views{site="a"} += 10
//
// Names and tags become plain names (`.` and `-` are `_`). Per series: a counter adds up (its total
// is told, as statsd_exporter does), a gauge is the last value or moves by +n and -n, timers,
// histograms and distributions become one histogram each (`ms` in seconds), a set tells how many
// different values it saw since the last flush. A series that is silent for `expires_ms` ends with
// the stale marker. Pure; one thread.
//
// Source: StatsD's metric types; DogStatsD protocol 1.0 to 1.4 (values in a row, |T times,
// container ids). Events and service checks are counted and dropped.
#pragma once

#include "ingest/ingest.h"
#include "model/label_set.h"

typedef struct StatsdOptions {
    HashKey hash_key;
    bool native;         // histograms as native ones instead of _bucket, _sum and _count
    int64_t expires_ms;  // 0: never
    int64_t series_max;  // 0: LIMIT_STATSD_SERIES
} StatsdOptions;

typedef struct Statsd Statsd;
Statsd *statsd_new(const StatsdOptions *options);
void statsd_free(Statsd **statsd);

typedef struct StatsdCounts {
    uint64_t lines;    // metrics read, without events and service checks
    uint64_t refused;  // not understood
    uint64_t events, checks;
    uint64_t overflow;  // new series beyond the limit
    uint64_t series;    // now
} StatsdCounts;
void statsd_counts(const Statsd *statsd, StatsdCounts *out);

// One line of a datagram, without its line break. BAD_INPUT says what is wrong (TOO_MANY: the limit
// of series); nothing is changed then. A metric with a time of its own (|T) becomes a row of `out`
// at once.
must_use bool statsd_line(Statsd *statsd, Text line, int64_t now_ms, WriteBody *out, Error *err);

// Tells one series after the other, with types as metadata where `describe`. Call again while it
// gives true: a flush is cut into bodies of about a mebibyte.
bool statsd_flush(Statsd *statsd, int64_t now_ms, bool describe, WriteBody *out);
