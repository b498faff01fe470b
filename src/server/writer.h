// What all protocols that write have in common: what a connection keeps from request to request,
// the wait for the log, who is noted as a sender. It lives on the connection's loop. Private to
// server.
#pragma once

#include "ingest/otlp/otlp.h"
#include "server/request.h"

typedef struct Writer {
    IngestSender *sender;  // of all but OTLP
    OtlpSender *otlp;
    InfluxReader influx;
    DatadogReader datadog;
    WriteBody rows;  // of protocols that are no protobuf; empty between requests
    Builder plain;   // a body decompressed; its memory is kept
    Tenant *tenant;  // of the last write
} Writer;

// Made at the first write, freed with the connection. `otlp` and `sender` are made when asked for.
Writer *writer_of(Request *request);
IngestSender *writer_sender(Writer *writer, const ServerOptions *options);
OtlpSender *writer_otlp(Writer *writer, Otlp *otlp);

// The tenant of the request, which is made at its first write.
must_use bool writer_tenant(Request *request, Writer *writer, Tenant **out, Error *err);

// The Content-Encoding of the head: 415 when it is unknown.
must_use bool writer_check_coding(Request *request, Error *err);
// The body unpacked as its Content-Encoding says: a view, or on writer->plain.
must_use bool writer_body(Request *request, Writer *writer, Bytes *out, Error *err);
// Empties what one request filled; gives memory back after a large one.
void writer_let_go(Writer *writer);

// Were rows refused? Then `err` counts and names them: BAD_INPUT, or TOO_MANY when all of them are
// new series over the quota, so that they may come again.
bool writer_refused(const IngestOutcome *outcome, Error *err);
// Names them in X-Traceo-Refused, "3 too_old, 1 conflict", for programs (`traceo import`).
void writer_name_refused(Request *request, const IngestOutcome *outcome);
Text writer_durability(const Request *request);  // for X-Traceo-Durability

// The answer of protocols that have no words of their own for it: 204, or what was refused.
void writer_answer(Request *request);

// Counts samples by verdict.
void writer_count(Server *server, const IngestOutcome *outcome);

// Notes the sender (server_note_source). `fault` NULL: all is well.
void writer_note(Request *request, Text protocol, uint64_t samples, const Error *fault);

// The end of a write whose request->outcome is known (`done`) or that failed with `err`: counts it,
// notes the sender, and waits for the log. `fault`: what the protocol found wrong, NULL: nothing.
// Gives what `serve` of a route gives.
bool writer_finish(Request *request, Text protocol, bool done, const Error *fault,
                   void (*answer)(Request *request), Error *err);

// Calls `answer`, which answers the request: at once when nothing was logged (0), else on the log's
// thread when it is durable. When it never becomes so, the request fails. Either way the request
// must not be touched any more.
void writer_answer_when_durable(Request *request, uint64_t sequence,
                                void (*answer)(Request *request));
