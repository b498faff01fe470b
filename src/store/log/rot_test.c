// Bit rot (R9): bits flipped, files cut, pages zeroed and swapped. What is read back is what was
// written, or the loss is named; never a wrong record, never fewer of them silently.

#include "os/process.h"
#include "store/log/life.h"
#include "store/log/segment.h"

typedef struct Rot {
    DiskModel *model;  // two segments, closed in order
    Life life;
    Text paths[8];
    int64_t bytes[8];
    size_t count;
} Rot;

static void rot_begin(Test *t, Rot *rot) {
    *rot = (Rot){.model = disk_model_new()};
    Life *life = &rot->life;
    life_begin(life, disk_model_disk(rot->model));
    life->segment_bytes = 20 * KB;
    check_ok(t, life_open(life, t->err));
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 3; k++) check_ok(t, life_append(life, 100 + 40 * (size_t)k, t->err));
        check_ok(t, life_commit(life, t->err));
    }
    life_close(life);
    DiskEntries entries;
    check_ok(t, life->disk->list(life->disk, TEXT("data/log"), t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count && rot->count < COUNT(rot->paths); i++) {
        rot->paths[rot->count] =
            text_format(t->arena, "data/log/%.*s", TEXT_ARG(entries.at[i].name));
        rot->bytes[rot->count++] = entries.at[i].bytes;
    }
    check_i64(t, 2, rot->count);
}

static void rot_end(Rot *rot) {
    life_end(&rot->life);
    disk_model_free(&rot->model);
}

// Opens the damaged copy twice: right or named both times, and the log takes records again.
static void check_named(Test *t, const Rot *rot, DiskModel *damaged, const char *what, int64_t at) {
    Life life;
    life_copy(&rot->life, disk_model_disk(damaged), &life);
    life.segment_bytes = rot->life.segment_bytes;
    Error err = {0};
    bool ok = life_open(&life, &err) && life_judge(&life, true, &err);
    size_t gaps = life.recovery.gap_count;
    if (ok) {
        ok = life_append(&life, 50, &err) && life_commit(&life, &err);
        life_close(&life);
        ok = ok && life_open(&life, &err) && life_judge(&life, true, &err) &&
             life.recovery.gap_count >= gaps;
    }
    if (!ok)
        check_failed(t, __FILE__, __LINE__, "%s at %lld: %s", what, (long long)at, err.message);
    life_end(&life);
}

TEST(every_flipped_bit_changes_nothing_or_is_named) {
    Rot rot;
    rot_begin(t, &rot);
    bool all = environment_get("TRACEO_NIGHT").len > 0;
    for (size_t file = 0; file < rot.count; file++) {
        int64_t bits = rot.bytes[file] * 8;
        // By day: densely where the records and headers are, thinly where zeros are.
        for (int64_t bit = 0; bit < bits;) {
            int64_t in_page = bit / 8 % 4096;
            DiskModel *copy = disk_model_copy(rot.model);
            check(t, disk_model_flip(copy, rot.paths[file], bit / 8, (unsigned)(bit % 8)));
            check_named(t, &rot, copy, "a flipped bit", bit);
            disk_model_free(&copy);
            bit += all ? 1 : in_page < 700 ? 5 : 1013;
        }
    }
    rot_end(&rot);
}

TEST(a_file_cut_at_any_length_is_named) {
    Rot rot;
    rot_begin(t, &rot);
    for (size_t file = 0; file < rot.count; file++) {
        for (int64_t bytes = 0; bytes < rot.bytes[file]; bytes += bytes % 512 == 0   ? 1
                                                                  : bytes % 512 == 1 ? 60
                                                                                     : 451) {
            DiskModel *copy = disk_model_copy(rot.model);
            Disk *disk = disk_model_disk(copy);
            File *open = NULL;
            check_ok(t, disk->open(disk, rot.paths[file], FILE_WRITE, &open, t->err));
            check_ok(t, disk->resize(disk, open, bytes, t->err));
            disk->close(disk, &open);
            check_named(t, &rot, copy, "a file cut", bytes);
            disk_model_free(&copy);
        }
    }
    rot_end(&rot);
}

TEST(a_file_that_is_gone_is_named) {
    Rot rot;
    rot_begin(t, &rot);
    DiskModel *copy = disk_model_copy(rot.model);
    Disk *disk = disk_model_disk(copy);
    check_ok(t, life_open(&rot.life, t->err));
    for (int i = 0; i < 3; i++) {
        check_ok(t, life_append(&rot.life, 9000, t->err));
        check_ok(t, life_commit(&rot.life, t->err));
    }
    life_close(&rot.life);
    disk_model_free(&copy);
    copy = disk_model_copy(rot.model);
    disk = disk_model_disk(copy);
    check_ok(t, disk->remove(disk, rot.paths[1], t->err));  // one in the middle
    check_named(t, &rot, copy, "a file gone", 1);
    disk_model_free(&copy);
    rot_end(&rot);
}

static void copy_page(Test *t, Disk *disk, Text from, int64_t from_page, Text to, int64_t to_page) {
    uint8_t page[4096] = {0};
    size_t got = 0;
    File *file = NULL;
    if (from_page >= 0) {
        check_ok(t, disk->open(disk, from, FILE_READ, &file, t->err));
        check_ok(t, disk->read(disk, file, from_page * 4096, page, sizeof page, &got, t->err));
        disk->close(disk, &file);
    }
    check_ok(t, disk->open(disk, to, FILE_WRITE, &file, t->err));
    check_ok(t, disk->write(disk, file, to_page * 4096, page, sizeof page, t->err));
    disk->close(disk, &file);
}

TEST(a_zeroed_page_is_named) {
    Rot rot;
    rot_begin(t, &rot);
    for (size_t file = 0; file < rot.count; file++) {
        for (int64_t page = 0; page < rot.bytes[file] / 4096; page++) {
            DiskModel *copy = disk_model_copy(rot.model);
            copy_page(t, disk_model_disk(copy), TEXT_NONE, -1, rot.paths[file], page);
            check_named(t, &rot, copy, "a zeroed page", page);
            disk_model_free(&copy);
        }
    }
    rot_end(&rot);
}

TEST(swapped_and_misdirected_pages_are_named) {
    Rot rot;
    rot_begin(t, &rot);
    for (size_t a = 0; a < rot.count; a++) {
        for (int64_t page = 0; page < rot.bytes[a] / 4096; page++) {
            for (size_t b = 0; b < rot.count; b++) {
                for (int64_t other = 0; other < rot.bytes[b] / 4096; other++) {
                    DiskModel *copy = disk_model_copy(rot.model);
                    Disk *disk = disk_model_disk(copy);
                    copy_page(t, disk, rot.paths[a], page, rot.paths[b],
                              other);  // a write that went elsewhere
                    check_named(t, &rot, copy, "a misdirected page", page * 100 + other);
                    disk_model_free(&copy);
                }
            }
        }
    }
    rot_end(&rot);
}

// Without checksums the test would have to see this: a body changed, and the checksums made to fit.
TEST(the_oracle_sees_a_record_that_is_wrong) {
    Rot rot;
    rot_begin(t, &rot);
    Disk *disk = disk_model_disk(rot.model);
    Bytes whole;
    check_ok(t, disk_read_whole(disk, rot.paths[0], 1 * MB, t->arena, &whole, t->err));
    uint8_t *bytes = arena_push_array(t->arena, uint8_t, whole.len);
    memcpy(bytes, whole.at, whole.len);
    SegmentHeader header;
    RecordHeader record;
    check_ok(t, segment_header_decode(whole, &header, t->err));
    check(t, record_header_decode(bytes + 4096, &header, 4096, &record));
    uint8_t *payload = bytes + 4096 + RECORD_HEADER_BYTES;
    payload[record.refused_bytes + 50] ^= 1;
    record.payload_crc = record_payload_crc(
        BYTES_NONE, (Bytes){payload, (size_t)record.refused_bytes + record.body_bytes});
    record_header_encode(&record, &header, 4096, bytes + 4096);
    check_ok(t, disk_replace(disk, TEXT("."), rot.paths[0], (Bytes){bytes, whole.len}, t->err));
    check_ok(t, life_open(&rot.life, t->err));
    check(t, !life_judge(&rot.life, true, t->err));
    check_text(t, TEXT("a record was altered"), text_from_cstring(rot.life.complaint));
    rot_end(&rot);
}

TEST_MAIN("store/log/rot", CASE(the_oracle_sees_a_record_that_is_wrong),
          CASE(every_flipped_bit_changes_nothing_or_is_named),
          CASE(a_file_cut_at_any_length_is_named), CASE(a_file_that_is_gone_is_named),
          CASE(a_zeroed_page_is_named), CASE(swapped_and_misdirected_pages_are_named))
