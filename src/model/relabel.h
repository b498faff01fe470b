// Relabelling, as Prometheus' relabel_config does it: rules that rewrite, keep or drop a label set.
//
// Rules are made once (validated, regular expressions compiled), immutable, and any thread may
// apply them. A label set under work is a RelabelLabels: views in an array on an arena; labels that
// no rule touches cost nothing. Whoever scrapes keeps the outcome for a known series; nothing is
// kept here.
//
// Semantics:
// https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config The
// regular expression is anchored and `.` matches a line feed; `$1`, `${1}`, `${name}`, `$$` as Go's
// Regexp.Expand; setting a label to nothing removes it; hashmod is the last 8 bytes of MD5, big
// endian.
#pragma once

#include "codec/regex.h"
#include "model/labels.h"

typedef enum RelabelAction {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_ACTION_COUNT
} RelabelAction;

// What a metric or label name may be: any UTF-8 (Prometheus 3), or letters, digits and `_` only.
typedef enum NameScheme { NAMES_UTF8, NAMES_LEGACY } NameScheme;

// One rule as written. Texts are views that outlive the rule.
typedef struct RelabelRule {
    RelabelAction action;
    Texts source_labels;
    Text separator;
    Text regex;
    Text replacement;
    Text target_label;
    uint64_t modulus;
    NameScheme names;
    // Made by relabel_rule_compile:
    Regex *compiled;
    bool target_is_plain;  // no `$` in it
    bool replacement_is_plain;
    bool matches_all;           // the default regex (.*)
    bool replacement_is_whole;  // and the default replacement $1: the value as it is
} RelabelRule;

typedef struct RelabelRules {
    RelabelRule *at;
    size_t count;
} RelabelRules;

// The defaults of Prometheus: replace, ";", (.*), $1.
RelabelRule relabel_rule_default(void);

// Validates as Prometheus does and compiles the expression. BAD_INPUT names the field.
must_use bool relabel_rule_compile(RelabelRule *rule, Error *err);
// Frees the compiled expressions; the array is the caller's. Not compiled ones are fine.
void relabel_rules_close(RelabelRules *rules);

Text relabel_action_name(RelabelAction action);  // "replace"
// In any case of letters, as Prometheus reads it.
must_use bool relabel_action_parse(Text name, RelabelAction *out);

// A label set under work. Texts are views; new ones are made on the arena. Names are unique, values
// not empty; the order is that of Prometheus' builder (as it came, what was set behind).
typedef struct RelabelLabels {
    Arena *arena;
    LabelArray labels;  // on the arena
    size_t base_count;  // the first so many are as they came
    bool changed;
} RelabelLabels;

RelabelLabels relabel_labels_begin(Arena *arena);
// Fills from a canonical set, or one label at a time (a later one of the same name wins).
void relabel_labels_add(RelabelLabels *labels, Labels from);
Text relabel_labels_get(const RelabelLabels *labels, Text name);        // TEXT_NONE when absent
void relabel_labels_set(RelabelLabels *labels, Text name, Text value);  // empty value: removes
void relabel_labels_remove(RelabelLabels *labels, Text name);
// The canonical bytes of what is there now.
must_use bool relabel_labels_finish(const RelabelLabels *labels, Arena *arena, Labels *out,
                                    Error *err);

// Applies all rules in order. `*keep` false: dropped. Fails only when a replacement grows beyond
// QUERY_TEXT_BYTES.
must_use bool relabel_apply(const RelabelRules *rules, RelabelLabels *labels, bool *keep,
                            Error *err);

// A label name under `names`: not empty, UTF-8 or [a-zA-Z_][a-zA-Z0-9_]*.
bool label_name_is_valid(Text name, NameScheme names);
