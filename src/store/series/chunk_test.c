// Columns come back bit for bit, whatever they hold; and stay as small as promised.

#include "store/series/chunk.h"

#include "base/test.h"
#include "base/wide.h"
#include "model/sample.h"
#include "store/series/chunk_shapes.h"
#include "store/series/decimal.h"

static void check_values(Test *t, const double *values, size_t count, bool fast) {
    // Exact memory, so that the address sanitizer sees a step too far.
    uint8_t *encoded = memory_take(16 + count * 9);
    size_t len = values_encode(values, count, fast, encoded);
    check(t, len <= MAX(1 + count * 8, (size_t)11));
    uint8_t *exact = memory_take(len + 1);
    memcpy(exact, encoded, len);
    exact = memory_resize(exact, len);
    double *again = memory_take(count * sizeof *again + 1);
    size_t used;
    check_ok(t, values_decode((Bytes){exact, len}, count, again, &used, t->err));
    check_i64(t, len, used);
    check_same_bytes(t, again, values, count * sizeof *values);
    for (size_t cut = 0; cut < MIN(len, (size_t)40); cut++) {
        check_error(t, values_decode((Bytes){exact, cut}, count, again, &used, t->err),
                    ERROR_CORRUPT);
    }
    memory_free(encoded);
    memory_free(exact);
    memory_free(again);
}

TEST(values_come_back_bit_for_bit) {
    static const size_t counts[] = {1, 2, 3, 4, 15, 16, 17, 63, 64, 120, 480, 1023, 1024};
    double values[CHUNK_SAMPLES_MAX];
    uint64_t random = t->seed;
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        for (size_t c = 0; c < COUNT(counts); c++) {
            values_shape(shape, counts[c], &random, values);
            check_values(t, values, counts[c], false);
            if (counts[c] <= 64) check_values(t, values, counts[c], true);
        }
    }
}

TEST(mixed_random_columns_come_back) {
    double values[CHUNK_SAMPLES_MAX];
    uint64_t random = t->seed;
    for (unsigned round = 0; round < 600; round++) {
        size_t count = 1 + test_random(&random) % 200;
        for (size_t at = 0; at < count;) {
            size_t piece = MIN(count - at, (size_t)(1 + test_random(&random) % 80));
            values_shape((unsigned)(test_random(&random) % SHAPES), piece, &random, values + at);
            at += piece;
        }
        check_values(t, values, count, round % 2);
    }
}

static void check_times(Test *t, const int64_t *times, size_t count, size_t bytes_max) {
    uint8_t *encoded = memory_take(16 + count * 9);
    size_t len = times_encode(times, count, encoded);
    if (len > bytes_max)
        check_failed(t, __FILE__, __LINE__, "%zu times take %zu bytes, not %zu", count, len,
                     bytes_max);
    int64_t again[CHUNK_SAMPLES_MAX];
    size_t used;
    check_ok(t, times_decode((Bytes){encoded, len}, count, again, &used, t->err));
    check_i64(t, len, used);
    check_same_bytes(t, again, times, count * sizeof *times);
    memory_free(encoded);
}

TEST(times_come_back_and_are_small) {
    int64_t times[CHUNK_SAMPLES_MAX];
    uint64_t random = t->seed;
    for (size_t i = 0; i < COUNT(times); i++) times[i] = 1700000000000 + (int64_t)i * 15000;
    check_times(t, times, COUNT(times), 12);
    check_times(t, times, 1, 8);
    check_times(t, times, 2, 12);
    for (size_t i = 0; i < COUNT(times); i++) times[i] += (int64_t)(test_random(&random) % 8);
    check_times(t, times, COUNT(times), 410);
    check_times(t, times, 16, 30);
    for (size_t i = 500; i < COUNT(times); i++) times[i] += 600000;  // a gap
    check_times(t, times, COUNT(times), 600);  // by the seed 519 to 584
    for (size_t i = 0; i < COUNT(times); i++) times[i] = (int64_t)test_random(&random);
    check_times(t, times, COUNT(times), 16 + COUNT(times) * 9);
    times[0] = INT64_MIN;
    times[1] = INT64_MAX;
    times[2] = 0;
    check_times(t, times, 3, 43);
    check_times(t, times, 2, 34);
}

TEST(plain_shapes_are_small) {
    double values[CHUNK_SAMPLES_MAX];
    uint8_t encoded[COLUMN_BYTES_MAX];
    // shape, count, fast, bytes at most
    static const struct {
        unsigned shape;
        size_t count;
        bool fast;
        size_t bytes_max;
    } rows[] = {
        {0, 16, true, 3},  // a constant: kind and value
        {0, 1024, false, 3},
        {1, 16, true, 6},  // a steady counter
        {1, 1024, false, 6},
        {2, 16, true, 22},  // increments below 100: 7 bits
        {2, 1024, false, 910},
        {3, 1024, false, 1550},  // resets do not spoil it: 10 bits and a little
        {4, 1024, false, 1450},  // two decimals, 2000 steps: 11 bits
        {7, 1024, false, 420},   // stale markers apart
        {9, 1024, false, 12},
        {13, 1024, false, 1700},  // pages: 13 bits
        {14, 1024, false, 3500},  // floats: 24 bits and the exponent
        {16, 1024, false, 30},
        {17, 1024, false, 300},
    };
    uint64_t random = t->seed;
    for (size_t i = 0; i < COUNT(rows); i++) {
        values_shape(rows[i].shape, rows[i].count, &random, values);
        size_t len = values_encode(values, rows[i].count, rows[i].fast, encoded);
        if (len > rows[i].bytes_max) {
            check_failed(t, __FILE__, __LINE__,
                         "shape %u: %zu values take %zu bytes (first %02x), not %zu", rows[i].shape,
                         rows[i].count, len, encoded[0], rows[i].bytes_max);
        }
    }
}

TEST(a_summary_leaves_nan_out) {
    int64_t times[] = {1, 2, 3, 4, 5};
    double values[] = {3, 1, stale_nan(), 2, NAN};
    ChunkSummary summary = chunk_summarise(times, values, 5);
    check(t, summary.first_ms == 1 && summary.last_ms == 5 && summary.count == 5);
    check(t, summary.resets == 1);
    check(t, summary.sum == 6 && summary.min == 1 && summary.max == 3);
    check(t, summary.first == 3 && isnan(summary.last));
}

// With and without wide registers the same bytes are written, and the same numbers read.
static void check_either_way(Test *t, const double *values, size_t count, bool fast) {
    bool is_there = wide_is_there;
    uint8_t encoded[2][COLUMN_BYTES_MAX];
    double again[2][CHUNK_SAMPLES_MAX];
    size_t lens[2], used;
    for (unsigned way = 0; way < 2; way++) {
        wide_is_there = is_there && way == 0;
        lens[way] = values_encode(values, count, fast, encoded[way]);
    }
    check_i64(t, lens[1], lens[0]);
    check_same_bytes(t, encoded[0], encoded[1], lens[1]);
    for (unsigned way = 0; way < 2; way++) {
        wide_is_there = is_there && way == 0;
        Bytes bytes = {memory_take(lens[0]), lens[0]};  // exact, for the address sanitizer
        memcpy((uint8_t *)bytes.at, encoded[0], lens[0]);
        check_ok(t, values_decode(bytes, count, again[way], &used, t->err));
        check_same_bytes(t, again[way], values, count * sizeof *values);
        memory_free((uint8_t *)bytes.at);
    }
    // As times: their bits are integers of all sizes.
    for (unsigned way = 0; way < 2; way++) {
        wide_is_there = is_there && way == 0;
        lens[way] = times_encode((const int64_t *)(const void *)values, count, encoded[way]);
        check_ok(t, times_decode((Bytes){encoded[way], lens[way]}, count,
                                 (int64_t *)(void *)again[way], &used, t->err));
        check_same_bytes(t, again[way], values, count * sizeof *values);
    }
    check_i64(t, lens[1], lens[0]);
    check_same_bytes(t, encoded[0], encoded[1], lens[1]);
    wide_is_there = is_there;
}

TEST(wide_registers_change_no_byte) {
    double values[CHUNK_SAMPLES_MAX];
    uint64_t random = t->seed;
    for (unsigned round = 0; round < 1200; round++) {
        size_t count = 1 + test_random(&random) % (round % 4 == 0 ? CHUNK_SAMPLES_MAX : 100);
        for (size_t at = 0; at < count;) {
            size_t piece = round % 3 == 0 ? MIN(count - at, (size_t)(1 + test_random(&random) % 80))
                                          : count - at;
            values_shape((unsigned)(test_random(&random) % SHAPES), piece, &random, values + at);
            at += piece;
        }
        check_either_way(t, values, count, round % 2);
    }
}

// Sums of tenths, thousandths by multiplying; with stale markers, restarts and true doubles
// between.
static void near_make(uint64_t *random, size_t count, double *values) {
    static const double scales[] = {0.1, 0.01, 0.001, 1e-9};
    double scale = scales[test_random(random) % COUNT(scales)], sum = 0;
    unsigned way = (unsigned)(test_random(random) % 3), odd = (unsigned)(test_random(random) % 3);
    uint64_t number = test_random(random) % 100000;
    for (size_t i = 0; i < count; i++) {
        number += test_random(random) % 30;
        sum += (double)(test_random(random) % 30) * scale;
        if (way == 2 && test_random(random) % 200 == 0) sum = 0;
        values[i] = way == 0 ? (double)number * scale : sum;
        if (odd == 1 && test_random(random) % 40 == 0) values[i] = stale_nan();
        if (odd == 2 && test_random(random) % 40 == 0) values[i] = noise(random);
    }
}

static size_t check_cold(Test *t, const double *values, size_t count, bool *near) {
    bool is_there = wide_is_there, nears[2];
    uint8_t encoded[2][COLUMN_BYTES_MAX];
    size_t lens[2], used;
    double again[CHUNK_SAMPLES_MAX];
    for (unsigned way = 0; way < 2; way++) {
        wide_is_there = is_there && way == 0;
        lens[way] = values_encode_cold(values, count, encoded[way], &nears[way]);
        Bytes bytes = {memory_take(lens[way]), lens[way]};
        memcpy((uint8_t *)bytes.at, encoded[way], lens[way]);
        check_ok(t, values_decode(bytes, count, again, &used, t->err));
        check_i64(t, lens[way], used);
        check_same_bytes(t, again, values, count * sizeof *values);
        for (size_t cut = 0; cut < MIN(lens[way], (size_t)60); cut++) {
            check_error(t, values_decode((Bytes){bytes.at, cut}, count, again, &used, t->err),
                        ERROR_CORRUPT);
        }
        memory_free((uint8_t *)bytes.at);
    }
    wide_is_there = is_there;
    check_i64(t, lens[1], lens[0]);
    check(t, nears[0] == nears[1]);
    check_same_bytes(t, encoded[0], encoded[1], lens[0]);
    *near = nears[0];
    return lens[0];
}

TEST(what_is_nearly_decimal_is_told_as_decimals) {
    double values[CHUNK_SAMPLES_MAX];
    uint8_t plain[COLUMN_BYTES_MAX];
    uint64_t random = t->seed;
    size_t nears = 0, near_bytes = 0, plain_bytes = 0;
    for (unsigned round = 0; round < 300; round++) {
        size_t count = 1 + test_random(&random) % CHUNK_SAMPLES_MAX;
        bool near;
        near_make(&random, count, values);
        size_t len = check_cold(t, values, count, &near);
        size_t plain_len = values_encode(values, count, false, plain);
        check(t, near ? len < plain_len : len == plain_len);
        if (!near) continue;
        nears++;
        near_bytes += len;
        plain_bytes += plain_len;
    }
    if (nears < 150 || near_bytes * 3 > plain_bytes * 2) {
        check_failed(t, __FILE__, __LINE__, "%zu of 300 near, %zu bytes instead of %zu", nears,
                     near_bytes, plain_bytes);
    }
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        bool near;
        values_shape(shape, 500, &random, values);
        check_cold(t, values, 500, &near);
    }
}

static unsigned decimals_by_trying(double value) {
    int64_t number;
    for (unsigned decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
        if (decimal_from(value, decimals, &number)) return decimals;
    }
    return DOMAIN_BITS;
}

TEST(one_power_tells_whether_a_double_is_a_decimal) {
    uint64_t random = t->seed;
    for (unsigned round = 0; round < 1000000; round++) {
        // Around 2^50 … 2^53 is where the last digits are in doubt.
        uint64_t number = test_random(&random) >> (round % 4 == 0 ? test_random(&random) % 64
                                                                  : 11 + test_random(&random) % 4);
        double value = (double)number / decimal_powers[test_random(&random) % (DECIMALS_MAX + 1)];
        value = double_from_bits(double_bits(value) + test_random(&random) % 3 - 1);
        if (!isfinite(value)) continue;
        check_i64(t, decimals_by_trying(value), decimals_of(value));
        check_i64(t, decimals_by_trying(-value), decimals_of(-value));
    }
}

TEST(decimals_of_few_places_are_known_at_any_size) {
    uint64_t random = t->seed;
    for (unsigned round = 0; round < 200000; round++) {
        unsigned decimals = (unsigned)test_random(&random) % 4;
        uint64_t number = test_random(&random) >> (15 + test_random(&random) % 49);
        check(t, decimals_of((double)number / decimal_powers[decimals]) <= decimals);
    }
}

TEST_MAIN("store/chunk", CASE(values_come_back_bit_for_bit), CASE(mixed_random_columns_come_back),
          CASE(times_come_back_and_are_small), CASE(plain_shapes_are_small),
          CASE(a_summary_leaves_nan_out), CASE(wide_registers_change_no_byte),
          CASE(what_is_nearly_decimal_is_told_as_decimals),
          CASE(one_power_tells_whether_a_double_is_a_decimal),
          CASE(decimals_of_few_places_are_known_at_any_size))
