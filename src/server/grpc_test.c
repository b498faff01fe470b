// gRPC through the whole server: who may call, what goes wrong and how it is told, the health
// service. The client is frames by hand over a socket.

#include <nghttp2/nghttp2.h>

#include "codec/protobuf.h"
#include "net/grpc.h"
#include "net/test_peer.h"
#include "server/request.h"
#include "server/test_server.h"

#define HEALTH  "/grpc.health.v1.Health/Check"
#define METRICS "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

enum { FRAME_DATA, FRAME_HEADERS, FRAME_RST_STREAM = 3, FRAME_SETTINGS = 4 };
enum { END_STREAM = 1, END_HEADERS = 4, FRAME_BYTES_MAX = 16384 };

typedef struct Outcome {
    Text headers;  // of all header blocks: "name=value\n…"
    Text body;
    int64_t code;  // grpc-status; -1: none
} Outcome;

// ---- The client ----

static void add_frame(Builder *out, uint8_t type, uint8_t flags, uint8_t stream, Text payload) {
    uint8_t head[] = {(uint8_t)(payload.len >> 16),
                      (uint8_t)(payload.len >> 8),
                      (uint8_t)payload.len,
                      type,
                      flags,
                      0,
                      0,
                      0,
                      stream};
    builder_add_bytes(out, head, sizeof head);
    builder_add(out, payload);
}

static void add_field(Builder *block, Text name, Text value) {
    builder_add_char(block, 0x10);
    builder_add_char(block, (char)name.len);
    builder_add(block, name);
    builder_add_char(block, (char)value.len);
    builder_add(block, value);
}

static void read_block(Test *t, nghttp2_hd_inflater *inflater, Text block, Builder *out) {
    const uint8_t *at = (const uint8_t *)block.at;
    size_t len = block.len;
    int flags = 0;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, at, len, 1);
        check(t, used >= 0);
        at += used;
        len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) continue;
        builder_addf(out, "%.*s=%.*s\n", (int)field.namelen, field.name, (int)field.valuelen,
                     field.value);
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

// Takes whole frames off `raw`; true once the stream has ended.
static bool read_frames(Test *t, nghttp2_hd_inflater *inflater, Builder *raw, Builder *headers,
                        Builder *body) {
    bool ended = false;
    size_t at = 0;
    while (raw->len - at >= 9) {
        const uint8_t *head = (const uint8_t *)raw->at + at;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (raw->len - at < 9 + len) break;
        Text payload = {raw->at + at + 9, len};
        if (head[3] == FRAME_HEADERS) read_block(t, inflater, payload, headers);
        if (head[3] == FRAME_DATA) builder_add(body, payload);
        bool message = head[3] == FRAME_HEADERS || head[3] == FRAME_DATA;
        if (message && (head[4] & END_STREAM) != 0) ended = true;
        check(t, head[3] != FRAME_RST_STREAM);
        at += 9 + len;
    }
    memmove(raw->at, raw->at + at, raw->len - at);
    raw->len -= at;
    return ended;
}

static Text header_of(Text headers, Text name) {
    Text line, key;
    while (text_cut(&headers, '\n', &line))
        if (text_cut(&line, '=', &key) && text_equal(key, name)) return line;
    return TEXT_NONE;
}

static Outcome outcome_read(Test *t, Socket socket) {
    AUTO(builder_free) Builder raw = {0}, headers = {0}, body = {0};
    nghttp2_hd_inflater *inflater;
    nghttp2_hd_inflate_new(&inflater);
    for (bool ended = false; !ended;) {
        char piece[4096];
        size_t count = 0;
        check_ok(t, socket_wait(socket, false, 10000, t->err));
        SocketResult result = socket_read(socket, piece, sizeof piece, &count, t->err);
        check(t, result == SOCKET_DONE || result == SOCKET_AGAIN);
        builder_add_bytes(&raw, piece, count);
        ended = read_frames(t, inflater, &raw, &headers, &body);
    }
    nghttp2_hd_inflate_del(inflater);
    Outcome outcome = {.headers = text_copy(builder_text(&headers), t->arena),
                       .body = text_copy(builder_text(&body), t->arena),
                       .code = -1};
    uint64_t code;
    if (text_to_u64(header_of(outcome.headers, TEXT("grpc-status")), &code))
        outcome.code = (int64_t)code;
    return outcome;
}

// One call; `body` is as it goes over the wire. Fields beyond those every call has may be added.
static Outcome call(Test *t, const TestServer *world, Text path, Text key, Text name, Text value,
                    Text body) {
    Socket socket;
    check_ok(t, socket_connect(TEXT("127.0.0.1"), world->port, 5000, &socket, t->err));
    AUTO(builder_free) Builder out = {0}, block = {0};
    builder_add(&out, TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    add_frame(&out, FRAME_SETTINGS, 0, 0, TEXT(""));
    add_field(&block, TEXT(":method"), TEXT("POST"));
    add_field(&block, TEXT(":scheme"), TEXT("http"));
    add_field(&block, TEXT(":path"), path);
    add_field(&block, TEXT(":authority"), TEXT("localhost"));
    add_field(&block, TEXT("content-type"), TEXT("application/grpc"));
    if (key.len > 0)
        add_field(&block, TEXT("authorization"),
                  text_format(t->arena, "Bearer %.*s", TEXT_ARG(key)));
    if (name.len > 0) add_field(&block, name, value);
    add_frame(&out, FRAME_HEADERS, END_HEADERS, 1, builder_text(&block));
    // A whole frame is only the first of many that need not come.
    add_frame(&out, FRAME_DATA, body.len == FRAME_BYTES_MAX ? 0 : END_STREAM, 1, body);
    say(t, socket, builder_text(&out));
    Outcome outcome = outcome_read(t, socket);
    socket_close(&socket);
    check_text(t, TEXT("200"), header_of(outcome.headers, TEXT(":status")));
    check_text(t, TEXT("application/grpc"), header_of(outcome.headers, TEXT("content-type")));
    return outcome;
}

static const Text empty = TEXT_INIT("\0\0\0\0\0");

static Outcome call_plain(Test *t, const TestServer *world, const char *path, Text body) {
    return call(t, world, text_from_cstring(path), TEXT(""), TEXT(""), TEXT(""), body);
}

// ---- The tests ----

TEST(the_health_service_serves_once_the_server_is_ready) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Outcome outcome = call_plain(t, &world, HEALTH, empty);
    check_i64(t, GRPC_OK, outcome.code);
    check(t, text_equal(outcome.body, TEXT("\0\0\0\0\2\x08\1")));
    outcome = call_plain(t, &world, HEALTH, TEXT("\0\0\0\0\5\x0a\3foo"));
    check_i64(t, GRPC_NOT_FOUND, outcome.code);
    check_text(t, TEXT("there is no service foo here"),
               header_of(outcome.headers, TEXT("grpc-message")));
    test_server_end(t, &world);
}

TEST(while_the_log_is_replayed_calls_are_told_when_to_come_back) {
    TestServer world;
    test_server_begin(t, &world,
                      (TestServerOptions){.durability = LOG_MEMORY, .not_replayed = true});
    Outcome outcome = call_plain(t, &world, HEALTH, empty);
    check_i64(t, GRPC_OK, outcome.code);
    check(t, text_equal(outcome.body, TEXT("\0\0\0\0\2\x08\2")));  // NOT_SERVING
    outcome = call_plain(t, &world, METRICS, empty);
    check_i64(t, GRPC_UNAVAILABLE, outcome.code);
    // google.rpc.Status with a RetryInfo: clients of OTLP drop their data without it.
    check(t, header_of(outcome.headers, TEXT("grpc-status-details-bin")).len > 80);
    test_server_end(t, &world);
}

TEST(what_is_no_method_is_unimplemented) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    static const char *const paths[] = {"/no.Such/Method", "/api/v1/query", "/-/healthy",
                                        "/grpc.health.v1.Health/Watch"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        Outcome outcome = call_plain(t, &world, paths[i], empty);
        // The public routes of HTTP are no methods either.
        check_i64(t, GRPC_UNIMPLEMENTED, outcome.code);
        check(t, header_of(outcome.headers, TEXT("grpc-message")).len > 10);
    }
    test_server_end(t, &world);
}

TEST(a_call_needs_its_key_and_its_permission) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    Text reader = test_server_key(t, &world, TEXT("a"), PERMISSION_READ_METRICS);
    Text writer = test_server_key(t, &world, TEXT("a"), PERMISSION_WRITE_METRICS);
    Text path = TEXT(METRICS);
    check_i64(t, GRPC_UNAUTHENTICATED, call_plain(t, &world, METRICS, empty).code);
    check_i64(t, GRPC_UNAUTHENTICATED, call_plain(t, &world, "/no.Such/Method", empty).code);
    check_i64(t, GRPC_UNAUTHENTICATED,
              call(t, &world, path, TEXT("wrong"), TEXT(""), TEXT(""), empty).code);
    check_i64(t, GRPC_PERMISSION_DENIED,
              call(t, &world, path, reader, TEXT(""), TEXT(""), empty).code);
    check_i64(t, GRPC_OK, call(t, &world, path, writer, TEXT(""), TEXT(""), empty).code);
    check_i64(t, GRPC_OK, call_plain(t, &world, HEALTH, empty).code);
    test_server_end(t, &world);
}

TEST(a_malformed_call_is_told_what_is_wrong) {
    TestServer world;
    test_server_begin(t, &world, (TestServerOptions){.durability = LOG_MEMORY});
    static const struct {
        Text name, value, body;
        GrpcStatus status;
    } rows[] = {
        {TEXT_INIT(""), TEXT_INIT(""), TEXT_INIT(""), GRPC_UNIMPLEMENTED},
        {TEXT_INIT(""), TEXT_INIT(""), TEXT_INIT("\0\0\0\0\0\0\0\0\0\0"), GRPC_UNIMPLEMENTED},
        {TEXT_INIT(""), TEXT_INIT(""), TEXT_INIT("\0\0\0"), GRPC_INVALID_ARGUMENT},
        {TEXT_INIT(""), TEXT_INIT(""), TEXT_INIT("\0\0\0\0\2\x0a\x09"), GRPC_INVALID_ARGUMENT},
        {TEXT_INIT("grpc-encoding"), TEXT_INIT("br"), TEXT_INIT("\0\0\0\0\0"), GRPC_UNIMPLEMENTED},
        {TEXT_INIT("grpc-timeout"), TEXT_INIT("1n"), TEXT_INIT("\0\0\0\0\0"),
         GRPC_DEADLINE_EXCEEDED},
        {TEXT_INIT("grpc-timeout"), TEXT_INIT("1x"), TEXT_INIT("\0\0\0\0\0"),
         GRPC_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Outcome outcome =
            call(t, &world, TEXT(HEALTH), TEXT(""), rows[i].name, rows[i].value, rows[i].body);
        check_i64(t, rows[i].status, outcome.code);
        check(t, outcome.body.len == 0);
        check(t, header_of(outcome.headers, TEXT("grpc-status-details-bin")).len == 0);
    }
    AUTO(builder_free) Builder large = {0};
    for (int i = 0; i < FRAME_BYTES_MAX; i++) builder_add_char(&large, 0);
    Outcome outcome = call(t, &world, TEXT(HEALTH), TEXT(""), TEXT("content-length"), TEXT("70000"),
                           builder_text(&large));
    check_i64(t, GRPC_RESOURCE_EXHAUSTED, outcome.code);
    test_server_end(t, &world);
}

TEST(every_code_has_a_grpc_status) {
    for (ErrorCode code = ERROR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        GrpcStatus status = error_status(code).grpc;
        check(t, status > GRPC_OK && status < GRPC_STATUS_COUNT);
        // What a client caused must not be retried: UNAVAILABLE and its like would be.
        if (error_status(code).status == 400) check(t, status == GRPC_INVALID_ARGUMENT);
    }
}

TEST_MAIN("server/grpc", CASE(the_health_service_serves_once_the_server_is_ready),
          CASE(while_the_log_is_replayed_calls_are_told_when_to_come_back),
          CASE(what_is_no_method_is_unimplemented), CASE(a_call_needs_its_key_and_its_permission),
          CASE(a_malformed_call_is_told_what_is_wrong), CASE(every_code_has_a_grpc_status))
