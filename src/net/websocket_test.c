// WebSocket: the table of frames, then real connections: handshakes, echoes, threads that send,
// clients that do not read, keep silent or leave.

#include <stdatomic.h>

#include "base/test.h"
#include "net/http_client.h"
#include "net/http_connection.h"
#include "net/test_peer.h"
#include "net/websocket.h"
#include "os/disk.h"
#include "os/thread.h"

// ---- Frames: test/websocket/frames.cases says what the columns mean ----

static const struct {
    Text name;
    int opcode;
} opcodes[] = {{TEXT_INIT("text"), 1},  {TEXT_INIT("binary"), 2}, {TEXT_INIT("more"), 0},
               {TEXT_INIT("close"), 8}, {TEXT_INIT("ping"), 9},   {TEXT_INIT("pong"), 10}};

static uint8_t hex_digit(Test *t, char c) {
    check(t, (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void add_payload(Test *t, Text payload, Builder *out) {
    uint64_t times = 1;
    ptrdiff_t star = text_find_char(payload, '*');
    if (star > 0) {
        check(t, text_to_u64(text_slice(payload, (size_t)star + 1, payload.len), &times));
        payload = text_slice(payload, 0, (size_t)star);
    }
    for (uint64_t n = 0; n < times; n++) {
        for (size_t i = 0; i < payload.len; i++) {
            if (payload.at[i] != '%') {
                builder_add_char(out, payload.at[i]);
                continue;
            }
            builder_add_char(out, (char)(hex_digit(t, payload.at[i + 1]) << 4 |
                                         hex_digit(t, payload.at[i + 2])));
            i += 2;
        }
    }
}

typedef struct FrameSpec {
    uint8_t first;
    bool plain;
    int length_bytes;  // 0: the shortest
    uint64_t says;
    bool says_else;
    uint8_t mask[4];
} FrameSpec;

static void read_flag(Test *t, Text flag, FrameSpec *spec) {
    Text value = flag, name = TEXT_NONE;
    (void)!text_cut(&value, '=', &name);
    if (text_equal(name, TEXT("part"))) {
        spec->first &= 0x7f;
    } else if (text_starts_with(name, TEXT("rsv"))) {
        spec->first |= (uint8_t)(0x80 >> (name.at[3] - '0'));
    } else if (text_equal(name, TEXT("plain"))) {
        spec->plain = true;
    } else if (text_equal(name, TEXT("len16"))) {
        spec->length_bytes = 2;
    } else if (text_equal(name, TEXT("len64"))) {
        spec->length_bytes = 8;
    } else if (text_equal(name, TEXT("says"))) {
        spec->says_else = text_to_u64(value, &spec->says);
        check(t, spec->says_else);
    } else {
        check_text(t, TEXT("mask"), name);
        for (size_t i = 0; i < 4; i++)
            spec->mask[i] =
                (uint8_t)(hex_digit(t, value.at[2 * i]) << 4 | hex_digit(t, value.at[2 * i + 1]));
    }
}

static void add_frame(Test *t, Text word, Builder *out) {
    Text payload = word, head, flag, name;
    (void)!text_cut(&payload, ':', &head);
    check(t, text_cut(&head, '/', &name));
    uint64_t number = 16;
    (void)!text_to_u64(name, &number);
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        if (text_equal(opcodes[i].name, name)) number = (uint64_t)opcodes[i].opcode;
    }
    check(t, number < 16);
    FrameSpec spec = {.first = (uint8_t)(0x80 | number), .mask = {0xa1, 0xb2, 0xc3, 0xd4}};
    while (text_cut(&head, '/', &flag)) read_flag(t, flag, &spec);
    AUTO(builder_free) Builder body = {0};
    Text code;
    if (text_equal(name, TEXT("close")) && payload.len > 0) {
        uint64_t value = 0;
        check(t, text_cut(&payload, ',', &code) && text_to_u64(code, &value));
        builder_add_char(&body, (char)(value >> 8));
        builder_add_char(&body, (char)value);
    }
    add_payload(t, payload, &body);
    uint64_t says = spec.says_else ? spec.says : body.len;
    int bytes = spec.length_bytes > 0 ? spec.length_bytes
                : says <= 125         ? 0
                : says <= UINT16_MAX  ? 2
                                      : 8;
    builder_add_char(out, (char)spec.first);
    uint8_t masked = spec.plain ? 0 : 0x80;
    builder_add_char(out, (char)(masked | (bytes == 0 ? says : bytes == 2 ? 126u : 127u)));
    for (int i = bytes - 1; i >= 0; i--) builder_add_char(out, (char)(says >> (8 * i)));
    if (spec.plain) {
        builder_add(out, builder_text(&body));
        return;
    }
    builder_add_bytes(out, spec.mask, 4);
    for (size_t i = 0; i < body.len; i++)
        builder_add_char(out, (char)(body.at[i] ^ spec.mask[i % 4]));
}

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// As the column writes it: letters as they are, other bytes as %HEX, many of the same as x*N.
static void add_shown(Bytes payload, Builder *out) {
    bool same = payload.len > 20;
    for (size_t i = 1; same && i < payload.len; i++) same = payload.at[i] == payload.at[0];
    if (same) {
        builder_addf(out, "%c*%zu", payload.at[0], payload.len);
        return;
    }
    for (size_t i = 0; i < payload.len; i++) {
        if (is_word(payload.at[i])) {
            builder_add_char(out, (char)payload.at[i]);
        } else {
            builder_addf(out, "%%%02x", payload.at[i]);
        }
    }
}

static void read_events(Bytes bytes, size_t step, Builder *out) {
    WebSocketReader reader = {.message_max = 1000};
    bool over = false;
    for (size_t at = 0; at < bytes.len && !over; at += step) {
        Bytes input = {bytes.at + at, MIN(step, bytes.len - at)};
        for (WebSocketEvent event;
             (event = websocket_read(&reader, &input)) != WEBSOCKET_EVENT_MORE;) {
            if (out->len > 0) builder_add_char(out, ' ');
            over = event == WEBSOCKET_EVENT_FAILED || event == WEBSOCKET_EVENT_CLOSE;
            if (event == WEBSOCKET_EVENT_FAILED) {
                builder_addf(out, "fail:%d", reader.code);
            } else if (event == WEBSOCKET_EVENT_CLOSE) {
                builder_addf(out, "close:%d,", reader.code);
                add_shown(reader.payload, out);
            } else {
                static const char *const names[] = {"text:", "binary:", "ping:", "pong:"};
                builder_addf(out, "%s",
                             names[reader.opcode <= 2 ? reader.opcode - 1 : reader.opcode - 7]);
                add_shown(reader.payload, out);
            }
            if (over) break;
        }
    }
    if (out->len == 0) builder_add(out, TEXT("more"));
    websocket_reader_free(&reader);
}

TEST(frames_become_the_events_of_the_table_however_they_are_cut) {
    Bytes file;
    check_ok(t, disk_read_whole(disk_real(), TEXT("test/websocket/frames.cases"), 1 * MB, t->arena,
                                &file, t->err));
    Text rest = bytes_text(file), line;
    int cases = 0;
    while (text_cut(&rest, '\n', &line)) {
        if (line.len == 0 || line.at[0] == '#') continue;
        Text name, frames = TEXT_NONE, word;
        check(t, text_cut(&line, '|', &name) && text_cut(&line, '|', &frames));
        Text events = text_trim(line);
        frames = text_trim(frames);
        AUTO(builder_free) Builder bytes = {0};
        while (text_cut(&frames, ' ', &word)) add_frame(t, word, &bytes);
        static const size_t steps[] = {1, 2, 3, 7, 100000};
        for (size_t i = 0; i < COUNT(steps); i++) {
            AUTO(builder_free) Builder seen = {0};
            read_events(text_bytes(builder_text(&bytes)), steps[i], &seen);
            if (!text_equal(events, builder_text(&seen)))
                check_failed(t, __FILE__, __LINE__, "%.*s in pieces of %zu: \"%.*s\", not \"%.*s\"",
                             TEXT_ARG(text_trim(name)), steps[i], TEXT_ARG(builder_text(&seen)),
                             TEXT_ARG(events));
        }
        cases++;
    }
    printf("# %d cases\n", cases);
    check(t, cases >= 60);
}

// ---- Connections ----

typedef struct World {
    HttpServer *server;
    uint16_t port;
    WebSocketLimits limits;
    Mutex lock;
    WebSocket *kept;  // of the last upgrade at /keep, the test's to free
    _Atomic int messages, closed, close_code;
} World;

static void on_message(void *context, WebSocket *socket, Text message, bool is_text) {
    World *world = context;
    atomic_fetch_add(&world->messages, 1);
    if (text_equal(message, TEXT("bye"))) {
        websocket_close(socket, WEBSOCKET_NORMAL, TEXT("as asked"));
    } else {
        (void)websocket_send(socket, message);
    }
}

static void on_close(void *context, WebSocket *socket, int code) {
    World *world = context;
    atomic_store(&world->close_code, code);
    atomic_fetch_add(&world->closed, 1);
}

static void on_request(void *context, HttpExchange *exchange) {
    World *world = context;
    WebSocketHandler handler = {world, on_message, on_close};
    WebSocket *socket = NULL;
    Error err = {0};
    if (!websocket_upgrade(exchange, &handler, world->limits, &socket, &err)) {
        HttpHeader version = {TEXT("Sec-WebSocket-Version"), TEXT("13")};
        HttpResponse response = {
            .status = err.code == ERROR_UNSUPPORTED ? 426 : 400,
            .headers = &version,
            .header_count = 1,
            .text = text_copy(text_from_cstring(err.message), exchange->arena)};
        http_respond(exchange, &response);
        return;
    }
    mutex_take(&world->lock);
    WebSocket *before = world->kept;
    world->kept = socket;
    mutex_give(&world->lock);
    websocket_free(&before);
}

static void world_open(Test *t, World *world, WebSocketLimits limits) {
    *world = (World){.limits = limits};
    mutex_begin(&world->lock, LOCK_WORKER_QUEUE);
    Address any;
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    HttpServerOptions options = {.clock = clock_system(),
                                 .addresses = &any,
                                 .address_count = 1,
                                 .loop_count = 1,
                                 .limits = http_limits_default(),
                                 .handler = {.context = world, .on_request = on_request}};
    check_ok(t, http_server_start(&options, &world->server, t->err));
    world->port = http_server_port(world->server, 0);
}

static void world_close(World *world) {
    http_server_stop(world->server, 300);
    websocket_free(&world->kept);
    http_server_free(&world->server);
    mutex_end(&world->lock);
}

static void say_frames(Test *t, Socket socket, Text frames) {
    AUTO(builder_free) Builder out = {0};
    for (Text word; text_cut(&frames, ' ', &word);) add_frame(t, word, &out);
    say(t, socket, builder_text(&out));
}

#define UPGRADE                                                                                  \
    "GET /live HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static Socket upgraded(Test *t, const World *world) {
    Socket socket = dial(t, world->port);
    say(t, socket, TEXT(UPGRADE));
    check(t, has(hear(t, socket, TEXT("\r\n\r\n")), TEXT("HTTP/1.1 101 ")));
    return socket;
}

TEST(the_handshake_of_the_rfc_and_what_is_wrong_with_others) {
    static const struct {
        Text in, status, word;
    } rows[] = {
        {TEXT_INIT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), TEXT_INIT("426"), TEXT_INIT("13")},
        {TEXT_INIT(
             "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
         TEXT_INIT("426"), TEXT_INIT("Sec-WebSocket-Version: 13")},
        {TEXT_INIT(
             "GET / HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
         TEXT_INIT("426"), TEXT_INIT("HTTP/1.1")},
        {TEXT_INIT(
             "POST / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
             "Upgrade\r\nContent-Length: 0\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
         TEXT_INIT("400"), TEXT_INIT("GET")},
        {TEXT_INIT(
             "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
         TEXT_INIT("400"), TEXT_INIT("Connection: Upgrade")},
        {TEXT_INIT(
             "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dG hlIHNhbXBsZSBub25jZQ=\r\n\r\n"),
         TEXT_INIT("400"), TEXT_INIT("Sec-WebSocket-Key")},
    };
    World world;
    world_open(t, &world, websocket_limits_default());
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(socket_close) Socket socket = dial(t, world.port);
        say(t, socket, rows[i].in);
        Text heard = hear(t, socket, rows[i].word);
        check(t, has(heard, text_format(t->arena, "HTTP/1.1 %.*s ", TEXT_ARG(rows[i].status))));
        check(t, has(heard, rows[i].word));
    }
    // The example of RFC 6455 1.3; a frame that came with the request counts too.
    AUTO(socket_close) Socket socket = dial(t, world.port);
    AUTO(builder_free) Builder all = {0};
    builder_add(&all, TEXT(UPGRADE));
    add_frame(t, TEXT("text:early"), &all);
    say(t, socket, builder_text(&all));
    Text heard = hear(t, socket, TEXT("early"));
    check(t, has(heard, TEXT("HTTP/1.1 101 ")) &&
                 has(heard, TEXT("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")));
    check(t, text_ends_with(heard, TEXT("\x81\x05"
                                        "early")));
    world_close(&world);
    check_i64(t, 1, world.closed);
}

TEST(messages_pings_and_closes_are_answered) {
    World world;
    world_open(t, &world, websocket_limits_default());
    AUTO(socket_close) Socket socket = upgraded(t, &world);
    say_frames(t, socket, TEXT("text:hello"));
    check_text(t, TEXT("\x81\x05hello"), hear(t, socket, TEXT("hello")));
    say_frames(t, socket, TEXT("text/part:ab ping:now more:cd"));
    check_text(t,
               TEXT("\x8a\x03now\x81\x04"
                    "abcd"),
               hear(t, socket, TEXT("abcd")));
    say_frames(t, socket, TEXT("binary:x*60000"));
    say_frames(t, socket, TEXT("close:1001,done"));
    Text heard = hear(t, socket, TEXT(""));
    check_i64(t, 60004 + 4, heard.len);
    check(t, text_ends_with(heard, TEXT("x\x88\x02\x03\xe9")));
    check(t, wait_for(&world.closed, 1));
    check_i64(t, 1001, world.close_code);
    // And when the server closes: theirs is waited for.
    AUTO(socket_close) Socket other = upgraded(t, &world);
    say_frames(t, other, TEXT("text:bye"));
    check_text(t,
               TEXT("\x88\x0a\x03\xe8"
                    "as asked"),
               hear(t, other, TEXT("as asked")));
    check_i64(t, 1, world.closed);
    say_frames(t, other, TEXT("close:1000"));
    check_i64(t, 0, hear(t, other, TEXT("")).len);
    check(t, wait_for(&world.closed, 2));
    world_close(&world);
}

TEST(who_breaks_the_rules_is_told_the_code) {
    static const struct {
        Text frames, code;
    } rows[] = {{TEXT_INIT("text/plain:a"), TEXT_INIT("\x03\xea")},
                {TEXT_INIT("text:%ff"), TEXT_INIT("\x03\xef")},
                {TEXT_INIT("text/says=70000:a"), TEXT_INIT("\x03\xf1")}};
    World world;
    world_open(t, &world, websocket_limits_default());
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(socket_close) Socket socket = upgraded(t, &world);
        say_frames(t, socket, rows[i].frames);
        Text heard = hear(t, socket, TEXT(""));
        check(t, text_starts_with(heard, TEXT("\x88")) &&
                     text_starts_with(text_slice(heard, 2, heard.len), rows[i].code));
        check(t, wait_for(&world.closed, (int)i + 1));
    }
    check_i64(t, 0, world.messages);
    world_close(&world);
}

static WebSocket *take_kept(World *world) {
    for (int i = 0; i < 300; i++) {
        mutex_take(&world->lock);
        WebSocket *socket = TAKE(world->kept);
        mutex_give(&world->lock);
        if (socket != NULL) return socket;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    return NULL;
}

typedef struct Sender {
    WebSocket *socket;
    int number, sent;
} Sender;

static void send_many(void *context) {
    Sender *sender = context;
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d:%d;", sender->number, i);
        sender->sent += websocket_send(sender->socket, text_from_cstring(text));
    }
}

TEST(threads_send_at_once_and_each_ones_messages_stay_in_order) {
    enum { SENDERS = 4 };
    World world;
    world_open(t, &world, websocket_limits_default());
    AUTO(socket_close) Socket socket = upgraded(t, &world);
    WebSocket *kept = take_kept(&world);
    check(t, kept != NULL && websocket_is_open(kept));
    Sender senders[SENDERS];
    Thread *threads[SENDERS] = {0};
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (Sender){kept, i, 0};
        check_ok(t, thread_start("send", send_many, &senders[i], &threads[i], t->err));
    }
    for (int i = 0; i < SENDERS; i++) thread_join(&threads[i]);
    check(t, websocket_send(kept, TEXT("the end")));
    Text heard = hear(t, socket, TEXT("the end"));
    for (int i = 0; i < SENDERS; i++) {
        check_i64(t, 500, senders[i].sent);
        Text rest = heard;
        for (int n = 0; n < 500; n++) {
            ptrdiff_t at = text_find(rest, text_format(t->arena, "%d:%d;", i, n));
            check(t, at >= 0);
            rest = text_slice(rest, (size_t)at, rest.len);
        }
    }
    websocket_free(&kept);  // closes it
    check(t, has(hear(t, socket, TEXT("\x03\xe9")), TEXT("\x88\x02\x03\xe9")));
    world_close(&world);
    check_i64(t, 1, world.closed);
}

TEST(a_client_that_does_not_read_fills_its_buffer_and_no_more) {
    World world;
    WebSocketLimits limits = websocket_limits_default();
    limits.out_bytes = 100 * KB;
    world_open(t, &world, limits);
    AUTO(socket_close) Socket socket = upgraded(t, &world);
    WebSocket *kept = take_kept(&world);
    char *large = arena_push_array(t->arena, char, 50 * KB);
    memset(large, 'x', 50 * KB);
    int sent = 0;
    for (int idle = 0; idle < 20;) {  // until nothing is taken any more
        bool ok = websocket_send(kept, (Text){large, 50 * KB});
        sent += ok;
        idle = ok ? 0 : idle + 1;
        if (!ok) clock_system()->sleep_ms(clock_system(), 5);
        check(t, sent < 2000);
    }
    check(t, sent >= 2 && websocket_is_open(kept));
    // Once it reads it gets all that was accepted, whole.
    websocket_close(kept, WEBSOCKET_NORMAL, TEXT("enough"));
    check_i64(t, (int64_t)sent * (50 * KB + 4) + 10, (int64_t)hear(t, socket, TEXT("enough")).len);
    websocket_free(&kept);
    world_close(&world);
}

// Who always reads, but never all, must not make the buffer hold everything that was ever sent.
TEST(output_that_never_becomes_empty_does_not_grow) {
    Address any;
    AUTO(socket_close) Socket listener = SOCKET_NONE, reader = SOCKET_NONE, writer = SOCKET_NONE;
    uint16_t port = 0;
    char peer[64];
    check_ok(t, address_parse(TEXT("127.0.0.1:0"), t->arena, &any, t->err));
    check_ok(t, socket_listen(any, false, &listener, t->err));
    check_ok(t, socket_port(listener, &port, t->err));
    check_ok(t, socket_connect(TEXT("127.0.0.1"), port, 2000, &reader, t->err));
    check_ok(t, socket_wait(listener, false, 2000, t->err));
    check(t, socket_accept(listener, &writer, peer, sizeof peer, t->err) == SOCKET_DONE);
    HttpLoop loop = {0};
    HttpConnection c = {.loop = &loop};
    transport_begin(&c.transport, writer, NULL);
    char *piece = arena_push_array(t->arena, char, 64 * KB);
    size_t sent = 0, most = 0;
    while (sent < 40 * MB) {
        for (; c.out.len - c.out_at < 2 * MB; sent += 64 * KB)
            builder_add_bytes(&c.out, piece, 64 * KB);
        check(t, http_connection_flush(&c));
        most = MAX(most, c.out.capacity);
        size_t count = 0;
        (void)socket_read(reader, piece, 64 * KB, &count, t->err);
    }
    check(t, most <= 16 * MB);
    builder_free(&c.out);
}

static void stop_world(void *context) {
    http_server_stop(((World *)context)->server, 6000);
}

// The connection changes its protocol while the server stops: it ends all the same, soon.
TEST(what_a_connection_becomes_while_the_server_stops_ends_too) {
    static const struct {
        Text first, rest, heard;
    } rows[] = {{TEXT_INIT("GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"),
                 TEXT_INIT("Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
                 TEXT_INIT("\x03\xe9the server stops")},
                {TEXT_INIT("PRI * HTT"), TEXT_INIT("P/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
                 TEXT_INIT("\0\0\x08\x07\0\0\0\0\0")}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        World world;
        world_open(t, &world, websocket_limits_default());
        AUTO(socket_close) Socket socket = dial(t, world.port);
        say(t, socket, rows[i].first);
        clock_system()->sleep_ms(clock_system(), 100);
        Thread *thread = NULL;
        check_ok(t, thread_start("stop", stop_world, &world, &thread, t->err));
        clock_system()->sleep_ms(clock_system(), 100);
        int64_t since_ns = clock_system()->monotonic_ns(clock_system());
        say(t, socket, rows[i].rest);
        check(t, has(hear(t, socket, rows[i].heard), rows[i].heard));
        if (i == 0) say_frames(t, socket, TEXT("close:1001"));
        (void)hear(t, socket, TEXT(""));
        socket_close(&socket);
        thread_join(&thread);
        check(t, clock_system()->monotonic_ns(clock_system()) - since_ns < INT64_C(3000000000));
        world_close(&world);
    }
}

TEST(silence_is_asked_about_and_then_ended) {
    World world;
    WebSocketLimits limits = websocket_limits_default();
    limits.ping_ms = 100;
    world_open(t, &world, limits);
    AUTO(socket_close) Socket silent = upgraded(t, &world);
    WebSocket *kept = take_kept(&world);
    AUTO(socket_close) Socket polite = upgraded(t, &world);
    for (int i = 0; i < 5; i++) {
        check_text(t, TEXT("\x89"), text_slice(hear(t, polite, TEXT("\x89")), 0, 1));
        say_frames(t, polite, TEXT("pong"));
    }
    Text heard = hear(t, silent, TEXT(""));
    check_text(t, TEXT("\x89"), text_slice(heard, 0, 1));
    check(t, wait_for(&world.closed, 1));
    check_i64(t, 1, world.closed);
    check_i64(t, 1006, world.close_code);
    websocket_free(&kept);
    world_close(&world);
}

TEST(who_leaves_is_noticed_and_failing_calls_leave_nothing_behind) {
    enum { NUMBER_ECONNRESET = 104 };
    World world;
    world_open(t, &world, websocket_limits_default());
    Socket socket = upgraded(t, &world);
    socket_close(&socket);
    check(t, wait_for(&world.closed, 1));
    check_i64(t, 1006, world.close_code);
    int rounds = 1;
    for (int call = SOCKET_CALL_READ; call <= SOCKET_CALL_WRITE; call++) {
        for (uint64_t nth = 1; nth <= 4; nth++, rounds++) {
            AUTO(socket_close) Socket one = upgraded(t, &world);
            AUTO(builder_free) Builder frame = {0};
            add_frame(t, TEXT("text:hello"), &frame);
            SocketPart part = {frame.at, frame.len};
            size_t count;
            socket_fail_after((SocketCall)call, nth, false, NUMBER_ECONNRESET);
            (void)socket_write(one, &part, 1, &count, t->err);
            clock_system()->sleep_ms(clock_system(), 5);
            socket_fail_after((SocketCall)call, 0, false, 0);
        }
    }
    check(t, wait_for(&world.closed, rounds));
    world_close(&world);
    check_i64(t, rounds, world.closed);
}

TEST_MAIN("net/websocket", CASE(frames_become_the_events_of_the_table_however_they_are_cut),
          CASE(the_handshake_of_the_rfc_and_what_is_wrong_with_others),
          CASE(messages_pings_and_closes_are_answered), CASE(who_breaks_the_rules_is_told_the_code),
          CASE(threads_send_at_once_and_each_ones_messages_stay_in_order),
          CASE(a_client_that_does_not_read_fills_its_buffer_and_no_more),
          CASE(output_that_never_becomes_empty_does_not_grow),
          CASE(what_a_connection_becomes_while_the_server_stops_ends_too),
          CASE(silence_is_asked_about_and_then_ended),
          CASE(who_leaves_is_noticed_and_failing_calls_leave_nothing_behind))
