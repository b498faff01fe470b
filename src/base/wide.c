// Asks the processor once.

#include "base/wide.h"

bool wide_is_there;

#ifdef __x86_64__
__attribute__((constructor)) static void wide_ask(void) {
    __builtin_cpu_init();
    wide_is_there = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vbmi") &&
                    __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
#endif
