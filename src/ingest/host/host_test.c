// Tests of the host collector: over a made-up /proc with known numbers, and over this host's own.

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "ingest/host/host.h"
#include "ingest/write_request.h"
#include "os/call_fault.h"

static void put(Test *t, const char *folder, const char *name, const char *content) {
    Text path = text_format(t->arena, "%s/%s", folder, name);
    for (size_t i = strlen(folder) + 1; i < path.len; i++) {
        if (path.at[i] != '/') continue;
        mkdir(text_format(t->arena, "%.*s", (int)i, path.at).at, 0700);
    }
    FILE *file = fopen(path.at, "w");
    check(t, file != NULL);
    if (file == NULL) return;
    fputs(content, file);
    fclose(file);
}

// The value of the series printed as `series`, or NaN.
static double value_of(Test *t, Bytes body, Text series) {
    Batch batch = {0};
    check_ok(t, write_request_decode(body, t->arena, NULL, &batch, t->err));
    double found = NAN;
    for (size_t i = 0; i < batch.series.count; i++) {
        AUTO(builder_free) Builder name = {0};
        labels_print((Labels){batch.series.at[i].labels}, &name);
        if (text_equal(builder_text(&name), series))
            found = batch.samples.at[batch.series.at[i].first_sample].value;
    }
    batch_free(&batch);
    return found;
}

TEST(a_known_proc_gives_known_samples) {
    char folder[] = "/tmp/traceo-host-XXXXXX";
    check(t, mkdtemp(folder) != NULL);
    put(t, folder, "stat",
        "cpu  1 2 3 4\ncpu0 100 20 300 4000 50 6 7 8 9 10\nintr 123 4 5\nctxt 77\nbtime "
        "1700000000\nprocesses 12\nprocs_running 2\nprocs_blocked 1\n");
    put(t, folder, "loadavg", "0.50 1.25 2.00 1/200 4242\n");
    put(t, folder, "meminfo",
        "MemTotal:       1024 kB\nActive(anon):     10 kB\nHugePages_Total:   3\n");
    put(t, folder, "diskstats",
        " 253 0 vda 10 1 200 3000 20 2 400 5000 1 600 7000 0 0 0 0 3 9\n 253 1 vda1 1 1 1 1 1 1 1 "
        "1 1 1 1\n");
    put(t, folder, "net/dev",
        "Inter-| Receive\n face |bytes\n  eth0: 1000 2 3 4 5 6 7 8 9000 10 11 12 13 14 15 16\n");
    put(t, folder, "pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n");
    put(t, folder, "42/stat", "42 (a b) c) S 1 42 42 0 -1 4 1 0 0 0 1 1 0 0 20 0 7 0 100\n");

    Host *host = NULL;
    HostOptions options = {.proc_folder = text_from_cstring(folder), .instance = TEXT("here")};
    check_ok(t, host_open(options, &host, t->err));
    WriteBody body = {0};
    ManualClock manual;
    clock_manual(&manual, 1700000100000);
    host_collect(host, &manual.clock, 1700000100000, &body);
    Bytes bytes = text_bytes(builder_text(&body.bytes));
    static const struct {
        Text series;
        double value;
    } rows[] = {
        {TEXT_INIT(
             "node_cpu_seconds_total{cpu=\"0\", instance=\"here\", job=\"node\", mode=\"idle\"}"),
         40},
        {TEXT_INIT("node_cpu_guest_seconds_total{cpu=\"0\", instance=\"here\", job=\"node\", "
                   "mode=\"nice\"}"),
         0.1},
        {TEXT_INIT("node_intr_total{instance=\"here\", job=\"node\"}"), 123},
        {TEXT_INIT("node_load5{instance=\"here\", job=\"node\"}"), 1.25},
        {TEXT_INIT("node_memory_MemTotal_bytes{instance=\"here\", job=\"node\"}"), 1048576},
        {TEXT_INIT("node_memory_Active_anon_bytes{instance=\"here\", job=\"node\"}"), 10240},
        {TEXT_INIT("node_memory_HugePages_Total{instance=\"here\", job=\"node\"}"), 3},
        {TEXT_INIT("node_disk_read_bytes_total{device=\"vda\", instance=\"here\", job=\"node\"}"),
         102400},
        {TEXT_INIT(
             "node_disk_io_time_seconds_total{device=\"vda\", instance=\"here\", job=\"node\"}"),
         0.6},
        {TEXT_INIT(
             "node_network_transmit_bytes_total{device=\"eth0\", instance=\"here\", job=\"node\"}"),
         9000},
        {TEXT_INIT("node_pressure_cpu_waiting_seconds_total{instance=\"here\", job=\"node\"}"),
         2.5},
        {TEXT_INIT("node_processes_threads{instance=\"here\", job=\"node\"}"), 7},
        {TEXT_INIT("node_processes_state{instance=\"here\", job=\"node\", state=\"S\"}"), 1},
        {TEXT_INIT(
             "node_scrape_collector_success{collector=\"stat\", instance=\"here\", job=\"node\"}"),
         1},
        // There is no net/netstat in this /proc: that collector says so, the others go on.
        {TEXT_INIT("node_scrape_collector_success{collector=\"netstat\", instance=\"here\", "
                   "job=\"node\"}"),
         0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = value_of(t, bytes, rows[i].series);
        if (fabs(value - rows[i].value) > 1e-9) {
            check_failed(t, __FILE__, __LINE__, "%.*s is %g, not %g", TEXT_ARG(rows[i].series),
                         value, rows[i].value);
        }
    }
    check(
        t,
        isnan(value_of(
            t, bytes,
            TEXT("node_disk_read_bytes_total{device=\"vda1\", instance=\"here\", job=\"node\"}"))));
    write_body_free(&body);
    host_close(&host);
}

TEST(this_host_gives_what_node_dashboards_ask_for) {
    Host *host = NULL;
    check_ok(t, host_open((HostOptions){0}, &host, t->err));
    WriteBody body = {0};
    Clock *clock = clock_system();
    host_collect(host, clock, clock->wall_ms(clock), &body);
    static const Text families[] = {
        TEXT_INIT("node_cpu_seconds_total"),
        TEXT_INIT("node_memory_MemAvailable_bytes"),
        TEXT_INIT("node_filesystem_avail_bytes"),
        TEXT_INIT("node_load1"),
        TEXT_INIT("node_uname_info"),
        TEXT_INIT("node_boot_time_seconds"),
        TEXT_INIT("node_procs_running"),
    };
    Batch batch = {0};
    check_ok(t, write_request_decode(text_bytes(builder_text(&body.bytes)), t->arena, NULL, &batch,
                                     t->err));
    for (size_t f = 0; f < COUNT(families); f++) {
        bool found = false;
        for (size_t i = 0; i < batch.series.count; i++) {
            check_ok(t, labels_check(batch.series.at[i].labels, t->err));
            found |= text_equal(labels_get((Labels){batch.series.at[i].labels}, LABEL_NAME),
                                families[f]);
        }
        if (!found) check_failed(t, __FILE__, __LINE__, "%.*s is missing", TEXT_ARG(families[f]));
    }
    batch_free(&batch);
    write_body_free(&body);
    host_close(&host);
}

// How many samples of the family have this value.
static size_t count_of(Test *t, const WriteBody *body, Text family, double value) {
    Batch batch = {0};
    Bytes bytes = text_bytes(builder_text(&body->bytes));
    check_ok(t, write_request_decode(bytes, t->arena, NULL, &batch, t->err));
    size_t count = 0;
    for (size_t i = 0; i < batch.series.count; i++) {
        Labels labels = {batch.series.at[i].labels};
        count += text_equal(labels_get(labels, LABEL_NAME), family) &&
                 batch.samples.at[batch.series.at[i].first_sample].value == value;
    }
    batch_free(&batch);
    return count;
}

TEST(a_collector_whose_call_fails_is_counted_and_the_others_go_on) {
    Text success = TEXT("node_scrape_collector_success");
    Clock *clock = clock_system();
    size_t failed_most = 0, total = 0;
    for (uint64_t nth = 0;; nth++) {  // 0: without a failure
        Host *host = NULL;
        check_ok(t, host_open((HostOptions){0}, &host, t->err));
        AUTO(write_body_free) WriteBody body = {0};
        call_fail_after(OS_CALL_FILE_READ, nth, false, EIO);
        host_collect(host, clock, clock->wall_ms(clock), &body);
        uint64_t seen = call_fail_after(OS_CALL_NONE, 0, false, 0);
        host_close(&host);
        size_t failed = count_of(t, &body, success, 0), worked = count_of(t, &body, success, 1);
        if (nth == 0) total = failed + worked;
        check(t, worked > 5 && failed + worked == total);
        check_i64(t, 1, count_of(t, &body, TEXT("up"), 1));
        failed_most = MAX(failed_most, failed);
        if (nth > 0 && seen < nth) break;
        nth += nth / 8;  // there is a read for each process
    }
    check(t, failed_most > 0);
}

TEST(every_family_says_its_type_and_help) {
    Host *host = NULL;
    check_ok(t, host_open((HostOptions){0}, &host, t->err));
    AUTO(write_body_free) WriteBody body = {0};
    Clock *clock = clock_system();
    host_collect(host, clock, clock->wall_ms(clock), &body);
    Batch batch = {0};
    check_ok(t, write_request_decode(text_bytes(builder_text(&body.bytes)), t->arena, NULL, &batch,
                                     t->err));
    check(t, batch.series.count > 50);
    for (size_t i = 0; i < batch.series.count; i++) {
        Text name = labels_get((Labels){batch.series.at[i].labels}, LABEL_NAME);
        bool found = false;
        for (size_t j = 0; j < batch.metadata.count && !found; j++)
            found =
                text_equal(batch.metadata.at[j].family, name) && batch.metadata.at[j].help.len > 0;
        if (!found) printf("# no help: %.*s\n", TEXT_ARG(name));
        check(t, found);
    }
    batch_free(&batch);
    host_close(&host);
}

TEST(a_mount_that_does_not_answer_is_an_error_of_its_own) {
    Host *host = NULL;
    check_ok(t, host_open((HostOptions){0}, &host, t->err));
    AUTO(write_body_free) WriteBody body = {0};
    Clock *clock = clock_system();
    call_fail_after(OS_CALL_MOUNT_SPACE, 1, true, EIO);
    host_collect(host, clock, clock->wall_ms(clock), &body);
    uint64_t mounts = call_fail_after(OS_CALL_NONE, 0, false, 0);
    check(t, mounts > 0);
    check_i64(t, mounts, count_of(t, &body, TEXT("node_filesystem_device_error"), 1));
    host_close(&host);
}

static int64_t test_now_ns;
static int64_t test_monotonic(Clock *clock) {
    (void)clock;
    return test_now_ns;
}

TEST(the_busiest_come_first_by_what_they_did_since_the_last_reading) {
    char folder[] = "/tmp/traceo-host-XXXXXX";
    check(t, mkdtemp(folder) != NULL);
    put(t, folder, "uptime", "100.00 50.00\n");
    // 10 s of processor in 90 s of life, and 1 s in 10 s.
    put(t, folder, "7/stat", "7 (old) S 1 7 7 0 -1 4 1 0 0 0 900 100 0 0 20 0 3 0 1000 0 50\n");
    put(t, folder, "8/stat", "8 (a) b ((c) R 1 8 8 0 -1 4 1 0 0 0 100 0 0 0 20 0 1 0 9000 0 10\n");
    put(t, folder, "8/status", "Name:\tx\nUid:\t4294967294\t0\t0\t0\nVmRSS:\t     12 kB\n");
    put(t, folder, "9/stat", "9 (broken");
    HostProcesses *processes = host_processes_new(text_from_cstring(folder));
    Clock clock = {.monotonic_ns = test_monotonic};
    test_now_ns = 1000000000000;
    HostTop top;
    check_ok(t, host_processes_read(processes, &clock, 10, t->arena, &top, t->err));
    check(t, top.count == 2 && top.all == 2 && top.seconds == 0);
    check_text(t, TEXT("old"), top.at[0].name);
    check(t, top.at[0].cpu > 0.111 && top.at[0].cpu < 0.112);
    // Two seconds later the young one has used one of them; a new one under an old number is not
    // mistaken.
    put(t, folder, "8/stat", "8 (a) b ((c) R 1 8 8 0 -1 4 1 0 0 0 150 50 0 0 20 0 1 0 9000 0 10\n");
    put(t, folder, "7/stat", "7 (new) S 1 7 7 0 -1 4 1 0 0 0 10 0 0 0 20 0 3 0 10100 0 50\n");
    test_now_ns += 2000000000;
    check_ok(t, host_processes_read(processes, &clock, 1, t->arena, &top, t->err));
    check(t, top.count == 1 && top.all == 2 && top.seconds == 2);
    check_text(t, TEXT("a) b ((c"), top.at[0].name);
    check_text(t, TEXT("4294967294"), top.at[0].user);
    check(t, top.at[0].cpu == 0.5 && top.at[0].resident_bytes == 12288 && top.at[0].state == 'R');
    // Somebody else looks at once: the rate is over the time before, not over nothing.
    test_now_ns += 1000;
    check_ok(t, host_processes_read(processes, &clock, 2, t->arena, &top, t->err));
    check(t, top.seconds > 2 && top.at[0].cpu > 0.49 && top.at[1].cpu < 0.06);
    host_processes_free(&processes);
}

TEST_MAIN("host", CASE(the_busiest_come_first_by_what_they_did_since_the_last_reading),
          CASE(a_known_proc_gives_known_samples),
          CASE(this_host_gives_what_node_dashboards_ask_for),
          CASE(every_family_says_its_type_and_help),
          CASE(a_collector_whose_call_fails_is_counted_and_the_others_go_on),
          CASE(a_mount_that_does_not_answer_is_an_error_of_its_own))
