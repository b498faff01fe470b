// The settings in force: read by any thread, replaced whole by a reload, and what a reload changes
// at run time.
#pragma once

#include "app/app.h"
#include "app/scraping.h"
#include "os/thread.h"
#include "server/server.h"

typedef struct InForce {
    const AppOptions *options;
    Mutex lock;  // of all below
    Settings settings;
    Arena *arena;        // of `settings`; NULL while they are those the program began with
    Server *server;      // NULL until it runs
    Store *store;        // of the server
    Scraping *scraping;  // replaced by a reload; NULL: none
} InForce;

void in_force_begin(InForce *in_force, const AppOptions *options);
void in_force_end(InForce *in_force);
void in_force_set_server(InForce *in_force, Server *server, Store *store);  // NULL: no more

ServerQuerySettings in_force_query(const Settings *settings);

// Makes the settings again from all layers. On failure the old ones stay. Settings that only count
// at start are named in the log when they differ.
must_use bool in_force_reload(InForce *in_force, Error *err);

// The faces that the server shows of them.
ServerSettings in_force_faces(InForce *in_force);
