// Writers, readers, deletes and maintenance at once: nothing is lost, nothing is seen twice, what a
// reader saw stays so, and what was deleted is not seen again. Run under the thread sanitizer
// (suite "concurrency").

#include "os/thread.h"
#include "store/series/series_fixture.h"

enum { WRITERS = 3, READERS = 2, SERIES = 60, STEPS = 500 };
enum { SERIES_MOST = 300 };  // of the first writer: so many rows in no order are sorted

static int series_of(int writer) {
    return writer == 0 ? SERIES_MOST : SERIES;
}

typedef struct Stage {
    Fixture f;
    _Atomic uint64_t sequence;
    _Atomic int writers_left;
    _Atomic uint64_t deleted;  // samples that were written to be deleted
    _Atomic int faults;
    char fault[ERROR_MESSAGE_MAX];
} Stage;

typedef struct Actor {
    Stage *stage;
    int number;
    Thread *thread;
} Actor;

static void fault(Stage *stage, const char *what) {
    if (atomic_fetch_add(&stage->faults, 1) == 0)
        snprintf(stage->fault, sizeof stage->fault, "%s", what);
}

static void write_all(void *context) {
    Actor *actor = context;
    Stage *stage = actor->stage;
    Arena arena = {0};
    Bytes wires[SERIES_MOST];
    int count = series_of(actor->number);
    for (int i = 0; i < count; i++) {
        Builder wire = {0};
        fixture_labels(&wire, "m",
                       (const char *const[]){"number", text_format(&arena, "%03d", i).at, "writer",
                                             text_format(&arena, "%d", actor->number).at, NULL});
        wires[i] = bytes_copy(text_bytes(builder_text(&wire)), &arena);
        builder_free(&wire);
    }
    Batch batch = {0};
    SeriesPrediction prediction = {0};
    for (int step = 0; step < STEPS; step++) {
        batch_clear(&batch);
        for (int i = 0; i < count; i++) {
            // Some steps in another order, so that prediction fails too.
            int series = step % 4 == 3 ? (i * 7) % count : step % 4 == 1 ? (i * 151) % count : i;
            *array_add(&batch.series) = (BatchSeries){.labels = wires[series],
                                                      .first_sample = (uint32_t)batch.samples.count,
                                                      .sample_count = 1};
            *array_add(&batch.samples) = (Sample){FIXTURE_NOW_MS + step * 1000, series + step};
        }
        *array_add(&batch.metadata) =
            (BatchMetadata){TEXT("m"), 1, step % 2 == 0 ? TEXT("one") : TEXT("two"), TEXT("")};
        series_write_begin(stage->f.store);
        series_resolve(stage->f.store, &prediction, &batch, false);
        series_append(stage->f.store, &batch, atomic_fetch_add(&stage->sequence, 1));
        series_write_end(stage->f.store);
        if (batch.counts[VERDICT_STORED] != (uint64_t)count)
            fault(stage, "a sample was not stored");
    }
    if (count == SERIES_MOST && batch.places.capacity == 0) fault(stage, "no rows were sorted");
    batch_free(&batch);
    arena_free(&arena);
    atomic_fetch_sub(&stage->writers_left, 1);
}

static Matcher kept_matcher = {MATCH_EQUAL, TEXT_INIT("__name__"), TEXT_INIT("m"), NULL};
static Matcher gone_matcher = {MATCH_EQUAL, TEXT_INIT("__name__"), TEXT_INIT("gone"), NULL};
static const Matchers kept = {&kept_matcher, 1}, gone = {&gone_matcher, 1};

// Every series has its samples from the first step on without a hole, and values that fit their
// times.
static void check_view(Stage *stage, size_t *total) {
    Arena arena = {0};
    Error err = {0};
    SeriesView *view = NULL;
    SeriesFoundList found = {0};
    SeriesColumns columns = {0};
    bool fine = series_view_open(stage->f.store, 0, INT64_MAX, &view, &err) &&
                series_select(view, kept, 0, &arena, &found, &err);
    if (!fine) fault(stage, err.message);
    series_view_keep_rows(view, stage->f.store);
    SeriesCursor *cursor = series_cursor_open(view);
    *total = 0;
    for (size_t i = 0; i < found.count; i++) {
        uint64_t number = 0;
        if (!text_to_u64(labels_get(found.at[i].labels, TEXT("number")), &number))
            fault(stage, "a strange series");
        if (!series_read(cursor, &found.at[i], 0, INT64_MAX, &columns, &err))
            fault(stage, err.message);
        for (size_t k = 0; k < columns.count; k++) {
            if (columns.times[k] != FIXTURE_NOW_MS + (int64_t)k * 1000)
                fault(stage, "a hole, or a time that stands twice");
            if (columns.values[k] != (double)number + (double)k) fault(stage, "another value");
        }
        *total += columns.count;
    }
    series_columns_free(&columns);
    series_cursor_close(&cursor);
    series_view_close(&view);
    arena_free(&arena);
}

static void read_all(void *context) {
    Actor *actor = context;
    Stage *stage = actor->stage;
    size_t before = 0;
    while (atomic_load(&stage->writers_left) > 0) {
        size_t total;
        check_view(stage, &total);
        if (total < before) fault(stage, "samples that were seen are gone");
        before = total;
        SeriesState state;
        series_state(stage->f.store, &state);
        Arena arena = {0};
        Error err = {0};
        BatchMetadata *metadata;
        SeriesTop *top;
        size_t count;
        if (!series_metadata(stage->f.store, TEXT_NONE, &arena, &metadata, &count, &err))
            fault(stage, err.message);
        if (!series_top(stage->f.store, TOP_LABEL_VALUES, 5, &arena, &top, &count, &err))
            fault(stage, err.message);
        arena_free(&arena);
    }
}

static bool sees_gone(Stage *stage) {
    Arena arena = {0};
    Error err = {0};
    SeriesView *view = NULL;
    SeriesFoundList found = {0};
    bool fine = series_view_open(stage->f.store, 0, INT64_MAX, &view, &err) &&
                series_select(view, gone, 0, &arena, &found, &err);
    if (!fine) fault(stage, err.message);
    series_view_close(&view);
    arena_free(&arena);
    return found.count > 0;
}

// Writes a sample and deletes it, again and again at the same time.
static void delete_all(void *context) {
    Stage *stage = ((Actor *)context)->stage;
    Builder wire = {0};
    Batch batch = {0};
    SeriesPrediction prediction = {0};
    fixture_labels(&wire, "gone", NULL);
    // Once at the least: on a busy machine the writers may be done before this begins.
    for (int i = 0; i == 0 || atomic_load(&stage->writers_left) > 0; i++) {
        Error err = {0};
        batch_clear(&batch);
        *array_add(&batch.series) =
            (BatchSeries){.labels = text_bytes(builder_text(&wire)), .sample_count = 1};
        *array_add(&batch.samples) = (Sample){FIXTURE_NOW_MS, i};
        series_write_begin(stage->f.store);
        series_resolve(stage->f.store, &prediction, &batch, false);
        series_append(stage->f.store, &batch, atomic_fetch_add(&stage->sequence, 1));
        series_write_end(stage->f.store);
        atomic_fetch_add(&stage->deleted, batch.counts[VERDICT_STORED]);
        if (batch.counts[VERDICT_STORED] == 1 && !sees_gone(stage))
            fault(stage, "what came after a delete is not seen");
        if (!series_delete(stage->f.store, &gone, 1, 0, INT64_MAX, &err)) fault(stage, err.message);
        if (sees_gone(stage)) fault(stage, "what was deleted is seen");
        if (i % 4 == 3 && !series_clean_deletes(stage->f.store, &err)) fault(stage, err.message);
        if (sees_gone(stage)) fault(stage, "what was deleted is seen after cleaning");
        clock_system()->sleep_ms(clock_system(), 1);
    }
    batch_free(&batch);
    builder_free(&wire);
}

static void maintain(void *context) {
    Actor *actor = context;
    Stage *stage = actor->stage;
    SeriesStore *store = stage->f.store;
    Error err = {0};
    do {
        bool more = false;
        bool fine = series_turn(store, &err) && series_seal(store, &err) &&
                    series_merge(store, &more, &err) && series_scrub(store, 4096, &err);
        if (!fine) fault(stage, err.message);
        series_needed_sequence(store);
        series_wants_turn(store);
        clock_system()->sleep_ms(clock_system(), 2);
    } while (atomic_load(&stage->writers_left) > 0);
}

TEST(writers_readers_deletes_and_maintenance_do_not_disturb_each_other) {
    Stage stage = {.sequence = 1, .writers_left = WRITERS};
    fixture_begin(&stage.f, t);
    Actor actors[WRITERS + READERS + 2];
    for (int i = 0; i < (int)COUNT(actors); i++) {
        actors[i] = (Actor){&stage, i, NULL};
        void (*run)(void *) = i < WRITERS                 ? write_all
                              : i < WRITERS + READERS     ? read_all
                              : i < WRITERS + READERS + 1 ? maintain
                                                          : delete_all;
        check_ok(t, thread_start("actor", run, &actors[i], &actors[i].thread, t->err));
    }
    for (size_t i = 0; i < COUNT(actors); i++) thread_join(&actors[i].thread);
    if (stage.faults > 0)
        check_failed(t, __FILE__, __LINE__, "%d faults: %s", stage.faults, stage.fault);
    size_t total;
    int64_t written = 0;
    for (int i = 0; i < WRITERS; i++) written += (int64_t)series_of(i) * STEPS;
    check_view(&stage, &total);
    check_i64(t, written, total);
    check_i64(t, 0, stage.faults);
    SeriesState state;
    series_state(stage.f.store, &state);
    check_i64(t, written + (int64_t)stage.deleted, state.samples_appended);
    printf("# %d seals, %d merges, %d deleted\n", (int)state.seals, (int)state.merges,
           (int)stage.deleted);
    check(t, stage.deleted >= 1);
    check(t, state.seals >= 1);
    fixture_end(&stage.f);
}

TEST_MAIN("store/series threads",
          CASE(writers_readers_deletes_and_maintenance_do_not_disturb_each_other))
