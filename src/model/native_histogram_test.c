// Tests of native histograms: wire bytes, reading them back, and what does not agree.

#include "base/test.h"
#include "codec/protobuf.h"
#include "model/native_histogram.h"
#include "model/sample.h"

static const HistogramSpan spans_2[] = {{-3, 2}, {1, 1}};
static const int64_t deltas_3[] = {4, -1, 2};  // 4, 3, 5
static const double counts_3[] = {1.5, 0, 2.25};

static NativeHistogram integers(void) {
    return (NativeHistogram){
        .time_ms = -12,
        .schema = -2,
        .reset_hint = HISTOGRAM_RESET_YES,
        .count = 26,
        .sum = -0.0,
        .zero_threshold = 1e-128,
        .zero_count = 2,
        .positive = {spans_2, 2, deltas_3, NULL, 3},
        .negative = {spans_2, 2, deltas_3, NULL, 3},
    };
}

static NativeHistogram floats(void) {
    return (NativeHistogram){
        .time_ms = INT64_C(1763683200000),
        .start_ms = INT64_C(1763683100000),
        .schema = 8,
        .is_float = true,
        .reset_hint = HISTOGRAM_RESET_GAUGE,
        .count_float = 3.75,
        .sum = INFINITY,
        .positive = {spans_2, 2, NULL, counts_3, 3},
    };
}

static NativeHistogram custom(void) {
    static const HistogramSpan spans[] = {{0, 1}, {1, 2}};
    static const double bounds[] = {0.5, 1, 2.5};
    return (NativeHistogram){
        .schema = HISTOGRAM_SCHEMA_CUSTOM,
        .count = 12,
        .sum = 9,
        .positive = {spans, 2, deltas_3, NULL, 3},
        .custom_bounds = bounds,
        .custom_bound_count = 3,
    };
}

TEST(a_histogram_comes_back_from_its_wire_bytes_bit_for_bit) {
    NativeHistogram all[] = {integers(), floats(), custom(), {.is_float = true}, {.count = 0}};
    for (size_t i = 0; i < COUNT(all); i++) {
        AUTO(builder_free) Builder wire = {0};
        native_histogram_write(&all[i], &wire);
        NativeHistogram again;
        check_ok(t, native_histogram_check(&all[i], t->err));
        check_ok(t,
                 native_histogram_read(text_bytes(builder_text(&wire)), t->arena, &again, t->err));
        check(t, native_histogram_equal(&all[i], &again));
        for (size_t k = 0; k < COUNT(all); k++)
            check(t, native_histogram_equal(&all[k], &again) == (k == i));
    }
}

// count_int 1, sum 2, schema -1, zero_threshold 0.5, zero_count_int 0, one span {3, 1}, delta 1,
// hint NO, time 5: as protoc encodes it.
TEST(the_wire_bytes_are_those_of_prometheus) {
    static const HistogramSpan spans[] = {{3, 1}};
    static const int64_t deltas[] = {1};
    NativeHistogram histogram = {.time_ms = 5,
                                 .schema = -1,
                                 .reset_hint = HISTOGRAM_RESET_NO,
                                 .count = 1,
                                 .sum = 2,
                                 .zero_threshold = 0.5,
                                 .positive = {spans, 1, deltas, NULL, 1}};
    static const char expected[] =
        "\x08\x01"
        "\x19\0\0\0\0\0\0\0\x40"
        "\x20\x01"
        "\x29\0\0\0\0\0\0\xe0\x3f"
        "\x30\x00"
        "\x5a\x04\x08\x06\x10\x01"
        "\x62\x01\x02"
        "\x70\x02"
        "\x78\x05";
    AUTO(builder_free) Builder wire = {0};
    native_histogram_write(&histogram, &wire);
    check_i64(t, sizeof expected - 1, wire.len);
    check_same_bytes(t, wire.at, expected, sizeof expected - 1);
}

TEST(numbers_that_are_not_packed_are_read_too) {
    AUTO(builder_free) Builder wire = {0};
    protobuf_add_varint(&wire, 1, 3);
    size_t span = protobuf_begin(&wire, 11);
    protobuf_add_varint(&wire, 2, 2);
    protobuf_end(&wire, span);
    protobuf_add_sint(&wire, 12, 1);
    protobuf_add_sint(&wire, 12, 1);
    NativeHistogram histogram;
    check_ok(t,
             native_histogram_read(text_bytes(builder_text(&wire)), t->arena, &histogram, t->err));
    check_ok(t, native_histogram_check(&histogram, t->err));
    check(t, histogram.positive.bucket_count == 2 && histogram.positive.deltas[1] == 1);
}

TEST(every_truncation_is_refused_or_another_histogram) {
    NativeHistogram histogram = integers();
    AUTO(builder_free) Builder wire = {0};
    native_histogram_write(&histogram, &wire);
    for (size_t len = 0; len < wire.len; len++) {
        uint8_t *exact = arena_push_raw(t->arena, len, 1);
        memcpy(exact, wire.at, len);
        NativeHistogram again;
        if (native_histogram_read((Bytes){exact, len}, t->arena, &again, t->err))
            check(t, !native_histogram_equal(&histogram, &again));
    }
}

TEST(parts_that_do_not_agree_are_named) {
    static const HistogramSpan overlapping[] = {{0, 2}, {-1, 1}}, short_span[] = {{0, 2}};
    static const HistogramSpan endless[] = {{0, UINT32_MAX}, {INT32_MAX, UINT32_MAX}};
    static const int64_t negative[] = {4, -5, 6}, enormous[] = {INT64_MAX, 0, 0};
    static const double minus[] = {1, -1, 1}, falling[] = {1, 1}, infinite[] = {1, INFINITY};
    NativeHistogram good = integers(), gauge = floats(), bounds = custom(), h;
#define REFUSED(base, change, part)                                          \
    do {                                                                     \
        h = base;                                                            \
        change;                                                              \
        check_error(t, native_histogram_check(&h, t->err), ERROR_BAD_INPUT); \
        check(t, strstr(t->err->message, part) != NULL);                     \
    } while (0)
    REFUSED(good, h.schema = 9, "schema 9");
    REFUSED(good, h.schema = -5, "schema -5");
    REFUSED(good, h.count = 25, "count to 26");
    REFUSED(good, h.positive.spans = overlapping, "overlaps");
    REFUSED(good, (h.negative.spans = short_span, h.negative.span_count = 1), "hold 2 buckets");
    REFUSED(good, h.positive.spans = endless, "hold 8589934590 buckets");
    REFUSED(good, h.positive.deltas = negative, "positive bucket 2 has a negative count");
    REFUSED(good, h.positive.deltas = enormous, "count to more than");
    REFUSED(good, (h.sum = NAN, h.count = 25), "count to 26");
    REFUSED(good, (h.custom_bounds = minus, h.custom_bound_count = 1), "custom bounds with");
    REFUSED(gauge, h.positive.counts = minus, "positive bucket 2 has a negative count");
    REFUSED(gauge, h.count_float = -1, "a negative count");
    REFUSED(bounds, h.custom_bounds = falling, "bound 2 is not above");
    REFUSED(bounds, (h.custom_bounds = infinite, h.custom_bound_count = 2), "infinite");
    REFUSED(bounds, h.custom_bound_count = 2, "reach bucket 4");
    REFUSED(bounds, h.zero_threshold = 1, "zero bucket");
    REFUSED(bounds, (h.negative.spans = short_span, h.negative.span_count = 1), "negative ones");
#undef REFUSED
    // A NaN was observed: counted, but in no bucket.
    good.sum = NAN;
    good.count = 27;
    check_ok(t, native_histogram_check(&good, t->err));
}

TEST(a_lower_schema_joins_buckets) {
    // Buckets -1, 0 | 1, 2 | 3 | 8 with 1, 2 | 3, 4 | 5 | 6 observations.
    static const HistogramSpan spans[] = {{-1, 5}, {4, 1}}, joined[] = {{0, 3}, {1, 1}};
    static const int64_t deltas[] = {1, 1, 1, 1, 1, 1}, sums[] = {3, 4, -2, 1};
    static const double counts[] = {1, 2, 3, 4, 5, 6}, sums_float[] = {3, 7, 5, 6};
    NativeHistogram in = {.schema = 1,
                          .count = 24,
                          .zero_count = 3,
                          .positive = {spans, 2, deltas, NULL, 6}},
                    out;
    native_histogram_reduce(&in, 0, t->arena, &out);
    NativeHistogram stated = in;
    stated.schema = 0;
    stated.positive = (HistogramBuckets){joined, 2, sums, NULL, 4};
    check_ok(t, native_histogram_check(&in, t->err));
    check_ok(t, native_histogram_check(&out, t->err));
    check(t, native_histogram_equal(&stated, &out));

    in.is_float = stated.is_float = true;
    in.positive = (HistogramBuckets){spans, 2, NULL, counts, 6};
    stated.positive = (HistogramBuckets){joined, 2, NULL, sums_float, 4};
    native_histogram_reduce(&in, 0, t->arena, &out);
    check(t, native_histogram_equal(&stated, &out));
    native_histogram_reduce(&in, 1, t->arena, &out);
    check(t, native_histogram_equal(&in, &out));
}

TEST(reducing_step_by_step_or_at_once_is_the_same) {
    uint64_t random = t->seed;
    for (int round = 0; round < 500; round++) {
        HistogramSpan spans[4];
        int64_t deltas[64];
        NativeHistogram in = {.schema = 8};
        int64_t last = 0;
        for (size_t i = 0; i < COUNT(spans); i++) {
            spans[i].offset = (int32_t)(test_random(&random) % 50) - (i == 0 ? 100 : 0);
            spans[i].length = (uint32_t)(test_random(&random) % 16);
            for (uint32_t k = 0; k < spans[i].length; k++) {
                int64_t count = (int64_t)(test_random(&random) % 1000);
                in.count += (uint64_t)count;
                deltas[in.positive.bucket_count++] = count - last;
                last = count;
            }
        }
        in.positive.spans = spans;
        in.positive.span_count = COUNT(spans);
        in.positive.deltas = deltas;
        check_ok(t, native_histogram_check(&in, t->err));
        NativeHistogram stepped = in, at_once, fitted;
        for (int32_t schema = 7; schema >= HISTOGRAM_SCHEMA_MIN; schema--) {
            NativeHistogram next;
            native_histogram_reduce(&stepped, schema, t->arena, &next);
            stepped = next;
            native_histogram_reduce(&in, schema, t->arena, &at_once);
            check(t, native_histogram_equal(&stepped, &at_once));
            check_ok(t, native_histogram_check(&stepped, t->err));
        }
        bool fits = native_histogram_fit(&in, 0, 5, t->arena, &fitted);
        check(t, fits && fitted.positive.bucket_count <= 5);
        check(t, native_histogram_fit(&in, 1.1, 0, t->arena, &fitted) && fitted.schema == 2);
    }
    NativeHistogram bounds = custom(), out;
    check(t, !native_histogram_fit(&bounds, 2, 2, t->arena, &out));
}

// The table in Prometheus' documentation of native_histogram_min_bucket_factor.
TEST(growth_factors_choose_the_schema_that_prometheus_says) {
    static const double factors[] = {65536, 256,  16,   4,    2,     1.4,  1.1,
                                     1.09,  1.04, 1.02, 1.01, 1.005, 1.002};
    static const HistogramSpan span[] = {{0, 1}};
    static const int64_t one[] = {1};
    NativeHistogram in = {.schema = 8, .count = 1, .positive = {span, 1, one, NULL, 1}}, out;
    for (size_t i = 0; i < COUNT(factors); i++) {
        check(t, native_histogram_fit(&in, factors[i], 0, t->arena, &out));
        check_i64(t, (int)i - 4, out.schema);
    }
}

TEST_MAIN("model/native_histogram", CASE(a_histogram_comes_back_from_its_wire_bytes_bit_for_bit),
          CASE(the_wire_bytes_are_those_of_prometheus),
          CASE(numbers_that_are_not_packed_are_read_too),
          CASE(every_truncation_is_refused_or_another_histogram),
          CASE(parts_that_do_not_agree_are_named), CASE(a_lower_schema_joins_buckets),
          CASE(growth_factors_choose_the_schema_that_prometheus_says),
          CASE(reducing_step_by_step_or_at_once_is_the_same))
