// The server on real loopback sockets, in one process: what clients do well, badly, slowly and not
// at all.

#include "net/http_client.h"
#include "net/http_loop.h"
#include "net/test_peer.h"
#include "net/test_world.h"
#include "os/process.h"

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
    Socket small = dial(t, world.address.port), large = dial(t, world.address.port);
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
    Socket busy = dial(t, world.address.port), idle = dial(t, world.address.port);
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
    Socket busy = dial(t, world.address.port), half = dial(t, world.address.port);
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

// The kernel alone would give some loop most of them, one time or the other.
TEST(connections_are_shared_out_among_the_loops) {
    enum { LOOPS = 4, EACH = 8 };
    World world;
    world_open(t, &world, LOOPS, NULL);
    for (int round = 0; round < 5; round++) {
        Socket sockets[LOOPS * EACH];
        for (int i = 0; i < LOOPS * EACH; i++) {
            sockets[i] = dial(t, world.address.port);
            say(t, sockets[i], TEXT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"));
            check(t, has(hear(t, sockets[i], TEXT("POST:x")), TEXT("HTTP/1.1 200 ")));
        }
        for (int i = 0; i < LOOPS; i++)
            check_i64(t, EACH, atomic_load(&world.server->loops[i].connection_count));
        for (int i = 0; i < LOOPS * EACH; i++) socket_close(&sockets[i]);
        for (int i = 0; i < 300 && http_server_stats(world.server).connections > 0; i++)
            clock_system()->sleep_ms(clock_system(), 10);
        check_i64(t, 0, http_server_stats(world.server).connections);
    }
    world_close(&world);
}

// Those on their way to another loop when the server stops are answered or closed, none is lost.
TEST(connections_on_their_way_to_another_loop_end_with_the_server) {
    for (int round = 0; round < 30; round++) {
        World world;
        world_open(t, &world, 3, NULL);
        Socket sockets[24];
        for (size_t i = 0; i < COUNT(sockets); i++) sockets[i] = dial(t, world.address.port);
        world_close(&world);
        for (size_t i = 0; i < COUNT(sockets); i++) {
            check_text(t, TEXT(""), hear(t, sockets[i], TEXT("")));
            socket_close(&sockets[i]);
        }
    }
}

// Of a server that does not start.
static void on_request(void *context, HttpExchange *exchange) {
    answer(exchange, 200, TEXT(""));
}

TEST(a_server_whose_threads_or_ports_cannot_be_had_leaves_nothing_behind) {
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = 2,
                                 .limits = http_limits_default(),
                                 .handler = {.on_request = on_request}};
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
    Socket socket = dial(t, world.address.port), idle = dial(t, world.address.port);
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

TEST_MAIN("net/http_server", CASE(connections_are_shared_out_among_the_loops),
          CASE(connections_on_their_way_to_another_loop_end_with_the_server),
          CASE(a_client_gets_answers_with_and_without_bodies),
          CASE(pipelined_requests_are_answered_in_order_on_one_connection),
          CASE(a_request_byte_by_byte_is_understood),
          CASE(a_client_that_asks_first_is_told_to_continue_or_not),
          CASE(a_request_refused_at_its_head_keeps_the_connection_when_its_body_is_small),
          CASE(another_thread_answers_and_pipelined_requests_wait_for_it),
          CASE(a_client_that_leaves_while_an_answer_is_pending_is_noticed),
          CASE(a_client_that_shuts_its_sending_side_still_gets_its_answers),
          CASE(draining_answers_what_is_in_flight_and_closes_the_rest),
          CASE(draining_cuts_what_is_left_after_the_deadline),
          CASE(malformed_requests_name_what_is_wrong_and_end_the_connection),
          CASE(each_failing_call_ends_one_connection_at_most),
          CASE(draining_under_load_breaks_no_answer),
          CASE(a_server_whose_threads_or_ports_cannot_be_had_leaves_nothing_behind),
          CASE(failing_calls_while_an_answer_is_pending_leave_no_exchange_behind),
          CASE(http2_by_prior_knowledge_comes_on_the_same_port_however_it_is_cut),
          CASE(http2_streams_are_answered_from_elsewhere_lost_and_drained_like_requests))
