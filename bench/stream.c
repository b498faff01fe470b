// Makes a realistic remote-write stream: node_exporter-shaped targets, scraped every interval by a
// sender of batches.
//
//   stream --series 100000 --steps 60 --interval-ms 15000 --batch 2000 [--start-ms T] [--shuffle]
//   [--seed N] > FILE
//
// A frame of the file is a little-endian uint32 length and a snappy-compressed
// prometheus.WriteRequest. Every target has SERIES_PER_TARGET series in the order in which an
// exporter prints them, its own phase and a few milliseconds of jitter per scrape. Values are of
// five kinds, in the proportions of a real node_exporter page (counted on one: 70 % hardly ever
// change): constants, counters (with a restart of the target now and then), integer gauges, decimal
// gauges, histogram buckets.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "model/labels.h"

enum { SERIES_PER_TARGET = 1000, BUCKETS = 12 };

typedef enum Kind {
    KIND_CONSTANT,
    KIND_COUNTER,
    KIND_GAUGE_INTEGER,
    KIND_GAUGE_DECIMAL,
    KIND_BUCKET
} Kind;

// A family of one exporter page: its name, one more label with so many values, how its values move.
typedef struct Family {
    const char *name;
    const char *label;
    const char *second_label;  // or NULL: two values "a", "b" each
    int values;
    Kind kind;
    double scale;
} Family;

static const Family families[] = {
    {"node_cpu_seconds_total", "cpu", "mode", 128, KIND_COUNTER, 0.01},
    {"node_cpu_guest_seconds_total", "cpu", "mode", 32, KIND_CONSTANT, 0},
    {"node_cooling_device_cur_state", "name", NULL, 16, KIND_CONSTANT, 0},
    {"node_cpu_scaling_frequency_hertz", "cpu", NULL, 16, KIND_GAUGE_INTEGER, 1e6},
    {"node_disk_read_bytes_total", "device", NULL, 12, KIND_COUNTER, 4096},
    {"node_disk_written_bytes_total", "device", NULL, 12, KIND_COUNTER, 4096},
    {"node_disk_io_time_seconds_total", "device", NULL, 12, KIND_COUNTER, 0.001},
    {"node_disk_io_now", "device", NULL, 12, KIND_GAUGE_INTEGER, 1},
    {"node_disk_info", "device", NULL, 12, KIND_CONSTANT, 0},
    {"node_filesystem_avail_bytes", "mountpoint", NULL, 16, KIND_GAUGE_INTEGER, 4096},
    {"node_filesystem_size_bytes", "mountpoint", NULL, 16, KIND_CONSTANT, 0},
    {"node_filesystem_readonly", "mountpoint", NULL, 16, KIND_CONSTANT, 0},
    {"node_hwmon_temp_celsius", "sensor", NULL, 12, KIND_GAUGE_DECIMAL, 0.125},
    {"node_load", "window", NULL, 3, KIND_GAUGE_DECIMAL, 0.01},
    {"node_memory_bytes", "field", NULL, 50, KIND_GAUGE_INTEGER, 4096},
    {"node_netstat", "field", NULL, 60, KIND_COUNTER, 1},
    {"node_netstat_errors_total", "field", NULL, 60, KIND_CONSTANT, 0},
    {"node_network_receive_bytes_total", "device", NULL, 10, KIND_COUNTER, 64},
    {"node_network_transmit_bytes_total", "device", NULL, 10, KIND_COUNTER, 64},
    {"node_network_receive_drop_total", "device", NULL, 10, KIND_CONSTANT, 0},
    {"node_network_up", "device", NULL, 10, KIND_CONSTANT, 0},
    {"node_pressure_waiting_seconds_total", "resource", NULL, 3, KIND_COUNTER, 0.000001},
    {"node_schedstat_running_seconds_total", "cpu", NULL, 16, KIND_COUNTER, 0.000000001},
    {"node_softnet_dropped_total", "cpu", NULL, 16, KIND_CONSTANT, 0},
    {"node_systemd_unit_state", "name", "state", 240, KIND_CONSTANT, 0},
    {"node_vmstat", "field", NULL, 40, KIND_COUNTER, 1},
    {"http_request_duration_seconds_bucket", "handler", NULL, 96, KIND_BUCKET, 1},
    {"http_requests_in_flight", "handler", NULL, 8, KIND_GAUGE_INTEGER, 1},
    {"process_info", "item", NULL, 66, KIND_CONSTANT, 0},
};

typedef struct Row {
    Labels labels;
    Kind kind;
    double scale;
    double value;
    double rate;  // of change per step, in units of scale
    int bucket;   // place within its histogram
} Row;

typedef struct Stream {
    Arena arena;
    ARRAY(Row) rows;
    size_t target_count;
    uint64_t random;
    int64_t *phases;
} Stream;

static double uniform(Stream *stream) {
    return (double)(test_random(&stream->random) >> 11) * 0x1p-53;
}

// A value that is small most of the time and large now and then.
static double skewed(Stream *stream, double mean) {
    return -log(1.0 - uniform(stream)) * mean;
}

static Labels labels_of(Stream *stream, const Family *family, int value, size_t target) {
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    Arena *arena = &stream->arena;
    Label labels[8];
    size_t count = 0;
    labels[count++] = (Label){LABEL_NAME, text_from_cstring(family->name)};
    labels[count++] = (Label){
        TEXT("instance"), text_format(arena, "node-%04zu.dc%zu.example:9100", target, target % 3)};
    labels[count++] = (Label){TEXT("job"), TEXT("node")};
    labels[count++] = (Label){TEXT("region"), text_format(arena, "eu-west-%zu", 1 + target % 3)};
    labels[count++] = (Label){TEXT("team"), text_format(arena, "platform-%zu", target % 7)};
    if (family->kind == KIND_BUCKET) {
        static const char *const bounds[BUCKETS] = {
            "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"};
        labels[count++] = (Label){text_from_cstring(family->label),
                                  text_format(arena, "/api/v1/resource-%d", value / BUCKETS)};
        labels[count++] = (Label){TEXT("le"), text_from_cstring(bounds[value % BUCKETS])};
    } else if (family->second_label != NULL) {
        labels[count++] =
            (Label){text_from_cstring(family->label),
                    text_format(arena, "%s%d", family->label[0] == 'c' ? "" : "unit-", value / 8)};
        labels[count++] =
            (Label){text_from_cstring(family->second_label), text_from_cstring(modes[value % 8])};
    } else {
        labels[count++] = (Label){text_from_cstring(family->label),
                                  text_format(arena, "%s-%d", family->label, value)};
    }
    Labels made;
    Error err;
    if (!labels_make(labels, count, arena, &made, &err)) {
        fprintf(stderr, "stream: %s\n", err.message);
        exit(1);
    }
    return made;
}

static void row_add(Stream *stream, const Family *family, int value, size_t target) {
    Row *row = array_add(&stream->rows);
    *row = (Row){.labels = labels_of(stream, family, value, target),
                 .kind = family->kind,
                 .scale = family->scale};
    switch (family->kind) {
        case KIND_CONSTANT:
            row->value = value % 4 == 0 ? 1 : value % 4 == 1 ? floor(uniform(stream) * 1e9) : 0;
            break;
        case KIND_COUNTER:
            // A third of the counters of a host hardly move.
            row->rate = uniform(stream) < 0.35 ? 0 : skewed(stream, 400);
            row->value = floor(uniform(stream) * 1e6) * family->scale;
            break;
        case KIND_GAUGE_INTEGER:
            row->value = floor(uniform(stream) * 1e5) * family->scale;
            break;
        case KIND_GAUGE_DECIMAL:
            row->value = floor(uniform(stream) * 400) * family->scale;
            break;
        case KIND_BUCKET:
            row->bucket = value % BUCKETS;
            row->rate = skewed(stream, 5);
            break;
    }
}

static void begin(Stream *stream, size_t series_count) {
    stream->target_count = (series_count + SERIES_PER_TARGET - 1) / SERIES_PER_TARGET;
    stream->phases = arena_push_array(&stream->arena, int64_t, stream->target_count);
    for (size_t target = 0; target < stream->target_count; target++) {
        stream->phases[target] = (int64_t)(uniform(stream) * 15000);
        size_t in_target = 0;
        for (size_t f = 0; f < COUNT(families); f++) {
            for (int value = 0; value < families[f].values && in_target < SERIES_PER_TARGET &&
                                stream->rows.count < series_count;
                 value++) {
                row_add(stream, &families[f], value, target);
                in_target++;
            }
        }
    }
}

static void row_move(Stream *stream, Row *row, Row *before, bool restarted) {
    switch (row->kind) {
        case KIND_CONSTANT:
            break;
        case KIND_COUNTER:
            if (restarted) row->value = 0;
            if (row->rate > 0)
                row->value =
                    (floor(row->value / row->scale + 0.5) + floor(skewed(stream, row->rate))) *
                    row->scale;
            break;
        case KIND_GAUGE_INTEGER:
            if (uniform(stream) < 0.5)
                row->value = fmax(0, row->value + floor(skewed(stream, 50) - 50) * row->scale);
            break;
        case KIND_GAUGE_DECIMAL:
            row->value =
                fmax(0, (floor(row->value / row->scale + 0.5) + floor(skewed(stream, 4) - 4)) *
                            row->scale);
            break;
        case KIND_BUCKET:
            if (restarted) row->value = 0;
            // Cumulative: each bucket has grown by at least what the one before it has.
            row->value += floor(skewed(stream, row->rate)) * (row->bucket < 6 ? 1 : 0);
            if (row->bucket > 0 && before != NULL && row->value < before->value)
                row->value = before->value;
            break;
    }
}

static void write_frame(const Builder *body) {
    AUTO(builder_free) Builder packed = {0};
    Error err;
    if (!compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(body)), &packed, &err))
        exit(1);
    uint32_t len = (uint32_t)packed.len;
    if (fwrite(&len, sizeof len, 1, stdout) != 1 ||
        fwrite(packed.at, 1, packed.len, stdout) != packed.len) {
        perror("stream: writing");
        exit(1);
    }
}

static void body_add(Builder *body, const Row *row, int64_t time_ms) {
    size_t series = protobuf_begin(body, 1);
    builder_add_bytes(body, row->labels.wire.at, row->labels.wire.len);
    size_t sample = protobuf_begin(body, 2);
    protobuf_add_double(body, 1, row->value);
    protobuf_add_varint(body, 2, (uint64_t)time_ms);
    protobuf_end(body, sample);
    protobuf_end(body, series);
}

typedef struct Options {
    int64_t series, steps, interval_ms, batch, start_ms, seed;
    bool shuffle;
} Options;

// One step: every target is scraped once; its rows join the batch that is being gathered.
static void step(Stream *stream, const Options *options, int64_t number, size_t *order) {
    AUTO(builder_free) Builder body = {0};
    size_t gathered = 0;
    int64_t *times = arena_push_array(&stream->arena, int64_t, stream->target_count);
    bool *restarted = arena_push_array(&stream->arena, bool, stream->target_count);
    for (size_t target = 0; target < stream->target_count; target++) {
        int64_t jitter = (int64_t)(skewed(stream, 2));
        times[target] = options->start_ms + number * options->interval_ms +
                        stream->phases[target] * options->interval_ms / 15000 + jitter;
        restarted[target] = uniform(stream) < 0.001;
    }
    for (size_t i = 0; i < stream->rows.count; i++) {
        Row *before = i > 0 ? &stream->rows.at[i - 1] : NULL;
        row_move(stream, &stream->rows.at[i], before, restarted[i / SERIES_PER_TARGET]);
    }
    if (options->shuffle) {
        for (size_t i = stream->rows.count - 1; i > 0; i--) {
            size_t j = (size_t)(test_random(&stream->random) % (i + 1));
            size_t swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
    }
    for (size_t i = 0; i < stream->rows.count; i++) {
        size_t at = order[i];
        body_add(&body, &stream->rows.at[at], times[at / SERIES_PER_TARGET]);
        if (++gathered == (size_t)options->batch) {
            write_frame(&body);
            builder_clear(&body);
            gathered = 0;
        }
    }
    if (gathered > 0) write_frame(&body);
}

static int64_t number_after(int argc, char **argv, const char *name, int64_t standard) {
    for (int i = 1; i + 1 < argc; i++) {
        int64_t value;
        if (strcmp(argv[i], name) == 0 && text_to_i64(text_from_cstring(argv[i + 1]), &value))
            return value;
    }
    return standard;
}

static bool has(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) return true;
    }
    return false;
}

int main(int argc, char **argv) {
    Options options = {
        .series = number_after(argc, argv, "--series", 100000),
        .steps = number_after(argc, argv, "--steps", 60),
        .interval_ms = number_after(argc, argv, "--interval-ms", 15000),
        .batch = number_after(argc, argv, "--batch", 2000),
        .start_ms = number_after(argc, argv, "--start-ms", 0),
        .seed = number_after(argc, argv, "--seed", 1),
        .shuffle = has(argc, argv, "--shuffle"),
    };
    if (options.start_ms <= 0) {
        fprintf(stderr,
                "usage: stream --start-ms T [--series N] [--steps N] [--interval-ms N] [--batch N] "
                "[--shuffle] [--seed N] > FILE\n");
        return 2;
    }
    Stream stream = {.random = (uint64_t)options.seed};
    begin(&stream, (size_t)options.series);
    size_t *order = arena_push_array(&stream.arena, size_t, stream.rows.count);
    for (size_t i = 0; i < stream.rows.count; i++) order[i] = i;
    for (int64_t number = 0; number < options.steps; number++) {
        ArenaMark mark = arena_mark(&stream.arena);
        step(&stream, &options, number, order);
        arena_reset_to(&stream.arena, mark);
    }
    array_free(&stream.rows);
    arena_free(&stream.arena);
    return fflush(stdout) == 0 ? 0 : 1;
}
