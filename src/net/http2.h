// HTTP/2, server side (RFC 9113): a machine that takes bytes, calls a handler and gives bytes.
//
// libnghttp2 keeps the protocol; here are our limits and the way from streams to exchanges. It
// knows no socket: the connection feeds what it read (also the client's preface, whole), sends what
// http2_output gives, and calls http2_tick when http2_next_deadline has come.
//
//   bytes ─> http2_feed ─> frame limits ─> nghttp2 ─> stream ─> on_head, on_request   (net/http.h)
//   bytes <─ http2_output <─ nghttp2 <─ stream <─ http_respond (any thread, by loop_post)
//
// Everything happens on the loop's thread; only answers come from elsewhere. The handler is called
// exactly as by HTTP/1: one exchange per stream, answered exactly once, alive until then, also when
// the stream was reset (on_gone) or the connection is lost (http2_abandon). Feeding never blocks:
// what one connection's bodies may hold is bounded (HTTP2_BODIES_BYTES), beyond it the client's
// windows stay closed until handlers are done.
//
// Whoever breaks the protocol gets GOAWAY with the code of RFC 9113; whoever passes a limit of rate
// gets ENHANCE_YOUR_CALM. http2_is_over says so: send what is left, then close.
#pragma once

#include "net/http_loop.h"
#include "net/http_turn.h"

typedef struct Http2Session Http2Session;

// What a session needs of the connection that owns it. All outlives the session.
typedef struct Http2Host {
    const HttpService *service;  // handler, limits, clock; answers come through its loop
    HttpPool *bodies;
    Http2Counters *counters;
    _Atomic int64_t *refused;  // requests answered by this floor: malformed, too large, too slow
    Text peer;
    void *context;
    // An answer came: there is output that was not there when the last call ended, or, as its
    // stream was reset, only another deadline or the end (http2_is_over). Not called from inside
    // http2_feed, http2_tick and http2_drain: ask http2_wants_write after them.
    void (*output_waits)(void *context);
    // The session was abandoned and the last answer that was owed has come: it may be freed now.
    // Not called from inside http2_abandon: ask http2_owed after it.
    void (*quiet)(void *context);
} Http2Host;

// The server's SETTINGS wait as output from the beginning.
Http2Session *http2_begin(const Http2Host *host);

// Takes all of `bytes`. False: the connection is over by the client's fault or by a limit, and
// `err` says why; output still waits (GOAWAY). Nothing may be fed afterwards.
must_use bool http2_feed(Http2Session *session, Bytes bytes, Error *err);

// Appends the next bytes to send, until `out` holds HTTP_OUT_MAX or a frame more. They count as
// sent: what is given must go out. False: there was nothing.
bool http2_output(Http2Session *session, Builder *out);
bool http2_wants_write(const Http2Session *session);

// No new streams (GOAWAY NO_ERROR); those that are open are answered.
void http2_drain(Http2Session *session);

// Nothing more is to be read; once all output is sent the connection can be closed: after an error,
// or drained and every stream done.
bool http2_is_over(const Http2Session *session);

// Was any request accepted by on_head? Until then the client is a stranger.
bool http2_is_known(const Http2Session *session);

// When http2_tick wants to be called, in loop_now_ms; INT64_MAX: not. It moves with every call.
int64_t http2_next_deadline(const Http2Session *session);
// Ends what is too slow: heads, bodies, answers that are not taken, idle connections. Then look at
// http2_wants_write and http2_is_over.
void http2_tick(Http2Session *session, int64_t now_ms);

// The connection is lost: handlers are told (on_drop, on_gone). No call but http2_owed and
// http2_free after it.
void http2_abandon(Http2Session *session);
size_t http2_owed(const Http2Session *session);  // handlers that still owe an answer

void http2_free(Http2Session **session);  // NULL is fine; http2_owed must be 0
