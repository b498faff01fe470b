// Lines of the text exposition format: what they mean, and what is said about those that mean
// nothing.

#include <math.h>

#include "base/test.h"
#include "cli/push_line.h"

static PushLine parsed(Test *t, const char *text) {
    PushLine line;
    check_ok(t, push_line_parse(text_from_cstring(text), t->arena, &line, t->err));
    return line;
}

static Text series_of(Test *t, const PushLine *line) {
    Labels labels;
    AUTO(builder_free) Builder out = {0};
    check_ok(t, labels_make(line->labels.at, line->labels.count, t->arena, &labels, t->err));
    labels_print(labels, &out);
    return text_copy(builder_text(&out), t->arena);
}

TEST(lines_are_read) {
    static const struct {
        const char *text, *series;
        double value;
        int64_t time_ms;  // 0: none
    } rows[] = {
        {"up 1", "up", 1, 0},
        {"up\t1\t1700000000000", "up", 1, INT64_C(1700000000000)},
        {"  a:b_c{}  -2.5e3 -7  ", "a:b_c", -2500, -7},
        {"a{b=\"c\",d=\"e\",} +Inf", "a{b=\"c\", d=\"e\"}", INFINITY, 0},
        {"a { b = \"c\" } 1 2\r", "a{b=\"c\"}", 1, 2},
        {"a{b=\"x\\\\y\\\"z\\nw\"} 0x10", "a{b=\"x\\\\y\\\"z\\nw\"}", 16, 0},
        {"{\"my metric\", \"a b\"=\"c\"} 1", "{\"my metric\", \"a b\"=\"c\"}", 1, 0},
        {"{b=\"c\", \"m\"} 1", "m{b=\"c\"}", 1, 0},
        {"a{b=\"}1 2\"} 3", "a{b=\"}1 2\"}", 3, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        PushLine line = parsed(t, rows[i].text);
        check(t, line.has_sample && line.value == rows[i].value);
        check(t, line.has_time == (rows[i].time_ms != 0) &&
                     (!line.has_time || line.time_ms == rows[i].time_ms));
        check_text(t, text_from_cstring(rows[i].series), series_of(t, &line));
    }
    check(t, isnan(parsed(t, "a NaN").value));
}

TEST(blank_lines_and_comments_hold_nothing) {
    static const char *const rows[] = {"", "   ", "\r", "# HELP up is it up", "\t# TYPE up gauge"};
    for (size_t i = 0; i < COUNT(rows); i++) check(t, !parsed(t, rows[i]).has_sample);
}

TEST(faults_are_named_with_their_column) {
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"up", "column 3: the value is missing"},
        {"up x", "column 4: the value is not a number"},
        {"up 1 2.5", "column 6: the time is not a whole number"},
        {"up 1 2 3", "column 8: nothing is expected"},
        {"1up 1", "column 1: a metric's name is expected"},
        {"foo-bar 1", "column 4: a character that no metric's name has"},
        {"a{b} 1", "'=' is expected"},
        {"a{\"b\"} 1", "'=' is expected"},
        {"{\"b\",\"c\"} 1", "'=' is expected"},
        {"a{b=c} 1", "in quotes is expected"},
        {"a{b=\"c} 1", "the closing quote is missing"},
        {"a{b=\"\\q\"} 1", "an escape that is not known"},
        {"a{b=\"\\x1\"} 1", "an escape that is not known"},
        {"a{b=\"c\" d=\"e\"} 1", "',' or '}' is expected"},
        {"a{=\"c\"} 1", "a label's name is expected"},
        {"a{", "a label's name is expected"},
        {"{a=\"b\"} 1", "the metric has no name"},
        {"a 1_000", "the value is not a number"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        PushLine line;
        check_error(t, push_line_parse(text_from_cstring(rows[i].text), t->arena, &line, t->err),
                    ERROR_BAD_INPUT);
        if (strstr(t->err->message, rows[i].says) == NULL) {
            check_failed(t, __FILE__, __LINE__, "%s: \"%s\", not \"%s\"", rows[i].text,
                         t->err->message, rows[i].says);
        }
    }
}

TEST(a_flood_of_labels_is_refused) {
    AUTO(builder_free) Builder text = {0};
    builder_add(&text, TEXT("a{"));
    for (int i = 0; i < 1000; i++) builder_addf(&text, "l%d=\"v\",", i);
    builder_add(&text, TEXT("} 1"));
    PushLine line;
    check_error(t, push_line_parse(builder_text(&text), t->arena, &line, t->err), ERROR_TOO_LARGE);
}

TEST_MAIN("cli/push_line", CASE(lines_are_read), CASE(blank_lines_and_comments_hold_nothing),
          CASE(faults_are_named_with_their_column), CASE(a_flood_of_labels_is_refused))
