// The fetcher against servers that behave, and servers that do not: a real HTTP server of ours, and
// a raw one that says what no HTTP server would.

#include "net/fetch.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/test.h"
#include "codec/compress.h"
#include "net/http.h"
#include "net/test_peer.h"
#include "os/thread.h"

enum { RAW_CONNECTIONS_MAX = 16, PAGE_ROWS = 2000, MANY_NAMES = 1000 };

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
    Clock clock;  // the system's, and later by what a test skips
    _Atomic int64_t skipped_ns;
    Error err;
} World;

static int64_t skipping_ns(Clock *clock) {
    World *world = clock->context;
    return clock_system()->monotonic_ns(clock_system()) + atomic_load(&world->skipped_ns);
}

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
        bool ok = say_all(socket, TEXT("HTTP/1.1 200 OK\r\n\r\n"));
        while (ok && !atomic_load(&world->stopping))
            ok = say_all(socket, TEXT("a 1\nb 2\nc 3\nd 4\n"));
    } else if (text_starts_with(head, TEXT("huge"))) {
        (void)say_all(socket, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\na 1\n"));
    } else if (text_starts_with(head, TEXT("cut"))) {
        (void)say_all(socket, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\nb"));
    } else if (text_starts_with(head, TEXT("nothing"))) {
        // closed without a word
    } else if (text_starts_with(head, TEXT("drip"))) {
        bool ok = say_all(socket, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
        for (int i = 0; ok && i < 1000 && !atomic_load(&world->stopping); i++) {
            ok = say_all(socket, TEXT("x"));
            clock_system()->sleep_ms(clock_system(), 10);
        }
    } else {
        (void)say_all(socket, TEXT("this is no HTTP\r\n\r\n"));
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
    world->clock = *clock_system();
    world->clock.context = world;
    world->clock.monotonic_ns = skipping_ns;
    check_ok(t, loop_open(&world->clock, &world->loop, t->err));
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

// ---- Names ----

// A name server that knows app.test; a few bytes of RFC 1035.
typedef struct NameServer {
    int fd;
    uint16_t port;
    Thread *thread;
    _Atomic bool stopping, silent, fails;
    _Atomic int asked;  // for addresses of IPv4
} NameServer;

static void name_server_run(void *context) {
    NameServer *server = context;
    while (!atomic_load(&server->stopping)) {
        uint8_t message[512];
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t got = recvfrom(server->fd, message, 256, 0, (struct sockaddr *)&from, &from_len);
        if (got < 17) continue;
        size_t at = 12;
        while (at < 250 && message[at] != 0) at += (size_t)message[at] + 1;
        bool four = message[at + 2] == 1;
        if (four) atomic_fetch_add(&server->asked, 1);
        if (atomic_load(&server->silent)) continue;
        bool fails = atomic_load(&server->fails);
        bool known = !fails && memcmp(message + 12, "\3app\4test", 10) == 0;
        message[2] = 0x84;
        message[3] = fails ? 2 : known ? 0 : 3;  // SERVFAIL, fine, NXDOMAIN
        message[7] = known && four;
        message[11] = 0;
        at += 5;
        if (message[7]) {
            memcpy(message + at, "\xc0\x0c\0\1\0\1\0\0\0\36\0\4\x7f\0\0\1", 16);
            at += 16;
        }
        (void)!sendto(server->fd, message, at, 0, (struct sockaddr *)&from, from_len);
    }
}

static void name_server_open(Test *t, NameServer *server) {
    *server = (NameServer){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    struct timeval patience = {.tv_usec = 50000};
    check(t, setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof own;
    check(t, bind(server->fd, (struct sockaddr *)&own, len) == 0);
    check(t, getsockname(server->fd, (struct sockaddr *)&own, &len) == 0);
    server->port = ntohs(own.sin_port);
    check_ok(t, thread_start("dns", name_server_run, server, &server->thread, t->err));
}

static void name_server_close(NameServer *server) {
    atomic_store(&server->stopping, true);
    thread_join(&server->thread);
    (void)close(server->fd);
}

typedef struct Change {
    World *world;
    Text servers;
    Error err;
    bool ok;
    int64_t lookups;
    _Atomic bool done;
} Change;

static void change_on_loop(void *context) {
    Change *change = context;
    FetchClient *client = change->world->client;
    change->ok = change->servers.len == 0 ||
                 fetch_client_name_servers(client, change->servers, &change->err);
    change->lookups = fetch_client_lookups(client);
    atomic_store(&change->done, true);
}

// Sets the name servers, when there are any, and counts lookups; on the loop's thread.
static int64_t change_names(Test *t, World *world, Text servers) {
    Change change = {.world = world, .servers = servers};
    loop_post(world->loop, change_on_loop, &change);
    while (!atomic_load(&change.done)) clock_system()->sleep_ms(clock_system(), 1);
    check(t, change.ok);
    return change.lookups;
}

static void names_world_open(Test *t, World *world, NameServer *server) {
    name_server_open(t, server);
    world_open(t, world);
    (void)change_names(t, world, text_format(t->arena, "127.0.0.1:%u", server->port));
}

TEST(names_come_from_the_hosts_file_and_from_dns_and_are_remembered) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    FetchRequest request = {.url = text_format(t->arena, "http://localhost:%u/seen", world.port)};
    Outcome got = fetch_now(t, &world, request, false);
    if (!got.ok) check_failed(t, __FILE__, __LINE__, "localhost: %s", got.err.message);
    check_i64(t, 0, atomic_load(&server.asked));
    check_i64(t, 1, change_names(t, &world, TEXT_NONE));
    for (int i = 0; i < 5; i++) {
        request.url = text_format(t->arena, "http://app.test:%u/seen?%d", world.port, i);
        got = fetch_now(t, &world, request, false);
        if (!got.ok) check_failed(t, __FILE__, __LINE__, "app.test: %s", got.err.message);
    }
    check_i64(t, 1, atomic_load(&server.asked));
    check_i64(t, 2, change_names(t, &world, TEXT_NONE));
    // Found under its own name also when the certificate is to have another; and with a final dot.
    FetchTls tls = {.server_name = TEXT("elsewhere.test")};
    FetchRequest secure = {.url = text_format(t->arena, "https://app.test:%u/", world.raw_port),
                           .tls = &tls};
    check_fails(t, &world, secure, ERROR_NETWORK, "TLS handshake failed");
    check_i64(t, 2, change_names(t, &world, TEXT_NONE));
    request.url = text_format(t->arena, "http://app.test.:%u/seen", world.port);
    got = fetch_now(t, &world, request, false);
    if (!got.ok) check_failed(t, __FILE__, __LINE__, "app.test.: %s", got.err.message);
    check_i64(t, 3, change_names(t, &world, TEXT_NONE));
    request.url = url_of(t, world.port, "/seen");  // an address needs no lookup
    check(t, fetch_now(t, &world, request, false).ok);
    check_i64(t, 3, change_names(t, &world, TEXT_NONE));
    world_close(&world);
    name_server_close(&server);
}

TEST(an_unknown_name_is_named_and_not_asked_for_at_once_again) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    FetchRequest request = {.url = TEXT("http://nobody.test/")};
    check_fails(t, &world, request, ERROR_NETWORK, "cannot resolve nobody.test: no such host");
    check_fails(t, &world, request, ERROR_NETWORK, "cannot resolve nobody.test: no such host");
    check_i64(t, 1, change_names(t, &world, TEXT_NONE));
    world_close(&world);
    name_server_close(&server);
}

TEST(a_proxy_is_asked_for_instead_of_the_server) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    FetchProxy proxy = {.url = text_format(t->arena, "http://app.test:%u", world.port)};
    FetchRequest request = {.url = TEXT("http://far.away.test/seen"), .proxy = &proxy};
    Outcome got = fetch_now(t, &world, request, false);
    check(t, got.ok);  // ours is no proxy: any answer shows that it was reached
    proxy.none_for = TEXT("10.0.0.0/8, .away.test");
    check_fails(t, &world, request, ERROR_NETWORK, "cannot resolve far.away.test: no such host");
    proxy.none_for = TEXT("way.test");
    check(t, fetch_now(t, &world, request, false).ok);
    world_close(&world);
    name_server_close(&server);
}

static long threads_now(void) {
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long threads = -1;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Threads:", 8) == 0) threads = strtol(line + 8, NULL, 10);
    if (file != NULL) (void)fclose(file);
    return threads;
}

typedef struct Many {
    World *world;
    Arena *arena;
    const char *host;  // NULL: another for each
    int count;
    bool cancel;
    Fetch *fetches[MANY_NAMES];
    _Atomic int done, timed_out, well;
    _Atomic bool started;
} Many;

static void on_one_of_many(void *context, const FetchAnswer *answer, const Error *err) {
    Many *many = context;
    if (answer != NULL) atomic_fetch_add(&many->well, 1);
    if (err != NULL && err->code == ERROR_TIMEOUT &&
        strstr(err->message, ": the name server does not answer") != NULL)
        atomic_fetch_add(&many->timed_out, 1);
    atomic_fetch_add(&many->done, 1);
}

static void start_many(void *context) {
    Many *many = context;
    for (int i = 0; i < many->count; i++) {
        Text host = many->host != NULL ? text_from_cstring(many->host)
                                       : text_format(many->arena, "h%d.test", i);
        FetchRequest request = {
            .url =
                text_format(many->arena, "http://%.*s:%u/seen", TEXT_ARG(host), many->world->port),
            .timeout_ms = 400,
            .body_bytes_max = MB,
            .done = on_one_of_many,
            .context = many,
        };
        Error err;
        if (!fetch_start(many->world->client, &request, &many->fetches[i], &err))
            atomic_fetch_add(&many->done, 1);
    }
    for (int i = 0; many->cancel && i < many->count; i++) fetch_cancel(&many->fetches[i]);
    atomic_store(&many->started, true);
}

static long run_many(Many *many) {
    long most = 0;
    int wanted = many->cancel ? 0 : many->count;
    loop_post(many->world->loop, start_many, many);
    for (int i = 0; i < 1000; i++) {
        most = MAX(most, threads_now());
        if (atomic_load(&many->started) && atomic_load(&many->done) >= wanted) break;
        clock_system()->sleep_ms(clock_system(), 5);
    }
    return most;
}

TEST(a_silent_name_server_costs_no_threads) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    atomic_store(&server.silent, true);
    long before = threads_now();
    Many *many = arena_push(t->arena, Many);
    many->world = &world;
    many->arena = t->arena;
    many->count = MANY_NAMES;
    check_i64(t, before, run_many(many));
    check_i64(t, MANY_NAMES, atomic_load(&many->done));
    check_i64(t, MANY_NAMES, atomic_load(&many->timed_out));
    check_i64(t, LIMIT_NAME_LOOKUPS, change_names(t, &world, TEXT_NONE));
    // Addresses are not held up by it; nor does closing wait for the lookups under way.
    FetchRequest request = {.url = url_of(t, world.port, "/seen")};
    check(t, fetch_now(t, &world, request, false).ok);
    world_close(&world);
    name_server_close(&server);
}

TEST(the_last_known_addresses_outlast_a_name_server_that_fails) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    FetchRequest request = {.url = text_format(t->arena, "http://app.test:%u/seen", world.port)};
    check(t, fetch_now(t, &world, request, false).ok);
    check_i64(t, 1, atomic_load(&server.asked));
    atomic_store(&server.fails, true);
    atomic_fetch_add(&world.skipped_ns, INT64_C(31000000000));  // past the time to live
    check(t, fetch_now(t, &world, request, false).ok);
    int asked = atomic_load(&server.asked);
    check(t, asked > 1);
    check_i64(t, 2, change_names(t, &world, TEXT_NONE));
    FetchRequest other = {.url = TEXT("http://other.test/")};
    check_fails(t, &world, other, ERROR_NETWORK, "cannot resolve other.test: the name server");
    atomic_store(&server.fails, false);
    atomic_fetch_add(&world.skipped_ns, INT64_C(31000000000));
    check_fails(t, &world, other, ERROR_NETWORK, "cannot resolve other.test: no such host");
    check(t, fetch_now(t, &world, request, false).ok);
    check_i64(t, 5, change_names(t, &world, TEXT_NONE));
    world_close(&world);
    name_server_close(&server);
}

TEST(many_requests_share_one_lookup) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    Many *many = arena_push(t->arena, Many);
    many->world = &world;
    many->arena = t->arena;
    many->host = "app.test";
    many->count = 50;
    (void)run_many(many);
    check_i64(t, 50, atomic_load(&many->well));
    check_i64(t, 1, atomic_load(&server.asked));
    check_i64(t, 1, change_names(t, &world, TEXT_NONE));
    world_close(&world);
    name_server_close(&server);
}

TEST(a_request_can_be_cancelled_while_its_name_is_awaited) {
    World world;
    NameServer server;
    names_world_open(t, &world, &server);
    atomic_store(&server.silent, true);
    Many *many = arena_push(t->arena, Many);
    many->world = &world;
    many->arena = t->arena;
    many->count = 50;
    many->cancel = true;
    (void)run_many(many);
    clock_system()->sleep_ms(clock_system(), 500);  // past their time
    check_i64(t, 0, atomic_load(&many->done));
    world_close(&world);
    name_server_close(&server);
}

TEST_MAIN("net/fetch", CASE(a_request_says_what_it_was_told_and_the_answer_comes_whole),
          CASE(connections_are_used_again),
          CASE(packed_bodies_are_unpacked_and_their_plain_size_counts),
          CASE(answers_that_come_together_are_bounded_together),
          CASE(redirects_are_followed_only_when_asked), CASE(broken_servers_have_clear_names),
          CASE(a_cancelled_request_never_calls_back),
          CASE(names_come_from_the_hosts_file_and_from_dns_and_are_remembered),
          CASE(an_unknown_name_is_named_and_not_asked_for_at_once_again),
          CASE(a_proxy_is_asked_for_instead_of_the_server),
          CASE(a_silent_name_server_costs_no_threads),
          CASE(the_last_known_addresses_outlast_a_name_server_that_fails),
          CASE(many_requests_share_one_lookup),
          CASE(a_request_can_be_cancelled_while_its_name_is_awaited))
