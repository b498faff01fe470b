// Labels from the command line, joined with those of series.

#include "cli/extra_labels.h"

bool extra_labels_begin(const Call *call, ExtraLabels *out, Error *err) {
    *out = (ExtraLabels){0};
    for (size_t i = 0; i < call->flags.count; i++) {
        if (call->flags.at[i].flag != &flags[FLAG_LABEL]) continue;
        Text pair = call->flags.at[i].value;
        ptrdiff_t equals = text_find_char(pair, '=');
        if (equals <= 0 || (size_t)equals + 1 == pair.len)
            return error_set(err, ERROR_BAD_INPUT, "--label %.*s: write NAME=VALUE",
                             TEXT_ARG(pair));
        *array_add_on(call->arena, &out->at) = (Label){
            text_slice(pair, 0, (size_t)equals), text_slice(pair, (size_t)equals + 1, pair.len)};
    }
    // As they would stand at a metric: what is wrong with one is said before anything is sent.
    Labels whole;
    LabelArray probe = {0};
    bool has_name = false;
    for (size_t i = 0; i < out->at.count; i++) {
        has_name |= text_equal(out->at.at[i].name, LABEL_NAME);
        *array_add_on(call->arena, &probe) = out->at.at[i];
    }
    if (!has_name) *array_add_on(call->arena, &probe) = (Label){LABEL_NAME, TEXT("x")};
    return (labels_make(probe.at, probe.count, call->arena, &whole, err) &&
            labels_check(whole.wire, err)) ||
           error_context(err, "--label");
}

bool extra_labels_add(const ExtraLabels *extra, Arena *arena, Labels *labels, Error *err) {
    LabelArray all = {0};
    for (size_t i = 0; i < extra->at.count; i++) {
        if (labels_get(*labels, extra->at.at[i].name).at == NULL)
            *array_add_on(arena, &all) = extra->at.at[i];
    }
    if (all.count == 0) return true;
    Label label;
    for (Bytes rest = labels->wire; labels_next(&rest, &label);) *array_add_on(arena, &all) = label;
    return labels_make(all.at, all.count, arena, labels, err);
}

Text extra_labels_text(const ExtraLabels *extra, Arena *arena) {
    Text out = TEXT("");
    for (size_t i = 0; i < extra->at.count; i++) {
        const Label *label = &extra->at.at[i];
        out = text_format(arena, "%.*s, label %.*s=%.*s", TEXT_ARG(out), TEXT_ARG(label->name),
                          TEXT_ARG(label->value));
    }
    return out;
}
