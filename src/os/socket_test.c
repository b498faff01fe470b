// Sockets talk to each other over loopback, the poller says when, and failures come by plan.

#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/test.h"
#include "os/call_fault.h"
#include "os/thread.h"

TEST(addresses_are_checked_and_made_plain) {
    Address address;
    check_ok(t, address_parse(TEXT(":4310"), t->arena, &address, t->err));
    check_text(t, TEXT("127.0.0.1:4310"), address.text);
    check(t, address.loopback && address.port == 4310);
    check_ok(t, address_parse(TEXT("localhost:0"), t->arena, &address, t->err));
    check_text(t, TEXT("127.0.0.1:0"), address.text);
    check_ok(t, address_parse(TEXT("[0:0::1]:80"), t->arena, &address, t->err));
    check_text(t, TEXT("[::1]:80"), address.text);
    check(t, address.loopback);
    check_ok(t, address_parse(TEXT("0.0.0.0:65535"), t->arena, &address, t->err));
    check(t, !address.loopback && address.port == 65535);
    static const Text wrong[] = {
        TEXT_INIT(""),
        TEXT_INIT("127.0.0.1"),
        TEXT_INIT("127.0.0.1:"),
        TEXT_INIT("127.0.0.1:65536"),
        TEXT_INIT("1.2.3:80"),
        TEXT_INIT("::1:80"),
        TEXT_INIT("[::1:80"),
        TEXT_INIT("[::g]:80"),
        TEXT_INIT("example.org:80"),
        TEXT_INIT("127.0.0.1:-1"),
        TEXT_INIT("[::1\0x]:80"),
        TEXT_INIT("1.2.3.4\0:80"),
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        check_error(t, address_parse(wrong[i], t->arena, &address, t->err), ERROR_BAD_INPUT);
    }
}

typedef struct Pair {
    Socket listener, client, server;
    uint16_t port;
    char peer[64];
} Pair;

static void connect_pair(Test *t, const char *host, Pair *pair) {
    Address address;
    check_ok(t, address_parse(text_format(t->arena, "%s:0", host), t->arena, &address, t->err));
    check_ok(t, socket_listen(address, false, &pair->listener, t->err));
    check_ok(t, socket_port(pair->listener, &pair->port, t->err));
    check(t, socket_accept(pair->listener, &pair->server, pair->peer, sizeof pair->peer, t->err) ==
                 SOCKET_AGAIN);
    check_ok(t, socket_connect(text_from_cstring(host), pair->port, 1000, &pair->client, t->err));
    check_ok(t, socket_wait(pair->listener, false, 1000, t->err));
    check(t, socket_accept(pair->listener, &pair->server, pair->peer, sizeof pair->peer, t->err) ==
                 SOCKET_DONE);
}

static void close_pair(Pair *pair) {
    socket_close(&pair->client);
    socket_close(&pair->server);
    socket_close(&pair->listener);
    socket_close(&pair->listener);
}

static void talk(Test *t, const char *host) {
    Pair pair;
    connect_pair(t, host, &pair);
    check(t, text_starts_with(text_from_cstring(pair.peer), text_from_cstring(host)));
    char got[16];
    size_t count = 0;
    check(t, socket_read(pair.server, got, sizeof got, &count, t->err) == SOCKET_AGAIN);
    check_error(t, socket_wait(pair.server, false, 5, t->err), ERROR_TIMEOUT);
    SocketPart parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    check(t, socket_write(pair.client, parts, COUNT(parts), &count, t->err) == SOCKET_DONE &&
                 count == 5);
    check_ok(t, socket_wait(pair.server, false, 1000, t->err));
    check(t,
          socket_read(pair.server, got, sizeof got, &count, t->err) == SOCKET_DONE && count == 5);
    check_same_bytes(t, got, "abcde", 5);
    socket_shut_write(pair.client);
    check_ok(t, socket_wait(pair.server, false, 1000, t->err));
    check(t, socket_read(pair.server, got, sizeof got, &count, t->err) == SOCKET_CLOSED);
    Socket second = SOCKET_NONE;
    Address taken;
    check_ok(t, address_parse(text_format(t->arena, "%s:%d", host, pair.port), t->arena, &taken,
                              t->err));
    check_error(t, socket_listen(taken, false, &second, t->err), ERROR_IN_USE);
    close_pair(&pair);
    check_error(t, socket_connect(text_from_cstring(host), pair.port, 1000, &second, t->err),
                ERROR_NETWORK);
    check(t, second.fd == -1);
}

TEST(two_sockets_talk_over_ipv4) {
    talk(t, "127.0.0.1");
}

TEST(two_sockets_talk_over_ipv6) {
    Address address;
    AUTO(socket_close) Socket probe = SOCKET_NONE;
    check_ok(t, address_parse(TEXT("[::1]:0"), t->arena, &address, t->err));
    if (!socket_listen(address, false, &probe, t->err)) test_skip(t, "this machine has no IPv6");
    talk(t, "[::1]");
}

TEST(two_listeners_share_a_port_when_asked) {
    Address address;
    AUTO(socket_close) Socket first = SOCKET_NONE;
    AUTO(socket_close) Socket second = SOCKET_NONE;
    check_ok(t, address_parse(TEXT(":0"), t->arena, &address, t->err));
    check_ok(t, socket_listen(address, true, &first, t->err));
    uint16_t port = 0;
    check_ok(t, socket_port(first, &port, t->err));
    check_ok(t, address_parse(text_format(t->arena, ":%d", port), t->arena, &address, t->err));
    check_ok(t, socket_listen(address, true, &second, t->err));
}

TEST(socket_failures_come_by_plan) {
    Pair pair;
    connect_pair(t, "127.0.0.1", &pair);
    size_t count = 0;
    char got[8];
    SocketPart parts[] = {{"abc", 3}};
    socket_fail_after(SOCKET_CALL_WRITE, 2, false, 0);
    check(t, socket_write(pair.client, parts, 1, &count, t->err) == SOCKET_DONE && count == 3);
    check(t, socket_write(pair.client, parts, 1, &count, t->err) == SOCKET_DONE && count == 1);
    check(t, socket_write(pair.client, parts, 1, &count, t->err) == SOCKET_DONE && count == 3);
    socket_fail_after(SOCKET_CALL_READ, 1, true, ECONNRESET);
    check(t, socket_read(pair.server, got, 8, &count, t->err) == SOCKET_CLOSED);
    check(t, socket_read(pair.server, got, 8, &count, t->err) == SOCKET_CLOSED);
    socket_fail_after(SOCKET_CALL_READ, 1, false, 0);
    check(t, socket_read(pair.server, got, 8, &count, t->err) == SOCKET_DONE && count == 1);
    socket_fail_after(SOCKET_CALL_ACCEPT, 1, false, EMFILE);
    Socket none;
    check(t, socket_accept(pair.listener, &none, NULL, 0, t->err) == SOCKET_FAILED &&
                 t->err->code == ERROR_TOO_MANY);
    socket_fail_after(SOCKET_CALL_ACCEPT, 0, false, 0);
    close_pair(&pair);
}

TEST(datagrams_come_whole_with_their_sender) {
    Address address;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &address, t->err));
    AUTO(socket_close)
    Socket bound = SOCKET_NONE, sender = SOCKET_NONE;
    check_ok(t, socket_bind_datagrams(address, &bound, t->err));
    check_ok(t, socket_bind_datagrams(address, &sender, t->err));
    uint16_t port, from;
    check_ok(t, socket_port(bound, &port, t->err));
    check_ok(t, socket_port(sender, &from, t->err));
    char got[8], peer[64];
    size_t count = 9;
    check(t, socket_receive(bound, got, 8, &count, peer, sizeof peer, t->err) == SOCKET_AGAIN);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    static const char *const texts[] = {"abc", "", "longer than it"};
    for (size_t i = 0; i < COUNT(texts); i++)
        check(t, sendto(sender.fd, texts[i], strlen(texts[i]), 0, (struct sockaddr *)&to,
                        sizeof to) >= 0);
    check(t, socket_receive(bound, got, 8, &count, peer, sizeof peer, t->err) == SOCKET_DONE);
    Text whole = {got, count};
    check_text(t, TEXT("abc"), whole);
    check_text(t, text_format(t->arena, "127.0.0.1:%u", (unsigned)from), text_from_cstring(peer));
    check(t, socket_receive(bound, got, 8, &count, peer, sizeof peer, t->err) == SOCKET_DONE);
    check_i64(t, 0, count);
    check(t, socket_receive(bound, got, 8, &count, NULL, 0, t->err) == SOCKET_DONE);
    check_i64(t, 8, count);
    socket_fail_after(SOCKET_CALL_READ, 1, false, ENOMEM);
    check(t, socket_receive(bound, got, 8, &count, NULL, 0, t->err) == SOCKET_FAILED);
    socket_fail_after(SOCKET_CALL_READ, 0, false, 0);
    // The port is taken, and every step may fail.
    Text text = text_format(t->arena, "127.0.0.1:%u", (unsigned)port);
    check_ok(t, address_parse(text, t->arena, &address, t->err));
    Socket none = SOCKET_NONE;
    check_error(t, socket_bind_datagrams(address, &none, t->err), ERROR_IN_USE);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        call_fail_after(OS_CALL_LISTEN, nth, false, ENOBUFS);
        check_error(t, socket_bind_datagrams(address, &none, t->err), ERROR_NO_MEMORY);
    }
    call_fail_after(OS_CALL_LISTEN, 0, false, 0);
    socket_close(&sender);
}

static void wake(void *context) {
    for (int i = 0; i < 3; i++) poller_wake(context);
}

TEST(a_poller_says_who_is_ready_and_wakes) {
    Pair pair;
    connect_pair(t, "127.0.0.1", &pair);
    AUTO(poller_close) Poller *poller = NULL;
    check_ok(t, poller_open(&poller, t->err));
    PollEvent events[4];
    size_t count = 9;
    int tag;
    check_ok(t, poller_add(poller, pair.server, &tag, true, false, t->err));
    check_ok(t, poller_wait(poller, events, 4, 5, &count, t->err));
    check(t, count == 0);
    SocketPart parts[] = {{"x", 1}};
    check(t, socket_write(pair.client, parts, 1, &count, t->err) == SOCKET_DONE);
    check_ok(t, poller_wait(poller, events, 4, 1000, &count, t->err));
    check(t, count == 1 && events[0].tag == &tag && events[0].readable && !events[0].writable &&
                 !events[0].hung_up);
    check_ok(t, poller_change(poller, pair.server, &tag, false, true, t->err));
    check_ok(t, poller_wait(poller, events, 4, 1000, &count, t->err));
    check(t, count == 1 && events[0].writable && !events[0].readable);
    poller_remove(poller, pair.server);

    Thread *thread = NULL;
    check_ok(t, thread_start("wake", wake, poller, &thread, t->err));
    check_ok(t, poller_wait(poller, events, 4, -1, &count, t->err));  // would wait for ever
    check(t, count == 0);
    thread_join(&thread);
    socket_fail_after(SOCKET_CALL_POLL, 1, false, EBADF);
    check_error(t, poller_wait(poller, events, 4, 0, &count, t->err), ERROR_NETWORK);
    close_pair(&pair);
}

TEST_MAIN("os/socket", CASE(addresses_are_checked_and_made_plain), CASE(two_sockets_talk_over_ipv4),
          CASE(two_sockets_talk_over_ipv6), CASE(two_listeners_share_a_port_when_asked),
          CASE(socket_failures_come_by_plan), CASE(datagrams_come_whole_with_their_sender),
          CASE(a_poller_says_who_is_ready_and_wakes))
