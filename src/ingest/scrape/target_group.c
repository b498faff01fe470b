// Groups of targets from YAML and JSON: one shape, two readers.

#include "ingest/scrape/target_group.h"

#include "base/limits.h"
#include "codec/json.h"
#include "ingest/scrape/keys.h"

bool target_address_check(Text address, Error *err) {
    if (text_find_char(address, '/') < 0) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is not an address; write host:port, and the rest with scheme and "
                     "metrics_path",
                     TEXT_ARG(text_slice(address, 0, 100)));
}

static Text source_of(Text file, size_t index, Arena *arena) {
    return text_format(arena, "%.*s:%zu", TEXT_ARG(file), index);
}

static bool parse_yaml(Text source, Text file, Arena *arena, TargetGroups *out, Error *err) {
    const YamlNode *root;
    Binder binder = {.arena = arena};
    TRY(yaml_parse(source, file, arena, &root, err));
    *out = (TargetGroups){0};
    if (yaml_is_null(root)) return true;
    if (root->kind != YAML_LIST)
        return yaml_error(root, ERROR_BAD_INPUT, err,
                          "a list of target groups is expected, each with `targets` and `labels`");
    TargetGroups groups = {arena_push_array(arena, TargetGroup, root->count + 1), root->count};
    for (size_t i = 0; i < root->count; i++) {
        if (yaml_is_null(root->items[i]))
            return yaml_error(root->items[i], ERROR_BAD_INPUT, err, "target group %zu is empty",
                              i + 1);
        TRY(bind_map(&binder, &config_static_table, root->items[i], &groups.at[i], err));
        groups.at[i].source = source_of(file, i, arena);
    }
    *out = groups;
    return true;
}

// ---- JSON ----

static bool bad_group(Text file, size_t index, Error *err, const char *what) {
    return error_set(err, ERROR_BAD_INPUT, "%.*s: target group %zu: %s", TEXT_ARG(file), index + 1,
                     what);
}

static bool read_targets(const JsonValue *value, Text file, size_t index, Arena *arena, Texts *out,
                         Error *err) {
    if (value->kind == JSON_NULL) return true;
    if (value->kind != JSON_ARRAY_BEGIN)
        return bad_group(file, index, err, "`targets` must be an array of strings");
    Text *texts = arena_push_array(arena, Text, value->count + 1);
    size_t count = 0;
    for (const JsonValue *item = value->first; item != NULL; item = item->next) {
        if (item->kind != JSON_STRING)
            return bad_group(file, index, err, "`targets` must be an array of strings");
        texts[count++] = item->text;
    }
    *out = (Texts){texts, count};
    return true;
}

static bool read_labels(const JsonValue *value, Text file, size_t index, Arena *arena,
                        LabelArray *out, Error *err) {
    if (value->kind == JSON_NULL) return true;
    if (value->kind != JSON_OBJECT_BEGIN)
        return bad_group(file, index, err, "`labels` must be an object of strings");
    RelabelLabels labels = relabel_labels_begin(arena);
    for (const JsonValue *item = value->first; item != NULL; item = item->next) {
        if (item->kind != JSON_STRING)
            return bad_group(file, index, err, "`labels` must be an object of strings");
        if (!label_name_is_valid(item->key, NAMES_UTF8))
            return bad_group(file, index, err, "a label name is empty");
        relabel_labels_set(&labels, item->key, item->text);
    }
    *out = labels.labels;
    return true;
}

static bool read_group(const JsonValue *value, Text file, size_t index, Arena *arena,
                       TargetGroup *group, Error *err) {
    if (value->kind != JSON_OBJECT_BEGIN)
        return bad_group(file, index, err,
                         value->kind == JSON_NULL ? "it is null" : "it is not an object");
    for (const JsonValue *member = value->first; member != NULL; member = member->next) {
        if (text_equal(member->key, TEXT("targets"))) {
            TRY(read_targets(member, file, index, arena, &group->targets, err));
        } else if (text_equal(member->key, TEXT("labels"))) {
            TRY(read_labels(member, file, index, arena, &group->labels, err));
        } else {
            return bad_group(file, index, err, "only `targets` and `labels` may stand in it");
        }
    }
    group->source = source_of(file, index, arena);
    return true;
}

static bool parse_json(Text source, Text file, Arena *arena, TargetGroups *out, Error *err) {
    JsonValue *root;
    if (!json_parse(source, arena, &root, err)) return error_context(err, "%.*s", TEXT_ARG(file));
    *out = (TargetGroups){0};
    if (root->kind == JSON_NULL) return true;
    if (root->kind != JSON_ARRAY_BEGIN)
        return error_set(err, ERROR_BAD_INPUT, "%.*s: an array of target groups is expected",
                         TEXT_ARG(file));
    TargetGroups groups = {arena_push_array(arena, TargetGroup, root->count + 1), root->count};
    size_t index = 0;
    for (const JsonValue *item = root->first; item != NULL; item = item->next, index++)
        TRY(read_group(item, file, index, arena, &groups.at[index], err));
    *out = groups;
    return true;
}

bool target_groups_parse(Text source, Text file, TargetFormat format, Arena *arena,
                         TargetGroups *out, Error *err) {
    if (source.len > (size_t)LIMIT_YAML_BYTES)
        return error_set(err, ERROR_TOO_LARGE,
                         "%.*s: %zu bytes are more than the limit YAML_BYTES (%lld)",
                         TEXT_ARG(file), source.len, (long long)LIMIT_YAML_BYTES);
    // JSON's texts are views: the groups live as long as the arena, not the source.
    source = text_copy(source, arena);
    file = text_copy(file, arena);
    return format == TARGETS_YAML ? parse_yaml(source, file, arena, out, err)
                                  : parse_json(source, file, arena, out, err);
}
