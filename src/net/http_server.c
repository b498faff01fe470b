// The server: loops with their listeners, accepting, draining, counting.

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/http_connection.h"
#include "os/process.h"
#include "os/random.h"

enum { ACCEPTS_PER_EVENT = 64, ACCEPT_PAUSE_MS = 100 };

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

HttpLimits http_limits_default(void) {
    return (HttpLimits){
        .parse = {(size_t)LIMIT_HTTP_REQUEST_LINE_BYTES, (size_t)LIMIT_HTTP_HEADER_BYTES,
                  (size_t)LIMIT_HTTP_FIELDS_BYTES, (size_t)LIMIT_HTTP_HEADER_COUNT},
        .header_time_ms = LIMIT_HTTP_HEADER_TIME_MS,
        .idle_time_ms = LIMIT_HTTP_IDLE_TIME_MS,
        .body_window_ms = 5000,
        .body_rate_min = LIMIT_HTTP_BODY_RATE_MIN,
        .body_bytes = LIMIT_HTTP_BODY_BYTES,
        .keep_alive_requests = LIMIT_HTTP_KEEP_ALIVE_REQUESTS,
        .answer_window_ms = 20000,
        .answer_rate_min = LIMIT_HTTP_ANSWER_RATE_MIN,
        .stream_bytes = LIMIT_HTTP_STREAM_BYTES,
        .connections = LIMIT_HTTP_CONNECTIONS,
        .connections_per_address = LIMIT_HTTP_CONNECTIONS_PER_ADDRESS,
        .connections_loopback = LIMIT_HTTP_CONNECTIONS_LOOPBACK,
        .strangers_percent = LIMIT_HTTP_STRANGERS_PERCENT,
        .stranger_time_ms = LIMIT_HTTP_STRANGER_TIME_MS,
        .stranger_heads_bytes = LIMIT_HTTP_STRANGER_HEADS_BYTES,
        .http2 = {.streams = LIMIT_HTTP2_STREAMS,
                  .stranger_streams = LIMIT_HTTP2_STRANGER_STREAMS,
                  .header_list_bytes = LIMIT_HTTP2_HEADER_LIST_BYTES,
                  .heads_bytes = LIMIT_HTTP2_HEADS_BYTES,
                  .continuations = LIMIT_HTTP2_CONTINUATIONS,
                  .window_bytes = LIMIT_HTTP2_WINDOW_BYTES,
                  .connection_window_bytes = LIMIT_HTTP2_CONNECTION_WINDOW_BYTES,
                  .bodies_bytes = LIMIT_HTTP2_BODIES_BYTES,
                  .resets = LIMIT_HTTP2_RESETS,
                  .resets_window_ms = 10000,
                  .settings_per_s = LIMIT_HTTP2_SETTINGS_PER_S,
                  .pings_per_s = LIMIT_HTTP2_PINGS_PER_S,
                  .useless_per_s = LIMIT_HTTP2_USELESS_PER_S},
    };
}

static void watch_listeners(HttpLoop *loop, bool watch) {
    for (size_t i = 0; i < loop->listener_count; i++) {
        HttpListener *listener = &loop->listeners[i];
        if (listener->watched == watch || listener->source.socket.fd < 0) continue;
        Error err = {0};
        if (!watch) {
            loop_unwatch(loop->loop, &listener->source);
        } else if (!loop_watch(loop->loop, &listener->source, true, false, &err)) {
            loop_arm(loop->loop, &loop->accept_pause, loop_now_ms(loop->loop) + ACCEPT_PAUSE_MS);
            continue;
        }
        listener->watched = watch;
    }
}

static void accept_again(WheelTimer *timer) {
    HttpLoop *loop = container_of(timer, HttpLoop, accept_pause);
    if (!loop->draining) watch_listeners(loop, true);
}

// Beyond the limit a few more are let in to be told so; beyond those, the door is shut in their
// face.
// It is counted in loop->connection_count already.
static void take_connection(HttpLoop *loop, Socket socket, const char *peer) {
    HttpServer *server = loop->server;
    int64_t limit = server->options.limits.connections;
    int64_t count = atomic_fetch_add(&server->connections, 1) + 1;
    http_count(&loop->accepted, 1);
    if (count > limit) http_count(&loop->refused_connections, 1);
    if (count > limit + limit / 16 + 8) {
        atomic_fetch_sub(&server->connections, 1);
        atomic_fetch_sub(&loop->connection_count, 1);
        socket_close(&socket);
        return;
    }
    AddressNetwork network = address_network(text_from_cstring(peer));
    const HttpLimits *limits = &server->options.limits;
    HttpQuotaEntry *entry = http_quota_take(
        server->quota, &network,
        network.loopback ? limits->connections_loopback : limits->connections_per_address);
    const char *refusal = NULL;
    if (count > limit) {
        refusal = "There are too many connections (HTTP_CONNECTIONS).";
    } else if (entry == NULL) {
        refusal = network.loopback
                      ? "This machine has too many connections (HTTP_CONNECTIONS_LOOPBACK)."
                      : "Your address has too many connections (HTTP_CONNECTIONS_PER_ADDRESS).";
        http_count(&loop->refused_connections, 1);
        http_count(&loop->address_refused, 1);
    }
    if (loop->stranger_count >= loop->stranger_max) http_connection_evict(loop);
    http_connection_begin(loop, socket, peer, entry, refusal);
}

// ---- Sharing out ----
//
// The kernel chooses the loop that accepts by a hash of the addresses, so of a few busy senders all
// may come to one. Who has more than another gives the connection away.

static void take_arrivals(void *context) {
    HttpLoop *loop = context;
    for (;;) {
        HttpArrival arrival = {0};
        mutex_take(&loop->arrivals_lock);
        bool any = loop->arrivals.count > 0;
        if (any) arrival = loop->arrivals.at[--loop->arrivals.count];
        mutex_give(&loop->arrivals_lock);
        if (!any) return;
        take_connection(loop, arrival.socket, arrival.peer);
    }
}

// False: that loop is on its way to its end.
static bool give_connection(HttpLoop *to, Socket socket, const char *peer) {
    mutex_take(&to->arrivals_lock);
    bool taken = !to->arrivals_shut;
    if (taken) {
        HttpArrival *arrival = array_add(&to->arrivals);
        arrival->socket = socket;
        snprintf(arrival->peer, sizeof arrival->peer, "%s", peer);
        atomic_fetch_add(&to->connection_count, 1);
    }
    mutex_give(&to->arrivals_lock);
    if (taken) loop_post(to->loop, take_arrivals, to);
    return taken;
}

static void share_out(HttpLoop *loop, Socket socket, const char *peer) {
    HttpLoop *emptiest = loop;
    int64_t least = atomic_load(&loop->connection_count);
    for (int i = 0; i < loop->server->options.loop_count; i++) {
        HttpLoop *other = &loop->server->loops[i];
        int64_t count = atomic_load(&other->connection_count);
        if (count >= least) continue;
        least = count;
        emptiest = other;
    }
    if (emptiest != loop && !loop->draining && give_connection(emptiest, socket, peer)) return;
    atomic_fetch_add(&loop->connection_count, 1);
    take_connection(loop, socket, peer);
}

// True when there may be more to accept.
static bool accept_one(HttpLoop *loop, HttpListener *listener) {
    Socket socket = SOCKET_NONE;
    char peer[64] = "";
    Error err = {0};
    switch (socket_accept(listener->source.socket, &socket, peer, sizeof peer, &err)) {
        case SOCKET_DONE:
            share_out(loop, socket, peer);
            return true;
        case SOCKET_AGAIN:
        case SOCKET_CLOSED:
            return false;
        case SOCKET_FAILED:
            break;
    }
    // No descriptors, no memory: the listener stays readable, so listening on would spin.
    http_count(&loop->accept_errors, 1);
    log_warn("cannot accept connections, pausing", LOG_ERR(&err),
             LOG_I64("pause_ms", ACCEPT_PAUSE_MS));
    watch_listeners(loop, false);
    loop_arm(loop->loop, &loop->accept_pause, loop_now_ms(loop->loop) + ACCEPT_PAUSE_MS);
    return false;
}

static void on_acceptable(LoopSource *source, bool readable, bool writable, bool hung_up) {
    HttpListener *listener = container_of(source, HttpListener, source);
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        if (!accept_one(listener->loop, listener)) break;
    }
}

static void close_listeners(HttpLoop *loop) {
    watch_listeners(loop, false);
    for (size_t i = 0; i < loop->listener_count; i++)
        socket_close(&loop->listeners[i].source.socket);
}

static void close_connections(HttpLoop *loop) {
    for (HttpConnection *c = loop->connections, *next; c != NULL; c = next) {
        next = c->next;
        http_connection_close(c);
    }
}

static void stop_when_empty(HttpLoop *loop) {
    if (loop->draining && atomic_load(&loop->connection_count) == 0) loop_stop(loop->loop);
}

void http_loop_connection_ended(HttpLoop *loop) {
    int64_t before = atomic_fetch_sub(&loop->connection_count, 1);
    assert(before > 0);
    atomic_fetch_sub(&loop->server->connections, 1);
    stop_when_empty(loop);
}

static void drain_ended(WheelTimer *timer) {
    close_connections(container_of(timer, HttpLoop, drain_end));
}

static void drain(void *context) {
    HttpLoop *loop = context;
    loop->draining = true;
    mutex_take(&loop->arrivals_lock);
    loop->arrivals_shut = true;
    mutex_give(&loop->arrivals_lock);
    take_arrivals(loop);
    // Who has connected already is answered: a closed listener would reset them.
    for (size_t i = 0; i < loop->listener_count; i++) {
        HttpListener *listener = &loop->listeners[i];
        for (int n = 0; n < ACCEPTS_PER_EVENT * 16 && accept_one(loop, listener); n++) {
        }
    }
    close_listeners(loop);
    loop_disarm(loop->loop, &loop->accept_pause);
    for (HttpConnection *c = loop->connections, *next; c != NULL; c = next) {
        next = c->next;
        http_connection_drain(c);
    }
    loop->drain_end.fire = drain_ended;
    loop_arm(loop->loop, &loop->drain_end, loop_now_ms(loop->loop) + loop->drain_deadline_ms);
    stop_when_empty(loop);
}

static void run_loop(void *context) {
    HttpLoop *loop = context;
    Error err = {0};
    watch_listeners(loop, true);
    if (!loop_run(loop->loop, &err))
        log_error("a network loop ended", LOG_I64("loop", loop->index), LOG_ERR(&err));
}

// The first loop takes the port, the others share it.
static bool listen_all(HttpLoop *loop, Error *err) {
    HttpServer *server = loop->server;
    loop->listeners = memory_new_array(HttpListener, MAX(server->options.address_count, (size_t)1));
    loop->listener_count = server->options.address_count;
    for (size_t i = 0; i < loop->listener_count; i++) {
        loop->listeners[i] = (HttpListener){{SOCKET_NONE, on_acceptable}, loop, false};
    }
    for (size_t i = 0; i < loop->listener_count; i++) {
        Address address = server->options.addresses[i];
        if (loop->index > 0) address.port = server->ports[i];
        Socket *socket = &loop->listeners[i].source.socket;
        TRY(socket_listen(address, server->options.loop_count > 1, socket, err));
        if (loop->index == 0) TRY(socket_port(*socket, &server->ports[i], err));
    }
    return true;
}

static bool open_all(HttpServer *server, Error *err) {
    const HttpLimits *limits = &server->options.limits;
    int64_t most = MIN(limits->connections, process_files_max());
    int64_t strangers = most * limits->strangers_percent / 100 / server->options.loop_count;
    // During its handshake a stranger holds 46 KiB, most of them OpenSSL's: fewer of them, so that
    // all together hold no more than without TLS.
    if (server->options.tls != NULL) strangers = strangers * 32 / 48;
    for (int i = 0; i < server->options.loop_count; i++) {
        HttpLoop *loop = &server->loops[i];
        loop->server = server;
        loop->index = i;
        mutex_begin(&loop->arrivals_lock, LOCK_HTTP_ARRIVALS);
        loop->stranger_max = (size_t)MAX(strangers, (int64_t)1);
        loop->accept_pause.fire = accept_again;
        TRY(loop_open(server->options.clock, &loop->loop, err));
        loop->service = (HttpService){.loop = loop->loop,
                                      .loop_index = i,
                                      .clock = server->options.clock,
                                      .handler = &server->options.handler,
                                      .limits = &server->options.limits,
                                      .requests = &loop->requests};
        TRY(listen_all(loop, err));
    }
    return true;
}

static bool run_all(HttpServer *server, Error *err) {
    for (int i = 0; i < server->options.loop_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "http-%d", i % 1000);
        TRY(thread_start(name, run_loop, &server->loops[i], &server->loops[i].thread, err));
    }
    return true;
}

bool http_server_start(const HttpServerOptions *options, HttpServer **out, Error *err) {
    assert(options->loop_count > 0 && options->clock != NULL &&
           options->handler.on_request != NULL);
    AUTO(http_server_free) HttpServer *server = memory_new(HttpServer);
    server->options = *options;
    server->ports = memory_new_array(uint16_t, MAX(options->address_count, (size_t)1));
    server->loops = memory_new_array(HttpLoop, (size_t)options->loop_count);
    HashKey key;
    TRY(random_hash_key(&key, err));
    server->quota = http_quota_begin(key);
    server->stranger_heads = (Budget){.name = "request heads of strangers"};
    atomic_store(&server->stranger_heads.limit, options->limits.stranger_heads_bytes);
    TRY(open_all(server, err));
    server->options.addresses = NULL;  // they are the caller's
    // Known before the first request: its handler may ask for it.
    *out = server;
    if (!run_all(server, err)) {
        http_server_free(&server);
        *out = NULL;
        return false;
    }
    (void)TAKE(server);
    return true;
}

uint16_t http_server_port(const HttpServer *server, size_t address) {
    assert(address < server->options.address_count);
    return server->ports[address];
}

Loop *http_server_loop(HttpServer *server, int index) {
    assert(index >= 0 && index < server->options.loop_count);
    return server->loops[index].loop;
}

void http_server_stop(HttpServer *server, int64_t deadline_ms) {
    if (server->stopped) return;
    server->stopped = true;
    for (int i = 0; i < server->options.loop_count; i++) {
        HttpLoop *loop = &server->loops[i];
        if (loop->thread == NULL) continue;
        loop->drain_deadline_ms = MAX(deadline_ms, (int64_t)0);
        loop_post(loop->loop, drain, loop);
    }
    for (int i = 0; i < server->options.loop_count; i++) thread_join(&server->loops[i].thread);
}

void http_server_free(HttpServer **server) {
    if (*server == NULL) return;
    http_server_stop(*server, 0);
    for (int i = 0; i < (*server)->options.loop_count; i++) {
        HttpLoop *loop = &(*server)->loops[i];
        // Left over only when the loop ended by an error of the poller.
        if (loop->loop != NULL) close_connections(loop);
        for (size_t n = 0; n < loop->arrivals.count; n++)
            socket_close(&loop->arrivals.at[n].socket);
        array_free(&loop->arrivals);
        if (loop->server != NULL) mutex_end(&loop->arrivals_lock);
        for (size_t n = 0; n < loop->listener_count; n++)
            socket_close(&loop->listeners[n].source.socket);
        memory_free(loop->listeners);
        http_pool_free(&loop->inputs);
        http_pool_free(&loop->bodies);
        loop_close(&loop->loop);
    }
    http_quota_free(&(*server)->quota);
    memory_free((*server)->loops);
    memory_free((*server)->ports);
    memory_free(TAKE(*server));
}

HttpStats http_server_stats(const HttpServer *server) {
    HttpStats stats = {.connections = atomic_load(&server->connections)};
    for (int i = 0; i < server->options.loop_count; i++) {
        const HttpLoop *loop = &server->loops[i];
        stats.connections_accepted += atomic_load(&loop->accepted);
        stats.connections_refused += atomic_load(&loop->refused_connections);
        stats.accept_errors += atomic_load(&loop->accept_errors);
        stats.address_refused += atomic_load(&loop->address_refused);
        stats.strangers += atomic_load(&loop->strangers);
        stats.strangers_evicted += atomic_load(&loop->strangers_evicted);
        stats.strangers_expired += atomic_load(&loop->strangers_expired);
        stats.readers_cut += atomic_load(&loop->readers_cut);
        stats.tls_handshakes += atomic_load(&loop->tls_handshakes);
        stats.tls_failed += atomic_load(&loop->tls_failed);
        stats.requests += atomic_load(&loop->requests);
        stats.refused += atomic_load(&loop->refused);
        stats.bytes_in += atomic_load(&loop->bytes_in);
        stats.bytes_out += atomic_load(&loop->bytes_out);
        stats.http2_sessions += atomic_load(&loop->http2.sessions);
        stats.http2_streams += atomic_load(&loop->http2.streams);
        stats.http2_resets_received += atomic_load(&loop->http2.resets_received);
        stats.http2_resets_sent += atomic_load(&loop->http2.resets_sent);
        for (size_t n = 0; n < HTTP2_GOAWAY_COUNT; n++)
            stats.http2_goaways[n] += atomic_load(&loop->http2.goaways[n]);
    }
    return stats;
}
