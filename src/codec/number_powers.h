// The powers of ten as 128 bits, shared by the writing and the reading of numbers. Private to
// codec.
#pragma once

#include "base/language.h"

enum { POWER_FIRST = -292, POWER_LAST = 324 };

typedef struct NumberPower {
    uint64_t high, low;
} NumberPower;

// [k - POWER_FIRST]: 10^k scaled into [2^127, 2^128), rounded up.
extern const NumberPower number_powers[];

// floor(log2(10^e)); the row above is 10^e / 2^(this - 127).
static inline int floor_log2_pow10(int e) {
    return (e * 1741647) >> 19;
}
