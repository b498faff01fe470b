// From an address and labels to a target: defaults, relabelling, the URL, and what is refused.

#include "base/test.h"
#include "ingest/scrape/parts.h"

static ScrapeConfig config_of(void) {
    return (ScrapeConfig){
        .job_name = TEXT("j"),
        .interval_ms = 15000,
        .timeout_ms = 10000,
        .metrics_path = TEXT("/metrics"),
        .scheme = TEXT("http"),
    };
}

static Text printed(Test *t, Labels labels) {
    AUTO(builder_free) Builder out = {0};
    labels_print(labels, &out);
    return text_copy(builder_text(&out), t->arena);
}

static TargetDraft draft_of(Test *t, const ScrapeConfig *config, const Label *labels, size_t count,
                            const char *address) {
    TargetGroup group = {0};
    for (size_t i = 0; i < count; i++) *array_add_on(t->arena, &group.labels) = labels[i];
    TargetDraft draft;
    check_ok(t, target_draft(config, &group, text_from_cstring(address), t->arena, &draft, t->err));
    return draft;
}

TEST(a_target_gets_its_defaults) {
    ScrapeConfig config = config_of();
    Label labels[] = {{TEXT("env"), TEXT("e")}, {TEXT("__meta_x"), TEXT("y")}};
    TargetDraft draft = draft_of(t, &config, labels, COUNT(labels), "host:9100");
    check(t, draft.keep);
    check_text(t, TEXT("http://host:9100/metrics"), draft.url);
    check_text(t, TEXT("{env=\"e\", instance=\"host:9100\", job=\"j\"}"), printed(t, draft.labels));
    check_text(t,
               TEXT("{__address__=\"host:9100\", __meta_x=\"y\", __metrics_path__=\"/metrics\", "
                    "__scheme__=\"http\", __scrape_interval__=\"15s\", __scrape_timeout__=\"10s\", "
                    "env=\"e\", job=\"j\"}"),
               printed(t, draft.discovered));
    check_i64(t, 15000, draft.interval_ms);
    check_i64(t, 10000, draft.timeout_ms);
    // As in Prometheus 3 no port is added.
    check_text(t, TEXT("http://host/metrics"), draft_of(t, &config, NULL, 0, "host").url);
}

TEST(labels_of_a_group_may_say_how_to_scrape) {
    ScrapeConfig config = config_of();
    Label labels[] = {{TEXT("__metrics_path__"), TEXT("/a b?c")},
                      {TEXT("__scheme__"), TEXT("https")},
                      {TEXT("__scrape_interval__"), TEXT("1m")},
                      {TEXT("__scrape_timeout__"), TEXT("30s")},
                      {TEXT("__param_x"), TEXT("1 2")},
                      {TEXT("instance"), TEXT("own")},
                      {TEXT("job"), TEXT("other")}};
    TargetDraft draft = draft_of(t, &config, labels, COUNT(labels), "host:1");
    check_text(t, TEXT("https://host:1/a%20b%3Fc?x=1+2"), draft.url);
    check_text(t, TEXT("{instance=\"own\", job=\"other\"}"), printed(t, draft.labels));
    check_i64(t, 60000, draft.interval_ms);
    check_i64(t, 30000, draft.timeout_ms);
}

TEST(parameters_of_the_job_and_of_labels_come_together_sorted) {
    ScrapeConfig config = config_of();
    Text two[] = {TEXT("b"), TEXT("c")}, one[] = {TEXT("z")};
    ScrapeParam params[] = {{TEXT("module"), {two, 2}}, {TEXT("a"), {one, 1}}};
    config.params.at = params;
    config.params.count = 2;
    TargetDraft draft = draft_of(t, &config, NULL, 0, "h:1");
    check_text(t, TEXT("http://h:1/metrics?a=z&module=b&module=c"), draft.url);
    // A rule on __param_… changes the first value, as Prometheus has it.
    Text from[] = {TEXT("__address__")};
    RelabelRule rule = relabel_rule_default();
    rule.source_labels = (Texts){from, 1};
    rule.target_label = TEXT("__param_module");
    check_ok(t, relabel_rule_compile(&rule, t->err));
    config.relabel = (RelabelRules){&rule, 1};
    draft = draft_of(t, &config, NULL, 0, "h:1");
    check_text(t, TEXT("http://h:1/metrics?a=z&module=h%3A1&module=c"), draft.url);
    relabel_rules_close(&config.relabel);
}

TEST(a_rule_may_drop_a_target_and_its_discovered_labels_stay_known) {
    ScrapeConfig config = config_of();
    Text from[] = {TEXT("__address__")};
    RelabelRule rule = relabel_rule_default();
    rule.action = RELABEL_DROP;
    rule.source_labels = (Texts){from, 1};
    rule.regex = TEXT("h:2");
    check_ok(t, relabel_rule_compile(&rule, t->err));
    config.relabel = (RelabelRules){&rule, 1};
    check(t, draft_of(t, &config, NULL, 0, "h:1").keep);
    TargetDraft draft = draft_of(t, &config, NULL, 0, "h:2");
    check(t, !draft.keep);
    check_text(t, TEXT("h:2"), labels_get(draft.discovered, TEXT("__address__")));
    relabel_rules_close(&config.relabel);
}

static void check_refused(Test *t, const ScrapeConfig *config, Label label, const char *address,
                          const char *words) {
    TargetGroup group = {0};
    *array_add_on(t->arena, &group.labels) = label;
    TargetDraft draft;
    check_error(t,
                target_draft(config, &group, text_from_cstring(address), t->arena, &draft, t->err),
                ERROR_BAD_INPUT);
    if (strstr(t->err->message, words) == NULL)
        check_failed(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\"", t->err->message, words);
}

TEST(what_cannot_be_a_target_says_why) {
    ScrapeConfig config = config_of();
    Label none = {TEXT("x"), TEXT("y")};
    check_refused(t, &config, none, "", "no address");
    check_refused(t, &config, none, "http://h:1/metrics", "");
    check_refused(t, &config, (Label){TEXT("__scrape_interval__"), TEXT("soon")}, "h:1",
                  "error parsing scrape interval");
    check_refused(t, &config, (Label){TEXT("__scrape_interval__"), TEXT("0s")}, "h:1",
                  "scrape interval cannot be 0");
    check_refused(t, &config, (Label){TEXT("__scrape_timeout__"), TEXT("1m")}, "h:1",
                  "scrape timeout cannot be greater than scrape interval");
    check_refused(t, &config, (Label){TEXT("x"), TEXT("\xff")}, "h:1", "UTF-8");
}

TEST_MAIN("scrape/target", CASE(a_target_gets_its_defaults),
          CASE(labels_of_a_group_may_say_how_to_scrape),
          CASE(parameters_of_the_job_and_of_labels_come_together_sorted),
          CASE(a_rule_may_drop_a_target_and_its_discovered_labels_stay_known),
          CASE(what_cannot_be_a_target_says_why))
