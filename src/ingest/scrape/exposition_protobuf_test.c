// Tests of protobuf pages: the rows of every type of metric, native histograms to the wire and
// back, exemplars, start times, and what is refused.

#include "base/limits.h"
#include "base/test.h"
#include "codec/number.h"
#include "codec/protobuf.h"
#include "ingest/scrape/exposition_round_trip.h"

// ---- Writing pages ----

typedef struct PageWriter {
    Builder page, family;
    size_t metric, value;
} PageWriter;

static void writer_free(PageWriter *writer) {
    builder_free(&writer->page);
    builder_free(&writer->family);
}

static void family_begin(PageWriter *writer, const char *name, uint64_t type) {
    builder_clear(&writer->family);
    protobuf_add_text(&writer->family, 1, text_from_cstring(name));
    protobuf_add_text(&writer->family, 2, TEXT("help"));
    protobuf_add_varint(&writer->family, 3, type);
}

static void family_end(PageWriter *writer) {
    writer_varint(&writer->page, writer->family.len);
    builder_add(&writer->page, builder_text(&writer->family));
}

static void add_pair(Builder *out, uint32_t number, const char *name, const char *value) {
    size_t pair = protobuf_begin(out, number);
    protobuf_add_text(out, 1, text_from_cstring(name));
    protobuf_add_text(out, 2, text_from_cstring(value));
    protobuf_end(out, pair);
}

// `field` of Metric holds the value: 2 gauge, 3 counter, 4 summary, 5 untyped, 7 histogram.
static Builder *metric_begin(PageWriter *writer, uint32_t field, const char *label) {
    writer->metric = protobuf_begin(&writer->family, 4);
    if (label != NULL) add_pair(&writer->family, 1, "a", label);
    writer->value = protobuf_begin(&writer->family, field);
    return &writer->family;
}

static void metric_end(PageWriter *writer, int64_t time_ms) {
    protobuf_end(&writer->family, writer->value);
    if (time_ms != 0) protobuf_add_varint(&writer->family, 6, (uint64_t)time_ms);
    protobuf_end(&writer->family, writer->metric);
}

static void add_time(Builder *out, uint32_t number, int64_t seconds, int64_t nanos) {
    size_t time = protobuf_begin(out, number);
    protobuf_add_varint(out, 1, (uint64_t)seconds);
    protobuf_add_varint(out, 2, (uint64_t)nanos);
    protobuf_end(out, time);
}

static void add_exemplar(Builder *out, uint32_t number, const char *trace, bool with_time) {
    size_t exemplar = protobuf_begin(out, number);
    add_pair(out, 1, "trace_id", trace);
    protobuf_add_double(out, 2, 0.5);
    if (with_time) add_time(out, 3, 100, 250999999);
    protobuf_end(out, exemplar);
}

static void add_bucket(Builder *out, double bound, uint64_t count, const char *trace) {
    size_t bucket = protobuf_begin(out, 3);
    protobuf_add_varint(out, 1, count);
    protobuf_add_double(out, 2, bound);
    if (trace != NULL) add_exemplar(out, 3, trace, true);
    protobuf_end(out, bucket);
}

static void add_span(Builder *out, uint32_t number, int32_t offset, uint32_t length) {
    size_t span = protobuf_begin(out, number);
    protobuf_add_sint(out, 1, offset);
    protobuf_add_varint(out, 2, length);
    protobuf_end(out, span);
}

// 2 + 4 + 3 observations in buckets, one in the zero bucket; classic buckets beside them.
static void native_metric(PageWriter *writer, bool exemplars) {
    Builder *out = metric_begin(writer, 7, "n");
    protobuf_add_varint(out, 1, 10);
    protobuf_add_double(out, 2, 12.5);
    add_bucket(out, 0.5, 3, "b");
    protobuf_add_sint(out, 5, 3);
    protobuf_add_double(out, 6, 1e-3);
    protobuf_add_varint(out, 7, 1);
    add_span(out, 9, -5, 1);
    protobuf_add_sint(out, 10, 2);
    add_span(out, 12, 1, 0);  // joins the next one
    add_span(out, 12, 1, 1);
    add_span(out, 12, 0, 1);
    size_t packed = protobuf_begin(out, 13);
    writer_zigzag(out, 4);
    writer_zigzag(out, -1);
    protobuf_end(out, packed);
    if (exemplars) {
        add_exemplar(out, 16, "no time", false);
        add_exemplar(out, 16, "x", true);
        add_exemplar(out, 16, "y", true);
    }
    metric_end(writer, 77);
}

// ---- Reading them ----

static void show_exemplars(Test *t, Exposition *page, const ExpositionRow *row, Builder *out) {
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        check_ok(t, exposition_exemplar(page, row, i, t->arena, &exemplar, t->err));
        builder_add(out, TEXT(" # "));
        labels_print(exemplar.labels, out);
        if (exemplar.has_time) builder_addf(out, " @%lld", (long long)exemplar.time_ms);
    }
}

static void show_row(Test *t, Exposition *page, const ExpositionRow *row, Builder *out) {
    if (row->kind != EXPOSITION_SERIES && row->kind != EXPOSITION_HISTOGRAM) {
        builder_addf(out, "%d %.*s [%.*s] %d\n", row->kind,
                     TEXT_ARG(exposition_family(page, row, t->arena)),
                     TEXT_ARG(exposition_text(page, row, t->arena)), row->type);
        return;
    }
    Labels labels;
    check_ok(t, exposition_labels(page, row, t->arena, &labels, t->err));
    labels_print(labels, out);
    if (row->kind == EXPOSITION_SERIES) {
        char number[NUMBER_TEXT_MAX];
        builder_addf(out, " %.*s", (int)number_format_general(row->value, number), number);
    } else {
        builder_add(out, TEXT(" native"));
    }
    if (row->has_time) builder_addf(out, " @%lld", (long long)row->time_ms);
    int64_t start_ms;
    if (exposition_start(page, row, &start_ms))
        builder_addf(out, " from %lld", (long long)start_ms);
    show_exemplars(t, page, row, out);
    builder_add_char(out, '\n');
}

static Text shown(Test *t, Text body, ExpositionOptions options) {
    AUTO(builder_free) Builder out = {0};
    Exposition page = {0};
    exposition_begin(&page, EXPOSITION_PROTOBUF, options, body);
    ExpositionRow row;
    bool fine;
    while ((fine = exposition_next(&page, TEXT_NONE, &row, t->err)) && row.kind != EXPOSITION_END)
        show_row(t, &page, &row, &out);
    if (!fine) builder_addf(&out, "error: %s\n", t->err->message);
    exposition_free(&page);
    return text_copy(builder_text(&out), t->arena);
}

static Text page_text(const PageWriter *writer) {
    return builder_text(&writer->page);
}

TEST(every_type_of_metric_gives_the_rows_of_the_text) {
    AUTO(writer_free) PageWriter writer = {0};
    Builder *out;
    family_begin(&writer, "c_total", 0);
    out = metric_begin(&writer, 3, "1");
    protobuf_add_double(out, 1, 5);
    add_exemplar(out, 2, "x", false);
    add_time(out, 3, 12, 500000000);
    metric_end(&writer, 0);
    metric_begin(&writer, 3, "2");
    metric_end(&writer, -9);
    family_end(&writer);

    family_begin(&writer, "empty", 1);
    family_end(&writer);

    family_begin(&writer, "s_seconds", 2);
    protobuf_add_text(&writer.family, 5, TEXT("seconds"));
    out = metric_begin(&writer, 4, NULL);
    protobuf_add_varint(out, 1, 3);
    protobuf_add_double(out, 2, 4.5);
    size_t quantile = protobuf_begin(out, 3);
    protobuf_add_double(out, 1, 1);
    protobuf_add_double(out, 2, NAN);
    protobuf_end(out, quantile);
    metric_end(&writer, 0);
    family_end(&writer);

    family_begin(&writer, "h", 4);
    out = metric_begin(&writer, 7, NULL);
    protobuf_add_varint(out, 1, 6);
    protobuf_add_double(out, 2, 9);
    add_bucket(out, 1, 2, "x");
    add_bucket(out, 1e6, 4, NULL);
    metric_end(&writer, 0);
    out = metric_begin(&writer, 7, "inf");
    add_bucket(out, INFINITY, 4, NULL);
    metric_end(&writer, 0);
    family_end(&writer);

    family_begin(&writer, "u", 3);
    out = metric_begin(&writer, 5, "");
    protobuf_add_double(out, 1, 7);
    metric_end(&writer, 0);
    family_end(&writer);

    check_text(t,
               TEXT("2 c_total [help] 0\n1 c_total [counter] 1\n"
                    "c_total{a=\"1\"} 5 from 12500 # {trace_id=\"x\"}\nc_total{a=\"2\"} 0 @-9\n"
                    "2 s_seconds [help] 0\n3 s_seconds [seconds] 0\n1 s_seconds [summary] 5\n"
                    "s_seconds_count 3\ns_seconds_sum 4.5\ns_seconds{quantile=\"1.0\"} NaN\n"
                    "2 h [help] 0\n1 h [histogram] 3\nh_count 6\nh_sum 9\n"
                    "h_bucket{le=\"1.0\"} 2 # {trace_id=\"x\"} @100250\n"
                    "h_bucket{le=\"1e+06\"} 4\nh_bucket{le=\"+Inf\"} 6\n"
                    "h_count{a=\"inf\"} 0\nh_sum{a=\"inf\"} 0\n"
                    "h_bucket{a=\"inf\", le=\"+Inf\"} 4\n"
                    "2 u [help] 0\n1 u [unknown] 0\nu 7\n"),
               shown(t, page_text(&writer), (ExpositionOptions){0}));
    check(t, round_trip_known(EXPOSITION_PROTOBUF, (ExpositionOptions){0}, page_text(&writer)));
}

TEST(native_histograms_are_rows_with_or_without_the_classic_ones) {
    AUTO(writer_free) PageWriter writer = {0};
    family_begin(&writer, "n", 4);
    native_metric(&writer, true);
    native_metric(&writer, false);
    family_end(&writer);
    static const struct {
        ExpositionOptions options;
        const char *rows;
    } cases[] = {
        {{0},
         "n{a=\"n\"} native @77 # {trace_id=\"x\"} @100250 # {trace_id=\"y\"} @100250\n"
         "n{a=\"n\"} native @77 # {trace_id=\"b\"} @100250\n"},
        {{.classic_beside_native = true},
         "n{a=\"n\"} native @77 # {trace_id=\"x\"} @100250 # {trace_id=\"y\"} @100250\n"
         "n_count{a=\"n\"} 10 @77\nn_sum{a=\"n\"} 12.5 @77\n"
         "n_bucket{a=\"n\", le=\"0.5\"} 3 @77 # {trace_id=\"b\"} @100250\n"
         "n_bucket{a=\"n\", le=\"+Inf\"} 10 @77\n"
         "n{a=\"n\"} native @77 # {trace_id=\"b\"} @100250\n"
         "n_count{a=\"n\"} 10 @77\nn_sum{a=\"n\"} 12.5 @77\n"
         "n_bucket{a=\"n\", le=\"0.5\"} 3 @77 # {trace_id=\"b\"} @100250\n"
         "n_bucket{a=\"n\", le=\"+Inf\"} 10 @77\n"},
        {{.no_native = true},
         "n_count{a=\"n\"} 10 @77\nn_sum{a=\"n\"} 12.5 @77\n"
         "n_bucket{a=\"n\", le=\"0.5\"} 3 @77 # {trace_id=\"b\"} @100250\n"
         "n_bucket{a=\"n\", le=\"+Inf\"} 10 @77\n"
         "n_count{a=\"n\"} 10 @77\nn_sum{a=\"n\"} 12.5 @77\n"
         "n_bucket{a=\"n\", le=\"0.5\"} 3 @77 # {trace_id=\"b\"} @100250\n"
         "n_bucket{a=\"n\", le=\"+Inf\"} 10 @77\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Text expected = text_format(t->arena, "2 n [help] 0\n1 n [histogram] 3\n%s", cases[i].rows);
        check_text(t, expected, shown(t, page_text(&writer), cases[i].options));
    }
}

static NativeHistogram first_native(Test *t, Text body) {
    Exposition page = {0};
    exposition_begin(&page, EXPOSITION_PROTOBUF, (ExpositionOptions){0}, body);
    ExpositionRow row;
    do {
        check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
    } while (row.kind != EXPOSITION_HISTOGRAM && row.kind != EXPOSITION_END);
    check(t, row.kind == EXPOSITION_HISTOGRAM);
    AUTO(builder_free) Builder wire = {0};
    NativeHistogram again;
    native_histogram_write(row.histogram, &wire);
    Bytes kept = bytes_copy(text_bytes(builder_text(&wire)), t->arena);
    check_ok(t, native_histogram_read(kept, t->arena, &again, t->err));
    check(t, native_histogram_equal(row.histogram, &again));
    exposition_free(&page);
    return again;
}

TEST(native_histograms_go_to_the_wire_and_back) {
    static const HistogramSpan positive[] = {{2, 2}}, negative[] = {{-5, 1}};
    static const int64_t deltas[] = {4, -1}, two[] = {2};
    NativeHistogram stated = {.time_ms = 77,
                              .schema = 3,
                              .count = 10,
                              .sum = 12.5,
                              .zero_threshold = 1e-3,
                              .zero_count = 1,
                              .positive = {positive, 1, deltas, NULL, 2},
                              .negative = {negative, 1, two, NULL, 1}};
    AUTO(writer_free) PageWriter writer = {0};
    family_begin(&writer, "n", 4);
    native_metric(&writer, true);
    family_end(&writer);
    NativeHistogram actual = first_native(t, page_text(&writer));
    check(t, native_histogram_equal(&stated, &actual));

    // Floats, of a gauge; and one that holds nothing yet, which a span of no length says is native.
    AUTO(writer_free) PageWriter other = {0};
    family_begin(&other, "f", 5);
    Builder *out = metric_begin(&other, 7, NULL);
    protobuf_add_double(out, 4, 2.5);
    protobuf_add_double(out, 8, 1);
    add_span(out, 12, 0, 1);
    protobuf_add_double(out, 14, 1.5);
    metric_end(&other, 0);
    family_end(&other);
    actual = first_native(t, page_text(&other));
    check(t, actual.is_float && actual.count_float == 2.5 && actual.zero_count_float == 1 &&
                 actual.reset_hint == HISTOGRAM_RESET_GAUGE && actual.positive.counts[0] == 1.5);

    AUTO(writer_free) PageWriter nothing = {0};
    family_begin(&nothing, "e", 4);
    add_span(metric_begin(&nothing, 7, NULL), 12, 0, 0);
    metric_end(&nothing, 0);
    family_end(&nothing);
    actual = first_native(t, page_text(&nothing));
    check(t, actual.count == 0 && actual.positive.span_count == 0);
}

TEST(what_is_wrong_is_refused_naming_the_family) {
    AUTO(writer_free) PageWriter writer = {0};
    family_begin(&writer, "fine", 1);
    metric_begin(&writer, 2, NULL);
    metric_end(&writer, 0);
    family_end(&writer);
    size_t fine = writer.page.len;
    static const struct {
        const char *name, *unit;
        uint64_t type;
        const char *says;
    } rows[] = {
        {"", NULL, 1, "metric family 2 (): the name is missing"},
        {"\xff", NULL, 1, "metric family 2 (?): the name is missing or not valid UTF-8"},
        {"a", NULL, 6, "metric family 2 (a): a type that is not known"},
        {"a", "s", 1, "metric family 2 (a): the name does not end in an underscore and the unit"},
        {"a_s_total", "s", 1, "metric family 2 (a_s_total): the name does not end"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        writer.page.len = fine;
        family_begin(&writer, rows[i].name, rows[i].type);
        if (rows[i].unit != NULL)
            protobuf_add_text(&writer.family, 5, text_from_cstring(rows[i].unit));
        metric_begin(&writer, 2, NULL);
        metric_end(&writer, 0);
        family_end(&writer);
        Text actual = shown(t, page_text(&writer), (ExpositionOptions){0});
        check(t, text_find(actual, TEXT("fine 0\nerror: ")) > 0);
        if (text_find(actual, text_from_cstring(rows[i].says)) < 0)
            check_text(t, text_from_cstring(rows[i].says), actual);
    }
    // A native histogram whose parts do not agree.
    writer.page.len = fine;
    family_begin(&writer, "n", 4);
    protobuf_add_varint(metric_begin(&writer, 7, NULL), 7, 1);
    metric_end(&writer, 0);
    family_end(&writer);
    Text actual = shown(t, page_text(&writer), (ExpositionOptions){0});
    check(t, text_find(actual, TEXT("metric family 2: native histogram: the buckets count to 1, "
                                    "but the count is 0")) > 0);
    // A label twice.
    writer.page.len = 0;
    family_begin(&writer, "n", 1);
    size_t metric = protobuf_begin(&writer.family, 4);
    add_pair(&writer.family, 1, "a", "1");
    add_pair(&writer.family, 1, "a", "2");
    protobuf_end(&writer.family, metric);
    family_end(&writer);
    Exposition page = {0};
    ExpositionRow row;
    Labels labels;
    exposition_begin(&page, EXPOSITION_PROTOBUF, (ExpositionOptions){0}, page_text(&writer));
    for (int i = 0; i < 3; i++) check_ok(t, exposition_next(&page, TEXT_NONE, &row, t->err));
    check_error(t, exposition_labels(&page, &row, t->arena, &labels, t->err), ERROR_BAD_INPUT);
    check(t, strstr(t->err->message, "\"a\" stands twice") != NULL);
    exposition_free(&page);
}

TEST(every_truncation_is_refused_or_ends_between_families) {
    AUTO(writer_free) PageWriter writer = {0};
    family_begin(&writer, "c", 0);
    add_exemplar(metric_begin(&writer, 3, "1"), 2, "x", true);
    metric_end(&writer, 5);
    family_end(&writer);
    size_t first = writer.page.len;
    family_begin(&writer, "n", 4);
    native_metric(&writer, true);
    family_end(&writer);
    for (size_t len = 1; len < writer.page.len; len++) {
        char *exact = arena_push_raw(t->arena, len, 1);
        memcpy(exact, writer.page.at, len);
        Text actual =
            shown(t, (Text){exact, len}, (ExpositionOptions){.classic_beside_native = true});
        check(t, (text_find(actual, TEXT("error: metric family ")) < 0) == (len == first));
    }
}

TEST(a_flood_of_buckets_is_too_much) {
    AUTO(writer_free) PageWriter writer = {0};
    family_begin(&writer, "n", 4);
    Builder *out = metric_begin(&writer, 7, NULL);
    size_t packed = protobuf_begin(out, 13);
    for (int i = 0; i <= LIMIT_HISTOGRAM_BYTES; i++) writer_zigzag(out, 0);
    protobuf_end(out, packed);
    add_span(out, 12, 0, 1);
    metric_end(&writer, 0);
    family_end(&writer);
    Text actual = shown(t, page_text(&writer), (ExpositionOptions){0});
    check(t, text_find(actual, TEXT("passes HISTOGRAM_BYTES")) > 0);
    check(t, t->err->code == ERROR_TOO_LARGE);
}

TEST_MAIN("ingest/scrape/exposition_protobuf",
          CASE(every_type_of_metric_gives_the_rows_of_the_text),
          CASE(native_histograms_are_rows_with_or_without_the_classic_ones),
          CASE(native_histograms_go_to_the_wire_and_back),
          CASE(what_is_wrong_is_refused_naming_the_family),
          CASE(every_truncation_is_refused_or_ends_between_families),
          CASE(a_flood_of_buckets_is_too_much))
