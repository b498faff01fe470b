// Tests: a thin face over cmocka. A file is one program:
//
//   TEST(a_chunk_gives_back_what_it_took) {
//       Chunk *chunk = chunk_begin(t->arena);
//       check_ok(t, chunk_append(chunk, sample, t->err));
//       check(t, chunk_count(chunk) == 1);
//   }
//   TEST_MAIN("store/chunk", CASE(a_chunk_gives_back_what_it_took))
//
// The name is a sentence that the test proves. Each test has a fresh arena, an Error and a seed
// (TRACEO_SEED or 1) printed when it fails. `program name` as argument runs the tests whose name
// contains it.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

typedef struct Test {
    const char *name;
    Arena *arena;
    Error *err;
    uint64_t seed;
} Test;

typedef struct TestCase {
    const char *name;
    void (*run)(Test *t);
} TestCase;

// Defined under a sanitizer, which takes memory of its own. gcc says it by macros, clang by
// features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define TEST(name) static void test_##name(Test *t)
#define CASE(name) \
    { #name, test_##name }
#define TEST_MAIN(group, ...)                                      \
    int main(int argc, char **argv) {                              \
        static const TestCase cases[] = {__VA_ARGS__};             \
        return test_run((group), cases, COUNT(cases), argc, argv); \
    }

int test_run(const char *group, const TestCase *cases, size_t count, int argc, char **argv);

// The rest of the test is skipped, and the reason printed.
_Noreturn void test_skip(Test *t, const char *reason);

// The folder of other people's conformance cases (TRACEO_TEST_DATA, else ../shared/data), or a
// skip.
Text test_data_folder(Test *t, const char *sub);

// A small fast generator for random tests (xorshift64*).
uint64_t test_random(uint64_t *state);

void check_failed(Test *t, const char *file, int line, const char *format, ...) printf_like(4, 5);

#define check(t, condition)                                                                      \
    do {                                                                                         \
        if (!(condition)) check_failed((t), __FILE__, __LINE__, "%s does not hold", #condition); \
    } while (0)
#define check_ok(t, call)                                                                     \
    do {                                                                                      \
        if (!(call))                                                                          \
            check_failed((t), __FILE__, __LINE__, "%s: %s (%s:%d)", #call, (t)->err->message, \
                         (t)->err->file, (t)->err->line);                                     \
    } while (0)
// The call fails with this code.
#define check_error(t, call, expected)                                                             \
    do {                                                                                           \
        *(t)->err = (Error){0};                                                                    \
        if (call)                                                                                  \
            check_failed((t), __FILE__, __LINE__, "%s succeeded, it should be " #expected, #call); \
        if ((t)->err->code != (expected))                                                          \
            check_failed((t), __FILE__, __LINE__, "%s: %s (%s), it should be " #expected, #call,   \
                         error_code_name((t)->err->code), (t)->err->message);                      \
    } while (0)
#define check_text(t, stated, actual)                                                      \
    do {                                                                                   \
        Text stated_ = (stated), actual_ = (actual);                                       \
        if (!text_equal(stated_, actual_))                                                 \
            check_failed((t), __FILE__, __LINE__, "%s is \"%.*s\", not \"%.*s\"", #actual, \
                         TEXT_ARG(actual_), TEXT_ARG(stated_));                            \
    } while (0)
#define check_i64(t, stated, actual)                                                        \
    do {                                                                                    \
        long long stated_ = (long long)(stated), actual_ = (long long)(actual);             \
        if (stated_ != actual_)                                                             \
            check_failed((t), __FILE__, __LINE__, "%s is %lld, not %lld", #actual, actual_, \
                         stated_);                                                          \
    } while (0)
#define check_same_bytes(t, a, b, len)                                         \
    do {                                                                       \
        if (memcmp((a), (b), (len)) != 0)                                      \
            check_failed((t), __FILE__, __LINE__, "%s and %s differ", #a, #b); \
    } while (0)
