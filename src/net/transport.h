// Private to src/net: a stream of bytes over a socket, plain or under TLS.
//
// Nothing blocks. The socket belongs to the transport's owner, who watches and closes it. One
// thread.
#pragma once

#include "net/tls.h"

typedef enum TransportResult {
    TRANSPORT_DONE,
    TRANSPORT_AGAIN,   // nothing moved; `wants_write` says what to wait for
    TRANSPORT_CLOSED,  // the other side is gone, or (reading) has ended its stream
    TRANSPORT_FAILED   // broken; `err` says how
} TransportResult;

typedef struct Transport {
    Socket socket;
    TlsStream *tls;    // NULL: plain
    bool wants_write;  // after AGAIN: wait until the socket takes bytes, not until it has some
} Transport;

// `tls` is taken over; NULL: plain.
void transport_begin(Transport *transport, Socket socket, TlsStream *tls);
void transport_end(Transport *transport);  // the memory of it, not the socket

// Until DONE before anything is read or written.
TransportResult transport_handshake(Transport *transport, Error *err);
TlsProtocol transport_protocol(const Transport *transport);  // by ALPN, after the handshake
// The handshake failed because the other side spoke no TLS: from now on neither do we. False: it
// did.
bool transport_become_plain(Transport *transport);

// *count bytes were moved when DONE. *empty: the socket has no more for now, as far as one can
// tell.
TransportResult transport_read(Transport *transport, void *into, size_t len, size_t *count,
                               bool *empty, Error *err);
TransportResult transport_write(Transport *transport, const SocketPart *parts, size_t part_count,
                                size_t *count, Error *err);

// Are there bytes that were taken from the socket and not read? No poller tells of those.
bool transport_has_more(const Transport *transport);

void transport_shut(Transport *transport);  // no more will be written; theirs may still come
