// The inside of the store, shared by store.c, write.c and maintain.c. Private.
#pragma once

#include "os/thread.h"
#include "store/store.h"

typedef struct TenantPart {
    Tenant tenant;             // first: a Tenant * is a TenantPart *
    uint64_t sealed_sequence;  // replay begins here for this tenant
} TenantPart;

struct Store {
    StoreOptions options;
    Arena arena;         // names, report of the recovery; lives as long as the store
    Disk *disk;
    File *lock_file;     // held for the life of the store (W19)
    Text instance;       // random, written into the lock file
    Catalog *catalog;
    Objects *objects;
    Log *log;
    LogRecovery recovery;
    Budget memory, ingest_memory, query_memory;

    Mutex tenants_lock;  // TENANT_TABLE
    ARRAY(TenantPart *) tenants;

    Mutex house_lock;    // STORE_HOUSE: one round of housekeeping at a time
    Thread *housekeeper;
    Mutex wake_lock;     // WORKER_QUEUE
    Condition wake;
    bool stopping;

    bool seal_soon;      // the log is long from many starts; under house_lock once the threads run

    _Atomic bool ready;
    _Atomic uint64_t replayed_records;
    _Atomic uint64_t replay_position;   // the sequence that was replayed last
    _Atomic uint64_t maintenance_failures;
    _Atomic int64_t last_seal_ms;
};

// Is the lock file still ours? Another instance that took the folder over must not be overwritten (W19).
must_use bool store_still_ours(Store *store, Error *err);

// Turns and seals the heads that want it (all of them with `all`), then trims the log.
must_use bool store_seal_heads(Store *store, bool all, Error *err);
