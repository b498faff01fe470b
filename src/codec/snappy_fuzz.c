// Whatever the bytes are, they are unpacked to what the snappy library makes of them, or refused as
// it refuses them; nothing outside the block, the output and its slack is touched. The first byte
// is added to the length that the library finds, so that lengths which do not fit are tried, too.

#include <snappy-c.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/wide.h"
#include "codec/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUTPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    Bytes block = {data + 1, size - 1};
    size_t stated = 0, at = 0, known = 0;
    bool told = snappy_length(block, &stated, &at);
    bool theirs =
        snappy_uncompressed_length((const char *)block.at, block.len, &known) == SNAPPY_OK;
    assert(told == theirs && (!told || stated == known));
    if (!told || stated > OUTPUT_MAX) return 0;
    size_t more = data[0] & 1 ? data[0] >> 1 : 0;
    uint8_t *ours = memory_take(stated + more + SNAPPY_SLACK_BYTES);
    char *expected = memory_take(stated + 1);
    Bytes elements = {block.at + at, block.len - at};
    bool done = snappy_unpack(elements, ours, stated + more);
    uint8_t *anywhere = memory_take(stated + more + SNAPPY_SLACK_BYTES);
    bool there = wide_is_there;
    wide_is_there = false;
    bool also = snappy_unpack(elements, anywhere, stated + more);
    wide_is_there = there;
    assert(done == also && (!done || memcmp(ours, anywhere, stated + more) == 0));
    memory_free(anywhere);
    theirs = snappy_uncompress((const char *)block.at, block.len, expected, &known) == SNAPPY_OK;
    // Elements give one length.
    assert(more == 0 ? done == theirs : !done || !theirs);
    assert(!done || more > 0 || memcmp(ours, expected, stated) == 0);
    memory_free(ours);
    memory_free(expected);
    return 0;
}
