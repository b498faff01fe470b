// How to reach a server that a configuration names: a FetchRequest gets its authorisation, TLS,
// proxy and headers from an HttpClientConfig.
//
// Secrets in files are read anew for every request, so that they can be renewed without a reload.
// An OAuth2 token is asked for ahead of need and renewed before it ends. Belongs to a loop; calls
// on its thread. The configuration outlives the client.
#pragma once

#include "ingest/scrape/config.h"
#include "net/fetch.h"

typedef struct ScrapeClient ScrapeClient;

ScrapeClient *scrape_client_open(Loop *loop, Disk *disk, FetchClient *fetches,
                                 const HttpClientConfig *config);
void scrape_client_close(ScrapeClient **client);  // NULL is fine

// Fills what the configuration decides; method, URL, limits and callback are the caller's, as are
// `headers`, which stand in front. Lives on `arena`, or as long as the client. BAD_INPUT for a
// secret that cannot be read (naming its file), UNAUTHENTICATED while there is no token.
must_use bool scrape_client_prepare(ScrapeClient *client, Arena *arena, FetchRequest *request,
                                    Error *err);
// The server said 401: a token is asked for again.
void scrape_client_refused(ScrapeClient *client);
