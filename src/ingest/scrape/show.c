// Targets as JSON, in the shapes of Prometheus' HTTP API.

#include "ingest/scrape/show.h"

#include "ingest/scrape/scraper.h"

// ORDER: TargetHealth.
static const Text health_names[] = {TEXT_INIT("unknown"), TEXT_INIT("up"), TEXT_INIT("down")};

// The URL with this machine's name where it says localhost.
static Text global_url(const ScrapeTarget *target, Arena *arena) {
    static const Text here[] = {TEXT_INIT("127.0.0.1"), TEXT_INIT("localhost"), TEXT_INIT("[::1]")};
    ptrdiff_t at = text_find(target->url, TEXT("://"));
    if (at < 0) return target->url;
    Text scheme = text_slice(target->url, 0, (size_t)at + 3);
    Text rest = text_slice(target->url, scheme.len, target->url.len);
    for (size_t i = 0; i < COUNT(here); i++) {
        if (!text_starts_with(rest, here[i])) continue;
        Text behind = text_slice(rest, here[i].len, rest.len);
        if (behind.len > 0 && behind.at[0] != ':' && behind.at[0] != '/') continue;
        return text_format(arena, "%.*s%.*s%.*s", TEXT_ARG(scheme),
                           TEXT_ARG(target->pool->scraper->options.host), TEXT_ARG(behind));
    }
    return target->url;
}

static void write_text(JsonWriter *writer, const char *key, Text value) {
    json_key(writer, text_from_cstring(key));
    json_text(writer, value);
}

static void write_active(JsonWriter *writer, const ScrapeTarget *target) {
    AUTO(arena_free) Arena arena = {0};
    json_object_begin(writer);
    json_key(writer, TEXT("discoveredLabels"));
    labels_write_json(target->discovered, writer);
    json_key(writer, TEXT("labels"));
    labels_write_json(target->labels, writer);
    write_text(writer, "scrapePool", target->pool->name);
    write_text(writer, "scrapeUrl", target->url);
    write_text(writer, "globalUrl", global_url(target, &arena));
    write_text(writer, "lastError", text_from_cstring(target->last_error));
    Text last = target->last_scrape_ms == 0 ? TEXT("0001-01-01T00:00:00Z")
                                            : time_format_ms(target->last_scrape_ms, &arena);
    write_text(writer, "lastScrape", last);
    json_key(writer, TEXT("lastScrapeDuration"));
    json_f64(writer, (double)target->last_duration_ns / 1e9);
    write_text(writer, "health", health_names[target->health]);
    write_text(writer, "scrapeInterval", target->interval);
    write_text(writer, "scrapeTimeout", target->timeout);
    json_object_end(writer);
}

static void write_dropped(JsonWriter *writer, const ScrapePool *pool, Labels discovered) {
    json_object_begin(writer);
    json_key(writer, TEXT("discoveredLabels"));
    labels_write_json(discovered, writer);
    write_text(writer, "scrapePool", pool->name);
    json_object_end(writer);
}

// Pools by name, as Prometheus shows them.
static const ScrapePool **sorted_pools(const Scraper *scraper, Arena *arena) {
    const ScrapePool **sorted = arena_push_array(arena, const ScrapePool *, scraper->pools.count);
    for (size_t i = 0; i < scraper->pools.count; i++) {
        size_t k = i;
        for (; k > 0 && text_compare(sorted[k - 1]->name, scraper->pools.at[i]->name) > 0; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = scraper->pools.at[i];
    }
    return sorted;
}

// ---- /api/v1/targets ----

typedef struct TargetsCall {
    bool active, dropped;
    Text pool;
    JsonWriter *writer;
} TargetsCall;

static bool run_targets(Scraper *scraper, void *context, Error *err) {
    const TargetsCall *call = context;
    JsonWriter *writer = call->writer;
    AUTO(arena_free) Arena arena = {0};
    const ScrapePool **pools = sorted_pools(scraper, &arena);
    json_object_begin(writer);
    json_key(writer, TEXT("activeTargets"));
    json_array_begin(writer);
    for (size_t i = 0; call->active && i < scraper->pools.count; i++) {
        if (call->pool.len > 0 && !text_equal(call->pool, pools[i]->name)) continue;
        for (size_t k = 0; k < pools[i]->targets.count; k++) {
            if (!pools[i]->targets.at[k]->ending) write_active(writer, pools[i]->targets.at[k]);
        }
    }
    json_array_end(writer);
    json_key(writer, TEXT("droppedTargets"));
    json_array_begin(writer);
    for (size_t i = 0; call->dropped && i < scraper->pools.count; i++) {
        if (call->pool.len > 0 && !text_equal(call->pool, pools[i]->name)) continue;
        for (size_t k = 0; k < pools[i]->dropped.count; k++)
            write_dropped(writer, pools[i], pools[i]->dropped.at[k]);
    }
    json_array_end(writer);
    json_key(writer, TEXT("droppedTargetCounts"));
    if (call->dropped) {
        json_object_begin(writer);
        for (size_t i = 0; i < scraper->pools.count; i++) {
            json_key(writer, pools[i]->name);
            json_u64(writer, pools[i]->dropped_count);
        }
        json_object_end(writer);
    } else {
        json_null(writer);
    }
    json_object_end(writer);
    return true;
}

bool scraper_write_targets(Scraper *scraper, Text state, Text pool, JsonWriter *writer,
                           Error *err) {
    bool any = state.len == 0 || text_equal_ignore_case(state, TEXT("any"));
    TargetsCall call = {
        .active = any || text_equal_ignore_case(state, TEXT("active")),
        .dropped = any || text_equal_ignore_case(state, TEXT("dropped")),
        .pool = pool,
        .writer = writer,
    };
    return scraper_call(scraper, run_targets, &call, err);
}

// ---- /api/v1/scrape_pools ----

static bool run_pools(Scraper *scraper, void *context, Error *err) {
    JsonWriter *writer = context;
    AUTO(arena_free) Arena arena = {0};
    const ScrapePool **pools = sorted_pools(scraper, &arena);
    json_object_begin(writer);
    json_key(writer, TEXT("scrapePools"));
    json_array_begin(writer);
    for (size_t i = 0; i < scraper->pools.count; i++) json_text(writer, pools[i]->name);
    json_array_end(writer);
    json_object_end(writer);
    return true;
}

bool scraper_write_pools(Scraper *scraper, JsonWriter *writer, Error *err) {
    return scraper_call(scraper, run_pools, writer, err);
}

// ---- /api/v1/targets/metadata ----

typedef struct MetadataCall {
    Matchers matchers;
    Text metric;
    uint64_t limit, written;
    JsonWriter *writer;
} MetadataCall;

static bool target_matches(const MetadataCall *call, const ScrapeTarget *target) {
    for (size_t i = 0; i < call->matchers.count; i++) {
        const Matcher *matcher = &call->matchers.at[i];
        if (!matcher_matches(matcher, labels_get(target->labels, matcher->name))) return false;
    }
    return true;
}

typedef struct Family {
    Text name, help, unit;
    MetadataType type;
} Family;

static void write_family(MetadataCall *call, const ScrapeTarget *target, const Family *family) {
    if (family->name.len == 0 || (call->limit > 0 && call->written >= call->limit)) return;
    if (call->metric.len > 0 && !text_equal(call->metric, family->name)) return;
    call->written++;
    JsonWriter *writer = call->writer;
    json_object_begin(writer);
    json_key(writer, TEXT("target"));
    labels_write_json(target->labels, writer);
    if (call->metric.len == 0) write_text(writer, "metric", family->name);
    write_text(writer, "type", metadata_type_name((uint8_t)family->type));
    write_text(writer, "help", family->help);
    write_text(writer, "unit", family->unit);
    json_object_end(writer);
}

static void write_families(MetadataCall *call, const ScrapeTarget *target) {
    const ScrapeLines *lines = &target->pool->scraper->lines;
    Family family = {0};
    for (uint32_t i = 0; i < target->cache.count; i++) {
        if (target->cache.entries[i].kind != CACHE_LINE) continue;
        const ScrapeLine *line = &lines->lines.at[target->cache.entries[i].line];
        if (!text_equal(line->family, family.name)) {
            write_family(call, target, &family);
            family = (Family){.name = line->family};
        }
        if (line->kind == EXPOSITION_TYPE) family.type = line->type;
        if (line->kind == EXPOSITION_HELP) family.help = line->text;
        if (line->kind == EXPOSITION_UNIT) family.unit = line->text;
    }
    write_family(call, target, &family);
}

static bool run_metadata(Scraper *scraper, void *context, Error *err) {
    MetadataCall *call = context;
    json_array_begin(call->writer);
    for (size_t i = 0; i < scraper->pools.count; i++) {
        const ScrapePool *pool = scraper->pools.at[i];
        for (size_t k = 0; k < pool->targets.count; k++) {
            if (!pool->targets.at[k]->ending && target_matches(call, pool->targets.at[k]))
                write_families(call, pool->targets.at[k]);
        }
    }
    json_array_end(call->writer);
    return true;
}

bool scraper_write_metadata(Scraper *scraper, Matchers matchers, Text metric, uint64_t limit,
                            JsonWriter *writer, Error *err) {
    MetadataCall call = {matchers, metric, limit, 0, writer};
    return scraper_call(scraper, run_metadata, &call, err);
}
