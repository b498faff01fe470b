// The state of the server as Prometheus' API shows it, and the families that have nothing to show
// yet.

#include "os/process.h"
#include "os/thread.h"
#include "server/serve.h"

// The release of Prometheus whose API we follow: clients choose features by it (UTF-8 names
// from 3.0 on).
#define API_VERSION TEXT("3.5.0")

enum { TOP_DEFAULT = 10, TOP_MAX = 10000 };

static void write_pair(JsonWriter *writer, Text name, Text value) {
    json_key(writer, name);
    json_text(writer, value);
}

static void write_number(JsonWriter *writer, Text name, int64_t value) {
    json_key(writer, name);
    json_i64(writer, value);
}

static bool done(JsonWriter *writer) {
    envelope_end(writer, (Texts){0}, (Texts){0});
    return true;
}

bool serve_status_buildinfo(Request *request, Error *err) {
    (void)err;
    const ServerBuild *build = &request->server->options.build;
    Arena *arena = request->exchange->arena;
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    write_pair(&writer, TEXT("version"), API_VERSION);
    write_pair(&writer, TEXT("revision"),
               text_format(arena, "traceo-%.*s%s%.*s", TEXT_ARG(build->version),
                           build->revision.len > 0 ? "-" : "", TEXT_ARG(build->revision)));
    write_pair(&writer, TEXT("branch"), TEXT(""));
    write_pair(&writer, TEXT("buildUser"), TEXT(""));
    write_pair(&writer, TEXT("buildDate"), build->date);
    write_pair(&writer, TEXT("goVersion"),
               TEXT(""));  // clients expect the member; there is no Go here
    json_object_end(&writer);
    return done(&writer);
}

bool serve_status_config(Request *request, Error *err) {
    (void)err;
    const ServerSettings *settings = &request->server->options.settings;
    AUTO(builder_free) Builder yaml = {0};
    if (settings->print != NULL) settings->print(settings->context, &yaml);
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    write_pair(&writer, TEXT("yaml"), builder_text(&yaml));
    json_object_end(&writer);
    return done(&writer);
}

// As written; empty when there is no such setting.
static Text setting_value(const ServerSettings *settings, Text key, Arena *arena) {
    ServerSetting setting;
    for (size_t i = 0; settings->at != NULL && settings->at(settings->context, i, arena, &setting);
         i++) {
        if (text_equal(setting.key, key)) return setting.value;
    }
    return TEXT("");
}

bool serve_status_flags(Request *request, Error *err) {
    (void)err;
    const ServerSettings *settings = &request->server->options.settings;
    AUTO(arena_free) Arena arena = {0};
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    ServerSetting setting;
    for (size_t i = 0; settings->at != NULL && settings->at(settings->context, i, &arena, &setting);
         i++) {
        write_pair(&writer, setting.key, setting.value);
    }
    // And the flags of Prometheus that clients look for, as far as there is something behind them.
    static const Text flags[][2] = {
        {TEXT_INIT("query.lookback-delta"), TEXT_INIT("query.lookback")},
        {TEXT_INIT("storage.tsdb.path"), TEXT_INIT("data")},
        {TEXT_INIT("storage.tsdb.retention.time"), TEXT_INIT("retention")},
        {TEXT_INIT("web.enable-admin-api"), TEXT_INIT("web.enable_admin_api")},
        {TEXT_INIT("web.listen-address"), TEXT_INIT("listen")},
    };
    for (size_t i = 0; i < COUNT(flags); i++) {
        Text value = setting_value(settings, flags[i][1], &arena);
        if (value.len > 0) write_pair(&writer, flags[i][0], value);
    }
    write_pair(&writer, TEXT("web.enable-lifecycle"), TEXT("true"));
    write_pair(&writer, TEXT("web.enable-remote-write-receiver"), TEXT("true"));
    json_object_end(&writer);
    return done(&writer);
}

bool serve_settings(Request *request, Error *err) {
    (void)err;
    const ServerSettings *settings = &request->server->options.settings;
    AUTO(arena_free) Arena arena = {0};
    JsonWriter writer = envelope_begin(request);
    json_array_begin(&writer);
    ServerSetting setting;
    for (size_t i = 0; settings->at != NULL && settings->at(settings->context, i, &arena, &setting);
         i++) {
        json_object_begin(&writer);
        write_pair(&writer, TEXT("key"), setting.key);
        write_pair(&writer, TEXT("value"), setting.value);
        write_pair(&writer, TEXT("default"), setting.standard);
        write_pair(&writer, TEXT("from"), setting.from);
        write_pair(&writer, TEXT("kind"), setting.kind);
        write_pair(&writer, TEXT("unit"), setting.unit);
        json_key(&writer, TEXT("reload"));
        json_bool(&writer, setting.reload);
        write_pair(&writer, TEXT("help"), setting.help);
        json_object_end(&writer);
    }
    json_array_end(&writer);
    return done(&writer);
}

bool serve_status_runtimeinfo(Request *request, Error *err) {
    const ServerOptions *options = &request->server->options;
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    SeriesState series = {0};
    if (tenant != NULL) series_state(tenant->series, &series);
    AUTO(arena_free) Arena arena = {0};
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    write_pair(&writer, TEXT("startTime"), time_format_ms(options->started_ms, &arena));
    write_pair(&writer, TEXT("CWD"), process_folder(&arena));
    write_pair(&writer, TEXT("serverTime"),
               time_format_ms(options->clock->wall_ms(options->clock), &arena));
    write_pair(&writer, TEXT("hostname"), machine_name(&arena));
    json_key(&writer, TEXT("reloadConfigSuccess"));
    json_bool(&writer, atomic_load(&request->server->reload_ok));
    write_pair(&writer, TEXT("lastConfigTime"),
               time_format_ms(atomic_load(&request->server->reloaded_ms), &arena));
    write_number(&writer, TEXT("timeSeriesCount"), (int64_t)series.series_active);
    write_number(&writer, TEXT("corruptionCount"), (int64_t)series.corruptions);
    // Those of Go stand for what is alike here: threads that may run at once, and nothing else.
    write_number(&writer, TEXT("GOMAXPROCS"), thread_core_count());
    write_pair(&writer, TEXT("storageRetention"),
               setting_value(&options->settings, TEXT("retention"), &arena));
    json_object_end(&writer);
    return done(&writer);
}

bool serve_status_walreplay(Request *request, Error *err) {
    (void)err;
    StoreState state;
    store_state(request->server->options.store, &state);
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    write_number(&writer, TEXT("min"), 0);
    write_number(&writer, TEXT("max"), 100);
    write_number(&writer, TEXT("current"),
                 state.ready ? 100 : MIN((int64_t)(state.replay_part * 100), 99));
    write_pair(&writer, TEXT("state"), state.ready ? TEXT("done") : TEXT("in progress"));
    json_object_end(&writer);
    return done(&writer);
}

// ---- Cardinality ----

static const struct {
    SeriesTopKind kind;
    Text name;
} tops[] = {
    {TOP_METRIC, TEXT_INIT("seriesCountByMetricName")},
    {TOP_LABEL_VALUES, TEXT_INIT("labelValueCountByLabelName")},
    {TOP_LABEL_MEMORY, TEXT_INIT("memoryInBytesByLabelName")},
    {TOP_PAIR, TEXT_INIT("seriesCountByLabelValuePair")},
};

static void write_top(JsonWriter *writer, Text name, const SeriesTop *rows, size_t count) {
    json_key(writer, name);
    json_array_begin(writer);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(writer);
        write_pair(writer, TEXT("name"), rows[i].name);
        write_number(writer, TEXT("value"), (int64_t)rows[i].count);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void write_head(JsonWriter *writer, const SeriesState *state) {
    json_key(writer, TEXT("headStats"));
    json_object_begin(writer);
    write_number(writer, TEXT("numSeries"), (int64_t)state->series_active);
    write_number(writer, TEXT("numLabelPairs"), (int64_t)state->pairs_active);
    write_number(writer, TEXT("chunkCount"), (int64_t)state->chunks_in_head);
    write_number(writer, TEXT("numSamples"), (int64_t)state->samples_in_head);
    write_number(writer, TEXT("minTime"), state->head_min_ms);
    write_number(writer, TEXT("maxTime"), state->head_max_ms);
    json_object_end(writer);
}

// Beyond what Prometheus tells: whom the limits of new series refused, and which label grew.
static void write_refusals(JsonWriter *writer, const SeriesRefusals *refusals, size_t limit) {
    json_key(writer, TEXT("seriesLimits"));
    json_object_begin(writer);
    write_number(writer, TEXT("active"), refusals->limits.active_max);
    write_number(writer, TEXT("newPerSecond"), refusals->limits.new_per_s);
    write_number(writer, TEXT("perMetric"), refusals->limits.per_metric_max);
    json_object_end(writer);
    write_number(writer, TEXT("refusedSeries"), (int64_t)refusals->refused);
    json_key(writer, TEXT("refusedSeriesByMetricName"));
    json_array_begin(writer);
    for (size_t i = 0; i < MIN(refusals->count, limit); i++) {
        const SeriesRefusal *row = &refusals->at[i];
        json_object_begin(writer);
        write_pair(writer, TEXT("name"), row->metric);
        write_number(writer, TEXT("value"), (int64_t)row->count);
        write_pair(writer, TEXT("limit"), text_from_cstring(series_refusal_limit(row->reason)));
        write_pair(writer, TEXT("label"), row->label);
        write_number(writer, TEXT("labelValues"), (int64_t)row->label_values);
        write_number(writer, TEXT("lastTime"), row->last_ms);
        json_object_end(writer);
    }
    json_array_end(writer);
}

bool serve_status_tsdb(Request *request, Error *err) {
    uint64_t limit = TOP_DEFAULT;
    Text asked = param_text(request, TEXT("limit"));
    if (asked.len > 0 && (!text_to_u64(asked, &limit) || limit == 0))
        return error_set(err, ERROR_BAD_INPUT, "limit must be a positive number");
    if (limit > TOP_MAX)
        return error_set(err, ERROR_BAD_INPUT, "invalid parameter \"limit\": at most %d", TOP_MAX);
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    AUTO(arena_free) Arena arena = {0};
    SeriesState state = {.head_min_ms = INT64_MAX,
                         .head_max_ms = INT64_MIN};  // as of an empty head
    if (tenant != NULL) series_state(tenant->series, &state);
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    write_head(&writer, &state);
    for (size_t i = 0; i < COUNT(tops); i++) {
        SeriesTop *rows = NULL;
        size_t count = 0;
        if (tenant != NULL)
            TRY(series_top(tenant->series, tops[i].kind, (size_t)limit, &arena, &rows, &count,
                           err));
        write_top(&writer, tops[i].name, rows, count);
    }
    SeriesRefusals refusals = {0};
    if (tenant != NULL) series_refusals(tenant->series, &arena, &refusals);
    write_refusals(&writer, &refusals, (size_t)limit);
    json_object_end(&writer);
    return done(&writer);
}

// ---- Families with nothing to show yet ----

// There are no rules and notifications in this version, so empty lists are the truth.
static bool answer_raw(Request *request, Text data) {
    JsonWriter writer = envelope_begin(request);
    json_raw(&writer, data);
    return done(&writer);
}

bool serve_rules(Request *request, Error *err) {
    (void)err;
    return answer_raw(request, TEXT("{\"groups\":[]}"));
}

bool serve_alerts(Request *request, Error *err) {
    (void)err;
    return answer_raw(request, TEXT("{\"alerts\":[]}"));
}

bool serve_alertmanagers(Request *request, Error *err) {
    (void)err;
    return answer_raw(request, TEXT("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"));
}

bool serve_notifications(Request *request, Error *err) {
    (void)err;
    return answer_raw(request, TEXT("[]"));
}
