// A bound struct as YAML again: what is in effect, secrets masked.

#include "base/assert.h"
#include "codec/number.h"
#include "codec/quantity.h"
#include "codec/yaml_bind.h"

typedef struct AnyList {
    const char *at;
    size_t count;
} AnyList;

static void indent_by(int indent, Builder *out) {
    for (int i = 0; i < indent; i++) builder_add_char(out, ' ');
}

// http://user:password@host → http://user:xxxxx@host
static void print_url(Text url, Builder *out) {
    ptrdiff_t scheme = text_find(url, TEXT("://"));
    size_t from = scheme < 0 ? 0 : (size_t)scheme + 3, end = from;
    while (end < url.len && url.at[end] != '/' && url.at[end] != '?' && url.at[end] != '#') end++;
    Text authority = text_slice(url, from, end);
    ptrdiff_t at = -1;
    for (size_t i = 0; i < authority.len; i++)
        if (authority.at[i] == '@') at = (ptrdiff_t)i;
    ptrdiff_t colon = at < 0 ? -1 : text_find_char(text_slice(authority, 0, (size_t)at), ':');
    if (colon < 0) {
        yaml_print_text(url, out);
        return;
    }
    AUTO(builder_free) Builder masked = {0};
    builder_add(&masked, text_slice(url, 0, from + (size_t)colon));
    builder_add(&masked, TEXT(":xxxxx"));
    builder_add(&masked, text_slice(url, from + (size_t)at, url.len));
    yaml_print_text(builder_text(&masked), out);
}

static Text choice_word(const BindRow *row, int place) {
    Text rest = row->words, word = TEXT("");
    for (int i = 0; i <= place; i++)
        if (!text_cut(&rest, '|', &word)) return TEXT("");
    return word;
}

static int choice_at(const void *field) {
    int place;
    memcpy(&place, field, sizeof place);
    return place;
}

static bool struct_is_set(const BindTable *table, const void *object);

static bool is_set(const BindRow *row, const void *field) {
    switch (row->kind) {
        case BIND_TEXT:
        case BIND_SECRET:
        case BIND_URL:
        case BIND_PATH:
            return ((const Text *)field)->len > 0;
        case BIND_BOOL:
            return *(const bool *)field || text_equal(row->standard, TEXT("true"));
        case BIND_INHERITED:
            return true;
        case BIND_COUNT:
            return *(const uint64_t *)field != 0;
        case BIND_PORT:
            return *(const uint16_t *)field != 0;
        case BIND_FLOAT:
            return *(const double *)field != 0;
        case BIND_DURATION:
        case BIND_SIZE:
            return *(const int64_t *)field != 0;
        case BIND_CHOICE:
            return choice_word(row, choice_at(field)).len > 0;
        case BIND_TEXTS:
        case BIND_SECRETS:
        case BIND_PATHS:
            return ((const Texts *)field)->count > 0;
        case BIND_STRUCT:
        case BIND_INLINE:
            return struct_is_set(row->table, field);
        case BIND_POINTER:
            return *(void *const *)field != NULL;
        case BIND_LIST:
            return ((const AnyList *)field)->count > 0;
        case BIND_HAND:
            return row->hand->is_set(field);
        case BIND_IGNORED:
        case BIND_LATER:
            return false;
    }
    return false;
}

static bool struct_is_set(const BindTable *table, const void *object) {
    for (size_t i = 0; i < table->count; i++)
        if (is_set(&table->rows[i], (const char *)object + table->rows[i].offset)) return true;
    return false;
}

static void print_scalar(const BindRow *row, const void *field, Builder *out) {
    builder_add_char(out, ' ');
    switch (row->kind) {
        case BIND_SECRET:
            builder_add(out, TEXT("<secret>"));
            break;
        case BIND_URL:
            print_url(*(const Text *)field, out);
            break;
        case BIND_BOOL:
        case BIND_INHERITED:
            builder_add(out, *(const bool *)field ? TEXT("true") : TEXT("false"));
            break;
        case BIND_COUNT:
            builder_add_u64(out, *(const uint64_t *)field);
            break;
        case BIND_PORT:
            builder_add_u64(out, *(const uint16_t *)field);
            break;
        case BIND_FLOAT:
            builder_add_f64(out, *(const double *)field);
            break;
        case BIND_DURATION:
            duration_print(*(const int64_t *)field, out);
            break;
        case BIND_SIZE:
            size_print(*(const int64_t *)field, out);
            break;
        case BIND_CHOICE:
            yaml_print_text(choice_word(row, choice_at(field)), out);
            break;
        case BIND_TEXT:
        case BIND_PATH:
        case BIND_TEXTS:
        case BIND_SECRETS:
        case BIND_PATHS:
        case BIND_STRUCT:
        case BIND_POINTER:
        case BIND_LIST:
        case BIND_INLINE:
        case BIND_HAND:
        case BIND_IGNORED:
        case BIND_LATER:
            yaml_print_text(*(const Text *)field, out);
            break;
    }
    builder_add_char(out, '\n');
}

static void print_texts(const BindRow *row, Texts texts, int indent, Builder *out) {
    builder_add_char(out, '\n');
    for (size_t i = 0; i < texts.count; i++) {
        indent_by(indent, out);
        builder_add(out, TEXT("- "));
        if (row->kind == BIND_SECRETS) {
            builder_add(out, TEXT("<secret>"));
        } else {
            yaml_print_text(texts.at[i], out);
        }
        builder_add_char(out, '\n');
    }
}

// Entries begin with "- " where their first key would be indented.
static void print_list(const BindTable *table, AnyList list, int indent, Builder *out) {
    builder_add_char(out, '\n');
    for (size_t i = 0; i < list.count; i++) {
        size_t from = out->len;
        bind_print(table, list.at + i * table->size, indent + 2, out);
        if (out->len == from) {
            indent_by(indent + 2, out);
            builder_add(out, TEXT("{}\n"));
        }
        out->at[from + (size_t)indent] = '-';
    }
}

static void print_row(const BindRow *row, const void *field, int indent, Builder *out) {
    if (!is_set(row, field)) return;
    if (row->kind == BIND_INLINE) {
        bind_print(row->table, field, indent, out);
        return;
    }
    indent_by(indent, out);
    yaml_print_text(row->name, out);
    builder_add_char(out, ':');
    switch (row->kind) {
        case BIND_TEXTS:
        case BIND_SECRETS:
        case BIND_PATHS:
            print_texts(row, *(const Texts *)field, indent, out);
            break;
        case BIND_STRUCT:
            builder_add_char(out, '\n');
            bind_print(row->table, field, indent + 2, out);
            break;
        case BIND_POINTER:
            builder_add(
                out, struct_is_set(row->table, *(void *const *)field) ? TEXT("\n") : TEXT(" {}\n"));
            bind_print(row->table, *(void *const *)field, indent + 2, out);
            break;
        case BIND_LIST:
            print_list(row->table, *(const AnyList *)field, indent, out);
            break;
        case BIND_HAND:
            row->hand->print(field, indent, out);
            break;
        case BIND_TEXT:
        case BIND_SECRET:
        case BIND_URL:
        case BIND_PATH:
        case BIND_BOOL:
        case BIND_INHERITED:
        case BIND_COUNT:
        case BIND_PORT:
        case BIND_FLOAT:
        case BIND_DURATION:
        case BIND_SIZE:
        case BIND_CHOICE:
        case BIND_INLINE:
        case BIND_IGNORED:
        case BIND_LATER:
            print_scalar(row, field, out);
            break;
    }
}

void bind_print(const BindTable *table, const void *object, int indent, Builder *out) {
    for (size_t i = 0; i < table->count; i++)
        print_row(&table->rows[i], (const char *)object + table->rows[i].offset, indent, out);
}
