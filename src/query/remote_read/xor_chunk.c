// Writing Prometheus' XOR chunks.

#include "query/remote_read/xor_chunk.h"

#include "base/assert.h"
#include "codec/reader.h"
#include "query/remote_read/chunk_bits.h"

static void put_time(BitWriter *bits, int64_t change) {
    static const struct {
        unsigned prefix, prefix_bits, bits;
    } classes[] = {{2, 2, 14}, {6, 3, 17}, {14, 4, 20}};
    if (change == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    for (size_t i = 0; i < COUNT(classes); i++) {
        if (!fits_signed(change, classes[i].bits)) continue;
        put_bits(bits, classes[i].prefix, classes[i].prefix_bits);
        put_bits(bits, (uint64_t)change, classes[i].bits);
        return;
    }
    put_bits(bits, 15, 4);
    put_bits(bits, (uint64_t)change, 64);
}

void xor_chunk_write(const int64_t *times, const double *values, size_t count, Builder *out) {
    assert(count > 0 && count <= XOR_CHUNK_SAMPLES_MAX);
    BitWriter bits = {out, 0};
    Window window = {WINDOW_NONE, 0};
    builder_add_char(out, (char)(count >> 8));
    builder_add_char(out, (char)(count & 255));
    writer_zigzag(out, times[0]);
    put_bits(&bits, double_bits(values[0]), 64);
    uint64_t distance = 0;
    for (size_t i = 1; i < count; i++) {
        // Times may lie as far apart as 64 bits allow, so distances wrap, as they do in Go.
        uint64_t next = (uint64_t)times[i] - (uint64_t)times[i - 1];
        if (i == 1) {
            assert(bits.free == 0);
            writer_varint(out, next);
        } else {
            put_time(&bits, (int64_t)(next - distance));
        }
        distance = next;
        put_change(&bits, &window, double_bits(values[i - 1]), double_bits(values[i]));
    }
}
