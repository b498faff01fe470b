// Writing Prometheus' XOR chunks.

#include "query/remote_read/xor_chunk.h"

#include "base/assert.h"
#include "codec/reader.h"
#include "model/sample.h"

// Bits go into a byte from its highest on.
typedef struct BitWriter {
    Builder *out;
    unsigned free;  // bits of the last byte that are not taken
} BitWriter;

static void put_bits(BitWriter *bits, uint64_t value, unsigned count) {
    while (count > 0) {
        if (bits->free == 0) {
            builder_add_char(bits->out, 0);
            bits->free = 8;
        }
        unsigned take = MIN(count, bits->free);
        uint64_t part = value >> (count - take) & ((1u << take) - 1);
        uint8_t *last = (uint8_t *)bits->out->at + bits->out->len - 1;
        *last = (uint8_t)(*last | part << (bits->free - take));
        bits->free -= take;
        count -= take;
    }
}

// From -(2^(count - 1) - 1) to 2^(count - 1).
static bool fits(int64_t value, unsigned count) {
    int64_t half = INT64_C(1) << (count - 1);
    return value > -half && value <= half;
}

static void put_time(BitWriter *bits, int64_t change) {
    static const struct {
        unsigned prefix, prefix_bits, bits;
    } classes[] = {{2, 2, 14}, {6, 3, 17}, {14, 4, 20}};
    if (change == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    for (size_t i = 0; i < COUNT(classes); i++) {
        if (!fits(change, classes[i].bits)) continue;
        put_bits(bits, classes[i].prefix, classes[i].prefix_bits);
        put_bits(bits, (uint64_t)change, classes[i].bits);
        return;
    }
    put_bits(bits, 15, 4);
    put_bits(bits, (uint64_t)change, 64);
}

// The window of significant bits of the value before; `leading` 255: none yet.
typedef struct Window {
    unsigned leading, trailing;
} Window;

static void put_value(BitWriter *bits, Window *window, double before, double value) {
    enum { LEADING_MAX = 31, LEADING_BITS = 5, SIZE_BITS = 6 };
    uint64_t changed = double_bits(before) ^ double_bits(value);
    if (changed == 0) {
        put_bits(bits, 0, 1);
        return;
    }
    put_bits(bits, 1, 1);
    unsigned leading = MIN((unsigned)__builtin_clzll(changed), (unsigned)LEADING_MAX);
    unsigned trailing = (unsigned)__builtin_ctzll(changed);
    bool inside =
        window->leading != 255 && leading >= window->leading && trailing >= window->trailing;
    put_bits(bits, inside ? 0 : 1, 1);
    if (!inside) {
        *window = (Window){leading, trailing};
        put_bits(bits, leading, LEADING_BITS);
        put_bits(bits, (64 - leading - trailing) & 63, SIZE_BITS);  // 64 is written as 0
    }
    put_bits(bits, changed >> window->trailing, 64 - window->leading - window->trailing);
}

void xor_chunk_write(const int64_t *times, const double *values, size_t count, Builder *out) {
    assert(count > 0 && count <= XOR_CHUNK_SAMPLES_MAX);
    BitWriter bits = {out, 0};
    Window window = {255, 0};
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
        put_value(&bits, &window, values[i - 1], values[i]);
    }
}
