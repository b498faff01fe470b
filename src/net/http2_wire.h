// For tests: frames of HTTP/2 written and read byte by byte, without nghttp2, so that also wrong
// ones can be made; and a world around one session whose output it takes apart.
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/array.h"
#include "base/test.h"
#include "net/http2.h"
#include "net/http2_frames.h"

// ---- Writing ----

#define WIRE_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

void wire_frame_head(Builder *out, size_t len, uint8_t type, uint8_t flags, uint32_t stream);
void wire_frame(Builder *out, uint8_t type, uint8_t flags, uint32_t stream, Text payload);
void wire_u32(Builder *out, uint32_t value);
// A field of a header block, literal and never indexed, without Huffman (RFC 7541, 6.2.3).
void wire_field(Builder *block, Text name, Text value);
// The fields of "GET path".
void wire_get(Builder *block, Text path);

// ---- The world: a session, its handler, what came out ----

typedef struct WireEvent {
    uint8_t type, flags;
    uint32_t stream;
    uint32_t code;  // of RST_STREAM, GOAWAY; the increment of WINDOW_UPDATE
    int status;     // of HEADERS; 0: trailers
    Text headers;   // "name=value\n…"
    Text payload;
} WireEvent;

typedef struct Wire {
    Test *t;
    ManualClock clock;
    bool stubborn;  // who is told that the client is gone does not answer by itself
    HttpLimits limits;
    HttpHandler handler;
    HttpService service;
    HttpPool bodies;
    Http2Counters counters;
    _Atomic int64_t requests, refused;
    Http2Session *session;
    nghttp2_hd_inflater *inflater;
    Builder out;  // not taken apart yet
    ARRAY(WireEvent) events;
    int64_t bytes_out;
    // What the handler saw. It answers by path; see http2_wire.c.
    int heads, served, dropped, gone;
    ARRAY(HttpExchange *) owed;  // of /slow and /later
    int pings;
    int woken;  // times that output_waits was called
} Wire;

// limits: http_limits_default, which the caller may change before wire_open.
void wire_begin(Test *t, Wire *wire, bool stubborn);
void wire_open(Wire *wire);
void wire_end(Wire *wire);

// True as http2_feed; what comes out is read into `events`.
bool wire_feed(Wire *wire, Text bytes);
// Preface, empty SETTINGS, and the acknowledgement of theirs.
void wire_greet(Wire *wire);
void wire_read(Wire *wire);              // the output there is
void wire_wait(Wire *wire, int64_t ms);  // the clock goes on, then http2_tick
void wire_answer_owed(Wire *wire);       // with 200 "late\n"

const WireEvent *wire_find(const Wire *wire, uint8_t type, uint32_t stream);  // the first; NULL
bool wire_goaway(const Wire *wire, uint32_t *code);
bool wire_reset(const Wire *wire, uint32_t stream, uint32_t *code);
int wire_status(const Wire *wire, uint32_t stream);  // the last final one; 0: no answer
Text wire_body(const Wire *wire, uint32_t stream);
bool wire_ended(const Wire *wire, uint32_t stream);  // END_STREAM came
bool wire_alive(Wire *wire);                         // a PING is answered
