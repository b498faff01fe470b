// Sixteen numbers at once: the same bytes and the same answers as the general way, which knows no
// wide registers.

#include "store/series/strip.h"

#include "base/test.h"
#include "model/sample.h"
#include "store/series/chunk_shapes.h"
#include "store/series/decimal.h"
#include "store/series/strip_fixture.h"

enum { ROOM = 16 + STRIP_SAMPLES * 9, ROUNDS = 20000 };

static uint64_t below(uint64_t *random, uint64_t limit) {
    return test_random(random) % limit;
}

// Integers of all sizes along lines of all orders, multiples of anything among them.
static void numbers_make(uint64_t *random, int64_t *numbers) {
    unsigned order = (unsigned)below(random, 4), bits = (unsigned)below(random, 65);
    uint64_t mask = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
    uint64_t state[3] = {test_random(random) >> below(random, 64),
                         test_random(random) >> below(random, 64),
                         test_random(random) >> below(random, 64)};
    uint64_t factor = below(random, 3) > 0 ? 1 : UINT64_C(1) << below(random, 64);
    if (below(random, 8) == 0) factor = 1 + below(random, 5000);
    uint64_t rare = below(random, 4) == 0 ? 1 + below(random, 12) : 1;
    for (size_t i = 0; i < STRIP_SAMPLES; i++) {
        uint64_t residual = below(random, rare) == 0 ? test_random(random) & mask : 0;
        if (below(random, 2) == 0) residual = -residual;
        uint64_t number = residual;
        if (order == 1) number = state[0] += residual;
        if (order == 2) number = state[0] += state[1] += residual;
        if (order == 3) number = state[0] + i * state[1] + residual;
        numbers[i] = (int64_t)(number * factor + state[2]);
    }
}

// Doubles: bits of such integers, or such integers over a power of ten, some others among them.
static void values_make(uint64_t *random, double *values) {
    int64_t numbers[STRIP_SAMPLES];
    numbers_make(random, numbers);
    unsigned domain = (unsigned)below(random, DECIMALS_MAX + 6);
    unsigned shift = (unsigned)below(random, 60), longer = (unsigned)below(random, 5);
    for (size_t i = 0; i < STRIP_SAMPLES; i++) {
        uint64_t bits = (uint64_t)numbers[i];
        if (domain > DECIMALS_MAX) {
            values[i] = domain & 1 ? (double)numbers[i] : double_from_bits(bits);
            continue;
        }
        unsigned decimals = domain;
        if (longer == 0 && below(random, 6) == 0) decimals = (unsigned)below(random, domain + 1);
        values[i] = (double)(numbers[i] >> shift) / decimal_powers[decimals];
    }
    static const double odd[] = {INFINITY, -INFINITY, NAN,    -0.0,  0.1,
                                 1e300,    5e-324,    0x1p53, 0x1p62};
    if (below(random, 6) == 0) {  // sums of decimals are off by a last digit here and there
        for (uint64_t left = below(random, 10); left > 0; left--) {
            double *value = &values[below(random, STRIP_SAMPLES)];
            *value = double_from_bits(double_bits(*value) + below(random, 3) - 1);
        }
    }
    if (below(random, 6) > 0) return;
    for (uint64_t left = below(random, 10); left > 0; left--) {
        uint64_t which = below(random, COUNT(odd) + 2);
        values[below(random, STRIP_SAMPLES)] = which < COUNT(odd)    ? odd[which]
                                               : which == COUNT(odd) ? stale_nan()
                                                                     : noise(random);
    }
}

static void compare_values(Test *t, const double *values, unsigned *known) {
    uint8_t wide[ROOM], general[ROOM];
    size_t len = strip_values_encode(values, wide);
    size_t general_len = values_encode_anywhere(values, general);
    if (len > 0) {
        ++*known;
        check_i64(t, general_len, len);
        check_same_bytes(t, general, wide, len);
    }
    // Exact memory, so that the address sanitizer sees a step too far.
    uint8_t *exact = memory_take(general_len);
    memcpy(exact, general, general_len);
    double again[STRIP_SAMPLES];
    size_t used = 0;
    bool decoded = strip_values_decode((Bytes){exact, general_len}, again, &used);
    check(t, decoded || len == 0);
    if (decoded) {
        check_i64(t, general_len, used);
        check_same_bytes(t, again, values, sizeof again);
    }
    memory_free(exact);
}

TEST(values_take_the_same_bytes_either_way) {
    uint64_t random = t->seed;
    unsigned known = 0;
    double values[STRIP_SAMPLES];
    for (unsigned round = 0; round < ROUNDS; round++) {
        values_make(&random, values);
        compare_values(t, values, &known);
        values_shape(round % SHAPES, STRIP_SAMPLES, &random, values);
        compare_values(t, values, &known);
    }
    // Where there are such registers, most of these shapes are for them.
    memset(values, 0, sizeof values);
    uint8_t into[ROOM];
    if (strip_values_encode(values, into) > 0) check(t, known > ROUNDS);
}

TEST(times_take_the_same_bytes_either_way) {
    uint64_t random = t->seed;
    unsigned known = 0;
    int64_t times[STRIP_SAMPLES];
    for (unsigned round = 0; round < ROUNDS; round++) {
        numbers_make(&random, times);
        uint8_t wide[ROOM], general[ROOM];
        size_t len = strip_times_encode(times, wide), used;
        size_t general_len = times_encode_anywhere(times, general);
        if (len == 0) continue;
        known++;
        check_i64(t, general_len, len);
        check_same_bytes(t, general, wide, len);
        int64_t again[STRIP_SAMPLES];
        check(t, strip_times_decode((Bytes){wide, len}, again, &used));
        check_i64(t, len, used);
        check_same_bytes(t, again, times, sizeof again);
    }
    for (size_t i = 0; i < STRIP_SAMPLES; i++) times[i] = (int64_t)i;
    uint8_t into[ROOM];
    if (strip_times_encode(times, into) > 0) check(t, known > ROUNDS / 2);
}

// Bytes that nobody wrote, and written ones with a wrong bit or cut: what is decoded here, the
// general way decodes alike.
TEST(bad_bytes_are_judged_as_the_general_way_does) {
    uint64_t random = t->seed;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint8_t bytes[ROOM];
        double values[STRIP_SAMPLES];
        values_make(&random, values);
        size_t len = values_encode_anywhere(values, bytes);
        for (uint64_t left = below(&random, 4); left > 0; left--)
            bytes[below(&random, MIN(len, (size_t)12))] ^= (uint8_t)(1 << below(&random, 8));
        if (round % 8 == 0) {
            for (size_t i = 1; i < 40; i++) bytes[i] = (uint8_t)test_random(&random) | 0x80;
        }
        if (below(&random, 3) == 0) len = below(&random, len + 1);
        uint8_t *exact = memory_take(len + 1);
        memcpy(exact, bytes, len);
        exact = memory_resize(exact, MAX(len, (size_t)1));
        double wide[STRIP_SAMPLES], general[STRIP_SAMPLES];
        int64_t wide_times[STRIP_SAMPLES], general_times[STRIP_SAMPLES];
        size_t used, general_used;
        if (strip_values_decode((Bytes){exact, len}, wide, &used)) {
            check(t, values_decode_anywhere((Bytes){exact, len}, general, &general_used));
            check_i64(t, general_used, used);
            check_same_bytes(t, wide, general, sizeof wide);
        }
        if (strip_times_decode((Bytes){exact, len}, wide_times, &used)) {
            check(t, times_decode_anywhere((Bytes){exact, len}, general_times, &general_used));
            check_i64(t, general_used, used);
            check_same_bytes(t, wide_times, general_times, sizeof wide_times);
        }
        memory_free(exact);
    }
}

TEST_MAIN("store/strip", CASE(values_take_the_same_bytes_either_way),
          CASE(times_take_the_same_bytes_either_way),
          CASE(bad_bytes_are_judged_as_the_general_way_does))
