// One job: what it inherits from `global`, and what must hold within it.

#include "ingest/scrape/keys.h"

void scrape_begin(Binder *binder, void *object) {
    ScrapeConfig *config = object;
    const ConfigContext *context = binder->context;
    const GlobalConfig *global = context->global;
    config->native_histograms = global->native_histograms;
    config->always_classic_histograms = global->always_classic_histograms;
    config->classic_to_native_histograms = global->classic_to_native_histograms;
    config->extra_scrape_metrics = global->extra_scrape_metrics;
    config->names = global->names;
}

// 0 in a job means "as global", as in Prometheus.
static void inherit_limits(ScrapeLimits *limits, const ScrapeLimits *global) {
    if (limits->body_bytes == 0) limits->body_bytes = global->body_bytes;
    if (limits->samples == 0) limits->samples = global->samples;
    if (limits->targets == 0) limits->targets = global->targets;
    if (limits->labels == 0) limits->labels = global->labels;
    if (limits->label_name_bytes == 0) limits->label_name_bytes = global->label_name_bytes;
    if (limits->label_value_bytes == 0) limits->label_value_bytes = global->label_value_bytes;
    if (limits->keep_dropped_targets == 0)
        limits->keep_dropped_targets = global->keep_dropped_targets;
}

static bool check_times(ScrapeConfig *config, const GlobalConfig *global, const YamlNode *node,
                        Error *err) {
    if (config->interval_ms == 0) config->interval_ms = global->interval_ms;
    if (config->timeout_ms > config->interval_ms)
        return yaml_error(bind_at(node, TEXT("scrape_timeout")), ERROR_BAD_INPUT, err,
                          "scrape_timeout is longer than scrape_interval in job \"%.*s\"",
                          TEXT_ARG(config->job_name));
    if (config->timeout_ms == 0) config->timeout_ms = MIN(global->timeout_ms, config->interval_ms);
    return true;
}

static void choose_protocols(ScrapeConfig *config, const GlobalConfig *global) {
    static const ScrapeProtocol standard[] = {
        SCRAPE_PROTOCOL_PROTO, SCRAPE_PROTOCOL_OPENMETRICS_1_0_0, SCRAPE_PROTOCOL_OPENMETRICS_0_0_1,
        SCRAPE_PROTOCOL_TEXT_1_0_0, SCRAPE_PROTOCOL_TEXT_0_0_4};
    if (config->protocols.count > 0) return;
    config->protocols = global->protocols;
    if (config->protocols.count > 0) return;
    // Native histograms come as protobuf only.
    for (size_t i = config->native_histograms ? 0 : 1; i < COUNT(standard); i++)
        config->protocols.at[config->protocols.count++] = standard[i];
}

// A job that says what names may be chooses its escaping by that; else it follows global.
static bool choose_escaping(ScrapeConfig *config, const GlobalConfig *global, const YamlNode *node,
                            Error *err) {
    bool own = !yaml_is_null(yaml_get(node, TEXT("metric_name_validation_scheme")));
    if (config->escaping == ESCAPING_UNSET && !own) config->escaping = global->escaping;
    if (config->escaping == ESCAPING_UNSET)
        config->escaping =
            config->names == NAMES_LEGACY ? ESCAPING_UNDERSCORES : ESCAPING_ALLOW_UTF8;
    if (config->escaping != ESCAPING_ALLOW_UTF8 || config->names == NAMES_UTF8) return true;
    return yaml_error(bind_at(node, TEXT("metric_name_escaping_scheme")), ERROR_BAD_INPUT, err,
                      "metric_name_escaping_scheme allow-utf-8 does not go with "
                      "metric_name_validation_scheme legacy in job \"%.*s\"",
                      TEXT_ARG(config->job_name));
}

static bool compile_rules(Binder *binder, const RelabelRules *rules, NameScheme names,
                          const YamlNode *node, Text key, Error *err) {
    ConfigContext *context = binder->context;
    const YamlNode *list = yaml_get(node, key);
    for (size_t i = 0; i < rules->count; i++) {
        RelabelRule *rule = &rules->at[i];
        Error inner;
        rule->names = names;
        if (!relabel_rule_compile(rule, &inner)) {
            Text reason = text_from_cstring(inner.message);
            const YamlNode *place = text_starts_with(reason, TEXT("regex"))
                                        ? bind_at(list->items[i], TEXT("regex"))
                                        : list->items[i];
            return yaml_error(place, inner.code, err, "%.*s: %s", TEXT_ARG(key), inner.message);
        }
        *array_add(&context->regexes) = rule->compiled;
    }
    return true;
}

static bool check_group(const ScrapeConfig *config, const TargetGroup *group, const YamlNode *node,
                        Error *err) {
    const YamlNode *targets = yaml_get(node, TEXT("targets"));
    Error inner;
    // A rule may make an address of what is none.
    for (size_t i = 0; config->relabel.count == 0 && i < group->targets.count; i++)
        if (!target_address_check(group->targets.at[i], &inner))
            return yaml_error(targets->items[i], ERROR_BAD_INPUT, err, "%s", inner.message);
    const YamlNode *labels = yaml_get(node, TEXT("labels"));
    for (size_t i = 0; i < group->labels.count; i++)
        if (!label_name_is_valid(group->labels.at[i].name, config->names))
            return yaml_error(labels->pairs[i].key, ERROR_BAD_INPUT, err,
                              "\"%.*s\" is not a label name (letters, digits and _ with "
                              "metric_name_validation_scheme: legacy)",
                              TEXT_ARG(text_slice(group->labels.at[i].name, 0, 100)));
    return true;
}

static bool check_static(Binder *binder, ScrapeConfig *config, const YamlNode *node, Error *err) {
    const YamlNode *list = yaml_get(node, TEXT("static_configs"));
    for (size_t i = 0; i < config->static_groups.count; i++) {
        TargetGroup *group = &config->static_groups.at[i];
        group->source = text_format(binder->arena, "%zu", i);
        TRY(check_group(config, group, list->items[i], err));
    }
    return true;
}

static bool check_names(const Binder *binder, const ScrapeConfig *config, const YamlNode *node,
                        Error *err) {
    // A job that cannot be run is refused for that reason first.
    if (binder->later->count > 0) return true;
    if (config->job_name.len == 0)
        return yaml_error(bind_at(node, TEXT("job_name")), ERROR_BAD_INPUT, err,
                          "a scrape config needs a job_name");
    if (!text_is_utf8(config->job_name))
        return yaml_error(bind_at(node, TEXT("job_name")), ERROR_BAD_INPUT, err,
                          "the job_name is not UTF-8");
    if (text_equal(config->scheme, TEXT("http")) || text_equal(config->scheme, TEXT("https")))
        return true;
    return yaml_error(bind_at(node, TEXT("scheme")), ERROR_BAD_INPUT, err,
                      "scheme: \"%.*s\" is neither http nor https",
                      TEXT_ARG(text_slice(config->scheme, 0, 60)));
}

// A key whose other value does nothing is known; what it would do is not there yet.
static bool check_conversion(const ScrapeConfig *config, const YamlNode *node, Error *err) {
    if (!config->classic_to_native_histograms) return true;
    return yaml_error(
        bind_at(node, TEXT("convert_classic_histograms_to_nhcb")), ERROR_UNSUPPORTED, err,
        "convert_classic_histograms_to_nhcb is not supported by this version of "
        "Traceo; delete the key, then classic histograms are stored as they come (job "
        "\"%.*s\")",
        TEXT_ARG(config->job_name));
}

bool scrape_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    ScrapeConfig *config = object;
    const ConfigContext *context = binder->context;
    const GlobalConfig *global = context->global;
    config->from = text_format(binder->arena, "%.*s:%u", TEXT_ARG(node->file), node->line);
    TRY(check_names(binder, config, node, err));
    TRY(check_times(config, global, node, err));
    inherit_limits(&config->limits, &global->limits);
    choose_protocols(config, global);
    TRY(choose_escaping(config, global, node, err));
    TRY(check_conversion(config, node, err));
    TRY(compile_rules(binder, &config->relabel, config->names, node, TEXT("relabel_configs"), err));
    TRY(compile_rules(binder, &config->metric_relabel, config->names, node,
                      TEXT("metric_relabel_configs"), err));
    return check_static(binder, config, node, err);
}
