// OTLP over HTTP: every path, encoding and compression; errors in the words of google.rpc.Status;
// partial success; keys; disks that fail; quotas.

#include "base/limits.h"
#include "codec/json.h"
#include "codec/protobuf.h"
#include "os/disk_fault.h"
#include "server/server.h"
#include "server/test_server.h"

// A request with one gauge point, as protobuf.
static Bytes gauge_of(Test *t, const char *name, int64_t time_ms, double value) {
    AUTO(builder_free) Builder out = {0};
    size_t resource = protobuf_begin(&out, 1);
    size_t scope = protobuf_begin(&out, 2);
    size_t metric = protobuf_begin(&out, 2);
    protobuf_add_text(&out, 1, text_from_cstring(name));
    size_t gauge = protobuf_begin(&out, 5);
    size_t point = protobuf_begin(&out, 1);
    protobuf_add_fixed64(&out, 3, (uint64_t)time_ms * 1000000);
    protobuf_add_double(&out, 4, value);
    protobuf_end(&out, point);
    protobuf_end(&out, gauge);
    protobuf_end(&out, metric);
    protobuf_end(&out, scope);
    protobuf_end(&out, resource);
    return bytes_copy(text_bytes(builder_text(&out)), t->arena);
}

typedef struct Post {
    const char *path, *type, *encoding;
    Text key, tenant;
} Post;

static HttpClientAnswer post(Test *t, TestServer *world, Post post, Bytes body) {
    HttpHeader headers[4];
    size_t count = 0;
    const char *type = post.type == NULL ? "application/x-protobuf" : post.type;
    headers[count++] = (HttpHeader){TEXT("Content-Type"), text_from_cstring(type)};
    if (post.encoding != NULL)
        headers[count++] = (HttpHeader){TEXT("Content-Encoding"), text_from_cstring(post.encoding)};
    if (post.key.len > 0)
        headers[count++] = (HttpHeader){TEXT("Authorization"),
                                        text_format(t->arena, "Bearer %.*s", TEXT_ARG(post.key))};
    if (post.tenant.len > 0) headers[count++] = (HttpHeader){TEXT("X-Scope-OrgID"), post.tenant};
    const char *path = post.path == NULL ? "/v1/metrics" : post.path;
    return test_send(t, world, TEXT("POST"), text_from_cstring(path), headers, count,
                     bytes_text(body));
}

static HttpClientAnswer post_json(Test *t, TestServer *world, const char *json) {
    return post(t, world, (Post){.type = "application/json"}, text_bytes(text_from_cstring(json)));
}

static void check_value(Test *t, TestServer *world, const char *query, const char *value) {
    Text target = text_format(t->arena, "/api/v1/query?query=%s&time=1760000030", query);
    HttpClientAnswer answer = test_get(t, world, text_to_cstring(target, t->arena));
    Text wanted = text_format(t->arena, "\"value\":[1760000030,\"%s\"]", value);
    if (text_find(answer.body, wanted) < 0)
        check_failed(t, __FILE__, __LINE__, "%s: %.*s", query, TEXT_ARG(answer.body));
}

// google.rpc.Status {1 code, 2 message}
static void check_rpc_status(Test *t, HttpClientAnswer answer, int status, uint64_t code,
                             const char *says) {
    check_i64(t, status, answer.status);
    check_text(t, TEXT("application/x-protobuf"), test_header(answer, TEXT("Content-Type")));
    Reader reader = reader_begin(text_bytes(answer.body));
    ProtobufField field;
    uint64_t found = 0;
    Text message = TEXT_NONE;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) found = field.value;
        if (field.number == 2) message = bytes_text(field.bytes);
    }
    check(t, !reader.failed);
    check_i64(t, code, found);
    if (text_find(message, text_from_cstring(says)) < 0)
        check_failed(t, __FILE__, __LINE__, "the message is \"%.*s\"", TEXT_ARG(message));
}

TEST(every_path_encoding_and_compression_is_stored_and_asked_back) {
    TestServer world;
    test_server_plain(t, &world);
    static const char *const paths[] = {"/v1/metrics", "/otlp/v1/metrics",
                                        "/api/v1/otlp/v1/metrics"};
    static const char *const encodings[] = {NULL, "identity", "gzip", "zstd", "deflate", "snappy"};
    int number = 0;
    for (size_t i = 0; i < COUNT(paths); i++) {
        for (size_t k = 0; k < COUNT(encodings); k++, number++) {
            char name[20], value[20];
            snprintf(name, sizeof name, "m%d", number);
            snprintf(value, sizeof value, "%d", number);
            Compression compression = COMPRESSION_NONE;
            if (encodings[k] != NULL)
                check(t, compression_from_name(text_from_cstring(encodings[k]), &compression));
            Bytes body = gauge_of(t, name, T0_MS + 20000, number);
            if (compression != COMPRESSION_NONE) body = test_packed(t, body, compression);
            HttpClientAnswer answer =
                post(t, &world, (Post){.path = paths[i], .encoding = encodings[k]}, body);
            check_answer(t, 200, TEXT(""), answer);
            check_text(t, TEXT("application/x-protobuf"),
                       test_header(answer, TEXT("Content-Type")));
            check_text(t, TEXT("sync"), test_header(answer, TEXT("X-Traceo-Durability")));
            check_value(t, &world, name, value);
        }
    }
    HttpClientAnswer answer = post_json(
        t, &world,
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"j\",\"gauge\":{"
        "\"dataPoints\":[{\"timeUnixNano\":\"1760000020000000000\",\"asInt\":\"7\"}]}}]}]}]}");
    check_answer(t, 200, TEXT("{}"), answer);
    check_text(t, TEXT("application/json"), test_header(answer, TEXT("Content-Type")));
    check_value(t, &world, "j", "7");
    // Nothing to store is fine too.
    check_answer(t, 200, TEXT("{}"), post_json(t, &world, "{}"));
    check_answer(t, 200, TEXT(""), post(t, &world, (Post){0}, BYTES_NONE));
    // And after a restart.
    test_server_again(t, &world);
    check_value(t, &world, "m3", "3");
    test_server_end(t, &world);
}

// A counter that began again between two points without falling, and a histogram beside it.
TEST(start_timestamps_are_kept_over_a_restart_and_count_where_the_setting_says_so) {
    TestServer world;
    test_server_plain(t, &world);
    static const char *const points[] = {"1760000000", "1760000015", "1760000030"};
    static const char *const starts[] = {"1759999900", "1759999900", "1760000020"};
    for (size_t i = 0; i < COUNT(points); i++) {
        AUTO(builder_free) Builder json = {0};
        builder_addf(&json,
                     "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":["
                     "{\"name\":\"c\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,"
                     "\"dataPoints\":[{\"startTimeUnixNano\":\"%s000000000\",\"timeUnixNano\":"
                     "\"%s000000000\",\"asInt\":%zu}]}},{\"name\":\"e\",\"exponentialHistogram\":{"
                     "\"aggregationTemporality\":2,\"dataPoints\":[{\"startTimeUnixNano\":"
                     "\"%s000000000\",\"timeUnixNano\":\"%s000000000\",\"count\":%zu,\"sum\":1,"
                     "\"zeroCount\":%zu}]}}]}]}]}",
                     starts[i], points[i], i + 1, starts[i], points[i], i + 1, i + 1);
        builder_add_char(&json, '\0');
        check_status(t, 200, post_json(t, &world, json.at));
    }
    for (int life = 0; life < 2; life++) {
        check_value(t, &world, "start_timestamp(c_total)", "1760000020");
        check_value(t, &world, "start_timestamp(e)", "1760000020");
        check_value(t, &world, "resets(c_total[1m])", "0");
        server_set_query(world.server, (ServerQuerySettings){.starts = true});
        check_value(t, &world, "resets(c_total[1m])", "1");
        check_value(t, &world, "resets(e[1m])", "1");
        server_set_query(world.server, (ServerQuerySettings){0});
        check_value(t, &world, "resets(e[1m])", "0");
        test_server_again(t, &world);  // from the log
    }
    test_server_end(t, &world);
}

TEST(good_points_beside_bad_ones_are_kept_and_the_bad_ones_counted) {
    TestServer world;
    test_server_plain(t, &world);
    HttpClientAnswer answer = post_json(
        t, &world,
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"g\",\"gauge\":{"
        "\"dataPoints\":[{\"timeUnixNano\":\"1760000020000000000\",\"asInt\":\"7\"},{\"asInt\":1},"
        "{\"timeUnixNano\":\"9960000020000000000\",\"asInt\":\"7\"}]}}]}]}]}");
    check_i64(t, 200, answer.status);
    JsonValue *json;
    check_ok(t, json_parse(answer.body, t->arena, &json, t->err));
    const JsonValue *partial = json_get(json, TEXT("partialSuccess"));
    check_text(t, TEXT("2"), json_get(partial, TEXT("rejectedDataPoints"))->text);
    Text message = json_get(partial, TEXT("errorMessage"))->text;
    check(t, text_find(message, TEXT("2 of 3 data points were rejected; the first: metric \"g\": a "
                                     "data point without a time")) == 0);
    check_value(t, &world, "g", "7");
    Text own = test_get(t, &world, "/metrics").body;
    check(t, text_find(own, TEXT("\ntraceo_otlp_points_total 3\n")) > 0);
    check(t, text_find(own, TEXT("\ntraceo_otlp_points_rejected_total 2\n")) > 0);
    // Another value at the same time; in protobuf: partial_success {1 count, 2 message}.
    answer = post(t, &world, (Post){0}, gauge_of(t, "g", T0_MS + 20000, 8));
    check_i64(t, 200, answer.status);
    Reader reader = reader_begin(text_bytes(answer.body));
    ProtobufField field = {0};
    check(t, protobuf_next(&reader, &field) && field.number == 1);
    reader = reader_begin(field.bytes);
    check(t, protobuf_next(&reader, &field) && field.number == 1 && field.value == 1);
    check(t, protobuf_next(&reader, &field) && field.number == 2);
    check(t, text_find(bytes_text(field.bytes), TEXT("another value is stored")) > 0);
    check_value(t, &world, "g", "7");
    // The same again is fine.
    check_answer(t, 200, TEXT(""), post(t, &world, (Post){0}, gauge_of(t, "g", T0_MS + 20000, 7)));
    test_server_end(t, &world);
}

TEST(errors_are_a_status_in_the_encoding_of_the_request) {
    TestServer world;
    test_server_plain(t, &world);
    Bytes body = gauge_of(t, "g", T0_MS, 1);
    Bytes half = {body.at, body.len - 3};
    check_rpc_status(t, post(t, &world, (Post){0}, half), 400, 3, "malformed protobuf");
    HttpClientAnswer answer = post_json(t, &world, "{\"resourceMetrics\":7}");
    check_answer(
        t, 400,
        TEXT("{\"code\":3,\"message\":\"resourceMetrics wants a list (byte 20 of the JSON)\"}"),
        answer);
    check_rpc_status(t, post(t, &world, (Post){.encoding = "gzip"}, body), 400, 3, "");
    check_rpc_status(t, post(t, &world, (Post){.encoding = "br"}, body), 415, 12, "not \"br\"");
    check_rpc_status(t, post(t, &world, (Post){.type = "text/plain"}, body), 415, 12,
                     "application/x-protobuf or application/json");
    check_rpc_status(t, post(t, &world, (Post){.path = "/v1/traces"}, body), 501, 12,
                     "it takes OTLP metrics, at /v1/metrics");
    check_rpc_status(t, post(t, &world, (Post){.path = "/v1/logs"}, body), 501, 12, "");
    // A bomb: much of nothing.
    size_t large = (size_t)LIMIT_BODY_DECOMPRESSED_BYTES + 1;
    Bytes zeros = {arena_push_size(t->arena, large, 1), large};
    check_rpc_status(
        t, post(t, &world, (Post){.encoding = "zstd"}, test_packed(t, zeros, COMPRESSION_ZSTD)),
        413, 8, "BODY_DECOMPRESSED");
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[]}"),
                 test_get(t, &world, "/api/v1/series?match[]={__name__!=\"\"}"));
    test_server_end(t, &world);
}

TEST(keys_and_tenants_hold_for_otlp_too) {
    TestServer world;
    test_server_plain(t, &world);
    Text writer = test_server_key(t, &world, TEXT("a"), PERMISSION_WRITE_METRICS);
    Text reader = test_server_key(t, &world, TEXT("a"), PERMISSION_READ_METRICS);
    Bytes body = gauge_of(t, "g", T0_MS + 20000, 5);
    check_rpc_status(t, post(t, &world, (Post){0}, body), 401, 16, "");
    check_rpc_status(t, post(t, &world, (Post){.key = reader}, body), 403, 7, "");
    check_rpc_status(t, post(t, &world, (Post){.key = writer, .tenant = TEXT("b")}, body), 403, 7,
                     "");
    check_answer(t, 200, TEXT(""), post(t, &world, (Post){.key = writer}, body));
    HttpClientAnswer found = test_as(
        t, &world, TEXT("GET"), TEXT("/api/v1/query?query=g&time=1760000030"), reader, TEXT_NONE);
    check(t, text_find(found.body, TEXT("\"5\"")) > 0);
    test_server_end(t, &world);
}

TEST(a_disk_that_is_full_or_fails_says_when_to_come_again) {
    static const ErrorCode codes[] = {ERROR_DISK_FULL, ERROR_IO};
    for (size_t i = 0; i < COUNT(codes); i++) {
        DiskFault *fault = disk_fault_new(disk_real());
        TestServer world;
        test_server_begin(t, &world, (TestServerOptions){.disk = disk_fault_disk(fault)});
        check_i64(t, 200,
                  post(t, &world, (Post){0}, gauge_of(t, "before", T0_MS + 20000, 1)).status);
        disk_fault_plan(
            fault,
            (DiskFaultPlan){.call = DISK_CALL_WRITE, .nth = 1, .for_ever = true, .code = codes[i]});
        HttpClientAnswer answer = post(t, &world, (Post){0}, gauge_of(t, "lost", T0_MS + 20000, 1));
        check_rpc_status(t, answer, 503, 14, "");
        check(t, test_header(answer, TEXT("Retry-After")).len > 0);
        check_value(t, &world, "before", "1");
        test_server_end(t, &world);
        disk_fault_free(&fault);
    }
}

// One gauge "known" of service "s"; `more` are further attributes of its resource.
static HttpClientAnswer post_known(Test *t, TestServer *world, int64_t time_ms, const char *more) {
    Text json = text_format(
        t->arena,
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
        "\"stringValue\":\"s\"}}%s]},\"scopeMetrics\":[{\"metrics\":[{\"name\":\"known\",\"gauge\":"
        "{"
        "\"dataPoints\":[{\"timeUnixNano\":\"%lld000000\",\"asInt\":1}]}}]}]}]}",
        more, (long long)time_ms);
    return post(t, world, (Post){.type = "application/json"}, text_bytes(json));
}

// The store's clock stands still, so what a second may bring is used up for good.
TEST(beyond_the_quota_new_series_are_told_to_come_later) {
    ManualClock clock;
    clock_manual(&clock, T0_MS);
    TestServer world;
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .store_clock = &clock.clock});
    check_i64(t, 200, post_known(t, &world, T0_MS, "").status);
    Builder json = {0};
    builder_add(&json, TEXT("{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":"
                            "\"many\",\"gauge\":{\"dataPoints\":["));
    for (int64_t i = 0; i <= TEST_NEW_PER_S; i++)
        builder_addf(&json,
                     "%s{\"timeUnixNano\":\"1760000000000000000\",\"asInt\":1,\"attributes\":[{"
                     "\"key\":\"n\",\"value\":{\"intValue\":%lld}}]}",
                     i == 0 ? "" : ",", (long long)i);
    builder_add(&json, TEXT("]}}]}]}]}"));
    HttpClientAnswer mixed =
        post(t, &world, (Post){.type = "application/json"}, text_bytes(builder_text(&json)));
    builder_free(&json);
    check_i64(t, 200, mixed.status);
    check(t, text_find(mixed.body, TEXT("2 of 100001 data points were rejected")) > 0);
    check(t, text_find(mixed.body, TEXT("series.new_per_s")) > 0);
    // Nothing but new series: it may come again.
    HttpClientAnswer refused = post(t, &world, (Post){0}, gauge_of(t, "fresh", T0_MS, 1));
    check_rpc_status(t, refused, 429, 8, "series.new_per_s");
    check(t, test_header(refused, TEXT("Retry-After")).len > 0);
    // A known series is stored, and must not come again because its new target_info was not.
    check_i64(t, 200,
              post_known(t, &world, T0_MS + 1,
                         ",{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h\"}}")
                  .status);
    clock_advance(&clock, 1000);
    check_answer(t, 200, TEXT(""), post(t, &world, (Post){0}, gauge_of(t, "fresh", T0_MS, 1)));
    test_server_end(t, &world);
}

TEST_MAIN("server/otlp", CASE(every_path_encoding_and_compression_is_stored_and_asked_back),
          CASE(start_timestamps_are_kept_over_a_restart_and_count_where_the_setting_says_so),
          CASE(good_points_beside_bad_ones_are_kept_and_the_bad_ones_counted),
          CASE(errors_are_a_status_in_the_encoding_of_the_request),
          CASE(keys_and_tenants_hold_for_otlp_too),
          CASE(a_disk_that_is_full_or_fails_says_when_to_come_again),
          CASE(beyond_the_quota_new_series_are_told_to_come_later))
