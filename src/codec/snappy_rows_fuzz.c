// However the bytes are cut into rows, they come back. The first byte says how they are cut.

#include "base/assert.h"
#include "codec/compress.h"
#include "codec/snappy_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t row = 1 + data[0] % 64, head = data[0] / 4;
    Bytes bytes = {data + 1, size - 1};
    AUTO(builder_free) Builder packed = {0}, back = {0};
    SnappyRows rows;
    snappy_rows_begin(&rows, bytes.len, &packed);
    size_t lead = data[0] % 3, at = 0;
    Bytes before = BYTES_NONE;
    for (; at + lead + row <= bytes.len; at += lead + row) {
        const uint8_t *from = bytes.at + at + lead;
        Bytes here = {from, MIN(head, row)};
        snappy_rows_add(&rows, (Bytes){from - lead, lead}, here, snappy_rows_alike(before, here),
                        (Bytes){from + here.len, row - here.len});
        before = here;
    }
    snappy_rows_end(&rows, (Bytes){bytes.at + at, bytes.len - at});
    Error err = {0};
    bool done =
        decompress(COMPRESSION_SNAPPY, text_bytes(builder_text(&packed)), bytes.len, &back, &err);
    assert(done && bytes_equal(text_bytes(builder_text(&back)), bytes));
    return 0;
}
