// Private to src/net: the loops of a server and what its connections share on one of them.
//
// Everything here belongs to one loop's thread, but for what is marked atomic.
#pragma once

#include <stdatomic.h>

#include "base/array.h"
#include "net/http_quota.h"
#include "net/http_turn.h"
#include "os/thread.h"

typedef struct HttpLoop HttpLoop;
typedef struct HttpConnection HttpConnection;

typedef struct HttpBuffer {
    uint8_t *at;
    size_t capacity;
} HttpBuffer;

enum {
    HTTP_INPUT_BYTES = 16 * KB,
    HTTP_OUT_MAX = 64 * KB,  // small answers are written at the latest when so many bytes wait
    HTTP_LINGER_MS = 2000,
    HTTP_LINGER_DRAIN_MS = 250,
    HTTP_POOL_COUNT = 32,
    HTTP_POOL_BODY_MAX = 1 * MB
};

// Free buffers, newest first: the next one taken is still warm.
typedef struct HttpPool {
    HttpBuffer at[HTTP_POOL_COUNT];
    size_t count;
} HttpPool;

typedef struct HttpListener {
    LoopSource source;
    HttpLoop *loop;
    bool watched;
} HttpListener;

// A connection that another loop has accepted for this one.
typedef struct HttpArrival {
    Socket socket;
    char peer[64];
} HttpArrival;

// What HTTP/2 counts on a loop; resets and GOAWAYs are never taken back.
typedef struct Http2Counters {
    _Atomic int64_t sessions;         // open now
    _Atomic int64_t streams;          // open now, or their handlers are still working
    _Atomic int64_t resets_received;  // RST_STREAM by clients
    _Atomic int64_t resets_sent;      // RST_STREAM for what clients did
    _Atomic int64_t goaways[HTTP2_GOAWAY_COUNT];
} Http2Counters;

struct HttpLoop {
    HttpServer *server;
    int index;
    Loop *loop;
    HttpService service;  // of the turns on this loop
    Thread *thread;
    HttpListener *listeners;
    size_t listener_count;
    HttpConnection *connections;
    _Atomic int64_t connection_count;  // those that have not arrived yet, too
    Mutex arrivals_lock;               // HTTP_ARRIVALS
    ARRAY(HttpArrival) arrivals;
    bool arrivals_shut;  // nothing is given to this loop any more
    HttpConnection *stranger_oldest, *stranger_newest;
    size_t stranger_count, stranger_max;
    HttpPool inputs, bodies;
    WheelTimer accept_pause, drain_end;
    bool draining;
    int64_t drain_deadline_ms;
    // Written by this loop, read by http_server_stats.
    _Atomic int64_t accepted, refused_connections, accept_errors, requests, refused, bytes_in,
        bytes_out, address_refused, strangers, strangers_evicted, strangers_expired, readers_cut,
        tls_handshakes, tls_failed;
    Http2Counters http2;
};

struct HttpServer {
    HttpServerOptions options;
    uint16_t *ports;
    HttpLoop *loops;
    bool stopped;
    _Atomic int64_t connections;  // of all loops, those over the limit too
    HttpQuota *quota;
    Budget stranger_heads;
};

void http_loop_connection_ended(HttpLoop *loop);  // server: one less

void http_pool_take(HttpPool *pool, size_t capacity, HttpBuffer *out);
must_use bool http_pool_reserve(HttpPool *pool, size_t capacity, HttpBuffer *out, Error *err);
void http_pool_give(HttpPool *pool, HttpBuffer *buffer, size_t keep_max);
void http_pool_free(HttpPool *pool);
