// Regular expressions: RE2 behind C (regex.cc is the only C++ of the tree), fully anchored as
// Prometheus wants them: ^(?s:pattern)$.
//
// In front of RE2 stands a literal analysis: a plain literal, an alternation of literals,
// `prefix.*`, `.*suffix`,
// `.*`, `.+` and `.*middle.*` are answered without it. Immutable once made; any thread may match.
// Linear time in the text. A pattern that RE2 refuses, or whose program passes
// LIMIT_QUERY_REGEX_STATES, is BAD_INPUT with RE2's reason.
//
// The pattern is put between `^(?s:` and `)$` as text, as Prometheus does; so `a)|(b` means there
// what it means here. A text that is not UTF-8 matches as in Go: each broken byte counts as one
// character, U+FFFD.
#pragma once

#include "base/error.h"
#include "base/text.h"

typedef struct Regex Regex;

must_use bool regex_open(Text pattern, Regex **out, Error *err);
void regex_close(Regex **regex);
bool regex_matches(const Regex *regex, Text text);

// The finite set of texts that can match, when the pattern is an alternation of literals; else
// count 0. The index asks this to look values up instead of scanning.
Texts regex_literals(const Regex *regex);
// What every match begins with (may be empty).
Text regex_prefix(const Regex *regex);

// For label_replace: capture groups by number and by name; replacement as Go's Regexp.Expand ($1,
// ${name}, $$). `out` is NULL text when the pattern does not match, and never when it does. A `$`
// without a name stays; an unknown group is empty.
must_use bool regex_expand(const Regex *regex, Text text, Text replacement, Arena *arena, Text *out,
                           Error *err);
