// From bits to samples.

#include "ingest/backfill/tsdb_chunk.h"

#include <math.h>

#include "base/limits.h"
#include "codec/reader.h"
#include "ingest/backfill/tsdb_bits.h"

enum {
    HISTOGRAM_FLAGS_MASK = 0xc0,
    HISTOGRAM_FLAG_GAUGE = 0xc0,
    ZERO_THRESHOLD_WHOLE = 255,     // eight bytes follow
    ZERO_THRESHOLD_EXPONENT = 243,  // of the byte that stands for a power of two
    START_KNOWN = 0x80,             // of the byte about start times: the first sample has one
    START_CHANGE_MASK = 0x7f,       // the sample from which on each has one; 0: none
    COUNT_MASK_WITH_STARTS = 0x3fff,
};

// ---- Numbers ----

// A value packed as the difference to the one before it.
typedef struct Xor {
    uint64_t value;
    unsigned leading, trailing;
} Xor;

// Which bits differ, inside the window of the last change or a new one.
static void xor_change(Bits *bits, Xor *packed, bool new_window) {
    if (new_window) {
        packed->leading = (unsigned)bits_take(bits, 5);
        unsigned width = (unsigned)bits_take(bits, 6);
        if (width == 0) width = 64;
        if (packed->leading + width > 64) {
            bits->failed = true;
            return;
        }
        packed->trailing = 64 - packed->leading - width;
    }
    unsigned width = 64 - packed->leading - packed->trailing;
    packed->value ^= bits_take(bits, width) << packed->trailing;
}

static void xor_next(Bits *bits, Xor *packed) {
    if (!bits_take_one(bits)) return;
    xor_change(bits, packed, bits_take_one(bits));
}

// The widths of numbers by how many ones stand in front of them; the last has no zero behind.
static const uint8_t varbit_widths[9] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

static unsigned varbit_width(Bits *bits) {
    unsigned ones = 0;
    while (ones < 8 && bits_take_one(bits)) ones++;
    return varbit_widths[ones];
}

static int64_t varbit_signed(Bits *bits) {
    unsigned width = varbit_width(bits);
    return width == 0 ? 0 : bits_take_signed(bits, width);
}

static uint64_t varbit_unsigned(Bits *bits) {
    unsigned width = varbit_width(bits);
    return width == 0 ? 0 : bits_take(bits, width);
}

// Sums of what a stranger wrote wrap instead of overflowing.
static int64_t add(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t subtract(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static bool ended_early(const Bits *bits, Error *err) {
    return error_set(err, ERROR_CORRUPT, "the samples of the chunk end at bit %llu of %llu",
                     (unsigned long long)bits->at, (unsigned long long)bits->end);
}

// ---- Floats ----

static int64_t take_time_change(Bits *bits) {
    if (!bits_take_one(bits)) return 0;
    if (!bits_take_one(bits)) return bits_take_signed(bits, 14);
    if (!bits_take_one(bits)) return bits_take_signed(bits, 17);
    if (!bits_take_one(bits)) return bits_take_signed(bits, 20);
    return bits_take_signed(bits, 64);
}

static bool decode_floats(Bits *bits, unsigned count, TsdbSamples *out, Error *err) {
    int64_t time_ms = 0, delta = 0;
    Xor value = {0};
    for (unsigned i = 0; i < count; i++) {
        if (i == 0) {
            time_ms = zigzag_decode(bits_take_uvarint(bits));
            value.value = bits_take(bits, 64);
        } else {
            delta = i == 1 ? (int64_t)bits_take_uvarint(bits) : add(delta, take_time_change(bits));
            time_ms = add(time_ms, delta);
            xor_next(bits, &value);
        }
        if (bits->failed) return ended_early(bits, err);
        *array_add(out) = (Sample){time_ms, double_from_bits(value.value)};
    }
    return true;
}

// ---- Start times ----

// When the counting of a sample began stands behind it, where the byte about them says so: as what
// lies between it and the sample before.
typedef struct Starts {
    uint8_t about;
    int64_t start_ms;  // of the newest sample; 0: not known
    int64_t behind;    // the sample before it
} Starts;

// `index` is of the sample just read, `before_ms` of the one before it.
static void start_next(Bits *bits, Starts *starts, unsigned index, int64_t time_ms,
                       int64_t before_ms) {
    unsigned change = starts->about & START_CHANGE_MASK;
    if (index == 0) {
        if ((starts->about & START_KNOWN) != 0)
            starts->start_ms = subtract(time_ms, zigzag_decode(bits_take_uvarint(bits)));
    } else if (change != 0 && index >= change) {
        int64_t more = varbit_signed(bits);
        starts->behind = index == change ? more : add(starts->behind, more);
        starts->start_ms = subtract(before_ms, starts->behind);
    }
}

// ---- Floats, packed anew (XOR2) ----

// The change of a difference fills up its bytes with the ones that stand in front of it. Here it is
// plain two's complement.
static int64_t take_plain_signed(Bits *bits, unsigned width) {
    return (int64_t)(bits_take(bits, width) << (64 - width)) >> (64 - width);
}

// A value that may have changed. False: it is a stale marker, and what came before stays the base
// of what comes.
static bool xor2_next(Bits *bits, Xor *packed) {
    if (!bits_take_one(bits)) return true;
    if (!bits_take_one(bits)) {
        xor_change(bits, packed, false);
        return true;
    }
    if (bits_take_one(bits)) return false;
    xor_change(bits, packed, true);
    return true;
}

// What is to be read of time and value is said together.
static bool xor2_joint(Bits *bits, int64_t *delta, Xor *packed) {
    if (!bits_take_one(bits)) return true;  // neither changed
    if (!bits_take_one(bits)) {
        xor_change(bits, packed, bits_take_one(bits));
        return true;
    }
    unsigned width = 64;
    if (!bits_take_one(bits)) {
        width = 13;
    } else if (!bits_take_one(bits)) {
        width = 20;
    } else if (bits_take_one(bits)) {
        return false;
    }
    *delta = add(*delta, take_plain_signed(bits, width));
    return xor2_next(bits, packed);
}

// Of the newest sample; those before it without one get none.
static void add_start(TsdbSamples *samples, TsdbStarts *starts, int64_t start_ms) {
    if (start_ms == 0) return;
    while (starts->count + 1 < samples->count) *array_add(starts) = 0;
    *array_add(starts) = start_ms;
}

static bool decode_floats_2(Bits *bits, unsigned count, uint8_t about_starts, TsdbSamples *out,
                            TsdbStarts *starts, Error *err) {
    int64_t time_ms = 0, delta = 0;
    Xor value = {0};
    Starts start = {.about = about_starts};
    for (unsigned i = 0; i < count; i++) {
        bool is_value = true;
        int64_t before_ms = time_ms;
        if (i == 0) {
            time_ms = zigzag_decode(bits_take_uvarint(bits));
            value.value = bits_take(bits, 64);
            is_value = value.value != STALE_NAN_BITS;
            if (!is_value) value.value = 0;
        } else if (i == 1) {
            delta = (int64_t)bits_take_uvarint(bits);
            is_value = xor2_next(bits, &value);
        } else {
            is_value = xor2_joint(bits, &delta, &value);
        }
        if (i > 0) time_ms = add(time_ms, delta);
        start_next(bits, &start, i, time_ms, before_ms);
        if (bits->failed) return ended_early(bits, err);
        *array_add(out) = (Sample){time_ms, is_value ? double_from_bits(value.value) : stale_nan()};
        add_start(out, starts, start.start_ms);
    }
    return true;
}

// ---- Histograms ----

// How a chunk of histograms begins.
typedef struct HistogramHead {
    unsigned count;
    uint8_t flags, about_starts;
} HistogramHead;

// What all histograms of a chunk share.
typedef struct Layout {
    NativeHistogram shared;
    size_t positive, negative;  // buckets
} Layout;

static double take_zero_threshold(Bits *bits) {
    uint64_t byte = bits_take(bits, 8);
    if (byte == 0) return 0;
    if (byte == ZERO_THRESHOLD_WHOLE) return double_from_bits(bits_take(bits, 64));
    return ldexp(0.5, (int)byte - ZERO_THRESHOLD_EXPONENT);
}

// Each span takes two bits at least, and each bucket one: so what they may claim is bounded.
static bool take_spans(Bits *bits, Arena *arena, HistogramBuckets *out, size_t *buckets,
                       Error *err) {
    uint64_t count = varbit_unsigned(bits);
    if (bits->failed || count > (bits->end - bits->at) / 2) return ended_early(bits, err);
    HistogramSpan *spans = arena_push_array(arena, HistogramSpan, count);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t length = varbit_unsigned(bits);
        int64_t offset = varbit_signed(bits);
        if (bits->failed || length > bits->end) return ended_early(bits, err);
        if (offset < INT32_MIN || offset > INT32_MAX)
            return error_set(err, ERROR_CORRUPT, "a span of buckets begins at %lld",
                             (long long)offset);
        sum += length;
        spans[i] = (HistogramSpan){(int32_t)offset, (uint32_t)length};
    }
    if (sum > bits->end - bits->at) return ended_early(bits, err);
    *out = (HistogramBuckets){.spans = spans, .span_count = count, .bucket_count = sum};
    *buckets = sum;
    return true;
}

// Bounds are thousandths plus one where they can be; else a zero bit and the whole float.
static bool take_bounds(Bits *bits, Arena *arena, NativeHistogram *out, Error *err) {
    uint64_t count = varbit_unsigned(bits);
    if (bits->failed || count > bits->end - bits->at) return ended_early(bits, err);
    double *bounds = arena_push_array(arena, double, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t thousandths = varbit_unsigned(bits);
        bounds[i] = thousandths == 0 ? double_from_bits(bits_take(bits, 64))
                                     : (double)(thousandths - 1) / 1000;
    }
    if (bits->failed) return ended_early(bits, err);
    out->custom_bounds = bounds;
    out->custom_bound_count = count;
    return true;
}

static bool take_layout(Bits *bits, Arena *arena, Layout *out, Error *err) {
    NativeHistogram *shared = &out->shared;
    shared->zero_threshold = take_zero_threshold(bits);
    int64_t schema = varbit_signed(bits);
    if (bits->failed) return ended_early(bits, err);
    bool known = (schema >= HISTOGRAM_SCHEMA_MIN && schema <= HISTOGRAM_SCHEMA_MAX) ||
                 schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (!known)
        return error_set(err, ERROR_UNSUPPORTED, "native histograms of schema %lld are not known",
                         (long long)schema);
    shared->schema = (int32_t)schema;
    TRY(take_spans(bits, arena, &shared->positive, &out->positive, err));
    TRY(take_spans(bits, arena, &shared->negative, &out->negative, err));
    return schema != HISTOGRAM_SCHEMA_CUSTOM || take_bounds(bits, arena, shared, err);
}

// Inside a chunk a counter is never reset, or a new one would have begun.
static HistogramResetHint hint_of(uint8_t flags, unsigned index) {
    if ((flags & HISTOGRAM_FLAGS_MASK) == HISTOGRAM_FLAG_GAUGE) return HISTOGRAM_RESET_GAUGE;
    return index > 0 ? HISTOGRAM_RESET_NO : HISTOGRAM_RESET_UNKNOWN;
}

// A stale marker has no buckets, and none are written for it.
static NativeHistogram stale_marker(bool is_float) {
    return (NativeHistogram){.is_float = is_float, .sum = stale_nan()};
}

// A number that is packed as the change of its change.
typedef struct Change {
    int64_t value, delta;
} Change;

static void change_next(Bits *bits, Change *change) {
    change->delta = add(change->delta, varbit_signed(bits));
    change->value = add(change->value, change->delta);
}

static const int64_t *values_of(const Change *changes, size_t count, Arena *arena) {
    int64_t *values = arena_push_array_raw(arena, int64_t, count);
    for (size_t i = 0; i < count; i++) values[i] = changes[i].value;
    return values;
}

static bool decode_integers(Bits *bits, HistogramHead head, TsdbHistograms *out, Arena *arena,
                            Error *err) {
    Layout layout = {0};
    if (head.count > 0) TRY(take_layout(bits, arena, &layout, err));
    size_t buckets = layout.positive + layout.negative;
    Change *changes = arena_push_array(arena, Change, buckets);
    Change time = {0}, observations = {0}, zeros = {0};
    Xor sum = {0};
    Starts start = {.about = head.about_starts};
    for (unsigned i = 0; i < head.count; i++) {
        int64_t before_ms = time.value;
        if (i == 0) {
            time.value = varbit_signed(bits);
            observations.value = (int64_t)varbit_unsigned(bits);
            zeros.value = (int64_t)varbit_unsigned(bits);
            sum.value = bits_take(bits, 64);
            for (size_t b = 0; b < buckets; b++) changes[b].value = varbit_signed(bits);
        } else {
            change_next(bits, &time);
            change_next(bits, &observations);
            change_next(bits, &zeros);
            xor_next(bits, &sum);
            if (sum.value != STALE_NAN_BITS)
                for (size_t b = 0; b < buckets; b++) change_next(bits, &changes[b]);
        }
        start_next(bits, &start, i, time.value, before_ms);
        if (bits->failed) return ended_early(bits, err);
        NativeHistogram *histogram = array_add(out);
        *histogram = sum.value == STALE_NAN_BITS ? stale_marker(false) : layout.shared;
        histogram->time_ms = time.value;
        histogram->start_ms = start.start_ms;
        if (sum.value == STALE_NAN_BITS) continue;
        histogram->reset_hint = hint_of(head.flags, i);
        histogram->count = (uint64_t)observations.value;
        histogram->zero_count = (uint64_t)zeros.value;
        histogram->sum = double_from_bits(sum.value);
        histogram->positive.deltas = values_of(changes, layout.positive, arena);
        histogram->negative.deltas = values_of(changes + layout.positive, layout.negative, arena);
    }
    return true;
}

static const double *counts_of(const Xor *packed, size_t count, Arena *arena) {
    double *values = arena_push_array_raw(arena, double, count);
    for (size_t i = 0; i < count; i++) values[i] = double_from_bits(packed[i].value);
    return values;
}

static bool decode_float_histograms(Bits *bits, HistogramHead head, TsdbHistograms *out,
                                    Arena *arena, Error *err) {
    Layout layout = {0};
    if (head.count > 0) TRY(take_layout(bits, arena, &layout, err));
    size_t buckets = layout.positive + layout.negative;
    Xor *packed = arena_push_array(arena, Xor, buckets);
    Change time = {0};
    Xor numbers[3] = {0};  // observations, zeros, sum
    const Xor *sum = &numbers[2];
    Starts start = {.about = head.about_starts};
    for (unsigned i = 0; i < head.count; i++) {
        int64_t before_ms = time.value;
        if (i == 0) {
            time.value = varbit_signed(bits);
            for (size_t n = 0; n < COUNT(numbers); n++) numbers[n].value = bits_take(bits, 64);
            for (size_t b = 0; b < buckets; b++) packed[b].value = bits_take(bits, 64);
        } else {
            change_next(bits, &time);
            for (size_t n = 0; n < COUNT(numbers); n++) xor_next(bits, &numbers[n]);
            if (sum->value != STALE_NAN_BITS)
                for (size_t b = 0; b < buckets; b++) xor_next(bits, &packed[b]);
        }
        start_next(bits, &start, i, time.value, before_ms);
        if (bits->failed) return ended_early(bits, err);
        NativeHistogram *histogram = array_add(out);
        *histogram = sum->value == STALE_NAN_BITS ? stale_marker(true) : layout.shared;
        histogram->time_ms = time.value;
        histogram->start_ms = start.start_ms;
        histogram->is_float = true;
        if (sum->value == STALE_NAN_BITS) continue;
        histogram->reset_hint = hint_of(head.flags, i);
        histogram->count_float = double_from_bits(numbers[0].value);
        histogram->zero_count_float = double_from_bits(numbers[1].value);
        histogram->sum = double_from_bits(sum->value);
        histogram->positive.counts = counts_of(packed, layout.positive, arena);
        histogram->negative.counts = counts_of(packed + layout.positive, layout.negative, arena);
    }
    return true;
}

bool tsdb_chunk_decode(uint8_t encoding, Bytes data, TsdbSamples *samples, TsdbStarts *starts,
                       TsdbHistograms *histograms, Arena *arena, Error *err) {
    if ((int64_t)data.len > LIMIT_TSDB_CHUNK_BYTES)
        return error_set(err, ERROR_TOO_LARGE,
                         "a chunk of %zu bytes passes TSDB_CHUNK_BYTES (%lld)", data.len,
                         (long long)LIMIT_TSDB_CHUNK_BYTES);
    if (encoding < TSDB_CHUNK_XOR || encoding > TSDB_CHUNK_FLOAT_HISTOGRAM_STARTS)
        return error_set(err, ERROR_UNSUPPORTED,
                         "chunks of encoding %u are not known (%u to %u are, those of Prometheus "
                         "3.16); write the block again with an older Prometheus",
                         encoding, TSDB_CHUNK_XOR, TSDB_CHUNK_FLOAT_HISTOGRAM_STARTS);
    Bits bits = bits_begin(data);
    unsigned count = (unsigned)bits_take(&bits, 16);
    if (bits.failed) return ended_early(&bits, err);
    if (encoding == TSDB_CHUNK_XOR) return decode_floats(&bits, count, samples, err);
    uint8_t third = (uint8_t)bits_take(&bits, 8);
    if (bits.failed) return ended_early(&bits, err);
    if (encoding == TSDB_CHUNK_XOR2)
        return decode_floats_2(&bits, count, third, samples, starts, err);
    HistogramHead head = {.count = count, .flags = third};
    // With start times the flags are the highest bits of the count.
    if (encoding >= TSDB_CHUNK_HISTOGRAM_STARTS)
        head = (HistogramHead){.count = count & COUNT_MASK_WITH_STARTS,
                               .flags = (uint8_t)(count >> 8),
                               .about_starts = third};
    bool is_float =
        encoding == TSDB_CHUNK_FLOAT_HISTOGRAM || encoding == TSDB_CHUNK_FLOAT_HISTOGRAM_STARTS;
    return is_float ? decode_float_histograms(&bits, head, histograms, arena, err)
                    : decode_integers(&bits, head, histograms, arena, err);
}
