// Any bytes as StatsD never crash; what is flushed are rows that decode again and fit the gate.

#include "base/assert.h"
#include "ingest/statsd/statsd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t size, bool native) {
    StatsdOptions options = {
        .hash_key = {1, 2}, .native = native, .expires_ms = 1000, .series_max = 100};
    Statsd *statsd = statsd_new(&options);
    WriteBody rows = {0};
    Batch batch = {0};
    Text rest = {(const char *)data, size}, line;
    int64_t now_ms = 1763683200000;
    while (text_cut(&rest, '\n', &line)) {
        Error err;
        bool read = statsd_line(statsd, line, now_ms, &rows, &err);
        (void)read;
    }
    while (statsd_flush(statsd, now_ms, true, &rows)) continue;
    while (statsd_flush(statsd, now_ms + 1000, false, &rows)) continue;
    StatsdCounts counts;
    statsd_counts(statsd, &counts);
    assert(counts.series == 0 && counts.refused <= counts.lines);
    write_body_batch(&rows, &batch);
    assert(write_body_decodes_to(&rows, &batch));
    for (size_t i = 0; i < batch.series.count; i++) {
        Error err;
        bool fine = labels_check(batch.series.at[i].labels, &err);
        assert(fine || err.code == ERROR_TOO_LARGE);  // a suffix too much
    }
    batch_free(&batch);
    write_body_free(&rows);
    statsd_free(&statsd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run(data, size, false);
    run(data, size, true);
    return 0;
}
