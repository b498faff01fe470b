// Any bytes as rules of retention: refused by name, or rules that can be used.

#include "app/retention_rules.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(retention_rules_free) RetentionRules rules = {0};
    Error err;
    if (!retention_rules_parse((Text){(const char *)data, size}, &rules, &err)) {
        assert(text_find(text_from_cstring(err.message), TEXT("series.retention_rules")) == 0);
        return 0;
    }
    for (size_t i = 0; i < rules.count; i++) {
        assert(rules.at[i].keep.keep_ms >= 0);
        (void)matchers_match(rules.at[i].keep.matchers, LABELS_NONE);
    }
    return 0;
}
