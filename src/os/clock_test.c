// Clocks go forward, and times go to text and back.

#include "os/clock.h"

#include "base/test.h"
#include "os/random.h"

TEST(the_system_clock_runs_and_sleeps) {
    Clock *clock = clock_system();
    int64_t before = clock->monotonic_ns(clock);
    clock->sleep_ms(clock, 5);
    check(t, clock->monotonic_ns(clock) - before >= 5 * 1000000);
    check(t, clock->wall_ms(clock) > 1700000000000);
    check(t, cpu_process_ns() > 0 && cpu_thread_ns() > 0);
}

TEST(a_manual_clock_stands_still) {
    ManualClock manual;
    clock_manual(&manual, 1000);
    Clock *clock = &manual.clock;
    check(t, clock->wall_ms(clock) == 1000 && clock->monotonic_ns(clock) == 0);
    clock_advance(&manual, 5);
    clock->sleep_ms(clock, 2);
    check(t, clock->wall_ms(clock) == 1007 && clock->monotonic_ns(clock) == 7000000);
}

TEST(a_manual_clock_steps_at_the_reading_it_was_told) {
    ManualClock manual;
    clock_manual(&manual, 1000);
    Clock *clock = &manual.clock;
    check_i64(t, 1000, clock->wall_ms(clock));
    clock_step_after(&manual, 2, -400);
    check(t, clock->wall_ms(clock) == 1000 && clock->wall_ms(clock) == 600);
    check(t, clock->wall_ms(clock) == 600 && clock->monotonic_ns(clock) == 0);
    clock_step_after(&manual, 1, 5000);
    check(t, clock->wall_ms(clock) == 5600 && clock->wall_ms(clock) == 5600);
}

TEST(times_are_written_as_rfc_3339) {
    check_text(t, TEXT("1970-01-01T00:00:00.000Z"), time_format_ms(0, t->arena));
    check_text(t, TEXT("1969-12-31T23:59:59.999Z"), time_format_ms(-1, t->arena));
    check_text(t, TEXT("2000-02-29T12:34:56.789Z"), time_format_ms(951827696789, t->arena));
    check_text(t, TEXT("2106-02-07T06:28:16.000Z"),
               time_format_ms((int64_t)4294967296 * 1000, t->arena));
}

TEST(times_are_read_with_any_offset) {
    int64_t ms = 0;
    check(t, time_parse_ms(TEXT("2000-02-29T12:34:56.789Z"), &ms) && ms == 951827696789);
    check(t, time_parse_ms(TEXT("2000-02-29t14:04:56.7891234+01:30"), &ms) && ms == 951827696789);
    check(t, time_parse_ms(TEXT("2000-02-29 07:34:56-05:00"), &ms) && ms == 951827696000);
    check(t, time_parse_ms(TEXT("2016-12-31T23:59:60Z"), &ms) && ms == 1483228800000);
    check(t, time_parse_ms(TEXT("1970-01-01T00:00:00.5Z"), &ms) && ms == 500);
    static const Text wrong[] = {
        TEXT_INIT(""),
        TEXT_INIT("2001-02-29T00:00:00Z"),
        TEXT_INIT("2000-13-01T00:00:00Z"),
        TEXT_INIT("2000-01-01T24:00:00Z"),
        TEXT_INIT("2000-01-01T00:00:00"),
        TEXT_INIT("2000-01-01T00:00:00.Z"),
        TEXT_INIT("2000-01-01T00:00:00Z "),
        TEXT_INIT("2000-1-01T00:00:00Z"),
        TEXT_INIT("2000-01-01T00:00:00+1:00"),
        TEXT_INIT("2000-01-01T00:60:00Z"),
        TEXT_INIT("2000-01-00T00:00:00Z"),
        TEXT_INIT("2000-01-01T00:00:00+24:00"),
    };
    for (size_t i = 0; i < COUNT(wrong); i++) check(t, !time_parse_ms(wrong[i], &ms));
}

TEST(every_day_goes_to_text_and_back) {
    for (int64_t day = -719000; day < 2900000; day += 13) {
        ArenaMark mark = arena_mark(t->arena);
        int64_t ms = day * 86400000 + day % 1000 + 1000, again = 0;
        check(t, time_parse_ms(time_format_ms(ms, t->arena), &again) && again == ms);
        arena_reset_to(t->arena, mark);
    }
}

TEST(randomness_differs_but_repeats_with_a_seed) {
    uint8_t first[37] = {0}, second[37] = {0};
    check_ok(t, random_bytes(first, sizeof first, t->err) &&
                    random_bytes(second, sizeof second, t->err));
    check(t, memcmp(first, second, sizeof first) != 0);
    random_use_seed(7);
    check_ok(t, random_bytes(first, sizeof first, t->err));
    random_use_seed(7);
    check_ok(t, random_bytes(second, sizeof second, t->err));
    check_same_bytes(t, first, second, sizeof first);
    check_ok(t, random_bytes(second, sizeof second, t->err));
    check(t, memcmp(first, second, sizeof first) != 0);
    random_use_seed(0);
    random_fail_after(1);
    HashKey key;
    check_error(t, random_hash_key(&key, t->err), ERROR_IO);
    check_ok(t, random_hash_key(&key, t->err));
}

TEST_MAIN("os/clock", CASE(the_system_clock_runs_and_sleeps), CASE(a_manual_clock_stands_still),
          CASE(a_manual_clock_steps_at_the_reading_it_was_told),
          CASE(times_are_written_as_rfc_3339), CASE(times_are_read_with_any_offset),
          CASE(every_day_goes_to_text_and_back), CASE(randomness_differs_but_repeats_with_a_seed))
