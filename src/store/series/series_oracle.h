// A slow, simple store that the real one is compared with: for every series a sorted list of
// samples, the first stored of a time wins, with the start that came with it. And the log that a
// real store would be replayed from.
#pragma once

#include "store/series/series_fixture.h"

enum { ORACLE_SERIES = 24 };

typedef struct OracleWrite {
    uint64_t sequence;
    uint32_t series;
    Sample sample;
    int64_t start_ms;
} OracleWrite;

typedef struct OracleSample {
    int64_t time_ms;
    double value;
    int64_t start_ms;  // 0: it came without
} OracleSample;

typedef ARRAY(OracleSample) OracleSamples;

typedef struct Oracle {
    OracleSamples samples[ORACLE_SERIES];
    ARRAY(OracleWrite) log;
} Oracle;

static inline void oracle_free(Oracle *oracle) {
    for (size_t i = 0; i < ORACLE_SERIES; i++) array_free(&oracle->samples[i]);
    array_free(&oracle->log);
}

static inline size_t oracle_place(const Oracle *oracle, uint32_t series, int64_t time_ms) {
    const OracleSamples *of = &oracle->samples[series];
    size_t at = 0;
    while (at < of->count && of->at[at].time_ms < time_ms) at++;
    return at;
}

static inline void oracle_put(Oracle *oracle, uint32_t series, Sample sample, int64_t start_ms) {
    size_t at = oracle_place(oracle, series, sample.time_ms);
    OracleSamples *of = &oracle->samples[series];
    if (at < of->count && of->at[at].time_ms == sample.time_ms) return;
    array_add(of);
    memmove(&of->at[at + 1], &of->at[at], (of->count - 1 - at) * sizeof *of->at);
    of->at[at] = (OracleSample){sample.time_ms, sample.value, start_ms};
}

// All samples of one series between two times.
static inline void oracle_delete(Oracle *oracle, uint32_t series, int64_t from_ms, int64_t to_ms) {
    OracleSamples *of = &oracle->samples[series];
    size_t kept = 0;
    for (size_t i = 0; i < of->count; i++) {
        if (of->at[i].time_ms < from_ms || of->at[i].time_ms > to_ms) of->at[kept++] = of->at[i];
    }
    of->count = kept;
}

// One series of the pool as a row of the batch; its name tells its number.
static inline void oracle_row(Fixture *f, uint32_t series) {
    static const char *const jobs[] = {"api", "db", "cache"};
    char number[4] = {(char)('0' + series / 10), (char)('0' + series % 10), 0, 0};
    const char *with_job[] = {"job", jobs[series % 3], "number", number, NULL};
    fixture_row(f, series % 2 == 0 ? "requests_total" : "temperature",
                series % 5 == 0 ? with_job + 2 : with_job);
}

// When counting began, as senders tell it: a third of the series never, the others at a few moments
// that change seldom, each at its own time (as deltas do), or not now.
static inline int64_t oracle_start(uint32_t series, int64_t time_ms, uint64_t *random) {
    if (series % 3 == 0) return 0;
    uint64_t dice = test_random(random) % 8;
    if (dice == 0) return 0;
    if (dice == 1) return time_ms - (int64_t)(test_random(random) % 3);
    return FIXTURE_NOW_MS - (int64_t)(series * 1000) - (dice == 2 ? 86400000 : 0);
}

// Into the row of the batch that was begun last.
static inline void oracle_to_batch(Fixture *f, const OracleWrite *write) {
    fixture_sample(f, write->sample.time_ms, write->sample.value);
    if (write->start_ms != 0) batch_add_start(&f->batch, write->start_ms);
}

// As a replay of the log does, in a batch of its own.
static inline void oracle_replay(Fixture *f, const OracleWrite *write) {
    fixture_clear(f);
    oracle_row(f, write->series);
    oracle_to_batch(f, write);
    series_write_begin(f->store);
    series_resolve(f->store, &f->prediction, &f->batch, true);
    series_append(f->store, &f->batch, write->sequence);
    series_write_end(f->store);
}

// There, and into the oracle and its log.
static inline void oracle_write(Oracle *oracle, Fixture *f, uint32_t series, Sample sample,
                                int64_t start_ms) {
    OracleWrite write = {f->sequence, series, sample, start_ms};
    oracle_to_batch(f, &write);
    oracle_put(oracle, series, sample, start_ms);
    *array_add(&oracle->log) = write;
}

// Any value that may come: whole, decimal, any double, NaN with a payload, stale, minus zero.
static inline double oracle_value(uint64_t *random) {
    uint64_t dice = test_random(random) % 16;
    if (dice < 6) return (double)(int64_t)(test_random(random) % 100000);
    if (dice < 11) return (double)(int64_t)(test_random(random) % 100000) / 100;
    if (dice == 11) return double_from_bits(test_random(random));
    if (dice == 12) return stale_nan();
    if (dice == 13) return -0.0;
    if (dice == 14)
        return double_from_bits(UINT64_C(0x7ff8000000000000) | (test_random(random) & 0xffff));
    return 1;
}

// Everything in [from_ms, to_ms] is in the store and in the oracle, bit for bit, and nothing else.
// `missing_fine`: a sample of the oracle with a sequence at or above it may be absent (it was not
// sealed). False with a reason.
static inline bool oracle_agrees(const Oracle *oracle, Fixture *f, int64_t from_ms, int64_t to_ms,
                                 Error *err) {
    AUTO(arena_free) Arena arena = {0};
    SeriesView *view = NULL;
    SeriesFoundList found;
    SeriesColumns columns = {.wants_starts = true};
    TRY(series_view_open(f->store, from_ms, to_ms, &view, err));
    bool fine = series_select(view, (Matchers){0}, 0, &arena, &found, err);
    SeriesCursor *cursor = series_cursor_open(view);
    uint64_t seen = 0;
    for (size_t i = 0; fine && i < found.count; i++) {
        uint64_t series = ORACLE_SERIES;
        if (!text_to_u64(labels_get(found.at[i].labels, TEXT("number")), &series) ||
            series >= ORACLE_SERIES || (seen >> series & 1)) {
            fine = error_set(err, ERROR_CORRUPT, "a series that was never written, or one twice");
            break;
        }
        seen |= UINT64_C(1) << series;
        fine = series_read(cursor, &found.at[i], from_ms, to_ms, &columns, err);
        const OracleSamples *of = &oracle->samples[series];
        size_t at = oracle_place(oracle, (uint32_t)series, from_ms);
        for (size_t k = 0; fine && k < columns.count; k++, at++) {
            if (at >= of->count || of->at[at].time_ms != columns.times[k] ||
                double_bits(of->at[at].value) != double_bits(columns.values[k])) {
                fine = error_set(
                    err, ERROR_CORRUPT, "series %d, sample %zu: %lld = %016llx, not %lld = %016llx",
                    (int)series, k, (long long)columns.times[k],
                    (unsigned long long)double_bits(columns.values[k]),
                    (long long)(at < of->count ? of->at[at].time_ms : -1),
                    (unsigned long long)(at < of->count ? double_bits(of->at[at].value) : 0));
                continue;
            }
            int64_t start_ms = columns.has_starts ? columns.starts[k] : 0;
            if (start_ms == of->at[at].start_ms) continue;
            fine = error_set(err, ERROR_CORRUPT,
                             "series %d, sample %zu at %lld: counting began at %lld, not %lld",
                             (int)series, k, (long long)columns.times[k], (long long)start_ms,
                             (long long)of->at[at].start_ms);
        }
        if (fine && at < of->count && of->at[at].time_ms <= to_ms) {
            fine =
                error_set(err, ERROR_CORRUPT, "series %d ends after %zu samples; %lld is missing",
                          (int)series, columns.count, (long long)of->at[at].time_ms);
        }
    }
    for (uint32_t i = 0; fine && i < ORACLE_SERIES; i++) {
        size_t at = oracle_place(oracle, i, from_ms);
        bool expected = at < oracle->samples[i].count && oracle->samples[i].at[at].time_ms <= to_ms;
        if (expected && (seen >> i & 1) == 0)
            fine = error_set(err, ERROR_CORRUPT, "series %u is missing", i);
    }
    series_columns_free(&columns);
    series_cursor_close(&cursor);
    series_view_close(&view);
    return fine;
}

// ---- Windows of tiers ----

// What a window has, by a slow look at the samples; `of` as SeriesPart. False: nothing.
static inline bool oracle_window(const OracleSamples *samples, int64_t tier_ms, int64_t end_ms,
                                 double of[WINDOW_KINDS]) {
    bool any = false;
    long double sum = 0;
    for (size_t i = 0; i < WINDOW_KINDS; i++) of[i] = 0;
    of[WINDOW_ENDED_AGO] = -1;
    for (size_t i = 0; i < samples->count; i++) {
        const OracleSample *sample = &samples->at[i];
        if (sample->time_ms <= end_ms - tier_ms || sample->time_ms > end_ms) continue;
        any = true;
        double value = sample->value, ago_ms = (double)(end_ms - sample->time_ms);
        of[WINDOW_ENDED_AGO] = is_stale(value) ? ago_ms : -1;
        if (is_stale(value)) continue;
        if (of[WINDOW_COUNT]++ == 0) {
            of[WINDOW_FIRST] = of[WINDOW_LEAST] = of[WINDOW_GREATEST] = value;
            of[WINDOW_FIRST_AGO] = ago_ms;
        } else if (value < of[WINDOW_LAST]) {
            of[WINDOW_RESETS]++;
            of[WINDOW_FELL] += of[WINDOW_LAST];
        }
        if (isnan(of[WINDOW_LEAST]) || value <= of[WINDOW_LEAST]) of[WINDOW_LEAST] = value;
        if (isnan(of[WINDOW_GREATEST]) || value >= of[WINDOW_GREATEST]) of[WINDOW_GREATEST] = value;
        of[WINDOW_LAST] = value;
        of[WINDOW_LAST_AGO] = ago_ms;
        sum += value;
    }
    of[WINDOW_SUM] = (double)sum;
    return any;
}

// Sums of odd doubles may be anything; others are near.
static inline bool oracle_same(int kind, double a, double b) {
    if (double_bits(a) == double_bits(b) || (isnan(a) && isnan(b))) return true;
    if (kind != WINDOW_SUM && kind != WINDOW_FELL) return false;
    return !isfinite(a) || !isfinite(b) || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-300;
}

static inline bool oracle_part_agrees(const OracleSamples *samples, const SeriesParts *parts,
                                      size_t i, Error *err) {
    double of[WINDOW_KINDS];
    int64_t end_ms = parts->ends_ms[i];
    if (!oracle_window(samples, parts->tiers_ms[i], end_ms, of))
        return error_set(err, ERROR_CORRUPT, "the window to %lld has nothing", (long long)end_ms);
    for (int kind = 0; kind < WINDOW_KINDS; kind++) {
        bool known = of[WINDOW_COUNT] > 0 || kind == WINDOW_COUNT || kind > WINDOW_LAST_AGO;
        if (!known || oracle_same(kind, parts->of[kind][i], of[kind])) continue;
        return error_set(err, ERROR_CORRUPT, "the window to %lld, column %d: %g, not %g",
                         (long long)end_ms, kind, parts->of[kind][i], of[kind]);
    }
    return true;
}

// All windows of one series; *seen counts them.
static inline bool oracle_series_agrees(const Oracle *oracle, SeriesCursor *cursor,
                                        const SeriesFound *found, int64_t tier_ms, int64_t from_ms,
                                        int64_t to_ms, size_t *seen, Error *err) {
    SeriesColumns samples = {0};
    SeriesParts parts = {0};
    uint64_t series = ORACLE_SERIES;
    bool fine =
        text_to_u64(labels_get(found->labels, TEXT("number")), &series) && series < ORACLE_SERIES;
    if (!fine) return error_set(err, ERROR_CORRUPT, "a series that was never written");
    fine = series_read_parts(cursor, found, from_ms, to_ms, UINT32_MAX, &parts, &samples, err);
    for (size_t i = 0; fine && i < parts.count; i++) {
        // At midnight a window is told by two days, each with its part.
        if (parts.tiers_ms[i] == 0 || parts.ends_ms[i] % 86400000 == 0) continue;
        fine = parts.tiers_ms[i] == tier_ms ||
               error_set(err, ERROR_CORRUPT, "a window of %lld ms", (long long)parts.tiers_ms[i]);
        fine = fine && oracle_part_agrees(&oracle->samples[series], &parts, i, err);
        (*seen)++;
    }
    series_columns_free(&samples);
    series_parts_free(&parts);
    return fine || error_context(err, "series %d", (int)series);
}

// Every window of a tier that ends in the interval, but those at midnight, is that of a slow look,
// and none is missing.
static inline bool oracle_windows_agree(const Oracle *oracle, Fixture *f, int64_t tier_ms,
                                        int64_t from_ms, int64_t to_ms, size_t *seen, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(series_view_close) SeriesView *view = NULL;
    SeriesFoundList found;
    size_t expected = 0;
    *seen = 0;
    TRY(series_view_open(f->store, from_ms, to_ms, &view, err));
    bool any = series_view_add_tiers(view, f->store, tier_ms);
    TRY(series_select_tiers(view, (Matchers){0}, 0, &arena, &found, err));
    SeriesCursor *cursor = series_cursor_open(view);
    bool fine = true;
    for (size_t i = 0; any && fine && i < found.count; i++)
        fine =
            oracle_series_agrees(oracle, cursor, &found.at[i], tier_ms, from_ms, to_ms, seen, err);
    series_cursor_close(&cursor);
    if (!fine) return error_context(err, "a tier of %lld ms", (long long)tier_ms);
    for (size_t series = 0; series < ORACLE_SERIES; series++) {
        const OracleSamples *samples = &oracle->samples[series];
        int64_t before_ms = INT64_MIN;
        for (size_t i = 0; i < samples->count; i++) {
            int64_t end_ms = series_tier_floor(tier_ms, samples->at[i].time_ms + tier_ms - 1);
            bool counts = end_ms != before_ms && end_ms >= from_ms && end_ms <= to_ms &&
                          end_ms % 86400000 != 0;
            expected += counts;
            before_ms = end_ms;
        }
    }
    return expected == *seen || error_set(err, ERROR_CORRUPT, "%zu windows of %lld ms, not %zu",
                                          *seen, (long long)tier_ms, expected);
}
