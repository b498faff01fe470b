// Discovery: where targets come from. Every mechanism sits behind one seam:
//
//   start … found(groups), found(error), found(groups) … stop
//
// Each delivery replaces all groups of that provider; after a failure the old ones stay in force
// and the error is for the operator. Everything happens on the scraper's loop. To add a mechanism
// (Kubernetes, …): a file with a start function and a row of functions, a list in config.h, a line
// in pool.c.
#pragma once

#include "ingest/scrape/client.h"
#include "ingest/scrape/target_group.h"
#include "net/resolve.h"

// What a provider may use; lives as long as the scraper.
typedef struct DiscoveryWorld {
    Loop *loop;
    Disk *disk;
    FetchClient *fetches;
    Resolver *resolver;
    Text user_agent;
} DiscoveryWorld;

// `groups` (views during the call) or `err`, one of them NULL. Perhaps from inside start.
typedef void (*DiscoveryFound)(void *context, const TargetGroups *groups, const Error *err);

// The common head of every provider.
typedef struct Discovery Discovery;
struct Discovery {
    const char *mechanism;  // "file", for messages
    void (*stop)(Discovery *discovery);
    const DiscoveryWorld *world;
    DiscoveryFound found;
    void *context;
};

// The configuration outlives the provider.
Discovery *discovery_file_start(const DiscoveryWorld *world, const FileDiscovery *config,
                                DiscoveryFound found, void *context);
Discovery *discovery_dns_start(const DiscoveryWorld *world, const DnsDiscovery *config,
                               DiscoveryFound found, void *context);
Discovery *discovery_http_start(const DiscoveryWorld *world, const HttpDiscovery *config,
                                DiscoveryFound found, void *context);

// Not from inside `found`. NULL is fine.
static inline void discovery_stop(Discovery **discovery) {
    if (*discovery != NULL) (*discovery)->stop(TAKE(*discovery));
}
