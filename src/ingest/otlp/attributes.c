// KeyValues to texts, texts to label sets.

#include "ingest/otlp/attributes.h"

#include <stdlib.h>

#include "base/limits.h"
#include "codec/json.h"
#include "codec/number.h"
#include "codec/protobuf.h"

enum {
    KEY_VALUE_KEY = 1,
    KEY_VALUE_VALUE = 2,
    VALUE_STRING = 1,
    VALUE_BOOL = 2,
    VALUE_INT = 3,
    VALUE_DOUBLE = 4,
    VALUE_ARRAY = 5,
    VALUE_MAP = 6,
    VALUE_BYTES = 7,
    LIST_VALUES = 1,
};

static bool malformed(Error *err) {
    return error_set(err, ERROR_BAD_INPUT, "malformed protobuf in an attribute");
}

// ---- Values ----

// The member of the oneof that is set: the last one written. Kind 0: none.
static bool value_read(Bytes value, ProtobufField *out) {
    Reader reader = reader_begin(value);
    ProtobufField field;
    *out = (ProtobufField){0};
    while (protobuf_next(&reader, &field)) {
        WireType type = field.number == VALUE_DOUBLE                              ? WIRE_FIXED64
                        : field.number == VALUE_BOOL || field.number == VALUE_INT ? WIRE_VARINT
                                                                                  : WIRE_BYTES;
        if (field.number >= VALUE_STRING && field.number <= VALUE_BYTES && field.type == type)
            *out = field;
    }
    return !reader.failed;
}

static bool key_value_read(Bytes bytes, Text *key, Bytes *value) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    *key = TEXT("");
    *value = BYTES_NONE;
    while (protobuf_next(&reader, &field)) {
        if (field.type != WIRE_BYTES) continue;
        if (field.number == KEY_VALUE_KEY) *key = bytes_text(field.bytes);
        if (field.number == KEY_VALUE_VALUE) *value = field.bytes;
    }
    return !reader.failed;
}

static void add_base64(Bytes bytes, Builder *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.at[i] << 16;
        if (left > 1) group |= (uint32_t)bytes.at[i + 1] << 8;
        if (left > 2) group |= bytes.at[i + 2];
        builder_add_char(out, digits[group >> 18]);
        builder_add_char(out, digits[group >> 12 & 63]);
        builder_add_char(out, left > 1 ? digits[group >> 6 & 63] : '=');
        builder_add_char(out, left > 2 ? digits[group & 63] : '=');
    }
}

static void add_double(double value, Builder *out) {
    char text[NUMBER_TEXT_MAX];
    if (value != value) {
        builder_add(out, TEXT("NaN"));
    } else if (value - value != 0) {
        builder_add(out, value > 0 ? TEXT("Infinity") : TEXT("-Infinity"));
    } else {
        builder_add(out, (Text){text, number_format_shortest(value, text)});
    }
}

static int by_name(const void *a, const void *b) {
    const Label *left = a, *right = b;
    int order = text_compare(left->name, right->name);
    // Labels of one array: what stood first stays first, as qsort does not promise it.
    if (order == 0)
        order = left->value.at < right->value.at ? -1 : left->value.at > right->value.at;
    return order;
}

static bool value_json(Bytes value, int64_t depth, Arena *scratch, JsonWriter *writer, Error *err);

static bool list_json(Bytes list, int64_t depth, Arena *scratch, JsonWriter *writer, Error *err) {
    Reader reader = reader_begin(list);
    ProtobufField field;
    json_array_begin(writer);
    while (protobuf_next(&reader, &field)) {
        if (field.number == LIST_VALUES && field.type == WIRE_BYTES)
            TRY(value_json(field.bytes, depth + 1, scratch, writer, err));
    }
    json_array_end(writer);
    return !reader.failed || malformed(err);
}

// Members by the order of their keys, so that equal maps are equal texts.
static bool map_json(Bytes map, int64_t depth, Arena *scratch, JsonWriter *writer, Error *err) {
    LabelArray members = {0};  // key, and its value's bytes
    Reader reader = reader_begin(map);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number != LIST_VALUES || field.type != WIRE_BYTES) continue;
        Label *member = array_add_on(scratch, &members);
        Bytes value;
        if (!key_value_read(field.bytes, &member->name, &value)) return malformed(err);
        member->value = bytes_text(value);
    }
    if (reader.failed) return malformed(err);
    if (members.count > 1) qsort(members.at, members.count, sizeof *members.at, by_name);
    json_object_begin(writer);
    for (size_t i = 0; i < members.count; i++) {
        json_key(writer, members.at[i].name);
        TRY(value_json(text_bytes(members.at[i].value), depth + 1, scratch, writer, err));
    }
    json_object_end(writer);
    return true;
}

static bool value_json(Bytes value, int64_t depth, Arena *scratch, JsonWriter *writer, Error *err) {
    if (depth > LIMIT_NESTING_ATTRIBUTE) {
        return error_set(err, ERROR_TOO_LARGE,
                         "the value of an attribute nests deeper than NESTING_ATTRIBUTE (%lld)",
                         (long long)LIMIT_NESTING_ATTRIBUTE);
    }
    ProtobufField field;
    if (!value_read(value, &field)) return malformed(err);
    AUTO(builder_free) Builder text = {0};
    switch (field.number) {
        case VALUE_STRING:
            json_text(writer, bytes_text(field.bytes));
            return true;
        case VALUE_BOOL:
            json_bool(writer, field.value != 0);
            return true;
        case VALUE_INT:
            json_i64(writer, (int64_t)field.value);
            return true;
        case VALUE_DOUBLE:
            add_double(protobuf_double(field.value), &text);
            if (protobuf_double(field.value) - protobuf_double(field.value) == 0) {
                json_raw(writer, builder_text(&text));
            } else {
                json_text(writer, builder_text(&text));
            }
            return true;
        case VALUE_BYTES:
            add_base64(field.bytes, &text);
            json_text(writer, builder_text(&text));
            return true;
        case VALUE_ARRAY:
            return list_json(field.bytes, depth, scratch, writer, err);
        case VALUE_MAP:
            return map_json(field.bytes, depth, scratch, writer, err);
        default:
            json_null(writer);
            return true;
    }
}

static bool value_text(Bytes value, Arena *scratch, Text *out, Error *err) {
    ProtobufField field;
    if (!value_read(value, &field)) return malformed(err);
    AUTO(builder_free) Builder text = {0};
    switch (field.number) {
        case 0:
            *out = TEXT("");
            return true;
        case VALUE_STRING:
            *out = bytes_text(field.bytes);
            return true;
        case VALUE_BOOL:
            *out = field.value != 0 ? TEXT("true") : TEXT("false");
            return true;
        case VALUE_INT:
            builder_add_i64(&text, (int64_t)field.value);
            break;
        case VALUE_DOUBLE:
            add_double(protobuf_double(field.value), &text);
            break;
        case VALUE_BYTES:
            add_base64(field.bytes, &text);
            break;
        default: {
            JsonWriter writer = json_writer_begin(&text);
            TRY(value_json(value, 1, scratch, &writer, err));
        }
    }
    *out = text_copy(builder_text(&text), scratch);
    return true;
}

// ---- Attributes ----

bool attributes_read(Bytes fields, uint32_t number, int64_t most, Arena *scratch, LabelArray *out,
                     Error *err) {
    Reader reader = reader_begin(fields);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number != number || field.type != WIRE_BYTES) continue;
        if ((int64_t)out->count == most) {
            return error_set(err, ERROR_TOO_LARGE, "more than %lld attributes", (long long)most);
        }
        Label *attribute = array_add_on(scratch, out);
        Bytes value;
        if (!key_value_read(field.bytes, &attribute->name, &value)) return malformed(err);
        TRY(value_text(value, scratch, &attribute->value, err));
    }
    return !reader.failed || malformed(err);
}

Text attribute_get(const LabelArray *attributes, Text name, bool *there) {
    for (size_t i = 0; i < attributes->count; i++) {
        if (!text_equal(attributes->at[i].name, name)) continue;
        *there = true;
        return attributes->at[i].value;
    }
    *there = false;
    return TEXT_NONE;
}

void attributes_sort(LabelArray *attributes) {
    // Nearly always sorted, or short: insertion keeps equal names in their order.
    bool sorted = true;
    for (size_t i = 1; i < attributes->count && sorted; i++)
        sorted = text_compare(attributes->at[i - 1].name, attributes->at[i].name) <= 0;
    if (sorted) return;
    for (size_t i = 1; i < attributes->count; i++) {
        Label moved = attributes->at[i];
        size_t to = i;
        for (; to > 0 && text_compare(attributes->at[to - 1].name, moved.name) > 0; to--)
            attributes->at[to] = attributes->at[to - 1];
        attributes->at[to] = moved;
    }
}

// ---- Label sets ----

static Label *find(LabelSet *set, Text name) {
    for (size_t i = 0; i < set->labels.count; i++) {
        if (text_equal(set->labels.at[i].name, name)) return &set->labels.at[i];
    }
    return NULL;
}

void label_set_put(LabelSet *set, Text name, Text value) {
    Label *label = find(set, name);
    if (label == NULL) label = array_add_on(set->scratch, &set->labels);
    *label = (Label){name, value};
}

void label_set_offer(LabelSet *set, Text name, Text value) {
    Label *label = find(set, name);
    if (label == NULL || label->value.len == 0) label_set_put(set, name, value);
}

void label_set_join(LabelSet *set, Text name, Text value) {
    Label *label = find(set, name);
    if (label == NULL || label->value.len == 0) {
        label_set_put(set, name, value);
        return;
    }
    label->value = text_format(set->scratch, "%.*s;%.*s", TEXT_ARG(label->value), TEXT_ARG(value));
}

bool label_set_attributes(LabelSet *set, OtlpNaming naming, LabelArray *attributes, Error *err) {
    attributes_sort(attributes);
    AUTO(builder_free) Builder name = {0};
    for (size_t i = 0; i < attributes->count; i++) {
        builder_clear(&name);
        TRY(name_label(naming, attributes->at[i].name, &name, err));
        Text made = builder_text(&name);
        made = text_equal(made, attributes->at[i].name) ? attributes->at[i].name
                                                        : text_copy(made, set->scratch);
        label_set_join(set, made, attributes->at[i].value);
    }
    return true;
}

bool label_set_make(const LabelSet *set, Text metric, const Label *more, Arena *arena, Labels *out,
                    Error *err) {
    LabelSet whole = {.scratch = set->scratch};
    for (size_t i = 0; i < set->labels.count; i++)
        *array_add_on(whole.scratch, &whole.labels) = set->labels.at[i];
    if (more != NULL) label_set_put(&whole, more->name, more->value);
    label_set_put(&whole, LABEL_NAME, metric);
    if ((int64_t)whole.labels.count > LIMIT_SERIES_LABELS) {
        return error_set(err, ERROR_TOO_LARGE, "%zu labels, more than SERIES_LABELS (%lld)",
                         whole.labels.count, (long long)LIMIT_SERIES_LABELS);
    }
    // Before bytes are moved: a name of megabytes would be copied for every point that bears it.
    size_t bytes = 0;
    for (size_t i = 0; i < whole.labels.count; i++)
        bytes += whole.labels.at[i].name.len + whole.labels.at[i].value.len;
    if ((int64_t)bytes > LIMIT_SERIES_LABELS_BYTES) {
        return error_set(err, ERROR_TOO_LARGE,
                         "labels of %zu bytes, more than SERIES_LABELS_BYTES (%lld)", bytes,
                         (long long)LIMIT_SERIES_LABELS_BYTES);
    }
    TRY(labels_make(whole.labels.at, whole.labels.count, arena, out, err));
    return labels_check(out->wire, err);
}
