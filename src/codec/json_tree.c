// A JSON document as a tree on an arena, built from the reader's tokens without recursion.

#include "codec/json.h"

#include "base/limits.h"

enum { NESTING_MAX = 64 };

// A container being filled, and its last member.
typedef struct Level {
    JsonValue *value;
    JsonValue *last;
} Level;

static JsonValue *value_begin(const JsonToken *token, Text key, Level *level, Arena *arena) {
    JsonValue *value = arena_push(arena, JsonValue);
    value->kind = token->kind;
    value->text = token->text;
    value->key = key;
    if (level == NULL) return value;
    if (level->last == NULL) {
        level->value->first = value;
    } else {
        level->last->next = value;
    }
    level->last = value;
    level->value->count++;
    return value;
}

bool json_parse(Text source, Arena *arena, JsonValue **out, Error *err) {
    JsonReader reader = json_reader_begin(source, arena);
    Level levels[NESTING_MAX];
    size_t depth = 0;
    Text key = TEXT_NONE;
    JsonValue *root = NULL;
    for (;;) {
        JsonToken token;
        TRY(json_next(&reader, &token, err));
        if (token.kind == JSON_END) break;
        if (token.kind == JSON_KEY) {
            key = token.text;
        } else if (token.kind == JSON_ARRAY_END || token.kind == JSON_OBJECT_END) {
            depth--;
        } else {
            JsonValue *value =
                value_begin(&token, key, depth == 0 ? NULL : &levels[depth - 1], arena);
            key = TEXT_NONE;
            if (root == NULL) root = value;
            // The reader keeps depth within LIMIT_NESTING_JSON, which is NESTING_MAX.
            if (token.kind == JSON_ARRAY_BEGIN || token.kind == JSON_OBJECT_BEGIN)
                levels[depth++] = (Level){value, NULL};
        }
    }
    *out = root;
    return true;
}

const JsonValue *json_get(const JsonValue *object, Text key) {
    if (object == NULL || object->kind != JSON_OBJECT_BEGIN) return NULL;
    const JsonValue *found = NULL;
    for (const JsonValue *member = object->first; member != NULL; member = member->next) {
        if (text_equal(member->key, key)) found = member;
    }
    return found;
}

bool json_number(const JsonValue *value, double *out) {
    return value != NULL && value->kind == JSON_NUMBER && text_to_f64(value->text, out);
}

// A number in JSON's notation as sign and magnitude, when it is whole: "12", "-1.50e2", "1e3".
static bool whole_number(Text text, bool *negative, uint64_t *magnitude) {
    *negative = text.len > 0 && text.at[0] == '-';
    if (*negative) text = text_slice(text, 1, text.len);
    if (text_to_u64(text, magnitude)) return true;

    // digits ['.' digits] ['e' exponent]: drop the point, then shift by what is left of the
    // exponent.
    size_t end = 0;
    while (end < text.len && text.at[end] != 'e' && text.at[end] != 'E') end++;
    int64_t exponent = 0;
    if (end < text.len) {
        Text written = text_slice(text, end + 1, text.len);
        if (written.len > 1 && written.at[0] == '+' && written.at[1] != '-')
            written = text_slice(written, 1, written.len);
        if (!text_to_i64(written, &exponent)) return false;
        if (exponent < -1000 || exponent > 1000) return false;
    }
    uint64_t value = 0;
    int64_t behind = 0;  // digits behind the point so far
    size_t zeros = 0;    // zeros that wait to see whether a digit follows
    bool point = false, digit = false;
    for (size_t i = 0; i < end; i++) {
        char c = text.at[i];
        if (c == '.' && !point && digit && i + 1 < end) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') return false;
        digit = true;
        if (point) behind++;
        if (c == '0') {
            zeros++;
            continue;
        }
        for (; zeros > 0 && value > 0; zeros--) {
            if (__builtin_mul_overflow(value, (uint64_t)10, &value)) return false;
        }
        zeros = 0;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(c - '0'), &value)) return false;
    }
    if (!digit) return false;
    int64_t shift = exponent - behind + (int64_t)zeros;
    if (value != 0 && shift < 0) return false;
    for (; value != 0 && shift > 0; shift--) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)) return false;
    }
    *magnitude = value;
    return true;
}

bool json_text_to_i64(Text text, int64_t *out) {
    bool negative;
    uint64_t magnitude;
    if (!whole_number(text, &negative, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool json_text_to_u64(Text text, uint64_t *out) {
    bool negative;
    uint64_t magnitude;
    if (!whole_number(text, &negative, &magnitude) || (negative && magnitude != 0)) return false;
    *out = magnitude;
    return true;
}

static bool holds_number(const JsonValue *value) {
    return value != NULL && (value->kind == JSON_NUMBER || value->kind == JSON_STRING);
}

bool json_whole_i64(const JsonValue *value, int64_t *out) {
    return holds_number(value) && json_text_to_i64(value->text, out);
}

bool json_whole_u64(const JsonValue *value, uint64_t *out) {
    return holds_number(value) && json_text_to_u64(value->text, out);
}
