// Answers from tiers: what windows say of a range whose edges are theirs is what the samples say;
// other edges move back. Asked of a store that kept its samples, of the same with leave to use its
// tiers, and of stores from which the samples of the older days are gone.

#include <math.h>

#include "model/sample.h"
#include "query/exec/script.h"

enum {
    FIVE_MS = 300000,
    HOUR_MS = 3600000,
    DAY_MS = 86400000,
    DAYS = 4,
    METRICS = 6,
    ROUNDS = 150
};

// 2026-11-21T00:00:00Z.
static const int64_t BEGIN_MS = INT64_C(1795219200000);

typedef struct Kept {
    DiskModel *disk;
    Objects *objects;
    SeriesStore *store;
    ManualClock clock;
    Budget memory;
    int64_t series_max;  // of a block
    uint64_t sequence;
    Batch batch;
    Arena arena;  // of label bytes
} Kept;

static void kept_open_bound(Test *t, Kept *kept, bool five_minutes, bool hours,
                            int64_t retention_ms, int64_t series_max) {
    *kept = (Kept){.disk = disk_model_new(),
                   .memory = {.name = "test"},
                   .series_max = series_max,
                   .sequence = 1};
    clock_manual(&kept->clock, BEGIN_MS + (DAYS + 1) * (int64_t)DAY_MS);
    Disk *disk = disk_model_disk(kept->disk);
    SeriesReport report;
    check_ok(t, objects_open_directory(disk, TEXT("data/objects"), &kept->objects, t->err));
    SeriesOptions options = {.objects = kept->objects,
                             .object_prefix = TEXT("1/"),
                             .disk = disk,
                             .folder = TEXT("data/tenants/1"),
                             .clock = &kept->clock.clock,
                             .hash_key = {1, 2},
                             .memory = &kept->memory,
                             .retention = {.keep_ms = retention_ms},
                             .tiers = {{.on = five_minutes}, {.on = hours}},
                             .block_series_max = series_max,
                             .head_span_ms = INT64_MAX / 4};
    check_ok(t, series_open(options, t->arena, &report, &kept->store, t->err));
}

static void kept_open(Test *t, Kept *kept, bool five_minutes, bool hours, int64_t retention_ms) {
    kept_open_bound(t, kept, five_minutes, hours, retention_ms, 0);
}

static void kept_close(Kept *kept) {
    series_close(&kept->store);
    objects_close(&kept->objects);
    disk_model_free(&kept->disk);
    batch_free(&kept->batch);
    arena_free(&kept->arena);
}

// A batch of one series, which the caller gives its samples.
static Batch *batch_of(Test *t, Kept *kept, const char *labels, int64_t time_ms, BatchSeries row) {
    Labels made;
    arena_clear(&kept->arena);
    batch_clear(&kept->batch);
    kept->batch.arrival_ms = time_ms;
    check_ok(t, script_labels(text_from_cstring(labels), &kept->arena, &made, t->err));
    row.labels = made.wire;
    *array_add(&kept->batch.series) = row;
    return &kept->batch;
}

static void store_batch(Kept *kept) {
    SeriesPrediction prediction = {0};
    series_write_begin(kept->store);
    series_resolve(kept->store, &prediction, &kept->batch, false);
    series_append(kept->store, &kept->batch, kept->sequence++);
    series_write_end(kept->store);
}

static void put(Test *t, Kept *kept, const char *labels, int64_t time_ms, double value) {
    Batch *batch = batch_of(t, kept, labels, time_ms, (BatchSeries){.sample_count = 1});
    *array_add(&batch->samples) = (Sample){time_ms, value};
    store_batch(kept);
}

static void to_blocks(Test *t, Kept *kept) {
    check_ok(t, series_turn(kept->store, t->err));
    check_ok(t, series_seal(kept->store, t->err));
}

// At `now_ms` as retention sees it.
static void keep_house(Test *t, Kept *kept, int64_t now_ms) {
    for (bool retained = true, merged = true, made = true; retained || merged || made;) {
        check_ok(t, series_merge(kept->store, &merged, t->err));
        check_ok(t, series_make_tiers(kept->store, now_ms, &made, t->err));
        check_ok(t, series_retain(kept->store, now_ms, &retained, t->err));
    }
}

static const char *const names[METRICS] = {"c_total{job=\"a\"}", "c_total{job=\"b\"}",
                                           "c_total{job=\"c\"}", "g{job=\"a\"}",
                                           "g{job=\"b\"}",       "g{job=\"c\", odd=\"yes\"}"};

// Counters with resets and gauges, gaps, ends, samples on edges, and some that come late, all the
// same in every store.
static void fill(Test *t, Kept **all, size_t count, uint64_t *random) {
    for (int metric = 0; metric < METRICS; metric++) {
        double value = 0;
        int64_t time_ms = BEGIN_MS;
        while (time_ms < BEGIN_MS + DAYS * (int64_t)DAY_MS) {
            uint64_t dice = test_random(random) % 200;
            time_ms += dice == 0   ? 4 * 3600000
                       : dice < 4  ? 1200000
                       : dice < 20 ? 300000 - time_ms % 300000
                                   : 60000 + (int64_t)(test_random(random) % 60000);
            if (metric < 3) value += (double)(test_random(random) % 50);
            if (metric < 3 && test_random(random) % 60 == 0) value = (double)(dice % 7);
            if (metric >= 3) value = (double)((int64_t)(test_random(random) % 20000) - 9999) / 100;
            double stored = value;
            if (metric == 5 && dice % 40 == 1) stored = NAN;
            if (metric == 5 && dice % 40 == 2) stored = -0.0;
            if (dice == 30) stored = stale_nan();
            if (time_ms >= BEGIN_MS + DAYS * (int64_t)DAY_MS) break;
            for (size_t i = 0; i < count; i++) put(t, all[i], names[metric], time_ms, stored);
        }
        for (size_t i = 0; i < count && metric % 2 == 1; i++) to_blocks(t, all[i]);
    }
    for (size_t i = 0; i < count; i++) put(t, all[i], names[0], BEGIN_MS + 40000001, 17);
    for (size_t i = 0; i < count; i++) to_blocks(t, all[i]);
}

static void forget(Test *t, Kept *kept) {
    Matcher job = {MATCH_EQUAL, TEXT("job"), TEXT("b"), NULL};
    Matchers matchers = {&job, 1};
    check_ok(t, series_delete(kept->store, &matchers, 1, BEGIN_MS + 30000000, BEGIN_MS + 40000007,
                              t->err));
    check_ok(t, series_clean_deletes(kept->store, t->err));
}

static bool near(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-9;
}

// Both answers have the same series, points and values; times differ by `shift_ms`.
static size_t check_same(Test *t, Text query, const QueryResult *stated, const QueryResult *actual,
                         int64_t shift_ms) {
    size_t points = 0;
    if (stated->count != actual->count) {
        check_failed(t, __FILE__, __LINE__, "%.*s: %zu series, not %zu", TEXT_ARG(query),
                     actual->count, stated->count);
        return 0;
    }
    for (size_t i = 0; i < stated->count; i++) {
        const QuerySeries *a = &stated->series[i], *b = &actual->series[i];
        check(t, labels_equal(a->labels, b->labels));
        if (a->count != b->count) {
            check_failed(t, __FILE__, __LINE__, "%.*s, series %zu: %zu points, not %zu",
                         TEXT_ARG(query), i, b->count, a->count);
            return 0;
        }
        for (size_t j = 0; j < a->count; j++, points++) {
            if (a->times[j] + shift_ms == b->times[j] && near(a->values[j], b->values[j])) continue;
            check_failed(t, __FILE__, __LINE__,
                         "%.*s, series %zu, at %lld: %.17g, not %.17g at %lld", TEXT_ARG(query), i,
                         (long long)(b->times[j] - BEGIN_MS), b->values[j], a->values[j],
                         (long long)(a->times[j] - BEGIN_MS));
            return 0;
        }
    }
    return points;
}

static bool says(Texts notes, const char *what) {
    for (size_t i = 0; i < notes.count; i++) {
        if (text_find(notes.at[i], text_from_cstring(what)) >= 0) return true;
    }
    return false;
}

static const char *const answered[] = {
    "sum_over_time",
    "count_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "first_over_time",
    "last_over_time",
    "present_over_time",
    "rate",
    "increase",
    "delta",
    "resets",
    "absent_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
};

// A query that tiers of `tier_ms` can answer.
static Text random_query(Test *t, uint64_t *random, int64_t tier_ms) {
    const char *metric = test_random(random) % 2 == 0 ? "c_total" : "g";
    int64_t tiers = tier_ms / 1000, range = tiers * (int64_t)(1 + test_random(random) % 30);
    Text offset = test_random(random) % 4 == 0
                      ? text_format(t->arena, " offset %llds",
                                    (long long)(tiers * (int64_t)(test_random(random) % 40)))
                      : TEXT("");
    uint64_t dice = test_random(random) % 20;
    if (dice == 0) return text_format(t->arena, "%s%.*s", metric, TEXT_ARG(offset));
    if (dice == 1) return text_format(t->arena, "timestamp(%s%.*s)", metric, TEXT_ARG(offset));
    if (dice == 2) return text_format(t->arena, "count(%s%.*s)", metric, TEXT_ARG(offset));
    const char *function = answered[test_random(random) % COUNT(answered)];
    Text call = text_format(t->arena, "%s(%s[%llds]%.*s)", function, metric, (long long)range,
                            TEXT_ARG(offset));
    if (dice < 6) return text_format(t->arena, "sum by (job) (%.*s)", TEXT_ARG(call));
    if (dice < 9) return text_format(t->arena, "max(%.*s) + 1", TEXT_ARG(call));
    return call;
}

typedef struct Asked {
    Kept *kept;
    int64_t most_ms;
} Asked;

static uint64_t compare(Test *t, Kept *samples, Asked asked, int64_t tier_ms, bool aligned,
                        uint64_t *random, size_t *points) {
    Text query = random_query(t, random, tier_ms);
    int64_t span = DAYS * (int64_t)DAY_MS / tier_ms, back = aligned ? 0 : 1;
    QueryRequest request = {.text = query,
                            .step_ms = tier_ms * (int64_t)(1 + test_random(random) % 12),
                            .shard_series = test_random(random) % 3};
    request.start_ms = BEGIN_MS + tier_ms * (int64_t)(test_random(random) % (uint64_t)span);
    request.end_ms = request.start_ms + request.step_ms * (int64_t)(test_random(random) % 40);
    QueryResult stated, actual;
    check_ok(t, query_run(samples->store, &request, t->arena, &stated, NULL, t->err));
    check_i64(t, 0, stated.stats.downsampled);
    back *= (int64_t)(test_random(random) % (uint64_t)tier_ms);
    request.start_ms += back;
    request.end_ms += back;
    request.max_resolution_ms = asked.most_ms;
    check_ok(t, query_run(asked.kept->store, &request, t->arena, &actual, NULL, t->err));
    *points += check_same(t, query, &stated, &actual, back);
    check(t,
          (actual.stats.downsampled > 0) == says(actual.infos, "answered in part from samples of"));
    return actual.stats.downsampled;
}

// Samples and tiers; tiers of 5 m alone, and of 1 h alone, of the days whose samples are gone.
TEST(windows_answer_as_samples_do) {
    Kept whole, five, hours, *all[] = {&whole, &five, &hours};
    uint64_t random = t->seed;
    int64_t now_ms = BEGIN_MS + (DAYS + 1) * (int64_t)DAY_MS;
    kept_open(t, &whole, true, true, 0);
    kept_open(t, &five, true, false, 2 * (int64_t)DAY_MS);
    kept_open(t, &hours, false, true, 2 * (int64_t)DAY_MS);
    fill(t, all, COUNT(all), &random);
    forget(t, &whole);
    for (size_t i = 0; i < COUNT(all); i++) {
        if (i > 0) forget(t, all[i]);
        keep_house(t, all[i], now_ms);
    }
    SeriesState state;
    series_state(five.store, &state);
    check_i64(t, DAYS, state.tiers);
    check_i64(t, DAYS - 3, state.blocks);
    static const int64_t FIVE = 300000, HOUR = 3600000;
    const struct {
        Asked asked;
        int64_t tier_ms;
        bool aligned;
    } rows[] = {
        {{&whole, FIVE}, FIVE, true}, {{&whole, HOUR}, HOUR, true},  {{&five, 0}, FIVE, true},
        {{&hours, 0}, HOUR, true},    {{&whole, FIVE}, FIVE, false}, {{&whole, HOUR}, HOUR, false},
        {{&five, FIVE}, FIVE, false}, {{&hours, HOUR}, HOUR, false},
    };
    for (size_t row = 0; row < COUNT(rows); row++) {
        size_t points = 0;
        uint64_t windows = 0;
        for (int round = 0; round < ROUNDS; round++)
            windows += compare(t, &whole, rows[row].asked, rows[row].tier_ms, rows[row].aligned,
                               &random, &points);
        if (points < 1000 || windows < 1000)
            check_failed(t, __FILE__, __LINE__, "row %zu: %zu points, %llu windows", row, points,
                         (unsigned long long)windows);
    }
    for (size_t i = 0; i < COUNT(all); i++) kept_close(all[i]);
}

static void check_same_texts(Test *t, Texts stated, Texts actual) {
    check_i64(t, stated.count, actual.count);
    for (size_t i = 0; i < MIN(stated.count, actual.count); i++)
        check_text(t, stated.at[i], actual.at[i]);
}

// The same question of two stores: answers are the same, bit for bit. How many windows there were.
static uint64_t check_alike(Test *t, Kept *one, Kept *several, const QueryRequest *request) {
    QueryResult stated, actual;
    check_ok(t, query_run(one->store, request, t->arena, &stated, NULL, t->err));
    check_ok(t, query_run(several->store, request, t->arena, &actual, NULL, t->err));
    check_i64(t, stated.stats.downsampled, actual.stats.downsampled);
    check_same_texts(t, stated.infos, actual.infos);
    check_same_texts(t, stated.warnings, actual.warnings);
    check_i64(t, stated.count, actual.count);
    for (size_t i = 0; i < MIN(stated.count, actual.count); i++) {
        const QuerySeries *a = &stated.series[i], *b = &actual.series[i];
        bool same = labels_equal(a->labels, b->labels) && a->count == b->count &&
                    memcmp(a->times, b->times, a->count * sizeof *a->times) == 0 &&
                    memcmp(a->values, b->values, a->count * sizeof *a->values) == 0;
        if (!same)
            check_failed(t, __FILE__, __LINE__, "%.*s: series %zu differs", TEXT_ARG(request->text),
                         i);
    }
    return actual.stats.downsampled;
}

// Days of one block and days of several, of one series or two each: every function that windows
// answer, with leave to use them and without, of days whose samples are there and are gone.
TEST(days_of_several_blocks_answer_as_days_of_one) {
    int64_t now_ms = BEGIN_MS + (DAYS + 1) * (int64_t)DAY_MS;
    for (int64_t series_max = 1; series_max <= 2; series_max++) {
        Kept one, several, *all[] = {&one, &several};
        uint64_t random = t->seed + (uint64_t)series_max;
        kept_open(t, &one, true, true, 3 * (int64_t)DAY_MS);
        kept_open_bound(t, &several, true, true, 3 * (int64_t)DAY_MS, series_max);
        fill(t, all, COUNT(all), &random);
        SeriesState states[2];
        for (size_t i = 0; i < COUNT(all); i++) {
            forget(t, all[i]);
            keep_house(t, all[i], now_ms);
            series_state(all[i]->store, &states[i]);
        }
        check_i64(t, 2 * DAYS, states[0].tiers);
        check_i64(t, 2, states[0].blocks);
        check(t, states[1].tiers >= 2 * states[0].tiers && states[1].blocks >= 6);
        uint64_t windows = 0;
        for (int round = 0; round < 4 * ROUNDS; round++) {
            int64_t tier_ms = round % 2 == 0 ? FIVE_MS : HOUR_MS;
            QueryRequest request = {.text = random_query(t, &random, tier_ms),
                                    .step_ms = tier_ms * (int64_t)(1 + test_random(&random) % 12),
                                    .max_resolution_ms = round % 3 == 0 ? 0 : tier_ms,
                                    .shard_series = test_random(&random) % 3};
            request.start_ms =
                BEGIN_MS + (int64_t)(test_random(&random) % (uint64_t)(DAYS * (int64_t)DAY_MS));
            request.end_ms = request.start_ms + request.step_ms * 40;
            windows += check_alike(t, &one, &several, &request);
        }
        // And each by its name, whatever chance took.
        static const int64_t most_ms[] = {0, FIVE_MS, HOUR_MS};
        for (size_t i = 0; i < COUNT(answered) * 2 * COUNT(most_ms); i++) {
            const char *metric = i % 2 == 0 ? "c_total" : "g";
            const char *function = answered[i / 2 % COUNT(answered)];
            QueryRequest request = {.text = text_format(t->arena, "%s(%s[2h])", function, metric),
                                    .start_ms = BEGIN_MS,
                                    .end_ms = BEGIN_MS + DAYS * (int64_t)DAY_MS,
                                    .step_ms = HOUR_MS,
                                    .max_resolution_ms = most_ms[i / 2 / COUNT(answered)]};
            uint64_t more = check_alike(t, &one, &several, &request);
            check(t, more > 0);
            windows += more;
        }
        check(t, windows > 10000);
        for (size_t i = 0; i < COUNT(all); i++) kept_close(all[i]);
    }
}

static QueryResult ask(Test *t, Kept *kept, const char *query, int64_t start_ms, int64_t step_ms,
                       int64_t most_ms) {
    QueryRequest request = {.text = text_from_cstring(query),
                            .start_ms = start_ms,
                            .end_ms = start_ms + 3 * step_ms,
                            .step_ms = step_ms,
                            .max_resolution_ms = most_ms};
    QueryResult result;
    check_ok(t, query_run(kept->store, &request, t->arena, &result, NULL, t->err));
    return result;
}

// Two days of a counter; with `gone` the samples of the first are not kept.
static void two_days(Test *t, Kept *kept, bool gone) {
    kept_open(t, kept, true, true, gone ? 4 * (int64_t)DAY_MS : 0);
    for (int64_t ms = 30000; ms < 2 * (int64_t)DAY_MS; ms += 60000)
        put(t, kept, "c_total", BEGIN_MS + ms, (double)ms / 1000);
    to_blocks(t, kept);
    keep_house(t, kept, BEGIN_MS + (DAYS + 1) * (int64_t)DAY_MS + 3600000);
}

TEST(samples_answer_while_they_are_there_unless_it_is_allowed) {
    static const int64_t FIVE = 300000, HOUR = 3600000;
    Kept kept;
    two_days(t, &kept, false);
    int64_t at_ms = BEGIN_MS + 10 * HOUR;
    QueryResult result = ask(t, &kept, "rate(c_total[1h])", at_ms, HOUR, 0);
    check_i64(t, 0, result.stats.downsampled);
    check_i64(t, 0, result.infos.count);
    // The coarsest that is allowed, not coarser than the step and the range.
    const struct {
        const char *query;
        int64_t step_ms, most_ms;
        const char *says;  // NULL: samples answer
    } rows[] = {
        {"rate(c_total[1h])", HOUR, HOUR, "samples of 1h"},
        {"rate(c_total[1h])", HOUR, HOUR - 1, "samples of 5m"},
        {"rate(c_total[1h])", FIVE, HOUR, "samples of 5m"},
        {"rate(c_total[10m])", HOUR, HOUR, "samples of 5m"},
        {"rate(c_total[4m])", HOUR, HOUR, NULL},
        {"rate(c_total[1h])", 60000, HOUR, NULL},
        {"rate(c_total[1h])", HOUR, 60000, NULL},
        {"c_total", HOUR, HOUR, "samples of 1h"},
        {"sum(c_total)", FIVE, HOUR, "samples of 5m"},
        {"c_total", 60000, HOUR, NULL},
        {"c_total", 0, HOUR, NULL},
        {"sum_over_time(c_total[2h])", 0, HOUR, "samples of 1h"},
        {"max_over_time(c_total[2h:5m])", HOUR, HOUR, "samples of 5m"},
        {"quantile_over_time(0.5, c_total[2h])", HOUR, HOUR, NULL},
        {"irate(c_total[2h])", HOUR, HOUR, NULL},
        {"rate(c_total[2h] anchored)", HOUR, HOUR, NULL},
        {"c_total smoothed", HOUR, HOUR, NULL},
        {"c_total[2h]", 0, HOUR, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        result = ask(t, &kept, rows[i].query, at_ms, rows[i].step_ms, rows[i].most_ms);
        bool told = rows[i].says != NULL;
        check(t, result.count > 0);
        check(t, (result.stats.downsampled > 0) == told);
        if (told && !says(result.infos, rows[i].says))
            check_failed(t, __FILE__, __LINE__, "%s: not %s", rows[i].query, rows[i].says);
        check_i64(t, 0, result.warnings.count);
    }
    kept_close(&kept);
}

TEST(what_needs_samples_says_that_they_are_gone) {
    static const int64_t HOUR = 3600000;
    Kept kept;
    two_days(t, &kept, true);
    static const char *const refused[] = {
        "irate(c_total[2h])",   "quantile_over_time(0.5, c_total[2h])",
        "deriv(c_total[2h])",   "stddev_over_time(c_total[2h])",
        "changes(c_total[2h])", "rate(c_total[2h] anchored)",
        "c_total smoothed",     "delta(c_total[2h] smoothed)",
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        QueryResult result = ask(t, &kept, refused[i], BEGIN_MS + 10 * HOUR, HOUR, HOUR);
        if (result.count > 0 || !says(result.warnings, "needs samples as they came"))
            check_failed(t, __FILE__, __LINE__, "%s: %zu series, %zu warnings", refused[i],
                         result.count, result.warnings.count);
        // The day behind has its samples.
        result = ask(t, &kept, refused[i], BEGIN_MS + 34 * HOUR, HOUR, HOUR);
        check(t, result.count == 1 && result.warnings.count == 0);
    }
    // The finest that there is, without being asked.
    QueryResult result = ask(t, &kept, "increase(c_total[1h])", BEGIN_MS + 10 * HOUR, 60000, 0);
    check(t, result.count == 1 && result.series[0].count == 4);
    check(t, says(result.infos, "samples of 5m") && result.warnings.count == 0);
    check(t, fabs(result.series[0].values[0] - 3600) < 1e-6);
    // Where samples are there none of it is said.
    result = ask(t, &kept, "increase(c_total[1h])", BEGIN_MS + 34 * HOUR, 60000, 0);
    check(t, result.count == 1 && result.infos.count == 0 && result.stats.downsampled == 0);
    kept_close(&kept);
}

// The bytes of a native histogram: one integer bucket, a sum.
static void put_histogram(Test *t, Kept *kept, const char *labels, int64_t time_ms) {
    static const uint8_t wire[] = {0x08, 1, 0x19, 0, 0,    0, 0,    0, 0,    0xf0, 0x3f,
                                   0x28, 1, 0x5a, 4, 0x08, 0, 0x10, 1, 0x62, 1,    2};
    Batch *batch = batch_of(t, kept, labels, time_ms, (BatchSeries){.histogram_count = 1});
    *array_add(&batch->histograms) =
        (BatchHistogram){.time_ms = time_ms, .wire = {wire, sizeof wire}};
    store_batch(kept);
}

TEST(native_histograms_are_read_as_they_came_or_missed_aloud) {
    static const int64_t HOUR = 3600000;
    for (int gone = 0; gone < 2; gone++) {
        Kept kept;
        kept_open(t, &kept, true, true, gone ? 4 * (int64_t)DAY_MS : 0);
        for (int64_t ms = 30000; ms < DAY_MS; ms += 60000)
            put_histogram(t, &kept, "h", BEGIN_MS + ms);
        to_blocks(t, &kept);
        keep_house(t, &kept, BEGIN_MS + (DAYS + 2) * (int64_t)DAY_MS);
        QueryResult result =
            ask(t, &kept, "count_over_time(h[2h])", BEGIN_MS + 10 * HOUR, HOUR, HOUR);
        if (gone) {
            check_i64(t, 0, result.count);
            check(t, says(result.warnings, "native histograms are not in samples of"));
            check(t, says(result.warnings, "\"h\""));
        } else {
            check(t, result.count == 1 && result.series[0].count == 4);
            check(t, result.series[0].values[0] == 120);
            check_i64(t, 0, result.warnings.count + result.infos.count);
        }
        kept_close(&kept);
    }
}

TEST_MAIN("query/tiers", CASE(windows_answer_as_samples_do),
          CASE(days_of_several_blocks_answer_as_days_of_one),
          CASE(samples_answer_while_they_are_there_unless_it_is_allowed),
          CASE(what_needs_samples_says_that_they_are_gone),
          CASE(native_histograms_are_read_as_they_came_or_missed_aloud))
