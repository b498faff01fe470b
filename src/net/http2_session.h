// Private to src/net: a session and its streams as http2.c (the connection) and http2_stream.c (one
// request) know them.
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/array.h"
#include "net/http2.h"
#include "net/http2_frames.h"

enum { HTTP2_SPARES_MAX = 4 };

// A stream, from its HEADERS until nghttp2 has forgotten it and its answer is not owed any more.
typedef struct Http2Stream Http2Stream;
struct Http2Stream {
    HttpTurn turn;  // first, so that one is the other
    Http2Session *session;
    Http2Stream *next, **link;  // newest first
    int32_t id;
    bool head_done;     // the head is whole and was looked at
    bool request_done;  // END_STREAM came
    bool discarding;    // answered already, or will be; what still comes is thrown away
    bool answering;     // the answer is nghttp2's
    bool deferred;      // an answer in pieces waits for the next one
    bool answer_done;   // END_STREAM was sent
    bool closed;        // nghttp2 knows it no more
    bool too_large;     // its header list passes the limit
    bool crowded;       // all header lists together do

    ARRAY(HttpHeader) headers;
    size_t list_bytes;
    Text method, path, authority;

    HttpBuffer body;
    size_t body_len;
    size_t withheld;  // of its window
    int64_t window_end_ms, window_bytes;

    Text rest;  // of the answer's body, not sent
    int64_t answered_ms, progress_ms;
    Arena arena;
};

struct Http2Session {
    Http2Host host;
    const HttpLimits *limits;
    nghttp2_session *ng;
    Http2Frames frames;
    Http2Rate resets, paddings;
    Http2Stream *streams, *spares;
    size_t stream_count, spare_count;
    size_t list_bytes;          // of the heads of all streams
    size_t refused_list_bytes;  // of a head that begins no stream; nothing of it is kept
    Builder *out;               // during http2_output
    int64_t deadline_ms;        // at or before the next thing that is due
    int64_t idle_since_ms;
    bool any_request, any_accepted, draining, ending, abandoned;
    const char *fault;  // why it ends; a literal

    // Answers must be taken at a rate, all of the connection together.
    int64_t sent_bytes, window_sent, window_begin_ms;
    bool reader_is_slow;  // during a tick

    size_t bodies_bytes;  // held by streams
    size_t withheld;      // of the connection's window, until memory comes back
    size_t credit;        // to be given to it with the next WINDOW_UPDATE

    // The handler's, for the whole connection: lent to whichever exchange it is called with.
    void *user;
    void (*user_free)(void *user);
};

static inline int64_t http2_now_ms(const Http2Session *session) {
    const HttpService *service = session->host.service;
    return service->loop != NULL ? loop_now_ms(service->loop)
                                 : service->clock->monotonic_ns(service->clock) / 1000000;
}

// The deadline is `when_ms` at the latest.
static inline void http2_arm(Http2Session *session, int64_t when_ms) {
    session->deadline_ms = MIN(session->deadline_ms, when_ms);
}

// How long the rest of a request that was answered already is waited for.
static inline int64_t http2_linger_ms(const Http2Session *session) {
    return session->draining ? HTTP_LINGER_DRAIN_MS : HTTP_LINGER_MS;
}

// The connection ends with GOAWAY. The first reason counts.
void http2_end(Http2Session *session, uint32_t code, Http2Goaway why, const char *fault);
// One more stream was reset, by them or by us for what they did.
void http2_count_reset(Http2Session *session);

// ---- Streams (http2_stream.c) ----

// NULL: there are too many.
Http2Stream *http2_stream_begin(Http2Session *session, int32_t id);
void http2_stream_header(Http2Stream *stream, Text name, Text value);
// A field of a stream that there are too many of already: only counted.
void http2_header_refused(Http2Session *session, Text name, Text value);
void http2_stream_head(Http2Stream *stream);  // the head is whole
void http2_stream_data(Http2Stream *stream, Bytes data);
void http2_stream_end(Http2Stream *stream);     // END_STREAM
void http2_stream_closed(Http2Stream *stream);  // nghttp2 forgets it; it may be freed here
// The connection is lost: like closed, and it never sends anything again.
void http2_stream_abandon(Http2Stream *stream);
// What is due of it by now; arms the session for the rest.
void http2_stream_tick(Http2Stream *stream, int64_t now_ms);
void http2_stream_free(Http2Stream *stream);
