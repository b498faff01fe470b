// A target: made of labels, scraped in its rhythm, ended.

#include "base/log.h"
#include "codec/number.h"
#include "codec/quantity.h"
#include "base/limits.h"
#include "ingest/scrape/parts.h"
#include "net/http.h"
#include "net/url.h"

enum {
    LATE_MS_MAX = 50,  // a scrape that starts at most this late bears the time it was meant for
    // A target that vanished is given so much of its interval to come back before its series end.
    END_PART_NUMERATOR = 11,
    END_PART_DENOMINATOR = 10,
};

// ORDER: ReportRow.
static const char *const report_names[] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};
_Static_assert(COUNT(report_names) == REPORT_COUNT, "ORDER: ReportRow");

// ---- From labels to a target ----

static void set_default(RelabelLabels *labels, Text name, Text value) {
    if (relabel_labels_get(labels, name).len == 0) relabel_labels_set(labels, name, value);
}

static Text duration_text(int64_t ms, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    duration_print(ms, &out);
    return text_copy(builder_text(&out), arena);
}

static void set_defaults(const ScrapeConfig *config, RelabelLabels *labels, Arena *arena) {
    set_default(labels, TEXT("job"), config->job_name);
    set_default(labels, TEXT("__scrape_interval__"), duration_text(config->interval_ms, arena));
    set_default(labels, TEXT("__scrape_timeout__"), duration_text(config->timeout_ms, arena));
    set_default(labels, TEXT("__metrics_path__"), config->metrics_path);
    set_default(labels, TEXT("__scheme__"), config->scheme);
    for (size_t i = 0; i < config->params.count; i++) {
        const ScrapeParam *param = &config->params.at[i];
        if (param->values.count == 0) continue;
        Text name = text_format(arena, "__param_%.*s", TEXT_ARG(param->name));
        relabel_labels_set(labels, name, param->values.at[0]);
    }
}

static bool read_times(TargetDraft *draft, Error *err) {
    Error why = {0};
    if (!duration_to_ms(draft->interval, &draft->interval_ms, &why))
        return error_set(err, ERROR_BAD_INPUT, "error parsing scrape interval: %s", why.message);
    if (draft->interval_ms <= 0)
        return error_set(err, ERROR_BAD_INPUT, "scrape interval cannot be 0");
    if (!duration_to_ms(draft->timeout, &draft->timeout_ms, &why))
        return error_set(err, ERROR_BAD_INPUT, "error parsing scrape timeout: %s", why.message);
    if (draft->timeout_ms <= 0)
        return error_set(err, ERROR_BAD_INPUT, "scrape timeout cannot be 0");
    if (draft->timeout_ms > draft->interval_ms) {
        return error_set(err, ERROR_BAD_INPUT,
                         "scrape timeout cannot be greater than scrape interval (\"%.*s\" > "
                         "\"%.*s\")",
                         TEXT_ARG(draft->timeout), TEXT_ARG(draft->interval));
    }
    return true;
}

// As Go's url.URL writes a path: '?' and '#' and what is no ASCII escaped.
static void add_path(Text path, Builder *out) {
    static const char plain[] = "-._~!$&'()*+,;=:@/%";
    if (path.len == 0 || path.at[0] != '/') builder_add_char(out, '/');
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (word || (c != '\0' && memchr(plain, c, sizeof plain - 1) != NULL)) {
            builder_add_char(out, c);
        } else {
            builder_addf(out, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

// As a form: a space is '+'.
static void add_form(Text text, Builder *out) {
    Text piece;
    for (bool first = true; text_cut(&text, ' ', &piece); first = false) {
        if (!first) builder_add_char(out, '+');
        url_encode(piece, out);
    }
}

static void add_pair(Builder *out, bool *first, Text name, Text value) {
    builder_add_char(out, *first ? '?' : '&');
    *first = false;
    add_form(name, out);
    builder_add_char(out, '=');
    add_form(value, out);
}

typedef struct Param {
    Text name;
    Text first;  // the label's value, or the configuration's own
    const ScrapeParam *config;
} Param;

// The labels __param_… and the configuration's parameters together, sorted by name.
static void add_params(const ScrapeConfig *config, Labels all, Arena *arena, Builder *out) {
    ARRAY(Param) params = {0};
    Label label;
    for (Bytes rest = all.wire; labels_next(&rest, &label);) {
        if (!text_starts_with(label.name, TEXT("__param_"))) continue;
        Text name = text_slice(label.name, sizeof "__param_" - 1, label.name.len);
        *array_add_on(arena, &params) = (Param){.name = name, .first = label.value};
    }
    for (size_t i = 0; i < config->params.count; i++) {
        const ScrapeParam *of = &config->params.at[i];
        size_t k = 0;
        while (k < params.count && !text_equal(params.at[k].name, of->name)) k++;
        if (k == params.count) {
            // A rule took the label away, or it is empty; the rest of the list stays.
            *array_add_on(arena, &params) = (Param){.name = of->name};
            if (of->values.count > 0) params.at[k].first = of->values.at[0];
            for (; k > 0 && text_compare(params.at[k - 1].name, params.at[k].name) > 0; k--) {
                Param moved = params.at[k];
                params.at[k] = params.at[k - 1];
                params.at[k - 1] = moved;
            }
        }
        params.at[k].config = of;
    }
    bool first = true;
    for (size_t i = 0; i < params.count; i++) {
        const Param *param = &params.at[i];
        add_pair(out, &first, param->name, param->first);
        for (size_t k = 1; param->config != NULL && k < param->config->values.count; k++)
            add_pair(out, &first, param->name, param->config->values.at[k]);
    }
}

static Text url_of(const ScrapeConfig *config, Labels all, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    builder_addf(&out, "%.*s://%.*s", TEXT_ARG(labels_get(all, TEXT("__scheme__"))),
                 TEXT_ARG(labels_get(all, TEXT("__address__"))));
    add_path(labels_get(all, TEXT("__metrics_path__")), &out);
    add_params(config, all, arena, &out);
    return text_copy(builder_text(&out), arena);
}

// Those that rows get: all but __….
static bool public_labels(Labels all, Arena *arena, Labels *out, Error *err) {
    LabelArray kept = {0};
    Label label;
    for (Bytes rest = all.wire; labels_next(&rest, &label);) {
        if (!text_starts_with(label.name, TEXT("__"))) *array_add_on(arena, &kept) = label;
    }
    return labels_make(kept.at, kept.count, arena, out, err);
}

static void remove_meta(RelabelLabels *labels) {
    for (size_t i = labels->labels.count; i > 0; i--) {
        Text name = labels->labels.at[i - 1].name;
        if (text_starts_with(name, TEXT("__meta_"))) relabel_labels_remove(labels, name);
    }
}

bool target_draft(const ScrapeConfig *config, const TargetGroup *group, Text address, Arena *arena,
                  TargetDraft *out, Error *err) {
    *out = (TargetDraft){0};
    RelabelLabels labels = relabel_labels_begin(arena);
    for (size_t i = 0; i < group->labels.count; i++)
        relabel_labels_set(&labels, group->labels.at[i].name, group->labels.at[i].value);
    relabel_labels_set(&labels, TEXT("__address__"), address);
    set_defaults(config, &labels, arena);
    TRY(relabel_labels_finish(&labels, arena, &out->discovered, err));
    TRY(relabel_apply(&config->relabel, &labels, &out->keep, err));
    if (!out->keep) return true;
    Text final = relabel_labels_get(&labels, TEXT("__address__"));
    if (final.len == 0) return error_set(err, ERROR_BAD_INPUT, "no address");
    TRY(target_address_check(final, err));
    remove_meta(&labels);
    set_default(&labels, TEXT("instance"), final);
    for (size_t i = 0; i < labels.labels.count; i++) {
        const Label *label = &labels.labels.at[i];
        if (!text_is_utf8(label->value)) {
            return error_set(err, ERROR_BAD_INPUT, "the value of label \"%.*s\" is not UTF-8",
                             TEXT_ARG(label->name));
        }
    }
    TRY(relabel_labels_finish(&labels, arena, &out->all, err));
    out->interval = labels_get(out->all, TEXT("__scrape_interval__"));
    out->timeout = labels_get(out->all, TEXT("__scrape_timeout__"));
    TRY(read_times(out, err));
    TRY(public_labels(out->all, arena, &out->labels, err));
    out->url = url_of(config, out->all, arena);
    return true;
}

// ---- Life ----

static Labels labels_copy(Labels labels, Arena *arena) {
    return (Labels){bytes_copy(labels.wire, arena)};
}

// The rows about a target: its labels under a name of their own.
static void make_reports(ScrapeTarget *target) {
    AUTO(arena_free) Arena scratch = {0};
    for (size_t i = 0; i < REPORT_COUNT; i++) {
        RelabelLabels labels = relabel_labels_begin(&scratch);
        relabel_labels_set(&labels, LABEL_NAME, text_from_cstring(report_names[i]));
        append_target_labels(&labels, target->labels, false);
        Error ignored;
        (void)!relabel_labels_finish(&labels, &target->arena, &target->reports[i], &ignored);
    }
}

static void timer_fire(WheelTimer *timer);

ScrapeTarget *target_new(ScrapePool *pool, const TargetDraft *draft) {
    ScrapeTarget *target = memory_new(ScrapeTarget);
    target->pool = pool;
    target_set_discovered(target, draft->discovered);
    target->all = labels_copy(draft->all, &target->arena);
    target->labels = labels_copy(draft->labels, &target->arena);
    target->url = text_copy(draft->url, &target->arena);
    target->interval = text_copy(draft->interval, &target->arena);
    target->timeout = text_copy(draft->timeout, &target->arena);
    target->interval_ms = draft->interval_ms;
    target->timeout_ms = draft->timeout_ms;
    target->timer.fire = timer_fire;
    // Not keyed: after a restart a target keeps its place in the rhythm. The machine's name is in
    // it, so that two scrapers of one target do not come at the same moment.
    AUTO(builder_free) Builder seed = {0};
    builder_add(&seed, bytes_text(target->all.wire));
    builder_add(&seed, target->url);
    builder_add(&seed, pool->scraper->options.host);
    uint64_t hash = hash_keyed((HashKey){0}, text_bytes(builder_text(&seed)));
    target->phase_ms = (int64_t)(hash % (uint64_t)target->interval_ms);
    make_reports(target);
    return target;
}

static void fetch_over(ScrapeTarget *target) {
    target->fetch = NULL;
    if (target->life != NULL) client_life_give(TAKE(target->life));
}

static void cached(ScrapeTarget *target, int64_t series, int64_t bytes) {
    Scraper *scraper = target->pool->scraper;
    atomic_fetch_add_explicit(&scraper->series_cached, (uint64_t)series, memory_order_relaxed);
    atomic_fetch_add_explicit(&scraper->cache_bytes, bytes, memory_order_relaxed);
}

void target_forget_rows(ScrapeTarget *target) {
    cached(target, -(int64_t)target->cache.count, -scrape_cache_bytes(&target->cache));
    // There is only one of both: a page that fills the cache frees the former.
    if (target->former.count == 0) {
        scrape_cache_free(&target->former, &target->pool->scraper->lines);
        target->former = target->cache;
        target->cache = (ScrapeCache){0};
    } else {
        scrape_cache_free(&target->cache, &target->pool->scraper->lines);
    }
}

// Several addresses may end in one target and take turns here at every sync.
void target_set_discovered(ScrapeTarget *target, Labels discovered) {
    if (labels_equal(target->discovered, discovered)) return;
    memory_free((void *)(uintptr_t)target->discovered.wire.at);
    uint8_t *copy = memory_take(discovered.wire.len + 1);
    memcpy(copy, discovered.wire.at, discovered.wire.len);
    target->discovered = (Labels){{copy, discovered.wire.len}};
}

void target_free(ScrapeTarget *target) {
    loop_disarm(target->pool->scraper->loop, &target->timer);
    fetch_cancel(&target->fetch);
    fetch_over(target);
    target_forget_rows(target);
    scrape_cache_free(&target->former, &target->pool->scraper->lines);
    memory_free(target->last_error);
    memory_free((void *)(uintptr_t)target->discovered.wire.at);
    arena_free(&target->arena);
    memory_free(target);
}

// ---- Rhythm ----

static int64_t wall_ms(const ScrapeTarget *target) {
    Clock *clock = target->pool->scraper->options.clock;
    return clock->wall_ms(clock);
}

static void arm_for(ScrapeTarget *target, int64_t wall, int64_t now) {
    Loop *loop = target->pool->scraper->loop;
    loop_arm(loop, &target->timer, loop_now_ms(loop) + MAX(wall - now, (int64_t)0));
}

// The next moment of its own after now; or the last one, when it passed without a scrape (the one
// before took its whole interval). Made anew each time, so that a clock that steps costs one
// interval at most.
static void arm_next(ScrapeTarget *target) {
    int64_t now = wall_ms(target), interval = target->interval_ms;
    int64_t last = now - now % interval + target->phase_ms;
    if (last > now) last -= interval;
    bool missed = target->scrape_ms > 0 && last > target->scrape_ms;
    int64_t due = missed ? last : last + interval;
    // A timer may come a moment early: the scrape that was just made is not due again.
    bool early = target->scrape_ms > now && target->scrape_ms - now <= LATE_MS_MAX;
    if (early && due <= target->scrape_ms) due += interval;
    target->due_ms = due;
    arm_for(target, due, now);
}

void target_start(ScrapeTarget *target) {
    arm_next(target);
}

void target_end(ScrapeTarget *target) {
    if (target->ending) return;
    target->ending = true;
    fetch_cancel(&target->fetch);
    fetch_over(target);
    arm_next(target);
    target->end_ms = target->due_ms;
    target->due_ms += target->interval_ms * END_PART_NUMERATOR / END_PART_DENOMINATOR;
    arm_for(target, target->due_ms, wall_ms(target));
}

void target_revive(ScrapeTarget *target) {
    target->ending = false;
    arm_next(target);
}

// ---- A scrape ----

static AppendTarget append_target(ScrapeTarget *target) {
    return (AppendTarget){target->pool->config, target->labels, &target->cache, &target->former};
}

static void set_health(ScrapeTarget *target, TargetHealth health, const Error *err) {
    Scraper *scraper = target->pool->scraper;
    atomic_fetch_sub_explicit(&scraper->by_health[target->health], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&scraper->by_health[health], 1, memory_order_relaxed);
    target->health = health;
    memory_free(TAKE(target->last_error));
    if (err == NULL) return;
    size_t len = strlen(err->message);
    target->last_error = memory_take(len + 1);
    memcpy(target->last_error, err->message, len + 1);
}

static void add_reports(ScrapeTarget *target, const double values[REPORT_COUNT]) {
    size_t count = target->pool->config->extra_scrape_metrics ? REPORT_COUNT : REPORT_TIMEOUT;
    for (size_t i = 0; i < count; i++) {
        write_body_add(&target->pool->scraper->body, target->reports[i], target->scrape_ms,
                       values[i]);
    }
}

// The end of every scrape, good or bad: `err` NULL when it was good.
static void finish(ScrapeTarget *target, AppendCounts counts, int64_t body_bytes,
                   const Error *err) {
    ScrapePool *pool = target->pool;
    Scraper *scraper = pool->scraper;
    Clock *clock = scraper->options.clock;
    if (err != NULL) {
        AppendTarget of = append_target(target);
        append_end(&scraper->room, &of, target->scrape_ms, &scraper->body);
    }
    target->last_scrape_ms = target->scrape_ms;
    target->last_duration_ns = clock->monotonic_ns(clock) - target->started_ns;
    set_health(target, err == NULL ? HEALTH_UP : HEALTH_DOWN, err);
    double values[REPORT_COUNT] = {
        [REPORT_UP] = err == NULL,
        [REPORT_DURATION] = (double)target->last_duration_ns / 1e9,
        [REPORT_SCRAPED] = (double)counts.scraped,
        [REPORT_KEPT] = (double)counts.kept,
        [REPORT_ADDED] = (double)counts.added,
        [REPORT_TIMEOUT] = (double)target->timeout_ms / 1e3,
        [REPORT_SAMPLE_LIMIT] = (double)pool->config->limits.samples,
        [REPORT_BODY_BYTES] = (double)body_bytes,
    };
    add_reports(target, values);
    if (scraper->options.done != NULL) {
        ScrapeDone done = {.job = pool->config->job_name,
                           .url = target->url,
                           .tenant = scraper->options.tenant,
                           .samples = counts.scraped,
                           .bytes = (uint64_t)body_bytes,
                           .fault = err};
        scraper->options.done(scraper->options.done_context, &done);
    }
    atomic_fetch_add_explicit(&scraper->scrapes, 1, memory_order_relaxed);
    if (err != NULL) atomic_fetch_add_explicit(&scraper->scrapes_failed, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&scraper->samples, counts.scraped, memory_order_relaxed);
    atomic_fetch_add_explicit(&scraper->duration_ns, (uint64_t)target->last_duration_ns,
                              memory_order_relaxed);
    scraper_written(scraper);
    arm_next(target);
}

static ExpositionFormat fallback_of(const ScrapeConfig *config) {
    switch (config->fallback_protocol) {
        case SCRAPE_PROTOCOL_PROTO:
            return EXPOSITION_PROTOBUF;
        case SCRAPE_PROTOCOL_TEXT_0_0_4:
        case SCRAPE_PROTOCOL_TEXT_1_0_0:
            return EXPOSITION_TEXT;
        case SCRAPE_PROTOCOL_OPENMETRICS_0_0_1:
        case SCRAPE_PROTOCOL_OPENMETRICS_1_0_0:
            return EXPOSITION_OPENMETRICS;
        case SCRAPE_PROTOCOL_NONE:
        case SCRAPE_PROTOCOL_COUNT:
            break;
    }
    return EXPOSITION_NONE;
}

static bool take_page(ScrapeTarget *target, const FetchAnswer *answer, AppendCounts *counts,
                      Error *err) {
    Scraper *scraper = target->pool->scraper;
    if (answer->status != 200) {
        if (answer->status == 401) scrape_client_refused(target->life->client);
        return error_set(err, ERROR_NETWORK, "server returned HTTP status %d %s", answer->status,
                         http_status_text(answer->status));
    }
    ExpositionFormat format;
    TRY(exposition_choose(answer->content_type, fallback_of(target->pool->config), &format, err));
    AppendTarget of = append_target(target);
    uint32_t rows_before = target->cache.count;
    int64_t bytes_before = scrape_cache_bytes(&target->cache);
    uint64_t refused_before = scraper->room.rows_refused;
    bool ok = append_page(&scraper->room, &of, format, answer->body, target->scrape_ms,
                          &scraper->body, counts, err);
    cached(target, (int64_t)target->cache.count - (int64_t)rows_before,
           scrape_cache_bytes(&target->cache) - bytes_before);
    atomic_fetch_add_explicit(&scraper->rows_refused, scraper->room.rows_refused - refused_before,
                              memory_order_relaxed);
    return ok;
}

static void on_page(void *context, const FetchAnswer *answer, const Error *failure) {
    ScrapeTarget *target = context;
    Scraper *scraper = target->pool->scraper;
    AppendCounts counts = {0};
    Error err = failure == NULL ? (Error){0} : *failure;
    bool ok = answer != NULL && take_page(target, answer, &counts, &err);
    int64_t body_bytes = 0;
    if (answer != NULL) {
        body_bytes = (int64_t)answer->body.len;
        atomic_fetch_add_explicit(&scraper->body_bytes, (uint64_t)body_bytes, memory_order_relaxed);
        atomic_fetch_add_explicit(&scraper->wire_bytes, (uint64_t)answer->wire_bytes,
                                  memory_order_relaxed);
    } else if (err.code == ERROR_TOO_LARGE) {
        body_bytes = -1;  // as Prometheus says it
    }
    fetch_over(target);
    finish(target, counts, body_bytes, ok ? NULL : &err);
}

static bool start_scrape(ScrapeTarget *target, Error *err) {
    ScrapePool *pool = target->pool;
    const ScrapeConfig *config = pool->config;
    if (pool->limit_error.code != ERROR_NONE) {
        *err = pool->limit_error;
        return false;
    }
    AUTO(arena_free) Arena arena = {0};
    char seconds[NUMBER_TEXT_MAX];
    size_t len = number_format_ms_as_s(target->timeout_ms, seconds);
    HttpHeader headers[] = {
        {TEXT("Accept"), pool->accept},
        {TEXT("User-Agent"), pool->scraper->user_agent},
        {TEXT("X-Prometheus-Scrape-Timeout-Seconds"), {seconds, len}},
    };
    FetchRequest request = {
        .url = target->url,
        .headers = headers,
        .header_count = COUNT(headers),
        .accept_gzip = config->enable_compression,
        .timeout_ms = target->timeout_ms,
        .body_bytes_max =
            config->limits.body_bytes > 0 ? config->limits.body_bytes : LIMIT_SCRAPE_BODY_BYTES,
        .done = on_page,
        .context = target,
    };
    TRY(scrape_client_prepare(pool->life->client, &arena, &request, err));
    TRY(fetch_start(pool->scraper->fetches, &request, &target->fetch, err));
    target->life = pool->life;
    target->life->users++;
    return true;
}

static void scrape(ScrapeTarget *target) {
    Clock *clock = target->pool->scraper->options.clock;
    int64_t now = wall_ms(target), late = now - target->due_ms;
    int64_t late_max = MIN((int64_t)LATE_MS_MAX, target->interval_ms / 10);
    target->scrape_ms = late >= -late_max && late <= late_max ? target->due_ms : now;
    target->started_ns = clock->monotonic_ns(clock);
    Error err = {0};
    if (!start_scrape(target, &err)) finish(target, (AppendCounts){0}, 0, &err);
}

static bool pools_have(const ScrapePool *const *pools, size_t count, const ScrapeTarget *target) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < pools[i]->targets.count; k++) {
            const ScrapeTarget *other = pools[i]->targets.at[k];
            if (other != target && !other->ending && labels_equal(other->labels, target->labels))
                return true;
        }
    }
    return false;
}

// Another target took its place (other discovered labels, or another job; the same for its rows):
// then nothing ended.
static bool is_replaced(const ScrapeTarget *target) {
    const Scraper *scraper = target->pool->scraper;
    return pools_have((const ScrapePool *const *)scraper->pools.at, scraper->pools.count, target);
}

static void finish_end(ScrapeTarget *target) {
    Scraper *scraper = target->pool->scraper;
    if (!is_replaced(target)) {
        AppendTarget of = append_target(target);
        append_end(&scraper->room, &of, target->end_ms, &scraper->body);
        target->scrape_ms = target->end_ms;
        double values[REPORT_COUNT];
        for (size_t i = 0; i < REPORT_COUNT; i++) values[i] = stale_nan();
        if (target->last_scrape_ms > 0) add_reports(target, values);
        scraper_written(scraper);
    }
    pool_remove_target(target->pool, target);
}

static void timer_fire(WheelTimer *timer) {
    ScrapeTarget *target = (ScrapeTarget *)(void *)((char *)timer - offsetof(ScrapeTarget, timer));
    if (target->ending) {
        finish_end(target);
    } else {
        scrape(target);
    }
}
