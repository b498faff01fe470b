// What is made here any snappy decoder reads back, whatever the rows are like, and wherever their
// pieces lie.

#include "codec/snappy_rows.h"

#include <stdio.h>

#include "base/test.h"
#include "codec/compress.h"

typedef struct Places {
    size_t at, head, end;
} Places;

// A copy that ends where it ends: a sanitizer sees what reads beyond it.
static Bytes piece(Test *t, Bytes bytes, size_t from, size_t to) {
    if (to == from) return BYTES_NONE;
    uint8_t *at = arena_push_raw(t->arena, to - from, 1);
    memcpy(at, bytes.at + from, to - from);
    return (Bytes){at, to - from};
}

static size_t packed_and_checked(Test *t, Bytes bytes, const Places *rows, size_t count) {
    AUTO(builder_free) Builder packed = {0}, back = {0};
    builder_add(&packed, TEXT("front"));
    SnappyRows packer;
    snappy_rows_begin(&packer, bytes.len, &packed);
    size_t said = 0;
    Bytes before = BYTES_NONE;
    for (size_t i = 0; i < count; i++) {
        Bytes head = piece(t, bytes, rows[i].at, rows[i].at + rows[i].head);
        SnappyAlike alike = snappy_rows_alike(before, head);
        // Less than there is in common is fine too.
        if (i % 3 == 1) alike.first /= 2;
        if (i % 5 == 1) alike.last /= 2;
        snappy_rows_add(&packer, piece(t, bytes, said, rows[i].at), head, alike,
                        piece(t, bytes, rows[i].at + rows[i].head, rows[i].end));
        said = rows[i].end;
        before = head;
    }
    snappy_rows_end(&packer, piece(t, bytes, said, bytes.len));
    Bytes sent = {(const uint8_t *)packed.at + 5, packed.len - 5};
    check(t, memcmp(packed.at, "front", 5) == 0 && sent.len <= bytes.len + 16);
    check_ok(t, decompress(COMPRESSION_SNAPPY, sent, bytes.len, &back, t->err));
    check(t, back.len == bytes.len && (bytes.len == 0 || memcmp(back.at, bytes.at, back.len) == 0));
    return sent.len;
}

TEST(rows_that_differ_in_one_label_and_the_value_become_small) {
    enum { ROWS = 1000 };
    AUTO(builder_free) Builder bytes = {0};
    Places rows[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        rows[i].at = bytes.len;
        builder_addf(&bytes,
                     "__name__=node_cpu_seconds_total,cpu=%zu,instance=host-17.example:9100,"
                     "job=node,mode=idle,region=eu-west-1,team=platform,zone=a",
                     i % 64);
        rows[i].head = bytes.len - rows[i].at;
        builder_addf(&bytes, " %zu 1700000000123\n", i * 7919);
        rows[i].end = bytes.len;
    }
    Bytes all = text_bytes(builder_text(&bytes));
    size_t ours = packed_and_checked(t, all, rows, ROWS);
    AUTO(builder_free) Builder theirs = {0};
    check_ok(t, compress_bytes(COMPRESSION_SNAPPY, 0, all, &theirs, t->err));
    printf("# %zu bytes a row: %zu, by the general compressor %zu\n", all.len / ROWS, ours / ROWS,
           theirs.len / ROWS);
    check(t, ours / ROWS <= 40);
}

// Rows made of a few pieces, so that every kind of likeness comes up; lengths from nothing to
// longer than any element, distances beyond what a copy can say.
TEST(rows_of_any_likeness_come_back) {
    enum { ROUNDS = 400, ROWS_MAX = 40 };
    uint64_t random = t->seed;
    for (int round = 0; round < ROUNDS; round++) {
        AUTO(builder_free) Builder bytes = {0};
        Places rows[ROWS_MAX];
        size_t count = test_random(&random) % ROWS_MAX, longest = round % 7 == 0 ? 40000 : 150;
        for (size_t i = 0; i < count; i++) {
            size_t between = test_random(&random) % 3;
            for (size_t n = 0; n < between; n++) builder_add_char(&bytes, '-');
            rows[i].at = bytes.len;
            for (int part = 0; part < 2; part++) {
                size_t pieces = test_random(&random) % 5;
                for (size_t n = 0; n < pieces; n++) {
                    size_t len = test_random(&random) % longest;
                    char letter = (char)('a' + test_random(&random) % 2);
                    for (size_t k = 0; k < len; k++) builder_add_char(&bytes, letter);
                }
                if (part == 0) rows[i].head = bytes.len - rows[i].at;
            }
            rows[i].end = bytes.len;
        }
        packed_and_checked(t, text_bytes(builder_text(&bytes)), rows, count);
    }
}

TEST_MAIN("codec/snappy_rows", CASE(rows_that_differ_in_one_label_and_the_value_become_small),
          CASE(rows_of_any_likeness_come_back))
