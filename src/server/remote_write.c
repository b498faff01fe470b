// Remote write 1.0 and 2.0: checked by its head, decoded and admitted on the connection's loop,
// answered by the log. Which of the two it is, the Content-Type says.
//
//   on the loop           body -> ingest (a sender per connection) -> waits for its sequence
//   on the log's thread   durable -> 204, or 400 naming the first row refused
//
// Every answer to a body of 2.0 says in three headers how much of it is kept.

#include "server/serve.h"
#include "server/writer.h"

// ---- The head ----

// `proto=` of a media type's parameters; empty when there is none.
static Text proto_of(Text params) {
    Text param;
    while (text_cut(&params, ';', &param)) {
        param = text_trim(param);
        if (text_starts_with(param, TEXT("proto="))) return text_slice(param, 6, param.len);
    }
    return TEXT_NONE;
}

static bool is_version_2(const Request *request) {
    Text rest = http_header(request->exchange, TEXT("Content-Type")), media;
    return text_cut(&rest, ';', &media) &&
           text_equal(proto_of(rest), TEXT("io.prometheus.write.v2.Request"));
}

static Text protocol_of(const Request *request) {
    return is_version_2(request) ? TEXT("remote write 2.0") : TEXT("remote write");
}

bool check_remote_write(Request *request, Error *err) {
    Text rest = http_header(request->exchange, TEXT("Content-Type")), media = TEXT_NONE;
    Text encoding = http_header(request->exchange, TEXT("Content-Encoding"));
    Compression ignored;
    if (rest.len > 0 && text_cut(&rest, ';', &media) &&
        !text_equal_ignore_case(text_trim(media), TEXT("application/x-protobuf"))) {
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "remote write is application/x-protobuf, not \"%.*s\"",
                              TEXT_ARG(text_trim(media)));
    }
    Text proto = proto_of(rest);
    if (proto.len > 0 && !text_equal(proto, TEXT("prometheus.WriteRequest")) &&
        !is_version_2(request)) {
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "remote write is prometheus.WriteRequest (1.0) or "
                              "io.prometheus.write.v2.Request (2.0), not \"%.*s\"",
                              TEXT_ARG(proto));
    }
    if (!compression_from_name(encoding, &ignored)) {
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "the body may be snappy, zstd or gzip, not \"%.*s\"",
                              TEXT_ARG(encoding));
    }
    return true;
}

// Senders disagree with their own header, so the first bytes decide where a format has a magic.
// Without a header it is snappy, as in Prometheus.
static Compression compression_of(Request *request) {
    Text encoding = http_header(request->exchange, TEXT("Content-Encoding"));
    Compression stated = COMPRESSION_SNAPPY;
    if (encoding.len > 0 && !compression_from_name(encoding, &stated)) stated = COMPRESSION_SNAPPY;
    Compression seen = compression_by_magic(request->exchange->body);
    if (seen != COMPRESSION_NONE) return seen;
    return stated == COMPRESSION_GZIP || stated == COMPRESSION_ZSTD ? COMPRESSION_SNAPPY : stated;
}

// ---- The answer ----

// The headers of 2.0. Called again, it replaces what it said before.
static void say_written(Request *request, const IngestOutcome *outcome) {
    Arena *arena = request->exchange->arena;
    const struct {
        Text name;
        uint64_t count;
    } rows[] = {
        {TEXT("X-Prometheus-Remote-Write-Samples-Written"), outcome->kept_samples},
        {TEXT("X-Prometheus-Remote-Write-Histograms-Written"), outcome->kept_histograms},
        {TEXT("X-Prometheus-Remote-Write-Exemplars-Written"), outcome->kept_exemplars},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text value = text_format(arena, "%llu", (unsigned long long)rows[i].count);
        HttpHeader *header = request->headers;
        const HttpHeader *end = header + request->header_count;
        while (header < end && !text_equal(header->name, rows[i].name)) header++;
        if (header == end) {
            request_add_header(request, rows[i].name, value);
        } else {
            header->value = value;
        }
    }
}

static void answer(Request *request) {
    if (is_version_2(request)) say_written(request, &request->outcome);
    writer_answer(request);
}

static bool ingest(Request *request, Writer *writer, Tenant *tenant, Error *err) {
    const ServerOptions *options = &request->server->options;
    // What will be refused for the disk's sake costs no unpacking: in a flood that is most of it.
    TRY(store_may_write(options->store, request->exchange->body.len, err));
    bool (*take)(Store *, Tenant *, IngestSender *, Compression, Bytes, int64_t, IngestOutcome *,
                 Error *) = is_version_2(request) ? ingest_remote_write_2 : ingest_remote_write;
    return take(options->store, tenant, writer_sender(writer, options), compression_of(request),
                request->exchange->body, options->clock->wall_ms(options->clock), &request->outcome,
                err);
}

bool serve_remote_write(Request *request, Error *err) {
    Writer *writer = writer_of(request);
    Tenant *tenant;
    // Whatever goes wrong from here on, nothing is kept until answer() says otherwise.
    if (is_version_2(request)) say_written(request, &(IngestOutcome){0});
    TRY(writer_tenant(request, writer, &tenant, err));
    bool done = ingest(request, writer, tenant, err);
    return writer_finish(request, protocol_of(request), done, NULL, answer, err);
}
