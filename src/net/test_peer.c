// Plain reads and writes, with waiting between them.

#include "net/test_peer.h"

#include "os/clock.h"

enum { PATIENCE_MS = 3000 };

Socket dial(Test *t, uint16_t port) {
    Socket socket = SOCKET_NONE;
    check_ok(t, socket_connect(TEXT("127.0.0.1"), port, 2000, &socket, t->err));
    return socket;
}

static SocketResult send_all(Socket socket, Text text, Error *err) {
    while (text.len > 0) {
        SocketPart part = {text.at, text.len};
        size_t count = 0;
        SocketResult result = socket_write(socket, &part, 1, &count, err);
        if (result == SOCKET_AGAIN && !socket_wait(socket, true, PATIENCE_MS, err))
            return SOCKET_FAILED;
        if (result == SOCKET_CLOSED || result == SOCKET_FAILED) return result;
        text = text_slice(text, count, text.len);
    }
    return SOCKET_DONE;
}

void say(Test *t, Socket socket, Text text) {
    if (send_all(socket, text, t->err) == SOCKET_FAILED)
        check_failed(t, __FILE__, __LINE__, "saying %zu bytes: %s", text.len, t->err->message);
}

bool say_all(Socket socket, Text text) {
    Error err;
    return send_all(socket, text, &err) == SOCKET_DONE;
}

Text hear(Test *t, Socket socket, Text needle) {
    AUTO(builder_free) Builder heard = {0};
    for (;;) {
        char piece[4096];
        size_t count = 0;
        SocketResult result = socket_read(socket, piece, sizeof piece, &count, t->err);
        if (result == SOCKET_AGAIN && socket_wait(socket, false, PATIENCE_MS, t->err)) continue;
        if (result != SOCKET_DONE) break;
        builder_add_bytes(&heard, piece, count);
        if (needle.len > 0 && has(builder_text(&heard), needle)) break;
    }
    return text_copy(builder_text(&heard), t->arena);
}

bool has(Text text, Text needle) {
    return text_find(text, needle) >= 0;
}

size_t count_of(Text text, Text needle) {
    size_t count = 0;
    for (ptrdiff_t at; (at = text_find(text, needle)) >= 0; count++)
        text = text_slice(text, (size_t)at + needle.len, text.len);
    return count;
}

bool wait_for(_Atomic int *number, int want) {
    enum { LONG_MS = 5000 };
    Clock *clock = clock_system();
    for (int ms = 0; ms < LONG_MS && atomic_load(number) < want; ms++) clock->sleep_ms(clock, 1);
    return atomic_load(number) >= want;
}
