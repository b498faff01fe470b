// What the benches of stages share: a stream of bench/stream, taken request by request on one
// thread as four connections would, into a store without log; and what each stage of a request
// cost, in ns a sample: the least, the lower quartile, the median and the mean of all requests
// behind the first steps. On a busy machine the lower quartile tells most; what happens in one step
// of sixteen, as packing does, is in the mean alone.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"
#include "codec/reader.h"
#include "os/disk.h"
#include "os/disk_model.h"
#include "store/series/series.h"

enum { STAGES_MAX = 6, STAGE_CONNECTIONS = 4, STAGE_STEPS_FIRST = 3, STAGE_FILE_MAX = 1 << 30 };

typedef struct StageBench {
    const char *program;
    SeriesStore *store;
    uint64_t sequence;
    bool counted;                         // the request at hand
    ARRAY(double) costs[STAGES_MAX + 1];  // of each request; behind the stages their sum
    Arena arena;
    DiskModel *model;
    Objects *objects;
} StageBench;

static inline void stage_must(const StageBench *bench, bool done, const Error *err) {
    if (done) return;
    fprintf(stderr, "%s: %s\n", bench->program, err->message);
    exit(1);
}

static inline void stage_bench_open(StageBench *bench, const char *program) {
    Error err;
    SeriesReport report;
    *bench = (StageBench){.program = program, .model = disk_model_new()};
    Disk *disk = disk_model_disk(bench->model);
    stage_must(bench, objects_open_directory(disk, TEXT("data/objects"), &bench->objects, &err),
               &err);
    SeriesOptions options = {.objects = bench->objects,
                             .object_prefix = TEXT("1/"),
                             .disk = disk,
                             .folder = TEXT("data/tenants/1"),
                             .clock = clock_system(),
                             .hash_key = {1, 2}};
    stage_must(bench, series_open(options, &bench->arena, &report, &bench->store, &err), &err);
}

// Each request of the file goes to `take` with the number of its connection.
static inline void stage_bench_run(StageBench *bench, const char *path, uint64_t per_step,
                                   void (*take)(void *context, size_t connection, Bytes frame),
                                   void *context) {
    Error err;
    Bytes file;
    stage_must(bench,
               disk_read_whole(disk_real(), text_from_cstring(path), STAGE_FILE_MAX, &bench->arena,
                               &file, &err),
               &err);
    Reader reader = reader_begin(file);
    for (size_t frames = 0; reader_left(&reader) > 0; frames++) {
        bench->counted = frames >= STAGE_STEPS_FIRST * per_step;
        Bytes frame = reader_take(&reader, reader_u32(&reader));
        take(context, frames % per_step % STAGE_CONNECTIONS, frame);
    }
}

// When each of `stages` stages of the request began, and when the last one ended.
static inline void stage_bench_note(StageBench *bench, const Batch *batch, const int64_t *at,
                                    size_t stages) {
    size_t samples = batch->samples.count;
    if (samples != batch->counts[VERDICT_STORED]) {
        fprintf(stderr, "%s: %zu samples, %llu stored: %s\n", bench->program, samples,
                (unsigned long long)batch->counts[VERDICT_STORED], batch->first_fault.message);
        exit(1);
    }
    if (!bench->counted) return;
    for (size_t stage = 0; stage < stages; stage++)
        *array_add(&bench->costs[stage]) = (double)(at[stage + 1] - at[stage]) / (double)samples;
    *array_add(&bench->costs[stages]) = (double)(at[stages] - at[0]) / (double)samples;
}

static inline int stage_by_cost(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Prints, and ends the bench. `names` has one more than there are stages.
static inline void stage_bench_end(StageBench *bench, const char *const *names, size_t stages) {
    size_t requests = bench->costs[0].count;
    printf("%-10s %8s %8s %8s %8s   ns/sample of %zu requests\n", "stage", "least", "quarter",
           "median", "mean", requests);
    for (size_t stage = 0; stage <= stages && requests > 0; stage++) {
        double *costs = bench->costs[stage].at;
        double sum = 0;
        qsort(costs, requests, sizeof *costs, stage_by_cost);
        for (size_t i = 0; i < requests; i++) sum += costs[i];
        printf("%-10s %8.1f %8.1f %8.1f %8.1f\n", names[stage], costs[0], costs[requests / 4],
               costs[requests / 2], sum / (double)requests);
    }
    for (size_t stage = 0; stage <= STAGES_MAX; stage++) array_free(&bench->costs[stage]);
    series_close(&bench->store);
    objects_close(&bench->objects);
    disk_model_free(&bench->model);
    arena_free(&bench->arena);
}
