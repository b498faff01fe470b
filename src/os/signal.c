// Signals become bytes in a pipe, so that they are read in one place and nothing runs in a handler.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/call_fault.h"
#include "os/clock.h"
#include "os/process.h"

static int pipe_read = -1;
static int pipe_write = -1;

// Runs inside handlers too: write(2) is allowed there. A full pipe already says it.
void signals_raise(SignalKind kind) {
    int number = errno;
    char byte = (char)kind;
    ssize_t written;
    do {
        written = write(pipe_write, &byte, 1);
    } while (written < 0 && errno == EINTR);
    errno = number;
}

static void handle(int number) {
    signals_raise(number == SIGHUP ? SIGNAL_RELOAD : SIGNAL_STOP);
}

bool signals_begin(Error *err) {
    bool fails = call_fault(OS_CALL_SIGNALS);  // also when it was done before
    if (pipe_read >= 0 && !fails) return true;
    int ends[2];
    if (fails || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return error_set(err, ERROR_IO, "making the pipe for signals: %s", strerrordesc_np(errno));
    }
    pipe_read = ends[0];
    pipe_write = ends[1];

    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigemptyset(&ignored.sa_mask);
    bool ok = sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0 &&
              sigaction(SIGHUP, &action, NULL) == 0 && sigaction(SIGPIPE, &ignored, NULL) == 0;
    assert(ok);
    return true;
}

SignalKind signals_wait(int64_t timeout_ms) {
    assert(pipe_read >= 0);
    Clock *clock = clock_system();
    int64_t end_ns =
        clock->monotonic_ns(clock) + MIN(MAX(timeout_ms, (int64_t)0), (int64_t)INT32_MAX) * 1000000;
    for (;;) {
        char byte;
        if (read(pipe_read, &byte, 1) == 1) return (SignalKind)byte;
        int64_t left_ms = (end_ns - clock->monotonic_ns(clock) + 999999) / 1000000;
        if (timeout_ms >= 0 && left_ms <= 0) return SIGNAL_NONE;
        struct pollfd wait = {.fd = pipe_read, .events = POLLIN};
        (void)poll(&wait, 1, timeout_ms < 0 ? -1 : (int)MIN(left_ms, (int64_t)INT32_MAX));
    }
}
