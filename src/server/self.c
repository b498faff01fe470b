// GET /api/traceo/v1/self: what this process costs, for the page. Rates are the reader's: it looks
// twice.

#include "os/disk.h"
#include "server/self_metrics.h"
#include "server/serve.h"

static void pair(JsonWriter *writer, Text key, double value) {
    json_key(writer, key);
    json_f64(writer, value);
}

bool serve_self(Request *request, Error *err) {
    (void)err;
    Server *server = request->server;
    Clock *clock = server->options.clock;
    Snapshot s;
    snapshot_take(server, &s);
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    json_key(&writer, TEXT("time"));
    json_i64(&writer, clock->wall_ms(clock));
    json_key(&writer, TEXT("startTime"));
    json_i64(&writer, server->options.started_ms);
    pair(&writer, TEXT("cpuSeconds"), s.cpu_s);
    pair(&writer, TEXT("residentBytes"), (double)s.resident);
    pair(&writer, TEXT("memoryLimitBytes"), (double)s.store.memory_limit);
    pair(&writer, TEXT("logBytes"), (double)s.store.log.bytes);
    pair(&writer, TEXT("blockBytes"), (double)s.series.block_bytes);
    pair(&writer, TEXT("blockSamples"), (double)s.series.block_samples);
    pair(&writer, TEXT("headSamples"), (double)s.series.samples_in_head);
    pair(&writer, TEXT("seriesActive"), (double)s.series.series_active);
    pair(&writer, TEXT("samplesAppended"), (double)s.series.samples_appended);
    pair(&writer, TEXT("receivedBytes"), (double)s.http.bytes_in);
    pair(&writer, TEXT("sentBytes"), (double)s.http.bytes_out);
    pair(&writer, TEXT("connections"), (double)s.http.connections);
    pair(&writer, TEXT("queries"), (double)s.queries);
    pair(&writer, TEXT("querySeconds"), (double)s.query_ns / 1e9);
    json_key(&writer, TEXT("writable"));
    json_bool(&writer, s.store.log.writable);
    DiskSpace space;
    Error ignored;
    Disk *disk = disk_real();
    if (server->options.data_folder.len > 0 &&
        disk->space(disk, server->options.data_folder, &space, &ignored)) {
        pair(&writer, TEXT("diskBytes"), (double)space.total_bytes);
        pair(&writer, TEXT("diskFreeBytes"), (double)space.free_bytes);
    }
    json_object_end(&writer);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
