// The scraper as its own files see it: scraper, pools, targets. Private to ingest/scrape; all of it
// belongs to the scraper's thread, but the counters.
#pragma once

#include <stdatomic.h>

#include "ingest/scrape/append.h"
#include "ingest/scrape/discovery.h"
#include "ingest/scrape/scraper.h"
#include "os/thread.h"

typedef struct ScrapePool ScrapePool;
typedef struct ScrapeTarget ScrapeTarget;

// A client and the configuration it was made of, until its last request is back: a reload may have
// put others in their place.
typedef struct ClientLife {
    ScrapeClient *client;
    ScrapeConfigs *configs;
    uint32_t users;
    bool retired;
} ClientLife;
void client_life_give(ClientLife *life);

typedef enum TargetHealth { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN } TargetHealth;

// What the scraper itself says of a target, in Prometheus' order.
typedef enum ReportRow {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SCRAPED,
    REPORT_KEPT,
    REPORT_ADDED,
    REPORT_TIMEOUT,  // this one and the rest: extra_scrape_metrics
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_BYTES,
    REPORT_COUNT
} ReportRow;

struct ScrapeTarget {
    ScrapePool *pool;
    Arena arena;        // of the texts below
    Labels discovered;  // before relabelling; heap
    Labels all;         // after it, without __meta_…
    Labels labels;      // those that rows get
    Text url;
    Text interval, timeout;  // as their labels say
    int64_t interval_ms, timeout_ms;
    int64_t phase_ms;  // where in the interval
    Labels reports[REPORT_COUNT];
    ScrapeCache cache;
    ScrapeCache former;  // of the configuration before, until the next page

    WheelTimer timer;
    int64_t due_ms;      // wall clock: the next scrape, or when the end is marked
    int64_t end_ms;      // the time the end is marked with
    int64_t scrape_ms;   // of the scrape under way
    int64_t started_ns;  // the same, monotonic
    Fetch *fetch;
    ClientLife *life;  // of that fetch
    bool ending;       // no longer wanted; its series are marked as ended soon
    bool wanted;       // by the sync under way

    TargetHealth health;
    char *last_error;  // heap; NULL: none
    int64_t last_scrape_ms;
    int64_t last_duration_ns;
};

// A target as discovery and relabelling made it, on a scratch arena.
typedef struct TargetDraft {
    Labels discovered, all, labels;
    bool keep;
    Text url, interval, timeout;
    int64_t interval_ms, timeout_ms;
} TargetDraft;

// BAD_INPUT: this is no target, and why. `groups` labels and one address of the group.
must_use bool target_draft(const ScrapeConfig *config, const TargetGroup *group, Text address,
                           Arena *arena, TargetDraft *out, Error *err);
ScrapeTarget *target_new(ScrapePool *pool, const TargetDraft *draft);
void target_start(ScrapeTarget *target);
void target_end(ScrapeTarget *target);     // its series end, then it frees itself
void target_revive(ScrapeTarget *target);  // it is wanted again
void target_free(ScrapeTarget *target);    // at once
// Labels would come out different now: rows are learnt anew, and what does not come again ends.
void target_forget_rows(ScrapeTarget *target);
void target_set_discovered(ScrapeTarget *target, Labels discovered);

typedef struct PoolProvider {
    ScrapePool *pool;
    Discovery *discovery;
    TargetGroups groups;  // of its last delivery
    Arena arena;
    Builder place;  // where it looks: while that stays, what was found stays
    bool failing;
} PoolProvider;

struct ScrapePool {
    Scraper *scraper;
    const ScrapeConfig *config;  // of life->configs
    ClientLife *life;
    Text name, accept;
    Arena arena;  // of name and accept
    PoolProvider *providers;
    size_t provider_count;
    ARRAY(ScrapeTarget *) targets;
    ARRAY(Labels) dropped;  // discovered labels
    Arena dropped_arena;
    uint64_t faulty;         // addresses that are no targets, as the log was told
    uint64_t dropped_count;  // also of those that are not kept
    WheelTimer sync_timer;
    Error limit_error;    // target_limit; every scrape fails with it
    Builder fingerprint;  // of what decides how rows come out
    bool wanted;
};

ScrapePool *pool_new(Scraper *scraper, ScrapeConfigs *configs, const ScrapeConfig *config);
void pool_apply(ScrapePool *pool, ScrapeConfigs *configs, const ScrapeConfig *config);
void pool_remove_target(ScrapePool *pool, ScrapeTarget *target);  // and frees it
void pool_end(ScrapePool *pool);                                  // its targets end
void pool_free(ScrapePool *pool);

struct Scraper {
    ScraperOptions options;
    Text tenant_name;
    Text user_agent;
    Arena arena;
    Loop *loop;
    Thread *thread;
    FetchClient *fetches;
    Resolver *resolver;
    DiscoveryWorld world;
    ScrapeLines lines;
    AppendRoom room;
    ARRAY(ScrapePool *) pools;
    ARRAY(ScrapePool *) ending_pools;  // until their last target is gone
    IngestSender *sender;
    WriteBody body;  // rows of several targets, until the next flush
    WheelTimer flush_timer;
    bool failing, refusing;  // said in the log
    Mutex lock;              // LOCK_SCRAPE_CALL, of what follows and of calls
    Condition called;
    ScrapeConfigs *pending;  // to be applied
    bool ended;              // the thread has left its loop
    // Counters, read by any thread.
    _Atomic uint64_t pool_count, by_health[3], dropped, scrapes, scrapes_failed, samples,
        body_bytes, wire_bytes, duration_ns, rows_refused, writes_failed, series_cached,
        discovery_failures;
    _Atomic int64_t cache_bytes;
};

// Rows were added to scraper->body: they will be stored soon.
void scraper_written(Scraper *scraper);
void scraper_flush(Scraper *scraper);
void scraper_count_targets(Scraper *scraper);
// The connections that idle targets may keep.
void scraper_resize(Scraper *scraper);
