// What a sample of remote write 1.0 or 2.0 costs by stage (stages.h). Run it in a release build.
//
//   stages_bench FILE [--rw2] [--frames-per-step 50]

#include "ingest/stages.h"

#include "base/limits.h"
#include "codec/compress.h"
#include "ingest/admit.h"
#include "ingest/repeats.h"
#include "ingest/write_request.h"

typedef enum Stage { UNPACK, DECODE, ADMIT, RESOLVE, APPEND, STAGES } Stage;

typedef struct Connection {
    SeriesPrediction prediction;
    Builder body;
    Batch batch;
    WriteSymbols symbols;
    Arena scratch;
} Connection;

typedef struct Requests {
    StageBench bench;
    Connection connections[STAGE_CONNECTIONS];
    bool version_2;
    Repeats *repeats;
} Requests;

static void take(void *context, size_t connection, Bytes frame) {
    Requests *requests = context;
    StageBench *bench = &requests->bench;
    Connection *c = &requests->connections[connection];
    Error err;
    int64_t at[STAGES + 1];
    builder_clear(&c->body);
    batch_clear(&c->batch);
    arena_clear(&c->scratch);
    c->batch.arrival_ms = clock_system()->wall_ms(clock_system());
    at[UNPACK] = cpu_thread_ns();
    stage_must(bench,
               decompress(COMPRESSION_SNAPPY, frame, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES,
                          &c->body, &err),
               &err);
    at[DECODE] = cpu_thread_ns();
    Bytes body = text_bytes(builder_text(&c->body));
    SeriesForetold foretold;
    series_foretell_begin(bench->store, &c->prediction, &foretold);
    stage_must(
        bench,
        requests->version_2
            ? repeats_decode(requests->repeats, 1, body, &c->symbols, &c->scratch, &c->batch, &err)
            : write_request_decode(body, &c->scratch, &foretold, &c->batch, &err),
        &err);
    series_foretell_end(&foretold);
    at[ADMIT] = cpu_thread_ns();
    admit(&c->batch);
    at[RESOLVE] = cpu_thread_ns();
    series_write_begin(bench->store);
    series_resolve(bench->store, &c->prediction, &c->batch, false);
    at[APPEND] = cpu_thread_ns();
    series_append(bench->store, &c->batch, ++bench->sequence);
    series_write_end(bench->store);
    if (requests->version_2) repeats_note(requests->repeats, 1, body, &c->symbols, &c->batch);
    at[STAGES] = cpu_thread_ns();
    stage_bench_note(bench, &c->batch, at, STAGES);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"unpack", "decode", "admit", "recognise", "append", "all"};
    const char *path = NULL;
    Requests requests = {0};
    uint64_t per_step = 50;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rw2") == 0) {
            requests.version_2 = true;
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
    stage_bench_open(&requests.bench, "stages_bench");
    requests.repeats = repeats_new((HashKey){1, 2}, 0);
    stage_bench_run(&requests.bench, path, per_step, take, &requests);
    for (size_t i = 0; i < STAGE_CONNECTIONS; i++) {
        Connection *c = &requests.connections[i];
        builder_free(&c->body);
        batch_free(&c->batch);
        write_symbols_free(&c->symbols);
        arena_free(&c->scratch);
    }
    repeats_free(&requests.repeats);
    stage_bench_end(&requests.bench, names, STAGES);
    return 0;
}
