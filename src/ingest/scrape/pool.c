// A pool: one job of the configuration, its discovery, and the targets that came of it.

#include "base/log.h"
#include "base/map.h"
#include "ingest/scrape/parts.h"

enum { SYNC_AFTER_MS = 50 };  // several deliveries at once are one sync

void client_life_give(ClientLife *life) {
    if (life->users > 0) life->users--;
    if (life->users > 0 || !life->retired) return;
    scrape_client_close(&life->client);
    scrape_configs_close(&life->configs);
    memory_free(life);
}

static void client_life_retire(ClientLife *life) {
    life->retired = true;
    if (life->users == 0) client_life_give(life);
}

// ---- What the configuration decides ----

// As Prometheus asks: what is wanted most first, anything at last.
static Text accept_of(const ScrapeConfig *config, Arena *arena) {
    static const char *const types[SCRAPE_PROTOCOL_COUNT] = {
        [SCRAPE_PROTOCOL_PROTO] =
            "application/vnd.google.protobuf;"
            "proto=io.prometheus.client.MetricFamily;encoding=delimited",
        [SCRAPE_PROTOCOL_TEXT_0_0_4] = "text/plain;version=0.0.4",
        [SCRAPE_PROTOCOL_TEXT_1_0_0] = "text/plain;version=1.0.0",
        [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
        [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
    };
    static const char *const escapings[] = {
        [ESCAPING_UNSET] = "allow-utf-8",       [ESCAPING_ALLOW_UTF8] = "allow-utf-8",
        [ESCAPING_UNDERSCORES] = "underscores", [ESCAPING_DOTS] = "dots",
        [ESCAPING_VALUES] = "values",
    };
    AUTO(builder_free) Builder out = {0};
    int weight = SCRAPE_PROTOCOL_COUNT;
    for (size_t i = 0; i < config->protocols.count; i++) {
        ScrapeProtocol protocol = config->protocols.at[i];
        builder_addf(&out, "%s", types[protocol]);
        if (protocol == SCRAPE_PROTOCOL_TEXT_1_0_0 || protocol == SCRAPE_PROTOCOL_OPENMETRICS_1_0_0)
            builder_addf(&out, ";escaping=%s", escapings[config->escaping]);
        builder_addf(&out, ";q=0.%d,", weight--);
    }
    builder_addf(&out, "*/*;q=0.%d", weight);
    return text_copy(builder_text(&out), arena);
}

static void print_rules(const RelabelRules *rules, Builder *out) {
    for (size_t i = 0; i < rules->count; i++) {
        const RelabelRule *rule = &rules->at[i];
        builder_addf(out, "%d %llu %d", (int)rule->action, (unsigned long long)rule->modulus,
                     (int)rule->names);
        for (size_t k = 0; k < rule->source_labels.count; k++)
            label_print_quoted(rule->source_labels.at[k], out);
        label_print_quoted(rule->separator, out);
        label_print_quoted(rule->regex, out);
        label_print_quoted(rule->replacement, out);
        label_print_quoted(rule->target_label, out);
    }
}

// While this text stays the same, a known row keeps its labels.
static void print_fingerprint(const ScrapeConfig *config, Builder *out) {
    const ScrapeLimits *limits = &config->limits;
    builder_addf(out, "%d %d %d %d %llu %llu %llu ", config->honor_labels, (int)config->names,
                 config->native_histograms, config->always_classic_histograms,
                 (unsigned long long)limits->labels, (unsigned long long)limits->label_name_bytes,
                 (unsigned long long)limits->label_value_bytes);
    print_rules(&config->metric_relabel, out);
}

// ---- Discovery ----

static void sync_soon(ScrapePool *pool) {
    Loop *loop = pool->scraper->loop;
    if (!wheel_is_armed(&pool->sync_timer))
        loop_arm(loop, &pool->sync_timer, loop_now_ms(loop) + SYNC_AFTER_MS);
}

static TargetGroups groups_copy(const TargetGroups *groups, Arena *arena) {
    TargetGroups out = {arena_push_array(arena, TargetGroup, groups->count), groups->count};
    for (size_t i = 0; i < groups->count; i++) {
        const TargetGroup *from = &groups->at[i];
        Text *targets = arena_push_array(arena, Text, from->targets.count);
        for (size_t k = 0; k < from->targets.count; k++)
            targets[k] = text_copy(from->targets.at[k], arena);
        out.at[i] = (TargetGroup){.source = text_copy(from->source, arena),
                                  .targets = {targets, from->targets.count}};
        for (size_t k = 0; k < from->labels.count; k++) {
            *array_add_on(arena, &out.at[i].labels) =
                (Label){text_copy(from->labels.at[k].name, arena),
                        text_copy(from->labels.at[k].value, arena)};
        }
    }
    return out;
}

// The first failure is said, and the first success after it.
static void on_found(void *context, const TargetGroups *groups, const Error *err) {
    PoolProvider *provider = context;
    ScrapePool *pool = provider->pool;
    if (groups == NULL) {
        atomic_fetch_add_explicit(&pool->scraper->discovery_failures, 1, memory_order_relaxed);
        if (!provider->failing) {
            log_warn("discovery failed; the targets found before stay", LOG_TEXT("job", pool->name),
                     LOG_ERR(err));
        }
        provider->failing = true;
        return;
    }
    if (provider->failing) log_info("discovery works again", LOG_TEXT("job", pool->name));
    provider->failing = false;
    arena_clear(&provider->arena);
    provider->groups = groups_copy(groups, &provider->arena);
    sync_soon(pool);
}

static void start_providers(ScrapePool *pool) {
    const ScrapeConfig *config = pool->config;
    const DiscoveryWorld *world = &pool->scraper->world;
    size_t at = 0;
    for (size_t i = 0; i < config->file_discovery.count; i++, at++) {
        pool->providers[at].discovery = discovery_file_start(world, &config->file_discovery.at[i],
                                                             on_found, &pool->providers[at]);
    }
    for (size_t i = 0; i < config->dns_discovery.count; i++, at++) {
        pool->providers[at].discovery = discovery_dns_start(world, &config->dns_discovery.at[i],
                                                            on_found, &pool->providers[at]);
    }
    for (size_t i = 0; i < config->http_discovery.count; i++, at++) {
        pool->providers[at].discovery = discovery_http_start(world, &config->http_discovery.at[i],
                                                             on_found, &pool->providers[at]);
    }
}

static size_t provider_count_of(const ScrapeConfig *config) {
    return config->file_discovery.count + config->dns_discovery.count +
           config->http_discovery.count;
}

static void stop_providers(ScrapePool *pool) {
    for (size_t i = 0; i < pool->provider_count; i++) discovery_stop(&pool->providers[i].discovery);
}

static void free_providers(PoolProvider *providers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        arena_free(&providers[i].arena);
        builder_free(&providers[i].place);
    }
    memory_free(providers);
}

static void print_texts(Texts texts, Builder *out) {
    for (size_t i = 0; i < texts.count; i++) label_print_quoted(texts.at[i], out);
}

// ORDER: start_providers.
static void print_places(ScrapePool *pool) {
    const ScrapeConfig *config = pool->config;
    PoolProvider *provider = pool->providers;
    for (size_t i = 0; i < config->file_discovery.count; i++, provider++) {
        builder_addf(&provider->place, "file ");
        print_texts(config->file_discovery.at[i].files, &provider->place);
    }
    for (size_t i = 0; i < config->dns_discovery.count; i++, provider++) {
        const DnsDiscovery *dns = &config->dns_discovery.at[i];
        builder_addf(&provider->place, "dns %d %u ", (int)dns->type, (unsigned)dns->port);
        print_texts(dns->names, &provider->place);
    }
    for (size_t i = 0; i < config->http_discovery.count; i++, provider++) {
        builder_addf(&provider->place, "http ");
        builder_add(&provider->place, config->http_discovery.at[i].url);
    }
}

// What was found before stays until the same place answers anew.
static void take_groups(PoolProvider *provider, PoolProvider *before, size_t before_count) {
    for (size_t i = 0; i < before_count; i++) {
        if (before[i].place.len == 0 ||
            !text_equal(builder_text(&before[i].place), builder_text(&provider->place)))
            continue;
        provider->groups = before[i].groups;
        provider->arena = before[i].arena;
        before[i].arena = (Arena){0};
        builder_clear(&before[i].place);
        return;
    }
}

static void restart_providers(ScrapePool *pool) {
    stop_providers(pool);
    PoolProvider *before = pool->providers;
    size_t before_count = pool->provider_count;
    pool->provider_count = provider_count_of(pool->config);
    pool->providers = memory_new_array(PoolProvider, pool->provider_count);
    print_places(pool);
    for (size_t i = 0; i < pool->provider_count; i++) {
        pool->providers[i].pool = pool;
        take_groups(&pool->providers[i], before, before_count);
    }
    free_providers(before, before_count);
    start_providers(pool);
}

// ---- Sync: from what discovery found to targets ----

typedef struct Sync {
    ScrapePool *pool;
    Arena arena;
    Map known;  // url and labels -> ScrapeTarget
    uint64_t kept, faulty;
    Error first_fault;
} Sync;

static Text key_of(Labels all, Text url, Arena *arena) {
    return text_format(arena, "%.*s %.*s", TEXT_ARG(url), TEXT_ARG(bytes_text(all.wire)));
}

static void keep_dropped(ScrapePool *pool, Labels discovered) {
    uint64_t most = pool->config->limits.keep_dropped_targets;
    pool->dropped_count++;
    if (most > 0 && pool->dropped.count >= most) return;
    *array_add(&pool->dropped) = (Labels){bytes_copy(discovered.wire, &pool->dropped_arena)};
}

static void sync_target(Sync *sync, const TargetGroup *group, Text address) {
    ScrapePool *pool = sync->pool;
    AUTO(arena_free) Arena arena = {0};
    TargetDraft draft;
    Error err = {0};
    if (!target_draft(pool->config, group, address, &arena, &draft, &err)) {
        (void)error_context(&err, "target \"%.*s\"", TEXT_ARG(address));
        if (sync->faulty++ == 0) sync->first_fault = err;
        return;
    }
    if (!draft.keep) {
        keep_dropped(pool, draft.discovered);
        return;
    }
    sync->kept++;
    void **place = map_put(&sync->known, key_of(draft.all, draft.url, &arena));
    ScrapeTarget *target = *place;
    if (target == NULL) {
        target = target_new(pool, &draft);
        *place = target;
        *array_add(&pool->targets) = target;
        target_start(target);
    } else if (target->ending) {
        target_revive(target);
    }
    target_set_discovered(target, draft.discovered);
    target->wanted = true;
}

static void sync_groups(Sync *sync, const TargetGroups *groups) {
    for (size_t i = 0; i < groups->count; i++) {
        for (size_t k = 0; k < groups->at[i].targets.count; k++)
            sync_target(sync, &groups->at[i], groups->at[i].targets.at[k]);
    }
}

static void check_target_limit(ScrapePool *pool, uint64_t kept) {
    uint64_t limit = pool->config->limits.targets;
    pool->limit_error = (Error){0};
    if (limit == 0 || kept <= limit) return;
    (void)error_set(&pool->limit_error, ERROR_TOO_LARGE,
                    "target_limit exceeded (number of targets: %llu, limit: %llu)",
                    (unsigned long long)kept, (unsigned long long)limit);
}

static void pool_sync(ScrapePool *pool) {
    Sync sync = {.pool = pool};
    sync.known = map_begin(&sync.arena, pool->scraper->options.hash_key);
    for (size_t i = 0; i < pool->targets.count; i++) {
        ScrapeTarget *target = pool->targets.at[i];
        target->wanted = false;
        *map_put(&sync.known, key_of(target->all, target->url, &sync.arena)) = target;
    }
    array_clear(&pool->dropped);
    arena_clear(&pool->dropped_arena);
    pool->dropped_count = 0;
    sync_groups(&sync, &pool->config->static_groups);
    for (size_t i = 0; i < pool->provider_count; i++)
        sync_groups(&sync, &pool->providers[i].groups);
    for (size_t i = 0; i < pool->targets.count; i++) {
        if (!pool->targets.at[i]->wanted) target_end(pool->targets.at[i]);
    }
    check_target_limit(pool, sync.kept);
    if (sync.faulty > 0 && sync.faulty != pool->faulty) {
        log_warn("some targets cannot be scraped", LOG_TEXT("job", pool->name),
                 LOG_I64("count", sync.faulty), LOG_ERR(&sync.first_fault));
    }
    pool->faulty = sync.faulty;
    arena_free(&sync.arena);
    scraper_resize(pool->scraper);
    scraper_count_targets(pool->scraper);
}

static void sync_fire(WheelTimer *timer) {
    pool_sync((ScrapePool *)(void *)((char *)timer - offsetof(ScrapePool, sync_timer)));
}

// ---- Life ----

static void adopt(ScrapePool *pool, ScrapeConfigs *configs, const ScrapeConfig *config) {
    Scraper *scraper = pool->scraper;
    ClientLife *life = memory_new(ClientLife);
    life->configs = scrape_configs_ref(configs);
    life->client =
        scrape_client_open(scraper->loop, scraper->options.disk, scraper->fetches, &config->client);
    pool->life = life;
    pool->config = config;
    pool->accept = accept_of(config, &pool->arena);
    builder_clear(&pool->fingerprint);
    print_fingerprint(config, &pool->fingerprint);
}

ScrapePool *pool_new(Scraper *scraper, ScrapeConfigs *configs, const ScrapeConfig *config) {
    ScrapePool *pool = memory_new(ScrapePool);
    pool->scraper = scraper;
    pool->name = text_copy(config->job_name, &pool->arena);
    pool->sync_timer.fire = sync_fire;
    adopt(pool, configs, config);
    restart_providers(pool);
    pool_sync(pool);
    return pool;
}

void pool_apply(ScrapePool *pool, ScrapeConfigs *configs, const ScrapeConfig *config) {
    AUTO(builder_free) Builder before = pool->fingerprint;
    pool->fingerprint = (Builder){0};
    ClientLife *life = pool->life;
    stop_providers(pool);
    adopt(pool, configs, config);
    if (!text_equal(builder_text(&before), builder_text(&pool->fingerprint))) {
        for (size_t i = 0; i < pool->targets.count; i++) target_forget_rows(pool->targets.at[i]);
    }
    client_life_retire(life);
    restart_providers(pool);
    pool_sync(pool);
}

void pool_remove_target(ScrapePool *pool, ScrapeTarget *target) {
    for (size_t i = 0; i < pool->targets.count; i++) {
        if (pool->targets.at[i] != target) continue;
        pool->targets.at[i] = pool->targets.at[--pool->targets.count];
        break;
    }
    target_free(target);
    scraper_count_targets(pool->scraper);
}

void pool_end(ScrapePool *pool) {
    stop_providers(pool);
    loop_disarm(pool->scraper->loop, &pool->sync_timer);
    for (size_t i = 0; i < pool->targets.count; i++) target_end(pool->targets.at[i]);
}

void pool_free(ScrapePool *pool) {
    stop_providers(pool);
    loop_disarm(pool->scraper->loop, &pool->sync_timer);
    while (pool->targets.count > 0) target_free(pool->targets.at[--pool->targets.count]);
    array_free(&pool->targets);
    array_free(&pool->dropped);
    arena_free(&pool->dropped_arena);
    free_providers(pool->providers, pool->provider_count);
    client_life_retire(pool->life);
    builder_free(&pool->fingerprint);
    arena_free(&pool->arena);
    memory_free(pool);
}
