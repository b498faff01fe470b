// Lines of Graphite: names, tags, times, and what is said of bad ones.

#include "ingest/graphite/graphite.h"
#include "model/test_batch.h"

static bool read_line(Test *t, const char *line, Text *rows) {
    GraphiteReader reader = {0};
    WriteBody body = {0};
    Batch batch = {0};
    bool done = graphite_line(&reader, text_from_cstring(line), 5000, &body, t->err);
    write_body_batch(&body, &batch);
    *rows = test_batch_print(t, &batch);
    batch_free(&batch);
    write_body_free(&body);
    graphite_reader_free(&reader);
    return done;
}

TEST(a_line_is_a_sample) {
    static const struct {
        const char *line, *rows;
    } cases[] = {
        {"servers.web1.load 0.5 7", "servers_web1_load 0.5 @7000\n"},
        {"a 1e3 1.5", "a 1000 @1500\n"},
        {"a 1", "a 1 @5000\n"},
        {"a 1 -1", "a 1 @5000\n"},
        {" a\t-2   7\r", "a -2 @7000\n"},
        {"1st-of all 7", NULL},
        {"1st-of.all 7 7", "_1st_of_all 7 @7000\n"},
        {"a.b;dc=a b;c=1 2 3", NULL},
        {"a.b;z=x.y;c-d=\xc3\xbc 2 3", "a_b{c_d=\"\xc3\xbc\", z=\"x.y\"} 2 @3000\n"},
        {"a:b 1 7", "a:b 1 @7000\n"},
        {"", ""},
        {"  \r", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Text rows;
        bool done = read_line(t, cases[i].line, &rows);
        if (done != (cases[i].rows != NULL))
            check_failed(t, __FILE__, __LINE__, "%s", cases[i].line);
        check_text(t, text_from_cstring(done ? cases[i].rows : ""), rows);
    }
}

TEST(a_bad_line_says_what_is_wrong) {
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"a", "no value"},
        {"a b 1", "\"b\" is no number"},
        {"a nan 1", "no number"},
        {"a inf 1", "no number"},
        {"a 1 soon", "no time"},
        {"a 1 1e300", "no time"},
        {"a 1 2 3", "nothing more"},
        {";a=b 1 2", "path is empty"},
        {"a;b 1 2", "no tag=value"},
        {"a;b= 1 2", "no tag=value"},
        {"a;=b 1 2", "no tag=value"},
        {"a;b=1;b=2 1 2", "stands twice"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Text rows;
        bool done = read_line(t, cases[i].line, &rows);
        if (done || strstr(t->err->message, cases[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "%s: %s", cases[i].line, t->err->message);
        check_text(t, TEXT(""), rows);
    }
}

TEST_MAIN("ingest/graphite", CASE(a_line_is_a_sample), CASE(a_bad_line_says_what_is_wrong))
