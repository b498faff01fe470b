// The table of keys in memory, and the question "who asks?".

#include "access/access.h"

#include "access/key.h"
#include "base/array.h"
#include "base/log.h"
#include "os/random.h"
#include "os/thread.h"

typedef struct AccessKey {
    Text id;
    Text tenant;
    Permissions permissions;
    int64_t expires_ms;  // 0: never
    bool revoked;
    uint8_t secret_hash[KEY_HASH_BYTES];
} AccessKey;

// Immutable once in force. Sorted by id.
typedef struct KeyTable {
    Arena arena;
    AccessKey *at;
    size_t count;
} KeyTable;

struct Access {
    Catalog *catalog;
    Clock *clock;
    SharedLock lock;
    KeyTable *keys;
    _Atomic bool has_keys;
};

static void key_table_free(KeyTable **table) {
    if (*table == NULL) return;
    arena_free(&(*table)->arena);
    memory_free(TAKE(*table));
}

static int by_id(const void *a, const void *b) {
    return text_compare(((const AccessKey *)a)->id, ((const AccessKey *)b)->id);
}

// A key whose permissions a newer or damaged catalogue spells in a way we do not know has none:
// closed, not open.
static void key_take(const CatalogKey *from, Arena *arena, AccessKey *to) {
    *to = (AccessKey){
        .id = text_copy(from->id, arena),
        .tenant = text_copy(from->tenant, arena),
        .expires_ms = from->expires_ms,
        .revoked = from->revoked,
    };
    memcpy(to->secret_hash, from->secret_hash, KEY_HASH_BYTES);
    Error err = {0};
    bool any_tenant = text_equal(from->tenant, TEXT("*"));
    if (!permissions_parse(from->permissions, &to->permissions, &err) ||
        (!any_tenant && !tenant_name_check(from->tenant, &err))) {
        to->revoked = true;
        log_warn("an API key is not understood and opens nothing", LOG_TEXT("key", from->id),
                 LOG_ERR(&err));
    }
}

static bool key_table_read(Catalog *catalog, KeyTable **out, Error *err) {
    AUTO(key_table_free) KeyTable *table = memory_new(KeyTable);
    AUTO(arena_free) Arena scratch = {0};
    CatalogKey *rows = NULL;
    if (!catalog_keys(catalog, &scratch, &rows, &table->count, err))
        return error_context(err, "reading the API keys");
    table->at = arena_push_array(&table->arena, AccessKey, table->count + 1);
    for (size_t i = 0; i < table->count; i++) key_take(&rows[i], &table->arena, &table->at[i]);
    if (table->count > 1) qsort(table->at, table->count, sizeof *table->at, by_id);
    *out = TAKE(table);
    return true;
}

bool access_open(Catalog *catalog, Clock *clock, Access **out, Error *err) {
    AUTO(access_close) Access *access = memory_new(Access);
    access->catalog = catalog;
    access->clock = clock;
    shared_begin(&access->lock, LOCK_ACCESS_KEYS);
    TRY(access_reload(access, err));
    *out = TAKE(access);
    return true;
}

void access_close(Access **access) {
    if (*access == NULL) return;
    key_table_free(&(*access)->keys);
    shared_end(&(*access)->lock);
    memory_free(TAKE(*access));
}

bool access_reload(Access *access, Error *err) {
    AUTO(key_table_free) KeyTable *fresh = NULL;
    TRY(key_table_read(access->catalog, &fresh, err));
    if (access->has_keys && fresh->count == 0) {
        // Keys are revoked, never removed; an empty table now means another catalogue, not an open
        // house.
        return error_set(err, ERROR_CORRUPT,
                         "the catalogue has lost its API keys; the old ones stay in force");
    }
    shared_take_write(&access->lock);
    KeyTable *old = access->keys;
    access->keys = TAKE(fresh);
    access->has_keys = access->keys->count > 0;
    shared_give(&access->lock);
    key_table_free(&old);
    return true;
}

bool access_has_keys(Access *access) {
    return access->has_keys;
}

bool access_allows_address(Access *access, const Address *address, Error *err) {
    if (address->loopback || access_has_keys(access)) return true;
    return error_set(err, ERROR_FORBIDDEN,
                     "will not listen on %.*s: there is no API key yet, so anyone could read and "
                     "write; make one first with "
                     "`traceo key add`, or listen on 127.0.0.1",
                     TEXT_ARG(address->text));
}

// "localhost:4310" -> "localhost", "[::1]:4310" -> "::1".
static Text host_without_port(Text host) {
    if (text_starts_with(host, TEXT("["))) {
        ptrdiff_t end = text_find_char(host, ']');
        return end < 0 ? host : text_slice(host, 1, (size_t)end);
    }
    ptrdiff_t colon = text_find_char(host, ':');
    return colon < 0 ? host : text_slice(host, 0, (size_t)colon);
}

// 127.x.y.z in digits: a name such as "127.evil.example" is not one.
static bool is_loopback_v4(Text host) {
    if (!text_starts_with(host, TEXT("127."))) return false;
    size_t parts = 0;
    Text part;
    for (Text rest = host; text_cut(&rest, '.', &part); parts++) {
        uint64_t number;
        if (!text_to_u64(part, &number) || number > 255) return false;
    }
    return parts == 4;
}

bool access_allows_host(Access *access, Text host) {
    if (access_has_keys(access)) return true;
    Text name = host_without_port(host);
    return name.len == 0 || text_equal_ignore_case(name, TEXT("localhost")) ||
           text_equal(name, TEXT("::1")) || text_ends_with(name, TEXT(".localhost")) ||
           is_loopback_v4(name);
}

// ---- Who asks? ----

static const AccessKey *key_table_find(const KeyTable *table, Text id) {
    size_t from = 0, to = table->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (text_compare(table->at[middle].id, id) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < table->count && text_equal(table->at[from].id, id) ? &table->at[from] : NULL;
}

// What is hashed in place of a key that is missing or malformed, so that it costs what a wrong one
// costs.
static const char no_secret[KEY_SECRET_TEXT + 1] =
    "0000000000000000000000000000000000000000000000000000000000000000";

// The caller holds the lock. NULL: not a valid key.
static const AccessKey *key_verify(const Access *access, const AccessRequest *request, Arena *arena,
                                   Error *err) {
    static const uint8_t no_hash[KEY_HASH_BYTES];
    Text text = TEXT_NONE;
    KeyText key = {TEXT_NONE, {no_secret, KEY_SECRET_TEXT}};
    bool well_formed = key_find(request, arena, &text) && key_split(text, &key);
    if (!well_formed) key = (KeyText){TEXT_NONE, {no_secret, KEY_SECRET_TEXT}};

    const AccessKey *found = key_table_find(access->keys, key.id);
    uint8_t hash[KEY_HASH_BYTES];
    if (!key_hash(key.secret, hash, err)) return NULL;
    bool equal = key_hash_equal(hash, found != NULL ? found->secret_hash : no_hash);
    if (!well_formed || found == NULL || !equal || found->revoked) return NULL;
    bool expired =
        found->expires_ms != 0 && found->expires_ms <= access->clock->wall_ms(access->clock);
    return expired ? NULL : found;
}

// The header may only narrow what the key allows.
static bool tenant_choose(Text of_key, Text asked, Text *out, Error *err) {
    bool any = text_equal(of_key, TEXT("*"));
    if (asked.len == 0) {
        *out = any ? TENANT_DEFAULT_NAME : of_key;
        return true;
    }
    if (!tenant_name_check(asked, err)) return error_context(err, "X-Scope-OrgID");
    if (!any && !text_equal(of_key, asked)) {
        return error_set(err, ERROR_FORBIDDEN,
                         "this key does not open the tenant that X-Scope-OrgID names");
    }
    *out = asked;
    return true;
}

bool access_identify(Access *access, const AccessRequest *request, Arena *arena, Identity *out,
                     Error *err) {
    Identity found = {.permissions = PERMISSION_ALL};
    Text tenant = TEXT("*");
    if (access_has_keys(access)) {
        Error inner = {0};
        shared_take_read(&access->lock);
        const AccessKey *key = key_verify(access, request, arena, &inner);
        if (key != NULL) {
            tenant = text_copy(key->tenant, arena);
            found.key_id = text_copy(key->id, arena);
            found.permissions = key->permissions;
        }
        shared_give(&access->lock);
        if (inner.code != ERROR_NONE) {
            if (err != NULL) *err = inner;
            return false;
        }
        if (key == NULL)
            return error_set(err, ERROR_UNAUTHENTICATED,
                             "a valid API key is needed: Authorization: Bearer traceo_…");
    }
    TRY(tenant_choose(tenant, request->tenant, &tenant, err));
    found.tenant = text_copy(tenant, arena);
    *out = found;
    return true;
}

bool access_permits(const Identity *identity, Permissions needs, Error *err) {
    Permissions missing = needs & ~identity->permissions;
    if (missing == 0) return true;
    AUTO(arena_free) Arena arena = {0};
    return error_set(err, ERROR_FORBIDDEN, "this key lacks the permission %.*s",
                     TEXT_ARG(permissions_print(missing, &arena)));
}

// ---- Making keys ----

static Text hex_of(const uint8_t *bytes, size_t len, Arena *arena) {
    static const char digits[] = "0123456789abcdef";
    char *into = arena_push_raw(arena, len * 2, 1);
    for (size_t i = 0; i < len; i++) {
        into[2 * i] = digits[bytes[i] >> 4];
        into[2 * i + 1] = digits[bytes[i] & 15];
    }
    return (Text){into, len * 2};
}

bool access_key_make(Catalog *catalog, Clock *clock, AccessKeyOptions options, Arena *arena,
                     Text *out, Error *err) {
    if (!text_equal(options.tenant, TEXT("*"))) TRY(tenant_name_check(options.tenant, err));
    if (options.permissions == 0)
        return error_set(err, ERROR_BAD_INPUT,
                         "a key without permissions opens nothing; name at least one");
    uint8_t id_bytes[KEY_ID_BYTES], secret_bytes[KEY_SECRET_BYTES];
    TRY(random_bytes(id_bytes, sizeof id_bytes, err));
    TRY(random_bytes(secret_bytes, sizeof secret_bytes, err));
    Text secret = hex_of(secret_bytes, sizeof secret_bytes, arena);
    CatalogKey key = {
        .id = hex_of(id_bytes, sizeof id_bytes, arena),
        .name = options.name,
        .tenant = options.tenant,
        .permissions = permissions_print(options.permissions, arena),
        .created_ms = clock->wall_ms(clock),
        .expires_ms = options.expires_ms,
    };
    TRY(key_hash(secret, key.secret_hash, err));
    TRY(catalog_key_add(catalog, &key, err));
    *out = text_format(arena, "traceo_%.*s_%.*s", TEXT_ARG(key.id), TEXT_ARG(secret));
    return true;
}
