// A request on its way: what net brought, who asks, and the answer being written. Private to
// server.
//
// It lives on the exchange's arena from on_head to the answer. One thread has it at a time; only
// `cancelled` is set from elsewhere. Answer exactly once: request_answer or request_fail, after
// which it must not be touched.
#pragma once

#include <stdatomic.h>

#include "codec/compress.h"
#include "codec/json.h"
#include "ingest/datadog/datadog.h"
#include "ingest/influx/influx.h"
#include "net/grpc.h"
#include "net/url.h"
#include "query/promql/promql.h"
#include "server/parts.h"
#include "server/routes.h"
#include "server/worker.h"

enum { REQUEST_HEADERS_MAX = 12 };

// Answers are packed quickly rather than tightly.
enum { PACKED_LEVEL = 1 };

typedef struct Request {
    Server *server;
    HttpExchange *exchange;
    const Route *route;  // NULL: no such path
    Text name;           // what {name} of the route stood for
    Identity identity;
    UrlPairs params;  // of a form body, then of the query string
    _Atomic bool cancelled;
    WorkerJob job;
    RunningQuery running;  // of the query lane
    int64_t waited_ns;     // in the queue

    struct Production *production;  // of an answer that is sent in pieces (pieces.h)
    _Atomic bool streams;           // its head is out

    int status;             // 200 unless set
    Text content_type;      // JSON unless set
    Builder body;           // heap; taken over by the answer
    Text text;              // when `body` is empty: bytes that outlive the answer, sent as they are
    bool as_it_is;          // not to be packed by Accept-Encoding
    Text policy;            // Content-Security-Policy; that of answers for programs unless set
    Text cache;             // Cache-Control; no-store unless set
    int64_t charged;        // bytes reserved for it; released when it was sent
    Budget *charged_to;     // NULL: the budget of queries
    int64_t retry_after_s;  // when set, Retry-After says it
    HttpHeader headers[REQUEST_HEADERS_MAX];
    size_t header_count;
    int fail_status;  // when set, request_fail uses these instead of errors.def
    const char *fail_type;
    Text fault_text;    // the query text that an error is about; TEXT_NONE: about none
    SourceRange fault;  // and which part of it

    // A gRPC call (grpc.h).
    bool is_grpc;
    GrpcCall call;
    int64_t deadline_ns;   // monotonic; INT64_MAX: none
    Builder unpacked;      // its message, when it was compressed; freed by the answer
    GrpcStatus fail_grpc;  // when set, request_fail uses it instead of errors.def

    // A write that waits for the log; what its protocol tells of it besides.
    IngestOutcome outcome;
    OtlpOutcome otlp;
    InfluxOutcome influx;
    DatadogOutcome datadog;
    void (*answer_write)(struct Request *request);  // once it is durable
} Request;

// ---- The answer ----

// The value must outlive the answer: a literal, or on the exchange's arena.
void request_add_header(Request *request, Text name, Text value);
void request_answer(Request *request);
void request_fail(Request *request, const Error *err);

// The coding that the client would have the answer in, when it may be packed; says Vary.
Compression request_choose_coding(Request *request);
// Those that every answer carries.
void request_add_headers(Request *request, int status);

// If-None-Match is "*" or names this ETag; weak ones, marked W/, count as strong ones, as they do
// for a GET (RFC 9110, 13.1.2).
bool request_has_tag(const Request *request, Text tag);

// Does the client take this coding ("gzip")? A weight of zero is a no.
bool request_accepts_coding(const Request *request, Text coding);

// {"status":"success","data":…} around what is written between the two calls.
JsonWriter envelope_begin(Request *request);
JsonWriter envelope_begin_on(Builder *out);
void envelope_end(JsonWriter *writer, Texts warnings, Texts infos);

// Fails with a status and errorType of its own, where the code's row in errors.def does not say it.
bool request_refuse(Request *request, int status, const char *type, Error *err, ErrorCode code,
                    const char *format, ...) printf_like(6, 7);

// HTTP status, errorType and gRPC status of a code.
struct ErrorStatus {
    int status;
    const char *type;
    GrpcStatus grpc;
};
ErrorStatus error_status(ErrorCode code);

// ---- Parameters (params.c) ----

// The first value of that name; empty when it is missing.
Text param_text(const Request *request, Text name);

// Each is BAD_INPUT with Prometheus' own words (`invalid parameter "time": cannot parse …`). When
// the parameter is missing, `*out` is `otherwise`; param_*_needed have no otherwise.
must_use bool param_time(const Request *request, Text name, int64_t otherwise, int64_t *out,
                         Error *err);
must_use bool param_time_needed(const Request *request, Text name, int64_t *out, Error *err);
must_use bool param_duration_ms(const Request *request, Text name, int64_t otherwise, int64_t *out,
                                Error *err);
must_use bool param_duration_ms_needed(const Request *request, Text name, int64_t *out, Error *err);
must_use bool param_limit(const Request *request, Text name, uint64_t *out, Error *err);  // 0: none

// Times as far as the API knows them, in milliseconds: years -271821 to 275760.
#define PARAM_TIME_MAX INT64_C(8640000000000000)
#define PARAM_TIME_MIN (-PARAM_TIME_MAX)

// start and end of the metadata routes: all time when they are missing.
must_use bool param_span(const Request *request, int64_t *from_ms, int64_t *to_ms, Error *err);

// A label's name as Prometheus escapes it in paths (U__http_2e_code -> http.code); other names as
// they are.
Text label_name_unescape(Text name, Arena *arena);

// The Origin header, which browsers send, names this server; or there is none: no page asks.
bool request_is_of_own_origin(const Request *request);

// global.external_labels, on the arena; none when there is no such configuration.
must_use bool request_external_labels(const Request *request, Arena *arena, Labels *out,
                                      Error *err);

// The tenant of the request; `*out` NULL when nothing was ever written there and it is not to be
// made.
must_use bool request_tenant(Request *request, bool create, Tenant **out, Error *err);
