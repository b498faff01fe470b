// Tests of the page's files: codings, tags, caching, what is not there, and that nothing leaves the
// folder.

#include "os/disk.h"
#include "server/test_server.h"

static const UiFile small_files[] = {
    {TEXT_INIT("assets/a-1.js"),
     TEXT_INIT("text/javascript; charset=utf-8"),
     TEXT_INIT("aa"),
     {TEXT_INIT("plain"), TEXT_INIT("zipped"), TEXT_INIT("brotli")}},
    {TEXT_INIT("icon.svg"), TEXT_INIT("image/svg+xml"), TEXT_INIT("ii"), {TEXT_INIT("<svg/>")}},
    {TEXT_INIT("index.html"),
     TEXT_INIT("text/html; charset=utf-8"),
     TEXT_INIT("hh"),
     {TEXT_INIT("<!doctype html>"), TEXT_INIT("zipped page")}},
};

static void begin(Test *t, TestServer *world) {
    test_server_begin(t, world,
                      (TestServerOptions){.durability = LOG_MEMORY,
                                          .ui = {small_files, COUNT(small_files), {NULL, 0}}});
}

static HttpClientAnswer ask(Test *t, const TestServer *world, const char *path, const char *name,
                            const char *value) {
    HttpHeader header = {text_from_cstring(name), text_from_cstring(value)};
    return test_send(t, world, TEXT("GET"), text_from_cstring(path), &header, 1, TEXT_NONE);
}

TEST(a_file_comes_in_the_best_coding_that_the_client_takes) {
    TestServer world;
    begin(t, &world);
    static const struct {
        const char *accepts, *coding, *body, *tag;
    } rows[] = {
        {"gzip, deflate, br", "br", "brotli", "\"aa-br\""},
        {"gzip", "gzip", "zipped", "\"aa-gz\""},
        {"br;q=0, gzip", "gzip", "zipped", "\"aa-gz\""},
        {"identity", "", "plain", "\"aa\""},
        {"", "", "plain", "\"aa\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpClientAnswer answer =
            ask(t, &world, "/ui/assets/a-1.js", "Accept-Encoding", rows[i].accepts);
        check_answer(t, 200, text_from_cstring(rows[i].body), answer);
        check_text(t, text_from_cstring(rows[i].coding),
                   test_header(answer, TEXT("Content-Encoding")));
        check_text(t, text_from_cstring(rows[i].tag), test_header(answer, TEXT("ETag")));
        check_text(t, TEXT("Accept-Encoding"), test_header(answer, TEXT("Vary")));
        check_text(t, TEXT("text/javascript; charset=utf-8"),
                   test_header(answer, TEXT("Content-Type")));
        check_text(t, TEXT("public, max-age=31536000, immutable"),
                   test_header(answer, TEXT("Cache-Control")));
    }
    test_server_end(t, &world);
}

TEST(what_the_browser_has_is_not_sent_again) {
    TestServer world;
    begin(t, &world);
    const char *same[] = {"\"ii\"", "W/\"ii\"", "\"x\", \"ii\"", "*"};
    for (size_t i = 0; i < COUNT(same); i++) {
        HttpClientAnswer answer = ask(t, &world, "/ui/icon.svg", "If-None-Match", same[i]);
        check_answer(t, 304, TEXT(""), answer);
        check_text(t, TEXT("\"ii\""), test_header(answer, TEXT("ETag")));
        check_text(t, TEXT("no-cache"), test_header(answer, TEXT("Cache-Control")));
    }
    check_answer(t, 200, TEXT("<svg/>"), ask(t, &world, "/ui/icon.svg", "If-None-Match", "ii"));
    check_answer(t, 200, TEXT("<svg/>"),
                 ask(t, &world, "/ui/icon.svg", "If-None-Match", "\"other\""));
    test_server_end(t, &world);
}

TEST(places_within_the_page_are_the_page_and_missing_files_are_missing) {
    TestServer world;
    begin(t, &world);
    const char *places[] = {"/ui/", "/ui/explore", "/ui/metrics/node_load1"};
    for (size_t i = 0; i < COUNT(places); i++) {
        HttpClientAnswer answer = test_get(t, &world, places[i]);
        check_answer(t, 200, TEXT("<!doctype html>"), answer);
        check_text(t, TEXT("no-cache"), test_header(answer, TEXT("Cache-Control")));
        Text policy = test_header(answer, TEXT("Content-Security-Policy"));
        check(t, text_starts_with(policy, TEXT("default-src 'none'; script-src 'self';")));
        check(t, text_find(policy, TEXT("unsafe")) < 0);
        check(t, text_find(policy, TEXT("frame-ancestors 'none'")) > 0);
        check_text(t, TEXT("same-origin"), test_header(answer, TEXT("Cross-Origin-Opener-Policy")));
    }
    const char *missing[] = {"/ui/a.js", "/ui/assets/b-2.js", "/ui/.git/config", "/ui/%2e%2e/x"};
    for (size_t i = 0; i < COUNT(missing); i++)
        check(t, test_get(t, &world, missing[i]).status >= 400);
    HttpClientAnswer head =
        test_send(t, &world, TEXT("HEAD"), TEXT("/ui/icon.svg"), NULL, 0, TEXT_NONE);
    check_answer(t, 200, TEXT(""), head);
    check_text(t, TEXT("6"), test_header(head, TEXT("Content-Length")));
    test_server_end(t, &world);
}

TEST(browsers_are_led_from_the_root_to_the_page_even_where_keys_are_needed) {
    TestServer world;
    begin(t, &world);
    for (int keys = 0; keys < 2; keys++) {
        HttpClientAnswer led =
            ask(t, &world, "/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        check_status(t, 302, led);
        check_text(t, TEXT("/ui/"), test_header(led, TEXT("Location")));
        check_status(t, keys ? 401 : 200, ask(t, &world, "/", "Accept", "*/*"));
        check_status(t, 302, test_get(t, &world, "/ui"));
        check_status(t, 200, test_get(t, &world, "/ui/"));
        test_server_key(t, &world, TEXT("*"), PERMISSION_ALL);
    }
    test_server_end(t, &world);
}

TEST(a_server_without_the_page_says_why_and_what_to_do) {
    TestServer world;
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY,
                                          .ui = {NULL, 0, TEXT_INIT("there was no npm")}});
    HttpClientAnswer answer = test_get(t, &world, "/ui/");
    check_status(t, 404, answer);
    check(t, text_find(answer.body, TEXT("there was no npm")) > 0);
    check(t, text_find(answer.body, TEXT("make build")) > 0);
    test_server_end(t, &world);
}

TEST(a_folder_serves_the_page_and_nothing_outside_of_it) {
    TestServer world;
    Text above = test_folder_name(t), folder = text_format(t->arena, "%.*s/page", TEXT_ARG(above));
    Text inner = text_format(t->arena, "%.*s/assets", TEXT_ARG(folder));
    Disk *disk = disk_real();
    check_ok(t, disk_make_folders(disk, inner, t->err));
    check_ok(t, disk_replace(disk, folder, TEXT("index.html"), text_bytes(TEXT("page")), t->err));
    check_ok(t, disk_replace(disk, inner, TEXT("a.js"), text_bytes(TEXT("script")), t->err));
    check_ok(t, disk_replace(disk, above, TEXT("secret.txt"), text_bytes(TEXT("no")), t->err));
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .ui_folder = folder});
    check_answer(t, 200, TEXT("page"), test_get(t, &world, "/ui/"));
    HttpClientAnswer script = test_get(t, &world, "/ui/assets/a.js");
    check_answer(t, 200, TEXT("script"), script);
    check_text(t, TEXT("no-cache"), test_header(script, TEXT("Cache-Control")));
    const char *outside[] = {"/ui/../secret.txt",
                             "/ui/%2e%2e/secret.txt",
                             "/ui/..%2fsecret.txt",
                             "/ui/assets/../../secret.txt",
                             "/ui/assets//../secret.txt",
                             "/ui//etc/passwd",
                             "/ui/a%00.js"};
    for (size_t i = 0; i < COUNT(outside); i++) {
        HttpClientAnswer answer = test_get(t, &world, outside[i]);
        check(t, !text_equal(answer.body, TEXT("no")) && text_find(answer.body, TEXT("root:")) < 0);
    }
    test_server_end(t, &world);
    test_folder_remove(t, above);
}

TEST_MAIN("server/ui", CASE(a_file_comes_in_the_best_coding_that_the_client_takes),
          CASE(what_the_browser_has_is_not_sent_again),
          CASE(places_within_the_page_are_the_page_and_missing_files_are_missing),
          CASE(browsers_are_led_from_the_root_to_the_page_even_where_keys_are_needed),
          CASE(a_server_without_the_page_says_why_and_what_to_do),
          CASE(a_folder_serves_the_page_and_nothing_outside_of_it))
