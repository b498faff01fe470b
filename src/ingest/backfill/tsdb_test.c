// Blocks of Prometheus: conformance cases, and what is said of damaged ones.

#include <math.h>

#include "base/test.h"
#include "codec/json.h"
#include "codec/number.h"
#include "ingest/backfill/tsdb_block.h"

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

TEST_MAIN("backfill/tsdb", CASE(an_index_of_version_1_is_read),
          CASE(a_block_of_meta_version_2_has_the_index_it_says),
          CASE(a_block_that_victoria_metrics_imports_gives_the_answer_it_gives))
