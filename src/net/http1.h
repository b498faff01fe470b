// Private to src/net: HTTP/1.1 on a connection, a state machine that serves one request at a time.
#pragma once

#include "net/http_parse.h"
#include "net/http_loop.h"

typedef struct HttpProtocol HttpProtocol;

// What it is doing. WRITE comes back to where `resume` says.
typedef enum Http1State {
    HTTP1_HEAD,     // reading a head, or idle
    HTTP1_BODY,     // reading a body of known length
    HTTP1_CHUNKS,   // reading a chunked body
    HTTP1_DISCARD,  // answered already; throwing a small body away
    HTTP1_WAIT,     // the handler owes an answer
    HTTP1_ANSWER,   // it is here
    HTTP1_STREAM,   // its head is sent, its body comes in pieces
    HTTP1_WRITE,    // output that the socket does not take yet
    HTTP1_LINGER    // our side is shut; reading until theirs is, so that they see the answer
} Http1State;

enum {
    HTTP1_STRANGER_INPUT = 24 * KB,
    HTTP1_INPUT_SPARE = 2 * KB,  // room behind a head, for chunked bodies
    HTTP1_DISCARD_MAX =
        64 * KB,  // a refused body up to here is read, a longer one ends the connection
    HTTP1_SMALL_BODY = 16 * KB  // answers up to here are copied behind their head
};

typedef struct Http1 {
    HttpTurn turn;
    Arena arena;  // of the turn
    Http1State state, resume;
    bool closing;    // after this answer
    bool any_piece;  // of an answer in pieces
    bool discarded;  // a body was refused, some of it may still be coming
    int64_t requests;

    // Input: [from, used) is of this request and consumed, [used, len) is not looked at yet.
    HttpBuffer input;
    size_t input_from, input_used, input_len;
    int64_t input_charged;  // to HttpServer.stranger_heads
    int64_t head_begin_ms;
    HttpHeadParser parser;

    HttpBuffer body;  // when the body does not lie in the input whole
    size_t body_len;
    int64_t discard_left;
    HttpChunks chunks;
    int64_t window_end_ms, window_bytes;
} Http1;

extern const HttpProtocol http1_protocol;

void http1_begin(HttpConnection *connection);

// Our own answer: what is wrong, and the end of the connection once it was written (by `run`).
void http1_refuse(HttpConnection *connection, int status, const char *reason);

// http1_answer.c: chunks are used for an answer in pieces; else its end is that of the connection.
bool http1_answer_is_chunked(const HttpTurn *turn);
// The head of the turn's answer, complete, behind `out`; `body` is what to send
// then.
void http1_answer_write(const HttpTurn *turn, bool close, Builder *out, Text *body);
// What stands before a piece of `len` bytes, and behind the last one.
void http1_answer_chunk(size_t len, bool first, Builder *out);
void http1_answer_end(const HttpTurn *turn, bool any_piece, Builder *out);
void http1_answer_refusal(int status, const char *reason, Builder *out);
