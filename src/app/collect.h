// Collectors: one thread that makes rows in this process and stores them as any sender's would be.
//
//   host   this machine's state, every host.interval, into the tenant "default"
//   self   Traceo's own metrics, every self.interval, into the tenant "traceo"
//
// Rounds fall on whole multiples of their interval, so that samples have an even rhythm whatever
// the load. A store that refuses (full disk, no memory) is told to the log once, and once again
// when it takes rows.
#pragma once

#include "server/server.h"

typedef struct Collector Collector;

typedef struct CollectorOptions {
    Store *store;    // replayed and running
    Server *server;  // outlives the collector
    Clock *clock;
    int64_t host_interval_ms;  // 0: this machine is not collected
    int64_t self_interval_ms;
} CollectorOptions;

must_use bool collector_start(CollectorOptions options, Collector **out, Error *err);
void collector_stop(Collector **collector);  // waits for the round that runs; NULL is fine
