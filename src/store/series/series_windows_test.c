// Reading for windows: whatever summaries tell, each window is asked for the same and gives the
// same bits as from all samples.

#include <stdlib.h>

#include "store/series/series_fixture.h"

enum { SERIES = 8, ROUND_SAMPLES = 150, STEP_MS = 15000 };

static Matcher all_matcher = {MATCH_NOT_EQUAL, TEXT_INIT("__name__"), TEXT_INIT(""), NULL};
static const Matchers all = {&all_matcher, 1};

// ---- What a window is asked ----

typedef struct Answer {
    bool any;
    double value;
} Answer;

// As the kernels of the range functions choose (query/exec/range_over_time.c): a NaN only where
// there is nothing else, and of equals the younger one.
static bool replaces(SeriesWish wish, double now, double before) {
    if (wish == SERIES_NEWEST) return true;
    if (wish == SERIES_OLDEST) return false;
    if (isnan(before)) return true;
    if (isnan(now)) return false;
    return wish == SERIES_GREATEST ? now >= before : now <= before;
}

static Answer ask(const SeriesColumns *columns, const SeriesWindows *windows, size_t at) {
    int64_t end_ms = windows->first_end_ms + (int64_t)at * windows->step_ms;
    Answer answer = {0};
    for (size_t i = 0; i < columns->count; i++) {
        int64_t time_ms = columns->times[i];
        if (time_ms <= end_ms - windows->range_ms || time_ms > end_ms) continue;
        if (is_stale(columns->values[i])) continue;
        if (answer.any && !replaces(windows->wish, columns->values[i], answer.value)) continue;
        answer = (Answer){true, columns->values[i]};
    }
    return answer;
}

typedef struct Compared {
    SeriesColumns plain, told;
    size_t plain_samples, told_samples, windows;
} Compared;

// False with a reason when one of the windows says something else.
static bool compare(SeriesCursor *cursor, const SeriesFound *found, const SeriesWindows *windows,
                    Compared *compared, Error *err) {
    int64_t last_ms = windows->first_end_ms + (int64_t)(windows->count - 1) * windows->step_ms;
    SeriesColumns *plain = &compared->plain, *told = &compared->told;
    TRY(series_read(cursor, found, windows->first_end_ms - windows->range_ms + 1, last_ms, plain,
                    err));
    TRY(series_read_windows(cursor, found, windows, told, err));
    compared->plain_samples += plain->count;
    compared->told_samples += told->count;
    compared->windows += windows->count;
    for (size_t i = 1; i < told->count; i++) {
        if (told->times[i] <= told->times[i - 1])
            return error_set(err, ERROR_CORRUPT, "times do not rise at sample %zu", i);
    }
    if (plain->histograms != told->histograms)
        return error_set(err, ERROR_CORRUPT, "%zu histograms, not %zu", told->histograms,
                         plain->histograms);
    for (size_t i = 0; i < windows->count; i++) {
        Answer wanted = ask(plain, windows, i), given = ask(told, windows, i);
        if (wanted.any == given.any && double_bits(wanted.value) == double_bits(given.value))
            continue;
        AUTO(builder_free) Builder name = {0};
        labels_print(found->labels, &name);
        return error_set(
            err, ERROR_CORRUPT,
            "%.*s, wish %d, window %zu of %zu (first end %lld, step %lld, range %lld): %d %016llx, "
            "not %d %016llx; %zu samples told of %zu",
            (int)name.len, name.at, (int)windows->wish, i, windows->count,
            (long long)(windows->first_end_ms - FIXTURE_NOW_MS), (long long)windows->step_ms,
            (long long)windows->range_ms, given.any, (unsigned long long)double_bits(given.value),
            wanted.any, (unsigned long long)double_bits(wanted.value), told->count, plain->count);
    }
    return true;
}

static bool compare_newest(SeriesCursor *cursor, const SeriesFound *found, int64_t from_ms,
                           int64_t to_ms, Compared *compared, Error *err) {
    SeriesColumns *plain = &compared->plain, *newest = &compared->told;
    TRY(series_read(cursor, found, from_ms, to_ms, plain, err));
    TRY(series_read_newest(cursor, found, from_ms, to_ms, newest, err));
    size_t last = plain->count - 1;
    if (newest->count == (plain->count > 0) &&
        (plain->count == 0 || (newest->times[0] == plain->times[last] &&
                               double_bits(newest->values[0]) == double_bits(plain->values[last]))))
        return true;
    return error_set(err, ERROR_CORRUPT, "the newest sample from %lld to %lld is another one",
                     (long long)from_ms, (long long)to_ms);
}

// ---- Random lives ----

static uint64_t below(uint64_t *random, uint64_t most) {
    return test_random(random) % most;
}

// Each series has its kind, so that chunks are of all of them: one value, a counter, zeros of both
// signs, nothing but NaN, numbers with a NaN or a stale marker now and then, doubles, anything.
static double random_value(uint64_t *random, size_t series, double before) {
    static const double odd[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, 0.25};
    switch (series) {
        case 0:
            return 0;
        case 1:
            return below(random, 200) == 0 ? 0 : before + (double)below(random, 5);
        case 2:
            return below(random, 2) == 0 ? 0 : -0.0;
        case 3:
            if (below(random, 3) == 0) return stale_nan();
            return double_from_bits(UINT64_C(0x7ff8000000000000) | below(random, 256));
        case 4:
            if (below(random, 40) == 0) return below(random, 2) == 0 ? stale_nan() : NAN;
            return (double)below(random, 1000) / 100 - (double)below(random, 5);
        case 5:
            return (double)(int64_t)test_random(random) * 0x1p-40;
        case 6:
            return -42.5;
        default:
            if (below(random, 6) == 0) return double_from_bits(test_random(random));
            return odd[below(random, COUNT(odd))];
    }
}

enum { BORDERS = 64 };

typedef struct Life {
    Fixture f;
    uint64_t random;
    int64_t now_ms;
    int64_t borders[BORDERS];  // where some runs of samples began and ended: so do chunks
    size_t border_count;
    double before[SERIES];
} Life;

static void write_samples(Life *life, size_t series, int64_t from_ms, size_t count,
                          int64_t step_ms) {
    char number[2] = {(char)('0' + series), 0};
    fixture_clear(&life->f);
    fixture_row(&life->f, "x", (const char *[]){"number", number, NULL});
    for (size_t i = 0; i < count; i++) {
        double value = random_value(&life->random, series, life->before[series]);
        fixture_sample(&life->f, from_ms + (int64_t)i * step_ms, value);
        if (!isnan(value)) life->before[series] = value;
    }
    fixture_write(&life->f);
}

static void note_border(Life *life, int64_t time_ms) {
    size_t at = life->border_count < BORDERS ? life->border_count++ : below(&life->random, BORDERS);
    life->borders[at] = time_ms;
}

// A while of scrapes, gaps between; some of them late, at times that are stored or between them.
static void some_time_passes(Life *life) {
    uint64_t *random = &life->random;
    size_t count = 1 + below(random, ROUND_SAMPLES);
    for (size_t i = 0; i < SERIES; i++) {
        if (below(random, 6) == 0) continue;
        size_t skip = below(random, 4) == 0 ? below(random, count) : 0;
        int64_t jitter_ms = below(random, 4) == 0 ? (int64_t)below(random, 40) : 0;
        write_samples(life, i, life->now_ms + (int64_t)skip * STEP_MS + jitter_ms, count - skip,
                      STEP_MS);
        if (below(random, 5) != 0) continue;
        int64_t past_ms = life->now_ms - (int64_t)below(random, 8 * ROUND_SAMPLES) * STEP_MS;
        bool same_times = below(random, 2) == 0;
        write_samples(life, i, past_ms + (same_times ? 0 : (int64_t)below(random, STEP_MS)),
                      1 + below(random, 50), STEP_MS);
    }
    note_border(life, life->now_ms);
    life->now_ms += (int64_t)count * STEP_MS;
    note_border(life, life->now_ms - STEP_MS);
    if (below(random, 8) == 0) life->now_ms += (int64_t)below(random, 2000) * STEP_MS;
    life->f.clock.wall_ms = life->now_ms;
}

static void random_delete(Test *t, Life *life) {
    char number[2] = {(char)('0' + below(&life->random, SERIES)), 0};
    Matcher matcher = {MATCH_EQUAL, TEXT("number"), text_from_cstring(number), NULL};
    Matchers matchers = {&matcher, 1};
    int64_t from_ms = life->now_ms - (int64_t)below(&life->random, 40 * ROUND_SAMPLES) * STEP_MS;
    check_ok(t, series_delete(life->f.store, &matchers, 1, from_ms,
                              from_ms + (int64_t)below(&life->random, 3600000), t->err));
}

// A moment, mostly one at which chunks begin or end, or beside it.
static int64_t random_edge(Life *life) {
    uint64_t *random = &life->random;
    int64_t span_ms = life->now_ms - FIXTURE_NOW_MS + 3600000;
    if (life->border_count == 0 || below(random, 4) == 0)
        return FIXTURE_NOW_MS + (int64_t)below(random, (uint64_t)span_ms);
    return life->borders[below(random, life->border_count)] + (int64_t)below(random, 3) - 1;
}

static SeriesWindows random_windows(Life *life) {
    uint64_t *random = &life->random;
    int64_t one = random_edge(life), another = random_edge(life), third = random_edge(life);
    SeriesWindows windows = {.first_end_ms = MAX(one, another),
                             .range_ms = MAX(one, another) - MIN(one, another) + 1,
                             .count = 1,
                             .wish = (SeriesWish)(1 + below(random, 4))};
    if (below(random, 2) == 0) windows.range_ms = MAX(windows.range_ms - 1, (int64_t)1);
    if (below(random, 3) == 0) windows.range_ms = 1 + (int64_t)below(random, 3600000);
    if (below(random, 2) == 0) return windows;
    // Often an edge of a later window lies on a border too.
    windows.count = 1 + below(random, 40);
    windows.step_ms = below(random, 8) == 0 ? 0 : (int64_t)below(random, 5 * 3600000);
    if (below(random, 2) == 0) windows.step_ms = MAX(third, one) - MIN(third, one);
    if (below(random, 2) == 0 && third < windows.first_end_ms) windows.first_end_ms = third;
    return windows;
}

static void compare_all(Test *t, Life *life, uint64_t seed, Compared *compared) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesWindows windows = random_windows(life);
    int64_t from_ms = windows.first_end_ms - windows.range_ms + 1;
    int64_t to_ms = windows.first_end_ms + (int64_t)(windows.count - 1) * windows.step_ms;
    // A view may see more than is asked.
    bool wide = below(&life->random, 2) == 0;
    check_ok(t, series_view_open(life->f.store, wide ? 0 : from_ms, wide ? INT64_MAX : to_ms, &view,
                                 t->err));
    series_view_keep_rows(view, life->f.store);
    check_ok(t, series_select(view, all, 0, t->arena, &found, t->err));
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        bool same = compare(cursor, &found.at[i], &windows, compared, t->err) &&
                    compare_newest(cursor, &found.at[i], from_ms, to_ms, compared, t->err);
        if (!same)
            check_failed(t, __FILE__, __LINE__, "seed %llu: %s", (unsigned long long)seed,
                         t->err->message);
    }
    series_cursor_close(&cursor);
    series_view_close(&view);
}

static void live(Test *t, uint64_t seed, Compared *compared) {
    Life life = {.random = seed, .now_ms = FIXTURE_NOW_MS};
    fixture_begin(&life.f, t);
    for (int step = 0; step < 40; step++) {
        bool more;
        switch (below(&life.random, 12)) {
            case 0:
                check_ok(t, series_turn(life.f.store, t->err));
                break;
            case 1:
            case 2:
            case 3:
                check_ok(t, series_turn(life.f.store, t->err));
                check_ok(t, series_seal(life.f.store, t->err));
                break;
            case 4:
                check_ok(t, series_merge(life.f.store, &more, t->err));
                break;
            case 5:
                if (below(&life.random, 4) == 0) random_delete(t, &life);
                break;
            default:
                some_time_passes(&life);
                break;
        }
        for (int i = 0; i < 8; i++) compare_all(t, &life, seed, compared);
    }
    fixture_end(&life.f);
}

TEST(windows_answer_from_summaries_what_they_answer_from_samples) {
    Compared compared = {0};
    uint64_t seeds = getenv("TRACEO_NIGHT") == NULL ? 25 : 400;
    for (uint64_t seed = 1; seed <= seeds; seed++) live(t, seed, &compared);
    // It has to have come to that.
    check(t, compared.windows > 100000);
    check(t, compared.told_samples < compared.plain_samples / 10 * 9);
    series_columns_free(&compared.plain);
    series_columns_free(&compared.told);
}

// ---- What is not touched, and what has to be ----

// One series of a block: `count` samples a step apart, from FIXTURE_NOW_MS on.
static void put_block(Test *t, Fixture *f, const double *values, size_t count) {
    fixture_clear(f);
    fixture_row(f, "x", NULL);
    for (size_t i = 0; i < count; i++)
        fixture_sample(f, FIXTURE_NOW_MS + (int64_t)i * STEP_MS, values[i]);
    fixture_write(f);
    check_ok(t, series_turn(f->store, t->err));
    check_ok(t, series_seal(f->store, t->err));
}

typedef struct Read {
    SeriesColumns columns;
    int64_t bytes;  // of pages
} Read;

static Read read_one(Test *t, Fixture *f, SeriesWindows windows) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesMeter meter = {0};
    Read read = {0};
    check_ok(t, series_view_open(f->store, 0, INT64_MAX, &view, t->err));
    series_view_meter(view, &meter);
    check_ok(t, series_select(view, all, 0, t->arena, &found, t->err));
    check_i64(t, 1, found.count);
    SeriesCursor *cursor = series_cursor_open(view);
    check_ok(t, series_read_windows(cursor, &found.at[0], &windows, &read.columns, t->err));
    series_cursor_close(&cursor);
    series_view_close(&view);
    read.bytes = meter.bytes;
    return read;
}

enum { HOUR_SAMPLES = 240 };

static SeriesWindows over_all(SeriesWish wish) {
    return (SeriesWindows){.first_end_ms = FIXTURE_NOW_MS + HOUR_SAMPLES * STEP_MS,
                           .range_ms = (HOUR_SAMPLES + 1) * STEP_MS,
                           .count = 1,
                           .wish = wish};
}

TEST(a_chunk_that_no_edge_parts_is_one_sample_and_no_page_is_read) {
    Fixture f;
    fixture_begin(&f, t);
    double values[HOUR_SAMPLES];
    for (size_t i = 0; i < COUNT(values); i++) values[i] = (double)((i * 7919) % 240) + 10;
    values[3] = NAN;
    put_block(t, &f, values, COUNT(values));
    double wanted[] = {[SERIES_GREATEST] = 249,
                       [SERIES_LEAST] = 10,
                       [SERIES_NEWEST] = values[HOUR_SAMPLES - 1],
                       [SERIES_OLDEST] = values[0]};
    for (SeriesWish wish = SERIES_GREATEST; wish <= SERIES_OLDEST; wish++) {
        Read read = read_one(t, &f, over_all(wish));
        check_i64(t, 1, read.columns.count);
        check(t, read.columns.values[0] == wanted[wish]);
        check_i64(t, 0, read.bytes);
        series_columns_free(&read.columns);
    }
    // What no window holds is not read either, where windows lie apart.
    SeriesWindows apart = {.first_end_ms = FIXTURE_NOW_MS - 1000,
                           .step_ms = 2 * HOUR_SAMPLES * STEP_MS,
                           .range_ms = 1000,
                           .count = 2,
                           .wish = SERIES_GREATEST};
    Read read = read_one(t, &f, apart);
    check_i64(t, 0, read.columns.count);
    check_i64(t, 0, read.bytes);
    series_columns_free(&read.columns);
    // An edge inside.
    SeriesWindows parting = over_all(SERIES_GREATEST);
    parting.first_end_ms -= 2 * STEP_MS;
    read = read_one(t, &f, parting);
    check_i64(t, HOUR_SAMPLES - 1, read.columns.count);
    check(t, read.bytes > 0);
    series_columns_free(&read.columns);
    fixture_end(&f);
}

TEST(a_chunk_that_one_window_cuts_is_looked_at_only_when_it_may_hold_the_answer) {
    // Two chunks of four hours; a head behind them.
    enum { CHUNK = 960 };
    static double values[2 * CHUNK];
    for (int kind = 0; kind < 5; kind++) {
        Fixture f;
        fixture_begin(&f, t);
        for (size_t i = 0; i < COUNT(values); i++)
            values[i] = (i < CHUNK ? 10 : 20) + (double)(i % 7);
        if (kind == 1) values[CHUNK - 5] = 26;  // as great
        if (kind == 2 || kind == 4) values[CHUNK - 5] = 26.5;
        if (kind == 3) values[5] = 99;  // greater, but in front of the window
        put_block(t, &f, values, COUNT(values));
        // Stored already, so this greatest one is none.
        if (kind == 4) fixture_put(&f, "x", NULL, FIXTURE_NOW_MS + (CHUNK + 1) * STEP_MS, 500);
        if (kind < 4) fixture_put(&f, "x", NULL, FIXTURE_NOW_MS + 2 * CHUNK * STEP_MS, 1);
        SeriesWindows window = {.first_end_ms = FIXTURE_NOW_MS + 2 * CHUNK * STEP_MS,
                                .range_ms = (CHUNK + 100) * STEP_MS,
                                .count = 1,
                                .wish = SERIES_GREATEST};
        Read read = read_one(t, &f, window);
        double greatest = 0;
        for (size_t i = 0; i < read.columns.count; i++)
            greatest = MAX(greatest, read.columns.values[i]);
        check(t, greatest == (kind == 2 || kind == 4 ? 26.5 : 26));
        check(t, (read.bytes == 0) == (kind < 2));
        series_columns_free(&read.columns);
        fixture_end(&f);
    }
}

TEST(the_newest_sample_is_told_also_where_a_window_begins_inside) {
    Fixture f;
    fixture_begin(&f, t);
    double values[HOUR_SAMPLES] = {0};
    for (size_t i = 0; i < COUNT(values); i++) values[i] = (double)(i * i);
    put_block(t, &f, values, COUNT(values));
    SeriesWindows window = over_all(SERIES_NEWEST);
    window.range_ms = 5 * STEP_MS;
    Read read = read_one(t, &f, window);
    check_i64(t, 1, read.columns.count);
    check(t, read.columns.values[0] == values[HOUR_SAMPLES - 1]);
    check_i64(t, 0, read.bytes);
    series_columns_free(&read.columns);
    fixture_end(&f);
}

TEST(zero_and_minus_zero_are_told_apart) {
    double values[HOUR_SAMPLES];
    for (int kind = 0; kind < 4; kind++) {
        Fixture f;
        fixture_begin(&f, t);
        for (size_t i = 0; i < COUNT(values); i++) values[i] = kind == 0 ? 0 : -(double)(i % 5);
        if (kind == 0) values[0] = 0;
        for (size_t i = 0; kind == 1 && i < COUNT(values); i++) values[i] += 0.0;
        if (kind == 2) values[HOUR_SAMPLES - 5] = -0.0;
        if (kind == 3) values[HOUR_SAMPLES - 5] = 0.0;
        double youngest = 0;
        for (size_t i = 0; i < COUNT(values); i++) {
            if (values[i] == 0) youngest = values[i];
        }
        put_block(t, &f, values, COUNT(values));
        Read read = read_one(t, &f, over_all(SERIES_GREATEST));
        // Zeros alone are told by the summary, plain zeros among others by the first byte of their
        // column, and where there is any minus zero all of them are looked at.
        double found = -1;
        for (size_t i = 0; i < read.columns.count; i++) {
            if (read.columns.values[i] == 0) found = read.columns.values[i];
        }
        check(t, double_bits(found) == double_bits(youngest));
        check_i64(t, kind < 2 ? 1 : HOUR_SAMPLES, read.columns.count);
        check(t, (read.bytes == 0) == (kind == 0));
        series_columns_free(&read.columns);
        fixture_end(&f);
    }
}

TEST(series_with_native_histograms_are_read_whole) {
    double values[HOUR_SAMPLES];
    for (size_t i = 0; i < COUNT(values); i++) values[i] = (double)i;
    for (int kind = 0; kind < 2; kind++) {  // the histogram in the head; in a block too
        Fixture f;
        fixture_begin(&f, t);
        put_block(t, &f, values, COUNT(values));
        fixture_clear(&f);
        BatchSeries *row = fixture_row(&f, "x", NULL);
        row->histogram_count = 1;
        *array_add(&f.batch.histograms) =
            (BatchHistogram){FIXTURE_NOW_MS + 1000, text_bytes(TEXT("\x08\x05"))};
        fixture_write(&f);
        if (kind == 1) {
            check_ok(t, series_turn(f.store, t->err));
            check_ok(t, series_seal(f.store, t->err));
        }
        Read read = read_one(t, &f, over_all(SERIES_GREATEST));
        check_i64(t, 1, read.columns.histograms);
        check_i64(t, HOUR_SAMPLES, read.columns.count);
        series_columns_free(&read.columns);
        fixture_end(&f);
    }
}

TEST(what_lies_between_the_samples_of_a_chunk_elsewhere_is_seen) {
    double values[HOUR_SAMPLES];
    for (size_t i = 0; i < COUNT(values); i++) values[i] = (double)i + 1;
    for (int kind = 0; kind < 3; kind++) {
        Fixture f;
        fixture_begin(&f, t);
        put_block(t, &f, values, COUNT(values));
        // At a time that is stored: the first stored wins. Between two: it counts.
        fixture_put(&f, "x", NULL, FIXTURE_NOW_MS + 7 * STEP_MS, 1000);
        if (kind > 0) fixture_put(&f, "x", NULL, FIXTURE_NOW_MS + 7 * STEP_MS + 1, 2000);
        if (kind == 2) {
            check_ok(t, series_turn(f.store, t->err));
            check_ok(t, series_seal(f.store, t->err));
        }
        Read read = read_one(t, &f, over_all(SERIES_GREATEST));
        double greatest = 0;
        for (size_t i = 0; i < read.columns.count; i++)
            greatest = MAX(greatest, read.columns.values[i]);
        check(t, greatest == (kind == 0 ? HOUR_SAMPLES : 2000));
        series_columns_free(&read.columns);
        fixture_end(&f);
    }
}

TEST(a_value_that_an_earlier_block_hides_is_not_told) {
    double values[HOUR_SAMPLES];
    for (size_t i = 0; i < COUNT(values); i++) values[i] = (double)i + 1;
    values[7] = 5000;
    Fixture f;
    fixture_begin(&f, t);
    fixture_put(&f, "x", NULL, FIXTURE_NOW_MS + 7 * STEP_MS, -1);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    put_block(t, &f, values, COUNT(values));
    Read read = read_one(t, &f, over_all(SERIES_GREATEST));
    double greatest = 0;
    for (size_t i = 0; i < read.columns.count; i++)
        greatest = MAX(greatest, read.columns.values[i]);
    check(t, greatest == HOUR_SAMPLES);
    series_columns_free(&read.columns);
    fixture_end(&f);
}

TEST_MAIN("store/series_windows", CASE(windows_answer_from_summaries_what_they_answer_from_samples),
          CASE(a_chunk_that_no_edge_parts_is_one_sample_and_no_page_is_read),
          CASE(a_chunk_that_one_window_cuts_is_looked_at_only_when_it_may_hold_the_answer),
          CASE(the_newest_sample_is_told_also_where_a_window_begins_inside),
          CASE(zero_and_minus_zero_are_told_apart),
          CASE(series_with_native_histograms_are_read_whole),
          CASE(what_lies_between_the_samples_of_a_chunk_elsewhere_is_seen),
          CASE(a_value_that_an_earlier_block_hides_is_not_told))
