// What the kernel tells about us is plausible, and signals arrive.

#include "os/process.h"

#include <errno.h>
#include <signal.h>

#include "base/test.h"
#include "os/call_fault.h"
#include "os/disk.h"

TEST(the_process_knows_itself) {
    check(t, process_memory_resident() > 100 * KB);
    check(t, process_memory_resident_peak() > 100 * KB);
    check(t, machine_memory_total() > 16 * MB && machine_memory_total() < (int64_t)1 << 50);
    check(t, process_id() > 0 && machine_name(t->arena).len > 0);
    check(t, text_find(process_program_path(t->arena), TEXT("process")) >= 0);
    check(t, text_starts_with(machine_kernel(t->arena), TEXT("Linux ")));
    check(t, process_files_raise() >= process_files_open());
}

TEST(open_files_are_counted) {
    int64_t before = process_files_open();
    Disk *disk = disk_real();
    File *file = NULL;
    check_ok(t, disk->open(disk, TEXT("/dev/null"), FILE_READ, &file, t->err));
    check_i64(t, before + 1, process_files_open());
    disk->close(disk, &file);
    check_i64(t, before, process_files_open());
}

TEST(small_files_and_the_environment_are_read) {
    AUTO(builder_free) Builder text = {0};
    check_ok(t, process_read_file("/proc/self/status", &text, t->err));
    check(t, text_find(builder_text(&text), TEXT("VmRSS")) >= 0);
    check_error(t, process_read_file("/proc/no/such", &text, t->err), ERROR_NOT_FOUND);
    check(t, environment_get("PATH").len > 0 && environment_get("TRACEO_NO_SUCH_NAME").at == NULL);
    MountSpace space;
    check_ok(t, mount_space("/", &space, t->err));
    check(t, space.bytes > 0 && space.bytes >= space.bytes_free &&
                 space.bytes_free >= space.bytes_available);
    check_error(t, mount_space("/no/such/mount", &space, t->err), ERROR_NOT_FOUND);
}

TEST(each_call_fails_by_plan_and_works_again) {
    AUTO(builder_free) Builder text = {0};
    for (uint64_t nth = 1; nth <= 2; nth++) {  // the open, then the read
        call_fail_after(OS_CALL_FILE_READ, nth, false, EIO);
        check_error(t, process_read_file("/proc/self/status", &text, t->err), ERROR_IO);
        check(t, strstr(t->err->message, "Input/output error") != NULL);
    }
    check_ok(t, process_read_file("/proc/self/status", &text, t->err));
    check(t, call_fail_after(OS_CALL_MOUNT_SPACE, 1, true, EACCES) >= 4);
    MountSpace space;
    for (int i = 0; i < 2; i++) check_error(t, mount_space("/", &space, t->err), ERROR_IO);
    call_fail_after(OS_CALL_SIGNALS, 1, false, EMFILE);
    check_error(t, signals_begin(t->err), ERROR_IO);
    check_ok(t, signals_begin(t->err));
    call_fail_after(OS_CALL_STREAM_WRITE, 1, false, ENOSPC);
    check_error(t, stream_write_out(TEXT("not seen"), t->err), ERROR_DISK_FULL);
    call_fail_after(OS_CALL_ASK, 1, true, EPERM);
    check(t, process_folder(t->arena).len == 0 && process_program_path(t->arena).len == 0);
    check(t, machine_name(t->arena).len == 0 && machine_kernel(t->arena).len == 0);
    check(t, process_files_open() == 0 && process_files_max() == 0);
    check_i64(t, 0, process_memory_resident_peak());
    check_i64(t, 7, call_fail_after(OS_CALL_NONE, 0, false, 0));
    check(t, process_files_open() > 0 && machine_name(t->arena).len > 0);
}

TEST(signals_are_heard_in_their_order) {
    check_ok(t, signals_begin(t->err));
    check_ok(t, signals_begin(t->err));
    check(t, signals_wait(0) == SIGNAL_NONE && signals_wait(5) == SIGNAL_NONE);
    raise(SIGHUP);
    raise(SIGTERM);
    raise(SIGPIPE);
    check(t, signals_wait(1000) == SIGNAL_RELOAD && signals_wait(1000) == SIGNAL_STOP);
    signals_raise(SIGNAL_RELOAD);
    check(t, signals_wait(-1) == SIGNAL_RELOAD && signals_wait(0) == SIGNAL_NONE);
}

TEST_MAIN("os/process", CASE(the_process_knows_itself), CASE(open_files_are_counted),
          CASE(small_files_and_the_environment_are_read),
          CASE(each_call_fails_by_plan_and_works_again), CASE(signals_are_heard_in_their_order))
