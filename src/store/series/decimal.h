// Doubles that are decimals: n / 10^d, exactly.
//
// Division is correctly rounded, so every decimal of up to 15 digits that was ever parsed from text
// passes.
#pragma once

#include <math.h>

#include "model/sample.h"

enum {
    DECIMALS_MAX = 14,  // more digits behind the point are no decimals but noise
    DOMAIN_BITS = 15,   // instead of a number of decimals: the bits of the double as an integer
};

extern const double decimal_powers[DECIMALS_MAX + 1];

// Writes n always when it answers true; false when the division does not give back `value` bit for
// bit.
static inline bool decimal_from(double value, unsigned decimals, int64_t *out) {
    double limit = decimals == 0 ? 0x1p62 : 0x1p53;
    double scaled = value * decimal_powers[decimals];
    if (!(scaled > -limit && scaled < limit)) return false;
    int64_t number = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
    *out = number;
    return double_bits((double)number / decimal_powers[decimals]) == double_bits(value);
}

// The fewest decimals that hold a finite value; DOMAIN_BITS when none do.
unsigned decimals_of(double value);
