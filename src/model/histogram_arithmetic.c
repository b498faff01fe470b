// Sums of histograms: sides merged as sorted lists, compensated as floats are (Neumaier).

#include <math.h>

#include "model/histogram.h"

// ---- Numbers ----

static void add(double *sum, double *rest, double value) {
    double total = *sum + value;
    if (rest == NULL) {
    } else if (isinf(total)) {
        *rest = 0;
    } else if (fabs(*sum) >= fabs(value)) {
        *rest += (*sum - total) + value;
    } else {
        *rest += (value - total) + *sum;
    }
    *sum = total;
}

// A compensated sum joins another.
static void join(double *sum, double *rest, double value, double value_rest) {
    add(sum, rest, value);
    if (rest != NULL) *rest += value_rest;
}

// ---- Sides ----

static void side_reserve(HistogramSum *sum, HistogramSumSide *side, size_t capacity) {
    if (capacity <= side->capacity) return;
    HistogramSumSide grown = {.count = side->count, .capacity = MAX(capacity, side->capacity * 2)};
    grown.index = arena_push_array_raw(sum->arena, int32_t, grown.capacity);
    grown.counts = arena_push_array_raw(sum->arena, double, grown.capacity);
    if (sum->compensated) grown.rests = arena_push_array(sum->arena, double, grown.capacity);
    for (size_t i = 0; i < side->count; i++) {
        grown.index[i] = side->index[i];
        grown.counts[i] = side->counts[i];
        if (sum->compensated) grown.rests[i] = side->rests[i];
    }
    *side = grown;
}

static double *rest_at(const HistogramSumSide *side, size_t i) {
    return side->rests == NULL ? NULL : &side->rests[i];
}

static void side_take(HistogramSum *sum, HistogramSumSide *side, const HistogramSide *from) {
    *side = (HistogramSumSide){0};
    side_reserve(sum, side, from->count);
    side->count = from->count;
    if (from->count == 0) return;
    memcpy(side->index, from->index, from->count * sizeof *from->index);
    memcpy(side->counts, from->counts, from->count * sizeof *from->counts);
}

// Which bucket of a schema `shift` steps lower a bucket falls into.
static int32_t reduced_index(int32_t index, int shift) {
    return ((index - 1) >> shift) + 1;
}

// Bucket `i` becomes the one of `index`, behind the `kept` ones in front or joined to their last.
// Gives how many are kept then.
static size_t side_keep(HistogramSumSide *side, size_t kept, size_t i, int32_t index) {
    double rest = side->rests == NULL ? 0 : side->rests[i];
    if (kept > 0 && side->index[kept - 1] == index) {
        join(&side->counts[kept - 1], rest_at(side, kept - 1), side->counts[i], rest);
        return kept;
    }
    side->index[kept] = index;
    side->counts[kept] = side->counts[i];
    if (side->rests != NULL) side->rests[kept] = rest;
    return kept + 1;
}

static void side_reduce(HistogramSumSide *side, int shift) {
    size_t kept = 0;
    for (size_t i = 0; i < side->count; i++)
        kept = side_keep(side, kept, i, reduced_index(side->index[i], shift));
    side->count = kept;
}

// Buckets of another histogram, reduced, in order; those inside the zero bucket are left out. What
// is inside is looked at before reducing: afterwards a bucket may reach over the threshold whose
// observations the zero bucket has taken already.
typedef struct SideWalk {
    const HistogramSide *side;
    size_t at;
    int shift;
} SideWalk;

static SideWalk side_walk(const HistogramSide *side, int shift, int32_t schema, double threshold) {
    SideWalk walk = {side, 0, shift};
    while (threshold > 0 && walk.at < side->count &&
           histogram_bound(side->index[walk.at], schema) <= threshold)
        walk.at++;
    return walk;
}

static bool side_next(SideWalk *walk, int32_t *index, double *count) {
    const HistogramSide *side = walk->side;
    if (walk->at == side->count) return false;
    *index = reduced_index(side->index[walk->at], walk->shift);
    *count = 0;
    for (; walk->at < side->count && reduced_index(side->index[walk->at], walk->shift) == *index;
         walk->at++)
        *count += side->counts[walk->at];
    return true;
}

static void side_push(HistogramSumSide *side, int32_t index, double count, double rest) {
    side->index[side->count] = index;
    side->counts[side->count] = count;
    if (side->rests != NULL) side->rests[side->count] = rest;
    side->count++;
}

// Puts in empty buckets for those of the walk that the side has not, `missing` in number.
static void side_widen(HistogramSum *sum, HistogramSumSide *side, SideWalk walk, size_t missing) {
    HistogramSumSide wide = {0};
    side_reserve(sum, &wide, side->count + missing);
    int32_t index;
    double count;
    size_t from = 0;
    while (side_next(&walk, &index, &count)) {
        for (; from < side->count && side->index[from] < index; from++)
            side_push(&wide, side->index[from], side->counts[from],
                      side->rests == NULL ? 0 : side->rests[from]);
        if (from == side->count || side->index[from] != index) side_push(&wide, index, 0, 0);
    }
    for (; from < side->count; from++)
        side_push(&wide, side->index[from], side->counts[from],
                  side->rests == NULL ? 0 : side->rests[from]);
    *side = wide;
}

// How many buckets of the walk the side has not. Mostly none: series of one metric look alike.
static size_t side_missing(const HistogramSumSide *side, SideWalk walk) {
    int32_t index;
    double count;
    size_t place = 0, missing = 0;
    while (side_next(&walk, &index, &count)) {
        while (place < side->count && side->index[place] < index) place++;
        missing += place == side->count || side->index[place] != index;
    }
    return missing;
}

static void side_add(HistogramSum *sum, HistogramSumSide *side, SideWalk walk, double factor) {
    size_t missing = side_missing(side, walk), place = 0;
    if (missing > 0) side_widen(sum, side, walk, missing);
    int32_t index;
    double count;
    while (side_next(&walk, &index, &count)) {
        while (side->index[place] < index) place++;
        add(&side->counts[place], rest_at(side, place), count * factor);
    }
}

// ---- Zero buckets ----

// What the zero bucket would hold if it reached to *threshold, which grows to the end of the bucket
// that it would cut.
static double zero_within(const Histogram *histogram, double *threshold) {
    for (;;) {
        double count = histogram->zero_count;
        bool again = false;
        const HistogramSide *sides[] = {&histogram->positive, &histogram->negative};
        for (size_t s = 0; s < 2 && !again; s++) {
            for (size_t i = 0; i < sides[s]->count; i++) {
                int32_t index = sides[s]->index[i];
                if (histogram_bound(index - 1, histogram->schema) >= *threshold) break;
                count += sides[s]->counts[i];
                double end = histogram_bound(index, histogram->schema);
                if (!(end > *threshold)) continue;
                if (sides[s]->counts[i] != 0) {
                    *threshold = end;
                    again = s == 1;  // the other side has to be looked at anew
                }
                break;
            }
        }
        if (!again) return count;
    }
}

static void side_trim(HistogramSumSide *side, int32_t schema, double threshold) {
    size_t inside = 0;
    while (inside < side->count && histogram_bound(side->index[inside] - 1, schema) < threshold)
        inside++;
    if (inside == 0) return;
    size_t left = side->count - inside;
    memmove(side->index, side->index + inside, left * sizeof *side->index);
    memmove(side->counts, side->counts + inside, left * sizeof *side->counts);
    if (side->rests != NULL) memmove(side->rests, side->rests + inside, left * sizeof *side->rests);
    side->count = left;
}

// The sum as a histogram for looking at, its arrays shared.
static Histogram sum_view(const HistogramSum *sum) {
    Histogram view = sum->head;
    view.positive = (HistogramSide){sum->positive.index, sum->positive.counts, sum->positive.count};
    view.negative = (HistogramSide){sum->negative.index, sum->negative.counts, sum->negative.count};
    return view;
}

// Widens the zero bucket of the sum until both can share it; returns what `other` has in it.
static double reconcile_zero(HistogramSum *sum, const Histogram *other) {
    double count = other->zero_count, threshold = other->zero_threshold;
    while (threshold != sum->head.zero_threshold) {
        if (sum->head.zero_threshold > threshold) {
            threshold = sum->head.zero_threshold;
            count = zero_within(other, &threshold);
        }
        if (threshold > sum->head.zero_threshold) {
            Histogram view = sum_view(sum);
            double wider = threshold;
            sum->head.zero_count = zero_within(&view, &wider);
            sum->head.zero_threshold = wider;
            side_trim(&sum->positive, sum->head.schema, wider);
            side_trim(&sum->negative, sum->head.schema, wider);
        }
    }
    return count;
}

// ---- Custom bounds ----

static bool same_bounds(const Histogram *a, const Histogram *b) {
    if (a->bound_count != b->bound_count) return false;
    for (size_t i = 0; i < a->bound_count; i++) {
        if (a->bounds[i] != b->bounds[i]) return false;
    }
    return true;
}

static void bounds_of_both(const Histogram *a, const Histogram *b, Arena *arena, double **out,
                           size_t *count) {
    *out = arena_push_array_raw(arena, double, MIN(a->bound_count, b->bound_count));
    *count = 0;
    for (size_t i = 0, j = 0; i < a->bound_count && j < b->bound_count;) {
        if (a->bounds[i] == b->bounds[j]) {
            (*out)[(*count)++] = a->bounds[i];
            i++;
            j++;
        } else if (a->bounds[i] < b->bounds[j]) {
            i++;
        } else {
            j++;
        }
    }
}

// The bucket between `bounds` into which bucket `index` of `from` falls whole.
static int32_t index_among(const Histogram *from, int32_t index, const double *bounds, size_t count,
                           size_t *hint) {
    if ((size_t)index >= from->bound_count) return (int32_t)count;
    while (*hint < count && bounds[*hint] < from->bounds[index]) (*hint)++;
    return (int32_t)*hint;
}

static void add_custom(HistogramSum *sum, const Histogram *other, double factor,
                       HistogramJoin *joined) {
    if (same_bounds(&sum->head, other)) {
        side_add(sum, &sum->positive, side_walk(&other->positive, 0, 0, 0), factor);
        return;
    }
    joined->reconciled = true;
    double *bounds;
    size_t count, hint = 0;
    bounds_of_both(&sum->head, other, sum->arena, &bounds, &count);
    HistogramSumSide *side = &sum->positive;
    size_t kept = 0;
    for (size_t i = 0; i < side->count; i++) {
        int32_t index = index_among(&sum->head, side->index[i], bounds, count, &hint);
        kept = side_keep(side, kept, i, index);
    }
    side->count = kept;
    // The buckets of the other, under the bounds of both.
    int32_t *indexes = arena_push_array_raw(sum->arena, int32_t, other->positive.count);
    double *counts = arena_push_array_raw(sum->arena, double, other->positive.count);
    HistogramSide mapped = {indexes, counts, 0};
    hint = 0;
    for (size_t i = 0; i < other->positive.count; i++) {
        int32_t index = index_among(other, other->positive.index[i], bounds, count, &hint);
        if (mapped.count == 0 || indexes[mapped.count - 1] != index) {
            indexes[mapped.count] = index;
            counts[mapped.count++] = 0;
        }
        counts[mapped.count - 1] += other->positive.counts[i];
    }
    side_add(sum, side, side_walk(&mapped, 0, 0, 0), factor);
    sum->head.bounds = bounds;
    sum->head.bound_count = count;
}

// ---- The sum ----

void histogram_sum_begin(HistogramSum *sum, const Histogram *first, bool compensated,
                         Arena *arena) {
    *sum = (HistogramSum){.arena = arena, .head = *first, .compensated = compensated};
    side_take(sum, &sum->positive, &first->positive);
    side_take(sum, &sum->negative, &first->negative);
    if (first->bound_count == 0) return;
    double *bounds = arena_push_array_raw(arena, double, first->bound_count);
    memcpy(bounds, first->bounds, first->bound_count * sizeof *bounds);
    sum->head.bounds = bounds;
}

// What is known of resets after an addition: one gauge makes a gauge, doubt makes doubt.
static void join_hints(HistogramSum *sum, HistogramResetHint other, HistogramJoin *joined) {
    HistogramResetHint *hint = &sum->head.reset_hint;
    if (*hint == other || *hint == HISTOGRAM_RESET_GAUGE) return;
    if (other == HISTOGRAM_RESET_GAUGE) {
        *hint = other;
        return;
    }
    if (*hint != HISTOGRAM_RESET_UNKNOWN && other != HISTOGRAM_RESET_UNKNOWN)
        joined->collision = true;
    *hint = HISTOGRAM_RESET_UNKNOWN;
}

static void sum_reduce(HistogramSum *sum, int32_t schema) {
    int shift = sum->head.schema - schema;
    if (shift <= 0) return;
    side_reduce(&sum->positive, shift);
    side_reduce(&sum->negative, shift);
    sum->head.schema = schema;
}

bool histogram_sum_add(HistogramSum *sum, const Histogram *other, double factor,
                       HistogramJoin *joined) {
    if (histogram_is_custom(&sum->head) != histogram_is_custom(other)) return false;
    bool compensated = sum->compensated;
    join_hints(sum, other->reset_hint, joined);
    if (!histogram_is_custom(other)) {
        double zero = reconcile_zero(sum, other);
        add(&sum->head.zero_count, compensated ? &sum->zero_rest : NULL, zero * factor);
    }
    add(&sum->head.count, compensated ? &sum->count_rest : NULL, other->count * factor);
    add(&sum->head.sum, compensated ? &sum->sum_rest : NULL, other->sum * factor);
    if (histogram_is_custom(other)) {
        add_custom(sum, other, factor, joined);
        return true;
    }
    sum_reduce(sum, other->schema);
    int shift = other->schema - sum->head.schema;
    int32_t schema = other->schema;
    double threshold = sum->head.zero_threshold;
    side_add(sum, &sum->positive, side_walk(&other->positive, shift, schema, threshold), factor);
    side_add(sum, &sum->negative, side_walk(&other->negative, shift, schema, threshold), factor);
    return true;
}

static void side_divide(HistogramSumSide *side, double divisor) {
    for (size_t i = 0; i < side->count; i++) {
        side->counts[i] /= divisor;
        if (side->rests != NULL) side->rests[i] /= divisor;
    }
}

static void sum_divide(HistogramSum *sum, double divisor) {
    sum->head.zero_count /= divisor;
    sum->head.count /= divisor;
    sum->head.sum /= divisor;
    sum->zero_rest /= divisor;
    sum->count_rest /= divisor;
    sum->sum_rest /= divisor;
    side_divide(&sum->positive, divisor);
    side_divide(&sum->negative, divisor);
    if (divisor < 0) sum->head.reset_hint = HISTOGRAM_RESET_GAUGE;
}

static void side_scale(HistogramSumSide *side, double factor) {
    for (size_t i = 0; i < side->count; i++) {
        side->counts[i] *= factor;
        if (side->rests != NULL) side->rests[i] *= factor;
    }
}

void histogram_sum_scale(HistogramSum *sum, double factor) {
    sum->head.zero_count *= factor;
    sum->head.count *= factor;
    sum->head.sum *= factor;
    sum->zero_rest *= factor;
    sum->count_rest *= factor;
    sum->sum_rest *= factor;
    side_scale(&sum->positive, factor);
    side_scale(&sum->negative, factor);
    if (factor < 0) sum->head.reset_hint = HISTOGRAM_RESET_GAUGE;
}

static double whole(double sum, double rest) {
    return isinf(sum) ? sum : sum + rest;
}

// Without empty buckets.
static HistogramSide side_end(const HistogramSumSide *side, Arena *arena) {
    int32_t *index = arena_push_array_raw(arena, int32_t, side->count);
    double *counts = arena_push_array_raw(arena, double, side->count);
    size_t kept = 0;
    for (size_t i = 0; i < side->count; i++) {
        double count = whole(side->counts[i], side->rests == NULL ? 0 : side->rests[i]);
        if (count == 0) continue;
        index[kept] = side->index[i];
        counts[kept++] = count;
    }
    return (HistogramSide){index, counts, kept};
}

const Histogram *histogram_sum_end(const HistogramSum *sum) {
    Histogram *made = arena_push(sum->arena, Histogram);
    *made = sum->head;
    made->zero_count = whole(sum->head.zero_count, sum->zero_rest);
    made->count = whole(sum->head.count, sum->count_rest);
    made->sum = whole(sum->head.sum, sum->sum_rest);
    made->positive = side_end(&sum->positive, sum->arena);
    made->negative = side_end(&sum->negative, sum->arena);
    return made;
}

// ---- Means ----

void histogram_mean_begin(HistogramMean *mean, const Histogram *first, Arena *arena) {
    histogram_sum_begin(&mean->sum, first, true, arena);
    mean->count = 1;
    mean->incremental = false;
}

// Would any count leave the numbers? A bound without the work of trying: all of them added up.
static double magnitude(const Histogram *histogram) {
    double sum = fabs(histogram->count) + fabs(histogram->sum) + fabs(histogram->zero_count);
    const HistogramSide *sides[] = {&histogram->positive, &histogram->negative};
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sides[s]->count; i++) sum += fabs(sides[s]->counts[i]);
    }
    return sum;
}

bool histogram_mean_add(HistogramMean *mean, const Histogram *other, HistogramJoin *joined) {
    double n = mean->count + 1;
    if (!mean->incremental) {
        Histogram view = sum_view(&mean->sum);
        if (isinf(magnitude(&view) + magnitude(other))) {
            mean->incremental = true;
            sum_divide(&mean->sum, mean->count);
        }
    }
    bool added;
    if (!mean->incremental) {
        added = histogram_sum_add(&mean->sum, other, 1, joined);
    } else {
        histogram_sum_scale(&mean->sum, (n - 1) / n);
        added =
            histogram_sum_add(&mean->sum, histogram_divided(other, n, mean->sum.arena), 1, joined);
    }
    mean->count = n;
    return added;
}

const Histogram *histogram_mean_end(HistogramMean *mean) {
    if (!mean->incremental && mean->count > 1) {
        const Histogram *sum = histogram_sum_end(&mean->sum);
        return histogram_divided(sum, mean->count, mean->sum.arena);
    }
    return histogram_sum_end(&mean->sum);
}

// ---- One histogram and a number ----

const Histogram *histogram_scaled(const Histogram *histogram, double factor, Arena *arena) {
    HistogramSum sum;
    histogram_sum_begin(&sum, histogram, false, arena);
    histogram_sum_scale(&sum, factor);
    return histogram_sum_end(&sum);
}

const Histogram *histogram_divided(const Histogram *histogram, double divisor, Arena *arena) {
    HistogramSum sum;
    histogram_sum_begin(&sum, histogram, false, arena);
    if (divisor == 0) sum.positive.count = sum.negative.count = 0;
    sum_divide(&sum, divisor);
    return histogram_sum_end(&sum);
}

// ---- Resets ----

bool histogram_same_layout(const Histogram *a, const Histogram *b) {
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold && same_bounds(a, b);
}

// Has a bucket of `before` more than the same bucket now?
static bool side_fell(const Histogram *histogram, const HistogramSide *now,
                      const HistogramSide *before, int shift) {
    SideWalk walk = side_walk(before, shift, histogram->schema + shift, histogram->zero_threshold);
    int32_t index;
    double count;
    size_t at = 0;
    while (side_next(&walk, &index, &count)) {
        while (at < now->count && now->index[at] < index) at++;
        bool there = at < now->count && now->index[at] == index;
        if (there ? now->counts[at] < count : count != 0) return true;
    }
    return false;
}

// The same where custom bounds differ: what lies between two bounds that both have.
static bool custom_fell(const Histogram *now, const Histogram *before) {
    size_t in_now = 0, in_before = 0, i = 0, j = 0;
    while (i <= now->bound_count && j <= before->bound_count) {
        double bound = i < now->bound_count ? now->bounds[i] : INFINITY;
        double other = j < before->bound_count ? before->bounds[j] : INFINITY;
        if (bound < other) {
            i++;
        } else if (other < bound) {
            j++;
        } else {
            double have = 0, had = 0;
            for (; in_now < now->positive.count && now->positive.index[in_now] <= (int64_t)i;
                 in_now++)
                have += now->positive.counts[in_now];
            for (; in_before < before->positive.count &&
                   before->positive.index[in_before] <= (int64_t)j;
                 in_before++)
                had += before->positive.counts[in_before];
            if (have < had) return true;
            i++;
            j++;
        }
    }
    return false;
}

bool histogram_is_reset(const Histogram *now, const Histogram *before) {
    if (now->reset_hint == HISTOGRAM_RESET_YES) return true;
    if (now->reset_hint == HISTOGRAM_RESET_NO) return false;
    if (now->count < before->count) return true;
    if (histogram_is_custom(now) != histogram_is_custom(before)) return true;
    if (histogram_is_custom(now)) {
        return same_bounds(now, before) ? side_fell(now, &now->positive, &before->positive, 0)
                                        : custom_fell(now, before);
    }
    // Finer buckets or a smaller zero bucket come with a restart only.
    if (now->schema > before->schema || now->zero_threshold < before->zero_threshold) return true;
    double threshold = now->zero_threshold;
    double zero =
        threshold == before->zero_threshold ? before->zero_count : zero_within(before, &threshold);
    if (threshold != now->zero_threshold || now->zero_count < zero) return true;
    int shift = before->schema - now->schema;
    return side_fell(now, &now->positive, &before->positive, shift) ||
           side_fell(now, &now->negative, &before->negative, shift);
}
