// The server as its clients see it: written over HTTP, read back over HTTP, wrong in every way that
// was thought of.

#include "server/server.h"

#include "base/limits.h"
#include "codec/json.h"
#include "codec/protobuf.h"
#include "os/disk_fault.h"
#include "server/test_server.h"

// A time well in the past, so that answers are the same every day.
#define T0_MS INT64_C(1760000000000)

static Bytes packed(Test *t, Bytes plain, Compression compression) {
    Builder out = {0};
    check_ok(t, compress_bytes(compression, 0, plain, &out, t->err));
    Bytes copy = bytes_copy(text_bytes(builder_text(&out)), t->arena);
    builder_free(&out);
    return copy;
}

static void begin(Test *t, TestServer *world) {
    test_server_begin(t, world, (TestServerOptions){.durability = LOG_SYNC});
}

// Two series of `up` and one of `jobs_total`, three points each, 15 s apart.
static void write_some(Test *t, TestServer *world, Text key, Text tenant) {
    WriteBody body = {0};
    for (int64_t i = 0; i < 3; i++) {
        test_row(t, &body, TEXT("jobs_total"), TEXT("queue"), TEXT("mail"), T0_MS + i * 15000,
                 (double)(i * 10));
        test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("a"), T0_MS + i * 15000, 1);
        test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("b"), T0_MS + i * 15000, (double)i);
    }
    write_body_add_metadata(&body, TEXT("jobs_total"), 1, TEXT("Jobs \"done\"."), TEXT(""));
    write_body_add_metadata(&body, TEXT("up"), 2, TEXT("Is it up?"), TEXT(""));
    test_write(t, world, key, tenant, &body);
}

// ---- The round trip ----

static const struct {
    const char *target;
    const char *data;
} answers[] = {
    // The health check of Grafana's data source.
    {"/api/v1/query?query=1%2B1&time=4", "{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}"},
    {"/prometheus/api/v1/query?query=1%2B1&time=4",
     "{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}"},
    {"/api/v1/query?query=%22text%22&time=4.5",
     "{\"resultType\":\"string\",\"result\":[4.5,\"text\"]}"},
    {"/api/v1/query?query=up&time=1760000030",
     "{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\"},"
     "\"value\":[1760000030,\"1\"]},"
     "{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},\"value\":[1760000030,\"2\"]}]}"},
    {"/api/v1/query?query=up&time=2025-10-09T08:53:50Z",
     "{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\"},"
     "\"value\":[1760000030,\"1\"]},"
     "{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},\"value\":[1760000030,\"2\"]}]}"},
    {"/api/v1/query?query=up{instance=\"b\"}[20s]&time=1760000030",
     "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},"
     "\"values\":[[1760000015,\"1\"],"
     "[1760000030,\"2\"]]}]}"},
    {"/api/v1/query?query=sum(up)/0&time=1760000030",
     "{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1760000030,\"+Inf\"]}]}"},
    {"/api/v1/query?query=nothing&time=1760000030", "{\"resultType\":\"vector\",\"result\":[]}"},
    {"/api/v1/query_range?query=sum(up)&start=1760000000&end=1760000030&step=15",
     "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1760000000,\"1\"],["
     "1760000015,\"2\"],[1760000030,\"3\"]]}]}"},
    {"/api/v1/query_range?query=up{instance=\"b\"}&start=1760000000.5&end=1760000015.5&step=15s",
     "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},"
     "\"values\":[[1760000000.5,\"0\"],"
     "[1760000015.5,\"1\"]]}]}"},
    {"/api/v1/series?match[]=up",
     "[{\"__name__\":\"up\",\"instance\":\"a\"},{\"__name__\":\"up\",\"instance\":\"b\"}]"},
    {"/api/v1/series?match[]=up{instance=\"b\"}&match[]={__name__=~\"up|jobs.*\",instance!=\"a\"}",
     "[{\"__name__\":\"jobs_total\",\"queue\":\"mail\"},{\"__name__\":\"up\",\"instance\":\"b\"}]"},
    {"/api/v1/series?match[]=nothing", "[]"},
    {"/api/v1/labels", "[\"__name__\",\"instance\",\"queue\"]"},
    {"/api/v1/labels?match[]=jobs_total", "[\"__name__\",\"queue\"]"},
    {"/api/v1/labels?match[]=jobs_total&match[]=up&start=1759999000&end=1760001000",
     "[\"__name__\",\"instance\",\"queue\"]"},
    {"/api/v1/label/instance/values", "[\"a\",\"b\"]"},
    {"/api/v1/label/__name__/values", "[\"jobs_total\",\"up\"]"},
    {"/api/v1/label/U______name____/values", "[\"jobs_total\",\"up\"]"},
    {"/api/v1/label/instance/values?match[]=up{instance=~\"b\"}", "[\"b\"]"},
    {"/api/v1/label/none/values", "[]"},
    {"/api/v1/metadata",
     "{\"jobs_total\":[{\"type\":\"counter\",\"help\":\"Jobs \\\"done\\\".\",\"unit\":\"\"}],"
     "\"up\":[{\"type\":\"gauge\",\"help\":\"Is it up?\",\"unit\":\"\"}]}"},
    {"/api/v1/metadata?limit=1",
     "{\"jobs_total\":[{\"type\":\"counter\",\"help\":\"Jobs \\\"done\\\".\",\"unit\":\"\"}]}"},
    {"/api/v1/metadata?metric=up",
     "{\"up\":[{\"type\":\"gauge\",\"help\":\"Is it up?\",\"unit\":\"\"}]}"},
    {"/api/v1/query_exemplars?query=up", "[]"},
    {"/api/v1/rules", "{\"groups\":[]}"},
    {"/api/v1/alerts", "{\"alerts\":[]}"},
    {"/api/v1/targets", "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"},
    {"/api/v1/status/config", "{\"yaml\":\"listen: 127.0.0.1:0\\n\"}"},
    {"/api/v1/status/flags", "{\"listen\":\"127.0.0.1:0\"}"},
    {"/api/v1/status/walreplay", "{\"min\":0,\"max\":100,\"current\":100,\"state\":\"done\"}"},
    {"/api/v1/status/buildinfo",
     "{\"version\":\"3.5.0\",\"revision\":\"traceo-0.1.0-abc123\",\"branch\":\"\",\"buildUser\":"
     "\"\",\"buildDate\":\"2026-11-21\","
     "\"goVersion\":\"\"}"},
};

static void check_all_answers(Test *t, TestServer *world) {
    for (size_t i = 0; i < COUNT(answers); i++) {
        Text expected =
            text_format(t->arena, "{\"status\":\"success\",\"data\":%s}", answers[i].data);
        HttpClientAnswer answer = test_get(t, world, answers[i].target);
        if (answer.status != 200 || !text_equal(expected, answer.body)) {
            check_failed(t, __FILE__, __LINE__, "%s: %d %.*s\n  not %.*s", answers[i].target,
                         answer.status, TEXT_ARG(answer.body), TEXT_ARG(expected));
        }
        check_text(t, TEXT("application/json"), test_header(answer, TEXT("Content-Type")));
    }
}

TEST(what_is_written_can_be_asked_for_in_every_way) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    check_all_answers(t, &world);
    test_server_end(t, &world);
}

TEST(what_was_acknowledged_is_there_after_a_restart) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    test_server_again(t, &world);
    check_all_answers(t, &world);
    check_ok(t, store_flush(world.store, t->err));
    check_all_answers(t, &world);
    test_server_end(t, &world);
}

TEST(forms_are_read_from_the_body_and_before_the_url) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Text two =
        TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}}");
    check_answer(t, 200, two,
                 test_post_form(t, &world, "/api/v1/query", TEXT("query=1%2B1&time=4")));
    check_answer(
        t, 200, two,
        test_post_form(t, &world, "/api/v1/query?query=7&time=9", TEXT("query=1%2B1&time=4")));
    check_answer(t, 200, two,
                 test_post_form(t, &world, "/api/v1/query?time=4", TEXT("query=1+%2B+1")));
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"a\",\"b\"]}"),
                 test_get(t, &world, "/api/v1/label/instance/values"));
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"__name__\",\"queue\"]}"),
                 test_post_form(t, &world, "/api/v1/labels", TEXT("match%5B%5D=jobs_total")));
    check_status(t, 400, test_post_form(t, &world, "/api/v1/query", TEXT("query=%zz")));
    // A query longer than any URL.
    Builder form = {0};
    builder_add(&form, TEXT("time=4&query=1"));
    for (int i = 0; i < 60000; i++) builder_add(&form, TEXT("%2B1"));
    HttpClientAnswer answer = test_post_form(t, &world, "/api/v1/query", builder_text(&form));
    builder_free(&form);
    // It is read whole, and refused for its depth, not for its length.
    check_status(t, 400, answer);
    check(t, text_find(answer.body, TEXT("QUERY_DEPTH")) > 0);
    test_server_end(t, &world);
}

// As deep as a tree may be, on the stack that a worker really has.
TEST(the_deepest_queries_run_on_a_worker) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.query = {.memory_bytes = 128 * MB}});
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    static const struct {
        const char *term;
        int times;
    } deep[] = {
        {"1%2B", 990}, {"up%20or%20", 990}, {"up%2B", 990}, {"up*on(instance)group_left()", 990}};
    for (size_t i = 0; i < COUNT(deep); i++) {
        Builder form = {0};
        builder_add(&form, TEXT("time=1760000030&query="));
        for (int j = 0; j < deep[i].times; j++) builder_add(&form, text_from_cstring(deep[i].term));
        builder_add(&form, TEXT("up"));
        HttpClientAnswer answer = test_post_form(t, &world, "/api/v1/query", builder_text(&form));
        builder_free(&form);
        check_status(t, 200, answer);
    }
    test_server_end(t, &world);
}

TEST(limits_cut_with_a_warning) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Text warning = TEXT(",\"warnings\":[\"results truncated due to limit\"]}");
    const char *cut[] = {
        "/api/v1/query?query=up&time=1760000030&limit=1", "/api/v1/series?match[]=up&limit=1",
        "/api/v1/labels?limit=2", "/api/v1/label/instance/values?limit=1",
        "/api/v1/query_range?query=up&start=1760000000&end=1760000030&step=15&limit=1"};
    const char *whole[] = {"/api/v1/query?query=up&time=1760000030&limit=2",
                           "/api/v1/series?match[]=up&limit=0", "/api/v1/labels?limit=3",
                           "/api/v1/query?query=1&limit=1"};
    for (size_t i = 0; i < COUNT(cut); i++) {
        HttpClientAnswer answer = test_get(t, &world, cut[i]);
        check_status(t, 200, answer);
        if (!text_ends_with(answer.body, warning))
            check_failed(t, __FILE__, __LINE__, "%s: %.*s", cut[i], TEXT_ARG(answer.body));
    }
    for (size_t i = 0; i < COUNT(whole); i++) {
        HttpClientAnswer answer = test_get(t, &world, whole[i]);
        check_status(t, 200, answer);
        check(t, text_find(answer.body, TEXT("warnings")) < 0);
    }
    test_server_end(t, &world);
}

TEST(figures_about_a_query_stand_inside_its_data) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    HttpClientAnswer answer =
        test_get(t, &world, "/api/v1/query?query=up&time=1760000030&stats=all");
    check_status(t, 200, answer);
    JsonValue *document;
    check_ok(t, json_parse(answer.body, t->arena, &document, t->err));
    const JsonValue *stats = json_get(json_get(document, TEXT("data")), TEXT("stats"));
    check(t, stats != NULL &&
                 json_get(json_get(stats, TEXT("timings")), TEXT("evalTotalTime")) != NULL);
    double samples = 0;
    check(t, json_number(json_get(json_get(stats, TEXT("samples")), TEXT("totalQueryableSamples")),
                         &samples) &&
                 samples >= 2);
    test_server_end(t, &world);
}

TEST(large_answers_are_packed_for_those_who_ask) {
    TestServer world;
    begin(t, &world);
    WriteBody body = {0};
    for (int i = 0; i < 200; i++) {
        test_row(t, &body, TEXT("many"), TEXT("number"), text_format(t->arena, "%d", i), T0_MS, i);
    }
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    Text target = TEXT("/api/v1/query?query=many&time=1760000000");
    HttpClientAnswer plain = test_send(t, &world, TEXT("GET"), target, NULL, 0, TEXT_NONE);
    check_status(t, 200, plain);
    static const struct {
        const char *accepts;
        bool packed;
    } rows[] = {{"gzip", true}, {"deflate, gzip;q=0.5", true},
                {"GZIP", true}, {"gzip;q=0", false},
                {"br", false},  {"identity", false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpHeader header = {TEXT("Accept-Encoding"), text_from_cstring(rows[i].accepts)};
        HttpClientAnswer answer = test_send(t, &world, TEXT("GET"), target, &header, 1, TEXT_NONE);
        check_status(t, 200, answer);
        check_text(t, TEXT("Accept-Encoding"), test_header(answer, TEXT("Vary")));
        check(t, text_equal(test_header(answer, TEXT("Content-Encoding")), TEXT("gzip")) ==
                     rows[i].packed);
        if (!rows[i].packed) continue;
        Builder out = {0};
        check(t, answer.body.len < plain.body.len / 4);
        check_ok(t, decompress(COMPRESSION_GZIP, text_bytes(answer.body), 16 * MB, &out, t->err));
        check_text(t, plain.body, builder_text(&out));
        builder_free(&out);
    }
    test_server_end(t, &world);
}

// ---- Wrong questions ----

TEST(wrong_questions_are_answered_in_the_words_of_prometheus) {
    static const struct {
        const char *target;
        int status;
        const char *type, *says;
    } rows[] = {
        {"/api/v1/query?query=sum(&time=4", 400, "bad_data", "invalid parameter \\\"query\\\": 1:"},
        {"/api/v1/query?query=", 400, "bad_data", "invalid parameter \\\"query\\\": "},
        {"/api/v1/query", 400, "bad_data", "invalid parameter \\\"query\\\": "},
        {"/api/v1/query?query=1&time=x", 400, "bad_data",
         "invalid parameter \\\"time\\\": cannot parse \\\"x\\\" to a valid timestamp"},
        {"/api/v1/query?query=1&time=NaN", 400, "bad_data",
         "invalid parameter \\\"time\\\": cannot parse \\\"NaN\\\" to a valid timestamp"},
        {"/api/v1/query?query=1&time=1e300", 400, "bad_data",
         "invalid parameter \\\"time\\\": cannot parse"},
        {"/api/v1/query?query=1&timeout=x", 400, "bad_data",
         "invalid parameter \\\"timeout\\\": cannot parse \\\"x\\\" to a valid duration"},
        {"/api/v1/query?query=1&timeout=1e10", 400, "bad_data",
         "invalid parameter \\\"timeout\\\": cannot parse \\\"1e10\\\" to a valid duration. It "
         "overflows int64"},
        {"/api/v1/query?query=1&timeout=Inf", 400, "bad_data", "It overflows int64"},
        {"/api/v1/query?query=1&lookback_delta=-x", 400, "bad_data",
         "invalid parameter \\\"lookback_delta\\\": cannot parse"},
        {"/api/v1/query?query=1&limit=-1", 400, "bad_data",
         "invalid parameter \\\"limit\\\": limit must be non-negative"},
        {"/api/v1/query?query=1&limit=many", 400, "bad_data",
         "invalid parameter \\\"limit\\\": cannot parse"},
        {"/api/v1/query_range?query=1&end=2&step=1", 400, "bad_data",
         "invalid parameter \\\"start\\\": cannot parse \\\"\\\" to a valid timestamp"},
        {"/api/v1/query_range?query=1&start=1&step=1", 400, "bad_data",
         "invalid parameter \\\"end\\\": cannot parse \\\"\\\" to a valid timestamp"},
        {"/api/v1/query_range?query=1&start=2&end=1&step=1", 400, "bad_data",
         "invalid parameter \\\"end\\\": end timestamp must not be before start time"},
        {"/api/v1/query_range?query=1&start=1&end=2&step=0", 400, "bad_data",
         "invalid parameter \\\"step\\\": zero or negative query resolution step widths are not "
         "accepted. Try a positive integer"},
        {"/api/v1/query_range?query=1&start=1&end=2&step=-5", 400, "bad_data",
         "zero or negative query resolution step widths"},
        {"/api/v1/query_range?query=1&start=1&end=2&step=wide", 400, "bad_data",
         "invalid parameter \\\"step\\\": cannot parse \\\"wide\\\" to a valid duration"},
        {"/api/v1/query_range?query=1&start=0&end=11001&step=1", 400, "bad_data",
         "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
         "resolution (?step=XX)"},
        {"/api/v1/query_range?query=up[5m]&start=1&end=2&step=1", 400, "bad_data",
         "invalid parameter \\\"query\\\": invalid expression type \\\"range vector\\\" for range "
         "query, must be Scalar or instant Vector"},
        {"/api/v1/series", 400, "bad_data", "no match[] parameter provided"},
        {"/api/v1/series?match[]=sum(up)", 400, "bad_data", "invalid parameter \\\"match[]\\\": "},
        {"/api/v1/series?match[]={a=~\".*\"}", 400, "bad_data",
         "must contain at least one non-empty matcher"},
        {"/api/v1/labels?match[]={", 400, "bad_data", "invalid parameter \\\"match[]\\\": "},
        {"/api/v1/labels?start=9&end=1", 400, "bad_data",
         "end timestamp must not be before start timestamp"},
        {"/api/v1/label/U__/values", 400, "bad_data", "invalid label name"},
        {"/api/v1/metadata?limit=x", 400, "bad_data", "invalid parameter \\\"limit\\\""},
        {"/api/v1/status/tsdb?limit=10001", 400, "bad_data", "invalid parameter \\\"limit\\\""},
        {"/api/v1/query_exemplars?query=sum(", 400, "bad_data",
         "invalid parameter \\\"query\\\": "},
        {"/api/v1/query?query=1%zz", 400, "bad_data", "query string"},
        {"/api/v1/format_query?query=1", 404, "not_found",
         "there is nothing at /api/v1/format_query"},
        {"/api/v1/query?query=up*on(job)up%2Bunknown_function(1)", 400, "bad_data",
         "unknown_function"},
    };
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpClientAnswer answer = test_get(t, &world, rows[i].target);
        Text head = text_format(t->arena, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":\"",
                                rows[i].type);
        bool right = answer.status == rows[i].status && text_starts_with(answer.body, head);
        if (!right || text_find(answer.body, text_from_cstring(rows[i].says)) < 0) {
            check_failed(t, __FILE__, __LINE__, "%s: %d %.*s", rows[i].target, answer.status,
                         TEXT_ARG(answer.body));
        }
    }
    // Eleven thousand steps are just allowed.
    check_status(t, 200,
                 test_get(t, &world, "/api/v1/query_range?query=1&start=0&end=11000&step=1"));
    test_server_end(t, &world);
}

TEST(what_fails_while_it_runs_is_an_execution_error) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    HttpClientAnswer answer =
        test_get(t, &world, "/api/v1/query?query=up%2Bon(job)up&time=1760000030");
    check_status(t, 422, answer);
    check(t,
          text_starts_with(answer.body, TEXT("{\"status\":\"error\",\"errorType\":\"execution\"")));
    test_server_end(t, &world);
}

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
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Text before = everything_of(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Bytes body = packed(t, request_of(t, rows[i].labels, rows[i].count, rows[i].time_ms, 1),
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
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    Text before = everything_of(t, &world);
    Label labels[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("1")}};
    Bytes plain = request_of(t, labels, 2, T0_MS, 1);
    Bytes snappy = packed(t, plain, COMPRESSION_SNAPPY);

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
    Bytes bomb = packed(t, (Bytes){zeros, too_many}, COMPRESSION_ZSTD);
    memory_free(zeros);
    check_refused(t, &world, "a zstd bomb", 413, "BODY_DECOMPRESSED",
                  test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("zstd"), bomb));
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41};
    check_refused(t, &world, "a huge length", 413, "BODY_DECOMPRESSED",
                  test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                   (Bytes){huge, sizeof huge}));
    Bytes garbage = packed(t, text_bytes(TEXT("this is no protobuf at all")), COMPRESSION_SNAPPY);
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
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", 415},
        {"application/json", 415},
        {"application/x-www-form-urlencoded", 415},
        {"text/plain", 415},
    };
    TestServer world;
    begin(t, &world);
    Label labels[] = {{TEXT("__name__"), TEXT("typed")}};
    Text body = bytes_text(packed(t, request_of(t, labels, 1, T0_MS, 1), COMPRESSION_SNAPPY));
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
    begin(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Label labels[] = {{TEXT("__name__"), TEXT("packed")},
                          {TEXT("row"), text_format(t->arena, "%zu", i)}};
        Bytes plain = request_of(t, labels, 2, T0_MS, (double)i);
        Bytes body = rows[i].is == COMPRESSION_NONE ? plain : packed(t, plain, rows[i].is);
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
    begin(t, &world);
    Label bad[] = {{TEXT("__name__"), TEXT("bad")}, {TEXT("a"), TEXT("\xff")}},
          good[] = {{TEXT("__name__"), TEXT("good")}};
    Bytes first = request_of(t, bad, 2, T0_MS, 1), second = request_of(t, good, 1, T0_MS, 7);
    Builder both = {0};
    builder_add_bytes(&both, first.at, first.len);
    builder_add_bytes(&both, second.at, second.len);
    Bytes body = packed(t, text_bytes(builder_text(&both)), COMPRESSION_SNAPPY);
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
                                  packed(t, second, COMPRESSION_SNAPPY)));
    Bytes other = packed(t, request_of(t, good, 1, T0_MS, 8), COMPRESSION_SNAPPY);
    HttpClientAnswer conflict =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), other);
    check_status(t, 400, conflict);
    check(t, text_find(conflict.body, TEXT("1 of 1 samples were refused (1 conflict)")) > 0);
    test_server_end(t, &world);
}

TEST(relaxed_durability_is_named_in_every_answer_to_a_write) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Label labels[] = {{TEXT("__name__"), TEXT("fast")}};
    Bytes body = packed(t, request_of(t, labels, 1, T0_MS, 1), COMPRESSION_SNAPPY);
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
    begin(t, &world);
    Bytes body = packed(t, request_with_exemplars(t), COMPRESSION_SNAPPY);
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
    Bytes body = packed(t, request_of(t, &label, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    disk_fault_plan(fault, plan);
    return test_write_bytes(t, world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body);
}

TEST(a_disk_that_fails_acknowledges_nothing_and_goes_on_reading) {
    DiskFault *fault = disk_fault_new(disk_real());
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.disk = disk_fault_disk(fault)});
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    DiskFaultPlan plan = {.call = DISK_CALL_WRITE, .nth = 1, .for_ever = true, .code = ERROR_IO};
    HttpClientAnswer first = write_on_bad_disk(t, &world, fault, plan, TEXT("lost"));
    check_status(t, 500, first);
    check(t,
          text_starts_with(first.body, TEXT("{\"status\":\"error\",\"errorType\":\"internal\"")));
    // The failure is final: also when the disk says that it works again, until a restart.
    disk_fault_plan(fault, (DiskFaultPlan){0});
    Label label = {TEXT("__name__"), TEXT("lost_too")};
    Bytes body = packed(t, request_of(t, &label, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    check_status(t, 500, test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), body));
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=up&time=1760000030"));
    check(t,
          text_find(test_get(t, &world, "/metrics").body, TEXT("\ntraceo_log_writable 0\n")) > 0);
    test_server_again(t, &world);
    check_all_answers(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    test_server_end(t, &world);
    disk_fault_free(&fault);
}

TEST(a_full_disk_is_507_and_says_when_to_come_again) {
    DiskFault *fault = disk_fault_new(disk_real());
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.disk = disk_fault_disk(fault)});
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
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
        Bytes body = packed(t, request_of(t, &label, 1, T0_MS, 1), COMPRESSION_SNAPPY);
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
    for (int64_t i = 0; i <= LIMIT_TENANT_SERIES_NEW_PER_S; i++) {
        test_row(t, &body, TEXT("many"), TEXT("n"), text_format(t->arena, "%lld", (long long)i),
                 T0_MS, 1);
    }
    Bytes many = packed(t, text_bytes(builder_text(&body.bytes)), COMPRESSION_SNAPPY);
    write_body_free(&body);
    // One too many among the others: they are kept, and the whole must not come again.
    HttpClientAnswer mixed =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), many);
    check_status(t, 400, mixed);
    check(t, text_find(mixed.body, TEXT("1 of 100001 samples were refused (1 limit), the others "
                                        "are kept; the first: series many")) > 0);
    check(t, text_find(mixed.body, TEXT("its label \\\"n\\\" has most values, 100000")) > 0);
    check(t, text_find(mixed.body, TEXT("TENANT_SERIES_NEW_PER_S")) > 0);
    // Nothing but new series: it may come again later.
    Label fresh[] = {{TEXT("__name__"), TEXT("fresh")}},
          known[] = {{TEXT("__name__"), TEXT("many")}, {TEXT("n"), TEXT("7")}};
    Bytes new_body = packed(t, request_of(t, fresh, 1, T0_MS, 1), COMPRESSION_SNAPPY);
    HttpClientAnswer refused =
        test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), new_body);
    check_status(t, 429, refused);
    check(t, test_header(refused, TEXT("Retry-After")).len > 0);
    check(t, text_find(test_get(t, &world, "/metrics").body,
                       TEXT("\ntraceo_samples_total{verdict=\"limit\"} 2\n")) > 0);
    // What is known flows on.
    Bytes known_body = packed(t, request_of(t, known, 2, T0_MS + 1000, 2), COMPRESSION_SNAPPY);
    check_status(t, 204,
                 test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), known_body));
    clock_advance(&clock, 1000);
    check_status(t, 204,
                 test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"), new_body));
    test_server_end(t, &world);
}

TEST(answers_that_would_be_too_large_are_refused_by_name) {
    TestServer world;
    test_server_begin(
        t, &world,
        (TestServerOptions){.durability = LOG_MEMORY, .query = {.memory_bytes = 200000}});
    WriteBody body = {0};
    for (int i = 0; i < 3000; i++) {
        test_row(t, &body, TEXT("many"), TEXT("number"), text_format(t->arena, "%d", i), T0_MS, i);
    }
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    const char *targets[] = {"/api/v1/query?query=many&time=1760000000",
                             "/api/v1/series?match[]=many",
                             "/api/v1/label/number/values?match[]=many"};
    for (size_t i = 0; i < COUNT(targets); i++) {
        HttpClientAnswer answer = test_get(t, &world, targets[i]);
        if (answer.status != 422)
            check_failed(t, __FILE__, __LINE__, "%s: %d", targets[i], answer.status);
    }
    check_status(
        t, 200,
        test_get(t, &world, "/api/v1/query?query=count(many{number=~\"1.\"})&time=1760000000"));
    // The loop gives the memory of an answer back once it was sent, which may be after the client
    // has read it.
    Clock *clock = clock_system();
    bool given_back = false;
    for (int tries = 0; tries < 1000 && !given_back; tries++) {
        if (tries > 0) clock->sleep_ms(clock, 5);
        given_back = text_find(test_get(t, &world, "/metrics").body,
                               TEXT("\ntraceo_memory_queries_bytes 0\n")) > 0;
    }
    check(t, given_back);
    test_server_end(t, &world);
}

// ---- Tenants ----

TEST(one_tenant_never_sees_what_is_anothers) {
    TestServer world;
    begin(t, &world);
    Text all = test_server_key(t, &world, TEXT("*"), PERMISSION_ALL);
    Text beta = test_server_key(t, &world, TEXT("beta"),
                                PERMISSION_READ_METRICS | PERMISSION_WRITE_METRICS);
    // What beta sees in every route while nobody wrote …
    Text seen[COUNT(answers)];
    for (size_t i = 0; i < COUNT(answers); i++) {
        HttpClientAnswer answer =
            test_as(t, &world, TEXT("GET"), text_from_cstring(answers[i].target), beta, TEXT_NONE);
        seen[i] = text_format(t->arena, "%d %.*s", answer.status, TEXT_ARG(answer.body));
    }
    Text tsdb = test_as(t, &world, TEXT("GET"), TEXT("/api/v1/status/tsdb"), beta, TEXT_NONE).body;
    // … is what it sees after others did.
    write_some(t, &world, all, TEXT("alpha"));
    write_some(t, &world, all, TEXT_NONE);
    for (size_t i = 0; i < COUNT(answers); i++) {
        HttpClientAnswer answer =
            test_as(t, &world, TEXT("GET"), text_from_cstring(answers[i].target), beta, TEXT_NONE);
        Text now = text_format(t->arena, "%d %.*s", answer.status, TEXT_ARG(answer.body));
        if (!text_equal(seen[i], now))
            check_failed(t, __FILE__, __LINE__, "%s: %.*s", answers[i].target, TEXT_ARG(now));
        check(t, text_find(now, TEXT("\"up\"")) < 0 && text_find(now, TEXT("mail")) < 0);
    }
    check_text(t, tsdb,
               test_as(t, &world, TEXT("GET"), TEXT("/api/v1/status/tsdb"), beta, TEXT_NONE).body);

    // Its own writes go to it alone, and the header cannot lead it elsewhere.
    WriteBody body = {0};
    test_row(t, &body, TEXT("mine"), TEXT("a"), TEXT("b"), T0_MS, 1);
    test_write(t, &world, beta, TEXT_NONE, &body);
    Text names = TEXT("/api/v1/label/__name__/values");
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"mine\"]}"),
                 test_as(t, &world, TEXT("GET"), names, beta, TEXT_NONE));
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"mine\"]}"),
                 test_as(t, &world, TEXT("GET"), names, all, TEXT("beta")));
    check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"jobs_total\",\"up\"]}"),
                 test_as(t, &world, TEXT("GET"), names, all, TEXT("alpha")));
    check_status(t, 403, test_as(t, &world, TEXT("GET"), names, beta, TEXT("alpha")));
    check_status(t, 403,
                 test_as(t, &world, TEXT("POST"), TEXT("/api/v1/write"), beta, TEXT("alpha")));
    test_server_end(t, &world);
}

TEST(asking_makes_no_tenant) {
    TestServer world;
    begin(t, &world);
    check_status(t, 200,
                 test_as(t, &world, TEXT("GET"), TEXT("/api/v1/labels"), TEXT_NONE, TEXT("ghost")));
    check_status(
        t, 200,
        test_as(t, &world, TEXT("GET"), TEXT("/api/v1/query?query=up"), TEXT_NONE, TEXT("ghost")));
    Tenant *tenant;
    check_ok(t, store_tenant(world.store, TEXT("ghost"), false, &tenant, t->err));
    check(t, tenant == NULL);
    test_server_end(t, &world);
}

// ---- The server itself ----

TEST(while_the_log_is_replayed_health_answers_and_queries_wait) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.not_replayed = true});
    check_status(t, 200, test_get(t, &world, "/-/healthy"));
    check_status(t, 503, test_get(t, &world, "/-/ready"));
    check_status(t, 200, test_get(t, &world, "/metrics"));
    check_answer(t, 200,
                 TEXT("{\"status\":\"success\",\"data\":{\"min\":0,\"max\":100,\"current\":99,"
                      "\"state\":\"in progress\"}}"),
                 test_get(t, &world, "/api/v1/status/walreplay"));
    HttpClientAnswer query = test_get(t, &world, "/api/v1/query?query=1"),
                     write = test_write_bytes(t, &world, TEXT_NONE, TEXT_NONE, TEXT("snappy"),
                                              BYTES_NONE);
    check_status(t, 503, query);
    check_status(t, 503, write);
    uint64_t seconds = 0;
    check(t, text_to_u64(test_header(query, TEXT("Retry-After")), &seconds) && seconds >= 1 &&
                 seconds <= 10);
    check_ok(t, store_replay(world.store, ingest_replay, world.replayer, t->err));
    check_answer(t, 200, TEXT("Traceo is Ready.\n"), test_get(t, &world, "/-/ready"));
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=1"));
    test_server_end(t, &world);
}

TEST(a_reload_that_fails_says_why) {
    TestServer world;
    begin(t, &world);
    check_status(t, 200, test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), NULL, 0, TEXT_NONE));
    world.reload_fails = true;
    HttpClientAnswer answer =
        test_send(t, &world, TEXT("POST"), TEXT("/-/reload"), NULL, 0, TEXT_NONE);
    check_status(t, 400, answer);
    check(t, text_find(answer.body, TEXT("traceo.yaml:1: unknown setting")) > 0);
    Text runtime = test_get(t, &world, "/api/v1/status/runtimeinfo").body;
    check(t, text_find(runtime, TEXT("\"reloadConfigSuccess\":false")) > 0);
    test_server_end(t, &world);
}

// Every line of the text format is a comment or `name{labels} value`.
static void check_exposition(Test *t, Text text) {
    check(t, text_ends_with(text, TEXT("\n")));
    Text line;
    for (Text rest = text_slice(text, 0, text.len - 1); text_cut(&rest, '\n', &line);) {
        if (text_starts_with(line, TEXT("# HELP ")) || text_starts_with(line, TEXT("# TYPE ")))
            continue;
        ptrdiff_t end = text_find(line, TEXT("} "));
        size_t space = end >= 0 ? (size_t)end + 1 : (size_t)text_find_char(line, ' ');
        double value;
        if (space >= line.len || !text_to_f64(text_slice(line, space + 1, line.len), &value)) {
            check_failed(t, __FILE__, __LINE__, "%.*s", TEXT_ARG(line));
        }
    }
}

TEST(own_metrics_count_what_happened) {
    TestServer world;
    begin(t, &world);
    write_some(t, &world, TEXT_NONE, TEXT_NONE);
    check_status(t, 404, test_get(t, &world, "/nothing"));
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=up"));
    HttpClientAnswer answer = test_get(t, &world, "/metrics");
    check_status(t, 200, answer);
    check_text(t, TEXT("text/plain; version=0.0.4; charset=utf-8"),
               test_header(answer, TEXT("Content-Type")));
    check_exposition(t, answer.body);
    const char *lines[] = {
        "traceo_samples_total{verdict=\"stored\"} 9\n",
        "traceo_http_requests_total{code=\"204\",handler=\"/api/v1/write\"} 1\n",
        "traceo_http_requests_total{code=\"404\",handler=\"none\"} 1\n",
        "traceo_http_requests_total{code=\"200\",handler=\"/api/v1/query\"} 1\n",
        "traceo_queries_total 1\n",
        "traceo_ready 1\n",
        "traceo_log_writable 1\n",
        "traceo_series_active 3\n",
        "traceo_build_info{compiler=\"gcc\",revision=\"abc123\",version=\"0.1.0\"} 1\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        if (text_find(answer.body, text_from_cstring(lines[i])) < 0)
            check_failed(t, __FILE__, __LINE__, "no %s in %.*s", lines[i], TEXT_ARG(answer.body));
    }
    test_server_end(t, &world);
}

TEST(own_metrics_can_be_stored_and_asked_for) {
    TestServer world;
    begin(t, &world);
    WriteBody body = {0};
    IngestSender *sender = ingest_sender_new();
    Tenant *tenant;
    IngestOutcome outcome;
    check_ok(t, store_tenant(world.store, TENANT_SELF_NAME, true, &tenant, t->err));
    server_collect_self(world.server, &body, T0_MS);
    check_ok(t, ingest_samples(world.store, tenant, sender, text_bytes(builder_text(&body.bytes)),
                               T0_MS, &outcome, t->err));
    check(t,
          outcome.first_fault.code == ERROR_NONE && outcome.samples > 50 && outcome.metadata > 50);
    ingest_sender_free(&sender);
    write_body_free(&body);
    HttpClientAnswer answer =
        test_as(t, &world, TEXT("GET"), TEXT("/api/v1/query?query=traceo_ready&time=1760000000"),
                TEXT_NONE, TEXT("traceo"));
    check_answer(
        t, 200,
        TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{"
             "\"__name__\":\"traceo_ready\","
             "\"instance\":\"test:4310\",\"job\":\"traceo\"},\"value\":[1760000000,\"1\"]}]}}"),
        answer);
    Text le =
        test_as(t, &world, TEXT("GET"), TEXT("/api/v1/label/le/values"), TEXT_NONE, TEXT("traceo"))
            .body;
    check(t, text_find(le, TEXT("\"+Inf\"")) > 0 && text_find(le, TEXT("\"0.0025\"")) > 0);
    test_server_end(t, &world);
}

TEST(the_page_at_the_root_has_no_script_and_escapes_what_it_was_told) {
    TestServer world;
    begin(t, &world);
    test_server_key(t, &world, TEXT("*"), PERMISSION_ALL);
    HttpClientAnswer refused = test_get(t, &world, "/");
    check_status(t, 401, refused);
    test_server_end(t, &world);
    begin(t, &world);
    HttpClientAnswer page = test_get(t, &world, "/");
    check_status(t, 200, page);
    check(t, text_find(page.body, TEXT("<script")) < 0 &&
                 text_find(page.body, TEXT("remote_write:")) > 0);
    check_text(t, TEXT("text/html; charset=utf-8"), test_header(page, TEXT("Content-Type")));
    test_server_end(t, &world);
}

TEST(a_server_without_keys_does_not_listen_beyond_loopback) {
    TestServer world;
    begin(t, &world);
    Address any;
    check_ok(t, address_parse(TEXT("0.0.0.0:0"), t->arena, &any, t->err));
    ServerOptions options = {.store = world.store,
                             .access = world.access,
                             .clock = clock_system(),
                             .addresses = &any,
                             .address_count = 1,
                             .limits = http_limits_default()};
    Server *server = NULL;
    check_error(t, server_start(&options, &server, t->err), ERROR_FORBIDDEN);
    check(t, server == NULL);
    test_server_end(t, &world);
}

TEST_MAIN("server", CASE(what_is_written_can_be_asked_for_in_every_way),
          CASE(what_was_acknowledged_is_there_after_a_restart),
          CASE(forms_are_read_from_the_body_and_before_the_url),
          CASE(the_deepest_queries_run_on_a_worker), CASE(limits_cut_with_a_warning),
          CASE(figures_about_a_query_stand_inside_its_data),
          CASE(large_answers_are_packed_for_those_who_ask),
          CASE(wrong_questions_are_answered_in_the_words_of_prometheus),
          CASE(what_fails_while_it_runs_is_an_execution_error),
          CASE(rows_that_are_wrong_are_refused_with_the_reason),
          CASE(bodies_that_are_wrong_are_refused_and_change_nothing),
          CASE(content_types_are_checked_before_the_body),
          CASE(the_first_bytes_say_how_a_body_is_packed), CASE(good_rows_beside_bad_ones_are_kept),
          CASE(relaxed_durability_is_named_in_every_answer_to_a_write),
          CASE(exemplars_come_back_with_their_series),
          CASE(a_disk_that_fails_acknowledges_nothing_and_goes_on_reading),
          CASE(a_full_disk_is_507_and_says_when_to_come_again),
          CASE(beyond_the_quota_only_new_series_are_refused),
          CASE(answers_that_would_be_too_large_are_refused_by_name),
          CASE(one_tenant_never_sees_what_is_anothers), CASE(asking_makes_no_tenant),
          CASE(while_the_log_is_replayed_health_answers_and_queries_wait),
          CASE(a_reload_that_fails_says_why), CASE(own_metrics_count_what_happened),
          CASE(own_metrics_can_be_stored_and_asked_for),
          CASE(the_page_at_the_root_has_no_script_and_escapes_what_it_was_told),
          CASE(a_server_without_keys_does_not_listen_beyond_loopback))
