// GET /api/traceo/v1/host/processes: the busiest processes of this host.

#include "ingest/host/host.h"
#include "server/serve.h"

static const size_t SHOWN = 20, SHOWN_MAX = 1000;

static void write_process(JsonWriter *writer, const HostProcess *process) {
    json_object_begin(writer);
    json_key(writer, TEXT("pid"));
    json_i64(writer, process->pid);
    json_key(writer, TEXT("name"));
    json_text(writer, process->name);
    json_key(writer, TEXT("user"));
    json_text(writer, process->user);
    json_key(writer, TEXT("state"));
    json_text(writer, (Text){&process->state, 1});
    json_key(writer, TEXT("threads"));
    json_i64(writer, process->threads);
    json_key(writer, TEXT("cpuCores"));
    json_f64(writer, process->cpu);
    json_key(writer, TEXT("residentBytes"));
    json_i64(writer, process->resident_bytes);
    json_object_end(writer);
}

bool serve_host_processes(Request *request, Error *err) {
    Server *server = request->server;
    uint64_t limit;
    TRY(param_limit(request, TEXT("limit"), &limit, err));
    size_t most = limit == 0 ? SHOWN : MIN((size_t)limit, SHOWN_MAX);
    AUTO(arena_free) Arena arena = {0};
    HostTop top;
    mutex_take(&server->processes_lock);
    bool read =
        host_processes_read(server->processes, server->options.clock, most, &arena, &top, err);
    mutex_give(&server->processes_lock);
    if (!read) return false;
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    json_key(&writer, TEXT("count"));
    json_u64(&writer, top.all);
    json_key(&writer, TEXT("seconds"));
    json_f64(&writer, top.seconds);
    json_key(&writer, TEXT("processes"));
    json_array_begin(&writer);
    for (size_t i = 0; i < top.count; i++) write_process(&writer, &top.at[i]);
    json_array_end(&writer);
    json_object_end(&writer);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
