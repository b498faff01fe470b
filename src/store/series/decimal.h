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
    int64_t number = (int64_t)rint(scaled);
    *out = number;
    return double_bits((double)number / decimal_powers[decimals]) == double_bits(value);
}

// The most decimals with which a finite value has room as an integer, DECIMALS_MAX at most.
//
// They decide for all: a value that is a decimal of fewer places comes back with the most, too.
// Let N be its integer at the most places: even, and below 2^53 (or there are no places at all).
// Where the spacing of doubles at the value, scaled, is wider than that of doubles at N, what
// scaling gives lies so near to the value that it divides back; where it is not, scaling is off by
// less than the half of 1 that rounding to even takes back.
static inline unsigned decimals_that_fit(double value) {
    int exponent = (int)(double_bits(value) >> 52 & 0x7ff) - 1023;
    int places = MIN(MAX(53 - exponent, 0) * 1233 >> 12, (int)DECIMALS_MAX);
    if (places > 0 && !(fabs(value) * decimal_powers[places] < 0x1p53)) places--;
    return (unsigned)places;
}

// The fewest decimals that hold a finite value; DOMAIN_BITS when none do.
unsigned decimals_of(double value);
