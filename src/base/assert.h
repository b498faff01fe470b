// Assertions state what only our own bug can break. They stay on in release: wrong is worse than
// stopped. Bytes from outside are never asserted about; they are checked with error_set().
#pragma once

#include "base/language.h"

#define assert(condition)                                                          \
    do {                                                                           \
        if (unlikely(!(condition))) assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)

// A branch that cannot be taken; `why` says so to the reader and to the log.
#define unreachable(why) assert_failed("unreachable: " why, __FILE__, __LINE__)

// Walks of whole structures, on in test builds only.
#ifdef TRACEO_SLOW_ASSERTS
#define assert_slow(condition) assert(condition)
#else
#define assert_slow(condition) ((void)sizeof(condition))
#endif

// Prints one line on stderr and aborts.
_Noreturn void assert_failed(const char *what, const char *file, int line);
