// What a sample costs in this room: ns of CPU per sample for series that come in order, shuffled,
// and new; bytes of resident memory per series. Run it in a release build; the figures are printed,
// nothing is judged.
//
//   series_bench [series [steps [new_series]]]

#include <stdio.h>
#include <stdlib.h>

#include "os/process.h"
#include "store/series/head.h"

enum { ROWS = 2000 };

// Shaped like node_exporter's: eleven labels of some 200 bytes, one series of many per instance.
static Bytes labels_of(uint32_t series, Arena *arena) {
    Builder wire = {0};
    uint32_t instance = series / 700, metric = series % 700;
    labels_append(&wire, LABEL_NAME,
                  text_format(arena, "node_metric_with_a_name_%u_total", metric / 8));
    labels_append(&wire, TEXT("cluster"), TEXT("production-eu-west-1"));
    labels_append(&wire, TEXT("cpu"), text_format(arena, "%u", metric % 8));
    labels_append(&wire, TEXT("device"), text_format(arena, "nvme%un1", metric % 3));
    labels_append(&wire, TEXT("environment"), TEXT("prod"));
    labels_append(&wire, TEXT("instance"),
                  text_format(arena, "10.%u.%u.%u:9100", instance >> 16, instance >> 8 & 255,
                              instance & 255));
    labels_append(&wire, TEXT("job"), TEXT("node_exporter"));
    labels_append(&wire, TEXT("mode"), TEXT("idle"));
    labels_append(&wire, TEXT("region"), TEXT("eu-west-1"));
    labels_append(&wire, TEXT("team"), TEXT("infrastructure"));
    labels_append(&wire, TEXT("zone"), TEXT("eu-west-1b"));
    Bytes bytes = bytes_copy(text_bytes(builder_text(&wire)), arena);
    builder_free(&wire);
    return bytes;
}

typedef struct Run {
    Head *head;
    Quota quota;
    SeriesPrediction prediction;
    HeadCounts counts;
    Batch batch;
    Builder body;  // label bytes of the batch side by side, as a decoder leaves them
    int64_t ns;
    uint64_t samples;
    bool starts;  // every sample says when its counting began
} Run;

static void write_batch(Run *run) {
    int64_t begin = cpu_thread_ns();
    head_resolve(run->head, NULL, &run->quota, clock_system(), &run->prediction, &run->batch,
                 INT64_MIN + 1, false, &run->counts);
    head_append(run->head, &run->batch, 1, INT64_MIN + 1);
    run->ns += cpu_thread_ns() - begin;
    run->samples += run->batch.samples.count;
}

static void add_row(Run *run, Bytes labels, Sample sample) {
    if (run->body.capacity == 0) builder_reserve(&run->body, ROWS * 512);
    if (run->batch.series.count == 0) builder_clear(&run->body);
    size_t at = run->body.len;
    builder_add_bytes(&run->body, labels.at, labels.len);
    labels.at = (const uint8_t *)run->body.at + at;
    *array_add(&run->batch.series) = (BatchSeries){
        .labels = labels, .first_sample = (uint32_t)run->batch.samples.count, .sample_count = 1};
    *array_add(&run->batch.samples) = sample;
    if (run->starts) batch_add_start(&run->batch, 1795219100000);
}

// Values that look measured: counters, gauges with two decimals, constants.
static double value_of(uint32_t series, uint32_t step) {
    uint64_t noise = hash_id((uint64_t)series << 32 | step);
    if (series % 4 == 0) return 1;
    if (series % 4 == 1) return (double)(step * 15 + noise % 15);
    return (double)(int64_t)(noise % 10000) / 100;
}

static void steps(Run *run, const char *name, const Bytes *labels, uint32_t series, uint32_t from,
                  uint32_t count, bool shuffled) {
    run->ns = 0;
    run->samples = 0;
    run->counts = (HeadCounts){0};
    uint64_t random = 1;
    uint32_t *order = memory_new_array(uint32_t, series);
    for (uint32_t i = 0; i < series; i++) order[i] = i;
    for (uint32_t step = from; step < from + count; step++) {
        for (uint32_t i = series - 1; shuffled && i > 0; i--) {
            random = hash_id(random + i);
            uint32_t other = (uint32_t)(random % (i + 1)), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
        for (uint32_t at = 0; at < series; at += ROWS) {
            batch_clear(&run->batch);
            for (uint32_t i = at; i < MIN(at + (uint32_t)ROWS, series); i++) {
                add_row(run, labels[order[i]],
                        (Sample){1795219200000 + (int64_t)step * 15000, value_of(order[i], step)});
            }
            write_batch(run);
        }
    }
    printf("%-22s %8.1f ns/sample   (predicted %llu, looked up %llu, made %llu)\n", name,
           (double)run->ns / (double)run->samples, (unsigned long long)run->counts.predicted,
           (unsigned long long)run->counts.looked_up, (unsigned long long)run->counts.created);
    memory_free(order);
}

static void open_run(Run *run) {
    *run = (Run){.head = head_open(1, (HashKey){1, 2}, NULL, 0)};
    quota_begin(&run->quota, (SeriesLimits){0}, 0);
}

static void close_run(Run *run) {
    head_unref(&run->head);
    quota_end(&run->quota);
    batch_free(&run->batch);
    builder_free(&run->body);
}

static void read_all(Run *run, uint32_t series) {
    SeriesColumns columns = {0};
    Error err = {0};
    int64_t begin = cpu_thread_ns();
    size_t count = 0;
    for (uint32_t i = 0; i < series; i++) {
        columns.count = 0;
        if (head_read(run->head, NULL, i, INT64_MIN, INT64_MAX, &columns, &err))
            count += columns.count;
    }
    printf("%-22s %8.1f ns/sample\n", "read from the head",
           (double)(cpu_thread_ns() - begin) / (double)count);
    series_columns_free(&columns);
}

static uint32_t argument(int argc, char **argv, int at, uint32_t otherwise) {
    uint64_t value;
    return argc > at && text_to_u64(text_from_cstring(argv[at]), &value) ? (uint32_t)value
                                                                         : otherwise;
}

int main(int argc, char **argv) {
    uint32_t series = argument(argc, argv, 1, 20000), count = argument(argc, argv, 2, 240),
             fresh = argument(argc, argv, 3, 400000);
    Arena arena = {0};
    Bytes *labels = arena_push_array(&arena, Bytes, MAX(series, fresh));
    for (uint32_t i = 0; i < MAX(series, fresh); i++) labels[i] = labels_of(i, &arena);
    Run run;
    open_run(&run);
    steps(&run, "new, then known", labels, series, 0, 1, false);
    steps(&run, "known in order", labels, series, 1, count, false);
    read_all(&run, series);
    printf("%-22s %8.2f bytes/sample\n", "head",
           (double)head_bytes(run.head) / (double)series / (double)(count + 1));
    steps(&run, "known, shuffled", labels, series, count + 1, count / 4 + 1, true);
    close_run(&run);

    open_run(&run);
    run.starts = true;
    steps(&run, "new, with starts", labels, series, 0, 1, false);
    steps(&run, "in order, with starts", labels, series, 1, count, false);
    read_all(&run, series);
    printf("%-22s %8.2f bytes/sample\n", "head",
           (double)head_bytes(run.head) / (double)series / (double)(count + 1));
    close_run(&run);

    int64_t before = process_memory_resident();
    open_run(&run);
    steps(&run, "all new", labels, fresh, 0, 1, false);
    int64_t after_one = process_memory_resident() - before;
    steps(&run, "19 steps more", labels, fresh, 1, 19, false);
    int64_t after_all = process_memory_resident() - before;
    printf(
        "%-22s %8.1f bytes/series resident after 1 sample, %.1f after 20 (the head says %.1f; "
        "registry %.1f)\n",
        "memory", (double)after_one / fresh, (double)after_all / fresh,
        (double)head_bytes(run.head) / fresh, (double)run.head->registry.bytes / fresh);
    close_run(&run);
    arena_free(&arena);
    return 0;
}
