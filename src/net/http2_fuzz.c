// Whatever a client sends, in whatever pieces: the same heads reach the handler, the same requests
// are served, and the connection ends alike; nothing is owed or held at the end.
//
// The first byte chooses the pieces and whether a good greeting goes before; the rest are frames.

#include "base/assert.h"
#include "base/memory.h"
#include "net/http2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Outcome {
    int heads, served, dropped;
    bool over;
    int64_t goaways;
} Outcome;

static bool on_head(void *context, HttpExchange *exchange) {
    Outcome *outcome = context;
    outcome->heads++;
    assert(exchange->head.path.len > 0 && exchange->head.version_major == 2);
    exchange->body_bytes_max = 4 * KB;
    if (exchange->head.method != HTTP_DELETE) return true;
    HttpResponse response = {.status = 403};
    http_respond(exchange, &response);
    return false;
}

static void on_request(void *context, HttpExchange *exchange) {
    Outcome *outcome = context;
    outcome->served++;
    assert(exchange->body.len <= 4 * KB);
    static const HttpHeader trailers[] = {{TEXT_INIT("grpc-status"), TEXT_INIT("0")}};
    HttpResponse response = {.status = 200,
                             .text = text_copy(bytes_text(exchange->body), exchange->arena),
                             .trailers = trailers,
                             .trailer_count = exchange->head.method == HTTP_POST};
    http_respond(exchange, &response);
}

static void on_drop(void *context, HttpExchange *exchange) {
    ((Outcome *)context)->dropped++;
}

static void nothing(void *context) {}

static void run(const uint8_t *data, size_t size, bool greet, size_t step, Outcome *outcome) {
    ManualClock clock;
    clock_manual(&clock, 1);
    HttpLimits limits = http_limits_default();
    HttpHandler handler = {
        .context = outcome, .on_head = on_head, .on_request = on_request, .on_drop = on_drop};
    _Atomic int64_t requests = 0, refused = 0;
    Http2Counters counters = {0};
    HttpPool pool = {0};
    HttpService service = {
        .clock = &clock.clock, .handler = &handler, .limits = &limits, .requests = &requests};
    Http2Host host = {.service = &service,
                      .bodies = &pool,
                      .counters = &counters,
                      .refused = &refused,
                      .output_waits = nothing,
                      .quiet = nothing};
    Http2Session *session = http2_begin(&host);
    Error err = {0};
    static const char greeting[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    if (greet)
        (void)!http2_feed(session, (Bytes){(const uint8_t *)greeting, sizeof greeting - 1}, &err);
    for (size_t at = 0; at < size; at += step)
        (void)!http2_feed(session, (Bytes){data + at, MIN(step, size - at)}, &err);
    // Resets that answer faults are counted as they go out: in both runs at the end.
    Builder out = {0};
    while (http2_output(session, &out)) builder_clear(&out);
    outcome->over = http2_is_over(session);
    for (size_t i = 0; i < HTTP2_GOAWAY_COUNT; i++) outcome->goaways += counters.goaways[i];
    clock_advance(&clock, 1000000);
    http2_tick(session, 1000000);
    http2_tick(session, 2000000);
    while (http2_output(session, &out)) builder_clear(&out);
    http2_abandon(session);
    assert(http2_owed(session) == 0);
    http2_free(&session);
    assert(counters.streams == 0 && counters.sessions == 0);
    builder_free(&out);
    http_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    bool greet = (data[0] & 1) == 0;
    size_t step = 1 + (data[0] >> 1);
    Outcome whole = {0}, pieces = {0};
    run(data + 1, size - 1, greet, MAX(size, (size_t)1), &whole);
    run(data + 1, size - 1, greet, step, &pieces);
    assert(whole.heads == pieces.heads && whole.served == pieces.served);
    assert(whole.over == pieces.over && whole.goaways == pieces.goaways);
    return 0;
}
