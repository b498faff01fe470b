// `traceo serve`: settings from all layers, then the application.

#include "cli/load.h"
#include "cli/run.h"
#include "cli/version.h"

// At a reload the same layers are read again; flags stay what they were.
static bool again(void *context, Arena *arena, Settings *out, Error *err) {
    return settings_load(context, arena, out, err);
}

ExitCode command_serve(Call *call, Error *err) {
    Settings settings;
    AppOptions options = {.settings = &settings,
                          .settings_again = again,
                          .context = call,
                          .build = build_facts(),
                          .ui = ui_embedded};
    if (!settings_load(call, call->arena, &settings, err)) return CODE_FAILED;
    if (!config_path(call, &options.config_path, err)) return CODE_FAILED;
    return app_run(&options, err) ? CODE_OK : CODE_FAILED;
}
