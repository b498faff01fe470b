// Blocks of Prometheus: conformance cases, and what is said of damaged ones.

#include <math.h>

#include "base/test.h"
#include "codec/json.h"
#include "codec/number.h"
#include "ingest/backfill/tsdb_block.h"
#include "ingest/backfill/tsdb_chunk.h"

typedef struct Sums {
    uint64_t rows, series, samples, histograms;
    double sum;
    Labels first;
} Sums;

static bool read_all(Test *t, Text folder, Sums *out, Error *err) {
    AUTO(tsdb_block_close) TsdbBlock *block = NULL;
    TRY(tsdb_block_open(disk_real(), folder, &block, err));
    *out = (Sums){0};
    for (;;) {
        BackfillRow row;
        bool found;
        TRY(tsdb_block_next(block, &row, &found, err));
        if (!found) break;
        if (out->rows++ == 0) out->first.wire = bytes_copy(row.labels.wire, t->arena);
        out->samples += row.samples.count;
        out->histograms += row.histogram_count;
        for (size_t i = 0; i < row.samples.count; i++) out->sum += row.samples.at[i].value;
    }
    out->series = tsdb_block_series(block);
    return true;
}

static Text labels_text(Test *t, Labels labels) {
    AUTO(builder_free) Builder out = {0};
    labels_print(labels, &out);
    return text_copy(builder_text(&out), t->arena);
}

TEST(an_index_of_version_1_is_read) {
    Text folder = test_data_folder(t, "tsdb-blocks/prometheus/index_format_v1");
    Sums sums;
    check_ok(t, read_all(t, folder, &sums, t->err));
    check_i64(t, 102, sums.series);
    check_i64(t, 102, sums.samples);
    check_text(t, TEXT("{bar=\"0\"}"), labels_text(t, sums.first));
}

TEST(a_block_of_meta_version_2_has_the_index_it_says) {
    Text folder = test_data_folder(
        t, "tsdb-blocks/prometheus/repair_index_version/01BZJ9WJQPWHGNC2W4J9TA62KC");
    AUTO(tsdb_block_close) TsdbBlock *block = NULL;
    check_ok(t, tsdb_block_open(disk_real(), folder, &block, t->err));
    BackfillRow row;
    bool found;
    check_ok(t, tsdb_block_next(block, &row, &found, t->err));
    check_text(t, TEXT("{a=\"1\", b=\"1\"}"), labels_text(t, row.labels));
    check_ok(t, tsdb_block_next(block, &row, &found, t->err));
    check_text(t, TEXT("{a=\"2\", b=\"1\"}"), labels_text(t, row.labels));
    // Its meta.json is that of a larger block: what is missing is not passed over.
    check_error(t, tsdb_block_next(block, &row, &found, t->err), ERROR_CORRUPT);
    check(t, strstr(t->err->message, "states 88910 series") != NULL);
}

// The answer that VictoriaMetrics gives after importing this block.
static void check_expected(Test *t, const JsonValue *result, Text folder) {
    AUTO(tsdb_block_close) TsdbBlock *block = NULL;
    check_ok(t, tsdb_block_open(disk_real(), folder, &block, t->err));
    size_t matched = 0;
    for (;;) {
        BackfillRow row;
        bool found;
        check_ok(t, tsdb_block_next(block, &row, &found, t->err));
        if (!found) break;
        for (const JsonValue *one = result->first; one != NULL; one = one->next) {
            const JsonValue *metric = json_get(one, TEXT("metric"));
            bool same = labels_count(row.labels) == metric->count;
            for (const JsonValue *label = metric->first; same && label != NULL; label = label->next)
                same = text_equal(labels_get(row.labels, label->key), label->text);
            if (!same) continue;
            matched++;
            const JsonValue *values = json_get(one, TEXT("values"));
            check_i64(t, (int64_t)values->count, (int64_t)row.samples.count);
            double time_s, value;
            check(t, json_number(values->first->first, &time_s));
            check(t, number_parse_f64(values->first->first->next->text, &value));
            check_i64(t, llround(time_s * 1000), row.samples.at[0].time_ms);
            check(t, value == row.samples.at[0].value);
        }
    }
    check_i64(t, (int64_t)result->count, (int64_t)matched);
}

TEST(a_block_that_victoria_metrics_imports_gives_the_answer_it_gives) {
    Text base = test_data_folder(t, "tsdb-blocks/victoriametrics/prometheus");
    Text folder = text_format(
        t->arena, "%.*s/snapshots/20250602T205846Z-7e03e43cf46dda03/01JWS713P2E4MQW7T643GYGD69",
        TEXT_ARG(base));
    Sums sums;
    check_ok(t, read_all(t, folder, &sums, t->err));
    check_i64(t, 2434, sums.series);
    check_i64(t, 2434, sums.samples);
    Bytes content;
    JsonValue *root;
    Text path = text_format(t->arena, "%.*s/expected_response.json", TEXT_ARG(base));
    check_ok(t, disk_read_whole(disk_real(), path, MB, t->arena, &content, t->err));
    check_ok(t, json_parse(bytes_text(content), t->arena, &root, t->err));
    check_expected(t, json_get(json_get(root, TEXT("data")), TEXT("result")), folder);
}

// ---- Histograms, as Prometheus 2.42 packed them ----

// What was sent: the k-th of a series that counts n times 1, 2, 3, 4, 5 and on the negative side n
// times 7, with a reset before the 7th; the last one is a stale marker.
static void check_histogram(Test *t, const NativeHistogram *actual, unsigned k, bool is_float,
                            HistogramResetHint hint, int64_t start_ms) {
    int64_t n = k < 6 ? (int64_t)k + 1 : (int64_t)k - 5;
    double counts[] = {(double)n, (double)(2 * n), (double)(3 * n), (double)(4 * n),
                       (double)(5 * n)};
    double negative_counts[] = {(double)(7 * n)};
    int64_t deltas[] = {n, n, n, n, n}, negative_deltas[] = {7 * n};
    HistogramSpan spans[] = {{-2, 2}, {3, 3}}, negative_spans[] = {{1, 1}};
    NativeHistogram stated = {
        .time_ms = INT64_C(1795700000000) + k * 15000 + k % 3,
        .start_ms = start_ms,
        .is_float = is_float,
        .schema = 2,
        .reset_hint = hint,
        .sum = k * 1.5,
        .zero_threshold = is_float ? 0.001 : ldexp(1, -128),
        .positive = {spans, 2, is_float ? NULL : deltas, is_float ? counts : NULL, 5},
        .negative = {negative_spans, 1, is_float ? NULL : negative_deltas,
                     is_float ? negative_counts : NULL, 1},
    };
    uint64_t total = (uint64_t)(22 * n) + k;
    if (is_float) {
        stated.count_float = (double)total + 0.5;
        stated.zero_count_float = k + 0.5;
    } else {
        stated.count = total;
        stated.zero_count = k;
    }
    if (k == 9) {
        stated = (NativeHistogram){.time_ms = stated.time_ms, .sum = stale_nan()};
        check(t, is_stale(actual->sum));
    }
    AUTO(builder_free) Builder a = {0}, b = {0};
    native_histogram_write(&stated, &a);
    native_histogram_write(actual, &b);
    check_same_bytes(t, a.at, b.at, a.len);
    check_i64(t, (int64_t)a.len, (int64_t)b.len);
    if (k < 9) check_ok(t, native_histogram_check(actual, t->err));
}

TEST(histograms_are_those_that_prometheus_was_sent) {
    static const struct {
        unsigned first, count;
        bool is_float, is_gauge;
    } chunks[] = {{0, 6, false, false}, {6, 4, false, false}, {0, 6, true, false},
                  {6, 3, true, false},  {0, 9, false, true},  {9, 1, false, false}};
    for (unsigned i = 0; i < COUNT(chunks); i++) {
        Text path = text_format(t->arena, "test/corpus/tsdb_chunk/histograms_%u", i);
        Bytes content;
        check_ok(t, disk_read_whole(disk_real(), path, MB, t->arena, &content, t->err));
        TsdbSamples samples = {0};
        TsdbHistograms histograms = {0};
        TsdbStarts starts = {0};
        check_ok(t, tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, content.len - 1},
                                      &samples, &starts, &histograms, t->arena, t->err));
        check_i64(t, chunks[i].count, (int64_t)histograms.count);
        for (unsigned k = 0; k < chunks[i].count; k++) {
            HistogramResetHint hint = chunks[i].is_gauge ? HISTOGRAM_RESET_GAUGE
                                      : k > 0            ? HISTOGRAM_RESET_NO
                                                         : HISTOGRAM_RESET_UNKNOWN;
            check_histogram(t, &histograms.at[k], chunks[i].first + k, chunks[i].is_float, hint, 0);
        }
        // What is cut off is an error and no shorter chunk.
        for (size_t len = 0; len < content.len - 1; len++) {
            array_clear(&histograms);
            check_error(t,
                        tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, len}, &samples,
                                          &starts, &histograms, t->arena, t->err),
                        ERROR_CORRUPT);
        }
        array_free(&samples);
        array_free(&starts);
        array_free(&histograms);
    }
}

// ---- What Prometheus 3.16 packed (its package tsdb/chunkenc, called by a program that appended
// these samples) ----

static Bytes corpus(Test *t, Text name) {
    Text path = text_format(t->arena, "test/corpus/tsdb_chunk/%.*s", TEXT_ARG(name));
    Bytes content;
    check_ok(t, disk_read_whole(disk_real(), path, MB, t->arena, &content, t->err));
    return content;
}

// What the program that made xor2_<file> said of the start of its samples.
static int64_t start_of(unsigned file, int64_t i, int64_t first_ms) {
    switch (file) {
        case 2:
            return first_ms - 7;
        case 3:
            return first_ms - 1000;
        case 4:
            return first_ms - 1000 + i / 3 * 20000;
        case 5:
            return i == 0 ? 0 : first_ms - i * i * 12345;
        case 7:
            return i < 200 ? first_ms - 1 : first_ms + INT64_C(200) * 15000;
        default:
            return 0;
    }
}

TEST(floats_of_xor2_are_those_that_prometheus_appended) {
    const int64_t T = INT64_C(1795700000000);
    const double stale = stale_nan(), nan = double_from_bits(UINT64_C(0x7ff8000000000001));
    // Every way in which time and value may change or not.
    const Sample all[] = {
        {T, 1},
        {T + 15000, 1},
        {T + 30000, 1},
        {T + 45000, 2.5},
        {T + 60000, 2.75},
        {T + 75001, 2.75},
        {T + 90000, 1e300},
        {T + 105000, 1e300},
        {T + 125000, 1e300},
        {T + 145000, stale},
        {T + 165000, 1e300},
        {T + 9000000, -0.5},
        {T + 9000015, stale},
        {T + 9000030, -0.5},
        {T + 9000045, nan},
        {T + 9000060, -0.0},
        {T + 9000075, INFINITY},
        {T + 9500000, INFINITY},
        {T + 10000000, 7},
    };
    const Sample begins_stale[] = {{-T, stale}, {-T + 1, stale}, {-T + 2, 3}, {-T + 3, 3}};
    const Sample alone[] = {{T, 5}};
    Sample many[300];
    for (int i = 0; i < 300; i++) many[i] = (Sample){T + i * 15000 + i % 7, i * i % 17};
    // Of what the start times were: none, of one sample, all the same, changing now and then, from
    // the second sample on at each, and from the 200th on, behind what a chunk can say.
    const Samples stated[] = {
        {all, COUNT(all)}, {begins_stale, COUNT(begins_stale)},
        {alone, 1},        {all, COUNT(all)},
        {all, COUNT(all)}, {all, COUNT(all)},
        {many, 300},       {many, 300},
    };
    TsdbSamples samples = {0};
    TsdbHistograms histograms = {0};
    TsdbStarts starts = {0};
    for (unsigned i = 0; i < COUNT(stated); i++) {
        Bytes content = corpus(t, text_format(t->arena, "xor2_%u", i));
        array_clear(&samples);
        array_clear(&starts);
        check_ok(t, tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, content.len - 1},
                                      &samples, &starts, &histograms, t->arena, t->err));
        check_i64(t, TSDB_CHUNK_XOR2, content.at[0]);
        check_i64(t, (int64_t)stated[i].count, (int64_t)samples.count);
        check_same_bytes(t, stated[i].at, samples.at, stated[i].count * sizeof(Sample));
        for (size_t k = 0; k < samples.count; k++)
            check_i64(t, start_of(i, (int64_t)k, T), k < starts.count ? starts.at[k] : 0);
        array_clear(&starts);
        for (size_t len = 0; len < content.len - 1; len++)
            check_error(t,
                        tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, len}, &samples,
                                          &starts, &histograms, t->arena, t->err),
                        ERROR_CORRUPT);
    }
    array_free(&starts);
    array_free(&samples);
}

TEST(histograms_with_start_times_are_those_that_prometheus_appended) {
    for (unsigned i = 0; i < 2; i++) {
        Bytes content = corpus(t, text_format(t->arena, "histograms_st_%u", i));
        TsdbSamples samples = {0};
        TsdbHistograms histograms = {0};
        TsdbStarts starts = {0};
        check_ok(t, tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, content.len - 1},
                                      &samples, &starts, &histograms, t->arena, t->err));
        check_i64(t, 6, (int64_t)histograms.count);
        for (unsigned k = 0; k < 6; k++)
            check_histogram(t, &histograms.at[k], k, i == 1,
                            k > 0 ? HISTOGRAM_RESET_NO : HISTOGRAM_RESET_UNKNOWN,
                            INT64_C(1795700000000) - 500 + k / 2 * 3);
        for (size_t len = 0; len < content.len - 1; len++)
            check_error(t,
                        tsdb_chunk_decode(content.at[0], (Bytes){content.at + 1, len}, &samples,
                                          &starts, &histograms, t->arena, t->err),
                        ERROR_CORRUPT);
        array_free(&starts);
        array_free(&histograms);
    }
}

TEST(what_is_not_known_is_named) {
    TsdbSamples samples = {0};
    TsdbHistograms histograms = {0};
    TsdbStarts starts = {0};
    uint8_t bytes[] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    for (uint8_t encoding = 0; encoding < 8; encoding += 7) {
        check_error(t,
                    tsdb_chunk_decode(encoding, (Bytes){bytes, sizeof bytes}, &samples, &starts,
                                      &histograms, t->arena, t->err),
                    ERROR_UNSUPPORTED);
        Text said = text_format(t->arena, "encoding %u", encoding);
        check(t, text_find(text_from_cstring(t->err->message), said) >= 0);
    }
}

TEST_MAIN("backfill/tsdb", CASE(an_index_of_version_1_is_read),
          CASE(a_block_of_meta_version_2_has_the_index_it_says),
          CASE(a_block_that_victoria_metrics_imports_gives_the_answer_it_gives),
          CASE(histograms_are_those_that_prometheus_was_sent),
          CASE(floats_of_xor2_are_those_that_prometheus_appended),
          CASE(histograms_with_start_times_are_those_that_prometheus_appended),
          CASE(what_is_not_known_is_named))
