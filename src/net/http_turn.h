// Private to src/net: a turn, one request on its way through the handler to its answer. HTTP/1.1
// and HTTP/2 share it: a connection of the one owns a single turn that it uses again and again,
// each stream of the other has its own.
//
//   http_turn_begin ─> http_turn_head ─> http_turn_request ─> … http_respond … ─> when_answered
//                            │ └ false: refused            (any thread)               │
//                            └ http_turn_drop: the body will not come        http_turn_end
//
// Everything happens on the loop's thread, but for `answer` and the exchange's arena: they belong
// to whoever owes the answer, from on_head until http_respond has handed them to the loop. A turn
// that owes (http_turn_owes) must stay where it is, client or not, until it was answered.
//
// An answer in pieces (http_stream.h) makes `when_answered` be called several times: with its head
// or more of its body (`streaming`), at last with its end (`answered`), until which it is owed.
#pragma once

#include <stdatomic.h>

#include "net/http.h"

typedef struct HttpTurn HttpTurn;

// What turns need of those who own them: the handler and where it runs. One per loop; it outlives
// the turns.
typedef struct HttpService {
    Loop *loop;      // answers come through it; NULL: only within the handler's callbacks (tests)
    int loop_index;  // HttpExchange.loop
    Clock *clock;
    const HttpHandler *handler;
    const HttpLimits *limits;
    _Atomic int64_t *requests;  // a counter of heads; this thread is its only writer
} HttpService;

static inline void http_count(_Atomic int64_t *counter, int64_t by) {
    // One writer: a plain add that readers see whole.
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

typedef struct HttpAnswer {
    int status;
    const HttpHeader *headers;  // copies on the exchange's arena, without control bytes
    size_t header_count;
    const HttpHeader *trailers;  // likewise
    size_t trailer_count;
    Builder body;
    Text text;
    Budget *budget;  // that holds `charged` bytes for the body
    int64_t charged;
    bool close;
} HttpAnswer;

typedef struct HttpStream HttpStream;

struct HttpTurn {
    HttpExchange exchange;  // first, so that one is the other
    const HttpService *service;
    HttpAnswer answer;
    bool in_handler;  // a callback is on the stack: answers wait until it returns
    bool accepted;    // on_head said true and on_request has not been called
    bool owed;        // it said false, or on_request was called: an answer must come
    bool answered;    // `answer` is the loop's and complete
    bool streaming;   // its head is the loop's; the body comes through `stream`
    _Atomic(HttpStream *) stream;
    _Atomic bool answer_given, gone;
    bool may_upgrade;            // set by HTTP/1.1
    struct WebSocket *upgraded;  // answered with 101: what the connection becomes
    Text upgrade_accept;
    // The answer came, on the loop's thread; not called for one that came within on_head,
    // on_request or on_gone (whoever called those looks at `answered`). It may end the turn.
    void (*when_answered)(HttpTurn *turn);
};

// Once; `arena` and `peer` outlive the turn. The head is the caller's to fill in.
void http_turn_begin(HttpTurn *turn, const HttpService *service, Arena *arena, Text peer,
                     void (*when_answered)(HttpTurn *turn));

// The head is whole: starts the clock, counts the request and asks the handler. False: it refused
// or has answered already (or will: see `answered`); the body is to be thrown away.
must_use bool http_turn_head(HttpTurn *turn);

void http_turn_request(HttpTurn *turn);  // exchange.body is set: on_request
void http_turn_drop(HttpTurn *turn);     // on_drop, if on_head said true and on_request did not run
void http_turn_gone(HttpTurn *turn);     // the client left and an answer is owed: on_gone

// Does the handler owe an answer?
static inline bool http_turn_owes(const HttpTurn *turn) {
    return turn->owed && !turn->answered;
}

// The request is over: its answer's memory and charge are given back, the arena is emptied, the
// turn may begin another one. Never while it owes.
void http_turn_end(HttpTurn *turn);

// What this floor itself says in answer to a request it refuses: JSON. `reason` is a literal of
// ours.
void http_refusal_body(int status, const char *reason, Builder *out);

// The answer is 101 and the connection becomes this; inside on_request.
void http_turn_upgrade(HttpTurn *turn, struct WebSocket *socket, Text accept);

// Makes the turn's answer of a response, whose body is taken over. On the exchange's arena.
void http_turn_answer(HttpTurn *turn, HttpResponse *response);
const HttpHeader *http_turn_copy_headers(const HttpHeader *headers, size_t count, Arena *arena);

// The bytes to send behind the head; empty when the method or status allow none.
Text http_turn_body(const HttpTurn *turn);
