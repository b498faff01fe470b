// The store: everything kept, behind one door. It owns the log, the catalogue and the series engine
// of every tenant, replays the log at start and keeps house in the background (seal, merge,
// retention, trim, scrub).
//
//   data directory:  lock  catalog.db  log/  tenants/<id>/{MANIFEST, quarantine/}  objects/<id>/…
//
// The order of a write is the promise of the product: the batch joins the log, then the head; the
// caller answers only when store_when_durable says so. Any thread writes and reads.
#pragma once

#include "store/catalog/catalog.h"
#include "store/log/log.h"
#include "store/series/series.h"

typedef struct Store Store;

// One tenant's part. Lives as long as the store.
typedef struct Tenant {
    TenantId id;
    Text name;
    SeriesStore *series;
} Tenant;

// A rule of retention of one tenant, or of all (an empty name). Those of a tenant are looked at in
// their order, before `retention_ms`.
typedef struct StoreKeep {
    Text tenant;
    SeriesKeep keep;
} StoreKeep;

typedef struct StoreOptions {
    Disk *disk;
    Clock *clock;
    Text folder;
    Text catalog_path;  // empty: catalog.db in the folder; tests over a disk in memory put it
                        // elsewhere
    HashKey hash_key;
    LogDurability durability;
    int64_t memory_limit;              // bytes; 0: three quarters of the machine's
    int64_t retention_ms;              // 0: for ever
    const StoreKeep *retention_rules;  // outlive the store
    size_t retention_rule_count;
    SeriesTierKeep tiers[SERIES_TIERS];          // of each tenant
    int64_t block_series_max, block_cold_bytes;  // as in series.h
    int64_t head_span_ms;                        // 0: default of series.h
    SeriesLimits series_limits;                  // of each tenant
    int64_t log_bytes_max;      // heads are turned and sealed when the log holds more; 0: 2 GiB
    int64_t log_segment_bytes;  // 0: default of log.h
    int64_t stop_log_bytes;     // store_settle does something from here on; 0: LIMIT_STOP_LOG_BYTES
    int64_t stop_seal_ms;       // and gives up after so long; 0: LIMIT_STOP_SEAL_MS
} StoreOptions;

// Other limits of new series, for every tenant, from now on. Any thread.
void store_set_series_limits(Store *store, SeriesLimits limits);

// Applies one record of the log to the head again: the ordinary ingest path, given by `app`.
typedef bool (*StoreReplay)(void *context, Store *store, const LogRecord *record, Error *err);

// ERROR_IN_USE when another process holds the folder (W19). Nothing is replayed yet.
must_use bool store_open(StoreOptions options, Store **out, Error *err);
// Reads and verifies the log, replays it into the heads, sealing where memory wants it, and cuts
// its torn end; then writes are welcome. IO, CORRUPT or NEWER_FORMAT name the file.
must_use bool store_replay(Store *store, StoreReplay replay, void *context, Error *err);
// The same on `count` threads beside the caller's, when there is more than one context: each thread
// hands its own to `replay`. What is stored is the same as by store_replay.
enum { STORE_REPLAY_WORKERS_MAX = 32 };
must_use bool store_replay_on(Store *store, StoreReplay replay, void *const *contexts, size_t count,
                              Error *err);
// Starts the threads: group commit, maintenance.
must_use bool store_run(Store *store, Error *err);
// Before an orderly end, when nobody writes any more: stops the housekeeper, and where the next
// start would have much of the log to read writes all heads to blocks and leaves a log of nothing
// but its end. Gives up after LIMIT_STOP_SEAL_MS (TIMEOUT) or with another reason; then the next
// start replays. Only store_close may follow.
must_use bool store_settle(Store *store, Error *err);
// Stops the threads, commits what waits, closes all. NULL is fine.
void store_close(Store **store);

// The tenant of this name; made when `create`; *out NULL when it is not there.
must_use bool store_tenant(Store *store, Text name, bool create, Tenant **out, Error *err);
Tenant *store_tenant_by_id(Store *store, TenantId id);  // NULL when there is none
must_use bool store_tenants(Store *store, Arena *arena, Tenant ***out, size_t *count, Error *err);

Catalog *store_catalog(Store *store);
Budget *store_query_budget(Store *store);
Budget *store_cache_budget(Store *store);

// Whether the log would take a body of about so many bytes now, with store_write's reason if not:
// before it is unpacked.
must_use bool store_may_write(Store *store, size_t bytes, Error *err);
// Logs the body and makes the batch visible. `batch` tells the fate of every row; rows that admit
// refused before stay refused, also at replay. *sequence is what to wait for. DISK_FULL, IO, BUSY,
// NO_MEMORY: nothing was stored.
must_use bool store_write(Store *store, Tenant *tenant, LogRecordType type, Bytes body,
                          SeriesPrediction *prediction, Batch *batch, uint64_t *sequence,
                          Error *err);
// The part of a replay that store_write is for a live batch: rows named in record->refused are
// refused again.
must_use bool store_write_again(Store *store, Tenant *tenant, const LogRecord *record,
                                SeriesPrediction *prediction, Batch *batch, Error *err);
void store_when_durable(Store *store, uint64_t sequence, LogDone done, void *context);

// Commits what the log gathered, on the caller's thread; only without store_run (tests).
must_use bool store_commit_now(Store *store, Error *err);
// One round of housekeeping, on the caller's thread (tests; the background thread calls it once a
// second).
must_use bool store_maintain(Store *store, Error *err);
// Turns and seals every head now, so that nothing but blocks is left (before a backup; tests;
// bench).
must_use bool store_flush(Store *store, Error *err);

// Deletes of one tenant (series_delete), and writing blocks again without what was deleted.
must_use bool store_delete(Store *store, Tenant *tenant, const Matchers *sets, size_t count,
                           int64_t from_ms, int64_t to_ms, Error *err);
must_use bool store_clean_deletes(Store *store, Tenant *tenant, Error *err);

// A copy of the whole store, all tenants, as it is now: the folder `snapshots/*name` of the data
// directory, from which another Traceo can start. Blocks are hard links and take no space of their
// own; heads are written as blocks first, or left out with `skip_head`. Durable.
must_use bool store_snapshot(Store *store, bool skip_head, Arena *arena, Text *name, Error *err);

typedef struct StoreState {
    LogState log;
    LogRecovery recovery;
    int64_t memory_limit, memory_heads, memory_queries, memory_blocks;
    PageCacheFacts pages_kept;
    RowCacheFacts rows_kept;
    bool ready;
    uint64_t replayed_records;
    double replay_part;  // 0 … 1 while replaying
    uint64_t maintenance_failures;
    int64_t last_seal_ms;
} StoreState;
void store_state(Store *store, StoreState *out);
