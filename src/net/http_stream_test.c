// Answers in pieces, on real sockets: whole and cut, to clients that are quick, slow, old or gone.

#include <nghttp2/nghttp2.h>
#include <stdatomic.h>

#include "base/array.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/test.h"
#include "net/http.h"
#include "net/http_client.h"
#include "net/test_peer.h"
#include "os/process.h"
#include "os/thread.h"

enum { PIECE_BYTES = 100 * KB, WAIT_MS = 20 };

// One answer that is made: "/whole?1000000" has so many bytes, "/cut?…" ends behind them without
// being whole, "/tail?…" has a trailer.
typedef struct Job {
    HttpExchange *exchange;
    uint64_t made, most;
    bool begun, gone;
} Job;

// One thread makes all answers, in turns: who has to wait for its client is put away.
typedef struct World {
    HttpServer *server;
    Address address;
    Mutex lock;
    Condition work;
    ARRAY(Job *) queue;
    bool stopping;
    Thread *maker;
    _Atomic int parked, woken, ended, gone;
    _Atomic uint64_t made;
} World;

static char byte_at(uint64_t at) {
    return (char)('a' + (at * 7 + at / 1000) % 26);
}

static void add_bytes(uint64_t from, uint64_t len, Builder *out) {
    builder_reserve(out, len);
    for (uint64_t i = 0; i < len; i++) out->at[out->len++] = byte_at(from + i);
}

static bool is_pattern(Text text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != byte_at(i)) return false;
    return true;
}

static void put_back(World *world, Job *job) {
    mutex_take(&world->lock);
    *array_add(&world->queue) = job;
    condition_wake_one(&world->work);
    mutex_give(&world->lock);
}

static void begin(Job *job) {
    HttpExchange *exchange = job->exchange;
    HttpHeader headers[] = {{TEXT("Content-Type"), TEXT("text/plain")},
                            {TEXT("Trailer"), TEXT("x-made")}};
    bool tail = text_equal(exchange->head.path, TEXT("/tail"));
    HttpResponse head = {.status = 200, .headers = headers, .header_count = tail ? 2 : 1};
    http_stream_begin(exchange, &head);
    job->begun = true;
}

static void end(World *world, Job *job, HttpRoom room) {
    HttpHeader trailer = {TEXT("x-made"), TEXT("all")};
    Text path = job->exchange->head.path;
    bool whole = room != HTTP_GONE && !text_equal(path, TEXT("/cut"));
    atomic_fetch_add(&world->gone, room == HTTP_GONE);
    http_stream_end(job->exchange, whole, &trailer, text_equal(path, TEXT("/tail")));
    memory_free(job);
    atomic_fetch_add(&world->ended, 1);
}

// As far as the client takes it.
static void make(World *world, Job *job) {
    AUTO(builder_free) Builder piece = {0};
    if (!job->begun) begin(job);
    HttpRoom room = HTTP_ROOM;
    while (job->made < job->most && room != HTTP_GONE) {
        uint64_t len = MIN(job->most - job->made, (uint64_t)PIECE_BYTES);
        add_bytes(job->made, len, &piece);
        room = http_stream_give(job->exchange, &piece);
        if (room != HTTP_GONE) job->made += len, atomic_fetch_add(&world->made, len);
        if (room == HTTP_FULL) room = http_stream_wait(job->exchange, WAIT_MS);
        if (room == HTTP_FULL) {
            // Counted first: it may be called and done before this thread goes on.
            atomic_fetch_add(&world->parked, 1);
            room = http_stream_park(job->exchange);
            if (room == HTTP_FULL) return;
            atomic_fetch_sub(&world->parked, 1);
        }
    }
    end(world, job, room);
}

static void maker_run(void *context) {
    World *world = context;
    mutex_take(&world->lock);
    for (;;) {
        while (world->queue.count == 0 && !world->stopping)
            condition_wait(&world->work, &world->lock);
        if (world->queue.count == 0) break;
        Job *job = world->queue.at[0];
        memmove(world->queue.at, world->queue.at + 1, --world->queue.count * sizeof(Job *));
        mutex_give(&world->lock);
        make(world, job);
        mutex_take(&world->lock);
    }
    mutex_give(&world->lock);
}

static void on_request(void *context, HttpExchange *exchange) {
    Job *job = memory_new(Job);
    job->exchange = exchange;
    (void)!text_to_u64(exchange->head.query, &job->most);
    exchange->state = job;
    put_back(context, job);
}

static void on_room(void *context, HttpExchange *exchange) {
    World *world = context;
    atomic_fetch_add(&world->woken, 1);
    put_back(world, exchange->state);
}

static void world_open(Test *t, World *world, void (*adjust)(HttpLimits *limits)) {
    *world = (World){0};
    mutex_begin(&world->lock, LOCK_WORKER_QUEUE);
    condition_begin(&world->work);
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {
        .clock = clock_system(),
        .addresses = &any,
        .address_count = 1,
        .loop_count = 1,
        .limits = http_limits_default(),
        .handler = {.context = world, .on_request = on_request, .on_room = on_room}};
    if (adjust != NULL) adjust(&options.limits);
    check_ok(t, http_server_start(&options, &world->server, t->err));
    check_ok(t, thread_start("maker", maker_run, world, &world->maker, t->err));
    world->address = any;
    world->address.port = http_server_port(world->server, 0);
}

static void world_close(World *world) {
    http_server_stop(world->server, 200);
    mutex_take(&world->lock);
    world->stopping = true;
    condition_wake_all(&world->work);
    mutex_give(&world->lock);
    thread_join(&world->maker);
    http_server_free(&world->server);
    array_free(&world->queue);
    condition_end(&world->work);
    mutex_end(&world->lock);
}

// Nobody leaves while they are spoken to.
static void tell(Test *t, Socket socket, Text text) {
    check(t, say_all(socket, text));
}

// Reads until so many bytes came, or the other side ends, which `*result` says.
static void hear_bytes(Test *t, Socket socket, size_t most, Builder *out, SocketResult *result) {
    while (out->len < most) {
        size_t count = 0;
        builder_reserve(out, 64 * KB);
        *result = socket_read(socket, out->at + out->len, MIN(most - out->len, (size_t)(64 * KB)),
                              &count, t->err);
        out->len += count;
        if (*result == SOCKET_AGAIN) {
            check_ok(t, socket_wait(socket, false, 5000, t->err));
        } else if (*result != SOCKET_DONE) {
            return;
        }
    }
}

static bool ask(Test *t, World *world, Text target, HttpClientAnswer *out) {
    HttpClientRequest request = {.host = TEXT("127.0.0.1"),
                                 .port = world->address.port,
                                 .target = target,
                                 .timeout_ms = 5000};
    return http_client_send(&request, t->arena, out, t->err);
}

// ---- HTTP/1 ----

TEST(an_answer_in_pieces_is_chunked_and_the_connection_goes_on) {
    World world;
    world_open(t, &world, NULL);
    static const uint64_t lens[] = {0, 1, PIECE_BYTES, 3 * MB + 7};
    for (size_t i = 0; i < COUNT(lens); i++) {
        HttpClientAnswer answer;
        Text target = text_format(t->arena, "/whole?%llu", (unsigned long long)lens[i]);
        check_ok(t, ask(t, &world, target, &answer));
        check_i64(t, 200, answer.status);
        check_i64(t, (int64_t)lens[i], (int64_t)answer.body.len);
        check(t, is_pattern(answer.body));
    }
    // On one connection, the second before the first is answered; each has an end of its own.
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    AUTO(builder_free) Builder heard = {0};
    tell(t, socket,
        TEXT("GET /whole?300000 HTTP/1.1\r\nHost: h\r\n\r\n"
             "GET /tail?150000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    SocketResult result;
    hear_bytes(t, socket, SIZE_MAX, &heard, &result);
    check(t, result == SOCKET_CLOSED);
    Text rest = builder_text(&heard);
    for (int i = 0; i < 2; i++) {
        HttpClientAnswer answer;
        size_t used;
        check(t, http_client_parse(text_bytes(rest), true, false, t->arena, &answer, &used,
                                   t->err) == HTTP_DONE);
        check_i64(t, i == 0 ? 300000 : 150000, (int64_t)answer.body.len);
        check(t, is_pattern(answer.body));
        rest = text_slice(rest, used, rest.len);
    }
    check_i64(t, 0, (int64_t)rest.len);
    check(t, text_find(builder_text(&heard), TEXT("\r\n0\r\nx-made: all\r\n\r\n")) > 0);
    world_close(&world);
    check_i64(t, 6, world.ended);
    check_i64(t, 0, world.gone);
}

TEST(what_is_not_whole_is_cut) {
    World world;
    world_open(t, &world, NULL);
    HttpClientAnswer answer;
    check_error(t, ask(t, &world, TEXT("/cut?250000"), &answer), ERROR_CORRUPT);
    check_error(t, ask(t, &world, TEXT("/cut?0"), &answer), ERROR_CORRUPT);
    world_close(&world);
}

TEST(an_old_client_gets_its_end_by_that_of_the_connection) {
    World world;
    world_open(t, &world, NULL);
    AUTO(socket_close) Socket whole = dial(t, world.address.port), cut = dial(t, world.address.port);
    AUTO(builder_free) Builder heard = {0};
    SocketResult result;
    tell(t, whole, TEXT("GET /whole?1000000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    hear_bytes(t, whole, SIZE_MAX, &heard, &result);
    check(t, result == SOCKET_CLOSED && t->err->code == ERROR_NONE);
    ptrdiff_t head = text_find(builder_text(&heard), TEXT("\r\n\r\n"));
    Text fields = text_slice(builder_text(&heard), 0, (size_t)head + 4);
    check(t, text_find(fields, TEXT("\r\nConnection: close\r\n")) > 0);
    check(t, text_find(fields, TEXT("chunked")) < 0 && text_find(fields, TEXT("Length")) < 0);
    Text body = text_slice(builder_text(&heard), (size_t)head + 4, heard.len);
    check_i64(t, 1000000, (int64_t)body.len);
    check(t, is_pattern(body));
    // An orderly end would look like that of a whole answer: it is a reset.
    builder_clear(&heard);
    tell(t, cut, TEXT("GET /cut?1000000 HTTP/1.0\r\n\r\n"));
    hear_bytes(t, cut, SIZE_MAX, &heard, &result);
    check(t, result == SOCKET_FAILED || t->err->code != ERROR_NONE);
    world_close(&world);
}

TEST(a_client_that_does_not_read_holds_little_and_no_thread) {
    World world;
    world_open(t, &world, NULL);
    const uint64_t all = 400 * (uint64_t)MB;
    AUTO(socket_close) Socket deaf = dial(t, world.address.port);
    tell(t, deaf, TEXT("GET /whole?419430400 HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, wait_for(&world.parked, 1));
    // What was made lies in the socket's buffers, but for the limit and a piece.
    clock_system()->sleep_ms(clock_system(), 200);
    uint64_t made = atomic_load(&world.made);
    int64_t sent = http_server_stats(world.server).bytes_out;
    check(t, (int64_t)made - sent <= LIMIT_HTTP_STREAM_BYTES + PIECE_BYTES);
    check(t, made < all / 4);
    clock_system()->sleep_ms(clock_system(), 100);
    check(t, made == atomic_load(&world.made));
    // The only thread that makes answers is free for others.
    HttpClientAnswer answer;
    check_ok(t, ask(t, &world, TEXT("/whole?1000000"), &answer));
    check(t, answer.body.len == 1000000 && is_pattern(answer.body));
    // Once it reads, the answer goes on where it was.
    AUTO(builder_free) Builder heard = {0};
    SocketResult result;
    hear_bytes(t, deaf, 30 * MB, &heard, &result);
    check(t, atomic_load(&world.made) > made && atomic_load(&world.woken) > 0);
    // And when it leaves, nothing more is made.
    socket_close(&deaf);
    check(t, wait_for(&world.gone, 1));
    check(t, atomic_load(&world.made) < all);
    world_close(&world);
    check_i64(t, 2, world.ended);
}

static void quick_readers(HttpLimits *limits) {
    limits->answer_window_ms = 200;
    limits->answer_rate_min = 1 * MB;
}

TEST(a_client_that_reads_too_slowly_is_cut_in_the_middle) {
    World world;
    world_open(t, &world, quick_readers);
    AUTO(socket_close) Socket deaf = dial(t, world.address.port);
    tell(t, deaf, TEXT("GET /whole?419430400 HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, wait_for(&world.gone, 1));
    check_i64(t, 1, http_server_stats(world.server).readers_cut);
    world_close(&world);
    check_i64(t, 1, world.ended);
}

TEST(stopping_cuts_what_nobody_takes) {
    World world;
    world_open(t, &world, NULL);
    AUTO(socket_close) Socket deaf = dial(t, world.address.port);
    tell(t, deaf, TEXT("GET /whole?419430400 HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, wait_for(&world.parked, 1));
    world_close(&world);
    check_i64(t, 1, world.ended);
    check_i64(t, 1, world.gone);
}

// What came until the other side ended or broke.
static void hear_all(Socket socket, Builder *out) {
    Error ignored;
    for (bool open = true; open;) {
        size_t count = 0;
        builder_reserve(out, 64 * KB);
        SocketResult result = socket_read(socket, out->at + out->len, 64 * KB, &count, &ignored);
        out->len += count;
        open = result == SOCKET_AGAIN ? socket_wait(socket, false, 3000, &ignored)
                                      : result == SOCKET_DONE;
    }
}

// Reads and writes that fail, in the server or in its client: the answer is whole or seen to be
// cut, and whoever makes it comes to an end.
TEST(each_failing_call_ends_the_production) {
    enum { NUMBER_ECONNRESET = 104, NUMBER_ENOBUFS = 105, LEN = 1000000 };
    static const struct {
        SocketCall call;
        int number;
    } plans[] = {{SOCKET_CALL_READ, NUMBER_ECONNRESET},
                 {SOCKET_CALL_WRITE, NUMBER_ECONNRESET},
                 {SOCKET_CALL_WRITE, NUMBER_ENOBUFS},
                 {SOCKET_CALL_WRITE, 0}};
    int whole = 0, tries = 0;
    World world;
    world_open(t, &world, NULL);
    for (size_t i = 0; i < COUNT(plans); i++) {
        for (uint64_t nth = 1; nth <= 12; nth++) {
            AUTO(socket_close) Socket socket = dial(t, world.address.port);
            AUTO(builder_free) Builder heard = {0};
            tell(t, socket,
                TEXT("GET /whole?1000000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
            socket_fail_after(plans[i].call, nth, false, plans[i].number);
            hear_all(socket, &heard);
            socket_fail_after(plans[i].call, 0, false, 0);
            HttpClientAnswer answer;
            size_t used;
            bool done = http_client_parse(text_bytes(builder_text(&heard)), true, false, t->arena,
                                          &answer, &used, t->err) == HTTP_DONE;
            check(t, !done || (answer.body.len == LEN && is_pattern(answer.body)));
            // A short write breaks nothing.
            check(t, done || plans[i].number != 0);
            whole += done;
            tries++;
        }
    }
    // The socket takes a byte at a time.
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    AUTO(builder_free) Builder heard = {0};
    tell(t, socket, TEXT("GET /whole?20000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    socket_fail_after(SOCKET_CALL_WRITE, 1, true, 0);
    hear_all(socket, &heard);
    socket_fail_after(SOCKET_CALL_WRITE, 0, false, 0);
    check(t, text_find(builder_text(&heard), TEXT("\r\n0\r\n\r\n")) > 20000);
    world_close(&world);
    check(t, whole >= 12 && whole < tries);
    check(t, world.ended <= tries + 1);
}

// ---- HTTP/2 ----

typedef struct Client2 {
    Builder body;
    bool closed, trailer;
    uint32_t code;
    Builder other;  // of the stream beside it
} Client2;

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *at, size_t len,
                   void *context) {
    Client2 *client = context;
    builder_add_bytes(id == 1 ? &client->body : &client->other, at, len);
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *context) {
    Client2 *client = context;
    if (id != 1) return 0;
    client->closed = true;
    client->code = code;
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context) {
    Client2 *client = context;
    if (text_equal((Text){(const char *)name, name_len}, TEXT("x-made"))) client->trailer = true;
    return 0;
}

static nghttp2_session *client2_begin(Client2 *client) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *ng;
    (void)nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    (void)nghttp2_session_client_new(&ng, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(ng, 0, NULL, 0);
    return ng;
}

static void client2_get(nghttp2_session *ng, const char *path) {
    const char *fields[][2] = {
        {":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", path}};
    nghttp2_nv all[COUNT(fields)];
    for (size_t i = 0; i < COUNT(fields); i++) {
        all[i] =
            (nghttp2_nv){(uint8_t *)(uintptr_t)fields[i][0], (uint8_t *)(uintptr_t)fields[i][1],
                         strlen(fields[i][0]), strlen(fields[i][1]), 0};
    }
    (void)nghttp2_submit_request(ng, NULL, all, COUNT(all), NULL, NULL);
}

// Until stream 1 is closed, or `most` bytes of it came.
static void client2_run(Test *t, nghttp2_session *ng, Socket socket, const Client2 *client,
                        size_t most) {
    while (!client->closed && client->body.len < most) {
        const uint8_t *at;
        for (ssize_t len; (len = nghttp2_session_mem_send(ng, &at)) > 0;)
            tell(t, socket, (Text){(const char *)at, (size_t)len});
        uint8_t piece[16 * KB];
        size_t count = 0;
        SocketResult result = socket_read(socket, piece, sizeof piece, &count, t->err);
        if (result == SOCKET_AGAIN) {
            check_ok(t, socket_wait(socket, false, 5000, t->err));
            continue;
        }
        check(t, result == SOCKET_DONE);
        check(t, nghttp2_session_mem_recv(ng, piece, count) == (ssize_t)count);
    }
}

static void client2_end(Client2 *client, nghttp2_session *ng) {
    nghttp2_session_del(ng);
    builder_free(&client->body);
    builder_free(&client->other);
}

TEST(under_http2_pieces_are_frames_and_an_answer_that_is_not_whole_is_reset) {
    World world;
    world_open(t, &world, NULL);
    static const struct {
        const char *path;
        size_t len;
        uint32_t code;
    } cases[] = {{"/whole?0", 0, NGHTTP2_NO_ERROR},
                 {"/whole?5000000", 5000000, NGHTTP2_NO_ERROR},
                 {"/tail?300000", 300000, NGHTTP2_NO_ERROR},
                 {"/cut?300000", 300000, NGHTTP2_INTERNAL_ERROR}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(socket_close) Socket socket = dial(t, world.address.port);
        Client2 client = {0};
        nghttp2_session *ng = client2_begin(&client);
        client2_get(ng, cases[i].path);
        client2_get(ng, "/whole?200000");
        client2_run(t, ng, socket, &client, SIZE_MAX);
        check_i64(t, cases[i].code, client.code);
        check(t, client.trailer == (i == 2));
        check(t, client.body.len == cases[i].len && is_pattern(builder_text(&client.body)));
        client2_end(&client, ng);
    }
    world_close(&world);
    check_i64(t, 8, world.ended);
}

TEST(under_http2_a_stream_that_is_not_taken_waits_and_ends_with_its_reset) {
    World world;
    world_open(t, &world, NULL);
    AUTO(socket_close) Socket socket = dial(t, world.address.port);
    Client2 client = {0};
    nghttp2_session *ng = client2_begin(&client);
    client2_get(ng, "/whole?419430400");
    client2_run(t, ng, socket, &client, 1 * MB);
    // It reads no more for a while.
    check(t, wait_for(&world.parked, 1));
    HttpClientAnswer answer;
    check_ok(t, ask(t, &world, TEXT("/whole?1000000"), &answer));
    uint64_t made = atomic_load(&world.made);
    check(t, made < 100 * (uint64_t)MB);
    client2_run(t, ng, socket, &client, 20 * MB);
    check(t, is_pattern(builder_text(&client.body)));
    (void)nghttp2_submit_rst_stream(ng, 0, 1, NGHTTP2_CANCEL);
    client2_run(t, ng, socket, &client, SIZE_MAX);
    check(t, wait_for(&world.gone, 1));
    // The connection is as good as before.
    client2_end(&client, ng);
    world_close(&world);
    check_i64(t, 2, world.ended);
}

TEST_MAIN("net/http_stream", CASE(an_answer_in_pieces_is_chunked_and_the_connection_goes_on),
          CASE(what_is_not_whole_is_cut),
          CASE(an_old_client_gets_its_end_by_that_of_the_connection),
          CASE(a_client_that_does_not_read_holds_little_and_no_thread),
          CASE(a_client_that_reads_too_slowly_is_cut_in_the_middle),
          CASE(stopping_cuts_what_nobody_takes), CASE(each_failing_call_ends_the_production),
          CASE(under_http2_pieces_are_frames_and_an_answer_that_is_not_whole_is_reset),
          CASE(under_http2_a_stream_that_is_not_taken_waits_and_ends_with_its_reset))
