// A data directory opened by a command, without a server. Private to cli.
#pragma once

#include "app/app.h"
#include "cli/load.h"
#include "ingest/ingest.h"
#include "store/store.h"

typedef struct LocalStore {
    RetentionRules retention;  // the store looks into them
    Store *store;
    Tenant *tenant;  // NULL: it never wrote
    IngestSender *replayer;
} LocalStore;

// The directory, retention and durability are those of the settings (--data among them); the
// tenant is that of --tenant, made when `create`. IN_USE while a server runs on it, NOT_FOUND when
// it is not there and not to be made. Ends with local_store_close, whatever came.
must_use bool local_store_open(const Call *call, bool create, LocalStore *out, Error *err);
void local_store_close(LocalStore *local);
