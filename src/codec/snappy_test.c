// Snappy as the library packs it, as its description allows it, and broken.

#include <snappy-c.h>

#include "base/test.h"
#include "base/wide.h"
#include "codec/snappy.h"

// Unpacks into memory of exactly the size that is promised, so that a sanitizer sees a byte too
// far; with wide registers and without.
static bool unpack(Test *t, Bytes block, Bytes *out) {
    size_t len, at;
    if (!snappy_length(block, &len, &at)) return false;
    uint8_t *exact = memory_take(block.len - at + 1), *to = memory_take(len + SNAPPY_SLACK_BYTES);
    memcpy(exact, block.at + at, block.len - at);
    memset(to + len, 0xee, SNAPPY_SLACK_BYTES);
    bool done = snappy_unpack((Bytes){exact, block.len - at}, to, len), there = wide_is_there;
    *out = bytes_copy((Bytes){to, len}, t->arena);
    wide_is_there = false;
    check(t, snappy_unpack((Bytes){exact, block.len - at}, to, len) == done);
    wide_is_there = there;
    if (done) check_same_bytes(t, out->at, to, len);
    memory_free(exact);
    memory_free(to);
    return done;
}

// Rows that resemble one another, runs of one byte and of short patterns, noise: `kind` picks.
static Bytes random_bytes(Test *t, uint64_t *random, unsigned kind, size_t len) {
    uint8_t *bytes = arena_push_raw(t->arena, len + 1, 1);
    size_t period = 1 + (size_t)(test_random(random) % (kind == 0 ? 200 : 20));
    for (size_t i = 0; i < len; i++) {
        bool noise = kind == 2 || i < period || test_random(random) % 64 == 0;
        bytes[i] = noise ? (uint8_t)test_random(random) : bytes[i - period];
    }
    return (Bytes){bytes, len};
}

TEST(what_the_library_packs_comes_back) {
    uint64_t random = 3;
    for (unsigned round = 0; round < 600; round++) {
        size_t len = (size_t)(test_random(&random) % (round % 10 == 0 ? 200000 : 300));
        Bytes plain = random_bytes(t, &random, round % 3, len), back;
        size_t packed_len = snappy_max_compressed_length(len);
        char *packed = arena_push_raw(t->arena, packed_len, 1);
        check(t, snappy_compress((const char *)plain.at, len, packed, &packed_len) == SNAPPY_OK);
        check(t, unpack(t, (Bytes){(const uint8_t *)packed, packed_len}, &back));
        check(t, bytes_equal(plain, back));
        // Cut anywhere it is refused: it gives less than it states.
        if (packed_len > 1) {
            size_t cut = 1 + (size_t)(test_random(&random) % (packed_len - 1));
            check(t, len == 0 || !unpack(t, (Bytes){(const uint8_t *)packed, cut}, &back));
        }
        arena_clear(t->arena);
    }
}

static void check_block(Test *t, const uint8_t *block, size_t len, const char *plain) {
    Bytes back;
    bool done = unpack(t, (Bytes){block, len}, &back);
    check(t, done == (plain != NULL));
    if (plain != NULL) check_text(t, text_from_cstring(plain), bytes_text(back));
}

#define BLOCK(plain, ...) \
    check_block(t, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), plain)

TEST(each_kind_of_element_is_read_and_each_fault_refused) {
    BLOCK("", 0);
    BLOCK("ab", 2, 0x04, 'a', 'b');
    BLOCK("ab", 2, 0xf0, 1, 'a', 'b');  // lengths of one to four bytes
    BLOCK("ab", 2, 0xf4, 1, 0, 'a', 'b');
    BLOCK("ab", 2, 0xf8, 1, 0, 0, 'a', 'b');
    BLOCK("ab", 2, 0xfc, 1, 0, 0, 0, 'a', 'b');
    BLOCK("ababab", 6, 0x04, 'a', 'b', 0x01, 2);      // a copy that overlaps itself
    BLOCK("abababa", 7, 0x04, 'a', 'b', 0x12, 2, 0);  // offsets of two and four bytes
    BLOCK("abababa", 7, 0x04, 'a', 'b', 0x13, 2, 0, 0, 0);
    BLOCK("ab", 0x82, 0x00, 0x04, 'a', 'b');  // a length with more bytes than it needs
    BLOCK(NULL, 0x80);                        // a length that is cut off, or too long
    BLOCK(NULL, 0x82, 0x80, 0x80, 0x80, 0x80, 0x00, 0x04, 'a', 'b');
    BLOCK(NULL, 0xff, 0xff, 0xff, 0xff, 0x1f);
    BLOCK(NULL, 3, 0x04, 'a', 'b');  // less, and more, than stated
    BLOCK(NULL, 1, 0x04, 'a', 'b');
    BLOCK(NULL, 2, 0x04, 'a');  // cut off within each element
    BLOCK(NULL, 2, 0xf4, 1);
    BLOCK(NULL, 6, 0x04, 'a', 'b', 0x01);
    BLOCK(NULL, 7, 0x04, 'a', 'b', 0x12, 2);
    BLOCK(NULL, 7, 0x04, 'a', 'b', 0x13, 2, 0, 0);
    BLOCK(NULL, 6, 0x04, 'a', 'b', 0x01, 0);  // offsets of nothing and before the start
    BLOCK(NULL, 6, 0x04, 'a', 'b', 0x01, 3);
    BLOCK(NULL, 4, 0x01, 1);
    BLOCK(NULL, 5, 0x04, 'a', 'b', 0x01, 2);  // a copy beyond the end
    BLOCK(NULL, 2, 0xfc, 0xff, 0xff, 0xff, 0xff, 'a', 'b');
}

TEST_MAIN("codec/snappy", CASE(what_the_library_packs_comes_back),
          CASE(each_kind_of_element_is_read_and_each_fault_refused))
