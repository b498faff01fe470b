// The way of a request: from its head to the function that serves it; starting and stopping.

#include "server/server.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/random.h"
#include "query/cache/cache.h"
#include "server/grpc.h"
#include "server/pieces.h"
#include "server/serve.h"

enum {
    QUEUE_MAX = 256,       // queries that wait
    LINE_MAX = 128,        // of one tenant
    QUEUE_AGE_MS = 10000,  // longer, and the client is assumed to have given up
    REFUSED_LOGGED_PER_S = 5,
};

// ---- Readiness ----

bool server_is_started(Server *server) {
    const _Atomic bool *all = server->options.all_started;
    return server_is_ready(server) && (all == NULL || atomic_load(all));
}

bool server_is_ready(Server *server) {
    if (atomic_load_explicit(&server->ready, memory_order_relaxed)) return true;
    StoreState state;
    store_state(server->options.store, &state);
    if (state.ready) atomic_store(&server->ready, true);
    return state.ready;
}

// ---- The head: may it? ----

// One line for each refusal, but only so many a second.
static void log_refused(Request *request, const Error *err) {
    Server *server = request->server;
    count_up(&server->counters.auth_refused, 1);
    int64_t second = server->options.clock->wall_ms(server->options.clock) / 1000;
    if (atomic_exchange(&server->refused_second, second) != second)
        atomic_store(&server->refused_in_second, 0);
    if (atomic_fetch_add(&server->refused_in_second, 1) >= REFUSED_LOGGED_PER_S) return;
    log_warn("a request was refused", LOG_TEXT("peer", request->exchange->peer),
             LOG_TEXT("path", request->exchange->head.path),
             LOG_TEXT("key", request->identity.key_id), LOG_ERR(err));
}

static bool is_safe(HttpMethod method) {
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS;
}

bool request_is_of_own_origin(const Request *request) {
    Text origin = http_header(request->exchange, TEXT("Origin"));
    if (origin.at == NULL) return true;
    ptrdiff_t end = text_find(origin, TEXT("://"));
    Text host = end < 0 ? TEXT_NONE : text_slice(origin, (size_t)end + 3, origin.len);
    return host.len > 0 && text_equal_ignore_case(host, request->exchange->head.host);
}

// A page of another site may not make the browser change anything here (CSRF), nor reach an open
// server by a name of its own (DNS rebinding). Programs send neither header.
static bool origin_allowed(Request *request, Error *err) {
    HttpExchange *exchange = request->exchange;
    if (!access_allows_host(request->server->options.access, exchange->head.host)) {
        return error_set(err, ERROR_FORBIDDEN,
                         "the Host header is \"%.*s\", and without API keys only names of loopback "
                         "are answered; use localhost, "
                         "or make a key with `traceo key add`",
                         TEXT_ARG(exchange->head.host));
    }
    Text site = http_header(exchange, TEXT("Sec-Fetch-Site"));
    if (is_safe(exchange->head.method)) return true;
    // Browsers do not say it to plain http (but on this machine), and they keep passwords: then
    // Origin tells.
    if (site.len == 0 && request_is_of_own_origin(request)) return true;
    if (text_equal(site, TEXT("same-origin")) || text_equal(site, TEXT("none"))) return true;
    return error_set(err, ERROR_FORBIDDEN, "a page of another site may not send this");
}

static bool identify(Request *request, Error *err) {
    HttpExchange *exchange = request->exchange;
    AccessRequest asks = {
        .authorization = http_header(exchange, TEXT("Authorization")),
        .api_key = http_header(exchange, TEXT("X-API-Key")),
        .tenant = http_header(exchange, TEXT("X-Scope-OrgID")),
    };
    const Route *route = request->route;
    if (asks.authorization.len == 0 && asks.api_key.len == 0 && route != NULL &&
        families[route->family].find_key != NULL)
        asks.api_key = families[route->family].find_key(request);
    return access_identify(request->server->options.access, &asks, exchange->arena,
                           &request->identity, err);
}

// Who is not known learns nothing, not even which paths exist.
static bool may_pass(Request *request, Error *err) {
    const Route *route = request->route;
    HttpExchange *exchange = request->exchange;
    bool method_known = route != NULL && (route->methods & 1u << exchange->head.method) != 0;
    if (method_known && (route->needs == PERMISSION_PUBLIC || ui_is_wanted_at_root(request))) {
        exchange->anonymous = access_has_keys(request->server->options.access);
        return grpc_check_head(request, err);
    }
    TRY(origin_allowed(request, err));
    TRY(identify(request, err));
    // What is no gRPC method says so in gRPC's way, before anything is said about paths.
    if (request->is_grpc && (route == NULL || route->family != FAMILY_GRPC))
        return grpc_check_head(request, err);
    if (route == NULL) {
        return error_set(err, ERROR_NOT_FOUND, "there is nothing at %.*s; see /api/v1/openapi.json",
                         TEXT_ARG(exchange->head.path));
    }
    if (!method_known) {
        request_add_header(request, TEXT("Allow"), route_methods_text(route, exchange->arena));
        return request_refuse(request, 405, "bad_data", err, ERROR_BAD_INPUT,
                              "%.*s is not possible here",
                              TEXT_ARG(http_method_text(exchange->head.method)));
    }
    TRY(access_permits(&request->identity, route->needs, err));
    if (route->needs_ready && !server_is_ready(request->server)) {
        return error_set(err, ERROR_BUSY,
                         "the log is still being replayed; see /-/ready for the progress");
    }
    TRY(grpc_check_head(request, err));
    return route->check == NULL || route->check(request, err);
}

static bool on_head(void *context, HttpExchange *exchange) {
    Request *request = arena_push(exchange->arena, Request);
    request->server = context;
    request->exchange = exchange;
    request->is_grpc = grpc_is_request(&exchange->head);
    request->route = route_find(exchange->head.path, &request->name);
    request->route = datadog_route(request, request->route);
    exchange->state = request;
    Error err = {0};
    if (may_pass(request, &err)) {
        exchange->body_bytes_max = request->route->body_max;
        return true;
    }
    if (err.code == ERROR_UNAUTHENTICATED || err.code == ERROR_FORBIDDEN)
        log_refused(request, &err);
    request_fail(request, &err);
    return false;
}

// ---- The body: serve it ----

// A form body counts only when it says that it is one, as in Go; its values come before those of
// the query string.
static bool params_read(Request *request, Error *err) {
    HttpExchange *exchange = request->exchange;
    UrlPairs query, form = {0};
    if (!url_pairs_parse(exchange->head.query, exchange->arena, &query, err))
        return error_context(err, "query string");
    Text type = http_header(exchange, TEXT("Content-Type")), media;
    // Data is no form, though curl's --data-binary says so of everything.
    bool is_data = request->route->body_max == LIMIT_HTTP_BODY_BYTES;
    bool is_form =
        (exchange->head.method == HTTP_POST || exchange->head.method == HTTP_PUT) && !is_data &&
        text_cut(&type, ';', &media) &&
        text_equal_ignore_case(text_trim(media), TEXT("application/x-www-form-urlencoded"));
    if (is_form && !url_pairs_parse(bytes_text(exchange->body), exchange->arena, &form, err))
        return error_context(err, "form body");
    if (form.count == 0) {
        request->params = query;
        return true;
    }
    UrlPair *both = arena_push_array(exchange->arena, UrlPair, form.count + query.count);
    memcpy(both, form.at, form.count * sizeof *both);
    if (query.count > 0) memcpy(both + form.count, query.at, query.count * sizeof *both);
    request->params = (UrlPairs){both, form.count + query.count};
    return true;
}

// `serve` of the loop's own routes may answer by itself, later, from another thread: it then says
// so by ERROR_NONE and false, and the request must not be touched again.
static void run(Request *request) {
    Error err = {0};
    if (request->route->serve(request, &err)) {
        request_answer(request);
    } else if (err.code != ERROR_NONE) {
        request_fail(request, &err);
    }
}

static void run_on_worker(WorkerJob *job, int64_t waited_ns, bool expired) {
    Request *request = (Request *)((char *)job - offsetof(Request, job));
    request->waited_ns = waited_ns;
    atomic_store(&request->running.runs, true);
    Error err = {0};
    if (expired) {
        error_set(&err, ERROR_BUSY,
                  "waited %lld ms without being served (query.queue_age), as there are more "
                  "queries than can be; try again shortly",
                  (long long)(waited_ns / 1000000));
        request_fail(request, &err);
    } else if (atomic_load(&request->cancelled)) {
        error_set(&err, ERROR_CANCELLED, "the client went away");
        running_explain(&request->running, &err);
        request_fail(request, &err);
    } else if (grpc_is_late(request)) {
        error_set(&err, ERROR_TIMEOUT, "the deadline of the call (grpc-timeout) is over");
        request_fail(request, &err);
    } else {
        run(request);
    }
}

// It was ended while it waited.
static void on_ended(RunningQuery *query) {
    Request *request = (Request *)((char *)query - offsetof(Request, running));
    Error err = {0};
    error_set(&err, ERROR_CANCELLED, "the client went away");
    running_explain(query, &err);
    request_fail(request, &err);
}

// What is shown of a request on the list of queries: its expression, or its first selector.
static void list_query(Request *request) {
    Text text = param_text(request, TEXT("query"));
    request->running = (RunningQuery){
        .text = text.len > 0 ? text : param_text(request, TEXT("match[]")),
        .tenant = request->identity.tenant,
        .key = request->identity.key_id,
        .peer = request->exchange->peer,
        .agent = http_header(request->exchange, TEXT("User-Agent")),
        .path = request->route->path,
        .cancelled = &request->cancelled,
        .job = &request->job,
        .ended = on_ended,
    };
    running_add(&request->server->running, &request->running);
}

static void on_request(void *context, HttpExchange *exchange) {
    Server *server = context;
    Request *request = exchange->state;
    Error err = {0};
    if (!params_read(request, &err)) {
        request_fail(request, &err);
        return;
    }
    if (request->route->lane == LANE_LOOP) {
        run(request);
        return;
    }
    request->job = (WorkerJob){.run = run_on_worker, .tenant = request->identity.tenant};
    if (request->route->lane == LANE_QUERY) list_query(request);
    if (!worker_pool_add(server->workers, &request->job, request->route->lane == LANE_STATUS, &err))
        request_fail(request, &err);
}

static void on_gone(void *context, HttpExchange *exchange) {
    (void)context;
    Request *request = exchange->state;
    if (request == NULL) return;
    atomic_store(&request->cancelled, true);
    // Who sends its answer finds out there.
    if (atomic_load(&request->streams)) return;
    // One that waits gives its place to others.
    if (worker_pool_take_back(request->server->workers, &request->job)) on_ended(&request->running);
}

static void on_room(void *context, HttpExchange *exchange) {
    (void)context;
    request_produce_again(exchange->state);
}

// ---- Start and stop ----

void server_set_query(Server *server, ServerQuerySettings query) {
    Budget *budget = store_query_budget(server->options.store);
    int64_t share = atomic_load(&budget->limit) / 8;
    atomic_store(&server->query_timeout_ms,
                 query.timeout_ms > 0 ? query.timeout_ms : LIMIT_QUERY_TIME_MS);
    atomic_store(&server->query_lookback_ms, query.lookback_ms);
    atomic_store(&server->query_memory_bytes, query.memory_bytes > 0 ? query.memory_bytes : share);
    atomic_store(&server->query_samples_max, query.samples_max);
    atomic_store(&server->query_bytes_max, query.bytes_max);
    atomic_store(&server->query_slow_ms, query.slow_ms);
    spending_limit(&server->spending,
                   (SpendingLimits){.memory_bytes = query.tenant_memory_bytes,
                                    .a_minute = {[SPENDING_SAMPLES] = query.tenant_samples,
                                                 [SPENDING_BYTES] = query.tenant_bytes,
                                                 [SPENDING_TIME] = query.tenant_ms}});
    atomic_store(&server->query_stable_only, query.stable_only);
    atomic_store(&server->query_starts, query.starts);
    query_cache_resize(server->query_cache, query.cache_bytes);
    atomic_store(&server->admin_api, query.admin_api);
}

bool server_start(const ServerOptions *options, Server **out, Error *err) {
    for (size_t i = 0; i < options->address_count; i++) {
        TRY(access_allows_address(options->access, &options->addresses[i], err));
    }
    AUTO(server_free) Server *server = memory_new(Server);
    server->options = *options;
    sources_begin(&server->sources);
    running_list_begin(&server->running, options->clock);
    mutex_begin(&server->processes_lock, LOCK_SERVER_PROCESSES);
    server->processes = host_processes_new(TEXT_NONE);
    TRY(spending_begin(&server->spending, store_query_budget(options->store), options->clock, err));
    uint64_t seed;
    TRY(random_bytes(&seed, sizeof seed, err));
    atomic_store(&server->spread, seed);
    atomic_store(&server->reload_ok, true);
    atomic_store(&server->reloaded_ms, options->started_ms);
    server->query_cache = query_cache_new(store_cache_budget(options->store), 0);
    server_set_query(server, options->query);
    StoreState state;
    store_state(options->store, &state);
    server->durability = state.log.durability;

    WorkerOptions workers = {
        .clock = options->clock,
        .threads = options->worker_count,
        .queue_max = options->queue.most > 0 ? options->queue.most : QUEUE_MAX,
        .line_max = options->queue.tenant_most > 0 ? options->queue.tenant_most : LINE_MAX,
        .age_max_ms = options->queue.age_ms > 0 ? options->queue.age_ms : QUEUE_AGE_MS,
    };
    TRY(worker_pool_start(workers, &server->workers, err));
    int threads = options->query_threads > 0 ? options->query_threads : thread_core_count();
    TRY(query_pool_start(threads - 1, &server->query_pool, err));
    HttpServerOptions http = {
        .clock = options->clock,
        .addresses = options->addresses,
        .address_count = options->address_count,
        .loop_count = options->loop_count > 0 ? options->loop_count : thread_core_count(),
        .limits = options->limits,
        .tls = options->tls,
        .handler = {.context = server,
                    .on_head = on_head,
                    .on_request = on_request,
                    .on_gone = on_gone,
                    .on_room = on_room},
    };
    TRY(http_server_start(&http, &server->http, err));
    *out = TAKE(server);
    return true;
}

uint16_t server_port(const Server *server, size_t address) {
    return http_server_port(server->http, address);
}

void server_stop(Server *server, int64_t drain_ms) {
    if (server->http == NULL || atomic_exchange(&server->stopped, true)) return;
    http_server_stop(server->http, drain_ms);
}

void server_free(Server **handle) {
    if (*handle == NULL) return;
    Server *server = TAKE(*handle);
    server_stop(server, 0);
    worker_pool_stop(&server->workers);
    query_pool_stop(&server->query_pool);
    query_cache_free(&server->query_cache);
    http_server_free(&server->http);
    host_processes_free(&server->processes);
    mutex_end(&server->processes_lock);
    sources_end(&server->sources);
    running_list_end(&server->running);
    spending_end(&server->spending);
    memory_free(server);
}
