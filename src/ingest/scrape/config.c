// The whole configuration: the file, what it includes, and its life between threads.

#include "ingest/scrape/config.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "ingest/scrape/glob.h"
#include "ingest/scrape/keys.h"
#include "os/process.h"

struct ScrapeConfigs {
    atomic_int references;
    Arena arena;
    Disk *disk;
    ConfigFile file;  // its list: the jobs of all files
    ConfigContext context;
    BindLater later;
    bool given;  // a key of ours stands in the file
};

// ---- global ----

enum { INTERVAL_MS = 60000, TIMEOUT_MS = 10000 };

void global_complete(GlobalConfig *global) {
    if (global->interval_ms == 0) global->interval_ms = INTERVAL_MS;
    if (global->timeout_ms == 0) global->timeout_ms = MIN(TIMEOUT_MS, global->interval_ms);
    if (global->evaluation_ms == 0) global->evaluation_ms = INTERVAL_MS;
    if (global->escaping == ESCAPING_UNSET)
        global->escaping =
            global->names == NAMES_LEGACY ? ESCAPING_UNDERSCORES : ESCAPING_ALLOW_UTF8;
}

static bool is_variable(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

// `$NAME`, `${NAME}` and `$$`, as Prometheus expands external labels. A variable that is not set is
// empty; a dollar before anything else stays.
static Text expand_variables(Text text, Arena *arena) {
    if (text_find_char(text, '$') < 0) return text;
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < text.len; i++) {
        bool dollar = text.at[i] == '$' && i + 1 < text.len;
        bool braces = dollar && text.at[i + 1] == '{';
        size_t begin = i + (braces ? 2 : 1), end = begin;
        while (dollar && end < text.len && is_variable(text.at[end], end == begin)) end++;
        if (dollar && text.at[i + 1] == '$') {
            builder_add_char(&out, '$');
            i++;
        } else if (end == begin || (braces && (end == text.len || text.at[end] != '}'))) {
            builder_add_char(&out, text.at[i]);
        } else {
            Text value = environment_get(text_to_cstring(text_slice(text, begin, end), arena));
            builder_add(&out, value);
            i = braces ? end : end - 1;
        }
    }
    return text_copy(builder_text(&out), arena);
}

static int by_name(const void *a, const void *b) {
    return text_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

static void expand_external(Binder *binder, LabelArray *labels) {
    size_t kept = 0;
    for (size_t i = 0; i < labels->count; i++) {
        Label label = {labels->at[i].name, expand_variables(labels->at[i].value, binder->arena)};
        if (label.value.len > 0) labels->at[kept++] = label;
    }
    labels->count = kept;
    if (kept > 0) qsort(labels->at, kept, sizeof *labels->at, by_name);
}

bool global_check(Binder *binder, void *object, const YamlNode *node, Error *err) {
    GlobalConfig *global = object;
    int64_t interval_ms = global->interval_ms == 0 ? INTERVAL_MS : global->interval_ms;
    if (global->timeout_ms > interval_ms)
        return yaml_error(bind_at(node, TEXT("scrape_timeout")), ERROR_BAD_INPUT, err,
                          "global: scrape_timeout is longer than scrape_interval");
    const YamlNode *labels = yaml_get(node, TEXT("external_labels"));
    for (size_t i = 0; i < global->external_labels.count; i++)
        if (!label_name_is_valid(global->external_labels.at[i].name, global->names))
            return yaml_error(labels->pairs[i].key, ERROR_BAD_INPUT, err,
                              "\"%.*s\" is not a label name (letters, digits and _ with "
                              "metric_name_validation_scheme: legacy)",
                              TEXT_ARG(text_slice(global->external_labels.at[i].name, 0, 100)));
    expand_external(binder, &global->external_labels);
    return true;
}

// ---- Jobs ----

static Text folder_of(Text path) {
    size_t cut = path.len;
    while (cut > 0 && path.at[cut - 1] != '/') cut--;
    if (cut == 0) return TEXT("");
    return cut == 1 ? TEXT("/") : text_slice(path, 0, cut - 1);
}

// Adds the jobs of one file to those of the others; `node` is its scrape_configs.
static bool add_jobs(ScrapeConfigs *configs, ScrapeConfigList more, const YamlNode *node,
                     Error *err) {
    ScrapeConfigList *list = &configs->file.list;
    ScrapeConfig *all = arena_push_array(&configs->arena, ScrapeConfig, list->count + more.count);
    if (list->count > 0) memcpy(all, list->at, list->count * sizeof *all);
    for (size_t i = 0; i < more.count; i++) {
        const ScrapeConfig *config = &more.at[i];
        for (size_t j = 0; j < list->count + i; j++)
            if (text_equal(all[j].job_name, config->job_name))
                return yaml_error(bind_at(node->items[i], TEXT("job_name")), ERROR_BAD_INPUT, err,
                                  "the job_name \"%.*s\" stands already at %.*s",
                                  TEXT_ARG(config->job_name), TEXT_ARG(all[j].from));
        all[list->count + i] = *config;
    }
    *list = (ScrapeConfigList){all, list->count + more.count};
    return true;
}

static bool read_jobs(ScrapeConfigs *configs, Binder *binder, const YamlNode *node, Error *err) {
    ScrapeConfigList list = {0};
    const BindRow *row = bind_find(&config_file_table, TEXT("scrape_configs"));
    TRY(bind_value(binder, row, node, &list, err));
    return add_jobs(configs, list, node, err);
}

// A file of scrape_config_files has one key.
static bool read_included(ScrapeConfigs *configs, Text path, Error *err) {
    Bytes bytes;
    const YamlNode *root;
    TRY(disk_read_whole(configs->disk, path, LIMIT_YAML_BYTES, &configs->arena, &bytes, err));
    TRY(yaml_parse(bytes_text(bytes), path, &configs->arena, &root, err));
    if (root == NULL) return true;
    if (root->kind != YAML_MAP)
        return yaml_error(root, ERROR_BAD_INPUT, err, "`scrape_configs:` is expected here");
    Binder binder = {&configs->arena, folder_of(path), &configs->context, &configs->later};
    for (size_t i = 0; i < root->count; i++) {
        const YamlPair *pair = &root->pairs[i];
        if (!text_equal(pair->key->text, TEXT("scrape_configs")))
            return yaml_error(pair->key, ERROR_BAD_INPUT, err,
                              "only scrape_configs may stand in a file of scrape_config_files, "
                              "not \"%.*s\"",
                              TEXT_ARG(text_slice(pair->key->text, 0, 100)));
        TRY(read_jobs(configs, &binder, pair->value, err));
    }
    return true;
}

static bool read_all_included(ScrapeConfigs *configs, const YamlNode *node, Error *err) {
    Texts patterns = configs->file.config_files;
    for (size_t i = 0; i < patterns.count; i++) {
        Text written = node->items[i]->text;
        ptrdiff_t star = text_find_char(written, '*');
        if (star >= 0 && text_find_char(text_slice(written, (size_t)star, written.len), '/') >= 0)
            return yaml_error(node->items[i], ERROR_BAD_INPUT, err,
                              "scrape_config_files: only the last piece of a path may have *");
        Texts files;
        TRY(glob_files(configs->disk, patterns.at[i], &configs->arena, &files, err));
        for (size_t j = 0; j < files.count; j++) TRY(read_included(configs, files.at[j], err));
    }
    return true;
}

// ---- The file ----

static bool read_file(ScrapeConfigs *configs, const YamlNode *root, Text path, Error *err) {
    Binder binder = {&configs->arena, folder_of(path), &configs->context, &configs->later};
    GlobalConfig *global = &configs->file.global;
    // First what the jobs inherit, wherever it stands.
    const BindRow *row = bind_find(&config_file_table, TEXT("global"));
    TRY(bind_map(&binder, row->table, yaml_get(root, row->name), global, err));
    global_complete(global);
    if (root == NULL) return true;
    const YamlNode *included = NULL;
    for (size_t i = 0; i < root->count; i++) {
        const YamlPair *pair = &root->pairs[i];
        row = bind_find(&config_file_table, pair->key->text);
        if (row == NULL || row->table == NULL) {
            YamlNode value = *pair->value;
            if (row == NULL) continue;  // somebody else's key
            configs->given = true;
            value.line = pair->key->line;
            value.column = pair->key->column;
            if (row->kind == BIND_PATHS) included = pair->value;
            Texts *into = &configs->file.config_files;
            TRY(bind_value(&binder, row, &value, row->kind == BIND_PATHS ? into : NULL, err));
        } else {
            configs->given = true;
            if (row->kind == BIND_LIST) TRY(read_jobs(configs, &binder, pair->value, err));
        }
    }
    return read_all_included(configs, included, err);
}

bool scrape_configs_open_text(Disk *disk, Text source, Text path, ScrapeConfigs **out, Error *err) {
    AUTO(scrape_configs_close) ScrapeConfigs *configs = memory_new(ScrapeConfigs);
    const YamlNode *root;
    configs->disk = disk;
    atomic_init(&configs->references, 1);
    configs->context.global = &configs->file.global;
    path = text_copy(path, &configs->arena);
    TRY(yaml_parse(source, path, &configs->arena, &root, err));
    if (root != NULL && root->kind != YAML_MAP)
        return yaml_error(root, ERROR_BAD_INPUT, err, "keys with values are expected (key: value)");
    TRY(read_file(configs, root, path, err));
    TRY(bind_later_check(&configs->later, err));
    *out = TAKE(configs);
    return true;
}

bool scrape_configs_open(Disk *disk, Text path, ScrapeConfigs **out, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Bytes bytes;
    TRY(disk_read_whole(disk, path, LIMIT_YAML_BYTES, &arena, &bytes, err));
    return scrape_configs_open_text(disk, bytes_text(bytes), path, out, err);
}

ScrapeConfigs *scrape_configs_ref(ScrapeConfigs *configs) {
    atomic_fetch_add(&configs->references, 1);
    return configs;
}

void scrape_configs_close(ScrapeConfigs **configs) {
    ScrapeConfigs *old = *configs;
    *configs = NULL;
    if (old == NULL || atomic_fetch_sub(&old->references, 1) > 1) return;
    for (size_t i = 0; i < old->context.regexes.count; i++)
        regex_close(&old->context.regexes.at[i]);
    array_free(&old->context.regexes);
    builder_free(&old->later.others);
    arena_free(&old->arena);
    memory_free(old);
}

// ---- Reading ----

size_t scrape_configs_count(const ScrapeConfigs *configs) {
    return configs->file.list.count;
}

const ScrapeConfig *scrape_configs_at(const ScrapeConfigs *configs, size_t index) {
    return &configs->file.list.at[index];
}

LabelArray scrape_configs_external_labels(const ScrapeConfigs *configs) {
    return configs->file.global.external_labels;
}

NameScheme scrape_configs_names(const ScrapeConfigs *configs) {
    return configs->file.global.names;
}

bool scrape_configs_owns(Text top_level_key) {
    return bind_find(&config_file_table, top_level_key) != NULL;
}

Text scrape_configs_nearest(Text top_level_key, size_t *distance) {
    Text nearest = TEXT_NONE;
    *distance = SIZE_MAX;
    for (size_t i = 0; i < config_file_table.count; i++) {
        size_t far = text_distance(top_level_key, config_file_table.rows[i].name);
        if (far >= *distance) continue;
        *distance = far;
        nearest = config_file_table.rows[i].name;
    }
    return nearest;
}

void scrape_configs_print(const ScrapeConfigs *configs, Builder *out) {
    if (!configs->given) return;
    // The jobs of included files are in the list already.
    ConfigFile shown = configs->file;
    shown.config_files = (Texts){0};
    bind_print(&config_file_table, &shown, 0, out);
}
