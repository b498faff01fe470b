// Randomness from the kernel; tests may replace it by a seed.
#pragma once

#include "base/error.h"
#include "base/hash.h"

// Fills `into` from getrandom(2).
must_use bool random_bytes(void *into, size_t len, Error *err);
must_use bool random_hash_key(HashKey *out, Error *err);

// Tests: from now on random_bytes is a generator from `seed`; 0 goes back to the kernel.
void random_use_seed(uint64_t seed);
// Tests: the n-th call from now fails; 0 switches it off.
void random_fail_after(uint64_t nth);
