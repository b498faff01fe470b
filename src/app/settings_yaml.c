// The YAML file of settings: a tree, folded into dotted keys. What belongs to scraping is passed
// by.

#include "app/settings.h"
#include "app/settings_set.h"
#include "codec/yaml.h"
#include "ingest/scrape/config.h"
#include "os/process.h"

// ---- ${NAME} ----

static bool is_name(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

// What stands between the braces: NAME, or NAME:-default. *len is the name's.
static bool find_value(Text inside, Arena *arena, Text *out, Error *err) {
    size_t end = 0;
    while (end < inside.len && is_name(inside.at[end], end == 0)) end++;
    Text name = text_slice(inside, 0, end), rest = text_slice(inside, end, inside.len);
    bool standard = text_starts_with(rest, TEXT(":-"));
    if (name.len == 0 || (rest.len > 0 && !standard))
        return error_set(err, ERROR_BAD_INPUT,
                         "\"${%.*s}\" is not a variable; write ${NAME}, ${NAME:-default}, or $${ "
                         "for the characters themselves",
                         TEXT_ARG(text_slice(inside, 0, 60)));
    Text value = environment_get(text_to_cstring(name, arena));
    if (value.len > 0 || (value.at != NULL && !standard)) {
        *out = value;
        return true;
    }
    *out = text_slice(rest, 2, rest.len);
    return standard || error_set(err, ERROR_BAD_INPUT,
                                 "the variable %.*s is not set; set it, or write ${%.*s:-default}",
                                 TEXT_ARG(name), TEXT_ARG(name));
}

// Fills in ${NAME} and ${NAME:-default}; `$${` is `${`.
static bool expand(Text text, Arena *arena, Text *out, Error *err) {
    AUTO(builder_free) Builder whole = {0};
    if (text_find(text, TEXT("${")) < 0) {
        *out = text;
        return true;
    }
    for (size_t i = 0; i < text.len; i++) {
        Text rest = text_slice(text, i, text.len);
        if (text_starts_with(rest, TEXT("$${"))) {
            builder_add(&whole, TEXT("${"));
            i += 2;
            continue;
        }
        ptrdiff_t end = text_starts_with(rest, TEXT("${")) ? text_find_char(rest, '}') : -1;
        if (end < 0 && text_starts_with(rest, TEXT("${")))
            return error_set(err, ERROR_BAD_INPUT,
                             "a \"${\" without a \"}\"; write $${ for the "
                             "characters themselves");
        if (end < 0) {
            builder_add_char(&whole, text.at[i]);
            continue;
        }
        Text value = TEXT_NONE;
        TRY(find_value(text_slice(rest, 2, (size_t)end), arena, &value, err));
        builder_add(&whole, value);
        i += (size_t)end;
    }
    *out = text_copy(builder_text(&whole), arena);
    return true;
}

// ---- What a prometheus.yml may say and we cannot do ----

typedef struct ForeignRow {
    Text key;
    Text harmless;  // this value asks for what is done anyway
    const char *instead;
} ForeignRow;

static const ForeignRow foreign_rows[] = {
    {TEXT_INIT("otlp.promote_all_resource_attributes"), TEXT_INIT("false"),
     "write `promote_resource_attributes: \"*\"`"},
    {TEXT_INIT("otlp.ignore_resource_attributes"), TEXT_INIT(""),
     "name the others with promote_resource_attributes"},
    {TEXT_INIT("otlp.label_name_underscore_sanitization"), TEXT_INIT("true"), "delete the key"},
    {TEXT_INIT("otlp.label_name_preserve_multiple_underscores"), TEXT_INIT("true"),
     "delete the key"},
};

static const ForeignRow *foreign_find(Text dotted) {
    for (size_t i = 0; i < COUNT(foreign_rows); i++)
        if (text_equal(foreign_rows[i].key, dotted)) return &foreign_rows[i];
    return NULL;
}

static bool read_foreign(const ForeignRow *row, const YamlPair *pair, Error *err) {
    const YamlNode *value = pair->value;
    bool harmless = yaml_is_null(value) || (value->kind == YAML_LIST && value->count == 0) ||
                    (value->kind == YAML_SCALAR && text_equal(value->text, row->harmless));
    if (harmless) return true;
    return yaml_error(pair->key, ERROR_UNSUPPORTED, err,
                      "%.*s is not supported by this version of Traceo; %s", TEXT_ARG(row->key),
                      row->instead);
}

// ---- The file ----

// [a, b] is "a,b" for the settings that take names.
static bool read_names(Settings *settings, const YamlNode *list, Text dotted, Text where,
                       Error *err) {
    AUTO(builder_free) Builder joined = {0};
    for (size_t i = 0; i < list->count; i++) {
        const YamlNode *item = list->items[i];
        Text name = text_trim(item->text), rest = builder_text(&joined), earlier;
        if (item->kind != YAML_SCALAR || name.len == 0 || text_find_char(name, ',') >= 0)
            return yaml_error(item, ERROR_BAD_INPUT, err,
                              "%.*s: a name is expected, not empty and without a comma",
                              TEXT_ARG(dotted));
        while (rest.len > 0 && text_cut(&rest, ',', &earlier))
            if (text_equal(earlier, name))
                return yaml_error(item, ERROR_BAD_INPUT, err, "%.*s: \"%.*s\" stands twice",
                                  TEXT_ARG(dotted), TEXT_ARG(name));
        if (i > 0) builder_add_char(&joined, ',');
        builder_add(&joined, name);
    }
    return settings_set_key(settings, dotted, builder_text(&joined), where, err);
}

static bool read_map(Settings *settings, const YamlNode *map, Text prefix, Error *err);

static bool read_pair(Settings *settings, const YamlPair *pair, Text prefix, Error *err) {
    Arena *arena = settings->arena;
    const YamlNode *value = pair->value;
    Text name = pair->key->text, text;
    Text dotted =
        prefix.len == 0 ? name : text_format(arena, "%.*s.%.*s", TEXT_ARG(prefix), TEXT_ARG(name));
    Text where = text_format(arena, "%.*s:%u", TEXT_ARG(pair->key->file), pair->key->line);
    const ForeignRow *foreign = foreign_find(dotted);
    if (foreign != NULL) return read_foreign(foreign, pair, err);
    if (value->kind != YAML_SCALAR) TRY(settings_check_group(dotted, where, err));
    if (value->kind == YAML_MAP) return read_map(settings, value, dotted, err);
    if (value->kind == YAML_LIST && settings_takes_names(dotted))
        return read_names(settings, value, dotted, where, err);
    if (value->kind == YAML_LIST)
        return error_set(err, ERROR_BAD_INPUT, "%.*s: %.*s: a plain value is expected, not a list",
                         TEXT_ARG(where), TEXT_ARG(dotted));
    if (yaml_is_null(value) && settings_is_group(dotted)) return true;
    if (!expand(value->text, arena, &text, err))
        return error_context(err, "%.*s: %.*s", TEXT_ARG(where), TEXT_ARG(dotted));
    return settings_set_key(settings, dotted, text, where, err);
}

static bool read_map(Settings *settings, const YamlNode *map, Text prefix, Error *err) {
    for (size_t i = 0; i < map->count; i++) {
        bool foreign = prefix.len == 0 && scrape_configs_owns(map->pairs[i].key->text);
        if (!foreign) TRY(read_pair(settings, &map->pairs[i], prefix, err));
    }
    return true;
}

bool settings_read_yaml(Settings *settings, Text source, Text file_name, Error *err) {
    const YamlNode *root;
    TRY(yaml_parse(source, file_name, settings->arena, &root, err));
    if (root == NULL) return true;
    if (root->kind != YAML_MAP)
        return yaml_error(root, ERROR_BAD_INPUT, err, "settings are expected (name: value)");
    return read_map(settings, root, TEXT_NONE, err);
}

// ---- Both halves ----

bool settings_check_scrape(const Settings *settings, const ScrapeConfigs *scrape, Error *err) {
    const SettingValue *value = &settings->values[SETTING_OTLP_NAMES];
    bool utf8 = text_equal(value->text, TEXT("NoUTF8EscapingWithSuffixes")) ||
                text_equal(value->text, TEXT("NoTranslation"));
    if (scrape == NULL || !utf8 || scrape_configs_names(scrape) == NAMES_UTF8) return true;
    return error_set(err, ERROR_BAD_INPUT,
                     "%.*s: otlp.translation_strategy %.*s makes names that "
                     "metric_name_validation_scheme: legacy forbids",
                     TEXT_ARG(value->from), TEXT_ARG(value->text));
}
