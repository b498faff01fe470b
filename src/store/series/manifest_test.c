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
                                                   4800,
                                                   0,
                                                   0,
                                                   false};
    *array_add(&manifest.blocks) = (ManifestBlock){
        TEXT("0000000000000011.block"), 720, 7, -86400000, -1, 0, 17, 1, 1, 0, 0, false};
    return manifest;
}

static Matcher delete_matchers[] = {{MATCH_EQUAL, TEXT_INIT("__name__"), TEXT_INIT("up"), NULL},
                                    {MATCH_NOT_EQUAL, TEXT_INIT("a b%"), TEXT_INIT(""), NULL},
                                    {MATCH_REGEX, TEXT_INIT("x"), TEXT_INIT("\xc3\xa9|\n"), NULL},
                                    {MATCH_NOT_REGEX, TEXT_INIT("y"), TEXT_INIT(".+"), NULL}};

static Manifest manifest_with_deletes(void) {
    Manifest manifest = sample_manifest();
    *array_add(&manifest.deletes) =
        (ManifestDelete){17, INT64_MIN, INT64_MAX, {delete_matchers, 1}};
    *array_add(&manifest.deletes) =
        (ManifestDelete){18, -5, 1795132800000, {delete_matchers, COUNT(delete_matchers)}};
    return manifest;
}

// And windows of five minutes made of the first block, and those of an hour of a day whose samples
// were let go.
static Manifest manifest_with_tiers(void) {
    Manifest manifest = manifest_with_deletes();
    *array_add(&manifest.tiers) = (ManifestBlock){.name = TEXT("000000000000000e.block"),
                                                  .bytes = 5000,
                                                  .crc = 0xbeef,
                                                  .min_ms = 1795132800000,
                                                  .max_ms = 1795219199999,
                                                  .series = 20,
                                                  .samples = 960,
                                                  .tier_ms = 300000,
                                                  .source = 16};
    *array_add(&manifest.tiers) = (ManifestBlock){.name = TEXT("000000000000000f.block"),
                                                  .bytes = 900,
                                                  .crc = 0xf,
                                                  .min_ms = 1763596800000,
                                                  .max_ms = 1763596805000,
                                                  .series = 1,
                                                  .samples = 8,
                                                  .tier_ms = 3600000};
    return manifest;
}

// And those of an hour of another day, in two blocks; the first block of samples is cold.
static Manifest manifest_with_parts(void) {
    Manifest manifest = manifest_with_tiers();
    manifest.blocks.at[0].cold = true;
    for (size_t i = 0; i < 2; i++)
        *array_add(&manifest.tiers) = (ManifestBlock){
            .name = i == 0 ? TEXT("0000000000000009.block") : TEXT("000000000000000a.block"),
            .bytes = 700,
            .crc = 0xa,
            .min_ms = 1763683200000,
            .max_ms = 1763683205000,
            .series = 1,
            .samples = 8,
            .tier_ms = 3600000,
            .source = 8};
    return manifest;
}

static void check_same_deletes(Test *t, const Manifest *stated, const Manifest *actual) {
    check_i64(t, stated->deletes.count, actual->deletes.count);
    for (size_t i = 0; i < stated->deletes.count; i++) {
        const ManifestDelete *a = &stated->deletes.at[i], *b = &actual->deletes.at[i];
        check(t, a->before == b->before && a->from_ms == b->from_ms && a->to_ms == b->to_ms);
        check_i64(t, a->matchers.count, b->matchers.count);
        for (size_t k = 0; k < a->matchers.count; k++) {
            check(t, a->matchers.at[k].kind == b->matchers.at[k].kind);
            check_text(t, a->matchers.at[k].name, b->matchers.at[k].name);
            check_text(t, a->matchers.at[k].value, b->matchers.at[k].value);
        }
    }
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
        check(t, a->cold == b->cold && a->level == b->level && a->order == b->order &&
                     a->series == b->series && a->samples == b->samples);
    }
    check_i64(t, stated->tiers.count, actual->tiers.count);
    for (size_t i = 0; i < stated->tiers.count; i++) {
        const ManifestBlock *a = &stated->tiers.at[i], *b = &actual->tiers.at[i];
        check_text(t, a->name, b->name);
        check(t, a->bytes == b->bytes && a->crc == b->crc && a->min_ms == b->min_ms &&
                     a->max_ms == b->max_ms && a->series == b->series && a->samples == b->samples);
        check(t, a->tier_ms == b->tier_ms && a->source == b->source);
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

// The bytes of the file are read as what is stated, and what is stated prints as they are.
static void check_golden(Test *t, const char *path, Manifest stated) {
    Bytes content;
    Manifest actual;
    check_ok(t,
             disk_read_whole(disk_real(), text_from_cstring(path), MB, t->arena, &content, t->err));
    check_ok(t, manifest_parse(content, t->arena, &actual, t->err));
    check_same(t, &stated, &actual);
    check_same_deletes(t, &stated, &actual);
    Builder printed = {0};
    manifest_print(&stated, &printed);
    check_text(t, bytes_text(content), builder_text(&printed));
    builder_free(&printed);
    manifest_free(&stated);
    manifest_free(&actual);
}

TEST(the_golden_manifest_is_read_for_ever) {
    check_golden(t, "test/golden/series/manifest", sample_manifest());
}

TEST(the_golden_manifest_with_deletes_is_read_for_ever) {
    check_golden(t, "test/golden/series/manifest_deletes", manifest_with_deletes());
}

TEST(the_golden_manifest_with_tiers_is_read_for_ever) {
    check_golden(t, "test/golden/series/manifest_tiers", manifest_with_tiers());
}

TEST(the_golden_manifest_with_tiers_of_several_blocks_is_read_for_ever) {
    check_golden(t, "test/golden/series/manifest_parts", manifest_with_parts());
}

TEST(the_number_of_a_block_is_in_its_name) {
    check_i64(t, 255, block_number(TEXT("00000000000000ff.block")));
    check_i64(t, 10, block_number(TEXT("a.block")));
    check_i64(t, 0, block_number(TEXT("00000000000000ff")));
    check_i64(t, 0, block_number(TEXT("00000000000000FF.block")));
    check_i64(t, 0, block_number(TEXT("100000000000000ff.block")));
    check_i64(t, 0, block_number(TEXT(".block")));
}

TEST(r9_no_flipped_bit_and_no_cut_passes) {
    Manifest manifest = manifest_with_tiers(), read = {0};
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
    manifest_free(&manifest);
}

static void check_lines(Test *t, const char *lines, ErrorCode code) {
    Builder out = {0};
    Manifest read = {0};
    builder_add(&out, text_from_cstring(lines));
    builder_addf(&out, "crc32c %08x\n", crc32c(0, text_bytes(builder_text(&out))));
    bool whole = manifest_parse(text_bytes(builder_text(&out)), t->arena, &read, t->err);
    if (whole != (code == ERROR_NONE)) check_failed(t, __FILE__, __LINE__, "%s: %d", lines, whole);
    if (code != ERROR_NONE) check_i64(t, code, t->err->code);
    manifest_free(&read);
    builder_free(&out);
}

TEST(lines_that_make_no_sense_are_refused_with_a_right_checksum_too) {
    check_lines(t, "traceo series manifest 1\nsealed 1\nnext 2\nwrites 3\n", ERROR_NONE);
    check_lines(t, "traceo series manifest 5\n", ERROR_NEWER_FORMAT);
    check_lines(t, "traceo series manifest 2\ndelete 7 -1 1 eq =a =\n", ERROR_NONE);
    check_lines(t, "traceo series manifest 1\ndelete 7 -1 1 eq =a =\n", ERROR_CORRUPT);
    static const char *const bad_deletes[] = {"delete",
                                              "delete 7 -1 1",
                                              "delete 7 -1 1 eq",
                                              "delete 7 -1 1 eq =a",
                                              "delete 7 1 -1 eq =a =b",
                                              "delete 7 -1 1 xx =a =b",
                                              "delete 7 -1 1 eq a =b",
                                              "delete 7 -1 1 eq =a =b ne",
                                              "delete 7 -1 1 eq =a% =b",
                                              "delete 7 -1 1 eq =a%4 =b",
                                              "delete 7 -1 1 eq =a%41 =b",
                                              "delete 7 -1 1 eq =a%0A =b",
                                              "delete 7 -1 1 eq =a =\xc3\xa9",
                                              "delete -7 -1 1 eq =a =b"};
    for (size_t i = 0; i < COUNT(bad_deletes); i++) {
        check_lines(t, text_format(t->arena, "traceo series manifest 2\n%s\n", bad_deletes[i]).at,
                    ERROR_CORRUPT);
    }
    check_lines(t,
                "traceo series manifest 4\ntier a 1 00000000 0 0 300000 7 1 8\n"
                "tier b 1 00000000 0 0 300000 7 1 8\n",
                ERROR_NONE);
    check_lines(t, "traceo series manifest 3\ntier a 1 00000000 0 0 300000 7 1 8\n", ERROR_NONE);
    check_lines(t, "traceo series manifest 2\ntier a 1 00000000 0 0 300000 7 1 8\n", ERROR_CORRUPT);
    static const char *const bad_tiers[] = {
        "tier",
        "tier a 1 00000000 0 0 300000 7 1",
        "tier a 1 00000000 0 0 300000 7 1 8 9",
        "tier ../a 1 00000000 0 0 300000 7 1 8",
        "tier a 0 00000000 0 0 300000 7 1 8",
        "tier a 1 00000000 1 0 300000 7 1 8",
        "tier a 1 00000000 0 0 0 7 1 8",
        "tier a 1 00000000 0 0 300000 -7 1 8",
        "block a 1 00000000 0 0 0 1 1 1\ntier a 1 00000000 0 0 300000 7 1 8"};
    for (size_t i = 0; i < COUNT(bad_tiers); i++) {
        check_lines(t, text_format(t->arena, "traceo series manifest 3\n%s\n", bad_tiers[i]).at,
                    ERROR_CORRUPT);
    }
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
          CASE(the_golden_manifest_is_read_for_ever),
          CASE(the_golden_manifest_with_deletes_is_read_for_ever),
          CASE(the_golden_manifest_with_tiers_is_read_for_ever),
          CASE(the_golden_manifest_with_tiers_of_several_blocks_is_read_for_ever),
          CASE(the_number_of_a_block_is_in_its_name), CASE(r9_no_flipped_bit_and_no_cut_passes),
          CASE(lines_that_make_no_sense_are_refused_with_a_right_checksum_too))
