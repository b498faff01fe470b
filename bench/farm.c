// A farm of targets for scrapers: one process that answers as many node_exporters would.
//
//   farm --port 5650 --rows 1000 [--plain]
//
// It listens on every loopback address (127.0.0.1, 127.0.0.2, …), so each address is a target of
// its own; what it says depends on the address asked (the Host header) and the time, on nothing
// else, so two scrapers hear the same. A page has --rows series in the families and proportions of
// a node_exporter: most hardly change, the rest are counters and gauges. It is sent with gzip to
// who takes it, as node_exporter does, unless --plain.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "codec/compress.h"
#include "codec/number.h"
#include "net/http.h"
#include "os/process.h"

typedef enum Kind { CONSTANT, COUNTER, GAUGE_INTEGER, GAUGE_DECIMAL } Kind;

typedef struct Family {
    const char *name, *label, *second;  // second: NULL, or eight values of it
    int values;
    Kind kind;
    double scale;
} Family;

static const Family families[] = {
    {"node_cpu_seconds_total", "cpu", "mode", 128, COUNTER, 0.01},
    {"node_cpu_guest_seconds_total", "cpu", "mode", 32, CONSTANT, 1},
    {"node_cpu_scaling_frequency_hertz", "cpu", NULL, 16, GAUGE_INTEGER, 1e6},
    {"node_disk_read_bytes_total", "device", NULL, 16, COUNTER, 4096},
    {"node_disk_written_bytes_total", "device", NULL, 16, COUNTER, 4096},
    {"node_disk_io_time_seconds_total", "device", NULL, 16, COUNTER, 0.001},
    {"node_disk_io_now", "device", NULL, 16, GAUGE_INTEGER, 1},
    {"node_disk_info", "device", NULL, 16, CONSTANT, 0},
    {"node_filesystem_avail_bytes", "mountpoint", NULL, 16, GAUGE_INTEGER, 4096},
    {"node_filesystem_size_bytes", "mountpoint", NULL, 16, CONSTANT, 1e9},
    {"node_filesystem_readonly", "mountpoint", NULL, 16, CONSTANT, 0},
    {"node_hwmon_temp_celsius", "sensor", NULL, 12, GAUGE_DECIMAL, 0.125},
    {"node_memory_bytes", "field", NULL, 50, GAUGE_INTEGER, 4096},
    {"node_netstat", "field", NULL, 60, COUNTER, 1},
    {"node_netstat_errors_total", "field", NULL, 60, CONSTANT, 1},
    {"node_network_receive_bytes_total", "device", NULL, 10, COUNTER, 64},
    {"node_network_transmit_bytes_total", "device", NULL, 10, COUNTER, 64},
    {"node_network_receive_drop_total", "device", NULL, 10, CONSTANT, 1},
    {"node_network_up", "device", NULL, 10, CONSTANT, 1},
    {"node_schedstat_running_seconds_total", "cpu", NULL, 16, COUNTER, 0.000000001},
    {"node_softnet_dropped_total", "cpu", NULL, 16, CONSTANT, 0},
    {"node_systemd_unit_state", "name", "state", 240, CONSTANT, 1},
    {"node_vmstat", "field", NULL, 80, COUNTER, 1},
    {"node_textfile_info", "item", NULL, 1 << 20, CONSTANT, 1},  // the rest
};

typedef struct Row {
    Text head;  // what stands in front of the value
    Kind kind;
    double scale;
} Row;

typedef struct Farm {
    Arena arena;
    ARRAY(Row) rows;
    bool plain;
    int64_t started_ms;
} Farm;

static void make_rows(Farm *farm, size_t count) {
    static const char *const states[] = {"active", "failed", "inactive", "iowait",
                                         "idle",   "system", "steal",    "user"};
    for (size_t f = 0; f < COUNT(families) && farm->rows.count < count; f++) {
        const Family *family = &families[f];
        AUTO(builder_free) Builder head = {0};
        builder_addf(&head, "# HELP %s What node_exporter says of %s on this host.\n# TYPE %s %s\n",
                     family->name, family->label, family->name,
                     family->kind == COUNTER ? "counter" : "gauge");
        for (int i = 0; i < family->values && farm->rows.count < count; i++) {
            builder_addf(&head, "%s{%s=\"%s-%d\"", family->name, family->label, family->label,
                         family->second == NULL ? i : i / 8);
            if (family->second != NULL)
                builder_addf(&head, ",%s=\"%s\"", family->second, states[i % 8]);
            builder_add(&head, TEXT("} "));
            *array_add(&farm->rows) =
                (Row){text_copy(builder_text(&head), &farm->arena), family->kind, family->scale};
            builder_clear(&head);
        }
    }
}

static void add_value(Builder *out, const Row *row, uint64_t seed, double seconds) {
    uint64_t hash = hash_id(seed), now = hash_id(seed + (uint64_t)(seconds / 5));
    double rate = (double)(hash % 997) / 10;
    switch (row->kind) {
        case CONSTANT:
            builder_add_f64(out, row->scale * (double)(hash % 3));
            break;
        case COUNTER: {
            double steps = (double)(int64_t)((double)(hash % 100000) + rate * seconds);
            // Divided, not multiplied: 0.07, not 0.07000000000000001.
            builder_add_f64(out, row->scale < 1 ? steps / (double)(int64_t)(1 / row->scale + 0.5)
                                                : steps * row->scale);
            break;
        }
        case GAUGE_INTEGER:
        case GAUGE_DECIMAL:
            builder_add_f64(out, row->scale * (double)(hash % 4096 + now % 64));
            break;
    }
}

static void serve(void *context, HttpExchange *exchange) {
    const Farm *farm = context;
    Text host = http_header(exchange, TEXT("host"));
    uint64_t seed = hash_keyed((HashKey){0}, text_bytes(host));
    double seconds = (double)(clock_system()->wall_ms(clock_system()) - farm->started_ms) / 1e3;
    AUTO(builder_free) Builder page = {0};
    for (size_t i = 0; i < farm->rows.count; i++) {
        builder_add(&page, farm->rows.at[i].head);
        add_value(&page, &farm->rows.at[i], seed + i, seconds);
        builder_add_char(&page, '\n');
    }
    HttpHeader headers[] = {{TEXT("Content-Type"), TEXT("text/plain; version=0.0.4")},
                            {TEXT("Content-Encoding"), TEXT("gzip")}};
    HttpResponse response = {.status = 200, .headers = headers, .header_count = 1};
    Error err;
    bool pack = !farm->plain &&
                text_find(http_header(exchange, TEXT("accept-encoding")), TEXT("gzip")) >= 0;
    if (pack && compress_bytes(COMPRESSION_GZIP, 1, text_bytes(builder_text(&page)), &response.body,
                               &err)) {
        response.header_count = 2;
    } else {
        response.body = page;
        page = (Builder){0};
    }
    http_respond(exchange, &response);
}

int main(int argc, char **argv) {
    Farm farm = {0};
    uint64_t port = 5650, rows = 1000;
    for (int i = 1; i < argc; i++) {
        Text flag = text_from_cstring(argv[i]), value = text_from_cstring(argv[i + 1]);
        bool ok = true;
        if (text_equal(flag, TEXT("--plain"))) {
            farm.plain = true;
            continue;
        } else if (text_equal(flag, TEXT("--port"))) {
            ok = text_to_u64(value, &port);
        } else if (text_equal(flag, TEXT("--rows"))) {
            ok = text_to_u64(value, &rows);
        } else {
            ok = false;
        }
        if (!ok) {
            fprintf(stderr, "usage: farm --port PORT --rows ROWS [--plain]\n");
            return 2;
        }
        i++;
    }
    make_rows(&farm, rows);
    farm.started_ms = clock_system()->wall_ms(clock_system());
    process_files_raise();
    Error err = {0};
    Address address;
    HttpServerOptions options = {
        .clock = clock_system(),
        .addresses = &address,
        .address_count = 1,
        .loop_count = 1,
        .limits = http_limits_default(),
        .handler = {.context = &farm, .on_request = serve},
    };
    HttpServer *server;
    if (!address_parse(text_format(&farm.arena, "0.0.0.0:%llu", (unsigned long long)port),
                       &farm.arena, &address, &err) ||
        !signals_begin(&err) || !http_server_start(&options, &server, &err)) {
        fprintf(stderr, "farm: %s\n", err.message);
        return 1;
    }
    printf("farm: %zu rows a page on port %llu\n", farm.rows.count, (unsigned long long)port);
    fflush(stdout);
    while (signals_wait(60000) != SIGNAL_STOP) continue;
    http_server_stop(server, 1000);
    http_server_free(&server);
    array_free(&farm.rows);
    arena_free(&farm.arena);
    return 0;
}
