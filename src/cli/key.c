// `traceo key`: API keys, straight in the catalogue of a data directory. SQLite lets us in beside a
// running server, which reads its keys again every two seconds.

#include "access/access.h"
#include "cli/format.h"
#include "cli/load.h"
#include "cli/run.h"
#include "os/process.h"

typedef struct Keys {
    Call *call;
    Text folder;
    Catalog *catalog;
} Keys;

static void keys_end(Keys *keys) {
    catalog_close(&keys->catalog);
}

// Only `add` makes a data directory: for a list of nothing the path is more likely mistaken.
static bool keys_begin(Call *call, bool make, Keys *out, Error *err) {
    Settings settings;
    TRY(settings_load(call, call->arena, &settings, err));
    *out = (Keys){.call = call, .folder = settings_text(&settings, SETTING_DATA)};
    Disk *disk = disk_real();
    Text path = text_format(call->arena, "%.*s/catalog.db", TEXT_ARG(out->folder));
    bool there;
    TRY(disk->exists(disk, path, &there, err));
    if (!there && !make) {
        return error_set(err, ERROR_NOT_FOUND,
                         "there is no data directory at %.*s; say where it is with --data",
                         TEXT_ARG(out->folder));
    }
    TRY(disk_make_folders(disk, out->folder, err));
    return catalog_open(path, &out->catalog, err);
}

static bool read_options(const Call *call, AccessKeyOptions *out, Error *err) {
    Clock *clock = clock_system();
    *out = (AccessKeyOptions){.name = call_flag(call, FLAG_NAME),
                              .tenant = call_flag(call, FLAG_TENANT)};
    if (out->tenant.at == NULL) out->tenant = TENANT_DEFAULT_NAME;
    Text permissions = call_flag(call, FLAG_PERMISSIONS);
    out->permissions = PERMISSION_READ_METRICS | PERMISSION_WRITE_METRICS;
    if (permissions.at != NULL) TRY(permissions_parse(permissions, &out->permissions, err));
    if (!call_has(call, FLAG_EXPIRES)) return true;
    int64_t span_ms;
    TRY(distance_parse(call_flag(call, FLAG_EXPIRES), &span_ms, err));
    out->expires_ms = clock->wall_ms(clock) + span_ms;
    return true;
}

// The key alone on standard output, so that a script can keep it.
static ExitCode key_add(Keys *keys, const AccessKeyOptions *options, Error *err) {
    Text key;
    Arena *arena = keys->call->arena;
    if (!access_key_make(keys->catalog, clock_system(), *options, arena, &key, err))
        return CODE_FAILED;
    AUTO(builder_free) Builder note = {0};
    builder_addf(&note,
                 "A key for tenant %.*s that may %.*s, kept in %.*s. It is shown only now:\n",
                 TEXT_ARG(options->tenant),
                 TEXT_ARG(permissions_print(options->permissions, arena)), TEXT_ARG(keys->folder));
    stream_write_err(builder_text(&note));
    return call_print(text_format(arena, "%.*s\n", TEXT_ARG(key)), err);
}

static const char *state_of(const CatalogKey *key, int64_t now_ms) {
    if (key->revoked) return "revoked";
    return key->expires_ms != 0 && key->expires_ms <= now_ms ? "expired" : "valid";
}

static ExitCode key_list(Keys *keys, TableFormat format, Error *err) {
    Arena *arena = keys->call->arena;
    CatalogKey *rows;
    size_t count;
    if (!catalog_keys(keys->catalog, arena, &rows, &count, err)) return CODE_FAILED;
    Table table = {.arena = arena};
    static const Text names[] = {
        TEXT_INIT("id"),      TEXT_INIT("name"),    TEXT_INIT("tenant"), TEXT_INIT("permissions"),
        TEXT_INIT("created"), TEXT_INIT("expires"), TEXT_INIT("state")};
    for (size_t i = 0; i < COUNT(names); i++) table_column(&table, names[i], false, false);
    Clock *clock = clock_system();
    for (size_t i = 0; i < count; i++) {
        table_cell(&table, rows[i].id);
        table_cell(&table, rows[i].name);
        table_cell(&table, rows[i].tenant);
        table_cell(&table, rows[i].permissions);
        table_cell(&table, time_format_ms(rows[i].created_ms, arena));
        table_cell(&table, rows[i].expires_ms == 0 ? TEXT("never")
                                                   : time_format_ms(rows[i].expires_ms, arena));
        table_cell(&table, text_from_cstring(state_of(&rows[i], clock->wall_ms(clock))));
    }
    if (count == 0 && format == TABLE_TEXT) {
        stream_write_err(
            TEXT("no keys yet: whoever reaches the server may do everything, so it listens on this "
                 "machine only\n"));
        return CODE_OK;
    }
    AUTO(builder_free) Builder out = {0};
    table_print(&table, format, &out);
    return call_print(builder_text(&out), err);
}

// Takes the whole key as well as its id: that is what people have at hand.
static ExitCode key_revoke(Keys *keys, Text id, Error *err) {
    Text whole = id, part;
    if (text_starts_with(id, TEXT("traceo_")) && text_cut(&whole, '_', &part) &&
        text_cut(&whole, '_', &part))
        id = part;
    bool found;
    if (!catalog_key_revoke(keys->catalog, id, &found, err)) return CODE_FAILED;
    if (!found) {
        error_set(err, ERROR_NOT_FOUND, "there is no key %.*s; `traceo key list` shows them",
                  TEXT_ARG(id));
        return CODE_FAILED;
    }
    stream_write_err(text_format(keys->call->arena, "revoked: %.*s\n", TEXT_ARG(id)));
    return CODE_OK;
}

ExitCode command_key(Call *call, Error *err) {
    Text verb = call_argument(call, 0), id = call_argument(call, 1);
    bool add = text_equal(verb, TEXT("add")), list = text_equal(verb, TEXT("list")),
         revoke = text_equal(verb, TEXT("revoke"));
    if (!add && !list && !revoke)
        return call_usage(call, err, "say what to do: add, list or revoke");
    if (revoke && id.len == 0)
        return call_usage(call, err,
                          "say which key to revoke: its id, as `traceo key list` shows it");
    if (!revoke && id.at != NULL)
        return call_usage(call, err, "\"%.*s\" is one argument too many", TEXT_ARG(id));
    TableFormat format;
    AccessKeyOptions options;
    if (!call_format(call, &format, err) || (add && !read_options(call, &options, err)))
        return CODE_USAGE;
    AUTO(keys_end) Keys keys = {0};
    if (!keys_begin(call, add, &keys, err)) return CODE_FAILED;
    if (add) return key_add(&keys, &options, err);
    return list ? key_list(&keys, format, err) : key_revoke(&keys, id, err);
}
