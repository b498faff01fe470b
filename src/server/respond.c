// Answers: the JSON envelope of Prometheus' API, its errors, the headers that every answer carries.

#include <stdarg.h>

#include "base/assert.h"
#include "codec/compress.h"
#include "server/grpc.h"
#include "server/request.h"

// Smaller answers are not worth a header.
enum { PACKED_BYTES_MIN = 1 * KB };

static const ErrorStatus statuses[ERROR_CODE_COUNT] = {
#define STATUS(code, status, type, grpc) [ERROR_##code] = {status, type, GRPC_##grpc},
#include "server/errors.def"
#undef STATUS
};

ErrorStatus error_status(ErrorCode code) {
    assert(code > ERROR_NONE && code < ERROR_CODE_COUNT && statuses[code].status != 0);
    return statuses[code];
}

void request_add_header(Request *request, Text name, Text value) {
    assert(request->header_count < REQUEST_HEADERS_MAX);
    request->headers[request->header_count++] = (HttpHeader){name, value};
}

static Text without_mark(Text tag) {
    return text_starts_with(tag, TEXT("W/")) ? text_slice(tag, 2, tag.len) : tag;
}

bool request_has_tag(const Request *request, Text tag) {
    Text item;
    for (Text rest = http_header(request->exchange, TEXT("If-None-Match"));
         text_cut(&rest, ',', &item);) {
        item = text_trim(item);
        if (text_equal(item, TEXT("*")) || text_equal(without_mark(item), without_mark(tag)))
            return true;
    }
    return false;
}

// ---- Compression ----

// RFC 9110, 12.5.3.
bool request_accepts_coding(const Request *request, Text wanted) {
    Text item;
    for (Text rest = http_header(request->exchange, TEXT("Accept-Encoding"));
         text_cut(&rest, ',', &item);) {
        Text coding;
        if (!text_cut(&item, ';', &coding)) continue;
        if (!text_equal_ignore_case(text_trim(coding), wanted)) continue;
        Text weight = text_trim(item);
        double value = 1;
        if (text_starts_with(weight, TEXT("q="))) {
            if (!text_to_f64(text_slice(weight, 2, weight.len), &value)) return false;
        }
        return value > 0;
    }
    return false;
}

// On a worker's thread only: a loop does not spend its time on it. zstd where the client takes it:
// it packs tighter in less time.
Compression request_choose_coding(Request *request) {
    if (request->route == NULL || request->route->lane == LANE_LOOP || request->as_it_is)
        return COMPRESSION_NONE;
    request_add_header(request, TEXT("Vary"), TEXT("Accept-Encoding"));
    if (request_accepts_coding(request, TEXT("zstd"))) return COMPRESSION_ZSTD;
    if (request_accepts_coding(request, TEXT("gzip"))) return COMPRESSION_GZIP;
    return COMPRESSION_NONE;
}

static void compress_answer(Request *request) {
    if (request->body.len < PACKED_BYTES_MIN) return;
    Compression chosen = request_choose_coding(request);
    if (chosen == COMPRESSION_NONE) return;
    Builder packed = {0};
    Error ignored;
    if (!compress_bytes(chosen, PACKED_LEVEL, text_bytes(builder_text(&request->body)), &packed,
                        &ignored)) {
        builder_free(&packed);  // no memory for it: the plain answer is as good
        return;
    }
    builder_free(&request->body);
    request->body = packed;
    request_add_header(request, TEXT("Content-Encoding"), compression_name(chosen));
}

// ---- Sending ----

// Clients that are refused together must not come back together: the base, ±50 %.
static int64_t retry_after_s(Request *request, int status) {
    if (request->retry_after_s > 0) return request->retry_after_s;
    int64_t base_s = status == 503 ? 4 : 10;
    uint64_t draw =
        hash_id(atomic_fetch_add_explicit(&request->server->spread, 1, memory_order_relaxed));
    return MAX(base_s / 2, 1) + (int64_t)(draw % (uint64_t)(base_s + 1));
}

// Counts it, hands it over; the request must not be touched afterwards. `status` is that of HTTP,
// also of a gRPC call, whose own is always 200.
static void hand_over(Request *request, int status, HttpResponse *response) {
    Server *server = request->server;
    HttpExchange *exchange = request->exchange;
    Clock *clock = server->options.clock;
    running_remove(&server->running, &request->running);
    counters_request(&server->counters, request->route, status,
                     clock->monotonic_ns(clock) - exchange->started_ns);
    Budget *charged_to = request->charged_to != NULL ? request->charged_to
                                                     : store_query_budget(server->options.store);
    response->budget = request->charged > 0 ? charged_to : NULL;
    response->charged = request->charged;
    response->body = request->body;
    request->body = (Builder){0};
    builder_free(&request->unpacked);
    http_respond(exchange, response);
}

void request_add_headers(Request *request, int status) {
    if (request->streams || request->body.len > 0 || request->text.len > 0 ||
        request->content_type.at != NULL) {
        Text type =
            request->content_type.at == NULL ? TEXT("application/json") : request->content_type;
        request_add_header(request, TEXT("Content-Type"), type);
    }
    request_add_header(request, TEXT("X-Content-Type-Options"), TEXT("nosniff"));
    request_add_header(request, TEXT("Content-Security-Policy"),
                       request->policy.len > 0
                           ? request->policy
                           : TEXT("default-src 'none'; base-uri 'none'; form-action 'none'; "
                                  "frame-ancestors 'none'"));
    request_add_header(request, TEXT("Referrer-Policy"), TEXT("no-referrer"));
    request_add_header(request, TEXT("Cache-Control"),
                       request->cache.len > 0 ? request->cache : TEXT("no-store"));
    if (status == 429 || status == 503 || status == 507) {
        request_add_header(request, TEXT("Retry-After"),
                           text_format(request->exchange->arena, "%lld",
                                       (long long)retry_after_s(request, status)));
    }
}

static void send(Request *request, int status) {
    request_add_headers(request, status);
    HttpResponse response = {
        .status = status,
        .headers = request->headers,
        .header_count = request->header_count,
        .text = request->text,
    };
    hand_over(request, status, &response);
}

static void send_grpc(Request *request) {
    HttpResponse response = {.status = 200};
    grpc_answer_fields(request, &response);
    hand_over(request, 200, &response);
}

// Trailers only. Where coming back is welcome it says when: without that clients drop the data.
static void fail_grpc(Request *request, const Error *err) {
    ErrorStatus status = error_status(err->code);
    bool welcome =
        request->fail_grpc == GRPC_OK && (status.grpc == GRPC_UNAVAILABLE || status.status == 429);
    int64_t retry_after_ms = welcome ? retry_after_s(request, status.status) * 1000 : 0;
    HttpResponse response = {.status = 200};
    builder_clear(&request->body);
    grpc_failure_fields(request, err, retry_after_ms, &response);
    hand_over(request, request->fail_status != 0 ? request->fail_status : status.status, &response);
}

void request_answer(Request *request) {
    if (request->is_grpc) {
        send_grpc(request);
        return;
    }
    compress_answer(request);
    send(request, request->status == 0 ? 200 : request->status);
}

// Which part of the query an error is about, for editors: our addition to Prometheus' envelope.
// Offsets and column count bytes, line and column from 1, as in the message.
static void write_position(JsonWriter *writer, const Request *request) {
    SourcePlace place = source_place(request->fault_text, request->fault.from);
    json_key(writer, TEXT("position"));
    json_object_begin(writer);
    json_key(writer, TEXT("line"));
    json_u64(writer, place.line);
    json_key(writer, TEXT("column"));
    json_u64(writer, place.column);
    json_key(writer, TEXT("start"));
    json_u64(writer, request->fault.from);
    json_key(writer, TEXT("end"));
    json_u64(writer, request->fault.to);
    json_object_end(writer);
}

// As Prometheus says it.
static void write_error(Request *request, ErrorStatus status, const Error *err) {
    JsonWriter writer = json_writer_begin(&request->body);
    json_object_begin(&writer);
    json_key(&writer, TEXT("status"));
    json_text(&writer, TEXT("error"));
    json_key(&writer, TEXT("errorType"));
    json_text(&writer, text_from_cstring(status.type));
    json_key(&writer, TEXT("error"));
    json_text(&writer, text_from_cstring(err->message));
    if (request->fault_text.at != NULL) write_position(&writer, request);
    json_object_end(&writer);
}

void request_fail(Request *request, const Error *err) {
    if (request->is_grpc) {
        fail_grpc(request, err);
        return;
    }
    ErrorStatus status = error_status(err->code);
    if (request->fail_status != 0) {
        status.status = request->fail_status;
        status.type = request->fail_type;
    }
    builder_clear(&request->body);
    request->content_type = TEXT_NONE;
    request->as_it_is = false;
    request->text = TEXT_NONE;
    request->cache = TEXT_NONE;
    const Route *route = request->route;
    if (route != NULL && families[route->family].write_error != NULL) {
        families[route->family].write_error(request, &status, err);
    } else {
        write_error(request, status, err);
    }
    if (status.status == 401) {
        request_add_header(request, TEXT("WWW-Authenticate"),
                           TEXT("Bearer realm=\"traceo\", Basic realm=\"traceo\""));
    }
    send(request, status.status);
}

bool request_refuse(Request *request, int status, const char *type, Error *err, ErrorCode code,
                    const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    request->fail_status = status;
    request->fail_type = type;
    return error_set(err, code, "%s", message);
}

// ---- Envelope ----

JsonWriter envelope_begin(Request *request) {
    return envelope_begin_on(&request->body);
}

JsonWriter envelope_begin_on(Builder *out) {
    JsonWriter writer = json_writer_begin(out);
    json_object_begin(&writer);
    json_key(&writer, TEXT("status"));
    json_text(&writer, TEXT("success"));
    json_key(&writer, TEXT("data"));
    return writer;
}

static void write_texts(JsonWriter *writer, Text key, Texts texts) {
    if (texts.count == 0) return;
    json_key(writer, key);
    json_array_begin(writer);
    for (size_t i = 0; i < texts.count; i++) json_text(writer, texts.at[i]);
    json_array_end(writer);
}

void envelope_end(JsonWriter *writer, Texts warnings, Texts infos) {
    write_texts(writer, TEXT("warnings"), warnings);
    write_texts(writer, TEXT("infos"), infos);
    json_object_end(writer);
}
