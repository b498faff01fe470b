// The disk in memory dies as promised: what was synced is there, what was not may be, and nothing
// else.

#include "os/disk_model.h"

#include "base/test.h"

static File *make(Test *t, Disk *disk, Text path, size_t len, char fill) {
    File *file = NULL;
    char *bytes = arena_push_size(t->arena, len + 1, 1);
    memset(bytes, fill, len);
    check_ok(t, disk->open(disk, path, FILE_CREATE, &file, t->err));
    check_ok(t, disk->write(disk, file, 0, bytes, len, t->err));
    return file;
}

static void fill(Test *t, Disk *disk, File *file, int64_t offset, size_t len, char c) {
    char bytes[8192];
    memset(bytes, c, sizeof bytes);
    check_ok(t, disk->write(disk, file, offset, bytes, len, t->err));
}

static void crash(DiskModel *model, Disk *disk, File **file, CrashKind kind, uint64_t seed) {
    disk_model_crash(model, kind, seed);
    disk->close(disk, file);
}

static Text content(Test *t, Disk *disk, Text path) {
    Bytes out = BYTES_NONE;
    if (!disk_read_whole(disk, path, MB, t->arena, &out, t->err)) return TEXT_NONE;
    return bytes_text(out);
}

static bool exists(Test *t, Disk *disk, Text path) {
    bool there = false;
    check_ok(t, disk->exists(disk, path, &there, t->err));
    return there;
}

TEST(only_what_was_synced_survives_when_all_is_dropped) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 1000, 'a');
    check_ok(t, disk->sync(disk, file, t->err));
    AUTO(disk_model_free) DiskModel *copy = disk_model_copy(model);
    crash(model, disk, &file, CRASH_DROP_ALL, 0);
    check(t, !exists(t, disk, TEXT("f")));  // synced itself, but not its name

    Disk *other = disk_model_disk(copy);
    check_ok(t, other->sync_folder(other, TEXT("."), t->err));
    check_ok(t, other->open(other, TEXT("f"), FILE_WRITE, &file, t->err));
    fill(t, other, file, 500, 1000, 'b');
    crash(copy, other, &file, CRASH_DROP_ALL, 0);
    Text after = content(t, other, TEXT("f"));
    check(t, after.len == 1000 && after.at[999] == 'a');
}

TEST(a_kill_keeps_all_but_makes_nothing_durable) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 10, 'a');
    crash(model, disk, &file, CRASH_KEEP_ALL, 0);
    check_text(t, TEXT("aaaaaaaaaa"), content(t, disk, TEXT("f")));
    disk_model_crash(model, CRASH_DROP_ALL, 0);
    check(t, !exists(t, disk, TEXT("f")));
}

TEST(files_opened_before_a_crash_are_refused_after_it) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 10, 'a');
    disk_model_crash(model, CRASH_KEEP_ALL, 0);
    int64_t bytes = 0;
    check_error(t, disk->size(disk, file, &bytes, t->err), ERROR_IO);
    check_error(t, disk->write(disk, file, 0, "x", 1, t->err), ERROR_IO);
    disk->close(disk, &file);
}

// Three writes over synced sectors: every sector shows one of its versions, and every combination
// worth having comes up.
TEST(a_random_crash_shows_old_or_new_by_the_sector) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 2048, 'a');
    check_ok(t, disk->sync(disk, file, t->err) && disk->sync_folder(disk, TEXT("."), t->err));
    fill(t, disk, file, 0, 2048, 'b');
    fill(t, disk, file, 512, 1024, 'c');
    unsigned seen[4][3] = {0};
    bool torn = false, later_without_earlier = false;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        AUTO(disk_model_free) DiskModel *copy = disk_model_copy(model);
        disk_model_crash(copy, CRASH_RANDOM, seed);
        Text after = content(t, disk_model_disk(copy), TEXT("f"));
        check(t, after.len == 2048);
        for (size_t sector = 0; sector < 4; sector++) {
            const char *first = after.at + sector * 512;
            check(t, memcmp(first, first + 1, 511) == 0);  // no sector is torn inside
            check(t, *first >= 'a' && *first <= (sector == 1 || sector == 2 ? 'c' : 'b'));
            seen[sector][*first - 'a']++;
        }
        torn |= (after.at[0] == 'b') != (after.at[1536] == 'b');
        later_without_earlier |=
            after.at[512] == 'c' && after.at[0] == 'a' && after.at[1536] == 'a';
    }
    for (size_t sector = 0; sector < 4; sector++) {
        check(t, seen[sector][0] > 20 && seen[sector][1] > 20);
    }
    check(t, seen[1][2] > 20 && torn && later_without_earlier);
    disk->close(disk, &file);
}

TEST(a_growing_file_may_show_any_of_its_sizes_and_holes) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 512, 'a');
    check_ok(t, disk->sync(disk, file, t->err) && disk->sync_folder(disk, TEXT("."), t->err));
    fill(t, disk, file, 512, 512, 'b');
    fill(t, disk, file, 1024, 512, 'c');
    unsigned sizes[4] = {0}, holes = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        AUTO(disk_model_free) DiskModel *copy = disk_model_copy(model);
        disk_model_crash(copy, CRASH_RANDOM, seed);
        Text after = content(t, disk_model_disk(copy), TEXT("f"));
        check(t,
              after.len % 512 == 0 && after.len >= 512 && after.len <= 1536 && after.at[0] == 'a');
        sizes[after.len / 512]++;
        if (after.len > 512) {
            check(t, after.at[512] == 'b' || after.at[512] == 0);
            holes += after.at[512] == 0;
        }
    }
    check(t, sizes[1] > 10 && sizes[2] > 10 && sizes[3] > 10 && holes > 10);
    disk->close(disk, &file);
}

TEST(a_cut_never_brings_old_bytes_back) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 2048, 'a');
    check_ok(t, disk->sync(disk, file, t->err) && disk->sync_folder(disk, TEXT("."), t->err));
    check_ok(t, disk->resize(disk, file, 0, t->err));
    fill(t, disk, file, 1024, 1024, 'b');
    for (uint64_t seed = 1; seed <= 300; seed++) {
        AUTO(disk_model_free) DiskModel *copy = disk_model_copy(model);
        disk_model_crash(copy, CRASH_RANDOM, seed);
        Text after = content(t, disk_model_disk(copy), TEXT("f"));
        if (after.len == 0) continue;
        // Before the cut: all old. After it: zeros in front, zeros or new bytes behind.
        bool before = after.at[0] == 'a';
        for (size_t i = 0; i < after.len; i++) {
            bool fine =
                before ? after.at[i] == 'a' : after.at[i] == 0 || (i >= 1024 && after.at[i] == 'b');
            check(t, fine);
        }
    }
    disk->close(disk, &file);
}

TEST(a_rename_shows_old_or_new_but_the_bytes_need_their_own_sync) {
    unsigned old = 0, new = 0, torn = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        AUTO(disk_model_free) DiskModel *model = disk_model_new();
        Disk *disk = disk_model_disk(model);
        check_ok(t, disk_replace(disk, TEXT("."), TEXT("m"), text_bytes(TEXT("old")), t->err));
        File *file = make(t, disk, TEXT("m.tmp"), 3, 'n');  // not synced: the classic mistake
        check_ok(t, disk->rename(disk, TEXT("m.tmp"), TEXT("m"), t->err));
        crash(model, disk, &file, CRASH_RANDOM, seed);
        Text after = content(t, disk, TEXT("m"));
        old += text_equal(after, TEXT("old"));
        new += text_equal(after, TEXT("nnn"));
        torn +=
            after.at != NULL && !text_equal(after, TEXT("old")) && !text_equal(after, TEXT("nnn"));
        check(t, exists(t, disk, TEXT("m")));
    }
    check(t, old > 30 && new > 10 && torn > 10);
}

TEST(a_replace_stopped_anywhere_leaves_old_or_new) {
    for (uint64_t n = 1; n <= 12; n++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            AUTO(disk_model_free) DiskModel *model = disk_model_new();
            Disk *disk = disk_model_disk(model);
            check_ok(t, disk_replace(disk, TEXT(""), TEXT("m"), text_bytes(TEXT("old")), t->err));
            disk_model_stop_at(model, disk_model_operations(model) + n);
            bool ok = disk_replace(disk, TEXT(""), TEXT("m"), text_bytes(TEXT("newer")), t->err);
            disk_model_crash(model, seed == 0 ? CRASH_DROP_ALL : CRASH_RANDOM, seed);
            Text after = content(t, disk, TEXT("m"));
            check(t, text_equal(after, TEXT("newer")) || (!ok && text_equal(after, TEXT("old"))));
            check(t, ok == (n > 6));
        }
    }
}

// The same check as above must fail for each lie that matters to it.
TEST(a_lying_disk_is_found_out) {
    static const DiskLie lies[] = {LIE_NONE, LIE_SYNC, LIE_SYNC_FOLDER};
    for (size_t i = 0; i < COUNT(lies); i++) {
        unsigned lost = 0;
        for (uint64_t seed = 0; seed < 60; seed++) {
            AUTO(disk_model_free) DiskModel *model = disk_model_new();
            Disk *disk = disk_model_disk(model);
            disk_model_lie(model, lies[i]);
            check_ok(t, disk_replace(disk, TEXT(""), TEXT("m"), text_bytes(TEXT("new")), t->err));
            disk_model_crash(model, CRASH_RANDOM, seed);
            lost += !text_equal(content(t, disk, TEXT("m")), TEXT("new"));
        }
        check(t, (lost > 0) == (lies[i] != LIE_NONE));
    }
}

TEST(an_early_rename_outruns_its_bytes) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    check_ok(t, disk_replace(disk, TEXT("."), TEXT("m"), text_bytes(TEXT("old")), t->err));
    disk_model_lie(model, LIE_RENAME_EARLY);
    File *file = make(t, disk, TEXT("m.tmp"), 3, 'n');
    check_ok(t, disk->rename(disk, TEXT("m.tmp"), TEXT("m"), t->err));
    crash(model, disk, &file, CRASH_DROP_ALL, 0);
    check(t, exists(t, disk, TEXT("m")) && content(t, disk, TEXT("m")).len == 0);
    check(t, !exists(t, disk, TEXT("m.tmp")));
}

TEST(a_rename_across_folders_keeps_the_file_in_one_of_them) {
    unsigned in[4] = {0};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        AUTO(disk_model_free) DiskModel *model = disk_model_new();
        Disk *disk = disk_model_disk(model);
        check_ok(t, disk_make_folders(disk, TEXT("/a"), t->err) &&
                        disk_make_folders(disk, TEXT("/b"), t->err));
        check_ok(t, disk_replace(disk, TEXT("/a"), TEXT("f"), text_bytes(TEXT("x")), t->err));
        check_ok(t, disk->rename(disk, TEXT("/a/f"), TEXT("/b/f"), t->err));
        disk_model_crash(model, CRASH_RANDOM, seed);
        in[exists(t, disk, TEXT("/a/f")) + 2 * exists(t, disk, TEXT("/b/f"))]++;
    }
    check(t, in[0] == 0 && in[1] > 10 && in[2] > 10 && in[3] > 10);
}

TEST(a_link_is_durable_with_its_folder_and_keeps_the_file) {
    unsigned kept = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        AUTO(disk_model_free) DiskModel *model = disk_model_new();
        Disk *disk = disk_model_disk(model);
        check_ok(t, disk_make_folders(disk, TEXT("/a"), t->err) &&
                        disk_make_folders(disk, TEXT("/b"), t->err));
        check_ok(t, disk_replace(disk, TEXT("/a"), TEXT("f"), text_bytes(TEXT("x")), t->err));
        check_ok(t, disk->link(disk, TEXT("/a/f"), TEXT("/b/f"), t->err));
        if (seed % 2 == 0) check_ok(t, disk->sync_folder(disk, TEXT("/b"), t->err));
        if (seed % 2 == 0) check_ok(t, disk->remove(disk, TEXT("/a/f"), t->err));
        disk_model_crash(model, CRASH_RANDOM, seed);
        bool linked = exists(t, disk, TEXT("/b/f"));
        check(t, linked || (seed % 2 == 1 && exists(t, disk, TEXT("/a/f"))));
        if (linked) check_text(t, TEXT("x"), content(t, disk, TEXT("/b/f")));
        kept += linked && seed % 2 == 1;
    }
    check(t, kept > 5 && kept < 45);
}

TEST(a_failed_sync_loses_the_bytes_for_good) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 512, 'a');
    check_ok(t, disk->sync(disk, file, t->err) && disk->sync_folder(disk, TEXT("."), t->err));
    fill(t, disk, file, 0, 512, 'b');
    disk_model_fail_sync(model, 1);
    check_error(t, disk->sync_data(disk, file, t->err), ERROR_IO);
    check_ok(t, disk->sync_data(disk, file, t->err));  // says true, as Linux does
    check(t, content(t, disk, TEXT("f")).at[0] == 'b');
    crash(model, disk, &file, CRASH_DROP_ALL, 0);
    check(t, content(t, disk, TEXT("f")).at[0] == 'a');
}

TEST(a_full_disk_takes_what_fits) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    disk_model_capacity(model, 1000);
    File *file = make(t, disk, TEXT("f"), 600, 'a'), *second = NULL;
    check_ok(t, disk->open(disk, TEXT("g"), FILE_CREATE, &second, t->err));
    char bytes[600] = {0};
    check_error(t, disk->write(disk, second, 0, bytes, 600, t->err), ERROR_DISK_FULL);
    check_error(t, disk->resize(disk, second, 5000, t->err), ERROR_DISK_FULL);
    int64_t size = 0;
    check_ok(t, disk->size(disk, second, &size, t->err));
    check_i64(t, 400, size);
    check_ok(t, disk->write(disk, file, 0, bytes, 600,
                            t->err));  // over what is there: no more is needed
    disk->close(disk, &file);
    check_ok(t, disk->remove(disk, TEXT("f"), t->err));
    check_ok(t, disk->write(disk, second, 400, bytes, 600, t->err));
    disk->close(disk, &second);
}

TEST(a_flipped_bit_stays_flipped) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    check_ok(t, disk_replace(disk, TEXT(""), TEXT("f"), text_bytes(TEXT("abc")), t->err));
    check(t, disk_model_flip(model, TEXT("f"), 1, 0));
    check(t, !disk_model_flip(model, TEXT("f"), 3, 0) && !disk_model_flip(model, TEXT("g"), 0, 0));
    check_text(t, TEXT("acc"), content(t, disk, TEXT("f")));
    disk_model_crash(model, CRASH_DROP_ALL, 0);
    check_text(t, TEXT("acc"), content(t, disk, TEXT("f")));
}

TEST(a_map_stays_as_it_was_and_a_copy_goes_its_own_way) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    File *file = make(t, disk, TEXT("f"), 100, 'a');
    Bytes view;
    check_ok(t, disk->map(disk, file, 100, &view, t->err));
    AUTO(disk_model_free) DiskModel *copy = disk_model_copy(model);
    fill(t, disk, file, 0, 100, 'b');
    check(t, view.at[0] == 'a' && content(t, disk_model_disk(copy), TEXT("f")).at[0] == 'a');
    disk->unmap(disk, &view);
    disk->close(disk, &file);
}

// A long life of short files must not keep the dead ones, and stays right through many crashes.
TEST(many_files_come_and_go) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    for (int i = 0; i < 2000; i++) {
        ArenaMark mark = arena_mark(t->arena);
        Text name = text_format(t->arena, "f%d", i % 7);
        Text number = text_format(t->arena, "%d", i);
        check_ok(t, disk_replace(disk, TEXT(""), name, text_bytes(number), t->err));
        if (i % 3 == 0) check_ok(t, disk->remove(disk, name, t->err));
        if (i % 50 == 0) disk_model_crash(model, CRASH_RANDOM, (uint64_t)i);
        if (i % 3 != 0) check_text(t, number, content(t, disk, name));
        arena_reset_to(t->arena, mark);
    }
}

TEST_MAIN("os/disk_model", CASE(only_what_was_synced_survives_when_all_is_dropped),
          CASE(a_kill_keeps_all_but_makes_nothing_durable),
          CASE(files_opened_before_a_crash_are_refused_after_it),
          CASE(a_random_crash_shows_old_or_new_by_the_sector),
          CASE(a_growing_file_may_show_any_of_its_sizes_and_holes),
          CASE(a_cut_never_brings_old_bytes_back),
          CASE(a_rename_shows_old_or_new_but_the_bytes_need_their_own_sync),
          CASE(a_replace_stopped_anywhere_leaves_old_or_new), CASE(a_lying_disk_is_found_out),
          CASE(an_early_rename_outruns_its_bytes),
          CASE(a_rename_across_folders_keeps_the_file_in_one_of_them),
          CASE(a_link_is_durable_with_its_folder_and_keeps_the_file),
          CASE(a_failed_sync_loses_the_bytes_for_good), CASE(a_full_disk_takes_what_fits),
          CASE(a_flipped_bit_stays_flipped),
          CASE(a_map_stays_as_it_was_and_a_copy_goes_its_own_way), CASE(many_files_come_and_go))
