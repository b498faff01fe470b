// Reading, running and failing queries, the same for every route that asks one.

#include "server/queries.h"

#include "base/limits.h"
#include "server/serve.h"

// ---- Parameters ----

// Those that both kinds have.
static bool params_of_both(Request *request, QueryRequest *query, Error *err) {
    Server *server = request->server;
    int64_t timeout_max_ms = atomic_load(&server->query_timeout_ms);
    *query = (QueryRequest){
        .text = param_text(request, TEXT("query")),
        .stable_only = atomic_load(&server->query_stable_only),
        .memory = store_query_budget(server->options.store),
        .clock = server->options.clock,
        .cancelled = &request->cancelled,
        .progress = &request->running.progress,
    };
    TRY(param_duration_ms(request, TEXT("lookback_delta"), atomic_load(&server->query_lookback_ms),
                          &query->lookback_ms, err));
    TRY(param_duration_ms(request, TEXT("timeout"), timeout_max_ms, &query->limits.time_ms, err));
    if (query->limits.time_ms <= 0 || query->limits.time_ms > timeout_max_ms)
        query->limits.time_ms = timeout_max_ms;
    query->limits.memory_bytes = atomic_load(&server->query_memory_bytes);
    query->limits.samples_max = atomic_load(&server->query_samples_max);
    if (query->lookback_ms < 0) query->lookback_ms = 0;
    return true;
}

bool query_params_instant(Request *request, QueryRequest *out, Error *err) {
    Clock *clock = request->server->options.clock;
    int64_t time_ms;
    TRY(param_time(request, TEXT("time"), clock->wall_ms(clock), &time_ms, err));
    TRY(params_of_both(request, out, err));
    out->start_ms = out->end_ms = time_ms;
    return true;
}

bool query_params_range(Request *request, QueryRequest *out, Error *err) {
    int64_t start_ms, end_ms, step_ms;
    TRY(param_time_needed(request, TEXT("start"), &start_ms, err));
    TRY(param_time_needed(request, TEXT("end"), &end_ms, err));
    if (end_ms < start_ms) {
        return error_set(err, ERROR_BAD_INPUT,
                         "invalid parameter \"end\": end timestamp must not be before start time");
    }
    TRY(param_duration_ms_needed(request, TEXT("step"), &step_ms, err));
    if (step_ms <= 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "invalid parameter \"step\": zero or negative query resolution step "
                         "widths are not accepted. Try a positive "
                         "integer");
    }
    if ((end_ms - start_ms) / step_ms > LIMIT_QUERY_POINTS) {
        return error_set(err, ERROR_BAD_INPUT,
                         "exceeded maximum resolution of 11,000 points per timeseries. Try "
                         "decreasing the query resolution "
                         "(?step=XX)");
    }
    TRY(params_of_both(request, out, err));
    out->start_ms = start_ms;
    out->end_ms = end_ms;
    out->step_ms = step_ms;
    return true;
}

// ---- Failures ----

bool query_text_is_bad(Error *err) {
    err->code = ERROR_BAD_INPUT;
    return error_context(err, "invalid parameter \"query\"");
}

// An empty range at the beginning is none.
void query_fault_at(Request *request, SourceRange where) {
    if (where.to == 0) return;
    request->fault_text = param_text(request, TEXT("query"));
    request->fault = where;
}

// What is wrong with the text, also that it is too long or too deep, is bad_data and 400; what is
// wrong with running it is execution and 422.
static bool query_failed(Request *request, Error *err) {
    if (err->code == ERROR_TOO_LARGE) return query_text_is_bad(err);
    if (err->code != ERROR_BAD_INPUT) return false;
    Text message = text_from_cstring(err->message);
    if (text_find(message, TEXT("parse error: ")) >= 0 ||
        text_starts_with(message, TEXT("invalid expression type "))) {
        return query_text_is_bad(err);
    }
    request->fail_status = 422;
    request->fail_type = "execution";
    return false;
}

// ---- Running ----

bool request_run_query(Request *request, const QueryRequest *query, Arena *arena, QueryResult *out,
                       Error *err) {
    Counters *counters = &request->server->counters;
    Tenant *tenant;
    SourceRange where = {0};
    TRY(request_tenant(request, false, &tenant, err));
    count_up(&counters->queries, 1);
    if (!query_run(tenant == NULL ? NULL : tenant->series, query, arena, out, &where, err)) {
        count_up(&counters->queries_failed, 1);
        running_explain(&request->running, err);
        query_fault_at(request, where);
        return query_failed(request, err);
    }
    count_up(&counters->query_samples, out->stats.samples);
    count_up(&counters->query_ns, (uint64_t)MAX(out->stats.run_ns, 0));
    return true;
}
