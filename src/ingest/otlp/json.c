// JSON to protobuf by a table: tokens in, fields out, one frame per message that is open.

#include "ingest/otlp/json.h"

#include "base/assert.h"
#include "base/limits.h"
#include "codec/json.h"
#include "codec/protobuf.h"

typedef enum Message {
    MESSAGE_NONE,
    MESSAGE_REQUEST,
    MESSAGE_RESOURCE_METRICS,
    MESSAGE_RESOURCE,
    MESSAGE_SCOPE_METRICS,
    MESSAGE_SCOPE,
    MESSAGE_METRIC,
    MESSAGE_GAUGE,
    MESSAGE_SUM,
    MESSAGE_HISTOGRAM,
    MESSAGE_EXPONENTIAL,
    MESSAGE_SUMMARY,
    MESSAGE_NUMBER_POINT,
    MESSAGE_HISTOGRAM_POINT,
    MESSAGE_EXPONENTIAL_POINT,
    MESSAGE_SUMMARY_POINT,
    MESSAGE_BUCKETS,
    MESSAGE_QUANTILE,
    MESSAGE_EXEMPLAR,
    MESSAGE_KEY_VALUE,
    MESSAGE_ANY_VALUE,
    MESSAGE_ARRAY,
    MESSAGE_KEY_VALUES,
    MESSAGE_COUNT
} Message;

typedef enum FieldKind {
    KIND_MESSAGE,
    KIND_STRING,
    KIND_BOOL,
    KIND_INT,   // int64
    KIND_UINT,  // uint32, uint64
    KIND_SINT,  // sint32
    KIND_FIXED64,
    KIND_SFIXED64,
    KIND_DOUBLE,
    KIND_ENUM,  // AggregationTemporality
    KIND_HEX,
    KIND_BASE64,
} FieldKind;

typedef enum FieldCount { COUNT_ONE, COUNT_MANY } FieldCount;

typedef struct FieldRow {
    Message message;
    Text name;
    uint32_t number;
    FieldKind kind;
    FieldCount count;
    Message of;
} FieldRow;

static const FieldRow fields[] = {
#define FIELD(message, name, number, kind, count, of) \
    {MESSAGE_##message, TEXT_INIT(name), number, KIND_##kind, COUNT_##count, MESSAGE_##of},
#include "ingest/otlp/schema.def"
#undef FIELD
};

// "dataPoints" and "data_points" are the same name.
static bool same_name(Text camel, Text written) {
    if (text_equal(camel, written)) return true;
    size_t at = 0;
    for (size_t i = 0; i < camel.len; i++, at++) {
        bool capital = camel.at[i] >= 'A' && camel.at[i] <= 'Z';
        if (capital) {
            if (at >= written.len || written.at[at] != '_') return false;
            at++;
        }
        char c = capital ? (char)(camel.at[i] + ('a' - 'A')) : camel.at[i];
        if (at >= written.len || written.at[at] != c) return false;
    }
    return at == written.len;
}

static const FieldRow *field_find(Message message, Text name) {
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (fields[i].message == message && same_name(fields[i].name, name)) return &fields[i];
    }
    return NULL;
}

// ---- Values ----

static bool wrong(const JsonReader *reader, const FieldRow *row, const char *wanted, Error *err) {
    return error_set(err, ERROR_BAD_INPUT, "%.*s wants %s (byte %zu of the JSON)",
                     TEXT_ARG(row->name), wanted, reader->at);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool hex_add(Text text, uint32_t number, Builder *out) {
    if (text.len % 2 != 0) return false;
    size_t begun = protobuf_begin(out, number);
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.at[i]), low = hex_digit(text.at[i + 1]);
        if (high < 0 || low < 0) return false;
        builder_add_char(out, (char)(high << 4 | low));
    }
    protobuf_end(out, begun);
    return true;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;  // proto3's JSON takes both alphabets
    if (c == '/' || c == '_') return 63;
    return -1;
}

static bool base64_add(Text text, uint32_t number, Builder *out) {
    while (text_ends_with(text, TEXT("="))) text.len--;
    if (text.len % 4 == 1) return false;
    size_t begun = protobuf_begin(out, number);
    uint32_t group = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.at[i]);
        if (digit < 0) return false;
        group = group << 6 | (uint32_t)digit;
        if (i % 4 == 1) builder_add_char(out, (char)(group >> 4));
        if (i % 4 == 2) builder_add_char(out, (char)(group >> 2));
        if (i % 4 == 3) builder_add_char(out, (char)group);
    }
    protobuf_end(out, begun);
    return true;
}

static bool double_read(const JsonToken *token, double *out) {
    if (token->kind == JSON_STRING) {
        if (text_equal(token->text, TEXT("NaN"))) return *out = __builtin_nan(""), true;
        if (text_equal(token->text, TEXT("Infinity"))) return *out = __builtin_inf(), true;
        if (text_equal(token->text, TEXT("-Infinity"))) return *out = -__builtin_inf(), true;
    }
    bool number = token->kind == JSON_NUMBER || token->kind == JSON_STRING;
    return number && text_to_f64(token->text, out);
}

static bool temporality_read(const JsonToken *token, uint64_t *out) {
    static const Text names[] = {TEXT_INIT("AGGREGATION_TEMPORALITY_UNSPECIFIED"),
                                 TEXT_INIT("AGGREGATION_TEMPORALITY_DELTA"),
                                 TEXT_INIT("AGGREGATION_TEMPORALITY_CUMULATIVE")};
    for (size_t i = 0; token->kind == JSON_STRING && i < COUNT(names); i++) {
        if (text_equal(token->text, names[i])) return *out = i, true;
    }
    return token->kind == JSON_NUMBER && json_text_to_u64(token->text, out);
}

static bool number_add(const JsonReader *reader, const FieldRow *row, const JsonToken *token,
                       Builder *out, Error *err) {
    uint64_t u = 0;
    int64_t i = 0;
    bool number = token->kind == JSON_NUMBER || token->kind == JSON_STRING;
    bool is_unsigned = row->kind == KIND_UINT || row->kind == KIND_FIXED64;
    if (!number ||
        !(is_unsigned ? json_text_to_u64(token->text, &u) : json_text_to_i64(token->text, &i)))
        return wrong(reader, row, "a whole number of 64 bits", err);
    if (row->kind == KIND_SINT && (i < INT32_MIN || i > INT32_MAX))
        return wrong(reader, row, "a whole number of 32 bits", err);
    if (row->kind == KIND_UINT) protobuf_add_varint(out, row->number, u);
    if (row->kind == KIND_FIXED64) protobuf_add_fixed64(out, row->number, u);
    if (row->kind == KIND_INT) protobuf_add_varint(out, row->number, (uint64_t)i);
    if (row->kind == KIND_SINT) protobuf_add_sint(out, row->number, i);
    if (row->kind == KIND_SFIXED64) protobuf_add_fixed64(out, row->number, (uint64_t)i);
    return true;
}

static bool scalar_add(const JsonReader *reader, const FieldRow *row, const JsonToken *token,
                       Builder *out, Error *err) {
    uint64_t temporality;
    double value;
    switch (row->kind) {
        case KIND_STRING:
            if (token->kind != JSON_STRING) return wrong(reader, row, "a string", err);
            protobuf_add_text(out, row->number, token->text);
            return true;
        case KIND_BOOL:
            if (token->kind != JSON_TRUE && token->kind != JSON_FALSE)
                return wrong(reader, row, "true or false", err);
            protobuf_add_varint(out, row->number, token->kind == JSON_TRUE);
            return true;
        case KIND_DOUBLE:
            if (!double_read(token, &value)) return wrong(reader, row, "a number", err);
            protobuf_add_double(out, row->number, value);
            return true;
        case KIND_ENUM:
            if (!temporality_read(token, &temporality))
                return wrong(reader, row, "the number or name of a temporality", err);
            protobuf_add_varint(out, row->number, temporality);
            return true;
        case KIND_HEX:
            if (token->kind != JSON_STRING || !hex_add(token->text, row->number, out))
                return wrong(reader, row, "hexadecimal digits", err);
            return true;
        case KIND_BASE64:
            if (token->kind != JSON_STRING || !base64_add(token->text, row->number, out))
                return wrong(reader, row, "base64", err);
            return true;
        case KIND_INT:
        case KIND_UINT:
        case KIND_SINT:
        case KIND_FIXED64:
        case KIND_SFIXED64:
            return number_add(reader, row, token, out, err);
        case KIND_MESSAGE:
            break;
    }
    unreachable("a message is no scalar");
}

// ---- The whole ----

// A message or a list that is open.
typedef struct Frame {
    Message message;
    const FieldRow *row;  // the field whose value comes next: all of a list
    bool is_list;
    size_t begun;  // of protobuf_begin; not of lists
} Frame;

enum { FRAMES_MAX = 64 };

typedef struct Walk {
    JsonReader reader;
    Frame frames[FRAMES_MAX];
    size_t depth;
    Builder *out;
} Walk;

// A value of `row`: opens a frame, or adds a scalar.
static bool value_take(Walk *walk, const FieldRow *row, const JsonToken *token, bool in_list,
                       Error *err) {
    if (token->kind == JSON_NULL) return true;  // as if it were not there
    if (row->count == COUNT_MANY && !in_list) {
        if (token->kind != JSON_ARRAY_BEGIN) return wrong(&walk->reader, row, "a list", err);
        walk->frames[walk->depth++] = (Frame){.row = row, .is_list = true};
        return true;
    }
    if (row->kind != KIND_MESSAGE) return scalar_add(&walk->reader, row, token, walk->out, err);
    if (token->kind != JSON_OBJECT_BEGIN) return wrong(&walk->reader, row, "an object", err);
    size_t begun = protobuf_begin(walk->out, row->number);
    walk->frames[walk->depth++] = (Frame){.message = row->of, .begun = begun};
    return true;
}

static bool key_take(Walk *walk, Frame *frame, Text key, Error *err) {
    const FieldRow *row = field_find(frame->message, key);
    if (row == NULL) return json_skip(&walk->reader, NULL, err);
    JsonToken token;
    TRY(json_next(&walk->reader, &token, err));
    return value_take(walk, row, &token, false, err);
}

bool otlp_json_to_protobuf(Text json, Arena *scratch, Builder *out, Error *err) {
    // The reader keeps depth within LIMIT_NESTING_JSON, which is FRAMES_MAX.
    assert(LIMIT_NESTING_JSON <= FRAMES_MAX);
    Walk walk = {.reader = json_reader_begin(json, scratch), .out = out};
    JsonToken token;
    TRY(json_next(&walk.reader, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return error_set(err, ERROR_BAD_INPUT, "the JSON of a request is an object");
    }
    walk.frames[walk.depth++] = (Frame){.message = MESSAGE_REQUEST};
    while (walk.depth > 0) {
        Frame *frame = &walk.frames[walk.depth - 1];
        TRY(json_next(&walk.reader, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            walk.depth--;
        } else if (token.kind == JSON_OBJECT_END) {
            walk.depth--;
            if (walk.depth > 0) protobuf_end(out, frame->begun);
        } else if (frame->is_list) {
            TRY(value_take(&walk, frame->row, &token, true, err));
        } else {
            TRY(key_take(&walk, frame, token.text, err));
        }
    }
    return json_next(&walk.reader, &token, err);  // nothing behind it
}
