// Tiers: made of days that are over, up to date, cut by deletes, let go by age; what they say is
// what a slow look at the samples says, also after a restart. And nothing of it where it is off.

#include "store/series/tier.h"

#include <stdlib.h>

#include "store/series/series_oracle.h"

enum { DAY_MS = 86400000 };
static const int64_t MINUTE_MS = 60000;

static void begin(Test *t, Fixture *f, bool on) {
    fixture_begin(f, t);
    fixture_close(f);
    f->retention_ms = 30 * (int64_t)DAY_MS;
    for (size_t k = 0; on && k < SERIES_TIERS; k++) f->tiers[k].on = true;
    check_ok(t, fixture_open(f, t->arena, t->err));
}

// Days of one block, and of several, of so many series each: tiers are in several blocks, too.
static const int64_t bounds[] = {0, 7, 1};

static void bound(Test *t, Fixture *f, int64_t series_max) {
    fixture_close(f);
    f->series_max = series_max;
    check_ok(t, fixture_open(f, t->arena, t->err));
}

static void to_blocks(Test *t, Fixture *f) {
    check_ok(t, series_turn(f->store, t->err));
    check_ok(t, series_seal(f->store, t->err));
}

// Housekeeping until nothing is left to do; how many tiers were made or went.
static int keep_house(Test *t, Fixture *f, int64_t now_ms) {
    int made = 0;
    for (bool again = true; again;) {
        bool retained, merged, tiers;
        check_ok(t, series_retain(f->store, now_ms, &retained, t->err));
        check_ok(t, series_merge(f->store, &merged, t->err));
        check_ok(t, series_make_tiers(f->store, now_ms, &tiers, t->err));
        made += tiers;
        again = retained || merged || tiers;
    }
    return made;
}

static void pass_days(Fixture *f, int64_t days) {
    clock_advance(&f->clock, days * DAY_MS);
}

static SeriesState state_of(Fixture *f) {
    SeriesState state;
    series_state(f->store, &state);
    return state;
}

static int64_t now_of(const Fixture *f) {
    return f->clock.wall_ms;
}

// Every window of a tier that ends in the interval is that of a slow look, and none is missing. How
// many there were.
static size_t check_windows(Test *t, const Oracle *oracle, Fixture *f, int64_t tier_ms,
                            int64_t from_ms, int64_t to_ms) {
    size_t seen = 0;
    check_ok(t, oracle_windows_agree(oracle, f, tier_ms, from_ms, to_ms, &seen, t->err));
    return seen;
}

// A day of samples of all series in several heads: gaps, resets, odd values, some late.
static void put_day(Test *t, Fixture *f, Oracle *oracle, int64_t day_ms, uint64_t *random) {
    for (int round = 0; round < 150; round++) {
        fixture_clear(f);
        int64_t time_ms = day_ms + (int64_t)(test_random(random) % DAY_MS);
        if (round % 10 == 0) time_ms = day_ms + round * 5 * MINUTE_MS;  // on an edge
        for (uint32_t series = 0; series < ORACLE_SERIES; series++) {
            if (test_random(random) % 4 == 0) continue;
            double value = series % 3 == 0 ? oracle_value(random)
                                           : (double)(int64_t)(test_random(random) % 1000);
            oracle_row(f, series);
            oracle_write(oracle, f, series, (Sample){time_ms + series, value}, 0);
        }
        fixture_write(f);
        if (round % 40 == 39) to_blocks(t, f);
    }
    to_blocks(t, f);
}

static const int64_t TODAY = FIXTURE_NOW_MS;

static void check_both(Test *t, const Oracle *oracle, Fixture *f) {
    for (size_t k = 0; k < SERIES_TIERS; k++)
        check(t, check_windows(t, oracle, f, series_tiers_ms[k], TODAY, TODAY + 2 * DAY_MS) > 100);
}

// May a tier of the day answer, where it is allowed to?
static bool tiers_answer(Test *t, Fixture *f, int64_t day_ms) {
    SeriesView *view = NULL;
    check_ok(t, series_view_open(f->store, day_ms, day_ms + DAY_MS, &view, t->err));
    bool any = series_view_add_tiers(view, f->store, series_tiers_ms[1]);
    series_view_close(&view);
    return any;
}

static void check_blocks(Test *t, Fixture *f) {
    uint64_t most = f->series_max == 0 ? ORACLE_SERIES : (uint64_t)f->series_max;
    check_i64(t, SERIES_TIERS * ((ORACLE_SERIES + most - 1) / most), state_of(f).tiers);
    check(t, f->series_max == 0 || state_of(f).blocks > 2);
}

static void check_a_life(Test *t, int64_t series_max) {
    Fixture f;
    Oracle oracle = {0};
    uint64_t random = t->seed;
    begin(t, &f, true);
    bound(t, &f, series_max);
    put_day(t, &f, &oracle, TODAY, &random);
    check_i64(t, 0, keep_house(t, &f, now_of(&f)));  // the day goes on
    check_i64(t, 0, state_of(&f).tiers);
    pass_days(&f, 2);
    check(t, keep_house(t, &f, now_of(&f)) >= 2);
    check_blocks(t, &f);
    check_both(t, &oracle, &f);
    check_i64(t, 0, keep_house(t, &f, now_of(&f)));

    // Late samples: until both are made again samples answer, of that day and of no other.
    check(t, tiers_answer(t, &f, TODAY));
    fixture_clear(&f);
    oracle_row(&f, 3);
    oracle_write(&oracle, &f, 3, (Sample){now_of(&f), 1}, 0);
    fixture_write(&f);
    check(t, tiers_answer(t, &f, TODAY));
    fixture_clear(&f);
    oracle_row(&f, 4);
    oracle_write(&oracle, &f, 4, (Sample){TODAY + 7777777, 12345}, 0);
    fixture_write(&f);
    check(t, !tiers_answer(t, &f, TODAY));
    to_blocks(t, &f);
    check(t, !tiers_answer(t, &f, TODAY));
    check(t, keep_house(t, &f, now_of(&f)) >= 2);
    check(t, tiers_answer(t, &f, TODAY));
    check_blocks(t, &f);
    check_both(t, &oracle, &f);

    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 0, f.report.blocks_damaged);
    check_i64(t, 0, f.report.strangers);
    check_i64(t, 0, keep_house(t, &f, now_of(&f)));
    check_both(t, &oracle, &f);
    check_ok(t, series_scrub(f.store, INT64_MAX, t->err));
    check_i64(t, 0, state_of(&f).corruptions);
    oracle_free(&oracle);
    fixture_end(&f);
}

TEST(windows_say_what_a_slow_look_at_the_samples_says) {
    for (size_t i = 0; i < COUNT(bounds); i++) check_a_life(t, bounds[i]);
}

static void forget(Test *t, Fixture *f, Oracle *oracle, uint32_t series, int64_t from_ms,
                   int64_t to_ms) {
    char number[3] = {(char)('0' + series / 10), (char)('0' + series % 10), 0};
    Matcher matcher = {MATCH_EQUAL, TEXT("number"), text_from_cstring(number), NULL};
    Matchers matchers = {&matcher, 1};
    check_ok(t, series_delete(f->store, &matchers, 1, from_ms, to_ms, t->err));
    oracle_delete(oracle, series, from_ms, to_ms);
}

static void check_deletes(Test *t, int64_t series_max) {
    Fixture f;
    Oracle oracle = {0};
    uint64_t random = t->seed;
    begin(t, &f, true);
    bound(t, &f, series_max);
    put_day(t, &f, &oracle, TODAY, &random);
    pass_days(&f, 2);
    check(t, keep_house(t, &f, now_of(&f)) >= 2);
    // Within a window: it is not seen, until it is made again of what is left.
    forget(t, &f, &oracle, 5, TODAY + 3 * 3600000 + 1000, TODAY + 4 * 3600000 - 1000);
    SeriesView *view = NULL;
    check_ok(t, series_view_open(f.store, TODAY, TODAY + DAY_MS, &view, t->err));
    check(t, series_view_add_tiers(view, f.store, 3600000));
    Matcher five = {MATCH_EQUAL, TEXT("number"), TEXT("05"), NULL};
    SeriesFoundList found;
    SeriesParts parts = {0};
    SeriesColumns samples = {0};
    check_ok(t, series_select_tiers(view, (Matchers){&five, 1}, 0, t->arena, &found, t->err));
    check_i64(t, 1, found.count);
    SeriesCursor *cursor = series_cursor_open(view);
    check_ok(
        t, series_read_parts(cursor, found.at, TODAY, TODAY + DAY_MS, 0, &parts, &samples, t->err));
    check(t, parts.count > 0);
    for (size_t i = 0; i < parts.count; i++) check(t, parts.ends_ms[i] != TODAY + 4 * 3600000);
    series_cursor_close(&cursor);
    series_view_close(&view);
    series_parts_free(&parts);
    series_columns_free(&samples);

    check_ok(t, series_clean_deletes(f.store, t->err));
    check(t, keep_house(t, &f, now_of(&f)) >= 2);
    check_i64(t, 0, state_of(&f).deletes);
    check_blocks(t, &f);
    check_both(t, &oracle, &f);
    oracle_free(&oracle);
    fixture_end(&f);
}

TEST(deletes_take_from_tiers_what_they_take_from_samples) {
    for (size_t i = 0; i < COUNT(bounds); i++) check_deletes(t, bounds[i]);
}

// All that a view with tiers finds of one number, as "end:count".
static Text windows_of(Test *t, Fixture *f, const char *number, int64_t most_ms) {
    SeriesView *view = NULL;
    SeriesFoundList found = {0};
    SeriesParts parts = {0};
    SeriesColumns samples = {0};
    Builder out = {0};
    check_ok(t, series_view_open(f->store, 0, TODAY + 1000 * (int64_t)DAY_MS, &view, t->err));
    if (series_view_add_tiers(view, f->store, most_ms)) {
        Matcher one = {MATCH_EQUAL, TEXT("number"), text_from_cstring(number), NULL};
        check_ok(t, series_select_tiers(view, (Matchers){&one, 1}, 0, t->arena, &found, t->err));
        SeriesCursor *cursor = series_cursor_open(view);
        for (size_t i = 0; i < found.count; i++) {
            check_ok(t, series_read_parts(cursor, &found.at[i], 0, TODAY + 1000 * (int64_t)DAY_MS,
                                          0, &parts, &samples, t->err));
            for (size_t j = 0; j < parts.count; j++)
                builder_addf(&out, "%lld/%lld:%g ", (long long)(parts.ends_ms[j] - TODAY) / 1000,
                             (long long)parts.tiers_ms[j] / 1000, parts.of[WINDOW_COUNT][j]);
        }
        series_cursor_close(&cursor);
    }
    series_view_close(&view);
    series_parts_free(&parts);
    series_columns_free(&samples);
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}

static void put_number(Fixture *f, const char *number, int64_t time_ms, double value) {
    fixture_put(f, "m", (const char *const[]){"number", number, NULL}, time_ms, value);
}

// Samples go after 30 days, windows of 5 m after 60, those of 1 h never; "02" is let go by a rule.
TEST(samples_go_and_windows_stay_each_for_its_time) {
    Fixture f;
    Matcher two = {MATCH_EQUAL, TEXT("number"), TEXT("02"), NULL};
    SeriesKeep rule = {{&two, 1}, 40 * (int64_t)DAY_MS};
    begin(t, &f, true);
    fixture_close(&f);
    f.tiers[0].keep_ms = 60 * (int64_t)DAY_MS;
    f.rules = &rule;
    f.rule_count = 1;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    put_number(&f, "01", TODAY + 1000, 1);
    put_number(&f, "01", TODAY + 2000, 2);
    put_number(&f, "02", TODAY + 1000, 1);
    to_blocks(t, &f);
    pass_days(&f, 3);
    keep_house(t, &f, now_of(&f));
    check_i64(t, 2, state_of(&f).tiers);
    // While samples are there, windows are seen by who allows them.
    check_text(t, TEXT(""), windows_of(t, &f, "01", 0));
    check_text(t, TEXT("300/300:2 "), windows_of(t, &f, "01", 300000));
    check_text(t, TEXT("3600/3600:2 "), windows_of(t, &f, "01", INT64_MAX / 4));

    // Sample of "01" are over, the rule keeps those of "02".
    int64_t at_ms = TODAY + 33 * (int64_t)DAY_MS;
    keep_house(t, &f, at_ms);
    check_i64(t, 1, state_of(&f).blocks);
    check_text(t, TEXT("300/300:2 "), windows_of(t, &f, "01", 0));
    check_text(t, TEXT(""), windows_of(t, &f, "02", 0));
    check_text(t, TEXT("m{number=\"02\"}: 1795219201000=1\n"),
               fixture_read(&f, t, (Matchers){0}, 0, INT64_MAX));

    at_ms = TODAY + 43 * (int64_t)DAY_MS;
    keep_house(t, &f, at_ms);
    check_i64(t, 0, state_of(&f).blocks);
    check_i64(t, 2, state_of(&f).tiers);
    check_text(t, TEXT("300/300:2 "), windows_of(t, &f, "01", 0));
    check_text(t, TEXT(""), windows_of(t, &f, "02", 3600000));

    // A delete of what is left only there: the whole window goes.
    put_number(&f, "03", now_of(&f), 1);
    Matcher one = {MATCH_EQUAL, TEXT("number"), TEXT("01"), NULL};
    Matchers matchers = {&one, 1};
    check_ok(t, series_delete(f.store, &matchers, 1, TODAY, TODAY + 10 * 60000, t->err));
    check_text(t, TEXT(""), windows_of(t, &f, "01", 0));
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_text(t, TEXT(""), windows_of(t, &f, "01", 3600000));
    check_ok(t, series_clean_deletes(f.store, t->err));
    check_i64(t, 0, state_of(&f).tiers);
    check_i64(t, 0, state_of(&f).deletes);
    fixture_end(&f);
}

TEST(windows_of_five_minutes_go_before_those_of_an_hour) {
    Fixture f;
    begin(t, &f, true);
    fixture_close(&f);
    f.tiers[0].keep_ms = 60 * (int64_t)DAY_MS;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    put_number(&f, "01", TODAY + 1000, 1);
    to_blocks(t, &f);
    pass_days(&f, 3);
    keep_house(t, &f, now_of(&f));
    keep_house(t, &f, TODAY + 61 * (int64_t)DAY_MS);
    check_i64(t, 1, state_of(&f).tiers);
    check_i64(t, 0, state_of(&f).blocks);
    check_text(t, TEXT("3600/3600:1 "), windows_of(t, &f, "01", 0));
    fixture_end(&f);
}

// Samples whose time is over wait for their tiers, but not for ever.
TEST(samples_wait_for_their_tiers_for_a_week) {
    Fixture f;
    bool more;
    begin(t, &f, true);
    put_number(&f, "01", TODAY + 1000, 1);
    to_blocks(t, &f);
    check_ok(t, series_retain(f.store, TODAY + 31 * (int64_t)DAY_MS, &more, t->err));
    check_i64(t, 1, state_of(&f).blocks);
    check_ok(t, series_retain(f.store, TODAY + 38 * (int64_t)DAY_MS, &more, t->err));
    check_i64(t, 0, state_of(&f).blocks);
    fixture_end(&f);
}

// A tier whose samples are gone in part is not made again of what is left of them.
TEST(late_samples_do_not_undo_a_final_tier) {
    Fixture f;
    Matcher two = {MATCH_EQUAL, TEXT("number"), TEXT("02"), NULL};
    SeriesKeep rule = {{&two, 1}, 0};
    begin(t, &f, true);
    fixture_close(&f);
    f.rules = &rule;
    f.rule_count = 1;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    put_number(&f, "01", TODAY + 1000, 1);
    put_number(&f, "02", TODAY + 1000, 1);
    to_blocks(t, &f);
    pass_days(&f, 3);
    keep_house(t, &f, now_of(&f));
    keep_house(t, &f, TODAY + 40 * (int64_t)DAY_MS);
    pass_days(&f, 37);
    put_number(&f, "02", TODAY + 400000, 1);
    to_blocks(t, &f);
    check_i64(t, 0, keep_house(t, &f, now_of(&f)));
    check_text(t, TEXT("300/300:1 "), windows_of(t, &f, "01", 0));
    check_text(t, TEXT("m{number=\"02\"}: 1795219201000=1 1795219600000=1\n"),
               fixture_read(&f, t, (Matchers){0}, 0, INT64_MAX));
    fixture_end(&f);
}

// ---- Days of several blocks ----

// What a batch has of one series: samples, of which some repeat others with another value, and
// histograms, of the same times too.
static void put_mixed(Fixture *f, uint32_t series, uint64_t *random) {
    static const uint8_t wire[] = {0x08, 1, 0x19, 0, 0,    0, 0,    0, 0,    0xf0, 0x3f,
                                   0x28, 1, 0x5a, 4, 0x08, 0, 0x10, 1, 0x62, 1,    2};
    oracle_row(f, series);
    BatchSeries *row = &f->batch.series.at[f->batch.series.count - 1];
    int64_t time_ms = TODAY;
    for (int i = 0; i < 20; i++) {
        time_ms += (int64_t)(test_random(random) % 40) * 100000;
        if (time_ms >= TODAY + DAY_MS) break;
        fixture_sample(f, time_ms, oracle_value(random));
        if (series % 4 != 0) continue;
        *array_add(&f->batch.histograms) =
            (BatchHistogram){.time_ms = time_ms, .wire = {wire, sizeof wire}};
        row->histogram_count++;
    }
}

static void put_mixed_day(Test *t, Fixture *f, uint64_t seed) {
    for (int head = 0; head < 20; head++) {  // more than a walk has cursors
        for (int batch = 0; batch < 3; batch++) {
            fixture_clear(f);
            for (uint32_t series = 0; series < ORACLE_SERIES; series++) {
                if (test_random(&seed) % 3 != 0) put_mixed(f, series, &seed);
            }
            fixture_write(f);
        }
        to_blocks(t, f);
    }
}

// All windows and samples that a view with tiers has, as bits.
static Text all_parts(Test *t, Fixture *f, int64_t most_ms) {
    SeriesView *view = NULL;
    SeriesFoundList found = {0};
    SeriesParts parts = {0};
    SeriesColumns samples = {0};
    Builder out = {0};
    check_ok(t, series_view_open(f->store, 0, TODAY + 10 * (int64_t)DAY_MS, &view, t->err));
    check(t, series_view_add_tiers(view, f->store, most_ms));
    check_ok(t, series_select_tiers(view, (Matchers){0}, 0, t->arena, &found, t->err));
    if (found.count > 0) qsort(found.at, found.count, sizeof *found.at, fixture_by_labels);
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        check_ok(t, series_read_parts(cursor, &found.at[i], 0, TODAY + 10 * (int64_t)DAY_MS,
                                      UINT32_MAX, &parts, &samples, t->err));
        labels_print(found.at[i].labels, &out);
        for (size_t j = 0; j < parts.count; j++) {
            builder_addf(&out, "\n%lld %lld", (long long)parts.ends_ms[j],
                         (long long)parts.tiers_ms[j]);
            for (size_t kind = 0; kind < WINDOW_KINDS; kind++)
                builder_addf(&out, " %llx", (unsigned long long)double_bits(parts.of[kind][j]));
        }
        for (size_t j = 0; parts.count == 0 && j < samples.count; j++)
            builder_addf(&out, "\n%lld %llx", (long long)samples.times[j],
                         (unsigned long long)double_bits(samples.values[j]));
        builder_add(&out, TEXT("\n"));
    }
    series_cursor_close(&cursor);
    series_view_close(&view);
    series_parts_free(&parts);
    series_columns_free(&samples);
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}

static void check_alike(Test *t, Fixture *one, Fixture *several, int64_t most_ms) {
    Text stated = all_parts(t, one, most_ms), actual = all_parts(t, several, most_ms);
    check(t, stated.len > 10000);
    check(t, text_equal(stated, actual));
}

static void delete_number(Test *t, Fixture *f, const char *number, int64_t from_ms, int64_t to_ms) {
    Matcher matcher = {MATCH_EQUAL, TEXT("number"), text_from_cstring(number), NULL};
    Matchers matchers = {&matcher, 1};
    check_ok(t, series_delete(f->store, &matchers, 1, from_ms, to_ms, t->err));
}

// Every window, bit for bit, with repeats and histograms in several blocks, a delete that was
// carried out and one that was not, while samples are there and after they are gone.
TEST(a_day_of_several_blocks_has_the_windows_of_one_block) {
    static const int64_t FIVE = 300000, HOUR = 3600000;
    for (size_t i = 1; i < COUNT(bounds); i++) {
        Fixture one, several, *both[] = {&one, &several};
        begin(t, &one, true);
        begin(t, &several, true);
        bound(t, &several, bounds[i]);
        for (size_t k = 0; k < 2; k++) {
            put_mixed_day(t, both[k], t->seed);
            delete_number(t, both[k], "04", TODAY + 3 * HOUR + 1000, TODAY + 9 * HOUR);
            pass_days(both[k], 2);
            check(t, keep_house(t, both[k], now_of(both[k])) >= 2);
        }
        check_i64(t, 1, state_of(&one).blocks);
        check_i64(t, 2, state_of(&one).tiers);
        check(t, state_of(&several).blocks >= 6 && state_of(&several).tiers >= 8);
        check_alike(t, &one, &several, FIVE);
        check_alike(t, &one, &several, HOUR);
        for (size_t k = 0; k < 2; k++) {
            delete_number(t, both[k], "05", TODAY + 5 * HOUR, TODAY + 6 * HOUR);
            delete_number(t, both[k], "06", INT64_MIN, INT64_MAX);
        }
        check_alike(t, &one, &several, HOUR);
        for (size_t k = 0; k < 2; k++) {
            bool more;
            check_ok(t, series_clean_deletes(both[k]->store, t->err));
            keep_house(t, both[k], now_of(both[k]));
            for (more = true; more;)
                check_ok(
                    t, series_retain(both[k]->store, TODAY + 33 * (int64_t)DAY_MS, &more, t->err));
            check_i64(t, 0, state_of(both[k]).blocks);
        }
        check_alike(t, &one, &several, 0);
        for (size_t k = 0; k < 2; k++) delete_number(t, both[k], "07", TODAY, TODAY + HOUR);
        check_alike(t, &one, &several, 0);
        for (size_t k = 0; k < 2; k++) check_ok(t, series_clean_deletes(both[k]->store, t->err));
        check_alike(t, &one, &several, 0);
        fixture_end(&one);
        fixture_end(&several);
    }
}

static size_t objects_of(Test *t, Fixture *f) {
    DiskEntries entries;
    check_ok(t, f->objects->list(f->objects, TEXT("7/"), t->arena, &entries, t->err));
    return entries.count;
}

// Half of a tier is no tier: nobody sees it, and it goes when its day changes, when the store
// closes, and when nobody goes on with it.
TEST(a_tier_that_is_half_made_is_nothing) {
    Fixture f;
    Oracle oracle = {0};
    uint64_t random = t->seed;
    bool more;
    begin(t, &f, true);
    bound(t, &f, 1);
    put_day(t, &f, &oracle, TODAY, &random);
    pass_days(&f, 2);
    for (more = true; more;) check_ok(t, series_merge(f.store, &more, t->err));
    size_t before = objects_of(t, &f);
    for (int end = 0; end < 3; end++) {
        for (int i = 0; i < 5; i++) {
            check_ok(t, series_make_tiers(f.store, now_of(&f), &more, t->err));
            check(t, more);
        }
        check_i64(t, before + 5, objects_of(t, &f));
        check_i64(t, 0, state_of(&f).tiers);
        check(t, !tiers_answer(t, &f, TODAY));
        if (end == 0) {
            fixture_close(&f);
            check_ok(t, fixture_open(&f, t->arena, t->err));
            check_i64(t, 0, f.report.strangers);
            check_i64(t, before, objects_of(t, &f));
            for (more = true; more;) check_ok(t, series_merge(f.store, &more, t->err));
        } else if (end == 1) {
            // One sample more, before all those that are made already.
            fixture_clear(&f);
            oracle_row(&f, 0);
            oracle_write(&oracle, &f, 0, (Sample){TODAY + 4444444, 4711}, 0);
            fixture_write(&f);
            to_blocks(t, &f);
            for (more = true; more;) check_ok(t, series_merge(f.store, &more, t->err));
            before = objects_of(t, &f) - 5;
        } else {
            // Its first series goes.
            forget(t, &f, &oracle, 0, INT64_MIN, INT64_MAX);
            check_ok(t, series_make_tiers(f.store, now_of(&f), &more, t->err));
            check(t, !more);  // it waits for the blocks
            check_i64(t, before, objects_of(t, &f));
        }
    }
    check_ok(t, series_clean_deletes(f.store, t->err));
    check(t, keep_house(t, &f, now_of(&f)) >= 2);
    check_i64(t, SERIES_TIERS * (ORACLE_SERIES - 1), state_of(&f).tiers);
    check_both(t, &oracle, &f);
    oracle_free(&oracle);
    fixture_end(&f);
}

// A series whose day is in two blocks, of which one ends hours before the other: samples go from
// both at once, whole blocks and by rules, as windows answer only for who has none.
TEST(retention_takes_a_day_with_tiers_at_once) {
    static const int64_t HOUR = 3600000;
    for (int ruled = 0; ruled < 2; ruled++) {
        Fixture f;
        Matcher two = {MATCH_EQUAL, TEXT("number"), TEXT("02"), NULL};
        SeriesKeep rule = {{&two, 1}, 40 * (int64_t)DAY_MS};
        begin(t, &f, true);
        fixture_close(&f);
        f.series_max = 2;
        f.rules = &rule;
        f.rule_count = (size_t)ruled;
        check_ok(t, fixture_open(&f, t->arena, t->err));
        // Three series, so that the blocks do not become one.
        for (int i = 0; i < 2; i++) {
            put_number(&f, "01", TODAY + (i == 0 ? 1 : 22) * HOUR, 1);
            put_number(&f, i == 0 ? "02" : "03", TODAY + (i == 0 ? 1 : 22) * HOUR, 1);
            to_blocks(t, &f);
        }
        pass_days(&f, 2);
        keep_house(t, &f, now_of(&f));
        check_i64(t, 2, state_of(&f).blocks);
        check_text(t, TEXT("3600/3600:1 79200/3600:1 "), windows_of(t, &f, "01", HOUR));
        int64_t keep_ms = f.retention_ms, at_ms = TODAY + keep_ms + 10 * HOUR;
        keep_house(t, &f, at_ms);
        check_i64(t, 2, state_of(&f).blocks);
        check_text(t, TEXT(""), windows_of(t, &f, "01", 0));
        at_ms += 13 * HOUR;
        keep_house(t, &f, at_ms);
        check_i64(t, ruled ? 1 : 0, state_of(&f).blocks);
        check_text(t, TEXT("3600/300:1 79200/300:1 "), windows_of(t, &f, "01", 0));
        check_text(t, TEXT("79200/300:1 "), windows_of(t, &f, "03", 0));
        check_text(t, ruled ? TEXT("") : TEXT("3600/300:1 "), windows_of(t, &f, "02", 0));
        check_text(t, ruled ? TEXT("m{number=\"02\"}: 1795222800000=1\n") : TEXT(""),
                   fixture_read(&f, t, (Matchers){0}, 0, INT64_MAX));
        fixture_end(&f);
    }
}

// A block of a tier that is damaged: of the tier of an hour, which is whole, the windows are there;
// with nothing else those of the other blocks are, and it is said.
TEST(a_damaged_block_of_a_tier_takes_no_other_with_it) {
    Fixture f;
    Oracle oracle = {0};
    uint64_t random = t->seed;
    begin(t, &f, true);
    bound(t, &f, 1);
    put_day(t, &f, &oracle, TODAY, &random);
    pass_days(&f, 2);
    keep_house(t, &f, now_of(&f));
    for (bool more = true; more;)
        check_ok(t, series_retain(f.store, TODAY + 33 * (int64_t)DAY_MS, &more, t->err));
    check_i64(t, 0, state_of(&f).blocks);
    Bytes manifest;
    check_ok(t, disk_read_whole(fixture_disk(&f), TEXT("data/tenants/7/MANIFEST"), MB, t->arena,
                                &manifest, t->err));
    check(t, text_starts_with(bytes_text(manifest), TEXT("traceo series manifest 4\n")));
    fixture_close(&f);
    for (int damaged = 0; damaged < 2; damaged++) {
        // The first block of five minutes, then that of an hour, too.
        Text rest = bytes_text(manifest), line;
        const char *length = damaged == 0 ? " 300000 0 " : " 3600000 0 ";
        while (text_cut(&rest, '\n', &line)) {
            if (text_starts_with(line, TEXT("tier ")) &&
                text_find(line, text_from_cstring(length)) >= 0)
                break;
        }
        Text path =
            text_format(t->arena, "data/objects/7/%.*s", TEXT_ARG(text_slice(line, 5, 5 + 16 + 6)));
        Bytes bytes;
        check_ok(t, disk_read_whole(fixture_disk(&f), path, MB, t->arena, &bytes, t->err));
        ((uint8_t *)bytes.at)[bytes.len - 1] ^= 1;
        Text folder = TEXT("data/objects/7");
        check_ok(t, disk_replace(fixture_disk(&f), folder,
                                 text_slice(path, folder.len + 1, path.len), bytes, t->err));
        check_ok(t, fixture_open(&f, t->arena, t->err));
        check_i64(t, 1 + damaged, f.report.blocks_damaged);
        SeriesView *view = NULL;
        SeriesFoundList found;
        check_ok(t, series_view_open(f.store, 0, TODAY + 3 * (int64_t)DAY_MS, &view, t->err));
        check(t, series_view_add_tiers(view, f.store, 0));
        check_ok(t, series_select_tiers(view, (Matchers){0}, 0, t->arena, &found, t->err));
        check_i64(t, ORACLE_SERIES - (size_t)damaged, found.count);
        check_i64(t, 1 + damaged, series_view_warnings(view).count);
        SeriesParts parts = {0};
        SeriesColumns samples = {0};
        SeriesCursor *cursor = series_cursor_open(view);
        check_ok(t, series_read_parts(cursor, &found.at[3], 0, TODAY + DAY_MS, 0, &parts, &samples,
                                      t->err));
        check(t, parts.count > 0 && parts.tiers_ms[0] == (damaged == 0 ? 3600000 : 300000));
        series_cursor_close(&cursor);
        series_view_close(&view);
        series_parts_free(&parts);
        series_columns_free(&samples);
        fixture_close(&f);
    }
    check_ok(t, fixture_open(&f, t->arena, t->err));
    oracle_free(&oracle);
    fixture_end(&f);
}

// Where no tier has a time set a store's files are those they were.
TEST(off_means_nothing_is_made_or_written_otherwise) {
    Fixture f;
    Oracle oracle = {0};
    uint64_t random = 1;
    begin(t, &f, false);
    put_day(t, &f, &oracle, TODAY, &random);
    pass_days(&f, 2);
    check_i64(t, 0, keep_house(t, &f, now_of(&f)));
    check_i64(t, 0, state_of(&f).tiers);
    Bytes manifest;
    check_ok(t, disk_read_whole(fixture_disk(&f), TEXT("data/tenants/7/MANIFEST"), MB, t->arena,
                                &manifest, t->err));
    check(t, text_starts_with(bytes_text(manifest), TEXT("traceo series manifest 1\n")));
    SeriesView *view = NULL;
    check_ok(t, series_view_open(f.store, 0, INT64_MAX, &view, t->err));
    check(t, !series_view_add_tiers(view, f.store, 3600000));
    series_view_close(&view);
    check_ok(t, oracle_agrees(&oracle, &f, 0, INT64_MAX, t->err));
    oracle_free(&oracle);
    fixture_end(&f);
}

static bool golden_series(BlockWriter *writer, const char *name, TierWindows *windows, Arena *arena,
                          Error *err) {
    Label label = {LABEL_NAME, text_from_cstring(name)};
    Labels labels;
    return labels_make(&label, 1, arena, &labels, err) &&
           block_writer_series(writer, labels, err) &&
           tier_write(windows, INT64_C(1699920000000), writer, err);
}

// The block of test/golden/series/block_tier: a counter that falls twice in one window of five
// minutes, and one that ends, with a native histogram.
static bool golden_tier(Arena *arena, Builder *out, Error *err) {
    static const int64_t first = 1700000100000;
    int64_t times[] = {first - 240000, first - 180000, first - 120000, first};
    double values[] = {4, 10, 5, 2};
    SeriesColumns fallen = {.times = times, .values = values, .count = COUNT(times)};
    int64_t end_ms = first + 240000;
    double stale = stale_nan();
    SeriesColumns ended = {.times = &end_ms, .values = &stale, .count = 1};
    TierWindows windows = {0};
    BlockWriter *writer = block_writer_begin();
    tier_add_samples(&windows, 300000, &fallen);
    bool good = golden_series(writer, "fallen_total", &windows, arena, err);
    tier_add_samples(&windows, 300000, &ended);
    tier_add_histogram(&windows, 300000, first + 1000);
    good = good && golden_series(writer, "mixed", &windows, arena, err);
    block_writer_tier(writer, 300000, times[0], end_ms);
    good = good && block_writer_finish(writer, out, err);
    block_writer_free(&writer);
    array_free(&windows);
    return good;
}

TEST(the_golden_block_of_a_tier_is_written_and_read_as_ever) {
    AUTO(builder_free) Builder made = {0};
    Bytes golden;
    check_ok(t, golden_tier(t->arena, &made, t->err));
    check_ok(t, disk_read_whole(disk_real(), TEXT("test/golden/series/block_tier"), MB, t->arena,
                                &golden, t->err));
    check_i64(t, golden.len, made.len);
    if (golden.len == made.len) check_same_bytes(t, golden.at, made.at, made.len);
    // And each flipped bit is noticed by whoever reads it.
    DiskModel *model = disk_model_new();
    Objects *objects = NULL;
    check_ok(t, objects_open_directory(disk_model_disk(model), TEXT("o"), &objects, t->err));
    for (size_t bit = 0; bit < golden.len * 8; bit++) {
        Text name = text_format(t->arena, "%zu.block", bit);
        Bytes flipped = bytes_copy(golden, t->arena);
        ((uint8_t *)flipped.at)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_ok(t, objects->put(objects, name, flipped, t->err));
        Block *block = NULL;
        int64_t offset = 0;
        *t->err = (Error){0};
        bool whole = block_open(objects, name, (int64_t)golden.len, &block, t->err) &&
                     block_verify(block, &offset, INT64_MAX, t->err);
        if (whole) check_failed(t, __FILE__, __LINE__, "bit %zu is not noticed", bit);
        if (block != NULL) block_unref(&block);
        check_ok(t, objects->remove(objects, name, t->err));
    }
    objects_close(&objects);
    disk_model_free(&model);
}

TEST(a_snapshot_has_the_tiers_too) {
    Fixture f;
    begin(t, &f, true);
    put_number(&f, "01", TODAY + 1000, 1);
    to_blocks(t, &f);
    pass_days(&f, 3);
    keep_house(t, &f, now_of(&f));
    Disk *disk = fixture_disk(&f);
    check_ok(t, disk_make_folders(disk, TEXT("copy/objects/7"), t->err));
    check_ok(t, disk_make_folders(disk, TEXT("copy/tenants/7"), t->err));
    check_ok(t, series_snapshot(f.store, TEXT("copy/objects/7"), TEXT("copy/tenants/7"), t->err));
    SeriesOptions options = fixture_options(&f);
    Objects *objects = NULL;
    SeriesStore *copy = NULL;
    SeriesReport report;
    check_ok(t, objects_open_directory(disk, TEXT("copy/objects"), &objects, t->err));
    options.objects = objects;
    options.folder = TEXT("copy/tenants/7");
    check_ok(t, series_open(options, t->arena, &report, &copy, t->err));
    SeriesState state;
    series_state(copy, &state);
    check_i64(t, 2, state.tiers);
    check_i64(t, 0, report.blocks_damaged);
    series_close(&copy);
    objects_close(&objects);
    fixture_end(&f);
}

TEST_MAIN("store/tier", CASE(windows_say_what_a_slow_look_at_the_samples_says),
          CASE(deletes_take_from_tiers_what_they_take_from_samples),
          CASE(samples_go_and_windows_stay_each_for_its_time),
          CASE(windows_of_five_minutes_go_before_those_of_an_hour),
          CASE(samples_wait_for_their_tiers_for_a_week),
          CASE(late_samples_do_not_undo_a_final_tier),
          CASE(a_day_of_several_blocks_has_the_windows_of_one_block),
          CASE(a_tier_that_is_half_made_is_nothing), CASE(retention_takes_a_day_with_tiers_at_once),
          CASE(a_damaged_block_of_a_tier_takes_no_other_with_it),
          CASE(off_means_nothing_is_made_or_written_otherwise),
          CASE(the_golden_block_of_a_tier_is_written_and_read_as_ever),
          CASE(a_snapshot_has_the_tiers_too))
