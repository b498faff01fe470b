// The inside of the store, shared by store.c, write.c and maintain.c. Private.
#pragma once

#include "os/thread.h"
#include "store/store.h"

typedef struct TenantPart {
    Tenant tenant;             // first: a Tenant * is a TenantPart *
    uint64_t sealed_sequence;  // replay begins here for this tenant
} TenantPart;

typedef struct Replay Replay;

// Faults that tests plant.
typedef enum ReplayPlant { REPLAY_PLANT_NONE, REPLAY_PLANT_NO_ORDER } ReplayPlant;

// The wall clock as retention believes it (maintain.c). A jump of more than a day is believed a day
// later.
typedef struct TrustedTime {
    int64_t wall_ms;       // the last time that was believed; 0: none yet
    int64_t monotonic_ns;  // when that was
    int64_t doubt_ns;      // since when the wall clock is doubted; 0: it is not
    int64_t kept_ms;       // the one in the catalogue
} TrustedTime;

struct Store {
    StoreOptions options;
    Arena arena;  // names, report of the recovery; lives as long as the store
    Disk *disk;
    File *lock_file;  // held for the life of the store (W19)
    Text instance;    // random, written into the lock file
    Catalog *catalog;
    Objects *objects;
    Log *log;
    LogRecovery recovery;
    Budget memory, ingest_memory, query_memory, cache_memory, building_memory;
    PageCache *pages;  // of blocks, of all tenants
    RowCache *rows;    // of both, likewise

    Mutex tenants_lock;  // TENANT_TABLE
    ARRAY(TenantPart *) tenants;

    Mutex house_lock;  // STORE_HOUSE: one round of housekeeping at a time
    Thread *housekeeper;
    Mutex wake_lock;  // WORKER_QUEUE
    Condition wake;
    bool stopping;

    TrustedTime time;   // under house_lock
    size_t scrub_next;  // the tenant whose blocks are verified next; under house_lock
    bool seal_soon;     // the log is long from many starts; under house_lock once the threads run

    _Atomic bool ready;
    _Atomic uint64_t replayed_records;
    Replay *replaying;  // while store_replay runs, for its threads
    ReplayPlant replay_plant;
    _Atomic uint64_t maintenance_failures;
    _Atomic int64_t last_seal_ms;
};

// Is the lock file still ours? Another instance that took the folder over must not be overwritten
// (W19).
must_use bool store_still_ours(Store *store, Error *err);

// After a failure: was it for want of space, and is there some now that was kept aside? Then what
// failed is worth a second try.
bool store_made_room(Store *store, const Error *err);

void store_stop_housekeeper(Store *store);

bool store_is_pressed(Store *store);

// While the heads of all tenants together take too much of their budget, though none is large:
// turns and seals the larger ones.
must_use bool store_relieve_memory(Store *store, Error *err);

// Turns and seals the heads that want it (all of them with `all`), then trims the log.
must_use bool store_seal_heads(Store *store, bool all, Error *err);
