// `traceo serve`: settings from all layers, then the application.

#include "cli/load.h"
#include "cli/run.h"
#include "cli/version.h"

typedef struct Serve {
    Call *call;
    Text path;  // of the file that was there at the start; empty: none
} Serve;

// Both halves of the file are looked at before either is used, so that a reload takes all or
// nothing; what was looked at is what is used.
static bool load_all(const Serve *serve, const ConfigFile *file, Arena *arena, Settings *out,
                     ScrapeConfigs **scrape, Error *err) {
    AUTO(scrape_configs_close) ScrapeConfigs *made = NULL;
    TRY(settings_load_file(serve->call, file, arena, out, err));
    TRY(config_scrape(file, &made, err) && settings_check_scrape(out, made, err));
    *scrape = TAKE(made);
    return true;
}

// At a reload the same layers are read again; flags stay what they were. A file that was there and
// is gone is a fault, and not the wish to scrape nothing.
static bool again(void *context, Arena *arena, Settings *out, ScrapeConfigs **scrape, Error *err) {
    const Serve *serve = context;
    ConfigFile file;
    bool found = serve->path.len > 0 ? config_file_at(serve->path, arena, &file, err)
                                     : config_file(serve->call, arena, &file, err);
    return found && load_all(serve, &file, arena, out, scrape, err);
}

ExitCode command_serve(Call *call, Error *err) {
    Settings settings;
    ConfigFile file;
    Serve serve = {.call = call};
    AUTO(scrape_configs_close) ScrapeConfigs *scrape = NULL;
    if (!config_file(call, call->arena, &file, err)) return CODE_FAILED;
    serve.path = file.path;
    if (!load_all(&serve, &file, call->arena, &settings, &scrape, err)) return CODE_FAILED;
    AppOptions options = {.settings = &settings,
                          .scrape = scrape,
                          .config_path = file.path,
                          .settings_again = again,
                          .context = &serve,
                          .build = build_facts(),
                          .ui = ui_embedded};
    return app_run(&options, err) ? CODE_OK : CODE_FAILED;
}
