// What a connection that writes keeps, and how every write ends.

#include "server/writer.h"

static void writer_free(void *user) {
    Writer *writer = user;
    ingest_sender_free(&writer->sender);
    otlp_sender_free(&writer->otlp);
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

IngestSender *writer_sender(Writer *writer) {
    if (writer->sender == NULL) writer->sender = ingest_sender_new();
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

void writer_count(Server *server, const IngestOutcome *outcome) {
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        count_up(&server->counters.samples[i], outcome->counts[i]);
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
