// WebSocket (RFC 6455) on a connection that began with HTTP/1.1: messages both ways until one side
// closes. No extensions, no subprotocols.
//
//   on_request ─ websocket_upgrade ─> 101 ─> on_message … ─> on_close
//                                     any thread: websocket_send, websocket_close
//
// Callbacks run on the connection's loop and must not block. The WebSocket belongs to whoever
// upgraded and to the connection: it lives until websocket_free was called and the connection is
// gone, in either order. A client that does not read fills a buffer with a limit, then
// websocket_send says no; one that says nothing is asked (ping) and cut when it does not answer.
#pragma once

#include "net/http.h"
#include "net/websocket_frames.h"

typedef struct WebSocket WebSocket;

typedef struct WebSocketHandler {
    void *context;
    // A whole message; `message` is valid during the call. Texts are UTF-8.
    void (*on_message)(void *context, WebSocket *socket, Text message, bool is_text);
    // Once, the last call: closed by either side, or lost. `code` is theirs, 1006 when none came.
    void (*on_close)(void *context, WebSocket *socket, int code);
} WebSocketHandler;

typedef struct WebSocketLimits {
    size_t message_bytes;  // of theirs
    size_t out_bytes;      // of ours that wait to be taken
    int64_t ping_ms;       // silence after which they are asked, and after as much again are cut
} WebSocketLimits;

WebSocketLimits websocket_limits_default(void);  // base/limits.def

// Does this request ask for an upgrade to WebSocket?
bool websocket_is_asked(const HttpExchange *exchange);

// Answers the exchange with 101; only inside on_request, instead of http_respond. BAD_INPUT with
// what is wrong with the request, UNSUPPORTED for another version of WebSocket or HTTP: then the
// exchange still wants its answer (400; 426 with `Sec-WebSocket-Version: 13` for UNSUPPORTED).
must_use bool websocket_upgrade(HttpExchange *exchange, const WebSocketHandler *handler,
                                WebSocketLimits limits, WebSocket **out, Error *err);

// A text message; it is copied. False: closed, or too much waits already and the message is
// dropped. Any thread.
bool websocket_send(WebSocket *socket, Text message);
void websocket_close(WebSocket *socket, int code, Text reason);  // any thread; again is fine
bool websocket_is_open(const WebSocket *socket);                 // any thread

// The owner's share; closes it (1001) when it is open. NULL is fine. Any thread.
void websocket_free(WebSocket **socket);
