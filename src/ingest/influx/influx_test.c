// Line protocol: values, escapes, times, names, and what is said of bad lines.

#include "base/limits.h"
#include "ingest/influx/influx.h"
#include "model/test_batch.h"

static Text rows_of(Test *t, const char *text, const char *precision, InfluxOutcome *outcome) {
    InfluxReader reader = {0};
    InfluxBody body = {.text = text_from_cstring(text),
                       .now_ms = 5000,
                       .label = TEXT("db"),
                       .value = TEXT("telegraf")};
    check(t, influx_precision(text_from_cstring(precision), &body.unit_ns));
    WriteBody rows = {0};
    check_ok(t, influx_read(&reader, &body, &rows, outcome, t->err));
    Batch batch = {0};
    write_body_batch(&rows, &batch);
    check_i64(t, outcome->samples, batch.samples.count);
    Text printed = test_batch_print(t, &batch);
    batch_free(&batch);
    write_body_free(&rows);
    influx_reader_free(&reader);
    return printed;
}

TEST(lines_become_rows) {
    static const struct {
        const char *line, *rows;
    } cases[] = {
        {"cpu,host=a usage=1.5 1000000000", "cpu_usage{db=\"telegraf\", host=\"a\"} 1.5 @1000\n"},
        {"cpu usage=1.5", "cpu_usage{db=\"telegraf\"} 1.5 @5000\n"},
        {"cpu value=2i", "cpu{db=\"telegraf\"} 2 @5000\n"},
        {"cpu,db=mine value=2u", "cpu{db=\"mine\"} 2 @5000\n"},
        {"cpu,z=1,B=2,a=3 v=-1e3",
         "cpu_v{B=\"2\", a=\"3\", db=\"telegraf\", z=\"1\"} -1000 @5000\n"},
        {"m a=t,b=F,c=TRUE,d=false",
         "m_a{db=\"telegraf\"} 1 @5000\nm_b{db=\"telegraf\"} 0 @5000\nm_c{db=\"telegraf\"} 1 "
         "@5000\nm_d{db=\"telegraf\"} 0 @5000\n"},
        {"m s=\"a, b=\\\"c\\\" \n d\",v=1 7000000", "m_v{db=\"telegraf\"} 1 @7\n"},
        {"we\\ ather\\,x,ci\\=ty=B\\ o\\,nn te\\=mp=1",
         "{\"we ather,x_te=mp\", \"ci=ty\"=\"B o,nn\", db=\"telegraf\"} 1 @5000\n"},
        {"m,path=C:\\dir v=1", "m_v{db=\"telegraf\", path=\"C:\\\\dir\"} 1 @5000\n"},
        {"# a comment\n\n  \nm v=1\r\nm v=2 9000000\r\n",
         "m_v{db=\"telegraf\"} 1 @5000\nm_v{db=\"telegraf\"} 2 @9\n"},
        {"m v=1 -1", "m_v{db=\"telegraf\"} 1 @-1\n"},
        {"m v=1  1999999 ", "m_v{db=\"telegraf\"} 1 @1\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        InfluxOutcome outcome;
        Text rows = rows_of(t, cases[i].line, "", &outcome);
        if (outcome.refused > 0)
            check_failed(t, __FILE__, __LINE__, "%s: %s", cases[i].line,
                         outcome.first_fault.message);
        check_text(t, text_from_cstring(cases[i].rows), rows);
    }
}

TEST(times_are_of_the_precision_asked_for) {
    static const struct {
        const char *precision, *time;
        int64_t ms;
    } cases[] = {{"n", "1500000000", 1500},
                 {"ns", "1500000000", 1500},
                 {"u", "1500000", 1500},
                 {"us", "1500999", 1500},
                 {"\xc2\xb5", "1500000", 1500},
                 {"ms", "1500", 1500},
                 {"s", "2", 2000},
                 {"m", "2", 120000},
                 {"h", "2", 7200000}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        InfluxOutcome outcome;
        Text line = text_format(t->arena, "m value=1 %s", cases[i].time);
        Text rows = rows_of(t, text_to_cstring(line, t->arena), cases[i].precision, &outcome);
        check_text(t, text_format(t->arena, "m{db=\"telegraf\"} 1 @%lld\n", (long long)cases[i].ms),
                   rows);
    }
    int64_t ignored;
    check(t, !influx_precision(TEXT("days"), &ignored));
}

TEST(a_bad_line_is_named_and_the_others_are_kept) {
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"cpu", "missing fields"},
        {"cpu,host=a", "missing fields"},
        {",host=a v=1", "missing measurement"},
        {"cpu,host v=1", "missing tag value"},
        {"cpu,host= v=1", "missing tag value"},
        {"cpu,=a v=1", "missing tag key"},
        {"cpu,a=1,a=2 v=1", "stands twice"},
        {"cpu,__name__=x v=1", "__name__"},
        {"cpu v", "missing field value"},
        {"cpu v=", "missing field value"},
        {"cpu =1", "missing field key"},
        {"cpu v=1,", "missing field key"},
        {"cpu v=abc", "invalid field value \"abc\""},
        {"cpu v=NaN", "invalid field value \"NaN\""},
        {"cpu v=+Inf", "invalid field value"},
        {"cpu v=1x", "invalid field value"},
        {"cpu v=1.5i", "invalid field value"},
        {"cpu v=-1u", "invalid field value"},
        {"cpu v=99999999999999999999i", "invalid field value"},
        {"cpu v=\"open", "unbalanced quotes"},
        {"cpu v=\"a\"b", "behind a field value"},
        {"cpu v=1 12x", "bad timestamp \"12x\""},
        {"cpu v=1 1 2", "bad timestamp"},
        {"cpu v=1 99999999999999999999", "bad timestamp"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        InfluxOutcome outcome;
        bool open = strstr(cases[i].line, "open") != NULL;  // takes what follows into its quotes
        Text body = text_format(t->arena, "good v=1\n# why\n%s\n%s", cases[i].line,
                                open ? "" : "good v=2 6000000\n");
        Text rows = rows_of(t, text_to_cstring(body, t->arena), "", &outcome);
        Text says = text_from_cstring(outcome.first_fault.message);
        if (outcome.refused != 1 || text_find(says, text_from_cstring(cases[i].says)) < 0 ||
            !text_starts_with(says, TEXT("line 3: unable to parse '")))
            check_failed(t, __FILE__, __LINE__, "%s: %.*s", cases[i].line, TEXT_ARG(says));
        check_i64(t, 3, outcome.first_fault_line);
        check_text(t,
                   open ? TEXT("good_v{db=\"telegraf\"} 1 @5000\n")
                        : TEXT("good_v{db=\"telegraf\"} 1 @5000\ngood_v{db=\"telegraf\"} 2 @6\n"),
                   rows);
    }
}

TEST(texts_are_counted_and_make_no_rows) {
    InfluxOutcome outcome;
    Text rows = rows_of(t, "log msg=\"a\\\\\",level=\"b\"\nlog n=1,msg=\"c\"\n", "", &outcome);
    check_text(t, TEXT("log_n{db=\"telegraf\"} 1 @5000\n"), rows);
    check_i64(t, 3, outcome.texts);
    check_i64(t, 2, outcome.lines);
    check_i64(t, 0, outcome.refused);
}

TEST(few_bytes_do_not_become_many) {
    // 2 KiB of tags on each of 200,000 fields.
    AUTO(builder_free) Builder line = {0};
    builder_add(&line, TEXT("m,tag="));
    for (int i = 0; i < 2000; i++) builder_add_char(&line, 'x');
    builder_add_char(&line, ' ');
    for (int i = 0; i < 200000; i++) builder_add(&line, i > 0 ? TEXT(",a=1") : TEXT("a=1"));
    InfluxReader reader = {0};
    InfluxBody body = {.text = builder_text(&line), .unit_ns = 1};
    WriteBody rows = {0};
    InfluxOutcome outcome;
    check_error(t, influx_read(&reader, &body, &rows, &outcome, t->err), ERROR_TOO_LARGE);
    check(t, (int64_t)rows.bytes.len < LIMIT_BODY_DECOMPRESSED_BYTES + 4096);
    write_body_free(&rows);
    influx_reader_free(&reader);
}

TEST_MAIN("ingest/influx", CASE(lines_become_rows), CASE(times_are_of_the_precision_asked_for),
          CASE(a_bad_line_is_named_and_the_others_are_kept),
          CASE(texts_are_counted_and_make_no_rows), CASE(few_bytes_do_not_become_many))
