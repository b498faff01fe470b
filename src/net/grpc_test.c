// gRPC's own layer: content types, frames, timeouts, statuses.

#include "base/test.h"
#include "codec/protobuf.h"
#include "net/grpc.h"

static HttpHead head_of(Test *t, const char *type, const char *encoding, const char *timeout) {
    HttpHeader *headers = arena_push_array(t->arena, HttpHeader, 3);
    size_t count = 0;
    if (type != NULL)
        headers[count++] = (HttpHeader){TEXT("Content-Type"), text_from_cstring(type)};
    if (encoding != NULL)
        headers[count++] = (HttpHeader){TEXT("grpc-encoding"), text_from_cstring(encoding)};
    if (timeout != NULL)
        headers[count++] = (HttpHeader){TEXT("grpc-timeout"), text_from_cstring(timeout)};
    return (HttpHead){.method = HTTP_POST,
                      .version_major = 2,
                      .version_minor = 1,
                      .headers = headers,
                      .header_count = count};
}

TEST(grpc_is_told_by_its_content_type) {
    static const struct {
        const char *type;
        bool is_grpc;
        ErrorCode fault;
    } rows[] = {
        {"application/grpc", true, ERROR_NONE},
        {"application/grpc+proto", true, ERROR_NONE},
        {"Application/GRPC", true, ERROR_NONE},
        {"application/grpc;charset=utf-8", true, ERROR_NONE},
        {"application/grpc+json", true, ERROR_UNSUPPORTED},
        {"application/grpc-web", false, ERROR_BAD_INPUT},
        {"application/grpcx", false, ERROR_BAD_INPUT},
        {"application/json", false, ERROR_BAD_INPUT},
        {"", false, ERROR_BAD_INPUT},
        {NULL, false, ERROR_BAD_INPUT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        HttpHead head = head_of(t, rows[i].type, NULL, NULL);
        GrpcCall call;
        check(t, grpc_is_request(&head) == rows[i].is_grpc);
        if (rows[i].fault == ERROR_NONE) {
            check_ok(t, grpc_call_read(&head, &call, t->err));
        } else {
            check_error(t, grpc_call_read(&head, &call, t->err), rows[i].fault);
        }
        head.version_major = 1;
        check(t, !grpc_is_request(&head));
    }
}

TEST(a_call_is_a_post_in_a_known_encoding) {
    GrpcCall call;
    HttpHead head = head_of(t, "application/grpc", "snappy", NULL);
    check_error(t, grpc_call_read(&head, &call, t->err), ERROR_UNSUPPORTED);
    head = head_of(t, "application/grpc", "zstd", NULL);
    check_ok(t, grpc_call_read(&head, &call, t->err));
    check(t, call.encoding == COMPRESSION_ZSTD && call.timeout_ns == INT64_MAX);
    head.method = HTTP_GET;
    check_error(t, grpc_call_read(&head, &call, t->err), ERROR_BAD_INPUT);
    head = head_of(t, "application/grpc", NULL, "soon");
    check_error(t, grpc_call_read(&head, &call, t->err), ERROR_BAD_INPUT);
}

TEST(timeouts_are_read_as_the_protocol_has_them) {
    static const struct {
        const char *text;
        int64_t ns;  // -1: none
    } rows[] = {
        {"1H", INT64_C(3600000000000)},
        {"2M", INT64_C(120000000000)},
        {"3S", INT64_C(3000000000)},
        {"4m", 4000000},
        {"5u", 5000},
        {"6n", 6},
        {"0n", 0},
        {"99999999n", 99999999},
        {"99999999H", INT64_MAX},
        {"100000000n", -1},
        {"1", -1},
        {"S", -1},
        {"", -1},
        {"-1S", -1},
        {"1 S", -1},
        {"1s", -1},
        {"1.5S", -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ns = -1;
        bool ok = grpc_timeout_parse(text_from_cstring(rows[i].text), &ns);
        check(t, ok == (rows[i].ns >= 0));
        check_i64(t, rows[i].ns, ns);
    }
}

TEST(a_unary_call_brings_one_message_exactly) {
    static const struct {
        Text body;
        ErrorCode fault;
    } rows[] = {
        {TEXT_INIT("\0\0\0\0\0"), ERROR_NONE},
        {TEXT_INIT("\0\0\0\0\3abc"), ERROR_NONE},
        {TEXT_INIT(""), ERROR_UNSUPPORTED},
        {TEXT_INIT("\0"), ERROR_BAD_INPUT},
        {TEXT_INIT("\0\0\0\0"), ERROR_BAD_INPUT},
        {TEXT_INIT("\0\0\0\0\4abc"), ERROR_BAD_INPUT},
        {TEXT_INIT("\0\377\377\377\377abc"), ERROR_BAD_INPUT},
        {TEXT_INIT("\0\0\0\0\2abc"), ERROR_UNSUPPORTED},
        {TEXT_INIT("\0\0\0\0\3abc\0\0\0\0\3abc"), ERROR_UNSUPPORTED},
        {TEXT_INIT("\2\0\0\0\3abc"), ERROR_BAD_INPUT},
        {TEXT_INIT("\200\0\0\0\3abc"), ERROR_BAD_INPUT},
        {TEXT_INIT("\1\0\0\0\3abc"), ERROR_BAD_INPUT},
    };
    GrpcCall call = {.encoding = COMPRESSION_NONE};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(builder_free) Builder unpacked = {0};
        Bytes message;
        Bytes body = text_bytes(rows[i].body);
        if (rows[i].fault == ERROR_NONE) {
            check_ok(t, grpc_message_read(&call, body, 100, &unpacked, &message, t->err));
            check_i64(t, (int64_t)body.len - 5, (int64_t)message.len);
        } else {
            check_error(t, grpc_message_read(&call, body, 100, &unpacked, &message, t->err),
                        rows[i].fault);
        }
    }
}

TEST(a_message_is_never_unpacked_beyond_its_limit) {
    AUTO(builder_free) Builder zeros = {0}, body = {0}, unpacked = {0};
    for (int i = 0; i < 100000; i++) builder_add_char(&zeros, 0);
    static const Compression encodings[] = {COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD};
    for (size_t i = 0; i < COUNT(encodings); i++) {
        GrpcCall call = {.encoding = encodings[i], .answer = encodings[i]};
        Bytes message, packed;
        builder_clear(&body);
        check_ok(t, grpc_message_write(&call, text_bytes(builder_text(&zeros)), &body, t->err));
        packed = text_bytes(builder_text(&body));
        check(t, (encodings[i] == COMPRESSION_NONE) == (packed.at[0] == 0));
        check_ok(t, grpc_message_read(&call, packed, 100000, &unpacked, &message, t->err));
        check_i64(t, 100000, (int64_t)message.len);
        check_error(t, grpc_message_read(&call, packed, 99999, &unpacked, &message, t->err),
                    ERROR_TOO_LARGE);
    }
}

TEST(an_outcome_tells_status_message_and_when_to_come_back) {
    const HttpHeader *fields;
    size_t count;
    grpc_outcome(GRPC_OK, TEXT(""), 0, t->arena, &fields, &count);
    check_i64(t, 1, (int64_t)count);
    check_text(t, TEXT("0"), fields[0].value);
    grpc_outcome(GRPC_INVALID_ARGUMENT, TEXT("50 % of \"ä\"\n"), 0, t->arena, &fields, &count);
    check_i64(t, 2, (int64_t)count);
    check_text(t, TEXT("3"), fields[0].value);
    check_text(t, TEXT("50 %25 of \"%C3%A4\"%0A"), fields[1].value);
    grpc_trailers_only(GRPC_UNAVAILABLE, TEXT("busy"), 2500, t->arena, &fields, &count);
    check_i64(t, 4, (int64_t)count);
    check_text(t, TEXT("application/grpc"), fields[0].value);
    check_text(t, TEXT("grpc-status-details-bin"), fields[3].name);
    // google.rpc.Status {14, "busy", RetryInfo {2 s, 500,000,000 ns}}, made with Python's protobuf.
    check_text(t,
               TEXT("CA4SBGJ1c3kaNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggI"
                    "AhCAyrXuAQ"),
               fields[3].value);
}

TEST(statuses_of_http_become_those_of_grpc) {
    check(t, grpc_status_of_http(413) == GRPC_RESOURCE_EXHAUSTED);
    check(t, grpc_status_of_http(503) == GRPC_UNAVAILABLE);
    check(t, grpc_status_of_http(501) == GRPC_UNIMPLEMENTED);
    check(t, grpc_status_of_http(418) == GRPC_UNKNOWN);
    check_i64(t, 16, GRPC_UNAUTHENTICATED);
    check_text(t, TEXT("DATA_LOSS"), grpc_status_name(15));
}

TEST_MAIN("net/grpc", CASE(grpc_is_told_by_its_content_type),
          CASE(a_call_is_a_post_in_a_known_encoding),
          CASE(timeouts_are_read_as_the_protocol_has_them),
          CASE(a_unary_call_brings_one_message_exactly),
          CASE(a_message_is_never_unpacked_beyond_its_limit),
          CASE(an_outcome_tells_status_message_and_when_to_come_back),
          CASE(statuses_of_http_become_those_of_grpc))
