// The way of a written body: decompress, decode, admit, store.

#include "ingest/ingest.h"

#include "base/assert.h"
#include "base/limits.h"
#include "ingest/admit.h"
#include "ingest/repeats.h"
#include "ingest/write_request.h"

struct IngestSender {
    SeriesPrediction prediction;
    uint32_t tenant;  // the prediction is of this one
    Builder body;     // decompressed; its memory is kept
    Builder packed;   // for the log, when the body came in another form
    Batch batch;
    WriteSymbols symbols;  // of remote write 2.0
    Repeats *repeats;      // of all senders; NULL: nothing is remembered. Not owned
    Arena scratch;         // labels that had to be brought together; cleared per request
};

// Kept from request to request; a larger body gives its memory back.
enum { BODY_KEPT_BYTES = 2 * MB };

IngestSender *ingest_sender_new(void) {
    return memory_new(IngestSender);
}

void ingest_sender_remember(IngestSender *sender, Repeats *repeats) {
    sender->repeats = repeats;
}

void ingest_sender_free(IngestSender **sender) {
    if (*sender == NULL) return;
    builder_free(&(*sender)->body);
    builder_free(&(*sender)->packed);
    batch_free(&(*sender)->batch);
    write_symbols_free(&(*sender)->symbols);
    arena_free(&(*sender)->scratch);
    memory_free(TAKE(*sender));
}

static void batch_begin(IngestSender *sender, int64_t arrival_ms) {
    batch_clear(&sender->batch);
    arena_clear(&sender->scratch);
    sender->batch.arrival_ms = arrival_ms;
}

typedef enum Version { VERSION_1, VERSION_2 } Version;  // of remote write

static SeriesPrediction *prediction_for(IngestSender *sender, const Tenant *tenant) {
    if (sender->tenant != tenant->id.number) {
        sender->tenant = tenant->id.number;
        sender->prediction = (SeriesPrediction){0};
    }
    return &sender->prediction;
}

// A request that the store took, for when it comes again.
static void remember(IngestSender *sender, const Tenant *tenant, Version version, Bytes plain) {
    if (version == VERSION_2)
        repeats_note(sender->repeats, tenant->id.number, plain, &sender->symbols, &sender->batch);
}

// Decodes `body` into the sender's batch, which is empty before. `*plain` is the body decompressed.
static bool decode(IngestSender *sender, const Tenant *tenant, Version version,
                   Compression compression, Bytes body, int64_t arrival_ms, Bytes *plain,
                   Error *err) {
    batch_begin(sender, arrival_ms);
    *plain = body;
    if (compression != COMPRESSION_NONE) {
        builder_clear(&sender->body);
        TRY(decompress(compression, body, (size_t)LIMIT_BODY_DECOMPRESSED_BYTES, &sender->body,
                       err));
        *plain = text_bytes(builder_text(&sender->body));
    }
    if (version == VERSION_2) {
        return repeats_decode(sender->repeats, tenant->id.number, *plain, &sender->symbols,
                              &sender->scratch, &sender->batch, err);
    }
    SeriesForetold foretold;
    series_foretell_begin(tenant->series, prediction_for(sender, tenant), &foretold);
    bool done = write_request_decode(*plain, &sender->scratch, &foretold, &sender->batch, err);
    series_foretell_end(&foretold);
    return done;
}

// After a very large body, good or bad, the memory is given back: a connection must not hold 64 MiB
// for one burst.
static void let_go(IngestSender *sender) {
    if (sender->body.capacity > BODY_KEPT_BYTES) builder_free(&sender->body);
    if (sender->packed.capacity > BODY_KEPT_BYTES) builder_free(&sender->packed);
    if (batch_bytes_kept(&sender->batch) > BODY_KEPT_BYTES) batch_free(&sender->batch);
    if (write_symbols_bytes_kept(&sender->symbols) > BODY_KEPT_BYTES)
        write_symbols_free(&sender->symbols);
    if (sender->scratch.bytes > BODY_KEPT_BYTES) arena_free(&sender->scratch);
}

// What the log keeps: a body in one of its forms.
typedef struct LogForm {
    LogRecordType type;
    Bytes body;
} LogForm;

// The sender's batch through the gate and into the store.
static bool store_batch(Store *store, Tenant *tenant, IngestSender *sender, LogForm form,
                        IngestOutcome *out, Error *err) {
    Batch *batch = &sender->batch;
    if (batch_is_plain(batch) || batch->series.count > 0 || batch->metadata.count > 0) {
        TRY(store_write(store, tenant, form.type, form.body, prediction_for(sender, tenant), batch,
                        &out->sequence, err));
    }
    memcpy(out->counts, batch->counts, sizeof out->counts);
    uint64_t kept = batch->counts[VERDICT_STORED] + batch->counts[VERDICT_DUPLICATE];
    out->kept_histograms = batch->histograms_kept;
    out->kept_samples = kept - batch->histograms_kept;
    for (size_t i = 0; batch->exemplars.count > 0 && i < batch->series.count; i++) {
        if (batch->series.at[i].verdict == VERDICT_STORED)
            out->kept_exemplars += batch->series.at[i].exemplar_count;
    }
    out->first_fault = batch->first_fault;
    return true;
}

static void judge(Batch *batch, IngestOutcome *out) {
    *out = (IngestOutcome){0};
    admit(batch);
    out->samples = batch->samples.count + batch->histograms.count;
    out->exemplars = batch->exemplars.count;
    out->metadata = batch->metadata.count;
}

// Packed for the log only: a scrape of this host is 22 KB plain and a fifth of that packed.
static bool pack(IngestSender *sender, Bytes plain, LogForm *out, Error *err) {
    builder_clear(&sender->packed);
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, plain, &sender->packed, err));
    out->body = text_bytes(builder_text(&sender->packed));
    return true;
}

static bool remote_write(Store *store, Tenant *tenant, IngestSender *sender, Version version,
                         Compression compression, Bytes body, int64_t arrival_ms,
                         IngestOutcome *out, Error *err) {
    Bytes plain;
    *out = (IngestOutcome){0};
    TRY(decode(sender, tenant, version, compression, body, arrival_ms, &plain, err));
    judge(&sender->batch, out);
    LogForm form = {version == VERSION_1 ? LOG_RECORD_REMOTE_WRITE_1 : LOG_RECORD_REMOTE_WRITE_2,
                    body};
    if (compression == COMPRESSION_NONE && version == VERSION_1) {
        form.type = LOG_RECORD_SAMPLES;
    } else if (compression != COMPRESSION_SNAPPY) {
        TRY(pack(sender, plain, &form, err));
    }
    TRY(store_batch(store, tenant, sender, form, out, err));
    remember(sender, tenant, version, plain);
    return true;
}

bool ingest_remote_write(Store *store, Tenant *tenant, IngestSender *sender,
                         Compression compression, Bytes body, int64_t arrival_ms,
                         IngestOutcome *out, Error *err) {
    bool done =
        remote_write(store, tenant, sender, VERSION_1, compression, body, arrival_ms, out, err);
    let_go(sender);
    return done;
}

bool ingest_remote_write_2(Store *store, Tenant *tenant, IngestSender *sender,
                           Compression compression, Bytes body, int64_t arrival_ms,
                           IngestOutcome *out, Error *err) {
    bool done =
        remote_write(store, tenant, sender, VERSION_2, compression, body, arrival_ms, out, err);
    let_go(sender);
    return done;
}

// The same for rows whose places are known: each is compared with the row before, where the general
// compressor would look for what they have in common (it took 16 % of an OTLP sample).
static LogForm pack_rows(IngestSender *sender, const WriteBody *body) {
    builder_clear(&sender->packed);
    write_body_pack(body, &sender->packed);
    return (LogForm){LOG_RECORD_REMOTE_WRITE_1, text_bytes(builder_text(&sender->packed))};
}

bool ingest_samples(Store *store, Tenant *tenant, IngestSender *sender, const WriteBody *body,
                    int64_t arrival_ms, IngestOutcome *out, Error *err) {
    *out = (IngestOutcome){0};
    // A replay unpacks no more than this, so no more may be logged.
    TRY(write_body_fits(body, err));
    batch_begin(sender, arrival_ms);
    write_body_batch(body, &sender->batch);
    assert_slow(write_body_decodes_to(body, &sender->batch));
    judge(&sender->batch, out);
    bool done = store_batch(store, tenant, sender, pack_rows(sender, body), out, err);
    let_go(sender);
    return done;
}

// A part comes as bytes alone.
static bool store_part(Store *store, Tenant *tenant, IngestSender *sender, Bytes part,
                       int64_t arrival_ms, IngestOutcome *out, Error *err) {
    Bytes plain;
    LogForm form = {.type = LOG_RECORD_REMOTE_WRITE_1};
    TRY(decode(sender, tenant, VERSION_1, COMPRESSION_NONE, part, arrival_ms, &plain, err));
    judge(&sender->batch, out);
    TRY(pack(sender, plain, &form, err));
    return store_batch(store, tenant, sender, form, out, err);
}

bool ingest_samples_part(Store *store, Tenant *tenant, IngestSender *sender, Bytes part,
                         int64_t arrival_ms, IngestOutcome *out, Error *err) {
    *out = (IngestOutcome){0};
    if ((int64_t)part.len > LIMIT_BODY_DECOMPRESSED_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "a body of %zu bytes passes BODY_DECOMPRESSED_BYTES (%lld)", part.len,
                         (long long)LIMIT_BODY_DECOMPRESSED_BYTES);
    }
    bool done = store_part(store, tenant, sender, part, arrival_ms, out, err);
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
    Version version = record->type == LOG_RECORD_REMOTE_WRITE_2 ? VERSION_2 : VERSION_1;
    Bytes plain;
    if (!decode(sender, tenant, version, compression, record->body, record->arrival_ms, &plain,
                err)) {
        return error_context(err, "decoding log record %llu", (unsigned long long)record->sequence);
    }
    admit_beside(&sender->batch);
    bool done = store_write_again(store, tenant, record, prediction_for(sender, tenant),
                                  &sender->batch, err);
    if (done) remember(sender, tenant, version, plain);
    let_go(sender);
    return done;
}
