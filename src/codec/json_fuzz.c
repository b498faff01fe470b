// What the reader accepts, the writer writes so that it reads back to the same tree.

#include "base/assert.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_tree(const JsonValue *value, JsonWriter *writer) {
    if (value->key.at != NULL) json_key(writer, value->key);
    bool object = value->kind == JSON_OBJECT_BEGIN, array = value->kind == JSON_ARRAY_BEGIN;
    if (object) json_object_begin(writer);
    if (array) json_array_begin(writer);
    // The reader limits the nesting, so recursion is fine here.
    for (const JsonValue *at = value->first; at != NULL; at = at->next) write_tree(at, writer);
    if (object) json_object_end(writer);
    if (array) json_array_end(writer);
    if (value->kind == JSON_STRING) json_text(writer, value->text);
    if (value->kind == JSON_NUMBER) json_raw(writer, value->text);
    if (value->kind == JSON_NULL) json_null(writer);
    if (value->kind == JSON_TRUE || value->kind == JSON_FALSE)
        json_bool(writer, value->kind == JSON_TRUE);
}

static bool same_tree(const JsonValue *a, const JsonValue *b) {
    if (a == NULL || b == NULL) return a == b;
    if (a->kind != b->kind || a->count != b->count) return false;
    if (!text_equal(a->text, b->text) || !text_equal(a->key, b->key)) return false;
    const JsonValue *x = a->first, *y = b->first;
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        if (!same_tree(x, y)) return false;
    }
    return x == y;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(builder_free) Builder written = {0};
    Text source = {(const char *)data, size};
    Error err = {0};
    JsonValue *first, *again;
    JsonReader reader = json_reader_begin(source, &arena);
    bool skipped = json_skip(&reader, NULL, &err);
    JsonToken end;
    bool whole = skipped && json_next(&reader, &end, &err);
    bool parsed = json_parse(source, &arena, &first, &err);
    assert(parsed == whole);
    if (!parsed) {
        assert(err.code == ERROR_BAD_INPUT);
        return 0;
    }
    JsonWriter writer = json_writer_begin(&written);
    write_tree(first, &writer);
    parsed = json_parse(builder_text(&written), &arena, &again, &err);
    assert(parsed && same_tree(first, again));
    return 0;
}
