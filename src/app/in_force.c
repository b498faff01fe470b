// Replacing the settings in force, and showing them.

#include "app/in_force.h"

#include "base/log.h"

void in_force_begin(InForce *in_force, const AppOptions *options) {
    *in_force = (InForce){.options = options, .settings = *options->settings};
    mutex_begin(&in_force->lock, LOCK_APP_SETTINGS);
}

static void arena_close(Arena **arena) {
    if (*arena == NULL) return;
    arena_free(*arena);
    memory_free(TAKE(*arena));
}

void in_force_end(InForce *in_force) {
    arena_close(&in_force->arena);
    mutex_end(&in_force->lock);
}

void in_force_set_server(InForce *in_force, Server *server, Store *store) {
    mutex_take(&in_force->lock);
    in_force->server = server;
    in_force->store = store;
    mutex_give(&in_force->lock);
}

ServerQuerySettings in_force_query(const Settings *settings) {
    return (ServerQuerySettings){
        .timeout_ms = settings_number(settings, SETTING_QUERY_TIMEOUT),
        .lookback_ms = settings_number(settings, SETTING_QUERY_LOOKBACK),
        .memory_bytes = settings_number(settings, SETTING_QUERY_MEMORY),
        .samples_max = settings_number(settings, SETTING_QUERY_SAMPLES),
        .cache_bytes = settings_number(settings, SETTING_QUERY_CACHE),
        .bytes_max = settings_number(settings, SETTING_QUERY_BYTES),
        .slow_ms = settings_number(settings, SETTING_QUERY_SLOW_LOG),
        .tenant_memory_bytes = settings_number(settings, SETTING_QUERY_TENANT_MEMORY),
        .tenant_samples = settings_number(settings, SETTING_QUERY_TENANT_SAMPLES),
        .tenant_bytes = settings_number(settings, SETTING_QUERY_TENANT_BYTES),
        .tenant_ms = settings_number(settings, SETTING_QUERY_TENANT_TIME),
        .stable_only = settings_number(settings, SETTING_QUERY_EXPERIMENTAL) == 0,
        .starts = settings_number(settings, SETTING_QUERY_STARTS) != 0,
        .admin_api = settings_number(settings, SETTING_WEB_ADMIN_API) != 0,
    };
}

// ---- Reload ----

// A setting that only counts at start keeps its old value in force, so that what is shown is what
// is true.
static void keep_fixed(const Settings *old, Settings *fresh) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        SettingValue *value = &fresh->values[i];
        if (setting_rows[i].reload || text_equal(old->values[i].text, value->text)) continue;
        log_warn("this setting takes effect at the next start",
                 LOG_TEXT("setting", setting_rows[i].key),
                 LOG_TEXT("in_force", old->values[i].text), LOG_TEXT("new", value->text));
        *value = (SettingValue){
            .text = text_copy(old->values[i].text, fresh->arena),
            .from = text_copy(old->values[i].from, fresh->arena),
            .number = old->values[i].number,
        };
    }
}

bool in_force_reload(InForce *in_force, Error *err) {
    const AppOptions *options = in_force->options;
    AUTO(arena_close) Arena *arena = memory_new(Arena);
    Settings fresh;
    ScrapeConfigs *scrape = NULL;
    TRY(options->settings_again(options->context, arena, &fresh, &scrape, err));
    // Both or neither: nothing below can fail.
    if (in_force->scraping != NULL) {
        scraping_apply(in_force->scraping, scrape);
    } else {
        scrape_configs_close(&scrape);
    }
    mutex_take(&in_force->lock);
    keep_fixed(&in_force->settings, &fresh);
    Arena *old = in_force->arena;
    in_force->settings = fresh;
    in_force->arena = TAKE(arena);
    log_set_level((LogLevel)settings_number(&fresh, SETTING_LOG_LEVEL));
    if (in_force->server != NULL) server_set_query(in_force->server, in_force_query(&fresh));
    if (in_force->store != NULL)
        store_set_series_limits(in_force->store, store_series_limits(&fresh));
    mutex_give(&in_force->lock);
    arena_close(&old);
    return true;
}

// ---- What the server shows ----

static void face_print(void *context, Builder *out) {
    InForce *in_force = context;
    mutex_take(&in_force->lock);
    settings_print(&in_force->settings, out);
    mutex_give(&in_force->lock);
    if (in_force->scraping != NULL) scraping_print(in_force->scraping, out);
}

static bool face_at(void *context, size_t index, Arena *arena, ServerSetting *out) {
    static const Text kinds[] = {
        [SETTING_KIND_TEXT] = TEXT("text"),         [SETTING_KIND_SIZE] = TEXT("size"),
        [SETTING_KIND_DURATION] = TEXT("duration"), [SETTING_KIND_COUNT] = TEXT("count"),
        [SETTING_KIND_SWITCH] = TEXT("switch"),     [SETTING_KIND_CHOICE] = TEXT("choice"),
    };
    if (index >= SETTING_COUNT) return false;
    InForce *in_force = context;
    const SettingRow *row = &setting_rows[index];
    mutex_take(&in_force->lock);
    const SettingValue *value = &in_force->settings.values[index];
    *out = (ServerSetting){
        .key = row->key,
        .value = text_copy(value->text, arena),
        .standard = row->standard,
        .from = text_copy(value->from, arena),
        .kind = kinds[row->kind],
        .unit = row->unit,
        .reload = row->reload,
        .help = row->help,
    };
    mutex_give(&in_force->lock);
    return true;
}

static bool face_reload(void *context, Error *err) {
    return in_force_reload(context, err);
}

ServerSettings in_force_faces(InForce *in_force) {
    return (ServerSettings){
        .context = in_force, .print = face_print, .at = face_at, .reload = face_reload};
}
