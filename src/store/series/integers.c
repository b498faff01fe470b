// Integer columns: difference to a line of some order, then packed or class-coded, whichever is
// smaller.
//
//   order 0   the number itself              order 2   the difference of differences
//   order 1   the difference to the last     order 3   the distance from first + i * step
//
// The sizes are known before anything is written: packed from the spread, coded from the class
// histogram.

#include "store/series/integers.h"

#include <math.h>

#include "base/assert.h"
#include "base/wide.h"
#include "store/index/bitpack.h"
#include "store/series/chunk.h"
#include "store/series/entropy.h"

enum {
    ORDERS = 4,
    STARTS_MAX = 2,
    MEDIAN_SAMPLES = 31,
    ESTIMATE_SAMPLES = 128,
    CODED_GAIN = 16,       // packed columns decode four times as fast: the code has to save 1/16
    CODED_COUNT_MIN = 24,  // below, the code's table costs more than it saves
    UNSIGNED_FLAG = 4,
};

typedef struct Line {
    unsigned order;
    size_t start_count;
    uint64_t starts[STARTS_MAX];
    size_t count;            // of the residuals
    uint64_t least, spread;  // signed minimum, and maximum - minimum
} Line;

static inline size_t put_varint(uint8_t *into, uint64_t value) {
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) into[len++] = (uint8_t)(value | 0x80);
    into[len++] = (uint8_t)value;
    return len;
}

static inline size_t zigzag_len(uint64_t value) {
    unsigned bits = bit_length(zigzag_encode((int64_t)value));
    return bits == 0 ? 1 : (bits + 6) / 7;
}

static inline size_t put_zigzag(uint8_t *into, uint64_t value) {
    return put_varint(into, zigzag_encode((int64_t)value));
}

typedef struct Extent {
    int64_t least, most;
} Extent;

// All residuals of one order, and what lies between them.
static Extent residuals_anywhere(const uint64_t *numbers, size_t count, unsigned order,
                                 uint64_t step, uint64_t *residuals) {
    switch (order) {
        case 0:
            memcpy(residuals, numbers, count * sizeof *numbers);
            break;
        case 1:
            for (size_t i = 0; i < count; i++) residuals[i] = numbers[i + 1] - numbers[i];
            break;
        case 2:
            for (size_t i = 0; i < count; i++)
                residuals[i] = numbers[i + 2] - 2 * numbers[i + 1] + numbers[i];
            break;
        default:
            for (size_t i = 0; i < count; i++) residuals[i] = numbers[i] - numbers[0] - i * step;
            break;
    }
    Extent extent = {INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < count; i++) {
        int64_t residual = (int64_t)residuals[i];
        extent.least = MIN(extent.least, residual);
        extent.most = MAX(extent.most, residual);
    }
    return extent;
}

// The median of `taken` numbers, 1 to MEDIAN_SAMPLES; `some` has room for one more.
static int64_t median_anywhere(int64_t *some, size_t taken) {
    for (size_t i = 1; i < taken; i++) {
        int64_t value = some[i];
        size_t at = i;
        for (; at > 0 && some[at - 1] > value; at--) some[at] = some[at - 1];
        some[at] = value;
    }
    return some[taken / 2];
}

#ifdef __x86_64__
WIDE_TARGET static Extent residuals_wide(const uint64_t *numbers, size_t count, unsigned order,
                                         uint64_t step, uint64_t *residuals) {
    __m512i least = _mm512_set1_epi64(INT64_MAX), most = _mm512_set1_epi64(INT64_MIN);
    __m512i line = _mm512_add_epi64(_mm512_set1_epi64((int64_t)numbers[0]),
                                    _mm512_mullo_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
                                                       _mm512_set1_epi64((int64_t)step)));
    for (size_t i = 0; i < count; i += 8) {
        __mmask8 there = (__mmask8)(0xff >> (8 - MIN(count - i, (size_t)8)));
        __m512i residual = _mm512_maskz_loadu_epi64(there, numbers + i);
        if (order == 1) {
            residual = _mm512_sub_epi64(_mm512_maskz_loadu_epi64(there, numbers + i + 1), residual);
        } else if (order == 2) {
            __m512i middle = _mm512_maskz_loadu_epi64(there, numbers + i + 1);
            residual = _mm512_add_epi64(residual, _mm512_maskz_loadu_epi64(there, numbers + i + 2));
            residual = _mm512_sub_epi64(residual, _mm512_add_epi64(middle, middle));
        } else if (order == 3) {
            residual = _mm512_sub_epi64(residual, line);
            line = _mm512_add_epi64(line, _mm512_set1_epi64((int64_t)(step * 8)));
        }
        least = _mm512_mask_min_epi64(least, there, least, residual);
        most = _mm512_mask_max_epi64(most, there, most, residual);
        _mm512_mask_storeu_epi64(residuals + i, there, residual);
    }
    return (Extent){_mm512_reduce_min_epi64(least), _mm512_reduce_max_epi64(most)};
}

// The greatest of those than which no more are less than there are below the median.
WIDE_TARGET static int64_t median_wide(int64_t *some, size_t taken) {
    __m512i parts[4];
    for (size_t i = taken; i <= MEDIAN_SAMPLES; i++) some[i] = INT64_MAX;
    for (size_t i = 0; i < COUNT(parts); i++) parts[i] = _mm512_loadu_si512(some + 8 * i);
    int64_t median = INT64_MIN;
    for (size_t i = 0; i < taken; i++) {
        __m512i value = _mm512_set1_epi64(some[i]);
        uint32_t less = 0;
        for (size_t k = 0; k < COUNT(parts); k++)
            less |= (uint32_t)_mm512_cmplt_epi64_mask(parts[k], value) << (8 * k);
        bool below = (unsigned)_mm_popcnt_u32(less) <= taken / 2;
        median = below && some[i] > median ? some[i] : median;
    }
    return median;
}
#else
#define residuals_wide residuals_anywhere
#define median_wide    median_anywhere
#endif

// The residuals of one order, with their spread.
static Line line_make(const uint64_t *numbers, size_t count, unsigned order, uint64_t step,
                      uint64_t *residuals) {
    Line line = {.order = order, .starts = {numbers[0], 0}, .count = count};
    if (order == 1 || order == 2) line.count -= order;
    if (order > 0) line.start_count = order == 1 ? 1 : 2;
    if (order > 1) line.starts[1] = order == 2 ? numbers[1] - numbers[0] : step;
    Extent extent = has_wide() ? residuals_wide(numbers, line.count, order, step, residuals)
                               : residuals_anywhere(numbers, line.count, order, step, residuals);
    line.least = (uint64_t)extent.least;
    line.spread = (uint64_t)extent.most - (uint64_t)extent.least;
    return line;
}

static size_t line_head_bytes(const Line *line, uint64_t base) {
    size_t bytes = 2 + zigzag_len(base);
    for (size_t i = 0; i < line->start_count; i++) bytes += zigzag_len(line->starts[i]);
    return bytes;
}

static size_t line_head_put(const Line *line, unsigned kind, unsigned shape, uint64_t base,
                            uint8_t *into) {
    into[0] = (uint8_t)kind;
    into[1] = (uint8_t)(line->order | shape);
    size_t len = 2;
    for (size_t i = 0; i < line->start_count; i++) len += put_zigzag(into + len, line->starts[i]);
    return len + put_zigzag(into + len, base);
}

static size_t packed_bytes(const Line *line) {
    return line_head_bytes(line, line->least) +
           bitpack_bytes(line->count, bit_length(line->spread));
}

static size_t packed_put(const Line *line, uint64_t *residuals, uint8_t *into) {
    unsigned width = bit_length(line->spread);
    for (size_t i = 0; i < line->count; i++) residuals[i] -= line->least;
    size_t len = line_head_put(line, COLUMN_PACKED, width << 2, line->least, into);
    bitpack(residuals, line->count, width, into + len);
    return len + bitpack_bytes(line->count, width);
}

// The median of a few evenly spread residuals.
static uint64_t median_of_some(const uint64_t *residuals, size_t count) {
    int64_t some[MEDIAN_SAMPLES + 1];
    size_t taken = MIN(count, (size_t)MEDIAN_SAMPLES);
    if (taken == MEDIAN_SAMPLES) {  // dividing by what is known is cheaper
        for (uint32_t i = 0; i < MEDIAN_SAMPLES; i++)
            some[i] = (int64_t)residuals[i * (uint32_t)count / MEDIAN_SAMPLES];
    } else {
        memcpy(some, residuals, count * sizeof *some);
    }
    return (uint64_t)(has_wide() ? median_wide(some, taken) : median_anywhere(some, taken));
}

// About how many bits the class code would take, from some of the residuals: the entropy of the
// classes and the raw bits.
static double coded_bits_estimate(const uint64_t *residuals, size_t count, uint64_t base,
                                  bool above) {
    uint32_t counts[64] = {0}, taken = 0;
    size_t stride = count / ESTIMATE_SAMPLES + 1;
    for (size_t i = 0; i < count; i += stride, taken++) {
        uint64_t distance = residuals[i] - base;
        uint64_t number = above ? distance : zigzag_encode((int64_t)distance);
        counts[63 -
               __builtin_clzll(number << 1 | 1)]++;  // the bit length without a branch; below 2^63
    }
    double bits = 0, total = (double)taken;
    for (unsigned length = 0; length < COUNT(counts); length++) {
        if (counts[length] == 0) continue;
        double times = (double)counts[length];
        bits += times * (log2(total / times) + (length > 1 ? length - 1 : 0));
    }
    return bits * (double)count / total;
}

// The slope of order 3: the usual step, or that from end to end, whichever keeps closer to the
// numbers at the far end and in the middle. The first is right when scrapes are missing, the second
// when every step trembles.
static uint64_t step_choose(const uint64_t *numbers, size_t count, const uint64_t *steps) {
    uint64_t usual = median_of_some(steps, count - 1);
    uint64_t mean = (uint64_t)((int64_t)(numbers[count - 1] - numbers[0]) / (int64_t)(count - 1));
    UNFILLED uint64_t scratch[CHUNK_SAMPLES_MAX];
    uint64_t by_usual = line_make(numbers, count, 3, usual, scratch).spread;
    for (uint64_t step = mean; step != mean + 2; step++) {
        uint64_t spread = line_make(numbers, count, 3, step, scratch).spread;
        if (spread >= by_usual) continue;
        by_usual = spread;
        usual = step;
    }
    return usual;
}

typedef struct Coded {
    EntropyPlan plan;
    uint64_t base;
    unsigned shape;
    size_t bytes;
    uint64_t numbers[CHUNK_SAMPLES_MAX];
} Coded;

static void coded_try(const Line *line, const uint64_t *residuals, uint64_t base, unsigned shape,
                      Coded *out) {
    for (size_t i = 0; i < line->count; i++) {
        uint64_t distance = residuals[i] - base;
        out->numbers[i] = shape == UNSIGNED_FLAG ? distance : zigzag_encode((int64_t)distance);
    }
    out->base = base;
    out->shape = shape;
    bool possible = entropy_plan(out->numbers, line->count, &out->plan);
    out->bytes = possible ? line_head_bytes(line, base) + out->plan.bytes : SIZE_MAX;
}

static size_t coded_put(const Line *line, const Coded *coded, uint8_t *into) {
    size_t len = line_head_put(line, COLUMN_CODED, coded->shape, coded->base, into);
    return len + entropy_encode(&coded->plan, coded->numbers, line->count, into + len);
}

static size_t raw_put(const uint64_t *numbers, size_t count, uint8_t *into) {
    into[0] = COLUMN_RAW;
    memcpy(into + 1, numbers, count * sizeof *numbers);
    return 1 + count * sizeof *numbers;
}

static unsigned orders_possible(size_t count, IntegersEffort effort) {
    if (count < 3) return 2;
    return effort == INTEGERS_FAST ? 3 : ORDERS;
}

static size_t lines_encode(const uint64_t *numbers, size_t count, IntegersEffort effort,
                           uint8_t *into) {
    UNFILLED uint64_t residuals[CHUNK_SAMPLES_MAX];
    uint64_t step = 0;
    Line best = {0}, best_coded = {0};
    size_t bytes = 1 + count * 8;  // what raw would take
    double bits = INFINITY;
    bool packed = false;
    for (unsigned order = 0; order < orders_possible(count, effort); order++) {
        Line line = line_make(numbers, count, order, step, residuals);
        size_t needed = packed_bytes(&line);
        if (bit_length(line.spread) < 64 && needed < bytes) {
            best = line;
            bytes = needed;
            packed = true;
        }
        if (effort == INTEGERS_FAST || count < CODED_COUNT_MIN) continue;
        if (order == 1) step = step_choose(numbers, count, residuals);
        double estimate = coded_bits_estimate(residuals, line.count,
                                              median_of_some(residuals, line.count), false);
        if (estimate < bits) {
            best_coded = line;
            bits = estimate;
        }
    }
    if (bits / 8 < (double)(bytes - bytes / CODED_GAIN)) {
        Line line = line_make(numbers, count, best_coded.order, step, residuals);
        uint64_t median = median_of_some(residuals, line.count);
        bool above = coded_bits_estimate(residuals, line.count, line.least, true) <
                     coded_bits_estimate(residuals, line.count, median, false);
        UNFILLED Coded coded;
        coded_try(&line, residuals, above ? line.least : median, above ? UNSIGNED_FLAG : 0, &coded);
        if (coded.bytes < bytes - bytes / CODED_GAIN) return coded_put(&line, &coded, into);
    }
    if (!packed) return raw_put(numbers, count, into);
    Line line = line_make(numbers, count, best.order, step, residuals);
    return packed_put(&line, residuals, into);
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// What divides the distances of all numbers from the first. Distances are taken as signed; 0 when
// one is too far.
static uint64_t divisor_of(const uint64_t *numbers, size_t count, IntegersEffort effort) {
    uint64_t any = 0;
    for (size_t i = 1; i < count; i++) any |= numbers[i] - numbers[0];
    uint64_t power = any & -any;  // the highest power of two: cheap, and bytes come in pages
    if (effort == INTEGERS_FAST) return power;
    uint64_t divisor = 0;
    for (size_t i = 1; i < count; i++) {
        int64_t distance = (int64_t)(numbers[i] - numbers[0]);
        uint64_t size = distance < 0 ? -(uint64_t)distance : (uint64_t)distance;
        if (size == 0) continue;
        divisor = common_divisor(size, divisor);
        if (divisor <= power) return power;
    }
    return divisor;
}

static bool is_steady(const uint64_t *numbers, size_t count) {
    uint64_t step = numbers[1] - numbers[0];
    for (size_t i = 2; i < count; i++) {
        if (numbers[i] - numbers[i - 1] != step) return false;
    }
    return true;
}

size_t integers_encode(const uint64_t *numbers, size_t count, IntegersEffort effort,
                       uint8_t *into) {
    assert(count > 0 && count <= CHUNK_SAMPLES_MAX);
    if (count == 1 || is_steady(numbers, count)) {
        uint64_t step = count == 1 ? 0 : numbers[1] - numbers[0];
        into[0] = step == 0 ? COLUMN_CONSTANT : COLUMN_STEADY;
        size_t len = 1 + put_zigzag(into + 1, numbers[0]);
        return step == 0 ? len : len + put_zigzag(into + len, step);
    }
    uint64_t divisor = divisor_of(numbers, count, effort);
    // A divisor of 2 saves a bit each, its wrapping costs three bytes and more.
    unsigned gain = bit_length(divisor) - 1;
    if (gain * count < 8 * 8) return lines_encode(numbers, count, effort, into);

    UNFILLED uint64_t scaled[CHUNK_SAMPLES_MAX];
    for (size_t i = 0; i < count; i++) {
        int64_t distance = (int64_t)(numbers[i] - numbers[0]);
        // Only 2^63 divides into something that has no sign; it cannot be told from its negative
        // and need not be.
        scaled[i] = divisor > INT64_MAX ? (uint64_t)(distance != 0)
                                        : (uint64_t)(distance / (int64_t)divisor);
    }
    into[0] = COLUMN_SCALED;
    size_t len = 1 + put_zigzag(into + 1, numbers[0]);
    len += put_varint(into + len, divisor);
    UNFILLED uint8_t inner[COLUMN_BYTES_MAX];
    size_t inner_len = integers_encode(scaled, count, effort, inner);
    if (inner[0] == COLUMN_SCALED || len + inner_len > 1 + count * 8)
        return lines_encode(numbers, count, effort, into);
    memcpy(into + len, inner, inner_len);
    return len + inner_len;
}

// ---- Decoding ----

static void line_undo(unsigned order, const uint64_t *starts, uint64_t base, size_t count,
                      uint64_t *numbers) {
    uint64_t last, slope;
    switch (order) {
        case 0:
            for (size_t i = 0; i < count; i++) numbers[i] += base;
            break;
        case 1:
            last = numbers[0] = starts[0];
            for (size_t i = 1; i < count; i++) numbers[i] = last += numbers[i] + base;
            break;
        case 2:
            numbers[0] = starts[0];
            slope = starts[1];
            last = numbers[1] = starts[0] + slope;
            for (size_t i = 2; i < count; i++) {
                slope += numbers[i] + base;
                numbers[i] = last += slope;
            }
            break;
        default:
            last = starts[0] + base;
            for (size_t i = 0; i < count; i++, last += starts[1]) numbers[i] += last;
            break;
    }
}

static bool lines_decode(Reader *reader, unsigned kind, size_t count, uint64_t *into) {
    static const uint8_t start_counts[ORDERS] = {0, 1, 2, 2}, skipped_counts[ORDERS] = {0, 1, 2, 0};
    unsigned shape = reader_u8(reader);
    unsigned order = shape & 3;
    if (skipped_counts[order] > count) return false;
    uint64_t starts[STARTS_MAX] = {0};
    for (unsigned i = 0; i < start_counts[order]; i++) starts[i] = (uint64_t)reader_zigzag(reader);
    uint64_t base = (uint64_t)reader_zigzag(reader);
    size_t skipped = skipped_counts[order];
    size_t coded = count - skipped;
    if (kind == COLUMN_PACKED) {
        unsigned width = shape >> 2;
        Bytes bits = reader_take(reader, bitpack_bytes(coded, width));
        if (reader->failed) return false;
        bitunpack(bits, coded, width, into + skipped);
    } else {
        if (shape >> 2 > 1 || reader->failed || !entropy_decode(reader, coded, into + skipped))
            return false;
        if (!(shape & UNSIGNED_FLAG)) {
            for (size_t i = skipped; i < count; i++) into[i] = (uint64_t)zigzag_decode(into[i]);
        }
    }
    line_undo(order, starts, base, count, into);
    return true;
}

bool integers_decode(Reader *reader, unsigned kind, size_t count, uint64_t *into) {
    if (count == 0) return false;
    switch (kind) {
        case COLUMN_RAW: {
            Bytes raw = reader_take(reader, count * sizeof *into);
            if (reader->failed) return false;
            memcpy(into, raw.at, raw.len);
            return true;
        }
        case COLUMN_CONSTANT:
        case COLUMN_STEADY: {
            uint64_t number = (uint64_t)reader_zigzag(reader);
            uint64_t step = kind == COLUMN_STEADY ? (uint64_t)reader_zigzag(reader) : 0;
            for (size_t i = 0; i < count; i++, number += step) into[i] = number;
            return !reader->failed;
        }
        case COLUMN_PACKED:
        case COLUMN_CODED:
            return lines_decode(reader, kind, count, into);
        case COLUMN_SCALED: {
            uint64_t first = (uint64_t)reader_zigzag(reader);
            uint64_t divisor = reader_varint(reader);
            unsigned inner = reader_u8(reader);
            if (reader->failed || inner == COLUMN_SCALED ||
                !integers_decode(reader, inner, count, into))
                return false;
            for (size_t i = 0; i < count; i++) into[i] = first + into[i] * divisor;
            return true;
        }
        default:
            return false;
    }
}
