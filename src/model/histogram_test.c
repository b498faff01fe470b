// Histograms: sums against sums made bucket by bucket in another way, and what must hold of
// quantiles, shares, cuts and resets.

#include "model/histogram.h"

#include <math.h>

#include "base/test.h"
#include "model/sample.h"

// ---- Random histograms ----

static double random_count(uint64_t *random) {
    return (double)(test_random(random) % 40);
}

// No bucket reaches into the zero bucket.
static HistogramSide random_side(Arena *arena, uint64_t *random, int32_t from, int32_t schema,
                                 double threshold) {
    size_t places = test_random(random) % 24, count = 0;
    int32_t *index = arena_push_array(arena, int32_t, places);
    double *counts = arena_push_array(arena, double, places);
    for (size_t i = 0; i < places; i++) {
        if (test_random(random) % 3 == 0) continue;
        if (histogram_bound(from + (int32_t)i - 1, schema) < threshold) continue;
        index[count] = from + (int32_t)i;
        counts[count++] = random_count(random);
    }
    return (HistogramSide){index, counts, count};
}

static double total_of(const Histogram *histogram) {
    double total = histogram->zero_count;
    for (size_t i = 0; i < histogram->positive.count; i++) total += histogram->positive.counts[i];
    for (size_t i = 0; i < histogram->negative.count; i++) total += histogram->negative.counts[i];
    return total;
}

static const Histogram *random_histogram(Arena *arena, uint64_t *random) {
    static const double thresholds[] = {0, 1e-6, 0.3, 1};
    Histogram *made = arena_push(arena, Histogram);
    made->schema = (int32_t)(test_random(random) % 6) - 2;
    made->zero_threshold = thresholds[test_random(random) % 4];
    made->zero_count = random_count(random);
    int32_t from = (int32_t)(test_random(random) % 16) - 8;
    made->positive = random_side(arena, random, from, made->schema, made->zero_threshold);
    made->negative = random_side(arena, random, from, made->schema, made->zero_threshold);
    made->sum = random_count(random) - 20;
    made->count = total_of(made);
    return made;
}

static const Histogram *sum_of(Test *t, const Histogram *a, const Histogram *b, double factor) {
    HistogramSum sum;
    HistogramJoin join = {0};
    histogram_sum_begin(&sum, a, false, t->arena);
    check(t, histogram_sum_add(&sum, b, factor, &join));
    return histogram_sum_end(&sum);
}

// Another way to the same: the observations of `histogram` that lie in (lower, upper] by its own
// buckets, none of which may be cut by either.
static double between(const Histogram *histogram, double lower, double upper) {
    double count = 0;
    const HistogramSide *side = upper > 0 ? &histogram->positive : &histogram->negative;
    if (upper <= 0) {
        double swap = -lower;
        lower = -upper;
        upper = swap;
    }
    for (size_t i = 0; i < side->count; i++) {
        double end = histogram_bound(side->index[i], histogram->schema);
        if (end > lower && end <= upper) count += side->counts[i];
    }
    return count;
}

TEST(a_sum_holds_in_each_bucket_what_both_have_there) {
    uint64_t random = t->seed;
    for (size_t round = 0; round < 4000; round++) {
        const Histogram *a = random_histogram(t->arena, &random),
                        *b = random_histogram(t->arena, &random);
        const Histogram *sum = sum_of(t, a, b, 1);
        check(t, sum->schema == MIN(a->schema, b->schema));
        check(t, sum->zero_threshold >= MAX(a->zero_threshold, b->zero_threshold));
        check(t, sum->count == a->count + b->count);
        check(t, total_of(sum) == sum->count);
        for (size_t s = 0; s < 2; s++) {
            const HistogramSide *side = s == 0 ? &sum->positive : &sum->negative;
            for (size_t i = 0; i < side->count; i++) {
                double upper = histogram_bound(side->index[i], sum->schema);
                double lower =
                    fmax(histogram_bound(side->index[i] - 1, sum->schema), sum->zero_threshold);
                double expected = s == 0 ? between(a, lower, upper) + between(b, lower, upper)
                                         : between(a, -upper, -lower) + between(b, -upper, -lower);
                check(t, side->counts[i] == expected);
            }
        }
        const Histogram *other = sum_of(t, b, a, 1);
        check(t, histogram_equal(sum, other));
    }
}

TEST(what_is_taken_away_again_leaves_what_was) {
    uint64_t random = t->seed;
    for (size_t round = 0; round < 2000; round++) {
        const Histogram *a = random_histogram(t->arena, &random),
                        *b = random_histogram(t->arena, &random);
        const Histogram *sum = sum_of(t, a, b, 1), *again = sum_of(t, sum, b, -1);
        const Histogram *alike = sum_of(t, a, b, 0);  // a, in the buckets of both
        check(t, histogram_equal(again, alike));
    }
}

// Counts that only grow are no reset; a bucket that fell is one, whatever the count says.
TEST(a_reset_is_seen_where_a_bucket_fell_and_only_there) {
    uint64_t random = t->seed;
    size_t resets = 0;
    for (size_t round = 0; round < 2000; round++) {
        const Histogram *before = random_histogram(t->arena, &random);
        Histogram more = *random_histogram(t->arena, &random);
        more.schema = before->schema;
        more.zero_threshold = before->zero_threshold;
        const Histogram *now = sum_of(t, before, &more, 1);
        check(t, !histogram_is_reset(now, before));
        // Coarser buckets of what grew are no reset either.
        Histogram coarse = *random_histogram(t->arena, &random);
        coarse.schema = before->schema - 1;
        coarse.zero_threshold = before->zero_threshold;
        check(t, !histogram_is_reset(sum_of(t, now, &coarse, 1), now));
        if (before->positive.count == 0 || before->positive.counts[0] == 0) continue;
        Histogram fallen = *histogram_copy(now, t->arena);
        double *counts = (double *)(uintptr_t)fallen.positive.counts;
        for (size_t i = 0; i < fallen.positive.count; i++) {
            if (fallen.positive.index[i] == before->positive.index[0])
                counts[i] = before->positive.counts[0] - 1;
        }
        fallen.count = now->count + 100;
        double end = histogram_bound(before->positive.index[0], before->schema);
        check(t, histogram_is_reset(&fallen, before) == (end > before->zero_threshold));
        fallen.reset_hint = HISTOGRAM_RESET_NO;
        check(t, !histogram_is_reset(&fallen, before));
        resets++;
    }
    check(t, resets > 100);
}

TEST(quantiles_rise_and_shares_undo_them) {
    uint64_t random = t->seed;
    for (size_t round = 0; round < 2000; round++) {
        const Histogram *histogram = random_histogram(t->arena, &random);
        if (histogram->count == 0) continue;
        HistogramNanNote note;
        double before = -INFINITY;
        for (double q = 0; q <= 1; q += 0.125) {
            double value = histogram_quantile(histogram, q, &note);
            check(t, note == HISTOGRAM_NAN_NONE);
            check(t, value >= before - 1e-9 * fabs(before));
            before = value;
            double share = histogram_fraction(histogram, -INFINITY, value, &note);
            // At the edge of empty buckets several values are the quantile; a zero bucket without
            // width has no inside.
            bool inside = histogram->zero_threshold > 0 && q > 0 && q < 1;
            if (inside) check(t, share >= q - 1e-9);
        }
    }
}

TEST(what_is_cut_in_two_is_all_there_was) {
    static const double limits[] = {-3, -1, -0.2, 0, 1e-7, 0.3, 0.7, 1, 2, 2.5, 100};
    uint64_t random = t->seed;
    for (size_t round = 0; round < 2000; round++) {
        const Histogram *histogram = random_histogram(t->arena, &random);
        double limit = limits[test_random(&random) % COUNT(limits)];
        const Histogram *below = histogram_trim(histogram, limit, true, t->arena),
                        *above = histogram_trim(histogram, limit, false, t->arena);
        if (histogram->zero_threshold == 0) continue;  // its zero bucket is on both sides of 0
        double whole = below->count + above->count;
        check(t, fabs(whole - histogram->count) <= 1e-9 * histogram->count);
    }
}

TEST(rounding_is_made_up_for) {
    Histogram large = {.count = 1, .sum = 1e16}, one = {.count = 1, .sum = 1};
    HistogramSum sum;
    HistogramJoin join = {0};
    histogram_sum_begin(&sum, &large, true, t->arena);
    for (size_t i = 0; i < 1000; i++) check(t, histogram_sum_add(&sum, &one, 1, &join));
    Histogram back = {.count = 1, .sum = -1e16};
    check(t, histogram_sum_add(&sum, &back, 1, &join));
    check(t, histogram_sum_end(&sum)->sum == 1000);
}

TEST(a_mean_of_what_overflows_as_a_sum_is_still_right) {
    Histogram large = {.count = 1.5e308, .sum = 4};
    HistogramMean mean;
    HistogramJoin join = {0};
    histogram_mean_begin(&mean, &large, t->arena);
    for (size_t i = 0; i < 9; i++) check(t, histogram_mean_add(&mean, &large, &join));
    const Histogram *end = histogram_mean_end(&mean);
    check(t, fabs(end->count - 1.5e308) < 1e294);
    check(t, fabs(end->sum - 4) < 1e-12);
}

TEST(custom_bounds_that_differ_leave_those_of_both) {
    const double few[] = {1, 5}, many[] = {1, 2, 5, 9};
    const int32_t index[] = {0, 1, 2, 3, 4};
    const double counts[] = {1, 2, 3, 4, 5};
    Histogram a = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                   .count = 6,
                   .positive = {index, counts, 3},
                   .bounds = few,
                   .bound_count = 2};
    Histogram b = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                   .count = 15,
                   .positive = {index, counts, 5},
                   .bounds = many,
                   .bound_count = 4};
    HistogramSum sum;
    HistogramJoin join = {0};
    histogram_sum_begin(&sum, &b, false, t->arena);
    check(t, histogram_sum_add(&sum, &a, 1, &join) && join.reconciled);
    const Histogram *made = histogram_sum_end(&sum);
    check(t, made->bound_count == 2 && made->bounds[0] == 1 && made->bounds[1] == 5);
    check(t, made->positive.count == 3 && made->positive.counts[0] == 2);
    check(t, made->positive.counts[1] == 7 && made->positive.counts[2] == 12);
    Histogram exponential = {.count = 1};
    check(t, !histogram_sum_add(&sum, &exponential, 1, &join));
}

static Bytes wire_of(Test *t, const NativeHistogram *native) {
    AUTO(builder_free) Builder out = {0};
    native_histogram_write(native, &out);
    return bytes_copy(text_bytes(builder_text(&out)), t->arena);
}

TEST(what_is_stored_comes_back_and_what_cannot_be_is_refused) {
    uint64_t random = t->seed;
    for (size_t round = 0; round < 1000; round++) {
        const Histogram *histogram = random_histogram(t->arena, &random), *again;
        NativeHistogram native;
        histogram_encode(histogram, t->arena, &native);
        check_ok(t, native_histogram_check(&native, t->err));
        check_ok(t, histogram_decode(wire_of(t, &native), t->arena, &again, t->err));
        check(t, histogram_equal(histogram, again));
    }
    const Histogram *out;
    NativeHistogram native = {.is_float = true, .zero_threshold = NAN};
    check_error(t, histogram_decode(wire_of(t, &native), t->arena, &out, t->err), ERROR_BAD_INPUT);
    native.zero_threshold = -1;
    check_error(t, histogram_decode(wire_of(t, &native), t->arena, &out, t->err), ERROR_BAD_INPUT);
    const HistogramSpan far = {INT32_MAX - 1, 1};
    const double one = 1;
    native = (NativeHistogram){
        .is_float = true, .count_float = 1, .positive = {.spans = &far, 1, NULL, &one, 1}};
    check_error(t, histogram_decode(wire_of(t, &native), t->arena, &out, t->err), ERROR_BAD_INPUT);
    const HistogramSpan spans[] = {{2, 2}, {1, 1}};
    const int64_t deltas[] = {3, -1, 4};
    native = (NativeHistogram){
        .count = 13, .sum = 1.5, .zero_count = 2, .positive = {spans, 2, deltas, NULL, 3}};
    check_ok(t, histogram_decode(wire_of(t, &native), t->arena, &out, t->err));
    check(t, out->positive.count == 3 && out->positive.index[2] == 5);
    check(t, out->positive.counts[0] == 3 && out->positive.counts[1] == 2 &&
                 out->positive.counts[2] == 6 && out->count == 13);
}

TEST(bounds_are_powers_that_end_with_the_numbers) {
    check(t, histogram_bound(0, 0) == 1 && histogram_bound(3, 0) == 8);
    check(t, histogram_bound(1, -2) == 16 && histogram_bound(-1, -2) == 1.0 / 16);
    check(t, fabs(histogram_bound(1, 1) - sqrt(2)) < 1e-15);
    check(t, histogram_bound(1024, 0) < INFINITY && isinf(histogram_bound(1025, 0)));
    check(t, histogram_bound(-1100, 0) == 0);
}

TEST(numbers_are_shown_as_go_does) {
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},           {1, "1"},
                {0.1, "0.1"},       {1e6, "1e+06"},
                {999999, "999999"}, {1234567, "1.234567e+06"},
                {1e-5, "1e-05"},    {0.0001, "0.0001"},
                {-2.5, "-2.5"},     {1.0 / 3, "0.3333333333333333"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(builder_free) Builder out = {0};
        histogram_print_number(rows[i].value, &out);
        check_text(t, text_from_cstring(rows[i].text), builder_text(&out));
    }
    const int32_t index[] = {1};
    const double counts[] = {2};
    Histogram histogram = {.count = 3, .sum = 4.5, .zero_count = 1, .zero_threshold = 0.5};
    histogram.positive = histogram.negative = (HistogramSide){index, counts, 1};
    AUTO(builder_free) Builder out = {0};
    histogram_print(&histogram, &out);
    check_text(t, TEXT("{count:3, sum:4.5, [-2,-1):2, [-0.5,0.5]:1, (1,2]:2}"), builder_text(&out));
}

TEST_MAIN("model/histogram", CASE(a_sum_holds_in_each_bucket_what_both_have_there),
          CASE(what_is_taken_away_again_leaves_what_was),
          CASE(a_reset_is_seen_where_a_bucket_fell_and_only_there),
          CASE(quantiles_rise_and_shares_undo_them), CASE(what_is_cut_in_two_is_all_there_was),
          CASE(rounding_is_made_up_for), CASE(a_mean_of_what_overflows_as_a_sum_is_still_right),
          CASE(custom_bounds_that_differ_leave_those_of_both),
          CASE(what_is_stored_comes_back_and_what_cannot_be_is_refused),
          CASE(bounds_are_powers_that_end_with_the_numbers), CASE(numbers_are_shown_as_go_does))
