// info(): the labels of info metrics (target_info, unless others are asked for) put on series of
// the same instance and job.
//
//   inner ──▶ which target? ──▶ which of its info series at each step ──▶ one series per answer
//             (instance, job)     (per metric, the one with the youngest sample)
//
// A target's info series are seldom more than one, and seldom change during a query: the answers
// for its steps are found once per target, as an index into the few different ones.

#include "query/exec/exec.h"

#include <stdlib.h>

typedef struct InfoSeries {
    Labels labels;
    Text name;
    const double *times;           // of its sample at each step, in seconds, or ABSENT
    const Histogram **histograms;  // of the samples that are none of an info metric; NULL: all are
} InfoSeries;

// What a target is at some steps: one info series per metric.
typedef struct Choice {
    const InfoSeries **at;
    size_t count;
} Choice;

typedef struct Target {
    ARRAY(InfoSeries) series;  // of one metric name together, once `chosen` is there
    ARRAY(Choice) choices;     // the first is the empty one
    uint32_t *chosen;          // per step; NULL: not looked at yet
} Target;

typedef struct Info {
    Operator operator;
    Operator *inner;
    Expr selector;        // of the info series
    Matchers names;       // those of them about the name
    Texts wanted;         // labels to take; none: all
    bool empty_is_match;  // a target without info series is what the matchers ask for, too
    ARRAY(Regex *) regexes;
    Map targets;  // identifying labels to Target
    bool loaded;
} Info;

static const Text identifying[] = {TEXT_INIT("instance"), TEXT_INIT("job")};

static Labels identity(Info *info, Labels labels, Arena *arena) {
    Texts names = {(Text *)identifying, COUNT(identifying)};
    return labels_keep(info->operator.exec, labels, names, arena);
}

// ---- Which info series there are ----

static bool load(Info *info, Error *err) {
    Exec *exec = info->operator.exec;
    Arena *arena = &info->operator.keep;
    Operator *selected;
    StepBatch all;
    TRY(select_open(exec, &info->selector, info->operator.steps, true, &selected, err));
    TRY(operator_collect(selected, arena, &all, err));
    info->targets = map_begin(arena, exec->hash_key);
    for (size_t i = 0; i < all.count; i++) {
        Labels target_labels = identity(info, all.at[i].labels, arena);
        void **slot = map_put(&info->targets, bytes_text(target_labels.wire));
        if (*slot == NULL) *slot = arena_push(arena, Target);
        Target *target = *slot;
        *array_add_on(arena, &target->series) =
            (InfoSeries){all.at[i].labels, labels_get(all.at[i].labels, LABEL_NAME),
                         all.at[i].values, all.at[i].histograms};
    }
    info->loaded = true;
    return true;
}

static int by_name(const void *a, const void *b) {
    const InfoSeries *left = a, *right = b;
    int order = text_compare(left->name, right->name);
    return order != 0 ? order : labels_compare(left->labels, right->labels);
}

static bool fail_duplicate(const InfoSeries *first, const InfoSeries *second, double seconds,
                           Error *err) {
    AUTO(builder_free) Builder out = {0};
    long long ms = (long long)(seconds * 1000);
    labels_print(first->labels, &out);
    builder_addf(&out, " @ %lld, new ", ms);
    labels_print(second->labels, &out);
    builder_addf(&out, " @ %lld", ms);
    return error_set(err, ERROR_BAD_INPUT, "found duplicate series for info metric: existing %.*s",
                     TEXT_ARG(builder_text(&out)));
}

// For each metric the series whose sample at `step` is the youngest; `out` has room for all.
static bool youngest(const Target *target, size_t step, const InfoSeries **out, size_t *count,
                     Error *err) {
    *count = 0;
    for (size_t i = 0; i < target->series.count; i++) {
        const InfoSeries *series = &target->series.at[i];
        if (is_absent(series->times[step])) continue;
        if (series->histograms != NULL && series->histograms[step] != NULL) {
            AUTO(builder_free) Builder shown = {0};
            labels_print(series->labels, &shown);
            return error_set(err, ERROR_BAD_INPUT,
                             "an info metric has floats, this one has native histograms: %.*s",
                             TEXT_ARG(text_slice(builder_text(&shown), 0, 300)));
        }
        const InfoSeries *before = *count == 0 ? NULL : out[*count - 1];
        if (before == NULL || !text_equal(before->name, series->name)) {
            out[(*count)++] = series;
        } else if (before->times[step] == series->times[step]) {
            return fail_duplicate(before, series, series->times[step], err);
        } else if (before->times[step] < series->times[step]) {
            out[*count - 1] = series;
        }
    }
    return true;
}

static bool choice_is(const Choice *choice, const InfoSeries **at, size_t count) {
    return choice->count == count &&
           (count == 0 || memcmp(choice->at, at, count * sizeof *at) == 0);
}

static bool choose(Info *info, Target *target, Error *err) {
    Arena *arena = &info->operator.keep;
    qsort(target->series.at, target->series.count, sizeof *target->series.at, by_name);
    *array_add_on(arena, &target->choices) = (Choice){NULL, 0};
    target->chosen = arena_push_array(arena, uint32_t, info->operator.steps.count);
    const InfoSeries **found = arena_push_array(arena, const InfoSeries *, target->series.count);
    size_t last = 0;
    for (size_t step = 0; step < info->operator.steps.count; step++) {
        size_t count;
        TRY(youngest(target, step, found, &count, err));
        if (!choice_is(&target->choices.at[last], found, count)) {
            last = 0;
            while (last < target->choices.count &&
                   !choice_is(&target->choices.at[last], found, count))
                last++;
        }
        if (last == target->choices.count) {
            const InfoSeries **own = arena_push_array(arena, const InfoSeries *, count);
            memcpy(own, found, count * sizeof *own);
            *array_add_on(arena, &target->choices) = (Choice){own, count};
        }
        target->chosen[step] = (uint32_t)last;
    }
    return true;
}

// ---- Putting their labels on ----

static bool is_wanted(const Info *info, Text name) {
    if (text_equal(name, LABEL_NAME)) return false;
    for (size_t i = 0; i < info->wanted.count; i++) {
        if (text_equal(info->wanted.at[i], name)) return true;
    }
    return info->wanted.count == 0;
}

static bool add_labels(Info *info, Labels base, const Choice *choice, Labels *out, Error *err) {
    *out = base;
    for (size_t i = 0; i < choice->count; i++) {
        Label label;
        for (Bytes rest = choice->at[i]->labels.wire; labels_next(&rest, &label);) {
            if (!is_wanted(info, label.name) || labels_get(base, label.name).len > 0) continue;
            Text before = labels_get(*out, label.name);
            if (before.len > 0 && !text_equal(before, label.value)) {
                return error_set(err, ERROR_BAD_INPUT, "conflicting label: %.*s",
                                 TEXT_ARG(text_slice(label.name, 0, 200)));
            }
            if (before.len > 0) continue;
            *out = labels_set(info->operator.exec, *out, label.name, label.value,
                              &info->operator.batch);
        }
    }
    return true;
}

typedef ARRAY(StepSeries) StepSeriesArray;

// One series for each choice at whose steps `base` has values; choices that give the same labels
// share one.
static bool enrich(Info *info, const StepSeries *base, const Target *target, StepSeriesArray *out,
                   Error *err) {
    Arena *arena = &info->operator.batch;
    Steps steps = info->operator.steps;
    size_t first = out->count;
    // Which of the series made here a choice goes to, plus one.
    size_t *made = arena_push_array(arena, size_t, target->choices.count);
    for (size_t step = 0; step < steps.count; step++) {
        uint32_t chosen = target->chosen[step];
        const Choice *choice = &target->choices.at[chosen];
        if (step_is_empty(base, step)) continue;
        if (choice->count == 0 && !info->empty_is_match) continue;
        if (made[chosen] == 0) {
            Labels labels;
            TRY(add_labels(info, base->labels, choice, &labels, err));
            size_t at = first;
            while (at < out->count && !labels_equal(out->at[at].labels, labels)) at++;
            if (at == out->count) {
                double *values = column_new(arena, steps);
                column_fill(values, steps, ABSENT);
                const Histogram **histograms =
                    base->histograms == NULL ? NULL : histogram_column_new(arena, steps);
                *array_add_on(arena, out) =
                    (StepSeries){labels, base->drop_name, false, values, histograms};
            }
            made[chosen] = at + 1;
        }
        StepSeries *to = &out->at[made[chosen] - 1];
        to->values[step] = base->values[step];
        if (base->histograms != NULL) to->histograms[step] = base->histograms[step];
    }
    return true;
}

static bool is_info_series(const Info *info, Labels labels) {
    Text name = labels_get(labels, LABEL_NAME);
    for (size_t i = 0; i < info->names.count; i++) {
        if (!matcher_matches(&info->names.at[i], name.at == NULL ? TEXT("") : name)) return false;
    }
    return true;
}

static bool take(Info *info, const StepSeries *base, StepSeriesArray *out, Error *err) {
    Arena *arena = &info->operator.batch;
    // Info series are given as they are.
    if (is_info_series(info, base->labels)) {
        *array_add_on(arena, out) = *base;
        return true;
    }
    if (!info->loaded) TRY(load(info, err));
    Labels identified = identity(info, base->labels, arena);
    Target *target =
        identified.wire.len == 0 ? NULL : map_get(&info->targets, bytes_text(identified.wire));
    if (target == NULL) {
        if (info->empty_is_match) *array_add_on(arena, out) = *base;
        return true;
    }
    if (target->chosen == NULL) TRY(choose(info, target, err));
    return enrich(info, base, target, out, err);
}

static bool info_next(Operator *operator, StepBatch * out, Error *err) {
    Info *info = (Info *)operator;
    StepSeriesArray made = {0};
    while (made.count == 0) {
        StepBatch batch;
        TRY(operator_next(info->inner, &batch, err));
        if (batch.count == 0) break;
        for (size_t i = 0; i < batch.count; i++) TRY(take(info, &batch.at[i], &made, err));
    }
    *out = (StepBatch){made.at, made.count};
    return true;
}

// ---- Opening ----

static void info_close(Operator *operator) {
    Info *info = (Info *)operator;
    for (size_t i = 0; i < info->regexes.count; i++) regex_close(&info->regexes.at[i]);
    array_free(&info->regexes);
}

// The first selector of an expression, depth first; NULL when it reads nothing. Moves `place` to
// the moment at which that selector reads: what stands further inside wins over an @ outside,
// offsets add up until then.
static const Expr *find_moment(const Expr *expr, Expr *place) {
    Expr before = *place;
    const Expr *children[3] = {NULL};
    size_t count = 0;
    if (expr->kind == EXPR_SELECTOR || expr->kind == EXPR_SUBQUERY) {
        if (expr->at != AT_NONE) {
            place->at = expr->at;
            place->at_ms = expr->at_ms;
            place->offset_ms = 0;
        }
        place->offset_ms += expr->offset_ms;
        if (expr->kind == EXPR_SELECTOR) return expr;
        children[count++] = expr->as.subquery.expr;
    } else if (expr->kind == EXPR_AGGREGATE) {
        if (expr->as.aggregate.param != NULL) children[count++] = expr->as.aggregate.param;
        children[count++] = expr->as.aggregate.expr;
    } else if (expr->kind == EXPR_BINARY) {
        children[count++] = expr->as.binary.left;
        children[count++] = expr->as.binary.right;
    } else if (expr->kind == EXPR_UNARY) {
        children[count++] = expr->as.unary.expr;
    } else if (expr->kind == EXPR_PAREN) {
        children[count++] = expr->as.paren;
    } else if (expr->kind == EXPR_CALL) {
        for (size_t i = 0; i < expr->as.call.arg_count; i++) {
            const Expr *found = find_moment(expr->as.call.args[i], place);
            if (found != NULL) return found;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const Expr *found = find_moment(children[i], place);
        if (found != NULL) return found;
    }
    *place = before;
    return NULL;
}

static bool add_name(Info *info, MatcherKind kind, Text value, Matcher *out, Error *err) {
    TRY(matcher_make(kind, LABEL_NAME, value, out, err));
    if (out->regex != NULL) *array_add(&info->regexes) = out->regex;
    return true;
}

// Matchers about the name first, then those about labels. Where no name is asked for it is
// target_info; where names are only excluded, whatever else ends in _info.
static bool split_matchers(Info *info, Matchers given, Error *err) {
    Arena *arena = &info->operator.keep;
    Matcher *all = arena_push_array(arena, Matcher, given.count + 1);
    Text *wanted = arena_push_array(arena, Text, given.count);
    size_t count = 0;
    bool any_name = false, any_positive = false;
    for (size_t i = 0; i < given.count; i++) {
        if (!text_equal(given.at[i].name, LABEL_NAME)) continue;
        any_name = true;
        any_positive |= given.at[i].kind == MATCH_EQUAL || given.at[i].kind == MATCH_REGEX;
        all[count++] = given.at[i];
    }
    if (!any_name) TRY(add_name(info, MATCH_EQUAL, TEXT("target_info"), &all[count++], err));
    if (any_name && !any_positive)
        TRY(add_name(info, MATCH_REGEX, TEXT(".+_info"), &all[count++], err));
    info->names = (Matchers){all, count};
    info->wanted.at = wanted;
    info->empty_is_match = true;
    for (size_t i = 0; i < given.count; i++) {
        if (text_equal(given.at[i].name, LABEL_NAME)) continue;
        wanted[info->wanted.count++] = given.at[i].name;
        info->empty_is_match &= matcher_matches(&given.at[i], TEXT(""));
        all[count++] = given.at[i];
    }
    info->selector.as.selector.matchers = (Matchers){all, count};
    return true;
}

bool info_open(Exec *exec, const Expr *call, Steps steps, Operator **out, Error *err) {
    Info *info = operator_new(exec, Info, call, steps, info_next);
    info->operator.close = info_close;
    info->selector = (Expr){.kind = EXPR_SELECTOR, .type = VALUE_VECTOR, .range = call->range};
    Matchers given = {NULL, 0};
    if (call->as.call.arg_count > 1) given = call->as.call.args[1]->as.selector.matchers;
    TRY(split_matchers(info, given, err));
    find_moment(call->as.call.args[0], &info->selector);
    TRY(operator_open(exec, call->as.call.args[0], steps, &info->inner, err));
    // Two series may come to bear the same labels.
    *out = unique_open(exec, &info->operator);
    return true;
}
