// Settings: one YAML file, overridden by TRACEO_… variables, then by flags. One row each in
// settings.def.
//
// Unknown keys are errors with file, line and a suggestion. A Settings is immutable once made; a
// reload makes a new one. In the file, dots are nesting (`memory: {limit: 1GiB}` or `memory.limit:
// 1GiB`); in the environment two underscores (TRACEO_MEMORY__LIMIT); as flags --memory.limit, and
// --memory-limit for those of the stable contract.
#pragma once

#include "base/error.h"
#include "ingest/scrape/config.h"
#include "os/disk.h"

typedef enum SettingId {
#define SETTING(name, key, kind, standard, unit, least, most, reload, help) SETTING_##name,
#include "app/settings.def"
#undef SETTING
    SETTING_COUNT
} SettingId;

typedef enum SettingKind {
    SETTING_KIND_TEXT,
    SETTING_KIND_SIZE,
    SETTING_KIND_DURATION,
    SETTING_KIND_COUNT,
    SETTING_KIND_SWITCH,
    SETTING_KIND_CHOICE
} SettingKind;

typedef struct SettingRow {
    Text key;
    SettingKind kind;
    Text standard;  // the default, as written in a file
    Text unit;
    int64_t least, most;
    bool reload;  // takes effect at /-/reload
    Text help;
} SettingRow;

extern const SettingRow setting_rows[SETTING_COUNT];

typedef struct SettingValue {
    Text text;       // as written
    int64_t number;  // bytes, ms, count, 0 or 1, or the place of the choice
    Text from;       // "default", "traceo.yaml:3", "TRACEO_LISTEN", "--listen"
} SettingValue;

typedef struct Settings {
    SettingValue values[SETTING_COUNT];
    Arena *arena;
} Settings;

// The defaults.
void settings_begin(Settings *settings, Arena *arena);
// In a file, ${NAME} and ${NAME:-default} are variables of the environment. The top-level keys of
// scraping (scrape_configs_owns) are passed by.
//
// Each layer over the last. The first fault stops with BAD_INPUT: "traceo.yaml:3: unknown setting
// \"memry\"; did you mean \"memory\"?"
must_use bool settings_read_yaml(Settings *settings, Text source, Text file_name, Error *err);
must_use bool settings_read_environment(Settings *settings, Error *err);
// What must hold between the settings and the scrape configuration (NULL: none) of one file.
must_use bool settings_check_scrape(const Settings *settings, const ScrapeConfigs *scrape,
                                    Error *err);
// One flag, "memory.limit" = "1GiB". *known false when no setting has that name.
must_use bool settings_read_flag(Settings *settings, Text name, Text value, bool *known,
                                 Error *err);

Text settings_text(const Settings *settings, SettingId id);
int64_t settings_number(const Settings *settings, SettingId id);

// The settings in effect as YAML with where each came from, for /api/v1/status/config and `traceo
// check`.
void settings_print(const Settings *settings, Builder *out);

// "512MiB", "1.5GB", "1024" to bytes (KiB, MiB, GiB, TiB are powers of 1024; KB, MB, GB, TB and K,
// M, G, T too, as operators mean them).
must_use bool size_parse(Text text, int64_t *out, Error *err);
