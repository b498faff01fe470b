// Settings as options of a store.

#include "app/store_options.h"

#include "codec/quantity.h"
#include "os/random.h"

SeriesLimits store_series_limits(const Settings *settings) {
    return (SeriesLimits){
        .active_max = settings_number(settings, SETTING_SERIES_ACTIVE),
        .new_per_s = settings_number(settings, SETTING_SERIES_NEW),
        .per_metric_max = settings_number(settings, SETTING_SERIES_PER_METRIC),
    };
}

// "off" (or nothing), or how long.
static bool take_tier(const Settings *settings, SettingId id, const char *key, SeriesTierKeep *out,
                      Error *err) {
    Text text = text_trim(settings_text(settings, id));
    *out = (SeriesTierKeep){.on = text.len > 0 && !text_equal(text, TEXT("off"))};
    if (!out->on) return true;
    if (duration_to_ms(text, &out->keep_ms, err) && out->keep_ms >= 0) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "%s: \"%.*s\" is neither off nor a duration such as 365d (0: for ever)", key,
                     TEXT_ARG(text_slice(text, 0, 100)));
}

bool store_options_make(const Settings *settings, Clock *clock, RetentionRules *rules,
                        StoreOptions *out, Error *err) {
    *out = (StoreOptions){
        .disk = disk_real(),
        .clock = clock,
        .folder = settings_text(settings, SETTING_DATA),
        .durability = (LogDurability)settings_number(settings, SETTING_DURABILITY),
        .memory_limit = settings_number(settings, SETTING_MEMORY_LIMIT),
        .retention_ms = settings_number(settings, SETTING_RETENTION),
        .head_span_ms = settings_number(settings, SETTING_HEAD_SPAN),
        .series_limits = store_series_limits(settings),
        .log_bytes_max = settings_number(settings, SETTING_LOG_BYTES),
    };
    TRY(random_hash_key(&out->hash_key, err));
    TRY(take_tier(settings, SETTING_RETENTION_5M, "series.retention_5m", &out->tiers[0], err) &&
        take_tier(settings, SETTING_RETENTION_1H, "series.retention_1h", &out->tiers[1], err));
    TRY(retention_rules_parse(settings_text(settings, SETTING_RETENTION_RULES), rules, err));
    out->retention_rules = rules->at;
    out->retention_rule_count = rules->count;
    return true;
}
