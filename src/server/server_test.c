// The server beside its questions (server_query_test.c) and writes (server_write_test.c): tenants,
// states, its own metrics, its page.

#include "server/server.h"

#include "server/test_server.h"

// ---- Tenants ----

TEST(one_tenant_never_sees_what_is_anothers) {
    TestServer world;
    test_server_plain(t, &world);
    Text all = test_server_key(t, &world, TEXT("*"), PERMISSION_ALL);
    Text beta = test_server_key(t, &world, TEXT("beta"),
                                PERMISSION_READ_METRICS | PERMISSION_WRITE_METRICS);
    // What beta sees in every route while nobody wrote …
    Text *seen = arena_push_array(t->arena, Text, test_answer_count);
    for (size_t i = 0; i < test_answer_count; i++) {
        HttpClientAnswer answer = test_as(
            t, &world, TEXT("GET"), text_from_cstring(test_answers[i].target), beta, TEXT_NONE);
        seen[i] = text_format(t->arena, "%d %.*s", answer.status, TEXT_ARG(answer.body));
    }
    Text tsdb = test_as(t, &world, TEXT("GET"), TEXT("/api/v1/status/tsdb"), beta, TEXT_NONE).body;
    // … is what it sees after others did.
    test_write_some(t, &world, all, TEXT("alpha"));
    test_write_some(t, &world, all, TEXT_NONE);
    for (size_t i = 0; i < test_answer_count; i++) {
        HttpClientAnswer answer = test_as(
            t, &world, TEXT("GET"), text_from_cstring(test_answers[i].target), beta, TEXT_NONE);
        Text now = text_format(t->arena, "%d %.*s", answer.status, TEXT_ARG(answer.body));
        if (!text_equal(seen[i], now))
            check_failed(t, __FILE__, __LINE__, "%s: %.*s", test_answers[i].target, TEXT_ARG(now));
        check(t, text_find(now, TEXT("\"up\"")) < 0 && text_find(now, TEXT("mail")) < 0);
    }
    check_text(t, tsdb,
               test_as(t, &world, TEXT("GET"), TEXT("/api/v1/status/tsdb"), beta, TEXT_NONE).body);

    // Its own writes go to it alone, and the header cannot lead it elsewhere.
    WriteBody body = {0};
    test_row(t, &body, TEXT("mine"), TEXT("a"), TEXT("b"), T0_MS, 1);
    test_write(t, &world, beta, TEXT_NONE, &body);
    Text names = TEXT("/api/v1/label/__name__/values");
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"mine\"]}"),
                 test_as(t, &world, TEXT("GET"), names, beta, TEXT_NONE));
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"mine\"]}"),
                 test_as(t, &world, TEXT("GET"), names, all, TEXT("beta")));
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"jobs_total\",\"up\"]}"),
                 test_as(t, &world, TEXT("GET"), names, all, TEXT("alpha")));
    check_status(t, 403, test_as(t, &world, TEXT("GET"), names, beta, TEXT("alpha")));
    check_status(t, 403,
                 test_as(t, &world, TEXT("POST"), TEXT("/api/v1/write"), beta, TEXT("alpha")));
    test_server_end(t, &world);
}

TEST(asking_makes_no_tenant) {
    TestServer world;
    test_server_plain(t, &world);
    check_status(t, 200,
                 test_as(t, &world, TEXT("GET"), TEXT("/api/v1/labels"), TEXT_NONE, TEXT("ghost")));
    check_status(
        t, 200,
        test_as(t, &world, TEXT("GET"), TEXT("/api/v1/query?query=up"), TEXT_NONE, TEXT("ghost")));
    Tenant *tenant;
    check_ok(t, store_tenant(world.store, TEXT("ghost"), false, &tenant, t->err));
    check(t, tenant == NULL);
    test_server_end(t, &world);
}

// ---- The server itself ----

TEST(while_the_log_is_replayed_health_answers_and_queries_wait) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.not_replayed = true});
    check_status(t, 200, test_get(t, &world, "/-/healthy"));
    check_status(t, 503, test_get(t, &world, "/-/ready"));
    check_status(t, 200, test_get(t, &world, "/metrics"));
    check_answer(t, 200,
                 TEXT("{\"status\":\"success\",\"data\":{\"min\":0,\"max\":100,\"current\":0,"
                      "\"state\":\"in progress\"}}"),
                 test_get(t, &world, "/api/v1/status/walreplay"));
    HttpClientAnswer query = test_get(t, &world, "/api/v1/query?query=1"),
                     write = test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                              BYTES_NONE);
    check_status(t, 503, query);
    check_status(t, 503, write);
    uint64_t seconds = 0;
    check(t, text_to_u64(test_header(query, TEXT("Retry-After")), &seconds) && seconds >= 1 &&
                 seconds <= 10);
    check_ok(t, store_replay(world.store, ingest_replay, world.replayer, t->err));
    check_answer(t, 200, TEXT("Traceo is Ready.\n"), test_get(t, &world, "/-/ready"));
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=1"));
    test_server_end(t, &world);
}

TEST(ready_is_said_when_the_other_ports_listen_too) {
    TestServer world;
    _Atomic bool all_started = false;
    test_server_begin(t, &world, (TestServerOptions){.all_started = &all_started});
    check_status(t, 503, test_get(t, &world, "/-/ready"));
    // What is there already is answered.
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=1"));
    atomic_store(&all_started, true);
    check_answer(t, 200, TEXT("Traceo is Ready.\n"), test_get(t, &world, "/-/ready"));
    test_server_end(t, &world);
}

TEST(a_reload_that_fails_says_why) {
    TestServer world;
    test_server_plain(t, &world);
    check_status(t, 200, test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), NULL, 0, TEXT_NONE));
    world.reload_fails = true;
    HttpClientAnswer answer =
        test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), NULL, 0, TEXT_NONE);
    check_status(t, 400, answer);
    check(t, text_find(answer.body, TEXT("traceo.yaml:1: unknown setting")) > 0);
    Text runtime = test_get(t, &world, "/api/v1/status/runtimeinfo").body;
    check(t, text_find(runtime, TEXT("\"reloadConfigSuccess\":false")) > 0);
    test_server_end(t, &world);
}

// Every line of the text format is a comment or `name{labels} value`.
static void check_exposition(Test *t, Text text) {
    check(t, text_ends_with(text, TEXT("\n")));
    Text line;
    for (Text rest = text_slice(text, 0, text.len - 1); text_cut(&rest, '\n', &line);) {
        if (text_starts_with(line, TEXT("# HELP ")) || text_starts_with(line, TEXT("# TYPE ")))
            continue;
        ptrdiff_t end = text_find(line, TEXT("} "));
        size_t space = end >= 0 ? (size_t)end + 1 : (size_t)text_find_char(line, ' ');
        double value;
        if (space >= line.len || !text_to_f64(text_slice(line, space + 1, line.len), &value)) {
            check_failed(t, __FILE__, __LINE__, "%.*s", TEXT_ARG(line));
        }
    }
}

TEST(own_metrics_count_what_happened) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    check_status(t, 404, test_get(t, &world, "/nothing"));
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=up"));
    HttpClientAnswer answer = test_get(t, &world, "/metrics");
    check_status(t, 200, answer);
    check_text(t, TEXT("text/plain; version=0.0.4; charset=utf-8"),
               test_header(answer, TEXT("Content-Type")));
    check_exposition(t, answer.body);
    const char *lines[] = {
        "traceo_samples_total{verdict=\"stored\"} 9\n",
        "traceo_http_requests_total{code=\"204\",handler=\"/api/v1/write\"} 1\n",
        "traceo_http_requests_total{code=\"404\",handler=\"none\"} 1\n",
        "traceo_http_requests_total{code=\"200\",handler=\"/api/v1/query\"} 1\n",
        "traceo_queries_total 1\n",
        "traceo_ready 1\n",
        "traceo_log_writable 1\n",
        "traceo_series_active 3\n",
        "traceo_build_info{compiler=\"gcc\",revision=\"abc123\",version=\"0.1.0\"} 1\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        if (text_find(answer.body, text_from_cstring(lines[i])) < 0)
            check_failed(t, __FILE__, __LINE__, "no %s in %.*s", lines[i], TEXT_ARG(answer.body));
    }
    test_server_end(t, &world);
}

TEST(own_metrics_can_be_stored_and_asked_for) {
    TestServer world;
    test_server_plain(t, &world);
    WriteBody body = {0};
    IngestSender *sender = ingest_sender_new();
    Tenant *tenant;
    IngestOutcome outcome;
    check_ok(t, store_tenant(world.store, TENANT_SELF_NAME, true, &tenant, t->err));
    server_collect_self(world.server, &body, T0_MS);
    check_ok(t, ingest_samples(world.store, tenant, sender, &body, T0_MS, &outcome, t->err));
    check(t,
          outcome.first_fault.code == ERROR_NONE && outcome.samples > 50 && outcome.metadata > 50);
    ingest_sender_free(&sender);
    write_body_free(&body);
    HttpClientAnswer answer =
        test_as(t, &world, TEXT("GET"), TEXT("/api/v1/query?query=traceo_ready&time=1760000000"),
                TEXT_NONE, TEXT("traceo"));
    check_answer(
        t, 200,
        TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{"
             "\"__name__\":\"traceo_ready\","
             "\"instance\":\"test:4310\",\"job\":\"traceo\"},\"value\":[1760000000,\"1\"]}]}}"),
        answer);
    Text le =
        test_as(t, &world, TEXT("GET"), TEXT("/api/v1/label/le/values"), TEXT_NONE, TEXT("traceo"))
            .body;
    check(t, text_find(le, TEXT("\"+Inf\"")) > 0 && text_find(le, TEXT("\"0.0025\"")) > 0);
    test_server_end(t, &world);
}

TEST(the_page_at_the_root_has_no_script_and_escapes_what_it_was_told) {
    TestServer world;
    test_server_plain(t, &world);
    test_server_key(t, &world, TEXT("*"), PERMISSION_ALL);
    HttpClientAnswer refused = test_get(t, &world, "/");
    check_status(t, 401, refused);
    test_server_end(t, &world);
    test_server_plain(t, &world);
    HttpClientAnswer page = test_get(t, &world, "/");
    check_status(t, 200, page);
    check(t, text_find(page.body, TEXT("<script")) < 0 &&
                 text_find(page.body, TEXT("remote_write:")) > 0);
    check_text(t, TEXT("text/html; charset=utf-8"), test_header(page, TEXT("Content-Type")));
    test_server_end(t, &world);
}

TEST(a_server_without_keys_does_not_listen_beyond_loopback) {
    TestServer world;
    test_server_plain(t, &world);
    Address any;
    check_ok(t, address_parse(TEXT("0.0.0.0:0"), t->arena, &any, t->err));
    ServerOptions options = {.store = world.store,
                             .access = world.access,
                             .clock = clock_system(),
                             .addresses = &any,
                             .address_count = 1,
                             .limits = http_limits_default()};
    Server *server = NULL;
    check_error(t, server_start(&options, &server, t->err), ERROR_FORBIDDEN);
    check(t, server == NULL);
    test_server_end(t, &world);
}
TEST_MAIN("server", CASE(one_tenant_never_sees_what_is_anothers), CASE(asking_makes_no_tenant),
          CASE(while_the_log_is_replayed_health_answers_and_queries_wait),
          CASE(ready_is_said_when_the_other_ports_listen_too),
          CASE(a_reload_that_fails_says_why), CASE(own_metrics_count_what_happened),
          CASE(own_metrics_can_be_stored_and_asked_for),
          CASE(the_page_at_the_root_has_no_script_and_escapes_what_it_was_told),
          CASE(a_server_without_keys_does_not_listen_beyond_loopback))
