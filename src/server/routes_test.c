// The tables, and what follows from them for every route: who may pass and who may not.

#include "server/routes.h"

#include "codec/json.h"
#include "server/request.h"
#include "server/self_metrics.h"
#include "server/test_server.h"

// ---- The tables ----

TEST(every_route_is_complete_and_in_its_place) {
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const Route *route = &routes[i];
        check(t, route->id == i);
        check(t, route->methods != 0 && route->serve != NULL && route->help.len > 10);
        check(t, text_ends_with(route->help, TEXT(".")) || text_ends_with(route->help, TEXT("….")));
        check(t, text_starts_with(route->path, TEXT("/")) && route->body_max > 0);
        check(t, (route->needs & ~(Permissions)PERMISSION_ALL) == 0);
        check(t, route->lane == LANE_LOOP || route->check == NULL);
        if (i > 0) check(t, text_compare(routes[i - 1].path, route->path) < 0);
        Text word;
        for (Text rest = route->parameters; text_cut(&rest, ' ', &word);) {
            if (text_ends_with(word, TEXT("!"))) word.len--;
            if (word.len > 0 && param_find(word) == NULL)
                check_failed(t, __FILE__, __LINE__, "parameter %.*s", TEXT_ARG(word));
        }
    }
}

// What a stranger may see is a decision, so it is written down a second time.
TEST(only_health_and_the_page_without_data_are_public) {
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        RouteId id = routes[i].id;
        bool expected = id == ROUTE_HEALTHY || id == ROUTE_READY || id == ROUTE_UI_ROOT ||
                        id == ROUTE_UI || id == ROUTE_GRPC_HEALTH || id == ROUTE_INFLUX_PING ||
                        id == ROUTE_INFLUX_PING_2 || id == ROUTE_INFLUX_HEALTH ||
                        id == ROUTE_INFLUX_HEALTH_2;
        check(t, (routes[i].needs == PERMISSION_PUBLIC) == expected);
    }
}

TEST(parameters_are_sorted_and_explained) {
    for (size_t i = 0; i < param_row_count; i++) {
        check(t, param_rows[i].help.len > 10 && param_rows[i].type.len > 0);
        if (i > 0) check(t, text_compare(param_rows[i - 1].name, param_rows[i].name) < 0);
    }
}

TEST(every_path_finds_its_row_and_no_other_does) {
    static const struct {
        const char *path;
        int id;  // -1: none
        const char *name;
    } rows[] = {
        {"/", ROUTE_ROOT, NULL},
        {"/api/v1/query", ROUTE_QUERY, NULL},
        {"/prometheus/api/v1/query", ROUTE_QUERY, NULL},
        {"/prometheus/-/ready", ROUTE_READY, NULL},
        {"/prometheus/prometheus/api/v1/query", -1, NULL},
        {"/prometheus", -1, NULL},
        {"/prometheus/", -1, NULL},
        {"/prometheusapi/v1/query", -1, NULL},
        {"/api/v1/query/", -1, NULL},
        {"/API/v1/query", -1, NULL},
        {"/api/v1/quer", -1, NULL},
        {"/api/v1/query2", -1, NULL},
        {"", -1, NULL},
        {"*", -1, NULL},
        {"/api/v1/label/job/values", ROUTE_LABEL_VALUES, "job"},
        {"/prometheus/api/v1/label/__name__/values", ROUTE_LABEL_VALUES, "__name__"},
        {"/api/v1/label/{name}/values", ROUTE_LABEL_VALUES, "{name}"},
        {"/api/v1/label//values", -1, NULL},
        {"/api/v1/label/values", -1, NULL},
        {"/api/v1/label/a/b/values", -1, NULL},
        {"/api/v1/label/a/values/", -1, NULL},
        {"/api/v1/format_query", ROUTE_FORMAT_QUERY, NULL},
        {"/api/v1/format_querys", -1, NULL},
        {"/ui", ROUTE_UI_ROOT, NULL},
        {"/ui/", ROUTE_UI, ""},
        {"/ui/assets/a.js", ROUTE_UI, "assets/a.js"},
        {"/ui//", ROUTE_UI, "/"},
        {"/uix", -1, NULL},
        {"/prometheus/ui/", -1, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text name;
        const Route *found = route_find(text_from_cstring(rows[i].path), &name);
        int id = found == NULL ? -1 : (int)found->id;
        if (id != rows[i].id)
            check_failed(t, __FILE__, __LINE__, "%s is row %d, not %d", rows[i].path, id,
                         rows[i].id);
        if (rows[i].name != NULL) check_text(t, text_from_cstring(rows[i].name), name);
    }
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        Text name;
        check(t, route_find(routes[i].path, &name) == &routes[i]);
    }
}

TEST(every_error_has_a_status_that_says_who_must_act) {
    for (ErrorCode code = ERROR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        ErrorStatus status = error_status(code);
        check(t, status.status >= 400 && status.status < 600 && status.type != NULL);
        Text type = text_from_cstring(status.type);
        if (text_equal(type, TEXT("bad_data")))
            check(t, status.status < 500 && status.status != 429);
        if (text_equal(type, TEXT("internal"))) check(t, status.status == 500);
        check(t, http_status_text(status.status)[0] != '\0' || status.status == 499);
    }
}

TEST(own_metrics_are_sorted_named_and_explained) {
    for (size_t i = 0; i < self_row_count; i++) {
        const SelfRow *row = &self_rows[i];
        check(t, row->help.len > 5 && text_ends_with(row->help, TEXT(".")));
        check(t, text_starts_with(row->name, TEXT("traceo_")) ||
                     text_starts_with(row->name, TEXT("process_")));
        bool total = text_ends_with(row->name, TEXT("_total"));
        if (total != (row->kind == SELF_COUNTER))
            check_failed(t, __FILE__, __LINE__, "%.*s", TEXT_ARG(row->name));
        if (i > 0 && text_compare(self_rows[i - 1].name, row->name) >= 0) {
            check_failed(t, __FILE__, __LINE__, "%.*s is not in order", TEXT_ARG(row->name));
        }
    }
}

TEST(escaped_label_names_are_read_as_prometheus_reads_them) {
    static const struct {
        const char *escaped, *name;
    } rows[] = {
        {"job", "job"},
        {"U__http_2e_status_code",
         "U__http_2e_status_code"},  // "_code" is no escape, so nothing is one
        {"U__http_2e_status__code", "http.status_code"},
        {"U____name__", "_name_"},
        {"U______name____", "__name__"},
        {"U__a_2F_b", "a/b"},
        {"U___1F600_", "\xf0\x9f\x98\x80"},
        {"U___d800_", "U___d800_"},
        {"U___110000_", "U___110000_"},
        {"U___0000041_", "U___0000041_"},
        {"U__a_", "U__a_"},
        {"U__a_2e", "U__a_2e"},
        {"U__a_xy_", "U__a_xy_"},
        {"U__", ""},
        {"u__a_2e_b", "u__a_2e_b"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text name = label_name_unescape(text_from_cstring(rows[i].escaped), t->arena);
        check_text(t, text_from_cstring(rows[i].name), name);
    }
}

// ---- Every route on a running server ----

// With {name} filled in.
static Text path_of(Test *t, const Route *route, Text prefix) {
    ptrdiff_t open = text_find_char(route->path, '{');
    if (open < 0) return text_format(t->arena, "%.*s%.*s", TEXT_ARG(prefix), TEXT_ARG(route->path));
    ptrdiff_t close = text_find_char(route->path, '}');
    Text before = text_slice(route->path, 0, (size_t)open),
         after = text_slice(route->path, (size_t)close + 1, route->path.len);
    return text_format(t->arena, "%.*s%.*sjob%.*s", TEXT_ARG(prefix), TEXT_ARG(before),
                       TEXT_ARG(after));
}

// Calls `each` for every method of every route under every prefix.
static void for_each_route(Test *t,
                           void (*each)(Test *t, void *context, const Route *route, Text method,
                                        Text path),
                           void *context) {
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        Text prefixes[] = {TEXT(""), families[routes[i].family].prefix};
        for (size_t p = 0; p < (prefixes[1].len > 0 ? 2u : 1u); p++) {
            for (HttpMethod method = 0; method < HTTP_METHOD_COUNT; method++) {
                if ((routes[i].methods & 1u << method) != 0) {
                    each(t, context, &routes[i], http_method_text(method),
                         path_of(t, &routes[i], prefixes[p]));
                }
            }
        }
    }
}

typedef struct Keys {
    TestServer server;
    Text lacking[PERMISSION_COUNT];  // each lacks one permission
    Text bad;
    size_t refused, forbidden, passed;
} Keys;

static bool names_status(int status) {
    return status != 401 && status != 403 && status != 404 && status != 405;
}

static void try_route(Test *t, void *context, const Route *route, Text method, Text path) {
    Keys *keys = context;
    int without = test_as(t, &keys->server, method, path, TEXT_NONE, TEXT_NONE).status;
    int wrong = test_as(t, &keys->server, method, path, keys->bad, TEXT_NONE).status;
    if (route->needs == PERMISSION_PUBLIC) {
        bool ping = route->id == ROUTE_INFLUX_PING || route->id == ROUTE_INFLUX_PING_2;
        // The page leads on from /ui, and this server has none in it; a gRPC method says to
        // HTTP/1.1 that it is one.
        int expected = route->id == ROUTE_UI_ROOT     ? 302
                       : route->id == ROUTE_UI        ? 404
                       : route->family == FAMILY_GRPC ? 415
                       : ping                         ? 204
                                                      : 200;
        check(t, without == expected && wrong == expected);
        return;
    }
    if (without != 401 || wrong != 401)
        check_failed(t, __FILE__, __LINE__, "%.*s %.*s: %d, %d", TEXT_ARG(method), TEXT_ARG(path),
                     without, wrong);
    keys->refused++;
    for (size_t i = 0; i < PERMISSION_COUNT; i++) {
        int status = test_as(t, &keys->server, method, path, keys->lacking[i], TEXT_NONE).status;
        bool needed = (route->needs & 1u << i) != 0;
        // No query has that number: who may ask is told so.
        bool passed = names_status(status) || (route->id == ROUTE_QUERIES_END && status == 404);
        if (needed ? status != 403 : !passed) {
            check_failed(t, __FILE__, __LINE__, "%.*s %.*s without %.*s: %d", TEXT_ARG(method),
                         TEXT_ARG(path), TEXT_ARG(permission_rows[i].name), status);
        }
        if (needed)
            keys->forbidden++;
        else
            keys->passed++;
    }
}

TEST(every_route_asks_for_a_key_and_for_its_permission) {
    Keys *keys = arena_push(t->arena, Keys);
    test_server_begin(t, &keys->server, (TestServerOptions){.durability = LOG_MEMORY});
    for (size_t i = 0; i < PERMISSION_COUNT; i++) {
        keys->lacking[i] =
            test_server_key(t, &keys->server, TEXT("acme"), PERMISSION_ALL & ~(1u << i));
    }
    keys->bad = TEXT(
        "traceo_0123456789abcdef_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    for_each_route(t, try_route, keys);
    check(t,
          keys->refused > 50 && keys->forbidden >= keys->refused && keys->passed > keys->forbidden);

    // Who is unknown does not learn which paths exist either; who is known does.
    check_status(t, 401,
                 test_as(t, &keys->server, TEXT("GET"), TEXT("/nothing"), TEXT_NONE, TEXT_NONE));
    check_status(
        t, 401,
        test_as(t, &keys->server, TEXT("DELETE"), TEXT("/api/v1/query"), TEXT_NONE, TEXT_NONE));
    check_status(t, 401,
                 test_as(t, &keys->server, TEXT("DELETE"), TEXT("/-/ready"), TEXT_NONE, TEXT_NONE));
    HttpClientAnswer lost =
        test_as(t, &keys->server, TEXT("GET"), TEXT("/nothing"), keys->lacking[0], TEXT_NONE);
    check_answer(t, 404,
                 TEXT("{\"status\":\"error\",\"errorType\":\"not_found\",\"error\":\"there is "
                      "nothing at /nothing; see /api/v1/openapi.json\"}"),
                 lost);
    check_status(t, 405,
                 test_as(t, &keys->server, TEXT("DELETE"), TEXT("/api/v1/query"), keys->lacking[0],
                         TEXT_NONE));
    test_server_end(t, &keys->server);
}

// The same path in other spellings must not become a public one, nor one that is asked for less.
TEST(no_spelling_of_a_path_walks_past_the_key) {
    static const char *const spellings[] = {
        "//api/v1/query?query=1",
        "/api//v1/query?query=1",
        "/./api/v1/query?query=1",
        "/api/v1/../v1/query?query=1",
        "/-/ready/../../api/v1/query?query=1",
        "/-/ready/..%2f..%2fapi/v1/query?query=1",
        "/-/ready%2f..%2f..%2fapi%2fv1%2fquery?query=1",
        "/-/ready/%2e%2e/%2e%2e/api/v1/query?query=1",
        "/-/ready;/api/v1/query?query=1",
        "/api/v1/query;x=/-/ready?query=1",
        "/API/V1/QUERY?query=1",
        "/api/v1/query/?query=1",
        "/api/v1/query%20?query=1",
        "/api/v1/query%00?query=1",
        "/api/v1/query%2f?query=1",
        "/%61pi/v1/query?query=1",
        "/api/v1/%71uery?query=1",
        "/api%2fv1%2fquery?query=1",
        "/api%252fv1%252fquery?query=1",
        "/prometheus//-/ready/api/v1/query?query=1",
        "/prometheus/../api/v1/query?query=1",
        "/prometheus/prometheus/-/ready/../api/v1/query",
        "\\api\\v1\\query?query=1",
        "/-/healthy/",
        "/-/healthy/api/v1/query?query=1",
        "/-/healthyx",
        "/-/",
        "/-",
        "/metrics/",
        "/metrics%2f",
        "/./metrics",
        "/prometheus/metrics",
        "/?/-/ready",
        "http://localhost/api/v1/query?query=1",
        "http://localhost/metrics",
        "/api/v1/query?query=1#/-/ready",
        "*",
    };
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    test_server_key(t, &world, TEXT("acme"), PERMISSION_ALL);
    const char *methods[] = {"GET", "POST", "HEAD", "PUT", "OPTIONS"};
    for (size_t i = 0; i < COUNT(spellings); i++) {
        for (size_t m = 0; m < COUNT(methods); m++) {
            int status = test_as(t, &world, text_from_cstring(methods[m]),
                                 text_from_cstring(spellings[i]), TEXT_NONE, TEXT_NONE)
                             .status;
            if (status != 401 && status != 400)
                check_failed(t, __FILE__, __LINE__, "%s %s: %d", methods[m], spellings[i], status);
        }
    }
    test_server_end(t, &world);
}

// ---- Nonsense ----

typedef struct Nonsense {
    TestServer server;
    size_t asked;
} Nonsense;

static void try_nonsense(Test *t, void *context, const Route *route, Text method, Text path) {
    static const char *const values[] = {
        "",
        "0",
        "-1",
        "NaN",
        "Inf",
        "1e400",
        "99999999999999999999",
        "-9223372036854775808",
        "%00",
        "%ff%fe",
        "%F0%9F%98%80",
        "1h1h",
        "((((((",
        "{",
        "up{",
        "a%3D~b",
        "%22",
        "2025-13-45T99:99:99Z",
        "1970-01-01T00:00:00%2B99:99",
        "up%5B5m%5D",
        "%23",
        "1%2B",
    };
    Nonsense *nonsense = context;
    Text word;
    if (route->needs == PERMISSION_PUBLIC || route->id == ROUTE_WRITE) return;
    for (Text rest = route->parameters; text_cut(&rest, ' ', &word);) {
        if (text_ends_with(word, TEXT("!"))) word.len--;
        if (word.len == 0) continue;
        for (size_t i = 0; i < COUNT(values); i++) {
            // The others are right, so that the one is looked at.
            Text target =
                text_format(t->arena, "%.*s?%.*s=%s&query=up&match[]=up&start=1&end=2&step=1",
                            TEXT_ARG(path), TEXT_ARG(word), values[i]);
            int status = test_send(t, &nonsense->server, method, target, NULL, 0, TEXT_NONE).status;
            bool fine = status == 200 || status == 202 || status == 204 || status == 400 ||
                        status == 413 || status == 422;
            if (!fine)
                check_failed(t, __FILE__, __LINE__, "%.*s %.*s: %d", TEXT_ARG(method),
                             TEXT_ARG(target), status);
            nonsense->asked++;
        }
    }
}

TEST(nonsense_in_any_parameter_is_never_our_fault) {
    Nonsense *nonsense = arena_push(t->arena, Nonsense);
    test_server_begin(t, &nonsense->server,
                      (TestServerOptions){.durability = LOG_MEMORY, .query = {.admin_api = true}});
    WriteBody body = {0};
    test_row(t, &body, TEXT("up"), TEXT("a"), TEXT("b"), 1500, 1);
    test_write(t, &nonsense->server, TEXT_NONE, TEXT_NONE, &body);
    for_each_route(t, try_nonsense, nonsense);
    check(t, nonsense->asked > 1000);
    check_status(t, 200, test_get(t, &nonsense->server, "/-/ready"));
    test_server_end(t, &nonsense->server);
}

TEST(a_refusal_says_how_to_come_in_and_is_the_same_for_all) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Text key = test_server_key(t, &world, TEXT("acme"), PERMISSION_ALL);
    Text path = TEXT("/api/v1/query?query=1");
    HttpClientAnswer none = test_as(t, &world, TEXT("GET"), path, TEXT_NONE, TEXT_NONE);
    HttpClientAnswer wrong = test_as(t, &world, TEXT("GET"), path, TEXT("nonsense"), TEXT_NONE);
    check_status(t, 401, none);
    check_text(t, TEXT("Bearer realm=\"traceo\", Basic realm=\"traceo\""),
               test_header(none, TEXT("WWW-Authenticate")));
    check_text(t, none.body, wrong.body);
    check_i64(t, (int64_t)none.header_count, (int64_t)wrong.header_count);
    check_status(t, 403, test_as(t, &world, TEXT("GET"), path, key, TEXT("other")));
    check_status(t, 400, test_as(t, &world, TEXT("GET"), path, key, TEXT("a%2fb")));
    check_status(t, 200, test_as(t, &world, TEXT("GET"), path, key, TEXT("acme")));
    test_server_end(t, &world);
}

TEST(without_keys_pages_of_other_sites_cannot_reach_in) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    HttpHeader cross = {TEXT("Sec-Fetch-Site"), TEXT("cross-site")},
               same = {TEXT("Sec-Fetch-Site"), TEXT("same-origin")};
    check_status(t, 403,
                 test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), &cross, 1, TEXT_NONE));
    check_i64(t, 0, world.reloads);
    check_status(t, 200,
                 test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), &same, 1, TEXT_NONE));
    check_i64(t, 1, world.reloads);
    check_status(t, 200,
                 test_send(t, &world, TEXT("GET"), TEXT("/api/v1/rules"), &cross, 1, TEXT_NONE));
    // Browsers do not send Sec-Fetch-Site to plain http (but to this machine): Origin tells then.
    HttpHeader other = {TEXT("Origin"), TEXT("http://evil.test")},
               nobody = {TEXT("Origin"), TEXT("null")},
               own = {TEXT("Origin"), text_format(t->arena, "http://127.0.0.1:%u", world.port)};
    check_status(t, 403,
                 test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), &other, 1, TEXT_NONE));
    check_status(t, 403,
                 test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), &nobody, 1, TEXT_NONE));
    check_i64(t, 1, world.reloads);
    check_status(t, 200, test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), &own, 1, TEXT_NONE));
    test_server_end(t, &world);
}

TEST(a_wrong_method_is_told_the_right_ones) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    HttpClientAnswer answer =
        test_send(t, &world, TEXT("DELETE"), TEXT("/api/v1/query"), NULL, 0, TEXT_NONE);
    check_answer(t, 405,
                 TEXT("{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"DELETE is not "
                      "possible here\"}"),
                 answer);
    check_text(t, TEXT("GET, POST"), test_header(answer, TEXT("Allow")));
    check_status(t, 405, test_send(t, &world, TEXT("GET"), TEXT("/-/reload"), NULL, 0, TEXT_NONE));
    check_status(t, 405,
                 test_send(t, &world, TEXT("GET"), TEXT("/api/v1/write"), NULL, 0, TEXT_NONE));
    test_server_end(t, &world);
}

TEST(every_answer_carries_the_headers_that_keep_browsers_safe) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    const char *paths[] = {"/",        "/-/healthy", "/api/v1/query?query=1",
                           "/metrics", "/nothing",   "/api/v1/openapi.json"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        HttpClientAnswer answer = test_get(t, &world, paths[i]);
        check_text(t, TEXT("nosniff"), test_header(answer, TEXT("X-Content-Type-Options")));
        check(t, text_starts_with(test_header(answer, TEXT("Content-Security-Policy")),
                                  TEXT("default-src 'none'")));
        check_text(t, TEXT("no-referrer"), test_header(answer, TEXT("Referrer-Policy")));
        check(t, test_header(answer, TEXT("Content-Type")).len > 0);
    }
    test_server_end(t, &world);
}

TEST(the_openapi_document_has_every_route_and_parameter) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    HttpClientAnswer answer = test_get(t, &world, "/api/v1/openapi.json");
    check_status(t, 200, answer);
    JsonValue *document;
    check_ok(t, json_parse(answer.body, t->arena, &document, t->err));
    check_text(t, TEXT("3.1.0"), json_get(document, TEXT("openapi"))->text);
    HttpHeader tag = {TEXT("If-None-Match"), test_header(answer, TEXT("ETag"))};
    check(t, tag.value.len > 4);
    check_answer(
        t, 304, TEXT(""),
        test_send(t, &world, TEXT("GET"), TEXT("/api/v1/openapi.json"), &tag, 1, TEXT_NONE));
    tag.value = TEXT("W/\"other\"");
    check_status(
        t, 200,
        test_send(t, &world, TEXT("GET"), TEXT("/api/v1/openapi.json"), &tag, 1, TEXT_NONE));
    const JsonValue *paths = json_get(document, TEXT("paths"));
    check_i64(t, ROUTE_COUNT, (int64_t)paths->count);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const JsonValue *path = json_get(paths, routes[i].path);
        check(t, path != NULL);
        const JsonValue *operation = json_get(path, TEXT("get"));
        if (operation == NULL) operation = json_get(path, TEXT("post"));
        if (operation == NULL) operation = json_get(path, TEXT("delete"));
        check_text(t, routes[i].help, json_get(operation, TEXT("summary"))->text);
        size_t words = 0;
        Text word;
        for (Text rest = routes[i].parameters; text_cut(&rest, ' ', &word);) words += word.len > 0;
        words += text_find_char(routes[i].path, '{') >= 0;
        check_i64(t, (int64_t)words, (int64_t)json_get(operation, TEXT("parameters"))->count);
    }
    test_server_end(t, &world);
}

TEST_MAIN("server/routes", CASE(every_route_is_complete_and_in_its_place),
          CASE(only_health_and_the_page_without_data_are_public),
          CASE(parameters_are_sorted_and_explained),
          CASE(every_path_finds_its_row_and_no_other_does),
          CASE(every_error_has_a_status_that_says_who_must_act),
          CASE(own_metrics_are_sorted_named_and_explained),
          CASE(escaped_label_names_are_read_as_prometheus_reads_them),
          CASE(every_route_asks_for_a_key_and_for_its_permission),
          CASE(no_spelling_of_a_path_walks_past_the_key),
          CASE(nonsense_in_any_parameter_is_never_our_fault),
          CASE(a_refusal_says_how_to_come_in_and_is_the_same_for_all),
          CASE(without_keys_pages_of_other_sites_cannot_reach_in),
          CASE(a_wrong_method_is_told_the_right_ones),
          CASE(every_answer_carries_the_headers_that_keep_browsers_safe),
          CASE(the_openapi_document_has_every_route_and_parameter))
