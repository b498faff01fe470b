// Readiness of many sockets: epoll, and an eventfd by which other threads wake the waiting one.

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory.h"
#include "os/call_fault.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/socket_fault.h"

enum { EVENTS_MAX = 256 };

struct Poller {
    int epoll;
    int wake;  // its tag is the poller itself, which no socket has
};

static bool poller_error(Error *err, int number, const char *doing) {
    ErrorCode code = error_code_from_errno(number, ERROR_NETWORK);
    if (number == EMFILE || number == ENFILE) code = ERROR_TOO_MANY;
    return error_set(err, code, "%s: %s", doing, strerrordesc_np(number));
}

static uint32_t interest(bool read, bool write) {
    return (read ? (uint32_t)EPOLLIN | EPOLLRDHUP : 0) | (write ? (uint32_t)EPOLLOUT : 0);
}

static bool control(Poller *poller, int operation, int fd, void *tag, uint32_t events, Error *err) {
    struct epoll_event event = {.events = events, .data.ptr = tag};
    if (epoll_ctl(poller->epoll, operation, fd, &event) == 0) return true;
    return poller_error(err, errno, "watching a connection");
}

bool poller_open(Poller **out, Error *err) {
    AUTO(poller_close) Poller *poller = memory_new(Poller);
    poller->wake = -1;
    poller->epoll = call_fault(OS_CALL_POLLER_OPEN) ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll < 0) return poller_error(err, errno, "opening a poller");
    poller->wake = call_fault(OS_CALL_POLLER_OPEN) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake < 0) return poller_error(err, errno, "opening a poller");
    TRY(control(poller, EPOLL_CTL_ADD, poller->wake, poller, EPOLLIN, err));
    *out = TAKE(poller);
    return true;
}

void poller_close(Poller **poller) {
    if (*poller == NULL) return;
    if ((*poller)->wake >= 0) close((*poller)->wake);
    if ((*poller)->epoll >= 0) close((*poller)->epoll);
    memory_free(TAKE(*poller));
}

bool poller_add(Poller *poller, Socket socket, void *tag, bool read, bool write, Error *err) {
    assert(tag != poller);
    return control(poller, EPOLL_CTL_ADD, socket.fd, tag, interest(read, write), err);
}

bool poller_change(Poller *poller, Socket socket, void *tag, bool read, bool write, Error *err) {
    assert(tag != poller);
    return control(poller, EPOLL_CTL_MOD, socket.fd, tag, interest(read, write), err);
}

void poller_remove(Poller *poller, Socket socket) {
    (void)epoll_ctl(poller->epoll, EPOLL_CTL_DEL, socket.fd, NULL);
}

static void forget_wakes(Poller *poller) {
    uint64_t wakes;
    (void)!read(poller->wake, &wakes, sizeof wakes);  // one read takes them all
}

bool poller_wait(Poller *poller, PollEvent *events, size_t max, int64_t timeout_ms, size_t *count,
                 Error *err) {
    *count = 0;
    Clock *clock = clock_system();
    int64_t end_ms =
        clock->monotonic_ns(clock) / 1000000 + MIN(MAX(timeout_ms, (int64_t)0), (int64_t)INT32_MAX);
    struct epoll_event ready[EVENTS_MAX];
    int found;
    for (;;) {
        int64_t left_ms = MAX(end_ms - clock->monotonic_ns(clock) / 1000000, (int64_t)0);
        if (socket_fault(SOCKET_CALL_POLL)) {
            // Cut short: woken with nothing to do, as a poller may always be.
            return errno == 0 || poller_error(err, errno, "waiting for connections");
        }
        found = epoll_wait(poller->epoll, ready, (int)MIN(max, (size_t)EVENTS_MAX),
                           timeout_ms < 0 ? -1 : (int)left_ms);
        if (found >= 0) break;
        if (errno != EINTR) return poller_error(err, errno, "waiting for connections");
    }
    for (int i = 0; i < found; i++) {
        if (ready[i].data.ptr == poller) {
            forget_wakes(poller);
            continue;
        }
        uint32_t bits = ready[i].events;
        events[(*count)++] = (PollEvent){
            .tag = ready[i].data.ptr,
            // An error shows itself to the next read or write, which tells its errno.
            .readable = (bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
            .writable = (bits & (EPOLLOUT | EPOLLERR)) != 0,
            .hung_up = (bits & (EPOLLHUP | EPOLLERR)) != 0,
        };
    }
    return true;
}

void poller_wake(Poller *poller) {
    uint64_t one = 1;
    (void)!write(poller->wake, &one, sizeof one);  // full means that it is awake already
}
