// Building the parts from the ground up, running them, and taking them down in reverse.
//
// The main thread waits for signals. The log is replayed on a thread of its own, so that the server
// already answers "replaying" and a signal can stop it; when it is done the collectors start.

#include "app/app.h"

#include "app/collect.h"
#include "app/in_force.h"
#include "app/listening.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/process.h"
#include "os/random.h"
#include "os/thread.h"

enum {
    LOOK_EVERY_MS =
        2000,  // how soon a key made or revoked by `traceo key` is known; lines of a long replay
    SIGNAL_EVERY_MS = 100,   // how soon a second signal is seen while stopping
    INTERRUPTED_CODE = 130,  // exit code when a second signal ended it at once
    ADDRESSES_MAX = 3,
};

static const int64_t MEMORY_LIMIT_MIN = 32 * MB;
static const int64_t REPLAYER_MEMORY = 64 * MB;  // of the limit, for each thread of the replay
static const int64_t REPEATS_PART = 32;          // of memory.limit is for requests that come again

typedef struct App App;

typedef struct Replayer {
    App *app;
    IngestSender *sender;
} Replayer;

struct App {
    const AppOptions *options;
    const Settings *settings;  // those it began with
    Arena arena;
    Clock *clock;
    int64_t started_ms, started_ns;
    Address address;
    Address addresses[ADDRESSES_MAX];  // `address`, then those of OTLP that could be had
    size_t address_count;
    InForce in_force;
    Scraping scraping;
    Listening listening;
    RetentionRules retention;  // the store looks into them
    Store *store;
    Otlp *otlp;
    Repeats *repeats;
    Access *access;
    TlsServer *tls;  // NULL: plain
    Server *server;
    Collector *collector;
    Replayer *replayers;  // one for each thread of the replay
    size_t replayer_count;
    Thread *replay, *watcher;
    _Atomic bool stopping;       // the replay gives up
    _Atomic bool stopped;        // the watcher ends
    _Atomic bool replay_failed;  // with `replay_error`
    _Atomic bool all_started;    // ServerOptions.all_started
    Error replay_error;
    bool keys_unreadable;
    bool asked;  // a signal asked to stop; the main thread's, then the watcher's
};

// ---- The program's own log ----

static void log_write(void *context, Text line) {
    (void)context;
    stream_write_err(line);
}

static int64_t log_now(void *context) {
    Clock *clock = context;
    return clock->wall_ms(clock);
}

static void log_begin(App *app) {
    log_set_sink((LogSink){
        .write = log_write,
        .now_ms = log_now,
        .context = app->clock,
        .format = (LogFormat)settings_number(app->settings, SETTING_LOG_FORMAT),
        .level = (LogLevel)settings_number(app->settings, SETTING_LOG_LEVEL),
    });
}

// ---- Building ----

static bool open_store(App *app, Error *err) {
    int64_t memory = settings_number(app->settings, SETTING_MEMORY_LIMIT);
    if (memory > 0 && memory < MEMORY_LIMIT_MIN) {
        return error_set(
            err, ERROR_BAD_INPUT,
            "memory.limit is %lld bytes; with less than %lld MiB nothing could be stored or asked",
            (long long)memory, (long long)(MEMORY_LIMIT_MIN / MB));
    }
    StoreOptions options;
    TRY(store_options_make(app->settings, app->clock, &app->retention, &options, err));
    return store_open(options, &app->store, err);
}

// The loops share their port (SO_REUSEPORT), and so another Traceo of the same user could share it
// too and take half of the requests. Alone nobody gets a port that is taken.
static bool port_is_free(Address address, Error *err) {
    AUTO(socket_close) Socket probe = SOCKET_NONE;
    return address.port == 0 || socket_listen(address, false, &probe, err);
}

// The well-known ports of OpenTelemetry are a courtesy: another program may hold them (a collector
// on the same host), and then senders reach Traceo at its own.
static bool add_otlp_address(App *app, SettingId id, Error *err) {
    Text text = settings_text(app->settings, id);
    if (text.len == 0 || text_equal(text, TEXT("off"))) return true;
    Address address;
    if (!address_parse(text, &app->arena, &address, err))
        return error_context(err, "%.*s", TEXT_ARG(setting_rows[id].key));
    for (size_t i = 0; i < app->address_count; i++) {
        if (address.port != 0 && text_equal(app->addresses[i].text, address.text)) return true;
    }
    if (!access_allows_address(app->access, &address, err))
        return error_context(err, "%.*s", TEXT_ARG(setting_rows[id].key));
    Error taken = {0};
    if (!port_is_free(address, &taken)) {
        log_warn("an address for OTLP cannot be had; send to `listen` instead, or set it off",
                 LOG_TEXT("setting", setting_rows[id].key), LOG_TEXT("address", address.text),
                 LOG_ERR(&taken));
        return true;
    }
    app->addresses[app->address_count++] = address;
    return true;
}

// "a,b" without what is empty.
static Texts listed(Text text, Arena *arena) {
    ARRAY(Text) names = {0};
    Text name;
    while (text_cut(&text, ',', &name)) {
        name = text_trim(name);
        if (name.len > 0) *array_add_on(arena, &names) = name;
    }
    return (Texts){names.at, names.count};
}

static bool open_otlp(App *app, Error *err) {
    const Settings *settings = app->settings;
    OtlpOptions options = {
        .naming = (OtlpNaming)settings_number(settings, SETTING_OTLP_NAMES),
        .promote = listed(settings_text(settings, SETTING_OTLP_PROMOTE), &app->arena),
        .keep_identifying = settings_number(settings, SETTING_OTLP_KEEP) != 0,
        .scope_labels = settings_number(settings, SETTING_OTLP_SCOPE) != 0,
        .native_buckets = settings_number(settings, SETTING_OTLP_NHCB) != 0,
        .delta_series = settings_number(settings, SETTING_OTLP_DELTA_SERIES),
        .delta_expires_ms = settings_number(settings, SETTING_OTLP_DELTA_EXPIRES),
    };
    TRY(random_hash_key(&options.hash_key, err));
    app->otlp = otlp_open(&options);
    return true;
}

static bool open_repeats(App *app, Error *err) {
    HashKey key;
    StoreState state;
    TRY(random_hash_key(&key, err));
    store_state(app->store, &state);
    int64_t part = state.memory_limit / REPEATS_PART;
    app->repeats = repeats_new(key, MIN(part, LIMIT_REPEATS_BYTES));
    return true;
}

// Empty: the page in the binary.
static Text ui_folder(const Settings *settings) {
    Text folder = settings_text(settings, SETTING_WEB_UI_DIR);
    return text_equal(folder, TEXT("built-in")) ? TEXT_NONE : folder;
}

static Text label_or_off(const Settings *settings, SettingId id) {
    Text label = settings_text(settings, id);
    return text_equal(label, TEXT("off")) ? TEXT_NONE : label;
}

// Contexts are made per loop, so their number must be known.
static int loop_count(const App *app) {
    int64_t asked = settings_number(app->settings, SETTING_SERVER_LOOPS);
    return asked > 0 ? (int)asked : thread_core_count();
}

static bool open_tls(App *app, Error *err) {
    TlsServerOptions options = {
        .disk = disk_real(),
        .clock = app->clock,
        .cert_file = settings_text(app->settings, SETTING_TLS_CERT_FILE),
        .key_file = settings_text(app->settings, SETTING_TLS_KEY_FILE),
        .client_ca_file = settings_text(app->settings, SETTING_TLS_CLIENT_CA_FILE),
        .client_auth = (TlsClientAuth)settings_number(app->settings, SETTING_TLS_CLIENT_AUTH),
        .version_min = (TlsVersion)settings_number(app->settings, SETTING_TLS_MIN_VERSION),
        .http2 = true,
    };
    bool wanted = options.cert_file.len > 0 || options.key_file.len > 0 ||
                  options.client_auth != TLS_CLIENT_NONE;
    return !wanted || tls_server_open(&options, loop_count(app), &app->tls, err);
}

static bool start_server(App *app, Error *err) {
    TRY(access_allows_address(app->access, &app->address, err));
    TRY(port_is_free(app->address, err));
    app->addresses[app->address_count++] = app->address;
    TRY(add_otlp_address(app, SETTING_OTLP_GRPC_LISTEN, err));
    TRY(add_otlp_address(app, SETTING_OTLP_HTTP_LISTEN, err));
    TRY(open_otlp(app, err));
    TRY(open_repeats(app, err));
    TRY(open_tls(app, err));
    ServerOptions options = {
        .influx = {.db_label = label_or_off(app->settings, SETTING_INFLUX_DB_LABEL)},
        .otlp = app->otlp,
        .repeats = app->repeats,
        .store = app->store,
        .access = app->access,
        .clock = app->clock,
        .addresses = app->addresses,
        .address_count = app->address_count,
        .loop_count = loop_count(app),
        .worker_count = (int)settings_number(app->settings, SETTING_SERVER_WORKERS),
        .query_threads = (int)settings_number(app->settings, SETTING_QUERY_THREADS),
        .queue = {.most = (size_t)settings_number(app->settings, SETTING_QUERY_QUEUE),
                  .tenant_most = (size_t)settings_number(app->settings, SETTING_QUERY_TENANT_QUEUE),
                  .age_ms = settings_number(app->settings, SETTING_QUERY_QUEUE_AGE)},
        .limits = http_limits_default(),
        .tls = app->tls,
        .build = app->options->build,
        .ui = app->options->ui,
        .data_folder = settings_text(app->settings, SETTING_DATA),
        .ui_folder = ui_folder(app->settings),
        .query = in_force_query(app->settings),
        .settings = in_force_faces(&app->in_force),
        .scrape = scraping_faces(&app->scraping),
        .listen_state = listening_state,
        .listen_context = &app->listening,
        .all_started = &app->all_started,
        .instance = text_format(&app->arena, "%.*s:%u", TEXT_ARG(machine_name(&app->arena)),
                                (unsigned)app->address.port),
        .started_ms = app->started_ms,
    };
    TRY(server_start(&options, &app->server, err));
    in_force_set_server(&app->in_force, app->server, app->store);
    return true;
}

static bool start_collector(App *app, Error *err) {
    bool host = settings_number(app->settings, SETTING_HOST_ENABLED) != 0;
    CollectorOptions options = {
        .store = app->store,
        .server = app->server,
        .clock = app->clock,
        .host_interval_ms = host ? settings_number(app->settings, SETTING_HOST_INTERVAL) : 0,
        .self_interval_ms = settings_number(app->settings, SETTING_SELF_INTERVAL),
    };
    return collector_start(options, &app->collector, err);
}

// ---- Replay, then ready ----

static Text data_folder(App *app) {
    Text folder = settings_text(app->settings, SETTING_DATA);
    if (text_starts_with(folder, TEXT("/"))) return folder;
    return text_format(&app->arena, "%.*s/%.*s", TEXT_ARG(process_folder(&app->arena)),
                       TEXT_ARG(folder));
}

// What a newcomer needs now, and nothing else.
static void say_ready(App *app, double seconds) {
    uint16_t port = server_port(app->server, 0);
    Text host = text_slice(app->address.text, 0, app->address.text.len);
    while (host.len > 0 && host.at[host.len - 1] != ':') host.len--;
    bool everywhere = text_equal(host, TEXT("0.0.0.0:")) || text_equal(host, TEXT("[::]:"));
    if (everywhere) host = TEXT("127.0.0.1:");
    AUTO(builder_free) Builder out = {0};
    const char *scheme = app->tls != NULL ? "https" : "http";
    builder_addf(&out, "Traceo is at %s://%.*s%u  (version %.*s, ready after %.2f s)\n", scheme,
                 TEXT_ARG(host), (unsigned)port, TEXT_ARG(app->options->build.version), seconds);
    builder_addf(&out, "  Data   %.*s\n", TEXT_ARG(data_folder(app)));
    if (app->options->config_path.len > 0)
        builder_addf(&out, "  Config %.*s\n", TEXT_ARG(app->options->config_path));
    bool standard = app->tls == NULL && port == 4310 && text_equal(host, TEXT("127.0.0.1:"));
    bool collected = settings_number(app->settings, SETTING_HOST_ENABLED) != 0;
    builder_addf(&out, "  Ask    traceo query %s", collected ? "node_load1" : "'1 + 1'");
    if (!standard)
        builder_addf(&out, " --server %s://%.*s%u", scheme, TEXT_ARG(host), (unsigned)port);
    if (access_has_keys(app->access)) builder_add(&out, TEXT("  (with --key or TRACEO_KEY)"));
    builder_add(&out, TEXT("\n"));
    Error ignored;
    (void)!stream_write_out(builder_text(&out), &ignored);
}

// StoreReplay: gives up between two records when asked to stop.
static bool replay_record(void *context, Store *store, const LogRecord *record, Error *err) {
    const Replayer *replayer = context;
    if (atomic_load_explicit(&replayer->app->stopping, memory_order_relaxed))
        return error_set(err, ERROR_CANCELLED, "asked to stop");
    return ingest_replay(replayer->sender, store, record, err);
}

// One for each core, and fewer where little memory may be taken: each may hold a large body.
static void replayers_begin(App *app) {
    StoreState state;
    store_state(app->store, &state);
    int64_t count = MIN((int64_t)thread_core_count(), (int64_t)STORE_REPLAY_WORKERS_MAX);
    count = MAX(MIN(count, state.memory_limit / REPLAYER_MEMORY), (int64_t)1);
    app->replayer_count = (size_t)count;
    app->replayers = arena_push_array(&app->arena, Replayer, app->replayer_count);
    for (size_t i = 0; i < app->replayer_count; i++) {
        app->replayers[i] = (Replayer){app, ingest_sender_new()};
        ingest_sender_remember(app->replayers[i].sender, app->repeats);
    }
}

static bool replay(App *app, Error *err) {
    void *contexts[STORE_REPLAY_WORKERS_MAX];
    for (size_t i = 0; i < app->replayer_count; i++) contexts[i] = &app->replayers[i];
    return store_replay_on(app->store, replay_record, contexts, app->replayer_count, err);
}

static void replayers_end(App *app) {
    for (size_t i = 0; i < app->replayer_count; i++) ingest_sender_free(&app->replayers[i].sender);
}

static bool become_ready(App *app, Error *err) {
    TRY(replay(app, err));
    TRY(store_run(app->store, err));
    TRY(start_collector(app, err));
    TRY(scraping_start(&app->scraping, app->store, app->server, err));
    TRY(listening_start(&app->listening, app->settings, app->store, app->server, app->clock, err));
    atomic_store(&app->all_started, true);
    double seconds = (double)(app->clock->monotonic_ns(app->clock) - app->started_ns) / 1e9;
    StoreState state;
    store_state(app->store, &state);
    // First of all where to look.
    if (!app->options->quiet) say_ready(app, seconds);
    log_info("ready", LOG_TEXT("listen", app->address.text),
             LOG_TEXT("data", settings_text(app->settings, SETTING_DATA)),
             LOG_I64("replayed_records", state.replayed_records), LOG_F64("seconds", seconds));
    return true;
}

static void replay_run(void *context) {
    App *app = context;
    if (become_ready(app, &app->replay_error)) return;
    atomic_store(&app->replay_failed, true);
    // Only a wake: while stopping, a wish to stop from here would look like a second one from
    // outside, which ends the process at once.
    signals_raise(SIGNAL_NONE);
}

// ---- Waiting ----

// Keys are made and revoked by another process, straight in the catalogue: looking is simpler than
// being told.
static void look_at_keys(App *app) {
    Error err = {0};
    bool ok = access_reload(app->access, &err);
    if (!ok && !app->keys_unreadable)
        log_error("the API keys could not be read again; the old ones stay in force",
                  LOG_ERR(&err));
    app->keys_unreadable = !ok;
}

// Certificates are renewed by other programs, which need not tell us.
static void look_at_certificate(App *app) {
    Error err = {0};
    bool changed = false;
    if (app->tls == NULL) return;
    if (!tls_server_reload(app->tls, &changed, &err)) {
        log_error("the TLS certificate was not renewed; the old one stays in force", LOG_ERR(&err));
    } else if (changed) {
        log_info("the TLS certificate was renewed",
                 LOG_TEXT("file", settings_text(app->settings, SETTING_TLS_CERT_FILE)));
    }
}

static void reload(App *app) {
    Error err = {0};
    look_at_keys(app);
    look_at_certificate(app);
    if (in_force_reload(&app->in_force, &err)) {
        log_info("settings reloaded");
    } else {
        log_error("settings not reloaded; the old ones stay in force", LOG_ERR(&err));
    }
}

// A long replay says how far it is.
static void look_at_replay(App *app) {
    StoreState state;
    store_state(app->store, &state);
    if (state.ready) return;
    log_info("replaying the log", LOG_I64("percent", state.replay_part * 100),
             LOG_I64("records", state.replayed_records));
}

static void wait_for_stop(App *app) {
    for (;;) {
        switch (signals_wait(LOOK_EVERY_MS)) {
            case SIGNAL_STOP:
                app->asked = true;
                return;
            case SIGNAL_RELOAD:
                reload(app);
                break;
            case SIGNAL_NONE:
                if (atomic_load(&app->replay_failed)) return;
                look_at_replay(app);
                look_at_keys(app);
                look_at_certificate(app);
                break;
        }
    }
}

// Whoever asks twice does not want to wait. What was acknowledged is durable already.
static void watch_run(void *context) {
    App *app = context;
    while (!atomic_load(&app->stopped)) {
        if (signals_wait(SIGNAL_EVERY_MS) != SIGNAL_STOP) continue;
        if (!app->asked) {  // it stops for a reason of its own
            app->asked = true;
            continue;
        }
        log_warn("asked again: stopping at once");
        process_end_now(INTERRUPTED_CODE);
    }
}

// ---- The whole ----

// What cannot be written to blocks now stays in the log and is replayed by the next start.
static void settle_store(App *app) {
    Error err = {0};
    if (app->store != NULL && !store_settle(app->store, &err))
        log_warn("heads were not written to blocks; the next start replays the log", LOG_ERR(&err));
}

static void app_stop(App *app) {
    atomic_store(&app->stopping, true);
    Error ignored;
    if (app->server != NULL && !thread_start("watcher", watch_run, app, &app->watcher, &ignored))
        app->watcher = NULL;
    if (app->server != NULL)
        server_stop(app->server, settings_number(app->settings, SETTING_SERVER_DRAIN));
    thread_join(&app->replay);
    collector_stop(&app->collector);
    scraping_end(&app->scraping);
    listening_end(&app->listening);
    settle_store(app);
    if (app->server != NULL) in_force_set_server(&app->in_force, NULL, NULL);
    server_free(&app->server);
    otlp_close(&app->otlp);
    tls_server_free(&app->tls);
    access_close(&app->access);
    store_close(&app->store);
    retention_rules_free(&app->retention);
    replayers_end(app);
    repeats_free(&app->repeats);
    atomic_store(&app->stopped, true);
    if (app->watcher != NULL) signals_raise(SIGNAL_NONE);  // wakes it
    thread_join(&app->watcher);
}

static bool app_build_and_wait(App *app, Error *err) {
    TRY(address_parse(settings_text(app->settings, SETTING_LISTEN), &app->arena, &app->address,
                      err));
    TRY(listening_check(&app->listening, app->settings, &app->arena, err));
    TRY(signals_begin(err));
    process_files_raise();
    TRY(open_store(app, err));
    TRY(access_open(store_catalog(app->store), app->clock, &app->access, err));
    TRY(start_server(app, err));
    replayers_begin(app);
    TRY(thread_start("replay", replay_run, app, &app->replay, err));
    wait_for_stop(app);
    log_info("stopping");
    return true;
}

bool app_run(const AppOptions *options, Error *err) {
    App *app = memory_new(App);
    app->options = options;
    app->settings = options->settings;
    app->clock = clock_system();
    app->started_ms = app->clock->wall_ms(app->clock);
    app->started_ns = app->clock->monotonic_ns(app->clock);
    in_force_begin(&app->in_force, options);
    scraping_begin(&app->scraping, options->scrape, machine_name(&app->arena), options->build,
                   app->clock);
    app->in_force.scraping = &app->scraping;
    log_begin(app);
    bool ok = app_build_and_wait(app, err);
    app_stop(app);
    if (ok && atomic_load(&app->replay_failed) && app->replay_error.code != ERROR_CANCELLED) {
        *err = app->replay_error;
        ok = false;
    }
    if (ok) log_info("stopped");
    in_force_end(&app->in_force);
    arena_free(&app->arena);
    memory_free(app);
    return ok;
}
