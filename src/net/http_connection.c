// A connection as a state machine: each step does one thing and says whether to go on.
//
//          ┌────────────────────────── next request ──────────────────────────┐
//          v                                                                  │
//   HEAD ─> (on_head) ─> BODY / CHUNKS ─> (on_request) ─> WAIT ─> ANSWER ─> WRITE
//                  └──── refused ──> DISCARD ─────────────────────^           │
//                                                          close: LINGER <────┘
//
// Reading happens only in the states that want bytes; in WAIT and WRITE the peer is left to wait.

#include "net/http_connection.h"

#include "base/assert.h"
#include "base/memory.h"

void http_pool_take(HttpPool *pool, size_t capacity, HttpBuffer *out) {
    Error err = {0};
    bool ok = http_pool_reserve(pool, capacity, out, &err);
    if (!ok) *out = (HttpBuffer){memory_take(capacity), capacity};
}

bool http_pool_reserve(HttpPool *pool, size_t capacity, HttpBuffer *out, Error *err) {
    HttpBuffer buffer = {0};
    if (pool->count > 0) buffer = pool->at[--pool->count];
    if (buffer.capacity < capacity) {
        memory_free(buffer.at);
        void *at = NULL;
        TRY(memory_reserve(capacity, &at, err));
        buffer = (HttpBuffer){at, capacity};
    }
    *out = buffer;
    return true;
}

void http_pool_give(HttpPool *pool, HttpBuffer *buffer, size_t keep_max) {
    if (buffer->at != NULL && pool->count < HTTP_POOL_COUNT && buffer->capacity <= keep_max) {
        pool->at[pool->count++] = *buffer;
    } else {
        memory_free(buffer->at);
    }
    *buffer = (HttpBuffer){0};
}

void http_pool_free(HttpPool *pool) {
    while (pool->count > 0) memory_free(pool->at[--pool->count].at);
}

static const HttpLimits *limits_of(const HttpConnection *c) {
    return &c->loop->server->options.limits;
}

static const HttpHandler *handler_of(const HttpConnection *c) {
    return &c->loop->server->options.handler;
}

static int64_t now_ms(const HttpConnection *c) {
    return loop_now_ms(c->loop->loop);
}

// Deadlines move with every request; the wheel is only touched when one comes nearer.
static void set_deadline(HttpConnection *c, int64_t deadline_ms) {
    c->deadline_ms = deadline_ms;
    if (deadline_ms == INT64_MAX) return;
    if (!wheel_is_armed(&c->timer) || c->timer.deadline_ms > deadline_ms)
        loop_arm(c->loop->loop, &c->timer, deadline_ms);
}

static void set_interest(HttpConnection *c, bool read, bool write) {
    if (c->watch_read == read && c->watch_write == write) return;
    Error err = {0};
    // A poller that cannot change a registered socket has no memory: nothing to do but be woken for
    // nothing.
    if (!loop_rewatch(c->loop->loop, &c->source, read, write, &err)) return;
    c->watch_read = read;
    c->watch_write = write;
}

static void end_answer(HttpAnswer *answer) {
    builder_free(&answer->body);
    if (answer->budget != NULL) budget_release(answer->budget, answer->charged);
    answer->budget = NULL;
}

// What belongs to one request ends; the connection and its buffers stay.
static void end_exchange(HttpConnection *c) {
    end_answer(&c->answer);
    c->answer.text = c->tail = TEXT_NONE;
    c->answered = c->accepted = c->discarded = false;
    atomic_store(&c->answer_given, false);
    http_pool_give(&c->loop->bodies, &c->body, HTTP_POOL_BODY_MAX);
    c->body_len = 0;
    c->exchange.body = BYTES_NONE;
    c->exchange.state = NULL;
    c->parser = (HttpHeadParser){0};
    if (c->arena.bytes > 64 * KB) {
        arena_free(&c->arena);
    } else {
        arena_clear(&c->arena);
    }
    c->input_from = c->input_used;
    if (c->input_from == c->input_len) c->input_from = c->input_used = c->input_len = 0;
    c->head_begin_ms = now_ms(c);
}

static void drop_exchange(HttpConnection *c) {
    if (!c->accepted) return;
    c->accepted = false;
    if (handler_of(c)->on_drop != NULL)
        handler_of(c)->on_drop(handler_of(c)->context, &c->exchange);
}

static void connection_free(HttpConnection *c) {
    HttpLoop *loop = c->loop;
    drop_exchange(c);
    if (c->source.socket.fd >= 0) {
        loop_unwatch(loop->loop, &c->source);
        socket_close(&c->source.socket);
    }
    loop_disarm(loop->loop, &c->timer);
    if (c->exchange.user_free != NULL) c->exchange.user_free(c->exchange.user);
    http_pool_give(&loop->inputs, &c->input, HTTP_INPUT_BYTES);
    http_pool_give(&loop->bodies, &c->body, HTTP_POOL_BODY_MAX);
    builder_free(&c->answer.head);
    end_answer(&c->answer);
    builder_free(&c->out);
    arena_free(&c->arena);
    *c->link = c->next;
    if (c->next != NULL) c->next->link = c->link;
    memory_free(c);
    http_loop_connection_ended(loop);
}

// The client is gone while the handler works: say so, and keep the exchange until its answer comes.
static void connection_lost(HttpConnection *c) {
    loop_unwatch(c->loop->loop, &c->source);
    socket_close(&c->source.socket);
    loop_disarm(c->loop->loop, &c->timer);
    c->state = HTTP_STATE_GONE;
    atomic_store(&c->gone, true);
    if (!atomic_load(&c->answer_given) && handler_of(c)->on_gone != NULL) {
        c->in_handler = true;
        handler_of(c)->on_gone(handler_of(c)->context, &c->exchange);
        c->in_handler = false;
    }
    if (c->answered) connection_free(c);
}

void http_connection_close(HttpConnection *c) {
    if (c->state == HTTP_STATE_GONE) return;
    if (c->state == HTTP_STATE_WAIT) {
        connection_lost(c);
    } else {
        connection_free(c);
    }
}

// Writes what waits. False: the connection broke and is closed. All written when nothing waits
// after.
static bool flush(HttpConnection *c) {
    while (c->out_at < c->out.len || c->tail.len > 0) {
        SocketPart parts[] = {
            {c->out.at == NULL ? "" : c->out.at + c->out_at, c->out.len - c->out_at},
            {c->tail.at, c->tail.len}};
        size_t count = 0;
        Error err = {0};
        SocketResult result = socket_write(c->source.socket, parts, COUNT(parts), &count, &err);
        if (result == SOCKET_AGAIN) break;
        if (result != SOCKET_DONE) {
            http_connection_close(c);
            return false;
        }
        http_count(&c->loop->bytes_out, (int64_t)count);
        size_t of_out = MIN(count, c->out.len - c->out_at);
        c->out_at += of_out;
        c->tail = (Text){c->tail.at + (count - of_out), c->tail.len - (count - of_out)};
        if (count > 0 && c->state == HTTP_STATE_WRITE)
            set_deadline(c, now_ms(c) + limits_of(c)->idle_time_ms);
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

static bool has_output(const HttpConnection *c) {
    return c->out_at < c->out.len || c->tail.len > 0;
}

// From here to `resume` once everything is written.
static bool go_write(HttpConnection *c, HttpState resume) {
    c->state = HTTP_STATE_WRITE;
    c->resume = resume;
    c->deadline_ms = INT64_MAX;
    return true;
}

static bool step_write(HttpConnection *c) {
    if (!flush(c)) return false;
    if (has_output(c)) {
        set_interest(c, false, true);
        if (c->deadline_ms == INT64_MAX) set_deadline(c, now_ms(c) + limits_of(c)->idle_time_ms);
        return false;
    }
    set_interest(c, true, false);
    c->state = c->resume;
    if (c->state == HTTP_STATE_HEAD && c->answered) end_exchange(c);
    if (c->state == HTTP_STATE_LINGER) {
        socket_shut_write(c->source.socket);
        c->may_read = true;
        set_deadline(c, now_ms(c) + (c->loop->draining ? HTTP_LINGER_DRAIN_MS : HTTP_LINGER_MS));
    }
    return true;
}

// Our own answer: what is wrong, and the end of the connection.
static bool refuse(HttpConnection *c, int status, const char *reason) {
    drop_exchange(c);
    http_count(&c->loop->refused, 1);
    http_answer_refusal(status, reason, &c->out);
    c->closing = true;
    return go_write(c, HTTP_STATE_LINGER);
}

// One read; false: the connection ended. Less than asked for means that the socket is empty for
// now.
static bool read_some(HttpConnection *c, uint8_t *into, size_t space, size_t *count) {
    Error err = {0};
    *count = 0;
    SocketResult result = socket_read(c->source.socket, into, space, count, &err);
    if (result == SOCKET_CLOSED || result == SOCKET_FAILED) {
        http_connection_close(c);
        return false;
    }
    if (result == SOCKET_AGAIN || *count < space || --c->reads_left <= 0) c->may_read = false;
    http_count(&c->loop->bytes_in, (int64_t)*count);
    return true;
}

// Room for more of a head: move it to the front, or grow with what was really sent.
static void make_room(HttpConnection *c, size_t room) {
    if (c->input.at == NULL) {
        http_pool_take(&c->loop->inputs, HTTP_INPUT_BYTES, &c->input);
    }
    if (c->input.capacity - c->input_len >= room) return;
    if (c->input_from > 0) {
        memmove(c->input.at, c->input.at + c->input_from, c->input_len - c->input_from);
        c->input_len -= c->input_from;
        c->input_used -= c->input_from;
        c->input_from = 0;
        if (c->input.capacity - c->input_len >= room) return;
    }
    size_t capacity = c->input.capacity < 24 * KB ? 24 * KB : c->input.capacity * 2;
    while (capacity - c->input_len < room) capacity *= 2;
    c->input.at = memory_resize(c->input.at, capacity);
    c->input.capacity = capacity;
}

static bool read_input(HttpConnection *c) {
    make_room(c, 1);
    if (c->input_from == c->input_len) c->head_begin_ms = now_ms(c);
    size_t count;
    if (!read_some(c, c->input.at + c->input_len, c->input.capacity - c->input_len, &count))
        return false;
    c->input_len += count;
    return true;
}

// Calls the handler with the whole body; the answer is there afterwards or comes later.
static bool run_request(HttpConnection *c) {
    c->accepted = false;
    c->state = HTTP_STATE_WAIT;
    c->in_handler = true;
    handler_of(c)->on_request(handler_of(c)->context, &c->exchange);
    c->in_handler = false;
    if (c->answered) c->state = HTTP_STATE_ANSWER;
    return true;
}

// on_head said no. A small body is read and dropped so that the connection can go on.
static bool run_refused(HttpConnection *c) {
    const HttpHead *head = &c->exchange.head;
    int64_t here = (int64_t)(c->input_len - c->input_used);
    c->discarded = head->chunked || head->content_length > 0;
    bool can_skip = c->answered && !head->chunked && head->content_length <= HTTP_DISCARD_MAX &&
                    (!head->expect_continue || head->content_length <= here);
    if (can_skip) {
        int64_t skip = MIN(here, head->content_length);
        c->input_used += (size_t)skip;
        c->discard_left = head->content_length - skip;
        c->state = c->discard_left > 0 ? HTTP_STATE_DISCARD : HTTP_STATE_ANSWER;
        set_deadline(c, now_ms(c) + limits_of(c)->header_time_ms);
        return true;
    }
    c->closing = c->closing || head->chunked || head->content_length > 0;
    c->state = c->answered ? HTTP_STATE_ANSWER : HTTP_STATE_WAIT;
    return true;
}

static bool begin_body(HttpConnection *c) {
    const HttpHead *head = &c->exchange.head;
    size_t here = c->input_len - c->input_used;
    if (!head->chunked && head->content_length <= (int64_t)here) {
        c->exchange.body = (Bytes){c->input.at + c->input_used, (size_t)head->content_length};
        c->input_used += (size_t)head->content_length;
        return run_request(c);
    }
    if (!head->chunked) {
        Error err = {0};
        if (!http_pool_reserve(&c->loop->bodies, (size_t)head->content_length, &c->body, &err)) {
            return refuse(c, 503, "There is no memory for this body now.");
        }
        memcpy(c->body.at, c->input.at + c->input_used, here);
        c->body_len = here;
        c->input_used = c->input_len;
    }
    c->chunks = (HttpChunks){0};
    c->window_bytes = 0;
    c->window_end_ms = now_ms(c) + limits_of(c)->body_window_ms;
    set_deadline(c, c->window_end_ms);
    HttpState next = head->chunked ? HTTP_STATE_CHUNKS : HTTP_STATE_BODY;
    c->state = next;
    if (head->expect_continue && here == 0) {
        builder_add(&c->out, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
        go_write(c, next);
        set_deadline(c, c->window_end_ms);
    }
    return true;
}

static bool begin_exchange(HttpConnection *c) {
    make_room(c, HTTP_INPUT_SPARE);
    Bytes bytes = {c->input.at + c->input_from, c->input_len - c->input_from};
    HttpExchange *exchange = &c->exchange;
    if (!http_head_view(&c->parser, bytes, &c->arena, &exchange->head)) {
        return refuse(c, c->parser.refusal.status, c->parser.refusal.reason);
    }
    Clock *clock = c->loop->server->options.clock;
    c->input_used = c->input_from + c->parser.head_len;
    c->requests++;
    http_count(&c->loop->requests, 1);
    exchange->started_ns = clock->monotonic_ns(clock);
    exchange->body_bytes_max = limits_of(c)->body_bytes;
    exchange->body = BYTES_NONE;
    c->closing = !exchange->head.keep_alive || c->requests >= limits_of(c)->keep_alive_requests;
    bool accepted = true;
    if (handler_of(c)->on_head != NULL) {
        c->in_handler = true;
        accepted = handler_of(c)->on_head(handler_of(c)->context, exchange);
        c->in_handler = false;
    }
    if (!accepted || c->answered) return run_refused(c);
    c->accepted = true;
    if (exchange->head.content_length > exchange->body_bytes_max) {
        return refuse(c, 413, "The body is too large (HTTP_BODY_BYTES).");
    }
    return begin_body(c);
}

static bool step_head(HttpConnection *c) {
    bool has_bytes = c->input_len > c->input_from;
    if (has_bytes) {
        Bytes bytes = {c->input.at + c->input_from, c->input_len - c->input_from};
        HttpProgress progress = http_head_parse(&c->parser, bytes, &limits_of(c)->parse);
        if (progress == HTTP_REFUSED)
            return refuse(c, c->parser.refusal.status, c->parser.refusal.reason);
        if (progress == HTTP_DONE) {
            if (c->out.len - c->out_at < HTTP_OUT_MAX) return begin_exchange(c);
            // Many pipelined answers: they go out first. The parser is asked again afterwards.
            c->parser = (HttpHeadParser){0};
            return go_write(c, HTTP_STATE_HEAD);
        }
    }
    if (c->may_read) return read_input(c);
    if (has_output(c)) return go_write(c, HTTP_STATE_HEAD);
    if (!has_bytes) {
        if (c->loop->draining) {
            connection_free(c);
            return false;
        }
        http_pool_give(&c->loop->inputs, &c->input, HTTP_INPUT_BYTES);
        c->input_from = c->input_used = c->input_len = 0;
    }
    bool is_idle = !has_bytes && c->requests > 0;
    set_deadline(c, is_idle ? now_ms(c) + limits_of(c)->idle_time_ms
                            : c->head_begin_ms + limits_of(c)->header_time_ms);
    return false;
}

static bool step_body(HttpConnection *c) {
    size_t want = (size_t)c->exchange.head.content_length;
    if (c->body_len == want) {
        c->exchange.body = (Bytes){c->body.at, c->body_len};
        return run_request(c);
    }
    if (!c->may_read) return false;
    size_t count;
    if (!read_some(c, c->body.at + c->body_len, want - c->body_len, &count)) return false;
    c->body_len += count;
    c->window_bytes += (int64_t)count;
    return true;
}

static bool add_to_body(HttpConnection *c, Bytes data, Error *err) {
    size_t need = c->body_len + data.len;
    if (need > c->body.capacity) {
        size_t capacity = MAX(c->body.capacity * 2, need + 8 * KB);
        if (c->body.at == NULL) {
            TRY(http_pool_reserve(&c->loop->bodies, capacity, &c->body, err));
        } else {
            void *at = NULL;
            TRY(memory_reserve_again(c->body.at, capacity, &at, err));
            c->body = (HttpBuffer){at, capacity};
        }
    }
    memcpy(c->body.at + c->body_len, data.at, data.len);
    c->body_len = need;
    return true;
}

static bool step_chunks(HttpConnection *c) {
    while (c->input_used < c->input_len) {
        size_t used;
        Bytes data;
        uint64_t room =
            (uint64_t)MAX(c->exchange.body_bytes_max - (int64_t)c->body_len, (int64_t)0);
        Bytes input = {c->input.at + c->input_used, c->input_len - c->input_used};
        HttpProgress progress = http_chunks_parse(&c->chunks, input, room, &used, &data);
        c->input_used += used;
        if (progress == HTTP_REFUSED)
            return refuse(c, c->chunks.refusal.status, c->chunks.refusal.reason);
        Error err = {0};
        if (data.len > 0 && !add_to_body(c, data, &err))
            return refuse(c, 503, "There is no memory for this body now.");
        // Only the body counts as progress: frames of one byte per chunk are slow too.
        c->window_bytes += (int64_t)data.len;
        if (progress == HTTP_DONE) {
            c->exchange.body = (Bytes){c->body.at, c->body_len};
            return run_request(c);
        }
    }
    // The head stays where its views point; what is behind it has been read and is used again.
    c->input_used = c->input_len = c->input_from + c->parser.head_len;
    if (!c->may_read) return false;
    size_t count;
    if (!read_some(c, c->input.at + c->input_len, c->input.capacity - c->input_len, &count))
        return false;
    c->input_len += count;
    return true;
}

static bool step_discard(HttpConnection *c) {
    uint8_t scratch[8 * KB];
    if (c->discard_left == 0) {
        c->state = HTTP_STATE_ANSWER;
        return true;
    }
    if (!c->may_read) return false;
    size_t count;
    if (!read_some(c, scratch, (size_t)MIN((int64_t)sizeof scratch, c->discard_left), &count))
        return false;
    c->discard_left -= (int64_t)count;
    return true;
}

// Nothing is asked of the client while it waits, but its leaving is noticed.
static bool step_wait(HttpConnection *c) {
    c->deadline_ms = INT64_MAX;
    if (has_output(c)) {
        if (!flush(c)) return false;
        set_interest(c, c->watch_read, has_output(c));
    }
    if (!c->may_read) return false;
    size_t space = c->input.capacity - c->input_len;
    if (space == 0) {
        set_interest(c, false, c->watch_write);
        return false;
    }
    size_t count;
    if (!read_some(c, c->input.at + c->input_len, space, &count)) return false;
    c->input_len += count;
    c->may_read = false;
    // It sent the next request already: let it wait in the socket.
    if (count > 0) set_interest(c, false, c->watch_write);
    return false;
}

static bool step_answer(HttpConnection *c) {
    c->closing = c->closing || c->answer.close || c->loop->draining;
    Text body;
    http_answer_write(c, c->closing, &c->out, &body);
    bool small = body.len <= HTTP_SMALL_BODY;
    if (small) {
        builder_add(&c->out, body);
    } else {
        c->tail = body;
    }
    if (c->closing) return go_write(c, HTTP_STATE_LINGER);
    if (!small) return go_write(c, HTTP_STATE_HEAD);
    end_exchange(c);
    set_interest(c, true, c->watch_write);
    c->state = HTTP_STATE_HEAD;
    return true;
}

static bool step_linger(HttpConnection *c) {
    // They asked for the end and we read all they sent: nothing can be coming that close() would
    // answer with a reset, which could overtake our answer.
    bool clean = c->answered && c->input_used == c->input_len && !c->exchange.head.keep_alive &&
                 !c->discarded;
    if (clean) {
        connection_free(c);
        return false;
    }
    uint8_t scratch[8 * KB];
    while (c->may_read) {
        size_t count;
        if (!read_some(c, scratch, sizeof scratch, &count)) return false;
    }
    return false;
}

static void run(HttpConnection *c) {
    bool go_on = true;
    while (go_on) {
        switch (c->state) {
            case HTTP_STATE_HEAD:
                go_on = step_head(c);
                break;
            case HTTP_STATE_BODY:
                go_on = step_body(c);
                break;
            case HTTP_STATE_CHUNKS:
                go_on = step_chunks(c);
                break;
            case HTTP_STATE_DISCARD:
                go_on = step_discard(c);
                break;
            case HTTP_STATE_WAIT:
                go_on = step_wait(c);
                break;
            case HTTP_STATE_ANSWER:
                go_on = step_answer(c);
                break;
            case HTTP_STATE_WRITE:
                go_on = step_write(c);
                break;
            case HTTP_STATE_LINGER:
                go_on = step_linger(c);
                break;
            case HTTP_STATE_GONE:
                go_on = false;
                break;
        }
    }
}

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static void on_ready(LoopSource *source, bool readable, bool writable, bool hung_up) {
    HttpConnection *c = container_of(source, HttpConnection, source);
    if (hung_up && c->state == HTTP_STATE_WAIT) {
        http_connection_close(c);
        return;
    }
    c->reads_left = HTTP_READS_PER_EVENT;
    if (readable && c->watch_read) c->may_read = true;
    // Both directions are dead: a state that neither reads nor writes now would be called for ever.
    if (hung_up && !c->watch_read && !c->watch_write) {
        http_connection_close(c);
        return;
    }
    run(c);
}

static void on_body_window(HttpConnection *c) {
    const HttpLimits *limits = limits_of(c);
    if (c->window_bytes * 1000 < limits->body_rate_min * limits->body_window_ms) {
        refuse(c, 408, "The body comes too slowly (HTTP_BODY_RATE_MIN).");
        run(c);
        return;
    }
    c->window_bytes = 0;
    c->window_end_ms = now_ms(c) + limits->body_window_ms;
    set_deadline(c, c->window_end_ms);
}

static void on_timer(WheelTimer *timer) {
    HttpConnection *c = container_of(timer, HttpConnection, timer);
    if (c->deadline_ms == INT64_MAX) return;
    if (c->deadline_ms > now_ms(c)) {
        set_deadline(c, c->deadline_ms);
        return;
    }
    if (c->state == HTTP_STATE_BODY || c->state == HTTP_STATE_CHUNKS) {
        on_body_window(c);
    } else if (c->state == HTTP_STATE_HEAD && c->input_len > c->input_from) {
        refuse(c, 408, "The request head comes too slowly (HTTP_HEADER_TIME_MS).");
        run(c);
    } else if (c->state != HTTP_STATE_WAIT && c->state != HTTP_STATE_GONE) {
        connection_free(c);
    }
}

void http_connection_answered(HttpConnection *c) {
    c->answered = true;
    if (c->in_handler) return;
    if (c->state == HTTP_STATE_GONE) {
        connection_free(c);
        return;
    }
    assert(c->state == HTTP_STATE_WAIT);
    c->state = HTTP_STATE_ANSWER;
    c->reads_left = HTTP_READS_PER_EVENT;
    run(c);
}

void http_connection_drain(HttpConnection *c) {
    if (c->state != HTTP_STATE_HEAD) return;
    // What has arrived but was not read yet is in flight: one look, then idle ones end.
    c->may_read = true;
    c->reads_left = 1;
    run(c);
}

void http_connection_begin(HttpLoop *loop, Socket socket, const char *peer, bool over_limit) {
    HttpConnection *c = memory_new(HttpConnection);
    c->loop = loop;
    c->source = (LoopSource){socket, on_ready};
    c->timer.fire = on_timer;
    c->deadline_ms = INT64_MAX;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    c->exchange.peer = text_from_cstring(c->peer);
    c->exchange.arena = &c->arena;
    c->exchange.loop = loop->index;
    c->head_begin_ms = now_ms(c);
    c->reads_left = 1;
    c->watch_read = true;
    c->next = loop->connections;
    c->link = &loop->connections;
    if (c->next != NULL) c->next->link = &c->next;
    loop->connections = c;
    loop->connection_count++;
    Error err = {0};
    if (!loop_watch(loop->loop, &c->source, true, false, &err)) {
        connection_free(c);
        return;
    }
    if (over_limit) {
        refuse(c, 503, "There are too many connections (HTTP_CONNECTIONS).");
    } else {
        // The request often came with the connection.
        c->may_read = true;
    }
    run(c);
}
