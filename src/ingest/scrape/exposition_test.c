// Tests of pages in text and OpenMetrics: what they mean, what is refused and where, printing,
// known rows, start times; and the pages of others.

#include "base/test.h"
#include "codec/compress.h"
#include "codec/number.h"
#include "ingest/scrape/exposition_round_trip.h"
#include "os/disk.h"

// ---- A page as lines that a test can state ----

static void show_series(Test *t, Exposition *page, const ExpositionRow *row, Builder *out) {
    Labels labels;
    if (!exposition_labels(page, row, t->arena, &labels, t->err)) {
        builder_addf(out, "labels: %s\n", t->err->message);
        return;
    }
    labels_print(labels, out);
    char number[NUMBER_TEXT_MAX];
    size_t len = number_format_general(row->value, number);
    builder_addf(out, " %.*s", (int)len, number);
    if (row->has_time) builder_addf(out, " @%lld", (long long)row->time_ms);
    int64_t start_ms;
    if (exposition_start(page, row, &start_ms))
        builder_addf(out, " from %lld", (long long)start_ms);
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        if (!exposition_exemplar(page, row, i, t->arena, &exemplar, t->err)) {
            builder_addf(out, " exemplar: %s", t->err->message);
            continue;
        }
        builder_add(out, TEXT(" # "));
        labels_print(exemplar.labels, out);
        len = number_format_general(exemplar.value, number);
        builder_addf(out, " %.*s", (int)len, number);
        if (exemplar.has_time) builder_addf(out, " @%lld", (long long)exemplar.time_ms);
    }
    builder_add_char(out, '\n');
}

static void show_row(Test *t, Exposition *page, const ExpositionRow *row, Builder *out) {
    static const char *const words[] = {
        [EXPOSITION_TYPE] = "type", [EXPOSITION_HELP] = "help", [EXPOSITION_UNIT] = "unit"};
    if (row->kind == EXPOSITION_SERIES) {
        show_series(t, page, row, out);
        return;
    }
    Text family = exposition_family(page, row, t->arena);
    builder_addf(out, "%s %.*s ", words[row->kind], TEXT_ARG(family));
    if (row->kind == EXPOSITION_TYPE) {
        builder_add_u64(out, row->type);
    } else {
        builder_addf(out, "[%.*s]", TEXT_ARG(exposition_text(page, row, t->arena)));
    }
    builder_add_char(out, '\n');
}

static Text shown(Test *t, ExpositionFormat format, ExpositionOptions options, Text body) {
    AUTO(builder_free) Builder out = {0};
    Exposition page = {0};
    // An exact copy, so that the address sanitizer sees a step beyond the end.
    char *exact = arena_push_raw(t->arena, body.len, 1);
    memcpy(exact, body.at, body.len);
    exposition_begin(&page, format, options, (Text){exact, body.len});
    ExpositionRow row;
    bool fine;
    while ((fine = exposition_next(&page, TEXT_NONE, &row, t->err)) && row.kind != EXPOSITION_END)
        show_row(t, &page, &row, &out);
    if (!fine) builder_addf(&out, "error: %s\n", t->err->message);
    exposition_free(&page);
    return text_copy(builder_text(&out), t->arena);
}

typedef struct PageRow {
    const char *page, *rows;
} PageRow;

static void check_pages(Test *t, ExpositionFormat format, ExpositionOptions options,
                        const PageRow *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Text actual = shown(t, format, options, text_from_cstring(rows[i].page));
        if (!text_equal(actual, text_from_cstring(rows[i].rows))) {
            check_failed(t, __FILE__, __LINE__, "%s\nbecame\n%.*s\nnot\n%s", rows[i].page,
                         TEXT_ARG(actual), rows[i].rows);
        }
    }
}

// The page is refused with a message that has `says` in it.
static void check_refused(Test *t, ExpositionFormat format, ExpositionOptions options,
                          const PageRow *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Text actual = shown(t, format, options, text_from_cstring(rows[i].page));
        Text says = text_format(t->arena, "error: %s", rows[i].rows);
        ptrdiff_t at = text_find(actual, TEXT("error: "));
        if (at < 0 || !text_starts_with(text_slice(actual, (size_t)at, actual.len), says)) {
            check_failed(t, __FILE__, __LINE__, "%s\nbecame\n%.*s\nnot\n%.*s", rows[i].page,
                         TEXT_ARG(actual), TEXT_ARG(says));
        }
    }
}

// ---- Text ----

TEST(lines_of_text_are_read) {
    static const PageRow rows[] = {
        {"", ""},
        {"\n\n  \t\n", ""},
        {"up 1", "up 1\n"},
        {"up 1\n", "up 1\n"},
        {"up\t1\t1700000000000  \n", "up 1 @1700000000000\n"},
        {"  a:b_c{} -2.5e3 007\n", "a:b_c -2500 @7\n"},
        {"a{b=\"c\",d=\"e\",}+Inf\n", "a{b=\"c\", d=\"e\"} +Inf\n"},
        {"a { b = \"c\" , d = \"e\" } 1 2\n", "a{b=\"c\", d=\"e\"} 1 @2\n"},
        {"a{b=\"c\" d=\"e\"} 1\n", "a{b=\"c\", d=\"e\"} 1\n"},
        {"a{z=\"1\",b=\"\",c=\"2\"} 1", "a{c=\"2\", z=\"1\"} 1\n"},
        {"a{b=\"x\\\\y\\\"z\\nw\\q\\t\"} 1", "a{b=\"x\\\\y\\\"z\\nw\\\\q\\\\t\"} 1\n"},
        {"a{b=\"two\nlines\"} 1\nup 2", "a{b=\"two\\nlines\"} 1\nup 2\n"},
        {"a{b=\"}1 2\"} 3", "a{b=\"}1 2\"} 3\n"},
        {"a{b=\"\xc3\xa4\"} 3", "a{b=\"\xc3\xa4\"} 3\n"},
        {"{\"my metric\", \"a b\"=\"c\"} 1", "{\"my metric\", \"a b\"=\"c\"} 1\n"},
        {"{b=\"c\", \"m\"} 1", "m{b=\"c\"} 1\n"},
        {"{\"q\\\"q\"} 1", "{\"q\\\"q\"} 1\n"},
        {"a nan\na -inf\na +Infinity\na .5\na 5.", "a NaN\na -Inf\na +Inf\na 0.5\na 5\n"},
        {"# a comment\n#\n#x\n# HELPX a b\n# TYPES\n# HELP\n", ""},
        {"#\tHELP \t up  is it \\\\ \\n \\\" up?\n", "help up [ is it \\ \n \\\" up?]\n"},
        {"# HELP up\n# HELP up \n# HELP up   \n", "help up []\nhelp up []\nhelp up []\n"},
        {"# HELP a.b dots are nobody's\n", ""},
        {"# HELP \"a.b\" dots\n# TYPE \"a.b\" gauge\n", "help a.b [dots]\ntype a.b 2\n"},
        {"# TYPE a counter\n# TYPE b gauge\n# TYPE c histogram\n# TYPE d summary\n"
         "# TYPE e untyped",
         "type a 1\ntype b 2\ntype c 3\ntype d 5\ntype e 0\n"},
    };
    check_pages(t, EXPOSITION_TEXT, (ExpositionOptions){0}, rows, COUNT(rows));
}

TEST(faults_in_text_are_named_with_line_and_column) {
    static const PageRow rows[] = {
        {"up 1\nup", "line 2, column 3: the value is missing"},
        {"up\n", "line 1, column 3: the value is missing"},
        {"up x", "line 1, column 4: the value is not a number"},
        {"up 1 2.5", "line 1, column 6: the time is not a whole number"},
        {"up 1 1_2", "line 1, column 6: the time is not a whole number"},
        {"up 1 -5", "line 1, column 6: the time is negative"},
        {"up 1 99999999999999999999", "line 1, column 6: the time is not a whole number"},
        {"up 1 2 3", "line 1, column 8: nothing is expected"},
        {"up 1 # {a=\"b\"} 1", "line 1, column 6: the time is not"},
        {"1up 1", "line 1, column 1: a metric's name is expected"},
        {"foo-bar 1", "line 1, column 4: a character that no metric's name has"},
        {"a{b} 1", "line 1, column 4: '=' is expected"},
        {"a{\"b\"} 1", "line 1, column 3: the metric has its name already"},
        {"{\"b\",\"c\"} 1", "line 1, column 6: the metric has its name already"},
        {"a{b=c} 1", "line 1, column 5: a label's value in quotes is expected"},
        {"a{b='c'} 1", "line 1, column 5: a label's value in quotes is expected"},
        {"a{b=\"c} 1", "line 1, column 5: the closing quote is missing"},
        {"a{b=\"c", "line 1, column 5: the closing quote is missing"},
        {"a{b=\"c\\", "line 1, column 5: the closing quote is missing"},
        {"a{b=\"c\"", "line 1, column 8: a label's name or '}' is expected"},
        {"a{b=\"c\"\n} 1", "line 1, column 8: a label's name or '}' is expected"},
        {"a{=\"c\"} 1", "line 1, column 3: a label's name or '}' is expected"},
        {"a{,b=\"c\"} 1", "line 1, column 3: a label's name or '}' is expected"},
        {"a{b=\"c\",,} 1", "line 1, column 9: a label's name or '}' is expected"},
        {"a{", "line 1, column 3: a label's name or '}' is expected"},
        {"a{b:c=\"x\"} 1", "line 1, column 4: '=' is expected"},
        {"a{\xff=\"x\"} 1", "line 1, column 3: a label's name or '}' is expected"},
        {"a{b=\"\xc3\xa4\",c=\"\xff\"} 1", "line 1, column 11: a label's value is not valid UTF-8"},
        {"{a=\"b\"} 1", "line 1, column 1: the metric has no name"},
        {"{__name__=\"b\"} 1", "line 1, column 1: the metric has no name"},
        {"a 1_000", "line 1, column 3: the value is not a number"},
        {"a 0x1p-3", "line 1, column 3: the value is not a number"},
        {"a 0x10", "line 1, column 3: the value is not a number"},
        {"a 1e999", "line 1, column 3: the value is not a number"},
        {"a true", "line 1, column 3: the value is not a number"},
        {"a 1\r\n", "line 1, column 3: the value is not a number (the line ends in"},
        {"\n\n# TYPE a count\n", "line 3, column 9: the type of a metric is expected"},
        {"# TYPE a\n", "line 1, column 9: the type of a metric is expected"},
        {"# TYPE a  gauge\n", "line 1, column 9: the type of a metric is expected"},
        {"# TYPE a gauge \n", "line 1, column 9: the type of a metric is expected"},
        {"# TYPE a info\n", "line 1, column 9: the type of a metric is expected"},
        {"# TYPE #\n", "line 1, column 8: a metric's name is expected"},
        {"# HELP a \xff\n", "line 1, column 9: the help text is not valid UTF-8"},
    };
    check_refused(t, EXPOSITION_TEXT, (ExpositionOptions){0}, rows, COUNT(rows));
}

TEST(what_push_takes_beyond_the_format_is_an_option) {
    ExpositionOptions generous = {.generous = true};
    static const PageRow rows[] = {
        {"up 1\r\n\r\nup 2 -7\r\n# TYPE a gauge\r\n# HELP a b\r\n",
         "up 1\nup 2 @-7\ntype a 2\nhelp a [b]\n"},
        {"a{b=\"\\t\\r\\x41\\x0a\"} 1\r", "a{b=\"\\t\\rA\\n\"} 1\n"},
    };
    check_pages(t, EXPOSITION_TEXT, generous, rows, COUNT(rows));
    static const PageRow refused[] = {
        {"a{b=\"\\q\"} 1", "line 1, column 6: an escape that is not known"},
        {"a{b=\"\\x1\"} 1", "line 1, column 6: an escape that is not known"},
        {"a{b=\"two\nlines\"} 1", "line 1, column 5: the closing quote is missing"},
        {"a 1 +5", "line 1, column 5: the time is negative or has a sign"},
        {"a 1 -", "line 1, column 5: the time is negative or has a sign"},
    };
    check_refused(t, EXPOSITION_TEXT, generous, refused, COUNT(refused));
}

TEST(labels_that_cannot_be_are_refused_when_they_are_made) {
    static const PageRow rows[] = {
        {"a 1\na{b=\"1\",b=\"2\"} 1", "a 1\nlabels: line 2, column 1: label \"b\" stands twice\n"},
        {"a{__name__=\"b\"} 1", "labels: line 1, column 1: label \"__name__\" stands twice\n"},
        {"a{\"\"=\"b\"} 1", "labels: line 1, column 1: the name of a metric or label is empty\n"},
        {"{\"\"} 1", "labels: line 1, column 1: the name of the metric is empty\n"},
        {"{\"\xff\"} 1", "labels: line 1, column 1: the value of a label is not valid UTF-8\n"},
        {"{\"a\",\"\xff\"=\"1\"} 1",
         "labels: line 1, column 1: the name of a label is not valid UTF-8\n"},
    };
    check_pages(t, EXPOSITION_TEXT, (ExpositionOptions){0}, rows, COUNT(rows));
}

TEST(ten_thousand_labels_or_an_endless_line_are_too_much) {
    AUTO(builder_free) Builder body = {0};
    builder_add(&body, TEXT("a{"));
    for (int i = 0; i < 1000; i++) builder_addf(&body, "l%d=\"v\",", i);
    builder_add(&body, TEXT("} 1\n"));
    Text actual = shown(t, EXPOSITION_TEXT, (ExpositionOptions){0}, builder_text(&body));
    check(t, text_find(actual, TEXT("more labels than SERIES_LABELS")) > 0);
    check(t, t->err->code == ERROR_TOO_LARGE);

    builder_clear(&body);
    builder_add(&body, TEXT("a{"));
    for (int i = 0; i < 10000; i++) builder_addf(&body, "l%d=\"v\",", i);
    builder_add(&body, TEXT("} 1\n"));
    actual = shown(t, EXPOSITION_TEXT, (ExpositionOptions){0}, builder_text(&body));
    check(t, text_starts_with(actual, TEXT("error: line 1, column 1: the line is longer than "
                                           "EXPOSITION_LINE_BYTES")));
    check(t, t->err->code == ERROR_TOO_LARGE);
}

TEST(bounds_are_written_as_openmetrics_does) {
    static const char page[] =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1000000\"} 1\n"
        "h_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"x\",quantile=\"1\"} 1\nh_bucket{le=\"-0\"} 1\n"
        "# TYPE s summary\ns{quantile=\"1\"} 1\ns{quantile=\"0.5\",le=\"1\"} 1\n"
        "# TYPE g gauge\ng{le=\"1\"} 1\n";
    static const PageRow rows[] = {
        {page,
         "type h 3\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"1e+06\"} 1\nh_bucket{le=\"+Inf\"} 1\n"
         "h_bucket{le=\"x\", quantile=\"1\"} 1\nh_bucket{le=\"0.0\"} 1\n"
         "type s 5\ns{quantile=\"1.0\"} 1\ns{le=\"1\", quantile=\"0.5\"} 1\n"
         "type g 2\ng{le=\"1\"} 1\n"},
    };
    check_pages(t, EXPOSITION_TEXT, (ExpositionOptions){0}, rows, COUNT(rows));
    static const PageRow written[] = {
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", "type h 3\nh_bucket{le=\"1\"} 1\n"}};
    check_pages(t, EXPOSITION_TEXT, (ExpositionOptions){.bounds_as_written = true}, written,
                COUNT(written));
}

TEST(any_nan_is_the_ordinary_one) {
    Exposition page = {0};
    ExpositionRow row;
    exposition_begin(&page, EXPOSITION_TEXT, (ExpositionOptions){0}, TEXT("a NaN"));
    check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
    check(t, double_bits(row.value) == UINT64_C(0x7ff8000000000001));
}

// ---- OpenMetrics ----

TEST(lines_of_openmetrics_are_read) {
    static const PageRow rows[] = {
        {"# EOF", ""},
        {"# EOF\n", ""},
        {"up 1\n# EOF\n", "up 1\n"},
        {"up 1 1700000000.5\na{b=\"c\",} 2 -1.5\n# EOF\n",
         "up 1 @1700000000500\na{b=\"c\"} 2 @-1500\n"},
        {"# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds q \\\" \\\\ \\n\n"
         "a_seconds_total 1\n# EOF\n",
         "type a_seconds 1\nunit a_seconds [seconds]\nhelp a_seconds [q \" \\ \n]\n"
         "a_seconds_total 1\n"},
        {"# HELP a \n# UNIT a \n# EOF\n", "help a []\nunit a []\n"},
        {"# TYPE a info\n# TYPE b stateset\n# TYPE c unknown\n# TYPE d gaugehistogram\n# EOF",
         "type a 6\ntype b 7\ntype c 0\ntype d 4\n"},
        {"a 1 # {} 2\na 1 # {trace_id=\"x\"} 0.5 1.25\na 1 5 # {t=\"x\",a=\"y\"} -1\n# EOF\n",
         "a 1 # {} 2\na 1 # {trace_id=\"x\"} 0.5 @1250\na 1 @5000 # {a=\"y\", t=\"x\"} -1\n"},
        {"a 1 # {a=\"1\",a=\"2\"} 2\n# EOF\n",
         "a 1 exemplar: line 1, column 7: label \"a\" stands twice\n"},
        {"{\"a b\",\"c d\"=\"e\"} 1\n# EOF\n", "{\"a b\", \"c d\"=\"e\"} 1\n"},
        {"a_created 5\n# EOF\n", "a_created 5\n"},
    };
    check_pages(t, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, rows, COUNT(rows));
}

TEST(faults_in_openmetrics_are_named_with_line_and_column) {
    static const PageRow rows[] = {
        {"", "line 1, column 1: the page does not end with \"# EOF\""},
        {"a 1\n", "line 2, column 1: the page does not end with \"# EOF\""},
        {"a 1", "line 1, column 4: the page does not end with \"# EOF\""},
        {"# TYPE a gauge", "line 1, column 15: the page does not end with \"# EOF\""},
        {"# EOF\n\n", "line 2, column 1: nothing is expected behind \"# EOF\""},
        {"# EOFx", "line 1, column 6: nothing is expected behind \"# EOF\""},
        {"# EOF \n", "line 1, column 6: nothing is expected behind \"# EOF\""},
        {"\n# EOF\n", "line 1, column 1: OpenMetrics has no empty lines"},
        {"# a comment\n# EOF\n", "line 1, column 3: TYPE, HELP, UNIT or EOF is expected"},
        {"#\n# EOF\n", "line 1, column 2: a space is expected behind '#'"},
        {"# HELP a\n# EOF\n", "line 1, column 9: a space is expected behind the metric's name"},
        {"# TYPE a untyped\n# EOF\n", "line 1, column 10: the type of a metric is expected"},
        {"# UNIT a_seconds meters\n# EOF\n", "line 1, column 18: the metric's name does not end"},
        {"# UNIT seconds seconds\n# EOF\n", "line 1, column 16: the metric's name does not end"},
        {" a 1\n# EOF\n", "line 1, column 1: a metric's name is expected"},
        {"a  1\n# EOF\n", "line 1, column 3: the value is missing, behind exactly one space"},
        {"a 1 \n# EOF\n", "line 1, column 5: the time is not a number of seconds"},
        {"a\t1\n# EOF\n", "line 1, column 2: the value is missing, behind exactly one space"},
        {"a {b=\"c\"} 1\n# EOF\n", "line 1, column 3: the value is not a number"},
        {"a{b=\"c\" } 1\n# EOF\n", "line 1, column 8: ',' or '}' is expected"},
        {"a{b=\"c\", d=\"e\"} 1\n# EOF\n", "line 1, column 9: a label's name or '}' is expected"},
        {"a{b=\"c\"d=\"e\"} 1\n# EOF\n", "line 1, column 8: ',' or '}' is expected"},
        {"a{b=\"two\nlines\"} 1\n# EOF\n", "line 1, column 5: the closing quote is missing"},
        {"a 1 x\n# EOF\n", "line 1, column 5: the time is not a number of seconds"},
        {"a 1 NaN\n# EOF\n", "line 1, column 5: the time is not a number of seconds"},
        {"a 1 +Inf\n# EOF\n", "line 1, column 5: the time is not a number of seconds"},
        {"a 1 1e300\n# EOF\n", "line 1, column 5: the time is not a number of seconds"},
        {"a 1 1 2\n# EOF\n", "line 1, column 6: the end of the line"},
        {"a 1 # {b=\"c\"}\n# EOF\n", "line 1, column 14: the value is missing"},
        {"a 1 # {\"b\"} 1\n# EOF\n", "line 1, column 11: '=' is expected"},
        {"a 1 # {b=\"c\"} 1 2 3\n# EOF\n", "line 1, column 18: the end of the line"},
        {"a 1 # {b=\"c\"} 1 Inf\n# EOF\n", "line 1, column 17: the time is not"},
        {"a 1 #{b=\"c\"} 1\n# EOF\n", "line 1, column 5: the time is not a number of seconds"},
        {"a 1\r\n# EOF\n", "line 1, column 3: the value is not a number"},
    };
    check_refused(t, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, rows, COUNT(rows));
}

TEST(start_times_are_found_ahead_and_are_no_rows) {
    static const PageRow rows[] = {
        {"# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 1.5\n"
         "a_total{x=\"2\"} 6\na_total{x=\"3\"} 7\na_created{x=\"3\"} 3\n"
         "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n"
         "h_created 9\n# TYPE g gauge\ng_created 1\ng 1\n# EOF\n",
         "type a 1\na_total{x=\"1\"} 5 from 1500\na_total{x=\"2\"} 6\n"
         "a_total{x=\"3\"} 7 from 3000\ntype h 3\nh_bucket{le=\"1.0\"} 1 from 9000\n"
         "h_bucket{le=\"+Inf\"} 2 from 9000\nh_count 2 from 9000\n"
         "type g 2\ng_created 1\ng 1\n"},
        // Quantiles do not count; nor is that of other labels taken.
        {"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\ns_sum{x=\"1\"} 4\n"
         "s_created 5\n# EOF\n",
         "type s 5\ns{quantile=\"0.5\"} 1\ns_sum 2 from 5000\ns_count 3 from 5000\n"
         "s_sum{x=\"1\"} 4\n"},
        // Another family begins without saying so.
        {"# TYPE a counter\na_total 5\nb_total 1\na_created 1\n# EOF\n",
         "type a 1\na_total 5\nb_total 1\n"},
        {"# TYPE a.b counter\n# EOF\n",
         "error: line 1, column 9: a space is expected behind the metric's name\n"},
        {"# TYPE \"a.b\" counter\n{\"a.b_total\"} 5\n{\"a.b_created\"} 1\n# EOF\n",
         "type a.b 1\n{\"a.b_total\"} 5 from 1000\n"},
    };
    check_pages(t, EXPOSITION_OPENMETRICS, (ExpositionOptions){.start_times = true}, rows,
                COUNT(rows));
}

TEST(start_times_are_found_ahead_where_they_are_rows_too) {
    static const PageRow rows[] = {
        {"# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 1.5\n# EOF\n",
         "type a 1\na_total{x=\"1\"} 5 from 1500\na_created{x=\"1\"} 1.5\n"},
    };
    check_pages(t, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, rows, COUNT(rows));
}

// All counters first, all their starts behind them: looking for each would be the square of it, and
// this test would take minutes.
TEST(a_page_that_is_not_in_order_is_not_looked_through_for_ever) {
    AUTO(builder_free) Builder body = {0};
    enum { ROWS = 50000 };
    builder_add(&body, TEXT("# TYPE a counter\n"));
    for (int i = 0; i < ROWS; i++) builder_addf(&body, "a_total{i=\"%d\"} 1\n", i);
    for (int i = 0; i < ROWS; i++) builder_addf(&body, "a_created{i=\"%d\"} 1\n", ROWS - i);
    builder_add(&body, TEXT("# EOF\n"));
    Exposition page = {0};
    ExpositionRow row;
    exposition_begin(&page, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, builder_text(&body));
    int64_t start_ms, looked = 0;
    for (;;) {
        check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
        if (row.kind == EXPOSITION_END) break;
        looked += row.kind == EXPOSITION_SERIES && !exposition_start(&page, &row, &start_ms);
    }
    check(t, looked > ROWS);
    exposition_free(&page);
}

// Each fault names its line; counting from the first one every time would take minutes here.
TEST(a_page_full_of_faults_is_counted_once) {
    AUTO(builder_free) Builder body = {0};
    enum { LINES = 100000 };
    for (int i = 0; i < LINES; i++)
        builder_add(&body, TEXT("a{a=\"1\",a=\"2\",some_label=\"some value\"} 1\n"));
    Exposition page = {0};
    ExpositionRow row;
    Labels labels;
    exposition_begin(&page, EXPOSITION_TEXT, (ExpositionOptions){0}, builder_text(&body));
    for (int i = 0; i < LINES; i++) {
        check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
        check_error(t, exposition_labels(&page, &row, t->arena, &labels, t->err), ERROR_BAD_INPUT);
        if (i % 1000 == 0) arena_clear(t->arena);
    }
    check(t, strstr(t->err->message, "line 100000, column 1: ") != NULL);
}

// ---- Known rows ----

TEST(known_rows_are_recognised_and_others_are_not) {
    static const struct {
        const char *page, *expected;
        bool known;
    } rows[] = {
        {"up 1", "up", true},
        {"up  1", "up", true},
        {"up{} 1", "up", false},
        {"up {} 1", "up", false},
        {"ups 1", "up", false},
        {"up 1", "ups", false},
        {"a{b=\"c\"} 1", "a{b=\"c\"}", true},
        {"a{b=\"c\"}1", "a{b=\"c\"}", true},
        {"a{b=\"d\"} 1", "a{b=\"c\"}", false},
        {" \ta{b=\"c\"} 1", "a{b=\"c\"}", true},
        {"# HELP a b", "# HELP a b", true},
        {"# HELP a bc", "# HELP a b", false},
        {"# TYPE a gauge\n", "# TYPE a gauge", true},
        {"up 1", "", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Exposition page = {0};
        ExpositionRow row;
        exposition_begin(&page, EXPOSITION_TEXT, (ExpositionOptions){0},
                         text_from_cstring(rows[i].page));
        check_ok(t, exposition_next(&page, text_from_cstring(rows[i].expected), &row, t->err));
        if (row.known != rows[i].known)
            check_failed(t, __FILE__, __LINE__, "%s with %s expected: known is %d", rows[i].page,
                         rows[i].expected, row.known);
        check(t, row.kind != EXPOSITION_SERIES || row.value == 1);
        check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
        check(t, row.kind == EXPOSITION_END);
    }
}

TEST(a_known_type_still_says_how_bounds_are_written) {
    Exposition page = {0};
    ExpositionRow row;
    Labels labels;
    exposition_begin(&page, EXPOSITION_TEXT, (ExpositionOptions){0},
                     TEXT("# TYPE h histogram\nh_bucket{le=\"1\"} 2\n"));
    check_ok(t, exposition_next(&page, TEXT("# TYPE h histogram"), &row, t->err));
    check(t, row.known && row.type == METADATA_HISTOGRAM);
    check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
    check_ok(t, exposition_labels(&page, &row, t->arena, &labels, t->err));
    check_text(t, TEXT("1.0"), labels_get(labels, TEXT("le")));
}

// ---- Formats ----

TEST(the_format_is_chosen_by_the_media_type_or_the_fallback) {
    static const struct {
        const char *type;
        ExpositionFormat fallback, format;  // NONE: refused
    } rows[] = {
        {"text/plain", EXPOSITION_NONE, EXPOSITION_TEXT},
        {"text/plain; version=0.0.4; charset=utf-8", EXPOSITION_OPENMETRICS, EXPOSITION_TEXT},
        {"Text/Plain;version=1.0.0", EXPOSITION_NONE, EXPOSITION_TEXT},
        {"application/openmetrics-text; version=1.0.0", EXPOSITION_NONE, EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text; version=0.0.1; charset=utf-8", EXPOSITION_NONE,
         EXPOSITION_OPENMETRICS},
        {"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
         "encoding=delimited",
         EXPOSITION_NONE, EXPOSITION_PROTOBUF},
        {"", EXPOSITION_NONE, EXPOSITION_NONE},
        {"", EXPOSITION_TEXT, EXPOSITION_TEXT},
        {"text/html", EXPOSITION_NONE, EXPOSITION_NONE},
        {"text/html", EXPOSITION_OPENMETRICS, EXPOSITION_OPENMETRICS},
        {"/", EXPOSITION_TEXT, EXPOSITION_TEXT},
        {"text plain", EXPOSITION_NONE, EXPOSITION_NONE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        ExpositionFormat format = EXPOSITION_NONE;
        bool chosen =
            exposition_choose(text_from_cstring(rows[i].type), rows[i].fallback, &format, t->err);
        check(t, chosen == (rows[i].format != EXPOSITION_NONE));
        check_i64(t, rows[i].format, format);
        if (!chosen) check(t, strstr(t->err->message, "fallback_scrape_protocol") != NULL);
    }
}

TEST(the_format_of_an_answer_is_what_was_asked_for) {
    static const struct {
        const char *accept;
        ExpositionFormat format;
    } rows[] = {
        {"", EXPOSITION_TEXT},
        {"*/*", EXPOSITION_TEXT},
        {"text/html,application/xhtml+xml,*/*;q=0.8", EXPOSITION_TEXT},
        {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version="
         "0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         EXPOSITION_OPENMETRICS},
        {"text/plain;version=0.0.4;q=0.5, application/openmetrics-text; q=0.1", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=x", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0", EXPOSITION_TEXT},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_i64(t, rows[i].format, exposition_accept(text_from_cstring(rows[i].accept)));
}

TEST(the_format_of_a_file_is_guessed) {
    static const struct {
        Text body;
        ExpositionFormat format;
    } rows[] = {
        {TEXT_INIT(""), EXPOSITION_TEXT},
        {TEXT_INIT("\n\nup 1"), EXPOSITION_TEXT},
        {TEXT_INIT("up 1\n"), EXPOSITION_TEXT},
        {TEXT_INIT("up 1\n# EOF\n"), EXPOSITION_OPENMETRICS},
        {TEXT_INIT("# EOF"), EXPOSITION_OPENMETRICS},
        {TEXT_INIT("\x04\x0a\x02up"), EXPOSITION_PROTOBUF},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_i64(t, rows[i].format, exposition_guess(rows[i].body));
}

// ---- Printing ----

TEST(families_are_printed_in_both_formats) {
    Label pairs[] = {{LABEL_NAME, TEXT("jobs_total")}, {TEXT("a b"), TEXT("q\"\\\n\t")}};
    Labels labels, trace;
    Label id = {TEXT("trace_id"), TEXT("x")};
    check_ok(t, labels_make(pairs, 2, t->arena, &labels, t->err));
    check_ok(t, labels_make(&id, 1, t->arena, &trace, t->err));
    ExpositionExemplar exemplar = {trace, 0.5, true, 1500};
    int64_t time_ms = INT64_C(1099000000123);
    static const struct {
        ExpositionFormat format;
        const char *page;
    } formats[] = {
        {EXPOSITION_TEXT,
         "# HELP jobs_total Done \"or\" not\\\\\\n.\n# TYPE jobs_total counter\n"
         "jobs_total{\"a b\"=\"q\\\"\\\\\\n\t\"} 1e+06 1099000000123\n"
         "# TYPE odd counter\n# TYPE h histogram\n{\"odd one\"} NaN\n"},
        {EXPOSITION_OPENMETRICS,
         "# HELP jobs Done \\\"or\\\" not\\\\\\n.\n# TYPE jobs counter\n"
         "jobs_total{\"a b\"=\"q\\\"\\\\\\n\t\"} 1e+06 1099000000.1235 # {trace_id=\"x\"} 0.5 1.5\n"
         "# TYPE odd unknown\n# TYPE h gaugehistogram\n{\"odd one\"} NaN\n# EOF\n"},
    };
    for (size_t i = 0; i < COUNT(formats); i++) {
        AUTO(builder_free) Builder out = {0};
        ExpositionPrinter printer = {formats[i].format, &out};
        exposition_print_family(printer, TEXT("jobs_total"), METADATA_COUNTER,
                                TEXT("Done \"or\" not\\\n."), TEXT("x"));
        exposition_print_series(printer, labels, 1e6, &time_ms, &exemplar);
        exposition_print_family(printer, TEXT("odd"), METADATA_COUNTER, TEXT_NONE, TEXT_NONE);
        exposition_print_family(printer, TEXT("h"), METADATA_GAUGE_HISTOGRAM, TEXT_NONE, TEXT_NONE);
        Labels odd;
        Label name = {LABEL_NAME, TEXT("odd one")};
        check_ok(t, labels_make(&name, 1, t->arena, &odd, t->err));
        exposition_print_series(printer, odd, NAN, NULL, NULL);
        exposition_print_end(printer);
        check_text(t, text_from_cstring(formats[i].page), builder_text(&out));
    }
}

TEST(seconds_come_back_as_the_same_milliseconds) {
    uint64_t random = t->seed;
    Label name = {LABEL_NAME, TEXT("a")};
    Labels labels;
    check_ok(t, labels_make(&name, 1, t->arena, &labels, t->err));
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = test_random(&random) >> (14 + test_random(&random) % 50);
        int64_t ms = (i & 1) != 0 ? (int64_t)bits : -(int64_t)bits, again;
        AUTO(builder_free) Builder out = {0};
        ExpositionPrinter printer = {EXPOSITION_OPENMETRICS, &out};
        exposition_print_series(printer, labels, 1, &ms, NULL);
        Exposition page = {0};
        ExpositionRow row;
        exposition_begin(&page, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, builder_text(&out));
        check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
        again = row.time_ms;
        check_i64(t, ms, again);
    }
}

// ---- Pages of others ----

static Text read_page(Test *t, const char *folder, const char *name) {
    Text path = text_format(t->arena, "%.*s/%s", TEXT_ARG(test_data_folder(t, folder)), name);
    Bytes content;
    check_ok(t, disk_read_whole(disk_real(), path, 16 * MB, t->arena, &content, t->err));
    if (compression_by_magic(content) != COMPRESSION_ZSTD) return bytes_text(content);
    AUTO(builder_free) Builder plain = {0};
    check_ok(t, decompress(COMPRESSION_ZSTD, content, 64 * MB, &plain, t->err));
    return text_copy(builder_text(&plain), t->arena);
}

TEST(pages_of_prometheus_are_read_and_survive_printing) {
    static const struct {
        const char *folder, *name;
        ExpositionFormat format;
        const char *error;
        size_t rows;  // with the end
    } pages[] = {
        {"exposition", "alltypes.237mfs.prom.txt.zst", EXPOSITION_TEXT, NULL, 2332},
        {"exposition", "alltypes.237mfs.nometa.prom.txt.zst", EXPOSITION_TEXT, NULL, 1858},
        {"exposition", "alltypes.5mfs.om.txt", EXPOSITION_OPENMETRICS, NULL, 0},
        {"exposition", "1histogram.om.txt", EXPOSITION_OPENMETRICS, NULL, 0},
        {"exposition/promtool", "metrics-test.prom", EXPOSITION_TEXT, NULL, 0},
        {"exposition/promtool", "dump-openmetrics-test.prom", EXPOSITION_OPENMETRICS, NULL, 11},
        {"exposition/promtool", "dump-openmetrics-roundtrip-test.prom", EXPOSITION_OPENMETRICS,
         NULL, 15},
        // A dump of series is no exposition: the name stands among the labels.
        {"exposition/promtool", "dump-test-1.prom", EXPOSITION_TEXT,
         "line 1, column 1: the metric has no name", 0},
        {"exposition/promtool", "dump-series-1.prom", EXPOSITION_TEXT, "line 1, column ", 0},
        {"exposition/promtool", "dump-openmetrics-test.prom", EXPOSITION_TEXT,
         "line 1, column 35: the time is not a whole number", 0},
        {"exposition/promtool", "metrics-test.prom", EXPOSITION_OPENMETRICS,
         "the page does not end", 0},
    };
    for (size_t i = 0; i < COUNT(pages); i++) {
        Text body = read_page(t, pages[i].folder, pages[i].name);
        // Pieces of pages, made for benchmarks, have no end.
        bool cut = pages[i].format == EXPOSITION_OPENMETRICS && pages[i].error == NULL &&
                   text_find(body, TEXT("# EOF")) < 0;
        if (cut) body = text_format(t->arena, "%.*s# EOF\n", TEXT_ARG(body));
        ExpositionOptions options = {0};
        AUTO(builder_free) Builder out = {0};
        size_t rows;
        bool read = round_trip_print_page(pages[i].format, options, body, t->arena, &out, &rows);
        if (pages[i].error != NULL) {
            Text actual = shown(t, pages[i].format, options, body);
            check(t, !read && text_find(actual, text_from_cstring(pages[i].error)) > 0);
            continue;
        }
        if (!read) check_text(t, TEXT(""), shown(t, pages[i].format, options, body));
        if (pages[i].rows > 0) check_i64(t, pages[i].rows, rows);
        check_i64(t, 0,
                  round_trip_compare(pages[i].format, options, body, builder_text(&out), t->arena));
        check(t, round_trip_known(pages[i].format, options, body));
    }
}

// Whatever is cut off, the page is refused or begins with the same rows.
TEST(every_truncation_is_refused_or_a_beginning) {
    static const char page[] =
        "# HELP a b\\n\n# TYPE a counter\na_total{x=\"\xc3\xa4\\\"\",y=\"2\"} 1.5 12 # {t=\"1\"} 2 "
        "3\na_total 7\n# EOF\n";
    Text whole = shown(t, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, text_from_cstring(page));
    check(t, text_find(whole, TEXT("error")) < 0);
    for (size_t len = 0; len + 1 < sizeof page - 1; len++) {
        Text cut = shown(t, EXPOSITION_OPENMETRICS, (ExpositionOptions){0}, (Text){page, len});
        ptrdiff_t error = text_find(cut, TEXT("error: line "));
        check(t, error >= 0 && text_starts_with(whole, text_slice(cut, 0, (size_t)error)));
    }
}

TEST_MAIN(
    "ingest/scrape/exposition", CASE(lines_of_text_are_read),
    CASE(faults_in_text_are_named_with_line_and_column),
    CASE(what_push_takes_beyond_the_format_is_an_option),
    CASE(labels_that_cannot_be_are_refused_when_they_are_made),
    CASE(ten_thousand_labels_or_an_endless_line_are_too_much),
    CASE(bounds_are_written_as_openmetrics_does), CASE(any_nan_is_the_ordinary_one),
    CASE(lines_of_openmetrics_are_read), CASE(faults_in_openmetrics_are_named_with_line_and_column),
    CASE(start_times_are_found_ahead_and_are_no_rows),
    CASE(start_times_are_found_ahead_where_they_are_rows_too),
    CASE(a_page_that_is_not_in_order_is_not_looked_through_for_ever),
    CASE(a_page_full_of_faults_is_counted_once), CASE(known_rows_are_recognised_and_others_are_not),
    CASE(a_known_type_still_says_how_bounds_are_written),
    CASE(the_format_is_chosen_by_the_media_type_or_the_fallback),
    CASE(the_format_of_a_file_is_guessed), CASE(the_format_of_an_answer_is_what_was_asked_for),
    CASE(families_are_printed_in_both_formats), CASE(seconds_come_back_as_the_same_milliseconds),
    CASE(pages_of_prometheus_are_read_and_survive_printing),
    CASE(every_truncation_is_refused_or_a_beginning))
