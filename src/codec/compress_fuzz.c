// Whatever comes in, the output stays within its bounds; and what we compress comes back.

#include "base/assert.h"
#include "codec/packer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// In two pieces: one body comes back.
static void pack_in_pieces(Compression compression, Bytes body, size_t cut) {
    AUTO(packer_close) Packer *packer = NULL;
    AUTO(builder_free) Builder out = {0}, back = {0};
    Error err = {0};
    bool packed = packer_open(compression, 1, &packer, &err) &&
                  packer_add(packer, (Bytes){body.at, cut}, &out, &err) &&
                  packer_add(packer, (Bytes){body.at + cut, body.len - cut}, &out, &err) &&
                  packer_end(packer, &out, &err);
    assert(packed);
    bool returned = decompress(compression, text_bytes(builder_text(&out)), body.len, &back, &err);
    assert(returned && bytes_equal(text_bytes(builder_text(&back)), body));
}

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
    if (compression == COMPRESSION_GZIP || compression == COMPRESSION_ZSTD)
        pack_in_pieces(compression, body, data[0] * body.len / 256);
    return 0;
}
