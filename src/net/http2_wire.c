// For tests: frames by hand, and a session in a world of its own.

#include "net/http2_wire.h"

#include "base/memory.h"
#include "net/http_turn.h"

// ---- Writing ----

void wire_frame_head(Builder *out, size_t len, uint8_t type, uint8_t flags, uint32_t stream) {
    uint8_t head[] = {(uint8_t)(len >> 16),
                      (uint8_t)(len >> 8),
                      (uint8_t)len,
                      type,
                      flags,
                      (uint8_t)(stream >> 24),
                      (uint8_t)(stream >> 16),
                      (uint8_t)(stream >> 8),
                      (uint8_t)stream};
    builder_add_bytes(out, head, sizeof head);
}

void wire_frame(Builder *out, uint8_t type, uint8_t flags, uint32_t stream, Text payload) {
    wire_frame_head(out, payload.len, type, flags, stream);
    builder_add(out, payload);
}

void wire_u32(Builder *out, uint32_t value) {
    uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                       (uint8_t)value};
    builder_add_bytes(out, bytes, sizeof bytes);
}

// An integer with a prefix of 7 bits, whose first byte has `first` above it (RFC 7541, 5.1).
static void add_integer(Builder *out, uint8_t first, size_t value) {
    if (value < 127) {
        builder_add_char(out, (char)(first | value));
        return;
    }
    builder_add_char(out, (char)(first | 127));
    for (value -= 127; value >= 128; value >>= 7)
        builder_add_char(out, (char)(0x80 | (value & 127)));
    builder_add_char(out, (char)value);
}

void wire_field(Builder *block, Text name, Text value) {
    builder_add_char(block, 0x10);
    add_integer(block, 0, name.len);
    builder_add(block, name);
    add_integer(block, 0, value.len);
    builder_add(block, value);
}

void wire_get(Builder *block, Text path) {
    wire_field(block, TEXT(":method"), TEXT("GET"));
    wire_field(block, TEXT(":scheme"), TEXT("http"));
    wire_field(block, TEXT(":path"), path);
    wire_field(block, TEXT(":authority"), TEXT("a.test"));
}

// ---- The handler ----

static void respond(HttpExchange *exchange, int status, Text text) {
    HttpHeader headers[] = {{TEXT("Content-Type"), TEXT("text/plain")},
                            {TEXT("Connection"), TEXT("keep-alive")}};
    HttpResponse response = {
        .status = status, .headers = headers, .header_count = COUNT(headers), .text = text};
    http_respond(exchange, &response);
}

static void respond_big(HttpExchange *exchange, size_t len) {
    HttpResponse response = {.status = 200};
    builder_reserve(&response.body, len);
    for (size_t i = 0; i < len; i++) response.body.at[i] = (char)('a' + i % 26);
    response.body.len = len;
    http_respond(exchange, &response);
}

static void respond_trailers(HttpExchange *exchange, Text text) {
    HttpHeader trailers[] = {{TEXT("grpc-status"), TEXT("0")}, {TEXT("x-after"), TEXT("yes")}};
    HttpResponse response = {
        .status = 200, .trailers = trailers, .trailer_count = COUNT(trailers), .text = text};
    http_respond(exchange, &response);
}

static bool on_head(void *context, HttpExchange *exchange) {
    Wire *wire = context;
    Text path = exchange->head.path;
    wire->heads++;
    if (text_equal(path, TEXT("/forbidden"))) {
        respond(exchange, 403, TEXT("no\n"));
        return false;
    }
    if (text_equal(path, TEXT("/later"))) {
        *array_add(&wire->owed) = exchange;
        return false;
    }
    if (text_equal(path, TEXT("/small"))) exchange->body_bytes_max = 10;
    return true;
}

static void on_request(void *context, HttpExchange *exchange) {
    Wire *wire = context;
    const HttpHead *head = &exchange->head;
    wire->served++;
    if (text_equal(head->path, TEXT("/slow"))) {
        *array_add(&wire->owed) = exchange;
    } else if (text_equal(head->path, TEXT("/echo"))) {
        respond(exchange, 200, text_copy(bytes_text(exchange->body), exchange->arena));
    } else if (text_equal(head->path, TEXT("/length"))) {
        respond(exchange, 200, text_format(exchange->arena, "%zu\n", exchange->body.len));
    } else if (text_equal(head->path, TEXT("/host"))) {
        respond(exchange, 200, text_copy(head->host, exchange->arena));
    } else if (text_equal(head->path, TEXT("/query"))) {
        respond(exchange, 200, text_copy(head->query, exchange->arena));
    } else if (text_equal(head->path, TEXT("/header"))) {
        respond(exchange, 200, text_copy(http_header(exchange, TEXT("X-Ask")), exchange->arena));
    } else if (text_equal(head->path, TEXT("/cookie"))) {
        respond(exchange, 200,
                text_format(exchange->arena, "%zu %.*s", head->header_count,
                            TEXT_ARG(http_header(exchange, TEXT("Cookie")))));
    } else if (text_equal(head->path, TEXT("/empty"))) {
        respond(exchange, 204, TEXT(""));
    } else if (text_equal(head->path, TEXT("/same"))) {
        respond(exchange, 304, TEXT(""));
    } else if (text_equal(head->path, TEXT("/big"))) {
        respond_big(exchange, 1 * MB);
    } else if (text_equal(head->path, TEXT("/100k"))) {
        respond_big(exchange, 100 * KB);
    } else if (text_equal(head->path, TEXT("/trailers"))) {
        respond_trailers(exchange, TEXT("body\n"));
    } else if (text_equal(head->path, TEXT("/bare-trailers"))) {
        respond_trailers(exchange, TEXT(""));
    } else if (text_equal(head->path, TEXT("/close"))) {
        HttpResponse response = {.status = 200, .text = TEXT("bye\n"), .close = true};
        http_respond(exchange, &response);
    } else {
        respond(exchange, 200, TEXT("hello\n"));
    }
}

static void on_drop(void *context, HttpExchange *exchange) {
    Wire *wire = context;
    wire->dropped++;
}

// Those of /slow and /later answer now, as who is told to hurry does, unless the test answers.
static void on_gone(void *context, HttpExchange *exchange) {
    Wire *wire = context;
    wire->gone++;
    if (wire->stubborn) return;
    for (size_t i = 0; i < wire->owed.count; i++) {
        if (wire->owed.at[i] != exchange) continue;
        wire->owed.at[i] = wire->owed.at[--wire->owed.count];
        respond(exchange, 503, TEXT("gone\n"));
        return;
    }
}

// ---- The world ----

static void output_waits(void *context) {
    ((Wire *)context)->woken++;
}
static void quiet(void *context) {}

void wire_begin(Test *t, Wire *wire, bool stubborn) {
    *wire = (Wire){.t = t, .stubborn = stubborn, .limits = http_limits_default()};
    clock_manual(&wire->clock, 1);
    clock_advance(&wire->clock, 1000000);
    wire->handler = (HttpHandler){.context = wire,
                                  .on_head = on_head,
                                  .on_request = on_request,
                                  .on_drop = on_drop,
                                  .on_gone = on_gone};
    wire->service = (HttpService){.clock = &wire->clock.clock,
                                  .handler = &wire->handler,
                                  .limits = &wire->limits,
                                  .requests = &wire->requests};
    nghttp2_hd_inflate_new(&wire->inflater);
}

void wire_open(Wire *wire) {
    Http2Host host = {.service = &wire->service,
                      .bodies = &wire->bodies,
                      .counters = &wire->counters,
                      .refused = &wire->refused,
                      .peer = TEXT("192.0.2.7:51234"),
                      .context = wire,
                      .output_waits = output_waits,
                      .quiet = quiet};
    wire->session = http2_begin(&host);
}

void wire_end(Wire *wire) {
    Test *t = wire->t;
    if (wire->session != NULL) {
        http2_abandon(wire->session);
        wire_answer_owed(wire);
        check_i64(t, 0, http2_owed(wire->session));
        http2_free(&wire->session);
    }
    check_i64(t, 0, atomic_load(&wire->counters.sessions));
    check_i64(t, 0, atomic_load(&wire->counters.streams));
    nghttp2_hd_inflate_del(wire->inflater);
    builder_free(&wire->out);
    array_free(&wire->events);
    array_free(&wire->owed);
    http_pool_free(&wire->bodies);
}

// As if the answer had come from another thread: what loop_post would call.
static void answer_late(HttpExchange *exchange) {
    HttpTurn *turn = (HttpTurn *)exchange;
    turn->in_handler = true;
    respond(exchange, 200, TEXT("late\n"));
    turn->in_handler = false;
    turn->when_answered(turn);
}

void wire_answer_owed(Wire *wire) {
    while (wire->owed.count > 0) answer_late(wire->owed.at[--wire->owed.count]);
    wire_read(wire);
}

static void read_headers(Wire *wire, WireEvent *event) {
    AUTO(builder_free) Builder text = {0};
    const uint8_t *at = (const uint8_t *)event->payload.at;
    size_t len = event->payload.len;
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(wire->inflater, &field, &flags, at, len, 1);
        Test *t = wire->t;
        check(t, used >= 0);
        at += used;
        len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            Text name = {(const char *)field.name, field.namelen};
            Text value = {(const char *)field.value, field.valuelen};
            if (text_equal(name, TEXT(":status"))) {
                uint64_t status = 0;
                check(t, text_to_u64(value, &status));
                event->status = (int)status;
            }
            builder_addf(&text, "%.*s=%.*s\n", TEXT_ARG(name), TEXT_ARG(value));
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(wire->inflater);
    event->headers = text_copy(builder_text(&text), wire->t->arena);
}

static uint32_t u32_at(Text text, size_t at) {
    const uint8_t *b = (const uint8_t *)text.at + at;
    return at + 4 > text.len
               ? 0
               : (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void read_frame(Wire *wire, Text frame) {
    const uint8_t *head = (const uint8_t *)frame.at;
    WireEvent event = {.type = head[3],
                       .flags = head[4],
                       .stream = u32_at(frame, 5),
                       .payload = text_copy(text_slice(frame, 9, frame.len), wire->t->arena)};
    if (event.type == HTTP2_HEADERS) read_headers(wire, &event);
    if (event.type == HTTP2_RST_STREAM || event.type == HTTP2_WINDOW_UPDATE)
        event.code = u32_at(event.payload, 0);
    if (event.type == HTTP2_GOAWAY) event.code = u32_at(event.payload, 4);
    *array_add(&wire->events) = event;
}

void wire_read(Wire *wire) {
    while (http2_output(wire->session, &wire->out)) {
        wire->bytes_out += (int64_t)wire->out.len;
        Text rest = builder_text(&wire->out);
        while (rest.len > 0) {
            size_t len = 9 + (u32_at(rest, 0) >> 8);
            if (rest.len < len) check_failed(wire->t, __FILE__, __LINE__, "output is cut");
            read_frame(wire, text_slice(rest, 0, len));
            rest = text_slice(rest, len, rest.len);
        }
        builder_clear(&wire->out);
    }
}

bool wire_feed(Wire *wire, Text bytes) {
    Error err = {0};
    // An exact copy, so that a read beyond the end is seen.
    uint8_t *exact = memory_take(bytes.len + 1);
    memcpy(exact, bytes.at, bytes.len);
    bool ok = http2_feed(wire->session, (Bytes){exact, bytes.len}, &err);
    memory_free(exact);
    wire_read(wire);
    return ok && !http2_is_over(wire->session);
}

void wire_greet(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0};
    builder_add(&bytes, TEXT(WIRE_PREFACE));
    wire_frame(&bytes, HTTP2_SETTINGS, 0, 0, TEXT(""));
    wire_frame(&bytes, HTTP2_SETTINGS, HTTP2_FLAG_ACK, 0, TEXT(""));
    (void)wire_feed(wire, builder_text(&bytes));
}

void wire_wait(Wire *wire, int64_t ms) {
    clock_advance(&wire->clock, ms);
    http2_tick(wire->session, wire->clock.monotonic_ns / 1000000);
    wire_read(wire);
}

// ---- What came out ----

const WireEvent *wire_find(const Wire *wire, uint8_t type, uint32_t stream) {
    for (size_t i = 0; i < wire->events.count; i++) {
        const WireEvent *event = &wire->events.at[i];
        if (event->type == type && event->stream == stream) return event;
    }
    return NULL;
}

bool wire_goaway(const Wire *wire, uint32_t *code) {
    const WireEvent *event = wire_find(wire, HTTP2_GOAWAY, 0);
    if (event != NULL) *code = event->code;
    return event != NULL;
}

bool wire_reset(const Wire *wire, uint32_t stream, uint32_t *code) {
    const WireEvent *event = wire_find(wire, HTTP2_RST_STREAM, stream);
    if (event != NULL) *code = event->code;
    return event != NULL;
}

int wire_status(const Wire *wire, uint32_t stream) {
    int status = 0;
    for (size_t i = 0; i < wire->events.count; i++) {
        const WireEvent *event = &wire->events.at[i];
        if (event->type == HTTP2_HEADERS && event->stream == stream && event->status >= 200)
            status = event->status;
    }
    return status;
}

Text wire_body(const Wire *wire, uint32_t stream) {
    AUTO(builder_free) Builder body = {0};
    for (size_t i = 0; i < wire->events.count; i++) {
        const WireEvent *event = &wire->events.at[i];
        if (event->type == HTTP2_DATA && event->stream == stream)
            builder_add(&body, event->payload);
    }
    return text_copy(builder_text(&body), wire->t->arena);
}

bool wire_ended(const Wire *wire, uint32_t stream) {
    for (size_t i = 0; i < wire->events.count; i++) {
        const WireEvent *event = &wire->events.at[i];
        bool message = event->type == HTTP2_DATA || event->type == HTTP2_HEADERS;
        if (message && event->stream == stream && (event->flags & HTTP2_FLAG_END_STREAM) != 0)
            return true;
    }
    return false;
}

bool wire_alive(Wire *wire) {
    AUTO(builder_free) Builder bytes = {0};
    Text payload = text_format(wire->t->arena, "alive%03d", wire->pings++);
    wire_frame(&bytes, HTTP2_PING, 0, 0, payload);
    (void)wire_feed(wire, builder_text(&bytes));
    for (size_t i = 0; i < wire->events.count; i++) {
        const WireEvent *event = &wire->events.at[i];
        if (event->type == HTTP2_PING && (event->flags & HTTP2_FLAG_ACK) != 0 &&
            text_equal(event->payload, payload))
            return true;
    }
    return false;
}
