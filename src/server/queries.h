// A query that came with a request: its parameters, its way through the engine, what its failures
// mean to the client. Private to server.
#pragma once

#include "query/query.h"
#include "server/request.h"

// BAD_INPUT in the words of Prometheus. Texts are views into the request.
must_use bool query_params_instant(Request *request, QueryRequest *out, Error *err);
must_use bool query_params_range(Request *request, QueryRequest *out, Error *err);

// Runs it for the tenant of the request. On a worker; `out` lives on `arena`. When it fails,
// status, errorType and the place in the text are set for request_fail.
must_use bool request_run_query(Request *request, const QueryRequest *query, Arena *arena,
                                QueryResult *out, Error *err);

// False: says that the parameter "query" is not right; the error becomes BAD_INPUT, which is 400.
bool query_text_is_bad(Error *err);
// The part of the query text that an error is about.
void query_fault_at(Request *request, SourceRange where);
