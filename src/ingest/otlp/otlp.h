// OTLP metrics: what OpenTelemetry SDKs and collectors send becomes rows of Prometheus' model.
//
//   ExportMetricsServiceRequest (protobuf; JSON is first written as protobuf) -> WriteBody -> gate
//
// One Otlp per process holds the settings and, per tenant, what deltas have added up to. A sender
// keeps what one connection taught us: label bytes of the data points seen, so that a known one is
// recognised by comparing bytes. A sender belongs to one thread at a time; any number of them work
// at once. Names, labels and types follow Prometheus 3's own OTLP receiver (README.md).
#pragma once

#include "base/budget.h"
#include "ingest/ingest.h"

// How names are translated; ORDER: the words of the setting otlp.names.
typedef enum OtlpNaming {
    OTLP_NAMING_ESCAPED_WITH_SUFFIXES,  // UnderscoreEscapingWithSuffixes
    OTLP_NAMING_ESCAPED,                // UnderscoreEscapingWithoutSuffixes
    OTLP_NAMING_UTF8_WITH_SUFFIXES,     // NoUTF8EscapingWithSuffixes
    OTLP_NAMING_UTF8,                   // NoTranslation
} OtlpNaming;

typedef struct OtlpOptions {
    HashKey hash_key;
    OtlpNaming naming;
    Texts promote;             // resource attributes that become labels of every series
    bool keep_identifying;     // service.name and its kin stay in target_info
    bool scope_labels;         // otel_scope_name, …_version, …_schema_url, …_<attribute>
    bool native_buckets;       // histograms with explicit bounds as native ones (schema -53)
    int64_t delta_series;      // streams of deltas per tenant; 0: 100,000
    int64_t delta_expires_ms;  // one that is silent so long begins anew; 0: an hour
    int64_t cache_bytes;       // of all senders together; 0: 64 MiB
    int64_t info_every_ms;     // rows of target_info within one request; 0: half of five minutes
} OtlpOptions;

typedef struct Otlp Otlp;
// Copies what `options` points at.
Otlp *otlp_open(const OtlpOptions *options);
void otlp_close(Otlp **otlp);  // after all senders; NULL is fine

typedef struct OtlpSender OtlpSender;
OtlpSender *otlp_sender_new(Otlp *otlp);
void otlp_sender_free(OtlpSender **sender);

typedef struct OtlpOutcome {
    IngestOutcome ingest;  // of the rows that the points became
    uint64_t points;       // data points that came
    uint64_t rejected;     // data points that were not stored
    uint64_t over_quota;   // … of them for the tenant's quota of series
    uint64_t cached;       // data points whose labels were known
    Error first_fault;     // why the first was rejected; code NONE: none was
} OtlpOutcome;

typedef enum OtlpEncoding { OTLP_PROTOBUF, OTLP_JSON } OtlpEncoding;

// An ExportMetricsServiceRequest, decompressed. False: nothing was stored (BAD_INPUT, TOO_LARGE,
// DISK_FULL, BUSY …). True: the good points are stored, `out` tells of the others; the answer waits
// for out->ingest.sequence, if it is not 0.
must_use bool otlp_write(OtlpSender *sender, Store *store, Tenant *tenant, OtlpEncoding encoding,
                         Bytes body, int64_t arrival_ms, OtlpOutcome *out, Error *err);

// The first half of it: rows instead of a write. Deltas are added up as if the rows were stored.
// `tenant` is its number. For tests.
must_use bool otlp_metrics_protobuf(OtlpSender *sender, uint32_t tenant, Bytes body,
                                    int64_t arrival_ms, WriteBody *rows, OtlpOutcome *out,
                                    Error *err);
must_use bool otlp_metrics_json(OtlpSender *sender, uint32_t tenant, Bytes body, int64_t arrival_ms,
                                WriteBody *rows, OtlpOutcome *out, Error *err);

// ExportMetricsServiceResponse: empty when nothing was rejected, else partial_success.
void otlp_write_response(OtlpEncoding encoding, const OtlpOutcome *outcome, Builder *out);
// google.rpc.Status. `retry_ms` above 0 adds google.rpc.RetryInfo (protobuf only).
void otlp_write_status(OtlpEncoding encoding, int code, Text message, int64_t retry_ms,
                       Builder *out);
