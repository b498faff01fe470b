// From libyaml's events to a tree: anchors resolved, merges folded in, everything counted.

#include "codec/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/map.h"
#include "codec/base64.h"

// Keys of maps longer than this are looked up by hash.
enum { KEYS_COMPARED_MAX = 16 };

typedef ARRAY(const YamlNode *) NodeArray;
typedef ARRAY(YamlPair) PairArray;

typedef struct Composer {
    yaml_parser_t parser;
    Text source;
    Text file;
    Arena *arena;
    Arena scratch;    // anchors and sets of keys
    Map anchors;      // name -> YamlNode; of this document
    size_t expanded;  // nodes so far, aliases followed
    bool strict;      // keys are text and unique, `<<` is folded in
} Composer;

static void composer_end(Composer *composer) {
    yaml_parser_delete(&composer->parser);
    arena_free(&composer->scratch);
}

// An event that ends its own memory.
static void event_end(yaml_event_t *event) {
    yaml_event_delete(event);
}

bool yaml_error(const YamlNode *node, ErrorCode code, Error *err, const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return error_set(err, code, "%.*s:%u:%u: %s", TEXT_ARG(node->file), node->line, node->column,
                     message);
}

// ---- Events ----

// A fault of the reader (bytes that are not text) has an offset and no line.
static yaml_mark_t mark_of_offset(Text source, size_t offset) {
    yaml_mark_t mark = {.index = offset};
    for (size_t i = 0; i < offset && i < source.len; i++) {
        mark.column++;
        if (source.at[i] != '\n') continue;
        mark.line++;
        mark.column = 0;
    }
    return mark;
}

static bool next(Composer *composer, yaml_event_t *event, Error *err) {
    if (yaml_parser_parse(&composer->parser, event)) return true;
    const yaml_parser_t *parser = &composer->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the YAML parser");
    yaml_mark_t mark = parser->error == YAML_READER_ERROR
                           ? mark_of_offset(composer->source, parser->problem_offset)
                           : parser->problem_mark;
    const char *problem = parser->problem == NULL ? "unreadable" : parser->problem;
    if (parser->context == NULL || parser->error == YAML_READER_ERROR)
        return error_set(err, ERROR_BAD_INPUT, "%.*s:%zu:%zu: not YAML: %s",
                         TEXT_ARG(composer->file), mark.line + 1, mark.column + 1, problem);
    return error_set(err, ERROR_BAD_INPUT, "%.*s:%zu:%zu: not YAML: %s %s (line %zu)",
                     TEXT_ARG(composer->file), mark.line + 1, mark.column + 1, problem,
                     parser->context, parser->context_mark.line + 1);
}

static Text text_of(Composer *composer, const yaml_char_t *at) {
    return text_copy(text_from_cstring((const char *)at), composer->arena);
}

static YamlNode *node_begin(Composer *composer, YamlKind kind, const yaml_event_t *event,
                            const yaml_char_t *tag) {
    YamlNode *node = arena_push(composer->arena, YamlNode);
    *node = (YamlNode){
        .kind = kind,
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
        .file = composer->file,
        .tag = tag == NULL ? TEXT("") : text_of(composer, tag),
        .weight = 1,
    };
    return node;
}

// ---- Anchors and aliases ----

// The node counts as it is now: one that an alias inside itself names has no weight yet.
static bool count_nodes(Composer *composer, const YamlNode *node, size_t more, Error *err) {
    composer->expanded += more;
    if (composer->expanded <= (size_t)LIMIT_YAML_NODES) return true;
    return yaml_error(node, ERROR_TOO_LARGE, err,
                      "the document grows beyond YAML_NODES (%lld) with its aliases followed",
                      (long long)LIMIT_YAML_NODES);
}

static void anchor_set(Composer *composer, const yaml_char_t *name, YamlNode *node) {
    if (name == NULL) return;
    *map_put(&composer->anchors, text_from_cstring((const char *)name)) = node;
}

static bool follow_alias(Composer *composer, const yaml_event_t *event, const YamlNode **out,
                         Error *err) {
    Text name = text_from_cstring((const char *)event->data.alias.anchor);
    YamlNode here = {.file = composer->file,
                     .line = (uint32_t)event->start_mark.line + 1,
                     .column = (uint32_t)event->start_mark.column + 1};
    const YamlNode *node = map_get(&composer->anchors, name);
    if (node == NULL)
        return yaml_error(&here, ERROR_BAD_INPUT, err, "no anchor \"&%.*s\" stands above",
                          TEXT_ARG(name));
    if (node->weight == 0)
        return yaml_error(&here, ERROR_BAD_INPUT, err, "the value of \"&%.*s\" contains itself",
                          TEXT_ARG(name));
    TRY(count_nodes(composer, &here, node->weight, err));
    *out = node;
    return true;
}

// ---- Merge keys and duplicates ----

static bool is_merge_key(const YamlNode *key) {
    if (key->kind != YAML_SCALAR) return false;
    if (text_equal(key->tag, TEXT("tag:yaml.org,2002:merge"))) return true;
    return key->style == YAML_PLAIN && key->tag.len == 0 && text_equal(key->text, TEXT("<<"));
}

// Which keys are there already: a few are compared, many hashed.
typedef struct KeySet {
    const PairArray *pairs;
    Map map;
} KeySet;

static const YamlNode *key_find(const KeySet *set, Text key) {
    if (set->map.arena != NULL) return map_get(&set->map, key);
    for (size_t i = 0; i < set->pairs->count; i++)
        if (text_equal(set->pairs->at[i].key->text, key)) return set->pairs->at[i].key;
    return NULL;
}

static void key_put(KeySet *set, Arena *scratch, const YamlNode *key) {
    if (set->map.arena == NULL) {
        if (set->pairs->count < KEYS_COMPARED_MAX) return;
        // The keys come from a file of the operator: no secret is needed against them.
        set->map = map_begin(scratch, (HashKey){0});
        for (size_t i = 0; i < set->pairs->count; i++)
            *map_put(&set->map, set->pairs->at[i].key->text) = (void *)set->pairs->at[i].key;
        return;
    }
    *map_put(&set->map, key->text) = (void *)key;
}

static void pair_add(Composer *composer, PairArray *pairs, KeySet *set, YamlPair pair) {
    *array_add_on(composer->arena, pairs) = pair;
    key_put(set, &composer->scratch, pair.key);
}

static bool merge_map(Composer *composer, PairArray *pairs, KeySet *set, const YamlNode *from,
                      Error *err) {
    if (from->kind != YAML_MAP)
        return yaml_error(from, ERROR_BAD_INPUT, err,
                          "\"<<\" takes a map or a list of maps, as in `<<: *defaults`");
    for (size_t i = 0; i < from->count; i++)
        if (key_find(set, from->pairs[i].key->text) == NULL)
            pair_add(composer, pairs, set, from->pairs[i]);
    return true;
}

static bool fold_merges(Composer *composer, const NodeArray *merges, PairArray *pairs, KeySet *set,
                        Error *err) {
    for (size_t i = 0; i < merges->count; i++) {
        const YamlNode *from = merges->at[i];
        if (from->kind != YAML_LIST) {
            TRY(merge_map(composer, pairs, set, from, err));
            continue;
        }
        for (size_t j = 0; j < from->count; j++)
            TRY(merge_map(composer, pairs, set, from->items[j], err));
    }
    return true;
}

static bool check_key(const KeySet *set, const YamlNode *key, Error *err) {
    if (key->kind != YAML_SCALAR)
        return yaml_error(key, ERROR_BAD_INPUT, err, "a key is a word, not a list or a map");
    const YamlNode *earlier = key_find(set, key->text);
    if (earlier == NULL) return true;
    return yaml_error(key, ERROR_BAD_INPUT, err, "the key \"%.*s\" stands already in line %u",
                      TEXT_ARG(key->text), earlier->line);
}

// ---- Nodes ----

static bool compose(Composer *composer, const yaml_event_t *event, int depth, const YamlNode **out,
                    Error *err);

static YamlStyle style_of(yaml_scalar_style_t style) {
    switch (style) {
        case YAML_SINGLE_QUOTED_SCALAR_STYLE:
            return YAML_SINGLE_QUOTED;
        case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
            return YAML_DOUBLE_QUOTED;
        case YAML_LITERAL_SCALAR_STYLE:
            return YAML_LITERAL;
        case YAML_FOLDED_SCALAR_STYLE:
            return YAML_FOLDED;
        case YAML_ANY_SCALAR_STYLE:
        case YAML_PLAIN_SCALAR_STYLE:
            break;
    }
    return YAML_PLAIN;
}

// !!binary is base64, white space aside.
static bool decode_binary(Composer *composer, YamlNode *node, Error *err) {
    AUTO(builder_free) Builder packed = {0};
    for (size_t i = 0; i < node->text.len; i++)
        if (strchr(" \t\r\n", node->text.at[i]) == NULL || node->text.at[i] == '\0')
            builder_add_char(&packed, node->text.at[i]);
    Bytes bytes;
    if (!base64_decode(builder_text(&packed), composer->arena, &bytes))
        return yaml_error(node, ERROR_BAD_INPUT, err, "a !!binary value must be base64");
    node->text = bytes_text(bytes);
    return true;
}

static bool compose_scalar(Composer *composer, const yaml_event_t *event, const YamlNode **out,
                           Error *err) {
    YamlNode *node = node_begin(composer, YAML_SCALAR, event, event->data.scalar.tag);
    node->style = style_of(event->data.scalar.style);
    node->text = text_copy(
        (Text){(const char *)event->data.scalar.value, event->data.scalar.length}, composer->arena);
    if (composer->strict && text_equal(node->tag, TEXT("tag:yaml.org,2002:binary")))
        TRY(decode_binary(composer, node, err));
    anchor_set(composer, event->data.scalar.anchor, node);
    *out = node;
    return true;
}

// list -> '[' {node} ']'
static bool compose_list(Composer *composer, const yaml_event_t *event, int depth,
                         const YamlNode **out, Error *err) {
    YamlNode *node = node_begin(composer, YAML_LIST, event, event->data.sequence_start.tag);
    node->weight = 0;
    anchor_set(composer, event->data.sequence_start.anchor, node);
    NodeArray items = {0};
    size_t weight = 1;
    for (;;) {
        AUTO(event_end) yaml_event_t item = {0};
        TRY(next(composer, &item, err));
        if (item.type == YAML_SEQUENCE_END_EVENT) break;
        const YamlNode *child;
        TRY(compose(composer, &item, depth + 1, &child, err));
        *array_add_on(composer->arena, &items) = child;
        weight += child->weight;
    }
    node->items = items.at;
    node->count = items.count;
    node->weight = weight;
    *out = node;
    return true;
}

// map -> '{' {node node} '}'
static bool compose_map(Composer *composer, const yaml_event_t *event, int depth,
                        const YamlNode **out, Error *err) {
    YamlNode *node = node_begin(composer, YAML_MAP, event, event->data.mapping_start.tag);
    node->weight = 0;
    anchor_set(composer, event->data.mapping_start.anchor, node);
    PairArray pairs = {0};
    NodeArray merges = {0};
    KeySet set = {.pairs = &pairs};
    size_t weight = 1;
    for (;;) {
        AUTO(event_end) yaml_event_t key_event = {0};
        TRY(next(composer, &key_event, err));
        if (key_event.type == YAML_MAPPING_END_EVENT) break;
        YamlPair pair;
        TRY(compose(composer, &key_event, depth + 1, &pair.key, err));
        AUTO(event_end) yaml_event_t value_event = {0};
        TRY(next(composer, &value_event, err));
        TRY(compose(composer, &value_event, depth + 1, &pair.value, err));
        weight += pair.key->weight + pair.value->weight;
        if (!composer->strict) {
            *array_add_on(composer->arena, &pairs) = pair;
        } else if (is_merge_key(pair.key)) {
            *array_add_on(composer->arena, &merges) = pair.value;
        } else {
            TRY(check_key(&set, pair.key, err));
            pair_add(composer, &pairs, &set, pair);
        }
    }
    TRY(fold_merges(composer, &merges, &pairs, &set, err));
    node->pairs = pairs.at;
    node->count = pairs.count;
    node->weight = weight;
    *out = node;
    return true;
}

// node -> scalar | list | map | alias
static bool compose(Composer *composer, const yaml_event_t *event, int depth, const YamlNode **out,
                    Error *err) {
    YamlNode here = {.file = composer->file,
                     .line = (uint32_t)event->start_mark.line + 1,
                     .column = (uint32_t)event->start_mark.column + 1};
    if (event->type == YAML_ALIAS_EVENT) return follow_alias(composer, event, out, err);
    TRY(count_nodes(composer, &here, 1, err));
    if (event->type == YAML_SCALAR_EVENT) return compose_scalar(composer, event, out, err);
    if (depth >= (int)LIMIT_NESTING_YAML)
        return yaml_error(&here, ERROR_TOO_LARGE, err, "nested deeper than NESTING_YAML (%lld)",
                          (long long)LIMIT_NESTING_YAML);
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return compose_list(composer, event, depth, out, err);
    if (event->type == YAML_MAPPING_START_EVENT)
        return compose_map(composer, event, depth, out, err);
    return yaml_error(&here, ERROR_BAD_INPUT, err, "not YAML: a value is expected");
}

// ---- Documents ----

// True with `*more` false at the end of the stream.
static bool next_document(Composer *composer, const YamlNode **out, bool *more, Error *err) {
    for (;;) {
        AUTO(event_end) yaml_event_t event = {0};
        TRY(next(composer, &event, err));
        if (event.type == YAML_STREAM_END_EVENT) {
            *more = false;
            return true;
        }
        if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            composer->anchors = map_begin(&composer->scratch, (HashKey){0});
            continue;
        }
        *more = true;
        return compose(composer, &event, 0, out, err);
    }
}

static bool composer_begin(Composer *composer, Text source, Text file, Arena *arena, bool strict,
                           Error *err) {
    *composer = (Composer){
        .source = source, .file = text_copy(file, arena), .arena = arena, .strict = strict};
    if (source.len > (size_t)LIMIT_YAML_BYTES)
        return error_set(err, ERROR_TOO_LARGE,
                         "%.*s: %zu bytes are more than the limit YAML_BYTES (%lld)",
                         TEXT_ARG(file), source.len, (long long)LIMIT_YAML_BYTES);
    if (!yaml_parser_initialize(&composer->parser))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the YAML parser");
    const char *at = source.len == 0 ? "" : source.at;
    yaml_parser_set_input_string(&composer->parser, (const unsigned char *)at, source.len);
    return true;
}

bool yaml_parse(Text source, Text file, Arena *arena, const YamlNode **out, Error *err) {
    AUTO(composer_end) Composer composer;
    TRY(composer_begin(&composer, source, file, arena, true, err));
    const YamlNode *root = NULL, *second = NULL;
    bool more;
    TRY(next_document(&composer, &root, &more, err));
    if (more) TRY(next_document(&composer, &second, &more, err));
    if (more)
        return yaml_error(second, ERROR_BAD_INPUT, err,
                          "a second document (after `---`) begins here; one is expected");
    bool nothing = root != NULL && root->kind == YAML_SCALAR && root->style == YAML_PLAIN &&
                   root->text.len == 0;
    *out = nothing ? NULL : root;
    return true;
}

bool yaml_parse_stream(Text source, Text file, Arena *arena, YamlDocuments *out, Error *err) {
    AUTO(composer_end) Composer composer;
    TRY(composer_begin(&composer, source, file, arena, false, err));
    NodeArray roots = {0};
    for (;;) {
        const YamlNode *root = NULL;
        bool more;
        TRY(next_document(&composer, &root, &more, err));
        if (!more) break;
        *array_add_on(arena, &roots) = root;
    }
    *out = (YamlDocuments){roots.at, roots.count};
    return true;
}

const YamlNode *yaml_get(const YamlNode *map, Text key) {
    if (map == NULL || map->kind != YAML_MAP) return NULL;
    for (size_t i = 0; i < map->count; i++) {
        const YamlNode *name = map->pairs[i].key;
        if (name->kind == YAML_SCALAR && text_equal(name->text, key)) return map->pairs[i].value;
    }
    return NULL;
}
