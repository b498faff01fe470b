// Reading numbers: digits into one integer and a power of ten, and the double closest to them.
//
// Almost every number has at most 19 digits. With a small power both factors are exact doubles and
// one operation rounds once. Else the product with a 128-bit power is known to within one unit of
// its 128 upper bits; only when that unit decides the rounding does strtod have to look at it.

#include <stdlib.h>

#include "codec/number.h"
#include "codec/number_powers.h"

enum { DIGITS_MAX = 19, EXACT_POWER_MAX = 22, EXPONENT_MAX = 100000 };

typedef struct Parsed {
    uint64_t digits;
    int exponent;  // value: digits * 10^exponent
    bool negative;
    bool cut;  // there were more digits than fit
} Parsed;

static inline bool is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

static bool parse_special(Text text, double *out) {
    bool sign = text.len > 0 && (text.at[0] == '+' || text.at[0] == '-');
    Text word = text_slice(text, sign, text.len);
    if (text_equal_ignore_case(text, TEXT("nan"))) {
        *out = __builtin_nan("");
        return true;
    }
    if (!text_equal_ignore_case(word, TEXT("inf")) &&
        !text_equal_ignore_case(word, TEXT("infinity")))
        return false;
    *out = text.at[0] == '-' ? -__builtin_inf() : __builtin_inf();
    return true;
}

// exponent -> ('e' | 'E') ['+' | '-'] digit {digit}, to the end of the text.
static bool parse_exponent(const char *at, const char *end, Parsed *parsed) {
    if (at == end) return true;
    if (*at != 'e' && *at != 'E') return false;
    at++;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '+' || *at == '-')) at++;
    if (at == end) return false;
    int exponent = 0;
    for (; at < end; at++) {
        if (!is_digit(*at)) return false;
        if (exponent < EXPONENT_MAX) exponent = exponent * 10 + (*at - '0');
    }
    parsed->exponent += negative ? -exponent : exponent;
    return true;
}

// decimal -> ['+' | '-'] digits ['.' [digits]] [exponent] | ['+' | '-'] '.' digits [exponent]
static bool parse_decimal(Text text, Parsed *parsed) {
    const char *at = text.at, *end = text.at + text.len;
    *parsed = (Parsed){0};
    if (at < end && (*at == '+' || *at == '-')) parsed->negative = *at++ == '-';
    uint64_t digits = 0;
    int kept = 0;
    bool any = false, point = false;
    for (; at < end; at++) {
        if (is_digit(*at)) {
            any = true;
            if (kept < DIGITS_MAX) {
                digits = digits * 10 + (uint64_t)(*at - '0');
                kept += digits > 0;  // zeros in front do not count
                parsed->exponent -= point;
            } else {
                parsed->cut |= *at != '0';
                parsed->exponent += !point;
            }
        } else if (*at == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    parsed->digits = digits;
    return any && parse_exponent(at, end, parsed);
}

static bool exact(const Parsed *parsed, double *out) {
    static const double powers[EXACT_POWER_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (parsed->digits > UINT64_C(1) << 53) return false;
    double digits = (double)parsed->digits;
    if (parsed->exponent >= 0 && parsed->exponent <= EXACT_POWER_MAX) {
        *out = digits * powers[parsed->exponent];
        return true;
    }
    if (parsed->exponent < 0 && parsed->exponent >= -EXACT_POWER_MAX) {
        *out = digits / powers[-parsed->exponent];
        return true;
    }
    return false;
}

// The 128 upper bits of digits * power, of which the last may be one too many: the row of the table
// is rounded up. False when that one, or what was cut off below, decides between two doubles; also
// near the ends of the range.
static bool by_power(const Parsed *parsed, double *out) {
    if (parsed->exponent < POWER_FIRST || parsed->exponent > POWER_LAST) return false;
    NumberPower power = number_powers[parsed->exponent - POWER_FIRST];
    int zeros = __builtin_clzll(parsed->digits);
    uint64_t digits = parsed->digits << zeros;
    unsigned __int128 low = (unsigned __int128)digits * power.low;
    unsigned __int128 upper = (unsigned __int128)digits * power.high + (uint64_t)(low >> 64);

    int top = upper >> 127 != 0 ? 127 : 126;
    int cut = top - 52;
    unsigned __int128 rest = upper & (((unsigned __int128)1 << cut) - 1);
    unsigned __int128 half = (unsigned __int128)1 << (cut - 1);
    if (rest == half) return false;
    uint64_t significand = (uint64_t)(upper >> cut) + (rest > half);
    int exponent = cut + floor_log2_pow10(parsed->exponent) - 63 - zeros + 1075;
    if (significand >> 53 != 0) {
        significand >>= 1;
        exponent++;
    }
    if (exponent < 1 || exponent > 2046) return false;
    uint64_t bits = (significand & ((UINT64_C(1) << 52) - 1)) | (uint64_t)exponent << 52;
    memcpy(out, &bits, sizeof bits);
    return true;
}

bool number_parse_f64(Text text, double *out) {
    Parsed parsed;
    double value;
    if (unlikely(!parse_decimal(text, &parsed))) return parse_special(text, out);
    if (likely(!parsed.cut) &&
        (parsed.digits == 0 || exact(&parsed, &value) || by_power(&parsed, &value))) {
        if (parsed.digits == 0) value = 0;
        *out = parsed.negative ? -value : value;
        return true;
    }
    if (!text_to_f64(text, &value) || __builtin_isinf(value)) return false;
    *out = value;
    return true;
}
