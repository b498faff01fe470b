// Ingest: bytes of a protocol become a batch, and a batch passes one gate into the store.
//
//   body → decompress → decode → Batch → admit → store_write → wait until durable → answer
//
// A sender keeps what one connection taught us (buffers, prediction of series); it belongs to one
// thread at a time. Any number of senders work at once.
#pragma once

#include "codec/compress.h"
#include "model/native_histogram.h"
#include "store/store.h"

typedef struct IngestSender IngestSender;

IngestSender *ingest_sender_new(void);
void ingest_sender_free(IngestSender **sender);

typedef struct IngestOutcome {
    uint64_t sequence;               // wait for it with store_when_durable; 0: nothing was logged
    uint64_t counts[VERDICT_COUNT];  // samples and histograms
    uint64_t samples, exemplars, metadata;
    Error first_fault;  // code NONE when every row was stored
} IngestOutcome;

// A remote write 1.0 body (prometheus.WriteRequest). False: nothing was stored (BAD_INPUT,
// TOO_LARGE, DISK_FULL, BUSY …). True: the good rows are stored, `out` tells of the others; the
// answer waits for out->sequence.
must_use bool ingest_remote_write(Store *store, Tenant *tenant, IngestSender *sender,
                                  Compression compression, Bytes body, int64_t arrival_ms,
                                  IngestOutcome *out, Error *err);

// The same for rows made in this process: `body` is an uncompressed prometheus.WriteRequest (see
// WriteBody).
must_use bool ingest_samples(Store *store, Tenant *tenant, IngestSender *sender, Bytes body,
                             int64_t arrival_ms, IngestOutcome *out, Error *err);

// Makes a WriteRequest body series by series: how every protocol that is not remote write hands its
// rows to ingest_samples, so that the log has one form. Begin with {0}.
//
//   write_body_begin(&body, labels);
//   write_body_sample(&body, time_ms, value);          any number of these three, in any order
//   write_body_exemplar(&body, labels, value, time_ms);
//   write_body_histogram(&body, &histogram);
//   write_body_end(&body);
//
// Nothing is judged here: what is wrong with a row, admit and the store will say.
typedef struct WriteBody {
    Builder bytes;
    uint64_t rows;  // samples and histograms
    size_t series;  // the one that has begun; 0: none
} WriteBody;
void write_body_begin(WriteBody *body, Labels labels);
void write_body_sample(WriteBody *body, int64_t time_ms, double value);
void write_body_exemplar(WriteBody *body, Labels labels, double value, int64_t time_ms);
void write_body_histogram(WriteBody *body, const NativeHistogram *histogram);
void write_body_end(WriteBody *body);
// A series of one sample.
void write_body_add(WriteBody *body, Labels labels, int64_t time_ms, double value);
// `type` is one of MetadataType.
void write_body_add_metadata(WriteBody *body, Text family, uint8_t type, Text help, Text unit);
void write_body_clear(WriteBody *body);
void write_body_free(WriteBody *body);

// StoreReplay for app: decodes a record again and gives it to store_write_again. `context` is an
// IngestSender.
bool ingest_replay(void *context, Store *store, const LogRecord *record, Error *err);
