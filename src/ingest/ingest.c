// The way of a written body: decompress, decode, admit, store.

#include "ingest/ingest.h"

#include "base/assert.h"
#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/admit.h"
#include "ingest/write_request.h"

struct IngestSender {
    SeriesPrediction prediction;
    uint32_t tenant;  // the prediction is of this one
    Builder body;     // decompressed; its memory is kept
    Builder packed;   // for the log, when the body came in another form
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
    builder_free(&(*sender)->packed);
    batch_free(&(*sender)->batch);
    arena_free(&(*sender)->scratch);
    memory_free(TAKE(*sender));
}

// Decodes `body` into the sender's batch, which is empty before. `*plain` is the body decompressed.
static bool decode(IngestSender *sender, Compression compression, Bytes body, int64_t arrival_ms,
                   Bytes *plain, Error *err) {
    batch_clear(&sender->batch);
    arena_clear(&sender->scratch);
    sender->batch.arrival_ms = arrival_ms;
    *plain = body;
    if (compression != COMPRESSION_NONE) {
        builder_clear(&sender->body);
        TRY(decompress(compression, body, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &sender->body,
                       err));
        *plain = text_bytes(builder_text(&sender->body));
    }
    return write_request_decode(*plain, &sender->scratch, &sender->batch, err);
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
    if (sender->packed.capacity > BODY_KEPT_BYTES) builder_free(&sender->packed);
    if (batch_bytes_kept(&sender->batch) > BODY_KEPT_BYTES) batch_free(&sender->batch);
    if (sender->scratch.bytes > BODY_KEPT_BYTES) arena_free(&sender->scratch);
}

// What the log keeps: `body` as it came where that is one of its two forms, else packed by snappy.
typedef struct LogForm {
    LogRecordType type;
    Bytes body;
} LogForm;

static bool log_form(IngestSender *sender, Compression came_as, Bytes body, Bytes plain, bool pack,
                     LogForm *out, Error *err) {
    *out = (LogForm){LOG_RECORD_REMOTE_WRITE_1, body};
    if (came_as == COMPRESSION_SNAPPY) return true;
    if (came_as == COMPRESSION_NONE && !pack) {
        out->type = LOG_RECORD_SAMPLES;
        return true;
    }
    builder_clear(&sender->packed);
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, plain, &sender->packed, err));
    out->body = text_bytes(builder_text(&sender->packed));
    return true;
}

static bool ingest_whole(Store *store, Tenant *tenant, IngestSender *sender,
                         Compression compression, Bytes body, bool pack, int64_t arrival_ms,
                         IngestOutcome *out, Error *err) {
    *out = (IngestOutcome){0};
    Bytes plain;
    TRY(decode(sender, compression, body, arrival_ms, &plain, err));
    Batch *batch = &sender->batch;
    admit(batch);
    out->samples = batch->samples.count + batch->histograms.count;
    out->exemplars = batch->exemplars.count;
    out->metadata = batch->metadata.count;
    if (batch->series.count > 0 || batch->metadata.count > 0) {
        LogForm form;
        TRY(log_form(sender, compression, body, plain, pack, &form, err));
        TRY(store_write(store, tenant, form.type, form.body, prediction_for(sender, tenant), batch,
                        &out->sequence, err));
    }
    memcpy(out->counts, batch->counts, sizeof out->counts);
    out->first_fault = batch->first_fault;
    return true;
}

bool ingest_remote_write(Store *store, Tenant *tenant, IngestSender *sender,
                         Compression compression, Bytes body, int64_t arrival_ms,
                         IngestOutcome *out, Error *err) {
    bool done = ingest_whole(store, tenant, sender, compression, body, false, arrival_ms, out, err);
    let_go(sender);
    return done;
}

bool ingest_samples(Store *store, Tenant *tenant, IngestSender *sender, Bytes body,
                    int64_t arrival_ms, IngestOutcome *out, Error *err) {
    // A replay unpacks no more than this, so no more may be logged.
    if ((int64_t)body.len > LIMIT_BODY_DECOMPRESSED_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "a body of %zu bytes passes BODY_DECOMPRESSED_BYTES (%lld)", body.len,
                         (long long)LIMIT_BODY_DECOMPRESSED_BYTES);
    }
    // Packed for the log only: a scrape of this host is 22 KB plain and a fifth of that packed.
    bool done =
        ingest_whole(store, tenant, sender, COMPRESSION_NONE, body, true, arrival_ms, out, err);
    let_go(sender);
    return done;
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
    Bytes plain;
    if (!decode(sender, compression, record->body, record->arrival_ms, &plain, err)) {
        return error_context(err, "decoding log record %llu", (unsigned long long)record->sequence);
    }
    admit_beside(&sender->batch);
    bool done = store_write_again(store, tenant, record, prediction_for(sender, tenant),
                                  &sender->batch, err);
    let_go(sender);
    return done;
}

void write_body_begin(WriteBody *body, Labels labels) {
    assert(body->series == 0);
    body->series = protobuf_begin(&body->bytes, 1);
    builder_add_bytes(&body->bytes, labels.wire.at, labels.wire.len);
}

void write_body_sample(WriteBody *body, int64_t time_ms, double value) {
    assert(body->series != 0);
    size_t sample = protobuf_begin(&body->bytes, 2);
    protobuf_add_double(&body->bytes, 1, value);
    protobuf_add_varint(&body->bytes, 2, (uint64_t)time_ms);
    protobuf_end(&body->bytes, sample);
    body->rows++;
}

void write_body_exemplar(WriteBody *body, Labels labels, double value, int64_t time_ms) {
    assert(body->series != 0);
    size_t exemplar = protobuf_begin(&body->bytes, 3);
    builder_add_bytes(&body->bytes, labels.wire.at, labels.wire.len);
    protobuf_add_double(&body->bytes, 2, value);
    protobuf_add_varint(&body->bytes, 3, (uint64_t)time_ms);
    protobuf_end(&body->bytes, exemplar);
}

void write_body_histogram(WriteBody *body, const NativeHistogram *histogram) {
    assert(body->series != 0);
    size_t message = protobuf_begin(&body->bytes, 4);
    native_histogram_write(histogram, &body->bytes);
    protobuf_end(&body->bytes, message);
    body->rows++;
}

void write_body_end(WriteBody *body) {
    assert(body->series != 0);
    protobuf_end(&body->bytes, body->series);
    body->series = 0;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

// Written straight, as OTLP makes millions of these a second; the test holds it against the same
// row begun and ended.
void write_body_add(WriteBody *body, Labels labels, int64_t time_ms, double value) {
    assert(body->series == 0);
    enum { LENGTHS_MAX = 24 };  // tags, both lengths
    size_t sample = 1 + sizeof value + 1 + varint_len((uint64_t)time_ms);
    size_t series = labels.wire.len + 2 + sample;
    builder_reserve(&body->bytes, series + LENGTHS_MAX);
    uint8_t *at = (uint8_t *)body->bytes.at + body->bytes.len;
    *at++ = 0x0a;
    at = put_varint(at, series);
    if (labels.wire.len > 0) memcpy(at, labels.wire.at, labels.wire.len);
    at += labels.wire.len;
    *at++ = 0x12;
    *at++ = (uint8_t)sample;
    *at++ = 0x09;
    memcpy(at, &value, sizeof value);
    at += sizeof value;
    *at++ = 0x10;
    at = put_varint(at, (uint64_t)time_ms);
    body->bytes.len = (size_t)(at - (uint8_t *)body->bytes.at);
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
    body->series = 0;
}

void write_body_free(WriteBody *body) {
    builder_free(&body->bytes);
    *body = (WriteBody){0};
}
