// The scraper's thread: applying a configuration, storing what targets said, answering questions.

#include "ingest/scrape/scraper.h"

#include "base/log.h"
#include "codec/protobuf.h"
#include "ingest/scrape/parts.h"
#include "ingest/scrape/show.h"

enum {
    FLUSH_AFTER_MS = 50,   // rows of targets that answer meanwhile share a record of the log
    FLUSH_BYTES = 1 * MB,  // or when they are this many
    BODY_KEPT_BYTES = 4 * MB,
    PIECE_BYTES = 4 * MB,  // of a large page: the store and its log have limits on one body
    CONNECTIONS_SPARE = 64,
};

// ---- Storing ----

static bool store_piece(Scraper *scraper, Bytes piece, IngestOutcome *outcome, Error *err) {
    Tenant *tenant;
    TRY(store_tenant(scraper->options.store, scraper->tenant_name, true, &tenant, err));
    Clock *clock = scraper->options.clock;
    int64_t now_ms = clock->wall_ms(clock);
    if (piece.len == scraper->body.bytes.len)
        return ingest_samples(scraper->options.store, tenant, scraper->sender, &scraper->body,
                              now_ms, outcome, err);
    return ingest_samples_part(scraper->options.store, tenant, scraper->sender, piece, now_ms,
                               outcome, err);
}

static void add_outcome(IngestOutcome *sum, const IngestOutcome *piece) {
    for (size_t i = 0; i < VERDICT_COUNT; i++) sum->counts[i] += piece->counts[i];
    if (sum->first_fault.code == ERROR_NONE) sum->first_fault = piece->first_fault;
}

// Whole series each. A piece that is refused does not keep the others out; `*err` is of the first.
static bool store_rows(Scraper *scraper, IngestOutcome *outcome, Error *err) {
    Reader reader = reader_begin(text_bytes(builder_text(&scraper->body.bytes)));
    bool ok = true;
    while (reader_left(&reader) > 0) {
        const uint8_t *from = reader.at;
        ProtobufField field;
        while ((size_t)(reader.at - from) < PIECE_BYTES && protobuf_next(&reader, &field)) {
        }
        if (reader.at == from) break;
        IngestOutcome of_piece = {0};
        Error why = {0};
        if (!store_piece(scraper, (Bytes){from, (size_t)(reader.at - from)}, &of_piece, &why)) {
            if (ok) *err = why;
            ok = false;
        }
        add_outcome(outcome, &of_piece);
    }
    return ok;
}

// A store that refuses is told to the log once, and once again when it takes rows.
static void tell(Scraper *scraper, const IngestOutcome *outcome, bool ok, const Error *err) {
    if (!ok && !scraper->failing) log_warn("scraped rows were not stored", LOG_ERR(err));
    if (ok && scraper->failing) log_info("scraped rows are stored again");
    scraper->failing = !ok;
    if (!ok) {
        atomic_fetch_add_explicit(&scraper->writes_failed, 1, memory_order_relaxed);
        scrape_lines_unsaid(&scraper->lines);
    }
    uint64_t refused = 0;
    for (size_t verdict = VERDICT_CONFLICT; verdict < VERDICT_COUNT; verdict++)
        refused += outcome->counts[verdict];
    atomic_fetch_add_explicit(&scraper->rows_refused, refused, memory_order_relaxed);
    bool refusing = outcome->first_fault.code != ERROR_NONE;
    if (refusing && !scraper->refusing)
        log_warn("some scraped rows were refused", LOG_ERR(&outcome->first_fault));
    scraper->refusing = refusing;
}

void scraper_flush(Scraper *scraper) {
    loop_disarm(scraper->loop, &scraper->flush_timer);
    if (scraper->body.bytes.len == 0) return;
    IngestOutcome outcome = {0};
    Error err = {0};
    bool ok = store_rows(scraper, &outcome, &err);
    tell(scraper, &outcome, ok, &err);
    if (write_body_bytes_kept(&scraper->body) > BODY_KEPT_BYTES) write_body_free(&scraper->body);
    write_body_clear(&scraper->body);
}

static void flush_fire(WheelTimer *timer) {
    scraper_flush((Scraper *)(void *)((char *)timer - offsetof(Scraper, flush_timer)));
}

void scraper_written(Scraper *scraper) {
    if (scraper->body.bytes.len >= FLUSH_BYTES) {
        scraper_flush(scraper);
    } else if (!wheel_is_armed(&scraper->flush_timer)) {
        loop_arm(scraper->loop, &scraper->flush_timer, loop_now_ms(scraper->loop) + FLUSH_AFTER_MS);
    }
}

// ---- Counting ----

void scraper_count_targets(Scraper *scraper) {
    uint64_t by_health[3] = {0}, dropped = 0;
    for (size_t i = 0; i < scraper->pools.count; i++) {
        const ScrapePool *pool = scraper->pools.at[i];
        dropped += pool->dropped_count;
        for (size_t k = 0; k < pool->targets.count; k++) {
            if (!pool->targets.at[k]->ending) by_health[pool->targets.at[k]->health]++;
        }
    }
    for (size_t i = 0; i < COUNT(by_health); i++)
        atomic_store_explicit(&scraper->by_health[i], by_health[i], memory_order_relaxed);
    atomic_store_explicit(&scraper->dropped, dropped, memory_order_relaxed);
    atomic_store_explicit(&scraper->pool_count, scraper->pools.count, memory_order_relaxed);
}

void scraper_resize(Scraper *scraper) {
    size_t targets = 0;
    for (size_t i = 0; i < scraper->pools.count; i++)
        targets += scraper->pools.at[i]->targets.count;
    fetch_client_resize(scraper->fetches, targets + CONNECTIONS_SPARE);
}

void scraper_state(const Scraper *scraper, ScraperState *out) {
#define READ(counter) atomic_load_explicit(&scraper->counter, memory_order_relaxed)
    *out = (ScraperState){
        .pools = READ(pool_count),
        .targets_up = READ(by_health[HEALTH_UP]),
        .targets_down = READ(by_health[HEALTH_DOWN]),
        .targets_unknown = READ(by_health[HEALTH_UNKNOWN]),
        .targets_dropped = READ(dropped),
        .scrapes = READ(scrapes),
        .scrapes_failed = READ(scrapes_failed),
        .samples = READ(samples),
        .body_bytes = READ(body_bytes),
        .wire_bytes = READ(wire_bytes),
        .duration_ns = READ(duration_ns),
        .rows_refused = READ(rows_refused),
        .writes_failed = READ(writes_failed),
        .series_cached = READ(series_cached),
        .cache_bytes = READ(cache_bytes),
        .discovery_failures = READ(discovery_failures),
    };
#undef READ
}

// ---- Applying a configuration ----

static ScrapePool *find_pool(Scraper *scraper, Text name) {
    for (size_t i = 0; i < scraper->pools.count; i++) {
        if (text_equal(scraper->pools.at[i]->name, name)) return scraper->pools.at[i];
    }
    return NULL;
}

// A pool whose last target has gone is freed at the next configuration, or at the end.
static void free_ended_pools(Scraper *scraper) {
    size_t kept = 0;
    for (size_t i = 0; i < scraper->ending_pools.count; i++) {
        ScrapePool *pool = scraper->ending_pools.at[i];
        if (pool->targets.count > 0) {
            scraper->ending_pools.at[kept++] = pool;
        } else {
            pool_free(pool);
        }
    }
    scraper->ending_pools.count = kept;
}

static void end_unwanted_pools(Scraper *scraper) {
    size_t kept = 0;
    for (size_t i = 0; i < scraper->pools.count; i++) {
        ScrapePool *pool = scraper->pools.at[i];
        if (pool->wanted) {
            scraper->pools.at[kept++] = pool;
        } else {
            pool_end(pool);
            *array_add(&scraper->ending_pools) = pool;
        }
    }
    scraper->pools.count = kept;
}

static void apply(Scraper *scraper, ScrapeConfigs *configs) {
    free_ended_pools(scraper);
    for (size_t i = 0; i < scraper->pools.count; i++) scraper->pools.at[i]->wanted = false;
    for (size_t i = 0; i < scrape_configs_count(configs); i++) {
        const ScrapeConfig *config = scrape_configs_at(configs, i);
        ScrapePool *pool = find_pool(scraper, config->job_name);
        if (pool == NULL) {
            pool = pool_new(scraper, configs, config);
            *array_add(&scraper->pools) = pool;
        } else {
            pool_apply(pool, configs, config);
        }
        pool->wanted = true;
    }
    end_unwanted_pools(scraper);
    scraper_resize(scraper);
    scraper_count_targets(scraper);
}

static void apply_pending(void *context) {
    Scraper *scraper = context;
    mutex_take(&scraper->lock);
    AUTO(scrape_configs_close) ScrapeConfigs *configs = TAKE(scraper->pending);
    mutex_give(&scraper->lock);
    if (configs != NULL) apply(scraper, configs);
}

void scraper_apply(Scraper *scraper, ScrapeConfigs *configs) {
    mutex_take(&scraper->lock);
    ScrapeConfigs *overtaken = TAKE(scraper->pending);
    scraper->pending = scrape_configs_ref(configs);
    mutex_give(&scraper->lock);
    scrape_configs_close(&overtaken);
    loop_post(scraper->loop, apply_pending, scraper);
}

// ---- Questions of other threads ----

typedef struct Call {
    Scraper *scraper;
    bool (*run)(Scraper *scraper, void *context, Error *err);
    void *context;
    Error *err;
    bool ok, done;
} Call;

static void answer_call(void *context) {
    Call *call = context;
    Scraper *scraper = call->scraper;
    bool ok = call->run(scraper, call->context, call->err);
    mutex_take(&scraper->lock);
    call->ok = ok;
    call->done = true;
    condition_wake_all(&scraper->called);
    mutex_give(&scraper->lock);
}

bool scraper_call(Scraper *scraper, bool (*run)(Scraper *scraper, void *context, Error *err),
                  void *context, Error *err) {
    Call call = {scraper, run, context, err, false, false};
    loop_post(scraper->loop, answer_call, &call);
    mutex_take(&scraper->lock);
    while (!call.done && !scraper->ended) condition_wait(&scraper->called, &scraper->lock);
    bool done = call.done;
    mutex_give(&scraper->lock);
    return done ? call.ok : error_set(err, ERROR_BUSY, "the scraper has stopped; see the log");
}

// ---- Life ----

static void scraper_run(void *context) {
    Scraper *scraper = context;
    Error err = {0};
    if (!loop_run(scraper->loop, &err)) log_error("the scraper stopped", LOG_ERR(&err));
    // Nobody answers calls any more.
    mutex_take(&scraper->lock);
    scraper->ended = true;
    condition_wake_all(&scraper->called);
    mutex_give(&scraper->lock);
}

bool scraper_start(const ScraperOptions *options, Scraper **out, Error *err) {
    AUTO(scraper_stop) Scraper *scraper = memory_new(Scraper);
    scraper->options = *options;
    scraper->options.host = text_copy(options->host, &scraper->arena);
    scraper->tenant_name =
        text_copy(options->tenant.len > 0 ? options->tenant : TENANT_DEFAULT_NAME, &scraper->arena);
    scraper->user_agent = text_format(&scraper->arena, "Traceo/%.*s", TEXT_ARG(options->version));
    scraper->flush_timer.fire = flush_fire;
    mutex_begin(&scraper->lock, LOCK_SCRAPE_CALL);
    condition_begin(&scraper->called);
    scrape_lines_begin(&scraper->lines, options->hash_key);
    scraper->room.lines = &scraper->lines;
    scraper->room.hash_key = options->hash_key;
    scraper->sender = ingest_sender_new();
    TRY(loop_open(options->clock, &scraper->loop, err));
    TRY(fetch_client_open(scraper->loop, CONNECTIONS_SPARE, &scraper->fetches, err));
    TRY(fetch_client_name_servers(scraper->fetches, options->dns_servers, err));
    TRY(resolver_open(scraper->loop, options->dns_servers, &scraper->resolver, err));
    scraper->world = (DiscoveryWorld){
        .loop = scraper->loop,
        .disk = options->disk,
        .fetches = scraper->fetches,
        .resolver = scraper->resolver,
        .user_agent = scraper->user_agent,
    };
    TRY(thread_start("scrape", scraper_run, scraper, &scraper->thread, err));
    *out = TAKE(scraper);
    return true;
}

void scraper_stop(Scraper **handle) {
    if (*handle == NULL) return;
    Scraper *scraper = TAKE(*handle);
    if (scraper->thread != NULL) loop_stop(scraper->loop);
    thread_join(&scraper->thread);
    if (scraper->loop != NULL) scraper_flush(scraper);
    for (size_t i = 0; i < scraper->pools.count; i++) pool_free(scraper->pools.at[i]);
    for (size_t i = 0; i < scraper->ending_pools.count; i++) pool_free(scraper->ending_pools.at[i]);
    array_free(&scraper->pools);
    array_free(&scraper->ending_pools);
    resolver_close(&scraper->resolver);
    fetch_client_close(&scraper->fetches);
    loop_close(&scraper->loop);
    scrape_configs_close(&scraper->pending);
    append_room_free(&scraper->room);
    scrape_lines_end(&scraper->lines);
    ingest_sender_free(&scraper->sender);
    write_body_free(&scraper->body);
    condition_end(&scraper->called);
    mutex_end(&scraper->lock);
    arena_free(&scraper->arena);
    memory_free(scraper);
}
