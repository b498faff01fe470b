// What a sample of OTLP costs by stage (ingest/stages.h), of a stream of bench/stream --otlp. Run
// it in a release build.
//
//   otlp_stages_bench FILE [--packed none|gzip|zstd] [--frames-per-step 50]

#include "base/limits.h"
#include "codec/compress.h"
#include "ingest/admit.h"
#include "ingest/otlp/decode.h"
#include "ingest/stages.h"

typedef enum Stage { UNPACK, DECODE, NOTES, RESOLVE, PACK, APPEND, STAGES } Stage;
_Static_assert((int)STAGES <= (int)STAGES_MAX, "there is room for each");

typedef struct Connection {
    SeriesPrediction prediction;
    Builder body;
    Batch batch;
    Cache cache;
    WriteBody rows;
    Builder packed;
    Arena scratch;
} Connection;

typedef struct Requests {
    StageBench bench;
    Connection connections[STAGE_CONNECTIONS];
    OtlpOptions options;
    Compression compression;
    uint64_t packed, samples;
} Requests;

static void take(void *context, size_t connection, Bytes frame) {
    Requests *requests = context;
    StageBench *bench = &requests->bench;
    Connection *c = &requests->connections[connection];
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
    if (requests->compression != COMPRESSION_NONE) {
        stage_must(bench,
                   decompress(requests->compression, frame, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES,
                              &c->body, &err),
                   &err);
        body = text_bytes(builder_text(&c->body));
    }
    at[DECODE] = cpu_thread_ns();
    OtlpOutcome outcome = {0};
    Decode decode = {.options = &requests->options,
                     .cache = &c->cache,
                     .scratch = &c->scratch,
                     .arrival_ms = arrival_ms,
                     .rows = &c->rows,
                     .out = &outcome};
    stage_must(bench, decode_request(&decode, body, &err), &err);
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
    requests->packed += c->packed.len;
    requests->samples += c->batch.samples.count;
    stage_bench_note(bench, &c->batch, at, STAGES);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"unpack", "decode", "notes", "recognise",
                                        "pack",   "append", "all"};
    static Text promoted[] = {TEXT_INIT("region"), TEXT_INIT("team")};
    const char *path = NULL;
    Requests requests = {.options = {.promote = {promoted, 2}, .info_every_ms = 150000}};
    uint64_t per_step = 50;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--packed") == 0 && i + 1 < argc) {
            const char *name = argv[++i];
            if (strcmp(name, "none") == 0) name = "identity";
            if (!compression_from_name(text_from_cstring(name), &requests.compression)) return 2;
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
    Budget budget = {.name = "otlp"};
    for (size_t i = 0; i < STAGE_CONNECTIONS; i++)
        cache_begin(&requests.connections[i].cache, (HashKey){1, 2}, &budget,
                    LIMIT_OTLP_CACHE_BYTES);
    stage_bench_open(&requests.bench, "otlp_stages_bench");
    stage_bench_run(&requests.bench, path, per_step, take, &requests);
    for (size_t i = 0; i < STAGE_CONNECTIONS; i++) {
        Connection *c = &requests.connections[i];
        builder_free(&c->body);
        batch_free(&c->batch);
        builder_free(&c->packed);
        cache_end(&c->cache);
        write_body_free(&c->rows);
        arena_free(&c->scratch);
    }
    stage_bench_end(&requests.bench, names, STAGES);
    printf("%.1f bytes a sample for the log\n", (double)requests.packed / (double)requests.samples);
    return 0;
}
