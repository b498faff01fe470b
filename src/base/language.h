// The few words we add to C. Everything else is plain gnu17.
//
//   must_use      the caller has to look at the result
//   AUTO(close)   runs close(&variable) at the end of the scope
//   UNFILLED      a large local that is written before it is read, in a hot path: the build fills
//                 locals with zeros (-ftrivial-auto-var-init), which would cost more than the work
//   TAKE(p)       yields an owned pointer and leaves NULL behind
//   TRY(call)     returns false when the call did (error.h fills the caller's Error)
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define must_use                        __attribute__((warn_unused_result))
#define AUTO(close)                     __attribute__((cleanup(close)))
#define UNFILLED                        __attribute__((uninitialized))
#define printf_like(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define thread_local_                   _Thread_local

#define TRY(call)                  \
    do {                           \
        if (!(call)) return false; \
    } while (0)

#define TAKE(p)                     \
    __extension__({                 \
        __typeof__(p) taken_ = (p); \
        (p) = NULL;                 \
        taken_;                     \
    })

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MIN(a, b)                          \
    __extension__({                        \
        __typeof__(a) min_a_ = (a);        \
        __typeof__(b) min_b_ = (b);        \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#define MAX(a, b)                          \
    __extension__({                        \
        __typeof__(a) max_a_ = (a);        \
        __typeof__(b) max_b_ = (b);        \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum { KB = 1024, MB = 1024 * 1024 };
#define GB ((int64_t)1024 * 1024 * 1024)
