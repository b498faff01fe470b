// Makes a realistic remote-write stream: node_exporter-shaped targets, scraped every interval by a
// sender of batches.
//
//   stream --series 100000 --steps 60 --interval-ms 15000 --batch 2000 [--start-ms T] [--shuffle]
//   [--shift] [--seed N] [--noise small|doubles] [--otlp none|gzip|zstd] [--rw2] > FILE
//
// A frame of the file is a little-endian uint32 length and a snappy-compressed
// prometheus.WriteRequest; with --otlp an ExportMetricsServiceRequest, packed as it says, that
// becomes the same series where otlp.promote_resource_attributes is region,team; with --rw2 an
// io.prometheus.write.v2.Request, with the metadata that Prometheus 3 sends. Every target has
// SERIES_PER_TARGET series in the order in which an exporter prints them, its own phase and a few
// milliseconds of jitter per scrape. Values are of five kinds, in the proportions of a real
// node_exporter page (counted on one: 70 % hardly ever change): constants, counters (with a restart
// of the target now and then), integer gauges, decimal gauges, histogram buckets. With --noise
// every value is drawn anew, evenly: `small` a whole number below 100, `doubles` 53 bits between 0
// and 1. With --shift each step is cut into requests elsewhere, as by a sender that has more series
// than one request takes.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/map.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "model/labels.h"

enum { SERIES_PER_TARGET = 1000, BUCKETS = 12, SHIFT = 617 };

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

typedef enum Noise { NOISE_NONE, NOISE_SMALL, NOISE_DOUBLES } Noise;

typedef struct Row {
    Labels labels;
    const Family *family;
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
                 .family = family,
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

static void write_frame(const Builder *body, Compression compression) {
    AUTO(builder_free) Builder packed = {0};
    Error err;
    if (compression == COMPRESSION_NONE) {
        builder_add(&packed, builder_text(body));
    } else if (!compress_bytes(compression, 0, text_bytes(builder_text(body)), &packed, &err)) {
        exit(1);
    }
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

// ---- The same as OTLP ----

// The messages of a request that are open, from the outside in; 0: not open.
typedef struct OtlpBody {
    Builder bytes;
    size_t resource, scope, metric, data;
    size_t target;
    const Family *family;
} OtlpBody;

static void key_value(Builder *out, uint32_t number, Text key, Text value) {
    size_t pair = protobuf_begin(out, number);
    protobuf_add_text(out, 1, key);
    size_t any = protobuf_begin(out, 2);
    protobuf_add_text(out, 1, value);
    protobuf_end(out, any);
    protobuf_end(out, pair);
}

static bool is_sum(const Family *family) {
    return text_ends_with(text_from_cstring(family->name), TEXT("_total"));
}

static void metric_end(OtlpBody *body) {
    if (body->metric == 0) return;
    if (is_sum(body->family)) {
        protobuf_add_varint(&body->bytes, 2, 2);  // cumulative
        protobuf_add_varint(&body->bytes, 3, 1);  // monotonic
    }
    protobuf_end(&body->bytes, body->data);
    protobuf_end(&body->bytes, body->metric);
    body->metric = 0;
}

static void otlp_end(OtlpBody *body) {
    metric_end(body);
    if (body->resource == 0) return;
    protobuf_end(&body->bytes, body->scope);
    protobuf_end(&body->bytes, body->resource);
    body->resource = 0;
}

static void resource_begin(OtlpBody *body, const Row *row, size_t target) {
    Builder *out = &body->bytes;
    body->resource = protobuf_begin(out, 1);
    body->target = target;
    size_t resource = protobuf_begin(out, 1);
    key_value(out, 1, TEXT("service.name"), labels_get(row->labels, TEXT("job")));
    key_value(out, 1, TEXT("service.instance.id"), labels_get(row->labels, TEXT("instance")));
    key_value(out, 1, TEXT("region"), labels_get(row->labels, TEXT("region")));
    key_value(out, 1, TEXT("team"), labels_get(row->labels, TEXT("team")));
    protobuf_end(out, resource);
    body->scope = protobuf_begin(out, 2);
    size_t scope = protobuf_begin(out, 1);
    protobuf_add_text(out, 1, TEXT("bench"));
    protobuf_end(out, scope);
}

static void metric_begin(OtlpBody *body, const Family *family) {
    Builder *out = &body->bytes;
    Text name = text_from_cstring(family->name);
    body->family = family;
    body->metric = protobuf_begin(out, 2);
    protobuf_add_text(out, 1, is_sum(family) ? text_slice(name, 0, name.len - 6) : name);
    protobuf_add_text(out, 2, TEXT("A metric of the benchmark."));
    body->data = protobuf_begin(out, is_sum(family) ? 7 : 5);
}

static void otlp_add(OtlpBody *body, const Row *row, size_t target, int64_t time_ms,
                     int64_t start_ms) {
    Builder *out = &body->bytes;
    if (body->resource == 0 || body->target != target) {
        otlp_end(body);
        resource_begin(body, row, target);
    }
    if (body->metric == 0 || body->family != row->family) {
        metric_end(body);
        metric_begin(body, row->family);
    }
    size_t point = protobuf_begin(out, 1);
    if (is_sum(row->family)) protobuf_add_fixed64(out, 2, (uint64_t)start_ms * 1000000);
    protobuf_add_fixed64(out, 3, (uint64_t)time_ms * 1000000);
    protobuf_add_double(out, 4, row->value);
    Label label;
    for (Bytes rest = row->labels.wire; labels_next(&rest, &label);) {
        bool of_resource =
            text_equal(label.name, LABEL_NAME) || text_equal(label.name, TEXT("job")) ||
            text_equal(label.name, TEXT("instance")) || text_equal(label.name, TEXT("region")) ||
            text_equal(label.name, TEXT("team"));
        if (!of_resource) key_value(out, 7, label.name, label.value);
    }
    protobuf_end(out, point);
}

// ---- The same as remote write 2.0 ----

typedef struct Rw2Body {
    Arena arena;
    Map refs;  // text -> 1 + number
    Builder symbols, series;
    uint64_t symbol_count;
} Rw2Body;

static uint64_t rw2_ref(Rw2Body *body, Text text) {
    void **known = map_put(&body->refs, text);
    if (*known == NULL) {
        protobuf_add_text(&body->symbols, 4, text);
        *known = (void *)(uintptr_t)++body->symbol_count;
    }
    return (uint64_t)(uintptr_t)*known - 1;
}

static void rw2_begin(Rw2Body *body) {
    arena_clear(&body->arena);
    body->refs = map_begin(&body->arena, (HashKey){1, 2});
    builder_clear(&body->symbols);
    builder_clear(&body->series);
    body->symbol_count = 0;
    rw2_ref(body, TEXT(""));
}

static void rw2_add(Rw2Body *body, const Row *row, int64_t time_ms) {
    if (body->symbol_count == 0) rw2_begin(body);
    Builder *out = &body->series;
    AUTO(builder_free) Builder refs = {0};
    Label label;
    for (Bytes rest = row->labels.wire; labels_next(&rest, &label);) {
        writer_varint(&refs, rw2_ref(body, label.name));
        writer_varint(&refs, rw2_ref(body, label.value));
    }
    size_t series = protobuf_begin(out, 5);
    protobuf_add_text(out, 1, builder_text(&refs));
    size_t sample = protobuf_begin(out, 2);
    protobuf_add_double(out, 1, row->value);
    protobuf_add_varint(out, 2, (uint64_t)time_ms);
    protobuf_end(out, sample);
    size_t metadata = protobuf_begin(out, 5);
    protobuf_add_varint(out, 1, is_sum(row->family) ? 1 : row->kind == KIND_BUCKET ? 3 : 2);
    protobuf_add_varint(out, 3, rw2_ref(body, TEXT("A metric of the benchmark.")));
    protobuf_end(out, metadata);
    protobuf_end(out, series);
}

// ---- Steps ----

typedef struct Options {
    int64_t series, steps, interval_ms, batch, start_ms, seed;
    bool shuffle, shift, otlp, rw2;
    Noise noise;
    Compression compression;
} Options;

// One step: every target is scraped once; its rows join the batch that is being gathered.
static void step(Stream *stream, const Options *options, int64_t number, size_t *order) {
    AUTO(builder_free) Builder body = {0};
    OtlpBody otlp = {0};
    Rw2Body rw2 = {0};
    size_t batch = (size_t)options->batch;
    size_t gathered = options->shift ? (size_t)number * SHIFT % batch : 0;
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
        if (options->noise != NOISE_NONE) {
            double drawn = uniform(stream);
            stream->rows.at[i].value = options->noise == NOISE_SMALL ? floor(drawn * 100) : drawn;
            continue;
        }
        row_move(stream, &stream->rows.at[i], before, restarted[i / SERIES_PER_TARGET]);
    }
    for (size_t first = 0; options->shuffle && first < stream->rows.count; first += batch) {
        size_t *of = order + first;
        for (size_t i = MIN(batch, stream->rows.count - first) - 1; i > 0; i--) {
            size_t j = (size_t)(test_random(&stream->random) % (i + 1));
            size_t swapped = of[i];
            of[i] = of[j];
            of[j] = swapped;
        }
    }
    for (size_t i = 0; i < stream->rows.count; i++) {
        size_t at = order[i], target = at / SERIES_PER_TARGET;
        if (options->otlp) {
            otlp_add(&otlp, &stream->rows.at[at], target, times[target], options->start_ms);
        } else if (options->rw2) {
            rw2_add(&rw2, &stream->rows.at[at], times[target]);
        } else {
            body_add(&body, &stream->rows.at[at], times[target]);
        }
        if (++gathered < batch && i + 1 < stream->rows.count) continue;
        otlp_end(&otlp);
        if (options->rw2) {
            builder_add(&body, builder_text(&rw2.symbols));
            builder_add(&body, builder_text(&rw2.series));
            rw2.symbol_count = 0;
        }
        write_frame(options->otlp ? &otlp.bytes : &body, options->compression);
        builder_clear(&body);
        builder_clear(&otlp.bytes);
        gathered = 0;
    }
    builder_free(&otlp.bytes);
    builder_free(&rw2.symbols);
    builder_free(&rw2.series);
    arena_free(&rw2.arena);
}

static int64_t number_after(int argc, char **argv, const char *name, int64_t standard) {
    for (int i = 1; i + 1 < argc; i++) {
        int64_t value;
        if (strcmp(argv[i], name) == 0 && text_to_i64(text_from_cstring(argv[i + 1]), &value))
            return value;
    }
    return standard;
}

static const char *text_after(int argc, char **argv, const char *name) {
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    }
    return NULL;
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
        .shift = has(argc, argv, "--shift"),
        .otlp = has(argc, argv, "--otlp"),
        .rw2 = has(argc, argv, "--rw2"),
        .compression = COMPRESSION_SNAPPY,
    };
    const char *packed = text_after(argc, argv, "--otlp");
    if (packed != NULL && strcmp(packed, "none") == 0) packed = "identity";
    const char *noise = text_after(argc, argv, "--noise");
    bool noise_known = true;
    if (noise != NULL && strcmp(noise, "small") == 0) {
        options.noise = NOISE_SMALL;
    } else if (noise != NULL && strcmp(noise, "doubles") == 0) {
        options.noise = NOISE_DOUBLES;
    } else {
        noise_known = noise == NULL;
    }
    bool known =
        packed == NULL || compression_from_name(text_from_cstring(packed), &options.compression);
    if (options.start_ms <= 0 || !known || !noise_known) {
        fprintf(stderr,
                "usage: stream --start-ms T [--series N] [--steps N] [--interval-ms N] [--batch N] "
                "[--shuffle] [--shift] [--seed N]"
                " [--noise small|doubles] [--otlp none|gzip|zstd] [--rw2] > "
                "FILE\n");
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
