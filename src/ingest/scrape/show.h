// What the scraper shows of itself, written on its own thread. Private to ingest/scrape.
#pragma once

#include "ingest/scrape/parts.h"

// Runs on the scraper's thread and waits for it. Not from that thread.
bool scraper_call(Scraper *scraper, bool (*run)(Scraper *scraper, void *context, Error *err),
                  void *context, Error *err);
