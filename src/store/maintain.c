// Keeping house: full heads become blocks, small blocks merge, old ones go, and the log is trimmed behind them.

#include "base/log.h"
#include "store/parts.h"

enum { ROUND_MS = 1000, SCRUB_BYTES_PER_ROUND = 256 * KB };

// Everything below is in blocks of every tenant, or was never acknowledged (W16: one low-water mark).
static bool trim_log(Store *store, Error *err) {
    // The order matters: a record below `next` was written by someone who holds a generation still until its samples
    // are in the head; series_needed_sequence waits for those.
    LogState state;
    log_state(store->log, &state);
    uint64_t needed = state.durable_sequence;
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++) needed = MIN(needed, series_needed_sequence(tenants[i]->series));
    return needed <= state.first_sequence || log_trim(store->log, needed, err);
}

static bool seal_heads(Store *store, bool all, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    LogState state;
    log_state(store->log, &state);
    all |= store->seal_soon || state.bytes > store->options.log_bytes_max;
    bool sealed = false;
    for (size_t i = 0; i < count; i++) {
        SeriesStore *series = tenants[i]->series;
        if (all || series_wants_turn(series)) {
            TRY(series_turn(series, err));
            sealed = true;
        }
        TRY(store_still_ours(store, err));
        if (!series_seal(series, err)) return error_context(err, "sealing tenant %.*s", TEXT_ARG(tenants[i]->name));
    }
    if (all) store->seal_soon = false;
    if (!sealed) return true;
    atomic_store(&store->last_seal_ms, store->options.clock->wall_ms(store->options.clock));
    return trim_log(store, err);
}

bool store_seal_heads(Store *store, bool all, Error *err) {
    mutex_take(&store->house_lock);
    bool done = seal_heads(store, all, err);
    mutex_give(&store->house_lock);
    return done;
}

bool store_flush(Store *store, Error *err) {
    return store_seal_heads(store, true, err);
}

static bool merge_blocks(Store *store, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++) {
        bool more;
        if (!series_merge(tenants[i]->series, &more, err)) return error_context(err, "merging blocks of tenant %.*s", TEXT_ARG(tenants[i]->name));
        if (!series_scrub(tenants[i]->series, SCRUB_BYTES_PER_ROUND, err)) {
            return error_context(err, "verifying blocks of tenant %.*s", TEXT_ARG(tenants[i]->name));
        }
    }
    return true;
}

bool store_maintain(Store *store, Error *err) {
    TRY(store_seal_heads(store, false, err));
    mutex_take(&store->house_lock);
    bool done = merge_blocks(store, err);
    mutex_give(&store->house_lock);
    return done;
}

// The housekeeper: a round a second. What failed is tried again in the next round; the reason is logged when it changes.
static void keep_house(void *context) {
    Store *store = context;
    ErrorCode told = ERROR_NONE;
    mutex_take(&store->wake_lock);
    while (!store->stopping) {
        mutex_give(&store->wake_lock);
        Error err = {0};
        if (store_maintain(store, &err)) {
            if (told != ERROR_NONE) log_info("housekeeping works again");
            told = ERROR_NONE;
        } else {
            atomic_fetch_add(&store->maintenance_failures, 1);
            if (told != err.code) log_error("housekeeping failed and will be tried again", LOG_ERR(&err));
            told = err.code;
        }
        mutex_take(&store->wake_lock);
        if (!store->stopping) condition_wait_ms(&store->wake, &store->wake_lock, ROUND_MS);
    }
    mutex_give(&store->wake_lock);
}

bool store_run(Store *store, Error *err) {
    TRY(log_run(store->log, err));
    return thread_start("house", keep_house, store, &store->housekeeper, err);
}
