// Simulated days in a store on a real file system: series come and go, heads become blocks, blocks
// merge and pass their retention. From one day to the next memory, file descriptors and disk stay
// what they were. A clock that is told the time makes a day of it in seconds.
//
// The planted fault is a view that is opened every hour and never closed: the suite has to see what
// it holds.

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "ingest/ingest.h"

enum {
    STEP_MS = 60000,
    STEPS_PER_DAY = 1440,
    STEPS_PER_HOUR = 60,
    DAY_MS = 86400000,
    VIEWS_MAX = 24 * 30,
};

typedef struct Levels {
    int64_t resident, files, disk;  // the most of a day
    int64_t merges;                 // until then, those that wrote one block again cold too
    uint64_t series, samples;       // that were sent
} Levels;

typedef struct Days {
    Test *t;
    Text folder;
    ManualClock clock;
    Store *store;
    IngestSender *sender;
    int series;
    bool leaks;
    SeriesView *views[VIEWS_MAX];
    size_t view_count;
} Days;

static int64_t resident_bytes(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    if (file != NULL) fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t open_files(void) {
    int64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) count++;
    if (folder != NULL) closedir(folder);
    return count;
}

static int64_t disk_bytes(Days *days, Text folder) {
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = disk_real();
    DiskEntries entries;
    int64_t bytes = 0;
    check_ok(days->t, disk->list(disk, folder, &arena, &entries, days->t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path =
            text_format(&arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(entries.at[i].name));
        bytes += entries.at[i].is_folder ? disk_bytes(days, path) : entries.at[i].bytes;
    }
    return bytes;
}

// A quarter of the series is replaced every hour.
static void step(Days *days, int64_t number, Levels *levels) {
    Test *t = days->t;
    AUTO(write_body_free) WriteBody body = {0};
    AUTO(arena_free) Arena arena = {0};
    clock_advance(&days->clock, STEP_MS);
    int64_t now_ms = days->clock.clock.wall_ms(&days->clock.clock);
    int64_t hour = number / STEPS_PER_HOUR;
    for (int i = 0; i < days->series; i++) {
        int64_t born = hour - (hour + i) % 4;
        Label labels[] = {
            {LABEL_NAME, TEXT("requests_total")},
            {TEXT("instance"), text_format(&arena, "pod-%d-%lld", i, (long long)born)},
            {TEXT("job"), TEXT("shop")}};
        Labels made;
        check_ok(t, labels_make(labels, 3, &arena, &made, t->err));
        if (number % STEPS_PER_HOUR == 0) levels->series += born == hour;
        write_body_add_since(&body, made, now_ms, (double)(number * 7 + i), 0);
        levels->samples++;
    }
    Tenant *tenant;
    IngestOutcome outcome;
    check_ok(t, store_tenant(days->store, TENANT_DEFAULT_NAME, true, &tenant, t->err));
    check_ok(t, ingest_samples(days->store, tenant, days->sender, &body, now_ms, &outcome, t->err));
    check_i64(t, ERROR_NONE, outcome.first_fault.code);
    check_ok(t, store_commit_now(days->store, t->err));
    if (number % 5 == 0) check_ok(t, store_maintain(days->store, t->err));
    if (days->leaks && number % STEPS_PER_HOUR == 0)
        check_ok(t, series_view_open(tenant->series, 0, INT64_MAX, &days->views[days->view_count++],
                                     t->err));
    if (number % 15 != 0) return;
    levels->resident = MAX(levels->resident, resident_bytes());
    levels->files = MAX(levels->files, open_files());
    levels->disk = MAX(levels->disk, disk_bytes(days, days->folder));
    SeriesState state;
    series_state(tenant->series, &state);
    levels->merges = (int64_t)state.merges;
}

static bool no_more(const char *what, int64_t before, int64_t after, int64_t slack) {
    bool fine = after <= before + before / 10 + slack;
    printf("# %s: %lld, then %lld%s\n", what, (long long)before, (long long)after,
           fine ? "" : ": it grows");
    return fine;
}

// Whether the last day took no more than one in the middle, when all is as it stays: a day of
// retention and whole days of blocks are there, and the allocator has what it needs (thirty days of
// 2,000 series: from the seventh on).
static bool is_steady(Test *t, int series, int day_count, bool leaks) {
    Days days = {.t = t, .series = series, .leaks = leaks};
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    days.folder = text_format(t->arena, "%s/traceo-days-%d", memory, (int)getpid());
    clock_manual(&days.clock, INT64_C(1763683200000));
    StoreOptions options = {
        .disk = disk_real(),
        .clock = &days.clock.clock,
        .folder = text_format(t->arena, "%.*s/data", TEXT_ARG(days.folder)),
        .hash_key = {1, 2},
        .memory_limit = 512 * MB,
        .retention_ms = DAY_MS,
        .log_segment_bytes = 4 * MB,
    };
    days.sender = ingest_sender_new();
    check_ok(t, disk_make_folders(disk_real(), options.folder, t->err));
    check_ok(t, store_open(options, &days.store, t->err));
    check_ok(t, store_replay(days.store, ingest_replay, days.sender, t->err));
    Levels middle = {0}, levels = {0};
    int64_t merges = 0, merges_middle = 0;
    for (int day = 0; day < day_count; day++) {
        merges = levels.merges;
        levels = (Levels){.series = levels.series, .samples = levels.samples};
        for (int i = 0; i < STEPS_PER_DAY; i++) step(&days, day * STEPS_PER_DAY + i, &levels);
        merges = levels.merges - merges;
        if (day != MAX(2, day_count / 2)) continue;
        middle = levels;
        merges_middle = merges;
    }
    printf("# %d days, %llu series, %llu samples\n", day_count, (unsigned long long)levels.series,
           (unsigned long long)levels.samples);
    bool steady = no_more("resident bytes", middle.resident, levels.resident, 4 * MB);
    steady &= no_more("open files", middle.files, levels.files, 2);
    steady &= no_more("bytes on disk", middle.disk, levels.disk, 4 * MB);
    steady &= no_more("merges of a day", merges_middle, merges, 1);
    for (size_t i = 0; i < days.view_count; i++) series_view_close(&days.views[i]);
    store_close(&days.store);
    ingest_sender_free(&days.sender);
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%.*s'", TEXT_ARG(days.folder));
    check(t, system(command) == 0);
    return steady;
}

TEST(from_day_to_day_memory_files_and_disk_stay_what_they_are) {
    bool night = getenv("TRACEO_NIGHT") != NULL;
    check(t, is_steady(t, night ? 2000 : 100, night ? 30 : 5, false));
}

TEST(a_view_that_is_never_closed_is_seen) {
    check(t, !is_steady(t, 400, 6, true));
}

TEST_MAIN("days", CASE(from_day_to_day_memory_files_and_disk_stay_what_they_are),
          CASE(a_view_that_is_never_closed_is_seen))
