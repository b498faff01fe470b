// gRPC: what a call's head must be, its message, its answer and its failure; the health service.

#include "server/grpc.h"

#include "base/limits.h"
#include "codec/protobuf.h"
#include "server/serve.h"

bool grpc_check_head(Request *request, Error *err) {
    const Route *route = request->route;
    bool is_method = route != NULL && route->family == FAMILY_GRPC;
    if (!request->is_grpc) {
        if (!is_method) return true;
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "this is a gRPC method: it is called over HTTP/2, with the content "
                              "type application/grpc");
    }
    const HttpHead *head = &request->exchange->head;
    if (!is_method) {
        request->fail_grpc = GRPC_UNIMPLEMENTED;
        return error_set(err, ERROR_NOT_FOUND, "there is no gRPC method %.*s here",
                         TEXT_ARG(head->path));
    }
    TRY(grpc_call_read(head, &request->call, err));
    int64_t started_ns = request->exchange->started_ns;
    bool ends = request->call.timeout_ns < INT64_MAX - started_ns;
    request->deadline_ns = ends ? started_ns + request->call.timeout_ns : INT64_MAX;
    return true;
}

bool grpc_is_late(const Request *request) {
    if (!request->is_grpc || request->deadline_ns == INT64_MAX || request->deadline_ns == 0)
        return false;
    Clock *clock = request->server->options.clock;
    return clock->monotonic_ns(clock) > request->deadline_ns;
}

bool grpc_message(Request *request, Bytes *out, Error *err) {
    if (grpc_is_late(request))
        return error_set(err, ERROR_TIMEOUT, "the deadline of the call (grpc-timeout) is over");
    return grpc_message_read(&request->call, request->exchange->body,
                             (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &request->unpacked, out, err);
}

bool grpc_answer(Request *request, Bytes message, Error *err) {
    builder_clear(&request->body);
    return grpc_message_write(&request->call, message, &request->body, err);
}

void grpc_answer_fields(Request *request, HttpResponse *response) {
    request->header_count = 0;
    request_add_header(request, TEXT("content-type"), TEXT("application/grpc"));
    request_add_header(request, TEXT("grpc-accept-encoding"), TEXT("identity,deflate,gzip,zstd"));
    if (request->call.answer != COMPRESSION_NONE)
        request_add_header(request, TEXT("grpc-encoding"), compression_name(request->call.answer));
    response->headers = request->headers;
    response->header_count = request->header_count;
    grpc_outcome(GRPC_OK, TEXT(""), 0, request->exchange->arena, &response->trailers,
                 &response->trailer_count);
}

void grpc_failure_fields(Request *request, const Error *err, int64_t retry_after_ms,
                         HttpResponse *response) {
    GrpcStatus status = error_status(err->code).grpc;
    if (request->fail_grpc != GRPC_OK) status = request->fail_grpc;
    grpc_trailers_only(status, text_from_cstring(err->message), retry_after_ms,
                       request->exchange->arena, &response->headers, &response->header_count);
}

// ---- grpc.health.v1.Health ----

// A service is known when a route has it: "/package.Service/Method".
static bool service_is_known(Text service) {
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (routes[i].family != FAMILY_GRPC) continue;
        Text rest = text_slice(routes[i].path, 1, routes[i].path.len), name;
        if (text_cut(&rest, '/', &name) && text_equal(name, service)) return true;
    }
    return false;
}

// HealthCheckRequest {service = 1: text} -> HealthCheckResponse {status = 1: SERVING 1,
// NOT_SERVING 2}. An empty service asks for the whole server.
bool serve_grpc_health(Request *request, Error *err) {
    Bytes message;
    TRY(grpc_message(request, &message, err));
    Text service = TEXT("");
    Reader reader = reader_begin(message);
    for (ProtobufField field; protobuf_next(&reader, &field);)
        if (field.number == 1 && field.type == WIRE_BYTES) service = bytes_text(field.bytes);
    if (reader.failed) return error_set(err, ERROR_BAD_INPUT, "the message is not protobuf");
    if (service.len > 0 && !service_is_known(service))
        return error_set(err, ERROR_NOT_FOUND, "there is no service %.*s here", TEXT_ARG(service));
    AUTO(builder_free) Builder out = {0};
    protobuf_add_varint(&out, 1, server_is_started(request->server) ? 1 : 2);
    return grpc_answer(request, text_bytes(builder_text(&out)), err);
}
