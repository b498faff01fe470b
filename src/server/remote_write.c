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

// How many were refused, and as what: "3 bad_labels, 1 conflict".
static uint64_t count_refused(const IngestOutcome *outcome, Arena *arena, Text *out) {
    AUTO(builder_free) Builder words = {0};
    uint64_t refused = 0;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (verdict == VERDICT_STORED || verdict == VERDICT_DUPLICATE ||
            outcome->counts[verdict] == 0)
            continue;
        refused += outcome->counts[verdict];
        if (words.len > 0) builder_add(&words, TEXT(", "));
        builder_addf(&words, "%llu %.*s", (unsigned long long)outcome->counts[verdict],
                     TEXT_ARG(verdict_name(verdict)));
    }
    *out = text_copy(builder_text(&words), arena);
    return refused;
}

// What is wrong with the first row refused, where nothing below has said it.
static void first_fault(const IngestOutcome *outcome, Error *out) {
    static const char *const words[VERDICT_COUNT] = {
        [VERDICT_CONFLICT] = "another value is stored at the time of a sample",
        [VERDICT_TOO_OLD] = "a sample is older than what is kept",
        [VERDICT_TOO_NEW] = "a sample lies too far in the future",
        [VERDICT_BAD_LABELS] = "the labels of a series are not valid",
        [VERDICT_LIMIT] = "a new series is over the quota of its tenant",
        [VERDICT_BAD_VALUE] = "a native histogram is malformed",
    };
    *out = outcome->first_fault;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT && out->code == ERROR_NONE; verdict++) {
        if (outcome->counts[verdict] > 0 && words[verdict] != NULL)
            error_set(out, ERROR_BAD_INPUT, "%s", words[verdict]);
    }
}

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
    const IngestOutcome *outcome = &request->outcome;
    if (is_version_2(request)) say_written(request, outcome);
    Text refused_as = TEXT_NONE;
    uint64_t refused = count_refused(outcome, request->exchange->arena, &refused_as);
    request_add_header(request, TEXT("X-Traceo-Durability"),
                       request->server->durability == LOG_MEMORY ? TEXT("memory") : TEXT("sync"));
    if (refused == 0 && outcome->first_fault.code == ERROR_NONE) {
        request->status = 204;
        request_answer(request);
        return;
    }
    // A body of new series only, over the quota: it may come again. Anything mixed must not: the
    // good part is here.
    bool all_over_quota =
        refused > 0 && refused == outcome->counts[VERDICT_LIMIT] && outcome->sequence == 0;
    Error err;
    first_fault(outcome, &err);
    err.code = all_over_quota ? ERROR_TOO_MANY : ERROR_BAD_INPUT;
    error_context(&err, "%llu of %llu samples were refused (%.*s), the others are kept; the first",
                  (unsigned long long)refused, (unsigned long long)outcome->samples,
                  TEXT_ARG(refused_as));
    request_fail(request, &err);
}

static bool ingest(Request *request, Writer *writer, Tenant *tenant, Error *err) {
    const ServerOptions *options = &request->server->options;
    bool (*take)(Store *, Tenant *, IngestSender *, Compression, Bytes, int64_t, IngestOutcome *,
                 Error *) = is_version_2(request) ? ingest_remote_write_2 : ingest_remote_write;
    return take(options->store, tenant, writer_sender(writer), compression_of(request),
                request->exchange->body, options->clock->wall_ms(options->clock), &request->outcome,
                err);
}

bool serve_remote_write(Request *request, Error *err) {
    Server *server = request->server;
    Writer *writer = writer_of(request);
    Tenant *tenant;
    // Whatever goes wrong from here on, nothing is kept until answer() says otherwise.
    if (is_version_2(request)) say_written(request, &(IngestOutcome){0});
    TRY(writer_tenant(request, writer, &tenant, err));
    if (!ingest(request, writer, tenant, err)) {
        count_up(&server->counters.writes_failed, 1);
        writer_note(request, protocol_of(request), request->outcome.samples, err);
        return false;
    }
    writer_count(server, &request->outcome);
    const Error *first = &request->outcome.first_fault;
    writer_note(request, protocol_of(request), request->outcome.samples,
                first->code == ERROR_NONE ? NULL : first);
    writer_answer_when_durable(request, request->outcome.sequence, answer);
    return false;  // answered, or will be
}
