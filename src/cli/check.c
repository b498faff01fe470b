// `traceo check`: settings, queries and pages of metrics, without running anything.

#include "cli/check.h"
#include "cli/load.h"
#include "cli/query_print.h"
#include "cli/run.h"
#include "os/process.h"
#include "query/promql/promql.h"

static ExitCode check_query(Call *call, Error *err) {
    Text query = call_argument(call, 1);
    if (query.at == NULL) return call_usage(call, err, "the query is missing");
    AUTO(promql_close) Promql promql = {0};
    SourceRange where = {0};
    AUTO(builder_free) Builder out = {0};
    if (!promql_parse(query, call->arena, &promql, &where, err)) {
        query_print_caret(query, text_from_cstring(err->message), &out);
        stream_write_err(builder_text(&out));
        return CODE_PROBLEMS;
    }
    promql_print(promql.root, &out);
    builder_add_char(&out, '\n');
    return call_print(builder_text(&out), err);
}

// What the table of settings cannot know about a value.
static bool check_values(const Call *call, const Settings *settings, const ScrapeConfigs *scrape,
                         Error *err) {
    TRY(settings_check_scrape(settings, scrape, err));
    Address address;
    const SettingValue *listen = &settings->values[SETTING_LISTEN];
    return address_parse(listen->text, call->arena, &address, err) ||
           error_context(err, "%.*s: listen", TEXT_ARG(listen->from));
}

// What a file can do about it, or what only the machine can.
static ExitCode code_of(const Error *err) {
    bool problem = err->code == ERROR_BAD_INPUT || err->code == ERROR_TOO_LARGE ||
                   err->code == ERROR_UNSUPPORTED;
    return problem ? CODE_PROBLEMS : CODE_FAILED;
}

static ExitCode check_file(Call *call, Text path, Error *err) {
    Settings settings;
    AUTO(scrape_configs_close) ScrapeConfigs *scrape = NULL;
    ConfigFile file;
    settings_begin(&settings, call->arena);
    if (!config_file_at(path, call->arena, &file, err) || !config_settings(&file, &settings, err) ||
        !config_scrape(&file, &scrape, err))
        return code_of(err);
    if (!check_values(call, &settings, scrape, err)) return CODE_PROBLEMS;
    size_t jobs = scrape_configs_count(scrape);
    if (jobs == 0) return call_print(text_format(call->arena, "%.*s: fine\n", TEXT_ARG(path)), err);
    return call_print(text_format(call->arena, "%.*s: fine, %zu scrape %s\n", TEXT_ARG(path), jobs,
                                  jobs == 1 ? "job" : "jobs"),
                      err);
}

// What `traceo serve` with the same flags would run with.
static ExitCode check_effective(Call *call, Error *err) {
    Settings settings;
    ConfigFile file;
    AUTO(scrape_configs_close) ScrapeConfigs *scrape = NULL;
    if (!config_file(call, call->arena, &file, err) ||
        !settings_load_file(call, &file, call->arena, &settings, err) ||
        !config_scrape(&file, &scrape, err))
        return code_of(err);
    if (!check_values(call, &settings, scrape, err)) return CODE_PROBLEMS;
    AUTO(builder_free) Builder out = {0};
    settings_print(&settings, &out);
    if (scrape != NULL) scrape_configs_print(scrape, &out);
    return call_print(builder_text(&out), err);
}

ExitCode command_check(Call *call, Error *err) {
    Text first = call_argument(call, 0), second = call_argument(call, 1);
    if (text_equal(first, TEXT("query"))) return check_query(call, err);
    if (text_equal(first, TEXT("metrics"))) return check_metrics(call, second, err);
    if (text_ends_with(first, TEXT(".prom"))) return check_metrics(call, first, err);
    bool named = text_equal(first, TEXT("config"));
    if (!named && second.at != NULL)
        return call_usage(call, err, "\"%.*s\" is neither config, query nor metrics",
                          TEXT_ARG(first));
    Text path = named ? second : first;
    return path.at == NULL ? check_effective(call, err) : check_file(call, path, err);
}
