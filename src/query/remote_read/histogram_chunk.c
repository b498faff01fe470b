// Writing Prometheus' chunks of native histograms.

#include "query/remote_read/histogram_chunk.h"

#include <math.h>

#include "base/assert.h"
#include "query/remote_read/chunk_bits.h"

enum { FLAG_RESET = 0x80, FLAG_NO_RESET = 0x40, FLAG_GAUGE = 0xc0 };

// ---- What joins ----

static bool same_spans(const HistogramBuckets *a, const HistogramBuckets *b) {
    if (a->span_count != b->span_count || a->bucket_count != b->bucket_count) return false;
    for (size_t i = 0; i < a->span_count; i++) {
        if (a->spans[i].offset != b->spans[i].offset || a->spans[i].length != b->spans[i].length)
            return false;
    }
    return true;
}

static bool same_layout(const NativeHistogram *a, const NativeHistogram *b) {
    if (a->schema != b->schema || a->custom_bound_count != b->custom_bound_count ||
        double_bits(a->zero_threshold) != double_bits(b->zero_threshold))
        return false;
    for (size_t i = 0; i < a->custom_bound_count; i++) {
        if (double_bits(a->custom_bounds[i]) != double_bits(b->custom_bounds[i])) return false;
    }
    return same_spans(&a->positive, &b->positive) && same_spans(&a->negative, &b->negative);
}

// Of one layout and kind.
static bool buckets_fell(const HistogramBuckets *before, const HistogramBuckets *next,
                         bool is_float) {
    int64_t was = 0, is = 0;
    for (size_t i = 0; i < next->bucket_count; i++) {
        if (is_float) {
            if (!(next->counts[i] >= before->counts[i])) return true;
            continue;
        }
        was += before->deltas[i];
        is += next->deltas[i];
        if (is < was) return true;
    }
    return false;
}

static bool fell(const NativeHistogram *before, const NativeHistogram *next) {
    bool is_float = next->is_float;
    bool counts_fell = is_float
                           ? !(next->count_float >= before->count_float &&
                               next->zero_count_float >= before->zero_count_float)
                           : next->count < before->count || next->zero_count < before->zero_count;
    return counts_fell || buckets_fell(&before->positive, &next->positive, is_float) ||
           buckets_fell(&before->negative, &next->negative, is_float);
}

bool histogram_chunk_joins(const NativeHistogram *before, const NativeHistogram *next) {
    if (is_stale(before->sum) || before->is_float != next->is_float) return false;
    if (is_stale(next->sum)) return true;
    bool gauge = next->reset_hint == HISTOGRAM_RESET_GAUGE;
    if ((before->reset_hint == HISTOGRAM_RESET_GAUGE) != gauge || !same_layout(before, next))
        return false;
    return gauge || (next->reset_hint != HISTOGRAM_RESET_YES && !fell(before, next));
}

// ---- Numbers ----

// As many ones as the row of its width, a zero, then the number; 64 bits have no zero in front.
static const uint8_t varbit_widths[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

static void put_varbit(BitWriter *bits, uint64_t value, size_t row) {
    size_t last = COUNT(varbit_widths) - 1;
    put_bits(bits, row == last ? (1u << last) - 1 : (1u << (row + 1)) - 2,
             (unsigned)(row == last ? last : row + 1));
    put_bits(bits, value, varbit_widths[row]);
}

static void put_signed(BitWriter *bits, int64_t value) {
    size_t row = value == 0 ? 0 : 1;
    while (row > 0 && row < COUNT(varbit_widths) - 1 && !fits_signed(value, varbit_widths[row]))
        row++;
    put_varbit(bits, (uint64_t)value, row);
}

static void put_unsigned(BitWriter *bits, uint64_t value) {
    size_t row = 0;
    while (row < COUNT(varbit_widths) - 1 && value >> varbit_widths[row] != 0) row++;
    put_varbit(bits, value, row);
}

// A number that is packed as the change of its change.
typedef struct Delta {
    uint64_t value, delta;  // wrap, as they do in Go
} Delta;

static void put_delta(BitWriter *bits, Delta *number, uint64_t now) {
    uint64_t delta = now - number->value;
    put_signed(bits, (int64_t)(delta - number->delta));
    *number = (Delta){now, delta};
}

// ---- The layout ----

static void put_zero_threshold(BitWriter *bits, double threshold) {
    enum { EXPONENT_MIN = -242, EXPONENT_MAX = 11, EXPONENT_BIAS = 243, WHOLE = 255 };
    int exponent;
    double fraction = frexp(threshold, &exponent);
    if (double_bits(threshold) == 0) {
        put_bits(bits, 0, 8);
    } else if (fraction == 0.5 && exponent >= EXPONENT_MIN && exponent <= EXPONENT_MAX) {
        put_bits(bits, (uint64_t)(exponent + EXPONENT_BIAS), 8);
    } else {
        put_bits(bits, WHOLE, 8);
        put_bits(bits, double_bits(threshold), 64);
    }
}

static void put_spans(BitWriter *bits, const HistogramBuckets *buckets) {
    put_unsigned(bits, buckets->span_count);
    for (size_t i = 0; i < buckets->span_count; i++) {
        put_unsigned(bits, buckets->spans[i].length);
        put_signed(bits, buckets->spans[i].offset);
    }
}

static void put_bound(BitWriter *bits, double bound) {
    static const double thousandths_max = 33554430;
    double thousandths = round(bound * 1000);
    if (thousandths >= 0 && thousandths <= thousandths_max &&
        double_bits(thousandths / 1000) == double_bits(bound)) {
        put_unsigned(bits, (uint64_t)thousandths + 1);
    } else {
        put_bits(bits, 0, 1);
        put_bits(bits, double_bits(bound), 64);
    }
}

static void put_layout(BitWriter *bits, const NativeHistogram *first) {
    static const NativeHistogram empty;
    const NativeHistogram *layout = is_stale(first->sum) ? &empty : first;
    put_zero_threshold(bits, layout->zero_threshold);
    put_signed(bits, layout->schema);
    put_spans(bits, &layout->positive);
    put_spans(bits, &layout->negative);
    if (layout->schema != HISTOGRAM_SCHEMA_CUSTOM) return;
    put_unsigned(bits, layout->custom_bound_count);
    for (size_t i = 0; i < layout->custom_bound_count; i++)
        put_bound(bits, layout->custom_bounds[i]);
}

static uint8_t flags_of(const NativeHistogram *first) {
    static const uint8_t flags[] = {
        [HISTOGRAM_RESET_UNKNOWN] = 0,
        [HISTOGRAM_RESET_YES] = FLAG_RESET,
        [HISTOGRAM_RESET_NO] = FLAG_NO_RESET,
        [HISTOGRAM_RESET_GAUGE] = FLAG_GAUGE,
    };
    return is_stale(first->sum) ? 0 : flags[first->reset_hint];
}

// ---- Chunks ----

// Buckets are written as they come in a NativeHistogram: integers as deltas from bucket to bucket.
// What each bucket was before is in the histogram before; only its change is kept beside.
static void write_integers(BitWriter *bits, const NativeHistogram *histograms, size_t count) {
    AUTO(arena_free) Arena arena = {0};
    size_t positive = histograms[0].positive.bucket_count;
    Delta *buckets =
        arena_push_array(&arena, Delta, positive + histograms[0].negative.bucket_count);
    Delta time = {0}, observations = {0}, zeros = {0};
    Window window = {WINDOW_NONE, 0};
    for (size_t i = 0; i < count; i++) {
        const NativeHistogram *now = &histograms[i];
        bool stale = is_stale(now->sum);
        uint64_t time_ms = (uint64_t)now->time_ms;
        if (i == 0) {
            put_signed(bits, now->time_ms);
            put_unsigned(bits, stale ? 0 : now->count);
            put_unsigned(bits, stale ? 0 : now->zero_count);
            put_bits(bits, double_bits(now->sum), 64);
            time.value = time_ms;
            observations.value = now->count;
            zeros.value = now->zero_count;
        } else {
            put_delta(bits, &time, time_ms);
            put_delta(bits, &observations,
                      stale ? observations.value + observations.delta : now->count);
            put_delta(bits, &zeros, stale ? zeros.value + zeros.delta : now->zero_count);
            put_change(bits, &window, double_bits(histograms[i - 1].sum), double_bits(now->sum));
        }
        if (stale) return;  // nothing follows
        for (size_t b = 0; b < positive + now->negative.bucket_count; b++) {
            int64_t delta =
                b < positive ? now->positive.deltas[b] : now->negative.deltas[b - positive];
            if (i > 0) {
                put_delta(bits, &buckets[b], (uint64_t)delta);
            } else {
                put_signed(bits, delta);
                buckets[b].value = (uint64_t)delta;
            }
        }
    }
}

// A float: whole the first time, then what changed.
typedef struct Changing {
    uint64_t value;
    Window window;
} Changing;

static void put_double(BitWriter *bits, bool first, Changing *number, double now) {
    if (first) {
        put_bits(bits, double_bits(now), 64);
        number->window.leading = WINDOW_NONE;
    } else {
        put_change(bits, &number->window, number->value, double_bits(now));
    }
    number->value = double_bits(now);
}

static void write_floats(BitWriter *bits, const NativeHistogram *histograms, size_t count) {
    AUTO(arena_free) Arena arena = {0};
    size_t positive = histograms[0].positive.bucket_count;
    Changing *buckets =
        arena_push_array(&arena, Changing, positive + histograms[0].negative.bucket_count);
    Changing observations = {0}, zeros = {0}, sum = {0};
    Delta time = {0};
    for (size_t i = 0; i < count; i++) {
        const NativeHistogram *now = &histograms[i];
        bool stale = is_stale(now->sum), first = i == 0;
        if (first) {
            put_signed(bits, now->time_ms);
            time.value = (uint64_t)now->time_ms;
        } else {
            put_delta(bits, &time, (uint64_t)now->time_ms);
        }
        put_double(bits, first, &observations, stale ? 0 : now->count_float);
        put_double(bits, first, &zeros, stale ? 0 : now->zero_count_float);
        put_double(bits, first, &sum, now->sum);
        if (stale) return;
        for (size_t b = 0; b < positive + now->negative.bucket_count; b++) {
            double counts =
                b < positive ? now->positive.counts[b] : now->negative.counts[b - positive];
            put_double(bits, first, &buckets[b], counts);
        }
    }
}

void histogram_chunk_write(const NativeHistogram *histograms, size_t count, Builder *out) {
    assert(count > 0 && count <= HISTOGRAM_CHUNK_SAMPLES_MAX);
    BitWriter bits = {out, 0};
    put_bits(&bits, count, 16);
    put_bits(&bits, flags_of(&histograms[0]), 8);
    put_layout(&bits, &histograms[0]);
    if (histograms[0].is_float) {
        write_floats(&bits, histograms, count);
    } else {
        write_integers(&bits, histograms, count);
    }
}
