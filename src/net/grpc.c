// gRPC's own layer: content types, message frames, timeouts, status fields.

#include "net/grpc.h"

#include "base/assert.h"
#include "codec/protobuf.h"

enum { COMPRESS_BYTES_MIN = 1 * KB, MESSAGE_TEXT_MAX = 1 * KB };

Text grpc_status_name(GrpcStatus status) {
    static const Text names[] = {
#define ROW(name) TEXT_INIT(#name),
        GRPC_STATUSES(ROW)
#undef ROW
    };
    assert(status < GRPC_STATUS_COUNT);
    return names[status];
}

// ---- The head ----

// What follows "application/grpc" up to parameters; false when it is something else.
static bool subtype_of(const HttpHead *head, Text *out) {
    static const Text begin = TEXT_INIT("application/grpc");
    Text rest = http_head_find(head, TEXT("content-type")), media;
    if (!text_cut(&rest, ';', &media)) return false;
    media = text_trim(media);
    if (media.len < begin.len || !text_equal_ignore_case(text_slice(media, 0, begin.len), begin))
        return false;
    *out = text_slice(media, begin.len, media.len);
    return out->len == 0 || out->at[0] == '+';
}

bool grpc_is_request(const HttpHead *head) {
    Text subtype;
    return head->version_major == 2 && subtype_of(head, &subtype);
}

bool grpc_timeout_parse(Text text, int64_t *out_ns) {
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', INT64_C(3600000000000)},
                 {'M', INT64_C(60000000000)},
                 {'S', INT64_C(1000000000)},
                 {'m', 1000000},
                 {'u', 1000},
                 {'n', 1}};
    uint64_t value;
    if (text.len < 2 || text.len > 9 || !text_to_u64(text_slice(text, 0, text.len - 1), &value))
        return false;
    for (size_t i = 0; i < COUNT(units); i++) {
        if (units[i].unit != text.at[text.len - 1]) continue;
        // 99999999 hours are more than 64 bits of nanoseconds.
        bool fits = (int64_t)value <= INT64_MAX / units[i].ns;
        *out_ns = fits ? (int64_t)value * units[i].ns : INT64_MAX;
        return true;
    }
    return false;
}

// gRPC's names are those of HTTP, but for snappy, which nobody could agree on the framing of.
static bool encoding_known(Text name, Compression *out) {
    return compression_from_name(name, out) && *out != COMPRESSION_SNAPPY;
}

// The first of grpc-accept-encoding that we would write.
static Compression answer_encoding(const HttpHead *head) {
    Text rest = http_head_find(head, TEXT("grpc-accept-encoding")), name;
    while (text_cut(&rest, ',', &name)) {
        Compression one;
        if (encoding_known(text_trim(name), &one) &&
            (one == COMPRESSION_GZIP || one == COMPRESSION_ZSTD))
            return one;
    }
    return COMPRESSION_NONE;
}

bool grpc_call_read(const HttpHead *head, GrpcCall *out, Error *err) {
    *out = (GrpcCall){.timeout_ns = INT64_MAX};
    Text subtype = TEXT_NONE;
    if (head->version_major != 2 || !subtype_of(head, &subtype))
        return error_set(err, ERROR_BAD_INPUT, "this is not a gRPC call");
    if (head->method != HTTP_POST) return error_set(err, ERROR_BAD_INPUT, "a gRPC call is a POST");
    if (subtype.len > 0 && !text_equal_ignore_case(subtype, TEXT("+proto"))) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "messages are protobuf here (application/grpc+proto), not \"%.*s\"",
                         TEXT_ARG(subtype));
    }
    Text encoding = http_head_find(head, TEXT("grpc-encoding"));
    if (!encoding_known(encoding, &out->encoding)) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "messages may be identity, gzip, deflate or zstd, not \"%.*s\"",
                         TEXT_ARG(encoding));
    }
    Text timeout = http_head_find(head, TEXT("grpc-timeout"));
    if (timeout.at != NULL && !grpc_timeout_parse(timeout, &out->timeout_ns)) {
        return error_set(err, ERROR_BAD_INPUT,
                         "grpc-timeout is 1 to 8 digits and one of H M S m u n, not \"%.*s\"",
                         TEXT_ARG(timeout));
    }
    out->answer = answer_encoding(head);
    return true;
}

// ---- Messages ----

bool grpc_message_read(const GrpcCall *call, Bytes body, size_t bytes_max, Builder *unpacked,
                       Bytes *out, Error *err) {
    if (body.len == 0)
        return error_set(err, ERROR_UNSUPPORTED, "a unary call brings one message, not none");
    if (body.len < GRPC_FRAME_HEADER_BYTES)
        return error_set(err, ERROR_BAD_INPUT, "the message's header is cut short");
    uint8_t flag = body.at[0];
    size_t len =
        (size_t)body.at[1] << 24 | (size_t)body.at[2] << 16 | (size_t)body.at[3] << 8 | body.at[4];
    Bytes message = {body.at + GRPC_FRAME_HEADER_BYTES, body.len - GRPC_FRAME_HEADER_BYTES};
    if (flag > 1)
        return error_set(err, ERROR_BAD_INPUT, "the message's flag is %d, not 0 or 1", flag);
    if (len > message.len)
        return error_set(err, ERROR_BAD_INPUT, "the message is cut short: %zu bytes of %zu",
                         message.len, len);
    if (len < message.len) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "a unary call brings one message; %zu bytes follow it", message.len - len);
    }
    if (flag == 0) {
        if (len > bytes_max)
            return error_set(err, ERROR_TOO_LARGE, "the message has %zu bytes, more than %zu", len,
                             bytes_max);
        *out = message;
        return true;
    }
    if (call->encoding == COMPRESSION_NONE)
        return error_set(err, ERROR_BAD_INPUT,
                         "the message is marked as compressed, but grpc-encoding says identity");
    builder_clear(unpacked);
    if (!decompress(call->encoding, message, bytes_max, unpacked, err))
        return error_context(err, "grpc-encoding %.*s", TEXT_ARG(compression_name(call->encoding)));
    *out = text_bytes(builder_text(unpacked));
    return true;
}

bool grpc_message_write(const GrpcCall *call, Bytes message, Builder *out, Error *err) {
    bool pack = call->answer != COMPRESSION_NONE && message.len >= COMPRESS_BYTES_MIN;
    size_t begin = out->len;
    builder_add_bytes(out, "\0\0\0\0", GRPC_FRAME_HEADER_BYTES);
    if (pack) {
        if (!compress_bytes(call->answer, 0, message, out, err)) {
            out->len = begin;
            return false;
        }
    } else {
        builder_add_bytes(out, message.at, message.len);
    }
    size_t len = out->len - begin - GRPC_FRAME_HEADER_BYTES;
    uint8_t header[] = {pack, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                        (uint8_t)len};
    memcpy(out->at + begin, header, sizeof header);
    return true;
}

// ---- Outcomes ----

// grpc-message: everything but printable ASCII, and the percent itself, as %XX. A cut may fall
// between the bytes of a character; clients show what they can.
static Text percent_encode(Text message, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < MIN(message.len, (size_t)MESSAGE_TEXT_MAX); i++) {
        uint8_t c = (uint8_t)message.at[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            builder_add_char(&out, (char)c);
        } else {
            builder_addf(&out, "%%%02X", c);
        }
    }
    return text_copy(builder_text(&out), arena);
}

// Without padding, as gRPC asks for binary fields.
static Text base64(Text bytes, Arena *arena) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_push_array_raw(arena, char, (bytes.len + 2) / 3 * 4);
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t count = MIN(bytes.len - i, (size_t)3);
        uint32_t bits = 0;
        for (size_t n = 0; n < 3; n++)
            bits = bits << 8 | (n < count ? (uint8_t)bytes.at[i + n] : 0);
        for (size_t n = 0; n <= count; n++) out[len++] = digits[bits >> (18 - 6 * n) & 63];
    }
    return (Text){out, len};
}

// google.rpc.Status {code = 1, message = 2, details = 3: Any {type_url = 1, value = 2}} with one
// google.rpc.RetryInfo {retry_delay = 1: Duration {seconds = 1, nanos = 2}}.
static Text status_details(GrpcStatus status, Text message, int64_t retry_after_ms, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    protobuf_add_varint(&out, 1, (uint64_t)status);
    protobuf_add_text(&out, 2, message);
    size_t any = protobuf_begin(&out, 3);
    protobuf_add_text(&out, 1, TEXT("type.googleapis.com/google.rpc.RetryInfo"));
    size_t info = protobuf_begin(&out, 2);
    size_t delay = protobuf_begin(&out, 1);
    protobuf_add_varint(&out, 1, (uint64_t)(retry_after_ms / 1000));
    protobuf_add_varint(&out, 2, (uint64_t)(retry_after_ms % 1000 * 1000000));
    protobuf_end(&out, delay);
    protobuf_end(&out, info);
    protobuf_end(&out, any);
    return base64(builder_text(&out), arena);
}

static size_t outcome_fields(GrpcStatus status, Text message, int64_t retry_after_ms, Arena *arena,
                             HttpHeader *out) {
    size_t count = 0;
    out[count++] = (HttpHeader){TEXT("grpc-status"), text_format(arena, "%d", (int)status)};
    if (message.len > 0)
        out[count++] = (HttpHeader){TEXT("grpc-message"), percent_encode(message, arena)};
    if (retry_after_ms > 0)
        out[count++] = (HttpHeader){TEXT("grpc-status-details-bin"),
                                    status_details(status, message, retry_after_ms, arena)};
    return count;
}

void grpc_outcome(GrpcStatus status, Text message, int64_t retry_after_ms, Arena *arena,
                  const HttpHeader **out, size_t *count) {
    HttpHeader *fields = arena_push_array(arena, HttpHeader, GRPC_HEADERS_MAX);
    *count = outcome_fields(status, message, retry_after_ms, arena, fields);
    *out = fields;
}

void grpc_trailers_only(GrpcStatus status, Text message, int64_t retry_after_ms, Arena *arena,
                        const HttpHeader **out, size_t *count) {
    HttpHeader *fields = arena_push_array(arena, HttpHeader, GRPC_HEADERS_MAX);
    fields[0] = (HttpHeader){TEXT("content-type"), TEXT("application/grpc")};
    *count = 1 + outcome_fields(status, message, retry_after_ms, arena, fields + 1);
    *out = fields;
}

GrpcStatus grpc_status_of_http(int status) {
    switch (status) {
        case 400:
            return GRPC_INVALID_ARGUMENT;
        case 401:
            return GRPC_UNAUTHENTICATED;
        case 403:
            return GRPC_PERMISSION_DENIED;
        case 404:
        case 405:
        case 501:
            return GRPC_UNIMPLEMENTED;
        case 408:
        case 504:
            return GRPC_DEADLINE_EXCEEDED;
        case 413:
        case 431:
            return GRPC_RESOURCE_EXHAUSTED;
        case 429:
        case 503:
            return GRPC_UNAVAILABLE;
        default:
            return GRPC_UNKNOWN;
    }
}
