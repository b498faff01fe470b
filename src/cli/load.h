// The settings of a call, layer by layer: file, environment, flags. Private to cli.
#pragma once

#include "app/app.h"
#include "cli/command.h"
#include "ingest/scrape/config.h"

#define CONFIG_STANDARD TEXT("/etc/traceo/traceo.yaml")

// The file that counts: --config, else the standard one when it is there, else empty.
must_use bool config_path(const Call *call, Text *out, Error *err);

// Reads one file of settings over the defaults.
must_use bool config_read(Text path, Settings *settings, Error *err);

// The other half of the same file: what to scrape. BAD_INPUT, TOO_LARGE or UNSUPPORTED name the
// place. `*out` NULL when `path` is empty; close it with scrape_configs_close.
must_use bool config_read_scrape(Text path, ScrapeConfigs **out, Error *err);

// All layers. The first fault stops with BAD_INPUT naming where it stands.
must_use bool settings_load(const Call *call, Arena *arena, Settings *out, Error *err);
