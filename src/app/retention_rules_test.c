// What `series.retention_rules` says, and how it says no.

#include "app/retention_rules.h"

#include "base/limits.h"
#include "base/test.h"

enum { DAY_MS = 86400000 };

TEST(rules_have_tenants_selectors_or_both) {
    AUTO(retention_rules_free) RetentionRules rules = {0};
    check_ok(t, retention_rules_parse(TEXT(" {env=\"dev\", x!=\"};'\"}: 3d ; audit: 0;\n"
                                           "prod {__name__=~\"slo:.*\"} : 1y2w ;b{'é'=`\\`}:1h;"),
                                      &rules, t->err));
    check_i64(t, 4, rules.count);
    check_text(t, TEXT(""), rules.at[0].tenant);
    check_i64(t, 2, rules.at[0].keep.matchers.count);
    check_text(t, TEXT("};'"), rules.at[0].keep.matchers.at[1].value);
    check_i64(t, 3 * DAY_MS, rules.at[0].keep.keep_ms);
    check_text(t, TEXT("audit"), rules.at[1].tenant);
    check_i64(t, 0, rules.at[1].keep.matchers.count);
    check_i64(t, 0, rules.at[1].keep.keep_ms);
    check_text(t, TEXT("prod"), rules.at[2].tenant);
    check_i64(t, (365 + 14) * (int64_t)DAY_MS, rules.at[2].keep.keep_ms);
    check_text(t, TEXT("b"), rules.at[3].tenant);
    check_text(t, TEXT("\\"), rules.at[3].keep.matchers.at[0].value);
    RetentionRules none = {0};
    check_ok(t, retention_rules_parse(TEXT(" \n"), &none, t->err));
    check_i64(t, 0, none.count);
    retention_rules_free(&none);
}

TEST(what_is_wrong_is_named_with_its_rule) {
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"{env=\"dev\": 3d", "series.retention_rules: rule 1: the selector has no closing brace"},
        {"a: 1d; {env=dev}: 3d", "series.retention_rules: rule 2: "},
        {"{env=\"dev\"}", "series.retention_rules: rule 1: it is not a tenant, a selector in braces"},
        {"a 3d", "series.retention_rules: rule 1: it is not a tenant"},
        {": 3d", "series.retention_rules: rule 1: it is not a tenant"},
        {"a: 3", "series.retention_rules: rule 1: "},
        {"a: -3d", "series.retention_rules: rule 1: "},
        {"a:", "series.retention_rules: rule 1: "},
        {"../a: 3d", "series.retention_rules: rule 1: "},
        {"{}: 3d", "series.retention_rules: rule 1: "},
        {"{x=~\"(\"}: 3d", "series.retention_rules: rule 1: "},
        {";a: 1d", "series.retention_rules: rule 1: it is not a tenant"},
        {"up{}: 3d;;", "series.retention_rules: rule 1: "},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        RetentionRules rules;
        Error err;
        bool parsed = retention_rules_parse(text_from_cstring(rows[i].text), &rules, &err);
        if (parsed ||
            text_find(text_from_cstring(err.message), text_from_cstring(rows[i].says)) != 0)
            check_failed(t, __FILE__, __LINE__, "%s: %s", rows[i].text,
                         parsed ? "taken" : err.message);
    }
    AUTO(builder_free) Builder many = {0};
    for (int64_t i = 0; i <= LIMIT_RETENTION_RULES; i++) builder_add(&many, TEXT("a:1d;"));
    RetentionRules rules;
    check(t, !retention_rules_parse(builder_text(&many), &rules, t->err));
    check_i64(t, ERROR_TOO_MANY, t->err->code);
}

TEST_MAIN("app/retention_rules", CASE(rules_have_tenants_selectors_or_both),
          CASE(what_is_wrong_is_named_with_its_rule))
