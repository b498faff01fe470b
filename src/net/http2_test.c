// HTTP/2 under attack and under load: each limit holds, and with that limit switched off the same
// attack gets through (the planted fault); windows, handlers and answers that come late.

#include "net/http2_session.h"
#include "net/http2_wire.h"

// ---- Attacks ----

// An attack feeds bytes; what it reached is looked at afterwards.
typedef struct Attack {
    void (*prepare)(HttpLimits *limits);  // of both runs
    void (*off)(HttpLimits *limits);      // the limit that is tested, switched off
    void (*run)(Wire *wire);
    bool (*got_through)(Wire *wire);
    Http2Goaway why;  // how it is ended when the limit is on; HTTP2_GOAWAY_COUNT: not by GOAWAY
} Attack;

static void attack_once(Test *t, const Attack *attack, bool limited) {
    Wire *wire = arena_push(t->arena, Wire);
    wire_begin(t, wire, true);
    if (attack->prepare != NULL) attack->prepare(&wire->limits);
    if (!limited) attack->off(&wire->limits);
    wire_open(wire);
    wire_greet(wire);
    attack->run(wire);
    if (attack->got_through(wire) == limited)
        check_failed(t, __FILE__, __LINE__, "the attack got through %s the limit",
                     limited ? "in spite of" : "not even without");
    if (attack->why < HTTP2_GOAWAY_COUNT) {
        check_i64(t, limited ? 1 : 0, atomic_load(&wire->counters.goaways[attack->why]));
        uint32_t code = 0;
        if (limited) check(t, wire_goaway(wire, &code) && code == NGHTTP2_ENHANCE_YOUR_CALM);
    }
    wire_end(wire);
}

static void attack_both(Test *t, Attack attack) {
    attack_once(t, &attack, true);
    attack_once(t, &attack, false);
}

static void send_request(Builder *out, uint32_t stream, Text path, uint8_t flags) {
    AUTO(builder_free) Builder block = {0};
    wire_get(&block, path);
    wire_frame(out, HTTP2_HEADERS, flags | HTTP2_FLAG_END_HEADERS, stream, builder_text(&block));
}

static void send_u32(Builder *out, uint8_t type, uint32_t stream, uint32_t value) {
    AUTO(builder_free) Builder payload = {0};
    wire_u32(&payload, value);
    wire_frame(out, type, 0, stream, builder_text(&payload));
}

static bool everything_was_served(Wire *wire) {
    return wire->heads >= 300 && wire_alive(wire);
}

// CVE-2023-44487: a request and its reset, again and again.
static void rapid_reset(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0};
    for (uint32_t i = 0; i < 300; i++) {
        send_request(&bytes, 2 * i + 1, TEXT("/slow"), HTTP2_FLAG_END_STREAM);
        send_u32(&bytes, HTTP2_RST_STREAM, 2 * i + 1, NGHTTP2_CANCEL);
    }
    (void)wire_feed(wire, builder_text(&bytes));
}

static void resets_off(HttpLimits *limits) {
    limits->http2.resets = 0;
}
static void streams_off(HttpLimits *limits) {
    limits->http2.streams = 0;
}

TEST(a_rapid_reset_is_ended_after_a_hundred) {
    attack_both(t, (Attack){.prepare = streams_off,
                            .off = resets_off,
                            .run = rapid_reset,
                            .got_through = everything_was_served,
                            .why = HTTP2_GOAWAY_RESETS});
}

// Resets do not buy more work: a stream counts until its handler is done.
static bool more_work_than_streams(Wire *wire) {
    return wire->served > 128;
}

TEST(a_stream_that_was_reset_counts_until_its_handler_is_done) {
    attack_both(t, (Attack){.prepare = resets_off,
                            .off = streams_off,
                            .run = rapid_reset,
                            .got_through = more_work_than_streams,
                            .why = HTTP2_GOAWAY_COUNT});
}

// CVE-2025-8671 (MadeYouReset): valid requests, then something that makes us reset them.
static void made_you_reset(Wire *wire) {
    for (uint32_t i = 0; i < 300; i++) {
        AUTO(builder_free) Builder bytes = {0};
        send_request(&bytes, 2 * i + 1, TEXT("/slow"), HTTP2_FLAG_END_STREAM);
        send_u32(&bytes, HTTP2_WINDOW_UPDATE, 2 * i + 1, 0x7fffffff);
        if (!wire_feed(wire, builder_text(&bytes))) return;
    }
}

TEST(resets_that_they_make_us_send_count_like_theirs) {
    attack_both(t, (Attack){.prepare = streams_off,
                            .off = resets_off,
                            .run = made_you_reset,
                            .got_through = everything_was_served,
                            .why = HTTP2_GOAWAY_RESETS});
}

// CVE-2024-27316: a header block that never ends.
static void continuations(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0}, block = {0};
    wire_get(&block, TEXT("/"));
    wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_STREAM, 1, builder_text(&block));
    for (int i = 0; i < 1000; i++) wire_frame(&bytes, HTTP2_CONTINUATION, 0, 1, TEXT(""));
    wire_frame(&bytes, HTTP2_CONTINUATION, HTTP2_FLAG_END_HEADERS, 1, TEXT(""));
    (void)wire_feed(wire, builder_text(&bytes));
}
static void continuations_off(HttpLimits *limits) {
    limits->http2.continuations = 0;
}
static bool was_answered(Wire *wire) {
    return wire_status(wire, 1) == 200;
}

TEST(a_header_block_without_end_is_ended_after_eight_frames) {
    attack_both(t, (Attack){.off = continuations_off,
                            .run = continuations,
                            .got_through = was_answered,
                            .why = HTTP2_GOAWAY_HEADERS});
}

// One large field is indexed, then named by one byte each: 4 MB of headers from 5 KB.
static void hpack_bomb(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0}, block = {0};
    wire_get(&block, TEXT("/"));
    builder_add_bytes(&block, "\x40\x05x-big\x7f\xbd\x1d", 10);
    for (int i = 0; i < 3900; i++) builder_add_char(&block, 'v');
    for (int i = 0; i < 1000; i++) builder_add_char(&block, (char)0xbe);
    wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_STREAM | HTTP2_FLAG_END_HEADERS, 1,
               builder_text(&block));
    (void)wire_feed(wire, builder_text(&bytes));
}
static void header_list_off(HttpLimits *limits) {
    limits->http2.header_list_bytes = 0;
    limits->parse.header_count = 1 << 20;
}

TEST(a_bomb_of_compressed_headers_is_ended) {
    attack_both(t, (Attack){.off = header_list_off,
                            .run = hpack_bomb,
                            .got_through = was_answered,
                            .why = HTTP2_GOAWAY_HEADERS});
}

static void flood(Wire *wire, uint8_t type, uint32_t stream, Text payload, int count) {
    AUTO(builder_free) Builder bytes = {0};
    for (int i = 0; i < count; i++) wire_frame(&bytes, type, 0, stream, payload);
    (void)wire_feed(wire, builder_text(&bytes));
}
static bool is_alive(Wire *wire) {
    return wire_alive(wire);
}
static void settings_flood(Wire *wire) {
    flood(wire, HTTP2_SETTINGS, 0, TEXT(""), 500);
}
static void settings_off(HttpLimits *limits) {
    limits->http2.settings_per_s = 0;
}
static void ping_flood(Wire *wire) {
    flood(wire, HTTP2_PING, 0, TEXT("12345678"), 5000);
}
static void pings_off(HttpLimits *limits) {
    limits->http2.pings_per_s = 0;
}
static void useless_flood(Wire *wire) {
    flood(wire, HTTP2_PRIORITY, 1, TEXT("\0\0\0\0\x10"), 5000);
}
static void begin_post(Wire *wire, uint32_t stream, Text path);
static void padding_flood(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0};
    begin_post(wire, 1, TEXT("/length"));
    // DATA, PADDED, a padding of no bytes: one byte that brings nothing.
    for (int i = 0; i < 5000; i++)
        wire_frame(&bytes, HTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, (Text){"", 1});
    (void)wire_feed(wire, builder_text(&bytes));
}
static void useless_off(HttpLimits *limits) {
    limits->http2.useless_per_s = 0;
}

TEST(a_flood_of_settings_is_ended) {
    attack_both(t, (Attack){.off = settings_off,
                            .run = settings_flood,
                            .got_through = is_alive,
                            .why = HTTP2_GOAWAY_CONTROL});
}

TEST(a_flood_of_pings_is_ended) {
    attack_both(t, (Attack){.off = pings_off,
                            .run = ping_flood,
                            .got_through = is_alive,
                            .why = HTTP2_GOAWAY_CONTROL});
}

TEST(a_flood_of_frames_that_bring_nothing_is_ended) {
    attack_both(t, (Attack){.off = useless_off,
                            .run = useless_flood,
                            .got_through = is_alive,
                            .why = HTTP2_GOAWAY_CONTROL});
}

TEST(a_flood_of_padding_is_ended) {
    attack_both(t, (Attack){.off = useless_off,
                            .run = padding_flood,
                            .got_through = is_alive,
                            .why = HTTP2_GOAWAY_CONTROL});
}

// A hundred large answers are asked for and never taken.
static void zero_window(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0};
    wire_frame(&bytes, HTTP2_SETTINGS, 0, 0, TEXT("\0\x04\0\0\0\0"));
    for (uint32_t i = 0; i < 100; i++)
        send_request(&bytes, 2 * i + 1, TEXT("/100k"), HTTP2_FLAG_END_STREAM);
    (void)wire_feed(wire, builder_text(&bytes));
    Test *t = wire->t;
    check_i64(t, 100, atomic_load(&wire->counters.streams));
    for (int i = 0; i < 12; i++) wire_wait(wire, 10000);
}
static void patience(HttpLimits *limits) {
    limits->idle_time_ms = limits->answer_window_ms = limits->header_time_ms = INT64_MAX / 4;
}
static bool answers_are_held(Wire *wire) {
    return atomic_load(&wire->counters.streams) == 100;
}

TEST(answers_that_nobody_takes_are_given_up) {
    attack_both(t, (Attack){.off = patience,
                            .run = zero_window,
                            .got_through = answers_are_held,
                            .why = HTTP2_GOAWAY_COUNT});
}

static void slow_headers(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0}, block = {0};
    wire_get(&block, TEXT("/"));
    wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_STREAM, 1, builder_text(&block));
    (void)wire_feed(wire, builder_text(&bytes));
    for (int i = 0; i < 6; i++) {
        wire_wait(wire, 1000);
        if (http2_is_over(wire->session)) return;
        flood(wire, HTTP2_CONTINUATION, 1, TEXT(""), 1);
    }
    builder_clear(&bytes);
    wire_frame(&bytes, HTTP2_CONTINUATION, HTTP2_FLAG_END_HEADERS, 1, TEXT(""));
    (void)wire_feed(wire, builder_text(&bytes));
}

TEST(a_head_that_comes_byte_by_byte_is_ended) {
    attack_both(t, (Attack){.off = patience,
                            .run = slow_headers,
                            .got_through = was_answered,
                            .why = HTTP2_GOAWAY_SLOW});
}

// ---- Bodies and windows ----

// A client that sends `count` bodies of `len` bytes side by side, as far as its windows allow.
typedef struct Sender {
    Wire *wire;
    uint32_t count;
    size_t len;
    size_t *sent;
    int64_t *window, connection;
    size_t events;      // looked at
    size_t bodies_max;  // that the session held
} Sender;

static void sender_windows(Sender *s) {
    Wire *wire = s->wire;
    for (; s->events < wire->events.count; s->events++) {
        const WireEvent *event = &wire->events.at[s->events];
        if (event->type != HTTP2_WINDOW_UPDATE) continue;
        if (event->stream == 0) {
            s->connection += event->code;
        } else {
            s->window[event->stream / 2] += event->code;
        }
    }
    s->bodies_max = MAX(s->bodies_max, wire->session->bodies_bytes);
}

// One frame of the i-th stream. False: its window or its body does not allow any.
static bool sender_send(Sender *s, uint32_t i, Text piece) {
    uint32_t stream = 2 * i + 1;
    size_t len = MIN(piece.len, s->len - s->sent[i]);
    int64_t room = MIN(s->window[i], s->connection);
    len = (size_t)MIN((int64_t)len, room);
    if (len == 0 || wire_ended(s->wire, stream)) return false;
    AUTO(builder_free) Builder bytes = {0};
    s->sent[i] += len;
    s->window[i] -= (int64_t)len;
    s->connection -= (int64_t)len;
    wire_frame(&bytes, HTTP2_DATA, s->sent[i] == s->len ? HTTP2_FLAG_END_STREAM : 0, stream,
               text_slice(piece, 0, len));
    (void)wire_feed(s->wire, builder_text(&bytes));
    sender_windows(s);
    return true;
}

static void sender_run(Test *t, Wire *wire, uint32_t count, size_t len, size_t *bodies_max,
                       size_t *served) {
    Sender s = {.wire = wire, .count = count, .len = len, .connection = 65535};
    s.sent = arena_push_array(t->arena, size_t, count);
    s.window = arena_push_array(t->arena, int64_t, count);
    s.events = 0;
    AUTO(builder_free) Builder piece = {0}, bytes = {0};
    for (int i = 0; i < 16 * KB; i++) builder_add_char(&piece, 'x');
    for (uint32_t i = 0; i < count; i++) {
        AUTO(builder_free) Builder block = {0};
        wire_field(&block, TEXT(":method"), TEXT("POST"));
        wire_field(&block, TEXT(":scheme"), TEXT("http"));
        wire_field(&block, TEXT(":path"), TEXT("/length"));
        wire_field(&block, TEXT(":authority"), TEXT("a.test"));
        wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_HEADERS, 2 * i + 1, builder_text(&block));
        s.window[i] = wire->limits.http2.window_bytes;
    }
    (void)wire_feed(wire, builder_text(&bytes));
    sender_windows(&s);
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < count; i++)
            moved = sender_send(&s, i, builder_text(&piece)) || moved;
    }
    *bodies_max = s.bodies_max;
    *served = 0;
    for (uint32_t i = 0; i < count; i++) {
        int status = wire_status(wire, 2 * i + 1);
        if (status != 200 && status != 503)
            check_failed(t, __FILE__, __LINE__, "stream %u hangs: %d, %zu sent", 2 * i + 1, status,
                         s.sent[i]);
        *served += status == 200;
    }
}

static void bodies(Test *t, HttpLimits limits, uint32_t count, size_t len, size_t *bodies_max,
                   size_t *served) {
    Wire *wire = arena_push(t->arena, Wire);
    wire_begin(t, wire, false);
    wire->limits = limits;
    wire_open(wire);
    wire_greet(wire);
    sender_run(t, wire, count, len, bodies_max, served);
    check(t, wire_alive(wire));
    wire_end(wire);
}

// Sizes are an eighth of the defaults, to be quick.
static HttpLimits small_windows(void) {
    HttpLimits limits = http_limits_default();
    limits.http2.window_bytes = 128 * KB;
    limits.http2.connection_window_bytes = 2 * MB;
    limits.http2.bodies_bytes = 4 * MB;
    return limits;
}

TEST(bodies_side_by_side_are_bounded_and_all_get_done) {
    HttpLimits limits = small_windows();
    size_t most, served;
    bodies(t, limits, 12, 512 * KB, &most, &served);
    check(t, most <= 4 * MB);
    check_i64(t, 12, (int64_t)served);
    // Without the bound all of them lie in memory at once.
    limits.http2.bodies_bytes = 0;
    bodies(t, limits, 12, 512 * KB, &most, &served);
    check(t, most > 5 * MB);
}

TEST(when_bodies_block_each_other_the_newest_give_way) {
    HttpLimits limits = small_windows();
    size_t most, served;
    bodies(t, limits, 100, 128 * KB, &most, &served);
    check(t, most <= 4 * MB);
    check(t, served >= 16 && served < 100);
}

// ---- Handlers and answers ----

static Wire *wire_new(Test *t, bool with_loop) {
    Wire *wire = arena_push(t->arena, Wire);
    wire_begin(t, wire, with_loop);
    wire_open(wire);
    wire_greet(wire);
    return wire;
}

static void ask(Wire *wire, uint32_t stream, Text path) {
    AUTO(builder_free) Builder bytes = {0};
    send_request(&bytes, stream, path, HTTP2_FLAG_END_STREAM);
    (void)wire_feed(wire, builder_text(&bytes));
}

TEST(an_answer_may_come_later) {
    Wire *wire = wire_new(t, true);
    ask(wire, 1, TEXT("/slow"));
    ask(wire, 3, TEXT("/"));
    check_i64(t, 200, wire_status(wire, 3));
    check_i64(t, 0, wire_status(wire, 1));
    check_i64(t, 1, (int64_t)http2_owed(wire->session));
    wire_answer_owed(wire);
    check_i64(t, 200, wire_status(wire, 1));
    check_text(t, TEXT("late\n"), wire_body(wire, 1));
    check_i64(t, 0, atomic_load(&wire->counters.streams));
    wire_end(wire);
}

TEST(a_refusal_may_come_later_and_the_body_is_thrown_away_meanwhile) {
    Wire *wire = wire_new(t, true);
    AUTO(builder_free) Builder bytes = {0};
    send_request(&bytes, 1, TEXT("/later"), 0);
    wire_frame(&bytes, HTTP2_DATA, 0, 1, TEXT("some body"));
    check(t, wire_feed(wire, builder_text(&bytes)));
    check_i64(t, 0, (int64_t)wire->session->bodies_bytes);
    wire_answer_owed(wire);
    check_i64(t, 200, wire_status(wire, 1));
    check_i64(t, 0, wire->served);
    wire_end(wire);
}

TEST(who_resets_is_gone_and_the_answer_goes_nowhere) {
    Wire *wire = wire_new(t, true);
    ask(wire, 1, TEXT("/slow"));
    AUTO(builder_free) Builder bytes = {0};
    send_u32(&bytes, HTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    check(t, wire_feed(wire, builder_text(&bytes)));
    check_i64(t, 1, wire->gone);
    check(t, http_is_gone(wire->owed.at[0]));
    check_i64(t, 1, atomic_load(&wire->counters.streams));
    wire_answer_owed(wire);
    check_i64(t, 0, wire_status(wire, 1));
    check_i64(t, 0, atomic_load(&wire->counters.streams));
    check(t, wire_alive(wire));
    wire_end(wire);
}

TEST(who_resets_before_the_body_is_whole_is_dropped) {
    Wire *wire = wire_new(t, false);
    AUTO(builder_free) Builder bytes = {0};
    send_request(&bytes, 1, TEXT("/echo"), 0);
    send_u32(&bytes, HTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    check(t, wire_feed(wire, builder_text(&bytes)));
    check_i64(t, 1, wire->dropped);
    check_i64(t, 0, wire->served);
    wire_end(wire);
}

TEST(a_lost_connection_tells_every_handler_and_waits_for_them) {
    Wire *wire = wire_new(t, true);
    AUTO(builder_free) Builder bytes = {0};
    ask(wire, 1, TEXT("/slow"));
    ask(wire, 3, TEXT("/slow"));
    send_request(&bytes, 5, TEXT("/echo"), 0);
    check(t, wire_feed(wire, builder_text(&bytes)));
    http2_abandon(wire->session);
    check_i64(t, 2, wire->gone);
    check_i64(t, 1, wire->dropped);
    check_i64(t, 2, (int64_t)http2_owed(wire->session));
    wire_end(wire);
}

TEST(output_comes_in_pieces_that_a_socket_likes) {
    Wire *wire = wire_new(t, false);
    AUTO(builder_free) Builder bytes = {0}, out = {0};
    wire_frame(&bytes, HTTP2_SETTINGS, 0, 0, TEXT("\0\x04\0\x7f\0\0"));
    send_u32(&bytes, HTTP2_WINDOW_UPDATE, 0, 0x7f0000);
    send_request(&bytes, 1, TEXT("/big"), HTTP2_FLAG_END_STREAM);
    Error err = {0};
    check(t, http2_feed(wire->session, text_bytes(builder_text(&bytes)), &err));
    size_t all = 0, pieces = 0;
    while (http2_output(wire->session, &out)) {
        check(t, out.len <= HTTP_OUT_MAX + 17 * KB);
        all += out.len;
        pieces++;
        builder_clear(&out);
    }
    check(t, all > 1 * MB && all < 1 * MB + 4 * KB && pieces >= 12);
    check(t, !http2_wants_write(wire->session));
    wire_end(wire);
}

static int users_freed;
static void user_free(void *user) {
    users_freed++;
}
static void user_request(void *context, HttpExchange *exchange) {
    int *seen = context;
    if (exchange->user == NULL) {
        exchange->user = seen;
        exchange->user_free = user_free;
    } else {
        (*seen)++;
    }
    HttpResponse response = {.status = 204};
    http_respond(exchange, &response);
}

TEST(what_a_handler_keeps_belongs_to_the_connection) {
    int seen = 0;
    users_freed = 0;
    Wire *wire = wire_new(t, false);
    wire->handler = (HttpHandler){.context = &seen, .on_request = user_request};
    for (uint32_t i = 0; i < 5; i++) ask(wire, 2 * i + 1, TEXT("/"));
    check_i64(t, 4, seen);
    check_i64(t, 0, users_freed);
    wire_end(wire);
    check_i64(t, 1, users_freed);
}

// gRPC clients measure the bandwidth with a PING per answer.
TEST(a_ping_for_every_answer_is_no_flood) {
    Wire *wire = wire_new(t, false);
    for (uint32_t i = 0; i < 100; i++) {
        ask(wire, 2 * i + 1, TEXT("/"));
        check(t, wire_alive(wire));
    }
    wire_end(wire);
}

// ---- Who waits, and for what ----

static void begin_post(Wire *wire, uint32_t stream, Text path) {
    AUTO(builder_free) Builder bytes = {0}, block = {0};
    wire_field(&block, TEXT(":method"), TEXT("POST"));
    wire_field(&block, TEXT(":scheme"), TEXT("http"));
    wire_field(&block, TEXT(":path"), path);
    wire_field(&block, TEXT(":authority"), TEXT("a.test"));
    wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_HEADERS, stream, builder_text(&block));
    (void)wire_feed(wire, builder_text(&bytes));
}

// The first stream sends `first` bytes and then nothing; the others fill the memory of bodies until
// they wait for it. Then it ends, in its own way or by being too slow: somebody must go on.
static void oldest_ends(Test *t, Text first, bool too_slow) {
    enum { COUNT_OF_BODIES = 12 };
    Wire *wire = arena_push(t->arena, Wire);
    wire_begin(t, wire, false);
    wire->limits = small_windows();
    wire_open(wire);
    wire_greet(wire);
    size_t sent[COUNT_OF_BODIES] = {0};
    int64_t window[COUNT_OF_BODIES];
    Sender s = {.wire = wire,
                .len = 512 * KB,
                .connection = 65535 - (int64_t)first.len,
                .sent = sent,
                .window = window};
    AUTO(builder_free) Builder piece = {0}, bytes = {0};
    for (int i = 0; i < 16 * KB; i++) builder_add_char(&piece, 'x');
    for (uint32_t i = 0; i < COUNT_OF_BODIES; i++) {
        begin_post(wire, 2 * i + 1, TEXT("/length"));
        window[i] = wire->limits.http2.window_bytes;
    }
    if (first.len > 0) {
        wire_frame(&bytes, HTTP2_DATA, 0, 1, first);
        (void)wire_feed(wire, builder_text(&bytes));
    }
    sender_windows(&s);
    for (int round = 0; round < 2; round++) {
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t i = 1; i < COUNT_OF_BODIES; i++)
                moved = sender_send(&s, i, builder_text(&piece)) || moved;
        }
        if (round == 1) break;
        check(t, sent[1] < s.len);
        builder_clear(&bytes);
        wire_frame(&bytes, HTTP2_DATA, HTTP2_FLAG_END_STREAM, 1, TEXT(""));
        if (too_slow) {
            wire_wait(wire, wire->limits.body_window_ms);
        } else {
            (void)wire_feed(wire, builder_text(&bytes));
        }
        check_i64(t, too_slow ? 408 : 200, wire_status(wire, 1));
        sender_windows(&s);
    }
    for (uint32_t i = 1; i < COUNT_OF_BODIES; i++) {
        int status = wire_status(wire, 2 * i + 1);
        if (status != 200 && status != 503)
            check_failed(t, __FILE__, __LINE__, "stream %u hangs: %d, %zu sent", 2 * i + 1, status,
                         sent[i]);
    }
    wire_end(wire);
}

TEST(when_the_oldest_body_ends_empty_the_next_goes_on) {
    oldest_ends(t, TEXT(""), false);
}

TEST(when_the_oldest_body_is_too_slow_the_next_goes_on) {
    oldest_ends(t, TEXT(""), true);
    oldest_ends(t, TEXT("a few bytes"), true);
}

// Whoever has not said who it is may hold little, also by many streams side by side.
static void many_heads(Wire *wire, Text path) {
    AUTO(builder_free) Builder bytes = {0}, value = {0};
    for (int i = 0; i < 12 * KB; i++) builder_add_char(&value, 'v');
    for (uint32_t i = 0; i < 100; i++) {
        AUTO(builder_free) Builder block = {0};
        wire_get(&block, path);
        wire_field(&block, TEXT("x-long"), builder_text(&value));
        wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_HEADERS, 2 * i + 1, builder_text(&block));
    }
    (void)wire_feed(wire, builder_text(&bytes));
}

static size_t heads_held(const Wire *wire) {
    size_t bytes = 0;
    for (const Http2Stream *stream = wire->session->streams; stream != NULL; stream = stream->next)
        bytes += stream->arena.bytes;
    return bytes;
}

static void strangers_off(HttpLimits *limits) {
    limits->http2.stranger_streams = 0;
}
static void heads_of_a_stranger(Wire *wire) {
    many_heads(wire, TEXT("/forbidden"));
}
static bool much_is_held(Wire *wire) {
    return heads_held(wire) > 96 * KB;
}

TEST(a_stranger_holds_little_also_by_many_streams) {
    attack_both(t, (Attack){.prepare = resets_off,
                            .off = strangers_off,
                            .run = heads_of_a_stranger,
                            .got_through = much_is_held,
                            .why = HTTP2_GOAWAY_COUNT});
}

static void heads_off(HttpLimits *limits) {
    limits->http2.heads_bytes = 0;
}
static void heads_of_a_friend(Wire *wire) {
    many_heads(wire, TEXT("/slow"));
}
static bool too_much_is_held(Wire *wire) {
    return heads_held(wire) > 1536 * KB;
}

TEST(the_heads_of_a_connection_are_bounded_together) {
    attack_both(t, (Attack){.prepare = resets_off,
                            .off = heads_off,
                            .run = heads_of_a_friend,
                            .got_through = too_much_is_held,
                            .why = HTTP2_GOAWAY_COUNT});
    // Who is known may ask for as much as HTTP2_STREAMS allow, from the first burst on.
    Wire *wire = wire_new(t, true);
    AUTO(builder_free) Builder bytes = {0};
    for (uint32_t i = 0; i < 128; i++)
        send_request(&bytes, 2 * i + 1, TEXT("/slow"), HTTP2_FLAG_END_STREAM);
    check(t, wire_feed(wire, builder_text(&bytes)));
    check_i64(t, 128, wire->served);
    wire_end(wire);
}

// Many small bodies side by side take what they may have, not more.
TEST(a_body_that_must_be_small_takes_little) {
    Wire *wire = wire_new(t, false);
    AUTO(builder_free) Builder bytes = {0};
    begin_post(wire, 1, TEXT("/small"));
    wire_frame(&bytes, HTTP2_DATA, 0, 1, TEXT("12345"));
    check(t, wire_feed(wire, builder_text(&bytes)));
    check_i64(t, 5, (int64_t)wire->session->streams->body_len);
    check(t, wire->session->streams->body.capacity <= 1 * KB);
    wire_end(wire);
}

// A stream that is refused costs unpacking all the same.
TEST(a_bomb_of_compressed_headers_is_ended_also_on_a_refused_stream) {
    Wire *wire = wire_new(t, true);
    wire->limits.http2.streams = 1;
    ask(wire, 1, TEXT("/slow"));
    AUTO(builder_free) Builder bytes = {0};
    send_u32(&bytes, HTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    AUTO(builder_free) Builder block = {0};
    wire_get(&block, TEXT("/"));
    builder_add_bytes(&block, "\x40\x05x-big\x7f\xbd\x1d", 10);
    for (int i = 0; i < 3900; i++) builder_add_char(&block, 'v');
    for (int i = 0; i < 1000; i++) builder_add_char(&block, (char)0xbe);
    wire_frame(&bytes, HTTP2_HEADERS, HTTP2_FLAG_END_STREAM | HTTP2_FLAG_END_HEADERS, 3,
               builder_text(&block));
    (void)wire_feed(wire, builder_text(&bytes));
    check_i64(t, 1, atomic_load(&wire->counters.goaways[HTTP2_GOAWAY_HEADERS]));
    wire_end(wire);
}

// An answer that goes nowhere may have been the last thing that the connection waited for.
TEST(the_connection_is_told_when_an_answer_goes_nowhere) {
    Wire *wire = wire_new(t, true);
    ask(wire, 1, TEXT("/slow"));
    AUTO(builder_free) Builder bytes = {0};
    send_u32(&bytes, HTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    check(t, wire_feed(wire, builder_text(&bytes)));
    wire_wait(wire, 100000);
    check(t, http2_next_deadline(wire->session) == INT64_MAX);
    int before = wire->woken;
    wire_answer_owed(wire);
    check(t, wire->woken > before);
    check(t, http2_next_deadline(wire->session) < INT64_MAX);
    wire_end(wire);
}

TEST_MAIN("net/http2", CASE(a_rapid_reset_is_ended_after_a_hundred),
          CASE(a_stream_that_was_reset_counts_until_its_handler_is_done),
          CASE(resets_that_they_make_us_send_count_like_theirs),
          CASE(a_header_block_without_end_is_ended_after_eight_frames),
          CASE(a_bomb_of_compressed_headers_is_ended), CASE(a_flood_of_settings_is_ended),
          CASE(a_flood_of_pings_is_ended), CASE(a_flood_of_frames_that_bring_nothing_is_ended),
          CASE(a_flood_of_padding_is_ended), CASE(answers_that_nobody_takes_are_given_up),
          CASE(a_head_that_comes_byte_by_byte_is_ended),
          CASE(bodies_side_by_side_are_bounded_and_all_get_done),
          CASE(when_bodies_block_each_other_the_newest_give_way), CASE(an_answer_may_come_later),
          CASE(a_refusal_may_come_later_and_the_body_is_thrown_away_meanwhile),
          CASE(who_resets_is_gone_and_the_answer_goes_nowhere),
          CASE(who_resets_before_the_body_is_whole_is_dropped),
          CASE(a_lost_connection_tells_every_handler_and_waits_for_them),
          CASE(output_comes_in_pieces_that_a_socket_likes),
          CASE(what_a_handler_keeps_belongs_to_the_connection),
          CASE(a_ping_for_every_answer_is_no_flood),
          CASE(when_the_oldest_body_ends_empty_the_next_goes_on),
          CASE(when_the_oldest_body_is_too_slow_the_next_goes_on),
          CASE(a_stranger_holds_little_also_by_many_streams),
          CASE(the_heads_of_a_connection_are_bounded_together),
          CASE(a_body_that_must_be_small_takes_little),
          CASE(a_bomb_of_compressed_headers_is_ended_also_on_a_refused_stream),
          CASE(the_connection_is_told_when_an_answer_goes_nowhere))
