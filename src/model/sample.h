// A sample: a time in milliseconds and a double, kept bit for bit.
#pragma once

#include <math.h>

#include "base/text.h"

typedef struct Sample {
    int64_t time_ms;
    double value;
} Sample;

typedef struct Samples {
    const Sample *at;
    size_t count;
} Samples;

// The first place of rising times that is not before `time_ms`.
static inline size_t times_place(const int64_t *times, size_t count, int64_t time_ms) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (times[middle] < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static inline uint64_t double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline double double_from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The NaN with which Prometheus marks the end of a series (value.StaleNaN); other NaNs are values.
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
static inline double stale_nan(void) {
    return double_from_bits(STALE_NAN_BITS);
}
static inline bool is_stale(double value) {
    return double_bits(value) == STALE_NAN_BITS;
}
