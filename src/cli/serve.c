// `traceo serve`: settings from all layers, then the application.

#include "cli/load.h"
#include "cli/run.h"
#include "cli/version.h"

// Both halves of the file are looked at before either is used, so that a reload takes all or
// nothing.
static bool load_all(const Call *call, Arena *arena, Settings *out, Error *err) {
    Text path;
    AUTO(scrape_configs_close) ScrapeConfigs *scrape = NULL;
    return settings_load(call, arena, out, err) && config_path(call, &path, err) &&
           config_read_scrape(path, &scrape, err) && settings_check_scrape(out, scrape, err);
}

// At a reload the same layers are read again; flags stay what they were.
static bool again(void *context, Arena *arena, Settings *out, Error *err) {
    return load_all(context, arena, out, err);
}

ExitCode command_serve(Call *call, Error *err) {
    Settings settings;
    AppOptions options = {.settings = &settings,
                          .settings_again = again,
                          .context = call,
                          .build = build_facts(),
                          .ui = ui_embedded};
    if (!load_all(call, call->arena, &settings, err)) return CODE_FAILED;
    if (!config_path(call, &options.config_path, err)) return CODE_FAILED;
    return app_run(&options, err) ? CODE_OK : CODE_FAILED;
}
