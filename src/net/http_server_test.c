// The server on real loopback sockets, in one process: what clients do well, badly, slowly and not
// at all.

#include <stdatomic.h>

#include "base/test.h"
#include "net/http.h"
#include "net/http_client.h"
#include "net/test_peer.h"
#include "os/process.h"
#include "os/thread.h"

// What the test's handler knows; `held` are the exchanges of /wait, answered by the test's own
// thread.
typedef struct World {
    HttpServer *server;
    Address address;
    Mutex lock;
    HttpExchange *held[64];
    int held_count;
    _Atomic int heads, requests, gone, dropped, users_freed;
    Budget budget;  // of the bodies of /big
} World;

static const char user_mark[] = "user";
static World *world_now;  // for user_free, which has no context

static void free_user(void *user) {
    if (user == user_mark) atomic_fetch_add(&world_now->users_freed, 1);
}

static void answer(HttpExchange *exchange, int status, Text text) {
    HttpResponse response = {.status = status, .text = text};
    http_respond(exchange, &response);
}

static bool on_head(void *context, HttpExchange *exchange) {
    World *world = context;
    atomic_fetch_add(&world->heads, 1);
    exchange->user = (void *)(uintptr_t)user_mark;
    exchange->user_free = free_user;
    if (text_equal(exchange->head.path, TEXT("/deny"))) {
        answer(exchange, 401, TEXT("no\n"));
        return false;
    }
    if (text_equal(exchange->head.path, TEXT("/small"))) exchange->body_bytes_max = 10;
    exchange->anonymous = text_equal(exchange->head.query, TEXT("open"));
    return true;
}

static void on_request(void *context, HttpExchange *exchange) {
    World *world = context;
    atomic_fetch_add(&world->requests, 1);
    if (text_equal(exchange->head.path, TEXT("/wait"))) {
        mutex_take(&world->lock);
        world->held[world->held_count++] = exchange;
        mutex_give(&world->lock);
        return;
    }
    HttpHeader headers[] = {{TEXT("X-Query"), exchange->head.query},
                            {TEXT("X-Evil"), TEXT("a\r\nb")}};
    HttpResponse response = {.status = 200, .headers = headers, .header_count = COUNT(headers)};
    if (text_equal(exchange->head.path, TEXT("/big"))) {
        builder_reserve(&response.body, 4 * MB);
        for (size_t i = 0; i < 4 * MB / 8; i++) builder_add(&response.body, TEXT("01234567"));
        (void)!budget_reserve(&world->budget, 4 * MB, NULL);  // it has no limit
        response.budget = &world->budget;
        response.charged = 4 * MB;
    } else {
        builder_add(&response.body, http_method_text(exchange->head.method));
        builder_add_char(&response.body, ':');
        builder_add(&response.body, bytes_text(exchange->body));
    }
    http_respond(exchange, &response);
}

static void on_gone(void *context, HttpExchange *exchange) {
    atomic_fetch_add(&((World *)context)->gone, 1);
}

static void on_drop(void *context, HttpExchange *exchange) {
    atomic_fetch_add(&((World *)context)->dropped, 1);
}

static void world_open(Test *t, World *world, int loops, void (*adjust)(HttpLimits *limits)) {
    *world = (World){0};
    world_now = world;
    mutex_begin(&world->lock, LOCK_WORKER_QUEUE);
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = loops,
                                 .limits = http_limits_default(),
                                 .handler = {world, on_head, on_request, on_drop, on_gone}};
    if (adjust != NULL) adjust(&options.limits);
    check_ok(t, http_server_start(&options, &world->server, t->err));
    world->address = any;
    world->address.port = http_server_port(world->server, 0);
}

static void world_close(World *world) {
    http_server_stop(world->server, 200);
    http_server_free(&world->server);
    mutex_end(&world->lock);
}

static size_t count_of(Text text, Text needle) {
    size_t count = 0;
    for (ptrdiff_t at; (at = text_find(text, needle)) >= 0; count++)
        text = text_slice(text, (size_t)at + needle.len, text.len);
    return count;
}

static HttpExchange *take_held(World *world) {
    for (int i = 0; i < 300; i++) {
        mutex_take(&world->lock);
        HttpExchange *exchange = world->held_count > 0 ? world->held[--world->held_count] : NULL;
        mutex_give(&world->lock);
        if (exchange != NULL) return exchange;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    return NULL;
}

TEST(a_client_gets_answers_with_and_without_bodies) {
    World world;
    world_open(t, &world, 2, NULL);
    HttpClientRequest request = {.host = TEXT("127.0.0.1"),
                                 .port = world.address.port,
                                 .method = TEXT("POST"),
                                 .target = TEXT("/x?q={a=\"b\"}"),
                                 .body = TEXT("hello"),
                                 .timeout_ms = 3000};
    HttpClientAnswer got;
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 200, got.status);
    check_text(t, TEXT("POST:hello"), got.body);
    HttpHead head = {.headers = got.headers, .header_count = got.header_count};
    check_text(t, TEXT("q={a=\"b\"}"), http_head_find(&head, TEXT("x-query")));
    check_text(t, TEXT("a  b"), http_head_find(&head, TEXT("x-evil")));
    request.method = TEXT("HEAD");
    request.body = TEXT("");
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 0, got.body.len);
    request.method = TEXT("GET");
    request.target = TEXT("/big");
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 4 * MB, got.body.len);
    check(t, text_ends_with(got.body, TEXT("01234567")));
    char *large = arena_push_array(t->arena, char, 3 * MB);
    memset(large, 'z', 3 * MB);
    request.method = TEXT("PUT");
    request.body = (Text){large, 3 * MB};
    request.target = TEXT("/echo");
    check_ok(t, http_client_send(&request, t->arena, &got, t->err));
    check_i64(t, 3 * MB + 4, got.body.len);
    world_close(&world);
}

TEST(pipelined_requests_are_answered_in_order_on_one_connection) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    AUTO(builder_free) Builder all = {0};
    for (int i = 0; i < 990; i++)
        builder_addf(&all, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%04d", i);
    builder_add(&all, TEXT("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                           "chunked\r\nConnection: close\r\n\r\n3\r\nend\r\n1\r\n.\r\n0\r\n\r\n"));
    say(t, socket, builder_text(&all));
    Text heard = hear(t, socket, TEXT(""));
    check_i64(t, 991, count_of(heard, TEXT("HTTP/1.1 200 OK\r\n")));
    check(t, text_ends_with(heard, TEXT("POST:end.")));
    Text rest = heard;
    for (int i = 0; i < 990; i++) {
        ptrdiff_t at = text_find(rest, text_format(t->arena, "POST:%04d", i));
        check(t, at >= 0);
        rest = text_slice(rest, (size_t)at + 9, rest.len);
    }
    world_close(&world);
    check_i64(t, 1, world.users_freed);
}

TEST(a_request_byte_by_byte_is_understood) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    Text request = TEXT(
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\ncd");
    for (size_t i = 0; i < request.len; i++) {
        say(t, socket, text_slice(request, i, i + 1));
        if (i % 16 == 0) clock_system()->sleep_ms(clock_system(), 1);
    }
    Text heard = hear(t, socket, TEXT(""));
    check(t, has(heard, TEXT("POST:ab")) && has(heard, TEXT("POST:cd")));
    world_close(&world);
}

static void short_times(HttpLimits *limits) {
    limits->header_time_ms = 100;
    limits->idle_time_ms = 150;
    limits->body_window_ms = 100;
}

TEST(slow_heads_slow_bodies_and_idle_connections_are_ended) {
    World world;
    world_open(t, &world, 1, short_times);
    AUTO(socket_close)
    Socket head = dial(t, world.address.port), body = dial(t, world.address.port),
           idle = dial(t, world.address.port), mute = dial(t, world.address.port);
    say(t, head, TEXT("GET / HTTP/1.1\r\nHost:"));
    say(t, body, TEXT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc"));
    say(t, idle, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, head, TEXT("")), TEXT("HTTP/1.1 408 ")));
    check(t, has(hear(t, body, TEXT("")), TEXT("HTTP_BODY_RATE_MIN")));
    Text heard = hear(t, idle, TEXT(""));
    check(t, has(heard, TEXT("200 OK")) && !has(heard, TEXT("408")));
    check_i64(t, 0, hear(t, mute, TEXT("")).len);
    check(t, wait_for(&world.dropped, 1));
    world_close(&world);
    check_i64(t, 1, world.dropped);
}

TEST(a_client_that_asks_first_is_told_to_continue_or_not) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close)
    Socket yes = dial(t, world.address.port), no = dial(t, world.address.port),
           large = dial(t, world.address.port), refused = dial(t, world.address.port);
    say(t, yes,
        TEXT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: "
             "100-continue\r\nConnection: close\r\n\r\n"));
    check(t, has(hear(t, yes, TEXT("\r\n\r\n")), TEXT("HTTP/1.1 100 Continue")));
    say(t, yes, TEXT("abc"));
    check(t, has(hear(t, yes, TEXT("")), TEXT("POST:abc")));
    say(t, no,
        TEXT("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: "
             "100-continue\r\n\r\n"));
    Text heard = hear(t, no, TEXT("}\n"));
    check(t, has(heard, TEXT("HTTP/1.1 413 ")) && has(heard, TEXT("Connection: close")) &&
                 !has(heard, TEXT("100 Continue")));
    say(t, large, TEXT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\nabc"));
    check(t, has(hear(t, large, TEXT("}\n")), TEXT("HTTP_BODY_BYTES")));
    say(t, refused,
        TEXT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 200-ok\r\n\r\n"));
    check(t, has(hear(t, refused, TEXT("}\n")), TEXT("HTTP/1.1 417 ")));
    world_close(&world);
}

TEST(a_request_refused_at_its_head_keeps_the_connection_when_its_body_is_small) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close)
    Socket small = dial(t, world.address.port),
           large = dial(t, world.address.port);
    say(t, small, TEXT("POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n"));
    char *filler = arena_push_array(t->arena, char, 30000);
    memset(filler, 'x', 30000);
    say(t, small, (Text){filler, 30000});
    say(t, small, TEXT("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    Text heard = hear(t, small, TEXT(""));
    check(t, has(heard, TEXT("HTTP/1.1 401 ")) && has(heard, TEXT("GET:")));
    say(t, large, TEXT("POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n"));
    heard = hear(t, large, TEXT("no\n"));
    check(t, has(heard, TEXT("HTTP/1.1 401 ")) && has(heard, TEXT("Connection: close")));
    world_close(&world);
    check_i64(t, 1, world.requests);
}

TEST(a_chunked_body_over_the_limit_is_413_before_it_is_read) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    int64_t begin_ns = clock_system()->monotonic_ns(clock_system());
    say(t, socket,
        TEXT("POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
             "chunked\r\n\r\n6\r\nabcdef\r\n5\r\n"));
    check(t, has(hear(t, socket, TEXT("")), TEXT("HTTP/1.1 413 ")));
    // The end of the answer shows at once, not when the server stops lingering.
    check(t, clock_system()->monotonic_ns(clock_system()) - begin_ns < 1500 * INT64_C(1000000));
    world_close(&world);
}

static void two_connections(HttpLimits *limits) {
    limits->connections = 2;
    limits->strangers_percent = 100;
}

TEST(connections_beyond_the_limit_get_a_503_and_room_comes_back) {
    World world;
    world_open(t, &world, 1, two_connections);
    AUTO(socket_close) Socket a = dial(t, world.address.port), b = dial(t, world.address.port);
    say(t, a, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, a, TEXT("GET:")), TEXT("200")));
    say(t, b, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, b, TEXT("GET:")), TEXT("200")));
    AUTO(socket_close) Socket c = dial(t, world.address.port);
    say(t, c, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    Text heard = hear(t, c, TEXT(""));
    check(t, has(heard, TEXT("HTTP/1.1 503 ")) && has(heard, TEXT("Retry-After")));
    socket_close(&a);
    socket_close(&b);
    socket_close(&c);
    for (int i = 0; i < 200 && http_server_stats(world.server).connections > 0; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    check_i64(t, 0, http_server_stats(world.server).connections);
    AUTO(socket_close) Socket d = dial(t, world.address.port);
    say(t, d, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, d, TEXT("GET:")), TEXT("200")));
    check_i64(t, 1, http_server_stats(world.server).connections_refused);
    world_close(&world);
}

TEST(another_thread_answers_and_pipelined_requests_wait_for_it) {
    World world;
    world_open(t, &world, 2, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    say(t, socket,
        TEXT("GET /first HTTP/1.1\r\nHost: h\r\n\r\nGET /wait HTTP/1.1\r\nHost: h\r\n\r\nPOST "
             "/after HTTP/1.1\r\nHost: h\r\n"));
    HttpExchange *held = take_held(&world);
    check(t, held != NULL);
    check(t, has(hear(t, socket, TEXT("GET:")), TEXT("200 OK")));
    say(t, socket, TEXT("Content-Length: 2\r\n\r\nok"));
    clock_system()->sleep_ms(clock_system(), 20);
    check_i64(t, 2, world.requests);
    check_text(t, TEXT("/wait"), held->head.path);
    check(t, !http_is_gone(held));
    answer(held, 202, TEXT("later\n"));
    Text heard = hear(t, socket, TEXT("POST:ok"));
    check(t, has(heard, TEXT("HTTP/1.1 202 Accepted")) && has(heard, TEXT("later\n")) &&
                 text_ends_with(heard, TEXT("POST:ok")));
    // Reading was paused meanwhile; it goes on.
    say(t, socket, TEXT("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    check(t, has(hear(t, socket, TEXT("")), TEXT("GET:")));
    world_close(&world);
    check_i64(t, 0, world.gone);
}

TEST(a_client_that_leaves_while_an_answer_is_pending_is_noticed) {
    World world;
    world_open(t, &world, 1, NULL);
    Socket socket = dial(t, world.address.port);
    say(t, socket, TEXT("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
    HttpExchange *held = take_held(&world);
    check(t, held != NULL);
    socket_close(&socket);
    check(t, wait_for(&world.gone, 1));
    check(t, http_is_gone(held));
    check_text(t, TEXT("/wait"), held->head.path);
    answer(held, 200, TEXT("nobody hears"));
    world_close(&world);
    check_i64(t, 1, world.gone);
    check_i64(t, 1, world.users_freed);
}

// As nc and others do that have nothing more to say; what was pipelined before is served too.
TEST(a_client_that_shuts_its_sending_side_still_gets_its_answers) {
    static const char *const versions[] = {"1.1", "1.0"};
    World world;
    world_open(t, &world, 1, NULL);
    for (size_t i = 0; i < COUNT(versions); i++) {
        AUTO(socket_close) Socket socket = dial(t, world.address.port);
        say(t, socket,
            text_format(t->arena,
                        "GET /wait HTTP/%s\r\nHost: h\r\nConnection: keep-alive\r\n\r\nGET /next "
                        "HTTP/%s\r\nHost: h\r\n\r\n",
                        versions[i], versions[i]));
        HttpExchange *held = take_held(&world);
        check(t, held != NULL);
        socket_shut_write(socket);
        clock_system()->sleep_ms(clock_system(), 50);
        int64_t cpu_ns = cpu_process_ns();
        clock_system()->sleep_ms(clock_system(), 100);
        check(t, cpu_process_ns() - cpu_ns < 50 * INT64_C(1000000));  // it sleeps meanwhile
        check(t, !http_is_gone(held));
        answer(held, 200, TEXT("later\n"));
        Text heard = hear(t, socket, TEXT(""));
        check(t, has(heard, TEXT("later\n")) && text_ends_with(heard, TEXT("GET:")));
        check_i64(t, i == 0 ? 1 : 0, count_of(heard, TEXT("100 Continue")));
    }
    check_i64(t, 0, world.gone);
    world_close(&world);
}

typedef struct Stopper {
    World *world;
    int64_t deadline_ms;
} Stopper;

static void stop_server(void *context) {
    Stopper *stopper = context;
    http_server_stop(stopper->world->server, stopper->deadline_ms);
}

TEST(draining_answers_what_is_in_flight_and_closes_the_rest) {
    World world;
    world_open(t, &world, 1,
               NULL);  // with two, the other loop may hear of the drain a moment later
    AUTO(socket_close)
    Socket busy = dial(t, world.address.port),
           idle = dial(t, world.address.port);
    say(t, idle, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, idle, TEXT("GET:")), TEXT("200")));
    say(t, busy, TEXT("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
    HttpExchange *held = take_held(&world);
    check(t, held != NULL);
    Stopper stopper = {&world, 3000};
    Thread *thread = NULL;
    check_ok(t, thread_start("stop", stop_server, &stopper, &thread, t->err));
    check_i64(t, 0, hear(t, idle, TEXT("")).len);
    answer(held, 200, TEXT("in time\n"));
    Text heard = hear(t, busy, TEXT(""));
    check(t, has(heard, TEXT("in time")) && has(heard, TEXT("Connection: close")));
    thread_join(&thread);
    Socket late = SOCKET_NONE;
    check(t, !socket_connect(TEXT("127.0.0.1"), world.address.port, 500, &late, t->err));
    world_close(&world);
    check_i64(t, 0, world.gone);
}

TEST(draining_cuts_what_is_left_after_the_deadline) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close)
    Socket busy = dial(t, world.address.port),
           half = dial(t, world.address.port);
    say(t, busy, TEXT("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
    say(t, half, TEXT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"));
    HttpExchange *held = take_held(&world);
    check(t, held != NULL && wait_for(&world.heads, 2));
    Stopper stopper = {&world, 50};
    Thread *thread = NULL;
    check_ok(t, thread_start("stop", stop_server, &stopper, &thread, t->err));
    check(t, wait_for(&world.gone, 1) && wait_for(&world.dropped, 1));
    answer(held, 200, TEXT("too late"));
    thread_join(&thread);
    check_i64(t, 0, hear(t, busy, TEXT("")).len);
    world_close(&world);
}

TEST(malformed_requests_name_what_is_wrong_and_end_the_connection) {
    static const struct {
        Text in;
        Text status, word;
    } rows[] = {
        {TEXT_INIT("\x16\x03\x01\x02"), TEXT_INIT("400"), TEXT_INIT("control byte")},
        {TEXT_INIT("PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n"), TEXT_INIT("505"),
         TEXT_INIT("HTTP/2")},
        {TEXT_INIT("GET / HTTP/1.1\r\n\r\n"), TEXT_INIT("400"), TEXT_INIT("Host")},
        {TEXT_INIT("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), TEXT_INIT("501"), TEXT_INIT("method")},
        {TEXT_INIT("GET /a/%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n"), TEXT_INIT("400"),
         TEXT_INIT("segment")},
        {TEXT_INIT("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz"),
         TEXT_INIT("400"), TEXT_INIT("chunk")},
    };
    World world;
    world_open(t, &world, 1, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(socket_close) Socket socket = dial(t, world.address.port);
        say(t, socket, rows[i].in);
        socket_shut_write(socket);
        Text heard = hear(t, socket, TEXT(""));
        check(t, has(heard, text_format(t->arena, "HTTP/1.1 %.*s ", TEXT_ARG(rows[i].status))));
        check(t, has(heard, rows[i].word) && has(heard, TEXT("\"status\":\"error\"")) &&
                     has(heard, TEXT("Connection: close")));
    }
    check_i64(t, COUNT(rows), http_server_stats(world.server).refused);
    world_close(&world);
}

// R5: every call fails in turn, or moves one byte. Whatever the client sees is whole or an error,
// and the server answers the next one and stops cleanly.
TEST(each_failing_call_ends_one_connection_at_most) {
    enum { NUMBER_EMFILE = 24, NUMBER_ECONNRESET = 104, NUMBER_ENOBUFS = 105 };
    static const struct {
        SocketCall call;
        int number;
    } plans[] = {{SOCKET_CALL_ACCEPT, NUMBER_EMFILE},
                 {SOCKET_CALL_READ, NUMBER_ECONNRESET},
                 {SOCKET_CALL_READ, 0},
                 {SOCKET_CALL_WRITE, NUMBER_ECONNRESET},
                 {SOCKET_CALL_WRITE, NUMBER_ENOBUFS},
                 {SOCKET_CALL_WRITE, 0}};
    World world;
    world_open(t, &world, 1, NULL);
    for (size_t i = 0; i < COUNT(plans); i++) {
        for (uint64_t nth = 1; nth <= 5; nth++) {
            socket_fail_after(plans[i].call, nth, false, plans[i].number);
            HttpClientRequest request = {.host = TEXT("127.0.0.1"),
                                         .port = world.address.port,
                                         .method = TEXT("POST"),
                                         .target = TEXT("/x"),
                                         .body = TEXT("0123456789"),
                                         .timeout_ms = 2000};
            HttpClientAnswer got = {0};
            bool ok = http_client_send(&request, t->arena, &got, t->err);
            socket_fail_after(plans[i].call, 0, false, 0);
            if (ok) check_text(t, TEXT("POST:0123456789"), got.body);
            check_ok(t, http_client_send(&request, t->arena, &got, t->err));
            check_text(t, TEXT("POST:0123456789"), got.body);
        }
    }
    check(t, http_server_stats(world.server).accept_errors >= 1);
    // Everything in single bytes, both ways.
    for (int call = SOCKET_CALL_READ; call <= SOCKET_CALL_WRITE; call++) {
        socket_fail_after((SocketCall)call, 1, true, 0);
        HttpClientRequest request = {.host = TEXT("127.0.0.1"),
                                     .port = world.address.port,
                                     .method = TEXT("POST"),
                                     .target = TEXT("/x"),
                                     .body = TEXT("abc"),
                                     .timeout_ms = 2000};
        HttpClientAnswer got = {0};
        bool ok = http_client_send(&request, t->arena, &got, t->err);
        socket_fail_after((SocketCall)call, 0, false, 0);
        check_ok(t, ok);
        check_text(t, TEXT("POST:abc"), got.body);
    }
    world_close(&world);
}

TEST(without_descriptors_the_server_pauses_and_recovers) {
    World world;
    world_open(t, &world, 1, NULL);
    socket_fail_after(SOCKET_CALL_ACCEPT, 1, true, 24 /* EMFILE */);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    say(t, socket, TEXT("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    clock_system()->sleep_ms(clock_system(), 350);
    socket_fail_after(SOCKET_CALL_ACCEPT, 0, false, 0);
    int64_t errors = http_server_stats(world.server).accept_errors;
    check(t, errors >= 1 && errors <= 5);
    check(t, has(hear(t, socket, TEXT("")), TEXT("GET:")));
    world_close(&world);
}

// A thread that keeps sending over keep-alive connections until the server goes away.
typedef struct Sender {
    World *world;
    int complete, broken;
} Sender;

static void send_until_closed(void *context) {
    Sender *sender = context;
    Text request = TEXT("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    Error err = {0};
    for (;;) {
        AUTO(socket_close) Socket socket = SOCKET_NONE;
        if (!socket_connect(TEXT("127.0.0.1"), sender->world->address.port, 500, &socket, &err))
            return;
        bool last = false;
        while (!last) {
            SocketPart part = {request.at, request.len};
            size_t count = 0, len = 0;
            if (socket_write(socket, &part, 1, &count, &err) != SOCKET_DONE) break;
            char piece[1024];
            Text heard = TEXT("");
            while (!text_ends_with(heard, TEXT("POST:abc"))) {
                SocketResult result =
                    socket_read(socket, piece + len, sizeof piece - len, &count, &err);
                if (result == SOCKET_AGAIN && socket_wait(socket, false, 3000, &err)) continue;
                if (result != SOCKET_DONE) break;
                len += count;
                heard = (Text){piece, len};
            }
            bool whole = text_ends_with(heard, TEXT("POST:abc"));
            sender->complete += whole;
            // Half an answer is a broken promise; none at all is a request that came too late.
            sender->broken += !whole && len > 0;
            last = !whole || has(heard, TEXT("Connection: close"));
        }
    }
}

TEST(draining_under_load_breaks_no_answer) {
    World world;
    world_open(t, &world, 2, NULL);
    enum { SENDERS = 4 };
    Sender senders[SENDERS] = {0};
    Thread *threads[SENDERS] = {0};
    for (size_t i = 0; i < SENDERS; i++) {
        senders[i].world = &world;
        check_ok(t, thread_start("send", send_until_closed, &senders[i], &threads[i], t->err));
    }
    check(t, wait_for(&world.requests, 1000));
    http_server_stop(world.server, 3000);
    int complete = 0;
    for (size_t i = 0; i < SENDERS; i++) {
        thread_join(&threads[i]);
        complete += senders[i].complete;
        check_i64(t, 0, senders[i].broken);
    }
    check_i64(t, world.requests, complete);
    world_close(&world);
}

TEST(a_client_that_does_not_read_makes_the_server_wait_not_grow) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    AUTO(builder_free) Builder all = {0};
    for (int i = 0; i < 8; i++) builder_add(&all, TEXT("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    builder_add(&all, TEXT("GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    say(t, socket, builder_text(&all));
    clock_system()->sleep_ms(clock_system(), 50);
    int64_t cpu_ns = cpu_process_ns();
    clock_system()->sleep_ms(clock_system(), 200);
    check(t, cpu_process_ns() - cpu_ns < 100 * INT64_C(1000000));  // it sleeps meanwhile
    // One answer of 4 MiB is in hand (the socket buffers may have swallowed another), the others
    // wait unread.
    check(t, world.requests <= 3);
    Text heard = hear(t, socket, TEXT(""));
    check_i64(t, 9, count_of(heard, TEXT("HTTP/1.1 200 OK")));
    check(t, heard.len > 8 * (size_t)(4 * MB) && text_ends_with(heard, TEXT("GET:")));
    world_close(&world);
    check_i64(t, 0, atomic_load(&world.budget.used));
}

TEST(an_answer_is_charged_until_it_was_sent_or_its_client_left) {
    World world;
    world_open(t, &world, 1, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    say(t, socket,
        TEXT("GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /big "
             "HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (int i = 0; i < 1000 && atomic_load(&world.budget.used) == 0; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    clock_system()->sleep_ms(clock_system(), 100);  // the others wait behind the first
    check_i64(t, 4 * MB, atomic_load(&world.budget.used));
    socket_close(&socket);
    for (int i = 0; i < 200 && atomic_load(&world.budget.used) != 0; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    check_i64(t, 0, atomic_load(&world.budget.used));
    world_close(&world);
}

TEST(a_long_request_line_is_read_and_a_longer_one_is_414) {
    World world;
    world_open(t, &world, 1, NULL);
    char *query = arena_push_array(t->arena, char, 200000);
    memset(query, 'q', 200000);
    for (int i = 0; i < 2; i++) {
        AUTO(socket_close) Socket socket = dial(t, world.address.port);
        say(t, socket, TEXT("GET /x?"));
        say(t, socket, (Text){query, i == 0 ? 100000 : 140000});
        say(t, socket, TEXT(" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        Text heard = hear(t, socket, TEXT(""));
        check(t, has(heard, i == 0 ? TEXT("HTTP/1.1 200 ") : TEXT("HTTP/1.1 414 ")));
    }
    world_close(&world);
}

TEST(a_server_whose_threads_or_ports_cannot_be_had_leaves_nothing_behind) {
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = 2,
                                 .limits = http_limits_default(),
                                 .handler = {NULL, NULL, on_request, NULL, NULL}};
    HttpServer *server = NULL;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        thread_fail_after(nth);
        bool ok = http_server_start(&options, &server, t->err);
        thread_fail_after(0);
        check(t, !ok && server == NULL);
    }
    World world;
    world_open(t, &world, 1, NULL);
    options.addresses = &world.address;
    check_error(t, http_server_start(&options, &server, t->err), ERROR_IN_USE);
    world_close(&world);
}

// The same with an answer from elsewhere: a call that fails while it is pending must not lose the
// exchange.
TEST(failing_calls_while_an_answer_is_pending_leave_no_exchange_behind) {
    enum { NUMBER_ECONNRESET = 104 };
    World world;
    world_open(t, &world, 1, NULL);
    for (int call = SOCKET_CALL_READ; call <= SOCKET_CALL_WRITE; call++) {
        for (uint64_t nth = 1; nth <= 6; nth++) {
            Socket socket = dial(t, world.address.port);
            Text request = TEXT("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
            SocketPart part = {request.at, request.len};
            size_t count;
            check(t, socket_write(socket, &part, 1, &count, t->err) == SOCKET_DONE);
            socket_fail_after((SocketCall)call, nth, false, NUMBER_ECONNRESET);
            clock_system()->sleep_ms(clock_system(), 5);
            mutex_take(&world.lock);
            HttpExchange *held = world.held_count > 0 ? world.held[--world.held_count] : NULL;
            mutex_give(&world.lock);
            if (held != NULL) answer(held, 200, TEXT("late\n"));
            clock_system()->sleep_ms(clock_system(), 5);
            socket_fail_after((SocketCall)call, 0, false, 0);
            socket_close(&socket);
        }
    }
    world_close(&world);  // returns only when every exchange was answered
    check(t, world.users_freed >= 6);
}

static void two_of_this_machine(HttpLimits *limits) {
    limits->connections_loopback = 2;
}

TEST(one_address_gets_its_quota_and_no_more) {
    World world;
    world_open(t, &world, 1, two_of_this_machine);
    AUTO(socket_close) Socket a = dial(t, world.address.port), b = dial(t, world.address.port);
    say(t, a, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, a, TEXT("GET:")), TEXT("200")));
    say(t, b, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, b, TEXT("GET:")), TEXT("200")));
    AUTO(socket_close) Socket c = dial(t, world.address.port);
    Text heard = hear(t, c, TEXT("}\n"));
    check(t, has(heard, TEXT("HTTP/1.1 503 ")) && has(heard, TEXT("HTTP_CONNECTIONS_LOOPBACK")) &&
                 has(heard, TEXT("Retry-After")));
    socket_close(&c);
    socket_close(&a);
    for (int i = 0; i < 200 && http_server_stats(world.server).connections > 1; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    AUTO(socket_close) Socket d = dial(t, world.address.port);
    say(t, d, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, d, TEXT("GET:")), TEXT("200")));
    check_i64(t, 1, http_server_stats(world.server).address_refused);
    world_close(&world);
}

static void five_strangers(HttpLimits *limits) {
    limits->connections = 25;
}

// Who says at once what it wants is served however many others say nothing.
TEST(strangers_have_a_fifth_of_the_connections_and_the_oldest_goes_first) {
    enum { FLOOD = 60 };
    World world;
    world_open(t, &world, 1, five_strangers);
    AUTO(socket_close) Socket known = dial(t, world.address.port);
    say(t, known, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("200")));
    Socket mute[FLOOD];
    for (size_t i = 0; i < FLOOD; i++) {
        mute[i] = dial(t, world.address.port);
        if (i % 10 != 9) continue;
        AUTO(socket_close) Socket good = dial(t, world.address.port);
        say(t, good, TEXT("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        check(t, has(hear(t, good, TEXT("")), TEXT("200")));
    }
    check_i64(t, 0, hear(t, mute[0], TEXT("")).len);  // closed
    HttpStats stats = http_server_stats(world.server);
    check(t, stats.strangers <= 5 && stats.strangers_evicted >= FLOOD - 5);
    check_i64(t, 0, stats.connections_refused);
    say(t, known, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("200")));
    say(t, mute[FLOOD - 1], TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, mute[FLOOD - 1], TEXT("GET:")), TEXT("200")));
    for (size_t i = 0; i < FLOOD; i++) socket_close(&mute[i]);
    world_close(&world);
}

static void short_acquaintance(HttpLimits *limits) {
    limits->stranger_time_ms = 200;
}

TEST(a_connection_of_refused_requests_only_ends_after_its_time) {
    World world;
    world_open(t, &world, 1, short_acquaintance);
    AUTO(socket_close)
    Socket stranger = dial(t, world.address.port),
           known = dial(t, world.address.port);
    say(t, known, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("200")));
    int refused = 0;
    while (refused < 100) {
        say(t, stranger, TEXT("GET /deny HTTP/1.1\r\nHost: h\r\n\r\n"));
        if (!has(hear(t, stranger, TEXT("no\n")), TEXT("401"))) break;
        refused++;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    check(t, refused >= 2 && refused < 60);
    say(t, known, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("200")));
    HttpStats stats = http_server_stats(world.server);
    check_i64(t, 1, stats.strangers_expired);
    check_i64(t, 0, stats.strangers);
    world_close(&world);
}

TEST(who_asks_only_for_what_is_open_to_all_stays_a_stranger) {
    World world;
    world_open(t, &world, 1, short_acquaintance);
    AUTO(socket_close)
    Socket stranger = dial(t, world.address.port),
           slow = dial(t, world.address.port);
    // An answer under way is not cut when the stranger's time is over; the connection ends after
    // it.
    say(t, slow, TEXT("GET /big?open HTTP/1.1\r\nHost: h\r\n\r\n"));
    int answered = 0;
    while (answered < 100) {
        say(t, stranger, TEXT("GET /?open HTTP/1.1\r\nHost: h\r\n\r\n"));
        if (!has(hear(t, stranger, TEXT("GET:")), TEXT("200"))) break;
        answered++;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    check(t, answered >= 2 && answered < 60);
    clock_system()->sleep_ms(clock_system(), 300);
    check(t, hear(t, slow, TEXT("")).len > 4 * MB);
    HttpStats stats = http_server_stats(world.server);
    check_i64(t, 2, stats.strangers_expired);
    world_close(&world);
}

static void small_purse(HttpLimits *limits) {
    limits->stranger_heads_bytes = 150 * KB;
}

TEST(long_request_lines_of_strangers_share_a_purse) {
    World world;
    world_open(t, &world, 1, small_purse);
    char *query = arena_push_array(t->arena, char, 80000);
    memset(query, 'q', 80000);
    AUTO(socket_close)
    Socket known = dial(t, world.address.port), first = dial(t, world.address.port),
           second = dial(t, world.address.port);
    say(t, known, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("200")));
    say(t, first, TEXT("GET /x?"));
    say(t, first, (Text){query, 80000});
    for (int i = 0; i < 200 && http_server_stats(world.server).bytes_in < 80000; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    say(t, second, TEXT("GET /x?"));
    say(t, second, (Text){query, 80000});
    check(t, has(hear(t, second, TEXT("}\n")), TEXT("HTTP_STRANGER_HEADS_BYTES")));
    // The known one pays for itself.
    say(t, known, TEXT("GET /x?"));
    say(t, known, (Text){query, 80000});
    say(t, known, TEXT(" HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("200")));
    // Once the first is known it gives back what it took.
    say(t, first, TEXT(" HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, first, TEXT("GET:")), TEXT("200")));
    AUTO(socket_close) Socket third = dial(t, world.address.port);
    say(t, third, TEXT("GET /x?"));
    say(t, third, (Text){query, 80000});
    say(t, third, TEXT(" HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, third, TEXT("GET:")), TEXT("200")));
    world_close(&world);
}

#ifndef SANITIZED
static int64_t resident_after(World *world, int64_t bytes_in) {
    for (int i = 0; i < 200 && http_server_stats(world->server).bytes_in < bytes_in; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    return process_memory_resident();
}
#endif

// Everything of ours that a stranger can hold without a long request line; the kernel's socket is
// not ours.
TEST(a_stranger_holds_at_most_32_KiB) {
#ifdef SANITIZED
    test_skip(t, "memory is measured, and a sanitizer takes its own");
#else
    enum { STRANGERS = 500, WARM = 200 };
    World world;
    process_files_raise();
    world_open(t, &world, 1, NULL);
    AUTO(builder_free) Builder head = {0};
    builder_add(&head, TEXT("GET / HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 0; head.len < 19 * KB; i++) builder_addf(&head, "X-%d: %0200d\r\n", i, i);
    Socket strangers[STRANGERS];
    int64_t before = 0;
    for (size_t i = 0; i < STRANGERS; i++) {
        // The first ones use what earlier tests have left in the heap.
        if (i == WARM) before = resident_after(&world, (int64_t)(head.len * i));
        strangers[i] = dial(t, world.address.port);
        say(t, strangers[i], builder_text(&head));
    }
    int64_t each =
        (resident_after(&world, (int64_t)(head.len * STRANGERS)) - before) / (STRANGERS - WARM);
    check_i64(t, STRANGERS, http_server_stats(world.server).strangers);
    printf("# %lld bytes for each\n", (long long)each);
    check(t, each > 16 * KB && each <= 32 * KB);
    for (size_t i = 0; i < STRANGERS; i++) socket_close(&strangers[i]);
    world_close(&world);
#endif
}

static void quick_readers(HttpLimits *limits) {
    limits->answer_window_ms = 300;
    limits->answer_rate_min = 1 * MB;
}

TEST(an_answer_that_is_taken_too_slowly_ends_and_one_taken_in_pieces_does_not) {
    World world;
    world_open(t, &world, 1, quick_readers);
    AUTO(socket_close)
    Socket slow = dial(t, world.address.port),
           steady = dial(t, world.address.port);
    for (int i = 0; i < 3; i++) {
        say(t, slow, TEXT("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
        say(t, steady, TEXT("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    static char piece[256 * KB];
    size_t all = 0;
    bool open = true;
    while (open && all < 3 * (size_t)(4 * MB)) {
        size_t count = 0;
        SocketResult result = socket_read(steady, piece, sizeof piece, &count, t->err);
        if (result == SOCKET_AGAIN) open = socket_wait(steady, false, 3000, t->err);
        if (result == SOCKET_CLOSED || result == SOCKET_FAILED) open = false;
        all += count;
        clock_system()->sleep_ms(clock_system(), 15);
    }
    check(t, open);
    for (int i = 0; i < 300 && http_server_stats(world.server).readers_cut == 0; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    check_i64(t, 1, http_server_stats(world.server).readers_cut);
    check(t, hear(t, slow, TEXT("")).len < 3 * (size_t)(4 * MB));
    world_close(&world);
    check_i64(t, 0, atomic_load(&world.budget.used));
}

// Preface, SETTINGS, then a GET as HEADERS: method, path, scheme and authority as HPACK literals.
#define HTTP2_BEGIN "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define HTTP2_GET   "\0\0\6\1\5\0\0\0\1\x82\x84\x86\x41\1h"
#define HTTP2_WAIT  "\0\0\xc\1\5\0\0\0\3\x82\4\5/wait\x86\x41\1h"

TEST(http2_by_prior_knowledge_comes_on_the_same_port_however_it_is_cut) {
    World world;
    world_open(t, &world, 1, NULL);
    Text whole = TEXT(HTTP2_BEGIN HTTP2_GET);
    for (size_t cut = 0; cut < whole.len; cut += 5) {
        AUTO(socket_close) Socket socket = dial(t, world.address.port);
        if (cut > 0) {
            say(t, socket, text_slice(whole, 0, cut));
            clock_system()->sleep_ms(clock_system(), 1);
        }
        say(t, socket, text_slice(whole, cut, whole.len));
        check(t, has(hear(t, socket, TEXT("GET:")), TEXT("GET:")));
    }
    check_i64(t, 0, http_server_stats(world.server).refused);
    world_close(&world);
    check_i64(t, world.users_freed, atomic_load(&world.requests));
}

TEST(http2_streams_are_answered_from_elsewhere_lost_and_drained_like_requests) {
    World world;
    world_open(t, &world, 1, NULL);
    Socket left = dial(t, world.address.port);
    say(t, left, TEXT(HTTP2_BEGIN HTTP2_WAIT));
    HttpExchange *held = take_held(&world);
    check(t, held != NULL);
    socket_close(&left);
    check(t, wait_for(&world.gone, 1) && http_is_gone(held));
    answer(held, 200, TEXT("nobody hears"));
    AUTO(socket_close)
    Socket socket = dial(t, world.address.port),
           idle = dial(t, world.address.port);
    say(t, idle, TEXT(HTTP2_BEGIN HTTP2_GET));
    check(t, has(hear(t, idle, TEXT("GET:")), TEXT("GET:")));
    say(t, socket, TEXT(HTTP2_BEGIN HTTP2_WAIT));
    held = take_held(&world);
    check(t, held != NULL);
    Stopper stopper = {&world, 3000};
    Thread *thread = NULL;
    check_ok(t, thread_start("stop", stop_server, &stopper, &thread, t->err));
    (void)hear(t, idle, TEXT(""));  // GOAWAY and the end
    answer(held, 200, TEXT("in time\n"));
    check(t, has(hear(t, socket, TEXT("")), TEXT("in time\n")));
    thread_join(&thread);
    world_close(&world);
    check_i64(t, 3, world.users_freed);
}

TEST(http2_strangers_end_like_others_and_the_quiet_ones_too) {
    World world;
    world_open(t, &world, 1, short_acquaintance);
    AUTO(socket_close)
    Socket quiet = dial(t, world.address.port),
           known = dial(t, world.address.port);
    say(t, quiet, TEXT(HTTP2_BEGIN));
    say(t, known, TEXT(HTTP2_BEGIN HTTP2_GET));
    check(t, has(hear(t, known, TEXT("GET:")), TEXT("GET:")));
    (void)hear(t, quiet, TEXT(""));
    for (int i = 0; i < 200 && http_server_stats(world.server).connections > 1; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    check_i64(t, 0, http_server_stats(world.server).strangers);
    check_i64(t, 1, http_server_stats(world.server).connections);
    world_close(&world);
}

TEST_MAIN("net/http_server", CASE(a_client_gets_answers_with_and_without_bodies),
          CASE(pipelined_requests_are_answered_in_order_on_one_connection),
          CASE(a_request_byte_by_byte_is_understood),
          CASE(slow_heads_slow_bodies_and_idle_connections_are_ended),
          CASE(a_client_that_asks_first_is_told_to_continue_or_not),
          CASE(a_request_refused_at_its_head_keeps_the_connection_when_its_body_is_small),
          CASE(a_chunked_body_over_the_limit_is_413_before_it_is_read),
          CASE(connections_beyond_the_limit_get_a_503_and_room_comes_back),
          CASE(another_thread_answers_and_pipelined_requests_wait_for_it),
          CASE(a_client_that_leaves_while_an_answer_is_pending_is_noticed),
          CASE(a_client_that_shuts_its_sending_side_still_gets_its_answers),
          CASE(draining_answers_what_is_in_flight_and_closes_the_rest),
          CASE(draining_cuts_what_is_left_after_the_deadline),
          CASE(malformed_requests_name_what_is_wrong_and_end_the_connection),
          CASE(each_failing_call_ends_one_connection_at_most),
          CASE(without_descriptors_the_server_pauses_and_recovers),
          CASE(draining_under_load_breaks_no_answer),
          CASE(a_client_that_does_not_read_makes_the_server_wait_not_grow),
          CASE(an_answer_is_charged_until_it_was_sent_or_its_client_left),
          CASE(a_long_request_line_is_read_and_a_longer_one_is_414),
          CASE(a_server_whose_threads_or_ports_cannot_be_had_leaves_nothing_behind),
          CASE(failing_calls_while_an_answer_is_pending_leave_no_exchange_behind),
          CASE(http2_by_prior_knowledge_comes_on_the_same_port_however_it_is_cut),
          CASE(http2_streams_are_answered_from_elsewhere_lost_and_drained_like_requests),
          CASE(http2_strangers_end_like_others_and_the_quiet_ones_too),
          CASE(one_address_gets_its_quota_and_no_more),
          CASE(strangers_have_a_fifth_of_the_connections_and_the_oldest_goes_first),
          CASE(a_connection_of_refused_requests_only_ends_after_its_time),
          CASE(who_asks_only_for_what_is_open_to_all_stays_a_stranger),
          CASE(long_request_lines_of_strangers_share_a_purse),
          CASE(a_stranger_holds_at_most_32_KiB),
          CASE(an_answer_that_is_taken_too_slowly_ends_and_one_taken_in_pieces_does_not))
