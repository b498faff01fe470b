// Scraping as the application runs it: the scraper, its configuration, and the faces the server
// shows.
//
// The configuration is the same file as the settings (scrape_configs beside our own keys). It is
// read before anything starts, so that a mistake is said at once; the scraper itself begins when
// the log is replayed.
#pragma once

#include <stdatomic.h>

#include "os/thread.h"
#include "server/server.h"

typedef struct Scraping {
    Text config_path;  // empty: nothing to scrape
    ServerBuild build;
    Clock *clock;
    Text host;
    Mutex lock;  // of `configs`
    ScrapeConfigs *configs;
    _Atomic(Scraper *) scraper;  // NULL until it runs
} Scraping;

void scraping_begin(Scraping *scraping, Text config_path, Text host, ServerBuild build,
                    Clock *clock);
// Reads the configuration (again). On failure the old one stays in force.
must_use bool scraping_load(Scraping *scraping, Error *err);
// Any of the program's threads; once.
must_use bool scraping_start(Scraping *scraping, Store *store, Server *server, Error *err);
void scraping_end(Scraping *scraping);  // after the server has stopped

// The scrape half of the settings in force, secrets masked; any thread.
void scraping_print(Scraping *scraping, Builder *out);
ServerScrape scraping_faces(Scraping *scraping);
