// One set of cases that every disk must pass (real, model, fault around model), and the real one's
// own.

#include "os/disk.h"

#include "base/test.h"
#include "os/disk_fault.h"
#include "os/disk_model.h"
#include "os/process.h"

static Text at(Test *t, Text folder, const char *name) {
    return text_format(t->arena, "%.*s/%s", TEXT_ARG(folder), name);
}

static void put(Test *t, Disk *disk, Text path, Bytes content) {
    File *file = NULL;
    check_ok(t, disk->open(disk, path, FILE_CREATE, &file, t->err));
    check_ok(t, disk->write(disk, file, 0, content.at, content.len, t->err));
    check_ok(t, disk->sync(disk, file, t->err));
    disk->close(disk, &file);
    check(t, file == NULL);
    disk->close(disk, &file);
}

static void files_read_write_and_grow(Test *t, Disk *disk, Text folder) {
    Text path = at(t, folder, "grow");
    File *file = NULL;
    check_error(t, disk->open(disk, path, FILE_READ, &file, t->err), ERROR_NOT_FOUND);
    check_error(t, disk->open(disk, path, FILE_WRITE, &file, t->err), ERROR_NOT_FOUND);
    check_error(t, disk->open(disk, at(t, folder, "missing/x"), FILE_CREATE, &file, t->err),
                ERROR_NOT_FOUND);
    put(t, disk, path, text_bytes(TEXT("hello")));
    check_error(t, disk->open(disk, path, FILE_CREATE, &file, t->err), ERROR_IO);

    check_ok(t, disk->open(disk, path, FILE_WRITE, &file, t->err));
    check_ok(t, disk->write(disk, file, 10, "world", 5, t->err));
    char got[32];
    size_t count = 0;
    check_ok(t, disk->read(disk, file, 0, got, sizeof got, &count, t->err));
    check(t, count == 15);
    check_same_bytes(t, got, "hello\0\0\0\0\0world", 15);
    check_ok(t, disk->resize(disk, file, 3, t->err));
    check_ok(t, disk->resize(disk, file, 7, t->err));
    check_ok(t, disk->read(disk, file, 1, got, sizeof got, &count, t->err));
    check(t, count == 6);
    check_same_bytes(t, got, "el\0\0\0\0", 6);
    check_ok(t, disk->read(disk, file, 100, got, sizeof got, &count, t->err));
    check(t, count == 0);
    int64_t bytes = 0;
    check_ok(t, disk->size(disk, file, &bytes, t->err));
    check_i64(t, 7, bytes);
    check_ok(t, disk->sync_data(disk, file, t->err));
    disk->close(disk, &file);

    check_ok(t, disk->open(disk, path, FILE_READ, &file, t->err));
    check_error(t, disk->write(disk, file, 0, "x", 1, t->err), ERROR_IO);
    disk->close(disk, &file);
}

static void a_link_is_a_second_name(Test *t, Disk *disk, Text folder) {
    Text first = at(t, folder, "linked"), second = at(t, folder, "linked.again");
    bool there = true;
    Bytes content;
    check_error(t, disk->link(disk, first, second, t->err), ERROR_NOT_FOUND);
    put(t, disk, first, text_bytes(TEXT("hello")));
    check_ok(t, disk->link(disk, first, second, t->err));
    check_error(t, disk->link(disk, first, second, t->err), ERROR_IO);
    check_ok(t, disk->remove(disk, first, t->err));
    check_ok(t, disk->exists(disk, first, &there, t->err));
    check(t, !there);
    check_ok(t, disk_read_whole(disk, second, 99, t->arena, &content, t->err));
    check_text(t, TEXT("hello"), bytes_text(content));
    check_ok(t, disk->remove(disk, second, t->err));
}

static void maps_want_the_stated_size(Test *t, Disk *disk, Text folder) {
    File *file = NULL;
    Bytes view = BYTES_NONE;
    put(t, disk, at(t, folder, "map"), text_bytes(TEXT("mapped")));
    check_ok(t, disk->open(disk, at(t, folder, "map"), FILE_READ, &file, t->err));
    check_error(t, disk->map(disk, file, 5, &view, t->err), ERROR_CORRUPT);
    check_ok(t, disk->map(disk, file, 6, &view, t->err));
    check_text(t, TEXT("mapped"), bytes_text(view));
    disk->close(disk, &file);
    check_text(t, TEXT("mapped"), bytes_text(view));  // a view outlives its file
    disk->unmap(disk, &view);
    check(t, view.at == NULL && view.len == 0);
    disk->unmap(disk, &view);

    put(t, disk, at(t, folder, "empty"), BYTES_NONE);
    check_ok(t, disk->open(disk, at(t, folder, "empty"), FILE_READ, &file, t->err));
    check_ok(t, disk->map(disk, file, 0, &view, t->err));
    check(t, view.len == 0);
    disk->unmap(disk, &view);
    disk->close(disk, &file);
}

static void a_lock_has_one_holder(Test *t, Disk *disk, Text folder) {
    File *first = NULL, *second = NULL;
    put(t, disk, at(t, folder, "lock"), BYTES_NONE);
    check_ok(t, disk->open(disk, at(t, folder, "lock"), FILE_WRITE, &first, t->err));
    check_ok(t, disk->open(disk, at(t, folder, "lock"), FILE_WRITE, &second, t->err));
    check_ok(t, disk->lock(disk, first, t->err));
    check_ok(t, disk->lock(disk, first, t->err));
    check_error(t, disk->lock(disk, second, t->err), ERROR_IN_USE);
    disk->close(disk, &first);
    check_ok(t, disk->lock(disk, second, t->err));
    disk->close(disk, &second);
}

static void folders_list_rename_and_remove(Test *t, Disk *disk, Text folder) {
    Text deep = at(t, folder, "a/b/c");
    bool exists = true;
    check_ok(t, disk->exists(disk, deep, &exists, t->err));
    check(t, !exists);
    check_error(t, disk->make_folder(disk, deep, t->err), ERROR_NOT_FOUND);
    check_ok(t, disk_make_folders(disk, deep, t->err));
    check_ok(t, disk_make_folders(disk, deep, t->err));
    check_ok(t, disk->make_folder(disk, deep, t->err));
    check_ok(t, disk->exists(disk, deep, &exists, t->err));
    check(t, exists);

    put(t, disk, at(t, deep, "two"), text_bytes(TEXT("22")));
    put(t, disk, at(t, deep, "one"), text_bytes(TEXT("1")));
    check_ok(t, disk->make_folder(disk, at(t, deep, "sub"), t->err));
    DiskEntries entries;
    check_ok(t, disk->list(disk, deep, t->arena, &entries, t->err));
    check(t, entries.count == 3);
    check_text(t, TEXT("one"), entries.at[0].name);
    check_text(t, TEXT("sub"), entries.at[1].name);
    check(t, entries.at[1].is_folder && !entries.at[0].is_folder && entries.at[2].bytes == 2);
    check_error(t, disk->list(disk, at(t, deep, "nothing"), t->arena, &entries, t->err),
                ERROR_NOT_FOUND);

    check_error(t, disk->make_folder(disk, at(t, deep, "one"), t->err), ERROR_IO);
    check_error(t, disk->remove_folder(disk, deep, t->err), ERROR_IO);
    check_error(t, disk->rename(disk, at(t, deep, "three"), at(t, deep, "one"), t->err),
                ERROR_NOT_FOUND);
    check_ok(t, disk->rename(disk, at(t, deep, "two"), at(t, deep, "one"), t->err));
    check_ok(t, disk->rename(disk, at(t, deep, "one"), at(t, folder, "a/moved"), t->err));
    Bytes content;
    check_ok(t, disk_read_whole(disk, at(t, folder, "a/moved"), 100, t->arena, &content, t->err));
    check_text(t, TEXT("22"), bytes_text(content));
    check_error(t, disk->remove(disk, at(t, deep, "one"), t->err), ERROR_NOT_FOUND);
    check_ok(t, disk->remove_folder(disk, at(t, deep, "sub"), t->err));
    check_ok(t, disk->remove_folder(disk, deep, t->err));
    check_error(t, disk->sync_folder(disk, deep, t->err), ERROR_NOT_FOUND);
    check_ok(t, disk->remove(disk, at(t, folder, "a/moved"), t->err));
    DiskSpace space;
    check_ok(t, disk->space(disk, folder, &space, t->err));
    check(t, space.total_bytes >= space.free_bytes && space.free_bytes > 0 && space.free_files > 0);
}

static void a_file_is_replaced_whole(Test *t, Disk *disk, Text folder) {
    Text path = at(t, folder, "manifest");
    put(t, disk, at(t, folder, "manifest.tmp"), text_bytes(TEXT("left behind")));
    check_ok(t, disk_replace(disk, folder, TEXT("manifest"), text_bytes(TEXT("old")), t->err));
    check_ok(t, disk_replace(disk, folder, TEXT("manifest"), text_bytes(TEXT("newer")), t->err));
    Bytes content;
    check_ok(t, disk_read_whole(disk, path, 5, t->arena, &content, t->err));
    check_text(t, TEXT("newer"), bytes_text(content));
    check_error(t, disk_read_whole(disk, path, 4, t->arena, &content, t->err), ERROR_TOO_LARGE);
    bool exists = true;
    check_ok(t, disk->exists(disk, at(t, folder, "manifest.tmp"), &exists, t->err));
    check(t, !exists);
}

static void direct_files_take_whole_blocks(Test *t, Disk *disk, Text folder) {
    Text path = at(t, folder, "direct");
    uint8_t *buffer = NULL;
    File *file = NULL;
    check_ok(t, disk_buffer_take(3 * DISK_ALIGN, &buffer, t->err));
    check(t, (uintptr_t)buffer % DISK_ALIGN == 0);
    memset(buffer, 'x', 3 * DISK_ALIGN);
    check_ok(t, disk->open(disk, path, FILE_CREATE_DIRECT, &file, t->err));
    check_ok(t, disk->write(disk, file, 0, buffer, 2 * DISK_ALIGN, t->err));
    check_ok(t, disk->sync_data(disk, file, t->err));
    memset(buffer, 0, 3 * DISK_ALIGN);
    size_t count = 0;
    check_ok(t, disk->read(disk, file, DISK_ALIGN, buffer, 2 * DISK_ALIGN, &count, t->err));
    check(t, count == DISK_ALIGN && buffer[0] == 'x' && buffer[DISK_ALIGN - 1] == 'x' &&
                 buffer[DISK_ALIGN] == 0);
    check_ok(t, disk->resize(disk, file, 5000, t->err));  // an end that no block has
    disk->close(disk, &file);
    check_ok(t, disk->open(disk, path, FILE_READ_DIRECT, &file, t->err));
    check_ok(t, disk->read(disk, file, 0, buffer, 3 * DISK_ALIGN, &count, t->err));
    check(t, count == 5000 && buffer[4999] == 'x');
    disk->close(disk, &file);
    disk_buffer_free(&buffer);
    check(t, buffer == NULL);
}

static void pass_all(Test *t, Disk *disk, Text folder) {
    files_read_write_and_grow(t, disk, folder);
    a_link_is_a_second_name(t, disk, folder);
    maps_want_the_stated_size(t, disk, folder);
    a_lock_has_one_holder(t, disk, folder);
    folders_list_rename_and_remove(t, disk, folder);
    a_file_is_replaced_whole(t, disk, folder);
    direct_files_take_whole_blocks(t, disk, folder);
}

static void remove_all(Test *t, Disk *disk, Text folder) {
    DiskEntries entries;
    check_ok(t, disk->list(disk, folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path = at(t, folder, text_to_cstring(entries.at[i].name, t->arena));
        if (entries.at[i].is_folder) {
            remove_all(t, disk, path);
        } else {
            check_ok(t, disk->remove(disk, path, t->err));
        }
    }
    check_ok(t, disk->remove_folder(disk, folder, t->err));
}

static void pass_all_in(Test *t, const char *parent) {
    Disk *disk = disk_real();
    Text folder =
        text_format(t->arena, "%s/traceo-disk-test-%lld", parent, (long long)process_id());
    check_ok(t, disk_make_folders(disk, folder, t->err));
    pass_all(t, disk, folder);
    remove_all(t, disk, folder);
}

TEST(the_real_disk_passes_every_case) {
    Text parent = environment_get("TMPDIR");
    pass_all_in(t, parent.len > 0 ? parent.at : "/tmp");
}

TEST(a_file_system_in_memory_passes_every_case) {
    bool exists = false;
    check_ok(t, disk_real()->exists(disk_real(), TEXT("/dev/shm"), &exists, t->err));
    if (!exists) test_skip(t, "there is no /dev/shm");
    pass_all_in(t, "/dev/shm");
}

TEST(the_model_passes_every_case) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    check_ok(t, disk->make_folder(disk, TEXT("/data"), t->err));
    pass_all(t, disk, TEXT("/data"));
}

TEST(a_disk_without_a_plan_passes_every_case) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    AUTO(disk_fault_free) DiskFault *fault = disk_fault_new(disk_model_disk(model));
    pass_all(t, disk_fault_disk(fault), TEXT("."));
}

TEST(errors_of_the_real_disk_tell_path_and_cause) {
    Disk *disk = disk_real();
    File *file = NULL;
    check_error(t, disk->open(disk, TEXT("/no/such/file"), FILE_READ, &file, t->err),
                ERROR_NOT_FOUND);
    check_text(t, TEXT("opening /no/such/file: No such file or directory"),
               text_from_cstring(t->err->message));
    char *name = arena_push_size(t->arena, 5000, 1);
    memset(name, 'n', 5000);
    check_error(t, disk->open(disk, (Text){name, 5000}, FILE_READ, &file, t->err), ERROR_IO);
    check_error(t, disk->open(disk, (Text){"a\0b", 3}, FILE_READ, &file, t->err), ERROR_IO);
    check_ok(t, disk->open(disk, TEXT("/dev/full"), FILE_WRITE, &file, t->err));
    check_error(t, disk->write(disk, file, 0, "x", 1, t->err), ERROR_DISK_FULL);
    disk->close(disk, &file);
}

TEST(each_failure_of_a_replace_leaves_old_or_new) {
    for (uint64_t n = 1;; n++) {
        AUTO(disk_model_free) DiskModel *model = disk_model_new();
        AUTO(disk_fault_free) DiskFault *fault = disk_fault_new(disk_model_disk(model));
        Disk *disk = disk_fault_disk(fault);
        check_ok(t, disk_replace(disk, TEXT("."), TEXT("x"), text_bytes(TEXT("old")), t->err));
        disk_fault_plan(
            fault,
            (DiskFaultPlan){.call = DISK_CALL_ANY, .nth = n, .code = ERROR_IO, .partial = true});
        bool ok = disk_replace(disk, TEXT("."), TEXT("x"), text_bytes(TEXT("newer")), t->err);
        bool reached = disk_fault_seen(fault, DISK_CALL_ANY) >= n;
        check(t, ok == !reached);
        disk_fault_plan(fault, (DiskFaultPlan){0});
        Bytes content;
        check_ok(t, disk_read_whole(disk, TEXT("x"), 100, t->arena, &content, t->err));
        bool is_old = text_equal(bytes_text(content), TEXT("old"));
        check(t, is_old || text_equal(bytes_text(content), TEXT("newer")));
        if (!reached) {
            check(t, n > 5 && !is_old);
            break;
        }
    }
}

TEST(a_plan_counts_its_calls_and_writes_half) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    AUTO(disk_fault_free) DiskFault *fault = disk_fault_new(disk_model_disk(model));
    Disk *disk = disk_fault_disk(fault);
    File *file = NULL;
    check_ok(t, disk->open(disk, TEXT("f"), FILE_CREATE, &file, t->err));
    disk_fault_plan(
        fault, (DiskFaultPlan){
                   .call = DISK_CALL_WRITE, .nth = 2, .code = ERROR_DISK_FULL, .partial = true});
    check_ok(t, disk->write(disk, file, 0, "aaaa", 4, t->err));
    check_error(t, disk->write(disk, file, 4, "bbbb", 4, t->err), ERROR_DISK_FULL);
    int64_t bytes = 0;
    check_ok(t, disk->size(disk, file, &bytes, t->err));
    check_i64(t, 6, bytes);
    check_ok(t, disk->write(disk, file, 4, "bbbb", 4, t->err));
    check(t, disk_fault_seen(fault, DISK_CALL_WRITE) == 3 &&
                 disk_fault_seen(fault, DISK_CALL_ANY) == 4);
    disk_fault_plan(
        fault,
        (DiskFaultPlan){.call = DISK_CALL_SYNC, .nth = 1, .for_ever = true, .code = ERROR_IO});
    check_error(t, disk->sync(disk, file, t->err), ERROR_IO);
    check_error(t, disk->sync_folder(disk, TEXT("."), t->err), ERROR_IO);
    disk_fault_plan(fault, (DiskFaultPlan){.call = DISK_CALL_SYNC, .nth = 1, .delay_ms = 1});
    check_ok(t, disk->sync_data(disk, file, t->err));
    disk_fault_plan(fault, (DiskFaultPlan){.nth = 1, .code = ERROR_IO, .untold = true});
    check_ok(t, disk->write(disk, file, 8, "cccc", 4, t->err));
    check_ok(t, disk->size(disk, file, &bytes, t->err));
    check_i64(t, 8, bytes);  // nothing was written
    disk->close(disk, &file);
}

TEST_MAIN("os/disk", CASE(the_real_disk_passes_every_case),
          CASE(a_file_system_in_memory_passes_every_case), CASE(the_model_passes_every_case),
          CASE(a_disk_without_a_plan_passes_every_case),
          CASE(errors_of_the_real_disk_tell_path_and_cause),
          CASE(each_failure_of_a_replace_leaves_old_or_new),
          CASE(a_plan_counts_its_calls_and_writes_half))
