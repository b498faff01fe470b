// Who may ask for whose data: keys, tenants, permissions, and what a stranger learns (nothing).

#include "access/access.h"

#include "access/key.h"
#include "base/test.h"
#include "os/disk.h"
#include "os/process.h"
#include "os/random.h"

#define NOW_MS INT64_C(1790000000000)

typedef struct World {
    Text folder;
    Catalog *catalog;
    Access *access;
    ManualClock clock;
} World;

static void world_begin(Test *t, World *world) {
    Text base = environment_get("TMPDIR");
    if (base.len == 0) base = TEXT("/tmp");
    uint64_t number = 0;
    check_ok(t, random_bytes(&number, sizeof number, t->err));
    *world = (World){.folder = text_format(t->arena, "%.*s/traceo-access-%016llx", TEXT_ARG(base),
                                           (unsigned long long)number)};
    clock_manual(&world->clock, NOW_MS);
    check_ok(t, disk_make_folders(disk_real(), world->folder, t->err));
    check_ok(t, catalog_open(text_format(t->arena, "%.*s/catalog.db", TEXT_ARG(world->folder)),
                             &world->catalog, t->err));
    check_ok(t, access_open(world->catalog, &world->clock.clock, &world->access, t->err));
}

static void world_end(Test *t, World *world) {
    Disk *disk = disk_real();
    access_close(&world->access);
    catalog_close(&world->catalog);
    DiskEntries entries;
    check_ok(t, disk->list(disk, world->folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text path = text_format(t->arena, "%.*s/%.*s", TEXT_ARG(world->folder),
                                TEXT_ARG(entries.at[i].name));
        check_ok(t, disk->remove(disk, path, t->err));
    }
    check_ok(t, disk->remove_folder(disk, world->folder, t->err));
}

static Text make_key(Test *t, World *world, Text tenant, Permissions permissions,
                     int64_t expires_ms) {
    AccessKeyOptions options = {.name = TEXT("test"),
                                .tenant = tenant,
                                .permissions = permissions,
                                .expires_ms = expires_ms};
    Text key = TEXT_NONE;
    check_ok(t,
             access_key_make(world->catalog, &world->clock.clock, options, t->arena, &key, t->err));
    check_ok(t, access_reload(world->access, t->err));
    return key;
}

static bool identify(Test *t, World *world, Text key, Text tenant, Identity *out) {
    AccessRequest request = {.tenant = tenant};
    if (key.len > 0) request.authorization = text_format(t->arena, "Bearer %.*s", TEXT_ARG(key));
    *t->err = (Error){0};
    return access_identify(world->access, &request, t->arena, out, t->err);
}

static Text base64(Test *t, Text from) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *into = arena_push_raw(t->arena, from.len * 2 + 4, 1);
    size_t len = 0;
    for (size_t i = 0; i < from.len; i += 3) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (i + j < from.len ? (uint8_t)from.at[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            into[len++] = i + j > from.len ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    return (Text){into, len};
}

TEST(without_any_key_everyone_may_do_everything_on_loopback) {
    World world;
    world_begin(t, &world);
    Identity who;
    check_ok(t, identify(t, &world, TEXT(""), TEXT_NONE, &who));
    check_text(t, TENANT_DEFAULT_NAME, who.tenant);
    check(t, who.permissions == PERMISSION_ALL && who.key_id.len == 0);
    check_ok(t, identify(t, &world, TEXT(""), TEXT("team-a"), &who));
    check_text(t, TEXT("team-a"), who.tenant);
    // A stranger's key is not looked at: nothing could be checked against it.
    check_ok(t, identify(t, &world, TEXT("nonsense"), TEXT_NONE, &who));

    Address loopback, any;
    check_ok(t, address_parse(TEXT("127.0.0.1:4310"), t->arena, &loopback, t->err));
    check_ok(t, address_parse(TEXT("0.0.0.0:4310"), t->arena, &any, t->err));
    check_ok(t, access_allows_address(world.access, &loopback, t->err));
    check_error(t, access_allows_address(world.access, &any, t->err), ERROR_FORBIDDEN);
    make_key(t, &world, TEXT("*"), PERMISSION_ALL, 0);
    check_ok(t, access_allows_address(world.access, &any, t->err));
    world_end(t, &world);
}

TEST(without_any_key_only_names_of_loopback_are_answered) {
    static const struct {
        const char *host;
        bool allowed;
    } rows[] = {
        {"localhost", true},          {"LocalHost:4310", true},     {"127.0.0.1:4310", true},
        {"127.8.9.10", true},         {"[::1]:4310", true},         {"", true},
        {"traceo.localhost", true},   {"evil.example:4310", false}, {"127.evil.example", false},
        {"127.0.0.1.example", false}, {"localhost.example", false}, {"10.0.0.1", false},
        {"[::2]:4310", false},        {"127.0.0.256", false},       {"127.0.0", false},
        {"notlocalhost", false},
    };
    World world;
    world_begin(t, &world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool allowed = access_allows_host(world.access, text_from_cstring(rows[i].host));
        if (allowed != rows[i].allowed)
            check_failed(t, __FILE__, __LINE__, "Host %s", rows[i].host);
    }
    make_key(t, &world, TEXT("*"), PERMISSION_ALL, 0);
    check(t, access_allows_host(world.access, TEXT("traceo.example")));
    world_end(t, &world);
}

TEST(a_key_is_found_wherever_clients_put_it) {
    World world;
    world_begin(t, &world);
    Text key = make_key(t, &world, TEXT("acme"), PERMISSION_READ_METRICS, 0);
    check(t, text_starts_with(key, TEXT("traceo_")) && key.len == 7 + 16 + 1 + 64);
    Text basic = base64(t, text_format(t->arena, "anyone:%.*s", TEXT_ARG(key)));
    AccessRequest rows[] = {
        {.authorization = text_format(t->arena, "Bearer %.*s", TEXT_ARG(key))},
        {.authorization = text_format(t->arena, "bearer  %.*s", TEXT_ARG(key))},
        {.authorization = text_format(t->arena, "Basic %.*s", TEXT_ARG(basic))},
        {.api_key = key},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Identity who;
        check_ok(t, access_identify(world.access, &rows[i], t->arena, &who, t->err));
        check_text(t, TEXT("acme"), who.tenant);
        check(t, who.permissions == PERMISSION_READ_METRICS && who.key_id.len == KEY_ID_TEXT);
    }
    world_end(t, &world);
}

TEST(all_that_is_no_valid_key_gets_one_and_the_same_answer) {
    World world;
    world_begin(t, &world);
    Text key = make_key(t, &world, TEXT("acme"), PERMISSION_ALL, 0);
    Text expired = make_key(t, &world, TEXT("acme"), PERMISSION_ALL, NOW_MS - 1);
    Text revoked = make_key(t, &world, TEXT("acme"), PERMISSION_ALL, 0);
    KeyText parts;
    check(t, key_split(revoked, &parts));
    bool found = false;
    check_ok(t, catalog_key_revoke(world.catalog, parts.id, &found, t->err));
    check(t, found);
    check_ok(t, access_reload(world.access, t->err));

    char *wrong = text_to_cstring(key, t->arena);
    wrong[key.len - 1] = wrong[key.len - 1] == '0' ? '1' : '0';
    char *unknown = text_to_cstring(key, t->arena);
    unknown[8] = unknown[8] == '0' ? '1' : '0';
    char *joined = text_to_cstring(key, t->arena);
    joined[KEY_PREFIX.len + KEY_ID_TEXT] = '-';
    Text bearer[] = {
        text_from_cstring(joined),
        TEXT(""),
        TEXT("traceo_"),
        text_from_cstring(wrong),
        text_from_cstring(unknown),
        expired,
        revoked,
        text_slice(key, 0, key.len - 1),
        text_format(t->arena, "%.*s0", TEXT_ARG(key)),
    };
    Identity who;
    Text message = TEXT_NONE;
    for (size_t i = 0; i < COUNT(bearer); i++) {
        check_error(t, identify(t, &world, bearer[i], TEXT_NONE, &who), ERROR_UNAUTHENTICATED);
        if (i == 0) message = text_copy(text_from_cstring(t->err->message), t->arena);
        check_text(t, message, text_from_cstring(t->err->message));
    }
    Text schemes[] = {TEXT("Bearer"),
                      TEXT("Basic"),
                      TEXT("Basic !!!!"),
                      TEXT("Basic AAA"),
                      TEXT("Digest x"),
                      TEXT("Basic OjpAAAA"),
                      key};
    for (size_t i = 0; i < COUNT(schemes); i++) {
        AccessRequest request = {.authorization = schemes[i]};
        check_error(t, access_identify(world.access, &request, t->arena, &who, t->err),
                    ERROR_UNAUTHENTICATED);
        check_text(t, message, text_from_cstring(t->err->message));
    }
    check_ok(t, identify(t, &world, key, TEXT_NONE, &who));
    world_end(t, &world);
}

TEST(a_key_ends_when_its_time_is_over) {
    World world;
    world_begin(t, &world);
    Text key = make_key(t, &world, TEXT("acme"), PERMISSION_ALL, NOW_MS + 1000);
    Identity who;
    check_ok(t, identify(t, &world, key, TEXT_NONE, &who));
    clock_advance(&world.clock, 999);
    check_ok(t, identify(t, &world, key, TEXT_NONE, &who));
    clock_advance(&world.clock, 1);
    check_error(t, identify(t, &world, key, TEXT_NONE, &who), ERROR_UNAUTHENTICATED);
    world_end(t, &world);
}

TEST(revoking_the_last_key_does_not_open_the_door) {
    World world;
    world_begin(t, &world);
    Text key = make_key(t, &world, TEXT("*"), PERMISSION_ALL, 0);
    KeyText parts;
    check(t, key_split(key, &parts));
    bool found = false;
    check_ok(t, catalog_key_revoke(world.catalog, parts.id, &found, t->err));
    check_ok(t, access_reload(world.access, t->err));
    Identity who;
    check(t, access_has_keys(world.access));
    check_error(t, identify(t, &world, TEXT(""), TEXT_NONE, &who), ERROR_UNAUTHENTICATED);
    check_error(t, identify(t, &world, key, TEXT_NONE, &who), ERROR_UNAUTHENTICATED);
    world_end(t, &world);
}

TEST(the_header_only_narrows_what_the_key_opens) {
    static const struct {
        const char *of_key, *header, *gives;
        ErrorCode code;
    } rows[] = {
        {"acme", NULL, "acme", ERROR_NONE},       {"acme", "acme", "acme", ERROR_NONE},
        {"acme", "other", NULL, ERROR_FORBIDDEN}, {"acme", "default", NULL, ERROR_FORBIDDEN},
        {"acme", "a/b", NULL, ERROR_BAD_INPUT},   {"acme", "acme|other", NULL, ERROR_BAD_INPUT},
        {"*", NULL, "default", ERROR_NONE},       {"*", "other", "other", ERROR_NONE},
        {"*", "..", NULL, ERROR_BAD_INPUT},       {"*", "*", NULL, ERROR_BAD_INPUT},
        {"acme", "ACME", NULL, ERROR_FORBIDDEN},  {"acme", "", "acme", ERROR_NONE},
    };
    World world;
    world_begin(t, &world);
    Text keys[2] = {make_key(t, &world, TEXT("acme"), PERMISSION_ALL, 0),
                    make_key(t, &world, TEXT("*"), PERMISSION_ALL, 0)};
    for (size_t i = 0; i < COUNT(rows); i++) {
        Identity who = {0};
        Text key = keys[rows[i].of_key[0] == '*'];
        bool known = identify(t, &world, key, text_from_cstring(rows[i].header), &who);
        if (known != (rows[i].code == ERROR_NONE) || t->err->code != rows[i].code) {
            check_failed(t, __FILE__, __LINE__, "key of %s, header %s: %s", rows[i].of_key,
                         rows[i].header, t->err->message);
        }
        if (known) check_text(t, text_from_cstring(rows[i].gives), who.tenant);
    }
    world_end(t, &world);
}

TEST(a_permission_that_is_missing_is_named) {
    Identity reader = {.permissions = PERMISSION_READ_METRICS};
    check_ok(t, access_permits(&reader, PERMISSION_READ_METRICS, t->err));
    check_ok(t, access_permits(&reader, PERMISSION_PUBLIC, t->err));
    check_error(t,
                access_permits(&reader, PERMISSION_WRITE_METRICS | PERMISSION_READ_METRICS, t->err),
                ERROR_FORBIDDEN);
    check_text(t, TEXT("this key lacks the permission write_metrics"),
               text_from_cstring(t->err->message));
    for (size_t i = 0; i < PERMISSION_COUNT; i++) {
        Identity all_but_one = {.permissions = PERMISSION_ALL & ~(1u << i)};
        check_error(t, access_permits(&all_but_one, 1u << i, t->err), ERROR_FORBIDDEN);
    }
}

TEST(permissions_are_words_and_a_table) {
    Permissions parsed = 0;
    for (size_t i = 0; i < PERMISSION_COUNT; i++) {
        check(t, permission_rows[i].name.len > 0 && permission_rows[i].help.len > 10);
        for (size_t j = 0; j < i; j++)
            check(t, !text_equal(permission_rows[i].name, permission_rows[j].name));
    }
    Text all = permissions_print(PERMISSION_ALL, t->arena);
    check_text(t, TEXT("read_metrics,write_metrics,read_status,admin"), all);
    check_ok(t, permissions_parse(all, &parsed, t->err));
    check(t, parsed == PERMISSION_ALL);
    check_ok(t, permissions_parse(TEXT("read_metrics, admin"), &parsed, t->err));
    check(t, parsed == (PERMISSION_READ_METRICS | PERMISSION_ADMIN));
    check_error(t, permissions_parse(TEXT("read_metrics,root"), &parsed, t->err), ERROR_BAD_INPUT);
    check_error(t, permissions_parse(TEXT("read_metrics,,admin"), &parsed, t->err),
                ERROR_BAD_INPUT);
}

TEST(a_key_of_permissions_from_a_newer_version_opens_nothing) {
    World world;
    world_begin(t, &world);
    uint8_t hash[KEY_HASH_BYTES];
    Text secret = TEXT("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    check_ok(t, key_hash(secret, hash, t->err));
    CatalogKey row = {.id = TEXT("0123456789abcdef"),
                      .tenant = TEXT("*"),
                      .permissions = TEXT("read_metrics,fly"),
                      .created_ms = 1};
    memcpy(row.secret_hash, hash, sizeof hash);
    check_ok(t, catalog_key_add(world.catalog, &row, t->err));
    check_ok(t, access_reload(world.access, t->err));
    Identity who;
    Text key = text_format(t->arena, "traceo_%.*s_%.*s", TEXT_ARG(row.id), TEXT_ARG(secret));
    check_error(t, identify(t, &world, key, TEXT_NONE, &who), ERROR_UNAUTHENTICATED);
    world_end(t, &world);
}

TEST(keys_are_of_random_bytes_and_kept_as_hashes_only) {
    World world;
    world_begin(t, &world);
    Text first = make_key(t, &world, TEXT("acme"), PERMISSION_ADMIN, 0),
         second = make_key(t, &world, TEXT("acme"), PERMISSION_ADMIN, 0);
    KeyText a, b;
    check(t, key_split(first, &a) && key_split(second, &b));
    check(t, !text_equal(a.id, b.id) && !text_equal(a.secret, b.secret));
    Bytes file;
    Text path = text_format(t->arena, "%.*s/catalog.db", TEXT_ARG(world.folder));
    check_ok(t, disk_read_whole(disk_real(), path, 64 * MB, t->arena, &file, t->err));
    check(t, text_find(bytes_text(file), a.secret) < 0);
    Text log_path = text_format(t->arena, "%.*s/catalog.db-wal", TEXT_ARG(world.folder));
    if (disk_read_whole(disk_real(), log_path, 64 * MB, t->arena, &file, t->err))
        check(t, text_find(bytes_text(file), a.secret) < 0);
    // SHA-256 of "abc", the first example of FIPS 180-4.
    uint8_t hash[KEY_HASH_BYTES];
    check_ok(t, key_hash(TEXT("abc"), hash, t->err));
    static const uint8_t abc[4] = {0xba, 0x78, 0x16, 0xbf};
    check_same_bytes(t, hash, abc, sizeof abc);
    world_end(t, &world);
}

TEST(randomness_that_fails_makes_no_key) {
    World world;
    world_begin(t, &world);
    AccessKeyOptions options = {.tenant = TEXT("acme"), .permissions = PERMISSION_ALL};
    Text key = TEXT_NONE;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        random_fail_after(nth);
        bool made =
            access_key_make(world.catalog, &world.clock.clock, options, t->arena, &key, t->err);
        random_fail_after(0);
        check(t, !made && key.len == 0);
    }
    check_ok(t, access_reload(world.access, t->err));
    check(t, !access_has_keys(world.access));
    options.permissions = 0;
    check_error(t,
                access_key_make(world.catalog, &world.clock.clock, options, t->arena, &key, t->err),
                ERROR_BAD_INPUT);
    options = (AccessKeyOptions){.tenant = TEXT("no/such"), .permissions = PERMISSION_ALL};
    check_error(t,
                access_key_make(world.catalog, &world.clock.clock, options, t->arena, &key, t->err),
                ERROR_BAD_INPUT);
    world_end(t, &world);
}

TEST_MAIN("access", CASE(without_any_key_everyone_may_do_everything_on_loopback),
          CASE(without_any_key_only_names_of_loopback_are_answered),
          CASE(a_key_is_found_wherever_clients_put_it),
          CASE(all_that_is_no_valid_key_gets_one_and_the_same_answer),
          CASE(a_key_ends_when_its_time_is_over),
          CASE(revoking_the_last_key_does_not_open_the_door),
          CASE(the_header_only_narrows_what_the_key_opens),
          CASE(a_permission_that_is_missing_is_named), CASE(permissions_are_words_and_a_table),
          CASE(a_key_of_permissions_from_a_newer_version_opens_nothing),
          CASE(keys_are_of_random_bytes_and_kept_as_hashes_only),
          CASE(randomness_that_fails_makes_no_key))
