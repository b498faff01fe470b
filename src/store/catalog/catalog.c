// The catalogue in SQLite: a table of migrations, a table of statements, one connection behind one
// lock.
//
// SQLite does its own I/O; it is the one library below os that does. Everything else about the file
// (its mode, its folder entry) goes through os/disk.h.

#include "store/catalog/catalog.h"

#include <sqlite3.h>

#include "base/array.h"
#include "base/limits.h"
#include "os/disk.h"
#include "os/thread.h"

enum {
    APPLICATION_ID = 0x54524343,  // "TRCC"
    BUSY_TIMEOUT_MS = 5000,
};

// What was ever done to the schema, oldest first; rows are added, never edited.
typedef struct Migration {
    int version;
    const char *name;
    const char *sql;
} Migration;

static const Migration migrations[] = {
    {1, "tenants, keys and values",
     "CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ms INTEGER "
     "NOT NULL) STRICT;"
     "CREATE TABLE api_key (id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant TEXT NOT NULL, "
     "permissions TEXT NOT NULL,"
     " secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32), created_ms INTEGER NOT NULL,"
     " expires_ms INTEGER NOT NULL, revoked INTEGER NOT NULL CHECK (revoked IN (0, 1))) STRICT, "
     "WITHOUT ROWID;"
     "CREATE TABLE value (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID;"},
    // SQLite has no checksums. Indexes over all columns are a second copy of every row, and every
    // opening compares the two (check_whole).
    {2, "a second copy of every row",
     "CREATE INDEX tenant_again ON tenant (id, name, created_ms);"
     "CREATE INDEX api_key_again ON api_key (id, name, tenant, permissions, secret_hash, "
     "created_ms, expires_ms, revoked);"
     "CREATE INDEX value_again ON value (name, content);"},
};

// Every statement, prepared at first use and kept.
typedef enum StatementName {
    STATEMENT_TENANT_FIND,
    STATEMENT_TENANT_COUNT,
    STATEMENT_TENANT_ADD,
    STATEMENT_TENANT_LIST,
    STATEMENT_KEY_ADD,
    STATEMENT_KEY_REVOKE,
    STATEMENT_KEY_LIST,
    STATEMENT_VALUE_GET,
    STATEMENT_VALUE_SET,
    STATEMENT_COUNT
} StatementName;

static const char *const statements[STATEMENT_COUNT] = {
    [STATEMENT_TENANT_FIND] = "SELECT id FROM tenant WHERE name = ?1",
    [STATEMENT_TENANT_COUNT] = "SELECT count(*) FROM tenant",
    [STATEMENT_TENANT_ADD] = "INSERT INTO tenant (name, created_ms) VALUES (?1, ?2)",
    [STATEMENT_TENANT_LIST] = "SELECT id, name, created_ms FROM tenant ORDER BY id",
    [STATEMENT_KEY_ADD] =
        "INSERT INTO api_key (id, name, tenant, permissions, secret_hash, created_ms, expires_ms, "
        "revoked)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STATEMENT_KEY_REVOKE] = "UPDATE api_key SET revoked = 1 WHERE id = ?1",
    [STATEMENT_KEY_LIST] =
        "SELECT id, name, tenant, permissions, secret_hash, created_ms, expires_ms, revoked FROM "
        "api_key"
        " ORDER BY created_ms, id",
    [STATEMENT_VALUE_GET] = "SELECT content FROM value WHERE name = ?1",
    [STATEMENT_VALUE_SET] = ("INSERT INTO value (name, content) VALUES (?1, ?2)"
                             " ON CONFLICT (name) DO UPDATE SET content = excluded.content"),
};

struct Catalog {
    Mutex lock;
    sqlite3 *database;
    sqlite3_stmt *prepared[STATEMENT_COUNT];
    Clock *clock;
};

static ErrorCode code_of(int result) {
    switch (result & 0xff) {
        case SQLITE_FULL:
            return ERROR_DISK_FULL;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return ERROR_BUSY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return ERROR_CORRUPT;
        case SQLITE_NOMEM:
            return ERROR_NO_MEMORY;
        case SQLITE_CONSTRAINT:
            return ERROR_CONFLICT;
        case SQLITE_TOOBIG:
            return ERROR_TOO_LARGE;
        default:
            return ERROR_IO;
    }
}

static bool fail(const Catalog *catalog, int result, Error *err) {
    const char *why =
        catalog->database != NULL ? sqlite3_errmsg(catalog->database) : sqlite3_errstr(result);
    return error_set(err, code_of(result), "the catalogue: %s", why);
}

static bool execute(Catalog *catalog, const char *sql, Error *err) {
    int result = sqlite3_exec(catalog->database, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || fail(catalog, result, err);
}

// One number that a statement yields; 0 when it yields no row.
static bool read_number(Catalog *catalog, const char *sql, int64_t *out, Error *err) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(catalog->database, sql, -1, &statement, NULL);
    *out = 0;
    if (result == SQLITE_OK) result = sqlite3_step(statement);
    if (result == SQLITE_ROW) *out = sqlite3_column_int64(statement, 0);
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE || fail(catalog, result, err);
    sqlite3_finalize(statement);
    return ok;
}

// Whose file this is and how old: ours and known, new, or refused.
static bool read_version(Catalog *catalog, int64_t *version, Error *err) {
    int64_t application, objects;
    TRY(read_number(catalog, "PRAGMA application_id", &application, err));
    TRY(read_number(catalog, "SELECT count(*) FROM sqlite_schema", &objects, err));
    *version = 0;
    if (application == 0 && objects == 0) return true;
    if (application != APPLICATION_ID) {
        return error_set(err, ERROR_CORRUPT,
                         "the file is a database of another program (application id %lld)",
                         (long long)application);
    }
    TRY(read_number(catalog, "SELECT max(version) FROM migration", version, err));
    int newest = migrations[COUNT(migrations) - 1].version;
    if (*version <= newest) return true;
    return error_set(
        err, ERROR_NEWER_FORMAT,
        "the catalogue has schema %lld, this program knows up to %d; use the newer program",
        (long long)*version, newest);
}

// Every page, and every row beside its second copy: a tenant of another name or number would have
// all its data out of sight, a revoked key could be valid again.
static bool check_whole(Catalog *catalog, Error *err) {
    sqlite3_stmt *statement = NULL;
    int result =
        sqlite3_prepare_v2(catalog->database, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    if (result == SQLITE_OK) result = sqlite3_step(statement);
    const char *said = NULL;
    if (result == SQLITE_ROW) said = (const char *)sqlite3_column_text(statement, 0);
    bool ok = said != NULL && strcmp(said, "ok") == 0;
    if (!ok && said != NULL) {
        error_set(err, ERROR_CORRUPT,
                  "the catalogue is damaged (%s); put back the data directory from a snapshot or a "
                  "backup",
                  said);
    } else if (!ok) {
        fail(catalog, result, err);
    }
    sqlite3_finalize(statement);
    return ok;
}

static bool apply_migration(Catalog *catalog, const Migration *migration, Error *err) {
    TRY(execute(catalog, migration->sql, err));
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        catalog->database, "INSERT INTO migration VALUES (?1, ?2, ?3, ?4)", -1, &statement, NULL);
    if (result == SQLITE_OK) {
        sqlite3_bind_int(statement, 1, migration->version);
        sqlite3_bind_text(statement, 2, migration->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, migration->sql, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 4, catalog->clock->wall_ms(catalog->clock));
        result = sqlite3_step(statement);
    }
    bool ok = result == SQLITE_DONE || fail(catalog, result, err);
    sqlite3_finalize(statement);
    if (!ok) error_context(err, "migration %d (%s)", migration->version, migration->name);
    return ok;
}

static bool migrate_in(Catalog *catalog, Error *err) {
    // Read inside the transaction: another process may have been faster.
    int64_t version;
    TRY(read_version(catalog, &version, err));
    if (version == 0) {
        TRY(execute(catalog,
                    "PRAGMA application_id = 0x54524343;"
                    "CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sql "
                    "TEXT NOT NULL,"
                    " applied_ms INTEGER NOT NULL) STRICT;",
                    err));
    }
    for (size_t i = 0; i < COUNT(migrations); i++) {
        if (migrations[i].version > version) TRY(apply_migration(catalog, &migrations[i], err));
    }
    return execute(catalog, "COMMIT", err);
}

// All of it in one transaction, so that opening a new catalogue costs one sync and never stops
// half-way.
static bool migrate(Catalog *catalog, Error *err) {
    int64_t version;
    TRY(read_version(catalog, &version, err));
    if (version == migrations[COUNT(migrations) - 1].version) return true;
    TRY(execute(catalog, "BEGIN IMMEDIATE", err));
    if (migrate_in(catalog, err)) return true;
    sqlite3_exec(catalog->database, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

// Made by us, so that nobody else may read it from its first moment; SQLite gives its -wal and -shm
// the same mode.
static bool make_file(Text path, Error *err) {
    Disk *disk = disk_real();
    bool there;
    TRY(disk->exists(disk, path, &there, err));
    if (there) return true;
    File *file = NULL;
    TRY(disk->open(disk, path, FILE_CREATE, &file, err));
    disk->close(disk, &file);
    size_t slash = path.len;
    while (slash > 0 && path.at[slash - 1] != '/') slash--;
    Text folder = slash == 0 ? TEXT(".") : slash == 1 ? TEXT("/") : text_slice(path, 0, slash - 1);
    return disk->sync_folder(disk, folder, err);
}

static bool open_in(Catalog *catalog, Text path, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    TRY(make_file(path, err));
    int result =
        sqlite3_open_v2(text_to_cstring(path, &arena), &catalog->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (result != SQLITE_OK) return fail(catalog, result, err);
    sqlite3_busy_timeout(catalog->database, BUSY_TIMEOUT_MS);
    // The file may be damaged or someone else's: its schema shall not run code of its choice.
    sqlite3_db_config(catalog->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(catalog->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    int64_t version;
    TRY(read_version(catalog, &version, err));
    TRY(execute(catalog,
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                "PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 64;",
                err));
    if (version > 0) TRY(check_whole(catalog, err));
    return migrate(catalog, err);
}

bool catalog_open(Text path, Catalog **out, Error *err) {
    AUTO(catalog_close) Catalog *catalog = memory_new(Catalog);
    mutex_begin(&catalog->lock, LOCK_CATALOG);
    catalog->clock = clock_system();
    if (!open_in(catalog, path, err)) return error_context(err, "opening %.*s", TEXT_ARG(path));
    *out = TAKE(catalog);
    return true;
}

static bool sync_file(Text path, Error *err) {
    Disk *disk = disk_real();
    File *file = NULL;
    TRY(disk->open(disk, path, FILE_WRITE, &file, err));
    bool synced = disk->sync(disk, file, err);
    disk->close(disk, &file);
    return synced;
}

static bool vacuum_into(Catalog *catalog, Text path, Error *err) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(catalog->database, "VACUUM INTO ?1", -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_bind_text(statement, 1, path.at, (int)path.len, SQLITE_TRANSIENT);
    if (result == SQLITE_OK) result = sqlite3_step(statement);
    bool done = result == SQLITE_DONE || fail(catalog, result, err);
    sqlite3_finalize(statement);
    return done;
}

bool catalog_copy(Catalog *catalog, Text path, Error *err) {
    // Made before SQLite fills it, so that it has our mode (0600) from the beginning.
    TRY(make_file(path, err));
    mutex_take(&catalog->lock);
    bool copied = vacuum_into(catalog, path, err);
    mutex_give(&catalog->lock);
    return (copied && sync_file(path, err)) ||
           error_context(err, "copying the catalogue to %.*s", TEXT_ARG(path));
}

void catalog_close(Catalog **catalog_at) {
    Catalog *catalog = *catalog_at;
    if (catalog == NULL) return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++) sqlite3_finalize(catalog->prepared[i]);
    if (catalog->database != NULL) {
        sqlite3_wal_checkpoint_v2(catalog->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        sqlite3_close(catalog->database);
    }
    mutex_end(&catalog->lock);
    memory_free(catalog);
    *catalog_at = NULL;
}

void catalog_use_clock(Catalog *catalog, Clock *clock) {
    catalog->clock = clock;
}

// The statement, ready to be bound. Under the lock, until `end`.
static bool begin(Catalog *catalog, StatementName name, sqlite3_stmt **out, Error *err) {
    if (catalog->prepared[name] == NULL) {
        int result = sqlite3_prepare_v3(catalog->database, statements[name], -1,
                                        SQLITE_PREPARE_PERSISTENT, &catalog->prepared[name], NULL);
        if (result != SQLITE_OK) return fail(catalog, result, err);
    }
    *out = catalog->prepared[name];
    return true;
}

static bool step(Catalog *catalog, sqlite3_stmt *statement, bool *row, Error *err) {
    int result = sqlite3_step(statement);
    *row = result == SQLITE_ROW;
    return *row || result == SQLITE_DONE || fail(catalog, result, err);
}

static void end(sqlite3_stmt *statement) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

static void bind_text(sqlite3_stmt *statement, int at, Text text) {
    // An empty view may have no address, and SQLite takes that for NULL.
    sqlite3_bind_text64(statement, at, text.len == 0 ? "" : text.at, text.len, SQLITE_STATIC,
                        SQLITE_UTF8);
}

static void bind_bytes(sqlite3_stmt *statement, int at, Bytes bytes) {
    sqlite3_bind_blob64(statement, at, bytes.len == 0 ? (const void *)"" : bytes.at, bytes.len,
                        SQLITE_STATIC);
}

static Text column_text(sqlite3_stmt *statement, int at, Arena *arena) {
    const unsigned char *text = sqlite3_column_text(statement, at);
    return text_copy((Text){(const char *)text, (size_t)sqlite3_column_bytes(statement, at)},
                     arena);
}

static bool find_tenant(Catalog *catalog, Text name, TenantId *out, Error *err) {
    sqlite3_stmt *statement = NULL;
    bool row;
    TRY(begin(catalog, STATEMENT_TENANT_FIND, &statement, err));
    bind_text(statement, 1, name);
    bool ok = step(catalog, statement, &row, err);
    *out = (TenantId){ok && row ? (uint32_t)sqlite3_column_int64(statement, 0) : 0};
    end(statement);
    return ok;
}

static bool add_tenant(Catalog *catalog, Text name, TenantId *out, Error *err) {
    sqlite3_stmt *statement = NULL;
    bool row;
    TRY(begin(catalog, STATEMENT_TENANT_COUNT, &statement, err));
    bool ok = step(catalog, statement, &row, err);
    int64_t count = ok && row ? sqlite3_column_int64(statement, 0) : 0;
    end(statement);
    TRY(ok);
    if (count >= LIMIT_TENANTS) {
        return error_set(err, ERROR_TOO_MANY, "there are %lld tenants already (TENANTS)",
                         (long long)count);
    }
    TRY(begin(catalog, STATEMENT_TENANT_ADD, &statement, err));
    bind_text(statement, 1, name);
    sqlite3_bind_int64(statement, 2, catalog->clock->wall_ms(catalog->clock));
    ok = step(catalog, statement, &row, err);
    end(statement);
    if (ok) *out = (TenantId){(uint32_t)sqlite3_last_insert_rowid(catalog->database)};
    return ok;
}

bool catalog_tenant(Catalog *catalog, Text name, bool create, TenantId *out, Error *err) {
    mutex_take(&catalog->lock);
    bool ok = find_tenant(catalog, name, out, err);
    if (ok && out->number == 0 && create) ok = add_tenant(catalog, name, out, err);
    mutex_give(&catalog->lock);
    return ok;
}

static bool list_tenants(Catalog *catalog, Arena *arena, CatalogTenant **out, size_t *count,
                         Error *err) {
    ARRAY(CatalogTenant) tenants = {0};
    sqlite3_stmt *statement = NULL;
    TRY(begin(catalog, STATEMENT_TENANT_LIST, &statement, err));
    bool ok, row;
    while ((ok = step(catalog, statement, &row, err)) && row) {
        *array_add_on(arena, &tenants) = (CatalogTenant){
            .id = {(uint32_t)sqlite3_column_int64(statement, 0)},
            .name = column_text(statement, 1, arena),
            .created_ms = sqlite3_column_int64(statement, 2),
        };
    }
    end(statement);
    *out = tenants.at;
    *count = tenants.count;
    return ok;
}

bool catalog_tenants(Catalog *catalog, Arena *arena, CatalogTenant **out, size_t *count,
                     Error *err) {
    mutex_take(&catalog->lock);
    bool ok = list_tenants(catalog, arena, out, count, err);
    mutex_give(&catalog->lock);
    return ok;
}

static bool add_key(Catalog *catalog, const CatalogKey *key, Error *err) {
    sqlite3_stmt *statement = NULL;
    bool row;
    TRY(begin(catalog, STATEMENT_KEY_ADD, &statement, err));
    bind_text(statement, 1, key->id);
    bind_text(statement, 2, key->name);
    bind_text(statement, 3, key->tenant);
    bind_text(statement, 4, key->permissions);
    bind_bytes(statement, 5, (Bytes){key->secret_hash, sizeof key->secret_hash});
    sqlite3_bind_int64(statement, 6, key->created_ms);
    sqlite3_bind_int64(statement, 7, key->expires_ms);
    sqlite3_bind_int(statement, 8, key->revoked);
    bool ok = step(catalog, statement, &row, err);
    end(statement);
    if (!ok && err->code == ERROR_CONFLICT)
        error_context(err, "an API key of the id %.*s is there already", TEXT_ARG(key->id));
    return ok;
}

bool catalog_key_add(Catalog *catalog, const CatalogKey *key, Error *err) {
    mutex_take(&catalog->lock);
    bool ok = add_key(catalog, key, err);
    mutex_give(&catalog->lock);
    return ok;
}

static bool revoke_key(Catalog *catalog, Text id, bool *found, Error *err) {
    sqlite3_stmt *statement = NULL;
    bool row;
    TRY(begin(catalog, STATEMENT_KEY_REVOKE, &statement, err));
    bind_text(statement, 1, id);
    bool ok = step(catalog, statement, &row, err);
    end(statement);
    *found = ok && sqlite3_changes(catalog->database) > 0;
    return ok;
}

bool catalog_key_revoke(Catalog *catalog, Text id, bool *found, Error *err) {
    mutex_take(&catalog->lock);
    bool ok = revoke_key(catalog, id, found, err);
    mutex_give(&catalog->lock);
    return ok;
}

static bool read_key(sqlite3_stmt *statement, Arena *arena, CatalogKey *out, Error *err) {
    *out = (CatalogKey){
        .id = column_text(statement, 0, arena),
        .name = column_text(statement, 1, arena),
        .tenant = column_text(statement, 2, arena),
        .permissions = column_text(statement, 3, arena),
        .created_ms = sqlite3_column_int64(statement, 5),
        .expires_ms = sqlite3_column_int64(statement, 6),
        .revoked = sqlite3_column_int(statement, 7) != 0,
    };
    const void *hash = sqlite3_column_blob(statement, 4);
    if (sqlite3_column_bytes(statement, 4) != sizeof out->secret_hash) {
        return error_set(err, ERROR_CORRUPT,
                         "the catalogue: the hash of the API key %.*s has a wrong length",
                         TEXT_ARG(out->id));
    }
    memcpy(out->secret_hash, hash, sizeof out->secret_hash);
    return true;
}

static bool list_keys(Catalog *catalog, Arena *arena, CatalogKey **out, size_t *count, Error *err) {
    ARRAY(CatalogKey) keys = {0};
    sqlite3_stmt *statement = NULL;
    TRY(begin(catalog, STATEMENT_KEY_LIST, &statement, err));
    bool ok, row;
    while ((ok = step(catalog, statement, &row, err)) && row) {
        CatalogKey key;
        ok = read_key(statement, arena, &key, err);
        if (!ok) break;
        *array_add_on(arena, &keys) = key;
    }
    end(statement);
    *out = keys.at;
    *count = keys.count;
    return ok;
}

bool catalog_keys(Catalog *catalog, Arena *arena, CatalogKey **out, size_t *count, Error *err) {
    mutex_take(&catalog->lock);
    bool ok = list_keys(catalog, arena, out, count, err);
    mutex_give(&catalog->lock);
    return ok;
}

static bool get_value(Catalog *catalog, Text name, Arena *arena, Bytes *out, Error *err) {
    sqlite3_stmt *statement = NULL;
    bool row;
    *out = BYTES_NONE;
    TRY(begin(catalog, STATEMENT_VALUE_GET, &statement, err));
    bind_text(statement, 1, name);
    bool ok = step(catalog, statement, &row, err);
    if (ok && row) {
        size_t len = (size_t)sqlite3_column_bytes(statement, 0);
        // Also of no bytes it is a value: only an absent one has no address.
        uint8_t *at = arena_push_raw(arena, len + 1, 1);
        if (len > 0) memcpy(at, sqlite3_column_blob(statement, 0), len);
        *out = (Bytes){at, len};
    }
    end(statement);
    return ok;
}

bool catalog_value_get(Catalog *catalog, Text name, Arena *arena, Bytes *out, Error *err) {
    mutex_take(&catalog->lock);
    bool ok = get_value(catalog, name, arena, out, err);
    mutex_give(&catalog->lock);
    return ok;
}

static bool set_value(Catalog *catalog, Text name, Bytes value, Error *err) {
    sqlite3_stmt *statement = NULL;
    bool row;
    TRY(begin(catalog, STATEMENT_VALUE_SET, &statement, err));
    bind_text(statement, 1, name);
    bind_bytes(statement, 2, value);
    bool ok = step(catalog, statement, &row, err);
    end(statement);
    return ok;
}

bool catalog_value_set(Catalog *catalog, Text name, Bytes value, Error *err) {
    mutex_take(&catalog->lock);
    bool ok = set_value(catalog, name, value, err);
    mutex_give(&catalog->lock);
    return ok;
}
