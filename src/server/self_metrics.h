// The table of Traceo's own metrics. Private to server.
#pragma once

#include "ingest/scrape/exposition.h"
#include "query/cache/cache.h"
#include "server/request.h"

typedef enum SelfKind { SELF_COUNTER, SELF_GAUGE, SELF_HISTOGRAM } SelfKind;

typedef struct SelfRow {
    Text name;
    SelfKind kind;
    Text help;
} SelfRow;

extern const SelfRow self_rows[];  // sorted by name
extern const size_t self_row_count;

// The state of the whole process, as of one moment.
typedef struct Snapshot {
    Server *server;
    StoreState store;
    SeriesState series;  // of all tenants together
    HttpStats http;
    WorkerState workers;
    QueryCacheState query_cache;
    ScraperState scrape;
    ListenState listen;
    RepeatsState repeats;
    size_t tenants;
    double cpu_s, started_s, tls_expires_s;
    int64_t resident, files_open, files_max;
    uint64_t live, auth_refused, queries, queries_failed, query_samples, query_ns, writes_failed;
    uint64_t datadog_series, datadog_refused, datadog_dropped;
    uint64_t influx_lines, influx_refused, influx_texts;
    uint64_t query_bytes, queries_slow;
    uint64_t otlp_points, otlp_cached, otlp_rejected;
} Snapshot;
void snapshot_take(Server *server, Snapshot *s);

// A page in text or OpenMetrics.
void self_metrics_print(Server *server, ExpositionFormat format, Builder *out);
