// Starting, replacing and showing the scraper.

#include "app/scraping.h"

#include "base/log.h"
#include "os/random.h"

void scraping_begin(Scraping *scraping, ScrapeConfigs *configs, Text host, ServerBuild build,
                    Clock *clock) {
    *scraping = (Scraping){.host = host, .build = build, .clock = clock};
    if (configs != NULL) scraping->configs = scrape_configs_ref(configs);
    mutex_begin(&scraping->lock, LOCK_APP_SCRAPE);
}

void scraping_apply(Scraping *scraping, ScrapeConfigs *fresh) {
    if (fresh == NULL) return;
    mutex_take(&scraping->lock);
    ScrapeConfigs *old = scraping->configs;
    scraping->configs = fresh;
    Scraper *scraper = atomic_load(&scraping->scraper);
    if (scraper != NULL) scraper_apply(scraper, scraping->configs);
    mutex_give(&scraping->lock);
    scrape_configs_close(&old);
}

// All targets of a job are one sender: a thousand of them would push all others out of the table.
static void scraped(void *context, const ScrapeDone *done) {
    Error named;
    if (done->fault != NULL) {
        named = *done->fault;
        error_context(&named, "%.*s", TEXT_ARG(done->url));
    }
    SourceNote note = {
        .protocol = TEXT("scrape"),
        .peer = done->job,
        .tenant = done->tenant,
        .samples = done->samples,
        .bytes = done->bytes,
        .fault = done->fault != NULL ? &named : NULL,
    };
    server_note_source(context, &note);
}

bool scraping_start(Scraping *scraping, Store *store, Server *server, Error *err) {
    ScraperOptions options = {
        .store = store,
        .clock = scraping->clock,
        .disk = disk_real(),
        .version = scraping->build.version,
        .host = scraping->host,
        .done = scraped,
        .done_context = server,
    };
    TRY(random_hash_key(&options.hash_key, err));
    Scraper *scraper;
    TRY(scraper_start(&options, &scraper, err));
    mutex_take(&scraping->lock);
    atomic_store(&scraping->scraper, scraper);
    if (scraping->configs != NULL) scraper_apply(scraper, scraping->configs);
    mutex_give(&scraping->lock);
    return true;
}

void scraping_end(Scraping *scraping) {
    Scraper *scraper = atomic_exchange(&scraping->scraper, NULL);
    scraper_stop(&scraper);
    scrape_configs_close(&scraping->configs);
    mutex_end(&scraping->lock);
}

// ---- What the server shows ----

void scraping_print(Scraping *scraping, Builder *out) {
    mutex_take(&scraping->lock);
    if (scraping->configs != NULL) scrape_configs_print(scraping->configs, out);
    mutex_give(&scraping->lock);
}

static bool face_targets(void *context, Text state, Text pool, JsonWriter *writer, Error *err) {
    Scraper *scraper = atomic_load(&((Scraping *)context)->scraper);
    if (scraper != NULL) return scraper_write_targets(scraper, state, pool, writer, err);
    json_raw(writer,
             TEXT("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"));
    return true;
}

static bool face_pools(void *context, JsonWriter *writer, Error *err) {
    Scraper *scraper = atomic_load(&((Scraping *)context)->scraper);
    if (scraper != NULL) return scraper_write_pools(scraper, writer, err);
    json_raw(writer, TEXT("{\"scrapePools\":[]}"));
    return true;
}

static bool face_metadata(void *context, Matchers matchers, Text metric, uint64_t limit,
                          JsonWriter *writer, Error *err) {
    Scraper *scraper = atomic_load(&((Scraping *)context)->scraper);
    if (scraper != NULL)
        return scraper_write_metadata(scraper, matchers, metric, limit, writer, err);
    json_raw(writer, TEXT("[]"));
    return true;
}

static void face_state(void *context, ScraperState *out) {
    *out = (ScraperState){0};
    Scraper *scraper = atomic_load(&((Scraping *)context)->scraper);
    if (scraper != NULL) scraper_state(scraper, out);
}

static bool face_external_labels(void *context, Arena *arena, Labels *out, Error *err) {
    Scraping *scraping = context;
    bool made = true;
    *out = LABELS_NONE;
    mutex_take(&scraping->lock);
    if (scraping->configs != NULL) {
        LabelArray labels = scrape_configs_external_labels(scraping->configs);
        made = labels_make(labels.at, labels.count, arena, out, err);
    }
    mutex_give(&scraping->lock);
    return made;
}

ServerScrape scraping_faces(Scraping *scraping) {
    return (ServerScrape){scraping,      face_targets, face_pools,
                          face_metadata, face_state,   face_external_labels};
}
