// Matchers: one label, one test.

#include "model/matcher.h"

#include "base/assert.h"

bool matcher_make(MatcherKind kind, Text name, Text value, Matcher *out, Error *err) {
    Matcher matcher = {kind, name, value, NULL};
    if (kind == MATCH_REGEX || kind == MATCH_NOT_REGEX) TRY(regex_open(value, &matcher.regex, err));
    *out = matcher;
    return true;
}

void matcher_close(Matcher *matcher) {
    regex_close(&matcher->regex);
}

bool matcher_matches(const Matcher *matcher, Text value) {
    switch (matcher->kind) {
        case MATCH_EQUAL:
            return text_equal(matcher->value, value);
        case MATCH_NOT_EQUAL:
            return !text_equal(matcher->value, value);
        case MATCH_REGEX:
            return regex_matches(matcher->regex, value);
        case MATCH_NOT_REGEX:
            return !regex_matches(matcher->regex, value);
    }
    unreachable("a fifth kind of matcher");
}

bool matchers_match(Matchers matchers, Labels labels) {
    for (size_t i = 0; i < matchers.count; i++) {
        if (!matcher_matches(&matchers.at[i], labels_get(labels, matchers.at[i].name)))
            return false;
    }
    return true;
}
