// Remote read: POST /api/v1/read, as another Prometheus asks it.

#include "query/remote_read/remote_read.h"

#include "base/limits.h"
#include "codec/compress.h"
#include "server/paid_read.h"
#include "server/serve.h"

static bool unpack(Request *request, Builder *out, Error *err) {
    Text encoding = http_header(request->exchange, TEXT("Content-Encoding"));
    Compression compression = COMPRESSION_SNAPPY;  // without a header too, as in Prometheus
    if (encoding.len > 0 && !compression_from_name(encoding, &compression)) {
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "the body of a remote read is packed with snappy, not \"%.*s\"",
                              TEXT_ARG(encoding));
    }
    return decompress(compression, request->exchange->body, (size_t)LIMIT_HTTP_BODY_BYTES, out,
                      err) ||
           error_context(err, "the body of the remote read");
}

static bool write_samples(Request *request, SeriesStore *store, const ReadRequest *read,
                          ReadAnswer *answer, Error *err) {
    AUTO(builder_free) Builder plain = {0};
    answer->out = &plain;
    TRY(read_answer_samples(store, read, answer, err));
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&plain)), &request->body,
                       err));
    request->content_type = TEXT("application/x-protobuf");
    request_add_header(request, TEXT("Content-Encoding"), TEXT("snappy"));
    return true;
}

static bool write_chunks(Request *request, SeriesStore *store, const ReadRequest *read,
                         ReadAnswer *answer, Error *err) {
    answer->out = &request->body;
    TRY(read_answer_chunks(store, read, answer, err));
    request->content_type =
        TEXT("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    return true;
}

bool serve_remote_read(Request *request, Error *err) {
    Server *server = request->server;
    AUTO(paid_read_end) PaidRead paid = {0};
    TRY(paid_read_begin(request, &paid, err));
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder plain = {0};
    AUTO(read_request_close) ReadRequest read = {0};
    Tenant *tenant;
    TRY(unpack(request, &plain, err));
    TRY(read_request_decode(text_bytes(builder_text(&plain)), &arena, &read, err));
    TRY(request_tenant(request, false, &tenant, err));
    ReadAnswer answer = {.budget = paid_read_budget(&paid),
                         .meter = &paid.meter,
                         .bytes_max = atomic_load(&server->query_memory_bytes),
                         .cancelled = &request->cancelled};
    TRY(request_external_labels(request, &arena, &answer.external, err));
    read_request_drop(&read, answer.external);
    count_up(&server->counters.queries, 1);
    request->as_it_is = true;
    SeriesStore *series = tenant == NULL ? NULL : tenant->series;
    bool done = read.chunks_wanted ? write_chunks(request, series, &read, &answer, err)
                                   : write_samples(request, series, &read, &answer, err);
    request->charged = answer.charged;
    request->charged_to = answer.budget;
    paid.samples = answer.samples;
    count_up(done ? &server->counters.query_samples : &server->counters.queries_failed,
             done ? answer.samples : 1);
    return done;
}
