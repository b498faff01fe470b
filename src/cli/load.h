// The settings of a call, layer by layer: file, environment, flags. Private to cli.
#pragma once

#include "app/app.h"
#include "cli/command.h"
#include "ingest/scrape/config.h"

#define CONFIG_STANDARD TEXT("/etc/traceo/traceo.yaml")

// The file that counts: --config, else the standard one when it is there. Its bytes are read once:
// both halves of it, the settings and what to scrape, are made of the same ones.
typedef struct ConfigFile {
    Text path;  // empty: there is none
    Text source;
} ConfigFile;

must_use bool config_file(const Call *call, Arena *arena, ConfigFile *out, Error *err);
must_use bool config_file_at(Text path, Arena *arena, ConfigFile *out, Error *err);

// Its settings over those that are there.
must_use bool config_settings(const ConfigFile *file, Settings *settings, Error *err);

// The other half: what to scrape. BAD_INPUT, TOO_LARGE or UNSUPPORTED name the place. `*out` NULL
// without a file; close it with scrape_configs_close.
must_use bool config_scrape(const ConfigFile *file, ScrapeConfigs **out, Error *err);

// All layers. The first fault stops with BAD_INPUT naming where it stands.
must_use bool settings_load(const Call *call, Arena *arena, Settings *out, Error *err);
// The same with a file that was read.
must_use bool settings_load_file(const Call *call, const ConfigFile *file, Arena *arena,
                                 Settings *out, Error *err);
