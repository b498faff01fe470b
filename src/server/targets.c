// What is scraped: targets, pools and their metadata, as the scraper tells it.
//
// Everything scraped belongs to the tenant "default", so others see no targets. Before the scraper
// runs (while the log is replayed) and without one the lists are empty, which is the truth.

#include "server/matchers.h"
#include "server/serve.h"

static const ServerScrape *scrape_of(const Request *request) {
    const ServerScrape *scrape = &request->server->options.scrape;
    bool own = text_equal(request->identity.tenant, TENANT_DEFAULT_NAME);
    return own && scrape->targets != NULL ? scrape : NULL;
}

static bool answer_raw(Request *request, Text data) {
    JsonWriter writer = envelope_begin(request);
    json_raw(&writer, data);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}

bool serve_targets(Request *request, Error *err) {
    const ServerScrape *scrape = scrape_of(request);
    if (scrape == NULL)
        return answer_raw(
            request,
            TEXT("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"));
    JsonWriter writer = envelope_begin(request);
    TRY(scrape->targets(scrape->context, param_text(request, TEXT("state")),
                        param_text(request, TEXT("scrapePool")), &writer, err));
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}

bool serve_scrape_pools(Request *request, Error *err) {
    const ServerScrape *scrape = scrape_of(request);
    if (scrape == NULL) return answer_raw(request, TEXT("{\"scrapePools\":[]}"));
    JsonWriter writer = envelope_begin(request);
    TRY(scrape->pools(scrape->context, &writer, err));
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}

static void promql_end(Promql *promql) {
    if (promql->root != NULL) promql_close(promql);
}

bool serve_targets_metadata(Request *request, Error *err) {
    uint64_t limit;
    TRY(param_limit(request, TEXT("limit"), &limit, err));
    AUTO(arena_free) Arena arena = {0};
    AUTO(promql_end) Promql selector = {0};
    Text match = param_text(request, TEXT("match_target"));
    Matchers matchers = {0};
    if (match.len > 0) {
        if (!promql_parse_selector(match, &arena, &selector, err))
            return error_context(err, "invalid parameter \"match_target\"");
        matchers = selector.root->as.selector.matchers;
    }
    const ServerScrape *scrape = scrape_of(request);
    if (scrape == NULL) return answer_raw(request, TEXT("[]"));
    JsonWriter writer = envelope_begin(request);
    TRY(scrape->metadata(scrape->context, matchers, param_text(request, TEXT("metric")), limit,
                         &writer, err));
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
