// Datadog's way in: series of versions 1 and 2, and what its agents ask and post beside.
//
// POST /api/v1/series is Prometheus' too, as a form; JSON there is Datadog's. Under /datadog all
// is.

#include "ingest/datadog/datadog.h"

#include "server/serve.h"
#include "server/writer.h"

// ---- Who asks, and how it is told what went wrong ----

Text datadog_key(Request *request) {
    Text key = http_header(request->exchange, TEXT("DD-API-KEY"));
    UrlPairs pairs;
    Error ignored;
    if (key.len > 0) return key;
    HttpExchange *exchange = request->exchange;
    if (!url_pairs_parse(exchange->head.query, exchange->arena, &pairs, &ignored)) return TEXT_NONE;
    return url_pairs_find(pairs, TEXT("api_key"));
}

void datadog_write_error(Request *request, ErrorStatus *status, const Error *err) {
    (void)status;
    JsonWriter writer = json_writer_begin(&request->body);
    json_object_begin(&writer);
    json_key(&writer, TEXT("status"));
    json_text(&writer, TEXT("error"));
    json_key(&writer, TEXT("errors"));
    json_array_begin(&writer);
    json_text(&writer, text_from_cstring(err->message));
    json_array_end(&writer);
    json_object_end(&writer);
}

static bool is_media(const Request *request, Text wanted) {
    Text rest = http_header(request->exchange, TEXT("Content-Type")), media = TEXT_NONE;
    return text_cut(&rest, ';', &media) && text_equal_ignore_case(text_trim(media), wanted);
}

const Route *datadog_route(const Request *request, const Route *found) {
    bool shared = found != NULL && found->id == ROUTE_SERIES &&
                  request->exchange->head.method == HTTP_POST &&
                  text_equal(request->exchange->head.path, found->path) &&
                  is_media(request, TEXT("application/json"));
    return shared ? &routes[ROUTE_DATADOG_SERIES_1] : found;
}

// ---- Series ----

bool check_datadog(Request *request, Error *err) {
    return writer_check_coding(request, err);
}

static bool accepted(Request *request) {
    request->status = 202;
    request_add_header(request, TEXT("X-Traceo-Durability"), writer_durability(request));
    // Clients of version 2 look for `errors`; those of version 1 take the word itself for a
    // failure.
    builder_add(&request->body, request->route->id == ROUTE_DATADOG_SERIES_2
                                    ? TEXT("{\"status\":\"ok\",\"errors\":[]}")
                                    : TEXT("{\"status\":\"ok\"}"));
    return true;
}

static void answer(Request *request) {
    const DatadogOutcome *series = &request->datadog;
    Error err;
    bool rows_refused = writer_refused(&request->outcome, &err);
    if (!rows_refused && series->refused == 0) {
        accepted(request);
        request_answer(request);
        return;
    }
    if (series->refused > 0) {
        err = series->first_fault;
        error_context(&err, "%llu of %llu series were refused, the others are kept; the first",
                      (unsigned long long)series->refused, (unsigned long long)series->series);
    }
    request_fail(request, &err);
}

static bool write_series(Request *request, Writer *writer, Error *err) {
    const ServerOptions *options = &request->server->options;
    Tenant *tenant;
    TRY(writer_tenant(request, writer, &tenant, err));
    Bytes body;
    TRY(writer_body(request, writer, &body, err));
    int64_t now_ms = options->clock->wall_ms(options->clock);
    bool protobuf = request->route->id == ROUTE_DATADOG_SERIES_2 &&
                    is_media(request, TEXT("application/x-protobuf"));
    TRY(datadog_read(&writer->datadog, protobuf ? DATADOG_PROTOBUF : DATADOG_JSON, body, now_ms,
                     &writer->rows, &request->datadog, err));
    return ingest_samples(options->store, tenant, writer_sender(writer, options), &writer->rows,
                          now_ms, &request->outcome, err);
}

bool serve_datadog_series(Request *request, Error *err) {
    Counters *counters = &request->server->counters;
    Writer *writer = writer_of(request);
    bool done = write_series(request, writer, err);
    writer_let_go(writer);
    const DatadogOutcome *series = &request->datadog;
    count_up(&counters->datadog_series, series->series);
    count_up(&counters->datadog_refused, series->refused);
    return writer_finish(request, TEXT("Datadog"), done,
                         series->refused > 0 ? &series->first_fault : NULL, answer, err);
}

// ---- Beside ----

bool serve_datadog_validate(Request *request, Error *err) {
    (void)err;
    builder_add(&request->body, TEXT("{\"valid\":true}"));
    return true;
}

// Service checks, events and what an agent says of its host: taken, counted, and not kept.
bool serve_datadog_dropped(Request *request, Error *err) {
    (void)err;
    count_up(&request->server->counters.datadog_dropped, 1);
    request->status = 202;
    builder_add(&request->body, TEXT("{\"status\":\"ok\"}"));
    return true;
}
