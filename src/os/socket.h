// Sockets and readiness: TCP, UDP, epoll, eventfd. Everything is non-blocking.
#pragma once

#include "base/error.h"
#include "base/text.h"

typedef struct Socket {
    int fd;  // -1: none
} Socket;

#define SOCKET_NONE ((Socket){-1})

typedef struct Address {
    Text text;      // "127.0.0.1:4310" or "[::1]:4310", on the caller's arena
    bool loopback;  // 127.0.0.0/8 or ::1
    uint16_t port;
} Address;

// Checks "ADDR:PORT" ("[v6]:PORT"; a bare ":PORT" or "localhost:PORT" is loopback); BAD_INPUT says
// what is wrong with it.
must_use bool address_parse(Text text, Arena *arena, Address *out, Error *err);

// Listens; with `share` several loops may listen on the same port (SO_REUSEPORT). Port 0 takes any
// free one; socket_port() says which. ERROR_IN_USE when the port is taken.
must_use bool socket_listen(Address address, bool share, Socket *out, Error *err);
must_use bool socket_port(Socket socket, uint16_t *out, Error *err);

// Whom a peer's address stands for: an IPv4 address, or the /64 of an IPv6 one (whoever has one
// address of those has all).
typedef struct AddressNetwork {
    uint8_t at[16];
    bool loopback;
} AddressNetwork;

// `peer` as socket_accept wrote it; what cannot be read is the network of zeros.
AddressNetwork address_network(Text peer);

typedef enum SocketResult { SOCKET_DONE, SOCKET_AGAIN, SOCKET_CLOSED, SOCKET_FAILED } SocketResult;

// One connection (with TCP_NODELAY, close-on-exec, non-blocking). `peer` gets the address as text
// (NUL-terminated, at most `peer_size`). FAILED with EMFILE is TOO_MANY in `err`.
SocketResult socket_accept(Socket listener, Socket *out, char *peer, size_t peer_size, Error *err);
// *count bytes were moved when DONE.
SocketResult socket_read(Socket socket, void *into, size_t len, size_t *count, Error *err);
// UDP: takes datagrams sent to the address; port 0 and ERROR_IN_USE as above.
must_use bool socket_bind_datagrams(Address address, Socket *out, Error *err);
// One datagram, cut to `len` bytes; an empty one is DONE with no bytes. `peer` as in socket_accept.
SocketResult socket_receive(Socket socket, void *into, size_t len, size_t *count, char *peer,
                            size_t peer_size, Error *err);
typedef struct SocketPart {
    const void *at;
    size_t len;
} SocketPart;
SocketResult socket_write(Socket socket, const SocketPart *parts, size_t part_count, size_t *count,
                          Error *err);
// How many written bytes the other side has not acknowledged yet; 0 when that cannot be told.
int64_t socket_unsent(Socket socket);
// Blocking connect for the command-line client, with a time limit.
must_use bool socket_connect(Text host, uint16_t port, int64_t timeout_ms, Socket *out, Error *err);
// Waits until readable (or writable); false with TIMEOUT when the time is over. For clients.
must_use bool socket_wait(Socket socket, bool for_write, int64_t timeout_ms, Error *err);
void socket_shut_write(Socket socket);
void socket_close(Socket *socket);
// At once, with a reset: what was written and not taken is thrown away, and the kernel's memory of
// it comes back. (After socket_close the kernel goes on offering it, for minutes.)
void socket_abort(Socket *socket);

// Readiness of many sockets (epoll, level-triggered).
typedef struct Poller Poller;
typedef struct PollEvent {
    void *tag;
    bool readable, writable, hung_up;
} PollEvent;
must_use bool poller_open(Poller **out, Error *err);
void poller_close(Poller **poller);
must_use bool poller_add(Poller *poller, Socket socket, void *tag, bool read, bool write,
                         Error *err);
must_use bool poller_change(Poller *poller, Socket socket, void *tag, bool read, bool write,
                            Error *err);
void poller_remove(Poller *poller, Socket socket);
// At most `max` events; waits up to `timeout_ms` (-1: for ever). Wakes up by poller_wake too.
must_use bool poller_wait(Poller *poller, PollEvent *events, size_t max, int64_t timeout_ms,
                          size_t *count, Error *err);
void poller_wake(Poller *poller);  // any thread, any number of times

// Tests: the n-th call of this kind from now fails with `number` (an errno), or is cut to one byte
// when `number` is 0. One plan for the process; nth 0 switches it off.
typedef enum SocketCall {
    SOCKET_CALL_ACCEPT,
    SOCKET_CALL_READ,
    SOCKET_CALL_WRITE,
    SOCKET_CALL_POLL,
    SOCKET_CALL_COUNT
} SocketCall;
void socket_fail_after(SocketCall call, uint64_t nth, bool for_ever, int number);
