// OTLP over HTTP and gRPC: metrics on the connection's loop, answered by the log.
//
// Source: OTLP specification 1.x. Over HTTP, bodies are protobuf or JSON, answers are in the
// encoding of the request; errors are google.rpc.Status. A client sends again after 429, 502, 503
// and 504 and nothing else, so what may pass is 503, and what will never be taken is 400.

#include "ingest/otlp/otlp.h"
#include "server/grpc.h"
#include "server/serve.h"
#include "server/writer.h"

#define PROTOCOL TEXT("OTLP")

// ---- The head ----

static bool is_media(Request *request, Text wanted) {
    Text rest = http_header(request->exchange, TEXT("Content-Type")), media = TEXT_NONE;
    return text_cut(&rest, ';', &media) && text_equal_ignore_case(text_trim(media), wanted);
}

static OtlpEncoding encoding_of(Request *request) {
    if (request->is_grpc) return OTLP_PROTOBUF;
    return is_media(request, TEXT("application/json")) ? OTLP_JSON : OTLP_PROTOBUF;
}

static Text media_of(OtlpEncoding encoding) {
    return encoding == OTLP_JSON ? TEXT("application/json") : TEXT("application/x-protobuf");
}

bool check_otlp_unsupported(Request *request, Error *err) {
    return request_refuse(request, 501, "execution", err, ERROR_UNSUPPORTED,
                          "this version does not take traces or logs; it takes OTLP metrics, at "
                          "/v1/metrics");
}

static bool has_otlp(Request *request, Error *err) {
    if (request->server->options.otlp != NULL) return true;
    return request_refuse(request, 501, "execution", err, ERROR_UNSUPPORTED,
                          "this server does not take OTLP");
}

bool check_otlp_grpc(Request *request, Error *err) {
    return has_otlp(request, err);
}

bool check_otlp_metrics(Request *request, Error *err) {
    TRY(has_otlp(request, err));
    if (!is_media(request, TEXT("application/json")) &&
        !is_media(request, TEXT("application/x-protobuf"))) {
        Text type = http_header(request->exchange, TEXT("Content-Type"));
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "OTLP is application/x-protobuf or application/json, not \"%.*s\"",
                              TEXT_ARG(type));
    }
    return writer_check_coding(request, err);
}

// ---- Errors ----

void otlp_write_error(Request *request, ErrorStatus *status, const Error *err) {
    OtlpEncoding encoding = encoding_of(request);
    // A disk that is full or refuses may be mended: the data should come again.
    if (err->code == ERROR_DISK_FULL || err->code == ERROR_IO) {
        status->status = 503;
        status->grpc = GRPC_UNAVAILABLE;
    }
    otlp_write_status(encoding, (int)status->grpc, text_from_cstring(err->message), 0,
                      &request->body);
    request->content_type = media_of(encoding);
}

// ---- Metrics ----

// ExportMetricsServiceResponse in the way it was asked for.
static bool write_answer(Request *request, Error *err) {
    const OtlpOutcome *outcome = &request->otlp;
    if (request->is_grpc) {
        AUTO(builder_free) Builder message = {0};
        otlp_write_response(OTLP_PROTOBUF, outcome, &message);
        return grpc_answer(request, text_bytes(builder_text(&message)), err);
    }
    OtlpEncoding encoding = encoding_of(request);
    request_add_header(request, TEXT("X-Traceo-Durability"), writer_durability(request));
    otlp_write_response(encoding, outcome, &request->body);
    request->content_type = media_of(encoding);
    return true;
}

static void answer(Request *request) {
    const OtlpOutcome *outcome = &request->otlp;
    // Points of new series only, over the quota: they may come again. Anything mixed must not: the
    // good part is here. (What is known of the metric may be: it does no harm twice.) Rows are
    // looked at too, as a target_info that is refused counts like a point.
    const uint64_t *rows = outcome->ingest.counts;
    bool any_here = rows[VERDICT_STORED] > 0 || rows[VERDICT_DUPLICATE] > 0;
    if (!any_here && outcome->points > 0 && outcome->over_quota == outcome->points) {
        Error err = outcome->first_fault;
        err.code = ERROR_TOO_MANY;
        request_fail(request, &err);
        return;
    }
    Error err;
    if (write_answer(request, &err)) {
        request_answer(request);
    } else {
        request_fail(request, &err);
    }
}

static bool body_of(Request *request, Writer *writer, Bytes *out, Error *err) {
    if (request->is_grpc) return grpc_message(request, out, err);
    return writer_body(request, writer, out, err);
}

static bool write_metrics(Request *request, Error *err) {
    Server *server = request->server;
    Writer *writer = writer_of(request);
    Tenant *tenant;
    TRY(writer_tenant(request, writer, &tenant, err));
    Bytes body;
    Clock *clock = server->options.clock;
    bool done = body_of(request, writer, &body, err) &&
                otlp_write(writer_otlp(writer, server->options.otlp), server->options.store, tenant,
                           encoding_of(request), body, clock->wall_ms(clock), &request->otlp, err);
    writer_let_go(writer);
    return done;
}

bool serve_otlp_metrics(Request *request, Error *err) {
    Server *server = request->server;
    if (!write_metrics(request, err)) {
        count_up(&server->counters.writes_failed, 1);
        writer_note(request, PROTOCOL, request->otlp.points, err);
        return false;
    }
    writer_count(server, &request->otlp.ingest);
    count_up(&server->counters.otlp_points, request->otlp.points);
    count_up(&server->counters.otlp_cached, request->otlp.cached);
    count_up(&server->counters.otlp_rejected, request->otlp.rejected);
    writer_note(request, PROTOCOL, request->otlp.points,
                request->otlp.rejected > 0 ? &request->otlp.first_fault : NULL);
    writer_answer_when_durable(request, request->otlp.ingest.sequence, answer);
    return false;  // answered, or will be
}
