// Reading, running and failing queries, the same for every route that asks one.

#include "server/queries.h"

#include "base/limits.h"
#include "base/log.h"
#include "query/cache/cache.h"
#include "server/serve.h"

// ---- Parameters ----

// Those that both kinds have.
static bool params_of_both(Request *request, QueryRequest *query, Error *err) {
    Server *server = request->server;
    int64_t timeout_max_ms = atomic_load(&server->query_timeout_ms);
    *query = (QueryRequest){
        .text = param_text(request, TEXT("query")),
        .stable_only = atomic_load(&server->query_stable_only),
        .starts = atomic_load(&server->query_starts),
        .clock = server->options.clock,
        .cancelled = &request->cancelled,
        .pool = server->query_pool,
        // An answer that was kept looked at nothing.
        .no_cache = param_text(request, TEXT("nocache")).len > 0 ||
                    param_text(request, TEXT("stats")).len > 0,
        .count_steps = param_text(request, TEXT("stats")).len > 0,
        .progress = &request->running.progress,
    };
    TRY(param_duration_ms(request, TEXT("lookback_delta"), atomic_load(&server->query_lookback_ms),
                          &query->lookback_ms, err));
    TRY(param_duration_ms(request, TEXT("timeout"), timeout_max_ms, &query->limits.time_ms, err));
    if (query->limits.time_ms <= 0 || query->limits.time_ms > timeout_max_ms)
        query->limits.time_ms = timeout_max_ms;
    query->limits.memory_bytes = atomic_load(&server->query_memory_bytes);
    query->limits.samples_max = atomic_load(&server->query_samples_max);
    query->limits.bytes_max = atomic_load(&server->query_bytes_max);
    if (query->lookback_ms < 0) query->lookback_ms = 0;
    return true;
}

// `max_source_resolution`, as Thanos has it.
static bool param_resolution(Request *request, QueryRequest *query, Error *err) {
    Text name = TEXT("max_source_resolution");
    if (text_equal(param_text(request, name), TEXT("auto"))) {
        query->max_resolution_ms = query->step_ms / 5;
        return true;
    }
    TRY(param_duration_ms(request, name, 0, &query->max_resolution_ms, err));
    if (query->max_resolution_ms >= 0) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "invalid parameter \"max_source_resolution\": it must not be below 0; 0s, 5m, "
                     "1h and auto are usual");
}

bool query_params_instant(Request *request, QueryRequest *out, Error *err) {
    Clock *clock = request->server->options.clock;
    int64_t time_ms;
    TRY(param_time(request, TEXT("time"), clock->wall_ms(clock), &time_ms, err));
    TRY(params_of_both(request, out, err));
    out->start_ms = out->end_ms = time_ms;
    return param_resolution(request, out, err);
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
    return param_resolution(request, out, err);
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

// The plan says where the time went. Texts are as long as people make them; what a line may not
// hold is escaped by the log.
static void log_slow(Server *server, const RunningQuery *listed, int64_t waited_ns,
                     const QueryRequest *query, const QueryResult *result, const Error *err) {
    enum { TEXT_SHOWN = 1000, PLAN_SHOWN = 1800 };
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder plan = {0};
    const QueryStats *stats = &result->stats;
    query_plan_print(result->plan, &plan);
    count_up(&server->counters.queries_slow, 1);
    log_warn("slow query", LOG_TEXT("query", text_shortened(query->text, TEXT_SHOWN, &arena)),
             LOG_I64("ms", (stats->parse_ns + stats->run_ns) / 1000000),
             LOG_I64("waited_ms", waited_ns / 1000000), LOG_I64("start", query->start_ms),
             LOG_I64("end", query->end_ms), LOG_I64("step", query->step_ms),
             LOG_I64("series", stats->series), LOG_I64("samples", stats->samples),
             LOG_I64("block_bytes", stats->bytes), LOG_I64("memory", stats->memory_peak_bytes),
             LOG_TEXT("tenant", listed->tenant), LOG_TEXT("key", listed->key),
             LOG_TEXT("peer", listed->peer),
             LOG_TEXT("err", text_from_cstring(err->code == ERROR_NONE ? "" : err->message)),
             LOG_TEXT("plan", text_shortened(builder_text(&plan), PLAN_SHOWN, &arena)));
}

static void count_ended(Server *server, const QueryStats *stats, int64_t waited_ns,
                        ErrorCode code) {
    Counters *counters = &server->counters;
    count_up(&counters->query_outcomes[query_outcome(code)], 1);
    if (code != ERROR_NONE) count_up(&counters->queries_failed, 1);
    count_up(&counters->query_samples, stats->samples);
    count_up(&counters->query_bytes, (uint64_t)MAX(stats->bytes, 0));
    count_up(&counters->query_ns, (uint64_t)MAX(stats->run_ns, 0));
    counters_time(&counters->query_waited, waited_ns);
    // One that was not begun took no time, which would look like a very quick one.
    if (stats->run_ns > 0) counters_time(&counters->query_ran, stats->parse_ns + stats->run_ns);
}

bool server_run_query(Server *server, const RunningQuery *listed, int64_t waited_ns,
                      const QueryRequest *query, Arena *arena, QueryResult *out, SourceRange *where,
                      int64_t *retry_s, Error *err) {
    Tenant *tenant;
    *retry_s = 0;
    *err = (Error){0};
    TRY(store_tenant(server->options.store, listed->tenant, false, &tenant, err));
    Spending *spending = spending_of(&server->spending, listed->tenant);
    int64_t slow_ms = atomic_load(&server->query_slow_ms);
    QueryRequest limited = *query;
    limited.memory = &spending->memory;
    limited.measure |= slow_ms > 0;
    count_up(&server->counters.queries, 1);
    *out = (QueryResult){0};
    bool ran =
        spending_may_begin(&server->spending, spending, retry_s, err) &&
        query_cache_run(query->measure || query->no_cache ? NULL : server->query_cache,
                        tenant == NULL ? NULL : tenant->series, &limited, arena, out, where, err);
    if (!ran) running_explain(listed, err);
    spending_pay(&server->spending, spending, &out->stats);
    count_ended(server, &out->stats, waited_ns, ran ? ERROR_NONE : err->code);
    if (slow_ms > 0 && out->stats.parse_ns + out->stats.run_ns > slow_ms * 1000000)
        log_slow(server, listed, waited_ns, query, out, err);
    return ran;
}

Budget *query_budget(const Request *request) {
    return &spending_of(&request->server->spending, request->identity.tenant)->memory;
}

bool request_run_query(Request *request, const QueryRequest *query, Arena *arena, QueryResult *out,
                       Error *err) {
    SourceRange where = {0};
    if (server_run_query(request->server, &request->running, request->waited_ns, query, arena, out,
                         &where, &request->retry_after_s, err)) {
        return true;
    }
    query_fault_at(request, where);
    return query_failed(request, err);
}
