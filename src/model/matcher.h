// A label matcher of a selector: =, !=, =~, !~. An absent label matches as the empty value.
#pragma once

#include "codec/regex.h"
#include "model/labels.h"

typedef enum MatcherKind { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX } MatcherKind;

typedef struct Matcher {
    MatcherKind kind;
    Text name;
    Text value;    // the literal, or the pattern as written
    Regex *regex;  // of the two regex kinds; owned by whoever made the matcher
} Matcher;

typedef struct Matchers {
    Matcher *at;
    size_t count;
} Matchers;

must_use bool matcher_make(MatcherKind kind, Text name, Text value, Matcher *out, Error *err);
void matcher_close(Matcher *matcher);
bool matcher_matches(const Matcher *matcher, Text value);
bool matchers_match(Matchers matchers, Labels labels);
