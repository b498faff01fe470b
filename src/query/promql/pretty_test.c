// What Prometheus' formatter and its tree as JSON look like, and that both end.

#include "base/limits.h"
#include "base/test.h"
#include "codec/json.h"
#include "query/promql/promql.h"

typedef struct Pretty {
    size_t width;
    const char *text;
    const char *printed;
} Pretty;

static const Pretty pretty[] = {
    {100, " sum( rate(up{job=\"a\"}[5m] ) )by(job)", "sum by (job) (rate(up{job=\"a\"}[5m]))"},
    {100, "sum by () (foo)", "sum(foo)"},
    {100, "foo{b=\"1\", a!~\"x|y\",__name__=~\"f.*\"}",
     "foo{__name__=~\"f.*\",a!~\"x|y\",b=\"1\"}"},
    {100, "{__name__=\"foo\"} + {\"with.dot\", 'a b'=\"c\"}",
     "{__name__=\"foo\"} + {\"a b\"=\"c\",__name__=\"with.dot\"}"},
    {100, "foo offset -90s @ 1.5", "foo @ 1.500 offset -1m30s"},
    {100, "foo[1h:] @ end() offset 5m", "foo[1h:] @ end() offset 5m"},
    {100, "a / on(x) group_left b > bool 5m", "a / on (x) group_left () b > bool 5m"},
    {100, "a + ignoring() b", "a + b"},
    {100, "a + on(x) fill(0) b - on() fill_left(1) c",
     "a + on (x) fill (0) b - on () fill_left (1) c"},
    {100, "0x1F + 1e3 + Inf + 1h30m", "31 + 1000 + +Inf + 1h30m"},
    {100, "label_join(foo, 'a', \"-\")", "label_join(foo, \"a\", \"-\")"},
    {100, "up # why\n", "up"},
    {100, "info(a, {}) + info(a, {b=~'c'})", "info(a, {}) + info(a, {b=~\"c\"})"},
    {100, "sum by ('NaN', nano) (foo)", "sum by (\"NaN\", nano) (foo)"},
    {100, "rate(foo[5m] offset 1m anchored @ 7)", "rate(foo[5m] anchored @ 7.000 offset 1m)"},
    {100, "foo smoothed @ end() offset 1m", "foo @ end() smoothed offset 1m"},
    {10, "a+b", "a + b"},
    {10, "foo_1 + foo_2", "  foo_1\n+\n  foo_2"},
    {10, "foo_1 + foo_2 + foo_3", "    foo_1\n  +\n    foo_2\n+\n  foo_3"},
    {10, "a == bool 1", "  a\n== bool\n  1"},
    {10, "a + ignoring(job) b", "  a\n+ ignoring (job)\n  b"},
    {10, "topk(10, a_long_name{job=\"s\"})", "topk(\n  10,\n  a_long_name{job=\"s\"}\n)"},
    {10, "sum by(a) (sum(b_long_name))", "sum by (a) (\n  sum(\n    b_long_name\n  )\n)"},
    {10, "(_foo_long_)", "(\n  _foo_long_\n)"},
    {10, "((foo_long))", "(\n  (foo_long)\n)"},
    {10, "(-vector_selector)", "(\n  -vector_selector\n)"},
    {10, "-quantile_over_time(0.9, rate(foo[1m])[5m:1m] @ start())",
     "-quantile_over_time(\n  0.9,\n  rate(\n    foo[1m]\n  )[5m:1m] @ start()\n)"},
    {10, "max_over_time(rate(long_name[1m])[1m:] @ start() offset 1m)",
     "max_over_time(\n  rate(\n    long_name[1m]\n  )[1m:] @ start() offset 1m\n)"},
    {10, "time() + 100000000000", "  time()\n+\n  100000000000"},
};

static Text pretty_of(Test *t, Text text, size_t width) {
    AUTO(promql_close) Promql promql = {0};
    AUTO(builder_free) Builder out = {0};
    check_ok(t, promql_parse(text, t->arena, &promql, NULL, t->err));
    check_ok(t, promql_pretty(&promql, width, &out, t->err));
    return text_copy(builder_text(&out), t->arena);
}

TEST(a_query_is_formatted_as_prometheus_does_it_and_stays_so) {
    for (size_t i = 0; i < COUNT(pretty); i++) {
        Text first = pretty_of(t, text_from_cstring(pretty[i].text), pretty[i].width);
        check_text(t, text_from_cstring(pretty[i].printed), first);
        check_text(t, first, pretty_of(t, first, pretty[i].width));
    }
}

static const struct {
    const char *text, *json;
} trees[] = {
    {"1.5", "{\"type\":\"numberLiteral\",\"val\":\"1.5\"}"},
    {"\"x\"", "{\"type\":\"stringLiteral\",\"val\":\"x\"}"},
    {"-up",
     "{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":"
     "\"up\"}],"
     "\"name\":\"up\",\"offset\":0,\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":null,"
     "\"type\":\"vectorSelector\"},\"op\":\"-\",\"type\":\"unaryExpr\"}"},
    {"up{a=~\"b\"} @ 2 offset -5m",
     "{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"=~\",\"value\":\"b\"},"
     "{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"up\"}],\"name\":\"up\",\"offset\":-300000,"
     "\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":2000,\"type\":\"vectorSelector\"}"},
    {"{__name__=\"up\"}[5m] @ end()",
     "{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"up\"}],"
     "\"name\":\"\","
     "\"offset\":0,\"range\":300000,\"smoothed\":false,\"startOrEnd\":\"end\",\"timestamp\":null,"
     "\"type\":\"matrixSelector\"}"},
    {"vector(1)[5m:1m] offset 1s",
     "{\"expr\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],\"func\":{\"argTypes\":["
     "\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\",\"variadic\":0},\"type\":\"call\"},"
     "\"offset\":1000,\"range\":300000,\"startOrEnd\":null,\"step\":60000,\"timestamp\":null,"
     "\"type\":\"subquery\"}"},
    {"foo[5m] smoothed",
     "{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"foo\"}],"
     "\"name\":\"foo\",\"offset\":0,\"range\":300000,\"smoothed\":true,\"startOrEnd\":null,"
     "\"timestamp\":null,\"type\":\"matrixSelector\"}"},
    {"sum without (a) ((x))",
     "{\"expr\":{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\","
     "\"value\":\"x\"}],"
     "\"name\":\"x\",\"offset\":0,\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":null,"
     "\"type\":\"vectorSelector\"},\"type\":\"parenExpr\"},\"grouping\":[\"a\"],\"op\":\"sum\","
     "\"param\":null,\"type\":\"aggregation\",\"without\":true}"},
    {"1 <= bool 2",
     "{\"bool\":true,\"lhs\":{\"type\":\"numberLiteral\",\"val\":\"1\"},\"matching\":null,"
     "\"op\":\"<=\",\"rhs\":{\"type\":\"numberLiteral\",\"val\":\"2\"},\"type\":\"binaryExpr\"}"},
    {"vector(1) + on (a) group_left (b) vector(2)",
     "{\"bool\":false,\"lhs\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],\"func\":{"
     "\"argTypes\":[\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\",\"variadic\":0},"
     "\"type\":\"call\"},\"matching\":{\"card\":\"many-to-one\",\"fillValues\":{\"lhs\":null,"
     "\"rhs\":null},\"include\":[\"b\"],\"labels\":[\"a\"],\"on\":true},\"op\":\"+\","
     "\"rhs\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"2\"}],\"func\":{\"argTypes\":["
     "\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\",\"variadic\":0},"
     "\"type\":\"call\"},\"type\":\"binaryExpr\"}"},
};

TEST(a_tree_is_shown_in_the_shape_of_prometheus) {
    for (size_t i = 0; i < COUNT(trees); i++) {
        AUTO(promql_close) Promql promql = {0};
        AUTO(builder_free) Builder out = {0};
        check_ok(t,
                 promql_parse(text_from_cstring(trees[i].text), t->arena, &promql, NULL, t->err));
        JsonWriter writer = json_writer_begin(&out);
        check_ok(t, promql_write_tree(&promql, &writer, t->err));
        check_text(t, text_from_cstring(trees[i].json), builder_text(&out));
    }
}

// 900 levels above 200,000 arguments: the blanks alone would be 360 MB.
TEST(a_query_that_would_grow_without_bounds_is_refused) {
    AUTO(builder_free) Builder text = {0};
    AUTO(builder_free) Builder out = {0};
    AUTO(promql_close) Promql promql = {0};
    builder_add(&text, TEXT("label_join(x, \"a\", \"\""));
    for (int i = 0; i < 200000; i++) builder_add(&text, TEXT(",\"\""));
    builder_add_char(&text, ')');
    for (int i = 0; i < 900; i++) builder_add(&text, TEXT("+x"));
    check_ok(t, promql_parse(builder_text(&text), t->arena, &promql, NULL, t->err));
    check_error(t, promql_pretty(&promql, PROMQL_PRETTY_WIDTH, &out, t->err), ERROR_TOO_LARGE);
    check(t, out.len < (size_t)LIMIT_QUERY_SHOWN_BYTES + 4 * MB);
}

TEST_MAIN("query/promql_pretty", CASE(a_query_is_formatted_as_prometheus_does_it_and_stays_so),
          CASE(a_tree_is_shown_in_the_shape_of_prometheus),
          CASE(a_query_that_would_grow_without_bounds_is_refused))
