// Series that a replay made are left out of the postings until somebody reads those: nobody finds
// fewer of them for it, nor does a limit count fewer.

#include "os/thread.h"
#include "store/series/head_fixture.h"
#include "store/series/series_fixture.h"

enum { SERIES = 2000, ROWS = 5, MAKERS = 2, READERS = 2, ROUNDS = 20 };

typedef struct Stage {
    Fixture f;
    _Atomic uint64_t sequence;
    _Atomic uint32_t given;  // numbers of series that makers took
    _Atomic uint32_t made;   // series that are surely there
    _Atomic int makers_left;
    _Atomic int faults;
    char fault[ERROR_MESSAGE_MAX];
} Stage;

static void fault(Stage *stage, const char *what) {
    if (atomic_fetch_add(&stage->faults, 1) == 0)
        snprintf(stage->fault, sizeof stage->fault, "%s", what);
}

// Series `from` to `to`, every third of which has the label `odd`, with one sample each.
static void add_rows(Batch *batch, uint32_t from, uint32_t to, Arena *arena) {
    batch_clear(batch);
    for (uint32_t i = from; i < to; i++) {
        Builder wire = {0};
        const char *number = text_format(arena, "%06u", i).at;
        fixture_labels(&wire, "m",
                       i % 3 == 0 ? (const char *const[]){"number", number, "odd", "yes", NULL}
                                  : (const char *const[]){"number", number, NULL});
        *array_add(&batch->series) =
            (BatchSeries){.labels = bytes_copy(text_bytes(builder_text(&wire)), arena),
                          .first_sample = (uint32_t)batch->samples.count,
                          .sample_count = 1};
        *array_add(&batch->samples) = (Sample){FIXTURE_NOW_MS, i};
        builder_free(&wire);
    }
}

static uint64_t write_rows(Stage *stage, SeriesPrediction *prediction, Batch *batch, bool replay) {
    SeriesStore *store = stage->f.store;
    series_write_begin(store);
    series_resolve(store, prediction, batch, replay);
    series_append(store, batch, atomic_fetch_add(&stage->sequence, 1));
    series_write_end(store);
    return batch->counts[VERDICT_STORED];
}

static Matcher of_metric = {MATCH_EQUAL, TEXT_INIT("__name__"), TEXT_INIT("m"), NULL};
static Matcher is_odd = {MATCH_EQUAL, TEXT_INIT("odd"), TEXT_INIT("yes"), NULL};
static Matcher not_odd = {MATCH_NOT_EQUAL, TEXT_INIT("odd"), TEXT_INIT("yes"), NULL};

// How many series a matcher finds, none of which is what the matcher says it is not.
static uint32_t find(Stage *stage, Matcher *matcher) {
    AUTO(arena_free) Arena arena = {0};
    Error err = {0};
    SeriesView *view = NULL;
    SeriesFoundList found = {0};
    bool fine = series_view_open(stage->f.store, 0, INT64_MAX, &view, &err) &&
                series_select(view, (Matchers){matcher, 1}, 0, &arena, &found, &err);
    if (!fine) fault(stage, err.message);
    for (size_t i = 0; i < found.count; i++) {
        Text value = labels_get(found.at[i].labels, matcher->name);
        if (!matcher_matches(matcher, value)) fault(stage, "a series that does not match");
    }
    series_view_close(&view);
    return (uint32_t)found.count;
}

static void make_all(void *context) {
    Stage *stage = context;
    Batch batch = {0};
    SeriesPrediction prediction = {0};
    for (uint32_t from; (from = atomic_fetch_add(&stage->given, ROWS)) < SERIES;) {
        Arena arena = {0};
        add_rows(&batch, from, from + ROWS, &arena);
        if (write_rows(stage, &prediction, &batch, true) != ROWS) fault(stage, "not all stored");
        atomic_fetch_add(&stage->made, ROWS);
        arena_free(&arena);
    }
    batch_free(&batch);
    atomic_fetch_sub(&stage->makers_left, 1);
}

static void find_all(void *context) {
    Stage *stage = context;
    do {
        // A batch has a third of odd ones, rounded up or down.
        uint32_t made = atomic_load(&stage->made), batches = made / ROWS;
        if (find(stage, &of_metric) < made) fault(stage, "too few of the metric");
        if (find(stage, &is_odd) + batches < made / 3) fault(stage, "too few that have a label");
        if (find(stage, &not_odd) + batches < made - made / 3)
            fault(stage, "too few that lack a label");
    } while (atomic_load(&stage->makers_left) > 0);
}

static void replay_and_look(Test *t) {
    Stage stage = {.sequence = 1, .makers_left = MAKERS};
    fixture_begin(&stage.f, t);
    Thread *threads[MAKERS + READERS];
    for (size_t i = 0; i < COUNT(threads); i++)
        check_ok(t, thread_start("actor", i < MAKERS ? make_all : find_all, &stage, &threads[i],
                                 t->err));
    for (size_t i = 0; i < COUNT(threads); i++) thread_join(&threads[i]);
    if (stage.faults > 0)
        check_failed(t, __FILE__, __LINE__, "%d faults: %s", stage.faults, stage.fault);
    check_i64(t, SERIES, find(&stage, &of_metric));
    check_i64(t, (SERIES + 2) / 3, find(&stage, &is_odd));
    fixture_end(&stage.f);
}

TEST(whoever_looks_while_a_replay_makes_series_finds_all_that_are_made) {
    for (int round = 0; round < ROUNDS; round++) replay_and_look(t);
}

// The moment between two pieces, or behind the last, when more series are made.
TEST(a_selection_is_of_the_series_that_are_posted) {
    Side side;
    side_open(&side);
    Registry *registry = &side.head->registry;
    add_rows(&side.batch, 0, 30, t->arena);
    head_resolve(side.head, NULL, &side.quota, clock_system(), &side.prediction, &side.batch, 0,
                 true, &side.counts);
    for (uint32_t posted = 0; posted <= 30; posted += 10) {
        check_i64(t, posted, registry_posted(registry));
        PostingSet odd, even;
        check_ok(t, registry_select(registry, (Matchers){&is_odd, 1}, t->arena, &odd, t->err));
        check_ok(t, registry_select(registry, (Matchers){&not_odd, 1}, t->arena, &even, t->err));
        check_i64(t, (posted + 2) / 3, odd.count);
        check_i64(t, posted - odd.count, even.count);
        for (size_t i = 0; i < even.count; i++) check(t, even.at[i] % 3 != 0);
        registry_post(registry, 10);
    }
    side_close(&side);
}

// A replay of `count` series into a fresh store.
static void replay_begin(Test *t, Stage *stage, uint32_t count) {
    *stage = (Stage){.sequence = 1};
    fixture_begin(&stage->f, t);
    SeriesPrediction prediction = {0};
    add_rows(&stage->f.batch, 0, count, t->arena);
    check_i64(t, count, write_rows(stage, &prediction, &stage->f.batch, true));
}

TEST(each_reader_of_postings_counts_what_a_replay_made) {
    Stage stage;
    replay_begin(t, &stage, 30);
    check_i64(t, 20, find(&stage, &not_odd));
    fixture_end(&stage.f);

    replay_begin(t, &stage, 30);
    SeriesTop *top;
    size_t count;
    check_ok(t, series_top(stage.f.store, TOP_METRIC, 5, t->arena, &top, &count, t->err));
    check_i64(t, 1, count);
    check_i64(t, 30, top[0].count);
    fixture_end(&stage.f);

    replay_begin(t, &stage, 30);
    SeriesView *view;
    Texts values;
    check_ok(t, series_view_open(stage.f.store, 0, INT64_MAX, &view, t->err));
    check_ok(t, series_label_values(view, TEXT("number"), (Matchers){&is_odd, 1}, t->arena, &values,
                                    t->err));
    check_i64(t, 10, values.count);
    series_view_close(&view);
    fixture_end(&stage.f);
}

TEST(a_limit_of_a_metric_counts_what_a_replay_made) {
    Stage stage;
    replay_begin(t, &stage, 30);
    SeriesPrediction prediction = {0};
    series_set_limits(stage.f.store, (SeriesLimits){.per_metric_max = 30});
    add_rows(&stage.f.batch, 30, 35, t->arena);
    check_i64(t, 0, write_rows(&stage, &prediction, &stage.f.batch, false));
    series_set_limits(stage.f.store, (SeriesLimits){.per_metric_max = 32});
    add_rows(&stage.f.batch, 30, 35, t->arena);
    check_i64(t, 2, write_rows(&stage, &prediction, &stage.f.batch, false));
    check_i64(t, 3, stage.f.batch.counts[VERDICT_LIMIT]);
    check_i64(t, 32, find(&stage, &of_metric));
    fixture_end(&stage.f);
}

TEST(their_memory_is_charged_when_they_are_made) {
    Stage stage;
    replay_begin(t, &stage, 20000);
    int64_t before = atomic_load(&stage.f.memory.used);
    series_post(stage.f.store);
    int64_t after = atomic_load(&stage.f.memory.used);
    // A byte for each of its two common labels at the least.
    check(t, after >= before + 20000);
    series_post(stage.f.store);
    check_i64(t, after, atomic_load(&stage.f.memory.used));
    fixture_end(&stage.f);
}

TEST_MAIN("store/replayed", CASE(whoever_looks_while_a_replay_makes_series_finds_all_that_are_made),
          CASE(a_selection_is_of_the_series_that_are_posted),
          CASE(each_reader_of_postings_counts_what_a_replay_made),
          CASE(a_limit_of_a_metric_counts_what_a_replay_made),
          CASE(their_memory_is_charged_when_they_are_made))
