// Columns of times and values: doubles become integers (scaled decimals where that is exact, else
// their bits), integers are packed by integers.c, odd values are patched in. What does not come
// back bit for bit is stored raw.

#include "store/series/chunk.h"

#include "base/assert.h"
#include "base/wide.h"
#include "model/sample.h"
#include "store/series/decimal.h"
#include "store/series/integers.h"
#include "store/series/strip.h"

enum {
    SAMPLED_THOROUGH = 32,
    SAMPLED_FAST = 4,
    NEAR_ULPS_MAX = 1 << 12,
    NEAR_DECIMALS_MAX = 9,  // with more, all doubles of a size are near some decimal
    NEAR_COUNT_MIN = 24,
};

const double decimal_powers[DECIMALS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};

// ---- Times ----

size_t times_encode(const int64_t *times, size_t count, uint8_t *into) {
    assert(count <= CHUNK_SAMPLES_MAX);
    if (count == 0) return 0;
    size_t len = count == STRIP_SAMPLES ? strip_times_encode(times, into) : 0;
    if (len > 0) return len;
    IntegersEffort effort = count > STRIP_SAMPLES ? INTEGERS_THOROUGH : INTEGERS_FAST;
    len = integers_encode((const uint64_t *)times, count, effort, into);
    UNFILLED int64_t again[CHUNK_SAMPLES_MAX];
    Reader reader = reader_begin((Bytes){into + 1, len - 1});
    bool same = integers_decode(&reader, into[0], count, (uint64_t *)again) &&
                reader_left(&reader) == 0 && memcmp(again, times, count * sizeof *times) == 0;
    assert(same);  // integers are exact by construction; a difference is our bug and must not reach
                   // the disk
    return len;
}

bool times_decode(Bytes encoded, size_t count, int64_t *into, size_t *used, Error *err) {
    if (count == STRIP_SAMPLES && strip_times_decode(encoded, into, used)) return true;
    if (count == 0) {
        *used = 0;
        return true;
    }
    Reader reader = reader_begin(encoded);
    unsigned kind = reader_u8(&reader);
    if (count > CHUNK_SAMPLES_MAX || reader.failed ||
        !integers_decode(&reader, kind, count, (uint64_t *)into)) {
        return error_set(err, ERROR_CORRUPT,
                         "a column of %zu times (kind %u, %zu bytes) cannot be decoded", count,
                         kind, encoded.len);
    }
    *used = encoded.len - reader_left(&reader);
    return true;
}

// ---- Values: doubles to integers ----

unsigned decimals_of(double value) {
    int64_t number;
    // A double that is no short decimal fails at every power: ask the largest first.
    if (!decimal_from(value, decimals_that_fit(value), &number)) return DOMAIN_BITS;
    for (unsigned decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
        if (decimal_from(value, decimals, &number)) return decimals;
    }
    return DOMAIN_BITS;
}

// A column as integers, and the positions where that failed.
typedef struct Scaled {
    unsigned domain;  // decimals, or DOMAIN_BITS
    size_t odd_count;
    bool odd_are_stale;
    uint16_t odd[CHUNK_SAMPLES_MAX];
    int64_t numbers[CHUNK_SAMPLES_MAX];
} Scaled;

#ifdef __x86_64__
// Eight values at a time, as long as all of them fit; how many those are.
WIDE_TARGET static size_t scale_wide(const double *values, size_t count, unsigned domain,
                                     int64_t *numbers) {
    __m512d power = _mm512_set1_pd(decimal_powers[domain]);
    __m512d limit = _mm512_set1_pd(domain == 0 ? 0x1p62 : 0x1p53);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m512d value = _mm512_loadu_pd(values + i), scaled = _mm512_mul_pd(value, power);
        __m512i number = _mm512_cvtpd_epi64(scaled);
        __m512d again = _mm512_cvtepi64_pd(number);
        if (domain > 0) again = _mm512_div_pd(again, power);
        __mmask8 fit = _mm512_cmp_pd_mask(_mm512_abs_pd(scaled), limit, _CMP_LT_OQ);
        fit = _mm512_mask_cmpeq_epi64_mask(fit, _mm512_castpd_si512(again),
                                           _mm512_castpd_si512(value));
        if (fit != 0xff) break;
        _mm512_storeu_si512(numbers + i, number);
    }
    return i;
}

// In place: numbers become the doubles that they stand for.
WIDE_TARGET static void unscale_wide(double *values, size_t count, unsigned domain) {
    __m512d power = _mm512_set1_pd(decimal_powers[domain]);
    for (size_t i = 0; i < count; i += 8) {
        __mmask8 there = (__mmask8)(0xff >> (8 - MIN(count - i, (size_t)8)));
        __m512d value = _mm512_cvtepi64_pd(_mm512_maskz_loadu_epi64(there, values + i));
        if (domain > 0) value = _mm512_div_pd(value, power);
        _mm512_mask_storeu_pd(values + i, there, value);
    }
}
#else
static size_t scale_wide(const double *values, size_t count, unsigned domain, int64_t *numbers) {
    return 0;
}
static void unscale_wide(double *values, size_t count, unsigned domain) {}
#endif

static void scale_to(const double *values, size_t count, unsigned domain, Scaled *out) {
    out->domain = domain;
    out->odd_count = 0;
    out->odd_are_stale = true;
    int64_t last = 0;
    for (size_t i = 0; i < count;) {
        if (has_wide() && domain != DOMAIN_BITS && (i == 0 || out->odd_count < i)) {
            size_t fit = scale_wide(values + i, count - i, domain, out->numbers + i);
            i += fit;
            if (fit > 0) last = out->numbers[i - 1];
        }
        for (size_t end = MIN(i + 8, count); i < end; i++) {
            int64_t number = (int64_t)double_bits(values[i]);
            bool fits = domain == DOMAIN_BITS ? !is_stale(values[i])
                                              : decimal_from(values[i], domain, &number);
            if (!fits) {
                out->odd_are_stale &= is_stale(values[i]);
                out->odd[out->odd_count++] = (uint16_t)i;
                number = last;  // repeats: costs next to nothing
            } else if (out->odd_count == i && i > 0) {
                for (size_t before = 0; before < i; before++) out->numbers[before] = number;
            }
            out->numbers[i] = last = number;
        }
    }
}

// Which decimals to try: the most that a few values need, and what most of them need.
static size_t domains_to_try(const double *values, size_t count, bool fast, unsigned tries[3]) {
    size_t wanted = fast ? SAMPLED_FAST : SAMPLED_THOROUGH;
    size_t taken = MIN(count, wanted);
    unsigned per_domain[DOMAIN_BITS + 1] = {0}, seen = 0;
    for (size_t i = 0; i < taken; i++) {
        double value = values[(i * count + count - 1) / taken];
        if (!isfinite(value)) continue;
        per_domain[decimals_of(value)]++;
        seen++;
    }
    unsigned decimal = seen - per_domain[DOMAIN_BITS], most = 0, usual = 0, below = 0;
    if (seen > 0 && decimal * 2 < seen) {
        tries[0] = DOMAIN_BITS;
        return 1;
    }
    for (unsigned d = 0; d <= DECIMALS_MAX; d++) {
        if (per_domain[d] == 0) continue;
        if (below * 10 < decimal * 9) usual = d;
        below += per_domain[d];
        most = d;
    }
    size_t tried = 0;
    tries[tried++] = most;
    if (fast) return tried;
    if (usual != most) tries[tried++] = usual;
    if (per_domain[DOMAIN_BITS] > 0 || most > 11) tries[tried++] = DOMAIN_BITS;
    return tried;
}

// Values between the samples may need more decimals: what they need, or `decimals`.
static unsigned decimals_again(const double *values, const Scaled *scaled, unsigned decimals) {
    for (size_t i = 0; i < MIN(scaled->odd_count, (size_t)8); i++) {
        double value = values[scaled->odd[i]];
        unsigned needed = isfinite(value) ? decimals_of(value) : DOMAIN_BITS;
        if (needed != DOMAIN_BITS) decimals = MAX(decimals, needed);
    }
    return decimals;
}

// ---- Values: bytes ----

static inline size_t put_varint(uint8_t *into, uint64_t value) {
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) into[len++] = (uint8_t)(value | 0x80);
    into[len++] = (uint8_t)value;
    return len;
}

// EXCEPT: varint(count * 2 + all stale), gaps between positions as varints, the values unless all
// are stale.
static size_t odd_put(const double *values, const Scaled *scaled, uint8_t *into) {
    into[0] = COLUMN_EXCEPT;
    size_t len = 1 + put_varint(into + 1, (uint64_t)scaled->odd_count * 2 + scaled->odd_are_stale);
    for (size_t i = 0, next = 0; i < scaled->odd_count; i++) {
        len += put_varint(into + len, scaled->odd[i] - next);
        next = scaled->odd[i] + 1u;
    }
    if (scaled->odd_are_stale) return len;
    for (size_t i = 0; i < scaled->odd_count; i++, len += sizeof *values) {
        memcpy(into + len, &values[scaled->odd[i]], sizeof *values);
    }
    return len;
}

static size_t raw_put(const double *values, size_t count, uint8_t *into) {
    into[0] = COLUMN_RAW | DOMAIN_BITS << 4;
    memcpy(into + 1, values, count * sizeof *values);
    return 1 + count * sizeof *values;
}

// `into` has room for twice the longest column. SIZE_MAX when there are too many odd values.
static size_t scaled_put(const double *values, size_t count, const Scaled *scaled, bool fast,
                         uint8_t *into) {
    if (scaled->odd_count * 4 > count + 12) return SIZE_MAX;
    size_t len = scaled->odd_count == 0 ? 0 : odd_put(values, scaled, into);
    IntegersEffort effort = fast ? INTEGERS_FAST : INTEGERS_THOROUGH;
    size_t inner = integers_encode((const uint64_t *)scaled->numbers, count, effort, into + len);
    into[len] |= (uint8_t)(scaled->domain << 4);
    return len + inner;
}

static bool comes_back(Bytes encoded, const double *values, size_t count) {
    UNFILLED double again[CHUNK_SAMPLES_MAX];
    size_t used;
    return values_decode(encoded, count, again, &used, NULL) && used == encoded.len &&
           memcmp(again, values, count * sizeof *values) == 0;
}

// One value over and over, by far the most common column. `into` has room for a constant.
static size_t constant_put(double value, uint8_t *into) {
    int64_t number;
    unsigned domain = isfinite(value) ? decimals_of(value) : DOMAIN_BITS;
    if (domain == DOMAIN_BITS || !decimal_from(value, domain, &number))
        number = (int64_t)double_bits(value);
    size_t len = integers_encode((const uint64_t *)&number, 1, INTEGERS_FAST, into);
    into[0] |= (uint8_t)(domain << 4);
    return len;
}

static bool is_constant(const double *values, size_t count) {
    return memcmp(values, values + 1, (count - 1) * sizeof *values) == 0;
}

size_t values_encode(const double *values, size_t count, bool fast, uint8_t *into) {
    assert(count <= CHUNK_SAMPLES_MAX);
    if (count == 0) return 0;
    size_t strip = fast && count == STRIP_SAMPLES ? strip_values_encode(values, into) : 0;
    if (strip > 0) return strip;
    if (is_constant(values, count)) {
        size_t len = constant_put(values[0], into);
        return comes_back((Bytes){into, len}, values, count) ? len : raw_put(values, count, into);
    }
    UNFILLED uint8_t trial[2 * COLUMN_BYTES_MAX];
    UNFILLED Scaled scaled;
    unsigned tries[3];
    size_t tried = domains_to_try(values, count, fast, tries);
    size_t best = 1 + count * sizeof *values;
    bool found = false;
    for (size_t i = 0; i < tried; i++) {
        scale_to(values, count, tries[i], &scaled);
        if (i == 0 && tries[i] < DECIMALS_MAX && scaled.odd_count > 0) {
            unsigned again = decimals_again(values, &scaled, tries[i]);
            if (again != tries[i]) scale_to(values, count, again, &scaled);
        }
        size_t len = scaled_put(values, count, &scaled, fast, trial);
        if (len == SIZE_MAX && tried == 1 && tries[i] != DOMAIN_BITS) tries[tried++] = DOMAIN_BITS;
        if (len >= best) continue;
        memcpy(into, trial, len);
        best = len;
        found = true;
    }
    if (!found || !comes_back((Bytes){into, best}, values, count))
        return raw_put(values, count, into);
    return best;
}

// ---- Values that are nearly decimals ----
//
// Who adds up tenths, or multiplies by a thousandth instead of dividing by a thousand, gets doubles
// that are a last bit or two beside a decimal. The decimal is told, and how many steps of the last
// bit it is away.

static inline int64_t ulps_from(double value, unsigned decimals, int64_t *number) {
    double scaled = value * decimal_powers[decimals];
    *number = fabs(scaled) < 0x1p53 ? (int64_t)rint(scaled) : 0;
    return (int64_t)(double_bits(value) - double_bits((double)*number / decimal_powers[decimals]));
}

static inline bool is_near(int64_t ulps) {
    return ulps >= -NEAR_ULPS_MAX && ulps <= NEAR_ULPS_MAX;
}

// The fewest decimals that most of some values are near; DOMAIN_BITS: none.
static unsigned near_decimals(const double *values, size_t count) {
    size_t taken = MIN(count, (size_t)SAMPLED_THOROUGH);
    for (unsigned decimals = 0; decimals <= NEAR_DECIMALS_MAX; decimals++) {
        size_t near = 0, seen = 0;
        for (size_t i = 0; i < taken; i++) {
            int64_t number;
            double value = values[(i * count + count - 1) / taken];
            if (!isfinite(value)) continue;
            seen++;
            near += is_near(ulps_from(value, decimals, &number));
        }
        if (seen == 0) break;
        if (near * 8 >= seen * 7) return decimals;
    }
    return DOMAIN_BITS;
}

size_t values_encode_cold(const double *values, size_t count, uint8_t *into, bool *near) {
    size_t len = values_encode(values, count, false, into);
    *near = false;
    // A column that is all decimals is shorter without.
    if (count < NEAR_COUNT_MIN || (into[0] != COLUMN_EXCEPT && into[0] >> 4 != DOMAIN_BITS))
        return len;
    unsigned decimals = near_decimals(values, count);
    if (decimals == DOMAIN_BITS) return len;
    UNFILLED Scaled scaled;
    UNFILLED uint64_t ulps[CHUNK_SAMPLES_MAX];
    scaled.odd_count = 0;
    scaled.odd_are_stale = true;
    int64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t away =
            isfinite(values[i]) ? ulps_from(values[i], decimals, &scaled.numbers[i]) : INT64_MAX;
        bool odd = !is_near(away);
        if (odd) {
            scaled.odd_are_stale &= is_stale(values[i]);
            scaled.odd[scaled.odd_count++] = (uint16_t)i;
            scaled.numbers[i] = last;
        }
        ulps[i] = odd ? 0 : (uint64_t)away;
        last = scaled.numbers[i];
    }
    if (scaled.odd_count * 4 > count + 12) return len;
    UNFILLED uint8_t trial[4 * COLUMN_BYTES_MAX];
    size_t tried = scaled.odd_count == 0 ? 0 : odd_put(values, &scaled, trial);
    trial[tried++] = (uint8_t)(COLUMN_NEAR | decimals << 4);
    tried +=
        integers_encode((const uint64_t *)scaled.numbers, count, INTEGERS_THOROUGH, trial + tried);
    tried += integers_encode(ulps, count, INTEGERS_THOROUGH, trial + tried);
    if (tried >= len || !comes_back((Bytes){trial, tried}, values, count)) return len;
    memcpy(into, trial, tried);
    *near = true;
    return tried;
}

static bool odd_patch(Reader *list, size_t count, double *into) {
    uint64_t head = reader_varint(list);
    uint64_t odd_count = head / 2;
    bool stale = head & 1;
    if (odd_count > count) return false;
    UNFILLED uint16_t positions[CHUNK_SAMPLES_MAX];
    for (uint64_t i = 0, next = 0; i < odd_count; i++) {
        uint64_t gap = reader_varint(list);
        if (list->failed || gap >= count - next) return false;
        positions[i] = (uint16_t)(next + gap);
        next += gap + 1;
        if (into == NULL) continue;
        into[positions[i]] = stale_nan();
    }
    for (uint64_t i = 0; !stale && i < odd_count; i++) {
        double value = reader_f64(list);
        if (into != NULL) into[positions[i]] = value;
    }
    return !list->failed;
}

// In place: numbers become the doubles that they stand for. Copies, not casts of the pointer.
static void unscale(double *values, size_t count, unsigned domain) {
    if (domain == DOMAIN_BITS) return;
    if (has_wide()) {
        unscale_wide(values, count, domain);
        return;
    }
    double power = decimal_powers[domain];
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        memcpy(&number, &values[i], sizeof number);
        values[i] = (double)number;
    }
    if (domain > 0) {
        for (size_t i = 0; i < count; i++) values[i] /= power;
    }
}

// NEAR, behind its first byte: a column of decimals, then one of what is added to their bits.
static bool near_read(Reader *reader, size_t count, unsigned decimals, double *into) {
    UNFILLED uint64_t ulps[CHUNK_SAMPLES_MAX];
    unsigned numbers_kind = reader_u8(reader);
    if (decimals > DECIMALS_MAX || reader->failed ||
        !integers_decode(reader, numbers_kind, count, (uint64_t *)into))
        return false;
    unsigned ulps_kind = reader_u8(reader);
    if (reader->failed || !integers_decode(reader, ulps_kind, count, ulps)) return false;
    unscale(into, count, decimals);
    for (size_t i = 0; i < count; i++) into[i] = double_from_bits(double_bits(into[i]) + ulps[i]);
    return true;
}

static bool values_read(Reader *reader, size_t count, double *into) {
    if (count > CHUNK_SAMPLES_MAX) return false;
    unsigned first = reader_u8(reader);
    bool patched = first == COLUMN_EXCEPT;
    Reader list = *reader;
    if (patched) {
        if (!odd_patch(reader, count, NULL)) return false;
        first = reader_u8(reader);
    }
    unsigned domain = first >> 4, kind = first & 15;
    if (reader->failed) return false;
    if (kind == COLUMN_NEAR) {
        if (!near_read(reader, count, domain, into)) return false;
    } else {
        if (!integers_decode(reader, kind, count, (uint64_t *)into)) return false;
        unscale(into, count, domain);
    }
    return !patched || odd_patch(&list, count, into);
}

bool values_decode(Bytes encoded, size_t count, double *into, size_t *used, Error *err) {
    if (count == STRIP_SAMPLES && strip_values_decode(encoded, into, used)) return true;
    if (count == 0) {
        *used = 0;
        return true;
    }
    Reader reader = reader_begin(encoded);
    if (!values_read(&reader, count, into)) {
        return error_set(err, ERROR_CORRUPT,
                         "a column of %zu values (first byte %02x, %zu bytes) cannot be decoded",
                         count, encoded.len > 0 ? encoded.at[0] : 0u, encoded.len);
    }
    *used = encoded.len - reader_left(&reader);
    return true;
}

ChunkSummary chunk_summarise(const int64_t *times, const double *values, size_t count) {
    ChunkSummary summary = {0};
    if (count == 0) return summary;
    summary = (ChunkSummary){.first_ms = times[0],
                             .last_ms = times[count - 1],
                             .count = (uint32_t)count,
                             .min = INFINITY,
                             .max = -INFINITY,
                             .first = values[0],
                             .last = values[count - 1]};
    double before = NAN;
    for (size_t i = 0; i < count; i++) {
        double value = values[i];
        if (isnan(value)) continue;
        summary.sum += value;
        if (value < summary.min) summary.min = value;
        if (value > summary.max) summary.max = value;
        summary.resets += value < before;
        before = value;
    }
    return summary;
}
