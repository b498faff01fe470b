// The store as a whole against the oracle: random lives, retention, metadata, histograms,
// exemplars, limits, damage.

#include <stdlib.h>

#include "os/disk_fault.h"
#include "store/series/series_oracle.h"

// ---- Random lives ----

// Mostly the next scrape; now and then the past, an equal time, or days ago.
static int64_t random_time(uint64_t *random, int64_t now_ms) {
    uint64_t dice = test_random(random) % 20;
    if (dice < 14) return now_ms + (int64_t)(test_random(random) % 3);
    if (dice < 17) return now_ms - (int64_t)(test_random(random) % 600000);
    if (dice < 19) return now_ms - (int64_t)(test_random(random) % 100) * 1000;
    return now_ms - (int64_t)(test_random(random) % (3 * 86400000));
}

static void random_batch(Fixture *f, Oracle *oracle, uint64_t *random, int64_t now_ms) {
    fixture_clear(f);
    size_t rows = 1 + test_random(random) % ORACLE_SERIES;
    uint32_t series = (uint32_t)(test_random(random) % ORACLE_SERIES);
    for (size_t i = 0; i < rows; i++) {
        oracle_row(f, series);
        for (size_t samples = 1 + (test_random(random) % 8 == 0 ? test_random(random) % 20 : 0);
             samples > 0; samples--) {
            Sample sample = {random_time(random, now_ms), oracle_value(random)};
            oracle_write(oracle, f, series, sample, oracle_start(series, sample.time_ms, random));
        }
        series = test_random(random) % 8 == 0 ? (uint32_t)(test_random(random) % ORACLE_SERIES)
                                              : (series + 1) % ORACLE_SERIES;
    }
    fixture_write(f);
}

static void replay(Fixture *f, const Oracle *oracle) {
    for (size_t i = 0; i < oracle->log.count; i++) {
        const OracleWrite *write = &oracle->log.at[i];
        if (write->sequence < f->report.sealed_sequence) continue;
        oracle_replay(f, write);
    }
}

// A series, or all of one name; a span, or everything.
static void random_delete(Test *t, Fixture *f, Oracle *oracle, uint64_t *random) {
    uint32_t series = (uint32_t)(test_random(random) % ORACLE_SERIES);
    bool whole_name = test_random(random) % 4 == 0, all_time = test_random(random) % 4 == 0;
    int64_t from_ms = f->clock.wall_ms - (int64_t)(test_random(random) % (2 * 86400000));
    int64_t to_ms = from_ms + (int64_t)(test_random(random) % 86400000);
    char number[3] = {(char)('0' + series / 10), (char)('0' + series % 10), 0};
    Matcher by_number = {MATCH_EQUAL, TEXT("number"), text_from_cstring(number), NULL};
    Matcher by_name = {MATCH_EQUAL, LABEL_NAME, TEXT("temperature"), NULL};
    Matchers matchers = {whole_name ? &by_name : &by_number, 1};
    if (all_time) {
        from_ms = INT64_MIN;
        to_ms = INT64_MAX;
    }
    check_ok(t, series_delete(f->store, &matchers, 1, from_ms, to_ms, t->err));
    for (uint32_t i = 0; i < ORACLE_SERIES; i++) {
        if (whole_name ? i % 2 == 1 : i == series) oracle_delete(oracle, i, from_ms, to_ms);
    }
}

// What was written lately comes once more, as from a sender that had no answer: what was deleted
// meanwhile is stored again.
static void write_again(Fixture *f, Oracle *oracle, uint64_t *random) {
    if (oracle->log.count == 0) return;
    size_t back = test_random(random) % MIN(oracle->log.count, (size_t)200);
    OracleWrite again = oracle->log.at[oracle->log.count - 1 - back];
    fixture_clear(f);
    oracle_row(f, again.series);
    oracle_write(oracle, f, again.series, again.sample, again.start_ms);
    fixture_write(f);
}

static void random_step(Test *t, Fixture *f, Oracle *oracle, uint64_t *random) {
    bool more;
    switch (test_random(random) % 24) {
        case 0:
            check_ok(t, series_turn(f->store, t->err));
            break;
        case 1:
        case 2:
            check_ok(t, series_turn(f->store, t->err));
            check_ok(t, series_seal(f->store, t->err));
            check_i64(t, UINT64_MAX, series_needed_sequence(f->store));
            break;
        case 3:
            check_ok(t, series_merge(f->store, &more, t->err));
            break;
        case 4:
            if (test_random(random) % 4 != 0) break;
            fixture_close(f);
            check_ok(t, fixture_open(f, t->arena, t->err));
            check_i64(t, 0, f->report.strangers);
            check_i64(t, 0, f->report.blocks_damaged);
            replay(f, oracle);
            break;
        case 5:
            random_delete(t, f, oracle, random);
            break;
        case 6:
        case 7:
            write_again(f, oracle, random);
            break;
        case 8:
            if (test_random(random) % 8 == 0) check_ok(t, series_clean_deletes(f->store, t->err));
            break;
        default:
            clock_advance(&f->clock, 15000);
            random_batch(f, oracle, random, f->clock.wall_ms);
            break;
    }
}

static void random_life(Test *t, uint64_t seed, int steps) {
    uint64_t random = seed;
    Fixture f;
    Oracle oracle = {0};
    fixture_begin(&f, t);
    for (int step = 0; step < steps; step++) {
        random_step(t, &f, &oracle, &random);
        if (step % 7 != 0) continue;
        int64_t from_ms = FIXTURE_NOW_MS - (int64_t)(test_random(&random) % (4 * 86400000));
        int64_t to_ms = from_ms + (int64_t)(test_random(&random) % (5 * 86400000));
        bool narrow = test_random(&random) % 2 == 0;
        if (!oracle_agrees(&oracle, &f, narrow ? from_ms : 0, narrow ? to_ms : INT64_MAX, t->err)) {
            check_failed(t, __FILE__, __LINE__, "seed %llu, step %d: %s", (unsigned long long)seed,
                         step, t->err->message);
        }
    }
    oracle_free(&oracle);
    fixture_end(&f);
}

TEST(random_lives_read_back_bit_for_bit) {
    uint64_t random = t->seed, lives = 12;
    const char *given = getenv("TRACEO_RANDOM_LIVES");
    if (given != NULL) check(t, text_to_u64(text_from_cstring(given), &lives));
    for (uint64_t i = 0; i < lives; i++) random_life(t, test_random(&random), 300);
}

// ---- Turning, sealing, merging ----

static void write_steps(Fixture *f, int64_t from_ms, int steps) {
    for (int i = 0; i < steps; i++) fixture_put(f, "m", NULL, from_ms + i * 15000, i);
}

static size_t count_samples(Test *t, Fixture *f, int64_t from_ms, int64_t to_ms) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {0};
    size_t count = 0;
    check_ok(t, series_view_open(f->store, from_ms, to_ms, &view, t->err));
    series_view_keep_rows(view, f->store);
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    SeriesCursor *cursor = series_cursor_open(view);
    for (size_t i = 0; i < found.count; i++) {
        check_ok(t, series_read(cursor, &found.at[i], from_ms, to_ms, &columns, t->err));
        count += columns.count;
    }
    series_columns_free(&columns);
    series_cursor_close(&cursor);
    series_view_close(&view);
    return count;
}

TEST(a_head_over_midnight_becomes_a_block_per_day) {
    Fixture f;
    fixture_begin(&f, t);
    write_steps(&f, FIXTURE_NOW_MS - 20 * 15000, 40);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    SeriesState state;
    series_state(f.store, &state);
    check_i64(t, 2, state.blocks);
    check_i64(t, 40, state.block_samples);
    check_i64(t, 0, state.samples_in_head);
    check_i64(t, 40, count_samples(t, &f, 0, INT64_MAX));
    fixture_end(&f);
}

TEST(a_view_keeps_what_it_saw_through_turn_seal_and_merge) {
    Fixture f;
    fixture_begin(&f, t);
    write_steps(&f, FIXTURE_NOW_MS, 30);
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {0};
    check_ok(t, series_view_open(f.store, 0, INT64_MAX, &view, t->err));
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    SeriesCursor *cursor = series_cursor_open(view);
    for (int i = 0; i < 6; i++) {
        check_ok(t, series_turn(f.store, t->err));
        check_ok(t, series_seal(f.store, t->err));
        write_steps(&f, FIXTURE_NOW_MS + (i + 1) * 30 * 15000, 30);
        bool more = true;
        while (more) check_ok(t, series_merge(f.store, &more, t->err));
    }
    check_ok(t, series_read(cursor, &found.at[0], 0, INT64_MAX, &columns, t->err));
    check_i64(t, 30, columns.count);
    series_cursor_close(&cursor);
    series_view_close(&view);
    series_columns_free(&columns);
    check_i64(t, 210, count_samples(t, &f, 0, INT64_MAX));
    SeriesState state;
    series_state(f.store, &state);
    check(t, state.merges > 0);
    check(t, state.blocks < 6);
    fixture_end(&f);
}

TEST(the_last_sample_is_known_across_a_turn) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 1);
    check_ok(t, series_turn(f.store, t->err));
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 2);
    check_i64(t, 1, f.batch.counts[VERDICT_CONFLICT]);
    fixture_end(&f);
}

TEST(the_head_asks_to_turn_by_span_of_its_samples_and_by_age) {
    Fixture f;
    fixture_begin(&f, t);
    check(t, !series_wants_turn(f.store));
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 1);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS - 86400000, 1);  // a backfill alone is no reason
    check(t, !series_wants_turn(f.store));
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS + 7200000, 1);
    check(t, series_wants_turn(f.store));
    check_ok(t, series_turn(f.store, t->err));
    check(t, !series_wants_turn(f.store));
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS + 7300000, 1);
    clock_advance(&f.clock, 7200000);
    check(t, series_wants_turn(f.store));
    fixture_end(&f);
}

// Every sync of a seal fails in turn, the process starts again and believes what it finds; then the
// power goes. What it said the log is not needed for is in blocks all the same.
TEST(w16_what_an_opening_believes_to_be_sealed_survives_the_power) {
    uint64_t believed = 0;
    bool over = false;
    for (uint64_t nth = 1; !over; nth++) {
        Fixture f = {.model = disk_model_new(), .sequence = 1};
        DiskFault *fault = disk_fault_new(disk_model_disk(f.model));
        clock_manual(&f.clock, FIXTURE_NOW_MS);
        f.around = disk_fault_disk(fault);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        write_steps(&f, FIXTURE_NOW_MS, 3);
        check_ok(t, series_turn(f.store, t->err));
        disk_fault_plan(fault,
                        (DiskFaultPlan){.call = DISK_CALL_SYNC, .nth = nth, .code = ERROR_IO});
        bool sealed = series_seal(f.store, t->err);
        over = disk_fault_seen(fault, DISK_CALL_SYNC) < nth;
        disk_fault_plan(fault, (DiskFaultPlan){0});
        fixture_close(&f);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        uint64_t before = f.report.sealed_sequence;
        believed += !sealed && before > 1;
        fixture_close(&f);
        disk_model_crash(f.model, CRASH_DROP_ALL, 0);
        check_ok(t, fixture_open(&f, t->arena, t->err));
        check_i64(t, before, f.report.sealed_sequence);
        check_i64(t, before > 1 ? 3 : 0, count_samples(t, &f, 0, INT64_MAX));
        fixture_end(&f);
        disk_fault_free(&fault);
    }
    check(t, believed > 0);  // it did happen that a failure had left its manifest
}

TEST(r32_a_head_turns_by_its_age_under_a_clock_that_was_set_back) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 1);
    f.clock.wall_ms -= 365 * INT64_C(86400000);
    clock_advance(&f.clock, 2 * 3600 * 1000 - 1);
    check(t, !series_wants_turn(f.store));
    clock_advance(&f.clock, 1);
    check(t, series_wants_turn(f.store));
    fixture_end(&f);
}

// What a record that the log refused leaves behind: series without samples, whose memory has to
// come back too.
TEST(a_head_of_series_without_samples_turns_and_gives_its_memory_back) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_clear(&f);
    fixture_row(&f, "m", NULL);
    fixture_sample(&f, FIXTURE_NOW_MS, 1);
    series_write_begin(f.store);
    series_resolve(f.store, &f.prediction, &f.batch, false);
    series_write_end(f.store);
    check(t, atomic_load(&f.memory.used) > 0);
    clock_advance(&f.clock, 2 * 3600 * 1000);
    check(t, series_wants_turn(f.store));
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    check_i64(t, 0, atomic_load(&f.memory.used));
    fixture_end(&f);
}

TEST(w16_the_log_is_needed_until_the_manifest_names_the_blocks) {
    Fixture f;
    fixture_begin(&f, t);
    check_i64(t, UINT64_MAX, series_needed_sequence(f.store));
    f.sequence = 10;
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 1);      // 10
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS + 1, 1);  // 11
    check_i64(t, 10, series_needed_sequence(f.store));
    check_ok(t, series_turn(f.store, t->err));
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS + 2, 1);  // 12
    check_i64(t, 10, series_needed_sequence(f.store));
    check_ok(t, series_seal(f.store, t->err));
    check_i64(t, 12, series_needed_sequence(f.store));
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 12, f.report.sealed_sequence);
    check_i64(t, 2, count_samples(t, &f, 0, INT64_MAX));
    fixture_end(&f);
}

TEST(retention_lets_old_blocks_go_and_refuses_old_samples) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_close(&f);
    f.retention_ms = 2 * 86400000;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS - 86400000, 1);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 2);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS - 3 * 86400000ll, 3);
    check_i64(t, 1, f.batch.counts[VERDICT_TOO_OLD]);
    check(t, text_find(text_from_cstring(f.batch.first_fault.message),
                       TEXT("series m: a sample at")) == 0);
    // Nothing is made for a series of which nothing is kept.
    fixture_put(&f, "never", NULL, FIXTURE_NOW_MS - 3 * 86400000ll, 3);
    check_i64(t, 1, f.batch.counts[VERDICT_TOO_OLD]);
    SeriesState state;
    series_state(f.store, &state);
    check_i64(t, 1, state.series_active);
    fixture_put(&f, "m", NULL, FIXTURE_NOW_MS, 7);
    check_i64(t, ERROR_CONFLICT, f.batch.first_fault.code);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    check_ok(t, fixture_drop_before(&f, FIXTURE_NOW_MS - f.retention_ms, t->err));
    check_i64(t, 2, count_samples(t, &f, 0, INT64_MAX));
    check_ok(t, fixture_drop_before(&f, FIXTURE_NOW_MS + 86401000 - f.retention_ms, t->err));
    check_i64(t, 1, count_samples(t, &f, 0, INT64_MAX));
    check_ok(t, fixture_drop_before(&f, FIXTURE_NOW_MS + 1, t->err));
    check_i64(t, 0, count_samples(t, &f, 0, INT64_MAX));
    fixture_end(&f);
}

// ---- The rest of a batch ----

static void put_all_kinds(Fixture *f, int64_t time_ms) {
    fixture_clear(f);
    BatchSeries *row = fixture_row(f, "latency", NULL);
    row->histogram_count = 1;
    *array_add(&f->batch.histograms) = (BatchHistogram){time_ms, text_bytes(TEXT("\x08\x05"))};
    row->exemplar_count = 1;
    static const char id[] = "\x0a\x0b\x0a\x02id\x12\x05trace";
    *array_add(&f->batch.exemplars) =
        (BatchExemplar){time_ms, 0.5, {(const uint8_t *)id, sizeof id - 1}};
    *array_add(&f->batch.metadata) =
        (BatchMetadata){TEXT("latency"), 3, TEXT("How long."), TEXT("seconds")};
    fixture_write(f);
}

static void check_all_kinds(Test *t, Fixture *f, size_t stated) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    check_ok(t, series_view_open(f->store, 0, INT64_MAX, &view, t->err));
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    check_i64(t, 1, found.count);
    SeriesCursor *cursor = series_cursor_open(view);
    SeriesHistogram *histograms;
    size_t count;
    check_ok(t, series_read_histograms(cursor, &found.at[0], 0, INT64_MAX, t->arena, &histograms,
                                       &count, t->err));
    check_i64(t, stated, count);
    for (size_t i = 0; i < count; i++) {
        check_i64(t, FIXTURE_NOW_MS + (int64_t)i, histograms[i].time_ms);
        check_text(t, TEXT("\x08\x05"), bytes_text(histograms[i].wire));
    }
    SeriesColumns columns = {0};
    check_ok(t, series_read(cursor, &found.at[0], 0, INT64_MAX, &columns, t->err));
    check_i64(t, 0, columns.count);
    check_i64(t, stated, columns.histograms);
    series_columns_free(&columns);
    SeriesExemplar *exemplars;
    check_ok(t, series_exemplars(view, (Matchers){0}, t->arena, &exemplars, &count, t->err));
    check_i64(t, stated, count);
    check_text(t, TEXT("trace"), labels_get(exemplars[0].labels, TEXT("id")));
    check_text(t, TEXT("latency"), labels_get(exemplars[0].series, LABEL_NAME));
    series_cursor_close(&cursor);
    series_view_close(&view);
    BatchMetadata *metadata;
    check_ok(t, series_metadata(f->store, TEXT("latency"), t->arena, &metadata, &count, t->err));
    check_i64(t, 1, count);
    check_text(t, TEXT("seconds"), metadata[0].unit);
    check_text(t, TEXT("How long."), metadata[0].help);
    check_i64(t, 3, metadata[0].type);
}

static void put_histograms(Fixture *f, int64_t from_ms, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fixture_clear(f);
        fixture_row(f, "latency", NULL)->histogram_count = 1;
        *array_add(&f->batch.histograms) =
            (BatchHistogram){from_ms + (int64_t)i * 1000, text_bytes(TEXT("\x08\x05\x30\x05"))};
        fixture_write(f);
    }
}

// How many are counted between the two times, which has to be how many are read.
static size_t histograms_between(Test *t, Fixture *f, int64_t from_ms, int64_t to_ms) {
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {0};
    SeriesHistogram *histograms;
    size_t count;
    check_ok(t, series_view_open(f->store, from_ms, to_ms, &view, t->err));
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    check_i64(t, 1, found.count);
    SeriesCursor *cursor = series_cursor_open(view);
    check_ok(t, series_read(cursor, &found.at[0], from_ms, to_ms, &columns, t->err));
    check_ok(t, series_read_histograms(cursor, &found.at[0], from_ms, to_ms, t->arena, &histograms,
                                       &count, t->err));
    check_i64(t, count, columns.histograms);
    size_t counted = columns.histograms;
    check_ok(t, series_read_newest(cursor, &found.at[0], from_ms, to_ms, &columns, t->err));
    check_i64(t, count, columns.histograms);
    series_columns_free(&columns);
    series_cursor_close(&cursor);
    series_view_close(&view);
    return counted;
}

TEST(a_histogram_in_several_heads_and_blocks_counts_once) {
    Fixture f;
    fixture_begin(&f, t);
    put_histograms(&f, FIXTURE_NOW_MS, 300);
    check_i64(t, 300, histograms_between(t, &f, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1000000));
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    // Into the next head some of them again, and more.
    put_histograms(&f, FIXTURE_NOW_MS + 250000, 100);
    check_i64(t, 350, histograms_between(t, &f, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1000000));
    check_i64(t, 91, histograms_between(t, &f, FIXTURE_NOW_MS + 200500, FIXTURE_NOW_MS + 291000));
    check_ok(t, series_turn(f.store, t->err));
    put_histograms(&f, FIXTURE_NOW_MS + 100000, 10);
    check_i64(t, 350, histograms_between(t, &f, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1000000));
    check_ok(t, series_seal(f.store, t->err));
    check_i64(t, 350, histograms_between(t, &f, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1000000));
    fixture_end(&f);
}

TEST(histograms_exemplars_and_metadata_live_through_seal_merge_and_reopen) {
    Fixture f;
    fixture_begin(&f, t);
    for (int i = 0; i < 5; i++) {
        put_all_kinds(&f, FIXTURE_NOW_MS + i);
        check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
        put_all_kinds(&f, FIXTURE_NOW_MS + i);
        check_i64(t, 1, f.batch.counts[VERDICT_DUPLICATE]);
        check_all_kinds(t, &f, (size_t)i + 1);
        check_ok(t, series_turn(f.store, t->err));
        check_ok(t, series_seal(f.store, t->err));
        check_all_kinds(t, &f, (size_t)i + 1);
    }
    bool more;
    check_ok(t, series_merge(f.store, &more, t->err));
    check(t, more);
    check_all_kinds(t, &f, 5);
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 0, f.report.strangers);
    check_all_kinds(t, &f, 5);
    fixture_end(&f);
}

// Four blocks of counters that move alike, merged as long as their day goes on, or afterwards; how
// long the result is.
static int64_t merged_bytes(Test *t, int64_t wait_ms) {
    Fixture f;
    fixture_begin(&f, t);
    uint64_t random = 1;
    double levels[60] = {0};
    for (int64_t block = 0, at = 0; block < 4; block++) {
        for (int i = 0; i < 100; i++, at++) {
            fixture_clear(&f);
            double step = (double)(test_random(&random) % 20);
            for (size_t s = 0; s < COUNT(levels); s++) {
                char name[16];
                snprintf(name, sizeof name, "counter_%zu", s);
                fixture_row(&f, name, (const char *const[]){NULL});
                levels[s] += step + (double)(test_random(&random) % 50 == 0);
                fixture_sample(&f, FIXTURE_NOW_MS + at * 1000, levels[s]);
            }
            fixture_write(&f);
        }
        check_ok(t, series_turn(f.store, t->err));
        check_ok(t, series_seal(f.store, t->err));
    }
    clock_advance(&f.clock, wait_ms);
    bool more;
    check_ok(t, series_merge(f.store, &more, t->err));
    SeriesState state;
    series_state(f.store, &state);
    check(t, more && state.blocks == 1 && state.block_samples == 400 * COUNT(levels));
    fixture_end(&f);
    return state.block_bytes;
}

TEST(blocks_of_a_day_that_is_over_are_packed_with_more_effort) {
    int64_t warm = merged_bytes(t, 0), cold = merged_bytes(t, 2 * 86400000);
    if (cold >= warm)
        check_failed(t, __FILE__, __LINE__, "%lld bytes, not below %lld", (long long)cold,
                     (long long)warm);
}

TEST(metadata_without_samples_has_a_block_and_does_not_hold_the_log) {
    Fixture f;
    fixture_begin(&f, t);
    fixture_close(&f);
    f.retention_ms = 86400000;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    for (int i = 0; i < 4; i++) {
        fixture_clear(&f);
        *array_add(&f.batch.metadata) =
            (BatchMetadata){TEXT("latency"), 3, TEXT("How long."), TEXT("seconds")};
        fixture_write(&f);
        check_i64(t, i + 1, series_needed_sequence(f.store));
        check_ok(t, series_turn(f.store, t->err));
        check_ok(t, series_seal(f.store, t->err));
        check_i64(t, UINT64_MAX, series_needed_sequence(f.store));
    }
    bool more;
    check_ok(t, series_merge(f.store, &more, t->err));
    // Retention sees the day it came, not the year 1970, also after a merge.
    check_ok(t, fixture_drop_before(&f, FIXTURE_NOW_MS - 1, t->err));
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 5, f.report.sealed_sequence);
    check_i64(t, 1, f.report.blocks);
    BatchMetadata *families;
    size_t count;
    check_ok(t, series_metadata(f.store, TEXT("latency"), t->arena, &families, &count, t->err));
    check_i64(t, 1, count);
    fixture_end(&f);
}

// ---- Limits and damage ----

TEST(memory_at_its_end_refuses_new_series_first_and_everything_later_without_losing_any) {
    Fixture f;
    fixture_begin(&f, t);
    f.memory.limit = 3 * MB;
    size_t stored = 0;
    int made = 0;
    for (; made < 200000; made++) {
        fixture_put(&f, text_format(t->arena, "series_with_a_long_name_%d", made).at, NULL,
                    FIXTURE_NOW_MS, 1);
        if (f.batch.counts[VERDICT_LIMIT] > 0) break;
        stored++;
    }
    check(t, made < 200000 && stored > 1000);
    check(t, text_find(text_from_cstring(f.batch.first_fault.message), TEXT("ingest")) >= 0);
    check_ok(t, series_may_write(f.store, t->err));
    size_t more = 0;
    for (int step = 1; series_may_write(f.store, t->err); step++) {
        fixture_put(&f, text_format(t->arena, "series_with_a_long_name_%d", step % (int)stored).at,
                    NULL, FIXTURE_NOW_MS + step, step);
        check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
        more++;
    }
    check_i64(t, ERROR_NO_MEMORY, t->err->code);
    check(t, more > 1000);
    check(t, series_wants_turn(f.store) || f.memory.used >= f.memory.limit);
    check_i64(t, stored + more, count_samples(t, &f, 0, INT64_MAX));
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    check_i64(t, 0, f.memory.used);
    check_ok(t, series_may_write(f.store, t->err));
    check_i64(t, stored + more, count_samples(t, &f, 0, INT64_MAX));
    fixture_end(&f);
}

// A bomb of new series makes the head turn; until it is written out its memory is held, and series
// it knows are new to the next one.
TEST(known_series_flow_across_a_turn_though_memory_is_nearly_used_up) {
    Fixture f;
    fixture_begin(&f, t);
    f.memory.limit = 3 * MB;
    fixture_put(&f, "known", NULL, FIXTURE_NOW_MS, 1);
    for (int i = 0; i < 200000 && f.batch.counts[VERDICT_LIMIT] == 0; i++)
        fixture_put(&f, text_format(t->arena, "new_%d", i).at, NULL, FIXTURE_NOW_MS, 1);
    check_i64(t, 1, f.batch.counts[VERDICT_LIMIT]);
    check_ok(t, series_turn(f.store, t->err));
    fixture_put(&f, "newer", NULL, FIXTURE_NOW_MS + 1, 2);
    check_i64(t, 1, f.batch.counts[VERDICT_LIMIT]);
    fixture_put(&f, "known", NULL, FIXTURE_NOW_MS + 1, 2);
    check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
    check_ok(t, series_seal(f.store, t->err));
    fixture_end(&f);
}

TEST(r6_each_refused_allocation_leaves_the_store_whole) {
    for (uint64_t nth = 1; nth < 60; nth++) {
        Fixture f;
        fixture_begin(&f, t);
        memory_fail_after(nth, false);
        size_t stored = 0;
        for (int i = 0; i < 300; i++) {
            fixture_put(&f, text_format(t->arena, "m%d", i).at,
                        (const char *const[]){"a", text_format(t->arena, "%d", i).at, NULL},
                        FIXTURE_NOW_MS, 1);
            stored += f.batch.counts[VERDICT_STORED];
            check_i64(t, 1, f.batch.counts[VERDICT_STORED] + f.batch.counts[VERDICT_LIMIT]);
        }
        uint64_t seen = memory_fail_after(0, false);
        check(t, stored >= 299);
        check_i64(t, stored, count_samples(t, &f, 0, INT64_MAX));
        fixture_put(&f, "m0", (const char *const[]){"a", "0", NULL}, FIXTURE_NOW_MS + 1, 1);
        check_i64(t, 1, f.batch.counts[VERDICT_STORED]);
        fixture_end(&f);
        if (seen < nth) break;
    }
}

TEST(w15_strangers_are_set_aside_and_never_read) {
    Fixture f;
    fixture_begin(&f, t);
    write_steps(&f, FIXTURE_NOW_MS, 20);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    check_ok(t, f.objects->put(f.objects, TEXT("7/ffff.block"), text_bytes(TEXT("not a block")),
                               t->err));
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 1, f.report.strangers);
    check_i64(t, 20, count_samples(t, &f, 0, INT64_MAX));
    bool kept;
    Disk *disk = disk_model_disk(f.model);
    check_ok(t, disk->exists(disk, TEXT("data/tenants/7/quarantine/ffff.block"), &kept, t->err));
    check(t, kept);
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 0, f.report.strangers);
    fixture_end(&f);
}

TEST(r9_a_damaged_block_warns_and_the_others_answer) {
    Fixture f;
    fixture_begin(&f, t);
    write_steps(&f, FIXTURE_NOW_MS, 20);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    fixture_put(&f, "other", NULL, FIXTURE_NOW_MS + 86400000, 7);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    fixture_close(&f);
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    Disk *disk = disk_model_disk(f.model);
    check_ok(t, disk->list(disk, TEXT("data/objects/7"), &arena, &entries, t->err));
    check_i64(t, 2, entries.count);
    Text path = text_format(&arena, "data/objects/7/%.*s", TEXT_ARG(entries.at[0].name));
    check(t, disk_model_flip(f.model, path, entries.at[0].bytes - 3, 2));
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 1, f.report.blocks_damaged);
    SeriesView *view = NULL;
    check_ok(t, series_view_open(f.store, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1000, &view, t->err));
    check_i64(t, 1, series_view_warnings(view).count);
    series_view_close(&view);
    check_ok(t, series_view_open(f.store, FIXTURE_NOW_MS + 86400000, INT64_MAX, &view, t->err));
    check_i64(t, 0, series_view_warnings(view).count);
    series_view_close(&view);
    check_i64(t, 1, count_samples(t, &f, FIXTURE_NOW_MS + 86400000, INT64_MAX));
    fixture_end(&f);
}

TEST(a_gap_in_the_log_is_a_warning_over_its_interval_only) {
    Fixture f;
    fixture_begin(&f, t);
    series_note_gap(f.store, 1000, 2000, TEXT("a part of the log is damaged"));
    static const int64_t intervals[][3] = {
        {0, 999, 0}, {0, 1000, 1}, {1500, 1600, 1}, {2000, 9000, 1}, {2001, 9000, 0}};
    for (size_t i = 0; i < COUNT(intervals); i++) {
        SeriesView *view = NULL;
        check_ok(t, series_view_open(f.store, intervals[i][0], intervals[i][1], &view, t->err));
        check_i64(t, intervals[i][2], series_view_warnings(view).count);
        series_view_close(&view);
    }
    fixture_end(&f);
}

TEST(w21_a_scrub_finds_a_flipped_bit_and_says_so) {
    Fixture f;
    fixture_begin(&f, t);
    write_steps(&f, FIXTURE_NOW_MS, 400);
    check_ok(t, series_turn(f.store, t->err));
    check_ok(t, series_seal(f.store, t->err));
    for (int i = 0; i < 4; i++) check_ok(t, series_scrub(f.store, 64, t->err));
    check_ok(t, series_scrub(f.store, INT64_MAX, t->err));
    SeriesState state;
    series_state(f.store, &state);
    check_i64(t, 0, state.corruptions);
    check(t, state.scrubbed_bytes >= (uint64_t)state.block_bytes);
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    Disk *disk = disk_model_disk(f.model);
    check_ok(t, disk->list(disk, TEXT("data/objects/7"), &arena, &entries, t->err));
    Text path = text_format(&arena, "data/objects/7/%.*s", TEXT_ARG(entries.at[0].name));
    fixture_close(&f);
    check(t, disk_model_flip(f.model, path, 100, 5));
    check_ok(t, fixture_open(&f, t->arena, t->err));
    if (f.report.blocks_damaged == 0) check_ok(t, series_scrub(f.store, INT64_MAX, t->err));
    series_state(f.store, &state);
    check_i64(t, 1, state.corruptions + f.report.blocks_damaged);
    SeriesView *view = NULL;
    check_ok(t, series_view_open(f.store, FIXTURE_NOW_MS, INT64_MAX, &view, t->err));
    check_i64(t, 1, series_view_warnings(view).count);
    series_view_close(&view);
    fixture_end(&f);
}

// It is told once, and keeps nothing else from its housekeeping; the scrub sets it apart.
TEST(a_damaged_block_that_is_to_be_written_again_cold_stands_in_nobodys_way) {
    Fixture f;
    bool more;
    fixture_begin(&f, t);
    fixture_close(&f);
    f.cold_bytes = 1;
    check_ok(t, fixture_open(&f, t->arena, t->err));
    for (int day = 0; day < 2; day++) {
        write_steps(&f, FIXTURE_NOW_MS + day * 86400000, 400);
        check_ok(t, series_turn(f.store, t->err));
        check_ok(t, series_seal(f.store, t->err));
    }
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    check_ok(t, disk_model_disk(f.model)->list(disk_model_disk(f.model), TEXT("data/objects/7"),
                                               &arena, &entries, t->err));
    size_t first = text_compare(entries.at[0].name, entries.at[1].name) < 0 ? 0 : 1;
    Text path = text_format(&arena, "data/objects/7/%.*s", TEXT_ARG(entries.at[first].name));
    fixture_close(&f);
    check(t, disk_model_flip(f.model, path, 12, 5));  // in its first page
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 0, f.report.blocks_damaged);
    clock_advance(&f.clock, 3 * INT64_C(86400000));
    check_error(t, series_merge(f.store, &more, t->err), ERROR_CORRUPT);
    int rounds = 0;
    for (more = true; more; rounds++) check_ok(t, series_merge(f.store, &more, t->err));
    check_i64(t, 2, rounds);  // the other one, and nothing
    SeriesState state;
    check_ok(t, series_scrub(f.store, INT64_MAX, t->err));
    series_state(f.store, &state);
    check_i64(t, 1, state.corruptions);
    check_i64(t, 2, state.blocks);
    fixture_end(&f);
}

static size_t count_objects(Test *t, Fixture *f) {
    AUTO(arena_free) Arena arena = {0};
    DiskEntries entries;
    check_ok(t, f->objects->list(f->objects, TEXT("7/"), &arena, &entries, t->err));
    return entries.count;
}

TEST(a_full_disk_leaves_the_head_and_no_rubbish_and_the_next_seal_succeeds) {
    Fixture f;
    fixture_begin(&f, t);
    write_steps(&f, FIXTURE_NOW_MS - 50 * 15000, 100);  // two days: the first block may still fit
    check_ok(t, series_turn(f.store, t->err));
    for (int64_t capacity = 64; capacity < 1500; capacity += 100) {
        disk_model_capacity(f.model, capacity);
        *t->err = (Error){0};
        if (series_seal(f.store, t->err)) break;
        check_i64(t, ERROR_DISK_FULL, t->err->code);
        check_i64(t, 100, count_samples(t, &f, 0, INT64_MAX));
        check_i64(t, 1, series_needed_sequence(f.store));
    }
    disk_model_capacity(f.model, 0);
    check_ok(t, series_seal(f.store, t->err));
    check_i64(t, UINT64_MAX, series_needed_sequence(f.store));
    check_i64(t, 100, count_samples(t, &f, 0, INT64_MAX));
    SeriesState state;
    series_state(f.store, &state);
    check_i64(t, 2, state.blocks);
    fixture_close(&f);
    check_ok(t, fixture_open(&f, t->arena, t->err));
    check_i64(t, 2, count_objects(t, &f));
    check_i64(t, 100, count_samples(t, &f, 0, INT64_MAX));
    fixture_end(&f);
}

TEST(r9_no_flipped_bit_of_any_file_gives_a_wrong_or_silently_short_answer) {
    Fixture f;
    Oracle oracle = {0};
    uint64_t random = t->seed;
    fixture_begin(&f, t);
    for (int i = 0; i < 12; i++) {
        clock_advance(&f.clock, 15000);
        random_batch(&f, &oracle, &random, f.clock.wall_ms);
        if (i % 4 == 3) check_ok(t, series_turn(f.store, t->err));
    }
    check_ok(t, series_seal(f.store, t->err));
    fixture_close(&f);
    AUTO(arena_free) Arena arena = {0};
    Disk *disk = disk_model_disk(f.model);
    DiskEntries entries;
    check_ok(t, disk->list(disk, TEXT("data/objects/7"), &arena, &entries, t->err));
    int refused = 0, warned = 0, failed = 0, equal = 0;
    for (int i = 0; i < 400; i++) {
        size_t pick = test_random(&random) % (entries.count + 1);
        Text path = TEXT("data/tenants/7/MANIFEST");
        int64_t bytes = 200;
        if (pick < entries.count) {
            path = text_format(&arena, "data/objects/7/%.*s", TEXT_ARG(entries.at[pick].name));
            bytes = entries.at[pick].bytes;
        }
        Fixture hurt = {
            .model = disk_model_copy(f.model), .memory = {.name = "ingest"}, .sequence = 1};
        clock_manual(&hurt.clock, f.clock.wall_ms);
        check(t,
              disk_model_flip(hurt.model, path, (int64_t)(test_random(&random) % (uint64_t)bytes),
                              (unsigned)(test_random(&random) % 8)));
        Error err = {0};
        SeriesView *view = NULL;
        if (!fixture_open(&hurt, &arena, &err)) {
            refused++;
        } else {
            check_ok(t, series_view_open(hurt.store, 0, INT64_MAX, &view, t->err));
            bool agrees = oracle_agrees(&oracle, &hurt, 0, INT64_MAX, &err);
            bool warns = series_view_warnings(view).count > 0;
            series_view_close(&view);
            bool decoding =
                !agrees && text_find(text_from_cstring(err.file), TEXT("series_oracle")) < 0;
            if (!agrees && !warns && !decoding)
                check_failed(t, __FILE__, __LINE__, "flip %d of %.*s: %s", i, TEXT_ARG(path),
                             err.message);
            agrees ? equal++ : warns ? warned++ : failed++;
        }
        fixture_end(&hurt);
    }
    printf("# %d stores refused, %d answers warned, %d failed, %d equal\n", refused, warned, failed,
           equal);
    check(t, refused > 0 && warned + failed > 50);
    oracle_free(&oracle);
    fixture_end(&f);
}

TEST_MAIN("store/series", CASE(a_head_over_midnight_becomes_a_block_per_day),
          CASE(a_view_keeps_what_it_saw_through_turn_seal_and_merge),
          CASE(the_last_sample_is_known_across_a_turn),
          CASE(the_head_asks_to_turn_by_span_of_its_samples_and_by_age),
          CASE(w16_the_log_is_needed_until_the_manifest_names_the_blocks),
          CASE(w16_what_an_opening_believes_to_be_sealed_survives_the_power),
          CASE(r32_a_head_turns_by_its_age_under_a_clock_that_was_set_back),
          CASE(a_head_of_series_without_samples_turns_and_gives_its_memory_back),
          CASE(retention_lets_old_blocks_go_and_refuses_old_samples),
          CASE(a_histogram_in_several_heads_and_blocks_counts_once),
          CASE(histograms_exemplars_and_metadata_live_through_seal_merge_and_reopen),
          CASE(blocks_of_a_day_that_is_over_are_packed_with_more_effort),
          CASE(metadata_without_samples_has_a_block_and_does_not_hold_the_log),
          CASE(known_series_flow_across_a_turn_though_memory_is_nearly_used_up),
          CASE(memory_at_its_end_refuses_new_series_first_and_everything_later_without_losing_any),
          CASE(r6_each_refused_allocation_leaves_the_store_whole),
          CASE(w15_strangers_are_set_aside_and_never_read),
          CASE(r9_a_damaged_block_warns_and_the_others_answer),
          CASE(a_gap_in_the_log_is_a_warning_over_its_interval_only),
          CASE(w21_a_scrub_finds_a_flipped_bit_and_says_so),
          CASE(a_damaged_block_that_is_to_be_written_again_cold_stands_in_nobodys_way),
          CASE(a_full_disk_leaves_the_head_and_no_rubbish_and_the_next_seal_succeeds),
          CASE(r9_no_flipped_bit_of_any_file_gives_a_wrong_or_silently_short_answer),
          CASE(random_lives_read_back_bit_for_bit))
