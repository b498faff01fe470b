// Binding: rows found by name, values read by kind.

#include "codec/yaml_bind.h"

#include "base/assert.h"
#include "codec/quantity.h"

typedef struct AnyList {
    void *at;
    size_t count;
} AnyList;

static void *field_of(void *object, size_t offset) {
    return (char *)object + offset;
}

const YamlNode *bind_at(const YamlNode *node, Text key) {
    const YamlNode *value = yaml_get(node, key);
    return value == NULL ? node : value;
}

Text bind_path(const Binder *binder, Text path) {
    if (path.len == 0 || path.at[0] == '/' || binder->folder.len == 0) return path;
    return text_format(binder->arena, "%.*s/%.*s", TEXT_ARG(binder->folder), TEXT_ARG(path));
}

// ---- Names ----

static const BindRow *find(const BindTable *table, Text name, size_t *base) {
    for (size_t i = 0; i < table->count; i++) {
        const BindRow *row = &table->rows[i];
        if (row->kind == BIND_INLINE) {
            size_t inner = *base + row->offset;
            const BindRow *found = find(row->table, name, &inner);
            if (found == NULL) continue;
            *base = inner;
            return found;
        }
        if (text_equal(row->name, name)) return row;
    }
    return NULL;
}

const BindRow *bind_find(const BindTable *table, Text name) {
    size_t base = 0;
    return find(table, name, &base);
}

static void find_nearest(const BindTable *table, Text name, size_t *best, Text *out) {
    for (size_t i = 0; i < table->count; i++) {
        const BindRow *row = &table->rows[i];
        if (row->kind == BIND_INLINE) {
            find_nearest(row->table, name, best, out);
            continue;
        }
        size_t far = text_distance(name, row->name);
        if (far >= *best) continue;
        *best = far;
        *out = row->name;
    }
}

bool bind_unknown_key(const BindTable *table, const YamlNode *key, Error *err) {
    Text nearest = TEXT_NONE;
    size_t best = MIN((size_t)5, key->text.len / 2 + 1);
    find_nearest(table, key->text, &best, &nearest);
    Text shown = text_slice(key->text, 0, 100);
    if (nearest.at == NULL)
        return yaml_error(key, ERROR_BAD_INPUT, err, "unknown key \"%.*s\" in %.*s",
                          TEXT_ARG(shown), TEXT_ARG(table->what));
    return yaml_error(key, ERROR_BAD_INPUT, err,
                      "unknown key \"%.*s\" in %.*s; did you mean \"%.*s\"?", TEXT_ARG(shown),
                      TEXT_ARG(table->what), TEXT_ARG(nearest));
}

// ---- Scalars ----

static const char *kind_name(const YamlNode *node) {
    return node->kind == YAML_LIST ? "a list" : node->kind == YAML_MAP ? "a map" : "this text";
}

static bool wrong_kind(const BindRow *row, const YamlNode *value, const char *wanted, Error *err) {
    Text shown = value->kind == YAML_SCALAR ? text_slice(value->text, 0, 60) : TEXT("");
    return yaml_error(value, ERROR_BAD_INPUT, err, "%.*s: %s is expected, not %s%s%.*s%s",
                      TEXT_ARG(row->name), wanted, kind_name(value), shown.len > 0 ? " \"" : "",
                      TEXT_ARG(shown), shown.len > 0 ? "\"" : "");
}

static bool read_text(const BindRow *row, const YamlNode *value, Text *out, Error *err) {
    if (value->kind != YAML_SCALAR) return wrong_kind(row, value, "a text", err);
    *out = yaml_is_null(value) ? TEXT("") : value->text;
    return true;
}

// `err` was set by a parser of values that knows no place.
static bool at_place(const BindRow *row, const YamlNode *value, Error *err) {
    return error_context(err, "%.*s:%u:%u: %.*s", TEXT_ARG(value->file), value->line, value->column,
                         TEXT_ARG(row->name));
}

// http://host… or https://host…, nothing that a request would trip over.
static bool check_url(Text url, Error *err) {
    Text rest = url;
    if (text_starts_with(url, TEXT("http://"))) rest = text_slice(url, 7, url.len);
    if (text_starts_with(url, TEXT("https://"))) rest = text_slice(url, 8, url.len);
    if (rest.len == url.len)
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" has no scheme; write http:// or https://",
                         TEXT_ARG(text_slice(url, 0, 100)));
    size_t end = 0;
    while (end < rest.len && rest.at[end] != '/' && rest.at[end] != '?' && rest.at[end] != '#')
        end++;
    Text host = text_slice(rest, 0, end);
    while (text_find_char(host, '@') >= 0)
        host = text_slice(host, (size_t)text_find_char(host, '@') + 1, host.len);
    if (host.len == 0 || host.at[0] == ':')
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" names no host",
                         TEXT_ARG(text_slice(url, 0, 100)));
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.at[i] <= ' ' || url.at[i] == 0x7f)
            return error_set(err, ERROR_BAD_INPUT,
                             "\"%.*s\" has a space or a control character in it",
                             TEXT_ARG(text_slice(url, 0, 100)));
    return true;
}

static bool read_url(const BindRow *row, const YamlNode *value, Text *out, Error *err) {
    TRY(read_text(row, value, out, err));
    if (out->len == 0 || check_url(*out, err)) return true;
    return at_place(row, value, err);
}

static bool read_quantity(const BindRow *row, const YamlNode *value, int64_t *out, Error *err) {
    Text text;
    TRY(read_text(row, value, &text, err));
    *out = 0;
    if (yaml_is_null(value)) return true;
    bool fine =
        row->kind == BIND_DURATION ? duration_to_ms(text, out, err) : size_to_bytes(text, out, err);
    return fine || at_place(row, value, err);
}

static bool read_choice(const BindRow *row, const YamlNode *value, void *field, Error *err) {
    Text text, rest = row->words, word;
    TRY(read_text(row, value, &text, err));
    for (int place = 0; text_cut(&rest, '|', &word); place++) {
        if (!text_equal(word, text)) continue;
        memcpy(field, &place, sizeof place);  // an enum is as large as an int on our machines
        return true;
    }
    AUTO(builder_free) Builder words = {0};
    for (rest = row->words; text_cut(&rest, '|', &word);)
        if (word.len > 0) builder_addf(&words, "%s%.*s", words.len > 0 ? ", " : "", TEXT_ARG(word));
    return yaml_error(value, ERROR_BAD_INPUT, err, "%.*s: \"%.*s\" is none of %.*s",
                      TEXT_ARG(row->name), TEXT_ARG(text_slice(text, 0, 60)),
                      TEXT_ARG(builder_text(&words)));
}

static bool read_bool(const BindRow *row, const YamlNode *value, bool *out, Error *err) {
    if (yaml_is_null(value)) {
        *out = false;
        return true;
    }
    return yaml_to_bool(value, out) || wrong_kind(row, value, "true or false", err);
}

static bool read_count(const BindRow *row, const YamlNode *value, uint64_t *out, Error *err) {
    if (yaml_is_null(value)) {
        *out = 0;
        return true;
    }
    return yaml_to_u64(value, out) || wrong_kind(row, value, "a whole number", err);
}

static bool read_port(const BindRow *row, const YamlNode *value, uint16_t *out, Error *err) {
    uint64_t number;
    TRY(read_count(row, value, &number, err));
    if (number > UINT16_MAX) return wrong_kind(row, value, "a port (up to 65535)", err);
    *out = (uint16_t)number;
    return true;
}

static bool read_float(const BindRow *row, const YamlNode *value, double *out, Error *err) {
    if (yaml_is_null(value)) {
        *out = 0;
        return true;
    }
    return yaml_to_f64(value, out) || wrong_kind(row, value, "a number", err);
}

// ---- Lists and structs ----

static bool read_texts(Binder *binder, const BindRow *row, const YamlNode *value, Texts *out,
                       Error *err) {
    *out = (Texts){0};
    if (yaml_is_null(value)) return true;
    if (value->kind != YAML_LIST) return wrong_kind(row, value, "a list", err);
    Text *texts = arena_push_array(binder->arena, Text, value->count + 1);
    for (size_t i = 0; i < value->count; i++) {
        TRY(read_text(row, value->items[i], &texts[i], err));
        if (row->kind == BIND_PATHS) texts[i] = bind_path(binder, texts[i]);
    }
    *out = (Texts){texts, value->count};
    return true;
}

static bool read_list(Binder *binder, const BindRow *row, const YamlNode *value, AnyList *out,
                      Error *err) {
    *out = (AnyList){0};
    if (yaml_is_null(value)) return true;
    if (value->kind != YAML_LIST) return wrong_kind(row, value, "a list", err);
    const BindTable *table = row->table;
    char *at =
        arena_push_size(binder->arena, array_bytes(value->count + 1, table->size), table->align);
    for (size_t i = 0; i < value->count; i++) {
        if (yaml_is_null(value->items[i]))
            return yaml_error(value->items[i], ERROR_BAD_INPUT, err,
                              "%.*s: an entry is empty; a %.*s is expected", TEXT_ARG(row->name),
                              TEXT_ARG(table->what));
        TRY(bind_map(binder, table, value->items[i], at + i * table->size, err));
    }
    *out = (AnyList){at, value->count};
    return true;
}

static bool read_pointer(Binder *binder, const BindRow *row, const YamlNode *value, void *field,
                         Error *err) {
    void *object = NULL;
    if (!yaml_is_null(value)) {
        object = arena_push_size(binder->arena, row->table->size, row->table->align);
        TRY(bind_map(binder, row->table, value, object, err));
    }
    memcpy(field, &object, sizeof object);
    return true;
}

// Nothing is asked for: no value, an empty list, or a map in which nothing is.
static bool asks_nothing(const YamlNode *value) {
    if (yaml_is_null(value)) return true;
    return value->kind == YAML_LIST ? value->count == 0 : yaml_is_empty(value);
}

static bool refuse(Binder *binder, const BindRow *row, const YamlNode *value, Error *err) {
    BindLater *later = binder->later;
    if (asks_nothing(value)) return true;
    if (later != NULL && later->count++ > 0) {
        builder_addf(&later->others, "%s %.*s (line %u)", later->count == 2 ? "; neither is" : ",",
                     TEXT_ARG(row->name), value->line);
        return true;
    }
    yaml_error(value, ERROR_UNSUPPORTED, later == NULL ? err : &later->first,
               "%.*s is not supported by this version of Traceo; %.*s", TEXT_ARG(row->name),
               TEXT_ARG(row->help));
    return later != NULL;
}

bool bind_later_check(const BindLater *later, Error *err) {
    if (later->count == 0) return true;
    *err = later->first;
    size_t len = strlen(err->message);
    Text others = text_slice(builder_text(&later->others), 0, sizeof err->message - 1 - len);
    if (others.len > 0) memcpy(err->message + len, others.at, others.len);
    err->message[len + others.len] = '\0';
    return false;
}

bool bind_value(Binder *binder, const BindRow *row, const YamlNode *value, void *field,
                Error *err) {
    switch (row->kind) {
        case BIND_TEXT:
        case BIND_SECRET:
            return read_text(row, value, field, err);
        case BIND_URL:
            return read_url(row, value, field, err);
        case BIND_PATH:
            TRY(read_text(row, value, field, err));
            *(Text *)field = bind_path(binder, *(Text *)field);
            return true;
        case BIND_BOOL:
        case BIND_INHERITED:
            return read_bool(row, value, field, err);
        case BIND_COUNT:
            return read_count(row, value, field, err);
        case BIND_PORT:
            return read_port(row, value, field, err);
        case BIND_FLOAT:
            return read_float(row, value, field, err);
        case BIND_DURATION:
        case BIND_SIZE:
            return read_quantity(row, value, field, err);
        case BIND_CHOICE:
            return read_choice(row, value, field, err);
        case BIND_TEXTS:
        case BIND_SECRETS:
        case BIND_PATHS:
            return read_texts(binder, row, value, field, err);
        case BIND_STRUCT:
            return bind_map(binder, row->table, value, field, err);
        case BIND_POINTER:
            return read_pointer(binder, row, value, field, err);
        case BIND_LIST:
            return read_list(binder, row, value, field, err);
        case BIND_HAND:
            return row->hand->read(binder, value, field, err);
        case BIND_IGNORED:
            return true;
        case BIND_LATER:
            return refuse(binder, row, value, err);
        case BIND_INLINE:
            break;
    }
    unreachable("an inline table has no value");
}

// ---- Maps ----

// Defaults are values like those of a file: a wrong one is a bug of the table.
static void set_defaults(Binder *binder, const BindTable *table, void *object) {
    if (table->begin != NULL) table->begin(binder, object);
    for (size_t i = 0; i < table->count; i++) {
        const BindRow *row = &table->rows[i];
        void *field = field_of(object, row->offset);
        if (row->kind == BIND_INLINE || row->kind == BIND_STRUCT)
            set_defaults(binder, row->table, field);
        if (row->standard.len == 0) continue;
        YamlNode value = {.kind = YAML_SCALAR, .text = row->standard, .file = TEXT("default")};
        Error err;
        bool fine = bind_value(binder, row, &value, field, &err);
        assert(fine);
    }
}

static bool check_inner(Binder *binder, const BindTable *table, void *object, const YamlNode *node,
                        Error *err) {
    for (size_t i = 0; i < table->count; i++) {
        const BindRow *row = &table->rows[i];
        if (row->kind == BIND_INLINE)
            TRY(check_inner(binder, row->table, field_of(object, row->offset), node, err));
    }
    return table->check == NULL || table->check(binder, object, node, err);
}

bool bind_map(Binder *binder, const BindTable *table, const YamlNode *node, void *object,
              Error *err) {
    set_defaults(binder, table, object);
    if (yaml_is_null(node)) return true;
    if (node->kind != YAML_MAP)
        return yaml_error(node, ERROR_BAD_INPUT, err,
                          "%.*s: keys with values are expected here (key: value), not %s",
                          TEXT_ARG(table->what), kind_name(node));
    for (size_t i = 0; i < node->count; i++) {
        size_t base = 0;
        const YamlNode *key = node->pairs[i].key;
        const BindRow *row = find(table, key->text, &base);
        if (row == NULL) return bind_unknown_key(table, key, err);
        // An empty value stands nowhere: point at its key.
        YamlNode value = *node->pairs[i].value;
        if (row->kind == BIND_LATER || (value.kind == YAML_SCALAR && value.text.len == 0)) {
            value.line = key->line;
            value.column = key->column;
        }
        TRY(bind_value(binder, row, &value, field_of(object, base + row->offset), err));
    }
    return check_inner(binder, table, object, node, err);
}
