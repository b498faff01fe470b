// The head alone: what is written is read, in any order of times; series are recognised; matchers
// mean what PromQL says.

#include <stdlib.h>

#include "store/series/series_fixture.h"

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static Matchers one_matcher(Test *t, MatcherKind kind, const char *name, const char *value) {
    Matcher *matcher = arena_push(t->arena, Matcher);
    check_ok(
        t, matcher_make(kind, text_from_cstring(name), text_from_cstring(value), matcher, t->err));
    return (Matchers){matcher, 1};
}

static void check_select(Test *t, Fixture *f, MatcherKind kind, const char *name, const char *value,
                         Text stated) {
    Matchers matchers = one_matcher(t, kind, name, value);
    check_text(t, stated, fixture_read(f, t, matchers, 0, 0));
    matcher_close(&matchers.at[0]);
}

TEST(what_is_written_is_read_at_once) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_put(&f, "up", PAIRS("job", "a"), 1000, 1);
    fixture_put(&f, "up", PAIRS("job", "b"), 1000, 2);
    fixture_put(&f, "up", PAIRS("job", "a"), 2000, 3);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    check_text(t, TEXT("up{job=\"a\"}: 1000=1 2000=3\nup{job=\"b\"}: 1000=2\n"),
               fixture_read(&f, t, (Matchers){0}, 0, 5000));
    check_text(t, TEXT("up{job=\"a\"}: 2000=3\nup{job=\"b\"}:\n"),
               fixture_read(&f, t, (Matchers){0}, 1001, 5000));
    fixture_end(&f);
}

TEST(many_samples_pass_from_tail_to_strips_and_back) {
    Fixture f;
    fixture_begin(&f, t);
    enum { SERIES = 40, STEPS = 333 };
    for (int step = 0; step < STEPS; step++) {
        fixture_clear(&f);
        for (int i = 0; i < SERIES; i++) {
            fixture_row(&f, "m", PAIRS("i", text_format(t->arena, "%03d", i).at));
            fixture_sample(&f, FIXTURE_NOW_MS + step * 15000, step * 0.25 + i);
        }
        fixture_write(&f);
        check_i64(t, SERIES, f.batch.counts[VERDICT_STORED]);
    }
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {0};
    check_ok(t, series_view_open(f.store, 0, INT64_MAX, &view, t->err));
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    check_i64(t, SERIES, found.count);
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        uint64_t number;
        check(t, text_to_u64(labels_get(found.at[i].labels, TEXT("i")), &number));
        check_ok(t, series_read(cursor, &found.at[i], FIXTURE_NOW_MS + 15000,
                                FIXTURE_NOW_MS + 300 * 15000, &columns, t->err));
        check_i64(t, 300, columns.count);
        for (int k = 0; k < 300; k++) {
            check_i64(t, FIXTURE_NOW_MS + (k + 1) * 15000, columns.times[k]);
            check(t, columns.values[k] == (k + 1) * 0.25 + (double)number);
        }
    }
    SeriesState state;
    series_state(f.store, &state);
    // All but the first of the second request: who follows the last series has to be seen once.
    check_i64(t, SERIES * (STEPS - 1) - 1, state.predicted);
    check_i64(t, SERIES, state.series_created);
    series_columns_free(&columns);
    series_cursor_close(&cursor);
    series_view_close(&view);
    fixture_end(&f);
}

TEST(w25_equal_repeats_add_nothing_and_others_are_refused) {
    Fixture f;
    fixture_begin(&f, t);
    for (int i = 0; i < 40; i++) fixture_put(&f, "m", NULL, 1000 * i, i);
    fixture_put(&f, "m", NULL, 39000, 39);
    check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
    fixture_put(&f, "m", NULL, 39000, 40);
    check_i64(t, 1, f.batch.counts[VERDICT_CONFLICT]);
    fixture_put(&f, "m", NULL, 3000, 3);
    check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
    fixture_put(&f, "m", NULL, 3000, -3);
    check_i64(t, 1, f.batch.counts[VERDICT_CONFLICT]);
    fixture_put(&f, "m", NULL, 35000, 35);
    check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
    fixture_put(&f, "m", NULL, 3500, 7);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    fixture_put(&f, "m", NULL, 3500, 7);
    check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
    check_text(t, TEXT("m: 3000=3 3500=7 4000=4\n"),
               fixture_read(&f, t, (Matchers){0}, 3000, 4000));
    fixture_end(&f);
}

static void check_interval(Test *t, Fixture *f, int from, int to) {
    Builder stated = {0};
    builder_add(&stated, TEXT("m:"));
    for (int i = from; i <= to; i++) builder_addf(&stated, " %d=%d", i * 1000, i);
    builder_add(&stated, TEXT("\n"));
    check_text(t, builder_text(&stated), fixture_read(f, t, (Matchers){0}, from * 1000, to * 1000));
    builder_free(&stated);
}

TEST(every_interval_has_both_its_ends) {
    Fixture f;
    fixture_begin(&f, t);
    for (int i = 0; i < 40; i++) fixture_put(&f, "m", NULL, 1000 * i, i);
    for (int from = 0; from < 40; from++) {
        for (int to = from; to < 40; to += 3) check_interval(t, &f, from, to);
    }
    fixture_end(&f);
}

TEST(a_backfill_in_falling_order_is_stored_once_and_read_in_order) {
    Fixture f;
    fixture_begin(&f, t);
    enum { SAMPLES = 900 };
    for (int i = SAMPLES - 20; i < SAMPLES; i++) fixture_put(&f, "m", NULL, 1000 * i, i);
    for (int i = SAMPLES - 21; i >= 0; i--) {
        fixture_put(&f, "m", NULL, 1000 * i, i);
        check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    }
    for (int i = 0; i < SAMPLES; i += 7) {
        fixture_put(&f, "m", NULL, 1000 * i, i);
        check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
        fixture_put(&f, "m", NULL, 1000 * i, -1);
        check_i64(t, 1, f.batch.counts[VERDICT_CONFLICT]);
    }
    for (int from = 0; from < SAMPLES; from += 83) {
        for (int to = from; to < SAMPLES; to += 59) check_interval(t, &f, from, to);
    }
    check_interval(t, &f, 0, SAMPLES - 1);
    fixture_end(&f);
}

TEST(matchers_mean_what_prometheus_means) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_put(&f, "a", PAIRS("env", "dev"), 0, 1);
    fixture_put(&f, "a", PAIRS("env", "prod"), 0, 2);
    fixture_put(&f, "b", NULL, 0, 3);
    Text dev = TEXT("a{env=\"dev\"}: 0=1\n"), dev_b = TEXT("a{env=\"dev\"}: 0=1\nb: 0=3\n"),
         b = TEXT("b: 0=3\n");
    Text both = TEXT("a{env=\"dev\"}: 0=1\na{env=\"prod\"}: 0=2\n");
    Text all = TEXT("a{env=\"dev\"}: 0=1\na{env=\"prod\"}: 0=2\nb: 0=3\n");
    check_select(t, &f, MATCH_EQUAL, "env", "dev", dev);
    check_select(t, &f, MATCH_EQUAL, "env", "none", TEXT(""));
    check_select(t, &f, MATCH_EQUAL, "env", "", b);
    check_select(t, &f, MATCH_NOT_EQUAL, "env", "prod", dev_b);
    check_select(t, &f, MATCH_NOT_EQUAL, "env", "", both);
    check_select(t, &f, MATCH_REGEX, "env", "d.*", dev);
    check_select(t, &f, MATCH_REGEX, "env", "dev|prod", both);
    check_select(t, &f, MATCH_REGEX, "env", "dev|", dev_b);
    check_select(t, &f, MATCH_REGEX, "env", ".*", all);
    check_select(t, &f, MATCH_REGEX, "env", ".+", both);
    check_select(t, &f, MATCH_NOT_REGEX, "env", "p.*", dev_b);
    check_select(t, &f, MATCH_NOT_REGEX, "env", "p.*|", dev);
    check_select(t, &f, MATCH_EQUAL, "nowhere", "", all);
    check_select(t, &f, MATCH_EQUAL, "nowhere", "x", TEXT(""));
    fixture_end(&f);
}

TEST(labels_that_are_not_canonical_are_refused_and_the_rest_stored) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_clear(&f);
    fixture_row(&f, "m", PAIRS("b", "1", "a", "2"));  // not sorted
    fixture_sample(&f, 1, 1);
    fixture_row(&f, "m", PAIRS("a", "2"));
    fixture_sample(&f, 1, 1);
    fixture_write(&f);
    check_i64(t, 1, f.batch.counts[VERDICT_BAD_LABELS]);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    check_i64(t, ERROR_BAD_INPUT, f.batch.first_fault.code);
    check_text(t, TEXT("m{a=\"2\"}: 1=1\n"), fixture_read(&f, t, (Matchers){0}, 0, 10));
    fixture_end(&f);
}

TEST(names_and_values_are_sorted_and_unique) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_put(&f, "b", PAIRS("zone", "2", "zoo", "x"), 0, 1);
    fixture_put(&f, "a", PAIRS("zone", "1"), 0, 1);
    fixture_put(&f, "c", PAIRS("zone", "2"), 0, 1);
    SeriesView *view = NULL;
    check_ok(t, series_view_open(f.store, 0, 1, &view, t->err));
    Texts names, values;
    check_ok(t, series_label_names(view, (Matchers){0}, t->arena, &names, t->err));
    check_i64(t, 3, names.count);
    check_text(t, TEXT("__name__"), names.at[0]);
    check_text(t, TEXT("zone"), names.at[1]);
    check_text(t, TEXT("zoo"), names.at[2]);
    check_ok(t, series_label_values(view, TEXT("zone"), (Matchers){0}, t->arena, &values, t->err));
    check_i64(t, 2, values.count);
    Matchers matchers = one_matcher(t, MATCH_EQUAL, "__name__", "c");
    check_ok(t, series_label_values(view, TEXT("zone"), matchers, t->arena, &values, t->err));
    check_i64(t, 1, values.count);
    check_text(t, TEXT("2"), values.at[0]);
    series_view_close(&view);
    SeriesTop *top;
    size_t count;
    check_ok(t, series_top(f.store, TOP_PAIR, 1, t->arena, &top, &count, t->err));
    check_i64(t, 1, count);
    check_text(t, TEXT("zone=2"), top[0].name);
    check_i64(t, 2, top[0].count);
    fixture_end(&f);
}

TEST_MAIN("store/head", CASE(what_is_written_is_read_at_once),
          CASE(many_samples_pass_from_tail_to_strips_and_back),
          CASE(w25_equal_repeats_add_nothing_and_others_are_refused),
          CASE(every_interval_has_both_its_ends),
          CASE(a_backfill_in_falling_order_is_stored_once_and_read_in_order),
          CASE(matchers_mean_what_prometheus_means),
          CASE(labels_that_are_not_canonical_are_refused_and_the_rest_stored),
          CASE(names_and_values_are_sorted_and_unique))
