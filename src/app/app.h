// The application: builds the parts, wires them, runs, stops.
//
// One call for `traceo serve`: opens the store, starts the server (which answers "replaying" until
// it is done), replays, collects the host's and its own metrics, and waits for a signal.
#pragma once

#include "app/store_options.h"
#include "server/server.h"

typedef struct AppOptions {
    const Settings *settings;
    ScrapeConfigs *scrape;  // of the same file, checked; NULL: none. The caller's reference
    Text config_path;       // for the start-up lines; empty when there is none
    // Makes both again from file, environment and flags; the arena and the reference are the
    // application's. `*scrape` NULL: there is no file. On failure nothing is left to close.
    bool (*settings_again)(void *context, Arena *arena, Settings *out, ScrapeConfigs **scrape,
                           Error *err);
    void *context;
    ServerBuild build;
    UiFiles ui;  // the page; see server/ui.h
    bool quiet;  // no start-up lines on standard output
} AppOptions;

// Returns when asked to stop. IN_USE when the address or the directory is taken.
must_use bool app_run(const AppOptions *options, Error *err);
