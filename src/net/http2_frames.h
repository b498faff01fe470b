// Private to src/net: the limits of HTTP/2 that can be told from the headers of frames alone.
//
// It walks beside nghttp2 over the same bytes, before them: what passes a limit is never handed on.
// Pure: time is handed in. Counted are frames that cost us work without bringing a request: endless
// CONTINUATION, SETTINGS and PING (each wants an answer), PRIORITY, empty DATA, unknown types.
#pragma once

#include "net/http.h"

enum { HTTP2_PREFACE_BYTES = 24, HTTP2_FRAME_HEADER_BYTES = 9 };

typedef enum Http2FrameType {
    HTTP2_DATA,
    HTTP2_HEADERS,
    HTTP2_PRIORITY,
    HTTP2_RST_STREAM,
    HTTP2_SETTINGS,
    HTTP2_PUSH_PROMISE,
    HTTP2_PING,
    HTTP2_GOAWAY,
    HTTP2_WINDOW_UPDATE,
    HTTP2_CONTINUATION
} Http2FrameType;

enum { HTTP2_FLAG_END_STREAM = 1, HTTP2_FLAG_ACK = 1, HTTP2_FLAG_END_HEADERS = 4 };

// At most so many in each window of time; a window begins with the first event after the last one.
typedef struct Http2Rate {
    int64_t begin_ms, count;
} Http2Rate;

// One more event; `max` 0: no limit.
bool http2_rate_allows(Http2Rate *rate, int64_t now_ms, int64_t window_ms, int64_t max);

// Begin with {0}.
typedef struct Http2Frames {
    size_t preface;  // bytes of it seen
    uint8_t header[HTTP2_FRAME_HEADER_BYTES];
    size_t header_len;
    uint32_t left;  // of the frame's payload
    bool any;       // a whole frame has been seen: the client's SETTINGS
    bool in_block;  // between HEADERS and the end of its last CONTINUATION
    int64_t block_since_ms;
    int64_t continuations;
    int64_t answers;  // sent since the window of pings began: the session counts them here
    Http2Rate settings, pings, useless;
} Http2Frames;

// Why no more bytes may be handed on.
typedef struct Http2Fault {
    Http2Goaway why;
    uint32_t code;     // for GOAWAY
    const char *what;  // a literal that names the limit
} Http2Fault;

// How many of `bytes` may be handed on: all, or those before the frame that passes a limit; then
// `*out` says which.
size_t http2_frames_look(Http2Frames *frames, Bytes bytes, int64_t now_ms,
                         const Http2Limits *limits, Http2Fault *out);
