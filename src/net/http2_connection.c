// HTTP/2 on a connection: bytes from the transport into a session, and back.
//
// The session knows what is allowed and how long; here are the socket, its interest and its end:
//
//   read ─> http2_feed ─┬─> http2_output ─> out ─> flush ─> http2_is_over? ─> LINGER ─> closed
//   tick ───────────────┤
//   an answer came ─────┘                    lost: http2_abandon, freed once nothing is owed

#include "net/http2.h"

#include "net/http_connection.h"

static void run(HttpConnection *c);

// ---- What the session calls ----

static void output_waits(void *context) {
    HttpConnection *c = context;
    if (c->lost) return;
    c->reads_left = HTTP_READS_PER_EVENT;
    run(c);
}

static void quiet(void *context) {
    http_connection_free(context);
}

// ---- Steps ----

static int64_t session_deadline(const HttpConnection *c) {
    int64_t deadline_ms = http2_next_deadline(c->http2);
    return c->window_end_ms > 0 ? MIN(deadline_ms, c->window_end_ms) : deadline_ms;
}

// All output that the socket takes. False: the connection ended.
static bool write_all(HttpConnection *c) {
    for (;;) {
        while (c->out.len - c->out_at < HTTP_OUT_MAX && http2_output(c->http2, &c->out)) {
        }
        if (!http_connection_has_output(c)) return true;
        if (!http_connection_flush(c)) return false;
        if (http_connection_has_output(c)) return true;
    }
}

// Our side ends; theirs is read to its end, so that they see what we said last.
static void begin_linger(HttpConnection *c) {
    c->lingering = true;
    transport_shut(&c->transport);
    c->may_read = true;
    http_connection_interest(c, true, false);
    http_connection_deadline(
        c, http_connection_now_ms(c) + (c->loop->draining ? HTTP_LINGER_DRAIN_MS : HTTP_LINGER_MS));
}

// False: there is nothing more to do now, or the connection ended.
static bool read_some(HttpConnection *c) {
    UNFILLED uint8_t piece[16 * KB];
    size_t count;
    if (!http_connection_read(c, piece, sizeof piece, &count)) return false;
    if (count == 0 || c->lingering || http2_is_over(c->http2)) return true;
    Error err = {0};
    // Why it is over was said to the client, and counted.
    (void)!http2_feed(c->http2, (Bytes){piece, count}, &err);
    if (c->stranger && http2_is_known(c->http2)) http_connection_known(c);
    return true;
}

static void run(HttpConnection *c) {
    for (;;) {
        if (!c->lingering) {
            if (!write_all(c)) return;
            if (!http_connection_has_output(c) && http2_is_over(c->http2)) begin_linger(c);
        }
        // Who does not take what it asked for is not asked for more.
        bool blocked = http_connection_has_output(c) && c->out.len - c->out_at >= HTTP_OUT_MAX;
        if (!c->may_read || blocked) break;
        if (!read_some(c)) return;
    }
    if (c->lingering) return;
    bool writing = http_connection_has_output(c);
    if (writing) http_connection_await_writing(c);
    bool full = writing && c->out.len - c->out_at >= HTTP_OUT_MAX;
    http_connection_interest(c, !full, writing);
    http_connection_deadline(c, session_deadline(c));
}

static void on_timer(HttpConnection *c) {
    if (c->lingering) {
        http_connection_close(c);
        return;
    }
    if (c->window_end_ms > 0 && http_connection_too_slow(c)) {
        http_connection_close(c);
        return;
    }
    http2_tick(c->http2, http_connection_now_ms(c));
    run(c);
}

static void on_drain(HttpConnection *c) {
    if (c->lingering) return;
    http2_drain(c->http2);
    c->reads_left = HTTP_READS_PER_EVENT;
    run(c);
}

static bool owes(const HttpConnection *c) {
    return http2_owed(c->http2) > 0;
}

static void on_lost(HttpConnection *c) {
    http2_abandon(c->http2);
    if (http2_owed(c->http2) == 0) http_connection_free(c);
}

static void on_free(HttpConnection *c) {
    http2_free(&c->http2);
}

static const HttpProtocol http2_protocol = {run, on_timer, on_drain, owes, on_lost, on_free};

void http2_connection_begin(HttpConnection *c, Bytes first) {
    HttpLoop *loop = c->loop;
    Http2Host host = {
        .service = &loop->service,
        .bodies = &loop->bodies,
        .counters = &loop->http2,
        .refused = &loop->refused,
        .peer = text_from_cstring(c->peer),
        .context = c,
        .output_waits = output_waits,
        .quiet = quiet,
    };
    c->protocol = &http2_protocol;
    c->http2 = http2_begin(&host);
    Error err = {0};
    if (first.len > 0) (void)!http2_feed(c->http2, first, &err);
    if (c->stranger && http2_is_known(c->http2)) http_connection_known(c);
    if (loop->draining) http2_drain(c->http2);
    c->may_read = true;
}
