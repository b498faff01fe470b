// What a connection that writes keeps, and how every write ends.

#include "server/writer.h"

#include "base/limits.h"

enum { PLAIN_KEPT_BYTES = 2 * MB };  // between requests; more is given back

static void writer_free(void *user) {
    Writer *writer = user;
    ingest_sender_free(&writer->sender);
    otlp_sender_free(&writer->otlp);
    influx_reader_free(&writer->influx);
    datadog_reader_free(&writer->datadog);
    write_body_free(&writer->rows);
    builder_free(&writer->plain);
    memory_free(writer);
}

Writer *writer_of(Request *request) {
    HttpExchange *exchange = request->exchange;
    if (exchange->user == NULL) {
        exchange->user = memory_new(Writer);
        exchange->user_free = writer_free;
    }
    return exchange->user;
}

IngestSender *writer_sender(Writer *writer, const ServerOptions *options) {
    if (writer->sender == NULL) {
        writer->sender = ingest_sender_new();
        ingest_sender_remember(writer->sender, options->repeats);
    }
    return writer->sender;
}

OtlpSender *writer_otlp(Writer *writer, Otlp *otlp) {
    if (writer->otlp == NULL) writer->otlp = otlp_sender_new(otlp);
    return writer->otlp;
}

bool writer_tenant(Request *request, Writer *writer, Tenant **out, Error *err) {
    if (writer->tenant == NULL || !text_equal(writer->tenant->name, request->identity.tenant)) {
        TRY(request_tenant(request, true, &writer->tenant, err));
    }
    *out = writer->tenant;
    return true;
}

bool writer_check_coding(Request *request, Error *err) {
    Text coding = http_header(request->exchange, TEXT("Content-Encoding"));
    Compression ignored;
    if (compression_from_name(coding, &ignored)) return true;
    return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                          "the body may be plain, gzip, zstd, deflate or snappy, not \"%.*s\"",
                          TEXT_ARG(coding));
}

bool writer_body(Request *request, Writer *writer, Bytes *out, Error *err) {
    Compression compression;
    Text coding = http_header(request->exchange, TEXT("Content-Encoding"));
    *out = request->exchange->body;
    if (!compression_from_name(coding, &compression)) compression = COMPRESSION_NONE;
    if (compression == COMPRESSION_NONE || out->len == 0) return true;
    builder_clear(&writer->plain);
    TRY(decompress(compression, *out, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &writer->plain, err));
    *out = text_bytes(builder_text(&writer->plain));
    return true;
}

void writer_let_go(Writer *writer) {
    if (writer->plain.capacity > PLAIN_KEPT_BYTES) builder_free(&writer->plain);
    write_body_clear(&writer->rows);
    if (write_body_bytes_kept(&writer->rows) > PLAIN_KEPT_BYTES) write_body_free(&writer->rows);
    if (datadog_reader_bytes_kept(&writer->datadog) > PLAIN_KEPT_BYTES) {
        datadog_reader_free(&writer->datadog);
        writer->datadog = (DatadogReader){0};
    }
    if (writer->influx.arena.bytes > PLAIN_KEPT_BYTES) arena_free(&writer->influx.arena);
}

// ---- What became of the rows ----

// How many were refused, and as what: "3 bad_labels, 1 conflict".
static uint64_t count_refused(const IngestOutcome *outcome, Builder *words) {
    uint64_t refused = 0;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (verdict == VERDICT_STORED || verdict == VERDICT_DUPLICATE ||
            outcome->counts[verdict] == 0)
            continue;
        refused += outcome->counts[verdict];
        if (words->len > 0) builder_add(words, TEXT(", "));
        builder_addf(words, "%llu %.*s", (unsigned long long)outcome->counts[verdict],
                     TEXT_ARG(verdict_name(verdict)));
    }
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

bool writer_refused(const IngestOutcome *outcome, Error *err) {
    AUTO(builder_free) Builder refused_as = {0};
    uint64_t refused = count_refused(outcome, &refused_as);
    if (refused == 0 && outcome->first_fault.code == ERROR_NONE) return false;
    // A body of new series only, over the quota: it may come again. Anything mixed must not: the
    // good part is here.
    bool all_over_quota =
        refused > 0 && refused == outcome->counts[VERDICT_LIMIT] && outcome->sequence == 0;
    first_fault(outcome, err);
    err->code = all_over_quota ? ERROR_TOO_MANY : ERROR_BAD_INPUT;
    error_context(err, "%llu of %llu samples were refused (%.*s), the others are kept; the first",
                  (unsigned long long)refused, (unsigned long long)outcome->samples,
                  TEXT_ARG(builder_text(&refused_as)));
    return true;
}

void writer_name_refused(Request *request, const IngestOutcome *outcome) {
    AUTO(builder_free) Builder words = {0};
    if (count_refused(outcome, &words) > 0)
        request_add_header(request, TEXT("X-Traceo-Refused"),
                           text_copy(builder_text(&words), request->exchange->arena));
}

Text writer_durability(const Request *request) {
    return request->server->durability == LOG_MEMORY ? TEXT("memory") : TEXT("sync");
}

void writer_answer(Request *request) {
    const IngestOutcome *outcome = &request->outcome;
    Error err;
    request_add_header(request, TEXT("X-Traceo-Durability"), writer_durability(request));
    if (!writer_refused(outcome, &err)) {
        request->status = 204;
        request_answer(request);
        return;
    }
    writer_name_refused(request, outcome);
    request_fail(request, &err);
}

void writer_count(Server *server, const IngestOutcome *outcome) {
    for (size_t i = 0; i < VERDICT_COUNT; i++) {
        // Adding nothing would fetch the line from the other loops all the same.
        if (outcome->counts[i] > 0) count_up(&server->counters.samples[i], outcome->counts[i]);
    }
}

void writer_note(Request *request, Text protocol, uint64_t samples, const Error *fault) {
    HttpExchange *exchange = request->exchange;
    SourceNote note = {
        .protocol = protocol,
        .peer = exchange->peer,
        .agent = http_header(exchange, TEXT("User-Agent")),
        .tenant = request->identity.tenant,
        .samples = samples,
        .bytes = exchange->body.len,
        .fault = fault,
    };
    server_note_source(request->server, &note);
}

// On the log's commit thread.
static void when_durable(void *context, bool ok, const Error *err) {
    Request *request = context;
    if (ok) {
        request->answer_write(request);
        return;
    }
    count_up(&request->server->counters.writes_failed, 1);
    request_fail(request, err);
}

void writer_answer_when_durable(Request *request, uint64_t sequence,
                                void (*answer)(Request *request)) {
    if (sequence == 0) {
        answer(request);
        return;
    }
    request->answer_write = answer;
    store_when_durable(request->server->options.store, sequence, when_durable, request);
}

bool writer_finish(Request *request, Text protocol, bool done, const Error *fault,
                   void (*answer)(Request *request), Error *err) {
    Server *server = request->server;
    const IngestOutcome *outcome = &request->outcome;
    if (!done) {
        count_up(&server->counters.writes_failed, 1);
        writer_note(request, protocol, outcome->samples, err);
        return false;
    }
    writer_count(server, outcome);
    if (fault == NULL && outcome->first_fault.code != ERROR_NONE) fault = &outcome->first_fault;
    writer_note(request, protocol, outcome->samples, fault);
    writer_answer_when_durable(request, outcome->sequence, answer);
    return false;  // answered, or will be
}
