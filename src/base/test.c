// Running test cases under cmocka, with TAP-like output that `tools/test_report` counts.

#include "base/test.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"

static uint64_t seed_of_run(void) {
    uint64_t seed = 1;
    const char *given = getenv("TRACEO_SEED");
    if (given != NULL && !text_to_u64(text_from_cstring(given), &seed)) {
        fprintf(stderr, "TRACEO_SEED is not a number: %s\n", given);
        exit(2);
    }
    return seed;
}

// The test that runs, so that it can be left and named as skipped. cmocka 1.1.5 calls a skipped
// test "not ok", which Meson counts as a failure; TAP wants `ok … # SKIP reason`, so that goes into
// the name it prints.
typedef struct Running {
    const TestCase *test_case;
    struct CMUnitTest *row;
    char name[400];
} Running;

static Running *running;
static jmp_buf left;

static void run_case(void **state) {
    running = *state;
    Arena arena = {0};
    Error err = {0};
    Test t = {running->test_case->name, &arena, &err, seed_of_run()};
    if (setjmp(left) == 0) running->test_case->run(&t);
    arena_free(&arena);
}

void check_failed(Test *t, const char *file, int line, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s: %s\n  again: TRACEO_SEED=%llu %s %s\n", file, line, t->name, text,
            (unsigned long long)t->seed, program_invocation_name, t->name);
    _fail(file, line);
}

_Noreturn void test_skip(Test *t, const char *reason) {
    printf("# skipped: %s: %s\n", t->name, reason);
    snprintf(running->name, sizeof running->name, "%s # SKIP %s", t->name, reason);
    running->row->name = running->name;
    longjmp(left, 1);
}

Text test_data_folder(Test *t, const char *sub) {
    const char *root = getenv("TRACEO_TEST_DATA");
    if (root == NULL) root = "../shared/data";
    Text folder = text_format(t->arena, "%s/%s", root, sub);
    if (access(folder.at, R_OK) != 0)
        test_skip(t, text_format(t->arena, "%s is not there", folder.at).at);
    return folder;
}

uint64_t test_random(uint64_t *state) {
    uint64_t x = *state == 0 ? 0x9e3779b97f4a7c15u : *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1du;
}

int test_run(const char *group, const TestCase *cases, size_t count, int argc, char **argv) {
    struct CMUnitTest *tests = memory_new_array(struct CMUnitTest, count);
    Running *rows = memory_new_array(Running, count);
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        bool wanted = argc < 2 ||
                      text_find(text_from_cstring(cases[i].name), text_from_cstring(argv[1])) >= 0;
        if (wanted) {
            Running *row = &rows[chosen];
            *row = (Running){.test_case = &cases[i], .row = &tests[chosen]};
            tests[chosen++] = (struct CMUnitTest){
                .name = cases[i].name, .test_func = run_case, .initial_state = row};
        }
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = _cmocka_run_group_tests(group, tests, chosen, NULL, NULL);
    memory_free(tests);
    memory_free(rows);
    return failed == 0 ? 0 : 1;
}
