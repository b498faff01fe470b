// Running queries: who sees them, who ends them, what their clients are told.

#include "server/running.h"

#include "codec/json.h"
#include "server/test_server.h"

// With keys, as queries are then told apart by tenant.
typedef struct World {
    TestServer server;
    Text acme, globex, admin, writer;
} World;

static void write_many(Test *t, World *world, Text tenant) {
    Text key = test_server_key(t, &world->server, tenant, PERMISSION_WRITE_METRICS);
    test_write_many(t, &world->server, key, TEST_SLOW_SERIES, 1);
}

static void begin(Test *t, World *world) {
    *world = (World){0};
    test_server_begin(
        t, &world->server,
        (TestServerOptions){.durability = LOG_MEMORY, .query = {.timeout_ms = 600000}});
    write_many(t, world, TEXT("acme"));
    write_many(t, world, TEXT("globex"));
    world->acme = test_server_key(t, &world->server, TEXT("acme"), PERMISSION_READ_METRICS);
    world->globex = test_server_key(t, &world->server, TEXT("globex"), PERMISSION_READ_METRICS);
    world->admin = test_server_key(t, &world->server, TEXT("acme"), PERMISSION_ALL);
    world->writer = test_server_key(t, &world->server, TEXT("acme"), PERMISSION_WRITE_METRICS);
}

static Text read_answer(Test *t, Socket socket) {
    Builder answer = {0};
    for (;;) {
        char buffer[4096];
        size_t got = 0;
        SocketResult result = socket_read(socket, buffer, sizeof buffer, &got, t->err);
        if (result == SOCKET_AGAIN && socket_wait(socket, false, 5000, t->err)) continue;
        if (result != SOCKET_DONE) break;
        builder_add_bytes(&answer, buffer, got);
        if (text_find(builder_text(&answer), TEXT("}\n")) > 0 ||
            text_ends_with(builder_text(&answer), TEXT("\"}")))
            break;
    }
    Text text = text_copy(builder_text(&answer), t->arena);
    builder_free(&answer);
    return text;
}

static HttpClientAnswer ask(Test *t, const World *world, const char *method, Text target,
                            Text key) {
    return test_as(t, &world->server, text_from_cstring(method), target, key, TEXT_NONE);
}

static const JsonValue *list(Test *t, const World *world, Text key) {
    HttpClientAnswer answer = ask(t, world, "GET", TEXT("/api/traceo/v1/queries"), key);
    check_status(t, 200, answer);
    JsonValue *root;
    check_ok(t, json_parse(answer.body, t->arena, &root, t->err));
    return json_get(json_get(root, TEXT("data")), TEXT("queries"));
}

static size_t count_in(const JsonValue *queries, const char *state) {
    size_t count = 0;
    for (const JsonValue *query = queries->first; query != NULL; query = query->next)
        count += text_equal(json_get(query, TEXT("state"))->text, text_from_cstring(state));
    return count;
}

static const JsonValue *wait_for_list(Test *t, const World *world, Text key, size_t running,
                                      size_t queued) {
    Clock *clock = clock_system();
    const JsonValue *queries = NULL;
    for (int i = 0; i < 500; i++) {
        queries = list(t, world, key);
        if (count_in(queries, "running") == running && count_in(queries, "queued") == queued)
            return queries;
        clock->sleep_ms(clock, 10);
    }
    check_failed(t, __FILE__, __LINE__, "%zu run and %zu wait", count_in(queries, "running"),
                 count_in(queries, "queued"));
    return queries;
}

static Text id_of(const JsonValue *queries, const char *state) {
    for (const JsonValue *query = queries->first; query != NULL; query = query->next) {
        if (text_equal(json_get(query, TEXT("state"))->text, text_from_cstring(state)))
            return json_get(query, TEXT("id"))->text;
    }
    return TEXT("0");
}

static Text path_of(Test *t, Text id) {
    return text_format(t->arena, "/api/traceo/v1/queries/%.*s", TEXT_ARG(id));
}

TEST(a_tenant_sees_its_own_queries_and_an_administrator_all) {
    World world;
    begin(t, &world);
    Socket sockets[] = {test_begin_get(t, &world.server, TEST_SLOW, world.acme),
                        test_begin_get(t, &world.server, TEST_SLOW, world.globex)};
    wait_for_list(t, &world, world.admin, 2, 0);
    const JsonValue *query = wait_for_list(t, &world, world.globex, 1, 0)->first;
    check_text(t, TEXT("globex"), json_get(query, TEXT("tenant"))->text);
    check_text(t, TEXT("/api/v1/query_range"), json_get(query, TEXT("path"))->text);
    check_text(t, TEXT("slow/1"), json_get(query, TEXT("agent"))->text);
    check_text(t, text_slice(world.globex, 7, 23), json_get(query, TEXT("key"))->text);
    check(t, text_starts_with(json_get(query, TEXT("peer"))->text, TEXT("127.0.0.1:")));
    check(t, text_starts_with(json_get(query, TEXT("query"))->text, TEXT(TEST_SLOW_SUM)));
    check_status(t, 403, ask(t, &world, "GET", TEXT("/api/traceo/v1/queries"), world.writer));
    check_status(t, 401, ask(t, &world, "GET", TEXT("/api/traceo/v1/queries"), TEXT_NONE));
    // It is seen how far it came.
    Clock *clock = clock_system();
    Text samples = TEXT("0");
    for (int i = 0; i < 500 && text_equal(samples, TEXT("0")); i++) {
        samples = json_get(list(t, &world, world.globex)->first, TEXT("samples"))->text;
        clock->sleep_ms(clock, 10);
    }
    check(t, !text_equal(samples, TEXT("0")));
    for (size_t i = 0; i < COUNT(sockets); i++) socket_close(&sockets[i]);
    wait_for_list(t, &world, world.admin, 0, 0);
    test_server_end(t, &world.server);
}

TEST(who_is_ended_is_told_so_whether_it_ran_or_waited) {
    World world;
    begin(t, &world);
    size_t cores = (size_t)thread_core_count();
    Socket *sockets = arena_push_array(t->arena, Socket, cores + 1);
    for (size_t i = 0; i <= cores; i++)
        sockets[i] = test_begin_get(t, &world.server, TEST_SLOW, world.acme);
    const JsonValue *queries = wait_for_list(t, &world, world.acme, cores, 1);
    Text running = id_of(queries, "running"), queued = id_of(queries, "queued");
    // Not by another tenant, who is not even told that it is there.
    HttpClientAnswer refused = ask(t, &world, "DELETE", path_of(t, running), world.globex);
    check_status(t, 404, refused);
    check_status(t, 404, ask(t, &world, "DELETE", path_of(t, TEXT("99999")), world.acme));
    check_status(t, 404, ask(t, &world, "DELETE", path_of(t, TEXT("x")), world.acme));
    check_status(t, 404, ask(t, &world, "DELETE", path_of(t, TEXT("0")), world.admin));
    check_status(t, 405, ask(t, &world, "POST", path_of(t, running), world.acme));
    wait_for_list(t, &world, world.acme, cores, 1);

    check_answer(
        t, 200,
        text_format(t->arena,
                    "{\"status\":\"success\",\"data\":{\"id\":\"%.*s\",\"state\":\"ended\"}}",
                    TEXT_ARG(queued)),
        ask(t, &world, "DELETE", path_of(t, queued), world.acme));
    wait_for_list(t, &world, world.acme, cores, 0);
    check_status(t, 200, ask(t, &world, "DELETE", path_of(t, running), world.admin));
    wait_for_list(t, &world, world.acme, cores - 1, 0);
    size_t told = 0;
    for (size_t i = 0; i <= cores; i++) {
        if (!socket_wait(sockets[i], false, 200, t->err)) continue;
        Text answer = read_answer(t, sockets[i]);
        check(t, text_starts_with(answer, TEXT("HTTP/1.1 499")));
        check(t, text_find(answer, TEXT("\"errorType\":\"canceled\",\"error\":\"the query was "
                                        "ended on request (traceo query --kill")) > 0);
        told++;
    }
    check_i64(t, 2, told);
    for (size_t i = 0; i <= cores; i++) socket_close(&sockets[i]);
    wait_for_list(t, &world, world.admin, 0, 0);
    test_server_end(t, &world.server);
}

// Clients that leave while they wait give their places back at once, not when their turn comes.
TEST(a_client_that_leaves_gives_its_place_in_the_queue_to_others) {
    World world;
    begin(t, &world);
    size_t cores = (size_t)thread_core_count();
    Socket *sockets = arena_push_array(t->arena, Socket, cores + 10);
    for (size_t i = 0; i < cores + 10; i++) {
        sockets[i] = test_begin_get(t, &world.server, TEST_SLOW, world.acme);
        if (i + 1 == cores) wait_for_list(t, &world, world.acme, cores, 0);
    }
    wait_for_list(t, &world, world.acme, cores, 10);
    for (size_t i = cores; i < cores + 10; i++) socket_close(&sockets[i]);
    wait_for_list(t, &world, world.acme, cores, 0);
    for (size_t i = 0; i < cores; i++) socket_close(&sockets[i]);
    wait_for_list(t, &world, world.acme, 0, 0);
    test_server_end(t, &world.server);
}

TEST(a_long_query_is_listed_in_short) {
    Clock *clock = clock_system();
    RunningList running;
    running_list_begin(&running, clock);
    Builder text = {0}, out = {0};
    for (int i = 0; i < 1000; i++) builder_add(&text, TEXT("1 + é\x01"));
    _Atomic bool cancelled = false;
    RunningQuery query = {
        .text = builder_text(&text), .tenant = TEXT("a"), .cancelled = &cancelled};
    running_add(&running, &query);
    JsonWriter writer = json_writer_begin(&out);
    running_write_json(&running, TEXT("a"), &writer);
    check(t, out.len < 4000 && text_is_utf8(builder_text(&out)));
    check(t, text_find(builder_text(&out), TEXT("…\"")) > 0);
    check(t, text_find(builder_text(&out), TEXT("\\u0001")) > 0);
    bool waited;
    check_error(t, running_kill(&running, NULL, TEXT("1"), TEXT("b"), &waited, t->err),
                ERROR_NOT_FOUND);
    check(t, !cancelled);
    check_ok(t, running_kill(&running, NULL, TEXT("1"), TEXT("a"), &waited, t->err));
    check(t, cancelled && !waited);
    running_remove(&running, &query);
    running_remove(&running, &query);
    builder_free(&text);
    builder_free(&out);
    running_list_end(&running);
}

TEST_MAIN("server/running", CASE(a_tenant_sees_its_own_queries_and_an_administrator_all),
          CASE(who_is_ended_is_told_so_whether_it_ran_or_waited),
          CASE(a_client_that_leaves_gives_its_place_in_the_queue_to_others),
          CASE(a_long_query_is_listed_in_short))
