// A WebSocket: the handshake, the protocol on the connection, and an outbox that any thread fills.
//
//   any thread: websocket_send ─> frame into `outbox` (under the lock) ─ loop_post ─┐
//   loop:       connection `out` <── outbox <── deliver <───────────────────────────┘

#include "net/websocket.h"

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "net/http_connection.h"

enum { CODE_LOST = 1006, CLOSE_WAIT_MS = 2000 };

struct WebSocket {
    _Atomic int shares;  // the owner's, the connection's, and one for each message in the inbox
    Loop *loop;
    WebSocketHandler handler;
    WebSocketLimits limits;

    Mutex lock;  // LOCK_WEBSOCKET, over these
    Builder outbox;
    bool posted;    // `deliver` is on its way
    bool finished;  // our close frame is in the outbox, or was; nothing may follow
    _Atomic bool open;

    // Of the loop:
    HttpConnection *connection;  // NULL: gone
    WebSocketReader reader;
    int64_t heard_ms;
    bool asked;            // a ping is unanswered
    bool close_heard;      // theirs came
    bool told;             // on_close was called
    int64_t close_end_ms;  // when we stop waiting for theirs; 0: ours was not sent
};

WebSocketLimits websocket_limits_default(void) {
    return (WebSocketLimits){
        .message_bytes = (size_t)LIMIT_WEBSOCKET_MESSAGE_BYTES,
        .out_bytes = (size_t)LIMIT_WEBSOCKET_OUT_BYTES,
        .ping_ms = LIMIT_WEBSOCKET_PING_MS,
    };
}

static void share_end(WebSocket *socket) {
    if (atomic_fetch_sub(&socket->shares, 1) > 1) return;
    websocket_reader_free(&socket->reader);
    builder_free(&socket->outbox);
    mutex_end(&socket->lock);
    memory_free(socket);
}

// ---- Sending ----

static void deliver(void *context);

// The lock is held. What waits will be written by the loop.
static void post(WebSocket *socket) {
    if (socket->posted) return;
    socket->posted = true;
    atomic_fetch_add(&socket->shares, 1);
    loop_post(socket->loop, deliver, socket);
}

static bool add_frame(WebSocket *socket, WebSocketOpcode opcode, Text payload) {
    mutex_take(&socket->lock);
    bool ok = atomic_load(&socket->open) && !socket->finished &&
              socket->outbox.len + payload.len <= socket->limits.out_bytes;
    if (ok) {
        websocket_write(opcode, text_bytes(payload), &socket->outbox);
        post(socket);
    }
    mutex_give(&socket->lock);
    return ok;
}

bool websocket_send(WebSocket *socket, Text message) {
    return add_frame(socket, WEBSOCKET_TEXT, message);
}

void websocket_close(WebSocket *socket, int code, Text reason) {
    mutex_take(&socket->lock);
    if (atomic_load(&socket->open) && !socket->finished) {
        websocket_write_close(code, reason, &socket->outbox);
        socket->finished = true;
        post(socket);
    }
    mutex_give(&socket->lock);
}

bool websocket_is_open(const WebSocket *socket) {
    return atomic_load(&socket->open);
}

void websocket_free(WebSocket **socket) {
    if (*socket == NULL) return;
    websocket_close(*socket, WEBSOCKET_GOING_AWAY, TEXT(""));
    share_end(TAKE(*socket));
}

// ---- On the loop ----

static void tell_closed(WebSocket *socket, int code) {
    if (socket->told) return;
    socket->told = true;
    // Under the lock: whoever saw it open has posted by then.
    mutex_take(&socket->lock);
    atomic_store(&socket->open, false);
    mutex_give(&socket->lock);
    socket->handler.on_close(socket->handler.context, socket, code);
}

// The outbox goes behind the connection's output, while that has room: what waits there is not
// counted by websocket_send. True: our close frame went with it. *rest: not all of it had room.
static bool empty_outbox(HttpConnection *c, WebSocket *socket, bool *rest) {
    bool finished = false;
    mutex_take(&socket->lock);
    *rest = c->out.len - c->out_at >= HTTP_OUT_MAX && socket->outbox.len > 0;
    if (c->out.len - c->out_at < HTTP_OUT_MAX) {
        builder_add(&c->out, builder_text(&socket->outbox));
        if (socket->outbox.capacity > HTTP_OUT_MAX) {
            builder_free(&socket->outbox);
        } else {
            builder_clear(&socket->outbox);
        }
        finished = socket->finished;
    }
    mutex_give(&socket->lock);
    return finished;
}

// The connection must end for what they did.
static void fail(WebSocket *socket, int code, const char *reason) {
    websocket_close(socket, code, text_from_cstring(reason));
    tell_closed(socket, code);
}

static void on_event(WebSocket *socket, WebSocketEvent event) {
    WebSocketReader *reader = &socket->reader;
    Text payload = bytes_text(reader->payload);
    switch (event) {
        case WEBSOCKET_EVENT_MORE:
        case WEBSOCKET_EVENT_PONG:
            return;
        case WEBSOCKET_EVENT_MESSAGE:
            if (!socket->told)
                socket->handler.on_message(socket->handler.context, socket, payload,
                                           reader->opcode == WEBSOCKET_TEXT);
            return;
        case WEBSOCKET_EVENT_PING:
            // Who asks without reading our answers fills its own outbox.
            if (!add_frame(socket, WEBSOCKET_PONG, payload) && !socket->told)
                fail(socket, WEBSOCKET_POLICY, "answers are not read");
            return;
        case WEBSOCKET_EVENT_CLOSE:
            socket->close_heard = true;
            // The answer repeats their code (RFC 6455 5.5.1).
            websocket_close(socket,
                            reader->code == WEBSOCKET_NO_CODE ? WEBSOCKET_NORMAL : reader->code,
                            TEXT(""));
            tell_closed(socket, reader->code);
            return;
        case WEBSOCKET_EVENT_FAILED:
            socket->close_heard = true;  // nothing more is read
            fail(socket, reader->code, reader->reason);
            return;
    }
}

// False: the connection ended.
static bool read_some(HttpConnection *c) {
    WebSocket *socket = c->websocket;
    UNFILLED uint8_t piece[16 * KB];
    size_t count;
    if (!http_connection_read(c, piece, sizeof piece, &count)) return false;
    if (count == 0) return true;
    socket->heard_ms = http_connection_now_ms(c);
    socket->asked = false;
    Bytes input = {piece, count};
    while (!socket->close_heard) {
        WebSocketEvent event = websocket_read(&socket->reader, &input);
        if (event == WEBSOCKET_EVENT_MORE) break;
        on_event(socket, event);
    }
    return true;
}

static bool is_full(const HttpConnection *c) {
    return c->out.len - c->out_at >= HTTP_OUT_MAX;
}

// Our side is shut; theirs is read to its end, so that our close frame is not lost to a reset.
static void begin_linger(HttpConnection *c) {
    c->lingering = true;
    tell_closed(c->websocket, CODE_LOST);
    transport_shut(&c->transport);
    c->may_read = true;
    http_connection_interest(c, true, false);
    http_connection_deadline(c, http_connection_now_ms(c) + HTTP_LINGER_MS);
}

static void set_deadline(HttpConnection *c, bool finished) {
    WebSocket *socket = c->websocket;
    int64_t deadline_ms = socket->heard_ms + socket->limits.ping_ms * (socket->asked ? 2 : 1);
    if (finished && socket->close_end_ms == 0)
        socket->close_end_ms = http_connection_now_ms(c) + CLOSE_WAIT_MS;
    if (finished) deadline_ms = MIN(deadline_ms, socket->close_end_ms);
    if (c->window_end_ms > 0) deadline_ms = MIN(deadline_ms, c->window_end_ms);
    http_connection_deadline(c, deadline_ms);
}

static void run(HttpConnection *c) {
    WebSocket *socket = c->websocket;
    bool finished = false;
    for (;;) {
        if (!c->lingering) {
            bool rest = true;
            while (rest) {
                finished = empty_outbox(c, socket, &rest);
                if (!http_connection_flush(c)) return;
                rest = rest && !http_connection_has_output(c);
            }
            if (!http_connection_has_output(c) && finished && socket->close_heard) begin_linger(c);
        }
        if (!c->may_read || is_full(c)) break;
        if (!read_some(c)) return;
    }
    if (c->lingering) return;
    // Handlers have sent something since the outbox was emptied: it is posted.
    bool writing = http_connection_has_output(c);
    if (writing) http_connection_await_writing(c);
    http_connection_interest(c, !is_full(c), writing);
    set_deadline(c, finished);
}

static void deliver(void *context) {
    WebSocket *socket = context;
    mutex_take(&socket->lock);
    socket->posted = false;
    mutex_give(&socket->lock);
    HttpConnection *c = socket->connection;
    if (c != NULL) {
        c->reads_left = HTTP_READS_PER_EVENT;
        run(c);
    }
    share_end(socket);
}

static void on_timer(HttpConnection *c) {
    WebSocket *socket = c->websocket;
    int64_t silent_ms = http_connection_now_ms(c) - socket->heard_ms;
    bool finished = socket->close_end_ms > 0 && socket->close_end_ms <= http_connection_now_ms(c);
    bool slow = c->window_end_ms > 0 && http_connection_too_slow(c);
    if (c->lingering || slow || finished || silent_ms >= 2 * socket->limits.ping_ms) {
        http_connection_free(c);
        return;
    }
    if (silent_ms >= socket->limits.ping_ms && !socket->asked) {
        socket->asked = true;
        (void)add_frame(socket, WEBSOCKET_PING, TEXT(""));
    }
    run(c);
}

static void on_drain(HttpConnection *c) {
    websocket_close(c->websocket, WEBSOCKET_GOING_AWAY, TEXT("the server stops"));
}

static bool owes(const HttpConnection *c) {
    return false;
}

static void on_free(HttpConnection *c) {
    WebSocket *socket = c->websocket;
    socket->connection = NULL;
    tell_closed(socket, CODE_LOST);
    share_end(socket);
}

static const HttpProtocol websocket_protocol = {run, on_timer, on_drain, owes, NULL, on_free};

void websocket_connection_begin(HttpConnection *c, WebSocket *socket, Bytes first) {
    c->websocket = socket;
    c->protocol = &websocket_protocol;
    socket->connection = c;
    socket->heard_ms = http_connection_now_ms(c);
    atomic_fetch_add(&socket->shares, 1);
    while (!socket->close_heard) {
        WebSocketEvent event = websocket_read(&socket->reader, &first);
        if (event == WEBSOCKET_EVENT_MORE) break;
        on_event(socket, event);
    }
    c->may_read = true;
}

void websocket_lost(WebSocket *socket) {
    tell_closed(socket, CODE_LOST);
}

// ---- The handshake ----

static bool has_word(Text list, Text word) {
    for (Text item; text_cut(&list, ',', &item);) {
        if (text_equal_ignore_case(text_trim(item), word)) return true;
    }
    return false;
}

bool websocket_is_asked(const HttpExchange *exchange) {
    return has_word(http_header(exchange, TEXT("Upgrade")), TEXT("websocket"));
}

static bool check_request(const HttpExchange *exchange, Error *err) {
    const HttpTurn *turn = (const HttpTurn *)exchange;
    if (!turn->may_upgrade || exchange->head.version_minor == 0)
        return error_set(err, ERROR_UNSUPPORTED, "WebSocket begins with a request of HTTP/1.1");
    if (!text_equal(http_header(exchange, TEXT("Sec-WebSocket-Version")), TEXT("13")))
        return error_set(err, ERROR_UNSUPPORTED, "Sec-WebSocket-Version must be 13");
    if (exchange->head.method != HTTP_GET || exchange->body.len > 0)
        return error_set(err, ERROR_BAD_INPUT, "WebSocket begins with a GET without a body");
    if (!websocket_is_asked(exchange) ||
        !has_word(http_header(exchange, TEXT("Connection")), TEXT("upgrade")))
        return error_set(err, ERROR_BAD_INPUT,
                         "WebSocket needs `Connection: Upgrade` and `Upgrade: websocket`");
    return true;
}

// 16 bytes in base64: 22 letters and "==".
static bool check_key(Text key, Error *err) {
    bool ok = key.len == 24 && text_ends_with(key, TEXT("=="));
    for (size_t i = 0; ok && i < 22; i++) {
        char c = key.at[i];
        ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             c == '+' || c == '/';
    }
    return ok || error_set(err, ERROR_BAD_INPUT, "Sec-WebSocket-Key is not 16 bytes in base64");
}

// RFC 6455 4.2.2: base64(SHA-1(key + GUID)). Proof that we have read the request, nothing secret.
static bool accept_of(Text key, Arena *arena, Text *out, Error *err) {
    Text all = text_format(arena, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", TEXT_ARG(key));
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(all.at, all.len, digest, &len, EVP_sha1(), NULL) != 1)
        return error_set(err, ERROR_NO_MEMORY, "SHA-1 is not to be had");
    unsigned char *text = arena_push_array(arena, unsigned char, 32);
    int written = EVP_EncodeBlock(text, digest, (int)len);
    *out = (Text){(const char *)text, (size_t)written};
    return true;
}

bool websocket_upgrade(HttpExchange *exchange, const WebSocketHandler *handler,
                       WebSocketLimits limits, WebSocket **out, Error *err) {
    HttpTurn *turn = (HttpTurn *)exchange;
    Text key = http_header(exchange, TEXT("Sec-WebSocket-Key")), accept;
    TRY(check_request(exchange, err));
    TRY(check_key(key, err));
    TRY(accept_of(key, exchange->arena, &accept, err));
    assert(turn->in_handler && turn->owed && loop_is_current(turn->service->loop));
    WebSocket *socket = memory_new(WebSocket);
    *socket = (WebSocket){.loop = turn->service->loop,
                          .handler = *handler,
                          .limits = limits,
                          .reader = {.message_max = limits.message_bytes}};
    atomic_store(&socket->shares, 1);
    atomic_store(&socket->open, true);
    mutex_begin(&socket->lock, LOCK_WEBSOCKET);
    http_turn_upgrade(turn, socket, accept);
    *out = socket;
    return true;
}
