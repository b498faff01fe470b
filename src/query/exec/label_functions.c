// label_replace and label_join: one label of every series made from others.

#include "query/exec/exec.h"

#include "base/limits.h"

typedef struct Relabel {
    Operator operator;
    Operator *inner;
    Text target;
    // label_replace:
    Text replacement, source;
    Regex *regex;
    // label_join:
    Text separator;
    Texts sources;
} Relabel;

static void relabel_close(Operator *operator) {
    regex_close(&((Relabel *)operator)->regex);
}

// Leaves `*value` NULL when the series stays as it is.
static bool replaced(Relabel *relabel, Labels labels, Text *value, Error *err) {
    Text source = labels_get(labels, relabel->source);
    return regex_expand(relabel->regex, source.at == NULL ? TEXT("") : source, relabel->replacement,
                        &relabel->operator.batch, value, err);
}

static Text joined(Relabel *relabel, Labels labels) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < relabel->sources.count && out.len <= (size_t)LIMIT_QUERY_TEXT_BYTES;
         i++) {
        if (i > 0) builder_add(&out, relabel->separator);
        builder_add(&out, labels_get(labels, relabel->sources.at[i]));
    }
    return text_copy(builder_text(&out), &relabel->operator.batch);
}

static bool relabel_next(Operator *operator, StepBatch * out, Error *err) {
    Relabel *relabel = (Relabel *)operator;
    TRY(operator_next(relabel->inner, out, err));
    for (size_t i = 0; i < out->count; i++) {
        StepSeries *series = &out->at[i];
        Text value;
        if (relabel->regex != NULL) {
            TRY(replaced(relabel, series->labels, &value, err));
            if (value.at == NULL) continue;
        } else {
            value = joined(relabel, series->labels);
            // As regex_expand has it: each label_join may repeat the one below it many times.
            if (value.len > (size_t)LIMIT_QUERY_TEXT_BYTES) {
                return error_set(
                    err, ERROR_TOO_LARGE,
                    "label_join() grows a label beyond %d bytes (limit QUERY_TEXT_BYTES)",
                    (int)LIMIT_QUERY_TEXT_BYTES);
            }
        }
        series->lasting = false;
        series->labels =
            labels_set(operator->exec, series->labels, relabel->target, value, &operator->batch);
        if (text_equal(relabel->target, LABEL_NAME))
            series->drop_name = false;  // a new name is meant to stay
    }
    return true;
}

static Text string_of(const Expr *call, size_t i) {
    return expr_inner(call->as.call.args[i])->as.string;
}

bool label_function_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    Relabel *relabel = operator_new(exec, Relabel, call, steps, relabel_next);
    relabel->operator.close = relabel_close;
    relabel->target = string_of(call, 1);
    Text name = call->as.call.function->name;
    if (relabel->target.len == 0 || !text_is_utf8(relabel->target)) {
        return error_set(err, ERROR_BAD_INPUT, "invalid destination label name in %.*s(): %.*s",
                         TEXT_ARG(name), TEXT_ARG(text_slice(relabel->target, 0, 64)));
    }
    if (call->as.call.function->id == FUNCTION_LABEL_REPLACE) {
        relabel->replacement = string_of(call, 2);
        relabel->source = string_of(call, 3);
        Text pattern = string_of(call, 4);
        if (!regex_open(pattern, &relabel->regex, err)) {
            return error_context(err, "invalid regular expression in label_replace(): %.*s",
                                 TEXT_ARG(text_slice(pattern, 0, 64)));
        }
    } else {
        relabel->separator = string_of(call, 2);
        size_t count = call->as.call.arg_count - 3;
        Text *sources = arena_push_array(&relabel->operator.keep, Text, count);
        for (size_t i = 0; i < count; i++) {
            sources[i] = string_of(call, i + 3);
            if (sources[i].len > 0 && text_is_utf8(sources[i])) continue;
            return error_set(err, ERROR_BAD_INPUT,
                             "invalid source label name in label_join(): %.*s",
                             TEXT_ARG(text_slice(sources[i], 0, 64)));
        }
        relabel->sources = (Texts){sources, count};
    }
    TRY(operator_open(exec, call->as.call.args[0], steps, &relabel->inner, err));
    *out = unique_open(exec, &relabel->operator);
    return true;
}
