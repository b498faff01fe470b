// The way of a written body: decompress, decode, admit, store.

#include "ingest/ingest.h"

#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/admit.h"
#include "ingest/write_request.h"

struct IngestSender {
    SeriesPrediction prediction;
    uint32_t tenant;  // the prediction is of this one
    Builder body;     // decompressed; its memory is kept
    Batch batch;
    Arena scratch;  // labels that had to be brought together; cleared per request
};

// Kept from request to request; a larger body gives its memory back.
enum { BODY_KEPT_BYTES = 2 * MB };

IngestSender *ingest_sender_new(void) {
    return memory_new(IngestSender);
}

void ingest_sender_free(IngestSender **sender) {
    if (*sender == NULL) return;
    builder_free(&(*sender)->body);
    batch_free(&(*sender)->batch);
    arena_free(&(*sender)->scratch);
    memory_free(TAKE(*sender));
}

// Decodes `body` into the sender's batch, which is empty before.
static bool decode(IngestSender *sender, Compression compression, Bytes body, int64_t arrival_ms,
                   Error *err) {
    batch_clear(&sender->batch);
    arena_clear(&sender->scratch);
    sender->batch.arrival_ms = arrival_ms;
    Bytes decoded = body;
    if (compression != COMPRESSION_NONE) {
        builder_clear(&sender->body);
        TRY(decompress(compression, body, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &sender->body,
                       err));
        decoded = text_bytes(builder_text(&sender->body));
    }
    return write_request_decode(decoded, &sender->scratch, &sender->batch, err);
}

static SeriesPrediction *prediction_for(IngestSender *sender, const Tenant *tenant) {
    if (sender->tenant != tenant->id.number) {
        sender->tenant = tenant->id.number;
        sender->prediction = (SeriesPrediction){0};
    }
    return &sender->prediction;
}

// After a very large body, good or bad, the memory is given back: a connection must not hold 64 MiB
// for one burst.
static void let_go(IngestSender *sender) {
    if (sender->body.capacity > BODY_KEPT_BYTES) builder_free(&sender->body);
    if (batch_bytes_kept(&sender->batch) > BODY_KEPT_BYTES) batch_free(&sender->batch);
    if (sender->scratch.bytes > BODY_KEPT_BYTES) arena_free(&sender->scratch);
}

static bool ingest_whole(Store *store, Tenant *tenant, IngestSender *sender, LogRecordType type,
                         Compression compression, Bytes body, int64_t arrival_ms,
                         IngestOutcome *out, Error *err) {
    *out = (IngestOutcome){0};
    TRY(decode(sender, compression, body, arrival_ms, err));
    Batch *batch = &sender->batch;
    admit(batch);
    out->samples = batch->samples.count + batch->histograms.count;
    out->exemplars = batch->exemplars.count;
    out->metadata = batch->metadata.count;
    if (batch->series.count > 0 || batch->metadata.count > 0) {
        TRY(store_write(store, tenant, type, body, prediction_for(sender, tenant), batch,
                        &out->sequence, err));
    }
    memcpy(out->counts, batch->counts, sizeof out->counts);
    out->first_fault = batch->first_fault;
    return true;
}

static bool ingest(Store *store, Tenant *tenant, IngestSender *sender, LogRecordType type,
                   Compression compression, Bytes body, int64_t arrival_ms, IngestOutcome *out,
                   Error *err) {
    bool done = ingest_whole(store, tenant, sender, type, compression, body, arrival_ms, out, err);
    let_go(sender);
    return done;
}

bool ingest_remote_write(Store *store, Tenant *tenant, IngestSender *sender,
                         Compression compression, Bytes body, int64_t arrival_ms,
                         IngestOutcome *out, Error *err) {
    if (compression == COMPRESSION_SNAPPY) {
        return ingest(store, tenant, sender, LOG_RECORD_REMOTE_WRITE_1, compression, body,
                      arrival_ms, out, err);
    }
    // The log knows two forms of a body; what came otherwise is logged as decoded.
    if (compression == COMPRESSION_NONE) {
        return ingest(store, tenant, sender, LOG_RECORD_SAMPLES, compression, body, arrival_ms, out,
                      err);
    }
    AUTO(builder_free) Builder plain = {0};
    TRY(decompress(compression, body, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &plain, err));
    AUTO(builder_free) Builder packed = {0};
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&plain)), &packed, err));
    return ingest(store, tenant, sender, LOG_RECORD_REMOTE_WRITE_1, COMPRESSION_SNAPPY,
                  text_bytes(builder_text(&packed)), arrival_ms, out, err);
}

bool ingest_samples(Store *store, Tenant *tenant, IngestSender *sender, Bytes body,
                    int64_t arrival_ms, IngestOutcome *out, Error *err) {
    // The log takes the body as it is: a scrape of this host is 22 KB plain and a fifth of that
    // packed.
    AUTO(builder_free) Builder packed = {0};
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, body, &packed, err));
    return ingest(store, tenant, sender, LOG_RECORD_REMOTE_WRITE_1, COMPRESSION_SNAPPY,
                  text_bytes(builder_text(&packed)), arrival_ms, out, err);
}

bool ingest_replay(void *context, Store *store, const LogRecord *record, Error *err) {
    IngestSender *sender = context;
    Tenant *tenant = store_tenant_by_id(store, (TenantId){record->tenant});
    if (tenant == NULL) {
        return error_set(err, ERROR_CORRUPT,
                         "log record %llu is of tenant %u, which the catalogue does not know",
                         (unsigned long long)record->sequence, record->tenant);
    }
    Compression compression =
        record->type == LOG_RECORD_SAMPLES ? COMPRESSION_NONE : COMPRESSION_SNAPPY;
    if (!decode(sender, compression, record->body, record->arrival_ms, err)) {
        return error_context(err, "decoding log record %llu", (unsigned long long)record->sequence);
    }
    admit_beside(&sender->batch);
    bool done = store_write_again(store, tenant, record, prediction_for(sender, tenant),
                                  &sender->batch, err);
    let_go(sender);
    return done;
}

void write_body_add(WriteBody *body, Labels labels, int64_t time_ms, double value) {
    size_t series = protobuf_begin(&body->bytes, 1);
    builder_add_bytes(&body->bytes, labels.wire.at, labels.wire.len);
    size_t sample = protobuf_begin(&body->bytes, 2);
    protobuf_add_double(&body->bytes, 1, value);
    protobuf_add_varint(&body->bytes, 2, (uint64_t)time_ms);
    protobuf_end(&body->bytes, sample);
    protobuf_end(&body->bytes, series);
    body->rows++;
}

void write_body_add_metadata(WriteBody *body, Text family, uint8_t type, Text help, Text unit) {
    size_t metadata = protobuf_begin(&body->bytes, 3);
    protobuf_add_varint(&body->bytes, 1, type);
    protobuf_add_text(&body->bytes, 2, family);
    protobuf_add_text(&body->bytes, 4, help);
    if (unit.len > 0) protobuf_add_text(&body->bytes, 5, unit);
    protobuf_end(&body->bytes, metadata);
}

void write_body_clear(WriteBody *body) {
    builder_clear(&body->bytes);
    body->rows = 0;
}

void write_body_free(WriteBody *body) {
    builder_free(&body->bytes);
    *body = (WriteBody){0};
}
