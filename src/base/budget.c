// Budgets: counters with a ceiling.

#include "base/budget.h"

#include "base/assert.h"

bool budget_reserve(Budget *budget, int64_t bytes, Error *err) {
    assert(bytes >= 0);
    for (Budget *at = budget; at != NULL; at = at->parent) {
        int64_t used = atomic_fetch_add(&at->used, bytes) + bytes;
        int64_t limit = atomic_load(&at->limit);
        if (limit == 0 || used <= limit) continue;
        for (Budget *back = budget;; back = back->parent) {
            atomic_fetch_sub(&back->used, bytes);
            if (back == at) break;
        }
        return error_set(
            err, ERROR_NO_MEMORY,
            "the memory budget \"%s\" of %lld bytes is used up (%lld more were asked for); "
            "raise %s or ask for less",
            at->name, (long long)limit, (long long)bytes,
            at->setting == NULL ? "memory.limit" : at->setting);
    }
    return true;
}

void budget_release(Budget *budget, int64_t bytes) {
    for (Budget *at = budget; at != NULL; at = at->parent) {
        int64_t before = atomic_fetch_sub(&at->used, bytes);
        assert(before >= bytes);
    }
}
