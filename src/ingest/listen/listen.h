// The ports of Graphite and StatsD: lines come over TCP and UDP, become rows, and are stored.
//
//   thread "listen":  sockets ─► lines ─► graphite_line ─► WriteBody ─► the gate, 50 ms later
//                                     └─► statsd_line ─► (table) ─ every flush ─┘
//
// There are no keys in these protocols and no answers: whoever reaches a port may write to the one
// tenant of the listener, and what cannot be stored is counted and lost. So `app` opens them on
// loopback addresses only, unless it is told otherwise.
#pragma once

#include "ingest/ingest.h"
#include "os/socket.h"

// What one protocol brought since the last note.
typedef struct ListenNote {
    Text protocol;  // "Graphite", "StatsD"
    Text peer;      // who sent last
    Text tenant;
    uint64_t samples, bytes;
    const Error
        *fault;  // the last line that was not understood, or what the store said; NULL: none
} ListenNote;

typedef struct ListenOptions {
    Store *store;  // replayed and running
    Clock *clock;
    Text tenant;               // its texts outlive the listener
    const Address *graphite;   // TCP and UDP; NULL: none
    const Address *statsd;     // UDP; NULL: none
    int64_t graphite_idle_ms;  // a connection that is silent so long is closed; 0: none is
    HashKey hash_key;
    bool statsd_native;
    int64_t statsd_flush_ms;
    int64_t statsd_expires_ms;                            // 0: never
    void (*note)(void *context, const ListenNote *note);  // on the listener's thread; may be NULL
    void *context;
} ListenOptions;

typedef struct Listener Listener;

// IN_USE when an address is taken.
must_use bool listener_start(const ListenOptions *options, Listener **out, Error *err);
// Stores what was gathered and stops; NULL is fine.
void listener_stop(Listener **listener);

uint16_t listener_graphite_port(const Listener *listener);  // the same for TCP and UDP
uint16_t listener_statsd_port(const Listener *listener);

typedef struct ListenState {
    uint64_t graphite_lines, graphite_refused, graphite_connections;
    uint64_t statsd_lines, statsd_refused, statsd_events, statsd_checks;
    uint64_t statsd_series, statsd_overflow;
    uint64_t rows_refused;   // by the gate
    uint64_t writes_failed;  // bodies of which nothing was stored
} ListenState;
void listener_state(const Listener *listener, ListenState *out);  // any thread; up to a flush old
