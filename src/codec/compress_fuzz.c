// Whatever comes in, the output stays within its bounds; and what we compress comes back.

#include "base/assert.h"
#include "codec/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    Compression compression = (Compression)(data[0] % COMPRESSION_COUNT);
    Bytes body = {data + 1, size - 1};
    const size_t bytes_max = 100000;
    AUTO(builder_free) Builder out = {0};
    Error err = {0};
    builder_add(&out, TEXT("kept"));
    bool decoded = decompress(compression, body, bytes_max, &out, &err);
    assert(text_starts_with(builder_text(&out), TEXT("kept")));
    assert(out.len - 4 <= bytes_max && out.capacity <= bytes_max + 8 * KB);
    assert(decoded || out.len == 4);
    assert(decoded || err.code == ERROR_BAD_INPUT || err.code == ERROR_TOO_LARGE);

    builder_clear(&out);
    AUTO(builder_free) Builder back = {0};
    bool compressed = compress_bytes(compression, 0, body, &out, &err);
    assert(compressed);
    bool returned = decompress(compression, text_bytes(builder_text(&out)), body.len, &back, &err);
    assert(returned && bytes_equal(text_bytes(builder_text(&back)), body));
    return 0;
}
