// W20: samples in memory carry a check from the moment they are packed, and it is looked at
// whenever they are read again.

#include "store/series/page_inside.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "os/clock.h"

enum { SAMPLES = 40 };  // two strips and a tail of eight

static double value_of(int i) {
    return i * 1.25 + (i % 7);
}

static Page *filled(Test *t, HeadMemory *memory) {
    Page *page = NULL;
    check_ok(t, page_open(memory, true, &page, t->err));
    page_begin_series(page, 0, NULL);
    for (int i = 0; i < SAMPLES; i++) {
        mutex_take(&page->lock);
        (void)page_add(page, page_series(page, 0), (Sample){1000 + i * 15000 + i % 3, value_of(i)});
        mutex_give(&page->lock);
    }
    return page;
}

// 0: everything reads as it was written; 1: something else was given for it.
static int read_back(Page *page) {
    SeriesColumns columns = {0};
    Error err;
    if (!page_samples(page, NULL, 0, INT64_MIN, INT64_MAX, &columns, &err)) return 0;
    bool same = columns.count == SAMPLES;
    for (size_t i = 0; i < columns.count && same; i++) {
        int64_t time_ms = 1000 + (int64_t)i * 15000 + (int64_t)(i % 3);
        same = columns.times[i] == time_ms && columns.values[i] == value_of((int)i);
    }
    series_columns_free(&columns);
    return same ? 0 : 1;
}

// Reads in a child, which may stop itself: its exit code, or -1 when it was stopped.
static int read_in_child(Page *page) {
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        _exit(read_back(page));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(w20_a_bit_that_changes_in_memory_never_becomes_a_wrong_answer) {
    HeadMemory memory = {0};
    Page *page = filled(t, &memory);
    check(t, read_in_child(page) == 0);
    int stopped = 0;
    for (uint32_t at = 0; at < page->piece_used; at++) {
        uint8_t bit = (uint8_t)(1u << (at * 5 % 8));
        page->pieces[0][at] ^= bit;
        int outcome = read_in_child(page);
        page->pieces[0][at] ^= bit;
        if (outcome == 1)
            check_failed(t, __FILE__, __LINE__, "byte %u: a wrong answer was given", at);
        stopped += outcome == -1;
    }
    printf("# %d of %u flips stopped the process, the others changed nothing\n", stopped,
           page->piece_used);
    check(t, stopped > 50);
    check(t, read_in_child(page) == 0);
    page_close(&page);
}

// Ascending, then again, then in random order with new times between: verdicts as a table has them.
// The time is bounded: 300,000 repeated samples took two minutes when each walked all strips.
TEST(repeating_many_old_samples_of_one_series_stays_cheap_and_right) {
    enum { MANY = 300000 };
    HeadMemory memory = {0};
    Page *page = NULL;
    check_ok(t, page_open(&memory, true, &page, t->err));
    page_begin_series(page, 0, NULL);
    bool *there = memory_new_array(bool, 2 * MANY);
    uint64_t random = t->seed;
    int64_t begun = cpu_thread_ns();
    mutex_take(&page->lock);
    PageSeries *series = page_series(page, 0);
    for (int64_t i = 0; i < MANY; i++) {
        check(t, page_add(page, series, (Sample){i * 2, (double)i}) == VERDICT_STORED);
        there[i * 2] = true;
    }
    for (int64_t i = 0; i < MANY; i++)
        check(t, page_add(page, series, (Sample){i * 2, (double)i}) == VERDICT_DUPLICATE);
    for (int64_t i = 0; i < MANY / 10; i++) {
        int64_t time_ms = (int64_t)(test_random(&random) % (2 * MANY - 2));
        bool first = time_ms % 2 == 0;
        Verdict expected = first            ? VERDICT_CONFLICT
                           : there[time_ms] ? VERDICT_DUPLICATE
                                            : VERDICT_STORED;
        check(t, page_add(page, series, (Sample){time_ms, -1}) == expected);
        there[time_ms] = true;
    }
    mutex_give(&page->lock);
    double took_s = (double)(cpu_thread_ns() - begun) / 1e9;
    printf("# %d samples twice and %d in disorder: %.2f s\n", MANY, MANY / 10, took_s);
    check(t, took_s < 20);
    page_close(&page);
    memory_free(there);
}

// Each lookup went through a strip of every packing, of 256 samples each: 5.2 s.
TEST(samples_of_one_series_in_any_order_stay_cheap_and_right) {
    enum { MANY = 80000 };
    HeadMemory memory = {0};
    Page *page = NULL;
    check_ok(t, page_open(&memory, true, &page, t->err));
    page_begin_series(page, 0, NULL);
    int64_t *times = memory_new_array(int64_t, MANY);
    uint64_t random = t->seed;
    for (int64_t i = 0; i < MANY; i++) {
        int64_t other = (int64_t)(test_random(&random) % (uint64_t)(i + 1));
        times[i] = times[other];
        times[other] = i * 1000;
    }
    int64_t begun = cpu_thread_ns();
    mutex_take(&page->lock);
    PageSeries *series = page_series(page, 0);
    for (int64_t i = 0; i < MANY; i++)
        check(t, page_add(page, series, (Sample){times[i], (double)times[i]}) == VERDICT_STORED);
    mutex_give(&page->lock);
    double took_s = (double)(cpu_thread_ns() - begun) / 1e9;
    printf("# %d samples in any order: %.2f s\n", MANY, took_s);
    check(t, took_s < 20);
    SeriesColumns columns = {0};
    check_ok(t, page_samples(page, NULL, 0, INT64_MIN, INT64_MAX, &columns, t->err));
    check_i64(t, MANY, columns.count);
    for (size_t i = 0; i < columns.count; i++) {
        check_i64(t, i * 1000, columns.times[i]);
        check(t, columns.values[i] == (double)columns.times[i]);
    }
    series_columns_free(&columns);
    page_close(&page);
    memory_free(times);
}

TEST_MAIN("store/page", CASE(w20_a_bit_that_changes_in_memory_never_becomes_a_wrong_answer),
          CASE(repeating_many_old_samples_of_one_series_stays_cheap_and_right),
          CASE(samples_of_one_series_in_any_order_stay_cheap_and_right))
