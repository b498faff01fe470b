// The configuration files of Prometheus' own tests: what it accepts loads here, or is refused by
// the name of a key that is not supported; what it refuses is refused here, with file and line.
//
//   test_app_config_conformance              the check
//   test_app_config_conformance --markdown   the section of docs/conformance.md on stdout

#include <stdio.h>

#include "app/settings.h"
#include "base/test.h"
#include "ingest/scrape/config.h"

// Files that are refused for what they are about, and what the message has to say. All other .bad.
// files are about keys that are not supported, and are refused for that.
typedef struct BadCase {
    const char *file;
    const char *reason;
} BadCase;

static const BadCase bad_cases[] = {
    {"bearertoken.bad.yml", "bearer_token and bearer_token_file are both set"},
    {"bearertoken_basicauth.bad.yml", "at most one of basic_auth"},
    {"dropequal.bad.yml", "needs a target_label"},
    {"dropequal1.bad.yml", "takes no regex"},
    {"empty_metric_relabel_config.bad.yml", "metric_relabel_configs: an entry is empty"},
    {"empty_scrape_config.bad.yml", "scrape_configs: an entry is empty"},
    {"empty_scrape_config_action.bad.yml", "action: \"null\" is none of"},
    {"empty_static_config.bad.yml", "static_configs: an entry is empty"},
    {"empty_target_relabel_config.bad.yml", "relabel_configs: an entry is empty"},
    {"http_token_file.bad.yml", "bearer_token and bearer_token_file are both set"},
    {"http_url_bad_scheme.bad.yml", "write http:// or https://"},
    {"http_url_no_host.bad.yml", "names no host"},
    {"http_url_no_scheme.bad.yml", "has no scheme"},
    {"jobname.bad.yml", "needs a job_name"},
    {"jobname_dup.bad.yml", "stands already"},
    {"keepequal.bad.yml", "needs a target_label"},
    {"keepequal1.bad.yml", "takes no regex"},
    {"labeldrop.bad.yml", "takes no source_labels"},
    {"labeldrop2.bad.yml", "takes no modulus"},
    {"labeldrop3.bad.yml", "takes no separator"},
    {"labeldrop4.bad.yml", "takes no replacement"},
    {"labeldrop5.bad.yml", "takes no target_label"},
    {"labelkeep.bad.yml", "takes no source_labels"},
    {"labelkeep2.bad.yml", "takes no modulus"},
    {"labelkeep3.bad.yml", "takes no separator"},
    {"labelkeep4.bad.yml", "takes no replacement"},
    {"labelkeep5.bad.yml", "takes no target_label"},
    {"labelmap.bad.yml", "must be base64"},
    {"labelname.bad.yml", "a label name is empty or not UTF-8"},
    {"labelvalue.bad.yml", "the value of label \"name\" is not UTF-8"},
    {"lowercase.bad.yml", "needs a target_label"},
    {"lowercase3.bad.yml", "takes no replacement"},
    {"metric_name_validation_scheme.bad.yml", "\"invalid_scheme\" is none of"},
    {"modulus_missing.bad.yml", "needs a modulus"},
    {"otlp_allow_utf8.bad.yml", "\"Invalid\" is none of"},
    {"otlp_allow_utf8.incompatible.yml", "makes names that"},
    {"otlp_no_translation.incompatible.yml", "makes names that"},
    {"otlp_sanitize_promote_resource_attributes.bad.yml", "stands twice"},
    {"regex.bad.yml", "regex: "},
    {"scrape_body_size_limit.bad.yml", "is not a size"},
    {"scrape_config_files.bad.yml", "scrape_timeout is longer than scrape_interval"},
    {"scrape_config_files_double_import.bad.yml", "stands already"},
    {"scrape_config_files_duplicate.bad.yml", "stands already"},
    {"scrape_config_files_fallback_scrape_protocol1.bad.yml", "fallback_scrape_protocol: \"pro"},
    {"scrape_config_files_fallback_scrape_protocol2.bad.yml", "fallback_scrape_protocol: a text"},
    {"scrape_config_files_glob.bad.yml", "only the last piece of a path"},
    {"scrape_config_files_global.bad.yml", "scrape_timeout is longer than scrape_interval"},
    {"scrape_config_files_global_duplicate.bad.yml", "stands already"},
    {"scrape_config_files_scrape_protocols.bad.yml", "scrape_protocols: \"prometheusproto\""},
    {"scrape_config_files_scrape_protocols2.bad.yml", "stands twice"},
    {"scrape_config_utf8_conflicting.bad.yml", "does not go with"},
    {"scrape_interval.bad.yml", "scrape_timeout is longer than scrape_interval"},
    {"section_key_dup.bad.yml", "\"scrape_configs\" stands already"},
    {"target_label_hashmod_missing.bad.yml", "needs a target_label"},
    {"target_label_missing.bad.yml", "needs a target_label"},
    {"unknown_attr.bad.yml", "did you mean \"consul_sd_configs\"?"},
    {"unknown_global_attr.bad.yml", "unknown key \"nonexistent_field\""},
    {"uppercase.bad.yml", "needs a target_label"},
    {"uppercase3.bad.yml", "takes no replacement"},
    {"url_in_targetgroup.bad.yml", "is not an address"},
};

typedef enum Outcome { ACCEPTED, REFUSED_KEY, REFUSED_REASON } Outcome;

typedef struct Tally {
    size_t good, good_accepted, good_refused, bad, bad_reason, bad_key;
    Builder refused;  // rows of the table
} Tally;

static const char *reason_of(Text name) {
    for (size_t i = 0; i < COUNT(bad_cases); i++)
        if (text_equal(name, text_from_cstring(bad_cases[i].file))) return bad_cases[i].reason;
    return NULL;
}

// "some/file.yml:12:5: …"
static bool names_file_and_line(Text message) {
    ptrdiff_t end = text_find(message, TEXT(".yml:"));
    if (end < 0) return false;
    Text rest = text_slice(message, (size_t)end + 5, message.len);
    return rest.len > 0 && rest.at[0] >= '1' && rest.at[0] <= '9';
}

// What is printed reads back as the same, wherever no secret was masked.
static void check_round_trip(Test *t, const ScrapeConfigs *configs, Text path) {
    AUTO(builder_free) Builder first = {0};
    AUTO(builder_free) Builder again = {0};
    AUTO(scrape_configs_close) ScrapeConfigs *read = NULL;
    scrape_configs_print(configs, &first);
    check_ok(t, scrape_configs_open_text(disk_real(), builder_text(&first), path, &read, t->err));
    scrape_configs_print(read, &again);
    check_text(t, builder_text(&first), builder_text(&again));
}

// Both halves, as `traceo check` reads them.
static bool load(Test *t, Text path, ScrapeConfigs **configs) {
    Settings settings;
    Bytes bytes;
    settings_begin(&settings, t->arena);
    return disk_read_whole(disk_real(), path, MB, t->arena, &bytes, t->err) &&
           settings_read_yaml(&settings, bytes_text(bytes), path, t->err) &&
           scrape_configs_open(disk_real(), path, configs, t->err) &&
           settings_check_scrape(&settings, *configs, t->err);
}

static Outcome open_one(Test *t, Text path) {
    AUTO(scrape_configs_close) ScrapeConfigs *configs = NULL;
    if (load(t, path, &configs)) {
        check_round_trip(t, configs, path);
        return ACCEPTED;
    }
    Text message = text_from_cstring(t->err->message);
    check(t, names_file_and_line(message));
    if (t->err->code != ERROR_UNSUPPORTED) return REFUSED_REASON;
    check(t, text_find(message, TEXT(" is not supported by this version of Traceo; ")) > 0);
    return REFUSED_KEY;
}

// "…:12:5: KEY is not supported" and "; neither is KEY (line 3), KEY (line 4)"
static void note_refused(Tally *tally, Text name, Text message) {
    Text head = text_slice(message, 0, (size_t)text_find(message, TEXT(" is not supported")));
    while (text_find_char(head, ' ') >= 0)
        head = text_slice(head, (size_t)text_find_char(head, ' ') + 1, head.len);
    bool more = text_find(message, TEXT("; neither is ")) > 0;
    builder_addf(&tally->refused, "| %.*s | `%.*s`%s |\n", TEXT_ARG(name), TEXT_ARG(head),
                 more ? " and others" : "");
}

static void judge(Test *t, Tally *tally, Text name, Text path) {
    Outcome outcome = open_one(t, path);
    Text message = text_from_cstring(t->err->message);
    bool bad =
        text_ends_with(name, TEXT(".bad.yml")) || text_ends_with(name, TEXT(".incompatible.yml"));
    if (!bad) {
        tally->good++;
        tally->good_accepted += outcome == ACCEPTED;
        tally->good_refused += outcome == REFUSED_KEY;
        if (outcome == REFUSED_KEY) note_refused(tally, name, message);
        if (outcome == REFUSED_REASON) check_ok(t, false);
        return;
    }
    const char *reason = reason_of(name);
    tally->bad++;
    tally->bad_reason += outcome == REFUSED_REASON;
    tally->bad_key += outcome == REFUSED_KEY;
    if (outcome == ACCEPTED)
        check_failed(t, __FILE__, __LINE__, "%.*s is accepted", TEXT_ARG(name));
    if (reason == NULL && outcome != REFUSED_KEY) check_ok(t, false);
    if (reason != NULL && text_find(message, text_from_cstring(reason)) < 0)
        check_failed(t, __FILE__, __LINE__, "%.*s is refused for another reason: %s",
                     TEXT_ARG(name), t->err->message);
}

static void judge_all(Test *t, Tally *tally) {
    Text folder = test_data_folder(t, "config/prometheus");
    DiskEntries entries;
    check_ok(t, disk_real()->list(disk_real(), folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++) {
        Text name = entries.at[i].name;
        // A target group by itself, judged below.
        if (text_equal(name, TEXT("static_config.bad.yml"))) continue;
        if (!text_ends_with(name, TEXT(".yml")) || entries.at[i].is_folder) continue;
        judge(t, tally, name, text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(name)));
    }
}

TEST(what_prometheus_accepts_loads_or_names_a_key_and_what_it_refuses_is_refused) {
    Tally tally = {0};
    judge_all(t, &tally);
    check(t, tally.good > 0 && tally.good == tally.good_accepted + tally.good_refused);
    check(t, tally.bad > 0 && tally.bad == tally.bad_reason + tally.bad_key);
    check_i64(t, COUNT(bad_cases), tally.bad_reason);
    builder_free(&tally.refused);
}

static Text read_file(Test *t, Text folder, const char *name) {
    Bytes bytes;
    Text path = text_format(t->arena, "%.*s/%s", TEXT_ARG(folder), name);
    check_ok(t, disk_read_whole(disk_real(), path, MB, t->arena, &bytes, t->err));
    return bytes_text(bytes);
}

TEST(files_of_targets_are_read_as_prometheus_reads_them) {
    Text folder = test_data_folder(t, "config/service-discovery");
    static const struct {
        const char *file;
        TargetFormat format;
        size_t groups;  // 0: refused
    } cases[] = {
        {"file/valid.yml", TARGETS_YAML, 2},        {"file/valid2.yml", TARGETS_YAML, 3},
        {"file/valid3.yml", TARGETS_YAML, 2},       {"file/valid.json", TARGETS_JSON, 2},
        {"file/invalid_nil.json", TARGETS_JSON, 0}, {"file/invalid_nil.yml", TARGETS_YAML, 0},
        {"http/http_sd.good.json", TARGETS_JSON, 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        Text source = read_file(t, folder, cases[i].file), file = text_from_cstring(cases[i].file);
        TargetGroups groups;
        if (cases[i].groups == 0) {
            check_error(
                t, target_groups_parse(source, file, cases[i].format, t->arena, &groups, t->err),
                ERROR_BAD_INPUT);
            continue;
        }
        check_ok(t, target_groups_parse(source, file, cases[i].format, t->arena, &groups, t->err));
        check_i64(t, cases[i].groups, groups.count);
        check(t, groups.at[0].targets.count > 0);
    }
}

// Prometheus reads this file as one target group.
TEST(a_label_name_that_is_not_utf8_is_refused_in_a_target_group) {
    Text folder = test_data_folder(t, "config/prometheus");
    Text rest = read_file(t, folder, "static_config.bad.yml"), line;
    AUTO(builder_free) Builder list = {0};
    builder_add(&list, TEXT("-\n"));
    while (text_cut(&rest, '\n', &line)) builder_addf(&list, "  %.*s\n", TEXT_ARG(line));
    TargetGroups groups;
    check_error(t,
                target_groups_parse(builder_text(&list), TEXT("group.yml"), TARGETS_YAML, t->arena,
                                    &groups, t->err),
                ERROR_BAD_INPUT);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("label name")) > 0);
}

TEST(markdown) {
    Tally tally = {0};
    judge_all(t, &tally);
    printf("| files | number |\n|---|---:|\n");
    printf("| Prometheus accepts them: loaded | %zu |\n", tally.good_accepted);
    printf("| Prometheus accepts them: refused, naming every key that is not supported | %zu |\n",
           tally.good_refused);
    printf("| Prometheus refuses them: refused for the same reason | %zu |\n", tally.bad_reason);
    printf("| Prometheus refuses them: refused, naming a key that is not supported | %zu |\n",
           tally.bad_key);
    printf("\n| accepted by Prometheus, refused here | because of |\n|---|---|\n%.*s",
           TEXT_ARG(builder_text(&tally.refused)));
    builder_free(&tally.refused);
}

int main(int argc, char **argv) {
    static const TestCase cases[] = {
        CASE(what_prometheus_accepts_loads_or_names_a_key_and_what_it_refuses_is_refused),
        CASE(files_of_targets_are_read_as_prometheus_reads_them),
        CASE(a_label_name_that_is_not_utf8_is_refused_in_a_target_group),
    };
    static const TestCase table[] = {CASE(markdown)};
    if (argc > 1 && text_equal(text_from_cstring(argv[1]), TEXT("--markdown")))
        return test_run("app/config_conformance", table, COUNT(table), 1, argv);
    return test_run("app/config_conformance", cases, COUNT(cases), argc, argv);
}
