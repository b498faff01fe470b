// InfluxDB's API: writes of both versions, what is said of bad lines, keys, and what clients ask
// beside.

#include "codec/json.h"
#include "server/server.h"
#include "server/test_server.h"

static HttpClientAnswer post(Test *t, TestServer *world, const char *target, const char *encoding,
                             Text authorization, Text body) {
    HttpHeader headers[3];
    size_t count = 0;
    // As curl --data-binary says of everything.
    headers[count++] =
        (HttpHeader){TEXT("Content-Type"), TEXT("application/x-www-form-urlencoded")};
    if (encoding != NULL)
        headers[count++] = (HttpHeader){TEXT("Content-Encoding"), text_from_cstring(encoding)};
    if (authorization.len > 0)
        headers[count++] = (HttpHeader){TEXT("Authorization"), authorization};
    return test_send(t, world, TEXT("POST"), text_from_cstring(target), headers, count, body);
}

static void check_value(Test *t, TestServer *world, const char *query, const char *value) {
    Text target = text_format(t->arena, "/api/v1/query?query=%s&time=1760000030", query);
    HttpClientAnswer answer = test_get(t, world, text_to_cstring(target, t->arena));
    Text wanted = text_format(t->arena, "\"value\":[1760000030,\"%s\"]", value);
    if (text_find(answer.body, wanted) < 0)
        check_failed(t, __FILE__, __LINE__, "%s: %.*s", query, TEXT_ARG(answer.body));
}

TEST(lines_of_both_versions_are_stored_and_asked_back) {
    static const struct {
        const char *target, *body, *encoding, *query, *value;
    } rows[] = {
        {"/write?db=d", "a,host=x usage=1.5 1760000020000000000", NULL,
         "a_usage{host=%22x%22,db=%22d%22}", "1.5"},
        {"/influx/write?precision=s", "b value=2i 1760000020", NULL, "b{db=%22%22}", "2"},
        {"/write?precision=ms&rp=r&consistency=one", "c v=t 1760000020000", "gzip", "c_v", "1"},
        {"/api/v2/write?bucket=b&org=o&precision=us", "d v=4u 1760000020000000", NULL, "d_v", "4"},
        {"/influx/api/v2/write?bucket=b&org=o", "e v=5 1760000020000000000", "zstd", "e_v", "5"},
        {"/write?db=100%25", "f v=6,t=\"%zz&=\" 1760000020000000000", NULL, "f_v{db=%22100%25%22}",
         "6"},
    };
    TestServer world;
    test_server_plain(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text body = text_from_cstring(rows[i].body);
        Compression compression = COMPRESSION_NONE;
        if (rows[i].encoding != NULL)
            check(t, compression_from_name(text_from_cstring(rows[i].encoding), &compression));
        if (compression != COMPRESSION_NONE)
            body = bytes_text(test_packed(t, text_bytes(body), compression));
        HttpClientAnswer answer =
            post(t, &world, rows[i].target, rows[i].encoding, TEXT_NONE, body);
        check_answer(t, 204, TEXT(""), answer);
        check_text(t, TEXT("1.8.10"), test_header(answer, TEXT("X-Influxdb-Version")));
        check_text(t, TEXT("sync"), test_header(answer, TEXT("X-Traceo-Durability")));
        check_value(t, &world, rows[i].query, rows[i].value);
    }
    check_status(t, 204, post(t, &world, "/write", NULL, TEXT_NONE, TEXT("")));
    test_server_again(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) check_value(t, &world, rows[i].query, rows[i].value);
    test_server_end(t, &world);
}

TEST(bad_lines_are_named_in_the_words_of_their_version) {
    TestServer world;
    test_server_plain(t, &world);
    Text body = TEXT("ok v=1 1760000020000000000\nbroken\nok v=2 1760000021000000000\n");
    check_answer(t, 400,
                 TEXT("{\"error\":\"partial write: 1 of 3 lines were refused, the others are kept; "
                      "the first: line 2: unable to parse 'broken': missing fields\"}"),
                 post(t, &world, "/write", NULL, TEXT_NONE, body));
    check_answer(t, 400,
                 TEXT("{\"code\":\"invalid\",\"message\":\"partial write: 1 of 3 lines were "
                      "refused, the others are kept; the first: line 2: unable to parse 'broken': "
                      "missing fields\"}"),
                 post(t, &world, "/api/v2/write?bucket=b", NULL, TEXT_NONE, body));
    check_value(t, &world, "ok_v", "2");
    // What the gate refuses is told too: a time in the year 2200.
    HttpClientAnswer future =
        post(t, &world, "/write?precision=s", NULL, TEXT_NONE, TEXT("ok v=1 7258118400"));
    check_status(t, 400, future);
    check(t, text_find(future.body, TEXT("{\"error\":\"partial write: 1 of 1 samples were refused "
                                         "(1 too_new)")) == 0);
    check_status(t, 400, post(t, &world, "/write?precision=days", NULL, TEXT_NONE, body));
    check_status(t, 415, post(t, &world, "/write", "br", TEXT_NONE, body));
    check_status(t, 400, post(t, &world, "/write", "gzip", TEXT_NONE, body));
    HttpClientAnswer own = test_get(t, &world, "/metrics");
    check(t, text_find(own.body, TEXT("\ntraceo_influx_lines_refused_total 2\n")) > 0);
    check(t, text_find(own.body, TEXT("\ntraceo_influx_lines_total 7\n")) > 0);
    test_server_end(t, &world);
}

TEST(a_key_may_come_where_clients_of_influxdb_put_it) {
    TestServer world;
    test_server_plain(t, &world);
    Text key = test_server_key(t, &world, TEXT("acme"), PERMISSION_WRITE_METRICS);
    Text good[] = {text_format(t->arena, "Token %.*s", TEXT_ARG(key)),
                   text_format(t->arena, "Token user:%.*s", TEXT_ARG(key)),
                   text_format(t->arena, "Bearer %.*s", TEXT_ARG(key))};
    Text line = TEXT("m v=1 1760000020000000000");
    for (size_t i = 0; i < COUNT(good); i++)
        check_status(t, 204, post(t, &world, "/api/v2/write", NULL, good[i], line));
    Text target = text_format(t->arena, "/write?u=user&p=%.*s", TEXT_ARG(key));
    check_status(t, 204, post(t, &world, text_to_cstring(target, t->arena), NULL, TEXT_NONE, line));
    HttpClientAnswer refused = post(t, &world, "/api/v2/write", NULL, TEXT("Token no"), line);
    check_status(t, 401, refused);
    check(t, text_starts_with(refused.body, TEXT("{\"code\":\"unauthorized\",\"message\":")));
    refused = post(t, &world, "/write?u=user&p=no", NULL, TEXT_NONE, line);
    check_status(t, 401, refused);
    check(t, text_starts_with(refused.body, TEXT("{\"error\":")));
    // A password in the query string is InfluxDB's way only.
    target = text_format(t->arena, "/api/v1/write?p=%.*s", TEXT_ARG(key));
    check_status(t, 401, post(t, &world, text_to_cstring(target, t->arena), NULL, TEXT_NONE, line));
    test_server_end(t, &world);
}

TEST(what_clients_ask_beside_is_answered) {
    TestServer world;
    test_server_plain(t, &world);
    static const char *const pings[] = {"/ping", "/influx/ping", "/api/v2/ping"};
    for (size_t i = 0; i < COUNT(pings); i++) {
        HttpClientAnswer answer = test_get(t, &world, pings[i]);
        check_answer(t, 204, TEXT(""), answer);
        check_text(t, TEXT("1.8.10"), test_header(answer, TEXT("X-Influxdb-Version")));
    }
    check_answer(t, 200, TEXT("{\"version\":\"1.8.10\"}"),
                 test_get(t, &world, "/ping?verbose=true"));
    check(t, text_find(test_get(t, &world, "/health").body, TEXT("\"status\":\"pass\"")) > 0);
    static const struct {
        const char *target, *body;
    } rows[] = {
        {"/query?q=CREATE%20DATABASE%20%22telegraf%22", "{\"results\":[{\"statement_id\":0}]}"},
        {"/query?q=create++database+x;", "{\"results\":[{\"statement_id\":0}]}"},
        {"/query?q=SHOW%20DATABASES&db=x",
         "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":["
         "\"name\"],\"values\":[[\"x\"]]}]}]}"},
        {"/query?q=show+databases;",
         "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":["
         "\"name\"],\"values\":[]}]}]}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_answer(t, 200, text_from_cstring(rows[i].body), test_get(t, &world, rows[i].target));
    check_answer(t, 200, text_from_cstring(rows[0].body),
                 test_post_form(t, &world, "/query", TEXT("q=CREATE+DATABASE+y")));
    HttpClientAnswer select = test_get(t, &world, "/query?q=SELECT%20*%20FROM%20cpu");
    check_status(t, 400, select);
    check(t, text_find(select.body, TEXT("PromQL")) > 0);
    test_server_end(t, &world);
}

TEST_MAIN("server/influx", CASE(lines_of_both_versions_are_stored_and_asked_back),
          CASE(bad_lines_are_named_in_the_words_of_their_version),
          CASE(a_key_may_come_where_clients_of_influxdb_put_it),
          CASE(what_clients_ask_beside_is_answered))
