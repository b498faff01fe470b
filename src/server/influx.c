// InfluxDB's way in: line protocol of versions 1 and 2, and what its clients ask beside.
//
// Lines are judged alone and the good ones kept; answers are 204, or 400 in InfluxDB's words naming
// the first bad line. Of InfluxQL only what clients say before they write is answered.

#include "ingest/influx/influx.h"

#include "server/serve.h"
#include "server/writer.h"

#define INFLUX_VERSION TEXT("1.8.10")  // what clients compare with; the answers are of that version

// ---- Who asks, and how it is told what went wrong ----

static bool is_version_2(const Request *request) {
    return text_find(request->route->path, TEXT("/api/v2/")) >= 0;
}

// Version 1 has the password in the query string.
Text influx_key(Request *request) {
    UrlPairs pairs;
    Error ignored;
    HttpExchange *exchange = request->exchange;
    if (!url_pairs_parse(exchange->head.query, exchange->arena, &pairs, &ignored)) return TEXT_NONE;
    return url_pairs_find(pairs, TEXT("p"));
}

static const char *code_of(int status) {
    switch (status) {
        case 401:
            return "unauthorized";
        case 403:
            return "forbidden";
        case 404:
            return "not found";
        case 405:
            return "method not allowed";
        case 413:
            return "request too large";
        case 429:
            return "too many requests";
        case 503:
        case 507:
            return "unavailable";
        default:
            return status < 500 ? "invalid" : "internal error";
    }
}

static void write_fault(Request *request, int status, Text message) {
    JsonWriter writer = json_writer_begin(&request->body);
    json_object_begin(&writer);
    if (is_version_2(request)) {
        json_key(&writer, TEXT("code"));
        json_text(&writer, text_from_cstring(code_of(status)));
        json_key(&writer, TEXT("message"));
    } else {
        json_key(&writer, TEXT("error"));
    }
    json_text(&writer, message);
    json_object_end(&writer);
}

static void add_version(Request *request) {
    request_add_header(request, TEXT("X-Influxdb-Version"), INFLUX_VERSION);
    request_add_header(request, TEXT("X-Influxdb-Build"), TEXT("OSS"));
}

void influx_write_error(Request *request, ErrorStatus *status, const Error *err) {
    Text message = text_from_cstring(err->message);
    write_fault(request, status->status, message);
    add_version(request);
    // Where the clients of version 1 look.
    request_add_header(request, TEXT("X-Influxdb-Error"),
                       text_copy(message, request->exchange->arena));
}

// ---- Writes ----

bool check_influx_write(Request *request, Error *err) {
    return writer_check_coding(request, err);
}

static void answer(Request *request) {
    InfluxOutcome *lines = &request->influx;
    Error err;
    bool rows_refused = writer_refused(&request->outcome, &err);
    request_add_header(request, TEXT("X-Traceo-Durability"), writer_durability(request));
    if (!rows_refused && lines->refused == 0) {
        add_version(request);
        request->status = 204;
        request_answer(request);
        return;
    }
    if (lines->refused > 0) {
        err = lines->first_fault;
        err.code = ERROR_BAD_INPUT;
        error_context(&err,
                      "partial write: %llu of %llu lines were refused, the others are kept; the "
                      "first",
                      (unsigned long long)lines->refused, (unsigned long long)lines->lines);
    } else {
        error_context(&err, "partial write");
    }
    request_fail(request, &err);
}

static bool write_lines(Request *request, Writer *writer, Error *err) {
    const ServerOptions *options = &request->server->options;
    Tenant *tenant;
    InfluxBody lines = {.label = options->influx.db_label,
                        .value = param_text(request, TEXT("db"))};
    if (lines.label.len == 0) lines.value = TEXT_NONE;
    Text precision = param_text(request, TEXT("precision")), shown = text_slice(precision, 0, 40);
    if (!influx_precision(precision, &lines.unit_ns)) {
        return error_set(err, ERROR_BAD_INPUT,
                         "precision \"%.*s\" is none of n, ns, u, us, ms, s, m, h",
                         TEXT_ARG(shown));
    }
    lines.now_ms = options->clock->wall_ms(options->clock);
    TRY(writer_tenant(request, writer, &tenant, err));
    Bytes body;
    TRY(writer_body(request, writer, &body, err));
    lines.text = bytes_text(body);
    TRY(influx_read(&writer->influx, &lines, &writer->rows, &request->influx, err));
    return ingest_samples(options->store, tenant, writer_sender(writer, options), &writer->rows,
                          lines.now_ms, &request->outcome, err);
}

bool serve_influx_write(Request *request, Error *err) {
    Counters *counters = &request->server->counters;
    Writer *writer = writer_of(request);
    bool done = write_lines(request, writer, err);
    writer_let_go(writer);
    const InfluxOutcome *lines = &request->influx;
    count_up(&counters->influx_lines, lines->lines);
    count_up(&counters->influx_refused, lines->refused);
    count_up(&counters->influx_texts, lines->texts);
    return writer_finish(request, TEXT("InfluxDB"), done,
                         lines->refused > 0 ? &lines->first_fault : NULL, answer, err);
}

// ---- What clients ask beside ----

bool serve_influx_ping(Request *request, Error *err) {
    (void)err;
    add_version(request);
    if (text_equal(param_text(request, TEXT("verbose")), TEXT("true"))) {
        JsonWriter writer = json_writer_begin(&request->body);
        json_object_begin(&writer);
        json_key(&writer, TEXT("version"));
        json_text(&writer, INFLUX_VERSION);
        json_object_end(&writer);
        return true;
    }
    request->status = 204;
    return true;
}

bool serve_influx_health(Request *request, Error *err) {
    (void)err;
    bool ready = server_is_ready(request->server);
    add_version(request);
    JsonWriter writer = json_writer_begin(&request->body);
    json_object_begin(&writer);
    json_key(&writer, TEXT("name"));
    json_text(&writer, TEXT("influxdb"));
    json_key(&writer, TEXT("message"));
    json_text(&writer, ready ? TEXT("ready for queries and writes") : TEXT("replaying the log"));
    json_key(&writer, TEXT("status"));
    json_text(&writer, ready ? TEXT("pass") : TEXT("fail"));
    json_key(&writer, TEXT("checks"));
    json_array_begin(&writer);
    json_array_end(&writer);
    json_key(&writer, TEXT("version"));
    json_text(&writer, INFLUX_VERSION);
    json_object_end(&writer);
    if (!ready) request->status = 503;
    return true;
}

// The words of `statement`, in capitals, with one blank between.
static bool says(Text statement, Text words) {
    Text word, wanted;
    for (Text rest = words; text_cut(&rest, ' ', &wanted);) {
        statement = text_trim(statement);
        if (!text_cut(&statement, ' ', &word)) return false;
        if (text_ends_with(word, TEXT(";"))) word.len--;
        if (!text_equal_ignore_case(word, wanted)) return false;
    }
    return true;
}

// Databases are not made: whatever is written to is there.
bool serve_influx_query(Request *request, Error *err) {
    Text statement = param_text(request, TEXT("q")), db = param_text(request, TEXT("db"));
    bool shows = says(statement, TEXT("SHOW DATABASES"));
    static const char *const silent[] = {"CREATE DATABASE", "DROP DATABASE",
                                         "CREATE RETENTION POLICY", "ALTER RETENTION POLICY"};
    bool known = shows;
    for (size_t i = 0; i < COUNT(silent); i++)
        known |= says(statement, text_from_cstring(silent[i]));
    if (!known) {
        return error_set(err, ERROR_BAD_INPUT,
                         "InfluxQL is not spoken here; ask in PromQL, at /api/v1/query");
    }
    add_version(request);
    JsonWriter writer = json_writer_begin(&request->body);
    json_object_begin(&writer);
    json_key(&writer, TEXT("results"));
    json_array_begin(&writer);
    json_object_begin(&writer);
    json_key(&writer, TEXT("statement_id"));
    json_i64(&writer, 0);
    if (shows) {
        json_key(&writer, TEXT("series"));
        json_raw(&writer, TEXT("[{\"name\":\"databases\",\"columns\":[\"name\"],\"values\":["));
        writer.need_comma = false;
        if (db.len > 0) {
            json_array_begin(&writer);
            json_text(&writer, db);
            json_array_end(&writer);
        }
        builder_add(&request->body, TEXT("]}]"));
        writer.need_comma = true;
    }
    json_object_end(&writer);
    json_array_end(&writer);
    json_object_end(&writer);
    return true;
}
