// The ports of Graphite and StatsD: from settings to a listener.
#pragma once

#include "app/settings.h"
#include "ingest/listen/listen.h"
#include "server/server.h"

typedef struct Listening {
    Address graphite, statsd;  // empty texts: off
    Listener *_Atomic listener;
    Server *server;
} Listening;

// Reads the addresses. FORBIDDEN for one beyond loopback, unless unauthenticated.allow_remote.
must_use bool listening_check(Listening *listening, const Settings *settings, Arena *arena,
                              Error *err);
// Opens what is to be opened. The store is replayed and running; server and settings outlive it.
must_use bool listening_start(Listening *listening, const Settings *settings, Store *store,
                              Server *server, Clock *clock, Error *err);
void listening_end(Listening *listening);
// As ServerOptions.listen_state; zeros while there is no listener.
void listening_state(void *listening, ListenState *out);
