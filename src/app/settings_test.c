// Tests of the settings: every layer, every kind, every complaint.

#include "app/settings.h"

#include "app/store_options.h"

#include <stdlib.h>

#include "base/test.h"

static Settings begun(Test *t) {
    Settings settings;
    settings_begin(&settings, t->arena);
    return settings;
}

TEST(every_setting_has_help_and_a_valid_default) {
    Settings settings = begun(t);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        check(t, setting_rows[i].help.len > 20);
        check(t, settings.values[i].text.len > 0 || setting_rows[i].kind == SETTING_KIND_TEXT);
        for (size_t j = 0; j < i; j++)
            check(t, !text_equal(setting_rows[i].key, setting_rows[j].key));
    }
}

TEST(a_file_sets_nested_and_dotted_keys) {
    Settings settings = begun(t);
    check_ok(t, settings_read_yaml(&settings,
                                   TEXT("listen: 127.0.0.1:1\nmemory:\n  limit: "
                                        "1.5GiB\nquery.timeout: 1m30s\nhost: {enabled: false}\n"),
                                   TEXT("traceo.yaml"), t->err));
    check_text(t, TEXT("127.0.0.1:1"), settings_text(&settings, SETTING_LISTEN));
    check_i64(t, 1610612736, settings_number(&settings, SETTING_MEMORY_LIMIT));
    check_i64(t, 90000, settings_number(&settings, SETTING_QUERY_TIMEOUT));
    check_i64(t, 0, settings_number(&settings, SETTING_HOST_ENABLED));
    check_text(t, TEXT("traceo.yaml:3"), settings.values[SETTING_MEMORY_LIMIT].from);
}

TEST(a_fault_in_a_file_is_named_with_its_line_and_a_suggestion) {
    static const struct {
        Text source;
        const char *says;
    } cases[] = {
        {TEXT_INIT("listen: 127.0.0.1:1\nmemory:\n  limt: 1GiB\n"),
         "f.yaml:3: unknown setting \"memory.limt\"; did you mean \"memory.limit\"?"},
        {TEXT_INIT("durability: often\n"),
         "f.yaml:1: durability: \"often\" is none of: sync memory"},
        {TEXT_INIT("host.interval: 1ms\n"), "outside the bounds"},
        {TEXT_INIT("host.interval: soon\n"), "is not a duration"},
        {TEXT_INIT("memory.limit: lots\n"), "is not a size"},
        {TEXT_INIT("host.enabled: maybe\n"), "neither true nor false"},
        {TEXT_INIT("server.loops: -1\n"), "is not a whole number"},
        {TEXT_INIT("- a\n"), "settings are expected"},
        {TEXT_INIT("listen: [a, b]\n"), "a plain value is expected"},
        {TEXT_INIT("listen: b: c\n"), "not YAML"},
        {TEXT_INIT("listen: \"\"\n"), "empty"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Settings settings = begun(t);
        check(t, !settings_read_yaml(&settings, cases[i].source, TEXT("f.yaml"), t->err));
        if (strstr(t->err->message, cases[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "case %zu says: %s", i, t->err->message);
    }
}

TEST(variables_of_the_environment_are_filled_in) {
    setenv("TRACEO_TEST_FOLDER", "/var/x", 1);
    Settings settings = begun(t);
    check_ok(t, settings_read_yaml(&settings,
                                   TEXT("data: ${TRACEO_TEST_FOLDER}/d\n"
                                        "retention: ${TRACEO_TEST_NONE:-7d}\n"
                                        "listen: $${x}$$\n"),
                                   TEXT("f"), t->err));
    check_text(t, TEXT("/var/x/d"), settings_text(&settings, SETTING_DATA));
    check_text(t, TEXT("7d"), settings_text(&settings, SETTING_RETENTION));
    check_text(t, TEXT("${x}$$"), settings_text(&settings, SETTING_LISTEN));
    static const char *const bad[] = {"data: ${TRACEO_TEST_NONE}\n", "data: ${}\n", "data: ${A\n",
                                      "data: ${A-b}\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        check_error(t, settings_read_yaml(&settings, text_from_cstring(bad[i]), TEXT("f"), t->err),
                    ERROR_BAD_INPUT);
        check(t, text_starts_with(text_from_cstring(t->err->message), TEXT("f:1: data: ")));
    }
}

TEST(what_belongs_to_scraping_is_passed_by_and_otlp_may_be_as_in_prometheus) {
    Settings settings = begun(t);
    check_ok(t, settings_read_yaml(&settings,
                                   TEXT("global: {scrape_interval: 5s}\nscrape_configs: []\n"
                                        "otlp:\n  promote_resource_attributes: [a.b, ' c ']\n"
                                        "  label_name_underscore_sanitization: true\n"),
                                   TEXT("f"), t->err));
    check_text(t, TEXT("a.b,c"), settings_text(&settings, SETTING_OTLP_PROMOTE));
    static const struct {
        Text source;
        ErrorCode code;
        const char *says;
    } cases[] = {
        {TEXT_INIT("scrap_configs: []\n"), ERROR_BAD_INPUT,
         "f:1: unknown setting \"scrap_configs\"; did you mean \"scrape_configs\"?"},
        {TEXT_INIT("otlp: {promote_resource_attributes: [a, a]}\n"), ERROR_BAD_INPUT,
         "f:1:41: otlp.promote_resource_attributes: \"a\" stands twice"},
        {TEXT_INIT("otlp: {promote_all_resource_attributes: true}\n"), ERROR_UNSUPPORTED,
         "f:1:8: otlp.promote_all_resource_attributes is not supported"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(t, !settings_read_yaml(&settings, cases[i].source, TEXT("f"), t->err));
        check(t, t->err->code == cases[i].code);
        if (strstr(t->err->message, cases[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "case %zu says: %s", i, t->err->message);
    }
}

TEST(flags_come_last_and_may_be_written_with_hyphens) {
    Settings settings = begun(t);
    bool known;
    check_ok(t, settings_read_yaml(&settings, TEXT("memory.limit: 1GiB"), TEXT("f"), t->err));
    check_ok(t, settings_read_flag(&settings, TEXT("memory-limit"), TEXT("2GiB"), &known, t->err));
    check(t, known && settings_number(&settings, SETTING_MEMORY_LIMIT) == 2 * GB);
    check_ok(t, settings_read_flag(&settings, TEXT("log.level"), TEXT("debug"), &known, t->err));
    check(t, known && settings_number(&settings, SETTING_LOG_LEVEL) == 0);
    check_ok(t, settings_read_flag(&settings, TEXT("nonsense"), TEXT("1"), &known, t->err));
    check(t, !known);
}

TEST(a_bad_value_changes_nothing) {
    Settings settings = begun(t);
    bool known;
    check(t, !settings_read_flag(&settings, TEXT("retention"), TEXT("-1"), &known, t->err));
    check_text(t, TEXT("30d"), settings_text(&settings, SETTING_RETENTION));
}

TEST(tiers_are_off_or_kept_for_a_time) {
    static const struct {
        const char *text;
        bool fine, on;
        int64_t keep_ms;
    } rows[] = {
        {"off", true, false, 0},        {"", true, false, 0},
        {"0", true, true, 0},           {"365d", true, true, 365 * INT64_C(86400000)},
        {" 1d ", true, true, 86400000}, {"on", false, false, 0},
        {"-1d", false, false, 0},       {"for ever", false, false, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Settings settings = begun(t);
        AUTO(retention_rules_free) RetentionRules rules = {0};
        StoreOptions options;
        bool known;
        check_ok(t, settings_read_flag(&settings, TEXT("series.retention_5m"),
                                       text_from_cstring(rows[i].text), &known, t->err));
        bool made = store_options_make(&settings, clock_system(), &rules, &options, t->err);
        check(t, known && made == rows[i].fine);
        if (!made) check(t, strstr(t->err->message, "series.retention_5m: ") != NULL);
        if (!made) continue;
        check(t, options.tiers[0].on == rows[i].on && !options.tiers[1].on);
        check_i64(t, rows[i].keep_ms, options.tiers[0].keep_ms);
    }
}

TEST_MAIN("settings", CASE(every_setting_has_help_and_a_valid_default),
          CASE(a_file_sets_nested_and_dotted_keys),
          CASE(a_fault_in_a_file_is_named_with_its_line_and_a_suggestion),
          CASE(variables_of_the_environment_are_filled_in),
          CASE(what_belongs_to_scraping_is_passed_by_and_otlp_may_be_as_in_prometheus),
          CASE(flags_come_last_and_may_be_written_with_hyphens), CASE(a_bad_value_changes_nothing),
          CASE(tiers_are_off_or_kept_for_a_time))
