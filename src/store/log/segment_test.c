// Segments as files: large ones are read ahead and from behind, and nothing changes by that; the
// examples of FORMAT.md byte for byte; what an inspection says.

#include "store/log/segment.h"

#include "os/disk_fault.h"
#include "os/thread.h"
#include "store/log/stage.h"
#include "store/log/walk.h"

TEST(a_large_segment_is_read_ahead_and_nothing_changes_by_that) {
    Stage stage;
    Text path;
    stage_begin(&stage);
    Life *life = &stage.life;
    DiskFault *fault = disk_fault_new(disk_model_disk(stage.model));
    life->disk = disk_fault_disk(fault);
    life->segment_bytes = 12 * MB;
    check_ok(t, life_open(life, t->err));
    while (log_background_now(life->log)) continue;
    uint64_t random = t->seed;
    for (int i = 0; i < 200; i++) {
        // Some are larger than what is read ahead together.
        size_t bytes = i == 100 ? 5 * MB : 1 + test_random(&random) % 40000;
        append_and_commit(t, life, 1, bytes);
    }
    stop_and_crash(&stage);
    for (int i = 0; i < 2; i++) {
        reopen_and_judge(t, &stage);
        check_i64(t, 200, life->recovery.records);
        life_close(life);
    }
    // A read that fails, whichever it is, is told or done again.
    for (uint64_t nth = 1; nth < 60; nth++) {
        disk_fault_plan(fault,
                        (DiskFaultPlan){.call = DISK_CALL_READ, .nth = nth, .code = ERROR_IO});
        bool opened = life_open(life, t->err);
        check(t, opened ? life->recovery.records == 200 : t->err->code == ERROR_IO);
        life_close(life);
    }
    // A disk that cannot read it any more is named, with the file.
    disk_fault_plan(
        fault,
        (DiskFaultPlan){.call = DISK_CALL_READ, .nth = 9, .code = ERROR_IO, .for_ever = true});
    check_error(t, life_open(life, t->err), ERROR_IO);
    life_close(life);
    disk_fault_plan(fault, (DiskFaultPlan){0});
    // Without threads it is read as it comes.
    thread_fail_after(2);
    reopen_and_judge(t, &stage);
    thread_fail_after(0);
    life_close(life);
    check_i64(t, 1, count_files(t, life->disk, TEXT(".log"), &path));
    check(t, disk_model_flip(stage.model, path, 3 * MB, 3));
    check_ok(t, life_open(life, t->err));
    check_i64(t, 199, life->recovery.records);
    check_i64(t, 1, life->recovery.gap_count);
    check(t, life->recovery.gaps[0].proven);
    stage_end(&stage);
    disk_fault_free(&fault);
}

// A page of a segment, as it stands in the file.
static void page_read(Test *t, Disk *disk, Text path, int64_t offset, uint8_t page[SEGMENT_PAGE]) {
    File *file;
    size_t got;
    check_ok(t, disk->open(disk, path, FILE_READ, &file, t->err));
    check_ok(t, disk->read(disk, file, offset, page, SEGMENT_PAGE, &got, t->err));
    check_i64(t, SEGMENT_PAGE, got);
    disk->close(disk, &file);
}

// Writes a record of this number that verifies at this place of the segment.
static void record_plant(Test *t, Disk *disk, Text path, int64_t offset, uint64_t sequence) {
    uint8_t page[SEGMENT_PAGE];
    SegmentHeader segment;
    Bytes body = text_bytes(TEXT("far behind"));
    page_read(t, disk, path, 0, page);
    check_ok(t, segment_header_decode((Bytes){page, sizeof page}, &segment, t->err));
    RecordHeader record = {.sequence = sequence,
                           .group = sequence,
                           .arrival_ms = 1700000000000,
                           .tenant = 1,
                           .type = LOG_RECORD_SAMPLES,
                           .body_bytes = (uint32_t)body.len,
                           .payload_crc = record_payload_crc(BYTES_NONE, body)};
    memset(page, 0, sizeof page);
    record_header_encode(&record, &segment, offset, page);
    memcpy(page + RECORD_HEADER_BYTES, body.at, body.len);
    File *file;
    check_ok(t, disk->open(disk, path, FILE_WRITE, &file, t->err));
    check_ok(t, disk->write(disk, file, offset, page, sizeof page, t->err));
    check_ok(t, disk->sync_data(disk, file, t->err));
    disk->close(disk, &file);
}

TEST(the_end_of_a_large_segment_is_looked_at_from_behind_and_nothing_is_missed) {
    // With the thread that does so, and without one.
    for (int threads = 0; threads < 2; threads++) {
        Stage stage;
        Text path;
        stage_begin(&stage);
        Life *life = &stage.life;
        life->segment_bytes = 12 * MB;
        check_ok(t, life_open(life, t->err));
        while (log_background_now(life->log)) continue;
        for (int i = 0; i < 60; i++) append_and_commit(t, life, 1, 40000);
        stop_and_crash(&stage);
        check_i64(t, 1, count_files(t, life->disk, TEXT(".log"), &path));
        const int64_t cases[] = {0, 3 * MB, 9 * MB + 12345, 12 * MB - 4097};
        for (size_t i = 0; i < COUNT(cases); i++) {
            // Bytes that are no record are cut, wherever they lie, once.
            if (cases[i] > 0) check(t, disk_model_flip(stage.model, path, cases[i], 3));
            for (int again = 0; again < 2; again++) {
                if (threads == 0) thread_fail_after(3);
                reopen_and_judge(t, &stage);
                thread_fail_after(0);
                check_i64(t, 60, life->recovery.records);
                check_i64(t, 0, life->recovery.gap_count);
                check_i64(t, cases[i] > 0 && again == 0 ? SEGMENT_PAGE : 0,
                          life->recovery.bytes_cut);
                stop_and_crash(&stage);
            }
        }
        // A record is found, and what is missing before it is a gap.
        record_plant(t, life->disk, path, 10 * MB, 70);
        record_plant(t, life->disk, path, 12 * MB - 2 * SEGMENT_PAGE, 71);
        if (threads == 0) thread_fail_after(3);
        check_ok(t, life_open(life, t->err));
        thread_fail_after(0);
        check_i64(t, 62, life->recovery.records);
        check_i64(t, 72, life->recovery.next_sequence);
        check_i64(t, 1, life->recovery.gap_count);
        check_i64(t, 61, life->recovery.gaps[0].first_sequence);
        check_i64(t, 69, life->recovery.gaps[0].last_sequence);
        stage_end(&stage);
    }
}

// The example of FORMAT.md, byte for byte.
static Bytes golden(Test *t) {
    uint8_t *bytes = arena_push_array(t->arena, uint8_t, 16384);
    SegmentHeader header = {.id = 1,
                            .salt = 0x5eed,
                            .first_sequence = 1,
                            .proven_sequence = 1,
                            .bytes = 16384,
                            .created_ms = 1700000000000};
    segment_header_encode(&header, bytes);
    segment_header_encode(&header, bytes + 12288);
    Bytes first = text_bytes(TEXT("a snappy body")), refused = text_bytes(TEXT("row 7")),
          second = text_bytes(TEXT("samples"));
    RecordHeader record = {.sequence = 1,
                           .group = 1,
                           .arrival_ms = 1700000000000,
                           .tenant = 1,
                           .type = LOG_RECORD_REMOTE_WRITE_1,
                           .body_bytes = (uint32_t)first.len,
                           .payload_crc = record_payload_crc(BYTES_NONE, first)};
    record_header_encode(&record, &header, 4096, bytes + 4096);
    memcpy(bytes + 4096 + 64, first.at, first.len);
    record = (RecordHeader){.sequence = 2,
                            .group = 1,
                            .arrival_ms = 1700000000000,
                            .tenant = 2,
                            .type = LOG_RECORD_SAMPLES,
                            .refused_bytes = (uint32_t)refused.len,
                            .body_bytes = (uint32_t)second.len,
                            .payload_crc = record_payload_crc(refused, second)};
    record_header_encode(&record, &header, 4176, bytes + 4176);
    memcpy(bytes + 4176 + 64, refused.at, refused.len);
    memcpy(bytes + 4176 + 64 + refused.len, second.at, second.len);
    record = (RecordHeader){
        .sequence = 3, .group = 3, .arrival_ms = 1700000000000, .type = RECORD_TYPE_END};
    record_header_encode(&record, &header, 8192, bytes + 8192);
    return (Bytes){bytes, 16384};
}

TEST(the_golden_segment_is_written_and_read_as_format_md_says) {
    Text path = TEXT("test/golden/log/0000000000000001-0000000000000001.log");
    Bytes stated;
    check_ok(t, disk_read_whole(disk_real(), path, 1 * MB, t->arena, &stated, t->err));
    Bytes actual = golden(t);
    check(t, bytes_equal(stated, actual));
    Builder out = {0};
    check_ok(t, log_inspect(disk_real(), path, NULL, &out, t->err));
    Text text = builder_text(&out);
    check(t, text_starts_with(
                 text, TEXT("segment 1, version 1, 16384 bytes, first record 1, proven below 1, "
                            "begun 2023-11-14T22:13:20.000Z\n"
                            "offset 4096: record 1, group 1, remote_write_1, tenant 1, arrived "
                            "2023-11-14T22:13:20.000Z, refused 0 bytes, body 13 bytes\n"
                            "offset 4176: record 2, group 1, samples, tenant 2, arrived "
                            "2023-11-14T22:13:20.000Z, refused 5 bytes, body 7 bytes\n"
                            "offset 8192: record 3, group 3, end_mark,")));
    check(t, text_ends_with(text, TEXT("2 records, the last one ends at offset 8256\n")));
    builder_free(&out);
}

// The second example: a body of remote write 2.0 as a sender packed it. Packing it anew might give
// other bytes, so it is written down.
static const uint8_t golden_body_2[] = {
    0x63, 0xf0, 0x62, 0x22, 0x00, 0x22, 0x08, 0x5f, 0x5f, 0x6e, 0x61, 0x6d, 0x65, 0x5f, 0x5f,
    0x22, 0x09, 0x67, 0x6f, 0x6c, 0x64, 0x65, 0x6e, 0x5f, 0x75, 0x70, 0x22, 0x03, 0x6a, 0x6f,
    0x62, 0x22, 0x01, 0x61, 0x22, 0x05, 0x48, 0x65, 0x6c, 0x70, 0x2e, 0x22, 0x01, 0x62, 0x2a,
    0x1e, 0x0a, 0x04, 0x01, 0x02, 0x03, 0x04, 0x12, 0x10, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0xf8, 0x3f, 0x10, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x2a, 0x04, 0x08, 0x02, 0x18,
    0x05, 0x2a, 0x18, 0x0a, 0x04, 0x03, 0x06, 0x01, 0x02, 0x12, 0x10, 0x09, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xc0, 0x10, 0x81, 0xd0, 0x95, 0xff, 0xbc, 0x31};

static Bytes golden_2(Test *t) {
    uint8_t *bytes = arena_push_array(t->arena, uint8_t, 16384);
    SegmentHeader header = {.id = 1,
                            .salt = 0x5eed,
                            .first_sequence = 1,
                            .proven_sequence = 1,
                            .bytes = 16384,
                            .created_ms = 1700000000000};
    segment_header_encode(&header, bytes);
    segment_header_encode(&header, bytes + 12288);
    Bytes body = {golden_body_2, sizeof golden_body_2};
    RecordHeader record = {.sequence = 1,
                           .group = 1,
                           .arrival_ms = 1700000000000,
                           .tenant = 1,
                           .type = LOG_RECORD_REMOTE_WRITE_2,
                           .body_bytes = (uint32_t)body.len,
                           .payload_crc = record_payload_crc(BYTES_NONE, body)};
    record_header_encode(&record, &header, 4096, bytes + 4096);
    memcpy(bytes + 4096 + 64, body.at, body.len);
    return (Bytes){bytes, 16384};
}

// What is in the body, src/ingest/write_request_2_test.c reads.
TEST(the_golden_segment_of_remote_write_2_is_written_and_read_as_ever) {
    Text path = TEXT("test/golden/log/remote_write_2/0000000000000001-0000000000000001.log");
    Bytes stated;
    check_ok(t, disk_read_whole(disk_real(), path, 1 * MB, t->arena, &stated, t->err));
    check(t, bytes_equal(stated, golden_2(t)));
    AUTO(builder_free) Builder out = {0};
    check_ok(t, log_inspect(disk_real(), path, NULL, &out, t->err));
    Text text = builder_text(&out);
    check(t,
          text_find(text, TEXT("offset 4096: record 1, group 1, remote_write_2, tenant 1, arrived "
                               "2023-11-14T22:13:20.000Z, refused 0 bytes, body 102 bytes\n")) > 0);
    check(t, text_ends_with(text, TEXT("1 records, the last one ends at offset 4272\n")));
}

// Listens to how far an inspection is.
typedef struct Listener {
    Progress progress;
    int64_t times, done, total;
    bool rises;
} Listener;

static void hear(Progress *progress, int64_t done, int64_t total) {
    Listener *listener = (Listener *)progress;
    listener->rises &= done >= listener->done && done <= total;
    listener->times++;
    listener->done = done;
    listener->total = total;
}

TEST(inspect_tells_how_far_it_is) {
    Text path = TEXT("test/golden/log/0000000000000001-0000000000000001.log");
    Listener listener = {.progress = {hear}, .rises = true};
    AUTO(builder_free) Builder out = {0};
    check_ok(t, log_inspect(disk_real(), path, &listener.progress, &out, t->err));
    check_i64(t, 3, listener.times);
    check_i64(t, 8256, listener.done);
    check_i64(t, 16384, listener.total);
    check(t, listener.rises);
}

TEST(inspect_names_damage) {
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    Text name = TEXT("0000000000000001-0000000000000001.log");
    check_ok(t, disk_replace(disk, TEXT("."), name, golden(t), t->err));
    check(t, disk_model_flip(model, name, 4096 + 70, 1));
    Builder out = {0};
    check_ok(t, log_inspect(disk, name, NULL, &out, t->err));
    check(t, text_find(builder_text(&out),
                       TEXT("DAMAGE: offset 4096, 80 bytes: records 1 to 1 cannot be read")) >= 0);
    check(t, disk_model_flip(model, name, 3, 1) && disk_model_flip(model, name, 12288 + 20, 1));
    builder_clear(&out);
    check_ok(t, log_inspect(disk, name, NULL, &out, t->err));
    check(t, text_starts_with(builder_text(&out), TEXT("DAMAGE: the header")));
    check_error(t, log_inspect(disk, TEXT("other.txt"), NULL, &out, t->err), ERROR_BAD_INPUT);
    builder_free(&out);
    disk_model_free(&model);
}

TEST_MAIN("store/log/segment", CASE(a_large_segment_is_read_ahead_and_nothing_changes_by_that),
          CASE(the_end_of_a_large_segment_is_looked_at_from_behind_and_nothing_is_missed),
          CASE(the_golden_segment_is_written_and_read_as_format_md_says),
          CASE(the_golden_segment_of_remote_write_2_is_written_and_read_as_ever),
          CASE(inspect_tells_how_far_it_is), CASE(inspect_names_damage))
