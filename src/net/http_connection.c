// A connection: its socket, what it waits for, and its output. What the bytes mean is the
// protocol's.

#include "net/http_connection.h"

#include "base/memory.h"

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

// Deadlines move with every request; the wheel is only touched when one comes nearer.
void http_connection_deadline(HttpConnection *c, int64_t deadline_ms) {
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

static void end_socket(HttpConnection *c) {
    if (c->source.socket.fd >= 0) {
        loop_unwatch(c->loop->loop, &c->source);
        transport_end(&c->transport);
        socket_close(&c->source.socket);
    }
    loop_disarm(c->loop->loop, &c->timer);
}

void http_connection_free(HttpConnection *c) {
    HttpLoop *loop = c->loop;
    c->protocol->free(c);
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
    if (result == TRANSPORT_CLOSED || result == TRANSPORT_FAILED) {
        http_connection_close(c);
        return false;
    }
    if (empty) c->may_read = false;
    if (--c->reads_left <= 0 && !transport_has_more(&c->transport)) c->may_read = false;
    http_count(&c->loop->bytes_in, (int64_t)*count);
    return true;
}

bool http_connection_flush(HttpConnection *c, bool *moved) {
    *moved = false;
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
        *moved = *moved || count > 0;
    }
    if (c->out_at == c->out.len) {
        c->out_at = 0;
        if (c->out.capacity > HTTP_OUT_MAX * 2) {
            builder_free(&c->out);
        } else {
            builder_clear(&c->out);
        }
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
    c->protocol->run(c);
}

static void on_timer(WheelTimer *timer) {
    HttpConnection *c = container_of(timer, HttpConnection, timer);
    if (c->deadline_ms == INT64_MAX) return;
    if (c->deadline_ms > http_connection_now_ms(c)) {
        http_connection_deadline(c, c->deadline_ms);
        return;
    }
    c->protocol->timer(c);
}

void http_connection_drain(HttpConnection *c) {
    if (!c->lost) c->protocol->drain(c);
}

void http_connection_begin(HttpLoop *loop, Socket socket, const char *peer, bool over_limit) {
    HttpConnection *c = memory_new(HttpConnection);
    c->loop = loop;
    c->source = (LoopSource){socket, on_ready};
    transport_begin(&c->transport, socket);
    c->timer.fire = on_timer;
    c->deadline_ms = INT64_MAX;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    c->reads_left = 1;
    c->watch_read = true;
    c->next = loop->connections;
    c->link = &loop->connections;
    if (c->next != NULL) c->next->link = &c->next;
    loop->connections = c;
    loop->connection_count++;
    http1_begin(c);
    Error err = {0};
    if (!loop_watch(loop->loop, &c->source, true, false, &err)) {
        http_connection_free(c);
        return;
    }
    if (over_limit) {
        http1_refuse(c, 503, "There are too many connections (HTTP_CONNECTIONS).");
    } else {
        // The request often came with the connection.
        c->may_read = true;
    }
    c->protocol->run(c);
}
