// Columns of sixteen numbers in two registers of 512 bits.
//
// Whatever is chosen here (domain, divisor, order, width) is chosen by the rules of chunk.c and
// integers.c with effort FAST, so both write the same bytes; strip_test.c compares them. Where the
// rules come to something rarer (many odd values, raw, 58 bits and more), these functions decline.

#include "store/series/strip.h"

#include "base/assert.h"
#include "base/wide.h"
#include "model/sample.h"
#include "store/index/bitpack.h"
#include "store/series/decimal.h"
#include "store/series/integers.h"

#ifdef __x86_64__
#define WIDE WIDE_TARGET static inline __attribute__((always_inline))
// What few strips need keeps out of the way of the others.
#define WIDE_APART WIDE_TARGET static __attribute__((noinline))

enum {
    ALL = 0xffff,          // a bit for each of sixteen
    SAMPLED = 0x8888,      // the values of which the domain is told, as chunk.c does
    USUAL_PLACES = 5,      // with fewer the sampled values are tried before anything else
    AGAIN_MAX = 8,         // so many odd ones may ask for more decimals
    ODD_MAX = 7,           // of more the domain is given up (chunk.c)
    WIDTH_MAX = 57,        // what any eight bytes hold, whatever bit they begin at
    DIVISOR_BITS_MIN = 4,  // below, wrapping a column costs more than it saves (integers.c)
    RAW_BYTES = 1 + STRIP_SAMPLES * 8,
    HEAD_BYTES = 64,  // all that may stand before the bits: 53 at most
    EXCEPT_ROOM = 2 + ODD_MAX * 9 + 16 + STRIP_SAMPLES * 9,
};

// Sixteen numbers.
typedef struct Wide {
    __m512i low, high;
} Wide;

WIDE Wide wide_load(const void *from) {
    return (Wide){_mm512_loadu_si512(from), _mm512_loadu_si512((const uint8_t *)from + 64)};
}
WIDE void wide_store(void *into, Wide numbers) {
    _mm512_storeu_si512(into, numbers.low);
    _mm512_storeu_si512((uint8_t *)into + 64, numbers.high);
}
WIDE Wide wide_less(Wide numbers, __m512i less) {
    return (Wide){_mm512_sub_epi64(numbers.low, less), _mm512_sub_epi64(numbers.high, less)};
}
WIDE bool wide_same(Wide a, Wide b) {
    __m512i different =
        _mm512_or_si512(_mm512_xor_si512(a.low, b.low), _mm512_xor_si512(a.high, b.high));
    return _mm512_test_epi64_mask(different, different) == 0;
}
// The difference of each to the one before; that of the first means nothing.
WIDE Wide wide_steps(Wide numbers) {
    return (Wide){
        _mm512_sub_epi64(numbers.low, _mm512_alignr_epi64(numbers.low, numbers.low, 7)),
        _mm512_sub_epi64(numbers.high, _mm512_alignr_epi64(numbers.high, numbers.low, 7))};
}

// ---- Values to numbers ----

// Which of the values are decimals of so many places, and all as numbers: decimal_from, sixteen
// times.
WIDE unsigned wide_decimals(Wide values, unsigned decimals, Wide *numbers) {
    __m512d power = _mm512_set1_pd(decimal_powers[decimals]);
    __m512d limit = _mm512_set1_pd(decimals == 0 ? 0x1p62 : 0x1p53);
    __m512d low = _mm512_castsi512_pd(values.low), high = _mm512_castsi512_pd(values.high);
    if (decimals > 0) low = _mm512_mul_pd(low, power), high = _mm512_mul_pd(high, power);
    unsigned inside = _mm512_cmp_pd_mask(_mm512_abs_pd(low), limit, _CMP_LT_OQ) |
                      (unsigned)_mm512_cmp_pd_mask(_mm512_abs_pd(high), limit, _CMP_LT_OQ) << 8;
    *numbers = (Wide){_mm512_cvtpd_epi64(low), _mm512_cvtpd_epi64(high)};
    __m512d again_low = _mm512_cvtepi64_pd(numbers->low);
    __m512d again_high = _mm512_cvtepi64_pd(numbers->high);
    if (decimals > 0) {
        again_low = _mm512_div_pd(again_low, power);
        again_high = _mm512_div_pd(again_high, power);
    }
    unsigned same = _mm512_cmpeq_epi64_mask(_mm512_castpd_si512(again_low), values.low) |
                    (unsigned)_mm512_cmpeq_epi64_mask(_mm512_castpd_si512(again_high), values.high)
                        << 8;
    return inside & same;
}

// Which of eight values may be decimals of so many places: no division, so that it only tells what
// surely is none. What divides back was scaled to an integer but for two roundings.
WIDE unsigned near_decimals(__m512d values, unsigned decimals) {
    __m512d scaled = _mm512_mul_pd(values, _mm512_set1_pd(decimal_powers[decimals]));
    __m512d off = _mm512_sub_pd(scaled, _mm512_roundscale_pd(scaled, _MM_FROUND_CUR_DIRECTION));
    __m512d most = _mm512_mul_pd(_mm512_abs_pd(scaled), _mm512_set1_pd(0x1p-51));
    return _mm512_cmp_pd_mask(_mm512_abs_pd(off), most, _CMP_LE_OQ);
}

// The fewest places, below `limit`, at which or before which each of `wanted` may be one.
WIDE unsigned near_places(__m512d values, unsigned wanted, unsigned limit) {
    unsigned places = 0, near = 0;
    for (; places < limit; places++) {
        near |= near_decimals(values, places);
        if ((wanted & ~near) == 0) break;
    }
    return places;
}

// Which of eight values are decimals at all: decimals_of, by the most places that have room.
WIDE unsigned are_decimals(__m512d values) {
    __m512d size = _mm512_abs_pd(values);
    // decimals_that_fit(), eight times.
    __m512i exponent =
        _mm512_sub_epi64(_mm512_srli_epi64(_mm512_castpd_si512(size), 52), _mm512_set1_epi64(1023));
    __m512i bits =
        _mm512_max_epi64(_mm512_sub_epi64(_mm512_set1_epi64(53), exponent), _mm512_setzero_si512());
    __m512i places = _mm512_srli_epi64(_mm512_mul_epu32(bits, _mm512_set1_epi64(1233)), 12);
    places = _mm512_min_epi64(places, _mm512_set1_epi64(DECIMALS_MAX));
    __m512d powers_low = _mm512_loadu_pd(decimal_powers);
    __m512d powers_high = _mm512_maskz_loadu_pd(0x7f, decimal_powers + 8);
    __m512d scaled_size =
        _mm512_mul_pd(size, _mm512_permutex2var_pd(powers_low, places, powers_high));
    __mmask8 beyond = _mm512_cmp_pd_mask(scaled_size, _mm512_set1_pd(0x1p53), _CMP_NLT_UQ) &
                      _mm512_test_epi64_mask(places, places);
    places = _mm512_mask_sub_epi64(places, beyond, places, _mm512_set1_epi64(1));
    __m512d power = _mm512_permutex2var_pd(powers_low, places, powers_high);
    __m512i numbers = _mm512_cvtpd_epi64(_mm512_mul_pd(values, power));
    __m512d again = _mm512_div_pd(_mm512_cvtepi64_pd(numbers), power);
    return _mm512_mask_cmpeq_epi64_mask(
        _mm512_cmp_pd_mask(size, _mm512_set1_pd(0x1p62), _CMP_LT_OQ), _mm512_castpd_si512(again),
        _mm512_castpd_si512(values));
}

// More places than `places`, where values that are odd at these need more; as decimals_again of
// chunk.c, which asks the first few of them.
WIDE unsigned places_again(Wide values, unsigned odd, unsigned places) {
    odd = _pdep_u32((1u << AGAIN_MAX) - 1, odd);
    odd &= are_decimals(_mm512_castsi512_pd(values.low)) |
           are_decimals(_mm512_castsi512_pd(values.high)) << 8;
    Wide numbers;
    for (unsigned more = places + 1; odd != 0 && more <= DECIMALS_MAX; more++) {
        unsigned found = wide_decimals(values, more, &numbers) & odd;
        if (found != 0) places = more;
        odd &= ~found;
    }
    return places;
}

// Twice the four that are sampled.
WIDE __m512d wide_sampled(Wide values) {
    return _mm512_castsi512_pd(_mm512_permutex2var_epi64(
        values.low, _mm512_setr_epi64(3, 7, 11, 15, 3, 7, 11, 15), values.high));
}

// The values as numbers of the domain that chunk.c would choose.
typedef struct Scaled {
    unsigned domain;
    unsigned odd;  // a bit for each of those that are none
    Wide numbers;
} Scaled;

// Of `values`, whose sampled ones are no decimals of few places, or which need more places than
// those. `places`: USUAL_PLACES or more, or what the sampled ones need.
// False: too many are odd, or it is not easily told.
WIDE_APART bool wide_scale_rare(const double *from, unsigned places, Scaled *out) {
    Wide values = wide_load(from);
    unsigned wanted = SAMPLED;
    if (places >= USUAL_PLACES) {
        __m512d sampled = wide_sampled(values);
        unsigned decimal = are_decimals(sampled) & 15;
        unsigned finite =
            15 & _mm512_cmp_pd_mask(_mm512_abs_pd(sampled), _mm512_set1_pd(INFINITY), _CMP_LT_OQ);
        if (_mm_popcnt_u32(decimal) * 2 < _mm_popcnt_u32(finite)) {
            const __m512i stale = _mm512_set1_epi64((int64_t)STALE_NAN_BITS);
            out->domain = DOMAIN_BITS;
            out->numbers = values;
            out->odd = _mm512_cmpeq_epi64_mask(values.low, stale) |
                       (unsigned)_mm512_cmpeq_epi64_mask(values.high, stale) << 8;
            return _mm_popcnt_u32(out->odd) <= ODD_MAX;
        }
        places = near_places(sampled, decimal, DECIMALS_MAX + 1);
        if (decimal == 0 || places > DECIMALS_MAX) return false;
        wanted = _pdep_u32(decimal, SAMPLED);
    }
    unsigned fit = wide_decimals(values, places, &out->numbers);
    // Those that are near the first time here are decimals of no fewer places; so these are the
    // most that a sampled one needs.
    if ((wanted & ~fit) != 0) return false;
    if (fit != ALL) {
        unsigned more = places_again(values, ~fit & ALL, places);
        if (more != places) fit = wide_decimals(values, places = more, &out->numbers);
    }
    out->domain = places;
    out->odd = ~fit & ALL;
    return _mm_popcnt_u32(out->odd) <= ODD_MAX;
}

WIDE bool wide_scale(const double *from, Wide values, Scaled *out) {
    out->domain = 0;
    out->odd = 0;
    if (wide_decimals(values, 0, &out->numbers) == ALL) return true;
    unsigned places = near_places(wide_sampled(values), 0xff, USUAL_PLACES);
    out->domain = places;
    if (places < USUAL_PLACES && wide_decimals(values, places, &out->numbers) == ALL) return true;
    return wide_scale_rare(from, places, out);
}

// Odd ones repeat the number before, the first ones the first number there is.
WIDE Wide wide_fill(Wide numbers, unsigned odd) {
    const __m512i lanes = _mm512_setr_epi64(1, 3, 7, 15, 31, 63, 127, 255);
    __m512i fit = _mm512_set1_epi64(~odd & ALL), last = _mm512_set1_epi64(63);
    __m512i first = _mm512_set1_epi64((int64_t)_tzcnt_u64(~odd));
    __m512i low = _mm512_and_si512(fit, lanes);
    __m512i high =
        _mm512_and_si512(fit, _mm512_or_si512(_mm512_slli_epi64(lanes, 8), _mm512_set1_epi64(255)));
    __mmask8 low_any = _mm512_test_epi64_mask(low, low),
             high_any = _mm512_test_epi64_mask(high, high);
    low = _mm512_mask_sub_epi64(first, low_any, last, _mm512_lzcnt_epi64(low));
    high = _mm512_mask_sub_epi64(first, high_any, last, _mm512_lzcnt_epi64(high));
    return (Wide){_mm512_permutex2var_epi64(numbers.low, low, numbers.high),
                  _mm512_permutex2var_epi64(numbers.low, high, numbers.high)};
}

// ---- Numbers to bytes ----

// Ten bytes from `at` on may be touched.
WIDE size_t varint_put(uint8_t *at, uint64_t value) {
    const uint64_t sevens = UINT64_C(0x7f7f7f7f7f7f7f7f), more = ~sevens;
    unsigned len = (unsigned)varint_len(value);
    uint64_t low = _pdep_u64(value, sevens) | (_bzhi_u64(more, 8 * (len - 1)));
    unsigned rest = (unsigned)(value >> 56);
    uint16_t high = (uint16_t)((rest & 0x7f) | (rest & 0x80) << 1 | (rest & 0x80));
    memcpy(at, &low, sizeof low);
    memcpy(at + 8, &high, sizeof high);
    return len;
}

// As long as a varint may be, in zigzag.
WIDE size_t zigzag_bytes(uint64_t value) {
    return varint_len(zigzag_encode((int64_t)value));
}
WIDE size_t zigzag_put(uint8_t *at, uint64_t value) {
    return varint_put(at, zigzag_encode((int64_t)value));
}

// Of two registers of eight the lesser of each pair of neighbours, in turn one of `a`, one of `b`.
WIDE __m512i least_of_pairs(__m512i a, __m512i b) {
    return _mm512_min_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}
// The same with what stands in 128 bits.
WIDE __m512i least_of_quarters(__m512i a, __m512i b) {
    return _mm512_min_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

// extents[2 * order], the least residual of each order, and behind it ~ the greatest one.
WIDE void extents_of(const Wide orders[3], int64_t extents[8]) {
    __m512i pairs[3];
    for (unsigned i = 0; i < 3; i++) {
        __m512i least = _mm512_min_epi64(orders[i].low, orders[i].high);
        __m512i most = _mm512_max_epi64(orders[i].low, orders[i].high);
        pairs[i] = least_of_pairs(least, _mm512_ternarylogic_epi64(most, most, most, 0x55));
    }
    __m512i first = least_of_quarters(pairs[0], pairs[1]);
    __m512i second = least_of_quarters(pairs[2], pairs[2]);
    _mm512_storeu_si512(extents, least_of_quarters(first, second));
}

// bitpack() of what stands in sixteen lanes: those that are no residuals hold 0. Touches 128 bytes
// at most, and of widths up to 16 only 32, up to 32 only 64.
WIDE void wide_bitpack(Wide numbers, size_t bytes, unsigned width, uint8_t *into) {
    if (likely(width <= 16)) {
        // Eight numbers take `width` bytes.
        uint64_t mask = ((UINT64_C(1) << width) - 1) * UINT64_C(0x0001000100010001);
        for (unsigned i = 0; i < 2; i++) {
            __m128i words = _mm512_cvtepi64_epi16(i == 0 ? numbers.low : numbers.high);
            uint64_t first = _pext_u64((uint64_t)_mm_cvtsi128_si64(words), mask);
            uint64_t second = _pext_u64((uint64_t)_mm_extract_epi64(words, 1), mask);
            unsigned filled = width * 4;  // 64 at most: shifted in two steps, since 64 is no shift
            uint64_t parts[2] = {first | (filled == 0 ? 0 : second << (filled - 1) << 1),
                                 filled == 0 ? 0 : second >> (64 - filled)};
            memcpy(into + i * width, parts, sizeof parts);
        }
        return;
    }
    unsigned field = width;
    if (width <= 32) {
        // Neighbours side by side: eight fields of 34 to 64 bits.
        __m512i even = _mm512_permutex2var_epi64(
            numbers.low, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), numbers.high);
        __m512i odd = _mm512_permutex2var_epi64(
            numbers.low, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), numbers.high);
        numbers.low = _mm512_or_si512(even, _mm512_sllv_epi64(odd, _mm512_set1_epi64(width)));
        numbers.high = _mm512_setzero_si512();
        field = width * 2;
    }
    // Field i begins at bit i * field. In each word of the output at most two fields begin, and one
    // ends that began before. A shift by 64 gives 0.
    const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    __m512i fields = _mm512_set1_epi64(field), eight = _mm512_set1_epi64(8);
    __m512i place_low = _mm512_and_si512(_mm512_mullo_epi32(lanes, fields), _mm512_set1_epi64(63));
    __m512i place_high = _mm512_and_si512(
        _mm512_mullo_epi32(_mm512_add_epi64(lanes, eight), fields), _mm512_set1_epi64(63));
    Wide begins = {_mm512_sllv_epi64(numbers.low, place_low),
                   _mm512_sllv_epi64(numbers.high, place_high)};
    Wide ends = {
        _mm512_srlv_epi64(numbers.low, _mm512_sub_epi64(_mm512_set1_epi64(64), place_low)),
        _mm512_srlv_epi64(numbers.high, _mm512_sub_epi64(_mm512_set1_epi64(64), place_high))};
    __m512i inverse = _mm512_set1_epi64((1 << 16) / field + 1);
    for (unsigned word = 0; word < 16 && word * 8 < bytes; word += 8) {
        __m512i at = _mm512_slli_epi64(_mm512_add_epi64(lanes, _mm512_set1_epi64(word)), 6);
        // The first field that begins at or behind bit `at`: rounded up, exactly (at + field is
        // below 1024 + 64).
        __m512i first = _mm512_srli_epi64(
            _mm512_mullo_epi32(_mm512_add_epi64(at, _mm512_set1_epi64(field - 1)), inverse), 16);
        __m512i second = _mm512_add_epi64(first, _mm512_set1_epi64(1));
        __m512i before = _mm512_sub_epi64(first, _mm512_set1_epi64(1));
        __m512i end = _mm512_add_epi64(at, _mm512_set1_epi64(64));
        const __m512i sixteen = _mm512_set1_epi64(16);
        __mmask8 has_first = _mm512_cmplt_epi64_mask(_mm512_mullo_epi32(first, fields), end) &
                             _mm512_cmplt_epi64_mask(first, sixteen);
        __mmask8 has_second = _mm512_cmplt_epi64_mask(_mm512_mullo_epi32(second, fields), end) &
                              _mm512_cmplt_epi64_mask(second, sixteen);
        __mmask8 has_before = _mm512_cmpge_epi64_mask(before, _mm512_setzero_si512());
        __m512i out = _mm512_maskz_permutex2var_epi64(has_first, begins.low, first, begins.high);
        out = _mm512_or_si512(
            out, _mm512_maskz_permutex2var_epi64(has_second, begins.low, second, begins.high));
        out = _mm512_or_si512(
            out, _mm512_maskz_permutex2var_epi64(has_before, ends.low, before, ends.high));
        size_t left = bytes - word * 8;
        _mm512_mask_storeu_epi8(into + word * 8,
                                _bzhi_u64(~UINT64_C(0), (unsigned)MIN(left, (size_t)64)), out);
    }
}

// ---- Bytes to numbers ----

// False when it is longer than ten bytes. Ten bytes may be touched.
WIDE bool varint_take(const uint8_t **at, uint64_t *out) {
    const uint64_t sevens = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t word;
    memcpy(&word, *at, sizeof word);
    uint64_t ends = ~word & ~sevens;
    if (likely(ends != 0)) {
        unsigned bits = (unsigned)_tzcnt_u64(ends) + 1;
        *out = _pext_u64(_bzhi_u64(word, bits), sevens);
        *at += bits / 8;
        return true;
    }
    uint64_t low = _pext_u64(word, sevens);
    unsigned ninth = (*at)[8], tenth = (*at)[9];
    bool nine = ninth < 0x80;
    *out = low | (uint64_t)(ninth & 0x7f) << 56 | (nine ? 0 : (uint64_t)tenth << 63);
    *at += nine ? 9 : 10;
    return nine || tenth <= 1;
}

WIDE bool zigzag_take(const uint8_t **at, uint64_t *out) {
    uint64_t value;
    bool whole = varint_take(at, &value);
    *out = (uint64_t)zigzag_decode(value);
    return whole;
}

// Each number becomes the sum of all up to it.
WIDE Wide wide_sums(Wide numbers) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i low = numbers.low, high = numbers.high;
    low = _mm512_add_epi64(low, _mm512_alignr_epi64(low, zero, 7));
    high = _mm512_add_epi64(high, _mm512_alignr_epi64(high, zero, 7));
    low = _mm512_add_epi64(low, _mm512_alignr_epi64(low, zero, 6));
    high = _mm512_add_epi64(high, _mm512_alignr_epi64(high, zero, 6));
    low = _mm512_add_epi64(low, _mm512_alignr_epi64(low, zero, 4));
    high = _mm512_add_epi64(high, _mm512_alignr_epi64(high, zero, 4));
    high = _mm512_add_epi64(high, _mm512_permutexvar_epi64(_mm512_set1_epi64(7), low));
    return (Wide){low, high};
}

// Residual i, of `width` bits, to lane i + order. `bits` holds them all: 128 bytes, zeros behind
// the column.
WIDE Wide wide_bitunpack(__m512i bits_low, __m512i bits_high, unsigned width, unsigned order) {
    const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i spread = _mm512_set1_epi64(0x0706050403020100);
    const __m512i firsts = _mm512_set4_epi32(0x08080808, 0x08080808, 0, 0);
    __m512i mask = _mm512_set1_epi64((int64_t)((UINT64_C(1) << width) - 1));
    __m512i place = _mm512_mullo_epi32(_mm512_sub_epi64(lanes, _mm512_set1_epi64(order)),
                                       _mm512_set1_epi64(width));
    __m512i further = _mm512_set1_epi64(8 * width);
    Wide out;
    for (unsigned i = 0; i < 2; i++, place = _mm512_add_epi64(place, further)) {
        __m512i byte = _mm512_srli_epi64(place, 3);
        __m512i bytes = _mm512_add_epi8(_mm512_shuffle_epi8(byte, firsts), spread);
        __m512i words = _mm512_permutex2var_epi8(bits_low, bytes, bits_high);
        words = _mm512_srlv_epi64(words, _mm512_and_si512(place, _mm512_set1_epi64(7)));
        *(i == 0 ? &out.low : &out.high) = _mm512_and_si512(words, mask);
    }
    // Lanes before the first residual.
    out.low = _mm512_maskz_mov_epi64((__mmask8)(0xff << order), out.low);
    return out;
}

// What stands before the bits.
typedef struct Head {
    unsigned kind, domain;
    uint64_t first;         // of all but packed columns
    uint64_t step;          // of steady ones; of scaled ones the divisor
    unsigned order, width;  // of packed columns, and of those inside scaled ones
    uint64_t starts[2], base;
    size_t len;  // of the head
} Head;

WIDE bool has_bits(const Head *head) {
    return head->kind == COLUMN_PACKED || head->kind == COLUMN_SCALED;
}

WIDE size_t head_bits_bytes(const Head *head) {
    return has_bits(head) ? bitpack_bytes(STRIP_SAMPLES - head->order, head->width) : 0;
}

// HEAD_BYTES from `bytes` on may be touched. False: not known here, or bad; whether it ends within
// the column is for the caller to see.
WIDE bool head_take(const uint8_t *bytes, Head *out) {
    const uint8_t *at = bytes + 1;
    *out = (Head){.kind = bytes[0] & 15, .domain = bytes[0] >> 4};
    if (unlikely(out->kind != COLUMN_PACKED)) {
        bool known = out->kind == COLUMN_CONSTANT || out->kind == COLUMN_STEADY ||
                     out->kind == COLUMN_SCALED;
        if (!known || !zigzag_take(&at, &out->first)) return false;
        if (out->kind == COLUMN_STEADY && !zigzag_take(&at, &out->step)) return false;
        if (out->kind == COLUMN_SCALED && (!varint_take(&at, &out->step) || *at++ != COLUMN_PACKED))
            return false;
    }
    if (has_bits(out)) {
        out->order = *at & 3;
        out->width = *at++ >> 2;
        if (out->order == 3 || out->width > WIDTH_MAX) return false;
        if (out->order > 0 && !zigzag_take(&at, &out->starts[0])) return false;
        if (out->order > 1 && !zigzag_take(&at, &out->starts[1])) return false;
        if (!zigzag_take(&at, &out->base)) return false;
    }
    out->len = (size_t)(at - bytes);
    return true;
}

WIDE bool heads_same(const Head *a, const Head *b) {
    return ((a->kind ^ b->kind) | (a->domain ^ b->domain) | (a->first ^ b->first) |
            (a->step ^ b->step) | (a->order ^ b->order) | (a->width ^ b->width) |
            (a->starts[0] ^ b->starts[0]) | (a->starts[1] ^ b->starts[1]) | (a->base ^ b->base) |
            (a->len ^ b->len)) == 0;
}

// The numbers that a head and the bits behind it stand for.
WIDE Wide head_numbers(const Head *head, const uint8_t *bits) {
    if (unlikely(!has_bits(head))) {
        __m512i steps = _mm512_set1_epi64((int64_t)head->step);
        __m512i low = _mm512_mullo_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), steps);
        low = _mm512_add_epi64(low, _mm512_set1_epi64((int64_t)head->first));
        return (Wide){low, _mm512_add_epi64(low, _mm512_slli_epi64(steps, 3))};
    }
    size_t bytes = head_bits_bytes(head);
    __m512i low =
        _mm512_maskz_loadu_epi8(_bzhi_u64(~UINT64_C(0), (unsigned)MIN(bytes, (size_t)64)), bits);
    __m512i high = _mm512_setzero_si512();
    if (bytes > 64)
        high = _mm512_maskz_loadu_epi8(_bzhi_u64(~UINT64_C(0), (unsigned)(bytes - 64)), bits + 64);
    Wide out = wide_bitunpack(low, high, head->width, head->order);
    __m512i bases = _mm512_set1_epi64((int64_t)head->base);
    out.low = _mm512_mask_add_epi64(out.low, (__mmask8)(0xff << head->order), out.low, bases);
    out.high = _mm512_add_epi64(out.high, bases);
    if (head->order == 2) {
        out.low = _mm512_mask_mov_epi64(out.low, 2, _mm512_set1_epi64((int64_t)head->starts[1]));
        out = wide_sums(out);
    }
    if (head->order > 0) {
        out.low = _mm512_mask_mov_epi64(out.low, 1, _mm512_set1_epi64((int64_t)head->starts[0]));
        out = wide_sums(out);
    }
    if (unlikely(head->kind == COLUMN_SCALED)) {
        __m512i factor = _mm512_set1_epi64((int64_t)head->step);
        __m512i firsts = _mm512_set1_epi64((int64_t)head->first);
        out.low = _mm512_add_epi64(_mm512_mullo_epi64(out.low, factor), firsts);
        out.high = _mm512_add_epi64(_mm512_mullo_epi64(out.high, factor), firsts);
    }
    return out;
}

// A column of the domain that the upper half of its first byte says.
WIDE bool numbers_take(Bytes encoded, unsigned *domain, Wide *numbers, size_t *used) {
    UNFILLED uint8_t copy[HEAD_BYTES];
    if (encoded.len == 0) return false;
    __mmask64 there = _bzhi_u64(~UINT64_C(0), (unsigned)MIN(encoded.len, sizeof copy));
    _mm512_storeu_si512(copy, _mm512_maskz_loadu_epi8(there, encoded.at));
    Head head;
    if (!head_take(copy, &head)) return false;
    *used = head.len + head_bits_bytes(&head);
    if (*used > encoded.len) return false;
    *domain = head.domain;
    *numbers = head_numbers(&head, encoded.at + head.len);
    return true;
}

// What lies in `into` says these numbers. `said` is what the encoder meant to write before the
// bits: where that is what stands there, decoding goes on from it. So the bits need not wait until
// the head is read again.
WIDE bool numbers_come_back(const uint8_t *into, const Head *said, Wide numbers) {
    Head read;
    return head_take(into, &read) && heads_same(&read, said) &&
           wide_same(head_numbers(said, into + said->len), numbers);
}

// ---- A column ----

// The packed column of the order that takes the fewest bytes, behind what stands in `into` so far.
// False: none is short enough.
WIDE bool lines_put(Wide numbers, uint64_t first, Wide steps, Wide bends, uint8_t *into,
                    Head *head) {
    // Lanes that are no residuals repeat one.
    const __m512i one = _mm512_set1_epi64(1), two = _mm512_set1_epi64(2);
    uint64_t step = (uint64_t)_mm_extract_epi64(_mm512_castsi512_si128(steps.low), 1);
    Wide orders[3] = {numbers, steps, bends};
    orders[1].low = _mm512_mask_permutexvar_epi64(steps.low, 1, one, steps.low);
    orders[2].low = _mm512_mask_permutexvar_epi64(bends.low, 3, two, bends.low);
    UNFILLED int64_t extents[8];
    extents_of(orders, extents);
    size_t starts[3] = {0, zigzag_bytes(first), zigzag_bytes(first) + zigzag_bytes(step)};
    uint64_t best = UINT64_MAX;
    for (unsigned order = 0; order < 3; order++) {
        uint64_t least = (uint64_t)extents[2 * order];
        uint64_t spread = ~(uint64_t)extents[2 * order + 1] - least;
        unsigned width = 64 - (unsigned)_lzcnt_u64(spread);
        size_t bytes =
            2 + starts[order] + zigzag_bytes(least) + bitpack_bytes(STRIP_SAMPLES - order, width);
        uint64_t key = width == 64 ? UINT64_MAX : bytes << 16 | order << 8 | width;
        best = MIN(best, key);
    }
    unsigned order = best >> 8 & 0xff, width = best & 0xff;
    if (best >> 16 >= RAW_BYTES || width > WIDTH_MAX) return false;
    uint64_t least = (uint64_t)extents[2 * order];
    head->order = order;
    head->width = width;
    head->starts[0] = order > 0 ? first : 0;
    head->starts[1] = order > 1 ? step : 0;
    head->base = least;
    into[head->len++] = (uint8_t)(order | width << 2);
    size_t start = zigzag_put(into + head->len, first);
    head->len += order > 0 ? start : 0;
    start = zigzag_put(into + head->len, step);
    head->len += order > 1 ? start : 0;
    head->len += zigzag_put(into + head->len, least);

    // Residuals to the first lanes, zeros behind them.
    Wide line = order == 0 ? numbers : order == 1 ? steps : bends;
    line = wide_less(line, _mm512_set1_epi64((int64_t)least));
    __m512i from =
        _mm512_add_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64(order));
    Wide residuals = {_mm512_permutex2var_epi64(line.low, from, line.high),
                      _mm512_maskz_permutexvar_epi64((__mmask8)(0xff >> order), from, line.high)};
    wide_bitpack(residuals, bitpack_bytes(STRIP_SAMPLES - order, width), width, into + head->len);
    return true;
}

// integers_encode() with effort FAST.
WIDE size_t numbers_put(Wide numbers, unsigned domain, uint8_t *into) {
    uint64_t first = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(numbers.low));
    Wide steps = wide_steps(numbers), bends = wide_steps(steps);
    Head head = {.kind = COLUMN_PACKED, .domain = domain, .len = 1};
    __m512i bent = _mm512_or_si512(_mm512_maskz_mov_epi64(0xfc, bends.low), bends.high);
    if (unlikely(_mm512_test_epi64_mask(bent, bent) == 0)) {
        head.first = first;
        head.step = (uint64_t)_mm_extract_epi64(_mm512_castsi512_si128(steps.low), 1);
        head.kind = head.step == 0 ? COLUMN_CONSTANT : COLUMN_STEADY;
        head.len += zigzag_put(into + head.len, first);
        if (head.step != 0) head.len += zigzag_put(into + head.len, head.step);
    } else {
        Wide distances = wide_less(numbers, _mm512_set1_epi64((int64_t)first)), inner = numbers;
        __m512i any = _mm512_or_si512(distances.low, distances.high);
        if (_mm512_test_epi64_mask(any, _mm512_set1_epi64((1 << DIVISOR_BITS_MIN) - 1)) == 0) {
            unsigned power = (unsigned)_tzcnt_u64((uint64_t)_mm512_reduce_or_epi64(any));
            if (power > 62) return 0;
            head.kind = COLUMN_SCALED;
            head.first = first;
            head.step = UINT64_C(1) << power;
            head.len += zigzag_put(into + head.len, first);
            head.len += varint_put(into + head.len, head.step);
            into[head.len++] = COLUMN_PACKED;
            __m128i shift = _mm_cvtsi32_si128((int)power);
            inner = (Wide){_mm512_sra_epi64(distances.low, shift),
                           _mm512_sra_epi64(distances.high, shift)};
            steps = wide_steps(inner);
            bends = wide_steps(steps);
            first = 0;
        }
        if (!lines_put(inner, first, steps, bends, into, &head)) return 0;
    }
    into[0] = (uint8_t)(head.kind | domain << 4);
    size_t len = head.len + head_bits_bytes(&head);
    if (len >= RAW_BYTES) return 0;
    // Exact by construction; a difference is our bug and must not reach the disk. Doubles come back
    // as well: the division that will be made of these numbers was made when they were chosen.
    return numbers_come_back(into, &head, numbers) ? len : 0;
}

// One value over and over.
WIDE size_t constant_put(double value, uint8_t *into) {
    int64_t number;
    Head head = {.kind = COLUMN_CONSTANT, .len = 1};
    if (!decimal_from(value, 0, &number)) {
        head.domain = isfinite(value) ? decimals_of(value) : DOMAIN_BITS;
        if (head.domain == DOMAIN_BITS || !decimal_from(value, head.domain, &number))
            number = (int64_t)double_bits(value);
    }
    head.first = (uint64_t)number;
    into[0] = (uint8_t)(COLUMN_CONSTANT | head.domain << 4);
    head.len += zigzag_put(into + 1, head.first);
    Head read;
    return head_take(into, &read) && heads_same(&read, &head) ? head.len : 0;
}

// The numbers of a column become doubles.
WIDE Wide wide_values(unsigned domain, Wide numbers) {
    if (domain == DOMAIN_BITS) return numbers;
    __m512d low = _mm512_cvtepi64_pd(numbers.low), high = _mm512_cvtepi64_pd(numbers.high);
    if (domain > 0) {
        __m512d power = _mm512_set1_pd(decimal_powers[domain]);
        low = _mm512_div_pd(low, power);
        high = _mm512_div_pd(high, power);
    }
    return (Wide){_mm512_castpd_si512(low), _mm512_castpd_si512(high)};
}

// EXCEPT, behind its first byte: positions and doubles, then the column in which those are patched.
WIDE bool except_take(Bytes encoded, double *into, size_t *used) {
    if (encoded.len < 2) return false;
    size_t count = encoded.at[1] / 2, at = 2 + count;
    bool stale = encoded.at[1] & 1;
    if (count > STRIP_SAMPLES || at > encoded.len) return false;
    size_t doubles = at;
    if (!stale) at += count * sizeof(double);
    if (at >= encoded.len) return false;
    unsigned domain;
    Wide numbers;
    if (!numbers_take((Bytes){encoded.at + at, encoded.len - at}, &domain, &numbers, used))
        return false;
    *used += at;
    wide_store(into, wide_values(domain, numbers));
    for (size_t i = 0, next = 0; i < count; i++) {
        size_t gap = encoded.at[2 + i];
        if (gap >= STRIP_SAMPLES - next) return false;
        double value = stale_nan();
        if (!stale) memcpy(&value, encoded.at + doubles + i * sizeof value, sizeof value);
        into[next + gap] = value;
        next += gap + 1;
    }
    return true;
}

WIDE_TARGET static bool values_decode_wide(Bytes encoded, double *into, size_t *used) {
    if (encoded.len > 0 && encoded.at[0] == COLUMN_EXCEPT) return except_take(encoded, into, used);
    unsigned domain;
    Wide numbers;
    if (!numbers_take(encoded, &domain, &numbers, used)) return false;
    wide_store(into, wide_values(domain, numbers));
    return true;
}

// Odd values, then the column of the others. 0: raw is shorter.
WIDE_APART size_t except_put(const double *values, const Scaled *scaled, uint8_t *into) {
    UNFILLED uint8_t column[EXCEPT_ROOM];
    unsigned count = (unsigned)_mm_popcnt_u32(scaled->odd), stale = 1;
    size_t len = 2;
    column[0] = COLUMN_EXCEPT;
    for (unsigned left = scaled->odd, next = 0; left != 0; left &= left - 1) {
        unsigned at = _tzcnt_u32(left);
        column[len++] = (uint8_t)(at - next);
        next = at + 1;
        stale &= is_stale(values[at]);
    }
    column[1] = (uint8_t)(count * 2 + stale);
    for (unsigned left = stale ? 0 : scaled->odd; left != 0;
         left &= left - 1, len += sizeof *values)
        memcpy(column + len, &values[_tzcnt_u32(left)], sizeof *values);
    size_t inner =
        numbers_put(wide_fill(scaled->numbers, scaled->odd), scaled->domain, column + len);
    len += inner;
    if (inner == 0 || len >= RAW_BYTES) return 0;
    memcpy(into, column, len);
    UNFILLED double again[STRIP_SAMPLES];
    size_t used;
    bool same = values_decode_wide((Bytes){into, len}, again, &used) && used == len &&
                memcmp(again, values, sizeof again) == 0;
    return same ? len : 0;
}

WIDE_TARGET static size_t values_encode_wide(const double *values, uint8_t *into) {
    Wide bits = wide_load(values);
    __m512i first = _mm512_set1_epi64((int64_t)double_bits(values[0]));
    if (wide_same(bits, (Wide){first, first})) return constant_put(values[0], into);
    UNFILLED Scaled scaled;
    if (!wide_scale(values, bits, &scaled)) return 0;
    if (unlikely(scaled.odd != 0)) return except_put(values, &scaled, into);
    return numbers_put(scaled.numbers, scaled.domain, into);
}

WIDE_TARGET static size_t times_encode_wide(const int64_t *times, uint8_t *into) {
    return numbers_put(wide_load(times), 0, into);
}

WIDE_TARGET static bool times_decode_wide(Bytes encoded, int64_t *into, size_t *used) {
    unsigned domain;
    Wide numbers;
    if (!numbers_take(encoded, &domain, &numbers, used) || domain != 0) return false;
    wide_store(into, numbers);
    return true;
}

size_t strip_values_encode(const double *values, uint8_t *into) {
    return has_wide() ? values_encode_wide(values, into) : 0;
}
size_t strip_times_encode(const int64_t *times, uint8_t *into) {
    return has_wide() ? times_encode_wide(times, into) : 0;
}
bool strip_values_decode(Bytes encoded, double *into, size_t *used) {
    return has_wide() && values_decode_wide(encoded, into, used);
}
bool strip_times_decode(Bytes encoded, int64_t *into, size_t *used) {
    return has_wide() && times_decode_wide(encoded, into, used);
}

#else

size_t strip_values_encode(const double *values, uint8_t *into) {
    return 0;
}
size_t strip_times_encode(const int64_t *times, uint8_t *into) {
    return 0;
}
bool strip_values_decode(Bytes encoded, double *into, size_t *used) {
    return false;
}
bool strip_times_decode(Bytes encoded, int64_t *into, size_t *used) {
    return false;
}

#endif
