// Objects: put is atomic and durable in every crash state, what is read is checked, names stay
// inside.

#include "store/objects/objects.h"

#include "base/test.h"
#include "codec/crc32c.h"
#include "os/disk_fault.h"
#include "os/disk_model.h"

#define FOLDER TEXT("data/objects")

static Bytes bytes_of(const char *text) {
    return text_bytes(text_from_cstring(text));
}

static void check_object(Test *t, Objects *objects, Text name, Bytes stated) {
    Object object = {0};
    check_ok(t, objects->open(objects, name, (int64_t)stated.len, &object, t->err));
    check(t, bytes_equal(object.bytes, stated));
    objects->close(objects, &object);
}

TEST(an_object_gives_back_what_was_put) {
    DiskModel *model = disk_model_new();
    Objects *objects = NULL;
    check_ok(t, objects_open_directory(disk_model_disk(model), FOLDER, &objects, t->err));
    check_ok(t, objects->put(objects, TEXT("a/b/chunks"), bytes_of("one"), t->err));
    check_ok(t, objects->put(objects, TEXT("a/b/chunks"), bytes_of("two!"), t->err));
    check_ok(t, objects->put(objects, TEXT("a/empty"), BYTES_NONE, t->err));
    check_object(t, objects, TEXT("a/b/chunks"), bytes_of("two!"));
    check_object(t, objects, TEXT("a/empty"), BYTES_NONE);
    Object object = {0};
    check_error(t, objects->open(objects, TEXT("a/b/chunks"), 3, &object, t->err), ERROR_CORRUPT);
    check_error(t, objects->open(objects, TEXT("a/none"), 3, &object, t->err), ERROR_NOT_FOUND);
    check_ok(t, objects->remove(objects, TEXT("a/none"), t->err));
    check_ok(t, objects->remove(objects, TEXT("a/empty"), t->err));
    check_error(t, objects->open(objects, TEXT("a/empty"), 0, &object, t->err), ERROR_NOT_FOUND);
    objects_close(&objects);
    disk_model_free(&model);
}

TEST(an_object_in_pieces_is_seen_when_it_is_whole) {
    DiskModel *model = disk_model_new();
    Objects *objects = NULL;
    ObjectDraft *draft = NULL;
    char again[4];
    check_ok(t, objects_open_directory(disk_model_disk(model), FOLDER, &objects, t->err));
    for (int round = 0; round < 2; round++) {  // the second one replaces the first
        check_ok(t, objects->begin(objects, TEXT("a/b/chunks"), &draft, t->err));
        check_ok(t, objects->add(objects, draft, bytes_of("one, "), t->err));
        Object object = {0};
        if (round == 0)
            check_error(t, objects->open(objects, TEXT("a/b/chunks"), 5, &object, t->err),
                        ERROR_NOT_FOUND);
        check_ok(t, objects->add(objects, draft, bytes_of(round == 0 ? "two" : "three"), t->err));
        check_ok(t, objects->read(objects, draft, 3, again, 4, t->err));
        check(t, memcmp(again, round == 0 ? ", tw" : ", th", 4) == 0);
        check_error(t, objects->read(objects, draft, 8, again, 4, t->err), ERROR_CORRUPT);
        check_ok(t, objects->finish(objects, draft, t->err));
        objects->abandon(objects, &draft);
        check_object(t, objects, TEXT("a/b/chunks"),
                     bytes_of(round == 0 ? "one, two" : "one, three"));
    }
    // One that is abandoned leaves nothing, neither does one without a name.
    check_ok(t, objects->begin(objects, TEXT("a/c"), &draft, t->err));
    check_ok(t, objects->add(objects, draft, bytes_of("half"), t->err));
    objects->abandon(objects, &draft);
    objects->abandon(objects, &draft);
    check_error(t, objects->begin(objects, TEXT("../c"), &draft, t->err), ERROR_BAD_INPUT);
    DiskEntries entries;
    check_ok(t, objects->list(objects, TEXT_NONE, t->arena, &entries, t->err));
    check_i64(t, 1, entries.count);
    objects_close(&objects);
    disk_model_free(&model);
}

TEST(names_cannot_leave_the_folder) {
    DiskModel *model = disk_model_new();
    Objects *objects = NULL;
    check_ok(t, objects_open_directory(disk_model_disk(model), FOLDER, &objects, t->err));
    static const char *const bad[] = {"",     "/a", "a/",  "a//b", "..",    "../a", "a/../b",
                                      "a/.b", "A",  "a b", "a\\b", "a.tmp", "a\nb"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        check_error(t, objects->put(objects, text_from_cstring(bad[i]), bytes_of("x"), t->err),
                    ERROR_BAD_INPUT);
        check_error(t, objects->verify(objects, text_from_cstring(bad[i]), 1, 0, t->err),
                    ERROR_BAD_INPUT);
    }
    objects_close(&objects);
    disk_model_free(&model);
}

TEST(w15_list_shows_leftovers_and_strangers_for_the_owner_to_judge) {
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    Objects *objects = NULL;
    check_ok(t, objects_open_directory(disk, FOLDER, &objects, t->err));
    check_ok(t, objects->put(objects, TEXT("blocks/2/index"), bytes_of("i"), t->err));
    check_ok(t, objects->put(objects, TEXT("blocks/1"), bytes_of("x"), t->err));
    check_ok(t, objects->put(objects, TEXT("blocks-old"), bytes_of("x"), t->err));
    check_ok(t, objects->put(objects, TEXT("zebra"), bytes_of("x"), t->err));
    File *file = NULL;
    check_ok(t, disk->open(disk, TEXT("data/objects/blocks/7.tmp"), FILE_CREATE, &file, t->err));
    disk->close(disk, &file);
    DiskEntries entries;
    check_ok(t, objects->list(objects, TEXT("blocks/"), t->arena, &entries, t->err));
    check_i64(t, 3, entries.count);
    check_text(t, TEXT("blocks/1"), entries.at[0].name);
    check_text(t, TEXT("blocks/2/index"), entries.at[1].name);
    check_text(t, TEXT("blocks/7.tmp"), entries.at[2].name);
    check_ok(t, objects->remove(objects, TEXT("blocks/7.tmp"), t->err));
    check_ok(t, objects->list(objects, TEXT_NONE, t->arena, &entries, t->err));
    check_i64(t, 4, entries.count);
    objects_close(&objects);
    disk_model_free(&model);
}

TEST(w14_verify_sees_every_flipped_bit_and_every_other_size) {
    DiskModel *model = disk_model_new();
    Objects *objects = NULL;
    Bytes content = bytes_of("the bytes of a block");
    uint32_t crc = crc32c(0, content);
    check_ok(t, objects_open_directory(disk_model_disk(model), FOLDER, &objects, t->err));
    check_ok(t, objects->put(objects, TEXT("block"), content, t->err));
    check_ok(t, objects->verify(objects, TEXT("block"), (int64_t)content.len, crc, t->err));
    check_error(t, objects->verify(objects, TEXT("block"), (int64_t)content.len - 1, crc, t->err),
                ERROR_CORRUPT);
    check_error(t, objects->verify(objects, TEXT("block"), (int64_t)content.len + 1, crc, t->err),
                ERROR_CORRUPT);
    for (int64_t bit = 0; bit < (int64_t)content.len * 8; bit++) {
        check(t, disk_model_flip(model, TEXT("data/objects/block"), bit / 8, (unsigned)(bit % 8)));
        check_error(t, objects->verify(objects, TEXT("block"), (int64_t)content.len, crc, t->err),
                    ERROR_CORRUPT);
        check(t, disk_model_flip(model, TEXT("data/objects/block"), bit / 8, (unsigned)(bit % 8)));
    }
    check_ok(t, objects->verify(objects, TEXT("block"), (int64_t)content.len, crc, t->err));
    objects_close(&objects);
    disk_model_free(&model);
}

static bool put_in_pieces(Objects *objects, Text name, Bytes content, Error *err) {
    ObjectDraft *draft = NULL;
    TRY(objects->begin(objects, name, &draft, err));
    bool ok = true;
    for (size_t i = 0; ok && i < content.len; i += 2)
        ok = objects->add(objects, draft, (Bytes){content.at + i, MIN(content.len - i, (size_t)2)},
                          err);
    ok = ok && objects->finish(objects, draft, err);
    objects->abandon(objects, &draft);
    return ok;
}

// Puts "old", then "new!" in pieces; *step says how much of it was confirmed.
static bool put_twice(Disk *disk, int *step, Error *err) {
    Objects *objects = NULL;
    *step = 0;
    TRY(objects_open_directory(disk, FOLDER, &objects, err));
    bool ok = objects->put(objects, TEXT("a/b"), bytes_of("old"), err);
    if (ok) *step = 1;
    ok = ok && put_in_pieces(objects, TEXT("a/b"), bytes_of("new!"), err);
    if (ok) *step = 2;
    objects_close(&objects);
    return ok;
}

// What is there after the crash is one of the two, whole, and not older than what was confirmed.
static bool is_right(Disk *disk, int step) {
    Objects *objects = NULL;
    Error err = {0};
    if (!objects_open_directory(disk, FOLDER, &objects, &err)) return false;
    bool old = objects->verify(objects, TEXT("a/b"), 3, crc32c(0, bytes_of("old")), &err);
    bool new = objects->verify(objects, TEXT("a/b"), 4, crc32c(0, bytes_of("new!")), &err);
    bool none = err.code == ERROR_NOT_FOUND;
    objects_close(&objects);
    return step == 0 ? old || new || none : step == 1 ? old || new : new;
}

// Counts the crash states in which an object is lost or broken.
static int count_wrong(DiskLie lie, int *states) {
    int wrong = 0;
    bool finished = false;
    for (uint64_t stop = 1; !finished; stop++) {
        DiskModel *model = disk_model_new();
        disk_model_lie(model, lie);
        disk_model_stop_at(model, stop);
        int step;
        Error err;
        finished = put_twice(disk_model_disk(model), &step, &err);
        for (uint64_t seed = 0; seed < 20; seed++) {
            DiskModel *copy = disk_model_copy(model);
            disk_model_lie(copy, LIE_NONE);
            disk_model_crash(copy,
                             seed == 0   ? CRASH_DROP_ALL
                             : seed == 1 ? CRASH_KEEP_ALL
                                         : CRASH_RANDOM,
                             seed);
            if (!is_right(disk_model_disk(copy), step)) wrong++;
            ++*states;
            disk_model_free(&copy);
        }
        disk_model_free(&model);
    }
    return wrong;
}

TEST(a_put_is_whole_or_absent_in_every_crash_state) {
    int states = 0;
    check_i64(t, 0, count_wrong(LIE_NONE, &states));
    check(t, states > 200);
}

TEST(the_crash_test_catches_planted_faults) {
    int states = 0;
    check(t, count_wrong(LIE_SYNC, &states) > 0);
    check(t, count_wrong(LIE_SYNC_FOLDER, &states) > 0);
}

TEST(each_disk_call_fails_once_and_for_ever_and_nothing_confirmed_is_lost) {
    static const ErrorCode codes[] = {ERROR_IO, ERROR_DISK_FULL};
    for (int plan = 0; plan < 8; plan++) {
        bool finished = false;
        for (uint64_t nth = 1; !finished; nth++) {
            DiskModel *model = disk_model_new();
            DiskFault *fault = disk_fault_new(disk_model_disk(model));
            disk_fault_plan(fault, (DiskFaultPlan){.nth = nth,
                                                   .for_ever = plan & 1,
                                                   .code = codes[plan >> 1 & 1],
                                                   .partial = plan & 4});
            int step;
            Error err = {0};
            finished = put_twice(disk_fault_disk(fault), &step, &err) &&
                       disk_fault_seen(fault, DISK_CALL_ANY) < nth;
            disk_fault_plan(fault, (DiskFaultPlan){0});
            disk_model_crash(model, CRASH_DROP_ALL, 0);
            check(t, is_right(disk_model_disk(model), step));
            disk_fault_free(&fault);
            disk_model_free(&model);
        }
    }
}

TEST_MAIN("store/objects", CASE(an_object_gives_back_what_was_put),
          CASE(an_object_in_pieces_is_seen_when_it_is_whole),
          CASE(names_cannot_leave_the_folder),
          CASE(w15_list_shows_leftovers_and_strangers_for_the_owner_to_judge),
          CASE(w14_verify_sees_every_flipped_bit_and_every_other_size),
          CASE(a_put_is_whole_or_absent_in_every_crash_state),
          CASE(the_crash_test_catches_planted_faults),
          CASE(each_disk_call_fails_once_and_for_ever_and_nothing_confirmed_is_lost))
