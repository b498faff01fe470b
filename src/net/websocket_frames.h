// Frames of WebSocket (RFC 6455 5), the server's side: bytes into messages, and messages into
// bytes. Pure: no socket, no clock.
//
// What comes is masked, fragmented, mixed with control frames and cut anywhere. Nothing is given
// memory because a frame says that it is long: a message takes what has arrived, and one that says
// more than the limit ends the connection before it is read.
#pragma once

#include "base/text.h"

enum { WEBSOCKET_CONTROL_MAX = 125 };

// Codes of the close frame that we send (RFC 6455 7.4.1).
enum {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNACCEPTABLE = 1003,
    WEBSOCKET_NO_CODE = 1005,  // never sent: their close frame was empty
    WEBSOCKET_BAD_TEXT = 1007,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_LARGE = 1009,
};

typedef enum WebSocketOpcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
} WebSocketOpcode;

typedef enum WebSocketEvent {
    WEBSOCKET_EVENT_MORE,     // all bytes are used up
    WEBSOCKET_EVENT_MESSAGE,  // `payload`, a whole message; `opcode` is TEXT or BINARY
    WEBSOCKET_EVENT_PING,     // to be answered with `payload`
    WEBSOCKET_EVENT_PONG,
    WEBSOCKET_EVENT_CLOSE,  // theirs, with `code` and `payload` as the reason
    WEBSOCKET_EVENT_FAILED  // the connection must end with `code`; `reason` is a literal
} WebSocketEvent;

// One direction of one connection. Begins with {.message_max = …}; websocket_reader_free ends it.
typedef struct WebSocketReader {
    size_t message_max;

    uint8_t head[14];
    size_t head_len;
    bool in_payload;
    bool final;
    WebSocketOpcode frame;  // being read
    uint8_t mask[4];
    uint64_t payload_len, payload_done;
    WebSocketOpcode message;  // CONTINUATION: none is open
    Builder text;             // of the message, as far as it came
    bool message_given;       // by the last event; it ends with the next call
    uint8_t control[WEBSOCKET_CONTROL_MAX];

    // Of the last event; valid until the next call.
    Bytes payload;
    WebSocketOpcode opcode;
    int code;
    const char *reason;
} WebSocketReader;

void websocket_reader_free(WebSocketReader *reader);

// Takes bytes off the front of `*input` until an event. After FAILED and CLOSE nothing may follow.
WebSocketEvent websocket_read(WebSocketReader *reader, Bytes *input);

// One unmasked frame behind `out`.
void websocket_write(WebSocketOpcode opcode, Bytes payload, Builder *out);
void websocket_write_close(int code, Text reason, Builder *out);  // the reason is cut to fit
