// http_sd_configs: target groups from a web server, asked every refresh_interval.

#include "ingest/scrape/discovery.h"

enum { ANSWER_BYTES_MAX = 32 * MB, FIRST_TRIES_MS = 5000 };

typedef struct HttpProvider {
    Discovery head;
    const HttpDiscovery *config;
    ScrapeClient *client;
    Fetch *fetch;
    WheelTimer timer;
    bool found_any;
} HttpProvider;

static void again_after(HttpProvider *provider, bool ok) {
    Loop *loop = provider->head.world->loop;
    int64_t wait_ms = provider->config->refresh_ms;
    // Nothing is known yet: do not wait a whole interval for a server that is just starting.
    if (!ok && !provider->found_any) wait_ms = MIN(wait_ms, (int64_t)FIRST_TRIES_MS);
    loop_arm(loop, &provider->timer, loop_now_ms(loop) + wait_ms);
}

static bool take(HttpProvider *provider, const FetchAnswer *answer, Error *err) {
    if (answer->status != 200) {
        if (answer->status == 401) scrape_client_refused(provider->client);
        return error_set(err, ERROR_NETWORK, "server returned HTTP status %d", answer->status);
    }
    Text type = answer->content_type, rest = type;
    (void)text_cut(&rest, ';', &type);
    if (!text_equal_ignore_case(text_trim(type), TEXT("application/json"))) {
        return error_set(err, ERROR_NETWORK,
                         "unsupported content type \"%.*s\"; it should be "
                         "application/json",
                         TEXT_ARG(answer->content_type));
    }
    AUTO(arena_free) Arena arena = {0};
    TargetGroups groups;
    TRY(target_groups_parse(answer->body, provider->config->url, TARGETS_JSON, &arena, &groups,
                            err));
    for (size_t i = 0; i < groups.count; i++) {
        *array_add_on(&arena, &groups.at[i].labels) =
            (Label){TEXT("__meta_url"), provider->config->url};
    }
    provider->found_any = true;
    provider->head.found(provider->head.context, &groups, NULL);
    return true;
}

static void on_done(void *context, const FetchAnswer *answer, const Error *failure) {
    HttpProvider *provider = context;
    provider->fetch = NULL;
    Error err = failure == NULL ? (Error){0} : *failure;
    bool ok = answer != NULL && take(provider, answer, &err);
    if (!ok) provider->head.found(provider->head.context, NULL, &err);
    again_after(provider, ok);
}

static bool ask(HttpProvider *provider, Error *err) {
    const HttpDiscovery *config = provider->config;
    AUTO(arena_free) Arena arena = {0};
    HttpHeader headers[] = {
        {TEXT("User-Agent"), provider->head.world->user_agent},
        {TEXT("Accept"), TEXT("application/json")},
        {TEXT("X-Prometheus-Refresh-Interval-Seconds"),
         text_format(&arena, "%g", (double)config->refresh_ms / 1e3)},
    };
    FetchRequest request = {
        .url = config->url,
        .headers = headers,
        .header_count = COUNT(headers),
        .accept_gzip = true,
        .timeout_ms = config->refresh_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .done = on_done,
        .context = provider,
    };
    TRY(scrape_client_prepare(provider->client, &arena, &request, err));
    return fetch_start(provider->head.world->fetches, &request, &provider->fetch, err);
}

static void begin(HttpProvider *provider) {
    Error err = {0};
    if (ask(provider, &err)) return;
    provider->head.found(provider->head.context, NULL, &err);
    again_after(provider, false);
}

static void timer_fire(WheelTimer *timer) {
    begin((HttpProvider *)(void *)((char *)timer - offsetof(HttpProvider, timer)));
}

static void http_stop(Discovery *discovery) {
    HttpProvider *provider = (HttpProvider *)discovery;
    loop_disarm(discovery->world->loop, &provider->timer);
    fetch_cancel(&provider->fetch);
    scrape_client_close(&provider->client);
    memory_free(provider);
}

Discovery *discovery_http_start(const DiscoveryWorld *world, const HttpDiscovery *config,
                                DiscoveryFound found, void *context) {
    HttpProvider *provider = memory_new(HttpProvider);
    provider->head = (Discovery){"http", http_stop, world, found, context};
    provider->config = config;
    provider->timer.fire = timer_fire;
    provider->client =
        scrape_client_open(world->loop, world->disk, world->fetches, &config->client);
    begin(provider);
    return &provider->head;
}
