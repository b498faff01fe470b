// Settings as options of a store.

#include "app/store_options.h"

#include "os/random.h"

SeriesLimits store_series_limits(const Settings *settings) {
    return (SeriesLimits){
        .active_max = settings_number(settings, SETTING_SERIES_ACTIVE),
        .new_per_s = settings_number(settings, SETTING_SERIES_NEW),
        .per_metric_max = settings_number(settings, SETTING_SERIES_PER_METRIC),
    };
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
    TRY(retention_rules_parse(settings_text(settings, SETTING_RETENTION_RULES), rules, err));
    out->retention_rules = rules->at;
    out->retention_rule_count = rules->count;
    return true;
}
