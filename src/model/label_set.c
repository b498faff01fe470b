// Gathering labels, sorting them, and writing them under a name.

#include "model/label_set.h"

#include <stdlib.h>

#include "base/limits.h"

void label_set_free(LabelSet *set) {
    array_free(&set->labels);
    builder_free(&set->before);
    builder_free(&set->after);
    builder_free(&set->wire);
}

void label_set_clear(LabelSet *set) {
    array_clear(&set->labels);
}

void label_set_add(LabelSet *set, Text name, Text value) {
    if (value.len > 0) *array_add(&set->labels) = (Label){name, value};
}

bool label_set_has(const LabelSet *set, Text name) {
    for (size_t i = 0; i < set->labels.count; i++) {
        if (text_equal(set->labels.at[i].name, name)) return true;
    }
    return false;
}

static int by_name(const void *a, const void *b) {
    return text_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

static bool check_names(const LabelSet *set, Error *err) {
    for (size_t i = 0; i < set->labels.count; i++) {
        Text name = set->labels.at[i].name;
        Text shown = text_slice(name, 0, 100);
        if (name.len == 0) return error_set(err, ERROR_BAD_INPUT, "a label without a name");
        if (text_equal(name, LABEL_NAME))
            return error_set(err, ERROR_BAD_INPUT, "a label must not be named __name__");
        if (i > 0 && text_equal(set->labels.at[i - 1].name, name))
            return error_set(err, ERROR_BAD_INPUT, "label %.*s stands twice", TEXT_ARG(shown));
    }
    return true;
}

bool label_set_close(LabelSet *set, Error *err) {
    size_t count = set->labels.count;
    // The metric's name is one too.
    if ((int64_t)count + 1 > LIMIT_SERIES_LABELS) {
        return error_set(err, ERROR_TOO_LARGE,
                         "%zu labels; a series has at most %lld "
                         "(SERIES_LABELS)",
                         count + 1, (long long)LIMIT_SERIES_LABELS);
    }
    if (count > 1) qsort(set->labels.at, count, sizeof(Label), by_name);
    TRY(check_names(set, err));
    builder_clear(&set->before);
    builder_clear(&set->after);
    for (size_t i = 0; i < count; i++) {
        const Label *label = &set->labels.at[i];
        bool first = text_compare(label->name, LABEL_NAME) < 0;
        labels_append(first ? &set->before : &set->after, label->name, label->value);
    }
    return true;
}

Labels label_set_named(LabelSet *set, Text metric) {
    builder_clear(&set->wire);
    builder_add(&set->wire, builder_text(&set->before));
    labels_append(&set->wire, LABEL_NAME, metric);
    builder_add(&set->wire, builder_text(&set->after));
    return (Labels){text_bytes(builder_text(&set->wire))};
}

static bool is_plain(char c, bool colon) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colon && c == ':');
}

Text label_name_plain(Text name, bool colon, Arena *arena) {
    bool digit = name.len > 0 && name.at[0] >= '0' && name.at[0] <= '9', plain = !digit;
    for (size_t i = 0; plain && i < name.len; i++) plain = is_plain(name.at[i], colon);
    if (plain) return name;
    char *out = arena_push_raw(arena, name.len + 1, 1);
    size_t len = 0;
    if (digit) out[len++] = '_';
    for (size_t i = 0; i < name.len; i++)
        out[len++] = is_plain(name.at[i], colon) ? name.at[i] : '_';
    return (Text){out, len};
}
