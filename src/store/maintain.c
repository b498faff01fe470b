// Keeping house: full heads become blocks, small blocks merge, old ones go, and the log is trimmed
// behind them.

#include "base/log.h"
#include "store/parts.h"

enum { ROUND_MS = 1000, HOUR_MS = 3600 * 1000 };

// Every byte at rest is verified once a week (W21), whatever there is of it, but at no more than a
// few per cent of a disk.
static const int64_t SCRUB_ROUNDS_PER_WEEK = 7 * 86400;
static const int64_t SCRUB_BYTES_MIN = 256 * KB, SCRUB_BYTES_MAX = 16 * MB;

static const int64_t DAY_MS = 24 * HOUR_MS;
#define TRUSTED_TIME_NAME TEXT("time")

// Everything below is in blocks of every tenant, or was never acknowledged (W16: one low-water
// mark).
static bool trim_log(Store *store, Error *err) {
    // The order matters: a record below `next` was written by someone who holds a generation still
    // until its samples are in the head; series_needed_sequence waits for those.
    LogState state;
    log_state(store->log, &state);
    uint64_t needed = state.durable_sequence;
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++)
        needed = MIN(needed, series_needed_sequence(tenants[i]->series));
    return needed <= state.first_sequence || log_trim(store->log, needed, err);
}

// Whether the heads of all tenants together are about to use up their budget; then new series are
// refused to everyone.
bool store_is_pressed(Store *store) {
    int64_t limit = atomic_load(&store->ingest_memory.limit);
    return limit > 0 && atomic_load(&store->ingest_memory.used) > limit / 4 * 3;
}

// Of many small heads those go to blocks that hold their part of a quarter of the budget or more;
// when all hold less, the memory is elsewhere (queries pin what is sealed already) and small blocks
// would not help.
static bool is_large(Store *store, SeriesStore *series, size_t tenants) {
    SeriesState state;
    series_state(series, &state);
    return state.head_bytes >= atomic_load(&store->ingest_memory.limit) / 4 / (int64_t)tenants;
}

static bool seal_tenant(Store *store, Tenant *tenant, bool turn, Error *err) {
    TRY(store_still_ours(store, err));
    // What was turned before goes first: while it fails no more heads pile up behind it.
    bool sealed = series_seal(tenant->series, err) &&
                  (!turn || (series_turn(tenant->series, err) && series_seal(tenant->series, err)));
    return sealed || error_context(err, "sealing tenant %.*s", TEXT_ARG(tenant->name));
}

// One tenant that fails does not keep the others from it; the first reason is told.
static bool seal_heads(Store *store, bool all, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    LogState state;
    log_state(store->log, &state);
    all |= store->seal_soon;
    // A log that is too long is held by those that need its older half; the others would only get
    // small blocks.
    bool long_log = state.bytes > store->options.log_bytes_max, pressed = store_is_pressed(store);
    uint64_t middle = state.first_sequence + (state.next_sequence - state.first_sequence) / 2;
    bool turned = false, fine = true;
    for (size_t i = 0; i < count; i++) {
        SeriesStore *series = tenants[i]->series;
        bool turn = all || series_wants_turn(series) ||
                    (long_log && series_needed_sequence(series) <= middle) ||
                    (pressed && is_large(store, series, count));
        Error again;
        turned |= turn;
        fine &= seal_tenant(store, tenants[i], turn, fine ? err : &again);
    }
    if (all && fine) store->seal_soon = false;
    if (pressed && !store_is_pressed(store)) memory_give_back();
    if (!turned && !long_log) return fine;
    if (turned && fine)
        atomic_store(&store->last_seal_ms, store->options.clock->wall_ms(store->options.clock));
    Error again;
    return trim_log(store, fine ? err : &again) && fine;
}

bool store_relieve_memory(Store *store, Error *err) {
    if (!store_is_pressed(store)) return true;
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (is_large(store, tenants[i]->series, count))
            TRY(seal_tenant(store, tenants[i], true, err));
    }
    if (!store_is_pressed(store)) memory_give_back();
    return true;
}

bool store_made_room(Store *store, const Error *err) {
    return err->code == ERROR_DISK_FULL && log_make_room(store->log);
}

bool store_seal_heads(Store *store, bool all, Error *err) {
    mutex_take(&store->house_lock);
    bool done = seal_heads(store, all, err);
    if (!done && store_made_room(store, err)) done = seal_heads(store, all, err);
    mutex_give(&store->house_lock);
    return done;
}

bool store_flush(Store *store, Error *err) {
    return store_seal_heads(store, true, err);
}

static bool settle(Store *store, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Clock *clock = store->options.clock;
    int64_t by_ns = clock->monotonic_ns(clock) + store->options.stop_seal_ms * 1000000;
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++) series_seal_by(tenants[i]->series, by_ns);
    TRY(seal_heads(store, true, err));
    TRY(log_finish(store->log, err));
    return trim_log(store, err);
}

bool store_settle(Store *store, Error *err) {
    store_stop_housekeeper(store);
    if (!atomic_load(&store->ready)) return true;
    LogState state;
    log_state(store->log, &state);
    if (state.read_bytes < store->options.stop_log_bytes || !state.writable) return true;
    mutex_take(&store->house_lock);
    bool done = settle(store, err);
    mutex_give(&store->house_lock);
    return done;
}

// The time that retention goes by. A wall clock that jumps ahead must not delete everything: what
// is more than a day ahead of the time seen last, in this life or an earlier one, is believed only
// when this process has run for a day since.
static bool trusted_now(Store *store, int64_t *out, Error *err) {
    TrustedTime *time = &store->time;
    Clock *clock = store->options.clock;
    int64_t wall_ms = clock->wall_ms(clock), now_ns = clock->monotonic_ns(clock);
    if (time->wall_ms == 0) {
        AUTO(arena_free) Arena arena = {0};
        Bytes kept;
        TRY(catalog_value_get(store->catalog, TRUSTED_TIME_NAME, &arena, &kept, err));
        bool known = kept.at != NULL && text_to_i64(bytes_text(kept), &time->kept_ms);
        *time = (TrustedTime){.wall_ms = known ? time->kept_ms : wall_ms,
                              .monotonic_ns = now_ns,
                              .kept_ms = known ? time->kept_ms : 0};
    }
    int64_t expected_ms = time->wall_ms + (now_ns - time->monotonic_ns) / 1000000;
    *out = expected_ms;
    bool ahead = wall_ms > expected_ms && wall_ms - expected_ms > DAY_MS;
    if (ahead && time->doubt_ns == 0) {
        time->doubt_ns = MAX(now_ns, 1);
        log_error(
            "the clock is more than a day ahead of the time seen last; nothing is deleted for its "
            "age until the clock is set "
            "right or a day has passed",
            LOG_I64("seen_ms", expected_ms), LOG_I64("clock_ms", wall_ms));
    }
    if (ahead && now_ns - time->doubt_ns < DAY_MS * 1000000) return true;
    *time = (TrustedTime){.wall_ms = wall_ms, .monotonic_ns = now_ns, .kept_ms = time->kept_ms};
    *out = wall_ms;
    if (wall_ms >= time->kept_ms && wall_ms - time->kept_ms < HOUR_MS) return true;
    time->kept_ms = wall_ms;
    AUTO(builder_free) Builder kept = {0};
    builder_addf(&kept, "%lld", (long long)wall_ms);
    return catalog_value_set(store->catalog, TRUSTED_TIME_NAME, text_bytes(builder_text(&kept)),
                             err);
}

static bool tidy_tenant(Store *store, Tenant *tenant, int64_t now_ms, Error *err) {
    bool more;
    if (!series_retain(tenant->series, now_ms, &more, err)) {
        return error_context(err, "letting go what tenant %.*s keeps no longer",
                             TEXT_ARG(tenant->name));
    }
    if (!series_merge(tenant->series, &more, err))
        return error_context(err, "merging blocks of tenant %.*s", TEXT_ARG(tenant->name));
    return series_make_tiers(tenant->series, now_ms, &more, err) ||
           error_context(err, "making tiers of tenant %.*s", TEXT_ARG(tenant->name));
}

// One tenant that fails does not keep the others from it; the first reason is told.
static bool tidy_blocks(Store *store, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    int64_t now_ms;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    TRY(trusted_now(store, &now_ms, err));
    bool fine = true;
    Error again;
    for (size_t i = 0; i < count; i++)
        fine &= tidy_tenant(store, tenants[i], now_ms, fine ? err : &again);
    if (count == 0) return fine;
    // One tenant a round, so that a thousand of them do not read a thousand times as much.
    Tenant *next = tenants[store->scrub_next++ % count];
    SeriesState state;
    series_state(next->series, &state);
    int64_t share = (state.block_bytes + state.tier_bytes) / SCRUB_ROUNDS_PER_WEEK * (int64_t)count;
    share = MIN(MAX(share, SCRUB_BYTES_MIN), SCRUB_BYTES_MAX);
    if (!series_scrub(next->series, share, fine ? err : &again)) {
        if (fine) error_context(err, "verifying blocks of tenant %.*s", TEXT_ARG(next->name));
        fine = false;
    }
    return fine;
}

static bool maintain(Store *store, Error *err) {
    TRY(store_still_ours(store, err));
    bool sealed = seal_heads(store, false, err);
    // Also when sealing failed: on a full disk it is retention that makes room.
    Error again;
    return tidy_blocks(store, sealed ? err : &again) && sealed;
}

bool store_maintain(Store *store, Error *err) {
    mutex_take(&store->house_lock);
    bool done = maintain(store, err);
    if (!done && store_made_room(store, err)) done = maintain(store, err);
    mutex_give(&store->house_lock);
    return done;
}

// Whoever sends is told with every answer; the operator, once.
static void tell_writable(Store *store, bool *was_writable) {
    LogState state;
    log_state(store->log, &state);
    if (state.writable == *was_writable) return;
    *was_writable = state.writable;
    if (state.writable) {
        log_info("writes are taken again");
    } else {
        log_error("writes are refused, reads go on", LOG_ERR(&state.reason));
    }
}

static bool post_heads(Store *store, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    size_t count;
    TRY(store_tenants(store, &arena, &tenants, &count, err));
    for (size_t i = 0; i < count; i++) series_post(tenants[i]->series);
    return true;
}

// The housekeeper: a round a second. What failed is tried again in the next round; the reason is
// logged when it changes.
static void keep_house(void *context) {
    Store *store = context;
    ErrorCode told = ERROR_NONE;
    bool was_writable = true;
    Error ignored;
    (void)post_heads(store, &ignored);  // who reads them does it otherwise
    mutex_take(&store->wake_lock);
    while (!store->stopping) {
        mutex_give(&store->wake_lock);
        Error err = {0};
        if (store_maintain(store, &err)) {
            if (told != ERROR_NONE) log_info("housekeeping works again");
            told = ERROR_NONE;
        } else {
            atomic_fetch_add(&store->maintenance_failures, 1);
            if (told != err.code)
                log_error("housekeeping failed and will be tried again", LOG_ERR(&err));
            told = err.code;
        }
        tell_writable(store, &was_writable);
        mutex_take(&store->wake_lock);
        if (!store->stopping) condition_wait_ms(&store->wake, &store->wake_lock, ROUND_MS);
    }
    mutex_give(&store->wake_lock);
}

bool store_run(Store *store, Error *err) {
    TRY(log_run(store->log, err));
    return thread_start("house", keep_house, store, &store->housekeeper, err);
}
