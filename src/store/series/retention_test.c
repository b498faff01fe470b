// Retention by labels: each series goes when its time is over, none before, and whole blocks go
// when nothing of them is kept.

#include "store/series/retention.h"

#include "store/series/series_fixture.h"

enum { DAY_MS = 86400000 };

typedef struct Rules {
    SeriesKeep rules[3];
    Matcher matchers[3];
} Rules;

static void rule(Test *t, Rules *rules, size_t i, MatcherKind kind, const char *name,
                 const char *value, int64_t days) {
    check_ok(t, matcher_make(kind, text_from_cstring(name), text_from_cstring(value),
                             &rules->matchers[i], t->err));
    rules->rules[i] = (SeriesKeep){{&rules->matchers[i], 1}, days * DAY_MS};
}

static void rules_end(Rules *rules) {
    for (size_t i = 0; i < COUNT(rules->matchers); i++) matcher_close(&rules->matchers[i]);
}

// dev goes after three days, but what it has of audits stays ten; slo: stays for ever; the others
// seven.
static void begin(Test *t, Fixture *f, Rules *rules) {
    rule(t, rules, 0, MATCH_EQUAL, "kind", "audit", 10);
    rule(t, rules, 1, MATCH_EQUAL, "env", "dev", 3);
    rule(t, rules, 2, MATCH_REGEX, "__name__", "slo:.*", 0);
    fixture_begin(f, t);
    fixture_close(f);
    f->retention_ms = 7 * DAY_MS;
    f->rules = rules->rules;
    f->rule_count = COUNT(rules->rules);
    check_ok(t, fixture_open(f, t->arena, t->err));
}

static void put_all(Test *t, Fixture *f, int64_t time_ms) {
    fixture_put(f, "m", (const char *const[]){"env", "dev", NULL}, time_ms, 1);
    fixture_put(f, "m", (const char *const[]){"env", "dev", "kind", "audit", NULL}, time_ms, 1);
    fixture_put(f, "m", (const char *const[]){"env", "prod", NULL}, time_ms, 1);
    fixture_put(f, "slo:m", NULL, time_ms, 1);
    check_ok(t, series_turn(f->store, t->err));
    check_ok(t, series_seal(f->store, t->err));
}

// Housekeeping until nothing is left to do; returns how many blocks were written again.
static int retain(Test *t, Fixture *f, int64_t now_ms) {
    int rounds = 0;
    for (bool more = true; more; rounds += more)
        check_ok(t, series_retain(f->store, now_ms, &more, t->err));
    return rounds;
}

// How many samples a series has by now: its labels as they are printed, or all.
static size_t left(Test *t, Fixture *f, const char *series) {
    AUTO(series_view_close) SeriesView *view = NULL;
    AUTO(series_columns_free) SeriesColumns columns = {0};
    SeriesFoundList found;
    size_t count = 0;
    check_ok(t, series_view_open(f->store, 0, INT64_MAX, &view, t->err));
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        AUTO(builder_free) Builder name = {0};
        labels_print(found.at[i].labels, &name);
        if (!text_equal(builder_text(&name), text_from_cstring(series))) continue;
        check_ok(t, series_read(cursor, &found.at[i], 0, INT64_MAX, &columns, t->err));
        count += columns.count;
    }
    series_cursor_close(&cursor);
    return count;
}

static const char *const kinds[] = {"m{env=\"dev\"}", "m{env=\"dev\", kind=\"audit\"}",
                                    "m{env=\"prod\"}", "slo:m"};

TEST(the_first_rule_that_matches_counts) {
    Fixture f;
    Rules rules;
    begin(t, &f, &rules);
    SeriesRetention retention = {7 * DAY_MS, rules.rules, COUNT(rules.rules)};
    static const struct {
        const char *labels[5];
        int64_t days;
    } rows[] = {
        {{"env", "dev"}, 3},
        {{"env", "dev", "kind", "audit"}, 10},
        {{"env", "prod"}, 7},
        {{"__name__", "slo:x", "env", "dev"}, 3},
        {{"__name__", "slo:x", "env", "prod"}, 0},
        {{NULL}, 7},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Label labels[3];
        size_t count = 0;
        for (; rows[i].labels[2 * count] != NULL; count++)
            labels[count] = (Label){text_from_cstring(rows[i].labels[2 * count]),
                                    text_from_cstring(rows[i].labels[2 * count + 1])};
        Labels made;
        check_ok(t, labels_make(labels, count, t->arena, &made, t->err));
        check_i64(t, rows[i].days * DAY_MS, retention_of(&retention, made));
        int64_t keep_ms = rows[i].days * DAY_MS;
        check(t, !retention_is_over(&retention, made, 100, 100 + keep_ms));
        check(t, retention_is_over(&retention, made, 100, 101 + keep_ms) == (keep_ms > 0));
    }
    check_i64(t, 0, retention_longest(&retention));
    retention.rule_count = 2;
    check_i64(t, 10 * DAY_MS, retention_longest(&retention));
    check_i64(t, 101 + 3 * DAY_MS, retention_next(&retention, 100, 0));
    check_i64(t, 101 + 7 * DAY_MS, retention_next(&retention, 100, 101 + 3 * DAY_MS));
    check_i64(t, INT64_MAX, retention_next(&retention, 100, 101 + 10 * DAY_MS));
    rules_end(&rules);
    fixture_end(&f);
}

TEST(each_series_goes_when_its_time_is_over_and_none_before) {
    Fixture f;
    Rules rules;
    begin(t, &f, &rules);
    put_all(t, &f, FIXTURE_NOW_MS);
    put_all(t, &f, FIXTURE_NOW_MS + DAY_MS);
    static const int64_t days[] = {3, 10, 7, 1000};
    for (int day = 1; day < 14; day++) {
        // A millisecond before and after each border of the first day's block, and of the second's.
        for (int after = 0; after < 2; after++) {
            int64_t now_ms = FIXTURE_NOW_MS + day * (int64_t)DAY_MS + after;
            int rewrites = retain(t, &f, now_ms);
            bool border = day == 3 || day == 4 || day == 7 || day == 8 || day == 10 || day == 11;
            check_i64(t, after == 1 && border, rewrites);
            for (size_t i = 0; i < COUNT(kinds); i++) {
                size_t expected = 0;
                for (int64_t at = 0; at < 2; at++)
                    expected += (day - days[i]) * DAY_MS + after <= at * DAY_MS;
                size_t is = left(t, &f, kinds[i]);
                if (is != expected)
                    check_failed(t, __FILE__, __LINE__, "%s on day %d + %d: %zu, not %zu", kinds[i],
                                 day, after, is, expected);
            }
        }
        if (day % 5 == 0) {
            fixture_close(&f);
            check_ok(t, fixture_open(&f, t->arena, t->err));
        }
    }
    SeriesState state;
    series_state(f.store, &state);
    check_i64(t, 2, state.blocks);
    check_i64(t, 2, state.block_samples);
    rules_end(&rules);
    fixture_end(&f);
}

TEST(
    blocks_of_which_nothing_is_kept_go_whole_and_old_samples_are_welcome_as_long_as_any_rule_says) {
    Fixture f;
    Rules rules;
    begin(t, &f, &rules);
    fixture_close(&f);
    f.rule_count = 2;  // without the one that keeps for ever
    check_ok(t, fixture_open(&f, t->arena, t->err));
    fixture_put(&f, "m", (const char *const[]){"env", "dev", NULL},
                FIXTURE_NOW_MS - 11 * (int64_t)DAY_MS, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_TOO_OLD]);
    fixture_put(&f, "m", (const char *const[]){"kind", "audit", NULL},
                FIXTURE_NOW_MS - 9 * (int64_t)DAY_MS, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    put_all(t, &f, FIXTURE_NOW_MS);
    SeriesState state;
    check_i64(t, 1, retain(t, &f, FIXTURE_NOW_MS + 8 * (int64_t)DAY_MS));
    series_state(f.store, &state);
    check_i64(t, 1, state.blocks);
    check_i64(t, 0, retain(t, &f, FIXTURE_NOW_MS + 10 * (int64_t)DAY_MS + 1));
    series_state(f.store, &state);
    check_i64(t, 0, state.blocks);
    rules_end(&rules);
    fixture_end(&f);
}

TEST(answers_that_are_kept_know_what_retention_took) {
    Fixture f;
    Rules rules;
    begin(t, &f, &rules);
    put_all(t, &f, FIXTURE_NOW_MS);
    uint64_t version = series_watch_changes(f.store, INT64_MAX);
    check_i64(t, 0, retain(t, &f, FIXTURE_NOW_MS + DAY_MS));
    check_i64(t, INT64_MAX, series_changed_since(f.store, version));
    check_i64(t, 1, retain(t, &f, FIXTURE_NOW_MS + 4 * (int64_t)DAY_MS));
    check(t, series_changed_since(f.store, version) <= FIXTURE_NOW_MS);
    rules_end(&rules);
    fixture_end(&f);
}

TEST_MAIN(
    "store/retention", CASE(the_first_rule_that_matches_counts),
    CASE(each_series_goes_when_its_time_is_over_and_none_before),
    CASE(
        blocks_of_which_nothing_is_kept_go_whole_and_old_samples_are_welcome_as_long_as_any_rule_says),
    CASE(answers_that_are_kept_know_what_retention_took))
