// Numbers as text: the shortest digits by Schubfach, then laid out as Go or JavaScript would.
//
// Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020): the interval of all
// decimals that read back to a double is scaled by one power of ten, so that it is about one unit
// wide; at most four integers are then candidates. All in integers, 128-bit powers from a table.

#include "codec/number.h"

#include "base/assert.h"
#include "codec/number_powers.h"

enum {
    EXPONENT_BIAS = 1075,  // of the significand as an integer
    SIGNIFICAND_BITS = 52,
};

const NumberPower number_powers[] = {
#define POWER(high, low) {high, low},
#include "codec/number_powers.def"
#undef POWER
};
_Static_assert(COUNT(number_powers) == POWER_LAST - POWER_FIRST + 1, "a row for each power");

// A positive number: digits * 10^exponent. `digits` does not end in 0.
typedef struct Decimal {
    uint64_t digits;
    int exponent;
} Decimal;

// floor(log10(2^q)), or floor(log10(3/4 * 2^q)) for the double just above a power of two.
static int floor_log10_pow2(int q, bool three_quarters) {
    return (q * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

// The upper 64 bits of g * factor, with the lowest bit set when anything was cut off ("round to
// odd").
static uint64_t multiply_to_odd(NumberPower g, uint64_t factor) {
    unsigned __int128 low = (unsigned __int128)g.low * factor;
    unsigned __int128 high = (unsigned __int128)g.high * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static Decimal without_zeros(Decimal decimal) {
    while (decimal.digits % 100 == 0)
        decimal = (Decimal){decimal.digits / 100, decimal.exponent + 2};
    if (decimal.digits % 10 == 0) decimal = (Decimal){decimal.digits / 10, decimal.exponent + 1};
    return decimal;
}

// The shortest decimal within the rounding interval of a finite double above 0; of several, the
// closest.
static Decimal decimal_shortest(uint64_t bits) {
    uint64_t fraction = bits & ((UINT64_C(1) << SIGNIFICAND_BITS) - 1);
    int stored = (int)(bits >> SIGNIFICAND_BITS & 0x7ff);
    uint64_t c = stored == 0 ? fraction : fraction | UINT64_C(1) << SIGNIFICAND_BITS;
    int q = (stored == 0 ? 1 : stored) - EXPONENT_BIAS;

    // Whole numbers below 2^53 are their own digits.
    if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0) {
        return without_zeros((Decimal){c >> -q, 0});
    }

    // The bounds, times four: half way to the neighbours. Below a power of two the lower is closer.
    bool lower_is_closer = fraction == 0 && stored > 1;
    bool odd = (c & 1) != 0;  // a bound itself reads back to the even neighbour
    int k = floor_log10_pow2(q, lower_is_closer);
    int h = q + floor_log2_pow10(-k) + 1;
    assert(-k >= POWER_FIRST && -k <= POWER_LAST && h >= 1 && h <= 4);
    NumberPower g = number_powers[-k - POWER_FIRST];
    uint64_t lower = multiply_to_odd(g, (4 * c - 2 + lower_is_closer) << h) + odd;
    uint64_t value = multiply_to_odd(g, (4 * c) << h);
    uint64_t upper = multiply_to_odd(g, (4 * c + 2) << h) - odd;

    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down_fits = lower <= 40 * tens;
        bool up_fits = 40 * tens + 40 <= upper;
        if (down_fits != up_fits) return without_zeros((Decimal){tens + up_fits, k + 1});
    }
    bool down_fits = lower <= 4 * s;
    bool up_fits = 4 * s + 4 <= upper;
    uint64_t middle = 4 * s + 2;
    bool up = down_fits != up_fits ? up_fits : value > middle || (value == middle && (s & 1) != 0);
    return without_zeros((Decimal){s + up, k});
}

// Writes the digits of `value` and returns how many: 1 to 20.
static size_t write_digits(uint64_t value, char *into) {
    char digits[20];
    size_t at = sizeof digits;
    while (value >= 100) {
        uint64_t pair = value % 100;
        value /= 100;
        digits[--at] = (char)('0' + pair % 10);
        digits[--at] = (char)('0' + pair / 10);
    }
    if (value >= 10) {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    }
    digits[--at] = (char)('0' + value);
    memcpy(into, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

static size_t write_zeros(size_t count, char *into) {
    memset(into, '0', count);
    return count;
}

// Digits and a point, never an exponent: "1200", "1.2", "0.0012".
static size_t write_positional(Decimal decimal, char *into) {
    char digits[20];
    size_t count = write_digits(decimal.digits, digits);
    size_t at = 0;
    if (decimal.exponent >= 0) {
        memcpy(into, digits, count);
        return count + write_zeros((size_t)decimal.exponent, into + count);
    }
    size_t behind = (size_t)-decimal.exponent;
    if (behind < count) {
        size_t before = count - behind;
        memcpy(into, digits, before);
        into[before] = '.';
        memcpy(into + before + 1, digits + before, behind);
        return count + 1;
    }
    into[at++] = '0';
    into[at++] = '.';
    at += write_zeros(behind - count, into + at);
    memcpy(into + at, digits, count);
    return at + count;
}

// "1.2e-7", "5e+300"; the exponent has at least `exponent_digits` (1 or 2).
static size_t write_exponential(Decimal decimal, size_t exponent_digits, char *into) {
    char digits[20];
    size_t count = write_digits(decimal.digits, digits);
    size_t at = 0;
    into[at++] = digits[0];
    if (count > 1) {
        into[at++] = '.';
        memcpy(into + at, digits + 1, count - 1);
        at += count - 1;
    }
    int exponent = decimal.exponent + (int)count - 1;
    into[at++] = 'e';
    into[at++] = exponent < 0 ? '-' : '+';
    if (exponent_digits == 2 && exponent > -10 && exponent < 10) into[at++] = '0';
    return at + write_digits((uint64_t)(exponent < 0 ? -exponent : exponent), into + at);
}

// Sign, NaN, infinities and zero; false when digits must follow behind `*len`.
static bool write_special(uint64_t bits, char *into, size_t *len) {
    bool negative = bits >> 63 != 0;
    uint64_t magnitude = bits & (UINT64_MAX >> 1);
    const uint64_t infinity = UINT64_C(0x7ff) << SIGNIFICAND_BITS;
    Text text = TEXT_NONE;
    if (magnitude > infinity) {
        text = TEXT("NaN");
    } else if (magnitude == infinity) {
        text = negative ? TEXT("-Inf") : TEXT("+Inf");
    } else if (magnitude == 0) {
        text = negative ? TEXT("-0") : TEXT("0");
    }
    if (text.len > 0) {
        memcpy(into, text.at, text.len);
        *len = text.len;
        return true;
    }
    into[0] = '-';
    *len = negative ? 1 : 0;
    return false;
}

static uint64_t double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

size_t number_format_f64(double value, char into[400]) {
    uint64_t bits = double_bits(value);
    size_t len;
    if (write_special(bits, into, &len)) return len;
    return len + write_positional(decimal_shortest(bits & (UINT64_MAX >> 1)), into + len);
}

size_t number_format_shortest(double value, char into[NUMBER_TEXT_MAX]) {
    uint64_t bits = double_bits(value);
    size_t len;
    if (write_special(bits, into, &len)) return len;
    // The borders of ECMAScript's Number::toString.
    double magnitude = value < 0 ? -value : value;
    Decimal decimal = decimal_shortest(bits & (UINT64_MAX >> 1));
    bool positional = magnitude >= 1e-6 && magnitude < 1e21;
    return len + (positional ? write_positional(decimal, into + len)
                             : write_exponential(decimal, 1, into + len));
}

size_t number_format_general(double value, char into[NUMBER_TEXT_MAX]) {
    uint64_t bits = double_bits(value);
    size_t len;
    if (write_special(bits, into, &len)) return len;
    Decimal decimal = decimal_shortest(bits & (UINT64_MAX >> 1));
    char digits[20];
    int exponent = decimal.exponent + (int)write_digits(decimal.digits, digits) - 1;
    // The borders of C's %g with its own precision of six, however many digits there are.
    bool positional = exponent >= -4 && exponent < 6;
    return len + (positional ? write_positional(decimal, into + len)
                             : write_exponential(decimal, 2, into + len));
}

size_t number_format_ms_as_s(int64_t ms, char into[NUMBER_TEXT_MAX]) {
    size_t len = 0;
    if (ms == 0) return write_digits(0, into);
    if (ms < 0) into[len++] = '-';
    uint64_t magnitude = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    return len + write_positional(without_zeros((Decimal){magnitude, -3}), into + len);
}

void builder_add_f64(Builder *builder, double value) {
    builder_reserve(builder, 400);
    builder->len += number_format_f64(value, builder->at + builder->len);
}
