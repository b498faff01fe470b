// Private to src/net: what server, loops and connections know of each other.
//
// Everything here belongs to one loop's thread, but for what is marked atomic and the `answer`,
// which belongs to whoever owes it until http_respond hands it to the loop.
#pragma once

#include <stdatomic.h>

#include "net/http.h"
#include "os/thread.h"

typedef struct HttpLoop HttpLoop;
typedef struct HttpConnection HttpConnection;

// What a connection is doing. `write` comes back to where `resume` says.
typedef enum HttpState {
    HTTP_STATE_HEAD,     // reading a head, or idle
    HTTP_STATE_BODY,     // reading a body of known length
    HTTP_STATE_CHUNKS,   // reading a chunked body
    HTTP_STATE_DISCARD,  // answered already; throwing a small body away
    HTTP_STATE_WAIT,     // the handler owes an answer
    HTTP_STATE_ANSWER,   // it is here
    HTTP_STATE_WRITE,    // output that the socket does not take yet
    HTTP_STATE_LINGER,   // our side is shut; reading until theirs is, so that they see the answer
    HTTP_STATE_GONE      // the socket is closed, the handler still owes an answer
} HttpState;

typedef struct HttpBuffer {
    uint8_t *at;
    size_t capacity;
} HttpBuffer;

enum {
    HTTP_INPUT_BYTES = 16 * KB,
    HTTP_INPUT_SPARE = 2 * KB,  // room behind a head, for chunked bodies
    HTTP_DISCARD_MAX =
        64 * KB,  // a refused body up to here is read, a longer one ends the connection
    HTTP_SMALL_BODY = 16 * KB,  // answers up to here are copied behind their head
    HTTP_OUT_MAX = 64 * KB,  // pipelined answers are written at the latest when so many bytes wait
    HTTP_READS_PER_EVENT = 16,  // then the other connections have their turn
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

typedef struct HttpAnswer {
    int status;
    Builder head;  // status line and the handler's headers
    Builder body;
    Text text;
    bool close;
    Budget *budget;  // that holds `charged` bytes for the body
    int64_t charged;
} HttpAnswer;

struct HttpConnection {
    HttpExchange exchange;  // first, so that one is the other
    LoopSource source;
    WheelTimer timer;  // armed at or before `deadline_ms`, which moves more often than it
    int64_t deadline_ms;
    HttpLoop *loop;
    HttpConnection *next, **link;
    HttpState state, resume;
    bool watch_read, watch_write;
    bool may_read;    // the socket may have more, nothing said otherwise yet
    bool in_handler;  // a callback is on the stack: answers wait until it returns
    bool answered;
    bool accepted;   // on_head said true and on_request has not been called
    bool closing;    // after this answer
    bool discarded;  // a body was refused, some of it may still be coming
    _Atomic bool answer_given, gone;
    int64_t requests;
    int reads_left;

    // Input: [from, used) is of this request and consumed, [used, len) is not looked at yet.
    HttpBuffer input;
    size_t input_from, input_used, input_len;
    int64_t head_begin_ms;
    HttpHeadParser parser;

    HttpBuffer body;  // when the body does not lie in the input whole
    size_t body_len;
    int64_t discard_left;
    HttpChunks chunks;
    int64_t window_end_ms, window_bytes;

    HttpAnswer answer;
    Builder out;  // small answers, heads
    size_t out_at;
    Text tail;  // a large body, behind `out`; it lies in answer.body or answer.text
    Arena arena;
    char peer[64];
};

typedef struct HttpListener {
    LoopSource source;
    HttpLoop *loop;
    bool watched;
} HttpListener;

struct HttpLoop {
    HttpServer *server;
    int index;
    Loop *loop;
    Thread *thread;
    HttpListener *listeners;
    size_t listener_count;
    HttpConnection *connections;
    size_t connection_count;
    HttpPool inputs, bodies;
    WheelTimer accept_pause, drain_end;
    bool draining;
    int64_t drain_deadline_ms;
    // Written by this loop, read by http_server_stats.
    _Atomic int64_t accepted, refused_connections, accept_errors, requests, refused, bytes_in,
        bytes_out;
};

struct HttpServer {
    HttpServerOptions options;
    uint16_t *ports;
    HttpLoop *loops;
    bool stopped;
    _Atomic int64_t connections;  // of all loops, those over the limit too
};

static inline void http_count(_Atomic int64_t *counter, int64_t by) {
    // One writer: a plain add that readers see whole.
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

// Takes the socket over. `over_limit`: it gets a 503 and nothing else.
void http_connection_begin(HttpLoop *loop, Socket socket, const char *peer, bool over_limit);
void http_connection_drain(HttpConnection *connection);  // closes it if it is idle
void http_connection_close(HttpConnection *connection);  // now; if an answer is owed, once it came
void http_connection_answered(HttpConnection *connection);  // on the loop: the answer is complete

void http_loop_connection_ended(HttpLoop *loop);  // server: one less

// http_answer.c: the head of the answer, complete, behind `out`; `tail` is the body to send.
void http_answer_write(HttpConnection *connection, bool close, Builder *out, Text *body);
void http_answer_refusal(int status, const char *reason, Builder *out);

void http_pool_take(HttpPool *pool, size_t capacity, HttpBuffer *out);
must_use bool http_pool_reserve(HttpPool *pool, size_t capacity, HttpBuffer *out, Error *err);
void http_pool_give(HttpPool *pool, HttpBuffer *buffer, size_t keep_max);
void http_pool_free(HttpPool *pool);
