// YAML 1.1 as Prometheus reads it, as a tree on an arena: libyaml parses, we judge.
//
// Every node keeps its line and column and how it was written, so that who binds it to types can
// follow the rules of go-yaml (plain `5` is a number, quoted "5" is not) and point at what is
// wrong. Anchors and aliases share nodes; what a document grows to when its aliases are followed is
// capped at LIMIT_YAML_NODES (no bombs), nesting at LIMIT_NESTING_YAML, the file at
// LIMIT_YAML_BYTES. Merge keys (`<<`) are folded in, explicit keys win. Duplicate keys are refused.
// Nodes are immutable.
//
// Errors are BAD_INPUT or TOO_LARGE and begin with "file:line:column: ".
#pragma once

#include "base/array.h"
#include "base/error.h"
#include "base/text.h"

typedef enum YamlKind { YAML_SCALAR, YAML_LIST, YAML_MAP } YamlKind;

typedef enum YamlStyle {
    YAML_PLAIN,
    YAML_SINGLE_QUOTED,
    YAML_DOUBLE_QUOTED,
    YAML_LITERAL,  // |
    YAML_FOLDED,   // >
} YamlStyle;

typedef struct YamlNode YamlNode;

typedef struct YamlPair {
    const YamlNode *key;  // a scalar, unless read with yaml_parse_stream
    const YamlNode *value;
} YamlPair;

struct YamlNode {
    YamlKind kind;
    YamlStyle style;  // of a scalar
    uint32_t line;    // from 1
    uint32_t column;  // from 1, in characters
    Text file;
    Text tag;   // "!!str" as "tag:yaml.org,2002:str"; empty when none was written
    Text text;  // of a scalar: decoded
    size_t count;
    const YamlNode *const *items;  // of a list
    const YamlPair *pairs;         // of a map, in order of the file, merged ones behind
    size_t weight;                 // nodes below and here, aliases followed
};

typedef struct YamlDocuments {
    const YamlNode **at;  // roots
    size_t count;
} YamlDocuments;

// One document with text keys, for configuration. `*out` is NULL for an empty file. A second
// document is refused. `file` is copied; it stands in front of every error.
must_use bool yaml_parse(Text source, Text file, Arena *arena, const YamlNode **out, Error *err);

// Any number of documents, keys of any kind, duplicates and `<<` as they stand. What is common to
// both ways is the parser and its limits; the conformance cases read this one.
must_use bool yaml_parse_stream(Text source, Text file, Arena *arena, YamlDocuments *out,
                                Error *err);

// The value of `key`, NULL when absent or `map` is not a map (NULL is fine).
const YamlNode *yaml_get(const YamlNode *map, Text key);

// As go-yaml resolves a scalar without a type to aim at: null (also an empty plain one), a bool, or
// a number. NULL is null.
bool yaml_is_null(const YamlNode *node);
must_use bool yaml_to_bool(const YamlNode *node, bool *out);
must_use bool yaml_to_i64(const YamlNode *node, int64_t *out);
must_use bool yaml_to_u64(const YamlNode *node, uint64_t *out);
must_use bool yaml_to_f64(const YamlNode *node, double *out);

// Nothing is in it: null, an empty list or map, or a map or list of maps all of whose values are
// so.
bool yaml_is_empty(const YamlNode *node);

// "prometheus.yml:12:5: message"; returns false.
bool yaml_error(const YamlNode *node, ErrorCode code, Error *err, const char *format, ...)
    printf_like(4, 5);

// A text as a scalar that reads back as itself: plain where that is safe, else double-quoted; or
// double-quoted always.
void yaml_print_text(Text text, Builder *out);
void yaml_print_quoted(Text text, Builder *out);
