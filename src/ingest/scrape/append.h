// From a page to rows of a WriteBody: what a target says, with the labels it is given, and the end
// of what it says no more.
//
// A row that stood in the last scrape costs a comparison, a number and an append (cache.h). A new
// one gets its labels once: honor_labels or `exported_`, the target's labels, metric relabelling,
// limits. Either a page is appended whole or nothing of it (a fault, a limit), as Prometheus does.
#pragma once

#include "ingest/ingest.h"
#include "ingest/scrape/cache.h"
#include "ingest/scrape/config.h"

// Buffers shared by all targets of one scraper. Begin with {0}.
typedef struct AppendRoom {
    ScrapeLines *lines;
    HashKey hash_key;
    Exposition page;
    CacheCursor expected;
    CacheIndex index;
    CacheWriter writer;
    Arena arena;                 // of one row
    ARRAY(uint64_t) seen;        // a bit per row of the old cache
    ARRAY(uint32_t) live_flips;  // rows whose `live` changes when the page is fine
    uint64_t rows_refused;       // more labels than a series may have
} AppendRoom;
void append_room_free(AppendRoom *room);

typedef struct AppendTarget {
    const ScrapeConfig *config;
    Labels labels;       // what every row gets
    ScrapeCache *cache;  // read, and replaced when the page changed
    // What was learnt under another configuration, or NULL: its series end with the next page that
    // does not have them. Freed then.
    ScrapeCache *former;
} AppendTarget;

typedef struct AppendCounts {
    uint64_t scraped;  // rows of the page
    uint64_t kept;     // after metric relabelling
    uint64_t added;    // not in the last scrape
} AppendCounts;

// `*counts` also after a failure: how far it came. New metadata is appended too.
must_use bool append_page(AppendRoom *room, const AppendTarget *target, ExpositionFormat format,
                          Text page, int64_t time_ms, WriteBody *body, AppendCounts *counts,
                          Error *err);

// Every series that was live ends at `time_ms`.
void append_end(AppendRoom *room, const AppendTarget *target, int64_t time_ms, WriteBody *body);

// The labels of a row or of `up` and kin: the target's labels win over those of the page, which
// become `exported_…`; with `honor` the page's win.
void append_target_labels(RelabelLabels *labels, Labels target, bool honor);
