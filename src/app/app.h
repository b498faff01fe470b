// The application: builds the parts, wires them, runs, stops.
//
// One call for `traceo serve`: opens the store, starts the server (which answers "replaying" until
// it is done), replays, collects the host's and its own metrics, and waits for a signal.
#pragma once

#include "app/settings.h"
#include "server/server.h"

typedef struct AppOptions {
    const Settings *settings;
    Text config_path;  // for the start-up lines; empty when there is none
    // Makes the settings again from file, environment and flags; the arena is the application's.
    bool (*settings_again)(void *context, Arena *arena, Settings *out, Error *err);
    void *context;
    ServerBuild build;
    UiFiles ui;  // the page; see server/ui.h
    bool quiet;  // no start-up lines on standard output
} AppOptions;

// Returns when asked to stop. IN_USE when the address or the directory is taken.
must_use bool app_run(const AppOptions *options, Error *err);
