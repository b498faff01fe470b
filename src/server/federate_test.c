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

// Counts 1, 0, 2, 4 up to 0.5, 1, 2.5 and above.
static void write_custom(Test *t, const TestServer *world, Text name, bool is_float,
                         int64_t time_ms) {
    static const double bounds[] = {0.5, 1, 2.5}, counts[] = {1, 2, 4};
    static const int64_t deltas[] = {1, 1, 2};
    static const HistogramSpan spans[] = {{0, 1}, {1, 2}};
    NativeHistogram stated = {.time_ms = time_ms,
                              .schema = HISTOGRAM_SCHEMA_CUSTOM,
                              .is_float = is_float,
                              .count = is_float ? 0 : 7,
                              .count_float = is_float ? 7 : 0,
                              .sum = 18.5,
                              .custom_bounds = bounds,
                              .custom_bound_count = COUNT(bounds)};
    stated.positive = (HistogramBuckets){spans, COUNT(spans), is_float ? NULL : deltas,
                                         is_float ? counts : NULL, COUNT(counts)};
    Label labels[] = {{LABEL_NAME, name}, {TEXT("instance"), TEXT("a")}};
    Labels made;
    WriteBody body = {0};
    check_ok(t, native_histogram_check(&stated, t->err));
    check_ok(t, labels_make(labels, COUNT(labels), t->arena, &made, t->err));
    write_body_begin(&body, made);
    write_body_histogram(&body, &stated);
    write_body_end(&body);
    test_write(t, world, TEXT_NONE, TEXT_NONE, &body);
}

TEST(native_histograms_with_custom_bounds_are_classic_ones) {
    TestServer world;
    test_server_plain(t, &world);
    int64_t time_ms = now_ms() / 1000 * 1000 - 2000;
    write_custom(t, &world, TEXT("own"), false, time_ms);
    write_custom(t, &world, TEXT("part"), true, time_ms);
    static const char *const names[] = {"own", "part"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *target =
            i == 0 ? "/federate?match[]=own" : "/federate?match[]={__name__=%22part%22}";
        for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
            AUTO(builder_free) Builder stated = {0};
            static const char *const bounds[][4] = {{"0.5", "1", "2.5", "+Inf"},
                                                    {"0.5", "1.0", "2.5", "+Inf"}};
            static const int counts[] = {1, 1, 3, 7};
            long long time = openmetrics ? time_ms / 1000 : time_ms;
            builder_addf(&stated, "# TYPE %s histogram\n", names[i]);
            for (size_t b = 0; b < COUNT(counts); b++)
                builder_addf(&stated, "%s_bucket{instance=\"a\",le=\"%s\"} %d %lld\n", names[i],
                             bounds[openmetrics][b], counts[b], time);
            builder_addf(&stated, "%s_sum{instance=\"a\"} 18.5 %lld\n", names[i], time);
            builder_addf(&stated, "%s_count{instance=\"a\"} 7 %lld\n", names[i], time);
            if (openmetrics) builder_add(&stated, TEXT("# EOF\n"));
            HttpClientAnswer answer =
                ask(t, &world, target,
                    openmetrics ? TEXT("application/openmetrics-text") : TEXT("text/plain"));
            check_answer(t, 200, builder_text(&stated), answer);
        }
        // Read back by the parser of scrapes: the same rows.
        HttpClientAnswer answer =
            ask(t, &world, target,
                TEXT("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                     "encoding=delimited"));
        AUTO(builder_free) Builder found = {0};
        Exposition page = {0};
        ExpositionRow row;
        exposition_begin(&page, EXPOSITION_PROTOBUF, (ExpositionOptions){0}, answer.body);
        do {
            check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
            if (row.kind != EXPOSITION_SERIES) continue;
            Labels labels;
            check_ok(t, exposition_labels(&page, &row, t->arena, &labels, t->err));
            Text le = labels_get(labels, TEXT("le"));
            builder_addf(&found, "%.*s %.*s %g\n", TEXT_ARG(labels_get(labels, LABEL_NAME)),
                         TEXT_ARG(le), row.value);
        } while (row.kind != EXPOSITION_END);
        exposition_free(&page);
        check_text(t,
                   text_format(t->arena,
                               "%s_count  7\n%s_sum  18.5\n%s_bucket 0.5 1\n%s_bucket 1.0 1\n"
                               "%s_bucket 2.5 3\n%s_bucket +Inf 7\n",
                               names[i], names[i], names[i], names[i], names[i], names[i]),
                   builder_text(&found));
    }
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
          CASE(native_histograms_with_custom_bounds_are_classic_ones),
          CASE(without_a_selector_or_without_samples_the_page_is_empty))
