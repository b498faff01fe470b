// VictoriaMetrics' import and export: what comes in goes out, and a body that is wrong is stored
// not at all.

#include "os/clock.h"
#include "server/test_server.h"

static HttpClientAnswer post(Test *t, const TestServer *world, const char *path, Text encoding,
                             Text body) {
    // As curl says it of any data.
    HttpHeader headers[] = {
        {TEXT("Content-Type"), TEXT("application/x-www-form-urlencoded")},
        {TEXT("Content-Encoding"), encoding},
    };
    return test_send(t, world, TEXT("POST"), text_from_cstring(path), headers,
                     encoding.len > 0 ? 2 : 1, body);
}

static const char lines[] =
    "{\"metric\":{\"__name__\":\"moved\",\"a\":\"%1\"},\"values\":[1,null,\"Infinity\",\"NaN\",4],"
    "\"timestamps\":[1760000000000,1760000015000,1760000030000,1760000045000,1760000060000]}\n"
    "{\"metric\":{\"__name__\":\"moved\",\"a\":\"%2\"},\"values\":[-0.5],"
    "\"timestamps\":[1760000000000]}\n";

TEST(lines_that_were_imported_are_exported_as_they_were) {
    TestServer world;
    test_server_plain(t, &world);
    Text all = text_from_cstring(lines);
    check_status(t, 204, post(t, &world, "/api/v1/import", TEXT_NONE, all));
    HttpClientAnswer answer = test_get(t, &world, "/api/v1/export?match[]=moved");
    check_status(t, 200, answer);
    check_text(t, all, answer.body);
    check_text(t, TEXT("application/stream+json"), test_header(answer, TEXT("Content-Type")));
    // The same again does no harm; packed it is taken too.
    Bytes packed = test_packed(t, text_bytes(all), COMPRESSION_GZIP);
    check_status(t, 204, post(t, &world, "/api/v1/import", TEXT("gzip"), bytes_text(packed)));
    check_text(t, all,
               test_get(t, &world, "/api/v1/export?match[]=moved&match[]={a=~\".+\"}").body);
    // A part of the time.
    answer = test_get(t, &world, "/api/v1/export?match[]=moved&start=1760000050&end=1760000070");
    check_text(t,
               TEXT("{\"metric\":{\"__name__\":\"moved\",\"a\":\"%1\"},\"values\":[4],"
                    "\"timestamps\":[1760000060000]}\n"),
               answer.body);
    check_i64(t, 0, (int64_t)test_get(t, &world, "/api/v1/export?match[]=no").body.len);
    check_status(t, 400, test_get(t, &world, "/api/v1/export"));
    test_server_end(t, &world);
}

TEST(native_histograms_are_lines_where_they_are_asked_for) {
    TestServer world;
    test_server_plain(t, &world);
    // 1100 in one series, as two lines; a float before them.
    enum { HISTOGRAMS = 1100 };
    WriteBody rows = {0};
    Label name = {LABEL_NAME, TEXT("latency")};
    Labels labels;
    check_ok(t, labels_make(&name, 1, t->arena, &labels, t->err));
    write_body_begin(&rows, labels);
    write_body_sample(&rows, T0_MS, 4);
    int64_t deltas[] = {3, -1};
    HistogramSpan span = {-1, 2};
    for (int64_t i = 1; i <= HISTOGRAMS; i++) {
        NativeHistogram histogram = {.time_ms = T0_MS + i * 1000,
                                     .schema = 1,
                                     .count = 5,
                                     .sum = (double)i,
                                     .positive = {&span, 1, deltas, NULL, 2}};
        write_body_histogram(&rows, &histogram);
    }
    write_body_end(&rows);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &rows);
    HttpClientAnswer plain = test_get(t, &world, "/api/v1/export?match[]=latency");
    check_text(t, TEXT("1100 native histograms"), test_header(plain, TEXT("X-Traceo-Left-Out")));
    check(t, text_find(plain.body, TEXT("histograms")) < 0);
    HttpClientAnswer whole = test_get(t, &world, "/api/v1/export?match[]=latency&histograms=1");
    check(t, test_header(whole, TEXT("X-Traceo-Left-Out")).len == 0);
    check(t, text_starts_with(whole.body, plain.body));
    size_t lines_seen = 0;
    Text rest = whole.body, line;
    while (text_cut(&rest, '\n', &line)) lines_seen += line.len > 0;
    check_i64(t, 3, lines_seen);
    test_server_end(t, &world);
    // Into an empty server, and out again.
    TestServer again;
    test_server_plain(t, &again);
    check_status(t, 204, post(t, &again, "/api/v1/import", TEXT_NONE, whole.body));
    check_text(t, whole.body,
               test_get(t, &again, "/api/v1/export?match[]=latency&histograms=1").body);
    HttpClientAnswer bad =
        post(t, &again, "/api/v1/import", TEXT_NONE,
             TEXT("{\"metric\":{\"__name__\":\"x\"},\"histograms\":[[1,\"CAE=\"]]}"));
    check_status(t, 400, bad);
    check(t, text_find(bad.body, TEXT("line 1: column 51")) > 0);
    test_server_end(t, &again);
}

TEST(a_bad_line_is_named_and_nothing_is_stored) {
    TestServer world;
    test_server_plain(t, &world);
    AUTO(builder_free) Builder body = {0};
    builder_add(&body, text_from_cstring(lines));
    builder_add(&body, TEXT("{\"metric\":{}}\n"));
    HttpClientAnswer answer = post(t, &world, "/api/v1/import", TEXT_NONE, builder_text(&body));
    check_status(t, 400, answer);
    check(t, text_find(answer.body, TEXT("line 3: ")) > 0);
    check_i64(t, 0, (int64_t)test_get(t, &world, "/api/v1/export?match[]=moved").body.len);
    check_status(t, 415, post(t, &world, "/api/v1/import", TEXT("br"), builder_text(&body)));
    // Rows that will never be taken are counted, the others are kept.
    answer = post(t, &world, "/api/v1/import", TEXT_NONE,
                  TEXT("{\"metric\":{\"a\":\"b\"},\"values\":[1,2],\"timestamps\":[1760000000000,"
                       "1760000001000]}\n{\"metric\":{\"__name__\":\"kept\"},\"values\":[1],"
                       "\"timestamps\":[1760000000000]}"));
    check_status(t, 400, answer);
    check_text(t, TEXT("2 bad_labels"), test_header(answer, TEXT("X-Traceo-Refused")));
    check(t, test_get(t, &world, "/api/v1/export?match[]=kept").body.len > 0);
    test_server_end(t, &world);
}

TEST(text_is_imported_with_its_times_or_now) {
    TestServer world;
    test_server_plain(t, &world);
    check_status(t, 204,
                 post(t, &world, "/api/v1/import/prometheus", TEXT_NONE,
                      TEXT("# TYPE then gauge\nthen{a=\"b\"} 1.5 1760000000000\nnow 2\n")));
    check_text(t,
               TEXT("{\"metric\":{\"__name__\":\"then\",\"a\":\"b\"},\"values\":[1.5],"
                    "\"timestamps\":[1760000000000]}\n"),
               test_get(t, &world, "/api/v1/export?match[]=then").body);
    Clock *clock = clock_system();
    Text from = text_format(t->arena, "/api/v1/export?match[]=now&start=%lld",
                            (long long)(clock->wall_ms(clock) / 1000 - 60));
    check(t, test_get(t, &world, text_to_cstring(from, t->arena)).body.len > 0);
    HttpClientAnswer answer =
        post(t, &world, "/api/v1/import/prometheus", TEXT_NONE, TEXT("a 1\nb x\n"));
    check_status(t, 400, answer);
    check(t, text_find(answer.body, TEXT("line 2, column 3")) > 0);
    check_i64(t, 0, (int64_t)test_get(t, &world, "/api/v1/export?match[]=a").body.len);
    test_server_end(t, &world);
}

TEST_MAIN("server/victoria", CASE(lines_that_were_imported_are_exported_as_they_were),
          CASE(native_histograms_are_lines_where_they_are_asked_for),
          CASE(a_bad_line_is_named_and_nothing_is_stored),
          CASE(text_is_imported_with_its_times_or_now))
