// The server as its own files see it. Private to server.
#pragma once

#include <stdatomic.h>

#include "server/counters.h"
#include "ingest/host/host.h"
#include "server/running.h"
#include "server/server.h"
#include "server/sources.h"
#include "server/spending.h"
#include "server/worker.h"

struct Server {
    ServerOptions options;
    HttpServer *http;
    WorkerPool *workers;
    struct QueryPool *query_pool;
    struct QueryCache *query_cache;
    Counters counters;
    LogDurability durability;
    Sources sources;
    RunningList running;
    SpendingTable spending;
    Mutex processes_lock;
    HostProcesses *processes;
    _Atomic bool ready;  // once true it stays true
    _Atomic bool stopped;
    _Atomic int64_t query_timeout_ms, query_lookback_ms, query_memory_bytes, query_samples_max;
    _Atomic int64_t query_bytes_max, query_slow_ms;
    _Atomic bool query_stable_only, query_starts;
    _Atomic bool admin_api;  // web.enable_admin_api
    _Atomic int live;        // connections of live.c
    _Atomic bool reload_ok;  // the last one, or the start
    _Atomic int64_t reloaded_ms;
    _Atomic uint64_t spread;  // for Retry-After
    uint64_t self_rounds;     // of server_collect_self
    // When keys were refused, so that a flood of strangers does not fill the log.
    _Atomic int64_t refused_second;
    _Atomic uint32_t refused_in_second;
};

// May queries and writes come? Looks at the store until it says yes once.
bool server_is_ready(Server *server);    // the log is replayed: it may be written and asked
bool server_is_started(Server *server);  // and so is everything beside it
