// Two stored histograms, whatever they are: decoded, added, taken away, scaled, cut and asked
// without harm; what comes of it is a histogram again.

#include "base/assert.h"
#include "model/histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_side(const HistogramSide *side) {
    for (size_t i = 1; i < side->count; i++) assert(side->index[i - 1] < side->index[i]);
}

static void check_whole(const Histogram *histogram, Arena *arena) {
    check_side(&histogram->positive);
    check_side(&histogram->negative);
    HistogramWalk walk = histogram_walk(histogram, false);
    HistogramBucket bucket;
    size_t count = 0;
    while (histogram_walk_next(&walk, &bucket)) {
        assert(bucket.lower <= bucket.upper);
        count++;
    }
    assert(count >= histogram->negative.count + histogram->positive.count);
    Builder text = {0};
    histogram_print(histogram, &text);
    builder_free(&text);
    HistogramNanNote note;
    for (double q = 0; q <= 1; q += 0.25) (void)histogram_quantile(histogram, q, &note);
    (void)histogram_fraction(histogram, -1, 1.5, &note);
    (void)histogram_variance(histogram);
    check_side(&histogram_trim(histogram, 1.25, true, arena)->positive);
    check_side(&histogram_trim(histogram, -0.1, false, arena)->negative);
    NativeHistogram native;
    histogram_encode(histogram, arena, &native);
    assert(native.positive.bucket_count == histogram->positive.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t first = data[0] * (size - 1) / 255;
    Arena arena = {0};
    const Histogram *left, *right;
    Error err;
    if (!histogram_decode((Bytes){data + 1, first}, &arena, &left, &err)) {
        arena_free(&arena);
        return 0;
    }
    check_whole(left, &arena);
    check_whole(histogram_scaled(left, -0.5, &arena), &arena);
    check_whole(histogram_divided(left, 0, &arena), &arena);
    assert(histogram_equal(left, histogram_copy(left, &arena)));
    if (histogram_decode((Bytes){data + 1 + first, size - 1 - first}, &arena, &right, &err)) {
        (void)histogram_is_reset(left, right);
        HistogramJoin join = {0};
        for (int compensated = 0; compensated < 2; compensated++) {
            HistogramSum sum;
            histogram_sum_begin(&sum, left, compensated == 1, &arena);
            bool added = histogram_sum_add(&sum, right, compensated == 1 ? 1 : -1, &join);
            assert(added == (histogram_is_custom(left) == histogram_is_custom(right)));
            check_whole(histogram_sum_end(&sum), &arena);
        }
        HistogramMean mean;
        histogram_mean_begin(&mean, left, &arena);
        if (histogram_mean_add(&mean, right, &join)) check_whole(histogram_mean_end(&mean), &arena);
    }
    arena_free(&arena);
    return 0;
}
