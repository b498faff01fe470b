// HTTP/1.1 as a state machine: each step does one thing and says whether to go on.
//
//          ┌────────────────────────── next request ──────────────────────────┐
//          v                                                                  │
//   HEAD ─> (on_head) ─> BODY / CHUNKS ─> (on_request) ─> WAIT ─> ANSWER ─> (STREAM) ─> WRITE
//                  └──── refused ──> DISCARD ─────────────────────^           │
//                                                          close: LINGER <────┘
//
// Reading happens only in the states that want bytes; in WAIT and WRITE the peer is left to wait.

#include "net/http1.h"

#include "base/assert.h"
#include "base/memory.h"
#include "net/http_connection.h"
#include "net/http_stream.h"

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

// What belongs to one request ends; the connection and its buffers stay.
static void end_exchange(HttpConnection *c) {
    Http1 *h = &c->http1;
    http_turn_end(&h->turn);
    c->tail = TEXT_NONE;
    h->discarded = false;
    http_pool_give(&c->loop->bodies, &h->body, HTTP_POOL_BODY_MAX);
    h->body_len = 0;
    h->parser = (HttpHeadParser){0};
    h->input_from = h->input_used;
    if (h->input_from == h->input_len) h->input_from = h->input_used = h->input_len = 0;
    h->head_begin_ms = http_connection_now_ms(c);
}

// From here to `resume` once everything is written.
static bool go_write(HttpConnection *c, Http1State resume) {
    Http1 *h = &c->http1;
    h->state = HTTP1_WRITE;
    h->resume = resume;
    c->deadline_ms = INT64_MAX;
    return true;
}

static bool step_write(HttpConnection *c) {
    Http1 *h = &c->http1;
    if (!http_connection_flush(c)) return false;
    if (http_connection_has_output(c)) {
        http_connection_await_writing(c);
        return false;
    }
    http_connection_interest(c, true, false);
    h->state = h->resume;
    if (h->state == HTTP1_HEAD && h->turn.answered) end_exchange(c);
    if (h->state == HTTP1_LINGER) {
        transport_shut(&c->transport);
        c->may_read = true;
        http_connection_deadline(c,
                                 http_connection_now_ms(c) +
                                     (c->loop->draining ? HTTP_LINGER_DRAIN_MS : HTTP_LINGER_MS));
    }
    return true;
}

// Our own answer: what is wrong, and the end of the connection.
static bool refuse(HttpConnection *c, int status, const char *reason) {
    Http1 *h = &c->http1;
    http_turn_drop(&h->turn);
    http_count(&c->loop->refused, 1);
    http1_answer_refusal(status, reason, &c->out);
    h->closing = true;
    return go_write(c, HTTP1_LINGER);
}

static void give_input(HttpConnection *c) {
    Http1 *h = &c->http1;
    budget_release(&c->loop->server->stranger_heads, h->input_charged);
    h->input_charged = 0;
    http_pool_give(&c->loop->inputs, &h->input, HTTP_INPUT_BYTES);
    h->input_from = h->input_used = h->input_len = 0;
}

static void become_known(HttpConnection *c) {
    budget_release(&c->loop->server->stranger_heads, c->http1.input_charged);
    c->http1.input_charged = 0;
    http_connection_known(c);
}

// The first 32 KiB are everybody's; what a stranger needs beyond comes out of a common purse.
static bool charge_input(HttpConnection *c, size_t capacity) {
    Http1 *h = &c->http1;
    if (!c->stranger || capacity <= HTTP1_STRANGER_INPUT) return true;
    int64_t more = (int64_t)capacity - h->input_charged;
    if (!budget_reserve(&c->loop->server->stranger_heads, more, NULL)) return false;
    h->input_charged += more;
    return true;
}

// Room for more of a head: move it to the front, or grow with what was really sent. False: there is
// no memory for it.
static bool make_room(HttpConnection *c, size_t room) {
    Http1 *h = &c->http1;
    if (h->input.at == NULL) {
        http_pool_take(&c->loop->inputs, HTTP_INPUT_BYTES, &h->input);
    }
    if (h->input.capacity - h->input_len >= room) return true;
    if (h->input_from > 0) {
        memmove(h->input.at, h->input.at + h->input_from, h->input_len - h->input_from);
        h->input_len -= h->input_from;
        h->input_used -= h->input_from;
        h->input_from = 0;
        if (h->input.capacity - h->input_len >= room) return true;
    }
    size_t capacity = h->input.capacity < 24 * KB ? 24 * KB : h->input.capacity * 2;
    while (capacity - h->input_len < room) capacity *= 2;
    if (!charge_input(c, capacity)) return false;
    h->input.at = memory_resize(h->input.at, capacity);
    h->input.capacity = capacity;
    return true;
}

static bool refuse_room(HttpConnection *c) {
    return refuse(c, 503, "Strangers send too many long requests (HTTP_STRANGER_HEADS_BYTES).");
}

static bool read_input(HttpConnection *c) {
    Http1 *h = &c->http1;
    // What begin_exchange will want stays free, so that it need not grow for a body's first bytes.
    if (!make_room(c, 1 + HTTP1_INPUT_SPARE)) return refuse_room(c);
    if (h->input_from == h->input_len) h->head_begin_ms = http_connection_now_ms(c);
    size_t count, room = h->input.capacity - h->input_len - HTTP1_INPUT_SPARE;
    if (!http_connection_read(c, h->input.at + h->input_len, room, &count)) return false;
    h->input_len += count;
    return true;
}

// Calls the handler with the whole body; the answer is there afterwards or comes later.
static bool run_request(HttpConnection *c) {
    Http1 *h = &c->http1;
    h->state = HTTP1_WAIT;
    http_turn_request(&h->turn);
    if (h->turn.answered) h->state = HTTP1_ANSWER;
    return true;
}

// on_head said no. A small body is read and dropped so that the connection can go on.
static bool run_refused(HttpConnection *c) {
    Http1 *h = &c->http1;
    const HttpHead *head = &h->turn.exchange.head;
    int64_t here = (int64_t)(h->input_len - h->input_used);
    h->discarded = head->chunked || head->content_length > 0;
    bool can_skip = h->turn.answered && !head->chunked &&
                    head->content_length <= HTTP1_DISCARD_MAX &&
                    (!head->expect_continue || head->content_length <= here);
    if (can_skip) {
        int64_t skip = MIN(here, head->content_length);
        h->input_used += (size_t)skip;
        h->discard_left = head->content_length - skip;
        h->state = h->discard_left > 0 ? HTTP1_DISCARD : HTTP1_ANSWER;
        http_connection_deadline(
            c, http_connection_now_ms(c) + http_connection_limits(c)->header_time_ms);
        return true;
    }
    h->closing = h->closing || head->chunked || head->content_length > 0;
    h->state = h->turn.answered ? HTTP1_ANSWER : HTTP1_WAIT;
    return true;
}

static bool begin_body(HttpConnection *c) {
    Http1 *h = &c->http1;
    const HttpHead *head = &h->turn.exchange.head;
    size_t here = h->input_len - h->input_used;
    if (!head->chunked && head->content_length <= (int64_t)here) {
        h->turn.exchange.body = (Bytes){h->input.at + h->input_used, (size_t)head->content_length};
        h->input_used += (size_t)head->content_length;
        return run_request(c);
    }
    if (!head->chunked) {
        Error err = {0};
        if (!http_pool_reserve(&c->loop->bodies, (size_t)head->content_length, &h->body, &err)) {
            return refuse(c, 503, "There is no memory for this body now.");
        }
        memcpy(h->body.at, h->input.at + h->input_used, here);
        h->body_len = here;
        h->input_used = h->input_len;
    }
    h->chunks = (HttpChunks){0};
    h->window_bytes = 0;
    h->window_end_ms = http_connection_now_ms(c) + http_connection_limits(c)->body_window_ms;
    http_connection_deadline(c, h->window_end_ms);
    Http1State next = head->chunked ? HTTP1_CHUNKS : HTTP1_BODY;
    h->state = next;
    if (head->expect_continue && here == 0) {
        builder_add(&c->out, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
        go_write(c, next);
        http_connection_deadline(c, h->window_end_ms);
    }
    return true;
}

static bool begin_exchange(HttpConnection *c) {
    Http1 *h = &c->http1;
    if (!make_room(c, HTTP1_INPUT_SPARE)) return refuse_room(c);
    Bytes bytes = {h->input.at + h->input_from, h->input_len - h->input_from};
    HttpExchange *exchange = &h->turn.exchange;
    if (!http_head_view(&h->parser, bytes, &h->arena, &exchange->head)) {
        return refuse(c, h->parser.refusal.status, h->parser.refusal.reason);
    }
    h->input_used = h->input_from + h->parser.head_len;
    h->requests++;
    h->closing =
        !exchange->head.keep_alive || h->requests >= http_connection_limits(c)->keep_alive_requests;
    if (!http_turn_head(&h->turn)) return run_refused(c);
    if (!exchange->anonymous) become_known(c);
    if (exchange->head.content_length > exchange->body_bytes_max) {
        return refuse(c, 413, "The body is too large (HTTP_BODY_BYTES).");
    }
    return begin_body(c);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// A client that begins with HTTP/2's preface (RFC 9113 3.4, prior knowledge) speaks it from there
// on. True: it does, and the connection is HTTP/2's (or gone).
static bool became_http2(HttpConnection *c) {
    Http1 *h = &c->http1;
    size_t len = h->input_len - h->input_from;
    bool begins = h->requests == 0 && h->input_from == 0 && len >= sizeof preface - 1 &&
                  memcmp(h->input.at, preface, sizeof preface - 1) == 0 &&
                  transport_protocol(&c->transport) != TLS_PROTOCOL_HTTP1;
    if (!begins) return false;
    HttpBuffer input = h->input;
    h->input = (HttpBuffer){0};
    http1_protocol.free(c);
    http2_connection_begin(c, (Bytes){input.at, len});
    http_pool_give(&c->loop->inputs, &input, HTTP_INPUT_BYTES);
    c->protocol->run(c);
    return true;
}

// The preface looks like a request with a body: "PRI * HTTP/2.0" and an empty line come first.
static bool may_be_preface(const Http1 *h) {
    size_t len = h->input_len - h->input_from;
    return h->requests == 0 && h->input_from == 0 && len < sizeof preface - 1 &&
           memcmp(h->input.at, preface, len) == 0;
}

static bool step_head(HttpConnection *c) {
    Http1 *h = &c->http1;
    bool has_bytes = h->input_len > h->input_from;
    if (has_bytes && became_http2(c)) return false;
    if (has_bytes && !may_be_preface(h)) {
        Bytes bytes = {h->input.at + h->input_from, h->input_len - h->input_from};
        HttpProgress progress =
            http_head_parse(&h->parser, bytes, &http_connection_limits(c)->parse);
        if (progress == HTTP_REFUSED)
            return refuse(c, h->parser.refusal.status, h->parser.refusal.reason);
        if (progress == HTTP_DONE) {
            if (c->out.len - c->out_at < HTTP_OUT_MAX) return begin_exchange(c);
            // Many pipelined answers: they go out first. The parser is asked again afterwards.
            h->parser = (HttpHeadParser){0};
            return go_write(c, HTTP1_HEAD);
        }
    }
    if (c->may_read) return read_input(c);
    if (http_connection_has_output(c)) return go_write(c, HTTP1_HEAD);
    if (!has_bytes) {
        if (c->loop->draining) {
            http_connection_free(c);
            return false;
        }
        give_input(c);
    }
    bool is_idle = !has_bytes && h->requests > 0;
    http_connection_deadline(
        c, is_idle ? http_connection_now_ms(c) + http_connection_limits(c)->idle_time_ms
                   : h->head_begin_ms + http_connection_limits(c)->header_time_ms);
    return false;
}

static bool step_body(HttpConnection *c) {
    Http1 *h = &c->http1;
    size_t want = (size_t)h->turn.exchange.head.content_length;
    if (h->body_len == want) {
        h->turn.exchange.body = (Bytes){h->body.at, h->body_len};
        return run_request(c);
    }
    if (!c->may_read) return false;
    size_t count;
    if (!http_connection_read(c, h->body.at + h->body_len, want - h->body_len, &count))
        return false;
    h->body_len += count;
    h->window_bytes += (int64_t)count;
    return true;
}

static bool add_to_body(HttpConnection *c, Bytes data, Error *err) {
    Http1 *h = &c->http1;
    size_t need = h->body_len + data.len;
    if (need > h->body.capacity) {
        size_t capacity = MAX(h->body.capacity * 2, need + 8 * KB);
        if (h->body.at == NULL) {
            TRY(http_pool_reserve(&c->loop->bodies, capacity, &h->body, err));
        } else {
            void *at = NULL;
            TRY(memory_reserve_again(h->body.at, capacity, &at, err));
            h->body = (HttpBuffer){at, capacity};
        }
    }
    memcpy(h->body.at + h->body_len, data.at, data.len);
    h->body_len = need;
    return true;
}

static bool step_chunks(HttpConnection *c) {
    Http1 *h = &c->http1;
    while (h->input_used < h->input_len) {
        size_t used;
        Bytes data;
        uint64_t room =
            (uint64_t)MAX(h->turn.exchange.body_bytes_max - (int64_t)h->body_len, (int64_t)0);
        Bytes input = {h->input.at + h->input_used, h->input_len - h->input_used};
        HttpProgress progress = http_chunks_parse(&h->chunks, input, room, &used, &data);
        h->input_used += used;
        if (progress == HTTP_REFUSED)
            return refuse(c, h->chunks.refusal.status, h->chunks.refusal.reason);
        Error err = {0};
        if (data.len > 0 && !add_to_body(c, data, &err))
            return refuse(c, 503, "There is no memory for this body now.");
        // Only the body counts as progress: frames of one byte per chunk are slow too.
        h->window_bytes += (int64_t)data.len;
        if (progress == HTTP_DONE) {
            h->turn.exchange.body = (Bytes){h->body.at, h->body_len};
            return run_request(c);
        }
    }
    // The head stays where its views point; what is behind it has been read and is used again.
    h->input_used = h->input_len = h->input_from + h->parser.head_len;
    if (!c->may_read) return false;
    size_t count;
    if (!http_connection_read(c, h->input.at + h->input_len, h->input.capacity - h->input_len,
                              &count))
        return false;
    h->input_len += count;
    return true;
}

static bool step_discard(HttpConnection *c) {
    Http1 *h = &c->http1;
    UNFILLED uint8_t scratch[8 * KB];
    if (h->discard_left == 0) {
        h->state = HTTP1_ANSWER;
        return true;
    }
    if (!c->may_read) return false;
    size_t count;
    if (!http_connection_read(c, scratch, (size_t)MIN((int64_t)sizeof scratch, h->discard_left),
                              &count))
        return false;
    h->discard_left -= (int64_t)count;
    return true;
}

// They have shut their sending side, or left: both look the same until something is sent. An
// interim answer, which HTTP/1.1 allows at any time (RFC 9110 15.2), tells: who left answers with a
// reset, and the poller says so. HTTP/1.0 knows no interim answers: its clients count as waiting.
static bool probe(HttpConnection *c) {
    if (c->http1.turn.exchange.head.version_minor > 0) {
        builder_add(&c->out, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
        if (!http_connection_flush(c)) return false;
    }
    http_connection_interest(c, false, http_connection_has_output(c));
    return false;
}

// Nothing is asked of the client while it waits, but its leaving is noticed.
static bool step_wait(HttpConnection *c) {
    Http1 *h = &c->http1;
    c->deadline_ms = INT64_MAX;
    if (http_connection_has_output(c)) {
        if (!http_connection_flush(c)) return false;
        http_connection_interest(c, c->watch_read, http_connection_has_output(c));
    }
    if (!c->may_read) return false;
    size_t space = h->input.capacity - h->input_len;
    if (space == 0) {
        http_connection_interest(c, false, c->watch_write);
        return false;
    }
    size_t count;
    c->may_half_close = true;
    bool open = http_connection_read(c, h->input.at + h->input_len, space, &count);
    if (!open) return false;
    c->may_half_close = false;
    if (c->half_closed && h->state == HTTP1_WAIT) return probe(c);
    h->input_len += count;
    c->may_read = false;
    // It sent the next request already: let it wait in the socket.
    if (count > 0) http_connection_interest(c, false, c->watch_write);
    return false;
}

// The 101 goes out, and what is behind the request is WebSocket's already. False, as the connection
// is not ours any more.
static bool become_websocket(HttpConnection *c) {
    Http1 *h = &c->http1;
    struct WebSocket *socket = h->turn.upgraded;
    builder_add(&c->out, TEXT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Accept: "));
    builder_add(&c->out, h->turn.upgrade_accept);
    builder_add(&c->out, TEXT("\r\n\r\n"));
    HttpBuffer input = h->input;
    Bytes first = {input.at + h->input_used, h->input_len - h->input_used};
    h->input = (HttpBuffer){0};
    h->turn.upgraded = NULL;
    http1_protocol.free(c);
    websocket_connection_begin(c, socket, first);
    http_pool_give(&c->loop->inputs, &input, HTTP_INPUT_BYTES);
    if (c->loop->draining) c->protocol->drain(c);
    c->protocol->run(c);
    return false;
}

static bool step_answer(HttpConnection *c) {
    Http1 *h = &c->http1;
    if (h->turn.upgraded != NULL) return become_websocket(c);
    h->closing = h->closing || h->turn.answer.close || c->loop->draining;
    if (h->turn.streaming && !http1_answer_is_chunked(&h->turn)) h->closing = true;
    Text body;
    http1_answer_write(&h->turn, h->closing, &c->out, &body);
    if (h->turn.streaming) {
        h->any_piece = false;
        h->state = HTTP1_STREAM;
        return true;
    }
    bool small = body.len <= HTTP1_SMALL_BODY;
    if (small) {
        builder_add(&c->out, body);
    } else {
        c->tail = body;
    }
    if (h->closing) return go_write(c, HTTP1_LINGER);
    if (!small) return go_write(c, HTTP1_HEAD);
    end_exchange(c);
    http_connection_interest(c, true, c->watch_write);
    h->state = HTTP1_HEAD;
    return true;
}

// Everything that was taken is written. False: the connection waits for more, or ended.
static bool end_stream(HttpConnection *c) {
    Http1 *h = &c->http1;
    bool chunked = http1_answer_is_chunked(&h->turn);
    if (!http_stream_is_whole(&h->turn)) {
        // A body that ends with its connection would look whole, if that ended in order.
        c->reader_cut = !chunked;
        http_connection_free(c);
        return false;
    }
    if (chunked) http1_answer_end(&h->turn, h->any_piece, &c->out);
    return go_write(c, h->closing ? HTTP1_LINGER : HTTP1_HEAD);
}

static bool step_stream(HttpConnection *c) {
    Http1 *h = &c->http1;
    bool chunked = http1_answer_is_chunked(&h->turn);
    for (;;) {
        if (!http_connection_flush(c)) return false;
        if (http_connection_has_output(c)) {
            http_connection_await_writing(c);
            return false;
        }
        if (!http_stream_take(&h->turn, &c->tail)) break;
        if (chunked) http1_answer_chunk(c->tail.len, !h->any_piece, &c->out);
        h->any_piece = true;
    }
    if (h->turn.answered) return end_stream(c);
    // Their leaving is noticed while the next piece is made.
    bool may_hear = h->input_len < h->input.capacity && !c->half_closed;
    http_connection_interest(c, may_hear, false);
    return step_wait(c);
}

static bool step_linger(HttpConnection *c) {
    Http1 *h = &c->http1;
    // They asked for the end and we read all they sent: nothing can be coming that close() would
    // answer with a reset, which could overtake our answer.
    bool clean = h->turn.answered && h->input_used == h->input_len &&
                 !h->turn.exchange.head.keep_alive && !h->discarded;
    if (clean) {
        http_connection_free(c);
        return false;
    }
    UNFILLED uint8_t scratch[8 * KB];
    while (c->may_read) {
        size_t count;
        if (!http_connection_read(c, scratch, sizeof scratch, &count)) return false;
    }
    return false;
}

static void run(HttpConnection *c) {
    Http1 *h = &c->http1;
    bool go_on = true;
    while (go_on) {
        switch (h->state) {
            case HTTP1_HEAD:
                go_on = step_head(c);
                break;
            case HTTP1_BODY:
                go_on = step_body(c);
                break;
            case HTTP1_CHUNKS:
                go_on = step_chunks(c);
                break;
            case HTTP1_DISCARD:
                go_on = step_discard(c);
                break;
            case HTTP1_WAIT:
                go_on = step_wait(c);
                break;
            case HTTP1_ANSWER:
                go_on = step_answer(c);
                break;
            case HTTP1_STREAM:
                go_on = step_stream(c);
                break;
            case HTTP1_WRITE:
                go_on = step_write(c);
                break;
            case HTTP1_LINGER:
                go_on = step_linger(c);
                break;
        }
    }
}

static void on_body_window(HttpConnection *c) {
    Http1 *h = &c->http1;
    const HttpLimits *limits = http_connection_limits(c);
    if (h->window_bytes * 1000 < limits->body_rate_min * limits->body_window_ms) {
        refuse(c, 408, "The body comes too slowly (HTTP_BODY_RATE_MIN).");
        run(c);
        return;
    }
    h->window_bytes = 0;
    h->window_end_ms = http_connection_now_ms(c) + limits->body_window_ms;
    http_connection_deadline(c, h->window_end_ms);
}

static void on_timer(HttpConnection *c) {
    Http1 *h = &c->http1;
    if (h->state == HTTP1_BODY || h->state == HTTP1_CHUNKS) {
        on_body_window(c);
    } else if (h->state == HTTP1_HEAD && h->input_len > h->input_from) {
        refuse(c, 408, "The request head comes too slowly (HTTP_HEADER_TIME_MS).");
        run(c);
    } else if ((h->state == HTTP1_WRITE || h->state == HTTP1_STREAM) && c->window_end_ms > 0 &&
               !http_connection_too_slow(c)) {
        return;
    } else if (h->state != HTTP1_WAIT) {
        http_connection_close(c);
    }
}

static void on_drain(HttpConnection *c) {
    if (c->http1.state != HTTP1_HEAD) return;
    // What has arrived but was not read yet is in flight: one look, then idle ones end.
    c->may_read = true;
    c->reads_left = 1;
    run(c);
}

static bool owes(const HttpConnection *c) {
    const Http1 *h = &c->http1;
    return h->state == HTTP1_WAIT || (h->state == HTTP1_STREAM && !h->turn.answered);
}

static void on_lost(HttpConnection *c) {
    http_turn_gone(&c->http1.turn);
    if (c->http1.turn.answered) http_connection_free(c);
}

static void on_free(HttpConnection *c) {
    Http1 *h = &c->http1;
    HttpExchange *exchange = &h->turn.exchange;
    http_turn_drop(&h->turn);
    if (h->turn.upgraded != NULL) websocket_lost(h->turn.upgraded);
    if (exchange->user_free != NULL) exchange->user_free(exchange->user);
    http_turn_end(&h->turn);
    give_input(c);
    http_pool_give(&c->loop->bodies, &h->body, HTTP_POOL_BODY_MAX);
    arena_free(&h->arena);
}

static void when_answered(HttpTurn *turn) {
    HttpConnection *c = container_of(turn, HttpConnection, http1.turn);
    if (c->lost) {
        if (turn->answered) http_connection_free(c);
        return;
    }
    if (c->http1.state != HTTP1_STREAM) {
        assert(c->http1.state == HTTP1_WAIT);
        c->http1.state = HTTP1_ANSWER;
    }
    c->reads_left = HTTP_READS_PER_EVENT;
    run(c);
}

void http1_refuse(HttpConnection *c, int status, const char *reason) {
    refuse(c, status, reason);
}

const HttpProtocol http1_protocol = {run, on_timer, on_drain, owes, on_lost, on_free};

void http1_begin(HttpConnection *c) {
    c->protocol = &http1_protocol;
    http_turn_begin(&c->http1.turn, &c->loop->service, &c->http1.arena, text_from_cstring(c->peer),
                    when_answered);
    c->http1.turn.may_upgrade = true;
    c->http1.head_begin_ms = http_connection_now_ms(c);
}
