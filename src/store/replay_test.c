// A replay on several threads stores what a replay on one thread stores, bit for bit: random
// records of two tenants with conflicts, late samples and metadata, in any interleaving; with heads
// that are sealed on the way; and when it fails. The planted fault, a replay that appends out of
// turn, is found by the same comparison.

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"
#include "os/disk_model.h"
#include "store/replay.h"

enum { SERIES = 700, TENANTS = 2, RECORDS = 160, ROWS_MAX = 500, WORKERS = 4, ROW_BYTES = 20 };

static const int64_t NOW_MS = INT64_C(1763683200000);

typedef struct Stage {
    Test *t;
    char catalog[64];
    ManualClock clock;
    DiskModel *model;
    Store *store;
    int64_t memory_limit, head_span_ms;
    Bytes wires[SERIES];
    uint64_t sent;     // samples
    size_t busy_most;  // workers that had a record, in any replay of the stage
} Stage;

// One thread of a replay.
typedef struct Worker {
    Stage *stage;
    Batch batch;
    SeriesPrediction prediction[TENANTS];
    uint64_t random, records, fails_at;
    int64_t most_bytes;  // of heads, as seen after each record
    bool dawdles;
} Worker;

// ---- A body: a byte of metadata (family and help; 0: none), then rows of series, time and value
// ----

static void body_add(Builder *body, uint32_t series, int64_t time_ms, double value) {
    builder_add_bytes(body, &series, sizeof series);
    builder_add_bytes(body, &time_ms, sizeof time_ms);
    builder_add_bytes(body, &value, sizeof value);
}

static void decode(const Stage *stage, Bytes body, int64_t arrival_ms, Batch *batch) {
    static const char *const helps[] = {"one", "two", "three", "four"};
    static const char families[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:";
    batch_clear(batch);
    batch->arrival_ms = arrival_ms;
    if (body.at[0] > 0) {
        Text help = text_from_cstring(helps[body.at[0] % COUNT(helps)]);
        Text family = {&families[body.at[0] / COUNT(helps)], 1};
        *array_add(&batch->metadata) = (BatchMetadata){family, 1, help, TEXT_NONE};
    }
    for (const uint8_t *at = body.at + 1; at < body.at + body.len; at += ROW_BYTES) {
        uint32_t series;
        Sample sample;
        memcpy(&series, at, 4);
        memcpy(&sample.time_ms, at + 4, 8);
        memcpy(&sample.value, at + 12, 8);
        *array_add(&batch->series) = (BatchSeries){.labels = stage->wires[series],
                                                   .first_sample = (uint32_t)batch->samples.count,
                                                   .sample_count = 1};
        *array_add(&batch->samples) = sample;
    }
}

static bool apply(void *context, Store *store, const LogRecord *record, Error *err) {
    Worker *worker = context;
    Tenant *tenant = store_tenant_by_id(store, (TenantId){record->tenant});
    if (worker->fails_at != 0 && record->sequence == worker->fails_at)
        return error_set(err, ERROR_BAD_INPUT, "record %llu is planted",
                         (unsigned long long)record->sequence);
    decode(worker->stage, record->body, record->arrival_ms, &worker->batch);
    if (worker->dawdles) {
        struct timespec pause = {0, (long)(test_random(&worker->random) % 400) * 1000};
        nanosleep(&pause, NULL);
    }
    worker->records++;
    bool done = store_write_again(
        store, tenant, record, &worker->prediction[record->tenant % TENANTS], &worker->batch, err);
    StoreState state;
    store_state(store, &state);
    worker->most_bytes = MAX(worker->most_bytes, state.memory_heads);
    return done;
}

// ---- The store ----

static void stage_open(Stage *stage) {
    StoreOptions options = {
        .disk = disk_model_disk(stage->model),
        .clock = &stage->clock.clock,
        .folder = TEXT("data"),
        .catalog_path = text_from_cstring(stage->catalog),
        .hash_key = {1, 2},
        .memory_limit = stage->memory_limit,
        .head_span_ms = stage->head_span_ms,
        .log_segment_bytes = 256 * KB,
    };
    check_ok(stage->t, store_open(options, &stage->store, stage->t->err));
}

static void stage_begin(Stage *stage, Test *t) {
    *stage = (Stage){.t = t, .memory_limit = GB};
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(stage->catalog, sizeof stage->catalog, "%s/traceo-replay-%d.db", memory,
             (int)getpid());
    unlink(stage->catalog);
    clock_manual(&stage->clock, NOW_MS);
    stage->model = disk_model_new();
    for (int i = 0; i < SERIES; i++) {
        Label labels[] = {{LABEL_NAME, TEXT("m")}, {TEXT("n"), text_format(t->arena, "%03d", i)}};
        Labels made;
        check_ok(t, labels_make(labels, 2, t->arena, &made, t->err));
        stage->wires[i] = made.wire;
    }
}

static void stage_end(Stage *stage) {
    store_close(&stage->store);
    disk_model_free(&stage->model);
    unlink(stage->catalog);
}

static void worker_begin(Worker *worker, Stage *stage, uint64_t seed) {
    *worker = (Worker){.stage = stage, .random = seed * 2 + 1, .dawdles = true};
}

// Opens and replays on `count` threads (1: on this one).
static bool replay(Stage *stage, Worker *workers, size_t count, ReplayPlant plant, Error *err) {
    void *contexts[WORKERS];
    stage_open(stage);
    stage->store->replay_plant = plant;
    for (size_t i = 0; i < count; i++) contexts[i] = &workers[i];
    bool done = store_replay_on(stage->store, apply, contexts, count, err);
    for (size_t i = 0; i < count; i++) batch_free(&workers[i].batch);
    return done;
}

static void write_body(Stage *stage, Tenant *tenant, Bytes body, Batch *batch) {
    Test *t = stage->t;
    SeriesPrediction prediction = {0};
    uint64_t sequence;
    decode(stage, body, NOW_MS, batch);
    check_ok(t, store_write(stage->store, tenant, LOG_RECORD_SAMPLES, body, &prediction, batch,
                            &sequence, t->err));
    check_ok(t, store_commit_now(stage->store, t->err));
}

// An empty store, and its tenants.
static void begin_life(Stage *stage, Tenant *tenants[TENANTS]) {
    Test *t = stage->t;
    Worker nobody;
    worker_begin(&nobody, stage, 0);
    check_ok(t, replay(stage, &nobody, 1, REPLAY_PLANT_NONE, t->err));
    for (int i = 0; i < TENANTS; i++)
        check_ok(t, store_tenant(stage->store, text_format(t->arena, "t%d", i), true, &tenants[i],
                                 t->err));
}

// A life: records large and small, of both tenants, whose samples collide, come late and repeat.
static void live(Stage *stage, uint64_t seed) {
    uint64_t random = seed * 2 + 1;
    Tenant *tenants[TENANTS];
    begin_life(stage, tenants);
    AUTO(builder_free) Builder body = {0};
    Batch batch = {0};
    for (int i = 0; i < RECORDS; i++) {
        size_t tenant = test_random(&random) % TENANTS;
        size_t rows = test_random(&random) % 3 == 0 ? 1 + test_random(&random) % 20
                                                    : 250 + test_random(&random) % (ROWS_MAX - 250);
        uint64_t from = test_random(&random) % SERIES, stride = 1 + test_random(&random) % 3;
        uint8_t metadata = test_random(&random) % 8 == 0 ? (uint8_t)test_random(&random) : 0;
        builder_clear(&body);
        builder_add_bytes(&body, &metadata, 1);
        for (size_t row = 0; row < rows; row++) {
            int64_t late =
                test_random(&random) % 10 == 0 ? (int64_t)(test_random(&random) % 20) : 0;
            body_add(&body, (uint32_t)((from + row * stride) % SERIES),
                     NOW_MS + (i / 3 - late) * 1000, (double)(test_random(&random) % 1000));
        }
        stage->sent += rows;
        write_body(stage, tenants[tenant], text_bytes(builder_text(&body)), &batch);
    }
    batch_free(&batch);
    store_close(&stage->store);
}

// All that is stored, as one text: per tenant and series the times and values, and the metadata.
static Text dump(Stage *stage) {
    Test *t = stage->t;
    Builder out = {0};
    AUTO(series_columns_free) SeriesColumns columns = {0};
    for (int i = 0; i < TENANTS; i++) {
        Tenant *tenant;
        check_ok(
            t, store_tenant(stage->store, text_format(t->arena, "t%d", i), false, &tenant, t->err));
        AUTO(series_view_close) SeriesView *view = NULL;
        check_ok(t, series_view_open(tenant->series, INT64_MIN, INT64_MAX, &view, t->err));
        AUTO(series_cursor_close) SeriesCursor *cursor = series_cursor_open(view);
        for (int series = 0; series < SERIES; series++) {
            Text number = text_format(t->arena, "%03d", series);
            Matcher matcher = {MATCH_EQUAL, TEXT("n"), number, NULL};
            SeriesFoundList found;
            check_ok(t, series_select(view, (Matchers){&matcher, 1}, 0, t->arena, &found, t->err));
            if (found.count == 0) continue;
            columns.count = 0;
            check_ok(t, series_read(cursor, &found.at[0], INT64_MIN, INT64_MAX, &columns, t->err));
            builder_addf(&out, "%d %d:", i, series);
            for (size_t k = 0; k < columns.count; k++)
                builder_addf(&out, " %lld=%g", (long long)columns.times[k], columns.values[k]);
            builder_add(&out, TEXT("\n"));
        }
        BatchMetadata *metadata;
        size_t count;
        check_ok(t,
                 series_metadata(tenant->series, TEXT_NONE, t->arena, &metadata, &count, t->err));
        for (size_t k = 0; k < count; k++)
            builder_addf(&out, "%d # %.*s %.*s\n", i, TEXT_ARG(metadata[k].family),
                         TEXT_ARG(metadata[k].help));
    }
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}

// What a replay on `count` threads gives.
static Text replayed(Stage *stage, size_t count, uint64_t seed, ReplayPlant plant) {
    Test *t = stage->t;
    Worker workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) worker_begin(&workers[i], stage, seed * 31 + i);
    check_ok(t, replay(stage, workers, count, plant, t->err));
    StoreState state;
    store_state(stage->store, &state);
    check_i64(t, RECORDS, state.replayed_records);
    check(t, state.ready && state.replay_part == 1.0);
    size_t busy = 0;
    for (size_t i = 0; i < count; i++) busy += workers[i].records > 0;
    stage->busy_most = MAX(stage->busy_most, busy);
    Text text = dump(stage);
    store_close(&stage->store);
    return text;
}

TEST(a_replay_on_many_threads_stores_what_one_on_one_thread_stores) {
    for (uint64_t round = 0; round < 6; round++) {
        Stage stage;
        stage_begin(&stage, t);
        live(&stage, t->seed * 100 + round);
        Text expected = replayed(&stage, 1, 0, REPLAY_PLANT_NONE);
        check(t, expected.len > 100000);
        for (uint64_t again = 0; again < 3; again++) {
            Text found =
                replayed(&stage, again == 0 ? 2 : WORKERS, t->seed + again, REPLAY_PLANT_NONE);
            check(t, text_equal(expected, found));
        }
        // On a busy machine one worker may be through before the next has begun, but not always.
        check(t, stage.busy_most > 1);
        stage_end(&stage);
    }
}

TEST(a_replay_that_appends_out_of_turn_is_caught) {
    Stage stage;
    stage_begin(&stage, t);
    live(&stage, t->seed);
    Text expected = replayed(&stage, 1, 0, REPLAY_PLANT_NONE);
    bool caught = false;
    for (uint64_t again = 0; again < 20 && !caught; again++)
        caught = !text_equal(expected, replayed(&stage, WORKERS, again, REPLAY_PLANT_NO_ORDER));
    check(t, caught);
    stage_end(&stage);
}

// Records of other series, which wait for nothing but their metadata: of each family four records
// say something else, one right behind the other.
static void live_described(Stage *stage) {
    enum { APART = 3, ROWS = SERIES / APART };
    Tenant *tenants[TENANTS];
    begin_life(stage, tenants);
    AUTO(builder_free) Builder body = {0};
    Batch batch = {0};
    for (int i = 0; i < RECORDS; i++) {
        uint8_t metadata = (uint8_t)(4 + i);
        builder_clear(&body);
        builder_add_bytes(&body, &metadata, 1);
        for (int row = 0; row < ROWS; row++)
            body_add(&body, (uint32_t)(i % APART * ROWS + row), NOW_MS + i * 10, i);
        write_body(stage, tenants[0], text_bytes(builder_text(&body)), &batch);
    }
    batch_free(&batch);
    store_close(&stage->store);
}

TEST(metadata_are_learned_in_the_order_of_the_log) {
    Stage stage;
    stage_begin(&stage, t);
    live_described(&stage);
    Text expected = replayed(&stage, 1, 0, REPLAY_PLANT_NONE);
    check(t, text_find(expected, TEXT("0 # b four")) > 0);
    for (uint64_t again = 0; again < 8; again++)
        check(t, text_equal(expected, replayed(&stage, WORKERS, again, REPLAY_PLANT_NONE)));
    check(t, stage.busy_most > 1);
    stage_end(&stage);
}

TEST(heads_turn_and_are_sealed_in_the_middle_of_it) {
    Stage stage;
    stage_begin(&stage, t);
    live(&stage, t->seed);
    Text expected = replayed(&stage, 1, 0, REPLAY_PLANT_NONE);
    stage.head_span_ms = 10000;  // of 53 seconds
    Worker workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) worker_begin(&workers[i], &stage, t->seed + i);
    check_ok(t, replay(&stage, workers, WORKERS, REPLAY_PLANT_NONE, t->err));
    SeriesState state;
    series_state(store_tenant_by_id(stage.store, (TenantId){2})->series, &state);
    check(t, state.blocks > 1);
    check(t, text_equal(expected, dump(&stage)));
    stage_end(&stage);
}

TEST(memory_limit_holds_while_many_threads_replay) {
    Stage stage;
    stage_begin(&stage, t);
    live(&stage, t->seed);
    Text expected = replayed(&stage, 1, 0, REPLAY_PLANT_NONE);
    stage.memory_limit = 2 * MB;  // 800 KB for heads, of which one takes a third
    Worker workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) worker_begin(&workers[i], &stage, t->seed + i);
    check_ok(t, replay(&stage, workers, WORKERS, REPLAY_PLANT_NONE, t->err));
    for (size_t i = 0; i < WORKERS; i++)
        check(t, workers[i].most_bytes <= stage.memory_limit / 10 * 4);
    SeriesState state;
    series_state(store_tenant_by_id(stage.store, (TenantId){2})->series, &state);
    check(t, state.blocks > 1);
    check(t, text_equal(expected, dump(&stage)));
    stage_end(&stage);
}

TEST(the_first_failure_ends_a_replay_and_is_told) {
    Stage stage;
    stage_begin(&stage, t);
    live(&stage, t->seed);
    for (uint64_t at = 1; at <= RECORDS; at += 53) {
        Worker workers[WORKERS];
        for (size_t i = 0; i < WORKERS; i++) {
            worker_begin(&workers[i], &stage, t->seed + i);
            workers[i].fails_at = at;
        }
        check_error(t, replay(&stage, workers, WORKERS, REPLAY_PLANT_NONE, t->err),
                    ERROR_BAD_INPUT);
        char named[64];
        snprintf(named, sizeof named, "record %llu is planted", (unsigned long long)at);
        check(t, strstr(t->err->message, named) != NULL);
        store_close(&stage.store);
    }
    // It did no harm.
    check(t, text_equal(replayed(&stage, 1, 0, REPLAY_PLANT_NONE),
                        replayed(&stage, WORKERS, 0, REPLAY_PLANT_NONE)));
    stage_end(&stage);
}

TEST(without_threads_the_reader_replays_by_itself) {
    Stage stage;
    stage_begin(&stage, t);
    live(&stage, t->seed);
    Text expected = replayed(&stage, 1, 0, REPLAY_PLANT_NONE);
    Worker workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) worker_begin(&workers[i], &stage, t->seed + i);
    thread_fail_after(1);
    check_ok(t, replay(&stage, workers, WORKERS, REPLAY_PLANT_NONE, t->err));
    thread_fail_after(0);
    check_i64(t, RECORDS, workers[0].records);
    check(t, text_equal(expected, dump(&stage)));
    stage_end(&stage);
}

TEST_MAIN("store/replay", CASE(a_replay_on_many_threads_stores_what_one_on_one_thread_stores),
          CASE(a_replay_that_appends_out_of_turn_is_caught),
          CASE(metadata_are_learned_in_the_order_of_the_log),
          CASE(heads_turn_and_are_sealed_in_the_middle_of_it),
          CASE(memory_limit_holds_while_many_threads_replay),
          CASE(the_first_failure_ends_a_replay_and_is_told),
          CASE(without_threads_the_reader_replays_by_itself))
