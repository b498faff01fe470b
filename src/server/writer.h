// What a connection that writes keeps from request to request, whatever protocol it speaks. It
// lives on the connection's loop. Private to server.
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
