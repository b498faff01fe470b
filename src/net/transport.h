// Private to src/net: a stream of bytes over a socket, plain or (later) under TLS.
//
// Nothing blocks. The socket belongs to the transport's owner, who watches and closes it. One
// thread.
#pragma once

#include "base/error.h"
#include "os/socket.h"

typedef enum TransportResult {
    TRANSPORT_DONE,
    TRANSPORT_AGAIN,   // nothing moved; `wants_write` says what to wait for
    TRANSPORT_CLOSED,  // the other side is gone, or (reading) has ended its stream
    TRANSPORT_FAILED   // broken; `err` says how
} TransportResult;

// What the two sides agreed on by ALPN.
typedef enum TransportProtocol {
    TRANSPORT_PROTOCOL_NONE,  // nothing said: the first bytes tell
    TRANSPORT_PROTOCOL_HTTP1,
    TRANSPORT_PROTOCOL_HTTP2
} TransportProtocol;

typedef struct Transport {
    Socket socket;
    bool wants_write;  // after AGAIN: wait until the socket takes bytes, not until it has some
} Transport;

void transport_begin(Transport *transport, Socket socket);
void transport_end(Transport *transport);  // the memory of it, not the socket

// Until DONE before anything is read or written.
TransportResult transport_handshake(Transport *transport, Error *err);
TransportProtocol transport_protocol(const Transport *transport);  // after the handshake

// *count bytes were moved when DONE. *empty: the socket has no more for now, as far as one can
// tell.
TransportResult transport_read(Transport *transport, void *into, size_t len, size_t *count,
                               bool *empty, Error *err);
TransportResult transport_write(Transport *transport, const SocketPart *parts, size_t part_count,
                                size_t *count, Error *err);

// Are there bytes that were taken from the socket and not read? No poller tells of those.
bool transport_has_more(const Transport *transport);

void transport_shut(Transport *transport);  // no more will be written; theirs may still come
