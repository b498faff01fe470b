// What a sample of OTLP costs by stage, as ingest/stages_bench tells of remote write: a stream of
// bench/stream --otlp, taken as four connections would, on one thread and without sockets, log and
// answers.
//
//   otlp_stages_bench FILE [--packed none|gzip|zstd] [--frames-per-step 50]

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/reader.h"
#include "ingest/admit.h"
#include "ingest/otlp/decode.h"
#include "os/disk.h"
#include "os/disk_model.h"
#include "store/series/series.h"

enum { CONNECTIONS = 4, STEPS_FIRST = 3, FILE_BYTES_MAX = 1 << 30 };

typedef enum Stage { UNPACK, DECODE, NOTES, RESOLVE, PACK, APPEND, STAGES } Stage;

typedef struct Connection {
    SeriesPrediction prediction;
    Builder body;
    Batch batch;
    Cache cache;
    WriteBody rows;
    Builder packed;
    Arena scratch;
} Connection;

typedef struct Bench {
    SeriesStore *store;
    Connection connections[CONNECTIONS];
    OtlpOptions options;
    Compression compression;
    uint64_t sequence, packed, samples;
    ARRAY(double) costs[STAGES + 1];  // of each request; the last one is the sum
} Bench;

static void must(bool done, const Error *err) {
    if (done) return;
    fprintf(stderr, "otlp_stages_bench: %s\n", err->message);
    exit(1);
}

static void take(Bench *bench, Connection *c, Bytes frame, bool counted) {
    Error err;
    int64_t at[STAGES + 1];
    builder_clear(&c->body);
    builder_clear(&c->packed);
    batch_clear(&c->batch);
    arena_clear(&c->scratch);
    write_body_clear(&c->rows);
    int64_t arrival_ms = clock_system()->wall_ms(clock_system());
    at[UNPACK] = cpu_thread_ns();
    Bytes body = frame;
    if (bench->compression != COMPRESSION_NONE) {
        must(decompress(bench->compression, frame, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &c->body,
                        &err),
             &err);
        body = text_bytes(builder_text(&c->body));
    }
    at[DECODE] = cpu_thread_ns();
    OtlpOutcome outcome = {0};
    Decode decode = {.options = &bench->options,
                     .cache = &c->cache,
                     .scratch = &c->scratch,
                     .arrival_ms = arrival_ms,
                     .rows = &c->rows,
                     .out = &outcome};
    must(decode_request(&decode, body, &err), &err);
    at[NOTES] = cpu_thread_ns();
    write_body_batch(&c->rows, &c->batch);
    c->batch.arrival_ms = arrival_ms;
    admit(&c->batch);
    at[RESOLVE] = cpu_thread_ns();
    series_write_begin(bench->store);
    series_resolve(bench->store, &c->prediction, &c->batch, false);
    at[PACK] = cpu_thread_ns();
    write_body_pack(&c->rows, &c->packed);
    at[APPEND] = cpu_thread_ns();
    series_append(bench->store, &c->batch, ++bench->sequence);
    series_write_end(bench->store);
    at[STAGES] = cpu_thread_ns();
    bench->packed += c->packed.len;
    bench->samples += c->batch.samples.count;
    size_t samples = c->batch.samples.count;
    if (samples != c->batch.counts[VERDICT_STORED]) {
        fprintf(stderr, "otlp_stages_bench: %zu samples, %llu stored: %s\n", samples,
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
    static const char *const names[] = {"unpack", "decode", "notes", "recognise",
                                        "pack",   "append", "all"};
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
        if (strcmp(argv[i], "--packed") == 0 && i + 1 < argc) {
            const char *name = argv[++i];
            if (strcmp(name, "none") == 0) name = "identity";
            if (!compression_from_name(text_from_cstring(name), &bench.compression)) return 2;
        } else if (strcmp(argv[i], "--frames-per-step") == 0 && i + 1 < argc) {
            if (!text_to_u64(text_from_cstring(argv[++i]), &per_step)) return 2;
        } else {
            path = argv[i];
        }
    }
    if (path == NULL || per_step == 0) {
        fprintf(stderr,
                "usage: otlp_stages_bench FILE [--packed none|gzip|zstd] [--frames-per-step N]\n");
        return 2;
    }
    static Text promoted[] = {TEXT_INIT("region"), TEXT_INIT("team")};
    Budget budget = {.name = "otlp"};
    bench.options = (OtlpOptions){.promote = {promoted, 2}, .info_every_ms = 150000};
    for (size_t i = 0; i < CONNECTIONS; i++)
        cache_begin(&bench.connections[i].cache, (HashKey){1, 2}, &budget, LIMIT_OTLP_CACHE_BYTES);
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
    printf("%.1f bytes a sample for the log\n", (double)bench.packed / (double)bench.samples);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        Connection *c = &bench.connections[i];
        builder_free(&c->body);
        batch_free(&c->batch);
        builder_free(&c->packed);
        cache_end(&c->cache);
        write_body_free(&c->rows);
        arena_free(&c->scratch);
    }
    series_close(&bench.store);
    objects_close(&objects);
    disk_model_free(&model);
    arena_free(&arena);
    return 0;
}
