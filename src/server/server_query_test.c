// Questions over HTTP: every way to ask, every wrong way, and answers that are too large.

#include "server/server.h"

#include "codec/json.h"
#include "server/test_server.h"

// ---- The round trip ----

TEST(what_is_written_can_be_asked_for_in_every_way) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    test_check_answers(t, &world);
    test_server_end(t, &world);
}

TEST(what_was_acknowledged_is_there_after_a_restart) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    test_server_again(t, &world);
    test_check_answers(t, &world);
    check_ok(t, store_flush(world.store, t->err));
    test_check_answers(t, &world);
    test_server_end(t, &world);
}

// Integers on the wire, from the log, from a block as packed columns: always the same answer.
TEST(native_histograms_are_answered_from_wherever_they_lie) {
    static const HistogramSpan spans[] = {{0, 2}, {1, 1}};
    TestServer world;
    test_server_plain(t, &world);
    WriteBody body = {0};
    Labels labels;
    check_ok(t,
             labels_make((Label[]){{LABEL_NAME, TEXT("latency")}}, 1, t->arena, &labels, t->err));
    write_body_begin(&body, labels);
    for (int64_t i = 0; i < 40; i++) {
        const int64_t deltas[] = {1 + i, 1, 2};  // 1+i, 2+i, 4+i
        NativeHistogram histogram = {.time_ms = T0_MS + i * 15000,
                                     .count = (uint64_t)(7 + 3 * i),
                                     .sum = 4.5 + (double)i,
                                     .positive = {spans, 2, deltas, NULL, 3}};
        write_body_histogram(&body, &histogram);
    }
    write_body_end(&body);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    for (size_t round = 0; round < 3; round++) {
        check_answer(t, 200,
                     TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
                          "{\"metric\":{"
                          "\"__name__\":\"latency\"},\"histogram\":[1760000015,{\"count\":\"10\","
                          "\"sum\":\"5.5\","
                          "\"buckets\":[[0,\"0.5\",\"1\",\"2\"],[0,\"1\",\"2\",\"3\"],[0,\"4\","
                          "\"8\",\"5\"]]}]}]}}"),
                     test_get(t, &world, "/api/v1/query?query=latency&time=1760000015"));
        check_answer(
            t, 200,
            TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{"
                 "\"metric\":{},"
                 "\"value\":[1760000585,\"60\"]}]}}"),
            test_get(t, &world,
                     "/api/v1/query?query=histogram_count(increase(latency[5m]))&time=1760000585"));
        if (round == 0) test_server_again(t, &world);
        if (round == 1) check_ok(t, store_flush(world.store, t->err));
    }
    test_server_end(t, &world);
}

TEST(forms_are_read_from_the_body_and_before_the_url) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
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
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
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
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
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
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
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

static double stat(const JsonValue *stats, Text group, Text name) {
    double value = -1;
    return json_number(json_get(json_get(stats, group), name), &value) ? value : -1;
}

// Samples as each step looks at them: of a window those inside, of a subquery its points.
TEST(figures_of_a_range_query_are_told_step_by_step) {
    static const struct {
        const char *query;
        double steps[3], peak;
    } rows[] = {
        {"up", {2, 2, 2}, 6},
        {"jobs_total+%2B+up{instance=\"a\"}", {2, 2, 2}, 6},
        {"sum(sum_over_time(jobs_total[20s]))", {1, 2, 2}, 3},
        {"count_over_time(up[1m:10s])", {2, 4, 8}, 14},
        {"sum_over_time(jobs_total[20s]+@+1760000030)", {2, 2, 2}, 3},
        {"1+%2B+1", {0, 0, 0}, 3},
    };
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text target = text_format(t->arena,
                                  "/api/v1/query_range?start=1760000000&end=1760000030&step=15"
                                  "&stats=all&query=%s",
                                  rows[i].query);
        JsonValue *document;
        for (int again = 0; again < 2; again++) {  // not from answers that are kept
            HttpClientAnswer answer = test_get(t, &world, text_to_cstring(target, t->arena));
            check_status(t, 200, answer);
            check_ok(t, json_parse(answer.body, t->arena, &document, t->err));
            const JsonValue *stats = json_get(json_get(document, TEXT("data")), TEXT("stats"));
            const JsonValue *step =
                json_get(json_get(stats, TEXT("samples")), TEXT("totalQueryableSamplesPerStep"))
                    ->first;
            double total = 0;
            for (int k = 0; k < 3; k++, step = step->next) {
                double time = 0, samples = -1;
                check(t, json_number(step->first, &time) && time == 1760000000 + 15 * k);
                check(t, json_number(step->first->next, &samples));
                if (samples != rows[i].steps[k])
                    check_failed(t, __FILE__, __LINE__, "%s, step %d: %g samples, not %g",
                                 rows[i].query, k, samples, rows[i].steps[k]);
                total += samples;
            }
            check(t, step == NULL);
            check(t, stat(stats, TEXT("samples"), TEXT("totalQueryableSamples")) == total);
            double peak = stat(stats, TEXT("samples"), TEXT("peakSamples"));
            if (peak < 1 || peak > rows[i].peak)
                check_failed(t, __FILE__, __LINE__, "%s: %g samples at once", rows[i].query, peak);
            double prepared = stat(stats, TEXT("timings"), TEXT("queryPreparationTime"));
            double inner = stat(stats, TEXT("timings"), TEXT("innerEvalTime"));
            double sorted = stat(stats, TEXT("timings"), TEXT("resultSortTime"));
            double eval = stat(stats, TEXT("timings"), TEXT("evalTotalTime"));
            double queued = stat(stats, TEXT("timings"), TEXT("execQueueTime"));
            double all = stat(stats, TEXT("timings"), TEXT("execTotalTime"));
            check(t, prepared > 0 && inner >= 0 && sorted >= 0 && queued >= 0 && eval > 0);
            check(t, fabs(prepared + inner + sorted - eval) < 1e-6);
            check(t, fabs(queued + eval - all) < 1e-6);
        }
    }
    test_server_end(t, &world);
}

TEST(what_is_experimental_is_refused_where_it_is_switched_off) {
    TestServer world;
    test_server_plain(t, &world);
    const char *target = "/api/v1/query?query=limitk(1,up)&time=1760000030";
    check_status(t, 200, test_get(t, &world, target));
    server_set_query(world.server, (ServerQuerySettings){.stable_only = true});
    HttpClientAnswer refused = test_get(t, &world, target);
    check_status(t, 400, refused);
    check(t, text_find(refused.body, TEXT("\"errorType\":\"bad_data\"")) >= 0);
    check(t, text_find(refused.body, TEXT("query.experimental")) >= 0);
    check_status(t, 200, test_get(t, &world, "/api/v1/query?query=topk(1,up)&time=1760000030"));
    test_server_end(t, &world);
}

TEST(large_answers_are_packed_for_those_who_ask) {
    TestServer world;
    test_server_plain(t, &world);
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
        Compression packed;
    } rows[] = {{"gzip", COMPRESSION_GZIP},
                {"deflate, gzip;q=0.5", COMPRESSION_GZIP},
                {"GZIP", COMPRESSION_GZIP},
                {"gzip;q=0", COMPRESSION_NONE},
                {"br", COMPRESSION_NONE},
                {"identity", COMPRESSION_NONE},
                {"zstd", COMPRESSION_ZSTD},
                {"gzip, zstd", COMPRESSION_ZSTD},
                {"gzip, zstd;q=0", COMPRESSION_GZIP},
                {"zstd;q=0", COMPRESSION_NONE}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpHeader header = {TEXT("Accept-Encoding"), text_from_cstring(rows[i].accepts)};
        HttpClientAnswer answer = test_send(t, &world, TEXT("GET"), target, &header, 1, TEXT_NONE);
        check_status(t, 200, answer);
        check_text(t, TEXT("Accept-Encoding"), test_header(answer, TEXT("Vary")));
        check_text(t,
                   rows[i].packed == COMPRESSION_NONE ? TEXT("") : compression_name(rows[i].packed),
                   test_header(answer, TEXT("Content-Encoding")));
        if (rows[i].packed == COMPRESSION_NONE) continue;
        Builder out = {0};
        check(t, answer.body.len < plain.body.len / 4);
        check_ok(t, decompress(rows[i].packed, text_bytes(answer.body), 16 * MB, &out, t->err));
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
        {"/api/v1/query?query=1&max_source_resolution=coarse", 400, "bad_data",
         "invalid parameter \\\"max_source_resolution\\\": cannot parse"},
        {"/api/v1/query_range?query=1&start=0&end=1&step=1&max_source_resolution=-300", 400,
         "bad_data", "invalid parameter \\\"max_source_resolution\\\": it must not be below 0"},
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
        {"/api/v1/metadata?limit=x", 400, "bad_data", "limit must be a number"},
        {"/api/v1/status/tsdb?limit=10001", 400, "bad_data", "invalid parameter \\\"limit\\\""},
        {"/api/v1/query_exemplars?query=sum(", 400, "bad_data",
         "invalid parameter \\\"query\\\": "},
        {"/api/v1/query?query=1%zz", 400, "bad_data", "query string"},
        {"/api/v1/format_queries?query=1", 404, "not_found",
         "there is nothing at /api/v1/format_queries"},
        {"/api/v1/format_query", 400, "bad_data", "1:1: parse error: no expression found in input"},
        {"/api/v1/parse_query?query=1%2B", 400, "bad_data",
         "1:3: parse error: unexpected end of input, expected an expression"},
        {"/api/v1/query?query=up*on(job)up%2Bunknown_function(1)", 400, "bad_data",
         "unknown_function"},
        {"/api/v1/query?query=sum(%0Aup+)%20extra", 400, "bad_data",
         "\"position\":{\"line\":2,\"column\":6,\"start\":10,\"end\":15}}"},
        {"/api/v1/query_range?query=sum+by+(code&start=1&end=2&step=1", 400, "bad_data",
         "\"position\":{\"line\":1,\"column\":13,\"start\":12,\"end\":12}}"},
        {"/api/v1/query_exemplars?query=rate(up)", 400, "bad_data",
         "\"position\":{\"line\":1,\"column\":6,\"start\":5,\"end\":7}}"},
    };
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
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
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    HttpClientAnswer answer =
        test_get(t, &world, "/api/v1/query?query=up%2Bon(job)up&time=1760000030");
    check_status(t, 422, answer);
    check(t,
          text_starts_with(answer.body, TEXT("{\"status\":\"error\",\"errorType\":\"execution\"")));
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

TEST(a_query_can_be_explained) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    static const char *const targets[] = {
        "/api/traceo/v1/query_explain?query=sum(up)&time=1760000030",
        "/api/traceo/v1/query_explain?query=sum(up)&start=1760000000&end=1760000030&step=15"};
    for (size_t i = 0; i < COUNT(targets); i++) {
        HttpClientAnswer answer = test_get(t, &world, targets[i]);
        check_status(t, 200, answer);
        JsonValue *root;
        check_ok(t, json_parse(answer.body, t->arena, &root, t->err));
        const JsonValue *data = json_get(root, TEXT("data")), *plan = json_get(data, TEXT("plan"));
        check_text(t, TEXT("sum(up)"), json_get(data, TEXT("query"))->text);
        check_text(t, TEXT("sum"), json_get(plan, TEXT("node"))->text);
        check_text(t, TEXT("aggregate"), json_get(plan, TEXT("operator"))->text);
        const JsonValue *child = json_get(plan, TEXT("children"))->first;
        check_text(t, TEXT("up"), json_get(child, TEXT("node"))->text);
        check_text(t, TEXT("4"), json_get(child, TEXT("position"))->first->text);
        check_text(t, TEXT("2"), json_get(child, TEXT("series"))->text);
        check_text(t, i == 0 ? TEXT("2") : TEXT("6"), json_get(child, TEXT("points"))->text);
        // An instant looks at the newest sample of each series alone.
        Text samples = i == 0 ? TEXT("2") : TEXT("6");
        check_text(t, samples, json_get(child, TEXT("samples"))->text);
        check_text(t, samples, json_get(json_get(data, TEXT("totals")), TEXT("samples"))->text);
    }
    check_status(t, 400, test_get(t, &world, "/api/traceo/v1/query_explain?query=sum("));
    check_status(t, 400, test_get(t, &world, "/api/traceo/v1/query_explain?query=1&start=1"));
    check_status(
        t, 400,
        test_get(t, &world, "/api/traceo/v1/query_explain?query=1&time=1&start=1&end=2&step=1"));
    test_server_end(t, &world);
}

TEST_MAIN("server/query", CASE(what_is_written_can_be_asked_for_in_every_way),
          CASE(what_was_acknowledged_is_there_after_a_restart),
          CASE(native_histograms_are_answered_from_wherever_they_lie),
          CASE(forms_are_read_from_the_body_and_before_the_url),
          CASE(the_deepest_queries_run_on_a_worker), CASE(limits_cut_with_a_warning),
          CASE(figures_about_a_query_stand_inside_its_data),
          CASE(figures_of_a_range_query_are_told_step_by_step),
          CASE(what_is_experimental_is_refused_where_it_is_switched_off),
          CASE(large_answers_are_packed_for_those_who_ask),
          CASE(wrong_questions_are_answered_in_the_words_of_prometheus),
          CASE(what_fails_while_it_runs_is_an_execution_error),
          CASE(answers_that_would_be_too_large_are_refused_by_name), CASE(a_query_can_be_explained))
