// The fetcher against servers that behave, and servers that do not: a real HTTP server of ours, and
// a raw one that says what no HTTP server would.

#include "net/fetch.h"

#include <stdatomic.h>

#include "base/test.h"
#include "codec/compress.h"
#include "net/http.h"
#include "os/thread.h"

enum { RAW_CONNECTIONS_MAX = 16, PAGE_ROWS = 2000 };

typedef struct Outcome {
    Mutex lock;
    Condition wake;
    bool done;
    bool ok;
    int status;
    Text content_type, body;
    int64_t wire_bytes;
    Error err;
    Arena *arena;
} Outcome;

typedef struct World {
    Loop *loop;
    Thread *thread;
    FetchClient *client;
    HttpServer *server;
    uint16_t port;
    Socket raw;
    uint16_t raw_port;
    Thread *raw_thread;
    _Atomic bool stopping;
    Error err;
} World;

static void loop_thread(void *context) {
    World *world = context;
    (void)!loop_run(world->loop, &world->err);
}

// ---- The server that behaves ----

static Text seen_header(HttpExchange *exchange, Text name) {
    Text value = http_header(exchange, name);
    return value.at == NULL ? TEXT("-") : value;
}

static void serve(void *context, HttpExchange *exchange) {
    Text path = exchange->head.path;
    HttpHeader headers[2] = {{TEXT("Content-Type"), TEXT("text/plain; version=0.0.4")}};
    HttpResponse response = {.status = 200, .headers = headers, .header_count = 1};
    if (text_equal(path, TEXT("/seen"))) {
        builder_addf(&response.body, "%.*s %.*s|%.*s|%.*s|%.*s",
                     TEXT_ARG(http_method_text(exchange->head.method)),
                     TEXT_ARG(exchange->head.query), TEXT_ARG(seen_header(exchange, TEXT("x-a"))),
                     TEXT_ARG(seen_header(exchange, TEXT("authorization"))),
                     TEXT_ARG(exchange->body.len > 0 ? bytes_text(exchange->body) : TEXT("-")));
    } else if (text_equal(path, TEXT("/packed"))) {
        AUTO(builder_free) Builder plain = {0};
        for (int i = 0; i < PAGE_ROWS; i++) builder_addf(&plain, "a{i=\"%d\"} %d\n", i, i);
        Error err;
        bool gzip = text_find(seen_header(exchange, TEXT("accept-encoding")), TEXT("gzip")) >= 0;
        if (!gzip || !compress_bytes(COMPRESSION_GZIP, 0, text_bytes(builder_text(&plain)),
                                     &response.body, &err))
            response.status = 500;
        headers[1] = (HttpHeader){TEXT("Content-Encoding"), TEXT("gzip")};
        response.header_count = 2;
    } else if (text_equal(path, TEXT("/moved"))) {
        response.status = 302;
        headers[1] = (HttpHeader){TEXT("Location"), TEXT("/seen?moved")};
        response.header_count = 2;
    } else if (text_equal(path, TEXT("/broken"))) {
        response.text = TEXT("this is not gzip");
        headers[1] = (HttpHeader){TEXT("Content-Encoding"), TEXT("gzip")};
        response.header_count = 2;
    } else {
        response.status = 404;
    }
    http_respond(exchange, &response);
}

// ---- The server that does not ----

static bool say(Socket socket, Text text) {
    Error err;
    while (text.len > 0) {
        SocketPart part = {text.at, text.len};
        size_t count = 0;
        SocketResult result = socket_write(socket, &part, 1, &count, &err);
        if (result != SOCKET_DONE && result != SOCKET_AGAIN) return false;
        if (result == SOCKET_AGAIN && !socket_wait(socket, true, 3000, &err)) return false;
        text = text_slice(text, count, text.len);
    }
    return true;
}

// What stands behind "GET /" chooses the misdeed.
static void misbehave(World *world, Socket socket) {
    char heard[2048];
    size_t count = 0;
    Error err;
    if (!socket_wait(socket, false, 3000, &err)) return;
    if (socket_read(socket, heard, sizeof heard, &count, &err) != SOCKET_DONE) return;
    Text head = text_slice((Text){heard, count}, 5, 14);
    if (text_starts_with(head, TEXT("mute"))) {
        for (int i = 0; i < 100 && !atomic_load(&world->stopping); i++)
            clock_system()->sleep_ms(clock_system(), 10);
    } else if (text_starts_with(head, TEXT("endless"))) {
        bool ok = say(socket, TEXT("HTTP/1.1 200 OK\r\n\r\n"));
        while (ok && !atomic_load(&world->stopping)) ok = say(socket, TEXT("a 1\nb 2\nc 3\nd 4\n"));
    } else if (text_starts_with(head, TEXT("huge"))) {
        (void)say(socket, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\na 1\n"));
    } else if (text_starts_with(head, TEXT("cut"))) {
        (void)say(socket, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\nb"));
    } else if (text_starts_with(head, TEXT("nothing"))) {
        // closed without a word
    } else if (text_starts_with(head, TEXT("drip"))) {
        bool ok = say(socket, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
        for (int i = 0; ok && i < 1000 && !atomic_load(&world->stopping); i++) {
            ok = say(socket, TEXT("x"));
            clock_system()->sleep_ms(clock_system(), 10);
        }
    } else {
        (void)say(socket, TEXT("this is no HTTP\r\n\r\n"));
    }
}

static void raw_run(void *context) {
    World *world = context;
    Error err;
    while (!atomic_load(&world->stopping)) {
        if (!socket_wait(world->raw, false, 20, &err)) continue;
        AUTO(socket_close) Socket socket = SOCKET_NONE;
        char peer[64];
        if (socket_accept(world->raw, &socket, peer, sizeof peer, &err) == SOCKET_DONE)
            misbehave(world, socket);
    }
}

// ---- The world ----

static void world_open(Test *t, World *world) {
    *world = (World){.raw = SOCKET_NONE};
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = 1,
                                 .limits = http_limits_default(),
                                 .handler = {.context = world, .on_request = serve}};
    check_ok(t, http_server_start(&options, &world->server, t->err));
    world->port = http_server_port(world->server, 0);
    check_ok(t, socket_listen(any, false, &world->raw, t->err));
    check_ok(t, socket_port(world->raw, &world->raw_port, t->err));
    check_ok(t, thread_start("raw", raw_run, world, &world->raw_thread, t->err));
    check_ok(t, loop_open(clock_system(), &world->loop, t->err));
    check_ok(t, fetch_client_open(world->loop, 8, &world->client, t->err));
    check_ok(t, thread_start("loop", loop_thread, world, &world->thread, t->err));
}

static void world_close(World *world) {
    loop_stop(world->loop);
    thread_join(&world->thread);
    fetch_client_close(&world->client);
    loop_close(&world->loop);
    atomic_store(&world->stopping, true);
    thread_join(&world->raw_thread);
    socket_close(&world->raw);
    http_server_stop(world->server, 100);
    http_server_free(&world->server);
}

static void on_done(void *context, const FetchAnswer *answer, const Error *err) {
    Outcome *outcome = context;
    mutex_take(&outcome->lock);
    outcome->ok = answer != NULL;
    if (answer != NULL) {
        outcome->status = answer->status;
        outcome->content_type = text_copy(answer->content_type, outcome->arena);
        outcome->body = text_copy(answer->body, outcome->arena);
        outcome->wire_bytes = answer->wire_bytes;
    } else {
        outcome->err = *err;
    }
    outcome->done = true;
    condition_wake_all(&outcome->wake);
    mutex_give(&outcome->lock);
}

typedef struct Start {
    World *world;
    FetchRequest *request;
    Fetch *fetch;
    bool cancel;
} Start;

static void start_on_loop(void *context) {
    Start *start = context;
    Error err = {0};
    if (!fetch_start(start->world->client, start->request, &start->fetch, &err)) {
        on_done(start->request->context, NULL, &err);
    } else if (start->cancel) {
        fetch_cancel(&start->fetch);
        Error cancelled = {.code = ERROR_CANCELLED};
        on_done(start->request->context, NULL, &cancelled);
    }
}

static Outcome fetch_now(Test *t, World *world, FetchRequest request, bool cancel) {
    Outcome outcome = {.arena = t->arena};
    mutex_begin(&outcome.lock, LOCK_WORKER_QUEUE);
    condition_begin(&outcome.wake);
    if (request.timeout_ms == 0) request.timeout_ms = 3000;
    if (request.body_bytes_max == 0) request.body_bytes_max = MB;
    request.done = on_done;
    request.context = &outcome;
    Start start = {world, &request, NULL, cancel};
    loop_post(world->loop, start_on_loop, &start);
    mutex_take(&outcome.lock);
    while (!outcome.done) condition_wait(&outcome.wake, &outcome.lock);
    mutex_give(&outcome.lock);
    condition_end(&outcome.wake);
    mutex_end(&outcome.lock);
    return outcome;
}

static Text url_of(Test *t, uint16_t port, const char *path) {
    return text_format(t->arena, "http://127.0.0.1:%u%s", port, path);
}

TEST(a_request_says_what_it_was_told_and_the_answer_comes_whole) {
    World world;
    world_open(t, &world);
    HttpHeader header = {TEXT("X-A"), TEXT("1")};
    FetchRequest request = {.url = url_of(t, world.port, "/seen?q=%41"),
                            .headers = &header,
                            .header_count = 1,
                            .user = TEXT("me"),
                            .password = TEXT("secret")};
    Outcome got = fetch_now(t, &world, request, false);
    check(t, got.ok);
    check_i64(t, 200, got.status);
    check_text(t, TEXT("text/plain; version=0.0.4"), got.content_type);
    check_text(t, TEXT("GET q=%41|1|Basic bWU6c2VjcmV0|-"), got.body);
    request.method = TEXT("POST");
    request.body = TEXT("hello");
    request.user = TEXT_NONE;
    got = fetch_now(t, &world, request, false);
    check_text(t, TEXT("POST q=%41|1|-|hello"), got.body);
    got = fetch_now(t, &world, (FetchRequest){.url = url_of(t, world.port, "/none")}, false);
    check(t, got.ok);
    check_i64(t, 404, got.status);
    world_close(&world);
}

TEST(connections_are_used_again) {
    World world;
    world_open(t, &world);
    for (int i = 0; i < 20; i++) {
        FetchRequest request = {.url = url_of(t, world.port, "/seen")};
        check(t, fetch_now(t, &world, request, false).ok);
    }
    check_i64(t, 1, http_server_stats(world.server).connections_accepted);
    world_close(&world);
}

TEST(packed_bodies_are_unpacked_and_their_plain_size_counts) {
    World world;
    world_open(t, &world);
    FetchRequest request = {.url = url_of(t, world.port, "/packed"), .accept_gzip = true};
    Outcome got = fetch_now(t, &world, request, false);
    check(t, got.ok);
    check(t, text_ends_with(got.body, TEXT("a{i=\"1999\"} 1999\n")));
    check(t, got.wire_bytes < (int64_t)got.body.len / 2);
    request.body_bytes_max = (int64_t)got.body.len - 1;
    got = fetch_now(t, &world, request, false);
    check(t, !got.ok);
    check_i64(t, ERROR_TOO_LARGE, got.err.code);
    request.body_bytes_max = 0;
    request.url = url_of(t, world.port, "/broken");
    got = fetch_now(t, &world, request, false);
    check(t, !got.ok && text_starts_with(text_from_cstring(got.err.message),
                                         TEXT("unpacking the body: ")));
    world_close(&world);
}

TEST(answers_that_come_together_are_bounded_together) {
    World world;
    world_open(t, &world);
    FetchRequest request = {.url = url_of(t, world.port, "/packed"), .accept_gzip = true};
    Outcome got = fetch_now(t, &world, request, false);
    check(t, got.ok);
    int64_t wire = got.wire_bytes;
    fetch_client_limit(world.client, wire - 1);
    got = fetch_now(t, &world, request, false);
    check(t, !got.ok);
    check_i64(t, ERROR_TOO_LARGE, got.err.code);
    check(t, strstr(got.err.message, "FETCH_BYTES") != NULL);
    // What was received is given back, also by those that failed.
    fetch_client_limit(world.client, wire);
    for (int i = 0; i < 5; i++) check(t, fetch_now(t, &world, request, false).ok);
    world_close(&world);
}

TEST(redirects_are_followed_only_when_asked) {
    World world;
    world_open(t, &world);
    FetchRequest request = {.url = url_of(t, world.port, "/moved")};
    check_i64(t, 302, fetch_now(t, &world, request, false).status);
    request.follow_redirects = true;
    Outcome got = fetch_now(t, &world, request, false);
    check_i64(t, 200, got.status);
    check_text(t, TEXT("GET moved|-|-|-"), got.body);
    world_close(&world);
}

static void check_fails(Test *t, World *world, FetchRequest request, ErrorCode code,
                        const char *words) {
    int64_t begun_ns = clock_system()->monotonic_ns(clock_system());
    Outcome got = fetch_now(t, world, request, false);
    check(t, !got.ok);
    if (got.err.code != code ||
        text_find(text_from_cstring(got.err.message), text_from_cstring(words)) < 0)
        check_failed(t, __FILE__, __LINE__, "%s: %s, not %s", error_code_name(got.err.code),
                     got.err.message, words);
    check(t, clock_system()->monotonic_ns(clock_system()) - begun_ns < 2 * INT64_C(1000000000));
}

TEST(broken_servers_have_clear_names) {
    World world;
    world_open(t, &world);
    FetchRequest request = {.timeout_ms = 250, .body_bytes_max = 64 * KB};
    static const struct {
        const char *path;
        ErrorCode code;
        const char *words;
    } rows[] = {
        {"/mute", ERROR_TIMEOUT, "timed out after 0.25 s"},
        {"/drip", ERROR_TIMEOUT, "timed out after 0.25 s"},
        {"/endless", ERROR_TOO_LARGE, "body size limit exceeded: more than 65536 bytes"},
        {"/huge", ERROR_TOO_LARGE, "body size limit exceeded: more than 65536 bytes"},
        {"/cut", ERROR_NETWORK, "the body was cut off"},
        {"/nothing", ERROR_NETWORK, "closed the connection without an answer"},
        {"/garbage", ERROR_NETWORK, "the answer is not HTTP"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        request.url = url_of(t, world.raw_port, rows[i].path);
        request.timeout_ms = rows[i].code == ERROR_TIMEOUT ? 250 : 1500;
        check_fails(t, &world, request, rows[i].code, rows[i].words);
    }
    request.url = TEXT("http://127.0.0.1:1/");
    check_fails(t, &world, request, ERROR_NETWORK, "cannot connect: connection refused");
    request.url = TEXT("http://nobody.invalid/");
    check_fails(t, &world, request, ERROR_NETWORK, "name not resolved");
    request.url = TEXT("ftp://127.0.0.1/");
    check_fails(t, &world, request, ERROR_BAD_INPUT, "not a URL");
    request.url = TEXT("http://[::1/");
    check_fails(t, &world, request, ERROR_BAD_INPUT, "not a URL");
    // And none of it disturbs the next one.
    request.url = url_of(t, world.port, "/seen");
    check(t, fetch_now(t, &world, request, false).ok);
    world_close(&world);
}

TEST(a_cancelled_request_never_calls_back) {
    World world;
    world_open(t, &world);
    FetchRequest request = {.url = url_of(t, world.raw_port, "/mute")};
    Outcome got = fetch_now(t, &world, request, true);
    check_i64(t, ERROR_CANCELLED, got.err.code);
    request.url = url_of(t, world.port, "/seen");
    check(t, fetch_now(t, &world, request, false).ok);
    world_close(&world);
}

TEST_MAIN("net/fetch", CASE(a_request_says_what_it_was_told_and_the_answer_comes_whole),
          CASE(connections_are_used_again),
          CASE(packed_bodies_are_unpacked_and_their_plain_size_counts),
          CASE(answers_that_come_together_are_bounded_together),
          CASE(redirects_are_followed_only_when_asked), CASE(broken_servers_have_clear_names),
          CASE(a_cancelled_request_never_calls_back))
