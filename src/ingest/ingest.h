// Ingest: bytes of a protocol become a batch, and a batch passes one gate into the store.
//
//   body → decompress → decode → Batch → admit → store_write → wait until durable → answer
//
// A sender keeps what one connection taught us (buffers, prediction of series); it belongs to one
// thread at a time. Any number of senders work at once.
#pragma once

#include "codec/compress.h"
#include "ingest/write_body.h"
#include "store/store.h"

typedef struct IngestSender IngestSender;

IngestSender *ingest_sender_new(void);
void ingest_sender_free(IngestSender **sender);

// What requests of remote write 2.0 that come again were, for all senders (repeats.h). Freed after
// them.
typedef struct Repeats Repeats;
Repeats *repeats_new(HashKey key, int64_t bytes_max);  // 0: LIMIT_REPEATS_BYTES
void repeats_free(Repeats **repeats);
typedef struct RepeatsState {
    size_t requests, series;
    int64_t bytes;
    uint64_t found, remembered, evicted;
} RepeatsState;
void repeats_state(Repeats *repeats, RepeatsState *out);
void ingest_sender_remember(IngestSender *sender, Repeats *repeats);  // NULL: it does not

typedef struct IngestOutcome {
    uint64_t sequence;               // wait for it with store_when_durable; 0: nothing was logged
    uint64_t counts[VERDICT_COUNT];  // samples and histograms
    uint64_t samples, exemplars, metadata;
    // What is kept of it, or was already: samples without histograms, histograms, exemplars.
    uint64_t kept_samples, kept_histograms, kept_exemplars;
    Error first_fault;  // code NONE when every row was stored
} IngestOutcome;

// A remote write 1.0 body (prometheus.WriteRequest). False: nothing was stored (BAD_INPUT,
// TOO_LARGE, DISK_FULL, BUSY …). True: the good rows are stored, `out` tells of the others; the
// answer waits for out->sequence.
must_use bool ingest_remote_write(Store *store, Tenant *tenant, IngestSender *sender,
                                  Compression compression, Bytes body, int64_t arrival_ms,
                                  IngestOutcome *out, Error *err);

// The same for a remote write 2.0 body (io.prometheus.write.v2.Request).
must_use bool ingest_remote_write_2(Store *store, Tenant *tenant, IngestSender *sender,
                                    Compression compression, Bytes body, int64_t arrival_ms,
                                    IngestOutcome *out, Error *err);

// The same for rows made in this process. `body` stays as it is; the store keeps nothing of it.
must_use bool ingest_samples(Store *store, Tenant *tenant, IngestSender *sender,
                             const WriteBody *body, int64_t arrival_ms, IngestOutcome *out,
                             Error *err);

// The same for a part of such a body: whole series of its bytes, which are decoded.
must_use bool ingest_samples_part(Store *store, Tenant *tenant, IngestSender *sender, Bytes part,
                                  int64_t arrival_ms, IngestOutcome *out, Error *err);

// StoreReplay for app: decodes a record again and gives it to store_write_again. `context` is an
// IngestSender.
bool ingest_replay(void *context, Store *store, const LogRecord *record, Error *err);
