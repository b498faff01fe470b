// The scraper: asks targets for their metrics, each in its own rhythm, and stores what they say.
//
//   configuration ─► pool (one per job) ─ discovery ─► targets ─ relabelling ─► ScrapeTarget
//   ScrapeTarget  ─ every interval ─► fetch ─► exposition ─► append ─► WriteBody ─► ingest_samples
//
// One thread ("scrape") with one loop does all of it; nothing of it is shared but counters.
// README.md has the picture.
#pragma once

#include "codec/json.h"
#include "ingest/ingest.h"
#include "ingest/scrape/config.h"

typedef struct Scraper Scraper;

// The end of one scrape, for whoever shows what is arriving. `fault` NULL: it was good.
typedef struct ScrapeDone {
    Text job, url, tenant;
    uint64_t samples, bytes;
    const Error *fault;
} ScrapeDone;

typedef struct ScraperOptions {
    Store *store;  // replayed and running; outlives the scraper
    Clock *clock;
    Disk *disk;        // files of discovery, secrets
    HashKey hash_key;  // secret of this process
    Text version;      // for User-Agent
    Text host;         // this machine's name: spreads targets, and stands in globalUrl
    Text tenant;       // empty: TENANT_DEFAULT_NAME
    Text dns_servers;  // empty: /etc/resolv.conf
    // Called after each scrape, on the scraper's thread, which it must not hold up. NULL is fine.
    void (*done)(void *context, const ScrapeDone *done);
    void *done_context;
} ScraperOptions;

// Scrapes nothing until scraper_apply.
must_use bool scraper_start(const ScraperOptions *options, Scraper **out, Error *err);
// Ends at once: nothing is marked as ended, since somebody will go on soon. NULL is fine.
void scraper_stop(Scraper **scraper);

// From now on this is scraped. Targets whose labels and address stay keep what was learnt of them.
// Any thread; the scraper takes a reference of its own.
void scraper_apply(Scraper *scraper, ScrapeConfigs *configs);

typedef struct ScraperState {
    uint64_t pools, targets_up, targets_down, targets_unknown, targets_dropped;
    uint64_t scrapes, scrapes_failed;
    uint64_t samples;        // scraped, before metric relabelling
    uint64_t body_bytes;     // of pages, unpacked
    uint64_t wire_bytes;     // as they came
    uint64_t duration_ns;    // from the request to the last row
    uint64_t rows_refused;   // by the store, or for too many labels
    uint64_t writes_failed;  // batches of which nothing was stored
    uint64_t series_cached;
    int64_t cache_bytes;
    uint64_t discovery_failures;
} ScraperState;
void scraper_state(const Scraper *scraper, ScraperState *out);  // any thread

// ---- What is shown (any thread but the scraper's; waits for its next free moment) ----

// The `data` of /api/v1/targets: `state` is "active", "dropped", "any" or empty; `pool` empty: all.
must_use bool scraper_write_targets(Scraper *scraper, Text state, Text pool, JsonWriter *writer,
                                    Error *err);
// /api/v1/scrape_pools.
must_use bool scraper_write_pools(Scraper *scraper, JsonWriter *writer, Error *err);
// /api/v1/targets/metadata: of the targets that every matcher matches; `metric` empty: all; `limit`
// 0: all.
must_use bool scraper_write_metadata(Scraper *scraper, Matchers matchers, Text metric,
                                     uint64_t limit, JsonWriter *writer, Error *err);
