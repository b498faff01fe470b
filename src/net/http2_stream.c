// A stream: one request from its header fields to its answer, as a turn of the handler.
//
//   HEADERS ─> head ─> on_head ─ yes ─> DATA … ─> END_STREAM ─> on_request ─> … ─> answer ─> closed
//                │        └ no ──> discarding ──────────────────────────────────────^
//                └ refused by this floor (400, 413, 431, …) ────────────────────────^
//
// Windows: a stream's bytes are given back to its window as they are taken into its body, the
// connection's while all bodies together are small. Beyond half of HTTP2_BODIES_BYTES only the
// oldest unfinished stream may go on, so that one gets done; beyond all of it nobody may.

#include "base/assert.h"
#include "base/memory.h"
#include "net/grpc.h"
#include "net/http2_session.h"
#include "net/http_stream.h"

enum {
    BODY_BYTES_FIRST = 16 * KB,
    HEADER_FIELD_EXTRA = 32,    // RFC 9113, 6.5.2
    HEADER_LIST_BOMB_TIMES = 8  // so many times the limit: not a large head but an attack
};

// ---- Life ----

static void when_answered(HttpTurn *turn);

Http2Stream *http2_stream_begin(Http2Session *s, int32_t id) {
    const Http2Limits *limits = &s->limits->http2;
    // The first request that is accepted counts at once: a burst of a known client is not hindered.
    int64_t max = s->any_accepted || limits->stranger_streams == 0
                      ? limits->streams
                      : MIN(limits->stranger_streams, limits->streams);
    if (max > 0 && s->stream_count >= (size_t)max) return NULL;
    Http2Stream *stream = s->spares;
    if (stream != NULL) {
        s->spares = stream->next;
        s->spare_count--;
    } else {
        stream = memory_new(Http2Stream);
    }
    http_turn_begin(&stream->turn, s->host.service, &stream->arena, s->host.peer, when_answered);
    stream->session = s;
    stream->id = id;
    stream->next = s->streams;
    stream->link = &s->streams;
    if (stream->next != NULL) stream->next->link = &stream->next;
    s->streams = stream;
    s->stream_count++;
    http_count(&s->host.counters->streams, 1);
    s->any_request = true;
    return stream;
}

static void body_release(Http2Stream *stream);

void http2_stream_free(Http2Stream *stream) {
    Http2Session *s = stream->session;
    assert(!http_turn_owes(&stream->turn));
    if (!stream->closed && !s->abandoned)
        (void)nghttp2_session_set_stream_user_data(s->ng, stream->id, NULL);
    body_release(stream);
    http_turn_end(&stream->turn);
    *stream->link = stream->next;
    if (stream->next != NULL) stream->next->link = stream->link;
    s->stream_count--;
    s->list_bytes -= stream->list_bytes;
    http_count(&s->host.counters->streams, -1);
    if (s->stream_count == 0) {
        s->idle_since_ms = http2_now_ms(s);
        http2_arm(s, s->idle_since_ms + s->limits->idle_time_ms);
    }
    if (s->spare_count < HTTP2_SPARES_MAX) {
        *stream = (Http2Stream){.arena = stream->arena, .next = s->spares};
        s->spares = stream;
        s->spare_count++;
        return;
    }
    arena_free(&stream->arena);
    memory_free(stream);
}

// Between handler and session: what belongs to the connection is lent to the exchange.
static void user_lend(Http2Stream *stream) {
    stream->turn.exchange.user = stream->session->user;
    stream->turn.exchange.user_free = stream->session->user_free;
}
static void user_take(Http2Stream *stream) {
    stream->session->user = stream->turn.exchange.user;
    stream->session->user_free = stream->turn.exchange.user_free;
}

static void turn_drop(Http2Stream *stream) {
    user_lend(stream);
    http_turn_drop(&stream->turn);
    user_take(stream);
}

static void turn_gone(Http2Stream *stream) {
    user_lend(stream);
    http_turn_gone(&stream->turn);
    user_take(stream);
}

void http2_stream_closed(Http2Stream *stream) {
    stream->closed = true;
    turn_drop(stream);
    if (http_turn_owes(&stream->turn)) turn_gone(stream);
    // It counts as open until its handler is done: resets do not buy more work (rapid reset).
    if (!http_turn_owes(&stream->turn)) http2_stream_free(stream);
}

void http2_stream_abandon(Http2Stream *stream) {
    bool was_closed = stream->closed;
    stream->closed = true;
    turn_drop(stream);
    if (http_turn_owes(&stream->turn) && !was_closed) turn_gone(stream);
    if (!http_turn_owes(&stream->turn)) http2_stream_free(stream);
}

// ---- Windows ----

static bool is_unfinished(const Http2Stream *stream) {
    return stream->head_done && !stream->request_done && !stream->discarding && !stream->closed;
}

static Http2Stream *oldest_unfinished(const Http2Session *s) {
    Http2Stream *oldest = NULL;
    for (Http2Stream *stream = s->streams; stream != NULL; stream = stream->next)
        if (is_unfinished(stream)) oldest = stream;
    return oldest;
}

static int64_t connection_window(const Http2Session *s) {
    return nghttp2_session_get_effective_local_window_size(s->ng) -
           nghttp2_session_get_effective_recv_data_length(s->ng);
}

// Gives `bytes` back to the connection's window, many at a time; at once when the client waits.
static void consume_connection(Http2Session *s, size_t bytes) {
    s->credit += bytes;
    if (s->credit == 0 || s->abandoned) return;
    bool enough = (int64_t)s->credit * 2 >= s->limits->http2.connection_window_bytes;
    if (!enough && connection_window(s) > 0) return;
    if (nghttp2_submit_window_update(s->ng, 0, 0, (int32_t)s->credit) != 0)
        http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL, "a window cannot be kept");
    s->credit = 0;
}

static void consume_stream(Http2Stream *stream, size_t bytes) {
    Http2Session *s = stream->session;
    if (bytes > 0 && !stream->closed && !s->abandoned &&
        nghttp2_session_consume_stream(s->ng, stream->id, bytes) != 0)
        http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL, "a window cannot be kept");
}

// How many bytes may still be promised: those held and those promised already are the limit.
static size_t bodies_room(const Http2Session *s) {
    const Http2Limits *limits = &s->limits->http2;
    if (limits->bodies_bytes == 0) return SIZE_MAX;
    int64_t promised = limits->connection_window_bytes - (int64_t)s->withheld;
    int64_t room = limits->bodies_bytes - (int64_t)s->bodies_bytes - promised;
    return room < 0 ? 0 : (size_t)room;
}

static bool bodies_are_small(const Http2Session *s) {
    int64_t max = s->limits->http2.bodies_bytes;
    return max == 0 || (int64_t)s->bodies_bytes <= max / 2;
}

static void stream_let_go_on(Http2Stream *stream) {
    consume_stream(stream, stream->withheld);
    stream->withheld = 0;
}

// Memory has come back: who waited for it may go on.
static void windows_open(Http2Session *s) {
    size_t give = MIN(s->withheld, bodies_room(s));
    s->withheld -= give;
    consume_connection(s, give);
    if (!bodies_are_small(s)) {
        Http2Stream *oldest = oldest_unfinished(s);
        if (oldest != NULL) stream_let_go_on(oldest);
        return;
    }
    for (Http2Stream *stream = s->streams; stream != NULL; stream = stream->next)
        if (stream->withheld > 0) stream_let_go_on(stream);
}

static void body_release(Http2Stream *stream) {
    Http2Session *s = stream->session;
    http_pool_give(s->host.bodies, &stream->body, HTTP_POOL_BODY_MAX);
    stream->turn.exchange.body = BYTES_NONE;
    // Without a body it may still have been the oldest, whose end others wait for.
    if (stream->body_len == 0 && bodies_are_small(s)) return;
    assert(s->bodies_bytes >= stream->body_len);
    s->bodies_bytes -= stream->body_len;
    stream->body_len = 0;
    windows_open(s);
}

// ---- The answer ----

static nghttp2_nv field(Text name, Text value) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at, name.len,
                        value.len, NGHTTP2_NV_FLAG_NONE};
}

// What HTTP/2 says otherwise, or not at all (RFC 9113, 8.2.2).
static bool is_of_connection(Text name) {
    static const Text names[] = {TEXT_INIT("connection"), TEXT_INIT("keep-alive"),
                                 TEXT_INIT("transfer-encoding"), TEXT_INIT("upgrade"),
                                 TEXT_INIT("proxy-connection")};
    for (size_t i = 0; i < COUNT(names); i++)
        if (text_equal_ignore_case(names[i], name)) return true;
    return false;
}

static size_t add_fields(const HttpHeader *headers, size_t count, nghttp2_nv *out) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_of_connection(headers[i].name)) out[n++] = field(headers[i].name, headers[i].value);
    return n;
}

// The last DATA; trailers behind it.
static bool end_body(Http2Stream *stream, uint32_t *flags) {
    const HttpAnswer *answer = &stream->turn.answer;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (answer->trailer_count == 0) return true;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_nv *fields = arena_push_array(&stream->arena, nghttp2_nv, answer->trailer_count);
    size_t count = add_fields(answer->trailers, answer->trailer_count, fields);
    return nghttp2_submit_trailer(stream->session->ng, stream->id, fields, count) == 0;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *into, size_t space,
                         uint32_t *flags, nghttp2_data_source *source, void *context) {
    Http2Stream *stream = source->ptr;
    size_t count = MIN(space, stream->rest.len);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (count < stream->rest.len) return (ssize_t)count;
    return end_body(stream, flags) ? (ssize_t)count : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

// The same of an answer in pieces. One that ends without being whole is reset.
static ssize_t read_pieces(nghttp2_session *ng, int32_t id, uint8_t *into, size_t space,
                           uint32_t *flags, nghttp2_data_source *source, void *context) {
    Http2Stream *stream = source->ptr;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->rest.len > 0 || http_stream_take(&stream->turn, &stream->rest))
        return (ssize_t)MIN(space, stream->rest.len);
    if (!stream->turn.answered) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    bool ended = http_stream_is_whole(&stream->turn) && end_body(stream, flags);
    return ended ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

// The turn is answered: the answer goes out, and unless more of it is to come the request's body is
// not needed any more.
static void answer_send(Http2Stream *stream) {
    Http2Session *s = stream->session;
    const HttpAnswer *answer = &stream->turn.answer;
    stream->discarding = true;
    if (stream->turn.answered) body_release(stream);
    stream->rest = http_turn_body(&stream->turn);
    nghttp2_nv *fields = arena_push_array(&stream->arena, nghttp2_nv, answer->header_count + 2);
    fields[0] = field(TEXT(":status"), text_format(&stream->arena, "%d", answer->status));
    size_t count = 1 + add_fields(answer->headers, answer->header_count, fields + 1);
    bool has_length = answer->status != 204 && answer->status != 304 &&
                      answer->trailer_count == 0 && !stream->turn.streaming;
    if (has_length) {
        size_t len = answer->body.len > 0 ? answer->body.len : answer->text.len;
        fields[count++] = field(TEXT("content-length"), text_format(&stream->arena, "%zu", len));
    }
    nghttp2_data_provider body = {{.ptr = stream},
                                  stream->turn.streaming ? read_pieces : read_body};
    bool has_data = stream->rest.len > 0 || answer->trailer_count > 0 || stream->turn.streaming;
    stream->answering = true;
    stream->answered_ms = stream->progress_ms = http2_now_ms(s);
    // The window of its rate begins with an answer that finds none running.
    if (stream->answered_ms >= s->window_begin_ms + s->limits->answer_window_ms) {
        s->window_begin_ms = stream->answered_ms;
        s->window_sent = s->sent_bytes;
    }
    http2_arm(s, stream->answered_ms + MIN(s->limits->idle_time_ms, s->limits->answer_window_ms));
    if (answer->close) http2_drain(s);
    if (nghttp2_submit_response(s->ng, stream->id, fields, count, has_data ? &body : NULL) != 0)
        http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL, "an answer cannot be sent");
}

// Of an answer in pieces: another one, or the end.
static void more_came(Http2Stream *stream) {
    Http2Session *s = stream->session;
    if (stream->turn.answered) body_release(stream);
    if (!stream->deferred) return;
    stream->deferred = false;
    // That nothing was sent until now is not the reader's fault.
    stream->answered_ms = stream->progress_ms = http2_now_ms(s);
    if (nghttp2_session_resume_data(s->ng, stream->id) != 0)
        http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL, "an answer cannot be sent");
}

static void when_answered(HttpTurn *turn) {
    Http2Stream *stream = (Http2Stream *)turn;
    Http2Session *s = stream->session;
    if (!stream->closed) {
        if (stream->answering) {
            more_came(stream);
        } else {
            answer_send(stream);
        }
        s->host.output_waits(s->host.context);
        return;
    }
    if (!turn->answered) return;
    http2_stream_free(stream);
    if (!s->abandoned) {
        s->host.output_waits(s->host.context);
    } else if (http2_owed(s) == 0) {
        s->host.quiet(s->host.context);
    }
}

// Our own answer: what is wrong. gRPC clients are told in their way.
static void refuse(Http2Stream *stream, int status, const char *reason) {
    Http2Session *s = stream->session;
    HttpAnswer *answer = &stream->turn.answer;
    turn_drop(stream);
    http_count(s->host.refused, 1);
    if (grpc_is_request(&stream->turn.exchange.head)) {
        GrpcStatus code = grpc_status_of_http(status);
        *answer = (HttpAnswer){.status = 200};
        grpc_trailers_only(code, text_from_cstring(reason), status == 503 ? 5000 : 0,
                           &stream->arena, &answer->headers, &answer->header_count);
    } else {
        HttpHeader *headers = arena_push_array(&stream->arena, HttpHeader, 2);
        headers[0] = (HttpHeader){TEXT("content-type"), TEXT("application/json")};
        headers[1] = (HttpHeader){TEXT("retry-after"), TEXT("5")};
        *answer = (HttpAnswer){
            .status = status, .headers = headers, .header_count = status == 503 ? 2 : 1};
        http_refusal_body(status, reason, &answer->body);
    }
    stream->turn.answered = true;
    answer_send(stream);
}

// ---- The head ----

// How many times the limit a list is that has got one field more; a bomb ends the connection.
static int64_t count_field(Http2Session *s, Text name, Text value, size_t *list_bytes) {
    int64_t max = s->limits->http2.header_list_bytes;
    *list_bytes += name.len + value.len + HEADER_FIELD_EXTRA;
    int64_t passed = max == 0 ? 0 : (int64_t)*list_bytes / max;
    if (passed >= HEADER_LIST_BOMB_TIMES)
        http2_end(s, NGHTTP2_ENHANCE_YOUR_CALM, HTTP2_GOAWAY_HEADERS,
                  "a request head is enormous (HTTP2_HEADER_LIST_BYTES)");
    return passed;
}

void http2_header_refused(Http2Session *s, Text name, Text value) {
    (void)count_field(s, name, value, &s->refused_list_bytes);
}

// The heads of all open streams lie in memory at once; who has not said who it is has little.
static bool heads_are_many(const Http2Session *s) {
    const Http2Limits *limits = &s->limits->http2;
    bool stranger = !s->any_accepted && limits->stranger_streams > 0;
    int64_t max = stranger ? limits->header_list_bytes : limits->heads_bytes;
    return max > 0 && (int64_t)s->list_bytes > max;
}

void http2_stream_header(Http2Stream *stream, Text name, Text value) {
    Http2Session *s = stream->session;
    const HttpLimits *limits = s->limits;
    size_t before = stream->list_bytes;
    int64_t max = limits->http2.header_list_bytes;
    int64_t passed = count_field(s, name, value, &stream->list_bytes);
    s->list_bytes += stream->list_bytes - before;
    if (passed >= 1 || (max > 0 && stream->headers.count >= limits->parse.header_count))
        stream->too_large = true;
    if (heads_are_many(s)) stream->crowded = true;
    // Trailers of a request: counted, not kept.
    if (stream->too_large || stream->crowded || stream->head_done) return;
    value = text_copy(value, &stream->arena);
    if (text_equal(name, TEXT(":method"))) {
        stream->method = value;
    } else if (text_equal(name, TEXT(":path"))) {
        stream->path = value;
    } else if (text_equal(name, TEXT(":authority"))) {
        stream->authority = value;
    } else if (name.len > 0 && name.at[0] != ':') {
        *array_add_on(&stream->arena, &stream->headers) =
            (HttpHeader){text_copy(name, &stream->arena), value};
    }
}

static bool refuse_head(HttpRefusal *refusal, int status, const char *reason) {
    *refusal = (HttpRefusal){status, reason};
    return false;
}

// HTTP/2 may send a cookie in crumbs, one field each; handlers see one (RFC 9113, 8.2.3).
static void join_cookies(Http2Stream *stream) {
    AUTO(builder_free) Builder joined = {0};
    size_t crumbs = 0, first = 0, kept = 0;
    for (size_t i = 0; i < stream->headers.count; i++) {
        HttpHeader header = stream->headers.at[i];
        bool is_cookie = text_equal(header.name, TEXT("cookie"));
        if (is_cookie) {
            if (crumbs++ > 0) builder_add(&joined, TEXT("; "));
            builder_add(&joined, header.value);
        }
        if (is_cookie && crumbs == 1) first = kept;
        if (!is_cookie || crumbs == 1) stream->headers.at[kept++] = header;
    }
    if (crumbs < 2) return;
    stream->headers.count = kept;
    stream->headers.at[first].value = text_copy(builder_text(&joined), &stream->arena);
}

// From fields to the head that handlers know. :authority is the Host header of old.
static bool head_read(Http2Stream *stream, HttpRefusal *refusal) {
    HttpHead *head = &stream->turn.exchange.head;
    join_cookies(stream);
    *head = (HttpHead){.version_major = 2,
                       .version_minor = 1,
                       .target = stream->path,
                       .query = TEXT(""),
                       .headers = stream->headers.at,
                       .header_count = stream->headers.count};
    if (stream->too_large)
        return refuse_head(refusal, 431,
                           "The headers are too large or too many (HTTP2_HEADER_LIST_BYTES).");
    if (stream->crowded)
        return refuse_head(refusal, 503,
                           "The heads of this connection fill their memory (HTTP2_HEADS_BYTES).");
    if (!http_method_from_text(stream->method, &head->method))
        return refuse_head(refusal, 501, "This method is not known here.");
    if (stream->authority.at != NULL) {
        Text host = http_head_find(head, TEXT("host"));
        if (host.at == NULL) {
            *array_add_on(&stream->arena, &stream->headers) =
                (HttpHeader){TEXT("host"), stream->authority};
            head->headers = stream->headers.at;
            head->header_count = stream->headers.count;
        } else if (!text_equal_ignore_case(host, stream->authority)) {
            return refuse_head(refusal, 400, "Host and :authority name different hosts.");
        }
    }
    return http_head_interpret(refusal, &stream->arena, head);
}

static void send_continue(Http2Stream *stream) {
    nghttp2_nv fields[] = {field(TEXT(":status"), TEXT("100"))};
    // Without it the client sends on after a while of its own.
    (void)nghttp2_submit_headers(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, NULL, fields,
                                 COUNT(fields), NULL);
}

void http2_stream_head(Http2Stream *stream) {
    Http2Session *s = stream->session;
    HttpExchange *exchange = &stream->turn.exchange;
    HttpRefusal refusal = {0};
    stream->head_done = true;
    if (!head_read(stream, &refusal)) {
        refuse(stream, refusal.status, refusal.reason);
        return;
    }
    user_lend(stream);
    bool accepted = http_turn_head(&stream->turn);
    user_take(stream);
    s->any_accepted = s->any_accepted || (accepted && !exchange->anonymous);
    if (!accepted) {
        stream->discarding = true;
        if (stream->turn.answered) answer_send(stream);
        return;
    }
    if (exchange->head.content_length > exchange->body_bytes_max) {
        refuse(stream, 413, "The body is too large (HTTP_BODY_BYTES).");
        return;
    }
    if (exchange->head.expect_continue) send_continue(stream);
    stream->window_end_ms = http2_now_ms(s) + s->limits->body_window_ms;
    http2_arm(s, stream->window_end_ms);
}

// ---- The body ----

static bool body_add(Http2Stream *stream, Bytes data, Error *err) {
    size_t need = stream->body_len + data.len;
    HttpPool *pool = stream->session->host.bodies;
    if (need > stream->body.capacity) {
        // What was announced, but only as far as it was really sent already.
        size_t stated = (size_t)stream->turn.exchange.head.content_length;
        int64_t most = MAX(stream->turn.exchange.body_bytes_max, (int64_t)need);
        size_t first = (size_t)MIN(most, (int64_t)BODY_BYTES_FIRST);
        size_t twice = MAX(stream->body.capacity * 2, first);
        size_t capacity = MAX(twice, need);
        if (stated >= need && stated < capacity) capacity = stated;
        if (stream->body.at == NULL) {
            TRY(http_pool_reserve(pool, capacity, &stream->body, err));
        } else {
            void *at = NULL;
            TRY(memory_reserve_again(stream->body.at, capacity, &at, err));
            stream->body = (HttpBuffer){at, capacity};
        }
    }
    memcpy(stream->body.at + stream->body_len, data.at, data.len);
    stream->body_len = need;
    stream->session->bodies_bytes += data.len;
    return true;
}

// The newest unfinished stream that holds something; NULL also when a handler holds something and
// will give it back.
static Http2Stream *who_gives_way(const Http2Session *s) {
    Http2Stream *newest = NULL;
    for (Http2Stream *stream = s->streams; stream != NULL; stream = stream->next) {
        if (stream->body_len == 0) continue;
        if (!is_unfinished(stream)) return NULL;
        if (newest == NULL) newest = stream;
    }
    return newest;
}

// Nobody can go on and nobody will get done: streams give way until somebody can.
static void unlock_windows(Http2Session *s) {
    while (s->withheld > 0 && connection_window(s) <= 0) {
        Http2Stream *stream = who_gives_way(s);
        if (stream == NULL) return;
        refuse(stream, 503,
               "The bodies of this connection fill their memory (HTTP2_BODIES_BYTES).");
    }
}

void http2_stream_data(Http2Stream *stream, Bytes data) {
    Http2Session *s = stream->session;
    if (!stream->discarding &&
        (int64_t)(stream->body_len + data.len) > stream->turn.exchange.body_bytes_max)
        refuse(stream, 413, "The body is too large (HTTP_BODY_BYTES).");
    Error err = {0};
    if (!stream->discarding && !body_add(stream, data, &err))
        refuse(stream, 503, "There is no memory for this body now.");
    if (stream->discarding) {
        // The stream's own window is not opened again: nobody sends a long body for nothing.
        consume_connection(s, data.len);
        return;
    }
    stream->window_bytes += (int64_t)data.len;
    s->withheld += data.len;
    size_t give = MIN(s->withheld, bodies_room(s));
    s->withheld -= give;
    consume_connection(s, give);
    if (bodies_are_small(s) || oldest_unfinished(s) == stream) {
        consume_stream(stream, data.len);
    } else {
        stream->withheld += data.len;
    }
    unlock_windows(s);
}

void http2_stream_end(Http2Stream *stream) {
    stream->request_done = true;
    if (stream->discarding) return;
    stream->turn.exchange.body = (Bytes){stream->body.at, stream->body_len};
    user_lend(stream);
    http_turn_request(&stream->turn);
    user_take(stream);
    if (stream->turn.answered) answer_send(stream);
}

// ---- Time ----

static bool may_send_body(const Http2Stream *stream) {
    return stream->withheld == 0 && connection_window(stream->session) > 0;
}

void http2_stream_tick(Http2Stream *stream, int64_t now_ms) {
    Http2Session *s = stream->session;
    const HttpLimits *limits = s->limits;
    if (is_unfinished(stream)) {
        if (now_ms >= stream->window_end_ms) {
            bool slow =
                stream->window_bytes * 1000 < limits->body_rate_min * limits->body_window_ms;
            if (slow && may_send_body(stream)) {
                refuse(stream, 408, "The body comes too slowly (HTTP_BODY_RATE_MIN).");
                return;
            }
            stream->window_bytes = 0;
            stream->window_end_ms = now_ms + limits->body_window_ms;
        }
        http2_arm(s, stream->window_end_ms);
    } else if (stream->answer_done && !stream->request_done && !stream->closed) {
        // Answered before the whole request was here: the rest is not wanted (RFC 9113, 8.1). Not
        // at once, as some clients take the reset for the answer.
        if (now_ms < stream->progress_ms + http2_linger_ms(s)) {
            http2_arm(s, stream->progress_ms + http2_linger_ms(s));
        } else if (nghttp2_submit_rst_stream(s->ng, 0, stream->id, NGHTTP2_NO_ERROR) != 0) {
            http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL, "a stream cannot be reset");
        }
    } else if (stream->answering && !stream->answer_done && !stream->closed && !stream->deferred) {
        int64_t end_ms = stream->progress_ms + limits->idle_time_ms;
        bool slow = s->reader_is_slow && stream->answered_ms <= s->window_begin_ms;
        if (now_ms < end_ms && !slow) {
            http2_arm(s, MIN(end_ms, s->window_begin_ms + limits->answer_window_ms));
            return;
        }
        // It asked and does not take the answer: its window stays shut.
        if (nghttp2_submit_rst_stream(s->ng, 0, stream->id, NGHTTP2_CANCEL) != 0)
            http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL, "a stream cannot be reset");
    }
}
