// The server when much happens at once: writers and readers together, clients that leave, a house
// full of queries, a stop in the middle.

#include <stdatomic.h>

#include "base/log.h"
#include "os/thread.h"
#include "server/test_server.h"

// The status of an answer that is waited for; 0 when the connection was closed or nothing came.
static int read_status(Test *t, Socket socket, int64_t timeout_ms) {
    char head[12];
    size_t len = 0;
    while (len < sizeof head) {
        size_t got = 0;
        SocketResult result = socket_read(socket, head + len, sizeof head - len, &got, t->err);
        if (result == SOCKET_AGAIN && socket_wait(socket, false, timeout_ms, t->err)) continue;
        if (result != SOCKET_DONE) return 0;
        len += got;
    }
    uint64_t status = 0;
    return text_to_u64((Text){head + 9, 3}, &status) ? (int)status : 0;
}

// The value of one of the own metrics.
static double metric(Test *t, const TestServer *world, const char *name) {
    Text page = test_get(t, world, "/metrics").body;
    Text line = text_format(t->arena, "\n%s ", name);
    ptrdiff_t at = text_find(page, line);
    if (at < 0) return 0;  // families with labels begin empty
    Text rest = text_slice(page, (size_t)at + line.len, page.len), value;
    double number = -1;
    check(t, text_cut(&rest, '\n', &value) && text_to_f64(value, &number));
    return number;
}

static void wait_for_metric(Test *t, const TestServer *world, const char *name, double wanted) {
    Clock *clock = clock_system();
    for (int i = 0; i < 500 && metric(t, world, name) != wanted; i++) clock->sleep_ms(clock, 10);
    double now = metric(t, world, name);
    if (now != wanted) check_failed(t, __FILE__, __LINE__, "%s is %g, not %g", name, now, wanted);
}

// ---- Writers and readers ----

enum { CLIENTS = 4, ROUNDS = 25 };

typedef struct Client {
    Test test;  // an arena and an error of its own
    const TestServer *world;
    Arena arena;
    Error err;
    int number;
    int answered;
} Client;

static void client_run(void *context) {
    Client *client = context;
    Test *t = &client->test;
    for (int i = 0; i < ROUNDS; i++) {
        WriteBody body = {0};
        Text name = text_format(t->arena, "client_%d", client->number);
        test_row(t, &body, name, TEXT("round"), text_format(t->arena, "%d", i), T0_MS, i);
        Builder packed = {0};
        if (!compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&body.bytes)), &packed,
                            t->err))
            return;
        int written = test_write_bytes(t, client->world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                       text_bytes(builder_text(&packed)))
                          .status;
        builder_free(&packed);
        write_body_free(&body);
        // What was acknowledged is there at once.
        Text target = text_format(t->arena, "/api/v1/query?query=count(%.*s)&time=1760000000",
                                  TEXT_ARG(name));
        Text expected = text_format(t->arena, "[1760000000,\"%d\"]", i + 1);
        Text seen = test_get(t, client->world, text_to_cstring(target, t->arena)).body;
        client->answered += written == 204 && text_find(seen, expected) > 0;
    }
}

TEST(many_clients_write_and_read_their_own_writes) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_SYNC});
    Client clients[CLIENTS];
    Thread *threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (Client){.world = &world, .number = i};
        clients[i].test =
            (Test){.name = "client", .arena = &clients[i].arena, .err = &clients[i].err};
        check_ok(t, thread_start("client", client_run, &clients[i], &threads[i], t->err));
    }
    for (int i = 0; i < CLIENTS; i++) {
        thread_join(&threads[i]);
        check_i64(t, ROUNDS, clients[i].answered);
        arena_free(&clients[i].arena);
    }
    test_server_end(t, &world);
}

// One connection, as of a proxy, carries the writes of several tenants in turn.
TEST(one_connection_may_carry_several_tenants) {
    static const char *const tenants[] = {"alpha", "beta", "alpha", "gamma", "beta"};
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Socket socket = SOCKET_NONE;
    check_ok(t, socket_connect(TEXT("127.0.0.1"), world.port, 5000, &socket, t->err));
    for (size_t i = 0; i < COUNT(tenants); i++) {
        WriteBody body = {0};
        Builder packed = {0}, request = {0};
        test_row(t, &body, text_format(t->arena, "of_%s", tenants[i]), TEXT("n"),
                 text_format(t->arena, "%zu", i), T0_MS, 1);
        check_ok(t, compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&body.bytes)),
                                   &packed, t->err));
        builder_addf(&request,
                     "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nX-Scope-OrgID: "
                     "%s\r\nContent-Length: %zu\r\n\r\n",
                     tenants[i], packed.len);
        builder_add(&request, builder_text(&packed));
        SocketPart part = {request.at, request.len};
        size_t sent = 0;
        check(t,
              socket_write(socket, &part, 1, &sent, t->err) == SOCKET_DONE && sent == request.len);
        builder_free(&packed);
        builder_free(&request);
        write_body_free(&body);
        // The whole answer is read: it has no body.
        Builder answer = {0};
        while (!text_ends_with(builder_text(&answer), TEXT("\r\n\r\n"))) {
            char buffer[512];
            size_t got = 0;
            SocketResult result = socket_read(socket, buffer, sizeof buffer, &got, t->err);
            if (result == SOCKET_AGAIN) check_ok(t, socket_wait(socket, false, 5000, t->err));
            check(t, result == SOCKET_DONE || result == SOCKET_AGAIN);
            if (result == SOCKET_DONE) builder_add_bytes(&answer, buffer, got);
        }
        check(t, text_starts_with(builder_text(&answer), TEXT("HTTP/1.1 204")));
        builder_free(&answer);
    }
    socket_close(&socket);
    for (size_t i = 0; i < COUNT(tenants); i++) {
        Text names = test_as(t, &world, TEXT("GET"), TEXT("/api/v1/label/__name__/values"),
                             TEXT_NONE, text_from_cstring(tenants[i]))
                         .body;
        check_text(
            t, text_format(t->arena, "{\"status\":\"success\",\"data\":[\"of_%s\"]}", tenants[i]),
            names);
    }
    test_server_end(t, &world);
}

// ---- Queries that are too many or too long ----

TEST(a_query_ends_when_its_client_leaves) {
    TestServer world;
    test_server_begin(
        t, &world, (TestServerOptions){.durability = LOG_MEMORY, .query = {.timeout_ms = 600000}});
    test_write_many(t, &world, TEXT_NONE, TEST_SLOW_SERIES, 1);
    Socket sockets[2];
    for (size_t i = 0; i < COUNT(sockets); i++)
        sockets[i] = test_begin_get(t, &world, TEST_SLOW, TEXT_NONE);
    wait_for_metric(t, &world, "traceo_queries_total", 2);
    check_status(t, 200, test_get(t, &world, "/-/healthy"));
    for (size_t i = 0; i < COUNT(sockets); i++) socket_close(&sockets[i]);
    wait_for_metric(t, &world,
                    "traceo_http_requests_total{code=\"499\",handler=\"/api/v1/query_range\"}", 2);
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=1"));
    test_server_end(t, &world);
}

TEST(a_query_that_takes_too_long_is_stopped_and_says_so) {
    TestServer world;
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .query = {.timeout_ms = 20}});
    test_write_many(t, &world, TEXT_NONE, TEST_SLOW_SERIES, 1);
    HttpClientAnswer answer = test_get(t, &world, TEST_SLOW);
    check_status(t, 503, answer);
    check(t,
          text_starts_with(answer.body, TEXT("{\"status\":\"error\",\"errorType\":\"timeout\"")));
    // The client may ask for less than the server allows, never for more.
    server_set_query(world.server, (ServerQuerySettings){.timeout_ms = 600000});
    check_status(t, 503, test_get(t, &world, TEST_SLOW "&timeout=20ms"));
    test_server_end(t, &world);
}

TEST(a_house_full_of_queries_refuses_more_and_still_shows_itself) {
    enum { MANY = 300, MAY_WAIT = 128 };
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    test_write_many(t, &world, TEXT_NONE, TEST_SLOW_SERIES, 1);
    Socket *sockets = arena_push_array(t->arena, Socket, MANY);
    for (size_t i = 0; i < MANY; i++) sockets[i] = test_begin_get(t, &world, TEST_SLOW, TEXT_NONE);
    // Two run and 128 wait, as they are all of one tenant; the last ones were refused at once.
    size_t refused = 0;
    for (size_t i = 0; i < MANY; i++) {
        if (socket_wait(sockets[i], false, i == 0 ? 200 : 1, t->err) &&
            read_status(t, sockets[i], 1000) == 429)
            refused++;
    }
    check(t, refused >= (MANY - MAY_WAIT) / 2);
    check_status(t, 200, test_get(t, &world, "/-/ready"));
    check(t, metric(t, &world, "traceo_workers_refused_total") >= (double)refused);
    WriteBody body = {0};
    test_row(t, &body, TEXT("still"), TEXT("a"), TEXT("b"), T0_MS, 1);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    for (size_t i = 0; i < MANY; i++) socket_close(&sockets[i]);
    wait_for_metric(t, &world, "traceo_workers_waiting", 0);
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=still&time=1760000000"));
    test_server_end(t, &world);
}

TEST(a_stop_ends_what_runs_and_answers_it) {
    TestServer world;
    test_server_begin(
        t, &world, (TestServerOptions){.durability = LOG_MEMORY, .query = {.timeout_ms = 600000}});
    test_write_many(t, &world, TEXT_NONE, TEST_SLOW_SERIES, 1);
    Socket running = test_begin_get(t, &world, TEST_SLOW, TEXT_NONE);
    wait_for_metric(t, &world, "traceo_queries_total", 1);
    Clock *clock = clock_system();
    int64_t began_ns = clock->monotonic_ns(clock);
    server_stop(world.server, 100);
    server_free(&world.server);
    int64_t took_ms = (clock->monotonic_ns(clock) - began_ns) / 1000000;
    check(t, took_ms < 5000);
    socket_close(&running);
    test_server_end(t, &world);
}

// ---- Refusals in the log ----

typedef struct Lines {
    Mutex lock;
    Builder text;
} Lines;

static void take_line(void *context, Text line) {
    Lines *lines = context;
    mutex_take(&lines->lock);
    builder_add(&lines->text, line);
    mutex_give(&lines->lock);
}

static size_t count_of(Text text, Text needle) {
    size_t count = 0;
    for (ptrdiff_t at; (at = text_find(text, needle)) >= 0; count++)
        text = text_slice(text, (size_t)at + needle.len, text.len);
    return count;
}

TEST(a_flood_of_strangers_does_not_fill_the_log_and_no_secret_enters_it) {
    enum { STRANGERS = 100 };
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Text key = test_server_key(t, &world, TEXT("acme"), PERMISSION_READ_METRICS);
    Lines lines = {0};
    mutex_begin(&lines.lock, LOCK_FAULT_PLAN);
    log_set_sink((LogSink){.write = take_line, .context = &lines, .level = LOG_DEBUG});
    Clock *clock = clock_system();
    int64_t began_ns = clock->monotonic_ns(clock);
    for (int i = 0; i < STRANGERS; i++) {
        check_status(t, 401,
                     test_as(t, &world, TEXT("GET"), TEXT("/api/v1/query?query=secret_query"),
                             TEXT("hunter2\x80"), TEXT_NONE));
    }
    check_status(t, 403, test_as(t, &world, TEXT("POST"), TEXT("/-/reload"), key, TEXT_NONE));
    int64_t seconds = (clock->monotonic_ns(clock) - began_ns) / 1000000000 + 2;
    test_server_end(t, &world);
    log_set_sink((LogSink){0});
    Text text = builder_text(&lines.text);
    size_t logged = count_of(text, TEXT("a request was refused"));
    check(t, logged >= 1 && logged <= (size_t)seconds * 5);
    check(t, text_find(text, TEXT("hunter2")) < 0 && text_find(text, TEXT("secret_query")) < 0);
    check(t, text_find(text, text_slice(key, 24, key.len)) < 0);
    builder_free(&lines.text);
    mutex_end(&lines.lock);
}

TEST_MAIN("server/load", CASE(many_clients_write_and_read_their_own_writes),
          CASE(one_connection_may_carry_several_tenants), CASE(a_query_ends_when_its_client_leaves),
          CASE(a_query_that_takes_too_long_is_stopped_and_says_so),
          CASE(a_house_full_of_queries_refuses_more_and_still_shows_itself),
          CASE(a_stop_ends_what_runs_and_answers_it),
          CASE(a_flood_of_strangers_does_not_fill_the_log_and_no_secret_enters_it))
