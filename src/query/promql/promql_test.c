// What PromQL accepts, what it refuses and where, and that printing loses nothing.

#include "base/limits.h"
#include "base/test.h"
#include "query/promql/functions.h"
#include "query/promql/promql.h"

typedef struct Accepted {
    const char *text;
    const char *printed;
    ValueType type;
} Accepted;

static const Accepted accepted[] = {
    {"1", "1", VALUE_SCALAR},
    {" 0x1F ", "31", VALUE_SCALAR},
    {"1_000.5e3", "1000500", VALUE_SCALAR},
    {".5", "0.5", VALUE_SCALAR},
    {"+Inf", "Inf", VALUE_SCALAR},
    {"-inf", "-Inf", VALUE_SCALAR},
    {"nan", "NaN", VALUE_SCALAR},
    {"1h30m", "5400", VALUE_SCALAR},
    {"- - 1", "1", VALUE_SCALAR},
    {"-2^2", "-2 ^ 2", VALUE_SCALAR},
    {"1 + 2 * 3 # said so", "1 + 2 * 3", VALUE_SCALAR},
    {"(1 + 2) * 3", "(1 + 2) * 3", VALUE_SCALAR},
    {"1 < bool 2", "1 < bool 2", VALUE_SCALAR},
    {"\"a\\n\\x41\\u00e9\\\"\"", "\"a\\nA\xc3\xa9\\\"\"", VALUE_STRING},
    {"\"a\\222\xc3\xa9\\xff\"", "\"a\\x92\xc3\xa9\\xff\"", VALUE_STRING},
    {"`raw \\n`", "\"raw \\\\n\"", VALUE_STRING},
    {"'it\\'s'", "\"it's\"", VALUE_STRING},
    {"up", "up", VALUE_VECTOR},
    {"a:b:rate5m", "a:b:rate5m", VALUE_VECTOR},
    {"up{}", "up", VALUE_VECTOR},
    {"up{a=\"b\",c!=\"d\",e=~\"f\",g!~\"h\",}", "up{a=\"b\", c!=\"d\", e=~\"f\", g!~\"h\"}",
     VALUE_VECTOR},
    {"{\"name with space\", \"label.dot\"=\"x\"}",
     "{__name__=\"name with space\", \"label.dot\"=\"x\"}", VALUE_VECTOR},
    {"{__name__=\"up\"}", "up", VALUE_VECTOR},
    {"{__name__=\"sum\"}", "{__name__=\"sum\"}", VALUE_VECTOR},
    {"sum", "{__name__=\"sum\"}", VALUE_VECTOR},
    {"{__name__=~\".+\"}", "{__name__=~\".+\"}", VALUE_VECTOR},
    {"foo[5m]", "foo[5m]", VALUE_MATRIX},
    {"foo[90]", "foo[1m30s]", VALUE_MATRIX},
    {"foo[5m] offset 1h", "foo[5m] offset 1h", VALUE_MATRIX},
    {"foo offset -1w", "foo offset -1w", VALUE_VECTOR},
    {"foo @ 1.5 offset 5m", "foo @ 1.500 offset 5m", VALUE_VECTOR},
    {"foo offset 5m @ end()", "foo @ end() offset 5m", VALUE_VECTOR},
    {"foo @ -7", "foo @ -7.000", VALUE_VECTOR},
    {"foo[5m * (2 + 1)]", "foo[15m]", VALUE_MATRIX},
    {"foo[-5m + 2 ^ 3 * 1m] offset -(2 * 3)", "foo[3m] offset -6s", VALUE_MATRIX},
    {"foo[STEP() * 2 + 1m]", "foo[step() * 2 + 60]", VALUE_MATRIX},
    {"foo offset -(range() - 1)", "foo offset -(range() - 1)", VALUE_VECTOR},
    {"foo[max_of(step(), 1m):min_of(step(), 5s)] offset step()",
     "foo[max_of(step(), 60):min_of(step(), 5)] offset step()", VALUE_MATRIX},
    {"foo offset 2 ^ 2", "foo offset 2s ^ 2", VALUE_VECTOR},
    {"rate(foo[5m])[1h:]", "rate(foo[5m])[1h:]", VALUE_MATRIX},
    {"max_over_time(rate(foo[5m])[1h:30s] @ start())",
     "max_over_time(rate(foo[5m])[1h:30s] @ start())", VALUE_VECTOR},
    {"SUM by (a, b,) (foo)", "sum by (a, b) (foo)", VALUE_VECTOR},
    {"sum(foo) without (\"x y\")", "sum without (\"x y\") (foo)", VALUE_VECTOR},
    {"sum by () (foo)", "sum by () (foo)", VALUE_VECTOR},
    {"topk(3, foo)", "topk(3, foo)", VALUE_VECTOR},
    {"count_values(\"v\", foo)", "count_values(\"v\", foo)", VALUE_VECTOR},
    {"a and b or c unless d", "a and b or c unless d", VALUE_VECTOR},
    {"a / on (x) group_left (y) b", "a / on (x) group_left (y) b", VALUE_VECTOR},
    {"a > bool ignoring (x) b", "a > bool ignoring (x) b", VALUE_VECTOR},
    {"a + on (x) fill(-1.5) b", "a + on (x) fill_left(-1.5) fill_right(-1.5) b", VALUE_VECTOR},
    {"a > bool fill_right(NaN) fill", "a > bool fill_right(NaN) {__name__=\"fill\"}", VALUE_VECTOR},
    {"a atan2 b", "a atan2 b", VALUE_VECTOR},
    {"2 ^ 3 ^ 2", "2 ^ 3 ^ 2", VALUE_SCALAR},
    {"-foo offset 5m", "-foo offset 5m", VALUE_VECTOR},
    {"round(foo)", "round(foo)", VALUE_VECTOR},
    {"info(foo, {__name__=\"bar_info\", a=~\".*\"})",
     "info(foo, {__name__=\"bar_info\", a=~\".*\"})", VALUE_VECTOR},
    {"info(foo, {})", "info(foo, {})", VALUE_VECTOR},
    {"rate(foo[5m] @ 1 anchored)", "rate(foo[5m] anchored @ 1.000)", VALUE_VECTOR},
    {"foo SMOOTHED offset 5m", "foo smoothed offset 5m", VALUE_VECTOR},
    {"smoothed smoothed", "{__name__=\"smoothed\"} smoothed", VALUE_VECTOR},
    {"sum by (\"NaN\", nano) (foo)", "sum by (\"NaN\", nano) (foo)", VALUE_VECTOR},
    {"time()", "time()", VALUE_SCALAR},
    {"start() + end()", "start() + end()", VALUE_SCALAR},
    {"label_join(foo, \"a\", \"-\", \"b\", \"c\", \"d\")",
     "label_join(foo, \"a\", \"-\", \"b\", \"c\", \"d\")", VALUE_VECTOR},
};

TEST(what_is_accepted_prints_in_one_form_and_parses_again) {
    for (size_t i = 0; i < COUNT(accepted); i++) {
        AUTO(promql_close) Promql first = {0};
        AUTO(promql_close) Promql again = {0};
        AUTO(builder_free) Builder out = {0};
        check_ok(t,
                 promql_parse(text_from_cstring(accepted[i].text), t->arena, &first, NULL, t->err));
        promql_print(first.root, &out);
        check_text(t, text_from_cstring(accepted[i].printed), builder_text(&out));
        check_i64(t, accepted[i].type, first.root->type);
        check_ok(t, promql_parse(builder_text(&out), t->arena, &again, NULL, t->err));
        check(t, expr_equal(first.root, again.root));
    }
}

typedef struct Refused {
    const char *text;
    const char *message;
    ErrorCode code;
} Refused;

static const Refused refused[] = {
    {"", "1:1: parse error: no expression found in input", ERROR_BAD_INPUT},
    {"# only a remark", "1:16: parse error: no expression found in input", ERROR_BAD_INPUT},
    {"1 +", "1:4: parse error: unexpected end of input, expected an expression", ERROR_BAD_INPUT},
    {"2 2", "1:3: parse error: unexpected number \"2\", expected an operator or the end",
     ERROR_BAD_INPUT},
    {"*1", "1:1: parse error: unexpected <op:*>, expected an expression", ERROR_BAD_INPUT},
    {"(1", "1:3: parse error: unclosed left parenthesis", ERROR_BAD_INPUT},
    {"up{a=\"\xff\"}", "1:1: parse error: the query is not UTF-8", ERROR_BAD_INPUT},
    {"sum by (code", "1:13: parse error: unclosed left parenthesis", ERROR_BAD_INPUT},
    {"1)", "1:2: parse error: unexpected right parenthesis ')'", ERROR_BAD_INPUT},
    {"foo{", "1:5: parse error: unexpected end of input inside braces, expected \"}\"",
     ERROR_BAD_INPUT},
    {"foo{a}",
     "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator",
     ERROR_BAD_INPUT},
    {"foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected string",
     ERROR_BAD_INPUT},
    {"foo{a=~\"(\"}", NULL, ERROR_BAD_INPUT},
    {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher",
     ERROR_BAD_INPUT},
    {"{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher",
     ERROR_BAD_INPUT},
    {"foo{__name__=\"bar\"}",
     "1:5: parse error: metric name must not be set twice: \"foo\" or \"bar\"", ERROR_BAD_INPUT},
    {"foo[5m", "1:7: parse error: unclosed left bracket", ERROR_BAD_INPUT},
    {"foo[0s]", "1:5: parse error: duration must be greater than 0", ERROR_BAD_INPUT},
    {"foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5m\"", ERROR_BAD_INPUT},
    {"foo[1m2h]", "1:5: parse error: not a valid duration string: \"1m2h\"", ERROR_BAD_INPUT},
    {"foo offset 5m[5m]", "1:14: parse error: no offset modifiers allowed before range",
     ERROR_BAD_INPUT},
    {"sum(foo) offset 5m", NULL, ERROR_BAD_INPUT},
    {"foo offset 5m offset 6m", "1:15: parse error: offset may not be set multiple times",
     ERROR_BAD_INPUT},
    {"foo @ 1 @ 2", "1:9: parse error: @ <timestamp> may not be set multiple times",
     ERROR_BAD_INPUT},
    {"foo\n  @ 1 @ 2", "2:7: parse error: @ <timestamp> may not be set multiple times",
     ERROR_BAD_INPUT},
    {"nope(foo)", "1:1: parse error: unknown function with name \"nope\"", ERROR_BAD_INPUT},
    {"rate(foo)",
     "1:6: parse error: expected type range vector in call to function \"rate\", got instant "
     "vector as argument 1; a range is written as in x[5m]",
     ERROR_BAD_INPUT},
    {"abs()",
     "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0; it is abs(instant "
     "vector)",
     ERROR_BAD_INPUT},
    {"round(foo, 1, 2)",
     "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3; it is "
     "round(instant vector, [scalar])",
     ERROR_BAD_INPUT},
    {"sum()", "1:1: parse error: no arguments for aggregate expression provided", ERROR_BAD_INPUT},
    {"topk(foo)",
     "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, "
     "got 1",
     ERROR_BAD_INPUT},
    {"sum(1)",
     "1:5: parse error: expected type instant vector in aggregation expression, got scalar",
     ERROR_BAD_INPUT},
    {"1 == 1", "1:1: parse error: comparisons between scalars must use BOOL modifier",
     ERROR_BAD_INPUT},
    {"foo + bool bar", "1:7: parse error: bool modifier can only be used on comparison operators",
     ERROR_BAD_INPUT},
    {"1 and foo", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
     ERROR_BAD_INPUT},
    {"foo + on (a) 1", "1:1: parse error: vector matching only allowed between instant vectors",
     ERROR_BAD_INPUT},
    {"foo and on (a) group_left bar",
     "1:16: parse error: no grouping allowed for \"and\" operation", ERROR_BAD_INPUT},
    {"foo + on (a) group_left (a) bar",
     "1:1: parse error: label \"a\" must not occur in ON and GROUP clause at once",
     ERROR_BAD_INPUT},
    {"-\"x\"",
     "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
     "vector, got \"string\"",
     ERROR_BAD_INPUT},
    {"foo[5m][5m:]", NULL, ERROR_BAD_INPUT},
    {"\"open", "1:1: parse error: unterminated quoted string", ERROR_BAD_INPUT},
    {"foo $ bar",
     "1:5: parse error: unexpected character: \"$\", expected the value of a variable (dashboards "
     "fill them in before they ask)",
     ERROR_BAD_INPUT},
    {"info(foo, bar)", NULL, ERROR_BAD_INPUT},
    {"info(foo, {a=\"b\"}[5m])", NULL, ERROR_BAD_INPUT},
    {"info(foo, ({a=\"b\"}))", NULL, ERROR_BAD_INPUT},
    {"info(foo, {a=\"b\"} offset 5m)", NULL, ERROR_BAD_INPUT},
    {"info({b=~\".*\"})",
     "1:6: parse error: vector selector must contain at least one non-empty matcher",
     ERROR_BAD_INPUT},
    {"foo[5m - 10m]", "1:5: parse error: duration must be greater than 0", ERROR_BAD_INPUT},
    {"foo[1 / 0]", "1:5: parse error: duration out of range", ERROR_BAD_INPUT},
    {"rat(x[5m])", "1:1: parse error: unknown function with name \"rat\"; did you mean \"rate\"?",
     ERROR_BAD_INPUT},
    {"sun(x)", "1:1: parse error: unknown function with name \"sun\"; did you mean \"sum\"?",
     ERROR_BAD_INPUT},
    {"frobnicate(x)", "1:1: parse error: unknown function with name \"frobnicate\"",
     ERROR_BAD_INPUT},
    {"x = 1",
     "1:3: parse error: unexpected \"=\", expected an operator, such as == to compare, or the end",
     ERROR_BAD_INPUT},
    {"x =~ \"a\"",
     "1:3: parse error: unexpected <op:=~>, expected an operator or the end; labels are matched in "
     "braces, as in x{a=~\"b.*\"}",
     ERROR_BAD_INPUT},
    {"x * group_left y",
     "1:5: parse error: unexpected <group_left>, expected on (…) or ignoring (…) in front of it",
     ERROR_BAD_INPUT},
    {"(x + y)[5m]",
     "1:8: parse error: ranges only allowed for vector selectors; a subquery is written as in "
     "(…)[5m:]",
     ERROR_BAD_INPUT},
    {"1 + x[5m]",
     "1:5: parse error: binary expression must contain only scalar and instant vector types, the "
     "right side is a range vector",
     ERROR_BAD_INPUT},
    {"histogram_quantile(x, 0.9)",
     "1:20: parse error: expected type scalar in call to function \"histogram_quantile\", got "
     "instant vector as argument 1",
     ERROR_BAD_INPUT},
    {"label_replace(x, \"a\", 1, \"b\", \"c\")",
     "1:23: parse error: expected type string in call to function \"label_replace\", got scalar as "
     "argument 3",
     ERROR_BAD_INPUT},
    {"foo[200y + 200y]", "1:5: parse error: duration out of range", ERROR_BAD_INPUT},
    {"sum by (a, NaN) (foo)", NULL, ERROR_BAD_INPUT},
    {"foo[abs(1)]", NULL, ERROR_BAD_INPUT},
    {"foo[1 +]", NULL, ERROR_BAD_INPUT},
    {"foo offset (1", NULL, ERROR_BAD_INPUT},
    {"foo anchored",
     "1:5: parse error: anchored modifier can only be used with a range vector selector",
     ERROR_BAD_INPUT},
    {"foo[5m:] smoothed", "1:10: parse error: smoothed modifier is not supported for subqueries",
     ERROR_BAD_INPUT},
    {"rate(foo) smoothed", NULL, ERROR_BAD_INPUT},
    {"rate(foo[5m] smoothed anchored)", NULL, ERROR_BAD_INPUT},
    {"foo smoothed[5m]",
     "1:13: parse error: no anchored or smoothed modifiers allowed before range", ERROR_BAD_INPUT},
    {"a and fill(0) b", "1:7: parse error: filling in missing series not allowed for set operators",
     ERROR_BAD_INPUT},
    {"a + fill(0) 1", NULL, ERROR_BAD_INPUT},
    {"a + fill(0) fill_left(1) b", NULL, ERROR_BAD_INPUT},
    {"a + fill(b) c",
     "1:10: parse error: unexpected identifier \"b\" in fill modifier, expected number",
     ERROR_BAD_INPUT},
    {"1 </ 2", NULL, ERROR_BAD_INPUT},
    {"a </ bool 1", NULL, ERROR_BAD_INPUT},
    {"a < / 1", NULL, ERROR_BAD_INPUT},
};

TEST(what_is_refused_says_what_and_where) {
    for (size_t i = 0; i < COUNT(refused); i++) {
        Promql promql;
        SourceRange where;
        *t->err = (Error){0};
        bool parsed =
            promql_parse(text_from_cstring(refused[i].text), t->arena, &promql, &where, t->err);
        if (parsed) check_failed(t, __FILE__, __LINE__, "\"%s\" was accepted", refused[i].text);
        check_i64(t, refused[i].code, t->err->code);
        if (refused[i].message != NULL)
            check_text(t, text_from_cstring(refused[i].message),
                       text_from_cstring(t->err->message));
        check(t, where.from <= where.to && where.to <= strlen(refused[i].text));
    }
}

TEST(depth_is_limited_in_every_direction) {
    static const char *const beginnings[] = {"(",    "-",     "abs(",   "sum(",  "1^", "foo{",
                                             "foo[", "foo[(", "foo[1+", "foo[-", "1+", "a or "};
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        AUTO(builder_free) Builder text = {0};
        for (size_t j = 0; j < 100000; j++) builder_add(&text, text_from_cstring(beginnings[i]));
        builder_add(&text, TEXT("1"));
        Promql promql;
        check(t, !promql_parse(builder_text(&text), t->arena, &promql, NULL, t->err));
    }
    AUTO(builder_free) Builder chain = {0};
    for (size_t j = 0; j < 300; j++) builder_add(&chain, TEXT("foo or "));
    builder_add(&chain, TEXT("foo"));
    AUTO(promql_close) Promql promql = {0};
    check_ok(t, promql_parse(builder_text(&chain), t->arena, &promql, NULL, t->err));
}

TEST(a_selector_alone_is_told_from_an_expression) {
    AUTO(promql_close) Promql promql = {0};
    check_ok(t, promql_parse_selector(TEXT("up{job=~\"a|b\"}"), t->arena, &promql, t->err));
    check_i64(t, 2, promql.root->as.selector.matchers.count);
    Promql other;
    check_error(t, promql_parse_selector(TEXT("sum(up)"), t->arena, &other, t->err),
                ERROR_BAD_INPUT);
    check_error(t, promql_parse_selector(TEXT("up[5m]"), t->arena, &other, t->err),
                ERROR_BAD_INPUT);
    check_error(t, promql_parse_selector(TEXT("up offset 5m"), t->arena, &other, t->err),
                ERROR_BAD_INPUT);
}

TEST(durations_read_and_print) {
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1ms", 1},
        {"5m", 300000},
        {"1h30m", 5400000},
        {"2w", 1209600000},
        {"1y", INT64_C(31536000000)},
        {"90d", INT64_C(7776000000)},
        {"1d1h", 90000000},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ms, again;
        AUTO(builder_free) Builder out = {0};
        check_ok(t, duration_parse_ms(text_from_cstring(rows[i].text), &ms, t->err));
        check_i64(t, rows[i].ms, ms);
        duration_print_ms(ms, &out);
        check_ok(t, duration_parse_ms(builder_text(&out), &again, t->err));
        check_i64(t, ms, again);
    }
    static const char *const bad[] = {
        "", "5", "m", "5x", "1m1h", "1m1m", "-5m", "1.5h", "99999999999999999999y", "5m "};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms;
        check_error(t, duration_parse_ms(text_from_cstring(bad[i]), &ms, t->err), ERROR_BAD_INPUT);
    }
}

TEST(the_table_of_functions_is_sorted_and_complete) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const Function *row = &functions[i];
        check(t, row->id == (FunctionId)i);
        check(t, i == 0 || text_compare(functions[i - 1].name, row->name) < 0);
        check(t, function_find(row->name) == row);
        check(t, row->help.len > 0 && row->example.len > 0);
        check(t, row->optional <= row->take_count);
        Promql promql = {0};
        bool parsed = promql_parse(row->example, t->arena, &promql, NULL, t->err);
        if (parsed != row->supported)
            check_failed(t, __FILE__, __LINE__, "%.*s: %s", TEXT_ARG(row->name), t->err->message);
        check(t, parsed || t->err->code == ERROR_UNSUPPORTED);
        promql_close(&promql);
    }
    check(t, function_find(TEXT("zzz")) == NULL);
}

TEST_MAIN("query/promql", CASE(what_is_accepted_prints_in_one_form_and_parses_again),
          CASE(what_is_refused_says_what_and_where), CASE(depth_is_limited_in_every_direction),
          CASE(a_selector_alone_is_told_from_an_expression), CASE(durations_read_and_print),
          CASE(the_table_of_functions_is_sorted_and_complete))
