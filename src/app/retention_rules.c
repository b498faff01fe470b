// Parsing `series.retention_rules`.

#include "app/retention_rules.h"

#include "base/limits.h"
#include "codec/quantity.h"

// What is left of the text, and the rule that is being read.
typedef struct Scan {
    Text rest;
    size_t number;  // from 1
} Scan;

static void skip_blanks(Scan *scan) {
    while (scan->rest.len > 0 && strchr(" \t\r\n", scan->rest.at[0]) != NULL)
        scan->rest = text_slice(scan->rest, 1, scan->rest.len);
}

static Text take_to(Scan *scan, size_t count) {
    Text taken = text_slice(scan->rest, 0, count);
    scan->rest = text_slice(scan->rest, count, scan->rest.len);
    return taken;
}

// The length up to the first of `ends`.
static size_t length_to(Text text, const char *ends) {
    size_t len = 0;
    while (len < text.len && strchr(ends, text.at[len]) == NULL) len++;
    return len;
}

// From "{" to the "}" that is not in quotes; 0: there is none.
static size_t selector_length(Text text) {
    char quote = 0;
    for (size_t i = 0; i < text.len; i++) {
        char here = text.at[i];
        if (quote == 0 && here == '}') return i + 1;
        if (quote == 0 && strchr("\"'`", here) != NULL) {
            quote = here;
        } else if (quote != 0 && quote != '`' && here == '\\') {
            i++;
        } else if (here == quote) {
            quote = 0;
        }
    }
    return 0;
}

static bool take_selector(Scan *scan, RetentionRules *rules, Matchers *out, Error *err) {
    size_t len = selector_length(scan->rest);
    if (len == 0) return error_set(err, ERROR_BAD_INPUT, "the selector has no closing brace");
    Promql *parsed = array_add(&rules->selectors);
    *parsed = (Promql){0};
    TRY(promql_parse_selector(take_to(scan, len), &rules->arena, parsed, err));
    *out = parsed->root->as.selector.matchers;
    return true;
}

static bool take_rule(Scan *scan, RetentionRules *rules, StoreKeep *out, Error *err) {
    *out = (StoreKeep){0};
    skip_blanks(scan);
    out->tenant = take_to(scan, length_to(scan->rest, "{:; \t\r\n"));
    if (out->tenant.len > 0) TRY(tenant_name_check(out->tenant, err));
    skip_blanks(scan);
    bool selects = scan->rest.len > 0 && scan->rest.at[0] == '{';
    if (selects) TRY(take_selector(scan, rules, &out->keep.matchers, err));
    skip_blanks(scan);
    if (scan->rest.len == 0 || scan->rest.at[0] != ':' || (!selects && out->tenant.len == 0)) {
        return error_set(err, ERROR_BAD_INPUT,
                         "it is not a tenant, a selector in braces or both, then \":\" and a "
                         "duration; write for example {env=\"dev\"}: 3d");
    }
    scan->rest = text_slice(scan->rest, 1, scan->rest.len);
    return duration_to_ms(text_trim(take_to(scan, length_to(scan->rest, ";"))), &out->keep.keep_ms,
                          err);
}

static bool parse(Text text, RetentionRules *rules, Error *err) {
    Scan scan = {.rest = text_copy(text, &rules->arena), .number = 1};
    ARRAY(StoreKeep) found = {0};
    // One ";" more at the end is welcome.
    for (; text_trim(scan.rest).len > 0; scan.number++) {
        if ((int64_t)scan.number > LIMIT_RETENTION_RULES)
            return error_set(err, ERROR_TOO_MANY,
                             "there are more than %lld rules, the limit RETENTION_RULES",
                             (long long)LIMIT_RETENTION_RULES);
        if (!take_rule(&scan, rules, array_add_on(&rules->arena, &found), err))
            return error_context(err, "rule %zu", scan.number);
        if (scan.rest.len > 0) scan.rest = text_slice(scan.rest, 1, scan.rest.len);
    }
    rules->at = found.at;
    rules->count = found.count;
    return true;
}

bool retention_rules_parse(Text text, RetentionRules *out, Error *err) {
    *out = (RetentionRules){0};
    if (parse(text, out, err)) return true;
    retention_rules_free(out);
    return error_context(err, "series.retention_rules");
}

void retention_rules_free(RetentionRules *rules) {
    for (size_t i = 0; i < rules->selectors.count; i++) promql_close(&rules->selectors.at[i]);
    array_free(&rules->selectors);
    arena_free(&rules->arena);
    *rules = (RetentionRules){0};
}
