// The ports of Graphite and StatsD: real sockets, a real store, and what is asked back.

#include "ingest/listen/listen.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "net/test_peer.h"
#include "server/server.h"
#include "server/test_server.h"

typedef struct World {
    TestServer server;
    Listener *listener;
    Address address;
    _Atomic uint64_t notes;
} World;

static void noted(void *context, const ListenNote *note) {
    World *world = context;
    atomic_fetch_add(&world->notes, 1);
    server_note_source(world->server.server, &(SourceNote){.protocol = note->protocol,
                                                           .peer = note->peer,
                                                           .tenant = note->tenant,
                                                           .samples = note->samples,
                                                           .bytes = note->bytes,
                                                           .fault = note->fault});
}

static void begin(Test *t, World *world, int64_t flush_ms) {
    test_server_plain(t, &world->server);
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &world->address, t->err));
    ListenOptions options = {
        .store = world->server.store,
        .clock = clock_system(),
        .tenant = TEXT("default"),
        .graphite = &world->address,
        .statsd = &world->address,
        .statsd_flush_ms = flush_ms,
        .note = noted,
        .context = world,
    };
    check_ok(t, listener_start(&options, &world->listener, t->err));
}

static void end(Test *t, World *world) {
    listener_stop(&world->listener);
    test_server_end(t, &world->server);
}

static void send_datagram(Test *t, uint16_t port, const char *text) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(t, fd >= 0 && sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to) ==
                            (ssize_t)strlen(text));
    Socket socket = {fd};
    socket_close(&socket);
}

// Asks until the answer holds `wanted`, for five seconds.
static void check_soon(Test *t, World *world, const char *target, const char *wanted) {
    HttpClientAnswer answer = {0};
    for (int i = 0; i < 250; i++) {
        answer = test_get(t, &world->server, target);
        if (text_find(answer.body, text_from_cstring(wanted)) >= 0) return;
        clock_system()->sleep_ms(clock_system(), 20);
    }
    check_failed(t, __FILE__, __LINE__, "%s: %.*s", target, TEXT_ARG(answer.body));
}

TEST(lines_of_graphite_come_over_tcp_and_udp) {
    World *world = arena_push(t->arena, World);
    begin(t, world, 60000);
    Socket one = dial(t, listener_graphite_port(world->listener));
    // A line cut anywhere, one that is too long, a bad one, and the last without its end.
    say(t, one, TEXT("a.b;dc=x 1.5 17600"));
    char *large = arena_push_raw(t->arena, 20000, 1);
    memset(large, 'x', 20000);
    clock_system()->sleep_ms(clock_system(), 20);
    say(t, one, TEXT("00020\n"));
    say(t, one, (Text){large, 20000});
    say(t, one, TEXT(" 1 1760000020\nbad\nlast 7 1760000020"));
    socket_close(&one);
    send_datagram(t, listener_graphite_port(world->listener),
                  "udp 1 1760000020\nudp2 2 1760000020");
    check_soon(t, world, "/api/v1/query?query=a_b&time=1760000030",
               "{\"__name__\":\"a_b\",\"dc\":\"x\"},\"value\":[1760000030,\"1.5\"]");
    check_soon(t, world, "/api/v1/query?query=last&time=1760000030", "[1760000030,\"7\"]");
    check_soon(t, world, "/api/v1/query?query=udp2-udp&time=1760000030", "[1760000030,\"1\"]");
    ListenState state;
    for (int i = 0; i < 100; i++) {
        listener_state(world->listener, &state);
        if (state.graphite_lines == 6) break;
        clock_system()->sleep_ms(clock_system(), 20);
    }
    check_i64(t, 6, state.graphite_lines);
    check_i64(t, 2, state.graphite_refused);
    check_soon(t, world, "/api/traceo/v1/sources", "\"Graphite\"");
    end(t, world);
}

TEST(what_statsd_adds_up_is_told_on_every_flush) {
    World *world = arena_push(t->arena, World);
    begin(t, world, 200);
    uint16_t port = listener_statsd_port(world->listener);
    send_datagram(t, port, "hits:2|c|#site:x\nhits:3|c|#site:x\nload:1.5|g");
    send_datagram(t, port, "took:20|ms\nbad line\n_e{1,1}:a|b");
    check_soon(t, world, "/api/v1/query?query=hits", "\"site\":\"x\"},\"value\":[");
    check_soon(t, world, "/api/v1/query?query=hits", ",\"5\"]");
    check_soon(t, world, "/api/v1/query?query=took_bucket%7Ble=%220.025%22%7D", ",\"1\"]");
    // Twice told: the second flush is there without another datagram.
    check_soon(t, world, "/api/v1/query?query=count_over_time(load%5B1m%5D)>bool+1", ",\"1\"]");
    check_soon(t, world, "/api/v1/metadata?metric=hits", "\"counter\"");
    check_soon(t, world, "/api/traceo/v1/sources", "\"StatsD\"");
    ListenState state;
    listener_state(world->listener, &state);
    check(t, state.statsd_lines == 5 && state.statsd_refused == 1 && state.statsd_events == 1 &&
                 state.statsd_series == 3);
    check(t, atomic_load(&world->notes) > 0);
    end(t, world);
}

TEST(what_was_gathered_is_stored_when_the_listener_stops) {
    World *world = arena_push(t->arena, World);
    begin(t, world, 3600000);
    send_datagram(t, listener_statsd_port(world->listener), "late:2|c");
    for (int i = 0; i < 250; i++) {
        ListenState state;
        listener_state(world->listener, &state);
        if (state.statsd_lines == 1) break;
        clock_system()->sleep_ms(clock_system(), 20);
    }
    listener_stop(&world->listener);
    check_soon(t, world, "/api/v1/query?query=late", ",\"2\"]");
    end(t, world);
}

TEST(idle_connections_are_not_in_the_way) {
    World *world = arena_push(t->arena, World);
    begin(t, world, 60000);
    enum { IDLE = 50 };
    Socket idle[IDLE];
    for (size_t i = 0; i < IDLE; i++) idle[i] = dial(t, listener_graphite_port(world->listener));
    Socket one = dial(t, listener_graphite_port(world->listener));
    say(t, one, TEXT("busy 1 1760000020\n"));
    check_soon(t, world, "/api/v1/query?query=busy&time=1760000030", "[1760000030,\"1\"]");
    ListenState state;
    listener_state(world->listener, &state);
    check_i64(t, IDLE + 1, state.graphite_connections);
    for (size_t i = 0; i < IDLE; i++) socket_abort(&idle[i]);
    socket_close(&one);
    end(t, world);
}

TEST(a_port_that_is_taken_is_said) {
    World *world = arena_push(t->arena, World);
    begin(t, world, 60000);
    Text text =
        text_format(t->arena, "127.0.0.1:%u", (unsigned)listener_statsd_port(world->listener));
    Address taken;
    check_ok(t, address_parse(text, t->arena, &taken, t->err));
    ListenOptions options = {.store = world->server.store,
                             .clock = clock_system(),
                             .tenant = TEXT("default"),
                             .statsd = &taken,
                             .statsd_flush_ms = 1000};
    Listener *second = NULL;
    check_error(t, listener_start(&options, &second, t->err), ERROR_IN_USE);
    check(t, strstr(t->err->message, "statsd.listen") != NULL && second == NULL);
    end(t, world);
}

TEST_MAIN("server/listen", CASE(lines_of_graphite_come_over_tcp_and_udp),
          CASE(what_statsd_adds_up_is_told_on_every_flush),
          CASE(what_was_gathered_is_stored_when_the_listener_stops),
          CASE(idle_connections_are_not_in_the_way), CASE(a_port_that_is_taken_is_said))
