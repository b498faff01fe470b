// Live answers over a real connection: what a page subscribes to, what it gets, and when it ends.

#include "net/test_peer.h"
#include "net/websocket_frames.h"
#include "os/clock.h"
#include "server/test_server.h"

// One client: what it heard and did not look at yet.
typedef struct Live {
    Socket socket;
    Builder heard;
} Live;

static void live_say(Test *t, Live *live, Text text) {
    AUTO(builder_free) Builder frame = {0};
    builder_add_char(&frame, (char)0x81);
    if (text.len <= 125) {
        builder_add_char(&frame, (char)(0x80 | text.len));
    } else {
        builder_add_char(&frame, (char)(0x80 | 126));
        builder_add_char(&frame, (char)(text.len >> 8));
        builder_add_char(&frame, (char)text.len);
    }
    builder_add_bytes(&frame, "\0\0\0\0", 4);  // a mask that changes nothing
    builder_add(&frame, text);
    say(t, live->socket, builder_text(&frame));
}

static bool live_more(Test *t, Live *live) {
    char piece[4096];
    size_t count = 0;
    SocketResult result = socket_read(live->socket, piece, sizeof piece, &count, t->err);
    if (result == SOCKET_AGAIN) return socket_wait(live->socket, false, 3000, t->err);
    builder_add_bytes(&live->heard, piece, count);
    return result == SOCKET_DONE;
}

// The next message; empty when the connection ended or nothing came for 3 s.
static Text live_next(Test *t, Live *live) {
    for (;;) {
        Text heard = builder_text(&live->heard);
        const uint8_t *at = text_bytes(heard).at;
        size_t head = 2, len = heard.len >= 2 ? at[1] : 0;
        if (len == 126) {
            head = 4;
            len = heard.len >= 4 ? (size_t)(at[2] << 8 | at[3]) : 0;
        }
        if (heard.len >= head && heard.len >= head + len) {
            check(t, at[0] == 0x81 || at[0] == 0x88);
            Text message =
                at[0] == 0x88 ? TEXT("") : text_copy(text_slice(heard, head, head + len), t->arena);
            Text rest = text_copy(text_slice(heard, head + len, heard.len), t->arena);
            builder_clear(&live->heard);
            builder_add(&live->heard, rest);
            return message;
        }
        if (!live_more(t, live)) return TEXT("");
    }
}

// The status line is what comes back.
static Text live_begin(Test *t, const TestServer *world, const char *headers, Live *out) {
    *out = (Live){.socket = dial(t, world->port)};
    Text ask = text_format(t->arena,
                           "GET /api/traceo/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: "
                           "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
                           "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                           (unsigned)world->port, headers);
    SocketPart part = {ask.at, ask.len};
    size_t count;
    check(t, socket_write(out->socket, &part, 1, &count, t->err) == SOCKET_DONE);
    while (text_find(builder_text(&out->heard), TEXT("\r\n\r\n")) < 0) {
        if (!live_more(t, out)) break;
    }
    Text heard = text_copy(builder_text(&out->heard), t->arena);
    ptrdiff_t end = text_find(heard, TEXT("\r\n\r\n"));
    builder_clear(&out->heard);
    builder_add(&out->heard, text_slice(heard, (size_t)end + 4, heard.len));
    return text_slice(heard, 9, 12);
}

static void live_end(Live *live) {
    socket_close(&live->socket);
    builder_free(&live->heard);
}

TEST(a_subscription_is_answered_at_once_and_again_until_it_ends) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT(""), TEXT(""));
    Live live;
    check_text(t, TEXT("101"), live_begin(t, &world, "", &live));
    live_say(t, &live, TEXT("{\"id\":\"sum\",\"query\":\"6 * 7\",\"interval_ms\":200}"));
    for (int i = 0; i < 3; i++) {
        Text got = live_next(t, &live);
        check(t, text_starts_with(got,
                                  TEXT("{\"id\":\"sum\",\"data\":{\"status\":\"success\",\"data\":{"
                                       "\"resultType\":\"scalar\",\"result\":[")));
        check(t, has(got, TEXT(",\"42\"]}}}")));
    }
    // The same id is another query from now on, without an end; then none.
    Text up =
        text_format(t->arena, "{\"id\":\"sum\",\"query\":\"up @ %lld.%03lld\",\"interval_ms\":200}",
                    (long long)(T0_MS / 1000 + 30), 0LL);
    live_say(t, &live, up);
    Text got = live_next(t, &live);
    while (has(got, TEXT("scalar"))) got = live_next(t, &live);
    check(t, has(got, TEXT("\"resultType\":\"vector\"")) && has(got, TEXT("\"__name__\":\"up\"")));
    live_say(t, &live, TEXT("{\"id\":\"sum\"}"));
    live_say(t, &live, TEXT("{\"id\":\"last\",\"query\":\"1\",\"interval_ms\":3600000}"));
    got = live_next(t, &live);
    while (has(got, TEXT("\"id\":\"sum\""))) got = live_next(t, &live);
    check(t, has(got, TEXT("\"id\":\"last\"")));
    clock_system()->sleep_ms(clock_system(), 500);
    check_i64(t, 0, live.heard.len);
    check(t, has(test_get(t, &world, "/metrics").body, TEXT("\ntraceo_live_connections 1\n")));
    live_end(&live);
    test_server_end(t, &world);
}

TEST(what_is_wrong_is_said_under_its_id) {
    static const struct {
        Text message, words[2];
    } rows[] = {
        {TEXT_INIT("{\"id\":\"a\",\"query\":\"sum(\"}"),
         {TEXT_INIT("\"id\":\"a\""), TEXT_INIT("parse error")}},
        {TEXT_INIT("{\"id\":\"b\",\"query\":7}"),
         {TEXT_INIT("\"id\":\"b\""), TEXT_INIT("is a text")}},
        {TEXT_INIT("{\"id\":\"c\",\"query\":\"1\",\"interval_ms\":10}"),
         {TEXT_INIT("\"id\":\"c\""), TEXT_INIT("LIVE_INTERVAL_MS")}},
        {TEXT_INIT("{\"query\":\"1\"}"), {TEXT_INIT("\"id\":\"\""), TEXT_INIT("bad_data")}},
        {TEXT_INIT("{\"id\":"), {TEXT_INIT("\"status\":\"error\""), TEXT_INIT("bad_data")}},
    };
    TestServer world;
    test_server_plain(t, &world);
    Live live;
    check_text(t, TEXT("101"), live_begin(t, &world, "", &live));
    for (size_t i = 0; i < COUNT(rows); i++) {
        live_say(t, &live, rows[i].message);
        Text got = live_next(t, &live);
        check(t, has(got, rows[i].words[0]) && has(got, rows[i].words[1]));
        live_say(t, &live, TEXT("{\"id\":\"a\"}"));
    }
    for (int i = 0; i <= 32; i++)
        live_say(
            t, &live,
            text_format(t->arena, "{\"id\":\"%d\",\"query\":\"1\",\"interval_ms\":3600000}", i));
    Text got = live_next(t, &live);
    while (got.len > 0 && !has(got, TEXT("LIVE_SUBSCRIPTIONS"))) got = live_next(t, &live);
    check(t, has(got, TEXT("\"id\":\"32\"")));
    live_end(&live);
    test_server_end(t, &world);
}

TEST(only_websockets_of_this_site_with_the_permission_get_in) {
    TestServer world;
    test_server_plain(t, &world);
    HttpClientAnswer plain = test_get(t, &world, "/api/traceo/v1/live");
    check_status(t, 426, plain);
    check_text(t, TEXT("13"), test_header(plain, TEXT("Sec-WebSocket-Version")));
    Live live;
    check_text(t, TEXT("403"), live_begin(t, &world, "Origin: https://elsewhere.test\r\n", &live));
    live_end(&live);
    check_text(t, TEXT("403"), live_begin(t, &world, "Origin: null\r\n", &live));
    live_end(&live);
    const char *own = text_to_cstring(
        text_format(t->arena, "Origin: http://127.0.0.1:%u\r\n", (unsigned)world.port), t->arena);
    check_text(t, TEXT("101"), live_begin(t, &world, own, &live));
    live_end(&live);
    Text writer = test_server_key(t, &world, TEXT("default"), PERMISSION_WRITE_METRICS);
    Text reader = test_server_key(t, &world, TEXT("default"), PERMISSION_READ_METRICS);
    check_text(t, TEXT("401"), live_begin(t, &world, "", &live));
    live_end(&live);
    const char *key =
        text_to_cstring(text_format(t->arena, "X-API-Key: %.*s\r\n", TEXT_ARG(writer)), t->arena);
    check_text(t, TEXT("403"), live_begin(t, &world, key, &live));
    live_end(&live);
    key = text_to_cstring(text_format(t->arena, "X-API-Key: %.*s\r\n", TEXT_ARG(reader)), t->arena);
    check_text(t, TEXT("101"), live_begin(t, &world, key, &live));
    live_say(t, &live, TEXT("{\"id\":\"x\",\"query\":\"vector(1)\"}"));
    check(t, has(live_next(t, &live), TEXT("success")));
    live_end(&live);
    test_server_end(t, &world);
}

// Without a key it was let in while there were none; from the first key on that is over.
TEST(a_key_that_is_needed_or_revoked_later_ends_what_goes_on) {
    TestServer world;
    test_server_plain(t, &world);
    Live live;
    check_text(t, TEXT("101"), live_begin(t, &world, "", &live));
    live_say(t, &live, TEXT("{\"id\":\"x\",\"query\":\"1\",\"interval_ms\":200}"));
    check(t, has(live_next(t, &live), TEXT("success")));
    (void)test_server_key(t, &world, TEXT("default"), PERMISSION_READ_METRICS);
    for (int i = 0; i < 20; i++) {
        if (live_next(t, &live).len == 0) break;
        check(t, i < 19);
    }
    live_end(&live);
    test_server_end(t, &world);
}

TEST(the_server_stops_while_queries_run_and_clients_come_and_go) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT(""), TEXT(""));
    enum { CLIENTS = 8 };
    Live live[CLIENTS];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            check_text(t, TEXT("101"), live_begin(t, &world, "", &live[i]));
            for (int n = 0; n < 4; n++)
                live_say(t, &live[i],
                         text_format(t->arena,
                                     "{\"id\":\"%d\",\"query\":\"sum(sum_over_time(up[1000d:1h]))"
                                     "\",\"interval_ms\":200}",
                                     n));
        }
        if (round < 2) {
            for (size_t i = 0; i < CLIENTS; i++) live_end(&live[i]);
        }
    }
    check(t, live_next(t, &live[0]).len > 0);
    test_server_end(t, &world);
    for (size_t i = 0; i < CLIENTS; i++) live_end(&live[i]);
}

TEST_MAIN("server/live", CASE(a_subscription_is_answered_at_once_and_again_until_it_ends),
          CASE(what_is_wrong_is_said_under_its_id),
          CASE(only_websockets_of_this_site_with_the_permission_get_in),
          CASE(a_key_that_is_needed_or_revoked_later_ends_what_goes_on),
          CASE(the_server_stops_while_queries_run_and_clients_come_and_go))
