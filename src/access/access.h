// Who asks, for whose data, and what they may do.
//
// An API key is `traceo_<id>_<secret>`: the id is public, the secret is 32 random bytes in hex and
// is kept only as its SHA-256. A key belongs to one tenant, or to all ("*"). While no key was ever
// made, everyone who can reach the server may do everything; that is why it then listens on
// loopback only (access_allows_address) and answers only to loopback names (access_allows_host), so
// that a web page cannot reach it by a DNS name of its own.
//
// Any thread may check. The table of keys is an immutable snapshot behind one lock (ACCESS_KEYS),
// replaced whole by access_reload.
#pragma once

#include "model/tenant.h"
#include "os/clock.h"
#include "os/socket.h"
#include "store/catalog/catalog.h"

typedef struct Access Access;

// A set of permissions, one bit each; 0 is a public route, which needs none.
typedef uint32_t Permissions;

typedef enum PermissionIndex {
#define PERMISSION(name, text, help) PERMISSION_INDEX_##name,
#include "access/permissions.def"
#undef PERMISSION
    PERMISSION_COUNT
} PermissionIndex;

enum {
    PERMISSION_PUBLIC = 0,
#define PERMISSION(name, text, help) PERMISSION_##name = 1 << PERMISSION_INDEX_##name,
#include "access/permissions.def"
#undef PERMISSION
    PERMISSION_ALL = (1 << PERMISSION_COUNT) - 1
};

typedef struct PermissionRow {
    Text name;
    Text help;
} PermissionRow;

extern const PermissionRow permission_rows[PERMISSION_COUNT];

// "read_metrics,write_metrics" to bits; BAD_INPUT names the unknown word and lists the known ones.
must_use bool permissions_parse(Text text, Permissions *out, Error *err);
Text permissions_print(Permissions permissions, Arena *arena);

// Reads the keys of the catalogue. Clock and catalogue outlive it.
must_use bool access_open(Catalog *catalog, Clock *clock, Access **out, Error *err);
void access_close(Access **access);

// Reads the keys again and replaces the table whole; on failure the old one stays in force.
must_use bool access_reload(Access *access, Error *err);

// True once a key was ever made. A revoked or expired key counts: losing the last key must not open
// the door.
bool access_has_keys(Access *access);

// May the server listen there? Without keys only on loopback; the error says what to do.
must_use bool access_allows_address(Access *access, const Address *address, Error *err);
// Is this Host header (with or without a port) one to answer to? With keys every one is.
bool access_allows_host(Access *access, Text host);

// What a request brought: header values as they came, TEXT_NONE where there were none.
typedef struct AccessRequest {
    // Bearer <key>, Token <key> or <user>:<key>, or Basic with the key as password
    Text authorization;
    Text api_key;  // X-API-Key; looked at when there is no Authorization
    Text tenant;   // X-Scope-OrgID
} AccessRequest;

typedef struct Identity {
    Text tenant;  // whose data; valid name
    Permissions permissions;
    Text key_id;  // empty: anonymous
} Identity;

// Finds out who asks; texts of `out` are copied to `arena`.
//   UNAUTHENTICATED  no key, or a malformed, unknown, wrong, expired or revoked one: all alike
//   FORBIDDEN        X-Scope-OrgID names another tenant than the key's
//   BAD_INPUT        X-Scope-OrgID is no tenant's name
must_use bool access_identify(Access *access, const AccessRequest *request, Arena *arena,
                              Identity *out, Error *err);

// FORBIDDEN, naming the missing permission, unless the identity has all that are needed.
must_use bool access_permits(const Identity *identity, Permissions needs, Error *err);

// ---- Making keys ----

typedef struct AccessKeyOptions {
    Text name;    // a note for people
    Text tenant;  // a tenant's name, or "*"
    Permissions permissions;
    int64_t expires_ms;  // 0: never
} AccessKeyOptions;

// Makes a key, keeps its hash in the catalogue, and gives its text, which is shown once and never
// again. It is in force after the next access_reload.
must_use bool access_key_make(Catalog *catalog, Clock *clock, AccessKeyOptions options,
                              Arena *arena, Text *out, Error *err);
