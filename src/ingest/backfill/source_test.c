// Lines of JSON and OpenMetrics text as sources: what they give, what they refuse, going on from a
// place.

#include <math.h>

#include "base/test.h"
#include "codec/base64.h"
#include "ingest/backfill/json_lines.h"
#include "ingest/backfill/source.h"
#include "os/process.h"

static Text printed(Test *t, const BackfillRow *row) {
    AUTO(builder_free) Builder out = {0};
    const BatchMetadata *said = &row->metadata;
    if (said->family.len > 0) {
        builder_addf(&out, "family %.*s: %.*s, \"%.*s\", \"%.*s\"", TEXT_ARG(said->family),
                     TEXT_ARG(metadata_type_name(said->type)), TEXT_ARG(said->help),
                     TEXT_ARG(said->unit));
        return text_copy(builder_text(&out), t->arena);
    }
    json_line_write(row->labels, row->samples, &out);
    for (size_t i = 0; i < row->exemplar_count; i++) {
        builder_addf(&out, "exemplar %lld %g ", (long long)row->exemplars[i].time_ms,
                     row->exemplars[i].value);
        labels_print((Labels){.wire = row->exemplars[i].labels}, &out);
        builder_add_char(&out, '\n');
    }
    return text_copy(text_trim(builder_text(&out)), t->arena);
}

// A file with this content, removed by file_end.
static Text file_begin(Test *t, const char *content) {
    static int number;
    Text name = text_format(t->arena, "source_test.%lld.%d", (long long)process_id(), number++);
    check_ok(t, disk_replace(disk_real(), TEXT("/tmp"), name,
                             text_bytes(text_from_cstring(content)), t->err));
    return text_format(t->arena, "/tmp/%.*s", TEXT_ARG(name));
}

static void file_end(Test *t, Text path) {
    check_ok(t, disk_real()->remove(disk_real(), path, t->err));
}

// All rows from `place` on (empty: the beginning), one per line.
static bool rows_of(Test *t, Text path, Text place, Text *out, Text *last_place) {
    AUTO(source_close) Source *source = NULL;
    AUTO(builder_free) Builder rows = {0}, places = {0};
    TRY(source_open(SOURCE_UNKNOWN, disk_real(), path, &source, t->err));
    if (place.len > 0) TRY(source_seek(source, place, t->err));
    for (;;) {
        BackfillRow row;
        bool found;
        TRY(source_next(source, &row, &found, t->err));
        if (!found) break;
        builder_addf(&rows, "%.*s\n", TEXT_ARG(printed(t, &row)));
        if (places.len == 0) source_position(source, &places);
    }
    *out = text_copy(builder_text(&rows), t->arena);
    if (last_place != NULL) *last_place = text_copy(builder_text(&places), t->arena);
    return true;
}

TEST(a_line_is_written_as_it_was_read) {
    static const char *const lines[] = {
        "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"values\":[1,0.5,-2e-7],"
        "\"timestamps\":[1700000000000,1700000015000,1700000030000]}",
        "{\"metric\":{\"__name__\":\"x\",\"l\":\"\xc3\xa4 \\\"q\\\"\"},"
        "\"values\":[null,\"Infinity\",\"-Infinity\",\"NaN\"],\"timestamps\":[-5,0,1,2]}",
        "{\"metric\":{\"__name__\":\"e\"},\"values\":[],\"timestamps\":[]}",
    };
    JsonLine line = {0};
    for (size_t i = 0; i < COUNT(lines); i++) {
        check_ok(t, json_line_read(text_from_cstring(lines[i]), &line, t->err));
        AUTO(builder_free) Builder out = {0};
        json_line_write(line.labels, (Samples){line.samples.at, line.samples.count}, &out);
        check_text(t, text_from_cstring(lines[i]), text_trim(builder_text(&out)));
    }
    check_ok(t, json_line_read(text_from_cstring(lines[1]), &line, t->err));
    check(t, is_stale(line.samples.at[1 - 1].value) && !is_stale(line.samples.at[3].value));
    json_line_free(&line);
}

TEST(a_line_that_is_not_whole_is_refused) {
    static const char *const lines[] = {
        "",
        "[]",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[]}",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1.5]}",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[true],\"timestamps\":[1]}",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[\"1x\"],\"timestamps\":[1]}",
        "{\"metric\":{\"__name__\":1},\"values\":[1],\"timestamps\":[1]}",
        "{\"metric\":{},\"values\":[1],\"timestamps\":[1]}",
        "{\"values\":[1],\"timestamps\":[1]}",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1],\"x\":1}",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1]} 1",
        "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1]",
    };
    JsonLine line = {0};
    for (size_t i = 0; i < COUNT(lines); i++)
        check_error(t, json_line_read(text_from_cstring(lines[i]), &line, t->err), ERROR_BAD_INPUT);
    json_line_free(&line);
}

// ---- Lines of native histograms ----

static Text base64_of(Test *t, Bytes bytes) {
    AUTO(builder_free) Builder out = {0};
    base64_encode(bytes, &out);
    return text_copy(builder_text(&out), t->arena);
}

TEST(base64_is_that_of_the_rfc) {
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"},
                                          {"\xfb\xef\xff", "++//"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        Bytes plain = text_bytes(text_from_cstring(rows[i][0])), again;
        check_text(t, text_from_cstring(rows[i][1]), base64_of(t, plain));
        check(t, base64_decode(text_from_cstring(rows[i][1]), t->arena, &again));
        check(t, bytes_equal(plain, again));
    }
}

TEST(native_histograms_come_back_from_their_line) {
    HistogramSpan spans[] = {{-2, 2}, {3, 1}};
    int64_t deltas[] = {3, -1, 4};
    double counts[] = {0.5, 0, 1e300}, bounds[] = {-0.0, 0.25, 7, 8, 9};
    HistogramSpan positive[] = {{0, 1}, {3, 2}};
    NativeHistogram stated[] = {
        {.time_ms = 1700000000000,
         .schema = 3,
         .count = 12,
         .sum = -1e-7,
         .zero_threshold = 1e-128,
         .zero_count = 1,
         .positive = {spans, 2, deltas, NULL, 3},
         .reset_hint = HISTOGRAM_RESET_GAUGE},
        {.time_ms = -5,
         .schema = HISTOGRAM_SCHEMA_CUSTOM,
         .is_float = true,
         .count_float = 1e300 + 0.5,
         .sum = NAN,
         .positive = {positive, 2, NULL, counts, 3},
         .custom_bounds = bounds,
         .custom_bound_count = 5},
        {.time_ms = 9, .sum = stale_nan()},
    };
    Label name = {LABEL_NAME, TEXT("latency")};
    Labels labels;
    AUTO(builder_free) Builder out = {0};
    JsonLine line = {0};
    check_ok(t, labels_make(&name, 1, t->arena, &labels, t->err));
    json_line_write_histograms(labels, stated, COUNT(stated), &out);
    check(t, text_starts_with(builder_text(&out),
                              TEXT("{\"metric\":{\"__name__\":\"latency\"},\"histograms\":"
                                   "[[1700000000000,\"CAwZ")));
    Text path = file_begin(t, text_to_cstring(builder_text(&out), t->arena));
    AUTO(source_close) Source *source = NULL;
    BackfillRow row;
    bool found;
    check_ok(t, source_open(SOURCE_UNKNOWN, disk_real(), path, &source, t->err));
    check_ok(t, source_next(source, &row, &found, t->err));
    check(t, found && labels_equal(row.labels, labels) && row.samples.count == 0);
    check_i64(t, COUNT(stated), row.histogram_count);
    for (size_t i = 0; i < COUNT(stated); i++)
        check(t, native_histogram_equal(&stated[i], &row.histograms[i]));
    check_ok(t, source_next(source, &row, &found, t->err));
    check(t, !found);
    file_end(t, path);
    // With samples beside, as nobody writes it.
    Text wire = base64_of(t, (Bytes){(const uint8_t *)"\x08\x00", 2});
    check_ok(t, json_line_read(text_format(t->arena,
                                           "{\"histograms\":[[1,\"%.*s\"]],\"values\":[2],"
                                           "\"metric\":{\"a\":\"b\"},\"timestamps\":[3]}",
                                           TEXT_ARG(wire)),
                               &line, t->err));
    check(t, line.samples.count == 1 && line.histograms.count == 1 &&
                 line.histograms.at[0].time_ms == 1);
    json_line_free(&line);
}

TEST(a_line_with_a_histogram_that_is_none_is_refused) {
    static const struct {
        const char *histograms, *says;
    } rows[] = {
        {"1", "is an array"},
        {"[1]", "column 42: a histogram is an array"},
        {"[[]]", "a whole time and a text"},
        {"[[1]]", "a whole time and a text"},
        {"[[1.5,\"CAA=\"]]", "a whole time and a text"},
        {"[[1,2]]", "a whole time and a text"},
        {"[[1,\"CAA=\",3]]", "a whole time and a text"},
        {"[[1,\"CAA\"]]", "is not base64"},
        {"[[1,\"CA==\"]]", "column"},            // cut off
        {"[[1,\"CAE=\"]]", "the count is 1"},    // counted once, in no bucket
        {"[[1,\"CAAgZg==\"]]", "schema 51 is"},  // unknown
    };
    JsonLine line = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text text = text_format(t->arena, "{\"metric\":{\"__name__\":\"a\"},\"histograms\":%s}",
                                rows[i].histograms);
        check_error(t, json_line_read(text, &line, t->err), ERROR_BAD_INPUT);
        if (strstr(t->err->message, rows[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "%s says %s", rows[i].histograms, t->err->message);
    }
    json_line_free(&line);
}

TEST(a_file_of_lines_goes_on_from_a_place) {
    Text path = file_begin(t,
                           "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1]}\n\n"
                           "{\"metric\":{\"__name__\":\"b\"},\"values\":[2],\"timestamps\":[2]}\r\n"
                           "{\"metric\":{\"__name__\":\"c\"},\"values\":[3],\"timestamps\":[3]}");
    Text all, rest, place;
    check_ok(t, rows_of(t, path, TEXT_NONE, &all, &place));
    check_ok(t, rows_of(t, path, place, &rest, NULL));
    check(t, text_ends_with(all, rest) && text_find(rest, TEXT("\"b\"")) > 0 &&
                 text_find(rest, TEXT("\"a\"")) < 0);
    check_error(t, rows_of(t, path, TEXT("victoriametrics 9 3"), &rest, NULL), ERROR_BAD_INPUT);
    check_error(t, rows_of(t, path, TEXT("openmetrics 9 3"), &rest, NULL), ERROR_BAD_INPUT);
    file_end(t, path);
    path =
        file_begin(t, "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[1]}\n{\n");
    check_error(t, rows_of(t, path, TEXT_NONE, &all, NULL), ERROR_BAD_INPUT);
    check(t, strstr(t->err->message, ", line 2: ") != NULL);
    file_end(t, path);
}

TEST(openmetrics_gives_one_row_for_the_lines_of_a_series) {
    Text path = file_begin(t,
                           "# HELP http_requests Requests.\n# TYPE http_requests counter\n"
                           "http_requests_total{code=\"200\"} 1 1700000000\n"
                           "http_requests_total{code=\"200\"} 2 1700000015.5\n"
                           "http_requests_total{code=\"500\"} 3 1700000000\n"
                           "# TYPE x gauge\nx NaN 1\nx 5 2\nx +Inf 3\n# EOF\n");
    Text all, rest, place;
    check_ok(t, rows_of(t, path, TEXT_NONE, &all, &place));
    check_text(
        t,
        TEXT("family http_requests: counter, \"Requests.\", \"\"\n"
             "{\"metric\":{\"__name__\":\"http_requests_total\",\"code\":\"200\"},\"values\":"
             "[1,2],\"timestamps\":[1700000000000,1700000015500]}\n"
             "{\"metric\":{\"__name__\":\"http_requests_total\",\"code\":\"500\"},\"values\":"
             "[3],\"timestamps\":[1700000000000]}\n"
             "family x: gauge, \"\", \"\"\n"
             "{\"metric\":{\"__name__\":\"x\"},\"values\":[\"NaN\",5,\"Infinity\"],"
             "\"timestamps\":[1000,2000,3000]}\n"),
        all);
    check_ok(t, rows_of(t, path, place, &rest, NULL));
    check(t, text_ends_with(all, rest) && text_find(rest, TEXT("\"200\"")) > 0 &&
                 text_find(rest, TEXT("family http")) < 0);
    file_end(t, path);
}

// Metadata wherever it stands, also behind the last line, and a place behind each row.
TEST(openmetrics_gives_metadata_and_exemplars_between_its_rows) {
    const char *page =
        "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Of \\\"a\\\".\n"
        "# TYPE alone gauge\n# HELP alone Alone.\n"
        "# TYPE b counter\n"
        "b_total 1 1 # {trace_id=\"x\",n=\"1\"} 0.5 0.75\n"
        "b_total 2 2 # {} 7\n"
        "b_total{c=\"d\"} 3 3 # {trace_id=\"y\"} 1\n"
        "# TYPE last info\n# EOF\n";
    Text path = file_begin(t, page);
    Text all, rest, place;
    check_ok(t, rows_of(t, path, TEXT_NONE, &all, &place));
    check_text(t,
               TEXT("family a_seconds: counter, \"Of \"a\".\", \"seconds\"\n"
                    "family alone: gauge, \"Alone.\", \"\"\n"
                    "family b: counter, \"\", \"\"\n"
                    "{\"metric\":{\"__name__\":\"b_total\"},\"values\":[1,2],\"timestamps\":"
                    "[1000,2000]}\nexemplar 750 0.5 {n=\"1\", trace_id=\"x\"}\n"
                    "exemplar 2000 7 {}\n"
                    "{\"metric\":{\"__name__\":\"b_total\",\"c\":\"d\"},\"values\":[3],"
                    "\"timestamps\":[3000]}\nexemplar 3000 1 {trace_id=\"y\"}\n"
                    "family last: info, \"\", \"\"\n"),
               all);
    // From behind each row: what was not yet given, and nothing else.
    AUTO(source_close) Source *source = NULL;
    check_ok(t, source_open(SOURCE_UNKNOWN, disk_real(), path, &source, t->err));
    size_t given = 0;
    for (;;) {
        BackfillRow row;
        bool found;
        check_ok(t, source_next(source, &row, &found, t->err));
        if (!found) break;
        given += printed(t, &row).len + 1;
        AUTO(builder_free) Builder at = {0};
        source_position(source, &at);
        check_ok(t, rows_of(t, path, builder_text(&at), &rest, NULL));
        check_text(t, text_slice(all, given, all.len), rest);
    }
    check_i64(t, (int64_t)all.len, (int64_t)given);
    file_end(t, path);
}

TEST(openmetrics_without_times_or_end_is_refused) {
    Text all;
    Text path = file_begin(t, "# TYPE x gauge\nx 5\n# EOF\n");
    check_error(t, rows_of(t, path, TEXT_NONE, &all, NULL), ERROR_BAD_INPUT);
    check(t, strstr(t->err->message, "line 2, column 1: a timestamp is missing") != NULL);
    file_end(t, path);
    path = file_begin(t, "# TYPE x gauge\nx 5 1\n");
    check_error(t, rows_of(t, path, TEXT_NONE, &all, NULL), ERROR_BAD_INPUT);
    check(t, strstr(t->err->message, "# EOF") != NULL);
    file_end(t, path);
}

TEST(a_block_goes_on_from_a_place) {
    Text path = test_data_folder(t, "tsdb-blocks/victoriametrics/prometheus/snapshots");
    path = text_format(t->arena, "%.*s/20250602T205846Z-7e03e43cf46dda03", TEXT_ARG(path));
    Text all, rest, place;
    check_ok(t, rows_of(t, path, TEXT_NONE, &all, &place));
    check_text(t, TEXT("prometheus 01JWS713P2E4MQW7T643GYGD69 0"), place);
    check_ok(t, rows_of(t, path, TEXT("prometheus 01JWS713P2E4MQW7T643GYGD69 2400"), &rest, NULL));
    check(t, rest.len > 0 && rest.len < all.len / 10 && text_ends_with(all, rest));
    check_ok(t, rows_of(t, path, TEXT("prometheus end 0"), &rest, NULL));
    check_i64(t, 0, (int64_t)rest.len);
    check_error(t,
                rows_of(t, path, TEXT("prometheus 01JWS713P2E4MQW7T643GYGD69 9999"), &rest, NULL),
                ERROR_NOT_FOUND);
}

TEST_MAIN("backfill/source", CASE(a_line_is_written_as_it_was_read),
          CASE(a_line_that_is_not_whole_is_refused), CASE(base64_is_that_of_the_rfc),
          CASE(native_histograms_come_back_from_their_line),
          CASE(a_line_with_a_histogram_that_is_none_is_refused),
          CASE(a_file_of_lines_goes_on_from_a_place),
          CASE(openmetrics_gives_one_row_for_the_lines_of_a_series),
          CASE(openmetrics_gives_metadata_and_exemplars_between_its_rows),
          CASE(openmetrics_without_times_or_end_is_refused), CASE(a_block_goes_on_from_a_place))
