// The store's housekeeping over many tenants, a failing disk and a clock that jumps; and numbers of
// records that never come again.

#include <stdio.h>
#include <unistd.h>

#include "base/test.h"
#include "ingest/ingest.h"
#include "os/disk_fault.h"
#include "os/disk_model.h"

static const int64_t NOW_MS = INT64_C(1763683200000);
static const int64_t DAY_MS = INT64_C(86400000);

typedef struct House {
    Test *t;
    char catalog[64];
    ManualClock clock;
    DiskModel *model;
    DiskFault *fault;
    int64_t memory_limit, retention_ms, log_bytes_max, stop_log_bytes, stop_seal_ms, cold_bytes;
    const StoreKeep *rules;  // of retention
    size_t rule_count;
    IngestSender *sender;
    Store *store;
} House;

static void house_close(House *house) {
    store_close(&house->store);
    ingest_sender_free(&house->sender);
}

static void house_open(House *house) {
    StoreOptions options = {
        .disk = disk_fault_disk(house->fault),
        .clock = &house->clock.clock,
        .folder = TEXT("data"),
        .catalog_path = text_from_cstring(house->catalog),
        .hash_key = {1, 2},
        .memory_limit = house->memory_limit,
        .retention_ms = house->retention_ms,
        .retention_rules = house->rules,
        .retention_rule_count = house->rule_count,
        .log_bytes_max = house->log_bytes_max,
        .log_segment_bytes = 64 * KB,
        .stop_log_bytes = house->stop_log_bytes,
        .block_cold_bytes = house->cold_bytes,
        .stop_seal_ms = house->stop_seal_ms,
    };
    house->sender = ingest_sender_new();
    check_ok(house->t, store_open(options, &house->store, house->t->err));
    check_ok(house->t, store_replay(house->store, ingest_replay, house->sender, house->t->err));
}

static void house_begin(House *house, Test *t) {
    *house = (House){.t = t, .memory_limit = GB};
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(house->catalog, sizeof house->catalog, "%s/traceo-housekeeping-%d.db", memory,
             (int)getpid());
    unlink(house->catalog);
    clock_manual(&house->clock, NOW_MS);
    house->model = disk_model_new();
    house->fault = disk_fault_new(disk_model_disk(house->model));
}

static void house_end(House *house) {
    house_close(house);
    disk_fault_free(&house->fault);
    disk_model_free(&house->model);
    unlink(house->catalog);
}

static Tenant *tenant_of(House *house, int number) {
    Tenant *tenant = NULL;
    check_ok(house->t, store_tenant(house->store, text_format(house->t->arena, "t%d", number), true,
                                    &tenant, house->t->err));
    return tenant;
}

static bool put(House *house, int tenant, int64_t time_ms, double value, Error *err) {
    AUTO(write_body_free) WriteBody body = {0};
    Label label = {LABEL_NAME, TEXT("m")};
    Labels labels;
    TRY(labels_make(&label, 1, house->t->arena, &labels, err));
    write_body_add(&body, labels, time_ms, value);
    IngestOutcome outcome;
    int64_t now_ms = house->clock.wall_ms;
    TRY(ingest_samples(house->store, tenant_of(house, tenant), house->sender, &body, now_ms,
                       &outcome, err));
    if (outcome.first_fault.code == ERROR_NONE) return true;
    *err = outcome.first_fault;
    return false;
}

static size_t count_of(House *house, int tenant) {
    Test *t = house->t;
    AUTO(series_view_close) SeriesView *view = NULL;
    check_ok(
        t, series_view_open(tenant_of(house, tenant)->series, INT64_MIN, INT64_MAX, &view, t->err));
    SeriesFoundList found;
    check_ok(t, series_select(view, (Matchers){0}, 0, t->arena, &found, t->err));
    AUTO(series_cursor_close) SeriesCursor *cursor = series_cursor_open(view);
    AUTO(series_columns_free) SeriesColumns columns = {0};
    size_t count = 0;
    for (size_t i = 0; i < found.count; i++) {
        check_ok(t, series_read(cursor, &found.at[i], INT64_MIN, INT64_MAX, &columns, t->err));
        count += columns.count;
    }
    return count;
}

TEST(numbers_that_blocks_claim_are_not_given_again_when_the_log_lost_its_end) {
    House house;
    house_begin(&house, t);
    house_open(&house);
    check_ok(t, put(&house, 1, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    for (int i = 1; i <= 5; i++)
        check_ok(t, put(&house, 1, NOW_MS + i, i, t->err));  // never synced
    check_ok(t, store_flush(house.store, t->err));           // but sealed
    house_close(&house);
    disk_model_crash(house.model, CRASH_DROP_ALL, 1);

    house_open(&house);
    check_i64(t, 6, count_of(&house, 1));
    for (int i = 10; i < 13; i++) check_ok(t, put(&house, 1, NOW_MS + i, i, t->err));
    check_ok(t, store_commit_now(house.store, t->err));  // acknowledged
    house_close(&house);
    disk_model_crash(house.model, CRASH_DROP_ALL, 1);

    house_open(&house);
    check_i64(t, 9, count_of(&house, 1));
    StoreState state;
    store_state(house.store, &state);
    for (size_t i = 0; i < state.recovery.gap_count; i++) check(t, !state.recovery.gaps[i].proven);
    house_end(&house);
}

TEST(many_small_heads_go_to_blocks_before_their_sum_fills_the_memory) {
    enum { TENANTS = 400 };
    House house;
    house_begin(&house, t);
    house.memory_limit = 64 * MB;  // 25.6 MB for heads; one tenant's takes 120 KB at least
    house_open(&house);
    for (int i = 0; i < TENANTS; i++) {
        if (!put(&house, i, NOW_MS, i, t->err)) {
            check_failed(t, __FILE__, __LINE__, "tenant %d: %s", i, t->err->message);
            break;
        }
        if (i % 10 == 9) check_ok(t, store_maintain(house.store, t->err));
    }
    check_ok(t, store_commit_now(house.store, t->err));
    house_end(&house);
}

TEST(a_replay_into_less_memory_loses_nothing) {
    enum { TENANTS = 150 };
    House house;
    house_begin(&house, t);
    house_open(&house);
    for (int i = 0; i < TENANTS; i++) check_ok(t, put(&house, i, NOW_MS, i, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    house_close(&house);
    house.memory_limit = 24 * MB;  // 9.6 MB for heads, a hundredth of before
    house_open(&house);
    for (int i = 0; i < TENANTS; i++) check_i64(t, 1, count_of(&house, i));
    house_end(&house);
}

TEST(a_full_disk_keeps_neither_retention_nor_other_tenants_from_their_housekeeping) {
    House house;
    house_begin(&house, t);
    house.retention_ms = 2 * DAY_MS;
    house_open(&house);
    check_ok(t, put(&house, 1, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    for (int day = 0; day < 4; day++) {
        clock_advance(&house.clock, DAY_MS);
        check_ok(t, store_maintain(house.store, t->err));
        if (day == 1) check_i64(t, 1, count_of(&house, 1));
    }
    check_i64(t, 0, count_of(&house, 1));

    check_ok(t, put(&house, 1, house.clock.wall_ms - DAY_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    check_ok(t, put(&house, 1, house.clock.wall_ms, 2, t->err));
    check_ok(t, put(&house, 2, house.clock.wall_ms, 3, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_i64(t, 2, count_of(&house, 1));
    clock_advance(&house.clock, DAY_MS);
    clock_advance(&house.clock, 1000);
    // The first write of the round is of the first tenant's block.
    disk_fault_plan(house.fault,
                    (DiskFaultPlan){.call = DISK_CALL_WRITE, .nth = 1, .code = ERROR_DISK_FULL});
    check_error(t, store_maintain(house.store, t->err), ERROR_DISK_FULL);
    check_i64(t, 1, count_of(&house, 1));  // what is past retention is gone all the same
    check_i64(t, UINT64_MAX, series_needed_sequence(tenant_of(&house, 2)->series));
    check(t, series_needed_sequence(tenant_of(&house, 1)->series) != UINT64_MAX);
    check_ok(t, store_maintain(house.store, t->err));
    check_i64(t, UINT64_MAX, series_needed_sequence(tenant_of(&house, 1)->series));
    house_end(&house);
}

TEST(a_tenant_keeps_as_long_as_its_rules_say) {
    static const StoreKeep rules[] = {{TEXT_INIT("t2"), {{0}, 4 * DAY_MS}},
                                      {TEXT_INIT("t3"), {{0}, 0}}};
    House house;
    house_begin(&house, t);
    house.retention_ms = 2 * DAY_MS;
    house.rules = rules;
    house.rule_count = COUNT(rules);
    house_open(&house);
    for (int tenant = 1; tenant <= 3; tenant++) check_ok(t, put(&house, tenant, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    for (int day = 1; day <= 6; day++) {
        clock_advance(&house.clock, DAY_MS);
        check_ok(t, store_maintain(house.store, t->err));
        check_i64(t, day < 3, count_of(&house, 1));
        check_i64(t, day < 5, count_of(&house, 2));
        check_i64(t, 1, count_of(&house, 3));
    }
    check_error(t, put(&house, 1, house.clock.wall_ms - 3 * (int64_t)DAY_MS, 1, t->err),
                ERROR_OUT_OF_ORDER);
    check_ok(t, put(&house, 2, house.clock.wall_ms - 3 * (int64_t)DAY_MS, 1, t->err));
    house_end(&house);
}

static size_t count_blocks(House *house) {
    Disk *disk = disk_model_disk(house->model);
    DiskEntries entries;
    check_ok(house->t,
             disk->list(disk, TEXT("data/objects/1"), house->t->arena, &entries, house->t->err));
    size_t count = 0;
    for (size_t i = 0; i < entries.count; i++)
        count += text_ends_with(entries.at[i].name, TEXT(".block"));
    return count;
}

static Text manifest_of(House *house, int tenant) {
    Bytes manifest;
    check_ok(house->t, disk_read_whole(disk_model_disk(house->model),
                                       text_format(house->t->arena, "data/tenants/%u/MANIFEST",
                                                   tenant_of(house, tenant)->id.number),
                                       MB, house->t->arena, &manifest, house->t->err));
    return bytes_text(manifest);
}

static SeriesState state_of(House *house, int tenant) {
    SeriesState state;
    series_state(tenant_of(house, tenant)->series, &state);
    return state;
}

// Of a day of one block, sealed while it went on: one of sums of tenths, which is smaller then, and
// one of a single sample, which is not.
TEST(a_day_of_one_block_is_written_again_cold_once) {
    House house;
    house_begin(&house, t);
    house.cold_bytes = 1;
    house_open(&house);
    double sum = 0;
    clock_advance(&house.clock, 7200000);
    for (int i = 0; i < 400; i++) {
        sum += 0.1 * (double)(i % 7);
        check_ok(t, put(&house, 1, NOW_MS + i * 15000 + i % 3, sum, t->err));
    }
    check_ok(t, put(&house, 2, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    for (int hour = 2; hour < 25; hour++) {
        clock_advance(&house.clock, DAY_MS / 24);
        check_ok(t, store_maintain(house.store, t->err));
    }
    Text hot[3] = {{0}}, cold[3] = {{0}};
    SeriesState before = state_of(&house, 1);
    for (int tenant = 1; tenant <= 2; tenant++) {
        check_i64(t, 0, state_of(&house, tenant).merges);  // two hours are for what is late
        hot[tenant] = manifest_of(&house, tenant);
    }
    for (int hour = 0; hour < 2; hour++) {
        clock_advance(&house.clock, DAY_MS / 24);
        check_ok(t, store_maintain(house.store, t->err));
    }
    check_i64(t, 1, state_of(&house, 1).merges);
    check_i64(t, 0, state_of(&house, 2).merges);
    check_i64(t, 1, state_of(&house, 1).blocks);
    check(t, state_of(&house, 1).block_bytes < before.block_bytes);
    for (int tenant = 1; tenant <= 2; tenant++) {
        cold[tenant] = manifest_of(&house, tenant);
        check(t, !text_equal(hot[tenant], cold[tenant]));
        check(t, text_find(hot[tenant], TEXT(" 0 1 1 ")) > 0 || tenant == 1);
    }
    // It is the same block, which is known not to become smaller.
    Text name_before = text_slice(hot[2], (size_t)text_find(hot[2], TEXT("block ")), hot[2].len);
    check(t, text_find(cold[2], text_slice(name_before, 0, 6 + 16 + 6)) > 0);
    check(t, text_find(cold[2], TEXT(" 256 1 1 1\n")) > 0);
    check_i64(t, 1, count_blocks(&house));
    // Never again: neither in later rounds nor after a restart.
    for (int life = 0; life < 3; life++) {
        for (int round = 0; round < 30; round++) {
            clock_advance(&house.clock, 3600000);
            check_ok(t, store_maintain(house.store, t->err));
        }
        for (int tenant = 1; tenant <= 2; tenant++) {
            check_text(t, cold[tenant], manifest_of(&house, tenant));
            check_i64(t, life == 0 && tenant == 1, state_of(&house, tenant).merges);
        }
        check_i64(t, 400, count_of(&house, 1));
        check_i64(t, 1, count_of(&house, 2));
        house_close(&house);
        house_open(&house);
    }
    // A late sample makes another block of it, cold as well, and that is all.
    check_ok(t, put(&house, 1, NOW_MS + 7777, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    check_ok(t, store_maintain(house.store, t->err));
    Text merged = manifest_of(&house, 1);
    check(t, text_find(merged, TEXT(" 257 1 1 401\n")) > 0);
    check_ok(t, store_maintain(house.store, t->err));
    check_text(t, merged, manifest_of(&house, 1));
    house_end(&house);
}

// What is hardly anything stays as it is.
TEST(a_small_block_is_not_written_again_for_its_age) {
    House house;
    house_begin(&house, t);
    house_open(&house);
    clock_advance(&house.clock, 7200000);
    for (int i = 0; i < 400; i++) check_ok(t, put(&house, 1, NOW_MS + i * 15000, 0.1 * i, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    Text hot = manifest_of(&house, 1);
    for (int day = 0; day < 3; day++) {
        clock_advance(&house.clock, DAY_MS);
        check_ok(t, store_maintain(house.store, t->err));
    }
    check_text(t, hot, manifest_of(&house, 1));
    house_end(&house);
}

TEST(a_manifest_that_cannot_be_written_leaves_no_pile_of_blocks) {
    House house;
    house_begin(&house, t);
    house_open(&house);
    check_ok(t, put(&house, 1, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    for (int i = 0; i < 3; i++) {  // the block's rename works, the manifest's does not
        disk_fault_plan(
            house.fault,
            (DiskFaultPlan){
                .call = DISK_CALL_RENAME, .nth = 2, .code = ERROR_IO, .for_ever = true});
        check_error(t, store_flush(house.store, t->err), ERROR_IO);
        check_i64(t, 0, count_blocks(&house));
        check_i64(t, 1, count_of(&house, 1));
    }
    disk_fault_plan(house.fault, (DiskFaultPlan){0});
    check_ok(t, store_flush(house.store, t->err));
    check_i64(t, 1, count_blocks(&house));
    check_i64(t, 1, count_of(&house, 1));
    house_end(&house);
}

TEST(r32_a_clock_that_jumps_ahead_deletes_nothing_for_a_day) {
    House house;
    house_begin(&house, t);
    house.retention_ms = 30 * DAY_MS;
    house_open(&house);
    check_ok(t, put(&house, 1, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_flush(house.store, t->err));
    check_ok(t, store_maintain(house.store, t->err));
    house.clock.wall_ms = NOW_MS + 3650 * DAY_MS;  // ten years; the monotonic clock stands
    check_ok(t, store_maintain(house.store, t->err));
    check_i64(t, 1, count_of(&house, 1));
    house_close(&house);
    house_open(&house);  // a restart does not forget it
    check_ok(t, store_maintain(house.store, t->err));
    check_i64(t, 1, count_of(&house, 1));
    clock_advance(&house.clock, DAY_MS - 1000);
    check_ok(t, store_maintain(house.store, t->err));
    check_i64(t, 1, count_of(&house, 1));
    clock_advance(&house.clock, 2000);  // it has been so for a day: it is so
    check_ok(t, store_maintain(house.store, t->err));
    check_i64(t, 0, count_of(&house, 1));
    house_end(&house);
}

TEST(r32_a_replay_under_a_clock_that_jumped_keeps_what_was_acknowledged) {
    House house;
    house_begin(&house, t);
    house.retention_ms = 30 * DAY_MS;
    house_open(&house);
    check_ok(t, put(&house, 1, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_maintain(house.store, t->err));
    house_close(&house);
    house.clock.wall_ms = NOW_MS + 3650 * DAY_MS;
    house_open(&house);
    check_i64(t, 1, count_of(&house, 1));
    check_ok(t, store_flush(house.store, t->err));
    check_ok(t, store_maintain(house.store, t->err));
    check_i64(t, 1, count_of(&house, 1));
    house_end(&house);
}

TEST(w19_a_folder_that_another_process_took_over_is_not_written_any_more) {
    House house;
    house_begin(&house, t);
    house_open(&house);
    check_ok(t, put(&house, 1, NOW_MS, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    // A second process on a file system without working locks would write its own name there.
    Disk *disk = disk_model_disk(house.model);
    File *file = NULL;
    check_ok(t, disk->open(disk, TEXT("data/lock"), FILE_WRITE, &file, t->err));
    check_ok(t, disk->write(disk, file, 0, "somebody else's name", 20, t->err));
    disk->close(disk, &file);
    check_error(t, store_flush(house.store, t->err), ERROR_IN_USE);
    check_error(t, store_maintain(house.store, t->err), ERROR_IN_USE);
    DiskEntries blocks;
    check_ok(t, disk->list(disk, TEXT("data/objects"), t->arena, &blocks, t->err));
    check_i64(t, 0, blocks.count);
    house_end(&house);
}

static uint64_t replayed(House *house) {
    StoreState state;
    store_state(house->store, &state);
    return state.replayed_records;
}

TEST(after_an_orderly_stop_there_is_nothing_to_replay) {
    House house;
    house_begin(&house, t);
    house.stop_log_bytes = 64 * KB;
    house_open(&house);
    for (int i = 0; i < 10; i++) check_ok(t, put(&house, i % 3, NOW_MS + i, i, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_ok(t, store_settle(house.store, t->err));
    house_close(&house);
    house_open(&house);
    check_i64(t, 10, replayed(&house));  // so little is replayed faster than a block is read
    for (int i = 10; i < 1000; i++) {
        check_ok(t, put(&house, i % 3, NOW_MS + i, i, t->err));
        check_ok(t, store_commit_now(house.store, t->err));
    }
    check_ok(t, store_settle(house.store, t->err));
    house_close(&house);
    house_open(&house);
    check_i64(t, 0, replayed(&house));
    check_i64(t, 1000, count_of(&house, 0) + count_of(&house, 1) + count_of(&house, 2));
    // It goes on as ever, and what it held before a power cut is there.
    check_ok(t, put(&house, 0, NOW_MS + 1000, 1, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    house_close(&house);
    disk_model_crash(house.model, CRASH_DROP_ALL, 1);
    house_open(&house);
    check_i64(t, 1, replayed(&house));
    check_i64(t, 1001, count_of(&house, 0) + count_of(&house, 1) + count_of(&house, 2));
    house_end(&house);
}

TEST(a_stop_that_has_no_time_for_blocks_leaves_all_to_the_replay) {
    House house;
    house_begin(&house, t);
    house.stop_log_bytes = 1;
    house.stop_seal_ms = -1;
    house_open(&house);
    for (int i = 0; i < 10; i++) check_ok(t, put(&house, i % 3, NOW_MS + i, i, t->err));
    check_ok(t, store_commit_now(house.store, t->err));
    check_error(t, store_settle(house.store, t->err), ERROR_TIMEOUT);
    house_close(&house);
    house_open(&house);
    check_i64(t, 10, replayed(&house));
    check_i64(t, 10, count_of(&house, 0) + count_of(&house, 1) + count_of(&house, 2));
    house_end(&house);
}

TEST_MAIN("housekeeping", CASE(w19_a_folder_that_another_process_took_over_is_not_written_any_more),
          CASE(numbers_that_blocks_claim_are_not_given_again_when_the_log_lost_its_end),
          CASE(many_small_heads_go_to_blocks_before_their_sum_fills_the_memory),
          CASE(a_replay_into_less_memory_loses_nothing),
          CASE(after_an_orderly_stop_there_is_nothing_to_replay),
          CASE(a_stop_that_has_no_time_for_blocks_leaves_all_to_the_replay),
          CASE(a_full_disk_keeps_neither_retention_nor_other_tenants_from_their_housekeeping),
          CASE(a_tenant_keeps_as_long_as_its_rules_say),
          CASE(a_day_of_one_block_is_written_again_cold_once),
          CASE(a_small_block_is_not_written_again_for_its_age),
          CASE(a_manifest_that_cannot_be_written_leaves_no_pile_of_blocks),
          CASE(r32_a_clock_that_jumps_ahead_deletes_nothing_for_a_day),
          CASE(r32_a_replay_under_a_clock_that_jumped_keeps_what_was_acknowledged))
