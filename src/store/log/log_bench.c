// Measures the log on the real disk: bench_store_log [folder] [seconds]. Writers append records of
// 40 KB and wait for them; printed are MB/s, commits and the time from append to durable.

#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "os/thread.h"
#include "store/log/log.h"

enum { RECORD_BYTES = 40000, SAMPLES_MAX = 200000, WRITERS_MAX = 16 };

typedef struct Writer {
    Log *log;
    Thread *thread;
    int64_t until_ns;
    int64_t *took_ns;
    size_t count;
    bool failed;
} Writer;

static void write_until(void *context) {
    Writer *writer = context;
    Clock *clock = clock_system();
    static const uint8_t body[RECORD_BYTES] = {7};
    LogRecord record = {
        .type = LOG_RECORD_REMOTE_WRITE_1, .tenant = 1, .body = {body, sizeof body}};
    Error err;
    uint64_t sequence;
    while (writer->count < SAMPLES_MAX) {
        int64_t began = clock->monotonic_ns(clock);
        if (began > writer->until_ns) return;
        writer->failed = !log_append(writer->log, &record, &sequence, &err) ||
                         !log_wait(writer->log, sequence, &err);
        if (writer->failed) {
            fprintf(stderr, "%s\n", err.message);
            return;
        }
        writer->took_ns[writer->count++] = clock->monotonic_ns(clock) - began;
    }
}

static int compare(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static bool measure(Text folder, int64_t seconds, int writer_count, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Clock *clock = clock_system();
    LogOptions options = {.disk = disk_real(), .clock = clock, .folder = folder};
    LogRecovery recovery;
    Log *log = NULL;
    int64_t opening = clock->monotonic_ns(clock);
    TRY(log_open(options, &arena, &recovery, &log, err));
    TRY(log_run(log, err));
    opening = clock->monotonic_ns(clock) - opening;
    clock->sleep_ms(clock, 1500);  // spares and ballast
    Writer writers[WRITERS_MAX] = {0};
    int64_t began = clock->monotonic_ns(clock);
    for (int i = 0; i < writer_count; i++) {
        writers[i] = (Writer){.log = log,
                              .until_ns = began + seconds * 1000000000,
                              .took_ns = arena_push_array(&arena, int64_t, SAMPLES_MAX)};
        TRY(thread_start("writer", write_until, &writers[i], &writers[i].thread, err));
    }
    ARRAY(int64_t) all = {0};
    for (int i = 0; i < writer_count; i++) {
        thread_join(&writers[i].thread);
        for (size_t k = 0; k < writers[i].count; k++) *array_add(&all) = writers[i].took_ns[k];
    }
    double took_s = (double)(clock->monotonic_ns(clock) - began) / 1e9;
    LogState state;
    log_state(log, &state);
    qsort(all.at, all.count, sizeof *all.at, compare);
    if (all.count > 0 && state.commits > 0) {
        printf(
            "%2d writers: opened in %.1f ms; %.0f MB/s, %.0f records/s, %.1f records per commit, "
            "commit %.0f us; append to durable "
            "p50 %.0f us, p99 %.0f us, max %.1f ms\n",
            writer_count, (double)opening / 1e6, (double)all.count * RECORD_BYTES / took_s / 1e6,
            (double)all.count / took_s, (double)state.records / (double)state.commits,
            (double)state.sync_ns_total / (double)state.commits / 1e3,
            (double)all.at[all.count / 2] / 1e3, (double)all.at[all.count * 99 / 100] / 1e3,
            (double)all.at[all.count - 1] / 1e6);
    }
    array_free(&all);
    bool ok = log_trim(log, state.next_sequence, err);
    log_close(&log);
    return ok;
}

int main(int argc, char **argv) {
    static const int writers[] = {1, 4, 16};
    Text folder = text_from_cstring(argc > 1 ? argv[1] : "bench-log");
    uint64_t seconds = 3;
    if (argc > 2 && !text_to_u64(text_from_cstring(argv[2]), &seconds)) return 2;
    for (size_t i = 0; i < COUNT(writers); i++) {
        Error err;
        if (measure(folder, (int64_t)seconds, writers[i], &err)) continue;
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}
