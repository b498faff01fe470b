// Randomness: getrandom(2), or a seeded generator in tests.

#include "os/random.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/random.h>

#include "os/call_fault.h"

static _Atomic uint64_t seed_state;  // 0: the kernel

void random_use_seed(uint64_t seed) {
    atomic_store(&seed_state, seed);
}

void random_fail_after(uint64_t nth) {
    (void)call_fail_after(OS_CALL_RANDOM, nth, false, EIO);
}

// SplitMix64 (Steele, Lea and Flood, 2014): a counter with a large odd step, scattered.
static uint64_t seeded_next(void) {
    const uint64_t step = 0x9e3779b97f4a7c15u;
    uint64_t state = atomic_fetch_add(&seed_state, step) + step;
    if (state == 0) state = atomic_fetch_add(&seed_state, step) + step;  // 0 would mean the kernel
    return hash_id(state);
}

bool random_bytes(void *into, size_t len, Error *err) {
    if (call_fault(OS_CALL_RANDOM))
        return error_set(err, ERROR_IO, "no random bytes: %s", strerrordesc_np(errno));
    uint8_t *at = into;
    if (atomic_load(&seed_state) != 0) {
        for (size_t done = 0; done < len; done += 8) {
            uint64_t word = seeded_next();
            memcpy(at + done, &word, MIN(len - done, sizeof word));
        }
        return true;
    }
    for (size_t done = 0; done < len;) {
        ssize_t count = getrandom(at + done, len - done, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0)
            return error_set(err, ERROR_IO, "no random bytes: %s", strerrordesc_np(errno));
        done += (size_t)count;
    }
    return true;
}

bool random_hash_key(HashKey *out, Error *err) {
    return random_bytes(out, sizeof *out, err);
}
