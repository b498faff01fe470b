// /federate: pages that another Prometheus scrapes.

#include "codec/json.h"
#include "ingest/scrape/exposition.h"
#include "model/sample.h"
#include "server/test_server.h"

static int64_t now_ms(void) {
    return clock_system()->wall_ms(clock_system());
}

static HttpClientAnswer ask(Test *t, const TestServer *world, const char *target, Text accept) {
    HttpHeader header = {TEXT("Accept"), accept};
    return test_send(t, world, TEXT("GET"), text_from_cstring(target), &header, 1, TEXT_NONE);
}

// Four metrics: two series of `up`, one that ended, one that is six minutes old, one named oddly.
static void write_some(Test *t, TestServer *world, int64_t time_ms) {
    WriteBody body = {0};
    test_row(t, &body, TEXT("zeta"), TEXT("path"), TEXT("a\"b\\c\nd"), time_ms, 1.5e9);
    test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("a"), time_ms - 1000, 7);
    test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("a"), time_ms, 1);
    test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("b"), time_ms, 0);
    test_row(t, &body, TEXT("gone"), TEXT("instance"), TEXT("a"), time_ms - 1000, 3);
    test_row(t, &body, TEXT("gone"), TEXT("instance"), TEXT("a"), time_ms, stale_nan());
    test_row(t, &body, TEXT("old"), TEXT("instance"), TEXT("a"), time_ms - 360000, 3);
    test_row(t, &body, TEXT("with.dot"), TEXT("instance"), TEXT("a"), time_ms, 4);
    test_write(t, world, TEXT_NONE, TEXT_NONE, &body);
}

TEST(a_page_has_the_newest_samples_by_name_and_none_that_ended) {
    TestServer world;
    test_server_plain(t, &world);
    int64_t time_ms = now_ms() - 2000;
    write_some(t, &world, time_ms);
    HttpClientAnswer answer = test_get(
        t, &world, "/federate?match[]={__name__=~%22up|gone|old%22}&match[]=up&match[]=zeta");
    check_text(t, TEXT("text/plain; version=0.0.4; charset=utf-8"),
               test_header(answer, TEXT("Content-Type")));
    check_answer(t, 200,
                 text_format(t->arena,
                             "# TYPE up untyped\nup{instance=\"a\"} 1 %lld\n"
                             "up{instance=\"b\"} 0 %lld\n# TYPE zeta untyped\n"
                             "zeta{path=\"a\\\"b\\\\c\\nd\",instance=\"\"} 1.5e+09 %lld\n",
                             (long long)time_ms, (long long)time_ms, (long long)time_ms),
                 answer);
    check_answer(
        t, 200,
        text_format(t->arena, "# TYPE \"with.dot\" untyped\n{\"with.dot\",instance=\"a\"} 4 %lld\n",
                    (long long)time_ms),
        test_get(t, &world, "/federate?match[]={%22with.dot%22}"));
    test_server_end(t, &world);
}

TEST(a_page_is_openmetrics_where_that_is_asked_for) {
    TestServer world;
    test_server_plain(t, &world);
    int64_t time_ms = now_ms() / 1000 * 1000 - 2000;
    write_some(t, &world, time_ms);
    HttpClientAnswer answer = ask(t, &world, "/prometheus/federate?match[]=up{instance=%22b%22}",
                                  TEXT("application/openmetrics-text;version=1.0.0,text/plain"));
    check_answer(t, 200,
                 text_format(t->arena, "# TYPE up unknown\nup{instance=\"b\"} 0 %lld\n# EOF\n",
                             (long long)(time_ms / 1000)),
                 answer);
    test_server_end(t, &world);
}

TEST(native_histograms_are_whole_in_protobuf_and_a_count_and_a_sum_in_text) {
    TestServer world;
    test_server_plain(t, &world);
    int64_t time_ms = now_ms() - 2000;
    HistogramSpan spans[] = {{-1, 2}, {3, 1}};
    int64_t deltas[] = {2, 1, -2};
    NativeHistogram stated = {.time_ms = time_ms,
                              .schema = 3,
                              .count = 8,
                              .sum = 18.4,
                              .zero_threshold = 1e-128,
                              .zero_count = 2,
                              .positive = {spans, COUNT(spans), deltas, NULL, COUNT(deltas)}};
    NativeHistogram ended = stated;
    ended.sum = stale_nan();
    WriteBody body = {0};
    test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("a"), time_ms, 7);
    for (int i = 0; i < 2; i++) {
        Label labels[] = {{LABEL_NAME, i == 0 ? TEXT("latency") : TEXT("over")},
                          {TEXT("instance"), TEXT("a")}};
        Labels made;
        check_ok(t, labels_make(labels, COUNT(labels), t->arena, &made, t->err));
        write_body_begin(&body, made);
        write_body_histogram(&body, i == 0 ? &stated : &ended);
        write_body_end(&body);
    }
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    const char *target = "/federate?match[]={__name__=~%22up|latency|over%22}";
    check_answer(
        t, 200,
        text_format(t->arena,
                    "# TYPE latency histogram\n"
                    "latency_bucket{instance=\"a\",le=\"+Inf\"} 8 %lld\n"
                    "latency_sum{instance=\"a\"} 18.4 %lld\n"
                    "latency_count{instance=\"a\"} 8 %lld\n"
                    "# TYPE up untyped\nup{instance=\"a\"} 7 %lld\n",
                    (long long)time_ms, (long long)time_ms, (long long)time_ms, (long long)time_ms),
        test_get(t, &world, target));
    HttpClientAnswer answer =
        ask(t, &world, target,
            TEXT("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                 "encoding=delimited;q=0.6,application/openmetrics-text;q=0.5,text/plain;q=0.4"));
    check_text(t, exposition_content_type(EXPOSITION_PROTOBUF),
               test_header(answer, TEXT("Content-Type")));
    // Read back by the parser of scrapes.
    Exposition page = {0};
    ExpositionRow row;
    size_t seen = 0;
    exposition_begin(&page, EXPOSITION_PROTOBUF, (ExpositionOptions){0}, answer.body);
    do {
        check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
        if (row.kind != EXPOSITION_SERIES && row.kind != EXPOSITION_HISTOGRAM) continue;
        check_i64(t, time_ms, row.time_ms);
        seen++;
        if (row.kind == EXPOSITION_SERIES) {
            check(t, row.value == 7);
            continue;
        }
        NativeHistogram found = *row.histogram;
        found.time_ms = time_ms;
        check(t, native_histogram_equal(&stated, &found));
    } while (row.kind != EXPOSITION_END);
    exposition_free(&page);
    check_i64(t, 2, seen);
    test_server_end(t, &world);
}

TEST(without_a_selector_or_without_samples_the_page_is_empty) {
    TestServer world;
    test_server_plain(t, &world);
    check_answer(t, 200, TEXT(""), test_get(t, &world, "/federate"));
    check_answer(t, 200, TEXT(""), test_get(t, &world, "/federate?match[]=up"));
    write_some(t, &world, now_ms() - 2000);
    check_answer(t, 200, TEXT(""), test_get(t, &world, "/federate"));
    check_answer(t, 200, TEXT(""), test_get(t, &world, "/federate?match[]=nothing"));
    check_status(t, 400, test_get(t, &world, "/federate?match[]=up{"));
    check_status(t, 400, test_get(t, &world, "/federate?match[]={}"));
    test_server_end(t, &world);
}

TEST_MAIN("server/federate", CASE(a_page_has_the_newest_samples_by_name_and_none_that_ended),
          CASE(a_page_is_openmetrics_where_that_is_asked_for),
          CASE(native_histograms_are_whole_in_protobuf_and_a_count_and_a_sum_in_text),
          CASE(without_a_selector_or_without_samples_the_page_is_empty))
