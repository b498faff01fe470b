// gRPC over HTTP/2 (github.com/grpc/grpc, PROTOCOL-HTTP2.md), for unary calls: one message in, one
// message out. Pure functions over heads and bodies; no connection, no service is known here.
//
//   request   POST /package.Service/Method, content-type application/grpc[+proto]
//             body: flag (1: compressed) │ length, 4 bytes, big-endian │ message
//   answer    200, content-type application/grpc, body likewise, then trailers:
//             grpc-status, grpc-message (percent-encoded), grpc-status-details-bin
//   error     the same without a body, all in one header block ("trailers-only")
#pragma once

#include "codec/compress.h"
#include "net/http.h"

// Codes as they stand in grpc-status.
#define GRPC_STATUSES(row)                                                                \
    row(OK) row(CANCELLED) row(UNKNOWN) row(INVALID_ARGUMENT) row(DEADLINE_EXCEEDED)      \
        row(NOT_FOUND) row(ALREADY_EXISTS) row(PERMISSION_DENIED) row(RESOURCE_EXHAUSTED) \
            row(FAILED_PRECONDITION) row(ABORTED) row(OUT_OF_RANGE) row(UNIMPLEMENTED)    \
                row(INTERNAL) row(UNAVAILABLE) row(DATA_LOSS) row(UNAUTHENTICATED)

typedef enum GrpcStatus {
#define ROW(name) GRPC_##name,
    GRPC_STATUSES(ROW)
#undef ROW
        GRPC_STATUS_COUNT
} GrpcStatus;

Text grpc_status_name(GrpcStatus status);  // "INVALID_ARGUMENT"

enum { GRPC_FRAME_HEADER_BYTES = 5, GRPC_HEADERS_MAX = 6 };

// Is it meant for gRPC: HTTP/2 and a content-type that begins with application/grpc? Then also
// errors are answered in gRPC's way. (gRPC-Web, application/grpc-web, is something else.)
bool grpc_is_request(const HttpHead *head);

// What the head of a call says.
typedef struct GrpcCall {
    Compression encoding;  // of the request's message, if its flag is set
    Compression answer;    // what the client takes for ours; NONE, GZIP or ZSTD
    int64_t timeout_ns;    // from grpc-timeout; INT64_MAX: none
} GrpcCall;

// UNSUPPORTED (UNIMPLEMENTED) for another codec than protobuf or an unknown grpc-encoding,
// BAD_INPUT for a method but POST or a timeout that is none. `te: trailers` may be missing.
must_use bool grpc_call_read(const HttpHead *head, GrpcCall *out, Error *err);

// grpc-timeout: 1 to 8 digits and a unit of H M S m u n. False when it is none.
must_use bool grpc_timeout_parse(Text text, int64_t *out_ns);

// The one message of a unary call. `*out` is a view into `body`, or into `*unpacked` when it was
// compressed. BAD_INPUT: cut short, too long, an unknown flag, broken compression; UNSUPPORTED: no
// message or more than one; TOO_LARGE: beyond `bytes_max` or the limits of decompress().
must_use bool grpc_message_read(const GrpcCall *call, Bytes body, size_t bytes_max,
                                Builder *unpacked, Bytes *out, Error *err);

// Appends the frame of one message; small ones are not worth compressing.
must_use bool grpc_message_write(const GrpcCall *call, Bytes message, Builder *out, Error *err);

// The fields of an outcome: grpc-status, grpc-message, and with retry_after_ms > 0 a
// google.rpc.RetryInfo in grpc-status-details-bin: clients come back only when told so. On `arena`.
void grpc_outcome(GrpcStatus status, Text message, int64_t retry_after_ms, Arena *arena,
                  const HttpHeader **out, size_t *count);

// The whole header list of an answer that is only an error: goes with status 200 and no body.
void grpc_trailers_only(GrpcStatus status, Text message, int64_t retry_after_ms, Arena *arena,
                        const HttpHeader **out, size_t *count);

// For refusals of the HTTP floor, which knows statuses only.
GrpcStatus grpc_status_of_http(int status);
