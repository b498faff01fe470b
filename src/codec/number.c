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

// A positive number of at most six decimals and fifteen digits, as most of those that people and
// sensors state are: 44.25. Doubles tell all decimals of fifteen digits apart, so one that reads
// back to the double is the only one, and the shortest. The quotient is correctly rounded, as both
// numbers are exact.
static bool decimal_of_few_places(double magnitude, Decimal *out) {
    if (!(magnitude < 1e9)) return false;
    uint64_t digits = (uint64_t)(magnitude * 1e6 + 0.5);
    if ((double)digits / 1e6 != magnitude) return false;
    bool three = digits % 1000 == 0;
    *out = without_zeros(three ? (Decimal){digits / 1000, -3} : (Decimal){digits, -6});
    return true;
}

static const char digit_pairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546"
    "4748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293"
    "949596979899";

static void write_pair(uint64_t pair, char *into) {
    memcpy(into, digit_pairs + 2 * pair, 2);
}

#define TENS(zeros) UINT64_C(1##zeros)
static const uint64_t tens[] = {
    TENS(),
    TENS(0),
    TENS(00),
    TENS(000),
    TENS(0000),
    TENS(00000),
    TENS(000000),
    TENS(0000000),
    TENS(00000000),
    TENS(000000000),
    TENS(0000000000),
    TENS(00000000000),
    TENS(000000000000),
    TENS(0000000000000),
    TENS(00000000000000),
    TENS(000000000000000),
    TENS(0000000000000000),
    TENS(00000000000000000),
    TENS(000000000000000000),
    TENS(0000000000000000000),
};

static size_t digit_count(uint64_t value) {
    // log10(2) is about 1233 / 4096, so that this is the number of digits or one less.
    value |= 1;
    size_t count = (size_t)((64 - __builtin_clzll(value)) * 1233 >> 12);
    return count + (value >= tens[count]);
}

// Eight digits, whose divisions do not wait for each other.
static void place_eight(uint32_t value, char *into) {
    uint32_t first = value / 10000, last = value % 10000;
    write_pair(first / 100, into);
    write_pair(first % 100, into + 2);
    write_pair(last / 100, into + 4);
    write_pair(last % 100, into + 6);
}

// `count` digits of `value`, which has no more, from the last one on.
static void place_digits(uint64_t value, size_t count, char *into) {
    while (count >= 8) {
        count -= 8;
        place_eight((uint32_t)(value % 100000000), into + count);
        value /= 100000000;
    }
    uint32_t rest = (uint32_t)value;
    while (count >= 2) {
        count -= 2;
        write_pair(rest % 100, into + count);
        rest /= 100;
    }
    if (count == 1) into[0] = (char)('0' + rest);
}

// Writes the digits of `value` and returns how many: 1 to 20.
static size_t write_digits(uint64_t value, char *into) {
    size_t count = digit_count(value);
    place_digits(value, count, into);
    return count;
}

static size_t write_zeros(size_t count, char *into) {
    memset(into, '0', count);
    return count;
}

// Digits and a point, never an exponent: "1200", "1.2", "0.0012".
static size_t write_positional(Decimal decimal, char *into) {
    size_t count = digit_count(decimal.digits);
    if (decimal.exponent >= 0) {
        place_digits(decimal.digits, count, into);
        return count + write_zeros((size_t)decimal.exponent, into + count);
    }
    size_t behind = (size_t)-decimal.exponent;
    if (behind < count) {
        size_t before = count - behind;
        uint64_t whole = decimal.digits / tens[behind];
        place_digits(whole, before, into);
        into[before] = '.';
        place_digits(decimal.digits - whole * tens[behind], behind, into + before + 1);
        return count + 1;
    }
    into[0] = '0';
    into[1] = '.';
    size_t at = 2 + write_zeros(behind - count, into + 2);
    place_digits(decimal.digits, count, into + at);
    return at + count;
}

// "1.2e-7", "5e+300"; the exponent has at least `exponent_digits` (1 or 2).
static size_t write_exponential(Decimal decimal, size_t exponent_digits, char *into) {
    char digits[20] = {0};
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
    // Counters and gauges are mostly whole: those are their own digits. Not zero, which has a sign.
    if (value > -0x1p53 && value < 0x1p53 && (double)(int64_t)value == value && value != 0) {
        into[0] = '-';
        size_t sign = value < 0;
        return sign + write_digits((uint64_t)(value < 0 ? -value : value), into + sign);
    }
    uint64_t bits = double_bits(value);
    size_t len;
    if (write_special(bits, into, &len)) return len;
    Decimal decimal;
    if (!decimal_of_few_places(value < 0 ? -value : value, &decimal))
        decimal = decimal_shortest(bits & (UINT64_MAX >> 1));
    return len + write_positional(decimal, into + len);
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
    char digits[20] = {0};
    int exponent = decimal.exponent + (int)write_digits(decimal.digits, digits) - 1;
    // The borders of C's %g with its own precision of six, however many digits there are.
    bool positional = exponent >= -4 && exponent < 6;
    return len + (positional ? write_positional(decimal, into + len)
                             : write_exponential(decimal, 2, into + len));
}

// ".5", ".25", ".125"; nothing for 0.
static size_t write_milliseconds(uint64_t rest, char *into) {
    if (rest == 0) return 0;
    into[0] = '.';
    into[1] = (char)('0' + rest / 100);
    write_pair(rest % 100, into + 2);
    return into[3] != '0' ? 4 : into[2] != '0' ? 3 : 2;
}

size_t number_format_ms_as_s(int64_t ms, char into[NUMBER_TEXT_MAX]) {
    size_t len = 0;
    if (ms < 0) into[len++] = '-';
    uint64_t magnitude = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    len += write_digits(magnitude / 1000, into + len);
    return len + write_milliseconds(magnitude % 1000, into + len);
}

size_t number_format_ms_as_s_again(NumberTimes *times, int64_t ms, char into[NUMBER_TEXT_MAX]) {
    enum { LAST_DIGITS = 4, LAST = 10000 };
    if (ms < 0) return number_format_ms_as_s(ms, into);
    uint64_t seconds = (uint64_t)ms / 1000, first = seconds / LAST, last = seconds % LAST;
    if (first == 0) return number_format_ms_as_s(ms, into);
    if (first != times->first) {
        times->first = first;
        times->len = write_digits(first, times->text);
    }
    // All of it, as a fixed length is copied in one go.
    memcpy(into, times->text, sizeof times->text);
    char *at = into + times->len;
    write_pair(last / 100, at);
    write_pair(last % 100, at + 2);
    return times->len + LAST_DIGITS + write_milliseconds((uint64_t)ms % 1000, at + LAST_DIGITS);
}

void builder_add_f64(Builder *builder, double value) {
    builder_reserve(builder, 400);
    builder->len += number_format_f64(value, builder->at + builder->len);
}
