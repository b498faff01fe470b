// Opening, replaying and closing the store; its tenants.

#include "store/store.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/process.h"
#include "os/random.h"
#include "store/replay.h"

enum { INSTANCE_BYTES = 16, SEGMENTS_AT_START_MAX = 4 };

// ---- Opening ----

// Shares of memory.limit: ingest 40 %, queries 30 %, caches 20 %, blocks 10 %.
static void budgets_begin(Store *store) {
    int64_t limit = store->options.memory_limit;
    store->memory = (Budget){.name = "memory.limit", .limit = limit};
    store->ingest_memory =
        (Budget){.name = "ingest", .limit = limit / 10 * 4, .parent = &store->memory};
    store->query_memory =
        (Budget){.name = "queries", .limit = limit / 10 * 3, .parent = &store->memory};
    store->cache_memory =
        (Budget){.name = "caches", .limit = limit / 10 * 2, .parent = &store->memory};
    // What a head or blocks become while they are written again.
    store->building_memory =
        (Budget){.name = "blocks", .limit = limit / 10, .parent = &store->memory};
    // Of the fifth for caches; what is left is for answers.
    store->pages = page_cache_open(&store->cache_memory, limit / 100 * 9);
    store->rows = row_cache_open(&store->cache_memory, limit / 100 * 9);
}

static Text path_of(Store *store, const char *name) {
    return text_format(&store->arena, "%.*s/%s", TEXT_ARG(store->options.folder), name);
}

static bool lock_folder(Store *store, Error *err) {
    Text path = path_of(store, "lock");
    bool there;
    TRY(store->disk->exists(store->disk, path, &there, err));
    TRY(store->disk->open(store->disk, path, there ? FILE_WRITE : FILE_CREATE, &store->lock_file,
                          err));
    if (!store->disk->lock(store->disk, store->lock_file, err)) {
        if (err->code != ERROR_IN_USE) return false;
        return error_set(err, ERROR_IN_USE,
                         "another Traceo process uses the data directory %.*s; stop it, or give "
                         "this one another with --data",
                         TEXT_ARG(store->options.folder));
    }
    uint8_t random[INSTANCE_BYTES];
    TRY(random_bytes(random, sizeof random, err));
    AUTO(builder_free) Builder hex = {0};
    for (size_t i = 0; i < sizeof random; i++) builder_addf(&hex, "%02x", random[i]);
    store->instance = text_copy(builder_text(&hex), &store->arena);
    TRY(store->disk->resize(store->disk, store->lock_file, (int64_t)store->instance.len, err));
    return store->disk->write(store->disk, store->lock_file, 0, store->instance.at,
                              store->instance.len, err);
}

bool store_still_ours(Store *store, Error *err) {
    char found[INSTANCE_BYTES * 2];
    size_t got = 0;
    TRY(store->disk->read(store->disk, store->lock_file, 0, found, sizeof found, &got, err));
    if (text_equal((Text){found, got}, store->instance)) return true;
    return error_set(err, ERROR_IN_USE, "another process has taken over the data directory %.*s",
                     TEXT_ARG(store->options.folder));
}

static SeriesRetention retention_of_tenant(Store *store, Text name) {
    const StoreOptions *options = &store->options;
    SeriesKeep *rules =
        arena_push_array(&store->arena, SeriesKeep, options->retention_rule_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < options->retention_rule_count; i++) {
        const StoreKeep *rule = &options->retention_rules[i];
        if (rule->tenant.len == 0 || text_equal(rule->tenant, name)) rules[count++] = rule->keep;
    }
    return (SeriesRetention){options->retention_ms, rules, count};
}

// Opens the series of a tenant and adds it to the table. The caller holds tenants_lock.
static bool tenant_open(Store *store, TenantId id, Text name, Tenant **out, Error *err) {
    if (store->tenants.count >= (size_t)LIMIT_TENANTS) {
        return error_set(err, ERROR_TOO_MANY, "there are %lld tenants already, the limit TENANTS",
                         (long long)LIMIT_TENANTS);
    }
    TenantPart *part = arena_push(&store->arena, TenantPart);
    part->tenant.id = id;
    part->tenant.name = text_copy(name, &store->arena);
    SeriesOptions options = {
        .objects = store->objects,
        .disk = store->disk,
        .folder = text_format(&store->arena, "%.*s/tenants/%u", TEXT_ARG(store->options.folder),
                              id.number),
        .object_prefix = text_format(&store->arena, "%u/", id.number),
        .clock = store->options.clock,
        .hash_key = store->options.hash_key,
        .memory = &store->ingest_memory,
        .building = &store->building_memory,
        .pages = store->pages,
        .rows = store->rows,
        .retention = retention_of_tenant(store, name),
        .tiers = {store->options.tiers[0], store->options.tiers[1]},
        .block_series_max = store->options.block_series_max,
        .block_cold_bytes = store->options.block_cold_bytes,
        .head_span_ms = store->options.head_span_ms,
        .limits = store->options.series_limits,
        // Pages address 4 GB each (page.c); a head grows on while housekeeping is busy elsewhere.
        .head_bytes_max = MIN(store->ingest_memory.limit / 3, 2 * (int64_t)GB),
    };
    SeriesReport report = {0};
    if (!series_open(options, &store->arena, &report, &part->tenant.series, err)) {
        return error_context(err, "opening the series of tenant %.*s", TEXT_ARG(name));
    }
    part->sealed_sequence = report.sealed_sequence;
    for (size_t i = 0; i < report.note_count; i++) {
        log_warn("series opened with a note", LOG_TEXT("tenant", name),
                 LOG_TEXT("note", report.notes[i]));
    }
    *array_add(&store->tenants) = part;
    *out = &part->tenant;
    return true;
}

static bool tenants_open(Store *store, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    CatalogTenant *known;
    size_t count;
    TRY(catalog_tenants(store->catalog, &arena, &known, &count, err));
    for (size_t i = 0; i < count; i++) {
        Tenant *ignored;
        TRY(tenant_open(store, known[i].id, known[i].name, &ignored, err));
    }
    return true;
}

// A head may be in blocks before the log has synced its last records; a crash between the two takes
// them from the log. Their numbers must not come again: a later replay would take the new records
// for sealed ones and pass over them.
static void sequences_go_on(Store *store) {
    uint64_t sealed = 0;
    for (size_t i = 0; i < store->tenants.count; i++)
        sealed = MAX(sealed, store->tenants.at[i]->sealed_sequence);
    if (sealed <= store->recovery.next_sequence) return;
    log_warn("the log ends before what is in blocks; its numbers go on behind them",
             LOG_I64("log_next", store->recovery.next_sequence), LOG_I64("sealed", sealed));
    log_skip_to(store->log, sealed);
}

// What the log lost is told to every tenant: an answer over that time carries a warning (W6). What
// was never acknowledged, the torn end of a life that a power cut ended, is only noted.
static void gaps_tell(Store *store) {
    for (size_t i = 0; i < store->recovery.gap_count; i++) {
        const LogGap *gap = &store->recovery.gaps[i];
        Text note = text_format(
            &store->arena, "the log lost records %llu to %llu to damage in %.*s at byte %lld",
            (unsigned long long)gap->first_sequence, (unsigned long long)gap->last_sequence,
            TEXT_ARG(gap->file), (long long)gap->offset);
        if (!gap->proven) {
            log_info("the end of the log was torn; what stood there was never acknowledged",
                     LOG_TEXT("what", note));
            continue;
        }
        log_error("a part of the log could not be read and is kept apart", LOG_TEXT("what", note));
        for (size_t j = 0; j < store->tenants.count; j++) {
            bool sealed = gap->last_sequence < store->tenants.at[j]->sealed_sequence;
            if (!sealed)
                series_note_gap(store->tenants.at[j]->tenant.series, gap->first_ms, gap->last_ms,
                                note);
        }
    }
}

bool store_open(StoreOptions options, Store **out, Error *err) {
    AUTO(store_close) Store *store = memory_new(Store);
    mutex_begin(&store->tenants_lock, LOCK_TENANT_TABLE);
    mutex_begin(&store->house_lock, LOCK_STORE_HOUSE);
    mutex_begin(&store->wake_lock, LOCK_WORKER_QUEUE);
    condition_begin(&store->wake);
    if (options.memory_limit == 0) options.memory_limit = machine_memory_total() / 4 * 3;
    if (options.log_bytes_max == 0) options.log_bytes_max = 2 * GB;
    if (options.stop_log_bytes == 0) options.stop_log_bytes = LIMIT_STOP_LOG_BYTES;
    if (options.stop_seal_ms == 0) options.stop_seal_ms = LIMIT_STOP_SEAL_MS;
    store->options = options;
    store->options.folder = text_copy(options.folder, &store->arena);
    store->disk = options.disk;
    budgets_begin(store);

    TRY(disk_make_folders(store->disk, store->options.folder, err));
    TRY(lock_folder(store, err));
    bool elsewhere = options.catalog_path.len > 0;
    TRY(catalog_open(elsewhere ? options.catalog_path : path_of(store, "catalog.db"),
                     &store->catalog, err));
    TRY(objects_open_directory(store->disk, path_of(store, "objects"), &store->objects, err));
    TRY(disk_make_folders(store->disk, path_of(store, "tenants"), err));
    LogOptions log_options = {
        .disk = store->disk,
        .clock = options.clock,
        .folder = path_of(store, "log"),
        .durability = options.durability,
        .segment_bytes = options.log_segment_bytes,
        .recover_later = true,
    };
    if (!log_open(log_options, &store->arena, &store->recovery, &store->log, err))
        return error_context(err, "opening the log");
    TRY(tenants_open(store, err));

    *out = TAKE(store);
    return true;
}

// ---- Replay ----

bool store_replay(Store *store, StoreReplay replay, void *context, Error *err) {
    return store_replay_on(store, replay, &context, 1, err);
}

bool store_replay_on(Store *store, StoreReplay replay, void *const *contexts, size_t count,
                     Error *err) {
    uint64_t from = UINT64_MAX;
    for (size_t i = 0; i < store->tenants.count; i++)
        from = MIN(from, store->tenants.at[i]->sealed_sequence);
    if (from == UINT64_MAX) from = 0;
    if (!replay_run(store, from, replay, contexts, count, err))
        return error_context(err, "replaying the log");
    sequences_go_on(store);
    gaps_tell(store);
    // Every start begins a segment, and the next start reads them all, however little they hold:
    // after a few short lives the heads go to blocks at once, and the segments with them.
    LogState state;
    log_state(store->log, &state);
    store->seal_soon = state.segments > SEGMENTS_AT_START_MAX;
    atomic_store(&store->ready, true);
    return true;
}

// ---- Closing ----

void store_stop_housekeeper(Store *store) {
    if (store->housekeeper == NULL) return;
    mutex_take(&store->wake_lock);
    store->stopping = true;
    condition_wake_all(&store->wake);
    mutex_give(&store->wake_lock);
    thread_join(&store->housekeeper);
}

void store_close(Store **handle) {
    if (*handle == NULL) return;
    Store *store = TAKE(*handle);
    store_stop_housekeeper(store);
    log_close(&store->log);
    for (size_t i = 0; i < store->tenants.count; i++)
        series_close(&store->tenants.at[i]->tenant.series);
    array_free(&store->tenants);
    page_cache_close(&store->pages);
    row_cache_close(&store->rows);
    objects_close(&store->objects);
    catalog_close(&store->catalog);
    if (store->lock_file != NULL) store->disk->close(store->disk, &store->lock_file);
    condition_end(&store->wake);
    mutex_end(&store->wake_lock);
    mutex_end(&store->house_lock);
    mutex_end(&store->tenants_lock);
    arena_free(&store->arena);
    memory_free(store);
}

// ---- Tenants ----

// The caller holds tenants_lock.
static Tenant *find_by_name(Store *store, Text name) {
    for (size_t i = 0; i < store->tenants.count; i++) {
        if (text_equal(store->tenants.at[i]->tenant.name, name))
            return &store->tenants.at[i]->tenant;
    }
    return NULL;
}

static bool tenant_find_or_make(Store *store, Text name, bool create, Tenant **out, Error *err) {
    *out = find_by_name(store, name);
    if (*out != NULL || !create) return true;
    TenantId id;
    TRY(catalog_tenant(store->catalog, name, true, &id, err));
    return tenant_open(store, id, name, out, err);
}

bool store_tenant(Store *store, Text name, bool create, Tenant **out, Error *err) {
    TRY(tenant_name_check(name, err));
    mutex_take(&store->tenants_lock);
    bool done = tenant_find_or_make(store, name, create, out, err);
    mutex_give(&store->tenants_lock);
    return done;
}

Tenant *store_tenant_by_id(Store *store, TenantId id) {
    Tenant *found = NULL;
    mutex_take(&store->tenants_lock);
    for (size_t i = 0; i < store->tenants.count && found == NULL; i++) {
        if (store->tenants.at[i]->tenant.id.number == id.number)
            found = &store->tenants.at[i]->tenant;
    }
    mutex_give(&store->tenants_lock);
    return found;
}

bool store_tenants(Store *store, Arena *arena, Tenant ***out, size_t *count, Error *err) {
    mutex_take(&store->tenants_lock);
    *count = store->tenants.count;
    *out = arena_push_array(arena, Tenant *, *count + 1);
    for (size_t i = 0; i < *count; i++) (*out)[i] = &store->tenants.at[i]->tenant;
    mutex_give(&store->tenants_lock);
    return true;
}

void store_set_series_limits(Store *store, SeriesLimits limits) {
    mutex_take(&store->tenants_lock);
    store->options.series_limits = limits;
    for (size_t i = 0; i < store->tenants.count; i++)
        series_set_limits(store->tenants.at[i]->tenant.series, limits);
    mutex_give(&store->tenants_lock);
}

// ---- State ----

Catalog *store_catalog(Store *store) {
    return store->catalog;
}

Budget *store_query_budget(Store *store) {
    return &store->query_memory;
}

Budget *store_cache_budget(Store *store) {
    return &store->cache_memory;
}

void store_state(Store *store, StoreState *out) {
    *out = (StoreState){0};
    log_state(store->log, &out->log);
    out->memory_limit = store->options.memory_limit;
    out->memory_heads = atomic_load(&store->ingest_memory.used);
    out->memory_queries = atomic_load(&store->query_memory.used);
    out->memory_blocks = atomic_load(&store->building_memory.used);
    out->pages_kept = page_cache_facts(store->pages);
    out->rows_kept = row_cache_facts(store->rows);
    out->ready = atomic_load(&store->ready);
    if (out->ready) out->recovery = store->recovery;  // nobody writes it any more
    out->replayed_records = atomic_load(&store->replayed_records);
    out->replay_part = out->ready ? 1.0 : log_recovered_part(store->log);
    out->maintenance_failures = atomic_load(&store->maintenance_failures);
    out->last_seal_ms = atomic_load(&store->last_seal_ms);
}
