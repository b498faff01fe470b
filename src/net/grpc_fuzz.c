// A message that was read is written and read again as the same; a timeout is never negative; a
// head is taken or refused with a reason.
//
// The first byte chooses the encodings, the second how much of the rest is header values.

#include "base/assert.h"
#include "base/memory.h"
#include "net/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_head(Text text) {
    Text type, encoding, timeout;
    Text rest = text;
    if (!text_cut(&rest, '\n', &type)) return;
    if (!text_cut(&rest, '\n', &encoding)) encoding = TEXT("");
    if (!text_cut(&rest, '\n', &timeout)) timeout = TEXT("1S");
    HttpHeader headers[] = {{TEXT("content-type"), type},
                            {TEXT("grpc-encoding"), encoding},
                            {TEXT("grpc-timeout"), timeout},
                            {TEXT("grpc-accept-encoding"), encoding}};
    HttpHead head = {.method = HTTP_POST,
                     .version_major = 2,
                     .version_minor = 1,
                     .headers = headers,
                     .header_count = COUNT(headers)};
    GrpcCall call;
    Error err = {0};
    if (grpc_call_read(&head, &call, &err)) {
        assert(grpc_is_request(&head) && call.timeout_ns >= 0);
        assert(call.encoding != COMPRESSION_SNAPPY);
    } else {
        assert(err.code != ERROR_NONE && err.message[0] != '\0');
    }
}

static void try_message(Bytes body, Compression encoding, Compression answer) {
    GrpcCall call = {.encoding = encoding, .answer = answer, .timeout_ns = INT64_MAX};
    Builder unpacked = {0}, written = {0}, again = {0};
    Bytes message, same;
    Error err = {0};
    if (grpc_message_read(&call, body, 64 * KB, &unpacked, &message, &err)) {
        assert(message.len <= 64 * KB);
        bool ok = grpc_message_write(&call, message, &written, &err);
        assert(ok);
        GrpcCall back = {.encoding = answer};
        ok = grpc_message_read(&back, text_bytes(builder_text(&written)), 64 * KB, &again, &same,
                               &err);
        assert(ok && bytes_equal(message, same));
    } else {
        assert(err.code != ERROR_NONE);
    }
    builder_free(&unpacked);
    builder_free(&written);
    builder_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    static const Compression encodings[] = {COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZLIB,
                                            COMPRESSION_ZSTD};
    static const Compression answers[] = {COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD};
    size_t head = MIN((size_t)data[1], size - 2);
    try_head((Text){(const char *)data + 2, head});
    try_message((Bytes){data + 2 + head, size - 2 - head}, encodings[data[0] & 3],
                answers[(data[0] >> 2) % 3]);
    return 0;
}
