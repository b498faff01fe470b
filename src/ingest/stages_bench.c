// What a sample costs by stage, on one thread and without sockets, log and answers: a stream of
// bench/stream, remote write 1.0 or 2.0, taken as four connections would. Each request's stages are
// timed; printed are ns per sample: the least, the lower quartile and the median of all requests
// behind the first steps. On a busy machine the lower quartile tells most. Run it in a release
// build.
//
//   stages_bench FILE [--rw2] [--frames-per-step 50]

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/reader.h"
#include "ingest/admit.h"
#include "ingest/write_request.h"
#include "ingest/write_request_2.h"
#include "os/disk.h"
#include "os/disk_model.h"
#include "store/series/series.h"

enum { CONNECTIONS = 4, STEPS_FIRST = 3, FILE_BYTES_MAX = 1 << 30 };

typedef enum Stage { UNPACK, DECODE, ADMIT, RESOLVE, APPEND, STAGES } Stage;

typedef struct Connection {
    SeriesPrediction prediction;
    Builder body;
    Batch batch;
    WriteSymbols symbols;
    Arena scratch;
} Connection;

typedef struct Bench {
    SeriesStore *store;
    Connection connections[CONNECTIONS];
    bool version_2;
    uint64_t sequence;
    ARRAY(double) costs[STAGES + 1];  // of each request; the last one is the sum
} Bench;

static void must(bool done, const Error *err) {
    if (done) return;
    fprintf(stderr, "stages_bench: %s\n", err->message);
    exit(1);
}

static void take(Bench *bench, Connection *c, Bytes frame, bool counted) {
    Error err;
    int64_t at[STAGES + 1];
    builder_clear(&c->body);
    batch_clear(&c->batch);
    arena_clear(&c->scratch);
    c->batch.arrival_ms = clock_system()->wall_ms(clock_system());
    at[UNPACK] = cpu_thread_ns();
    must(decompress(COMPRESSION_SNAPPY, frame, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &c->body,
                    &err),
         &err);
    at[DECODE] = cpu_thread_ns();
    Bytes body = text_bytes(builder_text(&c->body));
    must(bench->version_2 ? write_request_2_decode(body, &c->symbols, &c->scratch, &c->batch, &err)
                          : write_request_decode(body, &c->scratch, &c->batch, &err),
         &err);
    at[ADMIT] = cpu_thread_ns();
    admit(&c->batch);
    at[RESOLVE] = cpu_thread_ns();
    series_write_begin(bench->store);
    series_resolve(bench->store, &c->prediction, &c->batch, false);
    at[APPEND] = cpu_thread_ns();
    series_append(bench->store, &c->batch, ++bench->sequence);
    series_write_end(bench->store);
    at[STAGES] = cpu_thread_ns();
    size_t samples = c->batch.samples.count;
    if (samples != c->batch.counts[VERDICT_STORED]) {
        fprintf(stderr, "stages_bench: %zu samples, %llu stored: %s\n", samples,
                (unsigned long long)c->batch.counts[VERDICT_STORED], c->batch.first_fault.message);
        exit(1);
    }
    if (!counted) return;
    for (unsigned stage = 0; stage < STAGES; stage++)
        *array_add(&bench->costs[stage]) = (double)(at[stage + 1] - at[stage]) / (double)samples;
    *array_add(&bench->costs[STAGES]) = (double)(at[STAGES] - at[0]) / (double)samples;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(Bench *bench) {
    static const char *const names[] = {"unpack", "decode", "admit", "recognise", "append", "all"};
    printf("%-10s %8s %8s %8s   ns/sample of %zu requests\n", "stage", "least", "quarter", "median",
           bench->costs[0].count);
    for (unsigned stage = 0; stage <= STAGES; stage++) {
        __typeof__(&bench->costs[0]) costs = &bench->costs[stage];
        qsort(costs->at, costs->count, sizeof *costs->at, by_size);
        printf("%-10s %8.1f %8.1f %8.1f\n", names[stage], costs->at[0], costs->at[costs->count / 4],
               costs->at[costs->count / 2]);
        array_free(costs);
    }
}

int main(int argc, char **argv) {
    const char *path = NULL;
    Bench bench = {0};
    uint64_t per_step = 50;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rw2") == 0) {
            bench.version_2 = true;
        } else if (strcmp(argv[i], "--frames-per-step") == 0 && i + 1 < argc) {
            if (!text_to_u64(text_from_cstring(argv[++i]), &per_step)) return 2;
        } else {
            path = argv[i];
        }
    }
    if (path == NULL || per_step == 0) {
        fprintf(stderr, "usage: stages_bench FILE [--rw2] [--frames-per-step N]\n");
        return 2;
    }
    Arena arena = {0};
    Error err;
    Bytes file;
    must(disk_read_whole(disk_real(), text_from_cstring(path), FILE_BYTES_MAX, &arena, &file, &err),
         &err);
    DiskModel *model = disk_model_new();
    Objects *objects = NULL;
    SeriesReport report;
    must(objects_open_directory(disk_model_disk(model), TEXT("data/objects"), &objects, &err),
         &err);
    SeriesOptions options = {.objects = objects,
                             .object_prefix = TEXT("1/"),
                             .disk = disk_model_disk(model),
                             .folder = TEXT("data/tenants/1"),
                             .clock = clock_system(),
                             .hash_key = {1, 2}};
    must(series_open(options, &arena, &report, &bench.store, &err), &err);
    size_t frames = 0;
    Reader reader = reader_begin(file);
    for (; reader_left(&reader) > 0; frames++) {
        Bytes frame = reader_take(&reader, reader_u32(&reader));
        take(&bench, &bench.connections[frames % per_step % CONNECTIONS], frame,
             frames >= STEPS_FIRST * per_step);
    }
    if (bench.costs[0].count > 0) print(&bench);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        Connection *c = &bench.connections[i];
        builder_free(&c->body);
        batch_free(&c->batch);
        write_symbols_free(&c->symbols);
        arena_free(&c->scratch);
    }
    series_close(&bench.store);
    objects_close(&objects);
    disk_model_free(&model);
    arena_free(&arena);
    return 0;
}
