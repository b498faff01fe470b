// The plain transport: the socket itself.

#include "net/transport.h"

void transport_begin(Transport *transport, Socket socket) {
    *transport = (Transport){.socket = socket};
}

void transport_end(Transport *transport) {
    *transport = (Transport){.socket = SOCKET_NONE};
}

TransportResult transport_handshake(Transport *transport, Error *err) {
    return TRANSPORT_DONE;
}

TransportProtocol transport_protocol(const Transport *transport) {
    return TRANSPORT_PROTOCOL_NONE;
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

TransportResult transport_read(Transport *transport, void *into, size_t len, size_t *count,
                               bool *empty, Error *err) {
    transport->wants_write = false;
    SocketResult result = socket_read(transport->socket, into, len, count, err);
    // Level-triggered: what is still there is told again, so a short read is enough to stop.
    *empty = result == SOCKET_AGAIN || *count < len;
    return result_from(result);
}

TransportResult transport_write(Transport *transport, const SocketPart *parts, size_t part_count,
                                size_t *count, Error *err) {
    transport->wants_write = true;
    return result_from(socket_write(transport->socket, parts, part_count, count, err));
}

bool transport_has_more(const Transport *transport) {
    return false;
}

void transport_shut(Transport *transport) {
    socket_shut_write(transport->socket);
}
