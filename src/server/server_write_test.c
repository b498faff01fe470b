// Writes over HTTP: rows and bodies wrong in every way that was thought of, disks that fail,
// quotas.

#include "server/server.h"

#include "base/limits.h"
#include "codec/protobuf.h"
#include "os/disk_fault.h"
#include "server/test_server.h"

// ---- Wrong writes ----

// A WriteRequest with one series of these labels, in the order given, and one sample.
static Bytes request_of(Test *t, const Label *labels, size_t count, int64_t time_ms, double value) {
    Builder out = {0};
    size_t series = protobuf_begin(&out, 1);
    for (size_t i = 0; i < count; i++) {
        size_t label = protobuf_begin(&out, 1);
        protobuf_add_text(&out, 1, labels[i].name);
        protobuf_add_text(&out, 2, labels[i].value);
        protobuf_end(&out, label);
    }
    size_t sample = protobuf_begin(&out, 2);
    protobuf_add_double(&out, 1, value);
    protobuf_add_varint(&out, 2, (uint64_t)time_ms);
    protobuf_end(&out, sample);
    protobuf_end(&out, series);
    Bytes copy = bytes_copy(text_bytes(builder_text(&out)), t->arena);
    builder_free(&out);
    return copy;
}

static Text everything_of(Test *t, TestServer *world) {
    Text series = test_get(t, world, "/api/v1/series?match[]={__name__!=\"\"}").body;
    Text values =
        test_get(t, world, "/api/v1/query?query={__name__!=\"\"}[100y]&time=1760000030").body;
    return text_format(t->arena, "%.*s%.*s", TEXT_ARG(series), TEXT_ARG(values));
}

static void check_refused(Test *t, TestServer *world, const char *what, int status,
                          const char *says, HttpClientAnswer answer) {
    if (answer.status != status || text_find(answer.body, text_from_cstring(says)) < 0) {
        check_failed(t, __FILE__, __LINE__, "%s: %d %.*s", what, answer.status,
                     TEXT_ARG(answer.body));
    }
    check(t, text_starts_with(answer.body, TEXT("{\"status\":\"error\"")));
    (void)world;
}

TEST(rows_that_are_wrong_are_refused_with_the_reason) {
    Label out_of_order[] = {
        {TEXT("__name__"), TEXT("bad")}, {TEXT("b"), TEXT("1")}, {TEXT("a"), TEXT("1")}};
    Label repeated[] = {
        {TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("1")}, {TEXT("a"), TEXT("2")}};
    Label not_utf8[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("\xff\xfe")}};
    Label no_name[] = {{TEXT("a"), TEXT("1")}};
    Label good[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("1")}};
    char *long_value = arena_push_raw(t->arena, 3000, 1);
    memset(long_value, 'x', 3000);
    Label too_long[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), {long_value, 3000}}};
    enum { MANY = 10000 };
    Label *many = arena_push_array(t->arena, Label, MANY);
    for (size_t i = 0; i < MANY; i++)
        many[i] = (Label){text_format(t->arena, "l%05zu", i), TEXT("x")};
    many[0] = (Label){TEXT("__name__"), TEXT("bad")};
    struct {
        const char *what;
        const Label *labels;
        size_t count;
        int64_t time_ms;
        const char *says;
    } rows[] = {
        {"labels out of order", out_of_order, 3, T0_MS, "not sorted"},
        {"a repeated label", repeated, 3, T0_MS, "a"},
        {"broken UTF-8", not_utf8, 2, T0_MS, "UTF-8"},
        {"no name", no_name, 1, T0_MS, "__name__"},
        {"a long value", too_long, 2, T0_MS, "LABEL_VALUE_BYTES"},
        {"10,000 labels", many, MANY, T0_MS, "LABELS"},
        {"a sample of 1900", good, 2, INT64_C(-2208988800000), "bad"},
        {"a sample of 2200", good, 2, INT64_C(7258118400000), "bad"},
    };
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Text before = everything_of(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Bytes body =
            test_packed(t, request_of(t, rows[i].labels, rows[i].count, rows[i].time_ms, 1),
                        COMPRESSION_SNAPPY);
        HttpClientAnswer answer =
            test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body);
        check_refused(t, &world, rows[i].what, 400, rows[i].says, answer);
    }
    check_text(t, before, everything_of(t, &world));
    test_server_end(t, &world);
}

TEST(bodies_that_are_wrong_are_refused_and_change_nothing) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Text before = everything_of(t, &world);
    Label labels[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("1")}};
    Bytes plain = request_of(t, labels, 2, T0_MS, 1);
    Bytes snappy = test_packed(t, plain, COMPRESSION_SNAPPY);

    for (size_t len = 0; len < snappy.len; len++) {
        HttpClientAnswer answer = test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                                   (Bytes){snappy.at, len});
        if (answer.status != 400)
            check_failed(t, __FILE__, __LINE__, "cut to %zu: %d %.*s", len, answer.status,
                         TEXT_ARG(answer.body));
    }
    // 64 MiB and one byte of zeros in a few bytes, and a length stated as 4 GiB.
    size_t too_many = (size_t)LIMIT_BODY_DECOMPRESSED_BYTES + 1,
           too_large = (size_t)LIMIT_HTTP_BODY_BYTES + 1;
    uint8_t *zeros = memory_take_zeroed(too_many);
    Bytes bomb = test_packed(t, (Bytes){zeros, too_many}, COMPRESSION_ZSTD);
    memory_free(zeros);
    check_refused(t, &world, "a zstd bomb", 413, "BODY_DECOMPRESSED",
                  test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("zstd"), bomb));
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41};
    check_refused(t, &world, "a huge length", 413, "BODY_DECOMPRESSED",
                  test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                   (Bytes){huge, sizeof huge}));
    Bytes garbage =
        test_packed(t, text_bytes(TEXT("this is no protobuf at all")), COMPRESSION_SNAPPY);
    check_status(t, 400,
                 test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), garbage));
    check_status(t, 415, test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("br"), snappy));

    uint8_t *large = memory_take_zeroed(too_large);
    HttpClientRequest request = {.host = TEXT("127.0.0.1"),
                                 .port = world.port,
                                 .method = TEXT("POST"),
                                 .target = TEXT("/api/v1/write"),
                                 .body = {(char *)large, too_large},
                                 .timeout_ms = 20000};
    HttpClientAnswer answer;
    // The server may close before all is sent; an answer that comes through is 413.
    if (http_client_send(&request, t->arena, &answer, t->err)) check_i64(t, 413, answer.status);
    memory_free(large);
    check_text(t, before, everything_of(t, &world));
    test_server_end(t, &world);
}

TEST(content_types_are_checked_before_the_body) {
    static const struct {
        const char *type;
        int status;
    } rows[] = {
        {"application/x-protobuf", 204},
        {"application/x-protobuf;proto=prometheus.WriteRequest", 204},
        {"Application/X-Protobuf; proto=prometheus.WriteRequest", 204},
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", 204},
        {"application/x-protobuf;proto=io.prometheus.write.v3.Request", 415},
        {"application/json", 415},
        {"application/x-www-form-urlencoded", 415},
        {"text/plain", 415},
    };
    TestServer world;
    test_server_plain(t, &world);
    Label labels[] = {{TEXT("__name__"), TEXT("typed")}};
    Text body = bytes_text(test_packed(t, request_of(t, labels, 1, T0_MS, 1), COMPRESSION_SNAPPY));
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpHeader header = {TEXT("Content-Type"), text_from_cstring(rows[i].type)};
        HttpClientAnswer answer =
            test_send(t, &world, TEXT("POST"), TEXT("/api/v1/write"), &header, 1, body);
        if (answer.status != rows[i].status)
            check_failed(t, __FILE__, __LINE__, "%s: %d", rows[i].type, answer.status);
    }
    test_server_end(t, &world);
}

TEST(the_first_bytes_say_how_a_body_is_packed) {
    static const struct {
        const char *says;
        Compression is;
    } rows[] = {
        {"snappy", COMPRESSION_SNAPPY}, {"zstd", COMPRESSION_ZSTD},   {"gzip", COMPRESSION_GZIP},
        {"", COMPRESSION_SNAPPY},       {"snappy", COMPRESSION_ZSTD}, {"zstd", COMPRESSION_SNAPPY},
        {"identity", COMPRESSION_NONE}, {"", COMPRESSION_ZSTD},
    };
    TestServer world;
    test_server_plain(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Label labels[] = {{TEXT("__name__"), TEXT("packed")},
                          {TEXT("row"), text_format(t->arena, "%zu", i)}};
        Bytes plain = request_of(t, labels, 2, T0_MS, (double)i);
        Bytes body = rows[i].is == COMPRESSION_NONE ? plain : test_packed(t, plain, rows[i].is);
        HttpClientAnswer answer = test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE,
                                                   text_from_cstring(rows[i].says), body);
        if (answer.status != 204)
            check_failed(t, __FILE__, __LINE__, "row %zu: %d %.*s", i, answer.status,
                         TEXT_ARG(answer.body));
        check_text(t, TEXT("sync"), test_header(answer, TEXT("X-Traceo-Durability")));
    }
    HttpClientAnswer counted =
        test_get(t, &world, "/api/v1/query?query=count(packed)&time=1760000000");
    check_answer(t, 200,
                 TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{"
                      "\"metric\":{},\"value\":[1760000000,\"8\"]}]}}"),
                 counted);
    test_server_end(t, &world);
}

TEST(good_rows_beside_bad_ones_are_kept) {
    TestServer world;
    test_server_plain(t, &world);
    Label bad[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("\xff")}},
          good[] = {{TEXT("__name__"), TEXT("good")}};
    Bytes first = request_of(t, bad, 2, T0_MS, 1), second = request_of(t, good, 1, T0_MS, 7);
    Builder both = {0};
    builder_add_bytes(&both, first.at, first.len);
    builder_add_bytes(&both, second.at, second.len);
    Bytes body = test_packed(t, text_bytes(builder_text(&both)), COMPRESSION_SNAPPY);
    builder_free(&both);
    HttpClientAnswer answer =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body);
    check_status(t, 400, answer);
    check(t,
          text_find(answer.body,
                    TEXT("1 of 2 samples were refused (1 bad_labels), the others are kept")) > 0);
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"good\"]}"),
                 test_get(t, &world, "/api/v1/label/__name__/values"));
    // The same again: an equal sample is no fault, another value at its time is.
    check_status(t, 204,
                 test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                  test_packed(t, second, COMPRESSION_SNAPPY)));
    Bytes other = test_packed(t, request_of(t, good, 1, T0_MS, 8), COMPRESSION_SNAPPY);
    HttpClientAnswer conflict =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), other);
    check_status(t, 400, conflict);
    check(t, text_find(conflict.body, TEXT("1 of 1 samples were refused (1 conflict)")) > 0);
    test_server_end(t, &world);
}

// A remote write 2.0 body: `ok` with two samples and their start, an exemplar and its metadata, the
// native histogram `sizes`, and two series that are refused.
static Bytes request_2_of(Test *t) {
    static const char *const symbols[] = {"",    "__name__",  "ok", "sizes", "trace_id",
                                          "abc", "No fault.", "a",  "\xff"};
    static const uint8_t deltas[] = {2, 2};
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < COUNT(symbols); i++)
        protobuf_add_text(&out, 4, text_from_cstring(symbols[i]));
    size_t series = protobuf_begin(&out, 5);
    protobuf_add_text(&out, 1, TEXT("\x01\x02"));
    for (int i = 0; i < 2; i++) {
        size_t sample = protobuf_begin(&out, 2);
        protobuf_add_double(&out, 1, 7 + i);
        protobuf_add_varint(&out, 2, (uint64_t)T0_MS + (uint64_t)i * 1000);
        protobuf_add_varint(&out, 3, (uint64_t)T0_MS - 10000);
        protobuf_end(&out, sample);
    }
    size_t exemplar = protobuf_begin(&out, 4);
    protobuf_add_text(&out, 1, TEXT("\x04\x05"));
    protobuf_add_double(&out, 2, 0.5);
    protobuf_add_varint(&out, 3, (uint64_t)T0_MS);
    protobuf_end(&out, exemplar);
    size_t metadata = protobuf_begin(&out, 5);
    protobuf_add_varint(&out, 1, 2);
    protobuf_add_varint(&out, 3, 6);
    protobuf_end(&out, metadata);
    protobuf_end(&out, series);
    series = protobuf_begin(&out, 5);
    protobuf_add_text(&out, 1, TEXT("\x01\x03"));
    size_t histogram = protobuf_begin(&out, 3);
    protobuf_add_varint(&out, 1, 3);
    protobuf_add_double(&out, 3, 4.5);
    size_t span = protobuf_begin(&out, 11);
    protobuf_add_varint(&out, 2, 2);
    protobuf_end(&out, span);
    protobuf_add_bytes(&out, 12, (Bytes){deltas, sizeof deltas});
    protobuf_add_varint(&out, 15, (uint64_t)T0_MS);
    protobuf_add_varint(&out, 17, (uint64_t)T0_MS - 20000);
    protobuf_end(&out, histogram);
    protobuf_end(&out, series);
    static const char *const bad[] = {"\x01\x63", "\x01\x02\x07\x08"};  // no such symbol; no UTF-8
    for (size_t i = 0; i < COUNT(bad); i++) {
        series = protobuf_begin(&out, 5);
        protobuf_add_text(&out, 1, text_from_cstring(bad[i]));
        size_t sample = protobuf_begin(&out, 2);
        protobuf_add_varint(&out, 2, (uint64_t)T0_MS);
        protobuf_end(&out, sample);
        protobuf_end(&out, series);
    }
    return bytes_copy(text_bytes(builder_text(&out)), t->arena);
}

static HttpClientAnswer write_2(Test *t, TestServer *world, const char *encoding, Bytes body) {
    HttpHeader headers[] = {
        {TEXT("Content-Type"), TEXT("application/x-protobuf;proto=io.prometheus.write.v2.Request")},
        {TEXT("Content-Encoding"), text_from_cstring(encoding)}};
    return test_send(t, world, TEXT("POST"), TEXT("/api/v1/write"), headers, 2, bytes_text(body));
}

static void check_written(Test *t, HttpClientAnswer answer, const char *samples,
                          const char *histograms, const char *exemplars) {
    check_text(t, text_from_cstring(samples),
               test_header(answer, TEXT("X-Prometheus-Remote-Write-Samples-Written")));
    check_text(t, text_from_cstring(histograms),
               test_header(answer, TEXT("X-Prometheus-Remote-Write-Histograms-Written")));
    check_text(t, text_from_cstring(exemplars),
               test_header(answer, TEXT("X-Prometheus-Remote-Write-Exemplars-Written")));
}

TEST(remote_write_2_says_what_it_kept_and_keeps_it_over_a_restart) {
    TestServer world;
    test_server_plain(t, &world);
    Bytes plain = request_2_of(t);
    static const struct {
        const char *says;
        Compression is;
    } rows[] = {
        {"snappy", COMPRESSION_SNAPPY}, {"zstd", COMPRESSION_ZSTD}, {"gzip", COMPRESSION_GZIP}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpClientAnswer answer =
            write_2(t, &world, rows[i].says, test_packed(t, plain, rows[i].is));
        check_status(t, 400, answer);
        check(t, text_find(answer.body, TEXT("2 of 5 samples were refused (2 bad_labels)")) > 0);
        check(t, text_find(answer.body, TEXT("refers to symbol 99")) > 0);
        check_written(t, answer, "2", "1", "1");
    }
    check_written(t, write_2(t, &world, "snappy", text_bytes(TEXT("no snappy"))), "0", "0", "0");
    const char *starts =
        "/api/v1/query?query=(start_timestamp(ok)-1759999900)*1000"
        "%2Bon()(start_timestamp(sizes)-1759999900)"
        "&time=1760000010";
    Text begins = test_get(t, &world, starts).body;
    check(t, text_find(begins, TEXT("\"90080\"")) > 0);
    Text before = everything_of(t, &world);
    check(t, text_find(before, TEXT("\"ok\"")) > 0 && text_find(before, TEXT("\"sizes\"")) > 0);
    const char *exemplars = "/api/v1/query_exemplars?query=ok&start=1759999990&end=1760000010";
    Text traces = test_get(t, &world, exemplars).body;
    check(t, text_find(traces, TEXT("\"abc\"")) > 0);
    test_server_again(t, &world);
    check_text(t, before, everything_of(t, &world));
    check_text(t, traces, test_get(t, &world, exemplars).body);
    check_text(t, begins, test_get(t, &world, starts).body);
    check(t, text_find(test_get(t, &world, "/api/v1/metadata").body, TEXT("No fault.")) > 0);
    test_server_end(t, &world);
}

// What a sender of 2.0 sends again and again: twenty series, one sample each.
static Bytes scrape_2_of(Test *t, int64_t time_ms) {
    enum { SERIES = 20 };
    AUTO(builder_free) Builder out = {0};
    protobuf_add_text(&out, 4, TEXT_NONE);
    protobuf_add_text(&out, 4, TEXT("__name__"));
    protobuf_add_text(&out, 4, TEXT("again_and_again"));
    protobuf_add_text(&out, 4, TEXT("number"));
    for (uint64_t i = 0; i < SERIES; i++)
        protobuf_add_text(&out, 4, text_format(t->arena, "value-%llu", (unsigned long long)i));
    for (uint64_t i = 0; i < SERIES; i++) {
        const char refs[] = {1, 2, 3, (char)(4 + i)};
        size_t series = protobuf_begin(&out, 5);
        protobuf_add_text(&out, 1, (Text){refs, sizeof refs});
        size_t sample = protobuf_begin(&out, 2);
        protobuf_add_double(&out, 1, (double)i + 0.5);
        protobuf_add_varint(&out, 2, (uint64_t)time_ms);
        protobuf_end(&out, sample);
        protobuf_end(&out, series);
    }
    return bytes_copy(text_bytes(builder_text(&out)), t->arena);
}

TEST(a_request_of_remote_write_2_that_comes_again_is_known_and_stored_whole) {
    TestServer world;
    test_server_plain(t, &world);
    for (int64_t i = 0; i < 6; i++) {
        Bytes body = test_packed(t, scrape_2_of(t, T0_MS + i * 1000), COMPRESSION_SNAPPY);
        HttpClientAnswer answer = write_2(t, &world, "snappy", body);
        check_status(t, 204, answer);
        check_written(t, answer, "20", "0", "0");
    }
    Text page = test_get(t, &world, "/metrics").body;
    check(t, text_find(page, TEXT("traceo_remote_write_repeats_found_total 4\n")) > 0);
    const char *query =
        "/api/v1/query?query=sum(count_over_time(again_and_again[1m]))"
        "&time=1760000010";
    check(t, text_find(test_get(t, &world, query).body, TEXT("\"120\"")) > 0);
    Text before = everything_of(t, &world);
    test_server_again(t, &world);
    check_text(t, before, everything_of(t, &world));
    test_server_end(t, &world);
}

TEST(relaxed_durability_is_named_in_every_answer_to_a_write) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Label labels[] = {{TEXT("__name__"), TEXT("fast")}};
    Bytes body = test_packed(t, request_of(t, labels, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    HttpClientAnswer answer =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body);
    check_status(t, 204, answer);
    check_text(t, TEXT("memory"), test_header(answer, TEXT("X-Traceo-Durability")));
    test_server_end(t, &world);
}

// ---- Exemplars, failing disks, limits ----

// A WriteRequest of one series with one sample and two exemplars.
static Bytes request_with_exemplars(Test *t) {
    Builder out = {0};
    size_t series = protobuf_begin(&out, 1);
    Label labels[] = {{TEXT("__name__"), TEXT("seen_total")}, {TEXT("job"), TEXT("x")}};
    for (size_t i = 0; i < COUNT(labels); i++) {
        size_t label = protobuf_begin(&out, 1);
        protobuf_add_text(&out, 1, labels[i].name);
        protobuf_add_text(&out, 2, labels[i].value);
        protobuf_end(&out, label);
    }
    size_t sample = protobuf_begin(&out, 2);
    protobuf_add_double(&out, 1, 5);
    protobuf_add_varint(&out, 2, (uint64_t)T0_MS);
    protobuf_end(&out, sample);
    for (uint64_t i = 0; i < 2; i++) {
        size_t exemplar = protobuf_begin(&out, 3);
        size_t label = protobuf_begin(&out, 1);
        protobuf_add_text(&out, 1, TEXT("trace_id"));
        protobuf_add_text(&out, 2, i == 0 ? TEXT("abc") : TEXT("def"));
        protobuf_end(&out, label);
        protobuf_add_double(&out, 2, 0.5 + (double)i);
        protobuf_add_varint(&out, 3, (uint64_t)T0_MS + i * 500);
        protobuf_end(&out, exemplar);
    }
    protobuf_end(&out, series);
    Bytes copy = bytes_copy(text_bytes(builder_text(&out)), t->arena);
    builder_free(&out);
    return copy;
}

TEST(exemplars_come_back_with_their_series) {
    TestServer world;
    test_server_plain(t, &world);
    Bytes body = test_packed(t, request_with_exemplars(t), COMPRESSION_SNAPPY);
    check_status(t, 204, test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body));
    Text both = TEXT(
        "{\"status\":\"success\",\"data\":[{\"seriesLabels\":{\"__name__\":\"seen_total\",\"job\":"
        "\"x\"},\"exemplars\":["
        "{\"labels\":{\"trace_id\":\"abc\"},\"value\":\"0.5\",\"timestamp\":1760000000},"
        "{\"labels\":{\"trace_id\":\"def\"},\"value\":\"1.5\",\"timestamp\":1760000000.5}]}]}");
    // Found by two selectors of one expression, told once.
    check_answer(
        t, 200, both,
        test_get(t, &world,
                 "/api/v1/query_exemplars?query=rate(seen_total[5m])/sum(seen_total{job=\"x\"})"));
    check_answer(
        t, 200, both,
        test_get(t, &world,
                 "/api/v1/query_exemplars?query=seen_total&start=1760000000&end=1760000001"));
    Text second =
        test_get(t, &world,
                 "/api/v1/query_exemplars?query=seen_total&start=1760000000.1&end=1760000001")
            .body;
    check(t, text_find(second, TEXT("def")) > 0 && text_find(second, TEXT("abc")) < 0);
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[]}"),
                 test_get(t, &world, "/api/v1/query_exemplars?query=other"));
    test_server_end(t, &world);
}

// The disk fails in this way from now on; what comes of a write?
static HttpClientAnswer write_on_bad_disk(Test *t, TestServer *world, DiskFault *fault,
                                          DiskFaultPlan plan, Text name) {
    Label label = {TEXT("__name__"), name};
    Bytes body = test_packed(t, request_of(t, &label, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    disk_fault_plan(fault, plan);
    return test_write_bytes(t, world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body);
}

TEST(a_disk_that_fails_acknowledges_nothing_and_goes_on_reading) {
    DiskFault *fault = disk_fault_new(disk_real());
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.disk = disk_fault_disk(fault)});
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    DiskFaultPlan plan = {.call = DISK_CALL_WRITE, .nth = 1, .for_ever = true, .code = ERROR_IO};
    HttpClientAnswer first = write_on_bad_disk(t, &world, fault, plan, TEXT("lost"));
    check_status(t, 500, first);
    check(t,
          text_starts_with(first.body, TEXT("{\"status\":\"error\",\"errorType\":\"internal\"")));
    // The failure is final: also when the disk says that it works again, until a restart.
    disk_fault_plan(fault, (DiskFaultPlan){0});
    Label label = {TEXT("__name__"), TEXT("lost_too")};
    Bytes body = test_packed(t, request_of(t, &label, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    check_status(t, 500, test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body));
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=up&time=1760000030"));
    check(t,
          text_find(test_get(t, &world, "/metrics").body, TEXT("\ntraceo_log_writable 0\n")) > 0);
    test_server_again(t, &world);
    test_check_answers(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    test_server_end(t, &world);
    disk_fault_free(&fault);
}

TEST(a_full_disk_is_507_and_says_when_to_come_again) {
    DiskFault *fault = disk_fault_new(disk_real());
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.disk = disk_fault_disk(fault)});
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    DiskFaultPlan plan = {
        .call = DISK_CALL_WRITE, .nth = 1, .for_ever = true, .code = ERROR_DISK_FULL};
    HttpClientAnswer full = write_on_bad_disk(t, &world, fault, plan, TEXT("no_room"));
    check_status(t, 507, full);
    uint64_t seconds = 0;
    check(t, text_to_u64(test_header(full, TEXT("Retry-After")), &seconds) && seconds >= 5 &&
                 seconds <= 15);
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=up&time=1760000030"));
    // When there is room again, writes go on by themselves.
    disk_fault_plan(fault, (DiskFaultPlan){0});
    int status = 0;
    for (int i = 0; i < 100 && status != 204; i++) {
        Label label = {TEXT("__name__"), TEXT("room_again")};
        Bytes body = test_packed(t, request_of(t, &label, 1, T0_MS, 1), COMPRESSION_SNAPPY);
        status = test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body).status;
        if (status != 204) clock_system()->sleep_ms(clock_system(), 50);
    }
    check_i64(t, 204, status);
    test_server_end(t, &world);
    disk_fault_free(&fault);
}

// The store's clock stands still, so what a second may bring is used up for good.
TEST(beyond_the_quota_only_new_series_are_refused) {
    ManualClock clock;
    clock_manual(&clock, T0_MS);
    TestServer world;
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .store_clock = &clock.clock});
    WriteBody body = {0};
    for (int64_t i = 0; i <= TEST_NEW_PER_S; i++) {
        test_row(t, &body, TEXT("many"), TEXT("n"), text_format(t->arena, "%lld", (long long)i),
                 T0_MS, 1);
    }
    Bytes many = test_packed(t, text_bytes(builder_text(&body.bytes)), COMPRESSION_SNAPPY);
    write_body_free(&body);
    // One too many among the others: they are kept, and the whole must not come again.
    HttpClientAnswer mixed =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), many);
    check_status(t, 400, mixed);
    check(t, text_find(mixed.body, TEXT("1 of 100001 samples were refused (1 limit), the others "
                                        "are kept; the first: series many")) > 0);
    check(t, text_find(mixed.body, TEXT("its label \\\"n\\\" has most values, 100000")) > 0);
    check(t, text_find(mixed.body, TEXT("series.new_per_s")) > 0);
    // Nothing but new series: it may come again later.
    Label fresh[] = {{TEXT("__name__"), TEXT("fresh")}},
          known[] = {{TEXT("__name__"), TEXT("many")}, {TEXT("n"), TEXT("7")}};
    Bytes new_body = test_packed(t, request_of(t, fresh, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    HttpClientAnswer refused =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), new_body);
    check_status(t, 429, refused);
    check(t, test_header(refused, TEXT("Retry-After")).len > 0);
    check(t, text_find(test_get(t, &world, "/metrics").body,
                       TEXT("\ntraceo_samples_total{verdict=\"limit\"} 2\n")) > 0);
    // What is known flows on.
    Bytes known_body = test_packed(t, request_of(t, known, 2, T0_MS + 1000, 2), COMPRESSION_SNAPPY);
    check_status(t, 204,
                 test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), known_body));
    clock_advance(&clock, 1000);
    check_status(t, 204,
                 test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), new_body));
    test_server_end(t, &world);
}
TEST_MAIN("server/write", CASE(rows_that_are_wrong_are_refused_with_the_reason),
          CASE(bodies_that_are_wrong_are_refused_and_change_nothing),
          CASE(content_types_are_checked_before_the_body),
          CASE(the_first_bytes_say_how_a_body_is_packed), CASE(good_rows_beside_bad_ones_are_kept),
          CASE(remote_write_2_says_what_it_kept_and_keeps_it_over_a_restart),
          CASE(a_request_of_remote_write_2_that_comes_again_is_known_and_stored_whole),
          CASE(relaxed_durability_is_named_in_every_answer_to_a_write),
          CASE(exemplars_come_back_with_their_series),
          CASE(a_disk_that_fails_acknowledges_nothing_and_goes_on_reading),
          CASE(a_full_disk_is_507_and_says_when_to_come_again),
          CASE(beyond_the_quota_only_new_series_are_refused))
