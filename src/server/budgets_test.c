// What one query and one tenant may use, the errors that say so, and the log of slow queries.

#include "base/log.h"
#include "codec/protobuf.h"
#include "server/spending.h"
#include "server/test_server.h"

// ---- Buckets ----

TEST(a_tenant_pays_for_what_it_used_before_it_goes_on) {
    ManualClock clock;
    clock_manual(&clock, 1790000000000);
    Budget whole = {.name = "queries", .limit = 400};
    SpendingTable table;
    check_ok(t, spending_begin(&table, &whole, &clock.clock, t->err));
    spending_limit(&table, (SpendingLimits){.a_minute = {[SPENDING_SAMPLES] = 600}});
    Spending *acme = spending_of(&table, TEXT("acme")),
             *globex = spending_of(&table, TEXT("globex"));
    check(t, acme != globex && acme == spending_of(&table, TEXT("acme")));
    int64_t wait_s;
    // The first may use more than there is: what it costs is known afterwards.
    check_ok(t, spending_may_begin(&table, acme, &wait_s, t->err));
    spending_pay(&table, acme, &(QueryStats){.samples = 1200, .bytes = 1 << 30, .run_ns = 1 << 30});
    check_error(t, spending_may_begin(&table, acme, &wait_s, t->err), ERROR_TOO_MANY);
    check_i64(t, 61, wait_s);
    Text message = text_from_cstring(t->err->message);
    check(t, text_find(message, TEXT("600 samples a minute (query.tenant_samples); the next one "
                                     "may begin in 61 s")) > 0);
    check_ok(t, spending_may_begin(&table, globex, &wait_s, t->err));
    clock_advance(&clock, 59000);
    check(t, !spending_may_begin(&table, acme, &wait_s, t->err) && wait_s == 2);
    clock_advance(&clock, 1100);
    check_ok(t, spending_may_begin(&table, acme, &wait_s, t->err));
    // A pause saves up one minute, not more.
    clock_advance(&clock, 3600000);
    check_ok(t, spending_may_begin(&table, acme, &wait_s, t->err));
    spending_pay(&table, acme, &(QueryStats){.samples = 601});
    check(t, !spending_may_begin(&table, acme, &wait_s, t->err));
    // Another limit is a new beginning; the longest wait is the one that counts.
    spending_limit(&table, (SpendingLimits){.a_minute = {1000, 6000, 60000}});
    check_ok(t, spending_may_begin(&table, acme, &wait_s, t->err));
    spending_pay(&table, acme,
                 &(QueryStats){.samples = 1001, .bytes = 12000, .run_ns = 61 * 1000000000LL});
    check_error(t, spending_may_begin(&table, acme, &wait_s, t->err), ERROR_TOO_MANY);
    check(t, wait_s == 61);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("query.tenant_bytes")) > 0);
    // Memory: three quarters of the whole unless it is said.
    check(t, budget_reserve(&acme->memory, 300, t->err) && atomic_load(&whole.used) == 300);
    check_error(t, budget_reserve(&acme->memory, 1, t->err), ERROR_NO_MEMORY);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("raise query.tenant_memory")) > 0);
    check_ok(t, budget_reserve(&globex->memory, 100, t->err));
    budget_release(&acme->memory, 300);
    budget_release(&globex->memory, 100);
    spending_end(&table);
}

// ---- Through the server ----

#define ASK "/api/v1/query?time=1760000135&query="

static void check_refused(Test *t, HttpClientAnswer answer, int status, const char *words) {
    check_status(t, status, answer);
    if (text_find(answer.body, text_from_cstring(words)) < 0)
        check_failed(t, __FILE__, __LINE__, "%.*s does not say %s", TEXT_ARG(answer.body), words);
}

TEST(a_limit_that_is_passed_is_named) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    test_write_many(t, &world, TEXT_NONE, 300, 10);
    check_ok(t, store_flush(world.store, t->err));
    check_status(t, 200, test_get(t, &world, ASK "sum(many)"));
    server_set_query(world.server, (ServerQuerySettings){.bytes_max = 1});
    check_refused(t, test_get(t, &world, ASK "sum(many)"), 422, "(query.bytes)");
    server_set_query(world.server, (ServerQuerySettings){.memory_bytes = 20000});
    check_refused(t, test_get(t, &world, ASK "many"), 422, "query.memory");
    server_set_query(world.server, (ServerQuerySettings){.samples_max = 100});
    check_refused(t, test_get(t, &world, ASK "sum(many)"), 422, "(query.samples, 100");
    server_set_query(world.server, (ServerQuerySettings){.tenant_memory_bytes = 100000});
    check_refused(t, test_get(t, &world, ASK "sum(many)"), 503, "raise query.tenant_memory");
    server_set_query(world.server, (ServerQuerySettings){0});
    check_status(t, 200, test_get(t, &world, ASK "sum(many)"));
    Text page = test_get(t, &world, "/metrics").body;
    check(t, text_find(page, TEXT("traceo_queries_ended_total{outcome=\"limit\"} 4\n")) > 0);
    check(t, text_find(page, TEXT("traceo_queries_ended_total{outcome=\"answered\"} 2\n")) > 0);
    check(t, text_find(page, TEXT("traceo_query_duration_seconds_count 6\n")) > 0);
    check(t, text_find(page, TEXT("traceo_query_wait_seconds_count 6\n")) > 0);
    check(t, text_find(page, TEXT("traceo_query_bytes_total 0\n")) < 0);
    test_server_end(t, &world);
}

TEST(a_tenant_that_used_up_its_minute_waits_and_others_do_not) {
    TestServer world;
    test_server_begin(
        t, &world,
        (TestServerOptions){.durability = LOG_MEMORY, .query = {.tenant_samples = 2000}});
    Permissions both = PERMISSION_READ_METRICS | PERMISSION_WRITE_METRICS;
    Text acme = test_server_key(t, &world, TEXT("acme"), both),
         globex = test_server_key(t, &world, TEXT("globex"), both);
    test_write_many(t, &world, acme, 300, 10);
    test_write_many(t, &world, globex, 300, 10);
    Text target = TEXT(ASK "sum(count_over_time(many[10m]))");
    check_status(t, 200, test_as(t, &world, TEXT("GET"), target, acme, TEXT_NONE));
    HttpClientAnswer second = test_as(t, &world, TEXT("GET"), target, acme, TEXT_NONE);
    check_refused(t, second, 429, "2000 samples a minute (query.tenant_samples)");
    uint64_t retry_s;
    check(t, text_to_u64(test_header(second, TEXT("Retry-After")), &retry_s));
    check(t, retry_s > 20 && retry_s <= 31);
    check_status(t, 200, test_as(t, &world, TEXT("GET"), target, globex, TEXT_NONE));
    test_server_end(t, &world);
}

// Another kind of reading than a query.
typedef enum ReadWay { BY_EXPORT, BY_FEDERATION, BY_REMOTE_READ, READ_WAYS } ReadWay;

static HttpClientAnswer read_by(Test *t, const TestServer *world, ReadWay way, Text tenant) {
    HttpHeader headers[] = {{TEXT("X-Scope-OrgID"), tenant},
                            {TEXT("Content-Type"), TEXT("application/x-protobuf")},
                            {TEXT("Content-Encoding"), TEXT("snappy")}};
    static const Text targets[READ_WAYS] = {
        [BY_EXPORT] = TEXT_INIT("/api/v1/export?match[]=many&start=1760000000&end=1760011000"),
        [BY_FEDERATION] = TEXT_INIT("/federate?match[]=many"),
        [BY_REMOTE_READ] = TEXT_INIT("/api/v1/read"),
    };
    if (way != BY_REMOTE_READ)
        return test_send(t, world, TEXT("GET"), targets[way], headers, 1, TEXT_NONE);
    AUTO(builder_free) Builder body = {0};
    size_t query = protobuf_begin(&body, 1);
    protobuf_add_varint(&body, 1, (uint64_t)T0_MS);
    protobuf_add_varint(&body, 2, (uint64_t)T0_MS + 3600000);
    size_t matcher = protobuf_begin(&body, 3);
    protobuf_add_text(&body, 2, LABEL_NAME);
    protobuf_add_text(&body, 3, TEXT("many"));
    protobuf_end(&body, matcher);
    protobuf_end(&body, query);
    Bytes packed = test_packed(t, text_bytes(builder_text(&body)), COMPRESSION_SNAPPY);
    return test_send(t, world, TEXT("POST"), targets[way], headers, COUNT(headers),
                     bytes_text(packed));
}

TEST(whatever_reads_samples_counts_as_a_query_does) {
    static const Text tenants[READ_WAYS] = {TEXT_INIT("export"), TEXT_INIT("federation"),
                                            TEXT_INIT("remote-read")};
    TestServer world;
    test_server_begin(
        t, &world, (TestServerOptions){.durability = LOG_MEMORY, .query = {.tenant_samples = 200}});
    Clock *clock = clock_system();
    Text never_paid = TEXT("lists");
    for (ReadWay way = 0; way < READ_WAYS; way++) {
        // Federation tells what is new.
        WriteBody body = {0};
        int64_t time_ms = way == BY_FEDERATION ? clock->wall_ms(clock) - 2000 : T0_MS;
        for (int i = 0; i < 300; i++)
            test_row(t, &body, TEXT("many"), TEXT("number"), text_format(t->arena, "%d", i),
                     time_ms, i);
        test_write(t, &world, TEXT_NONE, tenants[way], &body);
        check_status(t, 200, read_by(t, &world, way, tenants[way]));
        HttpClientAnswer again = read_by(t, &world, way, tenants[way]);
        check_refused(t, again, 429, "200 samples a minute (query.tenant_samples)");
        uint64_t retry_s;
        check(t, text_to_u64(test_header(again, TEXT("Retry-After")), &retry_s));
        check(t, retry_s > 10 && retry_s <= 31);
        // Who has used up its minute may not look for series either, nor ask.
        static const char *const others[] = {
            "/api/v1/series?match[]=many", "/api/v1/labels", "/api/v1/label/number/values",
            "/api/v1/query_exemplars?query=many&start=1760000000&end=1760000001", ASK "sum(many)"};
        for (size_t i = 0; i < COUNT(others); i++) {
            Text target = text_from_cstring(others[i]);
            check_refused(t, test_as(t, &world, TEXT("GET"), target, TEXT_NONE, tenants[way]), 429,
                          "query.tenant_samples");
            check_status(t, 200, test_as(t, &world, TEXT("GET"), target, TEXT_NONE, never_paid));
        }
    }
    test_server_end(t, &world);
}

TEST(lists_of_series_take_their_time) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    test_write_many(t, &world, TEXT_NONE, 300, 10);
    static const char *const lists[] = {"/api/v1/series?match[]=many", "/api/v1/labels",
                                        "/api/v1/label/number/values"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        // A millisecond a minute: after a few the minute is used up. A new limit begins full.
        server_set_query(world.server, (ServerQuerySettings){.tenant_ms = 1});
        HttpClientAnswer answer = test_get(t, &world, lists[i]);
        check_status(t, 200, answer);
        for (int tries = 0; tries < 10000 && answer.status == 200; tries++)
            answer = test_get(t, &world, lists[i]);
        check_refused(t, answer, 429, "1 milliseconds a minute (query.tenant_time)");
    }
    // Their memory is the tenant's, too.
    server_set_query(world.server, (ServerQuerySettings){.tenant_memory_bytes = 10000});
    check_refused(t, test_get(t, &world, lists[0]), 503, "raise query.tenant_memory");
    server_set_query(world.server, (ServerQuerySettings){0});
    check_status(t, 200, test_get(t, &world, lists[0]));
    test_server_end(t, &world);
}

// ---- The log of slow queries ----

typedef struct Lines {
    Mutex lock;
    Builder text;
} Lines;

static void take_line(void *context, Text line) {
    Lines *lines = context;
    mutex_take(&lines->lock);
    builder_add(&lines->text, line);
    mutex_give(&lines->lock);
}

TEST(a_slow_query_is_logged_with_its_plan_and_no_line_is_forged) {
    TestServer world;
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .query = {.slow_ms = 60000}});
    test_write_many(t, &world, TEXT_NONE, 300, 10);
    Lines lines = {0};
    mutex_begin(&lines.lock, LOCK_FAULT_PLAN);
    log_set_sink((LogSink){.write = take_line, .context = &lines, .level = LOG_DEBUG});
    // Quick ones are not.
    check_status(t, 200, test_get(t, &world, ASK "sum(many)"));
    check(t, text_find(builder_text(&lines.text), TEXT("slow query")) < 0);
    server_set_query(world.server, (ServerQuerySettings){.slow_ms = 1});
    Builder target = {0};
    builder_add(&target, TEXT("/api/v1/query_range?start=1760000000&end=1760011000&step=1&query="
                              "sum(last_over_time(many[4h]))%0A%23%20level=error%0A"));
    for (int i = 0; i < 800; i++) builder_add(&target, TEXT("%20%20"));
    check_status(t, 200,
                 test_as(t, &world, TEXT("GET"), builder_text(&target), TEXT_NONE, TEXT_NONE));
    builder_free(&target);
    Text page = test_get(t, &world, "/metrics").body;
    test_server_end(t, &world);
    log_set_sink((LogSink){0});
    check(t, text_find(page, TEXT("traceo_queries_slow_total 1\n")) > 0);
    Text text = builder_text(&lines.text), line = TEXT_NONE;
    while (text_cut(&text, '\n', &line) && text_find(line, TEXT("slow query")) < 0) continue;
    static const char *const parts[] = {"level=warn",
                                        "query=\"sum(last_over_time(many[4h]))\\n# level=error\\n",
                                        "…\"",
                                        " samples=3000 ",
                                        " series=300 ",
                                        " tenant=default ",
                                        " step=1000 ",
                                        "plan=\"sum ",
                                        "ms 1 series < last_over_time ",
                                        " < many[4h] ",
                                        " 3000 samples\""};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (text_find(line, text_from_cstring(parts[i])) < 0)
            check_failed(t, __FILE__, __LINE__, "%s is not in %.*s", parts[i], TEXT_ARG(line));
    }
    check(t, line.len < 4 * KB);
    builder_free(&lines.text);
    mutex_end(&lines.lock);
}

TEST_MAIN("server/budgets", CASE(a_tenant_pays_for_what_it_used_before_it_goes_on),
          CASE(a_limit_that_is_passed_is_named),
          CASE(a_tenant_that_used_up_its_minute_waits_and_others_do_not),
          CASE(whatever_reads_samples_counts_as_a_query_does),
          CASE(lists_of_series_take_their_time),
          CASE(a_slow_query_is_logged_with_its_plan_and_no_line_is_forged))
