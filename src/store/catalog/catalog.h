// The catalogue: the small facts (tenants, API keys, settings that change at run time), in SQLite.
//
// STRICT tables, a migrations table, application_id, WAL, full sync. One connection behind one
// lock; any thread. Prepared statements only. PostgreSQL comes later behind these functions.
#pragma once

#include "model/tenant.h"
#include "os/clock.h"

typedef struct Catalog Catalog;

// Opens or makes the database (mode 0600) and brings its tables up to date in one transaction.
// NEWER_FORMAT for a newer schema, CORRUPT for a file that is none of ours, BUSY when another
// process holds it for over 5 s.
must_use bool catalog_open(Text path, Catalog **out, Error *err);
// Folds the WAL into the database. NULL is fine.
void catalog_close(Catalog **catalog);
// Where created_ms of new rows comes from; the system's clock until told otherwise. Before other
// threads start.
void catalog_use_clock(Catalog *catalog, Clock *clock);

// The whole of it, at one moment, as a database of its own at `path`, which is not there yet;
// durable but for its name in the folder.
must_use bool catalog_copy(Catalog *catalog, Text path, Error *err);

// The tenant of this name, made when `create` (TOO_MANY beyond LIMIT_TENANTS); number 0 when it is
// not there. The name was checked by tenant_name_check.
must_use bool catalog_tenant(Catalog *catalog, Text name, bool create, TenantId *out, Error *err);
typedef struct CatalogTenant {
    TenantId id;
    Text name;
    int64_t created_ms;
} CatalogTenant;
must_use bool catalog_tenants(Catalog *catalog, Arena *arena, CatalogTenant **out, size_t *count,
                              Error *err);

// An API key as kept: never the secret, only its hash (SHA-256 of the random secret).
typedef struct CatalogKey {
    Text id;           // public part, shown in lists
    Text name;         // a note of the operator
    Text tenant;       // "*": every tenant
    Text permissions;  // comma-separated names, see access/permissions.def
    uint8_t secret_hash[32];
    int64_t created_ms;
    int64_t expires_ms;  // 0: never
    bool revoked;
} CatalogKey;
// CONFLICT when the id is taken.
must_use bool catalog_key_add(Catalog *catalog, const CatalogKey *key, Error *err);
must_use bool catalog_key_revoke(Catalog *catalog, Text id, bool *found, Error *err);
must_use bool catalog_keys(Catalog *catalog, Arena *arena, CatalogKey **out, size_t *count,
                           Error *err);

// Small named values (the data directory's own secret, its instance id, …).
must_use bool catalog_value_get(Catalog *catalog, Text name, Arena *arena, Bytes *out,
                                Error *err);  // at NULL: absent
must_use bool catalog_value_set(Catalog *catalog, Text name, Bytes value, Error *err);
