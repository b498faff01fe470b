// What app does for a server, without the server: open, replay, run.

#include "cli/local_store.h"

bool local_store_open(const Call *call, bool create, LocalStore *out, Error *err) {
    *out = (LocalStore){0};
    Settings settings;
    TRY(settings_load(call, call->arena, &settings, err));
    Text folder = settings_text(&settings, SETTING_DATA);
    bool there;
    TRY(disk_real()->exists(
        disk_real(), text_format(call->arena, "%.*s/catalog.db", TEXT_ARG(folder)), &there, err));
    if (!there && !create)
        return error_set(err, ERROR_NOT_FOUND,
                         "there is no data directory at %.*s; say where it is with --data",
                         TEXT_ARG(folder));
    StoreOptions options;
    TRY(store_options_make(&settings, clock_system(), &out->retention, &options, err));
    TRY(disk_make_folders(disk_real(), folder, err));
    TRY(store_open(options, &out->store, err));
    out->replayer = ingest_sender_new();
    TRY(store_replay(out->store, ingest_replay, out->replayer, err));
    TRY(store_run(out->store, err));
    Text tenant = call_flag(call, FLAG_TENANT);
    if (tenant.at == NULL) tenant = TENANT_DEFAULT_NAME;
    return store_tenant(out->store, tenant, create, &out->tenant, err);
}

void local_store_close(LocalStore *local) {
    store_close(&local->store);
    ingest_sender_free(&local->replayer);
    retention_rules_free(&local->retention);
}
