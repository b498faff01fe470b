// The rules of the log, W1 to W25 of docs/durability.md, each by its number; then threads and
// limits.

#include "store/log/log.h"

#include "base/limits.h"
#include "os/disk_fault.h"
#include "os/process.h"
#include "os/random.h"
#include "os/thread.h"
#include "store/log/stage.h"
#include "store/log/walk.h"

TEST(w1_w2_the_first_acknowledged_record_survives_with_every_name_on_its_way) {
    Stage stage;
    stage_begin(&stage);
    check_ok(t, life_open(&stage.life, t->err));
    append_and_commit(t, &stage.life, 1, 100);
    stop_and_crash(&stage);
    reopen_and_judge(t, &stage);
    check_i64(t, 1, stage.life.recovery.records);
    stage_end(&stage);
}

TEST(w3_a_prepared_segment_is_overwritten_and_does_not_grow) {
    Stage stage;
    Text path;
    stage_begin(&stage);
    check_ok(t, life_open(&stage.life, t->err));
    while (log_background_now(stage.life.log)) continue;
    Disk *disk = stage.life.disk;
    check_i64(t, 1, count_files(t, disk, TEXT(".spare"), &path));
    append_and_commit(t, &stage.life, 3, 100);
    check_i64(t, 0, count_files(t, disk, TEXT(".spare"), &path));
    check_i64(t, 1, count_files(t, disk, TEXT(".log"), &path));
    LogState state;
    log_state(stage.life.log, &state);
    check_i64(t, stage.life.segment_bytes, state.bytes);
    stage_end(&stage);
}

TEST(w4_a_commit_is_one_write_and_one_sync) {
    DiskModel *model = disk_model_new();
    DiskFault *fault = disk_fault_new(disk_model_disk(model));
    Life life;
    life_begin(&life, disk_fault_disk(fault));
    check_ok(t, life_open(&life, t->err));
    append_and_commit(t, &life, 1, 100);
    disk_fault_plan(fault, (DiskFaultPlan){0});
    append_and_commit(t, &life, 20, 100);
    check_i64(t, 1, disk_fault_seen(fault, DISK_CALL_WRITE));
    check_i64(t, 1, disk_fault_seen(fault, DISK_CALL_SYNC));
    check_i64(t, 2, disk_fault_seen(fault, DISK_CALL_ANY));
    life_end(&life);
    disk_fault_free(&fault);
    disk_model_free(&model);
}

TEST(w5_bytes_of_an_earlier_life_of_the_file_never_verify) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    for (int i = 0; i < 8; i++) append_and_commit(t, life, 1, 7000);
    LogState state;
    log_state(life->log, &state);
    check_ok(t, life_trim(life, state.next_sequence, t->err));
    Text path;
    check(t, count_files(t, life->disk, TEXT(".spare"), &path) > 0);
    // The recycled file is full of old records, and gets one new one.
    for (int i = 0; i < 5; i++) append_and_commit(t, life, 1, 7000);
    stop_and_crash(&stage);
    reopen_and_judge(t, &stage);
    check_i64(t, 0, life->recovery.gap_count);
    stage_end(&stage);
}

TEST(w6_damage_before_later_records_is_a_gap_and_the_rest_is_read) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    for (int i = 0; i < 3; i++) append_and_commit(t, life, 1, 300);
    life_close(life);
    Text path;
    check_i64(t, 1, count_files(t, life->disk, TEXT(".log"), &path));
    check(t, disk_model_flip(stage.model, path, 2 * 4096 + 100, 3));
    for (int i = 0; i < 2; i++) {  // and again: recovery says the same
        check_ok(t, life_open(life, t->err));
        check_ok(t, life_judge(life, true, t->err));
        check_i64(t, 2, life->recovery.records);
        check_i64(t, 1, life->recovery.gap_count);
        const LogGap *gap = &life->recovery.gaps[0];
        check(t, gap->first_sequence == 2 && gap->last_sequence == 2 && gap->proven);
        check_text(t, path, gap->file);
        check(t, gap->offset <= 2 * 4096 && gap->offset + gap->bytes == 3 * 4096);
        life_close(life);
    }
    stage_end(&stage);
}

TEST(w6_damage_in_the_last_commit_is_a_gap_that_is_not_proven) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    append_and_commit(t, life, 3, 300);
    stop_and_crash(&stage);
    Text path;
    check_i64(t, 1, count_files(t, life->disk, TEXT(".log"), &path));
    check(t, disk_model_flip(stage.model, path, 4096 + 400 + 10, 3));
    for (int i = 0; i < 3; i++) {
        check_ok(t, life_open(life, t->err));
        check_i64(t, 1, life->recovery.gap_count);
        check(t, !life->recovery.gaps[0].proven);
        // Records that follow in a new segment do not turn it into a proven one.
        append_and_commit(t, life, 1, 300);
        life_close(life);
    }
    stage_end(&stage);
}

TEST(w7_the_cut_is_durable_before_the_first_new_append) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    append_and_commit(t, life, 2, 300);
    append_and_commit(t, life, 1, 300);
    life->given.at[2].acked = false;  // as if the power had gone before its answer
    stop_and_crash(&stage);
    Text path;
    check_i64(t, 1, count_files(t, life->disk, TEXT(".log"), &path));
    check(t, disk_model_flip(stage.model, path, 2 * 4096 + 100, 0));
    check_ok(t, life_open(life, t->err));
    check(t, life->recovery.bytes_cut > 0);
    check_i64(t, 3, life->recovery.next_sequence);
    append_and_commit(t, life, 1, 300);
    stop_and_crash(&stage);
    // The bit flips back, as a sector may that is read well at last: the old record must not.
    check(t, disk_model_flip(stage.model, path, 2 * 4096 + 100, 0));
    reopen_and_judge(t, &stage);
    check_i64(t, 3, life->recovery.records);
    check_i64(t, 0, life->recovery.bytes_cut);
    stage_end(&stage);
}

TEST(w8_after_a_failed_sync_the_batch_goes_to_a_new_file) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    append_and_commit(t, life, 2, 300);
    check_ok(t, life_append(life, 400, t->err));
    disk_model_fail_sync(stage.model, 1);
    check_ok(t, life_commit(life, t->err));
    LogState state;
    log_state(life->log, &state);
    check_i64(t, 2, state.segments);
    check(t, state.writable);
    stop_and_crash(&stage);
    reopen_and_judge(t, &stage);
    check_i64(t, 3, life->recovery.records);
    stage_end(&stage);
}

typedef struct Answer {
    int calls;
    bool ok;
    ErrorCode code;
} Answer;

static void note_answer(void *context, bool ok, const Error *err) {
    Answer *answer = context;
    *answer = (Answer){answer->calls + 1, ok, ok ? ERROR_NONE : err->code};
}

TEST(w8_after_a_second_failure_the_log_stops_and_can_still_be_read) {
    DiskModel *model = disk_model_new();
    DiskFault *fault = disk_fault_new(disk_model_disk(model));
    Life life;
    life_begin(&life, disk_fault_disk(fault));
    check_ok(t, life_open(&life, t->err));
    append_and_commit(t, &life, 2, 300);
    check_ok(t, life_append(&life, 400, t->err));
    Answer answer = {0};
    log_when_durable(life.log, 3, note_answer, &answer);
    disk_fault_plan(
        fault,
        (DiskFaultPlan){.call = DISK_CALL_SYNC, .nth = 1, .for_ever = true, .code = ERROR_IO});
    check_error(t, log_commit_now(life.log, t->err), ERROR_IO);
    check(t, answer.calls == 1 && !answer.ok && answer.code == ERROR_IO);
    check_error(t, life_append(&life, 10, t->err), ERROR_IO);
    check_error(t, log_wait(life.log, 3, t->err), ERROR_IO);
    disk_fault_plan(fault, (DiskFaultPlan){0});
    check_error(t, log_commit_now(life.log, t->err), ERROR_IO);
    LogState state;
    log_state(life.log, &state);
    check(t, !state.writable && state.reason.code == ERROR_IO && state.durable_sequence == 3);
    check_ok(t, life_judge(&life, false, t->err));
    life_end(&life);
    disk_fault_free(&fault);
    disk_model_free(&model);
}

static bool (*spied_open)(Disk *disk, Text path, FileMode mode, File **out, Error *err);
static int cached_reads;

static bool spy_open(Disk *disk, Text path, FileMode mode, File **out, Error *err) {
    if (text_ends_with(path, TEXT(".log")) && mode != FILE_READ_DIRECT && mode != FILE_WRITE_DIRECT)
        cached_reads++;
    return spied_open(disk, path, mode, out, err);
}

TEST(w9_the_log_is_read_past_the_page_cache) {
    Stage stage;
    stage_begin(&stage);
    check_ok(t, life_open(&stage.life, t->err));
    append_and_commit(t, &stage.life, 2, 300);
    life_close(&stage.life);
    Disk spy = *stage.life.disk;
    spied_open = spy.open;
    spy.open = spy_open;
    stage.life.disk = &spy;
    cached_reads = 0;
    reopen_and_judge(t, &stage);
    check_i64(t, 0, cached_reads);
    stage_end(&stage);
}

// Of a log with some ballast on a disk that is soon full.
static LogOptions small_disk_options(DiskModel *model, int64_t bytes, ManualClock *clock) {
    disk_model_capacity(model, bytes);
    clock_manual(clock, 1700000000000);
    return (LogOptions){.disk = disk_model_disk(model),
                        .clock = &clock->clock,
                        .folder = TEXT("data/log"),
                        .segment_bytes = 64 * KB,
                        .ballast_bytes = 128 * KB};
}

TEST(w10_w12_a_full_disk_stops_the_log_gives_the_ballast_back_and_lets_it_go_on_by_itself) {
    ManualClock clock;
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    LogOptions options = small_disk_options(model, 1 * MB, &clock);
    LogRecovery recovery;
    Log *log = NULL;
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    while (log_background_now(log)) continue;
    bool there;
    check_ok(t, disk->exists(disk, TEXT("data/log/ballast"), &there, t->err));
    check(t, there);
    uint8_t *body = arena_push_array(t->arena, uint8_t, 30000);
    LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 1, .body = {body, 30000}};
    uint64_t sequence = 0, acked = 0;
    while (log_append(log, &record, &sequence, t->err) && log_commit_now(log, t->err))
        acked = sequence;
    check(t, acked > 10);
    check_i64(t, ERROR_DISK_FULL, t->err->code);
    check_error(t, log_append(log, &record, &sequence, t->err), ERROR_DISK_FULL);
    check_ok(t, disk->exists(disk, TEXT("data/log/ballast"), &there, t->err));
    check(t, !there);  // others may use it now; the log itself does not
    check_error(t, log_commit_now(log, t->err), ERROR_DISK_FULL);
    LogState state;
    log_state(log, &state);
    check(t, !state.writable && state.durable_sequence == acked + 1);
    // What is in the log became durable elsewhere: trimming works on the full disk and makes room.
    check_ok(t, log_trim(log, acked + 1, t->err));
    check_ok(t, log_commit_now(log, t->err));
    log_state(log, &state);
    check(t, state.writable && state.durable_sequence == acked + 2);
    check_ok(t, log_append(log, &record, &sequence, t->err));
    check_ok(t, log_commit_now(log, t->err));
    // With plenty of space the ballast comes back too.
    while (log_background_now(log)) continue;
    check_ok(t, disk->exists(disk, TEXT("data/log/ballast"), &there, t->err));
    check(t, there);
    log_close(&log);
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    check(t, recovery.gap_count == 0 && recovery.next_sequence == sequence + 1);
    log_close(&log);
    disk_model_free(&model);
}

static bool is_there(Test *t, Disk *disk, const char *name) {
    bool there = false;
    Text path = text_format(t->arena, "data/log/%s", name);
    check_ok(t, disk->exists(disk, path, &there, t->err));
    return there;
}

// Some file systems need space to write over what is there: an opening after a crash does.
TEST(w12_an_opening_on_a_full_disk_takes_what_is_kept_aside) {
    for (int kept = 0; kept < 2; kept++) {
        ManualClock clock;
        DiskModel *model = disk_model_new();
        DiskFault *fault = disk_fault_new(disk_model_disk(model));
        LogOptions options = small_disk_options(model, 4 * MB, &clock);
        options.disk = disk_fault_disk(fault);
        if (kept == 0) options.ballast_bytes = -1;
        LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 1, .body = text_bytes(TEXT("x"))};
        LogRecovery recovery;
        Log *log = NULL;
        uint64_t sequence;
        check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
        while (log_background_now(log)) continue;
        check_ok(t, log_append(log, &record, &sequence, t->err));
        check_ok(t, log_commit_now(log, t->err));
        // One more that is not committed: the log does not end in order.
        check_ok(t, log_append(log, &record, &sequence, t->err));
        log_close(&log);
        disk_fault_plan(
            fault, (DiskFaultPlan){.call = DISK_CALL_WRITE, .nth = 1, .code = ERROR_DISK_FULL});
        if (kept == 0) {
            check_error(t, log_open(options, t->arena, &recovery, &log, t->err), ERROR_DISK_FULL);
        } else {
            check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
            check(t, disk_fault_seen(fault, DISK_CALL_WRITE) > 1);
            check_i64(t, (int64_t)sequence, (int64_t)recovery.next_sequence);
            check(t, recovery.records == 1 && recovery.gap_count == 0);
            check(t, !is_there(t, disk_model_disk(model), "ballast"));
            disk_fault_plan(fault, (DiskFaultPlan){0});
            log_close(&log);
        }
        disk_fault_free(&fault);
        disk_model_free(&model);
    }
}

TEST(w12_bytes_and_files_are_kept_aside_and_given_to_whoever_finds_no_space) {
    ManualClock clock;
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    LogOptions options = small_disk_options(model, 4 * MB, &clock);
    LogRecovery recovery;
    for (int life = 0; life < 2; life++) {
        Log *log = NULL;
        check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
        while (log_background_now(log)) continue;
        check(t, is_there(t, disk, "ballast") && is_there(t, disk, "ballast.0") &&
                     is_there(t, disk, "ballast.7"));
        // Without a thread, then asked of it, in the second life of the same files too.
        if (life == 1) check_ok(t, log_run(log, t->err));
        check(t, log_make_room(log));
        check(t, !is_there(t, disk, "ballast") && !is_there(t, disk, "ballast.0") &&
                     !is_there(t, disk, "ballast.7"));
        check(t, !log_make_room(log));
        LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 1, .body = text_bytes(TEXT("x"))};
        uint64_t sequence;
        check_ok(t, log_append(log, &record, &sequence, t->err));
        check_ok(t, life == 1 ? log_wait(log, sequence, t->err) : log_commit_now(log, t->err));
        while (life == 0 && log_background_now(log)) continue;
        log_close(&log);
    }
    disk_model_free(&model);
}

TEST(w11_a_short_write_that_then_fails_is_overwritten_and_not_acknowledged) {
    static const ErrorCode codes[] = {ERROR_IO, ERROR_DISK_FULL};
    for (size_t i = 0; i < COUNT(codes); i++) {
        DiskModel *model = disk_model_new();
        DiskFault *fault = disk_fault_new(disk_model_disk(model));
        Life life;
        life_begin(&life, disk_fault_disk(fault));
        check_ok(t, life_open(&life, t->err));
        append_and_commit(t, &life, 1, 300);
        check_ok(t, life_append(&life, 9000, t->err));
        disk_fault_plan(
            fault,
            (DiskFaultPlan){.call = DISK_CALL_WRITE, .nth = 1, .code = codes[i], .partial = true});
        if (codes[i] == ERROR_DISK_FULL)
            check_error(t, log_commit_now(life.log, t->err), ERROR_DISK_FULL);
        check_ok(t, life_commit(&life, t->err));
        LogState state;
        log_state(life.log, &state);
        check_i64(t, codes[i] == ERROR_IO ? 2 : 1, state.segments);
        life_close(&life);
        disk_model_crash(model, CRASH_DROP_ALL, 0);
        check_ok(t, life_open(&life, t->err));
        check_ok(t, life_judge(&life, false, t->err));
        check_i64(t, 2, life.recovery.records);
        life_end(&life);
        disk_fault_free(&fault);
        disk_model_free(&model);
    }
}

TEST(w13_every_group_begins_and_ends_on_a_page) {
    Stage stage;
    stage_begin(&stage);
    check_ok(t, life_open(&stage.life, t->err));
    for (int i = 1; i < 6; i++) append_and_commit(t, &stage.life, i, 100 * (size_t)i);
    life_close(&stage.life);
    Text path;
    check_i64(t, 1, count_files(t, stage.life.disk, TEXT(".log"), &path));
    Walk walk;
    bool readable;
    check_ok(t, walk_open(stage.life.disk, path, 1, 1, &walk, &readable, t->err));
    check(t, readable);
    uint64_t group = 0, groups = 0;
    for (;;) {
        WalkStep step;
        check_ok(t, walk_next(&walk, &step, t->err));
        if (!step.found) break;
        bool first = step.is_end_mark || step.group != group;
        check_i64(t, first, step.offset % 4096 == 0);
        groups += first;
        group = step.group;
    }
    check_i64(t, 6, groups);  // with the end mark
    walk_close(&walk);
    stage_end(&stage);
}

TEST(w16_trimming_takes_whole_segments_below_the_mark_and_the_count_goes_on) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    for (int i = 0; i < 12; i++) append_and_commit(t, life, 1, 9000);
    LogState state;
    for (uint64_t mark = 0; mark <= 13; mark++) {
        check_ok(t, life_trim(life, mark, t->err));
        check_ok(t, life_judge(life, false, t->err));
        log_state(life->log, &state);
        check(t, state.first_sequence <= MAX(mark, (uint64_t)1));
    }
    check_i64(t, 1, state.segments);
    life_close(life);
    check_ok(t, life_open(life, t->err));
    check_i64(t, 13, life->recovery.next_sequence);
    check_i64(t, 0, life->recovery.gap_count);
    stage_end(&stage);
}

// A disk on which records are committed while a trim syncs the folder, as the commit thread does.
static struct {
    Disk disk;
    Disk *inner;
    Test *t;
    Life *life;
    int commits;
} meanwhile;

static bool sync_folder_meanwhile(Disk *disk, Text folder, Error *err) {
    (void)disk;
    int commits = meanwhile.commits;
    meanwhile.commits = 0;  // they sync folders themselves
    for (int i = 0; i < commits; i++) append_and_commit(meanwhile.t, meanwhile.life, 1, 7000);
    return meanwhile.inner->sync_folder(meanwhile.inner, folder, err);
}

TEST(a_segment_begun_while_a_trim_recycles_a_file_is_not_passed_by_it) {
    DiskModel *model = disk_model_new();
    Life life;
    meanwhile.inner = disk_model_disk(model);
    meanwhile.disk = *meanwhile.inner;
    meanwhile.disk.sync_folder = sync_folder_meanwhile;
    meanwhile.t = t;
    meanwhile.life = &life;
    meanwhile.commits = 0;
    life_begin(&life, &meanwhile.disk);
    check_ok(t, life_open(&life, t->err));
    for (int i = 0; i < 8; i++) append_and_commit(t, &life, 1, 7000);
    LogState before;
    log_state(life.log, &before);
    check(t, before.segments >= 2);
    // Enough for a segment that has a higher id than the file on its way to be a spare.
    meanwhile.commits = 4;
    check_ok(t, life_trim(&life, before.next_sequence, t->err));
    for (int i = 0; i < 8; i++) append_and_commit(t, &life, 1, 7000);
    life_close(&life);
    check_ok(t, life_open(&life, t->err));
    check_ok(t, life_judge(&life, false, t->err));
    check_i64(t, 0, life.recovery.gap_count);
    life_end(&life);
    disk_model_free(&model);
}

TEST(w18_a_batch_is_one_commit_and_is_bounded) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    append_and_commit(t, life, 1000, 50);
    LogState state;
    log_state(life->log, &state);
    check_i64(t, 1, state.commits);
    append_and_commit(t, life, 5, 1500 * KB);  // two of them fit into a group
    log_state(life->log, &state);
    check_i64(t, 4, state.commits);
    check_ok(t, life_judge(life, false, t->err));
    stage_end(&stage);
}

TEST(w22_the_clock_orders_nothing) {
    Stage stage;
    stage_begin(&stage);
    Life *life = &stage.life;
    check_ok(t, life_open(life, t->err));
    append_and_commit(t, life, 2, 50);
    clock_manual(&life->clock, 0);
    append_and_commit(t, life, 2, 50);
    life_close(life);
    reopen_and_judge(t, &stage);
    check_i64(t, 4, life->recovery.records);
    stage_end(&stage);
}

// Replaces a segment by one with this header version and one record of this type, checksums right.
static void write_strange(Test *t, Disk *disk, uint32_t version, uint16_t type, uint16_t flags) {
    uint8_t *bytes = arena_push_array(t->arena, uint8_t, 16384);
    SegmentHeader header = {
        .id = 1, .salt = 7, .first_sequence = 1, .proven_sequence = 1, .bytes = 16384};
    segment_header_encode(&header, bytes);
    RecordHeader record = {
        .sequence = 1, .group = 1, .type = type, .flags = flags, .payload_crc = 0};
    record_header_encode(&record, &header, 4096, bytes + 4096);
    if (version != SEGMENT_VERSION) {
        memcpy(bytes + 8, &version, 4);
        memset(bytes + 12, 0, 4);
        uint32_t crc = record_payload_crc(BYTES_NONE, (Bytes){bytes, 4096});
        memcpy(bytes + 12, &crc, 4);
    }
    memcpy(bytes + 16384 - 4096, bytes, 4096);
    check_ok(t, disk_make_folders(disk, TEXT("data/log"), t->err));
    check_ok(t, disk_replace(disk, TEXT("data/log"), TEXT("0000000000000001-0000000000000001.log"),
                             (Bytes){bytes, 16384}, t->err));
}

TEST(w23_a_newer_version_or_record_type_is_refused_with_file_and_offset) {
    static const struct {
        uint32_t version;
        uint16_t type, flags;
        const char *says;
    } rows[] = {{2, 1, 0, "version 2"}, {1, 9, 0, "type 9"}, {1, 1, 4, "flags 4"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        Stage stage;
        stage_begin(&stage);
        write_strange(t, stage.life.disk, rows[i].version, rows[i].type, rows[i].flags);
        check_error(t, life_open(&stage.life, t->err), ERROR_NEWER_FORMAT);
        Text message = text_from_cstring(t->err->message);
        check(t, text_find(message, text_from_cstring(rows[i].says)) >= 0);
        check(t, text_find(message, TEXT("0000000000000001-0000000000000001.log")) >= 0);
        check(t, text_find(message, TEXT("offset")) >= 0);
        write_strange(t, stage.life.disk, 1, 1, 0);
        check_ok(t, life_open(&stage.life, t->err));
        check_i64(t, 1, stage.life.recovery.records);
        stage_end(&stage);
    }
}

TEST(w24_the_durability_in_force_is_stated_and_memory_answers_at_once) {
    Stage stage;
    stage_begin(&stage);
    LogOptions options = {.disk = stage.life.disk,
                          .clock = &stage.life.clock.clock,
                          .folder = TEXT("data/log"),
                          .durability = LOG_MEMORY,
                          .segment_bytes = 64 * KB,
                          .ballast_bytes = -1};
    LogRecovery recovery;
    Log *log = NULL;
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 1, .body = text_bytes(TEXT("x"))};
    uint64_t sequence;
    check_ok(t, log_append(log, &record, &sequence, t->err));
    Answer answer = {0};
    log_when_durable(log, sequence, note_answer, &answer);
    check(t, answer.calls == 1 && answer.ok);
    check_ok(t, log_wait(log, sequence, t->err));
    LogState state;
    log_state(log, &state);
    check(t, state.durability == LOG_MEMORY && state.durable_sequence == sequence);
    log_close(&log);
    // An orderly end writes what was acknowledged.
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    check_i64(t, 1, recovery.records);
    log_close(&log);
    stage_end(&stage);
}

TEST(what_is_too_large_or_too_much_is_refused) {
    Stage stage;
    stage_begin(&stage);
    LogOptions options = {.disk = stage.life.disk,
                          .clock = &stage.life.clock.clock,
                          .folder = TEXT("data/log"),
                          .segment_bytes = 64 * KB,
                          .ballast_bytes = -1,
                          .waiting_bytes_max = 100 * KB};
    LogRecovery recovery;
    Log *log = NULL;
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    void *large = NULL;
    size_t large_bytes = (size_t)LIMIT_LOG_RECORD_BYTES;
    check_ok(t, memory_reserve(large_bytes + 1, &large, t->err));
    memset(large, 'x', large_bytes + 1);
    LogRecord record = {.type = LOG_RECORD_SAMPLES, .body = {large, large_bytes + 1}};
    uint64_t sequence;
    check_error(t, log_append(log, &record, &sequence, t->err), ERROR_TOO_LARGE);
    record.type = (LogRecordType)77;
    record.body.len = 10;
    check_error(t, log_append(log, &record, &sequence, t->err), ERROR_BAD_INPUT);
    record.type = LOG_RECORD_SAMPLES;
    record.body.len =
        large_bytes;  // alone it may pass the limit on what waits, else it never could
    check_ok(t, log_append(log, &record, &sequence, t->err));
    record.body.len = 10;
    check_error(t, log_append(log, &record, &sequence, t->err), ERROR_BUSY);
    check_error(t, log_may_append(log, 10, t->err), ERROR_BUSY);
    check_ok(t, log_commit_now(log, t->err));
    check_ok(t, log_may_append(log, 10, t->err));
    check_ok(t, log_append(log, &record, &sequence, t->err));
    check_ok(t, log_commit_now(log, t->err));
    log_close(&log);
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    check_i64(t, 2, recovery.records);
    log_close(&log);
    memory_free(large);
    stage_end(&stage);
}

static bool count_record(void *context, const LogRecord *record, Error *err) {
    uint64_t *counts = context;  // how many, the first one
    if (counts[0]++ == 0) counts[1] = record->sequence;
    return true;
}

TEST(replay_begins_where_it_is_told) {
    Stage stage;
    stage_begin(&stage);
    check_ok(t, life_open(&stage.life, t->err));
    for (int i = 0; i < 10; i++) append_and_commit(t, &stage.life, 1, 9000);
    for (uint64_t from = 1; from <= 11; from++) {
        uint64_t counts[2] = {0};
        check_ok(t, log_replay(stage.life.log, from, count_record, counts, t->err));
        check_i64(t, 11 - from, counts[0]);
        if (counts[0] > 0) check_i64(t, from, counts[1]);
    }
    stage_end(&stage);
}

TEST(an_opened_and_closed_log_does_not_grow) {
    Stage stage;
    Text path;
    stage_begin(&stage);
    check_ok(t, life_open(&stage.life, t->err));
    append_and_commit(t, &stage.life, 1, 100);
    for (int i = 0; i < 20; i++) {
        life_close(&stage.life);
        check_ok(t, life_open(&stage.life, t->err));
        while (log_background_now(stage.life.log)) continue;
    }
    check_i64(t, 1, count_files(t, stage.life.disk, TEXT(".log"), &path));
    check_i64(t, 1, count_files(t, stage.life.disk, TEXT(".spare"), &path));
    stage_end(&stage);
}

TEST(a_finished_log_holds_nothing_but_its_end_and_the_count_goes_on) {
    Stage stage;
    Text path;
    LogState state;
    stage_begin(&stage);
    for (uint64_t life = 0; life < 3; life++) {
        check_ok(t, life_open(&stage.life, t->err));
        check_i64(t, 0, stage.life.recovery.records);
        check_i64(t, 0, stage.life.recovery.gap_count);
        check_i64(t, 1 + life * 10, stage.life.recovery.next_sequence);
        for (int i = 0; i < 10; i++) append_and_commit(t, &stage.life, 1, 9000);
        log_state(stage.life.log, &state);
        check(t, state.read_bytes > 90000 && state.read_bytes < state.bytes);
        check_ok(t, life_finish(&stage.life, t->err));
        life_close(&stage.life);
        check_i64(t, 1, count_files(t, stage.life.disk, TEXT(".log"), &path));
    }
    // What an opening reads is the mark alone, however large its file is.
    reopen_and_judge(t, &stage);
    log_state(stage.life.log, &state);
    check(t, state.read_bytes <= 2 * SEGMENT_PAGE);
    check_i64(t, 31, state.next_sequence);
    // A power cut before the mark is durable does no harm either.
    append_and_commit(t, &stage.life, 1, 100);
    check_ok(t, life_finish(&stage.life, t->err));
    stop_and_crash(&stage);
    reopen_and_judge(t, &stage);
    check_i64(t, 32, stage.life.recovery.next_sequence);
    stage_end(&stage);
}

typedef struct Writer {
    Log *log;
    Thread *thread;
    int records;
    bool failed;
    _Atomic int answered;
} Writer;

static void count_answer(void *context, bool ok, const Error *err) {
    Writer *writer = context;
    if (ok) writer->answered++;
}

static void write_many(void *context) {
    Writer *writer = context;
    static const uint8_t body[3000] = {1};
    LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 3, .body = {body, sizeof body}};
    Error err;
    uint64_t sequence = 0;
    for (int i = 0; i < writer->records && !writer->failed; i++) {
        record.body.len = (size_t)(i * 37 % 3000);
        writer->failed = !log_append(writer->log, &record, &sequence, &err);
        if (writer->failed) break;
        log_when_durable(writer->log, sequence, count_answer, writer);
        if (i % 10 == 9 && !log_wait(writer->log, sequence, &err)) writer->failed = true;
    }
}

TEST(threads_append_while_one_commits_on_a_real_disk) {
    enum { WRITERS = 4, RECORDS = 300 };
    Text base = environment_get("TMPDIR");
    uint64_t number = 0;
    check_ok(t, random_bytes(&number, sizeof number, t->err));
    Text folder =
        text_format(t->arena, "%.*s/traceo-log-%016llx",
                    TEXT_ARG(base.len > 0 ? base : TEXT("/tmp")), (unsigned long long)number);
    Disk *disk = disk_real();
    Clock *clock = clock_system();
    LogOptions options = {.disk = disk,
                          .clock = clock,
                          .folder = folder,
                          .segment_bytes = 2 * MB,
                          .ballast_bytes = 1 * MB};
    LogRecovery recovery;
    Log *log = NULL;
    int64_t began = clock->monotonic_ns(clock);
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    check_ok(t, log_run(log, t->err));
    int64_t opened = clock->monotonic_ns(clock);
    Writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (Writer){.log = log, .records = RECORDS};
        check_ok(t, thread_start("writer", write_many, &writers[i], &writers[i].thread, t->err));
    }
    for (int i = 0; i < WRITERS; i++) thread_join(&writers[i].thread);
    LogState state;
    log_state(log, &state);
    check_ok(t, log_wait(log, state.next_sequence - 1, t->err));
    check_ok(t, log_trim(log, 100, t->err));
    log_state(log, &state);
    log_close(&log);
    for (int i = 0; i < WRITERS; i++)
        check(t, !writers[i].failed && writers[i].answered == RECORDS);
    printf("# opened in %lld us; %llu records in %llu commits, %lld us each\n",
           (long long)(opened - began) / 1000, (unsigned long long)state.records,
           (unsigned long long)state.commits,
           (long long)(state.sync_ns_total / state.commits / 1000));
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    check_i64(t, WRITERS * RECORDS + 1, recovery.next_sequence);
    check(t, recovery.gap_count == 0 && recovery.bytes_cut == 0);
    log_close(&log);
    DiskEntries entries;
    check_ok(t, disk->list(disk, folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        check_ok(t, disk->remove(disk,
                                 text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder),
                                             TEXT_ARG(entries.at[i].name)),
                                 t->err));
    }
    check_ok(t, disk->remove_folder(disk, folder, t->err));
}

TEST(memory_mode_syncs_by_itself) {
    Stage stage;
    stage_begin(&stage);
    LogOptions options = {.disk = stage.life.disk,
                          .clock = clock_system(),
                          .folder = TEXT("data/log"),
                          .durability = LOG_MEMORY,
                          .segment_bytes = 64 * KB,
                          .ballast_bytes = -1};
    LogRecovery recovery;
    Log *log = NULL;
    check_ok(t, log_open(options, t->arena, &recovery, &log, t->err));
    check_ok(t, log_run(log, t->err));
    LogRecord record = {.type = LOG_RECORD_SAMPLES, .tenant = 1, .body = text_bytes(TEXT("x"))};
    uint64_t sequence = 0;
    for (int i = 0; i < 200; i++) check_ok(t, log_append(log, &record, &sequence, t->err));
    LogState state = {0};
    for (int tries = 0; tries < 200 && state.durable_sequence <= sequence; tries++) {
        options.clock->sleep_ms(options.clock, 20);
        log_state(log, &state);
    }
    check(t, state.durable_sequence == sequence + 1);
    check(t, state.commits <= 5);
    log_close(&log);
    stage_end(&stage);
}

TEST_MAIN(
    "store/log", CASE(w1_w2_the_first_acknowledged_record_survives_with_every_name_on_its_way),
    CASE(w3_a_prepared_segment_is_overwritten_and_does_not_grow),
    CASE(w4_a_commit_is_one_write_and_one_sync),
    CASE(w5_bytes_of_an_earlier_life_of_the_file_never_verify),
    CASE(w6_damage_before_later_records_is_a_gap_and_the_rest_is_read),
    CASE(w6_damage_in_the_last_commit_is_a_gap_that_is_not_proven),
    CASE(w7_the_cut_is_durable_before_the_first_new_append),
    CASE(w8_after_a_failed_sync_the_batch_goes_to_a_new_file),
    CASE(w8_after_a_second_failure_the_log_stops_and_can_still_be_read),
    CASE(w9_the_log_is_read_past_the_page_cache),
    CASE(w10_w12_a_full_disk_stops_the_log_gives_the_ballast_back_and_lets_it_go_on_by_itself),
    CASE(w12_an_opening_on_a_full_disk_takes_what_is_kept_aside),
    CASE(w12_bytes_and_files_are_kept_aside_and_given_to_whoever_finds_no_space),
    CASE(w11_a_short_write_that_then_fails_is_overwritten_and_not_acknowledged),
    CASE(w13_every_group_begins_and_ends_on_a_page),
    CASE(w16_trimming_takes_whole_segments_below_the_mark_and_the_count_goes_on),
    CASE(a_segment_begun_while_a_trim_recycles_a_file_is_not_passed_by_it),
    CASE(w18_a_batch_is_one_commit_and_is_bounded), CASE(w22_the_clock_orders_nothing),
    CASE(w23_a_newer_version_or_record_type_is_refused_with_file_and_offset),
    CASE(w24_the_durability_in_force_is_stated_and_memory_answers_at_once),
    CASE(what_is_too_large_or_too_much_is_refused), CASE(replay_begins_where_it_is_told),
    CASE(an_opened_and_closed_log_does_not_grow),
    CASE(a_finished_log_holds_nothing_but_its_end_and_the_count_goes_on),
    CASE(memory_mode_syncs_by_itself), CASE(threads_append_while_one_commits_on_a_real_disk))
