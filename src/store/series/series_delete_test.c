// Deletes: what they take, what they leave, that they last, and that they leave the disk.

#include <stdlib.h>

#include "base/limits.h"
#include "store/series/generations.h"
#include "store/series/series_fixture.h"

#define AT(second) (FIXTURE_NOW_MS + (second)*1000)

static const char *const job_a[] = {"job", "a", NULL};
static const char *const job_b[] = {"job", "b", NULL};

static Matcher all_matcher = {MATCH_NOT_EQUAL, TEXT_INIT("__name__"), TEXT_INIT(""), NULL};
static const Matchers all = {&all_matcher, 1};

static void forget(Test *t, Fixture *f, const char *job, int64_t from_ms, int64_t to_ms) {
    Matcher matcher = {MATCH_EQUAL, TEXT("job"), text_from_cstring(job), NULL};
    Matchers matchers = {&matcher, 1};
    check_ok(t, series_delete(f->store, &matchers, 1, from_ms, to_ms, t->err));
}

// up of two jobs at seconds 0, 1 and 2.
static void put_some(Fixture *f) {
    for (int i = 0; i < 3; i++) {
        fixture_put(f, "up", job_a, AT(i), i);
        fixture_put(f, "up", job_b, AT(i), i);
    }
}

static Text short_read(Test *t, Fixture *f) {
    Text text = fixture_read(f, t, all, INT64_MIN / 2, INT64_MAX / 2);
    // Times as seconds from the beginning on.
    Builder out = {0};
    for (Text line; text_cut(&text, '\n', &line);) {
        Text word;
        bool first = true;
        while (text_cut(&line, ' ', &word)) {
            ptrdiff_t equals = text_find_char(word, '=');
            int64_t time_ms;
            if (!first && equals > 0 &&
                text_to_i64(text_slice(word, 0, (size_t)equals), &time_ms)) {
                builder_addf(&out, " %lld%.*s", (long long)(time_ms - FIXTURE_NOW_MS) / 1000,
                             TEXT_ARG(text_slice(word, (size_t)equals, word.len)));
            } else {
                builder_add(&out, word);
            }
            first = false;
        }
        builder_add_char(&out, ' ');
    }
    Text copy = text_copy(text_trim(builder_text(&out)), t->arena);
    builder_free(&out);
    return copy;
}

static void again(Test *t, Fixture *f) {
    fixture_close(f);
    check_ok(t, fixture_open(f, t->arena, t->err));
}

TEST(a_delete_takes_a_span_of_the_series_that_match_and_nothing_else) {
    Fixture f;
    fixture_begin(&f, t);
    put_some(&f);
    forget(t, &f, "a", AT(1), AT(1));
    check_text(t, TEXT("up{job=\"a\"}: 0=0 2=2 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    forget(t, &f, "nobody", INT64_MIN, INT64_MAX);
    check_i64(t, 1, f.store->deletes.count);  // what means nothing is not kept
    again(t, &f);
    check_text(t, TEXT("up{job=\"a\"}: 0=0 2=2 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    forget(t, &f, "a", INT64_MIN, AT(0));
    forget(t, &f, "a", AT(2), INT64_MAX);
    check_text(t, TEXT("up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    again(t, &f);
    check_text(t, TEXT("up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    fixture_end(&f);
}

TEST(what_comes_after_a_delete_is_seen_also_at_deleted_times) {
    Fixture f;
    fixture_begin(&f, t);
    put_some(&f);
    forget(t, &f, "a", INT64_MIN, INT64_MAX);
    fixture_put(&f, "up", job_a, AT(1), 71);
    fixture_put(&f, "up", job_a, AT(9), 79);
    Text stated = TEXT("up{job=\"a\"}: 1=71 9=79 up{job=\"b\"}: 0=0 1=1 2=2");
    check_text(t, stated, short_read(t, &f));
    check_ok(t, series_turn(f.store, t->err) && series_seal(f.store, t->err));
    check_text(t, stated, short_read(t, &f));
    again(t, &f);
    check_text(t, stated, short_read(t, &f));
    // And it can be deleted in its turn.
    forget(t, &f, "a", AT(1), AT(1));
    check_text(t, TEXT("up{job=\"a\"}: 9=79 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    check_i64(t, 2, f.store->deletes.count);
    check_ok(t, series_clean_deletes(f.store, t->err));
    check_i64(t, 0, f.store->deletes.count);
    check_text(t, TEXT("up{job=\"a\"}: 9=79 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    again(t, &f);
    check_text(t, TEXT("up{job=\"a\"}: 9=79 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    fixture_end(&f);
}

// A head remembers of each series what the head before it stored last, to know a repeat.
TEST(what_a_head_remembers_of_the_one_before_is_forgotten_too) {
    for (int value = 0; value < 2; value++) {
        Fixture f;
        fixture_begin(&f, t);
        fixture_put(&f, "up", job_a, AT(0), 0);
        check_ok(t, series_turn(f.store, t->err));
        fixture_put(&f, "up", job_a, AT(0), 0);  // a repeat: the new head knows the series, no more
        check_ok(t, series_seal(f.store, t->err));
        forget(t, &f, "a", AT(0), AT(0));
        check_text(t, TEXT(""), short_read(t, &f));
        fixture_put(&f, "up", job_a, AT(0), value);
        check_text(t, text_format(t->arena, "up{job=\"a\"}: 0=%d", value), short_read(t, &f));
        fixture_end(&f);
    }
}

static bool on_disk(Test *t, Fixture *f, Text needle) {
    DiskEntries entries;
    bool found = false;
    Disk *disk = disk_model_disk(f->model);
    check_ok(t, disk->list(disk, TEXT("data/objects/7"), t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Bytes content;
        Text path = text_format(t->arena, "data/objects/7/%.*s", TEXT_ARG(entries.at[i].name));
        check_ok(t, disk_read_whole(disk, path, 64 * MB, t->arena, &content, t->err));
        found |= text_find(bytes_text(content), needle) >= 0;
    }
    return found;
}

TEST(cleaning_leaves_nothing_of_it_on_the_disk_and_merging_neither) {
    static const char *const secret[] = {"job", "unmistakable", NULL};
    for (int merged = 0; merged < 2; merged++) {
        Fixture f;
        bool more = true;
        fixture_begin(&f, t);
        for (int i = 0; i < 4; i++) {
            fixture_put(&f, "up", job_a, AT(i), i);
            fixture_put(&f, "up", secret, AT(i), i);
            check_ok(t, series_turn(f.store, t->err) && series_seal(f.store, t->err));
        }
        check(t, on_disk(t, &f, TEXT("unmistakable")));
        forget(t, &f, "unmistakable", INT64_MIN, INT64_MAX);
        check(t, on_disk(t, &f, TEXT("unmistakable")));
        if (merged) {
            while (more) check_ok(t, series_merge(f.store, &more, t->err));
        } else {
            check_ok(t, series_clean_deletes(f.store, t->err));
        }
        check(t, !on_disk(t, &f, TEXT("unmistakable")));
        check_i64(t, 0, f.store->deletes.count);
        check_text(t, TEXT("up{job=\"a\"}: 0=0 1=1 2=2 3=3"), short_read(t, &f));
        fixture_end(&f);
    }
}

// Its level says how often it was merged: as many deletes as come neither keep it from its
// neighbours nor reach the highest level that a manifest may name.
TEST(a_block_that_is_written_again_stays_a_neighbour) {
    Fixture f;
    bool more = true;
    fixture_begin(&f, t);
    for (int i = 0; i < 4; i++) {
        fixture_put(&f, "up", job_a, AT(i), i);
        fixture_put(&f, "up", job_b, AT(i), i);
        check_ok(t, series_turn(f.store, t->err) && series_seal(f.store, t->err));
        if (i % 2 == 0) continue;
        forget(t, &f, "b", INT64_MIN, INT64_MAX);
        check_ok(t, series_clean_deletes(f.store, t->err));
        check_i64(t, 0, f.store->blocks.at[f.store->blocks.count - 1].facts.level);
    }
    check_i64(t, 4, f.store->blocks.count);
    while (more) check_ok(t, series_merge(f.store, &more, t->err));
    check_i64(t, 1, f.store->blocks.count);
    check_i64(t, 1, f.store->blocks.at[0].facts.level);
    check_text(t, TEXT("up{job=\"a\"}: 0=0 1=1 2=2 3=3"), short_read(t, &f));
    fixture_end(&f);
}

TEST(what_was_deleted_from_a_day_that_is_over_leaves_the_disk_by_itself) {
    Fixture f;
    bool more = true;
    fixture_begin(&f, t);
    put_some(&f);
    forget(t, &f, "a", INT64_MIN, INT64_MAX);
    check_ok(t, series_merge(f.store, &more, t->err));
    check(t, !more);
    check_i64(t, 1, f.store->deletes.count);
    clock_advance(&f.clock, 2 * 86400000ll);
    for (int i = 0; i < 4; i++) check_ok(t, series_merge(f.store, &more, t->err));
    check_i64(t, 0, f.store->deletes.count);
    check_text(t, TEXT("up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    // A block of which nothing is left goes.
    forget(t, &f, "b", INT64_MIN, INT64_MAX);
    check_ok(t, series_clean_deletes(f.store, t->err));
    check_i64(t, 0, f.store->blocks.count);
    fixture_end(&f);
}

static Text names_of(Test *t, Fixture *f, const char *label) {
    SeriesView *view = NULL;
    Texts found;
    check_ok(t, series_view_open(f->store, INT64_MIN / 2, INT64_MAX / 2, &view, t->err));
    bool named = label == NULL ? series_label_names(view, (Matchers){0}, t->arena, &found, t->err)
                               : series_label_values(view, text_from_cstring(label), (Matchers){0},
                                                     t->arena, &found, t->err);
    check(t, named);
    Builder out = {0};
    for (size_t i = 0; i < found.count; i++) builder_addf(&out, "%.*s ", TEXT_ARG(found.at[i]));
    series_view_close(&view);
    Text copy = text_copy(text_trim(builder_text(&out)), t->arena);
    builder_free(&out);
    return copy;
}

TEST(names_values_exemplars_and_histograms_are_deleted_too) {
    static const char *const only[] = {"job", "a", "only", "here", NULL};
    Fixture f;
    fixture_begin(&f, t);
    fixture_clear(&f);
    for (int i = 0; i < 2; i++) {
        BatchSeries *row = fixture_row(&f, i == 0 ? "first" : "again", i == 0 ? only : job_b);
        fixture_sample(&f, AT(1), 1);
        row->exemplar_count = 1;
        row->histogram_count = 1;
        Builder labels = {0};
        labels_append(&labels, TEXT("trace_id"), TEXT("7"));
        *array_add(&f.batch.exemplars) =
            (BatchExemplar){.labels = bytes_copy(text_bytes(builder_text(&labels)), t->arena),
                            .value = 1,
                            .time_ms = AT(1)};
        builder_free(&labels);
        *array_add(&f.batch.histograms) =
            (BatchHistogram){.time_ms = AT(2), .wire = text_bytes(TEXT("\x08\x01"))};
    }
    fixture_write(&f);
    check_text(t, TEXT("__name__ job only"), names_of(t, &f, NULL));
    check_text(t, TEXT("a b"), names_of(t, &f, "job"));
    forget(t, &f, "a", AT(2), AT(2));  // the histogram alone
    for (int round = 0; round < 2; round++) {
        SeriesView *view = NULL;
        SeriesFoundList found;
        SeriesColumns columns = {0};
        check_ok(t, series_view_open(f.store, AT(0), AT(9), &view, t->err));
        check_ok(t, series_select(view, all, 0, t->arena, &found, t->err));
        check_i64(t, 2, found.count);
        qsort(found.at, found.count, sizeof *found.at, fixture_by_labels);
        SeriesCursor *cursor = series_cursor_open(view);
        for (size_t i = 0; i < 2; i++) {  // "again" stands first
            SeriesHistogram *histograms;
            size_t count;
            check_ok(t, series_read(cursor, &found.at[i], AT(0), AT(9), &columns, t->err));
            check_i64(t, 1, columns.count);
            check_i64(t, i == 0 ? 1 : 0, columns.histograms);
            check_ok(t, series_read_histograms(cursor, &found.at[i], AT(0), AT(9), t->arena,
                                               &histograms, &count, t->err));
            check_i64(t, i == 0 ? 1 : 0, count);
        }
        series_cursor_close(&cursor);
        series_columns_free(&columns);
        series_view_close(&view);
        check_ok(t, series_clean_deletes(f.store, t->err));
    }
    forget(t, &f, "a", AT(1), AT(1));
    check_text(t, TEXT("__name__ job"), names_of(t, &f, NULL));
    check_text(t, TEXT("b"), names_of(t, &f, "job"));
    check_text(t, TEXT("again"), names_of(t, &f, "__name__"));
    SeriesView *view = NULL;
    SeriesExemplar *exemplars;
    size_t count;
    check_ok(t, series_view_open(f.store, AT(0), AT(9), &view, t->err));
    check_ok(t, series_exemplars(view, all, t->arena, &exemplars, &count, t->err));
    check_i64(t, 1, count);
    check_text(t, TEXT("b"), labels_get(exemplars[0].series, TEXT("job")));
    series_view_close(&view);
    fixture_end(&f);
}

TEST(a_view_that_was_open_before_still_sees_what_it_saw) {
    Fixture f;
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {0};
    fixture_begin(&f, t);
    put_some(&f);
    check_ok(t, series_view_open(f.store, AT(0), AT(9), &view, t->err));
    forget(t, &f, "a", INT64_MIN, INT64_MAX);
    check_ok(t, series_clean_deletes(f.store, t->err));
    check_ok(t, series_select(view, all, 0, t->arena, &found, t->err));
    check_i64(t, 2, found.count);
    SeriesCursor *cursor = series_cursor_open(view);
    check_ok(t, series_read(cursor, &found.at[0], AT(0), AT(9), &columns, t->err));
    check_i64(t, 3, columns.count);
    series_cursor_close(&cursor);
    series_columns_free(&columns);
    series_view_close(&view);
    fixture_end(&f);
}

TEST(a_delete_that_failed_may_be_asked_for_again) {
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        Fixture f;
        Matcher matcher = {MATCH_EQUAL, TEXT("job"), TEXT("a"), NULL};
        Matchers matchers = {&matcher, 1};
        fixture_begin(&f, t);
        put_some(&f);
        disk_model_fail_sync(f.model, nth);
        bool deleted = series_delete(f.store, &matchers, 1, AT(0), AT(1), t->err) &&
                       series_clean_deletes(f.store, t->err);
        disk_model_fail_sync(f.model, 0);
        if (!deleted) {
            failures++;
            check_i64(t, ERROR_IO, t->err->code);
            check_ok(t, series_delete(f.store, &matchers, 1, AT(0), AT(1), t->err));
            check_ok(t, series_clean_deletes(f.store, t->err));
        }
        Text stated = TEXT("up{job=\"a\"}: 2=2 up{job=\"b\"}: 0=0 1=1 2=2");
        check_text(t, stated, short_read(t, &f));
        again(t, &f);
        check_text(t, stated, short_read(t, &f));
        fixture_end(&f);
        if (deleted) break;
    }
    check(t, failures >= 5);  // two blocks, three manifests
}

TEST(too_many_and_too_large_deletes_are_refused_and_change_nothing) {
    Fixture f;
    fixture_begin(&f, t);
    put_some(&f);
    Matcher matcher = {MATCH_EQUAL, TEXT("job"), TEXT("a"), NULL};
    Matchers matchers = {&matcher, 1}, none = {0};
    check_error(t, series_delete(f.store, &none, 1, 0, 1, t->err), ERROR_BAD_INPUT);
    check_error(t, series_delete(f.store, &matchers, 1, 1, 0, t->err), ERROR_BAD_INPUT);
    Builder value = {0};
    for (int i = 0; i < 10000; i++) builder_add_char(&value, 'x');
    Matcher large = {MATCH_EQUAL, TEXT("job"), builder_text(&value), NULL};
    check_error(t, series_delete(f.store, &(Matchers){&large, 1}, 1, 0, 1, t->err),
                ERROR_TOO_LARGE);
    builder_free(&value);
    size_t most = (size_t)LIMIT_TENANT_DELETES;
    Matchers *many = arena_push_array(t->arena, Matchers, most);
    for (size_t i = 0; i < most; i++) many[i] = matchers;
    check_ok(t, series_delete(f.store, many, most, AT(1), AT(1), t->err));
    check_error(t, series_delete(f.store, &matchers, 1, AT(2), AT(2), t->err), ERROR_TOO_MANY);
    check_text(t, TEXT("up{job=\"a\"}: 0=0 2=2 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    check_ok(t, series_clean_deletes(f.store, t->err));
    check_ok(t, series_delete(f.store, &matchers, 1, AT(2), AT(2), t->err));
    check_text(t, TEXT("up{job=\"a\"}: 0=0 up{job=\"b\"}: 0=0 1=1 2=2"), short_read(t, &f));
    fixture_end(&f);
}

TEST_MAIN("store/series_delete",
          CASE(a_delete_takes_a_span_of_the_series_that_match_and_nothing_else),
          CASE(what_comes_after_a_delete_is_seen_also_at_deleted_times),
          CASE(what_a_head_remembers_of_the_one_before_is_forgotten_too),
          CASE(cleaning_leaves_nothing_of_it_on_the_disk_and_merging_neither),
          CASE(a_block_that_is_written_again_stays_a_neighbour),
          CASE(what_was_deleted_from_a_day_that_is_over_leaves_the_disk_by_itself),
          CASE(names_values_exemplars_and_histograms_are_deleted_too),
          CASE(a_view_that_was_open_before_still_sees_what_it_saw),
          CASE(a_delete_that_failed_may_be_asked_for_again),
          CASE(too_many_and_too_large_deletes_are_refused_and_change_nothing))
