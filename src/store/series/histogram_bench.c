// What a native histogram costs in a head: bytes (as the head counts them, and resident), ns of CPU
// to store one, and to read one, as wire bytes and decoded for a query. Run it in a release build;
// the figures are printed, nothing is judged.
//
//   histogram_bench [series [rows [buckets]]]

#include <stdio.h>

#include "model/histogram.h"
#include "os/process.h"
#include "store/series/head.h"

// A counter of observations, more of them near the middle of its buckets.
typedef struct Source {
    uint64_t random;
    uint64_t counts[160];
    uint64_t total;
    double sum;
} Source;

static void write_next(Source *source, uint32_t buckets, Builder *out) {
    int64_t deltas[COUNT(source->counts)];
    uint64_t observations = (source->random = hash_id(source->random)) % 200;
    for (uint64_t i = 0; i < observations; i++) {
        uint64_t random = source->random = hash_id(source->random);
        uint64_t at = (random % buckets + (random >> 16) % buckets + (random >> 32) % buckets) / 3;
        source->counts[at]++;
        source->sum += (double)(random >> 48 & 4095) / 1000;
    }
    source->total += observations;
    for (uint32_t i = 0; i < buckets; i++)
        deltas[i] = (int64_t)(source->counts[i] - (i > 0 ? source->counts[i - 1] : 0));
    HistogramSpan span = {-10, buckets};
    NativeHistogram native = {.schema = 3,
                              .count = source->total,
                              .sum = source->sum,
                              .zero_threshold = 0x1p-128,
                              .positive = {&span, 1, deltas, NULL, buckets}};
    builder_clear(out);
    native_histogram_write(&native, out);
}

static void read_all(Head *head, uint32_t series, uint32_t rows, bool decode, const char *name) {
    Arena arena = {0};
    size_t count = 0, bad = 0;
    int64_t begin = cpu_thread_ns();
    for (uint32_t i = 0; i < series; i++) {
        SeriesHistogramArray found = {0};
        arena_clear(&arena);
        side_histograms(head, i, INT64_MIN, INT64_MAX, &arena, &found);
        count += found.count;
        for (size_t k = 0; decode && k < found.count; k++) {
            const Histogram *histogram;
            Error err;
            bad += !histogram_decode(found.at[k].wire, &arena, &histogram, &err);
        }
    }
    printf("%-24s %8.0f ns/histogram%s\n", name, (double)(cpu_thread_ns() - begin) / (double)count,
           count == (size_t)series * rows && bad == 0 ? "" : "  (NOT ALL THERE)");
    arena_free(&arena);
}

static uint32_t argument(int argc, char **argv, int at, uint32_t otherwise) {
    uint64_t value;
    return argc > at && text_to_u64(text_from_cstring(argv[at]), &value) ? (uint32_t)value
                                                                         : otherwise;
}

int main(int argc, char **argv) {
    uint32_t series = argument(argc, argv, 1, 2000), rows = argument(argc, argv, 2, 480),
             buckets = argument(argc, argv, 3, 24);
    if (buckets == 0 || buckets > 160) buckets = 24;
    Source *sources = memory_new_array(Source, series);
    Head *head = head_open(1, (HashKey){1, 2}, NULL, 0);
    Builder wire = {0};
    uint64_t bytes = 0;
    int64_t ns = 0, resident = process_memory_resident(), held = head_bytes(head);
    for (uint32_t i = 0; i < series; i++) sources[i].random = i + 1;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < series; i++) {
            write_next(&sources[i], buckets, &wire);
            bytes += wire.len;
            int64_t begin = cpu_thread_ns();
            (void)side_add_histogram(head, i, 1764000000000 + (int64_t)row * 15000 + i % 7,
                                     text_bytes(builder_text(&wire)));
            ns += cpu_thread_ns() - begin;
        }
    }
    double count = (double)series * rows;
    printf("%-24s %8.1f bytes/histogram on the wire, %.1f in the head, %.1f resident\n", "memory",
           (double)bytes / count, (double)(head_bytes(head) - held) / count,
           (double)(process_memory_resident() - resident) / count);
    printf("%-24s %8.0f ns/histogram (clock included)\n", "stored", (double)ns / count);
    read_all(head, series, rows, false, "read");
    read_all(head, series, rows, true, "read and decoded");
    head_unref(&head);
    builder_free(&wire);
    memory_free(sources);
    return 0;
}
