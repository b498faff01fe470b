// `series.retention_rules`: how long the samples of some series, or of a tenant, are kept.
//
//   rules := rule { ";" rule }        rule := [ tenant ] [ selector ] ":" duration
//
//   {env="dev"}: 3d; audit: 0; prod {__name__=~"slo:.*"}: 400d
//
// The first rule that matches a series counts; `retention` is for those that none matches. A
// duration of 0 is for ever. A selector has braces always: `up` alone would be a tenant. Limits:
// RETENTION_RULES, and those of the parsers of selectors and durations.
#pragma once

#include "query/promql/promql.h"
#include "store/store.h"

typedef struct RetentionRules {
    Arena arena;
    ARRAY(Promql) selectors;  // parsed; what the rules' matchers lie in
    StoreKeep *at;
    size_t count;
} RetentionRules;

// BAD_INPUT names the rule and what is wrong with it. On failure nothing is left to free.
must_use bool retention_rules_parse(Text text, RetentionRules *out, Error *err);
void retention_rules_free(RetentionRules *rules);  // works with AUTO; a zeroed one is fine
