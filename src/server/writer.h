// What all protocols that write have in common: what a connection keeps from request to request,
// the wait for the log, who is noted as a sender. It lives on the connection's loop. Private to
// server.
#pragma once

#include "ingest/otlp/otlp.h"
#include "server/request.h"

typedef struct Writer {
    IngestSender *sender;  // of remote write
    OtlpSender *otlp;
    Builder plain;   // a body decompressed; its memory is kept
    Tenant *tenant;  // of the last write
} Writer;

// Made at the first write, freed with the connection. `otlp` and `sender` are made when asked for.
Writer *writer_of(Request *request);
IngestSender *writer_sender(Writer *writer);
OtlpSender *writer_otlp(Writer *writer, Otlp *otlp);

// The tenant of the request, which is made at its first write.
must_use bool writer_tenant(Request *request, Writer *writer, Tenant **out, Error *err);

// Counts samples by verdict.
void writer_count(Server *server, const IngestOutcome *outcome);

// Notes the sender (server_note_source). `fault` NULL: all is well.
void writer_note(Request *request, Text protocol, uint64_t samples, const Error *fault);

// Calls `answer`, which answers the request: at once when nothing was logged (0), else on the log's
// thread when it is durable. When it never becomes so, the request fails. Either way the request
// must not be touched any more.
void writer_answer_when_durable(Request *request, uint64_t sequence,
                                void (*answer)(Request *request));
