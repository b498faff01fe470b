// Bytes and nanoseconds per sample of the column codecs for typical shapes: ninja chunk_bench, then
// run it.

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "os/clock.h"
#include "store/series/chunk.h"

enum { SERIES = 400, REPEATS = 8 };

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

typedef struct Shape {
    const char *name;
    double (*next)(double last, size_t i);
} Shape;

static double constant(double last, size_t i) {
    return i == 0 ? 17 : last;
}
static double steady(double last, size_t i) {
    return i == 0 ? 123456 : last + 300;
}
static double counter(double last, size_t i) {
    return i == 0 ? 1e6 : last + floor(fabs(1500 + 120 * gauss()));
}
static double counter_reset(double last, size_t i) {
    return rnd() % 300 == 0 ? 0 : counter(last, i);
}
static double counter_rare(double last, size_t i) {
    return i == 0 ? 77 : last + (rnd() % 40 == 0);
}
static double gauge_decimals(double last, size_t i) {
    return floor(5000 + 300 * gauss()) / 100;
}
static double gauge_walk(double last, size_t i) {
    return i == 0 ? 5000 : last + floor(5 * gauss());
}
static double gauge_bytes(double last, size_t i) {
    return i == 0 ? 4096e6 : last + 4096 * floor(40 * gauss());
}
static double doubles(double last, size_t i) {
    return 0.5 + 0.1 * gauss();
}
static double doubles_walk(double last, size_t i) {
    return i == 0 ? 1000 : last + 0.37 * uniform();
}
static double bucket(double last, size_t i) {
    return i == 0 ? 9000 : last + (double)(rnd() % 4);
}

static const Shape shapes[] = {
    {"constant", constant},
    {"counter, steady", steady},
    {"counter, noisy rate", counter},
    {"counter, resets", counter_reset},
    {"counter, rare", counter_rare},
    {"gauge, 2 decimals", gauge_decimals},
    {"gauge, integer walk", gauge_walk},
    {"gauge, pages of memory", gauge_bytes},
    {"true doubles, noise", doubles},
    {"true doubles, counter", doubles_walk},
    {"histogram bucket", bucket},
};

static void measure(const char *name, const double *values, const int64_t *times, size_t count,
                    bool fast) {
    uint8_t *encoded = memory_take((size_t)SERIES * COLUMN_BYTES_MAX);
    size_t *lens = memory_new_array(size_t, SERIES);
    int64_t best_encode = INT64_MAX, best_decode = INT64_MAX;
    size_t bytes = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        int64_t begun = cpu_thread_ns();
        bytes = 0;
        for (size_t s = 0; s < SERIES; s++) {
            uint8_t *into = encoded + s * COLUMN_BYTES_MAX;
            lens[s] = values != NULL
                          ? values_encode(values + s * CHUNK_SAMPLES_MAX, count, fast, into)
                          : times_encode(times + s * CHUNK_SAMPLES_MAX, count, into);
            bytes += lens[s];
        }
        int64_t between = cpu_thread_ns();
        for (size_t s = 0; s < SERIES; s++) {
            UNFILLED double out[CHUNK_SAMPLES_MAX];
            UNFILLED int64_t out_times[CHUNK_SAMPLES_MAX];
            size_t used;
            Bytes from = {encoded + s * COLUMN_BYTES_MAX, lens[s]};
            bool decoded = values != NULL ? values_decode(from, count, out, &used, NULL)
                                          : times_decode(from, count, out_times, &used, NULL);
            if (!decoded) printf("not decoded\n");
        }
        int64_t ended = cpu_thread_ns();
        best_encode = MIN(best_encode, between - begun);
        best_decode = MIN(best_decode, ended - between);
    }
    double samples = (double)SERIES * (double)count;
    printf("%-24s %5zu %8.3f B %7.1f ns encode %6.2f ns decode  first byte %02x\n", name, count,
           (double)bytes / samples, (double)best_encode / samples, (double)best_decode / samples,
           encoded[0]);
    memory_free(encoded);
    memory_free(lens);
}

int main(void) {
    double *values = memory_take(sizeof(double) * SERIES * CHUNK_SAMPLES_MAX);
    int64_t *times = memory_take(sizeof(int64_t) * SERIES * CHUNK_SAMPLES_MAX);
    static const size_t counts[] = {STRIP_SAMPLES, 480, 1024};
    for (size_t c = 0; c < COUNT(counts); c++) {
        for (size_t shape = 0; shape < COUNT(shapes); shape++) {
            for (size_t s = 0; s < SERIES; s++) {
                double last = 0;
                for (size_t i = 0; i < counts[c]; i++)
                    values[s * CHUNK_SAMPLES_MAX + i] = last = shapes[shape].next(last, i);
            }
            measure(shapes[shape].name, values, NULL, counts[c], counts[c] == STRIP_SAMPLES);
        }
        for (int jitter = 0; jitter < 2; jitter++) {
            for (size_t s = 0; s < SERIES; s++) {
                for (size_t i = 0; i < counts[c]; i++) {
                    times[s * CHUNK_SAMPLES_MAX + i] =
                        1700000000000 + (int64_t)i * 15000 + (jitter ? (int64_t)(2 * gauss()) : 0);
                }
            }
            measure(jitter ? "clock, jittered" : "clock, regular", NULL, times, counts[c], false);
        }
    }
    memory_free(values);
    memory_free(times);
    return 0;
}
