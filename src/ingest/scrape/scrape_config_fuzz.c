// Any bytes as a configuration: refused with a place, or one that prints as a file which gives the
// same print again (no secret comes back), and target groups of any bytes likewise refused or read.

#include "base/assert.h"
#include "ingest/scrape/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Included files would be those of this machine.
static bool no_exists(Disk *disk, Text path, bool *out, Error *err) {
    *out = false;
    return true;
}

static void check_job(const ScrapeConfig *config) {
    assert(config->job_name.len > 0);
    assert(config->interval_ms > 0);
    assert(config->timeout_ms > 0);
    assert(config->timeout_ms <= config->interval_ms);
    assert(config->protocols.count > 0);
    assert(config->escaping != ESCAPING_UNSET);
    for (size_t i = 0; i < config->relabel.count; i++)
        assert(config->relabel.at[i].compiled != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(scrape_configs_close) ScrapeConfigs *configs = NULL;
    AUTO(scrape_configs_close) ScrapeConfigs *again = NULL;
    Text source = {(const char *)data, size};
    Disk disk = *disk_real();
    TargetGroups groups;
    Error err;
    disk.exists = no_exists;
    (void)!target_groups_parse(source, TEXT("f"), TARGETS_YAML, &arena, &groups, &err);
    (void)!target_groups_parse(source, TEXT("f"), TARGETS_JSON, &arena, &groups, &err);
    if (!scrape_configs_open_text(&disk, source, TEXT("f"), &configs, &err)) {
        assert(text_starts_with(text_from_cstring(err.message), TEXT("f:")));
        return 0;
    }
    for (size_t i = 0; i < scrape_configs_count(configs); i++)
        check_job(scrape_configs_at(configs, i));
    AUTO(builder_free) Builder first = {0};
    AUTO(builder_free) Builder second = {0};
    scrape_configs_print(configs, &first);
    bool read = scrape_configs_open_text(&disk, builder_text(&first), TEXT("f"), &again, &err);
    assert(read);
    scrape_configs_print(again, &second);
    assert(text_equal(builder_text(&first), builder_text(&second)));
    return 0;
}
