// What the test and the fuzzer of strips share: sixteen numbers by the general way, which knows no
// wide registers.
#pragma once

#include "base/wide.h"
#include "store/series/chunk.h"

static inline bool wide_leave(void) {
    bool is_there = wide_is_there;
    wide_is_there = false;
    return is_there;
}
static inline size_t values_encode_anywhere(const double *values, uint8_t *into) {
    bool is_there = wide_leave();
    size_t len = values_encode(values, STRIP_SAMPLES, true, into);
    wide_is_there = is_there;
    return len;
}
static inline size_t times_encode_anywhere(const int64_t *times, uint8_t *into) {
    bool is_there = wide_leave();
    size_t len = times_encode(times, STRIP_SAMPLES, into);
    wide_is_there = is_there;
    return len;
}
static inline bool values_decode_anywhere(Bytes encoded, double *into, size_t *used) {
    bool is_there = wide_leave();
    bool decoded = values_decode(encoded, STRIP_SAMPLES, into, used, NULL);
    wide_is_there = is_there;
    return decoded;
}
static inline bool times_decode_anywhere(Bytes encoded, int64_t *into, size_t *used) {
    bool is_there = wide_leave();
    bool decoded = times_decode(encoded, STRIP_SAMPLES, into, used, NULL);
    wide_is_there = is_there;
    return decoded;
}
