// Plain, the transport is the socket itself; under TLS it is a stream of tls.h.

#include "net/transport.h"

void transport_begin(Transport *transport, Socket socket, TlsStream *tls) {
    *transport = (Transport){.socket = socket, .tls = tls};
}

void transport_end(Transport *transport) {
    tls_stream_free(&transport->tls);
    *transport = (Transport){.socket = SOCKET_NONE};
}

static TransportResult result_from(SocketResult result) {
    switch (result) {
        case SOCKET_DONE:
            return TRANSPORT_DONE;
        case SOCKET_AGAIN:
            return TRANSPORT_AGAIN;
        case SOCKET_CLOSED:
            return TRANSPORT_CLOSED;
        case SOCKET_FAILED:
            break;
    }
    return TRANSPORT_FAILED;
}

static TransportResult result_from_tls(Transport *transport, TlsResult result) {
    transport->wants_write = result == TLS_WANTS_WRITE;
    switch (result) {
        case TLS_DONE:
            return TRANSPORT_DONE;
        case TLS_WANTS_READ:
        case TLS_WANTS_WRITE:
            return TRANSPORT_AGAIN;
        case TLS_CLOSED:
            return TRANSPORT_CLOSED;
        case TLS_FAILED:
            break;
    }
    return TRANSPORT_FAILED;
}

TransportResult transport_handshake(Transport *transport, Error *err) {
    if (transport->tls == NULL) return TRANSPORT_DONE;
    return result_from_tls(transport, tls_stream_handshake(transport->tls, err));
}

TlsProtocol transport_protocol(const Transport *transport) {
    return transport->tls == NULL ? TLS_PROTOCOL_NONE : tls_stream_protocol(transport->tls);
}

bool transport_become_plain(Transport *transport) {
    if (transport->tls == NULL || !tls_stream_met_plain_text(transport->tls)) return false;
    tls_stream_free(&transport->tls);
    return true;
}

TransportResult transport_read(Transport *transport, void *into, size_t len, size_t *count,
                               bool *empty, Error *err) {
    if (transport->tls != NULL) {
        TlsResult result = tls_stream_read(transport->tls, into, len, count, err);
        *empty = result != TLS_DONE;  // a record may end short of what is there
        return result_from_tls(transport, result);
    }
    transport->wants_write = false;
    SocketResult result = socket_read(transport->socket, into, len, count, err);
    // Level-triggered: what is still there is told again, so a short read is enough to stop.
    *empty = result == SOCKET_AGAIN || *count < len;
    return result_from(result);
}

TransportResult transport_write(Transport *transport, const SocketPart *parts, size_t part_count,
                                size_t *count, Error *err) {
    transport->wants_write = true;
    if (transport->tls == NULL)
        return result_from(socket_write(transport->socket, parts, part_count, count, err));
    TlsResult result = TLS_DONE;
    *count = 0;
    for (size_t i = 0; i < part_count && result == TLS_DONE; i++) {
        size_t moved;
        result = tls_stream_write(transport->tls, parts[i].at, parts[i].len, &moved, err);
        *count += moved;
        if (moved < parts[i].len) break;
    }
    // What was moved counts; what stopped it will be said again.
    if (*count > 0) result = TLS_DONE;
    return result_from_tls(transport, result);
}

bool transport_has_more(const Transport *transport) {
    return transport->tls != NULL && tls_stream_has_more(transport->tls);
}

void transport_shut(Transport *transport) {
    if (transport->tls != NULL) tls_stream_shut(transport->tls);
    socket_shut_write(transport->socket);
}
