// gRPC on the server's floor: unary calls, a message in and a message out. Private to server.
//
// A method is a row of routes.def with the family GRPC and its path, "/package.Service/Method".
// What goes wrong before its function (key, permission, readiness, limits, an unknown method) and
// in it (a false return) becomes a grpc-status by itself, with RetryInfo where coming back is
// welcome; the codes are a column of errors.def. The function:
//
//   bool serve_export(Request *request, Error *err) {
//       Bytes message;                                   // protobuf, unpacked
//       TRY(grpc_message(request, &message, err));
//       AUTO(builder_free) Builder out = {0};
//       …protobuf_add_…(&out, …);
//       return grpc_answer(request, text_bytes(builder_text(&out)), err);
//   }
//
// Who answers later (a write that waits for the log) returns false with ERROR_NONE, and then calls
// grpc_answer and request_answer, or request_fail. The same function may serve HTTP too: it asks
// request->is_grpc.
#pragma once

#include "server/request.h"

// The call's message: a view into the body, or into memory that lives until the answer. BAD_INPUT
// (INVALID_ARGUMENT), UNSUPPORTED (UNIMPLEMENTED), TOO_LARGE, as grpc_message_read; TIMEOUT when
// the client's deadline is over already.
must_use bool grpc_message(Request *request, Bytes *out, Error *err);

// Makes `message` the answer, compressed if the client likes; grpc-status is 0. May be empty.
must_use bool grpc_answer(Request *request, Bytes message, Error *err);

// Of the head, before the body: is the call one, and is the route a method? The other way round
// too: methods are not for plain HTTP.
must_use bool grpc_check_head(Request *request, Error *err);

// True once the client's deadline (grpc-timeout) is over.
bool grpc_is_late(const Request *request);

// For respond.c: the answer's own headers, and the trailers or, after a failure, all of it.
void grpc_answer_fields(Request *request, HttpResponse *response);
void grpc_failure_fields(Request *request, const Error *err, int64_t retry_after_ms,
                         HttpResponse *response);
