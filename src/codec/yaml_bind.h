// From a YAML tree to a C struct and back, driven by tables: one row per key.
//
// A table describes a map: the keys it may have, where each lies in the struct, its default and
// what it means in words; the manual's table of keys is made from the same rows. Unknown keys,
// values of another kind and keys that are known but not supported are errors with file, line and
// column. Values are read as go-yaml reads them into Go's types: null is the zero value, any plain
// or quoted scalar is a text, only a plain true or false (or yes, no, on, off) is a bool.
//
// Texts are views into the tree or copies on the arena: both must live as long as the struct.
#pragma once

#include "codec/yaml.h"

typedef enum BindKind {
    BIND_TEXT,       // Text
    BIND_SECRET,     // Text, printed as <secret>
    BIND_URL,        // Text; http or https with a host, its password printed as xxxxx
    BIND_PATH,       // Text; relative ones are joined to the binder's folder
    BIND_BOOL,       // bool
    BIND_INHERITED,  // bool that begin() sets: printed also when false
    BIND_COUNT,      // uint64_t
    BIND_PORT,       // uint16_t
    BIND_FLOAT,      // double
    BIND_DURATION,   // int64_t, milliseconds
    BIND_SIZE,       // int64_t, bytes
    BIND_CHOICE,     // an enum: the place of the word in `words`
    BIND_TEXTS,      // Texts
    BIND_SECRETS,    // Texts, printed as <secret>
    BIND_PATHS,      // Texts
    BIND_STRUCT,     // a struct in place, by `table`
    BIND_POINTER,    // const T *: NULL, or a struct by `table`
    BIND_LIST,       // struct { T *at; size_t count; } by `table`; null entries are errors
    BIND_INLINE,     // no key of its own: the keys of `table` stand here, its struct lies at offset
    BIND_HAND,       // read and printed by `hand`
    BIND_IGNORED,    // any value; `help` says why it has no effect
    BIND_LATER,      // known, not supported: an error that says `help`, unless nothing is in it
} BindKind;

// Keys that are known but not supported: all of them are said at once, and only when nothing is
// wrong.
typedef struct BindLater {
    Error first;
    size_t count;
    Builder others;  // ", alerting (line 12)"
} BindLater;

typedef struct Binder {
    Arena *arena;
    Text folder;       // of the file; empty: the current one
    void *context;     // of who reads: begin, check and hands know it
    BindLater *later;  // NULL: such a key is an error at once
} Binder;

typedef struct BindTable BindTable;

// A value that no kind describes.
typedef struct BindHand {
    must_use bool (*read)(Binder *binder, const YamlNode *value, void *field, Error *err);
    // Prints " value\n", or "\n" and indented lines, behind "key:". Called when it is set.
    void (*print)(const void *field, int indent, Builder *out);
    bool (*is_set)(const void *field);
} BindHand;

typedef struct BindRow {
    Text name;
    BindKind kind;
    size_t offset;
    Text standard;  // the default, as written in a file; empty leaves what begin() put there
    Text words;     // CHOICE: separated by '|'; may begin with an empty one
    Text help;
    const BindTable *table;
    const BindHand *hand;
} BindRow;

struct BindTable {
    Text what;  // "scrape config", for messages
    const BindRow *rows;
    size_t count;
    size_t size, align;  // of the struct
    // Before the defaults: what a new struct inherits. After the keys: what must hold between them;
    // `node` is the map (bind_at finds the value of a key in it).
    void (*begin)(Binder *binder, void *object);
    must_use bool (*check)(Binder *binder, void *object, const YamlNode *node, Error *err);
};

// Binds a map into `object`, zeroed by the caller. `node` NULL or null: the defaults.
must_use bool bind_map(Binder *binder, const BindTable *table, const YamlNode *node, void *object,
                       Error *err);

// Like one row of a table: `value` into `field`. For hands.
must_use bool bind_value(Binder *binder, const BindRow *row, const YamlNode *value, void *field,
                         Error *err);

// The error about all keys noted in `later`; true when there are none.
must_use bool bind_later_check(const BindLater *later, Error *err);

// Where to point at: the value of `key` in the map, or the map when it is absent.
const YamlNode *bind_at(const YamlNode *node, Text key);

// "unknown key" with the nearest of the table's names: BAD_INPUT, false.
bool bind_unknown_key(const BindTable *table, const YamlNode *key, Error *err);
// The row of a key, also through inline tables; NULL when there is none.
const BindRow *bind_find(const BindTable *table, Text name);

// The struct as YAML, each line behind `indent` spaces. Zero values are left out, but for bools
// whose default is true.
void bind_print(const BindTable *table, const void *object, int indent, Builder *out);

// Joined to the folder of the file, unless absolute or empty.
Text bind_path(const Binder *binder, Text path);
