// Aggregations that fold: sum, avg, min, max, count, group, stddev, stdvar.
//
// Batches of the input are folded into one set of columns per group as they come, so that memory
// follows the result.

#include "query/exec/exec.h"

#include "base/assert.h"

// The native histograms of one step of a group (sum and avg).
typedef struct HistogramFold {
    bool any, mixed_schemas;
    bool resets, no_resets;  // hints that were seen
    HistogramJoin join;
    HistogramMean mean;  // of sum only its sum
} HistogramFold;

typedef struct Group {
    Labels labels;
    bool drop_name;
    double *value;  // the sum, the extreme, the mean so far
    double *rest;   // compensation, or the sum of squares
    double *count;
    uint8_t *incremental;       // avg: the sum overflowed, `value` is the mean
    HistogramFold *histograms;  // one per step, made with the first histogram of the group
    struct Group *next;
} Group;

typedef struct Aggregate {
    Operator operator;
    Operator *inner;
    Map groups;
    Group *first;
    Group **end;
    Group *emit;
    bool folded;
} Aggregate;

static Group *group_make(Aggregate *aggregate, Labels labels) {
    Arena *arena = &aggregate->operator.keep;
    Steps steps = aggregate->operator.steps;
    AggregateOp op = aggregate->operator.expr->as.aggregate.op;
    Group *group = arena_push(arena, Group);
    group->labels.wire = bytes_copy(labels.wire, arena);
    group->value = column_new(arena, steps);
    column_fill(group->value, steps, ABSENT);
    bool counts = op == AGG_AVG || op == AGG_STDDEV || op == AGG_STDVAR;
    if (counts) group->count = arena_push_array(arena, double, steps.count);
    if (counts || op == AGG_SUM) group->rest = arena_push_array(arena, double, steps.count);
    if (op == AGG_AVG) group->incremental = arena_push_array(arena, uint8_t, steps.count);
    *aggregate->end = group;
    aggregate->end = &group->next;
    return group;
}

static Group *group_of(Aggregate *aggregate, Labels series) {
    const Expr *expr = aggregate->operator.expr;
    Exec *exec = aggregate->operator.exec;
    Arena *arena = &aggregate->operator.batch;
    if (!expr->as.aggregate.without && expr->as.aggregate.labels.count == 0) {
        return aggregate->first != NULL ? aggregate->first : group_make(aggregate, LABELS_NONE);
    }
    Labels labels = expr->as.aggregate.without
                        ? labels_remove(exec, series, expr->as.aggregate.labels, true, arena)
                        : labels_keep(exec, series, expr->as.aggregate.labels, arena);
    void **slot = map_put(&aggregate->groups, bytes_text(labels.wire));
    if (*slot == NULL) *slot = group_make(aggregate, labels);
    return *slot;
}

// ---- Folding one series into its group ----

static void fold_sum(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        if (is_absent(group->value[i])) {
            group->value[i] = values[i];
            continue;
        }
        KahanSum sum = {group->value[i], group->rest[i]};
        kahan_add(&sum, values[i]);
        group->value[i] = sum.sum;
        group->rest[i] = sum.rest;
    }
}

static void fold_avg(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        double n = ++group->count[i];
        if (n == 1) {
            group->value[i] = values[i];
            continue;
        }
        KahanSum sum = {group->value[i], group->rest[i]};
        if (!group->incremental[i]) {
            KahanSum next = sum;
            kahan_add(&next, values[i]);
            if (!isinf(next.sum)) {
                group->value[i] = next.sum;
                group->rest[i] = next.rest;
                continue;
            }
            group->incremental[i] = 1;
            sum = (KahanSum){sum.sum / (n - 1), sum.rest / (n - 1)};
        }
        double share = (n - 1) / n;
        sum = (KahanSum){share * sum.sum, share * sum.rest};
        kahan_add(&sum, values[i] / n);
        group->value[i] = sum.sum;
        group->rest[i] = sum.rest;
    }
}

// NaN stays only when there is nothing else.
static void fold_min(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        if (isnan(group->value[i]) || group->value[i] > values[i]) group->value[i] = values[i];
    }
}

static void fold_max(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        if (isnan(group->value[i]) || group->value[i] < values[i]) group->value[i] = values[i];
    }
}

static void fold_count(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        group->value[i] = is_absent(group->value[i]) ? 1 : group->value[i] + 1;
    }
}

static void fold_group(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (!is_absent(values[i])) group->value[i] = 1;
    }
}

// Welford's running mean (`value`) and sum of squares (`rest`).
static void fold_spread(Group *group, const double *values, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i])) continue;
        double n = ++group->count[i];
        if (n == 1) {
            group->value[i] = values[i];
            group->rest[i] = isfinite(values[i]) ? 0 : NAN;
            continue;
        }
        double delta = values[i] - group->value[i];
        group->value[i] += delta / n;
        group->rest[i] += delta * (values[i] - group->value[i]);
    }
}

typedef void (*Fold)(Group *group, const double *values, size_t steps);
static const Fold folds[] = {
    // ORDER: AggregateOp
    fold_sum, fold_avg, fold_min, fold_max, fold_count, fold_group, fold_spread, fold_spread,
};
_Static_assert(COUNT(folds) == AGG_TOPK, "one fold for each aggregation that folds");

static void finish(AggregateOp op, Group *group, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        double value = group->value[i];
        if (is_absent(value)) continue;
        if (op == AGG_SUM) group->value[i] = isinf(value) ? value : value + group->rest[i];
        if (op == AGG_AVG) {
            double n = group->incremental[i] ? 1 : group->count[i];
            group->value[i] = value / n + group->rest[i] / n;
        }
        if (op == AGG_STDVAR) group->value[i] = group->rest[i] / group->count[i];
        if (op == AGG_STDDEV) group->value[i] = sqrt(group->rest[i] / group->count[i]);
    }
}

// ---- Native histograms ----

static void fold_one(Aggregate *aggregate, HistogramFold *fold, const Histogram *histogram,
                     Labels labels) {
    Exec *exec = aggregate->operator.exec;
    const Expr *expr = aggregate->operator.expr;
    fold->resets |= histogram->reset_hint == HISTOGRAM_RESET_YES;
    fold->no_resets |= histogram->reset_hint == HISTOGRAM_RESET_NO;
    if (fold->mixed_schemas) return;
    if (!fold->any) {
        fold->any = true;
        histogram_mean_begin(&fold->mean, histogram, &aggregate->operator.keep);
        return;
    }
    bool added = expr->as.aggregate.op == AGG_AVG
                     ? histogram_mean_add(&fold->mean, histogram, &fold->join)
                     : histogram_sum_add(&fold->mean.sum, histogram, 1, &fold->join);
    if (added) return;
    fold->mixed_schemas = true;
    note_mixed_schemas(exec, expr->as.aggregate.expr->range, labels);
}

static bool fold_histograms(Aggregate *aggregate, Group *group, const StepSeries *series,
                            Error *err) {
    Arena *arena = &aggregate->operator.keep;
    size_t steps = aggregate->operator.steps.count;
    AggregateOp op = aggregate->operator.expr->as.aggregate.op;
    bool sums = op == AGG_SUM || op == AGG_AVG;
    if (sums && group->histograms == NULL)
        group->histograms = arena_push_array(arena, HistogramFold, steps);
    for (size_t i = 0; i < steps; i++) {
        if (series->histograms[i] == NULL) continue;
        if (sums) {
            fold_one(aggregate, &group->histograms[i], series->histograms[i], series->labels);
            TRY(exec_tick_histograms(aggregate->operator.exec, i, err));
        } else if (op == AGG_GROUP) {
            group->value[i] = 1;
        } else if (op == AGG_COUNT) {
            group->value[i] = is_absent(group->value[i]) ? 1 : group->value[i] + 1;
        }
    }
    return true;
}

// min, max, stddev and stdvar know only floats.
static bool ignores_histograms(AggregateOp op) {
    return op == AGG_MIN || op == AGG_MAX || op == AGG_STDDEV || op == AGG_STDVAR;
}

static void ignore_histograms(Aggregate *aggregate, StepSeries *series) {
    const Expr *expr = aggregate->operator.expr;
    bool any = false;
    for (size_t i = 0; i < aggregate->operator.steps.count; i++)
        any |= series->histograms[i] != NULL;
    series->histograms = NULL;
    if (any)
        note_ignored_in_aggregation(aggregate->operator.exec, expr->as.aggregate.expr->range,
                                    aggregate_op_name(expr->as.aggregate.op));
}

// The sums of a group as a column; steps that also had floats, or both kinds of bounds, have none.
static const Histogram **finish_histograms(Aggregate *aggregate, Group *group) {
    Exec *exec = aggregate->operator.exec;
    const Expr *expr = aggregate->operator.expr;
    SourceRange range = expr->as.aggregate.expr->range;
    Steps steps = aggregate->operator.steps;
    const Histogram **out = histogram_column_new(&aggregate->operator.keep, steps);
    for (size_t i = 0; i < steps.count; i++) {
        HistogramFold *fold = &group->histograms[i];
        if (!fold->any) continue;
        fold->join.collision = fold->resets && fold->no_resets;
        note_join(exec, range, fold->join, "aggregation");
        if (!is_absent(group->value[i])) {
            exec_note(exec, NOTE_WARNING, range,
                      "encountered a mix of histograms and floats for aggregation");
            group->value[i] = ABSENT;
            continue;
        }
        if (fold->mixed_schemas) continue;
        out[i] = expr->as.aggregate.op == AGG_AVG ? histogram_mean_end(&fold->mean)
                                                  : histogram_sum_end(&fold->mean.sum);
    }
    return out;
}

static bool fold_all(Aggregate *aggregate, Error *err) {
    size_t steps = aggregate->operator.steps.count;
    AggregateOp op = aggregate->operator.expr->as.aggregate.op;
    Fold fold = folds[op];
    StepBatch batch;
    do {
        TRY(operator_next(aggregate->inner, &batch, err));
        for (size_t i = 0; i < batch.count; i++) {
            StepSeries *series = &batch.at[i];
            if (series->histograms != NULL && ignores_histograms(op))
                ignore_histograms(aggregate, series);
            if (series_is_empty(series, aggregate->operator.steps)) continue;
            Group *group = group_of(aggregate, series->labels);
            // A name that is still to be dropped goes for the group when any member drops it.
            group->drop_name |= series->drop_name;
            fold(group, series->values, steps);
            if (series->histograms != NULL) TRY(fold_histograms(aggregate, group, series, err));
        }
        arena_clear(&aggregate->operator.batch);
    } while (batch.count > 0);
    return true;
}

static bool aggregate_next(Operator *operator, StepBatch * out, Error *err) {
    Aggregate *aggregate = (Aggregate *)operator;
    if (!aggregate->folded) {
        TRY(fold_all(aggregate, err));
        aggregate->folded = true;
        aggregate->emit = aggregate->first;
    }
    size_t rows = batch_rows(operator->steps);
    out->at = arena_push_array_raw(&operator->batch, StepSeries, rows);
    for (; aggregate->emit != NULL && out->count < rows; aggregate->emit = aggregate->emit->next) {
        Group *group = aggregate->emit;
        const Histogram **histograms =
            group->histograms == NULL ? NULL : finish_histograms(aggregate, group);
        finish(operator->expr->as.aggregate.op, group, operator->steps.count);
        out->at[out->count++] =
            (StepSeries){group->labels, group->drop_name, group->value, histograms};
    }
    return true;
}

bool aggregate_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    Aggregate *aggregate = operator_new(exec, Aggregate, expr, steps, aggregate_next);
    aggregate->groups = map_begin(&aggregate->operator.keep, exec->hash_key);
    aggregate->end = &aggregate->first;
    aggregate->operator.one_name = true;  // groups differ in the labels that are left
    for (size_t i = 0; i < expr->as.aggregate.labels.count && !expr->as.aggregate.without; i++) {
        if (text_equal(expr->as.aggregate.labels.at[i], LABEL_NAME))
            aggregate->operator.one_name = false;
    }
    *out = &aggregate->operator;
    return operator_open(exec, expr->as.aggregate.expr, steps, &aggregate->inner, err);
}
