// RE2 behind C: the face of regex.cc, private to codec/regex.c. Nothing here throws.
#pragma once

#include "base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct RegexEngine RegexEngine;

enum { REGEX_GROUPS_MAX = 64 };  // capture groups that regex_expand can name, the whole included

// `pattern` as RE2 takes it. NULL when refused; the reason is then in `reason`, ended by NUL. More
// than `states_max` instructions are a refusal too.
RegexEngine *regex_engine_open(Text pattern, size_t states_max, char *reason, size_t reason_len);
void regex_engine_close(RegexEngine *engine);
bool regex_engine_matches(const RegexEngine *engine, Text text);
// Fills groups[0 .. count) with views into `text`; a group that took no part is NULL text.
bool regex_engine_groups(const RegexEngine *engine, Text text, Text *groups, size_t count);
size_t regex_engine_group_count(const RegexEngine *engine);          // the whole included
int regex_engine_group_named(const RegexEngine *engine, Text name);  // or -1

// True when the UTF-8 sequence `rune` is a letter or a decimal digit of any script.
bool regex_engine_is_name(Text rune);

#ifdef __cplusplus
}
#endif
