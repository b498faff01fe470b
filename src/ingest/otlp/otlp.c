// The front door: senders, the lock around deltas, the way to the gate, answers.

#include "ingest/otlp/otlp.h"

#include "base/assert.h"
#include "base/limits.h"
#include "codec/json.h"
#include "ingest/otlp/decode.h"
#include "ingest/otlp/json.h"
#include "os/thread.h"

static const int64_t cache_bytes_default = 64 * MB;
static const int64_t delta_series_default = 100000;
static const int64_t delta_expires_ms_default = 3600000;
static const int64_t info_every_ms_default = 150000;

enum { ROWS_KEPT_BYTES = 4 * MB };  // between requests; more is given back

// Totals of one tenant's deltas.
typedef struct TenantDelta {
    uint32_t tenant;
    DeltaTable *table;
} TenantDelta;

struct Otlp {
    OtlpOptions options;
    Arena arena;
    Budget budget;  // of the caches
    Mutex lock;     // of what is below
    ARRAY(TenantDelta) deltas;
};

struct OtlpSender {
    Otlp *otlp;
    IngestSender *ingest;
    uint32_t tenant;    // whose the cache is
    bool sends_deltas;  // it did once: the lock is taken from the start
    Cache cache;
    Arena scratch;
    WriteBody rows;
    Builder protobuf;  // of a JSON body
};

Otlp *otlp_open(const OtlpOptions *options) {
    Otlp *otlp = memory_new(Otlp);
    otlp->options = *options;
    OtlpOptions *kept = &otlp->options;
    Text *promote = arena_push_array(&otlp->arena, Text, options->promote.count);
    for (size_t i = 0; i < options->promote.count; i++)
        promote[i] = text_copy(options->promote.at[i], &otlp->arena);
    kept->promote = (Texts){promote, options->promote.count};
    if (kept->cache_bytes == 0) kept->cache_bytes = cache_bytes_default;
    if (kept->delta_series == 0) kept->delta_series = delta_series_default;
    if (kept->delta_expires_ms == 0) kept->delta_expires_ms = delta_expires_ms_default;
    if (kept->info_every_ms == 0) kept->info_every_ms = info_every_ms_default;
    otlp->budget.name = "otlp";
    atomic_store(&otlp->budget.limit, kept->cache_bytes);
    mutex_begin(&otlp->lock, LOCK_OTLP_DELTA);
    return otlp;
}

void otlp_close(Otlp **handle) {
    if (*handle == NULL) return;
    Otlp *otlp = TAKE(*handle);
    for (size_t i = 0; i < otlp->deltas.count; i++) delta_table_free(&otlp->deltas.at[i].table);
    array_free(&otlp->deltas);
    mutex_end(&otlp->lock);
    arena_free(&otlp->arena);
    memory_free(otlp);
}

OtlpSender *otlp_sender_new(Otlp *otlp) {
    OtlpSender *sender = memory_new(OtlpSender);
    sender->otlp = otlp;
    sender->ingest = ingest_sender_new();
    cache_begin(&sender->cache, otlp->options.hash_key, &otlp->budget, LIMIT_OTLP_CACHE_BYTES);
    return sender;
}

void otlp_sender_free(OtlpSender **handle) {
    if (*handle == NULL) return;
    OtlpSender *sender = TAKE(*handle);
    ingest_sender_free(&sender->ingest);
    cache_end(&sender->cache);
    arena_free(&sender->scratch);
    write_body_free(&sender->rows);
    builder_free(&sender->protobuf);
    memory_free(sender);
}

// ---- Decoding ----

// With the lock held. A tenant that sends no more would keep its streams for ever, so that all
// tables are looked at.
static DeltaTable *delta_of(Otlp *otlp, uint32_t tenant, int64_t now_ms) {
    DeltaTable *found = NULL;
    for (size_t i = 0; i < otlp->deltas.count; i++) {
        delta_table_expire(otlp->deltas.at[i].table, now_ms);
        if (otlp->deltas.at[i].tenant == tenant) found = otlp->deltas.at[i].table;
    }
    if (found != NULL) return found;
    const OtlpOptions *options = &otlp->options;
    TenantDelta *delta = array_add(&otlp->deltas);
    delta->tenant = tenant;
    delta->table =
        delta_table_new(options->hash_key, options->delta_series, options->delta_expires_ms);
    return delta->table;
}

static bool decode(OtlpSender *sender, uint32_t tenant, DeltaTable *delta, Bytes body,
                   int64_t arrival_ms, WriteBody *rows, OtlpOutcome *out, Error *err) {
    *out = (OtlpOutcome){0};
    if (sender->tenant != tenant) cache_empty(&sender->cache);
    sender->tenant = tenant;
    if (delta != NULL) delta_table_turn(delta, arrival_ms);
    Decode walk = {.options = &sender->otlp->options,
                   .cache = &sender->cache,
                   .scratch = &sender->scratch,
                   .delta = delta,
                   .arrival_ms = arrival_ms,
                   .rows = rows,
                   .out = out};
    bool done = decode_request(&walk, body, err);
    sender->sends_deltas |= walk.wants_delta;
    arena_clear(&sender->scratch);
    // What is half known would be taken for described.
    if (!done) cache_empty(&sender->cache);
    return done;
}

static bool body_as_protobuf(OtlpSender *sender, OtlpEncoding encoding, Bytes *body, Error *err) {
    if (encoding == OTLP_PROTOBUF) return true;
    builder_clear(&sender->protobuf);
    bool done = otlp_json_to_protobuf(bytes_text(*body), &sender->scratch, &sender->protobuf, err);
    *body = text_bytes(builder_text(&sender->protobuf));
    return done;
}

static bool decode_only(OtlpSender *sender, uint32_t tenant, OtlpEncoding encoding, Bytes body,
                        int64_t arrival_ms, WriteBody *rows, OtlpOutcome *out, Error *err) {
    TRY(body_as_protobuf(sender, encoding, &body, err));
    Otlp *otlp = sender->otlp;
    mutex_take(&otlp->lock);
    DeltaTable *delta = delta_of(otlp, tenant, arrival_ms);
    // All bytes, as the labels that rows are made of may be gone by the next request.
    rows->whole = true;
    bool done = decode(sender, tenant, delta, body, arrival_ms, rows, out, err);
    cache_turn(&sender->cache);
    if (!done) delta_table_forget(delta);
    mutex_give(&otlp->lock);
    return done;
}

bool otlp_metrics_protobuf(OtlpSender *sender, uint32_t tenant, Bytes body, int64_t arrival_ms,
                           WriteBody *rows, OtlpOutcome *out, Error *err) {
    return decode_only(sender, tenant, OTLP_PROTOBUF, body, arrival_ms, rows, out, err);
}

bool otlp_metrics_json(OtlpSender *sender, uint32_t tenant, Bytes body, int64_t arrival_ms,
                       WriteBody *rows, OtlpOutcome *out, Error *err) {
    return decode_only(sender, tenant, OTLP_JSON, body, arrival_ms, rows, out, err);
}

// ---- Writing ----

static uint64_t refused_rows(const IngestOutcome *ingest) {
    uint64_t refused = 0;
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (verdict != VERDICT_STORED && verdict != VERDICT_DUPLICATE)
            refused += ingest->counts[verdict];
    }
    return refused;
}

// A histogram is several rows and one point: never more points are named than were taken.
static void count_refused(OtlpOutcome *out) {
    uint64_t taken = out->points - out->rejected;
    uint64_t refused = MIN(refused_rows(&out->ingest), taken);
    out->over_quota = MIN(out->ingest.counts[VERDICT_LIMIT], refused);
    out->rejected += refused;
    if (out->first_fault.code == ERROR_NONE) out->first_fault = out->ingest.first_fault;
    if (refused > 0 && out->first_fault.code == ERROR_NONE) {
        const char *why = out->ingest.counts[VERDICT_CONFLICT] > 0
                              ? "another value is stored at the time of a data point"
                              : "the store refused it";
        error_set(&out->first_fault, ERROR_CONFLICT, "%s", why);
    }
}

static bool decode_and_store(OtlpSender *sender, Store *store, Tenant *tenant, DeltaTable *delta,
                             Bytes body, int64_t arrival_ms, OtlpOutcome *out, Error *err) {
    write_body_clear(&sender->rows);
    TRY(decode(sender, tenant->id.number, delta, body, arrival_ms, &sender->rows, out, err));
    bool stored =
        ingest_samples(store, tenant, sender->ingest, &sender->rows, arrival_ms, &out->ingest, err);
    if (stored) {
        cache_turn(&sender->cache);  // not sooner: rows are views into it
    } else {
        cache_empty(&sender->cache);  // metadata counts as written from now on, which it is not
    }
    write_body_clear(&sender->rows);
    return stored;
}

// With the lock until the rows are in the store: totals of a stream reach it in their order.
static bool store_deltas(OtlpSender *sender, Store *store, Tenant *tenant, Bytes body,
                         int64_t arrival_ms, OtlpOutcome *out, Error *err) {
    Otlp *otlp = sender->otlp;
    mutex_take(&otlp->lock);
    DeltaTable *delta = delta_of(otlp, tenant->id.number, arrival_ms);
    bool done = decode_and_store(sender, store, tenant, delta, body, arrival_ms, out, err);
    if (!done) delta_table_forget(delta);
    mutex_give(&otlp->lock);
    return done;
}

static void let_go(OtlpSender *sender) {
    if (write_body_bytes_kept(&sender->rows) > ROWS_KEPT_BYTES) write_body_free(&sender->rows);
    if (sender->protobuf.capacity > ROWS_KEPT_BYTES) builder_free(&sender->protobuf);
}

bool otlp_write(OtlpSender *sender, Store *store, Tenant *tenant, OtlpEncoding encoding, Bytes body,
                int64_t arrival_ms, OtlpOutcome *out, Error *err) {
    *out = (OtlpOutcome){0};
    bool done = body_as_protobuf(sender, encoding, &body, err);
    if (done) {
        bool knew = sender->sends_deltas;
        Error first = {0};
        if (!knew)
            done = decode_and_store(sender, store, tenant, NULL, body, arrival_ms, out, &first);
        if (knew || sender->sends_deltas) {
            done = store_deltas(sender, store, tenant, body, arrival_ms, out, err);
        } else if (!done) {
            *err = first;
        }
    }
    if (done) count_refused(out);
    let_go(sender);
    return done;
}

// ---- Answers ----

static Text partial_message(const OtlpOutcome *outcome, char *into, size_t len) {
    int written = snprintf(into, len, "%llu of %llu data points were rejected; the first: %s",
                           (unsigned long long)outcome->rejected,
                           (unsigned long long)outcome->points, outcome->first_fault.message);
    return (Text){into, MIN((size_t)MAX(written, 0), len - 1)};
}

void otlp_write_response(OtlpEncoding encoding, const OtlpOutcome *outcome, Builder *out) {
    char into[ERROR_MESSAGE_MAX + 100];
    Text message = partial_message(outcome, into, sizeof into);
    if (encoding == OTLP_PROTOBUF) {
        if (outcome->rejected == 0) return;
        size_t partial = protobuf_begin(out, 1);
        protobuf_add_varint(out, 1, outcome->rejected);
        protobuf_add_text(out, 2, message);
        protobuf_end(out, partial);
        return;
    }
    JsonWriter writer = json_writer_begin(out);
    json_object_begin(&writer);
    if (outcome->rejected > 0) {
        json_key(&writer, TEXT("partialSuccess"));
        json_object_begin(&writer);
        // proto3's JSON writes 64 bits as a string.
        AUTO(builder_free) Builder count = {0};
        builder_add_u64(&count, outcome->rejected);
        json_key(&writer, TEXT("rejectedDataPoints"));
        json_text(&writer, builder_text(&count));
        json_key(&writer, TEXT("errorMessage"));
        json_text(&writer, message);
        json_object_end(&writer);
    }
    json_object_end(&writer);
}

// google.rpc.Status {1 code, 2 message, 3 repeated Any {1 type_url, 2 value}}
void otlp_write_status(OtlpEncoding encoding, int code, Text message, int64_t retry_ms,
                       Builder *out) {
    if (encoding == OTLP_JSON) {
        JsonWriter writer = json_writer_begin(out);
        json_object_begin(&writer);
        json_key(&writer, TEXT("code"));
        json_i64(&writer, code);
        json_key(&writer, TEXT("message"));
        json_text(&writer, message);
        json_object_end(&writer);
        return;
    }
    protobuf_add_varint(out, 1, (uint64_t)code);
    protobuf_add_text(out, 2, message);
    if (retry_ms <= 0) return;
    size_t any = protobuf_begin(out, 3);
    protobuf_add_text(out, 1, TEXT("type.googleapis.com/google.rpc.RetryInfo"));
    size_t info = protobuf_begin(out, 2);
    size_t delay = protobuf_begin(out, 1);  // Duration {1 seconds, 2 nanos}
    protobuf_add_varint(out, 1, (uint64_t)(retry_ms / 1000));
    if (retry_ms % 1000 > 0) protobuf_add_varint(out, 2, (uint64_t)(retry_ms % 1000) * 1000000);
    protobuf_end(out, delay);
    protobuf_end(out, info);
    protobuf_end(out, any);
}
