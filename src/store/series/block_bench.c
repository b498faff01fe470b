// Bytes and nanoseconds per sample of whole blocks, shaped like scrapes of node_exporter: ninja
// block_bench, then `block_bench [targets] [samples] [jitter_ms] [cold]`.

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "os/clock.h"
#include "store/series/block_fixture.h"

static uint64_t state = 42;
static uint64_t rnd(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}
static double uniform(void) {
    return (double)(rnd() >> 11) * 0x1p-53;
}
static double gauss(void) {
    return sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

enum { METRICS = 60, VARIANTS = 8 };

// A mixture as scrapes have it: a third never changes, counters of several kinds, gauges.
static void fill(size_t metric, double *values, size_t count) {
    double last = 0;
    double rate = 1 + (double)(rnd() % 500);
    for (size_t i = 0; i < count; i++) {
        switch (metric % 12) {
            case 0:
            case 1:
            case 2:
            case 3:
                values[i] = (double)(metric * 17 % 1000);
                break;
            case 4:
                values[i] = last = i == 0 ? floor(uniform() * 1e7)
                                          : last + floor(fabs(rate + rate / 10 * gauss()));
                break;
            case 5:
                values[i] = last = i == 0 ? floor(uniform() * 1e5) : last + (rnd() % 30 == 0);
                break;
            case 6:
                values[i] = floor(5000 + 200 * gauss()) / 100;
                break;
            case 7:
                values[i] = last = i == 0 ? 1e9 : last + 4096 * floor(20 * gauss());
                break;
            case 8:
                values[i] = last = i == 0 ? floor(uniform() * 1e4) : last + (double)(rnd() % 4);
                break;
            case 9:
                values[i] = last = i == 0 ? 1234.5 : round((last + uniform() * 3) * 100) / 100;
                break;
            case 10:
                values[i] = last = rnd() % 20 == 0 ? (double)(rnd() % 100) : last;
                break;
            default:
                values[i] = last = i == 0 ? 10 : last + 0.1 * uniform();
                break;
        }
    }
}

static void read_all(const Block *block, uint64_t samples) {
    BlockCursor *cursor = block_cursor_open(block);
    SeriesColumns columns = {0};
    Error err;
    int64_t begun = cpu_thread_ns();
    for (uint32_t s = 0; s < block_facts(block).series; s++) {
        columns.count = 0;
        if (!block_read(cursor, s, INT64_MIN, INT64_MAX, &columns, &err))
            printf("%s\n", err.message);
    }
    int64_t ended = cpu_thread_ns();
    printf("read   %7.2f ns per sample\n", (double)(ended - begun) / (double)samples);
    Arena arena = {0};
    begun = cpu_thread_ns();
    for (uint32_t s = 0; s < block_facts(block).series; s++) {
        Labels labels;
        if (!block_labels(block, s, &arena, &labels, &err)) printf("%s\n", err.message);
    }
    printf("labels %7.0f ns per series\n",
           (double)(cpu_thread_ns() - begun) / (double)block_facts(block).series);
    Matcher matchers[2];
    if (!matcher_make(MATCH_EQUAL, LABEL_NAME, TEXT("metric_004"), &matchers[0], &err) ||
        !matcher_make(MATCH_REGEX, TEXT("instance"), TEXT("host-00.*"), &matchers[1], &err))
        return;
    BlockSeriesSet set;
    begun = cpu_thread_ns();
    if (!block_select(block, (Matchers){matchers, 2}, &arena, &set, &err))
        printf("%s\n", err.message);
    printf("select %7.0f us for %zu series\n", (double)(cpu_thread_ns() - begun) / 1000, set.count);
    matcher_close(&matchers[0]);
    matcher_close(&matchers[1]);
    arena_free(&arena);
    series_columns_free(&columns);
    block_cursor_close(&cursor);
}

static size_t argument(int argc, char **argv, int at, size_t otherwise) {
    uint64_t number = 0;
    return argc > at && text_to_u64(text_from_cstring(argv[at]), &number) ? number : otherwise;
}

int main(int argc, char **argv) {
    size_t targets = argument(argc, argv, 1, 40), count = argument(argc, argv, 2, 480),
           jitter = argument(argc, argv, 3, 3), cold = argument(argc, argv, 4, 0);
    Error err;
    Arena arena = {0};
    int64_t *times = memory_new_array(int64_t, targets * count);
    double *values = memory_new_array(double, count);
    for (size_t t = 0; t < targets; t++) {
        for (size_t i = 0; i < count; i++) {
            times[t * count + i] = 1700000000000 + (int64_t)(t * 97 + i * 15000) +
                                   (jitter > 0 ? (int64_t)((double)jitter * gauss()) : 0);
        }
    }
    BlockWriter *writer = block_writer_begin();
    if (cold > 0) block_writer_cold(writer);
    int64_t spent = 0;
    for (size_t metric = 0; metric < METRICS; metric++) {
        for (size_t t = 0; t < targets; t++) {
            for (size_t variant = 0; variant < VARIANTS; variant++) {
                char name[32], instance[32], device[32];
                snprintf(name, sizeof name, "metric_%03zu", metric);
                snprintf(instance, sizeof instance, "host-%03zu:9100", t);
                snprintf(device, sizeof device, "device%zu", variant);
                fill(metric, values, count);
                Labels labels = FIXTURE_LABELS(&arena, "__name__", name, "env", "prod", "instance",
                                               instance, "job", "node", "variant", device);
                int64_t begun = cpu_thread_ns();
                if (!block_writer_series(writer, labels, &err) ||
                    !block_writer_samples(writer, times + t * count, values, count, &err))
                    printf("%s\n", err.message);
                spent += cpu_thread_ns() - begun;
            }
        }
    }
    Builder out = {0};
    int64_t begun = cpu_thread_ns();
    if (!block_writer_finish(writer, &out, &err)) printf("%s\n", err.message);
    spent += cpu_thread_ns() - begun;
    block_writer_free(&writer);
    uint64_t samples = METRICS * VARIANTS * targets * count;
    MemoryObject memory;
    memory_object_begin(&memory, text_bytes(builder_text(&out)));
    Block *block;
    begun = cpu_thread_ns();
    if (!memory_block_open(&memory, &block, &err)) return 1;
    int64_t opened = cpu_thread_ns() - begun;
    Builder text = {0};
    if (!block_inspect(block, false, NULL, &text, &err)) printf("%s\n", err.message);
    printf("%.*s", TEXT_ARG(builder_text(&text)));
    printf("write  %7.2f ns per sample\nopen   %7.0f us\n", (double)spent / (double)samples,
           (double)opened / 1000);
    read_all(block, samples);
    block_unref(&block);
    memory_object_end(&memory);
    builder_free(&out);
    builder_free(&text);
    arena_free(&arena);
    memory_free(times);
    memory_free(values);
    return 0;
}
