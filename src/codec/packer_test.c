// Packing in pieces: what comes out is read back as one body, whatever the pieces were.

#include "codec/packer.h"

#include "base/memory.h"
#include "base/test.h"

static const Compression formats[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD};

static void add_lines(Builder *out, size_t len, uint64_t *random) {
    while (out->len < len)
        builder_addf(out, "[%llu,\"%llu\"],", (unsigned long long)(1760000000 + out->len),
                     (unsigned long long)(test_random(random) >> 44));
}

// The body in pieces of at most `piece_max`, of random lengths.
static void pack(Test *t, Compression format, Bytes body, size_t piece_max, Builder *out,
                 uint64_t *random, size_t *held_max) {
    AUTO(packer_close) Packer *packer = NULL;
    check_ok(t, packer_open(format, 1, &packer, t->err));
    for (size_t at = 0; at < body.len;) {
        size_t len = MIN(test_random(random) % piece_max + 1, body.len - at);
        check_ok(t, packer_add(packer, (Bytes){body.at + at, len}, out, t->err));
        at += len;
    }
    check_ok(t, packer_end(packer, out, t->err));
    *held_max = MAX(*held_max, packer_bytes(packer));
}

TEST(pieces_are_read_back_as_one_body) {
    static const size_t lens[] = {0, 1, 1000, 70000, 5 * MB};
    static const size_t pieces[] = {1, 37, 5000, 256 * KB};
    uint64_t random = t->seed;
    AUTO(builder_free) Builder body = {0}, packed = {0}, back = {0}, whole = {0};
    for (size_t f = 0; f < COUNT(formats); f++) {
        for (size_t i = 0; i < COUNT(lens); i++) {
            builder_clear(&body), builder_clear(&whole);
            add_lines(&body, lens[i], &random);
            Bytes plain = text_bytes(builder_text(&body));
            check_ok(t, compress_bytes(formats[f], 1, plain, &whole, t->err));
            for (size_t p = lens[i] > MB ? 2 : 0; p < COUNT(pieces); p++) {
                size_t held = 0;
                builder_clear(&packed), builder_clear(&back);
                pack(t, formats[f], plain, pieces[p], &packed, &random, &held);
                check_ok(t, decompress(formats[f], text_bytes(builder_text(&packed)), body.len,
                                       &back, t->err));
                check_text(t, builder_text(&body), builder_text(&back));
                check(t, held < 2 * MB);
                check(t, packed.len <= whole.len + whole.len / 4 + 64);
            }
        }
    }
}

TEST(what_is_ready_comes_before_the_end) {
    uint64_t random = t->seed;
    AUTO(builder_free) Builder body = {0}, packed = {0};
    add_lines(&body, MB, &random);
    for (size_t f = 0; f < COUNT(formats); f++) {
        AUTO(packer_close) Packer *packer = NULL;
        builder_clear(&packed);
        check_ok(t, packer_open(formats[f], 1, &packer, t->err));
        check_ok(t, packer_add(packer, text_bytes(builder_text(&body)), &packed, t->err));
        // All but what it looks back at: else a reader would have nothing until the end.
        check(t, packed.len > body.len / 8);
    }
}

TEST(without_memory_for_it_nothing_is_packed) {
    Packer *packer = NULL;
    for (uint64_t nth = 1; nth <= 5; nth++) {
        memory_fail_after(nth, false);
        check_error(t, packer_open(COMPRESSION_GZIP, 1, &packer, t->err), ERROR_NO_MEMORY);
        check(t, packer == NULL);
    }
    memory_fail_after(0, false);
}

TEST_MAIN("codec/packer", CASE(pieces_are_read_back_as_one_body),
          CASE(what_is_ready_comes_before_the_end), CASE(without_memory_for_it_nothing_is_packed))
