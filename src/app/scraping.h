// Scraping as the application runs it: the scraper, its configuration, and the faces the server
// shows.
//
// The configuration is the same file as the settings (scrape_configs beside our own keys). Whoever
// reads the file hands it on as it was checked; the scraper begins when the log is replayed.
#pragma once

#include <stdatomic.h>

#include "os/thread.h"
#include "server/server.h"

typedef struct Scraping {
    ServerBuild build;
    Clock *clock;
    Text host;
    Mutex lock;                  // of `configs`
    ScrapeConfigs *configs;      // NULL: nothing to scrape
    _Atomic(Scraper *) scraper;  // NULL until it runs
} Scraping;

// `configs` may be NULL; a reference of its own is kept.
void scraping_begin(Scraping *scraping, ScrapeConfigs *configs, Text host, ServerBuild build,
                    Clock *clock);
// Takes the reference. NULL leaves in force what is.
void scraping_apply(Scraping *scraping, ScrapeConfigs *fresh);
// Any of the program's threads; once.
must_use bool scraping_start(Scraping *scraping, Store *store, Server *server, Error *err);
void scraping_end(Scraping *scraping);  // after the server has stopped

// The scrape half of the settings in force, secrets masked; any thread.
void scraping_print(Scraping *scraping, Builder *out);
ServerScrape scraping_faces(Scraping *scraping);
