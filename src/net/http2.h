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

#include "net/http.h"

typedef struct Http2Session Http2Session;

// Counters of a loop: one writer, any reader.
typedef struct Http2Counters {
    _Atomic int64_t sessions;         // open now
    _Atomic int64_t streams;          // open now, or their handlers are still working
    _Atomic int64_t requests;         // heads read whole
    _Atomic int64_t refused;          // answered by this floor: malformed, too large, too slow
    _Atomic int64_t resets_received;  // RST_STREAM by clients
    _Atomic int64_t resets_sent;      // RST_STREAM for what clients did
    _Atomic int64_t goaways[HTTP2_GOAWAY_COUNT];
} Http2Counters;

// What a session needs of the connection that owns it. All outlives the session.
typedef struct Http2Host {
    Loop *loop;  // answers come through it; NULL: handlers answer inside their callbacks (tests)
    Clock *clock;
    int loop_index;  // HttpExchange.loop
    Text peer;       // HttpExchange.peer
    const HttpHandler *handler;
    const HttpLimits *limits;
    Http2Counters *counters;
    void *context;
    // There is output that was not there when the last callback or call ended: an answer came. Not
    // called from inside http2_feed, http2_tick and http2_drain: ask http2_wants_write after them.
    void (*output_waits)(void *context);
    // After http2_abandon: the last answer that was owed has come (also from inside http2_abandon,
    // when none was). The session may be freed now, also inside this call.
    void (*quiet)(void *context);
} Http2Host;

// The server's SETTINGS wait as output from the beginning.
Http2Session *http2_begin(const Http2Host *host);

// Takes all of `bytes`. False: the connection is over by the client's fault or by a limit, and
// `err` says why; output still waits (GOAWAY). Nothing may be fed afterwards.
must_use bool http2_feed(Http2Session *session, Bytes bytes, Error *err);

// The next bytes to send, at most about 64 KiB, valid until the next call of http2_output or
// http2_free; false: there are none for now. They count as sent: what is given must go out.
bool http2_output(Http2Session *session, Bytes *out);
bool http2_wants_write(const Http2Session *session);

// No new streams (GOAWAY NO_ERROR); those that are open are answered.
void http2_drain(Http2Session *session);

// Nothing more is to be read; once all output is sent the connection can be closed: after an error,
// or drained and every stream done.
bool http2_is_over(const Http2Session *session);

// When http2_tick wants to be called, in loop_now_ms; INT64_MAX: not. It moves with every call.
int64_t http2_next_deadline(const Http2Session *session);
// Ends what is too slow: heads, bodies, answers that are not taken, idle connections. Then look at
// http2_wants_write and http2_is_over.
void http2_tick(Http2Session *session, int64_t now_ms);

// The connection is lost: handlers are told (on_drop, on_gone). No call but http2_free after it,
// and that not before `quiet` was called.
void http2_abandon(Http2Session *session);
size_t http2_owed(const Http2Session *session);  // handlers that still owe an answer

void http2_free(Http2Session **session);  // NULL is fine; http2_owed must be 0
