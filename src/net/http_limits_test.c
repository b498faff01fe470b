// What the server takes of its clients and no more: times, sizes, connections, memory; and that
// good clients are served meanwhile.

#include "net/http_client.h"
#include "net/test_peer.h"
#include "net/test_world.h"
#include "os/process.h"

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

static void check_served(Test *t, Socket socket) {
    say(t, socket, TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    check(t, has(hear(t, socket, TEXT("GET:")), TEXT("200")));
}

static void two_connections(HttpLimits *limits) {
    limits->connections = 2;
    limits->strangers_percent = 100;
}

TEST(connections_beyond_the_limit_get_a_503_and_room_comes_back) {
    World world;
    world_open(t, &world, 1, two_connections);
    AUTO(socket_close) Socket a = dial(t, world.address.port), b = dial(t, world.address.port);
    check_served(t, a);
    check_served(t, b);
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
    check_served(t, d);
    check_i64(t, 1, http_server_stats(world.server).connections_refused);
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

static void two_of_this_machine(HttpLimits *limits) {
    limits->connections_loopback = 2;
}

TEST(one_address_gets_its_quota_and_no_more) {
    World world;
    world_open(t, &world, 1, two_of_this_machine);
    AUTO(socket_close) Socket a = dial(t, world.address.port), b = dial(t, world.address.port);
    check_served(t, a);
    check_served(t, b);
    AUTO(socket_close) Socket c = dial(t, world.address.port);
    Text heard = hear(t, c, TEXT("}\n"));
    check(t, has(heard, TEXT("HTTP/1.1 503 ")) && has(heard, TEXT("HTTP_CONNECTIONS_LOOPBACK")) &&
                 has(heard, TEXT("Retry-After")));
    socket_close(&c);
    socket_close(&a);
    for (int i = 0; i < 200 && http_server_stats(world.server).connections > 1; i++)
        clock_system()->sleep_ms(clock_system(), 10);
    AUTO(socket_close) Socket d = dial(t, world.address.port);
    check_served(t, d);
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
    check_served(t, known);
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
    check_served(t, known);
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
    Socket stranger = dial(t, world.address.port), known = dial(t, world.address.port);
    check_served(t, known);
    int refused = 0;
    while (refused < 100) {
        say(t, stranger, TEXT("GET /deny HTTP/1.1\r\nHost: h\r\n\r\n"));
        if (!has(hear(t, stranger, TEXT("no\n")), TEXT("401"))) break;
        refused++;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    check(t, refused >= 2 && refused < 60);
    check_served(t, known);
    HttpStats stats = http_server_stats(world.server);
    check_i64(t, 1, stats.strangers_expired);
    check_i64(t, 0, stats.strangers);
    world_close(&world);
}

TEST(who_asks_only_for_what_is_open_to_all_stays_a_stranger) {
    World world;
    world_open(t, &world, 1, short_acquaintance);
    AUTO(socket_close)
    Socket stranger = dial(t, world.address.port), slow = dial(t, world.address.port);
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
    check_served(t, known);
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
    Socket slow = dial(t, world.address.port), steady = dial(t, world.address.port);
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

TEST(http2_strangers_end_like_others_and_the_quiet_ones_too) {
    World world;
    world_open(t, &world, 1, short_acquaintance);
    AUTO(socket_close)
    Socket quiet = dial(t, world.address.port), known = dial(t, world.address.port);
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

TEST_MAIN("net/http_limits", CASE(slow_heads_slow_bodies_and_idle_connections_are_ended),
          CASE(a_chunked_body_over_the_limit_is_413_before_it_is_read),
          CASE(connections_beyond_the_limit_get_a_503_and_room_comes_back),
          CASE(without_descriptors_the_server_pauses_and_recovers),
          CASE(a_client_that_does_not_read_makes_the_server_wait_not_grow),
          CASE(an_answer_is_charged_until_it_was_sent_or_its_client_left),
          CASE(a_long_request_line_is_read_and_a_longer_one_is_414),
          CASE(http2_strangers_end_like_others_and_the_quiet_ones_too),
          CASE(one_address_gets_its_quota_and_no_more),
          CASE(strangers_have_a_fifth_of_the_connections_and_the_oldest_goes_first),
          CASE(a_connection_of_refused_requests_only_ends_after_its_time),
          CASE(who_asks_only_for_what_is_open_to_all_stays_a_stranger),
          CASE(long_request_lines_of_strangers_share_a_purse),
          CASE(a_stranger_holds_at_most_32_KiB),
          CASE(an_answer_that_is_taken_too_slowly_ends_and_one_taken_in_pieces_does_not))
