// TCP and UDP sockets, none of which ever blocks; waiting is done by a Poller or by socket_wait.

#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/call_fault.h"
#include "os/clock.h"
#include "os/socket_fault.h"

enum { LISTEN_BACKLOG = 1024, PARTS_MAX = 64 };

// One plan for the process, made of atomics so that the calls pay one load when there is none.
static _Atomic uint64_t fault_countdown[SOCKET_CALL_COUNT];
static _Atomic bool fault_for_ever;
static _Atomic int fault_number;

void socket_fail_after(SocketCall call, uint64_t nth, bool for_ever, int number) {
    for (size_t i = 0; i < SOCKET_CALL_COUNT; i++) atomic_store(&fault_countdown[i], 0);
    atomic_store(&fault_for_ever, for_ever);
    atomic_store(&fault_number, number);
    atomic_store(&fault_countdown[call], nth);
}

bool socket_fault(SocketCall call) {
    uint64_t left = atomic_load(&fault_countdown[call]);
    if (likely(left == 0)) return false;
    bool for_ever = atomic_load(&fault_for_ever);
    while (left > 0) {
        uint64_t next = left == 1 && for_ever ? 1 : left - 1;
        if (atomic_compare_exchange_weak(&fault_countdown[call], &left, next)) break;
    }
    if (left != 1) return false;
    errno = atomic_load(&fault_number);
    return true;
}

typedef union SocketAddress {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} SocketAddress;

static bool net_error(Error *err, ErrorCode otherwise, int number, const char *doing) {
    ErrorCode code = error_code_from_errno(number, otherwise);
    if (number == EMFILE || number == ENFILE) code = ERROR_TOO_MANY;
    if (number == ENOBUFS) code = ERROR_NO_MEMORY;
    return error_set(err, code, "%s: %s", doing, strerrordesc_np(number));
}

// The text was made by address_parse(), so it is well-formed.
static socklen_t socket_address_from(Address address, SocketAddress *out) {
    char host[INET6_ADDRSTRLEN + 2] = {0};
    size_t len = address.text.len;
    while (len > 0 && address.text.at[len - 1] != ':') len--;
    assert(len > 1 && len - 1 < sizeof host);
    *out = (SocketAddress){0};
    if (address.text.at[0] == '[') {
        memcpy(host, address.text.at + 1, len - 3);
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(address.port);
        int parsed = inet_pton(AF_INET6, host, &out->v6.sin6_addr);
        assert(parsed == 1);
        return sizeof out->v6;
    }
    memcpy(host, address.text.at, len - 1);
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(address.port);
    int parsed = inet_pton(AF_INET, host, &out->v4.sin_addr);
    assert(parsed == 1);
    return sizeof out->v4;
}

static bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static bool bind_error(Address address, int number, Error *err) {
    if (number == EADDRINUSE) {
        return error_set(err, ERROR_IN_USE,
                         "%.*s is taken by another program; choose another port or stop it",
                         TEXT_ARG(address.text));
    }
    net_error(err, ERROR_NETWORK, number, "listening");
    return error_context(err, "%.*s", TEXT_ARG(address.text));
}

bool socket_listen(Address address, bool share, Socket *out, Error *err) {
    SocketAddress where;
    socklen_t len = socket_address_from(address, &where);
    AUTO(socket_close)
    Socket listener = SOCKET_NONE;
    if (!call_fault(OS_CALL_LISTEN))
        listener.fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener.fd < 0) return net_error(err, ERROR_NETWORK, errno, "making a socket");
    // Connections of a run before linger in TIME_WAIT; they must not keep us from starting.
    bool ok = set_option(listener.fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (ok && share) ok = set_option(listener.fd, SOL_SOCKET, SO_REUSEPORT, 1);
    // [::] means IPv6 only: what a line of the configuration names is what is opened.
    if (ok && where.any.sa_family == AF_INET6)
        ok = set_option(listener.fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (!ok) return net_error(err, ERROR_NETWORK, errno, "setting up a socket");
    if (call_fault(OS_CALL_LISTEN) || bind(listener.fd, &where.any, len) != 0 ||
        listen(listener.fd, LISTEN_BACKLOG) != 0)
        return bind_error(address, errno, err);
    *out = listener;
    listener = SOCKET_NONE;
    return true;
}

bool socket_bind_datagrams(Address address, Socket *out, Error *err) {
    // A burst between two looks must fit; the kernel gives what net.core.rmem_max allows.
    enum { RECEIVE_BYTES = 4 * MB };
    SocketAddress where;
    socklen_t len = socket_address_from(address, &where);
    AUTO(socket_close)
    Socket bound = SOCKET_NONE;
    if (!call_fault(OS_CALL_LISTEN))
        bound.fd = socket(where.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bound.fd < 0) return net_error(err, ERROR_NETWORK, errno, "making a socket");
    if (where.any.sa_family == AF_INET6 && !set_option(bound.fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
        return net_error(err, ERROR_NETWORK, errno, "setting up a socket");
    (void)set_option(bound.fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
    if (call_fault(OS_CALL_LISTEN) || bind(bound.fd, &where.any, len) != 0)
        return bind_error(address, errno, err);
    *out = bound;
    bound = SOCKET_NONE;
    return true;
}

bool socket_port(Socket socket, uint16_t *out, Error *err) {
    SocketAddress where = {0};
    socklen_t len = sizeof where;
    if (getsockname(socket.fd, &where.any, &len) != 0)
        return net_error(err, ERROR_NETWORK, errno, "asking for the port");
    *out = ntohs(where.any.sa_family == AF_INET6 ? where.v6.sin6_port : where.v4.sin_port);
    return true;
}

// Cut to `size` with its NUL; an unknown family gives "".
static void write_peer(const SocketAddress *peer, char *into, size_t size) {
    if (size == 0) return;
    char host[INET6_ADDRSTRLEN];
    into[0] = '\0';
    if (peer->any.sa_family == AF_INET &&
        inet_ntop(AF_INET, &peer->v4.sin_addr, host, sizeof host) != NULL) {
        snprintf(into, size, "%s:%u", host, (unsigned)ntohs(peer->v4.sin_port));
    } else if (peer->any.sa_family == AF_INET6 &&
               inet_ntop(AF_INET6, &peer->v6.sin6_addr, host, sizeof host) != NULL) {
        snprintf(into, size, "[%s]:%u", host, (unsigned)ntohs(peer->v6.sin6_port));
    }
}

// Errors of a connection that broke before we took it: Linux passes them on through accept(2),
// whose page says to treat them as "again".
static bool broke_before_accept(int number) {
    return number == ECONNABORTED || number == EPROTO || number == ENETDOWN ||
           number == ENOPROTOOPT || number == EHOSTDOWN || number == ENONET ||
           number == EHOSTUNREACH || number == ENETUNREACH || number == ETIMEDOUT ||
           number == EPERM;
}

SocketResult socket_accept(Socket listener, Socket *out, char *peer, size_t peer_size, Error *err) {
    SocketAddress from = {0};
    socklen_t len = sizeof from;
    int fd;
    do {
        if (socket_fault(SOCKET_CALL_ACCEPT)) {
            fd = -1;
            if (errno == 0) errno = ECONNABORTED;
            break;
        }
        fd = accept4(listener.fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || broke_before_accept(errno))
            return SOCKET_AGAIN;
        net_error(err, ERROR_NETWORK, errno, "accepting a connection");
        return SOCKET_FAILED;
    }
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // slower without it, but not wrong
    write_peer(&from, peer, peer_size);
    *out = (Socket){fd};
    return SOCKET_DONE;
}

static bool is_gone(int number) {
    return number == ECONNRESET || number == EPIPE || number == ETIMEDOUT || number == ENOTCONN;
}

static SocketResult result_of(ssize_t count, size_t *moved, const char *doing, Error *err) {
    if (count >= 0) {
        *moved = (size_t)count;
        return SOCKET_DONE;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SOCKET_AGAIN;
    int number = errno;
    net_error(err, ERROR_NETWORK, number, doing);
    return is_gone(number) ? SOCKET_CLOSED : SOCKET_FAILED;
}

SocketResult socket_read(Socket socket, void *into, size_t len, size_t *count, Error *err) {
    *count = 0;
    if (len == 0) return SOCKET_DONE;
    ssize_t got;
    do {
        if (socket_fault(SOCKET_CALL_READ)) {
            if (errno != 0) return result_of(-1, count, "reading from a connection", err);
            len = 1;
        }
        got = recv(socket.fd, into, len, 0);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return SOCKET_CLOSED;
    return result_of(got, count, "reading from a connection", err);
}

SocketResult socket_receive(Socket socket, void *into, size_t len, size_t *count, char *peer,
                            size_t peer_size, Error *err) {
    *count = 0;
    SocketAddress from = {0};
    socklen_t from_len = sizeof from;
    ssize_t got;
    do {
        if (socket_fault(SOCKET_CALL_READ)) {
            if (errno != 0) return result_of(-1, count, "receiving a datagram", err);
            len = MIN(len, (size_t)1);
        }
        got = recvfrom(socket.fd, into, len, 0, &from.any, &from_len);
    } while (got < 0 && errno == EINTR);
    if (got >= 0) write_peer(&from, peer, peer_size);
    return result_of(got, count, "receiving a datagram", err);
}

SocketResult socket_write(Socket socket, const SocketPart *parts, size_t part_count, size_t *count,
                          Error *err) {
    *count = 0;
    UNFILLED struct iovec vector[PARTS_MAX];
    size_t used = 0;
    for (size_t i = 0; i < part_count && used < PARTS_MAX; i++) {
        if (parts[i].len > 0)
            vector[used++] = (struct iovec){(void *)(uintptr_t)parts[i].at, parts[i].len};
    }
    if (used == 0) return SOCKET_DONE;
    ssize_t sent;
    do {
        if (socket_fault(SOCKET_CALL_WRITE)) {
            if (errno != 0) return result_of(-1, count, "writing to a connection", err);
            used = 1;
            vector[0].iov_len = 1;
        }
        // writev(2) with flags: a peer that went away must not raise SIGPIPE.
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = used};
        sent = sendmsg(socket.fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return result_of(sent, count, "writing to a connection", err);
}

int64_t socket_unsent(Socket socket) {
    int bytes = 0;
    return ioctl(socket.fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

static int64_t now_ms(void) {
    Clock *clock = clock_system();
    return clock->monotonic_ns(clock) / 1000000;
}

// Negative time limits mean for ever.
bool socket_wait(Socket socket, bool for_write, int64_t timeout_ms, Error *err) {
    int64_t end_ms = now_ms() + MIN(MAX(timeout_ms, (int64_t)0), (int64_t)INT32_MAX);
    for (;;) {
        int64_t left_ms = MAX(end_ms - now_ms(), (int64_t)0);
        struct pollfd wait = {.fd = socket.fd, .events = for_write ? POLLOUT : POLLIN};
        int ready = poll(&wait, 1, timeout_ms < 0 ? -1 : (int)left_ms);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR)
            return net_error(err, ERROR_NETWORK, errno, "waiting for a connection");
        if (ready == 0) {
            return error_set(err, ERROR_TIMEOUT, "no answer within %lld ms", (long long)timeout_ms);
        }
    }
}

// One address of the host; false with `err` when it does not answer.
static bool connect_one(const struct addrinfo *where, int64_t timeout_ms, Socket *out, Error *err) {
    AUTO(socket_close)
    Socket made = {socket(where->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (made.fd < 0) return net_error(err, ERROR_NETWORK, errno, "making a socket");
    // After EINTR the connection goes on by itself, so it is waited for like any other.
    if (connect(made.fd, where->ai_addr, where->ai_addrlen) != 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            return net_error(err, ERROR_NETWORK, errno, "connecting");
        TRY(socket_wait(made, true, timeout_ms, err));
        int number = 0;
        socklen_t len = sizeof number;
        if (getsockopt(made.fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0) number = errno;
        if (number != 0) return net_error(err, ERROR_NETWORK, number, "connecting");
    }
    (void)set_option(made.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    *out = made;
    made = SOCKET_NONE;
    return true;
}

bool socket_connect(Text host, uint16_t port, int64_t timeout_ms, Socket *out, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    if (host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        host = text_slice(host, 1, host.len - 1);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    Text service = text_format(&arena, "%u", (unsigned)port);
    int failed = getaddrinfo(text_to_cstring(host, &arena), service.at, &hints, &found);
    if (failed != 0) {
        return error_set(err, ERROR_NETWORK, "%.*s: %s", TEXT_ARG(host), gai_strerror(failed));
    }
    bool connected = false;
    for (const struct addrinfo *at = found; at != NULL && !connected; at = at->ai_next) {
        connected = connect_one(at, timeout_ms, out, err);
    }
    freeaddrinfo(found);
    if (!connected) return error_context(err, "%.*s:%u", TEXT_ARG(host), (unsigned)port);
    return true;
}

void socket_shut_write(Socket socket) {
    (void)shutdown(socket.fd, SHUT_WR);  // fails only when the peer is already gone
}

void socket_abort(Socket *socket) {
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (socket->fd >= 0) (void)setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    socket_close(socket);
}

void socket_close(Socket *socket) {
    if (socket->fd >= 0) close(socket->fd);
    socket->fd = -1;
}
