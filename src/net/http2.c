// An HTTP/2 connection: bytes in and out of nghttp2, limits of the whole connection, its end.

#include "net/http2.h"

#include "base/assert.h"
#include "base/memory.h"
#include "net/http2_session.h"

// ---- The end ----

void http2_end(Http2Session *s, uint32_t code, Http2Goaway why, const char *fault) {
    if (s->ending) return;
    s->ending = true;
    s->fault = fault;
    http_count(&s->host.counters->goaways[why], 1);
    // Without memory there is no GOAWAY: the connection is closed all the same.
    (void)nghttp2_session_terminate_session(s->ng, code);
}

void http2_count_reset(Http2Session *s) {
    const Http2Limits *limits = &s->limits->http2;
    if (http2_rate_allows(&s->resets, http2_now_ms(s), limits->resets_window_ms, limits->resets))
        return;
    http2_end(s, NGHTTP2_ENHANCE_YOUR_CALM, HTTP2_GOAWAY_RESETS,
              "too many streams were reset (HTTP2_RESETS)");
}

// ---- What nghttp2 calls ----

// Once the connection ends, nothing more is taken from the bytes that are here.
static int go_on(const Http2Session *s) {
    return s->ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static Http2Stream *stream_of(Http2Session *s, int32_t id) {
    return nghttp2_session_get_stream_user_data(s->ng, id);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *context) {
    Http2Session *s = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    s->refused_list_bytes = 0;
    // Whoever said GOAWAY, or was told it, begins nothing new.
    Http2Stream *stream = s->draining ? NULL : http2_stream_begin(s, frame->hd.stream_id);
    int failed = stream == NULL
                     ? nghttp2_submit_rst_stream(ng, 0, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM)
                     : nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream);
    return failed != 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context) {
    Http2Session *s = context;
    Http2Stream *stream = stream_of(s, frame->hd.stream_id);
    Text name_text = {(const char *)name, name_len}, value_text = {(const char *)value, value_len};
    if (stream == NULL) {
        http2_header_refused(s, name_text, value_text);
    } else {
        http2_stream_header(stream, name_text, value_text);
    }
    return go_on(s);
}

// nghttp2 would drop a field with forbidden bytes silently; two readers would see two requests.
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                             void *context) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

// DATA that is padding alone brings as little as an empty one, which http2_frames_look counts; it
// looks ahead, so that a common count would depend on how the bytes are cut.
static void count_padding(Http2Session *s) {
    int64_t max = s->limits->http2.useless_per_s;
    if (!http2_rate_allows(&s->paddings, http2_now_ms(s), 1000, max))
        http2_end(s, NGHTTP2_ENHANCE_YOUR_CALM, HTTP2_GOAWAY_CONTROL,
                  "too many frames that bring nothing (HTTP2_USELESS_PER_S)");
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *context) {
    Http2Session *s = context;
    Http2Stream *stream = frame->hd.stream_id == 0 ? NULL : stream_of(s, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
            if (stream == NULL) break;
            if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) http2_stream_head(stream);
            if (end) http2_stream_end(stream);
            break;
        case NGHTTP2_DATA:
            if (!end && frame->hd.length > 0 && frame->data.padlen >= frame->hd.length)
                count_padding(s);
            if (stream != NULL && end) http2_stream_end(stream);
            break;
        case NGHTTP2_RST_STREAM:
            http_count(&s->host.counters->resets_received, 1);
            http2_count_reset(s);
            break;
        case NGHTTP2_GOAWAY:
            s->draining = true;  // the client will not ask again
            if (s->stream_count > 0) break;
            s->fault = "the client said goodbye";
            s->ending = true;
            break;
        default:
            break;
    }
    return go_on(s);
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *at, size_t len,
                   void *context) {
    Http2Session *s = context;
    Http2Stream *stream = stream_of(s, id);
    if (stream != NULL) {
        http2_stream_data(stream, (Bytes){at, len});
    } else if (nghttp2_session_consume(ng, id, len) != 0) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return go_on(s);
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *context) {
    Http2Stream *stream = stream_of(context, id);
    if (stream != NULL) http2_stream_closed(stream);
    return 0;
}

// What went out: an answer's end, resets, GOAWAYs of nghttp2's own.
static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *context) {
    Http2Session *s = context;
    Http2Stream *stream = frame->hd.stream_id == 0 ? NULL : stream_of(s, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
        case NGHTTP2_DATA:
            if (stream == NULL || !end) break;
            stream->answer_done = true;
            s->frames.answers++;
            stream->progress_ms = http2_now_ms(s);
            if (!stream->request_done) http2_arm(s, stream->progress_ms + http2_linger_ms(s));
            break;
        case NGHTTP2_RST_STREAM:
            if (frame->rst_stream.error_code == NGHTTP2_NO_ERROR) break;
            http_count(&s->host.counters->resets_sent, 1);
            http2_count_reset(s);
            break;
        case NGHTTP2_GOAWAY:
            if (frame->goaway.error_code == NGHTTP2_NO_ERROR || s->ending) break;
            // nghttp2 has found a fault of the client itself.
            s->ending = true;
            s->fault = "the client broke the protocol";
            http_count(&s->host.counters->goaways[HTTP2_GOAWAY_PROTOCOL], 1);
            break;
        default:
            break;
    }
    return 0;
}

// The bytes of DATA go from the answer straight behind the frame's header.
static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
                     nghttp2_data_source *source, void *context) {
    Http2Session *s = context;
    Http2Stream *stream = source->ptr;
    if (s->out->len >= HTTP_OUT_MAX) return NGHTTP2_ERR_WOULDBLOCK;
    assert(len <= stream->rest.len && frame->data.padlen == 0);
    builder_add_bytes(s->out, header, HTTP2_FRAME_HEADER_BYTES);
    builder_add_bytes(s->out, stream->rest.at, len);
    stream->rest = text_slice(stream->rest, len, stream->rest.len);
    stream->progress_ms = http2_now_ms(s);
    s->sent_bytes += (int64_t)len;
    return 0;
}

// ---- Begin ----

static void *ng_malloc(size_t bytes, void *context) {
    return memory_take(MAX(bytes, (size_t)1));
}
static void *ng_calloc(size_t count, size_t bytes, void *context) {
    return memory_take_zeroed(MAX(array_bytes(count, bytes), (size_t)1));
}
static void *ng_realloc(void *at, size_t bytes, void *context) {
    return memory_resize(at, MAX(bytes, (size_t)1));
}
static void ng_free(void *at, void *context) {
    memory_free(at);
}

static nghttp2_session_callbacks *callbacks_new(void) {
    nghttp2_session_callbacks *callbacks;
    int failed = nghttp2_session_callbacks_new(&callbacks);
    assert(failed == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
}

// Its own limits are a second wall behind ours, and open where ours are switched off.
static nghttp2_option *option_new(const Http2Limits *limits) {
    enum { OPEN = 1 << 30 };
    nghttp2_option *option;
    int failed = nghttp2_option_new(&option);
    assert(failed == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    // Its count of CONTINUATION goes up with every piece that one comes in (found by http2_fuzz): a
    // slow line would be taken for an attack. Ours counts frames.
    nghttp2_option_set_max_continuations(option, OPEN);
    uint64_t resets = limits->resets == 0 ? OPEN : (uint64_t)limits->resets * 4;
    nghttp2_option_set_stream_reset_rate_limit(option, resets, resets);
    nghttp2_option_set_max_outbound_ack(option, limits->pings_per_s == 0 ? OPEN : 1000);
    return option;
}

static void submit_settings(Http2Session *s) {
    const Http2Limits *limits = &s->limits->http2;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
         limits->streams == 0 ? INT32_MAX : (uint32_t)limits->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)limits->window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
         limits->header_list_bytes == 0 ? INT32_MAX : (uint32_t)limits->header_list_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int failed = nghttp2_submit_settings(s->ng, 0, entries, COUNT(entries));
    assert(failed == 0);
    failed = nghttp2_session_set_local_window_size(s->ng, 0, 0,
                                                   (int32_t)limits->connection_window_bytes);
    assert(failed == 0);
}

Http2Session *http2_begin(const Http2Host *host) {
    static nghttp2_mem memory = {NULL, ng_malloc, ng_free, ng_calloc, ng_realloc};
    Http2Session *s = memory_new(Http2Session);
    s->host = *host;
    s->limits = host->service->limits;
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option = option_new(&s->limits->http2);
    int failed = nghttp2_session_server_new3(&s->ng, callbacks, s, option, &memory);
    assert(failed == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    submit_settings(s);
    s->idle_since_ms = http2_now_ms(s);
    s->deadline_ms = s->idle_since_ms + s->limits->header_time_ms;
    http_count(&host->counters->sessions, 1);
    return s;
}

// ---- Bytes ----

// Errors of nghttp2 that end the connection without a GOAWAY of its own.
static void end_by_error(Http2Session *s, ssize_t code) {
    switch ((int)code) {
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
            http2_end(s, NGHTTP2_PROTOCOL_ERROR, HTTP2_GOAWAY_PROTOCOL,
                      "the connection does not begin with HTTP/2's preface");
            break;
        case NGHTTP2_ERR_FLOODED:
            http2_end(s, NGHTTP2_ENHANCE_YOUR_CALM, HTTP2_GOAWAY_CONTROL,
                      "too many frames that want an answer");
            break;
        default:
            http2_end(s, NGHTTP2_INTERNAL_ERROR, HTTP2_GOAWAY_PROTOCOL,
                      nghttp2_strerror((int)code));
            break;
    }
}

bool http2_feed(Http2Session *s, Bytes bytes, Error *err) {
    assert(!s->abandoned);
    Http2Fault fault = {0};
    if (!s->ending && bytes.len > 0) {
        int64_t now_ms = http2_now_ms(s);
        size_t good = http2_frames_look(&s->frames, bytes, now_ms, &s->limits->http2, &fault);
        ssize_t taken = nghttp2_session_mem_recv(s->ng, bytes.at, good);
        if (taken < 0) {
            end_by_error(s, taken);
        } else if (good < bytes.len) {
            http2_end(s, fault.code, fault.why, fault.what);
        }
        if (s->frames.in_block) http2_arm(s, s->frames.block_since_ms + s->limits->header_time_ms);
    }
    if (!s->ending) return true;
    return error_set(err, ERROR_BAD_INPUT, "HTTP/2: %s",
                     s->fault == NULL ? "the connection is over" : s->fault);
}

bool http2_output(Http2Session *s, Builder *out) {
    size_t before = out->len;
    s->out = out;
    while (out->len < HTTP_OUT_MAX) {
        const uint8_t *at;
        ssize_t count = nghttp2_session_mem_send(s->ng, &at);
        if (count <= 0) break;
        builder_add_bytes(out, at, (size_t)count);
    }
    s->out = NULL;
    return out->len > before;
}

bool http2_wants_write(const Http2Session *s) {
    return nghttp2_session_want_write(s->ng) != 0;
}

void http2_drain(Http2Session *s) {
    if (s->draining || s->ending) return;
    s->draining = true;
    http_count(&s->host.counters->goaways[HTTP2_GOAWAY_DRAIN], 1);
    (void)nghttp2_submit_goaway(s->ng, 0, nghttp2_session_get_last_proc_stream_id(s->ng),
                                NGHTTP2_NO_ERROR, NULL, 0);
    http2_arm(s, http2_now_ms(s) + http2_linger_ms(s));
}

bool http2_is_over(const Http2Session *s) {
    return s->ending || (s->draining && s->stream_count == 0);
}

bool http2_is_known(const Http2Session *s) {
    return s->any_accepted;
}

// ---- Time ----

int64_t http2_next_deadline(const Http2Session *s) {
    return s->ending ? INT64_MAX : s->deadline_ms;
}

static void tick_idle(Http2Session *s, int64_t now_ms) {
    if (s->stream_count > 0 || s->draining) return;
    int64_t end_ms =
        s->idle_since_ms + (s->any_request ? s->limits->idle_time_ms : s->limits->header_time_ms);
    if (now_ms >= end_ms) {
        http2_drain(s);
    } else {
        http2_arm(s, end_ms);
    }
}

// Streams wait for each other, so the rate at which answers are taken is that of the connection.
static void tick_reader(Http2Session *s, int64_t now_ms) {
    const HttpLimits *limits = s->limits;
    s->reader_is_slow = false;
    if (now_ms < s->window_begin_ms + limits->answer_window_ms) return;
    s->reader_is_slow = (s->sent_bytes - s->window_sent) * 1000 <
                        limits->answer_rate_min * limits->answer_window_ms;
}

static void tick_reader_done(Http2Session *s, int64_t now_ms) {
    if (now_ms < s->window_begin_ms + s->limits->answer_window_ms) return;
    s->window_begin_ms = now_ms;
    s->window_sent = s->sent_bytes;
    s->reader_is_slow = false;
}

void http2_tick(Http2Session *s, int64_t now_ms) {
    if (s->ending || now_ms < s->deadline_ms) return;
    s->deadline_ms = INT64_MAX;
    if (s->frames.in_block) {
        int64_t end_ms = s->frames.block_since_ms + s->limits->header_time_ms;
        if (now_ms >= end_ms) {
            http2_end(s, NGHTTP2_ENHANCE_YOUR_CALM, HTTP2_GOAWAY_SLOW,
                      "a request head comes too slowly (HTTP_HEADER_TIME_MS)");
            return;
        }
        http2_arm(s, end_ms);
    }
    tick_reader(s, now_ms);
    for (Http2Stream *stream = s->streams, *next; stream != NULL; stream = next) {
        next = stream->next;
        http2_stream_tick(stream, now_ms);
    }
    tick_reader_done(s, now_ms);
    tick_idle(s, now_ms);
}

// ---- The connection is lost ----

void http2_abandon(Http2Session *s) {
    if (s->abandoned) return;
    s->abandoned = s->ending = true;
    for (Http2Stream *stream = s->streams, *next; stream != NULL; stream = next) {
        next = stream->next;
        http2_stream_abandon(stream);
    }
}

size_t http2_owed(const Http2Session *s) {
    size_t owed = 0;
    for (const Http2Stream *stream = s->streams; stream != NULL; stream = stream->next)
        owed += http_turn_owes(&stream->turn);
    return owed;
}

void http2_free(Http2Session **handle) {
    if (*handle == NULL) return;
    Http2Session *s = TAKE(*handle);
    http2_abandon(s);
    assert(s->streams == NULL);
    while (s->spares != NULL) {
        Http2Stream *spare = s->spares;
        s->spares = spare->next;
        arena_free(&spare->arena);
        memory_free(spare);
    }
    nghttp2_session_del(s->ng);
    if (s->user_free != NULL) s->user_free(s->user);
    http_count(&s->host.counters->sessions, -1);
    memory_free(s);
}
