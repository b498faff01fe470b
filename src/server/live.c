// Live answers: a WebSocket on which a page subscribes to instant queries and gets each one's
// answer again and again.
//
//   {"id":"a","query":"up","interval_ms":1000}  ─>   subscribes, or replaces what "a" was
//   {"id":"a"}                                  ─>   ends it
//   <─ {"id":"a","data":{"status":"success","data":{…}}}   as /api/v1/query would answer now
//
//   loop:    timer of a subscription ─> job ─┐                    (skipped while the last one runs)
//   worker:  key again, query_run, JSON <────┘ ─> websocket_send
//
// A session belongs to its connection's loop, a subscription too; a running job holds a share of
// its subscription, which holds one of the session, so that both outlive it. The key is looked at
// before every answer: a revoked one ends the connection.

#include "net/websocket.h"

#include "base/limits.h"
#include "query/query.h"
#include "server/queries.h"
#include "server/serve.h"

enum { INTERVAL_MS = 1000, ID_BYTES_MAX = 64 };

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

typedef struct Subscription Subscription;

typedef struct Session {
    Server *server;
    Loop *loop;
    WebSocket *socket;  // NULL until the upgrade has succeeded
    Arena arena;        // of the credentials
    AccessRequest asks;
    Text peer;
    Text tenant;  // when it began; whose turn its queries take
    _Atomic int shares;
    _Atomic bool closed;
    Subscription *subscriptions;
    size_t count;
} Session;

struct Subscription {
    Session *session;
    Subscription *next;
    Arena arena;
    Text id, query;
    int64_t interval_ms;
    WheelTimer timer;
    WorkerJob job;
    _Atomic int shares;
    _Atomic bool running, ended;
    _Atomic bool cancelled;  // what runs now
    RunningQuery listed;
    int64_t waited_ns;
};

static void session_share_end(Session *session) {
    if (atomic_fetch_sub(&session->shares, 1) > 1) return;
    websocket_free(&session->socket);
    arena_free(&session->arena);
    memory_free(session);
}

static void subscription_share_end(Subscription *subscription) {
    if (atomic_fetch_sub(&subscription->shares, 1) > 1) return;
    session_share_end(subscription->session);
    arena_free(&subscription->arena);
    memory_free(subscription);
}

// ---- Answers, on a worker ----

static void write_failure(const Error *err, JsonWriter *writer) {
    json_object_begin(writer);
    json_key(writer, TEXT("status"));
    json_text(writer, TEXT("error"));
    json_key(writer, TEXT("errorType"));
    json_text(writer, text_from_cstring(error_status(err->code).type));
    json_key(writer, TEXT("error"));
    json_text(writer, text_from_cstring(err->message));
    json_object_end(writer);
}

static void write_texts(JsonWriter *writer, Text key, Texts texts) {
    if (texts.count == 0) return;
    json_key(writer, key);
    json_array_begin(writer);
    for (size_t i = 0; i < texts.count; i++) json_text(writer, texts.at[i]);
    json_array_end(writer);
}

static void write_success(const QueryResult *result, JsonWriter *writer) {
    json_object_begin(writer);
    json_key(writer, TEXT("status"));
    json_text(writer, TEXT("success"));
    json_key(writer, TEXT("data"));
    query_write_json(result, writer);
    write_texts(writer, TEXT("warnings"), result->warnings);
    write_texts(writer, TEXT("infos"), result->infos);
    json_object_end(writer);
}

static JsonWriter message_begin(Text id, Builder *out) {
    builder_clear(out);
    JsonWriter writer = json_writer_begin(out);
    json_object_begin(&writer);
    json_key(&writer, TEXT("id"));
    json_text(&writer, id);
    json_key(&writer, TEXT("data"));
    return writer;
}

static void send_failure(Session *session, Text id, const Error *err) {
    AUTO(builder_free) Builder out = {0};
    JsonWriter writer = message_begin(id, &out);
    write_failure(err, &writer);
    json_object_end(&writer);
    (void)websocket_send(session->socket, builder_text(&out));
}

// About how long the answer will be; a message must fit into what may wait for one client.
static bool answer_fits(const QueryResult *result, Error *err) {
    int64_t bytes = (int64_t)result->string.len;
    for (size_t i = 0; i < result->count; i++)
        bytes += 96 + (int64_t)result->series[i].labels.wire.len * 3 / 2;
    if (bytes <= LIMIT_WEBSOCKET_OUT_BYTES) return true;
    return error_set(err, ERROR_TOO_LARGE,
                     "the answer has %zu series, too many to be sent live (WEBSOCKET_OUT_BYTES); "
                     "aggregate, or ask /api/v1/query",
                     result->count);
}

static bool ask(Subscription *subscription, const Identity *identity, Arena *arena,
                QueryResult *out, Error *err) {
    Session *session = subscription->session;
    Server *server = session->server;
    TRY(access_permits(identity, PERMISSION_READ_METRICS, err));
    Clock *clock = server->options.clock;
    QueryRequest query = {
        .text = subscription->query,
        .start_ms = clock->wall_ms(clock),
        .lookback_ms = atomic_load(&server->query_lookback_ms),
        .stable_only = atomic_load(&server->query_stable_only),
        .starts = atomic_load(&server->query_starts),
        .limits = {.time_ms = atomic_load(&server->query_timeout_ms),
                   .memory_bytes = atomic_load(&server->query_memory_bytes),
                   .samples_max = atomic_load(&server->query_samples_max),
                   .bytes_max = atomic_load(&server->query_bytes_max)},
        .clock = clock,
        .cancelled = &subscription->cancelled,
        .progress = &subscription->listed.progress,
        .pool = server->query_pool,
    };
    query.end_ms = query.start_ms;
    SourceRange where = {0};
    int64_t retry_s;
    TRY(server_run_query(server, &subscription->listed, subscription->waited_ns, &query, arena, out,
                         &where, &retry_s, err));
    return answer_fits(out, err);
}

// A subscription that was ended before it could be told so is not begun.
static void list_query(Subscription *subscription, const Identity *identity) {
    Session *session = subscription->session;
    subscription->listed = (RunningQuery){
        .text = subscription->query,
        .tenant = identity->tenant,
        .key = identity->key_id,
        .peer = session->peer,
        .path = TEXT("/api/traceo/v1/live"),
        .cancelled = &subscription->cancelled,
        .job = &subscription->job,
        .runs = true,
    };
    atomic_store(&subscription->cancelled, false);
    if (atomic_load(&subscription->ended)) atomic_store(&subscription->cancelled, true);
    running_add(&session->server->running, &subscription->listed);
}

static void answer(Subscription *subscription) {
    Session *session = subscription->session;
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder out = {0};
    Error err = {0};
    Identity identity;
    if (!access_identify(session->server->options.access, &session->asks, &arena, &identity,
                         &err)) {
        websocket_close(session->socket, WEBSOCKET_POLICY,
                        TEXT("the API key is not valid any more"));
        return;
    }
    QueryResult result = {0};
    JsonWriter writer = message_begin(subscription->id, &out);
    list_query(subscription, &identity);
    bool asked = ask(subscription, &identity, &arena, &result, &err);
    running_remove(&session->server->running, &subscription->listed);
    if (asked) {
        write_success(&result, &writer);
    } else {
        write_failure(&err, &writer);
    }
    json_object_end(&writer);
    // A client that is too slow misses this one; the next is newer anyway.
    (void)websocket_send(session->socket, builder_text(&out));
}

static void run_job(WorkerJob *job, int64_t waited_ns, bool expired) {
    Subscription *subscription = container_of(job, Subscription, job);
    subscription->waited_ns = waited_ns;
    bool wanted = !expired && !atomic_load(&subscription->ended) &&
                  !atomic_load(&subscription->session->closed);
    if (wanted) answer(subscription);
    atomic_store(&subscription->running, false);
    subscription_share_end(subscription);
}

// ---- Subscriptions, on the loop ----

static void start_job(Subscription *subscription) {
    Session *session = subscription->session;
    if (atomic_exchange(&subscription->running, true)) return;
    atomic_fetch_add(&subscription->shares, 1);
    Error err = {0};
    subscription->job = (WorkerJob){.run = run_job, .tenant = session->tenant};
    if (worker_pool_add(session->server->workers, &subscription->job, false, &err)) return;
    send_failure(session, subscription->id, &err);
    atomic_store(&subscription->running, false);
    subscription_share_end(subscription);
}

static void on_timer(WheelTimer *timer) {
    Subscription *subscription = container_of(timer, Subscription, timer);
    Loop *loop = subscription->session->loop;
    loop_arm(loop, timer, loop_now_ms(loop) + subscription->interval_ms);
    start_job(subscription);
}

static void subscription_end(Session *session, Text id) {
    for (Subscription **link = &session->subscriptions; *link != NULL; link = &(*link)->next) {
        Subscription *found = *link;
        if (!text_equal(found->id, id)) continue;
        *link = found->next;
        session->count--;
        loop_disarm(session->loop, &found->timer);
        atomic_store(&found->ended, true);
        atomic_store(&found->cancelled, true);
        subscription_share_end(found);
        return;
    }
}

static bool subscription_begin(Session *session, Text id, Text query, int64_t interval_ms,
                               Error *err) {
    if (session->count >= (size_t)LIMIT_LIVE_SUBSCRIPTIONS) {
        return error_set(err, ERROR_TOO_MANY,
                         "a connection has at most %d subscriptions "
                         "(LIVE_SUBSCRIPTIONS)",
                         (int)LIMIT_LIVE_SUBSCRIPTIONS);
    }
    Subscription *subscription = memory_new(Subscription);
    subscription->session = session;
    subscription->id = text_copy(id, &subscription->arena);
    subscription->query = text_copy(query, &subscription->arena);
    subscription->interval_ms = interval_ms;
    subscription->timer.fire = on_timer;
    atomic_store(&subscription->shares, 1);
    atomic_fetch_add(&session->shares, 1);
    subscription->next = session->subscriptions;
    session->subscriptions = subscription;
    session->count++;
    on_timer(&subscription->timer);
    return true;
}

// ---- Messages ----

static bool read_interval(const JsonValue *message, int64_t *out, Error *err) {
    const JsonValue *interval = json_get(message, TEXT("interval_ms"));
    *out = INTERVAL_MS;
    if (interval == NULL) return true;
    if (json_whole_i64(interval, out) && *out >= LIMIT_LIVE_INTERVAL_MS && *out <= 3600000)
        return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "interval_ms is a whole number from %d "
                     "(LIVE_INTERVAL_MS) to 3600000",
                     (int)LIMIT_LIVE_INTERVAL_MS);
}

static bool read_message(Session *session, Text text, Arena *arena, Text *id, Error *err) {
    JsonValue *message;
    int64_t interval_ms;
    TRY(json_parse(text, arena, &message, err));
    const JsonValue *name = json_get(message, TEXT("id")),
                    *query = json_get(message, TEXT("query"));
    if (name == NULL || name->kind != JSON_STRING || name->text.len > ID_BYTES_MAX)
        return error_set(err, ERROR_BAD_INPUT,
                         "a message has an \"id\", a text of at most 64 bytes");
    *id = name->text;
    bool ends = query == NULL || query->kind == JSON_NULL;
    if (!ends && query->kind != JSON_STRING)
        return error_set(err, ERROR_BAD_INPUT,
                         "\"query\" is a text; without it the subscription ends");
    TRY(read_interval(message, &interval_ms, err));
    subscription_end(session, *id);
    return ends || subscription_begin(session, *id, query->text, interval_ms, err);
}

static void on_message(void *context, WebSocket *socket, Text message, bool is_text) {
    Session *session = context;
    AUTO(arena_free) Arena arena = {0};
    Error err = {0};
    Text id = TEXT("");
    if (!is_text) {
        websocket_close(socket, WEBSOCKET_UNACCEPTABLE, TEXT("messages are JSON, as text"));
    } else if (!read_message(session, message, &arena, &id, &err)) {
        send_failure(session, id, &err);
    }
}

static void on_close(void *context, WebSocket *socket, int code) {
    Session *session = context;
    atomic_store(&session->closed, true);
    while (session->subscriptions != NULL) subscription_end(session, session->subscriptions->id);
    atomic_fetch_sub(&session->server->live, 1);
    session_share_end(session);
}

// ---- The route ----

// A page of another site could open this connection with the browser's credentials; browsers say
// where it came from.
bool check_live(Request *request, Error *err) {
    if (request_is_of_own_origin(request)) return true;
    return error_set(err, ERROR_FORBIDDEN, "a page of another site may not connect to this");
}

// What was not sent stays so: an empty header is another thing.
static Text header_copy(const HttpExchange *exchange, Text name, Arena *arena) {
    Text value = http_header(exchange, name);
    return value.at == NULL ? TEXT_NONE : text_copy(value, arena);
}

static Session *session_begin(Request *request) {
    HttpExchange *exchange = request->exchange;
    Session *session = memory_new(Session);
    session->server = request->server;
    session->loop = http_server_loop(request->server->http, exchange->loop);
    session->asks = (AccessRequest){
        .authorization = header_copy(exchange, TEXT("Authorization"), &session->arena),
        .api_key = header_copy(exchange, TEXT("X-API-Key"), &session->arena),
        .tenant = header_copy(exchange, TEXT("X-Scope-OrgID"), &session->arena),
    };
    session->peer = text_copy(exchange->peer, &session->arena);
    session->tenant = text_copy(request->identity.tenant, &session->arena);
    atomic_store(&session->shares, 1);
    return session;
}

bool serve_live(Request *request, Error *err) {
    Server *server = request->server;
    if (atomic_fetch_add(&server->live, 1) >= LIMIT_LIVE_CONNECTIONS) {
        atomic_fetch_sub(&server->live, 1);
        return error_set(err, ERROR_TOO_MANY, "%d live connections are open (LIVE_CONNECTIONS)",
                         (int)LIMIT_LIVE_CONNECTIONS);
    }
    Session *session = session_begin(request);
    WebSocketHandler handler = {session, on_message, on_close};
    if (!websocket_upgrade(request->exchange, &handler, websocket_limits_default(),
                           &session->socket, err)) {
        atomic_fetch_sub(&server->live, 1);
        session_share_end(session);
        if (err->code != ERROR_UNSUPPORTED) return false;
        request_add_header(request, TEXT("Sec-WebSocket-Version"), TEXT("13"));
        request->fail_status = 426;
        request->fail_type = "bad_data";
        return false;
    }
    Clock *clock = server->options.clock;
    counters_request(&server->counters, request->route, 101,
                     clock->monotonic_ns(clock) - request->exchange->started_ns);
    *err = (Error){0};  // answered by itself
    return false;
}
