// Traceo's own metrics: a snapshot is taken, and the rows of the table are read from it into one of
// two sinks: the page of GET /metrics, or rows for ingest.

#include "server/self_metrics.h"

#include "base/assert.h"
#include "base/log.h"
#include "os/process.h"
#include "server/serve.h"

enum { METADATA_EVERY = 40 };  // rounds of server_collect_self

const SelfRow self_rows[] = {
#define METRIC(name, kind, value, help) {TEXT_INIT(#name), SELF_##kind, TEXT_INIT(help)},
#define FAMILY(name, kind, write, help) {TEXT_INIT(#name), SELF_##kind, TEXT_INIT(help)},
#include "server/self_metrics.def"
#undef METRIC
#undef FAMILY
};
const size_t self_row_count = COUNT(self_rows);

// ---- The snapshot ----

static uint64_t counted(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void series_add(SeriesState *sum, const SeriesState *one) {
    sum->series_active += one->series_active;
    sum->series_created += one->series_created;
    sum->series_refused += one->series_refused;
    sum->samples_appended += one->samples_appended;
    sum->samples_in_head += one->samples_in_head;
    sum->exemplars += one->exemplars;
    sum->histograms += one->histograms;
    sum->predicted += one->predicted;
    sum->looked_up += one->looked_up;
    sum->head_bytes += one->head_bytes;
    sum->blocks += one->blocks;
    sum->block_samples += one->block_samples;
    sum->block_bytes += one->block_bytes;
    sum->merges += one->merges;
    sum->seals += one->seals;
    sum->corruptions += one->corruptions;
    sum->scrubbed_bytes += one->scrubbed_bytes;
    sum->tiers += one->tiers;
    sum->tier_bytes += one->tier_bytes;
}

static void snapshot_tenants(Snapshot *s, Store *store) {
    AUTO(arena_free) Arena arena = {0};
    Tenant **tenants;
    Error err = {0};
    if (!store_tenants(store, &arena, &tenants, &s->tenants, &err)) {
        log_warn("own metrics lack the series", LOG_ERR(&err));
        return;
    }
    for (size_t i = 0; i < s->tenants; i++) {
        SeriesState one;
        series_state(tenants[i]->series, &one);
        series_add(&s->series, &one);
    }
}

void snapshot_take(Server *server, Snapshot *s) {
    const Counters *counters = &server->counters;
    *s = (Snapshot){
        .server = server,
        .http = http_server_stats(server->http),
        .cpu_s = (double)cpu_process_ns() / 1e9,
        .started_s = (double)server->options.started_ms / 1e3,
        .resident = process_memory_resident(),
        .files_open = process_files_open(),
        .files_max = process_files_max(),
        .live = (uint64_t)MAX(atomic_load(&server->live), 0),
        .tls_expires_s =
            server->options.tls != NULL ? (double)tls_server_expires_s(server->options.tls) : 0,
        .auth_refused = counted(&counters->auth_refused),
        .queries = counted(&counters->queries),
        .queries_failed = counted(&counters->queries_failed),
        .query_samples = counted(&counters->query_samples),
        .query_ns = counted(&counters->query_ns),
        .query_bytes = counted(&counters->query_bytes),
        .queries_slow = counted(&counters->queries_slow),
        .writes_failed = counted(&counters->writes_failed),
        .datadog_series = counted(&counters->datadog_series),
        .datadog_refused = counted(&counters->datadog_refused),
        .datadog_dropped = counted(&counters->datadog_dropped),
        .influx_lines = counted(&counters->influx_lines),
        .influx_refused = counted(&counters->influx_refused),
        .influx_texts = counted(&counters->influx_texts),
        .otlp_points = counted(&counters->otlp_points),
        .otlp_cached = counted(&counters->otlp_cached),
        .otlp_rejected = counted(&counters->otlp_rejected),
    };
    store_state(server->options.store, &s->store);
    worker_pool_state(server->workers, &s->workers);
    query_cache_state(server->query_cache, &s->query_cache);
    const ServerScrape *scrape = &server->options.scrape;
    if (server->options.listen_state != NULL)
        server->options.listen_state(server->options.listen_context, &s->listen);
    if (scrape->state != NULL) scrape->state(scrape->context, &s->scrape);
    if (server->options.repeats != NULL) repeats_state(server->options.repeats, &s->repeats);
    snapshot_tenants(s, server->options.store);
}

// ---- Sinks ----

typedef struct Sink Sink;
struct Sink {
    void (*begin)(Sink *sink, const SelfRow *row);
    // `suffix`: "_bucket", "_sum", "_count" of a histogram, else empty. Labels are sorted by name.
    void (*value)(Sink *sink, const SelfRow *row, Text suffix, const Label *labels,
                  size_t label_count, double value);
    ExpositionPrinter page;  // of the sink for /metrics
    WriteBody *body;         // of the other
    int64_t now_ms;
    Text instance;
    bool with_metadata;
    Arena *arena;
};

static MetadataType metadata_type(SelfKind kind) {
    switch (kind) {
        case SELF_COUNTER:
            return METADATA_COUNTER;
        case SELF_GAUGE:
            return METADATA_GAUGE;
        case SELF_HISTOGRAM:
            return METADATA_HISTOGRAM;
    }
    unreachable("every kind of metric has a type");
}

enum { OWN_LABELS = 3, LABELS_MAX = 8 };  // name, job, instance, and those of the row

static Text name_of(Sink *sink, const SelfRow *row, Text suffix) {
    return suffix.len == 0
               ? row->name
               : text_format(sink->arena, "%.*s%.*s", TEXT_ARG(row->name), TEXT_ARG(suffix));
}

static void page_begin(Sink *sink, const SelfRow *row) {
    exposition_print_family(sink->page, row->name, metadata_type(row->kind), row->help, TEXT(""));
}

static void page_value(Sink *sink, const SelfRow *row, Text suffix, const Label *labels,
                       size_t label_count, double value) {
    assert(label_count + 1 <= LABELS_MAX);
    ArenaMark mark = arena_mark(sink->arena);
    Label all[LABELS_MAX] = {{LABEL_NAME, name_of(sink, row, suffix)}};
    for (size_t i = 0; i < label_count; i++) all[1 + i] = labels[i];
    Labels made;
    bool sorted = labels_make(all, label_count + 1, sink->arena, &made, NULL);
    assert(sorted);
    exposition_print_series(sink->page, made, value, NULL, NULL);
    arena_reset_to(sink->arena, mark);
}

static void body_begin(Sink *sink, const SelfRow *row) {
    if (sink->with_metadata)
        write_body_add_metadata(sink->body, row->name, (uint8_t)metadata_type(row->kind), row->help,
                                TEXT(""));
}

static void body_value(Sink *sink, const SelfRow *row, Text suffix, const Label *labels,
                       size_t label_count, double value) {
    assert(label_count + OWN_LABELS <= LABELS_MAX);
    ArenaMark mark = arena_mark(sink->arena);
    Label all[LABELS_MAX] = {
        {LABEL_NAME, name_of(sink, row, suffix)},
        {TEXT("instance"), sink->instance},
        {TEXT("job"), TEXT("traceo")},
    };
    for (size_t i = 0; i < label_count; i++) all[OWN_LABELS + i] = labels[i];
    Labels made;
    bool sorted = labels_make(all, label_count + OWN_LABELS, sink->arena, &made, NULL);
    assert(sorted);
    write_body_add(sink->body, made, sink->now_ms, value);
    arena_reset_to(sink->arena, mark);
}

// ---- Families with labels ----

static void write_build(const Snapshot *s, Sink *sink, const SelfRow *row) {
    const ServerBuild *build = &s->server->options.build;
    Label labels[] = {{TEXT("compiler"), build->compiler},
                      {TEXT("revision"), build->revision},
                      {TEXT("version"), build->version}};
    sink->value(sink, row, TEXT(""), labels, COUNT(labels), 1);
}

static void write_requests(const Snapshot *s, Sink *sink, const SelfRow *row) {
    for (size_t route = 0; route <= ROUTE_COUNT; route++) {
        for (size_t i = 0; i < COUNTER_STATUS_COUNT; i++) {
            uint64_t count = counted(&s->server->counters.requests[route][i]);
            if (count == 0) continue;
            int status = counter_statuses[i];
            Label labels[] = {
                {TEXT("code"),
                 status == 0 ? TEXT("other") : text_format(sink->arena, "%d", status)},
                {TEXT("handler"), route == ROUTE_COUNT ? TEXT("none") : routes[route].path}};
            sink->value(sink, row, TEXT(""), labels, COUNT(labels), (double)count);
        }
    }
}

static const Text lane_names[LANE_COUNT] = {[LANE_LOOP] = TEXT_INIT("loop"),
                                            [LANE_STATUS] = TEXT_INIT("status"),
                                            [LANE_QUERY] = TEXT_INIT("query")};

static void write_durations(const Snapshot *s, Sink *sink, const SelfRow *row) {
    const Counters *counters = &s->server->counters;
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        Label labels[] = {{TEXT("lane"), lane_names[lane]}, {TEXT("le"), TEXT("+Inf")}};
        uint64_t sum = 0;
        for (size_t i = 0; i <= COUNTER_BUCKET_COUNT; i++) {
            sum += counted(&counters->seconds[lane][i]);
            labels[1].value = TEXT("+Inf");
            if (i < COUNTER_BUCKET_COUNT)
                labels[1].value = text_format(sink->arena, "%g", counter_buckets_s[i]);
            sink->value(sink, row, TEXT("_bucket"), labels, COUNT(labels), (double)sum);
        }
        sink->value(sink, row, TEXT("_sum"), labels, 1,
                    (double)counted(&counters->nanoseconds[lane]) / 1e9);
        sink->value(sink, row, TEXT("_count"), labels, 1, (double)sum);
    }
}

static void write_time(const TimeCounter *counter, Sink *sink, const SelfRow *row) {
    Label le = {TEXT("le"), TEXT("+Inf")};
    uint64_t sum = 0;
    for (size_t i = 0; i <= COUNTER_BUCKET_COUNT; i++) {
        sum += counted(&counter->buckets[i]);
        le.value = i < COUNTER_BUCKET_COUNT ? text_format(sink->arena, "%g", counter_buckets_s[i])
                                            : TEXT("+Inf");
        sink->value(sink, row, TEXT("_bucket"), &le, 1, (double)sum);
    }
    sink->value(sink, row, TEXT("_sum"), NULL, 0, (double)counted(&counter->nanoseconds) / 1e9);
    sink->value(sink, row, TEXT("_count"), NULL, 0, (double)sum);
}

static void write_query_time(const Snapshot *s, Sink *sink, const SelfRow *row) {
    write_time(&s->server->counters.query_ran, sink, row);
}

static void write_query_wait(const Snapshot *s, Sink *sink, const SelfRow *row) {
    write_time(&s->server->counters.query_waited, sink, row);
}

static void write_query_outcomes(const Snapshot *s, Sink *sink, const SelfRow *row) {
    static const Text names[QUERY_OUTCOMES] = {
        [QUERY_ANSWERED] = TEXT_INIT("answered"),  [QUERY_REFUSED] = TEXT_INIT("refused"),
        [QUERY_LIMITED] = TEXT_INIT("limit"),      [QUERY_LATE] = TEXT_INIT("timeout"),
        [QUERY_CANCELLED] = TEXT_INIT("canceled"), [QUERY_BROKEN] = TEXT_INIT("failed"),
    };
    for (size_t i = 0; i < QUERY_OUTCOMES; i++) {
        Label label = {TEXT("outcome"), names[i]};
        sink->value(sink, row, TEXT(""), &label, 1,
                    (double)counted(&s->server->counters.query_outcomes[i]));
    }
}

static void write_samples(const Snapshot *s, Sink *sink, const SelfRow *row) {
    for (Verdict verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        Label label = {TEXT("verdict"), verdict_name(verdict)};
        sink->value(sink, row, TEXT(""), &label, 1,
                    (double)counted(&s->server->counters.samples[verdict]));
    }
}

static void write_targets(const Snapshot *s, Sink *sink, const SelfRow *row) {
    const struct {
        Text health;
        uint64_t count;
    } rows[] = {
        {TEXT("down"), s->scrape.targets_down},
        {TEXT("dropped"), s->scrape.targets_dropped},
        {TEXT("unknown"), s->scrape.targets_unknown},
        {TEXT("up"), s->scrape.targets_up},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Label label = {TEXT("health"), rows[i].health};
        sink->value(sink, row, TEXT(""), &label, 1, (double)rows[i].count);
    }
}

static void write_goaways(const Snapshot *s, Sink *sink, const SelfRow *row) {
    static const Text reasons[] = {
        [HTTP2_GOAWAY_DRAIN] = TEXT_INIT("drain"),
        [HTTP2_GOAWAY_PROTOCOL] = TEXT_INIT("protocol"),
        [HTTP2_GOAWAY_RESETS] = TEXT_INIT("resets"),
        [HTTP2_GOAWAY_HEADERS] = TEXT_INIT("headers"),
        [HTTP2_GOAWAY_CONTROL] = TEXT_INIT("control"),
        [HTTP2_GOAWAY_SLOW] = TEXT_INIT("slow"),
    };
    _Static_assert(COUNT(reasons) == HTTP2_GOAWAY_COUNT, "a name for every reason");
    for (size_t i = 0; i < COUNT(reasons); i++) {
        Label label = {TEXT("reason"), reasons[i]};
        sink->value(sink, row, TEXT(""), &label, 1, (double)s->http.http2_goaways[i]);
    }
}

// ---- Walking the table ----

static void write_all(const Snapshot *s, Sink *sink) {
    const SelfRow *row = self_rows;
#define METRIC(name, kind, expression, help) \
    sink->begin(sink, row);                  \
    sink->value(sink, row++, TEXT(""), NULL, 0, (double)(expression));
#define FAMILY(name, kind, write, help) \
    sink->begin(sink, row);             \
    write(s, sink, row++);
#include "server/self_metrics.def"
#undef METRIC
#undef FAMILY
}

void self_metrics_print(Server *server, ExpositionFormat format, Builder *out) {
    AUTO(arena_free) Arena arena = {0};
    Snapshot *snapshot = arena_push(&arena, Snapshot);
    snapshot_take(server, snapshot);
    Sink sink = {.begin = page_begin, .value = page_value, .page = {format, out}, .arena = &arena};
    write_all(snapshot, &sink);
    exposition_print_end(sink.page);
}

void server_collect_self(Server *server, WriteBody *body, int64_t now_ms) {
    AUTO(arena_free) Arena arena = {0};
    Snapshot *snapshot = arena_push(&arena, Snapshot);
    snapshot_take(server, snapshot);
    Sink sink = {
        .begin = body_begin,
        .value = body_value,
        .body = body,
        .now_ms = now_ms,
        .instance = server->options.instance,
        .with_metadata = server->self_rounds++ % METADATA_EVERY == 0,
        .arena = &arena,
    };
    write_all(snapshot, &sink);
}

bool serve_metrics(Request *request, Error *err) {
    (void)err;
    ExpositionFormat format = exposition_accept(http_header(request->exchange, TEXT("Accept")));
    request->content_type = exposition_content_type(format);
    self_metrics_print(request->server, format, &request->body);
    return true;
}
