// StatsD: kinds of metrics, rates, tags, times, limits, silence.

#include <math.h>

#include "base/limits.h"
#include "ingest/statsd/statsd.h"
#include "model/test_batch.h"

static Text printed(Test *t, WriteBody *rows) {
    Batch batch = {0};
    write_body_batch(rows, &batch);
    Text text = test_batch_print(t, &batch);
    batch_free(&batch);
    write_body_clear(rows);
    return text;
}

static Text flushed(Test *t, Statsd *statsd, int64_t now_ms) {
    WriteBody rows = {0};
    while (statsd_flush(statsd, now_ms, false, &rows)) continue;
    Text text = printed(t, &rows);
    write_body_free(&rows);
    return text;
}

static void take(Test *t, Statsd *statsd, const char *lines, int64_t now_ms) {
    WriteBody rows = {0};
    Text rest = text_from_cstring(lines), line;
    while (text_cut(&rest, '\n', &line))
        check_ok(t, statsd_line(statsd, line, now_ms, &rows, t->err));
    check_i64(t, 0, rows.rows);
    write_body_free(&rows);
}

TEST(counters_add_up_and_gauges_move) {
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    take(t, statsd,
         "page.views:1|c\npage.views:2|c|@0.1\npage.views:1:2|c\nload:3|g\nload:+1.5|g\nload:-2|g",
         0);
    check_text(t, TEXT("page_views 24 @1000\nload 2.5 @1000\n"), flushed(t, statsd, 1000));
    take(t, statsd, "load:7|g\npage.views:-4|c", 1500);
    check_text(t, TEXT("page_views 20 @2000\nload 7 @2000\n"), flushed(t, statsd, 2000));
    // What is silent is told again, so that it stays visible.
    check_text(t, TEXT("page_views 20 @3000\nload 7 @3000\n"), flushed(t, statsd, 3000));
    statsd_free(&statsd);
}

TEST(tags_become_labels) {
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    take(t, statsd,
         "a:1|c|#site:x,env:b:c,beta,site:y,empty:\na:1|c|@1|#beta,env:b:c,site:x|c:in-123|e:it-1\n"
         "1.b-c:2|g|#d.e:\xc3\xbc",
         0);
    check_text(t,
               TEXT("a{beta=\"true\", env=\"b:c\", site=\"x\"} 2 @1000\n_1_b_c{d_e=\"\xc3\xbc\"} 2 "
                    "@1000\n"),
               flushed(t, statsd, 1000));
    statsd_free(&statsd);
}

TEST(timers_become_classic_histograms_in_seconds) {
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    take(t, statsd, "took:5:300|ms|@0.5|#a:b\nsize:0.3|h\nsize:200|d", 0);
    Text rows = flushed(t, statsd, 1000);
    static const char *const there[] = {
        "took_bucket{a=\"b\", le=\"0.005\"} 2 @1000\n",
        "took_bucket{a=\"b\", le=\"0.25\"} 2 @1000\n",
        "took_bucket{a=\"b\", le=\"0.5\"} 4 @1000\n",
        "took_bucket{a=\"b\", le=\"1.0\"} 4 @1000\n",
        "took_bucket{a=\"b\", le=\"+Inf\"} 4 @1000\n",
        "took_sum{a=\"b\"} 0.61 @1000\n",
        "took_count{a=\"b\"} 4 @1000\n",
        "size_bucket{le=\"100.0\"} 1 @1000\n",
        "size_bucket{le=\"+Inf\"} 2 @1000\n",
        "size_count 2 @1000\n",
    };
    for (size_t i = 0; i < COUNT(there); i++) {
        if (text_find(rows, text_from_cstring(there[i])) < 0)
            check_failed(t, __FILE__, __LINE__, "%s is not in %.*s", there[i], TEXT_ARG(rows));
    }
    statsd_free(&statsd);
}

TEST(timers_become_native_histograms_that_hold_every_value) {
    StatsdOptions options = {.native = true};
    Statsd *statsd = statsd_new(&options);
    take(t, statsd, "took:1000|ms\ntook:0|ms\ntook:-2|h", 0);
    check_text(t, TEXT("took {schema:3 count:3 sum:-1 buckets:2} @1000\n"),
               flushed(t, statsd, 1000));
    // Values of every size: buckets get coarser, and are never more than they may be.
    char line[64];
    for (int i = -300; i <= 300; i++) {
        snprintf(line, sizeof line, "wide:1e%d|h", i);
        take(t, statsd, line, 0);
    }
    WriteBody rows = {0};
    while (statsd_flush(statsd, 2000, false, &rows)) continue;
    Batch batch = {0};
    write_body_batch(&rows, &batch);
    NativeHistogram histogram;
    check_ok(t, native_histogram_read(batch.histograms.at[1].wire, t->arena, &histogram, t->err));
    check_ok(t, native_histogram_check(&histogram, t->err));
    check_i64(t, 601, histogram.count);
    check(t, histogram.positive.bucket_count <= 160 && histogram.schema < 3);
    // The bucket of 1e300 is the last one, and its bounds hold it.
    int32_t index = -1;
    for (size_t i = 0; i < histogram.positive.span_count; i++)
        index += histogram.positive.spans[i].offset + (int32_t)histogram.positive.spans[i].length;
    double log = 300 * log2(10) * exp2(histogram.schema);
    check(t, index + 1 >= log && index <= log + 1);
    batch_free(&batch);
    write_body_free(&rows);
    statsd_free(&statsd);
}

TEST(sets_count_what_is_different_since_the_last_flush) {
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    take(t, statsd, "users:anna|s\nusers:ben|s\nusers:anna|s\nusers:c:d|s", 0);
    check_text(t, TEXT("users 4 @1000\n"), flushed(t, statsd, 1000));
    take(t, statsd, "users:anna|s", 1500);
    check_text(t, TEXT("users 1 @2000\n"), flushed(t, statsd, 2000));
    check_text(t, TEXT("users 0 @3000\n"), flushed(t, statsd, 3000));
    statsd_free(&statsd);
}

TEST(a_metric_with_a_time_is_a_row_at_once) {
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    WriteBody rows = {0};
    check_ok(t, statsd_line(statsd, TEXT("a:5|g|T7"), 90000, &rows, t->err));
    check_ok(t, statsd_line(statsd, TEXT("b:5|c|#x:y|T8"), 90000, &rows, t->err));
    check_ok(t, statsd_line(statsd, TEXT("b:2|c|T9|#x:y"), 90000, &rows, t->err));
    check_text(t, TEXT("a 5 @7000\nb{x=\"y\"} 5 @8000\nb{x=\"y\"} 7 @9000\n"), printed(t, &rows));
    check_error(t, statsd_line(statsd, TEXT("c:5|ms|T7"), 0, &rows, t->err), ERROR_BAD_INPUT);
    write_body_free(&rows);
    statsd_free(&statsd);
}

TEST(bad_lines_are_counted_and_change_nothing) {
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"a", "name:value|type"},
        {"a:1", "name:value|type"},
        {":1|c", "name:value|type"},
        {"a:|c", "name:value|type"},
        {"a:x|c", "no value"},
        {"a:1:x|c", "no value"},
        {"a:nan|g", "no value"},
        {"a:inf|ms", "no value"},
        {"a:1|x", "none of c, g"},
        {"a:1|c|@0", "sample rate"},
        {"a:1|c|@2", "sample rate"},
        {"a:1|c|@x", "sample rate"},
        {"a:1|c|Tsoon", "no time"},
        {"good:1|g", "another type"},
        {"a:1|c|#__name__:b", "__name__"},
        {"a:1|c|#b:\xff", "UTF-8"},
    };
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    WriteBody rows = {0};
    take(t, statsd, "good:1|c\n_e{1,1}:a|b\n_sc|a|0\n\n", 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool read = statsd_line(statsd, text_from_cstring(cases[i].line), 0, &rows, t->err);
        if (read || strstr(t->err->message, cases[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "%s: %s", cases[i].line, t->err->message);
    }
    StatsdCounts counts;
    statsd_counts(statsd, &counts);
    check_i64(t, 1 + COUNT(cases), counts.lines);
    check_i64(t, COUNT(cases), counts.refused);
    check(t, counts.events == 1 && counts.checks == 1 && counts.series == 1);
    check_text(t, TEXT("good 1 @1000\n"), flushed(t, statsd, 1000));
    check_i64(t, 0, rows.rows);
    write_body_free(&rows);
    statsd_free(&statsd);
}

TEST(silent_series_end_and_too_many_are_refused) {
    StatsdOptions options = {.expires_ms = 5000, .series_max = 100};
    Statsd *statsd = statsd_new(&options);
    WriteBody rows = {0};
    char line[64];
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof line, "m%d:1|c", i);
        take(t, statsd, line, i == 7 ? 3000 : 0);
    }
    check_error(t, statsd_line(statsd, TEXT("more:1|c"), 0, &rows, t->err), ERROR_TOO_MANY);
    Text text = flushed(t, statsd, 5000);
    check(t, text_find(text, TEXT("m6 NaN @5000\n")) > 0);
    check(t, text_find(text, TEXT("m7 1 @5000\n")) > 0);
    check_text(t, TEXT("m7 1 @6000\n"), flushed(t, statsd, 6000));
    take(t, statsd, "m6:1|c\nm7:1|c", 6000);
    check_text(t, TEXT("m7 2 @7000\nm6 1 @7000\n"), flushed(t, statsd, 7000));
    StatsdCounts counts;
    statsd_counts(statsd, &counts);
    check(t, counts.overflow == 1 && counts.series == 2 && counts.refused == 0);
    write_body_free(&rows);
    statsd_free(&statsd);
}

TEST(a_large_flush_is_cut_into_bodies) {
    StatsdOptions options = {0};
    Statsd *statsd = statsd_new(&options);
    char line[200];
    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, "metric:1|c|#number:%d,text:%0100d", i, i);
        take(t, statsd, line, 0);
    }
    WriteBody rows = {0};
    uint64_t told = 0;
    int bodies = 0;
    for (bool more = true; more; bodies++) {
        write_body_clear(&rows);
        more = statsd_flush(statsd, 1000, false, &rows);
        told += rows.rows;
        check(t, rows.bytes.len < 2 * MB);
    }
    check(t, told == 20000 && bodies > 1);
    write_body_free(&rows);
    statsd_free(&statsd);
}

TEST_MAIN("ingest/statsd", CASE(counters_add_up_and_gauges_move), CASE(tags_become_labels),
          CASE(timers_become_classic_histograms_in_seconds),
          CASE(timers_become_native_histograms_that_hold_every_value),
          CASE(sets_count_what_is_different_since_the_last_flush),
          CASE(a_metric_with_a_time_is_a_row_at_once),
          CASE(bad_lines_are_counted_and_change_nothing),
          CASE(silent_series_end_and_too_many_are_refused), CASE(a_large_flush_is_cut_into_bodies))
