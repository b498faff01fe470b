// An HTTP server, 1.1 and 2: loops, connections, exchanges. It knows nothing of what is served.
//
// Each loop is a thread with its own listener on the same port (SO_REUSEPORT). A connection lives
// and dies on one loop. Under HTTP/1.1 it serves one request at a time and pipelined ones wait in
// its buffer; under HTTP/2 many, each on a stream. For each request the handler is called on that
// loop:
//
//   on_head     headers are here, the body is not: authenticate, find the route, set the body limit
//   on_request  the body is here, whole
//   on_gone     the client left while the answer was pending
//
// The answer is given with http_respond, at once or later, from any thread, exactly once. Until
// then the exchange and everything it shows stay valid, also after on_gone; under HTTP/1.1 nothing
// more is read from the connection meanwhile. ALPN or the first bytes of a connection choose the
// protocol.
#pragma once

#include "base/budget.h"
#include "base/error.h"
#include "net/http_parse.h"
#include "net/loop.h"
#include "net/tls.h"

typedef struct HttpExchange HttpExchange;
struct HttpExchange {
    HttpHead head;
    Bytes body;              // from on_request on
    Text peer;               // "192.0.2.7:51234"
    Arena *arena;            // for what lives as long as this exchange; used by who owes the answer
    int loop;                // index of the loop, from 0
    int64_t started_ns;      // monotonic, when the head was complete
    int64_t body_bytes_max;  // on_head may lower or raise it
    // on_head sets it when it accepts without having been told who asks: then this request does not
    // make the connection a known one, and what strangers may hold goes on to count.
    bool anonymous;
    void *state;  // the handler's, for this exchange; NULL at on_head

    // The handler's, for the whole connection; `user_free` is called on its loop when it ends.
    void *user;
    void (*user_free)(void *user);
};

typedef struct HttpHandler {
    void *context;
    // True: read the body, then on_request. False: refused; http_respond was called or will be, and
    // the body is thrown away. NULL accepts all.
    bool (*on_head)(void *context, HttpExchange *exchange);
    void (*on_request)(void *context, HttpExchange *exchange);
    // on_head said true, but on_request will not come: the client left, or its body was refused.
    // Give back what on_head took. NULL is fine.
    void (*on_drop)(void *context, HttpExchange *exchange);
    // At most once, on the loop, between on_request (or on_head) and the answer: end it soon, then
    // call http_respond as ever. It may run while another thread is just answering, so what it
    // touches lies on the exchange's arena, which the loop frees only later. NULL is fine.
    void (*on_gone)(void *context, HttpExchange *exchange);
    // Once for each http_stream_park that said FULL, on the loop: there is room again, or the
    // client left (after on_gone). It must not wait. NULL when nobody parks.
    void (*on_room)(void *context, HttpExchange *exchange);
} HttpHandler;

typedef struct HttpResponse {
    int status;
    const HttpHeader *headers;  // copied; Content-Length and Connection are added, never given
    size_t header_count;
    // Behind the body (gRPC's status). Copied; names in lower case. HTTP/1.1 does not send them.
    const HttpHeader *trailers;
    size_t trailer_count;
    Builder body;     // moved in and freed once sent
    Text text;        // when `body` is empty: bytes that outlive the exchange or lie in its arena
    Budget *budget;   // where the memory of `body` is reserved: released when it was sent or the
                      // client left; NULL: nowhere
    int64_t charged;  // so many bytes
    bool close;       // close the connection after it
} HttpResponse;

// Answers. From the loop's own thread or any other. `response->body` is taken over. The exchange
// must not be touched afterwards (inside on_head and on_request: until they return it stays
// readable).
void http_respond(HttpExchange *exchange, HttpResponse *response);

// ---- Answers in pieces ----
//
// For a body that is not to be held whole. In place of http_respond, from a thread that is no
// loop's: begin, give any number of times, end, in this order. HTTP/1.1 sends it chunked, HTTP/1.0
// ends it with the connection. A GET or POST, never HEAD.
//
// Until the end the answer is owed as ever: the exchange and what it shows stay, but for its arena,
// which is the loop's from the beginning on; and on_gone may come. What waits for the client is at
// most LIMIT_HTTP_STREAM_BYTES and a piece; who gives more all the same makes it more.

typedef enum HttpRoom {
    HTTP_ROOM,
    HTTP_FULL,  // the client has not taken what waits already
    HTTP_GONE   // it left: nothing more will be sent; end it
} HttpRoom;

// The head of the answer; `body`, `text` and trailers are empty.
void http_stream_begin(HttpExchange *exchange, HttpResponse *head);
// Takes the bytes of `piece` over (not when GONE) and leaves it empty, maybe with other memory.
HttpRoom http_stream_give(HttpExchange *exchange, Builder *piece);
// Waits for room; FULL when there was none for `wait_ms`.
HttpRoom http_stream_wait(HttpExchange *exchange, int64_t wait_ms);
// FULL: on_room will be called, and until then the caller leaves the exchange alone. Else it goes
// on at once.
HttpRoom http_stream_park(HttpExchange *exchange);
// The exchange must not be touched afterwards. Not `whole`: the client is told that something is
// missing, by a connection that is cut (a stream that is reset). Trailers are copied; names in
// lower case, announced by the head's Trailer.
void http_stream_end(HttpExchange *exchange, bool whole, const HttpHeader *trailers, size_t count);

bool http_is_gone(const HttpExchange *exchange);            // any thread that owes the answer
Text http_header(const HttpExchange *exchange, Text name);  // TEXT_NONE when there is none
const char *http_status_text(int status);                   // "Not Found"; "" when unknown

// Of one HTTP/2 connection. 0 switches a limit off: for tests that show what it is good for.
typedef struct Http2Limits {
    int64_t streams;            // open at once; one counts until its handler is done
    int64_t stranger_streams;   // the same until a request was accepted; then also their heads
                                // together are at most header_list_bytes
    int64_t header_list_bytes;  // names and values and 32 bytes each (RFC 9113, 6.5.2)
    int64_t heads_bytes;        // of all streams that are open
    int64_t continuations;      // CONTINUATION frames behind one HEADERS
    int64_t window_bytes;       // a stream may send so much ahead
    int64_t connection_window_bytes;  // all streams together
    int64_t bodies_bytes;             // bodies held at once; beyond it windows stay closed
    int64_t resets;                   // theirs and ours, within …
    int64_t resets_window_ms;         // … so long
    int64_t settings_per_s;
    int64_t pings_per_s;    // beside one for every answer: gRPC measures its bandwidth so
    int64_t useless_per_s;  // frames that bring nothing: PRIORITY, empty DATA, unknown ones
} Http2Limits;

typedef struct HttpLimits {
    HttpParseLimits parse;
    int64_t header_time_ms;  // from the first byte (or accept) to the whole head
    int64_t idle_time_ms;    // between requests
    int64_t body_window_ms;  // in every window of this length a body must bring …
    int64_t body_rate_min;   // … this many bytes per second
    int64_t body_bytes;      // default of HttpExchange.body_bytes_max
    int64_t keep_alive_requests;
    int64_t answer_window_ms;  // in every window of this length an answer must be taken …
    int64_t answer_rate_min;   // … at this many bytes per second
    int64_t stream_bytes;      // of an answer in pieces, that may wait to be taken
    int64_t connections;       // of the whole server; 503 beyond
    int64_t connections_per_address;
    int64_t connections_loopback;  // the same for addresses of this machine
    // A stranger is a connection that has had no request accepted by on_head.
    int64_t strangers_percent;     // of connections and descriptors; beyond, the oldest is closed
    int64_t stranger_time_ms;      // so long may one be a stranger
    int64_t stranger_heads_bytes;  // for long heads of all strangers, beyond 32 KiB each
    Http2Limits http2;
} HttpLimits;

HttpLimits http_limits_default(void);  // base/limits.def

typedef struct HttpServerOptions {
    Clock *clock;
    const Address *addresses;
    size_t address_count;
    int loop_count;
    HttpLimits limits;
    HttpHandler handler;
    TlsServer *tls;  // made for `loop_count` loops, outlives the server; NULL: plain
} HttpServerOptions;

typedef struct HttpServer HttpServer;

// Listens and serves until http_server_stop. IN_USE when an address is taken. `*out` is there
// before the first handler runs.
must_use bool http_server_start(const HttpServerOptions *options, HttpServer **out, Error *err);

uint16_t http_server_port(const HttpServer *server,
                          size_t address);  // the real one where 0 was asked for
Loop *http_server_loop(HttpServer *server, int index);

// Stops accepting, lets what is in flight be answered (with Connection: close), and cuts what is
// left after `deadline_ms`. Returns once every connection is closed and every exchange answered: a
// handler that never answers holds it up, on_gone tells it to hurry. Once; not from a loop.
void http_server_stop(HttpServer *server, int64_t deadline_ms);
void http_server_free(HttpServer **server);  // after stop (stops at once otherwise); NULL is fine

// Why HTTP/2 connections are ended with GOAWAY, as counted.
typedef enum Http2Goaway {
    HTTP2_GOAWAY_DRAIN,     // stopping, or idle
    HTTP2_GOAWAY_PROTOCOL,  // the client broke the protocol
    HTTP2_GOAWAY_RESETS,    // too many streams reset, by them or because of them
    HTTP2_GOAWAY_HEADERS,   // endless or enormous header blocks
    HTTP2_GOAWAY_CONTROL,   // floods of SETTINGS, PING and frames that bring nothing
    HTTP2_GOAWAY_SLOW,      // heads that do not end
    HTTP2_GOAWAY_COUNT
} Http2Goaway;

typedef struct HttpStats {
    int64_t connections;           // open now
    int64_t connections_accepted;  // ever
    int64_t connections_refused;   // 503 for too many, of all or of one address
    int64_t address_refused;       // of those: by the quota of an address
    int64_t strangers;             // open now, no request accepted yet
    int64_t strangers_evicted;     // closed for newer ones
    int64_t strangers_expired;     // closed because their time was over
    int64_t readers_cut;           // closed because an answer was taken too slowly
    int64_t accept_errors;         // EMFILE and kin
    int64_t tls_handshakes;        // that came to an end
    int64_t tls_failed;            // handshakes that did not
    int64_t requests;              // heads read whole
    int64_t refused;               // answered by this floor: malformed, too large, too slow
    int64_t bytes_in, bytes_out;
    // Of HTTP/2 alone; its requests are also among `requests`.
    int64_t http2_sessions, http2_streams, http2_resets_received, http2_resets_sent;
    int64_t http2_goaways[HTTP2_GOAWAY_COUNT];
} HttpStats;

HttpStats http_server_stats(const HttpServer *server);  // any thread
