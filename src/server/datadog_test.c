// Datadog's intake: paths it shares with Prometheus, encodings, keys, answers.

#include "base/limits.h"
#include "codec/protobuf.h"
#include "server/server.h"
#include "server/test_server.h"

static HttpClientAnswer post(Test *t, TestServer *world, const char *target, const char *type,
                             const char *encoding, HttpHeader extra, Text body) {
    HttpHeader headers[3] = {{TEXT("Content-Type"), text_from_cstring(type)}};
    size_t count = 1;
    if (encoding != NULL)
        headers[count++] = (HttpHeader){TEXT("Content-Encoding"), text_from_cstring(encoding)};
    if (extra.name.len > 0) headers[count++] = extra;
    return test_send(t, world, TEXT("POST"), text_from_cstring(target), headers, count, body);
}

static HttpClientAnswer post_json(Test *t, TestServer *world, const char *target, Text body) {
    return post(t, world, target, "application/json", NULL, (HttpHeader){0}, body);
}

static void check_value(Test *t, TestServer *world, const char *query, const char *value) {
    Text target = text_format(t->arena, "/api/v1/query?query=%s&time=1760000030", query);
    HttpClientAnswer answer = test_get(t, world, text_to_cstring(target, t->arena));
    Text wanted = text_format(t->arena, "\"value\":[1760000030,\"%s\"]", value);
    if (text_find(answer.body, wanted) < 0)
        check_failed(t, __FILE__, __LINE__, "%s: %.*s", query, TEXT_ARG(answer.body));
}

#define TAKEN TEXT("{\"status\":\"ok\",\"errors\":[]}")

TEST(series_of_both_versions_are_stored_and_asked_back) {
    TestServer world;
    test_server_plain(t, &world);
    static const char *const targets[] = {"/api/v1/series", "/datadog/api/v1/series?api_key=x",
                                          "/api/v2/series", "/datadog/api/v2/series"};
    static const char *const encodings[] = {NULL, "deflate", "gzip", "zstd"};
    int number = 0;
    for (size_t i = 0; i < COUNT(targets); i++) {
        for (size_t k = 0; k < COUNT(encodings); k++, number++) {
            Text body =
                text_format(t->arena,
                            "{\"series\":[{\"metric\":\"dd.m%d\",\"points\":[[1760000020,%d]],"
                            "\"tags\":[\"env:x\"],\"host\":\"h\"}]}",
                            number, number);
            Compression compression = COMPRESSION_NONE;
            if (encodings[k] != NULL)
                check(t, compression_from_name(text_from_cstring(encodings[k]), &compression));
            if (compression != COMPRESSION_NONE)
                body = bytes_text(test_packed(t, text_bytes(body), compression));
            HttpClientAnswer answer = post(t, &world, targets[i], "application/json", encodings[k],
                                           (HttpHeader){0}, body);
            check_answer(t, 202, i < 2 ? TEXT("{\"status\":\"ok\"}") : TAKEN, answer);
            char query[80], value[20];
            snprintf(query, sizeof query, "dd_m%d%%7Benv=%%22x%%22,host=%%22h%%22%%7D", number);
            snprintf(value, sizeof value, "%d", number);
            check_value(t, &world, query, value);
        }
    }
    AUTO(builder_free) Builder proto = {0};
    size_t series = protobuf_begin(&proto, 1);
    protobuf_add_text(&proto, 2, TEXT("dd.proto"));
    size_t point = protobuf_begin(&proto, 4);
    protobuf_add_double(&proto, 1, 1.5);
    protobuf_add_varint(&proto, 2, 1760000020);
    protobuf_end(&proto, point);
    protobuf_end(&proto, series);
    check_answer(t, 202, TAKEN,
                 post(t, &world, "/api/v2/series", "application/x-protobuf", NULL, (HttpHeader){0},
                      builder_text(&proto)));
    check_value(t, &world, "dd_proto", "1.5");
    test_server_again(t, &world);
    check_value(t, &world, "dd_proto", "1.5");
    test_server_end(t, &world);
}

TEST(prometheus_keeps_its_path_for_forms) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    HttpClientAnswer form = test_post_form(t, &world, "/api/v1/series", TEXT("match[]=jobs_total"));
    check_status(t, 200, form);
    check(t, text_find(form.body, TEXT("jobs_total")) > 0);
    // Under Prometheus' own prefix JSON is not Datadog's.
    HttpClientAnswer json =
        post_json(t, &world, "/prometheus/api/v1/series", TEXT("{\"series\":[]}"));
    check_status(t, 400, json);
    check(t, text_find(json.body, TEXT("match[]")) > 0);
    test_server_end(t, &world);
}

TEST(what_is_wrong_is_told_as_datadog_does_and_the_rest_is_kept) {
    TestServer world;
    test_server_plain(t, &world);
    HttpClientAnswer answer = post_json(t, &world, "/api/v1/series",
                                        TEXT("{\"series\":[{\"metric\":\"good\",\"points\":[["
                                             "1760000020,1]]},{\"points\":[[1,1]]}]}"));
    check_answer(t, 400,
                 TEXT("{\"status\":\"error\",\"errors\":[\"1 of 2 series were refused, the others "
                      "are kept; the first: series 2, metric \\\"\\\": it has no metric\"]}"),
                 answer);
    check_value(t, &world, "good", "1");
    check_status(t, 400, post_json(t, &world, "/api/v2/series", TEXT("{")));
    check_status(t, 400,
                 post_json(t, &world, "/api/v2/series",
                           TEXT("{\"series\":[{\"metric\":\"m\",\"points\":[[7258118400,1]]}]}")));
    check_status(
        t, 415,
        post(t, &world, "/api/v2/series", "application/json", "br", (HttpHeader){0}, TEXT("{}")));
    test_server_end(t, &world);
}

TEST(keys_come_where_agents_put_them_and_the_rest_is_polite) {
    TestServer world;
    test_server_plain(t, &world);
    Text key = test_server_key(t, &world, TEXT("acme"), PERMISSION_WRITE_METRICS);
    Text body = TEXT("{\"series\":[{\"metric\":\"m\",\"points\":[[1760000020,1]]}]}");
    HttpHeader header = {TEXT("DD-API-KEY"), key};
    check_status(t, 202, post(t, &world, "/api/v1/series", "application/json", NULL, header, body));
    check_status(t, 202, post(t, &world, "/api/v2/series", "application/json", NULL, header, body));
    Text target = text_format(t->arena, "/api/v1/series?api_key=%.*s", TEXT_ARG(key));
    check_status(t, 202, post_json(t, &world, text_to_cstring(target, t->arena), body));
    HttpClientAnswer refused = post_json(t, &world, "/api/v1/series?api_key=no", body);
    check_status(t, 401, refused);
    check(t, text_starts_with(refused.body, TEXT("{\"status\":\"error\",\"errors\":[")));
    static const char *const dropped[] = {"/api/v1/check_run", "/intake/", "/datadog/intake/"};
    for (size_t i = 0; i < COUNT(dropped); i++)
        check_answer(t, 202, TEXT("{\"status\":\"ok\"}"),
                     post(t, &world, dropped[i], "application/json", NULL, header, TEXT("[]")));
    check_answer(
        t, 200, TEXT("{\"valid\":true}"),
        test_send(t, &world, TEXT("GET"), TEXT("/api/v1/validate"), &header, 1, TEXT_NONE));
    header.value = TEXT("no");
    check_status(
        t, 401, test_send(t, &world, TEXT("GET"), TEXT("/api/v1/validate"), &header, 1, TEXT_NONE));
    test_server_end(t, &world);
}

TEST_MAIN("server/datadog", CASE(series_of_both_versions_are_stored_and_asked_back),
          CASE(prometheus_keeps_its_path_for_forms),
          CASE(what_is_wrong_is_told_as_datadog_does_and_the_rest_is_kept),
          CASE(keys_come_where_agents_put_them_and_the_rest_is_polite))
