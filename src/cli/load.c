// Reading the layers of settings.

#include "cli/load.h"

#include "base/limits.h"

bool config_file_at(Text path, Arena *arena, ConfigFile *out, Error *err) {
    Bytes source;
    if (!disk_read_whole(disk_real(), path, LIMIT_YAML_BYTES, arena, &source, err))
        return error_context(err, "reading the settings");
    *out = (ConfigFile){.path = path, .source = bytes_text(source)};
    return true;
}

bool config_file(const Call *call, Arena *arena, ConfigFile *out, Error *err) {
    *out = (ConfigFile){0};
    Text named = call_flag(call, FLAG_CONFIG);
    if (named.at != NULL) return config_file_at(named, arena, out, err);
    bool there;
    TRY(disk_real()->exists(disk_real(), CONFIG_STANDARD, &there, err));
    return !there || config_file_at(CONFIG_STANDARD, arena, out, err);
}

bool config_settings(const ConfigFile *file, Settings *settings, Error *err) {
    return file->path.len == 0 || settings_read_yaml(settings, file->source, file->path, err);
}

bool config_scrape(const ConfigFile *file, ScrapeConfigs **out, Error *err) {
    *out = NULL;
    return file->path.len == 0 ||
           scrape_configs_open_text(disk_real(), file->source, file->path, out, err);
}

bool settings_load_file(const Call *call, const ConfigFile *file, Arena *arena, Settings *out,
                        Error *err) {
    settings_begin(out, arena);
    TRY(config_settings(file, out, err));
    TRY(settings_read_environment(out, err));
    for (size_t i = 0; i < call->flags.count; i++) {
        const CallFlag *flag = &call->flags.at[i];
        bool known;
        if (flag->flag == NULL) TRY(settings_read_flag(out, flag->name, flag->value, &known, err));
    }
    return true;
}

bool settings_load(const Call *call, Arena *arena, Settings *out, Error *err) {
    ConfigFile file;
    return config_file(call, arena, &file, err) && settings_load_file(call, &file, arena, out, err);
}
