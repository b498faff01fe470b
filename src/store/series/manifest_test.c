// The manifest: reads what it wrote, reads the golden one for ever, and no damaged byte passes.

#include "store/series/manifest.h"

#include "base/test.h"
#include "codec/crc32c.h"
#include "os/disk_model.h"

static Manifest sample_manifest(void) {
    Manifest manifest = {.sealed_sequence = 4711, .next_order = 18, .writes = 9};
    *array_add(&manifest.blocks) = (ManifestBlock){TEXT("0000000000000010.block"),
                                                   8192,
                                                   0xdeadbeef,
                                                   1795132800000,
                                                   1795219199999,
                                                   1,
                                                   3,
                                                   20,
                                                   4800};
    *array_add(&manifest.blocks) =
        (ManifestBlock){TEXT("0000000000000011.block"), 720, 7, -86400000, -1, 0, 17, 1, 1};
    return manifest;
}

static void check_same(Test *t, const Manifest *stated, const Manifest *actual) {
    check_i64(t, stated->sealed_sequence, actual->sealed_sequence);
    check_i64(t, stated->next_order, actual->next_order);
    check_i64(t, stated->writes, actual->writes);
    check_i64(t, stated->blocks.count, actual->blocks.count);
    for (size_t i = 0; i < stated->blocks.count; i++) {
        const ManifestBlock *a = &stated->blocks.at[i], *b = &actual->blocks.at[i];
        check_text(t, a->name, b->name);
        check(t, a->bytes == b->bytes && a->crc == b->crc && a->min_ms == b->min_ms &&
                     a->max_ms == b->max_ms);
        check(t, a->level == b->level && a->order == b->order && a->series == b->series &&
                     a->samples == b->samples);
    }
}

TEST(a_manifest_reads_what_it_wrote) {
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    check_ok(t, disk_make_folders(disk, TEXT("data/7"), t->err));
    Manifest empty, stated = sample_manifest(), actual;
    check_ok(t, manifest_read(disk, TEXT("data/7"), t->arena, &empty, t->err));
    check_i64(t, 0, empty.blocks.count);
    check_ok(t, manifest_write(disk, TEXT("data/7"), &stated, t->err));
    check_ok(t, manifest_read(disk, TEXT("data/7"), t->arena, &actual, t->err));
    check_same(t, &stated, &actual);
    array_free(&stated.blocks);
    array_free(&actual.blocks);
    disk_model_free(&model);
}

TEST(the_golden_manifest_is_read_for_ever) {
    Bytes content;
    check_ok(t, disk_read_whole(disk_real(), TEXT("test/golden/series/manifest"), MB, t->arena,
                                &content, t->err));
    Manifest stated = sample_manifest(), actual;
    check_ok(t, manifest_parse(content, t->arena, &actual, t->err));
    check_same(t, &stated, &actual);
    Builder printed = {0};
    manifest_print(&stated, &printed);
    check_text(t, bytes_text(content), builder_text(&printed));
    builder_free(&printed);
    array_free(&stated.blocks);
    array_free(&actual.blocks);
}

TEST(r9_no_flipped_bit_and_no_cut_passes) {
    Manifest manifest = sample_manifest(), read = {0};
    Builder printed = {0};
    manifest_print(&manifest, &printed);
    for (size_t bit = 0; bit < printed.len * 8; bit++) {
        printed.at[bit / 8] ^= (char)(1 << bit % 8);
        check(t, !manifest_parse(text_bytes(builder_text(&printed)), t->arena, &read, t->err));
        printed.at[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t len = 0; len < printed.len; len++) {
        check_error(
            t, manifest_parse((Bytes){(const uint8_t *)printed.at, len}, t->arena, &read, t->err),
            ERROR_CORRUPT);
    }
    builder_free(&printed);
    array_free(&manifest.blocks);
}

static void check_lines(Test *t, const char *lines, ErrorCode code) {
    Builder out = {0};
    Manifest read = {0};
    builder_add(&out, text_from_cstring(lines));
    builder_addf(&out, "crc32c %08x\n", crc32c(0, text_bytes(builder_text(&out))));
    bool whole = manifest_parse(text_bytes(builder_text(&out)), t->arena, &read, t->err);
    if (whole != (code == ERROR_NONE)) check_failed(t, __FILE__, __LINE__, "%s: %d", lines, whole);
    if (code != ERROR_NONE) check_i64(t, code, t->err->code);
    array_free(&read.blocks);
    builder_free(&out);
}

TEST(lines_that_make_no_sense_are_refused_with_a_right_checksum_too) {
    check_lines(t, "traceo series manifest 1\nsealed 1\nnext 2\nwrites 3\n", ERROR_NONE);
    check_lines(t, "traceo series manifest 2\n", ERROR_NEWER_FORMAT);
    check_lines(t, "traceo series manifest 0\n", ERROR_CORRUPT);
    check_lines(t, "traceo event manifest 1\n", ERROR_CORRUPT);
    static const char *const bad[] = {
        "sealed",
        "sealed 1 2",
        "sealed -1",
        "sealed 18446744073709551616",
        "unknown 1",
        "block",
        "block a 1 00000000 0 0 0 1 1",
        "block a 1 00000000 0 0 0 1 1 1 1",
        "block ../a 1 00000000 0 0 0 1 1 1",
        "block a 0 00000000 0 0 0 1 1 1",
        "block a 1 0000000 0 0 0 1 1 1",
        "block a 1 00000000 1 0 0 1 1 1",
        "block a 1 00000000 0 0 0 1 1 1\nblock a 1 00000000 0 0 0 1 1 1",
        "sealed 1\n\nnext 1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        check_lines(t, text_format(t->arena, "traceo series manifest 1\n%s\n", bad[i]).at,
                    ERROR_CORRUPT);
    }
}

TEST_MAIN("store/series manifest", CASE(a_manifest_reads_what_it_wrote),
          CASE(the_golden_manifest_is_read_for_ever), CASE(r9_no_flipped_bit_and_no_cut_passes),
          CASE(lines_that_make_no_sense_are_refused_with_a_right_checksum_too))
