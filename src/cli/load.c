// Reading the layers of settings.

#include "cli/load.h"

#include "base/limits.h"

bool config_path(const Call *call, Text *out, Error *err) {
    *out = call_flag(call, FLAG_CONFIG);
    if (out->at != NULL) return true;
    bool there;
    TRY(disk_real()->exists(disk_real(), CONFIG_STANDARD, &there, err));
    *out = there ? CONFIG_STANDARD : TEXT("");
    return true;
}

bool config_read(Text path, Settings *settings, Error *err) {
    Bytes source;
    if (!disk_read_whole(disk_real(), path, LIMIT_YAML_BYTES, settings->arena, &source, err)) {
        return error_context(err, "reading the settings");
    }
    return settings_read_yaml(settings, bytes_text(source), path, err);
}

bool config_read_scrape(Text path, ScrapeConfigs **out, Error *err) {
    *out = NULL;
    return path.len == 0 || scrape_configs_open(disk_real(), path, out, err);
}

bool settings_load(const Call *call, Arena *arena, Settings *out, Error *err) {
    settings_begin(out, arena);
    Text path;
    TRY(config_path(call, &path, err));
    if (path.len > 0) TRY(config_read(path, out, err));
    TRY(settings_read_environment(out, err));
    for (size_t i = 0; i < call->flags.count; i++) {
        const CallFlag *flag = &call->flags.at[i];
        bool known;
        if (flag->flag == NULL) TRY(settings_read_flag(out, flag->name, flag->value, &known, err));
    }
    return true;
}
