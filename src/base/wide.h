// Functions for processors with wide registers: AVX-512 as Ice Lake and Zen 4 have it.
//
// Such a function stands beside one that does the same anywhere, and is asked only when has_wide():
//
//   WIDE_TARGET static void sum_wide(…) { … }
//   void sum(…) { if (has_wide()) sum_wide(…); else sum_anywhere(…); }
//
// On other families of processors WIDE_TARGET is nothing and has_wide() is false. A test that both
// do the same sets wide_is_there to false meanwhile; nobody else writes it.
#pragma once

#include <stdbool.h>

#ifdef __x86_64__
#include <immintrin.h>

#define WIDE_TARGET                                                                           \
    __attribute__((                                                                           \
        target("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vbmi,avx512vbmi2,bmi,bmi2," \
               "lzcnt,popcnt")))
#else
#define WIDE_TARGET
#endif

extern bool wide_is_there;  // set before main()

static inline bool has_wide(void) {
    return wide_is_there;
}
