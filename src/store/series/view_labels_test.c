// Labels of selected series, and values of labels, by whatever way they are found, beside what
// plain selection says: in a head, in a block, and in both.

#include "store/series/series_fixture.h"

static const char *const metrics[] = {"a", "b", "c", "d"};
static const char *const zones[] = {"1", "2", "3"};

// Of 4 names × 3 zones × 40 hosts about half. Host "h7" differs from none by its name.
static void put_some(Fixture *f, uint64_t *random, int64_t time_ms) {
    for (size_t i = 0; i < 240; i++) {
        char host[16];
        uint64_t dice = test_random(random);
        const char *zone = zones[dice % 3], *name = metrics[dice / 3 % 4];
        snprintf(host, sizeof host, "h%u", (unsigned)(dice / 12 % 40));
        const char *const with_zone[] = {"host", host, "zone", zone, NULL};
        const char *const without[] = {"host", host, NULL};
        fixture_put(f, name, dice / 1000 % 4 == 0 ? without : with_zone, time_ms + (int64_t)i, 1);
    }
}

static Matchers some_matchers(Test *t, uint64_t *random, Matcher at[2]) {
    static const char *const values[] = {"a", "b|c", "h1.*", "2", "", ".*", "nobody"};
    static const char *const names[] = {"__name__", "zone", "host"};
    size_t count = test_random(random) % 3;
    for (size_t i = 0; i < count; i++) {
        Text name = text_from_cstring(names[test_random(random) % COUNT(names)]);
        Text value = text_from_cstring(values[test_random(random) % COUNT(values)]);
        check_ok(t,
                 matcher_make((MatcherKind)(test_random(random) % 4), name, value, &at[i], t->err));
    }
    return (Matchers){at, count};
}

static int by_text(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

static void check_values(Test *t, SeriesView *view, Text name, Matchers matchers,
                         SeriesFoundList whole) {
    Text *expected = arena_push_array(t->arena, Text, whole.count + 1);
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < whole.count; i++) {
        Text value = labels_get(whole.at[i].labels, name);
        if (value.len > 0) expected[count++] = value;
    }
    if (count > 0) qsort(expected, count, sizeof *expected, by_text);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !text_equal(expected[kept - 1], expected[i]))
            expected[kept++] = expected[i];
    }
    Texts found;
    check_ok(t, series_label_values(view, name, matchers, t->arena, &found, t->err));
    check_i64(t, (int64_t)kept, (int64_t)found.count);
    for (size_t i = 0; i < MIN(kept, found.count); i++) check_text(t, expected[i], found.at[i]);
}

static void check_names(Test *t, SeriesView *view, Matchers matchers, SeriesFoundList whole) {
    static const char *const names[] = {"__name__", "host", "zone"};
    size_t kept = 0;
    Texts found;
    check_ok(t, series_label_names(view, matchers, t->arena, &found, t->err));
    for (size_t i = 0; i < COUNT(names); i++) {
        Text name = text_from_cstring(names[i]);
        bool held = false;
        for (size_t k = 0; k < whole.count; k++)
            held |= labels_get(whole.at[k].labels, name).len > 0;
        if (held && kept < found.count) check_text(t, name, found.at[kept]);
        kept += held;
    }
    check_i64(t, (int64_t)kept, (int64_t)found.count);
}

static Labels only(Test *t, Labels labels, Texts names, bool keep) {
    Builder wire = {0};
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        bool among = false;
        for (size_t i = 0; i < names.count; i++) among |= text_equal(names.at[i], label.name);
        if (among == keep) labels_append(&wire, label.name, label.value);
    }
    Labels copy = {bytes_copy(text_bytes(builder_text(&wire)), t->arena)};
    builder_free(&wire);
    return copy;
}

// The same series in the same order, with the wanted labels alone, and equal ones in one place.
static void check_wanted(Test *t, SeriesView *view, Matchers matchers, Texts labels,
                         SeriesFoundList whole) {
    static Text name[] = {TEXT_INIT("__name__")};
    SeriesWanted wanted = {.some = true, .labels = labels, .without = {name, 1}};
    SeriesFoundList found;
    check_ok(t, series_select_labels(view, matchers, &wanted, t->arena, &found, t->err));
    check_i64(t, (int64_t)whole.count, (int64_t)found.count);
    bool apart = true;
    Labels *rests = arena_push_array(t->arena, Labels, whole.count + 1);
    for (size_t i = 0; i < MIN(whole.count, found.count); i++) {
        check(t, labels_equal(found.at[i].labels, only(t, whole.at[i].labels, labels, true)));
        rests[i] = only(t, whole.at[i].labels, wanted.without, false);
        for (size_t j = 0; j < i; j++) {
            apart &= !labels_equal(rests[i], rests[j]);
            if (labels_equal(found.at[i].labels, found.at[j].labels))
                check(t, found.at[i].labels.wire.at == found.at[j].labels.wire.at);
        }
    }
    check_i64(t, apart, found.apart);
}

static void check_all(Test *t, Fixture *f, uint64_t *random) {
    SeriesView *view = NULL;
    Text zone_and_name[] = {TEXT_INIT("__name__"), TEXT_INIT("zone")}, host = TEXT("host");
    check_ok(t, series_view_open(f->store, 0, INT64_MAX, &view, t->err));
    for (int round = 0; round < 40; round++) {
        Matcher at[2];
        SeriesFoundList whole;
        Matchers matchers = some_matchers(t, random, at);
        check_ok(t, series_select(view, matchers, 0, t->arena, &whole, t->err));
        check_values(t, view, TEXT("__name__"), matchers, whole);
        check_values(t, view, TEXT("zone"), matchers, whole);
        check_values(t, view, host, matchers, whole);
        check_values(t, view, TEXT("none"), matchers, whole);
        check_names(t, view, matchers, whole);
        check_wanted(t, view, matchers, (Texts){zone_and_name, 2}, whole);
        check_wanted(t, view, matchers, (Texts){&host, 1}, whole);
        check_wanted(t, view, matchers, (Texts){0}, whole);
        for (size_t i = 0; i < matchers.count; i++) matcher_close(&at[i]);
    }
    series_view_close(&view);
}

TEST(labels_and_values_are_those_of_plain_selection) {
    Fixture f;
    uint64_t random = 77;
    fixture_begin(&f, t);
    put_some(&f, &random, FIXTURE_NOW_MS);
    check_all(t, &f, &random);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    check_all(t, &f, &random);  // one block, and an empty head
    put_some(&f, &random, FIXTURE_NOW_MS + 1000);
    check_all(t, &f, &random);  // both
    fixture_end(&f);
}

static void forget(Test *t, Fixture *f, const char *name, const char *value, int64_t to_ms) {
    Matcher matcher = {MATCH_EQUAL, text_from_cstring(name), text_from_cstring(value), NULL};
    Matchers matchers = {&matcher, 1};
    check_ok(t, series_delete(f->store, &matchers, 1, 0, to_ms, t->err));
}

// Some series are deleted whole, and some in part.
TEST(labels_and_values_of_what_deletes_leave) {
    Fixture f;
    uint64_t random = 78;
    fixture_begin(&f, t);
    put_some(&f, &random, FIXTURE_NOW_MS);
    forget(t, &f, "zone", "2", INT64_MAX);
    forget(t, &f, "__name__", "b", FIXTURE_NOW_MS + 120);
    check_all(t, &f, &random);
    put_some(&f, &random, FIXTURE_NOW_MS + 1000);
    check_all(t, &f, &random);  // what was deleted has come again
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    forget(t, &f, "host", "h1", INT64_MAX);
    check_all(t, &f, &random);  // two blocks, and deletes that mean one or both
    fixture_end(&f);
}

TEST_MAIN("store/view_labels", CASE(labels_and_values_are_those_of_plain_selection),
          CASE(labels_and_values_of_what_deletes_leave))
