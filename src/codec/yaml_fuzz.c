// Any bytes as YAML: refused with a place, or a tree whose texts print as scalars that read back,
// and whose size is within the limits whatever its aliases do.

#include "base/assert.h"
#include "base/limits.h"
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scalar(Text text, Arena *arena) {
    AUTO(builder_free) Builder line = {0};
    const YamlNode *root;
    Error err;
    if (!text_is_utf8(text)) return;
    builder_add(&line, TEXT("k: "));
    yaml_print_text(text, &line);
    builder_add_char(&line, '\n');
    bool read = yaml_parse(builder_text(&line), TEXT("p"), arena, &root, &err);
    assert(read);
    const YamlNode *value = yaml_get(root, TEXT("k"));
    assert(value->kind == YAML_SCALAR);
    assert(text_equal(value->text, text));
    bool flag;
    double number;
    assert(!yaml_is_null(value));
    bool typed = yaml_to_bool(value, &flag) || yaml_to_f64(value, &number);
    assert(!typed);
}

static void walk(const YamlNode *node, int depth, size_t *left, Arena *arena) {
    assert(depth <= LIMIT_NESTING_YAML * 2);
    assert(node->line > 0);
    if (*left == 0) return;
    (*left)--;
    if (node->kind == YAML_SCALAR) check_scalar(node->text, arena);
    for (size_t i = 0; i < node->count && node->kind == YAML_LIST; i++)
        walk(node->items[i], depth + 1, left, arena);
    for (size_t i = 0; i < node->count && node->kind == YAML_MAP; i++) {
        assert(yaml_get(node, node->pairs[i].key->text) == node->pairs[i].value);
        walk(node->pairs[i].value, depth + 1, left, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Text source = {(const char *)data, size};
    const YamlNode *root;
    YamlDocuments documents;
    Error err;
    if (!yaml_parse(source, TEXT("f"), &arena, &root, &err)) {
        assert(text_starts_with(text_from_cstring(err.message), TEXT("f:")));
    } else if (root != NULL) {
        size_t left = 200;
        assert(root->weight <= (size_t)LIMIT_YAML_NODES);
        walk(root, 0, &left, &arena);
    }
    (void)!yaml_parse_stream(source, TEXT("f"), &arena, &documents, &err);
    return 0;
}
