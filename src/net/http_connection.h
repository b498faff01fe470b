// Private to src/net: a connection, which is a socket with its transport, timer, interest and
// output, and the protocol that makes sense of its bytes.
//
//   socket ─ Transport ─┬─ HttpConnection: timer, interest, `out` and `tail` ─ quotas
//                       └─ HttpProtocol: HTTP/1 (http1.c) or HTTP/2 (http2_connection.c), chosen by
//                          ALPN or by the first bytes; before it the handshake (http_handshake.c)
//
// Everything here belongs to one loop's thread. A connection whose client left stays, without a
// socket, until the answers that its protocol is owed have come.
#pragma once

#include "net/http1.h"
#include "net/http2.h"
#include "net/http_loop.h"
#include "net/transport.h"

enum { HTTP_READS_PER_EVENT = 16 };  // then the other connections have their turn

// What a protocol does with a connection. Each call may end the connection, but for `owes`; nobody
// touches it afterwards.
typedef struct HttpProtocol {
    // Something may have changed: bytes to read (`may_read`), room to write, the transport is
    // ready. Goes as far as it can and leaves interest and deadline set for what it waits for.
    void (*run)(HttpConnection *connection);
    void (*timer)(HttpConnection *connection);       // `deadline_ms` is over
    void (*drain)(HttpConnection *connection);       // end soon: at once when idle
    bool (*owes)(const HttpConnection *connection);  // is an answer owed by the handler?
    // The socket is closed and an answer owed: say so to the handler; http_connection_free once the
    // last one came.
    void (*lost)(HttpConnection *connection);
    void (*free)(HttpConnection *connection);  // nothing is owed: give back what it holds
} HttpProtocol;

struct HttpConnection {
    LoopSource source;
    Transport transport;
    const HttpProtocol *protocol;
    WheelTimer timer;  // armed at or before `deadline_ms`, which moves more often than it
    int64_t deadline_ms;
    HttpLoop *loop;
    HttpConnection *next, **link;
    bool watch_read, watch_write;
    bool may_read;          // the transport may have more, nothing said otherwise yet
    bool lost;              // the socket is closed
    bool reader_cut;        // ends with a reset: the kernel need not offer the rest any longer
    bool may_half_close;    // the end of their stream is no reason to close (yet)
    bool half_closed;       // it came
    bool read_wants_write;  // TLS has to say something before more can be read
    int reads_left;

    HttpQuotaEntry *quota;  // one of which is this; NULL: over the limit
    bool stranger;          // no request was accepted yet; then in the loop's list
    HttpConnection *stranger_older, *stranger_newer;
    int64_t stranger_end_ms;

    int64_t written;           // bytes the socket took
    int64_t window_end_ms;     // while an answer waits to be taken; 0: none does
    int64_t window_taken_min;  // what the client must have taken by then
    Builder out;               // small answers, heads, frames
    size_t out_at;
    Text tail;  // a large body, behind `out`; the protocol keeps it

    Http1 http1;
    Http2Session *http2;  // NULL: another protocol
    struct WebSocket *websocket;
    bool lingering;  // (HTTP/2, WebSocket) our side is shut; reading until theirs is
    bool handshake_failed;
    char peer[64];
};

// Takes the socket over, and the place in the quota. `refusal`: it gets a 503 with this reason and
// nothing else; NULL: it is served.
void http_connection_begin(HttpLoop *loop, Socket socket, const char *peer, HttpQuotaEntry *quota,
                           const char *refusal);
void http_connection_drain(HttpConnection *connection);  // closes it if it is idle
void http_connection_close(HttpConnection *connection);  // now; if answers are owed, once they came
void http_connection_evict(HttpLoop *loop);              // closes the oldest stranger that can go

// http_handshake.c: the protocol of a connection under TLS until its handshake is over.
extern const HttpProtocol http_handshake_protocol;
void http_handshake_begin(HttpConnection *connection);
void http_connection_choose(HttpConnection *connection);  // the protocol, by ALPN; then runs it

// http2_connection.c: from now on HTTP/2; `first` are bytes that were read already. The caller runs
// the protocol.
void http2_connection_begin(HttpConnection *connection, Bytes first);

// websocket.c: from now on WebSocket. The caller runs the protocol.
void websocket_connection_begin(HttpConnection *connection, struct WebSocket *socket, Bytes first);
// The connection ended before it could become one.
void websocket_lost(struct WebSocket *socket);

// For protocols.

void http_connection_free(HttpConnection *connection);  // nothing is owed

static inline const HttpLimits *http_connection_limits(const HttpConnection *connection) {
    return &connection->loop->server->options.limits;
}
static inline int64_t http_connection_now_ms(const HttpConnection *connection) {
    return loop_now_ms(connection->loop->loop);
}

void http_connection_interest(HttpConnection *connection, bool read, bool write);
void http_connection_deadline(HttpConnection *connection, int64_t deadline_ms);  // INT64_MAX: none

void http_connection_known(HttpConnection *connection);  // on_head accepted a request: no stranger

// There is output that the socket does not take: waits for it. http_connection_too_slow is asked
// when the deadline came: true when the client takes too little, else the next window has begun.
void http_connection_await_writing(HttpConnection *connection);
bool http_connection_too_slow(HttpConnection *connection);

// One read of at most `space` bytes; false: the connection ended. `may_read` says whether to go on.
bool http_connection_read(HttpConnection *connection, uint8_t *into, size_t space, size_t *count);

// Writes `out` and `tail` as far as the socket takes them. False: the connection broke and is
// closed.
bool http_connection_flush(HttpConnection *connection);
static inline bool http_connection_has_output(const HttpConnection *connection) {
    return connection->out_at < connection->out.len || connection->tail.len > 0;
}
