// The handshake, as a protocol of its own: until it is over there is nothing else to say.

#include "base/log.h"
#include "net/http_connection.h"

void http_connection_choose(HttpConnection *c) {
    if (transport_protocol(&c->transport) == TLS_PROTOCOL_HTTP2) {
        http2_connection_begin(c, BYTES_NONE);
    } else {
        http1_begin(c);
    }
    http_connection_interest(c, true, false);
    c->may_read = true;
    c->protocol->run(c);
}

// The alert that says why must not be lost to a reset: their bytes are read to the end.
static void step_linger(HttpConnection *c) {
    UNFILLED uint8_t scratch[4 * KB];
    for (int i = 0; i < HTTP_READS_PER_EVENT; i++) {
        size_t count;
        Error ignored;
        SocketResult result =
            socket_read(c->source.socket, scratch, sizeof scratch, &count, &ignored);
        if (result == SOCKET_AGAIN) return;
        if (result != SOCKET_DONE) {
            http_connection_free(c);
            return;
        }
    }
}

static void fail(HttpConnection *c, const Error *err) {
    http_count(&c->loop->tls_failed, 1);
    if (transport_become_plain(&c->transport)) {
        http1_begin(c);
        http1_refuse(c, 400, "This port speaks TLS: use https.");
        c->protocol->run(c);
        return;
    }
    log_debug("a TLS handshake failed", LOG_TEXT("peer", text_from_cstring(c->peer)), LOG_ERR(err));
    c->handshake_failed = true;
    socket_shut_write(c->source.socket);
    http_connection_interest(c, true, false);
    http_connection_deadline(c, http_connection_now_ms(c) + HTTP_LINGER_MS);
    step_linger(c);
}

static void run(HttpConnection *c) {
    if (c->handshake_failed) {
        step_linger(c);
        return;
    }
    Error err = {0};
    switch (transport_handshake(&c->transport, &err)) {
        case TRANSPORT_DONE:
            http_count(&c->loop->tls_handshakes, 1);
            http_connection_choose(c);
            return;
        case TRANSPORT_AGAIN:
            http_connection_interest(c, !c->transport.wants_write, c->transport.wants_write);
            return;
        case TRANSPORT_CLOSED:
            http_count(&c->loop->tls_failed, 1);
            http_connection_free(c);
            return;
        case TRANSPORT_FAILED:
            fail(c, &err);
            return;
    }
}

static void on_timer(HttpConnection *c) {
    if (!c->handshake_failed) http_count(&c->loop->tls_failed, 1);
    http_connection_free(c);
}

static bool owes(const HttpConnection *c) {
    return false;
}

static void on_free(HttpConnection *c) {}

const HttpProtocol http_handshake_protocol = {run,  on_timer, http_connection_free,
                                              owes, NULL,     on_free};

void http_handshake_begin(HttpConnection *c) {
    c->protocol = &http_handshake_protocol;
    http_connection_deadline(c,
                             http_connection_now_ms(c) + http_connection_limits(c)->header_time_ms);
}
