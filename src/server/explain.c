// /api/traceo/v1/query_explain: a query is run and measured; instead of its result comes what each
// node of its plan did, and what it cost.

#include "server/queries.h"
#include "server/serve.h"

static bool has_param(const Request *request, Text name) {
    return param_text(request, name).len > 0;
}

static bool params(Request *request, QueryRequest *out, Error *err) {
    bool ranged = has_param(request, TEXT("start")) || has_param(request, TEXT("end")) ||
                  has_param(request, TEXT("step"));
    if (!ranged) return query_params_instant(request, out, err);
    if (has_param(request, TEXT("time"))) {
        return error_set(err, ERROR_BAD_INPUT,
                         "invalid parameter \"time\": it is of one moment, while start, end and "
                         "step are of a range; give one or the other");
    }
    return query_params_range(request, out, err);
}

static void write_number(JsonWriter *writer, Text key, uint64_t value) {
    json_key(writer, key);
    json_u64(writer, value);
}

static void write_ms(JsonWriter *writer, Text key, int64_t ns) {
    json_key(writer, key);
    json_f64(writer, (double)ns / 1e6);
}

bool serve_query_explain(Request *request, Error *err) {
    QueryRequest query;
    QueryResult result;
    AUTO(arena_free) Arena arena = {0};
    TRY(params(request, &query, err));
    query.measure = true;
    TRY(request_run_query(request, &query, &arena, &result, err));
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    json_key(&writer, TEXT("query"));
    json_text(&writer, query.text);
    json_key(&writer, TEXT("plan"));
    query_plan_write_json(result.plan, &writer);
    json_key(&writer, TEXT("totals"));
    json_object_begin(&writer);
    write_ms(&writer, TEXT("queuedMs"), request->waited_ns);
    write_ms(&writer, TEXT("parseMs"), result.stats.parse_ns);
    write_ms(&writer, TEXT("runMs"), result.stats.run_ns);
    write_number(&writer, TEXT("series"), result.stats.series);
    write_number(&writer, TEXT("samples"), result.stats.samples);
    if (result.stats.downsampled > 0)
        write_number(&writer, TEXT("downsampled"), result.stats.downsampled);
    write_number(&writer, TEXT("memoryPeakBytes"), (uint64_t)result.stats.memory_peak_bytes);
    json_object_end(&writer);
    json_object_end(&writer);
    envelope_end(&writer, result.warnings, result.infos);
    return true;
}
