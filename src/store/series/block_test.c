// A block gives back what it took, chooses as the matchers say, and never answers wrong when a bit
// of it is.

#include <stdio.h>

#include "base/test.h"
#include "store/series/block_fixture.h"
#include "store/series/block_inside.h"

typedef struct Model {
    Labels labels;
    int64_t *times;
    double *values;
    int64_t *starts;  // NULL: it tells none
    size_t count;
} Model;

typedef struct World {
    Model *series;
    size_t count;
    MemoryObject memory;
    Block *block;
} World;

static double world_value(uint64_t *random, size_t kind, size_t i) {
    uint64_t r = test_random(random);
    switch (kind % 6) {
        case 0:
            return 5;
        case 1:
            return (double)(i * 10 + r % 3);
        case 2:
            return (double)(r % 10000) / 100;
        case 3:
            return r % 40 == 0 ? stale_nan() : (double)(i / 9);
        case 4:
            return (double)(r >> 11) * 0x1p-53;
        default:
            return double_from_bits(r);
    }
}

// Of the last two thirds of the samples: one start, a new one now and then, one per sample, or any.
static void world_starts(Test *t, Model *model, size_t s, uint64_t *random) {
    model->starts = arena_push_array(t->arena, int64_t, model->count + 1);
    int64_t now = 1699999990000;
    for (size_t i = model->count / 3; i < model->count; i++) {
        uint64_t dice = test_random(random);
        if (s / 4 % 4 == 1 && dice % 100 == 0) now = dice % 3 == 0 ? 0 : model->times[i] - 1000;
        if (s / 4 % 4 == 2) now = model->times[i] - 15000;
        if (s / 4 % 4 == 3) now = (int64_t)dice;
        model->starts[i] = now;
    }
}

static void check_starts(Test *t, const Model *model, size_t from, const SeriesColumns *columns) {
    for (size_t i = 0; i < columns->count; i++) {
        check_i64(t, model->starts == NULL ? 0 : model->starts[from + i],
                  columns->has_starts ? columns->starts[i] : 0);
    }
}

// Series of many shapes: shared and own clocks, gaps, one to several chunks.
static void world_begin(Test *t, World *world, size_t count) {
    uint64_t random = t->seed;
    world->count = count;
    world->series = arena_push_array(t->arena, Model, count);
    BlockWriter *writer = block_writer_begin();
    for (size_t s = 0; s < count; s++) {
        Model *model = &world->series[s];
        char name[32], instance[32], code[8];
        snprintf(name, sizeof name, "metric_%03zu", s / 40);
        snprintf(instance, sizeof instance, "host-%02zu:9100", s % 40);
        snprintf(code, sizeof code, "%zu", 200 + s % 3);
        model->labels = s % 5 == 4
                            ? FIXTURE_LABELS(t->arena, "__name__", name, "instance", instance)
                            : FIXTURE_LABELS(t->arena, "__name__", name, "instance", instance,
                                             "job", s % 2 ? "node" : "api", "z_code", code);
        static const size_t counts[] = {0, 1, 16, 100, 480, 1024, 1025, 2500};
        model->count = counts[s % COUNT(counts)];
        model->times = arena_push_array(t->arena, int64_t, model->count + 1);
        model->values = arena_push_array(t->arena, double, model->count + 1);
        for (size_t i = 0; i < model->count; i++) {
            model->times[i] = 1700000000000 + (int64_t)i * 15000 +
                              (s % 7 == 3 ? (int64_t)(test_random(&random) % 9) : 0);
            model->values[i] = world_value(&random, s / 3, i);
        }
        if (s % 4 == 1) world_starts(t, model, s, &random);
        check_ok(t, block_writer_series(writer, model->labels, t->err));
        size_t cut = model->count / 3;
        SeriesColumns rest = {.times = model->times + cut,
                              .values = model->values + cut,
                              .count = model->count - cut,
                              .starts = model->starts + (model->starts == NULL ? 0 : cut),
                              .has_starts = model->starts != NULL};
        check_ok(t, block_writer_samples(writer, model->times, model->values, cut, t->err));
        check_ok(t, block_writer_columns(writer, &rest, t->err));
    }
    Builder out = {0};
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    memory_object_begin(&world->memory, text_bytes(builder_text(&out)));
    builder_free(&out);
    check_ok(t, memory_block_open(&world->memory, &world->block, t->err));
}

static void world_end(World *world) {
    block_unref(&world->block);
    memory_object_end(&world->memory);
}

static void columns_end(SeriesColumns *columns) {
    series_columns_free(columns);
}

TEST(a_block_gives_back_what_it_took) {
    World world;
    world_begin(t, &world, 200);
    BlockCursor *cursor = block_cursor_open(world.block);
    SeriesColumns columns = {.wants_starts = true};
    uint64_t samples = 0;
    for (uint32_t s = 0; s < world.count; s++) {
        const Model *model = &world.series[s];
        Labels labels;
        check_ok(t, block_labels(world.block, s, t->arena, &labels, t->err));
        check(t, labels_equal(labels, model->labels));
        columns.count = 0;
        columns.has_starts = false;
        check_ok(t, block_read(cursor, s, INT64_MIN, INT64_MAX, &columns, t->err));
        check_i64(t, model->count, columns.count);
        check_starts(t, model, 0, &columns);
        check(t, model->count == 0 ||
                     memcmp(columns.times, model->times, model->count * sizeof *model->times) == 0);
        check(t, model->count == 0 || memcmp(columns.values, model->values,
                                             model->count * sizeof *model->values) == 0);
        samples += model->count;
    }
    BlockFacts facts = block_facts(world.block);
    check_i64(t, world.count, facts.series);
    check_i64(t, samples, facts.samples);
    check_i64(t, 1700000000000, facts.min_ms);
    check(t, facts.max_ms >= 1700000000000 + 2499 * 15000);
    AUTO(builder_free) Builder text = {0};
    check_ok(t, block_inspect(world.block, true, NULL, &text, t->err));
    check(t, text_find(builder_text(&text), TEXT("verified")) > 0);
    block_cursor_close(&cursor);
    columns_end(&columns);
    world_end(&world);
}

// Listens to how far an inspection is.
typedef struct Listener {
    Progress progress;
    int64_t times, done, total;
    bool rises;
} Listener;

static void hear(Progress *progress, int64_t done, int64_t total) {
    Listener *listener = (Listener *)progress;
    listener->rises &= done >= listener->done && done <= total;
    listener->times++;
    listener->done = done;
    listener->total = total;
}

TEST(an_inspection_that_verifies_tells_how_far_it_is) {
    World world;
    world_begin(t, &world, 200);
    Listener listener = {.progress = {hear}, .rises = true};
    AUTO(builder_free) Builder text = {0};
    check_ok(t, block_inspect(world.block, true, &listener.progress, &text, t->err));
    check(t, listener.rises && listener.times > (int64_t)world.count);
    check(t, listener.total == block_facts(world.block).bytes &&
                 listener.done > listener.total / 10 * 9);
    world_end(&world);
}

static void check_interval(Test *t, BlockCursor *cursor, const World *world, uint32_t s,
                           int64_t from, int64_t to, SeriesColumns *columns) {
    const Model *model = &world->series[s];
    columns->count = 0;
    columns->has_starts = false;
    check_ok(t, block_read(cursor, s, from, to, columns, t->err));
    size_t expected = 0, first = 0;
    while (first < model->count && model->times[first] < from) first++;
    if (columns->wants_starts) check_starts(t, model, first, columns);
    for (size_t i = 0; i < model->count; i++) {
        if (model->times[i] < from || model->times[i] > to) continue;
        check(t, expected < columns->count && columns->times[expected] == model->times[i]);
        check_same_bytes(t, &columns->values[expected], &model->values[i], sizeof(double));
        expected++;
    }
    check_i64(t, expected, columns->count);
}

TEST(an_interval_gives_the_samples_inside) {
    World world;
    world_begin(t, &world, 48);
    BlockCursor *cursor = block_cursor_open(world.block);
    SeriesColumns columns = {.wants_starts = true};
    uint64_t random = t->seed;
    for (size_t round = 0; round < 400; round++) {
        uint32_t s = (uint32_t)(test_random(&random) % world.count);
        int64_t from = 1700000000000 - 20000 + (int64_t)(test_random(&random) % 38000000);
        int64_t to = from + (int64_t)(test_random(&random) % (round % 2 ? 100000 : 30000000));
        check_interval(t, cursor, &world, s, from, to, &columns);
    }
    block_cursor_close(&cursor);
    columns_end(&columns);
    world_end(&world);
}

// Intervals that repeat, lie within others, reach beyond, or ask for starts, which no row has.
TEST(rows_that_are_kept_give_what_the_block_gives) {
    enum { MOST = 300 * KB };
    World world;
    world_begin(t, &world, 48);
    RowCache *cache = row_cache_open(NULL, MOST);
    block_keep(world.block, NULL, cache);
    BlockCursor *cursor = block_cursor_open_shared(world.block);
    block_cursor_keep_rows(cursor);
    SeriesColumns columns = {0};
    uint64_t random = t->seed;
    for (size_t round = 0; round < 4000; round++) {
        uint32_t s = (uint32_t)(test_random(&random) % world.count);
        int64_t from = 1700000000000 + (int64_t)(test_random(&random) % 20) * 1000000;
        int64_t to = from + (int64_t)(test_random(&random) % 6) * 3000000;
        if (round % 100 == 0) {  // counts are told when a cursor goes
            block_cursor_close(&cursor);
            cursor = block_cursor_open_shared(world.block);
            block_cursor_keep_rows(cursor);
            uint32_t all[BLOCK_AHEAD];
            for (uint32_t i = 0; i < BLOCK_AHEAD; i++) all[i] = i * 3;
            block_read_ahead(world.block, all, BLOCK_AHEAD, from);
        }
        columns.wants_starts = round % 16 == 0;
        check_interval(t, cursor, &world, s, from, to, &columns);
        check(t, row_cache_facts(cache).bytes <= MOST);
    }
    block_cursor_close(&cursor);
    RowCacheFacts facts = row_cache_facts(cache);
    printf("# %llu reads from rows, %llu decoded, %lld bytes\n", (unsigned long long)facts.hits,
           (unsigned long long)facts.misses, (long long)facts.bytes);
    check(t, facts.hits > 100 && facts.bytes > 0);
    columns_end(&columns);
    world_end(&world);
    check_i64(t, 0, row_cache_facts(cache).bytes);
    row_cache_close(&cache);
}

TEST(selection_agrees_with_matching_labels) {
    World world;
    world_begin(t, &world, 200);
    static const struct {
        MatcherKind kind;
        const char *name, *value;
    } rows[][3] = {
        {{MATCH_EQUAL, "__name__", "metric_001"}},
        {{MATCH_EQUAL, "__name__", "metric_001"}, {MATCH_NOT_EQUAL, "job", "node"}},
        {{MATCH_EQUAL, "job", ""}},
        {{MATCH_NOT_EQUAL, "job", ""}},
        {{MATCH_EQUAL, "missing", ""}},
        {{MATCH_EQUAL, "missing", "x"}},
        {{MATCH_REGEX, "__name__", "metric_00[13]"}, {MATCH_EQUAL, "z_code", "201"}},
        {{MATCH_REGEX, "__name__", "metric_000|metric_004|nothing"}},
        {{MATCH_REGEX, "instance", "host-1.*"}, {MATCH_NOT_REGEX, "job", "a.*"}},
        {{MATCH_REGEX, "job", "api|"}},
        {{MATCH_REGEX, "job", ".*"}, {MATCH_REGEX, "instance", ".+"}},
        {{MATCH_NOT_REGEX, "job", ".+"}},
        {{MATCH_NOT_REGEX, "job", ".*"}},
        {{MATCH_NOT_REGEX, "instance", "host-0.*|host-12:9100"}, {MATCH_EQUAL, "job", "api"}},
        {{MATCH_EQUAL, "__name__", "zzz"}},
        {{MATCH_EQUAL, "__name__", "a"}},
        {{MATCH_REGEX, "z_code", "(200|202)"},
         {MATCH_NOT_EQUAL, "instance", "host-00:9100"},
         {MATCH_NOT_EQUAL, "missing", "q"}},
    };
    for (size_t r = 0; r < COUNT(rows); r++) {
        Matcher at[3];
        Matchers matchers = {at, 0};
        for (size_t m = 0; m < 3 && rows[r][m].name != NULL; m++) {
            check_ok(t, matcher_make(rows[r][m].kind, text_from_cstring(rows[r][m].name),
                                     text_from_cstring(rows[r][m].value), &at[matchers.count++],
                                     t->err));
        }
        BlockSeriesSet set;
        check_ok(t, block_select(world.block, matchers, t->arena, &set, t->err));
        size_t next = 0;
        for (uint32_t s = 0; s < world.count; s++) {
            bool wanted = matchers_match(matchers, world.series[s].labels);
            bool chosen = next < set.count && set.at[next] == s;
            next += chosen;
            if (wanted != chosen)
                check_failed(t, __FILE__, __LINE__, "row %zu: series %u is %s", r, s,
                             wanted ? "missing" : "chosen");
        }
        check_i64(t, next, set.count);
        for (size_t m = 0; m < matchers.count; m++) matcher_close(&at[m]);
    }
    world_end(&world);
}

TEST(names_and_values_are_sorted) {
    World world;
    world_begin(t, &world, 120);
    Texts texts;
    check_ok(t, block_label_names(world.block, t->arena, &texts, t->err));
    check_i64(t, 4, texts.count);
    check_text(t, TEXT("__name__"), texts.at[0]);
    check_text(t, TEXT("z_code"), texts.at[3]);
    check_ok(t, block_label_values(world.block, TEXT("instance"), t->arena, &texts, t->err));
    check_i64(t, 40, texts.count);
    for (size_t i = 1; i < texts.count; i++)
        check(t, text_compare(texts.at[i - 1], texts.at[i]) < 0);
    check_ok(t, block_label_values(world.block, TEXT("none"), t->arena, &texts, t->err));
    check_i64(t, 0, texts.count);
    world_end(&world);
}

// What the labels of the series whose flags are set say; name NULL: the names.
static void check_texts(Test *t, const World *world, const bool *flags, const char *name,
                        Texts found) {
    Texts all;
    if (name == NULL) {
        check_ok(t, block_label_names(world->block, t->arena, &all, t->err));
    } else {
        check_ok(t,
                 block_label_values(world->block, text_from_cstring(name), t->arena, &all, t->err));
    }
    size_t next = 0;
    for (size_t i = 0; i < all.count; i++) {
        bool held = false;
        for (size_t s = 0; !held && s < world->count; s++) {
            Labels labels = world->series[s].labels;
            if (!flags[s]) continue;
            held = name == NULL
                       ? labels_get(labels, all.at[i]).len > 0
                       : text_equal(labels_get(labels, text_from_cstring(name)), all.at[i]);
        }
        if (!held) continue;
        if (next < found.count) check_text(t, all.at[i], found.at[next]);
        next++;
    }
    check_i64(t, (int64_t)next, (int64_t)found.count);
}

TEST(names_and_values_of_some_series) {
    static const char *const names[] = {"__name__", "instance", "job", "z_code", "none"};
    static const char *const wanted[] = {"node",  "api|node",   "20[01]",       "",
                                         ".*1.*", "metric_003", "host-07:9100", "nobody"};
    World world;
    world_begin(t, &world, 1600);
    uint64_t random = t->seed;
    bool *flags = arena_push_array(t->arena, bool, world.count);
    for (int round = 0; round < 60; round++) {
        UNFILLED Matcher at[2];
        Matchers matchers = {at, 0};
        BlockSeriesSet set;
        Texts found;
        for (size_t most = test_random(&random) % 3; matchers.count < most; matchers.count++) {
            Text name = text_from_cstring(names[test_random(&random) % COUNT(names)]),
                 value = text_from_cstring(wanted[test_random(&random) % COUNT(wanted)]);
            check_ok(t, matcher_make((MatcherKind)(test_random(&random) % 4), name, value,
                                     &at[matchers.count], t->err));
        }
        for (size_t s = 0; s < world.count; s++)
            flags[s] = matchers_match(matchers, world.series[s].labels);
        check_ok(t, block_select(world.block, matchers, t->arena, &set, t->err));
        const char *name = names[test_random(&random) % COUNT(names)];
        check_ok(t, block_values_matching(world.block, text_from_cstring(name), matchers, t->arena,
                                          &found, t->err));
        check_texts(t, &world, flags, name, found);
        // Some of them, from one in one to one in a thousand.
        uint64_t one_in = UINT64_C(1) << test_random(&random) % 11;
        BlockSeriesSet some = {arena_push_array(t->arena, uint32_t, set.count + 1), 0};
        memset(flags, 0, world.count * sizeof *flags);
        for (size_t i = 0; i < set.count; i++) {
            if (test_random(&random) % one_in != 0) continue;
            flags[set.at[i]] = true;
            some.at[some.count++] = set.at[i];
        }
        check_ok(t, block_values_of(world.block, text_from_cstring(name), &some, t->arena, &found,
                                    t->err));
        check_texts(t, &world, flags, name, found);
        check_ok(t, block_names_of(world.block, &some, t->arena, &found, t->err));
        check_texts(t, &world, flags, NULL, found);
        for (size_t i = 0; i < matchers.count; i++) matcher_close(&at[i]);
    }
    world_end(&world);
}

typedef struct ChunkCheck {
    Test *t;
    const Model *model;
    size_t at;
} ChunkCheck;

static bool chunk_same(void *context, const ChunkSummary *summary, Error *err) {
    ChunkCheck *c = context;
    Test *t = c->t;
    ChunkSummary expected =
        chunk_summarise(c->model->times + c->at, c->model->values + c->at, summary->count);
    check(t, expected.first_ms == summary->first_ms && expected.last_ms == summary->last_ms &&
                 expected.count == summary->count);
    check(t, expected.resets == summary->resets);
    check_same_bytes(t, &expected.sum, &summary->sum, sizeof(double));
    check_same_bytes(t, &expected.min, &summary->min, sizeof(double));
    check_same_bytes(t, &expected.max, &summary->max, sizeof(double));
    check_same_bytes(t, &expected.first, &summary->first, sizeof(double));
    check_same_bytes(t, &expected.last, &summary->last, sizeof(double));
    c->at += summary->count;
    return true;
}

TEST(summaries_are_those_of_the_samples) {
    World world;
    world_begin(t, &world, 200);
    BlockCursor *cursor = block_cursor_open(world.block);
    for (uint32_t s = 0; s < world.count; s++) {
        ChunkCheck context = {t, &world.series[s], 0};
        check_ok(t, block_each_chunk(cursor, s, chunk_same, &context, t->err));
        check_i64(t, world.series[s].count, context.at);
    }
    block_cursor_close(&cursor);
    world_end(&world);
}

TEST(series_that_began_later_share_clocks_from_the_next_round_time_on) {
    enum { SAMPLES = 5760 };
    BlockWriter *writer = block_writer_begin();
    int64_t *times = arena_push_array(t->arena, int64_t, SAMPLES);
    double *values = arena_push_array(t->arena, double, SAMPLES);
    uint64_t random = t->seed;
    for (size_t i = 0; i < SAMPLES; i++)
        times[i] = 1699920000000 + (int64_t)i * 15000 + (int64_t)(test_random(&random) % 7);
    static const size_t begins[] = {0, 100, 963, 3000};
    for (size_t s = 0; s < COUNT(begins); s++) {
        char name[2] = {(char)('a' + s), 0};
        check_ok(t,
                 block_writer_series(writer, FIXTURE_LABELS(t->arena, "__name__", name), t->err));
        check_ok(t, block_writer_samples(writer, times + begins[s], values, SAMPLES - begins[s],
                                         t->err));
    }
    Builder out = {0};
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    MemoryObject memory;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    Block *block;
    check_ok(t, memory_block_open(&memory, &block, t->err));
    // Six clocks of four hours, or five and a longer last one; and one more per series that began
    // later.
    check(t, block->clocks <= 6 + 3);
    check(t, block_facts(block).chunks >= 6 + 6 + 5 + 3 - 4);
    AUTO(builder_free) Builder text = {0};
    check_ok(t, block_inspect(block, true, NULL, &text, t->err));
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&out);
}

TEST(a_writer_refuses_disorder) {
    BlockWriter *writer = block_writer_begin();
    Labels b = FIXTURE_LABELS(t->arena, "__name__", "b"),
           a = FIXTURE_LABELS(t->arena, "__name__", "a");
    int64_t times[] = {5, 4};
    double values[] = {1, 2};
    check_ok(t, block_writer_series(writer, b, t->err));
    check_error(t, block_writer_samples(writer, times, values, 2, t->err), ERROR_BAD_INPUT);
    check_error(t, block_writer_series(writer, a, t->err), ERROR_BAD_INPUT);
    block_writer_free(&writer);
}

TEST(an_empty_block_is_a_block) {
    BlockWriter *writer = block_writer_begin();
    Builder out = {0};
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    MemoryObject memory;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    Block *block;
    check_ok(t, memory_block_open(&memory, &block, t->err));
    check_i64(t, 0, block_facts(block).series);
    BlockSeriesSet set;
    check_ok(t, block_select(block, (Matchers){NULL, 0}, t->arena, &set, t->err));
    check_i64(t, 0, set.count);
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&out);
}

// ---- Histograms, exemplars, metadata ----

typedef struct Counter {
    Test *t;
    size_t seen;
    int64_t last_ms;
} Counter;

static bool histogram_count(void *context, int64_t time_ms, Bytes wire, Error *err) {
    Counter *counter = context;
    check(counter->t, time_ms > counter->last_ms);
    check_i64(counter->t, 100 + (time_ms / 1000) % 4000, wire.len);
    for (size_t i = 0; i < wire.len; i++)
        check(counter->t, wire.at[i] == (uint8_t)(time_ms / 1000));
    counter->last_ms = time_ms;
    counter->seen++;
    return true;
}

TEST(histograms_are_kept_over_many_pieces) {
    BlockWriter *writer = block_writer_begin();
    uint8_t wire[5000];
    for (size_t s = 0; s < 3; s++) {
        char name[2] = {(char)('a' + s), 0};
        check_ok(t,
                 block_writer_series(writer, FIXTURE_LABELS(t->arena, "__name__", name), t->err));
        for (size_t i = 0; s != 1 && i < 500; i++) {
            memset(wire, (int)(i & 255), sizeof wire);
            check_ok(t, block_writer_histogram(writer, (int64_t)i * 1000,
                                               (Bytes){wire, 100 + i % 4000}, t->err));
        }
    }
    Builder out = {0};
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    MemoryObject memory;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    Block *block;
    check_ok(t, memory_block_open(&memory, &block, t->err));
    BlockCursor *cursor = block_cursor_open(block);
    SeriesColumns columns = {0};
    for (uint32_t s = 0; s < 3; s++) {
        Counter counter = {t, 0, -1};
        check_ok(t, block_each_histogram(cursor, s, INT64_MIN, INT64_MAX, histogram_count, &counter,
                                         t->err));
        check_i64(t, s == 1 ? 0 : 500, counter.seen);
        counter = (Counter){t, 0, -1};
        check_ok(
            t, block_each_histogram(cursor, s, 100500, 300000, histogram_count, &counter, t->err));
        check_i64(t, s == 1 ? 0 : 200, counter.seen);
        columns.histograms = 0;
        check_ok(t, block_read(cursor, s, 100500, 300000, &columns, t->err));
        check_i64(t, s == 1 ? 0 : 200, columns.histograms);
    }
    columns_end(&columns);
    block_cursor_close(&cursor);
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&out);
}

// ---- Damage (R9) ----

// Opens and reads everything; false with an error, or true with the dump.
static bool dump_of(Bytes bytes, Builder *dump, Error *err) {
    MemoryObject memory;
    memory_object_begin(&memory, bytes);
    Block *block = NULL;
    bool good = memory_block_open(&memory, &block, err);
    int64_t offset = 0;
    good = good && fixture_dump(block, dump, err);
    bool whole = good && block_verify(block, &offset, INT64_MAX, err);
    block_unref(&block);
    memory_object_end(&memory);
    return whole;
}

TEST(no_flipped_bit_gives_a_wrong_answer) {
    Builder block = {0}, expected = {0}, dump = {0};
    check_ok(t, fixture_golden(&block, t->err));
    check_ok(t, dump_of(text_bytes(builder_text(&block)), &expected, t->err));
    for (size_t bit = 0; bit < block.len * 8; bit++) {
        block.at[bit / 8] ^= (char)(1 << bit % 8);
        builder_clear(&dump);
        *t->err = (Error){0};
        if (dump_of(text_bytes(builder_text(&block)), &dump, t->err)) {
            check_failed(t, __FILE__, __LINE__, "bit %zu of byte %zu flipped and nobody noticed",
                         bit % 8, bit / 8);
        }
        check(t, t->err->code == ERROR_CORRUPT || t->err->code == ERROR_NEWER_FORMAT);
        // What was read before the error is the beginning of the truth.
        check(t, dump.len <= expected.len &&
                     (dump.len == 0 || memcmp(dump.at, expected.at, dump.len) == 0));
        block.at[bit / 8] ^= (char)(1 << bit % 8);
    }
    builder_free(&block);
    builder_free(&expected);
    builder_free(&dump);
}

static bool read_series(BlockCursor *cursor, const World *world, uint32_t s, Error *err) {
    SeriesColumns columns = {0};
    const Model *model = &world->series[s];
    bool read = block_read(cursor, s, INT64_MIN, INT64_MAX, &columns, err);
    size_t bytes = model->count * sizeof *model->values;
    bool same = read && columns.count == model->count &&
                (bytes == 0 || memcmp(columns.values, model->values, bytes) == 0);
    series_columns_free(&columns);
    return read && (same || error_set(err, ERROR_BAD_INPUT, "series %u reads otherwise", s));
}

// What is kept was verified when it was read, and stays as it was; whoever reads the block itself,
// and whoever finds nothing kept, sees that it has rotted.
TEST(a_kept_page_outlives_the_rot_of_its_block) {
    World world;
    world_begin(t, &world, 80);
    PageCache *cache = page_cache_open(NULL, 100 * MB);
    block_keep(world.block, cache, NULL);
    BlockCursor *cursor = block_cursor_open_shared(world.block);
    for (uint32_t s = 0; s < world.count; s++) check_ok(t, read_series(cursor, &world, s, t->err));
    block_cursor_close(&cursor);
    check(t, page_cache_facts(cache).pages > 1);
    int64_t pages_end = world.block->sections[SECTION_PAGES].offset;
    for (int64_t at = BLOCK_HEAD_BYTES; at < pages_end; at += 512) world.memory.at[at] ^= 4;
    cursor = block_cursor_open_shared(world.block);
    uint64_t before = page_cache_facts(cache).misses;
    for (uint32_t s = 0; s < world.count; s++) check_ok(t, read_series(cursor, &world, s, t->err));
    block_cursor_close(&cursor);
    check_i64(t, (int64_t)before, (int64_t)page_cache_facts(cache).misses);
    int64_t offset = 0;
    check_error(t, block_verify(world.block, &offset, INT64_MAX, t->err), ERROR_CORRUPT);
    for (int round = 0; round < 2; round++) {
        cursor =
            round == 0 ? block_cursor_open(world.block) : block_cursor_open_shared(world.block);
        check_error(t, read_series(cursor, &world, 3, t->err), ERROR_CORRUPT);
        block_cursor_close(&cursor);
        page_cache_drop(cache, world.block->kept_pages);
    }
    world_end(&world);
    check_i64(t, 0, page_cache_facts(cache).bytes);
    page_cache_close(&cache);
}

TEST(no_random_flip_in_a_larger_block_gives_a_wrong_answer) {
    World world;
    world_begin(t, &world, 80);
    AUTO(builder_free) Builder expected = {0};
    AUTO(builder_free) Builder dump = {0};
    AUTO(builder_free) Builder copy = {0};
    builder_add_bytes(&copy, world.memory.at, world.memory.len);
    check_ok(t, dump_of(text_bytes(builder_text(&copy)), &expected, t->err));
    uint64_t random = t->seed;
    size_t rounds = getenv("TRACEO_NIGHT") != NULL ? 20000 : 150;
    for (size_t round = 0; round < rounds; round++) {
        size_t bit = test_random(&random) % (copy.len * 8);
        copy.at[bit / 8] ^= (char)(1 << bit % 8);
        builder_clear(&dump);
        check(t, !dump_of(text_bytes(builder_text(&copy)), &dump, t->err));
        check(t, dump.len <= expected.len &&
                     (dump.len == 0 || memcmp(dump.at, expected.at, dump.len) == 0));
        copy.at[bit / 8] ^= (char)(1 << bit % 8);
    }
    // A lost sector, and a sector of somewhere else.
    for (size_t at = 0; at + 4096 <= copy.len; at += 4096) {
        builder_clear(&dump);
        memset(copy.at + at, 0, 4096);
        check(t, !dump_of(text_bytes(builder_text(&copy)), &dump, t->err));
        memcpy(copy.at + at, world.memory.at + (at + 4096) % (copy.len - 4096), 4096);
        check(t, !dump_of(text_bytes(builder_text(&copy)), &dump, t->err));
        memcpy(copy.at + at, world.memory.at + at, 4096);
    }
    world_end(&world);
}

TEST(no_cut_gives_a_short_answer) {
    Builder block = {0}, dump = {0};
    check_ok(t, fixture_golden(&block, t->err));
    for (size_t len = 0; len < block.len; len++) {
        builder_clear(&dump);
        check_error(t, dump_of((Bytes){(const uint8_t *)block.at, len}, &dump, t->err),
                    ERROR_CORRUPT);
    }
    builder_free(&block);
    builder_free(&dump);
}

// What `make` writes today is what lies in test/golden, which is read; its content into `dump`.
static void check_golden(Test *t, const char *path, bool (*make)(Builder *out, Error *err),
                         Builder *dump) {
    AUTO(builder_free) Builder block = {0};
    check_ok(t, make(&block, t->err));
    if (getenv("TRACEO_WRITE_GOLDEN") != NULL) {
        FILE *made = fopen(path, "wbx");
        check(t, made != NULL && fwrite(block.at, 1, block.len, made) == block.len &&
                     fclose(made) == 0);
    }
    static uint8_t golden[8192];
    FILE *file = fopen(path, "rb");
    check(t, file != NULL);
    size_t len = fread(golden, 1, sizeof golden, file);
    fclose(file);
    check_i64(t, len, block.len);
    check_same_bytes(t, golden, block.at, len);
    check_ok(t, dump_of((Bytes){golden, len}, dump, t->err));
}

TEST(the_golden_block_is_written_and_read_as_ever) {
    AUTO(builder_free) Builder dump = {0};
    check_golden(t, "test/golden/series/block", fixture_golden, &dump);
    check(t, text_find(builder_text(&dump), TEXT("histogram 1700000030000 two")) > 0);
    check(t, text_find(builder_text(&dump), TEXT("metadata a 2 what a is bytes")) > 0);
}

static uint32_t version_of(const Builder *block) {
    uint32_t version;
    memcpy(&version, block->at + block->len - BLOCK_TRAILER_BYTES + 16, sizeof version);
    return version;
}

TEST(the_golden_block_with_starts_is_written_and_read_as_ever) {
    AUTO(builder_free) Builder dump = {0};
    check_golden(t, "test/golden/series/block_starts", fixture_golden_starts, &dump);
    int64_t restarts[8];
    for (int64_t i = 0; i < 8; i++) restarts[i] = 1700000000000 + (i < 5 ? -60000 : 73000);
    check(t, text_find(builder_text(&dump), (Text){(const char *)restarts, sizeof restarts}) > 0);
}

TEST(only_a_block_with_starts_needs_a_program_that_knows_them) {
    AUTO(builder_free) Builder plain = {0};
    AUTO(builder_free) Builder starts = {0};
    check_ok(t, fixture_golden(&plain, t->err));
    check_ok(t, fixture_golden_starts(&starts, t->err));
    check_i64(t, BLOCK_VERSION_PLAIN, version_of(&plain));
    check_i64(t, BLOCK_VERSION_STARTS, version_of(&starts));
}

TEST(the_golden_block_near_decimals_is_written_and_read_as_ever) {
    AUTO(builder_free) Builder dump = {0};
    AUTO(builder_free) Builder block = {0};
    check_golden(t, "test/golden/series/block_near", fixture_golden_near, &dump);
    check_ok(t, fixture_golden_near(&block, t->err));
    check_i64(t, BLOCK_VERSION_NEAR, version_of(&block));
    double sums[8], sum = 0;
    for (size_t i = 0; i < COUNT(sums); i++) sums[i] = sum += 0.1 * (double)(i % 7);
    check(t, text_find(builder_text(&dump), (Text){(const char *)sums, sizeof sums}) > 0);
}

// Sums of tenths, and a start where `starts` is set; as such blocks are read by programs of the
// version that comes out.
static uint32_t version_of_sums(Test *t, bool cold, bool starts) {
    double values[200], sum = 0;
    int64_t times[200], begun[200];
    for (size_t i = 0; i < COUNT(values); i++) {
        values[i] = sum += 0.1 * (double)(i % 7);
        times[i] = 1700000000000 + (int64_t)i * 15000;
        begun[i] = 1700000000000 - 5;
    }
    AUTO(builder_free) Builder out = {0};
    BlockWriter *writer = block_writer_begin();
    if (cold) block_writer_cold(writer);
    Labels labels = FIXTURE_LABELS(t->arena, "__name__", "sums");
    SeriesColumns columns = {.times = times,
                             .values = values,
                             .count = COUNT(values),
                             .starts = begun,
                             .has_starts = starts};
    check_ok(t, block_writer_series(writer, labels, t->err));
    check_ok(t, block_writer_columns(writer, &columns, t->err));
    check_ok(t, block_writer_finish(writer, &out, t->err));
    block_writer_free(&writer);
    MemoryObject memory;
    Block *block;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    check_ok(t, memory_block_open(&memory, &block, t->err));
    BlockCursor *cursor = block_cursor_open(block);
    SeriesColumns again = {.wants_starts = true};
    check_ok(t, block_read(cursor, 0, INT64_MIN, INT64_MAX, &again, t->err));
    check_i64(t, COUNT(values), again.count);
    check_same_bytes(t, again.values, values, sizeof values);
    check(t, again.has_starts == starts);
    series_columns_free(&again);
    block_cursor_close(&cursor);
    block_unref(&block);
    memory_object_end(&memory);
    return version_of(&out);
}

TEST(only_a_cold_block_needs_a_program_that_knows_what_is_nearly_decimal) {
    check_i64(t, BLOCK_VERSION_PLAIN, version_of_sums(t, false, false));
    check_i64(t, BLOCK_VERSION_STARTS, version_of_sums(t, false, true));
    check_i64(t, BLOCK_VERSION_NEAR, version_of_sums(t, true, false));
    check_i64(t, BLOCK_VERSION_NEAR, version_of_sums(t, true, true));
}

TEST_MAIN("store/block", CASE(the_golden_block_near_decimals_is_written_and_read_as_ever),
          CASE(only_a_cold_block_needs_a_program_that_knows_what_is_nearly_decimal),
          CASE(a_block_gives_back_what_it_took),
          CASE(an_inspection_that_verifies_tells_how_far_it_is),
          CASE(an_interval_gives_the_samples_inside), CASE(selection_agrees_with_matching_labels),
          CASE(names_and_values_are_sorted), CASE(names_and_values_of_some_series),
          CASE(summaries_are_those_of_the_samples),
          CASE(series_that_began_later_share_clocks_from_the_next_round_time_on),
          CASE(a_writer_refuses_disorder), CASE(an_empty_block_is_a_block),
          CASE(histograms_are_kept_over_many_pieces), CASE(no_flipped_bit_gives_a_wrong_answer),
          CASE(rows_that_are_kept_give_what_the_block_gives),
          CASE(a_kept_page_outlives_the_rot_of_its_block),
          CASE(no_random_flip_in_a_larger_block_gives_a_wrong_answer),
          CASE(no_cut_gives_a_short_answer), CASE(the_golden_block_is_written_and_read_as_ever),
          CASE(the_golden_block_with_starts_is_written_and_read_as_ever),
          CASE(only_a_block_with_starts_needs_a_program_that_knows_them))
