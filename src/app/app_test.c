// Starting the whole application while each call of the system it needs fails in turn: a clear
// error or a start that works, and nothing left behind.

#include "app/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/in_force.h"
#include "base/test.h"
#include "os/call_fault.h"
#include "os/process.h"

typedef struct Starts {
    uint64_t calls;  // of the kind that failed, in a start without a failure
    uint64_t refused;
} Starts;

static void remove_all(Test *t, Text folder) {
    Disk *disk = disk_real();
    DiskEntries entries;
    check_ok(t, disk->list(disk, folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path =
            text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(entries.at[i].name));
        if (entries.at[i].is_folder)
            remove_all(t, path);
        else
            check_ok(t, disk->remove(disk, path, t->err));
    }
    check_ok(t, disk->remove_folder(disk, folder, t->err));
}

// One start, asked to stop before it begins: it comes to where it waits for signals and goes down
// again. What the replay starts is started all the same, for there is nothing to replay.
static bool start_and_stop(Test *t, OsCall call, uint64_t nth, int number, uint64_t *seen) {
    char folder[] = "/tmp/traceo-app-XXXXXX";
    check(t, mkdtemp(folder) != NULL);
    Settings settings;
    settings_begin(&settings, t->arena);
    const Text flags[][2] = {
        {TEXT("listen"), TEXT("127.0.0.1:0")},   {TEXT("data"), text_from_cstring(folder)},
        {TEXT("log.level"), TEXT("error")},      {TEXT("otlp.grpc_listen"), TEXT("off")},
        {TEXT("otlp.http_listen"), TEXT("off")}, {TEXT("server.loops"), TEXT("2")},
        {TEXT("server.workers"), TEXT("2")}};
    for (size_t i = 0; i < COUNT(flags); i++) {
        bool known;
        check_ok(t, settings_read_flag(&settings, flags[i][0], flags[i][1], &known, t->err));
        check(t, known);
    }
    AppOptions options = {.settings = &settings, .build = {.version = TEXT("test")}, .quiet = true};
    check_ok(t, signals_begin(t->err));
    for (int i = 0; i < 8; i++) (void)signals_wait(0);  // what the start before left in the pipe
    int64_t files = process_files_open();
    signals_raise(SIGNAL_STOP);
    *t->err = (Error){0};
    call_fail_after(call, nth, false, number);
    bool ok = app_run(&options, t->err);
    *seen = call_fail_after(OS_CALL_NONE, 0, false, 0);
    check_i64(t, files, process_files_open());
    remove_all(t, text_from_cstring(folder));
    return ok;
}

static Starts fail_each(Test *t, OsCall call, int number) {
    Starts starts = {0};
    for (uint64_t nth = 1;; nth++) {
        uint64_t seen;
        bool ok = start_and_stop(t, call, nth, number, &seen);
        if (!ok) {
            starts.refused++;
            if (strstr(t->err->message, strerrordesc_np(number)) == NULL)
                check_failed(t, __FILE__, __LINE__, "call %d number %d says: %s", (int)call,
                             (int)nth, t->err->message);
        }
        if (seen >= nth) continue;
        starts.calls = seen;
        check_ok(t, ok);
        printf("# call %d: %d of %d failures end the start\n", (int)call, (int)starts.refused,
               (int)starts.calls);
        return starts;
    }
}

TEST(a_start_without_signals_says_so) {
    Starts starts = fail_each(t, OS_CALL_SIGNALS, EMFILE);
    check(t, starts.calls == 1 && starts.refused == 1);
}

TEST(a_start_without_threads_says_so) {
    Starts starts = fail_each(t, OS_CALL_THREAD_START, EAGAIN);
    // The workers, the loops and the replay come in order. Those that the replay starts race with
    // the one that watches for a second wish to stop, the only one that may be missing.
    check(t, starts.calls >= 8 && starts.refused >= 6);
}

TEST(a_start_without_randomness_says_so) {
    Starts starts = fail_each(t, OS_CALL_RANDOM, EIO);
    check(t, starts.calls >= 3 && starts.refused >= 3);
}

TEST(a_start_without_pollers_or_a_port_says_so) {
    // The loops of the server and that of the scraper: none can be done without.
    Starts starts = fail_each(t, OS_CALL_POLLER_OPEN, EMFILE);
    check(t, starts.calls >= 5 && starts.refused == starts.calls);
    starts = fail_each(t, OS_CALL_LISTEN, ENOBUFS);
    check(t, starts.calls == 4 && starts.refused == 4);
}

TEST(a_start_goes_on_where_the_machine_does_not_answer) {
    Starts starts = fail_each(t, OS_CALL_ASK, EPERM);
    check(t, starts.calls >= 3 && starts.refused == 0);
}

// ---- Reload ----

// What settings_again finds: no file at all, so what is in force can only be what was handed on.
typedef struct Found {
    const char *level, *job;  // NULL: a fault
} Found;

static ScrapeConfigs *jobs(Test *t, const char *job) {
    ScrapeConfigs *configs;
    Text source = text_format(t->arena,
                              "scrape_configs: [{job_name: %s, static_configs: [{targets: "
                              "['127.0.0.1:1']}]}]",
                              job);
    check_ok(t,
             scrape_configs_open_text(disk_real(), source, TEXT("nowhere.yaml"), &configs, t->err));
    return configs;
}

static Test *test_now;

static bool find_again(void *context, Arena *arena, Settings *out, ScrapeConfigs **scrape,
                       Error *err) {
    const Found *found = context;
    bool known;
    settings_begin(out, arena);
    if (found->level == NULL) return error_set(err, ERROR_BAD_INPUT, "nothing is right");
    TRY(settings_read_flag(out, TEXT("log.level"), text_from_cstring(found->level), &known, err));
    *scrape = jobs(test_now, found->job);
    return true;
}

static Text in_force_text(Test *t, const InForce *in_force, Scraping *scraping) {
    AUTO(builder_free) Builder out = {0};
    builder_add(&out, settings_text(&in_force->settings, SETTING_LOG_LEVEL));
    scraping_print(scraping, &out);
    return text_copy(builder_text(&out), t->arena);
}

TEST(a_reload_puts_in_force_what_was_checked_and_nothing_else) {
    test_now = t;
    Settings settings;
    settings_begin(&settings, t->arena);
    ScrapeConfigs *first = jobs(t, "first");
    Found found = {"warn", "second"};
    AppOptions options = {
        .settings = &settings, .settings_again = find_again, .context = &found, .scrape = first};
    InForce in_force;
    Scraping scraping;
    in_force_begin(&in_force, &options);
    scraping_begin(&scraping, first, TEXT("h"), options.build, clock_system());
    scrape_configs_close(&first);  // what is in force has a reference of its own
    in_force.scraping = &scraping;
    Text text = in_force_text(t, &in_force, &scraping);
    check(t, text_starts_with(text, TEXT("info")) && text_find(text, TEXT("first")) > 0);
    check_ok(t, in_force_reload(&in_force, t->err));
    text = in_force_text(t, &in_force, &scraping);
    check(t, text_starts_with(text, TEXT("warn")) && text_find(text, TEXT("second")) > 0 &&
                 text_find(text, TEXT("first")) < 0);
    found = (Found){NULL, "third"};
    check_error(t, in_force_reload(&in_force, t->err), ERROR_BAD_INPUT);
    check_text(t, text, in_force_text(t, &in_force, &scraping));
    scraping_end(&scraping);
    in_force_end(&in_force);
}

TEST_MAIN("app", CASE(a_start_without_signals_says_so), CASE(a_start_without_threads_says_so),
          CASE(a_start_without_randomness_says_so), CASE(a_start_without_pollers_or_a_port_says_so),
          CASE(a_start_goes_on_where_the_machine_does_not_answer),
          CASE(a_reload_puts_in_force_what_was_checked_and_nothing_else))
