// JSON (RFC 8259), read by pulling and written by pushing.
//
// The reader validates as it goes: UTF-8, escapes, numbers, nesting up to LIMIT_NESTING_JSON,
// nothing after the value. Errors are BAD_INPUT with line and column. Strings without escapes are
// views into the source; others are decoded onto the arena. Half a surrogate pair (\ud800 alone)
// becomes U+FFFD.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

typedef enum JsonKind {
    JSON_END,
    JSON_NULL,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_OBJECT_BEGIN,
    JSON_KEY,
    JSON_OBJECT_END
} JsonKind;

typedef struct JsonToken {
    JsonKind kind;
    Text text;  // STRING and KEY: decoded; NUMBER: as written
} JsonToken;

typedef struct JsonReader {
    Text source;
    size_t at;
    Arena *arena;
    uint64_t nesting_is_object;  // a bit per level
    int depth;
    int state;  // json_reader.c: what may come next
} JsonReader;

JsonReader json_reader_begin(Text source, Arena *arena);
// JSON_END after the whole value and only white space.
must_use bool json_next(JsonReader *reader, JsonToken *token, Error *err);
// Skips the value that comes next (after JSON_KEY or with `token` NULL; in an array one must be
// left), or the rest of the array or object that `token` has begun. A token that is a whole value
// is already behind.
must_use bool json_skip(JsonReader *reader, const JsonToken *token, Error *err);

// A whole document as a tree on the arena. Duplicate keys: the last wins, as browsers do.
typedef struct JsonValue JsonValue;
struct JsonValue {
    JsonKind kind;            // NULL, TRUE, FALSE, NUMBER, STRING, ARRAY_BEGIN, OBJECT_BEGIN
    Text text;                // STRING, NUMBER
    Text key;                 // within an object
    JsonValue *first, *next;  // members in order
    size_t count;
};
must_use bool json_parse(Text source, Arena *arena, JsonValue **out, Error *err);
const JsonValue *json_get(const JsonValue *object, Text key);  // NULL when absent or not an object
// False when `value` is NULL or not a number. Beyond the range of double: infinite.
must_use bool json_number(const JsonValue *value, double *out);
// Whole numbers, written as a number or as a string, as proto3's JSON does for 64 bits
// ("9007199254740993"). False when NULL, of another kind, not whole (1e3 and 1.0 are) or out of
// range.
must_use bool json_whole_i64(const JsonValue *value, int64_t *out);
must_use bool json_whole_u64(const JsonValue *value, uint64_t *out);
// The same for the text of a JSON_NUMBER or JSON_STRING token.
must_use bool json_text_to_i64(Text text, int64_t *out);
must_use bool json_text_to_u64(Text text, uint64_t *out);

// Writing. Commas and escapes are the writer's business; nesting is the caller's. Invalid UTF-8
// becomes U+FFFD.
typedef struct JsonWriter {
    Builder *out;
    bool need_comma;
} JsonWriter;

JsonWriter json_writer_begin(Builder *out);
void json_object_begin(JsonWriter *writer);
void json_object_end(JsonWriter *writer);
void json_array_begin(JsonWriter *writer);
void json_array_end(JsonWriter *writer);
void json_key(JsonWriter *writer, Text key);
void json_text(JsonWriter *writer, Text value);
void json_member(JsonWriter *writer, Text key, Text value);  // the two at once
void json_i64(JsonWriter *writer, int64_t value);
void json_u64(JsonWriter *writer, uint64_t value);
void json_f64(JsonWriter *writer, double value);  // shortest digits; not finite: null
void json_bool(JsonWriter *writer, bool value);
void json_null(JsonWriter *writer);
void json_raw(JsonWriter *writer, Text value);  // already JSON
