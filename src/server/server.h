// The server: the routes, who may take them, and what answers.
//
//   net (a loop's thread)   on_head: route, host, key, permission, readiness, body limit
//     -> on the loop        health; writes, answered by the log's commit thread once durable
//     -> status lane        own metrics, settings, reload: a thread that load cannot hide
//     -> query lane         queries and metadata: workers behind a bounded queue
//
// Routes are the table routes.def; the OpenAPI document, the counters and the tests read the same
// rows. Everything the server needs is handed in by `app` and outlives it. README.md has the
// picture.
#pragma once

#include "access/access.h"
#include "ingest/influx/influx.h"
#include "ingest/listen/listen.h"
#include "ingest/otlp/otlp.h"
#include "ingest/scrape/scraper.h"
#include "net/http.h"
#include "server/ui.h"

typedef struct Server Server;

typedef struct ServerBuild {
    Text version;   // "0.1.0"
    Text revision;  // of the source; may be empty
    Text date;
    Text compiler;
} ServerBuild;

// What limits a query; may change while the server runs.
typedef struct ServerQuerySettings {
    int64_t timeout_ms;    // 0: LIMIT_QUERY_TIME_MS
    int64_t lookback_ms;   // 0: five minutes
    int64_t memory_bytes;  // of one query; 0: an eighth of the query budget
    int64_t samples_max;   // 0: none
    int64_t cache_bytes;   // of kept answers; 0: none are kept
    int64_t bytes_max;     // of blocks; 0: none
    int64_t slow_ms;       // longer ones are logged; 0: none
    // Of all queries of a tenant: memory at a time (0: three quarters of the query budget), and
    // what they may read and how long they may run in a minute (0: no limit).
    int64_t tenant_memory_bytes, tenant_samples, tenant_bytes, tenant_ms;
    bool stable_only;  // what Prometheus calls experimental is refused
    bool starts;       // rate() and kin look at when counting began
    bool admin_api;    // /api/v1/admin/tsdb is answered
} ServerQuerySettings;

// What limits the queries that wait; 0: the defaults of settings.def.
typedef struct ServerQueueSettings {
    size_t most;         // of all tenants
    size_t tenant_most;  // of one
    int64_t age_ms;      // who waits longer is answered with an error
} ServerQueueSettings;

// One setting in force, with all that its row says.
typedef struct ServerSetting {
    Text key;
    Text value;     // as written
    Text standard;  // the default
    Text from;      // "default", "traceo.yaml:3", "TRACEO_LISTEN", "--listen"
    Text kind;      // "text", "size", "duration", "count", "switch", "choice"
    Text unit;      // of a choice: its words
    bool reload;    // takes effect at /-/reload
    Text help;
} ServerSetting;

// The settings in force, as `app` knows them. Any function may be NULL; any thread calls them.
typedef struct ServerSettings {
    void *context;
    void (*print)(void *context, Builder *out);  // as YAML, without secrets
    // One setting, from 0 on, its texts on `arena` or for ever; false behind the last.
    bool (*at)(void *context, size_t index, Arena *arena, ServerSetting *out);
    bool (*reload)(void *context, Error *err);
} ServerSettings;

// What the scraper tells of itself; `app` fills it in, all of it or nothing. Each writes the `data`
// of its answer; not from a loop's thread, as they wait for the scraper's. Lists are empty while
// there is no scraper.
typedef struct ServerScrape {
    void *context;
    bool (*targets)(void *context, Text state, Text pool, JsonWriter *writer, Error *err);
    bool (*pools)(void *context, JsonWriter *writer, Error *err);
    bool (*metadata)(void *context, Matchers matchers, Text metric, uint64_t limit,
                     JsonWriter *writer, Error *err);
    void (*state)(void *context, ScraperState *out);
    // global.external_labels: for what other servers take from here; on the arena.
    bool (*external_labels)(void *context, Arena *arena, Labels *out, Error *err);
} ServerScrape;

typedef struct ServerOptions {
    InfluxOptions influx;
    Otlp *otlp;        // NULL: OTLP is answered with 501
    Repeats *repeats;  // of remote write 2.0; NULL: none are remembered
    Store *store;      // open; it may still be replaying, then all but health and status is 503
    Access *access;
    Clock *clock;
    const Address *addresses;
    size_t address_count;
    int loop_count;     // 0: one per core
    int worker_count;   // queries that one tenant may run at a time; 0: one per core
    int query_threads;  // of one query; 0: one per core
    ServerQueueSettings queue;
    HttpLimits limits;
    TlsServer *tls;  // made for the number of loops; NULL: plain
    ServerBuild build;
    ServerQuerySettings query;
    ServerSettings settings;
    ServerScrape scrape;
    // What came over the ports of Graphite and StatsD; NULL: nothing. Any thread.
    void (*listen_state)(void *context, ListenState *out);
    void *listen_context;
    // Set once every port listens and collecting has begun, which is after the replay: /-/ready
    // waits for it. NULL: nothing to wait for.
    const _Atomic bool *all_started;
    UiFiles ui;      // the page in the binary; none: /ui/ says so
    Text ui_folder;  // the page from a folder instead, read anew each time; empty: from the binary
    Text data_folder;    // whose disk /api/traceo/v1/self shows; empty: none
    Text instance;       // label of our own metrics: name of this machine and port
    int64_t started_ms;  // when the process began
} ServerOptions;

// Listens and answers from now on. FORBIDDEN when an address is not loopback and there is no API
// key; IN_USE when it is taken.
must_use bool server_start(const ServerOptions *options, Server **out, Error *err);
uint16_t server_port(const Server *server, size_t address);

void server_set_query(Server *server, ServerQuerySettings query);  // any thread

// Stops listening, lets what is in flight end for `drain_ms`, then cancels it. Store and access
// must still be there: writes in flight are answered by the store's commit thread.
void server_stop(Server *server, int64_t drain_ms);
void server_free(Server **server);  // stops at once when still running; NULL is fine

// What a sender just sent, for GET /api/traceo/v1/sources ("what is arriving and from whom"). Every
// protocol calls it once per request or scrape; any thread; everything is copied.
typedef struct SourceNote {
    Text protocol;  // "remote write", "OTLP", "scrape", "this host"
    Text peer;      // an address, with or without a port; or the target's URL
    Text agent;     // User-Agent; may be empty
    Text tenant;
    uint64_t samples, bytes;
    const Error *fault;  // NULL: all is well
} SourceNote;
void server_note_source(Server *server, const SourceNote *note);

// Traceo's own metrics as rows, for the tenant TENANT_SELF_NAME (the same table as GET /metrics).
// One thread at a time.
void server_collect_self(Server *server, WriteBody *body, int64_t now_ms);
