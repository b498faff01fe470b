// Tests of the scrape configuration: defaults, inheritance, includes, secrets, life, and faults.

#include "ingest/scrape/config.h"

#include <stdlib.h>

#include "base/test.h"
#include "ingest/scrape/glob.h"
#include "os/disk_model.h"

static ScrapeConfigs *opened(Test *t, const char *source) {
    ScrapeConfigs *configs;
    check_ok(t, scrape_configs_open_text(disk_real(), text_from_cstring(source),
                                         TEXT("conf/prometheus.yml"), &configs, t->err));
    return configs;
}

TEST(a_job_with_a_name_has_every_default_of_prometheus) {
    AUTO(scrape_configs_close)
    ScrapeConfigs *configs =
        opened(t, "scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['h:1']}]\n");
    check_i64(t, 1, scrape_configs_count(configs));
    const ScrapeConfig *config = scrape_configs_at(configs, 0);
    check_text(t, TEXT("a"), config->job_name);
    check_text(t, TEXT("conf/prometheus.yml:2"), config->from);
    check_i64(t, 60000, config->interval_ms);
    check_i64(t, 10000, config->timeout_ms);
    check_text(t, TEXT("/metrics"), config->metrics_path);
    check_text(t, TEXT("http"), config->scheme);
    check(t, !config->honor_labels && config->honor_timestamps && config->enable_compression);
    check(t, config->client.follow_redirects && config->client.enable_http2);
    check(t, config->protocols.count == 4 &&
                 config->protocols.at[0] == SCRAPE_PROTOCOL_OPENMETRICS_1_0_0);
    check(t, config->fallback_protocol == SCRAPE_PROTOCOL_NONE && !config->native_histograms);
    check(t, config->names == NAMES_UTF8 && config->escaping == ESCAPING_ALLOW_UTF8);
    check_text(t, TEXT("h:1"), config->static_groups.at[0].targets.at[0]);
    check_text(t, TEXT("0"), config->static_groups.at[0].source);
}

TEST(a_job_inherits_from_global_wherever_that_stands) {
    AUTO(scrape_configs_close)
    ScrapeConfigs *configs =
        opened(t,
               "scrape_configs:\n- job_name: a\n- job_name: b\n  scrape_interval: 5s\n"
               "  sample_limit: 7\n  scrape_native_histograms: false\n"
               "global:\n  scrape_interval: 30s\n  scrape_timeout: 20s\n  sample_limit: 100\n"
               "  body_size_limit: 2MB\n  scrape_native_histograms: true\n"
               "  metric_name_validation_scheme: legacy\n");
    const ScrapeConfig *a = scrape_configs_at(configs, 0), *b = scrape_configs_at(configs, 1);
    check(t, a->interval_ms == 30000 && a->timeout_ms == 20000 && a->limits.samples == 100);
    check(t, b->interval_ms == 5000 && b->timeout_ms == 5000 && b->limits.samples == 7);
    check(t, a->limits.body_bytes == 2 * MB && b->limits.body_bytes == 2 * MB);
    check(t, a->protocols.at[0] == SCRAPE_PROTOCOL_PROTO && a->protocols.count == 5);
    check(t, b->protocols.at[0] == SCRAPE_PROTOCOL_OPENMETRICS_1_0_0 && !b->native_histograms);
    check(t, a->names == NAMES_LEGACY && a->escaping == ESCAPING_UNDERSCORES);
}

TEST(paths_are_joined_to_the_folder_of_the_file_and_bearer_tokens_become_an_authorization) {
    AUTO(scrape_configs_close)
    ScrapeConfigs *configs =
        opened(t,
               "scrape_configs:\n- job_name: a\n  bearer_token_file: token\n"
               "  file_sd_configs: [{files: [t/*.json, /abs/x.yml]}]\n"
               "  tls_config: {ca_file: ca.pem}\n"
               "- job_name: b\n  basic_auth: {username: u, password_file: /etc/p}\n"
               "- job_name: c\n  http_sd_configs: [{url: 'https://sd/x', refresh_interval: 5s}]\n"
               "- job_name: d\n  dns_sd_configs: [{names: [x], type: a, port: 9100}]\n");
    const ScrapeConfig *a = scrape_configs_at(configs, 0);
    check_text(t, TEXT("Bearer"), a->client.authorization->type);
    check_text(t, TEXT("conf/token"), a->client.authorization->credentials.file);
    check_text(t, TEXT("conf/t/*.json"), a->file_discovery.at[0].files.at[0]);
    check_text(t, TEXT("/abs/x.yml"), a->file_discovery.at[0].files.at[1]);
    check_i64(t, 300000, a->file_discovery.at[0].refresh_ms);
    check_text(t, TEXT("conf/ca.pem"), a->client.tls.ca.file);
    check_text(t, TEXT("/etc/p"), scrape_configs_at(configs, 1)->client.basic_auth->password.file);
    const HttpDiscovery *http = &scrape_configs_at(configs, 2)->http_discovery.at[0];
    check(t, http->refresh_ms == 5000 && http->client.follow_redirects);
    const DnsDiscovery *dns = &scrape_configs_at(configs, 3)->dns_discovery.at[0];
    check(t, dns->type == DNS_A && dns->port == 9100 && dns->refresh_ms == 30000);
}

TEST(external_labels_take_variables_and_scrape_configs_do_not) {
    setenv("TRACEO_TEST_ZONE", "eu", 1);
    AUTO(scrape_configs_close)
    ScrapeConfigs *configs =
        opened(t,
               "global:\n  external_labels: {z: '${TRACEO_TEST_ZONE}-$TRACEO_TEST_ZONE', d: $$x, "
               "n: $TRACEO_TEST_NONE, p: 5$}\n"
               "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: '${P}'}\n"
               "  relabel_configs: [{source_labels: [x], target_label: y, replacement: "
               "'a${1}b'}]\n");
    LabelArray labels = scrape_configs_external_labels(configs);
    check_i64(t, 3, labels.count);  // sorted; an empty one is gone
    check_text(t, TEXT("$x"), labels.at[0].value);
    check_text(t, TEXT("5$"), labels.at[1].value);
    check_text(t, TEXT("eu-eu"), labels.at[2].value);
    const ScrapeConfig *a = scrape_configs_at(configs, 0);
    check_text(t, TEXT("${P}"), a->client.basic_auth->password.text);
    check_text(t, TEXT("a${1}b"), a->relabel.at[0].replacement);
}

static void put(Test *t, Disk *disk, const char *folder, const char *name, const char *content) {
    Text path = text_from_cstring(folder);
    check_ok(t, disk_make_folders(disk, path, t->err));
    check_ok(t, disk_replace(disk, path, text_from_cstring(name),
                             text_bytes(text_from_cstring(content)), t->err));
}

TEST(included_files_add_jobs_and_have_their_own_folder) {
    AUTO(disk_model_free) DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    put(t, disk, "c", "main.yml",
        "scrape_config_files: [jobs/*.yml, none/*.yml, absent.yml]\n"
        "global: {scrape_interval: 7s}\nscrape_configs: [{job_name: m}]\n");
    put(t, disk, "c/jobs", "a.yml",
        "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [x.json]}]\n");
    put(t, disk, "c/jobs", "b.yml", "scrape_configs:\n- job_name: b\n");
    put(t, disk, "c/jobs", "b.txt", "not: read\n");
    ScrapeConfigs *configs;
    check_ok(t, scrape_configs_open(disk, TEXT("c/main.yml"), &configs, t->err));
    check_i64(t, 3, scrape_configs_count(configs));
    const ScrapeConfig *a = scrape_configs_at(configs, 1);
    check_text(t, TEXT("a"), a->job_name);
    check_i64(t, 7000, a->interval_ms);
    check_text(t, TEXT("c/jobs/x.json"), a->file_discovery.at[0].files.at[0]);
    scrape_configs_close(&configs);
    put(t, disk, "c/jobs", "c.yml", "global: {}\n");
    check_error(t, scrape_configs_open(disk, TEXT("c/main.yml"), &configs, t->err),
                ERROR_BAD_INPUT);
    check(t, text_starts_with(text_from_cstring(t->err->message), TEXT("c/jobs/c.yml:1:1: only")));
    put(t, disk, "c/jobs", "c.yml", "scrape_configs: [{job_name: m}]\n");
    check_error(t, scrape_configs_open(disk, TEXT("c/main.yml"), &configs, t->err),
                ERROR_BAD_INPUT);
    check(t, strstr(t->err->message, "stands already at c/main.yml:3") != NULL);
}

TEST(what_is_wrong_is_said_with_its_place) {
    static const struct {
        const char *source, *says;
    } cases[] = {
        {"scrape_configs:\n- job_name: a\n  metrics_pth: /x\n",
         "f.yml:3:3: unknown key \"metrics_pth\" in scrape config; did you mean \"metrics_path\"?"},
        {"scrape_configs:\n- job_name: a\n  scheme: ftp\n", "f.yml:3:11: scheme: \"ftp\""},
        {"scrape_configs:\n- job_name: a\n  scrape_timeout: 2m\n", "f.yml:3:19: scrape_timeout is"},
        {"global: {scrape_timeout: 2m}\n", "f.yml:1:26: global: scrape_timeout is longer"},
        {"scrape_configs: [{job_name: a}, {job_name: a}]\n", "f.yml:1:44: the job_name \"a\""},
        {"scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: keep\n    regex: '('\n",
         "f.yml:5:12: relabel_configs: regex: "},
        {"scrape_configs:\n- job_name: a\n  basic_auth: {username: u}\n  oauth2: {client_id: c, "
         "token_url: 'http://t'}\n",
         "f.yml:3:15: at most one of basic_auth"},
        {"scrape_configs:\n- job_name: a\n  basic_auth: {password: p, password_file: f}\n",
         "f.yml:3:15: password and password_file are both set"},
        {"scrape_configs:\n- job_name: a\n  tls_config: {cert_file: c}\n", "f.yml:3:15: a client"},
        {"scrape_configs:\n- job_name: a\n  no_proxy: x\n", "f.yml:3:13: no_proxy needs proxy_url"},
        {"scrape_configs:\n- job_name: a\n  authorization: {type: basic}\n",
         "f.yml:3:25: the type"},
        {"scrape_configs:\n- job_name: a\n  http_headers: {Host: {values: [x]}}\n",
         "f.yml:3:18: the header Host cannot be set here"},
        {"scrape_configs:\n- job_name: a\n  http_headers: {'a b': {values: [x]}}\n",
         "f.yml:3:18: \"a b\" is not the name of a header"},
        {"scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [x.txt]}]\n",
         "f.yml:3:30: \"x.txt\": the name must end in"},
        {"scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: ['a*/x.yml']}]\n",
         "f.yml:3:30: \"a*/x.yml\": only the last piece"},
        {"scrape_configs:\n- job_name: a\n  dns_sd_configs: [{names: [x], type: A}]\n",
         "f.yml:3:20: dns_sd_configs: `port` is missing"},
        {"scrape_configs:\n- job_name: a\n  http_sd_configs: [{url: '', refresh_interval: 0s}]\n",
         "f.yml:3:21: http_sd_configs: `url` is missing"},
        {"scrape_configs:\n- job_name: a\n  params: {a: b}\n", "f.yml:3:15: a: a list is expected"},
        {"scrape_configs:\n- job_name: a\n  static_configs: [{targets: [a], labels: {'': x}}]\n",
         "f.yml:3:44: a label name is empty"},
        {"global: {metric_name_validation_scheme: legacy}\nscrape_configs:\n- job_name: a\n"
         "  static_configs: [{targets: [a], labels: {a-b: x}}]\n",
         "f.yml:4:44: \"a-b\" is not a label name"},
        {"- a\n", "f.yml:1:1: keys with values"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ScrapeConfigs *configs;
        check_error(t,
                    scrape_configs_open_text(disk_real(), text_from_cstring(cases[i].source),
                                             TEXT("f.yml"), &configs, t->err),
                    ERROR_BAD_INPUT);
        if (!text_starts_with(text_from_cstring(t->err->message), text_from_cstring(cases[i].says)))
            check_failed(t, __FILE__, __LINE__, "case %zu says: %s", i, t->err->message);
    }
}

TEST(secrets_are_never_printed) {
    AUTO(scrape_configs_close)
    ScrapeConfigs *configs =
        opened(t,
               "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hunter2}\n"
               "  tls_config: {cert: x, key: hunter2}\n"
               "  proxy_url: http://u:hunter2@proxy:1\n"
               "  proxy_connect_header: {X: [hunter2]}\n"
               "  http_headers: {Y: {secrets: [hunter2]}}\n"
               "  http_sd_configs:\n  - url: http://u:hunter2@h/\n    bearer_token: hunter2\n"
               "- job_name: b\n  oauth2: {client_id: i, client_secret: hunter2, token_url: "
               "'http://u:hunter2@t/'}\n");
    AUTO(builder_free) Builder out = {0};
    scrape_configs_print(configs, &out);
    check(t, text_find(builder_text(&out), TEXT("hunter2")) < 0);
    check(t, text_find(builder_text(&out), TEXT("http://u:xxxxx@proxy:1")) > 0);
    check(t, text_find(builder_text(&out), TEXT("password: <secret>")) > 0);
}

TEST(a_reference_keeps_it_alive_and_a_file_without_our_keys_prints_nothing) {
    ScrapeConfigs *configs = opened(t, "listen: 127.0.0.1:1\n"), *second;
    AUTO(builder_free) Builder out = {0};
    scrape_configs_print(configs, &out);
    check(t, out.len == 0 && scrape_configs_count(configs) == 0);
    second = scrape_configs_ref(configs);
    scrape_configs_close(&configs);
    check(t, configs == NULL && scrape_configs_count(second) == 0);
    scrape_configs_close(&second);
    check(t, scrape_configs_owns(TEXT("rule_files")) && !scrape_configs_owns(TEXT("listen")));
}

TEST(wild_cards_match_as_filepath_match_does) {
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*.json", "a.json", true},
        {"*.json", ".json", true},
        {"*.json", "a.jsonx", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"?.yml", "x.yml", true},
        {"?.yml", "xy.yml", false},
        {"[a-c].y", "b.y", true},
        {"[a-c].y", "d.y", false},
        {"[^a-c].y", "d.y", true},
        {"[^a-c].y", "a.y", false},
        {"\\*.y", "*.y", true},
        {"\\*.y", "a.y", false},
        {"[a", "a", false},
        {"**", "anything", true},
        {"", "", true},
        {"*", "", true},
        {"x", "", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (glob_matches(text_from_cstring(cases[i].pattern), text_from_cstring(cases[i].name)) !=
            cases[i].matches)
            check_failed(t, __FILE__, __LINE__, "%s and %s", cases[i].pattern, cases[i].name);
}

TEST_MAIN(
    "scrape/config", CASE(a_job_with_a_name_has_every_default_of_prometheus),
    CASE(a_job_inherits_from_global_wherever_that_stands),
    CASE(paths_are_joined_to_the_folder_of_the_file_and_bearer_tokens_become_an_authorization),
    CASE(external_labels_take_variables_and_scrape_configs_do_not),
    CASE(included_files_add_jobs_and_have_their_own_folder),
    CASE(what_is_wrong_is_said_with_its_place), CASE(secrets_are_never_printed),
    CASE(a_reference_keeps_it_alive_and_a_file_without_our_keys_prints_nothing),
    CASE(wild_cards_match_as_filepath_match_does))
