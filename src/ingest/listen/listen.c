// The listener's thread: sockets, lines, and the two timers that store.

#include "ingest/listen/listen.h"

#include <stdatomic.h>

#include "base/array.h"
#include "base/limits.h"
#include "base/log.h"
#include "ingest/graphite/graphite.h"
#include "ingest/statsd/statsd.h"
#include "net/loop.h"
#include "os/thread.h"

enum {
    FLUSH_AFTER_MS = 50,     // rows of many lines share a record of the log
    FLUSH_BYTES = 1 * MB,    // or when they are this many
    BUFFER_BYTES = 64 * KB,  // the largest datagram
    READS_PER_LOOK = 64,     // of one socket, before the others get their turn
    DESCRIBE_EVERY = 30,     // flushes of StatsD between two that tell types
    PEER_BYTES = 64,
};

// What a protocol brought since its last note.
typedef struct Tally {
    Text protocol;
    uint64_t samples, bytes;
    char peer[PEER_BYTES];
    Error fault;
} Tally;

typedef struct Connection {
    LoopSource source;
    Listener *listener;
    size_t index;   // in listener->connections
    bool skipping;  // the rest of a line that was too long
    int64_t heard_ms;
    WheelTimer idle_timer;
    char peer[PEER_BYTES];
    Builder line;  // the beginning of one
} Connection;

struct Listener {
    ListenOptions options;
    Loop *loop;
    Thread *thread;
    LoopSource graphite_tcp, graphite_udp, statsd_udp;
    ARRAY(Connection *) connections;
    GraphiteReader graphite;
    Statsd *statsd;
    WriteBody rows;
    IngestSender *sender;
    WheelTimer flush_timer, statsd_timer;
    uint64_t statsd_flushes;
    Tally of_graphite, of_statsd;
    uint64_t graphite_lines, graphite_refused;
    bool failing;  // the store refuses, and the log was told
    _Atomic uint64_t published[sizeof(ListenState) / sizeof(uint64_t)];
    uint64_t rows_refused, writes_failed;
    uint16_t graphite_port, statsd_port;
    char buffer[BUFFER_BYTES];
};

// ---- Storing ----

static void publish(Listener *listener) {
    StatsdCounts counts = {0};
    if (listener->statsd != NULL) statsd_counts(listener->statsd, &counts);
    ListenState state = {
        .graphite_lines = listener->graphite_lines,
        .graphite_refused = listener->graphite_refused,
        .graphite_connections = listener->connections.count,
        .statsd_lines = counts.lines,
        .statsd_refused = counts.refused,
        .statsd_events = counts.events,
        .statsd_checks = counts.checks,
        .statsd_series = counts.series,
        .statsd_overflow = counts.overflow,
        .rows_refused = listener->rows_refused,
        .writes_failed = listener->writes_failed,
    };
    uint64_t numbers[COUNT(listener->published)];
    memcpy(numbers, &state, sizeof state);
    for (size_t i = 0; i < COUNT(numbers); i++)
        atomic_store_explicit(&listener->published[i], numbers[i], memory_order_relaxed);
}

void listener_state(const Listener *listener, ListenState *out) {
    uint64_t numbers[COUNT(listener->published)];
    for (size_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = atomic_load_explicit(&listener->published[i], memory_order_relaxed);
    memcpy(out, numbers, sizeof *out);
}

static void note(Listener *listener, Tally *tally, const Error *of_store) {
    if (tally->bytes == 0 && of_store == NULL) return;
    const Error *fault = tally->fault.code != ERROR_NONE ? &tally->fault : of_store;
    ListenNote said = {.protocol = tally->protocol,
                       .peer = text_from_cstring(tally->peer),
                       .tenant = listener->options.tenant,
                       .samples = tally->samples,
                       .bytes = tally->bytes,
                       .fault = fault};
    if (listener->options.note != NULL && tally->bytes > 0)
        listener->options.note(listener->options.context, &said);
    tally->samples = tally->bytes = 0;
    tally->fault = (Error){0};
}

static bool store_rows(Listener *listener, IngestOutcome *outcome, Error *err) {
    Tenant *tenant;
    const ListenOptions *options = &listener->options;
    TRY(store_tenant(options->store, options->tenant, true, &tenant, err));
    return ingest_samples(options->store, tenant, listener->sender, &listener->rows,
                          options->clock->wall_ms(options->clock), outcome, err);
}

// A store that refuses is told to the log once, and once again when it takes rows.
static void flush(Listener *listener) {
    loop_disarm(listener->loop, &listener->flush_timer);
    Error err = {0};
    const Error *fault = NULL;
    if (listener->rows.bytes.len > 0) {
        IngestOutcome outcome = {0};
        bool ok = store_rows(listener, &outcome, &err);
        if (!ok && !listener->failing)
            log_warn("rows of Graphite or StatsD were not stored", LOG_ERR(&err));
        if (ok && listener->failing) log_info("rows of Graphite and StatsD are stored again");
        listener->failing = !ok;
        listener->writes_failed += !ok;
        for (size_t verdict = VERDICT_CONFLICT; verdict < VERDICT_COUNT; verdict++)
            listener->rows_refused += outcome.counts[verdict];
        if (outcome.first_fault.code != ERROR_NONE) err = outcome.first_fault;
        if (err.code != ERROR_NONE) fault = &err;
    }
    write_body_clear(&listener->rows);
    if (write_body_bytes_kept(&listener->rows) > 4 * (size_t)FLUSH_BYTES)
        write_body_free(&listener->rows);
    note(listener, &listener->of_graphite, fault);
    note(listener, &listener->of_statsd, fault);
    publish(listener);
}

static void flush_fire(WheelTimer *timer) {
    flush((Listener *)(void *)((char *)timer - offsetof(Listener, flush_timer)));
}

// Something was written, or is to be noted.
static void flush_soon(Listener *listener) {
    if (listener->rows.bytes.len >= FLUSH_BYTES) {
        flush(listener);
    } else if (!wheel_is_armed(&listener->flush_timer)) {
        loop_arm(listener->loop, &listener->flush_timer,
                 loop_now_ms(listener->loop) + FLUSH_AFTER_MS);
    }
}

static int64_t wall_ms(const Listener *listener) {
    return listener->options.clock->wall_ms(listener->options.clock);
}

static void statsd_tell(Listener *listener) {
    bool describe = listener->statsd_flushes++ % DESCRIBE_EVERY == 0, more = true;
    int64_t now_ms = wall_ms(listener);
    while (more) {
        more = statsd_flush(listener->statsd, now_ms, describe, &listener->rows);
        flush(listener);
    }
}

// On whole multiples of the interval, so that samples have an even rhythm.
static void statsd_arm(Listener *listener) {
    int64_t every_ms = listener->options.statsd_flush_ms;
    int64_t left_ms = every_ms - wall_ms(listener) % every_ms;
    loop_arm(listener->loop, &listener->statsd_timer, loop_now_ms(listener->loop) + left_ms);
}

static void statsd_fire(WheelTimer *timer) {
    Listener *listener = (Listener *)(void *)((char *)timer - offsetof(Listener, statsd_timer));
    statsd_tell(listener);
    statsd_arm(listener);
}

// ---- Lines ----

static void tally_bytes(Tally *tally, const char *peer, size_t bytes) {
    tally->bytes += bytes;
    memcpy(tally->peer, peer, PEER_BYTES);
}

static void graphite_take(Listener *listener, Text line) {
    Error why = {0};
    uint64_t before = listener->rows.rows;
    if (graphite_line(&listener->graphite, line, wall_ms(listener), &listener->rows, &why)) {
        listener->graphite_lines += listener->rows.rows - before;
        listener->of_graphite.samples += listener->rows.rows - before;
    } else {
        listener->graphite_lines++;
        listener->graphite_refused++;
        listener->of_graphite.fault = why;
    }
}

static void graphite_datagram(Listener *listener, Text datagram) {
    Text line;
    while (text_cut(&datagram, '\n', &line)) graphite_take(listener, line);
}

static void statsd_datagram(Listener *listener, Text datagram) {
    Text line;
    while (text_cut(&datagram, '\n', &line)) {
        Error why = {0};
        if (statsd_line(listener->statsd, line, wall_ms(listener), &listener->rows, &why)) {
            listener->of_statsd.samples++;
        } else {
            listener->of_statsd.fault = why;
        }
    }
}

static void datagrams_take(Listener *listener, Socket socket, Tally *tally,
                           void (*take)(Listener *listener, Text datagram)) {
    for (int i = 0; i < READS_PER_LOOK; i++) {
        size_t count;
        char peer[PEER_BYTES] = {0};
        Error err;
        SocketResult result = socket_receive(socket, listener->buffer, sizeof listener->buffer,
                                             &count, peer, sizeof peer, &err);
        if (result == SOCKET_AGAIN) break;
        if (result != SOCKET_DONE) {
            tally->fault = err;
            break;
        }
        tally_bytes(tally, peer, MAX(count, (size_t)1));
        take(listener, (Text){listener->buffer, count});
    }
    flush_soon(listener);
}

static void graphite_udp_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    (void)readable, (void)writable, (void)hung_up;
    Listener *listener = (Listener *)(void *)((char *)source - offsetof(Listener, graphite_udp));
    datagrams_take(listener, source->socket, &listener->of_graphite, graphite_datagram);
}

static void statsd_udp_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    (void)readable, (void)writable, (void)hung_up;
    Listener *listener = (Listener *)(void *)((char *)source - offsetof(Listener, statsd_udp));
    datagrams_take(listener, source->socket, &listener->of_statsd, statsd_datagram);
}

// ---- Connections of Graphite ----

static void connection_close(Connection *connection) {
    Listener *listener = connection->listener;
    loop_unwatch(listener->loop, &connection->source);
    loop_disarm(listener->loop, &connection->idle_timer);
    socket_close(&connection->source.socket);
    Connection *last = listener->connections.at[--listener->connections.count];
    listener->connections.at[connection->index] = last;
    last->index = connection->index;
    builder_free(&connection->line);
    memory_free(connection);
}

// The last line may lack its line break.
static void connection_end(Connection *connection) {
    if (!connection->skipping && connection->line.len > 0)
        graphite_take(connection->listener, builder_text(&connection->line));
    flush_soon(connection->listener);
    connection_close(connection);
}

static void connection_take(Connection *connection, Text bytes) {
    while (bytes.len > 0) {
        ptrdiff_t end = text_find_char(bytes, '\n');
        Text piece = end < 0 ? bytes : text_slice(bytes, 0, (size_t)end);
        bytes = text_slice(bytes, piece.len + (end >= 0), bytes.len);
        bool too_long = (int64_t)(connection->line.len + piece.len) > LIMIT_LISTEN_LINE_BYTES;
        if (too_long && !connection->skipping) {
            connection->skipping = true;
            connection->listener->graphite_lines++;
            connection->listener->graphite_refused++;
            error_set(&connection->listener->of_graphite.fault, ERROR_TOO_LARGE,
                      "a line of more than %lld bytes (limit LISTEN_LINE_BYTES)",
                      (long long)LIMIT_LISTEN_LINE_BYTES);
        }
        if (!connection->skipping && end >= 0 && connection->line.len == 0) {
            graphite_take(connection->listener, piece);
            continue;
        }
        if (!connection->skipping) builder_add(&connection->line, piece);
        if (end < 0) return;
        if (!connection->skipping)
            graphite_take(connection->listener, builder_text(&connection->line));
        connection->skipping = false;
        builder_clear(&connection->line);
    }
}

static void connection_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    (void)readable, (void)writable, (void)hung_up;
    Connection *connection = (Connection *)(void *)((char *)source - offsetof(Connection, source));
    Listener *listener = connection->listener;
    for (int i = 0; i < READS_PER_LOOK; i++) {
        size_t count;
        Error ignored;
        SocketResult result = socket_read(source->socket, listener->buffer, sizeof listener->buffer,
                                          &count, &ignored);
        if (result == SOCKET_AGAIN) break;
        if (result != SOCKET_DONE) {
            connection_end(connection);
            return;
        }
        connection->heard_ms = loop_now_ms(listener->loop);
        tally_bytes(&listener->of_graphite, connection->peer, count);
        connection_take(connection, (Text){listener->buffer, count});
        if (listener->rows.bytes.len >= FLUSH_BYTES) break;
    }
    flush_soon(listener);
}

// It is armed once for each time that passes without a word, not with every read.
static void connection_idle(WheelTimer *timer) {
    Connection *connection =
        (Connection *)(void *)((char *)timer - offsetof(Connection, idle_timer));
    Listener *listener = connection->listener;
    int64_t until_ms = connection->heard_ms + listener->options.graphite_idle_ms;
    if (until_ms > loop_now_ms(listener->loop)) {
        loop_arm(listener->loop, timer, until_ms);
        return;
    }
    // What has begun may be cut in the middle of its value, so it is no line.
    if (connection->line.len > 0 && !connection->skipping) {
        listener->graphite_lines++;
        listener->graphite_refused++;
        tally_bytes(&listener->of_graphite, connection->peer, 1);
        error_set(&listener->of_graphite.fault, ERROR_TIMEOUT,
                  "a line did not end before its sender was silent for %lld ms "
                  "(graphite.idle_timeout)",
                  (long long)listener->options.graphite_idle_ms);
    }
    flush_soon(listener);
    connection_close(connection);
}

static bool connection_open(Listener *listener, Socket socket, const char *peer) {
    Error err;
    Connection *connection = memory_new(Connection);
    connection->source = (LoopSource){socket, connection_ready};
    connection->listener = listener;
    connection->index = listener->connections.count;
    connection->heard_ms = loop_now_ms(listener->loop);
    connection->idle_timer.fire = connection_idle;
    memcpy(connection->peer, peer, PEER_BYTES);
    if (!loop_watch(listener->loop, &connection->source, true, false, &err)) {
        memory_free(connection);
        return false;
    }
    *array_add(&listener->connections) = connection;
    if (listener->options.graphite_idle_ms > 0)
        loop_arm(listener->loop, &connection->idle_timer,
                 connection->heard_ms + listener->options.graphite_idle_ms);
    return true;
}

static void accept_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    (void)readable, (void)writable, (void)hung_up;
    Listener *listener = (Listener *)(void *)((char *)source - offsetof(Listener, graphite_tcp));
    for (int i = 0; i < READS_PER_LOOK; i++) {
        Socket socket = SOCKET_NONE;
        char peer[PEER_BYTES] = {0};
        Error err;
        SocketResult result = socket_accept(source->socket, &socket, peer, sizeof peer, &err);
        if (result != SOCKET_DONE) return;
        bool full = (int64_t)listener->connections.count >= LIMIT_LISTEN_CONNECTIONS;
        if (full || !connection_open(listener, socket, peer)) {
            if (full) {
                error_set(&listener->of_graphite.fault, ERROR_TOO_MANY,
                          "a connection was refused: %lld are open (limit LISTEN_CONNECTIONS)",
                          (long long)LIMIT_LISTEN_CONNECTIONS);
            }
            socket_close(&socket);
        }
    }
}

// ---- Start and stop ----

static void run(void *context) {
    Listener *listener = context;
    Error err;
    if (!loop_run(listener->loop, &err))
        log_error("the listener of Graphite and StatsD has stopped", LOG_ERR(&err));
}

static bool open_graphite(Listener *listener, Error *err) {
    const Address *address = listener->options.graphite;
    if (address == NULL) return true;
    TRY(socket_listen(*address, false, &listener->graphite_tcp.socket, err));
    TRY(socket_port(listener->graphite_tcp.socket, &listener->graphite_port, err));
    Address same = *address;
    same.port = listener->graphite_port;  // where the kernel chose one
    TRY(socket_bind_datagrams(same, &listener->graphite_udp.socket, err));
    listener->graphite_tcp.ready = accept_ready;
    listener->graphite_udp.ready = graphite_udp_ready;
    return loop_watch(listener->loop, &listener->graphite_tcp, true, false, err) &&
           loop_watch(listener->loop, &listener->graphite_udp, true, false, err);
}

static bool open_statsd(Listener *listener, Error *err) {
    const ListenOptions *options = &listener->options;
    if (options->statsd == NULL) return true;
    StatsdOptions statsd = {.hash_key = options->hash_key,
                            .native = options->statsd_native,
                            .expires_ms = options->statsd_expires_ms};
    listener->statsd = statsd_new(&statsd);
    TRY(socket_bind_datagrams(*options->statsd, &listener->statsd_udp.socket, err));
    TRY(socket_port(listener->statsd_udp.socket, &listener->statsd_port, err));
    listener->statsd_udp.ready = statsd_udp_ready;
    listener->statsd_timer.fire = statsd_fire;
    statsd_arm(listener);
    return loop_watch(listener->loop, &listener->statsd_udp, true, false, err);
}

bool listener_start(const ListenOptions *options, Listener **out, Error *err) {
    AUTO(listener_stop) Listener *listener = memory_new(Listener);
    listener->options = *options;
    listener->graphite_tcp.socket = listener->graphite_udp.socket = SOCKET_NONE;
    listener->statsd_udp.socket = SOCKET_NONE;
    listener->of_graphite.protocol = TEXT("Graphite");
    listener->of_statsd.protocol = TEXT("StatsD");
    listener->flush_timer.fire = flush_fire;
    listener->sender = ingest_sender_new();
    TRY(loop_open(options->clock, &listener->loop, err));
    if (!open_graphite(listener, err)) return error_context(err, "graphite.listen");
    if (!open_statsd(listener, err)) return error_context(err, "statsd.listen");
    TRY(thread_start("listen", run, listener, &listener->thread, err));
    *out = TAKE(listener);
    return true;
}

void listener_stop(Listener **handle) {
    if (*handle == NULL) return;
    Listener *listener = TAKE(*handle);
    if (listener->loop != NULL) loop_stop(listener->loop);
    bool ran = listener->thread != NULL;
    thread_join(&listener->thread);
    if (ran && listener->statsd != NULL) statsd_tell(listener);
    if (ran) flush(listener);
    while (listener->connections.count > 0) connection_close(listener->connections.at[0]);
    socket_close(&listener->graphite_tcp.socket);
    socket_close(&listener->graphite_udp.socket);
    socket_close(&listener->statsd_udp.socket);
    loop_close(&listener->loop);
    array_free(&listener->connections);
    graphite_reader_free(&listener->graphite);
    statsd_free(&listener->statsd);
    write_body_free(&listener->rows);
    ingest_sender_free(&listener->sender);
    memory_free(listener);
}

uint16_t listener_graphite_port(const Listener *listener) {
    return listener->graphite_port;
}

uint16_t listener_statsd_port(const Listener *listener) {
    return listener->statsd_port;
}
