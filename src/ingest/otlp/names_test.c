// Tests of names: the examples of the specification and of Prometheus' documentation, by strategy.

#include "ingest/otlp/names.h"

#include "base/test.h"

typedef struct NameCase {
    const char *name, *unit;
    NameKind kind;
    // By strategy; "" where nothing is left.
    const char *with_suffixes, *escaped, *utf8_with_suffixes, *utf8;
} NameCase;

static const NameCase names[] = {
    {"system.io", "foo/bar", NAME_OTHER, "system_io_foo_per_bar", "system_io",
     "system.io_foo_per_bar", "system.io"},
    {"http.server.duration", "ms", NAME_OTHER, "http_server_duration_milliseconds",
     "http_server_duration", "http.server.duration_milliseconds", "http.server.duration"},
    {"requests", "1", NAME_COUNTER, "requests_total", "requests", "requests_total", "requests"},
    {"requests_total", "", NAME_COUNTER, "requests_total", "requests_total", "requests_total",
     "requests_total"},
    {"total.requests", "", NAME_COUNTER, "requests_total", "total_requests", "total.requests_total",
     "total.requests"},
    {"cpu.utilization", "1", NAME_GAUGE, "cpu_utilization_ratio", "cpu_utilization",
     "cpu.utilization_ratio", "cpu.utilization"},
    {"cpu.ratio", "1", NAME_GAUGE, "cpu_ratio", "cpu_ratio", "cpu_ratio", "cpu.ratio"},
    {"system.network.dropped", "{packets}", NAME_COUNTER, "system_network_dropped_total",
     "system_network_dropped", "system.network.dropped_total", "system.network.dropped"},
    {"rate", "{packets}/s", NAME_GAUGE, "rate_per_second", "rate", "rate_per_second", "rate"},
    {"speed", "m/s", NAME_GAUGE, "speed_meters_per_second", "speed", "speed_meters_per_second",
     "speed"},
    {"disk.bytes", "By", NAME_COUNTER, "disk_bytes_total", "disk_bytes", "disk.bytes_total",
     "disk.bytes"},
    {"mem", "GiBy", NAME_GAUGE, "mem_gibibytes", "mem", "mem_gibibytes", "mem"},
    {"used", "%", NAME_GAUGE, "used_percent", "used", "used_percent", "used"},
    {"odd", "\xce\xbc!x", NAME_GAUGE, "odd_x", "odd", "odd_\xce\xbc!x", "odd"},
    {"a..b", "", NAME_OTHER, "a_b", "a_b", "a..b", "a..b"},
    {"a__b", "", NAME_OTHER, "a_b", "a__b", "a__b", "a__b"},
    {"_a_", "", NAME_OTHER, "a", "_a_", "_a_", "_a_"},
    {"3.14 digits", "", NAME_OTHER, "_3_14_digits", "_3_14_digits", "3.14 digits", "3.14 digits"},
    {"a:b", "", NAME_OTHER, "a:b", "a:b", "a:b", "a:b"},
    {"caf\xc3\xa9.x", "", NAME_OTHER, "caf_x", "caf_x", "caf\xc3\xa9.x", "caf\xc3\xa9.x"},
    {"\xc3\xa9", "", NAME_OTHER, "", "", "\xc3\xa9", "\xc3\xa9"},
    {"_", "", NAME_OTHER, "", "_", "_", "_"},
    {"", "s", NAME_OTHER, "", "", "", ""},
};

TEST(metrics_are_named_as_each_strategy_says) {
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *const wanted[] = {names[i].with_suffixes, names[i].escaped,
                                      names[i].utf8_with_suffixes, names[i].utf8};
        for (OtlpNaming naming = 0; naming < COUNT(wanted); naming++) {
            AUTO(builder_free) Builder out = {0};
            bool made = name_metric(naming, names[i].kind, text_from_cstring(names[i].name),
                                    text_from_cstring(names[i].unit), &out, t->err);
            if (wanted[naming][0] == '\0') {
                check(t, !made && t->err->code == ERROR_BAD_INPUT);
            } else {
                check(t, made);
                check_text(t, text_from_cstring(wanted[naming]), builder_text(&out));
            }
        }
    }
}

TEST(units_are_said_in_words) {
    static const char *const cases[][2] = {
        {"s", "seconds"},      {"By/s", "bytes_per_second"}, {"1", ""},
        {"{request}", ""},     {"/s", "per_second"},         {"{x}/m", "per_minute"},
        {"TiBy", "tibibytes"}, {"own unit", "own_unit"},     {"", ""},
        {"m/{x}", "meters"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(builder_free) Builder out = {0};
        name_unit(OTLP_NAMING_ESCAPED_WITH_SUFFIXES, text_from_cstring(cases[i][0]), &out);
        check_text(t, text_from_cstring(cases[i][1]), builder_text(&out));
    }
}

TEST(labels_are_named_as_prometheus_does) {
    static const char *const cases[][2] = {
        {"http.method", "http_method"},
        {"1st", "key_1st"},
        {"_a", "key_a"},
        {"__a__", "__a__"},
        {"a:b", "a_b"},
        {"caf\xc3\xa9", "caf_"},
        {".x", "key_x"},
        {"..x", "__x"},
        {"a  b", "a__b"},
        {"__", "__"},
        {"\xc3\xa9", "key_"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(builder_free) Builder out = {0};
        check_ok(t, name_label(OTLP_NAMING_ESCAPED, text_from_cstring(cases[i][0]), &out, t->err));
        check_text(t, text_from_cstring(cases[i][1]), builder_text(&out));
        builder_clear(&out);
        check_ok(t, name_label(OTLP_NAMING_UTF8, text_from_cstring(cases[i][0]), &out, t->err));
        check_text(t, text_from_cstring(cases[i][0]), builder_text(&out));
    }
    AUTO(builder_free) Builder out = {0};
    check_error(t, name_label(OTLP_NAMING_ESCAPED, TEXT("--"), &out, t->err), ERROR_BAD_INPUT);
    check_error(t, name_label(OTLP_NAMING_UTF8, TEXT(""), &out, t->err), ERROR_BAD_INPUT);
}

TEST_MAIN("otlp/names", CASE(metrics_are_named_as_each_strategy_says),
          CASE(units_are_said_in_words), CASE(labels_are_named_as_prometheus_does))
