// A query that came with a request: its parameters, its way through the engine, what its failures
// mean to the client. Private to server.
#pragma once

#include "query/query.h"
#include "server/request.h"

// BAD_INPUT in the words of Prometheus. Texts are views into the request.
must_use bool query_params_instant(Request *request, QueryRequest *out, Error *err);
must_use bool query_params_range(Request *request, QueryRequest *out, Error *err);

// Runs a query for a tenant within what it may spend, counts it, and logs it when it was slow.
// `listed` says who asks; `waited_ns` how long it was queued. *retry_s: when TOO_MANY, how long the
// tenant should wait. `out` (also of a query that failed) lives on `arena`.
must_use bool server_run_query(Server *server, const RunningQuery *listed, int64_t waited_ns,
                               const QueryRequest *query, Arena *arena, QueryResult *out,
                               SourceRange *where, int64_t *retry_s, Error *err);

// What the answers of the tenant's queries are charged to.
Budget *query_budget(const Request *request);

// Runs it for the tenant of the request. On a worker; `out` lives on `arena`. When it fails,
// status, errorType and the place in the text are set for request_fail.
must_use bool request_run_query(Request *request, const QueryRequest *query, Arena *arena,
                                QueryResult *out, Error *err);

// False: says that the parameter "query" is not right; the error becomes BAD_INPUT, which is 400.
bool query_text_is_bad(Error *err);
// The part of the query text that an error is about.
void query_fault_at(Request *request, SourceRange where);
