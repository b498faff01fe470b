// Datadog's series: both versions, both encodings, and what is said of bad ones.

#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/datadog/datadog.h"
#include "model/test_batch.h"

static bool read_body(Test *t, DatadogEncoding encoding, Bytes body, DatadogOutcome *outcome,
                      Text *rows) {
    DatadogReader reader = {0};
    WriteBody written = {0};
    Batch batch = {0};
    bool done = datadog_read(&reader, encoding, body, 5000, &written, outcome, t->err);
    write_body_batch(&written, &batch);
    *rows = test_batch_print(t, &batch);
    batch_free(&batch);
    write_body_free(&written);
    datadog_reader_free(&reader);
    return done;
}

TEST(series_of_both_versions_become_rows) {
    static const struct {
        const char *body, *rows;
    } cases[] = {
        {"{\"series\":[{\"metric\":\"system.load.1\",\"points\":[[1,0.5],[2.5,\"7\"]],\"type\":"
         "\"gauge\","
         "\"host\":\"a\",\"device\":\"sda\",\"tags\":[\"dc:x\",\"beta\",\"dc:y\",\"a.b:c:d\"],"
         "\"interval\":10,\"unit\":null}]}",
         "system_load_1{a_b=\"c:d\", beta=\"true\", dc=\"x\", device=\"sda\", host=\"a\"} 0.5 "
         "@1000\n"
         "system_load_1{a_b=\"c:d\", beta=\"true\", dc=\"x\", device=\"sda\", host=\"a\"} 7 "
         "@2500\n"},
        {"{\"series\":[{\"points\":[{\"value\":3,\"timestamp\":7,\"x\":{}}],\"metric\":\"m\","
         "\"type\":3,"
         "\"resources\":[{\"name\":\"h\",\"type\":\"host\"},{\"type\":\"pod\",\"name\":\"p\"}],"
         "\"tags\":[\"host:other\"],\"metadata\":{\"origin\":{\"product\":1}}}]}",
         "m{exported_host=\"other\", host=\"h\", pod=\"p\"} 3 @7000\n"},
        {"{\"series\":[{\"metric\":\"now\",\"points\":[{\"value\":1}]},{\"metric\":\"none\","
         "\"points\":[]}],"
         "\"other\":[1,{}]}",
         "now 1 @5000\n"},
        {"{\"series\":[{\"metric\":\"m\",\"points\":[[1,null],[2,2]],\"tags\":null,\"host\":null}]"
         "}",
         "m 2 @2000\n"},
        {"{\"series\":[]}", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        DatadogOutcome outcome;
        Text rows;
        check_ok(t, read_body(t, DATADOG_JSON, text_bytes(text_from_cstring(cases[i].body)),
                              &outcome, &rows));
        if (outcome.refused > 0)
            check_failed(t, __FILE__, __LINE__, "%zu: %s", i, outcome.first_fault.message);
        check_text(t, text_from_cstring(cases[i].rows), rows);
    }
}

TEST(protobuf_gives_the_rows_of_json) {
    AUTO(builder_free) Builder body = {0};
    size_t series = protobuf_begin(&body, 1);
    size_t resource = protobuf_begin(&body, 1);
    protobuf_add_text(&body, 1, TEXT("host"));
    protobuf_add_text(&body, 2, TEXT("h"));
    protobuf_end(&body, resource);
    protobuf_add_text(&body, 2, TEXT("a.b"));
    protobuf_add_text(&body, 3, TEXT("dc:x"));
    size_t point = protobuf_begin(&body, 4);
    protobuf_add_double(&body, 1, 1.5);
    protobuf_add_varint(&body, 2, 7);
    protobuf_end(&body, point);
    protobuf_add_varint(&body, 5, 3);
    protobuf_end(&body, series);
    Bytes bytes = text_bytes(builder_text(&body));
    DatadogOutcome outcome;
    Text rows;
    check_ok(t, read_body(t, DATADOG_PROTOBUF, bytes, &outcome, &rows));
    check_text(t, TEXT("a_b{dc=\"x\", host=\"h\"} 1.5 @7000\n"), rows);
    for (size_t len = 1; len < bytes.len; len++)
        check_error(t, read_body(t, DATADOG_PROTOBUF, (Bytes){bytes.at, len}, &outcome, &rows),
                    ERROR_BAD_INPUT);
}

TEST(a_bad_series_is_named_and_the_others_are_kept) {
    static const struct {
        const char *series, *says;
    } cases[] = {
        {"{\"points\":[[1,2]]}", "no metric"},
        {"{\"metric\":7,\"points\":[[1,2]]}", "no metric"},
        {"{\"metric\":\"m\",\"points\":7}", "no list"},
        {"{\"metric\":\"m\",\"points\":[7]}", "no time and number"},
        {"{\"metric\":\"m\",\"points\":[[1]]}", "no time and number"},
        {"{\"metric\":\"m\",\"points\":[[1,\"x\"]]}", "no time and number"},
        {"{\"metric\":\"m\",\"points\":[[\"x\",1]]}", "no time and number"},
        {"{\"metric\":\"m\",\"points\":[[1e300,1]]}", "no time and number"},
        {"{\"metric\":\"m\",\"points\":[[1,1]],\"tags\":[\"__name__:x\"]}", "__name__"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Text body =
            text_format(t->arena,
                        "{\"series\":[{\"metric\":\"good\",\"points\":[[1,1]]},%s,{\"metric\":"
                        "\"good\",\"points\":[[2,2]]}]}",
                        cases[i].series);
        DatadogOutcome outcome;
        Text rows;
        check_ok(t, read_body(t, DATADOG_JSON, text_bytes(body), &outcome, &rows));
        if (outcome.refused != 1 || strstr(outcome.first_fault.message, cases[i].says) == NULL ||
            strstr(outcome.first_fault.message, "series 2") == NULL)
            check_failed(t, __FILE__, __LINE__, "%s: %s", cases[i].series,
                         outcome.first_fault.message);
        check_text(t, TEXT("good 1 @1000\ngood 2 @2000\n"), rows);
    }
}

TEST(a_body_that_is_no_json_is_refused) {
    static const char *const bodies[] = {"",
                                         "[]",
                                         "7",
                                         "{}",
                                         "{\"series\":7}",
                                         "{\"series\":[7]}",
                                         "{\"series\":[{]}",
                                         "{\"series\":[]}x",
                                         "{\"series\":[{}"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        DatadogOutcome outcome;
        Text rows;
        check_error(
            t,
            read_body(t, DATADOG_JSON, text_bytes(text_from_cstring(bodies[i])), &outcome, &rows),
            ERROR_BAD_INPUT);
    }
}

TEST_MAIN("ingest/datadog", CASE(series_of_both_versions_become_rows),
          CASE(protobuf_gives_the_rows_of_json),
          CASE(a_bad_series_is_named_and_the_others_are_kept),
          CASE(a_body_that_is_no_json_is_refused))
