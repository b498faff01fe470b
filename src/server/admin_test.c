// Deleting series, cleaning and snapshots over HTTP.

#include "os/disk.h"
#include "server/test_server.h"

static void begin(Test *t, TestServer *world) {
    test_server_begin(t, world,
                      (TestServerOptions){.durability = LOG_SYNC, .query = {.admin_api = true}});
    test_write_some(t, world, TEXT_NONE, TEXT_NONE);
}

static HttpClientAnswer post(Test *t, const TestServer *world, const char *target) {
    return test_send(t, world, TEXT("POST"), text_from_cstring(target), NULL, 0, TEXT_NONE);
}

static void check_series(Test *t, const TestServer *world, const char *stated) {
    check_answer(t, 200, text_format(t->arena, "{\"status\":\"success\",\"data\":%s}", stated),
                 test_get(t, world, "/api/v1/series?match[]={__name__=~%22.%2B%22}"));
}

#define MAIL "{\"__name__\":\"jobs_total\",\"queue\":\"mail\"}"
#define UP_A "{\"__name__\":\"up\",\"instance\":\"a\"}"
#define UP_B "{\"__name__\":\"up\",\"instance\":\"b\"}"

TEST(without_the_setting_nothing_can_be_deleted) {
    TestServer world;
    test_server_plain(t, &world);
    test_write_some(t, &world, TEXT_NONE, TEXT_NONE);
    static const char *const targets[] = {"/api/v1/admin/tsdb/delete_series?match[]=up",
                                          "/api/v1/admin/tsdb/clean_tombstones",
                                          "/api/v1/admin/tsdb/snapshot"};
    for (size_t i = 0; i < COUNT(targets); i++) {
        HttpClientAnswer answer = post(t, &world, targets[i]);
        check_status(t, 503, answer);
        check(t, text_find(answer.body, TEXT("admin APIs disabled")) > 0);
        check(t, text_find(answer.body, TEXT("\"errorType\":\"unavailable\"")) > 0);
    }
    check_series(t, &world, "[" MAIL "," UP_A "," UP_B "]");
    test_server_end(t, &world);
}

TEST(deleted_series_are_gone_from_every_answer_and_stay_so) {
    TestServer world;
    begin(t, &world);
    check_answer(t, 204, TEXT(""),
                 post(t, &world,
                      "/api/v1/admin/tsdb/delete_series?match[]=up{instance=%22a%22}"
                      "&match[]=jobs_total&end=1760000015"));
    check_series(t, &world, "[" MAIL "," UP_A "," UP_B "]");
    check_answer(
        t, 204, TEXT(""),
        test_send(t, &world, TEXT("PUT"), TEXT("/prometheus/api/v1/admin/tsdb/delete_series"),
                  &(HttpHeader){TEXT("Content-Type"), TEXT("application/x-www-form-urlencoded")}, 1,
                  TEXT("match[]=jobs_total&start=1760000016")));
    check_series(t, &world, "[" UP_A "," UP_B "]");
    for (int round = 0; round < 3; round++) {
        check_answer(
            t, 200,
            TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{"
                 "\"metric\":" UP_A ",\"values\":[[1760000030,\"1\"]]},{\"metric\":" UP_B
                 ",\"values\":[[1760000000,\"0\"],[1760000015,\"1\"],[1760000030,\"2\"]]}]}}"),
            test_get(t, &world, "/api/v1/query?query={__name__!=%22%22}[10m]&time=1760000100"));
        check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"__name__\",\"instance\"]}"),
                     test_get(t, &world, "/api/v1/labels"));
        check_answer(t, 200, TEXT("{\"status\":\"success\",\"data\":[\"up\"]}"),
                     test_get(t, &world, "/api/v1/label/__name__/values"));
        if (round == 0)
            check_status(t, 204, post(t, &world, "/api/v1/admin/tsdb/clean_tombstones"));
        if (round == 1) test_server_again(t, &world);  // where admin_api is off
    }
    test_server_end(t, &world);
}

// Without cleaning, so that the log is what could bring it back.
TEST(a_restart_brings_nothing_back_and_later_samples_are_seen) {
    TestServer world;
    begin(t, &world);
    check_status(t, 204, post(t, &world, "/api/v1/admin/tsdb/delete_series?match[]=up"));
    WriteBody body = {0};
    test_row(t, &body, TEXT("up"), TEXT("instance"), TEXT("a"), T0_MS + 15000, 9);
    test_write(t, &world, TEXT_NONE, TEXT_NONE, &body);
    for (int round = 0; round < 2; round++) {
        check_series(t, &world, "[" MAIL "," UP_A "]");
        check_answer(
            t, 200,
            TEXT("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{"
                 "\"metric\":" UP_A ",\"values\":[[1760000015,\"9\"]]}]}}"),
            test_get(t, &world, "/api/v1/query?query=up[10m]&time=1760000100"));
        test_server_again(t, &world);
    }
    test_server_end(t, &world);
}

TEST(what_is_wrong_with_a_delete_is_told) {
    TestServer world;
    begin(t, &world);
    check_status(t, 400, post(t, &world, "/api/v1/admin/tsdb/delete_series"));
    check_status(t, 400, post(t, &world, "/api/v1/admin/tsdb/delete_series?match[]={}"));
    check_status(t, 400, post(t, &world, "/api/v1/admin/tsdb/delete_series?match[]=up{"));
    check_status(t, 400,
                 post(t, &world, "/api/v1/admin/tsdb/delete_series?match[]=up&start=2&end=1"));
    check_status(t, 405, test_get(t, &world, "/api/v1/admin/tsdb/delete_series?match[]=up"));
    check_status(t, 400, post(t, &world, "/api/v1/admin/tsdb/snapshot?skip_head=perhaps"));
    check_status(t, 204, post(t, &world, "/api/v1/admin/tsdb/delete_series?match[]=nothing"));
    check_series(t, &world, "[" MAIL "," UP_A "," UP_B "]");
    test_server_end(t, &world);
}

// The name in {"status":"success","data":{"name":"…"}}.
static Text name_of(Test *t, HttpClientAnswer answer) {
    check_status(t, 200, answer);
    Text head = TEXT("{\"status\":\"success\",\"data\":{\"name\":\"");
    check(t, text_starts_with(answer.body, head) && text_ends_with(answer.body, TEXT("\"}}")));
    return text_slice(answer.body, head.len, answer.body.len - 3);
}

TEST(a_snapshot_is_a_data_directory_that_a_server_can_start_from) {
    TestServer world;
    begin(t, &world);
    Text key = test_server_key(t, &world, TEXT("*"), PERMISSION_ALL);
    Text target = TEXT("/api/v1/admin/tsdb/snapshot");
    HttpClientAnswer answer = test_as(t, &world, TEXT("POST"), target, key, TEXT_NONE);
    Text whole = name_of(t, answer);
    // What comes now is in the head alone: neither in the first nor in a copy without the head.
    WriteBody body = {0};
    test_row(t, &body, TEXT("later"), TEXT_NONE, TEXT_NONE, T0_MS, 9);
    test_write(t, &world, key, TEXT_NONE, &body);
    target = TEXT("/api/v1/admin/tsdb/snapshot?skip_head=true");
    Text without = name_of(t, test_as(t, &world, TEXT("POST"), target, key, TEXT_NONE));
    check(t, !text_equal(whole, without));
    // Deleting here does not reach there.
    target = TEXT("/api/v1/admin/tsdb/delete_series?match[]=up");
    check_status(t, 204, test_as(t, &world, TEXT("POST"), target, key, TEXT_NONE));
    target = TEXT("/api/v1/admin/tsdb/clean_tombstones");
    check_status(t, 204, test_as(t, &world, TEXT("POST"), target, key, TEXT_NONE));

    Text folder = world.folder, names[] = {whole, without};
    for (size_t i = 0; i < COUNT(names); i++) {
        world.folder =
            text_format(t->arena, "%.*s/snapshots/%.*s", TEXT_ARG(folder), TEXT_ARG(names[i]));
        test_server_again(t, &world);
        target = TEXT("/api/v1/series?match[]={__name__=~%22.%2B%22}");
        check_answer(
            t, 200, TEXT("{\"status\":\"success\",\"data\":[" MAIL "," UP_A "," UP_B "]}"),
            test_as(t, &world, TEXT("GET"), target, key, TEXT_NONE));  // keys are there too
        body = (WriteBody){0};
        test_row(t, &body, TEXT("own"), TEXT_NONE, TEXT_NONE, T0_MS, 9);
        test_write(t, &world, key, TEXT_NONE, &body);
    }
    world.folder = folder;
    test_server_again(t, &world);
    target = TEXT("/api/v1/series?match[]={__name__=~%22.%2B%22}");
    check_answer(t, 200,
                 TEXT("{\"status\":\"success\",\"data\":[" MAIL ",{\"__name__\":\"later\"}]}"),
                 test_as(t, &world, TEXT("GET"), target, key, TEXT_NONE));
    test_server_end(t, &world);
}

TEST(what_a_crash_left_of_a_snapshot_goes_with_the_next) {
    TestServer world;
    begin(t, &world);
    Text half = text_format(t->arena, "%.*s/snapshots/half.tmp", TEXT_ARG(world.folder));
    Text deep = text_format(t->arena, "%.*s/objects/1", TEXT_ARG(half));
    bool there = true;
    check_ok(t, disk_make_folders(disk_real(), deep, t->err));
    check_ok(t, disk_replace(disk_real(), deep, TEXT("x.block"), BYTES_NONE, t->err));
    name_of(t, post(t, &world, "/api/v1/admin/tsdb/snapshot"));
    check_ok(t, disk_real()->exists(disk_real(), half, &there, t->err));
    check(t, !there);
    test_server_end(t, &world);
}

TEST_MAIN("server/admin", CASE(without_the_setting_nothing_can_be_deleted),
          CASE(deleted_series_are_gone_from_every_answer_and_stay_so),
          CASE(a_restart_brings_nothing_back_and_later_samples_are_seen),
          CASE(what_is_wrong_with_a_delete_is_told),
          CASE(a_snapshot_is_a_data_directory_that_a_server_can_start_from),
          CASE(what_a_crash_left_of_a_snapshot_goes_with_the_next))
