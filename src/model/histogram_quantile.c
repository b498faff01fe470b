// Questions to one histogram: quantiles, shares, variance, and cutting it in two.

#include <math.h>

#include "model/histogram.h"

// The zero bucket of a histogram with buckets on one side only ends at zero on the other.
static void narrow_zero(const Histogram *histogram, HistogramBucket *bucket) {
    if (histogram->negative.count == 0 && histogram->positive.count > 0) bucket->lower = 0;
    if (histogram->positive.count == 0 && histogram->negative.count > 0) bucket->upper = 0;
}

// How much of the bucket lies below `value`, which is inside it, when observations are spread
// evenly over the exponents.
static double exponential_share(const HistogramBucket *bucket, double value) {
    double low = log2(fabs(bucket->lower)), high = log2(fabs(bucket->upper));
    double at = log2(fabs(value));
    return value > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

static double inside(const Histogram *histogram, const HistogramBucket *bucket, double share) {
    if (histogram_is_custom(histogram) || (bucket->lower <= 0 && bucket->upper >= 0))
        return bucket->lower + (bucket->upper - bucket->lower) * share;
    double low = log2(fabs(bucket->lower)), high = log2(fabs(bucket->upper));
    return bucket->lower > 0 ? exp2(low + (high - low) * share)
                             : -exp2(high + (low - high) * (1 - share));
}

double histogram_quantile(const Histogram *histogram, double q, HistogramNanNote *note) {
    *note = HISTOGRAM_NAN_NONE;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    if (histogram->count == 0 || isnan(q)) return NAN;
    // Observations of NaN are counted above all others, so then it has to be upwards.
    bool any_nan = isnan(histogram->sum), upwards = any_nan || q < 0.5;
    double rank = (upwards ? q : 1 - q) * histogram->count, count = 0;
    HistogramWalk walk = histogram_walk(histogram, !upwards);
    HistogramBucket bucket = {0};
    while (histogram_walk_next(&walk, &bucket)) {
        if (bucket.count == 0) continue;
        count += bucket.count;
        if (count >= rank) break;
    }
    if (histogram_is_custom(histogram)) {
        if (isinf(bucket.lower) && bucket.lower < 0) {
            if (bucket.upper <= 0) return bucket.upper;
            bucket.lower = 0;
        } else if (isinf(bucket.upper)) {
            return bucket.lower;
        }
    } else if (bucket.lower < 0 && bucket.upper > 0) {
        narrow_zero(histogram, &bucket);
    }
    count = fmin(count, histogram->count);
    if (count < rank) {
        if (!any_nan) return bucket.upper;  // rounding only: the buckets should reach the count
        *note = HISTOGRAM_NAN_RESULT;
        return NAN;
    }
    rank = upwards ? rank - (count - bucket.count) : count - rank;
    HistogramBucket rest;
    while (any_nan && histogram_walk_next(&walk, &rest)) count += rest.count;
    if (any_nan && count < histogram->count) *note = HISTOGRAM_NAN_SKEW;
    return inside(histogram, &bucket, rank / bucket.count);
}

// The observations below `value`, which lies in the bucket; `below` those of the buckets before it.
static double rank_inside(const Histogram *histogram, const HistogramBucket *bucket, bool zero,
                          double below, double value) {
    if (!histogram_is_custom(histogram) && !zero)
        return below + bucket->count * exponential_share(bucket, value);
    if (isinf(bucket->lower)) return bucket->count;
    return below + bucket->count * (value - bucket->lower) / (bucket->upper - bucket->lower);
}

typedef struct Rank {
    double limit, below;
    bool known;
} Rank;

static void rank_look(const Histogram *histogram, const HistogramBucket *bucket, bool zero,
                      double below, Rank *rank) {
    if (rank->known) return;
    if (bucket->lower >= rank->limit) {
        rank->below = below;
        rank->known = true;
    } else if (bucket->upper > rank->limit) {
        rank->below = rank_inside(histogram, bucket, zero, below, rank->limit);
        rank->known = true;
    }
}

double histogram_fraction(const Histogram *histogram, double lower, double upper,
                          HistogramNanNote *note) {
    *note = HISTOGRAM_NAN_NONE;
    if (histogram->count == 0 || isnan(lower) || isnan(upper)) return NAN;
    if (lower >= upper) return 0;
    Rank low = {lower, 0, false}, high = {upper, 0, false};
    double below = 0;
    HistogramWalk walk = histogram_walk(histogram, false);
    HistogramBucket bucket;
    while (histogram_walk_next(&walk, &bucket)) {
        bool zero = bucket.lower <= 0 && bucket.upper >= 0;
        if (zero) narrow_zero(histogram, &bucket);
        rank_look(histogram, &bucket, zero, below, &low);
        rank_look(histogram, &bucket, zero, below, &high);
        below += bucket.count;
    }
    double count = histogram->count;
    if (isnan(histogram->sum)) {  // those of NaN are in no bucket
        count = below;
        if (count < histogram->count) *note = HISTOGRAM_NAN_SKEW;
    }
    double from = low.known ? fmin(low.below, count) : count;
    double to = high.known ? fmin(high.below, count) : count;
    return (to - from) / histogram->count;
}

double histogram_variance(const Histogram *histogram) {
    double mean = histogram->sum / histogram->count, sum = 0, rest = 0;
    HistogramWalk walk = histogram_walk(histogram, false);
    HistogramBucket bucket;
    while (histogram_walk_next(&walk, &bucket)) {
        if (bucket.count == 0) continue;
        double middle = (bucket.upper + bucket.lower) / 2;
        if (!histogram_is_custom(histogram)) {
            middle = bucket.lower <= 0 && bucket.upper >= 0 ? 0 : sqrt(bucket.upper * bucket.lower);
            if (bucket.upper < 0) middle = -middle;
        }
        double value = bucket.count * (middle - mean) * (middle - mean), total = sum + value;
        if (isinf(total)) {
            rest = 0;
        } else {
            rest += fabs(sum) >= fabs(value) ? (sum - total) + value : (value - total) + sum;
        }
        sum = total;
    }
    return (sum + rest) / histogram->count;
}

// ---- Cutting ----

// What stays of a bucket: how many, and the value that stands for them.
typedef struct Part {
    double count, middle;
} Part;

static double finite_or_zero(double value) {
    return isinf(value) ? 0 : value;
}

// The value that stands for what lies between the two.
static double middle_of(double lower, double upper, bool positive, bool linear) {
    if (isinf(lower) && isinf(upper)) return 0;
    if (isinf(lower)) return upper > 0 ? upper / 2 : upper;
    if (isinf(upper)) return lower;
    if (linear) return (lower + upper) / 2;
    double middle = sqrt(fabs(lower * upper));
    return positive ? middle : -middle;
}

// A bucket without an end: nothing is known of how it is filled, so mostly it goes whole.
static Part cut_endless(const HistogramBucket *bucket, double limit, bool keep_lower) {
    bool from_zero = limit >= 0 && bucket->upper > 0 && !isinf(bucket->upper);
    if (isinf(bucket->lower) && bucket->lower < 0) {
        if (keep_lower) {
            if (limit >= bucket->upper) return (Part){bucket->count, 0};
            if (from_zero && limit > 0)
                return (Part){bucket->count * limit / bucket->upper, limit / 2};
            if (bucket->upper <= 0) return (Part){bucket->count, limit};
            return (Part){0, finite_or_zero(bucket->upper)};
        }
        if (limit <= bucket->lower) return (Part){bucket->count, 0};
        if (from_zero && bucket->upper > limit)
            return (Part){bucket->count * (1 - limit / bucket->upper), (limit + bucket->upper) / 2};
        return (Part){0, finite_or_zero(bucket->upper)};
    }
    if (!keep_lower && limit >= bucket->lower) return (Part){bucket->count, limit};
    return (Part){0, finite_or_zero(bucket->lower)};
}

static Part cut(const Histogram *histogram, const HistogramBucket *bucket, double limit,
                bool keep_lower, bool positive) {
    bool linear = histogram_is_custom(histogram);
    bool all = keep_lower ? bucket->upper <= limit : bucket->lower >= limit;
    if (all) {
        return (Part){bucket->count, middle_of(bucket->lower, bucket->upper, positive, linear)};
    }
    bool none = keep_lower ? !(bucket->lower < limit) : !(bucket->upper > limit);
    if (none) return (Part){0, 0};
    if (isinf(bucket->lower) || isinf(bucket->upper)) return cut_endless(bucket, limit, keep_lower);
    double share = linear ? (limit - bucket->lower) / (bucket->upper - bucket->lower)
                          : exponential_share(bucket, limit);
    double below = bucket->count * share;
    if (keep_lower) return (Part){below, middle_of(bucket->lower, limit, positive, linear)};
    return (Part){bucket->count - below, middle_of(limit, bucket->upper, positive, linear)};
}

static Part cut_zero(const Histogram *histogram, double limit, bool keep_lower, bool any_positive,
                     bool any_negative) {
    double lower = -histogram->zero_threshold, upper = histogram->zero_threshold;
    double count = histogram->zero_count;
    if (any_negative && !any_positive) upper = 0;
    if (any_positive && !any_negative) lower = 0;
    bool below = limit <= lower, above = limit >= upper;
    if (keep_lower ? below : above && !below) return (Part){0, 0};
    if (keep_lower ? above : below) return (Part){count, (lower + upper) / 2};
    if (keep_lower) return (Part){count * (limit - lower) / (upper - lower), (lower + limit) / 2};
    return (Part){count * (upper - limit) / (upper - lower), (limit + upper) / 2};
}

// The bounds of a bucket as they are, the zero bucket not taken off.
static HistogramBucket bucket_at(const Histogram *histogram, bool positive, size_t i) {
    Histogram plain = *histogram;
    plain.zero_threshold = plain.zero_count = 0;
    HistogramWalk walk = histogram_walk(&plain, false);
    walk.at = positive ? plain.negative.count + 1 + i : plain.negative.count - 1 - i;
    HistogramBucket bucket = {0};
    (void)histogram_walk_next(&walk, &bucket);
    return bucket;
}

typedef struct Cut {
    const Histogram *histogram;
    double limit;
    bool keep_lower;
    double count, sum;
    bool changed;
} Cut;

static void cut_take(Cut *state, double before, Part part) {
    state->count += part.count;
    state->sum += part.middle * part.count;
    state->changed |= part.count != before;
}

// True when the side holds anything.
static bool cut_side(Cut *state, const HistogramSide *side, bool positive, Arena *arena,
                     HistogramSide *out) {
    int32_t *index = arena_push_array_raw(arena, int32_t, side->count);
    double *counts = arena_push_array_raw(arena, double, side->count);
    size_t kept = 0;
    bool any = false;
    for (size_t i = 0; i < side->count; i++) {
        if (side->counts[i] == 0) continue;
        any = true;
        HistogramBucket bucket = bucket_at(state->histogram, positive, i);
        Part part = cut(state->histogram, &bucket, state->limit, state->keep_lower, positive);
        cut_take(state, side->counts[i], part);
        if (part.count == 0) continue;
        index[kept] = side->index[i];
        counts[kept++] = part.count;
    }
    *out = (HistogramSide){index, counts, kept};
    return any;
}

const Histogram *histogram_trim(const Histogram *histogram, double limit, bool keep_lower,
                                Arena *arena) {
    Histogram *made = arena_push(arena, Histogram);
    *made = *histogram;
    Cut state = {.histogram = histogram, .limit = limit, .keep_lower = keep_lower};
    bool positive = cut_side(&state, &histogram->positive, true, arena, &made->positive);
    bool negative = cut_side(&state, &histogram->negative, false, arena, &made->negative);
    if (histogram->zero_count > 0) {
        Part part = cut_zero(histogram, limit, keep_lower, positive, negative);
        cut_take(&state, histogram->zero_count, part);
        made->zero_count = part.count;
    }
    if (!state.changed) return histogram;
    made->count = state.count;
    made->sum = state.sum;
    return made;
}
