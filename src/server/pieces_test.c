// Answers that are too long to be held whole, through the server: what they say, and what becomes
// of them when their reader is slow, leaves, or they are ended.

#include "codec/json.h"
#include "server/test_server.h"

enum { SERIES = 60, STEPS = 11000, WIDE = 4000 };

// 60 series over 11,000 seconds, and 4000 with long labels: every answer about them is longer than
// a piece.
static void write_long(Test *t, const TestServer *world) {
    WriteBody body = {0};
    for (int at = 0; at <= STEPS / 100; at++) {
        for (int i = 0; i < SERIES; i++)
            test_row(t, &body, TEXT("long"), TEXT("number"), text_format(t->arena, "%d", i),
                     T0_MS + at * 100000, 1.0 / (i + at + 3));
    }
    test_write(t, world, TEXT_NONE, TEXT_NONE, &body);
    body = (WriteBody){0};
    for (int i = 0; i < WIDE; i++) {
        Text value = text_format(t->arena, "%0100d", i);
        test_row(t, &body, TEXT("wide"), TEXT("value"), value, T0_MS + 10000, i);
    }
    test_write(t, world, TEXT_NONE, TEXT_NONE, &body);
}

static void begin(Test *t, TestServer *world) {
    test_server_begin(t, world, (TestServerOptions){.durability = LOG_MEMORY});
    write_long(t, world);
}

#define RANGE "/api/v1/query_range?start=1760000000&end=1760010999&step=1&nocache=1&query="

static HttpClientAnswer ask_coded(Test *t, const TestServer *world, const char *target,
                                  const char *coding) {
    HttpHeader headers[] = {{TEXT("Accept-Encoding"), text_from_cstring(coding)}};
    return test_send(t, world, TEXT("GET"), text_from_cstring(target), headers, 1, TEXT_NONE);
}

// Sent in pieces; packed or not it is the same, which is returned.
static Text in_pieces(Test *t, const TestServer *world, const char *target) {
    HttpClientAnswer plain = test_get(t, world, target);
    check_status(t, 200, plain);
    check_text(t, TEXT("chunked"), test_header(plain, TEXT("Transfer-Encoding")));
    check_i64(t, 0, (int64_t)test_header(plain, TEXT("Content-Length")).len);
    check_i64(t, 0, (int64_t)test_header(plain, TEXT("Content-Encoding")).len);
    check_text(t, TEXT("Accept-Encoding"), test_header(plain, TEXT("Vary")));
    check_text(t, TEXT("nosniff"), test_header(plain, TEXT("X-Content-Type-Options")));
    static const struct {
        const char *name;
        Compression compression;
    } codings[] = {{"gzip", COMPRESSION_GZIP}, {"zstd", COMPRESSION_ZSTD}};
    for (size_t i = 0; i < COUNT(codings); i++) {
        HttpClientAnswer packed = ask_coded(t, world, target, codings[i].name);
        check_text(t, text_from_cstring(codings[i].name),
                   test_header(packed, TEXT("Content-Encoding")));
        check_text(t, TEXT("chunked"), test_header(packed, TEXT("Transfer-Encoding")));
        AUTO(builder_free) Builder back = {0};
        check_ok(t, decompress(codings[i].compression, text_bytes(packed.body), 100 * MB, &back,
                               t->err));
        check(t, packed.body.len < plain.body.len / 2);
        check_text(t, plain.body, builder_text(&back));
    }
    return plain.body;
}

static JsonValue *parsed(Test *t, Text body) {
    JsonValue *root = NULL;
    check_ok(t, json_parse(body, t->arena, &root, t->err));
    check_text(t, TEXT("success"), json_get(root, TEXT("status"))->text);
    return root;
}

TEST(a_long_result_is_sent_in_pieces_and_says_the_same) {
    TestServer world;
    begin(t, &world);
    Text all = in_pieces(t, &world, RANGE "long");
    const JsonValue *result = json_get(json_get(parsed(t, all), TEXT("data")), TEXT("result"));
    check_i64(t, SERIES, (int64_t)result->count);
    for (const JsonValue *series = result->first; series != NULL; series = series->next)
        check_i64(t, STEPS, (int64_t)json_get(series, TEXT("values"))->count);
    // Each series alone is a part of it.
    for (int i = 0; i < SERIES; i += 13) {
        Text target = text_format(t->arena, RANGE "long{number=\"%d\"}", i);
        Text one = test_as(t, &world, TEXT("GET"), target, TEXT_NONE, TEXT_NONE).body;
        ptrdiff_t from = text_find(one, TEXT("{\"metric\"")), to = text_find(one, TEXT("]]}"));
        check(t, from > 0 && to > from);
        check(t, text_find(all, text_slice(one, (size_t)from, (size_t)to + 3)) > 0);
    }
    // What stands behind the result.
    Text limited = in_pieces(t, &world, RANGE "long&limit=30");
    result = parsed(t, limited);
    check(t, json_get(json_get(result, TEXT("data")), TEXT("result"))->count == 30);
    check_text(t, TEXT("results truncated due to limit"),
               json_get(result, TEXT("warnings"))->first->text);
    const JsonValue *data =
        json_get(parsed(t, test_get(t, &world, RANGE "long&stats=all").body), TEXT("data"));
    check(t, json_get(json_get(data, TEXT("stats")), TEXT("samples")) != NULL);
    test_server_end(t, &world);
}

TEST(a_short_result_is_sent_whole) {
    TestServer world;
    begin(t, &world);
    HttpClientAnswer answer = test_get(t, &world, "/api/v1/query?time=1760000000&query=long");
    uint64_t length = 0;
    check(t, text_to_u64(test_header(answer, TEXT("Content-Length")), &length));
    check_i64(t, (int64_t)answer.body.len, (int64_t)length);
    check_i64(t, 0, (int64_t)test_header(answer, TEXT("Transfer-Encoding")).len);
    test_server_end(t, &world);
}

TEST(lists_of_series_and_values_are_sent_in_pieces) {
    TestServer world;
    begin(t, &world);
    AUTO(builder_free) Builder values = {0}, series = {0};
    builder_add(&values, TEXT("{\"status\":\"success\",\"data\":["));
    builder_add(&series, TEXT("{\"status\":\"success\",\"data\":["));
    for (int i = 0; i < WIDE; i++) {
        builder_addf(&values, "%s\"%0100d\"", i > 0 ? "," : "", i);
        builder_addf(&series, "%s{\"__name__\":\"wide\",\"value\":\"%0100d\"}", i > 0 ? "," : "",
                     i);
    }
    builder_add(&values, TEXT("]}"));
    builder_add(&series, TEXT("]}"));
    check_text(t, builder_text(&values), in_pieces(t, &world, "/api/v1/label/value/values"));
    check_text(t, builder_text(&values),
               in_pieces(t, &world, "/api/v1/label/value/values?match[]=wide&match[]=wide"));
    check_text(t, builder_text(&series), in_pieces(t, &world, "/api/v1/series?match[]=wide"));
    // The same of blocks.
    check_ok(t, store_flush(world.store, t->err));
    check_text(t, builder_text(&values), in_pieces(t, &world, "/api/v1/label/value/values"));
    check_text(t, builder_text(&series), in_pieces(t, &world, "/api/v1/series?match[]=wide"));
    test_server_end(t, &world);
}

static Socket ask_and_wait(Test *t, const TestServer *world, const char *target) {
    Socket socket = SOCKET_NONE;
    check_ok(t, socket_connect(TEXT("127.0.0.1"), world->port, 2000, &socket, t->err));
    Text text = text_format(
        t->arena, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target);
    SocketPart part = {text.at, text.len};
    size_t count = 0;
    check(t, socket_write(socket, &part, 1, &count, t->err) == SOCKET_DONE && count == text.len);
    return socket;
}

static void read_all(Test *t, Socket socket, Builder *out) {
    for (bool open = true; open;) {
        size_t count = 0;
        builder_reserve(out, 64 * KB);
        SocketResult result = socket_read(socket, out->at + out->len, 64 * KB, &count, t->err);
        out->len += count;
        open = result == SOCKET_AGAIN ? socket_wait(socket, false, 10000, t->err)
                                      : result == SOCKET_DONE;
    }
}

static size_t lines_of(Text text, Text beginning) {
    size_t count = 0;
    for (Text line; text_cut(&text, '\n', &line);) count += text_starts_with(line, beginning);
    return count;
}

TEST(a_page_for_another_prometheus_is_sent_in_pieces) {
    TestServer world;
    begin(t, &world);
    int64_t now_ms = clock_system()->wall_ms(clock_system());
    WriteBody body = {0};
    for (int i = 0; i < WIDE; i++)
        test_row(t, &body, i % 2 == 0 ? TEXT("one") : TEXT("two"), TEXT("value"),
                 text_format(t->arena, "%0100d", i), now_ms, i);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    Text page = in_pieces(t, &world, "/federate?match[]={__name__=~\"one|two\"}&match[]=one");
    check_i64(t, 2, (int64_t)lines_of(page, TEXT("# TYPE ")));
    check_i64(t, WIDE / 2, (int64_t)lines_of(page, TEXT("one{")));
    check_i64(t, WIDE / 2, (int64_t)lines_of(page, TEXT("two{")));
    Text last = text_format(t->arena, "two{value=\"%0100d\",instance=\"\"} %d %lld\n", WIDE - 1,
                            WIDE - 1, (long long)now_ms);
    check(t, text_ends_with(page, last));
    HttpHeader accept = {TEXT("Accept"),
                         TEXT("application/vnd.google.protobuf;"
                              "proto=io.prometheus.client.MetricFamily;encoding=delimited")};
    HttpClientAnswer families =
        test_send(t, &world, TEXT("GET"), TEXT("/federate?match[]={__name__=~\"one|two\"}"),
                  &accept, 1, TEXT_NONE);
    check_status(t, 200, families);
    check_text(t, TEXT("chunked"), test_header(families, TEXT("Transfer-Encoding")));
    check(t, families.body.len > WIDE * 100);
    test_server_end(t, &world);
}

TEST(an_export_is_sent_in_pieces_and_whole_where_that_is_asked_for) {
    enum { SAMPLES = 20000 };
    TestServer world;
    begin(t, &world);
    WriteBody body = {0};
    for (int at = 0; at < SAMPLES; at++)
        test_row(t, &body, TEXT("deep"), TEXT("a"), TEXT("b"), T0_MS + at * 1000, at / 7.0);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    HttpClientAnswer wide = test_get(t, &world, "/api/v1/export?match[]=wide");
    check_text(t, TEXT("chunked"), test_header(wide, TEXT("Transfer-Encoding")));
    check_i64(t, WIDE, (int64_t)lines_of(wide.body, TEXT("{\"metric\":{\"__name__\":\"wide\"")));
    HttpClientAnswer whole = test_get(t, &world, "/api/v1/export?match[]=wide&max_bytes=10000000");
    check(t, test_header(whole, TEXT("Content-Length")).len > 0);
    check_text(t, wide.body, whole.body);
    // A long series comes in several lines, with all its samples.
    Text deep = in_pieces(t, &world, "/api/v1/export?match[]=deep");
    check_i64(t, 3, (int64_t)lines_of(deep, TEXT("{\"metric\":{\"__name__\":\"deep\"")));
    size_t samples = 0;
    for (Text line; text_cut(&deep, '\n', &line);) {
        JsonValue *root;
        if (line.len == 0) continue;
        check_ok(t, json_parse(line, t->arena, &root, t->err));
        double first;
        check(t, json_number(json_get(root, TEXT("timestamps"))->first, &first));
        check(t, first == (double)(T0_MS + (int64_t)samples * 1000));
        samples += json_get(root, TEXT("values"))->count;
    }
    check_i64(t, SAMPLES, (int64_t)samples);
    check_status(t, 422, test_get(t, &world, "/api/v1/export?match[]=wide&max_bytes=100000"));
    check_status(t, 400, test_get(t, &world, "/api/v1/export?match[]=wide&max_bytes=0"));
    check_status(t, 400, test_get(t, &world, "/api/v1/export?match[]=wide&max_bytes=99999999999"));
    test_server_end(t, &world);
}

// Of a series with native histograms, which lines of JSON have no form for.
TEST(what_an_export_leaves_out_is_told_before_or_behind_it) {
    TestServer world;
    begin(t, &world);
    NativeHistogram histogram = {.count = 1, .sum = 2, .time_ms = T0_MS};
    AUTO(builder_free) Builder wire = {0};
    labels_append(&wire, LABEL_NAME, TEXT("wider"));
    WriteBody body = {0};
    write_body_begin(&body, (Labels){text_bytes(builder_text(&wire))});
    write_body_histogram(&body, &histogram);
    write_body_end(&body);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    HttpClientAnswer alone = test_get(t, &world, "/api/v1/export?match[]=wider");
    check_text(t, TEXT("1 native histograms"), test_header(alone, TEXT("X-Traceo-Left-Out")));
    AUTO(builder_free) Builder heard = {0};
    AUTO(socket_close)
    Socket socket = ask_and_wait(t, &world, "/api/v1/export?match[]={__name__=~\"wide.*\"}");
    read_all(t, socket, &heard);
    check(t, text_find(builder_text(&heard), TEXT("\r\nTrailer: x-traceo-left-out\r\n")) > 0);
    check(t, text_ends_with(builder_text(&heard),
                            TEXT("\r\n0\r\nx-traceo-left-out: 1 native histograms\r\n\r\n")));
    test_server_end(t, &world);
}

// ---- Slow readers ----

static int64_t held(const TestServer *world) {
    return atomic_load(&store_query_budget(world->store)->used);
}

static bool comes_to(Test *t, const TestServer *world, int64_t low, int64_t high) {
    for (int i = 0; i < 500; i++) {
        if (held(world) >= low && held(world) <= high) return true;
        clock_system()->sleep_ms(clock_system(), 10);
    }
    check_failed(t, __FILE__, __LINE__, "%lld bytes are held", (long long)held(world));
    return false;
}

// How many queries are listed, and the one of "long*1".
static size_t listed(Test *t, const TestServer *world, Text *id) {
    Text body = test_get(t, world, "/api/traceo/v1/queries").body;
    const JsonValue *all = json_get(json_get(parsed(t, body), TEXT("data")), TEXT("queries"));
    for (const JsonValue *query = all->first; query != NULL; query = query->next)
        if (text_equal(json_get(query, TEXT("query"))->text, TEXT("long*1")))
            *id = json_get(query, TEXT("id"))->text;
    return all->count;
}

TEST(slow_readers_hold_their_results_and_no_thread) {
    enum { READERS = 6, RESULT_BYTES = SERIES * STEPS * 8 };
    TestServer world;
    Socket readers[READERS];
    begin(t, &world);
    // More than there are workers.
    for (int i = 0; i < READERS; i++)
        readers[i] = ask_and_wait(t, &world, i == 1 ? RANGE "long*1" : RANGE "long");
    check(t, comes_to(t, &world, READERS * (int64_t)RESULT_BYTES, READERS * 2 * RESULT_BYTES));
    Text id = TEXT_NONE;
    check_i64(t, READERS, (int64_t)listed(t, &world, &id));
    for (int i = 0; i < 20; i++)
        check_status(t, 200, test_get(t, &world, "/api/v1/query?time=1760000000&query=long"));
    // One reads after all, all of it.
    AUTO(builder_free) Builder heard = {0};
    HttpClientAnswer answer;
    size_t used;
    read_all(t, readers[0], &heard);
    check(t, http_client_parse(text_bytes(builder_text(&heard)), true, false, t->arena, &answer,
                               &used, t->err) == HTTP_DONE);
    const JsonValue *result =
        json_get(json_get(parsed(t, answer.body), TEXT("data")), TEXT("result"));
    check_i64(t, SERIES, (int64_t)result->count);
    socket_close(&readers[0]);
    // One is ended on request: its reader sees that something is missing.
    check_ok(t, socket_wait(readers[1], false, 5000, t->err));  // its first bytes are out
    check_i64(t, READERS - 1, (int64_t)listed(t, &world, &id));
    Text target = text_format(t->arena, "/api/traceo/v1/queries/%.*s", TEXT_ARG(id));
    check_status(t, 200, test_as(t, &world, TEXT("DELETE"), target, TEXT_NONE, TEXT_NONE));
    builder_clear(&heard);
    read_all(t, readers[1], &heard);
    check(t, http_client_parse(text_bytes(builder_text(&heard)), true, false, t->arena, &answer,
                               &used, t->err) == HTTP_REFUSED);
    socket_close(&readers[1]);
    // The others leave, and with them what was held.
    for (int i = 2; i < READERS; i++) socket_close(&readers[i]);
    check(t, comes_to(t, &world, 0, 0));
    check_i64(t, 0, (int64_t)listed(t, &world, &id));
    test_server_end(t, &world);
}

TEST(a_server_that_stops_cuts_what_nobody_reads) {
    TestServer world;
    begin(t, &world);
    AUTO(socket_close) Socket reader = ask_and_wait(t, &world, RANGE "long");
    check(t, comes_to(t, &world, MB, INT64_MAX));
    server_stop(world.server, 100);
    check(t, comes_to(t, &world, 0, 0));
    // What had gone out is there, and seen not to be all.
    AUTO(builder_free) Builder heard = {0};
    HttpClientAnswer answer;
    size_t used;
    read_all(t, reader, &heard);
    check(t, http_client_parse(text_bytes(builder_text(&heard)), true, false, t->arena, &answer,
                               &used, t->err) == HTTP_REFUSED);
    test_server_end(t, &world);
}

TEST(an_answer_for_which_there_is_no_memory_is_refused_before_its_first_byte) {
    TestServer world;
    begin(t, &world);
    // Enough for the result, not for what an answer takes on its way.
    const int64_t result_bytes = SERIES * STEPS * 8;
    for (int64_t more = 0; more < 16 * MB; more += 512 * KB) {
        server_set_query(world.server,
                         (ServerQuerySettings){.tenant_memory_bytes = result_bytes + more});
        HttpClientAnswer answer = test_get(t, &world, RANGE "long");
        if (answer.status == 200) break;
        check_status(t, 503, answer);
        check(t, text_find(answer.body, TEXT("raise query.tenant_memory")) > 0);
    }
    check_status(t, 200, test_get(t, &world, RANGE "long"));
    server_set_query(world.server, (ServerQuerySettings){.memory_bytes = 100000});
    check_status(t, 422, test_get(t, &world, RANGE "long"));
    check_i64(t, 0, held(&world));
    test_server_end(t, &world);
}

TEST_MAIN("server/pieces", CASE(a_long_result_is_sent_in_pieces_and_says_the_same),
          CASE(a_short_result_is_sent_whole), CASE(lists_of_series_and_values_are_sent_in_pieces),
          CASE(a_page_for_another_prometheus_is_sent_in_pieces),
          CASE(an_export_is_sent_in_pieces_and_whole_where_that_is_asked_for),
          CASE(what_an_export_leaves_out_is_told_before_or_behind_it),
          CASE(slow_readers_hold_their_results_and_no_thread),
          CASE(a_server_that_stops_cuts_what_nobody_reads),
          CASE(an_answer_for_which_there_is_no_memory_is_refused_before_its_first_byte))
