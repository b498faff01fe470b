// A connection: its socket, what it waits for, and its output. What the bytes mean is the
// protocol's.

#include "net/http_connection.h"

#include "base/memory.h"

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

// An answer is being made or sent: it comes to its end first, by limits of its own.
static bool is_answering(const HttpConnection *c) {
    return c->protocol->owes(c) || http_connection_has_output(c);
}

// Deadlines move with every request; the wheel is only touched when one comes nearer.
void http_connection_deadline(HttpConnection *c, int64_t deadline_ms) {
    if (c->stranger && !is_answering(c)) deadline_ms = MIN(deadline_ms, c->stranger_end_ms);
    c->deadline_ms = deadline_ms;
    if (deadline_ms == INT64_MAX) return;
    if (!wheel_is_armed(&c->timer) || c->timer.deadline_ms > deadline_ms)
        loop_arm(c->loop->loop, &c->timer, deadline_ms);
}

void http_connection_interest(HttpConnection *c, bool read, bool write) {
    // What the transport holds already, no poller tells of.
    if (read && transport_has_more(&c->transport)) c->may_read = true;
    if (c->watch_read == read && c->watch_write == write) return;
    Error err = {0};
    // A poller that cannot change a registered socket has no memory: nothing to do but be woken for
    // nothing.
    if (!loop_rewatch(c->loop->loop, &c->source, read, write, &err)) return;
    c->watch_read = read;
    c->watch_write = write;
}

static void stranger_begin(HttpConnection *c) {
    HttpLoop *loop = c->loop;
    c->stranger = true;
    c->stranger_end_ms = http_connection_now_ms(c) + http_connection_limits(c)->stranger_time_ms;
    c->stranger_older = loop->stranger_newest;
    *(c->stranger_older != NULL ? &c->stranger_older->stranger_newer : &loop->stranger_oldest) = c;
    loop->stranger_newest = c;
    loop->stranger_count++;
    http_count(&loop->strangers, 1);
}

void http_connection_known(HttpConnection *c) {
    HttpLoop *loop = c->loop;
    if (!c->stranger) return;
    c->stranger = false;
    *(c->stranger_older != NULL ? &c->stranger_older->stranger_newer : &loop->stranger_oldest) =
        c->stranger_newer;
    *(c->stranger_newer != NULL ? &c->stranger_newer->stranger_older : &loop->stranger_newest) =
        c->stranger_older;
    loop->stranger_count--;
    http_count(&loop->strangers, -1);
}

// The oldest has had the longest time to say who it is; who does so at once is never the oldest for
// long. Those that a handler works for stay.
void http_connection_evict(HttpLoop *loop) {
    for (HttpConnection *c = loop->stranger_oldest; c != NULL; c = c->stranger_newer) {
        if (c->lost || c->protocol->owes(c)) continue;
        http_count(&loop->strangers_evicted, 1);
        http_connection_free(c);
        return;
    }
}

static int64_t taken(const HttpConnection *c) {
    return c->written - socket_unsent(c->source.socket);
}

static void begin_window(HttpConnection *c) {
    const HttpLimits *limits = http_connection_limits(c);
    c->window_end_ms = http_connection_now_ms(c) + limits->answer_window_ms;
    c->window_taken_min = taken(c) + limits->answer_rate_min * limits->answer_window_ms / 1000;
}

void http_connection_await_writing(HttpConnection *c) {
    http_connection_interest(c, false, true);
    if (c->window_end_ms == 0) begin_window(c);
    http_connection_deadline(c, c->window_end_ms);
}

bool http_connection_too_slow(HttpConnection *c) {
    if (http_connection_now_ms(c) < c->window_end_ms) return false;
    if (taken(c) < c->window_taken_min) {
        http_count(&c->loop->readers_cut, 1);
        c->reader_cut = true;
        return true;
    }
    begin_window(c);
    http_connection_deadline(c, c->window_end_ms);
    return false;
}

static void end_socket(HttpConnection *c) {
    if (c->source.socket.fd >= 0) {
        loop_unwatch(c->loop->loop, &c->source);
        transport_end(&c->transport);
        if (c->reader_cut) {
            socket_abort(&c->source.socket);
        } else {
            socket_close(&c->source.socket);
        }
    }
    loop_disarm(c->loop->loop, &c->timer);
}

void http_connection_free(HttpConnection *c) {
    HttpLoop *loop = c->loop;
    c->protocol->free(c);
    http_connection_known(c);
    http_quota_give(loop->server->quota, c->quota);
    end_socket(c);
    builder_free(&c->out);
    *c->link = c->next;
    if (c->next != NULL) c->next->link = c->link;
    memory_free(c);
    http_loop_connection_ended(loop);
}

void http_connection_close(HttpConnection *c) {
    if (c->lost) return;
    if (!c->protocol->owes(c)) {
        http_connection_free(c);
        return;
    }
    end_socket(c);
    c->lost = true;
    c->protocol->lost(c);
}

bool http_connection_read(HttpConnection *c, uint8_t *into, size_t space, size_t *count) {
    Error err = {0};
    bool empty = false;
    *count = 0;
    TransportResult result = transport_read(&c->transport, into, space, count, &empty, &err);
    // Without an error it is an orderly end. Under TLS nobody ends one direction alone.
    bool ended = result == TRANSPORT_CLOSED && err.code == ERROR_NONE && c->transport.tls == NULL;
    if (ended && c->may_half_close) {
        c->half_closed = true;
        c->may_read = false;
        return true;
    }
    if (result == TRANSPORT_CLOSED || result == TRANSPORT_FAILED) {
        http_connection_close(c);
        return false;
    }
    if (empty) c->may_read = false;
    c->read_wants_write = result == TRANSPORT_AGAIN && c->transport.wants_write;
    if (c->read_wants_write) http_connection_interest(c, c->watch_read, true);
    if (--c->reads_left <= 0 && !transport_has_more(&c->transport)) c->may_read = false;
    http_count(&c->loop->bytes_in, (int64_t)*count);
    return true;
}

bool http_connection_flush(HttpConnection *c) {
    while (http_connection_has_output(c)) {
        SocketPart parts[] = {
            {c->out.at == NULL ? "" : c->out.at + c->out_at, c->out.len - c->out_at},
            {c->tail.at, c->tail.len}};
        size_t count = 0;
        Error err = {0};
        TransportResult result = transport_write(&c->transport, parts, COUNT(parts), &count, &err);
        if (result == TRANSPORT_AGAIN) break;
        if (result != TRANSPORT_DONE) {
            http_connection_close(c);
            return false;
        }
        http_count(&c->loop->bytes_out, (int64_t)count);
        size_t of_out = MIN(count, c->out.len - c->out_at);
        c->out_at += of_out;
        c->tail = text_slice(c->tail, count - of_out, c->tail.len);
        c->written += (int64_t)count;
    }
    if (!http_connection_has_output(c)) c->window_end_ms = 0;
    if (c->out_at == c->out.len) {
        c->out_at = 0;
        if (c->out.capacity > HTTP_OUT_MAX * 2) {
            builder_free(&c->out);
        } else {
            builder_clear(&c->out);
        }
    } else if (c->out_at >= HTTP_OUT_MAX && c->out_at >= c->out.len - c->out_at) {
        // Who always takes some but never all would else make it hold everything ever sent.
        c->out.len -= c->out_at;
        memmove(c->out.at, c->out.at + c->out_at, c->out.len);
        c->out_at = 0;
    }
    return true;
}

static void on_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    HttpConnection *c = container_of(source, HttpConnection, source);
    // Both directions are dead. Who waits for an answer is told; a state that neither reads nor
    // writes now would be called for ever.
    if (hung_up && (c->protocol->owes(c) || (!c->watch_read && !c->watch_write))) {
        http_connection_close(c);
        return;
    }
    c->reads_left = HTTP_READS_PER_EVENT;
    if (readable && c->watch_read) c->may_read = true;
    if (writable && c->read_wants_write) {
        c->read_wants_write = false;
        c->may_read = true;
        http_connection_interest(c, c->watch_read, http_connection_has_output(c));
    }
    c->protocol->run(c);
}

static void on_timer(WheelTimer *timer) {
    HttpConnection *c = container_of(timer, HttpConnection, timer);
    if (c->deadline_ms == INT64_MAX) return;
    if (c->deadline_ms > http_connection_now_ms(c)) {
        http_connection_deadline(c, c->deadline_ms);
        return;
    }
    if (c->stranger && c->stranger_end_ms <= http_connection_now_ms(c) && !is_answering(c)) {
        http_count(&c->loop->strangers_expired, 1);
        http_connection_free(c);
        return;
    }
    c->protocol->timer(c);
}

void http_connection_drain(HttpConnection *c) {
    if (!c->lost) c->protocol->drain(c);
}

void http_connection_begin(HttpLoop *loop, Socket socket, const char *peer, HttpQuotaEntry *quota,
                           const char *refusal) {
    HttpConnection *c = memory_new(HttpConnection);
    c->loop = loop;
    c->source = (LoopSource){socket, on_ready};
    TlsServer *tls = loop->server->options.tls;
    transport_begin(&c->transport, socket,
                    tls != NULL ? tls_stream_accept(tls, loop->index, socket) : NULL);
    c->timer.fire = on_timer;
    c->quota = quota;
    c->deadline_ms = INT64_MAX;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    c->reads_left = 1;
    c->watch_read = true;
    c->next = loop->connections;
    c->link = &loop->connections;
    if (c->next != NULL) c->next->link = &c->next;
    loop->connections = c;
    stranger_begin(c);
    if (tls != NULL) {
        http_handshake_begin(c);
    } else {
        http1_begin(c);
    }
    Error err = {0};
    // Under TLS a refusal would cost a handshake: too much for one connection too many.
    bool turned_away = refusal != NULL && tls != NULL;
    if (turned_away || !loop_watch(loop->loop, &c->source, true, false, &err)) {
        http_connection_free(c);
        return;
    }
    if (refusal != NULL) {
        http1_refuse(c, 503, refusal);
    } else {
        // The request often came with the connection.
        c->may_read = true;
    }
    c->protocol->run(c);
}
