// Compression: round trips, broken bodies, and bombs in every format.

#include "codec/compress.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/test.h"

static const Compression formats[] = {COMPRESSION_NONE, COMPRESSION_SNAPPY, COMPRESSION_GZIP,
                                      COMPRESSION_ZLIB, COMPRESSION_ZSTD};

static Bytes built(const Builder *builder) {
    return text_bytes(builder_text(builder));
}

static void add_sample(Builder *out, size_t len, uint64_t *random) {
    while (len-- > 0) builder_add_char(out, (char)('a' + (test_random(random) >> 40) % 5));
}

TEST(every_format_gives_back_what_it_took) {
    static const size_t lens[] = {0, 1, 100, 4096, 70000, 3 * MB};
    AUTO(builder_free) Builder body = {0}, packed = {0}, back = {0};
    uint64_t random = t->seed;
    for (size_t f = 0; f < COUNT(formats); f++) {
        for (size_t i = 0; i < COUNT(lens); i++) {
            builder_clear(&body), builder_clear(&packed), builder_clear(&back);
            add_sample(&body, lens[i], &random);
            builder_add(&packed, TEXT("front"));
            check_ok(t, compress_bytes(formats[f], 0, built(&body), &packed, t->err));
            Bytes sent = {(const uint8_t *)packed.at + 5, packed.len - 5};
            builder_add(&back, TEXT("kept"));
            check_ok(t, decompress(formats[f], sent, lens[i], &back, t->err));  // exactly enough
            check(t, back.len == lens[i] + 4 && memcmp(back.at, "kept", 4) == 0);
            check(t, lens[i] == 0 || memcmp(back.at + 4, body.at, lens[i]) == 0);
            if (lens[i] == 0) continue;
            check_error(t, decompress(formats[f], sent, lens[i] - 1, &back, t->err),
                        ERROR_TOO_LARGE);
            check(t, back.len == lens[i] + 4);
        }
    }
}

TEST(cut_and_lengthened_bodies_are_refused) {
    AUTO(builder_free) Builder body = {0}, packed = {0}, back = {0};
    uint64_t random = t->seed;
    add_sample(&body, 2000, &random);
    for (size_t f = 1; f < COUNT(formats); f++) {
        builder_clear(&packed);
        check_ok(t, compress_bytes(formats[f], 0, built(&body), &packed, t->err));
        for (size_t cut = 0; cut < packed.len; cut++) {
            check_error(
                t,
                decompress(formats[f], (Bytes){(const uint8_t *)packed.at, cut}, MB, &back, t->err),
                ERROR_BAD_INPUT);
        }
        builder_add(&packed, TEXT("more"));
        check_error(t, decompress(formats[f], built(&packed), MB, &back, t->err), ERROR_BAD_INPUT);
        check(t, back.len == 0);
    }
}

TEST(gzip_members_and_zstd_frames_follow_each_other) {
    static const Compression many[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD};
    for (size_t f = 0; f < COUNT(many); f++) {
        AUTO(builder_free) Builder packed = {0}, back = {0};
        check_ok(t, compress_bytes(many[f], 0, text_bytes(TEXT("one ")), &packed, t->err));
        check_ok(t, compress_bytes(many[f], 0, text_bytes(TEXT("")), &packed, t->err));
        check_ok(t, compress_bytes(many[f], 0, text_bytes(TEXT("two")), &packed, t->err));
        check_ok(t, decompress(many[f], built(&packed), MB, &back, t->err));
        check_text(t, TEXT("one two"), builder_text(&back));
        check_error(t, decompress(many[f], built(&packed), 6, &back, t->err), ERROR_TOO_LARGE);
    }
}

// Zeros, packed as tightly as the format can: beyond 100 to 1 for all but snappy, which cannot.
TEST(a_thousand_to_one_is_refused_beyond_the_first_mib) {
    AUTO(builder_free) Builder zeros = {0};
    builder_reserve(&zeros, 32 * MB);
    memset(zeros.at, 0, 32 * MB);
    static const Compression tight[] = {COMPRESSION_GZIP, COMPRESSION_ZLIB, COMPRESSION_ZSTD};
    for (size_t f = 0; f < COUNT(tight); f++) {
        AUTO(builder_free) Builder packed = {0}, back = {0};
        zeros.len = 32 * MB;
        check_ok(t, compress_bytes(tight[f], 0, built(&zeros), &packed, t->err));
        check_error(t, decompress(tight[f], built(&packed), 64 * MB, &back, t->err),
                    ERROR_TOO_LARGE);
        check(t,
              text_find(text_from_cstring(t->err->message), TEXT("BODY_DECOMPRESSED_RATIO")) >= 0);
        check(t, back.capacity <= MAX(packed.len * 100, (size_t)MB) + 8 * KB);
        check_error(t, decompress(tight[f], built(&packed), MB / 2, &back, t->err),
                    ERROR_TOO_LARGE);
        check(t,
              text_find(text_from_cstring(t->err->message), TEXT("BODY_DECOMPRESSED_BYTES")) >= 0);
        builder_clear(&packed);
        zeros.len = MB;
        check_ok(t, compress_bytes(tight[f], 0, built(&zeros), &packed, t->err));
        check_ok(t, decompress(tight[f], built(&packed), 64 * MB, &back, t->err));
        check_i64(t, MB, back.len);
    }
}

TEST(stated_lengths_that_lie_take_no_memory) {
    AUTO(builder_free) Builder back = {0};
    // A snappy block that says 2^32 - 1 bytes follow, in 6; and one of 60 MiB in 6, which passes
    // only the ratio.
    Text block = TEXT("\xff\xff\xff\xff\x0f\x00");
    check_error(t, decompress(COMPRESSION_SNAPPY, text_bytes(block), 64 * MB, &back, t->err),
                ERROR_TOO_LARGE);
    block = TEXT("\x80\x80\x80\x1e\x00\x00");
    check_error(t, decompress(COMPRESSION_SNAPPY, text_bytes(block), 64 * MB, &back, t->err),
                ERROR_TOO_LARGE);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("BODY_DECOMPRESSED_RATIO")) >= 0);
    // A zstd frame (single segment, 8-byte content size) that says 2^62.
    block = TEXT("\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x40\x01\0\0");
    check_error(t, decompress(COMPRESSION_ZSTD, text_bytes(block), 64 * MB, &back, t->err),
                ERROR_TOO_LARGE);
    check(t, back.capacity == 0);
    // A gzip trailer that says 4 GiB: checked against what came, so it is broken input.
    block = TEXT("\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\xff\xff\xff\xff");
    check_error(t, decompress(COMPRESSION_GZIP, text_bytes(block), 64 * MB, &back, t->err),
                ERROR_BAD_INPUT);
    check(t, back.capacity <= 8 * KB);
}

TEST(a_zstd_window_beyond_8_mib_is_refused) {
    AUTO(builder_free) Builder back = {0};
    // No content size; window descriptor 0x88 is 2^27 bytes; then one empty last block.
    Text frame = TEXT("\x28\xb5\x2f\xfd\x00\x88\x01\0\0");
    check_error(t, decompress(COMPRESSION_ZSTD, text_bytes(frame), MB, &back, t->err),
                ERROR_BAD_INPUT);
    frame = TEXT("\x28\xb5\x2f\xfd\x00\x68\x01\0\0");
    check_ok(t, decompress(COMPRESSION_ZSTD, text_bytes(frame), MB, &back, t->err));
    check(t, back.len == 0);
}

// Frames that never end: run-length blocks of 128 KiB each in four bytes, none of them the last.
TEST(an_endless_zstd_frame_ends_at_the_limit) {
    AUTO(builder_free) Builder packed = {0}, back = {0};
    builder_add(&packed, TEXT("\x28\xb5\x2f\xfd\x00\x50"));
    for (int i = 0; i < 1000; i++)
        builder_add(&packed, TEXT("\x02\x00\x10\x00"));  // RLE block, 2^17 zeros
    check_error(t, decompress(COMPRESSION_ZSTD, built(&packed), 64 * MB, &back, t->err),
                ERROR_TOO_LARGE);
    check(t, back.capacity <= MB + 8 * KB);
    check_error(t, decompress(COMPRESSION_ZSTD, built(&packed), 10, &back, t->err),
                ERROR_TOO_LARGE);
    check_error(t,
                decompress(COMPRESSION_ZSTD, (Bytes){(const uint8_t *)packed.at, 30}, 64 * MB,
                           &back, t->err),
                ERROR_BAD_INPUT);
}

TEST(memory_that_is_refused_is_an_error) {
    AUTO(builder_free) Builder packed = {0};
    uint64_t random = t->seed;
    AUTO(builder_free) Builder body = {0};
    add_sample(&body, 100000, &random);
    for (size_t f = 0; f < COUNT(formats); f++) {
        AUTO(builder_free) Builder back = {0};
        builder_clear(&packed);
        check_ok(t, compress_bytes(formats[f], 0, built(&body), &packed, t->err));
        memory_fail_after(1, true);
        bool decoded = decompress(formats[f], built(&packed), MB, &back, t->err);
        memory_fail_after(0, false);
        check(t, !decoded && t->err->code == ERROR_NO_MEMORY && back.len == 0);
    }
}

TEST(names_and_magic_are_known) {
    Compression compression;
    static const struct {
        const char *name;
        Compression compression;
    } cases[] = {{"", COMPRESSION_NONE},         {"identity", COMPRESSION_NONE},
                 {"Snappy", COMPRESSION_SNAPPY}, {"gzip", COMPRESSION_GZIP},
                 {"x-gzip", COMPRESSION_GZIP},   {"deflate", COMPRESSION_ZLIB},
                 {"ZSTD", COMPRESSION_ZSTD}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(t, compression_from_name(text_from_cstring(cases[i].name), &compression));
        check(t, compression == cases[i].compression);
    }
    check(t, !compression_from_name(TEXT("br"), &compression) &&
                 !compression_from_name(TEXT("gzip "), &compression));
    check_text(t, TEXT("zstd"), compression_name(COMPRESSION_ZSTD));
    AUTO(builder_free) Builder packed = {0};
    for (size_t f = 0; f < COUNT(formats); f++) {
        builder_clear(&packed);
        check_ok(t, compress_bytes(formats[f], 0, text_bytes(TEXT("some body")), &packed, t->err));
        bool magic = formats[f] == COMPRESSION_GZIP || formats[f] == COMPRESSION_ZSTD;
        check(t, compression_by_magic(built(&packed)) == (magic ? formats[f] : COMPRESSION_NONE));
    }
    check(t, compression_by_magic(BYTES_NONE) == COMPRESSION_NONE);
}

TEST(levels_that_do_not_exist_are_refused) {
    AUTO(builder_free) Builder packed = {0};
    check_error(t, compress_bytes(COMPRESSION_GZIP, 13, text_bytes(TEXT("x")), &packed, t->err),
                ERROR_BAD_INPUT);
    check_error(t, compress_bytes(COMPRESSION_ZSTD, 20, text_bytes(TEXT("x")), &packed, t->err),
                ERROR_BAD_INPUT);
    check(t, packed.len == 0);
}

TEST(known_broken_snappy_blocks_are_refused) {
    Text folder = test_data_folder(t, "parsers/snappy");
    for (int i = 1; i <= 3; i++) {
        static uint8_t bytes[1 << 20];
        FILE *file =
            fopen(text_format(t->arena, "%.*s/baddata%d.snappy", TEXT_ARG(folder), i).at, "rb");
        check(t, file != NULL);
        size_t len = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        AUTO(builder_free) Builder back = {0};
        check(t, len > 0 &&
                     !decompress(COMPRESSION_SNAPPY, (Bytes){bytes, len}, 64 * MB, &back, t->err));
        check(t, t->err->code == ERROR_BAD_INPUT || t->err->code == ERROR_TOO_LARGE);
    }
}

TEST_MAIN("codec/compress", CASE(every_format_gives_back_what_it_took),
          CASE(cut_and_lengthened_bodies_are_refused),
          CASE(gzip_members_and_zstd_frames_follow_each_other),
          CASE(a_thousand_to_one_is_refused_beyond_the_first_mib),
          CASE(stated_lengths_that_lie_take_no_memory), CASE(a_zstd_window_beyond_8_mib_is_refused),
          CASE(an_endless_zstd_frame_ends_at_the_limit), CASE(memory_that_is_refused_is_an_error),
          CASE(names_and_magic_are_known), CASE(levels_that_do_not_exist_are_refused),
          CASE(known_broken_snappy_blocks_are_refused))
