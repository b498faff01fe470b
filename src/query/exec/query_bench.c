// How long typical queries take over a head of many series: `query_bench [series] [samples]`, one
// line per query, in CPU time. With a third argument, "blocks", over blocks, and long ranges
// instead; "tiers": the same ranges of samples, of windows of 5 m and of 1 h.

#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "query/exec/script.h"

static void fill(ScriptStore *store, size_t series_count, size_t samples, Arena *arena) {
    SeriesPrediction prediction = {0};
    Builder *wires = arena_push_array(arena, Builder, series_count);
    for (size_t i = 0; i < series_count; i++) {
        labels_append(&wires[i], LABEL_NAME, TEXT("requests_total"));
        labels_append(&wires[i], TEXT("instance"), text_format(arena, "host-%05zu", i));
        labels_append(&wires[i], TEXT("job"), text_format(arena, "job-%zu", i % 20));
        labels_append(&wires[i], TEXT("le"), text_format(arena, "%zu", i % 10 + 1));
    }
    uint64_t random = 1;
    double *values = arena_push_array(arena, double, series_count);
    Batch batch = {0};
    for (size_t step = 0; step < samples; step++) {
        batch_clear(&batch);
        for (size_t i = 0; i < series_count; i++) {
            values[i] += (double)(test_random(&random) % 100);
            *array_add(&batch.series) =
                (BatchSeries){.labels = text_bytes(builder_text(&wires[i])),
                              .sample_count = 1,
                              .first_sample = (uint32_t)batch.samples.count};
            *array_add(&batch.samples) = (Sample){(int64_t)step * 15000, values[i]};
        }
        series_write_begin(store->store);
        series_resolve(store->store, &prediction, &batch, false);
        series_append(store->store, &batch, store->sequence++);
        series_write_end(store->store);
    }
    batch_free(&batch);
    for (size_t i = 0; i < series_count; i++) builder_free(&wires[i]);
}

static void measure_with(ScriptStore *store, const char *text, int64_t end_ms, int64_t step_ms,
                         int64_t most_ms) {
    Clock *clock = clock_system();
    Error err;
    int64_t best_ns = INT64_MAX, json_ns = 0;
    QueryResult result;
    size_t json_bytes = 0;
    for (int i = 0; i < 5; i++) {
        AUTO(arena_free) Arena arena = {0};
        AUTO(builder_free) Builder out = {0};
        QueryRequest request = {.text = text_from_cstring(text),
                                .start_ms = step_ms == 0 ? end_ms : end_ms - 240 * step_ms,
                                .end_ms = end_ms,
                                .step_ms = step_ms,
                                .max_resolution_ms = most_ms,
                                .clock = clock};
        int64_t before = cpu_thread_ns();
        if (!query_run(store->store, &request, &arena, &result, NULL, &err)) {
            printf("%-60s %s\n", text, err.message);
            return;
        }
        int64_t between = cpu_thread_ns();
        JsonWriter writer = json_writer_begin(&out);
        query_write_json(&result, &writer);
        if (between - before < best_ns) {
            best_ns = between - before;
            json_ns = cpu_thread_ns() - between;
            json_bytes = out.len;
        }
    }
    printf("%-60s %8.2f ms %7.1f ns/sample %6zu series %8.2f MB json in %6.2f ms, peak %5.1f MB\n",
           text, (double)best_ns / 1e6,
           (double)best_ns / (double)MAX(result.stats.samples, (uint64_t)1), result.count,
           (double)json_bytes / 1e6, (double)json_ns / 1e6,
           (double)result.stats.memory_peak_bytes / 1e6);
}

static void measure(ScriptStore *store, const char *text, int64_t end_ms, int64_t step_ms) {
    measure_with(store, text, end_ms, step_ms, 0);
}

// Makes the tiers of all days that are over; says what they take.
static bool make_tiers(ScriptStore *store, size_t series, Error *err) {
    int64_t begun_ns = cpu_thread_ns(), now_ms = store->clock.wall_ms;
    for (bool more = true; more;)
        if (!series_make_tiers(store->store, now_ms, &more, err)) return false;
    SeriesState state;
    series_state(store->store, &state);
    printf(
        "%llu blocks of %lld bytes, %llu tiers of %lld bytes (%.1f bytes a series and day), made "
        "in %.0f ms: %.1f ns a sample\n",
        (unsigned long long)state.blocks, (long long)state.block_bytes,
        (unsigned long long)state.tiers, (long long)state.tier_bytes,
        (double)state.tier_bytes / (double)series / (double)state.blocks,
        (double)(cpu_thread_ns() - begun_ns) / 1e6,
        (double)(cpu_thread_ns() - begun_ns) / (double)state.block_samples);
    return true;
}

// Of all days, an hour a step.
static void measure_tiers(ScriptStore *store, int64_t end_ms) {
    static const char *const queries[] = {
        "sum(rate(requests_total[1h]))", "max(max_over_time(requests_total[1h]))",
        "sum(avg_over_time(requests_total[6h]))", "sum(requests_total)"};
    static const int64_t most_ms[] = {0, 300000, 3600000};
    end_ms -= end_ms % 3600000;
    for (size_t i = 0; i < COUNT(queries); i++) {
        for (size_t k = 0; k < COUNT(most_ms); k++)
            measure_with(store, queries[i], end_ms, 3600000, most_ms[k]);
    }
}

// Ranges of hours and a day, to the end of the data and to somewhere before it.
static void measure_blocks(ScriptStore *store, int64_t end_ms) {
    static const char *const names[] = {"max", "min", "last", "first", "present", "sum"};
    static const char *const ranges[] = {"6h", "1d"};
    AUTO(arena_free) Arena arena = {0};
    int64_t moments[] = {end_ms, end_ms - 4000000};
    for (size_t r = 0; r < COUNT(ranges); r++) {
        for (size_t f = 0; f < COUNT(names); f++) {
            for (size_t m = 0; m < COUNT(moments); m++) {
                Text text = text_format(&arena, "max(%s_over_time(requests_total[%s]))%c", names[f],
                                        ranges[r], 0);
                measure(store, text.at, moments[m], 0);
            }
        }
    }
    measure(store, "max(max_over_time(requests_total[6h]))", end_ms, 360000);
    measure(store, "max(max_over_time(requests_total[1d]))", end_ms, 360000);
    measure(store, "sum(requests_total)", end_ms, 0);
}

int main(int argc, char **argv) {
    uint64_t series = 5000, samples = 1000;
    if (argc > 1 && !text_to_u64(text_from_cstring(argv[1]), &series)) return 2;
    if (argc > 2 && !text_to_u64(text_from_cstring(argv[2]), &samples)) return 2;
    AUTO(arena_free) Arena arena = {0};
    ScriptStore store;
    Error err;
    if (!script_store_open(&store, &arena, &err)) return 1;
    fill(&store, series, samples, &arena);
    int64_t end_ms = ((int64_t)samples - 1) * 15000;
    printf("%zu series of %zu samples; ranges take 241 steps\n", (size_t)series, (size_t)samples);
    if (argc > 3) {
        bool more = true;
        bool sealed = series_turn(store.store, &err) && series_seal(store.store, &err);
        while (sealed && more) sealed = series_merge(store.store, &more, &err);
        if (!sealed) {
            printf("%s\n", err.message);
            return 1;
        }
        if (strcmp(argv[3], "tiers") == 0) {
            if (make_tiers(&store, series, &err)) measure_tiers(&store, end_ms);
        } else {
            measure_blocks(&store, end_ms);
        }
        script_store_close(&store);
        return 0;
    }
    measure(&store, "requests_total", end_ms, 0);
    measure(&store, "sum(requests_total)", end_ms, 0);
    measure(&store, "sum by (job) (rate(requests_total[5m]))", end_ms, 0);
    measure(&store, "sum by (job) (rate(requests_total[5m]))", end_ms, 60000);
    measure(&store, "rate(requests_total[5m])", end_ms, 60000);
    measure(&store, "requests_total", end_ms, 60000);
    measure(&store, "max by (job) (max_over_time(requests_total[10m]))", end_ms, 60000);
    measure(&store, "avg(avg_over_time(requests_total[10m]))", end_ms, 60000);
    measure(&store, "avg(quantile_over_time(0.9, requests_total[10m]))", end_ms, 60000);
    measure(&store, "histogram_quantile(0.9, sum by (le) (rate(requests_total[5m])))", end_ms,
            60000);
    measure(&store, "topk(5, rate(requests_total[5m]))", end_ms, 60000);
    measure(&store, "sum by (job) (requests_total / on (instance) requests_total)", end_ms, 60000);
    script_store_close(&store);
    return 0;
}
