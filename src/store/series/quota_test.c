// Limits of new series: who is refused, who goes on, and what is told of it.

#include "store/series/quota.h"

#include "store/series/series_fixture.h"

static void begin(Test *t, Fixture *f, SeriesLimits limits) {
    fixture_begin(f, t);
    series_close(&f->store);
    SeriesOptions options = fixture_options(f);
    options.limits = limits;
    check_ok(t, series_open(options, t->arena, &f->report, &f->store, t->err));
}

TEST(new_series_beyond_the_quota_are_refused_and_known_ones_flow) {
    Fixture f;
    begin(t, &f, (SeriesLimits){.active_max = 3});
    for (int i = 0; i < 5; i++) {
        fixture_put(&f, text_format(t->arena, "m%d", i).at, NULL, FIXTURE_NOW_MS, 1);
        check_i64(t, i < 3 ? 1 : 0, f.batch.counts[VERDICT_STORED]);
        check_i64(t, i < 3 ? 0 : 1, f.batch.counts[VERDICT_LIMIT]);
    }
    check(t, text_find(text_from_cstring(f.batch.first_fault.message), TEXT("series.active_max")) >=
                 0);
    fixture_put(&f, "m1", NULL, FIXTURE_NOW_MS + 1, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    fixture_end(&f);
}

TEST(one_metric_does_not_take_the_room_of_the_others) {
    Fixture f;
    begin(t, &f, (SeriesLimits){.per_metric_max = 2});
    for (int i = 0; i < 5; i++) {
        const char *user = text_format(t->arena, "u%d", i).at;
        fixture_put(&f, "hits", (const char *const[]){"user", user, NULL}, FIXTURE_NOW_MS, 1);
        check_i64(t, i < 2 ? 1 : 0, f.batch.counts[VERDICT_STORED]);
    }
    check_text(
        t,
        TEXT("series hits{user=\"u4\"}: its label \"user\" has most values, 2: no new series "
             "of this metric: 2 are active, the limit series.per_metric_max"),
        text_from_cstring(f.batch.first_fault.message));
    fixture_put(&f, "other", (const char *const[]){"user", "u4", NULL}, FIXTURE_NOW_MS, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    fixture_put(&f, "hits", (const char *const[]){"user", "u1", NULL}, FIXTURE_NOW_MS + 1, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    SeriesRefusals refusals;
    series_refusals(f.store, t->arena, &refusals);
    check_i64(t, 3, refusals.refused);
    check_i64(t, 1, refusals.count);
    check_text(t, TEXT("hits"), refusals.at[0].metric);
    check_text(t, TEXT("user"), refusals.at[0].label);
    check_i64(t, 3, refusals.at[0].count);
    check_i64(t, REFUSED_METRIC, refusals.at[0].reason);
    // A head that turns makes room; what it knew comes again also where others came first.
    check_ok(t, series_turn(f.store, t->err));
    for (int i = 7; i < 10; i++) {
        const char *user = text_format(t->arena, "u%d", i).at;
        fixture_put(&f, "hits", (const char *const[]){"user", user, NULL}, FIXTURE_NOW_MS + 2, 1);
        check_i64(t, i < 9 ? 1 : 0, f.batch.counts[VERDICT_STORED]);
    }
    fixture_put(&f, "hits", (const char *const[]){"user", "u1", NULL}, FIXTURE_NOW_MS + 2, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    // A raised limit is in force at once.
    series_set_limits(f.store, (SeriesLimits){0});
    fixture_put(&f, "hits", (const char *const[]){"user", "u9", NULL}, FIXTURE_NOW_MS + 2, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    fixture_end(&f);
}

TEST(metrics_that_are_refused_most_are_known_among_many) {
    Registry registry;
    registry_begin(&registry, (HashKey){1, 2});
    Quota quota;
    quota_begin(&quota, (SeriesLimits){0}, 0);
    uint64_t random = t->seed;
    for (int i = 0; i < 20000; i++) {
        uint64_t dice = test_random(&random);
        const char *name =
            dice % 4 == 0 ? "bomb"
                          : text_format(t->arena, "m%llu", (unsigned long long)(dice % 5000)).at;
        Label pairs[] = {{TEXT("__name__"), text_from_cstring(name)}};
        Labels labels;
        check_ok(t, labels_make(pairs, 1, t->arena, &labels, t->err));
        quota_refused(&quota, &registry, labels.wire, REFUSED_RATE, 77);
    }
    SeriesRefusals refusals;
    quota_refusals(&quota, t->arena, &refusals);
    check_i64(t, 20000, refusals.refused);
    check_i64(t, QUOTA_REFUSALS, refusals.count);
    check_text(t, TEXT("bomb"), refusals.at[0].metric);
    check(t, refusals.at[0].count > 4500 && refusals.at[0].count < 6500);
    check_i64(t, 77, refusals.at[0].last_ms);
    // A name that is too long is cut between characters.
    Builder longer = {0};
    for (int i = 0; i < 100; i++) builder_add(&longer, TEXT("é"));
    Label pairs[] = {{TEXT("__name__"), builder_text(&longer)}};
    Labels labels;
    check_ok(t, labels_make(pairs, 1, t->arena, &labels, t->err));
    quota_end(&quota);
    quota_begin(&quota, (SeriesLimits){0}, 0);
    quota_refused(&quota, &registry, labels.wire, REFUSED_ACTIVE, 1);
    quota_refusals(&quota, t->arena, &refusals);
    check_i64(t, 126, refusals.at[0].metric.len);
    check(t, text_is_utf8(refusals.at[0].metric));
    builder_free(&longer);
    quota_end(&quota);
    registry_end(&registry);
}

TEST(a_refused_series_is_told_with_the_label_that_grows) {
    Fixture f;
    begin(t, &f, (SeriesLimits){.active_max = 3});
    for (int i = 0; i < 4; i++) {
        const char *user = text_format(t->arena, "u%d", i).at;
        fixture_put(&f, "hits", (const char *const[]){"job", "web", "user", user, NULL},
                    FIXTURE_NOW_MS, 1);
    }
    check_text(t,
               TEXT("series hits{job=\"web\", user=\"u3\"}: its label \"user\" has most values, 3: "
                    "no new series: 3 are active, the limit series.active_max"),
               text_from_cstring(f.batch.first_fault.message));
    fixture_end(&f);
}

TEST(new_series_are_limited_in_a_second_and_welcome_in_the_next) {
    Fixture f;
    begin(t, &f, (SeriesLimits){.new_per_s = 10});
    for (int i = 0; i < 24; i++) {
        if (i == 12) clock_advance(&f.clock, 1000);
        fixture_put(&f, text_format(t->arena, "m%d", i).at, NULL, FIXTURE_NOW_MS, 1);
        check_i64(t, i % 12 < 10 ? 1 : 0, f.batch.counts[VERDICT_STORED]);
    }
    fixture_end(&f);
}

TEST(the_series_of_the_last_head_come_again_beside_the_rate) {
    Fixture f;
    begin(t, &f, (SeriesLimits){.new_per_s = 10});
    for (int life = 0; life < 4; life++) {
        // No time passes, so the rate is used up by the first life; the eleventh series is a new
        // one every time.
        for (int i = 0; i < 11; i++) {
            fixture_put(&f, text_format(t->arena, "m%d", i).at, NULL, FIXTURE_NOW_MS + life, 1);
            check_i64(t, i < 10 ? 1 : 0, f.batch.counts[VERDICT_STORED]);
        }
        check_ok(t, series_turn(f.store, t->err));
        if (life > 0) check_ok(t, series_seal(f.store, t->err));
    }
    fixture_end(&f);
}

TEST_MAIN("store/quota", CASE(new_series_beyond_the_quota_are_refused_and_known_ones_flow),
          CASE(one_metric_does_not_take_the_room_of_the_others),
          CASE(metrics_that_are_refused_most_are_known_among_many),
          CASE(a_refused_series_is_told_with_the_label_that_grows),
          CASE(new_series_are_limited_in_a_second_and_welcome_in_the_next),
          CASE(the_series_of_the_last_head_come_again_beside_the_rate))
